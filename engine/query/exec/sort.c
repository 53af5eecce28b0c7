/* ORDER BY over rows in memory, and the first N of them. Rows that tie in every key are ordered by all
 * visible columns, bit by bit, so that what LIMIT keeps depends on the rows alone. */
#include <stdlib.h>

#include "engine/query/exec/execute.h"

struct sort_context {
    const struct aq_plan *plan;
    const struct aq_batch *rows;
};

static int compare_key(const struct aq_sort_key *key, const struct aq_vector *column, uint32_t a,
                       uint32_t b)
{
    bool null_a = aq_vector_is_null(column, a);
    bool null_b = aq_vector_is_null(column, b);
    if (null_a || null_b)
        return null_a == null_b ? 0 : (null_a == key->nulls_first ? -1 : 1);
    int order = aq_vector_compare(column, a, column, b);
    return key->descending ? -order : order;
}

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct sort_context *sort = context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    for (size_t k = 0; k < sort->plan->sort_count; k++) {
        const struct aq_sort_key *key = &sort->plan->sorts[k];
        int order = compare_key(key, &sort->rows->columns[key->output], a, b);
        if (order != 0)
            return order;
    }
    for (size_t c = 0; c < sort->plan->column_count; c++) {
        const struct aq_vector *column = &sort->rows->columns[c];
        int order = aq_vector_compare_bits(column, a, column, b);
        if (order != 0)
            return order;
    }
    return 0;
}

void aq_sort_rows(const struct aq_plan *plan, const struct aq_batch *rows, uint32_t *order,
                  size_t order_count)
{
    struct sort_context context = {.plan = plan, .rows = rows};
    qsort_r(order, order_count, sizeof *order, compare_rows, &context);
}

enum aq_status aq_batch_gather(struct aq_batch *to, const struct aq_batch *from,
                               const uint32_t *selection, size_t count)
{
    for (size_t c = 0; c < to->column_count; c++)
        AQ_TRY(aq_vector_gather(&to->columns[c], &from->columns[c], selection, count, &to->arena));
    to->row_count += count;
    return AQ_OK;
}

size_t aq_batch_bytes(const struct aq_batch *batch)
{
    size_t bytes = batch->arena.used_bytes;
    for (size_t c = 0; c < batch->column_count; c++)
        bytes += batch->columns[c].capacity * (sizeof(struct aq_slice) + 1);
    return bytes;
}

enum aq_status aq_sort_trim(const struct aq_plan *plan, struct aq_batch *rows, size_t keep)
{
    if (rows->row_count <= keep)
        return AQ_OK;
    struct aq_batch kept;
    enum aq_type *types = calloc(rows->column_count + 1, sizeof *types);
    uint32_t *order = malloc(rows->row_count * sizeof *order);
    enum aq_status status = AQ_NO_MEMORY;
    if (types != NULL && order != NULL) {
        for (size_t c = 0; c < rows->column_count; c++)
            types[c] = rows->columns[c].type;
        status = aq_batch_init(&kept, rows->column_count, types);
    }
    if (status == AQ_OK) {
        for (size_t i = 0; i < rows->row_count; i++)
            order[i] = (uint32_t)i;
        aq_sort_rows(plan, rows, order, rows->row_count);
        status = aq_batch_gather(&kept, rows, order, keep);
        if (status == AQ_OK) {
            aq_batch_deinit(rows);
            *rows = kept;
        } else {
            aq_batch_deinit(&kept);
        }
    }
    free(types);
    free(order);
    return status;
}
