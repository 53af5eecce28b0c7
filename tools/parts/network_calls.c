/* Linked into the program: the functions of aqstore-network.so under their own names. Unit tests link the
 * functions themselves.
 *
 * Failures: whatever makes the first thing says that the part cannot be opened. */
#include "tools/parts/network.h"

static struct aq_part part = {
    .name = "network",
    .task = "talks to brokers, buckets and browsers",
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

static enum aq_status open_part(const struct aq_network **network, struct aq_error *err)
{
    const void *table;
    AQ_TRY(aq_part_open(&part, &table, err));
    *network = table;
    return AQ_OK;
}

static const struct aq_network *opened(void)
{
    return aq_part_opened(&part);
}

enum aq_status aq_kafka_check(const struct aq_config *config, const struct aq_source_config *source,
                              struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_kafka_check(config, source, err);
}

enum aq_status aq_kafka_run(struct aq_store *store, const struct aq_kafka_run_options *options,
                            struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_kafka_run(store, options, err);
}

enum aq_status aq_kafka_cluster_id(const struct aq_source_config *source, char *id,
                                   struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_kafka_cluster_id(source, id, err);
}

enum aq_status aq_kafka_is_same_log(const struct aq_source_config *source, const char *topic,
                                    int32_t partition, const struct aq_feed_position *position,
                                    bool *same, struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_kafka_is_same_log(source, topic, partition, position, same, err);
}

enum aq_status aq_kafka_find_ends(const struct aq_source_config *source, const char *cluster,
                                  int timeout_ms, struct aq_kafka_end *ends, size_t end_count,
                                  struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_kafka_find_ends(source, cluster, timeout_ms, ends, end_count, err);
}

enum aq_status aq_kafka_topic_ends(const struct aq_source_config *source, const char *topic,
                                   void (*visit)(void *context, int32_t partition, uint64_t low,
                                                 uint64_t high),
                                   void *context, struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_kafka_topic_ends(source, topic, visit, context, err);
}

enum aq_status aq_producer_create(const struct aq_source_config *source,
                                  const struct aq_config *config, const char *topic,
                                  int32_t partition, const atomic_bool *stop,
                                  struct aq_producer **created, struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_producer_create(source, config, topic, partition, stop, created, err);
}

void aq_producer_destroy(struct aq_producer *producer)
{
    if (producer != NULL)
        opened()->aq_producer_destroy(producer);
}

enum aq_status aq_producer_send(struct aq_producer *producer, struct aq_slice key,
                                struct aq_slice value, struct aq_error *err)
{
    return opened()->aq_producer_send(producer, key, value, err);
}

enum aq_status aq_producer_wait(struct aq_producer *producer, int timeout_ms, struct aq_error *err)
{
    return opened()->aq_producer_wait(producer, timeout_ms, err);
}

enum aq_status aq_producer_flush(struct aq_producer *producer, struct aq_error *err)
{
    return opened()->aq_producer_flush(producer, err);
}

uint64_t aq_producer_delivered(const struct aq_producer *producer)
{
    return opened()->aq_producer_delivered(producer);
}

enum aq_status aq_object_open_s3(const struct aq_s3_options *options,
                                 struct aq_object_store **store, struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_object_open_s3(options, store, err);
}

enum aq_status aq_s3_probe(struct aq_object_store *store, struct aq_s3_capabilities *capabilities,
                           struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_s3_probe(store, capabilities, err);
}

enum aq_status aq_http_start(const struct aq_http_options *options, struct aq_http_server **server,
                             struct aq_error *err)
{
    const struct aq_network *network;
    AQ_TRY(open_part(&network, err));
    return network->aq_http_start(options, server, err);
}

void aq_http_stop(struct aq_http_server *server)
{
    if (server != NULL)
        opened()->aq_http_stop(server);
}

const char *aq_http_address(const struct aq_http_server *server)
{
    return opened()->aq_http_address(server);
}

void aq_http_sweep(struct aq_http_server *server)
{
    if (server != NULL)
        opened()->aq_http_sweep(server);
}
