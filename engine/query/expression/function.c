/* Finding the overload of a function or operator that fits its arguments.
 *
 * Every argument costs what its conversion costs: nothing for the same type, more the farther an
 * implicit cast goes; an untyped literal prefers an operator's other type, or text. The cheapest
 * overload wins, the first of equals. This gives PostgreSQL's choice for the types that exist here. */
#include "engine/query/expression/function.h"

#include <string.h>

#include "format/table/nearest.h"

#define COST_NEVER 1000

static const struct aq_function_list *const lists[] = {
    &aq_arithmetic_functions, &aq_math_functions,    &aq_text_functions,
    &aq_like_functions,       &aq_time_functions,    &aq_interval_functions,
    &aq_json_functions,       &aq_to_char_functions, &aq_bucket_functions,
};
#define LIST_COUNT (sizeof lists / sizeof lists[0])

/* from, to, cost: what PostgreSQL converts without being asked, preferred types first. */
static const struct {
    enum aq_type from;
    enum aq_type to;
    int cost;
} implicit_casts[] = {
    {AQ_TYPE_INTEGER, AQ_TYPE_BIGINT, 1},        {AQ_TYPE_INTEGER, AQ_TYPE_DOUBLE, 2},
    {AQ_TYPE_INTEGER, AQ_TYPE_REAL, 3},          {AQ_TYPE_BIGINT, AQ_TYPE_DOUBLE, 1},
    {AQ_TYPE_BIGINT, AQ_TYPE_REAL, 2},           {AQ_TYPE_REAL, AQ_TYPE_DOUBLE, 1},
    {AQ_TYPE_DATE, AQ_TYPE_TIMESTAMPTZ, 1},      {AQ_TYPE_DATE, AQ_TYPE_TIMESTAMP, 2},
    {AQ_TYPE_TIMESTAMP, AQ_TYPE_TIMESTAMPTZ, 1},
};

static int cast_cost(enum aq_type from, enum aq_type to)
{
    if (from == to)
        return 0;
    for (size_t i = 0; i < sizeof implicit_casts / sizeof implicit_casts[0]; i++)
        if (implicit_casts[i].from == from && implicit_casts[i].to == to)
            return implicit_casts[i].cost;
    return COST_NEVER;
}

bool aq_type_implicit(enum aq_type from, enum aq_type to)
{
    return cast_cost(from, to) < COST_NEVER;
}

static enum aq_type wanted_type(const struct aq_function *function, size_t arg)
{
    return function->args[arg < function->arg_count ? arg : function->arg_count - 1];
}

/* An operator's untyped side is of the other side's type; a function prefers text. */
static int unknown_cost(const struct aq_function *function, enum aq_type wanted,
                        const struct aq_expr *const *args, size_t arg_count)
{
    bool is_operator = !((function->name[0] | 0x20) >= 'a' && (function->name[0] | 0x20) <= 'z');
    bool all_unknown = true;
    for (size_t a = 0; a < arg_count; a++) {
        if (args[a]->unknown)
            continue;
        all_unknown = false;
        if (is_operator && args[a]->type == wanted)
            return 0;
    }
    if (wanted == AQ_TYPE_TEXT)
        return all_unknown || !is_operator ? 1 : 3;
    return wanted == AQ_TYPE_DOUBLE || wanted == AQ_TYPE_TIMESTAMPTZ ? 4 : 5;
}

static int call_cost(const struct aq_function *function, const struct aq_expr *const *args,
                     size_t arg_count)
{
    if (arg_count != function->arg_count &&
        !(function->variadic && arg_count >= function->arg_count))
        return COST_NEVER;
    int cost = 0;
    for (size_t a = 0; a < arg_count; a++) {
        enum aq_type wanted = wanted_type(function, a);
        int one = args[a]->unknown ? unknown_cost(function, wanted, args, arg_count)
                                   : cast_cost(args[a]->type, wanted);
        /* concat and || write any value as text. */
        if (one == COST_NEVER && wanted == AQ_TYPE_TEXT &&
            (function->variadic || strcmp(function->name, "||") == 0))
            one = 10;
        if (one == COST_NEVER)
            return COST_NEVER;
        cost += one;
    }
    return cost;
}

const struct aq_function *aq_function_find(const char *name, const struct aq_expr *const *args,
                                           size_t arg_count, bool *known_name)
{
    const struct aq_function *best = NULL;
    int best_cost = COST_NEVER;
    *known_name = false;
    for (size_t l = 0; l < LIST_COUNT; l++) {
        for (size_t f = 0; f < lists[l]->count; f++) {
            const struct aq_function *function = &lists[l]->functions[f];
            if (strcmp(function->name, name) != 0)
                continue;
            *known_name = true;
            int cost = call_cost(function, args, arg_count);
            if (cost < best_cost) {
                best_cost = cost;
                best = function;
            }
        }
    }
    return best;
}

const char *aq_function_nearest(const char *name)
{
    static const char *const others[] = {
        "count",      "sum",      "avg",      "min",      "max",    "stddev",   "stddev_samp",
        "stddev_pop", "variance", "var_samp", "var_pop",  "first",  "last",     "bool_and",
        "bool_or",    "arg_min",  "arg_max",  "coalesce", "nullif", "greatest", "least",
    };
    const char *names[512];
    size_t count = 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        names[count++] = others[i];
    for (size_t l = 0; l < LIST_COUNT; l++)
        for (size_t f = 0; f < lists[l]->count && count < sizeof names / sizeof names[0]; f++)
            names[count++] = lists[l]->functions[f].name;
    return aq_nearest_word(aq_slice_of(name), names, count);
}
