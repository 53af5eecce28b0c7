/* Which frames of an open segment are durable, asked by somebody who does not write it.
 *
 * Happy path: a segment whose flock is held is read up to the length its writer published.
 * Failures: a flock that is free means a dead writer: the valid prefix is found as recovery finds it,
 * without changing anything. A flock that is held but no page to read: the segment is just being
 * opened, and has no frame yet; else it is looked at again. */
#include "engine/base/clock.h"
#include "engine/store/segment/segment_scan.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/file.h>
#include <unistd.h>

#define SETTLE_MS 5000
#define RETRY_MS 10

/* The writer is gone; nobody can become its successor while the catalog names it open. */
static enum aq_status read_abandoned(struct aq_store *store, const struct aq_segment_file *file,
                                     struct aq_segment_totals *totals, struct aq_error *err)
{
    struct aq_published published;
    uint64_t torn_bytes = 0;
    bool known =
        aq_published_read(store, file->expected.segment_id, file->expected.epoch, &published);
    return aq_segment_find_prefix(file, known ? &published : NULL, totals, &torn_bytes, err);
}

static enum aq_status read_published(const struct aq_segment_file *file,
                                     const struct aq_published *published,
                                     struct aq_segment_totals *totals, struct aq_error *err)
{
    if (published->frame_count > 0)
        AQ_TRY(aq_segment_scan(file, published->durable_bytes, false, totals, err));
    if (totals->index.frame_count != published->frame_count)
        return aq_error_set_at(err, AQ_CORRUPT, file->path, -1,
                               "holds %zu frames where its writer published %" PRIu64,
                               totals->index.frame_count, published->frame_count);
    return AQ_OK;
}

/* Not a byte behind the header, or zeros that were written ahead: so whoever holds the lock, even a writer that was
 * frozen while opening, there is no frame now. */
static bool has_no_frames(const struct aq_segment_file *file)
{
    uint8_t bytes[AQ_FRAME_PREFIX_BYTES] = {0};
    ssize_t count = pread(file->fd, bytes, sizeof bytes, AQ_SEGMENT_HEADER_BYTES);
    bool zeros = true;
    for (size_t i = 0; i < sizeof bytes; i++)
        zeros = zeros && bytes[i] == 0;
    return count >= 0 && zeros;
}

/* AQ_TEMPORARY: neither a writer's word nor a free lock; ask again. */
static enum aq_status try_read(struct aq_store *store, const struct aq_segment_file *file,
                               struct aq_segment_totals *totals, struct aq_error *err)
{
    if (aq_mutant(69) || flock(file->fd, LOCK_SH | LOCK_NB) == 0) {
        enum aq_status status = read_abandoned(store, file, totals, err);
        flock(file->fd, LOCK_UN);
        return status;
    }
    if (errno != EWOULDBLOCK && errno != EINTR)
        return aq_error_set_errno(err, errno, file->path, "cannot lock");
    struct aq_published published;
    if (aq_published_read(store, file->expected.segment_id, file->expected.epoch, &published))
        return read_published(file, &published, totals, err);
    if (has_no_frames(file))
        return AQ_OK;
    return aq_error_set_at(err, AQ_TEMPORARY, file->path, -1,
                           "is being opened by another process; try again");
}

enum aq_status aq_segment_read_open(struct aq_store *store, const struct aq_segment_file *file,
                                    struct aq_segment_totals *totals, struct aq_error *err)
{
    enum aq_status status;
    int64_t deadline_ms = aq_clock_ms() + SETTLE_MS;
    while ((status = try_read(store, file, totals, err)) == AQ_TEMPORARY &&
           aq_clock_ms() < deadline_ms)
        aq_clock_sleep_us(RETRY_MS * 1000);
    return status;
}
