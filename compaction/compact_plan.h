/* What a compaction reads: a pure function from a catalog to a plan. */
#ifndef AQ_COMPACTION_COMPACT_PLAN_H
#define AQ_COMPACTION_COMPACT_PLAN_H

#include "compaction/compact.h"

/** Rows of one dataset that are merged with each other, into archives of their own. */
struct aq_compact_group {
    const struct aq_schema *schema; /* in force; borrowed from the catalog */
    /* Rows of the inputs, segments and archives alike, whose time is in [from_us, until_us) belong here;
     * those without a time into the group with until_us == INT64_MAX, which has times of INT64_MAX, too. */
    int64_t from_us;
    int64_t until_us;
    /* Input archives that may have rows here. One that reaches over the bounds is in several groups, and
     * each takes its own rows of it. */
    const struct aq_catalog_file **archives;
    size_t archive_count;
    uint64_t archive_rows; /* of all these */
    uint64_t file_bytes;   /* begin another output file at this size; 0: at the target size */
    const char *reason;    /* why these are merged, for people */
};

/** A dataset that inputs have rows of. */
struct aq_compact_dataset {
    const struct aq_schema *schema;
    uint64_t row_count; /* in all inputs */
    struct aq_compact_group
        *groups; /* ascending; from INT64_MIN to INT64_MAX without a gap, and each
                                        input archive of the dataset is in at least one */
    size_t group_count;
};

struct aq_compact_plan {
    size_t input_count;                    /* 0: nothing to do */
    const struct aq_catalog_file **inputs; /* by file id; borrowed from the catalog */
    size_t dataset_count;
    struct aq_compact_dataset *datasets; /* by dataset id */
    uint64_t segment_count;
    uint64_t archive_count;
    uint64_t row_count;
    uint64_t input_bytes;
};

/**
 * Inputs are every closed segment, whole; and a dataset's archives below half of the target size, when
 * the dataset has new rows or two such archives (and is named in options->datasets, if that is given).
 *
 * @param plan  Its arrays live in `arena`.
 * @return AQ_OK; AQ_NOT_FOUND when options->datasets names none; AQ_CORRUPT when a file names a dataset
 *         that the catalog does not have; AQ_NO_MEMORY.
 */
enum aq_status aq_compact_plan_make(const struct aq_catalog *catalog,
                                    const struct aq_compact_options *options,
                                    struct aq_arena *arena, struct aq_compact_plan *plan,
                                    struct aq_error *err) AQ_RESULT;

/** Whether the plan reads this file. */
bool aq_compact_plan_reads(const struct aq_compact_plan *plan, uint64_t file_id);

#endif
