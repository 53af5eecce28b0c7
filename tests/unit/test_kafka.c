/* Kafka sources against a cluster in this process: what is read once, stays read once. */
#include "tests/unit/kafka_fixture.h"

#define AIR "datasets:\n  air:\n" MOCK_DATASET
#define AIR_SOURCE                                                                 \
    "  live:\n    kafka: {brokers: \"%s\", topics: [numbers], group: g, options: " \
    "{session.timeout.ms: 3500, heartbeat.interval.ms: 100}}\n    dataset: air\n"

static void begin(void)
{
    mock_start(1);
    mock_topic("numbers", 3);
    mock_configure(AIR, AIR_SOURCE);
    mock_store_open();
}

Test(kafka, messages_become_rows, .init = begin, .fini = mock_stop, .timeout = 60)
{
    mock_numbers("numbers", 3, 0, 1000);
    mock_run_once();
    cr_assert_str_eq(mock_ask("SELECT count(*), sum(n), count(DISTINCT n) FROM air"),
                     "1000|499500|1000");
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

Test(kafka, the_next_run_goes_on_where_the_store_stands, .init = begin, .fini = mock_stop,
     .timeout = 60)
{
    mock_numbers("numbers", 3, 0, 100);
    mock_run_once();
    mock_numbers("numbers", 3, 100, 250);
    mock_run_once();
    mock_run_once();
    cr_assert_str_eq(mock_ask("SELECT count(*), sum(n), count(DISTINCT n) FROM air"),
                     "250|31125|250");
    cr_assert_str_empty(notices);
}
