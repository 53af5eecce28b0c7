/* What the coding of a unit's columns spares of it before anything is unpacked: vectors of 1,024 rows whose values all lie
 * beyond what WHERE asks for, or all within it.
 *
 * Happy path: bounds of the columns that tests in WHERE ask about; each vector is judged by them as a run is by its
 * statistics (prune.c), and stretches are cut accordingly.
 * Failures: no memory. Columns of which the coding tells nothing, or which are damaged, are left to those who read them. */
#include <string.h>

#include "engine/query/exec/execute.h"
#include "format/encode/encode.h"

/* Asking takes about a quarter of what unpacking one column does. */
#define GAIN_PART 4

/* The vectors of a unit, with what is known of them by input. */
struct vectors {
    struct aq_worker *worker;
    const struct aq_unit *unit;
    size_t count;
    size_t input_count;
    bool *asked;
    struct aq_column_stats **stats; /* one a vector; NULL: nothing is known of the input */
    const struct aq_column_stats **of_vector; /* of the one being judged */
    uint8_t *verdicts;                        /* enum aq_prune */
    struct aq_arena arena;
};

static void *alloc_cleared(struct vectors *vectors, size_t size)
{
    void *memory = aq_arena_alloc(&vectors->arena, size);
    return memory == NULL ? NULL : memset(memory, 0, size);
}

static enum aq_status init(struct vectors *vectors)
{
    size_t inputs = vectors->input_count + 1;
    vectors->asked = alloc_cleared(vectors, inputs);
    vectors->stats = alloc_cleared(vectors, inputs * sizeof *vectors->stats);
    vectors->of_vector = alloc_cleared(vectors, inputs * sizeof *vectors->of_vector);
    vectors->verdicts = alloc_cleared(vectors, vectors->count);
    if (vectors->asked == NULL || vectors->stats == NULL || vectors->of_vector == NULL ||
        vectors->verdicts == NULL)
        return aq_error_set(&vectors->worker->err, AQ_NO_MEMORY, "out of memory");
    return AQ_OK;
}

/* Bounds of one input, if its coding tells them. */
static enum aq_status ask(struct vectors *vectors, uint32_t input, bool *told)
{
    struct aq_worker *worker = vectors->worker;
    const struct aq_plan *plan = worker->exec->plan;
    enum aq_type type = plan->source_columns[plan->inputs[input]].type;
    struct aq_column_stats *stats = aq_arena_alloc(&vectors->arena, vectors->count * sizeof *stats);
    if (stats == NULL)
        return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = aq_unit_bounds(worker->exec->runtime->snapshot, vectors->unit,
                                           aq_scan_column_id(plan, input), type, &worker->held,
                                           &worker->scratch, stats, &worker->err);
    if (status == AQ_NOT_FOUND)
        worker->err = (struct aq_error){0};
    else
        AQ_TRY(status);
    if (status == AQ_OK) {
        vectors->stats[input] = stats;
        *told = true;
    }
    return AQ_OK;
}

/* The columns that tests ask about; other conditions are not decided by bounds. */
static enum aq_status ask_all(struct vectors *vectors, bool *told)
{
    const struct aq_plan *plan = vectors->worker->exec->plan;
    struct aq_conditions conditions = aq_expr_conditions(&plan->where);
    for (size_t i = 0; i < conditions.count; i++)
        if (aq_expr_is_test(conditions.items[i]))
            aq_expr_mark_columns(conditions.items[i], vectors->asked);
    for (size_t i = 0; i < plan->input_count; i++)
        if (vectors->asked[i])
            AQ_TRY(ask(vectors, (uint32_t)i, told));
    return AQ_OK;
}

/* How many vectors are decided. */
static size_t judge(struct vectors *vectors)
{
    const struct aq_plan *plan = vectors->worker->exec->plan;
    size_t decided = 0;
    for (size_t vector = 0; vector < vectors->count; vector++) {
        for (size_t i = 0; i < vectors->input_count; i++)
            vectors->of_vector[i] = vectors->stats[i] == NULL ? NULL : &vectors->stats[i][vector];
        enum aq_prune verdict = aq_prune_run(plan, vectors->unit, vectors->of_vector);
        vectors->verdicts[vector] = (uint8_t)verdict;
        decided += verdict != AQ_PRUNE_SOME;
    }
    return decided;
}

/* What the verdicts leave of a stretch. */
static void cut_stretch(const struct vectors *vectors, const struct aq_stretch *stretch,
                        struct aq_stretches *left)
{
    uint32_t end = aq_stretch_end(stretch, vectors->unit->row_count);
    for (uint32_t first = stretch->first, next; first < end; first = next) {
        uint32_t vector = first / AQ_VECTOR_ROWS_MAX;
        next = (vector + 1) * AQ_VECTOR_ROWS_MAX;
        next = next < end ? next : end;
        if (stretch->all_pass || vectors->verdicts[vector] != AQ_PRUNE_NONE)
            aq_stretches_add(left, first, next - first,
                             stretch->all_pass || vectors->verdicts[vector] == AQ_PRUNE_ALL);
    }
}

static enum aq_status cut(const struct vectors *vectors, struct aq_stretches *stretches)
{
    struct aq_stretches left = {.answered_count = stretches->answered_count};
    struct aq_runtime *runtime = vectors->worker->exec->runtime;
    uint64_t skipped = 0;
    AQ_TRY(aq_stretches_reserve(&left, stretches->count + vectors->count, &vectors->worker->err));
    for (size_t s = 0; s < stretches->count; s++)
        cut_stretch(vectors, &stretches->items[s], &left);
    for (size_t vector = 0; vector < vectors->count; vector++)
        skipped += vectors->verdicts[vector] == AQ_PRUNE_NONE;
    atomic_fetch_add(&runtime->vector_skipped_count, skipped);
    aq_stretches_deinit(stretches);
    *stretches = left;
    return AQ_OK;
}

/* Whether there is something to decide, and bounds to decide it by. */
static bool is_open(const struct aq_worker *worker, const struct aq_unit *unit,
                    const struct aq_stretches *stretches)
{
    const struct aq_plan *plan = worker->exec->plan;
    bool open = false;
    for (size_t s = 0; s < stretches->count; s++)
        open |= !stretches->items[s].all_pass;
    return open && plan->where != NULL && plan->table == NULL &&
           unit->row_count > AQ_VECTOR_ROWS_MAX && aq_unit_is_whole(unit);
}

enum aq_status aq_vectors_judge(struct aq_worker *worker, const struct aq_unit *unit,
                                struct aq_stretches *stretches)
{
    struct vectors vectors = {.worker = worker,
                              .unit = unit,
                              .count = aq_vector_count(unit->row_count),
                              .input_count = worker->exec->plan->input_count};
    bool told = false;
    struct aq_trials *trials = &worker->bounds_trials[unit->kind == AQ_FILE_SEGMENT];
    if (!is_open(worker, unit, stretches) || !aq_trials_next(trials))
        return AQ_OK;
    enum aq_status status = init(&vectors);
    if (status == AQ_OK)
        status = ask_all(&vectors, &told);
    size_t decided = status == AQ_OK && told ? judge(&vectors) : 0;
    if (decided > 0)
        status = cut(&vectors, stretches);
    aq_trials_end(trials, decided * GAIN_PART < vectors.count);
    aq_arena_deinit(&vectors.arena);
    return status;
}
