/* date_trunc, extract, AT TIME ZONE, now and relatives. Fields and zones are constants, resolved while
 * binding. A timestamp is worked on as an instant in UTC, a date as its midnight. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/query/expression/call_constant.h"
#include "engine/query/expression/function.h"
#include "format/table/nearest.h"

enum field {
    FIELD_MICROSECONDS,
    FIELD_MILLISECONDS,
    FIELD_SECOND,
    FIELD_MINUTE,
    FIELD_HOUR,
    FIELD_DAY,
    FIELD_WEEK,
    FIELD_MONTH,
    FIELD_QUARTER,
    FIELD_YEAR,
    FIELD_DECADE,
    FIELD_CENTURY,
    FIELD_MILLENNIUM,
    FIELD_LAST_TRUNC = FIELD_MILLENNIUM, /* those above are fields of date_trunc, too */
    FIELD_DOW,
    FIELD_ISODOW,
    FIELD_DOY,
    FIELD_ISOYEAR,
    FIELD_EPOCH,
    FIELD_JULIAN,
    FIELD_TIMEZONE,
    FIELD_TIMEZONE_HOUR,
    FIELD_TIMEZONE_MINUTE,
    FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
    "microseconds",  "milliseconds",
    "second",        "minute",
    "hour",          "day",
    "week",          "month",
    "quarter",       "year",
    "decade",        "century",
    "millennium",    "dow",
    "isodow",        "doy",
    "isoyear",       "epoch",
    "julian",        "timezone",
    "timezone_hour", "timezone_minute",
};

struct time_info {
    enum field field;
    const struct aq_zone *zone;
    int64_t unit; /* microseconds of one step of the argument: a day for a date */
};

/* PostgreSQL also takes plurals and these short forms. */
static bool names_field(const char *word, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(word, name, length) == 0 &&
        (word[length] == '\0' || ((word[length] | 0x20) == 's' && word[length + 1] == '\0')))
        return true;
    static const char *const aliases[][2] = {
        {"us", "microseconds"},
        {"microsecond", "microseconds"},
        {"ms", "milliseconds"},
        {"millisecond", "milliseconds"},
        {"sec", "second"},
        {"s", "second"},
        {"min", "minute"},
        {"m", "minute"},
        {"h", "hour"},
        {"hr", "hour"},
        {"d", "day"},
        {"w", "week"},
        {"mon", "month"},
        {"y", "year"},
        {"yr", "year"},
        {"decades", "decade"},
        {"centuries", "century"},
        {"c", "century"},
    };
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcasecmp(word, aliases[i][0]) == 0 && strcmp(name, aliases[i][1]) == 0)
            return true;
    return false;
}

static enum aq_status find_field(const struct aq_session *session, const struct aq_expr *expr,
                                 size_t field_count, enum field *field)
{
    const char *word;
    AQ_TRY(aq_constant_text(session, expr, 0, &word));
    for (size_t i = 0; i < field_count; i++) {
        if (names_field(word, field_names[i])) {
            *field = (enum field)i;
            return AQ_OK;
        }
    }
    const char *near = aq_nearest_word(aq_slice_of(word), field_names, field_count);
    return aq_sql_error(session->sql, expr->args[0]->location, session->err, AQ_INVALID,
                        "%s does not know the field \"%s\"%s%s%s", expr->name, word,
                        near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
                        near == NULL ? "" : "\"?");
}

static enum aq_status set_info(const struct aq_session *session, struct aq_expr *expr,
                               enum field field, const struct aq_zone *zone, int64_t unit)
{
    struct time_info *info = aq_arena_alloc(session->arena, sizeof *info);
    if (info == NULL)
        return AQ_NO_MEMORY;
    memset(info, 0, sizeof *info);
    *info = (struct time_info){.field = field, .zone = zone, .unit = unit};
    expr->info = info;
    expr->info_size = sizeof *info;
    return AQ_OK;
}

static enum aq_status prepare_trunc(const struct aq_session *session, struct aq_expr *expr)
{
    enum field field = FIELD_DAY;
    AQ_TRY(find_field(session, expr, FIELD_LAST_TRUNC + 1, &field));
    const struct aq_zone *zone =
        expr->args[1]->type == AQ_TYPE_TIMESTAMPTZ ? session->zone : aq_zone_utc();
    if (expr->arg_count == 3)
        AQ_TRY(aq_constant_zone(session, expr, 2, &zone));
    return set_info(session, expr, field, zone, 1);
}

static enum aq_status prepare_extract(const struct aq_session *session, struct aq_expr *expr)
{
    enum field field = FIELD_DAY;
    AQ_TRY(find_field(session, expr, FIELD_COUNT, &field));
    enum aq_type type = expr->args[1]->type;
    bool instant = type == AQ_TYPE_TIMESTAMPTZ;
    if (!instant && field >= FIELD_TIMEZONE)
        return aq_sql_error(session->sql, expr->location, session->err, AQ_INVALID,
                            "a %s has no time zone to extract", aq_type_name(type));
    return set_info(session, expr, field, instant ? session->zone : aq_zone_utc(),
                    type == AQ_TYPE_DATE ? AQ_US_PER_DAY : 1);
}

static enum aq_status prepare_zone(const struct aq_session *session, struct aq_expr *expr)
{
    const struct aq_zone *zone;
    AQ_TRY(aq_constant_zone(session, expr, 0, &zone));
    return set_info(session, expr, FIELD_DAY, zone, 1);
}

static enum aq_status prepare_now(const struct aq_session *session, struct aq_expr *expr)
{
    AQ_TRY(set_info(session, expr, FIELD_DAY, session->zone, session->now_us));
    return AQ_OK;
}

/* First year of the decade, century or millennium; PostgreSQL counts 2001..2100 as a century. */
static int64_t span_start(enum field field, int64_t year)
{
    if (field == FIELD_DECADE)
        return aq_floor_div(year, 10) * 10;
    int64_t span = field == FIELD_CENTURY ? 100 : (field == FIELD_MILLENNIUM ? 1000 : 1);
    return span == 1 ? year : aq_floor_div(year - 1, span) * span + 1;
}

static int64_t trunc_days(enum field field, int64_t days)
{
    if (field == FIELD_DAY)
        return days;
    if (field == FIELD_WEEK) /* day 0 was a Thursday */
        return aq_floor_div(days + 3, 7) * 7 - 3;
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(days, &year, &month, &day);
    if (field == FIELD_QUARTER)
        month = (month - 1) / 3 * 3 + 1;
    else if (field != FIELD_MONTH)
        month = 1;
    return aq_days_from_civil(span_start(field, year), month, 1);
}

static const int64_t clock_units[] = {1, 1000, AQ_US_PER_SECOND, 60 * AQ_US_PER_SECOND,
                                      AQ_US_PER_HOUR};

/* Hours and smaller keep the offset of the instant; days and larger begin at the zone's midnight, which
 * depends on the civil day alone: `memory` keeps the last one, since rows of a day come together. */
struct day_memory {
    bool known;
    int64_t day;
    int64_t answer;
};

static bool trunc_instant(const struct time_info *info, int64_t time, struct day_memory *memory,
                          int64_t *result)
{
    int64_t civil;
    if (!aq_civil_of_instant(info->zone, time, &civil))
        return false;
    if (info->field <= FIELD_HOUR) {
        int64_t unit = clock_units[info->field];
        int64_t past = civil - aq_floor_div(civil, unit) * unit;
        return !__builtin_sub_overflow(time, past, result);
    }
    int64_t day = aq_floor_div(civil, AQ_US_PER_DAY);
    if (!memory->known || memory->day != day) {
        int64_t first = trunc_days(info->field, day);
        if (__builtin_mul_overflow(first, AQ_US_PER_DAY, &civil) ||
            !aq_instant_of_civil(info->zone, civil, &memory->answer))
            return false;
        memory->known = true;
        memory->day = day;
    }
    *result = memory->answer;
    return true;
}

static enum aq_status date_trunc(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    struct day_memory memory = {0};
    for (size_t i = 0; i < row_count; i++) {
        out->ints[i] = 0;
        if (aq_row_valid(out, i) &&
            !trunc_instant(expr->info, args[1]->ints[i], &memory, &out->ints[i]))
            return aq_eval_error(eval, expr, AQ_INVALID, "timestamp out of range");
    }
    return AQ_OK;
}

static struct aq_interval trunc_interval(enum field field, struct aq_interval value)
{
    if (field <= FIELD_HOUR) {
        value.us -= value.us % clock_units[field];
        return value;
    }
    static const int32_t months[] = {
        [FIELD_MONTH] = 1,    [FIELD_QUARTER] = 3,    [FIELD_YEAR] = 12,
        [FIELD_DECADE] = 120, [FIELD_CENTURY] = 1200, [FIELD_MILLENNIUM] = 12000};
    value.us = 0;
    if (field == FIELD_DAY)
        return value;
    value.days = 0;
    value.months -= value.months % months[field];
    return value;
}

static enum aq_status date_trunc_interval(struct aq_eval *eval, const struct aq_expr *expr,
                                          const struct aq_vector *const *args, size_t row_count,
                                          struct aq_vector *out)
{
    const struct time_info *info = expr->info;
    if (info->field == FIELD_WEEK)
        return aq_eval_error(eval, expr, AQ_INVALID,
                             "an interval cannot be cut to weeks: months have no whole ones");
    for (size_t i = 0; i < row_count; i++)
        out->intervals[i] = trunc_interval(info->field, args[1]->intervals[i]);
    return AQ_OK;
}

static void iso_week(int64_t days, int64_t *iso_year, int64_t *week)
{
    int64_t thursday = aq_floor_div(days + 3, 7) * 7;
    unsigned month;
    unsigned day;
    aq_civil_from_days(thursday, iso_year, &month, &day);
    *week = (thursday - aq_days_from_civil(*iso_year, 1, 1)) / 7 + 1;
}

static int64_t year_field(enum field field, int64_t year)
{
    /* Without a year 0 and with the first century from 1 to 100. */
    if (field == FIELD_DECADE)
        return aq_floor_div(year, 10);
    if (field == FIELD_CENTURY || field == FIELD_MILLENNIUM) {
        int64_t span = field == FIELD_CENTURY ? 100 : 1000;
        return (year > 0 ? (year + span - 1) / span : -((span - 1 - (year - 1)) / span));
    }
    return (year > 0 ? year : year - 1);
}

static int64_t day_field(enum field field, int64_t days)
{
    int64_t year;
    unsigned month;
    unsigned day;
    int64_t week;
    switch (field) {
    case FIELD_DOW:
        return (days + 4 - aq_floor_div(days + 4, 7) * 7);
    case FIELD_ISODOW:
        return (days + 3 - aq_floor_div(days + 3, 7) * 7 + 1);
    case FIELD_WEEK:
        iso_week(days, &year, &week);
        return week;
    case FIELD_ISOYEAR:
        iso_week(days, &year, &week);
        return (year > 0 ? year : year - 1);
    default:
        break;
    }
    aq_civil_from_days(days, &year, &month, &day);
    switch (field) {
    case FIELD_DAY:
        return day;
    case FIELD_MONTH:
        return month;
    case FIELD_QUARTER:
        return ((month - 1) / 3 + 1);
    case FIELD_DOY:
        return (days - aq_days_from_civil(year, 1, 1) + 1);
    default:
        return year_field(field, year);
    }
}

static double clock_field(enum field field, int64_t us_of_day)
{
    int64_t us_of_minute = us_of_day % (60 * AQ_US_PER_SECOND);
    int64_t minutes;
    int64_t hours = us_of_day / AQ_US_PER_HOUR;
    switch (field) {
    case FIELD_MICROSECONDS:
        return (double)us_of_minute;
    case FIELD_MILLISECONDS:
        return (double)us_of_minute / 1e3;
    case FIELD_SECOND:
        return (double)us_of_minute / 1e6;
    case FIELD_MINUTE:
        minutes = us_of_day / (60 * AQ_US_PER_SECOND) % 60;
        return (double)minutes;
    default:
        return (double)hours;
    }
}

static double zone_field(enum field field, int32_t offset_s)
{
    if (field == FIELD_TIMEZONE)
        return offset_s;
    return (double)(field == FIELD_TIMEZONE_HOUR ? offset_s / 3600 : offset_s / 60 % 60);
}

static bool extract_instant(const struct time_info *info, int64_t value, double *result)
{
    int64_t time;
    int64_t civil;
    if (__builtin_mul_overflow(value, info->unit, &time) ||
        !aq_civil_of_instant(info->zone, time, &civil))
        return false;
    int64_t days = aq_floor_div(civil, AQ_US_PER_DAY);
    if (info->field == FIELD_EPOCH)
        *result = (double)time / 1e6;
    else if (info->field <= FIELD_HOUR)
        *result = clock_field(info->field, civil - days * AQ_US_PER_DAY);
    else if (info->field == FIELD_JULIAN)
        *result = (double)days + 2440588 + (double)(civil - days * AQ_US_PER_DAY) / 86400e6;
    else if (info->field >= FIELD_TIMEZONE)
        *result = zone_field(info->field, aq_zone_offset(info->zone, time));
    else
        *result = (double)day_field(info->field, days);
    return true;
}

static enum aq_status extract(struct aq_eval *eval, const struct aq_expr *expr,
                              const struct aq_vector *const *args, size_t row_count,
                              struct aq_vector *out)
{
    const struct time_info *info = expr->info;
    for (size_t i = 0; i < row_count; i++) {
        if (i > 0 && args[1]->ints[i] == args[1]->ints[i - 1] && aq_row_valid(out, i - 1)) {
            out->doubles[i] = out->doubles[i - 1];
            continue;
        }
        out->doubles[i] = 0;
        if (aq_row_valid(out, i) && !extract_instant(info, args[1]->ints[i], &out->doubles[i]))
            return aq_eval_error(eval, expr, AQ_INVALID, "timestamp out of range");
    }
    return AQ_OK;
}

/* Fields made of months and days. */
static int32_t interval_part(enum field field, struct aq_interval value)
{
    switch (field) {
    case FIELD_DAY:
        return value.days;
    case FIELD_MONTH:
        return value.months % 12;
    case FIELD_QUARTER:
        return value.months % 12 / 3 + 1;
    case FIELD_YEAR:
        return value.months / 12;
    case FIELD_DECADE:
        return value.months / 120;
    case FIELD_CENTURY:
        return value.months / 1200;
    default:
        return value.months / 12000;
    }
}

static bool interval_field(enum field field, struct aq_interval value, double *result)
{
    if (field <= FIELD_HOUR) {
        *result = clock_field(field, value.us);
    } else if (field == FIELD_EPOCH) { /* a year counts 365.25 days, a month 30 */
        double days = value.days + interval_part(FIELD_YEAR, value) * 365.25 +
                      interval_part(FIELD_MONTH, value) * 30.0;
        *result = (double)value.us / 1e6 + days * 86400;
    } else if (field == FIELD_WEEK || field > FIELD_LAST_TRUNC) {
        return false;
    } else {
        *result = interval_part(field, value);
    }
    return true;
}

static enum aq_status extract_interval(struct aq_eval *eval, const struct aq_expr *expr,
                                       const struct aq_vector *const *args, size_t row_count,
                                       struct aq_vector *out)
{
    const struct time_info *info = expr->info;
    for (size_t i = 0; i < row_count; i++)
        if (!interval_field(info->field, args[1]->intervals[i], &out->doubles[i]))
            return aq_eval_error(eval, expr, AQ_INVALID, "an interval has no field \"%s\"",
                                 field_names[info->field]);
    return AQ_OK;
}

/* timestamptz AT TIME ZONE zone: the civil time there. */
static enum aq_status civil_at(struct aq_eval *eval, const struct aq_expr *expr,
                               const struct aq_vector *const *args, size_t row_count,
                               struct aq_vector *out)
{
    const struct time_info *info = expr->info;
    for (size_t i = 0; i < row_count; i++) {
        out->ints[i] = 0;
        if (aq_row_valid(out, i) &&
            !aq_civil_of_instant(info->zone, args[1]->ints[i], &out->ints[i]))
            return aq_eval_error(eval, expr, AQ_INVALID, "timestamp out of range");
    }
    return AQ_OK;
}

/* timestamp AT TIME ZONE zone: the instant when clocks there show it. */
static enum aq_status instant_at(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    const struct time_info *info = expr->info;
    for (size_t i = 0; i < row_count; i++) {
        out->ints[i] = 0;
        if (aq_row_valid(out, i) &&
            !aq_instant_of_civil(info->zone, args[1]->ints[i], &out->ints[i]))
            return aq_eval_error(eval, expr, AQ_INVALID, "timestamp out of range");
    }
    return AQ_OK;
}

static enum aq_status to_timestamp(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        double us = rint(args[0]->doubles[i] * 1e6);
        bool fits = fabs(us) < 9.2e18;
        if (!fits && aq_row_valid(out, i))
            return aq_eval_error(eval, expr, AQ_INVALID, "timestamp out of range");
        out->ints[i] = fits ? (int64_t)us : 0;
    }
    return AQ_OK;
}

static enum aq_status now(struct aq_eval *eval, const struct aq_expr *expr,
                          const struct aq_vector *const *args, size_t row_count,
                          struct aq_vector *out)
{
    (void)eval;
    (void)args;
    const struct time_info *info = expr->info;
    int64_t value = info->unit;
    if (expr->type != AQ_TYPE_TIMESTAMPTZ)
        (void)aq_civil_of_instant(info->zone, value, &value);
    if (expr->type == AQ_TYPE_DATE)
        value = aq_floor_div(value, AQ_US_PER_DAY);
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = value;
    return AQ_OK;
}

#define X AQ_TYPE_TEXT
#define TZ AQ_TYPE_TIMESTAMPTZ
#define TS AQ_TYPE_TIMESTAMP
#define S AQ_TYPE_INTERVAL
#define ROW(text, kind, count, function, preparation, ...)                             \
    {                                                                                  \
        .name = (text), .result = (kind), .arg_count = (count), .args = {__VA_ARGS__}, \
        .kernel = (function), .prepare = (preparation)                                 \
    }
#define EXTRACT(text)                                                            \
    ROW(text, AQ_TYPE_DOUBLE, 2, extract, prepare_extract, X, TZ),               \
        ROW(text, AQ_TYPE_DOUBLE, 2, extract, prepare_extract, X, TS),           \
        ROW(text, AQ_TYPE_DOUBLE, 2, extract, prepare_extract, X, AQ_TYPE_DATE), \
        ROW(text, AQ_TYPE_DOUBLE, 2, extract_interval, prepare_extract, X, S)
#define NOW(text, kind)                                                         \
    {                                                                           \
        .name = (text), .result = (kind), .kernel = now, .prepare = prepare_now \
    }

static const struct aq_function functions[] = {
    ROW("date_trunc", TZ, 2, date_trunc, prepare_trunc, X, TZ),
    ROW("date_trunc", TZ, 3, date_trunc, prepare_trunc, X, TZ, X),
    ROW("date_trunc", TS, 2, date_trunc, prepare_trunc, X, TS),
    ROW("date_trunc", S, 2, date_trunc_interval, prepare_trunc, X, S),
    EXTRACT("extract"),
    EXTRACT("date_part"),
    ROW("timezone", TS, 2, civil_at, prepare_zone, X, TZ),
    ROW("timezone", TZ, 2, instant_at, prepare_zone, X, TS),
    ROW("to_timestamp", TZ, 1, to_timestamp, NULL, AQ_TYPE_DOUBLE),
    NOW("now", TZ),
    NOW("current_timestamp", TZ),
    NOW("transaction_timestamp", TZ),
    NOW("statement_timestamp", TZ),
    NOW("localtimestamp", TS),
    NOW("current_date", AQ_TYPE_DATE),
};

const struct aq_function_list aq_time_functions = {.functions = functions,
                                                   .count = sizeof functions / sizeof functions[0]};
