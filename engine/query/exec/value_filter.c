/* Parts of WHERE that ask about one column alone, asked of the different values that the column has in a tile: of a
 * dictionary's entries, of the heads of runs.
 *
 * Happy path: the values, evaluated as any rows are; the verdict on each value then goes to the rows that have it, and
 * that on null to the null ones.
 * Failures: no memory. A part that could fail is left alone, since a value may be one that no row has. What cannot be
 * read in this way will be read in the other. */
#include <stdlib.h>

#include "engine/query/exec/execute.h"
#include "engine/query/expression/function.h"
#include "format/encode/encode.h"

static bool is_test(const struct aq_expr *expr)
{
    if (expr->kernel == aq_in_kernel() || expr->kernel == aq_not_kernel())
        return true;
    for (int test = 0; test < AQ_IS_TEST_COUNT; test++)
        if (expr->kernel == aq_is_kernel((enum aq_is_test)test))
            return true;
    return expr->arg_count == 2 &&
           expr->kernel == aq_compare_kernel(expr->name, expr->args[0]->type);
}

bool aq_expr_is_test(const struct aq_expr *expr)
{
    if (expr->kind == AQ_EXPR_CALL ? !is_test(expr)
                                   : expr->kind != AQ_EXPR_CONST && expr->kind != AQ_EXPR_AND &&
                                         expr->kind != AQ_EXPR_OR && expr->kind != AQ_EXPR_COLUMN)
        return false;
    for (size_t a = 0; a < expr->arg_count; a++)
        if (!aq_expr_is_test(expr->args[a]))
            return false;
    return true;
}

/* Whether `expr` names one column, which is *column then, once or more. */
static bool names_one_column(const struct aq_expr *expr, const struct aq_expr **column)
{
    if (expr->kind == AQ_EXPR_COLUMN) {
        bool same = *column == NULL || (*column)->index == expr->index;
        *column = expr;
        return same;
    }
    for (size_t a = 0; a < expr->arg_count; a++)
        if (!names_one_column(expr->args[a], column))
            return false;
    return true;
}

/* passes[i]: whether `expr` is true of value i. */
static enum aq_status test_values(struct aq_worker *worker, const struct aq_expr *expr,
                                  uint32_t column, const struct aq_vector *values, uint8_t *passes)
{
    memset(passes, 0, values->row_count);
    for (size_t first = 0; first < values->row_count; first += AQ_CHUNK_ROWS) {
        size_t left = values->row_count - first;
        size_t count = left < AQ_CHUNK_ROWS ? left : AQ_CHUNK_ROWS;
        size_t kept = 0;
        aq_vector_view(&worker->columns[column], values, first);
        worker->columns[column].row_count = count;
        aq_arena_reset(&worker->eval.arena);
        AQ_TRY(aq_eval_filter(&worker->eval, expr, NULL, count, worker->selection, &kept));
        for (size_t i = 0; i < kept; i++)
            passes[first + worker->selection[i]] = 1;
    }
    return AQ_OK;
}

static enum aq_status test_null(struct aq_worker *worker, const struct aq_expr *expr,
                                const struct aq_expr *column, uint8_t *passes)
{
    struct aq_vector null;
    aq_vector_init(&null, column->type);
    enum aq_status status = aq_vector_append_null(&null);
    if (status == AQ_OK)
        status = test_values(worker, expr, column->index, &null, passes);
    aq_vector_deinit(&null);
    return status;
}

void aq_unset_rows(uint64_t *bitmap, size_t first, size_t end)
{
    for (size_t row = first; row < end;) {
        size_t bit = row % 64;
        size_t count = end - row < 64 - bit ? end - row : 64 - bit;
        bitmap[row / 64] &= ~(aq_low_bits(count) << bit);
        row += count;
    }
}

/* Verdicts of up to 64 rows, as bits; passes[null_place] is that of a null. */
static uint64_t verdicts(const struct aq_vector *codes, size_t row, size_t count,
                         const uint8_t *passes, size_t null_place)
{
    const int64_t *places = codes->ints + row;
    const uint8_t *valid = codes->valid == NULL ? NULL : codes->valid + row;
    uint64_t bits = 0;
    if (valid == NULL)
        for (size_t i = 0; i < count; i++)
            bits |= (uint64_t)passes[places[i]] << i;
    else
        for (size_t i = 0; i < count; i++)
            bits |= (uint64_t)passes[valid[i] != 0 ? (size_t)places[i] : null_place] << i;
    return bits;
}

static void apply_codes(const struct aq_factored *factored, const struct aq_unit_part *part,
                        const uint8_t *passes, uint64_t *bitmap)
{
    size_t null_place = factored->values.row_count;
    for (size_t row = part->row_first; row < part->row_end;) {
        size_t bit = row % 64;
        size_t count = part->row_end - row < 64 - bit ? part->row_end - row : 64 - bit;
        uint64_t failed = ~verdicts(&factored->codes, row, count, passes, null_place);
        bitmap[row / 64] &= ~((failed & aq_low_bits(count)) << bit);
        row += count;
    }
}

static void apply_runs(const struct aq_factored *factored, const struct aq_unit_part *part,
                       const uint8_t *passes, uint64_t *bitmap)
{
    const uint8_t *valid = factored->codes.valid;
    bool null_passes = passes[factored->values.row_count] != 0;
    size_t row = part->row_first;
    for (size_t run = 0; run < factored->values.row_count && row < part->row_end; run++) {
        size_t end = (size_t)factored->ends[run];
        end = end < part->row_end ? end : part->row_end;
        if (valid == NULL && row < end && passes[run] == 0)
            aq_unset_rows(bitmap, row, end);
        for (size_t i = row; valid != NULL && i < end; i++)
            if (valid[i] != 0 ? passes[run] == 0 : !null_passes)
                aq_bitmap_unset(bitmap, i);
        row = end > row ? end : row;
    }
}

static enum aq_status filter_by(struct aq_worker *worker, const struct aq_expr *expr,
                                const struct aq_expr *column, const struct aq_unit_part *part,
                                const struct aq_factored *factored)
{
    size_t null_place = factored->values.row_count;
    uint8_t *passes = malloc(null_place + 1);
    enum aq_status status = passes == NULL ? AQ_NO_MEMORY : AQ_OK;
    if (status == AQ_OK)
        status = test_values(worker, expr, column->index, &factored->values, passes);
    if (status == AQ_OK && factored->codes.valid != NULL)
        status = test_null(worker, expr, column, &passes[null_place]);
    if (status == AQ_OK && factored->ends != NULL)
        apply_runs(factored, part, passes, worker->passed);
    else if (status == AQ_OK)
        apply_codes(factored, part, passes, worker->passed);
    free(passes);
    return status;
}

enum aq_status aq_value_filter(struct aq_worker *worker, const struct aq_unit *unit,
                               const struct aq_expr *expr, const struct aq_unit_part *part,
                               bool *done)
{
    const struct aq_expr *column = NULL;
    struct aq_factored factored;
    *done = false;
    if (!names_one_column(expr, &column) || column == NULL)
        return AQ_OK;
    bool *plain = &worker->plain[column->index];
    if (unit->kind == AQ_FILE_SEGMENT)
        plain += worker->exec->plan->input_count;
    if (*plain)
        return AQ_OK;
    uint32_t id = aq_scan_column_id(worker->exec->plan, column->index);
    struct aq_snapshot *snapshot = worker->exec->runtime->snapshot;
    enum aq_status status =
        aq_unit_factor(snapshot, unit, id, column->type, part->row_first, part->row_end,
                       &worker->held, &worker->scratch, &factored, &worker->err);
    if (status == AQ_NOT_FOUND) {
        *plain = true; /* most likely of the other tiles or frames, too */
        worker->err = (struct aq_error){0};
        return AQ_OK;
    }
    AQ_TRY(status);
    status = filter_by(worker, expr, column, part, &factored);
    aq_factored_deinit(&factored);
    *done = status == AQ_OK;
    return status == AQ_NO_MEMORY ? aq_error_set(&worker->err, status, "out of memory") : status;
}
