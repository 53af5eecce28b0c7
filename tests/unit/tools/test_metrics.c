/* What watchers are shown: metrics byte for byte, readiness, the status line. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/format/golden.h"
#include "tools/service/maintain.h"
#include "tools/service/http/metrics.h"
#include "tools/service/report/process_usage.h"
#include "tools/service/http/readiness.h"
#include "tools/service/report/status_line.h"

#define NOW_US (INT64_C(1700000000) * 1000000)

static struct aq_bytes out;

static void teardown(void)
{
    aq_bytes_deinit(&out);
}

TestSuite(metrics, .fini = teardown);

static const char *text(void)
{
    aq_bytes_u8(&out, '\0');
    cr_assert_eq(aq_bytes_status(&out), AQ_OK);
    return (const char *)out.data;
}

static struct aq_monitor_source sources[] = {
    {
        .name = "a\"b\\c\nd\xff",
        .dataset = "wiki",
        .is_kafka = true,
        .state = AQ_SOURCE_RUNNING,
        .row_count = 12345678901,
        .reject_counts = {1, 2, 3, 4},
        .passed_count = 5,
        .lost_count = 6,
        .input_bytes = 7,
        .last_message_us = NOW_US - 2500000,
    },
    {.name = "files", .dataset = "air", .state = AQ_SOURCE_DONE},
};
static struct aq_monitor_partition partitions[] = {
    {.source = 0, .topic = "edits", .partition = 0, .next_ordinal = 10, .end_ordinal = 25},
    {.source = 0, .topic = "edits", .partition = 11, .next_ordinal = 30, .end_ordinal = 25},
};

static struct aq_monitor_view make_view(void)
{
    return (struct aq_monitor_view){
        .source_count = 2,
        .sources = sources,
        .partition_count = 2,
        .partitions = partitions,
        .totals = {.commit_count = 3,
                   .commit_us_sum = 31500000,
                   .commit_buckets = {[2] = 1, [8] = 1, [AQ_MONITOR_BUCKETS - 1] = 1},
                   .segment_bytes_written = 1000,
                   .segments_sealed = 2,
                   .open_segment_bytes = 300,
                   .open_segment_since_us = NOW_US - 90000000,
                   .queue_bytes = 40,
                   .queue_messages = 50},
    };
}

Test(metrics, are_rendered_as_the_golden_file_says)
{
    struct aq_monitor_view view = make_view();
    struct aq_process_usage usage = {.cpu_seconds = 1.25,
                                     .start_seconds = 1699999000,
                                     .resident_bytes = 4096,
                                     .virtual_bytes = 8192,
                                     .open_fds = 9,
                                     .max_fds = 1024};
    struct aq_maintain_counts maintain = {.run_count = 1,
                                          .failure_count = 2,
                                          .uploaded_count = 3,
                                          .uploaded_bytes = 4,
                                          .evicted_count = 8,
                                          .mirrored_number = 7,
                                          .last_success_us = NOW_US};
    struct aq_nightly_counts nightly = {.run_count = 1,
                                        .skipped_count = 2,
                                        .failure_count = 3,
                                        .row_count = 4,
                                        .input_count = 5,
                                        .input_bytes = 6,
                                        .output_count = 7,
                                        .output_bytes = 8,
                                        .last_seconds = 9.5,
                                        .last_success_us = NOW_US,
                                        .next_us = NOW_US + 1000000};
    struct aq_gc_counts gc = {.removed_count = 5, .removed_bytes = 6};
    struct aq_metrics metrics = {.version = "0.0.0",
                                 .view = &view,
                                 .usage = &usage,
                                 .maintain = &maintain,
                                 .nightly = &nightly,
                                 .gc = &gc,
                                 .io = "uring",
                                 .write_method = "direct",
                                 .zero_failure_count = 3,
                                 .now_us = NOW_US};
    aq_metrics_render(&metrics, &out);
    golden_expect("metrics.txt", aq_bytes_view(&out));
}

Test(metrics, leave_out_what_does_not_run)
{
    struct aq_monitor_view view = {0};
    struct aq_process_usage usage = {0};
    struct aq_metrics metrics = {.version = "1", .view = &view, .usage = &usage, .now_us = NOW_US};
    aq_metrics_render(&metrics, &out);
    const char *rendered = text();
    cr_assert_null(strstr(rendered, "aqstore_tier"));
    cr_assert_null(strstr(rendered, "aqstore_compaction"));
    cr_assert_null(strstr(rendered, "aqstore_gc"));
    cr_assert_null(strstr(rendered, "aqstore_write_info"));
    cr_assert_not_null(strstr(rendered, "\naqstore_open_segment_age_seconds 0.000000\n"));
    cr_assert_not_null(strstr(rendered, "_bucket{le=\"+Inf\"} 0\n"));
}

Test(metrics, escape_labels)
{
    aq_metrics_label("plain \"quoted\" back\\slash\nline H\xc3\xa0 \xc3(", &out);
    cr_assert_str_eq(text(),
                     "\"plain \\\"quoted\\\" back\\\\slash\\nline H\xc3\xa0 \xef\xbf\xbd(\"");
}

Test(metrics, measure_this_process)
{
    struct aq_process_usage usage;
    aq_process_usage(&usage);
    cr_assert_gt(usage.resident_bytes, 100000);
    cr_assert_gt(usage.virtual_bytes, usage.resident_bytes);
    cr_assert(usage.open_fds >= 3 && usage.open_fds < usage.max_fds);
    cr_assert_gt(usage.start_seconds, 1.6e9);
    uint64_t before = usage.open_fds;
    FILE *file = fopen("/dev/null", "re");
    aq_process_usage(&usage);
    cr_assert_eq(usage.open_fds, before + 1);
    fclose(file);
}

Test(metrics, readiness_shows_each_source)
{
    struct aq_monitor_view view = make_view();
    cr_assert(aq_readiness_render(&view, false, NOW_US, &out));
    cr_assert_str_eq(
        text(),
        "{\"ready\":true,\"draining\":false,\"sources\":["
        "{\"source\":\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",\"dataset\":\"wiki\",\"kind\":\"kafka\","
        "\"state\":\"running\",\"message\":\"\",\"rows\":12345678901,\"rejects\":10,"
        "\"seconds_since_message\":2.5,\"partitions\":2,\"lag\":15},"
        "{\"source\":\"files\",\"dataset\":\"air\",\"kind\":\"files\",\"state\":\"done\","
        "\"message\":\"\",\"rows\":0,\"rejects\":0,\"seconds_since_message\":null}]}\n");
}

Test(metrics, readiness_wants_every_source_to_run)
{
    static const bool ready[] = {false, true, false, false, true};
    struct aq_monitor_source source = {.name = "s", .dataset = "d"};
    struct aq_monitor_view view = {.source_count = 1, .sources = &source};
    for (int state = AQ_SOURCE_STARTING; state <= AQ_SOURCE_DONE; state++) {
        source.state = (enum aq_source_state)state;
        cr_assert_eq(aq_readiness_render(&view, false, NOW_US, &out), ready[state], "state %s",
                     aq_source_state_name(source.state));
        cr_assert_not(aq_readiness_render(&view, true, NOW_US, &out));
    }
}

Test(metrics, status_line_gives_rates_since_the_last_one)
{
    struct aq_monitor_view view = make_view();
    struct aq_status_line line = {0};
    sources[0].name = "live";
    aq_status_line_make(&line, &view, 100, &out);
    cr_assert_str_eq(text(), "live running, files done | 0 rows/s | lag 15 | commit 10 s | "
                             "segment 300 B");
    sources[0].row_count += 5000;
    view.totals.commit_count += 2;
    view.totals.commit_us_sum += 1000000;
    aq_bytes_clear(&out);
    aq_status_line_make(&line, &view, 102, &out);
    cr_assert_str_eq(text(), "live running, files done | 2500 rows/s | lag 15 | commit 0.50 s | "
                             "segment 300 B");
}

Test(metrics, maintenance_backs_off_up_to_its_span)
{
    const int64_t minute_us = INT64_C(60) * 1000000;
    cr_assert_eq(aq_maintain_wait_us(60 * minute_us, 0), 60 * minute_us);
    cr_assert_eq(aq_maintain_wait_us(60 * minute_us, 1), minute_us);
    cr_assert_eq(aq_maintain_wait_us(60 * minute_us, 3), 4 * minute_us);
    cr_assert_eq(aq_maintain_wait_us(60 * minute_us, 7), 60 * minute_us);
    cr_assert_eq(aq_maintain_wait_us(60 * minute_us, 4000000000u), 60 * minute_us);
    cr_assert_eq(aq_maintain_wait_us(1000000, 1), 1000000);
}
