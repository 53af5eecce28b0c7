/* The input rows of one dataset: read once, and given group by group in windows that fit memory. */
#ifndef AQ_COMPACTION_ROW_SOURCE_H
#define AQ_COMPACTION_ROW_SOURCE_H

#include "compaction/compact_job.h"
#include "compaction/merge/rows/key_windows.h"
#include "compaction/merge/rows/run_merge.h"
#include "compaction/merge/rows/unit_ahead.h"

/** A unit of the inputs. */
struct aq_source_unit {
    const struct aq_unit *unit;
    size_t first_group; /* that may have rows of it */
    size_t last_group;
    bool held;
    struct aq_batch batch; /* its rows, while it is held */
};

/** Owned by whoever opened it; read-only to others. */
struct aq_row_source {
    const struct aq_compact_job *job;
    const struct aq_compact_dataset *dataset;
    const struct aq_schema *schema;
    size_t column_count; /* that archives store */
    uint32_t *column_ids;
    struct aq_source_unit
        *units; /* by first group, those with rows of others first, then in the snapshot's order */
    size_t unit_count;
    size_t read_count; /* of these, what has been read */
    struct aq_unit_ahead ahead;
    struct aq_unit_queue queue; /* `units` */
    uint64_t row_total;
    struct aq_content_hash content; /* of all rows read so far */
    uint64_t held_bytes;            /* what sorting them takes included */
    size_t group;
    /* Where the rows do not fit: read key by key. */
    bool windowed;
    struct aq_key_windows windows;
    /* Or files of sorted rows, a part a group; and their merge for this group. */
    struct aq_row_run **runs;
    size_t run_count;
    size_t block_rows;
    bool merging;
    struct aq_run_merge merge;
    struct aq_row_stretch *stretches; /* the window, where it is not the merge's */
    bool given;                       /* and whether it has been given */
};

/** Consecutive rows of a group in storage order, themselves in any order. */
struct aq_row_window {
    const struct aq_row_stretch *stretches;
    size_t stretch_count;
    struct aq_time_range range; /* the rows that count */
    bool last;                  /* no rows of the group follow */
};

/** List the units; nothing is read yet. */
enum aq_status aq_row_source_open(const struct aq_compact_job *job,
                                  const struct aq_compact_dataset *dataset,
                                  struct aq_row_source *source, struct aq_error *err) AQ_RESULT;

/** Go to group `group`, one after the other from 0: read what has rows of it and was not read before. */
enum aq_status aq_row_source_begin(struct aq_row_source *source, size_t group,
                                   struct aq_error *err) AQ_RESULT;

/** The next window, valid until it is consumed. @return AQ_OK; AQ_END when the group has no rows left. */
enum aq_status aq_row_source_next(struct aq_row_source *source, struct aq_row_window *window,
                                  struct aq_error *err) AQ_RESULT;

/** Done with rows refs[0, count): of the last window of the group all, of others perhaps its first ones only, and
 * the rest comes again. */
enum aq_status aq_row_source_consume(struct aq_row_source *source,
                                     const struct aq_sorted_rows *sorted, size_t count,
                                     struct aq_error *err) AQ_RESULT;

/** Release what only this group, or an earlier one, has rows in. */
void aq_row_source_end(struct aq_row_source *source);

void aq_row_source_close(struct aq_row_source *source);

#endif
