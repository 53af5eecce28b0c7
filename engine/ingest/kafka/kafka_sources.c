/* The sources that a consumer serves: their datasets declared, decoders and routers made, topics named.
 *
 * Failures: a declaration that contradicts the recorded one, a pattern that is no regular expression. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

static enum aq_status no_memory(struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
}

/* As librdkafka compiles it, so that both take the same topics. */
static enum aq_status compile(const struct aq_source_config *source, struct aq_kafka_topic *topic,
                              struct aq_error *err)
{
    char text[256];
    int fault = regcomp(&topic->pattern, topic->name, REG_EXTENDED | REG_NOSUB);
    if (fault == 0) {
        topic->is_pattern = true;
        return AQ_OK;
    }
    regerror(fault, &topic->pattern, text, sizeof text);
    return aq_error_set(err, AQ_INVALID, "source \"%s\": topics: \"%s\": %s", source->name,
                        topic->name, text);
}

static enum aq_status name_topics(struct aq_kafka_source *source, struct aq_error *err)
{
    const struct aq_kafka_config *client = &source->config->client;
    source->topics = calloc(client->topic_count, sizeof *source->topics);
    if (source->topics == NULL)
        return no_memory(err);
    for (size_t i = 0; i < client->topic_count; i++) {
        struct aq_kafka_topic *topic = &source->topics[source->topic_count];
        topic->name = client->topics[i];
        if (topic->name[0] == '^')
            AQ_TRY(compile(source->config, topic, err));
        source->topic_count++;
    }
    return AQ_OK;
}

static enum aq_status create_source(struct aq_kafka_consumer *consumer,
                                    const struct aq_source_config *config,
                                    struct aq_kafka_source *source, struct aq_error *err)
{
    const struct aq_dataset_config *dataset =
        aq_config_dataset(consumer->options->config, config->dataset);
    source->config = config;
    source->monitor = aq_monitor_find(consumer->options->monitor, config->name);
    AQ_TRY(name_topics(source, err));
    AQ_TRY(aq_store_declare(consumer->store, &dataset->schema, &source->schema, &source->rejects,
                            err));
    AQ_TRY(aq_decoder_create(dataset, source->schema, source->rejects, config->name,
                             &source->decoder, err));
    AQ_TRY(aq_message_decoder_create(source->decoder, config, &source->message, err));
    AQ_TRY(aq_router_create(source->schema, &source->row_router, err));
    return aq_router_create(source->rejects, &source->reject_router, err);
}

enum aq_status aq_kafka_sources_create(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    const struct aq_kafka_run_options *options = consumer->options;
    consumer->sources = calloc(options->source_count, sizeof *consumer->sources);
    consumer->sections = calloc(2 * options->source_count, sizeof *consumer->sections);
    if (consumer->sources == NULL || consumer->sections == NULL)
        return no_memory(err);
    for (size_t i = 0; i < options->source_count; i++) {
        struct aq_kafka_source *source = &consumer->sources[consumer->source_count++];
        AQ_TRY(create_source(consumer, options->sources[i], source, err));
    }
    return AQ_OK;
}

void aq_kafka_sources_destroy(struct aq_kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->source_count; i++) {
        struct aq_kafka_source *source = &consumer->sources[i];
        aq_router_destroy(source->row_router);
        aq_router_destroy(source->reject_router);
        aq_message_decoder_destroy(source->message);
        aq_decoder_destroy(source->decoder);
        for (size_t topic = 0; topic < source->topic_count; topic++) {
            if (source->topics[topic].is_pattern)
                regfree(&source->topics[topic].pattern);
        }
        free(source->topics);
    }
    free(consumer->sources);
    free(consumer->sections);
}

bool aq_kafka_source_reads(const struct aq_kafka_source *source, const char *topic)
{
    for (size_t i = 0; i < source->topic_count; i++) {
        const struct aq_kafka_topic *named = &source->topics[i];
        if (named->is_pattern ? regexec(&named->pattern, topic, 0, NULL, 0) == 0
                              : strcmp(named->name, topic) == 0)
            return true;
    }
    return false;
}

enum aq_status aq_kafka_subscribe(struct aq_kafka_consumer *consumer, struct aq_error *err)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < consumer->source_count; i++) {
        const struct aq_kafka_source *source = &consumer->sources[i];
        for (size_t topic = 0; topic < source->topic_count; topic++) {
            const char *name = source->topics[topic].name;
            if (rd_kafka_topic_partition_list_find(topics, name, RD_KAFKA_PARTITION_UA) == NULL)
                rd_kafka_topic_partition_list_add(topics, name, RD_KAFKA_PARTITION_UA);
        }
    }
    rd_kafka_resp_err_t fault = rd_kafka_subscribe(consumer->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR)
        return aq_error_set(err, AQ_INVALID, "source \"%s\": cannot subscribe to its topics: %s",
                            consumer->sources[0].config->name, rd_kafka_err2str(fault));
    return AQ_OK;
}
