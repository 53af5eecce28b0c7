/* Reading ahead of the inputs of a merge: a bounded number of bytes is on its way while others are decoded. */
#ifndef AQ_COMPACTION_UNIT_AHEAD_H
#define AQ_COMPACTION_UNIT_AHEAD_H

#include "compaction/compact_job.h"
#include "engine/store/snapshot/read_ahead.h"

struct aq_source_unit;

struct aq_unit_ahead {
    struct aq_read_ahead *hints; /* NULL: there are none */
    uint64_t bytes_max;
    const uint32_t *column_ids; /* borrowed */
    size_t column_count;
};

/** Of these columns. Never fails: units are then read without. */
void aq_unit_ahead_open(const struct aq_compact_job *job, const uint32_t *column_ids,
                        size_t column_count, struct aq_unit_ahead *ahead);
void aq_unit_ahead_close(struct aq_unit_ahead *ahead);

/** Units in the order in which they are read; borrowed. */
struct aq_unit_queue {
    const struct aq_source_unit *units;
    size_t unit_count;
    size_t step; /* every so manyth */
    size_t asked_end;
    bool (*is_due)(const void *context, const struct aq_unit *unit); /* NULL: all are */
    const void *context;
};

/** Unit `next` (counted in steps) and those behind it are about to be read: ask for those that have not been asked for, up
 * to `bytes_max` from `next` on. Does not wait. */
void aq_unit_ahead_ask(const struct aq_unit_ahead *ahead, struct aq_unit_queue *queue, size_t next);

#endif
