/* From a vector to Parquet's plain values, and the smallest and largest of them.
 *
 * Happy path: nulls are dropped, integers and reals narrowed to their stored width, texts borrowed.
 * Failures: a date whose days do not fit 32 bits, memory. Of a column with a NaN, of JSON, and where a bound is
 * long, no range is given: readers take a range at its word, and compare NaN each in their own way. */
#include <math.h>

#include "format/parquet/write/parquet_chunk.h"

#define BOUND_BYTES_MAX 256

enum aq_status aq_parquet_physical(enum aq_type type, enum aq_parquet_type *physical)
{
    switch (type) {
    case AQ_TYPE_BOOLEAN:
        *physical = AQ_PARQUET_BOOLEAN;
        return AQ_OK;
    case AQ_TYPE_INTEGER:
    case AQ_TYPE_DATE:
        *physical = AQ_PARQUET_INT32;
        return AQ_OK;
    case AQ_TYPE_BIGINT:
    case AQ_TYPE_TIMESTAMPTZ:
    case AQ_TYPE_TIMESTAMP:
        *physical = AQ_PARQUET_INT64;
        return AQ_OK;
    case AQ_TYPE_REAL:
        *physical = AQ_PARQUET_FLOAT;
        return AQ_OK;
    case AQ_TYPE_DOUBLE:
        *physical = AQ_PARQUET_DOUBLE;
        return AQ_OK;
    case AQ_TYPE_TEXT:
    case AQ_TYPE_BYTEA:
    case AQ_TYPE_JSON:
        *physical = AQ_PARQUET_BYTE_ARRAY;
        return AQ_OK;
    case AQ_TYPE_INTERVAL:
        break;
    }
    return AQ_UNSUPPORTED;
}

static void widen(struct aq_parquet_values *values, const struct aq_slice *min,
                  const struct aq_slice *max)
{
    values->has_range = min->size <= BOUND_BYTES_MAX && max->size <= BOUND_BYTES_MAX;
    values->min = *min;
    values->max = *max;
}

static enum aq_status take_booleans(const struct aq_vector *vector, struct aq_arena *arena,
                                    struct aq_parquet_values *values)
{
    static const uint8_t truths[2] = {0, 1};
    bool seen[2] = {false, false};
    values->bits = aq_arena_alloc(arena, vector->row_count);
    if (values->bits == NULL)
        return AQ_NO_MEMORY;
    for (size_t row = 0; row < vector->row_count; row++) {
        if (aq_vector_is_null(vector, row))
            continue;
        values->bits[values->count++] = vector->ints[row] != 0;
        seen[vector->ints[row] != 0] = true;
    }
    struct aq_slice min = aq_slice_make(&truths[seen[0] ? 0 : 1], 1);
    struct aq_slice max = aq_slice_make(&truths[seen[1] ? 1 : 0], 1);
    if (values->count > 0)
        widen(values, &min, &max);
    values->plain_bytes = values->count;
    return AQ_OK;
}

static enum aq_status take_ints(const struct aq_vector *vector, struct aq_arena *arena,
                                struct aq_parquet_values *values)
{
    bool narrow = values->physical == AQ_PARQUET_INT32;
    size_t width = narrow ? 4 : 8;
    size_t min = 0;
    size_t max = 0;
    values->ints = aq_arena_alloc(arena, vector->row_count * sizeof *values->ints);
    uint8_t *plain = aq_arena_alloc(arena, vector->row_count * width);
    if (values->ints == NULL || plain == NULL)
        return AQ_NO_MEMORY;
    for (size_t row = 0; row < vector->row_count; row++) {
        if (aq_vector_is_null(vector, row))
            continue;
        size_t at = values->count++;
        int64_t value = vector->ints[row];
        if (narrow && value != (int32_t)value)
            return AQ_LIMIT;
        values->ints[at] = value;
        memcpy(plain + at * width, &value, width); /* little-endian: the low bytes come first */
        values->bytes[at] = aq_slice_make(plain + at * width, width);
        min = value < values->ints[min] ? at : min;
        max = value > values->ints[max] ? at : max;
    }
    if (values->count > 0)
        widen(values, &values->bytes[min], &values->bytes[max]);
    values->plain_bytes = values->count * width;
    return AQ_OK;
}

static size_t put_real(double value, bool narrow, uint8_t *out)
{
    float real = (float)value;
    memcpy(out, narrow ? (const void *)&real : (const void *)&value, narrow ? 4 : 8);
    return narrow ? 4 : 8;
}

/* A zero is taken for -0.0 as the smallest and 0.0 as the largest value: both are equal to both. */
static enum aq_status set_real_range(struct aq_parquet_values *values, double min, double max,
                                     bool narrow, struct aq_arena *arena)
{
    uint8_t *bounds = aq_arena_alloc(arena, 16);
    if (bounds == NULL)
        return AQ_NO_MEMORY;
    size_t width = put_real(min == 0 ? -0.0 : min, narrow, bounds);
    put_real(max == 0 ? 0.0 : max, narrow, bounds + 8);
    struct aq_slice low = aq_slice_make(bounds, width);
    struct aq_slice high = aq_slice_make(bounds + 8, width);
    widen(values, &low, &high);
    return AQ_OK;
}

static enum aq_status take_doubles(const struct aq_vector *vector, struct aq_arena *arena,
                                   struct aq_parquet_values *values)
{
    bool narrow = values->physical == AQ_PARQUET_FLOAT;
    double min = INFINITY;
    double max = -INFINITY;
    bool has_nan = false;
    uint8_t *plain = aq_arena_alloc(arena, vector->row_count * 8);
    if (plain == NULL)
        return AQ_NO_MEMORY;
    for (size_t row = 0; row < vector->row_count; row++) {
        if (aq_vector_is_null(vector, row))
            continue;
        double value = vector->doubles[row];
        uint8_t *at = plain + 8 * values->count;
        values->bytes[values->count++] = aq_slice_make(at, put_real(value, narrow, at));
        has_nan = has_nan || isnan(value);
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    values->plain_bytes = values->count * (narrow ? 4 : 8);
    if (values->count == 0 || has_nan)
        return AQ_OK;
    return set_real_range(values, min, max, narrow, arena);
}

static void take_slices(const struct aq_vector *vector, struct aq_parquet_values *values)
{
    struct aq_slice min = {0};
    struct aq_slice max = {0};
    for (size_t row = 0; row < vector->row_count; row++) {
        if (aq_vector_is_null(vector, row))
            continue;
        struct aq_slice value = vector->slices[row];
        bool first = values->count == 0;
        values->bytes[values->count++] = value;
        values->plain_bytes += value.size + sizeof(uint32_t);
        min = first || aq_slice_compare(value, min) < 0 ? value : min;
        max = first || aq_slice_compare(value, max) > 0 ? value : max;
    }
    if (values->count > 0 && vector->type != AQ_TYPE_JSON)
        widen(values, &min, &max);
}

enum aq_status aq_parquet_values_of(const struct aq_vector *vector, struct aq_arena *arena,
                                    struct aq_parquet_values *values)
{
    *values = (struct aq_parquet_values){0};
    AQ_TRY(aq_parquet_physical(vector->type, &values->physical));
    if (values->physical == AQ_PARQUET_BOOLEAN)
        return take_booleans(vector, arena, values);
    values->bytes = aq_arena_alloc(arena, vector->row_count * sizeof *values->bytes);
    if (values->bytes == NULL)
        return AQ_NO_MEMORY;
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
        return take_ints(vector, arena, values);
    case AQ_PHYSICAL_DOUBLE:
        return take_doubles(vector, arena, values);
    default:
        take_slices(vector, values);
        return AQ_OK;
    }
}
