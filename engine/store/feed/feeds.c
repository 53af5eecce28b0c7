/* What the catalog knows of feeds besides their rows: where they stand, what of them was lost, which
 * incarnation is the newest.
 *
 * Happy path: a look-up, or one edit with one record or two.
 * Failures: a race with another process is settled by building the edit again. */
#include "engine/store/feed/feeds.h"

#include "engine/store/feed/feed_read.h"
#include "engine/store/segment/write/shard_writer_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum aq_status aq_store_find_feed(struct aq_store *store, struct aq_feed_state *feed,
                                  struct aq_error *err)
{
    feed->identity.feed_id = 0;
    return aq_store_find_feeds(store, feed, 1, err);
}

enum aq_status aq_store_find_feeds(struct aq_store *store, struct aq_feed_state *feeds,
                                   size_t feed_count, struct aq_error *err)
{
    struct aq_feed_origin *origins = calloc(feed_count + 1, sizeof *origins);
    if (origins == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < feed_count; i++) {
        if (feeds[i].identity.feed_id == 0)
            feeds[i].identity.incarnation = 1;
        feeds[i].position = (struct aq_feed_position){0};
    }
    enum aq_status status = aq_feeds_read(store, feeds, origins, feed_count, err);
    free(origins);
    return status;
}

enum aq_status aq_shard_writer_holds(struct aq_shard_writer *writer, uint64_t feed_id, bool *holds,
                                     struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    *holds = false;
    AQ_TRY(aq_shard_writer_check(writer, err));
    const struct aq_claimed_feed *claimed = aq_feed_claims_find(&writer->claims, feed_id);
    if (claimed == NULL || claimed->lost)
        return AQ_OK;
    AQ_TRY(aq_store_catalog(writer->store, true, &catalog, err));
    const struct aq_catalog_feed *feed = aq_catalog_feed(catalog, feed_id);
    *holds = feed != NULL && feed->claim_file_id == writer->claims.file_id;
    aq_catalog_release(catalog);
    return AQ_OK;
}

enum aq_status aq_shard_writer_release(struct aq_shard_writer *writer, const uint64_t *feed_ids,
                                       size_t feed_count, struct aq_error *err)
{
    AQ_TRY(aq_shard_writer_flush(writer, err));
    for (size_t i = 0; i < feed_count; i++)
        aq_feed_claims_forget(&writer->claims, feed_ids[i]);
    return AQ_OK;
}

/* Losses. */

static bool is_recorded(const struct aq_catalog *catalog, const struct aq_record *record)
{
    for (size_t i = 0; i < catalog->lost_count; i++) {
        const struct aq_catalog_lost *lost = &catalog->losses[i];
        if (lost->feed_id == record->lost.feed_id &&
            lost->from_ordinal == record->lost.from_ordinal &&
            lost->next_ordinal >= record->lost.next_ordinal)
            return true;
    }
    return false;
}

static enum aq_status build_lost(void *context, const struct aq_catalog *catalog,
                                 struct aq_edit *edit, struct aq_error *err)
{
    const struct aq_record *record = context;
    if (aq_catalog_feed(catalog, record->lost.feed_id) == NULL)
        return aq_error_set(err, AQ_NOT_FOUND, "there is no feed %" PRIu64, record->lost.feed_id);
    return is_recorded(catalog, record) ? AQ_END : aq_edit_add(edit, record);
}

enum aq_status aq_store_record_lost(struct aq_store *store, uint64_t feed_id, uint64_t from_ordinal,
                                    uint64_t next_ordinal, struct aq_error *err)
{
    struct aq_record record = {
        .kind = AQ_RECORD_LOST,
        .lost = {.feed_id = feed_id, .from_ordinal = from_ordinal, .next_ordinal = next_ordinal}};
    if (next_ordinal <= from_ordinal)
        return aq_error_set(err, AQ_INVALID, "nothing is lost between %" PRIu64 " and %" PRIu64,
                            from_ordinal, next_ordinal);
    enum aq_status status = aq_store_commit(store, build_lost, &record, err);
    return status == AQ_END ? AQ_OK : status;
}

/* Incarnations. */

struct acceptance {
    struct aq_feed_identity identity;
    uint64_t from_ordinal;
};

static enum aq_status build_acceptance(void *context, const struct aq_catalog *catalog,
                                       struct aq_edit *edit, struct aq_error *err)
{
    struct acceptance *acceptance = context;
    struct aq_feed_identity *identity = &acceptance->identity;
    const struct aq_catalog_feed *newest = aq_catalog_find_feed(catalog, identity);
    if (aq_catalog_schema_by_id(catalog, identity->dataset_id, 0) == NULL)
        return aq_error_set(err, AQ_NOT_FOUND, "there is no dataset %" PRIu32,
                            identity->dataset_id);
    identity->feed_id = catalog->next_feed_id;
    identity->incarnation = newest == NULL ? 1 : newest->identity.incarnation + 1;
    struct aq_record position = {
        .kind = AQ_RECORD_POSITION,
        .position = {.feed_id = identity->feed_id, .next_ordinal = acceptance->from_ordinal}};
    AQ_TRY(aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_FEED, .feed = *identity}));
    return aq_edit_add(edit, &position);
}

enum aq_status aq_store_accept_feed(struct aq_store *store, struct aq_feed_identity *identity,
                                    uint64_t from_ordinal, struct aq_error *err)
{
    struct acceptance acceptance = {.identity = *identity, .from_ordinal = from_ordinal};
    AQ_TRY(aq_store_commit(store, build_acceptance, &acceptance, err));
    identity->feed_id = acceptance.identity.feed_id;
    identity->incarnation = acceptance.identity.incarnation;
    return AQ_OK;
}
