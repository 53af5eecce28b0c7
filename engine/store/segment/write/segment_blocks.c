/* The blocks of the open segment.
 *
 * Happy path: the first frames of a segment go through the kernel's cache, at the end of a file that grows: a small
 * segment stays small. When they pass a part of the first step, blocks further on are zeroed meanwhile, from there on always
 * enough ahead, twice as many each time; the frames that lie in them are written past the cache, if that
 * is faster here. When the segment has all its blocks, the file of the next one is made, without a name: it
 * vanishes with the process. No block is used again.
 * Failures: where zeroing failed no more is zeroed in that file, a file for the next segment is thrown away, and frames
 * are written all the same, only slower. What they themselves run into is another matter. */
#include "engine/store/segment/write/segment_blocks.h"
#include "format/base/mutant.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES_MIN ((uint64_t)64 << 10)
#define STEP_BYTES_FIRST ((uint64_t)1 << 20)
#define STEP_BYTES_MAX ((uint64_t)16 << 20)
#define STEPS_OF_SEGMENT 64 /* the first one's share, at most */
#define MARGIN_SHARE \
    4 /* of a first step: so much is written before, and so much while it is zeroed */
#define SPARE_SHARE 16      /* of a segment is written before the next one's file is made */
#define LAST_FRAME_SHARE 16 /* of a segment's size, for the frame that passes it */

static uint64_t block_ceiling(uint64_t offset)
{
    return offset + -offset % AQ_IO_BLOCK_BYTES;
}

static uint64_t first_step(const struct aq_segment_blocks *blocks)
{
    /* Small segments are the tests'; the simulated disk's are tiny. */
    bool tiny = aq_store_io_kind(blocks->store) == AQ_IO_SIM;
    uint64_t least = tiny ? AQ_IO_BLOCK_BYTES : STEP_BYTES_MIN;
    uint64_t step = block_ceiling(blocks->file_bytes_max / STEPS_OF_SEGMENT);
    step = step < least ? least : step;
    return step < STEP_BYTES_FIRST ? step : STEP_BYTES_FIRST;
}

enum aq_status aq_segment_blocks_init(struct aq_segment_blocks *blocks, struct aq_store *store,
                                      struct aq_io *io, unsigned depth, uint64_t segment_size_bytes,
                                      struct aq_error *err)
{
    blocks->store = store;
    blocks->io = io;
    blocks->file_bytes_max = segment_size_bytes == 0
                                 ? UINT64_MAX / 2
                                 : segment_size_bytes + segment_size_bytes / LAST_FRAME_SHARE;
    return aq_zero_ahead_create(store, depth, &blocks->ahead, err);
}

void aq_segment_blocks_deinit(struct aq_segment_blocks *blocks)
{
    aq_zero_ahead_destroy(blocks->ahead);
    aq_io_close(blocks->direct);
    aq_io_close(blocks->spare);
    *blocks = (struct aq_segment_blocks){0};
}

/* A job is over, or is waited for: what it did counts from now on. */
static void collect(struct aq_segment_blocks *blocks, bool stop)
{
    bool failed;
    if (blocks->job_end == 0 && !blocks->spare_job)
        return;
    uint64_t zeroed_end = aq_zero_ahead_wait(blocks->ahead, stop, &failed);
    blocks->full |= failed;
    if (blocks->spare_job) {
        blocks->spare_end = zeroed_end;
        blocks->spare_job = false;
        if (failed) {
            aq_io_close(blocks->spare);
            blocks->spare = NULL;
        }
        return;
    }
    if (zeroed_end > blocks->job_begin)
        blocks->zeroed_end = zeroed_end;
    blocks->full |= zeroed_end < blocks->job_end && !stop;
    blocks->job_end = 0;
}

struct aq_io_file *aq_segment_blocks_take(struct aq_segment_blocks *blocks, uint64_t *zeroed_end)
{
    collect(blocks, true);
    struct aq_io_file *spare = blocks->spare;
    *zeroed_end = spare == NULL ? 0 : blocks->spare_end;
    blocks->spare = NULL;
    return spare;
}

static void use_direct(struct aq_segment_blocks *blocks)
{
    if (blocks->direct == NULL && aq_store_write_method(blocks->store) == AQ_WRITE_DIRECT &&
        aq_io_open_direct(blocks->io, blocks->file, "segments", &blocks->direct, NULL) < 0)
        blocks->direct = NULL;
}

void aq_segment_blocks_begin(struct aq_segment_blocks *blocks, struct aq_io_file *file,
                             uint64_t zeroed_end)
{
    assert(blocks->file == NULL);
    blocks->file = file;
    blocks->zeroed_end = zeroed_end;
    blocks->full = false;
    blocks->step_bytes = first_step(blocks);
    if (zeroed_end > 0)
        use_direct(blocks);
}

static void start_job(struct aq_segment_blocks *blocks, uint64_t begin)
{
    uint64_t end = begin + blocks->step_bytes;
    blocks->job_begin = begin;
    blocks->job_end = block_ceiling(end < blocks->file_bytes_max ? end : blocks->file_bytes_max);
    if (blocks->step_bytes < STEP_BYTES_MAX)
        blocks->step_bytes *= 2;
    aq_zero_ahead_start(blocks->ahead, blocks->file, begin, blocks->job_end);
}

/* The file of the next segment. */
static void start_spare(struct aq_segment_blocks *blocks)
{
    if (aq_io_open(blocks->io, blocks->store->home_fd, "segments", AQ_IO_WRITE | AQ_IO_UNNAMED,
                   "segments", &blocks->spare, NULL) < 0)
        return;
    blocks->spare_job = true;
    blocks->spare_end = 0;
    aq_zero_ahead_start(blocks->ahead, blocks->spare, 0, block_ceiling(blocks->file_bytes_max));
}

/* Have more zeroed, if it is time for that and nothing is under way. */
static void zero_more(struct aq_segment_blocks *blocks, uint64_t offset)
{
    uint64_t left = blocks->zeroed_end > offset ? blocks->zeroed_end - offset : 0;
    uint64_t begin =
        left > 0 ? blocks->zeroed_end : block_ceiling(offset + first_step(blocks) / MARGIN_SHARE);
    if (blocks->full || (blocks->zeroed_end == 0 && offset < first_step(blocks) / MARGIN_SHARE))
        return; /* it may stay small */
    if (begin < blocks->file_bytes_max) {
        if (left < blocks->step_bytes / 4) /* half of what was zeroed last is used */
            start_job(blocks, begin);
    } else if (blocks->spare == NULL && offset > blocks->file_bytes_max / SPARE_SHARE) {
        start_spare(blocks);
    }
}

struct aq_io_file *aq_segment_blocks_write(struct aq_segment_blocks *blocks, uint64_t offset,
                                           uint64_t size)
{
    bool meets = blocks->job_end > 0 && offset + size > blocks->job_begin;
    if (meets || !aq_zero_ahead_is_running(blocks->ahead))
        collect(blocks, false);
    if (blocks->zeroed_end > 0)
        use_direct(blocks);
    bool direct =
        blocks->direct != NULL && offset % AQ_IO_BLOCK_BYTES == 0 && size % AQ_IO_BLOCK_BYTES == 0;
    if (blocks->job_end == 0 && !blocks->spare_job)
        zero_more(blocks, offset + size);
    return direct ? blocks->direct : blocks->file;
}

enum aq_status aq_segment_blocks_cut(struct aq_segment_blocks *blocks, uint64_t file_bytes,
                                     struct aq_error *err)
{
    int fd = aq_io_file_fd(blocks->file);
    struct stat info;
    if (blocks->job_end > 0)
        collect(blocks, true);
    if (fstat(fd, &info) == 0 && (uint64_t)info.st_size <= file_bytes)
        return AQ_OK;
    if (ftruncate(fd, (off_t)file_bytes) != 0 || (!aq_mutant(18) && fdatasync(fd) != 0))
        return aq_error_set_errno(err, errno, "", "cannot cut off what was zeroed ahead");
    return AQ_OK;
}

void aq_segment_blocks_end(struct aq_segment_blocks *blocks)
{
    if (blocks->job_end > 0)
        collect(blocks, true);
    aq_io_close(blocks->direct);
    blocks->direct = NULL;
    blocks->file = NULL;
    blocks->zeroed_end = 0;
}
