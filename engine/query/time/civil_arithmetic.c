/* Between instants and the civil time of a zone, and calendar arithmetic on both. Civil time is held as
 * microseconds since 1970-01-01 00:00 as if in UTC: the type timestamp. */
#include "engine/query/expression/function.h"

bool aq_civil_of_instant(const struct aq_zone *zone, int64_t time_us, int64_t *civil_us)
{
    int64_t offset_us =
        zone == aq_zone_utc() ? 0 : (int64_t)aq_zone_offset(zone, time_us) * AQ_US_PER_SECOND;
    return !__builtin_add_overflow(time_us, offset_us, civil_us);
}

static struct aq_civil civil_fields(int64_t civil_us)
{
    int64_t days = aq_floor_div(civil_us, AQ_US_PER_DAY);
    int64_t us = civil_us - days * AQ_US_PER_DAY;
    struct aq_civil civil;
    aq_civil_from_days(days, &civil.year, &civil.month, &civil.day);
    civil.hour = (unsigned)(us / AQ_US_PER_HOUR);
    civil.minute = (unsigned)(us / (60 * AQ_US_PER_SECOND) % 60);
    civil.second = (unsigned)(us / AQ_US_PER_SECOND % 60);
    civil.us = (unsigned)(us % AQ_US_PER_SECOND);
    return civil;
}

bool aq_instant_of_civil(const struct aq_zone *zone, int64_t civil_us, int64_t *time_us)
{
    if (zone == aq_zone_utc()) {
        *time_us = civil_us;
        return true;
    }
    struct aq_civil civil = civil_fields(civil_us);
    return aq_zone_instant(zone, &civil, time_us) == AQ_OK;
}

static unsigned days_in_month(int64_t year, unsigned month)
{
    int64_t next_year = month == 12 ? year + 1 : year;
    unsigned next_month = month == 12 ? 1 : month + 1;
    return (unsigned)(aq_days_from_civil(next_year, next_month, 1) -
                      aq_days_from_civil(year, month, 1));
}

/* Months move the month and keep the day where the month has it, else take its last. */
static bool civil_add(int64_t civil_us, int64_t months, int64_t days, int64_t *sum_us)
{
    int64_t day_count = aq_floor_div(civil_us, AQ_US_PER_DAY);
    int64_t rest_us = civil_us - day_count * AQ_US_PER_DAY;
    if (months != 0) {
        int64_t year;
        unsigned month;
        unsigned day;
        aq_civil_from_days(day_count, &year, &month, &day);
        int64_t index = year * 12 + month - 1 + months;
        year = aq_floor_div(index, 12);
        month = (unsigned)(index - year * 12) + 1;
        unsigned last = days_in_month(year, month);
        day_count = aq_days_from_civil(year, month, day > last ? last : day);
    }
    int64_t whole;
    return !__builtin_mul_overflow(day_count + days, AQ_US_PER_DAY, &whole) &&
           !__builtin_add_overflow(whole, rest_us, sum_us);
}

bool aq_instant_add(const struct aq_zone *zone, int64_t time_us, struct aq_interval interval,
                    int sign, int64_t *sum_us)
{
    int64_t moved = time_us;
    if (interval.months != 0 || interval.days != 0) {
        int64_t civil;
        if (!aq_civil_of_instant(zone, time_us, &civil) ||
            !civil_add(civil, (int64_t)interval.months * sign, (int64_t)interval.days * sign,
                       &civil) ||
            !aq_instant_of_civil(zone, civil, &moved))
            return false;
    }
    return sign > 0 ? !__builtin_add_overflow(moved, interval.us, sum_us)
                    : !__builtin_sub_overflow(moved, interval.us, sum_us);
}
