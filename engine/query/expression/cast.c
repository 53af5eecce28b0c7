/* CAST and ::, between the types that PostgreSQL casts. Numbers narrow with a range check, doubles
 * round halves to even on their way to integers; times change between instant, civil time and date in
 * the session's zone. */
#include <math.h>
#include <string.h>

#include "engine/query/expression/function.h"

struct cast_info {
    enum aq_type from;
    const struct aq_zone *zone;
};

static enum aq_status out_of_range(struct aq_eval *eval, const struct aq_expr *expr)
{
    return aq_eval_error(eval, expr, AQ_INVALID, "%s out of range", aq_type_name(expr->type));
}

static enum aq_status copy(struct aq_eval *eval, const struct aq_expr *expr,
                           const struct aq_vector *const *args, size_t row_count,
                           struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        aq_value_put(out, i, aq_value_get(args[0], i));
    return AQ_OK;
}

static enum aq_status int_to_integer(struct aq_eval *eval, const struct aq_expr *expr,
                                     const struct aq_vector *const *args, size_t row_count,
                                     struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        out->ints[i] = args[0]->ints[i];
        if (out->ints[i] != (int32_t)out->ints[i] && aq_row_valid(out, i))
            return out_of_range(eval, expr);
    }
    return AQ_OK;
}

static enum aq_status int_to_bool(struct aq_eval *eval, const struct aq_expr *expr,
                                  const struct aq_vector *const *args, size_t row_count,
                                  struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = args[0]->ints[i] != 0;
    return AQ_OK;
}

static enum aq_status int_to_double(struct aq_eval *eval, const struct aq_expr *expr,
                                    const struct aq_vector *const *args, size_t row_count,
                                    struct aq_vector *out)
{
    (void)eval;
    bool real = expr->type == AQ_TYPE_REAL;
    for (size_t i = 0; i < row_count; i++)
        out->doubles[i] = real ? (double)(float)args[0]->ints[i] : (double)args[0]->ints[i];
    return AQ_OK;
}

static enum aq_status double_to_int(struct aq_eval *eval, const struct aq_expr *expr,
                                    const struct aq_vector *const *args, size_t row_count,
                                    struct aq_vector *out)
{
    double limit = expr->type == AQ_TYPE_INTEGER ? 2147483648.0 : 9223372036854775808.0;
    for (size_t i = 0; i < row_count; i++) {
        double value = rint(args[0]->doubles[i]);
        bool fits = value >= -limit && value < limit;
        if (!fits && aq_row_valid(out, i))
            return out_of_range(eval, expr);
        out->ints[i] = fits ? (int64_t)value : 0;
    }
    return AQ_OK;
}

static enum aq_status double_to_real(struct aq_eval *eval, const struct aq_expr *expr,
                                     const struct aq_vector *const *args, size_t row_count,
                                     struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        double value = args[0]->doubles[i];
        out->doubles[i] = (float)value;
        bool lost = isinf(out->doubles[i]) ? !isinf(value) : out->doubles[i] == 0 && value != 0;
        if (lost && aq_row_valid(out, i))
            return aq_eval_error(eval, expr, AQ_INVALID, "value out of range: %s",
                                 out->doubles[i] == 0 ? "underflow" : "overflow");
    }
    return AQ_OK;
}

static enum aq_status to_text(struct aq_eval *eval, const struct aq_expr *expr,
                              const struct aq_vector *const *args, size_t row_count,
                              struct aq_vector *out)
{
    const struct cast_info *info = expr->info;
    struct aq_bytes text = {0};
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        union aq_value value = aq_value_get(args[0], i);
        aq_bytes_clear(&text);
        if (info->from == AQ_TYPE_BOOLEAN)
            aq_bytes_append(&text, value.integer ? "true" : "false", value.integer ? 4 : 5);
        else
            aq_value_format(info->from, value, info->zone, &text);
        void *owned = aq_arena_copy(&eval->arena, text.data, text.size);
        if (text.failed || owned == NULL) {
            aq_bytes_deinit(&text);
            return AQ_NO_MEMORY;
        }
        out->slices[i] = aq_slice_make(owned, text.size);
    }
    aq_bytes_deinit(&text);
    return AQ_OK;
}

static enum aq_status from_text(struct aq_eval *eval, const struct aq_expr *expr,
                                const struct aq_vector *const *args, size_t row_count,
                                struct aq_vector *out)
{
    const struct cast_info *info = expr->info;
    for (size_t i = 0; i < row_count; i++) {
        union aq_value value = {.interval = {0}};
        if (aq_row_valid(out, i)) {
            struct aq_slice text = args[0]->slices[i];
            enum aq_status status =
                aq_value_parse(text, expr->type, info->zone, &eval->arena, &value);
            char complaint[256];
            if (status != AQ_OK)
                return aq_eval_error(
                    eval, expr, status == AQ_NO_MEMORY ? status : AQ_INVALID, "%s",
                    aq_value_complaint(status, text, expr->type, complaint, sizeof complaint));
        }
        aq_value_put(out, i, value);
    }
    return AQ_OK;
}

/* date, timestamp and timestamptz: by way of civil time. */
static bool convert_time(const struct aq_zone *zone, enum aq_type from, enum aq_type to,
                         int64_t value, int64_t *result)
{
    int64_t civil = value;
    if (from == AQ_TYPE_DATE && __builtin_mul_overflow(value, AQ_US_PER_DAY, &civil))
        return false;
    if (from == AQ_TYPE_TIMESTAMPTZ && !aq_civil_of_instant(zone, value, &civil))
        return false;
    *result = civil;
    if (to == AQ_TYPE_DATE)
        *result = aq_floor_div(civil, AQ_US_PER_DAY);
    if (to == AQ_TYPE_TIMESTAMPTZ)
        return aq_instant_of_civil(zone, civil, result);
    return true;
}

static enum aq_status time_to_time(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    const struct cast_info *info = expr->info;
    for (size_t i = 0; i < row_count; i++) {
        out->ints[i] = 0;
        if (aq_row_valid(out, i) &&
            !convert_time(info->zone, info->from, expr->type, args[0]->ints[i], &out->ints[i]))
            return out_of_range(eval, expr);
    }
    return AQ_OK;
}

static bool is_time(enum aq_type type)
{
    return type == AQ_TYPE_DATE || type == AQ_TYPE_TIMESTAMP || type == AQ_TYPE_TIMESTAMPTZ;
}

static bool is_integer(enum aq_type type)
{
    return type == AQ_TYPE_INTEGER || type == AQ_TYPE_BIGINT;
}

static bool is_double(enum aq_type type)
{
    return type == AQ_TYPE_DOUBLE || type == AQ_TYPE_REAL;
}

static aq_kernel_fn cast_kernel(enum aq_type from, enum aq_type to)
{
    if (from == to || (from == AQ_TYPE_JSON && to == AQ_TYPE_TEXT))
        return copy;
    if (to == AQ_TYPE_TEXT)
        return to_text;
    if (from == AQ_TYPE_TEXT && to != AQ_TYPE_BYTEA)
        return from_text;
    if (is_time(from) && is_time(to))
        return time_to_time;
    if (from == AQ_TYPE_BOOLEAN && to == AQ_TYPE_INTEGER)
        return copy;
    if (from == AQ_TYPE_INTEGER && to == AQ_TYPE_BOOLEAN)
        return int_to_bool;
    if (is_integer(from) && is_integer(to))
        return to == AQ_TYPE_INTEGER ? int_to_integer : copy;
    if (is_integer(from) && is_double(to))
        return int_to_double;
    if (is_double(from) && is_integer(to))
        return double_to_int;
    if (is_double(from) && is_double(to))
        return to == AQ_TYPE_REAL ? double_to_real : copy;
    return NULL;
}

enum aq_status aq_cast_prepare(const struct aq_session *session, struct aq_expr *expr)
{
    enum aq_type from = expr->args[0]->type;
    expr->kernel = cast_kernel(from, expr->type);
    if (expr->kernel == NULL)
        return AQ_UNSUPPORTED;
    struct cast_info *info = aq_arena_alloc(session->arena, sizeof *info);
    if (info == NULL)
        return AQ_NO_MEMORY;
    memset(info, 0, sizeof *info);
    info->from = from;
    info->zone = session->zone;
    expr->info = info;
    expr->info_size = sizeof *info;
    return AQ_OK;
}
