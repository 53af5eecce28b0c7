/* The table of assigned partitions, in order of topic and number, and what is asked of librdkafka for
 * one of them. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

/* The first that is not before (topic, number). */
static size_t find_place(const struct aq_kafka_consumer *consumer, const char *topic,
                         int32_t number, bool *found)
{
    size_t low = 0;
    size_t high = consumer->partition_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct aq_kafka_partition *partition = consumer->partitions[middle];
        int order = strcmp(partition->topic, topic);
        if (order == 0)
            order = (partition->number > number) - (partition->number < number);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct aq_kafka_partition *aq_kafka_partition_find(const struct aq_kafka_consumer *consumer,
                                                   const char *topic, int32_t number)
{
    bool found;
    size_t at = find_place(consumer, topic, number, &found);
    return found ? consumer->partitions[at] : NULL;
}

static bool make_room(struct aq_kafka_consumer *consumer)
{
    if (consumer->partition_count < consumer->partition_capacity)
        return true;
    size_t capacity = 2 * consumer->partition_capacity + 16;
    struct aq_kafka_partition **grown =
        realloc(consumer->partitions, capacity * sizeof *consumer->partitions);
    if (grown == NULL)
        return false;
    consumer->partitions = grown;
    consumer->partition_capacity = capacity;
    return true;
}

struct aq_kafka_partition *aq_kafka_partition_add(struct aq_kafka_consumer *consumer,
                                                  const char *topic, int32_t number)
{
    bool found;
    size_t at = find_place(consumer, topic, number, &found);
    if (found)
        return consumer->partitions[at];
    struct aq_kafka_partition *partition = calloc(1, sizeof *partition);
    char *name = strdup(topic);
    if (partition == NULL || name == NULL || !make_room(consumer)) {
        free(partition);
        free(name);
        return NULL;
    }
    partition->topic = name;
    partition->number = number;
    partition->committed = -1;
    memmove(&consumer->partitions[at + 1], &consumer->partitions[at],
            (consumer->partition_count - at) * sizeof *consumer->partitions);
    consumer->partitions[at] = partition;
    consumer->partition_count++;
    return partition;
}

static void destroy(struct aq_kafka_partition *partition)
{
    free(partition->feeds);
    free(partition->topic);
    free(partition);
}

void aq_kafka_partition_remove(struct aq_kafka_consumer *consumer,
                               struct aq_kafka_partition *partition)
{
    bool found;
    size_t at = find_place(consumer, partition->topic, partition->number, &found);
    for (size_t i = 0; i < consumer->source_count; i++)
        aq_monitor_drop_partition(consumer->options->monitor, consumer->sources[i].monitor,
                                  partition->topic, partition->number);
    consumer->partition_count--;
    memmove(&consumer->partitions[at], &consumer->partitions[at + 1],
            (consumer->partition_count - at) * sizeof *consumer->partitions);
    destroy(partition);
}

void aq_kafka_partitions_destroy(struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++)
        destroy(consumer->partitions[i]);
    free(consumer->partitions);
    consumer->partition_count = 0;
}

bool aq_kafka_partition_is_read(const struct aq_kafka_partition *partition)
{
    for (size_t i = 0; i < partition->feed_count; i++) {
        if (partition->feeds[i].phase != AQ_KAFKA_HALTED)
            return true;
    }
    return false;
}

static rd_kafka_topic_partition_list_t *alone(const struct aq_kafka_partition *partition,
                                              int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset = offset;
    return list;
}

void aq_kafka_partition_pause(struct aq_kafka_consumer *consumer,
                              struct aq_kafka_partition *partition, bool pause)
{
    if (partition->paused == pause)
        return;
    rd_kafka_topic_partition_list_t *list = alone(partition, RD_KAFKA_OFFSET_INVALID);
    if (pause)
        rd_kafka_pause_partitions(consumer->rk, list);
    else
        rd_kafka_resume_partitions(consumer->rk, list);
    partition->paused = pause;
    rd_kafka_topic_partition_list_destroy(list);
}

bool aq_kafka_partition_seek(struct aq_kafka_consumer *consumer,
                             struct aq_kafka_partition *partition, uint64_t ordinal)
{
    rd_kafka_topic_partition_list_t *list = alone(partition, (int64_t)ordinal);
    rd_kafka_error_t *fault = rd_kafka_seek_partitions(consumer->rk, list, AQ_KAFKA_ASK_MS);
    bool done = fault == NULL && list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (fault != NULL)
        rd_kafka_error_destroy(fault);
    rd_kafka_topic_partition_list_destroy(list);
    if (!done)
        return false;
    partition->expected = ordinal;
    partition->barrier = consumer->batch;
    partition->at_end = false;
    return true;
}
