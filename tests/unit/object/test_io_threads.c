/* The POSIX back end's threads, with the kernel's durable write replaced by one that this test scripts: it says when
 * a call returns, and with what. */
#include "engine/io/io.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

enum { CALLS_MAX = 64, BYTES = 20000 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned together; /* calls that must be under way at once before any returns */
    unsigned under_way;
    unsigned most;
    int results[CALLS_MAX]; /* of call n: bytes at most; below 0: -errno; 0: all of them */
    off_t offsets[CALLS_MAX];
    unsigned unsafe; /* calls without RWF_DSYNC */
    unsigned call_count;
} kernel = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* For so many others, but not for ever. */
static void wait_for_others(void)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 20;
    kernel.under_way++;
    kernel.most = kernel.under_way > kernel.most ? kernel.under_way : kernel.most;
    pthread_cond_broadcast(&kernel.changed);
    while (kernel.most < kernel.together &&
           pthread_cond_timedwait(&kernel.changed, &kernel.mutex, &deadline) == 0)
        continue;
    kernel.under_way--;
}

ssize_t pwritev2(int fd, const struct iovec *parts, int part_count, off_t offset, int flags)
{
    pthread_mutex_lock(&kernel.mutex);
    unsigned number = kernel.call_count++ % CALLS_MAX;
    int result = kernel.results[number];
    kernel.offsets[number] = offset;
    kernel.unsafe += (flags & RWF_DSYNC) == 0;
    wait_for_others();
    pthread_mutex_unlock(&kernel.mutex);
    if (result < 0) {
        errno = -result;
        return -1;
    }
    struct iovec part = parts[0];
    if (part_count == 1 && result > 0 && (size_t)result < part.iov_len)
        part.iov_len = (size_t)result;
    return syscall(SYS_pwritev2, fd, &part, 1, offset, 0, flags);
}

static struct aq_io *io;
static struct aq_io_file *file;
static int dir;

static void begin(unsigned depth)
{
    struct aq_error err = {0};
    dir = open(scratch_make(), O_RDONLY | O_DIRECTORY);
    cr_assert_eq(aq_io_create(AQ_IO_POSIX, depth, &io, NULL, 0, &err), AQ_OK);
    cr_assert_eq(aq_io_open(io, dir, "data", AQ_IO_WRITE | AQ_IO_CREATE_NEW, "data", &file, &err),
                 AQ_OK, "%s", err.message);
}

static void end(void)
{
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

static void nothing(struct aq_io_op *op)
{
    (void)op;
}

static struct aq_io_op make_write(unsigned char *bytes, unsigned number)
{
    memset(bytes, (int)number + 1, BYTES);
    return (struct aq_io_op){.kind = AQ_IO_OP_WRITE_DURABLE,
                             .file = file,
                             .buffer = bytes,
                             .size = BYTES,
                             .offset = (uint64_t)number * BYTES,
                             .done = nothing};
}

static void check_bytes(unsigned number)
{
    size_t size;
    unsigned char *content = scratch_read(scratch_file("data"), &size);
    cr_assert_geq(size, (size_t)(number + 1) * BYTES);
    for (size_t i = 0; i < BYTES; i++)
        cr_assert_eq(content[(size_t)number * BYTES + i], number + 1, "byte %zu", i);
    free(content);
}

/* As many writes as are in flight are in the kernel at the same time. */
Test(io_threads, writes_are_under_way_together)
{
    enum { DEPTH = 4 };
    static unsigned char bytes[DEPTH][BYTES];
    struct aq_io_op ops[DEPTH];
    begin(DEPTH);
    kernel.together = DEPTH;
    for (unsigned i = 0; i < DEPTH; i++) {
        ops[i] = make_write(bytes[i], i);
        cr_assert_eq(aq_io_submit(io, &ops[i], NULL), AQ_OK);
    }
    cr_assert_eq(aq_io_wait(io, DEPTH, NULL), AQ_OK);
    cr_assert_eq(kernel.most, DEPTH);
    cr_assert_eq(kernel.unsafe, 0);
    for (unsigned i = 0; i < DEPTH; i++)
        check_bytes(i);
    end();
}

/* The caller goes on while a write is under way. */
Test(io_threads, a_submit_does_not_wait)
{
    static unsigned char bytes[2][BYTES];
    struct aq_io_op ops[2];
    begin(2);
    kernel.together = 2; /* the first returns only when the second is there, too */
    for (unsigned i = 0; i < 2; i++) {
        ops[i] = make_write(bytes[i], i);
        cr_assert_eq(aq_io_submit(io, &ops[i], NULL), AQ_OK);
        cr_assert_eq(aq_io_in_flight(io), i + 1);
    }
    cr_assert_eq(aq_io_wait(io, 2, NULL), AQ_OK);
    cr_assert_eq(kernel.most, 2);
    end();
}

static void write_one(struct aq_io_op *op)
{
    static unsigned char bytes[BYTES];
    *op = make_write(bytes, 0);
    cr_assert_eq(aq_io_submit(io, op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(aq_io_in_flight(io), 0);
}

/* Interrupted, asked to come again, stopped short twice: the rest is written, each part durable. */
Test(io_threads, what_was_left_is_written)
{
    struct aq_io_op op;
    begin(1);
    const int results[] = {-EINTR, -EAGAIN, 5000, -EINTR, 1};
    memcpy(kernel.results, results, sizeof results);
    write_one(&op);
    cr_assert_eq(op.status, AQ_OK);
    cr_assert_eq(op.transferred, BYTES);
    cr_assert_eq(kernel.call_count, 6);
    cr_assert_eq(kernel.offsets[2], 0);
    cr_assert_eq(kernel.offsets[4], 5000);
    cr_assert_eq(kernel.offsets[5], 5001);
    cr_assert_eq(kernel.unsafe, 0);
    check_bytes(0);
    end();
}

/* Past the cache it goes on at a block. */
Test(io_threads, what_is_left_of_a_direct_write_begins_at_a_block)
{
    struct aq_io_file *direct = NULL;
    begin(1);
    if (aq_io_open_direct(io, file, "data", &direct, NULL) == AQ_OK) {
        enum { SIZE = 4 * AQ_IO_BLOCK_BYTES };
        unsigned char *bytes = aligned_alloc(AQ_IO_BLOCK_BYTES, SIZE);
        memset(bytes, 1, SIZE);
        struct aq_io_op op = {.kind = AQ_IO_OP_WRITE_DURABLE,
                              .file = direct,
                              .buffer = bytes,
                              .size = SIZE,
                              .done = nothing};
        kernel.results[0] = 2 * AQ_IO_BLOCK_BYTES;
        cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
        cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
        cr_assert_eq(op.status, AQ_OK, "%s", strerror(op.os_errno));
        cr_assert_eq(kernel.call_count, 2);
        cr_assert_eq(kernel.offsets[1], 2 * AQ_IO_BLOCK_BYTES);
        aq_io_close(direct);
        free(bytes);
    }
    end();
}

/* A write that failed is not tried again; the others in flight have ends of their own. */
Test(io_threads, a_failure_is_final)
{
    enum { DEPTH = 3 };
    static unsigned char bytes[DEPTH][BYTES];
    struct aq_io_op ops[DEPTH];
    unsigned failed = 0;
    begin(DEPTH);
    kernel.results[1] = -EIO;
    for (unsigned i = 0; i < DEPTH; i++) {
        ops[i] = make_write(bytes[i], i);
        cr_assert_eq(aq_io_submit(io, &ops[i], NULL), AQ_OK);
    }
    cr_assert_eq(aq_io_wait(io, DEPTH, NULL), AQ_OK);
    cr_assert_eq(kernel.call_count, DEPTH);
    for (unsigned i = 0; i < DEPTH; i++) {
        failed += ops[i].status == AQ_IO && ops[i].os_errno == EIO && ops[i].transferred == 0;
        if (ops[i].status == AQ_OK)
            check_bytes(i);
    }
    cr_assert_eq(failed, 1);
    end();
}
