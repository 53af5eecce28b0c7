/* EXPLAIN: a plan in words. */
#ifndef AQ_ENGINE_QUERY_EXPLAIN_H
#define AQ_ENGINE_QUERY_EXPLAIN_H

#include "engine/base/civil/civil_time.h"
#include "engine/query/plan.h"

/** Append one line of text a step, outermost first, indented; lines end with '\n'. Reads the units'
 * directories to say how many would be read; times are shown in `zone`. */
enum aq_status aq_explain_plan(const struct aq_plan *plan, struct aq_snapshot *snapshot,
                               const struct aq_zone *zone, struct aq_bytes *out,
                               struct aq_error *err) AQ_RESULT;

#endif
