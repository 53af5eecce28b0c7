/* One consumer's run (kafka.h): everything below happens on the thread that calls aq_kafka_run.
 *
 * Happy path: datasets are declared, the store recovered, the group joined. Then, again and again: a batch
 * of messages is taken, what the group wants is done, what is due is done. At the end the last frame is
 * made durable, the segment sealed, the group left.
 * Failures: what may pass is waited for, with the group served all the while, so that it does not take
 * this process for dead. What does not pass ends the run, with what was acked durable and sealed where
 * that still works. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define BATCH_MESSAGES 512
#define BATCH_BYTES ((size_t)1 << 20)
#define POLL_MS 200       /* idle; a stop is noticed so soon */
#define IN_FLIGHT_MS 2    /* then what is on its way is waited for */
#define QUIET_INTERVALS 5 /* of commit_interval without a frame: then a marker closes the tail */
#define COMMIT_US AQ_US_PER_SECOND
#define CONNECT_US (15 * AQ_US_PER_SECOND) /* with once */
#define CLOSE_US (2 * AQ_US_PER_SECOND)

bool aq_kafka_is_stopped(const struct aq_kafka_consumer *consumer)
{
    return consumer->options->stop != NULL && *consumer->options->stop;
}

/* How long the queue may be waited for. */
static int poll_ms(const struct aq_kafka_consumer *consumer)
{
    int64_t now_us = aq_clock_boot_us();
    int64_t wait_us = POLL_MS * 1000;
    if (consumer->written_count > 0)
        wait_us = IN_FLIGHT_MS * 1000;
    if (consumer->frame_begun_us != 0) {
        int64_t due_us =
            consumer->frame_begun_us + consumer->options->config->commit_interval_us - now_us;
        if (due_us < wait_us)
            wait_us = due_us;
    }
    return wait_us <= 0 ? 0 : (int)((wait_us + 999) / 1000);
}

static size_t poll_batch(struct aq_kafka_consumer *consumer, rd_kafka_message_t **batch)
{
    size_t count = 0;
    size_t bytes = 0;
    consumer->was_away = consumer->was_away || aq_kafka_is_away(consumer);
    consumer->polled_us = aq_clock_boot_us();
    int wait_ms = poll_ms(consumer);
    while (count < BATCH_MESSAGES && bytes < BATCH_BYTES && !consumer->rebalance.waiting) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, wait_ms);
        if (message == NULL)
            break;
        wait_ms = 0;
        bytes += message->len;
        batch[count++] = message;
    }
    return count;
}

static enum aq_status take_batch(struct aq_kafka_consumer *consumer, size_t *message_count,
                                 struct aq_error *err)
{
    rd_kafka_message_t *batch[BATCH_MESSAGES];
    *message_count = poll_batch(consumer, batch);
    if (*message_count > 0)
        aq_kafka_reached(consumer);
    enum aq_status status = aq_kafka_take(consumer, batch, *message_count, err);
    for (size_t i = 0; i < *message_count; i++)
        rd_kafka_message_destroy(batch[i]);
    return status;
}

/* Frames by the clock; and acks, when nothing else brings them. */
static enum aq_status tend_frames(struct aq_kafka_consumer *consumer, bool idle,
                                  struct aq_error *err)
{
    if (consumer->frame_begun_us != 0 && aq_clock_boot_us() - consumer->frame_begun_us >=
                                             consumer->options->config->commit_interval_us)
        AQ_TRY(aq_kafka_frame_close(consumer, err));
    if (!idle || consumer->writer == NULL)
        return AQ_OK;
    if (consumer->written_count > 0)
        return aq_shard_writer_flush(consumer->writer, err);
    bool quiet = aq_clock_boot_us() - consumer->written_us >=
                 QUIET_INTERVALS * consumer->options->config->commit_interval_us;
    return quiet ? aq_shard_writer_mark(consumer->writer, err) : AQ_OK;
}

static enum aq_status check_end(const struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    if (consumer->fatal[0] != '\0')
        return aq_error_set(err, AQ_CONFLICT, "%s", consumer->fatal);
    for (size_t i = 0; i < consumer->source_count; i++) {
        if (!consumer->sources[i].halted)
            return AQ_OK;
    }
    return aq_error_set(err, AQ_NOT_FOUND, "source \"%s\": %s", consumer->sources[0].config->name,
                        consumer->sources[0].trouble);
}

static enum aq_status step(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    size_t message_count = 0;
    AQ_TRY(take_batch(consumer, &message_count, err));
    AQ_TRY(aq_kafka_rebalance(consumer, err));
    AQ_TRY(tend_frames(consumer, message_count == 0, err));
    AQ_TRY(aq_kafka_settle_again(consumer, err));
    AQ_TRY(aq_kafka_writer_tend(consumer, err));
    if (consumer->commit_due && aq_clock_boot_us() - consumer->commit_us >= COMMIT_US)
        AQ_TRY(aq_kafka_commit(consumer, false, err));
    aq_kafka_probe(consumer);
    aq_kafka_watch(consumer);
    return check_end(consumer, err);
}

/* With once: has the broker been there at all? */
static enum aq_status check_reachable(const struct aq_kafka_consumer *consumer,
                                      struct aq_error *err)
{
    if (consumer->assigned || !consumer->is_unreachable ||
        aq_clock_boot_us() - consumer->begun_us < CONNECT_US)
        return AQ_OK;
    return aq_error_set(err, AQ_TEMPORARY, "%s", consumer->trouble);
}

static enum aq_status note_goals(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    for (;;) {
        enum aq_status status = aq_kafka_once_begin(consumer, err);
        if (status != AQ_TEMPORARY || aq_kafka_is_stopped(consumer))
            return status == AQ_TEMPORARY ? AQ_OK : status;
        if (aq_clock_boot_us() - consumer->begun_us >= CONNECT_US)
            return consumer->trouble[0] == '\0'
                       ? status
                       : aq_error_set(err, status, "%s", consumer->trouble);
        rd_kafka_poll(consumer->rk, POLL_MS); /* errors say why */
    }
}

static enum aq_status consume(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    bool once = consumer->options->once;
    if (once)
        AQ_TRY(note_goals(consumer, err));
    if (once && aq_kafka_once_is_empty(consumer))
        return AQ_OK;
    consumer->subscribed = true;
    AQ_TRY(aq_kafka_subscribe(consumer, err));
    while (!aq_kafka_is_stopped(consumer)) {
        enum aq_status status = step(consumer, err);
        if (status < 0)
            AQ_TRY(consumer->fatal[0] != '\0' ? status
                                              : aq_kafka_writer_failed(consumer, status, err));
        if (once && aq_kafka_once_is_done(consumer)) {
            AQ_TRY(aq_kafka_frame_flush(consumer, err));
            if (aq_kafka_once_is_done(consumer)) /* still: nothing was in the way */
                return AQ_OK;
        }
        if (once)
            AQ_TRY(check_reachable(consumer, err));
    }
    return AQ_OK;
}

/* Leave the group; a broker that is down is not waited for long. Messages that were fetched meanwhile come
 * through the same queue as the group's events, and are left for the next run. */
static void leave(struct aq_kafka_consumer *consumer)
{
    consumer->closing = true;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->rk);
    rd_kafka_error_t *fault = rd_kafka_consumer_close_queue(consumer->rk, queue);
    int64_t until_us = aq_clock_boot_us() + CLOSE_US;
    if (fault != NULL) /* fatal: nothing to leave */
        rd_kafka_error_destroy(fault);
    while (fault == NULL && !rd_kafka_consumer_closed(consumer->rk) &&
           aq_clock_boot_us() < until_us) {
        rd_kafka_message_t *late = rd_kafka_consume_queue(queue, 50);
        if (late != NULL)
            rd_kafka_message_destroy(late);
    }
    consumer->left = rd_kafka_consumer_closed(consumer->rk) != 0;
    rd_kafka_queue_destroy(queue);
}

/* Everything that was taken durable, the segment sealed, the broker told. */
static enum aq_status drain(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    AQ_TRY(aq_kafka_frame_flush(consumer, err));
    if (consumer->writer == NULL)
        return AQ_OK;
    enum aq_status status = aq_shard_writer_seal(consumer->writer, err);
    if (status < 0)
        return aq_kafka_is_stopped(consumer) ? aq_kafka_writer_failed(consumer, status, err)
                                             : status;
    consumer->segment_count = aq_shard_writer_count(consumer->writer).segment_count;
    consumer->segment_since_us = 0;
    consumer->watch_us = 0;
    AQ_TRY(aq_kafka_commit(consumer, true, err));
    aq_kafka_watch(consumer);
    return AQ_OK;
}

static void show_end(const struct aq_kafka_consumer *consumer, enum aq_status status,
                     const struct aq_error *err)
{
    char text[AQ_ERROR_MESSAGE_MAX + AQ_ERROR_PATH_MAX];
    aq_error_format(err, text, sizeof text);
    for (size_t i = 0; i < consumer->source_count; i++) {
        if (!consumer->sources[i].halted)
            aq_monitor_state(consumer->options->monitor, consumer->sources[i].monitor,
                             status < 0 ? AQ_SOURCE_STOPPED : AQ_SOURCE_DONE,
                             status < 0 ? text : NULL);
    }
}

/* A source that was stopped is a failure of a run that ends by itself. */
static enum aq_status judge(const struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    for (size_t i = 0; i < consumer->source_count && consumer->options->once; i++) {
        if (consumer->sources[i].halted)
            return aq_error_set(err, AQ_NOT_FOUND, "source \"%s\": %s",
                                consumer->sources[i].config->name, consumer->sources[i].trouble);
    }
    return AQ_OK;
}

static enum aq_status run(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    struct aq_error later = {0};
    AQ_TRY(aq_kafka_sources_create(consumer, err));
    AQ_TRY(aq_kafka_client_create(consumer->options->sources[0], consumer->options->config,
                                  consumer, &consumer->rk, err));
    rd_kafka_poll_set_consumer(consumer->rk);
    enum aq_status status = consume(consumer, err);
    /* What was taken before a failure counts, unless memory ran out in the middle of a row. */
    if (status == AQ_NO_MEMORY)
        aq_kafka_frame_drop(consumer, false);
    enum aq_status drained = drain(consumer, status < 0 ? &later : err);
    leave(consumer);
    return status == AQ_OK ? drained : status;
}

/* librdkafka before 2.3 asserts when it destroys a member of a cooperative group that was never given an
 * assignment (its issue 4312), and to destroy a member that could not leave in time waits for what its
 * coordinator answers, perhaps minutes: such handles are left to the end of the process. */
static bool can_destroy(const struct aq_kafka_consumer *consumer)
{
    if (consumer->rk == NULL || !consumer->subscribed)
        return consumer->rk != NULL;
    return consumer->left && (consumer->assigned || rd_kafka_version() >= 0x02030000);
}

static void release(struct aq_kafka_consumer *consumer)
{
    if (consumer->rebalance.partitions != NULL)
        rd_kafka_topic_partition_list_destroy(consumer->rebalance.partitions);
    if (consumer->writer != NULL)
        aq_shard_writer_destroy(consumer->writer);
    aq_kafka_frames_destroy(consumer);
    aq_kafka_partitions_destroy(consumer);
    aq_kafka_once_end(consumer);
    aq_kafka_sources_destroy(consumer);
    free(consumer->headers);
    if (can_destroy(consumer))
        rd_kafka_destroy_flags(consumer->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

/* "aqstore:" and the store's id in hexadecimal digits. */
static enum aq_status make_mark(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    const struct aq_catalog *catalog;
    AQ_TRY(aq_store_catalog(consumer->store, false, &catalog, err));
    char *out = consumer->mark + snprintf(consumer->mark, sizeof consumer->mark, "aqstore:");
    for (size_t i = 0; i < sizeof catalog->store_id.bytes; i++)
        out += snprintf(out, 3, "%02x", catalog->store_id.bytes[i]);
    aq_catalog_release(catalog);
    return AQ_OK;
}

enum aq_status aq_kafka_run(struct aq_store *store, const struct aq_kafka_run_options *options,
                            struct aq_error *err)
{
    struct aq_error own = {0};
    struct aq_kafka_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    consumer->store = store;
    consumer->options = options;
    consumer->begun_us = aq_clock_boot_us();
    enum aq_status status = make_mark(consumer, &own);
    if (status == AQ_OK)
        status = run(consumer, &own);
    show_end(consumer, status, &own);
    if (status == AQ_OK)
        status = judge(consumer, &own);
    release(consumer);
    free(consumer);
    if (status < 0 && err != NULL)
        *err = own;
    return status;
}
