/* The files of a snapshot, opened when they are needed, a bounded number at a time. Private to
 * engine/store. */
#ifndef AQ_ENGINE_STORE_FILE_CACHE_H
#define AQ_ENGINE_STORE_FILE_CACHE_H

#include "engine/cache/object_reader.h"
#include "engine/store/snapshot/snapshot.h"
#include "engine/store/store_internal.h"

struct aq_file_cache;

/** `file_count` files, known by index from now on. */
enum aq_status aq_file_cache_create(struct aq_store *store, const struct aq_catalog *catalog,
                                    struct aq_file_cache **cache, struct aq_error *err) AQ_RESULT;
void aq_file_cache_destroy(struct aq_file_cache *cache);

/** Descriptor of catalog->files[index]; stays open until released. @thread Any. */
enum aq_status aq_file_cache_acquire(struct aq_file_cache *cache, size_t index, int *fd,
                                     struct aq_error *err) AQ_RESULT;
void aq_file_cache_release(struct aq_file_cache *cache, size_t index);

/** Files that it keeps open: more are open only while all of these are in use. */
size_t aq_file_cache_open_max(const struct aq_file_cache *cache);
/** Whether the bytes of catalog->files[index] are in the bucket and not at home. */
bool aq_file_cache_is_remote(const struct aq_file_cache *cache, size_t index);
/** Whether this reader can have none of its bytes: of a mirror, what was not copied to the bucket yet. */
bool aq_file_cache_is_absent(const struct aq_file_cache *cache, size_t index);
/** A remote file's span, for the reader that fetches it. */
struct aq_object_span aq_file_cache_span(const struct aq_file_cache *cache, size_t index,
                                         uint64_t offset, uint64_t size_bytes);
/** What was read of a remote file is not what it should hold: do not believe a copy of it again. */
void aq_file_cache_forget(struct aq_file_cache *cache, size_t index, uint64_t offset,
                          uint64_t size_bytes);
/** Reads the remote files; AQ_INVALID, with what to do, where the store was opened without a bucket. */
enum aq_status aq_file_cache_reader(const struct aq_file_cache *cache, size_t index,
                                    struct aq_object_reader **reader,
                                    struct aq_error *err) AQ_RESULT;

/** Path of catalog->files[index], or name of the object that it is, for messages. */
struct aq_store_path aq_file_cache_path(const struct aq_file_cache *cache, size_t index);

struct aq_remote_counters aq_file_cache_remote(const struct aq_file_cache *cache);

/** Read exactly `size` bytes of catalog->files[index] at `offset`. @thread Any. */
enum aq_status aq_file_cache_read(struct aq_file_cache *cache, size_t index, uint64_t offset,
                                  void *buffer, size_t size, struct aq_error *err) AQ_RESULT;
uint64_t aq_file_cache_bytes_read(const struct aq_file_cache *cache);

#endif
