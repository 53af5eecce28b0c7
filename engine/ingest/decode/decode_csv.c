/* Step 2 of a message's way: a CSV record to fields (RFC 4180).
 *
 * Happy path: the header says once which field of a record serves which path; a record is then split by
 * one run over its bytes. An empty field without quotes is null, with quotes an empty text; a quote inside
 * of an unquoted field is an ordinary character.
 * Failures: another number of fields than the header's, a quote that is not closed or is followed by
 * text, bytes that are not UTF-8: the record is a reject. A column that must have a value and is not in
 * the header is an error before the first row. Why an own parser: docs/decisions/csv-parser.md. */
#include "engine/ingest/decode/decode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/text/json_index.h"

#define FIELDS_MAX 16384
#define LISTED_BYTES_MAX 400

struct cell {
    struct aq_slice text; /* without the outer quotes */
    bool quoted;
    bool doubled; /* holds quotes written twice */
};

struct aq_csv_decoder {
    struct aq_decoder *decoder;
    size_t column_count;
    struct aq_slice *names;
    size_t *fields;     /* of the decoder; SIZE_MAX: no path names this column */
    bool *named;        /* a column's path does, not only `when:` */
    size_t *next_field; /* one a field: another whose path names the same column, or SIZE_MAX */
    size_t unnamed_count;
    struct aq_bytes rest;
    struct aq_arena arena;
};

/* A quoted field at `at`. @return behind its closing quote, or NULL. */
static const uint8_t *split_quoted(const uint8_t *at, const uint8_t *end, struct cell *cell)
{
    const uint8_t *begin = ++at;
    cell->quoted = true;
    cell->doubled = false;
    for (;;) {
        at = memchr(at, '"', (size_t)(end - at));
        if (at == NULL)
            return NULL;
        if (at + 1 == end || at[1] != '"')
            break;
        cell->doubled = true;
        at += 2;
    }
    cell->text = aq_slice_make(begin, (size_t)(at - begin));
    return at + 1;
}

static const uint8_t *split_plain(const uint8_t *at, const uint8_t *end, struct cell *cell)
{
    const uint8_t *begin = at;
    while (at < end && *at != ',')
        at++;
    *cell = (struct cell){.text = aq_slice_make(begin, (size_t)(at - begin))};
    return at;
}

/* One field at *at, moved to the comma behind it or the end. @return what is wrong, or NULL. */
static const char *split_cell(const uint8_t **at, const uint8_t *end, struct cell *cell)
{
    if (*at == end || **at != '"') {
        *at = split_plain(*at, end, cell);
        return NULL;
    }
    *at = split_quoted(*at, end, cell);
    if (*at == NULL)
        return "a quote is not closed";
    if (*at < end && **at != ',')
        return "text follows a closing quote";
    return NULL;
}

static struct aq_slice undouble(struct aq_slice text, uint8_t *out)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        out[size++] = text.data[i];
        i += text.data[i] == '"';
    }
    return aq_slice_make(out, size);
}

static enum aq_status take_cell(struct aq_csv_decoder *csv, const struct cell *cell,
                                struct aq_field *field)
{
    *field = (struct aq_field){.kind = AQ_FIELD_TEXT, .text = cell->text};
    if (cell->text.size == 0 && !cell->quoted)
        field->kind = AQ_FIELD_NULL;
    if (!cell->doubled)
        return AQ_OK;
    uint8_t *plain = aq_arena_alloc(&csv->decoder->rows.arena, cell->text.size);
    if (plain == NULL)
        return AQ_NO_MEMORY;
    field->text = undouble(cell->text, plain);
    field->owned = true;
    return AQ_OK;
}

void aq_json_append_text(struct aq_slice text, struct aq_bytes *out)
{
    static const char digits[] = "0123456789abcdef";
    aq_bytes_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            aq_bytes_u8(out, '\\');
            aq_bytes_u8(out, c);
        } else if (c < 0x20) {
            aq_bytes_append(out, "\\u00", 4);
            aq_bytes_u8(out, (uint8_t)digits[c >> 4]);
            aq_bytes_u8(out, (uint8_t)digits[c & 15]);
        } else {
            aq_bytes_u8(out, c);
        }
    }
    aq_bytes_u8(out, '"');
}

static void append_hex(struct aq_slice bytes, struct aq_bytes *out)
{
    static const char digits[] = "0123456789abcdef";
    aq_bytes_chars(out, "\"\\\\x");
    for (size_t i = 0; i < bytes.size; i++) {
        aq_bytes_u8(out, (uint8_t)digits[bytes.data[i] >> 4]);
        aq_bytes_u8(out, (uint8_t)digits[bytes.data[i] & 15]);
    }
    aq_bytes_u8(out, '"');
}

void aq_field_append_json(const struct aq_field *field, struct aq_bytes *out)
{
    if (field->kind == AQ_FIELD_NULL)
        aq_bytes_chars(out, "null");
    else if (field->kind == AQ_FIELD_BYTES)
        append_hex(field->text, out);
    else if (field->json.size > 0)
        aq_bytes_append(out, field->json.data, field->json.size);
    else
        aq_json_append_text(field->text, out);
}

/* `"*"` of a record: an object of the columns that no path names, texts and nulls. */
static void add_to_rest(struct aq_csv_decoder *csv, size_t column, const struct aq_field *field)
{
    aq_bytes_u8(&csv->rest, csv->rest.size == 0 ? '{' : ',');
    aq_json_append_text(csv->names[column], &csv->rest);
    aq_bytes_u8(&csv->rest, ':');
    aq_field_append_json(field, &csv->rest);
}

static void serve(struct aq_csv_decoder *csv, size_t column, const struct aq_field *field)
{
    struct aq_decoder *decoder = csv->decoder;
    if (!csv->named[column] && decoder->wants_rest)
        add_to_rest(csv, column, field);
    for (size_t at = csv->fields[column]; at != SIZE_MAX; at = csv->next_field[at])
        decoder->fields[at] = *field;
}

static enum aq_status take_column(struct aq_csv_decoder *csv, size_t column,
                                  const struct cell *cell)
{
    struct aq_field field;
    if (csv->fields[column] == SIZE_MAX && (csv->named[column] || !csv->decoder->wants_rest))
        return AQ_OK;
    AQ_TRY(take_cell(csv, cell, &field));
    serve(csv, column, &field);
    return AQ_OK;
}

static enum aq_status finish_rest(struct aq_csv_decoder *csv)
{
    if (csv->rest.size == 0)
        return AQ_OK;
    aq_bytes_u8(&csv->rest, '}');
    struct aq_slice text = aq_bytes_view(&csv->rest);
    csv->decoder->rest = (struct aq_field){.kind = AQ_FIELD_NESTED, .text = text, .json = text};
    return aq_bytes_status(&csv->rest);
}

static size_t count_cells(struct aq_slice record)
{
    const uint8_t *at = record.data;
    const uint8_t *end = record.data + record.size;
    struct cell cell;
    size_t count = 1;
    while (split_cell(&at, end, &cell) == NULL && at < end) {
        at++;
        count++;
    }
    return count;
}

enum aq_status aq_csv_decode_of(struct aq_csv_decoder *csv, uint64_t ordinal,
                                struct aq_slice record, struct aq_slice message)
{
    struct aq_decoder *decoder = csv->decoder;
    const uint8_t *at = record.data;
    const uint8_t *end = record.data + record.size;
    size_t column = 0;
    bool more = true;
    if (!aq_utf8_valid(record))
        return aq_decoder_reject(decoder, AQ_REJECT_SYNTAX, ordinal, message, "not UTF-8");
    aq_decoder_begin(decoder);
    aq_bytes_clear(&csv->rest);
    for (; more && column < csv->column_count; column++) {
        struct cell cell;
        const char *reason = split_cell(&at, end, &cell);
        if (reason != NULL)
            return aq_decoder_reject(decoder, AQ_REJECT_SYNTAX, ordinal, message, "field %zu: %s",
                                     column + 1, reason);
        AQ_TRY(take_column(csv, column, &cell));
        more = at < end;
        at += more;
    }
    if (more || column < csv->column_count)
        return aq_decoder_reject(decoder, AQ_REJECT_SYNTAX, ordinal, record,
                                 "%zu fields, the header has %zu", count_cells(record),
                                 csv->column_count);
    decoder->unknown_field_count += csv->unnamed_count;
    AQ_TRY(finish_rest(csv));
    return aq_decoder_settle(decoder, ordinal, message);
}

enum aq_status aq_csv_decode_fields(struct aq_csv_decoder *csv, uint64_t ordinal,
                                    const struct aq_field *fields)
{
    aq_decoder_begin(csv->decoder);
    aq_bytes_clear(&csv->rest);
    for (size_t column = 0; column < csv->column_count; column++)
        serve(csv, column, &fields[column]);
    csv->decoder->unknown_field_count += csv->unnamed_count;
    AQ_TRY(finish_rest(csv));
    return aq_decoder_settle(csv->decoder, ordinal, (struct aq_slice){0});
}

enum aq_status aq_csv_decode(struct aq_csv_decoder *csv, uint64_t ordinal, struct aq_slice record)
{
    return aq_csv_decode_of(csv, ordinal, record, record);
}

static enum aq_status split_header(struct aq_csv_decoder *csv, struct aq_slice header,
                                   struct aq_error *err)
{
    if (!aq_utf8_valid(header))
        return aq_error_set(err, AQ_INVALID, "the header is not UTF-8");
    csv->column_count = count_cells(header);
    if (csv->column_count > FIELDS_MAX)
        return aq_error_set(err, AQ_LIMIT, "the header has %zu columns, more than %d",
                            csv->column_count, FIELDS_MAX);
    csv->names = aq_arena_alloc(&csv->arena, csv->column_count * sizeof *csv->names);
    csv->fields = aq_arena_alloc(&csv->arena, csv->column_count * sizeof *csv->fields);
    csv->named = aq_arena_alloc(&csv->arena, csv->column_count * sizeof *csv->named);
    uint8_t *text = aq_arena_alloc(&csv->arena, header.size);
    if (csv->names == NULL || csv->fields == NULL || csv->named == NULL || text == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "reading a CSV header: out of memory");
    const uint8_t *at = header.data;
    const uint8_t *end = header.data + header.size;
    for (size_t i = 0; i < csv->column_count; i++) {
        struct cell cell;
        const char *reason = split_cell(&at, end, &cell);
        if (reason != NULL)
            return aq_error_set(err, AQ_INVALID, "the header's column %zu: %s", i + 1, reason);
        if (cell.doubled)
            cell.text = undouble(cell.text, text);
        else if (cell.text.size > 0)
            memcpy(text, cell.text.data, cell.text.size);
        csv->names[i] = aq_slice_make(text, cell.text.size);
        text += cell.text.size;
        at += at < end;
    }
    return AQ_OK;
}

static void append_text(struct aq_bytes *out, const char *text)
{
    aq_bytes_append(out, text, strlen(text));
}

/* "a, b, c", cut where it is long. */
static const char *list_names(struct aq_csv_decoder *csv)
{
    struct aq_bytes list = {0};
    for (size_t i = 0; i < csv->column_count; i++) {
        if (list.size + csv->names[i].size > LISTED_BYTES_MAX) {
            append_text(&list, ", ...");
            break;
        }
        append_text(&list, i == 0 ? "" : ", ");
        aq_bytes_append(&list, csv->names[i].data, csv->names[i].size);
    }
    aq_bytes_u8(&list, '\0');
    const char *text = aq_arena_string(&csv->arena, list.failed ? "?" : (const char *)list.data);
    aq_bytes_deinit(&list);
    return text == NULL ? "?" : text;
}

/* A path names a column by its text as written, or as ["name"] where that would not parse as a path. */
static bool names_column(const struct aq_path *path, struct aq_slice name)
{
    return path->kind == AQ_PATH_VALUE &&
           (aq_slice_equal(path->text, name) ||
            (path->step_count == 1 && path->steps[0].member.data != NULL &&
             aq_slice_equal(path->steps[0].member, name)));
}

static enum aq_status map_columns(struct aq_csv_decoder *csv, struct aq_error *err)
{
    struct aq_decoder *decoder = csv->decoder;
    csv->next_field = aq_arena_alloc(&csv->arena, decoder->field_count * sizeof *csv->next_field);
    if (csv->next_field == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "reading a CSV header: out of memory");
    for (size_t column = 0; column < csv->column_count; column++) {
        csv->fields[column] = SIZE_MAX;
        csv->named[column] = false;
        for (size_t field = 0; field < decoder->field_count; field++) {
            if (!names_column(decoder->paths[field], csv->names[column]))
                continue;
            for (size_t before = 0; before < column; before++) {
                if (aq_slice_equal(csv->names[before], csv->names[column]))
                    return aq_error_set(err, AQ_INVALID,
                                        "the header has two columns named '%.*s', so the path is "
                                        "ambiguous: rename one of them",
                                        (int)csv->names[column].size,
                                        (const char *)csv->names[column].data);
            }
            csv->next_field[field] = csv->fields[column];
            csv->fields[column] = field;
            csv->named[column] = csv->named[column] || field < decoder->column_field_count;
        }
        csv->unnamed_count += !csv->named[column];
    }
    return AQ_OK;
}

/* Whether records have the field: in a column, or beside the record. */
static bool is_there(const struct aq_csv_decoder *csv, size_t field)
{
    enum aq_path_kind kind = csv->decoder->paths[field]->kind;
    if (kind != AQ_PATH_VALUE)
        return kind == AQ_PATH_ARRIVAL || kind == AQ_PATH_SOURCE || csv->decoder->has_kafka;
    for (size_t i = 0; i < csv->column_count; i++) {
        if (names_column(csv->decoder->paths[field], csv->names[i]))
            return true;
    }
    return false;
}

static bool can_be_found(const struct aq_csv_decoder *csv, const struct aq_column_origin *origin)
{
    if (origin->kind != AQ_PATH_TEMPLATE)
        return origin->kind == AQ_PATH_REST || is_there(csv, origin->field);
    for (size_t i = 0; i < origin->part_count; i++) {
        if (origin->parts[i].field != SIZE_MAX && !is_there(csv, origin->parts[i].field))
            return false;
    }
    return true;
}

static bool is_missing(const struct aq_csv_decoder *csv, const struct aq_column_plan *plan)
{
    if (plan->config == NULL || plan->config->has_default)
        return false;
    for (size_t i = 0; i < plan->origin_count; i++) {
        if (can_be_found(csv, &plan->origins[i]))
            return false;
    }
    return true;
}

/* A column that the header lacks is null in this file, which is worth a notice; one that must have a
 * value would make every record a reject, which is worth an error. */
static enum aq_status check_columns(struct aq_csv_decoder *csv, const char **notice,
                                    struct aq_error *err)
{
    const struct aq_schema *schema = csv->decoder->schema;
    struct aq_bytes missing = {0};
    enum aq_status status = AQ_OK;
    *notice = NULL;
    for (size_t i = 0; i < schema->column_count; i++) {
        const struct aq_column_plan *plan = &csv->decoder->plans[i];
        if (!is_missing(csv, plan))
            continue;
        if (plan->not_null) {
            aq_bytes_deinit(&missing);
            return aq_error_set(
                err, AQ_INVALID,
                "column '%s' needs a value, but the header lacks '%.*s'; it has: %s",
                plan->column->name, (int)plan->origins[0].path.size,
                (const char *)plan->origins[0].path.data, list_names(csv));
        }
        append_text(&missing, missing.size == 0 ? "" : ", ");
        append_text(&missing, plan->column->name);
    }
    if (csv->unnamed_count == csv->column_count && missing.size > 0)
        status =
            aq_error_set(err, AQ_INVALID, "none of the declared paths is in the header; it has: %s",
                         list_names(csv));
    else if (missing.size > 0)
        *notice = aq_arena_format(&csv->arena, "not in the header, so null: %.*s",
                                  (int)missing.size, (const char *)missing.data);
    aq_bytes_deinit(&missing);
    return status;
}

enum aq_status aq_csv_decoder_create(struct aq_decoder *decoder, struct aq_slice header,
                                     struct aq_csv_decoder **csv, const char **notice,
                                     struct aq_error *err)
{
    struct aq_csv_decoder *made = calloc(1, sizeof *made);
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "making a CSV decoder: out of memory");
    made->decoder = decoder;
    enum aq_status status = split_header(made, header, err);
    if (status == AQ_OK)
        status = map_columns(made, err);
    if (status == AQ_OK)
        status = check_columns(made, notice, err);
    if (status < 0) {
        aq_csv_decoder_destroy(made);
        return status;
    }
    *csv = made;
    return AQ_OK;
}

void aq_csv_decoder_destroy(struct aq_csv_decoder *csv)
{
    if (csv == NULL)
        return;
    aq_bytes_deinit(&csv->rest);
    aq_arena_deinit(&csv->arena);
    free(csv);
}
