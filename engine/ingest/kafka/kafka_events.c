/* What goes wrong out there, and who is told.
 *
 * librdkafka tries again by itself whatever may pass; here its errors become states that watchers see, and
 * sentences that say what to do, each once a minute at most.
 * Failures: a fatal error of librdkafka ends the run. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define SAY_AGAIN_US (60 * AQ_US_PER_SECOND)
#define PROBE_EVERY_US (2 * AQ_US_PER_SECOND)
#define PROBE_MS 300
#define NOTICE_BYTES_MAX 1024

void aq_kafka_say(struct aq_kafka_consumer *consumer, const char *format, ...)
{
    char text[NOTICE_BYTES_MAX];
    int64_t now_us = aq_clock_boot_us();
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    uint64_t hash = aq_checksum(text, strlen(text));
    for (size_t i = 0; i < AQ_KAFKA_SAID_MAX; i++) {
        const struct aq_kafka_said *said = &consumer->said[i];
        if (said->when_us != 0 && said->hash == hash && now_us - said->when_us < SAY_AGAIN_US)
            return;
    }
    consumer->said[consumer->said_next] = (struct aq_kafka_said){.hash = hash, .when_us = now_us};
    consumer->said_next = (consumer->said_next + 1) % AQ_KAFKA_SAID_MAX;
    if (consumer->options->notice != NULL)
        consumer->options->notice(consumer->options->context, text);
}

void aq_kafka_reached(struct aq_kafka_consumer *consumer)
{
    if (!consumer->is_unreachable)
        return;
    consumer->is_unreachable = false;
    consumer->trouble[0] = '\0';
    aq_kafka_say(consumer, "%s answers again", consumer->sources[0].config->client.brokers);
    aq_kafka_show_states(consumer);
}

static void wait_for_broker(struct aq_kafka_consumer *consumer, const char *text)
{
    consumer->is_unreachable = true;
    snprintf(consumer->trouble, sizeof consumer->trouble, "%.480s; goes on by itself", text);
    aq_kafka_say(consumer, "%s", text);
    aq_kafka_show_states(consumer);
}

static void broker_down(struct aq_kafka_consumer *consumer, const char *reason)
{
    char text[NOTICE_BYTES_MAX];
    snprintf(text, sizeof text,
             "no broker answers at %s (%s): see whether it runs, and whether brokers: is right",
             consumer->sources[0].config->client.brokers, reason);
    wait_for_broker(consumer, text);
}

static void broker_refuses(struct aq_kafka_consumer *consumer, const char *what, const char *reason)
{
    char text[NOTICE_BYTES_MAX];
    snprintf(text, sizeof text, "%s refuses the connection (%s): see whether %s are right",
             consumer->sources[0].config->client.brokers, reason, what);
    wait_for_broker(consumer, text);
}

static void give_up(struct aq_kafka_consumer *consumer)
{
    char reason[256];
    rd_kafka_resp_err_t fault = rd_kafka_fatal_error(consumer->rk, reason, sizeof reason);
    if (fault == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        snprintf(
            consumer->fatal, sizeof consumer->fatal,
            "another process has joined the group \"%s\" with the same group.instance.id: give "
            "each process its own (%s)",
            consumer->sources[0].config->client.group, reason);
    else
        snprintf(consumer->fatal, sizeof consumer->fatal,
                 "librdkafka cannot go on: %s (%s); start ingest again", rd_kafka_err2name(fault),
                 reason);
}

void aq_kafka_error_cb(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct aq_kafka_consumer *consumer = opaque;
    (void)rk;
    switch (code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        give_up(consumer);
        break;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        if (!consumer->is_unreachable) /* else there is a better reason already */
            broker_down(consumer, reason);
        break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        broker_refuses(consumer, "mechanism:, username: and password:", reason);
        break;
    case RD_KAFKA_RESP_ERR__SSL:
        broker_refuses(consumer, "security: and ca_file:", reason);
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT: /* of one broker; whether it was the last is asked */
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        snprintf(consumer->doubt, sizeof consumer->doubt, "%s", reason);
        break;
    default:
        aq_kafka_say(consumer, "Kafka: %s: %s", rd_kafka_err2name((rd_kafka_resp_err_t)code),
                     reason);
    }
}

void aq_kafka_probe(struct aq_kafka_consumer *consumer)
{
    const rd_kafka_metadata_t *metadata = NULL;
    int64_t now_us = aq_clock_boot_us();
    if ((!consumer->is_unreachable && consumer->doubt[0] == '\0') ||
        now_us - consumer->probe_us < PROBE_EVERY_US)
        return;
    consumer->probe_us = now_us;
    rd_kafka_resp_err_t fault = rd_kafka_metadata(consumer->rk, 0, NULL, &metadata, PROBE_MS);
    if (fault == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        consumer->doubt[0] = '\0';
        aq_kafka_reached(consumer);
    } else if (fault == RD_KAFKA_RESP_ERR__TRANSPORT && !consumer->is_unreachable) {
        broker_down(consumer, consumer->doubt); /* there is none to ask */
    }
}

/* Errors that come where a message would. */

static void topic_trouble(struct aq_kafka_consumer *consumer, const char *topic, const char *what)
{
    for (size_t i = 0; i < consumer->source_count; i++) {
        struct aq_kafka_source *source = &consumer->sources[i];
        if (source->halted || !aq_kafka_source_reads(source, topic))
            continue;
        snprintf(source->trouble, sizeof source->trouble, "topic \"%s\": %s", topic, what);
        aq_kafka_say(consumer, "source \"%s\": %s", source->config->name, source->trouble);
    }
    aq_kafka_show_states(consumer);
}

static enum aq_status unknown_topic(struct aq_kafka_consumer *consumer, const char *topic,
                                    int32_t number, struct aq_error *err)
{
    struct aq_kafka_partition *partition = aq_kafka_partition_find(consumer, topic, number);
    if (partition != NULL && partition->settled) /* it may come back as another one */
        return aq_kafka_unsettle(consumer, partition, err);
    topic_trouble(consumer, topic,
                  "there is no such topic on the broker: make it, or correct topics:; it is looked "
                  "for every 30 s");
    return AQ_OK;
}

static enum aq_status fatal(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    give_up(consumer);
    return aq_error_set(err, AQ_CONFLICT, "%s", consumer->fatal);
}

enum aq_status aq_kafka_event(struct aq_kafka_consumer *consumer, const rd_kafka_message_t *message,
                              struct aq_error *err)
{
    const char *topic = message->rkt == NULL ? "" : rd_kafka_topic_name(message->rkt);
    struct aq_kafka_partition *partition;
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        partition = aq_kafka_partition_find(consumer, topic, message->partition);
        if (partition == NULL || !partition->settled || partition->barrier == consumer->batch)
            return AQ_OK;
        return aq_kafka_check_end(consumer, partition, (uint64_t)message->offset, err);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return unknown_topic(consumer, topic, message->partition, err);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        topic_trouble(consumer, topic,
                      "the broker does not let this user read it: grant it READ and DESCRIBE");
        return AQ_OK;
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        snprintf(consumer->trouble, sizeof consumer->trouble,
                 "the broker does not let this user use the group \"%s\": grant it READ on the "
                 "group, or choose another group:",
                 consumer->sources[0].config->client.group);
        aq_kafka_say(consumer, "%s", consumer->trouble);
        aq_kafka_show_states(consumer);
        return AQ_OK;
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
        aq_kafka_say(consumer, "this process did not ask for messages for longer than "
                               "max.poll.interval.ms: the group gives its partitions to others");
        return AQ_OK;
    case RD_KAFKA_RESP_ERR__FATAL:
        return fatal(consumer, err);
    default:
        aq_kafka_say(consumer, "Kafka: %s: %s", rd_kafka_err2name(message->err),
                     rd_kafka_message_errstr(message));
        return AQ_OK;
    }
}
