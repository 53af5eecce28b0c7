/* Aggregates that pick a value: min, max, first, last, arg_min, arg_max, bool_and, bool_or.
 *
 * A state owns the bytes of its values in buffers that are reused, since the latest value of a text
 * column may change with every row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/query/exec/aggregate/aggregate_list.h"

/* A value and, for slices, the buffer that holds it. */
struct cell {
    union aq_value value;
    uint8_t *buffer;
    size_t capacity;
    enum aq_type type;
    bool null;
};

static enum aq_status cell_set(struct cell *cell, const struct aq_vector *vector, size_t row)
{
    cell->type = vector->type;
    cell->null = !aq_row_valid(vector, row);
    if (cell->null)
        return AQ_OK;
    cell->value = aq_value_get(vector, row);
    if (aq_type_physical(vector->type) != AQ_PHYSICAL_SLICE)
        return AQ_OK;
    struct aq_slice slice = cell->value.slice;
    if (slice.size > cell->capacity || cell->buffer == NULL) {
        size_t capacity = slice.size < 16 ? 16 : slice.size * 2;
        uint8_t *buffer = realloc(cell->buffer, capacity);
        if (buffer == NULL)
            return AQ_NO_MEMORY;
        cell->buffer = buffer;
        cell->capacity = capacity;
    }
    if (slice.size > 0)
        memmove(cell->buffer, slice.data, slice.size);
    cell->value.slice.data = cell->buffer;
    return AQ_OK;
}

/* The cell as a vector of one row, to compare and copy with the vectors' functions. */
static struct aq_vector cell_view(const struct cell *cell, uint8_t *valid)
{
    *valid = !cell->null;
    return (struct aq_vector){.type = cell->type,
                              .row_count = 1,
                              .valid = valid,
                              .values = (void *)(uintptr_t)&cell->value};
}

static enum aq_status cell_append(const struct cell *cell, struct aq_vector *out,
                                  struct aq_arena *arena)
{
    if (cell->null)
        return aq_vector_append_null(out);
    uint8_t valid;
    struct aq_vector view = cell_view(cell, &valid);
    AQ_TRY(aq_vector_append_from(out, &view, 0, arena));
    if (aq_type_physical(out->type) == AQ_PHYSICAL_DOUBLE) {
        double *value = &out->doubles[out->row_count - 1];
        *value = *value != *value ? NAN : *value + 0.0;
    }
    return AQ_OK;
}

/* Order in which equal but different intervals ('1 month', '30 days') have a least one, too. */
static int compare_all(const struct aq_vector *a, size_t row_a, const struct aq_vector *b,
                       size_t row_b)
{
    int order = aq_vector_compare(a, row_a, b, row_b);
    if (order != 0 || a->type != AQ_TYPE_INTERVAL || aq_vector_is_null(a, row_a))
        return order;
    struct aq_interval left = a->intervals[row_a];
    struct aq_interval right = b->intervals[row_b];
    if (left.months != right.months)
        return left.months < right.months ? -1 : 1;
    return (left.days > right.days) - (left.days < right.days);
}

/* min and max */
struct extreme {
    struct cell cell;
    bool any;
};

static enum aq_status extreme_offer(struct extreme *state, const struct aq_vector *vector,
                                    size_t row, int sign)
{
    if (state->any) {
        uint8_t valid;
        struct aq_vector held = cell_view(&state->cell, &valid);
        if (compare_all(vector, row, &held, 0) * sign <= 0)
            return AQ_OK;
    }
    state->any = true;
    return cell_set(&state->cell, vector, row);
}

/* The best row of a run, SIZE_MAX if none counts. */
static size_t best_row(const struct aq_vector *vector, const struct aq_run *run,
                       const uint8_t *counted, int sign)
{
    size_t best = SIZE_MAX;
    for (size_t i = run->first; i < run->first + run->count; i++) {
        if (counted != NULL && counted[i] == 0)
            continue;
        if (best == SIZE_MAX || compare_all(vector, i, vector, best) * sign > 0)
            best = i;
    }
    return best;
}

static int extreme_update(const struct aq_aggregate_input *input, struct extreme *states, int sign)
{
    const uint8_t *counted = aq_aggregate_counted(input);
    for (size_t r = 0; r < input->run_count; r++) {
        size_t best = best_row(input->args[0], &input->runs[r], counted, sign);
        if (best != SIZE_MAX)
            AQ_TRY(extreme_offer(&states[input->runs[r].group], input->args[0], best, sign));
    }
    return AQ_OK;
}

static int max_update(const struct aq_aggregate *aggregate, void *states,
                      const struct aq_aggregate_input *input)
{
    (void)aggregate;
    return extreme_update(input, states, 1);
}

static int min_update(const struct aq_aggregate *aggregate, void *states,
                      const struct aq_aggregate_input *input)
{
    (void)aggregate;
    return extreme_update(input, states, -1);
}

static enum aq_status extreme_merge(void *to, void *from, int sign)
{
    const struct extreme *other = from;
    if (!other->any)
        return AQ_OK;
    uint8_t valid;
    struct aq_vector view = cell_view(&other->cell, &valid);
    return extreme_offer(to, &view, 0, sign);
}

static enum aq_status max_merge(const struct aq_aggregate *aggregate, void *to, void *from,
                                int *tie_open)
{
    (void)tie_open;
    (void)aggregate;
    return extreme_merge(to, from, 1);
}

static enum aq_status min_merge(const struct aq_aggregate *aggregate, void *to, void *from,
                                int *tie_open)
{
    (void)tie_open;
    (void)aggregate;
    return extreme_merge(to, from, -1);
}

static enum aq_status extreme_finish(const struct aq_aggregate *aggregate, void *state,
                                     struct aq_vector *out, struct aq_arena *arena)
{
    (void)aggregate;
    const struct extreme *extreme = state;
    return extreme->any ? cell_append(&extreme->cell, out, arena) : aq_vector_append_null(out);
}

static void extreme_release(void *state)
{
    free(((struct extreme *)state)->cell.buffer);
}

static bool extreme_stats(const struct aq_aggregate *aggregate, void *state, uint64_t row_count,
                          const struct aq_column_stats *stats, int sign)
{
    if (stats == NULL)
        return false;
    if (stats->null_count == row_count)
        return true;
    if (!stats->bounds_known || !stats->bounds_exact)
        return false;
    union aq_value value = {.interval = {0}};
    const union aq_stats_value *bound = sign > 0 ? &stats->max : &stats->min;
    switch (aq_type_physical(aggregate->type)) {
    case AQ_PHYSICAL_INT:
        value.integer = bound->integer;
        break;
    case AQ_PHYSICAL_DOUBLE:
        value.real = bound->real;
        break;
    case AQ_PHYSICAL_SLICE:
        value.slice = bound->slice;
        break;
    case AQ_PHYSICAL_INTERVAL:
        return false;
    }
    struct aq_vector view = {.type = aggregate->type, .row_count = 1, .values = &value};
    return extreme_offer(state, &view, 0, sign) == AQ_OK;
}

static bool max_stats(const struct aq_aggregate *aggregate, void *state, uint64_t row_count,
                      const struct aq_column_stats *stats)
{
    return extreme_stats(aggregate, state, row_count, stats, 1);
}

static bool min_stats(const struct aq_aggregate *aggregate, void *state, uint64_t row_count,
                      const struct aq_column_stats *stats)
{
    return extreme_stats(aggregate, state, row_count, stats, -1);
}

/* first(value, by), last, arg_min, arg_max: the value where `by` is least or greatest. Rows of equal
 * `by` are ordered by the tie columns. */
struct pick {
    struct cell value;
    struct cell by;
    struct cell *ties;
    size_t tie_count;
    bool any;
    bool complete; /* `ties` are all columns there are */
};

static enum aq_status pick_set(struct pick *pick, const struct aq_aggregate_input *input,
                               size_t row)
{
    if (pick->ties == NULL && input->tie_count > 0) {
        pick->ties = calloc(input->tie_count, sizeof *pick->ties);
        if (pick->ties == NULL)
            return AQ_NO_MEMORY;
        pick->tie_count = input->tie_count;
    }
    pick->any = true;
    pick->complete = input->ties_complete;
    AQ_TRY(cell_set(&pick->value, input->args[0], row));
    AQ_TRY(cell_set(&pick->by, input->args[1], row));
    for (size_t t = 0; t < input->tie_count; t++)
        AQ_TRY(cell_set(&pick->ties[t], input->ties[t], row));
    return AQ_OK;
}

static int compare_cell(const struct aq_vector *vector, size_t row, const struct cell *cell)
{
    uint8_t valid;
    struct aq_vector held = cell_view(cell, &valid);
    return aq_vector_compare_bits(vector, row, &held, 0);
}

/* Order of row `row` and the row that `pick` holds. */
static int pick_compare(const struct pick *pick, const struct aq_aggregate_input *input, size_t row)
{
    uint8_t valid;
    struct aq_vector held = cell_view(&pick->by, &valid);
    int order = aq_vector_compare(input->args[1], row, &held, 0);
    for (size_t t = 0; t < input->tie_count && order == 0; t++)
        order = compare_cell(input->ties[t], row, &pick->ties[t]);
    return order;
}

static int pick_offer(struct pick *pick, const struct aq_aggregate_input *input, size_t row,
                      int sign)
{
    if (pick->any) {
        int order = pick_compare(pick, input, row);
        if (order == 0 && !input->ties_complete &&
            compare_cell(input->args[0], row, &pick->value) != 0)
            return AQ_TIE_OPEN;
        if (order * sign <= 0)
            return AQ_OK;
    }
    return pick_set(pick, input, row);
}

/* Of a run only the rows with the best `by` so far are offered: mostly one. */
static int pick_run(struct pick *pick, const struct aq_aggregate_input *input,
                    const struct aq_run *run, bool skip_null_values, int sign)
{
    const struct aq_vector *by = input->args[1];
    size_t best = SIZE_MAX;
    for (size_t i = run->first; i < run->first + run->count; i++) {
        if (!aq_row_valid(by, i) || (skip_null_values && !aq_row_valid(input->args[0], i)))
            continue;
        int order = best == SIZE_MAX ? 1 : aq_vector_compare(by, i, by, best) * sign;
        if (order == 0) {
            int status = pick_offer(pick, input, best, sign);
            if (status != AQ_OK)
                return status;
        }
        if (order >= 0)
            best = i;
    }
    return best == SIZE_MAX ? AQ_OK : pick_offer(pick, input, best, sign);
}

static int pick_update(void *states, const struct aq_aggregate_input *input, bool skip_null_values,
                       int sign)
{
    struct pick *picks = states;
    for (size_t r = 0; r < input->run_count; r++) {
        int status =
            pick_run(&picks[input->runs[r].group], input, &input->runs[r], skip_null_values, sign);
        if (status != AQ_OK)
            return status;
    }
    return AQ_OK;
}

/* The other state's row, offered as a chunk of one row. */
static enum aq_status pick_merge(void *to, void *from, int sign, int *tie_open)
{
    struct pick *pick = to;
    struct pick *other = from;
    if (!other->any)
        return AQ_OK;
    struct aq_vector *views = calloc(other->tie_count + 2, sizeof *views);
    const struct aq_vector **ties = calloc(other->tie_count + 1, sizeof(const struct aq_vector *));
    uint8_t *valid = calloc(other->tie_count + 2, 1);
    int status = AQ_NO_MEMORY;
    if (views != NULL && ties != NULL && valid != NULL) {
        views[0] = cell_view(&other->value, &valid[0]);
        views[1] = cell_view(&other->by, &valid[1]);
        for (size_t t = 0; t < other->tie_count; t++) {
            views[t + 2] = cell_view(&other->ties[t], &valid[t + 2]);
            ties[t] = &views[t + 2];
        }
        struct aq_aggregate_input input = {.args = {&views[0], &views[1]},
                                           .ties = ties,
                                           .tie_count = other->tie_count,
                                           .ties_complete = other->complete};
        status = pick_offer(pick, &input, 0, sign);
    }
    free(views);
    free(ties);
    free(valid);
    if (status == AQ_TIE_OPEN)
        *tie_open = 1;
    return status == AQ_TIE_OPEN ? AQ_OK : (enum aq_status)status;
}

#define PICK_KERNELS(name, skip_null_values, sign)                                                 \
    static int name##_update(const struct aq_aggregate *aggregate, void *states,                   \
                             const struct aq_aggregate_input *input)                               \
    {                                                                                              \
        (void)aggregate;                                                                           \
        return pick_update(states, input, skip_null_values, sign);                                 \
    }                                                                                              \
    static enum aq_status name##_merge(const struct aq_aggregate *aggregate, void *to, void *from, \
                                       int *tie_open)                                              \
    {                                                                                              \
        (void)aggregate;                                                                           \
        return pick_merge(to, from, sign, tie_open);                                               \
    }
PICK_KERNELS(first, false, -1)
PICK_KERNELS(last, false, 1)
PICK_KERNELS(arg_min, true, -1)
PICK_KERNELS(arg_max, true, 1)

static enum aq_status pick_finish(const struct aq_aggregate *aggregate, void *state,
                                  struct aq_vector *out, struct aq_arena *arena)
{
    (void)aggregate;
    const struct pick *pick = state;
    return pick->any ? cell_append(&pick->value, out, arena) : aq_vector_append_null(out);
}

static void pick_release(void *state)
{
    struct pick *pick = state;
    free(pick->value.buffer);
    free(pick->by.buffer);
    for (size_t t = 0; pick->ties != NULL && t < pick->tie_count; t++)
        free(pick->ties[t].buffer);
    free(pick->ties);
}

/* bool_and and bool_or: how many were true, how many were false. */
struct votes {
    uint64_t yes;
    uint64_t no;
};

static int votes_update(const struct aq_aggregate *aggregate, void *states,
                        const struct aq_aggregate_input *input)
{
    (void)aggregate;
    struct votes *votes = states;
    const uint8_t *counted = aq_aggregate_counted(input);
    for (size_t r = 0; r < input->run_count; r++) {
        const struct aq_run *run = &input->runs[r];
        for (size_t i = run->first; i < run->first + run->count; i++) {
            if (counted != NULL && counted[i] == 0)
                continue;
            votes[run->group].yes += input->args[0]->ints[i] != 0;
            votes[run->group].no += input->args[0]->ints[i] == 0;
        }
    }
    return AQ_OK;
}

static enum aq_status votes_merge(const struct aq_aggregate *aggregate, void *to, void *from,
                                  int *tie_open)
{
    (void)aggregate;
    (void)tie_open;
    ((struct votes *)to)->yes += ((struct votes *)from)->yes;
    ((struct votes *)to)->no += ((struct votes *)from)->no;
    return AQ_OK;
}

static enum aq_status and_finish(const struct aq_aggregate *aggregate, void *state,
                                 struct aq_vector *out, struct aq_arena *arena)
{
    (void)aggregate;
    (void)arena;
    const struct votes *votes = state;
    return votes->yes + votes->no == 0 ? aq_vector_append_null(out)
                                       : aq_vector_append_int(out, votes->no == 0);
}

static enum aq_status or_finish(const struct aq_aggregate *aggregate, void *state,
                                struct aq_vector *out, struct aq_arena *arena)
{
    (void)aggregate;
    (void)arena;
    const struct votes *votes = state;
    return votes->yes + votes->no == 0 ? aq_vector_append_null(out)
                                       : aq_vector_append_int(out, votes->yes > 0);
}

static enum aq_type extreme_result(const enum aq_type *args)
{
    return args[0] == AQ_TYPE_BOOLEAN || args[0] == AQ_TYPE_JSON || args[0] == AQ_TYPE_BYTEA
               ? (enum aq_type)0
               : args[0];
}

static enum aq_type pick_result(const enum aq_type *args)
{
    return args[1] == AQ_TYPE_JSON ? (enum aq_type)0 : args[0];
}

static enum aq_type votes_result(const enum aq_type *args)
{
    return args[0] == AQ_TYPE_BOOLEAN ? AQ_TYPE_BOOLEAN : (enum aq_type)0;
}

#define EXTREME(text, stem)                                                                \
    {                                                                                      \
        .name = (text), .arg_count = 1, .state_size = sizeof(struct extreme),              \
        .result = extreme_result, .update = stem##_update, .merge = stem##_merge,          \
        .finish = extreme_finish, .release = extreme_release, .update_stats = stem##_stats \
    }
#define PICK(text, stem, from, not_null)                                                          \
    {                                                                                             \
        .name = (text), .arg_count = 2, .state_size = sizeof(struct pick), .result = pick_result, \
        .update = stem##_update, .merge = stem##_merge, .finish = pick_finish,                    \
        .release = pick_release, .uses_ties = true, .end = (from), .skips_nulls = (not_null)      \
    }
#define VOTES(text, end)                                                                      \
    {                                                                                         \
        .name = (text), .arg_count = 1, .state_size = sizeof(struct votes),                   \
        .result = votes_result, .update = votes_update, .merge = votes_merge, .finish = (end) \
    }

static const struct aq_aggregate_function functions[] = {
    EXTREME("min", min),
    EXTREME("max", max),
    PICK("first", first, AQ_END_FIRST, false),
    PICK("last", last, AQ_END_LAST, false),
    PICK("arg_min", arg_min, AQ_END_FIRST, true),
    PICK("arg_max", arg_max, AQ_END_LAST, true),
    VOTES("bool_and", and_finish),
    VOTES("every", and_finish),
    VOTES("bool_or", or_finish),
};

const struct aq_aggregate_list aq_value_aggregates = {
    .functions = functions, .count = sizeof functions / sizeof functions[0]};
