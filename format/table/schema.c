/* A dataset's declaration <-> bytes, and what follows from it: the rejects dataset, batches of the right
 * types, the order rows are stored in.
 *
 * Happy path: the config's reader builds a schema, the catalog records its bytes, everybody who opens
 * the store decodes them. Decoding checks all that the rest of the program relies on (names are
 * text, unique and short; indices lie in range; the time column holds times), so that bad bytes
 * fail here, as AQ_CORRUPT, and nowhere later. */
#include "format/table/schema.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column_flag { FLAG_REQUIRED = 1, FLAG_HIDDEN = 2, FLAGS_KNOWN = 3 };

/* An optional column index is stored one up, so that "none" takes one byte. */
static void encode_index(struct aq_bytes *out, uint32_t index)
{
    aq_bytes_varint(out, index == AQ_COLUMN_NONE ? 0 : (uint64_t)index + 1);
}

static void encode_indices(struct aq_bytes *out, const uint32_t *indices, size_t count)
{
    aq_bytes_varint(out, count);
    for (size_t i = 0; i < count; i++)
        aq_bytes_varint(out, indices[i]);
}

void aq_schema_encode(const struct aq_schema *schema, struct aq_bytes *out)
{
    aq_bytes_varint(out, schema->dataset_id);
    aq_bytes_varint(out, schema->version);
    aq_bytes_text(out, schema->dataset);
    aq_bytes_varint(out, schema->rejects_of);
    aq_bytes_varint(out, schema->column_count);
    for (size_t i = 0; i < schema->column_count; i++) {
        const struct aq_column *column = &schema->columns[i];
        aq_bytes_text(out, column->name);
        aq_bytes_u8(out, (uint8_t)column->type);
        aq_bytes_varint(out, column->id);
        aq_bytes_u8(out, (uint8_t)((column->required ? FLAG_REQUIRED : 0) |
                                   (column->hidden ? FLAG_HIDDEN : 0)));
    }
    encode_index(out, schema->key_column);
    encode_index(out, schema->time_column);
    aq_bytes_u8(out, (uint8_t)schema->slot);
    encode_indices(out, schema->series, schema->series_count);
    encode_indices(out, schema->unique, schema->unique_count);
    aq_bytes_u8(out, (uint8_t)schema->keep);
    encode_index(out, schema->version_column);
    aq_bytes_varint_signed(out, schema->retention_us);
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the UTF-8 sequence at data[0], or 0: overlong forms, surrogates and NUL are refused.
 * @source The Unicode Standard, table 3-7. */
static size_t utf8_sequence(const uint8_t *data, size_t left)
{
    uint8_t first = data[0];
    if (first < 0x80)
        return first != 0;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if (!is_continuation(data[i]))
            return 0;
    }
    uint8_t second = data[1];
    bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
               (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
    return bad ? 0 : length;
}

static bool is_name(struct aq_slice name)
{
    if (name.size == 0 || name.size > AQ_NAME_BYTES_MAX)
        return false;
    for (size_t at = 0; at < name.size;) {
        size_t length = utf8_sequence(name.data + at, name.size - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* What decoding carries along; `no_memory` keeps apart what the sticky reader cannot say. */
struct decoder {
    struct aq_reader reader;
    struct aq_arena *arena;
    bool no_memory;
};

static uint32_t decode_u32(struct decoder *decoder)
{
    uint64_t value = aq_reader_varint(&decoder->reader);
    if (value > UINT32_MAX)
        aq_reader_fail(&decoder->reader);
    return (uint32_t)value;
}

/* A small number that must not pass `max`. */
static uint8_t decode_choice(struct decoder *decoder, uint8_t max)
{
    uint8_t value = aq_reader_u8(&decoder->reader);
    if (value > max)
        aq_reader_fail(&decoder->reader);
    return value;
}

static void *decode_alloc(struct decoder *decoder, size_t count, size_t size)
{
    void *memory = aq_arena_alloc(decoder->arena, count * size);
    if (memory == NULL)
        decoder->no_memory = true;
    return memory;
}

static const char *decode_name(struct decoder *decoder)
{
    struct aq_slice name = aq_reader_slice(&decoder->reader);
    if (!decoder->reader.failed && !is_name(name))
        aq_reader_fail(&decoder->reader);
    if (decoder->reader.failed)
        return "";
    char *text = decode_alloc(decoder, name.size + 1, 1);
    if (text == NULL)
        return "";
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return text;
}

static uint32_t decode_index(struct decoder *decoder, size_t column_count)
{
    uint64_t value = aq_reader_varint(&decoder->reader);
    if (value > column_count)
        aq_reader_fail(&decoder->reader);
    return value == 0 ? AQ_COLUMN_NONE : (uint32_t)(value - 1);
}

static uint32_t *decode_indices(struct decoder *decoder, size_t column_count, size_t *count)
{
    *count = aq_reader_count(&decoder->reader);
    if (*count > column_count)
        aq_reader_fail(&decoder->reader);
    if (decoder->reader.failed || *count == 0) {
        *count = 0;
        return NULL;
    }
    uint32_t *indices = decode_alloc(decoder, *count, sizeof *indices);
    for (size_t i = 0; indices != NULL && i < *count; i++) {
        uint64_t index = aq_reader_varint(&decoder->reader);
        if (index >= column_count)
            aq_reader_fail(&decoder->reader);
        indices[i] = (uint32_t)index;
    }
    return indices;
}

static void decode_column(struct decoder *decoder, struct aq_column *column)
{
    column->name = decode_name(decoder);
    uint8_t type = aq_reader_u8(&decoder->reader);
    if (!aq_type_valid_column(type))
        aq_reader_fail(&decoder->reader);
    column->type = (enum aq_type)type;
    column->id = decode_u32(decoder);
    if (column->id > AQ_COLUMN_ID_MAX)
        aq_reader_fail(&decoder->reader);
    uint8_t flags = decode_choice(decoder, FLAGS_KNOWN);
    column->required = (flags & FLAG_REQUIRED) != 0;
    column->hidden = (flags & FLAG_HIDDEN) != 0;
}

static void decode_columns(struct decoder *decoder, struct aq_schema *schema)
{
    size_t count = aq_reader_count(&decoder->reader);
    if (count > AQ_COLUMNS_MAX)
        aq_reader_fail(&decoder->reader);
    if (decoder->reader.failed || count == 0)
        return;
    schema->columns = decode_alloc(decoder, count, sizeof *schema->columns);
    if (schema->columns == NULL)
        return;
    for (; schema->column_count < count && !decoder->reader.failed; schema->column_count++)
        decode_column(decoder, &schema->columns[schema->column_count]);
}

static bool columns_differ(const struct aq_schema *schema)
{
    for (size_t i = 0; i < schema->column_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (schema->columns[i].id == schema->columns[j].id ||
                strcmp(schema->columns[i].name, schema->columns[j].name) == 0)
                return false;
        }
    }
    return true;
}

static bool time_fits(const struct aq_schema *schema)
{
    if (schema->time_column == AQ_COLUMN_NONE)
        return schema->slot == AQ_SLOT_NONE;
    return schema->columns[schema->time_column].type == AQ_TYPE_TIMESTAMPTZ;
}

enum aq_status aq_schema_decode(struct aq_slice bytes, struct aq_arena *arena,
                                struct aq_schema *schema, struct aq_error *err)
{
    struct decoder decoder = {.reader = aq_reader_make(bytes), .arena = arena};
    *schema = (struct aq_schema){.dataset = ""};
    schema->dataset_id = decode_u32(&decoder);
    schema->version = decode_u32(&decoder);
    schema->dataset = decode_name(&decoder);
    schema->rejects_of = decode_u32(&decoder);
    decode_columns(&decoder, schema);
    size_t count = schema->column_count;
    schema->key_column = decode_index(&decoder, count);
    schema->time_column = decode_index(&decoder, count);
    schema->slot = (enum aq_slot)decode_choice(&decoder, AQ_SLOT_MONTH);
    schema->series = decode_indices(&decoder, count, &schema->series_count);
    schema->unique = decode_indices(&decoder, count, &schema->unique_count);
    schema->keep = (enum aq_keep)decode_choice(&decoder, AQ_KEEP_FIRST);
    schema->version_column = decode_index(&decoder, count);
    schema->retention_us = aq_reader_varint_signed(&decoder.reader);
    if (decoder.no_memory)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading a schema");
    AQ_TRY(aq_reader_finish(&decoder.reader, "a schema", err));
    if (!columns_differ(schema) || !time_fits(schema))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "the schema of \"%s\" contradicts itself",
                               schema->dataset);
    return AQ_OK;
}

static uint32_t *copy_indices(const uint32_t *indices, size_t count, struct aq_arena *arena)
{
    return aq_arena_copy(arena, indices, count * sizeof *indices);
}

enum aq_status aq_schema_copy(const struct aq_schema *from, struct aq_arena *arena,
                              struct aq_schema *to)
{
    *to = *from;
    to->was = NULL;
    to->dataset = aq_arena_string(arena, from->dataset);
    to->columns = aq_arena_copy(arena, from->columns, from->column_count * sizeof *from->columns);
    to->series = copy_indices(from->series, from->series_count, arena);
    to->unique = copy_indices(from->unique, from->unique_count, arena);
    if (to->dataset == NULL || to->columns == NULL || to->series == NULL || to->unique == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < to->column_count; i++) {
        to->columns[i].name = aq_arena_string(arena, from->columns[i].name);
        if (to->columns[i].name == NULL)
            return AQ_NO_MEMORY;
    }
    return AQ_OK;
}

uint32_t aq_schema_find(const struct aq_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->column_count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0)
            return (uint32_t)i;
    }
    return AQ_COLUMN_NONE;
}

static const struct aq_column reject_columns[AQ_REJECT_COLUMN_COUNT] = {
    [AQ_REJECT_SOURCE] = {.name = "source", .type = AQ_TYPE_TEXT, .id = 1},
    [AQ_REJECT_PARTITION] = {.name = "partition", .type = AQ_TYPE_INTEGER, .id = 2},
    [AQ_REJECT_OFFSET] = {.name = "offset", .type = AQ_TYPE_BIGINT, .id = 3},
    [AQ_REJECT_ARRIVAL] = {.name = "arrival", .type = AQ_TYPE_TIMESTAMPTZ, .id = 4},
    [AQ_REJECT_REASON] = {.name = "reason", .type = AQ_TYPE_TEXT, .id = 5},
    [AQ_REJECT_BYTES] = {.name = "bytes", .type = AQ_TYPE_BYTEA, .id = 6},
};

enum aq_status aq_schema_rejects(const struct aq_schema *schema, uint32_t dataset_id,
                                 struct aq_arena *arena, struct aq_schema *rejects)
{
    char *name = aq_arena_format(arena, "%s_rejects", schema->dataset);
    struct aq_column *columns = aq_arena_copy(arena, reject_columns, sizeof reject_columns);
    if (name == NULL || columns == NULL)
        return AQ_NO_MEMORY;
    *rejects = (struct aq_schema){
        .dataset_id = dataset_id,
        .version = 1,
        .dataset = name,
        .rejects_of = schema->dataset_id,
        .column_count = AQ_REJECT_COLUMN_COUNT,
        .columns = columns,
        .key_column = AQ_COLUMN_NONE,
        .time_column = AQ_REJECT_ARRIVAL,
        .slot = AQ_SLOT_DAY,
        .version_column = AQ_COLUMN_NONE,
    };
    return AQ_OK;
}

enum aq_status aq_columns_batch_init(const struct aq_column *columns, size_t count,
                                     struct aq_batch *batch)
{
    enum aq_type *types = malloc((count + 1) * sizeof *types);
    if (types == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        types[i] = columns[i].type;
    enum aq_status status = aq_batch_init(batch, count, types);
    free(types);
    return status;
}

enum aq_status aq_schema_batch_init(const struct aq_schema *schema, bool with_system,
                                    struct aq_batch *batch)
{
    enum aq_type types[AQ_COLUMNS_MAX + AQ_SYSTEM_COLUMN_COUNT];
    size_t count = schema->column_count;
    for (size_t i = 0; i < count; i++)
        types[i] = schema->columns[i].type;
    if (with_system) {
        types[count + AQ_SYSTEM_FEED] = AQ_TYPE_BIGINT;
        types[count + AQ_SYSTEM_ORDINAL] = AQ_TYPE_BIGINT;
        types[count + AQ_SYSTEM_STAMP] = AQ_TYPE_TIMESTAMPTZ;
        count += AQ_SYSTEM_COLUMN_COUNT;
    }
    return aq_batch_init(batch, count, types);
}

bool aq_schema_keeps_arrival(const struct aq_schema *schema)
{
    return schema->unique_count > 0 && schema->version_column == AQ_COLUMN_NONE;
}

size_t aq_schema_stored_count(const struct aq_schema *schema)
{
    return schema->column_count + (aq_schema_keeps_arrival(schema) ? AQ_ARRIVAL_COLUMN_COUNT : 0);
}

struct aq_column aq_schema_stored_column(const struct aq_schema *schema, size_t index)
{
    static const struct aq_column arrival[] = {
        [AQ_ARRIVAL_STAMP] = {"(stamp)", AQ_TYPE_TIMESTAMPTZ, AQ_SYSTEM_ID_STAMP, false, false},
        [AQ_ARRIVAL_ORDINAL] = {"(ordinal)", AQ_TYPE_BIGINT, AQ_SYSTEM_ID_ORDINAL, false, false},
    };
    return index < schema->column_count ? schema->columns[index]
                                        : arrival[index - schema->column_count];
}

uint32_t aq_schema_stored_find(const struct aq_schema *schema, uint32_t column_id)
{
    uint32_t index = 0;
    while (aq_schema_stored_column(schema, index).id != column_id) {
        index++;
        assert(index < aq_schema_stored_count(schema));
    }
    return index;
}

enum aq_status aq_schema_stored_batch_init(const struct aq_schema *schema, struct aq_batch *batch)
{
    enum aq_type types[AQ_COLUMNS_MAX + AQ_ARRIVAL_COLUMN_COUNT];
    size_t count = aq_schema_stored_count(schema);
    for (size_t i = 0; i < count; i++)
        types[i] = aq_schema_stored_column(schema, i).type;
    return aq_batch_init(batch, count, types);
}

static int compare_column(uint32_t column, const struct aq_batch *a, size_t row_a,
                          const struct aq_batch *b, size_t row_b)
{
    if (column == AQ_COLUMN_NONE)
        return 0;
    return aq_vector_compare_bits(&a->columns[column], row_a, &b->columns[column], row_b);
}

int aq_schema_compare_series(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                             const struct aq_batch *b, size_t row_b)
{
    int order = compare_column(schema->key_column, a, row_a, b, row_b);
    for (size_t i = 0; order == 0 && i < schema->series_count; i++)
        order = compare_column(schema->series[i], a, row_a, b, row_b);
    return order;
}

int aq_schema_compare_unique(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                             const struct aq_batch *b, size_t row_b)
{
    int order = aq_schema_compare_series(schema, a, row_a, b, row_b);
    if (order == 0)
        order = compare_column(schema->time_column, a, row_a, b, row_b);
    for (size_t i = 0; order == 0 && i < schema->unique_count; i++)
        order = compare_column(schema->unique[i], a, row_a, b, row_b);
    return order;
}

int aq_schema_compare_rows(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                           const struct aq_batch *b, size_t row_b)
{
    int order = aq_schema_compare_unique(schema, a, row_a, b, row_b);
    if (order == 0)
        order = compare_column(schema->version_column, a, row_a, b, row_b);
    for (size_t i = 0; order == 0 && i < schema->column_count; i++)
        order = compare_column((uint32_t)i, a, row_a, b, row_b);
    return order;
}
