/* When a store was compacted last, by whichever process. */
#ifndef AQ_COMPACTION_NIGHTLY_LAST_RUN_H
#define AQ_COMPACTION_NIGHTLY_LAST_RUN_H

#include "engine/store/store.h"

/** When the last compaction that went well began, wall clock; 0 when that is not known. It is kept as the
 * modification time of "locks/compact", so it is a hint: copying a home may lose it. */
int64_t aq_compact_last_run_us(const struct aq_store *store);

/** Remember one that began then. A home where that is not allowed is left as it is. */
void aq_compact_note_run(const struct aq_store *store, int64_t begin_us);

#endif
