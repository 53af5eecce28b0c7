/* A histogram of rows over time.
 *
 * Buckets are hours at first, sorted; a time is looked for next to the last one hit, then by halving. When
 * there are too many, neighbours are joined into the next longer span, so that the histogram of any data
 * stays small, and exact at the bounds of its spans.
 * Failures: out of memory. */
#include "compaction/plan/spread.h"

#include <stdlib.h>
#include <string.h>

/* Index of the first bucket that ends behind the time. */
static size_t find(const struct aq_spread *spread, int64_t time_us)
{
    size_t low = 0;
    size_t high = spread->bucket_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spread->buckets[middle].until_us <= time_us &&
            spread->buckets[middle].until_us != INT64_MAX)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void coarsen(struct aq_spread *spread)
{
    size_t kept = 0;
    spread->span++;
    for (size_t i = 0; i < spread->bucket_count; i++) {
        struct aq_spread_bucket bucket = spread->buckets[i];
        bucket.from_us = aq_span_start(spread->span, bucket.from_us);
        bucket.until_us = aq_span_end(spread->span, bucket.from_us);
        if (kept > 0 && spread->buckets[kept - 1].from_us == bucket.from_us)
            spread->buckets[kept - 1].row_count += bucket.row_count;
        else
            spread->buckets[kept++] = bucket;
    }
    spread->bucket_count = kept;
}

static enum aq_status insert(struct aq_spread *spread, size_t at, int64_t time_us)
{
    if (spread->bucket_count == spread->bucket_capacity) {
        size_t capacity = spread->bucket_capacity * 2 + 16;
        struct aq_spread_bucket *buckets =
            realloc(spread->buckets, capacity * sizeof *spread->buckets);
        if (buckets == NULL)
            return AQ_NO_MEMORY;
        spread->buckets = buckets;
        spread->bucket_capacity = capacity;
    }
    memmove(&spread->buckets[at + 1], &spread->buckets[at],
            (spread->bucket_count - at) * sizeof *spread->buckets);
    int64_t from_us = aq_span_start(spread->span, time_us);
    spread->buckets[at] = (struct aq_spread_bucket){.from_us = from_us,
                                                    .until_us = aq_span_end(spread->span, from_us)};
    spread->bucket_count++;
    return AQ_OK;
}

enum aq_status aq_spread_add(struct aq_spread *spread, int64_t time_us, uint64_t row_count)
{
    if (row_count == 0)
        return AQ_OK;
    size_t at = find(spread, time_us);
    if (at == spread->bucket_count || spread->buckets[at].from_us > time_us) {
        while (spread->bucket_count >= AQ_SPREAD_BUCKETS_MAX && spread->span < AQ_SPAN_DECADE)
            coarsen(spread);
        at = find(spread, time_us);
        if (at == spread->bucket_count || spread->buckets[at].from_us > time_us)
            AQ_TRY(insert(spread, at, time_us));
    }
    spread->buckets[at].row_count += row_count;
    spread->row_count += row_count;
    return AQ_OK;
}

enum aq_status aq_spread_add_even(struct aq_spread *spread, int64_t min_us, int64_t max_us,
                                  uint64_t row_count)
{
    uint64_t days = ((uint64_t)max_us - (uint64_t)min_us) / (uint64_t)AQ_US_PER_DAY + 1;
    uint64_t parts = days < AQ_SPREAD_BUCKETS_MAX / 4 ? days : AQ_SPREAD_BUCKETS_MAX / 4;
    uint64_t step = ((uint64_t)max_us - (uint64_t)min_us) / parts;
    for (uint64_t part = 0; part < parts; part++) {
        uint64_t rows = row_count / parts + (part < row_count % parts);
        /* The first and the last row are where the bounds say. */
        int64_t time_us = part + 1 == parts ? max_us : (int64_t)((uint64_t)min_us + part * step);
        AQ_TRY(aq_spread_add(spread, time_us, rows));
    }
    return AQ_OK;
}

uint64_t aq_spread_rows(const struct aq_spread *spread, int64_t from_us, int64_t until_us)
{
    uint64_t rows = 0;
    size_t first = find(spread, from_us);
    for (size_t i = first; i < spread->bucket_count; i++) {
        const struct aq_spread_bucket *bucket = &spread->buckets[i];
        if (bucket->from_us >= until_us && until_us != INT64_MAX)
            break;
        if (bucket->from_us >= from_us)
            rows += bucket->row_count;
    }
    return rows;
}

void aq_spread_deinit(struct aq_spread *spread)
{
    free(spread->buckets);
    *spread = (struct aq_spread){0};
}
