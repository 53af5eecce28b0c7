/* A plan as indented lines, outermost step first. */
#include "engine/query/explain.h"

#include <stdio.h>
#include <string.h>

#include "engine/query/exec/aggregate/aggregate.h"
#include "engine/query/exec/execute.h"
#include "engine/query/expression/function.h"

struct writer {
    struct aq_bytes *out;
    struct aq_snapshot *snapshot;
    const struct aq_zone *zone;
    struct aq_error *err;
    unsigned depth;
};

AQ_PRINTF(2, 3) static void put(struct writer *writer, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    aq_bytes_append(writer->out, text, strlen(text));
}

/* A new line, one step further in. */
static void step(struct writer *writer)
{
    for (unsigned i = 0; i < writer->depth; i++)
        put(writer, "  ");
    if (writer->depth > 0)
        put(writer, "-> ");
    writer->depth++;
}

static void put_constant(struct writer *writer, const struct aq_expr *expr)
{
    if (expr->null) {
        put(writer, "NULL");
        return;
    }
    bool quoted = expr->type != AQ_TYPE_INTEGER && expr->type != AQ_TYPE_BIGINT &&
                  expr->type != AQ_TYPE_DOUBLE && expr->type != AQ_TYPE_REAL;
    put(writer, "%s", quoted ? "'" : "");
    aq_value_format(expr->type, expr->value, writer->zone, writer->out);
    put(writer, "%s", quoted ? "'" : "");
}

static void put_expr(struct writer *writer, const struct aq_expr *expr)
{
    bool infix = expr->kind == AQ_EXPR_CALL && expr->arg_count == 2 &&
                 !((expr->name[0] | 0x20) >= 'a' && (expr->name[0] | 0x20) <= 'z');
    const char *separator = ", ";
    if (expr->kind == AQ_EXPR_CONST) {
        put_constant(writer, expr);
        return;
    }
    if (expr->kind == AQ_EXPR_COLUMN) {
        put(writer, "%s", expr->name[0] == '\0' ? "(group)" : expr->name);
        return;
    }
    if (expr->kind == AQ_EXPR_AND || expr->kind == AQ_EXPR_OR)
        separator = expr->kind == AQ_EXPR_AND ? " AND " : " OR ";
    else if (expr->kind == AQ_EXPR_CASE)
        put(writer, "case");
    else if (expr->kind == AQ_EXPR_COALESCE)
        put(writer, "coalesce");
    else if (!infix)
        put(writer, "%s", expr->name);
    put(writer, "(");
    for (size_t a = 0; a < expr->arg_count; a++) {
        if (a > 0 && infix)
            put(writer, " %s ", expr->name);
        else if (a > 0)
            put(writer, "%s", separator);
        put_expr(writer, expr->args[a]);
    }
    put(writer, ")");
}

static void put_sort(struct writer *writer, const struct aq_plan *plan)
{
    step(writer);
    put(writer, "Sort by ");
    for (size_t k = 0; k < plan->sort_count; k++) {
        const struct aq_sort_key *key = &plan->sorts[k];
        put(writer, "%s", k > 0 ? ", " : "");
        if (key->output < plan->column_count)
            put(writer, "%s", plan->columns[key->output].name);
        else
            put_expr(writer, plan->outputs[key->output]);
        put(writer, "%s%s", key->descending ? " desc" : "",
            key->nulls_first == key->descending
                ? ""
                : (key->nulls_first ? " nulls first" : " nulls last"));
    }
    put(writer, "%s\n", plan->has_limit ? " (first rows only)" : "");
}

static void put_group(struct writer *writer, const struct aq_plan *plan)
{
    if (plan->having != NULL) {
        step(writer);
        put(writer, "Having ");
        put_expr(writer, plan->having);
        put(writer, "\n");
    }
    step(writer);
    put(writer, "Aggregate");
    for (size_t a = 0; a < plan->aggregate_count; a++)
        put(writer, "%s%s", a == 0 ? " " : ", ", plan->aggregates[a].function->name);
    for (size_t g = 0; g < plan->group_count; g++) {
        put(writer, g == 0 ? " by " : ", ");
        put_expr(writer, plan->groups[g]);
    }
    put(writer, "\n");
}

/* Which of re-sent rows count. */
static void put_unique(struct writer *writer, const struct aq_schema *schema)
{
    if (schema->unique_count == 0)
        return;
    step(writer);
    put(writer, "Unique by");
    for (size_t i = 0; i < schema->unique_count; i++)
        put(writer, "%s%s", i == 0 ? " " : ", ", schema->columns[schema->unique[i]].name);
    put(writer, "; the %s %s", schema->keep == AQ_KEEP_LAST ? "last" : "first",
        schema->version_column == AQ_COLUMN_NONE ? "to arrive counts\n" : "by ");
    if (schema->version_column != AQ_COLUMN_NONE)
        put(writer, "%s counts\n", schema->columns[schema->version_column].name);
}

static enum aq_status put_scan(struct writer *writer, const struct aq_plan *plan)
{
    const struct aq_unit *units;
    size_t unit_count;
    size_t pruned = 0;
    uint64_t rows = 0;
    AQ_TRY(aq_prune_open(plan, writer->snapshot, &units, &unit_count, writer->err));
    for (size_t u = 0; u < unit_count; u++) {
        bool none = aq_prune_unit(plan, &units[u]) == AQ_PRUNE_NONE;
        pruned += none;
        rows += none ? 0 : units[u].row_count;
    }
    put(writer, "Scan %s: columns", plan->source_name);
    for (size_t i = 0; i < plan->eager_input_count; i++)
        put(writer, "%s%s", i == 0 ? " " : ", ", plan->source_columns[plan->inputs[i]].name);
    put(writer, "%s", plan->eager_input_count == 0 ? " none" : "");
    if (plan->table != NULL) {
        put(writer, "; made from the catalog and the files it names\n");
        return AQ_OK;
    }
    put(writer, "; units %zu of %zu, rows <= %llu\n", unit_count - pruned, unit_count,
        (unsigned long long)rows);
    put_unique(writer, plan->schema);
    return AQ_OK;
}

static enum aq_status put_plan(struct writer *writer, const struct aq_plan *plan);

static enum aq_status put_source(struct writer *writer, const struct aq_plan *plan)
{
    unsigned depth = writer->depth;
    if (plan->source == AQ_SOURCE_PLANS) {
        for (size_t i = 0; i < plan->child_count; i++) {
            writer->depth = depth;
            AQ_TRY(put_plan(writer, plan->children[i]));
        }
        return AQ_OK;
    }
    step(writer);
    if (plan->source == AQ_SOURCE_DATASET)
        return put_scan(writer, plan);
    if (plan->source == AQ_SOURCE_VALUES)
        put(writer, "Values: %zu rows\n", plan->value_row_count);
    else
        put(writer, "One row\n");
    return AQ_OK;
}

static enum aq_status put_plan(struct writer *writer, const struct aq_plan *plan)
{
    if (plan->has_limit || plan->offset > 0) {
        step(writer);
        if (plan->has_limit)
            put(writer, "Limit %llu%s", (unsigned long long)plan->limit,
                plan->offset > 0 ? ", " : "");
        if (plan->offset > 0)
            put(writer, "Offset %llu", (unsigned long long)plan->offset);
        put(writer, "\n");
    }
    if (plan->sort_count > 0)
        put_sort(writer, plan);
    if (plan->grouped)
        put_group(writer, plan);
    if (plan->where != NULL) {
        step(writer);
        put(writer, "Filter ");
        put_expr(writer, plan->where);
        put(writer, "\n");
    }
    return put_source(writer, plan);
}

enum aq_status aq_explain_plan(const struct aq_plan *plan, struct aq_snapshot *snapshot,
                               const struct aq_zone *zone, struct aq_bytes *out,
                               struct aq_error *err)
{
    struct writer writer = {.out = out, .snapshot = snapshot, .zone = zone, .err = err};
    AQ_TRY(put_plan(&writer, plan));
    enum aq_status status = aq_bytes_status(out);
    return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
}
