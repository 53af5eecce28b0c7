/* What a compaction under way asks its caller, whether to stop, and tells it, how far it is. */
#include <string.h>

#include "compaction/compact_job.h"

enum aq_status aq_compact_check_stop(const struct aq_compact_job *job, struct aq_error *err)
{
    if (job->options->stop == NULL || !*job->options->stop)
        return AQ_OK;
    return aq_error_set(err, AQ_INTERRUPTED, "compaction stopped; nothing was changed");
}

/* Datasets are merged one after the other. */
static uint64_t count_rows_before(const struct aq_compact_job *job, const char *dataset)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < job->plan.dataset_count; i++) {
        if (dataset != NULL && strcmp(job->plan.datasets[i].schema->dataset, dataset) == 0)
            break;
        rows += job->plan.datasets[i].row_count;
    }
    return rows;
}

void aq_compact_report_progress(const struct aq_compact_job *job, const char *dataset,
                                const char *phase, uint64_t rows_done, uint64_t rows_total)
{
    if (job->options->progress == NULL)
        return;
    struct aq_compact_progress progress = {
        .dataset = dataset,
        .phase = phase,
        .rows_done = rows_done,
        .rows_total = rows_total,
        .rows_before = count_rows_before(job, dataset),
        .rows_all = job->plan.row_count,
    };
    job->options->progress(job->options->context, &progress);
}
