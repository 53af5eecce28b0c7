/* JSON: an array of objects, a row a line. NDJSON: the same rows without the brackets and commas. */
#include "tools/output/text/json_print.h"
#include "tools/output/forms/output_forms.h"

static enum aq_status write_row(struct aq_output *output, const struct aq_batch *batch, size_t row,
                                struct aq_error *err)
{
    struct aq_bytes line = {0};
    enum aq_status status = AQ_OK;
    aq_json_open(&line, '{');
    for (size_t i = 0; i < output->options.column_count && status >= 0; i++) {
        const struct aq_result_column *column = &output->options.columns[i];
        const struct aq_vector *vector = &batch->columns[i];
        aq_json_name(&line, column->name);
        status = aq_output_value(output, vector, row, err);
        if (aq_vector_is_null(vector, row))
            aq_bytes_chars(&line, "null");
        else
            aq_json_put_value(column->type, aq_bytes_view(&output->text), &line);
    }
    aq_json_close(&line, '}');
    if (status >= 0)
        aq_out_bytes(output->options.stream, &line);
    aq_bytes_deinit(&line);
    return status;
}

static enum aq_status json_begin(struct aq_output *output, struct aq_error *err)
{
    (void)err;
    aq_out_text(output->options.stream, "[");
    return AQ_OK;
}

static enum aq_status json_batch(struct aq_output *output, const struct aq_batch *batch,
                                 struct aq_error *err)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        aq_out_text(output->options.stream, output->row_count + row > 0 ? ",\n" : "\n");
        AQ_TRY(write_row(output, batch, row, err));
    }
    return AQ_OK;
}

static enum aq_status json_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    (void)seconds;
    (void)err;
    aq_out_text(output->options.stream, output->row_count > 0 ? "\n]\n" : "]\n");
    return AQ_OK;
}

const struct aq_output_ops aq_output_json_ops = {json_begin, json_batch, json_end};

static enum aq_status ndjson_begin(struct aq_output *output, struct aq_error *err)
{
    (void)output;
    (void)err;
    return AQ_OK;
}

static enum aq_status ndjson_batch(struct aq_output *output, const struct aq_batch *batch,
                                   struct aq_error *err)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        AQ_TRY(write_row(output, batch, row, err));
        aq_out_text(output->options.stream, "\n");
    }
    return AQ_OK;
}

static enum aq_status ndjson_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    (void)output;
    (void)seconds;
    (void)err;
    return AQ_OK;
}

const struct aq_output_ops aq_output_ndjson_ops = {ndjson_begin, ndjson_batch, ndjson_end};
