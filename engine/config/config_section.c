/*
 * The sections that are not yet run: `kafka:` of a source, `tier:`, `http:`. Happy path: every key is
 * known and its value has the right form. Failures: as in config_read.c; a secret given twice; a
 * `*_file:` that cannot be read. The values stay in the tree, from which `config show` prints them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/config/config_node.h"
#include "engine/config/config_source.h"

/* Where checked values go: the tree keeps them. */
union scratch {
    const struct aq_config_node *node;
    const char *text;
    struct aq_config_texts texts;
    int word;
    int64_t span_us;
    uint64_t size;
};

/* What the name of a secret holds, librdkafka's options included; each may also be given as NAME_file. */
static const char *const secret_words[] = {"password", "token", "access_key", "secret", ".pem"};

static const char *const security_words[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl",
                                             NULL};
static const char *const mechanism_words[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", NULL};

bool aq_config_is_secret(const char *key)
{
    for (size_t i = 0; i < sizeof secret_words / sizeof secret_words[0]; i++)
        if (strstr(key, secret_words[i]) != NULL)
            return strlen(key) < 5 || strcmp(key + strlen(key) - 5, "_file") != 0;
    return false;
}

/* A text that may be empty: "${S3_ENDPOINT:}". */
static enum aq_status read_optional_text(struct aq_config_reader *reader,
                                         const struct aq_config_node *node,
                                         const struct aq_config_field *field, void *to)
{
    if (node->kind == AQ_NODE_SCALAR && node->text[0] == '\0')
        return AQ_OK;
    return aq_config_read_text(reader, node, field, to);
}

static enum aq_status read_file_name(struct aq_config_reader *reader,
                                     const struct aq_config_node *node,
                                     const struct aq_config_field *field, void *to)
{
    const char *path = NULL;
    AQ_TRY(aq_config_read_text(reader, node, field, to));
    AQ_TRY(aq_config_locate(reader, node->text, &path));
    if (access(path, R_OK) == 0)
        return AQ_OK;
    return aq_config_fail(reader, node->mark, "%s: cannot read %s: %s", field->name, path,
                          strerror(errno));
}

static enum aq_status read_options(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, void *to)
{
    (void)to;
    AQ_TRY(aq_config_expect_mapping(reader, node, field->name));
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next)
        if (entry->kind != AQ_NODE_SCALAR)
            return aq_config_fail(reader, entry->mark, "%s: \"%s\" must be a single value",
                                  field->name, entry->key);
    return AQ_OK;
}

static const struct aq_config_field kafka_fields[] = {
    {.name = "brokers", .read = aq_config_read_texts},
    {.name = "topics", .read = aq_config_read_texts},
    {.name = "group", .read = aq_config_read_text},
    {.name = "security", .read = aq_config_read_word, .words = security_words},
    {.name = "mechanism", .read = aq_config_read_word, .words = mechanism_words},
    {.name = "username", .read = read_optional_text},
    {.name = "password", .read = read_optional_text},
    {.name = "password_file", .read = read_file_name},
    {.name = "ca_file", .read = read_file_name},
    {.name = "options", .read = read_options},
};

static const struct aq_config_field tier_fields[] = {
    {.name = "to", .read = aq_config_read_text},
    {.name = "endpoint", .read = read_optional_text},
    {.name = "region", .read = aq_config_read_text},
    {.name = "after", .read = aq_config_read_span},
    {.name = "keep_home", .read = aq_config_read_span},
    {.name = "protect", .read = aq_config_read_span},
    {.name = "cache", .read = aq_config_read_size},
    {.name = "storage_class", .read = aq_config_read_text},
    {.name = "access_key", .read = read_optional_text},
    {.name = "access_key_file", .read = read_file_name},
    {.name = "secret_key", .read = read_optional_text},
    {.name = "secret_key_file", .read = read_file_name},
    {.name = "session_token", .read = read_optional_text},
    {.name = "session_token_file", .read = read_file_name},
};

static const struct aq_config_field http_fields[] = {
    {.name = "listen", .read = aq_config_read_text},
    {.name = "token", .read = read_optional_text},
    {.name = "token_file", .read = read_file_name},
};

static enum aq_status check_section(struct aq_config_reader *reader,
                                    const struct aq_config_node *node, const char *what,
                                    const struct aq_config_field *fields, size_t field_count)
{
    union scratch scratch;
    AQ_TRY(aq_config_read_fields(reader, node, what, fields, field_count, &scratch));
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        char twin[64];
        snprintf(twin, sizeof twin, "%s_file", entry->key);
        if (aq_config_is_secret(entry->key) && aq_config_node_find(node, twin) != NULL)
            return aq_config_fail(reader, entry->key_mark, "both %s and %s are given; keep one",
                                  entry->key, twin);
    }
    return AQ_OK;
}

static enum aq_status require(struct aq_config_reader *reader, const struct aq_config_node *node,
                              const char *what, const char *key)
{
    if (aq_config_node_find(node, key) != NULL)
        return AQ_OK;
    return aq_config_fail(reader, node->mark, "%s: %s: is missing", what, key);
}

enum aq_status aq_config_check_kafka(struct aq_config_reader *reader,
                                     const struct aq_config_node *node)
{
    AQ_TRY(check_section(reader, node, "kafka", kafka_fields,
                         sizeof kafka_fields / sizeof kafka_fields[0]));
    AQ_TRY(require(reader, node, "kafka", "brokers"));
    return require(reader, node, "kafka", "topics");
}

enum aq_status aq_config_check_tier(struct aq_config_reader *reader,
                                    const struct aq_config_node *node)
{
    AQ_TRY(check_section(reader, node, "tier", tier_fields,
                         sizeof tier_fields / sizeof tier_fields[0]));
    AQ_TRY(require(reader, node, "tier", "to"));
    const struct aq_config_node *to = aq_config_node_find(node, "to");
    if (strncmp(to->text, "s3://", 5) == 0 && to->text[5] != '\0' && to->text[5] != '/')
        return AQ_OK;
    return aq_config_fail(reader, to->mark, "to: expected s3://BUCKET/PREFIX, found \"%s\"",
                          to->text);
}

enum aq_status aq_config_check_http(struct aq_config_reader *reader,
                                    const struct aq_config_node *node)
{
    return check_section(reader, node, "http", http_fields,
                         sizeof http_fields / sizeof http_fields[0]);
}
