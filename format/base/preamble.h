/* The first bytes of everything aqstore stores: what it is, and who may read it.
 *
 *   0  magic, 8 bytes
 *   8  version, u32
 *  12  compatible features, u32: bits a reader may ignore
 *  16  incompatible features, u32: bits a reader must know, else it must not read
 *  20  zero, u32
 */
#ifndef AQ_FORMAT_PREAMBLE_H
#define AQ_FORMAT_PREAMBLE_H

#include "format/base/bytes.h"

#define AQ_PREAMBLE_BYTES 24
#define AQ_PREAMBLE_AT_COMPATIBLE 12
#define AQ_PREAMBLE_AT_INCOMPATIBLE 16
#define AQ_MAGIC_BYTES 8

/** Append a preamble of `version` without feature bits. `magic`: AQ_MAGIC_BYTES characters. */
void aq_preamble_append(struct aq_bytes *out, const char *magic, uint32_t version);

/** Whether `bytes` begins with `magic`: enough to tell what a file is, not to trust it. */
bool aq_preamble_is(struct aq_slice bytes, const char *magic);

/**
 * Check a preamble whose bytes are known to be intact (verify their checksum first: in every
 * version it is where it is today). `what` names the thing in messages ("segment").
 * @return AQ_OK; AQ_CORRUPT when it is none of these; AQ_UNSUPPORTED when a newer version wrote it.
 */
enum aq_status aq_preamble_check(struct aq_slice bytes, const char *magic, uint32_t version_max,
                                 const char *what, struct aq_error *err) AQ_RESULT;
/** As aq_preamble_check, where the reader knows some incompatible features. */
enum aq_status aq_preamble_check_features(struct aq_slice bytes, const char *magic,
                                          uint32_t version_max, uint32_t known_features,
                                          const char *what, struct aq_error *err) AQ_RESULT;

#endif
