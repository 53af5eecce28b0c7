/* Kafka sources: a consumer group's messages -> decode -> frames -> durable segments. */
#ifndef AQ_ENGINE_INGEST_KAFKA_KAFKA_H
#define AQ_ENGINE_INGEST_KAFKA_KAFKA_H

#include <stdatomic.h>
#include <string.h>

#include "engine/ingest/config.h"
#include "engine/ingest/monitor.h"
#include "engine/store/store.h"

struct aq_kafka_run_options {
    const struct aq_config *config;
    const struct aq_source_config *const
        *sources; /* all of one consumer: see aq_kafka_same_group */
    size_t source_count;
    bool once;                  /* end when every partition has reached the end it had at start */
    const atomic_bool *stop;    /* set by a signal: drain, then AQ_OK */
    struct aq_monitor *monitor; /* may be NULL */
    void (*notice)(void *context, const char *message); /* may be NULL; from the caller's thread */
    void *context;
};

/** Whether librdkafka takes a source's settings; a fault is AQ_INVALID with its place in the config. */
enum aq_status aq_kafka_check(const struct aq_config *config, const struct aq_source_config *source,
                              struct aq_error *err) AQ_RESULT;

/** Whether two Kafka sources share a consumer: same brokers and group. A config in which their other settings
 * differ is refused. */
static inline bool aq_kafka_same_group(const struct aq_source_config *a,
                                       const struct aq_source_config *b)
{
    return strcmp(a->client.brokers, b->client.brokers) == 0 &&
           strcmp(a->client.group, b->client.group) == 0;
}

/**
 * Run the sources of one consumer until told to stop: declares their datasets, recovers the store, joins the
 * group, claims what it is assigned, and seals at the end. A broker that is down, or a full disk, is
 * waited for; a source that needs somebody is stopped alone, the others go on.
 * @return AQ_OK after a drain or with `once` at the end; AQ_TEMPORARY with `once` when the broker cannot be
 * reached; else what failed, when nothing can go on. @thread Blocks; a thread of its own.
 */
enum aq_status aq_kafka_run(struct aq_store *store, const struct aq_kafka_run_options *options,
                            struct aq_error *err) AQ_RESULT;

/** The cluster's id, for `sources accept` and for lags; `id` has room for 128 bytes. */
enum aq_status aq_kafka_cluster_id(const struct aq_source_config *source, char *id,
                                   struct aq_error *err) AQ_RESULT;
/**
 * Whether a partition's log still is the one that was read up to `position`, by the last message before it.
 * A log that has that message no more, but reaches there, passes for the same.
 */
enum aq_status aq_kafka_is_same_log(const struct aq_source_config *source, const char *topic,
                                    int32_t partition, const struct aq_feed_position *position,
                                    bool *same, struct aq_error *err) AQ_RESULT;
/** The end of a partition's log. */
struct aq_kafka_end {
    const char *topic;
    int32_t partition;
    bool known; /* the topic and its partition are there */
    uint64_t end_ordinal;
};
/** Fill in the ends of logs of the cluster with this id, each question answered within `timeout_ms`;
 * AQ_NOT_FOUND when the source's brokers are another cluster. */
enum aq_status aq_kafka_find_ends(const struct aq_source_config *source, const char *cluster,
                                  int timeout_ms, struct aq_kafka_end *ends, size_t end_count,
                                  struct aq_error *err) AQ_RESULT;
/** First and next offset of a topic's partitions, visited in order. */
enum aq_status aq_kafka_topic_ends(const struct aq_source_config *source, const char *topic,
                                   void (*visit)(void *context, int32_t partition, uint64_t low,
                                                 uint64_t high),
                                   void *context, struct aq_error *err) AQ_RESULT;

#endif
