/* Reading a tile in two steps: the columns that WHERE asks for, of the rows that statistics leave; then the others,
 * between the first and the last row that passes. Where no row does, nothing else is read; of sorted rows those that
 * pass lie together, so what is read is little more than what is wanted.
 *
 * Happy path: decode, evaluate by chunks into a bitmap, decode. walk_stretch (scan.c) then takes the bitmap's word.
 * Failures: those of reading, and of the condition itself. */
#include <stdlib.h>
#include <string.h>

#include "engine/query/exec/execute.h"

static void mark_columns(const struct aq_expr *expr, bool *marked)
{
    if (expr->kind == AQ_EXPR_COLUMN)
        marked[expr->index] = true;
    for (size_t a = 0; a < expr->arg_count; a++)
        mark_columns(expr->args[a], marked);
}

static uint32_t stretch_end(const struct aq_stretch *stretch, uint32_t row_count)
{
    return stretch->row_count < row_count - stretch->first ? stretch->first + stretch->row_count
                                                           : row_count;
}

/* The rows from the first stretch to the last. */
static void span_stretches(const struct aq_stretches *stretches, uint32_t row_count,
                           struct aq_unit_part *span)
{
    span->row_first = stretches->items[0].first;
    span->row_end = stretch_end(&stretches->items[stretches->count - 1], row_count);
}

/* Rows that pass, of one chunk. */
static enum aq_status filter_chunk(struct aq_worker *worker, const bool *marked, uint32_t first,
                                   uint32_t row_count, size_t *kept)
{
    for (size_t c = 0; c < worker->unit_rows.column_count; c++) {
        if (!marked[c])
            continue;
        aq_vector_view(&worker->columns[c], &worker->unit_rows.columns[c], first);
        worker->columns[c].row_count = row_count;
    }
    aq_arena_reset(&worker->eval.arena);
    enum aq_status status = aq_eval_filter(&worker->eval, worker->exec->plan->where, NULL,
                                           row_count, worker->selection, kept);
    if (status == AQ_NO_MEMORY)
        aq_error_set(&worker->err, status, "out of memory");
    for (size_t i = 0; status == AQ_OK && i < *kept; i++)
        aq_bitmap_set(worker->passed, first + worker->selection[i]);
    return status;
}

static void widen(struct aq_unit_part *part, uint32_t first, uint32_t end)
{
    part->row_first = first < part->row_first ? first : part->row_first;
    part->row_end = end > part->row_end ? end : part->row_end;
}

/* Make the bitmap; `part` becomes the span of the rows that pass, with row_end 0 if there are none. */
static enum aq_status filter_rows(struct aq_worker *worker, const struct aq_stretches *stretches,
                                  const bool *marked, struct aq_unit_part *part)
{
    uint32_t row_count = (uint32_t)worker->unit_rows.row_count;
    *part = (struct aq_unit_part){.row_first = row_count};
    for (size_t s = 0; s < stretches->count; s++) {
        const struct aq_stretch *stretch = &stretches->items[s];
        uint32_t end = stretch_end(stretch, row_count);
        if (stretch->all_pass)
            widen(part, stretch->first, end);
        for (uint32_t first = stretch->first; !stretch->all_pass && first < end;
             first += AQ_CHUNK_ROWS) {
            size_t kept = 0;
            uint32_t count = end - first < AQ_CHUNK_ROWS ? end - first : AQ_CHUNK_ROWS;
            AQ_TRY(filter_chunk(worker, marked, first, count, &kept));
            if (kept > 0)
                widen(part, first + worker->selection[0], first + worker->selection[kept - 1] + 1);
        }
    }
    return AQ_OK;
}

static enum aq_status make_bitmap(struct aq_worker *worker, uint32_t row_count)
{
    size_t size = aq_bitmap_words(row_count) * sizeof *worker->passed;
    worker->passed = malloc(size);
    if (worker->passed == NULL)
        return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
    memset(worker->passed, 0, size);
    return AQ_OK;
}

/* `marked` has the columns of WHERE, some but not all. */
static enum aq_status read_in_two(struct aq_worker *worker, const struct aq_unit *unit,
                                  const struct aq_stretches *stretches, const uint32_t *ids,
                                  bool *marked, struct aq_unit_part *part)
{
    struct aq_snapshot *snapshot = worker->exec->runtime->snapshot;
    part->columns = marked;
    AQ_TRY(make_bitmap(worker, unit->row_count));
    AQ_TRY(aq_unit_read_part(snapshot, unit, ids, part, &worker->unit_rows, &worker->err));
    AQ_TRY(filter_rows(worker, stretches, marked, part));
    if (part->row_end == 0)
        return AQ_OK;
    for (size_t c = 0; c < worker->unit_rows.column_count; c++)
        marked[c] = !marked[c];
    part->columns = marked;
    return aq_unit_read_part(snapshot, unit, ids, part, &worker->unit_rows, &worker->err);
}

enum aq_status aq_late_read(struct aq_worker *worker, const struct aq_unit *unit,
                            const struct aq_stretches *stretches, const uint32_t *ids,
                            struct aq_unit_part *part)
{
    const struct aq_expr *where = worker->exec->plan->where;
    size_t column_count = worker->unit_rows.column_count;
    size_t marked_count = 0;
    bool *marked = calloc(worker->exec->plan->input_count + 1, sizeof *marked);
    if (marked == NULL)
        return aq_error_set(&worker->err, AQ_NO_MEMORY, "out of memory");
    *part = (struct aq_unit_part){0};
    span_stretches(stretches, unit->row_count, part);
    aq_batch_clear(&worker->unit_rows);
    if (where != NULL && !(stretches->count == 1 && stretches->items[0].all_pass))
        mark_columns(where, marked);
    for (size_t c = 0; c < column_count; c++)
        marked_count += marked[c];
    enum aq_status status;
    if (marked_count > 0 && marked_count < column_count)
        status = read_in_two(worker, unit, stretches, ids, marked, part);
    else
        status = aq_unit_read_part(worker->exec->runtime->snapshot, unit, ids, part,
                                   &worker->unit_rows, &worker->err);
    part->columns = NULL;
    free(marked);
    return status;
}
