/* What has expired: a pure function of catalog, config, clock and the keys that files hold. */
#ifndef AQ_COMPACTION_RETENTION_RETENTION_PLAN_H
#define AQ_COMPACTION_RETENTION_RETENTION_PLAN_H

#include "engine/base/retention_rules.h"
#include "engine/store/catalog/catalog.h"

/** Rows of one key in one file. */
struct aq_retention_piece {
    uint64_t file_id;
    struct aq_slice key; /* in text form */
    int64_t min_us;
    int64_t max_us;
};

/** A dataset that rows expire in. */
struct aq_retention_target {
    const struct aq_schema *schema; /* in force; borrowed from the catalog */
    const struct aq_retention *retention;
    bool keyed; /* its keys are kept for different spans, so that the pieces must be known */
    /* Rows before it expire, whatever their key: the beginning of a slot. INT64_MIN: none. */
    int64_t cutoff_us;
    int64_t latest_cutoff_us; /* of all keys; later rows need not be looked at */
    size_t piece_count;
    struct aq_retention_piece
        *pieces; /* keyed: of the closed files with rows before latest_cutoff_us */
};

/** Rows of a dataset before until_us, of some keys or all. */
struct aq_retention_removal {
    const struct aq_retention_target *target;
    int64_t until_us;
    size_t key_count; /* 0: all */
    struct aq_slice *keys;
};

struct aq_retention_plan {
    size_t target_count;
    struct aq_retention_target *targets;
    size_t file_count;
    const struct aq_catalog_file *
        *files; /* all rows of them have expired; borrowed from the catalog */
    size_t removal_count;
    struct aq_retention_removal *removals; /* from other files */
};

/** When rows of this key expire that happened before: the beginning of a slot, or INT64_MIN. */
int64_t aq_retention_cutoff(const struct aq_retention_target *target, struct aq_slice key,
                            int64_t now_us);

/**
 * List the datasets that rows may expire in, rejects included, in the order of their declarations; those that
 * the catalog lacks or that are kept for ever are none.
 * @param plan  Lives in `arena`.
 */
enum aq_status aq_retention_targets(const struct aq_catalog *catalog,
                                    const struct aq_retention *retentions, size_t retention_count,
                                    int64_t now_us, struct aq_arena *arena,
                                    struct aq_retention_plan *plan, struct aq_error *err) AQ_RESULT;

/** Choose files and removals; pieces have been filled in. What tombstones have removed already is not
 * removed again: with nothing more expired the plan is empty. */
enum aq_status aq_retention_choose(const struct aq_catalog *catalog, int64_t now_us,
                                   struct aq_arena *arena, struct aq_retention_plan *plan,
                                   struct aq_error *err) AQ_RESULT;

/**
 * Whether the clock can be believed: rows must not go because it jumped.
 * @return AQ_OK; AQ_LIMIT when it is more than a day behind the newest edit, or more than 35 days ahead of
 *         the newest message or file.
 */
enum aq_status aq_retention_check_clock(const struct aq_catalog *catalog, int64_t now_us,
                                        struct aq_error *err) AQ_RESULT;

#endif
