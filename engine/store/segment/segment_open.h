/* Opening a segment in the catalog and on disk, and claiming feeds for it. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_SEGMENT_OPEN_H
#define AQ_ENGINE_STORE_SEGMENT_OPEN_H

#include "engine/store/segment/publish.h"
#include "engine/store/segment/segment_totals.h"

/** A feed that a writer holds. */
struct aq_claimed_feed {
    uint64_t feed_id;
    uint64_t next_ordinal; /* behind the last durable message */
    uint64_t
        appended_ordinal; /* behind the last message handed over: what is below it would be twice */
    bool finished;
    bool yields; /* may be taken over: then it is `lost`, else that is a conflict */
    bool lost;   /* somebody else's by now: what is still written of it is masked from the start */
};

/** Zero-initialise; owns its array. */
struct aq_feed_claims {
    uint64_t file_id; /* segment that they were committed for last; 0: none yet */
    bool hold;        /* segments are opened held: they count when they are closed, not before */
    size_t feed_count;
    size_t feed_capacity;
    struct aq_claimed_feed *feeds;
};
void aq_feed_claims_deinit(struct aq_feed_claims *claims);
/** The claim on a feed, or NULL. */
const struct aq_claimed_feed *aq_feed_claims_find(const struct aq_feed_claims *claims,
                                                  uint64_t feed_id);
/** Room for `count` more. */
enum aq_status aq_feed_claims_reserve(struct aq_feed_claims *claims, size_t count,
                                      struct aq_error *err) AQ_RESULT;
/** Note a claim that has been committed, in place of an older one on the feed. Room must have been
 * reserved. */
void aq_feed_claims_note(struct aq_feed_claims *claims, const struct aq_claimed_feed *feed);
void aq_feed_claims_forget(struct aq_feed_claims *claims, uint64_t feed_id);
/** Move the feeds on behind ranges that are being written; each must be claimed, and lie at or behind where
 * its feed stands (asserted): nothing is written twice. */
void aq_feed_claims_append(struct aq_feed_claims *claims, const struct aq_source_range *ranges,
                           size_t range_count);
/** Move the feeds on behind durable ranges. */
void aq_feed_claims_advance(struct aq_feed_claims *claims, const struct aq_source_range *ranges,
                            size_t range_count);
/** Claims that are wanted, in an edit of their own or in one with the opening of a segment. */
struct aq_claim_request {
    void *context;
    /** Add the records; called again, with an empty edit, after a lost race. `header`: of the segment
     * that claims. An error gives all up. */
    enum aq_status (*build)(void *context, const struct aq_catalog *catalog,
                            const struct aq_segment_header *header, struct aq_edit *edit,
                            struct aq_error *err);
    /** They are committed: note them. Room has been reserved by who asks. */
    void (*committed)(void *context, struct aq_feed_claims *claims);
    /** Whether the request is about this feed, so that its old claim is not renewed. */
    bool (*concerns)(void *context, uint64_t feed_id);
};

/** Commit a request for the open segment `header`. */
enum aq_status aq_feed_claims_add(struct aq_store *store, struct aq_feed_claims *claims,
                                  const struct aq_claim_request *request,
                                  const struct aq_segment_header *header,
                                  struct aq_error *err) AQ_RESULT;

/** One feed that nobody else is feeding: what aq_shard_writer_claim asks for. */
struct aq_single_claim {
    struct aq_feed_identity identity; /* feed_id 0: a new feed; set when it has been made */
    uint64_t from_ordinal;    /* where the claimant goes on; AQ_CONFLICT when the feed stands
                                         elsewhere or an open segment of another holds it */
    uint64_t earlier_file_id; /* the claimant's segment before; 0: none */
    uint64_t new_feed_id;     /* private */
};
struct aq_claim_request aq_single_claim_request(struct aq_single_claim *claim);

/** A segment that this process writes. Zero-initialise: none. */
struct aq_open_segment {
    struct aq_segment_header header;
    struct aq_io_file *file; /* its flock is held */
    struct aq_publisher *publisher;
    struct aq_store_path path;
};

/**
 * Commit `open` with the claims of all unfinished feeds and of `request` (may be NULL), then make the
 * file: lock it, make sure that nobody has closed it in between, write its header and its page. Feeds
 * that have been taken over since they were claimed become `lost`, with a mask on the whole segment.
 * @param spare  A file without a name that may become the segment's; NULL afterwards if it was used. */
enum aq_status aq_open_segment_begin(struct aq_store *store, struct aq_io *io,
                                     struct aq_feed_claims *claims,
                                     const struct aq_claim_request *request,
                                     struct aq_io_file **spare, struct aq_open_segment *segment,
                                     struct aq_error *err) AQ_RESULT;
/** Close the file, and so let go of its flock. */
void aq_open_segment_close(struct aq_open_segment *segment);

#endif
