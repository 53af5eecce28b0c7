/* Prometheus' text format: for each metric its help and type, then a line for each set of labels.
 *
 * Happy path: one pass over the copy of the monitor for every metric, since all lines of one must stand
 * together. Failures: of memory, which `out` remembers. */
#include "tools/service/http/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/output/text/utf8.h"

#define SECONDS(us) ((double)(us)*1e-6)

/* ---- pieces ---- */

void aq_metrics_label(const char *text, struct aq_bytes *out)
{
    struct aq_slice slice = aq_slice_of(text);
    aq_bytes_u8(out, '"');
    for (size_t at = 0; at < slice.size;) {
        uint32_t code_point;
        size_t size = aq_utf8_next(slice, at, &code_point);
        if (code_point == AQ_UTF8_BAD)
            aq_bytes_chars(out, "\xef\xbf\xbd");
        else if (code_point == '\n')
            aq_bytes_chars(out, "\\n");
        else if (code_point == '"' || code_point == '\\')
            aq_bytes_chars(out, code_point == '"' ? "\\\"" : "\\\\");
        else
            aq_bytes_append(out, slice.data + at, size);
        at += size;
    }
    aq_bytes_u8(out, '"');
}

static void head(struct aq_bytes *out, const char *name, const char *type, const char *help)
{
    char line[320];
    snprintf(line, sizeof(line), "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    aq_bytes_chars(out, line);
}

/* A sample's name and up to three labels; label names end with NULL. */
static void begin(struct aq_bytes *out, const char *name, const char *const *labels)
{
    aq_bytes_chars(out, name);
    for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2) {
        aq_bytes_chars(out, i == 0 ? "{" : ",");
        aq_bytes_chars(out, labels[i]);
        aq_bytes_u8(out, '=');
        aq_metrics_label(labels[i + 1], out);
    }
    aq_bytes_chars(out, labels != NULL && labels[0] != NULL ? "} " : " ");
}

static void put_count(struct aq_bytes *out, const char *name, const char *const *labels,
                      uint64_t value)
{
    char text[32];
    begin(out, name, labels);
    snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
    aq_bytes_chars(out, text);
}

static void put_real(struct aq_bytes *out, const char *name, const char *const *labels,
                     double value)
{
    char text[64];
    begin(out, name, labels);
    snprintf(text, sizeof(text), "%.6f\n", value);
    aq_bytes_chars(out, text);
}

static void one_count(struct aq_bytes *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    head(out, name, type, help);
    put_count(out, name, NULL, value);
}

static void one_real(struct aq_bytes *out, const char *name, const char *type, const char *help,
                     double value)
{
    head(out, name, type, help);
    put_real(out, name, NULL, value);
}

/* ---- sources ---- */

struct source_counter {
    const char *name;
    const char *help;
    size_t place; /* of a uint64_t in struct aq_monitor_source */
};

static const struct source_counter source_counters[] = {
    {"aqstore_rows_total", "Rows made durable.", offsetof(struct aq_monitor_source, row_count)},
    {"aqstore_passed_total", "Messages passed over: refused by when, or without a value.",
     offsetof(struct aq_monitor_source, passed_count)},
    {"aqstore_lost_total", "Messages that the broker no longer had.",
     offsetof(struct aq_monitor_source, lost_count)},
    {"aqstore_input_bytes_total", "Bytes of messages made durable, as they came.",
     offsetof(struct aq_monitor_source, input_bytes)},
};

static void render_counters(const struct aq_monitor_view *view, struct aq_bytes *out)
{
    for (size_t i = 0; i < sizeof(source_counters) / sizeof(source_counters[0]); i++) {
        const struct source_counter *counter = &source_counters[i];
        head(out, counter->name, "counter", counter->help);
        for (size_t s = 0; s < view->source_count; s++) {
            const struct aq_monitor_source *source = &view->sources[s];
            const char *labels[] = {"source", source->name, "dataset", source->dataset, NULL};
            uint64_t value;
            memcpy(&value, (const char *)source + counter->place, sizeof(value));
            put_count(out, counter->name, labels, value);
        }
    }
}

static void render_rejects(const struct aq_monitor_view *view, struct aq_bytes *out)
{
    head(out, "aqstore_rejects_total", "counter",
         "Messages that could not be taken as declared, made durable as rejects.");
    for (size_t s = 0; s < view->source_count; s++) {
        const struct aq_monitor_source *source = &view->sources[s];
        for (size_t i = 0; i < AQ_REJECT_CLASS_COUNT; i++) {
            const char *labels[] = {
                "source",  source->name,
                "dataset", source->dataset,
                "reason",  aq_reject_class_name((enum aq_reject_class)i),
                NULL,
            };
            put_count(out, "aqstore_rejects_total", labels, source->reject_counts[i]);
        }
    }
}

static void render_states(const struct aq_monitor_view *view, struct aq_bytes *out)
{
    head(out, "aqstore_source_state", "gauge", "1 for the state that a source is in.");
    for (size_t s = 0; s < view->source_count; s++) {
        const struct aq_monitor_source *source = &view->sources[s];
        for (int state = AQ_SOURCE_STARTING; state <= AQ_SOURCE_DONE; state++) {
            const char *labels[] = {
                "source", source->name, "state", aq_source_state_name((enum aq_source_state)state),
                NULL,
            };
            put_count(out, "aqstore_source_state", labels, (int)source->state == state);
        }
    }
    head(out, "aqstore_last_message_timestamp_seconds", "gauge",
         "When a message came last; absent before the first.");
    for (size_t s = 0; s < view->source_count; s++) {
        const struct aq_monitor_source *source = &view->sources[s];
        const char *labels[] = {"source", source->name, NULL};
        if (source->last_message_us != 0)
            put_real(out, "aqstore_last_message_timestamp_seconds", labels,
                     SECONDS(source->last_message_us));
    }
}

static void render_lags(const struct aq_monitor_view *view, struct aq_bytes *out)
{
    head(out, "aqstore_lag_messages", "gauge",
         "Messages of an assigned partition that are not durable yet.");
    for (size_t i = 0; i < view->partition_count; i++) {
        const struct aq_monitor_partition *partition = &view->partitions[i];
        char number[16];
        snprintf(number, sizeof(number), "%" PRId32, partition->partition);
        const char *labels[] = {
            "source",    view->sources[partition->source].name,
            "topic",     partition->topic,
            "partition", number,
            NULL,
        };
        put_count(out, "aqstore_lag_messages", labels, aq_monitor_lag(partition));
    }
}

/* ---- the rest ---- */

static void render_commits(const struct aq_monitor_totals *totals, struct aq_bytes *out)
{
    static const char name[] = "aqstore_commit_latency_seconds";
    uint64_t count = 0;
    head(out, name, "histogram", "From a frame's first message until the frame was durable.");
    for (size_t i = 0; i < AQ_MONITOR_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < AQ_MONITOR_BUCKETS - 1)
            snprintf(bound, sizeof(bound), "%g", SECONDS(aq_monitor_bucket_us[i]));
        const char *labels[] = {"le", bound, NULL};
        count += totals->commit_buckets[i];
        put_count(out, "aqstore_commit_latency_seconds_bucket", labels, count);
    }
    put_real(out, "aqstore_commit_latency_seconds_sum", NULL, SECONDS(totals->commit_us_sum));
    put_count(out, "aqstore_commit_latency_seconds_count", NULL, totals->commit_count);
}

static void render_writers(const struct aq_metrics *metrics, struct aq_bytes *out)
{
    const struct aq_monitor_totals *totals = &metrics->view->totals;
    int64_t age_us = metrics->now_us - totals->open_segment_since_us;
    one_count(out, "aqstore_segment_written_bytes_total", "counter", "Bytes written to segments.",
              totals->segment_bytes_written);
    one_count(out, "aqstore_segments_sealed_total", "counter", "Segments sealed.",
              totals->segments_sealed);
    one_count(out, "aqstore_open_segment_bytes", "gauge", "Bytes in open segments.",
              totals->open_segment_bytes);
    one_real(out, "aqstore_open_segment_age_seconds", "gauge",
             "Age of the oldest open segment; 0 when none is open.",
             totals->open_segment_since_us != 0 && age_us > 0 ? SECONDS(age_us) : 0);
    one_count(out, "aqstore_queue_bytes", "gauge", "Bytes of messages read and not durable yet.",
              totals->queue_bytes);
    one_count(out, "aqstore_queue_messages", "gauge", "Messages read and not durable yet.",
              totals->queue_messages);
}

static void render_writing(const struct aq_metrics *metrics, struct aq_bytes *out)
{
    const char *labels[] = {"io", metrics->io, "method", metrics->write_method, NULL};
    head(out, "aqstore_write_info", "gauge",
         "1, with what frames are written through, and how: cached, direct (past the kernel's "
         "cache), or unknown before the disk was tried.");
    put_count(out, "aqstore_write_info", labels, 1);
    one_count(out, "aqstore_zero_ahead_failures_total", "counter",
              "How often blocks could not be zeroed ahead of frames, which are written without.",
              metrics->zero_failure_count);
}

static void render_maintain(const struct aq_maintain_counts *counts, struct aq_bytes *out)
{
    static const char runs[] = "aqstore_tier_runs_total";
    const char *good[] = {"result", "ok", NULL}, *bad[] = {"result", "failed", NULL};
    head(out, runs, "counter", "Runs that copied closed files to the bucket.");
    put_count(out, runs, good, counts->run_count);
    put_count(out, runs, bad, counts->failure_count);
    one_real(out, "aqstore_tier_last_success_timestamp_seconds", "gauge",
             "When such a run went well last; 0 before the first.",
             SECONDS(counts->last_success_us));
    one_count(out, "aqstore_tier_uploaded_files_total", "counter", "Files copied to the bucket.",
              counts->uploaded_count);
    one_count(out, "aqstore_tier_uploaded_bytes_total", "counter", "Bytes copied to the bucket.",
              counts->uploaded_bytes);
    one_count(out, "aqstore_tier_evicted_files_total", "counter",
              "Files that the bucket alone holds now.", counts->evicted_count);
    one_count(out, "aqstore_tier_mirrored_edit", "gauge",
              "Edit of the catalog that the bucket's mirror stands at; 0 when there is none.",
              counts->mirrored_number);
}

static void render_nightly(const struct aq_nightly_counts *counts, struct aq_bytes *out)
{
    static const char runs[] = "aqstore_compaction_runs_total";
    const char *good[] = {"result", "ok", NULL}, *bad[] = {"result", "failed", NULL};
    const char *left[] = {"result", "skipped", NULL};
    head(out, runs, "counter", "Compactions by schedule; skipped: another process was compacting.");
    put_count(out, runs, good, counts->run_count);
    put_count(out, runs, bad, counts->failure_count);
    put_count(out, runs, left, counts->skipped_count);
    one_real(out, "aqstore_compaction_last_success_timestamp_seconds", "gauge",
             "When the store was compacted last; 0: never.", SECONDS(counts->last_success_us));
    one_real(out, "aqstore_compaction_next_timestamp_seconds", "gauge",
             "When the next compaction is due.", SECONDS(counts->next_us));
    one_real(out, "aqstore_compaction_last_duration_seconds", "gauge",
             "How long the last compaction took.", counts->last_seconds);
    one_count(out, "aqstore_compaction_rows_total", "counter", "Rows merged.", counts->row_count);
    one_count(out, "aqstore_compaction_input_files_total", "counter", "Files merged.",
              counts->input_count);
    one_count(out, "aqstore_compaction_input_bytes_total", "counter", "Bytes of files merged.",
              counts->input_bytes);
    one_count(out, "aqstore_compaction_output_files_total", "counter", "Archives written.",
              counts->output_count);
    one_count(out, "aqstore_compaction_output_bytes_total", "counter", "Bytes of archives written.",
              counts->output_bytes);
}

static void render_gc(const struct aq_gc_counts *counts, struct aq_bytes *out)
{
    one_count(out, "aqstore_gc_removed_files_total", "counter", "Files removed at home.",
              counts->removed_count);
    one_count(out, "aqstore_gc_removed_bytes_total", "counter", "Bytes removed at home.",
              counts->removed_bytes);
}

static void render_process(const struct aq_process_usage *usage, struct aq_bytes *out)
{
    one_real(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent.",
             usage->cpu_seconds);
    one_real(out, "process_start_time_seconds", "gauge", "When the process began.",
             usage->start_seconds);
    one_count(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
              usage->resident_bytes);
    one_count(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
              usage->virtual_bytes);
    one_count(out, "process_open_fds", "gauge", "Open file descriptors.", usage->open_fds);
    one_count(out, "process_max_fds", "gauge", "Limit of open file descriptors.", usage->max_fds);
}

void aq_metrics_render(const struct aq_metrics *metrics, struct aq_bytes *out)
{
    const char *build[] = {"version", metrics->version, NULL};
    head(out, "aqstore_build_info", "gauge", "1, with the program's version.");
    put_count(out, "aqstore_build_info", build, 1);
    render_states(metrics->view, out);
    render_counters(metrics->view, out);
    render_rejects(metrics->view, out);
    render_lags(metrics->view, out);
    render_commits(&metrics->view->totals, out);
    render_writers(metrics, out);
    if (metrics->io != NULL)
        render_writing(metrics, out);
    if (metrics->maintain != NULL)
        render_maintain(metrics->maintain, out);
    if (metrics->nightly != NULL)
        render_nightly(metrics->nightly, out);
    if (metrics->gc != NULL)
        render_gc(metrics->gc, out);
    render_process(metrics->usage, out);
}
