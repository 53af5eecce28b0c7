/* What a snapshot's catalog tells of itself: where its feeds stand, and its edits, one by one.
 *
 * Happy path: a feed's position is the catalog's, moved on behind the frames that the snapshot froze of the
 * segment that claims it. An edit is read as opening does.
 * Failures: an edit that gc has collected is AQ_NOT_FOUND; damage is AQ_CORRUPT with the edit's name. */
#include "engine/store/catalog/catalog_log.h"
#include "engine/store/snapshot/snapshot_internal.h"

/* The open segment that claims the feed, if it has frames of it, and which of its feeds this is; or NULL. */
static const struct aq_snapshot_file *claimant(const struct aq_snapshot *snapshot,
                                               const struct aq_catalog_feed *feed, size_t *at)
{
    const struct aq_catalog *catalog = snapshot->catalog;
    const struct aq_catalog_file *entry = aq_catalog_file(catalog, feed->claim_file_id);
    if (entry == NULL || entry->state != AQ_FILE_OPEN)
        return NULL;
    const struct aq_snapshot_file *file = &snapshot->files[entry - catalog->files];
    for (*at = 0; *at < file->feed_count; (*at)++)
        if (file->feeds[*at].feed_id == feed->identity.feed_id)
            return file;
    return NULL;
}

enum aq_status aq_snapshot_feed(const struct aq_snapshot *snapshot, size_t at,
                                struct aq_feed_state *feed, struct aq_error *err)
{
    const struct aq_catalog_feed *known = &snapshot->catalog->feeds[at];
    size_t place = 0;
    const struct aq_snapshot_file *file = claimant(snapshot, known, &place);
    feed->identity = known->identity;
    feed->position = known->position;
    if (file == NULL)
        return AQ_OK;
    const struct aq_segment_totals totals = {.feed_count = file->feed_count, .feeds = file->feeds};
    return aq_segment_totals_move(&totals, place, &feed->position, err);
}

enum aq_status aq_snapshot_edit(struct aq_snapshot *snapshot, uint64_t number,
                                struct aq_arena *arena, struct aq_edit_header *header,
                                struct aq_record **records, size_t *record_count,
                                struct aq_error *err)
{
    struct aq_object_store *objects = snapshot->store->objects;
    char name[AQ_CATALOG_NAME_BYTES];
    struct aq_bytes bytes = {0};
    uint64_t checksum = 0;
    aq_catalog_edit_name(number, name, sizeof name);
    if (snapshot->store->is_mirror || number > snapshot->catalog->number)
        return aq_error_set(err, AQ_NOT_FOUND, "%s is not kept", name);
    enum aq_status status = aq_object_get(objects, name, AQ_EDIT_BYTES_MAX, &bytes, err);
    const void *kept = NULL;
    if (status == AQ_OK && (kept = aq_arena_copy(arena, bytes.data, bytes.size)) == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    if (status == AQ_OK) {
        status = aq_edit_decode(aq_slice_make(kept, bytes.size), arena, header, records,
                                record_count, &checksum, err);
        if (status == AQ_OK && header->number != number)
            status = aq_error_set_at(err, AQ_CORRUPT, "", 0, "is not what its name says");
        aq_error_locate(err, status, aq_object_path(objects, name).text, 0);
    }
    aq_bytes_deinit(&bytes);
    return status;
}
