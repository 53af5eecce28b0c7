/* aqstore-network.so: what talks to brokers, buckets and browsers. */
#ifndef AQ_TOOLS_PARTS_NETWORK_H
#define AQ_TOOLS_PARTS_NETWORK_H

#include "engine/ingest/kafka/kafka.h"
#include "engine/ingest/kafka/producer/producer.h"
#include "engine/object/s3.h"
#include "tools/parts/part.h"
#include "tools/service/http/http_server.h"

#define AQ_NETWORK_FUNCTIONS(FUNCTION) \
    FUNCTION(aq_kafka_check)           \
    FUNCTION(aq_kafka_run)             \
    FUNCTION(aq_kafka_cluster_id)      \
    FUNCTION(aq_kafka_is_same_log)     \
    FUNCTION(aq_kafka_find_ends)       \
    FUNCTION(aq_kafka_topic_ends)      \
    FUNCTION(aq_producer_create)       \
    FUNCTION(aq_producer_destroy)      \
    FUNCTION(aq_producer_send)         \
    FUNCTION(aq_producer_wait)         \
    FUNCTION(aq_producer_flush)        \
    FUNCTION(aq_producer_delivered)    \
    FUNCTION(aq_object_open_s3)        \
    FUNCTION(aq_s3_probe)              \
    FUNCTION(aq_http_start)            \
    FUNCTION(aq_http_stop)             \
    FUNCTION(aq_http_address)          \
    FUNCTION(aq_http_sweep)

struct aq_network {
    struct aq_part_table head;
#define AQ_NETWORK_MEMBER(name) __typeof__(name) *name;
    AQ_NETWORK_FUNCTIONS(AQ_NETWORK_MEMBER)
#undef AQ_NETWORK_MEMBER
};

#endif
