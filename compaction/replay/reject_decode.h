/* Refused messages, decoded once more by the dataset's present declaration: what stands in a reject is less
 * than what came (Kafka's key and headers are not kept, nor is the header of a CSV file). */
#ifndef AQ_COMPACTION_REPLAY_REJECT_DECODE_H
#define AQ_COMPACTION_REPLAY_REJECT_DECODE_H

#include "compaction/replay/rejects_replay.h"
#include "engine/ingest/decode/decode.h"

/** A row of a rejects dataset. */
struct aq_reject {
    struct aq_slice source;
    bool has_partition; /* of a Kafka topic */
    int32_t partition;
    uint64_t offset; /* or record number: the message's ordinal */
    int64_t arrival_us;
    struct aq_slice reason;
    struct aq_slice bytes;
};

struct aq_reject_decoder;

/** `options` and both schemas must outlive it. */
enum aq_status aq_reject_decoder_create(const struct aq_replay_options *options,
                                        const struct aq_schema *schema,
                                        const struct aq_schema *rejects,
                                        struct aq_reject_decoder **decoder,
                                        struct aq_error *err) AQ_RESULT;
void aq_reject_decoder_destroy(struct aq_reject_decoder *decoder);

/**
 * Decode one. It becomes a row, or `*why` says why not (until the next call).
 * @return AQ_OK; AQ_NO_MEMORY, or AQ_INVALID for a declaration or an option that cannot be taken.
 */
enum aq_status aq_reject_decode(struct aq_reject_decoder *decoder, const struct aq_reject *reject,
                                bool *passed, struct aq_slice *why, struct aq_error *err) AQ_RESULT;

/** Rows so far: one batch a source, declared and system columns. `batches` has room for
 * aq_reject_decoder_batch_count. Borrowed until the next call. */
size_t aq_reject_decoder_batch_count(const struct aq_reject_decoder *decoder);
void aq_reject_decoder_batches(const struct aq_reject_decoder *decoder,
                               const struct aq_batch **batches);
size_t aq_reject_decoder_size_bytes(const struct aq_reject_decoder *decoder);
void aq_reject_decoder_clear(struct aq_reject_decoder *decoder);

#endif
