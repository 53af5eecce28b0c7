/* Steps 1 to 3 of a message's way, for a Parquet file (docs/import.md, "Parquet").
 *
 * Happy path: the whole file is hashed once, since its footer stands at its end; what is compressed or comes by a pipe is
 * kept in an unnamed file meanwhile. Then its row groups are read column by column, row by row; a message is a row, and a
 * position a number of rows of this very file: every frame names the hash of the whole.
 * Failures: as import_file.c; a damaged page ends the import behind the rows before it. */
#include "engine/ingest/file/import_parquet.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/ingest/decode/decode_parquet.h"
#include "engine/ingest/file/read/page_unpack.h"

struct aq_parquet_import {
    struct aq_import *import;
    struct aq_parquet_input input;
    struct aq_parquet_footer footer;
    struct aq_parquet_decoder *decoder;
    struct aq_parquet_cursor **cursors; /* one a leaf; NULL: nested, or no row group is open */
    struct aq_parquet_value *values;
    size_t memory_left;
    uint64_t row_ordinal;
    struct aq_arena arena;
};

static enum aq_status read_at(void *context, uint64_t offset, void *buffer, size_t size,
                              struct aq_error *err)
{
    return aq_source_file_read_at(context, offset, buffer, size, err);
}

/* All bytes pass through the stream's hash. */
static enum aq_status hash_all(struct aq_import *import, struct aq_error *err)
{
    struct aq_stream *stream = &import->stream;
    while (!stream->ended) {
        aq_stream_take(stream, stream->end - stream->begin);
        AQ_TRY(aq_stream_fill(stream, err));
        if (aq_importer_is_stopped(import->importer))
            return aq_error_set(err, AQ_INTERRUPTED, "stopped before the first row");
    }
    aq_stream_take(stream, stream->end - stream->begin);
    return AQ_OK;
}

static enum aq_status out_of_memory(struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "reading a Parquet file: out of memory");
}

static enum aq_status open_file(struct aq_parquet_import *parquet, struct aq_error *err)
{
    struct aq_import *import = parquet->import;
    const char *notice = NULL;
    aq_source_file_keep(import->source);
    AQ_TRY(hash_all(import, err));
    parquet->memory_left = (size_t)import->importer->options->config->ingest_memory_bytes;
    parquet->input = (struct aq_parquet_input){.context = import->source,
                                               .size_bytes = import->stream.offset,
                                               .read = read_at,
                                               .unpack = aq_page_unpack,
                                               .memory_bytes = parquet->memory_left};
    AQ_TRY(aq_parquet_footer_read(&parquet->input, &parquet->arena, &parquet->footer, err));
    size_t count = parquet->footer.leaf_count;
    parquet->cursors = calloc(count + 1, sizeof *parquet->cursors);
    parquet->values = calloc(count + 1, sizeof *parquet->values);
    if (parquet->cursors == NULL || parquet->values == NULL)
        return out_of_memory(err);
    AQ_TRY(aq_parquet_decoder_create(import->importer->decoder, &parquet->footer, &parquet->decoder,
                                     &notice, err));
    if (notice != NULL)
        aq_importer_notice(import->importer, "%s: %s", import->path, notice);
    return AQ_OK;
}

enum aq_status aq_parquet_import_open(struct aq_import *import, struct aq_parquet_import **opened,
                                      struct aq_error *err)
{
    struct aq_parquet_import *parquet = calloc(1, sizeof *parquet);
    if (parquet == NULL)
        return out_of_memory(err);
    parquet->import = import;
    *opened = parquet;
    enum aq_status status = open_file(parquet, err);
    return status < 0 ? aq_error_locate(err, status, import->path, -1) : AQ_OK;
}

static void close_group(struct aq_parquet_import *parquet)
{
    for (size_t i = 0; parquet->cursors != NULL && i < parquet->footer.leaf_count; i++) {
        aq_parquet_cursor_close(parquet->cursors[i]);
        parquet->cursors[i] = NULL;
    }
}

void aq_parquet_import_close(struct aq_parquet_import *parquet)
{
    if (parquet == NULL)
        return;
    close_group(parquet);
    aq_parquet_decoder_destroy(parquet->decoder);
    free(parquet->cursors);
    free(parquet->values);
    aq_arena_deinit(&parquet->arena);
    free(parquet);
}

static enum aq_status open_group(struct aq_parquet_import *parquet,
                                 const struct aq_parquet_group *group, struct aq_error *err)
{
    for (size_t i = 0; i < parquet->footer.leaf_count; i++) {
        const struct aq_parquet_leaf *leaf = &parquet->footer.leaves[i];
        if (!leaf->nested)
            AQ_TRY(aq_parquet_cursor_open(&parquet->input, leaf, &group->chunks[i],
                                          group->row_count, &parquet->memory_left,
                                          &parquet->cursors[i], err));
    }
    return AQ_OK;
}

/* A row; decoded if it is not in the store yet. */
static enum aq_status take_row(struct aq_parquet_import *parquet, struct aq_error *err)
{
    struct aq_import *import = parquet->import;
    size_t reject_count = import->importer->decoder->rejects.row_count;
    for (size_t i = 0; i < parquet->footer.leaf_count; i++)
        if (parquet->cursors[i] != NULL)
            AQ_TRY(aq_parquet_cursor_next(parquet->cursors[i], &parquet->values[i], err));
    if (parquet->row_ordinal++ < import->ordinal)
        return AQ_OK;
    enum aq_status status = aq_parquet_decode(parquet->decoder, import->ordinal, parquet->values);
    return aq_import_note_decoded(import, status, reject_count, err);
}

static enum aq_status take_group(struct aq_parquet_import *parquet,
                                 const struct aq_parquet_group *group, struct aq_error *err)
{
    struct aq_import *import = parquet->import;
    if (parquet->row_ordinal + group->row_count <= import->ordinal) {
        parquet->row_ordinal += group->row_count;
        return AQ_OK;
    }
    AQ_TRY(open_group(parquet, group, err));
    for (uint64_t row = 1; row <= group->row_count; row++) {
        AQ_TRY(take_row(parquet, err));
        import->bytes_done = (uint64_t)((aq_uint128)import->bytes_total * parquet->row_ordinal /
                                        parquet->footer.row_count);
        AQ_TRY(aq_import_pace(import, row, err));
    }
    close_group(parquet);
    return AQ_OK;
}

enum aq_status aq_parquet_import_run(struct aq_parquet_import *parquet, struct aq_error *err)
{
    parquet->import->bytes_total = parquet->input.size_bytes;
    for (size_t i = 0; i < parquet->footer.group_count; i++) {
        struct aq_error why = {.offset = -1};
        enum aq_status status = take_group(parquet, &parquet->footer.groups[i], &why);
        if (status == AQ_CORRUPT || status == AQ_LIMIT || status == AQ_UNSUPPORTED)
            return aq_error_set_at(err, status, parquet->import->path, why.offset,
                                   "row group %zu, row %" PRIu64 ": %.600s", i,
                                   parquet->row_ordinal, why.message);
        if (status < 0 && err != NULL)
            *err = why;
        AQ_TRY(status);
    }
    return AQ_END;
}
