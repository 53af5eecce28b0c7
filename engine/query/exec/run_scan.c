/* What statistics spare of a unit's rows: all of them, or some runs of one (key, series).
 *
 * Happy path: where every row of a unit counts, its statistics may answer an ungrouped level. Else its runs are
 * judged one by one: one of which no row passes is left out; one of which all pass and that belongs to one
 * group, since what is grouped by is the same in all its rows, is answered from its statistics; what is left
 * is walked. So "one city's mean", "each station's highest" and "the city's days above 300" look at few
 * rows, or at none. Where nothing but first and last by time is asked for, a run's first or last row may answer for it, if
 * WHERE takes that row: "the latest reading of each station, if it is of today".
 * Failures: statistics of runs that are malformed, with file and offset; no memory. */
#include <stdlib.h>
#include <string.h>

#include "engine/query/exec/execute.h"

/* Judging runs that are shorter on average takes longer than looking at their rows. */
#define RUN_ROWS_MIN 64

/* The runs of a unit, with their statistics by input and run. */
struct judge {
    const struct aq_plan *plan;
    const struct aq_unit *unit;
    const struct aq_run_entry *runs;
    size_t run_count;
    size_t input_count;                    /* inputs with statistics; others are not asked for */
    struct aq_column_stats *stats;         /* input_count x run_count */
    const struct aq_column_stats **of_run; /* one an input, of the run being judged */
    struct aq_run_ends *ends; /* as `stats`, if an aggregate asks for an end; else NULL */
    const struct aq_run_ends **ends_of_run;
    struct aq_column_stats *end_stats; /* one an input: of the rows at one end of the run */
    const struct aq_column_stats **of_end;
    struct aq_arena arena;
};

void aq_stretches_deinit(struct aq_stretches *stretches)
{
    free(stretches->items);
    *stretches = (struct aq_stretches){0};
}

enum aq_status aq_stretches_reserve(struct aq_stretches *stretches, size_t capacity,
                                    struct aq_error *err)
{
    stretches->items = calloc(capacity, sizeof *stretches->items);
    return stretches->items != NULL ? AQ_OK : aq_error_set(err, AQ_NO_MEMORY, "out of memory");
}

void aq_stretches_add(struct aq_stretches *stretches, uint32_t first, uint32_t row_count,
                      bool all_pass)
{
    struct aq_stretch *last = &stretches->items[stretches->count - (stretches->count > 0)];
    if (stretches->count > 0 && last->all_pass == all_pass &&
        last->first + last->row_count == first)
        last->row_count += row_count;
    else
        stretches->items[stretches->count++] =
            (struct aq_stretch){.first = first, .row_count = row_count, .all_pass = all_pass};
}

/* With the statistics of each aggregate's argument: of the whole unit, or by input. */
static enum aq_status answer(const struct aq_plan *plan, const struct aq_unit *unit,
                             const struct aq_column_stats *const *by_input,
                             struct aq_known_rows *known, struct aq_group_sink *groups, bool *done,
                             struct aq_error *err)
{
    const struct aq_column_stats **stats =
        calloc(plan->aggregate_count + 1, sizeof(const struct aq_column_stats *));
    if (stats == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t a = 0; a < plan->aggregate_count; a++) {
        const struct aq_aggregate *aggregate = &plan->aggregates[a];
        if (aggregate->arg_count == 0 || aggregate->args[0]->kind != AQ_EXPR_COLUMN)
            continue;
        uint32_t input = aggregate->args[0]->index;
        stats[a] = by_input != NULL ? by_input[input]
                                    : aq_unit_stats(unit, aq_scan_column_id(plan, input));
    }
    known->stats = stats;
    enum aq_status status = aq_group_sink_add_known(groups, known, done);
    free(stats);
    return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
}

static bool asks_for_ends(const struct aq_plan *plan)
{
    bool asks = false;
    for (size_t a = 0; a < plan->aggregate_count; a++)
        asks |= plan->aggregates[a].function->uses_ties;
    return asks && aq_group_sink_takes_known(plan);
}

static enum aq_status judge_alloc(struct judge *judge, struct aq_error *err)
{
    size_t input_count = judge->plan->input_count + 1;
    size_t all = judge->input_count * judge->run_count + 1;
    bool ends = asks_for_ends(judge->plan);
    judge->stats = aq_arena_alloc(&judge->arena, all * sizeof *judge->stats);
    judge->of_run = aq_arena_alloc(&judge->arena, input_count * sizeof(struct aq_column_stats *));
    if (ends) {
        judge->ends = aq_arena_alloc(&judge->arena, all * sizeof *judge->ends);
        judge->ends_of_run =
            aq_arena_alloc(&judge->arena, input_count * sizeof(struct aq_run_ends *));
        judge->end_stats = aq_arena_alloc(&judge->arena, input_count * sizeof *judge->end_stats);
        judge->of_end =
            aq_arena_alloc(&judge->arena, input_count * sizeof(struct aq_column_stats *));
    }
    if (judge->stats == NULL || judge->of_run == NULL ||
        (ends && (judge->ends == NULL || judge->ends_of_run == NULL || judge->end_stats == NULL ||
                  judge->of_end == NULL)))
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    return AQ_OK;
}

static enum aq_status judge_init(struct judge *judge, struct aq_snapshot *snapshot,
                                 struct aq_error *err)
{
    judge->input_count = judge->plan->eager_input_count;
    AQ_TRY(judge_alloc(judge, err));
    for (size_t i = 0; i < judge->input_count; i++) {
        size_t at = i * judge->run_count;
        uint32_t id = aq_scan_column_id(judge->plan, (uint32_t)i);
        enum aq_status status =
            aq_unit_run_stats(snapshot, judge->unit, id, &judge->arena, &judge->stats[at], err);
        if (status == AQ_NOT_FOUND)
            memset(&judge->stats[at], 0, judge->run_count * sizeof *judge->stats);
        else
            AQ_TRY(status);
        if (judge->ends == NULL)
            continue;
        status = aq_unit_run_ends(snapshot, judge->unit, id, &judge->arena, &judge->ends[at], err);
        if (status == AQ_NOT_FOUND)
            memset(&judge->ends[at], 0, judge->run_count * sizeof *judge->ends);
        else
            AQ_TRY(status);
    }
    return AQ_OK;
}

static void choose_run(struct judge *judge, size_t run)
{
    for (size_t i = 0; i < judge->plan->input_count; i++) {
        const struct aq_column_stats *stats =
            i < judge->input_count ? &judge->stats[i * judge->run_count + run] : NULL;
        judge->of_run[i] = stats != NULL && stats->row_count > 0 ? stats : NULL;
        if (judge->ends != NULL)
            judge->ends_of_run[i] =
                i < judge->input_count ? &judge->ends[i * judge->run_count + run] : NULL;
    }
}

/* Whether all rows at an end of the chosen run pass WHERE. */
static bool end_passes(struct judge *judge, enum aq_end end)
{
    for (size_t i = 0; i < judge->plan->input_count; i++) {
        const struct aq_run_end *own =
            judge->ends_of_run[i] == NULL ? NULL : &judge->ends_of_run[i]->at[end];
        judge->of_end[i] = judge->of_run[i];
        if (own == NULL || !own->given)
            continue;
        judge->end_stats[i] = (struct aq_column_stats){.row_count = 1,
                                                       .null_count = own->null,
                                                       .bounds_known = !own->null,
                                                       .bounds_exact = !own->null,
                                                       .min = own->value,
                                                       .max = own->value};
        judge->of_end[i] = &judge->end_stats[i];
    }
    return aq_prune_run(judge->plan, judge->unit, judge->of_end) == AQ_PRUNE_ALL;
}

/* Whether all that is asked for are ends of the chosen run, and WHERE takes them: whatever else it takes, they are
 * what is picked. */
static bool ends_pass(struct judge *judge)
{
    bool asked[AQ_END_COUNT] = {false};
    if (judge->ends == NULL)
        return false;
    for (size_t a = 0; a < judge->plan->aggregate_count; a++) {
        const struct aq_aggregate_function *function = judge->plan->aggregates[a].function;
        if (!function->uses_ties)
            return false;
        asked[function->end] = true;
    }
    return (!asked[AQ_END_FIRST] || end_passes(judge, AQ_END_FIRST)) &&
           (!asked[AQ_END_LAST] || end_passes(judge, AQ_END_LAST));
}

/* The one value that a column has in the run; false: it has several, or is not known. */
static bool one_value(enum aq_type type, const struct aq_column_stats *stats,
                      struct aq_vector *value, enum aq_status *status)
{
    if (stats == NULL)
        return false;
    aq_vector_init(value, type);
    if (stats->null_count == stats->row_count) {
        *status = aq_vector_append_null(value);
        return true;
    }
    if (stats->null_count > 0 || !stats->bounds_known || !stats->bounds_exact)
        return false;
    switch (aq_type_physical(type)) {
    case AQ_PHYSICAL_INT:
        *status = aq_vector_append_int(value, stats->min.integer);
        return stats->min.integer == stats->max.integer;
    case AQ_PHYSICAL_DOUBLE: /* one NaN is not equal to itself here: read its rows */
        *status = aq_vector_append_double(value, stats->min.real);
        return stats->min.real == stats->max.real;
    case AQ_PHYSICAL_SLICE:
        *status = aq_vector_append_slice(value, stats->min.slice);
        return aq_slice_equal(stats->min.slice, stats->max.slice);
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
    return false;
}

/* Add the chosen run, whose rows pass, or those at the ends that are asked for, if it is all of one group. */
static enum aq_status answer_run(struct judge *judge, uint64_t row_count,
                                 struct aq_group_sink *groups, bool *done, struct aq_error *err)
{
    const struct aq_plan *plan = judge->plan;
    struct aq_vector *values = calloc(plan->group_count + 1, sizeof *values);
    const struct aq_vector **keys = calloc(plan->group_count + 1, sizeof(*keys));
    enum aq_status status =
        values == NULL || keys == NULL ? aq_error_set(err, AQ_NO_MEMORY, "out of memory") : AQ_OK;
    *done = status == AQ_OK;
    for (size_t g = 0; *done && status == AQ_OK && g < plan->group_count; g++) {
        const struct aq_expr *column = plan->groups[g];
        *done = column->kind == AQ_EXPR_COLUMN &&
                one_value(column->type, judge->of_run[column->index], &values[g], &status);
        keys[g] = &values[g];
    }
    struct aq_known_rows known = {.keys = keys, .row_count = row_count, .ends = judge->ends_of_run};
    if (status == AQ_OK && *done)
        status = answer(plan, judge->unit, judge->of_run, &known, groups, done, err);
    for (size_t g = 0; values != NULL && g < plan->group_count; g++)
        aq_vector_deinit(&values[g]);
    free(values);
    free(keys);
    return status;
}

static enum aq_status judge_runs(struct judge *judge, struct aq_group_sink *groups,
                                 struct aq_stretches *stretches, struct aq_error *err)
{
    for (size_t i = 0; i < judge->run_count; i++) {
        const struct aq_run_entry *run = &judge->runs[i];
        bool done = false;
        choose_run(judge, i);
        enum aq_prune prune = aq_prune_run(judge->plan, judge->unit, judge->of_run);
        if (prune == AQ_PRUNE_NONE)
            continue;
        if (judge->plan->grouped && (prune == AQ_PRUNE_ALL || ends_pass(judge)))
            AQ_TRY(answer_run(judge, run->row_count, groups, &done, err));
        if (done)
            stretches->answered_count++;
        else
            aq_stretches_add(stretches, run->row_first, run->row_count, prune == AQ_PRUNE_ALL);
    }
    return AQ_OK;
}

/* Runs tell more than their unit if WHERE is not decided, or if there are groups for what is known of them. */
static bool worth_judging(const struct aq_plan *plan, const struct aq_unit *unit,
                          enum aq_prune prune, size_t run_count)
{
    if (plan->source != AQ_SOURCE_DATASET || !aq_unit_is_whole(unit) ||
        unit->row_count / run_count < RUN_ROWS_MIN)
        return false;
    return (prune == AQ_PRUNE_SOME && run_count > 1) ||
           (plan->grouped && aq_group_sink_takes_known(plan));
}

enum aq_status aq_runs_judge(struct aq_snapshot *snapshot, const struct aq_plan *plan,
                             const struct aq_unit *unit, enum aq_prune prune,
                             struct aq_group_sink *groups, struct aq_stretches *stretches,
                             struct aq_error *err)
{
    struct judge judge = {.plan = plan, .unit = unit};
    bool all_pass = prune == AQ_PRUNE_ALL;
    bool done = false;
    AQ_TRY(aq_stretches_reserve(stretches, 1, err));
    if (plan->table == NULL && all_pass && plan->grouped && plan->group_count == 0)
        AQ_TRY(answer(plan, unit, NULL, &(struct aq_known_rows){.row_count = unit->row_count},
                      groups, &done, err));
    stretches->answered_count = done;
    if (done)
        return AQ_OK;
    if (plan->table == NULL)
        judge.runs = aq_unit_runs(unit, &judge.run_count);
    if (judge.runs == NULL || !worth_judging(plan, unit, prune, judge.run_count)) {
        aq_stretches_add(stretches, 0, AQ_STRETCH_TO_END, all_pass);
        return AQ_OK;
    }
    aq_stretches_deinit(stretches);
    AQ_TRY(aq_stretches_reserve(stretches, judge.run_count, err));
    enum aq_status status = judge_init(&judge, snapshot, err);
    if (status == AQ_OK)
        status = judge_runs(&judge, groups, stretches, err);
    aq_arena_deinit(&judge.arena);
    return status;
}
