/* Room for edits on a full disk.
 *
 * Happy path: a file of so many blocks and no content, "locks/reserve"; all processes of a home share it. An edit that
 * finds the disk full empties the file and is written again; once there is room again, a later one fills it.
 * Failures: a file system that sets no blocks aside, a disk with little left: no reserve. */
#include "engine/store/catalog/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_NAME "locks/reserve"
#define RESERVE_BYTES ((off_t)256 << 10)
#define FREE_SHARE 64 /* of what is free, at most */

static bool has_room(int fd)
{
    struct statvfs disk;
    return fstatvfs(fd, &disk) == 0 &&
           (uint64_t)disk.f_bavail * disk.f_frsize / FREE_SHARE >= (uint64_t)RESERVE_BYTES;
}

void aq_reserve_fill(struct aq_store *store)
{
    struct stat info;
    if (store->has_reserve)
        return;
    int fd = aq_io_openat_beneath(store->home_fd, RESERVE_NAME, O_RDWR | O_CREAT, 0644);
    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && info.st_size < RESERVE_BYTES && has_room(fd) &&
        fallocate(fd, 0, 0, RESERVE_BYTES) != 0 && ftruncate(fd, 0) != 0)
        errno = 0; /* part of it is better than nothing */
    store->has_reserve = fstat(fd, &info) == 0 && info.st_size >= RESERVE_BYTES;
    close(fd);
}

bool aq_reserve_release(struct aq_store *store)
{
    struct stat info;
    bool released = false;
    int fd = aq_io_openat_beneath(store->home_fd, RESERVE_NAME, O_RDWR, 0);
    store->has_reserve = false;
    if (fd < 0)
        return false;
    if (fstat(fd, &info) == 0 && info.st_size > 0)
        released = ftruncate(fd, 0) == 0;
    close(fd);
    return released;
}
