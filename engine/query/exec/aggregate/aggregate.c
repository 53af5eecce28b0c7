/* Finding the aggregate function that fits its arguments. */
#include "engine/query/exec/aggregate/aggregate.h"

#include <string.h>

#include "engine/query/exec/aggregate/aggregate_list.h"

const struct aq_aggregate_function *aq_aggregate_find(const char *name, const enum aq_type *args,
                                                      size_t arg_count, bool *known)
{
    static const struct aq_aggregate_list *const lists[] = {&aq_number_aggregates,
                                                            &aq_value_aggregates};
    *known = false;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (size_t f = 0; f < lists[l]->count; f++) {
            const struct aq_aggregate_function *function = &lists[l]->functions[f];
            if (strcmp(function->name, name) != 0)
                continue;
            *known = true;
            if (args != NULL && function->arg_count == arg_count && function->result(args) != 0)
                return function;
        }
    }
    return NULL;
}
