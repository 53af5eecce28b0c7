/* Columns as their different values: what they say of each row is what decoding gives, to the bit, of every encoding
 * that has them; damaged bytes are never taken for good ones that decoding refuses. */
#include <criterion/criterion.h>
#include <math.h>

#include "format/encode/encode.h"

static uint64_t state = 1;

static uint64_t next(void)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return state >> 33;
}

enum shape { CONSTANT, RUNS, FEW, MANY, SHAPES };

static double odd_double(uint64_t at)
{
    static const double values[] = {0.1, 2.5, -0.0, 0.0, 1e300, 5e-324, -INFINITY, 12345.75};
    union {
        uint64_t bits;
        double real;
    } payload = {.bits = UINT64_C(0xfff8000000000042)};
    return at % 9 == 8 ? payload.real : values[at % 9];
}

static void append_value(struct aq_vector *vector, uint64_t at, bool plain)
{
    static const int64_t wide[] = {INT64_MIN, INT64_MAX, 0, -1, 77};
    static const char *const words[] = {"", "calm", "haze", "smoke",
                                        "a longer word than the others"};
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_DOUBLE:
        cr_assert_eq(aq_vector_append_double(vector, plain ? (double)(int64_t)(at % 50 - 20) / 4
                                                           : odd_double(at)),
                     AQ_OK);
        break;
    case AQ_PHYSICAL_SLICE:
        cr_assert_eq(aq_vector_append_slice(vector, aq_slice_of(words[at % 5])), AQ_OK);
        break;
    default:
        cr_assert_eq(aq_vector_append_int(vector, vector->type == AQ_TYPE_BOOLEAN ? (int64_t)at % 2
                                                  : vector->type == AQ_TYPE_INTEGER
                                                      ? (int64_t)(at % 9) - 4
                                                      : wide[at % 5]),
                     AQ_OK);
    }
}

static void fill(struct aq_vector *vector, enum shape shape, size_t count)
{
    uint64_t fixed = next();
    uint64_t left = 0;
    bool plain = next() % 2 == 0;
    unsigned nulls = next() % 3 == 0 ? 1 + (unsigned)(next() % 20) : 0;
    for (size_t i = 0; i < count; i++) {
        if (shape == RUNS && left-- == 0) {
            fixed = next();
            left = next() % 200;
        }
        if (nulls > 0 && next() % 20 < nulls)
            cr_assert_eq(aq_vector_append_null(vector), AQ_OK);
        else
            append_value(vector,
                         shape == CONSTANT || shape == RUNS ? fixed
                         : shape == FEW                     ? next() % 4
                                                            : next(),
                         plain);
    }
}

/* Where a row's value is among the different ones. */
static size_t place_of(const struct aq_factored *factored, size_t row)
{
    if (factored->ends == NULL)
        return (size_t)factored->codes.ints[row];
    size_t place = 0;
    while ((size_t)factored->ends[place] <= row)
        place++;
    return place;
}

static void expect_equal(const struct aq_factored *factored, const struct aq_vector *decoded,
                         size_t first, size_t end)
{
    for (size_t row = first; row < end; row++) {
        bool null = aq_vector_is_null(decoded, row);
        cr_assert_eq(aq_vector_is_null(&factored->codes, row), null);
        size_t place = place_of(factored, row);
        cr_assert_lt(place, factored->values.row_count);
        cr_assert(null || aq_vector_compare_bits(&factored->values, place, decoded, row) == 0,
                  "row %zu", row);
    }
}

static bool factors(const struct aq_bytes *coded, const struct aq_vector *decoded, size_t first,
                    size_t end)
{
    struct aq_factored factored;
    struct aq_error err = {0};
    enum aq_status status = aq_column_factor(aq_bytes_view(coded), decoded->type,
                                             decoded->row_count, first, end, NULL, &factored, &err);
    cr_assert(status == AQ_OK || status == AQ_NOT_FOUND, "%s", err.message);
    if (status != AQ_OK)
        return false;
    expect_equal(&factored, decoded, first, end);
    aq_factored_deinit(&factored);
    return true;
}

/* Every byte changed in turn: what is taken for good must be what decoding makes of it. */
static void damage(struct aq_bytes *coded, enum aq_type type, size_t count)
{
    for (size_t at = 0; at < coded->size; at += 1 + next() % 7) {
        struct aq_factored factored;
        struct aq_vector decoded;
        struct aq_arena arena = {0};
        uint8_t was = coded->data[at];
        coded->data[at] ^= (uint8_t)(1u << next() % 8);
        enum aq_status status =
            aq_column_factor(aq_bytes_view(coded), type, count, 0, count, NULL, &factored, NULL);
        aq_vector_init(&decoded, type);
        if (status == AQ_OK) {
            cr_assert_eq(
                aq_column_decode(aq_bytes_view(coded), type, count, &arena, &decoded, NULL), AQ_OK);
            expect_equal(&factored, &decoded, 0, count);
            aq_factored_deinit(&factored);
        }
        aq_vector_deinit(&decoded);
        aq_arena_deinit(&arena);
        coded->data[at] = was;
    }
}

static bool try_column(enum aq_type type, enum shape shape, size_t count, enum aq_profile profile)
{
    struct aq_vector vector;
    struct aq_vector decoded;
    struct aq_arena arena = {0};
    struct aq_bytes coded = {0};
    aq_vector_init(&vector, type);
    aq_vector_init(&decoded, type);
    fill(&vector, shape, count);
    cr_assert_eq(aq_column_encode(&vector, 0, count, profile, &coded), AQ_OK);
    cr_assert_eq(aq_column_decode(aq_bytes_view(&coded), type, count, &arena, &decoded, NULL),
                 AQ_OK);
    size_t first = next() % (count + 1);
    bool found = factors(&coded, &decoded, 0, count);
    cr_assert_eq(factors(&coded, &decoded, first, first + next() % (count - first + 1)), found);
    if (found && count < 300)
        damage(&coded, type, count);
    aq_vector_deinit(&vector);
    aq_vector_deinit(&decoded);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&coded);
    return found;
}

Test(factor, says_what_decoding_gives)
{
    static const enum aq_type types[] = {AQ_TYPE_BIGINT,  AQ_TYPE_INTEGER, AQ_TYPE_DOUBLE,
                                         AQ_TYPE_BOOLEAN, AQ_TYPE_TEXT,    AQ_TYPE_BYTEA};
    static const size_t counts[] = {1, 2, 200, 1023, 1024, 1025, 5000};
    size_t found[SHAPES] = {0};
    for (unsigned turn = 0; turn < 12; turn++)
        for (size_t t = 0; t < 6; t++)
            for (size_t c = 0; c < 7; c++)
                for (enum aq_profile profile = 0; profile <= AQ_PROFILE_ARCHIVE; profile++) {
                    enum shape shape = (enum shape)(next() % SHAPES);
                    found[shape] += try_column(types[t], shape, counts[c], profile);
                }
    for (size_t shape = 0; shape < MANY; shape++)
        cr_expect_gt(found[shape], 20, "shape %zu was found %zu times", shape, found[shape]);
}

/* Encodings that have no different values: they are for decoding. */
Test(factor, leaves_others_alone)
{
    struct aq_vector vector;
    struct aq_bytes coded = {0};
    struct aq_factored factored;
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    for (size_t i = 0; i < 2000; i++)
        cr_assert_eq(aq_vector_append_int(&vector, (int64_t)(next() << 20)), AQ_OK);
    cr_assert_eq(aq_column_encode(&vector, 0, 2000, AQ_PROFILE_FAST, &coded), AQ_OK);
    cr_expect_eq(aq_column_factor(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2000, 0, 2000, NULL,
                                  &factored, NULL),
                 AQ_NOT_FOUND);
    cr_expect_eq(aq_column_factor(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 1999, 0, 1999, NULL,
                                  &factored, NULL),
                 AQ_CORRUPT);
    coded.size = 0;
    for (size_t i = 0; i < 2000; i++)
        vector.ints[i] = i % 7 == 0 ? INT64_MAX : (int64_t)(i % 3);
    cr_assert_eq(aq_column_encode(&vector, 0, 2000, AQ_PROFILE_ARCHIVE, &coded), AQ_OK);
    cr_assert_eq(aq_column_factor(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2000, 0, 2000, NULL,
                                  &factored, NULL),
                 AQ_OK);
    cr_expect_eq(factored.values.row_count, 4);
    aq_factored_deinit(&factored);
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&coded);
}

/* Times 1,000, and 5 more: a dictionary of 1 and 3, and runs of 7 and 9. */
Test(factor, multiples)
{
    static const uint8_t of_dict[] = {4, 0, 10, 0xe8, 7, 10, 3, 2, 5, 2, 1, 4, 4, 0, 1, 0x06};
    static const uint8_t of_runs[] = {4, 0, 10, 0xe8, 7, 10, 2, 2, 1, 2, 5, 14, 1, 4};
    static const struct {
        const uint8_t *bytes;
        size_t size;
        int64_t values[4];
    } all[] = {{of_dict, sizeof of_dict, {1005, 3005, 3005, 1005}},
               {of_runs, sizeof of_runs, {7005, 7005, 9005, 9005}}};
    for (size_t i = 0; i < 2; i++) {
        struct aq_vector decoded;
        struct aq_arena arena = {0};
        struct aq_bytes coded = {0};
        aq_bytes_append(&coded, all[i].bytes, all[i].size);
        aq_vector_init(&decoded, AQ_TYPE_BIGINT);
        cr_assert_eq(
            aq_column_decode(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 4, &arena, &decoded, NULL),
            AQ_OK);
        cr_assert_eq(memcmp(decoded.ints, all[i].values, sizeof all[i].values), 0);
        cr_assert(factors(&coded, &decoded, 0, 4));
        cr_assert(factors(&coded, &decoded, 1, 3));
        damage(&coded, AQ_TYPE_BIGINT, 4);
        aq_vector_deinit(&decoded);
        aq_arena_deinit(&arena);
        aq_bytes_deinit(&coded);
    }
}

/* A number of few digits stands for another double in each scale. */
Test(factor, decimals_of_two_scales)
{
    struct aq_vector vector;
    struct aq_bytes coded = {0};
    char text[200];
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < 16384; i++)
        cr_assert_eq(
            aq_vector_append_double(&vector, (double)(i / 30 * 37 % 501) / (i < 8192 ? 1 : 100000)),
            AQ_OK);
    static const uint32_t starts[] = {0, 8192};
    struct aq_encode_options options = {
        .profile = AQ_PROFILE_ARCHIVE, .run_starts = starts, .run_count = 2};
    cr_assert_eq(aq_column_encode_with(&vector, 0, 16384, &options, &coded), AQ_OK);
    cr_assert_eq(aq_column_describe(aq_bytes_view(&coded), text, sizeof text, NULL), AQ_OK);
    cr_assert_not_null(strstr(text, "2 scales"), "%s", text);
    factors(&coded, &vector, 0, 16384);
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&coded);
}
