/* The second driver: libs3, for private servers that still accept Signature Version 2.
 *
 * Debian's libs3 2.0 signs with SigV2 and knows no conditions, no parts, no session tokens and no storage
 * classes, and does not verify certificates. So a conditional put, and what it takes to keep a secret, are
 * AQ_UNSUPPORTED; a file is put whole, after asking whether its name is free. Requests go one by one. A range
 * is checked by its length alone, for libs3 does not hand on which bytes the server says they are.
 * Verdicts and their words are those of s3_verdict.c, by the code that libs3 gives. */
#include "engine/object/s3/s3_objects.h"

#if __has_include(<libs3.h>)

#include "engine/base/clock.h"
#include "engine/object/s3/wire/s3_backoff.h"
#include "engine/object/s3/wire/s3_try.h"

#include <libs3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUT_BYTES_MAX (UINT64_C(5) << 30) /* S3's, of one put */
#define PAGE_ENTRIES 1000

/* One request and its answer. */
struct call {
    struct aq_s3_store *store;
    enum aq_s3_kind kind;
    const char *name;
    const char *key;
    struct aq_s3_body body;
    struct aq_s3_watch *watch; /* may be NULL */
    struct aq_bytes *out;      /* whole objects: appended */
    uint64_t out_max;
    uint8_t *buffer; /* ranges */
    uint64_t offset;
    size_t size;
    const char *prefix; /* lists, as the next: */
    const char *marker;
    struct aq_bytes page; /* for each key: u64 size, the key, NUL */
    char next[AQ_S3_KEY_BYTES_MAX + 1];
    bool truncated;
    /* Of the last try: */
    S3Status status;
    char message[256];
    uint64_t length;
    uint64_t transferred;
    size_t out_begin;
    enum aq_status local;
    struct aq_error local_err;
};

static S3Status on_head(const S3ResponseProperties *properties, void *context)
{
    struct call *call = context;
    call->length = properties->contentLength;
    return S3StatusOK;
}

static void on_end(S3Status status, const S3ErrorDetails *details, void *context)
{
    struct call *call = context;
    call->status = status;
    if (details == NULL || details->message == NULL)
        return;
    for (size_t i = 0; details->message[i] != '\0' && i + 1 < sizeof call->message; i++) {
        char c = details->message[i];
        call->message[i] = c >= ' ' && c <= '~' ? c : '?';
    }
}

static int on_send(int size, char *buffer, void *context)
{
    struct call *call = context;
    size_t count = 0;
    call->local = aq_s3_body_read(&call->body, call->transferred, buffer, (size_t)size, &count,
                                  &call->local_err);
    if (call->local < 0)
        return -1;
    call->transferred += count;
    return (int)count;
}

static S3Status on_receive(int size, const char *data, void *context)
{
    struct call *call = context;
    uint64_t room = (call->buffer != NULL ? call->size : call->out_max) - call->transferred;
    if ((uint64_t)size > room) {
        call->local = aq_error_set(&call->local_err, call->buffer != NULL ? AQ_IO : AQ_LIMIT,
                                   "is longer than the %llu bytes that it may have",
                                   (unsigned long long)(room + call->transferred));
        return S3StatusAbortedByCallback;
    }
    if (call->buffer != NULL)
        memcpy(call->buffer + call->transferred, data, (size_t)size);
    else
        aq_bytes_append(call->out, data, (size_t)size);
    call->transferred += (uint64_t)size;
    return S3StatusOK;
}

static S3Status on_page(int truncated, const char *next, int count,
                        const S3ListBucketContent *contents, int prefix_count,
                        const char **prefixes, void *context)
{
    struct call *call = context;
    for (int i = 0; i < count; i++) {
        aq_bytes_u64(&call->page, contents[i].size);
        aq_bytes_chars(&call->page, contents[i].key);
        aq_bytes_u8(&call->page, '\0');
        snprintf(call->next, sizeof call->next, "%s", contents[i].key);
    }
    for (int i = 0; i < prefix_count; i++)
        if (strcmp(call->next, prefixes[i]) < 0)
            snprintf(call->next, sizeof call->next, "%s", prefixes[i]);
    if (next != NULL && next[0] != '\0')
        snprintf(call->next, sizeof call->next, "%s", next);
    call->truncated = truncated != 0;
    return S3StatusOK;
}

static void send_once(struct call *call, const S3BucketContext *bucket,
                      const struct aq_s3_digest *digest)
{
    S3ResponseHandler response = {on_head, on_end};
    S3PutObjectHandler put = {response, on_send};
    S3GetObjectHandler get = {response, on_receive};
    S3ListBucketHandler list = {response, on_page};
    S3PutProperties properties = {.md5 = digest->md5_base64, .expires = -1};
    switch (call->kind) {
    case AQ_S3_PUT:
        S3_put_object(bucket, call->key, call->body.size, &properties, NULL, &put, call);
        break;
    case AQ_S3_GET:
        S3_get_object(bucket, call->key, NULL, call->offset, call->size, NULL, &get, call);
        break;
    case AQ_S3_HEAD:
        S3_head_object(bucket, call->key, NULL, &response, call);
        break;
    case AQ_S3_LIST:
        S3_list_bucket(bucket, call->prefix, call->marker, "/", PAGE_ENTRIES, NULL, &list, call);
        break;
    default:
        S3_delete_object(bucket, call->key, NULL, &response, call);
        break;
    }
}

static long http_status(S3Status status)
{
    switch (status) {
    case S3StatusHttpErrorMovedTemporarily:
        return 307;
    case S3StatusHttpErrorBadRequest:
        return 400;
    case S3StatusHttpErrorForbidden:
        return 403;
    case S3StatusHttpErrorNotFound:
        return 404;
    case S3StatusHttpErrorConflict:
        return 409;
    default:
        return 0;
    }
}

/* Whether a good answer is the one that was asked for. */
static struct aq_s3_verdict judge_good(const struct call *call, struct aq_error *err)
{
    bool cut = call->kind == AQ_S3_GET &&
               call->transferred != (call->buffer != NULL ? call->size : call->length);
    if (!cut)
        return (struct aq_s3_verdict){.status = AQ_OK};
    aq_error_set(err, AQ_TEMPORARY, "the server's answer makes no sense: its length is another");
    return (struct aq_s3_verdict){.status = AQ_TEMPORARY, .retry = true, .brief = true};
}

static struct aq_s3_verdict judge(const struct call *call, struct aq_error *err)
{
    const char *name = S3_get_status_name(call->status);
    const char *code = strncmp(name, "Error", 5) == 0 ? name + 5 : "";
    struct aq_s3_verdict verdict = {.status = AQ_IO, .retry = true};
    if (call->local != AQ_OK) {
        *err = call->local_err;
        return (struct aq_s3_verdict){.status = call->local};
    }
    if (call->status == S3StatusOK)
        return judge_good(call, err);
    if (code[0] != '\0' || http_status(call->status) != 0) {
        verdict = aq_s3_judge_code(&call->store->address, code, call->message,
                                   http_status(call->status), err);
        verdict.retry = verdict.retry || S3_status_is_retryable(call->status) != 0;
        return verdict;
    }
    aq_error_set(err, AQ_IO, "no answer from %s: %s", call->store->address.origin, name);
    if (call->status == S3StatusNameLookupError) {
        verdict.brief = true;
        aq_error_set(err, AQ_IO, "%s cannot be found: check the endpoint and the network",
                     call->store->address.origin);
    } else if (call->status == S3StatusFailedToConnect) {
        aq_error_set(err, AQ_IO, "%s cannot be reached", call->store->address.origin);
    }
    verdict.status = AQ_TEMPORARY;
    return verdict;
}

static enum aq_status begin_try(struct call *call, struct aq_s3_credentials *credentials,
                                struct aq_error *err)
{
    struct aq_s3_store *store = call->store;
    call->transferred = 0;
    call->length = 0;
    call->local = AQ_OK;
    call->status = S3StatusInternalError;
    memset(call->message, 0, sizeof call->message);
    aq_bytes_clear(&call->page);
    if (call->out != NULL)
        call->out->size = call->out_begin;
    AQ_TRY(aq_s3_keyring_get(store->keyring, credentials, err));
    if (credentials->session_token[0] != '\0')
        return aq_error_set(err, AQ_UNSUPPORTED,
                            "libs3 knows no session tokens: use lasting keys or `driver: curl`");
    atomic_fetch_add(&store->request_counts[call->kind], 1);
    return AQ_OK;
}

static enum aq_status try_once(struct call *call, const struct aq_s3_digest *digest,
                               struct aq_s3_verdict *verdict, struct aq_error *err)
{
    struct aq_s3_store *store = call->store;
    struct aq_s3_credentials credentials;
    AQ_TRY(begin_try(call, &credentials, err));
    S3BucketContext bucket = {
        .hostName = store->address.origin + strlen("http://"),
        .bucketName = store->address.bucket,
        .protocol = S3ProtocolHTTP,
        .uriStyle = S3UriStylePath,
        .accessKeyId = credentials.access_key,
        .secretAccessKey = credentials.secret_key,
    };
    send_once(call, &bucket, digest);
    explicit_bzero(&credentials, sizeof credentials);
    bool sends = call->kind == AQ_S3_PUT;
    atomic_fetch_add(sends ? &store->bytes_sent : &store->bytes_received, call->transferred);
    *verdict = judge(call, err);
    if (verdict->status == AQ_OK && sends && call->watch != NULL && call->watch->progress != NULL)
        (void)!call->watch->progress(call->watch->context, call->transferred);
    return AQ_OK;
}

static enum aq_status perform(struct call *call, struct aq_error *err)
{
    struct aq_s3_verdict verdict = {.status = AQ_OK};
    struct aq_s3_digest digest = {0};
    int64_t begin_ms = aq_s3_now_ms();
    unsigned brief = 0;
    if (call->kind == AQ_S3_PUT)
        AQ_TRY(aq_s3_body_digest(&call->body, &digest, err));
    call->out_begin = call->out == NULL ? 0 : call->out->size;
    for (unsigned tries = 1;; tries++) {
        AQ_TRY(try_once(call, &digest, &verdict, err));
        int64_t wait_ms = aq_s3_backoff_ms(tries);
        bool late = aq_s3_now_ms() + wait_ms > begin_ms + call->store->deadline_ms;
        brief += verdict.brief;
        if (verdict.status == AQ_OK || !verdict.retry || brief >= AQ_S3_BRIEF_TRIES)
            return verdict.status;
        if (late)
            return AQ_TEMPORARY;
        aq_clock_sleep_us(wait_ms * 1000);
        atomic_fetch_add(&call->store->retry_count, 1);
    }
}

/* With the object's key; the error has its path and the last try's reason. */
static enum aq_status run(struct call *call, struct aq_error *err)
{
    char key[AQ_S3_KEY_BYTES_MAX + 1];
    struct aq_error last = {0};
    snprintf(key, sizeof key, "%s%s", call->store->address.prefix, call->name);
    call->key = key;
    call->prefix = key;
    enum aq_status status = perform(call, &last);
    struct aq_object_path path = aq_object_path(&call->store->base, call->name);
    if (status == AQ_OK || err == NULL)
        return status;
    *err = last;
    err->status = status;
    return aq_error_locate(err, status, path.text, 0);
}

static struct aq_s3_store *self(struct aq_object_store *store)
{
    return (struct aq_s3_store *)store;
}

static enum aq_status unsupported(struct aq_object_store *store, const char *name, const char *what,
                                  struct aq_error *err)
{
    struct aq_object_path path = aq_object_path(store, name);
    return aq_error_set_at(err, AQ_UNSUPPORTED, path.text, -1, "%s: use `driver: curl`", what);
}

static enum aq_status libs3_put(struct aq_object_store *store, const char *name,
                                struct aq_slice data, bool if_absent, struct aq_error *err)
{
    struct call call = {
        .store = self(store), .kind = AQ_S3_PUT, .name = name, .body = aq_s3_body_of(data)};
    if (if_absent)
        return unsupported(store, name, "libs3 knows no conditional put", err);
    return run(&call, err);
}

static enum aq_status libs3_put_file(struct aq_object_store *store, const char *name,
                                     const struct aq_object_file *file, struct aq_error *err)
{
    struct aq_s3_watch watch = {.progress = file->progress, .context = file->context};
    struct call call = {
        .store = self(store),
        .kind = AQ_S3_PUT,
        .name = name,
        .body = {.fd = file->fd, .size = file->size_bytes},
        .watch = &watch,
    };
    if (file->size_bytes > PUT_BYTES_MAX)
        return unsupported(store, name, "libs3 uploads no file above 5 GiB", err);
    AQ_TRY(aq_s3_ask_absent(self(store), name, err));
    return run(&call, err);
}

static enum aq_status libs3_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                                struct aq_bytes *out, struct aq_error *err)
{
    struct call call = {
        .store = self(store), .kind = AQ_S3_GET, .name = name, .out = out, .out_max = size_max};
    size_t begin = out->size;
    enum aq_status status = run(&call, err);
    if (status == AQ_OK && aq_bytes_status(out) != AQ_OK)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    if (status != AQ_OK)
        out->size = begin;
    return status;
}

static enum aq_status libs3_head(struct aq_object_store *store, const char *name,
                                 uint64_t *size_bytes, struct aq_error *err)
{
    struct call call = {.store = self(store), .kind = AQ_S3_HEAD, .name = name};
    AQ_TRY(run(&call, err));
    *size_bytes = call.length;
    return AQ_OK;
}

static enum aq_status libs3_get_range(struct aq_object_store *store, const char *name,
                                      uint64_t offset, void *buffer, size_t size,
                                      struct aq_error *err)
{
    struct call call = {
        .store = self(store),
        .kind = AQ_S3_GET,
        .name = name,
        .buffer = buffer,
        .offset = offset,
        .size = size,
    };
    uint64_t whole = 0;
    enum aq_status status = size == 0 ? AQ_OK : run(&call, err);
    /* Refused or cut: does the object end before the range does? */
    if (status == AQ_OK || status == AQ_NOT_FOUND ||
        libs3_head(store, name, &whole, NULL) != AQ_OK || whole >= offset + size)
        return status;
    struct aq_object_path path = aq_object_path(store, name);
    return aq_error_set_at(err, AQ_CORRUPT, path.text, (int64_t)whole,
                           "the object ends here, and should not yet");
}

static enum aq_status libs3_delete(struct aq_object_store *store, const char *name,
                                   struct aq_error *err)
{
    struct call call = {.store = self(store), .kind = AQ_S3_DELETE, .name = name};
    enum aq_status status = run(&call, err);
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static enum aq_status hand_on(const struct call *call, aq_object_visit_fn visit, void *context)
{
    struct aq_reader reader = aq_reader_make(aq_bytes_view(&call->page));
    size_t own_size = strlen(call->store->address.prefix);
    while (aq_reader_left(&reader) > 0) {
        uint64_t size_bytes = aq_reader_u64(&reader);
        const char *key = (const char *)reader.data + reader.offset;
        aq_reader_skip(&reader, strlen(key) + 1);
        if (strlen(key) > own_size && aq_object_name_valid(key + own_size))
            AQ_TRY(visit(context, key + own_size, size_bytes));
    }
    return AQ_OK;
}

static enum aq_status libs3_list(struct aq_object_store *store, const char *prefix,
                                 aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    char marker[AQ_S3_KEY_BYTES_MAX + 1] = "";
    struct call call = {.store = self(store), .kind = AQ_S3_LIST, .name = prefix};
    enum aq_status status;
    do {
        call.marker = marker[0] == '\0' ? NULL : marker;
        status = run(&call, err);
        if (status == AQ_OK)
            status = hand_on(&call, visit, context);
        if (status == AQ_OK && call.truncated && strcmp(call.next, marker) <= 0)
            status = aq_error_set(err, AQ_IO, "the server's listing does not go on");
        memcpy(marker, call.next, sizeof marker);
    } while (status == AQ_OK && call.truncated);
    aq_bytes_deinit(&call.page);
    return status;
}

static const struct aq_object_backend libs3_backend = {
    .close = aq_s3_close,
    .put = libs3_put,
    .get = libs3_get,
    .get_range = libs3_get_range,
    .head = libs3_head,
    .put_file = libs3_put_file,
    .count = aq_s3_count,
    .delete = libs3_delete,
    .list = libs3_list,
};

static void init_libs3(void)
{
    /* Once for the process; what it allocates is kept. A failure shows with the first request. */
    (void)!S3_initialize("aqstore", S3_INIT_ALL, NULL);
}

enum aq_status aq_s3_libs3_open(const struct aq_s3_options *options, struct aq_object_store **store,
                                struct aq_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *class = options->storage_class;
    if (options->endpoint == NULL || strncmp(options->endpoint, "http://", 7) != 0)
        return aq_error_set(err, AQ_UNSUPPORTED,
                            "libs3 verifies no certificates: it serves http:// endpoints in a "
                            "network of one's own; else use `driver: curl`");
    if (class != NULL && class[0] != '\0' && strcmp(class, "STANDARD") != 0)
        return aq_error_set(err, AQ_UNSUPPORTED,
                            "libs3 knows no storage class but STANDARD: use `driver: curl`");
    pthread_once(&once, init_libs3);
    return aq_s3_open_with(options, &libs3_backend, store, err);
}

#else

enum aq_status aq_s3_libs3_open(const struct aq_s3_options *options, struct aq_object_store **store,
                                struct aq_error *err)
{
    (void)options;
    (void)store;
    return aq_error_set(err, AQ_UNSUPPORTED,
                        "this build has no libs3: use `driver: curl`, or build with libs3-dev");
}

#endif
