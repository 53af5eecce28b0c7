/* rejects replay: feed refused messages again after a fix of the config, dataset by dataset; each is one edit. */
#include <stdlib.h>
#include <string.h>

#include "compaction/replay/rejects_replay.h"
#include "engine/base/civil/civil_time.h"
#include "engine/base/clock.h"
#include "tools/commands/commands.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/progress.h"
#include "tools/output/text/utf8.h"

#define REASONS_SHOWN 10

enum aq_status aq_rejects_since(const struct aq_program *program, int64_t *since_us,
                                struct aq_error *err)
{
    const char *text = program->options.since;
    int64_t span_us = 0;
    *since_us = INT64_MIN;
    if (text == NULL)
        return AQ_OK;
    if (aq_config_parse_span(text, &span_us)) {
        *since_us = aq_clock_wall_us() - span_us;
        return AQ_OK;
    }
    if (aq_time_parse(aq_slice_of(text), aq_zone_utc(), since_us) == AQ_OK)
        return AQ_OK;
    return aq_error_set(err, AQ_INVALID,
                        "--since: expected a time like 2025-02-14T13:00:00Z or a span like 2d, "
                        "found \"%s\"",
                        text);
}

/* What is being replayed, for the progress line. */
struct progress {
    struct aq_progress line;
    const char *dataset;
};

static void on_progress(void *context, uint64_t done, uint64_t total)
{
    struct progress *progress = context;
    aq_progress_update(&progress->line, progress->dataset, done, total, done);
}

static void print_reason(struct aq_out *out, const struct aq_replay_reason *reason)
{
    char count[AQ_HUMAN_BYTES_MAX];
    struct aq_bytes text = {0};
    aq_utf8_display(aq_slice_of(reason->text), &text);
    aq_out_printf(out, "  %10s  ", aq_human_count(reason->count, count));
    aq_bytes_chars(&text, "\n");
    aq_out_bytes(out, &text);
    aq_bytes_deinit(&text);
}

static void print_text(const struct aq_program *program, const char *dataset,
                       const struct aq_replay_report *report)
{
    struct aq_out *out = program->out;
    bool dry_run = program->options.dry_run;
    char a[AQ_HUMAN_BYTES_MAX], b[AQ_HUMAN_BYTES_MAX];
    uint64_t other = report->other_count;
    if (report->selected_count == 0 && report->open_count == 0) {
        aq_out_printf(out, "%s: no such rejects\n", dataset);
        return;
    }
    aq_out_printf(out, "%s: %s of %s rejects", dataset, aq_human_count(report->row_count, a),
                  aq_human_count(report->selected_count, b));
    aq_out_text(out, dry_run ? " would become rows\n" : " became rows\n");
    if (report->selected_count > report->row_count)
        aq_out_printf(out, "  %s stay rejects:\n",
                      aq_human_count(report->selected_count - report->row_count, a));
    for (size_t i = 0; i < report->reason_count; i++) {
        if (i < REASONS_SHOWN)
            print_reason(out, &report->reasons[i]);
        else
            other += report->reasons[i].count;
    }
    if (other > 0)
        print_reason(out, &(struct aq_replay_reason){"for other reasons", other});
    if (report->open_count > 0)
        aq_out_printf(out,
                      "  %s more are in segments that are being written: left alone, replay again "
                      "when these are sealed\n",
                      aq_human_count(report->open_count, a));
    if (report->archive_count > 0)
        aq_out_printf(
            out, "  in one edit: %llu archive%s, %s, in %s\n",
            (unsigned long long)report->archive_count, report->archive_count == 1 ? "" : "s",
            aq_human_size(report->archive_bytes, a), aq_human_seconds(report->seconds, b));
}

static void print_json(struct aq_bytes *json, const char *dataset,
                       const struct aq_replay_report *report)
{
    aq_json_name(json, NULL);
    aq_json_open(json, '{');
    aq_json_member_text(json, "dataset", dataset);
    aq_json_member_count(json, "rejects", report->reject_count);
    aq_json_member_count(json, "selected", report->selected_count);
    aq_json_member_count(json, "rows", report->row_count);
    aq_json_member_count(json, "left_open", report->open_count);
    aq_json_member_count(json, "archives", report->archive_count);
    aq_json_member_count(json, "archive_bytes", report->archive_bytes);
    aq_json_member_real(json, "seconds", report->seconds);
    aq_json_name(json, "still_rejected");
    aq_json_open(json, '[');
    for (size_t i = 0; i < report->reason_count; i++) {
        aq_json_name(json, NULL);
        aq_json_open(json, '{');
        aq_json_member_text(json, "reason", report->reasons[i].text);
        aq_json_member_count(json, "rejects", report->reasons[i].count);
        aq_json_close(json, '}');
    }
    aq_json_close(json, ']');
    aq_json_member_count(json, "still_rejected_otherwise", report->other_count);
    aq_json_close(json, '}');
}

static enum aq_status replay_dataset(struct aq_program *program, struct aq_replay_options *options,
                                     struct aq_bytes *json, struct aq_error *err)
{
    struct progress *progress = options->context;
    struct aq_replay_report report = {0};
    progress->dataset = options->dataset->schema.dataset;
    aq_progress_begin(&progress->line, program->options.quiet);
    enum aq_status status = aq_rejects_replay(program->store, options, &report, err);
    aq_progress_clear(&progress->line);
    if (status == AQ_OK && program->options.json)
        print_json(json, progress->dataset, &report);
    else if (status == AQ_OK)
        print_text(program, progress->dataset, &report);
    aq_replay_report_deinit(&report);
    return status;
}

/* Datasets that the store does not have yet have no rejects. */
static enum aq_status replay_all(struct aq_program *program, struct aq_replay_options *options,
                                 struct aq_bytes *json, struct aq_error *err)
{
    const char *wanted = program->options.dataset;
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(program->store, true, &catalog, err));
    enum aq_status status = AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < options->config->dataset_count; i++) {
        options->dataset = &options->config->datasets[i];
        const char *name = options->dataset->schema.dataset;
        if ((wanted == NULL || strcmp(wanted, name) == 0) &&
            aq_catalog_schema(catalog, name) != NULL)
            status = replay_dataset(program, options, json, err);
    }
    aq_catalog_release(catalog);
    return status;
}

static enum aq_source_format format_of(const struct aq_program *program)
{
    const char *format = program->options.format;
    if (format == NULL)
        return AQ_FORMAT_AUTO;
    return strcmp(format, "csv") == 0 ? AQ_FORMAT_CSV : AQ_FORMAT_NDJSON;
}

enum aq_status aq_rejects_feed_again(struct aq_program *program, struct aq_error *err)
{
    const char *wanted = program->options.dataset;
    struct aq_store *store = NULL;
    struct progress progress = {.dataset = ""};
    struct aq_replay_options options = {.source = program->options.source,
                                        .reason = program->options.reason,
                                        .format = format_of(program),
                                        .header = program->options.header,
                                        .dry_run = program->options.dry_run,
                                        .progress = on_progress,
                                        .context = &progress,
                                        .stop = &aq_stop};
    AQ_TRY(aq_rejects_since(program, &options.since_us, err));
    AQ_TRY(aq_program_config(program, &options.config, err));
    if (wanted != NULL && aq_config_dataset(options.config, wanted) == NULL)
        return aq_error_set(err, AQ_INVALID, "the config has no dataset '%s'", wanted);
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &store, err));
    struct aq_bytes json = {0};
    aq_json_open(&json, '{');
    aq_json_member_bool(&json, "dry_run", options.dry_run);
    aq_json_name(&json, "datasets");
    aq_json_open(&json, '[');
    enum aq_status status = replay_all(program, &options, &json, err);
    aq_json_close(&json, ']');
    aq_json_close(&json, '}');
    aq_bytes_u8(&json, '\n');
    if (status == AQ_OK && program->options.json)
        aq_out_bytes(program->out, &json);
    aq_bytes_deinit(&json);
    return status;
}
