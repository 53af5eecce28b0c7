/* The tier on a directory that stands for a bucket: what is copied, mirrored, evicted, refused, collected, restored. */
#include "engine/store/feed/feeds.h"
#include "tests/unit/compaction/tier_fixture.h"

static const struct aq_catalog_dataset *dataset_of(const struct aq_catalog *catalog,
                                                   const struct aq_schema *schema)
{
    size_t at = 0;
    while (catalog->datasets[at].versions[0].dataset_id != schema->dataset_id)
        cr_assert_lt(++at, catalog->dataset_count);
    return &catalog->datasets[at];
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
    gc_now(air.store, false);
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
    aq_store_close(air.store);
    /* The segment that recovery closed has no index: readers find its frames in the bucket. */
    restore(bucket, "new", AQ_OK);
    air_bucket = bucket;
    air_open(&air, "new");
    expect_all_rows(&air, true);
    aq_store_close(air.store);
    aq_object_close(bucket);
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

Test(tier, mirrors_beside_a_writer_that_goes_on_without_a_feed)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    struct aq_store *other = open_store("home", false);
    struct aq_feed_state feed;
    struct aq_feed_state second;
    uint64_t ordinal = 0;
    uint64_t second_ordinal = 0;
    struct aq_shard_writer *former = take_topic(air.store, &air, &feed);
    append_frame(&air, former, feed.identity.feed_id, &ordinal, 10);
    cr_assert_eq(aq_shard_writer_flush(former, NULL), AQ_OK);
    struct aq_shard_writer *owner = take_topic(other, &air, &feed);
    cr_assert_eq(aq_shard_writer_seal(former, NULL), AQ_OK);
    second = feed;
    second.identity.partition = 1;
    cr_assert_eq(aq_store_find_feed(air.store, &second, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_take_over(former, &second, 1, NULL), AQ_OK);
    append_frame(&air, former, second.identity.feed_id, &second_ordinal, 10);
    cr_assert_eq(aq_shard_writer_flush(former, NULL), AQ_OK);
    struct aq_tier_report report = tier(air.store, &options, AQ_OK);
    const struct aq_catalog *catalog = catalog_of(air.store);
    cr_assert_eq(catalog->mask_count,
                 2); /* where it was taken, and in the segment that is open now */
    cr_assert_null(report.unmirrored);
    const struct aq_catalog *mirror = mirror_of(bucket);
    cr_assert_eq(mirror->mask_count, 1);
    cr_assert_eq(aq_catalog_feed(mirror, feed.identity.feed_id)->position.next_ordinal, 11);
    cr_assert_eq(aq_catalog_feed(mirror, second.identity.feed_id)->position.next_ordinal, 0);
    aq_catalog_release(mirror);
    aq_catalog_release(catalog);
    aq_shard_writer_destroy(owner);
    aq_shard_writer_destroy(former);
    aq_store_close(other);
    aq_store_close(air.store);
    aq_object_close(bucket);
}

/* A copy of the home, and its state of before. */
static void copy_home(const char *from, const char *to)
{
    char command[2400];
    char target[512];
    snprintf(target, sizeof target, "%s", scratch_file(to));
    snprintf(command, sizeof command, "cp -a %s %s", scratch_file(from), target);
    cr_assert_eq(system(command), 0);
}

Test(tier, takes_one_of_two_copies_of_a_home)
{
    scratch_make();
    struct air air;
    struct air copy = {0};
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    struct aq_gc_report gc;
    tier(air.store, &options, AQ_OK);
    copy_home("home", "copy");
    air_open(&copy, "copy");
    tier(copy.store, &options, AQ_OK); /* they are the same so far */
    write_segment(&air, 1, 10);
    tier(air.store, &options, AQ_OK);
    tier(copy.store, &options, AQ_CONFLICT); /* as when it is put back from an old disk */
    write_segment(&copy, 1, 10);
    write_segment(&copy, 1, 10);
    cr_assert_gt(head(copy.store), head(air.store));
    tier(copy.store, &options, AQ_CONFLICT); /* further on, but another line */
    cr_assert_eq(aq_tier_gc(copy.store, bucket, 0, false, NULL, NULL, &gc, NULL), AQ_CONFLICT);
    tier(air.store, &options, AQ_OK);
    aq_object_close(bucket);
    aq_store_close(copy.store);
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

static atomic_bool stop;

static void stop_after_one(void *context, const char *file, const char *what, uint64_t size_bytes)
{
    (void)context;
    (void)file;
    (void)size_bytes;
    stop = stop || strcmp(what, "uploaded") == 0;
}

Test(tier, keeps_what_was_copied_when_it_is_stopped)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    options.explain = stop_after_one;
    options.stop = &stop;
    tier(air.store, &options, AQ_INTERRUPTED);
    const struct aq_catalog *catalog = catalog_of(air.store);
    cr_assert_gt(catalog->files[0].object.size, 0);
    cr_assert_eq(catalog->files[1].object.size, 0);
    cr_assert_eq(count_objects(bucket, "data/"), 1);
    aq_catalog_release(catalog);
    options.stop = NULL;
    cr_assert_eq(tier(air.store, &options, AQ_OK).uploaded_count, 2);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

Test(tier, hashes_an_object_of_many_ranges)
{
    scratch_make();
    struct aq_object_store *bucket = open_bucket("bucket");
    size_t size = ((size_t)37 << 20) + 5;
    uint32_t *words = malloc(size + 4);
    cr_assert_not_null(words);
    for (size_t i = 0; i <= size / 4; i++)
        words[i] = (uint32_t)i * UINT32_C(2654435761);
    struct aq_hasher *hasher = aq_hasher_create();
    aq_hasher_update(hasher, words, size);
    struct aq_hash128 expected = aq_hasher_digest(hasher);
    struct aq_hash128 hash;
    cr_assert_eq(aq_object_put(bucket, "data/x", aq_slice_make(words, size), NULL), AQ_OK);
    cr_assert_eq(aq_tier_hash_object(bucket, "data/x", size, NULL, NULL, &hash, NULL), AQ_OK);
    cr_assert(aq_hash128_equal(&hash, &expected));
    cr_assert_lt(aq_tier_hash_object(bucket, "data/x", size + 1, NULL, NULL, &hash, NULL), 0);
    aq_hasher_destroy(hasher);
    free(words);
    aq_object_close(bucket);
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
