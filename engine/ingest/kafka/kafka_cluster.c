/* Questions to a cluster, for commands that do not consume: its id, the ends of a topic's logs.
 *
 * Happy path: a client that joins no group asks and goes.
 * Failures: AQ_TEMPORARY where no broker answers in time, AQ_NOT_FOUND for a topic that is not there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define CONNECT_MS 10000

static enum aq_status unreachable(const struct aq_source_config *source, struct aq_error *err)
{
    return aq_error_set(err, AQ_TEMPORARY,
                        "source \"%s\": no answer from %s within %d s: see whether the broker runs "
                        "and brokers:, security: and username: are right",
                        source->name, source->client.brokers, CONNECT_MS / 1000);
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
        return aq_error_set(err, AQ_NOT_FOUND, "topic \"%s\" on %s: %s", topic->topic,
                            source->client.brokers,
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
