/* The files of a snapshot, opened when they are needed, a bounded number at a time. Private to
 * engine/store. */
#ifndef AQ_ENGINE_STORE_FILE_CACHE_H
#define AQ_ENGINE_STORE_FILE_CACHE_H

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

/** Path of catalog->files[index], for messages. */
struct aq_store_path aq_file_cache_path(const struct aq_file_cache *cache, size_t index);

/** Read exactly `size` bytes of catalog->files[index] at `offset`. @thread Any. */
enum aq_status aq_file_cache_read(struct aq_file_cache *cache, size_t index, uint64_t offset,
                                  void *buffer, size_t size, struct aq_error *err) AQ_RESULT;
uint64_t aq_file_cache_bytes_read(const struct aq_file_cache *cache);

#endif
