/* Sources, and the sections that later steps read: their shape is checked now. */
#ifndef AQ_ENGINE_CONFIG_SOURCE_H
#define AQ_ENGINE_CONFIG_SOURCE_H

#include "engine/config/config_read.h"

/** Parse and check one entry of `sources:`; node->key is its name. config->datasets is filled. */
enum aq_status aq_config_source_parse(struct aq_config_reader *reader,
                                      const struct aq_config_node *node,
                                      const struct aq_config *config,
                                      struct aq_source_config *source) AQ_RESULT;

/** Check keys and value types of `kafka:`, `tier:`, `http:`. */
enum aq_status aq_config_check_kafka(struct aq_config_reader *reader,
                                     const struct aq_config_node *node) AQ_RESULT;
enum aq_status aq_config_check_tier(struct aq_config_reader *reader,
                                    const struct aq_config_node *node) AQ_RESULT;
enum aq_status aq_config_check_http(struct aq_config_reader *reader,
                                    const struct aq_config_node *node) AQ_RESULT;

/** Whether the value of `key` must not be shown. */
bool aq_config_is_secret(const char *key);

#endif
