/* Reading a level's source in chunks: units of a dataset, another level's rows, constants.
 *
 * A unit, or a run of it, is pruned, answered from its statistics, or read (only the columns that the query
 * names) and walked in chunks of AQ_CHUNK_ROWS rows, which are views, not copies. Threads take units from
 * a common counter. */
#include <stdlib.h>
#include <string.h>

#include "engine/query/exec/execute.h"
#include "engine/query/system_tables/system_table.h"

/* Chunks of what a stretch has of rows [from, end) of `rows`, whose columns are those that the plan reads, in order. */
static enum aq_status walk_stretch(struct aq_worker *worker, const struct aq_batch *rows,
                                   const struct aq_stretch *stretch, size_t from, size_t end)
{
    size_t stretch_end = (size_t)stretch->first + stretch->row_count;
    end = stretch_end < end ? stretch_end : end;
    from = stretch->first > from ? stretch->first : from;
    for (size_t first = from; first < end; first += AQ_CHUNK_ROWS) {
        size_t count = end - first;
        count = count > AQ_CHUNK_ROWS ? AQ_CHUNK_ROWS : count;
        for (size_t c = 0; c < rows->column_count; c++) {
            if (rows->columns[c].row_count == 0)
                continue; /* it was asked for by WHERE alone */
            aq_vector_view(&worker->columns[c], &rows->columns[c], first);
            worker->columns[c].row_count = count;
        }
        worker->chunk_first = first;
        enum aq_status status = aq_worker_chunk(worker, count, stretch->all_pass);
        if (status != AQ_OK)
            return status;
        if (atomic_load(&worker->exec->failed))
            return AQ_END;
    }
    return AQ_OK;
}

static enum aq_status walk_rows(struct aq_worker *worker, const struct aq_batch *rows)
{
    return walk_stretch(worker, rows, &(struct aq_stretch){.row_count = AQ_STRETCH_TO_END}, 0,
                        rows->row_count);
}

uint32_t aq_scan_column_id(const struct aq_plan *plan, uint32_t input)
{
    return plan->schema->columns[plan->source_ids[plan->inputs[input]]].id;
}

enum aq_status aq_scan_needs_none(const struct aq_exec *exec, const struct aq_unit *unit,
                                  bool *none, struct aq_error *err)
{
    const struct aq_plan *plan = exec->plan;
    struct aq_group_sink trial = {0};
    struct aq_stretches stretches = {0};
    enum aq_prune prune = aq_prune_unit(plan, unit);
    *none = prune == AQ_PRUNE_NONE;
    if (*none)
        return AQ_OK;
    if (plan->grouped && aq_group_sink_init(&trial, plan, exec->all_ties) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status =
        aq_runs_judge(exec->runtime->snapshot, plan, unit, prune, &trial, &stretches, err);
    *none = stretches.count == 0;
    aq_stretches_deinit(&stretches);
    if (plan->grouped)
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

/* The rows of a unit that `stretches` want, and which those are. */
static enum aq_status read_unit(struct aq_worker *worker, const struct aq_unit *unit,
                                const struct aq_stretches *stretches, struct aq_unit_part *part)
{
    const struct aq_plan *plan = worker->exec->plan;
    size_t count = worker->unit_rows.column_count;
    uint32_t *ids = calloc(count + 1, sizeof *ids);
    if (ids == NULL)
        return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        ids[i] = aq_scan_column_id(plan, (uint32_t)i);
    enum aq_status status = AQ_OK;
    *part = (struct aq_unit_part){
        .row_end = unit->row_count, .scratch = &worker->scratch, .held = &worker->held};
    if (plan->table != NULL)
        status = read_table(worker, unit, ids);
    else if (count > 0)
        status = aq_late_read(worker, unit, stretches, ids, part);
    else
        worker->unit_rows.row_count = unit->row_count; /* count(*): no column is needed */
    if (plan->table != NULL)
        part->row_end = (uint32_t)worker->unit_rows.row_count;
    free(ids);
    return status;
}

static enum aq_status walk_unit(struct aq_worker *worker, const struct aq_unit *unit,
                                const struct aq_stretches *stretches)
{
    struct aq_unit_part part;
    enum aq_status status = read_unit(worker, unit, stretches, &part);
    atomic_fetch_add(&worker->exec->runtime->row_read_count, worker->unit_rows.row_count);
    for (size_t i = 0; status == AQ_OK && i < stretches->count; i++)
        status = walk_stretch(worker, &worker->unit_rows, &stretches->items[i], part.row_first,
                              part.row_end);
    free(worker->passed);
    worker->passed = NULL;
    return status == AQ_OK ? aq_worker_check(worker) : status;
}

enum aq_status aq_scan_unit(struct aq_worker *worker, const struct aq_unit *unit)
{
    struct aq_runtime *runtime = worker->exec->runtime;
    const struct aq_plan *plan = worker->exec->plan;
    struct aq_stretches stretches = {0};
    atomic_fetch_add(&runtime->unit_count, 1);
    enum aq_prune prune = aq_prune_unit(plan, unit);
    enum aq_status status = AQ_OK;
    if (prune != AQ_PRUNE_NONE)
        status = aq_runs_judge(runtime->snapshot, plan, unit, prune, &worker->groups, &stretches,
                               &worker->err);
    if (status == AQ_OK && stretches.count > 0)
        status = aq_vectors_judge(worker, unit, &stretches);
    if (status == AQ_OK && stretches.count == 0) {
        atomic_fetch_add(stretches.answered_count > 0 ? &runtime->unit_stats_count
                                                      : &runtime->unit_pruned_count,
                         1);
        status = worker->groups.tie_open ? AQ_END : aq_worker_check(worker);
    } else if (status == AQ_OK) {
        status = walk_unit(worker, unit, &stretches);
    }
    aq_held_deinit(&worker->held);
    aq_stretches_deinit(&stretches);
    return status;
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
        status = walk_rows(worker, &inputs);
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
    return walk_rows(worker, &worker->unit_rows);
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
