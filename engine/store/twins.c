/* Which rows are twins, and which of two counts: by their values alone. */
#include "engine/store/dedupe.h"

bool aq_rows_are_twins(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                       const struct aq_batch *b, size_t row_b)
{
    for (size_t i = 0; i < schema->unique_count; i++) {
        uint32_t column = schema->unique[i];
        if (aq_vector_compare_bits(&a->columns[column], row_a, &b->columns[column], row_b) != 0)
            return false;
    }
    return true;
}

/* By value, null below all. */
static int compare_column(size_t column, const struct aq_batch *a, size_t row_a,
                          const struct aq_batch *b, size_t row_b)
{
    const struct aq_vector *of_a = &a->columns[column];
    const struct aq_vector *of_b = &b->columns[column];
    bool null_a = aq_vector_is_null(of_a, row_a);
    bool null_b = aq_vector_is_null(of_b, row_b);
    if (null_a || null_b)
        return (int)null_b - (int)null_a;
    return aq_vector_compare(of_a, row_a, of_b, row_b);
}

int aq_twins_compare(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                     const struct aq_batch *b, size_t row_b)
{
    int order = 0;
    if (aq_schema_keeps_arrival(schema)) {
        size_t arrival = schema->column_count;
        order = compare_column(arrival + AQ_ARRIVAL_STAMP, a, row_a, b, row_b);
        if (order == 0)
            order = compare_column(arrival + AQ_ARRIVAL_ORDINAL, a, row_a, b, row_b);
    } else {
        order = compare_column(schema->version_column, a, row_a, b, row_b);
    }
    for (size_t i = 0; order == 0 && i < schema->column_count; i++)
        order = aq_vector_compare_bits(&a->columns[i], row_a, &b->columns[i], row_b);
    return schema->keep == AQ_KEEP_LAST ? order : -order;
}
