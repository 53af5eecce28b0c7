/* How far feeds are behind the ends of their logs.
 *
 * Happy path: for every Kafka source of the config, one client asks for the ends of all partitions that
 * the source has fed; the lag is what lies between.
 * Failures: no config, a source that it does not have any more, another cluster, no answer: not known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka.h"
#include "tools/commands/commands.h"

#define CLUSTER_BYTES 128
#define ANSWER_MS 2000

/* The feeds of a source, and the ends of their logs in the same order. */
struct behind {
    size_t count;
    size_t *feeds; /* indices */
    char (*topics)[256];
    struct aq_kafka_end *ends;
};

static bool is_superseded(const struct aq_feed_state *feeds, size_t feed_count, size_t at)
{
    const struct aq_feed_identity *one = &feeds[at].identity;
    for (size_t i = 0; i < feed_count; i++) {
        const struct aq_feed_identity *other = &feeds[i].identity;
        if (other->incarnation > one->incarnation && other->dataset_id == one->dataset_id &&
            other->partition == one->partition && aq_slice_equal(other->name, one->name) &&
            aq_slice_equal(other->cluster, one->cluster))
            return true;
    }
    return false;
}

static void collect(const struct aq_source_config *source, const struct aq_feed_state *feeds,
                    size_t feed_count, struct behind *behind)
{
    behind->count = 0;
    for (size_t i = 0; i < feed_count; i++) {
        const struct aq_feed_identity *identity = &feeds[i].identity;
        if (identity->partition < 0 || identity->name.size >= sizeof *behind->topics ||
            !aq_slice_equal(identity->source, aq_slice_of(source->name)) ||
            is_superseded(feeds, feed_count, i))
            continue;
        char *topic = behind->topics[behind->count];
        snprintf(topic, sizeof *behind->topics, "%.*s", (int)identity->name.size,
                 (const char *)identity->name.data);
        behind->feeds[behind->count] = i;
        behind->ends[behind->count] =
            (struct aq_kafka_end){.topic = topic, .partition = identity->partition};
        behind->count++;
    }
}

static void ask(struct aq_program *program, const struct aq_source_config *source,
                const struct aq_feed_state *feeds, struct behind *behind, int64_t *lags)
{
    char cluster[CLUSTER_BYTES];
    struct aq_error err = {.offset = -1};
    if (behind->count == 0)
        return;
    struct aq_slice id = feeds[behind->feeds[0]].identity.cluster;
    snprintf(cluster, sizeof cluster, "%.*s", (int)id.size, (const char *)id.data);
    if (aq_kafka_find_ends(source, cluster, ANSWER_MS, behind->ends, behind->count, &err) < 0) {
        aq_program_say(program, AQ_LEVEL_NOTICE, "sources: no lag: %s", err.message);
        return;
    }
    for (size_t i = 0; i < behind->count; i++) {
        const struct aq_feed_state *feed = &feeds[behind->feeds[i]];
        uint64_t next = feed->position.next_ordinal;
        uint64_t end = behind->ends[i].end_ordinal;
        if (behind->ends[i].known && aq_slice_equal(feed->identity.cluster, id))
            lags[behind->feeds[i]] = end > next ? (int64_t)(end - next) : 0;
    }
}

void aq_sources_lags(struct aq_program *program, const struct aq_feed_state *feeds,
                     size_t feed_count, int64_t *lags)
{
    const struct aq_config *config = NULL;
    struct aq_error ignored = {0};
    for (size_t i = 0; i < feed_count; i++)
        lags[i] = -1;
    if (aq_program_config(program, &config, &ignored) < 0)
        return;
    struct behind behind = {
        .feeds = calloc(feed_count + 1, sizeof *behind.feeds),
        .topics = calloc(feed_count + 1, sizeof *behind.topics),
        .ends = calloc(feed_count + 1, sizeof *behind.ends),
    };
    bool ready = behind.feeds != NULL && behind.topics != NULL && behind.ends != NULL;
    for (size_t i = 0; i < config->source_count && ready; i++) {
        if (!config->sources[i].is_kafka)
            continue;
        collect(&config->sources[i], feeds, feed_count, &behind);
        ask(program, &config->sources[i], feeds, &behind, lags);
    }
    free(behind.feeds);
    free(behind.topics);
    free(behind.ends);
}
