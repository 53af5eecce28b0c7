/* Multiples of one number: found where differences share a divisor, taken where that saves, and read back to the bit by values, by
 * different values and as bounds; forged ones are refused. */
#include <criterion/criterion.h>

#include "format/base/calendar.h"
#include "tests/unit/encode/node_bytes.h"
#include "tests/unit/encode/random.h"

#define ROWS 20000
#define LATE_BOTH (AQ_LATE_LANES | AQ_LATE_MULTIPLE)

static uint64_t find(int64_t a, int64_t b, int64_t c)
{
    int64_t values[] = {a, b, c};
    return aq_multiple_find(values, 3);
}

Test(multiple, is_what_divides_all_differences)
{
    cr_expect_eq(find(0, 6000, 15000), 3000);
    cr_expect_eq(find(7, 1007, -1993), 1000);
    cr_expect_eq(find(7, 1006, 7), 1, "999 is too small");
    cr_expect_eq(find(7, 7, 1007), 1000);
    cr_expect_eq(find(7, 8, 1008), 1);
    cr_expect_eq(find(7, 7, 7), 1, "no difference");
    cr_expect_eq(find(INT64_MIN, INT64_MIN, -1), (uint64_t)INT64_MAX);
    cr_expect_eq(find(INT64_MIN, INT64_MIN, 0), 1, "2^63 is too large");
    cr_expect_eq(find(INT64_MIN, INT64_MAX, INT64_MIN), 1, "as is 2^64 - 1");
    cr_expect_eq(find(INT64_MIN, INT64_MAX, INT64_MIN + 65535), 65535);
}

static void expect_back(const int64_t *values, size_t count, uint64_t multiple)
{
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    struct aq_encoder encoder = {.options = &options};
    struct aq_bytes node = {0};
    int64_t *decoded = malloc(count * sizeof *decoded);
    cr_assert_not_null(decoded);
    cr_assert_eq(aq_multiple_find(values, count),
                 multiple < AQ_MULTIPLE_WRITTEN_MIN ? 1 : multiple);
    cr_assert_eq(aq_multiple_encode(&encoder, values, count, multiple, 0, &node), AQ_OK);
    cr_assert_eq(node.data[0], AQ_ENCODING_MULTIPLE);
    cr_assert_not(encoder.multiplying);
    cr_assert_eq(decode_node(aq_bytes_view(&node), decoded, count), AQ_OK);
    cr_assert_eq(memcmp(decoded, values, count * sizeof *values), 0);
    aq_encoder_deinit(&encoder);
    aq_bytes_deinit(&node);
    free(decoded);
}

Test(multiple, of_everything_comes_back)
{
    static int64_t values[ROWS];
    const int64_t ends[] = {INT64_MIN, INT64_MIN + 15, INT64_MAX, INT64_MAX - 30};
    expect_back(ends, 4, 15);
    const int64_t far[] = {INT64_MIN, -1};
    expect_back(far, 2, INT64_MAX);
    for (uint64_t multiple = 2; multiple < UINT64_C(1) << 62; multiple *= 17) {
        for (size_t i = 0; i < ROWS; i++)
            values[i] = (int64_t)((i < 2 ? i : next_random() % (INT64_MAX / multiple)) * multiple) -
                        (int64_t)(multiple / 2) - 1;
        expect_back(values, ROWS, multiple);
    }
}

/* Coded by a profile: its description, and which late encodings it has. */
static uint32_t describe(const int64_t *values, size_t count, enum aq_profile profile,
                         char text[256], size_t *size)
{
    struct aq_vector vector;
    struct aq_bytes coded = {0};
    uint32_t late = 0;
    struct aq_encode_options options = {.profile = profile, .late = &late};
    aq_vector_init(&vector, AQ_TYPE_TIMESTAMPTZ);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aq_vector_append_int(&vector, values[i]), AQ_OK);
    cr_assert_eq(aq_column_encode_with(&vector, 0, count, &options, &coded), AQ_OK);
    cr_assert_eq(aq_column_describe(aq_bytes_view(&coded), text, 256, NULL), AQ_OK);
    *size = coded.size;
    aq_bytes_deinit(&coded);
    aq_vector_deinit(&vector);
    return late;
}

/* Events, some milliseconds apart; whatever the clock counted from. */
Test(multiple, takes_digits_that_all_share_out_of_archives)
{
    static int64_t fine[ROWS], coarse[ROWS];
    char text[256];
    size_t fine_size, coarse_size;
    for (size_t i = 1; i < ROWS; i++) {
        fine[i] = fine[i - 1] + (int64_t)(next_random() % 5000);
        coarse[i] = fine[i] * 1000 + 417;
    }
    coarse[0] = 417;
    cr_assert_eq(describe(fine, ROWS, AQ_PROFILE_ARCHIVE, text, &fine_size), 0);
    cr_assert_str_eq(text, "delta(bitpack 13)");
    cr_assert_eq(describe(coarse, ROWS, AQ_PROFILE_ARCHIVE, text, &coarse_size), AQ_LATE_MULTIPLE);
    cr_assert_str_eq(text, "multiple 1000(delta(bitpack 13))");
    cr_assert_leq(coarse_size, fine_size + 6);
    for (enum aq_profile profile = 0; profile < AQ_PROFILE_ARCHIVE; profile++) {
        cr_assert_eq(describe(coarse, ROWS, profile, text, &coarse_size), 0);
        cr_assert_null(strstr(text, "multiple"), "%s", text);
    }
}

/* Each in its own half of the counter. */
Test(multiple, is_announced_beside_other_late_encodings)
{
    static int64_t values[ROWS];
    char text[256];
    size_t size;
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t random = next_random();
        values[i] = (int64_t)(random % 64 == 0 ? random >> 40 : random >> 61);
    }
    cr_assert_eq(describe(values, ROWS, AQ_PROFILE_ARCHIVE, text, &size), AQ_LATE_LANES, "%s",
                 text);
    for (size_t i = 0; i < ROWS; i++)
        values[i] = values[i] * 60000000 + 7000000;
    cr_assert_eq(describe(values, ROWS, AQ_PROFILE_ARCHIVE, text, &size), LATE_BOTH, "%s", text);
    cr_assert_str_eq(text, "multiple 60000000(ans32)");
}

/* Where a dictionary, or a constant difference, has the digits once anyhow, and where there is little to save. */
Test(multiple, is_left_out_where_it_saves_little)
{
    static int64_t values[ROWS];
    char text[256];
    size_t size;
    for (size_t i = 0; i < ROWS; i++)
        values[i] = (int64_t)i * AQ_US_PER_HOUR;
    cr_expect_eq(describe(values, ROWS, AQ_PROFILE_ARCHIVE, text, &size), 0);
    cr_expect_str_eq(text, "delta(constant)");
    for (size_t i = 0; i < ROWS; i++)
        values[i] = (int64_t)(next_random() % 3) * AQ_US_PER_HOUR;
    cr_expect_eq(describe(values, ROWS, AQ_PROFILE_ARCHIVE, text, &size) & AQ_LATE_MULTIPLE, 0,
                 "%s", text);
    for (size_t i = 0; i < 15; i++)
        values[i] = (int64_t)(next_random() % 1000) * 1000;
    cr_expect_eq(describe(values, 15, AQ_PROFILE_ARCHIVE, text, &size), 0, "%s", text);
}

#define REFUSED(what, bytes) check_node((what), (bytes), sizeof(bytes) - 1, AQ_CORRUPT)
#define TAKEN(what, bytes) check_node((what), (bytes), sizeof(bytes) - 1, AQ_OK)

/* Ten values: a multiple, a zigzag code of the base, mostly a constant (1, then a zigzag code). */
Test(multiple, forged_ones)
{
    TAKEN("2", "\x0a\2\0\1\x0e");
    TAKEN("2^63 - 1, and what wraps around", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\5\1\x0e");
    TAKEN("in a repeat", "\x09\1\1\x0a\1\x08\1\0\x0a\2\0\1\x0e");
    TAKEN("of a repeat", "\x0a\2\0\x09\1\1\x0a\1\x08\1\0\1\x0e");
    TAKEN("beside another", "\2\2\x0a\2\0\1\4\x0a\2\0\1\x0e");
    REFUSED("0", "\x0a\0\0\1\x0e");
    REFUSED("1", "\x0a\1\0\1\x0e");
    REFUSED("2^63", "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\0\1\x0e");
    REFUSED("2^64", "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\2\0\1\x0e");
    REFUSED("a multiple in a multiple", "\x0a\2\0\x0a\2\0\1\x0e");
    REFUSED("further down in one", "\x0a\2\0\5\0\x0a\2\0\1\x0e");
    REFUSED("of nothing known", "\x0a\2\0\x0b\x0e");
}

Test(multiple, wraps_around)
{
    int64_t values[2];
    static const uint8_t node[] = {10,   0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0x7f, 5,    1,    14};
    cr_assert_eq(decode_node(aq_slice_make(node, sizeof node), values, 2), AQ_OK);
    cr_assert_eq(values[1], (int64_t)(UINT64_C(7) * INT64_MAX - 3));
}

/* Four deep with it and a repeat between them, and five. */
Test(multiple, does_not_count_in_the_depth)
{
    TAKEN("four", "\5\0\5\0\5\0\x0a\2\0\1\x0e");
    TAKEN("four below it", "\x0a\2\0\5\0\5\0\5\0\1\x0e");
    TAKEN("with a repeat, too", "\x0a\2\0\5\0\5\0\5\0\x09\1\1\2\1\x0a\1\0\1\x0e");
    REFUSED("five", "\5\0\5\0\5\0\x0a\2\0\5\0\1\x0e");
    REFUSED("five below it", "\x0a\2\0\5\0\5\0\5\0\5\0\1\x0e");
    REFUSED("a multiple as the fifth", "\5\0\5\0\5\0\5\0\x0a\2\0\1\x0e");
}
