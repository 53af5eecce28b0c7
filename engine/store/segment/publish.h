/* What a segment's writer tells readers beside it: how much is durable. A small mapped page
 * "segments/<20 digits>.pub", two copies under a seqlock; it lives as long as the segment is open, is read on the
 * machine that wrote it only, and is a lower bound of the truth even when a power cut left an old one.
 * Private to engine/store. */
#ifndef AQ_ENGINE_STORE_PUBLISH_H
#define AQ_ENGINE_STORE_PUBLISH_H

#include "engine/store/store_internal.h"

struct aq_published {
    uint64_t durable_bytes; /* of the segment file: end of the last durable frame */
    uint64_t frame_count;   /* durable frames */
};

struct aq_publisher;

/** Make the page of a segment that is being opened: nothing durable yet. Its blocks are allocated now,
 * so that a full disk is an error here and no SIGBUS later. @thread The writer's. */
enum aq_status aq_publisher_create(struct aq_store *store, uint64_t file_id, uint64_t epoch,
                                   struct aq_publisher **publisher, struct aq_error *err) AQ_RESULT;
void aq_publisher_set(struct aq_publisher *publisher, const struct aq_published *published);
void aq_publisher_destroy(struct aq_publisher *publisher); /* unmaps; the file stays */

/** What the page of a segment says; false where there is none or it is not to be believed (damaged, of
 * another epoch). A writer that stands still in the middle of writing it keeps nobody from reading. */
bool aq_published_read(struct aq_store *store, uint64_t file_id, uint64_t epoch,
                       struct aq_published *published);
/** Remove the page of a segment that has been closed. */
void aq_published_remove(struct aq_store *store, uint64_t file_id);

#endif
