/* ORDER BY, LIMIT and OFFSET. */
#include <string.h>

#include "engine/query/sql/bind.h"

static enum aq_status ordinal_output(struct aq_binder *binder, const PgQuery__AConst *constant,
                                     uint32_t *output)
{
    if (constant->val_case != PG_QUERY__A__CONST__VAL_IVAL || constant->isnull)
        return aq_bind_error(binder, constant->location, AQ_INVALID,
                             "non-integer constant in ORDER BY");
    int32_t ordinal = constant->ival->ival;
    if (ordinal < 1 || (size_t)ordinal > binder->plan->column_count)
        return aq_bind_error(binder, constant->location, AQ_INVALID,
                             "ORDER BY position %d is not in the select list", ordinal);
    *output = (uint32_t)ordinal - 1;
    return AQ_OK;
}

/* The output column of that name; *output = UINT32_MAX if there is none. */
static enum aq_status named_output(struct aq_binder *binder, const char *name, int location,
                                   uint32_t *output)
{
    const struct aq_plan *plan = binder->plan;
    *output = UINT32_MAX;
    for (size_t i = 0; i < plan->column_count; i++) {
        if (strcmp(plan->columns[i].name, name) != 0)
            continue;
        if (*output != UINT32_MAX && !aq_expr_equal(plan->outputs[*output], plan->outputs[i]))
            return aq_bind_error(binder, location, AQ_INVALID, "ORDER BY \"%s\" is ambiguous",
                                 name);
        if (*output == UINT32_MAX)
            *output = (uint32_t)i;
    }
    return AQ_OK;
}

static enum aq_status add_output(struct aq_binder *binder, struct aq_expr *expr, uint32_t *output)
{
    struct aq_plan *plan = binder->plan;
    for (size_t i = 0; i < plan->output_count; i++) {
        if (aq_expr_equal(plan->outputs[i], expr)) {
            *output = (uint32_t)i;
            return AQ_OK;
        }
    }
    struct aq_expr **grown =
        aq_bind_alloc(binder, (plan->output_count + 1) * sizeof(struct aq_expr *));
    if (grown == NULL)
        return AQ_NO_MEMORY;
    if (plan->output_count > 0)
        memcpy(grown, plan->outputs, plan->output_count * sizeof(struct aq_expr *));
    grown[plan->output_count] = expr;
    plan->outputs = grown;
    *output = (uint32_t)plan->output_count++;
    return AQ_OK;
}

static enum aq_status sort_output(struct aq_binder *binder, PgQuery__Node *node, bool outputs_only,
                                  uint32_t *output)
{
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return ordinal_output(binder, node->a_const, output);
    int location = aq_node_location(node);
    if (node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node->column_ref->n_fields == 1 &&
        aq_node_string(node->column_ref->fields[0]) != NULL) {
        AQ_TRY(named_output(binder, aq_node_string(node->column_ref->fields[0]), location, output));
        if (*output != UINT32_MAX)
            return AQ_OK;
    }
    if (outputs_only)
        return aq_bind_error(binder, location, AQ_INVALID,
                             "ORDER BY may only name or number output columns here");
    struct aq_expr *expr;
    AQ_TRY(aq_bind_expr(binder, node, &expr));
    AQ_TRY(aq_expr_coerce_common(binder, &expr, 1, "ORDER BY"));
    if (binder->plan->grouped)
        AQ_TRY(aq_bind_regroup(binder, &expr));
    return add_output(binder, expr, output);
}

enum aq_status aq_bind_order(struct aq_binder *binder, PgQuery__SelectStmt *select,
                             bool outputs_only)
{
    struct aq_plan *plan = binder->plan;
    plan->sorts = aq_bind_alloc(binder, (select->n_sort_clause + 1) * sizeof *plan->sorts);
    if (plan->sorts == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        PgQuery__SortBy *sort = select->sort_clause[i]->sort_by;
        if (sort->n_use_op > 0)
            return aq_bind_refuse(binder, sort->location, "ORDER BY ... USING is",
                                  "write ASC or DESC");
        struct aq_sort_key *key = &plan->sorts[plan->sort_count];
        AQ_TRY(sort_output(binder, sort->node, outputs_only, &key->output));
        if (plan->outputs != NULL && plan->outputs[key->output]->type == AQ_TYPE_JSON)
            return aq_bind_error(binder, aq_node_location(sort->node), AQ_INVALID,
                                 "json has no order; sort by its text: x::text");
        key->descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        key->nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                               ? key->descending
                               : sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
        plan->sort_count++;
    }
    return AQ_OK;
}

static enum aq_status limit_value(struct aq_binder *binder, PgQuery__Node *node, const char *clause,
                                  bool *present, uint64_t *value)
{
    *present = false;
    if (node == NULL)
        return AQ_OK;
    struct aq_expr *expr;
    AQ_TRY(aq_bind_expr(binder, node, &expr));
    AQ_TRY(aq_expr_coerce(binder, &expr, AQ_TYPE_BIGINT, true));
    if (expr->kind != AQ_EXPR_CONST)
        return aq_bind_error(binder, aq_node_location(node), AQ_INVALID, "%s must be a constant",
                             clause);
    if (expr->null) /* LIMIT ALL, LIMIT NULL */
        return AQ_OK;
    if (expr->value.integer < 0)
        return aq_bind_error(binder, aq_node_location(node), AQ_INVALID, "%s must not be negative",
                             clause);
    *present = true;
    *value = (uint64_t)expr->value.integer;
    return AQ_OK;
}

enum aq_status aq_bind_limit(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    struct aq_plan *plan = binder->plan;
    if (select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return aq_bind_refuse(binder, aq_node_location(select->limit_count),
                              "FETCH ... WITH TIES is", NULL);
    /* Columns mean nothing here. */
    struct aq_binder bare = *binder;
    bare.column_count = 0;
    bare.no_aggregates = "LIMIT";
    bool has_offset;
    AQ_TRY(limit_value(&bare, select->limit_count, "LIMIT", &plan->has_limit, &plan->limit));
    return limit_value(&bare, select->limit_offset, "OFFSET", &has_offset, &plan->offset);
}
