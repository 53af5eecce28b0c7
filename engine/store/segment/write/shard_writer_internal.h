/* What the files of a shard's writer share. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_SHARD_WRITER_INTERNAL_H
#define AQ_ENGINE_STORE_SHARD_WRITER_INTERNAL_H

#include "engine/store/segment/write/segment_blocks.h"
#include "engine/store/segment/segment_open.h"
#include "engine/store/segment/write/shard_writer.h"

struct aq_frame_slot;

struct aq_shard_writer {
    struct aq_store *store;
    struct aq_shard_writer_options options;
    struct aq_io *io;
    enum aq_status status; /* of the first failure */
    struct aq_error error;
    struct aq_feed_claims claims;
    struct aq_open_segment segment;  /* file NULL: none */
    struct aq_segment_blocks blocks; /* of its file */
    struct aq_segment_totals totals; /* of durable frames */
    uint64_t next_offset;            /* behind the last frame submitted */
    uint64_t next_sequence;
    uint64_t next_previous;    /* header checksum of the last frame submitted */
    uint64_t acked_sequence;   /* frames below it are durable and acked */
    unsigned lone_frame_count; /* frames just before that met no other in flight */
    uint64_t marked_sequence;  /* a marker is the frame before it; 0: none */
    struct aq_frame_slot
        *slots; /* one more than may be in flight; frame s is in slot s % as many */
    struct aq_encode_scratch scratch; /* of encoding frames */
    struct aq_shard_writer_counters counters;
};

/** The failure that killed the writer, or AQ_OK. */
enum aq_status aq_shard_writer_check(const struct aq_shard_writer *writer,
                                     struct aq_error *err) AQ_RESULT;
/** Remember a failure as what killed the writer, and hand it to the caller. */
enum aq_status aq_shard_writer_finish(struct aq_shard_writer *writer, enum aq_status status,
                                      const struct aq_error *error, struct aq_error *err) AQ_RESULT;
/** Commit claims for the open segment, or open one with them. */
enum aq_status aq_shard_writer_request(struct aq_shard_writer *writer,
                                       const struct aq_claim_request *request,
                                       struct aq_error *err) AQ_RESULT;

#endif
