/* The bucket as readers see it: incarnations of the store, mirrors of its catalog. Names and bytes:
 * docs/tier-format.md. */
#ifndef AQ_ENGINE_STORE_REMOTE_H
#define AQ_ENGINE_STORE_REMOTE_H

#include "engine/object/object.h"
#include "engine/store/store.h"

/** Newest incarnation that the bucket knows: the hint, then upwards until one is absent; a listing only
 * where the hint is gone or damaged. 0: the bucket holds no store. */
enum aq_status aq_remote_incarnation(struct aq_object_store *bucket, uint64_t *incarnation,
                                     struct aq_store_id *store_id, struct aq_error *err) AQ_RESULT;
/** Register incarnation `incarnation` by a conditional put, and then the hint. AQ_EXISTS when it is taken. */
enum aq_status aq_remote_register(struct aq_object_store *bucket, uint64_t incarnation,
                                  const struct aq_store_id *store_id,
                                  struct aq_error *err) AQ_RESULT;

/** "mirror/<20 digits>/" */
#define AQ_REMOTE_MIRROR_NAME_BYTES 40
void aq_remote_mirror_name(uint64_t incarnation, char *out, size_t out_size);
/** The mirror of an incarnation as an object store of its own, in which the catalog's names are relative.
 * It borrows `bucket`; closed with aq_object_close. */
enum aq_status aq_remote_mirror(struct aq_object_store *bucket, uint64_t incarnation,
                                struct aq_object_store **mirror, struct aq_error *err) AQ_RESULT;

/** The newest mirror: of the newest incarnation that has one (a restore that died may have left one
 * without). */
struct aq_remote_catalog {
    const struct aq_catalog *catalog; /* aq_catalog_release; its time_us: when it was written */
    uint64_t newest; /* incarnation that the bucket knows; catalog->incarnation or higher */
};
/** AQ_NOT_FOUND when the bucket holds no store, or none that has been mirrored. */
enum aq_status aq_remote_load(struct aq_object_store *bucket, struct aq_remote_catalog *remote,
                              struct aq_error *err) AQ_RESULT;

/** The mirror of one incarnation as of edit `number`. */
enum aq_status aq_remote_load_mirror(struct aq_object_store *bucket, uint64_t incarnation,
                                     uint64_t number, const struct aq_catalog **catalog,
                                     struct aq_error *err) AQ_RESULT;

/** Whether the newest mirror of the store's incarnation is of this home's own history: AQ_CONFLICT when it is
 * of a copy of it that went on by itself. AQ_OK where there is none. */
enum aq_status aq_remote_check_line(struct aq_object_store *bucket, struct aq_store *store,
                                    struct aq_error *err) AQ_RESULT;

/**
 * Put a mirror of `catalog` into the bucket, below its incarnation, and the hint. Open segments, and
 * claims and masks on them, are left out.
 * @param complete_until_us  For each dataset of the catalog, in its order: rows with an earlier event time are all
 *                           in closed files; INT64_MAX: all there are.
 */
enum aq_status aq_remote_put_mirror(struct aq_object_store *bucket,
                                    const struct aq_catalog *catalog,
                                    const int64_t *complete_until_us,
                                    struct aq_error *err) AQ_RESULT;

/**
 * Make a home, at the folder `home`, of a mirrored catalog: the same store as incarnation `incarnation`, with
 * all files in the bucket only. `note` becomes the file HOME/bucket. The store is there once its first
 * checkpoint is: what an attempt that died before left in the folder does not matter.
 */
enum aq_status aq_remote_make_home(const char *home, const struct aq_catalog *catalog,
                                   uint64_t incarnation, struct aq_slice note,
                                   struct aq_error *err) AQ_RESULT;
/** Whether a home can be made there: AQ_EXISTS when it holds a store, AQ_INVALID when it holds other
 * things. */
enum aq_status aq_remote_check_home(const char *home, struct aq_error *err) AQ_RESULT;

#endif
