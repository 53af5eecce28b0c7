/* The end of a run that has one: the ends of all logs when it began.
 *
 * Happy path: before the group is joined, all partitions of all topics that the sources read, and their
 * ends, are noted. The run is done when each partition that the group has given to this process is read
 * up to its end, and the store has what other members read up to theirs. Where no topic matches there is
 * no end to wait for.
 * Failures: no answer: AQ_TEMPORARY, to be asked again. A topic that is not there: AQ_NOT_FOUND. A member that
 * died is a member until its session ends; then its partitions come here. One that is still there after
 * that lives, and is left to its work. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define OTHERS_EVERY_US (AQ_US_PER_SECOND / 2)
#define OTHERS_GRACE_US (5 * AQ_US_PER_SECOND)

static enum aq_status no_answer(const struct aq_kafka_consumer *consumer, rd_kafka_resp_err_t fault,
                                struct aq_error *err)
{
    return aq_error_set(err, AQ_TEMPORARY, "%s: asking for topics and their ends: %s",
                        consumer->sources[0].config->client.brokers, rd_kafka_err2str(fault));
}

static bool is_read(const struct aq_kafka_consumer *consumer, const char *topic)
{
    for (size_t i = 0; i < consumer->source_count; i++) {
        if (aq_kafka_source_reads(&consumer->sources[i], topic))
            return true;
    }
    return false;
}

static const rd_kafka_metadata_topic_t *find_topic(const rd_kafka_metadata_t *metadata,
                                                   const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        if (topic->err == RD_KAFKA_RESP_ERR_NO_ERROR && strcmp(topic->topic, name) == 0)
            return topic;
    }
    return NULL;
}

static enum aq_status check_named(const struct aq_kafka_consumer *consumer,
                                  const rd_kafka_metadata_t *metadata, struct aq_error *err)
{
    for (size_t i = 0; i < consumer->source_count; i++) {
        const struct aq_kafka_source *source = &consumer->sources[i];
        for (size_t k = 0; k < source->topic_count; k++) {
            if (!source->topics[k].is_pattern &&
                find_topic(metadata, source->topics[k].name) == NULL)
                return aq_error_set(err, AQ_NOT_FOUND,
                                    "source \"%s\": there is no topic \"%s\" on %s, or this user "
                                    "may not see it: make it, or correct topics:",
                                    source->config->name, source->topics[k].name,
                                    source->config->client.brokers);
        }
    }
    return AQ_OK;
}

static void list_partitions(const struct aq_kafka_consumer *consumer,
                            const rd_kafka_metadata_t *metadata,
                            rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        if (!is_read(consumer, topic->topic))
            continue;
        for (int k = 0; k < topic->partition_cnt; k++)
            rd_kafka_topic_partition_list_add(list, topic->topic, topic->partitions[k].id)->offset =
                RD_KAFKA_OFFSET_END;
    }
}

static enum aq_status note_goals(struct aq_kafka_consumer *consumer,
                                 const rd_kafka_topic_partition_list_t *list, struct aq_error *err)
{
    consumer->goals = calloc((size_t)list->cnt + 1, sizeof *consumer->goals);
    if (consumer->goals == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        if (one->err != RD_KAFKA_RESP_ERR_NO_ERROR || one->offset < 0)
            return no_answer(consumer, one->err, err);
        struct aq_kafka_goal *goal = &consumer->goals[consumer->goal_count];
        goal->topic = strdup(one->topic);
        if (goal->topic == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        goal->partition = one->partition;
        goal->end_ordinal = (uint64_t)one->offset;
        consumer->goal_count++;
    }
    consumer->has_goals = true;
    return AQ_OK;
}

static enum aq_status ask_ends(struct aq_kafka_consumer *consumer,
                               const rd_kafka_metadata_t *metadata, struct aq_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    rd_kafka_resp_err_t fault = RD_KAFKA_RESP_ERR_NO_ERROR;
    list_partitions(consumer, metadata, list);
    if (list->cnt > 0)
        fault = rd_kafka_offsets_for_times(consumer->rk, list, AQ_KAFKA_ASK_MS);
    enum aq_status status = fault == RD_KAFKA_RESP_ERR_NO_ERROR ? note_goals(consumer, list, err)
                                                                : no_answer(consumer, fault, err);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum aq_status aq_kafka_once_begin(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    aq_kafka_once_end(consumer);
    rd_kafka_resp_err_t fault =
        rd_kafka_metadata(consumer->rk, 1, NULL, &metadata, AQ_KAFKA_ASK_MS);
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR)
        return no_answer(consumer, fault, err);
    enum aq_status status = check_named(consumer, metadata, err);
    if (status == AQ_OK)
        status = ask_ends(consumer, metadata, err);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

bool aq_kafka_once_is_empty(struct aq_kafka_consumer *consumer)
{
    if (!consumer->has_goals || consumer->goal_count > 0)
        return false;
    aq_kafka_say(consumer,
                 "%s: no topic matches the patterns in topics:, so there is nothing to read",
                 consumer->sources[0].config->client.brokers);
    return true;
}

void aq_kafka_once_end(struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->goal_count; i++)
        free(consumer->goals[i].topic);
    free(consumer->goals);
    consumer->goals = NULL;
    consumer->goal_count = 0;
}

static uint64_t goal_of(const struct aq_kafka_consumer *consumer,
                        const struct aq_kafka_partition *partition)
{
    for (size_t i = 0; i < consumer->goal_count; i++) {
        if (consumer->goals[i].partition == partition->number &&
            strcmp(consumer->goals[i].topic, partition->topic) == 0)
            return consumer->goals[i].end_ordinal;
    }
    return 0; /* made since */
}

static bool has_reached(const struct aq_kafka_partition *partition, uint64_t goal)
{
    for (size_t i = 0; i < partition->feed_count; i++) {
        const struct aq_kafka_feed *feed = &partition->feeds[i];
        if (feed->phase == AQ_KAFKA_HALTED || partition->at_end)
            continue;
        if (feed->phase != AQ_KAFKA_TAKING || feed->next_ordinal < goal)
            return false;
    }
    return true;
}

/* Whether the store has a partition that another member reads up to its goal. */
static bool is_stored(const struct aq_kafka_consumer *consumer, const struct aq_kafka_goal *goal)
{
    for (size_t i = 0; i < consumer->source_count; i++) {
        const struct aq_kafka_source *source = &consumer->sources[i];
        struct aq_feed_state feed = {.identity = {.dataset_id = source->schema->dataset_id,
                                                  .cluster = aq_slice_of(consumer->cluster),
                                                  .name = aq_slice_of(goal->topic),
                                                  .partition = goal->partition}};
        if (source->halted || !aq_kafka_source_reads(source, goal->topic))
            continue;
        if (aq_store_find_feed(consumer->store, &feed, NULL) < 0 ||
            feed.position.next_ordinal < goal->end_ordinal)
            return false;
    }
    return true;
}

static const struct aq_kafka_goal *find_missing(const struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->goal_count; i++) {
        const struct aq_kafka_goal *goal = &consumer->goals[i];
        if (goal->end_ordinal > 0 &&
            aq_kafka_partition_find(consumer, goal->topic, goal->partition) == NULL &&
            !is_stored(consumer, goal))
            return goal;
    }
    return NULL;
}

static int64_t session_us(const struct aq_kafka_consumer *consumer)
{
    char text[32] = "";
    size_t size = sizeof text;
    if (rd_kafka_conf_get(rd_kafka_conf(consumer->rk), "session.timeout.ms", text, &size) !=
        RD_KAFKA_CONF_OK)
        return 0;
    return strtoll(text, NULL, 10) * 1000;
}

/* Everything here is read; what about the others' partitions? */
static bool others_are_done(struct aq_kafka_consumer *consumer)
{
    int64_t now_us = aq_clock_boot_us();
    if (consumer->others_us != 0 && now_us - consumer->others_us < OTHERS_EVERY_US)
        return false;
    const struct aq_kafka_goal *missing = find_missing(consumer);
    consumer->others_us = missing == NULL ? 0 : now_us;
    if (missing == NULL)
        return true;
    if (consumer->others_since_us == 0)
        consumer->others_since_us = now_us;
    if (now_us - consumer->others_since_us < session_us(consumer) + OTHERS_GRACE_US)
        return false;
    consumer->others_us = 0;
    aq_kafka_say(
        consumer,
        "topic \"%s\", partition %d is read by another process of the group \"%s\", which has "
        "not come to its end: left to it",
        missing->topic, missing->partition, consumer->sources[0].config->client.group);
    return true;
}

bool aq_kafka_once_is_done(struct aq_kafka_consumer *consumer)
{
    bool done = consumer->assigned && !consumer->rebalance.waiting;
    for (size_t i = 0; i < consumer->partition_count && done; i++) {
        const struct aq_kafka_partition *partition = consumer->partitions[i];
        done = partition->settled && has_reached(partition, goal_of(consumer, partition));
    }
    if (done)
        return others_are_done(consumer);
    consumer->others_since_us = 0;
    consumer->others_us = 0;
    return false;
}
