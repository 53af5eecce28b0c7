/* gc: remove the files that no kept version of the store names, at home and, where one is known, in the bucket. What was
 * removed at home is told also when the bucket then fails. */
#include "compaction/gc/gc.h"
#include "compaction/tier/tier.h"
#include "engine/base/clock.h"
#include "tools/bucket.h"
#include "tools/commands/commands.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/forms/rows.h"

static const struct aq_result_column columns[] = {{"file", AQ_TYPE_TEXT},
                                                  {"bytes", AQ_TYPE_BIGINT}};

static void on_file(void *context, const char *name, uint64_t size_bytes)
{
    aq_rows_text(context, name);
    aq_rows_count(context, size_bytes);
}

/* What the bucket's walk tells of. */
struct objects {
    struct aq_object_store *bucket;
    struct aq_rows *rows;
};

static void on_object(void *context, const char *name, uint64_t size_bytes)
{
    const struct objects *objects = context;
    on_file(objects->rows, aq_object_path(objects->bucket, name).text, size_bytes);
}

static enum aq_status find_age(const struct aq_program *program, int64_t *age_us,
                               struct aq_error *err)
{
    const char *age = program->options.age;
    *age_us = aq_program_history_us(program);
    if (age == NULL || aq_config_parse_span(age, age_us))
        return AQ_OK;
    return aq_error_set(err, AQ_INVALID, "--age: expected a span like 24h, found \"%s\"", age);
}

static enum aq_status collect_objects(struct aq_program *program, struct aq_store *store,
                                      int64_t age_us, struct aq_rows *rows,
                                      struct aq_gc_report *report, struct aq_error *err)
{
    struct objects objects = {.rows = rows};
    struct aq_gc_report removed = {0};
    AQ_TRY(aq_program_bucket(program, &objects.bucket, err));
    if (objects.bucket == NULL)
        return AQ_OK;
    enum aq_status status = aq_tier_gc(store, objects.bucket, age_us, program->options.dry_run,
                                       on_object, &objects, &removed, err);
    report->file_count += removed.file_count;
    report->bytes += removed.bytes;
    return status;
}

static enum aq_status report_json(struct aq_program *program, struct aq_rows *rows,
                                  const struct aq_gc_report *report, struct aq_error *err)
{
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_bool(&out, "dry_run", program->options.dry_run);
    aq_json_member_count(&out, "files_removed", report->file_count);
    aq_json_member_count(&out, "bytes", report->bytes);
    aq_json_member_count(&out, "edits_removed", report->edit_count);
    aq_json_member_count(&out, "checkpoints_removed", report->checkpoint_count);
    aq_json_member_count(&out, "files_kept", report->kept_count);
    aq_json_member_count(&out, "bytes_kept", report->kept_bytes);
    aq_json_member_count(&out, "version", report->head);
    aq_json_member_count(&out, "oldest_version", report->oldest);
    if (report->leased)
        aq_json_member_count(&out, "oldest_lease", report->lease);
    aq_json_member_bool(&out, "compacting", report->compacting);
    enum aq_status status = aq_rows_json(rows, "files", &out, err);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(program->out, &out);
    aq_bytes_deinit(&out);
    return status;
}

/* What was left, and why. */
static void report_kept(const struct aq_program *program, const struct aq_gc_report *report)
{
    char size[AQ_HUMAN_BYTES_MAX];
    if (report->edit_count + report->checkpoint_count > 0)
        aq_out_printf(program->out, "and of the catalog %llu edits, %llu checkpoints\n",
                      (unsigned long long)report->edit_count,
                      (unsigned long long)report->checkpoint_count);
    if (report->kept_count > 0)
        aq_out_printf(program->out, "kept %llu file%s, %s, for versions from %llu on%s\n",
                      (unsigned long long)report->kept_count, report->kept_count == 1 ? "" : "s",
                      aq_human_size(report->kept_bytes, size), (unsigned long long)report->oldest,
                      report->leased && report->lease <= report->oldest
                          ? ", which somebody is reading"
                          : " (history)");
    if (report->compacting)
        aq_out_printf(program->out, "a compaction is running: archives wait for the next gc\n");
}

static enum aq_status report_text(struct aq_program *program, struct aq_rows *rows,
                                  const struct aq_gc_report *report, struct aq_error *err)
{
    char size[AQ_HUMAN_BYTES_MAX];
    if (report->file_count > 0)
        AQ_TRY(aq_rows_print(rows, program->out, err));
    aq_out_printf(program->out, "%s %llu file%s, %s\n",
                  program->options.dry_run ? "would remove" : "removed",
                  (unsigned long long)report->file_count, report->file_count == 1 ? "" : "s",
                  aq_human_size(report->bytes, size));
    report_kept(program, report);
    return AQ_OK;
}

enum aq_status aq_command_gc(struct aq_program *program, struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct aq_gc_report report = {0};
    struct aq_rows rows;
    int64_t age_us = 0;
    AQ_TRY(find_age(program, &age_us, err));
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &store, err));
    aq_rows_init(&rows, columns, sizeof(columns) / sizeof(columns[0]));
    struct aq_gc_options options = {.now_us = aq_clock_wall_us(),
                                    .history_us = age_us,
                                    .trust_clock = program->options.trust_clock,
                                    .dry_run = program->options.dry_run,
                                    .visit = on_file,
                                    .context = &rows};
    enum aq_status status = aq_gc(store, &options, &report, err);
    if (status >= 0) {
        enum aq_status in_bucket = collect_objects(program, store, age_us, &rows, &report, err);
        status = program->options.json ? report_json(program, &rows, &report, err)
                                       : report_text(program, &rows, &report, err);
        status = in_bucket < 0 ? in_bucket : status;
    }
    aq_rows_deinit(&rows);
    return status;
}
