/* Arguments that a function needs to know while binding. */
#ifndef AQ_ENGINE_QUERY_EXPRESSION_CALL_CONSTANT_H
#define AQ_ENGINE_QUERY_EXPRESSION_CALL_CONSTANT_H

#include "engine/query/expression/function.h"

/** Argument `arg` as a NUL-terminated text; AQ_UNSUPPORTED with the position if it is no constant. */
enum aq_status aq_constant_text(const struct aq_session *session, const struct aq_expr *expr,
                                size_t arg, const char **text) AQ_RESULT;
/** Argument `arg`, a tz name. */
enum aq_status aq_constant_zone(const struct aq_session *session, const struct aq_expr *expr,
                                size_t arg, const struct aq_zone **zone) AQ_RESULT;
/** Argument `arg` as a value of the type it was bound to. */
enum aq_status aq_constant_value(const struct aq_session *session, const struct aq_expr *expr,
                                 size_t arg, union aq_value *value) AQ_RESULT;

#endif
