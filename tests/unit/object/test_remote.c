/* Stores whose archives are in a bucket: what is read of them, and what it costs. */
#include "engine/cache/block_cache.h"
#include "engine/query/query.h"
#include "tests/unit/object/bucket_fixture.h"
#include "tools/commands/query/run_query.h"

static struct counting_bucket *bucket;
static struct air air;
static const struct aq_catalog *declared; /* lends air's schemas */

static struct aq_store *open_with(const char *home, struct aq_store_options options)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    options.home = home == NULL ? NULL : scratch_file(home);
    options.bucket = bucket == NULL ? NULL : &bucket->base;
    options.read_only = true;
    options.io = AQ_IO_POSIX;
    cr_assert_eq(aq_store_open(&options, &store, &err), AQ_OK, "%s: %s", err.path, err.message);
    return store;
}

/* Whoever opened the store lent the declarations. */
static void reopen(const char *home, struct aq_store_options options)
{
    const struct aq_catalog *catalog = NULL;
    air.store = open_with(home, options);
    cr_assert_eq(aq_store_catalog(air.store, false, &catalog, NULL), AQ_OK);
    air.schema = aq_catalog_schema(catalog, "air");
    air.rejects = aq_catalog_schema(catalog, "air_rejects");
    aq_catalog_release(declared);
    declared = catalog; /* a mirror's store does not keep it */
}

/* A compacted store whose archives have been evicted, opened with its bucket and without a cache. */
static void begin(void)
{
    scratch_make();
    bucket = bucket_open("bucket");
    air_open(&air, "store");
    write_segment(&air, 60, 1500);
    compact(&air, &defaults);
    bucket_place(air.store, bucket, "store", true);
    aq_store_close(air.store);
    reopen("store", (struct aq_store_options){.cache_bytes = 1});
    bucket_reset(bucket);
}

static void end(void)
{
    aq_catalog_release(declared);
    aq_store_close(air.store);
    aq_object_close(&bucket->base);
}

static struct aq_snapshot *take_snapshot(struct aq_store *store)
{
    struct aq_snapshot *snapshot = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_snapshot_open(store, &snapshot, &err), AQ_OK, "%s", err.message);
    return snapshot;
}

static size_t list_units(struct aq_snapshot *snapshot, const struct aq_unit **units)
{
    size_t count = 0;
    cr_assert_eq(aq_snapshot_units(snapshot, air.schema->dataset_id, units, &count, NULL), AQ_OK);
    return count;
}

static uint64_t fetch_bytes; /* of queries; 0: as many as usual */

/* Run a query to its end; rows as text if `out`, and what it cost. */
static enum aq_status try_query(struct aq_store *store, const char *sql, struct aq_bytes *out,
                                struct aq_query_counters *counters, struct aq_error *err)
{
    struct aq_snapshot *snapshot = NULL;
    struct aq_query *query = NULL;
    struct aq_query_options options = {.thread_count = 2, .fetch_bytes = fetch_bytes};
    AQ_TRY(aq_snapshot_open(store, &snapshot, err));
    enum aq_status status = aq_query_prepare(snapshot, sql, &options, &query, err);
    const struct aq_batch *batch = NULL;
    while (status == AQ_OK && (status = aq_query_next(query, &batch, err)) == AQ_OK) {
        for (size_t row = 0; out != NULL && row < batch->row_count; row++) {
            for (size_t c = 0; c < batch->column_count; c++) {
                cr_assert_eq(aq_query_value_text(query, &batch->columns[c], row, out), AQ_OK);
                aq_bytes_u8(out, c + 1 < batch->column_count ? '|' : '\n');
            }
        }
    }
    if (query != NULL && counters != NULL)
        *counters = aq_query_count(query);
    aq_query_destroy(query);
    aq_snapshot_close(snapshot);
    return status == AQ_END ? AQ_OK : status;
}

static struct aq_query_counters run_query(struct aq_store *store, const char *sql, char *text,
                                          size_t text_size)
{
    struct aq_bytes out = {0};
    struct aq_query_counters counters = {0};
    struct aq_error err = {0};
    cr_assert_eq(try_query(store, sql, &out, &counters, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
    snprintf(text, text_size, "%.*s", (int)out.size, (const char *)out.data);
    aq_bytes_deinit(&out);
    return counters;
}

Test(remote, evicted_rows_are_all_there, .init = begin, .fini = end)
{
    expect_all_rows(&air, true);
    cr_assert_gt(bucket->range_count, 0);
    cr_assert_eq(bucket->other_count, 0);
}

Test(remote, listing_units_costs_nothing, .init = begin, .fini = end)
{
    struct aq_snapshot *snapshot = take_snapshot(air.store);
    const struct aq_unit *units = NULL;
    size_t count = list_units(snapshot, &units);
    cr_assert_gt(count, 1);
    cr_assert_eq(bucket->range_count + bucket->get_count + bucket->other_count, 0);
    for (size_t i = 0; i < count; i++) {
        cr_assert(units[i].remote && units[i].has_time && units[i].has_keys);
        cr_assert_gt(units[i].size_bytes, 0);
        cr_assert_null(aq_unit_stats(&units[i], air.schema->columns[3].id));
    }
    const struct aq_unit *wanted[] = {&units[0], &units[1]};
    cr_assert_eq(aq_snapshot_prefetch(snapshot, wanted, 2, NULL, 0, NULL), AQ_OK);
    cr_assert_eq(bucket->range_count, 1);
    cr_assert_not_null(aq_unit_stats(&units[0], air.schema->columns[3].id));
    cr_assert_eq(aq_snapshot_remote(snapshot).get_count, 1);
    aq_snapshot_close(snapshot);
}

Test(remote, one_request_for_a_day_of_a_city, .init = begin, .fini = end)
{
    char text[200];
    struct aq_query_counters counters =
        run_query(air.store,
                  "SELECT count(*), sum(pm25) FROM air WHERE city = 'oslo' AND ts >= "
                  "'2023-11-16' AND ts < '2023-11-17'",
                  text, sizeof text);
    cr_assert_geq(counters.remote.get_count, 1);
    cr_assert_leq(counters.remote.get_count, 2 * counters.remote_archive_fetched_count);
    cr_assert_eq(counters.remote.get_count, bucket->range_count);
    cr_assert_eq(counters.remote.bytes_received, bucket->range_bytes);
    cr_assert_eq(bucket->get_count + bucket->other_count, 0);
    cr_assert_lt(counters.remote_tile_fetched_count, counters.remote_tile_count);
}

Test(remote, row_count_needs_no_request, .init = begin, .fini = end)
{
    char text[200];
    char expected[64];
    struct aq_query_counters counters =
        run_query(air.store, "SELECT count(*) FROM air", text, sizeof text);
    snprintf(expected, sizeof expected, "%llu\n", (unsigned long long)air.rows.row_count);
    cr_assert_str_eq(text, expected);
    cr_assert_eq(counters.remote.get_count, 0);
}

/* Answers of a store with its files at home, and of the same with all in the bucket. */
Test(remote, answers_are_equal_wherever_the_files_are)
{
    static const char *const queries[] = {
        "SELECT city, count(*), avg(pm25), min(ts), last(pm25, ts) FROM air GROUP BY city",
        "SELECT * FROM air WHERE pm25 > 800 ORDER BY city, ts, station, pm25, note",
        "SELECT max(pm25), min(pm25), sum(pm25), count(pm25) FROM air",
        "SELECT station, sum(pm25) FROM air WHERE ts >= '2023-11-17' AND city > 'm' GROUP BY 1",
        "SELECT reason, count(*) FROM air_rejects GROUP BY 1",
        "SELECT count(*) FROM (SELECT city FROM air WHERE note = 'note 3' LIMIT 7) AS t",
        "SELECT city, ts, pm25, note FROM air WHERE pm25 > 1500", /* streams */
    };
    enum { QUERIES = sizeof queries / sizeof queries[0] };
    scratch_make();
    bucket = bucket_open("bucket");
    air_open(&air, "store");
    for (int i = 0; i < 3; i++) { /* three archives */
        write_segment(&air, 40, 700);
        compact(&air, &defaults);
    }
    char before[QUERIES][60000];
    for (size_t i = 0; i < QUERIES; i++)
        run_query(air.store, queries[i], before[i], sizeof before[i]);
    write_segment(&air, 1, 1); /* so that there is a hot segment, too */
    for (size_t i = 0; i < QUERIES; i++)
        run_query(air.store, queries[i], before[i], sizeof before[i]);
    bucket_place(air.store, bucket, "store", true);
    bucket_mirror(air.store, bucket, INT64_MAX);
    aq_store_close(air.store);
    const char *homes[] = {"store", NULL};
    for (size_t home = 0; home < 2; home++) {
        struct aq_store_options options = {0};
        if (home == 1)
            options.cache_path = scratch_file("cache of a reader");
        struct aq_store *store = open_with(homes[home], options);
        for (int again = 0; again < 2; again++) {
            fetch_bytes = (uint64_t)again; /* 1: each tile is a window of its own */
            bucket_reset(bucket);
            for (size_t i = 0; i < QUERIES; i++) {
                char text[60000];
                run_query(store, queries[i], text, sizeof text);
                cr_assert_str_eq(text, before[i]);
            }
            cr_assert_eq(bucket->range_count == 0, again == 1); /* by then all is cached */
            cr_assert_eq(bucket->other_count, 0);
        }
        cr_assert_str_eq(aq_store_cache_notice(store), "");
        aq_store_close(store);
    }
    aq_object_close(&bucket->base);
}

/* Rows of one frame with texts that nothing compresses: tiles become larger than 1 MiB. */
static void fill_long(struct aq_batch *rows, uint64_t frame, unsigned count, uint64_t feed_id,
                      uint64_t ordinal)
{
    struct aq_vector *columns = rows->columns;
    for (unsigned i = 0; i < count; i++) {
        uint64_t random = (frame * count + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        char *note = aq_arena_alloc(&rows->arena, 80);
        for (unsigned c = 0; c < 80; c++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            note[c] = (char)('0' + (random >> 33) % 64);
        }
        int64_t ts_us = INT64_C(1700006400000000) + (int64_t)(frame * count + i) * AQ_US_PER_SECOND;
        cr_assert_eq(aq_vector_append_slice(&columns[0], aq_slice_of(cities[frame % 2])), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&columns[1], ts_us), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&columns[2], 1), AQ_OK);
        cr_assert_eq(aq_vector_append_double(&columns[3], (double)frame), AQ_OK);
        cr_assert_eq(aq_vector_append_slice(&columns[4], aq_slice_make(note, 80)), AQ_OK);
        append_system(rows, 5, feed_id, (int64_t)(ordinal + i));
    }
}

static void write_long(unsigned frame_count, unsigned row_count)
{
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 30, .depth = 4};
    struct aq_feed_identity identity = {.dataset_id = air.schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of("long"),
                                        .partition = -1};
    uint64_t feed_id;
    uint64_t ordinal = 0;
    cr_assert_eq(aq_shard_writer_create(air.store, &options, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_claim(writer, &identity, 0, &feed_id, NULL), AQ_OK);
    for (unsigned frame = 0; frame < frame_count; frame++) {
        struct aq_batch rows;
        cr_assert_eq(aq_schema_batch_init(air.schema, true, &rows), AQ_OK);
        fill_long(&rows, frame, row_count, feed_id, ordinal);
        struct aq_partition partition = {.key = rows.columns[0].slices[0],
                                         .slot_start_us =
                                             aq_slot_start(AQ_SLOT_DAY, rows.columns[1].ints[0]),
                                         .row_count = row_count};
        struct aq_section_input section = {air.schema, &rows, &partition, 1};
        struct aq_source_range range = {.feed_id = feed_id,
                                        .first_ordinal = ordinal,
                                        .next_ordinal = ordinal + row_count,
                                        .row_count = row_count};
        cr_assert_eq(aq_shard_writer_append(writer, &range, 1, &section, 1, NULL), AQ_OK);
        ordinal += row_count;
        aq_batch_deinit(&rows);
    }
    cr_assert_eq(aq_shard_writer_seal(writer, NULL), AQ_OK);
    aq_shard_writer_destroy(writer);
}

/* Of a large tile the directory comes first: it may answer, or rule the tile out. */
Test(remote, large_tiles_are_fetched_by_column)
{
    scratch_make();
    bucket = bucket_open("bucket");
    air_open(&air, "store");
    write_long(80, 2500);
    compact(&air, &defaults);
    bucket_place(air.store, bucket, "store", true);
    aq_store_close(air.store);
    reopen("store", (struct aq_store_options){.cache_bytes = 1});
    struct aq_snapshot *snapshot = take_snapshot(air.store);
    const struct aq_unit *units = NULL;
    uint64_t bytes = 0;
    uint64_t largest = 0;
    size_t count = list_units(snapshot, &units);
    for (size_t i = 0; i < count; i++) {
        bytes += units[i].size_bytes;
        largest = units[i].size_bytes > largest ? units[i].size_bytes : largest;
    }
    aq_snapshot_close(snapshot);
    cr_assert_gt(count, 2);
    cr_assert_gt(largest, 2 * AQ_SMALL_TILE_BYTES);
    char text[4000];
    struct aq_query_counters counters =
        run_query(air.store, "SELECT max(pm25), count(note) FROM air", text, sizeof text);
    cr_assert_str_eq(text, "79|200000\n");
    cr_assert_eq(counters.remote_tile_fetched_count, 0);
    cr_assert_lt(counters.remote.bytes_received, bytes / 2);
    counters = run_query(air.store, "SELECT count(*) FROM air WHERE pm25 = 7.5", text, sizeof text);
    cr_assert_str_eq(text, "0\n");
    cr_assert_lt(counters.remote.bytes_received, bytes / 2); /* its notes are not wanted */
    counters = run_query(air.store, "SELECT sum(length(note)), count(DISTINCT ts) FROM air", text,
                         sizeof text);
    cr_assert_str_eq(text, "16000000|200000\n");
    cr_assert_eq(counters.remote_tile_fetched_count, count);
    counters = run_query(air.store, "SELECT length(note) FROM air LIMIT 1", text, sizeof text);
    cr_assert_str_eq(text, "80\n"); /* a first, small window */
    cr_assert_lt(counters.remote_tile_fetched_count, count);
    end();
}

static void flip_object(const char *path)
{
    size_t size;
    unsigned char *data = scratch_read(path, &size);
    data[70] ^= 4; /* in the first chunk: the cities */
    scratch_write(path, data, size);
    free(data);
}

static void remove_object(const char *path)
{
    cr_assert_eq(unlink(path), 0);
}

Test(remote, damage_in_the_bucket_is_named, .init = begin, .fini = end)
{
    struct aq_error err = {0};
    bucket_each_object("bucket", flip_object);
    enum aq_status status =
        try_query(air.store, "SELECT count(*) FROM air WHERE note = 'note 3' AND city <> 'x'", NULL,
                  NULL, &err);
    cr_assert_eq(status, AQ_CORRUPT, "%d", status);
    cr_assert(strstr(err.path, "bucket/data/") != NULL, "%s", err.path);
    cr_assert_geq(err.offset, 64);
}

static void flip_cached(const char *path, void *context)
{
    (void)context;
    flip_object(path);
}

/* Also what was damaged before it got into the cache, so that the block's own checksum is right. */
Test(remote, damage_on_the_way_is_fetched_again, .init = begin)
{
    aq_store_close(air.store);
    struct aq_store_options options = {.cache_path = scratch_file("cache")};
    bucket_each_object("bucket", flip_object);
    reopen("store", options);
    struct aq_error err = {0};
    const char *sql = "SELECT count(*) FROM air WHERE note = 'note 3' AND city <> 'x'";
    cr_assert_eq(try_query(air.store, sql, NULL, NULL, &err), AQ_CORRUPT);
    bucket_each_object("bucket", flip_object); /* whole again; what is cached is not */
    cr_assert_eq(try_query(air.store, sql, NULL, NULL, &err), AQ_OK, "%s", err.message);
    for (unsigned folder = 0; folder < 16; folder++) { /* and now the cache's own files */
        char path[600];
        snprintf(path, sizeof path, "%s/%x", scratch_file("cache"), folder);
        DIR *directory = opendir(path);
        for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
            char file[1000];
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            if (entry->d_name[0] != '.')
                flip_cached(file, NULL);
        }
        if (directory != NULL)
            closedir(directory);
    }
    bucket_reset(bucket);
    expect_all_rows(&air, true);
    cr_assert_gt(bucket->range_count, 0);
    end();
}

/* A segment is fetched whole; its hash is that of the catalog or it is not read. */
Test(remote, damaged_segment_in_the_bucket_is_named)
{
    scratch_make();
    bucket = bucket_open("bucket");
    air_open(&air, "store");
    write_segment(&air, 3, 200);
    bucket_place(air.store, bucket, "store", false);
    bucket_mirror(air.store, bucket, INT64_MAX);
    aq_store_close(air.store);
    struct aq_store_options options = {.cache_path = scratch_file("cache")};
    air.store = open_with(NULL, options);
    bucket_each_object("bucket", flip_object);
    struct aq_error err = {0};
    const char *sql = "SELECT count(*) FROM air";
    cr_assert_eq(try_query(air.store, sql, NULL, NULL, &err), AQ_CORRUPT);
    cr_assert(strstr(err.path, "bucket/data/") != NULL, "%s", err.path);
    cr_assert(strstr(err.message, "uploaded") != NULL, "%s", err.message);
    bucket_each_object("bucket", flip_object); /* whole again; nothing bad was kept */
    cr_assert_eq(try_query(air.store, sql, NULL, NULL, &err), AQ_OK, "%s", err.message);
    bucket_reset(bucket);
    cr_assert_eq(try_query(air.store, sql, NULL, NULL, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(bucket->range_count, 0);
    aq_store_close(air.store);
    aq_object_close(&bucket->base);
}

Test(remote, vanished_object_is_temporary, .init = begin, .fini = end)
{
    struct aq_error err = {0};
    bucket_each_object("bucket", remove_object);
    cr_assert_eq(try_query(air.store,
                           "SELECT count(*) FROM air WHERE note = 'note 3' AND city <> 'x'", NULL,
                           NULL, &err),
                 AQ_TEMPORARY);
    cr_assert(strstr(err.path, "bucket/data/") != NULL, "%s", err.path);
}

Test(remote, without_a_bucket_the_message_says_what_to_do, .init = begin)
{
    struct aq_error err = {0};
    struct counting_bucket *kept = bucket;
    aq_store_close(air.store);
    bucket = NULL;
    reopen("store", (struct aq_store_options){0});
    cr_assert_eq(try_query(air.store,
                           "SELECT count(*) FROM air WHERE note = 'note 3' AND city <> 'x'", NULL,
                           NULL, &err),
                 AQ_INVALID);
    cr_assert(strstr(err.message, "tier:") != NULL, "%s", err.message);
    bucket = kept;
    end();
}

/* Mirrors. */

static void begin_mirror(int64_t complete_until_us)
{
    scratch_make();
    bucket = bucket_open("bucket");
    air_open(&air, "store");
    write_segment(&air, 30, 300);
    compact(&air, &defaults);
    write_segment(&air, 4, 100);
    bucket_place(air.store, bucket, "store", false);
    bucket_mirror(air.store, bucket, complete_until_us);
    aq_store_close(air.store);
}

Test(remote, mirror_is_read_without_a_home)
{
    begin_mirror(INT64_MAX);
    reopen(NULL, (struct aq_store_options){.cache_bytes = 1});
    cr_assert(aq_store_is_mirror(air.store));
    cr_assert_str_eq(aq_store_home(air.store), scratch_file("bucket"));
    cr_assert_eq(bucket->other_count, 0);
    expect_all_rows(&air, false);
    end();
}

Test(remote, mirror_takes_no_writes)
{
    begin_mirror(INT64_MAX);
    reopen(NULL, (struct aq_store_options){0});
    struct aq_error err = {0};
    struct aq_store_lock *lock = NULL;
    struct aq_recovery_report recovered;
    struct aq_compact_report compacted;
    cr_assert_eq(aq_store_declare_view(air.store, "v", "SELECT 1", &err), AQ_INVALID);
    cr_assert(strstr(err.message, "restore") != NULL, "%s", err.message);
    cr_assert_eq(aq_store_lock(air.store, "compact", true, &lock, &err), AQ_INVALID);
    cr_assert_lt(aq_compact(air.store, &defaults, &compacted, &err), 0);
    cr_assert(strstr(err.message, "restore") != NULL, "%s", err.message);
    cr_assert_eq(aq_store_recover(air.store, &recovered, &err), AQ_INVALID);
    end();
}

/* 2023-11-15 00:00 UTC begins the data, 2023-11-20 its last day. */
static const int64_t noon_us = INT64_C(1700308800000000); /* 2023-11-18 12:00 UTC */

Test(remote, incomplete_days_are_refused)
{
    begin_mirror(noon_us);
    struct aq_store *strict = open_with(NULL, (struct aq_store_options){0});
    struct aq_store *lenient = open_with(NULL, (struct aq_store_options){.allow_incomplete = true});
    struct aq_error err = {0};
    static const char *const beyond[] = {
        "SELECT count(*) FROM air",
        "SELECT * FROM air WHERE ts > '2023-11-18 13:00:00+00' LIMIT 1",
        "SELECT count(*) FROM air WHERE ts <= '2023-11-18 12:00:00+00'",
        "SELECT count(*) FROM air WHERE city = 'oslo' OR ts < '2023-11-16'",
        "SELECT count(*) FROM (SELECT ts FROM air) AS t WHERE ts IS NULL",
    };
    static const char *const within[] = {
        "SELECT count(*) FROM air WHERE ts < '2023-11-18 12:00:00+00'",
        "SELECT city, count(*) FROM air WHERE ts < '2023-11-18' AND pm25 > 3 GROUP BY 1",
        "SELECT 1",
    };
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        cr_assert_eq(try_query(strict, beyond[i], NULL, NULL, &err), AQ_LIMIT, "%s", beyond[i]);
        cr_assert(strstr(err.message, "2023-11-18") != NULL, "%s", err.message);
        cr_assert(strstr(err.message, "--allow-incomplete") != NULL, "%s", err.message);
        cr_assert_eq(try_query(lenient, beyond[i], NULL, NULL, &err), AQ_OK, "%s", err.message);
    }
    for (size_t i = 0; i < sizeof within / sizeof within[0]; i++)
        cr_assert_eq(try_query(strict, within[i], NULL, NULL, &err), AQ_OK, "%s", err.message);
    aq_store_close(lenient);
    aq_store_close(strict);
    aq_object_close(&bucket->base);
}

Test(remote, bucket_without_a_store_says_so)
{
    scratch_make();
    bucket = bucket_open("bucket");
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {.bucket = &bucket->base, .read_only = true};
    cr_assert_eq(aq_store_open(&options, &store, &err), AQ_NOT_FOUND);
    cr_assert(strstr(err.message, "holds no store") != NULL, "%s", err.message);
    aq_object_close(&bucket->base);
}

static enum aq_status keep_count(void *context, struct aq_query *query, struct aq_error *err)
{
    const struct aq_batch *batch = NULL;
    enum aq_status status = aq_query_next(query, &batch, err);
    if (status == AQ_OK)
        *(int64_t *)context = batch->columns[0].ints[0];
    return status;
}

/* Between opening a mirror and reading from it: compaction, a newer mirror, gc of the old segments. */
Test(remote, query_begins_again_when_the_store_has_moved_on)
{
    scratch_make();
    bucket = bucket_open("bucket");
    air_open(&air, "store");
    write_segment(&air, 6, 100);
    bucket_place(air.store, bucket, "store", false);
    bucket_mirror(air.store, bucket, INT64_MAX);
    struct aq_program program = {.store = open_with(NULL, (struct aq_store_options){0})};
    struct aq_error err = {0};
    const char *sql = "SELECT count(*) FROM air WHERE note = 'note 3' OR note <> 'note 3'";
    int64_t count = 0;
    bucket_each_object("bucket", remove_object);
    cr_assert_eq(aq_run_query(&program, sql, keep_count, &count, &err), AQ_TEMPORARY, "%s: %s",
                 err.path, err.message);
    compact(&air, &defaults);
    bucket_place(air.store, bucket, "store", false);
    aq_store_close(program.store);
    program.store = open_with(NULL, (struct aq_store_options){0}); /* still the old mirror */
    bucket_mirror(air.store, bucket, INT64_MAX);
    cr_assert_eq(aq_run_query(&program, sql, keep_count, &count, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(count, 600);
    aq_store_close(program.store);
    aq_store_close(air.store);
    aq_object_close(&bucket->base);
}
