#include "format/table/types.h"

#include <strings.h>

bool aq_type_valid_column(uint8_t number)
{
    return number >= AQ_TYPE_BOOLEAN && number <= AQ_TYPE_TIMESTAMPTZ;
}

const char *aq_type_name(enum aq_type type)
{
    switch (type) {
#define AQ_TYPE_NAME(name, number, text, physical) \
    case name:                                     \
        return text;
        AQ_TYPE_TABLE(AQ_TYPE_NAME)
#undef AQ_TYPE_NAME
    }
    return "unknown type";
}

static const struct {
    const char *name;
    enum aq_type type;
} type_names[] = {
#define AQ_TYPE_ROW(name, number, text, physical) {text, name},
    AQ_TYPE_TABLE(AQ_TYPE_ROW)
#undef AQ_TYPE_ROW
        {"bool", AQ_TYPE_BOOLEAN},
    {"int", AQ_TYPE_INTEGER},
    {"int4", AQ_TYPE_INTEGER},
    {"int8", AQ_TYPE_BIGINT},
    {"float4", AQ_TYPE_REAL},
    {"double", AQ_TYPE_DOUBLE},
    {"float8", AQ_TYPE_DOUBLE},
    {"float", AQ_TYPE_DOUBLE},
    {"varchar", AQ_TYPE_TEXT},
    {"string", AQ_TYPE_TEXT},
    {"bytes", AQ_TYPE_BYTEA},
    {"jsonb", AQ_TYPE_JSON},
    {"timestamp with time zone", AQ_TYPE_TIMESTAMPTZ},
    {"timestamp without time zone", AQ_TYPE_TIMESTAMP},
};

enum aq_status aq_type_parse(const char *name, enum aq_type *type)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if (strcasecmp(name, type_names[i].name) == 0) {
            *type = type_names[i].type;
            return AQ_OK;
        }
    }
    return AQ_NOT_FOUND;
}

static const char *const slot_names[] = {"none", "hour", "day", "month"};

const char *aq_slot_name(enum aq_slot slot)
{
    return (unsigned)slot <= AQ_SLOT_MONTH ? slot_names[slot] : "unknown slot";
}

enum aq_status aq_slot_parse(const char *name, enum aq_slot *slot)
{
    for (unsigned i = AQ_SLOT_HOUR; i <= AQ_SLOT_MONTH; i++) {
        if (strcasecmp(name, slot_names[i]) == 0) {
            *slot = (enum aq_slot)i;
            return AQ_OK;
        }
    }
    return AQ_NOT_FOUND;
}

int64_t aq_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = aq_floor_div(year, 400);
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

void aq_civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = aq_floor_div(days, 146097);
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted_month = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    *month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

static int64_t us_of_day(int64_t days)
{
    int64_t us;
    if (__builtin_mul_overflow(days, AQ_US_PER_DAY, &us))
        return days < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

static int64_t span_start(int64_t time_us, int64_t span_us)
{
    int64_t start;
    if (__builtin_mul_overflow(aq_floor_div(time_us, span_us), span_us, &start))
        return INT64_MIN;
    return start;
}

int64_t aq_slot_start(enum aq_slot slot, int64_t time_us)
{
    switch (slot) {
    case AQ_SLOT_NONE:
        return 0;
    case AQ_SLOT_HOUR:
        return span_start(time_us, AQ_US_PER_HOUR);
    case AQ_SLOT_DAY:
        return span_start(time_us, AQ_US_PER_DAY);
    case AQ_SLOT_MONTH:
        break;
    }
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(aq_floor_div(time_us, AQ_US_PER_DAY), &year, &month, &day);
    return us_of_day(aq_days_from_civil(year, month, 1));
}

int64_t aq_slot_end(enum aq_slot slot, int64_t start_us)
{
    int64_t end;
    switch (slot) {
    case AQ_SLOT_NONE:
        return INT64_MAX;
    case AQ_SLOT_HOUR:
    case AQ_SLOT_DAY:
        if (__builtin_add_overflow(start_us, slot == AQ_SLOT_HOUR ? AQ_US_PER_HOUR : AQ_US_PER_DAY,
                                   &end))
            return INT64_MAX;
        return end;
    case AQ_SLOT_MONTH:
        break;
    }
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(aq_floor_div(start_us, AQ_US_PER_DAY), &year, &month, &day);
    return us_of_day(month == 12 ? aq_days_from_civil(year + 1, 1, 1)
                                 : aq_days_from_civil(year, month + 1, 1));
}
