/* Requests to a bucket: what is asked, what is answered, and how they are run. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_REQUEST_H
#define AQ_ENGINE_OBJECT_S3_S3_REQUEST_H

#include "engine/object/object_backend.h"
#include "engine/object/s3/wire/s3_address.h"
#include "engine/object/s3/wire/s3_body.h"
#include "engine/object/s3/keys/s3_credentials.h"
#include "engine/object/s3/wire/s3_xml.h"

#include <pthread.h>
#include <stdatomic.h>

#define AQ_S3_IN_FLIGHT_MAX 64
#define AQ_S3_LISTING_BYTES_MAX (16u << 20) /* of one page */

enum aq_s3_kind {
    AQ_S3_GET,
    AQ_S3_HEAD,
    AQ_S3_LIST, /* a GET of the bucket */
    AQ_S3_PUT,
    AQ_S3_POST,
    AQ_S3_DELETE,
    AQ_S3_KIND_COUNT,
};

struct aq_s3_answer {
    long status;    /* of HTTP; 0: none came */
    int64_t length; /* -1: not said */
    bool has_range;
    struct aq_s3_content_range range;
    char etag[128];
    char region[40]; /* where the bucket is; "": not said */
    int64_t date_us; /* the server's clock; 0: not said */
    int64_t retry_after_ms;
};

/** Zero-initialise; all is borrowed until the run is over. */
struct aq_s3_request {
    enum aq_s3_kind kind;
    const char *name;  /* NULL: the bucket */
    const char *query; /* NULL: none; encoded, sorted by name */
    bool if_absent;    /* with If-None-Match: * */
    bool classed;      /* with the storage class */
    struct aq_s3_body body;
    uint8_t *buffer; /* GET of exactly the range [offset, offset + size); else NULL */
    uint64_t offset;
    size_t size;
    struct aq_bytes
        *out;         /* what a good answer's body is appended to; NULL: it is read and forgotten */
    uint64_t out_max; /* a longer one is AQ_LIMIT */
    const char *root; /* outermost element of `out`\'s XML; NULL: `out` may be anything */
    /* Filled in: */
    struct aq_s3_answer answer; /* of the last try */
    struct aq_s3_error error;   /* what a refusal says */
    bool
        uncertain; /* an earlier try was cut off or failed in the server: it may have been carried out */
};

struct aq_s3_session; /* connections of one running operation */

struct aq_s3_store {
    struct aq_object_store base;
    struct aq_s3_address address;
    struct aq_s3_keyring *keyring;
    char *storage_class; /* NULL: not named */
    char *ca_bundle;     /* NULL: the system's */
    unsigned in_flight_max;
    unsigned timeout_ms;
    unsigned deadline_ms;
    uint64_t part_bytes;      /* of a multipart upload, unless there would be too many */
    uint64_t multipart_bytes; /* files above it are uploaded in parts */
    pthread_mutex_t lock;
    struct aq_s3_session *idle; /* under the lock */
    _Atomic uint64_t request_counts[AQ_S3_KIND_COUNT];
    _Atomic uint64_t retry_count;
    _Atomic uint64_t bytes_received;
    _Atomic uint64_t bytes_sent;
};

/** Told what all requests of a run have sent together, of bodies; never less than before. */
struct aq_s3_watch {
    aq_object_progress_fn progress; /* may be NULL */
    void *context;
    uint64_t told;
};

/**
 * Send `request_count` requests, as many at once as the store's limit, each with its retries, and judge
 * the answers (s3_verdict.h).
 * @param watch  May be NULL.
 * @return AQ_OK when all were carried out; else the first failure: the others are broken off.
 * @thread Any.
 */
enum aq_status aq_s3_run(struct aq_s3_store *store, struct aq_s3_request *requests,
                         size_t request_count, struct aq_s3_watch *watch,
                         struct aq_error *err) AQ_RESULT;
/** Close connections that are kept for later. */
void aq_s3_sessions_close(struct aq_s3_store *store);

#endif
