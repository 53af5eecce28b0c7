/* S3 and what speaks its protocol, behind the object-store API. Two drivers: libcurl, which signs with
 * SigV4, and libs3, which signs with SigV2 and knows neither multipart uploads nor conditions.
 *
 * Every request is retried with jittered backoff after 500, 502, 503, 504, 409, 429, a timeout or a
 * reset, until the deadline; then AQ_TEMPORARY. A refusal (wrong secret, no such bucket, read-only) is
 * AQ_IO at once, with what to do. `200` with an <Error> body is a failure. Whether a conditional put
 * that timed out has succeeded is settled by reading back. Secrets are in no message. */
#ifndef AQ_ENGINE_OBJECT_S3_H
#define AQ_ENGINE_OBJECT_S3_H

#include "engine/object/object.h"

enum aq_s3_driver { AQ_S3_CURL, AQ_S3_LIBS3 };

struct aq_s3_options {
    const char *url;      /* s3://BUCKET/PREFIX */
    const char *endpoint; /* http://HOST:PORT (addressed by path); NULL or "": AWS, by region */
    const char *region;   /* NULL: us-east-1 */
    const char *storage_class; /* NULL: STANDARD */
    /* NULL: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN of the environment; then the
     * shared credentials file (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE); then the instance's
     * metadata (AWS_EC2_METADATA_SERVICE_ENDPOINT), renewed before they expire. */
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    enum aq_s3_driver driver;
    unsigned in_flight_max; /* 0: 12 */
    unsigned timeout_ms;    /* of one request without progress; 0: 20,000 */
    unsigned deadline_ms;   /* of a request with its retries; 0: 60,000 */
    uint64_t
        multipart_bytes; /* a file above it is uploaded in parts; 0: 64 MiB. Less is for tests */
};

/** Nothing is sent yet. All options are copied. AQ_UNSUPPORTED where the driver is not compiled in.
 * @thread The store may be used from several threads at once. */
enum aq_status aq_object_open_s3(const struct aq_s3_options *options,
                                 struct aq_object_store **store, struct aq_error *err) AQ_RESULT;

/** What a bucket can do, found by trying below `probe/`; what was put there is deleted again. */
struct aq_s3_capabilities {
    bool conditional_put;       /* a second put with If-None-Match: * is refused */
    bool conditional_multipart; /* so is a second completion */
};
enum aq_status aq_s3_probe(struct aq_object_store *store, struct aq_s3_capabilities *capabilities,
                           struct aq_error *err) AQ_RESULT;

#endif
