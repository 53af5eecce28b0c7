/* Incarnations of a store in its bucket.
 *
 * Happy path: the hint says which was the newest when it was written; from there upwards until one is
 * absent. To register one is to create its object if it is absent, then the hint.
 * Failures: the hint is gone or damaged -> the folder is listed, once; an object that is not what its name
 * says -> AQ_CORRUPT. A hint that could not be written only costs the next reader a step. */
#include "engine/store/remote/remote.h"

#include "format/base/checksum.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FOLDER "incarnations/"
#define LATEST_NAME FOLDER "latest"
#define NAME_BYTES 64
#define LINE_PREFIX "aqstore incarnation "
#define LINE_BYTES_MAX 256
#define NUMBER_DIGITS 20
#define STORE_AT (sizeof LINE_PREFIX - 1 + NUMBER_DIGITS + 1)
#define NONCE_AT (STORE_AT + 2 * 16 + 1)

/* What an incarnation's object says. */
struct incarnation {
    uint64_t number;
    struct aq_store_id store_id;
    uint8_t nonce[16];
};

static void object_name(uint64_t number, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, FOLDER "%020" PRIu64, number);
}

static size_t put_hex(const uint8_t bytes[16], char *out)
{
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 2 * 16;
}

static void get_hex(const char *text, uint8_t bytes[16])
{
    for (size_t i = 0; i < 16; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

static void format_line(const struct incarnation *incarnation, char out[LINE_BYTES_MAX])
{
    size_t size =
        (size_t)snprintf(out, LINE_BYTES_MAX, LINE_PREFIX "%020" PRIu64 " ", incarnation->number);
    size += put_hex(incarnation->store_id.bytes, out + size);
    out[size++] = ' ';
    size += put_hex(incarnation->nonce, out + size);
    snprintf(out + size, LINE_BYTES_MAX - size, " %016" PRIx64 "\n", aq_checksum(out, size));
}

static bool parse_line(struct aq_slice bytes, struct incarnation *incarnation)
{
    char text[LINE_BYTES_MAX] = {0};
    char again[LINE_BYTES_MAX];
    if (bytes.size >= sizeof text)
        return false;
    memcpy(text, bytes.data, bytes.size);
    incarnation->number = strtoull(text + strlen(LINE_PREFIX), NULL, 10);
    get_hex(text + STORE_AT, incarnation->store_id.bytes);
    get_hex(text + NONCE_AT, incarnation->nonce);
    /* Whatever was read: it is right when it writes the same line. */
    format_line(incarnation, again);
    return incarnation->number > 0 && aq_slice_equal(bytes, aq_slice_of(again));
}

/* AQ_NOT_FOUND when it is not there, AQ_CORRUPT when it is not what was written. */
static enum aq_status read_object(struct aq_object_store *bucket, const char *name,
                                  struct incarnation *incarnation, struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    *incarnation = (struct incarnation){0};
    enum aq_status status = aq_object_get(bucket, name, LINE_BYTES_MAX, &bytes, err);
    if (status == AQ_LIMIT || (status == AQ_OK && !parse_line(aq_bytes_view(&bytes), incarnation)))
        status = aq_error_set_at(err, AQ_CORRUPT, aq_object_path(bucket, name).text, 0,
                                 "is damaged; restore the object from a copy");
    aq_bytes_deinit(&bytes);
    return status;
}

static enum aq_status read_incarnation(struct aq_object_store *bucket, uint64_t number,
                                       struct incarnation *incarnation, struct aq_error *err)
{
    char name[NAME_BYTES];
    object_name(number, name);
    AQ_TRY(read_object(bucket, name, incarnation, err));
    if (incarnation->number == number)
        return AQ_OK;
    return aq_error_set_at(err, AQ_CORRUPT, aq_object_path(bucket, name).text, 0,
                           "holds incarnation %" PRIu64 ", not the one it is named after",
                           incarnation->number);
}

static enum aq_status visit_object(void *context, const char *name, uint64_t size_bytes)
{
    (void)size_bytes;
    uint64_t *newest = context;
    const char *digits = name + strlen(FOLDER);
    if (strlen(digits) == NUMBER_DIGITS && strspn(digits, "0123456789") == NUMBER_DIGITS) {
        uint64_t number = strtoull(digits, NULL, 10);
        if (number > *newest && number < UINT64_MAX)
            *newest = number;
    }
    return AQ_OK;
}

static enum aq_status list_newest(struct aq_object_store *bucket, struct incarnation *newest,
                                  struct aq_error *err)
{
    uint64_t number = 0;
    *newest = (struct incarnation){0};
    enum aq_status status = aq_object_list(bucket, FOLDER, visit_object, &number, err);
    if (status == AQ_NOT_FOUND || (status == AQ_OK && number == 0))
        return AQ_OK;
    AQ_TRY(status);
    return read_incarnation(bucket, number, newest, err);
}

enum aq_status aq_remote_incarnation(struct aq_object_store *bucket, uint64_t *incarnation,
                                     struct aq_store_id *store_id, struct aq_error *err)
{
    struct incarnation newest;
    enum aq_status status = read_object(bucket, LATEST_NAME, &newest, err);
    if (status == AQ_NOT_FOUND || status == AQ_CORRUPT)
        status = list_newest(bucket, &newest, err);
    AQ_TRY(status);
    while (newest.number > 0) {
        struct incarnation next;
        status = read_incarnation(bucket, newest.number + 1, &next, err);
        if (status == AQ_NOT_FOUND)
            break;
        AQ_TRY(status);
        newest = next;
    }
    *incarnation = newest.number;
    *store_id = newest.store_id;
    return AQ_OK;
}

static void leave_hint(struct aq_object_store *bucket, const char *line)
{
    struct aq_error ignored = {0};
    if (aq_object_put(bucket, LATEST_NAME, aq_slice_of(line), &ignored) < 0)
        return; /* readers then look one further, or list */
}

enum aq_status aq_remote_register(struct aq_object_store *bucket, uint64_t incarnation,
                                  const struct aq_store_id *store_id, struct aq_error *err)
{
    char name[NAME_BYTES];
    char line[LINE_BYTES_MAX];
    struct incarnation mine = {.number = incarnation, .store_id = *store_id};
    /* So that of two that register the same one, each can tell whose the object is. */
    if (getrandom(mine.nonce, sizeof mine.nonce, 0) != (ssize_t)sizeof mine.nonce)
        return aq_error_set_errno(err, errno, "", "no random bytes");
    object_name(incarnation, name);
    format_line(&mine, line);
    AQ_TRY(aq_object_put_if_absent(bucket, name, aq_slice_of(line), err));
    leave_hint(bucket, line);
    return AQ_OK;
}

void aq_remote_mirror_name(uint64_t incarnation, char *out, size_t out_size)
{
    snprintf(out, out_size, "mirror/%020" PRIu64 "/", incarnation);
}

enum aq_status aq_remote_mirror(struct aq_object_store *bucket, uint64_t incarnation,
                                struct aq_object_store **mirror, struct aq_error *err)
{
    char name[AQ_REMOTE_MIRROR_NAME_BYTES];
    aq_remote_mirror_name(incarnation, name, sizeof name);
    return aq_object_open_prefix(bucket, name, mirror, err);
}
