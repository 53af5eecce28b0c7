/* Copying all that is due, and telling the catalog where the copies are.
 *
 * Happy path: file after file is uploaded; when a batch is full, or the last file is there, one edit says
 * `place` for each.
 * Failures: a file that a compaction has replaced meanwhile is passed over: its object is an orphan. When
 * one cannot be uploaded, those before it are committed all the same. */
#include "compaction/tier/tier_job.h"

static enum aq_status build_places(void *context, const struct aq_catalog *catalog,
                                   struct aq_edit *edit, struct aq_error *err)
{
    (void)err;
    const struct aq_tier_job *job = context;
    size_t count = 0;
    for (size_t i = 0; i < job->batch_count; i++) {
        const struct aq_tier_copy *copy = &job->batch[i];
        const struct aq_catalog_file *file = aq_catalog_file(catalog, copy->file_id);
        if (file == NULL || file->size_bytes != copy->size_bytes)
            continue;
        struct aq_record place = {.kind = AQ_RECORD_PLACE,
                                  .place = {.file_id = copy->file_id,
                                            .object = aq_slice_of(copy->object),
                                            .hash = copy->hash}};
        AQ_TRY(aq_edit_add(edit, &place));
        count++;
    }
    return count > 0 ? AQ_OK : AQ_END;
}

static enum aq_status commit_batch(struct aq_tier_job *job, struct aq_error *err)
{
    if (job->batch_count == 0)
        return AQ_OK;
    enum aq_status status = aq_store_commit(job->store, build_places, job, err);
    AQ_TRY(status);
    for (size_t i = 0; i < job->batch_count; i++)
        job->report->uploaded_bytes += job->batch[i].copied_bytes;
    job->report->uploaded_count += job->batch_count;
    job->batch_count = 0;
    job->batch_bytes = 0;
    return AQ_OK;
}

static enum aq_status copy_file(struct aq_tier_job *job, const struct aq_catalog_file *file,
                                struct aq_error *err)
{
    enum aq_status status = aq_tier_upload(job, file, &job->batch[job->batch_count], err);
    job->progress.files_done++;
    if (status != AQ_OK)
        return status < 0 ? status : AQ_OK;
    aq_tier_explain(job, file, "uploaded");
    job->batch_bytes += job->batch[job->batch_count++].copied_bytes;
    if (job->batch_count == AQ_TIER_BATCH_FILES || job->batch_bytes >= AQ_TIER_BATCH_BYTES)
        return commit_batch(job, err);
    return AQ_OK;
}

/* The failure that came first is the one to tell. */
static enum aq_status finish(struct aq_tier_job *job, enum aq_status status, struct aq_error *err)
{
    if (status >= 0)
        return commit_batch(job, err);
    struct aq_error second = {0};
    if (commit_batch(job, &second) < 0)
        return status; /* what was copied is copied again next time */
    return status;
}

static void count_due(struct aq_tier_job *job, const struct aq_catalog *catalog, const bool *final)
{
    const char *why;
    job->progress = (struct aq_tier_progress){.phase = "upload"};
    for (size_t i = 0; i < catalog->file_count; i++) {
        if (!aq_tier_is_due(&catalog->files[i], final[i], job->options, &why))
            continue;
        job->progress.files_total++;
        /* Up, and back again. */
        job->progress.bytes_total += 2 * aq_catalog_file_bytes(&catalog->files[i]);
    }
}

static enum aq_status place_due(struct aq_tier_job *job, const struct aq_catalog *catalog,
                                const bool *final, struct aq_error *err)
{
    const char *why;
    enum aq_status status = AQ_OK;
    count_due(job, catalog, final);
    for (size_t i = 0; status == AQ_OK && i < catalog->file_count; i++) {
        if (aq_tier_is_due(&catalog->files[i], final[i], job->options, &why))
            status = copy_file(job, &catalog->files[i], err);
    }
    return status;
}

enum aq_status aq_tier_place(struct aq_tier_job *job, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    const bool *final = NULL;
    struct aq_arena arena = {0};
    AQ_TRY(aq_store_catalog(job->store, true, &catalog, err));
    enum aq_status status = aq_tier_find_final(catalog, job->options, &arena, &final, err);
    if (status == AQ_OK)
        status = place_due(job, catalog, final, err);
    aq_arena_deinit(&arena);
    aq_catalog_release(catalog);
    return finish(job, status, err);
}

enum aq_status aq_tier_place_again(struct aq_tier_job *job, const struct aq_catalog_file *file,
                                   struct aq_error *err)
{
    job->progress = (struct aq_tier_progress){
        .phase = "upload", .files_total = 1, .bytes_total = 2 * aq_catalog_file_bytes(file)};
    return finish(job, copy_file(job, file, err), err);
}
