/* An archive in memory, for the benchmarks that code and decode its tiles. */
#ifndef AQ_BENCH_ARCHIVE_FILE_H
#define AQ_BENCH_ARCHIVE_FILE_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/io/io.h"
#include "format/archive/archive.h"

struct archive_file {
    struct aq_archive_root root;
    struct aq_arena arena; /* of everything here */
    struct aq_slice bytes;
};

/* All bytes of a file, in `arena`. */
static inline enum aq_status bench_file_read(const char *path, struct aq_arena *arena,
                                             struct aq_slice *content, struct aq_error *err)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return aq_error_set(err, AQ_IO, "cannot be opened");
    size_t size = (size_t)stat.st_size;
    uint8_t *bytes = aq_arena_alloc(arena, size);
    enum aq_status status = bytes == NULL ? aq_error_set(err, AQ_NO_MEMORY, "is too large")
                                          : aq_io_pread_exact(fd, path, 0, bytes, size, err);
    close(fd);
    *content = aq_slice_make(bytes, size);
    return status;
}

static inline enum aq_status archive_file_read(const char *path, struct archive_file *file,
                                               struct aq_error *err)
{
    uint64_t offset;
    uint32_t root_size;
    AQ_TRY(bench_file_read(path, &file->arena, &file->bytes, err));
    const uint8_t *bytes = file->bytes.data;
    size_t size = file->bytes.size;
    if (size < AQ_ARCHIVE_TRAILER_BYTES)
        return aq_error_set(err, AQ_CORRUPT, "is no archive");
    AQ_TRY(aq_archive_trailer_decode(
        aq_slice_make(bytes + size - AQ_ARCHIVE_TRAILER_BYTES, AQ_ARCHIVE_TRAILER_BYTES), size,
        &offset, &root_size, err));
    return aq_archive_root_decode(aq_slice_make(bytes + offset, root_size), &file->arena,
                                  &file->root, err);
}

static inline enum aq_status archive_file_directory(struct archive_file *file,
                                                    const struct aq_tile_entry *entry,
                                                    struct aq_tile_directory *directory,
                                                    struct aq_error *err)
{
    return aq_tile_directory_decode(
        aq_slice_make(file->bytes.data + entry->directory_offset, entry->directory_size_bytes),
        entry, &file->root, &file->arena, directory, err);
}

/* The stored bytes of a chunk. */
static inline struct aq_slice archive_file_chunk(const struct archive_file *file,
                                                 const struct aq_chunk_entry *chunk)
{
    return aq_slice_make(file->bytes.data + chunk->offset, chunk->size_bytes);
}

/* Those of the chunk that it follows, or none. */
static inline struct aq_slice archive_file_leader(const struct archive_file *file,
                                                  const struct aq_chunk_entry *chunk)
{
    return chunk->leader == NULL ? (struct aq_slice){0} : archive_file_chunk(file, chunk->leader);
}

#endif
