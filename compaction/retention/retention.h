/* Retention: what a compaction removes before it merges. */
#ifndef AQ_COMPACTION_RETENTION_RETENTION_H
#define AQ_COMPACTION_RETENTION_RETENTION_H

#include "engine/base/retention_rules.h"
#include "engine/store/snapshot/snapshot.h"

struct aq_expire_options {
    const struct aq_retention *retentions;
    size_t retention_count;
    int64_t now_us;   /* wall clock */
    bool trust_clock; /* do not ask whether it jumped */
    bool dry_run;
    void (*explain)(void *context, const char *line); /* what goes and why; may be NULL */
    void *context;
};

struct aq_expire_report {
    uint64_t file_count; /* that go whole */
    uint64_t file_rows;  /* of them, as the catalog counts */
    uint64_t file_bytes;
    uint64_t removal_count; /* of rows from other files, one a dataset and cutoff */
};

/**
 * Remove what has expired, in one edit: a snapshot has all of it or nothing. Rows of open segments stay until a
 * run after they have been closed. Nothing expired: no edit.
 * @return AQ_OK; AQ_LIMIT when the clock has jumped: nothing was removed.
 * @thread Caller holds the lock "compact".
 */
enum aq_status aq_expire(struct aq_store *store, const struct aq_expire_options *options,
                         struct aq_expire_report *report, struct aq_error *err) AQ_RESULT;

#endif
