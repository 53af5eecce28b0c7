/* Values as PostgreSQL writes them: the text form of results and of casts to text. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/text/shortest.h"
#include "engine/query/expression/function.h"

static int digits_value(const char *at, const char *end)
{
    int number = 0;
    for (; at < end; at++)
        number = number * 10 + (*at - '0');
    return number;
}

/* "1.25" with an exponent of -4 to 14 as "0.000125" to "125000000000000". */
static void append_plain(const char *digits, size_t size, int exponent, struct aq_bytes *out)
{
    static const char zeros[] = "00000000000000";
    char all[AQ_SHORTEST_BYTES_MAX];
    size_t count = size > 1 ? size - 1 : 1; /* without the point */
    all[0] = digits[0];
    memcpy(all + 1, digits + 2, count - 1);
    if (exponent < 0) {
        aq_bytes_append(out, "0.", 2);
        aq_bytes_append(out, zeros, (size_t)(-exponent - 1));
        aq_bytes_append(out, all, count);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    aq_bytes_append(out, all, count < whole ? count : whole);
    if (count < whole)
        aq_bytes_append(out, zeros, whole - count);
    if (count > whole) {
        aq_bytes_u8(out, '.');
        aq_bytes_append(out, all + whole, count - whole);
    }
}

/* The fewest digits that read back as the same value, in PostgreSQL's layout: an exponent below -4
 * or from 15 (real: 6) on is written as one. */
static void format_double(double value, bool real, struct aq_bytes *out)
{
    if (isnan(value)) {
        aq_bytes_append(out, "NaN", 3);
        return;
    }
    if (isinf(value)) {
        const char *text = value < 0 ? "-Infinity" : "Infinity";
        aq_bytes_append(out, text, strlen(text));
        return;
    }
    char text[AQ_SHORTEST_BYTES_MAX];
    size_t size = aq_double_shortest(value, real, text);
    const char *mark = memchr(text, 'e', size);
    int exponent = (mark[1] == '-' ? -1 : 1) * digits_value(mark + 2, text + size);
    if (exponent < -4 || exponent >= (real ? FLT_DIG : DBL_DIG)) {
        aq_bytes_append(out, text, size);
        return;
    }
    const char *digits = text + (text[0] == '-');
    aq_bytes_append(out, text, (size_t)(digits - text));
    append_plain(digits, (size_t)(mark - digits), exponent, out);
}

static void format_date(int64_t days, struct aq_bytes *out)
{
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(days, &year, &month, &day);
    char text[64];
    bool before = year < 1; /* year 0 is 1 BC */
    int size = snprintf(text, sizeof text, "%04lld-%02u-%02u%s",
                        (long long)(before ? 1 - year : year), month, day, before ? " BC" : "");
    aq_bytes_append(out, text, (size_t)size);
}

static void format_timestamp(int64_t civil_us, struct aq_bytes *out)
{
    int64_t days = aq_floor_div(civil_us, AQ_US_PER_DAY);
    int64_t us = civil_us - days * AQ_US_PER_DAY;
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(days, &year, &month, &day);
    int64_t seconds = us / AQ_US_PER_SECOND;
    char text[96];
    bool before = year < 1;
    int size =
        snprintf(text, sizeof text, "%04lld-%02u-%02u %02d:%02d:%02d.%06d",
                 (long long)(before ? 1 - year : year), month, day, (int)(seconds / 3600),
                 (int)(seconds / 60 % 60), (int)(seconds % 60), (int)(us % AQ_US_PER_SECOND));
    while (text[size - 1] == '0')
        size--;
    if (text[size - 1] == '.')
        size--;
    aq_bytes_append(out, text, (size_t)size);
    if (before)
        aq_bytes_append(out, " BC", 3);
}

static void interval_part(int value, const char *unit, bool *first, bool *negative,
                          struct aq_bytes *out)
{
    if (value == 0)
        return;
    char text[48];
    int size = snprintf(text, sizeof text, "%s%s%d %s%s", *first ? "" : " ",
                        *negative && value > 0 ? "+" : "", value, unit, value != 1 ? "s" : "");
    aq_bytes_append(out, text, (size_t)size);
    *negative = value < 0;
    *first = false;
}

void aq_interval_format(struct aq_interval interval, struct aq_bytes *out)
{
    bool first = true;
    bool negative = false;
    interval_part(interval.months / 12, "year", &first, &negative, out);
    interval_part(interval.months % 12, "mon", &first, &negative, out);
    interval_part(interval.days, "day", &first, &negative, out);
    if (!first && interval.us == 0)
        return;
    bool minus = interval.us < 0;
    uint64_t us = minus ? -(uint64_t)interval.us : (uint64_t)interval.us;
    uint64_t seconds = us / (uint64_t)AQ_US_PER_SECOND;
    char text[64];
    int size = snprintf(text, sizeof text, "%s%s%02llu:%02llu:%02llu.%06llu", first ? "" : " ",
                        minus ? "-" : (negative ? "+" : ""), (unsigned long long)(seconds / 3600),
                        (unsigned long long)(seconds / 60 % 60), (unsigned long long)(seconds % 60),
                        (unsigned long long)(us % (uint64_t)AQ_US_PER_SECOND));
    while (text[size - 1] == '0')
        size--;
    if (text[size - 1] == '.')
        size--;
    aq_bytes_append(out, text, (size_t)size);
}

static void format_bytea(struct aq_slice value, struct aq_bytes *out)
{
    static const char hex[] = "0123456789abcdef";
    aq_bytes_append(out, "\\x", 2);
    for (size_t i = 0; i < value.size; i++) {
        char pair[2] = {hex[value.data[i] >> 4], hex[value.data[i] & 15]};
        aq_bytes_append(out, pair, 2);
    }
}

void aq_value_format(enum aq_type type, union aq_value value, const struct aq_zone *zone,
                     struct aq_bytes *out)
{
    char text[80];
    int size = 0;
    switch (type) {
    case AQ_TYPE_BOOLEAN:
        aq_bytes_u8(out, value.integer != 0 ? 't' : 'f');
        return;
    case AQ_TYPE_INTEGER:
    case AQ_TYPE_BIGINT:
        size = snprintf(text, sizeof text, "%lld", (long long)value.integer);
        aq_bytes_append(out, text, (size_t)size);
        return;
    case AQ_TYPE_REAL:
    case AQ_TYPE_DOUBLE:
        format_double(value.real, type == AQ_TYPE_REAL, out);
        return;
    case AQ_TYPE_TEXT:
    case AQ_TYPE_JSON:
        aq_bytes_append(out, value.slice.data, value.slice.size);
        return;
    case AQ_TYPE_BYTEA:
        format_bytea(value.slice, out);
        return;
    case AQ_TYPE_DATE:
        format_date(value.integer, out);
        return;
    case AQ_TYPE_TIMESTAMPTZ:
        aq_bytes_append(out, text, aq_time_format(value.integer, zone, text, sizeof text));
        return;
    case AQ_TYPE_TIMESTAMP:
        format_timestamp(value.integer, out);
        return;
    case AQ_TYPE_INTERVAL:
        aq_interval_format(value.interval, out);
        return;
    }
}
