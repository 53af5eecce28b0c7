/* Which units, and runs of them, can hold rows that pass WHERE, by their key, time and statistics.
 *
 * For each part of the condition: can it be true, false, null for some row of the unit? Three bits,
 * combined through AND, OR and NOT; whatever is not understood can be anything. No row passes if it
 * cannot be true, and all do if it can be nothing else. */
#include <string.h>

#include "engine/query/exec/execute.h"
#include "engine/query/expression/function.h"

enum outcome { CAN_BE_TRUE = 1, CAN_BE_FALSE = 2, CAN_BE_NULL = 4, CAN_BE_ANY = 7 };

/* What is judged: a unit, or one run of it. */
struct part {
    const struct aq_unit *unit;
    const struct aq_column_stats *const *stats; /* by input, of the run; NULL: the whole unit */
};

/* What is known of a column's values in it. */
struct bounds {
    bool known;
    bool only_nulls;
    bool nulls;
    union aq_value min;
    union aq_value max;
};

static union aq_value stats_value(enum aq_type type, const union aq_stats_value *value)
{
    union aq_value converted = {.interval = {0}};
    switch (aq_type_physical(type)) {
    case AQ_PHYSICAL_INT:
        converted.integer = value->integer;
        break;
    case AQ_PHYSICAL_DOUBLE:
        converted.real = value->real;
        break;
    case AQ_PHYSICAL_SLICE:
        converted.slice = value->slice;
        break;
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
    return converted;
}

static struct bounds stats_bounds(enum aq_type type, const struct aq_column_stats *stats)
{
    struct bounds bounds = {.nulls = true};
    if (stats == NULL)
        return bounds;
    bounds.nulls = stats->null_count > 0;
    bounds.only_nulls = stats->null_count == stats->row_count;
    bounds.known = stats->bounds_known && !bounds.only_nulls;
    if (bounds.known) {
        bounds.min = stats_value(type, &stats->min);
        bounds.max = stats_value(type, &stats->max);
    }
    return bounds;
}

static struct bounds column_bounds(const struct aq_plan *plan, const struct part *part,
                                   const struct aq_expr *column)
{
    struct bounds bounds;
    const struct aq_unit *unit = part->unit;
    const struct aq_column_stats *of_run = part->stats == NULL ? NULL : part->stats[column->index];
    if (of_run != NULL && of_run->row_count > 0)
        return stats_bounds(column->type, of_run);
    uint32_t index = plan->source_ids[plan->inputs[column->index]];
    if (index == plan->schema->time_column && unit->has_time) {
        bounds = (struct bounds){.known = true,
                                 .min = {.integer = unit->min_time_us},
                                 .max = {.integer = unit->max_time_us}};
        if (column->type == AQ_TYPE_DATE) {
            bounds.min.integer = aq_floor_div(unit->min_time_us, AQ_US_PER_DAY);
            bounds.max.integer = aq_floor_div(unit->max_time_us, AQ_US_PER_DAY);
        }
        return bounds;
    }
    if (index == plan->schema->key_column && unit->has_keys && column->type == AQ_TYPE_TEXT)
        return (struct bounds){
            .known = true, .min = {.slice = unit->key_min}, .max = {.slice = unit->key_max}};
    return stats_bounds(column->type, aq_unit_stats(unit, plan->schema->columns[index].id));
}

/* Outcomes of "value <operator> constant" for values between the bounds. `low` and `high` are the orders
 * of min and max against the constant. */
static unsigned compare_outcome(const char *name, int low, int high)
{
    bool less = low < 0;
    bool more = high > 0;
    bool equal = low <= 0 && high >= 0;
    bool is_true = false;
    bool is_false = false;
    if (strcmp(name, "=") == 0) {
        is_true = equal;
        is_false = less || more;
    } else if (strcmp(name, "<>") == 0 || strcmp(name, "!=") == 0) {
        is_true = less || more;
        is_false = equal;
    } else {
        bool with_equal = name[1] == '=';
        is_true = (name[0] == '<' ? less : more) || (with_equal && equal);
        is_false = (name[0] == '<' ? more : less) || (!with_equal && equal);
    }
    return (is_true ? CAN_BE_TRUE : 0u) | (is_false ? CAN_BE_FALSE : 0u);
}

/* The operator with its sides exchanged. */
static const char *mirrored(const char *name)
{
    if (name[0] == '<' && name[1] != '>')
        return name[1] == '=' ? ">=" : ">";
    if (name[0] == '>')
        return name[1] == '=' ? "<=" : "<";
    return name;
}

/* A frame section lists its partitions: an equal key is there or it is not. */
static bool partitions_lack(const struct aq_plan *plan, const struct part *part,
                            const struct aq_expr *column, struct aq_slice key)
{
    uint32_t index = plan->source_ids[plan->inputs[column->index]];
    if (part->unit->partitions == NULL || index != plan->schema->key_column ||
        column->type != AQ_TYPE_TEXT)
        return false;
    for (size_t p = 0; p < part->unit->partition_count; p++)
        if (aq_slice_equal(part->unit->partitions[p].key, key))
            return false;
    return true;
}

static unsigned compare_parts(const struct aq_plan *plan, const struct part *part,
                              const struct aq_expr *expr)
{
    const struct aq_expr *column = expr->args[0];
    const struct aq_expr *constant = expr->args[1];
    const char *name = expr->name;
    if (column->kind == AQ_EXPR_CONST) {
        constant = column;
        column = expr->args[1];
        name = mirrored(name);
    }
    if (column->kind != AQ_EXPR_COLUMN || constant->kind != AQ_EXPR_CONST)
        return CAN_BE_ANY;
    if (constant->null)
        return CAN_BE_NULL;
    struct bounds bounds = column_bounds(plan, part, column);
    if (bounds.only_nulls)
        return CAN_BE_NULL;
    if (!bounds.known)
        return CAN_BE_ANY;
    int low = aq_value_compare(column->type, bounds.min, constant->value);
    int high = aq_value_compare(column->type, bounds.max, constant->value);
    unsigned outcome = compare_outcome(name, low, high);
    if (strcmp(name, "=") == 0 && partitions_lack(plan, part, column, constant->value.slice))
        outcome = CAN_BE_FALSE;
    return outcome | (bounds.nulls ? CAN_BE_NULL : 0u);
}

static unsigned in_parts(const struct aq_plan *plan, const struct part *part,
                         const struct aq_expr *expr)
{
    const struct aq_in_list *list = expr->info;
    const struct aq_expr *column = expr->args[0];
    if (column->kind != AQ_EXPR_COLUMN)
        return CAN_BE_ANY;
    struct bounds bounds = column_bounds(plan, part, column);
    if (bounds.only_nulls)
        return CAN_BE_NULL;
    if (!bounds.known)
        return CAN_BE_ANY;
    unsigned outcome = list->with_null || bounds.nulls ? CAN_BE_NULL : 0u;
    bool one_value = aq_value_compare(column->type, bounds.min, bounds.max) == 0;
    bool inside = false;
    for (size_t i = 0; i < list->count; i++) {
        union aq_value value = aq_value_get(list->values, i);
        inside |= aq_value_compare(column->type, bounds.min, value) <= 0 &&
                  aq_value_compare(column->type, bounds.max, value) >= 0 &&
                  !partitions_lack(plan, part, column, value.slice);
    }
    if (inside)
        return outcome | CAN_BE_TRUE | (one_value ? 0u : CAN_BE_FALSE);
    return outcome | CAN_BE_FALSE;
}

static unsigned null_parts(const struct aq_plan *plan, const struct part *part,
                           const struct aq_expr *expr, bool wanted)
{
    if (expr->args[0]->kind != AQ_EXPR_COLUMN)
        return CAN_BE_TRUE | CAN_BE_FALSE;
    struct bounds bounds = column_bounds(plan, part, expr->args[0]);
    unsigned is_null = bounds.nulls || bounds.only_nulls ? CAN_BE_TRUE : 0u;
    unsigned is_value = bounds.only_nulls ? 0u : CAN_BE_FALSE;
    if (wanted)
        return is_null | is_value;
    return (is_null ? CAN_BE_FALSE : 0u) | (is_value ? CAN_BE_TRUE : 0u);
}

static unsigned outcomes(const struct aq_plan *plan, const struct part *part,
                         const struct aq_expr *expr);

static unsigned call_outcomes(const struct aq_plan *plan, const struct part *part,
                              const struct aq_expr *expr)
{
    if (expr->kernel == aq_not_kernel()) {
        unsigned inner = outcomes(plan, part, expr->args[0]);
        return (inner & CAN_BE_NULL) | (inner & CAN_BE_TRUE ? CAN_BE_FALSE : 0u) |
               (inner & CAN_BE_FALSE ? CAN_BE_TRUE : 0u);
    }
    if (expr->kernel == aq_in_kernel())
        return in_parts(plan, part, expr);
    if (expr->kernel == aq_is_kernel(AQ_IS_NULL))
        return null_parts(plan, part, expr, true);
    if (expr->kernel == aq_is_kernel(AQ_IS_NOT_NULL))
        return null_parts(plan, part, expr, false);
    if (expr->arg_count == 2 && expr->kernel == aq_compare_kernel(expr->name, expr->args[0]->type))
        return compare_parts(plan, part, expr);
    return CAN_BE_ANY;
}

/* AND: true if all parts can be, false if any can be. OR: the other way round. */
static unsigned logic_outcomes(const struct aq_plan *plan, const struct part *part,
                               const struct aq_expr *expr)
{
    bool is_and = expr->kind == AQ_EXPR_AND;
    unsigned every = is_and ? CAN_BE_TRUE : CAN_BE_FALSE;
    unsigned some = is_and ? CAN_BE_FALSE : CAN_BE_TRUE;
    unsigned result = every;
    for (size_t a = 0; a < expr->arg_count; a++) {
        unsigned one = outcomes(plan, part, expr->args[a]);
        if (one == some)
            return some; /* this one alone decides every row */
        if ((one & every) == 0)
            result &= ~every;
        result |= one & (some | CAN_BE_NULL);
    }
    return result;
}

static unsigned outcomes(const struct aq_plan *plan, const struct part *part,
                         const struct aq_expr *expr)
{
    switch (expr->kind) {
    case AQ_EXPR_CONST:
        if (expr->null)
            return CAN_BE_NULL;
        return expr->value.integer != 0 ? CAN_BE_TRUE : CAN_BE_FALSE;
    case AQ_EXPR_AND:
    case AQ_EXPR_OR:
        return logic_outcomes(plan, part, expr);
    case AQ_EXPR_CALL:
        return call_outcomes(plan, part, expr);
    default:
        return CAN_BE_ANY;
    }
}

static enum aq_prune judge(const struct aq_plan *plan, const struct part *part)
{
    if (plan->where == NULL)
        return AQ_PRUNE_ALL;
    unsigned result = outcomes(plan, part, plan->where);
    if ((result & CAN_BE_TRUE) == 0)
        return AQ_PRUNE_NONE;
    return result == CAN_BE_TRUE ? AQ_PRUNE_ALL : AQ_PRUNE_SOME;
}

enum aq_prune aq_prune_unit(const struct aq_plan *plan, const struct aq_unit *unit)
{
    return unit->row_count == 0 ? AQ_PRUNE_NONE : judge(plan, &(struct part){.unit = unit});
}

enum aq_prune aq_prune_run(const struct aq_plan *plan, const struct aq_unit *unit,
                           const struct aq_column_stats *const *stats)
{
    return judge(plan, &(struct part){.unit = unit, .stats = stats});
}

static bool mentions_key(const struct aq_plan *plan, const struct aq_expr *expr)
{
    if (expr->kind == AQ_EXPR_COLUMN)
        return plan->source_ids[plan->inputs[expr->index]] == plan->schema->key_column;
    for (size_t a = 0; a < expr->arg_count; a++)
        if (mentions_key(plan, expr->args[a]))
            return true;
    return false;
}

enum aq_status aq_prune_open(const struct aq_plan *plan, struct aq_snapshot *snapshot,
                             const struct aq_unit **units, size_t *unit_count, struct aq_error *err)
{
    if (plan->table != NULL) {
        *units = plan->table_units;
        *unit_count = plan->table_unit_count;
        return AQ_OK;
    }
    if (plan->where != NULL && mentions_key(plan, plan->where))
        AQ_TRY(aq_snapshot_partitions(snapshot, plan->schema->dataset_id, err));
    return aq_snapshot_units(snapshot, plan->schema->dataset_id, units, unit_count, err);
}
