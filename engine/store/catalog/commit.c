/* The only way a store changes: creating the next edit if it is absent.
 *
 * Happy path: read newer edits, let the caller build its records against that state, apply them (so that
 * nothing is written that could not be read), create edit N+1, find that this was quick, write the hint; every
 * AQ_CHECKPOINT_EDITS edits a checkpoint.
 * Failures: N+1 exists -> it is read back: with our nonce it is ours (an answer was lost), else the race
 * is lost: read it, build again. More than a minute since the end of the chain was read -> others may have
 * committed N+1 and more, and gc may have collected it, so that it was free again: the checkpoints tell (commit_check.c).
 * No room -> that which is set aside for edits is given up, and the edit is tried once more.
 * Any other failure is reported as it is; where the edit then may be
 * there, whoever opens the store sees whether it is: this process commits no more, for a sync that
 * failed once may succeed the next time without having written anything. Hint and checkpoint only save time: a failure
 * to write them does not undo a commit, so it is passed over, and made good by a later one. */
#include "engine/store/catalog/catalog_log.h"
#include "engine/store/catalog/commit_check.h"
#include "engine/store/catalog/reserve.h"
#include "engine/store/store_internal.h"
#include "engine/base/clock.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static enum aq_status fill_header(const struct aq_catalog *catalog, struct aq_edit_header *header,
                                  struct aq_error *err)
{
    *header = (struct aq_edit_header){
        .number = catalog->number + 1,
        .previous_checksum = catalog->checksum,
        .time_us = aq_clock_wall_us(),
    };
    if (getrandom(header->nonce, sizeof header->nonce, 0) != (ssize_t)sizeof header->nonce)
        return aq_error_set_errno(err, errno, "", "no random bytes");
    return AQ_OK;
}

/* Whether the edit that stands under the number we wanted is ours after all. */
static enum aq_status is_ours(struct aq_store *store, const char *name,
                              const struct aq_edit_header *ours, bool *result, struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    struct aq_edit_header header;
    struct aq_record *records;
    size_t record_count;
    uint64_t checksum;
    enum aq_status status = aq_object_get(store->objects, name, AQ_EDIT_BYTES_MAX, &bytes, err);
    if (status == AQ_OK)
        status = aq_edit_decode(aq_bytes_view(&bytes), &arena, &header, &records, &record_count,
                                &checksum, err);
    if (status == AQ_OK)
        *result = memcmp(header.nonce, ours->nonce, sizeof ours->nonce) == 0;
    aq_error_locate(err, status, aq_object_path(store->objects, name).text, 0);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    return status;
}

/* Create the object. AQ_OK: committed; AQ_EXISTS: another edit has the number. */
static enum aq_status put_edit(struct aq_store *store, const struct aq_edit_header *header,
                               struct aq_slice bytes, struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    aq_catalog_edit_name(header->number, name, sizeof name);
    enum aq_status status = aq_object_put_if_absent(store->objects, name, bytes, err);
    if (status != AQ_EXISTS)
        return status;
    bool ours = false;
    AQ_TRY(is_ours(store, name, header, &ours, err));
    return ours ? aq_object_settle(store->objects, name, err) : AQ_EXISTS;
}

/* Whether the edit may have got its name though putting it failed: it is there, or that cannot be told. */
static bool may_exist(struct aq_store *store, uint64_t number, enum aq_status status)
{
    char name[AQ_CATALOG_NAME_BYTES];
    uint64_t size_bytes;
    if (status == AQ_OK || status == AQ_EXISTS)
        return false;
    aq_catalog_edit_name(number, name, sizeof name);
    return status == AQ_IO ||
           aq_object_head(store->objects, name, &size_bytes, NULL) != AQ_NOT_FOUND;
}

/* Whether the edit of this version has not been collected: it ends with its checksum. Another one may stand there since. */
static bool is_there(struct aq_store *store, const struct aq_catalog *catalog)
{
    char name[AQ_CATALOG_NAME_BYTES];
    struct aq_bytes bytes = {0};
    aq_catalog_edit_name(catalog->number, name, sizeof name);
    bool there =
        aq_object_get(store->objects, name, AQ_EDIT_BYTES_MAX, &bytes, NULL) == AQ_OK &&
        bytes.size >= sizeof catalog->checksum &&
        aq_load_u64(bytes.data + bytes.size - sizeof catalog->checksum) == catalog->checksum;
    aq_bytes_deinit(&bytes);
    return there;
}

/* Not while edits are being collected, and not of a version whose followers were: a superseded checkpoint that
 * comes back would be taken for the end of the chain. */
static void leave_checkpoint(struct aq_store *store, const struct aq_catalog *catalog)
{
    struct aq_store_lock *lock = NULL;
    if (catalog->number - store->checkpoint < AQ_CHECKPOINT_EDITS ||
        aq_store_lock(store, "gc", false, &lock, NULL) < 0)
        return;
    if (is_there(store, catalog) &&
        aq_catalog_put_checkpoint(store->objects, catalog, false, NULL) == AQ_OK)
        store->checkpoint = catalog->number;
    aq_store_unlock(lock);
}

static void leave_hints(struct aq_store *store, const struct aq_catalog *catalog)
{
    leave_checkpoint(store, catalog);
    if (aq_catalog_put_latest(store->objects, catalog->number, store->checkpoint, NULL) < 0)
        return; /* opening then reads a few edits more, or lists */
}

/* An edit in the making. */
struct attempt {
    struct aq_edit_header header;
    struct aq_bytes bytes;
    uint64_t checksum;
    struct aq_catalog_state state; /* with the edit */
};

static enum aq_status prepare(const struct aq_catalog *catalog, const struct aq_edit *edit,
                              struct attempt *attempt, struct aq_error *err)
{
    AQ_TRY(fill_header(catalog, &attempt->header, err));
    AQ_TRY(aq_edit_encode(&attempt->header, edit->records, edit->record_count, &attempt->bytes,
                          &attempt->checksum, err));
    AQ_TRY(aq_catalog_state_begin(&attempt->state, catalog));
    enum aq_status status = aq_catalog_state_apply(&attempt->state, &attempt->header, edit->records,
                                                   edit->record_count, attempt->checksum, err);
    if (status == AQ_CORRUPT) /* not stored, so not corrupt: a builder's fault */
        status = err == NULL ? AQ_INVALID : (err->status = AQ_INVALID);
    return status;
}

/* AQ_EXISTS: another edit has the number, or had it and was collected since. */
static enum aq_status create(struct aq_store *store, struct attempt *attempt, struct aq_error *err)
{
    uint64_t number = attempt->header.number;
    enum aq_status status = put_edit(store, &attempt->header, aq_bytes_view(&attempt->bytes), err);
    store->uncertain = may_exist(store, number, status);
    if (status != AQ_OK || aq_store_is_just_read(store) || aq_mutant(52))
        return status;
    status = aq_commit_check(store->objects, number, attempt->checksum, err);
    store->uncertain = status < 0 && status != AQ_EXISTS;
    return status;
}

/* Apply, encode, create. `lost`: another edit has the number. */
static enum aq_status write_edit(struct aq_store *store, const struct aq_catalog *catalog,
                                 const struct aq_edit *edit, bool *lost, struct aq_error *err)
{
    struct attempt attempt = {0};
    enum aq_status status = prepare(catalog, edit, &attempt, err);
    if (status == AQ_OK) {
        status = create(store, &attempt, err);
        *lost = status == AQ_EXISTS;
    }
    if (status == AQ_OK) {
        leave_hints(store, attempt.state.catalog);
        aq_store_replace(store, aq_catalog_state_finish(&attempt.state));
    } else {
        aq_catalog_state_abandon(&attempt.state);
    }
    aq_bytes_deinit(&attempt.bytes);
    return status;
}

static enum aq_status commit_once(struct aq_store *store, aq_edit_build_fn build, void *context,
                                  struct aq_edit *edit, bool *lost, struct aq_error *err)
{
    *lost = false;
    if (store->uncertain && !aq_mutant(51))
        return aq_error_set_at(err, AQ_IO, store->home, -1,
                               "an earlier commit failed on the disk; start again, so that what it "
                               "really holds is read");
    AQ_TRY(aq_store_refresh(store, err));
    const struct aq_catalog *catalog = aq_store_current(store);
    enum aq_status status = AQ_OK;
    if (edit->record_count == 0 || !aq_mutant(72)) {
        aq_edit_clear(edit);
        status = build(context, catalog, edit, err);
    }
    if (status == AQ_OK)
        status = write_edit(store, catalog, edit, lost, err);
    aq_catalog_release(catalog);
    return status;
}

enum aq_status aq_store_commit(struct aq_store *store, aq_edit_build_fn build, void *context,
                               struct aq_error *err)
{
    if (store->is_mirror)
        return aq_store_refuse_write(store, err);
    if (store->read_only)
        return aq_error_set_at(err, AQ_INVALID, store->home, -1, "was opened for reading only");
    struct aq_edit edit = {0};
    enum aq_status status;
    bool lost = false;
    pthread_mutex_lock(&store->advance);
    do {
        status = commit_once(store, build, context, &edit, &lost, err);
    } while (lost || (status == AQ_DISK_FULL && aq_reserve_release(store)));
    if (status == AQ_OK)
        aq_reserve_fill(store);
    pthread_mutex_unlock(&store->advance);
    aq_edit_deinit(&edit);
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, status, "out of memory in a commit");
    return status;
}
