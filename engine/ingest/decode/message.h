/* Kafka messages for a decoder: what its columns may take beside the value, formats, and `when:`. */
#ifndef AQ_ENGINE_INGEST_DECODE_MESSAGE_H
#define AQ_ENGINE_INGEST_DECODE_MESSAGE_H

#include "engine/config/section/when.h"
#include "engine/ingest/decode/decode.h"
#include "engine/ingest/monitor.h"

struct aq_kafka_header {
    struct aq_slice name;
    struct aq_slice value; /* data NULL: null */
};

/** A message as it came; everything is borrowed. */
struct aq_kafka_message {
    struct aq_slice key;   /* data NULL: none */
    struct aq_slice value; /* data NULL: a tombstone */
    int32_t partition;
    uint64_t offset;
    int64_t timestamp_us; /* of the message; also the stamp */
    size_t header_count;
    const struct aq_kafka_header *headers;
};

/** A source's way from messages to rows: decoder, format and condition. */
struct aq_message_decoder;

enum aq_decoded { AQ_DECODED_ROW, AQ_DECODED_REJECT, AQ_DECODED_PASSED };

/**
 * `decoder` is borrowed and gets the rows; one message decoder at a time. CSV: each message is one record
 * without a header; its fields are, in declared order, what the columns take from the value (their first
 * path that leads there), unless a header line stands before the record.
 */
enum aq_status aq_message_decoder_create(struct aq_decoder *decoder,
                                         const struct aq_source_config *source,
                                         struct aq_message_decoder **created,
                                         struct aq_error *err) AQ_RESULT;
void aq_message_decoder_destroy(struct aq_message_decoder *decoder);

/**
 * One message: a row, a reject with its class, or passed over (`when:` refuses it, or it has no value and
 * the format is not raw). Longer than AQ_RECORD_BYTES_MAX: a reject that holds its first bytes and its hash.
 * Fails with AQ_NO_MEMORY only. @thread One at a time per decoder.
 */
enum aq_status aq_message_decode(struct aq_message_decoder *decoder,
                                 const struct aq_kafka_message *message, enum aq_decoded *what,
                                 enum aq_reject_class *reject_class) AQ_RESULT;

#endif
