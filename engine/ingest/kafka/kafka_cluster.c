/* Questions to a cluster, for commands that do not consume: its id, the ends of a topic's logs, whether a log
 * is the one that was read.
 *
 * Happy path: a client that joins no group asks and goes.
 * Failures: AQ_TEMPORARY where no broker answers in time, AQ_NOT_FOUND for a topic that is not there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define CONNECT_MS 10000
#define POLL_MS 500

static enum aq_status unreachable_in(const struct aq_source_config *source, int timeout_ms,
                                     struct aq_error *err)
{
    return aq_error_set(err, AQ_TEMPORARY,
                        "source \"%s\": no answer from %s within %d s: see whether the broker runs "
                        "and brokers:, security: and username: are right",
                        source->name, source->client.brokers, timeout_ms / 1000);
}

static enum aq_status unreachable(const struct aq_source_config *source, struct aq_error *err)
{
    return unreachable_in(source, CONNECT_MS, err);
}

static enum aq_status check_cluster(rd_kafka_t *rk, const struct aq_source_config *source,
                                    const char *cluster, int timeout_ms, struct aq_error *err)
{
    char *found = rd_kafka_clusterid(rk, timeout_ms);
    if (found == NULL)
        return unreachable_in(source, timeout_ms, err);
    bool same = strcmp(found, cluster) == 0;
    rd_kafka_mem_free(rk, found);
    return same ? AQ_OK
                : aq_error_set(err, AQ_NOT_FOUND,
                               "source \"%s\": %s is another cluster than the one that was read",
                               source->name, source->client.brokers);
}

static enum aq_status ask_ends(rd_kafka_t *rk, const struct aq_source_config *source,
                               int timeout_ms, struct aq_kafka_end *ends, size_t end_count,
                               struct aq_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)end_count);
    for (size_t i = 0; i < end_count; i++)
        rd_kafka_topic_partition_list_add(list, ends[i].topic, ends[i].partition)->offset =
            RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t fault = rd_kafka_offsets_for_times(rk, list, timeout_ms);
    for (size_t i = 0; fault == RD_KAFKA_RESP_ERR_NO_ERROR && i < end_count; i++) {
        const rd_kafka_topic_partition_t *one =
            rd_kafka_topic_partition_list_find(list, ends[i].topic, ends[i].partition);
        ends[i].known = one->err == RD_KAFKA_RESP_ERR_NO_ERROR && one->offset >= 0;
        ends[i].end_ordinal = ends[i].known ? (uint64_t)one->offset : 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return fault == RD_KAFKA_RESP_ERR_NO_ERROR
               ? AQ_OK
               : aq_error_set(err, AQ_TEMPORARY,
                              "source \"%s\": asking %s for the ends of logs: %s", source->name,
                              source->client.brokers, rd_kafka_err2str(fault));
}

enum aq_status aq_kafka_find_ends(const struct aq_source_config *source, const char *cluster,
                                  int timeout_ms, struct aq_kafka_end *ends, size_t end_count,
                                  struct aq_error *err)
{
    rd_kafka_t *rk = NULL;
    if (end_count == 0)
        return AQ_OK;
    AQ_TRY(aq_kafka_client_create(source, NULL, NULL, &rk, err));
    enum aq_status status = check_cluster(rk, source, cluster, timeout_ms, err);
    if (status == AQ_OK)
        status = ask_ends(rk, source, timeout_ms, ends, end_count, err);
    rd_kafka_destroy(rk);
    return status;
}

enum aq_status aq_kafka_cluster_id(const struct aq_source_config *source, char *id,
                                   struct aq_error *err)
{
    rd_kafka_t *rk = NULL;
    AQ_TRY(aq_kafka_client_create(source, NULL, NULL, &rk, err));
    char *found = rd_kafka_clusterid(rk, CONNECT_MS);
    if (found != NULL)
        snprintf(id, AQ_KAFKA_CLUSTER_BYTES, "%s", found);
    enum aq_status status = found != NULL ? AQ_OK : unreachable(source, err);
    if (found != NULL)
        rd_kafka_mem_free(rk, found);
    rd_kafka_destroy(rk);
    return status;
}

static int compare_numbers(const void *a, const void *b)
{
    int32_t left = ((const rd_kafka_metadata_partition_t *)a)->id;
    int32_t right = ((const rd_kafka_metadata_partition_t *)b)->id;
    return (left > right) - (left < right);
}

static enum aq_status visit_ends(rd_kafka_t *rk, const struct aq_source_config *source,
                                 rd_kafka_metadata_topic_t *topic,
                                 void (*visit)(void *, int32_t, uint64_t, uint64_t), void *context,
                                 struct aq_error *err)
{
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR || topic->partition_cnt == 0)
        return aq_error_set(err, AQ_NOT_FOUND,
                            "topic \"%s\" on %s: %s: correct the name, or make the topic",
                            topic->topic, source->client.brokers,
                            topic->err != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(topic->err)
                                                                     : "has no partitions");
    qsort(topic->partitions, (size_t)topic->partition_cnt, sizeof *topic->partitions,
          compare_numbers);
    for (int i = 0; i < topic->partition_cnt; i++) {
        int64_t low = 0;
        int64_t high = 0;
        rd_kafka_resp_err_t fault = rd_kafka_query_watermark_offsets(
            rk, topic->topic, topic->partitions[i].id, &low, &high, CONNECT_MS);
        if (fault != RD_KAFKA_RESP_ERR_NO_ERROR)
            return aq_error_set(err, AQ_TEMPORARY, "topic \"%s\", partition %d: %s", topic->topic,
                                topic->partitions[i].id, rd_kafka_err2str(fault));
        visit(context, topic->partitions[i].id, (uint64_t)low, (uint64_t)high);
    }
    return AQ_OK;
}

enum aq_status aq_kafka_topic_ends(const struct aq_source_config *source, const char *topic,
                                   void (*visit)(void *context, int32_t partition, uint64_t low,
                                                 uint64_t high),
                                   void *context, struct aq_error *err)
{
    rd_kafka_t *rk = NULL;
    const rd_kafka_metadata_t *metadata = NULL;
    AQ_TRY(aq_kafka_client_create(source, NULL, NULL, &rk, err));
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    enum aq_status status = AQ_OK;
    if (handle == NULL)
        status = aq_error_set(err, AQ_INVALID, "\"%s\" is no name of a topic", topic);
    else if (rd_kafka_metadata(rk, 0, handle, &metadata, CONNECT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        status = unreachable(source, err);
    else
        status = visit_ends(rk, source, metadata->topics, visit, context, err);
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    if (handle != NULL)
        rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(rk);
    return status;
}

/* ---- the same log? ---- */

/* Compare the message at the consumer's one partition, or what follows where it is gone. */
static enum aq_status compare_next(rd_kafka_t *rk, const struct aq_source_config *source,
                                   const struct aq_feed_position *position, bool *same,
                                   struct aq_error *err)
{
    rd_kafka_message_t *message = NULL;
    for (int waited_ms = 0; message == NULL && waited_ms < CONNECT_MS; waited_ms += POLL_MS) {
        message = rd_kafka_consumer_poll(rk, POLL_MS);
        if (message != NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
            message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            rd_kafka_message_destroy(message); /* tried again by librdkafka */
            message = NULL;
        }
    }
    if (message == NULL)
        return unreachable(source, err);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
        (uint64_t)message->offset == position->next_ordinal - 1) {
        struct aq_hash128 hash = aq_kafka_message_hash(message);
        *same = aq_hash128_equal(&hash, &position->hash);
    }
    rd_kafka_message_destroy(message);
    return AQ_OK;
}

static enum aq_status compare_last(rd_kafka_t *rk, const struct aq_source_config *source,
                                   const char *topic, int32_t partition,
                                   const struct aq_feed_position *position, bool *same,
                                   struct aq_error *err)
{
    int64_t low = 0;
    int64_t high = 0;
    if (rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, CONNECT_MS) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return unreachable(source, err);
    *same = (uint64_t)high >= position->next_ordinal;
    if (!*same || !aq_kafka_has_last(position) || (uint64_t)low >= position->next_ordinal)
        return AQ_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        (int64_t)position->next_ordinal - 1;
    rd_kafka_resp_err_t fault = rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return fault != RD_KAFKA_RESP_ERR_NO_ERROR ? unreachable(source, err)
                                               : compare_next(rk, source, position, same, err);
}

enum aq_status aq_kafka_is_same_log(const struct aq_source_config *source, const char *topic,
                                    int32_t partition, const struct aq_feed_position *position,
                                    bool *same, struct aq_error *err)
{
    rd_kafka_t *rk = NULL;
    AQ_TRY(aq_kafka_client_create(source, NULL, NULL, &rk, err));
    rd_kafka_poll_set_consumer(rk);
    enum aq_status status = compare_last(rk, source, topic, partition, position, same, err);
    rd_kafka_destroy(rk);
    return status;
}
