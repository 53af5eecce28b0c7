/* Opening a store: its home, the catalog in it, and the folders beside that.
 *
 * Happy path: open the home, read and verify the catalog. A new store: make the folders, then commit the
 * edit that gives it its identity; of two processes that create one store, one wins and the other
 * opens what it made.
 * Failures: no store there -> AQ_NOT_FOUND; a folder with other things in it, or with data that some lost
 * catalog named, is not made a store. */
#include "engine/store/store_internal.h"

#include "engine/store/catalog/catalog_log.h"
#include "engine/base/clock.h"
#include "format/base/mutant.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const folders[] = {"catalog", "segments", "archives", "locks"};
static const char *const lock_files[] = {"locks/gc", "locks/leases"};
#define CACHE_BYTES_DEFAULT ((uint64_t)10 << 30)
#define FOLDER_COUNT (sizeof folders / sizeof folders[0])

struct aq_store_path aq_store_path(const struct aq_store *store, const char *name)
{
    struct aq_store_path path;
    size_t size = sizeof path.text;
    if ((size_t)snprintf(path.text, size, "%s/%s", store->home, name) >= size)
        path.text[size - 2] = '~'; /* cut, visibly */
    return path;
}

/* The present catalog. */

const struct aq_catalog *aq_catalog_retain(const struct aq_catalog *catalog)
{
    __atomic_add_fetch(&((struct aq_catalog *)catalog)->reference_count, 1, __ATOMIC_RELAXED);
    return catalog;
}

void aq_catalog_release(const struct aq_catalog *catalog)
{
    struct aq_catalog *owned = (struct aq_catalog *)catalog;
    if (owned == NULL || __atomic_sub_fetch(&owned->reference_count, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    aq_arena_deinit(&owned->arena);
    free(owned);
}

const struct aq_catalog *aq_store_current(struct aq_store *store)
{
    pthread_mutex_lock(&store->current);
    const struct aq_catalog *catalog = aq_catalog_retain(store->catalog);
    pthread_mutex_unlock(&store->current);
    return catalog;
}

void aq_store_replace(struct aq_store *store, const struct aq_catalog *catalog)
{
    pthread_mutex_lock(&store->current);
    const struct aq_catalog *old = store->catalog;
    store->catalog = catalog;
    pthread_mutex_unlock(&store->current);
    aq_catalog_release(old);
}

/* An edit that another process made a moment ago may not be durable yet: whoever may build on it makes
 * it so first. */
static enum aq_status settle(struct aq_store *store, const struct aq_catalog *catalog,
                             struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    aq_catalog_edit_name(catalog->number, name, sizeof name);
    return store->read_only ? AQ_OK : aq_object_settle(store->objects, name, err);
}

bool aq_store_is_just_read(const struct aq_store *store)
{
    return aq_clock_boot_us() - store->end_read_us <= AQ_CATALOG_JUST_NOW_US;
}

enum aq_status aq_store_reopen(struct aq_store *store, struct aq_error *err)
{
    int64_t begun_us = aq_clock_boot_us();
    const struct aq_catalog *catalog = NULL;
    uint64_t checkpoint = 0;
    uint64_t known = store->catalog == NULL ? 0 : store->catalog->number;
    AQ_TRY(aq_catalog_open(store->objects, &catalog, &checkpoint, err));
    enum aq_status status = AQ_OK;
    if (catalog->number < known)
        status = aq_error_set_at(err, AQ_CORRUPT, aq_store_path(store, "catalog").text, -1,
                                 "lost edits that it had: it ends with %" PRIu64 ", and %" PRIu64
                                 " has been read",
                                 catalog->number, known);
    if (status == AQ_OK && catalog->number > 0)
        status = settle(store, catalog, err);
    if (status < 0) {
        aq_catalog_release(catalog);
        return status;
    }
    store->began = checkpoint;
    store->checkpoint = checkpoint;
    store->end_read_us = begun_us;
    aq_store_replace(store, catalog);
    return AQ_OK;
}

/* Whoever makes the edit of such a number makes the checkpoint, too. */
static void note_checkpoint(struct aq_store *store, uint64_t number)
{
    uint64_t due = number - number % AQ_CHECKPOINT_EDITS;
    if (due > store->checkpoint && aq_catalog_is_current(store->objects, due, NULL) == AQ_OK)
        store->checkpoint = due;
}

/* The state after the edits that follow the present one; `count` 0 and no state when there are none. */
static enum aq_status read_on(struct aq_store *store, struct aq_catalog_state *state, size_t *count,
                              struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    uint64_t size_bytes;
    *count = 0;
    aq_catalog_edit_name(store->catalog->number + 1, name, sizeof name);
    enum aq_status status = aq_object_head(store->objects, name, &size_bytes, err);
    if (status < 0)
        return status == AQ_NOT_FOUND ? AQ_OK : status;
    if (aq_catalog_state_begin(state, store->catalog) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading the catalog");
    return aq_catalog_follow(store->objects, state, count, err);
}

/* What follows, and the next edit is absent: is that the end, or was it collected? AQ_NOT_FOUND: so it may be. A
 * chain that breaks may have met an edit that a sleeper made under a collected number. */
static enum aq_status check_end(struct aq_store *store, enum aq_status status, struct aq_error *err)
{
    bool doubtful = status == AQ_CORRUPT || (status == AQ_OK && !aq_store_is_just_read(store));
    if (!doubtful || store->catalog->number == 0)
        return status;
    struct aq_error missing = {0};
    enum aq_status current = aq_catalog_is_current(store->objects, store->began, &missing);
    if (current < 0 && current != AQ_NOT_FOUND && status == AQ_OK && err != NULL)
        *err = missing;
    return current == AQ_NOT_FOUND || status == AQ_OK ? current : status;
}

enum aq_status aq_store_refresh(struct aq_store *store, struct aq_error *err)
{
    if (store->is_mirror)
        return aq_store_read_mirror(store, err);
    int64_t begun_us = aq_clock_boot_us();
    struct aq_catalog_state state = {0};
    size_t count = 0;
    enum aq_status status = check_end(store, read_on(store, &state, &count, err), err);
    if (status == AQ_OK && count > 0)
        status = settle(store, state.catalog, err);
    if (status == AQ_OK)
        store->end_read_us = begun_us;
    if (status == AQ_OK && count > 0) {
        note_checkpoint(store, state.catalog->number);
        aq_store_replace(store, aq_catalog_state_finish(&state));
    } else {
        aq_catalog_state_abandon(&state);
    }
    return status == AQ_NOT_FOUND ? aq_store_reopen(store, err) : status;
}

enum aq_status aq_store_catalog(struct aq_store *store, bool refresh,
                                const struct aq_catalog **catalog, struct aq_error *err)
{
    if (refresh) {
        pthread_mutex_lock(&store->advance);
        enum aq_status status = aq_store_refresh(store, err);
        pthread_mutex_unlock(&store->advance);
        AQ_TRY(status);
    }
    *catalog = aq_store_current(store);
    return AQ_OK;
}

/* Making a store. */

static int foreign(const struct dirent *entry)
{
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return 0;
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        if (strcmp(entry->d_name, folders[i]) == 0)
            return 0;
    }
    return 1;
}

static enum aq_status refuse_foreign(const char *home, struct aq_error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(home, &entries, foreign, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    if (count > 0)
        return aq_error_set_at(err, AQ_INVALID, home, -1,
                               "holds other files and no store; name an empty or a new folder");
    return AQ_OK;
}

enum aq_status aq_store_make_folders(const char *home, int home_fd, struct aq_error *err)
{
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        if (mkdirat(home_fd, folders[i], 0755) != 0 && errno != EEXIST)
            return aq_error_set_errno(err, errno, home, "cannot make the folder \"%s\"",
                                      folders[i]);
    }
    /* Made now, so that a full disk keeps nobody from reading. */
    for (size_t i = 0; i < sizeof lock_files / sizeof lock_files[0]; i++) {
        int lock = aq_io_openat_beneath(home_fd, lock_files[i], O_RDONLY | O_CREAT, 0644);
        if (lock < 0)
            return aq_error_set_errno(err, errno, home, "cannot make the file \"%s\"",
                                      lock_files[i]);
        close(lock);
    }
    if (!aq_mutant(10) && fsync(home_fd) != 0)
        return aq_error_set_errno(err, errno, home, "cannot make its folders durable");
    return AQ_OK;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool has_files(const struct aq_store *store, const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandirat(store->home_fd, folder, &entries, visible, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return count > 0;
}

struct identity {
    const char *home;
    bool has_data; /* looked for before the catalog is: who makes a store at once names it first */
};

/* With data and no catalog it was lost: in a store begun anew the data would be garbage. */
static enum aq_status build_identity(void *context, const struct aq_catalog *catalog,
                                     struct aq_edit *edit, struct aq_error *err)
{
    const struct identity *identity = context;
    if (catalog->number > 0)
        return AQ_END;
    if (identity->has_data)
        return aq_error_set_at(err, AQ_CORRUPT, identity->home, -1,
                               "has data files, but its catalog is gone; restore the folder "
                               "\"catalog\" from a copy");
    struct aq_record record = {.kind = AQ_RECORD_STORE, .store = {.incarnation = 1}};
    if (getrandom(record.store.id.bytes, sizeof record.store.id.bytes, 0) !=
        (ssize_t)sizeof record.store.id.bytes)
        return aq_error_set_errno(err, errno, "", "no random bytes");
    return aq_edit_add(edit, &record);
}

static enum aq_status make_store(struct aq_store *store, struct aq_error *err)
{
    AQ_TRY(refuse_foreign(store->home, err));
    AQ_TRY(aq_store_make_folders(store->home, store->home_fd, err));
    struct identity identity = {.home = store->home,
                                .has_data =
                                    has_files(store, "segments") || has_files(store, "archives")};
    enum aq_status status = aq_store_commit(store, build_identity, &identity, err);
    return status == AQ_END ? AQ_OK : status;
}

/* The home's own name is durable too, for a store that has just been made. */
enum aq_status aq_store_make_home(const char *home, struct aq_error *err)
{
    if (mkdir(home, 0755) != 0)
        return errno == EEXIST ? AQ_OK : aq_error_set_errno(err, errno, home, "cannot create");
    char parent[AQ_STORE_PATH_MAX];
    if ((size_t)snprintf(parent, sizeof parent, "%s/..", home) >= sizeof parent)
        return aq_error_set(err, AQ_INVALID, "the store's path is too long");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : aq_mutant(11) ? 0 : fsync(fd);
    int os_errno = errno;
    if (fd >= 0)
        close(fd);
    return result == 0 ? AQ_OK
                       : aq_error_set_errno(err, os_errno, home, "cannot make its name durable");
}

static enum aq_status choose_io(struct aq_store *store, enum aq_io_kind wanted,
                                struct aq_error *err)
{
    struct aq_io *probe = NULL;
    AQ_TRY(aq_io_create(wanted, 1, &probe, store->io_notice, sizeof store->io_notice, err));
    store->io = aq_io_kind_of(probe);
    if (store->io == AQ_IO_SIM) /* time is no measure there */
        atomic_store(&store->write_method, AQ_WRITE_DIRECT);
    aq_io_destroy(probe);
    return AQ_OK;
}

static enum aq_status open_catalog(struct aq_store *store, bool create, struct aq_error *err)
{
    AQ_TRY(aq_object_open_dir(store->home, false, &store->objects, err));
    AQ_TRY(aq_store_reopen(store, err));
    if (store->catalog->number > 0)
        return AQ_OK;
    if (create)
        return make_store(store, err);
    return aq_error_set_at(err, AQ_NOT_FOUND, store->home, -1,
                           "holds no store; `aqstore import` or `ingest` makes one");
}

static enum aq_status open_home(struct aq_store *store, const struct aq_store_options *options,
                                struct aq_error *err)
{
    if (options->create)
        AQ_TRY(aq_store_make_home(store->home, err));
    store->home_fd = open(store->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->home_fd < 0 && errno == ENOENT)
        return aq_error_set_at(err, AQ_NOT_FOUND, store->home, -1,
                               "there is no store; `aqstore import` or `ingest` makes one");
    if (store->home_fd < 0)
        return aq_error_set_errno(err, errno, store->home, "cannot open the store");
    store->io = options->io;
    atomic_store(&store->write_method, (int)options->write_method);
    store->recovery_thread_count = options->recovery_thread_count;
    if (!store->read_only)
        AQ_TRY(choose_io(store, options->io, err));
    return open_catalog(store, options->create, err);
}

/* Names for messages, and where bytes of the bucket are kept. */
static enum aq_status name_paths(struct aq_store *store, const struct aq_store_options *options,
                                 struct aq_error *err)
{
    char cache[AQ_STORE_PATH_MAX] = "";
    if (options->cache_path != NULL)
        snprintf(cache, sizeof cache, "%s", options->cache_path);
    else if (options->home != NULL)
        snprintf(cache, sizeof cache, "%s/cache", options->home);
    store->home =
        strdup(options->home != NULL ? options->home : aq_object_path(options->bucket, "").text);
    store->scratch_path = strdup(cache);
    if (store->home == NULL || store->scratch_path == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    if (store->is_mirror)
        store->home[strlen(store->home) - 1] = '\0'; /* the slash behind the bucket's root */
    if (options->bucket == NULL || cache[0] == '\0')
        return AQ_OK;
    uint64_t limit = options->cache_bytes == 0 ? CACHE_BYTES_DEFAULT : options->cache_bytes;
    return aq_block_cache_open(cache, limit, &store->blocks, err);
}

enum aq_status aq_store_open(const struct aq_store_options *options, struct aq_store **store,
                             struct aq_error *err)
{
    struct aq_store *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    opened->home_fd = -1;
    opened->read_only = options->read_only;
    opened->bucket = options->bucket;
    opened->is_mirror = options->home == NULL;
    opened->allow_incomplete = options->allow_incomplete;
    pthread_mutex_init(&opened->advance, NULL);
    pthread_mutex_init(&opened->current, NULL);
    enum aq_status status = name_paths(opened, options, err);
    if (status == AQ_OK)
        status =
            opened->is_mirror ? aq_store_read_mirror(opened, err) : open_home(opened, options, err);
    if (status < 0) {
        aq_store_close(opened);
        return status;
    }
    *store = opened;
    return AQ_OK;
}

void aq_store_close(struct aq_store *store)
{
    if (store == NULL)
        return;
    aq_catalog_release(store->catalog);
    aq_arena_deinit(&store->declared);
    aq_object_close(store->objects);
    aq_block_cache_close(store->blocks);
    free(store->scratch_path);
    if (store->home_fd >= 0)
        close(store->home_fd);
    pthread_mutex_destroy(&store->advance);
    pthread_mutex_destroy(&store->current);
    free(store->home);
    free(store);
}

const char *aq_store_home(const struct aq_store *store)
{
    return store->home;
}

int aq_store_home_fd(const struct aq_store *store)
{
    return store->home_fd;
}

enum aq_io_kind aq_store_io_kind(const struct aq_store *store)
{
    return store->io;
}

const char *aq_store_io_notice(const struct aq_store *store)
{
    return store->io_notice;
}

enum aq_write_method aq_store_write_method(const struct aq_store *store)
{
    return (enum aq_write_method)atomic_load(&store->write_method);
}

const char *aq_write_method_name(enum aq_write_method method)
{
    switch (method) {
    case AQ_WRITE_CACHED:
        return "cached";
    case AQ_WRITE_DIRECT:
        return "direct";
    case AQ_WRITE_UNKNOWN:
        break;
    }
    return "unknown";
}

void aq_store_note_zero_failure(struct aq_store *store, int os_errno)
{
    atomic_store(&store->zero_errno, os_errno);
    atomic_fetch_add(&store->zero_failure_count, 1);
}

uint64_t aq_store_zero_failure_count(const struct aq_store *store)
{
    return atomic_load(&store->zero_failure_count);
}

bool aq_store_zero_notice(struct aq_store *store, char *notice, size_t notice_size)
{
    int os_errno = atomic_load(&store->zero_errno);
    if (os_errno == 0 || atomic_exchange(&store->zero_errno_told, os_errno) == os_errno)
        return false;
    snprintf(notice, notice_size,
             "%s: blocks cannot be zeroed ahead: %s; frames are written without, which is slower",
             store->home, strerror(os_errno));
    return true;
}

const char *aq_store_cache_notice(const struct aq_store *store)
{
    return store->blocks == NULL ? "" : aq_block_cache_notice(store->blocks);
}

bool aq_store_is_mirror(const struct aq_store *store)
{
    return store->is_mirror;
}
