/* A store of air readings and a directory that stands for its bucket. */
#ifndef AQ_TESTS_UNIT_TIER_FIXTURE_H
#define AQ_TESTS_UNIT_TIER_FIXTURE_H

#include "compaction/tier/tier.h"
#include "engine/store/remote/remote.h"
#include "tests/unit/compaction/air_fixture.h"

#define DAY AQ_US_PER_DAY
#define FIRST_DAY INT64_C(1700006400000000) /* of air_fixture's rows */
#define LATER (FIRST_DAY + 400 * DAY)

static inline struct aq_object_store *open_bucket(const char *name)
{
    struct aq_object_store *bucket = NULL;
    cr_assert_eq(aq_object_open_dir(scratch_file(name), true, &bucket, NULL), AQ_OK);
    return bucket;
}

/* All there is is old enough to leave. */
static inline struct aq_tier_options everything(struct aq_object_store *bucket)
{
    return (struct aq_tier_options){.bucket = bucket,
                                    .conditional = true,
                                    .protect = true,
                                    .now_us = LATER,
                                    .after_us = 30 * DAY,
                                    .keep_home_us = 90 * DAY};
}

static inline struct aq_tier_report
tier(struct aq_store *store, const struct aq_tier_options *options, enum aq_status expected)
{
    struct aq_tier_report report;
    struct aq_error err = {0};
    enum aq_status status = aq_tier(store, options, &report, &err);
    cr_assert_eq(status, expected, "%s: %s", err.path, err.message);
    return report;
}

static inline const struct aq_catalog *catalog_of(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    return catalog;
}

static inline const struct aq_catalog *mirror_of(struct aq_object_store *bucket)
{
    struct aq_remote_catalog remote;
    struct aq_error err = {0};
    cr_assert_eq(aq_remote_load(bucket, &remote, &err), AQ_OK, "%s: %s", err.path, err.message);
    return remote.catalog;
}

static inline void object_name(const struct aq_catalog_file *file, char out[100])
{
    snprintf(out, 100, "%.*s", (int)file->object.size, (const char *)file->object.data);
}

/* Every closed file is in the bucket, byte for byte. */
static inline void expect_copies(const struct aq_catalog *catalog, struct aq_object_store *bucket)
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        struct aq_bytes bytes = {0};
        char name[100];
        if (file->state == AQ_FILE_OPEN)
            continue;
        cr_assert_gt(file->object.size, 0, "file %llu", (unsigned long long)file->file_id);
        object_name(file, name);
        cr_assert_eq(aq_object_get(bucket, name, UINT64_MAX, &bytes, NULL), AQ_OK);
        cr_assert_eq(bytes.size, file->file_bytes != 0 ? file->file_bytes : file->size_bytes);
        struct aq_hasher *hasher = aq_hasher_create();
        aq_hasher_update(hasher, bytes.data, bytes.size);
        struct aq_hash128 hash = aq_hasher_digest(hasher);
        cr_assert(aq_hash128_equal(&hash, &file->object_hash));
        aq_hasher_destroy(hasher);
        aq_bytes_deinit(&bytes);
    }
}

/* Three archives' worth of frames, one segment that is sealed, a view. */
static inline void make_air(struct air *air, const char *home)
{
    *air = (struct air){0};
    air_open(air, home);
    write_segment(air, 10, 50);
    compact(air, &defaults);
    write_segment(air, 3, 20);
    cr_assert_eq(
        aq_store_declare_view(air->store, "dirty", "SELECT * FROM air WHERE pm25 > 9", NULL),
        AQ_OK);
}

static inline enum aq_status count_object(void *context, const char *name, uint64_t size_bytes)
{
    (void)name;
    (void)size_bytes;
    ++*(unsigned *)context;
    return AQ_OK;
}

static inline unsigned count_objects(struct aq_object_store *bucket, const char *prefix)
{
    unsigned count = 0;
    enum aq_status status = aq_object_list(bucket, prefix, count_object, &count, NULL);
    cr_assert(status == AQ_OK || status == AQ_NOT_FOUND);
    return count;
}

static inline struct aq_gc_report tier_gc(struct aq_store *store, struct aq_object_store *bucket,
                                          int64_t age_us, bool dry_run)
{
    struct aq_gc_report report;
    struct aq_error err = {0};
    cr_assert_eq(aq_tier_gc(store, bucket, age_us, dry_run, NULL, NULL, &report, &err), AQ_OK,
                 "%s: %s", err.path, err.message);
    return report;
}

static inline struct aq_restore_report restore(struct aq_object_store *bucket, const char *home,
                                               enum aq_status expected)
{
    struct aq_restore_report report;
    struct aq_error err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_file(home));
    enum aq_status status =
        aq_tier_restore(bucket, path, aq_slice_of("the bucket\n"), &report, &err);
    cr_assert_eq(status, expected, "%s: %s", err.path, err.message);
    return report;
}

#endif
