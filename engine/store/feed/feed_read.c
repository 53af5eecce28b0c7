/* Reading where feeds stand.
 *
 * Happy path: the newest catalog says who claims a feed and where it stood then; if the claimant's segment
 * is open, its durable frames are read, once for all feeds in it, and the position is moved on behind
 * them. Masked frames do not come into it: a feed that is masked in a file is not claimed by it.
 * Failures: a claim that changed meanwhile makes what was read worthless, and so may a segment that was
 * sealed, or compacted away: then all is read again. */
#include "engine/store/feed/feed_read.h"

#include "engine/store/segment/segment_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_TRIES 10

const struct aq_catalog_feed *aq_catalog_find_feed(const struct aq_catalog *catalog,
                                                   const struct aq_feed_identity *identity)
{
    const struct aq_catalog_feed *found = NULL;
    for (size_t i = 0; i < catalog->feed_count; i++) {
        const struct aq_catalog_feed *feed = &catalog->feeds[i];
        if (feed->identity.dataset_id == identity->dataset_id &&
            feed->identity.partition == identity->partition &&
            aq_slice_equal(feed->identity.cluster, identity->cluster) &&
            aq_slice_equal(feed->identity.name, identity->name) &&
            (found == NULL || feed->identity.incarnation > found->identity.incarnation))
            found = feed;
    }
    return found;
}

struct aq_feed_origin aq_feed_origin_of(const struct aq_catalog *catalog,
                                        const struct aq_catalog_feed *feed)
{
    if (feed == NULL)
        return (struct aq_feed_origin){0};
    const struct aq_catalog_file *file = aq_catalog_file(catalog, feed->claim_file_id);
    return (struct aq_feed_origin){.claim_file_id = feed->claim_file_id,
                                   .claim_from_ordinal = feed->claim_from_ordinal,
                                   .catalog_ordinal = feed->position.next_ordinal,
                                   .open =
                                       file != NULL && file->state == AQ_FILE_OPEN && !file->held};
}

bool aq_feed_origin_equal(const struct aq_feed_origin *a, const struct aq_feed_origin *b)
{
    return a->claim_file_id == b->claim_file_id && a->claim_from_ordinal == b->claim_from_ordinal &&
           a->catalog_ordinal == b->catalog_ordinal && a->open == b->open;
}

/* The durable frames of the open segment `file_id`; none where its file has not been made yet. */
static enum aq_status read_segment(struct aq_store *store, const struct aq_catalog *catalog,
                                   uint64_t file_id, struct aq_segment_totals *totals,
                                   struct aq_error *err)
{
    char name[64];
    aq_catalog_file_name(AQ_FILE_SEGMENT, file_id, name, sizeof name);
    struct aq_store_path path = aq_store_path(store, name);
    struct aq_segment_file file = {.path = path.text,
                                   .expected = {.store_id = catalog->store_id,
                                                .segment_id = file_id,
                                                .epoch = aq_catalog_file(catalog, file_id)->epoch}};
    file.fd = aq_io_openat_beneath(store->home_fd, name, O_RDONLY, 0);
    if (file.fd < 0 && errno == ENOENT)
        return AQ_OK;
    if (file.fd < 0)
        return aq_error_set_errno(err, errno, path.text, "cannot open");
    enum aq_status status = aq_segment_read_open(store, &file, totals, err);
    close(file.fd);
    return status;
}

static enum aq_status move_feed(const struct aq_segment_totals *totals,
                                struct aq_feed_position *position, struct aq_error *err)
{
    for (size_t i = 0; i < totals->feed_count; i++) {
        if (totals->feeds[i].feed_id == position->feed_id)
            return aq_segment_totals_move(totals, i, position, err);
    }
    return AQ_OK;
}

/* Move all feeds on that `file_id` claims. */
static enum aq_status move_feeds(struct aq_store *store, const struct aq_catalog *catalog,
                                 uint64_t file_id, struct aq_feed_state *feeds,
                                 const struct aq_feed_origin *origins, size_t feed_count,
                                 struct aq_error *err)
{
    struct aq_segment_totals totals = {0};
    enum aq_status status = read_segment(store, catalog, file_id, &totals, err);
    for (size_t i = 0; status == AQ_OK && i < feed_count; i++) {
        if (origins[i].open && origins[i].claim_file_id == file_id)
            status = move_feed(&totals, &feeds[i].position, err);
    }
    aq_segment_totals_deinit(&totals);
    return status;
}

static enum aq_status look_up(const struct aq_catalog *catalog, struct aq_feed_state *feed,
                              struct aq_feed_origin *origin, struct aq_error *err)
{
    uint64_t feed_id = feed->identity.feed_id;
    const struct aq_catalog_feed *known = feed_id != 0
                                              ? aq_catalog_feed(catalog, feed_id)
                                              : aq_catalog_find_feed(catalog, &feed->identity);
    if (known == NULL && feed_id != 0)
        return aq_error_set(err, AQ_NOT_FOUND, "there is no feed %" PRIu64, feed_id);
    *origin = aq_feed_origin_of(catalog, known);
    if (known == NULL)
        return AQ_OK;
    feed->identity.feed_id = known->identity.feed_id;
    feed->identity.incarnation = known->identity.incarnation;
    feed->position = known->position;
    return AQ_OK;
}

static enum aq_status read_all(struct aq_store *store, const struct aq_catalog *catalog,
                               struct aq_feed_state *feeds, struct aq_feed_origin *origins,
                               size_t feed_count, struct aq_error *err)
{
    for (size_t i = 0; i < feed_count; i++)
        AQ_TRY(look_up(catalog, &feeds[i], &origins[i], err));
    for (size_t i = 0; i < feed_count; i++) {
        bool read = !origins[i].open;
        for (size_t before = 0; before < i && !read; before++)
            read = origins[before].claim_file_id == origins[i].claim_file_id;
        if (!read)
            AQ_TRY(move_feeds(store, catalog, origins[i].claim_file_id, feeds, origins, feed_count,
                              err));
    }
    return AQ_OK;
}

/* Whether the newest catalog still says what the states were read from. */
static enum aq_status still_true(struct aq_store *store, const struct aq_feed_state *feeds,
                                 const struct aq_feed_origin *origins, size_t feed_count,
                                 bool *same, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    *same = true;
    for (size_t i = 0; *same && i < feed_count; i++) {
        const struct aq_catalog_feed *feed = aq_catalog_feed(catalog, feeds[i].identity.feed_id);
        if (feeds[i].identity.feed_id == 0)
            feed = aq_catalog_find_feed(catalog, &feeds[i].identity);
        struct aq_feed_origin now = aq_feed_origin_of(catalog, feed);
        *same = aq_feed_origin_equal(&origins[i], &now);
    }
    aq_catalog_release(catalog);
    return AQ_OK;
}

enum aq_status aq_feeds_read(struct aq_store *store, struct aq_feed_state *feeds,
                             struct aq_feed_origin *origins, size_t feed_count,
                             struct aq_error *err)
{
    for (int tries = 0; tries < READ_TRIES; tries++) {
        const struct aq_catalog *catalog = NULL;
        struct aq_error failure = {.offset = -1};
        bool same = false;
        AQ_TRY(aq_store_catalog(store, true, &catalog, err));
        enum aq_status status = read_all(store, catalog, feeds, origins, feed_count, &failure);
        aq_catalog_release(catalog);
        AQ_TRY(still_true(store, feeds, origins, feed_count, &same, err));
        if (!same)
            continue;
        if (status < 0 && err != NULL)
            *err = failure;
        return status;
    }
    return aq_error_set(err, AQ_CONFLICT,
                        "other processes take these feeds over faster than they can be read");
}
