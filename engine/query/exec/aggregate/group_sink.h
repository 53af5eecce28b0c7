/* Grouping: rows go into a table of groups with the states of their aggregates. */
#ifndef AQ_ENGINE_QUERY_EXEC_GROUP_SINK_H
#define AQ_ENGINE_QUERY_EXEC_GROUP_SINK_H

#include "engine/query/exec/aggregate/aggregate.h"
#include "engine/query/exec/aggregate/group_table.h"

/** One thread's partial result. */
struct aq_group_sink {
    const struct aq_plan *plan;
    struct aq_group_table table;
    uint8_t **states;                /* by aggregate: state_size bytes a group */
    size_t state_capacity;           /* groups */
    size_t state_count;              /* groups whose states are initialised */
    struct aq_group_table *distinct; /* by aggregate: (group, arguments), where DISTINCT */
    struct aq_run *runs;             /* of the chunk */
    uint32_t *groups;
    uint32_t *passed_rows; /* the same for the rows that pass a FILTER */
    uint32_t *passed_groups;
    struct aq_run *passed_runs;
};

enum aq_status aq_group_sink_init(struct aq_group_sink *sink, const struct aq_plan *plan) AQ_RESULT;
void aq_group_sink_deinit(struct aq_group_sink *sink);
size_t aq_group_sink_bytes(const struct aq_group_sink *sink);

/** Add rows of the chunk (`selection` or 0..row_count). `*tie_open` is set when first or last needs
 * all columns; the sink is then useless. */
enum aq_status aq_group_sink_add(struct aq_group_sink *sink, struct aq_eval *eval,
                                 const uint32_t *selection, size_t row_count, bool all_ties,
                                 bool *tie_open) AQ_RESULT;
/** Add rows that are all of one group by their statistics; `*done` = false: rows are needed. `stats` holds one
 * entry an aggregate, NULL for count(*) and where there are none; `keys` the group's, one row each, NULL without
 * GROUP BY. */
enum aq_status aq_group_sink_add_stats(struct aq_group_sink *sink,
                                       const struct aq_vector *const *keys, uint64_t row_count,
                                       const struct aq_column_stats *const *stats,
                                       bool *done) AQ_RESULT;
/** Add `from` to `to`; `from` stays to be released. */
enum aq_status aq_group_sink_merge(struct aq_group_sink *to, struct aq_group_sink *from,
                                   bool *tie_open) AQ_RESULT;
/** The groups' keys, then aggregates, as vectors with one row a group. Vectors are made in `out`
 * (group_count + aggregate_count of them, zeroed), keys being views; bytes live in `arena`. */
enum aq_status aq_group_sink_finish(struct aq_group_sink *sink, struct aq_vector *out,
                                    struct aq_arena *arena, struct aq_error *err) AQ_RESULT;

#endif
