/* A Markdown table (GitHub's form): numbers to the right, '|' escaped, line ends as <br>. */
#include "tools/output/forms/output_forms.h"
#include "tools/output/text/utf8.h"

static void write_cell(struct aq_out *stream, struct aq_slice text)
{
    struct aq_bytes cell = {0};
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '\n')
            aq_bytes_chars(&cell, "<br>");
        else if (c == '|' || c == '\\')
            aq_bytes_append(&cell, (uint8_t[]){'\\', c}, 2);
        else if (c == '<')
            aq_bytes_chars(&cell, "&lt;");
        else if (c >= 0x20 || c == '\t')
            aq_bytes_u8(&cell, c);
    }
    aq_out_bytes(stream, &cell);
    aq_bytes_deinit(&cell);
}

static enum aq_status markdown_begin(struct aq_output *output, struct aq_error *err)
{
    (void)err;
    struct aq_out *stream = output->options.stream;
    for (size_t i = 0; i < output->options.column_count; i++) {
        aq_out_text(stream, i > 0 ? " | " : "| ");
        write_cell(stream, aq_slice_of(output->options.columns[i].name));
    }
    aq_out_text(stream, " |\n");
    for (size_t i = 0; i < output->options.column_count; i++) {
        bool number = aq_output_is_number(output->options.columns[i].type);
        aq_out_text(stream, i > 0 ? " | " : "| ");
        aq_out_text(stream, number ? "---:" : "---");
    }
    aq_out_text(stream, " |\n");
    return AQ_OK;
}

static enum aq_status markdown_batch(struct aq_output *output, const struct aq_batch *batch,
                                     struct aq_error *err)
{
    struct aq_out *stream = output->options.stream;
    for (size_t row = 0; row < batch->row_count; row++) {
        for (size_t i = 0; i < output->options.column_count; i++) {
            aq_out_text(stream, i > 0 ? " | " : "| ");
            AQ_TRY(aq_output_value(output, &batch->columns[i], row, err));
            write_cell(stream, aq_bytes_view(&output->text));
        }
        aq_out_text(stream, " |\n");
    }
    return AQ_OK;
}

static enum aq_status markdown_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    (void)output;
    (void)seconds;
    (void)err;
    return AQ_OK;
}

const struct aq_output_ops aq_output_markdown_ops = {markdown_begin, markdown_batch, markdown_end};
