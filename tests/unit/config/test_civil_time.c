#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/civil/civil_time.h"

static const struct aq_zone *zone_of(const char *name)
{
    const struct aq_zone *zone;
    struct aq_error err = {0};
    cr_assert_eq(aq_zone_find(name, true, &zone, &err), AQ_OK, "%s: %s", name, err.message);
    return zone;
}

static const char *text_of(int64_t time_us, const char *zone)
{
    static char text[64];
    size_t length = aq_time_format(time_us, zone_of(zone), text, sizeof text);
    cr_assert_eq(length, strlen(text));
    return text;
}

/* Parses in `zone` and prints in UTC; NULL for a reject. */
static const char *parse(const char *text, const char *zone)
{
    int64_t time_us;
    if (aq_time_parse(aq_slice_of(text), zone_of(zone), &time_us) < 0)
        return NULL;
    return text_of(time_us, "UTC");
}

static const char *parse_format(const char *text, const char *pattern, const char *zone)
{
    int64_t time_us;
    struct aq_error err = {0};
    cr_assert_eq(aq_time_pattern_check(pattern, &err), AQ_OK);
    if (aq_time_parse_format(aq_slice_of(text), pattern, zone_of(zone), &time_us) < 0)
        return NULL;
    return text_of(time_us, "UTC");
}

Test(civil_time, rfc3339)
{
    cr_assert_str_eq(parse("2025-02-14T13:00:00+07:00", "UTC"), "2025-02-14 06:00:00+00");
    cr_assert_str_eq(parse("2025-02-14T13:00:00Z", "Asia/Tokyo"), "2025-02-14 13:00:00+00");
    cr_assert_str_eq(parse("2025-02-14t13:00:00.123456z", "UTC"), "2025-02-14 13:00:00.123456+00");
    cr_assert_str_eq(parse("2025-02-14 13:00:00.5-0330", "UTC"), "2025-02-14 16:30:00.5+00");
    cr_assert_str_eq(parse("2025-02-14 13:00:00 +05", "UTC"), "2025-02-14 08:00:00+00");
    cr_assert_str_eq(parse("2025-02-14 13:00:00 UTC", "Asia/Tokyo"), "2025-02-14 13:00:00+00");
    cr_assert_str_eq(parse("1969-12-31T23:59:59.999999Z", "UTC"), "1969-12-31 23:59:59.999999+00");
    cr_assert_str_eq(parse("2016-12-31T23:59:60Z", "UTC"), "2017-01-01 00:00:00+00");
}

Test(civil_time, postgresql_forms)
{
    cr_assert_str_eq(parse("2025-02-14", "Asia/Ho_Chi_Minh"), "2025-02-13 17:00:00+00");
    cr_assert_str_eq(parse("2013-3-1 0:00", "+08:00"), "2013-02-28 16:00:00+00");
    cr_assert_str_eq(parse("2013-03-01 24:00:00", "UTC"), "2013-03-02 00:00:00+00");
    cr_assert_str_eq(parse("0044-03-15 12:00:00+00 BC", "UTC"), "0044-03-15 12:00:00+00 BC");
    cr_assert_str_eq(parse("20000-01-01", "UTC"), "20000-01-01 00:00:00+00");
    cr_assert_str_eq(parse("2025-02-14 13:00:00.1234565", "UTC"), "2025-02-14 13:00:00.123457+00");
    cr_assert_str_eq(parse("2025-12-31 23:59:59.9999999", "UTC"), "2026-01-01 00:00:00+00");
}

Test(civil_time, no_times)
{
    static const char *const bad[] = {
        "",
        "-",
        "2025",
        "2025-02",
        "2025-02-30",
        "2025-13-01",
        "2025-00-01",
        "2025-02-00",
        "2025-02-14T",
        "2025-02-14T13",
        "20250214",
        "2023-02-29",
        "2025-02-14 1",
        "2025-02-14 25:00",
        "2025-02-14 12:60",
        "-999",
        "12:00",
        "2025-02-14x",
        "2025-02-14 12:00:61",
        "2025-02-14 12:00:00+",
        "2025-02-14 12:00:00+16:00",
        "2025-02-14 12:00:00.",
        "0000-01-01 BC",
        "2025-02-14 24:00:01",
        "2025-02-14 12:00:00+07 x",
        "999999-01-01",
        "2025-02-14 12:00 Asia/X",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_null(parse(bad[i], "UTC"), "'%s' was taken", bad[i]);
}

Test(civil_time, patterns)
{
    cr_assert_str_eq(parse_format("2016-01-01 01:00 PM", "%Y-%m-%d %I:%M %p", "Asia/Bangkok"),
                     "2016-01-01 06:00:00+00");
    cr_assert_str_eq(parse_format("2016-01-01 12:30 AM", "%Y-%m-%d %I:%M %p", "UTC"),
                     "2016-01-01 00:30:00+00");
    cr_assert_str_eq(parse_format("2016-01-01 12:30 pm", "%F %I:%M %p", "UTC"),
                     "2016-01-01 12:30:00+00");
    cr_assert_str_eq(parse_format("Fri, 14 Feb 2025 13:00:00 GMT", "%a, %d %b %Y %T %z", "UTC"),
                     "2025-02-14 13:00:00+00");
    cr_assert_str_eq(parse_format("14 february 25", "%d %B %y", "UTC"), "2025-02-14 00:00:00+00");
    cr_assert_str_eq(parse_format("2024-366 5", "%Y-%j %H", "UTC"), "2024-12-31 05:00:00+00");
    cr_assert_str_eq(parse_format("20250214 1300+0700", "%Y%m%d %H%M%z", "UTC"),
                     "2025-02-14 06:00:00+00");
    cr_assert_str_eq(parse_format("1.5", "%s.%f", "UTC"), "1970-01-01 00:00:01.5+00");
    cr_assert_str_eq(parse_format("100%", "%j%%", "UTC"), "1970-04-10 00:00:00+00");
    cr_assert_null(parse_format("2023-366", "%Y-%j", "UTC"));
    cr_assert_null(parse_format("2025-02-30", "%F", "UTC"));
    cr_assert_null(parse_format("2025-02-14x", "%F", "UTC"));
    cr_assert_null(parse_format("2025-02-14", "%F %H", "UTC"));
    cr_assert_null(parse_format("13:00 pm", "%I:%M %p", "UTC"));
}

Test(civil_time, unknown_conversions)
{
    struct aq_error err = {0};
    cr_assert_eq(aq_time_pattern_check("%Y-%Q", &err), AQ_INVALID);
    cr_assert_not_null(strstr(err.message, "%Q"));
    cr_assert_eq(aq_time_pattern_check("%Y-%", &err), AQ_INVALID);
    cr_assert_eq(aq_time_pattern_check("plain", &err), AQ_OK);
}

Test(civil_time, zone_names)
{
    static const char *const bad[] = {"",        "GMT+7",          "+25:00",    "08:00",
                                      "Nowhere", "../etc/passwd",  "/etc/utc",  "+08:0",
                                      "+8",      "right/UTC",      "localtime", "libc:localtime",
                                      "Asia",    "Asia/Shanghai/", "+08:00:00"};
    struct aq_error err = {0};
    const struct aq_zone *zone;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(aq_zone_find(bad[i], true, &zone, &err), AQ_INVALID, "'%s' was taken", bad[i]);
    cr_assert_eq(aq_zone_find("+08:00", false, &zone, &err), AQ_INVALID);
    cr_assert_eq(aq_zone_find("utc", false, &zone, &err), AQ_OK);
    cr_assert_eq(aq_zone_find("Asia/Shanghai", false, &zone, &err), AQ_OK);
    cr_assert_str_eq(aq_zone_name(zone), "Asia/Shanghai");
    cr_assert_eq(aq_zone_offset(zone_of("-0330"), 0), -12600);
    cr_assert_eq(aq_zone_offset(aq_zone_utc(), INT64_MIN), 0);
}

/* PostgreSQL 15: select '2024-03-10 02:30 America/New_York'::timestamptz and so on. */
Test(civil_time, changes_of_the_clock)
{
    cr_assert_str_eq(parse("2024-03-10 02:30", "America/New_York"), "2024-03-10 07:30:00+00");
    cr_assert_str_eq(parse("2024-11-03 01:30", "America/New_York"), "2024-11-03 06:30:00+00");
    cr_assert_str_eq(parse("2024-11-03 00:59", "America/New_York"), "2024-11-03 04:59:00+00");
    cr_assert_str_eq(parse("2024-11-03 02:00", "America/New_York"), "2024-11-03 07:00:00+00");
    cr_assert_str_eq(parse("1850-01-01 00:00", "America/New_York"), "1850-01-01 04:56:02+00");
    cr_assert_str_eq(parse("2300-07-01 00:00", "America/New_York"), "2300-07-01 04:00:00+00");
    cr_assert_str_eq(parse("2300-01-01 00:00", "America/New_York"), "2300-01-01 05:00:00+00");
}

/* The cache must agree with itself whatever the order of the questions. */
Test(civil_time, offsets_around_transitions)
{
    const struct aq_zone *zone = zone_of("Europe/Bucharest");
    int64_t spring_us;
    cr_assert_eq(aq_time_parse(aq_slice_of("2025-03-30 01:00:00Z"), zone, &spring_us), AQ_OK);
    for (int round = 0; round < 3; round++) {
        cr_assert_eq(aq_zone_offset(zone, spring_us - 1), 7200);
        cr_assert_eq(aq_zone_offset(zone, spring_us), 10800);
        cr_assert_eq(aq_zone_offset(zone, spring_us + 90 * AQ_US_PER_DAY), 10800);
        cr_assert_eq(aq_zone_offset(zone, spring_us + 300 * AQ_US_PER_DAY), 7200);
    }
    cr_assert_str_eq(text_of(spring_us, "Asia/Kolkata"), "2025-03-30 06:30:00+05:30");
}

Test(civil_time, civil_round_trip)
{
    static const char *const zones[] = {"UTC", "Europe/Bucharest", "Asia/Kolkata", "-03:30"};
    for (int64_t day = -800000; day < 800000; day += 997) {
        int64_t time_us = day * AQ_US_PER_DAY + 43200123456;
        const struct aq_zone *zone = zone_of(zones[(uint64_t)day % 4]);
        struct aq_civil civil;
        aq_zone_civil(zone, time_us, &civil);
        int64_t back_us;
        cr_assert_eq(aq_zone_instant(zone, &civil, &back_us), AQ_OK);
        cr_assert_eq(back_us, time_us);
    }
    struct aq_civil far = {.year = 299999, .month = 1, .day = 1};
    int64_t time_us;
    cr_assert_eq(aq_zone_instant(aq_zone_utc(), &far, &time_us), AQ_LIMIT);
}
