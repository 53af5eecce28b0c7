/* The write path's end: frames into a segment, in order, durable, then acked. One thread owns it. */
#ifndef AQ_ENGINE_STORE_SHARD_WRITER_H
#define AQ_ENGINE_STORE_SHARD_WRITER_H

#include "engine/store/store.h"

struct aq_shard_writer;

/** A frame is durable. Called from append, flush or close, in order of frames. */
typedef void (*aq_ack_fn)(void *context, const struct aq_source_range *ranges, size_t range_count);

struct aq_shard_writer_options {
    uint64_t segment_size_bytes; /* roll beyond it */
    unsigned depth;              /* frames in flight at most */
    /* One segment, however long, of which nothing counts before it is sealed; if its writer dies before, it is
     * dropped as if it had never been. */
    bool hold;
    aq_ack_fn ack;
    void *ack_context;
};

/** No segment is opened yet. */
enum aq_status aq_shard_writer_create(struct aq_store *store,
                                      const struct aq_shard_writer_options *options,
                                      struct aq_shard_writer **writer,
                                      struct aq_error *err) AQ_RESULT;
/** Without seal: what is not acked is given up, the segment stays open for recovery. */
void aq_shard_writer_destroy(struct aq_shard_writer *writer);

/**
 * A new feed, or a claim on a known one (identity.feed_id != 0), committed together with the opening
 * of this writer's segment if it has none. Gives the feed's id.
 */
enum aq_status aq_shard_writer_claim(struct aq_shard_writer *writer,
                                     const struct aq_feed_identity *identity, uint64_t from_ordinal,
                                     uint64_t *feed_id, struct aq_error *err) AQ_RESULT;

/**
 * Encode and submit one frame; returns before it is durable, waiting only while `depth` frames are in
 * flight. Every feed in `ranges` must be claimed, and go on at or behind where it stands (asserted). Opens and rolls segments as needed. After a
 * failure the writer is dead: every call returns the same error; what was acked is durable.
 */
enum aq_status aq_shard_writer_append(struct aq_shard_writer *writer,
                                      const struct aq_source_range *ranges, size_t range_count,
                                      const struct aq_section_input *sections, size_t section_count,
                                      struct aq_error *err) AQ_RESULT;

/** Whether the next append would have to wait for the disk; acks what has become durable. A failure shows there.
 * A frame that is due meanwhile may as well grow, to AQ_FRAME_GROWTH_MAX times its size: big frames under load, small ones
 * when there is time. */
#define AQ_FRAME_GROWTH_MAX 4
bool aq_shard_writer_is_full(struct aq_shard_writer *writer);

/** Nothing has been appended for a while: say in a small frame, once, that the frames before are durable. Without it
 * damage to the last ones could not be told from a torn write. Does nothing while frames are in flight. */
enum aq_status aq_shard_writer_mark(struct aq_shard_writer *writer, struct aq_error *err) AQ_RESULT;

/** Wait until everything appended is durable and acked. */
enum aq_status aq_shard_writer_flush(struct aq_shard_writer *writer,
                                     struct aq_error *err) AQ_RESULT;
/** Flush, write the index footer, commit the `close` edit. The next append opens a new segment. */
enum aq_status aq_shard_writer_seal(struct aq_shard_writer *writer, struct aq_error *err) AQ_RESULT;
/** The same; `also` (may be NULL) adds records to the edit that closes the segment. Without a segment there is no
 * edit. */
enum aq_status aq_shard_writer_seal_with(struct aq_shard_writer *writer, aq_edit_build_fn also,
                                         void *context, struct aq_error *err) AQ_RESULT;
/** Of a writer with `hold`: drop the segment. One that is dead leaves that to recovery. */
enum aq_status aq_shard_writer_drop(struct aq_shard_writer *writer, struct aq_error *err) AQ_RESULT;

struct aq_shard_writer_counters {
    uint64_t frame_count;
    uint64_t bytes_written;
    uint64_t segment_count;
    uint64_t direct_frame_count; /* of those: written past the kernel's cache */
};
struct aq_shard_writer_counters aq_shard_writer_count(const struct aq_shard_writer *writer);

#endif
