/* Schemas: bytes there and back, hostile bytes refused, storage order, key texts. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "format/table/key_text.h"
#include "format/table/schema.h"

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "station", .type = AQ_TYPE_TEXT, .id = 2},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 3, .required = true},
    {.name = "température", .type = AQ_TYPE_DOUBLE, .id = 7, .hidden = true},
};
static uint32_t series[] = {1};
static uint32_t unique_columns[] = {0, 1, 2};

static struct aq_schema sample(void)
{
    return (struct aq_schema){.dataset_id = 5,
                              .version = 2,
                              .dataset = "air_quality",
                              .column_count = 4,
                              .columns = columns,
                              .key_column = 0,
                              .time_column = 2,
                              .slot = AQ_SLOT_MONTH,
                              .series_count = 1,
                              .series = series,
                              .unique_count = 3,
                              .unique = unique_columns,
                              .keep = AQ_KEEP_FIRST,
                              .version_column = AQ_COLUMN_NONE,
                              .retention_us = 42};
}

static void expect_same(const struct aq_schema *a, const struct aq_schema *b)
{
    struct aq_bytes bytes_a = {0};
    struct aq_bytes bytes_b = {0};
    aq_schema_encode(a, &bytes_a);
    aq_schema_encode(b, &bytes_b);
    cr_assert(aq_slice_equal(aq_bytes_view(&bytes_a), aq_bytes_view(&bytes_b)));
    aq_bytes_deinit(&bytes_a);
    aq_bytes_deinit(&bytes_b);
}

Test(schema, round_trip_and_copy)
{
    struct aq_schema schema = sample();
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    aq_schema_encode(&schema, &bytes);
    struct aq_schema back;
    cr_assert_eq(aq_schema_decode(aq_bytes_view(&bytes), &arena, &back, NULL), AQ_OK);
    expect_same(&schema, &back);
    cr_assert_str_eq(back.dataset, "air_quality");
    cr_assert_eq(back.version_column, AQ_COLUMN_NONE);
    cr_assert_eq(back.columns[3].hidden, true);
    cr_assert_eq(aq_schema_find(&back, "température"), 3);
    cr_assert_eq(aq_schema_find(&back, "nothing"), AQ_COLUMN_NONE);
    struct aq_schema copy;
    cr_assert_eq(aq_schema_copy(&back, &arena, &copy), AQ_OK);
    expect_same(&schema, &copy);
    cr_assert_neq(copy.columns[0].name, back.columns[0].name);
    aq_bytes_deinit(&bytes);
    aq_arena_deinit(&arena);
}

/* Whatever is decoded from changed bytes must be a schema that encodes to those bytes. */
Test(schema, changed_bytes_are_refused_or_another_valid_schema)
{
    struct aq_schema schema = sample();
    struct aq_bytes bytes = {0};
    aq_schema_encode(&schema, &bytes);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct aq_arena arena = {0};
        struct aq_schema back;
        enum aq_status status = aq_schema_decode(aq_bytes_view(&bytes), &arena, &back, NULL);
        cr_assert(status == AQ_OK || status == AQ_CORRUPT);
        if (status == AQ_OK) {
            struct aq_bytes again = {0};
            aq_schema_encode(&back, &again);
            cr_assert(aq_slice_equal(aq_bytes_view(&bytes), aq_bytes_view(&again)));
            aq_bytes_deinit(&again);
        }
        aq_arena_deinit(&arena);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < bytes.size; size++) {
        struct aq_arena arena = {0};
        struct aq_schema back;
        struct aq_slice cut = aq_slice_make(bytes.data, size);
        cr_assert_eq(aq_schema_decode(cut, &arena, &back, NULL), AQ_CORRUPT);
        aq_arena_deinit(&arena);
    }
    aq_bytes_deinit(&bytes);
}

static enum aq_status decode_changed(const struct aq_schema *schema)
{
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    struct aq_schema back;
    aq_schema_encode(schema, &bytes);
    enum aq_status status = aq_schema_decode(aq_bytes_view(&bytes), &arena, &back, NULL);
    aq_bytes_deinit(&bytes);
    aq_arena_deinit(&arena);
    return status;
}

Test(schema, contradictions_are_corrupt)
{
    struct aq_schema schema = sample();
    struct aq_column changed[4];
    schema.columns = changed;
    memcpy(changed, columns, sizeof changed);
    cr_assert_eq(decode_changed(&schema), AQ_OK);
    changed[1].name = "city";
    cr_assert_eq(decode_changed(&schema), AQ_CORRUPT, "two columns of one name");
    changed[1].name = "st\xed\xa0\x80";
    cr_assert_eq(decode_changed(&schema), AQ_CORRUPT, "a surrogate is not UTF-8");
    changed[1] = columns[1];
    changed[1].id = 1;
    cr_assert_eq(decode_changed(&schema), AQ_CORRUPT, "two columns of one id");
    changed[1] = columns[1];
    schema.time_column = 1;
    cr_assert_eq(decode_changed(&schema), AQ_CORRUPT, "a time column of text");
    schema.time_column = AQ_COLUMN_NONE;
    cr_assert_eq(decode_changed(&schema), AQ_CORRUPT, "a slot without time");
    schema.slot = AQ_SLOT_NONE;
    cr_assert_eq(decode_changed(&schema), AQ_OK);
    uint32_t beyond[] = {4};
    schema.series = beyond;
    cr_assert_eq(decode_changed(&schema), AQ_CORRUPT, "a series column that is not there");
}

Test(schema, rejects_dataset)
{
    struct aq_schema schema = sample();
    struct aq_arena arena = {0};
    struct aq_schema rejects;
    cr_assert_eq(aq_schema_rejects(&schema, 6, &arena, &rejects), AQ_OK);
    cr_assert_str_eq(rejects.dataset, "air_quality_rejects");
    cr_assert_eq(rejects.rejects_of, 5);
    cr_assert_str_eq(rejects.columns[AQ_REJECT_BYTES].name, "bytes");
    cr_assert_eq(decode_changed(&rejects), AQ_OK);
    aq_arena_deinit(&arena);
}

static void add_row(struct aq_batch *batch, const char *city, const char *station, int64_t ts,
                    double value)
{
    cr_assert_eq(aq_vector_append_slice(&batch->columns[0], aq_slice_of(city)), AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&batch->columns[1], aq_slice_of(station)), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[2], ts), AQ_OK);
    cr_assert_eq(aq_vector_append_double(&batch->columns[3], value), AQ_OK);
    batch->row_count++;
}

Test(schema, rows_order_by_key_series_time_then_the_rest)
{
    struct aq_schema schema = sample();
    struct aq_batch batch;
    cr_assert_eq(aq_schema_batch_init(&schema, false, &batch), AQ_OK);
    add_row(&batch, "a", "x", 9, 1);
    add_row(&batch, "a", "y", 1, -0.0);
    add_row(&batch, "a", "y", 2, 0.0);
    add_row(&batch, "a", "y", 2, -0.0);
    add_row(&batch, "b", "a", 0, 0);
    for (size_t row = 0; row + 1 < batch.row_count; row++) {
        cr_expect_lt(aq_schema_compare_rows(&schema, &batch, row, &batch, row + 1), 0);
        cr_expect_gt(aq_schema_compare_rows(&schema, &batch, row + 1, &batch, row), 0);
        cr_expect_eq(aq_schema_compare_rows(&schema, &batch, row, &batch, row), 0);
    }
    cr_assert_eq(aq_schema_compare_series(&schema, &batch, 1, &batch, 3), 0);
    cr_assert_lt(aq_schema_compare_series(&schema, &batch, 0, &batch, 1), 0);
    aq_batch_deinit(&batch);
    cr_assert_eq(aq_schema_batch_init(&schema, true, &batch), AQ_OK);
    cr_assert_eq(batch.column_count, 7);
    cr_assert_eq(batch.columns[6].type, AQ_TYPE_TIMESTAMPTZ);
    aq_batch_deinit(&batch);
}

static void expect_int_text(enum aq_type type, int64_t value, const char *expected)
{
    struct aq_vector vector;
    struct aq_arena arena = {0};
    struct aq_slice text;
    aq_vector_init(&vector, type);
    cr_assert_eq(aq_vector_append_int(&vector, value), AQ_OK);
    cr_assert_eq(aq_key_text(&vector, 0, &arena, &text), AQ_OK);
    cr_assert(aq_slice_equal(text, aq_slice_of(expected)), "%.*s, expected %s", (int)text.size,
              (const char *)text.data, expected);
    aq_vector_deinit(&vector);
    aq_arena_deinit(&arena);
}

static void expect_double_text(enum aq_type type, double value, const char *expected)
{
    struct aq_vector vector;
    struct aq_arena arena = {0};
    struct aq_slice text;
    aq_vector_init(&vector, type);
    cr_assert_eq(aq_vector_append_double(&vector, value), AQ_OK);
    cr_assert_eq(aq_key_text(&vector, 0, &arena, &text), AQ_OK);
    cr_assert(aq_slice_equal(text, aq_slice_of(expected)), "%.*s, expected %s", (int)text.size,
              (const char *)text.data, expected);
    aq_vector_deinit(&vector);
    aq_arena_deinit(&arena);
}

Test(key_text, one_text_per_value)
{
    expect_int_text(AQ_TYPE_BIGINT, INT64_MIN, "-9223372036854775808");
    expect_int_text(AQ_TYPE_BOOLEAN, 1, "true");
    expect_int_text(AQ_TYPE_DATE, 0, "1970-01-01");
    expect_int_text(AQ_TYPE_DATE, INT64_MAX, "9223372036854775807d");
    expect_int_text(AQ_TYPE_TIMESTAMPTZ, -1, "1969-12-31T23:59:59.999999Z");
    expect_int_text(AQ_TYPE_TIMESTAMPTZ, 1362096000500000, "2013-03-01T00:00:00.5Z");
    expect_int_text(AQ_TYPE_TIMESTAMPTZ, INT64_MIN, "-290308-12-21T19:59:05.224192Z");
    expect_double_text(AQ_TYPE_DOUBLE, -0.0, "0");
    expect_double_text(AQ_TYPE_DOUBLE, 0.1, "0.1");
    expect_double_text(AQ_TYPE_DOUBLE, 5e-324, "5e-324");
    expect_double_text(AQ_TYPE_DOUBLE, -INFINITY, "-Infinity");
    expect_double_text(AQ_TYPE_DOUBLE, nan("7"), "NaN");
    expect_double_text(AQ_TYPE_REAL, (double)0.1f, "0.1");
    expect_double_text(AQ_TYPE_DOUBLE, (double)0.1f, "0.10000000149011612");
}
