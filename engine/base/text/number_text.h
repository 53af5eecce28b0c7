/* Numbers written as text, read exactly: the nearest double, the whole integer, or a refusal. */
#ifndef AQ_ENGINE_NUMBER_TEXT_H
#define AQ_ENGINE_NUMBER_TEXT_H

#include "format/base/bytes.h"

/**
 * A decimal number of integral value: "5", "-5", "5.0", "5e2". Spaces around it are allowed.
 * @return AQ_OK; AQ_REJECT when it is no number or has a fraction; AQ_LIMIT outside of int64.
 * @thread Any.
 */
enum aq_status aq_int_parse(struct aq_slice text, int64_t *value) AQ_RESULT;

/**
 * The double nearest to a decimal number, or NaN, Infinity, -Infinity, inf in any case (PostgreSQL's
 * names). Spaces around it are allowed.
 * @return AQ_OK; AQ_REJECT when it is no number; AQ_LIMIT when it is too large, or so small that
 * only zero is left of it. @thread Any; independent of the locale.
 */
enum aq_status aq_double_parse(struct aq_slice text, double *value) AQ_RESULT;

#endif
