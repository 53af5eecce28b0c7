/* Constants and type names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/query/sql/bind.h"

const char *aq_node_string(const PgQuery__Node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval
                                                                          : NULL;
}

/* Digits: an integer where they fit, else double precision. */
static enum aq_status bind_number(struct aq_binder *binder, const char *text, int location,
                                  struct aq_expr *expr)
{
    char *end;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (*end == '\0' && errno == 0) {
        expr->type = integer == (int32_t)integer ? AQ_TYPE_INTEGER : AQ_TYPE_BIGINT;
        expr->value.integer = integer;
        return AQ_OK;
    }
    expr->type = AQ_TYPE_DOUBLE;
    enum aq_status status = aq_value_parse(aq_slice_of(text), AQ_TYPE_DOUBLE, binder->session.zone,
                                           binder->session.arena, &expr->value);
    if (status == AQ_OK)
        return AQ_OK;
    return aq_bind_error(binder, location, AQ_INVALID,
                         "the number %.60s does not fit double precision", text);
}

enum aq_status aq_bind_const(struct aq_binder *binder, PgQuery__AConst *constant,
                             struct aq_expr **expr)
{
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CONST, AQ_TYPE_TEXT, 0, constant->location, expr));
    struct aq_expr *made = *expr;
    if (constant->isnull) {
        made->null = true;
        made->unknown = true;
        return AQ_OK;
    }
    switch (constant->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        made->type = AQ_TYPE_INTEGER;
        made->value.integer = constant->ival->ival;
        return AQ_OK;
    case PG_QUERY__A__CONST__VAL_FVAL:
        return bind_number(binder, constant->fval->fval, constant->location, made);
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        made->type = AQ_TYPE_BOOLEAN;
        made->value.integer = constant->boolval->boolval != 0;
        return AQ_OK;
    case PG_QUERY__A__CONST__VAL_SVAL:
        made->unknown = true;
        made->value.slice = aq_slice_of(constant->sval->sval);
        return AQ_OK;
    default:
        return aq_bind_refuse(binder, constant->location, "bit strings are", NULL);
    }
}

static const struct {
    const char *name;
    const char *instead;
} refused_types[] = {
    {"numeric", "decimal numbers are double precision here; write round(x, n) to round"},
    {"int2", "write integer"},
    {"varchar", "write text"},
    {"bpchar", "write text"},
    {"char", "write text"},
    {"jsonb", "write json"},
    {"time", "write extract(hour from ts), or a timestamp"},
    {"timetz", "write extract(hour from ts), or a timestamp"},
    {"uuid", "write text"},
};

enum aq_status aq_bind_type(struct aq_binder *binder, PgQuery__TypeName *name, int location,
                            enum aq_type *type)
{
    if (location < 0)
        location = name->location;
    const char *word = aq_node_string(name->n_names == 0 ? NULL : name->names[name->n_names - 1]);
    if (word == NULL || name->setof || name->pct_type)
        return aq_bind_refuse(binder, location, "this type is", NULL);
    if (name->n_array_bounds > 0)
        return aq_bind_refuse(binder, location, "arrays are", NULL);
    if (strcmp(word, "varchar") == 0 && name->n_typmods == 0)
        word = "text";
    for (size_t i = 0; i < sizeof refused_types / sizeof refused_types[0]; i++)
        if (strcmp(word, refused_types[i].name) == 0)
            return aq_bind_error(binder, location, AQ_UNSUPPORTED, "type %s is not supported; %s",
                                 word, refused_types[i].instead);
    if (aq_type_parse(word, type) != AQ_OK)
        return aq_bind_error(binder, location, AQ_INVALID, "type \"%s\" does not exist", word);
    if (name->n_typmods > 0)
        return aq_bind_refuse(binder, location, "a precision or unit behind a type is",
                              *type == AQ_TYPE_INTERVAL ? "write INTERVAL '1 hour'"
                                                        : "use date_trunc or round");
    return AQ_OK;
}
