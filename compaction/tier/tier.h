/* The tier: copies of closed files in a bucket, a mirror of the catalog beside them, and what may leave the
 * home. Objects and their order: docs/tier-format.md. */
#ifndef AQ_COMPACTION_TIER_TIER_H
#define AQ_COMPACTION_TIER_TIER_H

#include "compaction/gc/gc.h"
#include "engine/store/snapshot/snapshot.h"
#include "engine/object/object.h"

#include <stdatomic.h>

struct aq_tier_progress {
    const char *phase; /* "upload", "read back", "mirror", "evict" */
    uint64_t files_done;
    uint64_t files_total;
    uint64_t bytes_done;
    uint64_t bytes_total;
};

struct aq_tier_options {
    struct aq_object_store *bucket;
    bool conditional;  /* the bucket honours If-None-Match (aq_s3_probe); else it may hold data, but
                          no home is registered in it, and `protect` is refused */
    bool protect;      /* copy every closed file, whatever its age, and mirror the catalog */
    bool protect_only; /* evict nothing */
    int64_t now_us;    /* wall clock */
    int64_t after_us;  /* archives whose newest row is older are uploaded */
    int64_t keep_home_us; /* and, older than this, evicted; never less than after_us */
    /* As of the config's compaction: an archive goes, by its age, when its roll-up is final. 0: any does. */
    uint64_t target_size_bytes;
    int64_t late_us;
    bool dry_run;
    /** Says what is done with a file and why, `--dry-run` and `--verbose`. May be NULL. */
    void (*explain)(void *context, const char *file, const char *what, uint64_t size_bytes);
    void (*progress)(void *context, const struct aq_tier_progress *progress); /* may be NULL */
    void *context;
    const atomic_bool *stop;
};

struct aq_tier_report {
    uint64_t uploaded_count;
    uint64_t uploaded_bytes;
    uint64_t evicted_count;
    uint64_t evicted_bytes;
    uint64_t mirrored_number; /* edit that the mirror stands at; 0: none written */
    const char *unmirrored;   /* why not, although `protect` is on; NULL otherwise */
    double seconds;
};

/**
 * One run under the lock "tier" (AQ_CONFLICT when held), in this order: upload, read back and compare, commit
 * `place`, mirror the catalog, commit `evict`. Stopped anywhere, a repeated call goes on; what was
 * uploaded in vain is an orphan for gc. AQ_CONFLICT when a newer incarnation of the store, or another
 * store, owns the bucket; AQ_UNSUPPORTED for `protect` without `conditional`; AQ_INVALID when files of the
 * store are in some bucket, but not in this one.
 */
enum aq_status aq_tier(struct aq_store *store, const struct aq_tier_options *options,
                       struct aq_tier_report *report, struct aq_error *err) AQ_RESULT;

/** Whether this home owns the bucket: AQ_CONFLICT when it was superseded by a restore elsewhere, or the bucket
 * is another store's. A home that was never there owns it. */
enum aq_status aq_tier_check_home(struct aq_store *store, struct aq_object_store *bucket,
                                  struct aq_error *err) AQ_RESULT;

/**
 * Remove from the bucket, under the lock "tier": mirrors but the last two and those that were the newest
 * one less than `age_us` ago; objects below data/ that neither the head nor a mirror that stays
 * names, and of which the upload began more than `age_us` ago; and unfinished uploads of that age.
 * AQ_CONFLICT as aq_tier. `visit` (may be NULL) hears each object.
 */
enum aq_status aq_tier_gc(struct aq_store *store, struct aq_object_store *bucket, int64_t age_us,
                          bool dry_run,
                          void (*visit)(void *context, const char *name, uint64_t size_bytes),
                          void *context, struct aq_gc_report *report,
                          struct aq_error *err) AQ_RESULT;

/** Whether the bucket is worth a walk of aq_tier_gc, which reads many mirrors: they have become more than a day
 * of hourly runs makes. One listing. */
enum aq_status aq_tier_gc_is_due(struct aq_store *store, struct aq_object_store *bucket, bool *due,
                                 struct aq_error *err) AQ_RESULT;

/** XXH3-128 of an object's first `size_bytes`; a shorter object fails. @param progress  May be NULL. */
enum aq_status aq_tier_hash_object(struct aq_object_store *bucket, const char *name,
                                   uint64_t size_bytes, aq_object_progress_fn progress,
                                   void *context, struct aq_hash128 *hash,
                                   struct aq_error *err) AQ_RESULT;

struct aq_restore_report {
    uint64_t incarnation;
    uint64_t file_count; /* in the bucket, named by the restored catalog */
    uint64_t bytes;
    int64_t mirrored_us; /* when the mirror was written */
    size_t
        incomplete_count; /* datasets of which rows were in open segments then: not in the bucket */
    size_t missing_count; /* files that the bucket should have and has not, or not whole */
    char first_missing[64]; /* object of one of them; "" */
};
/**
 * Make a new home at `home` (which must not hold a store: AQ_EXISTS) from the bucket's newest mirror, as the
 * next incarnation of the store, made in the bucket by a conditional put: the former home's next run of
 * aq_tier stops. Files stay in the bucket; reads fetch them. Died anywhere, it may be called again.
 *
 * @param note  What the file HOME/bucket is to say.
 */
enum aq_status aq_tier_restore(struct aq_object_store *bucket, const char *home,
                               struct aq_slice note, struct aq_restore_report *report,
                               struct aq_error *err) AQ_RESULT;

#endif
