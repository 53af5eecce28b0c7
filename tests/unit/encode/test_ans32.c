/* Entropy coding in 32 lanes: what it codes comes back by every variant of its kernel, and forged bytes are refused, or
 * decoded to the same by all. */
#include <criterion/criterion.h>

#include "tests/unit/encode/node_bytes.h"
#include "tests/unit/encode/random.h"

#define ROWS_MAX 5000

/* The node alone, from behind its number. */
static enum aq_status decode(struct aq_slice node, const struct aq_kernels *kernels,
                             int64_t *values, size_t count)
{
    return decode_node_by(aq_ans32_decode, kernels, node, values, count);
}

static void encode(const int64_t *values, size_t count, struct aq_bytes *out)
{
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    struct aq_encoder encoder = {.options = &options};
    aq_bytes_clear(out);
    cr_assert_eq(aq_ans32_encode(&encoder, values, count, SIZE_MAX, out), AQ_OK);
    cr_assert_eq(aq_bytes_status(out), AQ_OK);
    cr_assert_eq(encoder.late_count, 1);
    aq_encoder_deinit(&encoder);
}

static struct aq_slice body(const struct aq_bytes *node)
{
    cr_assert_eq(node->data[0], AQ_ENCODING_ANS32);
    return aq_slice_make(node->data + 1, node->size - 1);
}

static void expect_back(const int64_t *values, size_t count)
{
    static int64_t decoded[ROWS_MAX];
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    struct aq_bytes node = {0};
    encode(values, count, &node);
    for (size_t v = 0; v < variant_count; v++) {
        memset(decoded, 0x5a, sizeof decoded);
        cr_assert_eq(decode(body(&node), variants[v], decoded, count), AQ_OK, "%s, %zu rows",
                     variants[v]->name, count);
        cr_assert_eq(memcmp(decoded, values, count * sizeof *values), 0, "%s, %zu rows",
                     variants[v]->name, count);
    }
    aq_bytes_deinit(&node);
}

/* Shapes for each kind of context, for raw bits of every number, and for lanes of every length. */
static int64_t value_of_shape(unsigned shape, size_t i, int64_t before)
{
    switch (shape) {
    case 0: /* any size */
        return (int64_t)(next_random() >> (32 + next_random() % 32));
    case 1: /* both signs; restless after restless */
        return (int64_t)(next_random() % 4 == 0 ? next_random() % 40
                                                : (uint64_t)(before < 0 ? -before : before)) *
               (next_random() % 2 == 0 ? 1 : -1);
    case 2: /* in habits */
        return (before * 7 + (int64_t)(next_random() % 2)) % 50;
    case 3: /* few raw bits */
        return (int64_t)(next_random() % 200);
    case 4: /* the largest words */
        return i % 9 == 0 ? UINT32_MAX : 0;
    default: /* one token nearly always */
        return i % 700 == 0;
    }
}
#define SHAPES 6

Test(ans32, every_length_and_shape)
{
    static int64_t values[ROWS_MAX];
    static const size_t counts[] = {1,   2,   31,  32,  33,   63,   511,  512,
                                    513, 543, 544, 545, 1000, 1024, 4999, 5000};
    for (unsigned shape = 0; shape < SHAPES; shape++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            for (size_t i = 0; i < counts[c]; i++)
                values[i] = value_of_shape(shape, i, i == 0 ? 0 : values[i - 1]);
            expect_back(values, counts[c]);
        }
}

Test(ans32, words_beyond_32_bits_are_not_its_own)
{
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    struct aq_encoder encoder = {.options = &options};
    struct aq_bytes out = {0};
    int64_t values[] = {0, INT64_C(1) << 32, 5};
    cr_assert_eq(aq_ans32_encode(&encoder, values, 3, SIZE_MAX, &out), AQ_NOT_FOUND);
    cr_assert_eq(out.size, 0);
    values[1]--;
    cr_assert_eq(aq_ans32_encode(&encoder, values, 3, SIZE_MAX, &out), AQ_OK);
    cr_assert_eq(aq_ans32_encode(&encoder, values, 3, 100, &out), AQ_NOT_FOUND, "too large");
    aq_encoder_deinit(&encoder);
    aq_bytes_deinit(&out);
}

/* All variants say the same of these bytes. */
static enum aq_status judge(struct aq_slice node, size_t count)
{
    static int64_t first[ROWS_MAX];
    static int64_t decoded[ROWS_MAX];
    size_t variant_count;
    const struct aq_kernels *const *variants = aq_kernels_all(&variant_count);
    enum aq_status status = decode(node, variants[0], first, count);
    for (size_t v = 1; v < variant_count; v++) {
        cr_assert_eq(decode(node, variants[v], decoded, count), status, "%s", variants[v]->name);
        if (status == AQ_OK)
            cr_assert_eq(memcmp(first, decoded, count * sizeof *first), 0, "%s", variants[v]->name);
    }
    return status;
}

/* Every bit and every length of a node: nothing is read beyond it. Changed raw bits are other values (checksums are the
 * chunk's), all else is refused, by all variants. */
Test(ans32, flips_and_cuts)
{
    enum { ROWS = 1100 };
    int64_t values[ROWS], last = 0;
    struct aq_bytes node = {0};
    for (size_t i = 0; i < ROWS; i++)
        last = values[i] =
            i % 50 == 0 ? (int64_t)next_random() >> 33 : value_of_shape(1, i, last % 100);
    encode(values, ROWS, &node);
    size_t believed = 0;
    for (size_t bit = 8; bit < node.size * 8; bit++) {
        node.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        believed += judge(body(&node), ROWS) == AQ_OK;
        node.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_lt(believed, node.size * 8 / 2);
    for (size_t size = 0; size + 1 < node.size; size++)
        cr_assert_eq(judge(aq_slice_make(node.data + 1, size), ROWS), AQ_CORRUPT);
    aq_bytes_deinit(&node);
}

/* A node of 40 words, all of token 0 or 1: header, table, states, stream. */
static enum aq_status judge_forged(const uint8_t *head, size_t head_size, uint32_t state,
                                   size_t stream_size)
{
    struct aq_bytes node = {0};
    aq_bytes_append(&node, head, head_size);
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
        aq_bytes_u32(&node, state);
    aq_bytes_varint(&node, stream_size);
    aq_bytes_append_zeros(&node, stream_size);
    enum aq_status status = judge(aq_bytes_view(&node), 40);
    aq_bytes_deinit(&node);
    return status;
}

#define REFUSED(state, stream, ...)                                                       \
    cr_assert_eq(judge_forged((const uint8_t[]){__VA_ARGS__},                             \
                              sizeof((const uint8_t[]){__VA_ARGS__}), (state), (stream)), \
                 AQ_CORRUPT)

/* Mode 1, kind 0, a table of one context: tokens 0 and 1 with 512 each are `80 04`. */
Test(ans32, forged_headers)
{
    const uint32_t low = 65536;
    REFUSED(low, 0, 2, 0, 1, 0, 2, 0x80, 4, 0x80, 4);          /* mode */
    REFUSED(low, 0, 1, 3, 1, 0, 2, 0x80, 4, 0x80, 4);          /* kind */
    REFUSED(low, 0, 1, 0, 0, 0, 2, 0x80, 4, 0x80, 4);          /* a table of no context */
    REFUSED(low, 0, 1, 0, 2, 0, 2, 0x80, 4, 0x80, 4);          /* of too many */
    REFUSED(low, 0, 1, 0, 1, 71, 2, 0x80, 4, 0x80, 4);         /* token 72 */
    REFUSED(low, 0, 1, 0, 1, 0, 0);                            /* no token */
    REFUSED(low, 0, 1, 0, 1, 0, 1, 0x80, 8);                   /* frequency 1024 */
    REFUSED(low, 0, 1, 0, 1, 0, 2, 0x80, 4, 0xff, 3);          /* in sum 1023 */
    REFUSED(low, 0, 1, 0, 1, 0, 2, 0x80, 4, 0x81, 4);          /* 1025 */
    REFUSED(low, 0, 1, 0, 1, 0, 3, 0x80, 4, 0x80, 4, 0x81, 0); /* an overlong varint */
    REFUSED(low - 1, 0, 1, 0, 1, 0, 2, 0x80, 4, 0x80, 4);      /* a state too small */
    REFUSED(low, 0, 1, 0, 1, 0, 2, 0x80, 4, 0x80, 4);          /* the stream ends too early */
    REFUSED(low, 1, 1, 0, 1, 0, 2, 0x80, 4, 0x80, 4);          /* half a number */
    REFUSED(low, 1000, 1, 0, 1, 0, 2, 0x80, 4, 0x80, 4);       /* numbers left over */
    REFUSED(UINT32_MAX, 64, 1, 0, 1, 0, 2, 0x80, 4, 0x80, 4);  /* other states at the end */
}

/* 17 tables, of contexts that are enough for them. */
Test(ans32, too_many_tables)
{
    struct aq_bytes node = {0};
    for (unsigned tables = 16; tables <= 17; tables++) {
        aq_bytes_clear(&node);
        aq_bytes_append(&node, "\1\1", 2);
        for (unsigned i = 0; i < tables; i++) {
            aq_bytes_u8(&node, (uint8_t)(i == 0 ? 65 - tables : 1));
            aq_bytes_append(&node, "\0\2\x80\4\x80\4", 6);
        }
        /* The reader's place tells how far it came. */
        struct aq_decode_scratch scratch = {0};
        struct aq_decoder decoder = {.reader = aq_reader_make(aq_bytes_view(&node)),
                                     .scratch = &scratch,
                                     .kernels = aq_kernels(),
                                     .wanted = {.end = 40},
                                     .bytes_left = AQ_DECODED_BYTES_MAX};
        int64_t values[40];
        cr_assert_eq(aq_ans32_decode(&decoder, values, 40), AQ_CORRUPT);
        cr_assert_eq(decoder.reader.offset, tables == 16 ? node.size : node.size - 6);
        aq_decode_scratch_deinit(&scratch);
    }
    aq_bytes_deinit(&node);
}
