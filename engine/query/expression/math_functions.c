/* Mathematical functions on double precision, with PostgreSQL's domain errors.
 *
 * round(x) rounds halves to even, as PostgreSQL's float8. round(x, n) and trunc(x, n) work on the
 * decimal digits as PostgreSQL's numeric does for x::numeric: 15 significant digits, halves away
 * from zero; the result is the double nearest to those digits. */
#include "engine/query/expression/function.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAP_KERNEL(name, formula)                                                     \
    static enum aq_status name(struct aq_eval *eval, const struct aq_expr *expr,      \
                               const struct aq_vector *const *args, size_t row_count, \
                               struct aq_vector *out)                                 \
    {                                                                                 \
        (void)eval;                                                                   \
        (void)expr;                                                                   \
        for (size_t i = 0; i < row_count; i++) {                                      \
            double x = args[0]->doubles[i];                                           \
            out->doubles[i] = (formula);                                              \
        }                                                                             \
        return AQ_OK;                                                                 \
    }
MAP_KERNEL(round_even, rint(x))
MAP_KERNEL(floor_double, floor(x))
MAP_KERNEL(ceil_double, ceil(x))
MAP_KERNEL(trunc_double, trunc(x))
MAP_KERNEL(sign_double, x > 0 ? 1 : (x < 0 ? -1 : x))
MAP_KERNEL(cbrt_double, cbrt(x))
MAP_KERNEL(sin_double, sin(x))
MAP_KERNEL(cos_double, cos(x))
MAP_KERNEL(tan_double, tan(x))
MAP_KERNEL(atan_double, atan(x))
MAP_KERNEL(radians_double, x *(M_PI / 180.0))
MAP_KERNEL(degrees_double, x / (M_PI / 180.0))

/* For functions with a domain: `complaint` is NULL or what is wrong with x. */
#define CHECKED_KERNEL(name, complaint, formula)                                      \
    static enum aq_status name(struct aq_eval *eval, const struct aq_expr *expr,      \
                               const struct aq_vector *const *args, size_t row_count, \
                               struct aq_vector *out)                                 \
    {                                                                                 \
        for (size_t i = 0; i < row_count; i++) {                                      \
            double x = args[0]->doubles[i];                                           \
            const char *wrong = (complaint);                                          \
            if (wrong != NULL && aq_row_valid(out, i))                                \
                return aq_eval_error(eval, expr, AQ_INVALID, "%s", wrong);            \
            out->doubles[i] = wrong == NULL ? (formula) : 0;                          \
        }                                                                             \
        return AQ_OK;                                                                 \
    }

static const char *log_complaint(double x)
{
    if (x == 0)
        return "cannot take logarithm of zero";
    return x < 0 ? "cannot take logarithm of a negative number" : NULL;
}

static const char *exp_complaint(double x)
{
    if (isfinite(x) && isinf(exp(x)))
        return "value out of range: overflow";
    return isfinite(x) && exp(x) == 0 ? "value out of range: underflow" : NULL;
}

CHECKED_KERNEL(sqrt_double, x < 0 ? "cannot take square root of a negative number" : NULL, sqrt(x))
CHECKED_KERNEL(ln_double, log_complaint(x), log(x))
CHECKED_KERNEL(log10_double, log_complaint(x), log10(x))
CHECKED_KERNEL(exp_double, exp_complaint(x), exp(x))
CHECKED_KERNEL(asin_double, x<-1 || x> 1 ? "input is out of range" : NULL, asin(x))
CHECKED_KERNEL(acos_double, x<-1 || x> 1 ? "input is out of range" : NULL, acos(x))

static const char *power_complaint(double x, double y, double result)
{
    if (x == 0 && y < 0)
        return "zero raised to a negative power is undefined";
    if (x < 0 && isfinite(y) && floor(y) != y)
        return "a negative number raised to a non-integer power yields a complex result";
    if (!isfinite(x) || !isfinite(y))
        return NULL;
    if (isinf(result))
        return "value out of range: overflow";
    return result == 0 && x != 0 ? "value out of range: underflow" : NULL;
}

static enum aq_status power(struct aq_eval *eval, const struct aq_expr *expr,
                            const struct aq_vector *const *args, size_t row_count,
                            struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        double x = args[0]->doubles[i];
        double y = args[1]->doubles[i];
        out->doubles[i] = pow(x, y);
        const char *wrong = power_complaint(x, y, out->doubles[i]);
        if (wrong != NULL && aq_row_valid(out, i))
            return aq_eval_error(eval, expr, AQ_INVALID, "%s", wrong);
    }
    return AQ_OK;
}

static enum aq_status log_base(struct aq_eval *eval, const struct aq_expr *expr,
                               const struct aq_vector *const *args, size_t row_count,
                               struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        double base = log(args[0]->doubles[i]);
        const char *wrong = log_complaint(args[0]->doubles[i]);
        if (wrong == NULL)
            wrong = log_complaint(args[1]->doubles[i]);
        if (wrong == NULL && base == 0)
            wrong = "division by zero";
        if (wrong != NULL && aq_row_valid(out, i))
            return aq_eval_error(eval, expr, AQ_INVALID, "%s", wrong);
        out->doubles[i] = log(args[1]->doubles[i]) / base;
    }
    return AQ_OK;
}

static enum aq_status atan2_double(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->doubles[i] = atan2(args[0]->doubles[i], args[1]->doubles[i]);
    return AQ_OK;
}

static const double powers_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

/* Round or cut the 15 digits of `text` ("d.dddddddddddddde+XX") after `places` decimals. */
static double decimal_cut(char *text, int places, bool cut)
{
    char *digits = text + (text[0] == '-');
    int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    digits[1] = digits[0]; /* over the point: digits[1..15] are the digits */
    digits++;
    int keep = exponent + 1 + places; /* digits that stay */
    if (keep >= DBL_DIG)
        keep = DBL_DIG;
    bool up = !cut && keep >= 0 && keep < DBL_DIG && digits[keep] >= '5';
    int64_t whole = 0;
    for (int i = 0; i < keep; i++)
        whole = whole * 10 + (digits[i] - '0');
    whole += up;
    if (keep < 0 || whole == 0)
        return 0;
    char out[64];
    snprintf(out, sizeof out, "%s%llde%d", text[0] == '-' ? "-" : "", (long long)whole,
             exponent + 1 - (keep < 0 ? 0 : keep));
    return strtod(out, NULL);
}

static double decimal_round(double x, int64_t places, bool cut)
{
    if (!isfinite(x) || x == 0)
        return x;
    if (places > 330)
        places = 330;
    if (places < -330)
        places = -330;
    if (places >= 0 && places <= 9 && fabs(x) < 1e11 / powers_of_ten[places]) {
        /* Far from a half (and, for cutting, from a whole) 15 digits decide nothing. */
        double scaled = fabs(x) * powers_of_ten[places];
        double whole = floor(scaled);
        double part = scaled - whole;
        double distance = cut ? fmin(part, 1 - part) : fabs(part - 0.5);
        if (distance > 1e-3) {
            double magnitude = (whole + (!cut && part > 0.5)) / powers_of_ten[places];
            return magnitude == 0 ? 0 : copysign(magnitude, x);
        }
    }
    char text[64];
    snprintf(text, sizeof text, "%.*e", DBL_DIG - 1, x);
    return decimal_cut(text, (int)places, cut);
}

static enum aq_status round_places(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->doubles[i] = decimal_round(args[0]->doubles[i], args[1]->ints[i], false);
    return AQ_OK;
}

static enum aq_status trunc_places(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->doubles[i] = decimal_round(args[0]->doubles[i], args[1]->ints[i], true);
    return AQ_OK;
}

/* The bucket of x among `count` equal ones from low to high (which may be the greater). */
static const char *bucket_of(double x, double low, double high, int64_t count, int64_t *bucket)
{
    *bucket = 0;
    if (count <= 0)
        return "count must be greater than zero";
    if (isnan(x) || isnan(low) || isnan(high))
        return "operand, lower bound, and upper bound cannot be NaN";
    if (!isfinite(low) || !isfinite(high))
        return "lower and upper bounds must be finite";
    if (low == high)
        return "lower bound cannot equal upper bound";
    bool rising = low < high;
    if (rising ? x < low : x > low)
        return NULL;
    if (rising ? x >= high : x <= high) {
        *bucket = count + 1;
        return count == INT32_MAX ? "integer out of range" : NULL;
    }
    double share = rising ? (x - low) / (high - low) : (low - x) / (low - high);
    int64_t index = (int64_t)((double)count * share);
    *bucket = (index >= count ? count - 1 : index) + 1;
    return NULL;
}

static enum aq_status width_bucket(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        const char *wrong = bucket_of(args[0]->doubles[i], args[1]->doubles[i], args[2]->doubles[i],
                                      args[3]->ints[i], &out->ints[i]);
        if (wrong != NULL && aq_row_valid(out, i))
            return aq_eval_error(eval, expr, AQ_INVALID, "%s", wrong);
    }
    return AQ_OK;
}

static enum aq_status pi(struct aq_eval *eval, const struct aq_expr *expr,
                         const struct aq_vector *const *args, size_t row_count,
                         struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    (void)args;
    for (size_t i = 0; i < row_count; i++)
        out->doubles[i] = M_PI;
    return AQ_OK;
}

#define DOUBLE1(text, function)                                                             \
    {                                                                                       \
        .name = (text), .result = AQ_TYPE_DOUBLE, .arg_count = 1, .args = {AQ_TYPE_DOUBLE}, \
        .kernel = (function)                                                                \
    }
#define DOUBLE2(text, second, function)                           \
    {                                                             \
        .name = (text), .result = AQ_TYPE_DOUBLE, .arg_count = 2, \
        .args = {AQ_TYPE_DOUBLE, (second)}, .kernel = (function)  \
    }

static const struct aq_function functions[] = {
    DOUBLE1("round", round_even),
    DOUBLE2("round", AQ_TYPE_INTEGER, round_places),
    DOUBLE1("floor", floor_double),
    DOUBLE1("ceil", ceil_double),
    DOUBLE1("ceiling", ceil_double),
    DOUBLE1("trunc", trunc_double),
    DOUBLE2("trunc", AQ_TYPE_INTEGER, trunc_places),
    DOUBLE1("sign", sign_double),
    DOUBLE1("sqrt", sqrt_double),
    DOUBLE1("|/", sqrt_double),
    DOUBLE1("cbrt", cbrt_double),
    DOUBLE1("exp", exp_double),
    DOUBLE1("ln", ln_double),
    DOUBLE1("log", log10_double),
    DOUBLE1("log10", log10_double),
    DOUBLE2("log", AQ_TYPE_DOUBLE, log_base),
    DOUBLE2("power", AQ_TYPE_DOUBLE, power),
    DOUBLE2("pow", AQ_TYPE_DOUBLE, power),
    DOUBLE2("^", AQ_TYPE_DOUBLE, power),
    DOUBLE1("sin", sin_double),
    DOUBLE1("cos", cos_double),
    DOUBLE1("tan", tan_double),
    DOUBLE1("asin", asin_double),
    DOUBLE1("acos", acos_double),
    DOUBLE1("atan", atan_double),
    DOUBLE2("atan2", AQ_TYPE_DOUBLE, atan2_double),
    DOUBLE1("radians", radians_double),
    DOUBLE1("degrees", degrees_double),
    {.name = "pi", .result = AQ_TYPE_DOUBLE, .kernel = pi},
    {.name = "width_bucket",
     .result = AQ_TYPE_INTEGER,
     .arg_count = 4,
     .args = {AQ_TYPE_DOUBLE, AQ_TYPE_DOUBLE, AQ_TYPE_DOUBLE, AQ_TYPE_INTEGER},
     .kernel = width_bucket},
};

const struct aq_function_list aq_math_functions = {.functions = functions,
                                                   .count = sizeof functions / sizeof functions[0]};
