/* Grouping: rows go into a table of groups with the states of their aggregates. */
#ifndef AQ_ENGINE_QUERY_EXEC_GROUP_SINK_H
#define AQ_ENGINE_QUERY_EXEC_GROUP_SINK_H

#include "engine/query/exec/aggregate/aggregate.h"
#include "engine/query/exec/aggregate/group_table.h"

/** One thread's partial result. */
struct aq_group_sink {
    const struct aq_plan *plan;
    bool all_ties; /* the columns that break ties are all there, not just the plan's eager ones */
    bool tie_open; /* first or last needs all of them: the sink is useless */
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

enum aq_status aq_group_sink_init(struct aq_group_sink *sink, const struct aq_plan *plan,
                                  bool all_ties) AQ_RESULT;
void aq_group_sink_deinit(struct aq_group_sink *sink);
size_t aq_group_sink_bytes(const struct aq_group_sink *sink);

/** Add rows of the chunk (`selection` or 0..row_count). May set tie_open. */
enum aq_status aq_group_sink_add(struct aq_group_sink *sink, struct aq_eval *eval,
                                 const uint32_t *selection, size_t row_count) AQ_RESULT;

/** What is known of rows that are all of one group. */
struct aq_known_rows {
    const struct aq_vector *const *keys; /* the group's, one row each; NULL without GROUP BY */
    uint64_t row_count;
    const struct aq_column_stats *const
        *stats; /* by aggregate, of its first argument; NULL where there are none */
    const struct aq_run_ends *const *ends; /* by input, of rows of one run, or NULL; NULL: none */
};
/** Whether every aggregate of the plan can do with what is known of rows, whatever that is. */
bool aq_group_sink_takes_known(const struct aq_plan *plan);
/** Add rows by what is known of them; `*done` = false: they are needed. May set tie_open. */
enum aq_status aq_group_sink_add_known(struct aq_group_sink *sink,
                                       const struct aq_known_rows *known, bool *done) AQ_RESULT;
/** Add `from` to `to`; `from` stays to be released. May set tie_open. */
enum aq_status aq_group_sink_merge(struct aq_group_sink *to, struct aq_group_sink *from) AQ_RESULT;
/** The groups' keys, then aggregates, as vectors with one row a group. Vectors are made in `out`
 * (group_count + aggregate_count of them, zeroed), keys being views; bytes live in `arena`. */
enum aq_status aq_group_sink_finish(struct aq_group_sink *sink, struct aq_vector *out,
                                    struct aq_arena *arena, struct aq_error *err) AQ_RESULT;

#endif
