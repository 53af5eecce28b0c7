/* The bucket of a store: where its address stands, and the note of it in the home.
 *
 * Happy path: the address is found on the command line, in the config or in HOME/bucket; the driver is opened
 * with it and with the keys of the config, or those that AWS tools would find.
 * Failures: a note that does not say where the bucket is -> AQ_CORRUPT, with what it should say. */
#include "tools/bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/object/s3.h"

#define NOTE_NAME "bucket"
#define NOTE_BYTES_MAX 4096
#define SCHEME "s3://"

/* Where a bucket is. Texts of its own, as the note they may come from is gone soon. */
struct address {
    char to[1024]; /* empty: not known */
    char endpoint[512];
    char region[64];
    char driver[16];
};

struct field {
    const char *name;
    size_t offset;
    size_t size;
};
#define FIELD(member)                                                                    \
    {                                                                                    \
#member, offsetof(struct address, member), sizeof(((struct address *)0)->member) \
    }
static const struct field fields[] = {FIELD(to), FIELD(endpoint), FIELD(region), FIELD(driver)};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static bool is_address(const char *text)
{
    return text != NULL && strncmp(text, SCHEME, strlen(SCHEME)) == 0;
}

static const char *named_on_command_line(const struct aq_program *program)
{
    return is_address(program->options.from)    ? program->options.from
           : is_address(program->options.store) ? program->options.store
                                                : NULL;
}

/* The config that counts: one that was asked for, or that names the home. */
static enum aq_status find_config(struct aq_program *program, const struct aq_config **config,
                                  struct aq_error *err)
{
    *config = NULL;
    if (program->options.store != NULL && program->options.config == NULL &&
        getenv("AQSTORE_CONFIG") == NULL)
        return AQ_OK;
    return aq_program_config(program, config, err);
}

static void copy_text(const char *from, char *to, size_t size)
{
    snprintf(to, size, "%s", from != NULL ? from : "");
}

static const char *environment(const char *first, const char *second, const char *otherwise)
{
    const char *value = getenv(first);
    if (value == NULL || value[0] == '\0')
        value = getenv(second);
    return value == NULL || value[0] == '\0' ? otherwise : value;
}

static void from_environment(struct address *address)
{
    copy_text(environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", ""), address->endpoint,
              sizeof address->endpoint);
    copy_text(environment("AWS_REGION", "AWS_DEFAULT_REGION", "us-east-1"), address->region,
              sizeof address->region);
    copy_text("curl", address->driver, sizeof address->driver);
}

static void from_config(const struct aq_tier_config *tier, struct address *address)
{
    copy_text(tier->to, address->to, sizeof address->to);
    copy_text(tier->endpoint, address->endpoint, sizeof address->endpoint);
    copy_text(tier->region, address->region, sizeof address->region);
    copy_text(tier->driver, address->driver, sizeof address->driver);
}

/* ---- the note ---- */

static char *text_of(struct address *address, const struct field *field)
{
    return (char *)address + field->offset;
}

/* "key: value"; keys that are not known are a later version's. */
static void parse_line(const char *line, size_t size, struct address *address)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        size_t name_size = strlen(fields[i].name);
        if (size < name_size + 2 || memcmp(line, fields[i].name, name_size) != 0 ||
            memcmp(line + name_size, ": ", 2) != 0)
            continue;
        size_t value_size = size - name_size - 2;
        if (value_size >= fields[i].size)
            continue;
        memcpy(text_of(address, &fields[i]), line + name_size + 2, value_size);
        text_of(address, &fields[i])[value_size] = '\0';
    }
}

static enum aq_status parse_note(struct aq_slice note, const char *path, struct address *address,
                                 struct aq_error *err)
{
    const char *at = (const char *)note.data;
    size_t left = note.size;
    copy_text("us-east-1", address->region, sizeof address->region);
    copy_text("curl", address->driver, sizeof address->driver);
    while (left > 0) {
        const char *end = memchr(at, '\n', left);
        size_t size = end == NULL ? left : (size_t)(end - at);
        parse_line(at, size, address);
        size_t step = end == NULL ? size : size + 1;
        at += step;
        left -= step;
    }
    if (is_address(address->to))
        return AQ_OK;
    return aq_error_set_at(err, AQ_CORRUPT, path, 0,
                           "does not say where the bucket is; give --config FILE, or write \"to: "
                           "s3://BUCKET/PREFIX\" and \"endpoint: URL\" into it");
}

static enum aq_status from_note(const char *home, struct address *address, struct aq_error *err)
{
    struct aq_object_store *objects = NULL;
    struct aq_bytes note = {0};
    enum aq_status status = aq_object_open_dir(home, false, &objects, err);
    if (status == AQ_NOT_FOUND)
        return AQ_OK;
    AQ_TRY(status);
    status = aq_object_get(objects, NOTE_NAME, NOTE_BYTES_MAX, &note, err);
    if (status == AQ_OK)
        status =
            parse_note(aq_bytes_view(&note), aq_object_path(objects, NOTE_NAME).text, address, err);
    aq_bytes_deinit(&note);
    aq_object_close(objects);
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static enum aq_status find_address(struct aq_program *program, struct address *address,
                                   struct aq_error *err)
{
    const struct aq_config *config = NULL;
    const char *named = named_on_command_line(program);
    const char *home = NULL;
    *address = (struct address){0};
    AQ_TRY(find_config(program, &config, err));
    from_environment(address);
    if (config != NULL && config->tier != NULL)
        from_config(&config->tier_config, address);
    if (named != NULL) {
        copy_text(named, address->to, sizeof address->to);
        return AQ_OK;
    }
    if (address->to[0] != '\0')
        return AQ_OK;
    AQ_TRY(aq_program_home(program, &home, err));
    return from_note(home, address, err);
}

/* ---- opening ---- */

struct aq_tier_config aq_program_tier_config(const struct aq_program *program)
{
    struct aq_tier_config defaults = {.storage_class = "STANDARD",
                                      .after_us = 30 * AQ_US_PER_DAY,
                                      .keep_home_us = 30 * AQ_US_PER_DAY,
                                      .protect_us = 60 * 60 * AQ_US_PER_SECOND,
                                      .cache_bytes = UINT64_C(10) << 30};
    bool has_tier = program->config != NULL && program->config->tier != NULL;
    return has_tier ? program->config->tier_config : defaults;
}

int64_t aq_program_history_us(const struct aq_program *program)
{
    return program->config != NULL ? program->config->history_us : AQ_US_PER_DAY;
}

enum aq_status aq_program_bucket(struct aq_program *program, struct aq_object_store **bucket,
                                 struct aq_error *err)
{
    struct address address;
    *bucket = program->bucket;
    if (program->bucket != NULL)
        return AQ_OK;
    AQ_TRY(find_address(program, &address, err));
    if (address.to[0] == '\0')
        return AQ_OK;
    struct aq_tier_config tier = aq_program_tier_config(program);
    struct aq_s3_options options = {.url = address.to,
                                    .endpoint = address.endpoint,
                                    .region = address.region,
                                    .storage_class = tier.storage_class,
                                    .access_key = tier.access_key,
                                    .secret_key = tier.secret_key,
                                    .session_token = tier.session_token,
                                    .driver = strcmp(address.driver, "libs3") == 0 ? AQ_S3_LIBS3
                                                                                   : AQ_S3_CURL};
    AQ_TRY(aq_object_open_s3(&options, &program->bucket, err));
    *bucket = program->bucket;
    return AQ_OK;
}

enum aq_status aq_program_need_bucket(struct aq_program *program, struct aq_object_store **bucket,
                                      struct aq_error *err)
{
    AQ_TRY(aq_program_bucket(program, bucket, err));
    if (*bucket != NULL)
        return AQ_OK;
    return aq_error_set(err, AQ_INVALID,
                        "no bucket is known: give the config a section `tier: {to: "
                        "\"s3://BUCKET/PREFIX\"}`, and --config FILE");
}

/* No line of it may be taken for two. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ')
            return false;
    }
    return true;
}

enum aq_status aq_program_bucket_note(struct aq_program *program, struct aq_bytes *note,
                                      struct aq_error *err)
{
    struct address address;
    AQ_TRY(find_address(program, &address, err));
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *text = text_of(&address, &fields[i]);
        if (!is_printable(text))
            return aq_error_set(err, AQ_INVALID,
                                "the bucket's \"%s\" has characters that no "
                                "address has",
                                fields[i].name);
        aq_bytes_chars(note, fields[i].name);
        aq_bytes_chars(note, ": ");
        aq_bytes_chars(note, text);
        aq_bytes_chars(note, "\n");
    }
    if (aq_bytes_status(note) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a note");
    return AQ_OK;
}

enum aq_status aq_program_keep_bucket_note(struct aq_program *program, const char *home,
                                           struct aq_error *err)
{
    struct aq_object_store *objects = NULL;
    struct aq_bytes note = {0};
    struct aq_bytes present = {0};
    AQ_TRY(aq_object_open_dir(home, false, &objects, err));
    enum aq_status status = aq_program_bucket_note(program, &note, err);
    if (status == AQ_OK)
        status = aq_object_get(objects, NOTE_NAME, NOTE_BYTES_MAX, &present, err);
    bool same = status == AQ_OK && aq_slice_equal(aq_bytes_view(&note), aq_bytes_view(&present));
    if (status == AQ_NOT_FOUND || status == AQ_LIMIT || (status == AQ_OK && !same))
        status = aq_object_put(objects, NOTE_NAME, aq_bytes_view(&note), err);
    aq_bytes_deinit(&note);
    aq_bytes_deinit(&present);
    aq_object_close(objects);
    return status;
}
