/* A bounded set of open files: the least recently used idle one makes room. When all are in use more are
 * opened than the bound says: threads wait for the disk here, not for each other. */
#include "engine/store/file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define OPEN_FILES_MAX 64

struct cached_file {
    int fd; /* -1: not open */
    unsigned users;
    uint64_t last_use;
};

struct aq_file_cache {
    struct aq_store *store;
    const struct aq_catalog *catalog;
    struct cached_file *files;
    size_t open_count;
    uint64_t clock;
    uint64_t bytes_read;
    pthread_mutex_t lock;
};

enum aq_status aq_file_cache_create(struct aq_store *store, const struct aq_catalog *catalog,
                                    struct aq_file_cache **cache, struct aq_error *err)
{
    struct aq_file_cache *created = calloc(1, sizeof *created);
    struct cached_file *files = calloc(catalog->file_count + 1, sizeof *files);
    if (created == NULL || files == NULL) {
        free(created);
        free(files);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < catalog->file_count; i++)
        files[i].fd = -1;
    created->store = store;
    created->catalog = catalog;
    created->files = files;
    pthread_mutex_init(&created->lock, NULL);
    *cache = created;
    return AQ_OK;
}

void aq_file_cache_destroy(struct aq_file_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->catalog->file_count; i++) {
        if (cache->files[i].fd >= 0)
            close(cache->files[i].fd);
    }
    pthread_mutex_destroy(&cache->lock);
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

struct aq_store_path aq_file_cache_path(const struct aq_file_cache *cache, size_t index)
{
    char name[64];
    const struct aq_catalog_file *entry = &cache->catalog->files[index];
    aq_catalog_file_name(entry->kind, entry->file_id, name, sizeof name);
    return aq_store_path(cache->store, name);
}

static int open_file(struct aq_file_cache *cache, size_t index)
{
    char name[64];
    const struct aq_catalog_file *entry = &cache->catalog->files[index];
    aq_catalog_file_name(entry->kind, entry->file_id, name, sizeof name);
    if (cache->open_count >= OPEN_FILES_MAX)
        close_oldest_idle(cache);
    int fd = aq_io_openat_beneath(cache->store->home_fd, name, O_RDONLY, 0);
    if (fd >= 0)
        cache->open_count++;
    return fd;
}

enum aq_status aq_file_cache_acquire(struct aq_file_cache *cache, size_t index, int *fd,
                                     struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    pthread_mutex_lock(&cache->lock);
    struct cached_file *file = &cache->files[index];
    if (file->fd < 0)
        file->fd = open_file(cache, index);
    if (file->fd >= 0) {
        file->users++;
        file->last_use = ++cache->clock;
        *fd = file->fd;
    } else {
        int os_errno = errno;
        struct aq_store_path path = aq_file_cache_path(cache, index);
        if (os_errno == ENOENT && cache->catalog->files[index].state == AQ_FILE_CLOSED)
            status = aq_error_set_at(err, AQ_CORRUPT, path.text, 0,
                                     "is missing, though the catalog names it; restore it from a "
                                     "copy");
        else
            status = aq_error_set_errno(err, os_errno, path.text, "cannot open");
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

enum aq_status aq_file_cache_read(struct aq_file_cache *cache, size_t index, uint64_t offset,
                                  void *buffer, size_t size, struct aq_error *err)
{
    int fd = -1;
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
