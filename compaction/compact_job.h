/* One compaction under way: what its steps share. */
#ifndef AQ_COMPACTION_COMPACT_JOB_H
#define AQ_COMPACTION_COMPACT_JOB_H

#include "compaction/merge/write/archive_output.h"
#include "compaction/compact_plan.h"
#include "engine/base/workers.h"

struct aq_compact_job {
    struct aq_store *store;
    const struct aq_compact_options *options;
    uint64_t target_size_bytes; /* of options, defaults filled in */
    uint64_t memory_bytes;
    struct aq_workers workers;
    struct aq_snapshot *snapshot;
    struct aq_compact_plan plan;
    struct aq_arena arena;              /* of the plan */
    struct aq_archive_output **outputs; /* all files made so far; the last one may be open */
    size_t output_count;
    uint64_t dropped_rows; /* duplicates, of datasets with "unique" */
};

/** AQ_INTERRUPTED when the caller wants the job to stop. */
enum aq_status aq_compact_check_stop(const struct aq_compact_job *job,
                                     struct aq_error *err) AQ_RESULT;
void aq_compact_report_progress(const struct aq_compact_job *job, const char *dataset,
                                const char *phase, uint64_t rows_done, uint64_t rows_total);

/** Merge the input rows of a dataset, each group by itself, into new archives, appended to job->outputs:
 * sorted, finished, verified, and holding exactly the rows that were read, but for duplicates, which are counted
 * in job->dropped_rows. */
enum aq_status aq_compact_merge(struct aq_compact_job *job,
                                const struct aq_compact_dataset *dataset,
                                struct aq_error *err) AQ_RESULT;

#endif
