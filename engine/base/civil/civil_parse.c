/* Text in RFC 3339 or PostgreSQL's output form to an instant.
 *
 * Happy path: one pass over the digits, no copies; a zone in the text wins over the caller's.
 * Failures: whatever is left over, missing or out of its range is AQ_REJECT; nothing is guessed.
 * Lenient where PostgreSQL is: one-digit months, days and hours ("2013-3-1 0:00"), "24:00:00", a leap
 * second, more than six digits of a second (rounded). */
#include "engine/base/civil/civil_zone.h"

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool take(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != (uint8_t)c)
        return false;
    cursor->at++;
    return true;
}

/* Digits up to `max` of them; fails on fewer than `min`. */
static bool take_number(struct cursor *cursor, int min, int max, unsigned *number)
{
    int count = 0;
    unsigned value = 0;
    while (count < max && cursor->at < cursor->end && (unsigned)(*cursor->at - '0') <= 9) {
        value = value * 10 + (*cursor->at - '0');
        cursor->at++;
        count++;
    }
    *number = value;
    return count >= min;
}

static bool take_date(struct cursor *cursor, struct aq_civil *civil)
{
    unsigned year;
    if (!take_number(cursor, 4, 6, &year) || !take(cursor, '-') ||
        !take_number(cursor, 1, 2, &civil->month) || !take(cursor, '-') ||
        !take_number(cursor, 1, 2, &civil->day))
        return false;
    civil->year = year;
    return true;
}

static bool take_fraction(struct cursor *cursor, unsigned *us)
{
    unsigned place = 100000;
    bool round_up = false;
    int count = 0;
    *us = 0;
    for (; cursor->at < cursor->end && (unsigned)(*cursor->at - '0') <= 9; cursor->at++, count++) {
        unsigned digit = *cursor->at - '0';
        *us += digit * place;
        round_up = round_up || (count == 6 && digit >= 5);
        place /= 10;
    }
    *us += round_up; /* 1,000,000 carries over in aq_zone_instant */
    return count > 0;
}

static bool take_clock(struct cursor *cursor, struct aq_civil *civil)
{
    if (!take_number(cursor, 1, 2, &civil->hour) || !take(cursor, ':') ||
        !take_number(cursor, 2, 2, &civil->minute))
        return false;
    if (take(cursor, ':')) {
        if (!take_number(cursor, 2, 2, &civil->second))
            return false;
        if ((take(cursor, '.') || take(cursor, ',')) && !take_fraction(cursor, &civil->us))
            return false;
    }
    if (civil->hour == 24)
        return civil->minute == 0 && civil->second == 0 && civil->us == 0;
    return civil->hour < 24 && civil->minute < 60 && civil->second <= 60;
}

/* "Z", "+08", "+0800", "+08:00", "+08:00:30", "UTC"; `offset_s` is east of UTC. */
static bool take_offset(struct cursor *cursor, int64_t *offset_s)
{
    *offset_s = 0;
    if (take(cursor, 'Z') || take(cursor, 'z'))
        return true;
    if (take(cursor, 'U'))
        return take(cursor, 'T') && take(cursor, 'C');
    bool west = take(cursor, '-');
    if (!west && !take(cursor, '+'))
        return false;
    unsigned hours;
    unsigned minutes = 0;
    unsigned seconds = 0;
    if (!take_number(cursor, 1, 2, &hours))
        return false;
    bool colon = take(cursor, ':');
    if (!take_number(cursor, colon ? 2 : 0, 2, &minutes))
        return false;
    if (take(cursor, ':') && !take_number(cursor, 2, 2, &seconds))
        return false;
    if (hours > 15 || minutes > 59 || seconds > 59)
        return false;
    *offset_s = (int64_t)hours * 3600 + minutes * 60 + seconds;
    if (west)
        *offset_s = -*offset_s;
    return true;
}

static bool is_date(const struct aq_civil *civil)
{
    if (civil->month < 1 || civil->month > 12 || civil->day < 1 || civil->day > 31)
        return false;
    if (civil->day <= 28)
        return true;
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(aq_days_from_civil(civil->year, civil->month, civil->day), &year, &month,
                       &day);
    return day == civil->day;
}

enum aq_status aq_civil_resolve(const struct aq_civil *civil, const struct aq_zone *zone,
                                const int64_t *offset_s, int64_t *time_us)
{
    if (!is_date(civil))
        return AQ_REJECT;
    const struct aq_zone *used = offset_s == NULL ? zone : aq_zone_utc();
    if (aq_zone_instant(used, civil, time_us) < 0)
        return AQ_REJECT;
    if (offset_s != NULL && __builtin_sub_overflow(*time_us, *offset_s * AQ_US_PER_SECOND, time_us))
        return AQ_REJECT;
    return AQ_OK;
}

static void skip_spaces(struct cursor *cursor)
{
    while (take(cursor, ' '))
        continue;
}

static bool take_era(struct cursor *cursor, struct aq_civil *civil)
{
    skip_spaces(cursor);
    if (cursor->at == cursor->end)
        return true;
    if (!take(cursor, 'B') || !take(cursor, 'C') || civil->year == 0)
        return false;
    civil->year = 1 - civil->year;
    return true;
}

enum aq_status aq_time_parse(struct aq_slice text, const struct aq_zone *zone, int64_t *time_us)
{
    struct cursor cursor = {.at = text.data, .end = text.data + text.size};
    struct aq_civil civil = {0};
    int64_t offset_s;
    bool has_offset = false;
    skip_spaces(&cursor);
    if (!take_date(&cursor, &civil))
        return AQ_REJECT;
    bool has_clock = take(&cursor, 'T') || take(&cursor, 't');
    if (has_clock && !take_clock(&cursor, &civil))
        return AQ_REJECT;
    if (!has_clock) {
        skip_spaces(&cursor);
        has_clock = cursor.at < cursor.end && (unsigned)(*cursor.at - '0') <= 9;
        if (has_clock && !take_clock(&cursor, &civil))
            return AQ_REJECT;
    }
    skip_spaces(&cursor);
    if (cursor.at < cursor.end && *cursor.at != 'B') {
        has_offset = true;
        if (!take_offset(&cursor, &offset_s))
            return AQ_REJECT;
    }
    if (!take_era(&cursor, &civil) || cursor.at != cursor.end)
        return AQ_REJECT;
    return aq_civil_resolve(&civil, zone, has_offset ? &offset_s : NULL, time_us);
}
