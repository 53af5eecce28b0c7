/* Zeroing blocks ahead.
 *
 * Happy path: a job says which part of a file; the thread writes zeros there, a piece at a time, each made
 * durable, and says how far it came. Before its first job it finds out how frames are best written
 * (write_probe.h): the writer has something to do meanwhile.
 * Failures: whatever it is (a full disk, a file at its limit, a disk that fails), the zeros end where they were
 * durable last, the file is cut there, and the writer goes on as without them; the store counts it and tells. The job's
 * descriptor is its own: the kernel tells each open file of a failed write-back once, so what a job is told of is
 * told to the writer of the frames, too, when it makes them durable. */
#include "engine/store/segment/write/zero_ahead.h"

#include "engine/store/segment/write/write_probe.h"
#include "format/base/mutant.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)2 << 20) /* made durable at once */
#define CALL_BYTES ((size_t)1 << 20)  /* frames wait behind it at the disk */
#define FREE_SHARE 16

struct job {
    const struct aq_io_file *file;
    uint64_t begin;
    uint64_t end;
    /* Result: */
    uint64_t zeroed_end;
    int os_errno; /* why it ended early; 0: it did not, or was stopped, or had its share */
};

struct aq_zero_ahead {
    struct aq_store *store;
    unsigned depth;
    bool inside; /* no thread: the caller does the job */
    bool started;
    pthread_t thread;
    pthread_mutex_t mutex; /* for what follows */
    pthread_cond_t changed;
    bool running; /* there is a job that is not over */
    bool stop;    /* end it early */
    bool leave;
    struct job job; /* the thread's while it is running */
};

static bool is_stopped(struct aq_zero_ahead *ahead)
{
    pthread_mutex_lock(&ahead->mutex);
    bool stopped = ahead->stop;
    pthread_mutex_unlock(&ahead->mutex);
    return stopped;
}

static uint64_t free_share(int fd)
{
    struct statvfs disk;
    if (fstatvfs(fd, &disk) != 0)
        return 0;
    return (uint64_t)disk.f_bavail * disk.f_frsize / FREE_SHARE;
}

/* 0, or the errno of what ended it. `zeros`: CALL_BYTES of them. */
static int write_zeros(int fd, const uint8_t *zeros, uint64_t offset, size_t size)
{
    while (size > 0) {
        ssize_t count = pwrite(fd, zeros, size < CALL_BYTES ? size : CALL_BYTES, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0 ? ENOSPC : errno;
        offset += (uint64_t)count;
        size -= (size_t)count;
    }
    return !aq_mutant(19) && fdatasync(fd) != 0 ? errno : 0;
}

static void zero(struct aq_zero_ahead *ahead, struct job *job, int fd)
{
    uint64_t share = free_share(fd);
    uint64_t end = job->end - job->begin <= share ? job->end : job->begin + share;
    end -= end % AQ_IO_BLOCK_BYTES;
    void *zeros = NULL;
    job->os_errno = posix_memalign(&zeros, AQ_IO_BLOCK_BYTES, CALL_BYTES);
    if (job->os_errno == 0)
        memset(zeros, 0, CALL_BYTES);
    while (job->zeroed_end < end && job->os_errno == 0 && !is_stopped(ahead)) {
        uint64_t left = end - job->zeroed_end;
        size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        job->os_errno = write_zeros(fd, zeros, job->zeroed_end, size);
        if (job->os_errno == 0)
            job->zeroed_end += size;
    }
    free(zeros);
    if (job->os_errno == 0)
        return;
    int cut = ftruncate(fd, (off_t)job->zeroed_end); /* frames have more use for it */
    (void)cut;
}

/* Past the cache: zeros that the kernel writes back when it likes, many at once, hold up the frames' own writes and every
 * sync of the file system. Where there are no such writes, through it. */
static void run(struct aq_zero_ahead *ahead, struct job *job)
{
    static const int ways[] = {O_DIRECT, 0};
    for (size_t i = 0; i < 2 && (i == 0 || job->os_errno == EINVAL); i++) {
        int fd = aq_io_reopen(job->file, O_WRONLY | ways[i]);
        job->os_errno = fd < 0 ? errno : 0;
        if (fd < 0)
            continue;
        zero(ahead, job, fd);
        close(fd);
    }
    if (job->os_errno != 0)
        aq_store_note_zero_failure(ahead->store, job->os_errno);
}

static void *work(void *context)
{
    struct aq_zero_ahead *ahead = context;
    pthread_mutex_lock(&ahead->mutex);
    while (!ahead->leave) {
        if (!ahead->running) {
            pthread_cond_wait(&ahead->changed, &ahead->mutex);
            continue;
        }
        pthread_mutex_unlock(&ahead->mutex);
        aq_write_probe(ahead->store, ahead->depth);
        run(ahead, &ahead->job);
        pthread_mutex_lock(&ahead->mutex);
        ahead->running = false;
        pthread_cond_broadcast(&ahead->changed);
    }
    pthread_mutex_unlock(&ahead->mutex);
    return NULL;
}

enum aq_status aq_zero_ahead_create(struct aq_store *store, unsigned depth,
                                    struct aq_zero_ahead **ahead, struct aq_error *err)
{
    struct aq_zero_ahead *created = calloc(1, sizeof *created);
    if (created == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    created->store = store;
    created->depth = depth;
    created->inside = aq_store_io_kind(store) == AQ_IO_SIM;
    pthread_mutex_init(&created->mutex, NULL);
    pthread_cond_init(&created->changed, NULL);
    *ahead = created;
    return AQ_OK;
}

void aq_zero_ahead_destroy(struct aq_zero_ahead *ahead)
{
    if (ahead == NULL)
        return;
    if (ahead->started) {
        pthread_mutex_lock(&ahead->mutex);
        ahead->stop = ahead->leave = true;
        pthread_cond_broadcast(&ahead->changed);
        pthread_mutex_unlock(&ahead->mutex);
        pthread_join(ahead->thread, NULL);
    }
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->mutex);
    free(ahead);
}

/* Without a thread nothing is zeroed, and all is well. */
static bool start_thread(struct aq_zero_ahead *ahead)
{
    if (!ahead->started)
        ahead->started = pthread_create(&ahead->thread, NULL, work, ahead) == 0;
    return ahead->started;
}

void aq_zero_ahead_start(struct aq_zero_ahead *ahead, const struct aq_io_file *file, uint64_t begin,
                         uint64_t end)
{
    assert(!ahead->running && begin <= end && begin % AQ_IO_BLOCK_BYTES == 0);
    ahead->job = (struct job){.file = file, .begin = begin, .end = end, .zeroed_end = begin};
    ahead->stop = false;
    if (ahead->inside) {
        run(ahead, &ahead->job);
        return;
    }
    if (!start_thread(ahead))
        return;
    pthread_mutex_lock(&ahead->mutex);
    ahead->running = true;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->mutex);
}

bool aq_zero_ahead_is_running(struct aq_zero_ahead *ahead)
{
    pthread_mutex_lock(&ahead->mutex);
    bool running = ahead->running;
    pthread_mutex_unlock(&ahead->mutex);
    return running;
}

uint64_t aq_zero_ahead_wait(struct aq_zero_ahead *ahead, bool stop, bool *failed)
{
    pthread_mutex_lock(&ahead->mutex);
    ahead->stop = stop;
    while (ahead->running)
        pthread_cond_wait(&ahead->changed, &ahead->mutex);
    pthread_mutex_unlock(&ahead->mutex);
    *failed = ahead->job.os_errno != 0;
    return ahead->job.zeroed_end;
}
