/* Opening a bucket, and finding out what it can do.
 *
 * Opening sends nothing: it checks the options, finds the keys and copies all of it. The probe puts an object
 * on condition that it is absent, twice, once as a whole and once in parts: a bucket to build a catalog on
 * refuses the second. */
#include "engine/object/s3/s3_objects.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define IN_FLIGHT_DEFAULT 12
#define TIMEOUT_DEFAULT_MS 20000
#define DEADLINE_DEFAULT_MS 60000
#define MULTIPART_DEFAULT_BYTES (UINT64_C(64) << 20)
#define PART_BYTES_MIN (UINT64_C(5) << 20) /* S3's */
#define PART_BYTES_MAX (UINT64_C(16) << 20)

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static char *copy_text(const char *text, bool *failed)
{
    char *copy = text == NULL || text[0] == '\0' ? NULL : strdup(text);
    *failed = *failed || (copy == NULL && text != NULL && text[0] != '\0');
    return copy;
}

static void set_limits(struct aq_s3_store *s3, const struct aq_s3_options *options)
{
    s3->in_flight_max = options->in_flight_max == 0 ? IN_FLIGHT_DEFAULT : options->in_flight_max;
    if (s3->in_flight_max > AQ_S3_IN_FLIGHT_MAX)
        s3->in_flight_max = AQ_S3_IN_FLIGHT_MAX;
    s3->timeout_ms = options->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : options->timeout_ms;
    s3->deadline_ms = options->deadline_ms == 0 ? DEADLINE_DEFAULT_MS : options->deadline_ms;
    s3->multipart_bytes =
        options->multipart_bytes == 0 ? MULTIPART_DEFAULT_BYTES : options->multipart_bytes;
    s3->part_bytes = s3->multipart_bytes;
    if (s3->part_bytes < PART_BYTES_MIN)
        s3->part_bytes = PART_BYTES_MIN;
    if (s3->part_bytes > PART_BYTES_MAX)
        s3->part_bytes = PART_BYTES_MAX;
}

static enum aq_status check_class(const char *storage_class, struct aq_error *err)
{
    size_t size = storage_class == NULL ? 0 : strlen(storage_class);
    if (size > 40 ||
        (size > 0 && strspn(storage_class, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != size))
        return aq_error_set(err, AQ_INVALID, "\"%.60s\" is no storage class like STANDARD_IA",
                            storage_class);
    return AQ_OK;
}

enum aq_status aq_s3_open_with(const struct aq_s3_options *options,
                               const struct aq_object_backend *backend,
                               struct aq_object_store **store, struct aq_error *err)
{
    AQ_TRY(check_class(options->storage_class, err));
    struct aq_s3_store *s3 = calloc(1, sizeof *s3);
    if (s3 == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    bool failed = false;
    s3->base.backend = backend;
    pthread_mutex_init(&s3->lock, NULL);
    set_limits(s3, options);
    s3->storage_class = copy_text(options->storage_class, &failed);
    s3->ca_bundle = copy_text(getenv("AWS_CA_BUNDLE"), &failed);
    enum aq_status status = aq_s3_address_init(options, &s3->address, err);
    if (status == AQ_OK && failed)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    if (status == AQ_OK)
        status = aq_s3_keyring_create(options, &s3->keyring, err);
    s3->base.root = s3->address.root;
    if (status == AQ_OK)
        *store = &s3->base;
    else
        aq_s3_close(&s3->base);
    return status;
}

enum aq_status aq_object_open_s3(const struct aq_s3_options *options,
                                 struct aq_object_store **store, struct aq_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl); /* metadata are asked through it by both drivers */
    if (options->driver == AQ_S3_LIBS3)
        return aq_s3_libs3_open(options, store, err);
    return aq_s3_open_with(options, &aq_s3_curl_backend, store, err);
}

/* The probe. */

/* Whether the second of two is refused; AQ_UNSUPPORTED: the server does not know the condition. */
static enum aq_status judge_second(enum aq_status first, enum aq_status second, bool *refused)
{
    *refused = first == AQ_OK && second == AQ_EXISTS;
    if (first == AQ_UNSUPPORTED || second == AQ_UNSUPPORTED)
        return AQ_OK;
    if (first != AQ_OK)
        return first;
    return second == AQ_EXISTS ? AQ_OK : second;
}

static enum aq_status probe_put(struct aq_object_store *store, const char *name, bool *refused,
                                struct aq_error *err)
{
    struct aq_slice data = aq_slice_of("May a second one be put here?\n");
    enum aq_status first = aq_object_put_if_absent(store, name, data, err);
    enum aq_status second = first;
    if (first == AQ_OK)
        second = aq_object_put_if_absent(store, name, aq_slice_of("It may.\n"), err);
    return judge_second(first, second, refused);
}

static enum aq_status probe_parts(struct aq_s3_store *s3, const char *name, bool *refused,
                                  struct aq_error *err)
{
    enum aq_status first =
        aq_s3_put_one_part(s3, name, aq_slice_of("May a second one be put here?\n"), err);
    enum aq_status second = first;
    if (first == AQ_OK)
        second = aq_s3_put_one_part(s3, name, aq_slice_of("It may.\n"), err);
    return judge_second(first, second, refused);
}

/* libs3 knows neither conditions nor parts: its first put is AQ_UNSUPPORTED. */
enum aq_status aq_s3_probe(struct aq_object_store *store, struct aq_s3_capabilities *capabilities,
                           struct aq_error *err)
{
    char whole[64];
    char parts[80];
    uint64_t nonce[2];
    *capabilities = (struct aq_s3_capabilities){0};
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return aq_error_set(err, AQ_IO, "no random bytes");
    snprintf(whole, sizeof whole, "probe/%016" PRIx64 "%016" PRIx64, nonce[0], nonce[1]);
    snprintf(parts, sizeof parts, "%s-parts", whole);
    enum aq_status status = probe_put(store, whole, &capabilities->conditional_put, err);
    if (store->backend != &aq_s3_curl_backend)
        capabilities->conditional_multipart = capabilities->conditional_put;
    else if (status == AQ_OK)
        status = probe_parts((struct aq_s3_store *)store, parts,
                             &capabilities->conditional_multipart, err);
    /* What stays behind does no harm: its name is its own. A server that is away is not waited for again. */
    if (status == AQ_TEMPORARY)
        return status;
    (void)!aq_object_delete(store, whole, NULL);
    (void)!aq_object_delete(store, parts, NULL);
    return status;
}
