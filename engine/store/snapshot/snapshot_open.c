/* Which rows of a file count: asked once when the snapshot is taken for open segments, and when a
 * dataset's units are first wanted for closed files.
 *
 * Happy path: an open segment whose flock is held is read up to the length its writer published; a closed
 * one by its index; an archive by the root in the catalog and the tiles' directories in the file, which of one in
 * the bucket are read when they are wanted. Of a segment with masks the frames' headers are read, which say
 * how many rows of each section do not count.
 * Failures: a segment that is named and not there has not been made yet, unless its writer published more;
 * those of open segments are in segment_live.c. */
#include "engine/store/snapshot/snapshot_internal.h"

#include <string.h>

static struct aq_segment_file segment_file(const struct aq_snapshot *snapshot,
                                           const struct aq_snapshot_file *file, int fd,
                                           const char *path)
{
    return (struct aq_segment_file){.fd = fd,
                                    .path = path,
                                    .expected = {.store_id = snapshot->catalog->store_id,
                                                 .segment_id = file->entry->file_id,
                                                 .epoch = file->entry->epoch}};
}

/* What is masked is told from the frames' headers: a sealed segment's index does not know feeds. */
static struct aq_segment_totals begin_totals(const struct aq_snapshot *snapshot,
                                             const struct aq_snapshot_file *file)
{
    uint64_t file_id = file->entry->file_id;
    bool masked = aq_catalog_masks_file(snapshot->catalog, file_id);
    return (struct aq_segment_totals){.masks = masked ? snapshot->catalog : NULL,
                                      .file_id = file_id};
}

static enum aq_status take_frames(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                  struct aq_segment_totals *totals, struct aq_error *err)
{
    if (totals->masks != NULL) {
        file->masked_rows = aq_arena_copy(&snapshot->arena, totals->masked,
                                          totals->masked_count * sizeof *totals->masked);
        if (file->masked_rows == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    if (file->entry->state == AQ_FILE_OPEN) {
        file->feed_count = totals->feed_count;
        file->feeds = aq_arena_copy(&snapshot->arena, totals->feeds,
                                    totals->feed_count * sizeof *totals->feeds);
        if (file->feeds == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    file->frames = totals->index;
    totals->index = (struct aq_segment_index){0};
    file->opened = true;
    return AQ_OK;
}

enum aq_status aq_snapshot_freeze(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                  struct aq_error *err)
{
    struct aq_store_path path = aq_file_cache_path(snapshot->cache, file->index);
    int fd = -1;
    enum aq_status status = aq_file_cache_acquire(snapshot->cache, file->index, &fd, err);
    if (status == AQ_NOT_FOUND) { /* named, not yet made: nothing in it has been acked */
        struct aq_published published = {0};
        aq_published_read(snapshot->store, file->entry->file_id, file->entry->epoch, &published);
        if (published.frame_count > 0)
            return aq_error_set_at(err, AQ_CORRUPT, path.text, 0,
                                   "is missing, though its writer had written to it");
        file->opened = true;
        return AQ_OK;
    }
    AQ_TRY(status);
    struct aq_segment_file segment = segment_file(snapshot, file, fd, path.text);
    struct aq_segment_totals totals = begin_totals(snapshot, file);
    status = aq_segment_read_open(snapshot->store, &segment, &totals, err);
    aq_file_cache_release(snapshot->cache, file->index);
    if (status == AQ_OK)
        status = take_frames(snapshot, file, &totals, err);
    aq_segment_totals_deinit(&totals);
    return status;
}

/* Archives. */

static enum aq_status decode_directory(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                       size_t tile, struct aq_tile_directory *directory,
                                       struct aq_error *err)
{
    const struct aq_tile_entry *entry = &file->root.tiles[tile];
    struct aq_store_path path = aq_file_cache_path(snapshot->cache, file->index);
    /* The directory may borrow from its bytes: they live as long as the snapshot. */
    uint8_t *bytes = aq_arena_alloc(&snapshot->arena, entry->directory_size_bytes);
    if (bytes == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    AQ_TRY(aq_file_cache_read(snapshot->cache, file->index, entry->directory_offset, bytes,
                              entry->directory_size_bytes, err));
    enum aq_status status =
        aq_tile_directory_decode(aq_slice_make(bytes, entry->directory_size_bytes), entry,
                                 &file->root, &snapshot->arena, directory, err);
    if (status == AQ_CORRUPT && aq_file_cache_is_remote(snapshot->cache, file->index))
        aq_file_cache_forget(snapshot->cache, file->index, entry->directory_offset,
                             entry->directory_size_bytes);
    return aq_error_locate(err, status, path.text, (int64_t)entry->directory_offset);
}

enum aq_status aq_snapshot_read_directory(struct aq_snapshot *snapshot,
                                          struct aq_snapshot_file *file, size_t tile,
                                          struct aq_error *err)
{
    if (file->directories[tile] != NULL)
        return AQ_OK;
    struct aq_tile_directory *directory = aq_arena_alloc(&snapshot->arena, sizeof *directory);
    if (directory == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = decode_directory(snapshot, file, tile, directory, err);
    if (status == AQ_CORRUPT && aq_file_cache_is_remote(snapshot->cache, file->index))
        status = decode_directory(snapshot, file, tile, directory, err); /* fetched anew */
    AQ_TRY(status);
    __atomic_store_n(&file->directories[tile], directory, __ATOMIC_RELEASE);
    return AQ_OK;
}

/* A column keeps its type for as long as there is its id: statistics and values are taken for what is declared. */
static bool has_declared_types(const struct aq_schema *stored, const struct aq_schema *declared)
{
    for (size_t i = 0; i < stored->column_count; i++) {
        for (size_t c = 0; declared != NULL && c < declared->column_count; c++) {
            if (declared->columns[c].id == stored->columns[i].id &&
                declared->columns[c].type != stored->columns[i].type)
                return false;
        }
    }
    return true;
}

static enum aq_status open_archive(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                   const char *path, struct aq_error *err)
{
    enum aq_status status =
        aq_archive_root_decode(file->entry->root, &snapshot->arena, &file->root, err);
    if (status < 0)
        return aq_error_locate(err, status, path, 0);
    if (file->root.file_size_bytes != file->entry->size_bytes ||
        memcmp(&file->root.store_id, &snapshot->catalog->store_id, sizeof file->root.store_id) != 0)
        return aq_error_set_at(err, AQ_CORRUPT, path, 0, "is not the archive the catalog names");
    if (!has_declared_types(
            &file->root.schema,
            aq_catalog_schema_by_id(snapshot->catalog, file->root.schema.dataset_id, 0)))
        return aq_error_set_at(err, AQ_CORRUPT, path, 0,
                               "has a column whose type is not the declared one");
    size_t count = file->root.tile_count;
    size_t bytes = count * sizeof(struct aq_tile_directory *);
    file->directories = aq_arena_alloc(&snapshot->arena, bytes);
    if (file->directories == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    memset(file->directories, 0, bytes);
    bool remote = aq_file_cache_is_remote(snapshot->cache, file->index);
    for (size_t i = 0; i < count && !remote; i++)
        AQ_TRY(aq_snapshot_read_directory(snapshot, file, i, err));
    return AQ_OK;
}

static enum aq_status open_segment(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                   const char *path, struct aq_error *err)
{
    int fd = -1;
    AQ_TRY(aq_file_cache_acquire(snapshot->cache, file->index, &fd, err));
    struct aq_segment_file segment = segment_file(snapshot, file, fd, path);
    struct aq_segment_totals totals = begin_totals(snapshot, file);
    enum aq_status status = aq_segment_read_closed(&segment, file->entry, &totals, err);
    aq_file_cache_release(snapshot->cache, file->index);
    if (status == AQ_OK)
        status = take_frames(snapshot, file, &totals, err);
    aq_segment_totals_deinit(&totals);
    return status;
}

enum aq_status aq_snapshot_open_file(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                     struct aq_error *err)
{
    if (file->opened)
        return AQ_OK;
    struct aq_store_path path = aq_file_cache_path(snapshot->cache, file->index);
    AQ_TRY(file->entry->kind == AQ_FILE_ARCHIVE ? open_archive(snapshot, file, path.text, err)
                                                : open_segment(snapshot, file, path.text, err));
    file->opened = true;
    return AQ_OK;
}
