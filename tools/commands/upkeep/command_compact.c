/* compact: merge sealed segments and small archives into archives, in one edit. */
#include "compaction/compact.h"

#include <malloc.h>

#include <stdio.h>
#include <string.h>

#include "compaction/nightly/background.h"
#include "engine/base/civil/civil_time.h"
#include "engine/base/clock.h"
#include "tools/commands/commands.h"
#include "tools/commands/upkeep/compact_explain.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/progress.h"

/* What the callbacks of a run share. */
struct run {
    struct aq_program *program;
    struct aq_progress progress;
    /* Each row is read, then written: the share of both together is how far it has come. */
    uint64_t rows_before; /* tells one dataset from the next */
    uint64_t rows_read;
    uint64_t rows_written;
    struct aq_bytes explained; /* of a dry run with --json: members of its report */
};

static void on_progress(void *context, const struct aq_compact_progress *progress)
{
    struct run *run = context;
    char what[AQ_NAME_BYTES_MAX + 16];
    if (progress->rows_before != run->rows_before)
        run->rows_read = run->rows_written = 0;
    run->rows_before = progress->rows_before;
    bool reads = strcmp(progress->phase, "read") == 0;
    *(reads ? &run->rows_read : &run->rows_written) = progress->rows_done;
    uint64_t done = 2 * run->rows_before + run->rows_read + run->rows_written;
    snprintf(what, sizeof what, "%s %.*s", progress->phase, AQ_NAME_BYTES_MAX,
             progress->dataset != NULL ? progress->dataset : "");
    aq_progress_update(&run->progress, what, done, 2 * progress->rows_all, done / 2);
}

/* Rows written for each new one: rows of archives that are merged again come on top. 0: none was new. */
static double amplification(const struct aq_compact_report *report)
{
    uint64_t written = report->row_count - report->dropped_count;
    return report->new_row_count > 0 ? (double)written / (double)report->new_row_count : 0;
}

static void on_expired(void *context, const char *line)
{
    const struct aq_program *program = context;
    if (program->options.dry_run && !program->options.json)
        aq_out_printf(program->out, "would remove: %s\n", line);
    else
        aq_program_say(program, AQ_LEVEL_DETAIL, "removed: %s", line);
}

static void on_plan(void *context, const struct aq_compact_plan *plan)
{
    struct run *run = context;
    aq_progress_clear(&run->progress);
    if (run->program->options.json)
        aq_compact_explain_json(&run->explained, plan);
    else
        aq_compact_explain_text(run->program->out, plan);
}

static void report_json(struct run *run, const struct aq_compact_report *report)
{
    struct aq_program *program = run->program;
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
    aq_json_member_count(&out, "new_rows", report->new_row_count);
    aq_json_member_count(&out, "duplicates_dropped", report->dropped_count);
    aq_json_member_count(&out, "input_bytes", report->input_bytes);
    aq_json_member_count(&out, "output_bytes", report->output_bytes);
    aq_json_member_real(&out, "write_amplification", amplification(report));
    aq_json_member_real(&out, "seconds", report->seconds);
    if (run->explained.size > 0) {
        aq_bytes_u8(&out, ',');
        aq_bytes_append(&out, run->explained.data, run->explained.size);
    }
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
    if (report->new_row_count > 0 && report->archive_input_count > 0)
        aq_out_printf(out, "  write amplification: %.2f\n", amplification(report));
}

static enum aq_status find_rate(const struct aq_program *program, uint64_t *bytes_per_second,
                                struct aq_error *err)
{
    const char *rate = program->options.rate_limit;
    *bytes_per_second = program->config != NULL ? program->config->compaction_rate_bytes : 0;
    if (rate == NULL || aq_config_parse_size(rate, bytes_per_second))
        return AQ_OK;
    return aq_error_set(
        err, AQ_INVALID,
        "--rate-limit: expected bytes a second like 50MiB (0B: no limit), found \"%s\"", rate);
}

static enum aq_status parse_time(const char *option, const char *text, int64_t *time_us,
                                 struct aq_error *err)
{
    if (text == NULL ||
        (aq_time_parse(aq_slice_of(text), aq_zone_utc(), time_us) == AQ_OK && *time_us != 0))
        return AQ_OK;
    return aq_error_set(err, AQ_INVALID,
                        "%s: expected a time like 2025-02-14 or 2025-02-14T13:00:00Z, found \"%s\"",
                        option, text);
}

static enum aq_status compact(struct run *run, struct aq_compact_report *report,
                              struct aq_error *err)
{
    struct aq_program *program = run->program;
    struct aq_store *store = NULL;
    struct aq_rate_limit rate;
    uint64_t bytes_per_second;
    struct aq_compact_options options = {
        .rate = &rate,
        .target_size_bytes = AQ_COMPACT_TARGET_SIZE_DEFAULT,
        .late_us = AQ_COMPACT_LATE_US_DEFAULT,
        .dry_run = program->options.dry_run,
        .datasets = program->options.arguments,
        .dataset_count = program->options.argument_count,
        .progress = on_progress,
        .explain = program->options.dry_run ? on_plan : NULL,
        .context = run,
        .stop = &aq_stop,
    };
    struct aq_expire_options expire = {.now_us = aq_clock_wall_us(),
                                       .trust_clock = program->options.trust_clock,
                                       .explain = on_expired,
                                       .context = program};
    AQ_TRY(parse_time("--now", program->options.now, &options.now_us, err));
    AQ_TRY(parse_time("--before", program->options.before, &options.before_us, err));
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &store, err));
    if (program->config != NULL) {
        expire.retentions = program->config->retentions;
        expire.retention_count = program->config->dataset_count;
        options.expire = &expire;
        options.target_size_bytes = program->config->target_size_bytes;
        options.late_us = program->config->late_us;
        options.memory_bytes = program->config->compaction_memory_bytes;
        options.fast = program->config->compaction_profile != 0;
    }
    AQ_TRY(find_rate(program, &bytes_per_second, err));
    aq_rate_limit_init(&rate, bytes_per_second, &aq_stop);
    aq_progress_begin(&run->progress, program->options.quiet);
    enum aq_status status = aq_compact(store, &options, report, err);
    aq_progress_clear(&run->progress);
    aq_rate_limit_deinit(&rate);
    return status;
}

/* Another gc at work does no harm to what was done here. */
static enum aq_status collect(struct aq_program *program, struct aq_error *err)
{
    enum aq_status status = aq_command_gc(program, err);
    if (status != AQ_CONFLICT)
        return status;
    aq_program_say(program, AQ_LEVEL_NOTICE, "gc was left to another process: %s", err->message);
    return AQ_OK;
}

/* Coding takes and gives back buffers of half a megabyte all the time; to have each of them from the kernel
 * anew costs a sixth of the run. */
static void keep_buffers(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

enum aq_status aq_command_compact(struct aq_program *program, struct aq_error *err)
{
    struct run run = {.program = program};
    struct aq_compact_report report = {0};
    aq_background_enter();
    keep_buffers();
    enum aq_status status = compact(&run, &report, err);
    if (status == AQ_OK && program->options.json)
        report_json(&run, &report);
    else if (status == AQ_OK)
        report_text(program, &report);
    aq_bytes_deinit(&run.explained);
    AQ_TRY(status);
    if (program->options.gc)
        AQ_TRY(collect(program, err));
    return program->options.tier ? aq_command_tier(program, err) : AQ_OK;
}
