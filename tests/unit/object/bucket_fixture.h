/* A bucket in a directory that counts what it is asked for, and stores whose files lie in it. */
#ifndef AQ_TESTS_UNIT_BUCKET_FIXTURE_H
#define AQ_TESTS_UNIT_BUCKET_FIXTURE_H

#include "engine/object/object_backend.h"
#include "engine/store/remote/remote.h"
#include "format/base/checksum.h"
#include "tests/unit/compaction/air_fixture.h"

#include <dirent.h>
#include <sys/stat.h>

/* A directory behind a counter of requests; also tells what was asked for last. */
struct counting_bucket {
    struct aq_object_store base;
    struct aq_object_store *below;
    unsigned range_count; /* ranges asked for: requests, at a bucket */
    unsigned get_count;
    unsigned other_count; /* heads and lists */
    uint64_t range_bytes;
    uint64_t largest;
};

static void counting_close(struct aq_object_store *store)
{
    struct counting_bucket *bucket = (struct counting_bucket *)store;
    aq_object_close(bucket->below);
    free(store->root);
    free(bucket);
}

static enum aq_status counting_put(struct aq_object_store *store, const char *name,
                                   struct aq_slice data, bool if_absent, struct aq_error *err)
{
    struct aq_object_store *below = ((struct counting_bucket *)store)->below;
    return if_absent ? aq_object_put_if_absent(below, name, data, err)
                     : aq_object_put(below, name, data, err);
}

static enum aq_status counting_get(struct aq_object_store *store, const char *name,
                                   uint64_t size_max, struct aq_bytes *out, struct aq_error *err)
{
    struct counting_bucket *bucket = (struct counting_bucket *)store;
    bucket->get_count++;
    return aq_object_get(bucket->below, name, size_max, out, err);
}

static enum aq_status counting_range(struct aq_object_store *store, const char *name,
                                     uint64_t offset, void *buffer, size_t size,
                                     struct aq_error *err)
{
    struct counting_bucket *bucket = (struct counting_bucket *)store;
    __atomic_add_fetch(&bucket->range_count, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&bucket->range_bytes, size, __ATOMIC_RELAXED);
    bucket->largest = size > bucket->largest ? size : bucket->largest;
    return aq_object_get_range(bucket->below, name, offset, buffer, size, err);
}

static enum aq_status counting_head(struct aq_object_store *store, const char *name,
                                    uint64_t *size_bytes, struct aq_error *err)
{
    struct counting_bucket *bucket = (struct counting_bucket *)store;
    bucket->other_count++;
    return aq_object_head(bucket->below, name, size_bytes, err);
}

static enum aq_status counting_delete(struct aq_object_store *store, const char *name,
                                      struct aq_error *err)
{
    return aq_object_delete(((struct counting_bucket *)store)->below, name, err);
}

static enum aq_status counting_list(struct aq_object_store *store, const char *prefix,
                                    aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    struct counting_bucket *bucket = (struct counting_bucket *)store;
    bucket->other_count++;
    return aq_object_list(bucket->below, prefix, visit, context, err);
}

static const struct aq_object_backend counting_backend = {
    .close = counting_close,
    .put = counting_put,
    .get = counting_get,
    .get_range = counting_range,
    .head = counting_head,
    .delete = counting_delete,
    .list = counting_list,
};

static inline struct counting_bucket *bucket_open(const char *name)
{
    struct counting_bucket *bucket = calloc(1, sizeof *bucket);
    cr_assert_not_null(bucket);
    cr_assert_eq(aq_object_open_dir(scratch_file(name), true, &bucket->below, NULL), AQ_OK);
    bucket->base.backend = &counting_backend;
    bucket->base.root = strdup(scratch_file(name));
    return bucket;
}

static inline void bucket_reset(struct counting_bucket *bucket)
{
    bucket->range_count = bucket->get_count = bucket->other_count = 0;
    bucket->range_bytes = bucket->largest = 0;
}

/* Put a file of the store under a name of its content. */
static inline struct aq_hash128 bucket_upload(struct counting_bucket *bucket, const char *path,
                                              char name[64])
{
    size_t size;
    unsigned char *data = scratch_read(path, &size);
    struct aq_hasher *hasher = aq_hasher_create();
    aq_hasher_update(hasher, data, size);
    struct aq_hash128 hash = aq_hasher_digest(hasher);
    aq_hasher_destroy(hasher);
    int at = snprintf(name, 64, "data/");
    for (int i = 0; i < 16; i++)
        at += snprintf(name + at, 64 - (size_t)at, "%02x", hash.bytes[i]);
    snprintf(name + at, 64 - (size_t)at, ".aqa");
    struct aq_error err = {0};
    cr_assert_eq(aq_object_put(bucket->below, name, aq_slice_make(data, size), &err), AQ_OK, "%s",
                 err.message);
    free(data);
    return hash;
}

struct placing {
    struct counting_bucket *bucket;
    const char *home;
    bool evict;
};

static enum aq_status place_all(void *context, const struct aq_catalog *catalog,
                                struct aq_edit *edit, struct aq_error *err)
{
    const struct placing *placing = context;
    (void)err;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        char file_name[64];
        char path[600];
        char name[64];
        if (file->state == AQ_FILE_OPEN || file->object.size > 0)
            continue;
        aq_catalog_file_name(file->kind, file->file_id, file_name, sizeof file_name);
        snprintf(path, sizeof path, "%s/%s", scratch_file(placing->home), file_name);
        struct aq_hash128 hash = bucket_upload(placing->bucket, path, name);
        struct aq_record place = {
            .kind = AQ_RECORD_PLACE,
            .place = {.file_id = file->file_id, .hash = hash, .object = aq_slice_of(name)}};
        struct aq_record evict = {.kind = AQ_RECORD_EVICT, .evict = {.file_id = file->file_id}};
        AQ_TRY(aq_edit_add(edit, &place));
        if (placing->evict)
            AQ_TRY(aq_edit_add(edit, &evict));
        if (placing->evict)
            cr_assert_eq(unlink(path), 0);
    }
    return AQ_OK;
}

/* Copy every closed file of `home` into the bucket; `evict`: and away from home. */
static inline void bucket_place(struct aq_store *store, struct counting_bucket *bucket,
                                const char *home, bool evict)
{
    struct placing placing = {.bucket = bucket, .home = home, .evict = evict};
    struct aq_error err = {0};
    cr_assert_eq(aq_store_commit(store, place_all, &placing, &err), AQ_OK, "%s", err.message);
}

static inline void bucket_mirror(struct aq_store *store, struct counting_bucket *bucket,
                                 int64_t complete_until_us)
{
    const struct aq_catalog *catalog = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    int64_t until_us[16];
    for (size_t i = 0; i < catalog->dataset_count; i++)
        until_us[i] = complete_until_us;
    enum aq_status status =
        aq_remote_register(bucket->below, catalog->incarnation, &catalog->store_id, &err);
    cr_assert(status == AQ_OK || status == AQ_EXISTS, "%s", err.message);
    cr_assert_eq(aq_remote_put_mirror(bucket->below, catalog, until_us, &err), AQ_OK, "%s",
                 err.message);
    aq_catalog_release(catalog);
}

/* Damage or remove the bucket's data objects. */
static inline void bucket_each_object(const char *bucket, void (*visit)(const char *path))
{
    char folder[600];
    snprintf(folder, sizeof folder, "%s/data", scratch_file(bucket));
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[900];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            visit(path);
    }
    closedir(directory);
}

#endif
