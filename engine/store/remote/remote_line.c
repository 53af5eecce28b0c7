/* Whether a home and the mirror in its bucket have one history.
 *
 * Happy path: the mirror stands at edit N and says that edit's checksum; the home's edit N + 1 says which
 * edit N it follows: the same one.
 * Failures: the home has no edit N, or another one: it is a copy of a home that went on elsewhere, or was put
 * back from an old disk. Where one of the two cannot be known any more, for edits and mirrors are
 * collected, the home is believed. */
#include "engine/store/catalog/catalog_log.h"
#include "engine/store/remote/remote.h"
#include "engine/store/store_internal.h"

#include <inttypes.h>

#define HINT_BYTES_MAX 256

/* `number` 0: there is no mirror, or its hint is damaged. */
static enum aq_status read_hint(struct aq_object_store *mirror, uint64_t *number,
                                struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    uint64_t checkpoint;
    *number = 0;
    enum aq_status status =
        aq_object_get(mirror, AQ_CATALOG_LATEST_NAME, HINT_BYTES_MAX, &bytes, err);
    if (status == AQ_OK && !aq_catalog_parse_latest(aq_bytes_view(&bytes), number, &checkpoint))
        *number = 0;
    aq_bytes_deinit(&bytes);
    return status == AQ_NOT_FOUND || status == AQ_LIMIT ? AQ_OK : status;
}

/* What the object `name` says of the edit before it; false when it is not there or no edit. */
static bool read_previous(struct aq_object_store *objects, const char *name, uint64_t number,
                          uint64_t *checksum)
{
    uint8_t bytes[AQ_EDIT_PEEK_BYTES];
    uint64_t found;
    struct aq_error ignored = {0};
    return aq_object_get_range(objects, name, 0, bytes, sizeof bytes, &ignored) == AQ_OK &&
           aq_edit_peek(bytes, &found, checksum) && found == number;
}

/* The checksum of edit `number`, as the home has it. */
static bool own_checksum(struct aq_store *store, const struct aq_catalog *catalog, uint64_t number,
                         uint64_t *checksum)
{
    char name[AQ_CATALOG_NAME_BYTES];
    *checksum = catalog->checksum;
    if (number == catalog->number)
        return true;
    aq_catalog_edit_name(number + 1, name, sizeof name);
    return read_previous(store->objects, name, number + 1, checksum);
}

static enum aq_status compare(struct aq_store *store, struct aq_object_store *mirror,
                              uint64_t number, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    char name[AQ_CATALOG_NAME_BYTES];
    uint64_t ours;
    uint64_t theirs;
    AQ_TRY(aq_store_catalog(store, true, &catalog, err)); /* after the hint: it is not behind it */
    uint64_t head = catalog->number;
    aq_catalog_checkpoint_name(number, name, sizeof name);
    bool apart = number > head || (read_previous(mirror, name, number, &theirs) &&
                                   own_checksum(store, catalog, number, &ours) && ours != theirs);
    aq_catalog_release(catalog);
    if (!apart)
        return AQ_OK;
    return aq_error_set_at(err, AQ_CONFLICT, store->home, -1,
                           "is not the home that the bucket was last filled from: that one has "
                           "another edit %" PRIu64 " (this one is at %" PRIu64
                           "). One of them is a copy, or was put back from an old disk; nothing "
                           "was changed: go on with the other one, or make a home with `aqstore "
                           "restore`",
                           number, head);
}

enum aq_status aq_remote_check_line(struct aq_object_store *bucket, struct aq_store *store,
                                    struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    struct aq_object_store *mirror = NULL;
    uint64_t number = 0;
    AQ_TRY(aq_store_catalog(store, false, &catalog, err));
    uint64_t incarnation = catalog->incarnation;
    aq_catalog_release(catalog);
    AQ_TRY(aq_remote_mirror(bucket, incarnation, &mirror, err));
    enum aq_status status = read_hint(mirror, &number, err);
    if (status == AQ_OK && number > 0)
        status = compare(store, mirror, number, err);
    aq_object_close(mirror);
    return status;
}
