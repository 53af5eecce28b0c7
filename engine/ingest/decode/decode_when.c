/* `when:` on the fields of a message, in SQL's three-valued logic.
 *
 * Happy path: a literal says how the field is read: a text compares with the field's text, byte by byte;
 * a number with the number that is there or is written in a text; a boolean likewise. The message is
 * taken if the whole is true.
 * Failures: none. A field that is absent, null, or does not read as the literal's kind makes its
 * comparison unknown; what is not true is refused. */
#include <math.h>

#include "engine/config/section/when.h"
#include "engine/ingest/decode/decode.h"
#include "engine/base/text/number_text.h"

enum truth { FALSE, TRUE, UNKNOWN };

static bool has_text(const struct aq_field *field)
{
    return field->kind == AQ_FIELD_TEXT || field->kind == AQ_FIELD_BYTES;
}

static int order_of(double a, double b)
{
    return (a > b) - (a < b);
}

/* Integers compare exactly, beyond what a double holds. */
static bool compare_number(const struct aq_field *field, const struct aq_when_literal *literal,
                           int *order)
{
    int64_t integer;
    double real;
    if (field->kind != AQ_FIELD_NUMBER && !has_text(field))
        return false;
    if (literal->kind == AQ_WHEN_INTEGER && aq_int_parse(field->text, &integer) == AQ_OK) {
        *order = (integer > literal->integer) - (integer < literal->integer);
        return true;
    }
    if (aq_double_parse(field->text, &real) != AQ_OK || isnan(real))
        return false;
    *order = order_of(real, literal->real);
    return true;
}

static bool compare_boolean(const struct aq_field *field, int64_t wanted, int *order)
{
    bool yes = aq_slice_equal(field->text, aq_slice_of("true"));
    if ((field->kind != AQ_FIELD_BOOLEAN && !has_text(field)) ||
        (!yes && !aq_slice_equal(field->text, aq_slice_of("false"))))
        return false;
    *order = (int)yes - (int)wanted;
    return true;
}

/* @return whether the two can be compared. */
static bool compare(const struct aq_field *field, const struct aq_when_literal *literal, int *order)
{
    if (field->kind == AQ_FIELD_ABSENT || field->kind == AQ_FIELD_NULL)
        return false;
    switch (literal->kind) {
    case AQ_WHEN_TEXT:
        *order = aq_slice_compare(field->text, literal->text);
        return true;
    case AQ_WHEN_INTEGER:
    case AQ_WHEN_REAL:
        return compare_number(field, literal, order);
    case AQ_WHEN_BOOLEAN:
        return compare_boolean(field, literal->integer, order);
    case AQ_WHEN_TIME:
        *order = (field->time_us > literal->integer) - (field->time_us < literal->integer);
        return true;
    }
    return false;
}

static enum truth test_comparison(enum aq_when_comparison comparison, const struct aq_field *field,
                                  const struct aq_when_literal *literal)
{
    int order;
    if (!compare(field, literal, &order))
        return UNKNOWN;
    switch (comparison) {
    case AQ_WHEN_EQUAL:
        return order == 0 ? TRUE : FALSE;
    case AQ_WHEN_NOT_EQUAL:
        return order != 0 ? TRUE : FALSE;
    case AQ_WHEN_LESS:
        return order < 0 ? TRUE : FALSE;
    case AQ_WHEN_LESS_EQUAL:
        return order <= 0 ? TRUE : FALSE;
    case AQ_WHEN_GREATER:
        return order > 0 ? TRUE : FALSE;
    case AQ_WHEN_GREATER_EQUAL:
        return order >= 0 ? TRUE : FALSE;
    }
    return UNKNOWN;
}

static enum truth test_in(const struct aq_when_node *node, const struct aq_field *field)
{
    enum truth any = FALSE;
    for (size_t i = 0; i < node->literal_count && any != TRUE; i++) {
        enum truth one = test_comparison(AQ_WHEN_EQUAL, field, &node->literals[i]);
        any = one == FALSE ? any : one;
    }
    return any;
}

static enum truth evaluate(const struct aq_decoder *decoder, const struct aq_when_node *node);

/* The one that decides (false of AND, true of OR), else unknown if one is, else the other. */
static enum truth evaluate_all(const struct aq_decoder *decoder, const struct aq_when_node *node,
                               enum truth deciding)
{
    enum truth result = deciding == TRUE ? FALSE : TRUE;
    for (const struct aq_when_node *child = node->first; child != NULL; child = child->next) {
        enum truth one = evaluate(decoder, child);
        if (one == deciding)
            return deciding;
        if (one == UNKNOWN)
            result = UNKNOWN;
    }
    return result;
}

/* As deep as AQ_WHEN_DEPTH_MAX allows. */
static enum truth evaluate(const struct aq_decoder *decoder, const struct aq_when_node *node)
{
    static const struct aq_when_literal yes = {.kind = AQ_WHEN_BOOLEAN, .integer = 1};
    if (node->kind == AQ_WHEN_AND || node->kind == AQ_WHEN_OR)
        return evaluate_all(decoder, node, node->kind == AQ_WHEN_OR ? TRUE : FALSE);
    if (node->kind == AQ_WHEN_NOT) {
        enum truth inner = evaluate(decoder, node->first);
        return inner == UNKNOWN ? UNKNOWN : inner == TRUE ? FALSE : TRUE;
    }
    const struct aq_field *field = &decoder->fields[decoder->when_fields[node->path]];
    if (node->kind == AQ_WHEN_IS_NULL)
        return field->kind == AQ_FIELD_ABSENT || field->kind == AQ_FIELD_NULL ? TRUE : FALSE;
    if (node->kind == AQ_WHEN_IN)
        return test_in(node, field);
    if (node->kind == AQ_WHEN_COMPARE)
        return test_comparison(node->comparison, field, node->literals);
    return test_comparison(AQ_WHEN_EQUAL, field, &yes);
}

bool aq_decoder_accepts(const struct aq_decoder *decoder)
{
    return evaluate(decoder, decoder->when->root) == TRUE;
}
