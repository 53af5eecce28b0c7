/* The tier on a directory that stands for a bucket: what is copied, mirrored, evicted, refused, restored, and that
 * a process killed between any two requests loses nothing. */
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include "compaction/tier/tier.h"
#include "engine/object/object_backend.h"
#include "engine/store/feeds.h"
#include "engine/store/remote.h"
#include "tests/unit/air_fixture.h"

#define DAY AQ_US_PER_DAY
#define FIRST_DAY INT64_C(1700006400000000) /* of air_fixture's rows */
#define LATER (FIRST_DAY + 400 * DAY)

static struct aq_object_store *open_bucket(const char *name)
{
    struct aq_object_store *bucket = NULL;
    cr_assert_eq(aq_object_open_dir(scratch_file(name), true, &bucket, NULL), AQ_OK);
    return bucket;
}

/* All there is is old enough to leave. */
static struct aq_tier_options everything(struct aq_object_store *bucket)
{
    return (struct aq_tier_options){.bucket = bucket,
                                    .conditional = true,
                                    .protect = true,
                                    .now_us = LATER,
                                    .after_us = 30 * DAY,
                                    .keep_home_us = 90 * DAY};
}

static struct aq_tier_report tier(struct aq_store *store, const struct aq_tier_options *options,
                                  enum aq_status expected)
{
    struct aq_tier_report report;
    struct aq_error err = {0};
    enum aq_status status = aq_tier(store, options, &report, &err);
    cr_assert_eq(status, expected, "%s: %s", err.path, err.message);
    return report;
}

static const struct aq_catalog *catalog_of(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    return catalog;
}

static const struct aq_catalog *mirror_of(struct aq_object_store *bucket)
{
    struct aq_remote_catalog remote;
    struct aq_error err = {0};
    cr_assert_eq(aq_remote_load(bucket, &remote, &err), AQ_OK, "%s: %s", err.path, err.message);
    return remote.catalog;
}

static const struct aq_catalog_dataset *dataset_of(const struct aq_catalog *catalog,
                                                   const struct aq_schema *schema)
{
    size_t at = 0;
    while (catalog->datasets[at].versions[0].dataset_id != schema->dataset_id)
        cr_assert_lt(++at, catalog->dataset_count);
    return &catalog->datasets[at];
}

static void object_name(const struct aq_catalog_file *file, char out[100])
{
    snprintf(out, 100, "%.*s", (int)file->object.size, (const char *)file->object.data);
}

/* Every closed file is in the bucket, byte for byte. */
static void expect_copies(const struct aq_catalog *catalog, struct aq_object_store *bucket)
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
static void make_air(struct air *air, const char *home)
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

static enum aq_status count_object(void *context, const char *name, uint64_t size_bytes)
{
    (void)name;
    (void)size_bytes;
    ++*(unsigned *)context;
    return AQ_OK;
}

static unsigned count_objects(struct aq_object_store *bucket, const char *prefix)
{
    unsigned count = 0;
    enum aq_status status = aq_object_list(bucket, prefix, count_object, &count, NULL);
    cr_assert(status == AQ_OK || status == AQ_NOT_FOUND);
    return count;
}

Test(tier, copies_mirrors_and_evicts)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    struct aq_tier_report report = tier(air.store, &options, AQ_OK);
    const struct aq_catalog *catalog = catalog_of(air.store);
    cr_assert_eq(report.uploaded_count, catalog->file_count);
    cr_assert_eq(report.evicted_count, 2); /* the archives of air and its rejects */
    cr_assert_eq(report.mirrored_number, catalog->number);
    cr_assert_null(report.unmirrored);
    expect_copies(catalog, bucket);
    for (size_t i = 0; i < catalog->file_count; i++)
        cr_assert_eq(catalog->files[i].evicted, catalog->files[i].kind == AQ_FILE_ARCHIVE);
    const struct aq_catalog *mirror = mirror_of(bucket);
    cr_assert_eq(mirror->number, catalog->number);
    cr_assert_eq(mirror->file_count, catalog->file_count);
    cr_assert_eq(dataset_of(mirror, air.schema)->complete_until_us, INT64_MAX);
    /* Nothing to do is done again, and nothing uploaded. */
    uint64_t before = head(air.store);
    report = tier(air.store, &options, AQ_OK);
    cr_assert_eq(report.uploaded_count, 0);
    cr_assert_eq(report.evicted_count, 0);
    cr_assert_eq(head(air.store), before);
    cr_assert_eq(count_objects(bucket, "data/"), catalog->file_count);
    aq_catalog_release(mirror);
    aq_catalog_release(catalog);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

Test(tier, leaves_home_files_to_gc)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    tier(air.store, &options, AQ_OK);
    cr_assert_eq(count_files("home/archives", ".aqa"), 2);
    cr_assert_eq(count_files("home/segments", ".seg"), 2);
    struct aq_gc_report report;
    cr_assert_eq(aq_gc(air.store, false, NULL, NULL, &report, NULL), AQ_OK);
    cr_assert_eq(count_files("home/archives", ".aqa"), 0);
    cr_assert_eq(count_files("home/segments", ".seg"), 1); /* protected, not evicted */
    aq_object_close(bucket);
    aq_store_close(air.store);
}

static void remember(void *context, const char *file, const char *what, uint64_t size_bytes)
{
    FILE *out = context;
    cr_assert_gt(size_bytes, 0);
    fprintf(out, "%.8s %s\n", file, what);
}

Test(tier, says_what_it_would_do_and_does_not)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    char *text = NULL;
    size_t size = 0;
    options.dry_run = true;
    options.protect = false;
    options.context = open_memstream(&text, &size);
    options.explain = remember;
    uint64_t before = head(air.store);
    struct aq_tier_report report = tier(air.store, &options, AQ_OK);
    fclose(options.context);
    cr_assert_eq(report.uploaded_count, 2);
    cr_assert_eq(report.evicted_count, 2);
    cr_assert_str_eq(text, "archives upload, then leaves the home: older than tier.keep_home\n"
                           "archives upload, then leaves the home: older than tier.keep_home\n"
                           "segments stays: younger than tier.after\n");
    cr_assert_eq(head(air.store), before);
    cr_assert_eq(count_objects(bucket, "data/"), 0);
    cr_assert_eq(count_objects(bucket, "incarnations/"), 0);
    free(text);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

static struct aq_gc_report tier_gc(struct aq_store *store, struct aq_object_store *bucket,
                                   int64_t age_us, bool dry_run)
{
    struct aq_gc_report report;
    struct aq_error err = {0};
    cr_assert_eq(aq_tier_gc(store, bucket, age_us, dry_run, NULL, NULL, &report, &err), AQ_OK,
                 "%s: %s", err.path, err.message);
    return report;
}

Test(tier, keeps_what_is_young)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    options.protect = false;
    /* The rejects of the fixture arrived in 1970. */
    options.now_us = FIRST_DAY + 20 * DAY;
    struct aq_tier_report report = tier(air.store, &options, AQ_OK);
    cr_assert_eq(report.uploaded_count, 1);
    cr_assert_eq(report.evicted_count, 1);
    options.now_us = FIRST_DAY + 50 * DAY;
    report = tier(air.store, &options, AQ_OK);
    cr_assert_eq(report.uploaded_count, 1);
    cr_assert_eq(report.evicted_count, 0);
    cr_assert_eq(report.mirrored_number, 0);
    cr_assert_eq(tier_gc(air.store, bucket, 0, false).file_count, 0); /* named at home alone */
    options.now_us = FIRST_DAY + 100 * DAY;
    report = tier(air.store, &options, AQ_OK);
    cr_assert_eq(report.uploaded_count, 0);
    cr_assert_eq(report.evicted_count, 1);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

Test(tier, says_how_far_the_mirror_goes)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options writer_options = {.segment_size_bytes = 1 << 30, .depth = 4};
    struct aq_feed_identity identity = {.dataset_id = air.schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of("live"),
                                        .partition = -1};
    uint64_t feed_id;
    uint64_t ordinal = 0;
    cr_assert_eq(aq_shard_writer_create(air.store, &writer_options, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_claim(writer, &identity, 0, &feed_id, NULL), AQ_OK);
    air.frames = 10; /* of the third day */
    append_frame(&air, writer, feed_id, &ordinal, 10);
    cr_assert_eq(aq_shard_writer_flush(writer, NULL), AQ_OK);
    tier(air.store, &options, AQ_OK);
    const struct aq_catalog *mirror = mirror_of(bucket);
    int64_t until_us = dataset_of(mirror, air.schema)->complete_until_us;
    cr_assert_geq(until_us, FIRST_DAY + 2 * DAY);
    cr_assert_lt(until_us, FIRST_DAY + 3 * DAY);
    /* The open segment and the claim on it are not in the mirror. */
    for (size_t i = 0; i < mirror->file_count; i++)
        cr_assert_eq(mirror->files[i].state, AQ_FILE_CLOSED);
    cr_assert_eq(aq_catalog_feed(mirror, feed_id)->claim_file_id, 0);
    cr_assert_eq(aq_catalog_feed(mirror, feed_id)->position.next_ordinal, 0);
    aq_catalog_release(mirror);
    cr_assert_eq(aq_shard_writer_seal(writer, NULL), AQ_OK);
    aq_shard_writer_destroy(writer);
    tier(air.store, &options, AQ_OK);
    mirror = mirror_of(bucket);
    cr_assert_eq(dataset_of(mirror, air.schema)->complete_until_us, INT64_MAX);
    cr_assert_eq(aq_catalog_feed(mirror, feed_id)->position.next_ordinal, 11);
    expect_copies(mirror, bucket);
    aq_catalog_release(mirror);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

/* A writer that feeds partition 0 of a topic, whoever did before. */
static struct aq_shard_writer *take_topic(struct aq_store *store, const struct air *air,
                                          struct aq_feed_state *feed)
{
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 30, .depth = 4};
    *feed = (struct aq_feed_state){.identity = {.dataset_id = air->schema->dataset_id,
                                                .source = aq_slice_of("live"),
                                                .name = aq_slice_of("topic"),
                                                .cluster = aq_slice_of("cluster")}};
    cr_assert_eq(aq_store_find_feed(store, feed, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_create(store, &options, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_take_over(writer, feed, 1, NULL), AQ_OK);
    return writer;
}

/* The feed's position is the new owner's to go on from, but the rows before it are in no closed file. */
Test(tier, mirrors_nothing_while_a_former_owner_has_a_segment_open)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    struct aq_store *other = open_store("home", false);
    struct aq_feed_state feed;
    uint64_t ordinal = 0;
    struct aq_shard_writer *former = take_topic(air.store, &air, &feed);
    append_frame(&air, former, feed.identity.feed_id, &ordinal, 10);
    cr_assert_eq(aq_shard_writer_flush(former, NULL), AQ_OK);
    struct aq_shard_writer *owner = take_topic(other, &air, &feed);
    cr_assert_eq(feed.position.next_ordinal, 11);
    struct aq_tier_report report = tier(air.store, &options, AQ_OK);
    cr_assert_eq(report.uploaded_count, 3);
    cr_assert_not_null(report.unmirrored);
    cr_assert_eq(report.mirrored_number, 0);
    cr_assert_eq(report.evicted_count, 0); /* for the bucket alone would not bring it back */
    aq_shard_writer_destroy(former);
    struct aq_recovery_report recovered;
    cr_assert_eq(aq_store_recover(air.store, &recovered, NULL), AQ_OK);
    report = tier(air.store, &options, AQ_OK);
    cr_assert_null(report.unmirrored);
    cr_assert_eq(report.evicted_count, 2);
    const struct aq_catalog *mirror = mirror_of(bucket);
    cr_assert_eq(aq_catalog_feed(mirror, feed.identity.feed_id)->position.next_ordinal, 11);
    expect_copies(mirror, bucket);
    aq_catalog_release(mirror);
    aq_shard_writer_destroy(owner);
    aq_store_close(other);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

static struct aq_restore_report restore(struct aq_object_store *bucket, const char *home,
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

Test(tier, restores_a_lost_home_and_stops_the_old_one)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    restore(bucket, "new", AQ_NOT_FOUND);
    tier(air.store, &options, AQ_OK);
    restore(bucket, "home", AQ_EXISTS);
    struct aq_restore_report report = restore(bucket, "new", AQ_OK);
    cr_assert_eq(report.incarnation, 2);
    cr_assert_eq(report.file_count, 3);
    cr_assert_eq(report.incomplete_count, 0);
    cr_assert_eq(report.missing_count, 0);
    restore(bucket, "new", AQ_EXISTS);
    /* The old one. */
    uint64_t before = head(air.store);
    struct aq_gc_report gc;
    tier(air.store, &options, AQ_CONFLICT);
    cr_assert_eq(aq_tier_gc(air.store, bucket, 0, false, NULL, NULL, &gc, NULL), AQ_CONFLICT);
    cr_assert_eq(head(air.store), before);
    aq_store_close(air.store);
    /* The new one: all rows, the view, and it goes on. */
    air_bucket = bucket;
    air_open(&air, "new");
    const struct aq_catalog *catalog = catalog_of(air.store);
    cr_assert_eq(catalog->incarnation, 2);
    cr_assert_eq(catalog->view_count, 1);
    for (size_t i = 0; i < catalog->file_count; i++)
        cr_assert(catalog->files[i].evicted);
    aq_catalog_release(catalog);
    expect_all_rows(&air, true);
    write_segment(&air, 2, 10);
    cr_assert_eq(tier(air.store, &options, AQ_OK).uploaded_count, 1);
    expect_all_rows(&air, true);
    size_t size;
    unsigned char *note = scratch_read(scratch_file("new/bucket"), &size);
    cr_assert(aq_slice_equal(aq_slice_make(note, size), aq_slice_of("the bucket\n")));
    free(note);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

Test(tier, refuses_buckets_that_are_not_its_own)
{
    scratch_make();
    struct air air;
    struct air other;
    make_air(&air, "home");
    make_air(&other, "other");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_object_store *empty = open_bucket("empty");
    struct aq_tier_options options = everything(bucket);
    tier(air.store, &options, AQ_OK);
    tier(other.store, &options, AQ_CONFLICT);
    options.bucket = empty;
    uint64_t before = head(air.store);
    tier(air.store, &options, AQ_INVALID); /* its files are in another */
    options.conditional = false;
    tier(other.store, &options, AQ_UNSUPPORTED);
    cr_assert_eq(head(air.store), before);
    cr_assert_eq(count_objects(empty, "incarnations/"), 0);
    cr_assert_eq(count_objects(empty, "data/"), 0);
    /* Without protect it may hold data. */
    options.protect = false;
    cr_assert_eq(tier(other.store, &options, AQ_OK).evicted_count, 2);
    cr_assert_eq(count_objects(empty, "incarnations/"), 0);
    cr_assert_eq(count_objects(empty, "data/"), 2);
    aq_object_close(empty);
    aq_object_close(bucket);
    aq_store_close(other.store);
    aq_store_close(air.store);
}

Test(tier, uploads_again_what_the_bucket_has_lost)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    options.protect_only = true;
    tier(air.store, &options, AQ_OK);
    const struct aq_catalog *catalog = catalog_of(air.store);
    char name[100];
    object_name(&catalog->files[0], name);
    cr_assert_eq(catalog->files[0].kind, AQ_FILE_ARCHIVE);
    cr_assert_eq(aq_object_delete(bucket, name, NULL), AQ_OK);
    aq_catalog_release(catalog);
    options.protect_only = false;
    struct aq_tier_report report = tier(air.store, &options, AQ_OK);
    cr_assert_eq(report.uploaded_count, 1);
    cr_assert_eq(report.evicted_count, 1);
    cr_assert_eq(tier(air.store, &options, AQ_OK).evicted_count, 1);
    const struct aq_catalog *mirror = mirror_of(bucket);
    expect_copies(mirror, bucket);
    aq_catalog_release(mirror);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

Test(tier, collects_orphans_and_old_mirrors)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    static const char orphan[] = "data/00112233445566778899aabbccddeeff-0000000101234567.aqa";
    static const char foreign[] = "data/thesis.doc";
    cr_assert_eq(aq_object_put(bucket, orphan, aq_slice_of("123"), NULL), AQ_OK);
    cr_assert_eq(aq_object_put(bucket, foreign, aq_slice_of("123"), NULL), AQ_OK);
    for (unsigned i = 0; i < 4; i++) {
        tier(air.store, &options, AQ_OK);
        write_segment(&air, 1, 10);
    }
    cr_assert_eq(count_objects(bucket, "mirror/00000000000000000001/catalog/"), 6);
    bool due = true;
    cr_assert_eq(aq_tier_gc_is_due(air.store, bucket, &due, NULL), AQ_OK);
    cr_assert(!due);
    /* Young mirrors stay, old orphans go. */
    struct aq_gc_report report = tier_gc(air.store, bucket, DAY, true);
    cr_assert_eq(report.file_count, 1);
    cr_assert_eq(report.bytes, 3);
    cr_assert(aq_object_exists(bucket, orphan));
    cr_assert_eq(tier_gc(air.store, bucket, DAY, false).file_count, 1);
    cr_assert(!aq_object_exists(bucket, orphan));
    cr_assert(aq_object_exists(bucket, foreign));
    /* Segments are compacted away: what the two mirrors name stays. */
    compact(&air, &defaults);
    unsigned objects = count_objects(bucket, "data/");
    cr_assert_eq(tier_gc(air.store, bucket, 0, false).file_count, 3); /* mirrors */
    cr_assert_eq(count_objects(bucket, "data/"), objects);
    tier(air.store, &options, AQ_OK);
    tier(air.store, &options, AQ_OK);
    tier_gc(air.store, bucket, 0, false);
    const struct aq_catalog *mirror = mirror_of(bucket);
    expect_copies(mirror, bucket);
    aq_catalog_release(mirror);
    cr_assert_lt(count_objects(bucket, "data/"), objects);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

Test(tier, counts_what_a_restore_will_miss)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    tier(air.store, &options, AQ_OK);
    const struct aq_catalog *catalog = catalog_of(air.store);
    char gone[100];
    char cut[100];
    object_name(&catalog->files[0], gone);
    object_name(&catalog->files[2], cut);
    cr_assert_eq(aq_object_delete(bucket, gone, NULL), AQ_OK);
    cr_assert_eq(aq_object_put(bucket, cut, aq_slice_of("AQSEGMNT"), NULL), AQ_OK);
    struct aq_restore_report report = restore(bucket, "new", AQ_OK);
    cr_assert_eq(report.missing_count, 2);
    cr_assert(strcmp(report.first_missing, gone) == 0 || strcmp(report.first_missing, cut) == 0);
    aq_catalog_release(catalog);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

Test(tier, says_when_a_walk_of_the_bucket_is_due)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    char name[100];
    bool due = true;
    for (unsigned i = 1; i <= 49; i++) {
        cr_assert_eq(aq_tier_gc_is_due(air.store, bucket, &due, NULL), AQ_OK);
        cr_assert(!due, "%u", i);
        snprintf(name, sizeof name, "mirror/00000000000000000001/catalog/checkpoint-%020u", i);
        cr_assert_eq(aq_object_put(bucket, name, aq_slice_of("x"), NULL), AQ_OK);
    }
    cr_assert_eq(aq_tier_gc_is_due(air.store, bucket, &due, NULL), AQ_OK);
    cr_assert(due);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

/* A bucket of which the process is killed at one request, before or after it is done. */
struct deadly {
    struct aq_object_store base;
    struct aq_object_store *below;
    unsigned left;
    bool after;
    bool spoils; /* what is put, instead of killing */
};

static struct aq_object_store *enter(const struct aq_object_store *store)
{
    struct deadly *deadly = (struct deadly *)store;
    if (deadly->left-- == 0 && !deadly->after)
        raise(SIGKILL);
    return deadly->below;
}

static enum aq_status leave(const struct aq_object_store *store, enum aq_status status)
{
    const struct deadly *deadly = (const struct deadly *)store;
    if (deadly->left == UINT_MAX && deadly->after)
        raise(SIGKILL);
    return status;
}

static enum aq_status deadly_put(struct aq_object_store *store, const char *name,
                                 struct aq_slice data, bool if_absent, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->put(below, name, data, if_absent, err));
}

static enum aq_status deadly_put_file(struct aq_object_store *store, const char *name,
                                      const struct aq_object_file *file, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    enum aq_status status = leave(store, below->backend->put_file(below, name, file, err));
    struct aq_bytes bytes = {0};
    if (status != AQ_OK || !((struct deadly *)store)->spoils)
        return status;
    cr_assert_eq(aq_object_get(below, name, UINT64_MAX, &bytes, NULL), AQ_OK);
    bytes.data[bytes.size / 2] ^= 1;
    cr_assert_eq(aq_object_put(below, name, aq_bytes_view(&bytes), NULL), AQ_OK);
    aq_bytes_deinit(&bytes);
    return AQ_OK;
}

static enum aq_status deadly_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                                 struct aq_bytes *out, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->get(below, name, size_max, out, err));
}

static enum aq_status deadly_get_range(struct aq_object_store *store, const char *name,
                                       uint64_t offset, void *buffer, size_t size,
                                       struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->get_range(below, name, offset, buffer, size, err));
}

static enum aq_status deadly_head(struct aq_object_store *store, const char *name,
                                  uint64_t *size_bytes, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->head(below, name, size_bytes, err));
}

static enum aq_status deadly_delete(struct aq_object_store *store, const char *name,
                                    struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->delete (below, name, err));
}

static enum aq_status deadly_list(struct aq_object_store *store, const char *prefix,
                                  aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->list(below, prefix, visit, context, err));
}

static void deadly_close(struct aq_object_store *store)
{
    (void)store;
}

static const struct aq_object_backend deadly_backend = {
    .close = deadly_close,
    .put = deadly_put,
    .put_file = deadly_put_file,
    .get = deadly_get,
    .get_range = deadly_get_range,
    .head = deadly_head,
    .delete = deadly_delete,
    .list = deadly_list,
};

/* In a process of its own: all that a run of `aqstore tier` does. True when it was killed. */
static bool tier_until_killed(const char *home, unsigned request, bool after)
{
    pid_t child = scratch_fork();
    if (child == 0) {
        struct aq_object_store *below = open_bucket("bucket");
        struct deadly deadly = {.base = {.backend = &deadly_backend, .root = below->root},
                                .below = below,
                                .left = request,
                                .after = after};
        struct aq_store *store = open_store(home, false);
        struct aq_tier_options options = everything(&deadly.base);
        struct aq_tier_report report;
        struct aq_gc_report gc;
        bool done = aq_tier(store, &options, &report, NULL) == AQ_OK &&
                    aq_gc(store, false, NULL, NULL, &gc, NULL) == AQ_OK &&
                    aq_tier_gc(store, &deadly.base, DAY, false, NULL, NULL, &gc, NULL) == AQ_OK;
        _exit(done ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void copy_home(const char *from, const char *to)
{
    char command[2400];
    char target[512];
    snprintf(target, sizeof target, "%s", scratch_file(to));
    snprintf(command, sizeof command, "rm -rf %s %s/bucket && cp -a %s %s", target, scratch_path,
             scratch_file(from), target);
    cr_assert_eq(system(command), 0);
}

/* No file may have left the home that the bucket alone would not bring back. */
static void expect_mirrored(struct aq_store *store, struct aq_object_store *bucket)
{
    const struct aq_catalog *catalog = catalog_of(store);
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        if (!file->evicted)
            continue;
        const struct aq_catalog *mirror = mirror_of(bucket);
        const struct aq_catalog_file *mirrored = aq_catalog_file(mirror, file->file_id);
        cr_assert_not_null(mirrored);
        cr_assert(aq_slice_equal(mirrored->object, file->object));
        aq_catalog_release(mirror);
    }
    aq_catalog_release(catalog);
}

/* After the kill: run again; nothing is lost, nothing there twice, all else is an orphan. */
static void expect_converged(struct air *air, const char *home)
{
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    struct aq_gc_report gc;
    air_bucket = bucket;
    air_open(air, home);
    expect_mirrored(air->store, bucket);
    tier(air->store, &options, AQ_OK);
    tier(air->store, &options, AQ_OK);
    cr_assert_eq(aq_gc(air->store, false, NULL, NULL, &gc, NULL), AQ_OK);
    const struct aq_catalog *catalog = catalog_of(air->store);
    cr_assert_eq(catalog->file_count, 3);
    expect_copies(catalog, bucket);
    unsigned objects = count_objects(bucket, "data/");
    unsigned mirrors = count_objects(bucket, "mirror/00000000000000000001/catalog/") - 1;
    struct aq_gc_report dry = tier_gc(air->store, bucket, 0, true);
    cr_assert_eq(dry.file_count, objects - 3 + (mirrors > 2 ? mirrors - 2 : 0));
    tier_gc(air->store, bucket, 0, false);
    cr_assert_eq(count_objects(bucket, "data/"), 3);
    aq_catalog_release(catalog);
    expect_all_rows(air, true);
    aq_store_close(air->store);
    air_bucket = NULL;
    aq_object_close(bucket);
}

Test(tier, goes_on_after_a_kill_at_any_request)
{
    scratch_make();
    struct air air;
    make_air(&air, "template");
    aq_store_close(air.store);
    for (int after = 0; after < 2; after++) {
        unsigned request = 0;
        bool killed = true;
        for (; killed; request++) {
            copy_home("template", "home");
            killed = tier_until_killed("home", request, after);
            expect_converged(&air, "home");
        }
        cr_assert_gt(request, 20);
    }
}

Test(tier, believes_no_copy_that_it_has_not_read_back)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct deadly spoiling = {.base = {.backend = &deadly_backend, .root = bucket->root},
                              .below = bucket,
                              .left = UINT_MAX - 1,
                              .spoils = true};
    struct aq_tier_options options = everything(&spoiling.base);
    uint64_t before = head(air.store);
    tier(air.store, &options, AQ_IO);
    cr_assert_eq(head(air.store), before);
    cr_assert_eq(count_objects(bucket, "data/"), 0);
    expect_all_rows(&air, true);
    options.bucket = bucket;
    tier(air.store, &options, AQ_OK);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

/* In a process of its own: a restore that is killed. */
static bool restore_until_killed(unsigned request, bool after)
{
    pid_t child = scratch_fork();
    if (child == 0) {
        struct aq_object_store *below = open_bucket("bucket");
        struct deadly deadly = {.base = {.backend = &deadly_backend, .root = below->root},
                                .below = below,
                                .left = request,
                                .after = after};
        struct aq_restore_report report;
        char home[512];
        snprintf(home, sizeof home, "%s", scratch_file("new"));
        _exit(aq_tier_restore(&deadly.base, home, aq_slice_of("x"), &report, NULL) == AQ_OK ? 0
                                                                                            : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

Test(tier, restores_after_a_restore_that_was_killed)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    tier(air.store, &options, AQ_OK);
    aq_store_close(air.store);
    for (int after = 0; after < 2; after++) {
        bool killed = true;
        for (unsigned request = 0; killed; request++) {
            char command[1024];
            snprintf(command, sizeof command, "rm -rf %s", scratch_file("new"));
            cr_assert_eq(system(command), 0);
            killed = restore_until_killed(request, after);
            restore(bucket, "new", killed ? AQ_OK : AQ_EXISTS);
            air_bucket = bucket;
            air_open(&air, "new");
            expect_all_rows(&air, true);
            tier(air.store, &options, AQ_OK);
            aq_store_close(air.store);
        }
    }
    aq_object_close(bucket);
}
