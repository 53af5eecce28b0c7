/* sources accept: go on with a topic that was made anew, or that lost its end, though nothing shows that all its
 * messages are new.
 *
 * Happy path: each partition of the topic whose log is not the one that was read gets its next incarnation,
 * which begins where --from says. Partitions whose log is the same stay as they are: nothing is read twice.
 * Failures: a topic that the source never read, an offset that a log does not have; then nothing changes. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/kafka/kafka.h"
#include "engine/store/feed/feeds.h"
#include "tools/commands/commands.h"
#include "tools/output/forms/rows.h"

#define CLUSTER_BYTES 128

static const struct aq_result_column columns[] = {
    {"dataset", AQ_TYPE_TEXT},        {"topic", AQ_TYPE_TEXT},
    {"partition", AQ_TYPE_INTEGER},   {"incarnation", AQ_TYPE_BIGINT},
    {"next_message", AQ_TYPE_BIGINT}, {"accepted", AQ_TYPE_BOOLEAN},
};

/* A partition of the topic, and what is to become of its feed. */
struct log {
    struct aq_feed_state feed;
    uint64_t low;
    uint64_t high;
    uint64_t from;
    bool accepted;
};

struct acceptance {
    const struct aq_source_config *source;
    const char *topic;
    const char *from;
    char cluster[CLUSTER_BYTES];
    uint32_t dataset_id;
    size_t log_count;
    size_t log_capacity;
    struct log *logs;
    bool no_memory;
};

static void add_log(void *context, int32_t partition, uint64_t low, uint64_t high)
{
    struct acceptance *acceptance = context;
    if (acceptance->log_count == acceptance->log_capacity) {
        size_t capacity = acceptance->log_capacity == 0 ? 16 : 2 * acceptance->log_capacity;
        struct log *logs = realloc(acceptance->logs, capacity * sizeof(*logs));
        if (logs == NULL) {
            acceptance->no_memory = true;
            return;
        }
        acceptance->logs = logs;
        acceptance->log_capacity = capacity;
    }
    struct log *log = &acceptance->logs[acceptance->log_count++];
    *log = (struct log){.low = low, .high = high};
    log->feed.identity = (struct aq_feed_identity){
        .dataset_id = acceptance->dataset_id,
        .source = aq_slice_of(acceptance->source->name),
        .name = aq_slice_of(acceptance->topic),
        .cluster = aq_slice_of(acceptance->cluster),
        .partition = partition,
    };
}

static bool is_named(const char *from)
{
    return strcmp(from, "earliest") == 0 || strcmp(from, "latest") == 0;
}

static enum aq_status check_from(const char *from, struct aq_error *err)
{
    bool is_offset = from[0] != '\0' && from[strspn(from, "0123456789")] == '\0';
    return is_offset || is_named(from)
               ? AQ_OK
               : aq_error_set(err, AQ_INVALID,
                              "--from: '%s' is neither earliest, latest nor an offset", from);
}

/* What check_from has let through. */
static enum aq_status place_from(const struct acceptance *acceptance, struct log *log,
                                 struct aq_error *err)
{
    const char *text = acceptance->from;
    if (is_named(text)) {
        log->from = text[0] == 'e' ? log->low : log->high;
        return AQ_OK;
    }
    log->from = strtoull(text, NULL, 10);
    if (log->from < log->low || log->from > log->high)
        return aq_error_set(err, AQ_INVALID,
                            "--from: partition %d has messages %llu up to %llu, not %s",
                            log->feed.identity.partition, (unsigned long long)log->low,
                            (unsigned long long)log->high, text);
    return AQ_OK;
}

/* Which logs are others than those that were read. */
static enum aq_status compare(struct acceptance *acceptance, struct aq_store *store,
                              struct aq_error *err)
{
    bool known = false;
    for (size_t i = 0; i < acceptance->log_count; i++) {
        struct log *log = &acceptance->logs[i];
        struct aq_feed_state *feed = &log->feed;
        bool same = true;
        AQ_TRY(aq_store_find_feed(store, feed, err));
        known = known || feed->identity.feed_id != 0;
        if (feed->identity.feed_id != 0)
            AQ_TRY(aq_kafka_is_same_log(acceptance->source, acceptance->topic,
                                        feed->identity.partition, &feed->position, &same, err));
        log->accepted = !same;
        log->from = feed->position.next_ordinal;
        if (!same)
            AQ_TRY(place_from(acceptance, log, err));
    }
    return known ? AQ_OK
                 : aq_error_set(err, AQ_NOT_FOUND,
                                "source \"%s\" has read nothing of topic \"%s\" yet, so there is "
                                "nothing to accept; see `aqstore sources`",
                                acceptance->source->name, acceptance->topic);
}

static enum aq_status accept_logs(struct acceptance *acceptance, struct aq_store *store,
                                  struct aq_error *err)
{
    for (size_t i = 0; i < acceptance->log_count; i++) {
        struct log *log = &acceptance->logs[i];
        if (log->accepted)
            AQ_TRY(aq_store_accept_feed(store, &log->feed.identity, log->from, err));
    }
    return AQ_OK;
}

static void say_if_none(const struct acceptance *acceptance, const struct aq_program *program)
{
    for (size_t i = 0; i < acceptance->log_count; i++) {
        if (acceptance->logs[i].accepted)
            return;
    }
    aq_program_say_of(program, AQ_LEVEL_NOTICE, acceptance->source->name,
                      "nothing to accept: each log is the one that was read");
}

static enum aq_status report(const struct acceptance *acceptance, struct aq_program *program,
                             struct aq_error *err)
{
    struct aq_rows rows;
    aq_rows_init(&rows, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < acceptance->log_count; i++) {
        const struct log *log = &acceptance->logs[i];
        aq_rows_text(&rows, acceptance->source->dataset);
        aq_rows_text(&rows, acceptance->topic);
        aq_rows_int(&rows, log->feed.identity.partition);
        aq_rows_count(&rows, log->feed.identity.incarnation);
        aq_rows_count(&rows, log->from);
        aq_rows_int(&rows, log->accepted);
    }
    enum aq_status status =
        aq_rows_report(&rows, "accepted", program->options.json, program->out, err);
    aq_rows_deinit(&rows);
    return status;
}

static enum aq_status find_source(struct aq_program *program, struct acceptance *acceptance,
                                  struct aq_error *err)
{
    const struct aq_config *config = NULL;
    const char *name = program->options.arguments[1];
    AQ_TRY(aq_program_config(program, &config, err));
    AQ_TRY(aq_source_named(config, name, &acceptance->source, err));
    return acceptance->source->is_kafka
               ? AQ_OK
               : aq_error_set(err, AQ_INVALID,
                              "source '%s' reads files: there is nothing to accept", name);
}

static enum aq_status find_dataset(struct acceptance *acceptance, struct aq_store *store,
                                   struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    const struct aq_schema *schema = aq_catalog_schema(catalog, acceptance->source->dataset);
    if (schema != NULL)
        acceptance->dataset_id = schema->dataset_id;
    aq_catalog_release(catalog);
    return schema != NULL ? AQ_OK
                          : aq_error_set(err, AQ_NOT_FOUND, "the store has no dataset %s yet",
                                         acceptance->source->dataset);
}

static enum aq_status run(struct aq_program *program, struct acceptance *acceptance,
                          struct aq_error *err)
{
    struct aq_store *store = NULL;
    AQ_TRY(find_source(program, acceptance, err));
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &store, err));
    AQ_TRY(find_dataset(acceptance, store, err));
    AQ_TRY(aq_kafka_cluster_id(acceptance->source, acceptance->cluster, err));
    AQ_TRY(aq_kafka_topic_ends(acceptance->source, acceptance->topic, add_log, acceptance, err));
    if (acceptance->no_memory)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    AQ_TRY(compare(acceptance, store, err));
    AQ_TRY(accept_logs(acceptance, store, err));
    say_if_none(acceptance, program);
    return report(acceptance, program, err);
}

enum aq_status aq_sources_accept(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    if (options->argument_count != 3 || options->from == NULL)
        return aq_error_set(err, AQ_INVALID,
                            "say: aqstore sources accept NAME TOPIC --from earliest|latest|OFFSET");
    AQ_TRY(check_from(options->from, err));
    struct acceptance acceptance = {.topic = options->arguments[2], .from = options->from};
    enum aq_status status = run(program, &acceptance, err);
    free(acceptance.logs);
    return status;
}
