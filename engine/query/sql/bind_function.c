/* Function calls: aggregates, functions of the table, and type names used as functions. */
#include <stdio.h>
#include <string.h>

#include "engine/query/exec/aggregate/aggregate.h"
#include "engine/query/sql/bind.h"

static void type_list(struct aq_expr *const *args, size_t arg_count, char *out, size_t out_size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t a = 0; a < arg_count && used < out_size; a++)
        used += (size_t)snprintf(out + used, out_size - used, "%s%s", a == 0 ? "" : ", ",
                                 args[a]->unknown ? "unknown" : aq_type_name(args[a]->type));
}

static bool is_operator(const char *name)
{
    return !((name[0] | 0x20) >= 'a' && (name[0] | 0x20) <= 'z') && name[0] != '_';
}

static enum aq_status no_function(struct aq_binder *binder, const char *name,
                                  struct aq_expr *const *args, size_t arg_count, int location,
                                  bool known)
{
    char types[256];
    type_list(args, arg_count, types, sizeof types);
    if (is_operator(name) && !known)
        return aq_bind_error(binder, location, AQ_UNSUPPORTED, "operator %s is not supported yet",
                             name);
    if (is_operator(name))
        return aq_bind_error(binder, location, AQ_INVALID,
                             "operator does not exist: %s (%s); cast an operand", name, types);
    if (known)
        return aq_bind_error(binder, location, AQ_INVALID,
                             "function %s(%s) does not exist with these arguments", name, types);
    const char *near = aq_function_nearest(name);
    return aq_bind_error(binder, location, AQ_UNSUPPORTED, "function %s(%s) does not exist%s%s%s",
                         name, types, near == NULL ? "" : "; did you mean ",
                         near == NULL ? "" : near, near == NULL ? "" : "?");
}

/* A strict call with a NULL constant is NULL. */
static bool null_argument(const struct aq_expr *call)
{
    for (size_t a = 0; !call->lenient && a < call->arg_count; a++)
        if (call->args[a]->kind == AQ_EXPR_CONST && call->args[a]->null)
            return true;
    return false;
}

enum aq_status aq_bind_call(struct aq_binder *binder, const char *name, struct aq_expr **args,
                            size_t arg_count, int location, struct aq_expr **expr)
{
    bool known;
    const struct aq_function *function =
        aq_function_find(name, (const struct aq_expr *const *)args, arg_count, &known);
    if (function == NULL)
        return no_function(binder, name, args, arg_count, location, known);
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CALL, function->result, arg_count, location, expr));
    struct aq_expr *call = *expr;
    call->name = function->name;
    call->kernel = function->kernel;
    call->lenient = function->lenient;
    for (size_t a = 0; a < arg_count; a++) {
        enum aq_type wanted = function->args[a < function->arg_count ? a : function->arg_count - 1];
        call->args[a] = args[a];
        AQ_TRY(aq_expr_coerce(binder, &call->args[a], wanted, wanted == AQ_TYPE_TEXT));
    }
    if (null_argument(call)) {
        AQ_TRY(aq_expr_create(binder, AQ_EXPR_CONST, function->result, 0, location, expr));
        (*expr)->null = true;
        return AQ_OK;
    }
    if (function->prepare != NULL)
        AQ_TRY(function->prepare(&binder->session, call));
    return aq_expr_fold(binder, expr);
}

static bool aggregate_equal(const struct aq_aggregate *a, const struct aq_aggregate *b)
{
    if (a->function != b->function || a->arg_count != b->arg_count || a->distinct != b->distinct ||
        (a->filter == NULL) != (b->filter == NULL))
        return false;
    for (size_t i = 0; i < a->arg_count; i++)
        if (!aq_expr_equal(a->args[i], b->args[i]))
            return false;
    return a->filter == NULL || aq_expr_equal(a->filter, b->filter);
}

/* Index of an equal aggregate of the plan, or of `aggregate`, appended. */
static enum aq_status add_aggregate(struct aq_binder *binder, const struct aq_aggregate *aggregate,
                                    uint32_t *index)
{
    struct aq_plan *plan = binder->plan;
    for (size_t i = 0; i < plan->aggregate_count; i++) {
        if (aggregate_equal(&plan->aggregates[i], aggregate)) {
            *index = (uint32_t)i;
            return AQ_OK;
        }
    }
    struct aq_aggregate *grown = aq_bind_alloc(binder, (plan->aggregate_count + 1) * sizeof *grown);
    if (grown == NULL)
        return AQ_NO_MEMORY;
    if (plan->aggregate_count > 0)
        memcpy(grown, plan->aggregates, plan->aggregate_count * sizeof *grown);
    grown[plan->aggregate_count] = *aggregate;
    plan->aggregates = grown;
    *index = (uint32_t)plan->aggregate_count++;
    return AQ_OK;
}

static enum aq_status check_aggregate_call(struct aq_binder *binder, PgQuery__FuncCall *call,
                                           const char *name)
{
    if (call->over != NULL)
        return aq_bind_refuse(binder, call->location, "window functions are",
                              "group in a subquery instead");
    if (binder->in_aggregate)
        return aq_bind_error(binder, call->location, AQ_INVALID,
                             "aggregate function calls cannot be nested");
    if (binder->no_aggregates != NULL)
        return aq_bind_error(binder, call->location, AQ_INVALID,
                             "aggregate function %s is not allowed in %s%s", name,
                             binder->no_aggregates,
                             strcmp(binder->no_aggregates, "WHERE") == 0 ? "; use HAVING" : "");
    if (call->n_agg_order > 0)
        return aq_bind_refuse(binder, call->location, "ORDER BY inside an aggregate is",
                              "first(value, ts) and last(value, ts) take the earliest and latest");
    if (call->agg_within_group)
        return aq_bind_refuse(binder, call->location, "WITHIN GROUP is", NULL);
    if (call->agg_star && strcmp(name, "count") != 0)
        return aq_bind_error(binder, call->location, AQ_INVALID, "%s(*) does not exist", name);
    if (call->agg_star != (call->n_args == 0) || call->n_args > AQ_AGGREGATE_ARGS_MAX)
        return aq_bind_error(binder, call->location, AQ_INVALID, "%s takes other arguments%s", name,
                             strcmp(name, "count") == 0 ? ": count(*) or count(x)" : "");
    return AQ_OK;
}

static enum aq_status bind_aggregate_parts(struct aq_binder *binder, PgQuery__FuncCall *call,
                                           const char *name, struct aq_aggregate *aggregate)
{
    enum aq_type types[AQ_AGGREGATE_ARGS_MAX] = {0};
    aggregate->arg_count = call->n_args;
    aggregate->distinct = call->agg_distinct;
    aggregate->location = call->location;
    for (size_t a = 0; a < call->n_args; a++) {
        AQ_TRY(aq_bind_expr(binder, call->args[a], &aggregate->args[a]));
        AQ_TRY(aq_expr_coerce_common(binder, &aggregate->args[a], 1, name));
        types[a] = aggregate->args[a]->type;
    }
    if (call->agg_filter != NULL)
        AQ_TRY(aq_bind_condition(binder, call->agg_filter, "FILTER", &aggregate->filter));
    bool known;
    aggregate->function = aq_aggregate_find(name, types, call->n_args, &known);
    if (aggregate->function == NULL)
        return no_function(binder, name, aggregate->args, aggregate->arg_count, call->location,
                           true);
    aggregate->type = aggregate->function->result(types);
    if (aggregate->distinct && aggregate->function->uses_ties)
        return aq_bind_refuse(binder, call->location, "DISTINCT in this aggregate is", NULL);
    return AQ_OK;
}

static enum aq_status bind_aggregate(struct aq_binder *binder, PgQuery__FuncCall *call,
                                     const char *name, struct aq_expr **expr)
{
    AQ_TRY(check_aggregate_call(binder, call, name));
    struct aq_aggregate aggregate = {0};
    binder->in_aggregate = true;
    enum aq_status status = bind_aggregate_parts(binder, call, name, &aggregate);
    binder->in_aggregate = false;
    AQ_TRY(status);
    uint32_t index;
    AQ_TRY(add_aggregate(binder, &aggregate, &index));
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_AGGREGATE, aggregate.type, 0, call->location, expr));
    (*expr)->index = index;
    (*expr)->name = aggregate.function->name;
    return AQ_OK;
}

/* Names that PostgreSQL or TimescaleDB know and this version does not, and what to write. */
static const struct {
    const char *name;
    const char *instead;
} refused[] = {
    {"percentile_cont", NULL},
    {"percentile_disc", NULL},
    {"mode", NULL},
    {"histogram", "use width_bucket and count(*)"},
    {"approx_count_distinct", "use count(DISTINCT x)"},
    {"array_agg", NULL},
    {"string_agg", "select the rows with ORDER BY"},
    {"json_agg", NULL},
    {"corr", NULL},
    {"time_bucket_gapfill", "use time_bucket"},
    {"locf", NULL},
    {"interpolate", NULL},
    {"generate_series", NULL},
    {"row_number", "window functions are not there yet"},
    {"rank", "window functions are not there yet"},
    {"lag", "window functions are not there yet"},
    {"lead", "window functions are not there yet"},
    {"age", "subtract the timestamps"},
    {"random", NULL},
    {"regexp_replace", "use replace"},
    {"regexp_match", "use LIKE"},
    {"like_escape", "use the backslash as escape"},
};

static enum aq_status check_call(struct aq_binder *binder, PgQuery__FuncCall *call,
                                 const char *name)
{
    char what[AQ_NAME_BYTES_MAX + 8];
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcmp(refused[i].name, name) == 0) {
            snprintf(what, sizeof what, "%s is", name);
            return aq_bind_refuse(binder, call->location, what, refused[i].instead);
        }
    }
    if (call->over != NULL)
        return aq_bind_refuse(binder, call->location, "window functions are", NULL);
    if (call->func_variadic)
        return aq_bind_refuse(binder, call->location, "VARIADIC is", NULL);
    if (call->agg_star || call->agg_distinct || call->agg_filter != NULL || call->n_agg_order > 0)
        return aq_bind_error(binder, call->location, AQ_INVALID,
                             "%s is no aggregate function: *, DISTINCT, ORDER BY and FILTER do not "
                             "apply",
                             name);
    return AQ_OK;
}

enum aq_status aq_bind_function(struct aq_binder *binder, PgQuery__FuncCall *call,
                                struct aq_expr **expr)
{
    const char *name =
        aq_node_string(call->n_funcname == 0 ? NULL : call->funcname[call->n_funcname - 1]);
    if (name == NULL || strlen(name) > AQ_NAME_BYTES_MAX)
        return aq_bind_error(binder, call->location, AQ_INVALID, "this function does not exist");
    bool is_aggregate;
    (void)aq_aggregate_find(name, NULL, 0, &is_aggregate);
    if (is_aggregate)
        return bind_aggregate(binder, call, name, expr);
    AQ_TRY(check_call(binder, call, name));
    struct aq_expr **args = aq_bind_alloc(binder, (call->n_args + 1) * sizeof(struct aq_expr *));
    if (args == NULL)
        return AQ_NO_MEMORY;
    for (size_t a = 0; a < call->n_args; a++)
        AQ_TRY(aq_bind_expr(binder, call->args[a], &args[a]));
    enum aq_type type;
    bool known;
    (void)aq_function_find(name, (const struct aq_expr *const *)args, call->n_args, &known);
    if (!known && call->n_args == 1 && aq_type_parse(name, &type) == AQ_OK) {
        *expr = args[0];
        return aq_expr_coerce(binder, expr, type, true);
    }
    return aq_bind_call(binder, name, args, call->n_args, call->location, expr);
}
