/* The hash of a multiset of rows (docs/archive-format.md, "Content hash").
 *
 * Some rows at a time are put together column by column, each at a place of its own with room behind it: so a
 * value is copied before it is known not to be null, and what follows takes its place if it is.
 *
 * Failures: no memory. */
#include <string.h>

#include "format/table/vector.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HASH_ROWS 64 /* put together at a time */
#define ROOM sizeof(struct aq_interval)

struct rows {
    const struct aq_batch *batch;
    size_t column_count;
    size_t first;
    size_t count;            /* <= HASH_ROWS */
    struct aq_bytes bytes;   /* of all */
    size_t begin[HASH_ROWS]; /* offset of each in it */
    uint8_t *at[HASH_ROWS];  /* where its next value goes */
};

static size_t fixed_size(const struct aq_vector *vector)
{
    return aq_type_physical(vector->type) == AQ_PHYSICAL_INTERVAL ? sizeof(struct aq_interval)
                                                                  : sizeof(int64_t);
}

static bool is_sliced(const struct aq_vector *vector)
{
    return aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE;
}

/* Give each row as many bytes as it takes at most, and room. */
static enum aq_status place_rows(struct rows *rows)
{
    size_t fixed = ROOM;
    size_t texts[HASH_ROWS] = {0};
    for (size_t column = 0; column < rows->column_count; column++) {
        const struct aq_vector *vector = &rows->batch->columns[column];
        fixed += 1 + (is_sliced(vector) ? sizeof(uint64_t) : fixed_size(vector));
        for (size_t i = 0; is_sliced(vector) && i < rows->count; i++)
            texts[i] += aq_vector_is_null(vector, rows->first + i)
                            ? 0
                            : vector->slices[rows->first + i].size;
    }
    size_t size = 0;
    for (size_t i = 0; i < rows->count; i++) {
        rows->begin[i] = size;
        size += fixed + texts[i];
    }
    aq_bytes_clear(&rows->bytes);
    uint8_t *bytes = aq_bytes_reserve(&rows->bytes, size);
    if (bytes == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < rows->count; i++)
        rows->at[i] = bytes + rows->begin[i];
    return AQ_OK;
}

/* Whether there is a value, then the value. Inlined with a constant size, so that the copy is a load and a store. */
static inline void put_fixed(struct rows *rows, const struct aq_vector *vector, size_t size)
{
    const uint8_t *values = (const uint8_t *)vector->values + rows->first * size;
    const uint8_t *validity = vector->valid == NULL ? NULL : vector->valid + rows->first;
    size_t count = rows->count;
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = rows->at[i];
        bool valid = validity == NULL || validity[i] != 0;
        at[0] = valid;
        memcpy(at + 1, values + i * size, size);
        rows->at[i] = at + 1 + (valid ? size : 0);
    }
}

/* Whether there is a value, then its size and the value. */
static void put_slices(struct rows *rows, const struct aq_vector *vector)
{
    for (size_t i = 0; i < rows->count; i++) {
        uint8_t *at = rows->at[i];
        bool valid = !aq_vector_is_null(vector, rows->first + i);
        *at++ = valid;
        if (valid) {
            struct aq_slice slice = vector->slices[rows->first + i];
            aq_store_u64(at, slice.size);
            if (slice.size > 0)
                memcpy(at + sizeof(uint64_t), slice.data, slice.size);
            at += sizeof(uint64_t) + slice.size;
        }
        rows->at[i] = at;
    }
}

static enum aq_status hash_rows(struct rows *rows, struct aq_content_hash *hash)
{
    AQ_TRY(place_rows(rows));
    for (size_t column = 0; column < rows->column_count; column++) {
        const struct aq_vector *vector = &rows->batch->columns[column];
        if (is_sliced(vector))
            put_slices(rows, vector);
        else if (fixed_size(vector) == sizeof(int64_t))
            put_fixed(rows, vector, sizeof(int64_t));
        else
            put_fixed(rows, vector, sizeof(struct aq_interval));
    }
    for (size_t i = 0; i < rows->count; i++) {
        const uint8_t *begin = rows->bytes.data + rows->begin[i];
        XXH128_hash_t row_hash = XXH3_128bits(begin, (size_t)(rows->at[i] - begin));
        struct aq_content_hash one = {.low = row_hash.low64, .high = row_hash.high64};
        aq_content_hash_add(hash, &one);
    }
    return AQ_OK;
}

enum aq_status aq_batch_content_hash(const struct aq_batch *batch, size_t column_count,
                                     struct aq_content_hash *hash)
{
    struct rows rows = {.batch = batch, .column_count = column_count};
    enum aq_status status = AQ_OK;
    *hash = (struct aq_content_hash){.row_count = batch->row_count};
    for (; status == AQ_OK && rows.first < batch->row_count; rows.first += HASH_ROWS) {
        size_t left = batch->row_count - rows.first;
        rows.count = left < HASH_ROWS ? left : HASH_ROWS;
        status = hash_rows(&rows, hash);
    }
    aq_bytes_deinit(&rows.bytes);
    return status;
}

void aq_content_hash_add(struct aq_content_hash *to, const struct aq_content_hash *from)
{
    aq_uint128 a = ((aq_uint128)to->high << 64) | to->low;
    aq_uint128 b = ((aq_uint128)from->high << 64) | from->low;
    a += b;
    to->low = (uint64_t)a;
    to->high = (uint64_t)(a >> 64);
    to->row_count += from->row_count;
}

bool aq_content_hash_equal(const struct aq_content_hash *a, const struct aq_content_hash *b)
{
    return a->low == b->low && a->high == b->high && a->row_count == b->row_count;
}
