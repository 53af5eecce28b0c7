/* Sums over the copy of the monitor, and their differences to the last time. Failures: of memory, which `out`
 * remembers. */
#include "tools/service/report/status_line.h"

#include <stdio.h>

#include "tools/output/text/human.h"
#include "tools/output/text/utf8.h"

#define SOURCES_NAMED 4 /* more are counted */

static void put_sources(const struct aq_monitor_view *view, struct aq_bytes *out)
{
    char text[64];
    for (size_t i = 0; i < view->source_count && i < SOURCES_NAMED; i++) {
        aq_bytes_chars(out, i > 0 ? ", " : "");
        aq_utf8_display(aq_slice_of(view->sources[i].name), out);
        aq_bytes_chars(out, " ");
        aq_bytes_chars(out, aq_source_state_name(view->sources[i].state));
    }
    if (view->source_count > SOURCES_NAMED) {
        snprintf(text, sizeof(text), " and %zu more", view->source_count - SOURCES_NAMED);
        aq_bytes_chars(out, text);
    }
}

static uint64_t count_messages(const struct aq_monitor_view *view)
{
    uint64_t count = 0;
    for (size_t i = 0; i < view->source_count; i++) {
        count += view->sources[i].row_count;
        for (size_t c = 0; c < AQ_REJECT_CLASS_COUNT; c++)
            count += view->sources[i].reject_counts[c];
    }
    return count;
}

static void put_lag(const struct aq_monitor_view *view, struct aq_bytes *out)
{
    char text[AQ_HUMAN_BYTES_MAX];
    uint64_t lag = 0;
    if (view->partition_count == 0)
        return;
    for (size_t i = 0; i < view->partition_count; i++)
        lag += aq_monitor_lag(&view->partitions[i]);
    aq_bytes_chars(out, " | lag ");
    aq_bytes_chars(out, aq_human_count(lag, text));
}

void aq_status_line_make(struct aq_status_line *line, const struct aq_monitor_view *view,
                         double now_seconds, struct aq_bytes *out)
{
    char text[AQ_HUMAN_BYTES_MAX];
    const struct aq_monitor_totals *totals = &view->totals;
    uint64_t message_count = count_messages(view);
    uint64_t commit_count = totals->commit_count - line->commit_count;
    double seconds = line->made_at > 0 ? now_seconds - line->made_at : 0;
    if (commit_count > 0)
        line->latency_seconds =
            1e-6 * (double)(totals->commit_us_sum - line->commit_us_sum) / (double)commit_count;
    put_sources(view, out);
    aq_bytes_chars(out, " | ");
    double new_count = (double)(message_count - line->message_count);
    aq_bytes_chars(out, aq_human_rate(seconds > 0 ? new_count / seconds : 0, text));
    aq_bytes_chars(out, " rows/s");
    put_lag(view, out);
    aq_bytes_chars(out, " | commit ");
    aq_bytes_chars(out, aq_human_seconds(line->latency_seconds, text));
    aq_bytes_chars(out, " | segment ");
    aq_bytes_chars(out, aq_human_size(totals->open_segment_bytes, text));
    line->made_at = now_seconds;
    line->message_count = message_count;
    line->commit_count = totals->commit_count;
    line->commit_us_sum = totals->commit_us_sum;
}
