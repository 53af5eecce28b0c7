/* What a compaction reads: a pure function from a catalog to a plan. */
#ifndef AQ_COMPACTION_COMPACT_PLAN_H
#define AQ_COMPACTION_COMPACT_PLAN_H

#include "compaction/compact.h"
#include "compaction/plan/survey.h"

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
    uint64_t row_count; /* of input segments; a day's worth of rows may be counted beside a bound */
    uint64_t bytes;     /* that its files will have, about */
    uint64_t file_bytes; /* begin another output file at this size; 0: at the target size */
    const char *reason;  /* why these are merged, for people */
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

/** What the plan says of a file. */
struct aq_compact_verdict {
    const struct aq_catalog_file *file;
    bool input;
    /* Archives: no later plan will read it because of what is in the catalog now, before a decade is over;
     * so it may leave the home. */
    bool final;
    const char *reason; /* why it is an input, or why not; for people */
};

struct aq_compact_plan {
    size_t input_count;                    /* 0: nothing to do */
    const struct aq_catalog_file **inputs; /* by file id; borrowed from the catalog */
    size_t dataset_count;
    struct aq_compact_dataset *datasets; /* by dataset id */
    size_t verdict_count;                /* all files of the catalog */
    struct aq_compact_verdict *verdicts; /* in its order */
    uint64_t segment_count;
    uint64_t archive_count;
    uint64_t row_count;
    uint64_t input_bytes;
    uint64_t output_bytes; /* that its files will have, about */
};

/**
 * What one compaction reads, and which rows it brings together. A pure function of what it is given; how it
 * chooses, and what that costs: docs/decisions/roll-up.md.
 *
 * Every closed segment is an input, whole. An archive is one when its slot is rolled up, or when it is
 * small and goes with late rows.
 *
 * @param options  target_size_bytes, now_us, late_us, before_us and datasets count; no defaults are filled in.
 * @param survey   When the segments' rows happened; NULL: guessed from the catalog.
 * @param plan     Its arrays live in `arena`.
 * @return AQ_OK; AQ_NOT_FOUND when options->datasets names none; AQ_CORRUPT when a file names a dataset
 *         that the catalog does not have; AQ_NO_MEMORY.
 */
enum aq_status aq_compact_plan_make(const struct aq_catalog *catalog,
                                    const struct aq_compact_options *options,
                                    const struct aq_survey *survey, struct aq_arena *arena,
                                    struct aq_compact_plan *plan, struct aq_error *err) AQ_RESULT;

/** Whether the plan reads this file. */
bool aq_compact_plan_reads(const struct aq_compact_plan *plan, uint64_t file_id);

#endif
