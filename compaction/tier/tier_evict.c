/* Letting old archives leave the home.
 *
 * Happy path: each placed archive that is old enough is asked for once more in the bucket, then one edit says
 * `evict` for all of them. Their files go with the next gc, which waits for who reads them.
 * Failures: an object that is gone, or has another size, is uploaded anew, and its file stays for now. */
#include "compaction/tier/tier_job.h"

#include <stdio.h>
#include <stdlib.h>

struct evictions {
    struct aq_tier_job *job;
    const struct aq_catalog *catalog;
    const struct aq_catalog_file **files;
    size_t count;
};

static bool same_object(const struct aq_catalog_file *a, const struct aq_catalog_file *b)
{
    return a != NULL && !a->evicted && aq_slice_equal(a->object, b->object);
}

static enum aq_status build_evictions(void *context, const struct aq_catalog *catalog,
                                      struct aq_edit *edit, struct aq_error *err)
{
    (void)err;
    const struct evictions *evictions = context;
    size_t count = 0;
    for (size_t i = 0; i < evictions->count; i++) {
        const struct aq_catalog_file *file = evictions->files[i];
        if (!same_object(aq_catalog_file(catalog, file->file_id), file))
            continue;
        struct aq_record evict = {.kind = AQ_RECORD_EVICT, .evict = {.file_id = file->file_id}};
        AQ_TRY(aq_edit_add(edit, &evict));
        count++;
    }
    return count > 0 ? AQ_OK : AQ_END;
}

/* AQ_END: not as it should be in the bucket. */
static enum aq_status look_at_object(const struct aq_tier_job *job,
                                     const struct aq_catalog_file *file, struct aq_error *err)
{
    char name[AQ_TIER_OBJECT_BYTES];
    uint64_t size_bytes = 0;
    snprintf(name, sizeof name, "%.*s", (int)file->object.size, (const char *)file->object.data);
    enum aq_status status = aq_object_head(job->options->bucket, name, &size_bytes, err);
    if (status == AQ_NOT_FOUND)
        return AQ_END;
    AQ_TRY(status);
    return size_bytes == aq_catalog_file_bytes(file) ? AQ_OK : AQ_END;
}

static enum aq_status choose(struct evictions *evictions, const bool *final, struct aq_error *err)
{
    struct aq_tier_job *job = evictions->job;
    for (size_t i = 0; i < evictions->catalog->file_count; i++) {
        const struct aq_catalog_file *file = &evictions->catalog->files[i];
        if (file->object.size == 0 || !aq_tier_may_leave(file, final[i], job->options))
            continue;
        AQ_TRY(aq_tier_check_stop(job, err));
        enum aq_status status = look_at_object(job, file, err);
        if (status == AQ_END) {
            aq_tier_explain(job, file, "stays: its object was gone, and is uploaded anew");
            status = aq_tier_place_again(job, file, err);
        } else if (status == AQ_OK) {
            evictions->files[evictions->count++] = file;
        }
        AQ_TRY(status);
    }
    return AQ_OK;
}

static enum aq_status commit(struct evictions *evictions, struct aq_error *err)
{
    struct aq_tier_job *job = evictions->job;
    if (evictions->count == 0)
        return AQ_OK;
    enum aq_status status = aq_store_commit(job->store, build_evictions, evictions, err);
    AQ_TRY(status);
    if (status == AQ_END)
        return AQ_OK;
    for (size_t i = 0; i < evictions->count; i++) {
        job->report->evicted_count++;
        job->report->evicted_bytes += aq_catalog_file_bytes(evictions->files[i]);
        aq_tier_explain(job, evictions->files[i], "evicted");
    }
    return AQ_OK;
}

enum aq_status aq_tier_evict(struct aq_tier_job *job, struct aq_error *err)
{
    struct evictions evictions = {.job = job};
    struct aq_arena arena = {0};
    const bool *final = NULL;
    job->progress = (struct aq_tier_progress){0};
    aq_tier_report_progress(job, "evict", 0);
    AQ_TRY(aq_store_catalog(job->store, true, &evictions.catalog, err));
    evictions.files = malloc(evictions.catalog->file_count * sizeof *evictions.files + 1);
    enum aq_status status = AQ_OK;
    if (evictions.files == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "no memory to list files");
    if (status == AQ_OK)
        status = aq_tier_find_final(evictions.catalog, job->options, &arena, &final, err);
    if (status == AQ_OK)
        status = choose(&evictions, final, err);
    if (status == AQ_OK)
        status = commit(&evictions, err);
    free(evictions.files);
    aq_arena_deinit(&arena);
    aq_catalog_release(evictions.catalog);
    return status;
}
