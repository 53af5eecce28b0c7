/* Reading objects of a bucket in blocks: from memory, from the block cache on disk, or by few requests. */
#ifndef AQ_ENGINE_CACHE_OBJECT_READER_H
#define AQ_ENGINE_CACHE_OBJECT_READER_H

#include "engine/cache/block_cache.h"
#include "engine/object/object.h"

/** Two ranges are asked for together when no more lies between them, in whole blocks. */
#define AQ_FETCH_GAP_BYTES ((uint64_t)1 << 20)
#define AQ_FETCH_REQUEST_BYTES ((uint64_t)16 << 20)
/** So much is held in memory; what was held longest goes first. */
#define AQ_FETCH_HELD_BYTES ((uint64_t)256 << 20)

/** An object, whose bytes never change. Known by its address: it outlives its readers. */
struct aq_remote_object {
    const char *name;
    struct aq_hash128 hash; /* of its bytes */
    uint64_t size_bytes;
};

/** Bytes of an object that are going to be read. Within its size (asserted). */
struct aq_object_span {
    const struct aq_remote_object *object;
    uint64_t offset;
    uint64_t size_bytes;
};

struct aq_object_reader;

/** `bucket` and `cache` (may be NULL) are borrowed. @return AQ_OK or AQ_NO_MEMORY. */
enum aq_status aq_object_reader_create(struct aq_object_store *bucket, struct aq_block_cache *cache,
                                       struct aq_object_reader **reader,
                                       struct aq_error *err) AQ_RESULT;
void aq_object_reader_destroy(struct aq_object_reader *reader); /* NULL allowed */

/**
 * Get what is neither in memory nor in the cache into both, several requests in flight. What would not
 * fit into memory is left out: it is fetched when it is read.
 * An object that is gone is AQ_TEMPORARY: the store has moved on. @thread Any, as for all that follow.
 */
enum aq_status aq_object_reader_fetch(struct aq_object_reader *reader,
                                      const struct aq_object_span *spans, size_t span_count,
                                      struct aq_error *err) AQ_RESULT;
/** Read a span; fetches what is not there. */
enum aq_status aq_object_reader_read(struct aq_object_reader *reader,
                                     const struct aq_object_span *span, void *buffer,
                                     struct aq_error *err) AQ_RESULT;
/** Forget a span: its bytes are not what was written, and perhaps only here. */
void aq_object_reader_forget(struct aq_object_reader *reader, const struct aq_object_span *span);

/** Requests of this reader, each once whatever its retries. */
struct aq_reader_counters {
    uint64_t get_count;
    uint64_t bytes_received;
    uint64_t cache_hit_bytes;
};
struct aq_reader_counters aq_object_reader_count(const struct aq_object_reader *reader);

#endif
