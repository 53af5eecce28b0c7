/* A small table of facts, printed as a table or as JSON. */
#include "tools/output/forms/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"

#define COLUMNS_MAX 24

void aq_rows_init(struct aq_rows *rows, const struct aq_result_column *columns, size_t column_count)
{
    enum aq_type types[COLUMNS_MAX];
    *rows = (struct aq_rows){.columns = columns};
    for (size_t i = 0; i < column_count && i < COLUMNS_MAX; i++)
        types[i] = columns[i].type;
    rows->status =
        column_count <= COLUMNS_MAX ? aq_batch_init(&rows->batch, column_count, types) : AQ_LIMIT;
}

void aq_rows_deinit(struct aq_rows *rows)
{
    aq_batch_deinit(&rows->batch);
}

static struct aq_vector *next_column(struct aq_rows *rows)
{
    if (rows->status < 0)
        return NULL;
    struct aq_vector *vector = &rows->batch.columns[rows->next];
    rows->next = (rows->next + 1) % rows->batch.column_count;
    if (rows->next == 0)
        rows->batch.row_count++;
    return vector;
}

void aq_rows_slice(struct aq_rows *rows, struct aq_slice text)
{
    struct aq_vector *vector = next_column(rows);
    if (vector == NULL)
        return;
    void *copy = aq_arena_copy(&rows->batch.arena, text.data, text.size);
    rows->status = copy == NULL ? AQ_NO_MEMORY
                                : aq_vector_append_slice(vector, aq_slice_make(copy, text.size));
}

void aq_rows_text(struct aq_rows *rows, const char *text)
{
    aq_rows_slice(rows, aq_slice_of(text));
}

void aq_rows_int(struct aq_rows *rows, int64_t value)
{
    struct aq_vector *vector = next_column(rows);
    if (vector != NULL)
        rows->status = aq_vector_append_int(vector, value);
}

void aq_rows_count(struct aq_rows *rows, uint64_t value)
{
    aq_rows_int(rows, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void aq_rows_real(struct aq_rows *rows, double value)
{
    struct aq_vector *vector = next_column(rows);
    if (vector != NULL)
        rows->status = aq_vector_append_double(vector, value);
}

void aq_rows_null(struct aq_rows *rows)
{
    struct aq_vector *vector = next_column(rows);
    if (vector != NULL)
        rows->status = aq_vector_append_null(vector);
}

void aq_rows_time(struct aq_rows *rows, bool known, int64_t time_us)
{
    if (known)
        aq_rows_int(rows, time_us);
    else
        aq_rows_null(rows);
}

static bool is_size(const char *name)
{
    size_t length = strlen(name);
    return strcmp(name, "bytes") == 0 || (length > 6 && strcmp(name + length - 6, "_bytes") == 0);
}

static enum aq_status human_text(void *context, const struct aq_vector *vector, size_t row,
                                 struct aq_bytes *out)
{
    const struct aq_rows *rows = context;
    const struct aq_result_column *column = &rows->columns[vector - rows->batch.columns];
    char text[AQ_HUMAN_BYTES_MAX];
    if (vector->type == AQ_TYPE_BIGINT && vector->ints[row] >= 0) {
        uint64_t value = (uint64_t)vector->ints[row];
        aq_bytes_chars(out, is_size(column->name) ? aq_human_size(value, text)
                                                  : aq_human_count(value, text));
        return AQ_OK;
    }
    if (vector->type == AQ_TYPE_DOUBLE) {
        snprintf(text, sizeof(text), "%.2f", vector->doubles[row]);
        aq_bytes_chars(out, text);
        return AQ_OK;
    }
    return aq_value_text_plain(NULL, vector, row, out);
}

static enum aq_status rows_status(const struct aq_rows *rows, struct aq_error *err)
{
    if (rows->status < 0)
        return aq_error_set(err, rows->status, "cannot list the result: %s",
                            aq_status_text(rows->status));
    return AQ_OK;
}

enum aq_status aq_rows_print(struct aq_rows *rows, struct aq_out *stream, struct aq_error *err)
{
    AQ_TRY(rows_status(rows, err));
    struct aq_output_options options = {.form = AQ_OUTPUT_TABLE,
                                        .stream = stream,
                                        .column_count = rows->batch.column_count,
                                        .columns = rows->columns,
                                        .value_text = human_text,
                                        .value_context = rows};
    struct aq_output *output = NULL;
    AQ_TRY(aq_output_create(&options, &output, err));
    enum aq_status status = aq_output_batch(output, &rows->batch, err);
    if (status >= 0)
        status = aq_output_end(output, -1, err);
    aq_output_destroy(output);
    return status;
}

static enum aq_status json_row(const struct aq_rows *rows, size_t row, struct aq_bytes *out)
{
    struct aq_bytes text = {0};
    enum aq_status status = AQ_OK;
    aq_json_name(out, NULL);
    aq_json_open(out, '{');
    for (size_t i = 0; i < rows->batch.column_count && status >= 0; i++) {
        const struct aq_vector *vector = &rows->batch.columns[i];
        aq_json_name(out, rows->columns[i].name);
        aq_bytes_clear(&text);
        if (aq_vector_is_null(vector, row))
            aq_bytes_chars(out, "null");
        else if ((status = aq_value_text_plain(NULL, vector, row, &text)) >= 0)
            aq_json_put_value(vector->type, aq_bytes_view(&text), out);
    }
    aq_json_close(out, '}');
    aq_bytes_deinit(&text);
    return status;
}

enum aq_status aq_rows_json(struct aq_rows *rows, const char *name, struct aq_bytes *out,
                            struct aq_error *err)
{
    enum aq_status status = rows_status(rows, err);
    aq_json_name(out, name);
    aq_json_open(out, '[');
    for (size_t row = 0; row < rows->batch.row_count && status >= 0; row++)
        status = json_row(rows, row, out);
    aq_json_close(out, ']');
    return status;
}

enum aq_status aq_rows_report(struct aq_rows *rows, const char *name, bool json,
                              struct aq_out *stream, struct aq_error *err)
{
    if (!json)
        return aq_rows_print(rows, stream, err);
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    enum aq_status status = aq_rows_json(rows, name, &out, err);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(stream, &out);
    aq_bytes_deinit(&out);
    return status;
}
