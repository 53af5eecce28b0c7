/* The POSIX back end: each operation is one blocking call after the other in a thread of a small pool.
 *
 * Happy path: an operation that starts is queued; a thread takes it, does it (pwritev2(RWF_DSYNC), preadv,
 * fdatasync or posix_fadvise) and hands it back; the owner collects it when it waits. A thread is made when no other is idle, one for
 * each operation in flight at most, and lives as long as the back end: a writer that has one frame at a time
 * has one thread.
 * Failures: EINTR or EAGAIN before a byte was moved -> again; a short write -> the rest, each part durable by
 * itself; anything else is the operation's errno. No thread can be made -> the first ones do it all, or the
 * owner itself, while it starts the operation. */
#include "engine/io/io_backend.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define THREADS_MAX 16

/* First in, first out, by aq_io_op.next. */
struct op_queue {
    struct aq_io_op *first;
    struct aq_io_op *last;
    unsigned count;
};

struct posix_io {
    struct aq_io base;
    pthread_mutex_t mutex; /* for what follows, up to `leave` */
    pthread_cond_t work;   /* something is queued, or it is time to leave */
    pthread_cond_t over;   /* something is done */
    struct op_queue queued;
    struct op_queue done; /* os_errno says how */
    unsigned idle_count;  /* threads that wait for work */
    bool leave;
    unsigned thread_count;
    pthread_t threads[THREADS_MAX];
};

static void push(struct op_queue *queue, struct aq_io_op *op)
{
    op->next = NULL;
    if (queue->last == NULL)
        queue->first = op;
    else
        queue->last->next = op;
    queue->last = op;
    queue->count++;
}

static struct aq_io_op *pop(struct op_queue *queue)
{
    struct aq_io_op *op = queue->first;
    if (op == NULL)
        return NULL;
    queue->first = op->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    return op;
}

/* The calls. */

static ssize_t move_bytes(struct aq_io_op *op)
{
    struct iovec part = {
        .iov_base = (char *)op->buffer + op->transferred,
        .iov_len = aq_io_next_size(op),
    };
    off_t offset = (off_t)(op->offset + op->transferred);
    if (op->kind == AQ_IO_OP_READ)
        return preadv(op->file->fd, &part, 1, offset);
    return pwritev2(op->file->fd, &part, 1, offset, aq_mutant(5) ? 0 : RWF_DSYNC);
}

/* 0, or the errno that ended the transfer. */
static int transfer(struct aq_io_op *op)
{
    while (op->transferred < op->size) {
        ssize_t count = move_bytes(op);
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (count < 0)
            return errno;
        if (count == 0)
            return op->kind == AQ_IO_OP_READ ? 0 : EIO;
        aq_io_advance(op, (size_t)count);
    }
    return 0;
}

int aq_io_fd_perform(struct aq_io_op *op)
{
    if (op->kind == AQ_IO_OP_SYNC)
        return fdatasync(op->file->fd) == 0 ? 0 : errno;
    if (op->kind == AQ_IO_OP_WILL_READ)
        return posix_fadvise(op->file->fd, (off_t)op->offset, (off_t)op->size, POSIX_FADV_WILLNEED);
    return transfer(op);
}

/* The pool. */

static void *work(void *context)
{
    struct posix_io *posix = context;
    pthread_mutex_lock(&posix->mutex);
    while (!posix->leave) {
        struct aq_io_op *op = pop(&posix->queued);
        if (op == NULL) {
            posix->idle_count++;
            pthread_cond_wait(&posix->work, &posix->mutex);
            posix->idle_count--;
            continue;
        }
        pthread_mutex_unlock(&posix->mutex);
        op->os_errno = aq_io_fd_perform(op);
        pthread_mutex_lock(&posix->mutex);
        push(&posix->done, op);
        pthread_cond_signal(&posix->over);
    }
    pthread_mutex_unlock(&posix->mutex);
    return NULL;
}

/* Signals are the program's affair: none is delivered to a thread of the pool. */
static void add_thread(struct posix_io *posix)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&posix->threads[posix->thread_count], NULL, work, posix) == 0)
        posix->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool are_all_busy(struct posix_io *posix)
{
    pthread_mutex_lock(&posix->mutex);
    bool busy = posix->queued.count >= posix->idle_count;
    pthread_mutex_unlock(&posix->mutex);
    return busy;
}

static enum aq_status posix_start(struct aq_io *io, struct aq_io_op *op, struct aq_error *err)
{
    struct posix_io *posix = (struct posix_io *)io;
    (void)err;
    if (posix->thread_count < THREADS_MAX && posix->thread_count < io->depth && are_all_busy(posix))
        add_thread(posix);
    if (posix->thread_count == 0) {
        aq_io_finish(io, op, aq_io_fd_perform(op));
        return AQ_OK;
    }
    pthread_mutex_lock(&posix->mutex);
    push(&posix->queued, op);
    pthread_cond_signal(&posix->work);
    pthread_mutex_unlock(&posix->mutex);
    return AQ_OK;
}

static enum aq_status posix_reap(struct aq_io *io, bool wait, struct aq_error *err)
{
    struct posix_io *posix = (struct posix_io *)io;
    struct aq_io_op *op;
    (void)err;
    pthread_mutex_lock(&posix->mutex);
    while (wait && posix->done.count == 0)
        pthread_cond_wait(&posix->over, &posix->mutex);
    struct op_queue done = posix->done;
    posix->done = (struct op_queue){0};
    pthread_mutex_unlock(&posix->mutex);
    while ((op = pop(&done)) != NULL)
        aq_io_finish(io, op, op->os_errno);
    return AQ_OK;
}

static void posix_destroy(struct aq_io *io)
{
    struct posix_io *posix = (struct posix_io *)io;
    pthread_mutex_lock(&posix->mutex);
    posix->leave = true;
    pthread_cond_broadcast(&posix->work);
    pthread_mutex_unlock(&posix->mutex);
    for (unsigned i = 0; i < posix->thread_count; i++)
        pthread_join(posix->threads[i], NULL);
    pthread_cond_destroy(&posix->over);
    pthread_cond_destroy(&posix->work);
    pthread_mutex_destroy(&posix->mutex);
    free(posix);
}

static const struct aq_io_backend posix_backend = {
    .kind = AQ_IO_POSIX,
    .destroy = posix_destroy,
    .open = aq_io_fd_open,
    .open_direct = aq_io_fd_open_direct,
    .close = aq_io_fd_close,
    .start = posix_start,
    .reap = posix_reap,
};

enum aq_status aq_io_posix_create(unsigned depth, struct aq_io **io, struct aq_error *err)
{
    struct posix_io *created = calloc(1, sizeof *created);
    if (created == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    created->base.backend = &posix_backend;
    created->base.depth = depth;
    pthread_mutex_init(&created->mutex, NULL);
    pthread_cond_init(&created->work, NULL);
    pthread_cond_init(&created->over, NULL);
    *io = &created->base;
    return AQ_OK;
}
