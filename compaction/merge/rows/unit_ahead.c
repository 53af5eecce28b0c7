/* What of the inputs the kernel is asked for before it is read.
 *
 * Happy path: before each wave of units everything from its first one on, up to a limit, is asked for, but for what was
 * asked for before. So while a wave is decoded, and while a group is coded and written, the disk fetches what comes next.
 * The limit is of bytes that lie in the kernel's cache, which are not ours; it is a part of the memory for the
 * merge all the same, since a control group counts them, and a second's worth where there is a rate. Where passes by key
 * begin, what was asked for before comes on top of it.
 *
 * Failures: none; whoever reads the units finds what is wrong. */
#include "compaction/merge/rows/unit_ahead.h"

#include "compaction/merge/rows/row_source.h"

#define BYTES_MAX ((uint64_t)32 << 20)
#define MEMORY_PART 8

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void aq_unit_ahead_open(const struct aq_compact_job *job, const uint32_t *column_ids,
                        size_t column_count, struct aq_unit_ahead *ahead)
{
    const struct aq_rate_limit *rate = job->options->rate;
    *ahead = (struct aq_unit_ahead){.hints = aq_read_ahead_create(job->snapshot),
                                    .bytes_max = least(BYTES_MAX, job->memory_bytes / MEMORY_PART),
                                    .column_ids = column_ids,
                                    .column_count = column_count};
    if (rate != NULL && rate->bucket.bytes_per_second > 0)
        ahead->bytes_max = least(ahead->bytes_max, rate->bucket.bytes_per_second);
}

void aq_unit_ahead_close(struct aq_unit_ahead *ahead)
{
    aq_read_ahead_destroy(ahead->hints);
    ahead->hints = NULL;
}

void aq_unit_ahead_ask(const struct aq_unit_ahead *ahead, struct aq_unit_queue *queue, size_t next)
{
    uint64_t bytes = 0;
    if (queue->asked_end < next)
        queue->asked_end = next;
    /* A unit is a hint at least. */
    for (size_t i = next; i < next + AQ_READ_AHEAD_HINTS_MAX; i++) {
        if (i * queue->step >= queue->unit_count)
            return;
        const struct aq_unit *unit = queue->units[i * queue->step].unit;
        bool due = queue->is_due == NULL || queue->is_due(queue->context, unit);
        bytes += due ? unit->size_bytes : 0;
        if (bytes > ahead->bytes_max)
            return;
        if (i < queue->asked_end)
            continue;
        if (due && !aq_read_ahead_unit(ahead->hints, unit, ahead->column_ids, ahead->column_count))
            return;
        queue->asked_end = i + 1;
    }
}
