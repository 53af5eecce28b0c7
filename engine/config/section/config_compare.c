/*
 * Each Kafka source beside those before it.
 *
 * A process has one consumer for each cluster and group, and a message counts once in a dataset. So
 * refused are two sources of one group whose consumers would differ, and two that bring one topic into one
 * dataset: the same name or pattern twice, or a pattern that matches the other's name. Two patterns that
 * meet only in the broker's topics are not seen here; there the feed's position keeps rows from counting
 * twice. Sources are of one cluster when their brokers have an address in common.
 */
#include <regex.h>
#include <string.h>

#include "engine/config/config_node.h"
#include "engine/config/section/config_source.h"

/* The next address of "a:1, b:2", or false at the end. */
static bool next_broker(const char **at, struct aq_slice *broker)
{
    *at += strspn(*at, ", ");
    size_t size = strcspn(*at, ", ");
    *broker = aq_slice_make(*at, size);
    *at += size;
    return size > 0;
}

static bool same_cluster(const struct aq_kafka_config *a, const struct aq_kafka_config *b)
{
    struct aq_slice one;
    struct aq_slice other;
    for (const char *at = a->brokers; next_broker(&at, &one);)
        for (const char *beside = b->brokers; next_broker(&beside, &other);)
            if (aq_slice_equal(one, other))
                return true;
    return false;
}

static bool topic_matches(const char *pattern, const char *name)
{
    regex_t regex;
    if (pattern[0] != '^' || name[0] == '^' ||
        regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool matches = regexec(&regex, name, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

/* The topics: of `kafka`; entry `index`'s mark. */
static struct aq_config_mark topic_mark(const struct aq_source_config *source, size_t index)
{
    const struct aq_config_node *node = aq_config_node_find(source->kafka, "topics");
    if (node->kind == AQ_NODE_LIST)
        for (node = node->first; index > 0; index--)
            node = node->next;
    return node->mark;
}

static enum aq_status compare_topics(struct aq_config_reader *reader,
                                     const struct aq_source_config *last,
                                     const struct aq_source_config *other)
{
    for (size_t i = 0; i < last->client.topic_count; i++) {
        const char *topic = last->client.topics[i];
        for (size_t j = 0; j < other->client.topic_count; j++) {
            const char *beside = other->client.topics[j];
            if (strcmp(topic, beside) == 0)
                return aq_config_fail(reader, topic_mark(last, i),
                                      "topics: source \"%s\" brings \"%s\" into dataset \"%s\" "
                                      "already; remove one",
                                      other->name, topic, last->dataset);
            if (topic_matches(topic, beside) || topic_matches(beside, topic))
                return aq_config_fail(
                    reader, topic_mark(last, i),
                    "topics: \"%s\" and \"%s\" of source \"%s\" bring one topic into "
                    "dataset \"%s\"; narrow the pattern or remove one",
                    topic, beside, other->name, last->dataset);
        }
    }
    return AQ_OK;
}

static const struct aq_kafka_property *find_property(const struct aq_kafka_config *kafka,
                                                     const char *name)
{
    for (size_t i = 0; i < kafka->property_count; i++)
        if (strcmp(kafka->properties[i].name, name) == 0)
            return &kafka->properties[i];
    return NULL;
}

/* A property of `a` that `b` lacks or has otherwise, or NULL. */
static const struct aq_kafka_property *differing_property(const struct aq_kafka_config *a,
                                                          const struct aq_kafka_config *b)
{
    for (size_t i = 0; i < a->property_count; i++) {
        const struct aq_kafka_property *other = find_property(b, a->properties[i].name);
        if (other == NULL || strcmp(other->value, a->properties[i].value) != 0)
            return &a->properties[i];
    }
    return NULL;
}

static enum aq_status compare_clients(struct aq_config_reader *reader,
                                      const struct aq_source_config *last,
                                      const struct aq_source_config *other)
{
    const struct aq_kafka_config *a = &last->client;
    const struct aq_kafka_config *b = &other->client;
    const char *what = NULL;
    const struct aq_kafka_property *property = differing_property(a, b);
    if (property == NULL)
        property = differing_property(b, a);
    if (property != NULL)
        what = property->name;
    else if (strcmp(a->brokers, b->brokers) != 0)
        what = "brokers";
    else if ((a->password == NULL) != (b->password == NULL) ||
             (a->password != NULL && strcmp(a->password, b->password) != 0))
        what = "password";
    if (what == NULL)
        return AQ_OK;
    return aq_config_fail(
        reader, last->kafka->key_mark,
        "kafka: source \"%s\" is of group \"%s\" too, and they share one consumer, but "
        "%s differs; make it equal or give this one a group: of its own",
        other->name, a->group, what);
}

enum aq_status aq_config_source_compare(struct aq_config_reader *reader,
                                        const struct aq_config *config)
{
    const struct aq_source_config *last = &config->sources[config->source_count - 1];
    for (const struct aq_source_config *other = config->sources; other < last; other++) {
        if (!last->is_kafka || !other->is_kafka || !same_cluster(&last->client, &other->client))
            continue;
        if (strcmp(last->dataset, other->dataset) == 0)
            AQ_TRY(compare_topics(reader, last, other));
        if (strcmp(last->client.group, other->client.group) == 0)
            AQ_TRY(compare_clients(reader, last, other));
    }
    return AQ_OK;
}
