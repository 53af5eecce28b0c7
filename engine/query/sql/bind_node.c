/* Making expression nodes: allocation, copies, folding of constants, coercion between types. */
#include <stdlib.h>
#include <string.h>

#include "engine/query/sql/bind.h"

void *aq_bind_alloc(const struct aq_binder *binder, size_t size)
{
    void *memory = aq_arena_alloc(binder->session.arena, size);
    if (memory == NULL)
        aq_error_set(binder->session.err, AQ_NO_MEMORY, "out of memory");
    else
        memset(memory, 0, size);
    return memory;
}

enum aq_status aq_bind_error(const struct aq_binder *binder, int location, enum aq_status status,
                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    aq_sql_error_list(binder->session.sql, location, binder->session.err, status, format, args);
    va_end(args);
    return status;
}

enum aq_status aq_bind_refuse(const struct aq_binder *binder, int location, const char *what,
                              const char *hint)
{
    return aq_bind_error(binder, location, AQ_UNSUPPORTED, "%s not supported yet%s%s", what,
                         hint == NULL ? "" : "; ", hint == NULL ? "" : hint);
}

enum aq_status aq_expr_create(struct aq_binder *binder, enum aq_expr_kind kind, enum aq_type type,
                              size_t arg_count, int location, struct aq_expr **expr)
{
    struct aq_expr *made = aq_bind_alloc(binder, sizeof *made);
    struct aq_expr **args = aq_bind_alloc(binder, (arg_count + 1) * sizeof(struct aq_expr *));
    if (made == NULL || args == NULL)
        return AQ_NO_MEMORY;
    made->kind = kind;
    made->type = type;
    made->location = location;
    made->name = "";
    made->arg_count = arg_count;
    made->args = args;
    made->slot = (uint32_t)binder->plan->node_count++;
    *expr = made;
    return AQ_OK;
}

enum aq_status aq_expr_clone(struct aq_binder *binder, const struct aq_expr *from,
                             struct aq_expr **to)
{
    struct aq_expr *copy;
    AQ_TRY(aq_expr_create(binder, from->kind, from->type, from->arg_count, from->location, &copy));
    struct aq_expr **args = copy->args;
    uint32_t slot = copy->slot;
    *copy = *from;
    copy->args = args;
    copy->slot = slot;
    for (size_t a = 0; a < from->arg_count; a++)
        AQ_TRY(aq_expr_clone(binder, from->args[a], &copy->args[a]));
    *to = copy;
    return AQ_OK;
}

static bool const_equal(const struct aq_expr *a, const struct aq_expr *b)
{
    if (a->null || b->null)
        return a->null == b->null;
    return a->unknown == b->unknown && aq_value_compare(a->type, a->value, b->value) == 0;
}

bool aq_expr_equal(const struct aq_expr *a, const struct aq_expr *b)
{
    if (a->kind != b->kind || a->type != b->type || a->arg_count != b->arg_count ||
        a->index != b->index || a->kernel != b->kernel || a->info_size != b->info_size)
        return false;
    if (a->kind == AQ_EXPR_CONST && !const_equal(a, b))
        return false;
    if (a->info_size > 0 && memcmp(a->info, b->info, a->info_size) != 0)
        return false;
    for (size_t i = 0; i < a->arg_count; i++)
        if (!aq_expr_equal(a->args[i], b->args[i]))
            return false;
    return true;
}

/* The value of a call of constants, owned by the arena. */
static enum aq_status fold_value(struct aq_binder *binder, struct aq_expr *call,
                                 struct aq_expr *constant, bool *done)
{
    struct aq_error ignored = {0};
    struct aq_eval eval;
    *done = false;
    /* Constants have no arguments, so these slots are all; the nodes are done with theirs. */
    call->slot = 0;
    for (size_t a = 0; a < call->arg_count; a++)
        call->args[a]->slot = (uint32_t)a + 1;
    AQ_TRY(aq_eval_init(&eval, call->arg_count + 1, binder->session.sql, &ignored));
    const struct aq_vector *value = NULL;
    enum aq_status status = aq_eval_run(&eval, call, NULL, 1, &value);
    if (status == AQ_OK) {
        *done = true;
        constant->null = aq_vector_is_null(value, 0);
        if (!constant->null)
            constant->value = aq_value_get(value, 0);
        if (!constant->null && aq_type_physical(call->type) == AQ_PHYSICAL_SLICE) {
            struct aq_slice slice = constant->value.slice;
            slice.data = aq_arena_copy(binder->session.arena, slice.data, slice.size);
            constant->value.slice = slice;
            if (slice.data == NULL)
                status = AQ_NO_MEMORY;
        }
    }
    aq_eval_deinit(&eval);
    /* What failed stays in the tree and needs slots of its own. */
    call->slot = (uint32_t)binder->plan->node_count++;
    for (size_t a = 0; a < call->arg_count; a++)
        call->args[a]->slot = (uint32_t)binder->plan->node_count++;
    return status == AQ_NO_MEMORY ? aq_error_set(binder->session.err, status, "out of memory")
                                  : AQ_OK;
}

enum aq_status aq_expr_fold(struct aq_binder *binder, struct aq_expr **expr)
{
    struct aq_expr *call = *expr;
    if (call->kind == AQ_EXPR_CONST || call->kind == AQ_EXPR_COLUMN ||
        call->kind == AQ_EXPR_AGGREGATE)
        return AQ_OK;
    for (size_t a = 0; a < call->arg_count; a++)
        if (call->args[a]->kind != AQ_EXPR_CONST)
            return AQ_OK;
    struct aq_expr *constant;
    bool done;
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CONST, call->type, 0, call->location, &constant));
    AQ_TRY(fold_value(binder, call, constant, &done));
    if (done)
        *expr = constant;
    return AQ_OK;
}

/* An untyped literal takes the type that its place wants. */
static enum aq_status type_literal(struct aq_binder *binder, struct aq_expr **expr,
                                   enum aq_type type)
{
    struct aq_expr *literal = *expr;
    struct aq_expr *typed;
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CONST, type, 0, literal->location, &typed));
    typed->null = literal->null;
    *expr = typed;
    if (literal->null)
        return AQ_OK;
    struct aq_slice text = literal->value.slice;
    enum aq_status status =
        aq_value_parse(text, type, binder->session.zone, binder->session.arena, &typed->value);
    if (status == AQ_OK)
        return AQ_OK;
    char complaint[256];
    return aq_bind_error(binder, literal->location, status == AQ_NO_MEMORY ? status : AQ_INVALID,
                         "%s", aq_value_complaint(status, text, type, complaint, sizeof complaint));
}

static enum aq_status cast_error(struct aq_binder *binder, const struct aq_expr *expr,
                                 enum aq_type type)
{
    return aq_bind_error(binder, expr->location, AQ_INVALID, "cannot cast type %s to %s",
                         aq_type_name(expr->type), aq_type_name(type));
}

enum aq_status aq_expr_coerce(struct aq_binder *binder, struct aq_expr **expr, enum aq_type type,
                              bool explicit_cast)
{
    struct aq_expr *from = *expr;
    if (from->unknown)
        return type_literal(binder, expr, type);
    if (from->type == type)
        return AQ_OK;
    if (!explicit_cast && !aq_type_implicit(from->type, type))
        return cast_error(binder, from, type);
    struct aq_expr *cast;
    AQ_TRY(aq_expr_create(binder, AQ_EXPR_CALL, type, 1, from->location, &cast));
    cast->name = "cast";
    cast->args[0] = from;
    enum aq_status status = aq_cast_prepare(&binder->session, cast);
    if (status == AQ_UNSUPPORTED)
        return cast_error(binder, from, type);
    AQ_TRY(status);
    *expr = cast;
    return aq_expr_fold(binder, expr);
}

enum aq_type aq_expr_common_type(struct aq_expr *const *args, size_t arg_count)
{
    enum aq_type common = 0;
    bool real_and_integer = false;
    for (size_t a = 0; a < arg_count; a++) {
        enum aq_type type = args[a]->type;
        if (args[a]->unknown || type == common)
            continue;
        if (common == 0) {
            common = type;
            continue;
        }
        real_and_integer |= (type == AQ_TYPE_REAL) != (common == AQ_TYPE_REAL);
        if (aq_type_implicit(common, type))
            common = type;
        else if (!aq_type_implicit(type, common))
            return 0;
    }
    /* real with an integer computes in double precision, as in PostgreSQL. */
    if (common == AQ_TYPE_REAL && real_and_integer)
        return AQ_TYPE_DOUBLE;
    return common == 0 ? AQ_TYPE_TEXT : common;
}

enum aq_status aq_expr_coerce_common(struct aq_binder *binder, struct aq_expr **args,
                                     size_t arg_count, const char *what)
{
    enum aq_type type = aq_expr_common_type(args, arg_count);
    if (type == 0) {
        const struct aq_expr *first = args[0];
        for (size_t a = 1; a < arg_count; a++) {
            if (aq_expr_common_type((struct aq_expr *const[]){args[0], args[a]}, 2) == 0)
                return aq_bind_error(binder, args[a]->location, AQ_INVALID,
                                     "%s types %s and %s cannot be matched; cast one of them", what,
                                     aq_type_name(first->type), aq_type_name(args[a]->type));
        }
        return aq_bind_error(binder, first->location, AQ_INVALID,
                             "the types of %s cannot be matched", what);
    }
    for (size_t a = 0; a < arg_count; a++)
        AQ_TRY(aq_expr_coerce(binder, &args[a], type, false));
    return AQ_OK;
}
