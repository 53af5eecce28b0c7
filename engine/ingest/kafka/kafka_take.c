/* Steps 1 and 2 of a message's way: from the consumer's queue into the decoders.
 *
 * Happy path: each message goes to every feed of its partition that has not had it. The last one of a run of
 * messages of one partition is hashed, and the last one before a frame closes: a position stands there.
 * A message below what was expected, though nothing was sought: the log is another one; it is looked at
 * again. One above: compaction, transactions - or retention, which the log's beginning tells.
 * Failures: a message that cannot be decoded is a reject, not a failure. Out of memory. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

static enum aq_status collect_headers(struct aq_kafka_consumer *consumer,
                                      const rd_kafka_message_t *message, size_t *count)
{
    rd_kafka_headers_t *headers = NULL;
    *count = 0;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return AQ_OK;
    size_t wanted = rd_kafka_header_cnt(headers);
    if (wanted > consumer->header_capacity) {
        struct aq_kafka_header *grown =
            realloc(consumer->headers, wanted * sizeof *consumer->headers);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        consumer->headers = grown;
        consumer->header_capacity = wanted;
    }
    for (size_t i = 0; i < wanted; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t size = 0;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        consumer->headers[(*count)++] = (struct aq_kafka_header){
            .name = aq_slice_of(name), .value = aq_slice_make(value, value == NULL ? 0 : size)};
    }
    return AQ_OK;
}

static enum aq_status describe(struct aq_kafka_consumer *consumer,
                               const rd_kafka_message_t *message, struct aq_kafka_message *out)
{
    *out = (struct aq_kafka_message){
        .key = aq_slice_make(message->key, message->key == NULL ? 0 : message->key_len),
        .value = aq_slice_make(message->payload, message->payload == NULL ? 0 : message->len),
        .partition = message->partition,
        .offset = (uint64_t)message->offset,
        .timestamp_us = aq_kafka_message_stamp(message),
    };
    AQ_TRY(collect_headers(consumer, message, &out->header_count));
    out->headers = consumer->headers;
    return AQ_OK;
}

static enum aq_status begin_pending(struct aq_kafka_consumer *consumer, struct aq_kafka_feed *feed)
{
    if (feed->pending.feed_id != 0)
        return AQ_OK;
    if (consumer->pending_count == consumer->pending_capacity) {
        size_t capacity = 2 * consumer->pending_capacity + 16;
        struct aq_kafka_feed **grown = realloc(consumer->pending, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        consumer->pending = grown;
        consumer->pending_capacity = capacity;
    }
    feed->pending = (struct aq_source_range){.feed_id = feed->state.identity.feed_id,
                                             .first_ordinal = feed->next_ordinal};
    consumer->pending[consumer->pending_count++] = feed;
    if (consumer->frame_begun_us == 0)
        consumer->frame_begun_us = aq_clock_boot_us();
    return AQ_OK;
}

static void count(struct aq_kafka_source *source, struct aq_source_range *pending,
                  enum aq_decoded what, enum aq_reject_class reject_class)
{
    if (what == AQ_DECODED_ROW) {
        pending->row_count++;
        source->counts.row_count++;
    } else if (what == AQ_DECODED_REJECT) {
        pending->reject_count++;
        source->counts.reject_counts[reject_class]++;
    } else {
        pending->passed_count++;
        source->counts.passed_count++;
    }
}

static enum aq_status decode(struct aq_kafka_consumer *consumer, struct aq_kafka_feed *feed,
                             const struct aq_kafka_message *message, size_t size)
{
    struct aq_kafka_source *source = feed->source;
    enum aq_decoded what = AQ_DECODED_ROW;
    enum aq_reject_class reject_class = AQ_REJECT_SYNTAX;
    AQ_TRY(begin_pending(consumer, feed));
    aq_decoder_set_feed(source->decoder, feed->state.identity.feed_id, message->timestamp_us);
    AQ_TRY(aq_message_decode(source->message, message, &what, &reject_class));
    count(source, &feed->pending, what, reject_class);
    source->counts.input_bytes += size;
    feed->pending.next_ordinal = message->offset + 1;
    feed->pending.last_stamp_us = message->timestamp_us;
    feed->next_ordinal = message->offset + 1;
    size_t decoded = aq_decoder_size_bytes(source->decoder);
    consumer->frame_bytes += decoded - source->decoded_bytes;
    source->decoded_bytes = decoded;
    consumer->frame_message_count++;
    return AQ_OK;
}

/* Give the message to every feed that wants it. */
static enum aq_status give(struct aq_kafka_consumer *consumer, struct aq_kafka_partition *partition,
                           const rd_kafka_message_t *message, struct aq_error *err)
{
    struct aq_kafka_message described = {0};
    bool taken = false;
    for (size_t i = 0; i < partition->feed_count; i++) {
        struct aq_kafka_feed *feed = &partition->feeds[i];
        if (feed->phase == AQ_KAFKA_CHECKING || feed->phase == AQ_KAFKA_LOOKING) {
            AQ_TRY(aq_kafka_check_message(consumer, partition, feed, message, err));
            if (!partition->settled || partition->barrier == consumer->batch)
                return AQ_OK; /* what follows comes again */
        }
        if (feed->phase != AQ_KAFKA_TAKING || (uint64_t)message->offset < feed->next_ordinal)
            continue;
        enum aq_status status = taken ? AQ_OK : describe(consumer, message, &described);
        if (status == AQ_OK)
            status = decode(consumer, feed, &described, message->len + message->key_len);
        if (status < 0)
            return aq_error_set(err, status, "decoding messages of \"%s\": out of memory",
                                partition->topic);
        taken = true;
        consumer->last_taken = message;
        consumer->last_partition = partition;
    }
    return AQ_OK;
}

void aq_kafka_take_remember(struct aq_kafka_consumer *consumer)
{
    const rd_kafka_message_t *message = consumer->last_taken;
    struct aq_kafka_partition *partition = consumer->last_partition;
    if (message == NULL)
        return;
    struct aq_hash128 hash = aq_kafka_message_hash(message);
    for (size_t i = 0; i < partition->feed_count; i++) {
        struct aq_source_range *pending = &partition->feeds[i].pending;
        if (pending->feed_id != 0 && pending->next_ordinal == (uint64_t)message->offset + 1)
            pending->hash = hash;
    }
    consumer->last_taken = NULL;
}

/* A hole before `message`: was it there, and went? */
static enum aq_status look_at_gap(struct aq_kafka_consumer *consumer,
                                  struct aq_kafka_partition *partition,
                                  const rd_kafka_message_t *message, struct aq_error *err)
{
    int64_t low = -1;
    int64_t high = -1;
    if (rd_kafka_get_watermark_offsets(consumer->rk, partition->topic, partition->number, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        low <= (int64_t)partition->expected || low > message->offset)
        return AQ_OK;
    partition->low = (uint64_t)low;
    for (size_t i = 0; i < partition->feed_count; i++) {
        struct aq_kafka_feed *feed = &partition->feeds[i];
        if ((feed->phase != AQ_KAFKA_TAKING && feed->phase != AQ_KAFKA_CHECKING) ||
            feed->next_ordinal >= (uint64_t)low)
            continue;
        AQ_TRY(aq_kafka_lost(consumer, partition, feed, (uint64_t)low, err));
        feed->phase = AQ_KAFKA_TAKING;
    }
    return AQ_OK;
}

static enum aq_status take(struct aq_kafka_consumer *consumer, const rd_kafka_message_t *message,
                           struct aq_error *err)
{
    struct aq_kafka_partition *partition =
        aq_kafka_partition_find(consumer, rd_kafka_topic_name(message->rkt), message->partition);
    if (partition == NULL || !partition->settled || partition->barrier == consumer->batch)
        return AQ_OK;
    if ((uint64_t)message->offset < partition->expected)
        return aq_kafka_unsettle(consumer, partition, err);
    if ((uint64_t)message->offset > partition->expected)
        AQ_TRY(look_at_gap(consumer, partition, message, err));
    if (consumer->last_partition != partition)
        aq_kafka_take_remember(consumer);
    AQ_TRY(give(consumer, partition, message, err));
    if (!partition->settled || partition->barrier == consumer->batch)
        return AQ_OK;
    partition->expected = (uint64_t)message->offset + 1;
    partition->at_end = false;
    return aq_kafka_frame_is_due(consumer) ? aq_kafka_frame_close(consumer, err) : AQ_OK;
}

static enum aq_status take_all(struct aq_kafka_consumer *consumer, rd_kafka_message_t *const *batch,
                               size_t message_count, struct aq_error *err)
{
    for (size_t i = 0; i < message_count; i++) {
        if (batch[i]->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            AQ_TRY(aq_kafka_event(consumer, batch[i], err));
        else
            AQ_TRY(take(consumer, batch[i], err));
    }
    return AQ_OK;
}

enum aq_status aq_kafka_take(struct aq_kafka_consumer *consumer, rd_kafka_message_t *const *batch,
                             size_t message_count, struct aq_error *err)
{
    int64_t now_us = aq_clock_wall_us();
    consumer->batch++;
    enum aq_status status = take_all(consumer, batch, message_count, err);
    aq_kafka_take_remember(consumer); /* the messages go now */
    for (size_t i = 0; i < consumer->source_count; i++) {
        if (consumer->sources[i].counts.input_bytes > 0)
            consumer->sources[i].counts.last_message_us = now_us;
    }
    return status;
}
