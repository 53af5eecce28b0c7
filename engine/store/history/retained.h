/* Which versions of the catalog are kept, and which files they need at home. Only gc asks. */
#ifndef AQ_ENGINE_STORE_HISTORY_RETAINED_H
#define AQ_ENGINE_STORE_HISTORY_RETAINED_H

#include "engine/store/store.h"

/** A clock may be so far off from the one that dated an edit. */
#define AQ_RETAINED_SKEW_US (5 * 60 * INT64_C(1000000))
/** An edit stays so long after a checkpoint covers it: a committer that has looked within the last minute relies
 * on it (docs/model.md). */
#define AQ_RETAINED_EDIT_US (60 * 60 * INT64_C(1000000))

/** A file that an edit named. */
struct aq_retained_file {
    enum aq_file_kind kind;
    uint64_t file_id;
};

struct aq_retained {
    const struct aq_catalog *head;
    uint64_t oldest; /* version; all from it on are kept */
    bool leased;     /* somebody reads `lease`, or a later one */
    uint64_t lease;
    size_t file_count;
    struct aq_retained_file *files; /* that a kept version needs at home; sorted */
    /* What of the catalog's folder is not needed any more; ascending. */
    size_t checkpoint_count;
    uint64_t *checkpoints;
    size_t edit_count;
    uint64_t *edits;
    uint64_t newest_checkpoint; /* 0: none */
};

/**
 * Read the head, then the leases; kept are the versions that were the head at some time after `since_us`, those that
 * are leased, and all in between. Edits dated later than `now_us` tell no time: those behind them do.
 * @param now_us    By the wall clock.
 * @param since_us  At most `now_us`.
 * The caller holds the lock "gc" alone, and has listed the files that it asks about.
 */
enum aq_status aq_retained_read(struct aq_store *store, int64_t now_us, int64_t since_us,
                                struct aq_retained *retained, struct aq_error *err) AQ_RESULT;
void aq_retained_deinit(struct aq_retained *retained);
bool aq_retained_needs(const struct aq_retained *retained, enum aq_file_kind kind,
                       uint64_t file_id);

struct aq_collected {
    uint64_t edit_count;
    uint64_t checkpoint_count;
};
/** Remove the checkpoints and edits that `retained` does not need, in the order that readers rely on. */
enum aq_status aq_retained_collect(struct aq_store *store, const struct aq_retained *retained,
                                   struct aq_collected *collected, struct aq_error *err) AQ_RESULT;

#endif
