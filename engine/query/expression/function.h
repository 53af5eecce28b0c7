/* The table of functions and operators: names, types and kernels. A function of SQL is added by adding
 * a row to the table of the file that holds its kernel. */
#ifndef AQ_ENGINE_QUERY_EXPRESSION_FUNCTION_H
#define AQ_ENGINE_QUERY_EXPRESSION_FUNCTION_H

#include "engine/base/civil/civil_time.h"
#include "engine/query/expression/expression.h"

/** What binding knows of the session. */
struct aq_session {
    struct aq_arena *arena; /* lives as long as the query */
    const struct aq_zone *zone;
    int64_t now_us;
    const struct aq_sql_text *sql;
    struct aq_error *err;
};

#define AQ_FUNCTION_ARGS_MAX 4

struct aq_function {
    const char *name; /* lower case, or an operator; a prefix operator has one argument */
    enum aq_type result;
    size_t arg_count;
    enum aq_type args[AQ_FUNCTION_ARGS_MAX];
    aq_kernel_fn kernel;
    /** Called once the arguments are bound and folded: check constants, set expr->info. May be NULL. */
    enum aq_status (*prepare)(const struct aq_session *session, struct aq_expr *expr);
    bool variadic; /* the last type repeats */
    bool lenient;  /* see struct aq_expr */
};

struct aq_function_list {
    const struct aq_function *functions;
    size_t count;
};

/* One list a file; function.c names them all. */
extern const struct aq_function_list aq_arithmetic_functions;
extern const struct aq_function_list aq_math_functions;
extern const struct aq_function_list aq_text_functions;
extern const struct aq_function_list aq_like_functions;
extern const struct aq_function_list aq_time_functions;
extern const struct aq_function_list aq_bucket_functions;
extern const struct aq_function_list aq_interval_functions;
extern const struct aq_function_list aq_json_functions;
extern const struct aq_function_list aq_to_char_functions;

/** The best overload of `name` for arguments of these types (`unknown` marks untyped literals), or
 * NULL. `known_name` tells whether the name exists at all. */
const struct aq_function *aq_function_find(const char *name, const struct aq_expr *const *args,
                                           size_t arg_count, bool *known_name);
/** The function name nearest to `name`, or NULL. */
const char *aq_function_nearest(const char *name);

/** Whether a value of `from` may become `to` without a cast being written. */
bool aq_type_implicit(enum aq_type from, enum aq_type to);

/** Kernel of a comparison of two values of `type` by `name` (= <> < <= > >=), NULL if unknown. */
aq_kernel_fn aq_compare_kernel(const char *name, enum aq_type type);
aq_kernel_fn aq_distinct_kernel(bool negated); /* IS [NOT] DISTINCT FROM; lenient */
/** NULLIF, GREATEST, LEAST; lenient. */
aq_kernel_fn aq_nullif_kernel(void);
aq_kernel_fn aq_extreme_kernel(bool greatest);
aq_kernel_fn aq_not_kernel(void);
/** IS [NOT] NULL / TRUE / FALSE; lenient. */
enum aq_is_test {
    AQ_IS_NULL,
    AQ_IS_NOT_NULL,
    AQ_IS_TRUE,
    AQ_IS_NOT_TRUE,
    AQ_IS_FALSE,
    AQ_IS_NOT_FALSE,
    AQ_IS_TEST_COUNT,
};
aq_kernel_fn aq_is_kernel(enum aq_is_test test);

/** x IN (constants): the values sorted, without nulls; info of aq_in_kernel (lenient, since a null
 * in the list makes "not found" null). */
struct aq_in_list {
    bool with_null;
    size_t count;
    const struct aq_vector *values; /* sorted, distinct, of the argument's type */
};
aq_kernel_fn aq_in_kernel(void);

/** Make `expr`, whose argument is bound, a cast of it to expr->type; AQ_UNSUPPORTED, without a message,
 * where PostgreSQL has no such cast or aqstore not yet. */
enum aq_status aq_cast_prepare(const struct aq_session *session, struct aq_expr *expr) AQ_RESULT;

/** Text as a value of `type`, by PostgreSQL's input rules; `zone` counts for times that name none.
 * AQ_INVALID (not of this form), AQ_LIMIT (out of range), AQ_UNSUPPORTED, without a message. Slices
 * live in `arena` or borrow from `text`. */
enum aq_status aq_value_parse(struct aq_slice text, enum aq_type type, const struct aq_zone *zone,
                              struct aq_arena *arena, union aq_value *value) AQ_RESULT;
/** The message for a failed aq_value_parse. */
const char *aq_value_complaint(enum aq_status status, struct aq_slice text, enum aq_type type,
                               char *out, size_t out_size);

/** PostgreSQL's text form of a value, appended; failures are sticky in `out`. */
void aq_value_format(enum aq_type type, union aq_value value, const struct aq_zone *zone,
                     struct aq_bytes *out);

bool aq_interval_parse(struct aq_slice text, struct aq_interval *interval);
void aq_interval_format(struct aq_interval interval, struct aq_bytes *out);

/** Microseconds of the civil time that `zone` shows at an instant (a timestamp), and the instant of one.
 * False when the result does not fit. */
bool aq_civil_of_instant(const struct aq_zone *zone, int64_t time_us, int64_t *civil_us);
bool aq_instant_of_civil(const struct aq_zone *zone, int64_t civil_us, int64_t *time_us);
/** Instant plus `sign` times the interval: months, then days by the zone's calendar, then the rest.
 * False when the result does not fit. */
bool aq_instant_add(const struct aq_zone *zone, int64_t time_us, struct aq_interval interval,
                    int sign, int64_t *sum_us);

#endif
