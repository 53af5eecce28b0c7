/* A store of air readings to compact: segments of known rows and rejects, and the check that all of them are
 * there, whatever has been done to the files. */
#ifndef AQ_TESTS_UNIT_AIR_FIXTURE_H
#define AQ_TESTS_UNIT_AIR_FIXTURE_H

#include <dirent.h>

#include "compaction/compact.h"
#include "compaction/gc/gc.h"
#include "engine/base/clock.h"
#include "engine/store/segment/write/shard_writer.h"
#include "tests/unit/scratch.h"

static struct aq_column air_columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "station", .type = AQ_TYPE_BIGINT},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE},
    {.name = "note", .type = AQ_TYPE_TEXT},
};
static uint32_t air_series[] = {2};

static const char *const cities[] = {"beijing", "hanoi", "oslo", "lima", "nairobi"};

/* A store, and the hash of all rows that were put into it. */
struct air {
    struct aq_store *store;
    const struct aq_schema *schema;
    const struct aq_schema *rejects;
    struct aq_content_hash rows;
    struct aq_content_hash reject_rows;
    uint64_t frames; /* written so far: each has rows of its own */
};

/* Where stores that are opened read what is not at home. */
static struct aq_object_store *air_bucket;

static inline struct aq_store *open_store(const char *name, bool create)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {
        .home = scratch_file(name), .bucket = air_bucket, .create = create, .io = AQ_IO_POSIX};
    cr_assert_eq(aq_store_open(&options, &store, &err), AQ_OK, "%s: %s", err.path, err.message);
    return store;
}

static inline void air_open(struct air *air, const char *name)
{
    struct aq_schema schema = {.dataset = "air",
                               .column_count = 5,
                               .columns = air_columns,
                               .key_column = 0,
                               .time_column = 1,
                               .slot = AQ_SLOT_DAY,
                               .series_count = 1,
                               .series = air_series,
                               .version_column = AQ_COLUMN_NONE};
    air->store = open_store(name, true);
    cr_assert_eq(aq_store_declare(air->store, &schema, &air->schema, &air->rejects, NULL), AQ_OK);
}

static inline void append_system(struct aq_batch *batch, size_t first, uint64_t feed_id,
                                 int64_t ordinal)
{
    cr_assert_eq(aq_vector_append_int(&batch->columns[first], (int64_t)feed_id), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[first + 1], ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[first + 2], 7), AQ_OK);
    batch->row_count++;
}

/* Rows of frame `frame`: one city, one day, times in no order, doubles, nulls, texts. */
static inline void fill_rows(const struct air *air, struct aq_batch *batch, uint64_t frame,
                             unsigned count, uint64_t feed_id, int64_t first_ordinal)
{
    cr_assert_eq(aq_schema_batch_init(air->schema, true, batch), AQ_OK);
    const char *city = cities[frame % 5];
    int64_t day = INT64_C(1700006400000000) + (int64_t)(frame / 5 % 6) * AQ_US_PER_DAY;
    for (unsigned i = 0; i < count; i++) {
        uint64_t random = (frame * 1000 + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        struct aq_vector *columns = batch->columns;
        cr_assert_eq(aq_vector_append_slice(&columns[0], aq_slice_of(city)), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&columns[1], day + (int64_t)(random >> 40) % 1440 * 60 *
                                                                 AQ_US_PER_SECOND),
                     AQ_OK);
        cr_assert_eq(aq_vector_append_int(&columns[2], (int64_t)(random >> 33) % 3), AQ_OK);
        if (random % 11 == 0)
            cr_assert_eq(aq_vector_append_null(&columns[3]), AQ_OK);
        else
            cr_assert_eq(aq_vector_append_double(&columns[3], (double)(int64_t)(random >> 50) / 10),
                         AQ_OK);
        struct aq_slice note = aq_slice_make(aq_arena_format(&batch->arena, "note %u", i % 17), 6);
        cr_assert_eq(aq_vector_append_slice(&columns[4], note), AQ_OK);
        append_system(batch, 5, feed_id, first_ordinal + i);
    }
}

static inline void fill_rejects(const struct air *air, struct aq_batch *batch, uint64_t feed_id,
                                int64_t ordinal)
{
    cr_assert_eq(aq_schema_batch_init(air->rejects, true, batch), AQ_OK);
    struct aq_vector *columns = batch->columns;
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_SOURCE], aq_slice_of("test")), AQ_OK);
    cr_assert_eq(aq_vector_append_null(&columns[AQ_REJECT_PARTITION]), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[AQ_REJECT_OFFSET], ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[AQ_REJECT_ARRIVAL], 5000 - ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_REASON], aq_slice_of("why")), AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_BYTES], aq_slice_of("{")), AQ_OK);
    append_system(batch, AQ_REJECT_COLUMN_COUNT, feed_id, ordinal);
}

static inline void note_rows(struct aq_content_hash *to, const struct aq_batch *batch,
                             size_t columns)
{
    struct aq_content_hash hash;
    cr_assert_eq(aq_batch_content_hash(batch, columns, &hash), AQ_OK);
    aq_content_hash_add(to, &hash);
}

/* One frame of `count` rows and one reject. */
static inline void append_frame(struct air *air, struct aq_shard_writer *writer, uint64_t feed_id,
                                uint64_t *ordinal, unsigned count)
{
    struct aq_batch rows;
    struct aq_batch rejects;
    fill_rows(air, &rows, air->frames, count, feed_id, (int64_t)*ordinal);
    fill_rejects(air, &rejects, feed_id, (int64_t)(*ordinal + count));
    note_rows(&air->rows, &rows, air->schema->column_count);
    note_rows(&air->reject_rows, &rejects, air->rejects->column_count);
    struct aq_partition partition = {.key = rows.columns[0].slices[0],
                                     .slot_start_us =
                                         aq_slot_start(AQ_SLOT_DAY, rows.columns[1].ints[0]),
                                     .row_count = count};
    struct aq_partition reject_partition = {.row_count = 1};
    struct aq_section_input sections[] = {{air->schema, &rows, &partition, 1},
                                          {air->rejects, &rejects, &reject_partition, 1}};
    struct aq_source_range range = {.feed_id = feed_id,
                                    .first_ordinal = *ordinal,
                                    .next_ordinal = *ordinal + count + 1,
                                    .row_count = count,
                                    .reject_count = 1};
    struct aq_error err = {0};
    cr_assert_eq(aq_shard_writer_append(writer, &range, 1, sections, 2, &err), AQ_OK, "%s",
                 err.message);
    *ordinal = range.next_ordinal;
    air->frames++;
    aq_batch_deinit(&rows);
    aq_batch_deinit(&rejects);
}

/* A segment of its own with so many frames, sealed. */
static inline void write_segment(struct air *air, unsigned frame_count, unsigned rows_a_frame)
{
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 30, .depth = 4};
    cr_assert_eq(aq_shard_writer_create(air->store, &options, &writer, NULL), AQ_OK);
    char name[32];
    snprintf(name, sizeof name, "from-frame-%llu", (unsigned long long)air->frames);
    struct aq_feed_identity identity = {.dataset_id = air->schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of(name),
                                        .partition = -1};
    uint64_t feed_id;
    uint64_t ordinal = 0;
    cr_assert_eq(aq_shard_writer_claim(writer, &identity, 0, &feed_id, NULL), AQ_OK);
    for (unsigned i = 0; i < frame_count; i++)
        append_frame(air, writer, feed_id, &ordinal, rows_a_frame);
    cr_assert_eq(aq_shard_writer_seal(writer, NULL), AQ_OK);
    aq_shard_writer_destroy(writer);
}

/* Hash of what a snapshot holds of a dataset; tiles must be sorted. */
static inline struct aq_content_hash
read_dataset(struct aq_store *store, const struct aq_schema *schema, size_t *tile_count)
{
    struct aq_snapshot *snapshot = NULL;
    const struct aq_unit *units;
    size_t unit_count;
    uint32_t ids[16];
    struct aq_content_hash total = {0};
    struct aq_error err = {0};
    for (size_t i = 0; i < schema->column_count; i++)
        ids[i] = schema->columns[i].id;
    cr_assert_eq(aq_snapshot_open(store, &snapshot, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, &err), AQ_OK,
                 "%s", err.message);
    *tile_count = 0;
    for (size_t i = 0; i < unit_count; i++) {
        struct aq_batch batch;
        cr_assert_eq(aq_schema_batch_init(schema, false, &batch), AQ_OK);
        cr_assert_eq(aq_unit_read(snapshot, &units[i], ids, &batch, &err), AQ_OK, "%s: %s",
                     err.path, err.message);
        note_rows(&total, &batch, batch.column_count);
        bool tile = units[i].kind == AQ_FILE_ARCHIVE;
        *tile_count += tile;
        for (size_t row = 1; tile && row < batch.row_count; row++)
            cr_assert_leq(aq_schema_compare_rows(schema, &batch, row - 1, &batch, row), 0);
        aq_batch_deinit(&batch);
    }
    aq_snapshot_close(snapshot);
    return total;
}

static inline void expect_all_rows(const struct air *air, bool compacted)
{
    size_t tiles;
    struct aq_content_hash rows = read_dataset(air->store, air->schema, &tiles);
    cr_assert_eq(rows.row_count, air->rows.row_count);
    cr_assert(aq_content_hash_equal(&rows, &air->rows));
    cr_assert(!compacted || tiles > 0);
    struct aq_content_hash rejects = read_dataset(air->store, air->rejects, &tiles);
    cr_assert(aq_content_hash_equal(&rejects, &air->reject_rows));
}

static inline struct aq_compact_report compact(struct air *air,
                                               const struct aq_compact_options *options)
{
    struct aq_compact_report report;
    struct aq_error err = {0};
    cr_assert_eq(aq_compact(air->store, options, &report, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
    return report;
}

static inline uint64_t head(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    uint64_t number = catalog->number;
    aq_catalog_release(catalog);
    return number;
}

static inline unsigned count_files(const char *folder, const char *suffix)
{
    DIR *directory = opendir(scratch_file(folder));
    cr_assert_not_null(directory);
    unsigned count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        size_t length = strlen(entry->d_name);
        count +=
            length > strlen(suffix) && strcmp(entry->d_name + length - strlen(suffix), suffix) == 0;
    }
    closedir(directory);
    return count;
}

/* What the head does not need goes, however young. */
static inline struct aq_gc_report gc_now(struct aq_store *store, bool dry_run)
{
    struct aq_gc_report report;
    struct aq_error err = {0};
    struct aq_gc_options options = {.now_us = aq_clock_wall_us(), .dry_run = dry_run};
    cr_assert_eq(aq_gc(store, &options, &report, &err), AQ_OK, "%s: %s", err.path, err.message);
    return report;
}

static const struct aq_compact_options defaults = {.thread_count = 2};

#endif
