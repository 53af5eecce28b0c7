/* The footer of a Parquet file: schema and row groups.
 *
 * Happy path: the last eight bytes say how long it is; its thrift is walked once, the schema's tree flattened to its
 * leaves, and of each chunk noted where its pages lie.
 * Failures: no Parquet, encryption; counts that do not fit each other, places outside of the file. */
#include "format/parquet/read/parquet_read.h"
#include "format/parquet/thrift.h"

#define TAIL_BYTES 8
#define FOOTER_BYTES_MAX ((uint64_t)64 << 20)
#define DEPTH_MAX 64
#define NAME_BYTES_MAX 4096
#define DECIMAL_BYTES_MAX 16
#define DECIMAL_SCALE_MAX 38
#define GROUP_ROWS_MAX (UINT64_C(1) << 36)
#define LEAVES_MAX 65536
#define GROUP_BYTES_MIN 8 /* of a row group in the footer */

/* A SchemaElement as it is written. */
struct element {
    int64_t type; /* -1: a group */
    uint32_t width;
    uint32_t repetition;
    struct aq_slice name;
    uint32_t child_count;
    int64_t converted; /* -1: none */
    uint32_t scale;
    int16_t logical; /* enum aq_parquet_logical */
    uint32_t bit_width;
    bool is_signed;
    bool is_utc;
    int16_t unit;
};

struct walk {
    struct aq_reader reader;
    struct aq_arena *arena;
    struct aq_parquet_footer *footer;
    size_t element_left;
    uint64_t data_end; /* pages lie before it */
    struct aq_bytes path;
};

/* A union: one field, whose id says what it is. */
static int16_t read_union(struct aq_reader *reader)
{
    struct aq_thrift_field field = {0};
    int16_t id = 0;
    while (aq_thrift_next(reader, &field)) {
        id = field.id;
        aq_thrift_skip(reader, field.type);
    }
    return id;
}

static void read_logical_body(struct aq_reader *reader, struct element *element)
{
    struct aq_thrift_field field = {0};
    while (aq_thrift_next(reader, &field)) {
        bool time = element->logical == AQ_PARQUET_LOGICAL_TIMESTAMP ||
                    element->logical == AQ_PARQUET_LOGICAL_TIME;
        bool integer = element->logical == AQ_PARQUET_LOGICAL_INTEGER;
        if (time && field.id == 1)
            element->is_utc = aq_thrift_bool(reader, &field);
        else if (time && field.id == 2 && aq_thrift_struct(reader, &field))
            element->unit = read_union(reader);
        else if (integer && field.id == 2)
            element->is_signed = aq_thrift_bool(reader, &field);
        else if (element->logical == AQ_PARQUET_LOGICAL_DECIMAL && field.id == 1)
            element->scale = aq_thrift_u31(reader, &field);
        else
            aq_thrift_skip(reader, field.type);
    }
}

static void read_logical(struct aq_reader *reader, struct element *element)
{
    struct aq_thrift_field field = {0};
    while (aq_thrift_next(reader, &field)) {
        element->logical = field.id;
        if (aq_thrift_struct(reader, &field))
            read_logical_body(reader, element);
    }
}

static void read_element(struct aq_reader *reader, struct element *element)
{
    struct aq_thrift_field field = {0};
    *element = (struct element){.type = -1, .converted = -1, .is_signed = true};
    while (aq_thrift_next(reader, &field)) {
        switch (field.id) {
        case 1:
            element->type = aq_thrift_u31(reader, &field);
            break;
        case 2:
            element->width = aq_thrift_u31(reader, &field);
            break;
        case 3:
            element->repetition = aq_thrift_u31(reader, &field);
            break;
        case 4:
            element->name = aq_thrift_binary(reader, &field);
            break;
        case 5:
            element->child_count = aq_thrift_u31(reader, &field);
            break;
        case 6:
            element->converted = aq_thrift_u31(reader, &field);
            break;
        case 7:
            element->scale = aq_thrift_u31(reader, &field);
            break;
        case 10:
            if (aq_thrift_struct(reader, &field))
                read_logical(reader, element);
            break;
        default:
            aq_thrift_skip(reader, field.type);
        }
    }
}

/* What older writers say by a converted type alone. */
static void translate_converted(struct element *element)
{
    if (element->logical != AQ_PARQUET_LOGICAL_NONE)
        return;
    element->is_utc = true;
    switch (element->converted) {
    case AQ_PARQUET_CONVERTED_UTF8:
    case AQ_PARQUET_CONVERTED_ENUM:
    case AQ_PARQUET_CONVERTED_JSON:
        element->logical = AQ_PARQUET_LOGICAL_STRING;
        break;
    case AQ_PARQUET_CONVERTED_DECIMAL:
        element->logical = AQ_PARQUET_LOGICAL_DECIMAL;
        break;
    case AQ_PARQUET_CONVERTED_DATE:
        element->logical = AQ_PARQUET_LOGICAL_DATE;
        break;
    case AQ_PARQUET_CONVERTED_TIME_MILLIS:
    case AQ_PARQUET_CONVERTED_TIME_MICROS:
        element->logical = AQ_PARQUET_LOGICAL_TIME;
        element->unit = element->converted == AQ_PARQUET_CONVERTED_TIME_MILLIS ? AQ_PARQUET_MILLIS
                                                                               : AQ_PARQUET_MICROS;
        break;
    case AQ_PARQUET_CONVERTED_TIMESTAMP_MILLIS:
    case AQ_PARQUET_CONVERTED_TIMESTAMP_MICROS:
        element->logical = AQ_PARQUET_LOGICAL_TIMESTAMP;
        element->unit = element->converted == AQ_PARQUET_CONVERTED_TIMESTAMP_MILLIS
                            ? AQ_PARQUET_MILLIS
                            : AQ_PARQUET_MICROS;
        break;
    default:
        element->is_signed = element->converted < AQ_PARQUET_CONVERTED_UINT_8 ||
                             element->converted > AQ_PARQUET_CONVERTED_UINT_64;
    }
}

static enum aq_parquet_kind kind_by_width(const struct element *element)
{
    switch (element->type) {
    case AQ_PARQUET_BOOLEAN:
        return AQ_PARQUET_KIND_BOOLEAN;
    case AQ_PARQUET_INT32:
    case AQ_PARQUET_INT64:
        return element->is_signed ? AQ_PARQUET_KIND_INTEGER : AQ_PARQUET_KIND_UNSIGNED;
    case AQ_PARQUET_INT96:
        return AQ_PARQUET_KIND_TIMESTAMP;
    case AQ_PARQUET_FLOAT:
    case AQ_PARQUET_DOUBLE:
        return AQ_PARQUET_KIND_REAL;
    default:
        return AQ_PARQUET_KIND_BYTES;
    }
}

/* The kind that a logical type gives, where it fits the physical one; another has no meaning. */
static enum aq_parquet_kind kind_of(const struct element *element)
{
    bool integer = element->type == AQ_PARQUET_INT32 || element->type == AQ_PARQUET_INT64;
    bool bytes = element->type == AQ_PARQUET_BYTE_ARRAY;
    bool fixed = element->type == AQ_PARQUET_FIXED;
    switch (element->logical) {
    case AQ_PARQUET_LOGICAL_STRING:
    case AQ_PARQUET_LOGICAL_ENUM:
    case AQ_PARQUET_LOGICAL_JSON:
        return bytes ? AQ_PARQUET_KIND_TEXT : kind_by_width(element);
    case AQ_PARQUET_LOGICAL_DATE:
        return element->type == AQ_PARQUET_INT32 ? AQ_PARQUET_KIND_DATE : kind_by_width(element);
    case AQ_PARQUET_LOGICAL_TIME:
        return integer ? AQ_PARQUET_KIND_TIME : kind_by_width(element);
    case AQ_PARQUET_LOGICAL_TIMESTAMP:
        return element->type == AQ_PARQUET_INT64 ? AQ_PARQUET_KIND_TIMESTAMP
                                                 : kind_by_width(element);
    case AQ_PARQUET_LOGICAL_DECIMAL:
        if (element->scale > DECIMAL_SCALE_MAX)
            return kind_by_width(element);
        return integer || bytes || (fixed && element->width <= DECIMAL_BYTES_MAX)
                   ? AQ_PARQUET_KIND_DECIMAL
                   : kind_by_width(element);
    case AQ_PARQUET_LOGICAL_UUID:
        return fixed && element->width == 16 ? AQ_PARQUET_KIND_UUID : kind_by_width(element);
    default:
        return kind_by_width(element);
    }
}

static void add_leaf(struct walk *walk, struct element *element, bool nested)
{
    struct aq_parquet_footer *footer = walk->footer;
    struct aq_parquet_leaf *leaf = &footer->leaves[footer->leaf_count];
    translate_converted(element);
    if (element->type > AQ_PARQUET_FIXED || walk->path.size > NAME_BYTES_MAX ||
        element->repetition > AQ_PARQUET_REPEATED ||
        (element->type == AQ_PARQUET_FIXED && element->width == 0)) {
        aq_reader_fail(&walk->reader);
        return;
    }
    *leaf = (struct aq_parquet_leaf){
        .nested = nested || element->repetition == AQ_PARQUET_REPEATED,
        .optional = element->repetition == AQ_PARQUET_OPTIONAL,
        .is_utc = element->is_utc || element->type == AQ_PARQUET_INT96,
        .physical = (enum aq_parquet_type)element->type,
        .kind = kind_of(element),
        .unit = element->unit >= AQ_PARQUET_MILLIS && element->unit <= AQ_PARQUET_NANOS
                    ? (enum aq_parquet_unit)element->unit
                    : AQ_PARQUET_MICROS,
        .width = element->width,
        .scale = element->scale,
    };
    void *name = aq_arena_copy(walk->arena, walk->path.data, walk->path.size);
    if (name == NULL)
        walk->path.failed = true;
    leaf->name = aq_slice_make(name, walk->path.size);
    footer->leaf_count++;
}

/* An element and, of a group, all below it. */
static void read_tree(struct walk *walk, unsigned depth, bool nested)
{
    struct element element;
    size_t path_size = walk->path.size;
    if (walk->element_left == 0 || depth == DEPTH_MAX)
        aq_reader_fail(&walk->reader);
    else
        walk->element_left--;
    read_element(&walk->reader, &element);
    if (walk->reader.failed)
        return;
    if (depth > 1)
        aq_bytes_u8(&walk->path, '.');
    if (depth > 0)
        aq_bytes_append(&walk->path, element.name.data, element.name.size);
    if (depth > 0 && element.type >= 0 && element.child_count == 0)
        add_leaf(walk, &element, nested);
    for (uint32_t i = 0; i < element.child_count && !walk->reader.failed; i++)
        read_tree(walk, depth + 1, depth > 0);
    if (!walk->path.failed)
        walk->path.size = path_size;
}

static enum aq_status read_schema(struct walk *walk, const struct aq_thrift_field *field)
{
    struct aq_parquet_footer *footer = walk->footer;
    walk->element_left = aq_thrift_list(&walk->reader, field, AQ_THRIFT_STRUCT);
    if (walk->element_left > LEAVES_MAX) {
        aq_reader_fail(&walk->reader);
        return AQ_OK;
    }
    footer->leaves = aq_arena_alloc(walk->arena, (walk->element_left + 1) * sizeof *footer->leaves);
    if (footer->leaves == NULL)
        return AQ_NO_MEMORY;
    read_tree(walk, 0, false);
    if (walk->element_left > 0)
        aq_reader_fail(&walk->reader);
    return aq_bytes_status(&walk->path);
}

static void read_chunk_meta(struct walk *walk, struct aq_parquet_chunk *chunk)
{
    struct aq_reader *reader = &walk->reader;
    struct aq_thrift_field field = {0};
    int64_t data = 0;
    int64_t dictionary = 0;
    int64_t size = 0;
    while (aq_thrift_next(reader, &field)) {
        if (field.id == 4)
            chunk->codec = (enum aq_parquet_codec)aq_thrift_u31(reader, &field);
        else if (field.id == 7)
            size = aq_thrift_int(reader, &field);
        else if (field.id == 9)
            data = aq_thrift_int(reader, &field);
        else if (field.id == 11)
            dictionary = aq_thrift_int(reader, &field);
        else
            aq_thrift_skip(reader, field.type);
    }
    int64_t offset = dictionary > 0 && dictionary < data ? dictionary : data;
    if (offset < AQ_PARQUET_MAGIC_BYTES || size < 0 || (uint64_t)offset > walk->data_end ||
        (uint64_t)size > walk->data_end - (uint64_t)offset)
        aq_reader_fail(reader);
    chunk->offset = (uint64_t)offset;
    chunk->size_bytes = (uint64_t)size;
}

static void read_chunk(struct walk *walk, struct aq_parquet_chunk *chunk)
{
    struct aq_reader *reader = &walk->reader;
    struct aq_thrift_field field = {0};
    bool found = false;
    *chunk = (struct aq_parquet_chunk){0};
    while (aq_thrift_next(reader, &field)) {
        if (field.id == 3 && aq_thrift_struct(reader, &field)) {
            read_chunk_meta(walk, chunk);
            found = true;
        } else if (field.id == 1) { /* the pages lie in another file */
            aq_reader_fail(reader);
        } else {
            aq_thrift_skip(reader, field.type);
        }
    }
    if (!found)
        aq_reader_fail(reader);
}

static enum aq_status read_chunks(struct walk *walk, const struct aq_thrift_field *field,
                                  struct aq_parquet_group *group)
{
    size_t count = aq_thrift_list(&walk->reader, field, AQ_THRIFT_STRUCT);
    if (count != walk->footer->leaf_count || group->chunks != NULL)
        aq_reader_fail(&walk->reader);
    if (walk->reader.failed)
        return AQ_OK;
    group->chunks = aq_arena_alloc(walk->arena, count * sizeof *group->chunks);
    if (group->chunks == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count && !walk->reader.failed; i++)
        read_chunk(walk, &group->chunks[i]);
    return AQ_OK;
}

static enum aq_status read_group(struct walk *walk, struct aq_parquet_group *group)
{
    struct aq_reader *reader = &walk->reader;
    struct aq_thrift_field field = {0};
    int64_t row_count = -1;
    *group = (struct aq_parquet_group){0};
    while (aq_thrift_next(reader, &field)) {
        if (field.id == 1)
            AQ_TRY(read_chunks(walk, &field, group));
        else if (field.id == 3)
            row_count = aq_thrift_int(reader, &field);
        else
            aq_thrift_skip(reader, field.type);
    }
    if (row_count < 0 || (uint64_t)row_count > GROUP_ROWS_MAX || group->chunks == NULL)
        aq_reader_fail(reader);
    group->row_count = reader->failed ? 0 : (uint64_t)row_count;
    return AQ_OK;
}

static enum aq_status read_groups(struct walk *walk, const struct aq_thrift_field *field)
{
    struct aq_parquet_footer *footer = walk->footer;
    size_t count = aq_thrift_list(&walk->reader, field, AQ_THRIFT_STRUCT);
    if (footer->leaves == NULL || count > aq_reader_left(&walk->reader) / GROUP_BYTES_MIN) {
        aq_reader_fail(&walk->reader);
        return AQ_OK;
    }
    footer->groups = aq_arena_alloc(walk->arena, (count + 1) * sizeof *footer->groups);
    if (footer->groups == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count && !walk->reader.failed; i++) {
        AQ_TRY(read_group(walk, &footer->groups[i]));
        footer->row_count += footer->groups[i].row_count;
        footer->group_count = i + 1;
    }
    return AQ_OK;
}

static enum aq_status read_file_meta(struct walk *walk)
{
    struct aq_thrift_field field = {0};
    while (aq_thrift_next(&walk->reader, &field)) {
        if (field.id == 2)
            AQ_TRY(read_schema(walk, &field));
        else if (field.id == 4)
            AQ_TRY(read_groups(walk, &field));
        else
            aq_thrift_skip(&walk->reader, field.type);
    }
    if (walk->footer->groups == NULL)
        aq_reader_fail(&walk->reader);
    return AQ_OK;
}

static enum aq_status find_footer(const struct aq_parquet_input *input, uint64_t *offset,
                                  size_t *size, struct aq_error *err)
{
    uint8_t tail[TAIL_BYTES] = {0};
    if (input->size_bytes >= AQ_PARQUET_MAGIC_BYTES + TAIL_BYTES)
        AQ_TRY(input->read(input->context, input->size_bytes - TAIL_BYTES, tail, TAIL_BYTES, err));
    if (memcmp(tail + 4, "PARE", 4) == 0)
        return aq_error_set(err, AQ_UNSUPPORTED, "an encrypted Parquet file: decrypt it first");
    if (memcmp(tail + 4, AQ_PARQUET_MAGIC, AQ_PARQUET_MAGIC_BYTES) != 0)
        return aq_error_set(err, AQ_INVALID,
                            "no Parquet file, or cut off: it does not end in PAR1");
    *size = aq_load_u32(tail);
    if (*size > input->size_bytes - AQ_PARQUET_MAGIC_BYTES - TAIL_BYTES)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)(input->size_bytes - TAIL_BYTES),
                               "the Parquet footer is said to be longer than the file");
    if (*size > FOOTER_BYTES_MAX || *size > input->memory_bytes)
        return aq_error_set(err, AQ_LIMIT, "the Parquet footer has %zu bytes: more than is taken",
                            *size);
    *offset = input->size_bytes - TAIL_BYTES - *size;
    return AQ_OK;
}

enum aq_status aq_parquet_footer_read(const struct aq_parquet_input *input, struct aq_arena *arena,
                                      struct aq_parquet_footer *footer, struct aq_error *err)
{
    uint64_t offset = 0;
    size_t size = 0;
    *footer = (struct aq_parquet_footer){0};
    AQ_TRY(find_footer(input, &offset, &size, err));
    uint8_t *bytes = aq_arena_alloc(arena, size);
    if (bytes == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a Parquet footer");
    AQ_TRY(input->read(input->context, offset, bytes, size, err));
    struct walk walk = {.reader = aq_reader_make(aq_slice_make(bytes, size)),
                        .arena = arena,
                        .footer = footer,
                        .data_end = offset};
    enum aq_status status = read_file_meta(&walk);
    aq_bytes_deinit(&walk.path);
    if (status < 0)
        return aq_error_set(err, status, "no memory for a Parquet footer");
    if (walk.reader.failed)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)(offset + walk.reader.fail_offset),
                               "the Parquet footer is malformed");
    return AQ_OK;
}
