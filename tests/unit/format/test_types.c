/* Types, the calendar and slots. */
#include <criterion/criterion.h>
#include <time.h>

#include "format/table/types.h"

Test(types, names_and_aliases_parse)
{
    enum aq_type type;
    cr_assert_eq(aq_type_parse("Double Precision", &type), AQ_OK);
    cr_assert_eq(type, AQ_TYPE_DOUBLE);
    cr_assert_eq(aq_type_parse("INT8", &type), AQ_OK);
    cr_assert_eq(type, AQ_TYPE_BIGINT);
    cr_assert_eq(aq_type_parse("numeric", &type), AQ_NOT_FOUND);
    cr_assert_not(aq_type_valid_column(0));
    cr_assert_not(aq_type_valid_column(AQ_TYPE_INTERVAL));
    cr_assert(aq_type_valid_column(AQ_TYPE_TIMESTAMPTZ));
}

Test(types, the_calendar_agrees_with_the_c_library)
{
    for (int64_t days = -800000; days < 800000; days += 37) {
        time_t seconds = days * 86400;
        struct tm tm;
        cr_assert_not_null(gmtime_r(&seconds, &tm));
        int64_t year;
        unsigned month;
        unsigned day;
        aq_civil_from_days(days, &year, &month, &day);
        cr_assert_eq(year, tm.tm_year + 1900, "day %lld", (long long)days);
        cr_assert_eq(month, (unsigned)tm.tm_mon + 1);
        cr_assert_eq(day, (unsigned)tm.tm_mday);
        cr_assert_eq(aq_days_from_civil(year, month, day), days);
    }
}

static int64_t instant_of(int64_t year, unsigned month, unsigned day)
{
    return aq_days_from_civil(year, month, day) * AQ_US_PER_DAY;
}

Test(types, slots_floor_also_before_1970)
{
    cr_assert_eq(aq_slot_start(AQ_SLOT_DAY, -1), -AQ_US_PER_DAY);
    cr_assert_eq(aq_slot_start(AQ_SLOT_HOUR, AQ_US_PER_HOUR), AQ_US_PER_HOUR);
    cr_assert_eq(aq_slot_start(AQ_SLOT_NONE, 12345), 0);
    int64_t start = aq_slot_start(AQ_SLOT_MONTH, instant_of(2024, 2, 15) + 5);
    cr_assert_eq(start, instant_of(2024, 2, 1));
    cr_assert_eq(aq_slot_end(AQ_SLOT_MONTH, start), instant_of(2024, 3, 1));
    cr_assert_eq(aq_slot_end(AQ_SLOT_MONTH, instant_of(2024, 12, 1)), instant_of(2025, 1, 1));
}

Test(types, extreme_instants_are_clamped_not_overflowed)
{
    for (int i = AQ_SLOT_HOUR; i <= AQ_SLOT_MONTH; i++) {
        enum aq_slot slot = (enum aq_slot)i;
        cr_assert_eq(aq_slot_start(slot, INT64_MIN), INT64_MIN);
        cr_assert_eq(aq_slot_end(slot, aq_slot_start(slot, INT64_MAX)), INT64_MAX);
    }
}
