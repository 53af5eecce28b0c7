/* Constants among a call's arguments: fields, zones, widths. */
#include "engine/query/expression/call_constant.h"

#include <string.h>

enum aq_status aq_constant_value(const struct aq_session *session, const struct aq_expr *expr,
                                 size_t arg, union aq_value *value)
{
    const struct aq_expr *constant = expr->args[arg];
    if (constant->kind != AQ_EXPR_CONST || constant->null)
        return aq_sql_error(session->sql, constant->location, session->err, AQ_UNSUPPORTED,
                            "argument %zu of %s must be a constant", arg + 1, expr->name);
    *value = constant->value;
    return AQ_OK;
}

enum aq_status aq_constant_text(const struct aq_session *session, const struct aq_expr *expr,
                                size_t arg, const char **text)
{
    union aq_value value = {.slice = {0}};
    AQ_TRY(aq_constant_value(session, expr, arg, &value));
    char *copy = aq_arena_alloc(session->arena, value.slice.size + 1);
    if (copy == NULL)
        return AQ_NO_MEMORY;
    if (value.slice.size > 0)
        memcpy(copy, value.slice.data, value.slice.size);
    copy[value.slice.size] = '\0';
    *text = copy;
    return AQ_OK;
}

enum aq_status aq_constant_zone(const struct aq_session *session, const struct aq_expr *expr,
                                size_t arg, const struct aq_zone **zone)
{
    const char *name;
    AQ_TRY(aq_constant_text(session, expr, arg, &name));
    struct aq_error why = {0};
    enum aq_status status = aq_zone_find(name, false, zone, &why);
    if (status != AQ_OK)
        return aq_sql_error(session->sql, expr->args[arg]->location, session->err, status, "%s",
                            why.message);
    return AQ_OK;
}
