/* Merging sorted rows that were set aside: window by window, each a part of the storage order. */
#ifndef AQ_COMPACTION_RUN_MERGE_H
#define AQ_COMPACTION_RUN_MERGE_H

#include "compaction/merge/rows/row_run.h"

/** Blocks [next_block, end_block) of a run, and the last row of it that is in memory. */
struct aq_run_reader {
    const struct aq_row_run *run;
    size_t next_block;
    size_t end_block;
    const struct aq_batch *last; /* the newest loaded block; NULL before the first */
};

/** Owned by whoever opened it; `stretches` and `stretch_count`, the window, are for others to read. */
struct aq_run_merge {
    const struct aq_schema *schema;
    const struct aq_executor *executor;
    unsigned thread_count;
    uint64_t memory_bytes; /* that loaded rows may take, sorting included */
    struct aq_run_reader *readers;
    size_t reader_count;
    struct aq_batch **blocks; /* loaded, and not consumed yet; in each run's order */
    struct aq_row_stretch
        *stretches; /* of each block what is left; afterwards what is in the window */
    size_t *lefts;  /* of each block: its first row that is not consumed */
    size_t stretch_count;
    size_t capacity;
    uint64_t loaded_bytes;
};

/** Begin with part `part` of each run. */
enum aq_status aq_run_merge_open(const struct aq_schema *schema, struct aq_row_run *const *runs,
                                 size_t run_count, size_t part, uint64_t memory_bytes,
                                 const struct aq_executor *executor, unsigned thread_count,
                                 struct aq_run_merge *merge, struct aq_error *err) AQ_RESULT;

/**
 * The next window: rows that precede, in storage order, all that are not in it. Rows that agree in what
 * `unique` names are in one window.
 * @param last  Whether no rows follow.
 * @return AQ_OK; AQ_END when no rows are left.
 */
enum aq_status aq_run_merge_next(struct aq_run_merge *merge, bool *last,
                                 struct aq_error *err) AQ_RESULT;

/** Forget rows of the window: these are its first ones in storage order; the others come again. */
void aq_run_merge_consume(struct aq_run_merge *merge, const struct aq_row_ref *refs, size_t count);

void aq_run_merge_close(struct aq_run_merge *merge);

#endif
