/* Advisory locks of the home: flock on "locks/NAME". The kernel lets go of them when a process ends,
 * however it ends. */
#include "engine/base/clock.h"
#include "engine/store/store_internal.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define RETRY_MS 10

struct aq_store_lock {
    int fd;
};

/* A store on a read-only file system has its lock files or can do without a shared lock there. */
static int open_lock(struct aq_store *store, const char *name)
{
    int fd = aq_io_openat_beneath(store->home_fd, name, O_RDONLY, 0);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    return aq_io_openat_beneath(store->home_fd, name, O_RDONLY | O_CREAT, 0644);
}

static int try_lock(int fd, bool exclusive)
{
    int result;
    do {
        result = aq_mutant(70) ? 0 : flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

enum aq_status aq_store_lock_wait(struct aq_store *store, const char *name, bool exclusive,
                                  unsigned timeout_ms, struct aq_store_lock **lock,
                                  struct aq_error *err)
{
    if (store->is_mirror) { /* its readers hold no locks: what it names is kept for `history:` */
        *lock = NULL;
        return exclusive ? aq_store_refuse_write(store, err) : AQ_OK;
    }
    char file[128];
    snprintf(file, sizeof file, "locks/%s", name);
    struct aq_store_path path = aq_store_path(store, file);
    int fd = open_lock(store, file);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path.text, "cannot open the lock");
    int64_t deadline = aq_clock_ms() + timeout_ms;
    int os_errno;
    while ((os_errno = try_lock(fd, exclusive)) == EWOULDBLOCK && aq_clock_ms() < deadline)
        aq_clock_sleep_us(RETRY_MS * 1000);
    struct aq_store_lock *taken = os_errno == 0 ? malloc(sizeof *taken) : NULL;
    if (taken != NULL) {
        taken->fd = fd;
        *lock = taken;
        return AQ_OK;
    }
    close(fd);
    if (os_errno == EWOULDBLOCK)
        return aq_error_set_at(err, AQ_CONFLICT, path.text, -1,
                               "another process holds this lock; try again when it is done");
    return aq_error_set_errno(err, os_errno == 0 ? ENOMEM : os_errno, path.text, "cannot lock");
}

enum aq_status aq_store_lock(struct aq_store *store, const char *name, bool exclusive,
                             struct aq_store_lock **lock, struct aq_error *err)
{
    return aq_store_lock_wait(store, name, exclusive, 0, lock, err);
}

void aq_store_unlock(struct aq_store_lock *lock)
{
    if (lock == NULL)
        return;
    close(lock->fd);
    free(lock);
}
