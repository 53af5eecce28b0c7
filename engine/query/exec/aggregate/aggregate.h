/* Aggregate functions: their states, and how chunks of rows go into them. Every result is a function
 * of the multiset of rows, so partial states of threads merge in any order. */
#ifndef AQ_ENGINE_QUERY_EXEC_AGGREGATE_H
#define AQ_ENGINE_QUERY_EXEC_AGGREGATE_H

#include "engine/query/plan.h"
#include "format/archive/archive.h"

/** A run of rows of one group. */
struct aq_run {
    uint32_t first;
    uint32_t count;
    uint32_t group;
};

/** What an update sees: dense arguments and the runs that cover them. */
struct aq_aggregate_input {
    const struct aq_vector *args[AQ_AGGREGATE_ARGS_MAX];
    const struct aq_run *runs;
    size_t run_count;
    const struct aq_vector *const *ties; /* columns that order rows of equal time */
    size_t tie_count;
    bool ties_complete; /* a tie that `ties` leaves open is between equal rows */
};

enum { AQ_TIE_OPEN = 2 }; /* update: rows tie in all of `ties`; begin again with all columns */

struct aq_aggregate_function {
    const char *name;
    size_t arg_count;
    size_t state_size;
    /** Type of the result for these argument types, 0 if they do not fit. */
    enum aq_type (*result)(const enum aq_type *args);
    /** Add rows to states[group]: `states` has `state_size` bytes a group. May return AQ_TIE_OPEN. */
    int (*update)(const struct aq_aggregate *aggregate, void *states,
                  const struct aq_aggregate_input *input);
    enum aq_status (*merge)(const struct aq_aggregate *aggregate, void *to, void *from,
                            int *tie_open);
    /** Append the result to `out`; slices are borrowed from the state. */
    enum aq_status (*finish)(const struct aq_aggregate *aggregate, void *state,
                             struct aq_vector *out, struct aq_arena *arena);
    void (*release)(void *state); /* NULL: nothing is owned */
    /** Add a whole unit by its statistics; NULL: the function needs rows. False: these do not do. */
    bool (*update_stats)(const struct aq_aggregate *aggregate, void *state, uint64_t row_count,
                         const struct aq_column_stats *stats);
    /* It picks the value of the row at this end of all rows, by the other argument, ties settled by other columns. */
    bool uses_ties;
    enum aq_end end;
    bool skips_nulls; /* of all rows that have a value */
};

/** The function for these arguments, or NULL. `known` tells whether any has the name. */
const struct aq_aggregate_function *aq_aggregate_find(const char *name, const enum aq_type *args,
                                                      size_t arg_count, bool *known);

#endif
