/* Spans of the calendar: the start and the end of the one that a time lies in.
 *
 * Hours and days are divisions; the longer ones begin with a month, which civil arithmetic finds.
 * Failures: none; what does not fit 64 bits is clamped. */
#include "format/base/calendar.h"

#include <inttypes.h>
#include <stdio.h>

#define MONTHS_PER_YEAR 12

/* Months of the spans that are made of months. */
static int64_t span_months(enum aq_span span)
{
    switch (span) {
    case AQ_SPAN_QUARTER:
        return 3;
    case AQ_SPAN_YEAR:
        return MONTHS_PER_YEAR;
    case AQ_SPAN_DECADE:
        return 10 * MONTHS_PER_YEAR;
    default:
        return 1;
    }
}

/* Months from year 0 to the month of the time. */
static int64_t month_of(int64_t time_us)
{
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(aq_floor_div(time_us, AQ_US_PER_DAY), &year, &month, &day);
    return year * MONTHS_PER_YEAR + month - 1;
}

static int64_t month_start(int64_t month)
{
    int64_t year = aq_floor_div(month, MONTHS_PER_YEAR);
    int64_t days = aq_days_from_civil(year, (unsigned)(month - year * MONTHS_PER_YEAR) + 1, 1);
    int64_t us;
    if (__builtin_mul_overflow(days, AQ_US_PER_DAY, &us))
        return days < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

int64_t aq_span_start(enum aq_span span, int64_t time_us)
{
    if (span == AQ_SPAN_HOUR)
        return aq_slot_start(AQ_SLOT_HOUR, time_us);
    if (span == AQ_SPAN_DAY)
        return aq_slot_start(AQ_SLOT_DAY, time_us);
    int64_t months = span_months(span);
    return month_start(aq_floor_div(month_of(time_us), months) * months);
}

int64_t aq_span_end(enum aq_span span, int64_t start_us)
{
    if (span == AQ_SPAN_HOUR)
        return aq_slot_end(AQ_SLOT_HOUR, start_us);
    if (span == AQ_SPAN_DAY)
        return aq_slot_end(AQ_SLOT_DAY, start_us);
    int64_t months = span_months(span);
    return month_start((aq_floor_div(month_of(start_us), months) + 1) * months);
}

void aq_span_format(enum aq_span span, int64_t start_us, char *out, size_t out_size)
{
    int64_t year;
    unsigned month;
    unsigned day;
    int64_t days = aq_floor_div(start_us, AQ_US_PER_DAY);
    aq_civil_from_days(days, &year, &month, &day);
    int64_t hour = aq_floor_div(start_us, AQ_US_PER_HOUR) - days * 24;
    switch (span) {
    case AQ_SPAN_HOUR:
        snprintf(out, out_size, "hour %04" PRId64 "-%02u-%02uT%02d", year, month, day, (int)hour);
        break;
    case AQ_SPAN_DAY:
        snprintf(out, out_size, "day %04" PRId64 "-%02u-%02u", year, month, day);
        break;
    case AQ_SPAN_MONTH:
        snprintf(out, out_size, "month %04" PRId64 "-%02u", year, month);
        break;
    case AQ_SPAN_QUARTER:
        snprintf(out, out_size, "quarter %04" PRId64 "-Q%u", year, (month + 2) / 3);
        break;
    case AQ_SPAN_YEAR:
        snprintf(out, out_size, "year %04" PRId64, year);
        break;
    case AQ_SPAN_DECADE:
        snprintf(out, out_size, "decade %04" PRId64 "s", year);
        break;
    }
}
