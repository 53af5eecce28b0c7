/* CSV as PostgreSQL's COPY writes it: a header, commas, "\n". A null is an empty field, an empty text is
 * "". A field is quoted when it holds a comma, a quote or a line end, or begins or ends with a
 * blank; a quote in it is doubled. */
#include "tools/output/forms/output_forms.h"

static bool needs_quotes(struct aq_slice text)
{
    if (text.size == 0 || text.data[0] == ' ' || text.data[text.size - 1] == ' ' ||
        aq_slice_equal(text, aq_slice_of("\\.")))
        return true;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == ',' || text.data[i] == '"' || text.data[i] == '\n' ||
            text.data[i] == '\r')
            return true;
    return false;
}

static void write_field(struct aq_out *stream, struct aq_slice text)
{
    if (!needs_quotes(text)) {
        aq_out_write(stream, text.data, text.size);
        return;
    }
    aq_out_text(stream, "\"");
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '"')
            continue;
        aq_out_write(stream, text.data + from, i + 1 - from);
        from = i; /* the quote once more */
    }
    aq_out_write(stream, text.data + from, text.size - from);
    aq_out_text(stream, "\"");
}

static enum aq_status csv_begin(struct aq_output *output, struct aq_error *err)
{
    (void)err;
    struct aq_out *stream = output->options.stream;
    for (size_t i = 0; i < output->options.column_count; i++) {
        aq_out_text(stream, i > 0 ? "," : "");
        write_field(stream, aq_slice_of(output->options.columns[i].name));
    }
    aq_out_text(stream, "\n");
    return AQ_OK;
}

static enum aq_status csv_batch(struct aq_output *output, const struct aq_batch *batch,
                                struct aq_error *err)
{
    struct aq_out *stream = output->options.stream;
    for (size_t row = 0; row < batch->row_count; row++) {
        for (size_t i = 0; i < output->options.column_count; i++) {
            const struct aq_vector *column = &batch->columns[i];
            aq_out_text(stream, i > 0 ? "," : "");
            AQ_TRY(aq_output_value(output, column, row, err));
            if (!aq_vector_is_null(column, row))
                write_field(stream, aq_bytes_view(&output->text));
        }
        aq_out_text(stream, "\n");
    }
    return AQ_OK;
}

static enum aq_status csv_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    (void)output;
    (void)seconds;
    (void)err;
    return AQ_OK;
}

const struct aq_output_ops aq_output_csv_ops = {csv_begin, csv_batch, csv_end};
