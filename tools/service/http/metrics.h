/* /metrics: what the process does, in Prometheus' text format 0.0.4. */
#ifndef AQ_TOOLS_SERVICE_METRICS_H
#define AQ_TOOLS_SERVICE_METRICS_H

#include "engine/ingest/monitor.h"
#include "tools/service/report/process_usage.h"

/** What the maintenance loop has done since the process began (tools/service/maintain.h). */
struct aq_maintain_counts {
    uint64_t run_count; /* that went well */
    uint64_t failure_count;
    uint64_t uploaded_count;
    uint64_t uploaded_bytes;
    uint64_t evicted_count;   /* files that left the home */
    uint64_t mirrored_number; /* edit that the bucket's mirror stands at; 0: none */
    int64_t last_success_us;  /* wall clock; 0: none yet */
};

/** What compaction by schedule has (tools/service/nightly.h). */
struct aq_nightly_counts {
    uint64_t run_count;
    uint64_t skipped_count; /* another process was at it */
    uint64_t failure_count;
    uint64_t row_count; /* this and the next four: of runs that went well */
    uint64_t input_count;
    uint64_t input_bytes;
    uint64_t output_count;
    uint64_t output_bytes;
    double last_seconds;
    int64_t last_success_us; /* wall clock, by any process before this one; 0: none */
    int64_t next_us;         /* due; wall clock */
};

struct aq_gc_counts {
    uint64_t removed_count; /* files at home */
    uint64_t removed_bytes;
};

struct aq_metrics {
    const char *version;
    const struct aq_monitor_view *view;
    const struct aq_process_usage *usage;
    const struct aq_maintain_counts *maintain; /* NULL: no maintenance loop runs */
    const struct aq_nightly_counts *nightly;   /* NULL: no schedule */
    const struct aq_gc_counts *gc;             /* NULL: neither of them */
    const char *io;                            /* what frames go through; NULL: not known yet */
    const char *write_method;
    uint64_t zero_failure_count;
    int64_t now_us; /* wall clock */
};

/** Append all metrics. Names and help: docs/running.md, "Metrics". */
void aq_metrics_render(const struct aq_metrics *metrics, struct aq_bytes *out);

/** Append `text` as a label's value, with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void aq_metrics_label(const char *text, struct aq_bytes *out);

#endif
