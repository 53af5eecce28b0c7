/* What statistics spare of a unit's rows: all of them, or some runs of one (key, series).
 *
 * Happy path: where every row of a unit counts, its statistics may answer an ungrouped level. Else its runs are
 * judged one by one: one of which no row passes is left out; one of which all pass and that belongs to one
 * group, since what is grouped by is the same in all its rows, is answered from its statistics; what is left
 * is walked. So "one city's mean", "each station's highest" and "the city's days above 300" look at few
 * rows, or at none.
 * Failures: statistics of runs that are malformed, with file and offset; no memory. */
#include <stdlib.h>

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

/* Statistics of each aggregate's argument: of the whole unit, or by input. */
static enum aq_status answer(const struct aq_plan *plan, const struct aq_unit *unit,
                             const struct aq_column_stats *const *by_input, uint64_t row_count,
                             const struct aq_vector *const *keys, struct aq_group_sink *groups,
                             bool *done, struct aq_error *err)
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
    enum aq_status status = aq_group_sink_add_stats(groups, keys, row_count, stats, done);
    free(stats);
    return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
}

static enum aq_status judge_init(struct judge *judge, struct aq_snapshot *snapshot,
                                 struct aq_error *err)
{
    const struct aq_plan *plan = judge->plan;
    judge->input_count = plan->eager_input_count;
    judge->stats = aq_arena_alloc(&judge->arena, (judge->input_count * judge->run_count + 1) *
                                                     sizeof *judge->stats);
    judge->of_run =
        aq_arena_alloc(&judge->arena, (plan->input_count + 1) * sizeof(struct aq_column_stats *));
    if (judge->stats == NULL || judge->of_run == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < judge->input_count; i++) {
        struct aq_column_stats *stats = &judge->stats[i * judge->run_count];
        enum aq_status status = aq_unit_run_stats(
            snapshot, judge->unit, aq_scan_column_id(plan, (uint32_t)i), &judge->arena, stats, err);
        for (size_t run = 0; status == AQ_NOT_FOUND && run < judge->run_count; run++)
            stats[run] = (struct aq_column_stats){0};
        if (status != AQ_NOT_FOUND)
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
    }
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

/* Add the chosen run, all of whose rows pass, if it is all of one group. */
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
    if (status == AQ_OK && *done)
        status = answer(plan, judge->unit, judge->of_run, row_count, keys, groups, done, err);
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
        if (prune == AQ_PRUNE_ALL && judge->plan->grouped)
            AQ_TRY(answer_run(judge, run->row_count, groups, &done, err));
        if (done)
            stretches->answered_count++;
        else
            aq_stretches_add(stretches, run->row_first, run->row_count, prune == AQ_PRUNE_ALL);
    }
    return AQ_OK;
}

/* Runs tell more than their unit if WHERE is not decided, or GROUP BY may be by what a run has one value of. */
static bool worth_judging(const struct aq_plan *plan, const struct aq_unit *unit,
                          enum aq_prune prune, size_t run_count)
{
    return plan->source == AQ_SOURCE_DATASET && aq_unit_is_whole(unit) && run_count > 1 &&
           unit->row_count / run_count >= RUN_ROWS_MIN &&
           (prune == AQ_PRUNE_SOME || (plan->grouped && plan->group_count > 0));
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
        AQ_TRY(answer(plan, unit, NULL, unit->row_count, NULL, groups, &done, err));
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
