/* count, sum, avg, variance and stddev. Sums are exact: integers in 128 bits, doubles by
 * format/table/exact_sum.h, rounded once at the end. */
#include <math.h>
#include <string.h>

#include "engine/query/exec/aggregate/aggregate_list.h"

static uint64_t count_ones(const uint8_t *flags, size_t count)
{
    uint64_t ones = 0;
    for (size_t i = 0; i < count; i++)
        ones += flags[i];
    return ones;
}

static int count_update(const struct aq_aggregate *aggregate, void *states,
                        const struct aq_aggregate_input *input)
{
    (void)aggregate;
    int64_t *counts = states;
    const uint8_t *counted = aq_aggregate_counted(input);
    for (size_t r = 0; r < input->run_count; r++) {
        const struct aq_run *run = &input->runs[r];
        counts[run->group] +=
            (int64_t)(counted == NULL ? run->count : count_ones(counted + run->first, run->count));
    }
    return AQ_OK;
}

static enum aq_status count_merge(const struct aq_aggregate *aggregate, void *to, void *from,
                                  int *tie_open)
{
    (void)aggregate;
    (void)tie_open;
    *(int64_t *)to += *(int64_t *)from;
    return AQ_OK;
}

static enum aq_status count_finish(const struct aq_aggregate *aggregate, void *state,
                                   struct aq_vector *out, struct aq_arena *arena)
{
    (void)aggregate;
    (void)arena;
    return aq_vector_append_int(out, *(int64_t *)state);
}

static bool count_stats(const struct aq_aggregate *aggregate, void *state, uint64_t row_count,
                        const struct aq_column_stats *stats)
{
    if (aggregate->arg_count > 0 && stats == NULL)
        return false;
    *(int64_t *)state += (int64_t)(row_count - (stats == NULL ? 0 : stats->null_count));
    return true;
}

/* Sums of integers. */
struct int_sum {
    aq_int128 sum;
    uint64_t count;
};

static int int_update(const struct aq_aggregate *aggregate, void *states,
                      const struct aq_aggregate_input *input)
{
    (void)aggregate;
    struct int_sum *sums = states;
    const uint8_t *counted = aq_aggregate_counted(input);
    const int64_t *values = input->args[0]->ints;
    for (size_t r = 0; r < input->run_count; r++) {
        const struct aq_run *run = &input->runs[r];
        aq_int128 sum = 0;
        uint64_t count = run->count;
        for (size_t i = run->first; counted == NULL && i < run->first + run->count; i++)
            sum += values[i];
        if (counted != NULL) {
            count = 0;
            for (size_t i = run->first; i < run->first + run->count; i++) {
                sum += counted[i] ? values[i] : 0;
                count += counted[i];
            }
        }
        sums[run->group].sum += sum;
        sums[run->group].count += count;
    }
    return AQ_OK;
}

static enum aq_status int_merge(const struct aq_aggregate *aggregate, void *to, void *from,
                                int *tie_open)
{
    (void)aggregate;
    (void)tie_open;
    ((struct int_sum *)to)->sum += ((struct int_sum *)from)->sum;
    ((struct int_sum *)to)->count += ((struct int_sum *)from)->count;
    return AQ_OK;
}

static enum aq_status int_sum_finish(const struct aq_aggregate *aggregate, void *state,
                                     struct aq_vector *out, struct aq_arena *arena)
{
    (void)aggregate;
    (void)arena;
    const struct int_sum *sum = state;
    if (sum->count == 0)
        return aq_vector_append_null(out);
    if (sum->sum != (int64_t)sum->sum)
        return AQ_LIMIT;
    return aq_vector_append_int(out, (int64_t)sum->sum);
}

#define NANO_UNITS INT64_C(1000000000)

static enum aq_status int_avg_finish(const struct aq_aggregate *aggregate, void *state,
                                     struct aq_vector *out, struct aq_arena *arena)
{
    (void)aggregate;
    (void)arena;
    const struct int_sum *sum = state;
    if (sum->count == 0)
        return aq_vector_append_null(out);
    struct aq_exact_sum exact = {.value_count = sum->count};
    /* Out of reach for less than 10^10 of the largest integers. */
    if (__builtin_mul_overflow(sum->sum, (aq_int128)NANO_UNITS, &exact.short_sum))
        return AQ_LIMIT;
    double average;
    AQ_TRY(aq_exact_sum_average(&exact, &average));
    return aq_vector_append_double(out, average);
}

static bool int_stats(const struct aq_aggregate *aggregate, void *state, uint64_t row_count,
                      const struct aq_column_stats *stats)
{
    (void)aggregate;
    struct int_sum *sum = state;
    if (stats == NULL || (!stats->sum_known && stats->null_count < row_count))
        return false;
    sum->sum += stats->null_count < row_count ? stats->sum : 0;
    sum->count += row_count - stats->null_count;
    return true;
}

/* Sums of doubles, and squares of anything. */
static int double_update(const struct aq_aggregate *aggregate, void *states,
                         const struct aq_aggregate_input *input)
{
    (void)aggregate;
    struct aq_exact_sum *sums = states;
    const uint8_t *counted = aq_aggregate_counted(input);
    for (size_t r = 0; r < input->run_count; r++) {
        const struct aq_run *run = &input->runs[r];
        AQ_TRY(aq_exact_sum_add_many(&sums[run->group], input->args[0]->doubles + run->first,
                                     counted == NULL ? NULL : counted + run->first, run->count));
    }
    return AQ_OK;
}

static int squares_update(const struct aq_aggregate *aggregate, void *states,
                          const struct aq_aggregate_input *input)
{
    struct aq_exact_sum *sums = states;
    for (size_t r = 0; r < input->run_count; r++)
        sums[input->runs[r].group].with_squares = true;
    if (aq_type_physical(input->args[0]->type) == AQ_PHYSICAL_DOUBLE)
        return double_update(aggregate, states, input);
    const uint8_t *counted = aq_aggregate_counted(input);
    for (size_t r = 0; r < input->run_count; r++) {
        const struct aq_run *run = &input->runs[r];
        for (size_t i = run->first; i < run->first + run->count; i++)
            if (counted == NULL || counted[i])
                AQ_TRY(aq_exact_sum_add_int(&sums[run->group], input->args[0]->ints[i]));
    }
    return AQ_OK;
}

static enum aq_status double_merge(const struct aq_aggregate *aggregate, void *to, void *from,
                                   int *tie_open)
{
    (void)aggregate;
    (void)tie_open;
    struct aq_exact_sum *sum = to;
    const struct aq_exact_sum *other = from;
    sum->with_squares |= other->with_squares;
    return aq_exact_sum_merge(sum, other);
}

static void double_release(void *state)
{
    aq_exact_sum_deinit(state);
}

static bool all_finite(const struct aq_exact_sum *sum)
{
    return sum->nan_count == 0 && sum->plus_infinity_count == 0 && sum->minus_infinity_count == 0;
}

static enum aq_status append_double(const struct aq_aggregate *aggregate,
                                    const struct aq_exact_sum *sum, double value,
                                    struct aq_vector *out)
{
    if (aggregate->type == AQ_TYPE_REAL)
        value = (float)value;
    if (isinf(value) && all_finite(sum))
        return AQ_LIMIT;
    return aq_vector_append_double(out, value != value ? NAN : value + 0.0);
}

static enum aq_status double_sum_finish(const struct aq_aggregate *aggregate, void *state,
                                        struct aq_vector *out, struct aq_arena *arena)
{
    (void)arena;
    const struct aq_exact_sum *sum = state;
    if (sum->value_count == 0)
        return aq_vector_append_null(out);
    double total;
    AQ_TRY(aq_exact_sum_total(sum, &total));
    return append_double(aggregate, sum, total, out);
}

static enum aq_status double_avg_finish(const struct aq_aggregate *aggregate, void *state,
                                        struct aq_vector *out, struct aq_arena *arena)
{
    (void)arena;
    const struct aq_exact_sum *sum = state;
    if (sum->value_count == 0)
        return aq_vector_append_null(out);
    double average;
    AQ_TRY(aq_exact_sum_average(sum, &average));
    return append_double(aggregate, sum, average, out);
}

static bool double_stats(const struct aq_aggregate *aggregate, void *state, uint64_t row_count,
                         const struct aq_column_stats *stats)
{
    (void)aggregate;
    struct aq_exact_sum *sum = state;
    if (stats == NULL)
        return false;
    if (stats->null_count == row_count)
        return true;
    if (!stats->sum_known)
        return false;
    sum->short_sum += stats->sum;
    sum->value_count += row_count - stats->null_count;
    return true;
}

static enum aq_status spread_finish(const struct aq_aggregate *aggregate, struct aq_exact_sum *sum,
                                    struct aq_vector *out, bool sample, bool root)
{
    if (sum->value_count < (sample ? 2u : 1u))
        return aq_vector_append_null(out);
    if (!all_finite(sum))
        return aq_vector_append_double(out, NAN);
    double variance;
    AQ_TRY(aq_exact_sum_variance(sum, sample, &variance));
    return append_double(aggregate, sum, root ? sqrt(variance) : variance, out);
}

#define SPREAD_FINISH(name, sample, root)                                         \
    static enum aq_status name(const struct aq_aggregate *aggregate, void *state, \
                               struct aq_vector *out, struct aq_arena *arena)     \
    {                                                                             \
        (void)arena;                                                              \
        return spread_finish(aggregate, state, out, sample, root);                \
    }
SPREAD_FINISH(var_samp_finish, true, false)
SPREAD_FINISH(var_pop_finish, false, false)
SPREAD_FINISH(stddev_samp_finish, true, true)
SPREAD_FINISH(stddev_pop_finish, false, true)

static enum aq_type count_result(const enum aq_type *args)
{
    (void)args;
    return AQ_TYPE_BIGINT;
}

static bool is_integer(enum aq_type type)
{
    return type == AQ_TYPE_INTEGER || type == AQ_TYPE_BIGINT;
}

static bool is_double(enum aq_type type)
{
    return type == AQ_TYPE_DOUBLE || type == AQ_TYPE_REAL;
}

static enum aq_type int_sum_result(const enum aq_type *args)
{
    return is_integer(args[0]) ? AQ_TYPE_BIGINT : 0;
}

static enum aq_type int_avg_result(const enum aq_type *args)
{
    return is_integer(args[0]) ? AQ_TYPE_DOUBLE : 0;
}

static enum aq_type double_sum_result(const enum aq_type *args)
{
    return is_double(args[0]) ? args[0] : 0;
}

static enum aq_type double_avg_result(const enum aq_type *args)
{
    return is_double(args[0]) ? AQ_TYPE_DOUBLE : 0;
}

static enum aq_type number_result(const enum aq_type *args)
{
    return is_double(args[0]) || is_integer(args[0]) ? AQ_TYPE_DOUBLE : 0;
}

#define COUNT(args)                                                           \
    {                                                                         \
        .name = "count", .arg_count = (args), .state_size = sizeof(int64_t),  \
        .result = count_result, .update = count_update, .merge = count_merge, \
        .finish = count_finish, .update_stats = count_stats                   \
    }
#define INT(text, kind, end)                                                                    \
    {                                                                                           \
        .name = (text), .arg_count = 1, .state_size = sizeof(struct int_sum), .result = (kind), \
        .update = int_update, .merge = int_merge, .finish = (end), .update_stats = int_stats    \
    }
#define DOUBLE(text, kind, change, end, whole)                                        \
    {                                                                                 \
        .name = (text), .arg_count = 1, .state_size = sizeof(struct aq_exact_sum),    \
        .result = (kind), .update = (change), .merge = double_merge, .finish = (end), \
        .release = double_release, .update_stats = (whole)                            \
    }
#define SPREAD(text, end) DOUBLE(text, number_result, squares_update, end, NULL)

static const struct aq_aggregate_function functions[] = {
    COUNT(0),
    COUNT(1),
    INT("sum", int_sum_result, int_sum_finish),
    INT("avg", int_avg_result, int_avg_finish),
    DOUBLE("sum", double_sum_result, double_update, double_sum_finish, double_stats),
    DOUBLE("avg", double_avg_result, double_update, double_avg_finish, double_stats),
    SPREAD("variance", var_samp_finish),
    SPREAD("var_samp", var_samp_finish),
    SPREAD("var_pop", var_pop_finish),
    SPREAD("stddev", stddev_samp_finish),
    SPREAD("stddev_samp", stddev_samp_finish),
    SPREAD("stddev_pop", stddev_pop_finish),
};

const struct aq_aggregate_list aq_number_aggregates = {
    .functions = functions, .count = sizeof functions / sizeof functions[0]};
