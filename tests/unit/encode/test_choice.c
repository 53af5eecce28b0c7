/* What is chosen for columns of known shape: the way that is read fastest of those that are about as small; and it comes back. */
#include <criterion/criterion.h>
#include <string.h>

#include "format/encode/encode.h"
#include "tests/unit/encode/random.h"

#define ROWS 20000

static void expect_back(const struct aq_vector *vector, const struct aq_bytes *coded)
{
    struct aq_vector decoded;
    struct aq_arena arena = {0};
    size_t count = vector->row_count;
    aq_vector_init(&decoded, vector->type);
    cr_assert_eq(
        aq_column_decode(aq_bytes_view(coded), vector->type, count, &arena, &decoded, NULL), AQ_OK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(aq_vector_is_null(&decoded, i), aq_vector_is_null(vector, i));
        cr_assert(aq_vector_is_null(vector, i) || decoded.ints[i] == vector->ints[i], "row %zu", i);
    }
    aq_vector_deinit(&decoded);
    aq_arena_deinit(&arena);
}

/* Numbers or times, coded by `profile`, are described by `expected`. */
static void expect_choice(struct aq_vector *vector, enum aq_profile profile, const char *expected)
{
    struct aq_bytes coded = {0};
    char text[256];
    cr_assert_eq(aq_column_encode(vector, 0, vector->row_count, profile, &coded), AQ_OK);
    cr_assert_eq(aq_column_describe(aq_bytes_view(&coded), text, sizeof text, NULL), AQ_OK);
    cr_assert_str_eq(text, expected);
    expect_back(vector, &coded);
    aq_bytes_deinit(&coded);
    aq_vector_deinit(vector);
}

static struct aq_vector make_ints(int64_t (*value)(size_t row), size_t count)
{
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aq_vector_append_int(&vector, value(i)), AQ_OK);
    return vector;
}

static int64_t any_21_bits(size_t row)
{
    (void)row;
    return (int64_t)(next_random() >> 43);
}

static int64_t any_44_bits(size_t row)
{
    (void)row;
    return (int64_t)(next_random() >> 20);
}

/* 200 different ones need 7.6 bits by entropy. */
static int64_t of_200(size_t row)
{
    (void)row;
    return (int64_t)(next_random() % 200);
}

static int64_t ascending(size_t row)
{
    static int64_t sum;
    return sum = row == 0 ? 0 : sum + (int64_t)(next_random() >> 52);
}

/* Mostly below 8, sometimes not. */
static int64_t mostly_small(size_t row)
{
    (void)row;
    uint64_t random = next_random();
    return (int64_t)(random % 64 == 0 ? random >> 40 : random >> 61);
}

Test(choice, packed_bits_unless_others_are_much_smaller)
{
    struct aq_vector vector = make_ints(any_21_bits, ROWS);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE, "bitpack 21");
    vector = make_ints(any_44_bits, ROWS);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE, "bitpack 44");
    vector = make_ints(of_200, ROWS);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE, "bitpack 8");
    vector = make_ints(ascending, ROWS);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE, "delta(bitpack 12)");
    vector = make_ints(mostly_small, ROWS);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE, "ans32");
}

/* Of their bytes all but the lowest are nearly all 0. */
static int64_t few_large(size_t row)
{
    return row == 7 ? 200000 : (int64_t)(next_random() % 180);
}

Test(choice, no_zstd_that_saves_a_few_bytes)
{
    struct aq_vector vector = make_ints(few_large, 70);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE, "bitpack 18");
    vector = make_ints(few_large, 200);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE, "byteplane 3 zstd zstd");
}

/* The codes would be as deep as nodes are, where they cannot be told by their differences. */
Test(choice, few_values_that_repeat_are_copies_without_codes)
{
    struct aq_vector vector;
    double values[33];
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < 33; i++)
        values[i] = (double)(next_random() % 2000000000) / 1e9;
    for (size_t i = 0; i < ROWS; i++)
        cr_assert_eq(aq_vector_append_double(&vector, values[i % 33]), AQ_OK);
    expect_choice(&vector, AQ_PROFILE_ARCHIVE,
                  "decimal 1x10^-9(delta(repeat(constant, constant, constant, bitpack 32)))");
}

Test(choice, flags_by_turns_are_one_copy)
{
    struct aq_vector vector;
    bool null = false;
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    for (size_t i = 0, next = 20; i < ROWS; i++) {
        if (i == next) {
            null = !null;
            next += 1 + next_random() % 256;
        }
        cr_assert_eq(null ? aq_vector_append_null(&vector) : aq_vector_append_int(&vector, 7),
                     AQ_OK);
    }
    expect_choice(
        &vector, AQ_PROFILE_ARCHIVE,
        "nulls run(bitpack 8, repeat(constant, constant, constant, bitpack 1)); constant");
}

/* A reading an hour, 12 stations one after the other. */
static int64_t hours_by_station(size_t row)
{
    return (int64_t)(row % (ROWS / 12)) * 3600000000;
}

/* One more step of up to 2 bits. */
static int64_t calm_walk(size_t row)
{
    static int64_t sum;
    return sum = row == 0 ? 0 : sum + (int64_t)(next_random() >> 62) - 1;
}

Test(choice, fast_archives_have_deltas_where_they_are_much_smaller)
{
    struct aq_vector vector = make_ints(hours_by_station, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "delta(run(bitpack 11, bitpack 43))");
    vector = make_ints(hours_by_station, ROWS);
    expect_choice(&vector, AQ_PROFILE_FRAME, "bitpack 43");
    vector = make_ints(ascending, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "delta(bitpack 12)");
    vector = make_ints(any_21_bits, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "bitpack 21");
    vector = make_ints(calm_walk, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "delta(bitpack 2)");
}

/* Two bits are saved by deltas: not worth the sums. */
static int64_t wave(size_t row)
{
    return (int64_t)(row % 64 < 32 ? row % 32 : 31 - row % 32) * 4 + (int64_t)(next_random() % 3);
}

Test(choice, fast_archives_have_no_deltas_for_two_bits)
{
    struct aq_vector vector = make_ints(wave, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "bitpack 7");
}

/* 300 different ones of 60 bits. */
static int64_t wide_of_300(size_t row)
{
    (void)row;
    return (int64_t)(next_random() % 300 * UINT64_C(0x9e3779b97f4a7c15) >> 4);
}

static int64_t any_60_bits(size_t row)
{
    (void)row;
    return (int64_t)(next_random() >> 4);
}

Test(choice, fast_archives_have_codes_of_wide_values)
{
    struct aq_vector vector = make_ints(wide_of_300, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "dict(bitpack 60, bitpack 9)");
    vector = make_ints(wide_of_300, 4000);
    expect_choice(&vector, AQ_PROFILE_FAST, "bitpack 60");
    vector = make_ints(any_60_bits, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "bitpack 60");
    vector = make_ints(of_200, ROWS);
    expect_choice(&vector, AQ_PROFILE_FAST, "bitpack 8");
}
