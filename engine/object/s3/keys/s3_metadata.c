/* Keys of the machine that this runs on: EC2's instance metadata, version 2.
 *
 * A session token is fetched by PUT, then the role's name, then its keys. Version 1, which any process that
 * can be made to fetch a URL can read, is not asked: a service that gives no token is AQ_IO. Every request
 * is tried twice and has two seconds; answers are bounded and no proxy is used. */
#include "engine/object/s3/keys/s3_credentials.h"

#include "engine/base/civil/civil_time.h"
#include "engine/base/text/json_text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX 16384
#define REQUEST_MS_MAX 2000L
#define CONNECT_MS_MAX 1000L
#define TRIES 2
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

struct answer {
    char text[ANSWER_BYTES_MAX + 1];
    size_t size;
};

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    struct answer *answer = context;
    if (one * size > ANSWER_BYTES_MAX - answer->size)
        return 0;
    memcpy(answer->text + answer->size, data, one * size);
    answer->size += one * size;
    return one * size;
}

static enum aq_status ask(CURL *easy, const char *endpoint, const char *path, const char *method,
                          const char *header, struct answer *answer, struct aq_error *err)
{
    char url[512];
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    snprintf(url, sizeof url, "%.200s%.300s", endpoint, path);
    curl_easy_reset(easy);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, REQUEST_MS_MAX);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS_MAX);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    for (int i = 0; headers != NULL && i < TRIES && (code != CURLE_OK || status >= 500); i++) {
        answer->size = 0;
        code = curl_easy_perform(easy);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_slist_free_all(headers);
    answer->text[answer->size] = '\0';
    if (code == CURLE_OK && status == 200)
        return AQ_OK;
    return aq_error_set(
        err, AQ_IO,
        "no S3 keys: neither config, environment nor a credentials file has any, and "
        "the instance's metadata service does not give them (%s %s: %ld %s); set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        method, path, status, code == CURLE_OK ? "it refuses" : why);
}

/* A header or path made of an answer: one line of printable characters. */
static enum aq_status one_line(struct answer *answer, const char *what, struct aq_error *err)
{
    size_t size = strcspn(answer->text, "\r\n");
    bool fits = size > 0 && size < 300;
    for (size_t i = 0; i < size; i++)
        fits = fits && answer->text[i] > ' ' && answer->text[i] <= '~';
    if (!fits)
        return aq_error_set(err, AQ_IO, "the instance's metadata service gives no usable %s", what);
    answer->text[size] = '\0';
    return AQ_OK;
}

static enum aq_status fetch(CURL *easy, const char *endpoint, struct answer *answer,
                            struct aq_s3_credentials *credentials, struct aq_error *err)
{
    char header[400];
    char path[400];
    AQ_TRY(ask(easy, endpoint, "/latest/api/token", "PUT",
               "X-aws-ec2-metadata-token-ttl-seconds: 21600", answer, err));
    AQ_TRY(one_line(answer, "token", err));
    snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %.300s", answer->text);
    AQ_TRY(ask(easy, endpoint, ROLE_PATH, "GET", header, answer, err));
    AQ_TRY(one_line(answer, "role: attach one to the instance", err));
    snprintf(path, sizeof path, ROLE_PATH "%.300s", answer->text);
    AQ_TRY(ask(easy, endpoint, path, "GET", header, answer, err));
    return aq_s3_metadata_read(aq_slice_make(answer->text, answer->size), credentials, err);
}

enum aq_status aq_s3_metadata_fetch(const char *endpoint, struct aq_s3_credentials *credentials,
                                    struct aq_error *err)
{
    struct answer answer = {.size = 0};
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = fetch(easy, endpoint, &answer, credentials, err);
    curl_easy_cleanup(easy);
    explicit_bzero(&answer, sizeof answer);
    return status;
}

/* Their JSON. */

static bool read_text(struct aq_json_cursor *cursor, char *out, size_t out_size)
{
    struct aq_slice inside;
    bool escaped;
    if (aq_json_peek(cursor) != '"' || !aq_json_string(cursor, &inside, &escaped) ||
        inside.size >= out_size)
        return false;
    out[aq_json_unescape(inside, (uint8_t *)out)] = '\0';
    return true;
}

static bool read_member(struct aq_json_cursor *cursor, struct aq_s3_credentials *out,
                        char expiration[64])
{
    char name[64];
    struct aq_slice other;
    if (!read_text(cursor, name, sizeof name) || aq_json_peek(cursor) != ':')
        return false;
    cursor->token++;
    if (strcmp(name, "AccessKeyId") == 0)
        return read_text(cursor, out->access_key, sizeof out->access_key);
    if (strcmp(name, "SecretAccessKey") == 0)
        return read_text(cursor, out->secret_key, sizeof out->secret_key);
    if (strcmp(name, "Token") == 0)
        return read_text(cursor, out->session_token, sizeof out->session_token);
    if (strcmp(name, "Expiration") == 0)
        return read_text(cursor, expiration, 64);
    return aq_json_value(cursor, 1, &other);
}

static bool read_object(struct aq_json_cursor *cursor, struct aq_s3_credentials *out,
                        char expiration[64])
{
    if (aq_json_peek(cursor) != '{')
        return false;
    do {
        cursor->token++;
        if (!read_member(cursor, out, expiration))
            return false;
    } while (aq_json_peek(cursor) == ',');
    return aq_json_peek(cursor) == '}' && cursor->token + 1 == cursor->token_count;
}

enum aq_status aq_s3_metadata_read(struct aq_slice text, struct aq_s3_credentials *credentials,
                                   struct aq_error *err)
{
    struct aq_json_cursor cursor = {.text = text.data, .size = text.size};
    struct aq_json_index *index = aq_json_index_create();
    char expiration[64] = "";
    const char *reason;
    if (index == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status =
        aq_json_index_build(index, text, &cursor.offsets, &cursor.token_count, &reason);
    bool good =
        status == AQ_OK && read_object(&cursor, credentials, expiration) &&
        credentials->access_key[0] != '\0' && credentials->secret_key[0] != '\0' &&
        aq_time_parse(aq_slice_of(expiration), aq_zone_utc(), &credentials->expires_us) == AQ_OK;
    aq_json_index_destroy(index);
    if (!good)
        return aq_error_set(err, AQ_CORRUPT,
                            "the instance's metadata service gives keys that cannot be read");
    return AQ_OK;
}
