/* What watchers see: the state of each source, lags, what the writer did. */
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define WATCH_US AQ_US_PER_SECOND
#define AWAY_US (2 * AQ_US_PER_SECOND) /* shorter than most session timeouts */

bool aq_kafka_is_away(const struct aq_kafka_consumer *consumer)
{
    return consumer->polled_us != 0 && aq_clock_boot_us() - consumer->polled_us > AWAY_US;
}

static bool is_settled(const struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        if (!consumer->partitions[i]->settled)
            return false;
    }
    return consumer->assigned;
}

void aq_kafka_show_states(struct aq_kafka_consumer *consumer)
{
    bool settled = is_settled(consumer);
    for (size_t i = 0; i < consumer->source_count; i++) {
        const struct aq_kafka_source *source = &consumer->sources[i];
        const char *message = consumer->trouble[0] != '\0' ? consumer->trouble : source->trouble;
        enum aq_source_state state = AQ_SOURCE_RUNNING;
        if (source->halted)
            continue; /* as it was said when it was stopped */
        if (message[0] != '\0')
            state = AQ_SOURCE_WAITING;
        else if (!settled)
            state = AQ_SOURCE_STARTING;
        aq_monitor_state(consumer->options->monitor, source->monitor, state, message);
    }
}

static void show_partitions(struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        const struct aq_kafka_partition *partition = consumer->partitions[i];
        int64_t low = -1;
        int64_t high = -1;
        rd_kafka_get_watermark_offsets(consumer->rk, partition->topic, partition->number, &low,
                                       &high);
        for (size_t k = 0; k < partition->feed_count && partition->settled; k++) {
            const struct aq_kafka_feed *feed = &partition->feeds[k];
            struct aq_monitor_partition shown = {
                .source = feed->source->monitor,
                .topic = partition->topic,
                .partition = partition->number,
                .next_ordinal = feed->state.position.next_ordinal,
            };
            /* Transactions' markers at the end are nothing to read. */
            if (partition->at_end && feed->next_ordinal == feed->state.position.next_ordinal)
                high = (int64_t)shown.next_ordinal;
            shown.end_ordinal =
                high < (int64_t)shown.next_ordinal ? shown.next_ordinal : (uint64_t)high;
            aq_monitor_set_partition(consumer->options->monitor, &shown);
        }
    }
}

static void show_writer(struct aq_kafka_consumer *consumer)
{
    struct aq_monitor_totals totals = {.queue_bytes = consumer->frame_bytes,
                                       .queue_messages = consumer->frame_message_count};
    for (size_t i = 0; i < consumer->written_count; i++) {
        const struct aq_kafka_written *written =
            &consumer->written[(consumer->written_first + i) % (AQ_KAFKA_FRAMES_IN_FLIGHT + 1)];
        totals.queue_bytes += written->bytes;
        totals.queue_messages += written->message_count;
    }
    if (consumer->writer != NULL) {
        uint64_t bytes = aq_shard_writer_count(consumer->writer).bytes_written;
        bool open = consumer->segment_since_us != 0;
        uint64_t sealed = consumer->segment_count - open;
        totals.segment_bytes_written = bytes - consumer->shown_bytes;
        totals.segments_sealed = sealed - consumer->shown_sealed_count;
        totals.open_segment_bytes = open ? bytes - consumer->segment_begin_bytes : 0;
        totals.open_segment_since_us = consumer->segment_since_us;
        consumer->shown_bytes = bytes;
        consumer->shown_sealed_count = sealed;
    }
    aq_monitor_set_writer(consumer->options->monitor, consumer->sources[0].monitor, &totals);
}

static void tell_of_zeros(struct aq_kafka_consumer *consumer)
{
    char notice[512];
    if (aq_store_zero_notice(consumer->store, notice, sizeof notice))
        aq_kafka_say(consumer, "%s", notice);
}

void aq_kafka_watch(struct aq_kafka_consumer *consumer)
{
    int64_t now_us = aq_clock_boot_us();
    if (consumer->options->monitor == NULL || now_us - consumer->watch_us < WATCH_US)
        return;
    consumer->watch_us = now_us;
    show_partitions(consumer);
    show_writer(consumer);
    tell_of_zeros(consumer);
    aq_kafka_show_states(consumer);
}
