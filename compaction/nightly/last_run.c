/* Happy path: the time of the lock file is read, or set. Failures: without the file the time is not known; where
 * it cannot be set (the file belongs to somebody else) a schedule counts from what its process knows. */
#include "compaction/nightly/last_run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_lock_file(const struct aq_store *store, int flags)
{
    return aq_io_openat_beneath(aq_store_home_fd(store), "locks/compact", flags | O_CLOEXEC, 0644);
}

int64_t aq_compact_last_run_us(const struct aq_store *store)
{
    struct stat stat;
    int64_t time_us = 0;
    int fd = open_lock_file(store, O_RDONLY);
    if (fd < 0)
        return 0;
    if (fstat(fd, &stat) == 0)
        time_us = stat.st_mtim.tv_sec * AQ_US_PER_SECOND + stat.st_mtim.tv_nsec / 1000;
    close(fd);
    return time_us;
}

void aq_compact_note_run(const struct aq_store *store, int64_t begin_us)
{
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = begin_us / AQ_US_PER_SECOND, .tv_nsec = begin_us % AQ_US_PER_SECOND * 1000},
    };
    int fd = open_lock_file(store, O_RDONLY | O_CREAT);
    if (fd < 0)
        return;
    (void)futimens(fd, times);
    close(fd);
}
