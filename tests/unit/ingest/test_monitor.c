/* What sources tell their watchers: counters add up, gauges are replaced, copies stand still. */
#include <criterion/criterion.h>

#include "engine/ingest/monitor.h"

static struct aq_source_config configured[] = {
    {.name = "edits", .dataset = "wiki", .is_kafka = true},
    {.name = "other", .dataset = "none"},
    {.name = "air", .dataset = "air_quality"},
};
static const struct aq_config config = {.source_count = 3, .sources = configured};

static struct aq_monitor *make(void)
{
    static const size_t sources[] = {0, 2};
    struct aq_monitor *monitor = NULL;
    cr_assert_eq(aq_monitor_create(&config, sources, 2, &monitor, NULL), AQ_OK);
    return monitor;
}

static struct aq_monitor_view look(struct aq_monitor *monitor)
{
    struct aq_monitor_view view;
    cr_assert_eq(aq_monitor_copy(monitor, &view), AQ_OK);
    return view;
}

Test(monitor, knows_the_sources_it_was_given)
{
    struct aq_monitor *monitor = make();
    cr_assert_eq(aq_monitor_find(monitor, "air"), 1);
    cr_assert_eq(aq_monitor_find(monitor, "other"), SIZE_MAX);
    cr_assert_eq(aq_monitor_find(NULL, "air"), SIZE_MAX);
    struct aq_monitor_view view = look(monitor);
    cr_assert_eq(view.source_count, 2);
    cr_assert_str_eq(view.sources[0].name, "edits");
    cr_assert(view.sources[0].is_kafka);
    cr_assert_str_eq(view.sources[1].dataset, "air_quality");
    cr_assert_eq(view.sources[1].state, AQ_SOURCE_STARTING);
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
}

Test(monitor, counts_add_up_and_a_copy_stands_still)
{
    struct aq_monitor *monitor = make();
    struct aq_monitor_source add = {
        .row_count = 3, .passed_count = 1, .lost_count = 2, .input_bytes = 100};
    add.reject_counts[AQ_REJECT_TYPE] = 4;
    add.last_message_us = 1000;
    aq_monitor_add(monitor, 1, &add);
    add.last_message_us = 500;
    aq_monitor_add(monitor, 1, &add);
    aq_monitor_add(monitor, SIZE_MAX, &add);
    aq_monitor_add(NULL, 0, &add);
    struct aq_monitor_view view = look(monitor);
    aq_monitor_add(monitor, 1, &add);
    cr_assert_eq(view.sources[1].row_count, 6);
    cr_assert_eq(view.sources[1].reject_counts[AQ_REJECT_TYPE], 8);
    cr_assert_eq(view.sources[1].reject_counts[AQ_REJECT_SYNTAX], 0);
    cr_assert_eq(view.sources[1].passed_count, 2);
    cr_assert_eq(view.sources[1].lost_count, 4);
    cr_assert_eq(view.sources[1].input_bytes, 200);
    cr_assert_eq(view.sources[1].last_message_us, 1000);
    cr_assert_eq(view.sources[0].row_count, 0);
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
}

Test(monitor, a_long_message_is_cut)
{
    struct aq_monitor *monitor = make();
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    aq_monitor_state(monitor, 0, AQ_SOURCE_WAITING, text);
    aq_monitor_state(monitor, 1, AQ_SOURCE_STOPPED, "because");
    aq_monitor_state(monitor, 1, AQ_SOURCE_RUNNING, NULL);
    struct aq_monitor_view view = look(monitor);
    cr_assert_eq(view.sources[0].state, AQ_SOURCE_WAITING);
    cr_assert_eq(strlen(view.sources[0].message), sizeof view.sources[0].message - 1);
    cr_assert_eq(view.sources[1].state, AQ_SOURCE_RUNNING);
    cr_assert_str_empty(view.sources[1].message);
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
}

static void set(struct aq_monitor *monitor, size_t source, const char *topic, int32_t number,
                uint64_t next)
{
    struct aq_monitor_partition partition = {.source = source,
                                             .topic = topic,
                                             .partition = number,
                                             .next_ordinal = next,
                                             .end_ordinal = next + 10};
    aq_monitor_set_partition(monitor, &partition);
}

Test(monitor, partitions_are_kept_in_order)
{
    struct aq_monitor *monitor = make();
    for (int32_t i = 40; i-- > 0;)
        set(monitor, 1, "b", i, 5);
    set(monitor, 1, "a", 7, 1);
    set(monitor, 0, "z", 0, 2);
    set(monitor, 1, "b", 39, 6);
    set(monitor, 2, "c", 0, 0);
    aq_monitor_drop_partition(monitor, 1, "b", 0);
    aq_monitor_drop_partition(monitor, 1, "b", 0);
    aq_monitor_drop_partition(monitor, 9, "b", 0);
    struct aq_monitor_view view = look(monitor);
    cr_assert_eq(view.partition_count, 41);
    cr_assert_str_eq(view.partitions[0].topic, "z");
    cr_assert_str_eq(view.partitions[1].topic, "a");
    cr_assert_eq(view.partitions[1].partition, 7);
    for (int32_t i = 1; i < 40; i++)
        cr_assert_eq(view.partitions[i + 1].partition, i);
    cr_assert_eq(view.partitions[40].next_ordinal, 6);
    cr_assert_eq(view.partitions[40].end_ordinal, 16);
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
}

Test(monitor, latencies_fall_into_their_buckets)
{
    struct aq_monitor *monitor = make();
    aq_monitor_commit(monitor, 0);
    aq_monitor_commit(monitor, aq_monitor_bucket_us[0]);
    aq_monitor_commit(monitor, aq_monitor_bucket_us[0] + 1);
    aq_monitor_commit(monitor, INT64_C(1) << 40);
    for (size_t i = 1; i < AQ_MONITOR_BUCKETS - 1; i++)
        cr_assert_gt(aq_monitor_bucket_us[i], aq_monitor_bucket_us[i - 1]);
    struct aq_monitor_view view = look(monitor);
    cr_assert_eq(view.totals.commit_count, 4);
    cr_assert_eq(view.totals.commit_us_sum, 2 * aq_monitor_bucket_us[0] + 1 + (INT64_C(1) << 40));
    cr_assert_eq(view.totals.commit_buckets[0], 2);
    cr_assert_eq(view.totals.commit_buckets[1], 1);
    cr_assert_eq(view.totals.commit_buckets[AQ_MONITOR_BUCKETS - 1], 1);
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
}

Test(monitor, writers_are_summed_up)
{
    struct aq_monitor *monitor = make();
    struct aq_monitor_totals now = {.segment_bytes_written = 10,
                                    .segments_sealed = 1,
                                    .open_segment_bytes = 7,
                                    .open_segment_since_us = 200,
                                    .queue_bytes = 5,
                                    .queue_messages = 2};
    aq_monitor_set_writer(monitor, 0, &now);
    now.open_segment_since_us = 100;
    aq_monitor_set_writer(monitor, 1, &now);
    struct aq_monitor_view view = look(monitor);
    cr_assert_eq(view.totals.segment_bytes_written, 20);
    cr_assert_eq(view.totals.segments_sealed, 2);
    cr_assert_eq(view.totals.open_segment_bytes, 14);
    cr_assert_eq(view.totals.open_segment_since_us, 100);
    cr_assert_eq(view.totals.queue_messages, 4);
    aq_monitor_view_deinit(&view);
    now = (struct aq_monitor_totals){.segment_bytes_written = 1};
    aq_monitor_set_writer(monitor, 1, &now);
    view = look(monitor);
    cr_assert_eq(view.totals.segment_bytes_written, 21);
    cr_assert_eq(view.totals.open_segment_bytes, 7);
    cr_assert_eq(view.totals.open_segment_since_us, 200);
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
}
