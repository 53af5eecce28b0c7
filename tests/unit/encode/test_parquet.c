/* Parquet: streams of integers come back, files of the writer come back by the reader, row group by row group. */
#include <criterion/criterion.h>
#include <zstd.h>

#include "format/parquet/read/parquet_read.h"
#include "format/parquet/write/parquet_write.h"

#define NUMBERS 3000

static uint64_t random_bits(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state ^ *state >> 29;
}

Test(parquet, hybrid_comes_back)
{
    static uint32_t values[NUMBERS];
    uint64_t state = 1;
    for (unsigned bit_width = 0; bit_width <= 32; bit_width++) {
        for (size_t count = 0; count < NUMBERS; count += 1 + count / 2) {
            struct aq_bytes bytes = {0};
            for (size_t i = 0; i < count; i++) {
                bool again = i > 0 && random_bits(&state) % (1 + i / 100) > 0;
                uint64_t mask = (UINT64_C(1) << bit_width) - 1;
                values[i] = again ? values[i - 1] : (uint32_t)(random_bits(&state) & mask);
            }
            aq_parquet_hybrid_encode(values, count, bit_width, &bytes);
            struct aq_parquet_hybrid hybrid = {.bytes = aq_reader_make(aq_bytes_view(&bytes)),
                                               .bit_width = bit_width};
            for (size_t i = 0; i < count; i++)
                cr_assert_eq(aq_parquet_hybrid_next(&hybrid), values[i], "%u bits, %zu of %zu",
                             bit_width, i, count);
            aq_bytes_deinit(&bytes);
        }
    }
}

static void check_delta(const int64_t *values, size_t count, bool is_32)
{
    struct aq_bytes bytes = {0};
    aq_parquet_delta_encode(values, count, is_32, &bytes);
    aq_bytes_u8(&bytes, 0xee); /* what follows */
    struct aq_parquet_delta delta = {.bytes = aq_reader_make(aq_bytes_view(&bytes))};
    aq_parquet_delta_begin(&delta);
    struct aq_parquet_delta passed = delta;
    for (size_t i = 0; i < count; i++) {
        int64_t value = aq_parquet_delta_next(&delta);
        cr_assert_eq(is_32 ? (int32_t)value : value, values[i], "%zu of %zu", i, count);
    }
    cr_assert_not(delta.bytes.failed);
    aq_parquet_delta_pass(&passed);
    cr_assert_eq(aq_reader_u8(&passed.bytes), 0xee);
    aq_parquet_delta_next(&delta);
    cr_assert(delta.bytes.failed);
    aq_bytes_deinit(&bytes);
}

Test(parquet, delta_comes_back)
{
    static int64_t values[NUMBERS];
    uint64_t state = 2;
    for (unsigned shift = 0; shift < 64; shift += 3) {
        for (size_t count = 0; count < NUMBERS; count += 1 + count / 2) {
            for (size_t i = 0; i < count; i++)
                values[i] = (int64_t)random_bits(&state) >> shift;
            check_delta(values, count, shift >= 32);
        }
    }
    int64_t extremes[] = {INT64_MAX, INT64_MIN, -1, 0, INT64_MIN, INT64_MAX};
    check_delta(extremes, 6, false);
    int64_t narrow[] = {INT32_MAX, INT32_MIN, -1, 0, INT32_MIN, INT32_MAX};
    check_delta(narrow, 6, true);
}

static enum aq_status append(void *context, const void *data, size_t size, struct aq_error *err)
{
    (void)err;
    aq_bytes_append(context, data, size);
    return aq_bytes_status(context);
}

static enum aq_status read_at(void *context, uint64_t offset, void *buffer, size_t size,
                              struct aq_error *err)
{
    const struct aq_bytes *file = context;
    (void)err;
    cr_assert_leq(offset + size, file->size);
    memcpy(buffer, file->data + offset, size);
    return AQ_OK;
}

static const struct aq_column columns[] = {
    {.name = "n", .type = AQ_TYPE_BIGINT},  {.name = "i", .type = AQ_TYPE_INTEGER},
    {.name = "x", .type = AQ_TYPE_DOUBLE},  {.name = "b", .type = AQ_TYPE_BOOLEAN},
    {.name = "word", .type = AQ_TYPE_TEXT}, {.name = "t", .type = AQ_TYPE_TIMESTAMPTZ},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static void fill(struct aq_batch *batch, size_t count)
{
    static const char *const words[] = {"", "a", "wind", "a longer text than the others"};
    for (size_t i = 0; i < count; i++) {
        bool null = i % 5 == 3;
        enum aq_status status = AQ_OK;
        for (size_t c = 0; c < COLUMN_COUNT && status == AQ_OK; c++) {
            struct aq_vector *vector = &batch->columns[c];
            if (null && c > 0)
                status = aq_vector_append_null(vector);
            else if (columns[c].type == AQ_TYPE_TEXT)
                status = aq_vector_append_slice(vector, aq_slice_of(words[i % 4]));
            else if (columns[c].type == AQ_TYPE_DOUBLE)
                status = aq_vector_append_double(vector, i % 7 == 0 ? -0.0 : (double)i / 8);
            else
                status = aq_vector_append_int(vector, c == 3   ? i % 3 == 0
                                                      : c == 1 ? -(int64_t)i
                                                               : (int64_t)(i * i));
        }
        cr_assert_eq(status, AQ_OK);
        batch->row_count++;
    }
}

static enum aq_status unpack_zstd(enum aq_parquet_codec codec, struct aq_slice packed, uint8_t *out,
                                  size_t out_size)
{
    cr_assert_eq(codec, AQ_PARQUET_ZSTD);
    return ZSTD_decompress(out, out_size, packed.data, packed.size) == out_size ? AQ_OK
                                                                                : AQ_CORRUPT;
}

static void check_value(const struct aq_vector *vector, size_t row,
                        const struct aq_parquet_value *value)
{
    cr_assert_eq(value->is_null, aq_vector_is_null(vector, row));
    if (value->is_null)
        return;
    if (vector->type == AQ_TYPE_TEXT)
        cr_assert(aq_slice_equal(value->bytes, vector->slices[row]));
    else /* doubles by their bits */
        cr_assert_eq(value->integer, vector->ints[row], "row %zu", row);
}

static void check_file(struct aq_bytes *file, const struct aq_batch *batch, size_t group_rows)
{
    struct aq_parquet_input input = {.context = file,
                                     .size_bytes = file->size,
                                     .read = read_at,
                                     .unpack = unpack_zstd,
                                     .memory_bytes = (size_t)1 << 24};
    struct aq_arena arena = {0};
    struct aq_parquet_footer footer;
    cr_assert_eq(aq_parquet_footer_read(&input, &arena, &footer, NULL), AQ_OK);
    cr_assert_eq(footer.leaf_count, COLUMN_COUNT);
    cr_assert_eq(footer.row_count, batch->row_count);
    cr_assert_eq(footer.group_count, (batch->row_count + group_rows - 1) / group_rows);
    for (size_t i = 0; i < footer.group_count * COLUMN_COUNT; i++) {
        struct aq_parquet_group *group = &footer.groups[i / COLUMN_COUNT];
        size_t column = i % COLUMN_COUNT;
        struct aq_parquet_cursor *cursor = NULL;
        size_t left = input.memory_bytes;
        struct aq_parquet_value value;
        cr_assert_eq(aq_parquet_cursor_open(&input, &footer.leaves[column], &group->chunks[column],
                                            group->row_count, &left, &cursor, NULL),
                     AQ_OK);
        for (size_t row = 0; row < group->row_count; row++) {
            cr_assert_eq(aq_parquet_cursor_next(cursor, &value, NULL), AQ_OK);
            check_value(&batch->columns[column], i / COLUMN_COUNT * group_rows + row, &value);
        }
        aq_parquet_cursor_close(cursor);
        cr_assert_eq(left, input.memory_bytes);
    }
    aq_arena_deinit(&arena);
}

static void write_file(size_t count, size_t group_rows, struct aq_batch *batch,
                       struct aq_bytes *file)
{
    enum aq_type types[COLUMN_COUNT];
    struct aq_parquet_writer *writer = NULL;
    struct aq_parquet_options options = {.column_count = COLUMN_COUNT,
                                         .columns = columns,
                                         .created_by = "test",
                                         .group_rows_max = group_rows,
                                         .sink = append,
                                         .sink_context = file};
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        types[i] = columns[i].type;
    cr_assert_eq(aq_batch_init(batch, COLUMN_COUNT, types), AQ_OK);
    fill(batch, count);
    cr_assert_eq(aq_parquet_writer_create(&options, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_parquet_writer_append(writer, batch, NULL), AQ_OK);
    cr_assert_eq(aq_parquet_writer_end(writer, NULL), AQ_OK);
    aq_parquet_writer_destroy(writer);
}

static void check_round_trip(size_t count, size_t group_rows)
{
    struct aq_batch batch;
    struct aq_bytes file = {0};
    write_file(count, group_rows, &batch, &file);
    check_file(&file, &batch, group_rows);
    aq_bytes_deinit(&file);
    aq_batch_deinit(&batch);
}

Test(parquet, files_come_back)
{
    check_round_trip(0, 10);
    check_round_trip(1, 10);
    check_round_trip(70, 7);
    check_round_trip(150000, 140000); /* more than a page */
}

/* The last byte of each chunk is one of its last page's. */
Test(parquet, a_page_that_was_changed_is_noticed)
{
    struct aq_batch batch;
    struct aq_bytes file = {0};
    struct aq_arena arena = {0};
    struct aq_parquet_footer footer;
    write_file(70, 70, &batch, &file);
    struct aq_parquet_input input = {.context = &file,
                                     .size_bytes = file.size,
                                     .read = read_at,
                                     .unpack = unpack_zstd,
                                     .memory_bytes = (size_t)1 << 24};
    cr_assert_eq(aq_parquet_footer_read(&input, &arena, &footer, NULL), AQ_OK);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        const struct aq_parquet_chunk *chunk = &footer.groups[0].chunks[i];
        struct aq_parquet_cursor *cursor = NULL;
        struct aq_parquet_value value;
        struct aq_error err = {0};
        size_t left = input.memory_bytes;
        file.data[chunk->offset + chunk->size_bytes - 1] ^= 4;
        cr_assert_eq(
            aq_parquet_cursor_open(&input, &footer.leaves[i], chunk, 70, &left, &cursor, NULL),
            AQ_OK);
        cr_expect_eq(aq_parquet_cursor_next(cursor, &value, &err), AQ_CORRUPT);
        cr_expect_not_null(strstr(err.message, "checksum"), "%s", err.message);
        cr_expect(err.offset >= (int64_t)chunk->offset &&
                  err.offset < (int64_t)(chunk->offset + chunk->size_bytes));
        aq_parquet_cursor_close(cursor);
    }
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&file);
    aq_batch_deinit(&batch);
}
