/* The tables of aggregate functions, one a file, and what their files share. */
#ifndef AQ_ENGINE_QUERY_EXEC_AGGREGATE_LIST_H
#define AQ_ENGINE_QUERY_EXEC_AGGREGATE_LIST_H

#include "engine/query/exec/aggregate/aggregate.h"

struct aq_aggregate_list {
    const struct aq_aggregate_function *functions;
    size_t count;
};

extern const struct aq_aggregate_list aq_number_aggregates;
extern const struct aq_aggregate_list aq_value_aggregates;

/** Flags of the rows whose first argument is not null; NULL: all of them. */
static inline const uint8_t *aq_aggregate_counted(const struct aq_aggregate_input *input)
{
    return input->args[0] == NULL ? NULL : input->args[0]->valid;
}

#endif
