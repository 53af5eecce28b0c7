/* Where a bucket is: its URL, the keys below its prefix, and how both are written in a request. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_ADDRESS_H
#define AQ_ENGINE_OBJECT_S3_S3_ADDRESS_H

#include "engine/object/s3.h"

#define AQ_S3_KEY_BYTES_MAX 1024 /* S3's own limit */

struct aq_s3_address {
    char *bucket;
    char *prefix; /* of every key: "" or "a/b/" */
    char *root;   /* s3://bucket/prefix, for messages */
    char *origin; /* http://HOST:PORT or https://HOST */
    bool by_path; /* the bucket is part of the path; else of the host's name */
    char region[40];
};

/** AQ_INVALID with what is wrong in the options. */
enum aq_status aq_s3_address_init(const struct aq_s3_options *options,
                                  struct aq_s3_address *address, struct aq_error *err) AQ_RESULT;
void aq_s3_address_deinit(struct aq_s3_address *address);

/** Appends `text` as a path or query wants it: all but [A-Za-z0-9._~-] as %XX, '=' too; '/' stays if
 * `slashes`. The signer of libcurl 7.88 signs a URL as it stands, so it has to stand in canonical form. */
void aq_s3_encode(struct aq_bytes *out, const char *text, bool slashes);
/** NUL-terminated URL of the object `name` (NULL: of the bucket) with the encoded, sorted `query`. */
enum aq_status aq_s3_url(const struct aq_s3_address *address, const char *name, const char *query,
                         struct aq_bytes *out) AQ_RESULT;

#endif
