/*
 * One entry of `columns:` -> its type and how its value is found and read.
 *
 * Happy path: the type is looked up, `from` parsed into paths (absent: the column's own name), the
 * other keys copied. Failures: an unknown type; a key that has no meaning for the type, which would
 * otherwise be silently ignored; a path of another type than the column's.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/civil/civil_time.h"
#include "engine/config/config_dataset.h"
#include "engine/config/config_node.h"
#include "engine/config/config_path.h"

struct column_nodes {
    const struct aq_config_node *type;
    struct aq_config_texts from;
    struct aq_config_texts was;
    bool required;
    const char *format;
    const char *zone;
    struct aq_config_texts null_values;
    const struct aq_config_node *default_value;
    const struct aq_config_node *scale;
    const struct aq_config_node *map;
};

static const struct aq_config_field column_fields[] = {
    {"type", aq_config_read_node, offsetof(struct column_nodes, type), 0, 0, NULL},
    {"from", aq_config_read_texts, offsetof(struct column_nodes, from), 0, 0, NULL},
    {"was", aq_config_read_texts, offsetof(struct column_nodes, was), 0, 0, NULL},
    {"required", aq_config_read_bool, offsetof(struct column_nodes, required), 0, 0, NULL},
    {"format", aq_config_read_text, offsetof(struct column_nodes, format), 0, 0, NULL},
    {"zone", aq_config_read_text, offsetof(struct column_nodes, zone), 0, 0, NULL},
    {"null_values", aq_config_read_texts, offsetof(struct column_nodes, null_values), 0, 0, NULL},
    {"default", aq_config_read_node, offsetof(struct column_nodes, default_value), 0, 0, NULL},
    {"scale", aq_config_read_node, offsetof(struct column_nodes, scale), 0, 0, NULL},
    {"map", aq_config_read_node, offsetof(struct column_nodes, map), 0, 0, NULL},
};

static const char *const type_words[] = {
    "boolean", "integer", "bigint", "real", "double",
    "text",    "bytea",   "json",   "date", "timestamptz",
};

static enum aq_status parse_type(struct aq_config_reader *reader, const struct aq_config_node *node,
                                 const struct column_nodes *nodes, enum aq_type *type)
{
    size_t word_count = sizeof type_words / sizeof type_words[0];
    if (nodes->type == NULL)
        return aq_config_fail(reader, node->mark, "column \"%s\" has no type; add type: with %s",
                              node->key, aq_config_suggest(reader, "", type_words, word_count));
    if (nodes->type->kind != AQ_NODE_SCALAR)
        return aq_config_fail(reader, nodes->type->mark, "type: expected the name of a type");
    if (aq_type_parse(nodes->type->text, type) == AQ_OK && aq_type_valid_column((uint8_t)*type))
        return AQ_OK;
    return aq_config_fail(reader, nodes->type->mark, "unknown type \"%s\"; %s", nodes->type->text,
                          aq_config_suggest(reader, nodes->type->text, type_words, word_count));
}

static enum aq_status parse_from(struct aq_config_reader *reader, const struct aq_config_node *node,
                                 const struct column_nodes *nodes, struct aq_column_config *config)
{
    size_t count = nodes->from.count;
    bool absent = nodes->from.texts == NULL;
    if (!absent && count == 0)
        return aq_config_fail(reader, node->mark, "column \"%s\": from: is an empty list",
                              node->key);
    config->from_count = absent ? 1 : count;
    config->from = aq_config_alloc(reader, config->from_count, sizeof *config->from);
    if (config->from == NULL)
        return AQ_NO_MEMORY;
    if (absent)
        return aq_config_path_member(reader, node->key, &config->from[0]);
    for (size_t i = 0; i < count; i++)
        AQ_TRY(aq_config_path_parse(reader, nodes->from.marks[i], nodes->from.texts[i],
                                    &config->from[i]));
    return AQ_OK;
}

/* What a path gives must be what the column holds. */
static enum aq_status check_path_types(struct aq_config_reader *reader,
                                       const struct column_nodes *nodes,
                                       const struct aq_column *column,
                                       const struct aq_column_config *config)
{
    for (size_t i = 0; i < nodes->from.count; i++) {
        const struct aq_path *path = &config->from[i];
        struct aq_config_mark mark = nodes->from.marks[i];
        enum aq_type type = column->type;
        const char *wanted = NULL;
        if (path->kind == AQ_PATH_REST && (type != AQ_TYPE_JSON || config->from_count > 1))
            wanted = "json, and \"*\" to be its only path";
        if ((path->kind == AQ_PATH_ARRIVAL || path->kind == AQ_PATH_KAFKA_TIMESTAMP) &&
            type != AQ_TYPE_TIMESTAMPTZ)
            wanted = "timestamptz";
        if (path->kind == AQ_PATH_KAFKA_OFFSET && type != AQ_TYPE_BIGINT)
            wanted = "bigint";
        if (path->kind == AQ_PATH_KAFKA_PARTITION && type != AQ_TYPE_INTEGER &&
            type != AQ_TYPE_BIGINT)
            wanted = "integer";
        if (path->kind == AQ_PATH_SOURCE && type != AQ_TYPE_TEXT)
            wanted = "text";
        if (wanted != NULL)
            return aq_config_fail(reader, mark, "\"%.*s\" needs the column's type to be %s, not %s",
                                  (int)path->written.size, (const char *)path->written.data, wanted,
                                  aq_type_name(type));
    }
    return AQ_OK;
}

static enum aq_status parse_was(struct aq_config_reader *reader, const struct aq_config_node *node,
                                const struct aq_config_texts *was, struct aq_former_names *former)
{
    if (was->count == 0)
        return AQ_OK;
    const char **names = aq_config_alloc(reader, was->count, sizeof *names);
    if (names == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < was->count; i++) {
        names[i] = was->texts[i];
        if (names[i][0] == '\0' || strcmp(names[i], node->key) == 0)
            return aq_config_fail(reader, was->marks[i],
                                  "was: expected a name that column \"%s\" had before, found "
                                  "\"%s\"",
                                  node->key, names[i]);
    }
    *former = (struct aq_former_names){.count = was->count, .names = names};
    return AQ_OK;
}

static enum aq_status parse_scale(struct aq_config_reader *reader,
                                  const struct aq_config_node *node, const struct aq_column *column,
                                  struct aq_column_config *config)
{
    if (node == NULL)
        return AQ_OK;
    bool number = column->type == AQ_TYPE_INTEGER || column->type == AQ_TYPE_BIGINT ||
                  column->type == AQ_TYPE_REAL || column->type == AQ_TYPE_DOUBLE;
    if (!number)
        return aq_config_fail(reader, node->mark, "scale: is for numbers, the column is %s",
                              aq_type_name(column->type));
    char *end = NULL;
    config->scale = node->kind == AQ_NODE_SCALAR ? strtod(node->text, &end) : 0;
    if (end == NULL || end == node->text || *end != '\0' || !isfinite(config->scale) ||
        config->scale == 0)
        return aq_config_fail(reader, node->mark, "scale: expected a number other than 0, found %s",
                              node->kind == AQ_NODE_SCALAR ? node->text : "no single value");
    config->has_scale = true;
    return AQ_OK;
}

static enum aq_status parse_map(struct aq_config_reader *reader, const struct aq_config_node *node,
                                struct aq_column_config *config)
{
    if (node == NULL)
        return AQ_OK;
    AQ_TRY(aq_config_expect_mapping(reader, node, "map"));
    config->map_from = aq_config_alloc(reader, node->count, sizeof *config->map_from);
    config->map_to = aq_config_alloc(reader, node->count, sizeof *config->map_to);
    if (config->map_from == NULL || config->map_to == NULL)
        return AQ_NO_MEMORY;
    const struct aq_config_node *entry = node->first;
    for (size_t i = 0; i < node->count; i++, entry = entry->next) {
        if (entry->kind != AQ_NODE_SCALAR)
            return aq_config_fail(reader, entry->mark,
                                  "map: \"%s\" must become a text; for null use "
                                  "null_values",
                                  entry->key);
        config->map_from[i] = aq_slice_of(entry->key);
        config->map_to[i] = aq_slice_of(entry->text);
    }
    config->map_count = node->count;
    return AQ_OK;
}

static enum aq_status parse_null_values(struct aq_config_reader *reader,
                                        const struct aq_config_texts *texts,
                                        struct aq_column_config *config)
{
    config->null_values = aq_config_alloc(reader, texts->count, sizeof *config->null_values);
    if (config->null_values == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < texts->count; i++)
        config->null_values[i] = aq_slice_of(texts->texts[i]);
    config->null_value_count = texts->count;
    return AQ_OK;
}

static const char *const epoch_words[] = {"epoch_s", "epoch_ms", "epoch_us"};

/* `format` and `zone` belong to times; a pattern has directives, else it would match one text only. */
static enum aq_status parse_time_form(struct aq_config_reader *reader,
                                      const struct aq_config_node *node,
                                      const struct column_nodes *nodes,
                                      const struct aq_column *column,
                                      struct aq_column_config *config)
{
    bool time = column->type == AQ_TYPE_TIMESTAMPTZ;
    const struct aq_config_node *at = aq_config_node_find(node, nodes->zone ? "zone" : "format");
    if ((nodes->zone != NULL && !time) ||
        (nodes->format != NULL && !time && column->type != AQ_TYPE_DATE))
        return aq_config_fail(reader, at->key_mark, "%s: is for times, the column is %s", at->key,
                              aq_type_name(column->type));
    const struct aq_zone *zone = NULL;
    struct aq_error odd = {0};
    if (nodes->zone != NULL && aq_zone_find(nodes->zone, true, &zone, &odd) != AQ_OK)
        return aq_config_fail(reader, at->mark, "zone: %s", odd.message);
    if (nodes->zone != NULL)
        config->zone = aq_slice_of(nodes->zone);
    if (nodes->format == NULL)
        return AQ_OK;
    config->format = aq_slice_of(nodes->format);
    for (size_t i = 0; i < 3; i++)
        if (strcmp(nodes->format, epoch_words[i]) == 0)
            return AQ_OK;
    if (strchr(nodes->format, '%') != NULL)
        return AQ_OK;
    return aq_config_fail(
        reader, aq_config_node_find(node, "format")->mark,
        "format: expected a pattern like \"%%Y-%%m-%%d %%H:%%M\" or one of epoch_s, "
        "epoch_ms, epoch_us, found \"%s\"",
        nodes->format);
}

static enum aq_status check_name(struct aq_config_reader *reader, const struct aq_config_node *node)
{
    size_t size = strlen(node->key);
    if (size == 0 || size > AQ_NAME_BYTES_MAX)
        return aq_config_fail(reader, node->key_mark,
                              "a column's name has 1 to %d bytes, found %zu", AQ_NAME_BYTES_MAX,
                              size);
    for (const char *at = node->key; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return aq_config_fail(reader, node->key_mark, "a control character in a column's name");
    return AQ_OK;
}

enum aq_status aq_config_column_parse(struct aq_config_reader *reader,
                                      const struct aq_config_node *node, struct aq_column *column,
                                      struct aq_former_names *was, struct aq_column_config *config)
{
    struct column_nodes nodes = {0};
    AQ_TRY(check_name(reader, node));
    char what[AQ_NAME_BYTES_MAX + 16];
    snprintf(what, sizeof what, "column \"%s\"", node->key);
    AQ_TRY(aq_config_read_fields(reader, node, what, column_fields,
                                 sizeof column_fields / sizeof column_fields[0], &nodes));
    column->name = node->key;
    column->required = nodes.required;
    config->mark = node->key_mark;
    AQ_TRY(parse_type(reader, node, &nodes, &column->type));
    AQ_TRY(parse_from(reader, node, &nodes, config));
    AQ_TRY(parse_was(reader, node, &nodes.was, was));
    AQ_TRY(check_path_types(reader, &nodes, column, config));
    AQ_TRY(parse_time_form(reader, node, &nodes, column, config));
    AQ_TRY(parse_null_values(reader, &nodes.null_values, config));
    AQ_TRY(parse_scale(reader, nodes.scale, column, config));
    AQ_TRY(parse_map(reader, nodes.map, config));
    if (nodes.default_value == NULL)
        return AQ_OK;
    if (nodes.default_value->kind != AQ_NODE_SCALAR)
        return aq_config_fail(reader, nodes.default_value->mark,
                              "default: expected a single value");
    config->has_default = true;
    config->default_value = aq_slice_of(nodes.default_value->text);
    return AQ_OK;
}
