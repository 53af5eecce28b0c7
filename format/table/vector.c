#include "format/table/vector.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t value_size(enum aq_type type)
{
    switch (aq_type_physical(type)) {
    case AQ_PHYSICAL_INT:
        return sizeof(int64_t);
    case AQ_PHYSICAL_DOUBLE:
        return sizeof(double);
    case AQ_PHYSICAL_SLICE:
        return sizeof(struct aq_slice);
    case AQ_PHYSICAL_INTERVAL:
        return sizeof(struct aq_interval);
    }
    return sizeof(int64_t);
}

void aq_vector_init(struct aq_vector *vector, enum aq_type type)
{
    *vector = (struct aq_vector){.type = type};
}

void aq_vector_deinit(struct aq_vector *vector)
{
    free(vector->values);
    free(vector->valid);
    *vector = (struct aq_vector){.type = vector->type};
}

static enum aq_status grow_validity(struct aq_vector *vector, size_t capacity)
{
    uint8_t *valid = realloc(vector->valid, capacity);
    if (valid == NULL)
        return AQ_NO_MEMORY;
    vector->valid = valid;
    return AQ_OK;
}

enum aq_status aq_vector_reserve(struct aq_vector *vector, size_t capacity)
{
    if (capacity <= vector->capacity)
        return AQ_OK;
    /* The first time what is asked for, no more: what is decoded does not grow, and may be many small frames. */
    size_t grown = vector->capacity == 0 ? capacity : vector->capacity * 2;
    if (vector->capacity > 0 && grown < 64)
        grown = 64;
    if (grown < capacity)
        grown = capacity;
    size_t size;
    if (__builtin_mul_overflow(grown, value_size(vector->type), &size))
        return AQ_NO_MEMORY;
    if (vector->valid != NULL)
        AQ_TRY(grow_validity(vector, grown));
    void *values = realloc(vector->values, size);
    if (values == NULL)
        return AQ_NO_MEMORY;
    vector->values = values;
    vector->capacity = grown;
    return AQ_OK;
}

void aq_vector_clear(struct aq_vector *vector)
{
    vector->row_count = 0;
    free(vector->valid);
    vector->valid = NULL;
}

enum aq_status aq_vector_need_validity(struct aq_vector *vector)
{
    if (vector->valid != NULL)
        return AQ_OK;
    AQ_TRY(grow_validity(vector, vector->capacity == 0 ? 1 : vector->capacity));
    memset(vector->valid, 1, vector->row_count);
    return AQ_OK;
}

enum aq_status aq_vector_resize(struct aq_vector *vector, size_t row_count)
{
    AQ_TRY(aq_vector_reserve(vector, row_count));
    if (vector->valid != NULL && row_count > vector->row_count)
        memset(vector->valid + vector->row_count, 1, row_count - vector->row_count);
    vector->row_count = row_count;
    return AQ_OK;
}

enum aq_status aq_vector_append_null(struct aq_vector *vector)
{
    if (vector->row_count == vector->capacity)
        AQ_TRY(aq_vector_reserve(vector, vector->row_count + 1));
    AQ_TRY(aq_vector_need_validity(vector));
    size_t size = value_size(vector->type);
    memset((uint8_t *)vector->values + vector->row_count * size, 0, size);
    vector->valid[vector->row_count] = 0;
    vector->row_count++;
    return AQ_OK;
}

enum aq_status aq_vector_fill_nulls(struct aq_vector *vector, size_t row_count)
{
    aq_vector_clear(vector);
    if (row_count == 0)
        return AQ_OK;
    AQ_TRY(aq_vector_resize(vector, row_count));
    AQ_TRY(aq_vector_need_validity(vector));
    memset(vector->values, 0, row_count * value_size(vector->type));
    memset(vector->valid, 0, row_count);
    return AQ_OK;
}

enum aq_status aq_vector_append_from(struct aq_vector *vector, const struct aq_vector *from,
                                     size_t row, struct aq_arena *arena)
{
    assert(aq_type_physical(vector->type) == aq_type_physical(from->type));
    if (aq_vector_is_null(from, row))
        return aq_vector_append_null(vector);
    AQ_TRY(aq_vector_append_row(vector));
    size_t at = vector->row_count - 1;
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
        vector->ints[at] = from->ints[row];
        break;
    case AQ_PHYSICAL_DOUBLE:
        vector->doubles[at] = from->doubles[row];
        break;
    case AQ_PHYSICAL_INTERVAL:
        vector->intervals[at] = from->intervals[row];
        break;
    case AQ_PHYSICAL_SLICE: {
        struct aq_slice slice = from->slices[row];
        if (arena != NULL) {
            slice.data = aq_arena_copy(arena, slice.data, slice.size);
            if (slice.data == NULL) {
                vector->row_count--;
                return AQ_NO_MEMORY;
            }
        }
        vector->slices[at] = slice;
        break;
    }
    }
    return AQ_OK;
}

/* Inlined with a constant size, so that the copy is a load and a store. */
static inline size_t keep_values(uint8_t *values, size_t size, size_t row_count,
                                 const uint64_t *keep)
{
    size_t kept = 0;
    for (size_t row = 0; row < row_count; row++) {
        if (aq_bitmap_has(keep, row))
            memmove(values + size * kept++, values + size * row, size);
    }
    return kept;
}

void aq_vector_keep(struct aq_vector *vector, const uint64_t *keep)
{
    size_t size = value_size(vector->type);
    size_t row_count = vector->row_count;
    if (size == sizeof(int64_t))
        vector->row_count = keep_values(vector->values, sizeof(int64_t), row_count, keep);
    else
        vector->row_count = keep_values(vector->values, size, row_count, keep);
    if (vector->valid == NULL)
        return;
    size_t kept = keep_values(vector->valid, 1, row_count, keep);
    if (memchr(vector->valid, 0, kept) == NULL) {
        free(vector->valid);
        vector->valid = NULL;
    }
}

static int compare_ints(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_doubles(double a, double b)
{
    bool nan_a = a != a;
    bool nan_b = b != b;
    if (nan_a || nan_b)
        return nan_a - nan_b;
    return (a > b) - (a < b);
}

/* PostgreSQL compares intervals as if a month had 30 days and a day 24 hours. */
static int compare_intervals(struct aq_interval a, struct aq_interval b)
{
    aq_int128 us_a = ((aq_int128)a.months * 30 + a.days) * AQ_US_PER_DAY + a.us;
    aq_int128 us_b = ((aq_int128)b.months * 30 + b.days) * AQ_US_PER_DAY + b.us;
    return (us_a > us_b) - (us_a < us_b);
}

int aq_vector_compare(const struct aq_vector *a, size_t row_a, const struct aq_vector *b,
                      size_t row_b)
{
    bool null_a = aq_vector_is_null(a, row_a);
    bool null_b = aq_vector_is_null(b, row_b);
    if (null_a || null_b)
        return null_a - null_b;
    switch (aq_type_physical(a->type)) {
    case AQ_PHYSICAL_INT:
        return compare_ints(a->ints[row_a], b->ints[row_b]);
    case AQ_PHYSICAL_DOUBLE:
        return compare_doubles(a->doubles[row_a], b->doubles[row_b]);
    case AQ_PHYSICAL_SLICE:
        return aq_slice_compare(a->slices[row_a], b->slices[row_b]);
    case AQ_PHYSICAL_INTERVAL:
        return compare_intervals(a->intervals[row_a], b->intervals[row_b]);
    }
    return 0;
}

int aq_vector_compare_bits(const struct aq_vector *a, size_t row_a, const struct aq_vector *b,
                           size_t row_b)
{
    int order = aq_vector_compare(a, row_a, b, row_b);
    if (order != 0 || aq_type_physical(a->type) != AQ_PHYSICAL_DOUBLE ||
        aq_vector_is_null(a, row_a))
        return order;
    uint64_t bits_a;
    uint64_t bits_b;
    memcpy(&bits_a, &a->doubles[row_a], sizeof bits_a);
    memcpy(&bits_b, &b->doubles[row_b], sizeof bits_b);
    return (bits_a > bits_b) - (bits_a < bits_b);
}

enum aq_status aq_batch_init(struct aq_batch *batch, size_t column_count, const enum aq_type *types)
{
    *batch = (struct aq_batch){.column_count = column_count};
    aq_arena_init(&batch->arena);
    if (column_count == 0)
        return AQ_OK;
    batch->columns = calloc(column_count, sizeof *batch->columns);
    if (batch->columns == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < column_count; i++)
        aq_vector_init(&batch->columns[i], types[i]);
    return AQ_OK;
}

void aq_batch_deinit(struct aq_batch *batch)
{
    for (size_t i = 0; batch->columns != NULL && i < batch->column_count; i++)
        aq_vector_deinit(&batch->columns[i]);
    free(batch->columns);
    aq_arena_deinit(&batch->arena);
    *batch = (struct aq_batch){0};
}

void aq_batch_clear(struct aq_batch *batch)
{
    for (size_t i = 0; i < batch->column_count; i++)
        aq_vector_clear(&batch->columns[i]);
    aq_arena_reset(&batch->arena);
    batch->row_count = 0;
}

static enum aq_status append_all(struct aq_vector *to, const struct aq_vector *from)
{
    size_t before = to->row_count;
    size_t size = value_size(to->type);
    if (from->row_count == 0)
        return AQ_OK;
    AQ_TRY(aq_vector_resize(to, before + from->row_count));
    memcpy((uint8_t *)to->values + before * size, from->values, from->row_count * size);
    if (from->valid == NULL)
        return AQ_OK;
    AQ_TRY(aq_vector_need_validity(to));
    memcpy(to->valid + before, from->valid, from->row_count);
    return AQ_OK;
}

enum aq_status aq_batch_move_rows(struct aq_batch *to, struct aq_batch *from)
{
    assert(to->column_count == from->column_count);
    for (size_t i = 0; i < to->column_count; i++) {
        AQ_TRY(append_all(&to->columns[i], &from->columns[i]));
        aq_vector_clear(&from->columns[i]);
    }
    to->row_count += from->row_count;
    from->row_count = 0;
    return AQ_OK;
}

enum aq_status aq_batch_append_row(struct aq_batch *batch, const struct aq_batch *from, size_t row)
{
    for (size_t i = 0; i < batch->column_count; i++)
        AQ_TRY(aq_vector_append_from(&batch->columns[i], &from->columns[i], row, &batch->arena));
    batch->row_count++;
    return AQ_OK;
}

size_t aq_batch_size_bytes(const struct aq_batch *batch)
{
    size_t size = batch->arena.used_bytes;
    for (size_t i = 0; i < batch->column_count; i++) {
        bool fixed = aq_type_physical(batch->columns[i].type) != AQ_PHYSICAL_SLICE;
        size += batch->row_count * (fixed ? sizeof(int64_t) : sizeof(struct aq_slice));
    }
    return size;
}
