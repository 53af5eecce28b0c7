/* Step 3 of a message's way: frames close by size and time, and are acked when they are durable.
 *
 * Happy path: rows and rejects of every source are routed into sections, and go out with a range for each
 * feed that got messages: rows and positions commit together. The writer acks frames in order; only then
 * do positions, counters and the offsets sent to the broker move.
 * Failures: the writer's; kafka_writer.c says which can be waited for. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define FRAME_BYTES_MAX \
    ((size_t)256 << 20) /* far below AQ_FRAME_BYTES_MAX, whatever the config says */
#define FRAME_MESSAGES_MAX (AQ_FRAME_ROWS_MAX / 2)

static size_t ring(size_t at)
{
    return at % (AQ_KAFKA_FRAMES_IN_FLIGHT + 1);
}

bool aq_kafka_frame_is_due(const struct aq_kafka_consumer *consumer)
{
    const struct aq_config *config = consumer->options->config;
    if (consumer->frame_bytes >= FRAME_BYTES_MAX ||
        consumer->frame_message_count >= FRAME_MESSAGES_MAX ||
        consumer->frame_bytes >= AQ_FRAME_GROWTH_MAX * config->commit_size_bytes)
        return true;
    /* While the disk has all that it may have in flight, the frame grows. The clock is looked at by the loop, behind
     * each batch. */
    return consumer->frame_bytes >= config->commit_size_bytes &&
           (consumer->writer == NULL || !aq_shard_writer_is_full(consumer->writer));
}

/* Building. */

static enum aq_status build_sections(struct aq_kafka_consumer *consumer, size_t *count,
                                     struct aq_error *err)
{
    *count = 0;
    for (size_t i = 0; i < consumer->source_count; i++) {
        struct aq_kafka_source *source = &consumer->sources[i];
        AQ_TRY(aq_route_section(source->row_router, &source->decoder->rows, consumer->sections,
                                count, err));
        AQ_TRY(aq_route_section(source->reject_router, &source->decoder->rejects,
                                consumer->sections, count, err));
    }
    return AQ_OK;
}

static enum aq_status build_ranges(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    if (consumer->pending_count > consumer->range_capacity) {
        size_t capacity = 2 * consumer->pending_count + 8;
        struct aq_source_range *grown = realloc(consumer->ranges, capacity * sizeof *grown);
        if (grown == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        consumer->ranges = grown;
        consumer->range_capacity = capacity;
    }
    for (size_t i = 0; i < consumer->pending_count; i++)
        consumer->ranges[i] = consumer->pending[i]->pending;
    return AQ_OK;
}

/* What its ack will need; there is always a free place: the writer holds no more than it may. */
static enum aq_status note_written(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    assert(consumer->written_count <= AQ_KAFKA_FRAMES_IN_FLIGHT);
    struct aq_kafka_written *written =
        &consumer->written[ring(consumer->written_first + consumer->written_count)];
    if (written->counts == NULL)
        written->counts = calloc(consumer->source_count, sizeof *written->counts);
    if (written->feed_capacity < consumer->pending_count) {
        size_t capacity = 2 * consumer->pending_count + 8;
        struct aq_kafka_feed **grown = realloc(written->feeds, capacity * sizeof *grown);
        if (grown == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        written->feeds = grown;
        written->feed_capacity = capacity;
    }
    if (written->counts == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    written->begun_us = consumer->frame_begun_us;
    written->bytes = consumer->frame_bytes;
    written->message_count = consumer->frame_message_count;
    written->feed_count = consumer->pending_count;
    memcpy(written->feeds, consumer->pending, consumer->pending_count * sizeof *written->feeds);
    for (size_t i = 0; i < consumer->source_count; i++)
        written->counts[i] = consumer->sources[i].counts;
    consumer->written_count++;
    return AQ_OK;
}

static void begin_frame(struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->pending_count; i++)
        consumer->pending[i]->pending = (struct aq_source_range){0};
    for (size_t i = 0; i < consumer->source_count; i++) {
        struct aq_kafka_source *source = &consumer->sources[i];
        aq_decoder_clear(source->decoder);
        source->decoded_bytes = aq_decoder_size_bytes(source->decoder);
        source->counts = (struct aq_kafka_counts){0};
    }
    consumer->pending_count = 0;
    consumer->frame_begun_us = 0;
    consumer->frame_bytes = 0;
    consumer->frame_message_count = 0;
}

static enum aq_status close_frame(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    size_t section_count = 0;
    AQ_TRY(build_sections(consumer, &section_count, err));
    AQ_TRY(build_ranges(consumer, err));
    AQ_TRY(note_written(consumer, err));
    size_t range_count = consumer->pending_count;
    consumer->written_us = aq_clock_boot_us();
    for (size_t i = 0; i < range_count; i++)
        consumer->pending[i]->written_ordinal = consumer->pending[i]->next_ordinal;
    AQ_TRY(aq_shard_writer_append(consumer->writer, consumer->ranges, range_count,
                                  consumer->sections, section_count, err));
    begin_frame(consumer);
    return AQ_OK;
}

enum aq_status aq_kafka_frame_close(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    if (consumer->was_away || aq_kafka_is_away(consumer))
        AQ_TRY(aq_kafka_writer_verify(consumer, err));
    if (consumer->pending_count == 0 || consumer->writer == NULL)
        return AQ_OK;
    aq_kafka_take_remember(consumer);
    enum aq_status status = close_frame(consumer, err);
    return status < 0 ? aq_kafka_writer_failed(consumer, status, err) : AQ_OK;
}

enum aq_status aq_kafka_frame_flush(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    AQ_TRY(aq_kafka_frame_close(consumer, err));
    if (consumer->writer == NULL || consumer->written_count == 0)
        return AQ_OK;
    enum aq_status status = aq_shard_writer_flush(consumer->writer, err);
    return status < 0 ? aq_kafka_writer_failed(consumer, status, err) : AQ_OK;
}

void aq_kafka_frame_drop(struct aq_kafka_consumer *consumer, bool written)
{
    for (size_t i = 0; i < consumer->pending_count; i++)
        consumer->pending[i]->next_ordinal = consumer->pending[i]->written_ordinal;
    begin_frame(consumer);
    consumer->last_taken = NULL;
    if (written)
        consumer->written_count = 0;
}

void aq_kafka_frames_destroy(struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < AQ_KAFKA_FRAMES_IN_FLIGHT + 1; i++) {
        free(consumer->written[i].feeds);
        free(consumer->written[i].counts);
    }
    free(consumer->pending);
    free(consumer->ranges);
}

/* Durable. */

static void advance(struct aq_kafka_feed *feed, const struct aq_source_range *range)
{
    struct aq_feed_position *position = &feed->state.position;
    position->next_ordinal = range->next_ordinal;
    position->hash = range->hash;
    position->last_stamp_us = range->last_stamp_us;
    position->row_count += range->row_count;
    position->reject_count += range->reject_count;
    position->passed_count += range->passed_count;
}

static void show(struct aq_kafka_consumer *consumer, const struct aq_kafka_written *written)
{
    struct aq_monitor *monitor = consumer->options->monitor;
    if (monitor == NULL)
        return;
    aq_monitor_commit(monitor, aq_clock_boot_us() - written->begun_us);
    for (size_t i = 0; i < consumer->source_count; i++) {
        const struct aq_kafka_counts *counts = &written->counts[i];
        struct aq_monitor_source add = {.row_count = counts->row_count,
                                        .passed_count = counts->passed_count,
                                        .input_bytes = counts->input_bytes,
                                        .last_message_us = counts->last_message_us};
        memcpy(add.reject_counts, counts->reject_counts, sizeof add.reject_counts);
        aq_monitor_add(monitor, consumer->sources[i].monitor, &add);
    }
}

void aq_kafka_frame_ack(void *context, const struct aq_source_range *ranges, size_t range_count)
{
    struct aq_kafka_consumer *consumer = context;
    struct aq_kafka_written *written = &consumer->written[consumer->written_first];
    assert(consumer->written_count > 0 && written->feed_count == range_count);
    for (size_t i = 0; i < range_count; i++)
        advance(written->feeds[i], &ranges[i]);
    show(consumer, written);
    consumer->written_first = ring(consumer->written_first + 1);
    consumer->written_count--;
    consumer->commit_due = true;
}

/* Commits. */

/* Where all feeds of a partition stand, or -1. */
static int64_t durable_offset(const struct aq_kafka_partition *partition)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < partition->feed_count; i++) {
        uint64_t next = partition->feeds[i].state.position.next_ordinal;
        if (partition->feeds[i].phase == AQ_KAFKA_LOOKING)
            return -1; /* a position of another log */
        if (next < least)
            least = next;
    }
    return least > INT64_MAX ? -1 : (int64_t)least;
}

static void add_commit(const struct aq_kafka_consumer *consumer,
                       struct aq_kafka_partition *partition, rd_kafka_topic_partition_list_t *list)
{
    int64_t offset = partition->settled ? durable_offset(partition) : -1;
    if (offset < 0 || offset == partition->committed)
        return;
    rd_kafka_topic_partition_t *one =
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
    one->offset = offset;
    one->metadata = strdup(consumer->mark); /* librdkafka frees it */
    one->metadata_size = one->metadata == NULL ? 0 : strlen(consumer->mark);
    partition->committed = offset;
}

static void committed(rd_kafka_t *rk, rd_kafka_resp_err_t fault,
                      rd_kafka_topic_partition_list_t *list, void *opaque)
{
    /* Information only: a refused commit is made good by the next one. */
    (void)rk;
    (void)fault;
    (void)list;
    (void)opaque;
}

static void send_commit(struct aq_kafka_consumer *consumer,
                        const rd_kafka_topic_partition_list_t *list, bool wait)
{
    if (!wait) {
        rd_kafka_commit(consumer->rk, list, 1 /* asynchronously */);
        return;
    }
    rd_kafka_queue_t *answer = rd_kafka_queue_new(consumer->rk);
    rd_kafka_commit_queue(consumer->rk, list, answer, committed, NULL);
    rd_kafka_queue_poll_callback(answer, AQ_KAFKA_ASK_MS);
    rd_kafka_queue_destroy(answer);
}

enum aq_status aq_kafka_commit(struct aq_kafka_consumer *consumer, bool wait, struct aq_error *err)
{
    if (!consumer->commit_due)
        return AQ_OK;
    consumer->commit_due = false;
    consumer->commit_us = aq_clock_boot_us();
    AQ_TRY(aq_kafka_writer_verify(consumer, err));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; i < consumer->partition_count; i++)
        add_commit(consumer, consumer->partitions[i], list);
    if (list->cnt > 0)
        send_commit(consumer, list, wait);
    rd_kafka_topic_partition_list_destroy(list);
    return AQ_OK;
}
