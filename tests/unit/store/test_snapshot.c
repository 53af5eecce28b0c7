/* Snapshots: one version for as long as they are open, closed files by their index, damage found. */
#include "engine/store/history/lease.h"
#include "engine/store/snapshot/unit_filter.h"
#include "tests/unit/store/numbers.h"

#include <pthread.h>

#define SEALED "home/segments/00000000000000000001.seg"

enum { FRAMES = 6, FRAME_ROWS = 7, ROWS = FRAMES * FRAME_ROWS };

/* A writer with FRAMES durable frames in one segment. */
static void begin_with_rows(struct numbers *numbers)
{
    scratch_make();
    numbers_begin(numbers);
    cr_assert_eq(numbers_claim(numbers, NULL), AQ_OK);
    for (int i = 0; i < FRAMES; i++)
        cr_assert_eq(numbers_append(numbers, FRAME_ROWS, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_flush(numbers->writer, NULL), AQ_OK);
}

static struct aq_store *sealed_store(void)
{
    struct numbers numbers = {0};
    begin_with_rows(&numbers);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    numbers_end(&numbers);
    return numbers_store(false, AQ_IO_POSIX);
}

static uint64_t rows_of(const struct aq_unit *units, size_t unit_count)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < unit_count; i++)
        rows += units[i].row_count;
    return rows;
}

static uint64_t units_rows(struct aq_snapshot *snapshot, uint32_t dataset_id)
{
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    cr_assert_eq(aq_snapshot_units(snapshot, dataset_id, &units, &unit_count, NULL), AQ_OK);
    return rows_of(units, unit_count);
}

/* A store's snapshot, and the units of its dataset. */
struct view {
    struct aq_snapshot *snapshot;
    const struct aq_schema *schema;
    const struct aq_unit *units;
    size_t unit_count;
};

static struct view view_open(struct aq_store *store)
{
    struct view view = {0};
    cr_assert_eq(aq_snapshot_open(store, &view.snapshot, NULL), AQ_OK);
    view.schema = aq_catalog_schema(aq_snapshot_catalog(view.snapshot), "numbers");
    cr_assert_eq(aq_snapshot_units(view.snapshot, view.schema->dataset_id, &view.units,
                                   &view.unit_count, NULL),
                 AQ_OK);
    return view;
}

Test(snapshot, stays_as_it_was)
{
    struct numbers numbers = {0};
    begin_with_rows(&numbers);
    struct aq_snapshot *before = NULL;
    cr_assert_eq(aq_snapshot_open(numbers.store, &before, NULL), AQ_OK);
    cr_assert_eq(numbers_append(&numbers, 100, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(units_rows(before, numbers.schema->dataset_id), ROWS);
    aq_snapshot_close(before);
    cr_assert_eq(numbers_in(numbers.store), ROWS + 100);
    numbers_end(&numbers);
}

Test(snapshot, units_say_what_they_hold)
{
    struct numbers numbers = {0};
    begin_with_rows(&numbers);
    struct view view = view_open(numbers.store);
    cr_assert_eq(view.unit_count, FRAMES);
    for (size_t i = 0; i < view.unit_count; i++) {
        cr_assert_eq(view.units[i].kind, AQ_FILE_SEGMENT);
        cr_assert_eq(view.units[i].index, i);
        cr_assert_eq(view.units[i].row_count, FRAME_ROWS);
        cr_assert(view.units[i].has_time);
        cr_assert_eq(view.units[i].min_time_us, number_time((int64_t)i * FRAME_ROWS));
        cr_assert_eq(view.units[i].max_time_us,
                     number_time((int64_t)i * FRAME_ROWS + FRAME_ROWS - 1));
    }
    cr_assert(!view.units[0].has_keys && view.units[0].partitions == NULL);
    cr_assert_eq(aq_snapshot_partitions(view.snapshot, view.schema->dataset_id, NULL), AQ_OK);
    for (size_t i = 0; i < view.unit_count; i++) {
        struct aq_slice key = aq_slice_of(number_key((int64_t)i * FRAME_ROWS));
        cr_assert(view.units[i].has_keys);
        cr_assert(aq_slice_equal(view.units[i].key_min, key) &&
                  aq_slice_equal(view.units[i].key_max, key));
        cr_assert_eq(view.units[i].partition_count, 1);
        cr_assert_eq(view.units[i].partitions[0].row_count, FRAME_ROWS);
        cr_assert(aq_slice_equal(view.units[i].partitions[0].key, key));
    }
    cr_assert_eq(units_rows(view.snapshot, view.schema->dataset_id + 1), 0, "nothing was rejected");
    cr_assert_eq(units_rows(view.snapshot, 4711), 0);
    aq_snapshot_close(view.snapshot);
    numbers_end(&numbers);
}

Test(snapshot, unknown_columns_are_null_and_system_columns_are_there)
{
    struct aq_store *store = sealed_store();
    struct view view = view_open(store);
    struct aq_batch batch;
    enum aq_type types[] = {AQ_TYPE_DOUBLE, AQ_TYPE_BIGINT, AQ_TYPE_TIMESTAMPTZ};
    uint32_t ids[] = {4711, AQ_SYSTEM_ID_ORDINAL, AQ_SYSTEM_ID_STAMP};
    cr_assert_eq(aq_batch_init(&batch, 3, types), AQ_OK);
    cr_assert_eq(aq_unit_read(view.snapshot, &view.units[1], ids, &batch, NULL), AQ_OK);
    cr_assert_eq(batch.row_count, FRAME_ROWS);
    for (size_t i = 0; i < batch.row_count; i++) {
        cr_assert(aq_vector_is_null(&batch.columns[0], i));
        cr_assert_eq(batch.columns[1].ints[i], (int64_t)(FRAME_ROWS + i));
        cr_assert_eq(batch.columns[2].ints[i], 7);
    }
    cr_assert_gt(aq_snapshot_bytes_read(view.snapshot), 0);
    cr_assert_null(aq_unit_stats(&view.units[1], view.schema->columns[2].id));
    aq_batch_deinit(&batch);
    aq_snapshot_close(view.snapshot);
    aq_store_close(store);
}

/* Every bit of a sealed segment: an error with file and offset, or the right rows (where the flip hits
 * what a reader does not need: the header, which `verify` checks). */
Test(snapshot, flips_in_a_sealed_segment)
{
    struct aq_store *store = sealed_store();
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(SEALED), &size);
    int fd = open(scratch_file(SEALED), O_RDWR);
    size_t found = 0;
    for (size_t bit = 0; bit < size * 8; bit += 3) {
        unsigned char flipped = bytes[bit / 8] ^ (unsigned char)(1u << bit % 8);
        cr_assert_eq(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
        struct aq_error err = {0};
        int64_t count;
        enum aq_status status = numbers_count(store, &count, &err);
        if (status == AQ_OK) {
            cr_assert_eq(count, ROWS);
        } else {
            cr_assert_eq(status, AQ_CORRUPT, "bit %zu: %s", bit, err.message);
            cr_assert_str_eq(err.path, scratch_file(SEALED));
            cr_assert(err.offset >= 0 && err.offset <= (int64_t)size, "bit %zu", bit);
            found++;
        }
        cr_assert_eq(pwrite(fd, &bytes[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    cr_assert_gt(found, size / 2, "sections and index are what a reader needs");
    close(fd);
    free(bytes);
    aq_store_close(store);
}

Test(snapshot, truncations_of_a_sealed_segment)
{
    struct aq_store *store = sealed_store();
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(SEALED), &size);
    for (size_t length = 0; length < size; length++) {
        scratch_write(scratch_file(SEALED), bytes, length);
        struct aq_error err = {0};
        int64_t count;
        cr_assert_eq(numbers_count(store, &count, &err), AQ_CORRUPT, "length %zu", length);
        cr_assert_str_eq(err.path, scratch_file(SEALED));
        cr_assert_geq(err.offset, 0);
    }
    cr_assert_eq(unlink(scratch_file(SEALED)), 0);
    struct aq_error err = {0};
    int64_t count;
    cr_assert_eq(numbers_count(store, &count, &err), AQ_CORRUPT);
    cr_assert_str_eq(err.path, scratch_file(SEALED));
    free(bytes);
    aq_store_close(store);
}

/* The segment of another store, or another segment of this one, is not taken for the right one. */
Test(snapshot, a_swapped_segment_is_noticed)
{
    struct numbers numbers = {.segment_size = 1};
    begin_with_rows(&numbers);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), ROWS);
    size_t size;
    unsigned char *bytes = scratch_read(numbers_segment(2), &size);
    scratch_write(numbers_segment(3), bytes, size);
    struct aq_error err = {0};
    int64_t count;
    cr_assert_eq(numbers_count(numbers.store, &count, &err), AQ_CORRUPT);
    cr_assert_str_eq(err.path, numbers_segment(3));
    free(bytes);
    numbers_end(&numbers);
}

/* An archive with the numbers 0 .. 99 in two tiles, committed as file 1. */

struct archive {
    struct aq_bytes bytes;
    struct aq_bytes root;
    struct aq_content_hash content;
    uint32_t dataset_id;
};

static enum aq_status collect_bytes(void *context, const void *data, size_t size,
                                    struct aq_error *err)
{
    (void)err;
    aq_bytes_append(context, data, size);
    return AQ_OK;
}

static enum aq_status build_archive(void *context, const struct aq_catalog *catalog,
                                    struct aq_edit *edit, struct aq_error *err)
{
    (void)catalog;
    (void)err;
    const struct archive *archive = context;
    struct aq_record record = {
        .kind = AQ_RECORD_ARCHIVE,
        .archive = {
            .file_id = 1,
            .size_bytes = archive->bytes.size,
            .content = archive->content,
            .entry = {.dataset_id = archive->dataset_id, .schema_version = 1, .row_count = 100},
            .root = aq_bytes_view(&archive->root)}};
    return aq_edit_add(edit, &record);
}

static void write_tile(struct aq_archive_writer *writer, const struct aq_schema *schema,
                       int64_t first)
{
    struct aq_batch rows;
    cr_assert_eq(aq_schema_batch_init(schema, false, &rows), AQ_OK);
    for (int64_t n = first; n < first + 50; n++) {
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of("oslo")), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[1], number_time(n)), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[2], n), AQ_OK);
        rows.row_count++;
    }
    cr_assert_eq(aq_archive_writer_tile(writer, &rows, NULL), AQ_OK);
    aq_batch_deinit(&rows);
}

#define ARCHIVE "home/archives/00000000000000000001.aqa"

static struct aq_store *archived_store(void)
{
    scratch_make();
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(numbers.store, false, &catalog, NULL), AQ_OK);
    struct archive archive = {.dataset_id = numbers.schema->dataset_id};
    struct aq_archive_options options = {.store_id = catalog->store_id,
                                         .schema = numbers.schema,
                                         .sink = collect_bytes,
                                         .sink_context = &archive.bytes};
    struct aq_archive_writer *writer = NULL;
    cr_assert_eq(aq_archive_writer_create(&options, &writer, NULL), AQ_OK);
    write_tile(writer, numbers.schema, 0);
    write_tile(writer, numbers.schema, 50);
    cr_assert_eq(aq_archive_writer_finish(writer, &archive.root, &archive.content, NULL), AQ_OK);
    aq_archive_writer_destroy(writer);
    scratch_write(scratch_file(ARCHIVE), archive.bytes.data, archive.bytes.size);
    cr_assert_eq(aq_store_commit(numbers.store, build_archive, &archive, NULL), AQ_OK);
    aq_bytes_deinit(&archive.bytes);
    aq_bytes_deinit(&archive.root);
    aq_catalog_release(catalog);
    numbers_end(&numbers);
    return numbers_store(false, AQ_IO_POSIX);
}

/* Leave out the rows whose number is a multiple of `factor`, and see what is left. */
static void leave_out_multiples(struct aq_snapshot *snapshot, struct aq_unit *unit, uint32_t column,
                                int64_t factor)
{
    struct aq_batch batch;
    enum aq_type type = AQ_TYPE_BIGINT;
    uint64_t keep[2] = {0};
    cr_assert_eq(aq_batch_init(&batch, 1, &type), AQ_OK);
    cr_assert_eq(aq_unit_read(snapshot, unit, &column, &batch, NULL), AQ_OK);
    size_t left = 0;
    for (size_t row = 0; row < batch.row_count; row++) {
        if (batch.columns[0].ints[row] % factor == 0)
            continue;
        aq_bitmap_set(keep, row);
        left++;
    }
    cr_assert_eq(aq_unit_keep_rows(snapshot, unit, keep, NULL), AQ_OK);
    cr_assert_eq(unit->row_count, left);
    cr_assert_eq(aq_unit_read(snapshot, unit, &column, &batch, NULL), AQ_OK);
    cr_assert_eq(batch.columns[0].row_count, left);
    for (size_t row = 0; row < left; row++)
        cr_assert_neq(batch.columns[0].ints[row] % factor, 0);
    aq_batch_deinit(&batch);
}

Test(snapshot, rows_of_a_tile_are_left_out_for_several_reasons)
{
    struct aq_store *store = archived_store();
    struct view view = view_open(store);
    struct aq_unit *unit = (struct aq_unit *)&view.units[0];
    uint32_t column = view.schema->columns[2].id;
    leave_out_multiples(view.snapshot, unit, column, 51); /* 0 alone */
    cr_assert_null(aq_unit_stats(unit, column));
    cr_assert_gt(aq_unit_column_bytes(unit, column), 0);
    leave_out_multiples(view.snapshot, unit, column, 2);
    leave_out_multiples(view.snapshot, unit, column, 3);
    cr_assert_eq(unit->row_count, 17); /* of 1 .. 49 */
    cr_assert_eq(aq_unit_stored_rows(unit), 50);
    leave_out_multiples(view.snapshot, unit, column, 1);
    cr_assert_eq(unit->row_count, 0);
    uint64_t all[1] = {~UINT64_C(0)};
    cr_assert_eq(aq_unit_keep_rows(view.snapshot, (struct aq_unit *)&view.units[1], all, NULL),
                 AQ_OK);
    cr_assert_not_null(aq_unit_stats(&view.units[1], column));
    aq_snapshot_close(view.snapshot);
    aq_store_close(store);
}

/* Before and after the partitions are read; those of which nothing is left are gone. */
Test(snapshot, rows_of_a_section_are_left_out)
{
    struct aq_store *store = sealed_store();
    struct view view = view_open(store);
    uint32_t column = view.schema->columns[2].id;
    leave_out_multiples(view.snapshot, (struct aq_unit *)&view.units[0], column, 2);
    cr_assert_eq(aq_snapshot_partitions(view.snapshot, view.schema->dataset_id, NULL), AQ_OK);
    leave_out_multiples(view.snapshot, (struct aq_unit *)&view.units[1], column, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(view.units[i].partition_count, 1);
        cr_assert_eq(view.units[i].partitions[0].row_count, view.units[i].row_count);
        leave_out_multiples(view.snapshot, (struct aq_unit *)&view.units[i], column, 1);
        cr_assert_eq(view.units[i].partition_count, 0);
    }
    cr_assert_eq(units_rows(view.snapshot, view.schema->dataset_id), ROWS - 2 * FRAME_ROWS);
    aq_snapshot_close(view.snapshot);
    aq_store_close(store);
}

Test(snapshot, tiles_of_an_archive)
{
    struct aq_store *store = archived_store();
    cr_assert_eq(numbers_in(store), 100);
    struct view view = view_open(store);
    cr_assert_eq(view.unit_count, 2);
    cr_assert_eq(view.units[1].kind, AQ_FILE_ARCHIVE);
    cr_assert_eq(view.units[1].row_count, 50);
    cr_assert_eq(view.units[1].min_time_us, number_time(50));
    cr_assert_eq(view.units[1].max_time_us, number_time(99));
    cr_assert(view.units[1].has_keys && aq_slice_equal(view.units[1].key_max, aq_slice_of("oslo")));
    const struct aq_column_stats *stats = aq_unit_stats(&view.units[1], view.schema->columns[2].id);
    cr_assert_eq(stats->min.integer, 50);
    cr_assert_eq(stats->max.integer, 99);
    cr_assert_null(aq_unit_stats(&view.units[1], 4711));
    /* A column that the file has not. */
    struct aq_batch batch;
    enum aq_type type = AQ_TYPE_TEXT;
    cr_assert_eq(aq_batch_init(&batch, 1, &type), AQ_OK);
    cr_assert_eq(aq_unit_read(view.snapshot, &view.units[0], &(uint32_t){4711}, &batch, NULL),
                 AQ_OK);
    cr_assert_eq(batch.row_count, 50);
    cr_assert(aq_vector_is_null(&batch.columns[0], 49));
    aq_batch_deinit(&batch);
    aq_snapshot_close(view.snapshot);
    aq_store_close(store);
}

Test(snapshot, damage_to_an_archive)
{
    struct aq_store *store = archived_store();
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(ARCHIVE), &size);
    size_t found = 0;
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        scratch_write(scratch_file(ARCHIVE), bytes, size);
        struct aq_error err = {0};
        int64_t count;
        enum aq_status status = numbers_count(store, &count, &err);
        cr_assert(status == AQ_CORRUPT || (status == AQ_OK && count == 100), "bit %zu", bit);
        if (status == AQ_CORRUPT) {
            cr_assert_str_eq(err.path, scratch_file(ARCHIVE));
            cr_assert(err.offset >= 0 && err.offset <= (int64_t)size, "bit %zu", bit);
            found++;
        }
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    cr_assert_gt(found, size);
    for (size_t length = 0; length < size; length++) {
        scratch_write(scratch_file(ARCHIVE), bytes, length);
        struct aq_error err = {0};
        int64_t count;
        enum aq_status status = numbers_count(store, &count, &err);
        cr_assert(status == AQ_CORRUPT || (status == AQ_OK && count == 100));
    }
    free(bytes);
    aq_store_close(store);
}

static enum aq_status build_record(void *context, const struct aq_catalog *catalog,
                                   struct aq_edit *edit, struct aq_error *err)
{
    (void)catalog;
    (void)err;
    return aq_edit_add(edit, context);
}

/* What is masked is no unit, and the rest is as it was. */
Test(snapshot, masked_frames_are_not_there)
{
    struct aq_store *store = sealed_store();
    struct aq_record mask = {.kind = AQ_RECORD_MASK,
                             .mask = {.file_id = 1, .feed_id = 1, .from_ordinal = 2 * FRAME_ROWS}};
    cr_assert_eq(aq_store_commit(store, build_record, &mask, NULL), AQ_OK);
    cr_assert_eq(numbers_in(store), 2 * FRAME_ROWS);
    struct view view = view_open(store);
    cr_assert_eq(view.unit_count, 2);
    aq_snapshot_close(view.snapshot);
    aq_store_close(store);
}

Test(snapshot, leases_its_version)
{
    struct aq_store *store = sealed_store();
    struct aq_snapshot *snapshot = NULL;
    bool any = true;
    uint64_t version = 0;
    cr_assert_eq(aq_lease_oldest(store, &any, &version, NULL), AQ_OK);
    cr_assert(!any);
    cr_assert_eq(aq_snapshot_open(store, &snapshot, NULL), AQ_OK);
    cr_assert_eq(aq_lease_oldest(store, &any, &version, NULL), AQ_OK);
    cr_assert(any);
    cr_assert_eq(version, aq_snapshot_catalog(snapshot)->number);
    aq_snapshot_close(snapshot);
    cr_assert_eq(aq_lease_oldest(store, &any, &version, NULL), AQ_OK);
    cr_assert(!any);
    aq_store_close(store);
}

struct reader {
    struct aq_snapshot *snapshot;
    const struct aq_unit *units;
    size_t unit_count;
    uint32_t column_id;
    int64_t sum;
};

static void *read_units(void *context)
{
    struct reader *reader = context;
    struct aq_batch batch;
    enum aq_type type = AQ_TYPE_BIGINT;
    cr_assert_eq(aq_batch_init(&batch, 1, &type), AQ_OK);
    for (int round = 0; round < 20; round++) {
        reader->sum = 0;
        for (size_t i = 0; i < reader->unit_count; i++) {
            cr_assert_eq(
                aq_unit_read(reader->snapshot, &reader->units[i], &reader->column_id, &batch, NULL),
                AQ_OK);
            for (size_t row = 0; row < batch.row_count; row++)
                reader->sum += batch.columns[0].ints[row];
        }
    }
    aq_batch_deinit(&batch);
    return NULL;
}

/* More files than may be open at once, and several threads that read them all. */
Test(snapshot, many_files_and_threads)
{
    scratch_make();
    enum { FILES = 80, THREADS = 4 };
    struct numbers numbers = {.segment_size = 1};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    for (int i = 0; i < FILES; i++)
        cr_assert_eq(numbers_append(&numbers, 3, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    struct aq_snapshot *snapshot = NULL;
    cr_assert_eq(aq_snapshot_open(numbers.store, &snapshot, NULL), AQ_OK);
    struct reader readers[THREADS];
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++) {
        readers[t] =
            (struct reader){.snapshot = snapshot, .column_id = numbers.schema->columns[2].id};
        cr_assert_eq(aq_snapshot_units(snapshot, numbers.schema->dataset_id, &readers[t].units,
                                       &readers[t].unit_count, NULL),
                     AQ_OK);
        cr_assert_eq(readers[t].unit_count, FILES);
        cr_assert_eq(pthread_create(&threads[t], NULL, read_units, &readers[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        cr_assert_eq(pthread_join(threads[t], NULL), 0);
        cr_assert_eq(readers[t].sum, INT64_C(240) * 239 / 2);
    }
    aq_snapshot_close(snapshot);
    numbers_end(&numbers);
}
