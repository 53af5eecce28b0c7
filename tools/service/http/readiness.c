/* One member a source: its state, what it says, its counts, its lag, and how long no message has come: a
 * source that runs without data is ready and shows it. Failures: of memory, which `out` remembers. */
#include "tools/service/http/readiness.h"

#include "tools/output/text/json_print.h"

static uint64_t source_lag(const struct aq_monitor_view *view, size_t source)
{
    uint64_t lag = 0;
    for (size_t i = 0; i < view->partition_count; i++)
        if (view->partitions[i].source == source)
            lag += aq_monitor_lag(&view->partitions[i]);
    return lag;
}

static uint64_t source_partitions(const struct aq_monitor_view *view, size_t source)
{
    uint64_t count = 0;
    for (size_t i = 0; i < view->partition_count; i++)
        count += view->partitions[i].source == source;
    return count;
}

static void render_silence(const struct aq_monitor_source *source, int64_t now_us,
                           struct aq_bytes *out)
{
    int64_t silent_us = now_us - source->last_message_us;
    if (source->last_message_us != 0) {
        aq_json_member_real(out, "seconds_since_message",
                            silent_us > 0 ? 1e-6 * (double)silent_us : 0);
        return;
    }
    aq_json_name(out, "seconds_since_message");
    aq_bytes_chars(out, "null");
}

static void render_source(const struct aq_monitor_view *view, size_t index, int64_t now_us,
                          struct aq_bytes *out)
{
    const struct aq_monitor_source *source = &view->sources[index];
    uint64_t reject_count = 0;
    for (size_t i = 0; i < AQ_REJECT_CLASS_COUNT; i++)
        reject_count += source->reject_counts[i];
    aq_json_name(out, NULL);
    aq_json_open(out, '{');
    aq_json_member_text(out, "source", source->name);
    aq_json_member_text(out, "dataset", source->dataset);
    aq_json_member_text(out, "kind", source->is_kafka ? "kafka" : "files");
    aq_json_member_text(out, "state", aq_source_state_name(source->state));
    aq_json_member_text(out, "message", source->message);
    aq_json_member_count(out, "rows", source->row_count);
    aq_json_member_count(out, "rejects", reject_count);
    render_silence(source, now_us, out);
    if (source->is_kafka) {
        aq_json_member_count(out, "partitions", source_partitions(view, index));
        aq_json_member_count(out, "lag", source_lag(view, index));
    }
    aq_json_close(out, '}');
}

bool aq_readiness_render(const struct aq_monitor_view *view, bool draining, int64_t now_us,
                         struct aq_bytes *out)
{
    bool ready = !draining;
    for (size_t i = 0; i < view->source_count; i++) {
        enum aq_source_state state = view->sources[i].state;
        ready = ready && (state == AQ_SOURCE_RUNNING || state == AQ_SOURCE_DONE);
    }
    aq_json_open(out, '{');
    aq_json_member_bool(out, "ready", ready);
    aq_json_member_bool(out, "draining", draining);
    aq_json_name(out, "sources");
    aq_json_open(out, '[');
    for (size_t i = 0; i < view->source_count; i++)
        render_source(view, i, now_us, out);
    aq_json_close(out, ']');
    aq_json_close(out, '}');
    aq_bytes_u8(out, '\n');
    return ready;
}
