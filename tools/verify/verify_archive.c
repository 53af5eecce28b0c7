/* An archive, tile by tile, chunk by chunk.
 *
 * Happy path: header, trailer and root; each tile's directory; each chunk's checksum; every byte between
 * them zero; with `deep` every value decoded and everything that was said about them recomputed; the
 * rows' content hash is the one the catalog has. Failures: a bad directory loses its tile, a bad
 * chunk its column in that tile; the others are still checked. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/verify/verify.h"

struct walk {
    struct aq_verify *verify;
    const struct aq_store_file *file;
    const struct aq_catalog_file *entry;
    struct aq_archive_view view;
    uint64_t covered; /* all bytes before it have been checked */
    struct aq_content_hash content;
    bool whole;                    /* every tile could be decoded */
    struct aq_stats_total *totals; /* one a stored column: of the tiles so far */
};

static enum aq_status soften(struct aq_verify *verify, enum aq_status status,
                             const struct aq_error *fault, struct aq_error *err)
{
    if (aq_verify_ends(status)) {
        *err = *fault;
        return status;
    }
    if (status < 0)
        aq_verify_fault(verify, fault, "%s", "");
    return AQ_OK;
}

/* Bytes from `covered` to `offset` are padding, which is zero; parts do not overlap. */
static enum aq_status check_gap(struct walk *walk, uint64_t offset, uint64_t size,
                                struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    enum aq_status status = AQ_OK;
    if (offset < walk->covered || offset - walk->covered > 4096) {
        aq_verify_fault_at(walk->verify, walk->file->path, offset,
                           "a part begins here, where %" PRIu64 " is expected", walk->covered);
    } else if (offset > walk->covered) {
        status = aq_store_file_read(walk->file, walk->covered, offset - walk->covered, &bytes, err);
        for (size_t i = 0; i < bytes.size && status >= 0; i++) {
            if (bytes.data[i] != 0) {
                aq_verify_fault_at(walk->verify, walk->file->path, walk->covered + i,
                                   "padding is not zero");
                break;
            }
        }
    }
    walk->covered = offset + size;
    aq_bytes_deinit(&bytes);
    return status;
}

static void fault_in_tile(struct walk *walk, size_t tile, const struct aq_error *fault,
                          const char *column)
{
    const struct aq_tile_entry *entry = &walk->view.root.tiles[tile];
    char span[AQ_SPAN_TEXT_BYTES];
    aq_verify_fault(walk->verify, fault, "tile %zu, %s: %u rows, keys %.*s .. %.*s, %s", tile,
                    column, entry->row_count,
                    (int)(entry->key_min.size < 40 ? entry->key_min.size : 40),
                    (const char *)entry->key_min.data,
                    (int)(entry->key_max.size < 40 ? entry->key_max.size : 40),
                    (const char *)entry->key_max.data,
                    aq_span_text(entry->has_time, entry->min_time_us, entry->max_time_us, span));
}

static enum aq_status check_chunk(struct walk *walk, size_t tile,
                                  const struct aq_chunk_entry *chunk, bool *good,
                                  struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    struct aq_error fault = {.offset = -1};
    const struct aq_schema *schema = &walk->view.root.schema;
    struct aq_column column =
        aq_schema_stored_column(schema, aq_schema_stored_find(schema, chunk->column_id));
    AQ_TRY(check_gap(walk, chunk->offset, chunk->size_bytes, err));
    enum aq_status status =
        aq_store_file_read(walk->file, chunk->offset, chunk->size_bytes, &bytes, &fault);
    if (status >= 0 && aq_checksum(bytes.data, bytes.size) != chunk->checksum)
        status = aq_error_set_at(&fault, AQ_CORRUPT, walk->file->path, (int64_t)chunk->offset,
                                 "the chunk's checksum does not match");
    walk->verify->chunk_count++;
    walk->verify->bytes += bytes.size;
    aq_bytes_deinit(&bytes);
    if (status == AQ_NO_MEMORY) {
        *err = fault;
        return status;
    }
    if (status < 0) {
        fault_in_tile(walk, tile, &fault, column.name);
        *good = false;
    }
    return AQ_OK;
}

static enum aq_status check_tile(struct walk *walk, size_t tile, struct aq_error *err)
{
    const struct aq_tile_entry *entry = &walk->view.root.tiles[tile];
    struct aq_tile_directory directory;
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    struct aq_error fault = {.offset = -1};
    bool good = true;
    enum aq_status status = aq_archive_file_directory(walk->file, &walk->view, tile, &bytes, &arena,
                                                      &directory, &fault);
    if (status == AQ_NO_MEMORY) {
        *err = fault;
    } else if (status < 0) {
        fault_in_tile(walk, tile, &fault, "all columns");
        walk->whole = false;
        walk->covered = entry->directory_offset + entry->directory_size_bytes;
        status = AQ_OK;
    } else {
        for (size_t i = 0; i < directory.chunk_count && status >= 0; i++) {
            const struct aq_chunk_entry *chunk = &directory.chunks[i];
            aq_stats_total_add(chunk->type, &walk->totals[i], &chunk->stats);
            status = check_chunk(walk, tile, chunk, &good, err);
        }
        if (status >= 0)
            status = check_gap(walk, entry->directory_offset, entry->directory_size_bytes, err);
        if (status >= 0 && good && walk->verify->deep)
            status = aq_verify_tile(walk->verify, walk->file, &walk->view.root, tile, &directory,
                                    &walk->content, err);
        walk->whole = walk->whole && good;
    }
    walk->verify->tile_count++;
    aq_bytes_deinit(&bytes);
    aq_arena_deinit(&arena);
    return status;
}

/* What is said of the whole file, and answers queries alone, is what the directories say of its tiles. */
static enum aq_status check_totals(struct walk *walk)
{
    const struct aq_archive_root *root = &walk->view.root;
    for (size_t i = 0; walk->whole && i < aq_schema_stored_count(&root->schema); i++) {
        struct aq_column column = aq_schema_stored_column(&root->schema, i);
        bool equal = true;
        AQ_TRY(aq_verify_stats_equal(column.type, &root->stats[i], &walk->totals[i].stats, &equal));
        if (!equal)
            aq_verify_fault_at(walk->verify, walk->file->path, walk->view.root_offset,
                               "%s: the file's statistics are not those of its tiles", column.name);
    }
    return AQ_OK;
}

static void check_entry(struct walk *walk)
{
    const struct aq_catalog_file *entry = walk->entry;
    const struct aq_archive_view *view = &walk->view;
    const char *path = walk->file->path;
    if (entry == NULL)
        return;
    if (entry->size_bytes != walk->file->size_bytes)
        aq_verify_fault_at(walk->verify, path, walk->file->size_bytes,
                           "the file ends here, the catalog says %" PRIu64, entry->size_bytes);
    if (!aq_slice_equal(entry->root, aq_bytes_view(&view->root_bytes)))
        aq_verify_fault_at(walk->verify, path, view->root_offset,
                           "the root is not the one that the catalog has");
    if (walk->verify->deep && walk->whole &&
        !aq_content_hash_equal(&entry->content, &walk->content))
        aq_verify_fault_at(walk->verify, path, 0,
                           "the rows' content hash is not the one that the catalog has");
}

static enum aq_status check_tiles(struct walk *walk, struct aq_error *err)
{
    const struct aq_archive_root *root = &walk->view.root;
    uint64_t row_count = 0;
    walk->covered = AQ_ARCHIVE_HEADER_BYTES;
    walk->whole = true;
    for (size_t tile = 0; tile < root->tile_count; tile++) {
        if (aq_verify_stopped(walk->verify))
            return aq_error_set(err, AQ_INTERRUPTED, "stopped");
        row_count += root->tiles[tile].row_count;
        AQ_TRY(check_tile(walk, tile, err));
        walk->verify->row_count += root->tiles[tile].row_count;
        aq_verify_progress(walk->verify, walk->file->path);
    }
    if (row_count != root->row_count)
        aq_verify_fault_at(walk->verify, walk->file->path, walk->view.root_offset,
                           "tiles have %" PRIu64 " rows, the root says %" PRIu64, row_count,
                           root->row_count);
    AQ_TRY(check_gap(walk, walk->view.root_offset, walk->view.root_bytes.size, err));
    return check_gap(walk, walk->file->size_bytes - AQ_ARCHIVE_TRAILER_BYTES,
                     AQ_ARCHIVE_TRAILER_BYTES, err);
}

enum aq_status aq_verify_archive(struct aq_verify *verify, const struct aq_store_file *file,
                                 const struct aq_catalog *catalog,
                                 const struct aq_catalog_file *entry, struct aq_error *err)
{
    struct walk walk = {.verify = verify, .file = file, .entry = entry};
    struct aq_error fault = {.offset = -1};
    verify->file_count++;
    enum aq_status status = aq_archive_file_root(file, &walk.view, &fault);
    if (status < 0) {
        status = soften(verify, status, &fault, err);
    } else {
        if (catalog != NULL && memcmp(walk.view.root.store_id.bytes, catalog->store_id.bytes,
                                      sizeof(catalog->store_id.bytes)) != 0)
            aq_verify_fault_at(verify, file->path, 0, "belongs to another store");
        walk.totals =
            calloc(aq_schema_stored_count(&walk.view.root.schema) + 1, sizeof(*walk.totals));
        status = walk.totals == NULL ? AQ_NO_MEMORY : check_tiles(&walk, err);
        if (status >= 0)
            status = check_totals(&walk);
        if (status == AQ_NO_MEMORY)
            aq_error_set(err, AQ_NO_MEMORY, "no memory to verify an archive");
        if (status >= 0)
            check_entry(&walk);
    }
    free(walk.totals);
    aq_archive_view_deinit(&walk.view);
    return status;
}
