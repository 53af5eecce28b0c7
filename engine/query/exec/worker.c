/* One thread's way through a chunk: WHERE, then the sink (groups, or output rows), then the checks that
 * keep a query stoppable and bounded. */
#include <pthread.h>
#include <stdlib.h>

#include "engine/query/exec/execute.h"

/* Output rows collected before a sorted LIMIT throws away what cannot win. */
#define TRIM_ROWS_MIN 16384

static enum aq_status init_rows(struct aq_worker *worker)
{
    const struct aq_plan *plan = worker->exec->plan;
    enum aq_type *types = calloc(plan->output_count + 1, sizeof *types);
    if (types == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < plan->output_count; i++)
        types[i] = plan->outputs[i]->type;
    enum aq_status status = aq_batch_init(&worker->rows, plan->output_count, types);
    free(types);
    return status;
}

static enum aq_status init_inputs(struct aq_worker *worker)
{
    const struct aq_plan *plan = worker->exec->plan;
    worker->columns = calloc(plan->input_count + 1, sizeof *worker->columns);
    worker->plain = calloc(2 * plan->input_count + 1, sizeof *worker->plain);
    enum aq_type *types = calloc(plan->input_count + 1, sizeof *types);
    enum aq_status status = AQ_NO_MEMORY;
    if (worker->columns != NULL && worker->plain != NULL && types != NULL) {
        size_t count = worker->exec->all_ties ? plan->input_count : plan->eager_input_count;
        for (size_t i = 0; i < count; i++)
            types[i] = plan->source_columns[plan->inputs[i]].type;
        status = aq_batch_init(&worker->unit_rows, count, types);
    }
    free(types);
    return status;
}

enum aq_status aq_worker_init(struct aq_worker *worker, struct aq_exec *exec, struct aq_error *err)
{
    const struct aq_plan *plan = exec->plan;
    *worker = (struct aq_worker){.exec = exec};
    enum aq_status status = init_inputs(worker);
    if (status == AQ_OK)
        status = aq_eval_init(&worker->eval, plan->node_count, plan->sql, &worker->err);
    if (status == AQ_OK)
        status = plan->grouped ? aq_group_sink_init(&worker->groups, plan, exec->all_ties)
                               : init_rows(worker);
    worker->eval.columns = worker->columns;
    if (status != AQ_OK)
        aq_error_set(err, status, "out of memory");
    return status;
}

void aq_worker_deinit(struct aq_worker *worker)
{
    aq_eval_deinit(&worker->eval);
    free(worker->columns);
    free(worker->plain);
    free(worker->passed);
    aq_batch_deinit(&worker->unit_rows);
    aq_decode_scratch_deinit(&worker->scratch);
    aq_held_deinit(&worker->held);
    if (worker->groups.plan != NULL)
        aq_group_sink_deinit(&worker->groups);
    aq_batch_deinit(&worker->rows);
    if (worker->exec != NULL)
        atomic_fetch_sub(&worker->exec->runtime->memory_used, worker->memory);
    *worker = (struct aq_worker){0};
}

enum aq_status aq_runtime_hold(struct aq_runtime *runtime, uint64_t *accounted, uint64_t bytes,
                               struct aq_error *err)
{
    uint64_t change = bytes - *accounted; /* modulo 2^64, as the sum is */
    uint64_t used = atomic_fetch_add(&runtime->memory_used, change) + change;
    *accounted = bytes;
    if (used <= runtime->memory_limit)
        return AQ_OK;
    return aq_error_set(err, AQ_LIMIT,
                        "the query needs more than its %llu MiB of memory; narrow it with WHERE, "
                        "group more coarsely, or give it more memory",
                        (unsigned long long)(runtime->memory_limit >> 20));
}

enum aq_status aq_worker_check(struct aq_worker *worker)
{
    struct aq_runtime *runtime = worker->exec->runtime;
    if (runtime->stop != NULL && *runtime->stop)
        return aq_error_set(&worker->err, AQ_INTERRUPTED, "interrupted");
    uint64_t bytes = aq_batch_bytes(&worker->rows) + aq_batch_bytes(&worker->unit_rows);
    if (worker->groups.plan != NULL)
        bytes += aq_group_sink_bytes(&worker->groups);
    return aq_runtime_hold(runtime, &worker->memory, bytes, &worker->err);
}

static enum aq_status add_rows(struct aq_worker *worker, const uint32_t *selection,
                               size_t row_count)
{
    const struct aq_plan *plan = worker->exec->plan;
    for (size_t i = 0; i < plan->output_count; i++) {
        const struct aq_vector *values;
        AQ_TRY(aq_eval_run(&worker->eval, plan->outputs[i], selection, row_count, &values));
        struct aq_vector dense = *values;
        dense.row_count = row_count;
        AQ_TRY(aq_vector_gather(&worker->rows.columns[i], &dense, NULL, row_count,
                                &worker->rows.arena));
    }
    worker->rows.row_count += row_count;
    uint64_t keep = plan->limit + plan->offset;
    if (plan->sort_count == 0 || !plan->has_limit || keep < plan->limit || keep > SIZE_MAX / 8 ||
        worker->rows.row_count < TRIM_ROWS_MIN || worker->rows.row_count < 4 * keep)
        return AQ_OK;
    return aq_sort_trim(plan, &worker->rows, (size_t)keep);
}

/* Whether rows [first, first + row_count) are all in a bitmap. */
static bool has_all(const uint64_t *bitmap, size_t first, size_t row_count)
{
    for (size_t row = 0, count; row < row_count; row += count) {
        size_t bit = (first + row) % 64;
        count = row_count - row < 64 - bit ? row_count - row : 64 - bit;
        if ((~bitmap[(first + row) / 64] >> bit & aq_low_bits(count)) != 0)
            return false;
    }
    return true;
}

size_t aq_worker_passed(struct aq_worker *worker, size_t first, size_t row_count)
{
    size_t kept = 0;
    if (has_all(worker->passed, first, row_count))
        return row_count;
    for (size_t row = 0; row < row_count;) {
        size_t bit = (first + row) % 64;
        size_t count = row_count - row < 64 - bit ? row_count - row : 64 - bit;
        uint64_t word = worker->passed[(first + row) / 64] >> bit & aq_low_bits(count);
        for (; word != 0; word &= word - 1)
            worker->selection[kept++] = (uint32_t)(row + (size_t)__builtin_ctzll(word));
        row += count;
    }
    return kept;
}

static enum aq_status sink_chunk(struct aq_worker *worker, size_t row_count, bool skip_where)
{
    const struct aq_plan *plan = worker->exec->plan;
    const uint32_t *selection = NULL;
    if (plan->where != NULL && !skip_where) {
        size_t kept = 0;
        if (worker->passed != NULL)
            kept = aq_worker_passed(worker, worker->chunk_first, row_count);
        else
            AQ_TRY(aq_eval_filter(&worker->eval, plan->where, NULL, row_count, worker->selection,
                                  &kept));
        if (kept < row_count)
            selection = worker->selection;
        row_count = kept;
    }
    if (row_count == 0)
        return AQ_OK;
    if (plan->grouped)
        return aq_group_sink_add(&worker->groups, &worker->eval, selection, row_count);
    return add_rows(worker, selection, row_count);
}

enum aq_status aq_worker_chunk(struct aq_worker *worker, size_t row_count, bool skip_where)
{
    aq_arena_reset(&worker->eval.arena);
    enum aq_status status = sink_chunk(worker, row_count, skip_where);
    if (status == AQ_NO_MEMORY)
        aq_error_set(&worker->err, status, "out of memory");
    else if (status == AQ_LIMIT && worker->err.status == AQ_OK)
        aq_error_set(&worker->err, status, "the query makes more than 2^32 groups");
    AQ_TRY(status);
    if (worker->groups.tie_open)
        return AQ_END; /* begin again */
    return aq_worker_check(worker);
}

struct thread_job {
    struct aq_worker *worker;
    enum aq_status (*work)(struct aq_worker *worker);
    pthread_t thread;
    bool started;
};

static void *run_job(void *context)
{
    struct thread_job *job = context;
    struct aq_worker *worker = job->worker;
    worker->status = job->work(worker);
    if (worker->status < 0 || worker->groups.tie_open)
        atomic_store(&worker->exec->failed, true);
    return NULL;
}

enum aq_status aq_workers_run(struct aq_exec *exec, size_t worker_count,
                              enum aq_status (*work)(struct aq_worker *worker),
                              struct aq_error *err)
{
    struct thread_job *jobs = calloc(worker_count, sizeof *jobs);
    if (jobs == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    atomic_store(&exec->failed, false);
    for (size_t i = 0; i < worker_count; i++) {
        jobs[i] = (struct thread_job){.worker = &exec->workers[i], .work = work};
        /* The last one runs here; so does any for which there is no thread. */
        jobs[i].started =
            i + 1 < worker_count && pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) == 0;
        if (!jobs[i].started)
            run_job(&jobs[i]);
    }
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < worker_count; i++) {
        if (jobs[i].started)
            pthread_join(jobs[i].thread, NULL);
        if (status == AQ_OK && exec->workers[i].status < 0) {
            status = exec->workers[i].status;
            *err = exec->workers[i].err;
            if (err->status == AQ_OK)
                aq_error_set(err, status, "out of memory");
        }
    }
    free(jobs);
    return status;
}
