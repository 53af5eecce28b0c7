/* What the files of engine/store know of an open store. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_STORE_INTERNAL_H
#define AQ_ENGINE_STORE_STORE_INTERNAL_H

#include "engine/cache/block_cache.h"
#include "engine/object/object.h"
#include "engine/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define AQ_STORE_PATH_MAX 512

struct aq_store {
    char *home;
    int home_fd; /* -1: a mirror */
    struct aq_object_store *objects;
    struct aq_object_store *bucket; /* borrowed; NULL: none */
    struct aq_block_cache *blocks;  /* of the bucket's objects; NULL: none */
    char *scratch_path;             /* folder for files read from the bucket as a whole */
    bool is_mirror;                 /* no home: what the bucket's mirror of the catalog says */
    bool allow_incomplete;
    bool mirror_is_fresh; /* read by opening: the first snapshot need not again; under `advance` */
    bool read_only;
    enum aq_io_kind io;
    char io_notice[256];
    atomic_int write_method; /* enum aq_write_method */
    unsigned recovery_thread_count;
    atomic_uint_fast64_t zero_failure_count;
    atomic_int zero_errno;      /* of the last of them */
    atomic_int zero_errno_told; /* of the one that was told last */
    /* Held by whoever moves the catalog on: commits and refreshes, one at a time. */
    pthread_mutex_t advance;
    uint64_t began;           /* with this checkpoint, 0: edit 1; under `advance` */
    int64_t end_read_us;      /* boot clock: no edit has followed then, or later; under `advance` */
    uint64_t checkpoint;      /* newest one known; under `advance` */
    bool has_reserve;         /* room is set aside for edits; under `advance` */
    bool uncertain;           /* a commit failed half way; under `advance` */
    struct aq_arena declared; /* schemas lent by aq_store_declare; under `advance` */
    /* Held for as long as it takes to copy the pointer. */
    pthread_mutex_t current;
    const struct aq_catalog *catalog;
};

/** "HOME/name", for messages. */
struct aq_store_path {
    char text[AQ_STORE_PATH_MAX];
};
struct aq_store_path aq_store_path(const struct aq_store *store, const char *name);

const struct aq_catalog *aq_catalog_retain(const struct aq_catalog *catalog);
/** The present catalog, retained. */
const struct aq_catalog *aq_store_current(struct aq_store *store);
/** Make `catalog` the present one; takes over its reference. */
void aq_store_replace(struct aq_store *store, const struct aq_catalog *catalog);
/** Read the edits that are newer than the present catalog. Caller holds `advance`. */
enum aq_status aq_store_refresh(struct aq_store *store, struct aq_error *err) AQ_RESULT;
/** Read the catalog anew, as opening does. Caller holds `advance`, or nobody else has the store yet. */
enum aq_status aq_store_reopen(struct aq_store *store, struct aq_error *err) AQ_RESULT;
/** Whether the end of the chain was read so short a time ago that no edit behind it can have been
 * collected. Caller holds `advance`. */
bool aq_store_is_just_read(const struct aq_store *store);

/** Make the folder of a home, its name durable, unless it is there. */
enum aq_status aq_store_make_home(const char *home, struct aq_error *err) AQ_RESULT;
/** Make the folders in it, durable, and its first lock. */
enum aq_status aq_store_make_folders(const char *home, int home_fd, struct aq_error *err) AQ_RESULT;
/** Read the newest mirror of the bucket, unless opening has just done so. Caller holds `advance`, or
 * nobody else has the store yet. */
enum aq_status aq_store_read_mirror(struct aq_store *store, struct aq_error *err) AQ_RESULT;
/** Zeroing ahead failed. @thread Any. */
void aq_store_note_zero_failure(struct aq_store *store, int os_errno);
/** AQ_INVALID: a store in a bucket takes no writes; what to do. */
enum aq_status aq_store_refuse_write(const struct aq_store *store, struct aq_error *err) AQ_RESULT;

#endif
