/* A request on the wire: URL, headers, body out, body in.
 *
 * Signing is libcurl's (AWS Signature Version 4). What its version 7.88 gets wrong is kept from it: the
 * payload's hash always stands in x-amz-content-sha256; path and query are given in canonical form, so
 * that signing them as they stand is right; no header is removed by an empty one, for it would be signed.
 * Only what was asked for reaches the caller's memory: a body of another status, a longer one, or one
 * that begins elsewhere does not. */
#include "engine/object/s3/wire/s3_try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TRANSFER_BUFFER_BYTES (256L * 1024)
#define SLOWEST_BYTES_PER_MS 16 /* a try that is slower than this over all is given up */
#define TRY_MS_MAX (UINT64_C(3600) * 1000)
#define STALL_BYTES_PER_S 1000L

/* Callbacks. */

static size_t fail_locally(struct aq_s3_try *attempt, enum aq_status status, size_t answer)
{
    attempt->local = status;
    return answer;
}

static size_t on_read(char *buffer, size_t one, size_t size, void *context)
{
    struct aq_s3_try *attempt = context;
    size_t count = 0;
    enum aq_status status = aq_s3_body_read(&attempt->request->body, attempt->sent, buffer,
                                            one * size, &count, &attempt->local_err);
    if (status < 0)
        return fail_locally(attempt, status, CURL_READFUNC_ABORT);
    attempt->sent += count;
    return count;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct aq_s3_try *attempt = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > attempt->request->body.size)
        return CURL_SEEKFUNC_FAIL;
    attempt->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t keep_reply(struct aq_s3_try *attempt, const char *data, size_t size)
{
    size_t room = AQ_S3_REPLY_BYTES_MAX - attempt->reply.size;
    aq_bytes_append(&attempt->reply, data, size < room ? size : room);
    return size;
}

/* Never more than was asked for, and only of an answer that says that it is the range. */
static size_t keep_range(struct aq_s3_try *attempt, const char *data, size_t size)
{
    struct aq_s3_request *request = attempt->request;
    const struct aq_s3_answer *answer = &request->answer;
    if (!answer->has_range || answer->range.first != request->offset)
        return size; /* aq_s3_judge says why */
    size_t room = request->size - (size_t)attempt->received;
    memcpy(request->buffer + attempt->received, data, size < room ? size : room);
    attempt->received += size < room ? size : room;
    return size <= room ? size : 0;
}

static size_t keep_out(struct aq_s3_try *attempt, const char *data, size_t size)
{
    struct aq_s3_request *request = attempt->request;
    uint64_t longest = request->out_max;
    if (attempt->received + size > longest) {
        uint64_t length = request->answer.length > 0 ? (uint64_t)request->answer.length
                                                     : attempt->received + size;
        aq_error_set(&attempt->local_err, AQ_LIMIT,
                     "is %llu bytes long, more than the %llu that it may have",
                     (unsigned long long)length, (unsigned long long)longest);
        return fail_locally(attempt, AQ_LIMIT, 0);
    }
    aq_bytes_append(request->out, data, size);
    if (aq_bytes_status(request->out) != AQ_OK) {
        aq_error_set(&attempt->local_err, AQ_NO_MEMORY, "out of memory");
        return fail_locally(attempt, AQ_NO_MEMORY, 0);
    }
    attempt->received += size;
    return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    struct aq_s3_try *attempt = context;
    const struct aq_s3_request *request = attempt->request;
    long status = request->answer.status;
    if (request->buffer != NULL && status == 206)
        return keep_range(attempt, data, one * size);
    if (request->buffer == NULL && request->out != NULL && status == 200)
        return keep_out(attempt, data, one * size);
    return keep_reply(attempt, data, one * size);
}

static bool header_is(const char *line, size_t size, const char *name, char *value,
                      size_t value_size)
{
    size_t name_size = strlen(name);
    if (size <= name_size || line[name_size] != ':' || strncasecmp(line, name, name_size) != 0)
        return false;
    line += name_size + 1;
    size -= name_size + 1;
    while (size > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        size--;
    }
    while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' '))
        size--;
    if (size >= value_size)
        size = 0; /* too long to be true: as if it were empty */
    memcpy(value, line, size);
    value[size] = '\0';
    return true;
}

static size_t on_header(char *line, size_t one, size_t size, void *context)
{
    struct aq_s3_try *attempt = context;
    struct aq_s3_answer *answer = &attempt->request->answer;
    char value[128];
    uint64_t number = 0;
    size *= one;
    if (size > 5 && strncmp(line, "HTTP/", 5) == 0) {
        *answer = (struct aq_s3_answer){.length = -1};
        curl_easy_getinfo(attempt->easy, CURLINFO_RESPONSE_CODE, &answer->status);
    } else if (header_is(line, size, "content-length", value, sizeof value)) {
        answer->length = aq_s3_number_read(value, &number) ? (int64_t)number : -1;
    } else if (header_is(line, size, "content-range", value, sizeof value)) {
        answer->has_range = aq_s3_content_range_read(value, &answer->range);
    } else if (header_is(line, size, "etag", value, sizeof value)) {
        snprintf(answer->etag, sizeof answer->etag, "%s", value);
    } else if (header_is(line, size, "x-amz-bucket-region", value, sizeof value)) {
        snprintf(answer->region, sizeof answer->region, "%.39s", value);
    } else if (header_is(line, size, "date", value, sizeof value)) {
        time_t date = curl_getdate(value, NULL);
        answer->date_us = date > 0 ? (int64_t)date * 1000000 : 0;
    } else if (header_is(line, size, "retry-after", value, sizeof value)) {
        bool seconds = aq_s3_number_read(value, &number) && number < 3600;
        answer->retry_after_ms = seconds ? (int64_t)number * 1000 : 0;
    }
    return size;
}

/* Options. */

static bool add_header(struct aq_s3_try *attempt, const char *name, const char *value)
{
    char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return false;
    struct curl_slist *longer = curl_slist_append(attempt->headers, line);
    explicit_bzero(line, strlen(line)); /* it may be the session's token */
    free(line);
    if (longer != NULL)
        attempt->headers = longer;
    return longer != NULL;
}

static bool has_body(enum aq_s3_kind kind)
{
    return kind == AQ_S3_PUT || kind == AQ_S3_POST;
}

static enum aq_status set_headers(struct aq_s3_try *attempt, const char *session_token,
                                  struct aq_error *err)
{
    const struct aq_s3_request *request = attempt->request;
    struct aq_s3_digest digest;
    struct aq_s3_body nothing = aq_s3_body_of((struct aq_slice){0});
    bool sends = has_body(request->kind);
    AQ_TRY(aq_s3_body_digest(sends ? &request->body : &nothing, &digest, err));
    bool added = add_header(attempt, "x-amz-content-sha256", digest.sha256_hex);
    if (sends)
        added = added && add_header(attempt, "Content-MD5", digest.md5_base64) &&
                add_header(attempt, "Content-Type", "application/octet-stream");
    if (request->if_absent)
        added = added && add_header(attempt, "If-None-Match", "*");
    if (request->classed && attempt->store->storage_class != NULL)
        added = added && add_header(attempt, "x-amz-storage-class", attempt->store->storage_class);
    if (session_token[0] != '\0')
        added = added && add_header(attempt, "x-amz-security-token", session_token);
    if (request->buffer != NULL) {
        char range[64];
        snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)request->offset,
                 (unsigned long long)(request->offset + request->size - 1));
        added = added && add_header(attempt, "Range", range);
    }
    if (!added)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    curl_easy_setopt(attempt->easy, CURLOPT_HTTPHEADER, attempt->headers);
    return AQ_OK;
}

static void set_method(struct aq_s3_try *attempt)
{
    CURL *easy = attempt->easy;
    const struct aq_s3_request *request = attempt->request;
    if (request->kind == AQ_S3_HEAD)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (request->kind == AQ_S3_DELETE)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
    if (!has_body(request->kind))
        return;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.size);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
    if (request->kind == AQ_S3_POST)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "POST");
}

static void set_limits(struct aq_s3_try *attempt)
{
    CURL *easy = attempt->easy;
    const struct aq_s3_store *store = attempt->store;
    const struct aq_s3_request *request = attempt->request;
    uint64_t size = has_body(request->kind)   ? request->body.size
                    : request->buffer != NULL ? request->size
                                              : request->out_max;
    uint64_t slowest_ms = size / SLOWEST_BYTES_PER_MS;
    if (slowest_ms > TRY_MS_MAX)
        slowest_ms = TRY_MS_MAX;
    /* A server may be silent for long while it puts an object together. */
    long stall_ms = (long)(request->kind == AQ_S3_POST ? store->deadline_ms : store->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)store->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (stall_ms + 999) / 1000);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(store->deadline_ms + slowest_ms));
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
}

static void set_callbacks(struct aq_s3_try *attempt)
{
    CURL *easy = attempt->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)attempt);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, attempt->why);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, attempt);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, attempt);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, attempt);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, attempt);
}

static enum aq_status set_target(struct aq_s3_try *attempt, struct aq_error *err)
{
    CURL *easy = attempt->easy;
    const struct aq_s3_store *store = attempt->store;
    const struct aq_s3_request *request = attempt->request;
    char scope[64];
    struct aq_bytes url = {0};
    enum aq_status status = aq_s3_url(&store->address, request->name,
                                      request->query == NULL ? "" : request->query, &url);
    snprintf(scope, sizeof scope, "aws:amz:%s:s3", store->address.region);
    if (status == AQ_OK && (curl_easy_setopt(easy, CURLOPT_URL, (char *)url.data) != CURLE_OK ||
                            curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK ||
                            curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, scope) != CURLE_OK))
        status = AQ_NO_MEMORY;
    aq_bytes_deinit(&url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "aqstore");
    if (store->ca_bundle != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, store->ca_bundle);
    if (status != AQ_OK)
        return aq_error_set(err, status, "out of memory");
    return AQ_OK;
}

enum aq_status aq_s3_try_begin(struct aq_s3_try *attempt, struct aq_error *err)
{
    struct aq_s3_credentials credentials;
    attempt->request->answer = (struct aq_s3_answer){.length = -1};
    attempt->request->error = (struct aq_s3_error){0};
    attempt->why[0] = '\0';
    attempt->received = 0;
    attempt->sent = 0;
    attempt->local = AQ_OK;
    attempt->local_err = (struct aq_error){0};
    if (attempt->request->out != NULL)
        attempt->request->out->size = attempt->out_begin;
    AQ_TRY(aq_s3_keyring_get(attempt->store->keyring, &credentials, err));
    enum aq_status status = set_target(attempt, err);
    if (status == AQ_OK)
        status = set_headers(attempt, credentials.session_token, err);
    if (status == AQ_OK &&
        (curl_easy_setopt(attempt->easy, CURLOPT_USERNAME, credentials.access_key) != CURLE_OK ||
         curl_easy_setopt(attempt->easy, CURLOPT_PASSWORD, credentials.secret_key) != CURLE_OK))
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    explicit_bzero(&credentials, sizeof credentials);
    AQ_TRY(status);
    set_method(attempt);
    set_limits(attempt);
    set_callbacks(attempt);
    atomic_fetch_add(&attempt->store->request_counts[attempt->request->kind], 1);
    return AQ_OK;
}

void aq_s3_try_end(struct aq_s3_try *attempt)
{
    struct aq_s3_request *request = attempt->request;
    atomic_fetch_add(&attempt->store->bytes_received, attempt->received + attempt->reply.size);
    atomic_fetch_add(&attempt->store->bytes_sent, attempt->sent);
    aq_s3_error_read(aq_bytes_view(&attempt->reply), &request->error);
}

void aq_s3_try_clear(struct aq_s3_try *attempt)
{
    if (attempt->easy != NULL)
        curl_easy_reset(attempt->easy);
    curl_slist_free_all(attempt->headers);
    attempt->headers = NULL;
    aq_bytes_deinit(&attempt->reply);
    attempt->reply = (struct aq_bytes){0};
}
