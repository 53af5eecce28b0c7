/* The simulated back end: several operations are under way, and end in any order.
 *
 * Happy path: a write that starts is in the file at once, as unsafe as any plain write; when the caller waits, one of
 * those under way, chosen at random, is done durably and finished. What else a disk may do to it, stopping short,
 * failing, losing power in between, happens below these calls (tests/sim).
 * Failures: the operation's errno, as with POSIX. */
#include "engine/io/io_backend.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t next_seed = 1;

struct sim_io {
    struct aq_io base;
    uint64_t random;
    struct aq_io_op *under_way[]; /* base.pending of base.depth */
};

void aq_io_sim_seed(uint64_t seed)
{
    next_seed = seed;
}

static void sim_destroy(struct aq_io *io)
{
    free(io);
}

/* Its failure is that of the durable write later. */
static void write_ahead(const struct aq_io_op *op)
{
    ssize_t count;
    do {
        count = pwrite(op->file->fd, op->buffer, op->size, (off_t)op->offset);
    } while (count < 0 && errno == EINTR);
}

static enum aq_status sim_start(struct aq_io *io, struct aq_io_op *op, struct aq_error *err)
{
    (void)err;
    struct sim_io *sim = (struct sim_io *)io;
    assert(io->pending <= io->depth); /* `op` is counted already */
    sim->under_way[io->pending - 1] = op;
    if (op->kind == AQ_IO_OP_WRITE_DURABLE && op->size > 0)
        write_ahead(op);
    return AQ_OK;
}

static enum aq_status sim_reap(struct aq_io *io, bool wait, struct aq_error *err)
{
    (void)err;
    struct sim_io *sim = (struct sim_io *)io;
    sim->random = sim->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    unsigned chosen = (unsigned)(sim->random >> 33);
    if (!wait && chosen % 2 == 0) /* nothing has finished yet */
        return AQ_OK;
    chosen = chosen / 2 % io->pending;
    struct aq_io_op *op = sim->under_way[chosen];
    sim->under_way[chosen] = sim->under_way[io->pending - 1];
    aq_io_finish(io, op, aq_io_fd_perform(op));
    return AQ_OK;
}

/* The same descriptor's file; how a write past the cache ends is what is simulated, not its way. */
static enum aq_status sim_open_direct(struct aq_io *io, const struct aq_io_file *file,
                                      const char *path, struct aq_io_file **direct,
                                      struct aq_error *err)
{
    struct aq_io_file *opened = malloc(sizeof *opened);
    int fd = dup(file->fd);
    if (opened == NULL || fd < 0) {
        free(opened);
        return aq_error_set_errno(err, fd < 0 ? errno : ENOMEM, path, "cannot open again");
    }
    *opened = (struct aq_io_file){.backend = io->backend, .fd = fd, .direct = true};
    *direct = opened;
    return AQ_OK;
}

static const struct aq_io_backend sim_backend = {
    .kind = AQ_IO_SIM,
    .destroy = sim_destroy,
    .open = aq_io_fd_open,
    .open_direct = sim_open_direct,
    .close = aq_io_fd_close,
    .start = sim_start,
    .reap = sim_reap,
};

enum aq_status aq_io_sim_create(unsigned depth, struct aq_io **io, struct aq_error *err)
{
    struct sim_io *created = calloc(1, sizeof *created + depth * sizeof(struct aq_io_op *));
    if (created == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    created->base.backend = &sim_backend;
    created->base.depth = depth;
    created->random = next_seed++;
    *io = &created->base;
    return AQ_OK;
}
