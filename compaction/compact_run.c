/* A compaction from end to end.
 *
 * Take the lock "compact", close what dead writers left open, remove what has expired (retention/), take a snapshot, plan; merge each
 * group's rows into archives that are durable and verified under temporary names; then one edit says
 * that the archives are the store and the inputs are not. The names are given inside the commit, from
 * the catalog it is built against, so that a lost race only renames.
 *
 * Killed before the edit: orphans, for gc. After it: done. Two at once: the lock; if that fails them
 * (another machine), the second edit finds an input gone and gives up. The inputs' files stay for gc. */
#include <stdlib.h>
#include <string.h>

#include "compaction/compact_job.h"
#include "compaction/gc/gc.h"
#include "compaction/nightly/last_run.h"
#include "engine/base/clock.h"

#define MEMORY_DEFAULT ((uint64_t)1 << 30)

/* Every input must still be what was read. */
static enum aq_status check_inputs(const struct aq_compact_job *job,
                                   const struct aq_catalog *catalog, struct aq_error *err)
{
    for (size_t i = 0; i < job->plan.input_count; i++) {
        const struct aq_catalog_file *input = job->plan.inputs[i];
        const struct aq_catalog_file *now = aq_catalog_file(catalog, input->file_id);
        if (now == NULL || now->kind != input->kind || now->state != input->state ||
            now->size_bytes != input->size_bytes)
            return aq_error_set(err, AQ_CONFLICT,
                                "another job has replaced file %llu meanwhile; nothing was "
                                "changed, compact again",
                                (unsigned long long)input->file_id);
        if (!aq_catalog_hides_alike(aq_snapshot_catalog(job->snapshot), catalog, input->file_id))
            return aq_error_set(err, AQ_CONFLICT,
                                "another job has removed rows of file %llu meanwhile; nothing was "
                                "changed, compact again",
                                (unsigned long long)input->file_id);
    }
    return AQ_OK;
}

static enum aq_status build_edit(void *context, const struct aq_catalog *catalog,
                                 struct aq_edit *edit, struct aq_error *err)
{
    struct aq_compact_job *job = context;
    uint64_t next_file_id = catalog->next_file_id;
    AQ_TRY(check_inputs(job, catalog, err));
    for (size_t i = 0; i < job->output_count; i++) {
        AQ_TRY(aq_archive_output_publish(job->outputs[i], &next_file_id, err));
        AQ_TRY(aq_archive_output_record(job->outputs[i], edit));
    }
    AQ_TRY(aq_archive_sync_names(job->store, err));
    for (size_t i = 0; i < job->plan.input_count; i++) {
        struct aq_record record = {.kind = AQ_RECORD_REMOVE,
                                   .remove = {.file_id = job->plan.inputs[i]->file_id}};
        AQ_TRY(aq_edit_add(edit, &record));
    }
    return AQ_OK;
}

static uint64_t count_new_rows(const struct aq_compact_plan *plan)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < plan->input_count; i++) {
        const struct aq_catalog_file *input = plan->inputs[i];
        for (size_t e = 0; input->kind == AQ_FILE_SEGMENT && e < input->entry_count; e++)
            rows += input->entries[e].row_count;
    }
    return rows;
}

static void fill_report(const struct aq_compact_job *job, struct aq_compact_report *report)
{
    report->segment_count = job->plan.segment_count;
    report->archive_input_count = job->plan.archive_count;
    report->row_count = job->plan.row_count;
    report->new_row_count = count_new_rows(&job->plan);
    report->input_bytes = job->plan.input_bytes;
    report->archive_output_count = job->output_count;
    report->dropped_count = job->dropped_rows;
    for (size_t i = 0; i < job->output_count; i++)
        report->output_bytes += job->outputs[i]->size_bytes;
}

static enum aq_status plan_and_merge(struct aq_compact_job *job, struct aq_compact_report *report,
                                     struct aq_error *err)
{
    struct aq_compact_options options = *job->options;
    options.target_size_bytes = job->target_size_bytes;
    if (options.now_us == 0)
        options.now_us = aq_clock_wall_us();
    struct aq_survey survey = {0};
    enum aq_status status = aq_survey_take(job->snapshot, &job->workers, &survey, err);
    if (status == AQ_OK)
        status = aq_compact_plan_make(aq_snapshot_catalog(job->snapshot), &options, &survey,
                                      &job->arena, &job->plan, err);
    aq_survey_deinit(&survey);
    AQ_TRY(status);
    if (options.explain != NULL)
        options.explain(options.context, &job->plan);
    if (!job->options->dry_run) {
        for (size_t i = 0; i < job->plan.dataset_count; i++)
            AQ_TRY(aq_compact_merge(job, &job->plan.datasets[i], err));
        aq_compact_report_progress(job, NULL, "commit", 0, 0);
        if (job->plan.input_count > 0)
            AQ_TRY(aq_store_commit(job->store, build_edit, job, err));
    }
    fill_report(job, report);
    return AQ_OK;
}

/* Plan, merge, commit. The snapshot is held until the edit is durable: it keeps gc away from the inputs. */
static enum aq_status run_locked(struct aq_compact_job *job, struct aq_compact_report *report,
                                 struct aq_error *err)
{
    AQ_TRY(aq_snapshot_open(job->store, &job->snapshot, err));
    enum aq_status status = plan_and_merge(job, report, err);
    for (size_t i = 0; i < job->output_count; i++) {
        aq_archive_output_deinit(job->outputs[i]);
        free(job->outputs[i]);
    }
    free(job->outputs);
    aq_arena_deinit(&job->arena);
    aq_snapshot_close(job->snapshot);
    return status;
}

/* Recover, expire, merge. That the clock has jumped is told at the end: merging does not depend on it. */
static enum aq_status run_steps(struct aq_compact_job *job, struct aq_compact_report *report,
                                struct aq_error *err)
{
    const struct aq_compact_options *options = job->options;
    struct aq_recovery_report recovered;
    struct aq_error jumped = {0};
    enum aq_status expired = AQ_OK;
    if (!options->dry_run)
        AQ_TRY(aq_store_recover(job->store, &recovered, err));
    if (options->expire != NULL) {
        struct aq_expire_options expire = *options->expire;
        expire.dry_run = options->dry_run;
        expired = aq_expire(job->store, &expire, &report->expired, &jumped);
    }
    if (expired == AQ_OK || expired == AQ_LIMIT)
        AQ_TRY(run_locked(job, report, err));
    if (expired < 0 && err != NULL)
        *err = jumped;
    return expired;
}

enum aq_status aq_compact(struct aq_store *store, const struct aq_compact_options *options,
                          struct aq_compact_report *report, struct aq_error *err)
{
    int64_t begin_us = aq_clock_us();
    int64_t begin_wall_us = aq_clock_wall_us();
    *report = (struct aq_compact_report){0};
    struct aq_compact_job job = {
        .store = store,
        .options = options,
        .target_size_bytes = options->target_size_bytes != 0 ? options->target_size_bytes
                                                             : AQ_COMPACT_TARGET_SIZE_DEFAULT,
        .memory_bytes = options->memory_bytes != 0 ? options->memory_bytes : MEMORY_DEFAULT,
    };
    aq_workers_init(&job.workers, options->thread_count);
    struct aq_store_lock *lock;
    struct aq_store_lock *outputs = NULL;
    enum aq_status status = AQ_OK;
    AQ_TRY(aq_store_lock(store, "compact", true, &lock, err));
    if (!options->dry_run)
        status = aq_gc_keep_outputs(store, &outputs, err);
    if (status == AQ_OK)
        status = run_steps(&job, report, err);
    if (status == AQ_OK && !options->dry_run)
        aq_compact_note_run(store, begin_wall_us);
    aq_store_unlock(outputs);
    aq_store_unlock(lock);
    report->seconds = aq_clock_seconds_since(begin_us);
    return status;
}
