/* Kernels of decoding: every variant that this processor has gives the bits that a plain computation gives, and whole
 * columns decode to the same bits by each. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/base/log2.h"
#include "format/encode/kernel/kernel.h"
#include "tests/unit/encode/random.h"

#define ROWS 5000

/* Every kernel is compared here: so is one that is added. */
_Static_assert(sizeof(struct aq_kernels) == 14 * sizeof(void *), "a kernel without its test");

/* Of any size, both signs. */
static int64_t any_integer(void)
{
    int64_t value = (int64_t)(next_random() >> next_random() % 64);
    return next_random() % 2 == 0 ? value : -value;
}

/* One bit after the other. */
static int64_t slow_unpack(const uint8_t *packed, unsigned width, size_t row, uint64_t reference)
{
    uint64_t value = 0;
    for (unsigned bit = 0; bit < width; bit++) {
        size_t at = row * width + bit;
        value |= (uint64_t)(packed[at / 8] >> at % 8 & 1) << bit;
    }
    return (int64_t)(reference + value);
}

Test(kernels, unpack_every_width)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static uint8_t packed[AQ_VECTOR_ROWS_MAX * 8 + AQ_UNPACK_SLACK];
    static int64_t values[AQ_VECTOR_ROWS_MAX];
    for (size_t i = 0; i < sizeof packed; i++)
        packed[i] = (uint8_t)next_random();
    for (size_t v = 0; v < variant_count; v++)
        for (unsigned width = 1; width <= 64; width++) {
            uint64_t reference = next_random();
            variants[v]->unpack(packed, width, reference, values);
            for (size_t row = 0; row < AQ_VECTOR_ROWS_MAX; row++)
                cr_assert_eq(values[row], slow_unpack(packed, width, row, reference),
                             "%s, width %u, row %zu", variants[v]->name, width, row);
        }
}

/* Integers whose quotients by 10^exponent are as near to the middle of two doubles as can be: x of 53 bits such that
 * x 2^shift = 5^exponent m + off, where m is odd and has 54 bits, and off is small. */
static size_t hard_quotients(unsigned exponent, int64_t *integers)
{
    size_t count = 0;
    uint64_t five = 1;
    for (unsigned e = 0; e < exponent; e++)
        five *= 5;
    unsigned bits = 64 - (unsigned)__builtin_clzll(five);
    for (unsigned shift = bits; shift <= bits + 2; shift++)
        for (uint64_t off = 1; off < 10; off += 2) {
            uint64_t x = off % five; /* becomes off / 2^shift modulo `five` */
            for (unsigned i = 0; i < shift; i++)
                x = x % 2 == 0 ? x / 2 : (x + five) / 2;
            for (unsigned i = 0; i < 8; i++) {
                uint64_t start = (UINT64_C(1) << 52) + (next_random() >> 12);
                uint64_t up = start - start % five;
                integers[count++] = (int64_t)(up + x);        /* above the middle */
                integers[count++] = (int64_t)(up + five - x); /* below it */
            }
        }
    return count;
}
#define HARD_MAX 240

/* Exact, but for one rounding: a quotient of two numbers that are doubles. */
Test(kernels, decimals_near_the_middle_of_doubles)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    int64_t integers[HARD_MAX];
    int64_t words[HARD_MAX];
    double power = 1;
    for (unsigned exponent = 0; exponent <= 22; exponent++, power *= 10) {
        size_t count = hard_quotients(exponent, integers);
        for (size_t v = 0; v < variant_count; v++) {
            memcpy(words, integers, sizeof words);
            variants[v]->decimals(words, count, 1, power);
            for (size_t i = 0; i < count; i++) {
                double expected = (double)integers[i] / power;
                cr_assert_eq(memcmp(&words[i], &expected, sizeof expected), 0, "%s: %lld / 10^%u",
                             variants[v]->name, (long long)integers[i], exponent);
            }
        }
    }
}

Test(kernels, decimals_are_rounded_once)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static const uint64_t multiples[] = {1, 5, UINT64_C(0x8000000000000001)};
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    static int64_t integers[ROWS];
    static int64_t words[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        integers[i] = any_integer();
    memcpy(integers, (int64_t[]){0, -1, INT64_MIN, INT64_MAX, 1LL << 53, (1LL << 53) + 1}, 48);
    for (size_t v = 0; v < variant_count; v++)
        for (size_t m = 0; m < 3; m++)
            for (size_t p = 0; p < sizeof powers / sizeof powers[0]; p++) {
                memcpy(words, integers, sizeof words);
                variants[v]->decimals(words, ROWS, multiples[m], powers[p]);
                for (size_t i = 0; i < ROWS; i++) {
                    double expected =
                        (double)(int64_t)((uint64_t)integers[i] * multiples[m]) / powers[p];
                    cr_assert_eq(memcmp(&words[i], &expected, sizeof expected), 0,
                                 "%s of %lld x %llu / %g", variants[v]->name,
                                 (long long)integers[i], (unsigned long long)multiples[m],
                                 powers[p]);
                }
            }
}

Test(kernels, multiples_wrap_around)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static int64_t integers[ROWS];
    static int64_t values[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        integers[i] = any_integer();
    for (size_t v = 0; v < variant_count; v++)
        for (size_t count = 0; count <= ROWS; count += count < 40 ? 1 : 991) {
            uint64_t factor = next_random() >> next_random() % 63;
            uint64_t base = next_random();
            memcpy(values, integers, sizeof values);
            variants[v]->multiples(values, count, factor, base);
            for (size_t i = 0; i < ROWS; i++)
                cr_assert_eq((uint64_t)values[i],
                             i < count ? (uint64_t)integers[i] * factor + base
                                       : (uint64_t)integers[i],
                             "%s, %zu of %zu", variants[v]->name, i, count);
        }
}

Test(kernels, sums_of_every_length)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static int64_t steps[ROWS];
    static int64_t sums[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        steps[i] = any_integer();
    for (size_t v = 0; v < variant_count; v++)
        for (size_t count = 0; count <= ROWS; count += count < 40 ? 1 : 991) {
            uint64_t sum = next_random();
            memcpy(sums, steps, sizeof sums);
            variants[v]->sums(sums, count, sum);
            for (size_t i = 0; i < ROWS; i++) {
                sum += (uint64_t)steps[i];
                cr_assert_eq(sums[i], i < count ? (int64_t)sum : steps[i], "%s, %zu of %zu",
                             variants[v]->name, i, count);
            }
        }
}

Test(kernels, sums_become_decimals)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static const uint64_t multiples[] = {1, 5, UINT64_C(0x8000000000000001)};
    static int64_t steps[ROWS];
    static int64_t words[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        steps[i] = any_integer();
    for (size_t v = 0; v < variant_count; v++)
        for (size_t m = 0; m < 3; m++)
            for (size_t count = 0; count <= ROWS; count += count < 40 ? 1 : 991) {
                uint64_t sum = next_random();
                memcpy(words, steps, sizeof words);
                uint64_t last = variants[v]->sum_decimals(words, count, sum, multiples[m], 1e3);
                for (size_t i = 0; i < count; i++) {
                    sum += (uint64_t)steps[i];
                    double expected = (double)(int64_t)(sum * multiples[m]) / 1e3;
                    cr_assert_eq(memcmp(&words[i], &expected, sizeof expected), 0, "%s, %zu of %zu",
                                 variants[v]->name, i, count);
                }
                cr_assert_eq(last, sum, "%s, %zu", variants[v]->name, count);
                cr_assert_eq(memcmp(words + count, steps + count, (ROWS - count) * 8), 0);
            }
}

Test(kernels, merge_every_number_of_planes)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static uint8_t bytes[8][ROWS];
    static uint64_t words[ROWS];
    const uint8_t *planes[8];
    for (size_t p = 0; p < 8; p++) {
        planes[p] = bytes[p];
        for (size_t i = 0; i < ROWS; i++)
            bytes[p][i] = (uint8_t)next_random();
    }
    for (size_t v = 0; v < variant_count; v++)
        for (unsigned count = 1; count <= 8; count++) {
            variants[v]->merge(planes, count, words, ROWS);
            for (size_t i = 0; i < ROWS; i++) {
                uint64_t expected = 0;
                for (unsigned p = 0; p < count; p++)
                    expected |= (uint64_t)bytes[p][i] << 8 * p;
                cr_assert_eq(words[i], expected, "%s, %u planes", variants[v]->name, count);
            }
        }
}

Test(kernels, surprise_is_the_same_everywhere_and_right_to_a_millionth)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static uint32_t counts[256];
    static uint32_t others[256];
    for (unsigned round = 0; round < 200; round++) {
        size_t size = AQ_SURPRISE_LANES * (1 + next_random() % 32);
        for (size_t i = 0; i < 256; i++) {
            counts[i] = (uint32_t)(next_random() >> (34 + next_random() % 30));
            others[i] = round % 2 == 0 ? 0 : (uint32_t)(next_random() >> 48);
        }
        double expected = 0;
        uint64_t sum = 0;
        size_t met = 0;
        for (size_t i = 0; i < size; i++) {
            double count = (double)counts[i] + others[i];
            expected += count == 0 ? 0 : count * log2(count);
            sum += (uint64_t)count;
            met += count != 0;
        }
        double first = 0;
        for (size_t v = 0; v < variant_count; v++) {
            size_t found_met;
            uint64_t found_sum;
            double found = variants[v]->surprise(counts, round % 4 == 0 ? NULL : others, size,
                                                 &found_met, &found_sum);
            first = v == 0 ? found : first;
            cr_assert_eq(memcmp(&found, &first, sizeof found), 0, "%s", variants[v]->name);
            cr_assert(fabs(found - expected) <= 1e-6 * expected, "%g, not %g", found, expected);
            cr_assert_eq(found_sum, sum);
            cr_assert_eq(found_met, met);
        }
    }
}

/* Decode one column's node, behind its count and its byte for nulls, by a variant. */
static void expect_decodes(const struct aq_bytes *coded, const struct aq_kernels *kernels,
                           const int64_t *values, bool real)
{
    static int64_t decoded[ROWS];
    struct aq_arena arena = {0};
    struct aq_decode_scratch scratch = {0};
    struct aq_decoder decoder = {.reader = aq_reader_make(aq_bytes_view(coded)),
                                 .scratch = &scratch,
                                 .arena = &arena,
                                 .kernels = kernels,
                                 .wanted = {.end = ROWS},
                                 .bytes_left = AQ_DECODED_BYTES_MAX};
    (void)aq_reader_varint(&decoder.reader);
    (void)aq_reader_u8(&decoder.reader);
    enum aq_status status = real ? aq_decode_doubles(&decoder, (void *)decoded, ROWS)
                                 : aq_decode_ints(&decoder, decoded, ROWS);
    cr_assert_eq(status, AQ_OK, "%s", kernels->name);
    cr_assert_eq(aq_reader_left(&decoder.reader), 0);
    cr_assert_eq(memcmp(decoded, values, sizeof decoded), 0, "%s", kernels->name);
    aq_decode_scratch_deinit(&scratch);
    aq_arena_deinit(&arena);
}

/* Shapes that make the archive's writer choose each of its encodings; the last ones are doubles. */
static int64_t value_of_shape(unsigned shape, size_t i, int64_t before)
{
    double real = (double)(next_random() % 100000) / 100;
    switch (shape) {
    case 0: /* entropy coding, of words small and large */
        return (int64_t)(next_random() >> (40 + next_random() % 24));
    case 1: /* the same, of a walk */
        return before + (int64_t)(next_random() % 9 * (next_random() % 9)) - 16;
    case 2: /* the same, with words of more than 57 raw bits */
        return i % 50 == 0 ? (int64_t)next_random() : (int64_t)(next_random() % 9 % 4);
    case 3: /* byte planes of many */
        return any_integer();
    case 4: /* packed bits */
        return (int64_t)(next_random() % 1000);
    case 5: /* a dictionary, entropy-coded */
        return (int64_t)((next_random() % 7 * (next_random() % 7)) * UINT64_C(0x123456789abcdef));
    case 6:
        real = i % 60 == 0 ? 1 / (double)(i + 3) : real;
        break;
    default:
        break;
    }
    memcpy(&before, &real, sizeof real);
    return before;
}
#define SHAPES 8
#define SHAPE_DOUBLES 6

Test(kernels, columns_decode_alike)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    bool entropy_coded = false;
    for (unsigned shape = 0; shape < SHAPES; shape++)
        for (unsigned profile = 0; profile < 2; profile++) {
            struct aq_vector vector;
            struct aq_bytes coded = {0};
            char text[256];
            aq_vector_init(&vector, shape < SHAPE_DOUBLES ? AQ_TYPE_BIGINT : AQ_TYPE_DOUBLE);
            for (size_t i = 0; i < ROWS; i++)
                cr_assert_eq(
                    aq_vector_append_int(&vector,
                                         value_of_shape(shape, i, i == 0 ? 0 : vector.ints[i - 1])),
                    AQ_OK);
            cr_assert_eq(aq_column_encode(&vector, 0, ROWS,
                                          profile == 0 ? AQ_PROFILE_FRAME : AQ_PROFILE_ARCHIVE,
                                          &coded),
                         AQ_OK);
            for (size_t v = 0; v < variant_count; v++)
                expect_decodes(&coded, variants[v], vector.ints, shape >= SHAPE_DOUBLES);
            cr_assert_eq(aq_column_describe(aq_bytes_view(&coded), text, sizeof text, NULL), AQ_OK);
            entropy_coded |= strstr(text, "ans") != NULL;
            aq_bytes_deinit(&coded);
            aq_vector_deinit(&vector);
        }
    cr_assert(entropy_coded);
}

/* Integers that have such contexts: as large as those before, in habits, none. */
static int64_t value_of_kind(enum aq_ans_kind kind, size_t i, int64_t before)
{
    if (kind == AQ_ANS_WORD)
        return (before * 7 + (int64_t)(next_random() % 8 == 0)) % 90;
    if (kind == AQ_ANS_SIZE)
        return i / 60 % 2 == 0 ? (int64_t)(next_random() % 600) - 300
                               : (int64_t)(next_random() % 60000) - 30000;
    return (int64_t)(next_random() % 40 * (next_random() % 40));
}

static enum aq_status decode_node(const struct aq_bytes *node, const struct aq_kernels *kernels,
                                  int64_t *values)
{
    struct aq_decode_scratch scratch = {0};
    struct aq_decoder decoder = {.reader = aq_reader_make(aq_bytes_view(node)),
                                 .scratch = &scratch,
                                 .kernels = kernels,
                                 .wanted = {.end = ROWS},
                                 .bytes_left = AQ_DECODED_BYTES_MAX};
    enum aq_status status = aq_decode_ints(&decoder, values, ROWS);
    aq_decode_scratch_deinit(&scratch);
    return status;
}

/* All variants say the same of these bytes. */
static enum aq_status decode_alike(const struct aq_bytes *node, int64_t *values)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static int64_t others[ROWS];
    enum aq_status status = decode_node(node, variants[0], values);
    for (size_t v = 1; v < variant_count; v++) {
        cr_assert_eq(decode_node(node, variants[v], others), status, "%s", variants[v]->name);
        cr_assert(status != AQ_OK || memcmp(others, values, sizeof others) == 0, "%s",
                  variants[v]->name);
    }
    return status;
}

/* The kind of contexts of a node of entropy coding, behind its number, its words' mode and base. */
static unsigned kind_of(const struct aq_bytes *node)
{
    struct aq_reader reader = aq_reader_make(aq_bytes_view(node));
    (void)aq_reader_u8(&reader);
    if (aq_reader_u8(&reader) == AQ_WORD_BASE)
        (void)aq_reader_varint(&reader);
    return aq_reader_u8(&reader);
}

Test(kernels, entropy_coding_with_every_kind_of_context)
{
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    struct aq_encoder encoder = {.options = &options};
    struct aq_bytes node = {0};
    static int64_t values[ROWS];
    static int64_t decoded[ROWS];
    for (unsigned run = 0; run < 2 * AQ_ANS_KINDS; run++) {
        enum aq_ans_kind kind = (enum aq_ans_kind)(run % AQ_ANS_KINDS);
        bool lanes32 = run >= AQ_ANS_KINDS;
        for (size_t i = 0; i < ROWS; i++)
            values[i] = value_of_kind(kind, i, i == 0 ? 0 : values[i - 1]);
        aq_bytes_clear(&node);
        cr_assert_eq(lanes32 ? aq_ans32_encode(&encoder, values, ROWS, SIZE_MAX, &node)
                             : aq_ans_encode(&encoder, values, ROWS, SIZE_MAX, &node),
                     AQ_OK);
        cr_assert_eq(kind_of(&node), kind, "%u, not %u", kind_of(&node), kind);
        cr_assert_eq(decode_alike(&node, decoded), AQ_OK);
        cr_assert_eq(memcmp(decoded, values, sizeof values), 0);
        for (size_t bit = run; bit < node.size * 8; bit += 131) {
            node.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            enum aq_status status = decode_alike(&node, decoded);
            cr_assert(status == AQ_OK || status == AQ_CORRUPT);
            node.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    aq_bytes_deinit(&node);
    aq_encoder_deinit(&encoder);
}

Test(kernels, tokens_agree)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static uint64_t words[ROWS];
    static uint32_t words32[ROWS];
    static uint8_t tokens[ROWS];
    uint64_t used = 0;
    for (size_t i = 0; i < ROWS; i++) {
        words[i] = i < 40    ? i
                   : i < 104 ? (UINT64_C(1) << (i - 40) / 2) - i % 2
                             : next_random() >> (32 + i % 32);
        used |= words[i];
    }
    for (size_t v = 0; v < variant_count; v++) {
        cr_assert_eq(variants[v]->tokens(words, ROWS, words32, tokens), used, "%s",
                     variants[v]->name);
        for (size_t i = 0; i < ROWS; i++) {
            unsigned width;
            cr_assert_eq(tokens[i], aq_ans_token(words[i], &width), "%s: %llu", variants[v]->name,
                         (unsigned long long)words[i]);
            cr_assert_eq(words32[i], words[i]);
        }
        uint64_t large = UINT64_C(1) << 40;
        cr_assert_eq(variants[v]->tokens(&large, 1, words32, tokens), large);
    }
}

Test(kernels, look_split_and_to_decimals_agree)
{
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    static int64_t values[ROWS];
    static double doubles[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        values[i] = i % 3 == 0 ? any_integer() : values[i - 1];
        doubles[i] = i % 7 == 0    ? -0.0
                     : i % 11 == 0 ? 0x1p51 / 100
                                   : (double)(any_integer() >> 20) / 100;
    }
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    size_t changes = 0;
    for (size_t i = 0; i < ROWS; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        changes += i > 0 && values[i] != values[i - 1];
    }
    static int64_t first[ROWS];
    size_t fit = variants[0]->to_decimals(doubles, ROWS, 100, first);
    cr_assert(fit > ROWS / 2 && fit <= ROWS - ROWS / 7 - 1, "%zu", fit);
    for (size_t v = 0; v < variant_count; v++) {
        int64_t least;
        int64_t most;
        size_t met;
        variants[v]->look(values, ROWS, &least, &most, &met);
        cr_assert(least == min && most == max && met == changes, "%s", variants[v]->name);
        static uint8_t plane[ROWS];
        variants[v]->split((const uint64_t *)values, ROWS, 24, plane);
        static int64_t integers[ROWS];
        cr_assert_eq(variants[v]->to_decimals(doubles, ROWS, 100, integers), fit, "%s",
                     variants[v]->name);
        for (size_t i = 0; i < ROWS; i++) {
            cr_assert_eq(plane[i], (uint8_t)((uint64_t)values[i] >> 24), "%s", variants[v]->name);
            cr_assert_eq(integers[i], first[i], "%s, %zu", variants[v]->name, i);
        }
    }
}

Test(kernels, logarithms_are_right_to_a_millionth)
{
    for (int exponent = -60; exponent <= 60; exponent++)
        cr_assert_eq(aq_log2(ldexp(1, exponent)), exponent);
    for (unsigned round = 0; round < 10000; round++) {
        double x = ldexp((double)(1 + next_random() % 1000000), (int)(next_random() % 80) - 60);
        cr_assert(fabs(aq_log2(x) - log2(x)) <= 1e-6, "%.17g", x);
    }
}
