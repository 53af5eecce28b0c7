/* Mirrors of a catalog in the bucket, and a home made of one.
 *
 * Happy path: a copy of the catalog without what only a home has (open segments, claims and masks on them) is put as
 * a checkpoint, then the hint that names it. A new home is made the other way round: its folders, the note where
 * the bucket is, and last the checkpoint that makes it a store.
 * Failures: a mirror of the same number is replaced: between the two, more rows may have become durable. A home
 * half made has no checkpoint, so that it is no store yet, and making it again goes on from whatever
 * is there. */
#include "engine/store/remote/remote.h"

#include "engine/store/catalog/catalog_log.h"
#include "engine/store/store_internal.h"
#include "engine/base/clock.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTE_NAME "bucket"

/* A variant: a catalog that differs from another in some places and borrows the rest of it. */

static void variant_deinit(struct aq_catalog *variant)
{
    free(variant->datasets);
    free(variant->files);
    free(variant->feeds);
    free(variant->masks);
}

static void *copy_array(const void *from, size_t count, size_t item_size)
{
    void *copy = calloc(count + 1, item_size);
    if (copy != NULL && count > 0)
        memcpy(copy, from, count * item_size);
    return copy;
}

static void drop_open_segments(struct aq_catalog *catalog, const struct aq_catalog *from)
{
    size_t kept = 0;
    for (size_t i = 0; i < from->file_count; i++) {
        if (from->files[i].state == AQ_FILE_CLOSED)
            catalog->files[kept++] = from->files[i];
    }
    catalog->file_count = kept;
    kept = 0;
    for (size_t i = 0; i < from->mask_count; i++) {
        if (aq_catalog_file(catalog, from->masks[i].file_id) != NULL)
            catalog->masks[kept++] = from->masks[i];
    }
    catalog->mask_count = kept;
    for (size_t i = 0; i < catalog->feed_count; i++) {
        struct aq_catalog_feed *feed = &catalog->feeds[i];
        const struct aq_catalog_file *file = aq_catalog_file(from, feed->claim_file_id);
        if (file != NULL && file->state == AQ_FILE_OPEN)
            feed->claim_file_id = 0;
    }
}

static enum aq_status variant_make(struct aq_catalog *variant, const struct aq_catalog *from,
                                   struct aq_error *err)
{
    aq_catalog_borrow(variant, from);
    variant->datasets = copy_array(from->datasets, from->dataset_count, sizeof *from->datasets);
    variant->files = copy_array(from->files, from->file_count, sizeof *from->files);
    variant->feeds = copy_array(from->feeds, from->feed_count, sizeof *from->feeds);
    variant->masks = copy_array(from->masks, from->mask_count, sizeof *from->masks);
    if (variant->datasets != NULL && variant->files != NULL && variant->feeds != NULL &&
        variant->masks != NULL) {
        drop_open_segments(variant, from);
        return AQ_OK;
    }
    variant_deinit(variant);
    return aq_error_set(err, AQ_NO_MEMORY, "no memory for a copy of the catalog");
}

enum aq_status aq_remote_put_mirror(struct aq_object_store *bucket,
                                    const struct aq_catalog *catalog,
                                    const int64_t *complete_until_us, struct aq_error *err)
{
    struct aq_catalog variant;
    struct aq_object_store *mirror = NULL;
    AQ_TRY(variant_make(&variant, catalog, err));
    variant.time_us = aq_clock_wall_us();
    for (size_t i = 0; i < catalog->dataset_count; i++)
        variant.datasets[i].complete_until_us = complete_until_us[i];
    for (size_t i = 0; i < variant.file_count; i++)
        assert(variant.files[i].object.size > 0);
    enum aq_status status = aq_remote_mirror(bucket, catalog->incarnation, &mirror, err);
    if (status == AQ_OK)
        status = aq_catalog_put_checkpoint(mirror, &variant, true, err);
    if (status == AQ_OK)
        status = aq_catalog_put_latest(mirror, catalog->number, catalog->number, err);
    aq_object_close(mirror);
    variant_deinit(&variant);
    return status;
}

enum aq_status aq_remote_load_mirror(struct aq_object_store *bucket, uint64_t incarnation,
                                     uint64_t number, const struct aq_catalog **catalog,
                                     struct aq_error *err)
{
    struct aq_object_store *mirror = NULL;
    AQ_TRY(aq_remote_mirror(bucket, incarnation, &mirror, err));
    enum aq_status status = aq_catalog_load_checkpoint(mirror, number, catalog, err);
    aq_object_close(mirror);
    return status;
}

/* An empty catalog, number 0, where the incarnation has none. */
static enum aq_status load_newest(struct aq_object_store *bucket, uint64_t incarnation,
                                  const struct aq_catalog **catalog, struct aq_error *err)
{
    struct aq_object_store *mirror = NULL;
    uint64_t checkpoint;
    AQ_TRY(aq_remote_mirror(bucket, incarnation, &mirror, err));
    enum aq_status status = aq_catalog_load(mirror, catalog, &checkpoint, err);
    aq_object_close(mirror);
    return status;
}

/* What was mirrored must be the store that the bucket says it holds. */
static enum aq_status check_identity(struct aq_object_store *bucket,
                                     const struct aq_catalog *catalog, uint64_t incarnation,
                                     const struct aq_store_id *store_id, struct aq_error *err)
{
    if (catalog->incarnation == incarnation &&
        memcmp(&catalog->store_id, store_id, sizeof *store_id) == 0)
        return AQ_OK;
    char name[AQ_REMOTE_MIRROR_NAME_BYTES];
    aq_remote_mirror_name(incarnation, name, sizeof name);
    return aq_error_set_at(err, AQ_CORRUPT, aq_object_path(bucket, name).text, 0,
                           "is the catalog of another store, or of another incarnation of it");
}

enum aq_status aq_remote_load(struct aq_object_store *bucket, struct aq_remote_catalog *remote,
                              struct aq_error *err)
{
    struct aq_store_id store_id;
    *remote = (struct aq_remote_catalog){0};
    AQ_TRY(aq_remote_incarnation(bucket, &remote->newest, &store_id, err));
    for (uint64_t incarnation = remote->newest; incarnation > 0; incarnation--) {
        const struct aq_catalog *catalog = NULL;
        AQ_TRY(load_newest(bucket, incarnation, &catalog, err));
        if (catalog->number > 0) {
            remote->catalog = catalog;
            return check_identity(bucket, catalog, incarnation, &store_id, err);
        }
        aq_catalog_release(catalog);
    }
    struct aq_object_path path = aq_object_path(bucket, "");
    if (remote->newest == 0)
        return aq_error_set_at(err, AQ_NOT_FOUND, path.text, -1,
                               "holds no store; check the bucket's address, or run `aqstore tier` "
                               "where the store's home is");
    return aq_error_set_at(err, AQ_NOT_FOUND, path.text, -1,
                           "holds no copy of the catalog; `aqstore tier` makes one where the "
                           "store's home is, unless `protect:` is 0");
}

/* Making a home. */

static int count_entries(const char *folder, int (*wanted)(const struct dirent *))
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, wanted, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return count;
}

static int foreign(const struct dirent *entry)
{
    static const char *const ours[] = {".",        "..",    "catalog", "segments",
                                       "archives", "locks", NOTE_NAME};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(entry->d_name, ours[i]) == 0)
            return 0;
    }
    return 1;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

enum aq_status aq_remote_check_home(const char *home, struct aq_error *err)
{
    static const char *const folders[] = {"catalog", "segments", "archives"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[AQ_STORE_PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", home, folders[i]);
        if (count_entries(path, visible) > 0)
            return aq_error_set_at(err, AQ_EXISTS, home, -1,
                                   "holds a store, or files of one; name an empty or a new folder");
    }
    if (count_entries(home, foreign) > 0)
        return aq_error_set_at(err, AQ_INVALID, home, -1,
                               "holds other files; name an empty or a new folder");
    return AQ_OK;
}

static enum aq_status describe_home(struct aq_catalog *catalog, uint64_t incarnation,
                                    struct aq_error *err)
{
    catalog->incarnation = incarnation;
    for (size_t i = 0; i < catalog->dataset_count; i++)
        catalog->datasets[i].complete_until_us = INT64_MAX;
    for (size_t i = 0; i < catalog->file_count; i++) {
        if (catalog->files[i].object.size == 0)
            return aq_error_set(err, AQ_CORRUPT,
                                "the mirrored catalog names file %llu, which is not in the bucket",
                                (unsigned long long)catalog->files[i].file_id);
        catalog->files[i].evicted = true;
    }
    return AQ_OK;
}

static enum aq_status fill_home(const char *home, const struct aq_catalog *catalog,
                                struct aq_slice note, struct aq_error *err)
{
    struct aq_object_store *objects = NULL;
    AQ_TRY(aq_object_open_dir(home, false, &objects, err));
    enum aq_status status = aq_object_put(objects, NOTE_NAME, note, err);
    if (status == AQ_OK)
        status = aq_catalog_put_checkpoint(objects, catalog, false, err);
    if (status == AQ_OK)
        status = aq_catalog_put_latest(objects, catalog->number, catalog->number, err);
    aq_object_close(objects);
    return status;
}

static enum aq_status make_folders(const char *home, struct aq_error *err)
{
    AQ_TRY(aq_store_make_home(home, err));
    int home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (home_fd < 0)
        return aq_error_set_errno(err, errno, home, "cannot open the folder");
    enum aq_status status = aq_store_make_folders(home, home_fd, err);
    close(home_fd);
    return status;
}

enum aq_status aq_remote_make_home(const char *home, const struct aq_catalog *catalog,
                                   uint64_t incarnation, struct aq_slice note, struct aq_error *err)
{
    struct aq_catalog variant;
    AQ_TRY(aq_remote_check_home(home, err));
    AQ_TRY(variant_make(&variant, catalog, err));
    enum aq_status status = describe_home(&variant, incarnation, err);
    if (status == AQ_OK)
        status = make_folders(home, err);
    if (status == AQ_OK)
        status = fill_home(home, &variant, note, err);
    variant_deinit(&variant);
    return status;
}
