/* time_bucket(width, ts [, zone | origin | offset]), as TimescaleDB.
 *
 * Buckets of days and smaller units count from Monday 2000-01-03 00:00, buckets of months from
 * 2000-01-01; on UTC's clocks, or with a zone on the zone's. Width, zone, origin and offset are
 * constants. */
#include <string.h>

#include "engine/query/expression/call_constant.h"
#include "engine/query/expression/function.h"

#define ORIGIN_US (INT64_C(10959) * AQ_US_PER_DAY) /* 2000-01-03 */
#define ORIGIN_MONTH (2000 * 12)

struct bucket_info {
    int64_t months; /* > 0: a width in months */
    int64_t us;     /* else the width */
    int64_t origin; /* civil microseconds, or for months a month's index since year 0 */
    int64_t offset_us;
    const struct aq_zone *zone;
    int64_t unit; /* a day for dates */
};

static enum aq_status bad_width(const struct aq_session *session, const struct aq_expr *expr,
                                const char *why)
{
    return aq_sql_error(session->sql, expr->args[0]->location, session->err, AQ_INVALID,
                        "the width of time_bucket %s", why);
}

static enum aq_status read_width(const struct aq_session *session, const struct aq_expr *expr,
                                 struct bucket_info *info)
{
    union aq_value value;
    AQ_TRY(aq_constant_value(session, expr, 0, &value));
    struct aq_interval width = value.interval;
    info->months = width.months;
    info->origin = ORIGIN_US;
    if (width.months != 0) {
        info->origin = ORIGIN_MONTH;
        if (width.days != 0 || width.us != 0)
            return bad_width(session, expr, "cannot mix months with days or hours");
        return width.months < 0 ? bad_width(session, expr, "must be positive") : AQ_OK;
    }
    if (__builtin_mul_overflow((int64_t)width.days, AQ_US_PER_DAY, &info->us) ||
        __builtin_add_overflow(info->us, width.us, &info->us))
        return bad_width(session, expr, "is too large");
    return info->us <= 0 ? bad_width(session, expr, "must be positive") : AQ_OK;
}

/* An origin counts from itself; for months only its month does. */
static enum aq_status read_origin(const struct aq_session *session, const struct aq_expr *expr,
                                  size_t arg, struct bucket_info *info)
{
    union aq_value value;
    AQ_TRY(aq_constant_value(session, expr, arg, &value));
    int64_t civil = value.integer;
    if (expr->args[arg]->type == AQ_TYPE_DATE)
        civil *= AQ_US_PER_DAY;
    if (!aq_civil_of_instant(info->zone, civil, &civil))
        return aq_sql_error(session->sql, expr->args[arg]->location, session->err, AQ_INVALID,
                            "the origin is out of range");
    info->origin = civil;
    if (info->months > 0) {
        int64_t year;
        unsigned month;
        unsigned day;
        aq_civil_from_days(aq_floor_div(civil, AQ_US_PER_DAY), &year, &month, &day);
        info->origin = year * 12 + month - 1;
        if (day != 1 || civil % AQ_US_PER_DAY != 0)
            return aq_sql_error(session->sql, expr->args[arg]->location, session->err,
                                AQ_UNSUPPORTED,
                                "the origin of buckets of months must be the first of a month");
    }
    return AQ_OK;
}

static enum aq_status read_offset(const struct aq_session *session, const struct aq_expr *expr,
                                  size_t arg, struct bucket_info *info)
{
    union aq_value value;
    AQ_TRY(aq_constant_value(session, expr, arg, &value));
    if (value.interval.months != 0)
        return aq_sql_error(session->sql, expr->args[arg]->location, session->err, AQ_UNSUPPORTED,
                            "an offset in months is not supported; use an origin");
    info->offset_us = value.interval.days * AQ_US_PER_DAY + value.interval.us;
    return AQ_OK;
}

static enum aq_status prepare(const struct aq_session *session, struct aq_expr *expr)
{
    struct bucket_info *info = aq_arena_alloc(session->arena, sizeof *info);
    if (info == NULL)
        return AQ_NO_MEMORY;
    memset(info, 0, sizeof *info);
    info->zone = aq_zone_utc();
    info->unit = expr->type == AQ_TYPE_DATE ? AQ_US_PER_DAY : 1;
    AQ_TRY(read_width(session, expr, info));
    if (expr->type == AQ_TYPE_DATE && info->months == 0 && info->us % AQ_US_PER_DAY != 0)
        return bad_width(session, expr, "must be whole days for dates");
    for (size_t arg = 2; arg < expr->arg_count; arg++) {
        if (expr->args[arg]->type == AQ_TYPE_TEXT)
            AQ_TRY(aq_constant_zone(session, expr, arg, &info->zone));
        else if (expr->args[arg]->type == AQ_TYPE_INTERVAL)
            AQ_TRY(read_offset(session, expr, arg, info));
        else
            AQ_TRY(read_origin(session, expr, arg, info));
    }
    expr->info = info;
    expr->info_size = sizeof *info;
    return AQ_OK;
}

static bool bucket_civil(const struct bucket_info *info, int64_t civil, int64_t *start)
{
    if (info->months == 0) {
        int64_t past;
        if (__builtin_sub_overflow(civil, info->origin, &past))
            return false;
        return !__builtin_add_overflow(aq_floor_div(past, info->us) * info->us, info->origin,
                                       start);
    }
    int64_t year;
    unsigned month;
    unsigned day;
    aq_civil_from_days(aq_floor_div(civil, AQ_US_PER_DAY), &year, &month, &day);
    int64_t index = year * 12 + month - 1 - info->origin;
    index = aq_floor_div(index, info->months) * info->months + info->origin;
    year = aq_floor_div(index, 12);
    month = (unsigned)(index - year * 12) + 1;
    return !__builtin_mul_overflow(aq_days_from_civil(year, month, 1), AQ_US_PER_DAY, start);
}

static bool bucket_instant(const struct bucket_info *info, int64_t value, int64_t *start)
{
    int64_t civil;
    if (__builtin_mul_overflow(value, info->unit, &civil) ||
        __builtin_sub_overflow(civil, info->offset_us, &civil) ||
        !aq_civil_of_instant(info->zone, civil, &civil) || !bucket_civil(info, civil, &civil) ||
        !aq_instant_of_civil(info->zone, civil, start) ||
        __builtin_add_overflow(*start, info->offset_us, start))
        return false;
    *start /= info->unit;
    return true;
}

static enum aq_status time_bucket(struct aq_eval *eval, const struct aq_expr *expr,
                                  const struct aq_vector *const *args, size_t row_count,
                                  struct aq_vector *out)
{
    const struct bucket_info *info = expr->info;
    const int64_t *times = args[1]->ints;
    /* Times come in order more often than not: a fixed width on UTC's clocks is one comparison for
     * rows of the same bucket. */
    bool fixed = info->months == 0 && info->zone == aq_zone_utc() && info->unit == 1;
    int64_t start = 0;
    bool known = false;
    for (size_t i = 0; i < row_count; i++) {
        if (fixed && known && times[i] >= start &&
            (uint64_t)times[i] - (uint64_t)start < (uint64_t)info->us) {
            out->ints[i] = start;
            continue;
        }
        out->ints[i] = 0;
        if (!aq_row_valid(out, i))
            continue;
        if (!bucket_instant(info, times[i], &out->ints[i]))
            return aq_eval_error(eval, expr, AQ_INVALID, "timestamp out of range");
        start = out->ints[i];
        known = true;
    }
    return AQ_OK;
}

/* time_bucket(width, integer): multiples of the width. */
static enum aq_status integer_bucket(struct aq_eval *eval, const struct aq_expr *expr,
                                     const struct aq_vector *const *args, size_t row_count,
                                     struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        int64_t width = args[0]->ints[i];
        if (width <= 0 && aq_row_valid(out, i))
            return aq_eval_error(eval, expr, AQ_INVALID, "the width must be positive");
        out->ints[i] = 0;
        if (aq_row_valid(out, i) &&
            __builtin_mul_overflow(aq_floor_div(args[1]->ints[i], width), width, &out->ints[i]))
            return aq_eval_error(eval, expr, AQ_INVALID, "bigint out of range");
    }
    return AQ_OK;
}

#define S AQ_TYPE_INTERVAL
#define X AQ_TYPE_TEXT
#define TZ AQ_TYPE_TIMESTAMPTZ
#define TS AQ_TYPE_TIMESTAMP
#define D AQ_TYPE_DATE
#define ROW(kind, count, ...)                                                                 \
    {                                                                                         \
        .name = "time_bucket", .result = (kind), .arg_count = (count), .args = {__VA_ARGS__}, \
        .kernel = time_bucket, .prepare = prepare                                             \
    }

static const struct aq_function functions[] = {
    ROW(TZ, 2, S, TZ),
    ROW(TZ, 3, S, TZ, X),
    ROW(TZ, 3, S, TZ, TZ),
    ROW(TZ, 3, S, TZ, S),
    ROW(TZ, 4, S, TZ, X, TZ),
    ROW(TS, 2, S, TS),
    ROW(TS, 3, S, TS, TS),
    ROW(TS, 3, S, TS, S),
    ROW(D, 2, S, D),
    ROW(D, 3, S, D, D),
    {.name = "time_bucket",
     .result = AQ_TYPE_BIGINT,
     .arg_count = 2,
     .args = {AQ_TYPE_BIGINT, AQ_TYPE_BIGINT},
     .kernel = integer_bucket},
};

const struct aq_function_list aq_bucket_functions = {
    .functions = functions, .count = sizeof functions / sizeof functions[0]};
