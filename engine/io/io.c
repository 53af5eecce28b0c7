/* The file API's front: picks a back end, bounds what is pending, runs callbacks.
 *
 * Happy path: aq_io_submit starts an operation in the back end; the back end moves it to the
 * finished list (aq_io_finish); aq_io_wait runs its callback.
 * Failures: io_uring refused -> POSIX and a notice; a failed operation is finished with its errno
 * and never tried again. */
#include "engine/io/io_backend.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One call moves at most 2 GiB less a page; a round number below it. */
#define CALL_BYTES_MAX ((size_t)1 << 30)

enum aq_status aq_io_create(enum aq_io_kind kind, unsigned depth, struct aq_io **io, char *notice,
                            size_t notice_size, struct aq_error *err)
{
    assert(depth > 0);
    if (notice != NULL && notice_size > 0)
        notice[0] = '\0';
    if (kind == AQ_IO_POSIX)
        return aq_io_posix_create(depth, io, err);
    if (kind == AQ_IO_SIM)
        return aq_io_sim_create(depth, io, err);
    struct aq_error refusal = {0};
    enum aq_status status = aq_io_uring_create(depth, io, &refusal);
    if (status == AQ_OK)
        return AQ_OK;
    if (kind == AQ_IO_URING || status == AQ_NO_MEMORY) {
        if (err != NULL)
            *err = refusal;
        return status;
    }
    if (notice != NULL)
        snprintf(notice, notice_size, "%s; using the POSIX back end", refusal.message);
    return aq_io_posix_create(depth, io, err);
}

void aq_io_destroy(struct aq_io *io)
{
    if (io == NULL)
        return;
    assert(aq_io_in_flight(io) == 0);
    io->backend->destroy(io);
}

enum aq_io_kind aq_io_kind_of(const struct aq_io *io)
{
    return io->backend->kind;
}

const char *aq_io_kind_name(enum aq_io_kind kind)
{
    switch (kind) {
    case AQ_IO_URING:
        return "uring";
    case AQ_IO_POSIX:
        return "posix";
    case AQ_IO_SIM:
        return "sim";
    case AQ_IO_AUTO:
        break;
    }
    return "auto";
}

enum aq_status aq_io_open(struct aq_io *io, int dir_fd, const char *name, unsigned flags,
                          const char *path, struct aq_io_file **file, struct aq_error *err)
{
    return io->backend->open(io, dir_fd, name, flags, path, file, err);
}

enum aq_status aq_io_open_direct(struct aq_io *io, const struct aq_io_file *file, const char *path,
                                 struct aq_io_file **direct, struct aq_error *err)
{
    return io->backend->open_direct(io, file, path, direct, err);
}

enum aq_status aq_io_borrow(struct aq_io *io, int fd, struct aq_io_file **file,
                            struct aq_error *err)
{
    struct aq_io_file *borrowed = malloc(sizeof *borrowed);
    if (borrowed == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    *borrowed = (struct aq_io_file){.backend = io->backend, .fd = fd, .borrowed = true};
    *file = borrowed;
    return AQ_OK;
}

void aq_io_close(struct aq_io_file *file)
{
    if (file != NULL)
        file->backend->close(file);
}

int aq_io_file_fd(const struct aq_io_file *file)
{
    return file->fd;
}

enum aq_status aq_io_submit(struct aq_io *io, struct aq_io_op *op, struct aq_error *err)
{
    while (io->pending >= io->depth)
        AQ_TRY(io->backend->reap(io, true, err));
    op->status = AQ_OK;
    op->os_errno = 0;
    op->transferred = 0;
    op->next = NULL;
    io->pending++;
    enum aq_status status = io->backend->start(io, op, err);
    if (status < 0)
        io->pending--;
    return status;
}

enum aq_status aq_io_wait(struct aq_io *io, unsigned least, struct aq_error *err)
{
    enum aq_status status = io->pending > 0 ? io->backend->reap(io, false, err) : AQ_OK;
    while (status == AQ_OK && io->finished < least && io->pending > 0)
        status = io->backend->reap(io, true, err);
    /* A callback may submit again: take one operation at a time. */
    struct aq_io_op *op;
    for (unsigned count = io->finished; count > 0 && (op = io->finished_first) != NULL; count--) {
        io->finished_first = op->next;
        if (io->finished_first == NULL)
            io->finished_last = NULL;
        io->finished--;
        op->next = NULL;
        op->done(op);
    }
    return status;
}

unsigned aq_io_in_flight(const struct aq_io *io)
{
    return io->pending + io->finished;
}

static enum aq_status status_of(int os_errno)
{
    if (os_errno == 0)
        return AQ_OK;
    return aq_error_set_errno(&(struct aq_error){0}, os_errno, "", "I/O");
}

void aq_io_finish(struct aq_io *io, struct aq_io_op *op, int os_errno)
{
    assert(io->pending > 0);
    op->os_errno = os_errno;
    op->status = status_of(os_errno);
    op->next = NULL;
    if (io->finished_last == NULL)
        io->finished_first = op;
    else
        io->finished_last->next = op;
    io->finished_last = op;
    io->pending--;
    io->finished++;
}

bool aq_io_moves_bytes(const struct aq_io_op *op)
{
    return op->kind == AQ_IO_OP_WRITE_DURABLE || op->kind == AQ_IO_OP_READ;
}

bool aq_io_advance(struct aq_io_op *op, size_t count)
{
    assert(count <= op->size - op->transferred);
    op->transferred += count;
    if (op->file->direct && op->transferred < op->size)
        op->transferred -= op->transferred % AQ_IO_BLOCK_BYTES;
    return op->transferred < op->size;
}

size_t aq_io_next_size(const struct aq_io_op *op)
{
    size_t left = op->size - op->transferred;
    return left < CALL_BYTES_MAX ? left : CALL_BYTES_MAX;
}
