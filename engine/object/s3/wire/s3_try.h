/* One try of a request: a libcurl handle made ready, and what comes back through it. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_TRY_H
#define AQ_ENGINE_OBJECT_S3_S3_TRY_H

#include "engine/object/s3/wire/s3_request.h"

#include <curl/curl.h>

#define AQ_S3_BRIEF_TRIES 4         /* of what will hardly get better by itself */
#define AQ_S3_REPLY_BYTES_MAX 65536 /* of a refusal's body; the rest is not kept */

struct aq_s3_try {
    struct aq_s3_store *store;
    struct aq_s3_request *request;
    CURL *easy;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
    struct aq_bytes reply; /* a body that is not the request's to have */
    size_t out_begin;      /* size of request->out before the first try */
    uint64_t received;     /* of what was asked for */
    uint64_t sent;         /* of the request's body */
    enum aq_status local;  /* a fault at this end; `local_err` says which */
    struct aq_error local_err;
};

/** Make `attempt->easy` ready to be performed. */
enum aq_status aq_s3_try_begin(struct aq_s3_try *attempt, struct aq_error *err) AQ_RESULT;
/** What the answer's head says, into request->answer; the counters. */
void aq_s3_try_end(struct aq_s3_try *attempt);
/** Release what begin took; the handle is reset, to be used again. */
void aq_s3_try_clear(struct aq_s3_try *attempt);

/** What is to be done about the try that ended with `code`. */
struct aq_s3_verdict {
    enum aq_status status;
    bool retry;     /* worth another try */
    bool brief;     /* but not many: it will hardly get better by itself */
    bool unsent;    /* the server has not seen it */
    bool renew_key; /* the keys have expired */
};
/** `err` has what failed and what to do; not the path. */
struct aq_s3_verdict aq_s3_judge(const struct aq_s3_try *attempt, CURLcode code,
                                 struct aq_error *err);
/** The same for a code of S3's by name ("AccessDenied"), from whichever driver; `status` of HTTP. */
struct aq_s3_verdict aq_s3_judge_code(const struct aq_s3_address *address, const char *code,
                                      const char *message, long status, struct aq_error *err);

#endif
