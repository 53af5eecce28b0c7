/* Reading a segment's frames.
 *
 * Happy path: at each offset a prefix, which says how long the frame is, then its header or all of it;
 * sequence numbers without gaps, each frame naming the header checksum of the one before.
 * Failures: at the end of the valid prefix of an open segment there may be what a crash left: part of a
 * frame, or, several frames being in flight at once, a hole and a whole frame behind it. That is
 * torn, and nobody was told that it is durable. It is damage if the writer had published it as durable,
 * or if a frame behind it, which carries what was durable when it was made, says so. */
#include "engine/store/segment/segment_scan.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_ALIGNMENT ((uint64_t)1 << 16) /* no page of any machine is larger */
#define SEARCH_BYTES ((size_t)1 << 20)
_Static_assert(SEARCH_BYTES % AQ_FRAME_ALIGNMENT == 0, "chunks begin where frames may begin");

static enum aq_status corrupt(const struct aq_segment_file *file, uint64_t offset,
                              struct aq_error *err, const char *what)
{
    return aq_error_set_at(err, AQ_CORRUPT, file->path, (int64_t)offset, "%s", what);
}

static bool same_segment(const struct aq_segment_file *file, const struct aq_frame_prefix *prefix)
{
    return memcmp(&prefix->store_id, &file->expected.store_id, sizeof prefix->store_id) == 0 &&
           prefix->segment_id == file->expected.segment_id && prefix->epoch == file->expected.epoch;
}

/* `buffer` gets the frame's first `size` bytes. */
static enum aq_status read_part(const struct aq_segment_file *file, uint64_t offset, uint64_t size,
                                struct aq_bytes *buffer, struct aq_error *err)
{
    aq_bytes_clear(buffer);
    uint8_t *at = aq_bytes_reserve(buffer, size);
    if (at == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a frame of %" PRIu64 " bytes", size);
    AQ_TRY(aq_io_pread_exact(file->fd, file->path, offset, at, size, err));
    buffer->size = size;
    return AQ_OK;
}

static enum aq_status read_frame(const struct aq_segment_file *file, uint64_t offset,
                                 uint64_t limit, bool deep, struct aq_bytes *buffer,
                                 struct aq_arena *arena, struct aq_frame_header *header,
                                 struct aq_error *err)
{
    struct aq_frame_prefix prefix;
    if (limit - offset < AQ_FRAME_PREFIX_BYTES)
        return corrupt(file, limit, err, "ends inside a frame");
    AQ_TRY(read_part(file, offset, AQ_FRAME_PREFIX_BYTES, buffer, err));
    AQ_TRY(aq_frame_prefix_decode(aq_bytes_view(buffer), &prefix, err));
    if (!aq_mutant(36) && !same_segment(file, &prefix))
        return corrupt(file, offset, err, "holds a frame of another segment");
    if (prefix.frame_size_bytes > limit - offset)
        return corrupt(file, limit, err, "ends inside a frame");
    uint64_t size = deep ? prefix.frame_size_bytes : prefix.header_size_bytes;
    AQ_TRY(read_part(file, offset, size, buffer, err));
    AQ_TRY(aq_frame_header_decode(aq_bytes_view(buffer), arena, header, err));
    return deep && !aq_mutant(40) ? aq_frame_verify(aq_bytes_view(buffer), header, err) : AQ_OK;
}

/* The next frame, which must follow what `totals` has. */
static enum aq_status next_frame(const struct aq_segment_file *file, uint64_t limit, bool deep,
                                 struct aq_bytes *buffer, struct aq_arena *arena,
                                 struct aq_segment_totals *totals, struct aq_error *err)
{
    uint64_t offset = aq_segment_index_end(&totals->index);
    struct aq_frame_header header;
    struct aq_error failure = {.offset = -1};
    enum aq_status status = read_frame(file, offset, limit, deep, buffer, arena, &header, &failure);
    if (status < 0) {
        aq_error_locate(&failure, status, file->path, (int64_t)offset);
        if (err != NULL)
            *err = failure;
        return status;
    }
    if (!aq_mutant(37) && (header.prefix.sequence != totals->index.frame_count ||
                           header.prefix.previous_checksum != totals->last_checksum))
        return corrupt(file, offset, err, "holds a frame that does not follow the one before it");
    if (aq_segment_totals_add(totals, &header) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading a segment");
    return AQ_OK;
}

enum aq_status aq_segment_scan(const struct aq_segment_file *file, uint64_t limit, bool deep,
                               struct aq_segment_totals *totals, struct aq_error *err)
{
    struct aq_bytes buffer = {0};
    struct aq_arena arena = {0};
    enum aq_status status = AQ_OK;
    while (status == AQ_OK && aq_segment_index_end(&totals->index) < limit) {
        aq_arena_reset(&arena);
        status = next_frame(file, limit, deep, &buffer, &arena, totals, err);
    }
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&buffer);
    return status;
}

/* Whether bytes that begin like a frame prove that frame `sequence` had been durable. */
static bool proves(const struct aq_segment_file *file, struct aq_slice bytes, uint64_t sequence)
{
    struct aq_frame_prefix prefix;
    return bytes.data[0] != 0 && aq_frame_prefix_decode(bytes, &prefix, NULL) == AQ_OK &&
           same_segment(file, &prefix) && prefix.durable_count > sequence;
}

/* Move `*end`, the end of the file, back to where the zeros begin that fill it, not before `begin`: blocks that
 * were zeroed ahead, in which no frame begins. What begins before them keeps its own. */
static enum aq_status trim_zeros(const struct aq_segment_file *file, uint64_t begin, uint64_t *end,
                                 struct aq_error *err)
{
    uint8_t *chunk = malloc(SEARCH_BYTES);
    if (chunk == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading a segment");
    enum aq_status status = AQ_OK;
    uint64_t size = *end;
    size_t left = 0;
    while (status == AQ_OK && left == 0 && *end > begin) {
        left = *end - begin < SEARCH_BYTES ? (size_t)(*end - begin) : SEARCH_BYTES;
        *end -= left;
        status = aq_io_pread_exact(file->fd, file->path, *end, chunk, left, err);
        if (status == AQ_CORRUPT) { /* a recovery beside this one has cut them off */
            status = AQ_OK;
            left = 0;
        }
        while (left > 0 && chunk[left - 1] == 0)
            left--;
    }
    uint64_t own = -(*end + left) % AQ_FRAME_ALIGNMENT;
    *end = size - *end - left < own ? size : *end + left + own;
    free(chunk);
    return status;
}

/* Look for such a frame in [offset, limit), at every place where one may begin. */
static enum aq_status search_proof(const struct aq_segment_file *file, uint64_t offset,
                                   uint64_t limit, uint64_t sequence, bool *found,
                                   struct aq_error *err)
{
    size_t overlap = AQ_FRAME_PREFIX_BYTES - AQ_FRAME_ALIGNMENT;
    uint8_t *chunk = malloc(SEARCH_BYTES + overlap);
    if (chunk == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading a segment");
    enum aq_status status = AQ_OK;
    *found = false;
    for (; status == AQ_OK && !*found && offset + AQ_FRAME_PREFIX_BYTES <= limit;
         offset += SEARCH_BYTES) {
        uint64_t left = limit - offset;
        size_t size = left < SEARCH_BYTES + overlap ? (size_t)left : SEARCH_BYTES + overlap;
        status = aq_io_pread_exact(file->fd, file->path, offset, chunk, size, err);
        for (size_t at = 0; status == AQ_OK && !*found && at + AQ_FRAME_PREFIX_BYTES <= size;
             at += AQ_FRAME_ALIGNMENT)
            *found = proves(file, aq_slice_make(chunk + at, AQ_FRAME_PREFIX_BYTES), sequence);
    }
    free(chunk);
    return status;
}

static enum aq_status file_size(const struct aq_segment_file *file, uint64_t *size,
                                struct aq_error *err)
{
    struct stat info;
    if (fstat(file->fd, &info) != 0)
        return aq_error_set_errno(err, errno, file->path, "cannot read");
    *size = (uint64_t)info.st_size;
    return AQ_OK;
}

static enum aq_status check_header(const struct aq_segment_file *file, struct aq_error *err)
{
    uint8_t bytes[AQ_SEGMENT_HEADER_BYTES];
    struct aq_segment_header header;
    AQ_TRY(aq_io_pread_exact(file->fd, file->path, 0, bytes, sizeof bytes, err));
    enum aq_status status =
        aq_segment_header_decode(aq_slice_make(bytes, sizeof bytes), &header, err);
    if (status < 0)
        return aq_error_locate(err, status, file->path, 0);
    if (!aq_mutant(41) &&
        (memcmp(&header.store_id, &file->expected.store_id, sizeof header.store_id) != 0 ||
         header.segment_id != file->expected.segment_id || header.epoch != file->expected.epoch))
        return corrupt(file, 0, err, "is a segment of another store, or under another's name");
    return AQ_OK;
}

/* The valid prefix as far as it goes; AQ_CORRUPT with what stopped it before `size`. */
static enum aq_status scan_all(const struct aq_segment_file *file, uint64_t size,
                               struct aq_segment_totals *totals, struct aq_error *err)
{
    AQ_TRY(check_header(file, err));
    return aq_segment_scan(file, size, true, totals, err);
}

/* AQ_OK: the tail from where `totals` end is torn. AQ_CORRUPT: it had been durable. */
static enum aq_status judge_tail(const struct aq_segment_file *file, uint64_t size,
                                 const struct aq_published *published,
                                 const struct aq_segment_totals *totals,
                                 const struct aq_error *failure, struct aq_error *err)
{
    uint64_t end = aq_segment_index_end(&totals->index);
    uint64_t sequence = totals->index.frame_count;
    bool durable = !aq_mutant(38) && published != NULL && published->durable_bytes > end;
    if (!durable && size > end && !aq_mutant(39))
        AQ_TRY(search_proof(file, end, size, sequence, &durable, err));
    if (!durable)
        return AQ_OK;
    return aq_error_set_at(err, AQ_CORRUPT, file->path, failure->offset,
                           "frame %" PRIu64 " (at %" PRIu64 ") is damaged, though it was durable: "
                           "%s; keep the file and restore it from a copy",
                           sequence, end, failure->message);
}

/* A write or sync that failed may have left what the disk does not have in the page cache, as clean: no sync would write it.
 * So what nobody has published as durable is read from the disk. */
static void read_from_disk(const struct aq_segment_file *file, const struct aq_published *published)
{
    uint64_t known = published == NULL ? 0 : published->durable_bytes / CACHE_ALIGNMENT;
    posix_fadvise(file->fd, (off_t)(known * CACHE_ALIGNMENT), 0, POSIX_FADV_DONTNEED);
}

enum aq_status aq_segment_find_prefix(const struct aq_segment_file *file,
                                      const struct aq_published *published,
                                      struct aq_segment_totals *totals, uint64_t *torn_bytes,
                                      struct aq_error *err)
{
    uint64_t size = 0;
    struct aq_error failure = {0};
    /* What is taken for the segment's content from now on must survive a power cut; a file system that
     * is mounted for reading only has nothing to lose. */
    if (!aq_mutant(8) && fdatasync(file->fd) != 0 && errno != EROFS && errno != EINVAL)
        return aq_error_set_errno(err, errno, file->path, "cannot make durable");
    if (!aq_mutant(9))
        read_from_disk(file, published);
    AQ_TRY(file_size(file, &size, err));
    enum aq_status status = scan_all(file, size, totals, &failure);
    if (status == AQ_CORRUPT) /* read again, to be sure that it is not the reading that failed */
        status = totals->index.frame_count == 0
                     ? scan_all(file, size, totals, &failure)
                     : aq_segment_scan(file, size, true, totals, &failure);
    if (status == AQ_OK) /* frames to the end, but was there more? */
        aq_error_set_at(&failure, AQ_CORRUPT, file->path, (int64_t)size, "the file ends there");
    if (status < 0 && status != AQ_CORRUPT) {
        if (err != NULL)
            *err = failure;
        return status;
    }
    uint64_t end = aq_segment_index_end(&totals->index);
    AQ_TRY(trim_zeros(file, end, &size, err));
    *torn_bytes = size > end ? size - end : 0;
    return judge_tail(file, size, published, totals, &failure, err);
}

/* Index and trailer of a sealed file. */
static enum aq_status read_index(const struct aq_segment_file *file,
                                 const struct aq_catalog_file *entry,
                                 struct aq_segment_index *index, struct aq_error *err)
{
    uint8_t bytes[AQ_SEGMENT_TRAILER_BYTES];
    struct aq_segment_trailer trailer;
    if (entry->file_bytes < AQ_SEGMENT_HEADER_BYTES + AQ_SEGMENT_TRAILER_BYTES)
        return corrupt(file, 0, err, "is shorter in the catalog than any sealed segment");
    uint64_t at = entry->file_bytes - sizeof bytes;
    AQ_TRY(aq_io_pread_exact(file->fd, file->path, at, bytes, sizeof bytes, err));
    enum aq_status status = aq_segment_trailer_decode(aq_slice_make(bytes, sizeof bytes),
                                                      entry->file_bytes, &trailer, err);
    if (status < 0)
        return aq_error_locate(err, status, file->path, (int64_t)at);
    if (trailer.segment_id != entry->file_id || trailer.index_offset != entry->size_bytes)
        return corrupt(file, at, err, "ends with the index of another segment");
    struct aq_bytes buffer = {0};
    status = read_part(file, trailer.index_offset, trailer.index_size_bytes, &buffer, err);
    if (status == AQ_OK) {
        status = aq_segment_index_decode(aq_bytes_view(&buffer), &trailer, index, err);
        aq_error_locate(err, status, file->path, (int64_t)trailer.index_offset);
    }
    aq_bytes_deinit(&buffer);
    return status;
}

/* Afterwards `totals` hold nothing if it failed. */
static enum aq_status check_closed(const struct aq_segment_file *file,
                                   const struct aq_catalog_file *entry,
                                   struct aq_segment_totals *totals, struct aq_error *err)
{
    const struct aq_segment_index *index = &totals->index;
    size_t count = index->frame_count;
    if (aq_mutant(42) ||
        (count == entry->frame_count && aq_segment_index_end(index) == entry->size_bytes &&
         (count == 0 || index->frames[count - 1].header_checksum == entry->checksum)))
        return AQ_OK;
    aq_segment_totals_deinit(totals);
    return corrupt(file, entry->size_bytes, err,
                   "does not hold the frames that the catalog says it has");
}

enum aq_status aq_segment_read_closed(const struct aq_segment_file *file,
                                      const struct aq_catalog_file *entry,
                                      struct aq_segment_totals *totals, struct aq_error *err)
{
    bool by_index = entry->file_bytes > 0 && totals->masks == NULL;
    enum aq_status status = by_index ? read_index(file, entry, &totals->index, err)
                                     : aq_segment_scan(file, entry->size_bytes, false, totals, err);
    if (status < 0) {
        aq_segment_totals_deinit(totals);
        return status;
    }
    return check_closed(file, entry, totals, err);
}

enum aq_status aq_segment_close(const struct aq_segment_file *file,
                                const struct aq_segment_totals *totals, uint64_t file_bytes,
                                const struct aq_catalog *catalog, struct aq_edit *edit,
                                uint64_t *row_count, struct aq_error *err)
{
    uint64_t file_id = file->expected.segment_id;
    *row_count = totals->row_count;
    if (!aq_catalog_masks_file(catalog, file_id))
        return aq_segment_totals_close(totals, file_id, file_bytes, catalog, edit, err);
    struct aq_segment_totals counted = {.masks = catalog, .file_id = file_id};
    enum aq_status status =
        aq_segment_scan(file, aq_segment_index_end(&totals->index), false, &counted, err);
    if (status == AQ_OK)
        status = aq_segment_totals_close(&counted, file_id, file_bytes, catalog, edit, err);
    *row_count = counted.row_count;
    aq_segment_totals_deinit(&counted);
    return status;
}
