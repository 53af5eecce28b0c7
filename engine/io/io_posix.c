/* The synchronous back end: each operation is over when it has been started.
 *
 * Happy path: pwritev2(RWF_DSYNC), preadv, fdatasync.
 * Failures: EINTR or EAGAIN before a byte was moved -> again; a short write -> the rest, each part durable by
 * itself; anything else is the operation's errno. */
#include "engine/io/io_backend.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

static void posix_destroy(struct aq_io *io)
{
    free(io);
}

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
    return transfer(op);
}

static enum aq_status posix_start(struct aq_io *io, struct aq_io_op *op, struct aq_error *err)
{
    (void)err;
    aq_io_finish(io, op, aq_io_fd_perform(op));
    return AQ_OK;
}

static enum aq_status posix_reap(struct aq_io *io, bool wait, struct aq_error *err)
{
    (void)io;
    (void)wait;
    (void)err;
    return AQ_OK;
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
    struct aq_io *created = calloc(1, sizeof *created);
    if (created == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    created->backend = &posix_backend;
    created->depth = depth;
    *io = created;
    return AQ_OK;
}
