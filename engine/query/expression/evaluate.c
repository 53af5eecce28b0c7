/* Evaluating bound expressions over one chunk.
 *
 * Every node has a vector of its own in aq_eval. A column without a selection is used in place; with
 * one it is gathered. A constant fills its vector once and is then only cut to length, so kernels
 * have one form: vectors in, vector out. A call evaluates its arguments, joins their nulls (strict)
 * and runs its kernel. AND, OR, CASE and COALESCE evaluate each next part for the rows that are
 * still open, and scatter the results.
 *
 * Failures: a kernel's own error with its position; memory. */
#include "engine/query/expression/expression.h"

#include <stdlib.h>
#include <string.h>

enum aq_status aq_eval_init(struct aq_eval *eval, size_t node_count, const struct aq_sql_text *sql,
                            struct aq_error *err)
{
    *eval = (struct aq_eval){.scratch_count = node_count, .sql = sql, .err = err};
    aq_arena_init(&eval->arena);
    eval->scratch = calloc(node_count + 1, sizeof *eval->scratch);
    eval->filled = calloc(node_count + 1, sizeof *eval->filled);
    if (eval->scratch == NULL || eval->filled == NULL) {
        aq_eval_deinit(eval);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    return AQ_OK;
}

void aq_eval_deinit(struct aq_eval *eval)
{
    for (size_t i = 0; eval->scratch != NULL && i < eval->scratch_count; i++)
        aq_vector_deinit(&eval->scratch[i]);
    free(eval->scratch);
    free(eval->filled);
    aq_arena_deinit(&eval->arena);
    *eval = (struct aq_eval){0};
}

union aq_value aq_value_get(const struct aq_vector *vector, size_t row)
{
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
        return (union aq_value){.integer = vector->ints[row]};
    case AQ_PHYSICAL_DOUBLE:
        return (union aq_value){.real = vector->doubles[row]};
    case AQ_PHYSICAL_SLICE:
        return (union aq_value){.slice = vector->slices[row]};
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
    return (union aq_value){.interval = vector->intervals[row]};
}

void aq_value_put(struct aq_vector *vector, size_t row, union aq_value value)
{
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
        vector->ints[row] = value.integer;
        break;
    case AQ_PHYSICAL_DOUBLE:
        vector->doubles[row] = value.real;
        break;
    case AQ_PHYSICAL_SLICE:
        vector->slices[row] = value.slice;
        break;
    case AQ_PHYSICAL_INTERVAL:
        vector->intervals[row] = value.interval;
        break;
    }
}

int aq_value_compare(enum aq_type type, union aq_value a, union aq_value b)
{
    struct aq_vector left = {.type = type, .row_count = 1, .values = &a};
    struct aq_vector right = {.type = type, .row_count = 1, .values = &b};
    return aq_vector_compare(&left, 0, &right, 0);
}

/* Values of rows selection[i] (or i) to positions `at` + i; validity is the caller's. */
static void copy_values(struct aq_vector *to, size_t at, const struct aq_vector *from,
                        const uint32_t *selection, size_t count)
{
    switch (aq_type_physical(from->type)) {
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_DOUBLE: /* 64 bits either way */
        if (selection == NULL)
            memcpy(to->ints + at, from->ints, count * sizeof *to->ints);
        else
            for (size_t i = 0; i < count; i++)
                to->ints[at + i] = from->ints[selection[i]];
        break;
    case AQ_PHYSICAL_SLICE:
        for (size_t i = 0; i < count; i++)
            to->slices[at + i] = from->slices[selection == NULL ? i : selection[i]];
        break;
    case AQ_PHYSICAL_INTERVAL:
        for (size_t i = 0; i < count; i++)
            to->intervals[at + i] = from->intervals[selection == NULL ? i : selection[i]];
        break;
    }
}

static enum aq_status own_slices(struct aq_vector *vector, size_t first, size_t count,
                                 struct aq_arena *arena)
{
    for (size_t i = first; i < first + count; i++) {
        if (!aq_row_valid(vector, i))
            continue;
        struct aq_slice *slice = &vector->slices[i];
        /* Neighbours often share their bytes (dictionaries): one copy serves the run. */
        if (i > first && aq_row_valid(vector, i - 1) &&
            aq_slice_equal(*slice, vector->slices[i - 1])) {
            *slice = vector->slices[i - 1];
            continue;
        }
        slice->data = aq_arena_copy(arena, slice->data, slice->size);
        if (slice->data == NULL)
            return AQ_NO_MEMORY;
    }
    return AQ_OK;
}

enum aq_status aq_vector_gather(struct aq_vector *to, const struct aq_vector *from,
                                const uint32_t *selection, size_t count, struct aq_arena *arena)
{
    if (count == 0)
        return AQ_OK;
    size_t at = to->row_count;
    if (at + count > to->capacity)
        AQ_TRY(aq_vector_reserve(to, at + count > 2 * at ? at + count : 2 * at));
    if (from->valid != NULL)
        AQ_TRY(aq_vector_need_validity(to));
    AQ_TRY(aq_vector_resize(to, at + count));
    copy_values(to, at, from, selection, count);
    if (from->valid != NULL)
        for (size_t i = 0; i < count; i++)
            to->valid[at + i] = from->valid[selection == NULL ? i : selection[i]];
    if (arena == NULL || aq_type_physical(to->type) != AQ_PHYSICAL_SLICE)
        return AQ_OK;
    return own_slices(to, at, count, arena);
}

void aq_vector_view(struct aq_vector *view, const struct aq_vector *vector, size_t first)
{
    *view = *vector;
    view->row_count = vector->row_count - first;
    view->capacity = 0;
    view->valid = vector->valid == NULL ? NULL : vector->valid + first;
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_DOUBLE:
        view->ints = first == 0 ? vector->ints : vector->ints + first;
        break;
    case AQ_PHYSICAL_SLICE:
        view->slices = first == 0 ? vector->slices : vector->slices + first;
        break;
    case AQ_PHYSICAL_INTERVAL:
        view->intervals = first == 0 ? vector->intervals : vector->intervals + first;
        break;
    }
}

/* The node's vector, empty, with room for a chunk. */
static enum aq_status scratch_of(struct aq_eval *eval, const struct aq_expr *expr, size_t row_count,
                                 struct aq_vector **out)
{
    struct aq_vector *vector = &eval->scratch[expr->slot];
    if (vector->capacity == 0) {
        aq_vector_init(vector, expr->type);
        AQ_TRY(aq_vector_reserve(vector, AQ_CHUNK_ROWS));
        if (aq_type_physical(expr->type) == AQ_PHYSICAL_SLICE)
            memset(vector->values, 0, AQ_CHUNK_ROWS * sizeof *vector->slices);
    }
    aq_vector_clear(vector);
    AQ_TRY(aq_vector_resize(vector, row_count));
    *out = vector;
    return AQ_OK;
}

static enum aq_status eval_const(struct aq_eval *eval, const struct aq_expr *expr, size_t row_count,
                                 const struct aq_vector **out)
{
    struct aq_vector *vector = &eval->scratch[expr->slot];
    if (!eval->filled[expr->slot]) {
        AQ_TRY(scratch_of(eval, expr, AQ_CHUNK_ROWS, &vector));
        for (size_t i = 0; i < AQ_CHUNK_ROWS; i++)
            aq_value_put(vector, i, expr->value);
        if (expr->null) {
            AQ_TRY(aq_vector_need_validity(vector));
            memset(vector->valid, 0, AQ_CHUNK_ROWS);
        }
        eval->filled[expr->slot] = true;
    }
    vector->row_count = row_count;
    *out = vector;
    return AQ_OK;
}

static enum aq_status eval_column(struct aq_eval *eval, const struct aq_expr *expr,
                                  const uint32_t *selection, size_t row_count,
                                  const struct aq_vector **out)
{
    const struct aq_vector *column = &eval->columns[expr->index];
    if (selection == NULL) {
        *out = column;
        return AQ_OK;
    }
    struct aq_vector *vector;
    AQ_TRY(scratch_of(eval, expr, 0, &vector));
    AQ_TRY(aq_vector_gather(vector, column, selection, row_count, NULL));
    *out = vector;
    return AQ_OK;
}

static enum aq_status join_nulls(const struct aq_vector *const *args, size_t arg_count,
                                 size_t row_count, struct aq_vector *out)
{
    for (size_t a = 0; a < arg_count; a++) {
        if (args[a]->valid == NULL)
            continue;
        AQ_TRY(aq_vector_need_validity(out));
        const uint8_t *valid = args[a]->valid;
        uint8_t *restrict both = out->valid;
        for (size_t i = 0; i < row_count; i++)
            both[i] &= valid[i];
    }
    return AQ_OK;
}

#define CALL_ARGS_MAX 16

static enum aq_status eval_call(struct aq_eval *eval, const struct aq_expr *expr,
                                const uint32_t *selection, size_t row_count,
                                const struct aq_vector **out)
{
    const struct aq_vector *local[CALL_ARGS_MAX];
    const struct aq_vector **args = local;
    if (expr->arg_count > CALL_ARGS_MAX) {
        args = aq_arena_alloc(&eval->arena, expr->arg_count * sizeof(const struct aq_vector *));
        if (args == NULL)
            return AQ_NO_MEMORY;
    }
    for (size_t a = 0; a < expr->arg_count; a++)
        AQ_TRY(aq_eval_run(eval, expr->args[a], selection, row_count, &args[a]));
    struct aq_vector *vector;
    AQ_TRY(scratch_of(eval, expr, row_count, &vector));
    if (!expr->lenient)
        AQ_TRY(join_nulls(args, expr->arg_count, row_count, vector));
    AQ_TRY(expr->kernel(eval, expr, args, row_count, vector));
    /* What a kernel left in the place of a null may point to an older chunk's bytes. */
    if (vector->valid != NULL && aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        for (size_t i = 0; i < row_count; i++)
            if (vector->valid[i] == 0)
                vector->slices[i] = (struct aq_slice){0};
    *out = vector;
    return AQ_OK;
}

/* Rows still open, as positions in the result and as rows of the chunk. */
struct open_rows {
    size_t count;
    uint32_t positions[AQ_CHUNK_ROWS];
    uint32_t rows[AQ_CHUNK_ROWS];
};

static void open_all(struct open_rows *open, const uint32_t *selection, size_t row_count)
{
    open->count = row_count;
    for (size_t i = 0; i < row_count; i++) {
        open->positions[i] = (uint32_t)i;
        open->rows[i] = selection == NULL ? (uint32_t)i : selection[i];
    }
}

static enum aq_status scatter(struct aq_vector *to, const uint32_t *positions,
                              const struct aq_vector *from, size_t count)
{
    if (from->valid != NULL)
        AQ_TRY(aq_vector_need_validity(to));
    for (size_t i = 0; i < count; i++)
        aq_value_put(to, positions[i], aq_value_get(from, i));
    if (to->valid != NULL)
        for (size_t i = 0; i < count; i++)
            to->valid[positions[i]] = aq_row_valid(from, i);
    return AQ_OK;
}

/* AND is decided by the first false, OR by the first true; else null if any part was null. */
static enum aq_status eval_logic(struct aq_eval *eval, const struct aq_expr *expr,
                                 const uint32_t *selection, size_t row_count,
                                 struct open_rows *open, struct aq_vector *vector)
{
    int64_t deciding = expr->kind == AQ_EXPR_OR;
    open_all(open, selection, row_count);
    for (size_t i = 0; i < row_count; i++)
        vector->ints[i] = !deciding;
    for (size_t a = 0; a < expr->arg_count && open->count > 0; a++) {
        const struct aq_vector *part;
        AQ_TRY(aq_eval_run(eval, expr->args[a], open->count == row_count ? selection : open->rows,
                           open->count, &part));
        if (part->valid != NULL)
            AQ_TRY(aq_vector_need_validity(vector));
        size_t left = 0;
        for (size_t i = 0; i < open->count; i++) {
            uint32_t position = open->positions[i];
            if (vector->valid != NULL && !aq_row_valid(part, i)) {
                vector->valid[position] = 0;
            } else if (part->ints[i] == deciding) {
                vector->ints[position] = deciding;
                if (vector->valid != NULL)
                    vector->valid[position] = 1;
                continue;
            }
            open->positions[left] = position;
            open->rows[left++] = open->rows[i];
        }
        open->count = left;
    }
    return AQ_OK;
}

static enum aq_status eval_coalesce(struct aq_eval *eval, const struct aq_expr *expr,
                                    const uint32_t *selection, size_t row_count,
                                    struct open_rows *open, struct aq_vector *vector)
{
    open_all(open, selection, row_count);
    for (size_t a = 0; a < expr->arg_count && open->count > 0; a++) {
        const struct aq_vector *part;
        AQ_TRY(aq_eval_run(eval, expr->args[a], open->rows, open->count, &part));
        AQ_TRY(scatter(vector, open->positions, part, open->count));
        size_t left = 0;
        for (size_t i = 0; i < open->count; i++) {
            if (aq_row_valid(part, i))
                continue;
            open->positions[left] = open->positions[i];
            open->rows[left++] = open->rows[i];
        }
        open->count = left;
    }
    return AQ_OK;
}

/* Take the rows for which `condition` is true out of `open` into `taken`. */
static void take_true(struct open_rows *open, const struct aq_vector *condition,
                      struct open_rows *taken)
{
    size_t left = 0;
    taken->count = 0;
    for (size_t i = 0; i < open->count; i++) {
        uint32_t position = open->positions[i];
        uint32_t row = open->rows[i];
        if (aq_row_valid(condition, i) && condition->ints[i] != 0) {
            taken->positions[taken->count] = position;
            taken->rows[taken->count++] = row;
        } else {
            open->positions[left] = position;
            open->rows[left++] = row;
        }
    }
    open->count = left;
}

static enum aq_status eval_case(struct aq_eval *eval, const struct aq_expr *expr,
                                const uint32_t *selection, size_t row_count, struct open_rows *open,
                                struct aq_vector *vector)
{
    open_all(open, selection, row_count);
    struct open_rows *taken = malloc(sizeof *taken);
    if (taken == NULL)
        return AQ_NO_MEMORY;
    enum aq_status status = AQ_OK;
    const struct aq_vector *part;
    size_t a = 0;
    for (; a + 1 < expr->arg_count && open->count > 0 && status == AQ_OK; a += 2) {
        status = aq_eval_run(eval, expr->args[a], open->rows, open->count, &part);
        if (status != AQ_OK)
            break;
        take_true(open, part, taken);
        if (taken->count == 0)
            continue;
        status = aq_eval_run(eval, expr->args[a + 1], taken->rows, taken->count, &part);
        if (status == AQ_OK)
            status = scatter(vector, taken->positions, part, taken->count);
    }
    if (status == AQ_OK && open->count > 0) {
        status = aq_eval_run(eval, expr->args[expr->arg_count - 1], open->rows, open->count, &part);
        if (status == AQ_OK)
            status = scatter(vector, open->positions, part, open->count);
    }
    free(taken);
    return status;
}

static enum aq_status eval_branches(struct aq_eval *eval, const struct aq_expr *expr,
                                    const uint32_t *selection, size_t row_count,
                                    const struct aq_vector **out)
{
    struct aq_vector *vector;
    AQ_TRY(scratch_of(eval, expr, row_count, &vector));
    struct open_rows *open = malloc(sizeof *open);
    if (open == NULL)
        return AQ_NO_MEMORY;
    enum aq_status status;
    if (expr->kind == AQ_EXPR_CASE)
        status = eval_case(eval, expr, selection, row_count, open, vector);
    else if (expr->kind == AQ_EXPR_COALESCE)
        status = eval_coalesce(eval, expr, selection, row_count, open, vector);
    else
        status = eval_logic(eval, expr, selection, row_count, open, vector);
    free(open);
    *out = vector;
    return status;
}

enum aq_status aq_eval_run(struct aq_eval *eval, const struct aq_expr *expr,
                           const uint32_t *selection, size_t row_count,
                           const struct aq_vector **out)
{
    switch (expr->kind) {
    case AQ_EXPR_CONST:
        return eval_const(eval, expr, row_count, out);
    case AQ_EXPR_COLUMN:
        return eval_column(eval, expr, selection, row_count, out);
    case AQ_EXPR_CALL:
        return eval_call(eval, expr, selection, row_count, out);
    case AQ_EXPR_AND:
    case AQ_EXPR_OR:
    case AQ_EXPR_CASE:
    case AQ_EXPR_COALESCE:
        return eval_branches(eval, expr, selection, row_count, out);
    case AQ_EXPR_AGGREGATE:
        break;
    }
    aq_eval_error(eval, expr, AQ_UNSUPPORTED, "an aggregate cannot be used here");
    return AQ_UNSUPPORTED;
}

enum aq_status aq_eval_filter(struct aq_eval *eval, const struct aq_expr *expr,
                              const uint32_t *selection, size_t row_count, uint32_t *kept,
                              size_t *kept_count)
{
    *kept_count = 0;
    if (expr->kind == AQ_EXPR_AND) {
        /* One part after the other: the later ones see fewer rows. A null is not true. */
        for (size_t a = 0; a < expr->arg_count; a++) {
            AQ_TRY(aq_eval_filter(eval, expr->args[a], a == 0 ? selection : kept, row_count, kept,
                                  &row_count));
        }
        *kept_count = row_count;
        return AQ_OK;
    }
    const struct aq_vector *verdict;
    AQ_TRY(aq_eval_run(eval, expr, selection, row_count, &verdict));
    size_t count = 0;
    for (size_t i = 0; i < row_count; i++) {
        uint32_t row = selection == NULL ? (uint32_t)i : selection[i];
        kept[count] = row;
        count += verdict->ints[i] != 0 && aq_row_valid(verdict, i);
    }
    *kept_count = count;
    return AQ_OK;
}
