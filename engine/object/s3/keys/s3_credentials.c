/* Where keys come from, in this order: the options; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
 * AWS_SESSION_TOKEN; the shared credentials file; the instance's metadata.
 *
 * The first source that is there counts: half of it (a key without its secret, a profile that was asked for
 * and is not in the file) is an error, not a reason to try the next. Metadata that cannot be had while the
 * old keys are still good are asked for again later. Messages name sources, never what they hold. */
#include "engine/object/s3/keys/s3_credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/io/io.h"
#include "engine/base/clock.h"

#define FILE_BYTES_MAX (1u << 20)
#define RENEW_BEFORE_US (300 * INT64_C(1000000))
#define METADATA_ENDPOINT "http://169.254.169.254"

enum source { SOURCE_FIXED, SOURCE_FILE, SOURCE_METADATA };

struct aq_s3_keyring {
    pthread_mutex_t lock;
    enum source source;
    char *path; /* of the shared file */
    char *profile;
    char *endpoint; /* of the metadata service */
    bool stale;     /* to be read again */
    struct aq_s3_credentials credentials;
};

/* Blanks around a value would be signed. */
static bool usable(const char *text, size_t size_max, bool may_be_empty)
{
    size_t size = text == NULL ? 0 : strlen(text);
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return size < size_max && (may_be_empty || size > 0);
}

static enum aq_status take(struct aq_s3_credentials *out, const char *access_key,
                           const char *secret_key, const char *session_token, const char *source,
                           struct aq_error *err)
{
    if (!usable(access_key, sizeof out->access_key, false) ||
        !usable(secret_key, sizeof out->secret_key, false) ||
        !usable(session_token, sizeof out->session_token, true))
        return aq_error_set(
            err, AQ_INVALID,
            "S3 keys of %s: access key and secret key are wanted, both without blanks", source);
    snprintf(out->access_key, sizeof out->access_key, "%s", access_key);
    snprintf(out->secret_key, sizeof out->secret_key, "%s", secret_key);
    snprintf(out->session_token, sizeof out->session_token, "%s",
             session_token == NULL ? "" : session_token);
    out->expires_us = 0;
    return AQ_OK;
}

static bool present(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static enum aq_status read_file(const char *path, struct aq_bytes *out, struct aq_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open the credentials file");
    off_t size = lseek(fd, 0, SEEK_END);
    enum aq_status status = AQ_OK;
    uint8_t *at = NULL;
    if (size < 0 || size > FILE_BYTES_MAX)
        status = aq_error_set_at(err, AQ_INVALID, path, -1, "is no credentials file");
    else if ((at = aq_bytes_reserve(out, (size_t)size + 1)) == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    else
        status = aq_io_pread_exact(fd, path, 0, at, (size_t)size, err);
    if (status == AQ_OK)
        out->size += (size_t)size;
    close(fd);
    return status;
}

static enum aq_status read_profile(const struct aq_s3_keyring *keyring,
                                   struct aq_s3_credentials *credentials, struct aq_error *err)
{
    struct aq_bytes text = {0};
    enum aq_status status = read_file(keyring->path, &text, err);
    if (status == AQ_OK) {
        status = aq_s3_profile_read(aq_bytes_view(&text), keyring->profile, credentials, err);
        aq_error_locate(err, status, keyring->path, 0);
    }
    if (text.data != NULL)
        explicit_bzero(text.data, text.capacity);
    aq_bytes_deinit(&text);
    return status;
}

/* AQ_NOT_FOUND: there is no such file or profile, and nobody asked for it by name. */
static enum aq_status use_file(struct aq_s3_keyring *keyring, struct aq_error *err)
{
    const char *path = getenv("AWS_SHARED_CREDENTIALS_FILE");
    const char *profile = getenv("AWS_PROFILE");
    const char *home = getenv("HOME");
    bool asked = present(path) || present(profile);
    if (present(path))
        keyring->path = strdup(path);
    else if (!present(home) || asprintf(&keyring->path, "%s/.aws/credentials", home) < 0)
        keyring->path = NULL;
    if (keyring->path == NULL)
        return AQ_NOT_FOUND;
    keyring->profile = strdup(present(profile) ? profile : "default");
    if (keyring->profile == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    keyring->source = SOURCE_FILE;
    enum aq_status status = read_profile(keyring, &keyring->credentials, err);
    return status == AQ_NOT_FOUND && asked ? AQ_INVALID : status;
}

static enum aq_status use_metadata(struct aq_s3_keyring *keyring, struct aq_error *err)
{
    const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
    const char *endpoint = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (disabled != NULL && strcasecmp(disabled, "true") == 0)
        return aq_error_set(err, AQ_INVALID,
                            "no S3 keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
                            "them to ~/.aws/credentials");
    keyring->source = SOURCE_METADATA;
    keyring->stale = true;
    keyring->endpoint = strdup(present(endpoint) ? endpoint : METADATA_ENDPOINT);
    if (keyring->endpoint == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    return AQ_OK;
}

static enum aq_status find_source(const struct aq_s3_options *options,
                                  struct aq_s3_keyring *keyring, struct aq_error *err)
{
    struct aq_s3_credentials *credentials = &keyring->credentials;
    if (present(options->access_key) || present(options->secret_key))
        return take(credentials, options->access_key, options->secret_key, options->session_token,
                    "the config", err);
    const char *access_key = getenv("AWS_ACCESS_KEY_ID");
    const char *secret_key = getenv("AWS_SECRET_ACCESS_KEY");
    if (present(access_key) || present(secret_key))
        return take(credentials, access_key, secret_key, getenv("AWS_SESSION_TOKEN"),
                    "the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)", err);
    enum aq_status status = use_file(keyring, err);
    return status == AQ_NOT_FOUND ? use_metadata(keyring, err) : status;
}

enum aq_status aq_s3_keyring_create(const struct aq_s3_options *options,
                                    struct aq_s3_keyring **keyring, struct aq_error *err)
{
    struct aq_s3_keyring *made = calloc(1, sizeof *made);
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    pthread_mutex_init(&made->lock, NULL);
    enum aq_status status = find_source(options, made, err);
    if (status == AQ_OK)
        *keyring = made;
    else
        aq_s3_keyring_destroy(made);
    return status;
}

void aq_s3_keyring_destroy(struct aq_s3_keyring *keyring)
{
    if (keyring == NULL)
        return;
    pthread_mutex_destroy(&keyring->lock);
    free(keyring->path);
    free(keyring->profile);
    free(keyring->endpoint);
    explicit_bzero(keyring, sizeof *keyring);
    free(keyring);
}

static enum aq_status refresh(struct aq_s3_keyring *keyring, struct aq_error *err)
{
    struct aq_s3_credentials *present_ones = &keyring->credentials;
    bool due = present_ones->expires_us != 0 &&
               aq_clock_wall_us() > present_ones->expires_us - RENEW_BEFORE_US;
    if (keyring->source == SOURCE_FIXED || (!keyring->stale && !due))
        return AQ_OK;
    struct aq_s3_credentials fresh = {0};
    enum aq_status status = keyring->source == SOURCE_FILE
                                ? read_profile(keyring, &fresh, err)
                                : aq_s3_metadata_fetch(keyring->endpoint, &fresh, err);
    if (status == AQ_OK) {
        *present_ones = fresh;
        keyring->stale = false;
    } else if (!keyring->stale && aq_clock_wall_us() < present_ones->expires_us) {
        status = AQ_OK;
    }
    explicit_bzero(&fresh, sizeof fresh);
    return status;
}

enum aq_status aq_s3_keyring_get(struct aq_s3_keyring *keyring,
                                 struct aq_s3_credentials *credentials, struct aq_error *err)
{
    pthread_mutex_lock(&keyring->lock);
    enum aq_status status = refresh(keyring, err);
    if (status == AQ_OK)
        *credentials = keyring->credentials;
    pthread_mutex_unlock(&keyring->lock);
    return status;
}

void aq_s3_keyring_renew(struct aq_s3_keyring *keyring)
{
    pthread_mutex_lock(&keyring->lock);
    keyring->stale = keyring->source != SOURCE_FIXED;
    pthread_mutex_unlock(&keyring->lock);
}
