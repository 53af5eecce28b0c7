/* Step 2 of a message's way: a Parquet row to fields.
 *
 * Happy path: the file's columns serve paths as a CSV header's do (decode_csv.c). A value becomes the field that its text
 * would be in a file, so that null_values, map, scale and templates mean the same; numbers are written so that they read
 * back to the same bits, instants need no text but for columns that are none.
 * Failures: a row that does not fit is a reject like a record's. Its bytes are the row as a JSON object, which `rejects
 * replay` takes; they are made only then. */
#include "engine/ingest/decode/decode_parquet.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/text/json_index.h"

#define NUMBER_BYTES_MAX 80
#define DECIMAL_DIGITS_MAX 40

struct aq_parquet_decoder {
    struct aq_decoder *decoder;
    const struct aq_parquet_footer *footer;
    struct aq_csv_decoder *columns; /* which of them serves which path */
    struct aq_field *fields;        /* one a leaf */
    char (*texts)[NUMBER_BYTES_MAX];
    struct aq_bytes row; /* as JSON */
};

/* The names as a CSV header: all quoted. */
static void write_header(const struct aq_parquet_footer *footer, struct aq_bytes *header)
{
    for (size_t i = 0; i < footer->leaf_count; i++) {
        const struct aq_slice *name = &footer->leaves[i].name;
        aq_bytes_chars(header, i > 0 ? ",\"" : "\"");
        for (size_t at = 0; at < name->size; at++) {
            if (name->data[at] == '"')
                aq_bytes_u8(header, '"');
            aq_bytes_u8(header, name->data[at]);
        }
        aq_bytes_u8(header, '"');
    }
}

/* A path that leads to a nested column, or into a group: the group's name, or one that begins with it. */
static bool leads_into(const struct aq_path *path, struct aq_slice nested)
{
    size_t top = 0;
    while (top < nested.size && nested.data[top] != '.')
        top++;
    struct aq_slice text = path->text;
    return path->kind == AQ_PATH_VALUE && text.size >= top &&
           memcmp(text.data, nested.data, top) == 0 &&
           (text.size == top || text.data[top] == '.' || text.data[top] == '[');
}

static enum aq_status check_nested(const struct aq_decoder *decoder,
                                   const struct aq_parquet_footer *footer, struct aq_error *err)
{
    for (size_t i = 0; i < footer->leaf_count; i++) {
        const struct aq_parquet_leaf *leaf = &footer->leaves[i];
        for (size_t field = 0; leaf->nested && field < decoder->field_count; field++) {
            if (leads_into(decoder->paths[field], leaf->name))
                return aq_error_set(err, AQ_UNSUPPORTED,
                                    "column '%.*s' lies inside of a group or a list, which are not "
                                    "read: flatten it before",
                                    (int)leaf->name.size, (const char *)leaf->name.data);
        }
        if (leaf->nested && decoder->wants_rest)
            return aq_error_set(err, AQ_UNSUPPORTED,
                                "column '%.*s' lies inside of a group or a list, which are not "
                                "read, and a column `from: \"*\"` wants all: flatten it before",
                                (int)leaf->name.size, (const char *)leaf->name.data);
    }
    return AQ_OK;
}

enum aq_status aq_parquet_decoder_create(struct aq_decoder *decoder,
                                         const struct aq_parquet_footer *footer,
                                         struct aq_parquet_decoder **created, const char **notice,
                                         struct aq_error *err)
{
    struct aq_bytes header = {0};
    AQ_TRY(check_nested(decoder, footer, err));
    struct aq_parquet_decoder *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->decoder = decoder;
        made->footer = footer;
        made->fields = calloc(footer->leaf_count + 1, sizeof *made->fields);
        made->texts = calloc(footer->leaf_count + 1, sizeof *made->texts);
    }
    write_header(footer, &header);
    enum aq_status status = aq_bytes_status(&header);
    if (made == NULL || made->fields == NULL || made->texts == NULL)
        status = AQ_NO_MEMORY;
    if (status < 0)
        aq_error_set(err, status, "making a Parquet decoder: out of memory");
    else
        status =
            aq_csv_decoder_create(decoder, aq_bytes_view(&header), &made->columns, notice, err);
    aq_bytes_deinit(&header);
    if (status < 0) {
        aq_parquet_decoder_destroy(made);
        return status;
    }
    *created = made;
    return AQ_OK;
}

void aq_parquet_decoder_destroy(struct aq_parquet_decoder *parquet)
{
    if (parquet == NULL)
        return;
    aq_csv_decoder_destroy(parquet->columns);
    aq_bytes_deinit(&parquet->row);
    free(parquet->fields);
    free(parquet->texts);
    free(parquet);
}

/* The shortest of the usual lengths that reads back to the same bits. */
static int print_real(double value, char *text)
{
    if (isnan(value))
        return snprintf(text, NUMBER_BYTES_MAX, "NaN");
    if (isinf(value))
        return snprintf(text, NUMBER_BYTES_MAX, value < 0 ? "-Infinity" : "Infinity");
    int size = 0;
    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(text, NUMBER_BYTES_MAX, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return size;
}

static int print_decimal(aq_int128 value, uint32_t scale, char *text)
{
    char digits[DECIMAL_DIGITS_MAX];
    size_t count = 0;
    int size = 0;
    aq_uint128 left = value < 0 ? -(aq_uint128)value : (aq_uint128)value;
    while (left > 0 || count <= scale) {
        digits[count++] = (char)('0' + (int)(left % 10));
        left /= 10;
    }
    if (value < 0)
        text[size++] = '-';
    while (count > 0) {
        text[size++] = digits[--count];
        if (count == scale && scale > 0)
            text[size++] = '.';
    }
    return size;
}

static int print_instant(int64_t time_us, char *text)
{
    return (int)aq_time_format(time_us, aq_zone_utc(), text, NUMBER_BYTES_MAX);
}

/* "2025-02-14 13:00:00.5" without a zone, so that the column's own counts; " BC" may follow. */
static int print_civil(int64_t time_us, char *text)
{
    static const char zone[] = "+00";
    int size = print_instant(time_us, text);
    text[size] = '\0';
    char *found = strstr(text, zone);
    if (found == NULL)
        return size;
    char *behind = found + strlen(zone);
    memmove(found, behind, strlen(behind) + 1);
    return size - (int)strlen(zone);
}

static int print_date(int64_t days, char *text)
{
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(days, &year, &month, &day);
    return snprintf(text, NUMBER_BYTES_MAX, "%04" PRId64 "-%02u-%02u%s", year > 0 ? year : 1 - year,
                    month, day, year > 0 ? "" : " BC");
}

static int print_time(int64_t us, char *text)
{
    int64_t seconds = us / AQ_US_PER_SECOND;
    return snprintf(text, NUMBER_BYTES_MAX, "%02" PRId64 ":%02d:%02d.%06d", seconds / 3600,
                    (int)(seconds / 60 % 60), (int)(seconds % 60), (int)(us % AQ_US_PER_SECOND));
}

static int print_uuid(struct aq_slice bytes, char *text)
{
    int size = 0;
    for (size_t i = 0; i < bytes.size; i++)
        size += snprintf(text + size, (size_t)(NUMBER_BYTES_MAX - size),
                         i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes.data[i]);
    return size;
}

static void set_text(struct aq_field *field, enum aq_field_kind kind, const char *text, int size)
{
    *field = (struct aq_field){.kind = kind, .text = aq_slice_make(text, (size_t)size)};
    if (kind == AQ_FIELD_NUMBER || kind == AQ_FIELD_BOOLEAN)
        field->json = field->text;
}

static void make_field(const struct aq_parquet_leaf *leaf, const struct aq_parquet_value *value,
                       char *text, struct aq_field *field)
{
    switch (leaf->kind) {
    case AQ_PARQUET_KIND_BOOLEAN:
        set_text(field, AQ_FIELD_BOOLEAN, value->integer != 0 ? "true" : "false",
                 value->integer != 0 ? 4 : 5);
        break;
    case AQ_PARQUET_KIND_INTEGER:
        set_text(field, AQ_FIELD_NUMBER, text,
                 snprintf(text, NUMBER_BYTES_MAX, "%" PRId64, value->integer));
        break;
    case AQ_PARQUET_KIND_UNSIGNED:
        set_text(field, AQ_FIELD_NUMBER, text,
                 snprintf(text, NUMBER_BYTES_MAX, "%" PRIu64, (uint64_t)value->integer));
        break;
    case AQ_PARQUET_KIND_REAL:
        set_text(field, isfinite(value->real) ? AQ_FIELD_NUMBER : AQ_FIELD_TEXT, text,
                 print_real(value->real, text));
        break;
    case AQ_PARQUET_KIND_DECIMAL:
        set_text(field, AQ_FIELD_NUMBER, text, print_decimal(value->decimal, leaf->scale, text));
        break;
    case AQ_PARQUET_KIND_TIMESTAMP:
        if (leaf->is_utc)
            set_text(field, AQ_FIELD_TIME, text, print_instant(value->integer, text));
        else
            set_text(field, AQ_FIELD_TEXT, text, print_civil(value->integer, text));
        field->time_us = value->integer;
        break;
    case AQ_PARQUET_KIND_DATE:
        set_text(field, AQ_FIELD_TEXT, text, print_date(value->integer, text));
        break;
    case AQ_PARQUET_KIND_TIME:
        set_text(field, AQ_FIELD_TEXT, text, print_time(value->integer, text));
        break;
    case AQ_PARQUET_KIND_UUID:
        set_text(field, AQ_FIELD_TEXT, text, print_uuid(value->bytes, text));
        break;
    case AQ_PARQUET_KIND_TEXT:
    case AQ_PARQUET_KIND_BYTES:
        *field = (struct aq_field){.kind = AQ_FIELD_BYTES, .text = value->bytes};
        if (leaf->kind == AQ_PARQUET_KIND_TEXT && aq_utf8_valid(value->bytes))
            field->kind = AQ_FIELD_TEXT;
        break;
    }
}

/* The row as a JSON object. `head`: its first AQ_REJECT_HEAD_BYTES, about. */
static void write_row(struct aq_parquet_decoder *parquet, bool head)
{
    const struct aq_parquet_footer *footer = parquet->footer;
    struct aq_bytes *out = &parquet->row;
    aq_bytes_clear(out);
    for (size_t i = 0; i < footer->leaf_count; i++) {
        struct aq_field *field = &parquet->fields[i];
        if (footer->leaves[i].nested || (head && out->size >= AQ_REJECT_HEAD_BYTES))
            continue;
        if (head && field->text.size > AQ_REJECT_HEAD_BYTES)
            field->text.size = AQ_REJECT_HEAD_BYTES;
        aq_bytes_u8(out, out->size == 0 ? '{' : ',');
        aq_json_append_text(footer->leaves[i].name, out);
        aq_bytes_u8(out, ':');
        aq_field_append_json(field, out);
    }
    aq_bytes_chars(out, out->size == 0 ? "{}" : "}");
}

/* Rejects are made without bytes; those of the newest one are set here. */
static enum aq_status keep_row(struct aq_parquet_decoder *parquet)
{
    struct aq_batch *rejects = &parquet->decoder->rejects;
    write_row(parquet, false);
    AQ_TRY(aq_bytes_status(&parquet->row));
    void *copy = aq_arena_copy(&rejects->arena, parquet->row.data, parquet->row.size);
    if (copy == NULL)
        return AQ_NO_MEMORY;
    rejects->columns[AQ_REJECT_BYTES].slices[rejects->row_count - 1] =
        aq_slice_make(copy, parquet->row.size);
    return AQ_OK;
}

enum aq_status aq_parquet_decode(struct aq_parquet_decoder *parquet, uint64_t ordinal,
                                 const struct aq_parquet_value *values)
{
    struct aq_decoder *decoder = parquet->decoder;
    size_t reject_count = decoder->rejects.row_count;
    uint64_t size = 0;
    for (size_t i = 0; i < parquet->footer->leaf_count; i++) {
        struct aq_field *field = &parquet->fields[i];
        *field = (struct aq_field){.kind = AQ_FIELD_NULL};
        if (!parquet->footer->leaves[i].nested && !values[i].is_null)
            make_field(&parquet->footer->leaves[i], &values[i], parquet->texts[i], field);
        size += field->text.size;
    }
    if (size > AQ_RECORD_BYTES_MAX) {
        write_row(parquet, true);
        AQ_TRY(aq_bytes_status(&parquet->row));
        return aq_decoder_reject(decoder, AQ_REJECT_SIZE, ordinal, aq_bytes_view(&parquet->row),
                                 "longer than %zu MiB: %" PRIu64 " bytes of values, of which the "
                                 "first are kept",
                                 AQ_RECORD_BYTES_MAX >> 20, size);
    }
    AQ_TRY(aq_csv_decode_fields(parquet->columns, ordinal, parquet->fields));
    return decoder->rejects.row_count > reject_count ? keep_row(parquet) : AQ_OK;
}
