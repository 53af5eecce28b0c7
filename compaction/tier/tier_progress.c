/* What a run of the tier asks its caller, whether to stop, and tells it: how far it is, and what becomes of a file. */
#include "compaction/tier/tier_job.h"

enum aq_status aq_tier_check_stop(const struct aq_tier_job *job, struct aq_error *err)
{
    if (job->options->stop == NULL || !*job->options->stop)
        return AQ_OK;
    return aq_error_set(err, AQ_INTERRUPTED,
                        "stopped; what was copied so far is kept, the next run goes on");
}

void aq_tier_report_progress(struct aq_tier_job *job, const char *phase, uint64_t bytes_done)
{
    job->progress.phase = phase;
    job->progress.bytes_done = job->bytes_before + bytes_done;
    if (job->options->progress != NULL)
        job->options->progress(job->options->context, &job->progress);
}

void aq_tier_explain(const struct aq_tier_job *job, const struct aq_catalog_file *file,
                     const char *what)
{
    char name[64];
    if (job->options->explain == NULL)
        return;
    aq_catalog_file_name(file->kind, file->file_id, name, sizeof name);
    job->options->explain(job->options->context, name, what, aq_catalog_file_bytes(file));
}
