/*
 * struct aq_config -> YAML, defaults filled in, secrets masked. What is printed is a config again: it
 * parses to the same settings, secrets aside (a test holds that), so "${" is written "$${". Paths are
 * printed as seen from the working directory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/config/section/config_section.h"

#define MASK "***"

static void put(struct aq_bytes *out, const char *text)
{
    aq_bytes_append(out, text, strlen(text));
}

/* Words that some version of YAML takes for something else than a text. */
static bool is_yaml_word(const char *text, size_t size)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == size && memcmp(words[i], text, size) == 0)
            return true;
    return false;
}

/* Plain where YAML would read the same text back whatever its version, else in double quotes. */
static void put_quoted(struct aq_bytes *out, const char *text, size_t size, bool is_key)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./";
    bool plain = size > 0 && strcspn(text, "abcdefghijklmnopqrstuvwxyz") == 0;
    for (size_t i = 0; i < size; i++)
        plain = plain && text[i] != '\0' && strchr(safe, text[i]) != NULL;
    if (plain && !is_yaml_word(text, size)) {
        aq_bytes_append(out, text, size);
        return;
    }
    put(out, "\"");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        char escaped[8];
        if (c == '"' || c == '\\')
            snprintf(escaped, sizeof escaped, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            snprintf(escaped, sizeof escaped, "\\x%02X", c);
        else if (c == '$' && i + 1 < size && text[i + 1] == '{' && !is_key)
            snprintf(escaped, sizeof escaped, "$$");
        else
            snprintf(escaped, sizeof escaped, "%c", c);
        put(out, escaped);
    }
    put(out, "\"");
}

static void put_text(struct aq_bytes *out, const char *text)
{
    put_quoted(out, text, strlen(text), false);
}

/* The environment is for values: a key's "${" stands for itself. */
static void put_key(struct aq_bytes *out, const char *key)
{
    put_quoted(out, key, strlen(key), true);
    put(out, ":");
}

static void put_slice(struct aq_bytes *out, struct aq_slice slice)
{
    put_quoted(out, (const char *)slice.data, slice.size, false);
}

static void put_slices(struct aq_bytes *out, const struct aq_slice *slices, size_t count)
{
    put(out, "[");
    for (size_t i = 0; i < count; i++) {
        put(out, i == 0 ? "" : ", ");
        put_slice(out, slices[i]);
    }
    put(out, "]");
}

static void put_columns(struct aq_bytes *out, const char *name, const struct aq_schema *schema,
                        const uint32_t *columns, size_t count)
{
    put(out, name);
    put(out, "[");
    for (size_t i = 0; i < count; i++) {
        put(out, i == 0 ? "" : ", ");
        put_text(out, schema->columns[columns[i]].name);
    }
    put(out, "]\n");
}

static void put_from(struct aq_bytes *out, const struct aq_column_config *config)
{
    put(out, ", from: ");
    if (config->from_count == 1) {
        put_slice(out, config->from[0].written);
        return;
    }
    put(out, "[");
    for (size_t i = 0; i < config->from_count; i++) {
        put(out, i == 0 ? "" : ", ");
        put_slice(out, config->from[i].written);
    }
    put(out, "]");
}

static void put_column(struct aq_bytes *out, const struct aq_column *column,
                       const struct aq_former_names *was, const struct aq_column_config *config)
{
    put(out, "      ");
    put_key(out, column->name);
    put(out, " {type: ");
    put(out, aq_type_name(column->type));
    put_from(out, config);
    for (size_t i = 0; i < was->count; i++) {
        put(out, i == 0 ? ", was: [" : ", ");
        put_text(out, was->names[i]);
    }
    put(out, was->count > 0 ? "]" : "");
    put(out, column->required ? ", required: true" : "");
    if (config->format.size > 0) {
        put(out, ", format: ");
        put_slice(out, config->format);
    }
    if (column->type == AQ_TYPE_TIMESTAMPTZ) {
        put(out, ", zone: ");
        put_slice(out, config->zone.size > 0 ? config->zone : aq_slice_of("UTC"));
    }
    if (config->null_value_count > 0) {
        put(out, ", null_values: ");
        put_slices(out, config->null_values, config->null_value_count);
    }
    if (config->has_default) {
        put(out, ", default: ");
        put_slice(out, config->default_value);
    }
    if (config->has_scale) {
        char text[64];
        snprintf(text, sizeof text, ", scale: %.17g", config->scale);
        put(out, text);
    }
    for (size_t i = 0; i < config->map_count; i++) {
        put(out, i == 0 ? ", map: {" : ", ");
        put_quoted(out, (const char *)config->map_from[i].data, config->map_from[i].size, true);
        put(out, ": ");
        put_slice(out, config->map_to[i]);
    }
    put(out, config->map_count > 0 ? "}}\n" : "}\n");
}

static void put_role(struct aq_bytes *out, const char *name, const struct aq_schema *schema,
                     uint32_t column)
{
    if (column == AQ_COLUMN_NONE)
        return;
    put(out, name);
    put_text(out, schema->columns[column].name);
    put(out, "\n");
}

static void put_kept(struct aq_bytes *out, int64_t span_us)
{
    if (span_us == AQ_RETENTION_FOREVER)
        put(out, "forever");
    else
        aq_config_print_span(span_us, out);
}

static void put_retention(struct aq_bytes *out, const struct aq_retention *retention)
{
    if (retention->rule_count == 0 && retention->default_us == AQ_RETENTION_FOREVER &&
        retention->rejects_us == AQ_RETENTION_FOREVER)
        return;
    put(out, "    retention: {default: ");
    put_kept(out, retention->default_us);
    put(out, ", rejects: ");
    put_kept(out, retention->rejects_us);
    for (size_t i = 0; i < retention->rule_count; i++) {
        put(out, ", ");
        put_key(out, retention->rules[i].pattern);
        put(out, " ");
        put_kept(out, retention->rules[i].span_us);
    }
    put(out, "}\n");
}

static void put_dataset(struct aq_bytes *out, const struct aq_dataset_config *dataset,
                        const struct aq_retention *retention)
{
    const struct aq_schema *schema = &dataset->schema;
    put(out, "  ");
    put_key(out, schema->dataset);
    put(out, "\n");
    put_role(out, "    key: ", schema, schema->key_column);
    put_role(out, "    time: ", schema, schema->time_column);
    if (schema->slot != AQ_SLOT_NONE) {
        put(out, "    slot: ");
        put(out, aq_slot_name(schema->slot));
        put(out, "\n");
    }
    put_columns(out, "    series: ", schema, schema->series, schema->series_count);
    if (schema->unique_count > 0) {
        put_columns(out, "    unique: ", schema, schema->unique, schema->unique_count);
        put(out, schema->keep == AQ_KEEP_FIRST ? "    keep: first\n" : "    keep: last\n");
    }
    put_role(out, "    version: ", schema, schema->version_column);
    put_retention(out, retention);
    put(out, "    columns:\n");
    for (size_t i = 0; i < schema->column_count; i++)
        put_column(out, &schema->columns[i], &schema->was[i], &dataset->columns[i]);
}

/* A URL's "user:password@" is a secret wherever it stands. */
static void put_masked(struct aq_bytes *out, const char *text)
{
    const char *host = strstr(text, "://");
    const char *at = host == NULL ? NULL : strchr(host, '@');
    const char *slash = host == NULL ? NULL : strchr(host + 3, '/');
    if (at == NULL || (slash != NULL && slash < at)) {
        put_text(out, text);
        return;
    }
    struct aq_bytes masked = {0};
    aq_bytes_append(&masked, text, (size_t)(host + 3 - text));
    put(&masked, MASK);
    put(&masked, at);
    put_quoted(out, (const char *)masked.data, masked.failed ? 0 : masked.size, false);
    out->failed = out->failed || masked.failed;
    aq_bytes_deinit(&masked);
}

/* As aq_config_locate does, so that the output is right in the working directory. */
static void put_path(struct aq_bytes *out, const struct aq_config *config, const char *path)
{
    const char *slash = strrchr(config->path, '/');
    struct aq_bytes located = {0};
    if (path[0] != '/' && slash != NULL) {
        aq_bytes_append(&located, config->path, (size_t)(slash + 1 - config->path));
        path += strncmp(path, "./", 2) == 0 ? 2 : 0;
    }
    put(&located, path);
    put_quoted(out, (const char *)located.data, located.failed ? 0 : located.size, false);
    out->failed = out->failed || located.failed;
    aq_bytes_deinit(&located);
}

/* Values of librdkafka's options may be URLs with a password in them. */
static void put_scalar(struct aq_bytes *out, const struct aq_config *config,
                       const struct aq_config_node *node, bool is_option)
{
    size_t size = node->key == NULL ? 0 : strlen(node->key);
    if (size > 0 && aq_config_is_secret(node->key) && node->text[0] != '\0')
        put(out, "\"" MASK "\"");
    else if (size > 5 && strcmp(node->key + size - 5, "_file") == 0)
        put_path(out, config, node->text);
    else if (is_option)
        put_masked(out, node->text);
    else
        put_text(out, node->text);
}

/* Of a mapping or list: what stands between its brackets. */
static void put_entries(struct aq_bytes *out, const struct aq_config *config,
                        const struct aq_config_node *node)
{
    bool options = node->key != NULL && strcmp(node->key, "options") == 0;
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        bool list = entry->kind == AQ_NODE_LIST;
        if (node->kind == AQ_NODE_MAPPING) {
            put_key(out, entry->key);
            put(out, " ");
        }
        if (entry->kind == AQ_NODE_SCALAR) {
            put_scalar(out, config, entry, options);
        } else {
            put(out, list ? "[" : "{");
            put_entries(out, config, entry);
            put(out, list ? "]" : "}");
        }
        put(out, entry->next == NULL ? "" : ", ");
    }
}

/* A default of a section, where the key is absent. */
static void put_default(struct aq_bytes *out, const struct aq_config_node *section, const char *key,
                        const char *text)
{
    if (aq_config_node_find(section, key) != NULL)
        return;
    put(out, section->first == NULL ? "" : ", ");
    put_key(out, key);
    put(out, " ");
    put_text(out, text);
}

static void put_default_span(struct aq_bytes *out, const struct aq_config_node *section,
                             const char *key, int64_t span_us)
{
    struct aq_bytes text = {0};
    aq_config_print_span(span_us, &text);
    aq_bytes_u8(&text, 0);
    put_default(out, section, key, text.failed ? "" : (const char *)text.data);
    out->failed = out->failed || text.failed;
    aq_bytes_deinit(&text);
}

static void put_kafka(struct aq_bytes *out, const struct aq_config *config,
                      const struct aq_source_config *source)
{
    put(out, "    kafka: {");
    put_entries(out, config, source->kafka);
    put_default(out, source->kafka, "group", source->client.group);
    put(out, "}\n");
}

static void put_tier(struct aq_bytes *out, const struct aq_config *config)
{
    const struct aq_tier_config *tier = &config->tier_config;
    struct aq_bytes cache = {0};
    put(out, "tier: {");
    put_entries(out, config, config->tier);
    put_default(out, config->tier, "region", tier->region);
    put_default(out, config->tier, "storage_class", tier->storage_class);
    put_default(out, config->tier, "driver", tier->driver);
    put_default_span(out, config->tier, "after", tier->after_us);
    put_default_span(out, config->tier, "keep_home", tier->keep_home_us);
    put_default_span(out, config->tier, "protect", tier->protect_us);
    aq_config_print_size(tier->cache_bytes, &cache);
    aq_bytes_u8(&cache, 0);
    put_default(out, config->tier, "cache", cache.failed ? "" : (const char *)cache.data);
    out->failed = out->failed || cache.failed;
    aq_bytes_deinit(&cache);
    put(out, "}\n");
}

static void put_http(struct aq_bytes *out, const struct aq_config *config)
{
    char listen[80];
    bool six = strchr(config->http_config.host, ':') != NULL;
    snprintf(listen, sizeof listen, "%s%s%s:%u", six ? "[" : "", config->http_config.host,
             six ? "]" : "", config->http_config.port);
    put(out, "http: {");
    put_entries(out, config, config->http);
    put_default(out, config->http, "listen", listen);
    put(out, "}\n");
}

static const char *format_name(enum aq_source_format format)
{
    switch (format) {
    case AQ_FORMAT_AUTO:
        return NULL;
    case AQ_FORMAT_CSV:
        return "csv";
    case AQ_FORMAT_NDJSON:
        return "ndjson";
    case AQ_FORMAT_JSON:
        return "json";
    case AQ_FORMAT_PARQUET:
        return "parquet";
    case AQ_FORMAT_RAW:
        return "raw";
    }
    return NULL;
}

static void put_line(struct aq_bytes *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    put(out, name);
    put_text(out, text);
    put(out, "\n");
}

static void put_source(struct aq_bytes *out, const struct aq_config *config,
                       const struct aq_source_config *source)
{
    put(out, "  ");
    put_key(out, source->name);
    put(out, "\n");
    if (source->is_kafka)
        put_kafka(out, config, source);
    for (size_t i = 0; i < source->file_count; i++)
        put_line(out, i == 0 ? "    files:\n      - " : "      - ", source->files[i]);
    put_line(out, "    start: ", source->start);
    put_line(out, "    dataset: ", source->dataset);
    put_line(out, "    format: ", format_name(source->format));
    put_line(out, "    when: ", source->when);
}

static void put_schedule(struct aq_bytes *out, const struct aq_schedule *schedule)
{
    char text[96];
    if (!aq_schedule_is_set(schedule))
        return;
    put(out, ", schedule: ");
    if (schedule->zone == NULL) {
        aq_config_print_span(schedule->every_us, out);
        return;
    }
    aq_schedule_format(schedule, text, sizeof text);
    put_text(out, text);
}

static void put_settings(struct aq_bytes *out, const struct aq_config *config)
{
    put(out, "ingest: {commit_interval: ");
    aq_config_print_span(config->commit_interval_us, out);
    put(out, ", commit_size: ");
    aq_config_print_size(config->commit_size_bytes, out);
    put(out, ", segment_size: ");
    aq_config_print_size(config->segment_size_bytes, out);
    put(out, ", segment_age: ");
    aq_config_print_span(config->segment_age_us, out);
    put(out, ", memory: ");
    aq_config_print_size(config->ingest_memory_bytes, out);
    put(out, "}\ncompaction: {target_size: ");
    aq_config_print_size(config->target_size_bytes, out);
    put(out, ", late: ");
    aq_config_print_span(config->late_us, out);
    put(out, ", memory: ");
    aq_config_print_size(config->compaction_memory_bytes, out);
    put_schedule(out, &config->compaction_schedule);
    if (config->compaction_rate_bytes > 0) {
        put(out, ", rate_limit: ");
        aq_config_print_size(config->compaction_rate_bytes, out);
    }
    if (config->compaction_profile != 0)
        put(out, ", profile: fast");
    put(out, "}\n");
    if (config->tier != NULL)
        put_tier(out, config);
    if (config->http != NULL)
        put_http(out, config);
}

enum aq_status aq_config_show(const struct aq_config *config, struct aq_bytes *out)
{
    put(out, "store: ");
    put_text(out, config->store);
    put(out, "\nhistory: ");
    aq_config_print_span(config->history_us, out);
    put(out, config->dataset_count > 0 ? "\ndatasets:\n" : "\n");
    for (size_t i = 0; i < config->dataset_count; i++)
        put_dataset(out, &config->datasets[i], &config->retentions[i]);
    put(out, config->source_count > 0 ? "sources:\n" : "");
    for (size_t i = 0; i < config->source_count; i++)
        put_source(out, config, &config->sources[i]);
    for (size_t i = 0; i < config->view_count; i++) {
        put(out, i == 0 ? "views:\n  " : "  ");
        put_key(out, config->views[i].name);
        put_line(out, " ", config->views[i].sql);
    }
    put_settings(out, config);
    return aq_bytes_status(out);
}
