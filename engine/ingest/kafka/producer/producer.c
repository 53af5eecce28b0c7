/* A producer for `aqstore replay`.
 *
 * Happy path: an idempotent producer of librdkafka queues, batches and retries; delivery reports are
 * counted as they come.
 * Failures: the first message that was not delivered (after librdkafka's own retries, five minutes by
 * default) is kept and ends the next call. */
#include "engine/ingest/kafka/producer/producer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"
#include "engine/base/clock.h"

#define CONNECT_MS 10000
#define STEP_MS 100

struct aq_producer {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    int32_t partition;
    const atomic_bool *stop;
    uint64_t delivered_count;
    rd_kafka_resp_err_t fault; /* of the first message that was not */
};

static void note_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct aq_producer *producer = opaque;
    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        producer->delivered_count++;
    else if (producer->fault == RD_KAFKA_RESP_ERR_NO_ERROR)
        producer->fault = message->err;
}

static bool is_stopped(const struct aq_producer *producer)
{
    return producer->stop != NULL && *producer->stop;
}

static enum aq_status look_at_fault(const struct aq_producer *producer, struct aq_error *err)
{
    rd_kafka_resp_err_t fault = producer->fault;
    if (fault == RD_KAFKA_RESP_ERR_NO_ERROR)
        return AQ_OK;
    bool late = fault == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || fault == RD_KAFKA_RESP_ERR__TRANSPORT;
    return aq_error_set(err, late ? AQ_TEMPORARY : AQ_IO, "topic \"%s\": a message was refused: %s",
                        rd_kafka_topic_name(producer->topic), rd_kafka_err2str(fault));
}

/* A topic that is being made has no partitions, or no leaders, for a moment. */
static enum aq_status judge_topic(const rd_kafka_metadata_topic_t *topic, int32_t partition,
                                  bool last, struct aq_error *err)
{
    bool made = topic->err == RD_KAFKA_RESP_ERR_NO_ERROR && topic->partition_cnt > 0;
    if (made && partition < topic->partition_cnt)
        return AQ_OK;
    if (made)
        return aq_error_set(err, AQ_NOT_FOUND, "topic \"%s\" has the partitions 0 to %d, not %d",
                            topic->topic, topic->partition_cnt - 1, partition);
    if (!last)
        return AQ_END;
    return aq_error_set(err, AQ_NOT_FOUND,
                        "topic \"%s\": %s: make it with Kafka's tools, or correct the name",
                        topic->topic,
                        topic->err != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(topic->err)
                                                                 : "has no partitions");
}

static enum aq_status find_topic(struct aq_producer *producer, const char *brokers,
                                 struct aq_error *err)
{
    int64_t until = aq_clock_ms() + CONNECT_MS;
    for (;;) {
        const rd_kafka_metadata_t *metadata = NULL;
        bool last = aq_clock_ms() >= until;
        rd_kafka_resp_err_t fault =
            rd_kafka_metadata(producer->rk, 0, producer->topic, &metadata, 1000);
        enum aq_status status = AQ_END;
        if (fault == RD_KAFKA_RESP_ERR_NO_ERROR) {
            status = judge_topic(metadata->topics, producer->partition, last, err);
            rd_kafka_metadata_destroy(metadata);
        } else if (last) {
            return aq_error_set(
                err, AQ_TEMPORARY,
                "no answer from %s within %d s: see whether the broker runs and the "
                "connection's settings are right",
                brokers, CONNECT_MS / 1000);
        }
        if (status != AQ_END)
            return status;
        if (is_stopped(producer))
            return aq_error_set(err, AQ_INTERRUPTED, "stopped");
        rd_kafka_poll(producer->rk, STEP_MS);
    }
}

enum aq_status aq_producer_create(const struct aq_source_config *source,
                                  const struct aq_config *config, const char *topic,
                                  int32_t partition, const atomic_bool *stop,
                                  struct aq_producer **created, struct aq_error *err)
{
    struct aq_producer *made = calloc(1, sizeof *made);
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "making a producer: out of memory");
    made->partition = partition;
    made->stop = stop;
    enum aq_status status =
        aq_kafka_producer_client_create(source, config, made, note_delivery, &made->rk, err);
    if (status == AQ_OK) {
        made->topic = rd_kafka_topic_new(made->rk, topic, NULL);
        status = made->topic != NULL
                     ? find_topic(made, source->client.brokers, err)
                     : aq_error_set(err, AQ_INVALID, "\"%s\" is no name of a topic", topic);
    }
    if (status < 0) {
        aq_producer_destroy(made);
        return status;
    }
    *created = made;
    return AQ_OK;
}

void aq_producer_destroy(struct aq_producer *producer)
{
    if (producer == NULL)
        return;
    if (producer->topic != NULL)
        rd_kafka_topic_destroy(producer->topic);
    if (producer->rk != NULL) {
        rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(producer->rk);
    }
    free(producer);
}

enum aq_status aq_producer_send(struct aq_producer *producer, struct aq_slice key,
                                struct aq_slice value, struct aq_error *err)
{
    for (;;) {
        AQ_TRY(look_at_fault(producer, err));
        if (is_stopped(producer))
            return aq_error_set(err, AQ_INTERRUPTED, "stopped");
        if (rd_kafka_produce(producer->topic, producer->partition, RD_KAFKA_MSG_F_COPY,
                             (void *)(uintptr_t)value.data, value.size, key.data, key.size,
                             NULL) == 0) {
            rd_kafka_poll(producer->rk, 0);
            return AQ_OK;
        }
        rd_kafka_resp_err_t fault = rd_kafka_last_error();
        if (fault != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return aq_error_set(err, AQ_IO, "topic \"%s\": a message of %zu bytes was refused: %s",
                                rd_kafka_topic_name(producer->topic), value.size,
                                rd_kafka_err2str(fault));
        rd_kafka_poll(producer->rk, STEP_MS);
    }
}

enum aq_status aq_producer_wait(struct aq_producer *producer, int timeout_ms, struct aq_error *err)
{
    int64_t until = aq_clock_ms() + timeout_ms;
    for (int64_t left = timeout_ms; left > 0 && !is_stopped(producer); left = until - aq_clock_ms())
        rd_kafka_poll(producer->rk, left < STEP_MS ? (int)left : STEP_MS);
    return look_at_fault(producer, err);
}

enum aq_status aq_producer_flush(struct aq_producer *producer, struct aq_error *err)
{
    while (rd_kafka_outq_len(producer->rk) > 0) {
        AQ_TRY(look_at_fault(producer, err));
        rd_kafka_flush(producer->rk, STEP_MS);
    }
    return look_at_fault(producer, err);
}

uint64_t aq_producer_delivered(const struct aq_producer *producer)
{
    return producer->delivered_count;
}
