/* The io_uring back end: up to `depth` operations in the kernel at once.
 *
 * Happy path: one IORING_OP_WRITE with RWF_DSYNC per operation (no linked write + fsync: a short
 * write would cancel the link), completions reaped by io_uring_wait_cqe. The ring is restricted to
 * the operations used here.
 * Failures: EINTR and EAGAIN before a byte was moved -> again; a short write -> the rest, each part
 * durable by itself; anything else is the operation's errno. A ring that cannot be made (no kernel
 * support, seccomp, no locked memory) is an error at creation, which AQ_IO_AUTO turns into POSIX. */
#include "engine/io/io_backend.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct uring_io {
    struct aq_io base;
    struct io_uring ring;
};

/* The kernel gives a ring memory that another ring had, maybe another thread's. That all of the former's work was
 * before it is known to the kernel only: liburing maps memory by system calls of its own, which ThreadSanitizer
 * does not see. So it is said here. */
static atomic_uint rings_gone;

static void uring_destroy(struct aq_io *io)
{
    struct uring_io *uring = (struct uring_io *)io;
    atomic_fetch_add_explicit(&rings_gone, 1, memory_order_release);
    io_uring_queue_exit(&uring->ring);
    free(uring);
}

static void prepare(struct io_uring_sqe *sqe, struct aq_io_op *op)
{
    char *at = (char *)op->buffer + op->transferred;
    uint64_t offset = op->offset + op->transferred;
    switch (op->kind) {
    case AQ_IO_OP_WRITE_DURABLE:
        io_uring_prep_write(sqe, op->file->fd, at, (unsigned)aq_io_next_size(op), offset);
        sqe->rw_flags = aq_mutant(6) ? 0 : RWF_DSYNC;
        break;
    case AQ_IO_OP_READ:
        io_uring_prep_read(sqe, op->file->fd, at, (unsigned)aq_io_next_size(op), offset);
        break;
    case AQ_IO_OP_SYNC:
        io_uring_prep_fsync(sqe, op->file->fd, IORING_FSYNC_DATASYNC);
        break;
    case AQ_IO_OP_WILL_READ:
        io_uring_prep_fadvise(sqe, op->file->fd, offset, (off_t)op->size, POSIX_FADV_WILLNEED);
        break;
    }
    io_uring_sqe_set_data(sqe, op);
}

/* The submission queue has an entry for each pending operation, so one is always free here. */
static int queue(struct uring_io *uring, struct aq_io_op *op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe == NULL)
        return ENOSPC;
    prepare(sqe, op);
    int result;
    do {
        result = io_uring_submit(&uring->ring);
    } while (result == -EINTR || result == -EAGAIN);
    return result < 0 ? -result : 0;
}

static enum aq_status uring_start(struct aq_io *io, struct aq_io_op *op, struct aq_error *err)
{
    int os_errno = queue((struct uring_io *)io, op);
    if (os_errno != 0)
        return aq_error_set_errno(err, os_errno, "", "io_uring takes no more operations");
    return AQ_OK;
}

/* A completion: over, or to be continued where a short transfer stopped. */
static void complete(struct uring_io *uring, struct aq_io_op *op, int result)
{
    bool again = result == -EINTR || result == -EAGAIN;
    if (!aq_io_moves_bytes(op)) {
        aq_io_finish(&uring->base, op, result < 0 ? -result : 0);
        return;
    }
    if (result < 0 && !again) {
        aq_io_finish(&uring->base, op, -result);
        return;
    }
    if (result == 0 && op->size > 0) {
        aq_io_finish(&uring->base, op, op->kind == AQ_IO_OP_READ ? 0 : EIO);
        return;
    }
    if (!aq_io_advance(op, again ? 0 : (size_t)result)) {
        aq_io_finish(&uring->base, op, 0);
        return;
    }
    int os_errno = queue(uring, op);
    if (os_errno != 0)
        aq_io_finish(&uring->base, op, os_errno);
}

static enum aq_status uring_reap(struct aq_io *io, bool wait, struct aq_error *err)
{
    struct uring_io *uring = (struct uring_io *)io;
    unsigned finished_before = io->finished;
    for (;;) {
        struct io_uring_cqe *cqe = NULL;
        bool block = wait && io->finished == finished_before;
        int result =
            block ? io_uring_wait_cqe(&uring->ring, &cqe) : io_uring_peek_cqe(&uring->ring, &cqe);
        if (result == -EINTR)
            continue;
        if (result == -EAGAIN)
            return AQ_OK;
        if (result < 0)
            return aq_error_set_errno(err, -result, "", "cannot wait for io_uring");
        struct aq_io_op *op = io_uring_cqe_get_data(cqe);
        int outcome = cqe->res;
        io_uring_cqe_seen(&uring->ring, cqe);
        complete(uring, op, outcome);
    }
}

static const struct aq_io_backend uring_backend = {
    .kind = AQ_IO_URING,
    .destroy = uring_destroy,
    .open = aq_io_fd_open,
    .open_direct = aq_io_fd_open_direct,
    .close = aq_io_fd_close,
    .start = uring_start,
    .reap = uring_reap,
};

/* By system call: liburing 2.3's shared library forgot to export these two. */
static int restrict_ring(const struct io_uring *ring)
{
    struct io_uring_restriction allowed[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FADVISE},
    };
    unsigned count = sizeof allowed / sizeof allowed[0];
    if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
                count) != 0)
        return errno;
    if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0)
        return errno;
    return 0;
}

enum aq_status aq_io_uring_create(unsigned depth, struct aq_io **io, struct aq_error *err)
{
    struct uring_io *created = calloc(1, sizeof *created);
    if (created == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    int result = io_uring_queue_init(depth, &created->ring, IORING_SETUP_R_DISABLED);
    (void)atomic_load_explicit(&rings_gone, memory_order_acquire);
    if (result < 0) {
        free(created);
        return aq_error_set(err, AQ_IO, "io_uring is not available here: %s", strerror(-result));
    }
    result = restrict_ring(&created->ring);
    if (result != 0) {
        io_uring_queue_exit(&created->ring);
        free(created);
        return aq_error_set(err, AQ_IO, "io_uring is too old here: %s", strerror(result));
    }
    created->base.backend = &uring_backend;
    created->base.depth = depth;
    *io = &created->base;
    return AQ_OK;
}
