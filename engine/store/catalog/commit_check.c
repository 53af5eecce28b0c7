/* A committer that slept: is what it created an edit of the store?
 *
 * Happy path: no checkpoint has its number or a higher one, so no edit of that number was ever collected:
 * committed. Else others have followed, perhaps upon ours: it is committed if the checkpoint of its number, or the edit
 * behind it, names its checksum; it is not if they name another's.
 * Failures: neither is there any more: nobody can tell. docs/model.md has the proof. */
#include "engine/store/catalog/commit_check.h"

#include "engine/store/catalog/catalog_log.h"
#include "format/base/mutant.h"

#include <inttypes.h>

/* The checksum that `name` carries of the edit before it, or, a checkpoint, of the edit that it stands for. AQ_NOT_FOUND
 * when it is not there. */
static enum aq_status read_previous(struct aq_object_store *objects, const char *name,
                                    uint64_t *checksum, struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    struct aq_edit_header header;
    struct aq_record *records;
    size_t record_count;
    uint64_t own;
    enum aq_status status = aq_object_get(objects, name, AQ_EDIT_BYTES_MAX, &bytes, err);
    if (status == AQ_OK)
        status = aq_edit_decode(aq_bytes_view(&bytes), &arena, &header, &records, &record_count,
                                &own, err);
    if (status == AQ_OK)
        *checksum = header.previous_checksum;
    if (status != AQ_NOT_FOUND)
        aq_error_locate(err, status, aq_object_path(objects, name).text, 0);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    return status;
}

enum aq_status aq_commit_check(struct aq_object_store *objects, uint64_t number, uint64_t checksum,
                               struct aq_error *err)
{
    uint64_t newest = 0;
    uint64_t named = 0;
    char name[AQ_CATALOG_NAME_BYTES];
    AQ_TRY(aq_catalog_newest_checkpoint(objects, &newest, err));
    if (newest < number)
        return AQ_OK;
    aq_catalog_checkpoint_name(number, name, sizeof name);
    enum aq_status status = read_previous(objects, name, &named, err);
    if (status == AQ_NOT_FOUND) {
        aq_catalog_edit_name(number + 1, name, sizeof name);
        status = read_previous(objects, name, &named, err);
    }
    if (status == AQ_OK)
        return named == checksum || aq_mutant(53) ? AQ_OK : AQ_EXISTS;
    if (status != AQ_NOT_FOUND)
        return status;
    aq_catalog_edit_name(number, name, sizeof name);
    return aq_error_set_at(
        err, AQ_IO, aq_object_path(objects, name).text, -1,
        "was committed by a process that had stood still for more than a minute, "
        "and others have gone on meanwhile: whether it counts cannot be told; "
        "start again, so that what the store really holds is read");
}
