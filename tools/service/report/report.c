/* What the Kafka sources brought, at the end; file sources report by themselves (load.c).
 *
 * Failures: a copy of the monitor that does not fit into memory leaves the report out. */
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/service/service_internal.h"

static uint64_t count_rejects(const struct aq_monitor_source *source)
{
    uint64_t count = 0;
    for (size_t i = 0; i < AQ_REJECT_CLASS_COUNT; i++)
        count += source->reject_counts[i];
    return count;
}

static void report_json(struct aq_out *out, const struct aq_store *store,
                        const struct aq_monitor_source *source, double seconds)
{
    struct aq_bytes text = {0};
    aq_json_open(&text, '{');
    aq_json_member_text(&text, "dataset", source->dataset);
    aq_json_member_text(&text, "source", source->name);
    aq_json_member_text(&text, "state", aq_source_state_name(source->state));
    aq_json_member_count(&text, "rows", source->row_count);
    aq_json_member_count(&text, "rejects", count_rejects(source));
    aq_json_member_count(&text, "passed", source->passed_count);
    aq_json_member_count(&text, "lost", source->lost_count);
    aq_json_member_count(&text, "input_bytes", source->input_bytes);
    aq_json_member_real(&text, "seconds", seconds);
    aq_json_member_text(&text, "io", aq_io_kind_name(aq_store_io_kind(store)));
    aq_json_member_text(&text, "write", aq_write_method_name(aq_store_write_method(store)));
    aq_json_close(&text, '}');
    aq_bytes_u8(&text, '\n');
    aq_out_bytes(out, &text);
    aq_bytes_deinit(&text);
}

static void report_text(struct aq_out *out, const struct aq_monitor_source *source, double seconds)
{
    char rows[AQ_HUMAN_BYTES_MAX], rejects[AQ_HUMAN_BYTES_MAX], size[AQ_HUMAN_BYTES_MAX];
    char time[AQ_HUMAN_BYTES_MAX];
    uint64_t reject_count = count_rejects(source);
    aq_out_printf(out, "%s: %s row%s and %s reject%s from source %s (%s) in %s\n", source->dataset,
                  aq_human_count(source->row_count, rows), source->row_count == 1 ? "" : "s",
                  aq_human_count(reject_count, rejects), reject_count == 1 ? "" : "s", source->name,
                  aq_human_size(source->input_bytes, size), aq_human_seconds(seconds, time));
    if (source->passed_count > 0)
        aq_out_printf(out, "  messages passed over: %s\n",
                      aq_human_count(source->passed_count, rows));
    if (source->lost_count > 0)
        aq_out_printf(out, "  messages that the broker no longer had: %s\n",
                      aq_human_count(source->lost_count, rows));
    if (reject_count > 0)
        aq_out_printf(out, "  see the rejects: aqstore rejects show --dataset %s\n",
                      source->dataset);
}

void aq_service_report(struct aq_service *service)
{
    struct aq_monitor_view view;
    int64_t passed_ms = aq_clock_ms() - service->begun_ms;
    double seconds = 1e-3 * (double)passed_ms;
    if (aq_monitor_copy(service->monitor, &view) < 0)
        return;
    for (size_t i = 0; i < view.source_count; i++) {
        if (!view.sources[i].is_kafka)
            continue;
        if (service->program->options.json)
            report_json(service->program->out, service->store, &view.sources[i], seconds);
        else
            report_text(service->program->out, &view.sources[i], seconds);
    }
    aq_monitor_view_deinit(&view);
}
