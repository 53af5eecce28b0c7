/* What an answer means: done, try again, or give up, and then what to do about it.
 *
 * Good: 200, 204 or 206 of the right shape. A whole object has the length that its head names; a range is
 * 206 and names exactly the bytes that were asked for; objects have an ETag; and what changes the
 * bucket no <Error> in its body, though it be a 200. All else is looked up by S3's own code, or by the status where there is no body
 * (HEAD). An answer that makes no sense is asked for again a few times: proxies break things, too. */
#include "engine/object/s3/wire/s3_try.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum effect { REFUSED, AGAIN, AGAIN_BRIEFLY, RENEW };

struct refusal {
    const char *code;
    enum effect effect;
    enum aq_status status;
    const char *what; /* failed and what to do */
};

#define MEND_KEYS "mend it where the keys come from (docs/s3.md, \"Credentials\")"

static const struct refusal refusals[] = {
    {"NoSuchKey", REFUSED, AQ_NOT_FOUND, "there is no such object"},
    {"NotFound", REFUSED, AQ_NOT_FOUND, "there is no such object"},
    {"NoSuchUpload", REFUSED, AQ_NOT_FOUND, "the upload was completed or aborted elsewhere"},
    {"PreconditionFailed", REFUSED, AQ_EXISTS, "it exists already"},
    {"NoSuchBucket", REFUSED, AQ_IO,
     "there is no such bucket: create it, or correct its name or the endpoint"},
    {"AccessDenied", REFUSED, AQ_IO,
     "access is denied: these keys may not do this here; grant it (s3:GetObject, s3:PutObject, "
     "s3:DeleteObject, s3:ListBucket, s3:AbortMultipartUpload) or use other keys"},
    {"AllAccessDisabled", REFUSED, AQ_IO, "access to the bucket is switched off by its provider"},
    {"AccountProblem", REFUSED, AQ_IO, "the provider has closed the account: ask them"},
    {"SignatureDoesNotMatch", REFUSED, AQ_IO,
     "the secret key does not fit the access key; " MEND_KEYS},
    {"InvalidAccessKeyId", REFUSED, AQ_IO, "the server does not know the access key; " MEND_KEYS},
    {"ExpiredToken", RENEW, AQ_IO, "the session token has expired; " MEND_KEYS},
    {"InvalidToken", RENEW, AQ_IO, "the session token is refused; " MEND_KEYS},
    {"TokenRefreshRequired", RENEW, AQ_IO, "the session token has expired; " MEND_KEYS},
    {"RequestTimeTooSkewed", REFUSED, AQ_IO,
     "this machine's clock and the server's are too far apart: set the clock (NTP)"},
    {"RequestExpired", REFUSED, AQ_IO,
     "this machine's clock and the server's are too far apart: set the clock (NTP)"},
    {"AuthorizationHeaderMalformed", REFUSED, AQ_IO,
     "the signature is for another region: set the bucket's region"},
    {"PermanentRedirect", REFUSED, AQ_IO,
     "the bucket lives elsewhere: set its region and endpoint"},
    {"TemporaryRedirect", AGAIN_BRIEFLY, AQ_IO,
     "the bucket was made a moment ago and is not everywhere yet, or lives in another region"},
    {"NotImplemented", REFUSED, AQ_UNSUPPORTED,
     "the server does not know this kind of request (docs/s3.md, \"What a bucket must do\")"},
    {"InvalidStorageClass", REFUSED, AQ_IO, "the server does not know the storage class"},
    {"InvalidObjectState", REFUSED, AQ_IO,
     "the object lies in an archive class: restore it there before it can be read"},
    {"EntityTooLarge", REFUSED, AQ_LIMIT, "it is larger than the server takes"},
    {"QuotaExceeded", REFUSED, AQ_IO, "the bucket is full: raise its quota"},
    {"ConditionalRequestConflict", AGAIN, AQ_IO, "another writer is at work on the same object"},
    {"OperationAborted", AGAIN, AQ_IO, "another operation on the same object is in the way"},
    {"InternalError", AGAIN, AQ_IO, "the server failed"},
    {"SlowDown", AGAIN, AQ_IO, "the server asks to slow down"},
    {"ServiceUnavailable", AGAIN, AQ_IO, "the server is overloaded"},
    {"Busy", AGAIN, AQ_IO, "the server is overloaded"},
    {"RequestTimeout", AGAIN, AQ_IO, "the server waited too long for the request"},
    {"BadDigest", AGAIN_BRIEFLY, AQ_TEMPORARY, "the bytes were altered on their way to the server"},
    {"InvalidDigest", AGAIN_BRIEFLY, AQ_TEMPORARY,
     "the bytes were altered on their way to the server"},
    {"XAmzContentSHA256Mismatch", AGAIN_BRIEFLY, AQ_TEMPORARY,
     "the bytes were altered on their way to the server"},
    {"IncompleteBody", AGAIN, AQ_IO, "the request was cut off on its way to the server"},
};

/* Where the body has no code that is known. What decides whether an object is there is believed only
 * where there is no code at all, as after HEAD: a web server's 404 does not say that. */
static const char *code_of_status(const char *code, long status)
{
    switch (code[0] != '\0' && (status == 404 || status == 412) ? 0 : status) {
    case 301:
        return "PermanentRedirect";
    case 307:
        return "TemporaryRedirect";
    case 404:
        return "NoSuchKey";
    case 408:
        return "RequestTimeout";
    case 409:
        return "OperationAborted";
    case 412:
        return "PreconditionFailed";
    case 429:
        return "SlowDown";
    case 501:
        return "NotImplemented";
    case 503:
        return "ServiceUnavailable";
    case 500:
    case 502:
    case 504:
        return "InternalError";
    default:
        return "";
    }
}

static const struct refusal *find(const char *code)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strcmp(refusals[i].code, code) == 0)
            return &refusals[i];
    return NULL;
}

struct aq_s3_verdict aq_s3_judge_code(const struct aq_s3_address *address, const char *code,
                                      const char *message, long status, struct aq_error *err)
{
    const struct refusal *refusal = find(code);
    if (refusal == NULL)
        refusal = find(code_of_status(code, status));
    const char *colon = message[0] == '\0' ? "" : ": ";
    if (refusal == NULL && status == 403) {
        aq_error_set(
            err, AQ_IO,
            "the server refuses (403 %s%s%s): the keys are wrong, expired or lack the right; "
            "bucket %s, %s",
            code, colon, message, address->bucket, address->origin);
        return (struct aq_s3_verdict){.status = AQ_IO};
    }
    if (refusal == NULL) {
        aq_error_set(err, AQ_IO, "the server refuses (%ld %s%s%s); bucket %s, region %s, %s",
                     status, code, colon, message, address->bucket, address->region,
                     address->origin);
        return (struct aq_s3_verdict){.status = AQ_IO};
    }
    aq_error_set(err, refusal->status, "%s (%ld %s%s%s; bucket %s, region %s, %s)", refusal->what,
                 status, code, colon, message, address->bucket, address->region, address->origin);
    return (struct aq_s3_verdict){
        .status = refusal->status,
        .retry = refusal->effect == AGAIN || refusal->effect == AGAIN_BRIEFLY,
        .brief = refusal->effect == AGAIN_BRIEFLY,
        .renew_key = refusal->effect == RENEW,
    };
}

/* No answer, or half of one. */
static struct aq_s3_verdict judge_transport(const struct aq_s3_try *attempt, CURLcode code,
                                            struct aq_error *err)
{
    const char *why = attempt->why[0] != '\0' ? attempt->why : curl_easy_strerror(code);
    const char *origin = attempt->store->address.origin;
    struct aq_s3_verdict verdict = {.status = AQ_IO, .retry = true};
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        verdict.brief = true;
        verdict.unsent = true;
        verdict.status = AQ_TEMPORARY;
        aq_error_set(err, verdict.status,
                     "%s cannot be found: %s; check the endpoint (of tier: in the config, else "
                     "AWS_ENDPOINT_URL), the region and the network",
                     origin, why);
        return verdict;
    case CURLE_COULDNT_CONNECT:
        verdict.unsent = true;
        aq_error_set(err, AQ_IO, "%s cannot be reached: %s", origin, why);
        return verdict;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        verdict.retry = false;
        aq_error_set(err, AQ_IO,
                     "the certificate of %s is not trusted: %s; if its authority is your own, name "
                     "its file in AWS_CA_BUNDLE",
                     origin, why);
        return verdict;
    case CURLE_SSL_CONNECT_ERROR:
        verdict.brief = true;
        verdict.unsent = true;
        aq_error_set(err, AQ_IO, "no TLS with %s: %s; does it speak plain HTTP?", origin, why);
        return verdict;
    case CURLE_OUT_OF_MEMORY:
        verdict.retry = false;
        verdict.status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        return verdict;
    default:
        aq_error_set(err, AQ_IO, "the connection to %s broke: %s", origin, why);
        return verdict;
    }
}

static struct aq_s3_verdict nonsense(struct aq_error *err, const char *what, long status)
{
    aq_error_set(err, AQ_TEMPORARY, "the server's answer makes no sense: %s (%ld)", what, status);
    return (struct aq_s3_verdict){.status = AQ_TEMPORARY, .retry = true, .brief = true};
}

/* The object ends before the range does. */
static struct aq_s3_verdict too_short(uint64_t total, struct aq_error *err)
{
    aq_error_set_at(err, AQ_CORRUPT, "", (int64_t)total,
                    "the object ends here, and should not yet");
    return (struct aq_s3_verdict){.status = AQ_CORRUPT};
}

static struct aq_s3_verdict judge_range(const struct aq_s3_try *attempt, struct aq_error *err)
{
    const struct aq_s3_request *request = attempt->request;
    const struct aq_s3_answer *answer = &request->answer;
    uint64_t end = request->offset + request->size;
    if (answer->status != 206)
        return nonsense(err, "a part was asked for, the whole was sent", answer->status);
    if (!answer->has_range || answer->range.first != request->offset)
        return nonsense(err, "another part than that asked for", answer->status);
    if (answer->range.total < end)
        return too_short(answer->range.total, err);
    if (answer->range.last + 1 != end || attempt->received != request->size)
        return nonsense(err, "a part of another length than that asked for", answer->status);
    return (struct aq_s3_verdict){.status = AQ_OK};
}

/* Answers that carry XML: those of S3, not an object's bytes. */
static struct aq_s3_error read_error(const struct aq_s3_try *attempt)
{
    const struct aq_s3_request *request = attempt->request;
    struct aq_s3_error error = request->error;
    if (request->root != NULL && attempt->received > 0)
        aq_s3_error_read(aq_slice_make(request->out->data + attempt->out_begin,
                                       request->out->size - attempt->out_begin),
                         &error);
    return error;
}

static struct aq_s3_verdict judge_good(const struct aq_s3_try *attempt,
                                       const struct aq_s3_error *error, struct aq_error *err)
{
    const struct aq_s3_request *request = attempt->request;
    const struct aq_s3_answer *answer = &request->answer;
    const char *fault = NULL;
    bool tagged =
        request->kind == AQ_S3_PUT || request->kind == AQ_S3_GET || request->kind == AQ_S3_HEAD;
    if (tagged && answer->etag[0] == '\0')
        return nonsense(err, "no ETag; is the endpoint an S3 server's?", answer->status);
    if (request->buffer != NULL)
        return judge_range(attempt, err);
    if (request->kind == AQ_S3_DELETE && answer->status != 204)
        fault = "it is not how S3 confirms a deletion";
    else if (request->kind == AQ_S3_HEAD && answer->length < 0)
        fault = "no length";
    else if (request->kind == AQ_S3_GET &&
             (answer->length < 0 || attempt->received != (uint64_t)answer->length))
        fault = "its length is not the one it names";
    else if (request->root != NULL && strcmp(error->root, request->root) != 0)
        fault = "not the document that was asked for; is the endpoint an S3 server's?";
    if (fault != NULL)
        return nonsense(err, fault, answer->status);
    return (struct aq_s3_verdict){.status = AQ_OK};
}

static struct aq_s3_verdict judge_refusal(const struct aq_s3_try *attempt,
                                          const struct aq_s3_error *error, struct aq_error *err)
{
    const struct aq_s3_request *request = attempt->request;
    const struct aq_s3_answer *answer = &request->answer;
    if (answer->status == 416 && request->buffer != NULL)
        return too_short(answer->has_range ? answer->range.total : 0, err);
    if (answer->status == 404 && error->code[0] == '\0' && request->kind != AQ_S3_HEAD &&
        request->kind != AQ_S3_DELETE)
        return nonsense(err, "not found, and not in the words of S3; is the endpoint one?", 404);
    struct aq_s3_verdict verdict = aq_s3_judge_code(&attempt->store->address, error->code,
                                                    error->message, answer->status, err);
    size_t used = strlen(err->message);
    const char *region = answer->region[0] != '\0' ? answer->region : error->region;
    if (region[0] != '\0' && strcmp(region, attempt->store->address.region) != 0)
        snprintf(err->message + used, sizeof err->message - used, "; the bucket's region is %s",
                 region);
    else if (strcmp(error->code, "RequestTimeTooSkewed") == 0 && answer->date_us != 0)
        snprintf(err->message + used, sizeof err->message - used, "; it is off by %lld s",
                 (long long)time(NULL) - (long long)(answer->date_us / 1000000));
    return verdict;
}

struct aq_s3_verdict aq_s3_judge(const struct aq_s3_try *attempt, CURLcode code,
                                 struct aq_error *err)
{
    const struct aq_s3_answer *answer = &attempt->request->answer;
    struct aq_s3_error error = read_error(attempt);
    if (attempt->local != AQ_OK) {
        *err = attempt->local_err;
        return (struct aq_s3_verdict){.status = attempt->local};
    }
    if (code != CURLE_OK && answer->status < 300)
        return judge_transport(attempt, code, err);
    bool may_refuse = attempt->request->kind != AQ_S3_GET && attempt->request->kind != AQ_S3_HEAD;
    if (answer->status >= 200 && answer->status < 300 && !(may_refuse && error.code[0] != '\0'))
        return judge_good(attempt, &error, err);
    return judge_refusal(attempt, &error, err);
}
