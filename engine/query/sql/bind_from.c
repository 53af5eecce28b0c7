/* FROM: a dataset, a WITH query, a recorded view, one of the store's own tables, or a subquery. */
#include <stdio.h>
#include <string.h>

#include "engine/query/sql/bind.h"
#include "engine/query/system_tables/system_table.h"
#include "format/table/nearest.h"

#define VIEW_DEPTH_MAX 32

enum aq_status aq_plan_create(const struct aq_binder *binder, struct aq_plan **plan)
{
    *plan = aq_bind_alloc(binder, sizeof **plan);
    if (*plan == NULL)
        return AQ_NO_MEMORY;
    (*plan)->sql = binder->session.sql;
    (*plan)->source_name = "";
    return AQ_OK;
}

enum aq_status aq_plan_over(const struct aq_binder *binder, struct aq_plan *plan,
                            struct aq_plan *child)
{
    plan->source = AQ_SOURCE_PLANS;
    plan->children = aq_bind_alloc(binder, sizeof(struct aq_plan *));
    plan->source_ids = aq_bind_alloc(binder, (child->column_count + 1) * sizeof(uint32_t));
    if (plan->children == NULL || plan->source_ids == NULL)
        return AQ_NO_MEMORY;
    plan->children[0] = child;
    plan->child_count = 1;
    plan->source_column_count = child->column_count;
    plan->source_columns = child->columns;
    for (size_t i = 0; i < child->column_count; i++)
        plan->source_ids[i] = (uint32_t)i;
    return AQ_OK;
}

enum aq_status aq_plan_input(const struct aq_binder *binder, struct aq_plan *plan, uint32_t source,
                             uint32_t *index)
{
    for (size_t i = 0; i < plan->input_count; i++) {
        if (plan->inputs[i] == source) {
            *index = (uint32_t)i;
            return AQ_OK;
        }
    }
    if (plan->inputs == NULL) {
        plan->inputs = aq_bind_alloc(binder, (plan->source_column_count + 1) * sizeof(uint32_t));
        if (plan->inputs == NULL)
            return AQ_NO_MEMORY;
    }
    *index = (uint32_t)plan->input_count;
    plan->inputs[plan->input_count++] = source;
    return AQ_OK;
}

/* The plan's source columns become what names can refer to, renamed by `names` where given. */
static enum aq_status open_scope(struct aq_binder *binder, const char *qualifier,
                                 PgQuery__Node **names, size_t name_count, int location)
{
    struct aq_plan *plan = binder->plan;
    if (name_count > plan->source_column_count)
        return aq_bind_error(binder, location, AQ_INVALID,
                             "\"%s\" has %zu columns, but %zu names were given", qualifier,
                             plan->source_column_count, name_count);
    binder->column_count = plan->source_column_count;
    binder->columns = aq_bind_alloc(binder, (binder->column_count + 1) * sizeof *binder->columns);
    if (binder->columns == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < binder->column_count; i++) {
        const char *name = i < name_count ? aq_node_string(names[i]) : NULL;
        binder->columns[i] = (struct aq_scope_column){
            .name = name != NULL ? name : plan->source_columns[i].name,
            .qualifier = qualifier,
            .type = plan->source_columns[i].type,
            .source = (uint32_t)i,
        };
    }
    return AQ_OK;
}

static enum aq_status scope_of_alias(struct aq_binder *binder, const char *name,
                                     const PgQuery__Alias *alias, int location)
{
    if (alias == NULL)
        return open_scope(binder, name, NULL, 0, location);
    return open_scope(binder, alias->aliasname, alias->colnames, alias->n_colnames, location);
}

static enum aq_status from_dataset(struct aq_binder *binder, const struct aq_schema *schema)
{
    struct aq_plan *plan = binder->plan;
    plan->source = AQ_SOURCE_DATASET;
    plan->schema = schema;
    plan->source_columns =
        aq_bind_alloc(binder, (schema->column_count + 1) * sizeof *plan->source_columns);
    plan->source_ids = aq_bind_alloc(binder, (schema->column_count + 1) * sizeof(uint32_t));
    if (plan->source_columns == NULL || plan->source_ids == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].hidden)
            continue;
        size_t at = plan->source_column_count++;
        plan->source_columns[at] = (struct aq_result_column){.name = schema->columns[i].name,
                                                             .type = schema->columns[i].type};
        plan->source_ids[at] = (uint32_t)i;
    }
    return AQ_OK;
}

static enum aq_status from_table(struct aq_binder *binder, const struct aq_system_table *table)
{
    struct aq_plan *plan = binder->plan;
    plan->table = table;
    AQ_TRY(table->units(binder->catalog, binder->session.arena, &plan->table_units,
                        &plan->table_unit_count));
    return from_dataset(binder, &table->schema);
}

static enum aq_status check_depth(struct aq_binder *binder, int location)
{
    if (binder->view_depth < VIEW_DEPTH_MAX)
        return AQ_OK;
    return aq_bind_error(binder, location, AQ_LIMIT,
                         "views and subqueries are nested more than %d deep: does a view read "
                         "itself?",
                         VIEW_DEPTH_MAX);
}

/* A view's text has positions of its own and sees no WITH queries. */
static enum aq_status from_view(struct aq_binder *binder, const struct aq_catalog_view *view)
{
    struct aq_arena *arena = binder->session.arena;
    struct aq_sql_text *sql = aq_bind_alloc(binder, sizeof *sql);
    char *text = aq_arena_format(arena, "%.*s", (int)view->sql.size, (const char *)view->sql.data);
    char *label = aq_arena_format(arena, "view \"%.*s\": ", (int)view->name.size,
                                  (const char *)view->name.data);
    if (sql == NULL || text == NULL || label == NULL)
        return AQ_NO_MEMORY;
    sql->text = text;
    sql->label = label;
    struct aq_binder inner = *binder;
    inner.session.sql = sql;
    inner.ctes = NULL;
    inner.view_depth++;
    PgQuery__Node *statement;
    AQ_TRY(aq_sql_parse(sql, arena, &statement, binder->session.err));
    if (statement->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return aq_error_set(binder->session.err, AQ_INVALID, "%sis no SELECT", label);
    struct aq_plan *child;
    AQ_TRY(aq_bind_select(&inner, statement->select_stmt, &child));
    return aq_plan_over(binder, binder->plan, child);
}

static enum aq_status from_cte(struct aq_binder *binder, const struct aq_cte *cte)
{
    struct aq_binder inner = *binder;
    inner.ctes = cte->outer;
    inner.view_depth++;
    struct aq_plan *child;
    AQ_TRY(aq_bind_select(&inner, cte->node->ctequery->select_stmt, &child));
    AQ_TRY(aq_plan_over(binder, binder->plan, child));
    size_t name_count = cte->node->n_aliascolnames;
    if (name_count > child->column_count)
        return aq_bind_error(binder, cte->node->location, AQ_INVALID,
                             "WITH query \"%s\" has %zu columns, but %zu names were given",
                             cte->name, child->column_count, name_count);
    struct aq_result_column *columns =
        aq_bind_alloc(binder, (child->column_count + 1) * sizeof *columns);
    if (columns == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < child->column_count; i++) {
        columns[i] = child->columns[i];
        if (i < name_count)
            columns[i].name = aq_node_string(cte->node->aliascolnames[i]);
    }
    binder->plan->source_columns = columns;
    return AQ_OK;
}

static enum aq_status unknown_relation(struct aq_binder *binder, const char *name, int location)
{
    const struct aq_catalog *catalog = binder->catalog;
    size_t count = 0;
    size_t room = catalog->dataset_count + catalog->view_count + AQ_SYSTEM_TABLE_COUNT;
    const char **names = aq_bind_alloc(binder, room * sizeof(const char *));
    if (names == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < catalog->dataset_count; i++)
        names[count++] =
            catalog->datasets[i].versions[catalog->datasets[i].version_count - 1].dataset;
    for (size_t i = 0; i < catalog->view_count; i++)
        names[count++] =
            aq_arena_format(binder->session.arena, "%.*s", (int)catalog->views[i].name.size,
                            (const char *)catalog->views[i].name.data);
    for (size_t i = 0; i < AQ_SYSTEM_TABLE_COUNT; i++)
        names[count++] = aq_system_table_at(i)->schema.dataset;
    const char *near = aq_nearest_word(aq_slice_of(name), names, count);
    return aq_bind_error(binder, location, AQ_INVALID, "relation \"%s\" does not exist%s%s%s", name,
                         near == NULL ? "; SHOW TABLES lists what there is" : "; did you mean \"",
                         near == NULL ? "" : near, near == NULL ? "" : "\"?");
}

static enum aq_status from_name(struct aq_binder *binder, PgQuery__RangeVar *range)
{
    const char *name = range->relname;
    if (range->schemaname != NULL && range->schemaname[0] != '\0' &&
        strcmp(range->schemaname, "public") != 0)
        return aq_bind_refuse(binder, range->location, "schemas are",
                              "write the dataset's name alone");
    binder->plan->source_name = name;
    AQ_TRY(check_depth(binder, range->location));
    for (const struct aq_cte *cte = binder->ctes; cte != NULL; cte = cte->outer) {
        if (strcmp(cte->name, name) == 0) {
            AQ_TRY(from_cte(binder, cte));
            return scope_of_alias(binder, name, range->alias, range->location);
        }
    }
    const struct aq_schema *schema = aq_catalog_schema(binder->catalog, name);
    const struct aq_catalog_view *view = aq_catalog_view(binder->catalog, name);
    const struct aq_system_table *table = aq_system_table(name);
    if (table != NULL)
        AQ_TRY(from_table(binder, table));
    else if (schema != NULL)
        AQ_TRY(from_dataset(binder, schema));
    else if (view != NULL)
        AQ_TRY(from_view(binder, view));
    else
        return unknown_relation(binder, name, range->location);
    return scope_of_alias(binder, name, range->alias, range->location);
}

static enum aq_status from_subquery(struct aq_binder *binder, PgQuery__RangeSubselect *range)
{
    int location = -1;
    if (range->lateral)
        return aq_bind_refuse(binder, location, "LATERAL is", NULL);
    if (range->alias == NULL)
        return aq_bind_error(binder, location, AQ_INVALID,
                             "subquery in FROM must have an alias; write (SELECT ...) AS name");
    AQ_TRY(check_depth(binder, location));
    struct aq_binder inner = *binder;
    inner.view_depth++;
    struct aq_plan *child;
    AQ_TRY(aq_bind_select(&inner, range->subquery->select_stmt, &child));
    AQ_TRY(aq_plan_over(binder, binder->plan, child));
    binder->plan->source_name = range->alias->aliasname;
    return scope_of_alias(binder, range->alias->aliasname, range->alias, location);
}

enum aq_status aq_bind_from(struct aq_binder *binder, PgQuery__SelectStmt *select)
{
    binder->columns = NULL;
    binder->column_count = 0;
    if (select->n_from_clause == 0) {
        binder->plan->source = AQ_SOURCE_ONE_ROW;
        return AQ_OK;
    }
    if (select->n_from_clause > 1)
        return aq_bind_refuse(binder, aq_node_location(select->from_clause[1]), "joins are",
                              "query one dataset at a time");
    PgQuery__Node *node = select->from_clause[0];
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return from_name(binder, node->range_var);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return from_subquery(binder, node->range_subselect);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        return aq_bind_refuse(binder, aq_node_location(node->join_expr->rarg), "joins are",
                              "query one dataset at a time");
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return aq_bind_refuse(binder, -1, "functions in FROM are", NULL);
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        return aq_bind_refuse(binder, node->range_table_sample->location, "TABLESAMPLE is", NULL);
    default:
        return aq_bind_refuse(binder, aq_node_location(node), "this kind of FROM is", NULL);
    }
}
