/* SELECT, VALUES and UNION as plans.
 *
 * WITH names queries, FROM opens the scope, WHERE filters; GROUP BY or an aggregate makes the level
 * grouped, and the select list, HAVING and ORDER BY are rewritten to read groups. DISTINCT groups the
 * level's output by all of its columns in a plan of its own; UNION puts plans behind each other. */
#include <assert.h>
#include <string.h>

#include "engine/query/sql/bind.h"

static enum aq_status refuse_clauses(const struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    if (select->into_clause != NULL)
        return aq_bind_refuse(binder, -1, "SELECT INTO is", "a query changes nothing");
    if (select->n_window_clause > 0)
        return aq_bind_refuse(binder, -1, "the WINDOW clause is", NULL);
    if (select->n_locking_clause > 0)
        return aq_bind_refuse(binder, -1, "FOR UPDATE and FOR SHARE are",
                              "a query reads a snapshot and locks nothing");
    if (select->group_distinct)
        return aq_bind_refuse(binder, -1, "GROUP BY DISTINCT is", NULL);
    return AQ_OK;
}

static enum aq_status open_with(struct aq_binder *binder, PgQuery__WithClause *with)
{
    if (with == NULL)
        return AQ_OK;
    if (with->recursive)
        return aq_bind_refuse(binder, with->location, "WITH RECURSIVE is", NULL);
    for (size_t i = 0; i < with->n_ctes; i++) {
        PgQuery__CommonTableExpr *node = with->ctes[i]->common_table_expr;
        if (node->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
            return aq_bind_refuse(binder, node->location, "WITH of anything but SELECT is", NULL);
        struct aq_cte *cte = aq_bind_alloc(binder, sizeof *cte);
        if (cte == NULL)
            return AQ_NO_MEMORY;
        cte->name = node->ctename;
        cte->node = node;
        cte->outer = binder->ctes;
        binder->ctes = cte;
    }
    return AQ_OK;
}

static bool is_star(const PgQuery__Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return false;
    const PgQuery__ColumnRef *ref = node->column_ref;
    return ref->fields[ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

/* PostgreSQL's name of an output column without AS. `*weak` says that a cast or CASE around it may put
 * its own name over it. */
static const char *default_name(const PgQuery__Node *node, bool *weak)
{
    const char *inner;
    *weak = false;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return aq_node_string(node->column_ref->fields[node->column_ref->n_fields - 1]);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return aq_node_string(node->func_call->funcname[node->func_call->n_funcname - 1]);
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const PgQuery__TypeName *type = node->type_cast->type_name;
        inner = default_name(node->type_cast->arg, weak);
        return *weak && type->n_names > 0 ? aq_node_string(type->names[type->n_names - 1]) : inner;
    }
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        *weak = true;
        if (node->case_expr->defresult == NULL)
            return "case";
        inner = default_name(node->case_expr->defresult, weak);
        return *weak ? "case" : inner;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return "coalesce";
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least";
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return node->sqlvalue_function->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE
                   ? "current_date"
                   : "current_timestamp";
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF)
            return "nullif";
        break;
    default:
        break;
    }
    *weak = true;
    return "?column?";
}

static enum aq_status add_target(struct aq_binder *binder, const char *name, struct aq_expr *expr)
{
    struct aq_plan *plan = binder->plan;
    plan->outputs[plan->output_count++] = expr;
    plan->columns[plan->column_count++] =
        (struct aq_result_column){.name = name, .type = expr->type};
    return AQ_OK;
}

static enum aq_status add_star(struct aq_binder *binder, PgQuery__ColumnRef *ref)
{
    const char *qualifier = ref->n_fields > 1 ? aq_node_string(ref->fields[0]) : NULL;
    if (binder->column_count == 0)
        return aq_bind_error(binder, ref->location, AQ_INVALID,
                             "SELECT * with no tables specified is not valid");
    for (size_t i = 0; i < binder->column_count; i++) {
        const struct aq_scope_column *column = &binder->columns[i];
        if (qualifier != NULL && strcmp(qualifier, column->qualifier) != 0)
            return aq_bind_error(binder, ref->location, AQ_INVALID,
                                 "there is no table \"%s\" in FROM; it is called \"%s\"", qualifier,
                                 column->qualifier);
        uint32_t index;
        struct aq_expr *expr;
        AQ_TRY(aq_plan_input(binder, binder->plan, column->source, &index));
        AQ_TRY(aq_bind_column(binder, index, column->type, column->name, ref->location, &expr));
        AQ_TRY(add_target(binder, column->name, expr));
    }
    return AQ_OK;
}

static enum aq_status bind_targets(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    struct aq_plan *plan = binder->plan;
    size_t room = select->n_target_list * (binder->column_count + 1) + 1;
    plan->outputs = aq_bind_alloc(binder, room * sizeof(struct aq_expr *));
    plan->columns = aq_bind_alloc(binder, room * sizeof *plan->columns);
    if (plan->outputs == NULL || plan->columns == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < select->n_target_list; i++) {
        PgQuery__ResTarget *target = select->target_list[i]->res_target;
        if (is_star(target->val)) {
            AQ_TRY(add_star(binder, target->val->column_ref));
            continue;
        }
        struct aq_expr *expr;
        AQ_TRY(aq_bind_expr(binder, target->val, &expr));
        AQ_TRY(aq_expr_coerce_common(binder, &expr, 1, "the select list"));
        bool weak;
        bool named = target->name != NULL && target->name[0] != '\0';
        AQ_TRY(add_target(binder, named ? target->name : default_name(target->val, &weak), expr));
    }
    return AQ_OK;
}

static enum aq_status regroup_targets(struct aq_binder *binder)
{
    struct aq_plan *plan = binder->plan;
    for (size_t i = 0; i < plan->output_count; i++)
        AQ_TRY(aq_bind_regroup(binder, &plan->outputs[i]));
    return AQ_OK;
}

static enum aq_status bind_clauses(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    struct aq_plan *plan = binder->plan;
    AQ_TRY(aq_bind_from(binder, select));
    if (select->where_clause != NULL) {
        binder->no_aggregates = "WHERE";
        AQ_TRY(aq_bind_condition(binder, select->where_clause, "WHERE", &plan->where));
        binder->no_aggregates = NULL;
    }
    AQ_TRY(aq_bind_groups(binder, select, select->target_list, select->n_target_list));
    AQ_TRY(bind_targets(binder, select));
    if (select->having_clause != NULL) {
        AQ_TRY(aq_bind_condition(binder, select->having_clause, "HAVING", &plan->having));
        plan->grouped = true;
    }
    plan->grouped |= plan->aggregate_count > 0;
    /* ORDER BY may hold the only aggregate: SELECT 1 FROM t ORDER BY count(*). */
    if (plan->grouped) {
        AQ_TRY(regroup_targets(binder));
        if (plan->having != NULL)
            AQ_TRY(aq_bind_regroup(binder, &plan->having));
    }
    return AQ_OK;
}

/* DISTINCT: a level over the one below, grouped by every column of it. */
static enum aq_status distinct_over(struct aq_binder *binder, struct aq_plan *child)
{
    struct aq_plan *plan;
    AQ_TRY(aq_plan_create(binder, &plan));
    AQ_TRY(aq_plan_over(binder, plan, child));
    plan->source_name = "distinct";
    binder->plan = plan;
    binder->column_count = 0;
    size_t count = child->column_count;
    plan->grouped = true;
    plan->columns = child->columns;
    plan->groups = aq_bind_alloc(binder, (count + 1) * sizeof(struct aq_expr *));
    plan->outputs = aq_bind_alloc(binder, (count + 1) * sizeof(struct aq_expr *));
    if (plan->groups == NULL || plan->outputs == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct aq_result_column *column = &child->columns[i];
        if (column->type == AQ_TYPE_JSON)
            return aq_bind_error(binder, -1, AQ_INVALID,
                                 "json has no equality; select its text: x::text");
        uint32_t index;
        AQ_TRY(aq_plan_input(binder, plan, (uint32_t)i, &index));
        AQ_TRY(aq_bind_column(binder, index, column->type, column->name, -1, &plan->groups[i]));
        AQ_TRY(
            aq_bind_column(binder, (uint32_t)i, column->type, column->name, -1, &plan->outputs[i]));
    }
    plan->group_count = count;
    plan->output_count = count;
    plan->column_count = count;
    plan->eager_input_count = plan->input_count;
    return AQ_OK;
}

/* SELECT DISTINCT a + b ... ORDER BY a + b: the sort expression must be one of the outputs. */
static enum aq_status bind_distinct(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    if (select->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET)
        return aq_bind_refuse(binder, aq_node_location(select->distinct_clause[0]),
                              "DISTINCT ON is", "use GROUP BY with first(value, ts)");
    struct aq_plan *inner = binder->plan;
    AQ_TRY(aq_bind_order(binder, select, false));
    if (inner->output_count > inner->column_count)
        return aq_bind_error(
            binder, inner->outputs[inner->column_count]->location, AQ_INVALID,
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    struct aq_sort_key *sorts = inner->sorts;
    size_t sort_count = inner->sort_count;
    inner->sort_count = 0;
    AQ_TRY(aq_bind_ties(binder));
    AQ_TRY(distinct_over(binder, inner));
    binder->plan->sorts = sorts;
    binder->plan->sort_count = sort_count;
    return aq_bind_limit(binder, select);
}

static enum aq_status bind_simple(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    AQ_TRY(bind_clauses(binder, select));
    if (select->n_distinct_clause > 0)
        return bind_distinct(binder, select);
    AQ_TRY(aq_bind_order(binder, select, false));
    if (binder->plan->aggregate_count > 0 && !binder->plan->grouped)
        return aq_bind_refuse(binder, binder->plan->aggregates[0].location,
                              "an aggregate in ORDER BY alone is",
                              "put it in the select list, too");
    AQ_TRY(aq_bind_ties(binder));
    return aq_bind_limit(binder, select);
}

/* VALUES (1, 'a'), (2, 'b'): columns column1, column2 ... */
static enum aq_status bind_values(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    struct aq_plan *plan = binder->plan;
    size_t row_count = select->n_values_lists;
    size_t width = select->values_lists[0]->list->n_items;
    plan->source = AQ_SOURCE_VALUES;
    plan->values = aq_bind_alloc(binder, row_count * width * sizeof(struct aq_expr *));
    plan->source_columns = aq_bind_alloc(binder, width * sizeof *plan->source_columns);
    plan->outputs = aq_bind_alloc(binder, width * sizeof(struct aq_expr *));
    struct aq_expr **column = aq_bind_alloc(binder, row_count * sizeof(struct aq_expr *));
    if (plan->values == NULL || plan->source_columns == NULL || plan->outputs == NULL ||
        column == NULL)
        return AQ_NO_MEMORY;
    plan->value_row_count = row_count;
    plan->source_column_count = width;
    binder->no_aggregates = "VALUES";
    for (size_t c = 0; c < width; c++) {
        for (size_t r = 0; r < row_count; r++) {
            PgQuery__List *list = select->values_lists[r]->list;
            if (list->n_items != width)
                return aq_bind_error(binder, aq_node_location(list->items[0]), AQ_INVALID,
                                     "VALUES lists must all be the same length");
            AQ_TRY(aq_bind_expr(binder, list->items[c], &column[r]));
        }
        AQ_TRY(aq_expr_coerce_common(binder, column, row_count, "VALUES"));
        for (size_t r = 0; r < row_count; r++)
            plan->values[r * width + c] = column[r];
        char *name = aq_arena_format(binder->session.arena, "column%zu", c + 1);
        if (name == NULL)
            return AQ_NO_MEMORY;
        plan->source_columns[c] = (struct aq_result_column){.name = name, .type = column[0]->type};
        uint32_t index;
        AQ_TRY(aq_plan_input(binder, plan, (uint32_t)c, &index));
        AQ_TRY(aq_bind_column(binder, index, column[0]->type, name, -1, &plan->outputs[c]));
    }
    binder->no_aggregates = NULL;
    plan->columns = plan->source_columns;
    plan->column_count = width;
    plan->output_count = width;
    plan->eager_input_count = plan->input_count;
    AQ_TRY(aq_bind_order(binder, select, true));
    return aq_bind_limit(binder, select);
}

/* Give `child` the column types of the union by a level of casts over it. */
static enum aq_status cast_child(struct aq_binder *binder, const struct aq_result_column *columns,
                                 struct aq_plan **child)
{
    struct aq_plan *plan;
    struct aq_binder inner = *binder;
    AQ_TRY(aq_plan_create(binder, &plan));
    AQ_TRY(aq_plan_over(binder, plan, *child));
    inner.plan = plan;
    size_t count = (*child)->column_count;
    plan->columns = aq_bind_alloc(binder, (count + 1) * sizeof *plan->columns);
    plan->outputs = aq_bind_alloc(binder, (count + 1) * sizeof(struct aq_expr *));
    if (plan->columns == NULL || plan->outputs == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        uint32_t index;
        AQ_TRY(aq_plan_input(&inner, plan, (uint32_t)i, &index));
        AQ_TRY(aq_bind_column(&inner, index, (*child)->columns[i].type, (*child)->columns[i].name,
                              -1, &plan->outputs[i]));
        AQ_TRY(aq_expr_coerce(&inner, &plan->outputs[i], columns[i].type, false));
        plan->columns[i] = columns[i];
    }
    plan->output_count = count;
    plan->column_count = count;
    plan->eager_input_count = plan->input_count;
    *child = plan;
    return AQ_OK;
}

static enum aq_status union_columns(struct aq_binder *binder, struct aq_plan *left,
                                    struct aq_plan *right, struct aq_result_column *columns)
{
    for (size_t i = 0; i < left->column_count; i++) {
        struct aq_expr a = {.type = left->columns[i].type};
        struct aq_expr b = {.type = right->columns[i].type};
        enum aq_type type = aq_expr_common_type((struct aq_expr *const[]){&a, &b}, 2);
        if (type == 0)
            return aq_bind_error(binder, -1, AQ_INVALID,
                                 "UNION types %s and %s of column \"%s\" cannot be matched; cast "
                                 "one of them",
                                 aq_type_name(a.type), aq_type_name(b.type), left->columns[i].name);
        columns[i] = (struct aq_result_column){.name = left->columns[i].name, .type = type};
    }
    return AQ_OK;
}

static enum aq_status bind_union(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_UNION)
        return aq_bind_refuse(binder, -1, "INTERSECT and EXCEPT are", NULL);
    struct aq_plan *sides[2] = {NULL, NULL};
    AQ_TRY(aq_bind_select(binder, select->larg, &sides[0]));
    AQ_TRY(aq_bind_select(binder, select->rarg, &sides[1]));
    assert(sides[0] != NULL && sides[1] != NULL);
    size_t count = sides[0]->column_count;
    if (count != sides[1]->column_count)
        return aq_bind_error(binder, -1, AQ_INVALID,
                             "each UNION query must have the same number of columns");
    struct aq_result_column *columns = aq_bind_alloc(binder, (count + 1) * sizeof *columns);
    struct aq_plan **children = aq_bind_alloc(binder, 2 * sizeof(struct aq_plan *));
    if (columns == NULL || children == NULL)
        return AQ_NO_MEMORY;
    AQ_TRY(union_columns(binder, sides[0], sides[1], columns));
    for (size_t i = 0; i < 2; i++)
        AQ_TRY(cast_child(binder, columns, &sides[i]));
    struct aq_plan *plan = binder->plan;
    AQ_TRY(aq_plan_over(binder, plan, sides[0]));
    children[0] = sides[0];
    children[1] = sides[1];
    plan->children = children;
    plan->child_count = 2;
    plan->source_name = "union";
    plan->columns = columns;
    plan->outputs = aq_bind_alloc(binder, (count + 1) * sizeof(struct aq_expr *));
    if (plan->outputs == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        uint32_t index;
        AQ_TRY(aq_plan_input(binder, plan, (uint32_t)i, &index));
        AQ_TRY(
            aq_bind_column(binder, index, columns[i].type, columns[i].name, -1, &plan->outputs[i]));
    }
    plan->output_count = count;
    plan->column_count = count;
    plan->eager_input_count = plan->input_count;
    if (!select->all)
        AQ_TRY(distinct_over(binder, plan));
    AQ_TRY(aq_bind_order(binder, select, true));
    return aq_bind_limit(binder, select);
}

enum aq_status aq_bind_select(const struct aq_binder *outer, PgQuery__SelectStmt *select,
                              struct aq_plan **plan)
{
    struct aq_binder binder = *outer;
    binder.columns = NULL;
    binder.column_count = 0;
    binder.no_aggregates = NULL;
    binder.in_aggregate = false;
    binder.depth = outer->depth + 1;
    if (binder.depth > 200)
        return aq_bind_error(outer, -1, AQ_LIMIT, "queries are nested more than 200 deep");
    AQ_TRY(aq_plan_create(outer, &binder.plan));
    AQ_TRY(refuse_clauses(&binder, select));
    AQ_TRY(open_with(&binder, select->with_clause));
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        AQ_TRY(bind_union(&binder, select));
    else if (select->n_values_lists > 0)
        AQ_TRY(bind_values(&binder, select));
    else
        AQ_TRY(bind_simple(&binder, select));
    *plan = binder.plan;
    return AQ_OK;
}
