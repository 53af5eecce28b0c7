/* The object-store API over S3. Runs against the server that AQ_TEST_S3_ENDPOINT names, with the keys of the
 * environment, below AQ_TEST_S3_URL (s3://BUCKET/PREFIX) and by the driver AQ_TEST_S3_DRIVER (curl, libs3);
 * without an endpoint there is nothing to test (tests/system/test_object_s3.py starts servers). */
#include "engine/object/s3.h"

#include "tests/unit/object_suite.h"

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
    expect_refusal(&wanted, AQ_IO, "TLS");
}

/* An upload that nobody completes is aborted when it is old enough. */
Test(object_s3, stale_uploads)
{
    struct aq_s3_options wanted = options();
    size_t count = 9;
    struct aq_error err = {0};
    if (is_libs3())
        cr_skip_test("libs3 has no parts");
    struct aq_object_store *store = open_with(&wanted);
    cr_assert_eq(aq_object_abort_uploads(store, "data/", 0, &count, &err), AQ_OK, "%s",
                 err.message);
    cr_assert_eq(count, 0);
    aq_object_close(store);
}
