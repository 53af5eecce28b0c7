/* Loading files: names found, aq_ingest_files run, its report printed.
 *
 * Failures: what was acked stays in the store and is reported; the error says what stopped the rest. */
#include "tools/commands/input/load.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/progress.h"

enum aq_source_format aq_load_format(const char *name)
{
    if (name == NULL)
        return AQ_FORMAT_AUTO;
    return strcmp(name, "csv") == 0       ? AQ_FORMAT_CSV
           : strcmp(name, "ndjson") == 0  ? AQ_FORMAT_NDJSON
           : strcmp(name, "parquet") == 0 ? AQ_FORMAT_PARQUET
                                          : AQ_FORMAT_JSON;
}

/* ---- names ---- */

void aq_paths_deinit(struct aq_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free((void *)paths->names[i]);
    free(paths->names);
    *paths = (struct aq_paths){0};
}

static enum aq_status paths_append(struct aq_paths *paths, const char *name, struct aq_error *err)
{
    if (paths->count == paths->capacity) {
        size_t capacity = paths->capacity * 2 + 16;
        void *grown = realloc(paths->names, capacity * sizeof(*paths->names));
        if (grown == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for file names");
        paths->names = grown;
        paths->capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for file names");
    paths->names[paths->count++] = copy;
    return AQ_OK;
}

static enum aq_status expand(struct aq_paths *paths, const char *pattern, struct aq_error *err)
{
    glob_t found = {0};
    enum aq_status status = AQ_OK;
    int result = glob(pattern, GLOB_BRACE, NULL, &found);
    if (result == GLOB_NOMATCH)
        status = aq_error_set_at(err, AQ_NOT_FOUND, pattern, -1, "no file matches");
    else if (result != 0)
        status = aq_error_set_at(err, AQ_IO, pattern, -1, "cannot look for files");
    for (size_t i = 0; i < found.gl_pathc && status >= 0; i++)
        status = paths_append(paths, found.gl_pathv[i], err);
    globfree(&found);
    return status;
}

enum aq_status aq_paths_add(struct aq_paths *paths, const char *pattern, struct aq_error *err)
{
    if (strpbrk(pattern, "*?[{") == NULL || access(pattern, F_OK) == 0)
        return paths_append(paths, pattern, err); /* a name as it stands */
    return expand(paths, pattern, err);
}

/* ---- reports ---- */

struct run {
    const struct aq_program *program;
    const char *source; /* that notices are about; NULL: none */
    struct aq_progress progress;
};

static void on_progress(void *context, const struct aq_ingest_progress *progress)
{
    struct run *run = context;
    aq_progress_update(&run->progress, progress->file, progress->bytes_done, progress->bytes_total,
                       progress->row_count + progress->reject_count);
}

static void on_notice(void *context, const char *message)
{
    struct run *run = context;
    aq_program_say_of(run->program, AQ_LEVEL_NOTICE, run->source, message);
}

static void report_json(struct aq_program *program, const char *dataset, const char *source,
                        const struct aq_ingest_report *report)
{
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_text(&out, "dataset", dataset);
    aq_json_member_text(&out, "source", source);
    aq_json_member_count(&out, "files", report->file_count);
    aq_json_member_count(&out, "known_files", report->known_file_count);
    aq_json_member_count(&out, "resumed_files", report->resumed_file_count);
    aq_json_member_count(&out, "rows", report->row_count);
    aq_json_member_count(&out, "rejects", report->reject_count);
    aq_json_member_count(&out, "passed", report->passed_count);
    aq_json_member_count(&out, "unknown_fields", report->unknown_field_count);
    aq_json_member_count(&out, "replaced_rows", report->replaced_row_count);
    aq_json_member_count(&out, "input_bytes", report->input_bytes);
    aq_json_member_count(&out, "segment_bytes", report->segment_bytes);
    aq_json_member_real(&out, "seconds", report->seconds);
    aq_json_member_text(&out, "io", aq_io_kind_name(report->io));
    aq_json_member_text(&out, "write", aq_write_method_name(report->write_method));
    aq_json_member_count(&out, "frames_in_flight", report->frames_in_flight);
    aq_json_member_count(&out, "zero_failures", report->zero_failure_count);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(program->out, &out);
    aq_bytes_deinit(&out);
}

static void report_counts(struct aq_out *out, const char *dataset,
                          const struct aq_ingest_report *report)
{
    char a[AQ_HUMAN_BYTES_MAX], b[AQ_HUMAN_BYTES_MAX], c[AQ_HUMAN_BYTES_MAX], d[AQ_HUMAN_BYTES_MAX];
    uint64_t message_count = report->row_count + report->reject_count;
    uint64_t file_count = report->file_count;
    aq_out_printf(out, "%s: %s row%s and %s reject%s from %" PRIu64 " file%s (%s) in %s", dataset,
                  aq_human_count(report->row_count, a), report->row_count == 1 ? "" : "s",
                  aq_human_count(report->reject_count, b), report->reject_count == 1 ? "" : "s",
                  file_count, file_count == 1 ? "" : "s", aq_human_size(report->input_bytes, c),
                  aq_human_seconds(report->seconds, d));
    if (report->seconds > 0)
        aq_out_printf(out, ", %s rows/s",
                      aq_human_rate((double)message_count / report->seconds, a));
    aq_out_text(out, "\n");
    if (report->segment_bytes > 0)
        aq_out_printf(out, "  durable in segments: %s, %.1f bytes/row, written through %s%s\n",
                      aq_human_size(report->segment_bytes, a),
                      (double)report->segment_bytes / (double)message_count,
                      report->io == AQ_IO_URING ? "io_uring" : "POSIX calls",
                      report->write_method == AQ_WRITE_DIRECT ? ", past the kernel's cache" : "");
}

static void report_text(struct aq_program *program, const char *dataset,
                        const struct aq_ingest_report *report)
{
    struct aq_out *out = program->out;
    char replaced[AQ_HUMAN_BYTES_MAX];
    if (report->row_count + report->reject_count > 0)
        report_counts(out, dataset, report);
    if (report->replaced_range_count > 0)
        aq_out_printf(out, "  in place of %s row%s in %zu stretch%s of time\n",
                      aq_human_count(report->replaced_row_count, replaced),
                      report->replaced_row_count == 1 ? "" : "s", report->replaced_range_count,
                      report->replaced_range_count == 1 ? "" : "es");
    if (report->row_count + report->reject_count == 0)
        aq_out_printf(out, "%s: nothing to add\n", dataset);
    if (report->known_file_count > 0)
        aq_out_printf(out, "  files in the store already, known by their content: %" PRIu64 "\n",
                      report->known_file_count);
    if (report->resumed_file_count > 0)
        aq_out_printf(out, "  files gone on with from where they stood: %" PRIu64 "\n",
                      report->resumed_file_count);
    if (report->passed_count > 0)
        aq_out_printf(out, "  messages passed over: %" PRIu64 "\n", report->passed_count);
    if (report->unknown_field_count > 0)
        aq_out_printf(out, "  fields that no column names: %" PRIu64 "\n",
                      report->unknown_field_count);
    if (report->reject_count > 0)
        aq_out_printf(out, "  see the rejects: aqstore rejects show --dataset %s\n", dataset);
}

enum aq_status aq_load(struct aq_program *program, const struct aq_load *load, struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct run run = {.program = program, .source = load->monitor != NULL ? load->source : NULL};
    struct aq_ingest_report report = {0};
    AQ_TRY(aq_program_store(program, AQ_ACCESS_CREATE, &store, err));
    struct aq_ingest_options options = {
        .config = program->config,
        .dataset = load->dataset,
        .source_name = load->source,
        .format = load->format,
        .files = load->paths->names,
        .file_count = load->paths->count,
        .progress = on_progress,
        .notice = on_notice,
        .context = &run,
        .stop = &aq_stop,
        .monitor = load->monitor,
        .replace = load->replace,
        .span = load->span,
    };
    aq_progress_begin(&run.progress, program->options.quiet || !load->draws);
    enum aq_status status = aq_ingest_files(store, &options, &report, err);
    aq_progress_clear(&run.progress);
    bool failed_at_once = status < 0 && report.row_count + report.reject_count == 0;
    const char *dataset = load->dataset->schema.dataset;
    if (program->options.json)
        report_json(program, dataset, load->source, &report);
    else if (!failed_at_once)
        report_text(program, dataset, &report);
    return status;
}

enum aq_status aq_load_views(struct aq_program *program, struct aq_error *err)
{
    struct aq_store *store = NULL;
    AQ_TRY(aq_program_store(program, AQ_ACCESS_CREATE, &store, err));
    for (size_t i = 0; i < program->config->view_count; i++) {
        const struct aq_view_config *view = &program->config->views[i];
        AQ_TRY(aq_store_declare_view(store, view->name, view->sql, err));
    }
    return AQ_OK;
}
