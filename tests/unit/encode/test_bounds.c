/* Bounds of vectors: no value is beyond them, whatever the column is like; those of bit packing are as near as its width
 * allows; damaged bytes never give bounds that decoding breaks. */
#include <criterion/criterion.h>
#include <math.h>

#include "format/base/bytes.h"
#include "format/encode/encode.h"

#define VECTORS_MAX 8

static uint64_t state = 1;

static uint64_t next(void)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return state >> 33;
}

static double odd_double(uint64_t at)
{
    static const double values[] = {-0.0, 0.0, 1e300, 5e-324, -INFINITY, INFINITY, 0.1};
    union {
        uint64_t bits;
        double real;
    } payload = {.bits = UINT64_C(0xfff8000000000042)};
    return at % 8 == 7 ? payload.real : values[at % 8];
}

/* What a column's values are like. */
struct shape {
    int64_t base;
    uint64_t reach;
    double scales[2]; /* of doubles, what integers are divided by, in turns of 700 */
    unsigned odd;     /* so many of 1,000 values are none of these */
    unsigned nulls;   /* and so many are null */
    size_t null_from; /* and all from here on */
};

static struct shape make_shape(void)
{
    static const int64_t bases[] = {0, 1000, -5, INT64_MIN, INT64_MAX - 300, -70000};
    static const uint64_t reaches[] = {0, 1, 200, 70000, UINT64_C(1) << 40, UINT64_MAX};
    static const double scales[] = {1, 10, 1000, 1e7};
    return (struct shape){.base = bases[next() % 6],
                          .reach = reaches[next() % 6],
                          .scales = {scales[next() % 4], scales[next() % 4]},
                          .odd = next() % 3 == 0 ? (unsigned)(next() % 100) : 0,
                          .nulls = next() % 3 == 0 ? (unsigned)(next() % 900) : 0,
                          .null_from = next() % 4 == 0 ? next() % 5000 : SIZE_MAX};
}

static void append_value(struct aq_vector *vector, const struct shape *shape)
{
    uint64_t step = next() << 31 ^ next();
    step = shape->reach == UINT64_MAX ? step << 1 : step % (shape->reach + 1);
    int64_t integer = (int64_t)((uint64_t)shape->base + step);
    bool odd = next() % 1000 < shape->odd;
    enum aq_status status;
    if (vector->row_count >= shape->null_from || next() % 1000 < shape->nulls)
        status = aq_vector_append_null(vector);
    else if (vector->type == AQ_TYPE_DOUBLE)
        status = aq_vector_append_double(
            vector, odd ? odd_double(next())
                        : (double)(integer >> 12) / shape->scales[vector->row_count / 700 % 2]);
    else if (vector->type == AQ_TYPE_INTEGER)
        status = aq_vector_append_int(vector, (int32_t)(uint32_t)integer);
    else
        status =
            aq_vector_append_int(vector, odd ? (next() % 2 == 0 ? INT64_MIN : INT64_MAX) : integer);
    cr_assert_eq(status, AQ_OK);
}

/* `integer` may be the bits of a double. */
static bool within(enum aq_type type, const struct aq_column_stats *bounds, int64_t integer)
{
    int64_t all[] = {bounds->min.integer, integer, bounds->max.integer};
    struct aq_vector vector = {.type = type, .row_count = 3, .values = all};
    return aq_vector_compare(&vector, 0, &vector, 1) <= 0 &&
           aq_vector_compare(&vector, 1, &vector, 2) <= 0;
}

/* Of each vector rows, nulls and values are what `bounds` say. */
static void expect_held(const struct aq_vector *vector, const struct aq_column_stats *bounds)
{
    for (size_t first = 0; first < vector->row_count; first += AQ_VECTOR_ROWS_MAX, bounds++) {
        size_t end = first + AQ_VECTOR_ROWS_MAX;
        end = end < vector->row_count ? end : vector->row_count;
        uint64_t null_count = 0;
        for (size_t row = first; row < end; row++) {
            bool null = aq_vector_is_null(vector, row);
            null_count += null;
            cr_assert(null ||
                          (bounds->bounds_known ? within(vector->type, bounds, vector->ints[row])
                                                : vector->type == AQ_TYPE_DOUBLE),
                      "row %zu", row);
        }
        cr_assert_eq(bounds->row_count, end - first);
        cr_assert_eq(bounds->null_count, null_count);
    }
}

/* Vectors that are packed are of all rows but as many as differences leave out, and hold together in their bytes. */
static enum aq_status expect_packing(const struct aq_bytes *coded, enum aq_type type, size_t count)
{
    struct aq_packed_vector vectors[VECTORS_MAX];
    size_t vector_count;
    size_t size = 0;
    enum aq_status status =
        aq_column_packing(aq_bytes_view(coded), type, count, NULL, vectors, &vector_count, NULL);
    cr_assert_leq(vector_count, status == AQ_OK ? aq_vector_count(count) : 0);
    for (size_t i = 0; i < vector_count; i++) {
        size_t end = i + 1 < vector_count ? vectors[i + 1].row_first : count;
        cr_assert_eq(vectors[i].row_first + vectors[i].row_count, end);
        cr_assert_leq(vectors[i].width_bits, 64);
        cr_assert_geq(vectors[i].size_bytes,
                      2 + (vectors[i].row_count * vectors[i].width_bits + 7) / 8);
        size += vectors[i].size_bytes;
    }
    cr_assert_lt(size, coded->size);
    return status;
}

/* Bits changed here and there: bounds that are given hold for what decoding gives, if it does. */
static void damage(struct aq_bytes *coded, enum aq_type type, size_t count)
{
    struct aq_column_stats bounds[VECTORS_MAX];
    for (unsigned turn = 0; turn < 40; turn++) {
        struct aq_vector decoded;
        struct aq_arena arena = {0};
        size_t at =
            turn < 20 ? next() % (coded->size < 24 ? coded->size : 24) : next() % coded->size;
        uint8_t was = coded->data[at];
        coded->data[at] ^= (uint8_t)(1u << next() % 8);
        aq_vector_init(&decoded, type);
        enum aq_status status =
            aq_column_bounds(aq_bytes_view(coded), type, count, NULL, bounds, NULL);
        cr_assert(status == AQ_OK || status == AQ_NOT_FOUND || status == AQ_CORRUPT);
        if (status == AQ_OK &&
            aq_column_decode(aq_bytes_view(coded), type, count, &arena, &decoded, NULL) == AQ_OK)
            expect_held(&decoded, bounds);
        status = expect_packing(coded, type, count);
        cr_assert(status == AQ_OK || status == AQ_CORRUPT);
        aq_vector_deinit(&decoded);
        aq_arena_deinit(&arena);
        coded->data[at] = was;
    }
}

static bool try_column(enum aq_type type, size_t count, enum aq_profile profile)
{
    struct aq_column_stats bounds[VECTORS_MAX];
    struct aq_vector vector;
    struct aq_bytes coded = {0};
    struct aq_error err = {0};
    struct shape shape = make_shape();
    aq_vector_init(&vector, type);
    for (size_t i = 0; i < count; i++)
        append_value(&vector, &shape);
    cr_assert_eq(aq_column_encode(&vector, 0, count, profile, &coded), AQ_OK);
    enum aq_status status =
        aq_column_bounds(aq_bytes_view(&coded), type, count, NULL, bounds, &err);
    cr_assert(status == AQ_OK || status == AQ_NOT_FOUND, "%s", err.message);
    if (status == AQ_OK)
        expect_held(&vector, bounds);
    cr_assert_eq(expect_packing(&coded, type, count), AQ_OK);
    damage(&coded, type, count);
    coded.size--;
    cr_assert_neq(aq_column_bounds(aq_bytes_view(&coded), type, count, NULL, bounds, NULL), AQ_OK);
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&coded);
    return status == AQ_OK;
}

Test(bounds, hold_every_value)
{
    static const enum aq_type types[] = {AQ_TYPE_BIGINT, AQ_TYPE_INTEGER, AQ_TYPE_DOUBLE};
    static const size_t counts[] = {1, 2, 200, 1023, 1024, 1025, 5000};
    size_t found[3][AQ_PROFILE_ARCHIVE + 1] = {0};
    for (unsigned turn = 0; turn < 20; turn++)
        for (size_t t = 0; t < 3; t++)
            for (size_t c = 0; c < 7; c++)
                for (enum aq_profile profile = 0; profile <= AQ_PROFILE_ARCHIVE; profile++)
                    found[t][profile] += try_column(types[t], counts[c], profile);
    for (size_t t = 0; t < 3; t++)
        for (size_t profile = 0; profile <= AQ_PROFILE_FAST; profile++)
            cr_expect_gt(found[t][profile], 30, "type %zu: %zu of 140", t, found[t][profile]);
}

/* 0, 1 ... 7 in turn, each vector 1,000 further: the reference and three bits are the very bounds. */
Test(bounds, of_plain_bit_packing_are_tight)
{
    struct aq_column_stats bounds[3];
    struct aq_vector ints;
    struct aq_vector doubles;
    struct aq_bytes coded = {0};
    aq_vector_init(&ints, AQ_TYPE_BIGINT);
    aq_vector_init(&doubles, AQ_TYPE_DOUBLE);
    for (int64_t i = 0; i < 2500; i++) {
        int64_t value = i / 1024 * 1000 + i % 7 * 3 % 8;
        cr_assert_eq(aq_vector_append_int(&ints, value), AQ_OK);
        cr_assert_eq(i == 1030 ? aq_vector_append_double(&doubles, (double)INFINITY)
                     : i == 7  ? aq_vector_append_double(&doubles, -0.0)
                               : aq_vector_append_double(&doubles, (double)value / 10),
                     AQ_OK);
    }
    cr_assert_eq(aq_column_encode(&ints, 0, 2500, AQ_PROFILE_FRAME, &coded), AQ_OK);
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2500, NULL, bounds, NULL),
                 AQ_OK);
    for (int64_t vector = 0; vector < 3; vector++) {
        cr_expect_eq(bounds[vector].min.integer, vector * 1000);
        cr_expect_eq(bounds[vector].max.integer, vector * 1000 + 7);
        cr_expect_eq(bounds[vector].row_count, vector < 2 ? 1024 : 452);
        cr_expect_not(bounds[vector].bounds_exact);
    }
    coded.size = 0;
    cr_assert_eq(aq_column_encode(&doubles, 0, 2500, AQ_PROFILE_FRAME, &coded), AQ_OK);
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_DOUBLE, 2500, NULL, bounds, NULL),
                 AQ_OK);
    for (int64_t vector = 0; vector < 3; vector++) {
        cr_expect_eq(bounds[vector].min.real, (double)vector * 100);
        cr_expect_eq(bounds[vector].max.real,
                     vector == 1 ? (double)INFINITY : (double)(vector * 1000 + 7) / 10);
    }
    aq_vector_deinit(&ints);
    aq_vector_deinit(&doubles);
    aq_bytes_deinit(&coded);
}

static size_t read_packing(const struct aq_vector *vector, enum aq_profile profile,
                           struct aq_packed_vector *vectors)
{
    struct aq_bytes coded = {0};
    size_t vector_count;
    cr_assert_eq(aq_column_encode(vector, 0, vector->row_count, profile, &coded), AQ_OK);
    cr_assert_eq(aq_column_packing(aq_bytes_view(&coded), vector->type, vector->row_count, NULL,
                                   vectors, &vector_count, NULL),
                 AQ_OK);
    aq_bytes_deinit(&coded);
    return vector_count;
}

/* A dictionary whose entries are a dictionary, as no writer makes them: two vectors are of rows, and two of entries. */
Test(bounds, vectors_of_entries_are_none_of_rows)
{
    uint8_t bytes[] = {0x80, 0x10, 0,                                 /* 2,048 rows, no nulls */
                       33,   0x80, 0x10,                              /* of 2,048 entries */
                       33,   1,    32,   1, 2, 0, 'a', 4, 0, 0, 0, 0, /* each "a" */
                       4,    0,    0,    0, 0};
    struct aq_bytes coded = {.data = bytes, .size = sizeof bytes};
    cr_assert_eq(expect_packing(&coded, AQ_TYPE_TEXT, 2048), AQ_OK);
}

/* Of values, of their differences, and of the codes of strings; with nulls, and lengths of strings, which are packed too. */
Test(bounds, are_packed_in_vectors)
{
    struct aq_packed_vector vectors[3];
    struct aq_vector values;
    struct aq_vector steps;
    struct aq_vector names;
    aq_vector_init(&values, AQ_TYPE_INTEGER);
    aq_vector_init(&steps, AQ_TYPE_BIGINT);
    aq_vector_init(&names, AQ_TYPE_TEXT);
    static const char *const texts[] = {"calm", "north", "west", "south-west", "", "east"};
    for (int64_t i = 0; i < 2500; i++) {
        int64_t bits = i < 1024 ? 0 : i < 2048 ? 15 : 255;
        cr_assert_eq(i % 5 == 2 ? aq_vector_append_null(&values)
                                : aq_vector_append_int(&values, 64 + (i * 7919 >> 3 & bits)),
                     AQ_OK);
        cr_assert_eq(aq_vector_append_int(&steps, i * 100000 + (i * 7919 & 255)), AQ_OK);
        cr_assert_eq(aq_vector_append_slice(&names, aq_slice_of(texts[next() % 6])), AQ_OK);
    }
    cr_assert_eq(read_packing(&values, AQ_PROFILE_FRAME, vectors), 3);
    static const unsigned widths[] = {0, 4, 8};
    for (size_t i = 0; i < 3; i++) {
        size_t rows = i < 2 ? 1024 : 452;
        cr_expect_eq(vectors[i].row_first, 1024 * i);
        cr_expect_eq(vectors[i].row_count, rows);
        cr_expect_eq(vectors[i].width_bits, widths[i]);
        cr_expect_eq(vectors[i].size_bytes, 3 + rows * widths[i] / 8, "64 takes two bytes");
    }
    cr_assert_eq(read_packing(&steps, AQ_PROFILE_FRAME, vectors), 3);
    cr_expect_eq(vectors[0].row_first, 1);
    cr_expect_eq(vectors[2].row_first, 2049);
    cr_expect_eq(vectors[2].row_count, 451);
    cr_expect_eq(vectors[1].width_bits, 9);
    cr_assert_eq(read_packing(&names, AQ_PROFILE_FRAME, vectors), 3);
    cr_expect_eq(vectors[1].width_bits, 3);
    cr_expect_eq(vectors[1].size_bytes, 2 + 1024 * 3 / 8);
    aq_vector_deinit(&values);
    aq_vector_deinit(&steps);
    aq_vector_deinit(&names);
}

/* Bytes that no writer makes: distances that wrap around stand for any integer, products that do for any double; a width
 * beyond 64 bits is none. */
Test(bounds, of_what_wraps_around)
{
    struct aq_column_stats bounds[1];
    struct aq_bytes coded = {0};
    /* two rows, no nulls, bitpack: reference INT64_MAX - 2, two bits */
    static const uint8_t ints[] = {2,    0,    4,    0xfa, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0x01, 2,    0x0c};
    aq_bytes_append(&coded, ints, sizeof ints);
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2, NULL, bounds, NULL),
                 AQ_OK);
    cr_expect_eq(bounds[0].min.integer, INT64_MIN);
    cr_expect_eq(bounds[0].max.integer, INT64_MAX);
    coded.data[13] = 65;
    cr_expect_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2, NULL, bounds, NULL),
                 AQ_CORRUPT);
    /* one segment, 10^-1, multiple 2^62; no patches; bitpack from 0 in two bits: 3 x 2^62 is too much */
    static const uint8_t doubles[] = {2,    0,    16,   1,    2,    1, 0x80, 0x80, 0x80, 0x80,
                                      0x80, 0x80, 0x80, 0x80, 0x40, 0, 4,    0,    2,    0x0c};
    coded.size = 0;
    aq_bytes_append(&coded, doubles, sizeof doubles);
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_DOUBLE, 2, NULL, bounds, NULL),
                 AQ_OK);
    cr_expect_not(bounds[0].bounds_known);
    coded.data[18] = 1; /* 2^62 alone is not */
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_DOUBLE, 2, NULL, bounds, NULL),
                 AQ_OK);
    cr_expect(bounds[0].bounds_known && bounds[0].min.real == 0 &&
              bounds[0].max.real == (double)(INT64_C(1) << 62) / 10);
    aq_bytes_deinit(&coded);
}

/* 0 and 3 by bit packing, times 1,000, and 7 more: bounds are as far apart; where products wrap around they tell nothing. */
Test(bounds, of_multiples)
{
    struct aq_column_stats bounds[1];
    struct aq_bytes coded = {0};
    static const uint8_t ints[] = {2, 0, 10, 0xe8, 7, 14, 4, 0, 2, 0x0c};
    aq_bytes_append(&coded, ints, sizeof ints);
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2, NULL, bounds, NULL),
                 AQ_OK);
    cr_expect_eq(bounds[0].min.integer, 7);
    cr_expect_eq(bounds[0].max.integer, 3007);
    coded.data[4] = 0;
    cr_expect_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2, NULL, bounds, NULL),
                 AQ_CORRUPT, "a number not in its shortest form");
    static const uint8_t far[] = {2,    0,    10,   0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0x7f, 14,   4,    0,    2,    0x0c};
    coded.size = 0;
    aq_bytes_append(&coded, far, sizeof far);
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2, NULL, bounds, NULL),
                 AQ_OK);
    cr_expect_eq(bounds[0].min.integer, INT64_MIN);
    cr_expect_eq(bounds[0].max.integer, INT64_MAX);
    coded.data[12] = 0;
    coded.data[15] = 1; /* 2^63 - 1 alone does not */
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2, NULL, bounds, NULL),
                 AQ_OK);
    cr_expect(bounds[0].min.integer == 0 && bounds[0].max.integer == INT64_MAX);
    static const uint8_t constant[] = {2, 0, 10, 2, 0, 1, 14};
    coded.size = 0;
    aq_bytes_append(&coded, constant, sizeof constant);
    cr_expect_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_BIGINT, 2, NULL, bounds, NULL),
                 AQ_NOT_FOUND);
    aq_bytes_deinit(&coded);
}

/* Of a column that is all null, every vector is; of other encodings nothing is told. */
Test(bounds, of_nulls_and_others)
{
    struct aq_column_stats bounds[2];
    struct aq_vector vector;
    struct aq_bytes coded = {0};
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < 1025; i++)
        cr_assert_eq(aq_vector_append_null(&vector), AQ_OK);
    cr_assert_eq(aq_column_encode(&vector, 0, 1025, AQ_PROFILE_FAST, &coded), AQ_OK);
    cr_assert_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_DOUBLE, 1025, NULL, bounds, NULL),
                 AQ_OK);
    expect_held(&vector, bounds);
    cr_expect_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_DOUBLE, 1024, NULL, bounds, NULL),
                 AQ_CORRUPT);
    aq_vector_clear(&vector);
    for (size_t i = 0; i < 1025; i++)
        cr_assert_eq(aq_vector_append_double(&vector, (double)i), AQ_OK);
    coded.size = 0;
    cr_assert_eq(aq_column_encode(&vector, 0, 1025, AQ_PROFILE_FAST, &coded), AQ_OK);
    cr_expect_eq(aq_column_bounds(aq_bytes_view(&coded), AQ_TYPE_DOUBLE, 1025, NULL, bounds, NULL),
                 AQ_NOT_FOUND, "deltas");
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&coded);
}
