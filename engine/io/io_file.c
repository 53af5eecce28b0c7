/* Files of the kernel: opening beneath a directory, locking, durable names, exact reads.
 *
 * Happy path: openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), then flock where asked for.
 * Failures: a kernel or container without openat2 -> openat of a name that has been checked; a lock
 * held elsewhere -> AQ_CONFLICT; a file that ends early -> AQ_CORRUPT at its end. */
#include "engine/base/clock.h"
#include "engine/io/io_backend.h"
#include "format/base/mutant.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_BYTES_MAX 256
#define LOCK_RETRY_MS 10

/* Relative, and no component of it is "..": enough where no symbolic link is planted. */
static bool stays_beneath(const char *name)
{
    if (name[0] == '/')
        return false;
    for (const char *at = name; *at != '\0';) {
        size_t length = strcspn(at, "/");
        if (length == 2 && at[0] == '.' && at[1] == '.')
            return false;
        at += length;
        at += *at == '/';
    }
    return true;
}

static bool makes_file(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int aq_io_openat_beneath(int dir_fd, const char *name, int flags, unsigned mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .mode = makes_file(flags) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    int fd;
    do {
        fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    /* EPERM: a seccomp filter that does not know openat2. */
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return fd;
    if (!stays_beneath(name)) {
        errno = EXDEV;
        return -1;
    }
    do {
        fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

enum aq_status aq_io_sync_parent(int dir_fd, const char *name, const char *path,
                                 struct aq_error *err)
{
    const char *slash = strrchr(name, '/');
    char parent[NAME_BYTES_MAX] = ".";
    if (slash != NULL)
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - name), name);
    int fd = aq_io_openat_beneath(dir_fd, parent, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open its directory");
    enum aq_status status = AQ_OK;
    if (fsync(fd) != 0)
        status = aq_error_set_errno(err, errno, path, "cannot make its name durable");
    close(fd);
    return status;
}

/* flock has no timeout: try, sleep, try again. */
enum aq_status aq_io_lock(int fd, bool exclusive, const char *path, unsigned timeout_ms,
                          struct aq_error *err)
{
    for (unsigned waited_ms = 0;; waited_ms += LOCK_RETRY_MS) {
        int result;
        do {
            result = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
        } while (result != 0 && errno == EINTR);
        if (result == 0)
            return AQ_OK;
        if (errno != EWOULDBLOCK)
            return aq_error_set_errno(err, errno, path, "cannot lock");
        if (waited_ms >= timeout_ms)
            return aq_error_set_at(err, AQ_CONFLICT, path, -1, "is in use by another process");
        aq_clock_sleep_us(LOCK_RETRY_MS * 1000);
    }
}

enum aq_status aq_io_fd_open(struct aq_io *io, int dir_fd, const char *name, unsigned flags,
                             const char *path, struct aq_io_file **file, struct aq_error *err)
{
    int open_flags = (flags & AQ_IO_WRITE) != 0 ? O_RDWR : O_RDONLY;
    if ((flags & AQ_IO_CREATE_NEW) != 0)
        open_flags |= O_CREAT | O_EXCL;
    if ((flags & AQ_IO_UNNAMED) != 0)
        open_flags |= O_TMPFILE;
    int fd = aq_io_openat_beneath(dir_fd, name, open_flags, 0644);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open");
    enum aq_status status = AQ_OK;
    if ((flags & AQ_IO_LOCK) != 0)
        status = aq_io_lock(fd, true, path, 0, err);
    if (status == AQ_OK && (flags & AQ_IO_CREATE_NEW) != 0 && !aq_mutant(7))
        status = aq_io_sync_parent(dir_fd, name, path, err);
    struct aq_io_file *opened = NULL;
    if (status == AQ_OK) {
        opened = malloc(sizeof *opened);
        if (opened == NULL)
            status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    if (status != AQ_OK) {
        close(fd);
        return status;
    }
    *opened = (struct aq_io_file){.backend = io->backend, .fd = fd};
    *file = opened;
    return AQ_OK;
}

/* The kernel's name for an open file: also of one that has no other. */
static void name_descriptor(int fd, char *name, size_t name_size)
{
    snprintf(name, name_size, "/proc/self/fd/%d", fd);
}

enum aq_status aq_io_name(const struct aq_io_file *file, int dir_fd, const char *name,
                          const char *path, struct aq_error *err)
{
    char descriptor[32];
    name_descriptor(file->fd, descriptor, sizeof descriptor);
    assert(stays_beneath(name));
    if (linkat(AT_FDCWD, descriptor, dir_fd, name, AT_SYMLINK_FOLLOW) != 0)
        return aq_error_set_errno(err, errno, path, "cannot give the file its name");
    return aq_mutant(71) ? AQ_OK : aq_io_sync_parent(dir_fd, name, path, err);
}

int aq_io_reopen(const struct aq_io_file *file, int flags)
{
    char descriptor[32];
    name_descriptor(file->fd, descriptor, sizeof descriptor);
    return open(descriptor, flags | O_CLOEXEC);
}

enum aq_status aq_io_fd_open_direct(struct aq_io *io, const struct aq_io_file *file,
                                    const char *path, struct aq_io_file **direct,
                                    struct aq_error *err)
{
    struct aq_io_file *opened = malloc(sizeof *opened);
    int fd = aq_io_reopen(file, O_RDWR | O_DIRECT);
    if (opened == NULL || fd < 0) {
        enum aq_status status = aq_error_set_errno(err, opened == NULL ? ENOMEM : errno, path,
                                                   "cannot write past the cache");
        free(opened);
        if (fd >= 0)
            close(fd);
        return status;
    }
    *opened = (struct aq_io_file){.backend = io->backend, .fd = fd, .direct = true};
    *direct = opened;
    return AQ_OK;
}

void aq_io_fd_close(struct aq_io_file *file)
{
    if (!file->borrowed)
        close(file->fd);
    free(file);
}

enum aq_status aq_io_pread_exact(int fd, const char *path, uint64_t offset, void *buffer,
                                 size_t size, struct aq_error *err)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            enum aq_status status = aq_error_set_errno(err, errno, path, "cannot read");
            if (err != NULL)
                err->offset = (int64_t)(offset + done);
            return status;
        }
        if (count == 0)
            return aq_error_set_at(err, AQ_CORRUPT, path, (int64_t)(offset + done),
                                   "the file ends here, %zu bytes before it should", size - done);
        done += (size_t)count;
    }
    return AQ_OK;
}
