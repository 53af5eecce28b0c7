/* Parquet and Arrow: the binary forms. Batches go to their writers in format/ as they are, without the text form.
 * Arrow to a file is the file format, to a pipe the stream format, which needs no seeking.
 *
 * Failures: those of the writers; and a terminal, which has no use for such bytes. */
#include <stdlib.h>

#include "format/arrow/arrow_write.h"
#include "format/parquet/write/parquet_write.h"
#include "tools/output/forms/output_forms.h"
#include "tools/program.h"

static enum aq_status sink(void *context, const void *data, size_t size, struct aq_error *err)
{
    aq_out_write(context, data, size);
    return aq_out_status(context, err);
}

/* The result's columns, as the writers take them. */
static enum aq_status make_columns(struct aq_output *output, struct aq_error *err)
{
    const struct aq_output_options *options = &output->options;
    if (aq_out_is_terminal(options->stream))
        return aq_error_set(err, AQ_INVALID,
                            "these bytes are not for a terminal: write them to a file or a pipe");
    output->file_columns = calloc(options->column_count, sizeof *output->file_columns);
    if (output->file_columns == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to write the result");
    for (size_t i = 0; i < options->column_count; i++) {
        output->file_columns[i].name = options->columns[i].name;
        output->file_columns[i].type = options->columns[i].type;
    }
    return AQ_OK;
}

static enum aq_status parquet_begin(struct aq_output *output, struct aq_error *err)
{
    AQ_TRY(make_columns(output, err));
    struct aq_parquet_options options = {
        .column_count = output->options.column_count,
        .columns = output->file_columns,
        .created_by = "aqstore version " AQ_VERSION,
        .sink = sink,
        .sink_context = output->options.stream,
    };
    return aq_parquet_writer_create(&options, &output->parquet, err);
}

static enum aq_status parquet_batch(struct aq_output *output, const struct aq_batch *batch,
                                    struct aq_error *err)
{
    return aq_parquet_writer_append(output->parquet, batch, err);
}

static enum aq_status parquet_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    (void)seconds;
    return aq_parquet_writer_end(output->parquet, err);
}

const struct aq_output_ops aq_output_parquet_ops = {parquet_begin, parquet_batch, parquet_end};

static enum aq_status arrow_begin(struct aq_output *output, struct aq_error *err)
{
    AQ_TRY(make_columns(output, err));
    struct aq_arrow_options options = {
        .column_count = output->options.column_count,
        .columns = output->file_columns,
        .stream = !aq_out_is_file(output->options.stream),
        .sink = sink,
        .sink_context = output->options.stream,
    };
    return aq_arrow_writer_create(&options, &output->arrow, err);
}

static enum aq_status arrow_batch(struct aq_output *output, const struct aq_batch *batch,
                                  struct aq_error *err)
{
    return aq_arrow_writer_append(output->arrow, batch, err);
}

static enum aq_status arrow_end(struct aq_output *output, double seconds, struct aq_error *err)
{
    (void)seconds;
    return aq_arrow_writer_end(output->arrow, err);
}

const struct aq_output_ops aq_output_arrow_ops = {arrow_begin, arrow_batch, arrow_end};
