/* Running one level.
 *
 * A grouped or sorted level collects: all workers read the source to its end, partial groups merge,
 * groups become output rows, rows are sorted; then they are given out. Any other level streams in
 * rounds: each worker turns the next few units into output rows, which are given out in the order of
 * the units.
 *
 * Failures: the first worker's error stops the others. A tie that first or last cannot settle with the
 * columns it has starts the level again with all of them. */
#include "engine/query/exec/execute.h"

#include <stdlib.h>
#include <string.h>

#define ROUND_ROWS_MIN 65536 /* of one worker; spares threads where units are small */

static bool collects(const struct aq_plan *plan)
{
    return plan->grouped || plan->sort_count > 0;
}

static enum aq_status init_batch(struct aq_batch *batch, const struct aq_plan *plan, size_t count)
{
    enum aq_type *types = calloc(count + 1, sizeof *types);
    if (types == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        types[i] = plan->outputs[i]->type;
    enum aq_status status = aq_batch_init(batch, count, types);
    free(types);
    return status;
}

static enum aq_status create_children(struct aq_exec *exec, struct aq_error *err)
{
    exec->children = calloc(exec->plan->child_count + 1, sizeof(struct aq_exec *));
    if (exec->children == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < exec->plan->child_count; i++) {
        AQ_TRY(aq_exec_create(exec->runtime, exec->plan->children[i], &exec->children[i], err));
        exec->child_count++;
    }
    return AQ_OK;
}

enum aq_status aq_exec_create(struct aq_runtime *runtime, const struct aq_plan *plan,
                              struct aq_exec **exec, struct aq_error *err)
{
    struct aq_exec *made = calloc(1, sizeof *made);
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    made->runtime = runtime;
    made->plan = plan;
    enum aq_status status = init_batch(&made->result, plan, plan->output_count);
    if (status == AQ_OK)
        status = init_batch(&made->emission, plan, plan->column_count);
    if (status == AQ_NO_MEMORY)
        aq_error_set(err, status, "out of memory");
    if (status == AQ_OK)
        status = create_children(made, err);
    if (status != AQ_OK)
        aq_exec_destroy(made);
    else
        *exec = made;
    return status;
}

static void drop_workers(struct aq_exec *exec)
{
    for (size_t i = 0; i < exec->worker_count; i++)
        aq_worker_deinit(&exec->workers[i]);
    free(exec->workers);
    exec->workers = NULL;
    exec->worker_count = 0;
}

void aq_exec_destroy(struct aq_exec *exec)
{
    if (exec == NULL)
        return;
    drop_workers(exec);
    atomic_fetch_sub(&exec->runtime->memory_used, exec->memory);
    for (size_t i = 0; i < exec->child_count; i++)
        aq_exec_destroy(exec->children[i]);
    free(exec->children);
    aq_batch_deinit(&exec->result);
    aq_batch_deinit(&exec->emission);
    free(exec->order);
    free(exec);
}

static enum aq_status open_source(struct aq_exec *exec, struct aq_error *err)
{
    size_t wanted = 1;
    exec->source_done = false;
    atomic_store(&exec->unit_next, 0);
    if (exec->plan->source == AQ_SOURCE_DATASET) {
        AQ_TRY(aq_prune_open(exec->plan, exec->runtime->snapshot, &exec->units, &exec->unit_count,
                             err));
        AQ_TRY(aq_window_open(exec, err));
        AQ_TRY(aq_exec_resolve(exec, err));
        wanted = exec->runtime->thread_count;
        if (wanted > exec->unit_count)
            wanted = exec->unit_count == 0 ? 1 : exec->unit_count;
    }
    exec->workers = calloc(wanted, sizeof *exec->workers);
    if (exec->workers == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < wanted; i++) {
        exec->worker_count++;
        AQ_TRY(aq_worker_init(&exec->workers[i], exec, err));
    }
    return AQ_OK;
}

static bool any_tie_open(const struct aq_exec *exec)
{
    bool open = false;
    for (size_t i = 0; i < exec->worker_count; i++)
        open |= exec->workers[i].groups.tie_open;
    return open;
}

/* Partial groups into the first worker's. */
static enum aq_status merge_groups(struct aq_exec *exec, struct aq_error *err)
{
    for (size_t i = 1; i < exec->worker_count; i++) {
        enum aq_status status =
            aq_group_sink_merge(&exec->workers[0].groups, &exec->workers[i].groups);
        if (status != AQ_OK)
            return aq_error_set(err, status, "out of memory");
        aq_worker_deinit(&exec->workers[i]);
    }
    exec->worker_count = 1;
    return AQ_OK;
}

struct key_order {
    const struct aq_vector *keys;
    size_t key_count;
};

static int compare_groups(const void *left, const void *right, void *context)
{
    const struct key_order *order = context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    for (size_t k = 0; k < order->key_count; k++) {
        int result = aq_vector_compare(&order->keys[k], a, &order->keys[k], b);
        if (result != 0)
            return result;
    }
    return 0;
}

/* Groups through HAVING and the outputs into exec->result. Without ORDER BY they come in the order of
 * their keys: threads number them as they meet them, and people compare runs. */
static enum aq_status output_groups(struct aq_exec *exec, const struct aq_vector *columns,
                                    size_t group_count, struct aq_eval *eval)
{
    const struct aq_plan *plan = exec->plan;
    uint32_t *order = malloc((group_count + 1) * sizeof *order);
    if (order == NULL)
        return AQ_NO_MEMORY;
    for (size_t g = 0; g < group_count; g++)
        order[g] = (uint32_t)g;
    struct key_order keys = {.keys = columns, .key_count = plan->group_count};
    if (plan->sort_count == 0)
        qsort_r(order, group_count, sizeof *order, compare_groups, &keys);
    enum aq_status status = AQ_OK;
    eval->columns = columns;
    for (size_t first = 0; first < group_count && status == AQ_OK; first += AQ_CHUNK_ROWS) {
        size_t count = group_count - first;
        count = count > AQ_CHUNK_ROWS ? AQ_CHUNK_ROWS : count;
        aq_arena_reset(&eval->arena);
        if (plan->having != NULL)
            status =
                aq_eval_filter(eval, plan->having, order + first, count, order + first, &count);
        for (size_t i = 0; i < plan->output_count && status == AQ_OK && count > 0; i++) {
            const struct aq_vector *values;
            status = aq_eval_run(eval, plan->outputs[i], order + first, count, &values);
            if (status == AQ_OK)
                status = aq_vector_gather(&exec->result.columns[i], values, NULL, count,
                                          &exec->result.arena);
        }
        exec->result.row_count += count;
    }
    free(order);
    return status;
}

static enum aq_status collect_groups(struct aq_exec *exec, struct aq_error *err)
{
    const struct aq_plan *plan = exec->plan;
    struct aq_worker *worker = &exec->workers[0];
    size_t count = plan->group_count + plan->aggregate_count;
    struct aq_vector *columns = calloc(count + 1, sizeof *columns);
    struct aq_arena arena;
    aq_arena_init(&arena);
    enum aq_status status = columns == NULL ? AQ_NO_MEMORY : AQ_OK;
    if (status == AQ_OK)
        status = aq_group_sink_finish(&worker->groups, columns, &arena, err);
    if (status == AQ_OK) {
        worker->err = (struct aq_error){0};
        status = output_groups(exec, columns, worker->groups.table.group_count, &worker->eval);
        if (status != AQ_OK)
            *err = worker->err;
    }
    if (status == AQ_NO_MEMORY)
        aq_error_set(err, status, "out of memory");
    for (size_t i = plan->group_count; columns != NULL && i < count; i++)
        aq_vector_deinit(&columns[i]);
    free(columns);
    aq_arena_deinit(&arena);
    return status;
}

static enum aq_status collect_rows(struct aq_exec *exec, struct aq_error *err)
{
    for (size_t i = 0; i < exec->worker_count; i++) {
        struct aq_batch *rows = &exec->workers[i].rows;
        enum aq_status status = AQ_OK;
        if (exec->result.row_count == 0) {
            aq_batch_deinit(&exec->result);
            exec->result = *rows;
            *rows = (struct aq_batch){0};
        } else {
            status = aq_batch_gather(&exec->result, rows, NULL, rows->row_count);
        }
        if (status != AQ_OK)
            return aq_error_set(err, status, "out of memory");
    }
    return AQ_OK;
}

static enum aq_status order_result(struct aq_exec *exec, struct aq_error *err)
{
    size_t count = exec->result.row_count;
    if (count > UINT32_MAX)
        return aq_error_set(err, AQ_LIMIT, "the result has more than 2^32 rows to sort");
    exec->order = malloc((count + 1) * sizeof *exec->order);
    if (exec->order == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        exec->order[i] = (uint32_t)i;
    if (exec->plan->sort_count > 0)
        aq_sort_rows(exec->plan, &exec->result, exec->order, count);
    uint64_t offset = exec->plan->offset < count ? exec->plan->offset : count;
    exec->order_count = count;
    exec->emit_next = (size_t)offset;
    if (exec->plan->has_limit && exec->plan->limit < count - offset)
        exec->order_count = (size_t)(offset + exec->plan->limit);
    exec->collected = true;
    return AQ_OK;
}

/* Window after window, until all is read or a tie is open. */
static enum aq_status scan_source(struct aq_exec *exec, struct aq_error *err)
{
    do {
        atomic_store(&exec->unit_next, exec->window_end);
        AQ_TRY(aq_window_next(exec, err));
        AQ_TRY(aq_workers_run(exec, exec->worker_count, aq_scan_all, err));
    } while (exec->window_end < exec->unit_count && !any_tie_open(exec));
    return AQ_OK;
}

static enum aq_status collect(struct aq_exec *exec, struct aq_error *err)
{
    AQ_TRY(open_source(exec, err));
    AQ_TRY(scan_source(exec, err));
    if (exec->plan->grouped && !any_tie_open(exec))
        AQ_TRY(merge_groups(exec, err));
    if (any_tie_open(exec)) {
        drop_workers(exec);
        exec->all_ties = true;
        return collect(exec, err);
    }
    AQ_TRY(exec->plan->grouped ? collect_groups(exec, err) : collect_rows(exec, err));
    drop_workers(exec);
    uint64_t bytes = aq_batch_bytes(&exec->result) + exec->result.row_count * sizeof *exec->order;
    AQ_TRY(aq_runtime_hold(exec->runtime, &exec->memory, bytes, err));
    return order_result(exec, err);
}

static enum aq_status emit(struct aq_exec *exec, const struct aq_batch **batch,
                           struct aq_error *err)
{
    size_t count = exec->order_count - exec->emit_next;
    if (exec->emit_next >= exec->order_count)
        return AQ_END;
    count = count > AQ_CHUNK_ROWS ? AQ_CHUNK_ROWS : count;
    aq_batch_clear(&exec->emission);
    if (aq_batch_gather(&exec->emission, &exec->result, exec->order + exec->emit_next, count) !=
        AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    exec->emit_next += count;
    *batch = &exec->emission;
    return AQ_OK;
}

/* Units for each worker of the next round. @return the number of workers that got any. */
static size_t deal_units(struct aq_exec *exec)
{
    size_t next = atomic_load(&exec->unit_next);
    size_t used = 0;
    for (; used < exec->worker_count && next < exec->window_end; used++) {
        struct aq_worker *worker = &exec->workers[used];
        uint64_t rows = 0;
        worker->unit_first = next;
        while (next < exec->window_end && rows < ROUND_ROWS_MIN)
            rows += exec->units[next++].row_count;
        worker->unit_end = next;
    }
    atomic_store(&exec->unit_next, next);
    exec->source_done = next >= exec->unit_count;
    return used;
}

static enum aq_status run_round(struct aq_exec *exec, struct aq_error *err)
{
    size_t used = 1;
    if (exec->plan->source == AQ_SOURCE_DATASET) {
        if (atomic_load(&exec->unit_next) == exec->window_end)
            AQ_TRY(aq_window_next(exec, err));
        used = deal_units(exec);
    }
    for (size_t i = 0; i < exec->worker_count; i++)
        aq_batch_clear(&exec->workers[i].rows);
    exec->worker_next = 0;
    return used == 0 ? AQ_OK : aq_workers_run(exec, used, aq_scan_round, err);
}

/* The part of `rows` that OFFSET and LIMIT let through; NULL: nothing of it. */
static enum aq_status limited(struct aq_exec *exec, const struct aq_batch *rows,
                              const struct aq_batch **batch, struct aq_error *err)
{
    const struct aq_plan *plan = exec->plan;
    uint64_t first = plan->offset > exec->passed ? plan->offset - exec->passed : 0;
    uint64_t last = rows->row_count;
    uint64_t end = plan->offset + plan->limit;
    if (plan->has_limit && end >= plan->offset && end - exec->passed < last)
        last = end - exec->passed;
    exec->passed += rows->row_count;
    *batch = NULL;
    if (first >= last)
        return AQ_OK;
    if (first == 0 && last == rows->row_count) {
        *batch = rows;
        return AQ_OK;
    }
    aq_batch_clear(&exec->emission);
    for (size_t c = 0; c < exec->emission.column_count; c++) {
        struct aq_vector view;
        aq_vector_view(&view, &rows->columns[c], (size_t)first);
        if (aq_vector_gather(&exec->emission.columns[c], &view, NULL, (size_t)(last - first),
                             NULL) != AQ_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    exec->emission.row_count = (size_t)(last - first);
    *batch = &exec->emission;
    return AQ_OK;
}

static bool limit_reached(const struct aq_exec *exec)
{
    const struct aq_plan *plan = exec->plan;
    uint64_t end = plan->offset + plan->limit;
    return plan->has_limit && end >= plan->offset && exec->passed >= end;
}

static enum aq_status stream(struct aq_exec *exec, const struct aq_batch **batch,
                             struct aq_error *err)
{
    if (exec->workers == NULL) {
        AQ_TRY(open_source(exec, err));
        exec->worker_next = exec->worker_count; /* no round yet */
    }
    while (!limit_reached(exec)) {
        if (exec->worker_next < exec->worker_count) {
            const struct aq_batch *rows = &exec->workers[exec->worker_next++].rows;
            if (rows->row_count == 0)
                continue;
            AQ_TRY(limited(exec, rows, batch, err));
            if (*batch != NULL)
                return AQ_OK;
        } else if (exec->source_done) {
            break;
        } else {
            AQ_TRY(run_round(exec, err));
        }
    }
    return AQ_END;
}

enum aq_status aq_exec_next(struct aq_exec *exec, const struct aq_batch **batch,
                            struct aq_error *err)
{
    if (!collects(exec->plan))
        return stream(exec, batch, err);
    if (!exec->collected)
        AQ_TRY(collect(exec, err));
    return emit(exec, batch, err);
}
