/* From a source's config to a librdkafka handle.
 *
 * Happy path: our defaults, then the config's properties, which may change them, then what must be as we
 * say because positions come from the store and not from the broker.
 * Failures: a property that librdkafka does not know or take is a mistake in the config, shown with its
 * line; so is one that is ours to set. Values are not repeated in messages: they may be secrets. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/ingest/kafka/kafka_consumer.h"

#define ERROR_BYTES 512

struct property {
    const char *name;
    const char *value;
};

static const struct property defaults[] = {
    {"client.id", "aqstore"},
    {"partition.assignment.strategy", "cooperative-sticky"},
    {"topic.metadata.refresh.interval.ms", "30000"}, /* new topics and partitions are found so */
    {"check.crcs", "true"},
    {"log.connection.close", "false"},
    {"socket.keepalive.enable", "true"},
};

static const struct property forced[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    /* Never asked for at the beginning; behind a position that is gone, kafka_check.c looks at what follows. */
    {"auto.offset.reset", "earliest"},
    {"enable.partition.eof", "true"},
};

/* Set from other keys of the config. */
static const char *const named[] = {
    "bootstrap.servers", "metadata.broker.list", "group.id", "sasl.password", NULL,
};

static void log_nothing(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    /* What matters comes as an error event, too. */
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static bool is_ours(const char *name)
{
    for (size_t i = 0; i < sizeof forced / sizeof forced[0]; i++) {
        if (strcmp(name, forced[i].name) == 0)
            return true;
    }
    for (size_t i = 0; named[i] != NULL; i++) {
        if (strcmp(name, named[i]) == 0)
            return true;
    }
    return false;
}

static void locate(const struct aq_config *config, const struct aq_config_mark *mark, char *out,
                   size_t out_size)
{
    out[0] = '\0';
    if (config != NULL && mark->line > 0)
        snprintf(out, out_size, "%s:%d:%d", config->path, mark->line, mark->column);
}

/* librdkafka's sentences may quote the value. */
static const char *explain(rd_kafka_conf_res_t result)
{
    return result == RD_KAFKA_CONF_UNKNOWN
               ? "librdkafka has no such property; its CONFIGURATION.md lists them all"
               : "librdkafka does not take this value; its CONFIGURATION.md says which it takes";
}

static enum aq_status set_property(rd_kafka_conf_t *conf, const struct aq_config *config,
                                   const struct aq_kafka_property *property, struct aq_error *err)
{
    char ignored[ERROR_BYTES];
    char position[AQ_ERROR_PATH_MAX];
    locate(config, &property->mark, position, sizeof position);
    if (is_ours(property->name))
        return aq_error_set_at(err, AQ_INVALID, position, -1,
                               "%s: is not for options: aqstore sets it itself; remove it",
                               property->name);
    rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf, property->name, property->value, ignored, sizeof ignored);
    if (result != RD_KAFKA_CONF_OK)
        return aq_error_set_at(err, AQ_INVALID, position, -1, "%s: %s", property->name,
                               explain(result));
    return AQ_OK;
}

static enum aq_status set_all(rd_kafka_conf_t *conf, const struct property *properties,
                              size_t count, struct aq_error *err)
{
    char text[ERROR_BYTES];
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_conf_set(conf, properties[i].name, properties[i].value, text, sizeof text) !=
            RD_KAFKA_CONF_OK)
            return aq_error_set(err, AQ_UNSUPPORTED, "librdkafka %s: %s", rd_kafka_version_str(),
                                text);
    }
    return AQ_OK;
}

static size_t count_groups(const struct aq_config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->source_count; i++) {
        bool first = config->sources[i].is_kafka;
        for (size_t before = 0; before < i && first; before++)
            first = !config->sources[before].is_kafka ||
                    !aq_kafka_same_group(&config->sources[before], &config->sources[i]);
        count += first;
    }
    return count > 0 ? count : 1;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/*
 * A sixth of ingest.memory is for what waits in librdkafka's queue, and as much for the 400 bytes or so that
 * it keeps beside each message; the fetches that are on their way and the frames have the rest. Less
 * would be slow: once the queue is full, librdkafka 2.0 looks at it again after a second only, so that a
 * long backlog is read at one queue a second.
 */
#define MESSAGE_OVERHEAD_BYTES 400

static enum aq_status set_memory(rd_kafka_conf_t *conf, const struct aq_config *config,
                                 struct aq_error *err)
{
    char queue[32];
    char count[32];
    char fetch[32];
    char partition[32];
    uint64_t share = config->ingest_memory_bytes / count_groups(config) / 6;
    uint64_t fetch_bytes = clamp(share / 3, 1 << 20, 50 << 20);
    snprintf(queue, sizeof queue, "%" PRIu64, clamp(share >> 10, 256, 1 << 20));
    snprintf(count, sizeof count, "%" PRIu64,
             clamp(share / MESSAGE_OVERHEAD_BYTES, 1000, 10000000));
    snprintf(fetch, sizeof fetch, "%" PRIu64, fetch_bytes);
    snprintf(partition, sizeof partition, "%" PRIu64, clamp(fetch_bytes / 4, 64 << 10, 1 << 20));
    const struct property properties[] = {
        {"queued.max.messages.kbytes", queue},
        {"queued.min.messages", count},
        {"fetch.max.bytes", fetch},
        {"max.partition.fetch.bytes", partition},
    };
    return set_all(conf, properties, sizeof properties / sizeof properties[0], err);
}

static enum aq_status set_named(rd_kafka_conf_t *conf, const struct aq_source_config *source,
                                const struct aq_config *config, struct aq_error *err)
{
    const struct aq_kafka_config *client = &source->client;
    const struct property properties[] = {
        {"bootstrap.servers", client->brokers},
        {"group.id", client->group},
        {"sasl.password", client->password},
    };
    char ignored[ERROR_BYTES];
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
        if (properties[i].value == NULL)
            continue;
        rd_kafka_conf_res_t result = rd_kafka_conf_set(
            conf, properties[i].name, properties[i].value, ignored, sizeof ignored);
        char position[AQ_ERROR_PATH_MAX];
        locate(config, &source->mark, position, sizeof position);
        if (result != RD_KAFKA_CONF_OK)
            return aq_error_set_at(err, AQ_INVALID, position, -1, "source \"%s\": %s: %s",
                                   source->name, properties[i].name, explain(result));
    }
    return AQ_OK;
}

static enum aq_status fill(rd_kafka_conf_t *conf, const struct aq_source_config *source,
                           const struct aq_config *config, struct aq_kafka_consumer *opaque,
                           struct aq_error *err)
{
    const struct aq_kafka_config *client = &source->client;
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    AQ_TRY(set_all(conf, defaults, sizeof defaults / sizeof defaults[0], err));
    if (config != NULL)
        AQ_TRY(set_memory(conf, config, err));
    for (size_t i = 0; i < client->property_count; i++)
        AQ_TRY(set_property(conf, config, &client->properties[i], err));
    AQ_TRY(set_named(conf, source, config, err));
    AQ_TRY(set_all(conf, forced, sizeof forced / sizeof forced[0], err));
    if (opaque == NULL)
        return AQ_OK;
    rd_kafka_conf_set_opaque(conf, opaque);
    rd_kafka_conf_set_rebalance_cb(conf, aq_kafka_rebalance_cb);
    rd_kafka_conf_set_error_cb(conf, aq_kafka_error_cb);
    return AQ_OK;
}

/* `conf` is used up. */
static enum aq_status create(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                             const struct aq_source_config *source, const struct aq_config *config,
                             rd_kafka_t **rk, struct aq_error *err)
{
    char text[ERROR_BYTES];
    char position[AQ_ERROR_PATH_MAX];
    *rk = rd_kafka_new(type, conf, text, sizeof text);
    if (*rk == NULL) { /* the properties contradict each other; the sentence names them */
        rd_kafka_conf_destroy(conf);
        locate(config, &source->mark, position, sizeof position);
        return aq_error_set_at(err, AQ_INVALID, position, -1, "source \"%s\": kafka: %s",
                               source->name, text);
    }
    return AQ_OK;
}

enum aq_status aq_kafka_client_create(const struct aq_source_config *source,
                                      const struct aq_config *config,
                                      struct aq_kafka_consumer *opaque, rd_kafka_t **rk,
                                      struct aq_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum aq_status status = fill(conf, source, config, opaque, err);
    if (status == AQ_OK)
        return create(RD_KAFKA_CONSUMER, conf, source, config, rk, err);
    rd_kafka_conf_destroy(conf);
    return status;
}

enum aq_status aq_kafka_producer_client_create(
    const struct aq_source_config *source, const struct aq_config *config, void *opaque,
    void (*delivered)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque),
    rd_kafka_t **rk, struct aq_error *err)
{
    static const struct property of_producers[] = {
        {"enable.idempotence", "true"}, /* a retry neither doubles nor reorders */
        {"linger.ms", "20"},
        {"queue.buffering.max.kbytes", "65536"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum aq_status status = fill(conf, source, config, NULL, err);
    if (status == AQ_OK)
        status = set_all(conf, of_producers, sizeof of_producers / sizeof of_producers[0], err);
    if (status < 0) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_conf_set_opaque(conf, opaque);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    return create(RD_KAFKA_PRODUCER, conf, source, config, rk, err);
}

enum aq_status aq_kafka_check(const struct aq_config *config, const struct aq_source_config *source,
                              struct aq_error *err)
{
    rd_kafka_t *rk = NULL;
    AQ_TRY(aq_kafka_client_create(source, config, NULL, &rk, err));
    rd_kafka_destroy(rk);
    return AQ_OK;
}
