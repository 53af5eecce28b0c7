/* Grouping a chunk: evaluate the keys, number the groups, cut the rows into runs of one group, and give
 * each aggregate its arguments and the runs. DISTINCT aggregates only collect (group, value) pairs,
 * which are counted or summed at the end.
 *
 * Partial results of threads merge into the first: its table numbers the groups of the others. */
#include "engine/query/exec/aggregate/group_sink.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum aq_status init_distinct(struct aq_group_sink *sink)
{
    const struct aq_plan *plan = sink->plan;
    for (size_t a = 0; a < plan->aggregate_count; a++) {
        if (!plan->aggregates[a].distinct)
            continue;
        enum aq_type types[1 + AQ_AGGREGATE_ARGS_MAX] = {AQ_TYPE_BIGINT};
        for (size_t i = 0; i < plan->aggregates[a].arg_count; i++)
            types[i + 1] = plan->aggregates[a].args[i]->type;
        AQ_TRY(aq_group_table_init(&sink->distinct[a], plan->aggregates[a].arg_count + 1, types));
    }
    return AQ_OK;
}

enum aq_status aq_group_sink_init(struct aq_group_sink *sink, const struct aq_plan *plan,
                                  bool all_ties)
{
    *sink = (struct aq_group_sink){.plan = plan, .all_ties = all_ties};
    enum aq_type *types = calloc(plan->group_count + 1, sizeof *types);
    sink->states = calloc(plan->aggregate_count + 1, sizeof *sink->states);
    sink->distinct = calloc(plan->aggregate_count + 1, sizeof *sink->distinct);
    sink->runs = calloc(AQ_CHUNK_ROWS, sizeof *sink->runs);
    sink->groups = calloc(AQ_CHUNK_ROWS, sizeof *sink->groups);
    sink->passed_rows = calloc(AQ_CHUNK_ROWS, sizeof *sink->passed_rows);
    sink->passed_groups = calloc(AQ_CHUNK_ROWS, sizeof *sink->passed_groups);
    sink->passed_runs = calloc(AQ_CHUNK_ROWS, sizeof *sink->passed_runs);
    enum aq_status status = AQ_NO_MEMORY;
    if (types != NULL && sink->states != NULL && sink->distinct != NULL && sink->runs != NULL &&
        sink->groups != NULL && sink->passed_rows != NULL && sink->passed_groups != NULL &&
        sink->passed_runs != NULL) {
        for (size_t g = 0; g < plan->group_count; g++)
            types[g] = plan->groups[g]->type;
        status = aq_group_table_init(&sink->table, plan->group_count, types);
        if (status == AQ_OK)
            status = init_distinct(sink);
    }
    free(types);
    if (status != AQ_OK)
        aq_group_sink_deinit(sink);
    return status;
}

void aq_group_sink_deinit(struct aq_group_sink *sink)
{
    for (size_t a = 0; sink->states != NULL && a < sink->plan->aggregate_count; a++) {
        const struct aq_aggregate_function *function = sink->plan->aggregates[a].function;
        for (size_t g = 0; function->release != NULL && g < sink->state_count; g++)
            function->release(sink->states[a] + g * function->state_size);
        free(sink->states[a]);
        if (sink->distinct != NULL)
            aq_group_table_deinit(&sink->distinct[a]);
    }
    free(sink->states);
    free(sink->distinct);
    free(sink->runs);
    free(sink->groups);
    free(sink->passed_rows);
    free(sink->passed_groups);
    free(sink->passed_runs);
    aq_group_table_deinit(&sink->table);
    *sink = (struct aq_group_sink){0};
}

size_t aq_group_sink_bytes(const struct aq_group_sink *sink)
{
    size_t bytes = aq_group_table_bytes(&sink->table);
    for (size_t a = 0; a < sink->plan->aggregate_count; a++) {
        bytes += sink->state_capacity * sink->plan->aggregates[a].function->state_size;
        bytes += aq_group_table_bytes(&sink->distinct[a]);
    }
    return bytes;
}

/* States for every group of the table. */
static enum aq_status grow_states(struct aq_group_sink *sink)
{
    size_t wanted = sink->table.group_count;
    if (wanted > sink->state_capacity) {
        size_t capacity = sink->state_capacity == 0 ? 16 : sink->state_capacity;
        while (capacity < wanted)
            capacity *= 2;
        for (size_t a = 0; a < sink->plan->aggregate_count; a++) {
            size_t size = sink->plan->aggregates[a].function->state_size;
            uint8_t *states = realloc(sink->states[a], capacity * size);
            if (states == NULL)
                return AQ_NO_MEMORY;
            memset(states + sink->state_capacity * size, 0,
                   (capacity - sink->state_capacity) * size);
            sink->states[a] = states;
        }
        sink->state_capacity = capacity;
    }
    sink->state_count = wanted;
    return AQ_OK;
}

static size_t cut_runs(const uint32_t *groups, size_t row_count, struct aq_run *runs)
{
    size_t count = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (i == 0 || groups[i] != groups[i - 1])
            runs[count++] = (struct aq_run){.first = (uint32_t)i, .group = groups[i]};
        runs[count - 1].count++;
    }
    return count;
}

/* Number the rows' groups and cut the runs. */
static enum aq_status find_groups(struct aq_group_sink *sink, struct aq_eval *eval,
                                  const uint32_t *selection, size_t row_count, size_t *run_count)
{
    const struct aq_plan *plan = sink->plan;
    const struct aq_vector **keys = malloc((plan->group_count + 1) * sizeof(*keys));
    if (keys == NULL)
        return AQ_NO_MEMORY;
    enum aq_status status = AQ_OK;
    for (size_t g = 0; g < plan->group_count && status == AQ_OK; g++)
        status = aq_eval_run(eval, plan->groups[g], selection, row_count, &keys[g]);
    if (status == AQ_OK)
        status = aq_group_table_find(&sink->table, keys, row_count, sink->groups);
    free(keys);
    AQ_TRY(status);
    AQ_TRY(grow_states(sink));
    *run_count = cut_runs(sink->groups, row_count, sink->runs);
    return AQ_OK;
}

/* Rows of a chunk on their way into one aggregate, cut into runs of one group. */
struct grouped_rows {
    const uint32_t *selection;
    size_t row_count;
    const uint32_t *groups;
    const struct aq_run *runs;
    size_t run_count;
};

/* FILTER: the rows that pass, with their groups and runs, in the sink's second set of arrays. */
static enum aq_status filter_rows(struct aq_group_sink *sink, struct aq_eval *eval,
                                  const struct aq_expr *filter, const struct grouped_rows *all,
                                  struct grouped_rows *passed)
{
    const struct aq_vector *verdict;
    AQ_TRY(aq_eval_run(eval, filter, all->selection, all->row_count, &verdict));
    size_t count = 0;
    for (size_t i = 0; i < all->row_count; i++) {
        sink->passed_rows[count] = all->selection == NULL ? (uint32_t)i : all->selection[i];
        sink->passed_groups[count] = all->groups[i];
        count += verdict->ints[i] != 0 && aq_row_valid(verdict, i);
    }
    *passed = (struct grouped_rows){
        .selection = sink->passed_rows,
        .row_count = count,
        .groups = sink->passed_groups,
        .runs = sink->passed_runs,
        .run_count = cut_runs(sink->passed_groups, count, sink->passed_runs),
    };
    return AQ_OK;
}

/* Remember the (group, arguments) of rows whose first argument is not null. */
static enum aq_status add_distinct(struct aq_group_sink *sink, size_t aggregate_index,
                                   const struct aq_vector *const *args, size_t arg_count,
                                   const struct grouped_rows *rows)
{
    struct aq_vector pairs[1 + AQ_AGGREGATE_ARGS_MAX] = {0};
    const struct aq_vector *columns[1 + AQ_AGGREGATE_ARGS_MAX] = {0};
    assert(arg_count > 0);              /* DISTINCT has something to tell apart */
    uint32_t *kept = sink->passed_rows; /* the arguments are evaluated: free again */
    size_t count = 0;
    for (size_t i = 0; i < rows->row_count; i++)
        if (aq_row_valid(args[0], i))
            kept[count++] = (uint32_t)i;
    if (count == 0)
        return AQ_OK;
    aq_vector_init(&pairs[0], AQ_TYPE_BIGINT);
    columns[0] = &pairs[0];
    enum aq_status status = aq_vector_reserve(&pairs[0], count);
    for (size_t i = 0; i < count && status == AQ_OK; i++)
        status = aq_vector_append_int(&pairs[0], rows->groups[kept[i]]);
    for (size_t a = 0; a < arg_count && status == AQ_OK; a++) {
        aq_vector_init(&pairs[a + 1], args[a]->type);
        columns[a + 1] = &pairs[a + 1];
        status = aq_vector_gather(&pairs[a + 1], args[a], kept, count, NULL);
    }
    if (status == AQ_OK)
        status = aq_group_table_find(&sink->distinct[aggregate_index], columns, count,
                                     sink->passed_groups);
    for (size_t a = 0; a <= arg_count; a++)
        aq_vector_deinit(&pairs[a]);
    return status;
}

/* first and last: the columns that order rows of equal time. */
static enum aq_status update_with_ties(struct aq_group_sink *sink, size_t a,
                                       const struct aq_eval *eval, const struct grouped_rows *rows,
                                       struct aq_aggregate_input *input, int *outcome)
{
    const struct aq_plan *plan = sink->plan;
    size_t tie_count = sink->all_ties ? plan->tie_count : plan->eager_tie_count;
    struct aq_vector *gathered = calloc(tie_count + 1, sizeof *gathered);
    const struct aq_vector **ties = calloc(tie_count + 1, sizeof(*ties));
    enum aq_status status = gathered == NULL || ties == NULL ? AQ_NO_MEMORY : AQ_OK;
    for (size_t t = 0; t < tie_count && status == AQ_OK; t++) {
        ties[t] = &eval->columns[plan->ties[t]];
        if (rows->selection == NULL)
            continue;
        aq_vector_init(&gathered[t], ties[t]->type);
        status = aq_vector_gather(&gathered[t], ties[t], rows->selection, rows->row_count, NULL);
        ties[t] = &gathered[t];
    }
    input->ties = ties;
    input->tie_count = tie_count;
    input->ties_complete = tie_count == plan->tie_count;
    if (status == AQ_OK)
        *outcome =
            plan->aggregates[a].function->update(&plan->aggregates[a], sink->states[a], input);
    for (size_t t = 0; gathered != NULL && t < tie_count; t++)
        aq_vector_deinit(&gathered[t]);
    free(gathered);
    free(ties);
    return status;
}

static enum aq_status add_aggregate(struct aq_group_sink *sink, size_t a, struct aq_eval *eval,
                                    const struct grouped_rows *all)
{
    const struct aq_aggregate *aggregate = &sink->plan->aggregates[a];
    struct grouped_rows rows = *all;
    if (aggregate->filter != NULL)
        AQ_TRY(filter_rows(sink, eval, aggregate->filter, all, &rows));
    if (rows.row_count == 0)
        return AQ_OK;
    struct aq_aggregate_input input = {.runs = rows.runs, .run_count = rows.run_count};
    for (size_t i = 0; i < aggregate->arg_count; i++)
        AQ_TRY(
            aq_eval_run(eval, aggregate->args[i], rows.selection, rows.row_count, &input.args[i]));
    if (aggregate->distinct)
        return add_distinct(sink, a, input.args, aggregate->arg_count, &rows);
    int outcome = AQ_OK;
    if (aggregate->function->uses_ties)
        AQ_TRY(update_with_ties(sink, a, eval, &rows, &input, &outcome));
    else
        outcome = aggregate->function->update(aggregate, sink->states[a], &input);
    sink->tie_open |= outcome == AQ_TIE_OPEN;
    return outcome == AQ_TIE_OPEN ? AQ_OK : (enum aq_status)outcome;
}

enum aq_status aq_group_sink_add(struct aq_group_sink *sink, struct aq_eval *eval,
                                 const uint32_t *selection, size_t row_count)
{
    const struct aq_plan *plan = sink->plan;
    struct grouped_rows rows = {
        .selection = selection, .row_count = row_count, .groups = sink->groups, .runs = sink->runs};
    AQ_TRY(find_groups(sink, eval, selection, row_count, &rows.run_count));
    for (size_t a = 0; a < plan->aggregate_count; a++)
        AQ_TRY(add_aggregate(sink, a, eval, &rows));
    return AQ_OK;
}

/* Group 0 of a level without GROUP BY, made if no row has made it. */
static enum aq_status need_one_group(struct aq_group_sink *sink)
{
    if (sink->plan->group_count > 0 || sink->table.group_count > 0)
        return AQ_OK;
    AQ_TRY(aq_group_table_find(&sink->table, NULL, 1, sink->groups));
    return grow_states(sink);
}

static bool is_time(const struct aq_plan *plan, const struct aq_expr *expr)
{
    return plan->source == AQ_SOURCE_DATASET && expr->kind == AQ_EXPR_COLUMN &&
           plan->source_ids[plan->inputs[expr->index]] == plan->schema->time_column;
}

static bool takes_known(const struct aq_plan *plan, const struct aq_aggregate *aggregate)
{
    if (aggregate->distinct || aggregate->filter != NULL ||
        (aggregate->arg_count > 0 && aggregate->args[0]->kind != AQ_EXPR_COLUMN))
        return false;
    return aggregate->function->uses_ties ? is_time(plan, aggregate->args[1])
                                          : aggregate->function->update_stats != NULL;
}

bool aq_group_sink_takes_known(const struct aq_plan *plan)
{
    for (size_t a = 0; a < plan->aggregate_count; a++)
        if (!takes_known(plan, &plan->aggregates[a]))
            return false;
    return true;
}

/* The value at an end of a run, as a vector of one row; false: it is not given. */
static bool view_end(const struct aq_run_ends *ends, enum aq_end end, enum aq_type type,
                     uint8_t *valid, struct aq_vector *view)
{
    if (ends == NULL || !ends->at[end].given)
        return false;
    *valid = !ends->at[end].null;
    *view = (struct aq_vector){.type = type,
                               .row_count = 1,
                               .valid = valid,
                               .values = (void *)(uintptr_t)&ends->at[end].value};
    return true;
}

/* The rows at one end of a run have one value in each of the columns that are asked for: they are offered as one row. */
static enum aq_status offer_end(struct aq_group_sink *sink, size_t a,
                                const struct aq_known_rows *known, struct aq_vector *views,
                                const struct aq_vector **ties, uint8_t *valid, bool *done)
{
    const struct aq_plan *plan = sink->plan;
    const struct aq_aggregate *aggregate = &plan->aggregates[a];
    const struct aq_aggregate_function *function = aggregate->function;
    struct aq_run run = {.count = 1};
    struct aq_aggregate_input input = {.runs = &run,
                                       .run_count = 1,
                                       .ties = ties,
                                       .tie_count = plan->eager_tie_count,
                                       .ties_complete = plan->eager_tie_count == plan->tie_count};
    for (size_t i = 0; i < aggregate->arg_count && *done; i++) {
        const struct aq_expr *arg = aggregate->args[i];
        *done = view_end(known->ends[arg->index], function->end, arg->type, &valid[i], &views[i]);
        input.args[i] = &views[i];
    }
    for (size_t t = 0, v = AQ_AGGREGATE_ARGS_MAX; t < input.tie_count && *done; t++, v++) {
        uint32_t at = plan->ties[t];
        *done = view_end(known->ends[at], function->end,
                         plan->source_columns[plan->inputs[at]].type, &valid[v], &views[v]);
        ties[t] = &views[v];
    }
    if (!*done)
        return AQ_OK;
    if (function->skips_nulls &&
        valid[0] == 0) { /* another row may be picked, unless all are null */
        *done = known->stats[a] != NULL && known->stats[a]->null_count == known->row_count;
        return AQ_OK;
    }
    return (enum aq_status)function->update(aggregate, sink->states[a], &input);
}

static enum aq_status add_end(struct aq_group_sink *sink, size_t a,
                              const struct aq_known_rows *known, bool *done)
{
    size_t tie_count = sink->plan->eager_tie_count;
    *done = known->ends != NULL && (!sink->all_ties || tie_count == sink->plan->tie_count);
    if (!*done)
        return AQ_OK;
    struct aq_vector *views = calloc(AQ_AGGREGATE_ARGS_MAX + tie_count, sizeof *views);
    const struct aq_vector **ties = calloc(tie_count + 1, sizeof(*ties));
    uint8_t *valid = calloc(AQ_AGGREGATE_ARGS_MAX + tie_count, 1);
    enum aq_status status = AQ_NO_MEMORY;
    if (views != NULL && ties != NULL && valid != NULL)
        status = offer_end(sink, a, known, views, ties, valid, done);
    free(views);
    free(ties);
    free(valid);
    return status;
}

static enum aq_status add_known(struct aq_group_sink *sink, size_t a,
                                const struct aq_known_rows *known, bool *done)
{
    const struct aq_aggregate *aggregate = &sink->plan->aggregates[a];
    if (aggregate->function->uses_ties)
        return add_end(sink, a, known, done);
    *done = aggregate->function->update_stats(aggregate, sink->states[a], known->row_count,
                                              known->stats[a]);
    return AQ_OK;
}

enum aq_status aq_group_sink_add_known(struct aq_group_sink *sink,
                                       const struct aq_known_rows *known, bool *done)
{
    const struct aq_plan *plan = sink->plan;
    struct aq_group_sink trial;
    *done = aq_group_sink_takes_known(plan);
    AQ_TRY(need_one_group(sink));
    if (!*done)
        return AQ_OK;
    /* All aggregates or none: a trial that is merged only if every one of them could answer. */
    AQ_TRY(aq_group_sink_init(&trial, plan, sink->all_ties));
    enum aq_status status = aq_group_table_find(&trial.table, known->keys, 1, trial.groups);
    if (status == AQ_OK)
        status = grow_states(&trial);
    for (size_t a = 0; a < plan->aggregate_count && *done && status == AQ_OK; a++)
        status = add_known(&trial, a, known, done);
    if (status == AQ_OK && *done)
        status = aq_group_sink_merge(sink, &trial);
    aq_group_sink_deinit(&trial);
    return status;
}

/* Rows [first, first + count) of a table's keys as views. */
static void key_views(const struct aq_group_table *table, size_t first, struct aq_vector *views,
                      const struct aq_vector **columns)
{
    for (size_t c = 0; c < table->column_count; c++) {
        const struct aq_vector *key = &table->keys[c];
        aq_vector_view(&views[c], key, first);
        columns[c] = &views[c];
    }
}

static enum aq_status merge_distinct(struct aq_group_sink *to, const struct aq_group_sink *from,
                                     size_t a, const uint32_t *numbers)
{
    const struct aq_group_table *table = &from->distinct[a];
    struct aq_vector views[1 + AQ_AGGREGATE_ARGS_MAX] = {0};
    const struct aq_vector *columns[1 + AQ_AGGREGATE_ARGS_MAX] = {0};
    int64_t groups[AQ_CHUNK_ROWS];
    for (size_t first = 0; first < table->group_count; first += AQ_CHUNK_ROWS) {
        size_t count = table->group_count - first;
        count = count > AQ_CHUNK_ROWS ? AQ_CHUNK_ROWS : count;
        key_views(table, first, views, columns);
        for (size_t i = 0; i < count; i++)
            groups[i] = numbers[views[0].ints[i]];
        views[0].ints = groups;
        AQ_TRY(aq_group_table_find(&to->distinct[a], columns, count, to->groups));
    }
    return AQ_OK;
}

/* numbers[g] = the number in `to` of group g of `from`. */
static enum aq_status match_groups(struct aq_group_sink *to, const struct aq_group_sink *from,
                                   uint32_t *numbers)
{
    const struct aq_group_table *table = &from->table;
    struct aq_vector *views = calloc(table->column_count + 1, sizeof *views);
    const struct aq_vector **columns = calloc(table->column_count + 1, sizeof(*columns));
    enum aq_status status = views == NULL || columns == NULL ? AQ_NO_MEMORY : AQ_OK;
    for (size_t first = 0; first < table->group_count && status == AQ_OK; first += AQ_CHUNK_ROWS) {
        size_t count = table->group_count - first;
        count = count > AQ_CHUNK_ROWS ? AQ_CHUNK_ROWS : count;
        key_views(table, first, views, columns);
        status = aq_group_table_find(&to->table, columns, count, numbers + first);
    }
    free(views);
    free(columns);
    return status;
}

static enum aq_status merge_states(struct aq_group_sink *to, struct aq_group_sink *from,
                                   const uint32_t *numbers, int *tie_open)
{
    for (size_t a = 0; a < to->plan->aggregate_count; a++) {
        const struct aq_aggregate *aggregate = &to->plan->aggregates[a];
        if (aggregate->distinct) {
            AQ_TRY(merge_distinct(to, from, a, numbers));
            continue;
        }
        size_t size = aggregate->function->state_size;
        for (size_t g = 0; g < from->state_count; g++)
            AQ_TRY(aggregate->function->merge(aggregate, to->states[a] + numbers[g] * size,
                                              from->states[a] + g * size, tie_open));
    }
    return AQ_OK;
}

enum aq_status aq_group_sink_merge(struct aq_group_sink *to, struct aq_group_sink *from)
{
    if (from->table.group_count == 0)
        return AQ_OK;
    uint32_t *numbers = calloc(from->table.group_count, sizeof *numbers);
    if (numbers == NULL)
        return AQ_NO_MEMORY;
    int open = 0;
    enum aq_status status = match_groups(to, from, numbers);
    if (status == AQ_OK)
        status = grow_states(to);
    if (status == AQ_OK)
        status = merge_states(to, from, numbers, &open);
    to->tie_open |= open != 0;
    free(numbers);
    return status;
}

/* Distinct values go into the states now, in chunks; their order does not matter. */
static enum aq_status settle_distinct(struct aq_group_sink *sink, size_t a)
{
    const struct aq_aggregate *aggregate = &sink->plan->aggregates[a];
    const struct aq_group_table *table = &sink->distinct[a];
    struct aq_vector views[1 + AQ_AGGREGATE_ARGS_MAX] = {0};
    const struct aq_vector *columns[1 + AQ_AGGREGATE_ARGS_MAX] = {0};
    for (size_t first = 0; first < table->group_count; first += AQ_CHUNK_ROWS) {
        size_t count = table->group_count - first;
        count = count > AQ_CHUNK_ROWS ? AQ_CHUNK_ROWS : count;
        key_views(table, first, views, columns);
        for (size_t i = 0; i < count; i++)
            sink->groups[i] = (uint32_t)views[0].ints[i];
        struct aq_aggregate_input input = {.runs = sink->runs};
        for (size_t i = 0; i < aggregate->arg_count; i++)
            input.args[i] = columns[i + 1];
        input.run_count = cut_runs(sink->groups, count, sink->runs);
        AQ_TRY((enum aq_status)aggregate->function->update(aggregate, sink->states[a], &input));
    }
    return AQ_OK;
}

static enum aq_status finish_aggregate(struct aq_group_sink *sink, size_t a, struct aq_vector *out,
                                       struct aq_arena *arena, struct aq_error *err)
{
    const struct aq_aggregate *aggregate = &sink->plan->aggregates[a];
    if (aggregate->distinct)
        AQ_TRY(settle_distinct(sink, a));
    aq_vector_init(out, aggregate->type);
    AQ_TRY(aq_vector_reserve(out, sink->state_count));
    for (size_t g = 0; g < sink->state_count; g++) {
        enum aq_status status = aggregate->function->finish(
            aggregate, sink->states[a] + g * aggregate->function->state_size, out, arena);
        if (status == AQ_LIMIT)
            return aq_sql_error(
                sink->plan->sql, aggregate->location, err, AQ_INVALID, "%s: %s out of range%s",
                aggregate->function->name, aq_type_name(aggregate->type),
                aggregate->type == AQ_TYPE_BIGINT ? "; cast the argument with ::double precision"
                                                  : "");
        AQ_TRY(status);
    }
    return AQ_OK;
}

enum aq_status aq_group_sink_finish(struct aq_group_sink *sink, struct aq_vector *out,
                                    struct aq_arena *arena, struct aq_error *err)
{
    AQ_TRY(need_one_group(sink));
    for (size_t g = 0; g < sink->table.column_count; g++)
        aq_vector_view(&out[g], &sink->table.keys[g], 0);
    for (size_t a = 0; a < sink->plan->aggregate_count; a++)
        AQ_TRY(finish_aggregate(sink, a, &out[sink->plan->group_count + a], arena, err));
    return AQ_OK;
}
