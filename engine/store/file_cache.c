/* A bounded set of open files: the least recently used idle one makes room. It takes a quarter of the descriptors
 * that the process may have, at most OPEN_FILES_MAX. When all are in use more are
 * opened than the bound says: threads wait for the disk here, not for each other.
 *
 * Files that are not at home are read from the bucket: archives block by block (engine/cache), segments,
 * which are small and read whole, through a copy without a name (object_copy.c). */
#include "engine/store/file_cache.h"

#include "engine/cache/object_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OPEN_FILES_MAX 64

struct cached_file {
    int fd; /* -1: not open */
    bool remote;
    unsigned users;
    uint64_t last_use;
};

struct aq_file_cache {
    struct aq_store *store;
    const struct aq_catalog *catalog;
    struct cached_file *files;
    struct aq_remote_object *objects; /* of each file that is in the bucket */
    struct aq_object_reader *reader;  /* NULL: no bucket */
    size_t open_count;
    size_t open_max;
    uint64_t clock;
    uint64_t bytes_read;
    pthread_mutex_t lock;
};

/* An evicted file goes from the home at any moment, so the bucket is asked, where it is known. One that is in the
 * bucket and not at home is no loss, whatever this version of the catalog says. */
static bool is_remote(const struct aq_file_cache *cache, const struct aq_catalog_file *entry)
{
    char name[64];
    if (cache->store->is_mirror || (entry->evicted && cache->store->bucket != NULL))
        return true;
    aq_catalog_file_name(entry->kind, entry->file_id, name, sizeof name);
    return faccessat(cache->store->home_fd, name, F_OK, 0) != 0;
}

static enum aq_status init_files(struct aq_file_cache *cache, struct aq_error *err)
{
    const struct aq_catalog *catalog = cache->catalog;
    cache->files = calloc(catalog->file_count + 1, sizeof *cache->files);
    cache->objects = calloc(catalog->file_count + 1, sizeof *cache->objects);
    if (cache->files == NULL || cache->objects == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < catalog->file_count; i++)
        cache->files[i].fd = -1;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *entry = &catalog->files[i];
        struct aq_remote_object *object = &cache->objects[i];
        if (entry->object.size == 0)
            continue;
        object->name = strndup((const char *)entry->object.data, entry->object.size);
        if (object->name == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        cache->files[i].remote = is_remote(cache, entry);
        object->hash = entry->object_hash;
        object->size_bytes = aq_catalog_file_bytes(entry);
    }
    if (cache->store->bucket == NULL)
        return AQ_OK;
    return aq_object_reader_create(cache->store->bucket, cache->store->blocks, &cache->reader, err);
}

static size_t open_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 4 > OPEN_FILES_MAX)
        return OPEN_FILES_MAX;
    return limit.rlim_cur / 4;
}

enum aq_status aq_file_cache_create(struct aq_store *store, const struct aq_catalog *catalog,
                                    struct aq_file_cache **cache, struct aq_error *err)
{
    struct aq_file_cache *created = calloc(1, sizeof *created);
    if (created == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    pthread_mutex_init(&created->lock, NULL);
    created->store = store;
    created->catalog = catalog;
    created->open_max = open_max();
    enum aq_status status = init_files(created, err);
    if (status < 0) {
        aq_file_cache_destroy(created);
        return status;
    }
    *cache = created;
    return AQ_OK;
}

void aq_file_cache_destroy(struct aq_file_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; cache->files != NULL && i < cache->catalog->file_count; i++) {
        if (cache->files[i].fd >= 0)
            close(cache->files[i].fd);
    }
    for (size_t i = 0; cache->objects != NULL && i < cache->catalog->file_count; i++)
        free((char *)cache->objects[i].name);
    aq_object_reader_destroy(cache->reader);
    pthread_mutex_destroy(&cache->lock);
    free(cache->objects);
    free(cache->files);
    free(cache);
}

static void close_oldest_idle(struct aq_file_cache *cache)
{
    struct cached_file *oldest = NULL;
    for (size_t i = 0; i < cache->catalog->file_count; i++) {
        struct cached_file *file = &cache->files[i];
        if (file->fd >= 0 && file->users == 0 &&
            (oldest == NULL || file->last_use < oldest->last_use))
            oldest = file;
    }
    if (oldest == NULL)
        return;
    close(oldest->fd);
    oldest->fd = -1;
    cache->open_count--;
}

size_t aq_file_cache_open_max(const struct aq_file_cache *cache)
{
    return cache->open_max;
}

bool aq_file_cache_is_remote(const struct aq_file_cache *cache, size_t index)
{
    return cache->files[index].remote;
}

bool aq_file_cache_is_absent(const struct aq_file_cache *cache, size_t index)
{
    return cache->store->is_mirror && cache->objects[index].name == NULL;
}

struct aq_object_span aq_file_cache_span(const struct aq_file_cache *cache, size_t index,
                                         uint64_t offset, uint64_t size_bytes)
{
    return (struct aq_object_span){
        .object = &cache->objects[index], .offset = offset, .size_bytes = size_bytes};
}

void aq_file_cache_forget(struct aq_file_cache *cache, size_t index, uint64_t offset,
                          uint64_t size_bytes)
{
    struct aq_object_span span = aq_file_cache_span(cache, index, offset, size_bytes);
    if (cache->reader != NULL)
        aq_object_reader_forget(cache->reader, &span);
}

enum aq_status aq_file_cache_reader(const struct aq_file_cache *cache, size_t index,
                                    struct aq_object_reader **reader, struct aq_error *err)
{
    *reader = cache->reader;
    if (cache->reader != NULL)
        return AQ_OK;
    struct aq_store_path path = aq_file_cache_path(cache, index);
    return aq_error_set_at(err, AQ_INVALID, path.text, -1,
                           "is in the bucket and no longer at home; give --config with the `tier:` "
                           "section that says where the bucket is");
}

struct aq_remote_counters aq_file_cache_remote(const struct aq_file_cache *cache)
{
    struct aq_remote_counters counters = {0};
    if (cache->reader != NULL) {
        struct aq_reader_counters reader = aq_object_reader_count(cache->reader);
        counters.get_count = reader.get_count;
        counters.bytes_received = reader.bytes_received;
        counters.cache_hit_bytes = reader.cache_hit_bytes;
    }
    return counters;
}

struct aq_store_path aq_file_cache_path(const struct aq_file_cache *cache, size_t index)
{
    if (cache->store->bucket != NULL && aq_file_cache_is_remote(cache, index)) {
        struct aq_store_path path;
        struct aq_object_path object =
            aq_object_path(cache->store->bucket, cache->objects[index].name);
        snprintf(path.text, sizeof path.text, "%s", object.text);
        return path;
    }
    char name[64];
    const struct aq_catalog_file *entry = &cache->catalog->files[index];
    aq_catalog_file_name(entry->kind, entry->file_id, name, sizeof name);
    return aq_store_path(cache->store, name);
}

static enum aq_status open_at_home(struct aq_file_cache *cache, size_t index, int *fd,
                                   struct aq_error *err)
{
    char name[64];
    const struct aq_catalog_file *entry = &cache->catalog->files[index];
    aq_catalog_file_name(entry->kind, entry->file_id, name, sizeof name);
    *fd = aq_io_openat_beneath(cache->store->home_fd, name, O_RDONLY, 0);
    if (*fd >= 0)
        return AQ_OK;
    int os_errno = errno;
    struct aq_store_path path = aq_file_cache_path(cache, index);
    if (os_errno == ENOENT && entry->state == AQ_FILE_CLOSED)
        return aq_error_set_at(err, AQ_CORRUPT, path.text, 0,
                               "is missing, though the catalog names it; restore it from a copy");
    return aq_error_set_errno(err, os_errno, path.text, "cannot open");
}

static enum aq_status open_file(struct aq_file_cache *cache, size_t index, int *fd,
                                struct aq_error *err)
{
    if (cache->open_count >= cache->open_max)
        close_oldest_idle(cache);
    if (aq_file_cache_is_remote(cache, index)) {
        struct aq_object_reader *reader = NULL;
        AQ_TRY(aq_file_cache_reader(cache, index, &reader, err));
        AQ_TRY(aq_object_copy(reader, &cache->objects[index], cache->store->scratch_path,
                              aq_file_cache_path(cache, index).text, fd, err));
    } else {
        AQ_TRY(open_at_home(cache, index, fd, err));
    }
    cache->open_count++;
    return AQ_OK;
}

enum aq_status aq_file_cache_acquire(struct aq_file_cache *cache, size_t index, int *fd,
                                     struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    pthread_mutex_lock(&cache->lock);
    struct cached_file *file = &cache->files[index];
    if (file->fd < 0)
        status = open_file(cache, index, &file->fd, err);
    if (status == AQ_OK) {
        file->users++;
        file->last_use = ++cache->clock;
        *fd = file->fd;
    }
    pthread_mutex_unlock(&cache->lock);
    return status;
}

void aq_file_cache_release(struct aq_file_cache *cache, size_t index)
{
    pthread_mutex_lock(&cache->lock);
    cache->files[index].users--;
    pthread_mutex_unlock(&cache->lock);
}

static enum aq_status read_remote(struct aq_file_cache *cache, size_t index, uint64_t offset,
                                  void *buffer, size_t size, struct aq_error *err)
{
    struct aq_object_reader *reader = NULL;
    AQ_TRY(aq_file_cache_reader(cache, index, &reader, err));
    struct aq_object_span span = aq_file_cache_span(cache, index, offset, size);
    __atomic_add_fetch(&cache->bytes_read, size, __ATOMIC_RELAXED);
    return aq_object_reader_read(reader, &span, buffer, err);
}

enum aq_status aq_file_cache_read(struct aq_file_cache *cache, size_t index, uint64_t offset,
                                  void *buffer, size_t size, struct aq_error *err)
{
    int fd = -1;
    if (cache->catalog->files[index].kind == AQ_FILE_ARCHIVE &&
        aq_file_cache_is_remote(cache, index))
        return read_remote(cache, index, offset, buffer, size, err);
    AQ_TRY(aq_file_cache_acquire(cache, index, &fd, err));
    struct aq_store_path path = aq_file_cache_path(cache, index);
    enum aq_status status = aq_io_pread_exact(fd, path.text, offset, buffer, size, err);
    aq_file_cache_release(cache, index);
    __atomic_add_fetch(&cache->bytes_read, size, __ATOMIC_RELAXED);
    return status;
}

uint64_t aq_file_cache_bytes_read(const struct aq_file_cache *cache)
{
    return __atomic_load_n(&cache->bytes_read, __ATOMIC_RELAXED);
}
