/* Sources, and the sections `kafka:`, `tier:` and `http:`. */
#ifndef AQ_ENGINE_CONFIG_SECTION_SOURCE_H
#define AQ_ENGINE_CONFIG_SECTION_SOURCE_H

#include "engine/config/config_read.h"

/** Parse and check one entry of `sources:`; node->key is its name. config->datasets is filled. */
enum aq_status aq_config_source_parse(struct aq_config_reader *reader,
                                      const struct aq_config_node *node,
                                      const struct aq_config *config,
                                      struct aq_source_config *source) AQ_RESULT;

/** Check the last source against those before it: a topic that another brings into the same dataset
 * already, and client settings that differ within one consumer group. */
enum aq_status aq_config_source_compare(struct aq_config_reader *reader,
                                        const struct aq_config *config) AQ_RESULT;

/** Parse and check `kafka:`, `tier:`, `http:`. Secrets of `*_file:` keys are read here. */
enum aq_status aq_config_kafka_parse(struct aq_config_reader *reader,
                                     const struct aq_config_node *node,
                                     struct aq_kafka_config *kafka) AQ_RESULT;
enum aq_status aq_config_tier_parse(struct aq_config_reader *reader,
                                    const struct aq_config_node *node,
                                    struct aq_tier_config *tier) AQ_RESULT;
enum aq_status aq_config_http_parse(struct aq_config_reader *reader,
                                    const struct aq_config_node *node,
                                    struct aq_http_config *http) AQ_RESULT;

#endif
