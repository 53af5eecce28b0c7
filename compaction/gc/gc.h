/* gc: the only one that deletes. */
#ifndef AQ_COMPACTION_GC_GC_H
#define AQ_COMPACTION_GC_GC_H

#include "engine/store/store.h"

struct aq_gc_options {
    int64_t now_us; /* wall clock */
    int64_t
        history_us; /* versions that were the head so long ago, or later, are kept; 0: the head only */
    bool trust_clock; /* go on although it seems to have been set */
    bool dry_run;
    void (*visit)(void *context, const char *name,
                  uint64_t size_bytes); /* data files; may be NULL */
    void *context;
};

struct aq_gc_report {
    uint64_t file_count; /* data files removed */
    uint64_t bytes;
    uint64_t edit_count; /* and edits and checkpoints of the catalog */
    uint64_t checkpoint_count;
    uint64_t kept_count; /* data files that the head does not need and an older version does */
    uint64_t kept_bytes;
    uint64_t head;   /* version */
    uint64_t oldest; /* version that is kept */
    bool leased;     /* because somebody reads `lease` */
    uint64_t lease;
    bool compacting; /* files that no edit has ever named stay: a compaction may be making them */
};

/**
 * Remove data files that no kept version needs at home, and what no kept version needs of the catalog. Runs beside
 * readers, writers and compactions; under the lock "gc" (AQ_CONFLICT: another gc has it, or a reader that can take no
 * lease). AQ_TEMPORARY: the clock was set, so that no age can be told; the message says how it goes on.
 */
enum aq_status aq_gc(struct aq_store *store, const struct aq_gc_options *options,
                     struct aq_gc_report *report, struct aq_error *err) AQ_RESULT;

/** Keep gc away from files that no edit names yet: taken before the first one is made, held until the edit is
 * durable; aq_store_unlock. Waits for a gc that is at it. */
enum aq_status aq_gc_keep_outputs(struct aq_store *store, struct aq_store_lock **lock,
                                  struct aq_error *err) AQ_RESULT;

#endif
