/* Instants to civil fields and text, and back.
 *
 * Happy path: the zone gives the offset (civil_time.cc), the calendar of format/table/types.h does the rest.
 * Failures: a civil time whose instant does not fit 64 bits of microseconds is AQ_LIMIT. */
#include <stdio.h>

#include "engine/base/civil/civil_zone.h"

/* Beyond it no instant fits; keeps all products below far from overflow. */
#define YEAR_MAX 300000

void aq_zone_civil(const struct aq_zone *zone, int64_t time_us, struct aq_civil *civil)
{
    int64_t at_s = aq_floor_div(time_us, AQ_US_PER_SECOND);
    civil->us = (unsigned)(time_us - at_s * AQ_US_PER_SECOND);
    int64_t local_s = at_s + aq_zone_offset(zone, time_us);
    int64_t days = aq_floor_div(local_s, 86400);
    unsigned second = (unsigned)(local_s - days * 86400);
    aq_civil_from_days(days, &civil->year, &civil->month, &civil->day);
    civil->hour = second / 3600;
    civil->minute = second / 60 % 60;
    civil->second = second % 60;
}

enum aq_status aq_zone_instant(const struct aq_zone *zone, const struct aq_civil *civil,
                               int64_t *time_us)
{
    if (civil->year > YEAR_MAX || civil->year < -YEAR_MAX)
        return AQ_LIMIT;
    int64_t days = aq_days_from_civil(civil->year, civil->month, 1) + (int64_t)civil->day - 1;
    int64_t local_s = days * 86400 + (int64_t)civil->hour * 3600 + (int64_t)civil->minute * 60 +
                      (int64_t)civil->second;
    int64_t at_s = aq_zone_local_to_utc_s(zone, local_s);
    if (__builtin_mul_overflow(at_s, AQ_US_PER_SECOND, time_us) ||
        __builtin_add_overflow(*time_us, (int64_t)civil->us, time_us))
        return AQ_LIMIT;
    return AQ_OK;
}

static size_t format_fraction(unsigned us, char *out, size_t out_size)
{
    int length = snprintf(out, out_size, ".%06u", us);
    while (length > 0 && out[length - 1] == '0')
        length--;
    return (size_t)length;
}

static size_t format_offset(int32_t offset_s, char *out, size_t out_size)
{
    unsigned size = (unsigned)(offset_s < 0 ? -offset_s : offset_s);
    char sign = offset_s < 0 ? '-' : '+';
    if (size % 60 != 0)
        return (size_t)snprintf(out, out_size, "%c%02u:%02u:%02u", sign, size / 3600,
                                size / 60 % 60, size % 60);
    if (size % 3600 != 0)
        return (size_t)snprintf(out, out_size, "%c%02u:%02u", sign, size / 3600, size / 60 % 60);
    return (size_t)snprintf(out, out_size, "%c%02u", sign, size / 3600);
}

size_t aq_time_format(int64_t time_us, const struct aq_zone *zone, char *out, size_t out_size)
{
    struct aq_civil civil;
    aq_zone_civil(zone, time_us, &civil);
    bool before_christ = civil.year <= 0; /* PostgreSQL prints year 0 as 0001 BC */
    long long year = before_christ ? 1 - civil.year : civil.year;
    size_t length =
        (size_t)snprintf(out, out_size, "%04lld-%02u-%02u %02u:%02u:%02u", year, civil.month,
                         civil.day, civil.hour, civil.minute, civil.second);
    if (civil.us != 0)
        length += format_fraction(civil.us, out + length, out_size - length);
    length += format_offset(aq_zone_offset(zone, time_us), out + length, out_size - length);
    if (before_christ)
        length += (size_t)snprintf(out + length, out_size - length, " BC");
    return length;
}
