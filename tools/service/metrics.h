/* /metrics: what the process does, in Prometheus' text format 0.0.4. */
#ifndef AQ_TOOLS_SERVICE_METRICS_H
#define AQ_TOOLS_SERVICE_METRICS_H

#include "engine/ingest/monitor.h"
#include "tools/service/process_usage.h"

/** What the maintenance loop has done since the process began (tools/service/maintain.h). */
struct aq_maintain_counts {
    uint64_t run_count; /* that went well */
    uint64_t failure_count;
    uint64_t uploaded_count;
    uint64_t uploaded_bytes;
    uint64_t evicted_count; /* files that left the home */
    uint64_t removed_count; /* by gc */
    uint64_t removed_bytes;
    uint64_t mirrored_number; /* edit that the bucket's mirror stands at; 0: none */
    int64_t last_success_us;  /* wall clock; 0: none yet */
};

struct aq_metrics {
    const char *version;
    const struct aq_monitor_view *view;
    const struct aq_process_usage *usage;
    const struct aq_maintain_counts *maintain; /* NULL: no maintenance loop runs */
    int64_t now_us;                            /* wall clock */
};

/** Append all metrics. Names and help: docs/running.md, "Metrics". */
void aq_metrics_render(const struct aq_metrics *metrics, struct aq_bytes *out);

/** Append `text` as a label's value, with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void aq_metrics_label(const char *text, struct aq_bytes *out);

#endif
