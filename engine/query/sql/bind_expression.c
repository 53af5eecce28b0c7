/* Expressions: operators, logic, CASE, casts and names. Function calls are bind_function.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/query/sql/bind.h"
#include "format/table/nearest.h"

/* Binding, folding and evaluation recurse once per level. */
#define EXPRESSION_DEPTH_MAX 1000

enum aq_status aq_bind_column(struct aq_binder *binder, uint32_t index, enum aq_type type,
                              const char *name, int location, struct aq_expr **expr)
{
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_COLUMN, type, 0, location, expr));
    (*expr)->index = index;
    (*expr)->name = name;
    return AQ_OK;
}

static enum aq_status unknown_column(struct aq_binder *binder, const char *qualifier,
                                     const char *name, int location)
{
    const char **names = aq_bind_alloc(binder, (binder->column_count + 1) * sizeof(const char *));
    if (names == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < binder->column_count; i++)
        names[i] = binder->columns[i].name;
    const char *near = aq_nearest_word(aq_slice_of(name), names, binder->column_count);
    char hint[AQ_NAME_BYTES_MAX * 2 + 64] = "";
    if (near != NULL && strcasecmp(near, name) == 0)
        snprintf(hint, sizeof hint, "; write \"%s\" with its double quotes", near);
    else if (near != NULL)
        snprintf(hint, sizeof hint, "; did you mean \"%s\"?", near);
    else if (binder->column_count == 0)
        snprintf(hint, sizeof hint, "; there is no FROM. Text goes in single quotes");
    return aq_bind_error(binder, location, AQ_INVALID, "column \"%s%s%s\" does not exist%s",
                         qualifier == NULL ? "" : qualifier, qualifier == NULL ? "" : ".", name,
                         hint);
}

static bool names_table(const struct aq_binder *binder, const char *qualifier)
{
    for (size_t i = 0; i < binder->column_count; i++)
        if (strcmp(binder->columns[i].qualifier, qualifier) == 0)
            return true;
    return false;
}

static enum aq_status bind_name(struct aq_binder *binder, const char *qualifier, const char *name,
                                int location, struct aq_expr **expr)
{
    const struct aq_scope_column *found = NULL;
    for (size_t i = 0; i < binder->column_count; i++) {
        const struct aq_scope_column *column = &binder->columns[i];
        if (strcmp(column->name, name) != 0 ||
            (qualifier != NULL && strcmp(column->qualifier, qualifier) != 0))
            continue;
        if (found != NULL)
            return aq_bind_error(binder, location, AQ_INVALID,
                                 "column reference \"%s\" is ambiguous", name);
        found = column;
    }
    if (found == NULL && qualifier != NULL && !names_table(binder, qualifier))
        return aq_bind_error(binder, location, AQ_INVALID, "there is no table \"%s\" in FROM",
                             qualifier);
    if (found == NULL)
        return unknown_column(binder, qualifier, name, location);
    uint32_t index;
    AQ_TRY(aq_plan_input(binder, binder->plan, found->source, &index));
    return aq_bind_column(binder, index, found->type, found->name, location, expr);
}

static enum aq_status bind_column_ref(struct aq_binder *binder, PgQuery__ColumnRef *ref,
                                      struct aq_expr **expr)
{
    const char *last = aq_node_string(ref->fields[ref->n_fields - 1]);
    if (last == NULL)
        return aq_bind_error(binder, ref->location, AQ_INVALID,
                             "* stands only in a select list or in count(*)");
    if (ref->n_fields > 2)
        return aq_bind_refuse(binder, ref->location, "names of more than two parts are",
                              "write table.column");
    const char *qualifier = ref->n_fields == 2 ? aq_node_string(ref->fields[0]) : NULL;
    return bind_name(binder, qualifier, last, ref->location, expr);
}

/* A boolean-valued call of a kernel over `args`. */
static enum aq_status make_test(struct aq_binder *binder, const char *name, aq_kernel_fn kernel,
                                bool lenient, struct aq_expr **args, size_t arg_count, int location,
                                struct aq_expr **expr)
{
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CALL, AQ_TYPE_BOOLEAN, arg_count, location, expr));
    (*expr)->name = name;
    (*expr)->kernel = kernel;
    (*expr)->lenient = lenient;
    memcpy((*expr)->args, args, arg_count * sizeof(struct aq_expr *));
    return aq_expr_fold(binder, expr);
}

static enum aq_status no_operator(struct aq_binder *binder, const char *name,
                                  const struct aq_expr *left, const struct aq_expr *right,
                                  int location)
{
    return aq_bind_error(binder, location, AQ_INVALID,
                         "operator does not exist: %s %s %s; cast one side",
                         left->unknown ? "unknown" : aq_type_name(left->type), name,
                         right->unknown ? "unknown" : aq_type_name(right->type));
}

static enum aq_status bind_compare(struct aq_binder *binder, const char *name, struct aq_expr *left,
                                   struct aq_expr *right, int location, struct aq_expr **expr)
{
    struct aq_expr *args[2] = {left, right};
    enum aq_type type = aq_expr_common_type(args, 2);
    if (type == 0 || type == AQ_TYPE_JSON)
        return no_operator(binder, name, left, right, location);
    AQ_TRY(aq_expr_coerce_common(binder, args, 2, name));
    bool negated = strcmp(name, "not distinct") == 0;
    if (negated || strcmp(name, "distinct") == 0)
        return make_test(binder, name, aq_distinct_kernel(negated), true, args, 2, location, expr);
    return make_test(binder, name, aq_compare_kernel(name, type), false, args, 2, location, expr);
}

static enum aq_status bind_not(struct aq_binder *binder, struct aq_expr *arg, int location,
                               struct aq_expr **expr)
{
    return make_test(binder, "not", aq_not_kernel(), false, &arg, 1, location, expr);
}

static enum aq_status bind_logic(struct aq_binder *binder, enum aq_expr_kind kind,
                                 struct aq_expr **args, size_t arg_count, int location,
                                 struct aq_expr **expr)
{
    AQ_TRY(aq_expr_create(binder, kind, AQ_TYPE_BOOLEAN, arg_count, location, expr));
    memcpy((*expr)->args, args, arg_count * sizeof(struct aq_expr *));
    return aq_expr_fold(binder, expr);
}

enum aq_status aq_bind_condition(struct aq_binder *binder, PgQuery__Node *node, const char *clause,
                                 struct aq_expr **expr)
{
    AQ_TRY(aq_bind_expr(binder, node, expr));
    if (!(*expr)->unknown && (*expr)->type != AQ_TYPE_BOOLEAN)
        return aq_bind_error(binder, (*expr)->location, AQ_INVALID,
                             "argument of %s must be type boolean, not type %s", clause,
                             aq_type_name((*expr)->type));
    return aq_expr_coerce(binder, expr, AQ_TYPE_BOOLEAN, false);
}

static enum aq_status bind_bool_expr(struct aq_binder *binder, PgQuery__BoolExpr *node,
                                     struct aq_expr **expr)
{
    const char *name = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR  ? "AND"
                       : node->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR ? "OR"
                                                                           : "NOT";
    struct aq_expr **args = aq_bind_alloc(binder, node->n_args * sizeof(struct aq_expr *));
    if (args == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < node->n_args; i++)
        AQ_TRY(aq_bind_condition(binder, node->args[i], name, &args[i]));
    if (name[0] == 'N')
        return bind_not(binder, args[0], node->location, expr);
    return bind_logic(binder, name[0] == 'A' ? AQ_EXPR_AND : AQ_EXPR_OR, args, node->n_args,
                      node->location, expr);
}

static int compare_values(const void *a, const void *b, void *type)
{
    return aq_value_compare(*(enum aq_type *)type, *(const union aq_value *)a,
                            *(const union aq_value *)b);
}

/* Constants of an IN list, sorted and distinct, as the kernel wants them. */
static enum aq_status make_in_list(struct aq_binder *binder, enum aq_type type,
                                   struct aq_expr **items, size_t item_count,
                                   struct aq_in_list *list)
{
    union aq_value *values = aq_bind_alloc(binder, item_count * sizeof *values);
    struct aq_vector *vector = aq_bind_alloc(binder, sizeof *vector);
    void *storage = aq_bind_alloc(binder, item_count * sizeof *values);
    if (values == NULL || vector == NULL || storage == NULL)
        return AQ_NO_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < item_count; i++) {
        if (items[i]->null)
            list->with_null = true;
        else
            values[count++] = items[i]->value;
    }
    qsort_r(values, count, sizeof *values, compare_values, &type);
    aq_vector_init(vector, type);
    vector->values = storage;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && aq_value_compare(type, values[i - 1], values[i]) == 0)
            continue;
        aq_value_put(vector, vector->row_count++, values[i]);
    }
    list->count = vector->row_count;
    list->values = vector;
    return AQ_OK;
}

static enum aq_status bind_in_constants(struct aq_binder *binder, struct aq_expr **args,
                                        size_t arg_count, int location, struct aq_expr **expr)
{
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CALL, AQ_TYPE_BOOLEAN, 1, location, expr));
    struct aq_in_list *list = aq_bind_alloc(binder, sizeof *list);
    if (list == NULL)
        return AQ_NO_MEMORY;
    AQ_TRY(make_in_list(binder, args[0]->type, args + 1, arg_count - 1, list));
    (*expr)->name = "in";
    (*expr)->kernel = aq_in_kernel();
    (*expr)->lenient = true;
    (*expr)->info = list;
    (*expr)->info_size = sizeof *list;
    (*expr)->args[0] = args[0];
    return aq_expr_fold(binder, expr);
}

static enum aq_status bind_in(struct aq_binder *binder, PgQuery__AExpr *node, bool negated,
                              struct aq_expr **expr)
{
    if (node->rexpr == NULL || node->rexpr->node_case != PG_QUERY__NODE__NODE_LIST)
        return aq_bind_refuse(binder, node->location, "this form of IN is", NULL);
    PgQuery__List *list = node->rexpr->list;
    struct aq_expr **args = aq_bind_alloc(binder, (list->n_items + 1) * sizeof(struct aq_expr *));
    if (args == NULL)
        return AQ_NO_MEMORY;
    AQ_TRY(aq_bind_expr(binder, node->lexpr, &args[0]));
    bool constant = true;
    for (size_t i = 0; i < list->n_items; i++)
        AQ_TRY(aq_bind_expr(binder, list->items[i], &args[i + 1]));
    AQ_TRY(aq_expr_coerce_common(binder, args, list->n_items + 1, "IN"));
    for (size_t i = 0; i < list->n_items; i++)
        constant &= args[i + 1]->kind == AQ_EXPR_CONST;
    struct aq_expr *test;
    if (constant) {
        AQ_TRY(bind_in_constants(binder, args, list->n_items + 1, node->location, &test));
    } else {
        struct aq_expr *value = args[0];
        for (size_t i = 0; i < list->n_items; i++) {
            struct aq_expr *copy;
            AQ_TRY(aq_expr_clone(binder, value, &copy));
            AQ_TRY(bind_compare(binder, "=", copy, args[i + 1], node->location, &args[i]));
        }
        AQ_TRY(bind_logic(binder, AQ_EXPR_OR, args, list->n_items, node->location, &test));
    }
    *expr = test;
    return negated ? bind_not(binder, test, node->location, expr) : AQ_OK;
}

static enum aq_status bind_between(struct aq_binder *binder, PgQuery__AExpr *node, bool negated,
                                   struct aq_expr **expr)
{
    struct aq_expr *value;
    struct aq_expr *again;
    struct aq_expr *low;
    struct aq_expr *high;
    struct aq_expr *parts[2];
    AQ_TRY(aq_bind_expr(binder, node->lexpr, &value));
    AQ_TRY(aq_expr_clone(binder, value, &again));
    AQ_TRY(aq_bind_expr(binder, node->rexpr->list->items[0], &low));
    AQ_TRY(aq_bind_expr(binder, node->rexpr->list->items[1], &high));
    AQ_TRY(bind_compare(binder, negated ? "<" : ">=", value, low, node->location, &parts[0]));
    AQ_TRY(bind_compare(binder, negated ? ">" : "<=", again, high, node->location, &parts[1]));
    return bind_logic(binder, negated ? AQ_EXPR_OR : AQ_EXPR_AND, parts, 2, node->location, expr);
}

static enum aq_status bind_nullif(struct aq_binder *binder, PgQuery__AExpr *node,
                                  struct aq_expr **expr)
{
    struct aq_expr *args[2];
    AQ_TRY(aq_bind_expr(binder, node->lexpr, &args[0]));
    AQ_TRY(aq_bind_expr(binder, node->rexpr, &args[1]));
    AQ_TRY(aq_expr_coerce_common(binder, args, 2, "NULLIF"));
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CALL, args[0]->type, 2, node->location, expr));
    (*expr)->name = "nullif";
    (*expr)->kernel = aq_nullif_kernel();
    (*expr)->lenient = true;
    memcpy((*expr)->args, args, sizeof args);
    return aq_expr_fold(binder, expr);
}

static enum aq_status bind_operator(struct aq_binder *binder, PgQuery__AExpr *node,
                                    const char *name, struct aq_expr **expr)
{
    struct aq_expr *args[2];
    size_t arg_count = 0;
    if (node->lexpr != NULL)
        AQ_TRY(aq_bind_expr(binder, node->lexpr, &args[arg_count++]));
    if (node->rexpr != NULL)
        AQ_TRY(aq_bind_expr(binder, node->rexpr, &args[arg_count++]));
    if (arg_count == 2 && aq_compare_kernel(name, AQ_TYPE_BIGINT) != NULL)
        return bind_compare(binder, name, args[0], args[1], node->location, expr);
    return aq_bind_call(binder, name, args, arg_count, node->location, expr);
}

static enum aq_status bind_distinct(struct aq_binder *binder, PgQuery__AExpr *node, bool negated,
                                    struct aq_expr **expr)
{
    struct aq_expr *args[2];
    AQ_TRY(aq_bind_expr(binder, node->lexpr, &args[0]));
    AQ_TRY(aq_bind_expr(binder, node->rexpr, &args[1]));
    return bind_compare(binder, negated ? "not distinct" : "distinct", args[0], args[1],
                        node->location, expr);
}

static enum aq_status bind_a_expr(struct aq_binder *binder, PgQuery__AExpr *node,
                                  struct aq_expr **expr)
{
    const char *name = aq_node_string(node->n_name == 0 ? NULL : node->name[node->n_name - 1]);
    if (name == NULL)
        name = "";
    switch (node->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
        return bind_operator(binder, node, name, expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return bind_distinct(binder, node,
                             node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT, expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return bind_nullif(binder, node, expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        return bind_in(binder, node, strcmp(name, "<>") == 0, expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
        return bind_between(binder, node, false, expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
        return bind_between(binder, node, true, expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return aq_bind_refuse(binder, node->location, "ANY and ALL over arrays are",
                              "write IN (...)");
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return aq_bind_refuse(binder, node->location, "SIMILAR TO is", "write LIKE");
    default:
        return aq_bind_refuse(binder, node->location, "BETWEEN SYMMETRIC is",
                              "write BETWEEN least(a, b) AND greatest(a, b)");
    }
}

static enum aq_status bind_case(struct aq_binder *binder, PgQuery__CaseExpr *node,
                                struct aq_expr **expr)
{
    size_t arg_count = node->n_args * 2 + 1;
    struct aq_expr **results = aq_bind_alloc(binder, arg_count * sizeof(struct aq_expr *));
    struct aq_expr *made;
    struct aq_expr *value = NULL;
    if (results == NULL)
        return AQ_NO_MEMORY;
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CASE, AQ_TYPE_TEXT, arg_count, node->location, &made));
    if (node->arg != NULL)
        AQ_TRY(aq_bind_expr(binder, node->arg, &value));
    for (size_t i = 0; i < node->n_args; i++) {
        PgQuery__CaseWhen *when = node->args[i]->case_when;
        if (value == NULL) {
            AQ_TRY(aq_bind_condition(binder, when->expr, "CASE/WHEN", &made->args[2 * i]));
        } else {
            struct aq_expr *copy;
            struct aq_expr *other = NULL;
            AQ_TRY(aq_expr_clone(binder, value, &copy));
            AQ_TRY(aq_bind_expr(binder, when->expr, &other));
            AQ_TRY(bind_compare(binder, "=", copy, other, when->location, &made->args[2 * i]));
        }
        AQ_TRY(aq_bind_expr(binder, when->result, &results[i]));
    }
    if (node->defresult != NULL) {
        AQ_TRY(aq_bind_expr(binder, node->defresult, &results[node->n_args]));
    } else {
        AQ_TRY(aq_expr_create(binder, AQ_EXPR_CONST, AQ_TYPE_TEXT, 0, node->location,
                              &results[node->n_args]));
        results[node->n_args]->null = true;
        results[node->n_args]->unknown = true;
    }
    AQ_TRY(aq_expr_coerce_common(binder, results, node->n_args + 1, "CASE"));
    for (size_t i = 0; i < node->n_args; i++)
        made->args[2 * i + 1] = results[i];
    made->args[arg_count - 1] = results[node->n_args];
    made->type = results[0]->type;
    *expr = made;
    return aq_expr_fold(binder, expr);
}

static enum aq_status bind_list(struct aq_binder *binder, PgQuery__Node **nodes, size_t count,
                                const char *what, struct aq_expr ***args)
{
    *args = aq_bind_alloc(binder, count * sizeof(struct aq_expr *));
    if (*args == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        AQ_TRY(aq_bind_expr(binder, nodes[i], &(*args)[i]));
    return aq_expr_coerce_common(binder, *args, count, what);
}

static enum aq_status bind_coalesce(struct aq_binder *binder, PgQuery__CoalesceExpr *node,
                                    struct aq_expr **expr)
{
    struct aq_expr **args;
    AQ_TRY(bind_list(binder, node->args, node->n_args, "COALESCE", &args));
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_COALESCE, args[0]->type, node->n_args, node->location,
                          expr));
    memcpy((*expr)->args, args, node->n_args * sizeof(struct aq_expr *));
    return aq_expr_fold(binder, expr);
}

static enum aq_status bind_min_max(struct aq_binder *binder, PgQuery__MinMaxExpr *node,
                                   struct aq_expr **expr)
{
    bool greatest = node->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
    struct aq_expr **args;
    AQ_TRY(bind_list(binder, node->args, node->n_args, greatest ? "GREATEST" : "LEAST", &args));
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CALL, args[0]->type, node->n_args, node->location, expr));
    (*expr)->name = greatest ? "greatest" : "least";
    (*expr)->kernel = aq_extreme_kernel(greatest);
    (*expr)->lenient = true;
    memcpy((*expr)->args, args, node->n_args * sizeof(struct aq_expr *));
    return aq_expr_fold(binder, expr);
}

static enum aq_status bind_null_test(struct aq_binder *binder, PgQuery__NullTest *node,
                                     struct aq_expr **expr)
{
    struct aq_expr *arg;
    AQ_TRY(aq_bind_expr(binder, node->arg, &arg));
    AQ_TRY(aq_expr_coerce_common(binder, &arg, 1, "IS NULL"));
    bool is_null = node->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL;
    return make_test(binder, is_null ? "is null" : "is not null",
                     aq_is_kernel(is_null ? AQ_IS_NULL : AQ_IS_NOT_NULL), true, &arg, 1,
                     node->location, expr);
}

static enum aq_status bind_boolean_test(struct aq_binder *binder, PgQuery__BooleanTest *node,
                                        struct aq_expr **expr)
{
    struct aq_expr *arg;
    AQ_TRY(aq_bind_condition(binder, node->arg, "IS TRUE", &arg));
    static const struct {
        PgQuery__BoolTestType type;
        enum aq_is_test test;
    } tests[] = {
        {PG_QUERY__BOOL_TEST_TYPE__IS_TRUE, AQ_IS_TRUE},
        {PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE, AQ_IS_NOT_TRUE},
        {PG_QUERY__BOOL_TEST_TYPE__IS_FALSE, AQ_IS_FALSE},
        {PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE, AQ_IS_NOT_FALSE},
        {PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN, AQ_IS_NULL},
        {PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN, AQ_IS_NOT_NULL},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (tests[i].type == node->booltesttype)
            return make_test(binder, "is", aq_is_kernel(tests[i].test), true, &arg, 1,
                             node->location, expr);
    return aq_bind_refuse(binder, node->location, "this test is", NULL);
}

static enum aq_status bind_cast(struct aq_binder *binder, PgQuery__TypeCast *node,
                                struct aq_expr **expr)
{
    enum aq_type type;
    int location = node->location >= 0 ? node->location : aq_node_location(node->arg);
    AQ_TRY(aq_bind_type(binder, node->type_name, node->location, &type));
    AQ_TRY(aq_bind_expr(binder, node->arg, expr));
    AQ_TRY(aq_expr_coerce(binder, expr, type, true));
    if ((*expr)->location < 0)
        (*expr)->location = location;
    return AQ_OK;
}

static enum aq_status bind_value_function(struct aq_binder *binder, PgQuery__SQLValueFunction *node,
                                          struct aq_expr **expr)
{
    const char *name = NULL;
    if (node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP)
        name = "current_timestamp";
    else if (node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE)
        name = "current_date";
    else if (node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP)
        name = "localtimestamp";
    if (name == NULL)
        return aq_bind_refuse(binder, node->location, "this SQL value function is",
                              "write now() for the time");
    return aq_bind_call(binder, name, NULL, 0, node->location, expr);
}

int aq_node_location(const PgQuery__Node *node)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return node->a_const->location;
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return node->column_ref->location;
    case PG_QUERY__NODE__NODE_A_EXPR:
        return node->a_expr->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return node->func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return node->type_cast->location >= 0 ? node->type_cast->location
                                              : aq_node_location(node->type_cast->arg);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return node->sub_link->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return node->row_expr->location;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return node->a_array_expr->location;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return node->param_ref->location;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return node->collate_clause->location;
    case PG_QUERY__NODE__NODE_GROUPING_SET:
        return node->grouping_set->location;
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return node->grouping_func->location;
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return node->range_var->location;
    case PG_QUERY__NODE__NODE_XML_EXPR:
        return node->xml_expr->location;
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return node->case_expr->location;
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return node->bool_expr->location;
    default:
        return -1;
    }
}

static enum aq_status refuse_node(struct aq_binder *binder, PgQuery__Node *node)
{
    int location = aq_node_location(node);
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return aq_bind_refuse(binder, location, "subqueries in expressions are",
                              "put the subquery in FROM, or run it first and write its result");
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return aq_bind_refuse(binder, location, "rows as values are", "compare column by column");
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return aq_bind_refuse(binder, location, "arrays and composite values are", NULL);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return aq_bind_refuse(binder, location, "parameters ($1) are", "write the value");
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return aq_bind_refuse(binder, location, "COLLATE is", "text compares by bytes (C)");
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return aq_bind_refuse(binder, location, "GROUPING is", NULL);
    default:
        return aq_bind_refuse(binder, location, "this kind of expression is", NULL);
    }
}

static enum aq_status bind_node(struct aq_binder *binder, PgQuery__Node *node,
                                struct aq_expr **expr)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return aq_bind_const(binder, node->a_const, expr);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return bind_column_ref(binder, node->column_ref, expr);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return bind_a_expr(binder, node->a_expr, expr);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bind_bool_expr(binder, node->bool_expr, expr);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return aq_bind_function(binder, node->func_call, expr);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return bind_cast(binder, node->type_cast, expr);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return bind_case(binder, node->case_expr, expr);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return bind_coalesce(binder, node->coalesce_expr, expr);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return bind_min_max(binder, node->min_max_expr, expr);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_null_test(binder, node->null_test, expr);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(binder, node->boolean_test, expr);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return bind_value_function(binder, node->sqlvalue_function, expr);
    default:
        return refuse_node(binder, node);
    }
}

enum aq_status aq_bind_expr(struct aq_binder *binder, PgQuery__Node *node, struct aq_expr **expr)
{
    if (binder->depth >= EXPRESSION_DEPTH_MAX)
        return aq_bind_error(binder, aq_node_location(node), AQ_LIMIT,
                             "the expression is nested more than %d deep", EXPRESSION_DEPTH_MAX);
    binder->depth++;
    enum aq_status status = bind_node(binder, node, expr);
    binder->depth--;
    return status;
}
