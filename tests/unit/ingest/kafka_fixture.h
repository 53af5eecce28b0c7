/* A cluster in this process (librdkafka's mock), a producer for it, a store, and runs of Kafka sources. */
#ifndef AQ_TESTS_UNIT_KAFKA_FIXTURE_H
#define AQ_TESTS_UNIT_KAFKA_FIXTURE_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine/ingest/kafka/kafka.h"
#include "engine/query/query.h"
#include "engine/store/feed/feeds.h"

#include "tests/unit/scratch.h"

static rd_kafka_t *mock_producer; /* also the cluster's owner */
static rd_kafka_mock_cluster_t *mock;
static struct aq_config *mock_config;
static struct aq_store *mock_store;
static struct aq_monitor *mock_monitor;
static struct aq_error err;
static char notices[1 << 14];
static int64_t mock_clock_ms = INT64_C(1739491200000); /* timestamp of the next message */

static inline void mock_start(int broker_count)
{
    char text[512];
    char count[16];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(count, sizeof count, "%d", broker_count);
    cr_assert_eq(rd_kafka_conf_set(conf, "test.mock.num.brokers", count, text, sizeof text),
                 RD_KAFKA_CONF_OK);
    cr_assert_eq(rd_kafka_conf_set(conf, "linger.ms", "0", text, sizeof text), RD_KAFKA_CONF_OK);
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    mock_producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(mock_producer, "%s", text);
    mock = rd_kafka_handle_mock_cluster(mock_producer);
    scratch_make();
    notices[0] = '\0';
}

static inline void mock_topic(const char *name, int partition_count)
{
    cr_assert_eq(rd_kafka_mock_topic_create(mock, name, partition_count, 1),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
}

/** One message, a second after the one before; NULL: no key, or no value. */
static inline void mock_produce(const char *topic, int32_t partition, const char *key,
                                const char *value)
{
    size_t key_size = key == NULL ? 0 : strlen(key);
    size_t value_size = value == NULL ? 0 : strlen(value);
    rd_kafka_resp_err_t fault =
        rd_kafka_producev(mock_producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_size),
                          RD_KAFKA_V_VALUE((void *)value, value_size),
                          RD_KAFKA_V_TIMESTAMP(mock_clock_ms), RD_KAFKA_V_END);
    mock_clock_ms += 1000;
    cr_assert_eq(fault, RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_err2str(fault));
}

static inline void mock_flush(void)
{
    cr_assert_eq(rd_kafka_flush(mock_producer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

/** Messages {"city": "c<i % 3>", "ts": ..., "n": i} for i in [from, until), spread over partitions. */
static inline void mock_numbers(const char *topic, int32_t partition_count, int64_t from,
                                int64_t until)
{
    char value[256];
    for (int64_t i = from; i < until; i++) {
        snprintf(value, sizeof value, "{\"city\": \"c%d\", \"ts\": %lld, \"n\": %lld}",
                 (int)(i % 3), (long long)(1739491200 + i), (long long)i);
        mock_produce(topic, (int32_t)(i % partition_count), NULL, value);
    }
    mock_flush();
}

#define MOCK_DATASET                                                   \
    "    key: city\n"                                                  \
    "    time: ts\n"                                                   \
    "    columns:\n"                                                   \
    "      city: {type: text, required: true}\n"                       \
    "      ts: {type: timestamptz, format: epoch_s, required: true}\n" \
    "      n: {type: bigint}\n"

/** `sources` is YAML below sources:; %s in it stands for the cluster's address, everywhere. */
static inline void mock_configure(const char *datasets, const char *sources)
{
    struct aq_bytes text = {0};
    const char *brokers = rd_kafka_mock_cluster_bootstraps(mock);
    aq_bytes_chars(&text, "store: ./s\ningest: {commit_interval: 50ms, commit_size: 4KiB}\n");
    aq_bytes_chars(&text, datasets);
    aq_bytes_chars(&text, "sources:\n");
    for (const char *at = sources; *at != '\0'; at++) {
        if (at[0] == '%' && at[1] == 's') {
            aq_bytes_chars(&text, brokers);
            at++;
        } else {
            aq_bytes_append(&text, at, 1);
        }
    }
    aq_config_destroy(mock_config);
    mock_config = NULL;
    cr_assert_eq(aq_config_parse("test.yaml", aq_bytes_view(&text), &mock_config, &err), AQ_OK,
                 "%s: %s", err.path, err.message);
    aq_bytes_deinit(&text);
}

static inline void mock_store_open(void)
{
    char home[512];
    snprintf(home, sizeof home, "%s", scratch_file("home"));
    struct aq_store_options options = {.home = home, .create = true, .io = AQ_IO_POSIX};
    cr_assert_eq(aq_store_open(&options, &mock_store, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
}

static inline void mock_note(void *context, const char *message)
{
    (void)context;
    size_t size = strlen(notices);
    snprintf(notices + size, sizeof notices - size, "%s\n", message);
}

static inline void mock_prepare_monitor(void)
{
    size_t indices[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    aq_monitor_destroy(mock_monitor);
    cr_assert_eq(
        aq_monitor_create(mock_config, indices, mock_config->source_count, &mock_monitor, NULL),
        AQ_OK);
}

/** All sources of the config, in one consumer. */
static inline enum aq_status mock_run(bool once, const atomic_bool *stop)
{
    const struct aq_source_config *sources[8];
    for (size_t i = 0; i < mock_config->source_count; i++)
        sources[i] = &mock_config->sources[i];
    struct aq_kafka_run_options options = {.config = mock_config,
                                           .sources = sources,
                                           .source_count = mock_config->source_count,
                                           .once = once,
                                           .stop = stop,
                                           .monitor = mock_monitor,
                                           .notice = mock_note};
    memset(&err, 0, sizeof err);
    return aq_kafka_run(mock_store, &options, &err);
}

static inline void mock_run_once(void)
{
    mock_prepare_monitor();
    enum aq_status status = mock_run(true, NULL);
    cr_assert_eq(status, AQ_OK, "%s: %s\n%s", err.path, err.message, notices);
}

static inline struct aq_monitor_view mock_look(void)
{
    struct aq_monitor_view view;
    cr_assert_eq(aq_monitor_copy(mock_monitor, &view), AQ_OK);
    return view;
}

/** The answer's first value as text; in a buffer that the next call reuses. */
static inline const char *mock_ask(const char *sql)
{
    static char text[256];
    struct aq_snapshot *snapshot = NULL;
    struct aq_query *query = NULL;
    const struct aq_batch *batch = NULL;
    struct aq_bytes out = {0};
    cr_assert_eq(aq_snapshot_open(mock_store, &snapshot, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_query_prepare(snapshot, sql, NULL, &query, &err), AQ_OK, "%s", err.message);
    if (aq_query_next(query, &batch, &err) == AQ_OK) {
        for (size_t i = 0; i < batch->column_count; i++) {
            if (i > 0)
                aq_bytes_u8(&out, '|');
            cr_assert_eq(aq_query_value_text(query, &batch->columns[i], 0, &out), AQ_OK);
        }
    }
    snprintf(text, sizeof text, "%.*s", (int)out.size, out.data == NULL ? "" : (char *)out.data);
    aq_bytes_deinit(&out);
    aq_query_destroy(query);
    aq_snapshot_close(snapshot);
    return text;
}

/** Where a feed stands; feed_id 0: there is none. */
static inline struct aq_feed_state mock_feed(const char *dataset, const char *topic,
                                             int32_t partition)
{
    const struct aq_catalog *catalog = NULL;
    struct aq_feed_state found = {0};
    cr_assert_eq(aq_store_catalog(mock_store, true, &catalog, &err), AQ_OK);
    for (size_t i = 0; i < catalog->feed_count; i++) {
        const struct aq_catalog_feed *feed = &catalog->feeds[i];
        const struct aq_schema *schema =
            aq_catalog_schema_by_id(catalog, feed->identity.dataset_id, 0);
        if (strcmp(schema->dataset, dataset) == 0 && feed->identity.partition == partition &&
            aq_slice_equal(feed->identity.name, aq_slice_of(topic)) &&
            feed->identity.incarnation > found.identity.incarnation) {
            found.identity = feed->identity;
            found.position = feed->position;
        }
    }
    aq_catalog_release(catalog);
    return found;
}

/* A run in a thread of its own, until mock_run_end. */
static atomic_bool mock_stop_flag;
static pthread_t mock_thread;
static enum aq_status mock_status;

static inline void *mock_run_thread(void *context)
{
    (void)context;
    mock_status = mock_run(false, &mock_stop_flag);
    return NULL;
}

static inline void mock_run_begin(void)
{
    mock_stop_flag = false;
    mock_prepare_monitor();
    cr_assert_eq(pthread_create(&mock_thread, NULL, mock_run_thread, NULL), 0);
}

static inline void mock_run_end(void)
{
    mock_stop_flag = true;
    cr_assert_eq(pthread_join(mock_thread, NULL), 0);
    cr_assert_eq(mock_status, AQ_OK, "%s: %s\n%s", err.path, err.message, notices);
}

/** Wait until the first source shows this, at most 30 s. */
static inline void mock_wait(enum aq_source_state state, uint64_t row_count)
{
    for (int i = 0; i < 3000; i++) {
        struct aq_monitor_view view = mock_look();
        bool done = view.sources[0].state == state && view.sources[0].row_count >= row_count;
        aq_monitor_view_deinit(&view);
        if (done)
            return;
        usleep(10000);
    }
    struct aq_monitor_view view = mock_look();
    cr_assert_fail("state %d, %llu rows, \"%s\"\n%s", (int)view.sources[0].state,
                   (unsigned long long)view.sources[0].row_count, view.sources[0].message, notices);
}

/** A feed of "air" as an earlier run might have left it. */
static inline void mock_put_feed(const char *topic, int32_t partition, uint64_t next_ordinal,
                                 int64_t last_stamp_us, bool with_hash)
{
    char cluster[128];
    const struct aq_schema *schema = NULL;
    const struct aq_schema *rejects = NULL;
    struct aq_shard_writer *writer = NULL;
    const struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 20, .depth = 1};
    cr_assert_eq(aq_kafka_cluster_id(&mock_config->sources[0], cluster, &err), AQ_OK, "%s",
                 err.message);
    cr_assert_eq(
        aq_store_declare(mock_store, &mock_config->datasets[0].schema, &schema, &rejects, &err),
        AQ_OK);
    cr_assert_eq(aq_shard_writer_create(mock_store, &options, &writer, &err), AQ_OK);
    struct aq_feed_state state = {
        .identity = {.dataset_id = schema->dataset_id,
                     .source = aq_slice_of("live"),
                     .name = aq_slice_of(topic),
                     .cluster = aq_slice_of(cluster),
                     .partition = partition,
                     .incarnation = 1},
        .position = {.next_ordinal = next_ordinal, .last_stamp_us = last_stamp_us},
    };
    if (with_hash)
        memset(state.position.hash.bytes, 7, sizeof state.position.hash.bytes);
    cr_assert_eq(aq_shard_writer_take_over(writer, &state, 1, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_shard_writer_seal(writer, &err), AQ_OK, "%s", err.message);
    aq_shard_writer_destroy(writer);
}

/** Commit an offset as somebody who is no member of the group. */
static inline void mock_commit(const char *group, const char *topic, int32_t partition,
                               int64_t offset, const char *metadata)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock), text,
                      sizeof text);
    rd_kafka_conf_set(conf, "group.id", group, text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    cr_assert_not_null(rk, "%s", text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, topic, partition);
    one->offset = offset;
    one->metadata = strdup(metadata);
    one->metadata_size = strlen(metadata);
    rd_kafka_resp_err_t fault = rd_kafka_commit(rk, list, 0);
    cr_assert_eq(fault, RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_err2str(fault));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

static inline void mock_stop(void)
{
    aq_monitor_destroy(mock_monitor);
    aq_store_close(mock_store);
    aq_config_destroy(mock_config);
    rd_kafka_destroy(mock_producer);
}

#endif
