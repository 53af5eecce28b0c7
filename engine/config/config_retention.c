/*
 * `retention:` of a dataset -> struct aq_retention.
 *
 * Happy path: one span for all, or a mapping of `default`, `rejects` and patterns of keys, in the order in which they
 * are tried.
 *
 * Failures: what is no span, patterns without a key, retention without a time.
 */
#include <string.h>

#include "engine/config/config_dataset.h"
#include "engine/config/config_node.h"

#define US_PER_MINUTE (60 * (uint64_t)AQ_US_PER_SECOND)

static enum aq_status read_span(struct aq_config_reader *reader, const struct aq_config_node *node,
                                int64_t *span_us)
{
    const struct aq_config_field field = {.name = node->key, .least = US_PER_MINUTE};
    if (node->kind == AQ_NODE_SCALAR && strcmp(node->text, "forever") == 0) {
        *span_us = AQ_RETENTION_FOREVER;
        return AQ_OK;
    }
    return aq_config_read_span(reader, node, &field, span_us);
}

static enum aq_status read_mapping(struct aq_config_reader *reader,
                                   const struct aq_config_node *node, const char *key,
                                   struct aq_retention *retention)
{
    bool rejects = false;
    retention->rules = aq_config_alloc(reader, node->count, sizeof *retention->rules);
    if (retention->rules == NULL)
        return AQ_NO_MEMORY;
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        int64_t span_us = 0;
        AQ_TRY(read_span(reader, entry, &span_us));
        if (strcmp(entry->key, "default") == 0) {
            retention->default_us = span_us;
        } else if (strcmp(entry->key, "rejects") == 0) {
            retention->rejects_us = span_us;
            rejects = true;
        } else if (key == NULL) {
            return aq_config_fail(reader, entry->key_mark,
                                  "retention: \"%s\" is a pattern of keys, and the dataset has no "
                                  "key:; use default and rejects alone",
                                  entry->key);
        } else {
            retention->rules[retention->rule_count++] =
                (struct aq_retention_rule){.pattern = entry->key, .span_us = span_us};
        }
    }
    if (!rejects)
        retention->rejects_us = retention->default_us;
    return AQ_OK;
}

enum aq_status aq_config_retention_parse(struct aq_config_reader *reader,
                                         const struct aq_config_node *node,
                                         const struct aq_schema *schema,
                                         struct aq_retention *retention)
{
    const char *key =
        schema->key_column == AQ_COLUMN_NONE ? NULL : schema->columns[schema->key_column].name;
    *retention = (struct aq_retention){.dataset = schema->dataset};
    if (node == NULL)
        return AQ_OK;
    if (schema->time_column == AQ_COLUMN_NONE)
        return aq_config_fail(reader, node->key_mark,
                              "retention: needs time: with the column that says when a row "
                              "happened");
    if (node->kind == AQ_NODE_MAPPING)
        return read_mapping(reader, node, key, retention);
    AQ_TRY(read_span(reader, node, &retention->default_us));
    retention->rejects_us = retention->default_us;
    return AQ_OK;
}
