/* What needs no server: addresses, keys and where they come from, and what S3 answers in XML. */
#include "engine/object/s3/keys/s3_credentials.h"
#include "engine/object/s3/wire/s3_address.h"
#include "engine/object/s3/wire/s3_body.h"
#include "engine/object/s3/wire/s3_xml.h"

#include "tests/unit/scratch.h"

/* Addresses. */

static const char *url_of(const char *url, const char *endpoint, const char *region,
                          const char *name, const char *query)
{
    static char text[2048];
    struct aq_s3_options options = {.url = url, .endpoint = endpoint, .region = region};
    struct aq_s3_address address;
    struct aq_bytes bytes = {0};
    cr_assert_eq(aq_s3_address_init(&options, &address, NULL), AQ_OK);
    cr_assert_eq(aq_s3_url(&address, name, query, &bytes), AQ_OK);
    snprintf(text, sizeof text, "%s", (const char *)bytes.data);
    aq_bytes_deinit(&bytes);
    aq_s3_address_deinit(&address);
    return text;
}

Test(s3_address, urls)
{
    cr_assert_str_eq(url_of("s3://bucket", "http://127.0.0.1:9000", NULL, "a=1/b_c.d", ""),
                     "http://127.0.0.1:9000/bucket/a%3D1/b_c.d");
    cr_assert_str_eq(url_of("s3://bucket/pre/fix/", "https://host/", "x-1", "n", "a=&b=2"),
                     "https://host/bucket/pre/fix/n?a=&b=2");
    cr_assert_str_eq(url_of("s3://bucket/p", NULL, NULL, "n", ""),
                     "https://bucket.s3.us-east-1.amazonaws.com/p/n");
    cr_assert_str_eq(url_of("s3://bucket/p", "", "cn-north-1", NULL, "uploads="),
                     "https://bucket.s3.cn-north-1.amazonaws.com.cn/?uploads=");
    cr_assert_str_eq(url_of("s3://dotted.name", NULL, "eu-north-1", NULL, "x="),
                     "https://s3.eu-north-1.amazonaws.com/dotted.name?x=");
}

Test(s3_address, what_is_none)
{
    static const struct aq_s3_options bad[] = {
        {.url = NULL},
        {.url = "bucket/prefix"},
        {.url = "s3://"},
        {.url = "s3://b"},
        {.url = "s3://bucket name/x"},
        {.url = "s3://bucket/a//b"},
        {.url = "s3://bucket/../b"},
        {.url = "s3://bucket/a?b"},
        {.url = "s3://bucket", .endpoint = "127.0.0.1:9000"},
        {.url = "s3://bucket", .endpoint = "http://"},
        {.url = "s3://bucket", .endpoint = "http://user:word@host"},
        {.url = "s3://bucket", .endpoint = "http://host/path"},
        {.url = "s3://bucket", .endpoint = "ftp://host"},
        {.url = "s3://bucket", .region = "us east"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct aq_s3_address address;
        struct aq_error err = {0};
        cr_assert_eq(aq_s3_address_init(&bad[i], &address, &err), AQ_INVALID, "%zu", i);
        cr_assert_null(strstr(err.message, "word"));
    }
}

/* Keys. */

static void expect_profile(const char *text, const char *profile, enum aq_status status,
                           const char *access, const char *secret, const char *token)
{
    struct aq_s3_credentials found = {0};
    cr_assert_eq(aq_s3_profile_read(aq_slice_of(text), profile, &found, NULL), status, "%s", text);
    if (status == AQ_OK) {
        cr_assert_str_eq(found.access_key, access);
        cr_assert_str_eq(found.secret_key, secret);
        cr_assert_str_eq(found.session_token, token);
    }
}

Test(s3_keys, profiles)
{
    const char *text =
        "# comment\n[default]\naws_access_key_id = A\naws_secret_access_key=b/c+d==\n\n"
        "; another\r\n[ other ]\r\n  aws_access_key_id=O\r\naws_secret_access_key = s\r\n"
        "aws_session_token = t=t\n[role]\nrole_arn = arn:aws:x\n[last]\naws_access_key_id=L";
    expect_profile(text, "default", AQ_OK, "A", "b/c+d==", "");
    expect_profile(text, "other", AQ_OK, "O", "s", "t=t");
    expect_profile(text, "role", AQ_INVALID, NULL, NULL, NULL);
    expect_profile(text, "last", AQ_INVALID, NULL, NULL, NULL);
    expect_profile(text, "none", AQ_NOT_FOUND, NULL, NULL, NULL);
    expect_profile("", "default", AQ_NOT_FOUND, NULL, NULL, NULL);
    expect_profile("[\n]\n[]\n=\n[default\n", "default", AQ_NOT_FOUND, NULL, NULL, NULL);
    char large[600] = "[default]\naws_access_key_id=";
    memset(large + strlen(large), 'x', 300);
    expect_profile(large, "default", AQ_INVALID, NULL, NULL, NULL);
}

static void clear_environment(void)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",       "AWS_SESSION_TOKEN",
        "AWS_PROFILE",       "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_SERVICE_ENDPOINT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    setenv("HOME", scratch_make(), 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static enum aq_status find_keys(const struct aq_s3_options *options,
                                struct aq_s3_credentials *found, struct aq_error *err)
{
    struct aq_s3_keyring *keyring = NULL;
    enum aq_status status = aq_s3_keyring_create(options, &keyring, err);
    if (status == AQ_OK)
        status = aq_s3_keyring_get(keyring, found, err);
    aq_s3_keyring_destroy(keyring);
    return status;
}

Test(s3_keys, sources_in_their_order)
{
    struct aq_s3_options none = {0};
    struct aq_s3_options given = {.access_key = "OPTION", .secret_key = "s", .session_token = "t"};
    struct aq_s3_credentials found;
    struct aq_error err = {0};
    clear_environment();
    cr_assert_eq(find_keys(&none, &found, &err), AQ_INVALID);
    cr_assert_not_null(strstr(err.message, "AWS_ACCESS_KEY_ID"));
    cr_assert_eq(mkdir(scratch_file(".aws"), 0700), 0);
    const char *file = "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n";
    scratch_write(scratch_file(".aws/credentials"), file, strlen(file));
    cr_assert_eq(find_keys(&none, &found, &err), AQ_OK);
    cr_assert_str_eq(found.access_key, "FILE");
    setenv("AWS_PROFILE", "nobody", 1);
    cr_assert_eq(find_keys(&none, &found, &err), AQ_INVALID);
    cr_assert_not_null(strstr(err.message, "[nobody]"));
    setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT", 1);
    cr_assert_eq(find_keys(&none, &found, &err), AQ_INVALID); /* half of it */
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    cr_assert_eq(find_keys(&none, &found, &err), AQ_OK);
    cr_assert_str_eq(found.access_key, "ENVIRONMENT");
    cr_assert_str_eq(found.session_token, "token");
    cr_assert_eq(find_keys(&given, &found, &err), AQ_OK);
    cr_assert_str_eq(found.access_key, "OPTION");
    cr_assert_str_eq(found.session_token, "t");
    given.secret_key = "a secret\n";
    cr_assert_eq(find_keys(&given, &found, &err), AQ_INVALID);
    cr_assert_null(strstr(err.message, "a secret"));
}

/* A file that is written anew is read anew when the server says that its keys have expired. */
Test(s3_keys, a_file_is_read_again)
{
    struct aq_s3_options none = {0};
    struct aq_s3_credentials found;
    struct aq_s3_keyring *keyring = NULL;
    const char *first = "[p]\naws_access_key_id=FIRST\naws_secret_access_key=s\n";
    const char *second = "[p]\naws_access_key_id=SECOND\naws_secret_access_key=s\n";
    clear_environment();
    scratch_write(scratch_file("keys"), first, strlen(first));
    setenv("AWS_SHARED_CREDENTIALS_FILE", scratch_file("keys"), 1);
    setenv("AWS_PROFILE", "p", 1);
    cr_assert_eq(aq_s3_keyring_create(&none, &keyring, NULL), AQ_OK);
    scratch_write(scratch_file("keys"), second, strlen(second));
    cr_assert_eq(aq_s3_keyring_get(keyring, &found, NULL), AQ_OK);
    cr_assert_str_eq(found.access_key, "FIRST");
    aq_s3_keyring_renew(keyring);
    cr_assert_eq(aq_s3_keyring_get(keyring, &found, NULL), AQ_OK);
    cr_assert_str_eq(found.access_key, "SECOND");
    aq_s3_keyring_destroy(keyring);
}

Test(s3_keys, metadata)
{
    static const char *const bad[] = {
        "",
        "null",
        "{}",
        "[]",
        "{\"Code\": \"Success\"",
        "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", \"Token\": \"t\"}",
        "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", \"Expiration\": \"soon\"}",
        "{\"AccessKeyId\": 1, \"SecretAccessKey\": \"s\", \"Expiration\": \"2030-01-01\"}",
        "{\"SecretAccessKey\": \"s\", \"Expiration\": \"2030-01-01T00:00:00Z\"}",
    };
    struct aq_s3_credentials found = {0};
    const char *good =
        "{\n \"Code\" : \"Success\", \"LastUpdated\": null, \"Type\": {\"a\": [1]},\n"
        "\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\\/t\", \"Token\": \"t\","
        "\"Expiration\": \"2030-01-01T00:00:00Z\"}";
    cr_assert_eq(aq_s3_metadata_read(aq_slice_of(good), &found, NULL), AQ_OK);
    cr_assert_str_eq(found.access_key, "A");
    cr_assert_str_eq(found.secret_key, "s/t");
    cr_assert_str_eq(found.session_token, "t");
    cr_assert_eq(found.expires_us, INT64_C(1893456000000000));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct aq_s3_credentials other = {0};
        cr_assert_eq(aq_s3_metadata_read(aq_slice_of(bad[i]), &other, NULL), AQ_CORRUPT, "%s",
                     bad[i]);
    }
}

/* Bodies. */

Test(s3_body, hashes)
{
    struct aq_s3_digest digest;
    struct aq_s3_body body = aq_s3_body_of(aq_slice_of("abc"));
    cr_assert_eq(aq_s3_body_digest(&body, &digest, NULL), AQ_OK);
    cr_assert_str_eq(digest.sha256_hex,
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_assert_str_eq(digest.md5_base64, "kAFQmDzST7DWlj99KOF/cg==");
    scratch_make();
    scratch_write(scratch_file("file"), "xabcx", 5);
    int fd = open(scratch_file("file"), O_RDONLY);
    struct aq_s3_body part = {.fd = fd, .offset = 1, .size = 3};
    struct aq_s3_digest same;
    cr_assert_eq(aq_s3_body_digest(&part, &same, NULL), AQ_OK);
    cr_assert_str_eq(same.sha256_hex, digest.sha256_hex);
    part.size = 5; /* more than there is */
    cr_assert_eq(aq_s3_body_digest(&part, &same, NULL), AQ_CORRUPT);
    close(fd);
}

/* Answers. */

#define LIST(inside) \
    "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://x/\">" inside "</ListBucketResult>"

static enum aq_status read_page(const char *text, struct aq_s3_page *page)
{
    return aq_s3_page_read(aq_slice_of(text), page, NULL);
}

Test(s3_xml, a_page)
{
    struct aq_s3_page page;
    cr_assert_eq(
        read_page("  \n" LIST("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                              "<NextContinuationToken>a+b%3D</NextContinuationToken>"
                              "<Contents><Key>a%3D1+%2F&amp;&#x41;</Key><Size>12</Size>"
                              "<Owner><ID>Key</ID></Owner></Contents>"
                              "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
                              "<Contents><Size>0</Size><Key>%zz%4</Key></Contents>"),
                  &page),
        AQ_OK);
    cr_assert_eq(page.entry_count, 2);
    cr_assert_str_eq(page.entries[0].key, "a=1 /&A");
    cr_assert_eq(page.entries[0].size_bytes, 12);
    cr_assert_str_eq(page.entries[1].key, "%zz%4");
    cr_assert(page.truncated);
    cr_assert_str_eq(page.next, "a+b%3D"); /* as it came */
    aq_s3_page_deinit(&page);
    cr_assert_eq(read_page(LIST("<Contents><Key>a%3D+b</Key></Contents>"), &page), AQ_OK);
    cr_assert_str_eq(page.entries[0].key,
                     "a%3D+b"); /* not encoded, as the server does not say so */
    aq_s3_page_deinit(&page);
}

Test(s3_xml, uploads)
{
    struct aq_s3_page page;
    const char *text =
        "<ListMultipartUploadsResult><EncodingType>url</EncodingType>"
        "<NextKeyMarker>k%3D</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
        "<IsTruncated>true</IsTruncated><Upload><Key>k%3D</Key><UploadId>u+1</UploadId>"
        "<Initiated>1970-01-02T00:00:00.000Z</Initiated></Upload>"
        "</ListMultipartUploadsResult>";
    cr_assert_eq(read_page(text, &page), AQ_OK);
    cr_assert_eq(page.entry_count, 1);
    cr_assert_str_eq(page.entries[0].key, "k=");
    cr_assert_str_eq(page.entries[0].upload_id, "u+1");
    cr_assert_eq(page.entries[0].initiated_us, INT64_C(86400000000));
    cr_assert_str_eq(page.next, "k=");
    cr_assert_str_eq(page.next_upload, "u");
    aq_s3_page_deinit(&page);
}

Test(s3_xml, what_is_no_page)
{
    static const char *const bad[] = {
        "",
        "text",
        "<ListBucketResult>",
        LIST("<Contents></Contents>"),
        LIST("<Contents><Key>a</Key><Size>-1</Size></Contents>"),
        LIST("<Contents><Key>a</Key><Size>1e3</Size></Contents>"),
        LIST("<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"),
        LIST("<IsTruncated>true</IsTruncated>"),
        LIST("<Contents><Key>&none;</Key></Contents>"),
        "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult/>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a></a></a></a></"
        "a></a>",
        LIST("") "<more/>",
    };
    struct aq_s3_page page;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(read_page(bad[i], &page), AQ_CORRUPT, "%s", bad[i]);
    struct aq_bytes text = {0};
    aq_bytes_chars(&text, "<ListBucketResult><Contents><Key>");
    for (int i = 0; i < AQ_S3_TEXT_BYTES_MAX; i++)
        aq_bytes_u8(&text, 'k');
    aq_bytes_chars(&text, "</Key></Contents></ListBucketResult>");
    cr_assert_eq(aq_s3_page_read(aq_bytes_view(&text), &page, NULL), AQ_CORRUPT);
    aq_bytes_deinit(&text);
}

Test(s3_xml, errors)
{
    struct aq_s3_error error;
    aq_s3_error_read(aq_slice_of("<Error><Code>SlowDown</Code><Message>Please\nreduce \xC3\xA9"
                                 "</Message><Region>eu-north-1</Region></Error>"),
                     &error);
    cr_assert_str_eq(error.root, "Error");
    cr_assert_str_eq(error.code, "SlowDown");
    cr_assert_str_eq(error.message, "Please?reduce ??");
    cr_assert_str_eq(error.region, "eu-north-1");
    aq_s3_error_read(aq_slice_of("<Error><Code>Slow</Code><Mess"), &error); /* cut */
    cr_assert_str_eq(error.code, "Slow");
    cr_assert_str_eq(error.root, "");
    aq_s3_error_read(aq_slice_of("<Error/>"), &error);
    cr_assert_str_eq(error.code, "Error");
    aq_s3_error_read(aq_slice_of("<html><Error/></html>"), &error);
    cr_assert_str_eq(error.code, "");
    aq_s3_error_read(aq_slice_of(""), &error);
    cr_assert_str_eq(error.code, "");
}

Test(s3_xml, one_text)
{
    char id[8];
    const char *text = "<R xmlns=\"x\"><UploadId>1234567</UploadId></R>";
    cr_assert_eq(aq_s3_xml_text(aq_slice_of(text), "R/UploadId", id, sizeof id, NULL), AQ_OK);
    cr_assert_str_eq(id, "1234567");
    cr_assert_eq(aq_s3_xml_text(aq_slice_of(text), "R/UploadId", id, 7, NULL), AQ_CORRUPT);
    cr_assert_eq(aq_s3_xml_text(aq_slice_of(text), "R/Other", id, 8, NULL), AQ_CORRUPT);
    cr_assert_eq(aq_s3_xml_text(aq_slice_of("<R><U/></R>"), "R/U", id, 8, NULL), AQ_CORRUPT);
}

Test(s3_xml, content_ranges)
{
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes 0-9",
                                      "bytes 5-4/9",
                                      "bytes 0-9/9",
                                      "bytes -1-4/9",
                                      "bytes 0-9/*",
                                      "items 0-9/10",
                                      "bytes 0-9/1x",
                                      "bytes */",
                                      "bytes 0 - 9/10",
                                      "bytes a-b/c",
                                      "bytes 0-99999999999999999999/99999999999999999999"};
    struct aq_s3_content_range range;
    cr_assert(aq_s3_content_range_read("bytes 5-9/10", &range));
    cr_assert(range.first == 5 && range.last == 9 && range.total == 10);
    cr_assert(aq_s3_content_range_read("bytes */10", &range));
    cr_assert(range.first > range.last && range.total == 10);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(aq_s3_content_range_read(bad[i], &range), "%s", bad[i]);
}
