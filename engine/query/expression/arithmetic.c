/* + - * / % and unary minus on numbers, with PostgreSQL's integer division and overflow errors.
 *
 * A kernel computes all rows in one loop and collects whether any went wrong; only then a second
 * loop looks for a row that is not null to blame, since the value of a null row means nothing. */
#include "engine/query/expression/function.h"

#include <math.h>

enum fault { FAULT_NONE, FAULT_ZERO, FAULT_OVERFLOW, FAULT_UNDERFLOW };

static enum aq_status fault_error(struct aq_eval *eval, const struct aq_expr *expr,
                                  enum fault fault)
{
    if (fault == FAULT_ZERO)
        return aq_eval_error(eval, expr, AQ_INVALID, "division by zero");
    if (expr->type == AQ_TYPE_INTEGER)
        return aq_eval_error(eval, expr, AQ_INVALID,
                             "integer out of range; cast an operand with ::bigint");
    if (expr->type == AQ_TYPE_BIGINT)
        return aq_eval_error(eval, expr, AQ_INVALID,
                             "bigint out of range; cast an operand with ::double precision");
    return aq_eval_error(eval, expr, AQ_INVALID, "value out of range: %s",
                         fault == FAULT_OVERFLOW ? "overflow" : "underflow");
}

/* One value; a fault leaves *result at 0. The compiler inlines each into its loop. */
static inline enum fault int_add(int64_t a, int64_t b, int64_t *result)
{
    return __builtin_add_overflow(a, b, result) ? FAULT_OVERFLOW : FAULT_NONE;
}

static inline enum fault int_subtract(int64_t a, int64_t b, int64_t *result)
{
    return __builtin_sub_overflow(a, b, result) ? FAULT_OVERFLOW : FAULT_NONE;
}

static inline enum fault int_multiply(int64_t a, int64_t b, int64_t *result)
{
    return __builtin_mul_overflow(a, b, result) ? FAULT_OVERFLOW : FAULT_NONE;
}

static inline enum fault int_divide(int64_t a, int64_t b, int64_t *result)
{
    *result = 0;
    if (b == 0)
        return FAULT_ZERO;
    if (b == -1)
        return __builtin_sub_overflow(0, a, result) ? FAULT_OVERFLOW : FAULT_NONE;
    *result = a / b;
    return FAULT_NONE;
}

static inline enum fault int_modulo(int64_t a, int64_t b, int64_t *result)
{
    *result = 0;
    if (b == 0)
        return FAULT_ZERO;
    *result = b == -1 ? 0 : a % b;
    return FAULT_NONE;
}

static inline enum fault int4_range(int64_t value, enum fault fault)
{
    if (fault != FAULT_NONE)
        return fault;
    return value != (int32_t)value ? FAULT_OVERFLOW : FAULT_NONE;
}

#define INT_KERNEL(name, step)                                                           \
    static enum aq_status name##8(struct aq_eval * eval, const struct aq_expr *expr,     \
                                  const struct aq_vector *const *args, size_t row_count, \
                                  struct aq_vector *out)                                 \
    {                                                                                    \
        for (size_t i = 0; i < row_count; i++) {                                         \
            enum fault fault = step(args[0]->ints[i], args[1]->ints[i], &out->ints[i]);  \
            if (__builtin_expect(fault != FAULT_NONE, 0) && aq_row_valid(out, i))        \
                return fault_error(eval, expr, fault);                                   \
        }                                                                                \
        return AQ_OK;                                                                    \
    }                                                                                    \
    static enum aq_status name##4(struct aq_eval * eval, const struct aq_expr *expr,     \
                                  const struct aq_vector *const *args, size_t row_count, \
                                  struct aq_vector *out)                                 \
    {                                                                                    \
        for (size_t i = 0; i < row_count; i++) {                                         \
            enum fault fault = step(args[0]->ints[i], args[1]->ints[i], &out->ints[i]);  \
            fault = int4_range(out->ints[i], fault);                                     \
            if (__builtin_expect(fault != FAULT_NONE, 0) && aq_row_valid(out, i))        \
                return fault_error(eval, expr, fault);                                   \
        }                                                                                \
        return AQ_OK;                                                                    \
    }

INT_KERNEL(add, int_add)
INT_KERNEL(subtract, int_subtract)
INT_KERNEL(multiply, int_multiply)
INT_KERNEL(divide, int_divide)
INT_KERNEL(modulo, int_modulo)

static enum aq_status negate_int(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    bool narrow = expr->type == AQ_TYPE_INTEGER;
    for (size_t i = 0; i < row_count; i++) {
        enum fault fault = int_subtract(0, args[0]->ints[i], &out->ints[i]);
        if (narrow)
            fault = int4_range(out->ints[i], fault);
        if (fault != FAULT_NONE && aq_row_valid(out, i))
            return fault_error(eval, expr, fault);
    }
    return AQ_OK;
}

static enum aq_status abs_int(struct aq_eval *eval, const struct aq_expr *expr,
                              const struct aq_vector *const *args, size_t row_count,
                              struct aq_vector *out)
{
    bool narrow = expr->type == AQ_TYPE_INTEGER;
    for (size_t i = 0; i < row_count; i++) {
        int64_t value = args[0]->ints[i];
        enum fault fault =
            value < 0 ? int_subtract(0, value, &out->ints[i]) : int_add(0, value, &out->ints[i]);
        if (narrow)
            fault = int4_range(out->ints[i], fault);
        if (fault != FAULT_NONE && aq_row_valid(out, i))
            return fault_error(eval, expr, fault);
    }
    return AQ_OK;
}

/* PostgreSQL's checks: an infinite result of finite operands is an overflow; a zero product or
 * quotient of operands that are not zero an underflow. */
static enum fault double_fault(char operator, double a, double b, double result)
{
    if (operator== '/' && b == 0 && !isnan(a))
        return FAULT_ZERO;
    if (isinf(result) && !isinf(a) && !isinf(b))
        return FAULT_OVERFLOW;
    if (result == 0 && a != 0 && (operator== '*' ? b != 0 : operator== '/' && !isinf(b)))
        return FAULT_UNDERFLOW;
    return FAULT_NONE;
}

static enum aq_status double_check(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   const struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        enum fault fault =
            double_fault(expr->name[0], args[0]->doubles[i], args[1]->doubles[i], out->doubles[i]);
        if (fault != FAULT_NONE)
            return fault_error(eval, expr, fault);
    }
    return AQ_OK;
}

/* A result that is infinite, NaN or zero may be a fault; the common case needs no second look. */
#define DOUBLE_KERNEL(name, operation, rounding)                                      \
    static enum aq_status name(struct aq_eval *eval, const struct aq_expr *expr,      \
                               const struct aq_vector *const *args, size_t row_count, \
                               struct aq_vector *out)                                 \
    {                                                                                 \
        const double *a = args[0]->doubles;                                           \
        const double *b = args[1]->doubles;                                           \
        bool odd = false;                                                             \
        for (size_t i = 0; i < row_count; i++) {                                      \
            double result = (rounding)(a[i] operation b[i]);                          \
            out->doubles[i] = result;                                                 \
            odd |= !(fabs(result) <= 1.7976931348623157e308) | (result == 0);         \
        }                                                                             \
        return odd ? double_check(eval, expr, args, row_count, out) : AQ_OK;          \
    }

DOUBLE_KERNEL(add_double, +, double)
DOUBLE_KERNEL(subtract_double, -, double)
DOUBLE_KERNEL(multiply_double, *, double)
DOUBLE_KERNEL(divide_double, /, double)
DOUBLE_KERNEL(add_real, +, float)
DOUBLE_KERNEL(subtract_real, -, float)
DOUBLE_KERNEL(multiply_real, *, float)
DOUBLE_KERNEL(divide_real, /, float)

static enum aq_status modulo_double(struct aq_eval *eval, const struct aq_expr *expr,
                                    const struct aq_vector *const *args, size_t row_count,
                                    struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        if (args[1]->doubles[i] == 0 && aq_row_valid(out, i))
            return fault_error(eval, expr, FAULT_ZERO);
        out->doubles[i] = fmod(args[0]->doubles[i], args[1]->doubles[i]);
    }
    return AQ_OK;
}

static enum aq_status negate_double(struct aq_eval *eval, const struct aq_expr *expr,
                                    const struct aq_vector *const *args, size_t row_count,
                                    struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->doubles[i] = -args[0]->doubles[i];
    return AQ_OK;
}

static enum aq_status abs_double(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->doubles[i] = fabs(args[0]->doubles[i]);
    return AQ_OK;
}

static enum aq_status same(struct aq_eval *eval, const struct aq_expr *expr,
                           const struct aq_vector *const *args, size_t row_count,
                           struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        aq_value_put(out, i, aq_value_get(args[0], i));
    return AQ_OK;
}

#define TWO(text, type, function)                                                   \
    {                                                                               \
        .name = (text), .result = (type), .arg_count = 2, .args = {(type), (type)}, \
        .kernel = (function)                                                        \
    }
#define ONE(text, type, function)                                                                \
    {                                                                                            \
        .name = (text), .result = (type), .arg_count = 1, .args = {(type)}, .kernel = (function) \
    }
#define NUMBERS(text, stem)                                                  \
    TWO(text, AQ_TYPE_INTEGER, stem##4), TWO(text, AQ_TYPE_BIGINT, stem##8), \
        TWO(text, AQ_TYPE_DOUBLE, stem##_double), TWO(text, AQ_TYPE_REAL, stem##_real)
#define EACH(text, integers, doubles)                                          \
    ONE(text, AQ_TYPE_INTEGER, integers), ONE(text, AQ_TYPE_BIGINT, integers), \
        ONE(text, AQ_TYPE_DOUBLE, doubles), ONE(text, AQ_TYPE_REAL, doubles)

static const struct aq_function functions[] = {
    NUMBERS("+", add),
    NUMBERS("-", subtract),
    NUMBERS("*", multiply),
    NUMBERS("/", divide),
    TWO("%", AQ_TYPE_INTEGER, modulo4),
    TWO("%", AQ_TYPE_BIGINT, modulo8),
    TWO("%", AQ_TYPE_DOUBLE, modulo_double),
    TWO("mod", AQ_TYPE_INTEGER, modulo4),
    TWO("mod", AQ_TYPE_BIGINT, modulo8),
    TWO("mod", AQ_TYPE_DOUBLE, modulo_double),
    EACH("-", negate_int, negate_double),
    EACH("+", same, same),
    EACH("abs", abs_int, abs_double),
    EACH("@", abs_int, abs_double),
};

const struct aq_function_list aq_arithmetic_functions = {
    .functions = functions, .count = sizeof functions / sizeof functions[0]};
