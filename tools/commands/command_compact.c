/* compact: merge sealed segments and small archives into archives, in one edit. */
#include "compaction/compact.h"

#include "engine/clock.h"
#include "tools/commands/commands.h"
#include "tools/output/human.h"
#include "tools/output/json_print.h"
#include "tools/output/progress.h"

#define TARGET_SIZE_DEFAULT ((uint64_t)128 << 20)
#define LATE_DEFAULT (6 * AQ_US_PER_HOUR)

static void on_progress(void *context, const struct aq_compact_progress *progress)
{
    aq_progress_update(context, progress->dataset, progress->rows_done, progress->rows_total,
                       progress->rows_done);
}

static void on_expired(void *context, const char *line)
{
    const struct aq_program *program = context;
    if (program->options.dry_run && !program->options.json)
        aq_out_printf(program->out, "would remove: %s\n", line);
    else
        aq_program_say(program, AQ_LEVEL_DETAIL, "removed: %s", line);
}

static void report_json(struct aq_program *program, const struct aq_compact_report *report)
{
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_bool(&out, "dry_run", program->options.dry_run);
    aq_json_member_count(&out, "expired_files", report->expired.file_count);
    aq_json_member_count(&out, "expired_file_rows", report->expired.file_rows);
    aq_json_member_count(&out, "expired_file_bytes", report->expired.file_bytes);
    aq_json_member_count(&out, "expired_ranges", report->expired.removal_count);
    aq_json_member_count(&out, "segments", report->segment_count);
    aq_json_member_count(&out, "archives_read", report->archive_input_count);
    aq_json_member_count(&out, "archives_written", report->archive_output_count);
    aq_json_member_count(&out, "rows", report->row_count);
    aq_json_member_count(&out, "duplicates_dropped", report->dropped_count);
    aq_json_member_count(&out, "input_bytes", report->input_bytes);
    aq_json_member_count(&out, "output_bytes", report->output_bytes);
    aq_json_member_real(&out, "seconds", report->seconds);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(program->out, &out);
    aq_bytes_deinit(&out);
}

static double per_row(uint64_t bytes, uint64_t rows)
{
    return rows > 0 ? (double)bytes / (double)rows : 0;
}

static void report_expired(struct aq_program *program, const struct aq_expire_report *expired)
{
    struct aq_out *out = program->out;
    char rows[AQ_HUMAN_BYTES_MAX], size[AQ_HUMAN_BYTES_MAX];
    const char *verb = program->options.dry_run ? "would remove" : "removed";
    if (expired->file_count > 0)
        aq_out_printf(out, "%s %llu expired file%s: %s rows, %s\n", verb,
                      (unsigned long long)expired->file_count, expired->file_count == 1 ? "" : "s",
                      aq_human_count(expired->file_rows, rows),
                      aq_human_size(expired->file_bytes, size));
    if (expired->removal_count > 0)
        aq_out_printf(out, "%s expired rows of other files\n", verb);
}

static void report_text(struct aq_program *program, const struct aq_compact_report *report)
{
    struct aq_out *out = program->out;
    char a[AQ_HUMAN_BYTES_MAX], b[AQ_HUMAN_BYTES_MAX];
    report_expired(program, &report->expired);
    uint64_t inputs = report->segment_count + report->archive_input_count;
    if (inputs == 0) {
        aq_out_text(out, "nothing to compact\n");
        return;
    }
    aq_out_printf(out, "%s%s rows", program->options.dry_run ? "would merge " : "merged ",
                  aq_human_count(report->row_count, a));
    aq_out_printf(out, " of %llu segment%s and %llu archive%s",
                  (unsigned long long)report->segment_count, report->segment_count == 1 ? "" : "s",
                  (unsigned long long)report->archive_input_count,
                  report->archive_input_count == 1 ? "" : "s");
    if (program->options.dry_run) {
        aq_out_printf(out, ": %s, %.1f bytes/row\n", aq_human_size(report->input_bytes, a),
                      per_row(report->input_bytes, report->row_count));
        return;
    }
    aq_out_printf(out, " in %s\n", aq_human_seconds(report->seconds, a));
    if (report->dropped_count > 0)
        aq_out_printf(out, "  %s duplicate%s dropped\n", aq_human_count(report->dropped_count, a),
                      report->dropped_count == 1 ? "" : "s");
    aq_out_printf(out, "  before: %llu file%s, %s, %.1f bytes/row\n", (unsigned long long)inputs,
                  inputs == 1 ? "" : "s", aq_human_size(report->input_bytes, b),
                  per_row(report->input_bytes, report->row_count));
    aq_out_printf(out, "  after:  %llu file%s, %s, %.2f bytes/row\n",
                  (unsigned long long)report->archive_output_count,
                  report->archive_output_count == 1 ? "" : "s",
                  aq_human_size(report->output_bytes, b),
                  per_row(report->output_bytes, report->row_count - report->dropped_count));
}

enum aq_status aq_command_compact(struct aq_program *program, struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct aq_progress progress = {0};
    struct aq_compact_report report = {0};
    struct aq_compact_options options = {
        .target_size_bytes = TARGET_SIZE_DEFAULT,
        .late_us = LATE_DEFAULT,
        .dry_run = program->options.dry_run,
        .datasets = program->options.arguments,
        .dataset_count = program->options.argument_count,
        .progress = on_progress,
        .context = &progress,
        .stop = &aq_stop,
    };
    struct aq_expire_options expire = {.now_us = aq_clock_wall_us(),
                                       .trust_clock = program->options.trust_clock,
                                       .explain = on_expired,
                                       .context = program};
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &store, err));
    if (program->config != NULL) {
        expire.retentions = program->config->retentions;
        expire.retention_count = program->config->dataset_count;
        options.expire = &expire;
        options.target_size_bytes = program->config->target_size_bytes;
        options.late_us = program->config->late_us;
        options.memory_bytes = program->config->compaction_memory_bytes;
    }
    aq_progress_begin(&progress, program->options.quiet);
    enum aq_status status = aq_compact(store, &options, &report, err);
    aq_progress_clear(&progress);
    if (status < 0)
        return status;
    if (program->options.json)
        report_json(program, &report);
    else
        report_text(program, &report);
    return program->options.tier ? aq_command_tier(program, err) : AQ_OK;
}
