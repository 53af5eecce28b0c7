/* Text to an instant by a strptime-like pattern.
 *
 * Happy path: pattern and text are walked side by side; each conversion reads its digits or name into a
 * civil field, white space matches any run of white space, other characters match themselves; the
 * fields then make an instant (civil_parse.c).
 * Failures: the first character that does not fit, a field out of range, text left over: AQ_REJECT.
 * Not strptime(3) itself, which knows no fractions of a second, reads names by locale and lets bad
 * dates pass. */
#include <string.h>
#include <strings.h>

#include "engine/base/civil/civil_zone.h"

/* What has been read so far. */
struct fields {
    const uint8_t *at;
    const uint8_t *end;
    struct aq_civil civil;
    unsigned hour_12;
    unsigned day_of_year;
    int64_t epoch_s;
    int64_t offset_s;
    bool has_hour_12;
    bool has_day_of_year;
    bool has_epoch;
    bool has_offset;
    bool afternoon;
};

static const char *const month_names[] = {"january",   "february", "march",    "april",
                                          "may",       "june",     "july",     "august",
                                          "september", "october",  "november", "december"};
static const char *const day_names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday"};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_spaces(struct fields *fields)
{
    while (fields->at < fields->end && is_space(*fields->at))
        fields->at++;
}

static bool take_digits(struct fields *fields, int max, unsigned *number)
{
    unsigned value = 0;
    int count = 0;
    skip_spaces(fields);
    for (; count < max && fields->at < fields->end; count++, fields->at++) {
        unsigned digit = (unsigned)(*fields->at - '0');
        if (digit > 9)
            break;
        value = value * 10 + digit;
    }
    *number = value;
    return count > 0;
}

static bool take_range(struct fields *fields, int max_digits, unsigned min, unsigned max,
                       unsigned *number)
{
    return take_digits(fields, max_digits, number) && *number >= min && *number <= max;
}

/* The full name or its first three letters, in any case. */
static bool take_name(struct fields *fields, const char *const *names, unsigned name_count,
                      unsigned *index)
{
    size_t left = (size_t)(fields->end - fields->at);
    for (unsigned i = 0; i < name_count; i++) {
        size_t size = strlen(names[i]);
        if (left >= size && strncasecmp((const char *)fields->at, names[i], size) == 0)
            fields->at += size;
        else if (left >= 3 && strncasecmp((const char *)fields->at, names[i], 3) == 0)
            fields->at += 3;
        else
            continue;
        *index = i;
        return true;
    }
    return false;
}

static bool take_half_day(struct fields *fields)
{
    static const char *const names[] = {"am", "pm"};
    for (unsigned i = 0; i < 2; i++) {
        if (fields->end - fields->at >= 2 &&
            strncasecmp((const char *)fields->at, names[i], 2) == 0) {
            fields->at += 2;
            fields->afternoon = i == 1;
            return true;
        }
    }
    return false;
}

static bool take_fraction(struct fields *fields)
{
    unsigned place = 100000;
    const uint8_t *begin = fields->at;
    fields->civil.us = 0;
    for (; fields->at < fields->end && fields->at - begin < 9; fields->at++) {
        unsigned digit = (unsigned)(*fields->at - '0');
        if (digit > 9)
            break;
        fields->civil.us += digit * place + (fields->at - begin == 6 && digit >= 5);
        place /= 10;
    }
    return fields->at > begin;
}

static bool take_epoch(struct fields *fields)
{
    bool negative = fields->at < fields->end && *fields->at == '-';
    fields->at += negative;
    const uint8_t *begin = fields->at;
    int64_t value = 0;
    for (; fields->at < fields->end && (unsigned)(*fields->at - '0') <= 9; fields->at++) {
        if (fields->at - begin >= 12)
            return false;
        value = value * 10 + (*fields->at - '0');
    }
    fields->epoch_s = negative ? -value : value;
    fields->has_epoch = true;
    return fields->at > begin;
}

/* %z: Z, UTC, GMT, +hh, +hhmm, +hh:mm. */
static bool take_offset(struct fields *fields)
{
    size_t left = (size_t)(fields->end - fields->at);
    fields->has_offset = true;
    fields->offset_s = 0;
    if (left >= 3 && (strncasecmp((const char *)fields->at, "utc", 3) == 0 ||
                      strncasecmp((const char *)fields->at, "gmt", 3) == 0)) {
        fields->at += 3;
        return true;
    }
    if (left >= 1 && (*fields->at | 0x20) == 'z') {
        fields->at++;
        return true;
    }
    if (left < 3 || (*fields->at != '+' && *fields->at != '-'))
        return false;
    bool west = *fields->at++ == '-';
    unsigned hours;
    unsigned minutes = 0;
    if (is_space(*fields->at) || !take_range(fields, 2, 0, 15, &hours))
        return false;
    bool colon = fields->at < fields->end && *fields->at == ':';
    fields->at += colon;
    bool digits = fields->at < fields->end && (unsigned)(*fields->at - '0') <= 9;
    if ((colon && !digits) || (digits && !take_range(fields, 2, 0, 59, &minutes)))
        return false;
    fields->offset_s = (int64_t)hours * 3600 + minutes * 60;
    if (west)
        fields->offset_s = -fields->offset_s;
    return true;
}

static bool take_year(struct fields *fields, bool short_form)
{
    unsigned year;
    if (!take_digits(fields, short_form ? 2 : 4, &year))
        return false;
    if (short_form)
        year += year < 69 ? 2000 : 1900; /* as POSIX says */
    fields->civil.year = year;
    return true;
}

/* A conversion that stands for several others, or NULL. */
static const char *composed(char conversion)
{
    switch (conversion) {
    case 'F':
        return "%Y-%m-%d";
    case 'T':
        return "%H:%M:%S";
    case 'R':
        return "%H:%M";
    case 'D':
        return "%m/%d/%y";
    case 'r':
        return "%I:%M:%S %p";
    default:
        return NULL;
    }
}

static bool take_date_field(struct fields *fields, char conversion)
{
    unsigned index;
    switch (conversion) {
    case 'Y':
    case 'y':
        return take_year(fields, conversion == 'y');
    case 'm':
        return take_range(fields, 2, 1, 12, &fields->civil.month);
    case 'd':
    case 'e':
        return take_range(fields, 2, 1, 31, &fields->civil.day);
    case 'j':
        fields->has_day_of_year = true;
        return take_range(fields, 3, 1, 366, &fields->day_of_year);
    case 'B':
    case 'b':
    case 'h':
        if (!take_name(fields, month_names, 12, &index))
            return false;
        fields->civil.month = index + 1;
        return true;
    default: /* A, a: the day of the week is read and not used */
        return take_name(fields, day_names, 7, &index);
    }
}

static bool take_field(struct fields *fields, char conversion)
{
    switch (conversion) {
    case 'H':
    case 'k':
        return take_range(fields, 2, 0, 24, &fields->civil.hour);
    case 'I':
    case 'l':
        fields->has_hour_12 = true;
        return take_range(fields, 2, 1, 12, &fields->hour_12);
    case 'M':
        return take_range(fields, 2, 0, 59, &fields->civil.minute);
    case 'S':
        return take_range(fields, 2, 0, 60, &fields->civil.second);
    case 'f':
        return take_fraction(fields);
    case 'p':
    case 'P':
        return take_half_day(fields);
    case 's':
        return take_epoch(fields);
    case 'z':
    case 'Z':
        return take_offset(fields);
    case '%':
        return fields->at < fields->end && *fields->at++ == '%';
    default:
        return take_date_field(fields, conversion);
    }
}

static bool match(struct fields *fields, const char *pattern)
{
    for (; *pattern != '\0'; pattern++) {
        if (is_space((uint8_t)*pattern)) {
            skip_spaces(fields);
            continue;
        }
        if (*pattern != '%') {
            if (fields->at == fields->end || *fields->at++ != (uint8_t)*pattern)
                return false;
            continue;
        }
        pattern++;
        if (*pattern == 'n' || *pattern == 't') {
            skip_spaces(fields);
            continue;
        }
        const char *parts = composed(*pattern);
        if (parts != NULL ? !match(fields, parts) : !take_field(fields, *pattern))
            return false;
    }
    return true;
}

static bool settle_day_of_year(struct fields *fields)
{
    int64_t year;
    int64_t days = aq_days_from_civil(fields->civil.year, 1, 1) + fields->day_of_year - 1;
    aq_civil_from_days(days, &year, &fields->civil.month, &fields->civil.day);
    return year == fields->civil.year;
}

enum aq_status aq_time_parse_format(struct aq_slice text, const char *pattern,
                                    const struct aq_zone *zone, int64_t *time_us)
{
    struct fields fields = {.at = text.data,
                            .end = text.data + text.size,
                            .civil = {.year = 1970, .month = 1, .day = 1}};
    skip_spaces(&fields);
    if (!match(&fields, pattern))
        return AQ_REJECT;
    skip_spaces(&fields);
    if (fields.at != fields.end)
        return AQ_REJECT;
    if (fields.has_epoch) {
        *time_us = fields.epoch_s * AQ_US_PER_SECOND + fields.civil.us;
        return AQ_OK;
    }
    if (fields.has_hour_12)
        fields.civil.hour = fields.hour_12 % 12 + (fields.afternoon ? 12 : 0);
    if (fields.civil.hour == 24 && (fields.civil.minute | fields.civil.second) != 0)
        return AQ_REJECT;
    if (fields.has_day_of_year && !settle_day_of_year(&fields))
        return AQ_REJECT;
    return aq_civil_resolve(&fields.civil, zone, fields.has_offset ? &fields.offset_s : NULL,
                            time_us);
}

enum aq_status aq_time_pattern_check(const char *pattern, struct aq_error *err)
{
    static const char known[] = "YymdejBbhAaHkIlMSfpPszZ%FTRDrnt";
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at != '%')
            continue;
        at++;
        if (*at == '\0')
            return aq_error_set(err, AQ_INVALID, "time format '%.200s' ends in a lone %%", pattern);
        if (strchr(known, *at) == NULL)
            return aq_error_set(err, AQ_INVALID,
                                "time format '%.200s': %%%c is not known; known are %s", pattern,
                                *at,
                                "%Y %y %m %d %e %j %b %B %a %A %H %I %M %S %f %p %s %z %F %T "
                                "%R %D %r %%");
    }
    return AQ_OK;
}
