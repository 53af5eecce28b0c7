/* Intervals: reading them, and arithmetic of times and intervals. Months and days are counted by the
 * calendar of the session's zone, the rest as elapsed time, as in PostgreSQL. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/query/expression/function.h"

static const struct {
    const char *name; /* with or without a final s */
    int months;
    int days;
    int64_t us;
} units[] = {
    {"microsecond", 0, 0, 1},
    {"us", 0, 0, 1},
    {"usec", 0, 0, 1},
    {"millisecond", 0, 0, 1000},
    {"ms", 0, 0, 1000},
    {"msec", 0, 0, 1000},
    {"second", 0, 0, AQ_US_PER_SECOND},
    {"sec", 0, 0, AQ_US_PER_SECOND},
    {"s", 0, 0, AQ_US_PER_SECOND},
    {"minute", 0, 0, 60 * AQ_US_PER_SECOND},
    {"min", 0, 0, 60 * AQ_US_PER_SECOND},
    {"m", 0, 0, 60 * AQ_US_PER_SECOND},
    {"hour", 0, 0, AQ_US_PER_HOUR},
    {"hr", 0, 0, AQ_US_PER_HOUR},
    {"h", 0, 0, AQ_US_PER_HOUR},
    {"day", 0, 1, 0},
    {"d", 0, 1, 0},
    {"week", 0, 7, 0},
    {"w", 0, 7, 0},
    {"month", 1, 0, 0},
    {"mon", 1, 0, 0},
    {"year", 12, 0, 0},
    {"yr", 12, 0, 0},
    {"y", 12, 0, 0},
    {"decade", 120, 0, 0},
    {"century", 1200, 0, 0},
    {"centurie", 1200, 0, 0},
};

static size_t unit_index(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t length = strlen(units[i].name);
        bool plural = size == length + 1 && (word[length] | 0x20) == 's' && length > 2;
        if ((size == length || plural) && strncasecmp(word, units[i].name, length) == 0)
            return i;
    }
    return SIZE_MAX;
}

struct sums {
    double months;
    double days;
    double us;
};

/* A fraction of a month counts as days of 30, a fraction of a day as hours of 24. */
static bool settle(const struct sums *sums, int sign, struct aq_interval *interval)
{
    double months = trunc(sums->months);
    double days_all = sums->days + (sums->months - months) * 30;
    double days = trunc(days_all);
    double us = rint(sums->us + rint((days_all - days) * 86400e6));
    if (fabs(months) > INT32_MAX || fabs(days) > INT32_MAX || fabs(us) > 9e18)
        return false;
    interval->months = (int32_t)months * sign;
    interval->days = (int32_t)days * sign;
    interval->us = (int64_t)us * sign;
    return true;
}

/* "[+-]H:MM[:SS[.f]]" at `text`; `hours` was read already and ends at `end` (a colon). */
static bool clock_part(const char *start, double hours, char **end, struct sums *sums)
{
    char *at = *end + 1;
    if (at[0] < '0' || at[0] > '9')
        return false;
    double minutes = strtod(at, &at);
    double seconds = 0;
    if (*at == ':') {
        at++;
        if (*at < '0' || *at > '9')
            return false;
        seconds = strtod(at, &at);
    }
    if (minutes >= 60 || seconds >= 60 || minutes != floor(minutes) || hours != trunc(hours))
        return false;
    double us = fabs(hours) * 3600e6 + minutes * 60e6 + rint(seconds * 1e6);
    sums->us += *start == '-' ? -us : us;
    *end = at;
    return true;
}

static bool skip_spaces(const char **at)
{
    while (**at == ' ' || **at == '\t')
        (*at)++;
    return **at != '\0';
}

static bool plain_number(const char *at)
{
    at += *at == '-' || *at == '+';
    return (*at >= '0' && *at <= '9') || *at == '.';
}

bool aq_interval_parse(struct aq_slice text, struct aq_interval *interval)
{
    char buffer[128];
    if (text.size == 0 || text.size >= sizeof buffer)
        return false;
    memcpy(buffer, text.data, text.size);
    buffer[text.size] = '\0';
    struct sums sums = {0};
    int sign = 1;
    const char *at = buffer;
    bool any = false;
    if (*at == '@')
        at++;
    while (skip_spaces(&at)) {
        if (any && strcasecmp(at, "ago") == 0) {
            sign = -1;
            break;
        }
        if (!plain_number(at) || strpbrk(at, "xXeE") == at + 1)
            return false;
        char *end;
        double number = strtod(at, &end);
        any = true;
        if (*end == ':') {
            if (!clock_part(at, number, &end, &sums))
                return false;
            at = end;
            continue;
        }
        at = end;
        skip_spaces(&at);
        size_t size = 0;
        while ((at[size] | 0x20) >= 'a' && (at[size] | 0x20) <= 'z')
            size++;
        /* A bare number counts seconds. */
        size_t unit = size == 0 ? unit_index("s", 1) : unit_index(at, size);
        if (unit == SIZE_MAX || (size == 0 && *at != '\0'))
            return false;
        sums.months += number * units[unit].months;
        sums.days += number * units[unit].days;
        sums.us += number * (double)units[unit].us;
        at += size;
    }
    return any && settle(&sums, sign, interval);
}

static enum aq_status out_of_range(struct aq_eval *eval, const struct aq_expr *expr,
                                   const char *what)
{
    return aq_eval_error(eval, expr, AQ_INVALID, "%s out of range", what);
}

struct zone_info {
    const struct aq_zone *zone;
};

static enum aq_status with_zone(const struct aq_session *session, struct aq_expr *expr)
{
    struct zone_info *info = aq_arena_alloc(session->arena, sizeof *info);
    if (info == NULL)
        return AQ_NO_MEMORY;
    info->zone = session->zone;
    expr->info = info;
    expr->info_size = sizeof *info;
    return AQ_OK;
}

static enum aq_status with_utc(const struct aq_session *session, struct aq_expr *expr)
{
    struct aq_session utc = *session;
    utc.zone = aq_zone_utc();
    return with_zone(&utc, expr);
}

/* time +- interval; the name's sign decides. */
static enum aq_status shift(struct aq_eval *eval, const struct aq_expr *expr, size_t row_count,
                            const struct aq_vector *times, int64_t unit,
                            const struct aq_vector *intervals, struct aq_vector *out)
{
    const struct zone_info *info = expr->info;
    int sign = expr->name[0] == '-' ? -1 : 1;
    for (size_t i = 0; i < row_count; i++) {
        int64_t time;
        out->ints[i] = 0;
        if (aq_row_valid(out, i) &&
            (__builtin_mul_overflow(times->ints[i], unit, &time) ||
             !aq_instant_add(info->zone, time, intervals->intervals[i], sign, &out->ints[i])))
            return out_of_range(eval, expr, "timestamp");
    }
    return AQ_OK;
}

static enum aq_status time_shift(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    bool swapped = args[0]->type == AQ_TYPE_INTERVAL;
    return shift(eval, expr, row_count, args[swapped], 1, args[!swapped], out);
}

static enum aq_status date_shift(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    bool swapped = args[0]->type == AQ_TYPE_INTERVAL;
    return shift(eval, expr, row_count, args[swapped], AQ_US_PER_DAY, args[!swapped], out);
}

/* timestamp - timestamp: whole days of 24 hours and the rest. */
static enum aq_status time_difference(struct aq_eval *eval, const struct aq_expr *expr,
                                      const struct aq_vector *const *args, size_t row_count,
                                      struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        int64_t us;
        if (__builtin_sub_overflow(args[0]->ints[i], args[1]->ints[i], &us)) {
            if (aq_row_valid(out, i))
                return out_of_range(eval, expr, "interval");
            us = 0;
        }
        out->intervals[i] =
            (struct aq_interval){.days = (int32_t)(us / AQ_US_PER_DAY), .us = us % AQ_US_PER_DAY};
    }
    return AQ_OK;
}

static enum aq_status date_days(struct aq_eval *eval, const struct aq_expr *expr,
                                const struct aq_vector *const *args, size_t row_count,
                                struct aq_vector *out)
{
    (void)eval;
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = expr->name[0] == '-' ? args[0]->ints[i] - args[1]->ints[i]
                                            : args[0]->ints[i] + args[1]->ints[i];
    return AQ_OK;
}

static bool interval_sum(struct aq_interval a, struct aq_interval b, int sign,
                         struct aq_interval *sum)
{
    if (sign > 0)
        return !__builtin_add_overflow(a.months, b.months, &sum->months) &&
               !__builtin_add_overflow(a.days, b.days, &sum->days) &&
               !__builtin_add_overflow(a.us, b.us, &sum->us);
    return !__builtin_sub_overflow(a.months, b.months, &sum->months) &&
           !__builtin_sub_overflow(a.days, b.days, &sum->days) &&
           !__builtin_sub_overflow(a.us, b.us, &sum->us);
}

static enum aq_status interval_add(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    int sign = expr->name[0] == '-' ? -1 : 1;
    bool unary = expr->arg_count == 1;
    for (size_t i = 0; i < row_count; i++) {
        struct aq_interval a = unary ? (struct aq_interval){0} : args[0]->intervals[i];
        struct aq_interval b = args[unary ? 0 : 1]->intervals[i];
        if (!interval_sum(a, b, sign, &out->intervals[i]) && aq_row_valid(out, i))
            return out_of_range(eval, expr, "interval");
    }
    return AQ_OK;
}

/* Seconds rounded to whole microseconds, as PostgreSQL's TSROUND. */
static double round_us(double seconds)
{
    return rint(seconds * 1e6) / 1e6;
}

/* @source PostgreSQL's interval_mul: what is left of months becomes days, of days seconds. */
static bool interval_scale(struct aq_interval a, double factor, struct aq_interval *scaled)
{
    double months = a.months * factor;
    double days = a.days * factor;
    if (isnan(factor) || fabs(months) > INT32_MAX || fabs(days) > INT32_MAX)
        return false;
    scaled->months = (int32_t)months;
    scaled->days = (int32_t)days;
    double month_days = round_us((months - scaled->months) * 30);
    double seconds = round_us((days - scaled->days + month_days - (int32_t)month_days) * 86400);
    if (fabs(seconds) >= 86400) {
        scaled->days += (int32_t)(seconds / 86400);
        seconds -= (int32_t)(seconds / 86400) * 86400.0;
    }
    scaled->days += (int32_t)month_days;
    double us = rint((double)a.us * factor + seconds * 1e6);
    if (!(fabs(us) < 9.2e18))
        return false;
    scaled->us = (int64_t)us;
    return true;
}

static enum aq_status interval_multiply(struct aq_eval *eval, const struct aq_expr *expr,
                                        const struct aq_vector *const *args, size_t row_count,
                                        struct aq_vector *out)
{
    bool swapped = args[0]->type != AQ_TYPE_INTERVAL;
    bool divide = expr->name[0] == '/';
    for (size_t i = 0; i < row_count; i++) {
        out->intervals[i] = (struct aq_interval){0};
        if (!aq_row_valid(out, i))
            continue;
        double factor = args[!swapped]->doubles[i];
        if (divide && factor == 0)
            return aq_eval_error(eval, expr, AQ_INVALID, "division by zero");
        if (!interval_scale(args[swapped]->intervals[i], divide ? 1 / factor : factor,
                            &out->intervals[i]))
            return out_of_range(eval, expr, "interval");
    }
    return AQ_OK;
}

#define D AQ_TYPE_DATE
#define I AQ_TYPE_INTEGER
#define S AQ_TYPE_INTERVAL
#define TZ AQ_TYPE_TIMESTAMPTZ
#define TS AQ_TYPE_TIMESTAMP
#define F AQ_TYPE_DOUBLE
#define ROW(text, kind, a, b, function, preparation)                          \
    {                                                                         \
        .name = (text), .result = (kind), .arg_count = 2, .args = {(a), (b)}, \
        .kernel = (function), .prepare = (preparation)                        \
    }

static const struct aq_function functions[] = {
    ROW("+", TZ, TZ, S, time_shift, with_zone),
    ROW("+", TZ, S, TZ, time_shift, with_zone),
    ROW("-", TZ, TZ, S, time_shift, with_zone),
    ROW("+", TS, TS, S, time_shift, with_utc),
    ROW("+", TS, S, TS, time_shift, with_utc),
    ROW("-", TS, TS, S, time_shift, with_utc),
    ROW("+", TS, D, S, date_shift, with_utc),
    ROW("+", TS, S, D, date_shift, with_utc),
    ROW("-", TS, D, S, date_shift, with_utc),
    ROW("-", S, TZ, TZ, time_difference, NULL),
    ROW("-", S, TS, TS, time_difference, NULL),
    ROW("-", I, D, D, date_days, NULL),
    ROW("+", D, D, I, date_days, NULL),
    ROW("+", D, I, D, date_days, NULL),
    ROW("-", D, D, I, date_days, NULL),
    ROW("+", S, S, S, interval_add, NULL),
    ROW("-", S, S, S, interval_add, NULL),
    {.name = "-", .result = S, .arg_count = 1, .args = {S}, .kernel = interval_add},
    ROW("*", S, S, F, interval_multiply, NULL),
    ROW("*", S, F, S, interval_multiply, NULL),
    ROW("/", S, S, F, interval_multiply, NULL),
};

const struct aq_function_list aq_interval_functions = {
    .functions = functions, .count = sizeof functions / sizeof functions[0]};
