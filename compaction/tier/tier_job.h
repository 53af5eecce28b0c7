/* One run of the tier under way: what its steps share. */
#ifndef AQ_COMPACTION_TIER_TIER_JOB_H
#define AQ_COMPACTION_TIER_TIER_JOB_H

#include "compaction/tier/tier.h"
#include "engine/store/snapshot/snapshot.h"

/** "data/", 32 digits, "-", 16 digits, ".aqa" */
#define AQ_TIER_OBJECT_BYTES 64

/** A file whose copy has been read back and compared, but is in no edit yet. */
struct aq_tier_copy {
    uint64_t file_id;
    uint64_t size_bytes; /* of the file as the catalog described it */
    uint64_t copied_bytes;
    char object[AQ_TIER_OBJECT_BYTES];
    struct aq_hash128 hash;
};

#define AQ_TIER_BATCH_FILES 64
#define AQ_TIER_BATCH_BYTES ((uint64_t)256 << 20)

struct aq_tier_job {
    struct aq_store *store;
    const struct aq_tier_options *options;
    struct aq_tier_report *report;
    struct aq_tier_progress progress;
    uint64_t bytes_before; /* progress.bytes_done when the present transfer began */
    struct aq_tier_copy batch[AQ_TIER_BATCH_FILES]; /* to be committed together */
    size_t batch_count;
    uint64_t batch_bytes;
};

/* Rules, pure functions (tier_rules.c). */

/** Event time of the newest row; false when some rows have none: such a file is never too old. */
bool aq_tier_newest_row(const struct aq_catalog_file *file, int64_t *newest_us);
/** Which files a compaction will not read again, one flag a file of the catalog, in `arena`. */
enum aq_status aq_tier_find_final(const struct aq_catalog *catalog,
                                  const struct aq_tier_options *options, struct aq_arena *arena,
                                  const bool **final, struct aq_error *err) AQ_RESULT;
/** Whether the file is to be copied into the bucket, and why or why not. */
bool aq_tier_is_due(const struct aq_catalog_file *file, bool final,
                    const struct aq_tier_options *options, const char **why);
/** Whether a file may leave the home, as far as its age and its roll-up go. */
bool aq_tier_may_leave(const struct aq_catalog_file *file, bool final,
                       const struct aq_tier_options *options);

/* Ownership (tier_owner.c). */

/** AQ_CONFLICT when the bucket belongs to a newer incarnation, another copy of this home or another store;
 * AQ_INVALID when the catalog names files in a bucket, but the bucket has none. `newest` is 0 where the
 * bucket knows no store. */
enum aq_status aq_tier_check_owner(struct aq_store *store, struct aq_object_store *bucket,
                                   uint64_t *newest, struct aq_error *err) AQ_RESULT;

/* Steps. */

/** AQ_INTERRUPTED when the caller wants the job to stop. */
enum aq_status aq_tier_check_stop(const struct aq_tier_job *job, struct aq_error *err) AQ_RESULT;
void aq_tier_report_progress(struct aq_tier_job *job, const char *phase, uint64_t bytes_done);
void aq_tier_explain(const struct aq_tier_job *job, const struct aq_catalog_file *file,
                     const char *what);

/** Copy one file, read it back and compare (tier_upload.c). AQ_END when the head no longer names it. */
enum aq_status aq_tier_upload(struct aq_tier_job *job, const struct aq_catalog_file *file,
                              struct aq_tier_copy *copy, struct aq_error *err) AQ_RESULT;
/** Copy every file that is due and commit their places, in batches; what was copied before a failure is
 * committed, too (tier_place.c). */
enum aq_status aq_tier_place(struct aq_tier_job *job, struct aq_error *err) AQ_RESULT;
/** Copy one file again, whose object is gone. */
enum aq_status aq_tier_place_again(struct aq_tier_job *job, const struct aq_catalog_file *file,
                                   struct aq_error *err) AQ_RESULT;
/** Mirror the catalog, placing what has closed meanwhile; report->unmirrored says why it could not be
 * (tier_mirror.c). */
enum aq_status aq_tier_mirror(struct aq_tier_job *job, struct aq_error *err) AQ_RESULT;
/** Commit `evict` for what may leave the home and still is in the bucket (tier_evict.c). */
enum aq_status aq_tier_evict(struct aq_tier_job *job, struct aq_error *err) AQ_RESULT;

/** Count the objects that the catalog names and the bucket lacks (tier_presence.c). */
enum aq_status aq_tier_find_missing(struct aq_object_store *bucket,
                                    const struct aq_catalog *catalog,
                                    struct aq_restore_report *report,
                                    struct aq_error *err) AQ_RESULT;

#endif
