/* An open store: its home, its catalog, commits, recovery. */
#ifndef AQ_ENGINE_STORE_STORE_H
#define AQ_ENGINE_STORE_STORE_H

#include "engine/io/io.h"
#include "engine/store/catalog/catalog.h"

struct aq_store;
struct aq_object_store;

/** How frames are written: through the kernel's cache (write, then fdatasync: RWF_DSYNC), or past it, several at once, into
 * blocks zeroed before. AQ_WRITE_UNKNOWN: a writer with enough to write will find out what is faster here. */
enum aq_write_method { AQ_WRITE_UNKNOWN, AQ_WRITE_CACHED, AQ_WRITE_DIRECT };

struct aq_store_options {
    const char *home; /* NULL: read the bucket's newest mirror, read_only */
    /* Files that are not at home are read from it; borrowed until close. NULL: such a file is an error. */
    struct aq_object_store *bucket;
    const char *cache_path; /* folder of the block cache; NULL: HOME/cache, or none */
    uint64_t cache_bytes;   /* 0: 10 GiB; less than a block of the cache: none */
    bool allow_incomplete; /* of a mirror: do not refuse what lies beyond its "complete to" point */
    bool create;    /* make the home and its first edit when there is none; else AQ_NOT_FOUND */
    bool read_only; /* refuse commits */
    enum aq_io_kind io;
    enum aq_write_method write_method; /* AQ_WRITE_UNKNOWN unless it is to be forced */
    unsigned recovery_thread_count;    /* at most; 0: as many as it looks at segments at a time */
};

/** Open: catalog read and verified. Nothing is recovered yet. @thread The store may be used from
 * several threads; each writer and snapshot from one at a time. */
enum aq_status aq_store_open(const struct aq_store_options *options, struct aq_store **store,
                             struct aq_error *err) AQ_RESULT;
void aq_store_close(struct aq_store *store);
const char *aq_store_home(const struct aq_store *store);
int aq_store_home_fd(const struct aq_store *store);
/** What writes go through, chosen at opening; AUTO stays AUTO in a store opened for reading only. */
enum aq_io_kind aq_store_io_kind(const struct aq_store *store);
/** Why AQ_IO_AUTO did not get io_uring; "" where there is nothing to tell. */
const char *aq_store_io_notice(const struct aq_store *store);
/** What is known by now. @thread Any. */
enum aq_write_method aq_store_write_method(const struct aq_store *store);
const char *aq_write_method_name(enum aq_write_method method); /* "unknown", "cached", "direct" */
/** How often blocks could not be zeroed ahead: frames are written all the same, slower. @thread Any. */
uint64_t aq_store_zero_failure_count(const struct aq_store *store);
/** Why, in words; false when there is nothing that was not told before. @thread Any. */
bool aq_store_zero_notice(struct aq_store *store, char *notice, size_t notice_size);
/** Why the block cache keeps nothing any more; "" while it does. */
const char *aq_store_cache_notice(const struct aq_store *store);
/** Whether it was opened from a bucket's mirror: it has no home, its name stands for one in messages. */
bool aq_store_is_mirror(const struct aq_store *store);

/** The newest catalog this process knows, referenced; `refresh` reads newer edits first. */
enum aq_status aq_store_catalog(struct aq_store *store, bool refresh,
                                const struct aq_catalog **catalog, struct aq_error *err) AQ_RESULT;
void aq_catalog_release(const struct aq_catalog *catalog);

/** Records being collected for one edit. Everything added is copied. */
struct aq_edit;
enum aq_status aq_edit_add(struct aq_edit *edit, const struct aq_record *record) AQ_RESULT;

/**
 * Build an edit against `catalog`. Called again with a newer catalog after a lost race, with an empty
 * edit. Returns AQ_OK to commit, AQ_END when there is nothing to commit, or an error to give up
 * (AQ_CONFLICT when an input is gone). It must not commit or refresh: the store is locked.
 */
typedef enum aq_status (*aq_edit_build_fn)(void *context, const struct aq_catalog *catalog,
                                           struct aq_edit *edit, struct aq_error *err);

/** Commit one edit: the only way the store changes. AQ_OK: durable, and the store's catalog includes
 * it. AQ_END: build said there was nothing to do. */
enum aq_status aq_store_commit(struct aq_store *store, aq_edit_build_fn build, void *context,
                               struct aq_error *err) AQ_RESULT;

/**
 * Record a declaration, and that of its rejects, unless it equals the one in force: new dataset, added,
 * renamed (`was`) and hidden columns, other roles but key and time become a new version; a changed type,
 * key, time or slot is AQ_INVALID with what to do. `schema` gives names, types and roles; ids and version
 * are assigned. `recorded` is
 * borrowed from the store's present catalog copy, valid until aq_store_close.
 */
enum aq_status aq_store_declare(struct aq_store *store, const struct aq_schema *schema,
                                const struct aq_schema **recorded, const struct aq_schema **rejects,
                                struct aq_error *err) AQ_RESULT;
/** Record `sql` under `name` unless it is the recorded one; empty SQL removes it. */
enum aq_status aq_store_declare_view(struct aq_store *store, const char *name, const char *sql,
                                     struct aq_error *err) AQ_RESULT;

struct aq_recovery_report {
    uint64_t segment_count; /* open segments without a living writer */
    uint64_t frame_count;   /* frames kept */
    uint64_t row_count;     /* of them, as far as they count */
    uint64_t torn_bytes;    /* unacked tails cut off */
};
/**
 * Close every open segment whose writer is gone (its flock is free): read the valid prefix, commit a
 * `close` edit with the positions its frames hold. A segment with a valid frame behind a bad one is
 * AQ_CORRUPT: it and those behind it are left as they are. Waits for dying writers' flocks up to a second. Segments are read
 * in threads (recovery_thread_count), and closed in the catalog's order: the outcome is that of one thread.
 */
enum aq_status aq_store_recover(struct aq_store *store, struct aq_recovery_report *report,
                                struct aq_error *err) AQ_RESULT;

/** Advisory lock file in the home ("locks/NAME"); AQ_CONFLICT when another process holds it in a way
 * that excludes this one. Released by aq_store_unlock or the process's end. */
struct aq_store_lock;
enum aq_status aq_store_lock(struct aq_store *store, const char *name, bool exclusive,
                             struct aq_store_lock **lock, struct aq_error *err) AQ_RESULT;
/** As aq_store_lock, waiting up to `timeout_ms` for who holds it. */
enum aq_status aq_store_lock_wait(struct aq_store *store, const char *name, bool exclusive,
                                  unsigned timeout_ms, struct aq_store_lock **lock,
                                  struct aq_error *err) AQ_RESULT;
void aq_store_unlock(struct aq_store_lock *lock);

#endif
