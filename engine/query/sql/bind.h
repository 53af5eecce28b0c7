/* Binding: a parse tree and a catalog give a plan. Names are looked up, types decided, constants folded;
 * whatever this version does not do is refused here, by name and position. */
#ifndef AQ_ENGINE_QUERY_SQL_BIND_H
#define AQ_ENGINE_QUERY_SQL_BIND_H

#include "engine/query/expression/function.h"
#include "engine/query/plan.h"
#include "engine/query/sql/parse.h"

/** A WITH query, visible to what comes after it. */
struct aq_cte {
    const char *name;
    PgQuery__CommonTableExpr *node;
    const struct aq_cte *outer; /* what its own query may see */
};

/** A column that names can refer to. */
struct aq_scope_column {
    const char *name;
    const char *qualifier; /* table or alias */
    enum aq_type type;
    uint32_t source; /* index into the plan's source_columns */
};

struct aq_binder {
    struct aq_session session; /* arena, zone, now, sql, err */
    const struct aq_catalog *catalog;
    struct aq_plan *plan; /* being built */
    const struct aq_cte *ctes;
    size_t column_count;
    struct aq_scope_column *columns;
    const char *no_aggregates; /* where the expression stands, if aggregates may not; else NULL */
    bool in_aggregate;
    unsigned depth;      /* nesting of expressions */
    unsigned view_depth; /* and of views and subqueries */
};

/** Plan of a SELECT, VALUES or UNION; `outer` gives session, catalog, CTEs and depths. */
enum aq_status aq_bind_select(const struct aq_binder *outer, PgQuery__SelectStmt *select,
                              struct aq_plan **plan) AQ_RESULT;

/* bind_from.c */
enum aq_status aq_bind_from(struct aq_binder *binder, PgQuery__SelectStmt *select) AQ_RESULT;
enum aq_status aq_plan_create(const struct aq_binder *binder, struct aq_plan **plan) AQ_RESULT;
/** Make `child` the only source of `plan`, its visible columns the source's. */
enum aq_status aq_plan_over(const struct aq_binder *binder, struct aq_plan *plan,
                            struct aq_plan *child) AQ_RESULT;
/** Index in the chunk of source column `source`, which is added if need be. */
enum aq_status aq_plan_input(const struct aq_binder *binder, struct aq_plan *plan, uint32_t source,
                             uint32_t *index) AQ_RESULT;

/* bind_group.c */
enum aq_status aq_bind_groups(struct aq_binder *binder, PgQuery__SelectStmt *select,
                              PgQuery__Node **targets, size_t target_count) AQ_RESULT;
/** Rewrite a bound expression to read groups and aggregates; refuses other columns. */
enum aq_status aq_bind_regroup(struct aq_binder *binder, struct aq_expr **expr) AQ_RESULT;
enum aq_status aq_bind_ties(struct aq_binder *binder) AQ_RESULT;

/* bind_order.c */
enum aq_status aq_bind_order(struct aq_binder *binder, PgQuery__SelectStmt *select,
                             bool outputs_only) AQ_RESULT;
enum aq_status aq_bind_limit(struct aq_binder *binder, PgQuery__SelectStmt *select) AQ_RESULT;

/* bind_expression.c */
enum aq_status aq_bind_expr(struct aq_binder *binder, PgQuery__Node *node,
                            struct aq_expr **expr) AQ_RESULT;
/** As aq_bind_expr, and the value must be boolean; `clause` is for the message. */
enum aq_status aq_bind_condition(struct aq_binder *binder, PgQuery__Node *node, const char *clause,
                                 struct aq_expr **expr) AQ_RESULT;
/** Column `index` of a chunk. */
enum aq_status aq_bind_column(struct aq_binder *binder, uint32_t index, enum aq_type type,
                              const char *name, int location, struct aq_expr **expr) AQ_RESULT;

/* bind_function.c */
enum aq_status aq_bind_function(struct aq_binder *binder, PgQuery__FuncCall *call,
                                struct aq_expr **expr) AQ_RESULT;
/** An operator or a function of the table, over bound arguments. */
enum aq_status aq_bind_call(struct aq_binder *binder, const char *name, struct aq_expr **args,
                            size_t arg_count, int location, struct aq_expr **expr) AQ_RESULT;

/* bind_node.c: making nodes */
enum aq_status aq_expr_create(struct aq_binder *binder, enum aq_expr_kind kind, enum aq_type type,
                              size_t arg_count, int location, struct aq_expr **expr) AQ_RESULT;
enum aq_status aq_expr_clone(struct aq_binder *binder, const struct aq_expr *from,
                             struct aq_expr **to) AQ_RESULT;
/** Replace a call of constants by its value; what fails stays, to fail if it is ever reached. */
enum aq_status aq_expr_fold(struct aq_binder *binder, struct aq_expr **expr) AQ_RESULT;
/** Make `*expr` be of `type`: implicitly, or (`explicit_cast`) by any cast. */
enum aq_status aq_expr_coerce(struct aq_binder *binder, struct aq_expr **expr, enum aq_type type,
                              bool explicit_cast) AQ_RESULT;
/** The type that all of `args` can take, text if all are untyped; 0 if there is none. */
enum aq_type aq_expr_common_type(struct aq_expr *const *args, size_t arg_count);
enum aq_status aq_expr_coerce_common(struct aq_binder *binder, struct aq_expr **args,
                                     size_t arg_count, const char *what) AQ_RESULT;

/* bind_literal.c */
enum aq_status aq_bind_const(struct aq_binder *binder, PgQuery__AConst *constant,
                             struct aq_expr **expr) AQ_RESULT;
enum aq_status aq_bind_type(struct aq_binder *binder, PgQuery__TypeName *name, int location,
                            enum aq_type *type) AQ_RESULT;

/** Fill the error with the position. @return `status`. */
enum aq_status aq_bind_error(const struct aq_binder *binder, int location, enum aq_status status,
                             const char *format, ...) AQ_PRINTF(4, 5);
/** "X is not supported yet[; hint]". @return AQ_UNSUPPORTED. */
enum aq_status aq_bind_refuse(const struct aq_binder *binder, int location, const char *what,
                              const char *hint);
/** The text of a String node, or NULL. */
const char *aq_node_string(const PgQuery__Node *node);
/** Where a node stands, -1 if it does not say. */
int aq_node_location(const PgQuery__Node *node);
void *aq_bind_alloc(const struct aq_binder *binder, size_t size);

#endif
