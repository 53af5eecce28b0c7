/* Files of a store, piece by piece. Happy path: open, look at the magic, read ranges that the format's
 * own decoders check. Failures: every one is given the file's path and the offset in it. */
#include "tools/layout/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cache/object_copy.h"
#include "engine/io/io.h"
#include "format/base/preamble.h"

static bool has_suffix(const char *text, const char *suffix)
{
    size_t size = strlen(text), suffix_size = strlen(suffix);
    return size >= suffix_size && strcmp(text + size - suffix_size, suffix) == 0;
}

/* By its first bytes, else, when those are damaged, by its name; the decoders check the rest. */
static enum aq_status find_kind(struct aq_store_file *file, struct aq_error *err)
{
    struct aq_bytes head = {0};
    uint64_t size = file->size_bytes < AQ_MAGIC_BYTES ? file->size_bytes : AQ_MAGIC_BYTES;
    enum aq_status status = aq_store_file_read(file, 0, size, &head, err);
    struct aq_slice magic = aq_bytes_view(&head);
    if (aq_preamble_is(magic, AQ_SEGMENT_MAGIC))
        file->kind = AQ_FILE_SEGMENT;
    else if (aq_preamble_is(magic, AQ_ARCHIVE_MAGIC))
        file->kind = AQ_FILE_ARCHIVE;
    else if (has_suffix(file->path, ".seg"))
        file->kind = AQ_FILE_SEGMENT;
    else if (has_suffix(file->path, ".aqa"))
        file->kind = AQ_FILE_ARCHIVE;
    else if (status >= 0)
        status = aq_error_set_at(err, AQ_INVALID, file->path, -1,
                                 "is neither a segment nor an archive of aqstore");
    aq_bytes_deinit(&head);
    return status;
}

/* `file` has its descriptor. */
static enum aq_status describe(struct aq_store_file *file, const char *path, struct aq_error *err)
{
    struct stat status_of_file;
    enum aq_status status = AQ_OK;
    if ((file->path = strdup(path)) == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
    else if (fstat(file->fd, &status_of_file) != 0)
        status = aq_error_set_errno(err, errno, path, "cannot read the file's size");
    else if (!S_ISREG(status_of_file.st_mode))
        status = aq_error_set_at(err, AQ_INVALID, path, -1, "is no regular file");
    if (status >= 0) {
        file->size_bytes = (uint64_t)status_of_file.st_size;
        status = find_kind(file, err);
    }
    if (status < 0)
        aq_store_file_close(file);
    return status;
}

enum aq_status aq_store_file_open(const char *path, struct aq_store_file *file,
                                  struct aq_error *err)
{
    *file = (struct aq_store_file){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (file->fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open the file");
    return describe(file, path, err);
}

/* Not through the block cache: it is the bucket that is looked at. */
enum aq_status aq_store_file_fetch(struct aq_object_store *bucket,
                                   const struct aq_catalog_file *entry, struct aq_store_file *file,
                                   struct aq_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)entry->object.size, (const char *)entry->object.data);
    struct aq_object_path path = aq_object_path(bucket, name);
    struct aq_remote_object object = {.name = name,
                                      .hash = entry->object_hash,
                                      .size_bytes = entry->file_bytes > 0 ? entry->file_bytes
                                                                          : entry->size_bytes};
    struct aq_object_reader *reader = NULL;
    *file = (struct aq_store_file){.fd = -1};
    AQ_TRY(aq_object_reader_create(bucket, NULL, &reader, err));
    enum aq_status status = aq_object_copy(reader, &object, "", path.text, &file->fd, err);
    aq_object_reader_destroy(reader);
    return status < 0 ? status : describe(file, path.text, err);
}

void aq_store_file_close(struct aq_store_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    *file = (struct aq_store_file){.fd = -1};
}

enum aq_status aq_store_file_read(const struct aq_store_file *file, uint64_t offset, uint64_t size,
                                  struct aq_bytes *out, struct aq_error *err)
{
    aq_bytes_clear(out);
    if (offset > file->size_bytes || size > file->size_bytes - offset)
        return aq_error_set_at(err, AQ_CORRUPT, file->path, (int64_t)file->size_bytes,
                               "the file ends here, but %llu bytes at %llu are needed",
                               (unsigned long long)size, (unsigned long long)offset);
    uint8_t *room = aq_bytes_reserve(out, (size_t)size);
    if (room == NULL)
        return aq_error_set_at(err, AQ_NO_MEMORY, file->path, (int64_t)offset,
                               "no memory for %llu bytes", (unsigned long long)size);
    AQ_TRY(aq_io_pread_exact(file->fd, file->path, offset, room, (size_t)size, err));
    out->size = (size_t)size;
    return AQ_OK;
}

/* ---- segments ---- */

void aq_frame_view_deinit(struct aq_frame_view *view)
{
    aq_bytes_deinit(&view->bytes);
    aq_arena_deinit(&view->arena);
}

enum aq_status aq_segment_file_header(const struct aq_store_file *file,
                                      struct aq_segment_header *header, struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    enum aq_status status = aq_store_file_read(file, 0, AQ_SEGMENT_HEADER_BYTES, &bytes, err);
    if (status >= 0)
        status = aq_error_locate(err, aq_segment_header_decode(aq_bytes_view(&bytes), header, err),
                                 file->path, 0);
    aq_bytes_deinit(&bytes);
    return status;
}

enum aq_status aq_segment_file_frame(const struct aq_store_file *file, uint64_t offset,
                                     uint64_t end, struct aq_frame_view *view, struct aq_error *err)
{
    struct aq_frame_prefix prefix;
    view->offset = offset;
    aq_arena_reset(&view->arena);
    AQ_TRY(aq_store_file_read(file, offset, AQ_FRAME_PREFIX_BYTES, &view->bytes, err));
    AQ_TRY(aq_error_locate(err, aq_frame_prefix_decode(aq_bytes_view(&view->bytes), &prefix, err),
                           file->path, (int64_t)offset));
    if (prefix.frame_size_bytes > end - offset)
        return aq_error_set_at(err, AQ_CORRUPT, file->path, (int64_t)offset,
                               "a frame of %llu bytes reaches beyond offset %llu, where frames end",
                               (unsigned long long)prefix.frame_size_bytes,
                               (unsigned long long)end);
    AQ_TRY(aq_store_file_read(file, offset, prefix.frame_size_bytes, &view->bytes, err));
    enum aq_status status =
        aq_frame_header_decode(aq_bytes_view(&view->bytes), &view->arena, &view->header, err);
    return aq_error_locate(err, status, file->path, (int64_t)offset);
}

/* ---- archives ---- */

void aq_archive_view_deinit(struct aq_archive_view *view)
{
    aq_bytes_deinit(&view->root_bytes);
    aq_arena_deinit(&view->arena);
}

static enum aq_status read_root(const struct aq_store_file *file, struct aq_archive_view *view,
                                struct aq_bytes *bytes, struct aq_error *err)
{
    uint32_t size = 0;
    AQ_TRY(aq_store_file_read(file, 0, AQ_ARCHIVE_HEADER_BYTES, bytes, err));
    AQ_TRY(aq_error_locate(err, aq_archive_header_check(aq_bytes_view(bytes), err), file->path, 0));
    if (file->size_bytes < AQ_ARCHIVE_HEADER_BYTES + AQ_ARCHIVE_TRAILER_BYTES)
        return aq_error_set_at(err, AQ_CORRUPT, file->path, (int64_t)file->size_bytes,
                               "the file ends here, before its trailer");
    uint64_t trailer = file->size_bytes - AQ_ARCHIVE_TRAILER_BYTES;
    AQ_TRY(aq_store_file_read(file, trailer, AQ_ARCHIVE_TRAILER_BYTES, bytes, err));
    AQ_TRY(aq_error_locate(err,
                           aq_archive_trailer_decode(aq_bytes_view(bytes), file->size_bytes,
                                                     &view->root_offset, &size, err),
                           file->path, (int64_t)trailer));
    AQ_TRY(aq_store_file_read(file, view->root_offset, size, &view->root_bytes, err));
    return aq_error_locate(
        err,
        aq_archive_root_decode(aq_bytes_view(&view->root_bytes), &view->arena, &view->root, err),
        file->path, (int64_t)view->root_offset);
}

enum aq_status aq_archive_file_root(const struct aq_store_file *file, struct aq_archive_view *view,
                                    struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    enum aq_status status = read_root(file, view, &bytes, err);
    aq_bytes_deinit(&bytes);
    return status;
}

enum aq_status aq_archive_file_directory(const struct aq_store_file *file,
                                         const struct aq_archive_view *view, size_t tile,
                                         struct aq_bytes *bytes, struct aq_arena *arena,
                                         struct aq_tile_directory *directory, struct aq_error *err)
{
    const struct aq_tile_entry *entry = &view->root.tiles[tile];
    AQ_TRY(
        aq_store_file_read(file, entry->directory_offset, entry->directory_size_bytes, bytes, err));
    enum aq_status status =
        aq_tile_directory_decode(aq_bytes_view(bytes), entry, &view->root, arena, directory, err);
    return aq_error_locate(err, status, file->path, (int64_t)entry->directory_offset);
}
