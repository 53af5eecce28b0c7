/* Key values as text, as files have them: the form is frozen with these. One text per value: -0.0 is "0", all NaN are "NaN", fractions of a second end
 * without zeros. Doubles are printed with the fewest digits that read back as the same value. */
#include "format/table/key_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DOUBLE_DIGITS_MAX 17
/* Beyond this no calendar date is meant, and the calendar's arithmetic would overflow. */
#define DATE_DAYS_MAX INT64_C(100000000000)

static char *double_text(double value, bool single, struct aq_arena *arena)
{
    if (isnan(value))
        return aq_arena_string(arena, "NaN");
    if (isinf(value))
        return aq_arena_string(arena, value < 0 ? "-Infinity" : "Infinity");
    if (value == 0)
        return aq_arena_string(arena, "0");
    char text[40];
    for (int digits = 1; digits <= DOUBLE_DIGITS_MAX; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = single ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (back == value)
            break;
    }
    return aq_arena_string(arena, text);
}

static char *date_text(int64_t days, struct aq_arena *arena)
{
    if (days > DATE_DAYS_MAX || days < -DATE_DAYS_MAX)
        return aq_arena_format(arena, "%lldd", (long long)days);
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(days, &year, &month, &day);
    return aq_arena_format(arena, "%s%04lld-%02u-%02u", year < 0 ? "-" : "", llabs(year), month,
                           day);
}

static char *time_text(int64_t time_us, struct aq_arena *arena)
{
    int64_t days = aq_floor_div(time_us, AQ_US_PER_DAY);
    int64_t us = time_us % AQ_US_PER_DAY;
    us += us < 0 ? AQ_US_PER_DAY : 0;
    char *date = date_text(days, arena);
    if (date == NULL)
        return NULL;
    long long seconds = us / AQ_US_PER_SECOND;
    char fraction[24] = "";
    int digits = 6;
    long long part = us % AQ_US_PER_SECOND;
    for (; part != 0 && part % 10 == 0; part /= 10)
        digits--;
    if (part != 0)
        snprintf(fraction, sizeof fraction, ".%0*lld", digits, part);
    return aq_arena_format(arena, "%sT%02lld:%02lld:%02lld%sZ", date, seconds / 3600,
                           seconds / 60 % 60, seconds % 60, fraction);
}

static char *int_text(enum aq_type type, int64_t value, struct aq_arena *arena)
{
    switch (type) {
    case AQ_TYPE_BOOLEAN:
        return aq_arena_string(arena, value != 0 ? "true" : "false");
    case AQ_TYPE_DATE:
        return date_text(value, arena);
    case AQ_TYPE_TIMESTAMPTZ:
        return time_text(value, arena);
    default:
        return aq_arena_format(arena, "%lld", (long long)value);
    }
}

static char *interval_text(struct aq_interval value, struct aq_arena *arena)
{
    return aq_arena_format(arena, "P%dM%dDT%lldus", value.months, value.days, (long long)value.us);
}

enum aq_status aq_key_text(const struct aq_vector *vector, size_t row, struct aq_arena *arena,
                           struct aq_slice *text)
{
    *text = (struct aq_slice){0};
    if (aq_vector_is_null(vector, row))
        return AQ_OK;
    char *made = NULL;
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_SLICE:
        *text = vector->slices[row];
        return AQ_OK;
    case AQ_PHYSICAL_INT:
        made = int_text(vector->type, vector->ints[row], arena);
        break;
    case AQ_PHYSICAL_DOUBLE:
        made = double_text(vector->doubles[row], vector->type == AQ_TYPE_REAL, arena);
        break;
    case AQ_PHYSICAL_INTERVAL: /* no column has this type; queries do not name keys by it */
        made = interval_text(vector->intervals[row], arena);
        break;
    }
    if (made == NULL)
        return AQ_NO_MEMORY;
    *text = aq_slice_of(made);
    return AQ_OK;
}
