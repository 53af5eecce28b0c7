/* Where feeds stand, the durable frames of open segments included. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_FEED_READ_H
#define AQ_ENGINE_STORE_FEED_READ_H

#include "engine/store/feed/feeds.h"

/** What a feed's state was read from: while the catalog says the same, no other writer has it. */
struct aq_feed_origin {
    uint64_t claim_file_id; /* 0: never claimed, or there is no such feed */
    uint64_t claim_from_ordinal;
    uint64_t catalog_ordinal; /* next_ordinal of the position in the catalog */
    bool open;                /* the claimant's segment */
};

/** The newest incarnation of (dataset, cluster, topic, partition), or NULL. */
const struct aq_catalog_feed *aq_catalog_find_feed(const struct aq_catalog *catalog,
                                                   const struct aq_feed_identity *identity);
/** What a state read from this catalog would go by. `feed` may be NULL. */
struct aq_feed_origin aq_feed_origin_of(const struct aq_catalog *catalog,
                                        const struct aq_catalog_feed *feed);
bool aq_feed_origin_equal(const struct aq_feed_origin *a, const struct aq_feed_origin *b);

/**
 * Read the states of feeds by their id, or, where that is 0, by (dataset, cluster, topic, partition), all
 * true of one version of the catalog. A feed that is not there keeps feed_id 0. Each open segment is
 * read once. AQ_NOT_FOUND for an unknown id; AQ_CONFLICT when claims change faster than they can
 * be read.
 */
enum aq_status aq_feeds_read(struct aq_store *store, struct aq_feed_state *feeds,
                             struct aq_feed_origin *origins, size_t feed_count,
                             struct aq_error *err) AQ_RESULT;

#endif
