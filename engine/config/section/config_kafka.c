/*
 * `kafka:` of a source -> struct aq_kafka_config.
 *
 * Happy path: brokers and topics as lists, the settings of the connection as the properties that
 * librdkafka calls them, and behind them `options:` as it stands; librdkafka judges names and values of
 * those when the source starts.
 *
 * Failures: no broker or topic, a name that no topic can have, a pattern that does not compile, a user
 * without the protocol or mechanism that would send it, an option that a key of its own sets.
 */
#include <regex.h>
#include <string.h>

#include "engine/config/section/config_section.h"
#include "engine/config/section/config_source.h"
#include "format/base/arena.h"

#define TOPIC_BYTES_MAX 249 /* Kafka's own */

struct kafka_nodes {
    struct aq_config_texts brokers;
    struct aq_config_texts topics;
    const char *group;
    int security;  /* index into security_words; -1: not given */
    int mechanism; /* the same */
    const char *username;
    const char *password;
    const char *ca_file;
    const struct aq_config_node *options;
};

static const char *const security_words[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl",
                                             NULL};
static const char *const mechanism_words[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", NULL};

#define AT(member) .offset = offsetof(struct kafka_nodes, member)
static const struct aq_config_field kafka_fields[] = {
    {.name = "brokers", .read = aq_config_read_texts, AT(brokers)},
    {.name = "topics", .read = aq_config_read_texts, AT(topics)},
    {.name = "group", .read = aq_config_read_text, AT(group)},
    {.name = "security", .read = aq_config_read_word, AT(security), .words = security_words},
    {.name = "mechanism", .read = aq_config_read_word, AT(mechanism), .words = mechanism_words},
    {.name = "username", .read = aq_config_read_optional_text, AT(username)},
    {.name = "password", .read = aq_config_read_optional_text, AT(password)},
    {.name = "password_file", .read = aq_config_read_secret_file, AT(password)},
    {.name = "ca_file", .read = aq_config_read_file_name, AT(ca_file)},
    {.name = "options", .read = aq_config_read_node, AT(options)},
};
#undef AT

/* Properties that keys of `kafka:` set. */
static const struct {
    const char *property;
    const char *key;
    bool always; /* the option is refused even where the key is absent */
} own_properties[] = {
    {"bootstrap.servers", "brokers", true},
    {"metadata.broker.list", "brokers", true},
    {"group.id", "group", true},
    {"security.protocol", "security", false},
    {"sasl.mechanism", "mechanism", false},
    {"sasl.mechanisms", "mechanism", false},
    {"sasl.username", "username", false},
    {"sasl.password", "password", false},
    {"sasl.password", "password_file", false},
    {"ssl.ca.location", "ca_file", false},
};

/* "a:9092,b:9092" counts as two. */
static enum aq_status join_brokers(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_texts *texts, const char **joined)
{
    *joined = "";
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->texts[i];
        if (text[strspn(text, ", ")] == '\0')
            return aq_config_fail(reader, texts->marks[i], "brokers: an empty name");
        *joined = aq_arena_format(reader->arena, "%s%s%s", *joined, i == 0 ? "" : ",", text);
        if (*joined == NULL)
            return AQ_NO_MEMORY;
    }
    if (texts->count == 0)
        return aq_config_fail(reader, aq_config_node_find(node, "brokers")->mark,
                              "brokers: is an empty list; expected HOST:PORT");
    return AQ_OK;
}

static enum aq_status check_topic(struct aq_config_reader *reader, struct aq_config_mark mark,
                                  const char *topic)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = strlen(topic);
    if (topic[0] == '^') {
        regex_t regex;
        char why[160];
        int code = regcomp(&regex, topic, REG_EXTENDED | REG_NOSUB);
        if (code == 0) {
            regfree(&regex);
            return AQ_OK;
        }
        regerror(code, &regex, why, sizeof why);
        return aq_config_fail(
            reader, mark, "topics: \"%s\" is no POSIX extended regular expression: %s", topic, why);
    }
    if (size > 0 && size <= TOPIC_BYTES_MAX && strspn(topic, allowed) == size &&
        strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0)
        return AQ_OK;
    return aq_config_fail(
        reader, mark,
        "topics: \"%s\" names no topic: expected 1 to %d letters, digits, \".\", \"_\" "
        "and \"-\", or a pattern, which begins with \"^\"",
        topic, TOPIC_BYTES_MAX);
}

static enum aq_status take_topics(struct aq_config_reader *reader,
                                  const struct aq_config_node *node,
                                  const struct aq_config_texts *texts,
                                  struct aq_kafka_config *kafka)
{
    for (size_t i = 0; i < texts->count; i++)
        AQ_TRY(check_topic(reader, texts->marks[i], texts->texts[i]));
    if (texts->count == 0)
        return aq_config_fail(reader, aq_config_node_find(node, "topics")->mark,
                              "topics: is an empty list");
    kafka->topics = texts->texts;
    kafka->topic_count = texts->count;
    return AQ_OK;
}

static void add_property(struct aq_kafka_config *kafka, const struct aq_config_node *node,
                         const char *key, const char *name, const char *value)
{
    if (value == NULL)
        return;
    kafka->properties[kafka->property_count++] = (struct aq_kafka_property){
        .name = name, .value = value, .mark = aq_config_node_find(node, key)->mark};
}

static enum aq_status check_option(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_node *option)
{
    if (option->kind != AQ_NODE_SCALAR)
        return aq_config_fail(reader, option->mark, "options: \"%s\" must be a single value",
                              option->key);
    for (size_t i = 0; i < sizeof own_properties / sizeof own_properties[0]; i++) {
        const char *key = own_properties[i].key;
        if (strcmp(option->key, own_properties[i].property) == 0 &&
            (own_properties[i].always || aq_config_node_find(node, key) != NULL))
            return aq_config_fail(reader, option->key_mark,
                                  "options: \"%s\" is what %s: of kafka sets; keep that one",
                                  option->key, key);
    }
    return AQ_OK;
}

static enum aq_status take_options(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_node *options,
                                   struct aq_kafka_config *kafka)
{
    const struct aq_config_node *option = options == NULL ? NULL : options->first;
    for (; option != NULL; option = option->next) {
        AQ_TRY(check_option(reader, node, option));
        kafka->properties[kafka->property_count++] = (struct aq_kafka_property){
            .name = option->key, .value = option->text, .mark = option->key_mark};
    }
    return AQ_OK;
}

static bool has_option(const struct kafka_nodes *nodes, const char *name)
{
    return nodes->options != NULL && aq_config_node_find(nodes->options, name) != NULL;
}

/* librdkafka would take a user that it never sends without a word. */
static enum aq_status check_user(struct aq_config_reader *reader, const struct aq_config_node *node,
                                 const struct kafka_nodes *nodes)
{
    const char *key = nodes->username != NULL ? "username"
                      : nodes->mechanism >= 0 ? "mechanism"
                                              : NULL;
    if (nodes->password != NULL && key == NULL)
        key = aq_config_node_find(node, "password") != NULL ? "password" : "password_file";
    bool has_mechanism = nodes->mechanism >= 0 || has_option(nodes, "sasl.mechanism") ||
                         has_option(nodes, "sasl.mechanisms");
    if (key == NULL && nodes->security >= 2 && !has_mechanism)
        key = "security"; /* librdkafka would take it for Kerberos */
    if (key == NULL)
        return AQ_OK;
    struct aq_config_mark mark = aq_config_node_find(node, key)->key_mark;
    if (nodes->security < 2 && !has_option(nodes, "security.protocol"))
        return aq_config_fail(reader, mark,
                              "%s: is not sent without security: sasl_ssl or sasl_plaintext", key);
    if (!has_mechanism)
        return aq_config_fail(reader, mark,
                              "%s: needs mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", key);
    return AQ_OK;
}

enum aq_status aq_config_kafka_parse(struct aq_config_reader *reader,
                                     const struct aq_config_node *node,
                                     struct aq_kafka_config *kafka)
{
    struct kafka_nodes nodes = {.group = "aqstore", .security = -1, .mechanism = -1};
    AQ_TRY(aq_config_read_section(reader, node, "kafka", kafka_fields,
                                  sizeof kafka_fields / sizeof kafka_fields[0], &nodes));
    AQ_TRY(aq_config_require(reader, node, "kafka", "brokers"));
    AQ_TRY(aq_config_require(reader, node, "kafka", "topics"));
    AQ_TRY(join_brokers(reader, node, &nodes.brokers, &kafka->brokers));
    AQ_TRY(take_topics(reader, node, &nodes.topics, kafka));
    if (nodes.options != NULL)
        AQ_TRY(aq_config_expect_mapping(reader, nodes.options, "options"));
    AQ_TRY(check_user(reader, node, &nodes));
    kafka->group = nodes.group;
    kafka->password = nodes.password;
    size_t property_count = 4 + (nodes.options == NULL ? 0 : nodes.options->count);
    kafka->properties = aq_config_alloc(reader, property_count, sizeof *kafka->properties);
    if (kafka->properties == NULL)
        return AQ_NO_MEMORY;
    add_property(kafka, node, "security", "security.protocol",
                 nodes.security < 0 ? NULL : security_words[nodes.security]);
    add_property(kafka, node, "mechanism", "sasl.mechanisms",
                 nodes.mechanism < 0 ? NULL : mechanism_words[nodes.mechanism]);
    add_property(kafka, node, "username", "sasl.username", nodes.username);
    add_property(kafka, node, "ca_file", "ssl.ca.location", nodes.ca_file);
    return take_options(reader, node, nodes.options, kafka);
}
