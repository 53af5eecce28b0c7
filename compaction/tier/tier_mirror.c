/* Mirroring the catalog.
 *
 * Happy path: take a snapshot; all its closed files are in the bucket; for each dataset, the earliest row
 * that is in open segments only is where completeness ends; put the mirror.
 * Failures: files have closed since the last look -> they are placed, and another snapshot is taken; a few
 * times, then the mirror stays as it was. A mask on an open segment with rows -> it stays as it was, too: a
 * feed was taken over, and its position may be ahead of what the closed files hold. */
#include "compaction/tier/tier_job.h"
#include "engine/store/remote/remote.h"

#include <stdlib.h>

#define ROUNDS_MAX 5

static bool all_placed(const struct aq_catalog *catalog)
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        if (file->state == AQ_FILE_CLOSED && file->object.size == 0)
            return false;
    }
    return true;
}

/* A mask from the beginning on stands on a segment that its writer began after the feed was taken from it:
 * nothing of the feed counts there, so nothing is missing. */
static bool masks_open_segment(const struct aq_snapshot *snapshot)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(snapshot);
    for (size_t i = 0; i < catalog->mask_count; i++) {
        const struct aq_catalog_mask *mask = &catalog->masks[i];
        if (mask->from_ordinal > 0 && aq_snapshot_is_filling(snapshot, mask->file_id))
            return true;
    }
    return false;
}

static enum aq_status put_mirror(struct aq_tier_job *job, const struct aq_snapshot *snapshot,
                                 struct aq_error *err)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(snapshot);
    int64_t *until_us = malloc(catalog->dataset_count * sizeof *until_us + 1);
    if (until_us == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a mirror");
    for (size_t i = 0; i < catalog->dataset_count; i++)
        until_us[i] = aq_snapshot_open_since(snapshot, catalog->datasets[i].versions[0].dataset_id);
    enum aq_status status = aq_remote_put_mirror(job->options->bucket, catalog, until_us, err);
    if (status == AQ_OK)
        job->report->mirrored_number = catalog->number;
    free(until_us);
    return status;
}

/* AQ_END: files have closed that are not placed yet. */
static enum aq_status try_mirror(struct aq_tier_job *job, struct aq_error *err)
{
    struct aq_snapshot *snapshot = NULL;
    AQ_TRY(aq_snapshot_open(job->store, &snapshot, err));
    enum aq_status status = AQ_END;
    if (masks_open_segment(snapshot)) {
        job->report->unmirrored =
            "a source was taken over by another process, and the segment that "
            "its former owner wrote is still open";
        status = AQ_OK;
    } else if (all_placed(aq_snapshot_catalog(snapshot))) {
        status = put_mirror(job, snapshot, err);
    }
    aq_snapshot_close(snapshot);
    return status;
}

enum aq_status aq_tier_mirror(struct aq_tier_job *job, struct aq_error *err)
{
    job->report->mirrored_number = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        AQ_TRY(aq_tier_check_stop(job, err));
        job->progress = (struct aq_tier_progress){0};
        aq_tier_report_progress(job, "mirror", 0);
        enum aq_status status = try_mirror(job, err);
        if (status != AQ_END)
            return status;
        AQ_TRY(aq_tier_place(job, err));
    }
    job->report->unmirrored = "files closed faster than they could be copied";
    return AQ_OK;
}
