/* Kafka sources against a cluster in this process: what is read once stays read once, and what is no
 * longer the same is noticed. */
#include "tests/unit/ingest/kafka_fixture.h"

#define AIR "datasets:\n  air:\n" MOCK_DATASET
/* The mock lets a member join when a session's time has passed. */
#define CLIENT(topics, group)                                          \
    "    kafka: {brokers: \"%s\", topics: [" topics "], group: " group \
    ", options: {session.timeout.ms: 3500, "                           \
    "heartbeat.interval.ms: 100, reconnect.backoff.max.ms: 500}}\n"
#define AIR_SOURCE "  live:\n" CLIENT("numbers", "g") "    dataset: air\n"

static void begin(void)
{
    mock_start(1);
    mock_topic("numbers", 3);
    mock_configure(AIR, AIR_SOURCE);
    mock_store_open();
}

TestSuite(kafka, .init = begin, .fini = mock_stop, .timeout = 60);

static const char *all(void)
{
    return mock_ask("SELECT count(*), coalesce(sum(n), 0), count(DISTINCT n) FROM air");
}

Test(kafka, messages_become_rows)
{
    mock_numbers("numbers", 3, 0, 1000);
    mock_run_once();
    cr_assert_str_eq(all(), "1000|499500|1000");
    struct aq_feed_state feed = mock_feed("air", "numbers", 0);
    cr_assert_eq(feed.position.next_ordinal, 334);
    cr_assert_eq(feed.position.row_count, 334);
    cr_assert_eq(feed.identity.incarnation, 1);
    struct aq_monitor_view view = mock_look();
    cr_assert_eq(view.sources[0].state, AQ_SOURCE_DONE);
    cr_assert_eq(view.sources[0].row_count, 1000);
    cr_assert_eq(view.partition_count, 3);
    cr_assert_eq(view.partitions[1].next_ordinal, 333);
    cr_assert_eq(view.partitions[1].end_ordinal, 333);
    cr_assert_gt(view.totals.commit_count, 0);
    cr_assert_eq(view.totals.segments_sealed, 1);
    cr_assert_eq(view.totals.queue_messages, 0);
    aq_monitor_view_deinit(&view);
}

Test(kafka, the_next_run_goes_on_where_the_store_stands)
{
    mock_numbers("numbers", 3, 0, 100);
    mock_run_once();
    mock_numbers("numbers", 3, 100, 250);
    mock_run_once();
    cr_assert_str_eq(all(), "250|31125|250");
    cr_assert_str_empty(notices);
    const struct aq_hash128 none = {{0}};
    struct aq_feed_state feed = mock_feed("air", "numbers", 0);
    cr_assert_not(aq_hash128_equal(&feed.position.hash, &none));
    cr_assert_gt(feed.position.last_stamp_us, 0);
}

/* Another group has no offsets at all: as if it had been rewound. */
Test(kafka, the_group_does_not_matter)
{
    mock_numbers("numbers", 3, 0, 100);
    mock_run_once();
    mock_configure(AIR, "  live:\n" CLIENT("numbers", "other") "    dataset: air\n");
    mock_numbers("numbers", 3, 100, 110);
    mock_run_once();
    cr_assert_str_eq(all(), "110|5995|110");
    cr_assert_str_empty(notices);
}

Test(kafka, what_cannot_be_taken_is_a_reject_or_passed_over)
{
    mock_numbers("numbers", 1, 0, 10);
    mock_produce("numbers", 0, "k", "{broken");
    mock_produce("numbers", 0, "k", NULL);
    mock_produce("numbers", 0, "k", "{\"ts\": 1739491200}");
    mock_flush();
    mock_run_once();
    cr_assert_str_eq(all(), "10|45|10");
    cr_assert_str_eq(mock_ask("SELECT count(*), min(\"offset\"), max(\"offset\") FROM air_rejects"),
                     "2|10|12");
    struct aq_feed_state feed = mock_feed("air", "numbers", 0);
    cr_assert_eq(feed.position.next_ordinal, 13);
    cr_assert_eq(feed.position.reject_count, 2);
    cr_assert_eq(feed.position.passed_count, 1);
    struct aq_monitor_view view = mock_look();
    cr_assert_eq(view.sources[0].reject_counts[AQ_REJECT_SYNTAX], 1);
    cr_assert_eq(view.sources[0].reject_counts[AQ_REJECT_REQUIRED], 1);
    cr_assert_eq(view.sources[0].passed_count, 1);
    aq_monitor_view_deinit(&view);
}

/* One consumer, three sources: two datasets of one topic, and two sources of one dataset. A source that
 * comes later begins where it wants, not where the others are. */
Test(kafka, sources_share_a_consumer)
{
    mock_topic("more", 1);
    mock_numbers("numbers", 1, 0, 100);
    mock_numbers("more", 1, 1000, 1010);
    mock_run_once();
    mock_configure(AIR "  high:\n" MOCK_DATASET, AIR_SOURCE
                   "  upper:\n" CLIENT("\"^num.*\"",
                                       "g") "    dataset: high\n"
                                            "    when: \"n >= 90\"\n"
                                            "  beside:\n" CLIENT("more", "g") "    dataset: air\n");
    mock_numbers("numbers", 1, 100, 120);
    mock_run_once();
    cr_assert_str_eq(all(), "130|17185|130");
    cr_assert_str_eq(mock_ask("SELECT count(*), sum(n), count(DISTINCT n) FROM high"),
                     "30|3135|30");
    cr_assert_eq(mock_feed("high", "numbers", 0).position.passed_count, 90);
    cr_assert_eq(mock_feed("high", "numbers", 0).position.next_ordinal, 120);
    cr_assert_eq(mock_feed("high", "more", 0).identity.feed_id, 0);
}

/* Patterns that meet in a topic make one feed of it. */
Test(kafka, patterns_of_one_dataset_may_meet)
{
    mock_configure(
        AIR, "  one:\n" CLIENT("\"^num.*\"", "g") "    dataset: air\n"
                                                  "  two:\n" CLIENT("\"^.*bers$\"",
                                                                    "g") "    dataset: air\n");
    mock_numbers("numbers", 3, 0, 30);
    mock_run_once();
    cr_assert_str_eq(all(), "30|435|30");
}

Test(kafka, start_latest_takes_what_comes)
{
    mock_configure(AIR, AIR_SOURCE "    start: latest\n");
    mock_numbers("numbers", 3, 0, 100);
    mock_run_once();
    cr_assert_str_eq(all(), "0|0|0");
    mock_numbers("numbers", 3, 100, 130);
    mock_run_once();
    cr_assert_str_eq(all(), "30|3435|30");
}

/* The feed of the first incarnation stays, with its rows. */
Test(kafka, a_topic_made_anew_with_newer_messages_is_a_new_incarnation)
{
    mock_put_feed("numbers", 0, 500, mock_clock_ms * 1000 - 1, true); /* beyond the log's end */
    mock_put_feed("numbers", 1, 5, mock_clock_ms * 1000 - 1, true);   /* inside, another message */
    mock_put_feed("numbers", 2, 1, mock_clock_ms * 1000 - 1, true);   /* the first in the log */
    mock_numbers("numbers", 3, 0, 60);
    mock_run_once();
    cr_assert_str_eq(all(), "60|1770|60");
    for (int32_t i = 0; i < 3; i++) {
        struct aq_feed_state feed = mock_feed("air", "numbers", i);
        cr_assert_eq(feed.identity.incarnation, 2);
        cr_assert_eq(feed.position.next_ordinal, 20);
    }
    cr_assert_not_null(strstr(notices, "was made anew"), "%s", notices);
    mock_numbers("numbers", 3, 60, 66);
    mock_run_once();
    cr_assert_str_eq(all(), "66|2145|66");
}

Test(kafka, another_log_that_is_not_newer_stops_the_source_until_it_is_accepted)
{
    mock_put_feed("numbers", 1, 5, mock_clock_ms * 1000 + 10000000, true);
    mock_numbers("numbers", 3, 0, 60);
    mock_prepare_monitor();
    cr_assert_eq(mock_run(true, NULL), AQ_NOT_FOUND);
    cr_assert_not_null(strstr(err.message, "aqstore sources accept live numbers --from earliest"),
                       "%s", err.message);
    struct aq_monitor_view view = mock_look();
    cr_assert_eq(view.sources[0].state, AQ_SOURCE_STOPPED);
    aq_monitor_view_deinit(&view);
    struct aq_feed_state feed = mock_feed("air", "numbers", 1);
    cr_assert_eq(feed.position.next_ordinal, 5);
    cr_assert_eq(aq_store_accept_feed(mock_store, &feed.identity, 0, &err), AQ_OK);
    mock_run_once();
    cr_assert_str_eq(all(), "60|1770|60");
    cr_assert_eq(mock_feed("air", "numbers", 1).identity.incarnation, 2);
}

/* A source of another dataset of the same topic goes on. */
Test(kafka, a_stopped_source_stops_alone)
{
    mock_configure(AIR "  high:\n" MOCK_DATASET,
                   AIR_SOURCE "  second:\n" CLIENT("numbers", "g") "    dataset: high\n");
    mock_put_feed("numbers", 0, 500, mock_clock_ms * 1000 + 1, true);
    mock_numbers("numbers", 3, 0, 60);
    mock_prepare_monitor();
    cr_assert_eq(mock_run(true, NULL), AQ_NOT_FOUND);
    cr_assert_str_eq(mock_ask("SELECT count(*) FROM high"), "60");
    struct aq_monitor_view view = mock_look();
    cr_assert_eq(view.sources[0].state, AQ_SOURCE_STOPPED);
    cr_assert_eq(view.sources[1].state, AQ_SOURCE_DONE);
    aq_monitor_view_deinit(&view);
    struct aq_feed_state feed = mock_feed("air", "numbers", 0);
    cr_assert_eq(aq_store_accept_feed(mock_store, &feed.identity, 0, &err), AQ_OK);
    mock_numbers("numbers", 3, 60, 66);
    mock_run_once();
    cr_assert_str_eq(all(), "66|2145|66");
    cr_assert_str_eq(mock_ask("SELECT count(*), count(DISTINCT n) FROM high"), "66|66");
    for (int32_t i = 0; i < 3; i++)
        cr_assert_eq(mock_feed("high", "numbers", i).identity.incarnation, 1);
}

/* The mock keeps 5 MiB of a log. */
Test(kafka, what_retention_took_is_recorded)
{
    size_t size = 100000;
    char *value = malloc(size + 1);
    memset(value, ' ', size);
    memcpy(value, "{\"city\": \"c\", \"ts\": 1739491200, \"n\": 1}", 39);
    value[size] = '\0';
    mock_put_feed("numbers", 0, 3, 1, true);
    for (int i = 0; i < 100; i++) {
        mock_produce("numbers", 0, NULL, value);
        mock_flush();
    }
    free(value);
    mock_run_once();
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(mock_store, true, &catalog, &err), AQ_OK);
    cr_assert_eq(catalog->lost_count, 1);
    cr_assert_eq(catalog->losses[0].from_ordinal, 3);
    uint64_t next = catalog->losses[0].next_ordinal;
    aq_catalog_release(catalog);
    cr_assert_gt(next, 40);
    cr_assert_lt(next, 100);
    cr_assert_not_null(strstr(notices, "were lost to Kafka's retention"), "%s", notices);
    struct aq_feed_state feed = mock_feed("air", "numbers", 0);
    cr_assert_eq(feed.position.next_ordinal, 100);
    cr_assert_eq(feed.position.row_count, 100 - next);
    cr_assert_eq(feed.identity.incarnation, 1);
    struct aq_monitor_view view = mock_look();
    cr_assert_eq(view.sources[0].lost_count, next - 3);
    aq_monitor_view_deinit(&view);
}

Test(kafka, a_group_of_another_store_is_refused)
{
    mock_numbers("numbers", 3, 0, 10);
    mock_commit("g", "numbers", 1, 2, "aqstore:00000000000000000000000000000000");
    mock_prepare_monitor();
    cr_assert_eq(mock_run(true, NULL), AQ_CONFLICT);
    cr_assert_not_null(strstr(err.message, "belongs to another store"), "%s", err.message);
    cr_assert_str_eq(all(), "0|0|0");
}

Test(kafka, offsets_of_somebody_else_do_not_matter)
{
    mock_numbers("numbers", 3, 0, 10);
    mock_commit("g", "numbers", 1, 2, "");
    mock_run_once();
    cr_assert_str_eq(all(), "10|45|10");
}

Test(kafka, a_stop_drains)
{
    mock_run_begin();
    mock_numbers("numbers", 3, 0, 300);
    mock_wait(AQ_SOURCE_RUNNING, 300);
    mock_numbers("numbers", 3, 300, 400);
    mock_wait(AQ_SOURCE_RUNNING, 400);
    mock_run_end();
    cr_assert_str_eq(all(), "400|79800|400");
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(mock_store, true, &catalog, &err), AQ_OK);
    for (size_t i = 0; i < catalog->file_count; i++)
        cr_assert_eq(catalog->files[i].state, AQ_FILE_CLOSED);
    aq_catalog_release(catalog);
    cr_assert_eq(mock_feed("air", "numbers", 2).position.next_ordinal, 133);
}

Test(kafka, a_broker_that_is_down_is_waited_for)
{
    mock_run_begin();
    mock_numbers("numbers", 3, 0, 30);
    mock_wait(AQ_SOURCE_RUNNING, 30);
    rd_kafka_mock_broker_set_down(mock, 1);
    mock_wait(AQ_SOURCE_WAITING, 30);
    usleep(4000000); /* a session's time: the partitions are lost, and still it is waited for */
    struct aq_monitor_view view = mock_look();
    cr_assert_eq(view.sources[0].state, AQ_SOURCE_WAITING);
    aq_monitor_view_deinit(&view);
    rd_kafka_mock_broker_set_up(mock, 1);
    mock_wait(AQ_SOURCE_RUNNING, 30);
    mock_numbers("numbers", 3, 30, 60);
    mock_wait(AQ_SOURCE_RUNNING, 60);
    mock_run_end();
    cr_assert_str_eq(all(), "60|1770|60");
}

Test(kafka, topics_that_are_not_there)
{
    mock_configure(AIR, "  live:\n" CLIENT("nothing", "g") "    dataset: air\n");
    mock_prepare_monitor();
    enum aq_status status = mock_run(true, NULL);
    cr_assert_eq(status, AQ_NOT_FOUND, "%s: %s", aq_status_text(status), err.message);
    cr_assert_not_null(strstr(err.message, "\"nothing\""), "%s", err.message);
}

Test(kafka, a_pattern_without_a_topic_is_at_its_end)
{
    mock_configure(AIR, "  live:\n" CLIENT("^nothing", "g") "    dataset: air\n");
    mock_prepare_monitor();
    cr_assert_eq(mock_run(true, NULL), AQ_OK, "%s", err.message);
}

Test(kafka, a_property_that_is_none_is_shown_with_its_place)
{
    mock_configure(AIR, "  live:\n"
                        "    kafka:\n"
                        "      brokers: \"%s\"\n"
                        "      topics: [numbers]\n"
                        "      options:\n"
                        "        fetch.mim.bytes: 7\n"
                        "    dataset: air\n");
    cr_assert_eq(aq_kafka_check(mock_config, &mock_config->sources[0], &err), AQ_INVALID);
    cr_assert_str_eq(err.path, "test.yaml:17:9");
    cr_assert_not_null(strstr(err.message, "fetch.mim.bytes"), "%s", err.message);
    mock_configure(AIR, AIR_SOURCE);
    cr_assert_eq(aq_kafka_check(mock_config, &mock_config->sources[0], &err), AQ_OK, "%s",
                 err.message);
}

/* librdkafka before 2.3 asserts when it destroys a member that the group never gave an assignment. */
Test(kafka, a_member_that_was_given_nothing_can_leave)
{
    enum { SYNC_GROUP = 14, FAULT_COUNT = 8 };
    rd_kafka_resp_err_t faults[FAULT_COUNT];
    for (size_t i = 0; i < FAULT_COUNT; i++)
        faults[i] = RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    rd_kafka_mock_push_request_errors_array(mock, SYNC_GROUP, FAULT_COUNT, faults);
    mock_run_begin();
    usleep(
        5000000); /* a session's time, after which the mock lets it join; then it waits for its share */
    mock_run_end();
}
