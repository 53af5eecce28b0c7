/* Column statistics: computed, merged, stored; equal for equal multisets. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "format/table/stats.h"

static struct aq_arena arena;

static struct aq_vector ints(const int64_t *values, size_t count)
{
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aq_vector_append_int(&vector, values[i]), AQ_OK);
    return vector;
}

static struct aq_vector doubles(const double *values, size_t count)
{
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aq_vector_append_double(&vector, values[i]), AQ_OK);
    return vector;
}

static struct aq_vector texts(const struct aq_slice *values, size_t count)
{
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_TEXT);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aq_vector_append_slice(&vector, values[i]), AQ_OK);
    return vector;
}

static struct aq_column_stats compute(struct aq_vector *vector)
{
    struct aq_column_stats stats;
    cr_assert_eq(aq_stats_compute(vector, 0, vector->row_count, &arena, &stats), AQ_OK);
    aq_vector_deinit(vector);
    return stats;
}

Test(stats, integers)
{
    struct aq_vector vector = ints((int64_t[]){5, INT64_MAX, INT64_MAX, -3}, 4);
    cr_assert_eq(aq_vector_append_null(&vector), AQ_OK);
    struct aq_column_stats part;
    cr_assert_eq(aq_stats_compute(&vector, 3, 2, &arena, &part), AQ_OK);
    cr_assert_eq(part.min.integer, -3);
    cr_assert_eq(part.max.integer, -3);
    cr_assert_eq(part.null_count, 1);
    struct aq_column_stats stats = compute(&vector);
    cr_assert_eq(stats.row_count, 5);
    cr_assert(stats.bounds_known && stats.bounds_exact && stats.sum_known);
    cr_assert_eq(stats.min.integer, -3);
    cr_assert_eq(stats.max.integer, INT64_MAX);
    cr_assert(stats.sum == (aq_int128)INT64_MAX * 2 + 2);
}

Test(stats, times_have_no_sum)
{
    struct aq_vector vector = ints((int64_t[]){1, 2}, 2);
    vector.type = AQ_TYPE_TIMESTAMPTZ;
    cr_assert_not(compute(&vector).sum_known);
}

Test(stats, doubles_are_canonical)
{
    struct aq_vector vector = doubles((double[]){-0.0, 0.0, 12.5}, 3);
    struct aq_column_stats stats = compute(&vector);
    cr_assert_eq(signbit(stats.min.real), 0);
    cr_assert(stats.sum_known && stats.sum == INT64_C(12500000000));
    vector = doubles((double[]){1, -NAN, -INFINITY}, 3);
    stats = compute(&vector);
    cr_assert_not(stats.sum_known);
    cr_assert_eq(stats.min.real, -INFINITY);
    cr_assert(isnan(stats.max.real) && !signbit(stats.max.real), "NaN is above all, and one");
}

Test(stats, sum_is_unknown_when_one_late_value_is_not_short)
{
    struct aq_vector vector = doubles((double[]){0.5}, 1);
    for (unsigned i = 0; i < 3000; i++)
        cr_assert_eq(aq_vector_append_double(&vector, i == 2999 ? 1.0 / 3 : 0.5), AQ_OK);
    struct aq_column_stats part;
    cr_assert_eq(aq_stats_compute(&vector, 0, 3000, &arena, &part), AQ_OK);
    cr_assert(part.sum_known && part.sum == (aq_int128)3000 * 500000000);
    cr_assert_not(compute(&vector).sum_known);
}

Test(stats, long_texts_are_cut_to_bounds)
{
    char low[100];
    char high[100];
    memset(low, 'a', sizeof low);
    memset(high, 'b', sizeof high);
    high[63] = (char)0xff;
    struct aq_slice values[] = {aq_slice_make(high, 100), aq_slice_make(low, 100)};
    struct aq_vector vector = texts(values, 2);
    struct aq_column_stats stats = compute(&vector);
    cr_assert(stats.bounds_known && !stats.bounds_exact);
    cr_assert_eq(stats.min.slice.size, 64);
    cr_assert_leq(aq_slice_compare(stats.min.slice, values[1]), 0);
    cr_assert_eq(stats.max.slice.size, 63, "the 0xff is dropped, the byte before it raised");
    cr_assert_gt(aq_slice_compare(stats.max.slice, values[0]), 0);
    memset(high, 0xff, sizeof high);
    vector = texts(values, 2);
    cr_assert_not(compute(&vector).bounds_known, "no text of 64 bytes is above it");
}

static void expect_equal(enum aq_type type, const struct aq_column_stats *a,
                         const struct aq_column_stats *b)
{
    struct aq_bytes bytes_a = {0};
    struct aq_bytes bytes_b = {0};
    aq_stats_encode(type, a, &bytes_a);
    aq_stats_encode(type, b, &bytes_b);
    cr_assert(aq_slice_equal(aq_bytes_view(&bytes_a), aq_bytes_view(&bytes_b)));
    aq_bytes_deinit(&bytes_a);
    aq_bytes_deinit(&bytes_b);
}

Test(stats, merging_parts_equals_computing_the_whole)
{
    double values[] = {3.25, -7, 1e6, 0, -0.0, 1e20, NAN, 2, 2, -9.5};
    for (size_t cut = 0; cut <= 10; cut++) {
        struct aq_vector vector = doubles(values, 10);
        cr_assert_eq(aq_vector_append_null(&vector), AQ_OK);
        struct aq_column_stats merged = {0};
        struct aq_column_stats part;
        cr_assert_eq(aq_stats_compute(&vector, 0, cut, &arena, &part), AQ_OK);
        aq_stats_merge(AQ_TYPE_DOUBLE, &merged, &part);
        cr_assert_eq(aq_stats_compute(&vector, cut, 11 - cut, &arena, &part), AQ_OK);
        aq_stats_merge(AQ_TYPE_DOUBLE, &merged, &part);
        struct aq_column_stats whole = compute(&vector);
        expect_equal(AQ_TYPE_DOUBLE, &merged, &whole);
    }
}

Test(stats, merging_nulls_keeps_bounds_and_sum)
{
    struct aq_vector vector = ints((int64_t[]){4}, 1);
    struct aq_column_stats four = compute(&vector);
    struct aq_column_stats nulls = {.row_count = 3, .null_count = 3, .sum_known = true};
    struct aq_column_stats merged = nulls;
    aq_stats_merge(AQ_TYPE_BIGINT, &merged, &four);
    aq_stats_merge(AQ_TYPE_BIGINT, &merged, &nulls);
    cr_assert(merged.bounds_known && merged.bounds_exact && merged.sum_known);
    cr_assert_eq(merged.min.integer, 4);
    cr_assert_eq(merged.row_count, 7);
    cr_assert_eq(merged.null_count, 6);
}

Test(stats, stored_and_read_back)
{
    struct aq_slice names[] = {aq_slice_of("hanoi"), aq_slice_of("beijing")};
    struct aq_vector vectors[] = {ints((int64_t[]){INT64_MIN, INT64_MIN, 9}, 3),
                                  doubles((double[]){0.5, 20}, 2), texts(names, 2)};
    for (size_t i = 0; i < 3; i++) {
        enum aq_type type = vectors[i].type;
        struct aq_column_stats stats = compute(&vectors[i]);
        struct aq_bytes bytes = {0};
        aq_stats_encode(type, &stats, &bytes);
        struct aq_reader reader = aq_reader_make(aq_bytes_view(&bytes));
        struct aq_column_stats back;
        aq_stats_decode(type, &reader, &back);
        cr_assert_eq(aq_reader_finish(&reader, "statistics", NULL), AQ_OK);
        expect_equal(type, &stats, &back);
        cr_assert(stats.sum == back.sum);
        for (size_t size = 0; size < bytes.size; size++) {
            reader = aq_reader_make(aq_slice_make(bytes.data, size));
            aq_stats_decode(type, &reader, &back);
            cr_assert(reader.failed, "cut to %zu", size);
        }
        aq_bytes_deinit(&bytes);
    }
}

Test(stats, contradictions_are_refused)
{
    static const struct {
        enum aq_type type;
        const char *bytes;
        size_t size;
    } cases[] = {
        {AQ_TYPE_BIGINT, "\x08\x01\x00", 3},             /* unknown flag */
        {AQ_TYPE_BIGINT, "\x02\x01\x00", 3},             /* exact bounds without bounds */
        {AQ_TYPE_BIGINT, "\x00\x01\x02", 3},             /* more nulls than rows */
        {AQ_TYPE_BIGINT, "\x01\x02\x00\x04\x02", 5},     /* min above max */
        {AQ_TYPE_BIGINT, "\x01\x02\x02\x02\x02", 5},     /* bounds of nulls only */
        {AQ_TYPE_TIMESTAMPTZ, "\x04\x01\x01\x00\x00", 5} /* a sum of times */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct aq_reader reader = aq_reader_make(aq_slice_make(cases[i].bytes, cases[i].size));
        struct aq_column_stats stats;
        aq_stats_decode(cases[i].type, &reader, &stats);
        cr_assert(reader.failed, "case %zu", i);
        cr_assert_eq(stats.row_count, 0);
    }
}
