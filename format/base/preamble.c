/* Preambles. A reader first verifies the checksum that covers the preamble, then asks here whether it
 * may go on: an unknown magic is corruption, a newer version or unknown incompatible feature is not,
 * and the message says which it is. */
#include "format/base/preamble.h"

#include <assert.h>
#include <string.h>

enum { AT_VERSION = 8, AT_ZERO = 20 };
_Static_assert(AT_ZERO + 4 == AQ_PREAMBLE_BYTES, "docs/segment-format.md, \"Preamble\"");

void aq_preamble_append(struct aq_bytes *out, const char *magic, uint32_t version)
{
    assert(strlen(magic) == AQ_MAGIC_BYTES);
    aq_bytes_append(out, magic, AQ_MAGIC_BYTES);
    aq_bytes_u32(out, version);
    aq_bytes_append_zeros(out, AQ_PREAMBLE_BYTES - AQ_PREAMBLE_AT_COMPATIBLE);
}

bool aq_preamble_is(struct aq_slice bytes, const char *magic)
{
    return bytes.size >= AQ_MAGIC_BYTES && memcmp(bytes.data, magic, AQ_MAGIC_BYTES) == 0;
}

enum aq_status aq_preamble_check(struct aq_slice bytes, const char *magic, uint32_t version_max,
                                 const char *what, struct aq_error *err)
{
    return aq_preamble_check_features(bytes, magic, version_max, 0, what, err);
}

enum aq_status aq_preamble_check_features(struct aq_slice bytes, const char *magic,
                                          uint32_t version_max, uint32_t known_features,
                                          const char *what, struct aq_error *err)
{
    if (bytes.size < AQ_PREAMBLE_BYTES || !aq_preamble_is(bytes, magic))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "this is not a %s of aqstore", what);
    uint32_t version = aq_load_u32(bytes.data + AT_VERSION);
    if (version > version_max)
        return aq_error_set_at(err, AQ_UNSUPPORTED, NULL, AT_VERSION,
                               "this %s has version %u, newer than this aqstore knows (%u); "
                               "use a newer aqstore",
                               what, version, version_max);
    uint32_t incompatible = aq_load_u32(bytes.data + AQ_PREAMBLE_AT_INCOMPATIBLE) & ~known_features;
    if (incompatible != 0)
        return aq_error_set_at(err, AQ_UNSUPPORTED, NULL, AQ_PREAMBLE_AT_INCOMPATIBLE,
                               "this %s uses features 0x%x that this aqstore does not know; "
                               "use a newer aqstore",
                               what, incompatible);
    if (version == 0 || aq_load_u32(bytes.data + AT_ZERO) != 0)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, AT_VERSION, "this %s has no valid version",
                               what);
    return AQ_OK;
}
