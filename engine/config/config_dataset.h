/* Datasets and their columns. */
#ifndef AQ_ENGINE_CONFIG_DATASET_H
#define AQ_ENGINE_CONFIG_DATASET_H

#include "engine/config/config_read.h"

/** Parse and check one entry of `datasets:`; node->key is its name. */
enum aq_status aq_config_dataset_parse(struct aq_config_reader *reader,
                                       const struct aq_config_node *node,
                                       struct aq_dataset_config *dataset,
                                       struct aq_retention *retention) AQ_RESULT;

/** Parse and check one entry of `columns:`; node->key is its name. */
enum aq_status aq_config_column_parse(struct aq_config_reader *reader,
                                      const struct aq_config_node *node, struct aq_column *column,
                                      struct aq_former_names *was,
                                      struct aq_column_config *config) AQ_RESULT;

/** Fail unless node->key is a name that SQL takes without quotes, as `what` ("a dataset"). */
enum aq_status aq_config_check_relation(struct aq_config_reader *reader,
                                        const struct aq_config_node *node,
                                        const char *what) AQ_RESULT;

/** `retention:`; NULL: all is kept for ever. `schema` has its key and time. */
enum aq_status aq_config_retention_parse(struct aq_config_reader *reader,
                                         const struct aq_config_node *node,
                                         const struct aq_schema *schema,
                                         struct aq_retention *retention) AQ_RESULT;

#endif
