/* Round trips of random columns: every type in all profiles, every encoding forced in turn, values of every bit
 * pattern, no, few, most and only nulls, lengths around a vector's, some long enough for what only long columns have. What
 * comes out must be what went in, to the bit, of the whole and of a part; every encoding must have been met.
 *
 * A few thousand columns in the short run; AQ_COLUMNS=10000000 for as many, AQ_SEED for others. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/encode/encode.h"
#include "format/encode/node.h"
#include "tests/unit/encode/random.h"

#define ROWS_MAX 3100
#define VECTOR_WORDS 2     /* of a bit a vector */
#define LONG_ROWS_MIN 8192 /* from here on there are ans32 and repeat */
#define LONG_ROWS_MAX 20000
#define LONG_ONE_IN 64

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* Mostly short, so that many can be had; the edges of vectors often. */
static size_t draw_count(void)
{
    static const size_t edges[] = {0, 1, 2, 1023, 1024, 1025, 2048, 2049};
    static const size_t long_edges[] = {8191, 8192, 8193, 65535, 65536};
    uint64_t kind = next_random() % 16;
    if (next_random() % LONG_ONE_IN == 0)
        return kind == 0 ? long_edges[next_random() % 5]
                         : LONG_ROWS_MIN + next_random() % (LONG_ROWS_MAX - LONG_ROWS_MIN);
    return kind == 0   ? edges[next_random() % 8]
           : kind == 1 ? next_random() % ROWS_MAX
                       : 1 + next_random() % 60;
}

/* One of so many shapes of integers; a column keeps its shape, and its parameters. */
#define SHAPE_REPEATS 9
#define SHAPE_MULTIPLES 11
#define SHAPES 12
struct shape {
    unsigned kind;
    uint64_t a;
    unsigned shift;
};

static struct shape draw_shape(void)
{
    return (struct shape){.kind = (unsigned)(next_random() % SHAPES),
                          .a = next_random(),
                          .shift = (unsigned)(next_random() % 64)};
}

/* The row whose value stands again in row i; i: none. */
static size_t repeated_row(const struct shape *shape, size_t i)
{
    size_t period = 20 + shape->a % 5000;
    return shape->kind != SHAPE_REPEATS || i < period || next_random() % 500 == 0 ? i : i - period;
}

static int64_t draw_int(const struct shape *shape, size_t i, int64_t before)
{
    switch (shape->kind) {
    case 0:
        return (int64_t)shape->a;
    case 1: /* a stride */
        return (int64_t)(shape->a + i * (shape->a >> shape->shift));
    case 2: /* as wide as may be */
        return (int64_t)next_random();
    case 3: /* so many bits */
        return (int64_t)(next_random() >> shape->shift);
    case 4: /* runs */
        return next_random() % 20 != 0 && i > 0 ? before : (int64_t)(next_random() >> shape->shift);
    case 5: /* few different */
        return (int64_t)((shape->a + next_random() % 5) << (shape->shift / 2));
    case 6: /* a walk */
        return (int64_t)((uint64_t)before + next_random() % 21 - 10);
    case 7: /* ends of the range */
        return next_random() % 2 ? INT64_MIN + (int64_t)(next_random() % 3)
                                 : INT64_MAX - (int64_t)(next_random() % 3);
    case SHAPE_REPEATS: /* what is new of them */
        return (int64_t)(next_random() >> shape->shift);
    case SHAPE_MULTIPLES:
        return (int64_t)(shape->a + (next_random() >> (shape->shift | 16)) * (shape->a >> 48));
    case 10: /* of all sizes, both signs, small ones most often */
        return (int64_t)(next_random() >> (shape->shift / 2 + next_random() % 32)) *
               (next_random() % 2 ? 1 : -1);
    default: /* few outliers */
        return next_random() % 50 == 0 ? (int64_t)next_random() : (int64_t)(next_random() % 100);
    }
}

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double draw_double(const struct shape *shape, size_t i, int64_t *before)
{
    static const double tens[] = {1, 10, 100, 1e3, 1e9, 1e15, 1e22};
    static const uint64_t odd[] = {UINT64_C(0x7ff8000000000000),
                                   UINT64_C(0xfff8000000000123),
                                   UINT64_C(0x7ff0000000000001),
                                   UINT64_C(0x7ff0000000000000),
                                   UINT64_C(0xfff0000000000000),
                                   UINT64_C(0x8000000000000000),
                                   1,
                                   UINT64_C(0x000fffffffffffff),
                                   UINT64_C(0x7fefffffffffffff)};
    if (shape->kind == 2 || next_random() % 40 == 0)
        return of_bits(next_random() % 2 ? next_random() : odd[next_random() % 9]);
    if (shape->kind == 7)
        return of_bits(odd[next_random() % 9]);
    *before = draw_int(shape, i, *before);
    return (double)(*before >> (shape->shift % 40)) / tens[shape->a % 7];
}

static struct aq_slice draw_slice(const struct shape *shape, struct aq_arena *arena)
{
    size_t size = shape->kind == 2   ? next_random() % 300
                  : shape->kind == 0 ? shape->a % 10
                                     : next_random() % 12;
    uint8_t *bytes = aq_arena_alloc(arena, size + 1);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = shape->kind == 0   ? (uint8_t)shape->a
                   : shape->kind == 2 ? (uint8_t)next_random()
                                      : (uint8_t)('a' + next_random() % (shape->kind + 1));
    return aq_slice_make(bytes, size);
}

/* What the type can hold of it. */
static int64_t fit(enum aq_type type, int64_t value)
{
    if (type == AQ_TYPE_BOOLEAN)
        return value & 1;
    return type == AQ_TYPE_INTEGER || type == AQ_TYPE_DATE ? (int32_t)value : value;
}

static void fill(struct aq_vector *vector, size_t count, struct aq_arena *arena)
{
    static const unsigned null_shares[] = {0, 0, 0, 1, 20, 50, 99, 100};
    struct shape shape = draw_shape();
    unsigned nulls = null_shares[next_random() % 8];
    int64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        enum aq_status status;
        size_t from = repeated_row(&shape, i);
        if (next_random() % 100 < nulls) {
            status = aq_vector_append_null(vector);
        } else if (from < i && aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE) {
            status = aq_vector_append_slice(vector, vector->slices[from]);
        } else if (from < i) {
            status = aq_vector_append_int(vector, vector->ints[from]); /* or a double's bits */
        } else if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE) {
            status = aq_vector_append_slice(vector, draw_slice(&shape, arena));
        } else if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE) {
            status = aq_vector_append_double(vector, draw_double(&shape, i, &before));
        } else {
            before = draw_int(&shape, i, before);
            status = aq_vector_append_int(vector, fit(vector->type, before));
        }
        cr_assert_eq(status, AQ_OK);
    }
}

static void expect_same(const struct aq_vector *in, const struct aq_vector *out, size_t first,
                        size_t end, uint64_t seed)
{
    cr_assert_eq(in->row_count, out->row_count);
    for (size_t i = first; i < end; i++) {
        bool null = aq_vector_is_null(in, i);
        bool same = null == aq_vector_is_null(out, i);
        if (same && !null && aq_type_physical(in->type) == AQ_PHYSICAL_SLICE)
            same = aq_slice_equal(in->slices[i], out->slices[i]);
        else if (same && !null)
            same = in->ints[i] == out->ints[i]; /* a double's bits, too */
        cr_assert(same, "AQ_SEED=%" PRIu64 ": row %zu of %zu of type %d", seed, i, in->row_count,
                  (int)in->type);
    }
}

static void decode_and_compare(const struct aq_vector *in, const struct aq_bytes *coded,
                               struct aq_arena *arena, uint64_t seed)
{
    static struct aq_decode_scratch kept; /* from one column to the next */
    struct aq_vector out;
    struct aq_error err = {0};
    aq_vector_init(&out, in->type);
    cr_assert_eq(aq_column_decode(aq_bytes_view(coded), in->type, in->row_count, arena, &out, &err),
                 AQ_OK, "AQ_SEED=%" PRIu64 ": %s", seed, err.message);
    expect_same(in, &out, 0, in->row_count, seed);
    size_t first = next_random() % (in->row_count + 1);
    uint64_t vectors[VECTOR_WORDS];
    for (size_t word = 0; word < VECTOR_WORDS; word++)
        vectors[word] = next_random() ^ next_random() << 33;
    struct aq_wanted wanted = {.first = first,
                               .end = first + next_random() % (in->row_count + 1 - first),
                               .vectors = next_random() % 2 == 0 ? vectors : NULL};
    cr_assert_lt(aq_vector_count(in->row_count), VECTOR_WORDS * 64);
    cr_assert_eq(aq_column_decode_rows(aq_bytes_view(coded), in->type, in->row_count, &wanted,
                                       &kept, arena, &out, &err),
                 AQ_OK, "AQ_SEED=%" PRIu64 ": %s", seed, err.message);
    for (size_t from = 0, end = 0; aq_wanted_next(&wanted, &from, &end);)
        expect_same(in, &out, from, end, seed);
    aq_vector_deinit(&out);
}

static const enum aq_encoding encodings[] = {
#define ENCODING(name, number, text) name,
    AQ_ENCODING_TABLE(ENCODING)
#undef ENCODING
};
static const char *const encoding_texts[] = {
#define ENCODING(name, number, text) text,
    AQ_ENCODING_TABLE(ENCODING)
#undef ENCODING
};
#define ENCODING_COUNT (sizeof encodings / sizeof encodings[0])

/* Columns in which each was met. */
struct met {
    uint64_t columns[ENCODING_COUNT];
    uint64_t zstd;
    uint64_t longs;
};

/* The encoding that a word of a description names; a dictionary of texts is called as one of integers. */
static size_t named(const char *word, size_t size)
{
    static const char text_dict[] = "dict(text";
    size_t e = 0;
    bool of_texts = strncmp(word, text_dict, sizeof text_dict - 1) == 0;
    while (e < ENCODING_COUNT &&
           !(strlen(encoding_texts[e]) == size && memcmp(encoding_texts[e], word, size) == 0 &&
             (encodings[e] == AQ_ENCODING_TEXT_DICT) == of_texts))
        e++;
    return e;
}

static void count_met(const struct aq_bytes *coded, struct met *met)
{
    char text[1024];
    bool found[ENCODING_COUNT + 1] = {0};
    cr_assert_eq(aq_column_describe(aq_bytes_view(coded), text, sizeof text, NULL), AQ_OK);
    for (const char *word = text; *word != '\0';) {
        size_t size = 0;
        while (isalnum((unsigned char)word[size]))
            size++;
        found[named(word, size)] = true;
        word += size > 0 ? size : 1;
    }
    for (size_t e = 0; e < ENCODING_COUNT; e++)
        met->columns[e] += found[e];
    met->zstd += strstr(text, "zstd") != NULL;
}

/* By the cascade, in one of the profiles, with runs or without. */
static void round_trip(uint64_t seed, struct aq_arena *arena, struct aq_bytes *coded,
                       struct met *met)
{
    static const enum aq_profile profiles[] = {AQ_PROFILE_FRAME, AQ_PROFILE_FAST,
                                               AQ_PROFILE_ARCHIVE, AQ_PROFILE_ARCHIVE};
    uint32_t starts[3] = {0};
    struct aq_vector in;
    random_state = seed;
    aq_vector_init(&in, (enum aq_type)(AQ_TYPE_BOOLEAN + next_random() % 10));
    fill(&in, draw_count(), arena);
    struct aq_encode_options options = {.profile = profiles[next_random() % 4],
                                        .run_starts = starts};
    if (in.row_count > 9 && next_random() % 2) {
        starts[1] = (uint32_t)(1 + next_random() % (in.row_count / 3));
        starts[2] = starts[1] + (uint32_t)(1 + next_random() % (in.row_count / 3));
        options.run_count = 3;
    }
    aq_bytes_clear(coded);
    cr_assert_eq(aq_column_encode_with(&in, 0, in.row_count, &options, coded), AQ_OK);
    decode_and_compare(&in, coded, arena, seed);
    count_met(coded, met);
    met->longs += in.row_count >= LONG_ROWS_MIN;
    aq_vector_deinit(&in);
}

/* AQ_NOT_FOUND: these values cannot be had in this encoding. */
static enum aq_status force(enum aq_encoding encoding, const struct aq_vector *in,
                            struct aq_encoder *encoder, struct aq_bytes *out)
{
    size_t count = in->row_count;
    switch (encoding) {
    case AQ_ENCODING_CONSTANT:
        for (size_t i = 1; i < count; i++) {
            if (in->ints[i] != in->ints[0])
                return AQ_NOT_FOUND;
        }
        aq_constant_encode(in->ints[0], out);
        return AQ_OK;
    case AQ_ENCODING_RUN:
        return aq_run_encode(encoder, in->ints, count, 0, out);
    case AQ_ENCODING_DICT:
        return aq_dict_encode(encoder, in->ints, count, count,
                              count % 2 == 0 ? AQ_ENTRIES_AS_MET : AQ_ENTRIES_ASCENDING, 0, out);
    case AQ_ENCODING_BITPACK:
        aq_bitpack_encode(in->ints, count, out);
        return AQ_OK;
    case AQ_ENCODING_DELTA:
        return count < 2 ? AQ_NOT_FOUND : aq_delta_encode(encoder, in->ints, count, 0, out);
    case AQ_ENCODING_BYTEPLANE:
        return aq_byteplane_encode(encoder, in->ints, count, out);
    case AQ_ENCODING_ANS:
        return aq_ans_encode(encoder, in->ints, count, SIZE_MAX, out);
    case AQ_ENCODING_ANS32:
        return aq_ans32_encode(encoder, in->ints, count, SIZE_MAX, out);
    case AQ_ENCODING_REPEAT:
        return aq_repeat_encode(encoder, in->ints, count, 0, out);
    case AQ_ENCODING_MULTIPLE:
        return aq_multiple_find(in->ints, count) == 1
                   ? AQ_NOT_FOUND
                   : aq_multiple_encode(encoder, in->ints, count, aq_multiple_find(in->ints, count),
                                        0, out);
    case AQ_ENCODING_DECIMAL:
        return aq_decimal_encode(encoder, in->doubles, count, count, out);
    case AQ_ENCODING_BITS:
        return aq_bits_encode(encoder, in->doubles, count, out);
    case AQ_ENCODING_TEXT:
        return aq_text_encode(encoder, in->slices, count, 0, out);
    case AQ_ENCODING_TEXT_DICT:
        return aq_text_dict_encode(encoder, in->slices, count, count, out);
    }
    return AQ_NOT_FOUND;
}

/* Values without nulls, in this encoding on top; whether they can be had in it. */
static bool forced_round_trip(enum aq_encoding encoding, uint64_t seed, struct aq_arena *arena,
                              struct aq_bytes *coded)
{
    struct aq_encode_options options = {.profile =
                                            seed % 3 == 0 ? AQ_PROFILE_FRAME : AQ_PROFILE_ARCHIVE};
    struct aq_encoder encoder = {.options = &options};
    struct aq_vector in;
    random_state = seed;
    aq_vector_init(&in, encoding >= AQ_ENCODING_TEXT      ? AQ_TYPE_BYTEA
                        : encoding >= AQ_ENCODING_DECIMAL ? AQ_TYPE_DOUBLE
                                                          : AQ_TYPE_BIGINT);
    fill(&in, draw_count(), arena);
    for (size_t i = 0; i < in.row_count && in.valid != NULL; i++) {
        if (in.valid[i] == 0 && in.type == AQ_TYPE_BYTEA)
            in.slices[i] = (struct aq_slice){0};
        in.valid[i] = 1;
    }
    for (size_t i = in.row_count / 2; encoding == AQ_ENCODING_REPEAT && i < in.row_count; i++)
        in.ints[i] = in.ints[i - in.row_count / 2];
    for (size_t i = 0; encoding == AQ_ENCODING_MULTIPLE && i < in.row_count; i++)
        in.ints[i] = in.ints[i] / 2000 * 1000 + 7;
    aq_bytes_clear(coded);
    aq_bytes_varint(coded, in.row_count);
    aq_bytes_u8(coded, 0);
    enum aq_status status =
        in.row_count == 0 ? AQ_NOT_FOUND : force(encoding, &in, &encoder, coded);
    cr_assert(status == AQ_OK || status == AQ_NOT_FOUND, "%d", status);
    if (status == AQ_OK)
        decode_and_compare(&in, coded, arena, seed);
    aq_encoder_deinit(&encoder);
    aq_vector_deinit(&in);
    return status == AQ_OK;
}

Test(round_trip, random_columns, .timeout = 360000)
{
    uint64_t count = from_environment("AQ_COLUMNS", 6000);
    uint64_t seed = from_environment("AQ_SEED", 20261121);
    struct aq_arena arena = {0};
    struct aq_bytes coded = {0};
    struct met met = {0};
    for (uint64_t i = 0; i < count; i++) {
        aq_arena_reset(&arena);
        round_trip(seed + i, &arena, &coded, &met);
        if (count >= 1000000 && i % 100000 == 99999) {
            printf("%" PRIu64 " columns\n", i + 1);
            fflush(stdout);
        }
    }
    for (size_t e = 0; e < ENCODING_COUNT; e++) {
        printf("%s %d: in %" PRIu64 " columns\n", encoding_texts[e], (int)encodings[e],
               met.columns[e]);
        cr_assert(met.columns[e] > 0 || count < 6000, "no %s", encoding_texts[e]);
    }
    printf("zstd: in %" PRIu64 "; of %d rows or more: %" PRIu64 "\n", met.zstd, LONG_ROWS_MIN,
           met.longs);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&coded);
}

Test(round_trip, each_encoding_forced, .timeout = 360000)
{
    uint64_t count = from_environment("AQ_COLUMNS", 6000) / 10;
    uint64_t seed = from_environment("AQ_SEED", 20261121);
    struct aq_arena arena = {0};
    struct aq_bytes coded = {0};
    for (size_t e = 0; e < ENCODING_COUNT; e++) {
        uint64_t had = 0;
        for (uint64_t i = 0; i < count; i++) {
            aq_arena_reset(&arena);
            had += forced_round_trip(encodings[e], seed + i, &arena, &coded);
        }
        cr_assert_gt(had, count / 20, "encoding %d: %" PRIu64 " of %" PRIu64, (int)encodings[e],
                     had, count);
    }
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&coded);
}
