/* An archive, from its own bytes: columns over the whole file, its tiles, and each chunk with how it is
 * encoded. */
#include "tools/inspect/inspect.h"

static const struct aq_result_column tile_columns[] = {
    {"tile", AQ_TYPE_BIGINT},  {"rows", AQ_TYPE_BIGINT},          {"runs", AQ_TYPE_BIGINT},
    {"bytes", AQ_TYPE_BIGINT}, {"bytes_per_row", AQ_TYPE_DOUBLE}, {"key_min", AQ_TYPE_TEXT},
    {"key_max", AQ_TYPE_TEXT}, {"oldest", AQ_TYPE_TIMESTAMPTZ},   {"newest", AQ_TYPE_TIMESTAMPTZ},
};

static const struct aq_result_column chunk_columns[] = {
    {"tile", AQ_TYPE_BIGINT},   {"column", AQ_TYPE_TEXT},   {"type", AQ_TYPE_TEXT},
    {"offset", AQ_TYPE_BIGINT}, {"bytes", AQ_TYPE_BIGINT},  {"bytes_per_row", AQ_TYPE_DOUBLE},
    {"nulls", AQ_TYPE_BIGINT},  {"encoding", AQ_TYPE_TEXT},
};

struct walk {
    const struct aq_store_file *file;
    struct aq_archive_view view;
    struct aq_rows tiles;
    struct aq_rows chunks;
};

static enum aq_status add_chunk(struct walk *walk, size_t tile, uint32_t row_count,
                                const struct aq_chunk_entry *chunk, struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    char encoding[256] = "";
    const struct aq_schema *schema = &walk->view.root.schema;
    struct aq_column column =
        aq_schema_stored_column(schema, aq_schema_stored_find(schema, chunk->column_id));
    enum aq_status status =
        aq_store_file_read(walk->file, chunk->offset, chunk->size_bytes, &bytes, err);
    if (status >= 0)
        status = aq_error_locate(
            err, aq_chunk_describe(aq_bytes_view(&bytes), chunk, encoding, sizeof(encoding), err),
            walk->file->path, (int64_t)chunk->offset);
    aq_rows_count(&walk->chunks, tile);
    aq_rows_text(&walk->chunks, column.name);
    aq_rows_text(&walk->chunks, aq_type_name(chunk->type));
    aq_rows_count(&walk->chunks, chunk->offset);
    aq_rows_count(&walk->chunks, chunk->size_bytes);
    aq_rows_real(&walk->chunks, (double)chunk->size_bytes / (row_count > 0 ? row_count : 1));
    aq_rows_count(&walk->chunks, chunk->stats.null_count);
    aq_rows_text(&walk->chunks, encoding);
    aq_bytes_deinit(&bytes);
    return status;
}

static enum aq_status add_tile(struct walk *walk, size_t tile, struct aq_error *err)
{
    const struct aq_tile_entry *entry = &walk->view.root.tiles[tile];
    struct aq_tile_directory directory;
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    uint64_t size = entry->directory_size_bytes;
    enum aq_status status =
        aq_archive_file_directory(walk->file, &walk->view, tile, &bytes, &arena, &directory, err);
    for (size_t i = 0; status >= 0 && i < directory.chunk_count; i++) {
        size += directory.chunks[i].size_bytes;
        status = add_chunk(walk, tile, entry->row_count, &directory.chunks[i], err);
    }
    aq_rows_count(&walk->tiles, tile);
    aq_rows_count(&walk->tiles, entry->row_count);
    aq_rows_count(&walk->tiles, status >= 0 ? directory.run_count : 0);
    aq_rows_count(&walk->tiles, size);
    aq_rows_real(&walk->tiles, (double)size / (entry->row_count > 0 ? entry->row_count : 1));
    aq_rows_slice(&walk->tiles, entry->key_min);
    aq_rows_slice(&walk->tiles, entry->key_max);
    aq_rows_time(&walk->tiles, entry->has_time, entry->min_time_us);
    aq_rows_time(&walk->tiles, entry->has_time, entry->max_time_us);
    aq_bytes_deinit(&bytes);
    aq_arena_deinit(&arena);
    return status;
}

enum aq_status aq_inspect_archive(struct aq_inspect *inspect, const struct aq_store_file *file,
                                  struct aq_error *err)
{
    struct walk walk = {.file = file};
    const struct aq_archive_root *root = &walk.view.root;
    enum aq_status status = aq_archive_file_root(file, &walk.view, err);
    aq_rows_init(&walk.tiles, tile_columns, sizeof(tile_columns) / sizeof(tile_columns[0]));
    aq_rows_init(&walk.chunks, chunk_columns, sizeof(chunk_columns) / sizeof(chunk_columns[0]));
    for (size_t tile = 0; status >= 0 && tile < root->tile_count; tile++)
        status = add_tile(&walk, tile, err);
    if (status >= 0) {
        aq_inspect_text(inspect, "archive", file->path);
        aq_inspect_text(inspect, "dataset", root->schema.dataset);
        aq_inspect_count(inspect, "rows", root->row_count);
        aq_inspect_size(inspect, "bytes", file->size_bytes);
        status = aq_inspect_rows(inspect, "tiles", &walk.tiles, err);
    }
    if (status >= 0)
        status = aq_inspect_rows(inspect, "chunks", &walk.chunks, err);
    aq_rows_deinit(&walk.tiles);
    aq_rows_deinit(&walk.chunks);
    aq_archive_view_deinit(&walk.view);
    return status;
}
