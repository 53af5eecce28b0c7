/* Vectors and batches: validity, growth, both orders, the content hash. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "format/table/vector.h"

static double nan_with(uint64_t payload)
{
    uint64_t bits = UINT64_C(0x7ff8000000000000) | payload;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

Test(vector, validity_appears_with_the_first_null_and_survives_growth)
{
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    for (int64_t i = 0; i < 100; i++)
        cr_assert_eq(aq_vector_append_int(&vector, i), AQ_OK);
    cr_assert_null(vector.valid);
    cr_assert_eq(aq_vector_append_null(&vector), AQ_OK);
    for (int64_t i = 101; i < 1000; i++)
        cr_assert_eq(aq_vector_append_int(&vector, i), AQ_OK);
    for (size_t row = 0; row < 1000; row++) {
        cr_assert_eq(aq_vector_is_null(&vector, row), row == 100);
        cr_assert_eq(vector.ints[row], row == 100 ? 0 : (int64_t)row);
    }
    aq_vector_clear(&vector);
    cr_assert_eq(vector.row_count, 0);
    cr_assert_null(vector.valid);
    cr_assert_eq(aq_vector_append_null(&vector), AQ_OK);
    cr_assert(aq_vector_is_null(&vector, 0));
    aq_vector_deinit(&vector);
}

Test(vector, resized_rows_are_valid)
{
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    cr_assert_eq(aq_vector_append_null(&vector), AQ_OK);
    cr_assert_eq(aq_vector_resize(&vector, 5000), AQ_OK);
    cr_assert(aq_vector_is_null(&vector, 0));
    cr_assert_not(aq_vector_is_null(&vector, 4999));
    cr_assert_eq(aq_vector_resize(&vector, 1), AQ_OK);
    cr_assert_eq(aq_vector_append_double(&vector, 2.5), AQ_OK);
    cr_assert_not(aq_vector_is_null(&vector, 1));
    aq_vector_deinit(&vector);
}

Test(vector, a_row_is_taken_over_with_or_without_its_bytes)
{
    struct aq_arena arena = {0};
    struct aq_vector from;
    struct aq_vector to;
    char bytes[] = "text";
    aq_vector_init(&from, AQ_TYPE_TEXT);
    aq_vector_init(&to, AQ_TYPE_TEXT);
    cr_assert_eq(aq_vector_append_slice(&from, aq_slice_of(bytes)), AQ_OK);
    cr_assert_eq(aq_vector_append_null(&from), AQ_OK);
    cr_assert_eq(aq_vector_append_from(&to, &from, 0, &arena), AQ_OK);
    cr_assert_eq(aq_vector_append_from(&to, &from, 0, NULL), AQ_OK);
    cr_assert_eq(aq_vector_append_from(&to, &from, 1, &arena), AQ_OK);
    bytes[0] = 'n';
    cr_assert(aq_slice_equal(to.slices[0], aq_slice_of("text")));
    cr_assert(aq_slice_equal(to.slices[1], aq_slice_of("next")));
    cr_assert(aq_vector_is_null(&to, 2));
    aq_vector_deinit(&from);
    aq_vector_deinit(&to);
    aq_arena_deinit(&arena);
}

/* Ascending by bits; those of one `rank` are equal by value. */
Test(vector, doubles_order_by_value_and_by_bits)
{
    const struct {
        double value;
        int rank;
    } rows[] = {{-INFINITY, 0}, {-1.5, 1}, {-5e-324, 2},  {0.0, 3},         {-0.0, 3},
                {5e-324, 4},    {1.5, 5},  {INFINITY, 6}, {nan_with(1), 7}, {nan_with(9), 7}};
    const size_t count = sizeof rows / sizeof rows[0];
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aq_vector_append_double(&vector, rows[i].value), AQ_OK);
    cr_assert_eq(aq_vector_append_null(&vector), AQ_OK);
    for (size_t a = 0; a < count; a++) {
        for (size_t b = 0; b < count; b++) {
            int order = aq_vector_compare(&vector, a, &vector, b);
            int exact = aq_vector_compare_bits(&vector, a, &vector, b);
            int expected = (rows[a].rank > rows[b].rank) - (rows[a].rank < rows[b].rank);
            cr_assert_eq((order > 0) - (order < 0), expected, "%zu and %zu", a, b);
            cr_assert_eq((exact > 0) - (exact < 0), (a > b) - (a < b), "%zu and %zu", a, b);
        }
        cr_assert_lt(aq_vector_compare(&vector, a, &vector, count), 0, "nulls are above all");
    }
    cr_assert_eq(aq_vector_compare(&vector, count, &vector, count), 0);
    aq_vector_deinit(&vector);
}

Test(vector, intervals_compare_as_postgresql_does)
{
    const struct aq_interval month = {.months = 1};
    const struct aq_interval days = {.days = 30};
    const struct aq_interval more = {.days = 29, .us = AQ_US_PER_DAY + 1};
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_INTERVAL);
    cr_assert_eq(aq_vector_resize(&vector, 3), AQ_OK);
    vector.intervals[0] = month;
    vector.intervals[1] = days;
    vector.intervals[2] = more;
    cr_assert_eq(aq_vector_compare(&vector, 0, &vector, 1), 0);
    cr_assert_lt(aq_vector_compare(&vector, 1, &vector, 2), 0);
    aq_vector_deinit(&vector);
}

static void add_row(struct aq_batch *batch, int64_t number, const char *text)
{
    cr_assert_eq(aq_vector_append_int(&batch->columns[0], number), AQ_OK);
    cr_assert_eq(text == NULL ? aq_vector_append_null(&batch->columns[1])
                              : aq_vector_append_slice(&batch->columns[1], aq_slice_of(text)),
                 AQ_OK);
    batch->row_count++;
}

static struct aq_content_hash hash_of(struct aq_batch *batch)
{
    struct aq_content_hash hash;
    cr_assert_eq(aq_batch_content_hash(batch, 2, &hash), AQ_OK);
    aq_batch_clear(batch);
    return hash;
}

Test(vector, the_content_hash_is_of_the_multiset_of_rows)
{
    static const enum aq_type types[] = {AQ_TYPE_BIGINT, AQ_TYPE_TEXT};
    struct aq_batch batch;
    cr_assert_eq(aq_batch_init(&batch, 2, types), AQ_OK);
    add_row(&batch, 1, "a");
    add_row(&batch, 2, NULL);
    add_row(&batch, 2, "");
    struct aq_content_hash all = hash_of(&batch);
    add_row(&batch, 2, "");
    add_row(&batch, 1, "a");
    add_row(&batch, 2, NULL);
    struct aq_content_hash turned = hash_of(&batch);
    cr_assert(aq_content_hash_equal(&all, &turned), "order must not count");
    add_row(&batch, 2, "");
    struct aq_content_hash sum = hash_of(&batch);
    add_row(&batch, 1, "a");
    add_row(&batch, 2, NULL);
    struct aq_content_hash rest = hash_of(&batch);
    aq_content_hash_add(&sum, &rest);
    cr_assert(aq_content_hash_equal(&all, &sum), "hashes of parts must add up");
    add_row(&batch, 1, "a");
    add_row(&batch, 2, "");
    add_row(&batch, 2, "");
    struct aq_content_hash other = hash_of(&batch);
    cr_assert_not(aq_content_hash_equal(&all, &other), "a null is no empty text");
    aq_batch_deinit(&batch);
}
