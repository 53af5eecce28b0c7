/* Archives: written and read back whole; equal rows give equal bytes; no damaged byte goes unnoticed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/archive/archive.h"
#include "format/base/checksum.h"
#include "tests/unit/archive/archive_bytes.h"
#include "tests/unit/format/golden.h"

static enum aq_status failing_sink(void *context, const void *data, size_t size,
                                   struct aq_error *err)
{
    (void)data;
    size_t *left = context;
    if (size > *left)
        return aq_error_set(err, AQ_DISK_FULL, "the disk is full");
    *left -= size;
    return AQ_OK;
}

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "station", .type = AQ_TYPE_BIGINT, .id = 2},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 3, .required = true},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE, .id = 7},
    {.name = "wind", .type = AQ_TYPE_TEXT, .id = 8},
    {.name = "ok", .type = AQ_TYPE_BOOLEAN, .id = 9},
    {.name = "none", .type = AQ_TYPE_JSON, .id = 10},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])
static uint32_t series[] = {1};

static struct aq_schema sample_schema(void)
{
    return (struct aq_schema){.dataset_id = 5,
                              .version = 2,
                              .dataset = "air",
                              .column_count = COLUMN_COUNT,
                              .columns = columns,
                              .key_column = 0,
                              .time_column = 2,
                              .slot = AQ_SLOT_DAY,
                              .series_count = 1,
                              .series = series,
                              .version_column = AQ_COLUMN_NONE};
}

/* Cities a, b, ... of two stations of `hours` rows each. */
static void fill_rows(struct aq_batch *batch, const struct aq_schema *schema, size_t city_count,
                      size_t hours)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    static const char *const winds[] = {"N", "NE", "", "SW"};
    cr_assert_eq(aq_schema_batch_init(schema, false, batch), AQ_OK);
    struct aq_vector *at = batch->columns;
    for (size_t row = 0; row < city_count * 2 * hours; row++) {
        int64_t hour = (int64_t)(row % hours);
        cr_assert_eq(aq_vector_append_slice(&at[0], aq_slice_of(names[row / hours / 2])), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&at[1], (int64_t)(row / hours % 2)), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&at[2], hour * AQ_US_PER_HOUR), AQ_OK);
        cr_assert_eq(aq_vector_append_double(&at[3], (double)(row * 7 % 100) / 10), AQ_OK);
        cr_assert_eq(row % 5 == 2 ? aq_vector_append_null(&at[4])
                                  : aq_vector_append_slice(&at[4], aq_slice_of(winds[row / 3 % 4])),
                     AQ_OK);
        cr_assert_eq(aq_vector_append_int(&at[5], row % 3 == 0), AQ_OK);
        cr_assert_eq(aq_vector_append_null(&at[6]), AQ_OK);
        batch->row_count++;
    }
}

Test(archive, round_trip_with_directories_and_statistics)
{
    struct aq_schema schema = sample_schema();
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_bytes copy = {0};
    struct aq_content_hash written;
    struct aq_content_hash read;
    struct aq_error err = {0};
    fill_rows(&rows, &schema, 2, 1500);
    write_archive(&schema, &rows, 3, NULL, &file, &copy, &written);
    cr_assert_eq(read_archive(aq_bytes_view(&file), &read, &err), AQ_OK, "%s", err.message);
    cr_assert(aq_content_hash_equal(&written, &read));
    cr_assert_eq(written.row_count, 18000);

    struct aq_arena arena = {0};
    struct aq_archive_root root;
    cr_assert_eq(aq_archive_root_decode(aq_bytes_view(&copy), &arena, &root, &err), AQ_OK);
    cr_assert_eq(root.tile_count, 3);
    cr_assert_eq(root.file_size_bytes, file.size);
    cr_assert_eq(root.row_count, 18000);
    cr_assert_eq(root.store_id.bytes[7], 0x5a);
    cr_assert_eq(root.stats[6].null_count, 18000);
    cr_assert_eq(root.stats[3].sum_known, true);
    cr_assert_eq(root.stats[3].max.real, 9.9);
    const struct aq_tile_entry *tile = &root.tiles[1];
    cr_assert(aq_slice_equal(tile->key_min, aq_slice_of("a")));
    cr_assert(aq_slice_equal(tile->key_max, aq_slice_of("b")));
    cr_assert_eq(tile->max_time_us, 1499 * AQ_US_PER_HOUR);
    struct aq_tile_directory directory;
    struct aq_slice bytes =
        aq_slice_make(file.data + tile->directory_offset, tile->directory_size_bytes);
    cr_assert_eq(aq_tile_directory_decode(bytes, tile, &root, &arena, &directory, &err), AQ_OK);
    cr_assert_eq(directory.run_count, 4);
    cr_assert_eq(directory.runs[2].row_first, 3000);
    cr_assert_eq(directory.runs[2].row_count, 1500);
    cr_assert(aq_slice_equal(directory.runs[2].key, aq_slice_of("b")));
    cr_assert_eq(directory.runs[2].max_time_us, 1499 * AQ_US_PER_HOUR);
    cr_assert_eq(directory.chunks[4].stats.null_count, 1200);
    aq_arena_deinit(&arena);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
    aq_bytes_deinit(&copy);
}

static void run_backwards(void *context, size_t count,
                          void (*task)(void *task_context, size_t index), void *task_context)
{
    (void)context;
    while (count > 0)
        task(task_context, --count);
}

Test(archive, bytes_do_not_depend_on_the_executor)
{
    struct aq_schema schema = sample_schema();
    struct aq_executor executor = {.run = run_backwards};
    struct aq_batch rows;
    struct aq_bytes files[2] = {0};
    struct aq_content_hash content;
    fill_rows(&rows, &schema, 3, 200);
    write_archive(&schema, &rows, 2, NULL, &files[0], NULL, &content);
    write_archive(&schema, &rows, 2, &executor, &files[1], NULL, &content);
    cr_assert(aq_slice_equal(aq_bytes_view(&files[0]), aq_bytes_view(&files[1])));
    aq_bytes_deinit(&files[0]);
    aq_bytes_deinit(&files[1]);
    aq_batch_deinit(&rows);
}

Test(archive, without_key_or_time)
{
    struct aq_schema schema = sample_schema();
    schema.key_column = AQ_COLUMN_NONE;
    schema.time_column = AQ_COLUMN_NONE;
    schema.slot = AQ_SLOT_NONE;
    schema.series_count = 0;
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_content_hash written;
    struct aq_content_hash read;
    struct aq_error err = {0};
    fill_rows(&rows, &schema, 1, 3);
    write_archive(&schema, &rows, 1, NULL, &file, NULL, &written);
    cr_assert_eq(read_archive(aq_bytes_view(&file), &read, &err), AQ_OK, "%s", err.message);
    cr_assert(aq_content_hash_equal(&written, &read));
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

Test(archive, long_keys_and_many_runs)
{
    struct aq_schema schema = sample_schema();
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_content_hash written;
    struct aq_content_hash read;
    struct aq_error err = {0};
    char key[300];
    fill_rows(&rows, &schema, 1, 1000);
    for (size_t row = 0; row < rows.row_count; row++) {
        int size = snprintf(key, sizeof key, "%0*zu", row % 2 == 0 ? 200 : 201, row);
        if (row % 2 == 0)
            key[0] = '/';
        rows.columns[0].slices[row] =
            aq_slice_make(aq_arena_copy(&rows.arena, key, (size_t)size), (size_t)size);
    }
    /* Even rows first: "/..." sorts before "0...". */
    struct aq_batch sorted;
    cr_assert_eq(aq_schema_batch_init(&schema, false, &sorted), AQ_OK);
    for (size_t i = 0; i < rows.row_count; i++) {
        size_t row = i < rows.row_count / 2 ? i * 2 : (i - rows.row_count / 2) * 2 + 1;
        for (size_t c = 0; c < COLUMN_COUNT; c++)
            cr_assert_eq(
                aq_vector_append_from(&sorted.columns[c], &rows.columns[c], row, &sorted.arena),
                AQ_OK);
        sorted.row_count++;
    }
    write_archive(&schema, &sorted, 1, NULL, &file, NULL, &written);
    cr_assert_eq(read_archive(aq_bytes_view(&file), &read, &err), AQ_OK, "%s", err.message);
    cr_assert(aq_content_hash_equal(&written, &read));
    aq_batch_deinit(&rows);
    aq_batch_deinit(&sorted);
    aq_bytes_deinit(&file);
}

static enum aq_status read_exact(const struct aq_bytes *file, size_t size,
                                 struct aq_content_hash *content)
{
    struct aq_error err = {0};
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    memcpy(exact, file->data, size);
    enum aq_status status = read_archive(aq_slice_make(exact, size), content, &err);
    cr_assert(status == AQ_OK || err.message[0] != '\0');
    free(exact);
    return status;
}

Test(archive, no_flip_or_truncation_goes_unnoticed)
{
    struct aq_schema schema = sample_schema();
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_content_hash content;
    fill_rows(&rows, &schema, 1, 40);
    write_archive(&schema, &rows, 1, NULL, &file, NULL, &content);
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum aq_status status = read_exact(&file, file.size, &content);
        cr_assert_eq(status, AQ_CORRUPT, "bit %zu of byte %zu", bit % 8, bit / 8);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < file.size; size++)
        cr_assert_eq(read_exact(&file, size, &content), AQ_CORRUPT, "cut to %zu bytes", size);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

Test(archive, a_newer_version_is_unsupported_not_corrupt)
{
    struct aq_schema schema = sample_schema();
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_content_hash content;
    struct aq_error err = {0};
    fill_rows(&rows, &schema, 1, 2);
    write_archive(&schema, &rows, 1, NULL, &file, NULL, &content);
    file.data[8] = 9;
    aq_bytes_patch_u64(&file, 56, aq_checksum(file.data, 56));
    cr_assert_eq(aq_archive_header_check(aq_bytes_view(&file), &err), AQ_UNSUPPORTED);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

Test(archive, the_root_stays_within_its_limit)
{
    struct aq_schema schema = sample_schema();
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_bytes root = {0};
    struct aq_content_hash content;
    struct aq_content_hash read;
    struct aq_error err = {0};
    struct aq_archive_options options = {
        .schema = &schema, .sink = archive_sink, .sink_context = &file};
    struct aq_archive_writer *writer;
    fill_rows(&rows, &schema, 1, 1);
    cr_assert_eq(aq_archive_writer_create(&options, &writer, &err), AQ_OK);
    while (!aq_archive_writer_full(writer))
        cr_assert_eq(aq_archive_writer_tile(writer, &rows, &err), AQ_OK);
    cr_assert_eq(aq_archive_writer_finish(writer, &root, &content, &err), AQ_OK);
    cr_assert_leq(root.size, AQ_ARCHIVE_ROOT_BYTES_MAX);
    cr_assert_geq(root.size, AQ_ARCHIVE_ROOT_BYTES_MAX / 2);
    cr_assert_eq(read_archive(aq_bytes_view(&file), &read, &err), AQ_OK, "%s", err.message);
    aq_archive_writer_destroy(writer);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
    aq_bytes_deinit(&root);
}

Test(archive, a_failing_sink_is_reported_wherever_it_fails)
{
    struct aq_schema schema = sample_schema();
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_content_hash content;
    fill_rows(&rows, &schema, 1, 40);
    write_archive(&schema, &rows, 1, NULL, &file, NULL, &content);
    for (size_t size = 0; size < file.size; size += 16) {
        size_t left = size;
        struct aq_archive_options options = {
            .schema = &schema, .sink = failing_sink, .sink_context = &left};
        struct aq_archive_writer *writer;
        struct aq_error err = {0};
        enum aq_status status = aq_archive_writer_create(&options, &writer, &err);
        if (status == AQ_OK)
            status = aq_archive_writer_tile(writer, &rows, &err);
        if (status == AQ_OK)
            status = aq_archive_writer_finish(writer, NULL, &content, &err);
        cr_assert_eq(status, AQ_DISK_FULL);
        aq_archive_writer_destroy(writer);
    }
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

static void check_golden(bool unique, const char *name)
{
    static uint32_t unique_columns[] = {0, 1};
    static struct aq_column golden_columns[] = {
        {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
        {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
        {.name = "pm25", .type = AQ_TYPE_DOUBLE, .id = 3},
    };
    static const double values[] = {12.5, 13.0, 0, 40.5};
    struct aq_schema schema = archive_schema(golden_columns, 3);
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_content_hash content;
    struct aq_content_hash read;
    struct aq_error err = {0};
    schema.unique_count = unique ? 2 : 0;
    schema.unique = unique_columns;
    cr_assert_eq(aq_schema_stored_batch_init(&schema, &rows), AQ_OK);
    for (size_t i = 0; i < 4; i++) {
        int64_t hour = 15706 * 24 + (int64_t)(i % 3); /* of 2013-01-01 */
        struct aq_slice city = aq_slice_of(i < 3 ? "hanoi" : "hue");
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], city), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[1], hour * AQ_US_PER_HOUR), AQ_OK);
        cr_assert_eq(i == 2 ? aq_vector_append_null(&rows.columns[2])
                            : aq_vector_append_double(&rows.columns[2], values[i]),
                     AQ_OK);
        if (unique) { /* the last one is of a time before arrivals were kept */
            struct aq_vector *arrival = &rows.columns[3];
            int64_t stamp = (hour + 2) * AQ_US_PER_HOUR;
            cr_assert_eq(i == 3 ? aq_vector_append_null(&arrival[AQ_ARRIVAL_STAMP])
                                : aq_vector_append_int(&arrival[AQ_ARRIVAL_STAMP], stamp),
                         AQ_OK);
            cr_assert_eq(i == 3 ? aq_vector_append_null(&arrival[AQ_ARRIVAL_ORDINAL])
                                : aq_vector_append_int(&arrival[AQ_ARRIVAL_ORDINAL], 70 + (int)i),
                         AQ_OK);
        }
        rows.row_count++;
    }
    write_archive(&schema, &rows, 1, NULL, &file, NULL, &content);
    golden_expect(name, aq_bytes_view(&file));
    cr_assert_eq(read_archive(aq_bytes_view(&file), &read, &err), AQ_OK, "%s", err.message);
    cr_assert(aq_content_hash_equal(&content, &read));
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

/* The worked example of docs/archive-format.md. */
Test(archive, golden_bytes)
{
    check_golden(false, "archive.bin");
}

/* Its rows with the times of their arrival. */
Test(archive, golden_bytes_of_a_dataset_with_unique)
{
    check_golden(true, "archive-unique.bin");
}
