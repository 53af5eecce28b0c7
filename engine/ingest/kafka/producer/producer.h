/* Messages to one topic, each delivered once. */
#ifndef AQ_ENGINE_INGEST_KAFKA_PRODUCER_PRODUCER_H
#define AQ_ENGINE_INGEST_KAFKA_PRODUCER_PRODUCER_H

#include "engine/ingest/config.h"

#include <stdatomic.h>

struct aq_producer;

/** By the key's hash; without a key any. */
#define AQ_PARTITION_ANY (-1)

/**
 * Connect, and see that the topic is there; a broker that makes topics by itself makes it.
 * @param source  Its brokers and settings; `config` is for messages and may be NULL.
 * @param stop    Set by a signal: waiting ends with AQ_INTERRUPTED.
 * @return AQ_TEMPORARY where no broker answers, AQ_NOT_FOUND where the topic, or `partition`, is not
 * there. @thread One at a time per producer, as for all below.
 */
enum aq_status aq_producer_create(const struct aq_source_config *source,
                                  const struct aq_config *config, const char *topic,
                                  int32_t partition, const atomic_bool *stop,
                                  struct aq_producer **created, struct aq_error *err) AQ_RESULT;
/** What is not delivered yet is given up. */
void aq_producer_destroy(struct aq_producer *producer);

/** Copy a message into the queue; waits while that is full. `key` with data NULL: none. Fails also with what
 * became of earlier messages. */
enum aq_status aq_producer_send(struct aq_producer *producer, struct aq_slice key,
                                struct aq_slice value, struct aq_error *err) AQ_RESULT;
/** Let `timeout_ms` pass, or a little less, while messages are delivered. */
enum aq_status aq_producer_wait(struct aq_producer *producer, int timeout_ms,
                                struct aq_error *err) AQ_RESULT;
/** Wait until all are delivered, whatever `stop` says. */
enum aq_status aq_producer_flush(struct aq_producer *producer, struct aq_error *err) AQ_RESULT;
/** Messages that the brokers have. */
uint64_t aq_producer_delivered(const struct aq_producer *producer);

#endif
