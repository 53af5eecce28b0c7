/* What a request sends: bytes in memory, or a part of a file. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_BODY_H
#define AQ_ENGINE_OBJECT_S3_S3_BODY_H

#include "format/base/bytes.h"

/** Read as often as it is needed: for its hashes, and once for every try. */
struct aq_s3_body {
    const uint8_t *data; /* NULL: of the file */
    int fd;
    uint64_t offset;
    uint64_t size;
};

struct aq_s3_body aq_s3_body_of(struct aq_slice data);
/** Up to `size` bytes at `at`; fewer only at the body's end. A file that ends early is AQ_CORRUPT. */
enum aq_status aq_s3_body_read(const struct aq_s3_body *body, uint64_t at, void *buffer,
                               size_t size, size_t *count, struct aq_error *err) AQ_RESULT;

/** Both are sent with every body: the first is signed and checked by whoever checks signatures, the second
 * is checked by servers that only look at it. */
struct aq_s3_digest {
    char sha256_hex[65];
    char md5_base64[25];
};
enum aq_status aq_s3_body_digest(const struct aq_s3_body *body, struct aq_s3_digest *digest,
                                 struct aq_error *err) AQ_RESULT;

#endif
