/* Copies of values further up: what is coded comes back, however copies lie, and forged ones are refused. */
#include <criterion/criterion.h>

#include "tests/unit/encode/node_bytes.h"
#include "tests/unit/encode/random.h"

#define ROWS 20000
#define RUN_ROWS 5000
#define RUN_COUNT 12

static enum aq_status encode(const int64_t *values, size_t count, struct aq_bytes *out)
{
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    struct aq_encoder encoder = {.options = &options};
    enum aq_status status = aq_repeat_encode(&encoder, values, count, 0, out);
    cr_assert_eq(encoder.late_count > 0, status == AQ_OK);
    aq_encoder_deinit(&encoder);
    return status;
}

static void expect_back(const int64_t *values, size_t count)
{
    static int64_t decoded[ROWS];
    struct aq_bytes node = {0};
    cr_assert_eq(encode(values, count, &node), AQ_OK);
    cr_assert_eq(node.data[0], AQ_ENCODING_REPEAT);
    cr_assert_eq(decode_node(aq_bytes_view(&node), decoded, count), AQ_OK);
    cr_assert_eq(memcmp(decoded, values, count * sizeof *values), 0);
    aq_bytes_deinit(&node);
}

Test(repeat, copies_come_back)
{
    static int64_t values[ROWS];
    for (size_t period = 100; period < ROWS;
         period *= 3) { /* the first: longer than their distance */
        for (size_t i = 0; i < ROWS; i++)
            values[i] = i < period ? (int64_t)(next_random() % 50) - 20 : values[i - period];
        expect_back(values, ROWS);
        for (size_t i = 0; i < ROWS; i += 300) /* and with others between them */
            values[i] += (int64_t)(i % 7);
        expect_back(values, ROWS);
    }
}

Test(repeat, little_is_not_worth_it)
{
    static int64_t values[ROWS];
    struct aq_bytes node = {0};
    for (size_t i = 0; i < ROWS; i++)
        values[i] = (int64_t)next_random();
    cr_assert_eq(encode(values, ROWS, &node), AQ_NOT_FOUND);
    for (size_t i = 0; i < 4000; i++) /* a fifth of all, in short copies */
        values[10000 + i + i / 40 * 20] = values[i];
    cr_assert_eq(encode(values, ROWS, &node), AQ_NOT_FOUND);
    for (size_t i = 0; i < 300; i++) /* a long one of a sixtieth */
        values[ROWS - 300 + i] = values[ROWS / 2 + i];
    cr_assert_eq(encode(values, ROWS, &node), AQ_NOT_FOUND);
    cr_assert_eq(node.size, 0);
    memset(values, 0, sizeof values); /* one value is a constant's */
    cr_assert_eq(encode(values, ROWS, &node), AQ_NOT_FOUND);
    cr_assert_eq(encode(values, 1, &node), AQ_NOT_FOUND);
}

/* Bytes of `run_count` runs of a station's readings, a tile's column. */
static size_t column_size(const double *values, size_t run_count)
{
    struct aq_vector vector;
    struct aq_bytes coded = {0};
    aq_vector_init(&vector, AQ_TYPE_DOUBLE);
    for (size_t i = 0; i < run_count * RUN_ROWS; i++)
        cr_assert_eq(aq_vector_append_double(&vector, values[i]), AQ_OK);
    cr_assert_eq(aq_column_encode(&vector, 0, vector.row_count, AQ_PROFILE_ARCHIVE, &coded), AQ_OK);
    size_t size = coded.size;
    aq_bytes_deinit(&coded);
    aq_vector_deinit(&vector);
    return size;
}

/* The thirteenth station has what the fourth has: entropy coding alone would take another thirteenth. */
Test(repeat, a_run_that_repeats_another_costs_next_to_nothing)
{
    static double values[(RUN_COUNT + 1) * RUN_ROWS];
    int64_t reading = 500;
    for (size_t i = 0; i < RUN_COUNT * RUN_ROWS; i++) {
        reading += __builtin_popcountll(next_random()) - 32;
        values[i] = (double)reading / 10;
    }
    memcpy(values + RUN_COUNT * RUN_ROWS, values + 3 * RUN_ROWS, RUN_ROWS * sizeof *values);
    size_t without = column_size(values, RUN_COUNT);
    cr_assert_gt(without, RUN_COUNT * RUN_ROWS / 2);
    cr_assert_lt(column_size(values, RUN_COUNT + 1) - without, without / RUN_COUNT / 25);
}

#define REFUSED(what, bytes) check_node((what), (bytes), sizeof(bytes) - 1, AQ_CORRUPT)

/* Ten values, most nodes constants (1, then a zigzag code). */
Test(repeat, forged_copies)
{
    check_node("6 after 4", "\x09\1\1\x08\1\x0a\1\0\1\x0e", 10, AQ_OK);
    check_node("9 after 1, none of the others left", "\x09\1\1\2\1\x10\1\0\1\x0e", 10, AQ_OK);
    REFUSED("no copies", "\x09\0\1\x08\1\x0a\1\0\1\x0e");
    REFUSED("more copies than values", "\x09\x0b\1\0\1\0\1\0\1\x0e");
    REFUSED("a copy that goes beyond the end", "\x09\1\1\x08\1\x0c\1\0\1\x0e");
    REFUSED("a gap that does", "\x09\1\1\x16\1\0\1\0\1\x0e");
    REFUSED("a gap below 0", "\x09\1\1\1\1\0\1\0\1\x0e");
    REFUSED("a length below 1", "\x09\1\1\x08\1\1\1\0\1\x0e");
    REFUSED("from before the first", "\x09\1\1\x08\1\x0a\1\x08\1\x0e");
    REFUSED("a distance below 1", "\x09\1\1\x08\1\x0a\1\1\1\x0e");
    REFUSED("at the very begin", "\x09\1\1\0\1\x0a\1\0\1\x0e");
    REFUSED("two, in sum too long", "\x09\2\1\2\1\x08\1\0\1\x0e");
    REFUSED("a repeat in a repeat", "\x09\1\1\x0a\1\x08\1\0\x09\1\1\4\1\4\1\0\1\x0e");
    REFUSED("further down in one", "\x09\1\1\x0a\1\x08\1\0\5\0\x09\1\1\2\1\4\1\0\1\x0e");
}

/* Four deep with a repeat between them, and five. */
Test(repeat, does_not_count_in_the_depth)
{
    check_node("four", "\5\0\5\0\5\0\x09\1\1\2\1\x0a\1\0\1\x0e", 16, AQ_OK);
    REFUSED("five", "\5\0\5\0\5\0\x09\1\1\4\1\x08\1\0\5\0\1\x0e");
    REFUSED("a repeat as the fifth", "\5\0\5\0\5\0\5\0\x09\1\1\2\1\x08\1\0\1\x0e");
}
