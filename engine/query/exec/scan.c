/* Reading a level's source in chunks: units of a dataset, another level's rows, constants.
 *
 * A unit is pruned, answered from its statistics, or read (only the columns that the query names) and
 * walked in chunks of AQ_CHUNK_ROWS rows, which are views, not copies. Threads take units from a
 * common counter. */
#include <stdlib.h>
#include <string.h>

#include "engine/query/exec/execute.h"
#include "engine/query/system_tables/system_table.h"

/* Chunks of `rows`, whose columns are those that the plan reads, in order. */
static enum aq_status walk_rows(struct aq_worker *worker, const struct aq_batch *rows,
                                bool skip_where)
{
    for (size_t first = 0; first < rows->row_count; first += AQ_CHUNK_ROWS) {
        size_t count = rows->row_count - first;
        count = count > AQ_CHUNK_ROWS ? AQ_CHUNK_ROWS : count;
        for (size_t c = 0; c < rows->column_count; c++) {
            aq_vector_view(&worker->columns[c], &rows->columns[c], first);
            worker->columns[c].row_count = count;
        }
        enum aq_status status = aq_worker_chunk(worker, count, skip_where);
        if (status != AQ_OK)
            return status;
        if (atomic_load(&worker->exec->failed))
            return AQ_END;
    }
    return AQ_OK;
}

uint32_t aq_scan_column_id(const struct aq_plan *plan, uint32_t input)
{
    return plan->schema->columns[plan->source_ids[plan->inputs[input]]].id;
}

/* SELECT count(*), max(x) ... without GROUP BY over a unit all of whose rows count. */
static enum aq_status answer_from_stats(const struct aq_plan *plan, const struct aq_unit *unit,
                                        struct aq_group_sink *groups, bool *done,
                                        struct aq_error *err)
{
    *done = false;
    if (!plan->grouped || plan->group_count > 0 || plan->table != NULL)
        return AQ_OK;
    const struct aq_column_stats **stats =
        calloc(plan->aggregate_count + 1, sizeof(const struct aq_column_stats *));
    if (stats == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t a = 0; a < plan->aggregate_count; a++) {
        const struct aq_aggregate *aggregate = &plan->aggregates[a];
        if (aggregate->arg_count > 0 && aggregate->args[0]->kind == AQ_EXPR_COLUMN)
            stats[a] = aq_unit_stats(unit, aq_scan_column_id(plan, aggregate->args[0]->index));
    }
    enum aq_status status = aq_group_sink_add_stats(groups, unit->row_count, stats, done);
    free(stats);
    return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
}

enum aq_status aq_scan_has_answer(const struct aq_plan *plan, const struct aq_unit *unit,
                                  bool *answered, struct aq_error *err)
{
    struct aq_group_sink trial;
    *answered = false;
    if (!plan->grouped)
        return AQ_OK;
    if (aq_group_sink_init(&trial, plan) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = answer_from_stats(plan, unit, &trial, answered, err);
    aq_group_sink_deinit(&trial);
    return status;
}

static enum aq_status read_table(struct aq_worker *worker, const struct aq_unit *unit,
                                 const uint32_t *column_ids)
{
    const struct aq_runtime *runtime = worker->exec->runtime;
    struct aq_system_scan scan = {.snapshot = runtime->snapshot,
                                  .plan = worker->exec->plan,
                                  .lags = runtime->lags,
                                  .memory_limit = runtime->memory_limit,
                                  .stop = runtime->stop};
    return aq_system_read(&scan, unit, column_ids, &worker->unit_rows, &worker->err);
}

static enum aq_status read_unit(struct aq_worker *worker, const struct aq_unit *unit)
{
    const struct aq_plan *plan = worker->exec->plan;
    size_t count = worker->unit_rows.column_count;
    uint32_t *ids = calloc(count + 1, sizeof *ids);
    if (ids == NULL)
        return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        ids[i] = aq_scan_column_id(plan, (uint32_t)i);
    enum aq_status status = AQ_OK;
    if (plan->table != NULL)
        status = read_table(worker, unit, ids);
    else if (count > 0)
        status = aq_unit_read(worker->exec->runtime->snapshot, unit, ids, &worker->unit_rows,
                              &worker->err);
    else
        worker->unit_rows.row_count = unit->row_count; /* count(*): no column is needed */
    free(ids);
    return status;
}

enum aq_status aq_scan_unit(struct aq_worker *worker, const struct aq_unit *unit)
{
    struct aq_runtime *runtime = worker->exec->runtime;
    atomic_fetch_add(&runtime->unit_count, 1);
    enum aq_prune prune = aq_prune_unit(worker->exec->plan, unit);
    if (prune == AQ_PRUNE_NONE) {
        atomic_fetch_add(&runtime->unit_pruned_count, 1);
        return aq_worker_check(worker);
    }
    if (prune == AQ_PRUNE_ALL) {
        bool done;
        AQ_TRY(answer_from_stats(worker->exec->plan, unit, &worker->groups, &done, &worker->err));
        if (done) {
            atomic_fetch_add(&runtime->unit_stats_count, 1);
            return aq_worker_check(worker);
        }
    }
    AQ_TRY(read_unit(worker, unit));
    atomic_fetch_add(&runtime->row_read_count, worker->unit_rows.row_count);
    return walk_rows(worker, &worker->unit_rows, prune == AQ_PRUNE_ALL);
}

/* Rows of the children as inputs of this level. */
static enum aq_status scan_children(struct aq_worker *worker, bool one_batch)
{
    struct aq_exec *exec = worker->exec;
    const struct aq_plan *plan = exec->plan;
    while (exec->child_next < exec->child_count) {
        const struct aq_batch *rows;
        enum aq_status status = aq_exec_next(exec->children[exec->child_next], &rows, &worker->err);
        if (status == AQ_END) {
            exec->child_next++;
            continue;
        }
        AQ_TRY(status);
        struct aq_batch inputs = {.column_count = plan->input_count, .row_count = rows->row_count};
        inputs.columns = calloc(plan->input_count + 1, sizeof *inputs.columns);
        if (inputs.columns == NULL)
            return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
        for (size_t i = 0; i < plan->input_count; i++)
            inputs.columns[i] = rows->columns[plan->inputs[i]];
        status = walk_rows(worker, &inputs, false);
        free(inputs.columns);
        if (status != AQ_OK || one_batch)
            return status;
    }
    exec->source_done = true;
    return AQ_OK;
}

static enum aq_status scan_values(struct aq_worker *worker)
{
    const struct aq_plan *plan = worker->exec->plan;
    for (size_t r = 0; r < plan->value_row_count; r++) {
        for (size_t i = 0; i < plan->input_count; i++) {
            const struct aq_vector *value;
            AQ_TRY(aq_eval_run(&worker->eval,
                               plan->values[r * plan->source_column_count + plan->inputs[i]], NULL,
                               1, &value));
            AQ_TRY(aq_vector_append_from(&worker->unit_rows.columns[i], value, 0,
                                         &worker->unit_rows.arena));
        }
        worker->unit_rows.row_count++;
    }
    worker->exec->source_done = true;
    return walk_rows(worker, &worker->unit_rows, false);
}

static enum aq_status scan_other(struct aq_worker *worker, bool one_batch)
{
    struct aq_exec *exec = worker->exec;
    if (exec->plan->source == AQ_SOURCE_PLANS)
        return scan_children(worker, one_batch);
    if (exec->plan->source == AQ_SOURCE_VALUES)
        return scan_values(worker);
    exec->source_done = true;
    return aq_worker_chunk(worker, 1, false);
}

enum aq_status aq_scan_all(struct aq_worker *worker)
{
    struct aq_exec *exec = worker->exec;
    if (exec->plan->source != AQ_SOURCE_DATASET)
        return scan_other(worker, false);
    while (!atomic_load(&exec->failed)) {
        size_t next = atomic_fetch_add(&exec->unit_next, 1);
        if (next >= exec->window_end)
            break;
        enum aq_status status = aq_scan_unit(worker, &exec->units[next]);
        if (status != AQ_OK)
            return status;
    }
    return AQ_OK;
}

enum aq_status aq_scan_round(struct aq_worker *worker)
{
    struct aq_exec *exec = worker->exec;
    aq_batch_clear(&worker->rows);
    if (exec->plan->source != AQ_SOURCE_DATASET)
        return scan_other(worker, true);
    for (size_t u = worker->unit_first; u < worker->unit_end; u++) {
        enum aq_status status = aq_scan_unit(worker, &exec->units[u]);
        if (status != AQ_OK)
            return status;
    }
    return AQ_OK;
}
