/* Arrow's IPC formats: the schema, then record batches, each behind its length; the file format has a magic before and a
 * footer behind the same stream, which says where the batches lie.
 *
 * Rows are copied into a batch and go to the sink when it is full. Failures: the sink's, memory, a type or a value
 * that is not written. */
#include "format/arrow/arrow_write.h"

#include <stdlib.h>

#include "format/arrow/arrow_message.h"

#define BATCH_ROWS_MAX ((size_t)65536)
#define BATCH_BYTES_MAX ((size_t)16 << 20)
#define MAGIC "ARROW1"
#define CONTINUATION UINT32_MAX
#define PREFIX_BYTES 8

struct aq_arrow_writer {
    struct aq_arrow_options options;
    struct aq_batch rows;
    struct aq_bytes head;
    struct aq_bytes body;
    struct aq_bytes blocks; /* struct aq_arrow_block */
    uint64_t offset;
};

static enum aq_status give(struct aq_arrow_writer *writer, const void *data, size_t size,
                           struct aq_error *err)
{
    AQ_TRY(writer->options.sink(writer->options.sink_context, data, size, err));
    writer->offset += size;
    return AQ_OK;
}

/* `head` with its length before it, filled up to whole words. */
static enum aq_status give_head(struct aq_arrow_writer *writer, struct aq_error *err)
{
    uint32_t prefix[2] = {CONTINUATION, 0};
    aq_bytes_align(&writer->head, AQ_ARROW_ALIGNMENT);
    if (aq_bytes_status(&writer->head) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to write Arrow");
    prefix[1] = (uint32_t)writer->head.size;
    AQ_TRY(give(writer, prefix, sizeof prefix, err));
    return give(writer, writer->head.data, writer->head.size, err);
}

static enum aq_status begin(struct aq_arrow_writer *writer, struct aq_error *err)
{
    const struct aq_arrow_options *options = &writer->options;
    size_t place;
    enum aq_status status =
        aq_columns_batch_init(options->columns, options->column_count, &writer->rows);
    if (status < 0)
        return aq_error_set(err, status, "no memory to write Arrow");
    aq_arrow_message(AQ_ARROW_SCHEMA, 0, &writer->head, &place);
    AQ_TRY(aq_arrow_schema(options->columns, options->column_count, place, &writer->head, err));
    if (!options->stream)
        AQ_TRY(give(writer, MAGIC "\0", PREFIX_BYTES, err));
    return give_head(writer, err);
}

enum aq_status aq_arrow_writer_create(const struct aq_arrow_options *options,
                                      struct aq_arrow_writer **writer, struct aq_error *err)
{
    *writer = calloc(1, sizeof **writer);
    if (*writer == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to write Arrow");
    (*writer)->options = *options;
    enum aq_status status = begin(*writer, err);
    if (status < 0) {
        aq_arrow_writer_destroy(*writer);
        *writer = NULL;
    }
    return status;
}

void aq_arrow_writer_destroy(struct aq_arrow_writer *writer)
{
    if (writer == NULL)
        return;
    aq_batch_deinit(&writer->rows);
    aq_bytes_deinit(&writer->head);
    aq_bytes_deinit(&writer->body);
    aq_bytes_deinit(&writer->blocks);
    free(writer);
}

static enum aq_status put_batch(struct aq_arrow_writer *writer, struct aq_error *err)
{
    struct aq_arrow_block block = {.offset = (int64_t)writer->offset};
    if (writer->rows.row_count == 0)
        return AQ_OK;
    AQ_TRY(aq_arrow_batch(&writer->rows, &writer->head, &writer->body, err));
    AQ_TRY(give_head(writer, err));
    AQ_TRY(give(writer, writer->body.data, writer->body.size, err));
    block.head_bytes = (int32_t)(PREFIX_BYTES + writer->head.size);
    block.body_bytes = (int64_t)writer->body.size;
    aq_bytes_append(&writer->blocks, &block, sizeof block);
    aq_batch_clear(&writer->rows);
    return AQ_OK;
}

enum aq_status aq_arrow_writer_append(struct aq_arrow_writer *writer, const struct aq_batch *batch,
                                      struct aq_error *err)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        if (aq_batch_append_row(&writer->rows, batch, row) < 0)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for a record batch");
        if (writer->rows.row_count >= BATCH_ROWS_MAX ||
            aq_batch_size_bytes(&writer->rows) >= BATCH_BYTES_MAX)
            AQ_TRY(put_batch(writer, err));
    }
    return AQ_OK;
}

static enum aq_status put_footer(struct aq_arrow_writer *writer, struct aq_error *err)
{
    struct aq_flat_field fields[] = {{0, 2, AQ_ARROW_VERSION}, {1, 4, 0}, {2, 4, 0}, {3, 4, 0}};
    struct aq_bytes *out = &writer->head;
    size_t places[4];
    aq_bytes_clear(out);
    aq_flat_table(out, aq_flat_begin(out), fields, 4, places);
    AQ_TRY(aq_arrow_schema(writer->options.columns, writer->options.column_count, places[1], out,
                           err));
    aq_flat_vector(out, places[2], 0, 8);
    aq_flat_vector(out, places[3], writer->blocks.size / sizeof(struct aq_arrow_block), 8);
    aq_bytes_append(out, writer->blocks.data, writer->blocks.size);
    aq_bytes_u32(out, (uint32_t)out->size);
    aq_bytes_chars(out, MAGIC);
    if (aq_bytes_status(out) < 0 || aq_bytes_status(&writer->blocks) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for the footer");
    return give(writer, out->data, out->size, err);
}

enum aq_status aq_arrow_writer_end(struct aq_arrow_writer *writer, struct aq_error *err)
{
    const uint32_t end[2] = {CONTINUATION, 0};
    AQ_TRY(put_batch(writer, err));
    AQ_TRY(give(writer, end, sizeof end, err));
    return writer->options.stream ? AQ_OK : put_footer(writer, err);
}
