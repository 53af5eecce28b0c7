/* Leases are locks on one byte of the file "locks/leases": the byte whose number is the version. The kernel lets go
 * of them when a process ends, nothing is written, and a store on a read-only file system has them, too.
 *
 * Happy path: open the file, lock the byte shared; gc asks for the lowest byte that is locked.
 * Failures: where there is no such file and none can be made (a full or read-only disk, a home from before leases),
 * or no such locks: the lock "gc" is held shared, which keeps gc away altogether. */
#include "engine/store/history/lease.h"

#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LEASES_NAME "locks/leases"
#define GC_WAIT_MS 10000

struct aq_lease {
    int fd; /* -1: `whole` is held instead */
    uint64_t version;
    struct aq_store_lock *whole;
};

static int set_lock(int fd, uint64_t version, short type)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)version, .l_len = 1};
    int result;
    do {
        result = fcntl(fd, F_OFD_SETLK, &lock);
    } while (result != 0 && errno == EINTR);
    return result;
}

static int open_leases(const struct aq_store *store)
{
    int fd = aq_io_openat_beneath(store->home_fd, LEASES_NAME, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    return aq_io_openat_beneath(store->home_fd, LEASES_NAME, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
}

static enum aq_status take(struct aq_store *store, struct aq_lease *lease, struct aq_error *err)
{
    lease->fd = open_leases(store);
    if (lease->fd >= 0 && set_lock(lease->fd, lease->version, F_RDLCK) == 0)
        return AQ_OK;
    if (lease->fd >= 0)
        close(lease->fd);
    lease->fd = -1;
    return aq_store_lock_wait(store, "gc", false, GC_WAIT_MS, &lease->whole, err);
}

enum aq_status aq_lease_take(struct aq_store *store, uint64_t version, struct aq_lease **lease,
                             struct aq_error *err)
{
    *lease = NULL;
    if (store->is_mirror)
        return AQ_OK;
    struct aq_lease *taken = calloc(1, sizeof *taken);
    if (taken == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    taken->version = version;
    enum aq_status status = take(store, taken, err);
    if (status == AQ_OK)
        *lease = taken;
    else
        free(taken);
    return status;
}

void aq_lease_move(struct aq_lease *lease, uint64_t version)
{
    if (lease == NULL || lease->fd < 0 || version <= lease->version ||
        set_lock(lease->fd, version, F_RDLCK) != 0)
        return; /* the earlier one keeps more */
    set_lock(lease->fd, lease->version, F_UNLCK);
    lease->version = version;
}

void aq_lease_release(struct aq_lease *lease)
{
    if (lease == NULL)
        return;
    if (lease->fd >= 0)
        close(lease->fd);
    aq_store_unlock(lease->whole);
    free(lease);
}

/* The kernel tells of any lock in a range: what lies below it is asked for again, until nothing is. */
static int find_lowest(int fd, bool *any, uint64_t *version)
{
    *any = false;
    for (off_t below = 0;;) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = below};
        if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
            return errno;
        if (lock.l_type == F_UNLCK)
            return 0;
        *any = true;
        *version = (uint64_t)lock.l_start;
        below = lock.l_start;
        if (below == 0) /* a length of 0 would mean all of the file */
            return 0;
    }
}

enum aq_status aq_lease_oldest(struct aq_store *store, bool *any, uint64_t *version,
                               struct aq_error *err)
{
    *any = false;
    int fd = aq_io_openat_beneath(store->home_fd, LEASES_NAME, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0 && errno == ENOENT)
        return AQ_OK;
    int os_errno = fd < 0 ? errno : find_lowest(fd, any, version);
    if (fd >= 0)
        close(fd);
    if (os_errno == 0 || os_errno == EINVAL) /* without such locks readers hold the lock "gc" */
        return AQ_OK;
    return aq_error_set_errno(err, os_errno, aq_store_path(store, LEASES_NAME).text,
                              "cannot see who reads the store");
}
