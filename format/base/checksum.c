#include "format/base/checksum.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t aq_checksum(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t aq_checksum_seeded(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

bool aq_hash128_equal(const struct aq_hash128 *a, const struct aq_hash128 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static struct aq_hash128 canonical(XXH128_hash_t value)
{
    XXH128_canonical_t bytes;
    struct aq_hash128 hash;
    XXH128_canonicalFromHash(&bytes, value);
    memcpy(hash.bytes, bytes.digest, sizeof hash.bytes);
    return hash;
}

struct aq_hash128 aq_hash128_of(const void *data, size_t size)
{
    return canonical(XXH3_128bits(data, size));
}

struct aq_hasher {
    XXH3_state_t *state;
};

struct aq_hasher *aq_hasher_create(void)
{
    struct aq_hasher *hasher = malloc(sizeof *hasher);
    if (hasher == NULL)
        return NULL;
    hasher->state = XXH3_createState();
    if (hasher->state == NULL) {
        free(hasher);
        return NULL;
    }
    aq_hasher_reset(hasher);
    return hasher;
}

void aq_hasher_destroy(struct aq_hasher *hasher)
{
    if (hasher == NULL)
        return;
    XXH3_freeState(hasher->state);
    free(hasher);
}

void aq_hasher_reset(struct aq_hasher *hasher)
{
    XXH3_128bits_reset(hasher->state);
}

void aq_hasher_update(struct aq_hasher *hasher, const void *data, size_t size)
{
    XXH3_128bits_update(hasher->state, data, size);
}

struct aq_hash128 aq_hasher_digest(const struct aq_hasher *hasher)
{
    return canonical(XXH3_128bits_digest(hasher->state));
}
