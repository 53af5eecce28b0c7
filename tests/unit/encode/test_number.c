/* Different values numbered: as one by one comparison numbers them, whatever they are, and with bounded work where they were made
 * to crowd one slot of a table. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "format/base/checksum.h"
#include "format/encode/number.h"
#include "tests/unit/encode/random.h"

#define MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)
#define INVERSE UINT64_C(0xf1de83e19937733d) /* of it, modulo 2^64 */
#define ROWS 65536

/* Of which the first `count` were made by make_values. */
static int64_t ints[ROWS];
static char texts[ROWS][24];
static struct aq_slice slices[ROWS];
static uint8_t valid[ROWS];

static void make_values(size_t count, uint64_t different, uint64_t null_in)
{
    for (size_t i = 0; i < count; i++) {
        ints[i] = (int64_t)((next_random() % different) * UINT64_C(0x123456789abcdef) << 7);
        int size = snprintf(texts[i], sizeof texts[i], "%lx", (unsigned long)ints[i]);
        slices[i] = aq_slice_make(texts[i], (size_t)size);
        valid[i] = null_in == 0 || next_random() % null_in != 0;
    }
}

static bool same(size_t a, size_t b, const uint8_t *nulls)
{
    if (nulls != NULL && (nulls[a] == 0 || nulls[b] == 0))
        return nulls[a] == nulls[b];
    return ints[a] == ints[b];
}

/* Numbers are right if each one's first place has it, has nobody before it, and numbers ascend by it. */
static void expect_right(const struct aq_numbers *numbers, size_t count, const uint8_t *nulls)
{
    uint32_t next = 0;
    for (size_t i = 0; i < count; i++) {
        cr_assert_leq(numbers->codes[i], next, "value %zu", i);
        if (numbers->codes[i] == next)
            cr_assert_eq(numbers->firsts[next++], i);
        cr_assert(same(i, numbers->firsts[numbers->codes[i]], nulls), "value %zu", i);
    }
    cr_assert_eq(numbers->count, next);
    for (uint32_t a = 0; a < next; a++)
        for (uint32_t b = a + 1; b < next && b < a + 300; b++)
            cr_assert_not(same(numbers->firsts[a], numbers->firsts[b], nulls));
    cr_assert_leq(numbers->steps, AQ_NUMBER_STEPS_MAX * count);
}

static uint64_t check(size_t count, const uint8_t *nulls, bool of_slices)
{
    struct aq_arena arena = {0};
    struct aq_numbers numbers;
    enum aq_status status = of_slices
                                ? aq_number_slices(slices, nulls, count, SIZE_MAX, &arena, &numbers)
                                : aq_number_ints(ints, nulls, count, SIZE_MAX, &arena, &numbers);
    cr_assert_eq(status, AQ_OK);
    expect_right(&numbers, count, nulls);
    uint32_t different = numbers.count;
    uint64_t steps = numbers.steps;
    for (uint32_t max = different - 1; max <= different; max++) {
        status = of_slices ? aq_number_slices(slices, nulls, count, max, &arena, &numbers)
                           : aq_number_ints(ints, nulls, count, max, &arena, &numbers);
        cr_assert_eq(status, max == different ? AQ_OK : AQ_NOT_FOUND);
    }
    aq_arena_deinit(&arena);
    return steps;
}

Test(number, values_are_numbered_as_they_are_met)
{
    static const struct {
        size_t count;
        uint64_t different, null_in;
    } shapes[] = {{1, 1, 0},      {2, 1, 1},       {3, 2, 2},          {300, 1, 0},
                  {1000, 3, 5},   {5000, 128, 0},  {5000, 129, 3},     {20000, 700, 20000},
                  {ROWS, 9, 100}, {ROWS, 2100, 0}, {ROWS, 1 << 30, 0}, {ROWS, 1 << 30, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        make_values(shapes[i].count, shapes[i].different, shapes[i].null_in);
        for (unsigned of_slices = 0; of_slices < 2; of_slices++)
            for (unsigned nulls = 0; nulls < 2; nulls++) {
                uint64_t steps = check(shapes[i].count, nulls ? valid : NULL, of_slices);
                cr_assert_lt(steps, 3 * shapes[i].count + 10, "they are not crowded");
            }
    }
}

/* A bounded number of steps, and what is behind them is a sort; without the bound there were 2^31. */
Test(number, integers_of_one_slot_are_sorted)
{
    cr_assert_eq(MULTIPLIER * INVERSE, 1);
    for (size_t i = 0; i < ROWS; i++) {
        ints[i] = (int64_t)((uint64_t)(i * i % 40009) * INVERSE);
        valid[i] = i % 1000 != 3;
    }
    cr_assert_eq(check(ROWS, NULL, false), AQ_NUMBER_STEPS_MAX * ROWS);
    cr_assert_eq(check(ROWS, valid, false), AQ_NUMBER_STEPS_MAX * ROWS);
}

/* Those that are only crowded in the larger table are found out while it is filled. */
Test(number, integers_that_crowd_a_larger_table_are_sorted)
{
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t hash = i < 129 ? i << 57 : (i * 4 % 256) << 56 | i;
        ints[i] = (int64_t)(hash * INVERSE);
    }
    cr_assert_eq(check(ROWS, NULL, false), AQ_NUMBER_STEPS_MAX * ROWS);
}

Test(number, texts_of_one_slot_are_sorted)
{
    size_t count = 0;
    for (int64_t i = 0; count < 1000; i++) {
        memcpy(texts[count], &i, sizeof i);
        if (aq_checksum(texts[count], sizeof i) * MULTIPLIER >> 52 != 0)
            continue;
        valid[count] = count % 7 != 0;
        ints[count] = i;
        slices[count] = aq_slice_make(texts[count], sizeof i);
        count++;
    }
    cr_assert_eq(check(count, NULL, true), AQ_NUMBER_STEPS_MAX * count);
    cr_assert_eq(check(count, valid, true), AQ_NUMBER_STEPS_MAX * count);
}
