/* One object-store API; back ends: a directory, S3 (engine/object/s3.h).
 * Names are relative, '/'-separated, of [A-Za-z0-9._=-], no part of them empty or beginning with a
 * dot; anything else is refused. @thread Any: a store has no state but its connection. */
#ifndef AQ_ENGINE_OBJECT_OBJECT_H
#define AQ_ENGINE_OBJECT_OBJECT_H

#include "format/base/bytes.h"

struct aq_object_store;

/** A name has at most so many bytes. */
#define AQ_OBJECT_NAME_MAX 200

/** Directory back end rooted at `path`. `create` makes it, and lets puts make the folders of their names;
 * a folder that is not there is then an empty one, as in a bucket. */
enum aq_status aq_object_open_dir(const char *path, bool create, struct aq_object_store **store,
                                  struct aq_error *err) AQ_RESULT;
/** The objects of `bucket` whose names begin with `prefix` (which ends with a '/'), without it. Borrows
 * `bucket`. */
enum aq_status aq_object_open_prefix(struct aq_object_store *bucket, const char *prefix,
                                     struct aq_object_store **store,
                                     struct aq_error *err) AQ_RESULT;
void aq_object_close(struct aq_object_store *store);

/** Create `name` with `data`, durable when AQ_OK; AQ_EXISTS when it is there already (atomic:
 * temporary file, fsync, link(2), fsync of the directory; If-None-Match in a bucket, AQ_UNSUPPORTED where the
 * server does not know it). After any other failure it may be there, or come to be there: a bucket's answer
 * can be lost. One that was lost and then refused is settled by comparing bytes, so let them have a nonce. */
enum aq_status aq_object_put_if_absent(struct aq_object_store *store, const char *name,
                                       struct aq_slice data, struct aq_error *err) AQ_RESULT;
/** Create or replace atomically, durable when AQ_OK. */
enum aq_status aq_object_put(struct aq_object_store *store, const char *name, struct aq_slice data,
                             struct aq_error *err) AQ_RESULT;
/** Whole object appended to `out`; AQ_NOT_FOUND; AQ_LIMIT above `size_max`. */
enum aq_status aq_object_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                             struct aq_bytes *out, struct aq_error *err) AQ_RESULT;
/** Exactly `size` bytes at `offset`. */
enum aq_status aq_object_get_range(struct aq_object_store *store, const char *name, uint64_t offset,
                                   void *buffer, size_t size, struct aq_error *err) AQ_RESULT;
/** Size of an object; AQ_NOT_FOUND. */
enum aq_status aq_object_head(struct aq_object_store *store, const char *name, uint64_t *size_bytes,
                              struct aq_error *err) AQ_RESULT;

/** Bytes wanted of an object. */
struct aq_object_range {
    const char *name;
    uint64_t offset;
    size_t size;
    void *buffer; /* the caller's */
};
/** Exactly these ranges, each by one request, as many in flight as the back end allows. Neighbours are
 * not joined: the caller has coalesced them. After a failure no buffer may be believed. */
enum aq_status aq_object_get_ranges(struct aq_object_store *store,
                                    const struct aq_object_range *ranges, size_t range_count,
                                    struct aq_error *err) AQ_RESULT;

/** Told how many bytes of a transfer are done; a negative status ends it, unless it is too late for that. */
typedef enum aq_status (*aq_object_progress_fn)(void *context, uint64_t bytes_done);
/**
 * Create `name` from the first `size_bytes` of the file `fd`; AQ_EXISTS when it is there already. In
 * parts above 64 MiB, each with a checksum, where the back end has them.
 * @param progress  May be NULL.
 */
enum aq_status aq_object_put_file(struct aq_object_store *store, const char *name, int fd,
                                  uint64_t size_bytes, aq_object_progress_fn progress,
                                  void *context, struct aq_error *err) AQ_RESULT;
/** Abort unfinished multipart uploads below `prefix` that began more than `age_us` ago. */
enum aq_status aq_object_abort_uploads(struct aq_object_store *store, const char *prefix,
                                       int64_t age_us, size_t *count,
                                       struct aq_error *err) AQ_RESULT;

/** Requests sent so far, retries included, and bytes received. A directory counts nothing. */
struct aq_object_counters {
    uint64_t get_count;
    uint64_t head_count;
    uint64_t list_count;
    uint64_t put_count;
    uint64_t delete_count;
    uint64_t retry_count;
    uint64_t bytes_received;
    uint64_t bytes_sent;
};
struct aq_object_counters aq_object_count(const struct aq_object_store *store);

/** AQ_OK also when it is not there. */
enum aq_status aq_object_delete(struct aq_object_store *store, const char *name,
                                struct aq_error *err) AQ_RESULT;
/** Calls visit, in name order, for each object whose name begins with `prefix` and that lies in the same
 * folder as it: "data/" lists data/a, not data/b/c. A negative status from it stops. */
typedef enum aq_status (*aq_object_visit_fn)(void *context, const char *name, uint64_t size_bytes);
enum aq_status aq_object_list(struct aq_object_store *store, const char *prefix,
                              aq_object_visit_fn visit, void *context,
                              struct aq_error *err) AQ_RESULT;
/** Whoever reads `name` after this reads it after a power cut too: a reader calls it before it acts
 * on an object that another process may have put a moment ago. */
enum aq_status aq_object_settle(struct aq_object_store *store, const char *name,
                                struct aq_error *err) AQ_RESULT;

/** Remove what puts of dead processes left in the folder `prefix` ("catalog/"); as far as it can. */
void aq_object_sweep(struct aq_object_store *store, const char *prefix);
/** Whether there is an object `name`; false also where that cannot be told. */
bool aq_object_exists(struct aq_object_store *store, const char *name);

/** The full name, for messages. */
struct aq_object_path {
    char text[512];
};
struct aq_object_path aq_object_path(const struct aq_object_store *store, const char *name);

#endif
