/* The object-store API over S3. Runs against the server that AQ_TEST_S3_ENDPOINT names, with the keys of the
 * environment, below AQ_TEST_S3_URL (s3://BUCKET/PREFIX) and by the driver AQ_TEST_S3_DRIVER (curl, libs3);
 * without an endpoint there is nothing to test (tests/system/remote/test_object_s3.py starts servers). */
#include "engine/object/s3.h"

#include "tests/unit/object/object_suite.h"

#include <sys/random.h>

#define SECRET "not-the-secret-key"

static bool is_libs3(void)
{
    const char *driver = getenv("AQ_TEST_S3_DRIVER");
    return driver != NULL && strcmp(driver, "libs3") == 0;
}

/* Options for a prefix of this test's own. */
static struct aq_s3_options options(void)
{
    static char url[256];
    const char *endpoint = getenv("AQ_TEST_S3_ENDPOINT");
    const char *base = getenv("AQ_TEST_S3_URL");
    uint64_t nonce = 0;
    if (endpoint == NULL || base == NULL)
        cr_skip_test("no server");
    cr_assert_eq(getrandom(&nonce, sizeof nonce, 0), (ssize_t)sizeof nonce);
    snprintf(url, sizeof url, "%s/%016llx=t", base, (unsigned long long)nonce);
    scratch_make();
    return (struct aq_s3_options){
        .url = url,
        .endpoint = endpoint,
        .driver = is_libs3() ? AQ_S3_LIBS3 : AQ_S3_CURL,
        .deadline_ms = 20000,
    };
}

static struct aq_object_store *open_with(const struct aq_s3_options *wanted)
{
    struct aq_object_store *store = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_object_open_s3(wanted, &store, &err), AQ_OK, "%s", err.message);
    return store;
}

static struct aq_object_store *open_store(void)
{
    struct aq_s3_options wanted = options();
    return open_with(&wanted);
}

Test(object_s3, put_get_replace_delete)
{
    struct aq_object_store *store = open_store();
    suite_put_get_delete(store, !is_libs3());
    aq_object_close(store);
}

Test(object_s3, bodies_of_all_sizes)
{
    struct aq_object_store *store = open_store();
    suite_sizes(store);
    aq_object_close(store);
}

Test(object_s3, names)
{
    struct aq_object_store *store = open_store();
    suite_names(store, !is_libs3());
    aq_object_close(store);
}

Test(object_s3, lists)
{
    struct aq_object_store *store = open_store();
    suite_lists(store);
    aq_object_close(store);
}

Test(object_s3, a_list_of_more_than_one_page)
{
    struct aq_object_store *store = open_store();
    suite_long_list(store);
    aq_object_close(store);
}

Test(object_s3, ranges)
{
    struct aq_object_store *store = open_store();
    suite_ranges(store);
    aq_object_close(store);
}

Test(object_s3, files)
{
    struct aq_object_store *store = open_store();
    suite_put_file(store, 0, false);
    suite_put_file(store, 100000, false);
    if (!is_libs3()) {
        suite_put_file(store, 70 << 20, true);
        struct aq_object_counters counters = aq_object_count(store);
        cr_assert_geq(counters.put_count, 7); /* the last was sent in parts */
    }
    aq_object_close(store);
}

/* Parts at the edges of their size. */
Test(object_s3, small_files_in_parts)
{
    struct aq_s3_options wanted = options();
    wanted.multipart_bytes = 1 << 20;
    if (is_libs3())
        cr_skip_test("libs3 has no parts");
    struct aq_object_store *store = open_with(&wanted);
    suite_put_file(store, (1 << 20) + 1, true);
    suite_put_file(store, 10 << 20, true);
    suite_put_file(store, (10 << 20) + 1, true);
    aq_object_close(store);
}

Test(object_s3, one_creator_wins)
{
    struct aq_object_store *store = open_store();
    if (is_libs3())
        cr_skip_test("libs3 has no conditions");
    suite_one_creator_wins(store);
    aq_object_close(store);
}

Test(object_s3, conditions_are_probed)
{
    struct aq_object_store *store = open_store();
    struct aq_s3_capabilities capabilities = {0};
    struct aq_error err = {0};
    struct suite_listing left = {0};
    cr_assert_eq(aq_s3_probe(store, &capabilities, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(capabilities.conditional_put, !is_libs3());
    cr_log_info("conditional multipart: %d", capabilities.conditional_multipart);
    cr_assert_eq(suite_list(store, "probe/", &left), AQ_OK);
    cr_assert_eq(left.count, 0);
    aq_object_close(store);
}

Test(object_s3, requests_are_counted)
{
    struct aq_object_store *store = open_store();
    struct suite_listing listing = {0};
    uint64_t size;
    cr_assert_eq(aq_object_put(store, "n", aq_slice_of("12345"), NULL), AQ_OK);
    suite_expect(store, "n", aq_slice_of("12345"));
    cr_assert_eq(aq_object_head(store, "n", &size, NULL), AQ_OK);
    cr_assert_eq(suite_list(store, "n", &listing), AQ_OK);
    cr_assert_eq(aq_object_delete(store, "n", NULL), AQ_OK);
    struct aq_object_counters counters = aq_object_count(store);
    cr_assert_eq(counters.put_count, 1);
    cr_assert_eq(counters.get_count, 1);
    cr_assert_eq(counters.head_count, 1);
    cr_assert_eq(counters.list_count, 1);
    cr_assert_eq(counters.delete_count, 1);
    cr_assert_eq(counters.retry_count, 0);
    cr_assert_eq(counters.bytes_sent, 5);
    cr_assert_geq(counters.bytes_received, 5);
    aq_object_close(store);
}

/* What a refusal says, and that it does not say the secret. */
static void expect_refusal(const struct aq_s3_options *wanted, enum aq_status status,
                           const char *what)
{
    struct aq_object_store *store = open_with(wanted);
    struct aq_error err = {0};
    struct suite_listing listing = {0};
    uint8_t byte;
    cr_assert_eq(aq_object_put(store, "x", aq_slice_of("x"), &err), status, "%s", err.message);
    cr_assert_not_null(strstr(err.message, what), "%s", err.message);
    cr_assert_null(strstr(err.message, SECRET));
    cr_assert_neq(aq_object_get_range(store, "x", 0, &byte, 1, &err), AQ_OK);
    cr_assert_null(strstr(err.message, SECRET));
    cr_assert_neq(suite_list(store, "x", &listing), AQ_OK);
    aq_object_close(store);
}

Test(object_s3, a_wrong_secret)
{
    struct aq_s3_options wanted = options();
    wanted.access_key = getenv("AWS_ACCESS_KEY_ID");
    wanted.secret_key = SECRET;
    expect_refusal(&wanted, AQ_IO, "secret key");
}

Test(object_s3, an_unknown_access_key)
{
    struct aq_s3_options wanted = options();
    wanted.access_key = "nobody";
    wanted.secret_key = SECRET;
    expect_refusal(&wanted, AQ_IO, "key");
}

Test(object_s3, a_missing_bucket)
{
    struct aq_s3_options wanted = options();
    wanted.url = "s3://there-is-no-such-bucket/x";
    expect_refusal(&wanted, AQ_IO, "no such bucket");
}

Test(object_s3, nobody_listens)
{
    struct aq_s3_options wanted = options();
    wanted.endpoint = "http://127.0.0.1:1";
    wanted.deadline_ms = 300;
    expect_refusal(&wanted, AQ_TEMPORARY, "cannot be reached");
}

Test(object_s3, a_host_that_does_not_exist)
{
    struct aq_s3_options wanted = options();
    wanted.endpoint = "http://no-such-host.invalid";
    wanted.deadline_ms = 2000;
    expect_refusal(&wanted, AQ_TEMPORARY, "cannot be found");
}

Test(object_s3, tls_with_a_server_that_has_none)
{
    struct aq_s3_options wanted = options();
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "https%s", strstr(wanted.endpoint, "://"));
    wanted.endpoint = endpoint;
    if (is_libs3()) {
        struct aq_object_store *store = NULL;
        cr_assert_eq(aq_object_open_s3(&wanted, &store, NULL), AQ_UNSUPPORTED);
    } else {
        expect_refusal(&wanted, AQ_IO, "TLS");
    }
}

/* An upload that nobody completes is aborted when it is old enough. The proxy sees to it that the first
 * abort fails: AQ_TEST_S3_STALE. */
Test(object_s3_refusals, stale_uploads)
{
    enum { SIZE = 2 << 20 };
    size_t count = 9;
    struct aq_error err = {0};
    if (getenv("AQ_TEST_S3_STALE") == NULL)
        cr_skip_test("no upload gets stuck");
    struct aq_s3_options wanted = options();
    wanted.multipart_bytes = 1 << 20;
    struct aq_object_store *store = open_with(&wanted);
    int fd = suite_file(SIZE);
    cr_assert_eq(aq_object_abort_uploads(store, "data/", 0, &count, &err), AQ_OK, "%s",
                 err.message);
    cr_assert_eq(count, 0);
    cr_assert_eq(aq_object_put_file(store, "data/k=1", fd, SIZE, suite_refuse, NULL, NULL),
                 AQ_INTERRUPTED);
    const int64_t hour_us = INT64_C(3600000000);
    cr_assert_eq(aq_object_abort_uploads(store, "other/", 0, &count, NULL), AQ_OK);
    cr_assert_eq(count, 0);
    cr_assert_eq(aq_object_abort_uploads(store, "data/", hour_us, &count, NULL), AQ_OK);
    cr_assert_eq(count, 0);
    cr_assert_eq(aq_object_abort_uploads(store, "data/", 0, &count, &err), AQ_OK, "%s",
                 err.message);
    cr_assert_eq(count, 1);
    cr_assert_eq(aq_object_abort_uploads(store, "data/", 0, &count, NULL), AQ_OK);
    cr_assert_eq(count, 0);
    aq_object_close(store);
    close(fd);
}

/* With a proxy in between that spoils some answers: a right result or AQ_TEMPORARY, never wrong bytes.
 * AQ_TEST_S3_DIRECT is the same server without it, AQ_TEST_S3_ROUNDS how often each operation is done. */

struct faulty {
    struct aq_object_store *store;
    struct aq_object_store *direct;
    unsigned rounds;
    unsigned temporary; /* results that were no results */
};

static struct faulty open_faulty(uint64_t multipart_bytes)
{
    const char *direct = getenv("AQ_TEST_S3_DIRECT");
    const char *rounds = getenv("AQ_TEST_S3_ROUNDS");
    if (direct == NULL)
        cr_skip_test("no proxy");
    struct aq_s3_options wanted = options();
    wanted.timeout_ms = 1000;
    wanted.deadline_ms = 5000;
    wanted.multipart_bytes = multipart_bytes;
    struct faulty faulty = {.store = open_with(&wanted)};
    wanted.endpoint = direct;
    wanted.timeout_ms = 0;
    faulty.direct = open_with(&wanted);
    faulty.rounds = rounds == NULL ? 20 : (unsigned)strtoul(rounds, NULL, 10);
    return faulty;
}

static void close_faulty(struct faulty *faulty)
{
    cr_log_info("%u of %u rounds had no result", faulty->temporary, faulty->rounds);
    aq_object_close(faulty->store);
    aq_object_close(faulty->direct);
}

/* Whether it has a result; it must then be `wanted`. */
static bool settled(struct faulty *faulty, enum aq_status status, enum aq_status wanted,
                    const struct aq_error *err, const char *what)
{
    faulty->temporary += status == AQ_TEMPORARY;
    cr_assert(status == wanted || status == AQ_TEMPORARY, "%s: %s: %s", what,
              aq_status_text(status), err->message);
    return status == wanted;
}

Test(object_s3_faults, conditional_puts)
{
    struct faulty faulty = open_faulty(0);
    for (unsigned i = 0; i < faulty.rounds; i++) {
        char name[40], text[40];
        struct aq_error err = {0};
        struct aq_bytes bytes = {0};
        snprintf(name, sizeof name, "commit/%05u", i);
        snprintf(text, sizeof text, "content %u with a nonce", i);
        struct aq_slice data = aq_slice_of(text);
        bool taken = i % 4 == 3; /* somebody else was there before */
        if (taken)
            cr_assert_eq(aq_object_put(faulty.direct, name, aq_slice_of("theirs"), NULL), AQ_OK);
        enum aq_status status = aq_object_put_if_absent(faulty.store, name, data, &err);
        settled(&faulty, status, taken ? AQ_EXISTS : AQ_OK, &err, "put");
        enum aq_status found = aq_object_get(faulty.direct, name, 100, &bytes, NULL);
        cr_assert(found == AQ_OK || (status == AQ_TEMPORARY && found == AQ_NOT_FOUND));
        if (found == AQ_OK)
            cr_assert(aq_slice_equal(aq_bytes_view(&bytes), taken ? aq_slice_of("theirs") : data));
        aq_bytes_deinit(&bytes);
    }
    close_faulty(&faulty);
}

Test(object_s3_faults, reads)
{
    enum { SIZE = 50000, PARTS = 10 };
    struct faulty faulty = open_faulty(0);
    uint8_t *data = malloc(SIZE);
    uint8_t *got = malloc(SIZE);
    suite_fill(data, SIZE, 7);
    cr_assert_eq(aq_object_put(faulty.direct, "read/a", aq_slice_make(data, SIZE), NULL), AQ_OK);
    for (unsigned i = 0; i < faulty.rounds; i++) {
        struct aq_object_range ranges[PARTS];
        struct aq_error err = {0};
        struct aq_bytes bytes = {0};
        uint64_t size = 0;
        memset(got, 0, SIZE);
        for (size_t k = 0; k < PARTS; k++)
            ranges[k] = (struct aq_object_range){"read/a", k * (SIZE / PARTS), SIZE / PARTS,
                                                 got + k * (SIZE / PARTS)};
        enum aq_status status = aq_object_get_ranges(faulty.store, ranges, PARTS, &err);
        if (settled(&faulty, status, AQ_OK, &err, "ranges"))
            cr_assert_eq(memcmp(got, data, SIZE), 0);
        status = aq_object_get(faulty.store, "read/a", SIZE, &bytes, &err);
        if (settled(&faulty, status, AQ_OK, &err, "get"))
            cr_assert(aq_slice_equal(aq_bytes_view(&bytes), aq_slice_make(data, SIZE)));
        aq_bytes_deinit(&bytes);
        if (settled(&faulty, aq_object_head(faulty.store, "read/a", &size, &err), AQ_OK, &err,
                    "head"))
            cr_assert_eq(size, SIZE);
        status = aq_object_get(faulty.store, "read/none", SIZE, &bytes, &err);
        settled(&faulty, status, AQ_NOT_FOUND, &err, "get of nothing");
    }
    free(data);
    free(got);
    close_faulty(&faulty);
}

Test(object_s3_faults, lists_and_deletes)
{
    struct faulty faulty = open_faulty(0);
    const char *wanted = "l/0:1 l/1:1 l/2:1 l/3:1 ";
    for (unsigned i = 0; i < faulty.rounds; i++) {
        struct suite_listing listing = {.ascending = true};
        struct aq_error err = {0};
        for (int k = 0; k < 4; k++) {
            char name[] = {'l', '/', (char)('0' + k), '\0'};
            cr_assert_eq(aq_object_put(faulty.direct, name, aq_slice_of("x"), NULL), AQ_OK);
        }
        enum aq_status status = aq_object_list(faulty.store, "l/", suite_visit, &listing, &err);
        if (settled(&faulty, status, AQ_OK, &err, "list"))
            cr_assert_str_eq(listing.first, wanted);
        if (settled(&faulty, aq_object_delete(faulty.store, "l/2", &err), AQ_OK, &err, "delete"))
            cr_assert_not(aq_object_exists(faulty.direct, "l/2"));
    }
    close_faulty(&faulty);
}

Test(object_s3_faults, files_in_parts)
{
    enum { SIZE = (11 << 20) + 5 };
    struct faulty faulty = open_faulty(1 << 20);
    int fd = suite_file(SIZE);
    uint8_t *wanted = malloc(SIZE);
    suite_fill(wanted, SIZE, 0);
    for (unsigned i = 0; i < (faulty.rounds + 4) / 5; i++) {
        char name[40];
        struct aq_error err = {0};
        uint64_t size;
        snprintf(name, sizeof name, "data/%05u", i);
        enum aq_status status = aq_object_put_file(faulty.store, name, fd, SIZE, NULL, NULL, &err);
        if (settled(&faulty, status, AQ_OK, &err, "put of a file") ||
            aq_object_head(faulty.direct, name, &size, NULL) == AQ_OK)
            suite_expect(faulty.direct, name, aq_slice_make(wanted, SIZE));
        cr_assert_eq(aq_object_delete(faulty.direct, name, NULL), AQ_OK);
    }
    free(wanted);
    close(fd);
    close_faulty(&faulty);
}

/* The same small object again and again, while the proxy cuts its answer one byte later each time. */
Test(object_s3_faults, every_cut)
{
    struct faulty faulty = open_faulty(0);
    const char *text = "an object whose answer is cut at every byte, head and body";
    cr_assert_eq(aq_object_put(faulty.direct, "cut", aq_slice_of(text), NULL), AQ_OK);
    for (unsigned i = 0; i < faulty.rounds; i++) {
        struct aq_error err = {0};
        struct aq_bytes bytes = {0};
        char part[9] = "";
        enum aq_status status = i % 2 == 0
                                    ? aq_object_get(faulty.store, "cut", 1000, &bytes, &err)
                                    : aq_object_get_range(faulty.store, "cut", 3, part, 8, &err);
        cr_assert_eq(status, AQ_OK, "%s", err.message);
        cr_assert(i % 2 == 0 ? aq_slice_equal(aq_bytes_view(&bytes), aq_slice_of(text))
                             : memcmp(part, text + 3, 8) == 0);
        aq_bytes_deinit(&bytes);
    }
    close_faulty(&faulty);
}

/* Answers that the proxy makes up: AQ_TEST_S3_STATUS, the name of a status, and AQ_TEST_S3_MESSAGE, what its
 * message says, for a put and for a read. */
Test(object_s3_refusals, put)
{
    const char *status = getenv("AQ_TEST_S3_STATUS");
    const char *message = getenv("AQ_TEST_S3_MESSAGE");
    struct aq_error err = {0};
    if (status == NULL || message == NULL)
        cr_skip_test("no refusal planned");
    struct aq_s3_options wanted = options();
    wanted.deadline_ms = 3000;
    struct aq_object_store *store = open_with(&wanted);
    enum aq_status found = aq_object_put_if_absent(store, "x", aq_slice_of("x"), &err);
    cr_assert_str_eq(aq_status_text(found), status, "%s", err.message);
    cr_assert_not_null(strstr(err.message, message), "%s", err.message);
    cr_assert_not_null(strstr(err.path, "s3://"));
    cr_log_info("%s: %s", err.path, err.message);
    aq_object_close(store);
}

/* A server that does not know If-None-Match: no catalog, but files can be put. */
Test(object_s3_refusals, no_conditions)
{
    struct aq_error err = {0};
    struct aq_s3_capabilities capabilities = {true, true};
    const char *how = getenv("AQ_TEST_S3_NO_CONDITIONS");
    if (how == NULL)
        cr_skip_test("conditions are known");
    struct aq_s3_options wanted = options();
    wanted.multipart_bytes = 1 << 20;
    struct aq_object_store *store = open_with(&wanted);
    cr_assert_eq(aq_s3_probe(store, &capabilities, &err), AQ_OK, "%s", err.message);
    cr_assert_not(capabilities.conditional_put);
    cr_assert_not(capabilities.conditional_multipart);
    if (how != NULL && strcmp(how, "refused") == 0) {
        cr_assert_eq(aq_object_put_if_absent(store, "x", aq_slice_of("x"), &err), AQ_UNSUPPORTED);
        suite_put_file(store, 1000, false);
        suite_put_file(store, 2 << 20, true);
    }
    aq_object_close(store);
}

/* A server whose certificate nobody vouches for. */
Test(object_s3_tls, an_unknown_authority)
{
    struct aq_error err = {0};
    if (getenv("AQ_TEST_S3_UNTRUSTED") == NULL)
        cr_skip_test("the server is trusted");
    struct aq_object_store *store = open_store();
    cr_assert_eq(aq_object_put(store, "x", aq_slice_of("x"), &err), AQ_IO);
    cr_assert_not_null(strstr(err.message, "is not trusted"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "AWS_CA_BUNDLE"), "%s", err.message);
    aq_object_close(store);
}

/* Keys that end soon are renewed before each request; others are kept. */
Test(object_s3_metadata, keys_are_renewed_in_time)
{
    if (getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT") == NULL)
        cr_skip_test("no metadata service");
    struct aq_object_store *store = open_store();
    for (int i = 0; i < 5; i++) {
        struct aq_error err = {0};
        cr_assert_eq(aq_object_put(store, "x", aq_slice_of("x"), &err), AQ_OK, "%s", err.message);
    }
    aq_object_close(store);
}

Test(object_s3_metadata, none_to_be_had)
{
    struct aq_error err = {0};
    const char *message = getenv("AQ_TEST_S3_NO_KEYS");
    if (message == NULL)
        cr_skip_test("there are keys");
    struct aq_object_store *store = open_store();
    cr_assert_lt(aq_object_put(store, "x", aq_slice_of("x"), &err), 0);
    cr_assert(message != NULL && strstr(err.message, message) != NULL, "%s", err.message);
    aq_object_close(store);
}
