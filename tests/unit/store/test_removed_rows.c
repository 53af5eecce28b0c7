/* Removed rows are gone for everyone who reads, whatever the file they lie in, and for good after a compaction. */
#include "tests/unit/object/bucket_fixture.h"

#define FIRST_DAY INT64_C(1700006400000000)

/* What one edit removes: days [from, until) of FIRST_DAY, of some cities. */
struct burial {
    uint32_t dataset_id;
    int64_t from_us;
    int64_t until_us;
    size_t key_count;
    struct aq_slice keys[4];
};

static struct burial days(const struct air *air, int from, int until)
{
    return (struct burial){.dataset_id = air->schema->dataset_id,
                           .from_us = FIRST_DAY + from * AQ_US_PER_DAY,
                           .until_us = FIRST_DAY + until * AQ_US_PER_DAY};
}

static enum aq_status build_burial(void *context, const struct aq_catalog *catalog,
                                   struct aq_edit *edit, struct aq_error *err)
{
    (void)err;
    struct burial *burial = context;
    struct aq_record record = {.kind = AQ_RECORD_TOMBSTONE,
                               .tombstone = {.dataset_id = burial->dataset_id,
                                             .key_count = burial->key_count,
                                             .keys = burial->keys,
                                             .from_us = burial->from_us,
                                             .until_us = burial->until_us,
                                             .before_edit = catalog->number + 1}};
    return aq_edit_add(edit, &record);
}

static void bury(struct air *air, struct burial burial)
{
    struct aq_error err = {0};
    cr_assert_eq(aq_store_commit(air->store, build_burial, &burial, &err), AQ_OK, "%s",
                 err.message);
}

static bool is_buried(const struct burial *burial, const struct aq_batch *rows, size_t row)
{
    int64_t time_us = rows->columns[1].ints[row];
    bool hit = burial->key_count == 0;
    for (size_t i = 0; i < burial->key_count; i++)
        hit |= aq_slice_equal(rows->columns[0].slices[row], burial->keys[i]);
    return hit && time_us >= burial->from_us && time_us < burial->until_us;
}

static struct aq_snapshot *snapshot_of(struct air *air, const struct aq_unit **units, size_t *count)
{
    struct aq_snapshot *snapshot = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_snapshot_open(air->store, &snapshot, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_snapshot_units(snapshot, air->schema->dataset_id, units, count, &err), AQ_OK,
                 "%s", err.message);
    return snapshot;
}

/* Hash of the rows that are there and that the burial does not remove. */
static struct aq_content_hash hash_left(struct air *air, const struct burial *burial)
{
    const struct aq_unit *units;
    size_t unit_count;
    struct aq_snapshot *snapshot = snapshot_of(air, &units, &unit_count);
    struct aq_content_hash total = {0};
    uint32_t ids[8];
    for (size_t i = 0; i < air->schema->column_count; i++)
        ids[i] = air->schema->columns[i].id;
    for (size_t i = 0; i < unit_count; i++) {
        struct aq_batch rows;
        struct aq_batch kept;
        cr_assert_eq(aq_schema_batch_init(air->schema, false, &rows), AQ_OK);
        cr_assert_eq(aq_schema_batch_init(air->schema, false, &kept), AQ_OK);
        cr_assert_eq(aq_unit_read(snapshot, &units[i], ids, &rows, NULL), AQ_OK);
        cr_assert_eq(rows.row_count, units[i].row_count);
        cr_assert_gt(rows.row_count, 0, "a unit without rows is not listed");
        for (size_t row = 0; row < rows.row_count; row++) {
            cr_assert_geq(rows.columns[1].ints[row], units[i].min_time_us);
            cr_assert_leq(rows.columns[1].ints[row], units[i].max_time_us);
            if (burial != NULL && is_buried(burial, &rows, row))
                continue;
            for (size_t c = 0; c < rows.column_count; c++)
                cr_assert_eq(aq_vector_append_from(&kept.columns[c], &rows.columns[c], row, NULL),
                             AQ_OK);
            kept.row_count++;
        }
        note_rows(&total, &kept, kept.column_count);
        aq_batch_deinit(&kept);
        aq_batch_deinit(&rows);
    }
    aq_snapshot_close(snapshot);
    return total;
}

static size_t tombstone_count(struct air *air)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(air->store, true, &catalog, NULL), AQ_OK);
    size_t count = catalog->tombstone_count;
    aq_catalog_release(catalog);
    return count;
}

/* Bury, and look whether just that is gone: now, after opening the store anew, after a compaction. */
static void bury_and_check(struct air *air, struct burial burial)
{
    struct aq_content_hash before = hash_left(air, NULL);
    struct aq_content_hash expected = hash_left(air, &burial);
    cr_assert_lt(expected.row_count, before.row_count, "the test removes something");
    bury(air, burial);
    struct aq_content_hash left = hash_left(air, NULL);
    cr_assert_eq(left.row_count, expected.row_count);
    cr_assert(aq_content_hash_equal(&left, &expected));
    aq_store_close(air->store);
    air_open(air, "home");
    left = hash_left(air, NULL);
    cr_assert(aq_content_hash_equal(&left, &expected));
    air->rows = left;
}

Test(removed_rows, of_segments)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 60, 50);
    bury_and_check(&air, days(&air, 1, 2));
    struct burial keyed = days(&air, 3, 6);
    keyed.key_count = 2;
    keyed.keys[0] = aq_slice_of("oslo");
    keyed.keys[1] = aq_slice_of("hanoi");
    bury_and_check(&air, keyed);
    struct burial hours = {.dataset_id = air.schema->dataset_id,
                           .from_us = FIRST_DAY + 5 * INT64_C(3600000000),
                           .until_us = FIRST_DAY + 7 * INT64_C(3600000000)};
    bury_and_check(&air, hours);
    cr_assert_eq(tombstone_count(&air), 3);
    compact(&air, &defaults);
    expect_all_rows(&air, true);
    cr_assert_eq(tombstone_count(&air), 0, "applied for good");
    aq_store_close(air.store);
}

Test(removed_rows, of_archives)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 60, 400);
    compact(&air, &defaults);
    bury_and_check(&air, days(&air, 1, 2));
    struct burial keyed = days(&air, -100, 100);
    keyed.key_count = 1;
    keyed.keys[0] = aq_slice_of("lima");
    bury_and_check(&air, keyed);
    keyed = days(&air, 2, 4);
    keyed.key_count = 3;
    keyed.keys[0] = aq_slice_of("nairobi");
    keyed.keys[1] = aq_slice_of("beijing");
    keyed.keys[2] = aq_slice_of("no such city");
    bury_and_check(&air, keyed);
    cr_assert_eq(tombstone_count(&air), 3);
    write_segment(&air, 60, 20); /* the same days and cities: later, so they stay */
    expect_all_rows(&air, false);
    compact(&air, &defaults);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

Test(removed_rows, of_whole_units_and_datasets)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 10, 50);
    struct aq_unit const *units;
    size_t unit_count;
    bury(&air, (struct burial){.dataset_id = air.schema->dataset_id,
                               .from_us = INT64_MIN,
                               .until_us = INT64_MAX});
    struct aq_snapshot *snapshot = snapshot_of(&air, &units, &unit_count);
    cr_assert_eq(unit_count, 0);
    aq_snapshot_close(snapshot);
    air.rows = (struct aq_content_hash){0};
    struct aq_compact_report report = compact(&air, &defaults);
    cr_assert_eq(report.archive_output_count, 1, "the rejects stay");
    expect_all_rows(&air, false);
    cr_assert_eq(tombstone_count(&air), 0);
    aq_store_close(air.store);
}

/* A unit that lost rows has no statistics, which still speak of them. */
Test(removed_rows, do_not_count_by_statistics)
{
    scratch_make();
    struct air air = {0};
    const struct aq_unit *units;
    size_t unit_count;
    air_open(&air, "home");
    write_segment(&air, 60, 400);
    compact(&air, &defaults);
    struct aq_snapshot *snapshot = snapshot_of(&air, &units, &unit_count);
    cr_assert_not_null(aq_unit_stats(&units[0], air.schema->columns[3].id));
    aq_snapshot_close(snapshot);
    bury(&air, days(&air, 1, 2));
    snapshot = snapshot_of(&air, &units, &unit_count);
    for (size_t i = 0; i < unit_count; i++)
        cr_assert_null(aq_unit_stats(&units[i], air.schema->columns[3].id));
    aq_snapshot_close(snapshot);
    aq_store_close(air.store);
}

static void bury_at_merge(void *context, const struct aq_compact_progress *progress)
{
    struct air *air = context;
    if (strcmp(progress->phase, "merge") == 0 && tombstone_count(air) == 0)
        bury(air, days(air, 1, 2));
}

Test(removed_rows, stop_a_compaction_that_has_read_them)
{
    scratch_make();
    struct air air = {0};
    struct aq_compact_report report;
    struct aq_error err = {0};
    air_open(&air, "home");
    write_segment(&air, 30, 50);
    struct aq_compact_options options = {.progress = bury_at_merge, .context = &air};
    cr_assert_eq(aq_compact(air.store, &options, &report, &err), AQ_CONFLICT);
    cr_assert_not_null(strstr(err.message, "removed rows"), "%s", err.message);
    struct aq_content_hash left = hash_left(&air, NULL);
    cr_assert_lt(left.row_count, air.rows.row_count);
    compact(&air, &defaults);
    air.rows = left;
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

/* Tiles in the bucket: their directories tell most of it, and the rest is fetched. */
Test(removed_rows, of_archives_in_the_bucket)
{
    scratch_make();
    struct air air = {0};
    struct counting_bucket *bucket = bucket_open("bucket");
    air_bucket = &bucket->base;
    air_open(&air, "home");
    write_segment(&air, 60, 400);
    compact(&air, &defaults);
    bucket_place(air.store, bucket, "home", true);
    struct burial burial = days(&air, 1, 3);
    burial.from_us += AQ_US_PER_DAY / 3;
    bury_and_check(&air, burial);
    burial = days(&air, 0, 9);
    burial.key_count = 1;
    burial.keys[0] = aq_slice_of("hanoi");
    bury_and_check(&air, burial);
    bucket_mirror(air.store, bucket, INT64_MAX);
    struct aq_content_hash expected = hash_left(&air, NULL);
    aq_store_close(air.store);
    struct aq_store_options options = {.bucket = &bucket->base, .read_only = true};
    struct aq_error err = {0};
    cr_assert_eq(aq_store_open(&options, &air.store, &err), AQ_OK, "%s", err.message);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(air.store, false, &catalog, NULL), AQ_OK);
    air.schema = aq_catalog_schema(catalog, "air");
    struct aq_content_hash mirrored = hash_left(&air, NULL);
    aq_catalog_release(catalog);
    cr_assert_gt(mirrored.row_count, 0);
    cr_assert(aq_content_hash_equal(&mirrored, &expected), "the mirror has the tombstones");
    aq_store_close(air.store);
    aq_object_close(&bucket->base);
}

Test(removed_rows, of_half_an_archive_are_worth_its_rewriting)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 60, 400);
    uint64_t whole = compact(&air, &defaults).output_bytes;
    bury_and_check(&air, days(&air, 0, 1));
    struct aq_compact_report report = compact(&air, &defaults);
    cr_assert_eq(report.archive_input_count, 0, "a sixth is not");
    cr_assert_eq(tombstone_count(&air), 1);
    bury_and_check(&air, days(&air, 0, 4));
    report = compact(&air, &defaults);
    cr_assert_eq(report.archive_input_count, 1);
    cr_assert_lt(report.output_bytes, whole / 2);
    cr_assert_eq(tombstone_count(&air), 0);
    expect_all_rows(&air, true);
    report = compact(&air, &defaults);
    cr_assert_eq(report.archive_input_count, 0, "once");
    aq_store_close(air.store);
}

/* Of an archive in the bucket that has nothing left nobody needs a byte. */
Test(removed_rows, of_a_whole_archive_in_the_bucket)
{
    scratch_make();
    struct air air = {0};
    struct counting_bucket *bucket = bucket_open("bucket");
    air_bucket = &bucket->base;
    air_open(&air, "home");
    write_segment(&air, 30, 100);
    compact(&air, &defaults);
    bucket_place(air.store, bucket, "home", true);
    struct burial burial = days(&air, -1, 99);
    bury(&air, burial);
    bucket_reset(bucket);
    struct aq_compact_report report = compact(&air, &defaults);
    cr_assert_eq(report.archive_input_count, 1);
    cr_assert_eq(report.archive_output_count, 0);
    cr_assert_eq(bucket->range_count + bucket->get_count, 0);
    cr_assert_eq(tombstone_count(&air), 0);
    cr_assert_eq(hash_left(&air, NULL).row_count, 0);
    aq_store_close(air.store);
    aq_object_close(&bucket->base);
}

/* By retention. */

#define NOW (FIRST_DAY + 6 * AQ_US_PER_DAY + AQ_US_PER_DAY / 2)

static struct aq_expire_report expire(struct air *air, struct aq_retention *retention, bool dry_run)
{
    struct aq_expire_options options = {.retentions = retention,
                                        .retention_count = 1,
                                        .now_us = NOW,
                                        .trust_clock = true,
                                        .dry_run = dry_run};
    struct aq_expire_report report;
    struct aq_error err = {0};
    cr_assert_eq(aq_expire(air->store, &options, &report, &err), AQ_OK, "%s", err.message);
    return report;
}

/* Rows of oslo before a day, and nothing else, in whatever the rows lie. */
static void expire_oslo(struct air *air, int until, uint64_t more_files)
{
    struct aq_retention_rule rules[] = {{"o[r-t]l?", (6 - until) * AQ_US_PER_DAY},
                                        {"*", AQ_RETENTION_FOREVER}};
    struct aq_retention retention = {
        .dataset = "air", .default_us = AQ_US_PER_DAY, .rule_count = 2, .rules = rules};
    struct burial burial = days(air, 0, until);
    burial.key_count = 1;
    burial.keys[0] = aq_slice_of("oslo");
    struct aq_content_hash expected = hash_left(air, &burial);
    uint64_t number = head(air->store);
    struct aq_expire_report report = expire(air, &retention, true);
    cr_assert_eq(report.removal_count, 1);
    cr_assert_eq(report.file_count, more_files);
    cr_assert_eq(head(air->store), number, "a dry run");
    expire(air, &retention, false);
    cr_assert_eq(head(air->store), number + 1, "one edit");
    struct aq_content_hash left = hash_left(air, NULL);
    cr_assert_lt(left.row_count, air->rows.row_count);
    cr_assert(aq_content_hash_equal(&left, &expected));
    report = expire(air, &retention, false);
    cr_assert_eq(report.removal_count + report.file_count, 0);
    cr_assert_eq(head(air->store), number + 1, "and then nothing");
    air->rows = left;
}

Test(expired, by_key_in_segments_archives_and_the_bucket)
{
    scratch_make();
    struct air air = {0};
    struct counting_bucket *bucket = bucket_open("bucket");
    air_bucket = &bucket->base;
    air_open(&air, "home");
    write_segment(&air, 60, 100);
    expire_oslo(&air, 1, 0);
    compact(&air, &defaults);
    expire_oslo(&air, 2, 0);
    bucket_place(air.store, bucket, "home", true);
    expire_oslo(&air, 4, 0);
    aq_store_close(air.store);
    aq_object_close(&bucket->base);
}

/* Rejects arrived long ago; they go whole, and the rows stay. */
Test(expired, rejects_by_arrival)
{
    scratch_make();
    struct air air = {0};
    struct aq_retention retention = {.dataset = "air", .rejects_us = AQ_US_PER_DAY};
    air_open(&air, "home");
    write_segment(&air, 10, 30);
    cr_assert_eq(expire(&air, &retention, false).removal_count, 1, "beside rows");
    air.reject_rows = (struct aq_content_hash){0};
    expect_all_rows(&air, false);
    write_segment(&air, 10, 30);
    compact(&air, &defaults);
    struct aq_expire_report report = expire(&air, &retention, false);
    cr_assert_eq(report.file_count, 1, "a file of their own");
    cr_assert_eq(report.file_rows, 10);
    air.reject_rows = (struct aq_content_hash){0};
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

/* The fixture's messages have stamps of 1970. */
Test(expired, not_when_the_clock_has_jumped_but_the_rest_is_compacted)
{
    scratch_make();
    struct air air = {0};
    struct aq_retention retention = {.dataset = "air", .default_us = AQ_US_PER_DAY};
    struct aq_expire_options expire_options = {
        .retentions = &retention, .retention_count = 1, .now_us = NOW + 400 * AQ_US_PER_DAY};
    struct aq_compact_options options = defaults;
    struct aq_compact_report report;
    struct aq_error err = {0};
    options.expire = &expire_options;
    air_open(&air, "home");
    write_segment(&air, 10, 30);
    cr_assert_eq(aq_compact(air.store, &options, &report, &err), AQ_LIMIT);
    cr_assert_not_null(strstr(err.message, "clock"), "%s", err.message);
    cr_assert_eq(report.segment_count, 1);
    expect_all_rows(&air, true);
    expire_options.trust_clock = true;
    cr_assert_eq(aq_compact(air.store, &options, &report, &err), AQ_OK);
    cr_assert_eq(report.expired.file_count, 1);
    air.rows = (struct aq_content_hash){0};
    expect_all_rows(&air, false);
    aq_store_close(air.store);
}
