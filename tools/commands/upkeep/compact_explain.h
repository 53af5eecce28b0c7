/* What a compaction will do, for `compact --dry-run`. */
#ifndef AQ_TOOLS_COMMANDS_COMPACT_EXPLAIN_H
#define AQ_TOOLS_COMMANDS_COMPACT_EXPLAIN_H

#include "compaction/compact_plan.h"
#include "tools/output/out.h"

/** Each file, read or not, and why; then each group of rows that become archives together. */
void aq_compact_explain_text(struct aq_out *out, const struct aq_compact_plan *plan);
/** The same as the members "files", "groups" and "expected_bytes" of the object that `out` ends in. */
void aq_compact_explain_json(struct aq_bytes *out, const struct aq_compact_plan *plan);

#endif
