/* Comparison, membership and null tests, by how values lie in memory. NaN is above all numbers and
 * equal to itself, -0.0 equals 0.0, text compares by bytes, as everywhere in a query. */
#include "engine/query/expression/function.h"

#include <string.h>

static inline int order_interval(struct aq_interval a, struct aq_interval b)
{
    union aq_value left = {.interval = a};
    union aq_value right = {.interval = b};
    return aq_value_compare(AQ_TYPE_INTERVAL, left, right);
}

/* ThreadSanitizer is not up yet when the loader asks which variant this processor takes. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

/* Verdicts without a branch, which the compiler makes several at a time of. NaN is the value that is not itself. */
#define IS_NAN(x) ((x) != (x))
#define EQ_DOUBLE(a, b) (((a) == (b)) | (IS_NAN(a) & IS_NAN(b)))
#define LT_DOUBLE(a, b) (((a) < (b)) | (!IS_NAN(a) & IS_NAN(b)))
#define LE_DOUBLE(a, b) (((a) <= (b)) | IS_NAN(b))

#define COMPARE_KERNEL(attribute, name, field, value_type, verdict)                            \
    attribute static enum aq_status name##_##field(                                            \
        struct aq_eval *eval, const struct aq_expr *expr, const struct aq_vector *const *args, \
        size_t row_count, struct aq_vector *out)                                               \
    {                                                                                          \
        const value_type *left = args[0]->field;                                               \
        const value_type *right = args[1]->field;                                              \
        int64_t *restrict verdicts = out->ints;                                                \
        (void)eval;                                                                            \
        (void)expr;                                                                            \
        for (size_t i = 0; i < row_count; i++) {                                               \
            value_type a = left[i];                                                            \
            value_type b = right[i];                                                           \
            verdicts[i] = (verdict);                                                           \
        }                                                                                      \
        return AQ_OK;                                                                          \
    }
#define COMPARE_KERNELS(attribute, field, value_type, equal, less, less_or_equal, swapped_less, \
                        swapped_le)                                                             \
    COMPARE_KERNEL(attribute, eq, field, value_type, equal)                                     \
    COMPARE_KERNEL(attribute, ne, field, value_type, !(equal))                                  \
    COMPARE_KERNEL(attribute, lt, field, value_type, less)                                      \
    COMPARE_KERNEL(attribute, le, field, value_type, less_or_equal)                             \
    COMPARE_KERNEL(attribute, gt, field, value_type, swapped_less)                              \
    COMPARE_KERNEL(attribute, ge, field, value_type, swapped_le)

/* Slices of null rows may be of any content but are initialised, hence safe to compare. */
COMPARE_KERNELS(CLONES, ints, int64_t, a == b, a<b, a <= b, a> b, a >= b)
COMPARE_KERNELS(CLONES, doubles, double, EQ_DOUBLE(a, b), LT_DOUBLE(a, b), LE_DOUBLE(a, b),
                LT_DOUBLE(b, a), LE_DOUBLE(b, a))
COMPARE_KERNELS(, slices, struct aq_slice, aq_slice_equal(a, b), aq_slice_compare(a, b) < 0,
                aq_slice_compare(a, b) <= 0, aq_slice_compare(a, b) > 0,
                aq_slice_compare(a, b) >= 0)
COMPARE_KERNELS(, intervals, struct aq_interval, order_interval(a, b) == 0,
                order_interval(a, b) < 0, order_interval(a, b) <= 0, order_interval(a, b) > 0,
                order_interval(a, b) >= 0)

#define COMPARE_ROW(name)                                            \
    {                                                                \
        name##_ints, name##_doubles, name##_slices, name##_intervals \
    }

static const struct {
    const char *name;
    aq_kernel_fn kernels[4]; /* by enum aq_physical */
} comparisons[] = {
    {"=", COMPARE_ROW(eq)},  {"<>", COMPARE_ROW(ne)}, {"!=", COMPARE_ROW(ne)},
    {"<", COMPARE_ROW(lt)},  {"<=", COMPARE_ROW(le)}, {">", COMPARE_ROW(gt)},
    {">=", COMPARE_ROW(ge)},
};

aq_kernel_fn aq_compare_kernel(const char *name, enum aq_type type)
{
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++)
        if (strcmp(comparisons[i].name, name) == 0)
            return comparisons[i].kernels[aq_type_physical(type)];
    return NULL;
}

static enum aq_status distinct(struct aq_eval *eval, const struct aq_expr *expr,
                               const struct aq_vector *const *args, size_t row_count,
                               struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = aq_vector_compare(args[0], i, args[1], i) != 0;
    return AQ_OK;
}

static enum aq_status not_distinct(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = aq_vector_compare(args[0], i, args[1], i) == 0;
    return AQ_OK;
}

aq_kernel_fn aq_distinct_kernel(bool negated)
{
    return negated ? not_distinct : distinct;
}

static enum aq_status nullif(struct aq_eval *eval, const struct aq_expr *expr,
                             const struct aq_vector *const *args, size_t row_count,
                             struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    AQ_TRY(aq_vector_need_validity(out));
    for (size_t i = 0; i < row_count; i++) {
        out->valid[i] = aq_row_valid(args[0], i) && aq_vector_compare(args[0], i, args[1], i) != 0;
        aq_value_put(out, i, aq_value_get(args[0], i));
    }
    return AQ_OK;
}

aq_kernel_fn aq_nullif_kernel(void)
{
    return nullif;
}

/* Nulls are passed over; null only where every argument is. */
static enum aq_status extreme(const struct aq_expr *expr, const struct aq_vector *const *args,
                              size_t row_count, struct aq_vector *out, int sign)
{
    AQ_TRY(aq_vector_need_validity(out));
    for (size_t i = 0; i < row_count; i++) {
        const struct aq_vector *best = NULL;
        for (size_t a = 0; a < expr->arg_count; a++)
            if (aq_row_valid(args[a], i) &&
                (best == NULL || aq_vector_compare(args[a], i, best, i) * sign > 0))
                best = args[a];
        out->valid[i] = best != NULL;
        aq_value_put(out, i, aq_value_get(best == NULL ? args[0] : best, i));
    }
    return AQ_OK;
}

static enum aq_status greatest(struct aq_eval *eval, const struct aq_expr *expr,
                               const struct aq_vector *const *args, size_t row_count,
                               struct aq_vector *out)
{
    (void)eval;
    return extreme(expr, args, row_count, out, 1);
}

static enum aq_status least(struct aq_eval *eval, const struct aq_expr *expr,
                            const struct aq_vector *const *args, size_t row_count,
                            struct aq_vector *out)
{
    (void)eval;
    return extreme(expr, args, row_count, out, -1);
}

aq_kernel_fn aq_extreme_kernel(bool want_greatest)
{
    return want_greatest ? greatest : least;
}

static enum aq_status not_(struct aq_eval *eval, const struct aq_expr *expr,
                           const struct aq_vector *const *args, size_t row_count,
                           struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = args[0]->ints[i] == 0;
    return AQ_OK;
}

aq_kernel_fn aq_not_kernel(void)
{
    return not_;
}

#define IS_KERNEL(name, verdict)                                                      \
    static enum aq_status name(struct aq_eval *eval, const struct aq_expr *expr,      \
                               const struct aq_vector *const *args, size_t row_count, \
                               struct aq_vector *out)                                 \
    {                                                                                 \
        (void)eval;                                                                   \
        (void)expr;                                                                   \
        for (size_t i = 0; i < row_count; i++) {                                      \
            bool valid = aq_row_valid(args[0], i);                                    \
            out->ints[i] = (verdict);                                                 \
        }                                                                             \
        return AQ_OK;                                                                 \
    }
IS_KERNEL(is_null, !valid)
IS_KERNEL(is_not_null, valid)
IS_KERNEL(is_true, valid &&args[0]->ints[i] != 0)
IS_KERNEL(is_not_true, !(valid && args[0]->ints[i] != 0))
IS_KERNEL(is_false, valid &&args[0]->ints[i] == 0)
IS_KERNEL(is_not_false, !(valid && args[0]->ints[i] == 0))

aq_kernel_fn aq_is_kernel(enum aq_is_test test)
{
    static const aq_kernel_fn kernels[AQ_IS_TEST_COUNT] = {is_null,     is_not_null, is_true,
                                                           is_not_true, is_false,    is_not_false};
    return kernels[test];
}

static bool in_list(const struct aq_vector *values, const struct aq_vector *vector, size_t row)
{
    size_t low = 0;
    size_t high = values->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = aq_vector_compare(values, middle, vector, row);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static enum aq_status in(struct aq_eval *eval, const struct aq_expr *expr,
                         const struct aq_vector *const *args, size_t row_count,
                         struct aq_vector *out)
{
    (void)eval;
    const struct aq_in_list *list = expr->info;
    AQ_TRY(aq_vector_need_validity(out));
    for (size_t i = 0; i < row_count; i++) {
        bool valid = aq_row_valid(args[0], i);
        out->ints[i] = valid && in_list(list->values, args[0], i);
        out->valid[i] = valid && (out->ints[i] != 0 || !list->with_null);
    }
    return AQ_OK;
}

aq_kernel_fn aq_in_kernel(void)
{
    return in;
}
