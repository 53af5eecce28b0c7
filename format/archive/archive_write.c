/* Writing an archive: header, tiles, root, trailer, each given to the sink as soon as it is known.
 *
 * The root grows with every tile; its size is bounded, so the writer says when it is full and its
 * caller begins another file. Bytes depend on the rows alone: nothing of the clock, the machine or the
 * order in which an executor finished goes into them.
 *
 * Failures: the sink's, no memory, or AQ_LIMIT for a declaration that fills the root by itself. A
 * writer that failed is only good for destroying; the half-written file was never named. */
#include <assert.h>
#include <stdlib.h>

#include "format/archive/archive_layout.h"
#include "format/base/checksum.h"

/* What a tile adds to the root at most (keys are cut, see struct aq_tile_entry), and a column's
 * statistics. */
#define TILE_ENTRY_BYTES_MAX 256
#define STATS_BYTES_MAX 192
#define FIXED_BYTES_MAX 256

struct aq_archive_writer {
    struct aq_archive_options options;
    size_t column_count; /* stored, declared or not */
    uint64_t size_bytes; /* given to the sink */
    uint64_t row_count;
    uint64_t tile_count;
    bool without_twins;
    uint32_t incompatible; /* features of the tiles so far */
    struct aq_content_hash content;
    struct aq_stats_total *totals;
    struct aq_bytes schema; /* coded */
    struct aq_bytes tiles;  /* the root's list of them */
    struct aq_encode_scratch scratch;
};

static enum aq_status emit(struct aq_archive_writer *writer, const struct aq_bytes *bytes,
                           struct aq_error *err)
{
    AQ_TRY(writer->options.sink(writer->options.sink_context, bytes->data, bytes->size, err));
    writer->size_bytes += bytes->size;
    return AQ_OK;
}

static enum aq_status out_of_memory(struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "out of memory writing an archive");
}

/* Emit bytes that end with their own checksum, then release them. */
static enum aq_status emit_sealed(struct aq_archive_writer *writer, struct aq_bytes *bytes,
                                  struct aq_error *err)
{
    if (!bytes->failed)
        aq_bytes_u64(bytes, aq_checksum(bytes->data, bytes->size));
    enum aq_status status = bytes->failed ? out_of_memory(err) : emit(writer, bytes, err);
    aq_bytes_deinit(bytes);
    return status;
}

static enum aq_status write_header(struct aq_archive_writer *writer, struct aq_error *err)
{
    struct aq_bytes header = {0};
    aq_preamble_append(&header, AQ_ARCHIVE_MAGIC, AQ_ARCHIVE_VERSION);
    aq_bytes_append(&header, writer->options.store_id.bytes, sizeof writer->options.store_id.bytes);
    aq_bytes_append_zeros(&header, AQ_ARCHIVE_HEADER_AT_CHECKSUM - AQ_ARCHIVE_HEADER_AT_ZERO);
    return emit_sealed(writer, &header, err);
}

static size_t root_size_max(const struct aq_archive_writer *writer)
{
    return FIXED_BYTES_MAX + writer->schema.size + writer->tiles.size +
           writer->column_count * STATS_BYTES_MAX;
}

bool aq_archive_writer_full(const struct aq_archive_writer *writer)
{
    return root_size_max(writer) + TILE_ENTRY_BYTES_MAX > AQ_ARCHIVE_ROOT_BYTES_MAX;
}

enum aq_status aq_archive_writer_create(const struct aq_archive_options *options,
                                        struct aq_archive_writer **writer, struct aq_error *err)
{
    const struct aq_schema *schema = options->schema;
    struct aq_archive_writer *made = calloc(1, sizeof *made);
    *writer = NULL;
    if (made == NULL)
        return out_of_memory(err);
    made->options = *options;
    made->column_count = aq_schema_stored_count(schema);
    made->totals = calloc(made->column_count + 1, sizeof *made->totals);
    aq_schema_encode(schema, &made->schema);
    enum aq_status status = AQ_OK;
    if (made->totals == NULL || made->schema.failed)
        status = out_of_memory(err);
    else if (aq_archive_writer_full(made))
        status =
            aq_error_set(err, AQ_LIMIT,
                         "dataset \"%s\" has too many columns (%zu) for the root of an archive; "
                         "declare fewer columns, or shorter names",
                         schema->dataset, schema->column_count);
    else
        status = write_header(made, err);
    if (status == AQ_OK)
        *writer = made;
    else
        aq_archive_writer_destroy(made);
    return status;
}

void aq_archive_writer_destroy(struct aq_archive_writer *writer)
{
    if (writer == NULL)
        return;
    free(writer->totals);
    aq_bytes_deinit(&writer->schema);
    aq_bytes_deinit(&writer->tiles);
    aq_encode_scratch_deinit(&writer->scratch);
    free(writer);
}

void aq_archive_writer_say_without_twins(struct aq_archive_writer *writer)
{
    writer->without_twins = true;
}

uint64_t aq_archive_writer_size(const struct aq_archive_writer *writer)
{
    return writer->size_bytes;
}

void aq_span_encode(bool known, int64_t min_us, int64_t max_us, struct aq_bytes *out)
{
    aq_bytes_u8(out, known);
    if (!known)
        return;
    aq_bytes_varint_signed(out, min_us);
    aq_bytes_varint(out, (uint64_t)max_us - (uint64_t)min_us);
}

static void list_tile(struct aq_archive_writer *writer, const struct aq_tile_output *tile)
{
    const struct aq_schema *schema = writer->options.schema;
    const struct aq_tile_entry *entry = &tile->entry;
    struct aq_bytes *out = &writer->tiles;
    uint64_t size = 0;
    for (size_t i = 0; i < tile->chunk_count; i++)
        size += tile->chunks[i].size;
    aq_bytes_varint(out, size / AQ_ARCHIVE_ALIGNMENT);
    aq_bytes_varint(out, entry->directory_size_bytes / AQ_ARCHIVE_ALIGNMENT);
    aq_bytes_u64(out, entry->directory_checksum);
    aq_bytes_varint(out, entry->row_count);
    aq_span_encode(entry->has_time, entry->min_time_us, entry->max_time_us, out);
    if (schema->key_column == AQ_COLUMN_NONE)
        return;
    aq_bytes_slice(out, entry->key_min);
    aq_bytes_slice(out, entry->key_max);
}

struct aq_archive_tile {
    struct aq_tile_output output;
    struct aq_content_hash content;
};

static enum aq_status encode_tile(const struct aq_archive_options *options,
                                  const struct aq_batch *rows, struct aq_encode_scratch *scratch,
                                  struct aq_archive_tile **tile, struct aq_error *err)
{
    size_t column_count = aq_schema_stored_count(options->schema);
    assert(rows->row_count > 0 && rows->row_count <= AQ_TILE_ROWS_MAX);
    assert(rows->column_count >= column_count);
    struct aq_archive_tile *made = calloc(1, sizeof *made);
    *tile = NULL;
    if (made == NULL)
        return out_of_memory(err);
    enum aq_status status = aq_tile_encode(options, rows, scratch, &made->output, err);
    if (status == AQ_OK && !options->unhashed &&
        aq_batch_content_hash(rows, column_count, &made->content) != AQ_OK)
        status = out_of_memory(err);
    if (status < 0)
        aq_archive_tile_destroy(made);
    else
        *tile = made;
    return status;
}

enum aq_status aq_archive_tile_encode(const struct aq_archive_options *options,
                                      const struct aq_batch *rows, struct aq_archive_tile **tile,
                                      struct aq_error *err)
{
    struct aq_encode_scratch scratch = {0};
    enum aq_status status = encode_tile(options, rows, &scratch, tile, err);
    aq_encode_scratch_deinit(&scratch);
    return status;
}

void aq_archive_tile_destroy(struct aq_archive_tile *tile)
{
    if (tile == NULL)
        return;
    aq_tile_output_deinit(&tile->output);
    free(tile);
}

const struct aq_tile_entry *aq_archive_tile_entry(const struct aq_archive_tile *tile)
{
    return &tile->output.entry;
}

enum aq_status aq_archive_writer_append(struct aq_archive_writer *writer,
                                        const struct aq_archive_tile *tile, struct aq_error *err)
{
    const struct aq_tile_output *output = &tile->output;
    for (size_t i = 0; i < output->chunk_count; i++)
        AQ_TRY(emit(writer, &output->chunks[i], err));
    AQ_TRY(emit(writer, &output->directory, err));
    list_tile(writer, output);
    if (writer->tiles.failed)
        return out_of_memory(err);
    for (size_t i = 0; i < writer->column_count; i++)
        aq_stats_total_add(aq_schema_stored_column(writer->options.schema, i).type,
                           &writer->totals[i], &output->stats[i]);
    aq_content_hash_add(&writer->content, &tile->content);
    writer->row_count += output->entry.row_count;
    writer->tile_count++;
    writer->incompatible |= (output->has_sections ? AQ_ARCHIVE_WITH_SECTIONS : 0) | output->late |
                            (output->leaders != NULL ? AQ_ARCHIVE_WITH_FOLLOWERS : 0);
    return AQ_OK;
}

enum aq_status aq_archive_writer_tile(struct aq_archive_writer *writer, const struct aq_batch *rows,
                                      struct aq_error *err)
{
    struct aq_archive_tile *tile;
    AQ_TRY(encode_tile(&writer->options, rows, &writer->scratch, &tile, err));
    enum aq_status status = aq_archive_writer_append(writer, tile, err);
    aq_archive_tile_destroy(tile);
    return status;
}

/* The root as docs/archive-format.md, "Root", has it. Its size must be known before its bytes: the file's
 * size is one of its fields, and fixed in width. */
static void build_root(const struct aq_archive_writer *writer, struct aq_bytes *out)
{
    const struct aq_schema *schema = writer->options.schema;
    aq_preamble_append(out, AQ_ARCHIVE_ROOT_MAGIC, AQ_ARCHIVE_VERSION);
    aq_bytes_append(out, writer->options.store_id.bytes, sizeof writer->options.store_id.bytes);
    aq_bytes_u64(out, 0);
    aq_bytes_u64(out, writer->row_count);
    aq_bytes_u32(out, 0);
    aq_bytes_slice(out, aq_bytes_view(&writer->schema));
    aq_bytes_varint(out, writer->tile_count);
    aq_bytes_append(out, writer->tiles.data, writer->tiles.size);
    for (size_t i = 0; i < writer->column_count; i++)
        aq_stats_encode(aq_schema_stored_column(schema, i).type, &writer->totals[i].stats, out);
    if (out->failed)
        return;
    if (writer->without_twins)
        aq_bytes_patch_u32(out, AQ_PREAMBLE_AT_COMPATIBLE, AQ_ARCHIVE_WITHOUT_TWINS);
    aq_bytes_patch_u32(out, AQ_PREAMBLE_AT_INCOMPATIBLE, writer->incompatible);
    aq_bytes_patch_u32(out, AQ_ARCHIVE_ROOT_AT_BODY_SIZE,
                       (uint32_t)(out->size - AQ_ARCHIVE_ROOT_AT_BODY));
    /* The checksum ends the root, and with it the last 64 bytes. */
    aq_bytes_append_zeros(out, 8);
    aq_bytes_align(out, AQ_ARCHIVE_ALIGNMENT);
    if (out->failed)
        return;
    out->size -= 8;
    aq_bytes_patch_u64(out, AQ_ARCHIVE_ROOT_AT_FILE_SIZE,
                       writer->size_bytes + out->size + 8 + AQ_ARCHIVE_TRAILER_BYTES);
    aq_bytes_u64(out, aq_checksum(out->data, out->size));
}

static enum aq_status write_trailer(struct aq_archive_writer *writer, uint64_t root_offset,
                                    uint32_t root_size, struct aq_error *err)
{
    struct aq_bytes trailer = {0};
    aq_preamble_append(&trailer, AQ_ARCHIVE_TRAILER_MAGIC, AQ_ARCHIVE_VERSION);
    aq_bytes_u64(&trailer, root_offset);
    aq_bytes_u32(&trailer, root_size);
    aq_bytes_append_zeros(&trailer, AQ_ARCHIVE_TRAILER_AT_CHECKSUM - AQ_ARCHIVE_TRAILER_AT_ZERO);
    return emit_sealed(writer, &trailer, err);
}

enum aq_status aq_archive_writer_finish(struct aq_archive_writer *writer, struct aq_bytes *root,
                                        struct aq_content_hash *content, struct aq_error *err)
{
    struct aq_bytes own = {0};
    uint64_t root_offset = writer->size_bytes;
    build_root(writer, &own);
    enum aq_status status = AQ_OK;
    if (own.failed)
        status = out_of_memory(err);
    else if (own.size > AQ_ARCHIVE_ROOT_BYTES_MAX)
        status = aq_error_set(err, AQ_LIMIT, "the root of an archive takes %zu bytes, more than %d",
                              own.size, AQ_ARCHIVE_ROOT_BYTES_MAX);
    else
        status = emit(writer, &own, err);
    if (status == AQ_OK)
        status = write_trailer(writer, root_offset, (uint32_t)own.size, err);
    if (status == AQ_OK && root != NULL) {
        aq_bytes_append(root, own.data, own.size);
        status = root->failed ? out_of_memory(err) : AQ_OK;
    }
    if (content != NULL)
        *content = writer->content;
    aq_bytes_deinit(&own);
    return status;
}
