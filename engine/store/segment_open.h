/* Opening a segment in the catalog and on disk, and claiming feeds for it. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_SEGMENT_OPEN_H
#define AQ_ENGINE_STORE_SEGMENT_OPEN_H

#include "engine/store/publish.h"
#include "engine/store/segment_totals.h"

/** A claim that is wanted. */
struct aq_feed_claim {
    struct aq_feed_identity identity; /* feed_id 0: a new feed; set when it has been made */
    uint64_t from_ordinal;            /* where the claimant goes on */
};

/** A feed that a writer holds. */
struct aq_claimed_feed {
    uint64_t feed_id;
    uint64_t next_ordinal; /* behind the last durable message */
    bool finished;
};

/** Zero-initialise; owns its array. */
struct aq_feed_claims {
    uint64_t file_id; /* segment that they were committed for last; 0: none yet */
    size_t feed_count;
    size_t feed_capacity;
    struct aq_claimed_feed *feeds;
};
void aq_feed_claims_deinit(struct aq_feed_claims *claims);
bool aq_feed_claims_has(const struct aq_feed_claims *claims, uint64_t feed_id);
/** Move the feeds on behind durable ranges. */
void aq_feed_claims_advance(struct aq_feed_claims *claims, const struct aq_source_range *ranges,
                            size_t range_count);
/** Commit one more claim for the open segment `header`. AQ_CONFLICT when another writer feeds it, or
 * when it stands elsewhere than at from_ordinal. */
enum aq_status aq_feed_claims_add(struct aq_store *store, struct aq_feed_claims *claims,
                                  struct aq_feed_claim *wanted,
                                  const struct aq_segment_header *header,
                                  struct aq_error *err) AQ_RESULT;

/** A segment that this process writes. Zero-initialise: none. */
struct aq_open_segment {
    struct aq_segment_header header;
    struct aq_io_file *file; /* its flock is held */
    struct aq_publisher *publisher;
    struct aq_store_path path;
};

/**
 * Commit `open` with the claims of all unfinished feeds and of `wanted` (may be NULL), then make the
 * file: lock it, make sure that nobody has closed it in between, write its header and its page.
 */
enum aq_status aq_open_segment_begin(struct aq_store *store, struct aq_io *io,
                                     struct aq_feed_claims *claims, struct aq_feed_claim *wanted,
                                     struct aq_open_segment *segment,
                                     struct aq_error *err) AQ_RESULT;
/** Close the file, and so let go of its flock. */
void aq_open_segment_close(struct aq_open_segment *segment);

#endif
