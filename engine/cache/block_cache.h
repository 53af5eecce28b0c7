/* Blocks of objects from a bucket, kept on disk. A block is AQ_CACHE_BLOCK_BYTES of an object (its last one
 * may be shorter), known by the hash of the object's content and its number, so that it never grows
 * stale. Several processes may use one folder. Bytes of a block's file: docs/reading-a-bucket.md. */
#ifndef AQ_ENGINE_CACHE_BLOCK_CACHE_H
#define AQ_ENGINE_CACHE_BLOCK_CACHE_H

#include "format/base/checksum.h"
#include "format/base/status.h"

/** About a tile: one is read whole by one or two blocks, and 10 GiB are 40,000 files. */
#define AQ_CACHE_BLOCK_BYTES ((size_t)256 << 10)

struct aq_block_cache;

/**
 * A cache in the folder `path`, made when the first block is put. A folder that cannot be written to is
 * no error: nothing is kept then, and aq_block_cache_notice says why.
 * @param limit_bytes  Blocks together take no more on disk, a sixteenth aside; below one block nothing is
 *                     kept. What was used least recently goes first.
 * @return AQ_OK or AQ_NO_MEMORY.
 */
enum aq_status aq_block_cache_open(const char *path, uint64_t limit_bytes,
                                   struct aq_block_cache **cache, struct aq_error *err) AQ_RESULT;
void aq_block_cache_close(struct aq_block_cache *cache); /* NULL allowed */

/** Whether the block seems to be there. @thread Any, as for all that follow. */
bool aq_block_cache_has(const struct aq_block_cache *cache, const struct aq_hash128 *object,
                        uint64_t block);
/** Read a block of exactly `size` bytes; false where there is none that is intact. A damaged one is
 * removed. */
bool aq_block_cache_get(struct aq_block_cache *cache, const struct aq_hash128 *object,
                        uint64_t block, void *buffer, size_t size);
/** Keep a block, as far as that can be done. */
void aq_block_cache_put(struct aq_block_cache *cache, const struct aq_hash128 *object,
                        uint64_t block, const void *bytes, size_t size);
/** Remove a block: what it holds turned out not to be what the object should hold. */
void aq_block_cache_drop(struct aq_block_cache *cache, const struct aq_hash128 *object,
                         uint64_t block);

/** Why nothing is kept any more; "" while all is well. */
const char *aq_block_cache_notice(struct aq_block_cache *cache);

#endif
