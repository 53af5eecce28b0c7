/* Matching of LIKE patterns. */
#ifndef AQ_ENGINE_QUERY_EXPRESSION_LIKE_H
#define AQ_ENGINE_QUERY_EXPRESSION_LIKE_H

#include "format/base/bytes.h"

/** Whether all of `text` matches `pattern` (% _ and \ as escape). @thread Any. */
bool aq_like_match(struct aq_slice text, struct aq_slice pattern, bool ignore_case);

#endif
