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
static int compare_values(const struct aq_vector *a, size_t row_a, const struct aq_vector *b,
                          size_t row_b)
{
    bool null_a = aq_vector_is_null(a, row_a);
    bool null_b = aq_vector_is_null(b, row_b);
    if (null_a || null_b)
        return (int)null_b - (int)null_a;
    return aq_vector_compare(a, row_a, b, row_b);
}

int aq_twins_compare_version(const struct aq_schema *schema, const struct aq_vector *a,
                             size_t row_a, const struct aq_vector *b, size_t row_b)
{
    int order = compare_values(&a[0], row_a, &b[0], row_b);
    if (order == 0 && aq_schema_keeps_arrival(schema))
        order = compare_values(&a[AQ_ARRIVAL_ORDINAL], row_a, &b[AQ_ARRIVAL_ORDINAL], row_b);
    return schema->keep == AQ_KEEP_LAST ? order : -order;
}

int aq_twins_compare(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                     const struct aq_batch *b, size_t row_b)
{
    size_t version =
        aq_schema_keeps_arrival(schema) ? schema->column_count : schema->version_column;
    int order =
        aq_twins_compare_version(schema, &a->columns[version], row_a, &b->columns[version], row_b);
    if (order != 0)
        return order;
    for (size_t i = 0; order == 0 && i < schema->column_count; i++)
        order = aq_vector_compare_bits(&a->columns[i], row_a, &b->columns[i], row_b);
    return schema->keep == AQ_KEEP_LAST ? order : -order;
}

bool aq_schema_has_adjacent_twins(const struct aq_schema *schema)
{
    for (size_t i = 0; i < schema->series_count; i++) {
        size_t u = 0;
        while (u < schema->unique_count && schema->unique[u] != schema->series[i])
            u++;
        if (u == schema->unique_count)
            return false;
    }
    return schema->unique_count > 0;
}
