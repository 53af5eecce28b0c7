/* Is a partition's log still the one that was read before? Kafka does not say; its messages do.
 *
 * Happy path: with each position the store keeps hash and stamp of the last message before it. A feed that
 * is claimed reads that message again, and takes the following ones when it is the same.
 * The log's beginning is above the position: retention was faster; the range is recorded as lost, and the
 * feed goes on at the beginning. The last message itself may be gone by compaction: then nothing can be
 * compared, and the feed goes on.
 * Failures: another message, or a log that ends below the position: the topic was made anew or lost its
 * end. If the first message in the log is newer than the last one stored, all of it is new: a new
 * incarnation of the feed begins there. Otherwise the source is stopped, until somebody says from where
 * to go on: `aqstore sources accept`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define US_PER_MS 1000

int64_t aq_kafka_message_stamp(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t stamp_ms = rd_kafka_message_timestamp(message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || stamp_ms < 0 ||
        stamp_ms > INT64_MAX / US_PER_MS)
        return 0;
    return stamp_ms * US_PER_MS;
}

/* Bytes: docs/segment-format.md, "Header". */
struct aq_hash128 aq_kafka_message_hash(const rd_kafka_message_t *message)
{
    uint8_t bytes[24 + 2 * sizeof(struct aq_hash128)];
    struct aq_hash128 key = aq_hash128_of(message->key, message->key_len);
    struct aq_hash128 value = aq_hash128_of(message->payload, message->len);
    aq_store_u64(bytes, (uint64_t)aq_kafka_message_stamp(message));
    aq_store_u64(bytes + 8, message->key == NULL ? UINT64_MAX : message->key_len);
    aq_store_u64(bytes + 16, message->payload == NULL ? UINT64_MAX : message->len);
    memcpy(bytes + 24, key.bytes, sizeof key.bytes);
    memcpy(bytes + 24 + sizeof key.bytes, value.bytes, sizeof value.bytes);
    return aq_hash128_of(bytes, sizeof bytes);
}

bool aq_kafka_has_last(const struct aq_feed_position *position)
{
    static const struct aq_hash128 none;
    return !aq_hash128_equal(&position->hash, &none);
}

enum aq_status aq_kafka_lost(struct aq_kafka_consumer *consumer,
                             const struct aq_kafka_partition *partition, struct aq_kafka_feed *feed,
                             uint64_t low, struct aq_error *err)
{
    uint64_t from = feed->next_ordinal;
    AQ_TRY(aq_store_record_lost(consumer->store, feed->state.identity.feed_id, from, low, err));
    struct aq_monitor_source add = {.lost_count = low - from};
    aq_monitor_add(consumer->options->monitor, feed->source->monitor, &add);
    aq_kafka_say(consumer,
                 "source \"%s\": topic \"%s\", partition %d: positions %" PRIu64 "..%" PRIu64
                 " were lost to Kafka's retention before they were read; going on at %" PRIu64,
                 feed->source->config->name, partition->topic, partition->number, from, low - 1,
                 low);
    feed->next_ordinal = low;
    return AQ_OK;
}

enum aq_status aq_kafka_check_begin(struct aq_kafka_consumer *consumer,
                                    const struct aq_kafka_partition *partition,
                                    struct aq_kafka_feed *feed, uint64_t high, struct aq_error *err)
{
    const struct aq_feed_position *position = &feed->state.position;
    feed->next_ordinal = position->next_ordinal;
    feed->pending = (struct aq_source_range){0};
    feed->phase = AQ_KAFKA_TAKING;
    if (high < feed->next_ordinal)
        feed->phase = AQ_KAFKA_LOOKING;
    else if (partition->low > feed->next_ordinal)
        AQ_TRY(aq_kafka_lost(consumer, partition, feed, partition->low, err));
    else if (aq_kafka_has_last(position) && feed->next_ordinal > partition->low)
        feed->phase = AQ_KAFKA_CHECKING;
    feed->written_ordinal = feed->next_ordinal;
    return AQ_OK;
}

void aq_kafka_halt(struct aq_kafka_consumer *consumer, struct aq_kafka_source *source,
                   const char *why)
{
    if (source->halted)
        return;
    source->halted = true;
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct aq_kafka_partition *partition = consumer->partitions[i];
        for (size_t k = 0; k < partition->feed_count; k++) {
            if (partition->feeds[k].source == source)
                partition->feeds[k].phase = AQ_KAFKA_HALTED;
        }
        if (partition->settled && !aq_kafka_partition_is_read(partition))
            aq_kafka_partition_pause(consumer, partition, true);
    }
    aq_monitor_state(consumer->options->monitor, source->monitor, AQ_SOURCE_STOPPED, why);
    snprintf(source->trouble, sizeof source->trouble, "%s", why);
    aq_kafka_say(consumer, "source \"%s\" is stopped: %s", source->config->name, why);
}

/* The log is another one, and nothing says that all of it is new. */
static void refuse(struct aq_kafka_consumer *consumer, const struct aq_kafka_partition *partition,
                   struct aq_kafka_feed *feed)
{
    char why[512];
    snprintf(why, sizeof why,
             "topic \"%s\", partition %d: the log is not the one that was read up to %" PRIu64
             ": it was made anew or lost its end, and its first message is not newer than the last "
             "one stored. To read it from its beginning: aqstore sources accept %s %s --from "
             "earliest; then start ingest again",
             partition->topic, partition->number, feed->next_ordinal, feed->source->config->name,
             partition->topic);
    aq_kafka_halt(consumer, feed->source, why);
}

static enum aq_status reincarnate(struct aq_kafka_consumer *consumer,
                                  struct aq_kafka_partition *partition, struct aq_kafka_feed *feed,
                                  struct aq_error *err)
{
    struct aq_feed_state next = feed->state;
    uint64_t former = feed->state.identity.feed_id;
    next.identity.feed_id = 0;
    next.identity.incarnation++;
    next.position = (struct aq_feed_position){.next_ordinal = partition->low};
    enum aq_status status = aq_shard_writer_take_over(consumer->writer, &next, 1, err);
    if (status >= 0)
        status = aq_shard_writer_release(consumer->writer, &former, 1, err);
    if (status < 0)
        return aq_kafka_writer_failed(consumer, status, err);
    aq_kafka_say(consumer,
                 "source \"%s\": topic \"%s\", partition %d was made anew: all its messages are "
                 "newer than the last one stored (position %" PRIu64
                 "); reading its incarnation %u from %" PRIu64,
                 feed->source->config->name, partition->topic, partition->number,
                 feed->next_ordinal, next.identity.incarnation, next.position.next_ordinal);
    feed->state.identity.feed_id = next.identity.feed_id;
    feed->state.identity.incarnation = next.identity.incarnation;
    feed->state.position = next.position;
    feed->next_ordinal = next.position.next_ordinal;
    feed->written_ordinal = next.position.next_ordinal;
    feed->phase = AQ_KAFKA_TAKING;
    return AQ_OK;
}

/* `message` is the first in the log. */
static enum aq_status look(struct aq_kafka_consumer *consumer, struct aq_kafka_partition *partition,
                           struct aq_kafka_feed *feed, const rd_kafka_message_t *message,
                           struct aq_error *err)
{
    if (aq_kafka_message_stamp(message) > feed->state.position.last_stamp_us)
        return reincarnate(consumer, partition, feed, err);
    refuse(consumer, partition, feed);
    return AQ_OK;
}

enum aq_status aq_kafka_check_message(struct aq_kafka_consumer *consumer,
                                      struct aq_kafka_partition *partition,
                                      struct aq_kafka_feed *feed, const rd_kafka_message_t *message,
                                      struct aq_error *err)
{
    if (feed->phase == AQ_KAFKA_LOOKING)
        return look(consumer, partition, feed, message, err);
    uint64_t last = feed->next_ordinal - 1;
    if ((uint64_t)message->offset < last)
        return AQ_OK; /* for another feed */
    if ((uint64_t)message->offset > last) {
        feed->phase = AQ_KAFKA_TAKING; /* the last one was compacted away */
        return AQ_OK;
    }
    struct aq_hash128 hash = aq_kafka_message_hash(message);
    if (aq_hash128_equal(&hash, &feed->state.position.hash)) {
        feed->phase = AQ_KAFKA_TAKING;
        return AQ_OK;
    }
    feed->phase = AQ_KAFKA_LOOKING;
    if (last == partition->low)
        return look(consumer, partition, feed, message, err);
    if (aq_kafka_partition_seek(consumer, partition, partition->low))
        return AQ_OK;
    return aq_kafka_unsettle(consumer, partition, err);
}

enum aq_status aq_kafka_check_end(struct aq_kafka_consumer *consumer,
                                  struct aq_kafka_partition *partition, uint64_t end,
                                  struct aq_error *err)
{
    if (end < partition->expected)
        return aq_kafka_unsettle(consumer, partition, err);
    partition->expected = end;
    partition->at_end = true;
    for (size_t i = 0; i < partition->feed_count; i++) {
        struct aq_kafka_feed *feed = &partition->feeds[i];
        if (feed->phase == AQ_KAFKA_CHECKING && end < feed->next_ordinal)
            return aq_kafka_unsettle(consumer, partition, err);
        if (feed->phase == AQ_KAFKA_CHECKING)
            feed->phase = AQ_KAFKA_TAKING; /* compacted away, and nothing behind it */
    }
    return AQ_OK;
}
