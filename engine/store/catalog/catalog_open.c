/* Opening the catalog: hint -> checkpoint -> edits until one is absent. No listing.
 *
 * Happy path: "catalog/latest" names a head and a checkpoint; the checkpoint is applied to nothing, each
 * following edit to what came before, its number and the checksum of its predecessor checked. In the end
 * the checkpoint is still there: so no edit behind it was collected, and the absent one is the end.
 * Failures: the hint missing or damaged, or its checkpoint gone -> the directory is listed, once, for
 * the newest checkpoint and the newest edit. Its checkpoint gone in the end -> all is read anew. A damaged
 * checkpoint or edit, a broken chain, or an end before the newest edit known of -> AQ_CORRUPT, with the
 * object's name: nothing is guessed. */
#include "engine/store/catalog/catalog_log.h"

#include "engine/store/store.h"
#include "format/base/checksum.h"
#include "format/base/mutant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATEST_BYTES_MAX 256
#define LATEST_PREFIX "aqstore catalog "
#define EDIT_PREFIX "catalog/"
#define CHECKPOINT_PREFIX "catalog/checkpoint-"
#define NUMBER_DIGITS 20
#define OPEN_TRIES 5

void aq_catalog_edit_name(uint64_t number, char *out, size_t out_size)
{
    snprintf(out, out_size, EDIT_PREFIX "%020" PRIu64, number);
}

void aq_catalog_checkpoint_name(uint64_t number, char *out, size_t out_size)
{
    snprintf(out, out_size, CHECKPOINT_PREFIX "%020" PRIu64, number);
}

/* The hint: one line of text that ends with a checksum of what stands before. */
static void format_latest(uint64_t number, uint64_t checkpoint, char out[LATEST_BYTES_MAX])
{
    int length = snprintf(out, LATEST_BYTES_MAX, LATEST_PREFIX "%020" PRIu64 " %020" PRIu64, number,
                          checkpoint);
    snprintf(out + length, LATEST_BYTES_MAX - (size_t)length, " %016" PRIx64 "\n",
             aq_checksum(out, (size_t)length));
}

bool aq_catalog_parse_latest(struct aq_slice bytes, uint64_t *number, uint64_t *checkpoint)
{
    char text[LATEST_BYTES_MAX] = {0};
    char again[LATEST_BYTES_MAX];
    size_t at = strlen(LATEST_PREFIX);
    if (bytes.size >= sizeof text)
        return false;
    memcpy(text, bytes.data, bytes.size);
    *number = strtoull(text + at, NULL, 10);
    *checkpoint = strtoull(text + at + NUMBER_DIGITS, NULL, 10);
    /* Whatever was read: it is right when it writes the same line. */
    format_latest(*number, *checkpoint, again);
    return aq_mutant(29) || aq_slice_equal(bytes, aq_slice_of(again));
}

enum aq_status aq_catalog_put_latest(struct aq_object_store *objects, uint64_t number,
                                     uint64_t checkpoint, struct aq_error *err)
{
    char text[LATEST_BYTES_MAX];
    format_latest(number, checkpoint, text);
    return aq_object_put(objects, AQ_CATALOG_LATEST_NAME, aq_slice_of(text), err);
}

/* What is known of the catalog before it is read. */
struct hint {
    uint64_t number;     /* the head is at least this edit */
    uint64_t checkpoint; /* 0: begin with edit 1 */
};

bool aq_catalog_parse_name(const char *name, uint64_t *number, bool *checkpoint)
{
    *checkpoint = strncmp(name, CHECKPOINT_PREFIX, strlen(CHECKPOINT_PREFIX)) == 0;
    const char *prefix = *checkpoint ? CHECKPOINT_PREFIX : EDIT_PREFIX;
    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return false;
    const char *digits = name + strlen(prefix);
    if (strlen(digits) != NUMBER_DIGITS || strspn(digits, "0123456789") != NUMBER_DIGITS)
        return false;
    *number = strtoull(digits, NULL, 10);
    return *number > 0 && *number < UINT64_MAX;
}

static enum aq_status visit_object(void *context, const char *name, uint64_t size_bytes)
{
    (void)size_bytes;
    struct hint *hint = context;
    uint64_t number;
    bool checkpoint;
    if (!aq_catalog_parse_name(name, &number, &checkpoint))
        return AQ_OK;
    uint64_t *newest = checkpoint ? &hint->checkpoint : &hint->number;
    if (number > *newest)
        *newest = number;
    return AQ_OK;
}

static enum aq_status list_hint(struct aq_object_store *objects, struct hint *hint,
                                struct aq_error *err)
{
    *hint = (struct hint){0};
    enum aq_status status = aq_object_list(objects, EDIT_PREFIX, visit_object, hint, err);
    if (status == AQ_NOT_FOUND)
        return AQ_OK;
    if (hint->number < hint->checkpoint)
        hint->number = hint->checkpoint;
    return status;
}

static enum aq_status read_hint(struct aq_object_store *objects, struct hint *hint,
                                struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    enum aq_status status =
        aq_object_get(objects, AQ_CATALOG_LATEST_NAME, LATEST_BYTES_MAX, &bytes, err);
    bool usable = status == AQ_OK &&
                  aq_catalog_parse_latest(aq_bytes_view(&bytes), &hint->number, &hint->checkpoint);
    aq_bytes_deinit(&bytes);
    if (usable)
        return AQ_OK;
    if (status == AQ_OK || status == AQ_NOT_FOUND || status == AQ_LIMIT)
        return list_hint(objects, hint, err);
    return status;
}

/* Decode the edit or checkpoint in `bytes` and apply it. */
static enum aq_status apply_bytes(struct aq_catalog_state *state, struct aq_slice bytes,
                                  bool checkpoint, uint64_t number, struct aq_error *err)
{
    struct aq_arena arena = {0};
    struct aq_edit_header header;
    struct aq_record *records = NULL;
    size_t record_count = 0;
    uint64_t checksum = 0;
    enum aq_status status =
        aq_edit_decode(bytes, &arena, &header, &records, &record_count, &checksum, err);
    if (status == AQ_OK && (header.checkpoint != checkpoint || header.number != number))
        status = aq_error_set_at(err, AQ_CORRUPT, "", 0, "is not what its name says");
    if (status == AQ_OK)
        status = aq_catalog_state_apply(state, &header, records, record_count, checksum, err);
    aq_arena_deinit(&arena);
    return status;
}

static enum aq_status apply_object(struct aq_object_store *objects, struct aq_catalog_state *state,
                                   const char *name, bool checkpoint, uint64_t number,
                                   struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    enum aq_status status = aq_object_get(objects, name, AQ_EDIT_BYTES_MAX, &bytes, err);
    if (status == AQ_OK) {
        status = apply_bytes(state, aq_bytes_view(&bytes), checkpoint, number, err);
        if (status == AQ_CORRUPT && err != NULL && err->offset < 0)
            err->offset = 0;
        aq_error_locate(err, status, aq_object_path(objects, name).text, 0);
    }
    aq_bytes_deinit(&bytes);
    return status;
}

/* Without the newest edit the store is as it was before: that can be lived with, and how is written down. */
static void tell_newest(struct aq_object_store *objects, uint64_t number, struct aq_error *err)
{
    static const char way[] =
        "; it is the newest edit: docs/recovery.md, \"A damaged or lost newest "
        "edit\", says how to go on";
    char name[AQ_CATALOG_NAME_BYTES];
    uint64_t size_bytes;
    aq_catalog_edit_name(number + 1, name, sizeof name);
    if (err == NULL || aq_object_head(objects, name, &size_bytes, NULL) != AQ_NOT_FOUND)
        return;
    size_t length = strlen(err->message);
    snprintf(err->message + length, sizeof err->message - length, "%s", way);
}

/* AQ_NOT_FOUND: it is absent. */
static enum aq_status apply_next(struct aq_object_store *objects, struct aq_catalog_state *state,
                                 struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    uint64_t number = state->catalog->number + 1;
    aq_catalog_edit_name(number, name, sizeof name);
    enum aq_status status = apply_object(objects, state, name, false, number, err);
    if (status == AQ_CORRUPT)
        tell_newest(objects, number, err);
    return status;
}

enum aq_status aq_catalog_follow(struct aq_object_store *objects, struct aq_catalog_state *state,
                                 size_t *count, struct aq_error *err)
{
    for (*count = 0;; (*count)++) {
        enum aq_status status = apply_next(objects, state, err);
        if (status == AQ_NOT_FOUND)
            return AQ_OK;
        AQ_TRY(status);
    }
}

static enum aq_status apply_checkpoint(struct aq_object_store *objects,
                                       struct aq_catalog_state *state, struct hint *hint,
                                       struct aq_error *err)
{
    for (int attempt = 0; hint->checkpoint > 0; attempt++) {
        char name[AQ_CATALOG_NAME_BYTES];
        aq_catalog_checkpoint_name(hint->checkpoint, name, sizeof name);
        enum aq_status status = apply_object(objects, state, name, true, hint->checkpoint, err);
        if (status != AQ_NOT_FOUND || attempt > 0)
            return status;
        /* Superseded and collected since the hint was written: see what there is now. */
        struct hint listed;
        AQ_TRY(list_hint(objects, &listed, err));
        hint->checkpoint = listed.checkpoint;
        if (listed.number > hint->number)
            hint->number = listed.number;
    }
    return AQ_OK;
}

static enum aq_status read_all(struct aq_object_store *objects, struct aq_catalog_state *state,
                               struct hint *hint, struct aq_error *err)
{
    size_t count;
    AQ_TRY(apply_checkpoint(objects, state, hint, err));
    AQ_TRY(aq_catalog_follow(objects, state, &count, err));
    if (state->catalog->number >= hint->number)
        return AQ_OK;
    char name[AQ_CATALOG_NAME_BYTES];
    aq_catalog_edit_name(state->catalog->number + 1, name, sizeof name);
    aq_error_set_at(err, AQ_CORRUPT, aq_object_path(objects, name).text, -1,
                    "is missing although edit %" PRIu64
                    " was committed; restore the file from a copy",
                    hint->number);
    if (hint->number == state->catalog->number + 1)
        tell_newest(objects, hint->number, err);
    return AQ_CORRUPT;
}

static enum aq_status load(struct aq_object_store *objects, struct hint *hint,
                           const struct aq_catalog **catalog, struct aq_error *err)
{
    struct aq_catalog_state state;
    if (aq_catalog_state_begin(&state, NULL) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading the catalog");
    enum aq_status status = read_all(objects, &state, hint, err);
    if (status == AQ_OK)
        *catalog = aq_catalog_state_finish(&state);
    else
        aq_catalog_state_abandon(&state);
    return status;
}

enum aq_status aq_catalog_load(struct aq_object_store *objects, const struct aq_catalog **catalog,
                               uint64_t *checkpoint, struct aq_error *err)
{
    struct hint hint = {0};
    AQ_TRY(read_hint(objects, &hint, err));
    AQ_TRY(load(objects, &hint, catalog, err));
    *checkpoint = hint.checkpoint;
    return AQ_OK;
}

enum aq_status aq_catalog_is_current(struct aq_object_store *objects, uint64_t checkpoint,
                                     struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    uint64_t size_bytes;
    if (checkpoint > 0)
        aq_catalog_checkpoint_name(checkpoint, name, sizeof name);
    else /* the first edit to go when there is a checkpoint to begin with */
        aq_catalog_edit_name(1, name, sizeof name);
    return aq_object_head(objects, name, &size_bytes, err);
}

enum aq_status aq_catalog_newest_checkpoint(struct aq_object_store *objects, uint64_t *number,
                                            struct aq_error *err)
{
    struct hint listed;
    AQ_TRY(list_hint(objects, &listed, err));
    *number = listed.checkpoint;
    return AQ_OK;
}

/* Whether the attempt met a collection: then it is repeated, whatever came of it. */
static enum aq_status was_collected(struct aq_object_store *objects, const struct hint *hint,
                                    bool *collected, struct aq_error *err)
{
    *collected = false;
    if (hint->number == 0)
        return AQ_OK; /* no store yet */
    enum aq_status status = aq_catalog_is_current(objects, hint->checkpoint, err);
    *collected = status == AQ_NOT_FOUND;
    return *collected ? AQ_OK : status;
}

static enum aq_status refuse_haste(struct aq_object_store *objects, struct aq_error *err)
{
    return aq_error_set_at(err, AQ_TEMPORARY, aq_object_path(objects, "catalog").text, -1,
                           "edits are collected faster than they can be read; try again");
}

enum aq_status aq_catalog_open(struct aq_object_store *objects, const struct aq_catalog **catalog,
                               uint64_t *checkpoint, struct aq_error *err)
{
    struct hint hint = {0};
    enum aq_status status = read_hint(objects, &hint, err);
    for (int tries = 0; status == AQ_OK; tries++) {
        bool collected = false;
        const struct aq_catalog *loaded = NULL;
        enum aq_status outcome = load(objects, &hint, &loaded, err);
        if (outcome == AQ_OK || outcome == AQ_CORRUPT || outcome == AQ_NOT_FOUND)
            status = was_collected(objects, &hint, &collected, outcome == AQ_OK ? err : NULL);
        if (status == AQ_OK && !collected) {
            *catalog = loaded;
            *checkpoint = hint.checkpoint;
            return outcome;
        }
        aq_catalog_release(loaded);
        if (status == AQ_OK && tries == OPEN_TRIES)
            return outcome < 0 ? outcome : refuse_haste(objects, err);
        if (status == AQ_OK)
            status = list_hint(objects, &hint, err);
    }
    return status;
}

static enum aq_status apply_until(struct aq_object_store *objects, struct aq_catalog_state *state,
                                  uint64_t checkpoint, uint64_t number, struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    aq_catalog_checkpoint_name(checkpoint, name, sizeof name);
    if (checkpoint > 0)
        AQ_TRY(apply_object(objects, state, name, true, checkpoint, err));
    while (state->catalog->number < number)
        AQ_TRY(apply_next(objects, state, err));
    return AQ_OK;
}

enum aq_status aq_catalog_load_version(struct aq_object_store *objects, uint64_t checkpoint,
                                       uint64_t number, const struct aq_catalog **catalog,
                                       struct aq_error *err)
{
    struct aq_catalog_state state;
    if (aq_catalog_state_begin(&state, NULL) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading the catalog");
    enum aq_status status = apply_until(objects, &state, checkpoint, number, err);
    if (status == AQ_OK)
        *catalog = aq_catalog_state_finish(&state);
    else
        aq_catalog_state_abandon(&state);
    return status;
}

enum aq_status aq_catalog_load_checkpoint(struct aq_object_store *objects, uint64_t number,
                                          const struct aq_catalog **catalog, struct aq_error *err)
{
    return aq_catalog_load_version(objects, number, number, catalog, err);
}

enum aq_status aq_catalog_put_checkpoint(struct aq_object_store *objects,
                                         const struct aq_catalog *catalog, bool replace,
                                         struct aq_error *err)
{
    struct aq_edit edit = {0};
    struct aq_bytes bytes = {0};
    uint64_t checksum;
    /* It stands in for the edit of its number: edits behind it name that edit's checksum. */
    struct aq_edit_header header = {.number = catalog->number,
                                    .previous_checksum = catalog->checksum,
                                    .time_us = catalog->time_us,
                                    .checkpoint = true};
    char name[AQ_CATALOG_NAME_BYTES];
    aq_catalog_checkpoint_name(catalog->number, name, sizeof name);
    enum aq_status status = aq_catalog_describe(catalog, &edit);
    if (status < 0)
        aq_error_set(err, status, "no memory for a checkpoint of the catalog");
    if (status == AQ_OK)
        status = aq_edit_encode(&header, edit.records, edit.record_count, &bytes, &checksum, err);
    if (status == AQ_OK)
        status = replace ? aq_object_put(objects, name, aq_bytes_view(&bytes), err)
                         : aq_object_put_if_absent(objects, name, aq_bytes_view(&bytes), err);
    aq_bytes_deinit(&bytes);
    aq_edit_deinit(&edit);
    return status == AQ_EXISTS ? AQ_OK : status;
}
