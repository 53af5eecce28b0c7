#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/text/number_text.h"

Test(number_text, integers)
{
    static const struct {
        const char *text;
        enum aq_status status;
        int64_t value;
    } cases[] = {
        {"0", AQ_OK, 0},
        {"-0", AQ_OK, 0},
        {"+7", AQ_OK, 7},
        {" 42\t", AQ_OK, 42},
        {"007", AQ_OK, 7},
        {"5.0", AQ_OK, 5},
        {"5.", AQ_OK, 5},
        {"5e2", AQ_OK, 500},
        {"500E-2", AQ_OK, 5},
        {"0.5e1", AQ_OK, 5},
        {"0e999999999999", AQ_OK, 0},
        {"9223372036854775807", AQ_OK, INT64_MAX},
        {"-9223372036854775808", AQ_OK, INT64_MIN},
        {"9223372036854775807.000", AQ_OK, INT64_MAX},
        {"9223372036854775808", AQ_LIMIT, 0},
        {"-9223372036854775809", AQ_LIMIT, 0},
        {"18446744073709551616", AQ_LIMIT, 0},
        {"99999999999999999999999", AQ_LIMIT, 0},
        {"1e19", AQ_LIMIT, 0},
        {"1e999999999999", AQ_LIMIT, 0},
        {"5.5", AQ_REJECT, 0},
        {"1e-1", AQ_REJECT, 0},
        {"1e-999999", AQ_REJECT, 0},
        {"", AQ_REJECT, 0},
        {" ", AQ_REJECT, 0},
        {"-", AQ_REJECT, 0},
        {".", AQ_REJECT, 0},
        {"e5", AQ_REJECT, 0},
        {"1e", AQ_REJECT, 0},
        {"1 2", AQ_REJECT, 0},
        {"0x10", AQ_REJECT, 0},
        {"nan", AQ_REJECT, 0},
        {"--1", AQ_REJECT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 0;
        cr_assert_eq(aq_int_parse(aq_slice_of(cases[i].text), &value), cases[i].status, "%s",
                     cases[i].text);
        if (cases[i].status == AQ_OK)
            cr_assert_eq(value, cases[i].value, "%s", cases[i].text);
    }
}

static void check_double(const char *text)
{
    double value = -1;
    cr_assert_eq(aq_double_parse(aq_slice_of(text), &value), AQ_OK, "%s", text);
    double expected = strtod(text, NULL);
    cr_assert_eq(memcmp(&value, &expected, sizeof value), 0, "%s: %.17g", text, value);
}

Test(number_text, doubles_are_the_nearest)
{
    static const char *const texts[] = {"0",
                                        "-0.0",
                                        "1",
                                        "0.1",
                                        "-61.5",
                                        "1e22",
                                        "1e23",
                                        "9007199254740993",
                                        "9007199254740992e22",
                                        "123456789012345678901234567890",
                                        "2.2250738585072014e-308",
                                        "4.9e-324",
                                        "1.7976931348623157e308",
                                        "0.000000000000000000000000000000000000001e39",
                                        "3.14159265358979323846264338327950288",
                                        ".5",
                                        "5.",
                                        "1e-22",
                                        "1e-23"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_double(texts[i]);
    srand(1);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        snprintf(text, sizeof text, "%d%09d.%0*de%d", rand() % 3, rand() % 1000000000,
                 rand() % 12 + 1, rand(), rand() % 60 - 30);
        check_double(text);
    }
}

Test(number_text, long_digits)
{
    char text[5000] = "1.";
    memset(text + 2, '3', 4000);
    check_double(text);
    memset(text + 2, '0', 4000);
    text[3000] = '1';
    check_double(text);
    double value;
    cr_assert_eq(aq_double_parse(aq_slice_of("1e400"), &value), AQ_LIMIT);
    cr_assert_eq(aq_double_parse(aq_slice_of("-1e400"), &value), AQ_LIMIT);
    cr_assert_eq(aq_double_parse(aq_slice_of("1e-400"), &value), AQ_LIMIT);
    cr_assert_eq(aq_double_parse(aq_slice_of("1e-99999999999999"), &value), AQ_LIMIT);
    cr_assert_eq(aq_double_parse(aq_slice_of("0x1p3"), &value), AQ_REJECT);
    cr_assert_eq(aq_double_parse(aq_slice_of("1,5"), &value), AQ_REJECT);
    cr_assert_eq(aq_double_parse(aq_slice_of("nan(1)"), &value), AQ_REJECT);
    cr_assert_eq(aq_double_parse(aq_slice_of("-Infinity"), &value), AQ_OK);
    cr_assert_eq(value, -INFINITY);
    cr_assert_eq(aq_double_parse(aq_slice_of(" NaN "), &value), AQ_OK);
    cr_assert(isnan(value));
}
