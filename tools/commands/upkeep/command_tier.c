/* tier: copy closed files into the bucket, mirror the catalog, move old archives there; then remove what has
 * left the home and, now and then, what nothing in the bucket names any more.
 *
 * Happy path: ask the bucket what it can do, run, keep a note of the bucket in the home, collect.
 * Failures: whatever the bucket refuses is found by the first step, before anything is changed. A query that
 * reads keeps the home's files for now: that is told, and no failure. */

#include "compaction/compact.h"
#include "compaction/tier/tier.h"
#include "engine/object/s3.h"
#include "tools/bucket.h"
#include "tools/commands/commands.h"
#include "tools/output/text/human.h"
#include "tools/output/text/json_print.h"
#include "tools/output/progress.h"
#include "tools/output/forms/rows.h"
#include "engine/base/clock.h"

static const struct aq_result_column columns[] = {
    {"file", AQ_TYPE_TEXT}, {"bytes", AQ_TYPE_BIGINT}, {"what", AQ_TYPE_TEXT}};

/* A run, and what it found. */
struct run {
    struct aq_program *program;
    struct aq_store *store;
    struct aq_object_store *bucket;
    struct aq_progress progress;
    struct aq_rows rows; /* of a dry run */
    struct aq_tier_report tier;
    struct aq_gc_report home;
    struct aq_gc_report objects;
};

static void on_progress(void *context, const struct aq_tier_progress *progress)
{
    struct run *run = context;
    aq_progress_update_bytes(&run->progress, progress->phase, progress->bytes_done,
                             progress->bytes_total);
}

static void on_file(void *context, const char *file, const char *what, uint64_t size_bytes)
{
    struct run *run = context;
    if (run->program->options.dry_run) {
        aq_rows_text(&run->rows, file);
        aq_rows_count(&run->rows, size_bytes);
        aq_rows_text(&run->rows, what);
    } else {
        aq_program_say(run->program, AQ_LEVEL_DETAIL, "%s: %s", file, what);
    }
}

/* What a dry run may not try is taken for granted. */
static enum aq_status move(struct run *run, struct aq_error *err)
{
    struct aq_tier_config config = aq_program_tier_config(run->program);
    const struct aq_config *store_config = run->program->config;
    struct aq_s3_capabilities can = {.conditional_put = true};
    if (!run->program->options.dry_run)
        AQ_TRY(aq_s3_probe(run->bucket, &can, err));
    struct aq_tier_options options = {.bucket = run->bucket,
                                      .conditional = can.conditional_put,
                                      .protect = config.protect_us > 0,
                                      .now_us = aq_clock_wall_us(),
                                      .after_us = config.after_us,
                                      .keep_home_us = config.keep_home_us,
                                      .target_size_bytes = AQ_COMPACT_TARGET_SIZE_DEFAULT,
                                      .late_us = AQ_COMPACT_LATE_US_DEFAULT,
                                      .dry_run = run->program->options.dry_run,
                                      .explain = on_file,
                                      .progress = on_progress,
                                      .context = run,
                                      .stop = &aq_stop};
    if (store_config != NULL) {
        options.target_size_bytes = store_config->target_size_bytes;
        options.late_us = store_config->late_us;
    }
    if (!can.conditional_put && !options.protect)
        aq_program_say(
            run->program, AQ_LEVEL_NOTICE,
            "the bucket ignores conditions (If-None-Match): it holds data, but no copy of "
            "the catalog, so that a lost home cannot be restored from it");
    AQ_TRY(aq_tier(run->store, &options, &run->tier, err));
    if (run->tier.unmirrored != NULL)
        aq_program_say(run->program, AQ_LEVEL_NOTICE,
                       "the catalog's copy in the bucket was left as it was: %s; the next run "
                       "tries again",
                       run->tier.unmirrored);
    if (options.dry_run)
        return AQ_OK;
    return aq_program_keep_bucket_note(run->program, aq_store_home(run->store), err);
}

static enum aq_status collect(struct run *run, struct aq_error *err)
{
    struct aq_gc_options options = {.now_us = aq_clock_wall_us(),
                                    .history_us = aq_program_history_us(run->program)};
    enum aq_status status = aq_gc(run->store, &options, &run->home, err);
    if (status == AQ_CONFLICT)
        aq_program_say(
            run->program, AQ_LEVEL_NOTICE,
            "no file was removed from the home, since another process is at it; the next "
            "`tier` or `gc` does it");
    else if (status == AQ_TEMPORARY)
        aq_program_say(run->program, AQ_LEVEL_NOTICE, "%s", err->message);
    else if (status < 0)
        return status;
    bool due = false;
    AQ_TRY(aq_tier_gc_is_due(run->store, run->bucket, &due, err));
    return due ? aq_tier_gc(run->store, run->bucket, aq_program_history_us(run->program), false,
                            NULL, NULL, &run->objects, err)
               : AQ_OK;
}

static enum aq_status report_json(struct run *run, struct aq_error *err)
{
    struct aq_bytes out = {0};
    bool dry_run = run->program->options.dry_run;
    enum aq_status status = AQ_OK;
    aq_json_open(&out, '{');
    aq_json_member_bool(&out, "dry_run", dry_run);
    aq_json_member_count(&out, "uploaded", run->tier.uploaded_count);
    aq_json_member_count(&out, "uploaded_bytes", run->tier.uploaded_bytes);
    aq_json_member_count(&out, "evicted", run->tier.evicted_count);
    aq_json_member_count(&out, "evicted_bytes", run->tier.evicted_bytes);
    aq_json_member_bool(&out, "mirrored", run->tier.mirrored_number > 0);
    aq_json_member_count(&out, "mirrored_edit", run->tier.mirrored_number);
    aq_json_member_count(&out, "files_removed", run->home.file_count);
    aq_json_member_count(&out, "objects_removed", run->objects.file_count);
    aq_json_member_real(&out, "seconds", run->tier.seconds);
    if (dry_run)
        status = aq_rows_json(&run->rows, "files", &out, err);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(run->program->out, &out);
    aq_bytes_deinit(&out);
    return status;
}

static void put_files(struct aq_out *out, const char *verb, uint64_t count, const char *noun,
                      uint64_t bytes)
{
    char size[AQ_HUMAN_BYTES_MAX];
    aq_out_printf(out, "%s %llu %s%s, %s\n", verb, (unsigned long long)count, noun,
                  count == 1 ? "" : "s", aq_human_size(bytes, size));
}

static enum aq_status report_text(struct run *run, struct aq_error *err)
{
    struct aq_out *out = run->program->out;
    bool dry_run = run->program->options.dry_run;
    char text[AQ_HUMAN_BYTES_MAX];
    if (dry_run)
        AQ_TRY(aq_rows_print(&run->rows, out, err));
    put_files(out, dry_run ? "would upload" : "uploaded", run->tier.uploaded_count, "file",
              run->tier.uploaded_bytes);
    put_files(out, dry_run ? "would move out of the home" : "moved out of the home",
              run->tier.evicted_count, "archive", run->tier.evicted_bytes);
    if (run->home.file_count > 0)
        put_files(out, "removed from the home", run->home.file_count, "file", run->home.bytes);
    if (run->objects.file_count > 0)
        put_files(out, "removed from the bucket", run->objects.file_count, "object",
                  run->objects.bytes);
    if (run->tier.mirrored_number > 0)
        aq_out_printf(out, "the bucket has the catalog as of edit %llu\n",
                      (unsigned long long)run->tier.mirrored_number);
    if (!dry_run)
        aq_out_printf(out, "done in %s\n", aq_human_seconds(run->tier.seconds, text));
    return AQ_OK;
}

enum aq_status aq_command_tier(struct aq_program *program, struct aq_error *err)
{
    struct run run = {.program = program};
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &run.store, err));
    AQ_TRY(aq_program_need_bucket(program, &run.bucket, err));
    aq_rows_init(&run.rows, columns, sizeof(columns) / sizeof(columns[0]));
    aq_progress_begin(&run.progress, program->options.quiet);
    enum aq_status status = move(&run, err);
    if (status >= 0 && !program->options.dry_run)
        status = collect(&run, err);
    aq_progress_clear(&run.progress);
    if (status >= 0)
        status = program->options.json ? report_json(&run, err) : report_text(&run, err);
    aq_rows_deinit(&run.rows);
    return status;
}
