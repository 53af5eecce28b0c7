/* Checksums (XXH3, 64 bits) and content hashes (XXH3, 128 bits, streaming).
 * @source Collet, xxHash specification, XXH3. */
#ifndef AQ_FORMAT_CHECKSUM_H
#define AQ_FORMAT_CHECKSUM_H

#include "format/base/bytes.h"

/** XXH3-64, seed 0. @thread Reentrant. */
uint64_t aq_checksum(const void *data, size_t size);

/** XXH3-64 with a seed, for chaining: seed = what stands before. */
uint64_t aq_checksum_seeded(const void *data, size_t size, uint64_t seed);

/** 128-bit hash, in canonical (big-endian) byte order. */
struct aq_hash128 {
    uint8_t bytes[16];
};

bool aq_hash128_equal(const struct aq_hash128 *a, const struct aq_hash128 *b);

/** XXH3-128, seed 0. @thread Reentrant. */
struct aq_hash128 aq_hash128_of(const void *data, size_t size);

/** Streaming XXH3-128; the digest may be taken at any point and the stream continued. */
struct aq_hasher;
struct aq_hasher *aq_hasher_create(void); /* NULL when memory is out; caller destroys */
void aq_hasher_destroy(struct aq_hasher *hasher);
void aq_hasher_reset(struct aq_hasher *hasher);
void aq_hasher_update(struct aq_hasher *hasher, const void *data, size_t size);
struct aq_hash128 aq_hasher_digest(const struct aq_hasher *hasher);

#endif
