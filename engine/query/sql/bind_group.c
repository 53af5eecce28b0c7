/* GROUP BY: what is grouped by, and the rewriting of expressions to read groups and aggregates. */
#include <string.h>

#include "engine/query/exec/aggregate/aggregate.h"
#include "engine/query/sql/bind.h"

static const PgQuery__ResTarget *target_named(PgQuery__Node **targets, size_t target_count,
                                              const char *name)
{
    for (size_t i = 0; i < target_count; i++) {
        const char *alias = targets[i]->res_target->name;
        if (alias != NULL && strcmp(alias, name) == 0)
            return targets[i]->res_target;
    }
    return NULL;
}

static bool names_column(const struct aq_binder *binder, const char *name)
{
    for (size_t i = 0; i < binder->column_count; i++)
        if (strcmp(binder->columns[i].name, name) == 0)
            return true;
    return false;
}

/* An ordinal, else a column of the source, else an alias, else an expression. */
static enum aq_status group_node(struct aq_binder *binder, PgQuery__Node *node,
                                 PgQuery__Node **targets, size_t target_count,
                                 PgQuery__Node **meant)
{
    *meant = node;
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
        return aq_bind_refuse(binder, aq_node_location(node), "GROUPING SETS, ROLLUP and CUBE are",
                              "run one query for each grouping");
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        const PgQuery__AConst *constant = node->a_const;
        if (constant->val_case != PG_QUERY__A__CONST__VAL_IVAL || constant->isnull)
            return aq_bind_error(binder, constant->location, AQ_INVALID,
                                 "non-integer constant in GROUP BY");
        int32_t ordinal = constant->ival->ival;
        if (ordinal < 1 || (size_t)ordinal > target_count)
            return aq_bind_error(binder, constant->location, AQ_INVALID,
                                 "GROUP BY position %d is not in the select list", ordinal);
        *meant = targets[ordinal - 1]->res_target->val;
        return AQ_OK;
    }
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1)
        return AQ_OK;
    const char *name = aq_node_string(node->column_ref->fields[0]);
    if (name == NULL || names_column(binder, name))
        return AQ_OK;
    const PgQuery__ResTarget *target = target_named(targets, target_count, name);
    if (target != NULL)
        *meant = target->val;
    return AQ_OK;
}

enum aq_status aq_bind_groups(struct aq_binder *binder, PgQuery__SelectStmt *select,
                              PgQuery__Node **targets, size_t target_count)
{
    struct aq_plan *plan = binder->plan;
    if (select->n_group_clause == 0)
        return AQ_OK;
    plan->grouped = true;
    plan->groups = aq_bind_alloc(binder, select->n_group_clause * sizeof(struct aq_expr *));
    if (plan->groups == NULL)
        return AQ_NO_MEMORY;
    binder->no_aggregates = "GROUP BY";
    for (size_t i = 0; i < select->n_group_clause; i++) {
        PgQuery__Node *node;
        struct aq_expr *expr;
        AQ_TRY(group_node(binder, select->group_clause[i], targets, target_count, &node));
        AQ_TRY(aq_bind_expr(binder, node, &expr));
        AQ_TRY(aq_expr_coerce_common(binder, &expr, 1, "GROUP BY"));
        if (expr->type == AQ_TYPE_JSON)
            return aq_bind_error(binder, expr->location, AQ_INVALID,
                                 "json has no equality; group by its text: x::text");
        plan->groups[plan->group_count++] = expr;
    }
    binder->no_aggregates = NULL;
    return AQ_OK;
}

static void become_column(struct aq_expr *expr, uint32_t index)
{
    expr->kind = AQ_EXPR_COLUMN;
    expr->index = index;
    expr->arg_count = 0;
    expr->kernel = NULL;
    expr->info = NULL;
    expr->info_size = 0;
}

enum aq_status aq_bind_regroup(struct aq_binder *binder, struct aq_expr **expr)
{
    struct aq_plan *plan = binder->plan;
    struct aq_expr *node = *expr;
    if (node->kind == AQ_EXPR_AGGREGATE) {
        become_column(node, (uint32_t)plan->group_count + node->index);
        return AQ_OK;
    }
    if (node->kind == AQ_EXPR_CONST)
        return AQ_OK;
    for (size_t g = 0; g < plan->group_count; g++) {
        if (!aq_expr_equal(node, plan->groups[g]))
            continue;
        AQ_TRY(aq_bind_column(binder, (uint32_t)g, node->type, node->name, node->location, expr));
        return AQ_OK;
    }
    if (node->kind == AQ_EXPR_COLUMN)
        return aq_bind_error(binder, node->location, AQ_INVALID,
                             "column \"%s\" must appear in the GROUP BY clause or be used in an "
                             "aggregate function",
                             node->name);
    for (size_t a = 0; a < node->arg_count; a++)
        AQ_TRY(aq_bind_regroup(binder, &node->args[a]));
    return AQ_OK;
}

static bool is_grouped_by(const struct aq_plan *plan, uint32_t input)
{
    for (size_t g = 0; g < plan->group_count; g++)
        if (plan->groups[g]->kind == AQ_EXPR_COLUMN && plan->groups[g]->index == input)
            return true;
    return false;
}

static enum aq_status add_tie(struct aq_binder *binder, uint32_t source)
{
    struct aq_plan *plan = binder->plan;
    uint32_t input;
    AQ_TRY(aq_plan_input(binder, plan, source, &input));
    if (is_grouped_by(plan, input))
        return AQ_OK; /* the same in all rows of a group */
    for (size_t t = 0; t < plan->tie_count; t++)
        if (plan->ties[t] == input)
            return AQ_OK;
    plan->ties[plan->tie_count++] = input;
    return AQ_OK;
}

static enum aq_status add_tie_of_schema(struct aq_binder *binder, uint32_t column)
{
    struct aq_plan *plan = binder->plan;
    for (size_t i = 0; column != AQ_COLUMN_NONE && i < plan->source_column_count; i++)
        if (plan->source_ids[i] == column)
            return add_tie(binder, (uint32_t)i);
    return AQ_OK;
}

/* first and last of rows with equal times: by key, series, time, then the columns as declared. */
enum aq_status aq_bind_ties(struct aq_binder *binder)
{
    struct aq_plan *plan = binder->plan;
    bool needed = false;
    for (size_t i = 0; i < plan->aggregate_count; i++)
        needed |= plan->aggregates[i].function->uses_ties;
    plan->eager_input_count = plan->input_count;
    if (!needed)
        return AQ_OK;
    plan->ties = aq_bind_alloc(binder, (plan->source_column_count + 1) * sizeof(uint32_t));
    if (plan->ties == NULL)
        return AQ_NO_MEMORY;
    if (plan->schema != NULL) {
        AQ_TRY(add_tie_of_schema(binder, plan->schema->key_column));
        for (size_t i = 0; i < plan->schema->series_count; i++)
            AQ_TRY(add_tie_of_schema(binder, plan->schema->series[i]));
        AQ_TRY(add_tie_of_schema(binder, plan->schema->time_column));
    }
    plan->eager_tie_count = plan->tie_count;
    plan->eager_input_count = plan->input_count;
    for (size_t i = 0; i < plan->source_column_count; i++)
        AQ_TRY(add_tie(binder, (uint32_t)i));
    if (plan->schema == NULL) {
        plan->eager_tie_count = plan->tie_count;
        plan->eager_input_count = plan->input_count;
    }
    return AQ_OK;
}
