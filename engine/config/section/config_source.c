/*
 * One entry of `sources:` -> struct aq_source_config.
 *
 * Happy path: either `files` (patterns, made relative to the config's folder) or `kafka`, into a known
 * dataset. Failures: both or none of them, an unknown dataset, a key that only the other kind has.
 */
#include "engine/config/section/config_source.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/civil/civil_time.h"
#include "engine/config/config_node.h"
#include "engine/config/section/when.h"

struct source_nodes {
    const struct aq_config_node *kafka;
    struct aq_config_texts files;
    const char *start;
    const struct aq_config_node *dataset;
    int format; /* index into format_words; -1: not given */
    const char *when;
};

static const char *const format_words[] = {"csv", "ndjson", "json", "raw", "parquet", NULL};
static const enum aq_source_format formats[] = {AQ_FORMAT_CSV, AQ_FORMAT_NDJSON, AQ_FORMAT_JSON,
                                                AQ_FORMAT_RAW, AQ_FORMAT_PARQUET};

static const struct aq_config_field source_fields[] = {
    {.name = "kafka", .read = aq_config_read_node, .offset = offsetof(struct source_nodes, kafka)},
    {.name = "files", .read = aq_config_read_texts, .offset = offsetof(struct source_nodes, files)},
    {.name = "start", .read = aq_config_read_text, .offset = offsetof(struct source_nodes, start)},
    {.name = "dataset",
     .read = aq_config_read_node,
     .offset = offsetof(struct source_nodes, dataset)},
    {.name = "format",
     .read = aq_config_read_word,
     .offset = offsetof(struct source_nodes, format),
     .words = format_words},
    {.name = "when", .read = aq_config_read_text, .offset = offsetof(struct source_nodes, when)},
};

static enum aq_status parse_dataset(struct aq_config_reader *reader,
                                    const struct aq_config_node *node,
                                    const struct source_nodes *nodes,
                                    const struct aq_config *config, struct aq_source_config *source)
{
    const struct aq_config_node *dataset = nodes->dataset;
    if (dataset == NULL)
        return aq_config_fail(reader, node->key_mark,
                              "source \"%s\" has no dataset; add dataset: with its name",
                              node->key);
    if (dataset->kind != AQ_NODE_SCALAR)
        return aq_config_fail(reader, dataset->mark, "dataset: expected the name of one dataset");
    const char **names = aq_config_alloc(reader, config->dataset_count, sizeof *names);
    if (names == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < config->dataset_count; i++)
        names[i] = config->datasets[i].schema.dataset;
    source->dataset = dataset->text;
    if (aq_config_dataset(config, dataset->text) != NULL)
        return AQ_OK;
    return aq_config_fail(
        reader, dataset->mark, "dataset: no dataset \"%s\"; %s", dataset->text,
        config->dataset_count == 0
            ? "none is declared"
            : aq_config_suggest(reader, dataset->text, names, config->dataset_count));
}

static enum aq_status parse_files(struct aq_config_reader *reader,
                                  const struct aq_config_node *node,
                                  const struct source_nodes *nodes, struct aq_source_config *source)
{
    const char *odd = nodes->start != NULL ? "start" : nodes->when != NULL ? "when" : NULL;
    if (odd != NULL)
        return aq_config_fail(reader, aq_config_node_find(node, odd)->key_mark,
                              "%s: is for kafka sources; files are read whole", odd);
    if (source->format == AQ_FORMAT_RAW)
        return aq_config_fail(reader, aq_config_node_find(node, "format")->mark,
                              "format: raw is for kafka sources; files are csv, ndjson, json or "
                              "parquet");
    if (nodes->files.count == 0)
        return aq_config_fail(reader, node->key_mark, "source \"%s\": files: is an empty list",
                              node->key);
    source->files = aq_config_alloc(reader, nodes->files.count, sizeof *source->files);
    if (source->files == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < nodes->files.count; i++) {
        if (nodes->files.texts[i][0] == '\0')
            return aq_config_fail(reader, nodes->files.marks[i], "files: an empty name");
        AQ_TRY(aq_config_locate(reader, nodes->files.texts[i], &source->files[i]));
    }
    source->file_count = nodes->files.count;
    return AQ_OK;
}

static enum aq_status parse_start(struct aq_config_reader *reader,
                                  const struct aq_config_node *node,
                                  const struct source_nodes *nodes, struct aq_source_config *source)
{
    int64_t time_us = 0;
    source->start = nodes->start == NULL ? "earliest" : nodes->start;
    if (strcmp(source->start, "earliest") == 0 || strcmp(source->start, "latest") == 0 ||
        aq_time_parse(aq_slice_of(source->start), aq_zone_utc(), &time_us) == AQ_OK)
        return AQ_OK;
    return aq_config_fail(reader, aq_config_node_find(node, "start")->mark,
                          "start: expected earliest, latest or a time like 2025-02-14T13:00:00Z, "
                          "found \"%s\"",
                          source->start);
}

/* The condition is compiled where messages are decoded; here it is only found to be one. */
static enum aq_status check_when(struct aq_config_reader *reader, const struct aq_config_node *node,
                                 const char *text)
{
    struct aq_when *when = NULL;
    struct aq_error why = {0};
    if (text == NULL)
        return AQ_OK;
    enum aq_status status = aq_when_parse(text, &when, &why);
    aq_when_destroy(when);
    if (status == AQ_OK)
        return AQ_OK;
    if (status != AQ_INVALID)
        return aq_error_set(reader->err, status, "%s", why.message);
    const struct aq_config_node *value = aq_config_node_find(node, "when");
    struct aq_config_mark mark = value->mark;
    if (value->text_column > 0)
        mark.column = value->text_column + (int)aq_config_characters(text, (size_t)why.offset);
    return aq_config_fail(reader, mark, "when: %s", why.message);
}

static enum aq_status parse_kafka(struct aq_config_reader *reader,
                                  const struct aq_config_node *node,
                                  const struct source_nodes *nodes, struct aq_source_config *source)
{
    AQ_TRY(aq_config_kafka_parse(reader, nodes->kafka, &source->client));
    if (source->format == AQ_FORMAT_PARQUET)
        return aq_config_fail(reader, aq_config_node_find(node, "format")->mark,
                              "format: parquet is for files; a Kafka message is json, csv or raw");
    if (source->format == AQ_FORMAT_NDJSON)
        return aq_config_fail(reader, aq_config_node_find(node, "format")->mark,
                              "format: ndjson is for files; a Kafka message is json, csv or raw");
    if (nodes->format < 0)
        source->format = AQ_FORMAT_JSON;
    source->is_kafka = true;
    source->kafka = nodes->kafka;
    source->when = nodes->when;
    AQ_TRY(check_when(reader, node, nodes->when));
    return parse_start(reader, node, nodes, source);
}

enum aq_status aq_config_source_parse(struct aq_config_reader *reader,
                                      const struct aq_config_node *node,
                                      const struct aq_config *config,
                                      struct aq_source_config *source)
{
    struct source_nodes nodes = {.format = -1};
    size_t size = strlen(node->key);
    if (size == 0 || size > AQ_NAME_BYTES_MAX)
        return aq_config_fail(reader, node->key_mark,
                              "a source's name has 1 to %d bytes, found %zu", AQ_NAME_BYTES_MAX,
                              size);
    char what[AQ_NAME_BYTES_MAX + 16];
    snprintf(what, sizeof what, "source \"%s\"", node->key);
    AQ_TRY(aq_config_read_fields(reader, node, what, source_fields,
                                 sizeof source_fields / sizeof source_fields[0], &nodes));
    source->mark = node->key_mark;
    source->name = node->key;
    source->format = nodes.format < 0 ? AQ_FORMAT_AUTO : formats[nodes.format];
    AQ_TRY(parse_dataset(reader, node, &nodes, config, source));
    if ((nodes.kafka != NULL) == (nodes.files.texts != NULL))
        return aq_config_fail(reader, node->key_mark,
                              "source \"%s\" must have either files: or kafka:%s", node->key,
                              nodes.kafka != NULL ? ", not both" : "");
    if (nodes.kafka == NULL)
        return parse_files(reader, node, &nodes, source);
    return parse_kafka(reader, node, &nodes, source);
}
