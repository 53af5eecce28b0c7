/* Objects of a bucket through libcurl: put, get, head, delete. Lists are in s3_list.c, large files in
 * s3_multipart.c.
 *
 * A conditional put is If-None-Match: * and 412 is AQ_EXISTS. It may be our own object that is in the way:
 * when an earlier try ended without an answer, its bytes are read and compared. Equal bytes count as ours;
 * that is right for callers whose bytes or names carry a nonce, as all of ours do. When the deadline comes
 * without an answer it is AQ_TEMPORARY, and the object may be there or come to be there later. */
#include "engine/object/s3/s3_objects.h"

#include <stdlib.h>
#include <string.h>

#define COMPARE_BYTES (4u << 20)

static struct aq_s3_store *self(struct aq_object_store *store)
{
    return (struct aq_s3_store *)store;
}

static enum aq_status fail_at(struct aq_s3_store *store, const char *name, enum aq_status status,
                              const char *what, struct aq_error *err)
{
    struct aq_object_path path = aq_object_path(&store->base, name);
    return aq_error_set_at(err, status, path.text, -1, "%s", what);
}

/* Put. */

enum aq_status aq_s3_ask_absent(struct aq_s3_store *store, const char *name, struct aq_error *err)
{
    uint64_t size_bytes;
    enum aq_status status = aq_object_head(&store->base, name, &size_bytes, err);
    if (status == AQ_OK)
        return fail_at(store, name, AQ_EXISTS, "it exists already", err);
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static enum aq_status compare(struct aq_s3_store *store, const char *name,
                              const struct aq_s3_body *body, uint8_t *theirs, uint8_t *ours,
                              bool *equal, struct aq_error *err)
{
    uint64_t size = 0;
    size_t count = 0;
    AQ_TRY(aq_s3_head(&store->base, name, &size, err));
    *equal = size == body->size;
    for (uint64_t at = 0; *equal && at < size; at += count) {
        AQ_TRY(aq_s3_body_read(body, at, ours, COMPARE_BYTES, &count, err));
        AQ_TRY(aq_object_get_range(&store->base, name, at, theirs, count, err));
        *equal = memcmp(ours, theirs, count) == 0;
    }
    return AQ_OK;
}

enum aq_status aq_s3_settle(struct aq_s3_store *store, const char *name,
                            const struct aq_s3_body *body, struct aq_error *err)
{
    bool equal = false;
    uint8_t *buffers = malloc((size_t)2 * COMPARE_BYTES);
    if (buffers == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status =
        compare(store, name, body, buffers, buffers + COMPARE_BYTES, &equal, err);
    free(buffers);
    if (status == AQ_NOT_FOUND || status == AQ_CORRUPT) /* deleted or replaced meanwhile */
        return fail_at(store, name, AQ_TEMPORARY, "it was put, and is gone again: try again", err);
    if (status == AQ_OK && !equal)
        status = fail_at(store, name, AQ_EXISTS, "it exists already, with other bytes", err);
    return status;
}

static enum aq_status put_body(struct aq_s3_store *store, struct aq_s3_request *request,
                               struct aq_s3_watch *watch, struct aq_error *err)
{
    enum aq_status status = aq_s3_run(store, request, 1, watch, err);
    if (status == AQ_EXISTS && request->uncertain)
        status = aq_s3_settle(store, request->name, &request->body, err);
    return status;
}

static enum aq_status s3_put(struct aq_object_store *store, const char *name, struct aq_slice data,
                             bool if_absent, struct aq_error *err)
{
    struct aq_s3_request request = {
        .kind = AQ_S3_PUT,
        .name = name,
        .if_absent = if_absent,
        .body = aq_s3_body_of(data),
    };
    return put_body(self(store), &request, NULL, err);
}

static enum aq_status s3_put_file(struct aq_object_store *store, const char *name,
                                  const struct aq_object_file *file, struct aq_error *err)
{
    struct aq_s3_store *s3 = self(store);
    struct aq_s3_watch watch = {.progress = file->progress, .context = file->context};
    struct aq_s3_request request = {
        .kind = AQ_S3_PUT,
        .name = name,
        .if_absent = true,
        .classed = true,
        .body = {.fd = file->fd, .size = file->size_bytes},
    };
    if (file->size_bytes > s3->multipart_bytes)
        return aq_s3_put_parts(s3, name, file, err);
    enum aq_status status = put_body(s3, &request, &watch, err);
    if (status != AQ_UNSUPPORTED)
        return status;
    AQ_TRY(aq_s3_ask_absent(s3, name, err));
    request.if_absent = false;
    return put_body(s3, &request, &watch, err);
}

/* Get. */

static enum aq_status s3_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                             struct aq_bytes *out, struct aq_error *err)
{
    size_t begin = out->size;
    struct aq_s3_request request = {
        .kind = AQ_S3_GET, .name = name, .out = out, .out_max = size_max};
    enum aq_status status = aq_s3_run_one(self(store), &request, err);
    if (status != AQ_OK)
        out->size = begin;
    return status;
}

static enum aq_status s3_get_ranges(struct aq_object_store *store,
                                    const struct aq_object_range *ranges, size_t range_count,
                                    struct aq_error *err)
{
    size_t count = 0;
    struct aq_s3_request *requests = calloc(range_count + 1, sizeof *requests);
    if (requests == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < range_count; i++) {
        const struct aq_object_range *range = &ranges[i];
        if (range->size > 0)
            requests[count++] = (struct aq_s3_request){.kind = AQ_S3_GET,
                                                       .name = range->name,
                                                       .offset = range->offset,
                                                       .size = range->size,
                                                       .buffer = range->buffer};
    }
    enum aq_status status = aq_s3_run(self(store), requests, count, NULL, err);
    free(requests);
    return status;
}

static enum aq_status s3_get_range(struct aq_object_store *store, const char *name, uint64_t offset,
                                   void *buffer, size_t size, struct aq_error *err)
{
    struct aq_object_range range = {.name = name, .offset = offset, .size = size, .buffer = buffer};
    return s3_get_ranges(store, &range, 1, err);
}

enum aq_status aq_s3_head(struct aq_object_store *store, const char *name, uint64_t *size_bytes,
                          struct aq_error *err)
{
    struct aq_s3_request request = {.kind = AQ_S3_HEAD, .name = name};
    AQ_TRY(aq_s3_run_one(self(store), &request, err));
    *size_bytes = (uint64_t)request.answer.length;
    return AQ_OK;
}

/* The rest. */

static enum aq_status s3_delete(struct aq_object_store *store, const char *name,
                                struct aq_error *err)
{
    struct aq_s3_request request = {.kind = AQ_S3_DELETE, .name = name};
    enum aq_status status = aq_s3_run_one(self(store), &request, err);
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

struct aq_object_counters aq_s3_count(const struct aq_object_store *store)
{
    const struct aq_s3_store *s3 = (const struct aq_s3_store *)store;
    const _Atomic uint64_t *counts = s3->request_counts;
    return (struct aq_object_counters){
        .get_count = atomic_load(&counts[AQ_S3_GET]),
        .head_count = atomic_load(&counts[AQ_S3_HEAD]),
        .list_count = atomic_load(&counts[AQ_S3_LIST]),
        .put_count = atomic_load(&counts[AQ_S3_PUT]) + atomic_load(&counts[AQ_S3_POST]),
        .delete_count = atomic_load(&counts[AQ_S3_DELETE]),
        .retry_count = atomic_load(&s3->retry_count),
        .bytes_received = atomic_load(&s3->bytes_received),
        .bytes_sent = atomic_load(&s3->bytes_sent),
    };
}

void aq_s3_close(struct aq_object_store *store)
{
    struct aq_s3_store *s3 = self(store);
    aq_s3_sessions_close(s3);
    aq_s3_keyring_destroy(s3->keyring);
    aq_s3_address_deinit(&s3->address);
    pthread_mutex_destroy(&s3->lock);
    free(s3->storage_class);
    free(s3->ca_bundle);
    free(s3);
}

const struct aq_object_backend aq_s3_curl_backend = {
    .close = aq_s3_close,
    .put = s3_put,
    .get = s3_get,
    .get_range = s3_get_range,
    .get_ranges = s3_get_ranges,
    .head = aq_s3_head,
    .put_file = s3_put_file,
    .abort_uploads = aq_s3_abort_uploads,
    .count = aq_s3_count,
    .delete = s3_delete,
    .list = aq_s3_list,
};
