/* A run of the tier from end to end.
 *
 * Under the lock "tier": whose bucket is it; copy what is due, read it back, commit where it is; mirror the
 * catalog; commit what leaves the home; mirror again when that changed anything. Nothing is deleted here:
 * files that left the home, and objects that nothing names, are gc's.
 *
 * Killed anywhere: an object without a `place` is an orphan, a mirror that was not put is put by the next
 * run, a file is evicted only after the mirror names its object. So the next run goes on where this one
 * stopped. A dry run changes nothing, in the home or in the bucket. */
#include "compaction/tier/tier_job.h"
#include "engine/store/remote/remote.h"
#include "engine/base/clock.h"

static void add_upload(struct aq_tier_report *report, const struct aq_catalog_file *file)
{
    report->uploaded_count++;
    report->uploaded_bytes += aq_catalog_file_bytes(file);
}

/* What a run would do, by the same rules. */
static void explain_files(struct aq_tier_job *job, const struct aq_catalog *catalog,
                          const bool *final)
{
    const struct aq_tier_options *options = job->options;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        const char *why;
        bool due = aq_tier_is_due(file, final[i], options, &why);
        bool leaves = (due || file->object.size > 0) && !options->protect_only &&
                      aq_tier_may_leave(file, final[i], options);
        if (due)
            add_upload(job->report, file);
        aq_tier_explain(job, file,
                        leaves && !due ? "leaves the home: older than tier.keep_home"
                        : leaves       ? "upload, then leaves the home: older than "
                                         "tier.keep_home"
                                       : why);
        if (leaves) {
            job->report->evicted_count++;
            job->report->evicted_bytes += aq_catalog_file_bytes(file);
        }
    }
}

static enum aq_status explain_all(struct aq_tier_job *job, const struct aq_catalog *catalog,
                                  struct aq_error *err)
{
    struct aq_arena arena = {0};
    const bool *final = NULL;
    enum aq_status status = aq_tier_find_final(catalog, job->options, &arena, &final, err);
    if (status == AQ_OK)
        explain_files(job, catalog, final);
    aq_arena_deinit(&arena);
    return status;
}

static enum aq_status own(struct aq_tier_job *job, const struct aq_catalog *catalog,
                          struct aq_error *err)
{
    struct aq_object_store *bucket = job->options->bucket;
    uint64_t newest = 0;
    AQ_TRY(aq_tier_check_owner(job->store, bucket, &newest, err));
    if (job->options->dry_run || !job->options->conditional || newest == catalog->incarnation)
        return AQ_OK;
    enum aq_status status =
        aq_remote_register(bucket, catalog->incarnation, &catalog->store_id, err);
    /* Somebody was faster: is it another store, or a copy of this home? */
    return status == AQ_EXISTS ? aq_tier_check_owner(job->store, bucket, &newest, err) : status;
}

static enum aq_status move_files(struct aq_tier_job *job, struct aq_error *err)
{
    const struct aq_tier_options *options = job->options;
    AQ_TRY(aq_tier_place(job, err));
    if (options->protect)
        AQ_TRY(aq_tier_mirror(job, err));
    /* What leaves the home must be named where the home is not. */
    if (options->protect_only || (options->protect && job->report->mirrored_number == 0))
        return AQ_OK;
    AQ_TRY(aq_tier_evict(job, err));
    if (options->protect && job->report->evicted_count > 0)
        AQ_TRY(aq_tier_mirror(job, err));
    return AQ_OK;
}

static enum aq_status run_locked(struct aq_tier_job *job, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(job->store, true, &catalog, err));
    enum aq_status status = own(job, catalog, err);
    if (status == AQ_OK)
        status = job->options->dry_run ? explain_all(job, catalog, err) : move_files(job, err);
    aq_catalog_release(catalog);
    return status;
}

enum aq_status aq_tier(struct aq_store *store, const struct aq_tier_options *options,
                       struct aq_tier_report *report, struct aq_error *err)
{
    int64_t begin_us = aq_clock_us();
    struct aq_tier_job job = {.store = store, .options = options, .report = report};
    struct aq_store_lock *lock = NULL;
    *report = (struct aq_tier_report){0};
    if (options->protect && !options->conditional)
        return aq_error_set_at(
            err, AQ_UNSUPPORTED, aq_object_path(options->bucket, "").text, -1,
            "ignores conditions (If-None-Match), so two homes could not be kept "
            "apart in it: it may hold archives (with protect: 0), but no copy of "
            "the catalog");
    AQ_TRY(aq_store_lock(store, "tier", true, &lock, err));
    enum aq_status status = run_locked(&job, err);
    aq_store_unlock(lock);
    report->seconds = aq_clock_seconds_since(begin_us);
    return status;
}
