/* Compaction: sealed segments and small archives -> archives, in one edit. */
#ifndef AQ_COMPACTION_COMPACT_H
#define AQ_COMPACTION_COMPACT_H

#include "compaction/nightly/rate_limit.h"
#include "compaction/retention/retention.h"

#include <stdatomic.h>

/* Where no config says it. */
#define AQ_COMPACT_TARGET_SIZE_DEFAULT ((uint64_t)128 << 20)
#define AQ_COMPACT_LATE_US_DEFAULT (6 * AQ_US_PER_HOUR)

struct aq_compact_progress {
    const char *dataset;  /* NULL: all */
    const char *phase;    /* "read", "merge", "write", "verify", "commit": in turns */
    uint64_t rows_done;   /* of the dataset: read so far, or (all other phases) written */
    uint64_t rows_total;  /* of the dataset */
    uint64_t rows_before; /* of datasets that are done */
    uint64_t rows_all;    /* of all of them */
};

struct aq_compact_plan;

struct aq_compact_options {
    uint64_t target_size_bytes;
    uint64_t memory_bytes;      /* 0: 1 GiB */
    unsigned thread_count;      /* 0: all cores */
    bool fast;                  /* archives of the profile that is fast to write and to scan */
    struct aq_rate_limit *rate; /* of bytes read and written; NULL: none */
    bool dry_run;
    int64_t now_us;              /* wall clock: what is closed by then is rolled up; 0: now */
    int64_t late_us;             /* a slot is closed this long after its end */
    int64_t before_us;           /* archives with rows at or after it are left alone; 0: none is */
    const char *const *datasets; /* names; none: all. Restricts rewriting of archives only: a
                                    segment is always consumed whole */
    size_t dataset_count;
    void (*progress)(void *context, const struct aq_compact_progress *progress); /* may be NULL */
    /** Hears the plan, once, before it is carried out (compact_plan.h); borrowed for the call. May be NULL. */
    void (*explain)(void *context, const struct aq_compact_plan *plan);
    void *context;
    const atomic_bool *stop;
    const struct aq_expire_options
        *expire; /* what goes before all else; NULL: nothing. Its dry_run is this one's */
};

struct aq_compact_report {
    struct aq_expire_report expired;
    uint64_t segment_count; /* inputs */
    uint64_t archive_input_count;
    uint64_t archive_output_count;
    uint64_t row_count;     /* of the inputs */
    uint64_t new_row_count; /* of these, in segments: never compacted before */
    uint64_t dropped_count; /* duplicates: another row of the outputs stands for them */
    uint64_t input_bytes;
    uint64_t output_bytes;
    double seconds;
};

/** One run under the lock "compact" (AQ_CONFLICT when held), remembered by
 * compaction/nightly/last_run.h when it went well. A clock that has jumped (retention.h) stops retention alone,
 * and is what is returned. Deterministic output bytes for equal
 * inputs; content hashes are compared and files re-read before the commit. */
enum aq_status aq_compact(struct aq_store *store, const struct aq_compact_options *options,
                          struct aq_compact_report *report, struct aq_error *err) AQ_RESULT;

#endif
