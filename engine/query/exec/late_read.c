/* Reading a unit in steps, each of the rows that are left: what WHERE asks of a column's different values, the columns
 * that the rest of WHERE asks for, and what is wanted of rows that pass, in the vectors that have any. Where no row does,
 * nothing else is read; of sorted rows those that pass lie together, so what is read is little more than what is wanted.
 *
 * Happy path: test values, decode, evaluate by chunks into a bitmap, decode. walk_stretch (scan.c) then takes the
 * bitmap's word.
 * Failures: those of reading, and of the condition itself. */
#include <stdlib.h>
#include <string.h>

#include "engine/query/exec/execute.h"
#include "format/encode/encode.h"

#define VECTOR_WORDS (AQ_VECTOR_ROWS_MAX / 64) /* of a bitmap of rows */

/* A unit on its way. */
struct late {
    struct aq_worker *worker;
    const struct aq_unit *unit;
    const struct aq_stretches *stretches;
    const uint32_t *ids;
    struct aq_unit_part *part;
    struct aq_conditions conditions;
    uint64_t *vectors; /* bitmap of those in which rows may pass */
    bool *tested;      /* conditions that values were asked */
    bool *read;        /* columns that are there */
    bool *marked;      /* columns to read next */
};

void aq_expr_mark_columns(const struct aq_expr *expr, bool *marked)
{
    if (expr->kind == AQ_EXPR_COLUMN)
        marked[expr->index] = true;
    for (size_t a = 0; a < expr->arg_count; a++)
        aq_expr_mark_columns(expr->args[a], marked);
}

struct aq_conditions aq_expr_conditions(struct aq_expr *const *where)
{
    if (*where == NULL)
        return (struct aq_conditions){0};
    if ((*where)->kind == AQ_EXPR_AND)
        return (struct aq_conditions){(*where)->arg_count, (*where)->args};
    return (struct aq_conditions){1, where};
}

/* What is wanted of rows that pass. */
static void mark_results(const struct aq_exec *exec, bool *marked)
{
    const struct aq_plan *plan = exec->plan;
    size_t tie_count = exec->all_ties ? plan->tie_count : plan->eager_tie_count;
    for (size_t i = 0; !plan->grouped && i < plan->output_count; i++)
        aq_expr_mark_columns(plan->outputs[i], marked);
    for (size_t i = 0; i < plan->group_count; i++)
        aq_expr_mark_columns(plan->groups[i], marked);
    for (size_t i = 0; i < plan->aggregate_count; i++) {
        const struct aq_aggregate *aggregate = &plan->aggregates[i];
        for (size_t a = 0; a < aggregate->arg_count; a++)
            aq_expr_mark_columns(aggregate->args[a], marked);
        if (aggregate->filter != NULL)
            aq_expr_mark_columns(aggregate->filter, marked);
    }
    for (size_t i = 0; i < tie_count; i++)
        marked[plan->ties[i]] = true;
}

/* The rows from the first stretch to the last, and of the vectors between those that have rows of a stretch. */
static void span_stretches(struct late *late)
{
    const struct aq_stretches *stretches = late->stretches;
    uint32_t end = 0;
    for (size_t s = 0; s < stretches->count; s++) {
        uint32_t first = stretches->items[s].first;
        end = aq_stretch_end(&stretches->items[s], late->unit->row_count);
        for (size_t vector = first / AQ_VECTOR_ROWS_MAX; vector < aq_vector_count(end); vector++)
            aq_bitmap_set(late->vectors, vector);
    }
    late->part->row_first = stretches->items[0].first;
    late->part->row_end = end;
    late->part->vectors = late->vectors;
}

/* Cut [*first, *end) to its first and last row in the bitmap. */
static void cut_to_passed(const uint64_t *passed, uint32_t *first, uint32_t *end)
{
    while (*first < *end && !aq_bitmap_has(passed, *first))
        *first += *first % 64 == 0 && passed[*first / 64] == 0 && *end - *first > 64 ? 64 : 1;
    while (*first < *end && !aq_bitmap_has(passed, *end - 1))
        *end -= *end % 64 == 0 && passed[*end / 64 - 1] == 0 && *end - *first > 64 ? 64 : 1;
}

/* Make the part the span of the rows that pass, row_end 0 if there are none, and of the vectors between those that have some. */
static void narrow(struct late *late)
{
    struct aq_unit_part *part = late->part;
    const uint64_t *passed = late->worker->passed;
    uint32_t row_count = late->unit->row_count;
    size_t words = aq_bitmap_words(row_count);
    part->row_first = 0;
    part->row_end = row_count;
    cut_to_passed(passed, &part->row_first, &part->row_end);
    if (part->row_first == part->row_end)
        part->row_end = 0;
    for (size_t vector = 0; vector < aq_vector_count(row_count); vector++) {
        uint64_t any = 0;
        for (size_t i = vector * VECTOR_WORDS; i < words && i < (vector + 1) * VECTOR_WORDS; i++)
            any |= passed[i];
        aq_bitmap_unset(late->vectors, vector);
        if (any != 0)
            aq_bitmap_set(late->vectors, vector);
    }
}

/* Leave in the bitmap, of one chunk, the rows of it of which the conditions that are left are true. */
static enum aq_status filter_chunk(struct late *late, uint32_t first, uint32_t row_count)
{
    struct aq_worker *worker = late->worker;
    size_t kept = aq_worker_passed(worker, first, row_count);
    const uint32_t *selection = kept == row_count ? NULL : worker->selection;
    for (size_t c = 0; c < worker->unit_rows.column_count; c++) {
        if (!late->read[c])
            continue;
        aq_vector_view(&worker->columns[c], &worker->unit_rows.columns[c], first);
        worker->columns[c].row_count = row_count;
    }
    aq_arena_reset(&worker->eval.arena);
    for (size_t i = 0; i < late->conditions.count && kept > 0; i++) {
        if (late->tested[i])
            continue;
        enum aq_status status = aq_eval_filter(&worker->eval, late->conditions.items[i], selection,
                                               kept, worker->selection, &kept);
        if (status == AQ_NO_MEMORY)
            aq_error_set(&worker->err, status, "out of memory");
        AQ_TRY(status);
        selection = worker->selection;
    }
    aq_unset_rows(worker->passed, first, first + row_count);
    for (size_t i = 0; i < kept; i++)
        aq_bitmap_set(worker->passed, first + worker->selection[i]);
    return AQ_OK;
}

/* Those of each stretch that are in the part. */
static enum aq_status filter_rows(struct late *late)
{
    for (size_t s = 0; s < late->stretches->count; s++) {
        const struct aq_stretch *stretch = &late->stretches->items[s];
        uint32_t end = aq_stretch_end(stretch, late->unit->row_count);
        uint32_t first = stretch->first;
        first = first < late->part->row_first ? late->part->row_first : first;
        end = end > late->part->row_end ? late->part->row_end : end;
        for (; !stretch->all_pass && first < end; first += AQ_CHUNK_ROWS)
            AQ_TRY(filter_chunk(late, first,
                                end - first < AQ_CHUNK_ROWS ? end - first : AQ_CHUNK_ROWS));
    }
    return AQ_OK;
}

/* All rows of the stretches pass, until a condition says otherwise. */
static enum aq_status make_bitmap(struct late *late)
{
    struct aq_worker *worker = late->worker;
    size_t words = aq_bitmap_words(late->unit->row_count);
    size_t end = 0;
    worker->passed = malloc(words * sizeof *worker->passed);
    if (worker->passed == NULL)
        return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
    memset(worker->passed, 0xff, words * sizeof *worker->passed);
    for (size_t s = 0; s < late->stretches->count; s++) {
        const struct aq_stretch *stretch = &late->stretches->items[s];
        aq_unset_rows(worker->passed, end, stretch->first);
        end = aq_stretch_end(stretch, late->unit->row_count);
    }
    aq_unset_rows(worker->passed, end, words * 64);
    return AQ_OK;
}

/* Ask values, as far as no condition before could fail for rows that would then be left out. */
static enum aq_status test_conditions(struct late *late, size_t *tested_count)
{
    for (size_t i = 0; i < late->conditions.count && aq_expr_is_test(late->conditions.items[i]);
         i++) {
        AQ_TRY(aq_value_filter(late->worker, late->unit, late->conditions.items[i], late->part,
                               &late->tested[i]));
        *tested_count += late->tested[i];
    }
    return AQ_OK;
}

/* The columns that are marked and not there yet, of the part's rows; `all`: whether marked or not. */
static enum aq_status read_columns(struct late *late, bool all)
{
    struct aq_worker *worker = late->worker;
    size_t count = 0;
    for (size_t c = 0; c < worker->unit_rows.column_count; c++) {
        late->marked[c] = (all || late->marked[c]) && !late->read[c];
        late->read[c] |= late->marked[c];
        count += late->marked[c];
    }
    late->part->columns = late->marked;
    worker->unit_rows.row_count = late->unit->row_count;
    return count == 0 ? AQ_OK
                      : aq_unit_read_part(worker->exec->runtime->snapshot, late->unit, late->ids,
                                          late->part, &worker->unit_rows, &worker->err);
}

/* Those in which rows may pass. */
static size_t count_vectors(const struct late *late)
{
    size_t count = 0;
    for (size_t vector = 0; vector < aq_vector_count(late->unit->row_count); vector++)
        count += aq_bitmap_has(late->vectors, vector);
    return count;
}

static enum aq_status read_by_steps(struct late *late)
{
    struct aq_worker *worker = late->worker;
    size_t tested_count = 0;
    size_t marked_count = 0;
    AQ_TRY(make_bitmap(late));
    AQ_TRY(test_conditions(late, &tested_count));
    for (size_t i = 0; i < late->conditions.count; i++)
        if (!late->tested[i])
            aq_expr_mark_columns(late->conditions.items[i], late->marked);
    for (size_t c = 0; c < worker->unit_rows.column_count; c++)
        marked_count += late->marked[c];
    struct aq_trials *trials = &worker->late_trials[late->unit->kind == AQ_FILE_SEGMENT];
    bool at_once = marked_count == worker->unit_rows.column_count || !aq_trials_next(trials);
    if (tested_count == 0 && at_once) {
        free(worker->passed); /* WHERE is evaluated as the rows are walked */
        worker->passed = NULL;
        return read_columns(late, true);
    }
    narrow(late);
    if (tested_count < late->conditions.count && late->part->row_end > 0) {
        AQ_TRY(read_columns(late, false));
        AQ_TRY(filter_rows(late));
        size_t before = count_vectors(late);
        narrow(late);
        aq_trials_end(trials, count_vectors(late) == before);
    }
    memset(late->marked, 0, worker->unit_rows.column_count);
    mark_results(worker->exec, late->marked);
    worker->unit_rows.row_count = late->unit->row_count;
    return late->part->row_end == 0 ? AQ_OK : read_columns(late, false);
}

enum aq_status aq_late_read(struct aq_worker *worker, const struct aq_unit *unit,
                            const struct aq_stretches *stretches, const uint32_t *ids,
                            struct aq_unit_part *part)
{
    struct aq_expr *where = worker->exec->plan->where;
    size_t column_count = worker->exec->plan->input_count;
    struct late late = {
        .worker = worker, .unit = unit, .stretches = stretches, .ids = ids, .part = part};
    late.conditions = aq_expr_conditions(&where);
    bool *flags = calloc(late.conditions.count + 2 * column_count + 1, sizeof *flags);
    late.vectors = calloc(aq_bitmap_words(aq_vector_count(unit->row_count)), sizeof *late.vectors);
    if (flags == NULL || late.vectors == NULL) {
        free(flags);
        free(late.vectors);
        return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
    }
    late.tested = flags;
    late.read = flags + late.conditions.count;
    late.marked = late.read + column_count;
    span_stretches(&late);
    aq_batch_clear(&worker->unit_rows);
    bool all_pass = true;
    for (size_t s = 0; s < stretches->count; s++)
        all_pass &= stretches->items[s].all_pass;
    enum aq_status status = all_pass ? read_columns(&late, true) : read_by_steps(&late);
    part->columns = NULL;
    part->vectors = NULL;
    free(late.vectors);
    free(flags);
    return status;
}
