/* Column encodings: what goes in comes out, to the bit, in every encoding and at every edge; whatever
 * else the bytes say is refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/encode/encode.h"
#include "tests/unit/encode/random.h"

static const size_t edge_counts[] = {0, 1, 2, 1023, 1024, 1025, 3000};
#define EDGE_COUNTS (sizeof edge_counts / sizeof edge_counts[0])
static const enum aq_profile profiles[] = {AQ_PROFILE_FRAME, AQ_PROFILE_FAST, AQ_PROFILE_ARCHIVE};

static bool same_row(const struct aq_vector *a, size_t row_a, const struct aq_vector *b,
                     size_t row_b)
{
    if (aq_vector_is_null(a, row_a) || aq_vector_is_null(b, row_b))
        return aq_vector_is_null(a, row_a) && aq_vector_is_null(b, row_b);
    if (aq_type_physical(a->type) == AQ_PHYSICAL_SLICE)
        return aq_slice_equal(a->slices[row_a], b->slices[row_b]);
    return a->ints[row_a] == b->ints[row_b]; /* a double's bits too */
}

static struct aq_decode_scratch kept; /* from one decoding to the next, whatever they met */

/* Parts of a column decoded alone. */
static void expect_parts(const struct aq_vector *vector, size_t first, size_t count,
                         struct aq_slice coded)
{
    const size_t parts[][2] = {{0, count},
                               {0, count / 3},
                               {count / 3, count / 2},
                               {0, 0},
                               {count - count / 4, count},
                               {count / 2, count / 2 + 1},
                               {count, count}};
    struct aq_vector part;
    struct aq_error err = {0};
    aq_vector_init(&part, vector->type);
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        struct aq_arena arena = {0};
        size_t end = parts[p][1] < count ? parts[p][1] : count;
        struct aq_wanted wanted = {.first = parts[p][0], .end = end};
        cr_assert_eq(aq_column_decode_rows(coded, vector->type, count, &wanted,
                                           p == 0 ? NULL : &kept, &arena, &part, &err),
                     AQ_OK, "%s", err.message);
        for (size_t i = parts[p][0]; i < end; i++)
            cr_assert(same_row(vector, first + i, &part, i), "row %zu of part %zu", i, p);
        aq_arena_deinit(&arena);
    }
    aq_vector_deinit(&part);
}

static void expect_round_trip(const struct aq_vector *vector, size_t first, size_t count,
                              const struct aq_encode_options *options, struct aq_bytes *out)
{
    struct aq_arena arena = {0};
    struct aq_vector back;
    struct aq_error err = {0};
    aq_vector_init(&back, vector->type);
    aq_bytes_clear(out);
    cr_assert_eq(aq_column_encode_with(vector, first, count, options, out), AQ_OK);
    enum aq_status status =
        aq_column_decode(aq_bytes_view(out), vector->type, count, &arena, &back, &err);
    cr_assert_eq(status, AQ_OK, "%s at %lld", err.message, (long long)err.offset);
    cr_assert_eq(back.row_count, count);
    for (size_t i = 0; i < count; i++)
        cr_assert(same_row(vector, first + i, &back, i), "row %zu of %zu", i, count);
    expect_parts(vector, first, count, aq_bytes_view(out));
    char text[256];
    cr_assert_eq(aq_column_describe(aq_bytes_view(out), text, sizeof text, &err), AQ_OK);
    cr_assert_neq(text[0], '\0');
    aq_vector_deinit(&back);
    aq_arena_deinit(&arena);
}

static void expect_described(const struct aq_bytes *coded, const char *part)
{
    char text[256];
    struct aq_error err = {0};
    cr_assert_eq(aq_column_describe(aq_bytes_view(coded), text, sizeof text, &err), AQ_OK);
    cr_assert_not_null(strstr(text, part), "%s in %s", part, text);
}

/* Both profiles, all of the vector and a part in the middle. */
static void expect_round_trips(const struct aq_vector *vector)
{
    struct aq_bytes out = {0};
    for (size_t p = 0; p < 2; p++) {
        struct aq_encode_options options = {.profile = profiles[p]};
        expect_round_trip(vector, 0, vector->row_count, &options, &out);
        size_t third = vector->row_count / 3;
        expect_round_trip(vector, third, vector->row_count - 2 * third, &options, &out);
    }
    aq_bytes_deinit(&out);
}

static int64_t int_of_shape(unsigned shape, size_t i)
{
    switch (shape) {
    case 0:
        return 42;
    case 1:
        return (int64_t)i * 3600000000 + 1362096000000000;
    case 2:
        return (int64_t)(next_random() % 100) - 50;
    case 3:
        return (int64_t)(i / 100);
    case 4:
        return i % 2 == 0 ? INT64_MIN : INT64_MAX;
    case 5:
        return (int64_t)next_random();
    case 6:
        return (int64_t)(i * i);
    case 7:
        return (int64_t)((next_random() % 5) * UINT64_C(0x123456789abcdef));
    default:
        return i == 1000 ? INT64_MAX : (int64_t)(i % 7);
    }
}
#define INT_SHAPES 9

Test(encode, integers)
{
    for (unsigned shape = 0; shape < INT_SHAPES; shape++) {
        for (size_t c = 0; c < EDGE_COUNTS; c++) {
            struct aq_vector vector;
            aq_vector_init(&vector, AQ_TYPE_BIGINT);
            for (size_t i = 0; i < edge_counts[c]; i++)
                cr_assert_eq(aq_vector_append_int(&vector, int_of_shape(shape, i)), AQ_OK);
            expect_round_trips(&vector);
            aq_vector_deinit(&vector);
        }
    }
}

Test(encode, every_bit_width)
{
    for (unsigned width = 0; width <= 64; width++) {
        struct aq_vector vector;
        aq_vector_init(&vector, AQ_TYPE_BIGINT);
        for (size_t i = 0; i < 1030; i++) {
            uint64_t value = width == 0 ? 0 : next_random() >> (64 - width);
            cr_assert_eq(aq_vector_append_int(&vector, (int64_t)value), AQ_OK);
        }
        expect_round_trips(&vector);
        aq_vector_deinit(&vector);
    }
}

static double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double double_of_shape(unsigned shape, size_t i)
{
    static const double special[] = {
        0.0,      -0.0,      1.5,   -1.5, 5e-324, -5e-324, 2.2250738585072014e-308,
        INFINITY, -INFINITY, 1e308, 0.1,  1e22,   1e23,    9007199254740993.0};
    switch (shape) {
    case 0:
        return 0.25;
    case 1:
        return (double)(next_random() % 10000) / 10;
    case 2:
        return (double)(int64_t)(next_random() % 100000) * 2142 / 10000;
    case 3:
        return double_of_bits(next_random());
    case 4:
        return special[i % (sizeof special / sizeof special[0])];
    case 5: /* NaN payloads among decimals */
        return i % 50 == 7 ? double_of_bits(UINT64_C(0xfff8000000000000) + i) : (double)i / 100;
    case 6:
        return i % 20 == 3 ? -0.0 : (double)(i % 30) / 4;
    case 7:
        return (double)(float)(0.001 * (double)(next_random() % 10000));
    default:
        return -0.0;
    }
}
#define DOUBLE_SHAPES 9

Test(encode, doubles)
{
    for (unsigned shape = 0; shape < DOUBLE_SHAPES; shape++) {
        for (size_t c = 0; c < EDGE_COUNTS; c++) {
            struct aq_vector vector;
            aq_vector_init(&vector, shape == 7 ? AQ_TYPE_REAL : AQ_TYPE_DOUBLE);
            for (size_t i = 0; i < edge_counts[c]; i++)
                cr_assert_eq(aq_vector_append_double(&vector, double_of_shape(shape, i)), AQ_OK);
            expect_round_trips(&vector);
            aq_vector_deinit(&vector);
        }
    }
}

Test(encode, decimals_change_scale_between_runs)
{
    struct aq_vector vector;
    struct aq_bytes one = {0};
    struct aq_bytes many = {0};
    uint32_t starts[] = {0, 1000, 2000};
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < 3000; i++) {
        double step = (double)(next_random() % 200);
        double value = i < 1000 ? step * 2142 / 10000 : i < 2000 ? step / 10 : step * 50;
        cr_assert_eq(aq_vector_append_double(&vector, value), AQ_OK);
    }
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    expect_round_trip(&vector, 0, 3000, &options, &one);
    options.run_starts = starts;
    options.run_count = 3;
    expect_round_trip(&vector, 0, 3000, &options, &many);
    /* One scale for all would need 17 bits a value, 6.4 kB; where runs begin is found roughly. */
    cr_assert_lt(one.size, 4500);
    cr_assert_lt(many.size * 10, one.size * 9, "%zu bytes in runs, %zu without", many.size,
                 one.size);
    aq_bytes_deinit(&one);
    aq_bytes_deinit(&many);
    aq_vector_deinit(&vector);
}

/* Sums of deltas are scaled block by block, across changes of scale and from any row on. */
Test(encode, decimals_that_walk_change_scale)
{
    struct aq_vector vector;
    struct aq_bytes out = {0};
    uint32_t starts[] = {0, 3001, 6002};
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    int64_t walk = 0;
    for (size_t i = 0; i < 9003; i++) {
        walk += (int64_t)(next_random() % 9) - 4;
        double value = (double)walk;
        value = i < 3001 ? value * 2142 / 10000 : i < 6002 ? value / 10 : value * 50;
        cr_assert_eq(aq_vector_append_double(&vector, value), AQ_OK);
    }
    struct aq_encode_options options = {
        .profile = AQ_PROFILE_ARCHIVE, .run_starts = starts, .run_count = 3};
    expect_round_trip(&vector, 0, 9003, &options, &out);
    expect_described(&out, "scales(delta(");
    aq_bytes_deinit(&out);
    aq_vector_deinit(&vector);
}

/* Positions of many digits, each seen a few times: the digits are kept once, in ascending order. */
Test(encode, digits_that_return_are_kept_once)
{
    enum { ROWS = 30000, PLACES = 8000 };
    static double places[PLACES];
    struct aq_vector vector;
    struct aq_bytes out = {0};
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < PLACES; i++)
        places[i] = (double)(next_random() % 4000000000000) / 1e13 - 74;
    for (size_t i = 0; i < ROWS; i++)
        cr_assert_eq(aq_vector_append_double(&vector, places[next_random() % PLACES]), AQ_OK);
    expect_round_trip(&vector, 0, ROWS, &options, &out);
    /* A code takes 13 bits, an entry's difference 30; the value's own digits 42. */
    cr_assert_lt(out.size * 8, ROWS * 23, "%zu bytes", out.size);
    expect_described(&out, "dict(delta(");
    aq_bytes_deinit(&out);
    aq_vector_deinit(&vector);
}

/* What is frequent is not met first: codes take about their entropy if they go by frequency, and more if they do not. */
Test(encode, codes_go_by_frequency)
{
    enum { ROWS = 40000, ENTRIES = 600 };
    static char names[ENTRIES][16];
    static uint64_t digits[ENTRIES];
    static size_t met[ENTRIES];
    struct aq_vector texts;
    struct aq_vector numbers;
    struct aq_bytes out = {0};
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    aq_vector_init(&texts, AQ_TYPE_TEXT);
    aq_vector_init(&numbers, AQ_TYPE_BIGINT);
    for (size_t i = 0; i < ENTRIES; i++) {
        digits[i] = next_random() % 1000000000;
        snprintf(names[i], sizeof names[i], "%09d", (int)digits[i]);
    }
    for (size_t i = 0; i < ROWS; i++) {
        double share = (double)(next_random() % 1000000) / 1e6;
        size_t entry = i < ENTRIES ? i * 101 % ENTRIES : (size_t)(share * share * share * ENTRIES);
        met[entry]++;
        cr_assert_eq(aq_vector_append_slice(&texts, aq_slice_of(names[entry])), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&numbers, (int64_t)digits[entry] * 1000003), AQ_OK);
    }
    double bits = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        bits += (double)met[i] * log2((double)ROWS / (double)met[i]);
    struct aq_vector *vectors[] = {&texts, &numbers};
    for (size_t i = 0; i < 2; i++) {
        aq_bytes_clear(&out);
        expect_round_trip(vectors[i], 0, ROWS, &options, &out);
        expect_described(&out, "dict(");
        cr_assert_lt((double)out.size * 8, bits * 1.02 + ENTRIES * 54, "%zu bytes, entropy %g",
                     out.size, bits / 8);
        aq_vector_deinit(vectors[i]);
    }
    aq_bytes_deinit(&out);
}

/* Times of whole minutes at which something happens now and then: minutes between them are codes, whose entries, multiples of
 * sixty million, are told once and in order. */
Test(encode, multiples_between_times_are_kept_once)
{
    enum { ROWS = 60000 };
    struct aq_vector vector;
    struct aq_bytes out = {0};
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    int64_t minute = 0;
    aq_vector_init(&vector, AQ_TYPE_TIMESTAMPTZ);
    for (size_t i = 0; i < ROWS; i++) {
        minute += (int64_t)(next_random() % 700);
        cr_assert_eq(aq_vector_append_int(&vector, minute * 60000000), AQ_OK);
    }
    expect_round_trip(&vector, 0, ROWS, &options, &out);
    expect_described(&out, "delta(dict(delta(");
    cr_assert_lt(out.size * 8, ROWS * 10 + 8 * 500, "%zu bytes", out.size);
    aq_bytes_deinit(&out);
    aq_vector_deinit(&vector);
}

static struct aq_slice text_of_shape(unsigned shape, size_t i, char *buffer)
{
    static const char *const winds[] = {"N", "NNE", "NE", "ENE", "", "\xf0\x9f\x98\x80"};
    switch (shape) {
    case 0:
        return aq_slice_of(winds[i / 10 % 6]);
    case 1:
        return aq_slice_make(buffer, (size_t)snprintf(buffer, 64, "row %zu of a long text", i));
    case 2:
        for (size_t b = 0; b < 16; b++)
            buffer[b] = (char)next_random();
        return aq_slice_make(buffer, next_random() % 17);
    default:
        return (struct aq_slice){0};
    }
}
#define TEXT_SHAPES 4

Test(encode, texts)
{
    for (unsigned shape = 0; shape < TEXT_SHAPES; shape++) {
        for (size_t c = 0; c < EDGE_COUNTS; c++) {
            struct aq_vector vector;
            struct aq_arena arena = {0};
            char buffer[64];
            aq_vector_init(&vector, shape == 2 ? AQ_TYPE_BYTEA : AQ_TYPE_TEXT);
            for (size_t i = 0; i < edge_counts[c]; i++) {
                struct aq_slice text = text_of_shape(shape, i, buffer);
                text.data = aq_arena_copy(&arena, text.data, text.size);
                cr_assert_eq(aq_vector_append_slice(&vector, text), AQ_OK);
            }
            expect_round_trips(&vector);
            aq_vector_deinit(&vector);
            aq_arena_deinit(&arena);
        }
    }
}

static bool null_of_shape(unsigned shape, size_t i, size_t count)
{
    switch (shape) {
    case 0:
        return true;
    case 1:
        return i == 0;
    case 2:
        return i + 1 == count;
    case 3:
        return i % 2 == 0;
    case 4:
        return i / 100 % 3 == 0;
    default:
        return next_random() % 10 == 0;
    }
}
#define NULL_SHAPES 6

Test(encode, nulls_in_every_type)
{
    for (unsigned type = AQ_TYPE_BOOLEAN; type <= AQ_TYPE_TIMESTAMPTZ; type++) {
        for (unsigned shape = 0; shape < NULL_SHAPES; shape++) {
            struct aq_vector vector;
            aq_vector_init(&vector, (enum aq_type)type);
            for (size_t i = 0; i < 1030; i++) {
                enum aq_status status;
                if (null_of_shape(shape, i, 1030))
                    status = aq_vector_append_null(&vector);
                else if (aq_type_physical(vector.type) == AQ_PHYSICAL_INT)
                    status = aq_vector_append_int(&vector, (int64_t)(i / 3 % 2));
                else if (aq_type_physical(vector.type) == AQ_PHYSICAL_DOUBLE)
                    status = aq_vector_append_double(&vector, (double)(i % 9) / 2);
                else
                    status = aq_vector_append_slice(&vector, aq_slice_of("text"));
                cr_assert_eq(status, AQ_OK);
            }
            expect_round_trips(&vector);
            aq_vector_deinit(&vector);
        }
    }
}

Test(encode, values_outside_their_type_are_refused)
{
    struct aq_bytes out = {0};
    struct aq_vector vector;
    aq_bytes_u8(&out, 7);
    aq_vector_init(&vector, AQ_TYPE_INTEGER);
    cr_assert_eq(aq_vector_append_int(&vector, (int64_t)INT32_MAX + 1), AQ_OK);
    cr_assert_eq(aq_column_encode(&vector, 0, 1, AQ_PROFILE_FRAME, &out), AQ_INVALID);
    cr_assert_eq(out.size, 1);
    vector.type = AQ_TYPE_BIGINT;
    out.size = 0;
    cr_assert_eq(aq_column_encode(&vector, 0, 1, AQ_PROFILE_FRAME, &out), AQ_OK);
    struct aq_arena arena = {0};
    struct aq_error err = {0};
    vector.type = AQ_TYPE_DATE;
    enum aq_status status =
        aq_column_decode(aq_bytes_view(&out), AQ_TYPE_DATE, 1, &arena, &vector, &err);
    cr_assert_eq(status, AQ_CORRUPT, "a date beyond 32 bits");
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&out);
}

/* A vector that brings as many encodings as possible into few bytes. */
static void fill_sample(struct aq_vector *vector, enum aq_type type)
{
    aq_vector_init(vector, type);
    for (size_t i = 0; i < 300; i++) {
        enum aq_status status;
        if (i % 11 == 5)
            status = aq_vector_append_null(vector);
        else if (aq_type_physical(type) == AQ_PHYSICAL_INT)
            status = aq_vector_append_int(vector, int_of_shape(i < 150 ? 3 : 2, i));
        else if (aq_type_physical(type) == AQ_PHYSICAL_DOUBLE)
            status = aq_vector_append_double(vector, double_of_shape(i < 150 ? 5 : 1, i));
        else
            status = aq_vector_append_slice(vector, text_of_shape(0, i, NULL));
        cr_assert_eq(status, AQ_OK);
    }
}

static void decode_hostile(struct aq_slice bytes, enum aq_type type, size_t count)
{
    /* An exact copy, so that the sanitizer sees a read past its end. */
    uint8_t *copy = malloc(bytes.size + 1);
    memcpy(copy, bytes.data, bytes.size);
    uint8_t *exact = realloc(copy, bytes.size > 0 ? bytes.size : 1);
    struct aq_arena arena = {0};
    struct aq_vector back;
    struct aq_error err = {0};
    char text[64];
    aq_vector_init(&back, type);
    struct aq_wanted all = {.end = count};
    enum aq_status status = aq_column_decode_rows(aq_slice_make(exact, bytes.size), type, count,
                                                  &all, &kept, &arena, &back, &err);
    cr_assert(status == AQ_OK || status == AQ_CORRUPT);
    cr_assert(status == AQ_OK ? back.row_count == count : back.row_count == 0);
    status = aq_column_describe(aq_slice_make(exact, bytes.size), text, sizeof text, &err);
    cr_assert(status == AQ_OK || status == AQ_CORRUPT);
    aq_vector_deinit(&back);
    aq_arena_deinit(&arena);
    free(exact);
}

Test(encode, flips_and_truncations_never_crash)
{
    static const enum aq_type types[] = {AQ_TYPE_BIGINT, AQ_TYPE_DOUBLE, AQ_TYPE_TEXT};
    for (size_t t = 0; t < 6; t++) {
        struct aq_vector vector;
        struct aq_bytes out = {0};
        fill_sample(&vector, types[t / 2]);
        cr_assert_eq(aq_column_encode(&vector, 0, 300, profiles[t % 2], &out), AQ_OK);
        for (size_t bit = 0; bit < out.size * 8; bit++) {
            out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            decode_hostile(aq_bytes_view(&out), types[t / 2], 300);
            out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t size = 0; size < out.size; size++)
            decode_hostile(aq_slice_make(out.data, size), types[t / 2], 300);
        decode_hostile(aq_bytes_view(&out), types[t / 2], 299);
        decode_hostile(aq_bytes_view(&out), types[(t / 2 + 1) % 3], 300);
        expect_parts(&vector, 0, 300, aq_bytes_view(&out));
        aq_vector_deinit(&vector);
        aq_bytes_deinit(&out);
    }
}

/* Words of many sizes, so that tokens with raw bits and several contexts occur. */
static void fill_restless(struct aq_vector *vector, size_t count)
{
    aq_vector_init(vector, AQ_TYPE_BIGINT);
    for (size_t i = 0; i < count; i++) {
        unsigned calm = i / 97 % 3 == 0 ? 48 : 61;
        int64_t up = (int64_t)(next_random() >> calm);
        int64_t down = (int64_t)(next_random() >> calm);
        cr_assert_eq(aq_vector_append_int(vector, i == 700 ? INT64_MIN : up - down), AQ_OK);
    }
}

Test(encode, entropy_coding_at_every_lane_length)
{
    struct aq_bytes out = {0};
    for (size_t count = 1024; count < 1034; count++) {
        struct aq_vector vector;
        fill_restless(&vector, count);
        struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
        expect_round_trip(&vector, 0, count, &options, &out);
        expect_described(&out, "ans");
        aq_vector_deinit(&vector);
    }
    aq_bytes_deinit(&out);
}

Test(encode, flips_and_truncations_of_entropy_coding)
{
    struct aq_vector vector;
    struct aq_bytes out = {0};
    fill_restless(&vector, 1024);
    cr_assert_eq(aq_column_encode(&vector, 0, 1024, AQ_PROFILE_ARCHIVE, &out), AQ_OK);
    expect_described(&out, "ans");
    for (size_t bit = 0; bit < out.size * 8; bit += 3) {
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        decode_hostile(aq_bytes_view(&out), AQ_TYPE_BIGINT, 1024);
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < out.size; size++)
        decode_hostile(aq_slice_make(out.data, size), AQ_TYPE_BIGINT, 1024);
    decode_hostile(aq_bytes_view(&out), AQ_TYPE_BIGINT, 3);
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&out);
}

Test(encode, nesting_is_bounded)
{
    struct aq_bytes out = {0};
    aq_bytes_varint(&out, 100);
    aq_bytes_u8(&out, 0); /* no nulls */
    for (unsigned i = 0; i < 50; i++) {
        aq_bytes_u8(&out, 5); /* delta */
        aq_bytes_varint(&out, 0);
    }
    decode_hostile(aq_bytes_view(&out), AQ_TYPE_BIGINT, 100);
    aq_bytes_deinit(&out);
}

Test(encode, describes_in_words)
{
    struct aq_vector vector;
    struct aq_bytes out = {0};
    char text[128];
    struct aq_error err = {0};
    aq_vector_init(&vector, AQ_TYPE_TIMESTAMPTZ);
    for (size_t i = 0; i < 100; i++)
        cr_assert_eq(aq_vector_append_int(&vector, (int64_t)i * 60), AQ_OK);
    cr_assert_eq(aq_column_encode(&vector, 0, 100, AQ_PROFILE_ARCHIVE, &out), AQ_OK);
    cr_assert_eq(aq_column_describe(aq_bytes_view(&out), text, sizeof text, &err), AQ_OK);
    cr_assert_str_eq(text, "delta(constant)");
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&out);
}

/* Flags of nulls in two runs; five texts, of which one is that of a null. */
Test(encode, lists_its_nodes)
{
    static const struct aq_coded_node expected[] = {
        {"run", true, 0, 3000, 1 + 1 + 6 + 4},
        {"delta", true, 1, 2, 1 + 2 + 3},
        {"constant", true, 2, 1, 3},
        {"bitpack", true, 1, 2, 4},
        {"dict", false, 0, 3000, 1 + 1 + 31 + 1132},
        {"text", false, 1, 5, 1 + 6 + 1 + 23},
        {"bitpack", false, 2, 5, 1 + 2 + 3}, /* four bits each */
        {"bitpack", false, 1, 3000, 1 + 3 * 2 + 3000 * 3 / 8},
    };
    static const char *const texts[] = {"", "north", "west", "south-west", "east"};
    struct aq_coded_node nodes[AQ_CODED_NODES_MAX];
    struct aq_vector vector;
    struct aq_bytes out = {0};
    size_t count = 0;
    aq_vector_init(&vector, AQ_TYPE_TEXT);
    for (size_t i = 0; i < 3000; i++)
        cr_assert_eq(i < 100
                         ? aq_vector_append_null(&vector)
                         : aq_vector_append_slice(&vector, aq_slice_of(texts[next_random() % 5])),
                     AQ_OK);
    cr_assert_eq(aq_column_encode(&vector, 0, 3000, AQ_PROFILE_FRAME, &out), AQ_OK);
    cr_assert_eq(aq_column_nodes(aq_bytes_view(&out), nodes, &count, NULL), AQ_OK);
    cr_assert_eq(count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < count; i++) {
        cr_expect_str_eq(nodes[i].encoding, expected[i].encoding);
        cr_expect_eq(nodes[i].of_nulls, expected[i].of_nulls);
        cr_expect_eq(nodes[i].depth, expected[i].depth);
        cr_expect_eq(nodes[i].value_count, expected[i].value_count);
        cr_expect_eq(nodes[i].size_bytes, expected[i].size_bytes, "node %zu", i);
    }
    cr_expect_eq(out.size, 2 + 1 + expected[0].size_bytes + expected[4].size_bytes);
    out.size--;
    cr_expect_eq(aq_column_nodes(aq_bytes_view(&out), nodes, &count, NULL), AQ_CORRUPT);
    cr_expect_eq(count, 0);
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&out);
}
