/* The planning of one dataset: what its steps share. Private to the planner. */
#ifndef AQ_COMPACTION_PLAN_PLAN_INTERNAL_H
#define AQ_COMPACTION_PLAN_PLAN_INTERNAL_H

#include "compaction/compact_plan.h"
#include "format/base/calendar.h"

/** Files that one merge of a level below the last takes at least. */
#define AQ_ROLL_UP_FILES_MIN 4
/** Small files of about the same size that are merged wherever they lie. */
#define AQ_SAME_SIZE_FILES 8
/** Of a merge, what is not its largest file must be at least this part (1/n) of the largest. */
#define AQ_PAYS_PART 2

/** An archive of the dataset. */
struct aq_plan_piece {
    const struct aq_catalog_file *file;
    struct aq_compact_verdict *verdict;
    int64_t min_us; /* without a time: 0 */
    int64_t max_us;
    bool small;   /* below half of the target size, its root not nearly full */
    bool allowed; /* may be read and replaced: at home, and named by the options */
    bool input;
};

/** What lies in one span of time. */
struct aq_plan_density {
    enum aq_span span;
    int64_t start_us;
    uint64_t bytes;
    uint64_t child_bytes; /* of the fullest span of the next finer kind */
};

/** A slot, or part of one, whose archives become one. */
struct aq_plan_range {
    int64_t from_us;
    int64_t until_us;
    const char *reason;
};

struct aq_plan_dataset {
    const struct aq_catalog *catalog;
    const struct aq_compact_options *options;
    const struct aq_schema *schema;
    const struct aq_spread *spread; /* rows of closed segments */
    struct aq_arena *arena;
    size_t piece_count;
    struct aq_plan_piece *pieces; /* by file id */
    double bytes_per_row;         /* of its archives, or a guess */
    size_t density_count;
    struct aq_plan_density *densities; /* by span and start */
    size_t range_count;
    struct aq_plan_range *ranges; /* ascending, disjoint */
};

/** Size of the archive that so many rows would make; 0 for none. */
uint64_t aq_plan_bytes(const struct aq_plan_dataset *dataset, uint64_t row_count);
/** Size of the archive that the segments' rows in [from_us, until_us) would make. */
uint64_t aq_plan_new_bytes(const struct aq_plan_dataset *dataset, int64_t from_us,
                           int64_t until_us);
/** Of `whole`, the bytes or rows of an archive, those in [from_us, until_us): taken to lie evenly between its
 * bounds; at least 1 where it reaches in. */
uint64_t aq_plan_share(uint64_t whole, const struct aq_plan_piece *piece, int64_t from_us,
                       int64_t until_us);
static inline bool aq_plan_contains(int64_t from_us, int64_t until_us,
                                    const struct aq_plan_piece *piece)
{
    return piece->min_us >= from_us && (piece->max_us < until_us || until_us == INT64_MAX);
}
static inline bool aq_plan_overlaps(int64_t from_us, int64_t until_us,
                                    const struct aq_plan_piece *piece)
{
    return piece->max_us >= from_us && (piece->min_us < until_us || until_us == INT64_MAX);
}

/** Add up what lies where (plan_density.c). AQ_OK or AQ_NO_MEMORY. */
enum aq_status aq_plan_weigh(struct aq_plan_dataset *dataset) AQ_RESULT;
/** Kind of the span, around a time, that a roll-up ends with: the coarsest one of which no part has half of the
 * target size. */
enum aq_span aq_plan_last_span(const struct aq_plan_dataset *dataset, int64_t time_us);
/** Spans that new rows are kept apart by: the last one, at most a month. */
enum aq_span aq_plan_unit(const struct aq_plan_dataset *dataset, int64_t time_us);
/** Whether a span that ends then is closed: no more than late rows may come. */
bool aq_plan_is_closed(const struct aq_compact_options *options, int64_t end_us);

/** Choose the closed slots that are rolled up: dataset->ranges; their archives become inputs
 * (plan_roll_up.c). AQ_OK or AQ_NO_MEMORY. */
enum aq_status aq_plan_roll_up(struct aq_plan_dataset *dataset) AQ_RESULT;
/** Make inputs of the archives of which tombstones have removed half or more (plan_removed.c). AQ_OK or
 * AQ_NO_MEMORY. */
enum aq_status aq_plan_take_removed(struct aq_plan_dataset *dataset) AQ_RESULT;
/** Cut all of time into groups: the chosen ranges, and what lies between them (plan_groups.c). AQ_OK or
 * AQ_NO_MEMORY. */
enum aq_status aq_plan_group(struct aq_plan_dataset *dataset,
                             struct aq_compact_dataset *result) AQ_RESULT;

#endif
