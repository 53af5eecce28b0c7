/* A lost home, made again from the bucket.
 *
 * Happy path: read the newest mirror; see whether the bucket has all that it names; register the next incarnation, which stops whoever still has the former
 * home; put the same mirror below it; make the home.
 * Failures: objects that are gone are counted, no more: what is there is worth having. Another restore took the number -> AQ_CONFLICT. Died before the home was made: a repeated call
 * finds the newest mirror, the same one, and registers one incarnation more. */
#include "compaction/tier/tier_job.h"
#include "engine/store/remote/remote.h"

#include <inttypes.h>
#include <stdlib.h>

static enum aq_status take_over(struct aq_object_store *bucket,
                                const struct aq_remote_catalog *remote, uint64_t incarnation,
                                struct aq_error *err)
{
    enum aq_status status =
        aq_remote_register(bucket, incarnation, &remote->catalog->store_id, err);
    if (status == AQ_EXISTS)
        return aq_error_set_at(err, AQ_CONFLICT, aq_object_path(bucket, "").text, -1,
                               "another restore has just made incarnation %" PRIu64
                               "; nothing was changed",
                               incarnation);
    return status;
}

static enum aq_status mirror_again(struct aq_object_store *bucket, const struct aq_catalog *catalog,
                                   uint64_t incarnation, struct aq_error *err)
{
    struct aq_catalog next;
    int64_t *until_us = malloc(catalog->dataset_count * sizeof *until_us + 1);
    if (until_us == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a mirror");
    aq_catalog_borrow(&next, catalog);
    next.incarnation = incarnation;
    for (size_t i = 0; i < catalog->dataset_count; i++)
        until_us[i] = catalog->datasets[i].complete_until_us;
    enum aq_status status = aq_remote_put_mirror(bucket, &next, until_us, err);
    free(until_us);
    return status;
}

static void fill_report(const struct aq_remote_catalog *remote, uint64_t incarnation,
                        struct aq_restore_report *report)
{
    const struct aq_catalog *catalog = remote->catalog;
    report->incarnation = incarnation;
    report->mirrored_us = catalog->time_us;
    report->file_count = catalog->file_count;
    for (size_t i = 0; i < catalog->file_count; i++)
        report->bytes += aq_catalog_file_bytes(&catalog->files[i]);
    for (size_t i = 0; i < catalog->dataset_count; i++)
        report->incomplete_count += catalog->datasets[i].complete_until_us != INT64_MAX;
}

enum aq_status aq_tier_restore(struct aq_object_store *bucket, const char *home,
                               struct aq_slice note, struct aq_restore_report *report,
                               struct aq_error *err)
{
    struct aq_remote_catalog remote;
    *report = (struct aq_restore_report){0};
    AQ_TRY(aq_remote_check_home(home, err));
    enum aq_status status = aq_remote_load(bucket, &remote, err);
    uint64_t incarnation = remote.newest + 1;
    if (status == AQ_OK)
        status = aq_tier_find_missing(bucket, remote.catalog, report, err);
    if (status == AQ_OK)
        status = take_over(bucket, &remote, incarnation, err);
    if (status == AQ_OK)
        status = mirror_again(bucket, remote.catalog, incarnation, err);
    if (status == AQ_OK)
        status = aq_remote_make_home(home, remote.catalog, incarnation, note, err);
    if (status == AQ_OK)
        fill_report(&remote, incarnation, report);
    aq_catalog_release(remote.catalog);
    return status;
}
