/* The block cache's folder.
 *
 * Happy path: a block is the file "F/HASH-NUMBER": a header with its key and a checksum, then its bytes. F is
 * one of sixteen folders, by the hash. A put writes a temporary file and renames it; a get verifies and
 * sets the file's time, which is the order of eviction. Nothing is held in memory: now and then a put
 * counts the files of its part of the folders and removes the oldest beyond that part's share of the
 * limit.
 * Failures: a damaged block is removed and counts as absent. A file that vanished was evicted by another
 * process. A put that fails on the disk is the last one: a notice says why, and reading goes on. No fsync:
 * what a power cut leaves behind has a checksum. */
#include "engine/cache/block_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FOLDER_COUNT 16
#define NAME_BYTES 96
#define TEMPORARY_PREFIX ".tmp-"
#define TEMPORARY_AGE_S 600
#define TOUCH_AGE_S 60                     /* a file used again within it is not marked again */
#define FREE_BYTES_MIN ((uint64_t)1 << 30) /* or a sixteenth of a small disk: left to others */

/* In front of a block's bytes. */
struct block_header {
    uint8_t magic[8];
    uint8_t object[16];
    uint64_t block;
    uint64_t size_bytes;
    uint64_t checksum; /* of the bytes, seeded with that of what stands above */
};
_Static_assert(sizeof(struct block_header) == 48, "no padding");
static const uint8_t block_magic[8] = {'A', 'Q', 'B', 'L', 'O', 'C', 'K', '1'};

struct aq_block_cache {
    char *path;
    uint64_t limit_bytes;
    unsigned part_count;    /* folders F with equal F % part_count are counted together */
    unsigned puts_per_scan; /* on average */
    pthread_mutex_t lock;   /* of what follows */
    int fd;                 /* -1: the folder has not been there so far */
    bool disabled;
    char notice[512];
};

enum aq_status aq_block_cache_open(const char *path, uint64_t limit_bytes,
                                   struct aq_block_cache **cache, struct aq_error *err)
{
    struct aq_block_cache *opened = calloc(1, sizeof *opened);
    char *copy = strdup(path);
    if (opened == NULL || copy == NULL) {
        free(opened);
        free(copy);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    uint64_t blocks = limit_bytes / (AQ_CACHE_BLOCK_BYTES + sizeof(struct block_header));
    opened->path = copy;
    opened->limit_bytes = limit_bytes;
    opened->disabled = blocks == 0;
    opened->part_count = 1;
    while (opened->part_count < FOLDER_COUNT && blocks / opened->part_count >= 32)
        opened->part_count *= 2;
    uint64_t slack = blocks / opened->part_count / 16;
    opened->puts_per_scan = slack < 1 ? 1 : slack > 256 ? 256 : (unsigned)slack;
    opened->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pthread_mutex_init(&opened->lock, NULL);
    *cache = opened;
    return AQ_OK;
}

void aq_block_cache_close(struct aq_block_cache *cache)
{
    if (cache == NULL)
        return;
    if (cache->fd >= 0)
        close(cache->fd);
    pthread_mutex_destroy(&cache->lock);
    free(cache->path);
    free(cache);
}

const char *aq_block_cache_notice(struct aq_block_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    const char *notice = cache->notice; /* written once, before it is anything but empty */
    pthread_mutex_unlock(&cache->lock);
    return notice;
}

static void disable(struct aq_block_cache *cache, int os_errno)
{
    pthread_mutex_lock(&cache->lock);
    if (!cache->disabled)
        snprintf(cache->notice, sizeof cache->notice,
                 "%s: nothing more is cached there: %s; reading goes on without it", cache->path,
                 strerror(os_errno));
    cache->disabled = true;
    pthread_mutex_unlock(&cache->lock);
}

static unsigned folder_of(const struct aq_hash128 *object, uint64_t block)
{
    return (unsigned)((object->bytes[15] + block) % FOLDER_COUNT);
}

static void block_name(const struct aq_hash128 *object, uint64_t block, char out[NAME_BYTES])
{
    int at = snprintf(out, NAME_BYTES, "%x/", folder_of(object, block));
    for (size_t i = 0; i < sizeof object->bytes; i++)
        at += snprintf(out + at, NAME_BYTES - (size_t)at, "%02x", object->bytes[i]);
    snprintf(out + at, NAME_BYTES - (size_t)at, "-%" PRIu64, block);
}

static struct block_header make_header(const struct aq_hash128 *object, uint64_t block,
                                       const void *bytes, size_t size)
{
    struct block_header header = {.block = block, .size_bytes = size};
    memcpy(header.magic, block_magic, sizeof header.magic);
    memcpy(header.object, object->bytes, sizeof header.object);
    uint64_t seed = aq_checksum(&header, offsetof(struct block_header, checksum));
    header.checksum = aq_checksum_seeded(bytes, size, seed);
    return header;
}

/* Reading. */

static int cache_fd(const struct aq_block_cache *cache)
{
    return __atomic_load_n(&cache->fd, __ATOMIC_ACQUIRE);
}

bool aq_block_cache_has(const struct aq_block_cache *cache, const struct aq_hash128 *object,
                        uint64_t block)
{
    char name[NAME_BYTES];
    int fd = cache_fd(cache);
    block_name(object, block, name);
    return fd >= 0 && faccessat(fd, name, R_OK, 0) == 0;
}

/* Used now, unless that is known. */
static void touch(int fd)
{
    struct stat info;
    if (fstat(fd, &info) == 0 && time(NULL) - info.st_mtim.tv_sec > TOUCH_AGE_S)
        futimens(fd, NULL); /* a folder that may only be read keeps its order */
}

/* Whether the file holds this block, intact. */
static bool read_block(int fd, const struct aq_hash128 *object, uint64_t block, void *buffer,
                       size_t size)
{
    struct block_header header;
    struct iovec parts[] = {{&header, sizeof header}, {buffer, size}};
    if (preadv(fd, parts, 2, 0) != (ssize_t)(sizeof header + size))
        return false;
    struct block_header expected = make_header(object, block, buffer, size);
    return memcmp(&header, &expected, sizeof header) == 0;
}

bool aq_block_cache_get(struct aq_block_cache *cache, const struct aq_hash128 *object,
                        uint64_t block, void *buffer, size_t size)
{
    char name[NAME_BYTES];
    int folder = cache_fd(cache);
    block_name(object, block, name);
    int fd = folder < 0 ? -1 : openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool intact = read_block(fd, object, block, buffer, size);
    if (intact)
        touch(fd);
    else
        unlinkat(folder, name, 0);
    close(fd);
    return intact;
}

void aq_block_cache_drop(struct aq_block_cache *cache, const struct aq_hash128 *object,
                         uint64_t block)
{
    char name[NAME_BYTES];
    int folder = cache_fd(cache);
    block_name(object, block, name);
    if (folder >= 0)
        unlinkat(folder, name, 0);
}

/* Evicting. */

struct found_file {
    char name[NAME_BYTES];
    struct timespec used;
    uint64_t size_bytes;
};

struct found_files {
    struct found_file *files;
    size_t count;
    size_t capacity;
    uint64_t bytes;
};

/* A dead process's temporary file; a living one's is younger. */
static void sweep(int folder, const char *name, const struct stat *info)
{
    if (time(NULL) - info->st_mtim.tv_sec > TEMPORARY_AGE_S)
        unlinkat(folder, name, 0);
}

static bool add_found(struct found_files *found, const char *name, const struct stat *info)
{
    if (found->count == found->capacity) {
        size_t capacity = found->capacity * 2 + 64;
        struct found_file *grown = realloc(found->files, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        found->files = grown;
        found->capacity = capacity;
    }
    struct found_file *file = &found->files[found->count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    file->used = info->st_mtim;
    file->size_bytes = (uint64_t)info->st_size;
    found->bytes += file->size_bytes;
    return true;
}

static void scan_folder(int cache, unsigned folder, struct found_files *found)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%x", folder);
    int fd = openat(cache, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if ((size_t)snprintf(name, sizeof name, "%x/%s", folder, entry->d_name) >= sizeof name ||
            fstatat(cache, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            continue;
        if (strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0)
            sweep(cache, name, &info);
        else if (!add_found(found, name, &info))
            break;
    }
    closedir(directory);
}

static int compare_used(const void *left, const void *right)
{
    const struct found_file *a = left;
    const struct found_file *b = right;
    if (a->used.tv_sec != b->used.tv_sec)
        return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    if (a->used.tv_nsec != b->used.tv_nsec)
        return a->used.tv_nsec < b->used.tv_nsec ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Count a part's files, and remove the least recently used ones beyond its share. */
static void evict(struct aq_block_cache *cache, unsigned part)
{
    int fd = cache_fd(cache);
    uint64_t share = cache->limit_bytes / cache->part_count;
    struct found_files found = {0};
    for (unsigned folder = part; folder < FOLDER_COUNT; folder += cache->part_count)
        scan_folder(fd, folder, &found);
    if (found.bytes > share)
        qsort(found.files, found.count, sizeof *found.files, compare_used);
    for (size_t i = 0; i < found.count && found.bytes > share; i++) {
        unlinkat(fd, found.files[i].name, 0);
        found.bytes -= found.files[i].size_bytes;
    }
    free(found.files);
}

/* Writing. */

/* Make the folder and those it lies in; what fails shows when it is opened. Others may read it as they may
 * the home's files. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0755);
}

static int open_folder(struct aq_block_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    int fd = cache->fd;
    int os_errno = 0;
    if (fd < 0) {
        make_folders(cache->path);
        fd = open(cache->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        os_errno = errno;
        __atomic_store_n(&cache->fd, fd, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&cache->lock);
    errno = os_errno;
    return fd;
}

static bool disk_has_room(int fd)
{
    struct statvfs info;
    if (fstatvfs(fd, &info) != 0)
        return false;
    uint64_t spare = (uint64_t)info.f_blocks * info.f_frsize / 16;
    spare = spare < FREE_BYTES_MIN ? spare : FREE_BYTES_MIN;
    return (uint64_t)info.f_bavail * info.f_frsize >= spare + AQ_CACHE_BLOCK_BYTES;
}

static int write_file(int fd, const struct block_header *header, const void *bytes, size_t size)
{
    struct iovec parts[] = {{(void *)header, sizeof *header}, {(void *)bytes, size}};
    ssize_t written = writev(fd, parts, 2);
    if (written == (ssize_t)(sizeof *header + size))
        return 0;
    return written < 0 ? errno : ENOSPC;
}

/* @return 0 or an errno. */
static int put_file(int folder, const char *name, const struct block_header *header,
                    const void *bytes, size_t size)
{
    char temporary[NAME_BYTES];
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return errno;
    snprintf(temporary, sizeof temporary, "%.2s" TEMPORARY_PREFIX "%016" PRIx64, name, random);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = openat(folder, temporary, flags, 0644);
    if (fd < 0 && errno == ENOENT) {
        char parent[] = {name[0], '\0'};
        if (mkdirat(folder, parent, 0755) != 0 && errno != EEXIST)
            return errno;
        fd = openat(folder, temporary, flags, 0644);
    }
    if (fd < 0)
        return errno;
    int result = write_file(fd, header, bytes, size);
    close(fd);
    if (result == 0 && renameat(folder, temporary, folder, name) != 0)
        result = errno;
    if (result != 0)
        unlinkat(folder, temporary, 0);
    return result;
}

/* One put in puts_per_scan, whichever process it is in. */
static bool scan_due(const struct aq_block_cache *cache)
{
    uint32_t random = 0;
    if (cache->puts_per_scan > 1 && getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return true;
    return random % cache->puts_per_scan == 0;
}

void aq_block_cache_put(struct aq_block_cache *cache, const struct aq_hash128 *object,
                        uint64_t block, const void *bytes, size_t size)
{
    pthread_mutex_lock(&cache->lock);
    bool disabled = cache->disabled;
    pthread_mutex_unlock(&cache->lock);
    if (disabled)
        return;
    char name[NAME_BYTES];
    block_name(object, block, name);
    int folder = open_folder(cache);
    if (folder < 0) {
        disable(cache, errno);
        return;
    }
    if (!disk_has_room(folder))
        return;
    struct block_header header = make_header(object, block, bytes, size);
    int os_errno = put_file(folder, name, &header, bytes, size);
    if (os_errno != 0)
        disable(cache, os_errno);
    else if (scan_due(cache))
        evict(cache, folder_of(object, block) % cache->part_count);
}
