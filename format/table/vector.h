/* Column vectors with validity, and batches of them: the unit that decoding, frames, archives and
 * queries pass to each other. */
#ifndef AQ_FORMAT_VECTOR_H
#define AQ_FORMAT_VECTOR_H

#include "format/base/arena.h"
#include "format/table/types.h"

/** Values in one vector of the archive format, and the size queries work in. */
#define AQ_VECTOR_ROWS_MAX 1024

/**
 * One column's values. Owns its arrays; the bytes behind slices belong to the batch's arena (or to
 * whoever the producer names). Zero-initialised = empty; set `type` with aq_vector_init.
 *
 * valid[i] is 1 where row i has a value and 0 where it is null; `valid` is NULL while no row is
 * null. The value of a null row is unspecified but initialised.
 */
struct aq_vector {
    enum aq_type type;
    size_t row_count;
    size_t capacity;
    uint8_t *valid;
    union {
        void *values;
        int64_t *ints;
        double *doubles;
        struct aq_slice *slices;
        struct aq_interval *intervals;
    };
};

void aq_vector_init(struct aq_vector *vector, enum aq_type type);
void aq_vector_deinit(struct aq_vector *vector);
/** Room for at least `capacity` rows in all. AQ_NO_MEMORY leaves the vector as it was. */
enum aq_status aq_vector_reserve(struct aq_vector *vector, size_t capacity) AQ_RESULT;
/** row_count = 0 and no nulls; keeps the memory. */
void aq_vector_clear(struct aq_vector *vector);
/** Make `valid` an array of ones for `row_count` rows if it is NULL. */
enum aq_status aq_vector_need_validity(struct aq_vector *vector) AQ_RESULT;
/** Set row_count to `row_count` <= capacity for filling in place; new rows are valid but unset. */
enum aq_status aq_vector_resize(struct aq_vector *vector, size_t row_count) AQ_RESULT;

/** One more row, valid but unset. */
static inline AQ_RESULT enum aq_status aq_vector_append_row(struct aq_vector *vector)
{
    if (vector->row_count == vector->capacity)
        AQ_TRY(aq_vector_reserve(vector, vector->row_count + 1));
    if (vector->valid != NULL)
        vector->valid[vector->row_count] = 1;
    vector->row_count++;
    return AQ_OK;
}

static inline AQ_RESULT enum aq_status aq_vector_append_int(struct aq_vector *vector, int64_t value)
{
    AQ_TRY(aq_vector_append_row(vector));
    vector->ints[vector->row_count - 1] = value;
    return AQ_OK;
}

static inline AQ_RESULT enum aq_status aq_vector_append_double(struct aq_vector *vector,
                                                               double value)
{
    AQ_TRY(aq_vector_append_row(vector));
    vector->doubles[vector->row_count - 1] = value;
    return AQ_OK;
}

/** Appends the slice itself; its bytes must outlive the vector's use. */
static inline AQ_RESULT enum aq_status aq_vector_append_slice(struct aq_vector *vector,
                                                              struct aq_slice value)
{
    AQ_TRY(aq_vector_append_row(vector));
    vector->slices[vector->row_count - 1] = value;
    return AQ_OK;
}

enum aq_status aq_vector_append_null(struct aq_vector *vector) AQ_RESULT;
/** `row_count` nulls in place of what it has. */
enum aq_status aq_vector_fill_nulls(struct aq_vector *vector, size_t row_count) AQ_RESULT;
/** Append row `row` of `from` (same physical type); slice bytes are copied into `arena` unless it
 * is NULL, else shared. */
enum aq_status aq_vector_append_from(struct aq_vector *vector, const struct aq_vector *from,
                                     size_t row, struct aq_arena *arena) AQ_RESULT;

/** Bitmaps of rows: row i is bit i % 64 of word i / 64. */
static inline size_t aq_bitmap_words(size_t row_count)
{
    return row_count / 64 + 1;
}

static inline bool aq_bitmap_has(const uint64_t *bitmap, size_t row)
{
    return (bitmap[row / 64] >> (row % 64) & 1) != 0;
}

static inline void aq_bitmap_set(uint64_t *bitmap, size_t row)
{
    bitmap[row / 64] |= UINT64_C(1) << (row % 64);
}

static inline void aq_bitmap_unset(uint64_t *bitmap, size_t row)
{
    bitmap[row / 64] &= ~(UINT64_C(1) << (row % 64));
}

/** Drop the rows that `keep`, a bitmap, has not; the others stay in order. */
void aq_vector_keep(struct aq_vector *vector, const uint64_t *keep);

static inline bool aq_vector_is_null(const struct aq_vector *vector, size_t row)
{
    return vector->valid != NULL && vector->valid[row] == 0;
}

/**
 * Total order of two rows of vectors of one type: by value as PostgreSQL sorts it (NaN above all
 * numbers and equal to itself, -0.0 equal to 0.0, text by bytes), nulls above all. <0, 0, >0.
 */
int aq_vector_compare(const struct aq_vector *a, size_t row_a, const struct aq_vector *b,
                      size_t row_b);

/** As aq_vector_compare, and values that compare equal but differ in their bits (-0.0 and 0.0, NaN
 * payloads) are ordered by their bits: 0 only for identical values. Used for storage order. */
int aq_vector_compare_bits(const struct aq_vector *a, size_t row_a, const struct aq_vector *b,
                           size_t row_b);

/** Columns of equal row_count. Owns vectors and arena. Zero-initialised = empty. */
struct aq_batch {
    size_t column_count;
    size_t row_count; /* kept equal to each column's row_count by whoever fills the batch */
    struct aq_vector *columns;
    struct aq_arena arena; /* bytes of slices */
};

/** `types`: column_count types. On AQ_NO_MEMORY nothing is owned. */
enum aq_status aq_batch_init(struct aq_batch *batch, size_t column_count,
                             const enum aq_type *types) AQ_RESULT;
void aq_batch_deinit(struct aq_batch *batch);
/** No rows; arena reset; memory kept. */
void aq_batch_clear(struct aq_batch *batch);

/** Append row `row` of `from`, by its first columns, which are of the batch's types; slices are copied. */
enum aq_status aq_batch_append_row(struct aq_batch *batch, const struct aq_batch *from,
                                   size_t row) AQ_RESULT;
/** Move the rows of `from`, which has the same columns, behind those of `to`. The bytes of their slices stay in `from`'s
 * arena, until it is cleared. After AQ_NO_MEMORY both can only be cleared. */
enum aq_status aq_batch_move_rows(struct aq_batch *to, struct aq_batch *from) AQ_RESULT;
/** Bytes that the values take in memory, roughly. */
size_t aq_batch_size_bytes(const struct aq_batch *batch);

/**
 * Order-independent 128-bit content hash of rows [0, row_count) over the first `column_count`
 * columns: the sum modulo 2^128 of each row's XXH3-128 over (validity, value) of every column. Equal
 * multisets of rows have equal hashes; add hashes with aq_content_hash_add.
 */
struct aq_content_hash {
    uint64_t low;
    uint64_t high;
    uint64_t row_count;
};
enum aq_status aq_batch_content_hash(const struct aq_batch *batch, size_t column_count,
                                     struct aq_content_hash *hash) AQ_RESULT;
void aq_content_hash_add(struct aq_content_hash *to, const struct aq_content_hash *from);
bool aq_content_hash_equal(const struct aq_content_hash *a, const struct aq_content_hash *b);

#endif
