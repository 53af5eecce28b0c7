/* Exact sums against fractions kept by GMP: any order, any grouping, the same bits, rounded once. */
#include "format/table/exact_sum.h"

#include <criterion/criterion.h>
#include <float.h>
#include <gmp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 600

/* xorshift64*: the same values in every run. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Whether `rounded` is the double nearest to `exact`, ties to even: no neighbour may be closer. */
static bool is_nearest(double rounded, const mpq_t exact)
{
    mpq_t own;
    mpq_t other;
    mpq_inits(own, other, NULL);
    mpq_set_d(own, rounded);
    mpq_sub(own, own, exact);
    mpq_abs(own, own);
    bool nearest = true;
    for (int side = 0; side < 2; side++) {
        double neighbour = nextafter(rounded, side == 0 ? -INFINITY : INFINITY);
        if (isinf(neighbour))
            continue;
        mpq_set_d(other, neighbour);
        mpq_sub(other, other, exact);
        mpq_abs(other, other);
        int order = mpq_cmp(own, other);
        nearest = nearest && (order < 0 || (order == 0 && bits_of(rounded) % 2 == 0));
    }
    mpq_clears(own, other, NULL);
    return nearest;
}

/* The value that counts: the decimal of a short double, else the double itself. */
static void reference_value(double value, mpq_t out)
{
    aq_int128 units;
    if (!aq_exact_sum_shorten(value, &units)) {
        mpq_set_d(out, value);
        return;
    }
    int64_t high = (int64_t)(units / 1000000000);
    int64_t low = (int64_t)(units % 1000000000);
    mpz_set_si(mpq_numref(out), high);
    mpz_mul_ui(mpq_numref(out), mpq_numref(out), 1000000000);
    if (low >= 0)
        mpz_add_ui(mpq_numref(out), mpq_numref(out), (unsigned long)low);
    else
        mpz_sub_ui(mpq_numref(out), mpq_numref(out), (unsigned long)-low);
    mpz_set_ui(mpq_denref(out), 1000000000);
    mpq_canonicalize(out);
}

static void reference(const double *values, size_t count, mpq_t sum, mpq_t average, mpq_t variance)
{
    mpq_t value;
    mpq_t n;
    mpq_inits(value, n, NULL);
    mpq_set_ui(sum, 0, 1);
    mpq_set_ui(n, count, 1);
    for (size_t i = 0; i < count; i++) {
        reference_value(values[i], value);
        mpq_add(sum, sum, value);
    }
    mpq_div(average, sum, n);
    mpq_set_ui(variance, 0, 1);
    for (size_t i = 0; i < count; i++) {
        reference_value(values[i], value);
        mpq_sub(value, value, average);
        mpq_mul(value, value, value);
        mpq_add(variance, variance, value);
    }
    mpq_set_ui(n, count - 1, 1);
    mpq_div(variance, variance, n);
    mpq_clears(value, n, NULL);
}

static void shuffle(double *values, size_t count, uint64_t *state)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = next_random(state) % i;
        double kept = values[i - 1];
        values[i - 1] = values[other];
        values[other] = kept;
    }
}

struct result {
    double total;
    double average;
    double variance;
};

static struct result finish(struct aq_exact_sum *sum)
{
    struct result result;
    cr_assert_eq(aq_exact_sum_total(sum, &result.total), AQ_OK);
    cr_assert_eq(aq_exact_sum_average(sum, &result.average), AQ_OK);
    cr_assert_eq(aq_exact_sum_variance(sum, true, &result.variance), AQ_OK);
    aq_exact_sum_deinit(sum);
    return result;
}

/* Sum in parts of random length, merged in random order, some through add_many. */
static struct result sum_in_parts(const double *values, size_t count, uint64_t *state)
{
    struct aq_exact_sum total = {.with_squares = true};
    for (size_t first = 0; first < count;) {
        size_t size = 1 + next_random(state) % (count - first);
        struct aq_exact_sum part = {.with_squares = true};
        if (next_random(state) % 2 == 0) {
            cr_assert_eq(aq_exact_sum_add_many(&part, values + first, NULL, size), AQ_OK);
        } else {
            for (size_t i = first; i < first + size; i++)
                cr_assert_eq(aq_exact_sum_add(&part, values[i]), AQ_OK);
        }
        cr_assert_eq(aq_exact_sum_merge(&total, &part), AQ_OK);
        aq_exact_sum_deinit(&part);
        first += size;
    }
    return finish(&total);
}

static void check(double *values, size_t count, uint64_t seed)
{
    mpq_t sum;
    mpq_t average;
    mpq_t variance;
    mpq_inits(sum, average, variance, NULL);
    reference(values, count, sum, average, variance);
    for (unsigned round = 0; round < 4; round++) {
        struct result result = sum_in_parts(values, count, &seed);
        cr_assert(is_nearest(result.total, sum), "sum %a of seed %lu", result.total, seed);
        cr_assert(is_nearest(result.average, average), "average %a", result.average);
        cr_assert(is_nearest(result.variance, variance), "variance %a", result.variance);
        shuffle(values, count, &seed);
    }
    mpq_clears(sum, average, variance, NULL);
}

Test(exact_sum, decimals_add_as_decimals)
{
    double values[10];
    for (size_t i = 0; i < 10; i++)
        values[i] = 0.1;
    struct aq_exact_sum sum = {0};
    cr_assert_eq(aq_exact_sum_add_many(&sum, values, NULL, 10), AQ_OK);
    double total;
    cr_assert_eq(aq_exact_sum_total(&sum, &total), AQ_OK);
    cr_assert_eq(total, 1.0);
    cr_assert_null(sum.wide);
    aq_exact_sum_deinit(&sum);
}

Test(exact_sum, what_is_short)
{
    aq_int128 units;
    cr_assert(aq_exact_sum_shorten(12.5, &units) && units == INT64_C(12500000000));
    cr_assert(aq_exact_sum_shorten(-0.000000001, &units) && units == -1);
    cr_assert(aq_exact_sum_shorten(-0.0, &units) && units == 0);
    cr_assert(aq_exact_sum_shorten(999999999999999.0, &units));
    cr_assert(aq_exact_sum_shorten(999999.999999999, &units) && units == INT64_C(999999999999999));
    cr_assert(aq_exact_sum_shorten(1000000.00000001, &units) && units == INT64_C(1000000000000010));
    cr_assert_not(aq_exact_sum_shorten(1e15, &units));
    cr_assert_not(aq_exact_sum_shorten(0.0000000001, &units));
    cr_assert_not(aq_exact_sum_shorten(1.0 / 3.0, &units));
    cr_assert_not(aq_exact_sum_shorten(nextafter(0.1, 1), &units));
    cr_assert_not(aq_exact_sum_shorten(NAN, &units));
    cr_assert_not(aq_exact_sum_shorten(-INFINITY, &units));
    cr_assert_not(aq_exact_sum_shorten(DBL_TRUE_MIN, &units));
}

/* Every scale finds the decimal that was printed, and add_many decides as add does. */
Test(exact_sum, printed_decimals_are_short)
{
    uint64_t state = 7;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned scale = (unsigned)(next_random(&state) % 10);
        int64_t digits = (int64_t)(next_random(&state) % UINT64_C(1000000000000000));
        digits /= (int64_t)pow(10, (double)(next_random(&state) % 15));
        char text[64];
        snprintf(text, sizeof text, "%llde-%u", (long long)digits, scale);
        aq_int128 units;
        cr_assert(aq_exact_sum_shorten(strtod(text, NULL), &units), "%s", text);
        aq_int128 expected = digits;
        for (unsigned s = scale; s < 9; s++)
            expected *= 10;
        cr_assert(units == expected, "%s", text);
    }
}

Test(exact_sum, short_values)
{
    double values[VALUES_MAX];
    for (uint64_t seed = 1; seed < 20; seed++) {
        uint64_t state = seed;
        for (size_t i = 0; i < VALUES_MAX; i++)
            values[i] = (double)(int64_t)(next_random(&state) % 200000000) / 1000.0 - 90000.0;
        check(values, VALUES_MAX, seed);
    }
}

Test(exact_sum, all_magnitudes)
{
    double values[VALUES_MAX];
    for (uint64_t seed = 1; seed < 20; seed++) {
        uint64_t state = seed;
        for (size_t i = 0; i < VALUES_MAX; i++) {
            do
                values[i] = of_bits(next_random(&state));
            while (!isfinite(values[i]) || fabs(values[i]) > 1e150);
            if (i % 3 == 0)
                values[i] = (double)(i % 1000) / 10.0;
        }
        check(values, VALUES_MAX, seed);
    }
}

Test(exact_sum, cancellation_leaves_the_small_value)
{
    double values[] = {1e308, 1e308, 0.25, -1e308, -1e308, DBL_TRUE_MIN};
    struct aq_exact_sum sum = {0};
    cr_assert_eq(aq_exact_sum_add_many(&sum, values, NULL, 5), AQ_OK);
    double total;
    cr_assert_eq(aq_exact_sum_total(&sum, &total), AQ_OK);
    cr_assert_eq(total, 0.25);
    cr_assert_eq(aq_exact_sum_add(&sum, -0.25), AQ_OK);
    cr_assert_eq(aq_exact_sum_add(&sum, values[5]), AQ_OK);
    cr_assert_eq(aq_exact_sum_total(&sum, &total), AQ_OK);
    cr_assert_eq(total, DBL_TRUE_MIN);
    aq_exact_sum_deinit(&sum);
}

Test(exact_sum, ties_and_subnormals_and_overflow)
{
    static const struct {
        double a;
        double b;
        double total;
    } cases[] = {
        {0x1p53, 1, 0x1p53},                              /* tie: to even, down */
        {0x1p53 + 2, 1, 0x1p53 + 4},                      /* tie: to even, up */
        {0x1p-1074, 0x1p-1074, 0x1p-1073},                /* subnormal, exact */
        {DBL_MAX, 0x1p970, INFINITY},                     /* half an ulp above: overflow */
        {DBL_MAX, 0x1.fffffffffffffp969, DBL_MAX},        /* just below half */
        {-DBL_MAX, -DBL_MAX, -INFINITY},                  /* far above */
        {0x1p-1022, -0x1p-1074, 0x0.fffffffffffffp-1022}, /* normal to subnormal */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct aq_exact_sum sum = {0};
        cr_assert_eq(aq_exact_sum_add(&sum, cases[i].a), AQ_OK);
        cr_assert_eq(aq_exact_sum_add(&sum, cases[i].b), AQ_OK);
        double total;
        cr_assert_eq(aq_exact_sum_total(&sum, &total), AQ_OK);
        cr_assert_eq(bits_of(total), bits_of(cases[i].total), "case %zu: %a", i, total);
        aq_exact_sum_deinit(&sum);
    }
}

Test(exact_sum, a_tie_with_something_behind_it_is_none)
{
    struct aq_exact_sum sum = {0};
    double total;
    cr_assert_eq(aq_exact_sum_add(&sum, 0x1p53), AQ_OK);
    cr_assert_eq(aq_exact_sum_add(&sum, 1), AQ_OK);
    cr_assert_eq(aq_exact_sum_add(&sum, DBL_TRUE_MIN), AQ_OK);
    cr_assert_eq(aq_exact_sum_total(&sum, &total), AQ_OK);
    cr_assert_eq(total, 0x1p53 + 2);
    aq_exact_sum_deinit(&sum);
}

Test(exact_sum, average_below_the_smallest_double)
{
    struct aq_exact_sum sum = {0};
    cr_assert_eq(aq_exact_sum_add(&sum, -DBL_TRUE_MIN), AQ_OK);
    cr_assert_eq(aq_exact_sum_add(&sum, 0), AQ_OK);
    double average;
    cr_assert_eq(aq_exact_sum_average(&sum, &average), AQ_OK);
    cr_assert_eq(bits_of(average), bits_of(0.0), "half of it is a tie: to even, and never -0.0");
    cr_assert_eq(aq_exact_sum_add(&sum, -DBL_TRUE_MIN), AQ_OK);
    cr_assert_eq(aq_exact_sum_average(&sum, &average), AQ_OK);
    cr_assert_eq(average, -DBL_TRUE_MIN, "two thirds of it round up");
    aq_exact_sum_deinit(&sum);
}

Test(exact_sum, integers)
{
    struct aq_exact_sum sum = {.with_squares = true};
    cr_assert_eq(aq_exact_sum_add_int(&sum, INT64_MIN), AQ_OK);
    cr_assert_eq(aq_exact_sum_add_int(&sum, INT64_MAX), AQ_OK);
    cr_assert_eq(aq_exact_sum_add_int(&sum, 3), AQ_OK);
    struct result result = finish(&sum);
    cr_assert_eq(result.total, 2.0);
    cr_assert_eq(result.average, 2.0 / 3.0);
    cr_assert_eq(result.variance, 0x1p126);
}

Test(exact_sum, special_values)
{
    struct aq_exact_sum sum = {.with_squares = true};
    double value;
    cr_assert_eq(aq_exact_sum_total(&sum, &value), AQ_OK);
    cr_assert_eq(bits_of(value), 0);
    cr_assert_eq(aq_exact_sum_add(&sum, 1), AQ_OK);
    cr_assert_eq(aq_exact_sum_add(&sum, -INFINITY), AQ_OK);
    cr_assert_eq(aq_exact_sum_total(&sum, &value), AQ_OK);
    cr_assert_eq(value, -INFINITY);
    cr_assert_eq(aq_exact_sum_variance(&sum, true, &value), AQ_OK);
    cr_assert(isnan(value));
    cr_assert_eq(aq_exact_sum_add(&sum, INFINITY), AQ_OK);
    cr_assert_eq(aq_exact_sum_average(&sum, &value), AQ_OK);
    cr_assert(isnan(value));
    cr_assert_eq(sum.value_count, 3);
    aq_exact_sum_deinit(&sum);
}

Test(exact_sum, nulls_do_not_count)
{
    double values[] = {1.5, NAN, 2.5, 1e300};
    uint8_t valid[] = {1, 0, 1, 0};
    struct aq_exact_sum sum = {0};
    cr_assert_eq(aq_exact_sum_add_many(&sum, values, valid, 4), AQ_OK);
    cr_assert_eq(sum.value_count, 2);
    double average;
    cr_assert_eq(aq_exact_sum_average(&sum, &average), AQ_OK);
    cr_assert_eq(average, 2.0);
    aq_exact_sum_deinit(&sum);
}

Test(exact_sum, squares_need_more_than_128_bits)
{
    struct aq_exact_sum sum = {.with_squares = true};
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_eq(aq_exact_sum_add(&sum, 999999999999999.0), AQ_OK);
        cr_assert_eq(aq_exact_sum_add(&sum, -999999999999999.0), AQ_OK);
    }
    double variance;
    cr_assert_eq(aq_exact_sum_variance(&sum, false, &variance), AQ_OK);
    cr_assert_eq(variance, 999999999999998000000000000001.0);
    aq_exact_sum_deinit(&sum);
}
