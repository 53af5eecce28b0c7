/* Whether the wall clock may be believed about ages. Private to compaction/gc. */
#ifndef AQ_COMPACTION_GC_GC_CLOCK_H
#define AQ_COMPACTION_GC_GC_CLOCK_H

#include "compaction/gc/gc.h"

/**
 * AQ_TEMPORARY when the clock stands before the newest edit, or has gone otherwise than the boot clock since the last
 * run, or further than a month since anybody looked. Unless a dry run, the present time is noted for the next run.
 * @param edit_us  Time of the newest edit.
 * The caller holds the lock "gc" alone.
 */
enum aq_status aq_gc_check_clock(struct aq_store *store, const struct aq_gc_options *options,
                                 int64_t edit_us, struct aq_error *err) AQ_RESULT;

#endif
