/* Bound expressions and their evaluation over chunks of rows.
 *
 * An expression is a tree made by binding; it is immutable while a query runs and shared by all threads.
 * Each thread evaluates it with an aq_eval of its own. Evaluation is column-wise: a kernel sees
 * dense vectors of the same number of rows and knows nothing of selections. CASE, AND, OR and
 * COALESCE evaluate their later parts for the rows that need them only, so that
 * CASE WHEN x <> 0 THEN 1 / x END does not divide by zero. */
#ifndef AQ_ENGINE_QUERY_EXPRESSION_EXPRESSION_H
#define AQ_ENGINE_QUERY_EXPRESSION_EXPRESSION_H

#include "format/table/vector.h"

/** Rows of one chunk at most. */
#define AQ_CHUNK_ROWS 2048

struct aq_eval;
struct aq_expr;

/**
 * Compute `row_count` rows of `out`, which is resized to that and, for strict kernels, has the nulls
 * of the arguments. A kernel must not fail for a row that is null. Slices may be borrowed from the
 * arguments or live in eval's arena.
 */
typedef enum aq_status (*aq_kernel_fn)(struct aq_eval *eval, const struct aq_expr *expr,
                                       const struct aq_vector *const *args, size_t row_count,
                                       struct aq_vector *out);

enum aq_expr_kind {
    AQ_EXPR_CONST,
    AQ_EXPR_COLUMN,    /* column `index` of the chunk */
    AQ_EXPR_AGGREGATE, /* aggregate `index` of the query; only until grouping is bound */
    AQ_EXPR_CALL,      /* kernel(args) */
    AQ_EXPR_AND,
    AQ_EXPR_OR,
    AQ_EXPR_CASE, /* condition, result, condition, result, ..., else */
    AQ_EXPR_COALESCE,
};

union aq_value {
    int64_t integer;
    double real;
    struct aq_slice slice;
    struct aq_interval interval;
};

struct aq_expr {
    enum aq_expr_kind kind;
    enum aq_type type;
    int location;     /* byte offset in the SQL text; -1: none */
    uint32_t slot;    /* of this node's vector in aq_eval */
    uint32_t index;   /* COLUMN, AGGREGATE */
    const char *name; /* CALL: function or operator; COLUMN: the column's name */
    bool unknown;     /* CONST: an untyped literal or NULL, which takes the type its place wants */
    bool null;        /* CONST */
    bool volatile_;   /* CALL: not to be folded */
    bool lenient;     /* CALL: the kernel sees nulls and sets them itself (not strict) */
    union aq_value value;
    aq_kernel_fn kernel;
    const void *info; /* CALL: the kernel's parameters, a flat object of info_size bytes */
    size_t info_size;
    size_t arg_count;
    struct aq_expr **args;
};

/** Where in which SQL text errors are: kept by whoever prepared the query. */
struct aq_sql_text {
    const char *text;
    const char *label; /* "" or "view NAME: ", before every position */
};

/** One thread's evaluation state. */
struct aq_eval {
    const struct aq_vector *columns; /* the chunk's; borrowed */
    struct aq_vector *scratch;       /* one a node */
    bool *filled;                    /* CONST nodes: scratch holds AQ_CHUNK_ROWS copies */
    size_t scratch_count;
    struct aq_arena arena; /* bytes of slices made by kernels; reset by the caller */
    const struct aq_sql_text *sql;
    struct aq_error *err;
};

/** `node_count`: one more than the highest slot. `sql` and `err` are borrowed. */
enum aq_status aq_eval_init(struct aq_eval *eval, size_t node_count, const struct aq_sql_text *sql,
                            struct aq_error *err) AQ_RESULT;
void aq_eval_deinit(struct aq_eval *eval);

/**
 * Evaluate for rows selection[0..row_count) of the chunk, or rows 0..row_count if `selection` is
 * NULL; row_count <= AQ_CHUNK_ROWS. `out` is dense and borrowed until the next evaluation of the
 * same tree. A failure is AQ_INVALID with the position.
 */
enum aq_status aq_eval_run(struct aq_eval *eval, const struct aq_expr *expr,
                           const uint32_t *selection, size_t row_count,
                           const struct aq_vector **out) AQ_RESULT;

/** Of the rows in `selection` (or 0..row_count) keep those for which the boolean `expr` is true;
 * `kept` has room for row_count entries, and may be `selection` itself. */
enum aq_status aq_eval_filter(struct aq_eval *eval, const struct aq_expr *expr,
                              const uint32_t *selection, size_t row_count, uint32_t *kept,
                              size_t *kept_count) AQ_RESULT;

/** Append rows selection[0..count) (or 0..count) of `from` to `to`; slices are copied to `arena` unless
 * it is NULL. */
enum aq_status aq_vector_gather(struct aq_vector *to, const struct aq_vector *from,
                                const uint32_t *selection, size_t count,
                                struct aq_arena *arena) AQ_RESULT;

/** Make `view` the rows of `vector` from `first` on. It owns nothing: never deinit it. */
void aq_vector_view(struct aq_vector *view, const struct aq_vector *vector, size_t first);

/** Fill eval->err: "line L:C: message" for the expression's place. @return `status`. */
enum aq_status aq_eval_error(struct aq_eval *eval, const struct aq_expr *expr,
                             enum aq_status status, const char *format, ...) AQ_PRINTF(4, 5);
/** The same for a byte offset in a text. */
enum aq_status aq_sql_error(const struct aq_sql_text *sql, int location, struct aq_error *err,
                            enum aq_status status, const char *format, ...) AQ_PRINTF(5, 6);
enum aq_status aq_sql_error_list(const struct aq_sql_text *sql, int location, struct aq_error *err,
                                 enum aq_status status, const char *format, va_list args);

/** Whether two bound trees compute the same value. */
bool aq_expr_equal(const struct aq_expr *a, const struct aq_expr *b);
/** Whether row `row` of a vector that kernels see is worth computing. */
static inline bool aq_row_valid(const struct aq_vector *vector, size_t row)
{
    return vector->valid == NULL || vector->valid[row] != 0;
}

/** A cell of `vector` as a value, and back. */
union aq_value aq_value_get(const struct aq_vector *vector, size_t row);
void aq_value_put(struct aq_vector *vector, size_t row, union aq_value value);
/** Order of two non-null values of `type`, as aq_vector_compare. */
int aq_value_compare(enum aq_type type, union aq_value a, union aq_value b);

#endif
