/* Hints to the kernel of which bytes of a snapshot's files will be read soon.
 *
 * Happy path: a unit's bytes are a frame's section, or the chunks of a tile, those side by side taken together. They are
 * asked for in pieces that the kernel takes whole, each an operation of the file API. While one is under way its file
 * stays open; what has finished is noticed at the next call.
 * Failures: of a hint, of a file that cannot be opened, of the back end: nothing is asked for, and whoever reads the
 * bytes waits for the disk, and says what is wrong. Too much under way: the caller hears it, and asks later. */
#include "engine/store/snapshot/read_ahead.h"

#include <stdlib.h>

#include "engine/io/io.h"
#include "engine/store/snapshot/snapshot_internal.h"

#define FILES_MAX 32 /* open for hints, and no more than half of what a snapshot keeps open */

struct hinted_file {
    struct aq_io_file *file;
    size_t index; /* in the file cache */
    unsigned users;
};

struct hint {
    struct aq_io_op op;
    struct aq_read_ahead *ahead;
    struct hinted_file *file;
};

struct aq_read_ahead {
    struct aq_snapshot *snapshot;
    struct aq_io *io;
    size_t file_max;
    struct hinted_file files[FILES_MAX];
    struct hint *idle[AQ_READ_AHEAD_HINTS_MAX];
    size_t idle_count;
    struct hint hints[AQ_READ_AHEAD_HINTS_MAX];
};

struct aq_read_ahead *aq_read_ahead_create(struct aq_snapshot *snapshot)
{
    struct aq_read_ahead *created = calloc(1, sizeof *created);
    if (created == NULL)
        return NULL;
    enum aq_io_kind kind = aq_store_io_kind(snapshot->store);
    /* A ring of this size may be refused where a small one is not. */
    if (aq_io_create(kind == AQ_IO_URING ? AQ_IO_AUTO : kind, AQ_READ_AHEAD_HINTS_MAX, &created->io,
                     NULL, 0, NULL) != AQ_OK) {
        free(created);
        return NULL;
    }
    created->snapshot = snapshot;
    size_t share = aq_file_cache_open_max(snapshot->cache) / 2;
    created->file_max = share < FILES_MAX ? share : FILES_MAX;
    for (size_t i = 0; i < AQ_READ_AHEAD_HINTS_MAX; i++) {
        created->hints[i].ahead = created;
        created->idle[created->idle_count++] = &created->hints[i];
    }
    return created;
}

void aq_read_ahead_destroy(struct aq_read_ahead *ahead)
{
    if (ahead == NULL)
        return;
    while (aq_io_in_flight(ahead->io) > 0 && aq_io_wait(ahead->io, 1, NULL) == AQ_OK)
        continue;
    if (aq_io_in_flight(ahead->io) > 0)
        return; /* the kernel does not give back what it was lent */
    aq_io_destroy(ahead->io);
    free(ahead);
}

/* Files. */

/* Opened, with one more user; NULL: too many are, or it cannot be. */
static struct hinted_file *take_file(struct aq_read_ahead *ahead, size_t index)
{
    struct aq_file_cache *cache = ahead->snapshot->cache;
    struct hinted_file *file = NULL;
    int fd;
    for (size_t i = 0; i < ahead->file_max; i++) {
        if (ahead->files[i].users > 0 && ahead->files[i].index == index) {
            ahead->files[i].users++;
            return &ahead->files[i];
        }
        if (ahead->files[i].users == 0)
            file = &ahead->files[i];
    }
    if (file == NULL || aq_file_cache_acquire(cache, index, &fd, NULL) != AQ_OK)
        return NULL;
    if (aq_io_borrow(ahead->io, fd, &file->file, NULL) != AQ_OK) {
        aq_file_cache_release(cache, index);
        return NULL;
    }
    file->index = index;
    file->users = 1;
    return file;
}

static void drop_file(struct aq_read_ahead *ahead, struct hinted_file *file)
{
    if (--file->users > 0)
        return;
    aq_io_close(file->file);
    aq_file_cache_release(ahead->snapshot->cache, file->index);
}

/* Hints. */

static void finish_hint(struct aq_io_op *op)
{
    struct hint *hint = op->user;
    drop_file(hint->ahead, hint->file);
    hint->ahead->idle[hint->ahead->idle_count++] = hint;
}

static void give_hint(struct aq_read_ahead *ahead, struct hinted_file *file, uint64_t offset,
                      size_t size)
{
    struct hint *hint = ahead->idle[--ahead->idle_count];
    hint->op = (struct aq_io_op){.kind = AQ_IO_OP_WILL_READ,
                                 .file = file->file,
                                 .size = size,
                                 .offset = offset,
                                 .done = finish_hint,
                                 .user = hint};
    hint->file = file;
    file->users++;
    if (aq_io_submit(ahead->io, &hint->op, NULL) != AQ_OK)
        finish_hint(&hint->op);
}

/* In pieces that end at multiples of their size: of one across such a place the kernel would take a page less. */
static void ask_range(struct aq_read_ahead *ahead, struct hinted_file *file, uint64_t offset,
                      uint64_t end)
{
    while (offset < end && ahead->idle_count > 0) {
        uint64_t left = AQ_IO_WILL_READ_BYTES - offset % AQ_IO_WILL_READ_BYTES;
        if (left > end - offset)
            left = end - offset;
        give_hint(ahead, file, offset, (size_t)left);
        offset += left;
    }
}

/* Chunks lie one behind the other, but for columns that are not wanted. */
static void ask_tile(struct aq_read_ahead *ahead, struct hinted_file *file,
                     const struct aq_unit *unit, const uint32_t *column_ids, size_t column_count)
{
    uint64_t offset = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < column_count; i++) {
        const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_ids[i]);
        for (; chunk != NULL; chunk = chunk->leader) {
            if (end == 0 || chunk->offset < end || chunk->offset - end >= AQ_IO_BLOCK_BYTES) {
                ask_range(ahead, file, offset, end);
                offset = chunk->offset;
            }
            end = chunk->offset + chunk->size_bytes;
        }
    }
    ask_range(ahead, file, offset, end);
}

/* At most: a piece cut off at each end of each range, of which a column that follows another has two. */
static bool has_room(const struct aq_read_ahead *ahead, const struct aq_unit *unit,
                     size_t column_count)
{
    uint64_t pieces = unit->size_bytes / AQ_IO_WILL_READ_BYTES + 2;
    pieces += unit->kind == AQ_FILE_SEGMENT ? 0 : 4 * (uint64_t)column_count;
    return ahead->idle_count >=
           (pieces < AQ_READ_AHEAD_HINTS_MAX ? pieces : AQ_READ_AHEAD_HINTS_MAX);
}

bool aq_read_ahead_unit(struct aq_read_ahead *ahead, const struct aq_unit *unit,
                        const uint32_t *column_ids, size_t column_count)
{
    const struct aq_unit_detail *detail = unit->detail;
    size_t index = detail->file->index;
    if (ahead == NULL || aq_file_cache_is_remote(ahead->snapshot->cache, index))
        return true;
    if (aq_io_wait(ahead->io, 0, NULL) != AQ_OK || !has_room(ahead, unit, column_count))
        return false;
    struct hinted_file *file = take_file(ahead, index);
    if (file == NULL)
        return false;
    if (unit->kind == AQ_FILE_SEGMENT) {
        uint64_t offset = detail->frame_offset + detail->section->offset;
        ask_range(ahead, file, offset, offset + detail->section->size_bytes);
    } else {
        ask_tile(ahead, file, unit, column_ids, column_count);
    }
    drop_file(ahead, file);
    return true;
}
