/* Reading objects in blocks.
 *
 * Happy path: what a caller is about to read is fetched first: the blocks of all its spans are looked for
 * in memory and on disk; the missing ones become requests (neighbours joined, several in flight), whose
 * bytes are held in memory and put into the cache. Reads then copy from memory; a block that only the
 * cache has is read from there, verified, and held too.
 * Failures: a block that went away between fetching and reading is fetched again. An object that is gone
 * is no corruption: whoever named it read a catalog that has been superseded. */
#include "engine/cache/object_reader.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GAP_BLOCKS (AQ_FETCH_GAP_BYTES / AQ_CACHE_BLOCK_BYTES)
#define REQUEST_BLOCKS (AQ_FETCH_REQUEST_BYTES / AQ_CACHE_BLOCK_BYTES)

/* Neighbouring blocks of an object: wanted, requested, or held. */
struct run {
    const struct aq_remote_object *object;
    uint64_t first; /* block */
    uint64_t end;
    uint8_t *bytes; /* requested and held ones */
};

struct runs {
    struct run *items;
    size_t count;
    size_t capacity;
};

struct aq_object_reader {
    struct aq_object_store *bucket;
    struct aq_block_cache *cache;
    pthread_rwlock_t lock; /* of `held` */
    struct runs held;      /* oldest first */
    uint64_t held_bytes;
    uint64_t get_count; /* atomic, as the next two */
    uint64_t bytes_received;
    uint64_t cache_hit_bytes;
};

enum aq_status aq_object_reader_create(struct aq_object_store *bucket, struct aq_block_cache *cache,
                                       struct aq_object_reader **reader, struct aq_error *err)
{
    *reader = calloc(1, sizeof **reader);
    if (*reader == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    (*reader)->bucket = bucket;
    (*reader)->cache = cache;
    pthread_rwlock_init(&(*reader)->lock, NULL);
    return AQ_OK;
}

static void runs_deinit(struct runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        free(runs->items[i].bytes);
    free(runs->items);
    *runs = (struct runs){0};
}

void aq_object_reader_destroy(struct aq_object_reader *reader)
{
    if (reader == NULL)
        return;
    runs_deinit(&reader->held);
    pthread_rwlock_destroy(&reader->lock);
    free(reader);
}

struct aq_reader_counters aq_object_reader_count(const struct aq_object_reader *reader)
{
    return (struct aq_reader_counters){
        .get_count = __atomic_load_n(&reader->get_count, __ATOMIC_RELAXED),
        .bytes_received = __atomic_load_n(&reader->bytes_received, __ATOMIC_RELAXED),
        .cache_hit_bytes = __atomic_load_n(&reader->cache_hit_bytes, __ATOMIC_RELAXED),
    };
}

static enum aq_status runs_add(struct runs *runs, const struct run *run)
{
    if (runs->count == runs->capacity) {
        size_t capacity = runs->capacity * 2 + 16;
        struct run *grown = realloc(runs->items, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        runs->items = grown;
        runs->capacity = capacity;
    }
    runs->items[runs->count++] = *run;
    return AQ_OK;
}

static uint64_t block_offset(uint64_t block)
{
    return block * AQ_CACHE_BLOCK_BYTES;
}

/* Bytes of blocks [first, end): the object's last one may be short. */
static size_t run_bytes(const struct run *run)
{
    uint64_t end = block_offset(run->end);
    end = end < run->object->size_bytes ? end : run->object->size_bytes;
    return (size_t)(end - block_offset(run->first));
}

static struct run run_of(const struct aq_object_span *span)
{
    assert(span->size_bytes > 0 && span->offset <= span->object->size_bytes &&
           span->size_bytes <= span->object->size_bytes - span->offset);
    return (struct run){.object = span->object,
                        .first = span->offset / AQ_CACHE_BLOCK_BYTES,
                        .end = (span->offset + span->size_bytes - 1) / AQ_CACHE_BLOCK_BYTES + 1};
}

/* Memory. */

/* The held run with this block, or NULL. Caller holds the lock. */
static const struct run *find_held(const struct aq_object_reader *reader,
                                   const struct aq_remote_object *object, uint64_t block)
{
    for (size_t i = reader->held.count; i-- > 0;) {
        const struct run *run = &reader->held.items[i];
        if (run->object == object && block >= run->first && block < run->end)
            return run;
    }
    return NULL;
}

static bool is_held(struct aq_object_reader *reader, const struct aq_remote_object *object,
                    uint64_t block)
{
    pthread_rwlock_rdlock(&reader->lock);
    bool held = find_held(reader, object, block) != NULL;
    pthread_rwlock_unlock(&reader->lock);
    return held;
}

/* Caller holds the lock for writing. */
static void remove_held(struct aq_object_reader *reader, size_t first, size_t count)
{
    struct runs *held = &reader->held;
    for (size_t i = first; i < first + count; i++) {
        reader->held_bytes -= run_bytes(&held->items[i]);
        free(held->items[i].bytes);
    }
    memmove(held->items + first, held->items + first + count,
            (held->count - first - count) * sizeof *held->items);
    held->count -= count;
}

/* Let go of what was held longest, until `bytes` more fit. Caller holds the lock for writing. */
static void make_room(struct aq_object_reader *reader, uint64_t bytes)
{
    size_t drop = 0;
    uint64_t left = reader->held_bytes;
    for (; drop < reader->held.count && left + bytes > AQ_FETCH_HELD_BYTES; drop++)
        left -= run_bytes(&reader->held.items[drop]);
    if (drop > 0)
        remove_held(reader, 0, drop);
}

/* Hold a run; takes over its bytes in any case. */
static void hold(struct aq_object_reader *reader, struct run *run)
{
    pthread_rwlock_wrlock(&reader->lock);
    make_room(reader, run_bytes(run));
    if (runs_add(&reader->held, run) == AQ_OK)
        reader->held_bytes += run_bytes(run);
    else
        free(run->bytes);
    run->bytes = NULL;
    pthread_rwlock_unlock(&reader->lock);
}

void aq_object_reader_forget(struct aq_object_reader *reader, const struct aq_object_span *span)
{
    struct run lost = run_of(span);
    pthread_rwlock_wrlock(&reader->lock);
    for (size_t i = reader->held.count; i-- > 0;) {
        const struct run *run = &reader->held.items[i];
        if (run->object == lost.object && run->first < lost.end && lost.first < run->end)
            remove_held(reader, i, 1);
    }
    pthread_rwlock_unlock(&reader->lock);
    for (uint64_t block = lost.first; reader->cache != NULL && block < lost.end; block++)
        aq_block_cache_drop(reader->cache, &lost.object->hash, block);
}

/* What has to be requested. */

static int compare_runs(const void *left, const void *right)
{
    const struct run *a = left;
    const struct run *b = right;
    if (a->object != b->object)
        return (uintptr_t)a->object < (uintptr_t)b->object ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

static bool is_missing(struct aq_object_reader *reader, const struct aq_remote_object *object,
                       uint64_t block)
{
    return !is_held(reader, object, block) &&
           (reader->cache == NULL || !aq_block_cache_has(reader->cache, &object->hash, block));
}

/* Add a missing block to the last request, or begin one. */
static enum aq_status request_block(struct runs *requests, const struct aq_remote_object *object,
                                    uint64_t block)
{
    struct run *last = requests->count == 0 ? NULL : &requests->items[requests->count - 1];
    if (last != NULL && last->object == object && block - last->end <= GAP_BLOCKS &&
        block + 1 - last->first <= REQUEST_BLOCKS) {
        last->end = block + 1;
        return AQ_OK;
    }
    return runs_add(requests, &(struct run){.object = object, .first = block, .end = block + 1});
}

static enum aq_status plan_requests(struct aq_object_reader *reader,
                                    const struct aq_object_span *spans, size_t span_count,
                                    struct runs *requests)
{
    struct runs wanted = {0};
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < span_count && status == AQ_OK; i++) {
        struct run run = run_of(&spans[i]);
        status = runs_add(&wanted, &run);
    }
    if (wanted.count > 0)
        qsort(wanted.items, wanted.count, sizeof *wanted.items, compare_runs);
    uint64_t next = 0; /* block of the object; those before it have been looked at */
    for (size_t i = 0; i < wanted.count && status == AQ_OK; i++) {
        const struct run *run = &wanted.items[i];
        if (i == 0 || run[-1].object != run->object || next < run->first)
            next = run->first;
        for (; next < run->end && status == AQ_OK; next++)
            if (is_missing(reader, run->object, next))
                status = request_block(requests, run->object, next);
    }
    runs_deinit(&wanted);
    return status;
}

/* Requests. */

static enum aq_status gone(enum aq_status status, struct aq_error *err)
{
    if (status != AQ_NOT_FOUND)
        return status;
    char path[AQ_ERROR_PATH_MAX] = "";
    if (err != NULL)
        memcpy(path, err->path, sizeof path);
    return aq_error_set_at(err, AQ_TEMPORARY, path, -1,
                           "is no longer in the bucket: the store has moved on since its catalog "
                           "was read; run it again");
}

static void keep_on_disk(struct aq_object_reader *reader, const struct run *run)
{
    for (uint64_t block = run->first; reader->cache != NULL && block < run->end; block++) {
        struct run one = {.object = run->object, .first = block, .end = block + 1};
        aq_block_cache_put(reader->cache, &run->object->hash, block,
                           run->bytes + block_offset(block - run->first), run_bytes(&one));
    }
}

/* Leave as many requests as memory may hold, and make room for what they bring. */
static void fit_requests(struct aq_object_reader *reader, struct runs *requests)
{
    uint64_t bytes = 0;
    size_t count = 0;
    for (; count < requests->count; count++) {
        size_t size = run_bytes(&requests->items[count]);
        if (bytes + size > AQ_FETCH_HELD_BYTES)
            break;
        bytes += size;
    }
    requests->count = count;
    pthread_rwlock_wrlock(&reader->lock);
    make_room(reader, bytes);
    pthread_rwlock_unlock(&reader->lock);
}

static enum aq_status make_ranges(struct runs *requests, struct aq_object_range *ranges)
{
    for (size_t i = 0; i < requests->count; i++) {
        struct run *run = &requests->items[i];
        run->bytes = malloc(run_bytes(run));
        if (run->bytes == NULL)
            return AQ_NO_MEMORY;
        ranges[i] = (struct aq_object_range){.name = run->object->name,
                                             .offset = block_offset(run->first),
                                             .size = run_bytes(run),
                                             .buffer = run->bytes};
    }
    return AQ_OK;
}

static enum aq_status send_requests(struct aq_object_reader *reader, struct runs *requests,
                                    struct aq_error *err)
{
    struct aq_object_range *ranges = calloc(requests->count + 1, sizeof *ranges);
    enum aq_status status = ranges == NULL ? AQ_NO_MEMORY : make_ranges(requests, ranges);
    if (status < 0)
        aq_error_set(err, status, "out of memory");
    if (status == AQ_OK)
        status = gone(aq_object_get_ranges(reader->bucket, ranges, requests->count, err), err);
    free(ranges);
    AQ_TRY(status);
    __atomic_add_fetch(&reader->get_count, requests->count, __ATOMIC_RELAXED);
    for (size_t i = 0; i < requests->count; i++) {
        struct run *run = &requests->items[i];
        __atomic_add_fetch(&reader->bytes_received, run_bytes(run), __ATOMIC_RELAXED);
        keep_on_disk(reader, run);
        hold(reader, run);
    }
    return AQ_OK;
}

enum aq_status aq_object_reader_fetch(struct aq_object_reader *reader,
                                      const struct aq_object_span *spans, size_t span_count,
                                      struct aq_error *err)
{
    struct runs requests = {0};
    enum aq_status status = plan_requests(reader, spans, span_count, &requests);
    if (status < 0)
        aq_error_set(err, status, "out of memory");
    if (status == AQ_OK && requests.count > 0) {
        fit_requests(reader, &requests);
        status = send_requests(reader, &requests, err);
    }
    runs_deinit(&requests);
    return status;
}

/* Reading. */

/* Copy what of the span lies in one block. */
static void copy_block(const struct aq_object_span *span, uint64_t block, const uint8_t *bytes,
                       size_t size, void *buffer)
{
    uint64_t start = block_offset(block);
    uint64_t first = span->offset > start ? span->offset : start;
    uint64_t end = span->offset + span->size_bytes;
    end = end < start + size ? end : start + size;
    memcpy((uint8_t *)buffer + (first - span->offset), bytes + (first - start),
           (size_t)(end - first));
}

static bool copy_held(struct aq_object_reader *reader, const struct aq_object_span *span,
                      uint64_t block, void *buffer)
{
    pthread_rwlock_rdlock(&reader->lock);
    const struct run *run = find_held(reader, span->object, block);
    if (run != NULL) {
        struct run one = {.object = run->object, .first = block, .end = block + 1};
        copy_block(span, block, run->bytes + block_offset(block - run->first), run_bytes(&one),
                   buffer);
    }
    pthread_rwlock_unlock(&reader->lock);
    return run != NULL;
}

/* From the disk, and into memory: its neighbours in the block are likely to be read next. */
static enum aq_status copy_cached(struct aq_object_reader *reader,
                                  const struct aq_object_span *span, uint64_t block, void *buffer,
                                  bool *copied)
{
    struct run run = {.object = span->object, .first = block, .end = block + 1};
    size_t size = run_bytes(&run);
    *copied = false;
    if (reader->cache == NULL)
        return AQ_OK;
    run.bytes = malloc(size);
    if (run.bytes == NULL)
        return AQ_NO_MEMORY;
    *copied = aq_block_cache_get(reader->cache, &span->object->hash, block, run.bytes, size);
    if (!*copied) {
        free(run.bytes);
        return AQ_OK;
    }
    __atomic_add_fetch(&reader->cache_hit_bytes, size, __ATOMIC_RELAXED);
    copy_block(span, block, run.bytes, size, buffer);
    hold(reader, &run);
    return AQ_OK;
}

static enum aq_status copy_there(struct aq_object_reader *reader, const struct aq_object_span *span,
                                 uint64_t block, void *buffer, bool *copied, struct aq_error *err)
{
    *copied = copy_held(reader, span, block, buffer);
    if (*copied)
        return AQ_OK;
    enum aq_status status = copy_cached(reader, span, block, buffer, copied);
    return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
}

/* What of the span lies behind the beginning of `block`. */
static struct aq_object_span span_from(const struct aq_object_span *span, uint64_t block)
{
    uint64_t start = block_offset(block);
    start = start > span->offset ? start : span->offset;
    return (struct aq_object_span){.object = span->object,
                                   .offset = start,
                                   .size_bytes = span->offset + span->size_bytes - start};
}

/* Past memory and cache: neither could keep what was fetched. */
static enum aq_status read_rest(struct aq_object_reader *reader, const struct aq_object_span *span,
                                uint64_t block, void *buffer, struct aq_error *err)
{
    struct aq_object_span rest = span_from(span, block);
    __atomic_add_fetch(&reader->get_count, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&reader->bytes_received, rest.size_bytes, __ATOMIC_RELAXED);
    return gone(aq_object_get_range(reader->bucket, rest.object->name, rest.offset,
                                    (uint8_t *)buffer + (rest.offset - span->offset),
                                    (size_t)rest.size_bytes, err),
                err);
}

enum aq_status aq_object_reader_read(struct aq_object_reader *reader,
                                     const struct aq_object_span *span, void *buffer,
                                     struct aq_error *err)
{
    struct run run = run_of(span);
    for (uint64_t block = run.first; block < run.end; block++) {
        bool copied = false;
        AQ_TRY(copy_there(reader, span, block, buffer, &copied, err));
        if (copied)
            continue;
        struct aq_object_span rest = span_from(span, block);
        AQ_TRY(aq_object_reader_fetch(reader, &rest, 1, err));
        AQ_TRY(copy_there(reader, span, block, buffer, &copied, err));
        if (!copied)
            return read_rest(reader, span, block, buffer, err);
    }
    return AQ_OK;
}
