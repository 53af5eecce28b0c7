/* Comparison kernels, several values at a time, say what the order of two values says (aq_value_compare), whatever the
 * number of rows and wherever odd values stand. */
#include <criterion/criterion.h>
#include <math.h>

#include "engine/query/expression/function.h"

#define ROWS 67 /* some whole vector registers, and what is left */

static const char *const names[] = {"=", "<>", "!=", "<", "<=", ">", ">="};

static int64_t verdict(const char *name, int order)
{
    if (strcmp(name, "=") == 0)
        return order == 0;
    if (name[0] == '!' || strcmp(name, "<>") == 0)
        return order != 0;
    if (name[0] == '<')
        return order < 0 || (name[1] == '=' && order == 0);
    return order > 0 || (name[1] == '=' && order == 0);
}

static void expect_order(enum aq_type type, const union aq_value *values, size_t value_count)
{
    struct aq_vector left, right, out;
    const struct aq_vector *args[] = {&left, &right};
    aq_vector_init(&left, type);
    aq_vector_init(&right, type);
    aq_vector_init(&out, AQ_TYPE_BOOLEAN);
    cr_assert_eq(aq_vector_resize(&left, ROWS), AQ_OK);
    cr_assert_eq(aq_vector_resize(&right, ROWS), AQ_OK);
    cr_assert_eq(aq_vector_resize(&out, ROWS), AQ_OK);
    for (size_t shift = 0; shift < value_count; shift++) {
        for (size_t i = 0; i < ROWS; i++) {
            aq_value_put(&left, i, values[i % value_count]);
            aq_value_put(&right, i, values[(i + shift + i / value_count) % value_count]);
        }
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
            for (size_t count = ROWS - 5; count <= ROWS; count++) {
                memset(out.ints, 0x55, ROWS * sizeof *out.ints);
                cr_assert_eq(aq_compare_kernel(names[n], type)(NULL, NULL, args, count, &out),
                             AQ_OK);
                for (size_t i = 0; i < count; i++)
                    cr_assert_eq(out.ints[i],
                                 verdict(names[n], aq_vector_compare(&left, i, &right, i)),
                                 "%s row %zu", names[n], i);
            }
        }
    }
    aq_vector_deinit(&left);
    aq_vector_deinit(&right);
    aq_vector_deinit(&out);
}

Test(compare, doubles)
{
    union {
        uint64_t bits;
        double real;
    } payload = {.bits = UINT64_C(0xfff8000000000123)};
    static const double reals[] = {0.0,    -0.0,    1.5,   -1.5,      NAN,   INFINITY,
                                   5e-324, -5e-324, 1e308, -INFINITY, -1e308};
    union aq_value values[12] = {{.real = payload.real}};
    for (size_t i = 0; i < 11; i++)
        values[i + 1].real = reals[i];
    expect_order(AQ_TYPE_DOUBLE, values, 12);
}

Test(compare, integers)
{
    static const union aq_value values[] = {{.integer = 0},         {.integer = -1},
                                            {.integer = INT64_MIN}, {.integer = INT64_MAX},
                                            {.integer = 1},         {.integer = INT64_MIN + 1},
                                            {.integer = 1 << 30}};
    expect_order(AQ_TYPE_BIGINT, values, sizeof values / sizeof values[0]);
}

Test(compare, text)
{
    union aq_value values[5];
    static const char *const texts[] = {"", "a", "ab", "b", "\xff"};
    for (size_t i = 0; i < 5; i++)
        values[i].slice = aq_slice_of(texts[i]);
    expect_order(AQ_TYPE_TEXT, values, 5);
}
