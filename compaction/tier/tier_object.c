/* Hashing an object: read in ranges, several in flight, hashed in order. */
#include "compaction/tier/tier.h"

#include <stdlib.h>

#define RANGE_BYTES ((size_t)4 << 20)
#define RANGES_AT_ONCE 4

/* The next ranges; `at` moves behind them. */
static enum aq_status hash_ranges(struct aq_object_store *bucket, const char *name,
                                  uint64_t size_bytes, uint8_t *buffer, uint64_t *at,
                                  struct aq_hasher *hasher, struct aq_error *err)
{
    struct aq_object_range ranges[RANGES_AT_ONCE];
    size_t count = 0;
    for (; count < RANGES_AT_ONCE && *at < size_bytes; count++) {
        uint64_t left = size_bytes - *at;
        ranges[count] =
            (struct aq_object_range){.name = name,
                                     .offset = *at,
                                     .size = left < RANGE_BYTES ? (size_t)left : RANGE_BYTES,
                                     .buffer = buffer + count * RANGE_BYTES};
        *at += ranges[count].size;
    }
    AQ_TRY(aq_object_get_ranges(bucket, ranges, count, err));
    for (size_t i = 0; i < count; i++)
        aq_hasher_update(hasher, ranges[i].buffer, ranges[i].size);
    return AQ_OK;
}

enum aq_status aq_tier_hash_object(struct aq_object_store *bucket, const char *name,
                                   uint64_t size_bytes, aq_object_progress_fn progress,
                                   void *context, struct aq_hash128 *hash, struct aq_error *err)
{
    struct aq_hasher *hasher = aq_hasher_create();
    uint8_t *buffer = malloc(RANGES_AT_ONCE * RANGE_BYTES);
    enum aq_status status = AQ_OK;
    if (hasher == NULL || buffer == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "no memory to read an object");
    for (uint64_t at = 0; status == AQ_OK && at < size_bytes;) {
        status = progress == NULL ? AQ_OK : progress(context, at);
        if (status < 0)
            aq_error_set(err, status, "stopped");
        else
            status = hash_ranges(bucket, name, size_bytes, buffer, &at, hasher, err);
    }
    if (status == AQ_OK)
        *hash = aq_hasher_digest(hasher);
    aq_hasher_destroy(hasher);
    free(buffer);
    return status;
}
