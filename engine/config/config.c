/*
 * The config file as a whole.
 *
 * Happy path: read the file (1 MiB at most), parse it to a tree, fill in the defaults, then read store,
 * datasets, sources, views and the settings; datasets before sources, which name them.
 *
 * Failures: whatever the parts find; the first fault ends the load and nothing is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/config/config_dataset.h"
#include "engine/config/config_node.h"
#include "engine/config/section/config_source.h"
#include "format/base/arena.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define MS UINT64_C(1000)
#define HOUR ((uint64_t)AQ_US_PER_HOUR)

struct top_nodes {
    const char *store;
    int64_t history_us;
    const struct aq_config_node *datasets;
    const struct aq_config_node *sources;
    const struct aq_config_node *views;
    const struct aq_config_node *ingest;
    const struct aq_config_node *compaction;
    const struct aq_config_node *tier;
    const struct aq_config_node *http;
};

#define TOP(member, reader)                                                             \
    {                                                                                   \
        .name = #member, .read = (reader), .offset = offsetof(struct top_nodes, member) \
    }

static const struct aq_config_field top_fields[] = {
    TOP(store, aq_config_read_text),
    {.name = "history",
     .read = aq_config_read_span,
     .offset = offsetof(struct top_nodes, history_us),
     .least = HOUR},
    TOP(datasets, aq_config_read_node),
    TOP(sources, aq_config_read_node),
    TOP(views, aq_config_read_node),
    TOP(ingest, aq_config_read_node),
    TOP(compaction, aq_config_read_node),
    TOP(tier, aq_config_read_node),
    TOP(http, aq_config_read_node),
};

static const struct aq_config_field ingest_fields[] = {
    {"commit_interval", aq_config_read_span, offsetof(struct aq_config, commit_interval_us), MS,
     HOUR, NULL},
    {"commit_size", aq_config_read_size, offsetof(struct aq_config, commit_size_bytes), 4 * KIB,
     64 * MIB, NULL},
    {"segment_size", aq_config_read_size, offsetof(struct aq_config, segment_size_bytes), MIB,
     4096 * MIB, NULL},
    {"segment_age", aq_config_read_span, offsetof(struct aq_config, segment_age_us),
     (uint64_t)AQ_US_PER_SECOND, 0, NULL},
    {"memory", aq_config_read_size, offsetof(struct aq_config, ingest_memory_bytes), 16 * MIB, 0,
     NULL},
};

static const char *const profile_words[] = {"archive", "fast", NULL};

static const struct aq_config_field compaction_fields[] = {
    {"target_size", aq_config_read_size, offsetof(struct aq_config, target_size_bytes), MIB,
     4096 * MIB, NULL},
    {"late", aq_config_read_span, offsetof(struct aq_config, late_us), 0, 0, NULL},
    {"memory", aq_config_read_size, offsetof(struct aq_config, compaction_memory_bytes), 64 * MIB,
     0, NULL},
    {"schedule", aq_config_read_schedule, offsetof(struct aq_config, compaction_schedule),
     60 * (uint64_t)AQ_US_PER_SECOND, 0, NULL},
    {"rate_limit", aq_config_read_size, offsetof(struct aq_config, compaction_rate_bytes), 64 * KIB,
     0, NULL},
    {"profile", aq_config_read_word, offsetof(struct aq_config, compaction_profile), 0, 0,
     profile_words},
};

static enum aq_status parse_datasets(struct aq_config_reader *reader,
                                     const struct aq_config_node *node, struct aq_config *config)
{
    if (node == NULL)
        return AQ_OK;
    AQ_TRY(aq_config_expect_mapping(reader, node, "datasets"));
    config->datasets = aq_config_alloc(reader, node->count, sizeof *config->datasets);
    config->retentions = aq_config_alloc(reader, node->count, sizeof *config->retentions);
    if (config->datasets == NULL || config->retentions == NULL)
        return AQ_NO_MEMORY;
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        AQ_TRY(aq_config_dataset_parse(reader, entry, &config->datasets[config->dataset_count],
                                       &config->retentions[config->dataset_count]));
        config->dataset_count++;
    }
    return AQ_OK;
}

static enum aq_status parse_sources(struct aq_config_reader *reader,
                                    const struct aq_config_node *node, struct aq_config *config)
{
    if (node == NULL)
        return AQ_OK;
    AQ_TRY(aq_config_expect_mapping(reader, node, "sources"));
    config->sources = aq_config_alloc(reader, node->count, sizeof *config->sources);
    if (config->sources == NULL)
        return AQ_NO_MEMORY;
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        AQ_TRY(
            aq_config_source_parse(reader, entry, config, &config->sources[config->source_count]));
        config->source_count++;
        AQ_TRY(aq_config_source_compare(reader, config));
    }
    return AQ_OK;
}

static enum aq_status parse_views(struct aq_config_reader *reader,
                                  const struct aq_config_node *node, struct aq_config *config)
{
    if (node == NULL)
        return AQ_OK;
    AQ_TRY(aq_config_expect_mapping(reader, node, "views"));
    config->views = aq_config_alloc(reader, node->count, sizeof *config->views);
    if (config->views == NULL)
        return AQ_NO_MEMORY;
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        AQ_TRY(aq_config_check_relation(reader, entry, "a view"));
        if (aq_config_dataset(config, entry->key) != NULL)
            return aq_config_fail(reader, entry->key_mark,
                                  "\"%s\" names a dataset already; rename the view", entry->key);
        if (entry->kind != AQ_NODE_SCALAR || entry->text[0] == '\0')
            return aq_config_fail(reader, entry->mark, "view \"%s\": expected the text of a SELECT",
                                  entry->key);
        config->views[config->view_count++] =
            (struct aq_view_config){.name = entry->key, .sql = entry->text};
    }
    return AQ_OK;
}

static enum aq_status parse_settings(struct aq_config_reader *reader, const struct top_nodes *nodes,
                                     struct aq_config *config)
{
    if (nodes->ingest != NULL)
        AQ_TRY(aq_config_read_fields(reader, nodes->ingest, "ingest", ingest_fields,
                                     sizeof ingest_fields / sizeof ingest_fields[0], config));
    if (nodes->compaction != NULL)
        AQ_TRY(aq_config_read_fields(reader, nodes->compaction, "compaction", compaction_fields,
                                     sizeof compaction_fields / sizeof compaction_fields[0],
                                     config));
    if (nodes->tier != NULL)
        AQ_TRY(aq_config_tier_parse(reader, nodes->tier, &config->tier_config));
    if (nodes->http != NULL)
        AQ_TRY(aq_config_http_parse(reader, nodes->http, &config->http_config));
    config->tier = nodes->tier;
    config->http = nodes->http;
    if (nodes->ingest == NULL || config->commit_size_bytes <= config->segment_size_bytes)
        return AQ_OK;
    return aq_config_fail(
        reader, nodes->ingest->mark,
        "ingest: commit_size is larger than segment_size, which holds many commits");
}

static void set_defaults(struct aq_config *config)
{
    config->history_us = 24 * AQ_US_PER_HOUR;
    config->commit_interval_us = AQ_US_PER_SECOND;
    config->commit_size_bytes = MIB;
    config->segment_size_bytes = 64 * MIB;
    config->ingest_memory_bytes = 256 * MIB;
    config->target_size_bytes = 128 * MIB;
    config->compaction_memory_bytes = 1024 * MIB;
    config->segment_age_us = AQ_US_PER_HOUR;
    config->late_us = 6 * AQ_US_PER_HOUR;
}

static enum aq_status parse_all(struct aq_config_reader *reader, struct aq_slice text,
                                struct aq_config *config)
{
    const struct aq_config_node *root = NULL;
    struct top_nodes nodes = {.store = "./store", .history_us = config->history_us};
    AQ_TRY(aq_config_node_parse(reader, text, &root));
    if (root->kind != AQ_NODE_EMPTY)
        AQ_TRY(aq_config_read_fields(reader, root, "the config", top_fields,
                                     sizeof top_fields / sizeof top_fields[0], &nodes));
    config->history_us = nodes.history_us;
    AQ_TRY(aq_config_locate(reader, nodes.store, &config->store));
    AQ_TRY(parse_datasets(reader, nodes.datasets, config));
    AQ_TRY(parse_sources(reader, nodes.sources, config));
    AQ_TRY(parse_views(reader, nodes.views, config));
    return parse_settings(reader, &nodes, config);
}

/* "" for a bare name; else what stands before the last slash ("/" for the root). */
static char *folder_of(struct aq_config_reader *reader, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return aq_config_copy(reader, "", 0);
    return aq_config_copy(reader, path, slash == path ? 1 : (size_t)(slash - path));
}

enum aq_status aq_config_parse(const char *name, struct aq_slice text, struct aq_config **config,
                               struct aq_error *err)
{
    struct aq_config *new = calloc(1, sizeof *new);
    if (new == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading the config");
    aq_arena_init(&new->arena);
    struct aq_config_reader reader = {.name = name, .arena = &new->arena, .err = err};
    enum aq_status status = AQ_NO_MEMORY;
    new->path = aq_config_copy(&reader, name, strlen(name));
    reader.folder = folder_of(&reader, name);
    set_defaults(new);
    if (new->path != NULL && reader.folder != NULL)
        status = parse_all(&reader, text, new);
    if (status != AQ_OK) {
        aq_config_destroy(new);
        return status;
    }
    *config = new;
    return AQ_OK;
}

/* Reads one byte more than the bound, so that a larger file is refused and not cut. */
static enum aq_status read_file(int fd, const char *path, struct aq_bytes *text,
                                struct aq_error *err)
{
    while (text->size <= AQ_CONFIG_BYTES_MAX) {
        uint8_t *room = aq_bytes_reserve(text, 64 * KIB);
        if (room == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading the config");
        ssize_t got = read(fd, room, 64 * KIB);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return aq_error_set_errno(err, errno, path, "cannot read the config");
        if (got == 0)
            return AQ_OK;
        text->size += (size_t)got;
    }
    return AQ_OK;
}

enum aq_status aq_config_load(const char *path, struct aq_config **config, struct aq_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open the config");
    struct aq_bytes text = {0};
    enum aq_status status = read_file(fd, path, &text, err);
    close(fd);
    if (status == AQ_OK)
        status = aq_config_parse(path, aq_bytes_view(&text), config, err);
    aq_bytes_deinit(&text);
    return status;
}

void aq_config_destroy(struct aq_config *config)
{
    if (config == NULL)
        return;
    struct aq_arena arena = config->arena;
    free(config);
    aq_arena_deinit(&arena);
}

const struct aq_dataset_config *aq_config_dataset(const struct aq_config *config, const char *name)
{
    for (size_t i = 0; i < config->dataset_count; i++)
        if (strcmp(config->datasets[i].schema.dataset, name) == 0)
            return &config->datasets[i];
    return NULL;
}
