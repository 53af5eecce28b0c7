/* The service's status line on a terminal, and its short form for the service manager:
 *
 *     live running, archive done | 12.3 k rows/s | lag 1,204 | commit 0.9 s | segment 12 MiB */
#ifndef AQ_TOOLS_SERVICE_STATUS_LINE_H
#define AQ_TOOLS_SERVICE_STATUS_LINE_H

#include "engine/ingest/monitor.h"

/** What the last line was made of. Zero-initialise. */
struct aq_status_line {
    double made_at; /* aq_clock_seconds; 0: none yet */
    uint64_t message_count;
    uint64_t commit_count;
    int64_t commit_us_sum;
    double latency_seconds; /* of the frames between the last two lines that saw any */
};

/** Append the line: rates are since the line before. */
void aq_status_line_make(struct aq_status_line *line, const struct aq_monitor_view *view,
                         double now_seconds, struct aq_bytes *out);

#endif
