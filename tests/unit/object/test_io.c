/* The file API: one suite over every back end. */
#include "engine/io/io.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <signal.h>

static const enum aq_io_kind kinds[] = {AQ_IO_URING, AQ_IO_POSIX, AQ_IO_SIM};

static void each_kind(void (*test)(enum aq_io_kind kind))
{
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        test(kinds[k]);
}

/* NULL where this machine refuses io_uring; test_io_auto covers that case. */
static struct aq_io *make(enum aq_io_kind kind, unsigned depth)
{
    struct aq_io *io = NULL;
    struct aq_error err = {0};
    enum aq_status status = aq_io_create(kind, depth, &io, NULL, 0, &err);
    if (kind == AQ_IO_URING && status != AQ_OK)
        return NULL;
    cr_assert_eq(status, AQ_OK, "%s", err.message);
    cr_assert_eq(aq_io_kind_of(io), kind);
    return io;
}

static struct aq_io_file *open_new(struct aq_io *io, int dir, const char *name)
{
    struct aq_io_file *file = NULL;
    struct aq_error err = {0};
    enum aq_status status =
        aq_io_open(io, dir, name, AQ_IO_WRITE | AQ_IO_CREATE_NEW | AQ_IO_LOCK, name, &file, &err);
    cr_assert_eq(status, AQ_OK, "%s", err.message);
    return file;
}

static int open_scratch(void)
{
    int dir = open(scratch_make(), O_RDONLY | O_DIRECTORY);
    cr_assert_geq(dir, 0);
    return dir;
}

static unsigned done_count;
static void count_done(struct aq_io_op *op)
{
    (void)op;
    done_count++;
}

static void write_all_in_flight(enum aq_io_kind kind)
{
    struct aq_io *io = make(kind, 4);
    if (io == NULL)
        return;
    int dir = open_scratch();
    struct aq_io_file *file = open_new(io, dir, "data");
    enum { BLOCK = 8192, COUNT = 37 };
    static unsigned char blocks[COUNT][BLOCK];
    struct aq_io_op ops[COUNT];
    done_count = 0;
    /* Backwards, so that files have holes until all of it is there. */
    for (int i = COUNT - 1; i >= 0; i--) {
        memset(blocks[i], i + 1, BLOCK);
        ops[i] = (struct aq_io_op){
            .kind = AQ_IO_OP_WRITE_DURABLE,
            .file = file,
            .buffer = blocks[i],
            .size = BLOCK,
            .offset = (uint64_t)i * BLOCK,
            .done = count_done,
        };
        cr_assert_eq(aq_io_submit(io, &ops[i], NULL), AQ_OK);
    }
    cr_assert_eq(done_count, 0, "callbacks run only in aq_io_wait");
    cr_assert_eq(aq_io_in_flight(io), COUNT);
    cr_assert_eq(aq_io_wait(io, COUNT, NULL), AQ_OK);
    cr_assert_eq(done_count, COUNT);
    cr_assert_eq(aq_io_in_flight(io), 0);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(ops[i].status, AQ_OK);
        cr_assert_eq(ops[i].transferred, BLOCK);
    }
    size_t size;
    unsigned char *content = scratch_read(scratch_file("data"), &size);
    cr_assert_eq(size, sizeof blocks);
    cr_assert_eq(memcmp(content, blocks, size), 0);
    free(content);
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

Test(io, writes_in_flight)
{
    each_kind(write_all_in_flight);
}

static void reads_until_the_end(enum aq_io_kind kind)
{
    struct aq_io *io = make(kind, 2);
    if (io == NULL)
        return;
    int dir = open_scratch();
    scratch_write(scratch_file("short"), "0123456789", 10);
    struct aq_io_file *file = NULL;
    cr_assert_eq(aq_io_open(io, dir, "short", AQ_IO_READ, "short", &file, NULL), AQ_OK);
    char buffer[32] = {0};
    struct aq_io_op op = {.kind = AQ_IO_OP_READ,
                          .file = file,
                          .buffer = buffer,
                          .size = 32,
                          .offset = 4,
                          .done = count_done};
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(op.status, AQ_OK);
    cr_assert_eq(op.transferred, 6);
    cr_assert_str_eq(buffer, "456789");
    op.kind = AQ_IO_OP_SYNC;
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(op.status, AQ_OK);
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

Test(io, reads)
{
    each_kind(reads_until_the_end);
}

/* Reading ahead. */

static struct aq_io_op will_read(struct aq_io_file *file, uint64_t offset, size_t size)
{
    return (struct aq_io_op){.kind = AQ_IO_OP_WILL_READ,
                             .file = file,
                             .size = size,
                             .offset = offset,
                             .done = count_done};
}

/* Pages [first, end) of the file that the kernel's cache has. */
static size_t cached_pages(int fd, size_t first, size_t end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char present[64];
    size_t count = 0;
    void *map = mmap(NULL, end * page, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert_neq(map, MAP_FAILED);
    cr_assert_leq(end, sizeof present);
    cr_assert_eq(mincore(map, end * page, present), 0);
    for (size_t i = first; i < end; i++)
        count += present[i] & 1;
    munmap(map, end * page);
    return count;
}

/* What is asked for comes into the cache, and nothing else of the file. It lies where this runs, since file systems in
 * memory do not let go of their pages: where this is one as well, there is nothing to see. */
static void will_read_fills_the_cache(enum aq_io_kind kind)
{
    enum { PAGES = 48, FIRST = 8, END = 24 };
    struct aq_io *io = make(kind, 2);
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (io == NULL || fd < 0)
        return;
    struct aq_io_file *file = NULL;
    cr_assert_eq(aq_io_borrow(io, fd, &file, NULL), AQ_OK);
    off_t page = sysconf(_SC_PAGESIZE);
    for (off_t i = 0; i < PAGES; i++)
        cr_assert_eq(pwrite(fd, "x", 1, i * page + page - 1), 1);
    cr_assert_eq(fsync(fd), 0);
    cr_assert_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    bool evicted = cached_pages(fd, 0, PAGES) == 0;
    struct aq_io_op op = will_read(file, (uint64_t)(FIRST * page), (size_t)((END - FIRST) * page));
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(op.status, AQ_OK, "%s", strerror(op.os_errno));
    cr_assert_eq(op.transferred, 0);
    for (unsigned tries = 0; evicted && cached_pages(fd, FIRST, END) < END - FIRST; tries++) {
        cr_assert_lt(tries, 20000, "%zu pages", cached_pages(fd, FIRST, END));
        usleep(1000);
    }
    if (evicted)
        cr_assert_lt(cached_pages(fd, 0, PAGES), PAGES);
    aq_io_close(file);
    aq_io_destroy(io);
    close(fd);
}

Test(io, will_read_fills_the_cache)
{
    each_kind(will_read_fills_the_cache);
}

/* More of them than may be in flight, beside reads: all finish, each once. */
static void will_reads_among_reads(enum aq_io_kind kind)
{
    enum { COUNT = 40 };
    struct aq_io_op ops[COUNT];
    char bytes[COUNT] = {0};
    struct aq_io *io = make(kind, 4);
    if (io == NULL)
        return;
    int dir = open_scratch();
    scratch_write(scratch_file("data"), "0123456789", 10);
    struct aq_io_file *file = NULL;
    cr_assert_eq(aq_io_open(io, dir, "data", AQ_IO_READ, "data", &file, NULL), AQ_OK);
    done_count = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        ops[i] = will_read(file, i, 100);
        if (i % 3 == 0) {
            ops[i].kind = AQ_IO_OP_READ;
            ops[i].buffer = &bytes[i];
            ops[i].size = 1;
            ops[i].offset = i % 10;
        }
        cr_assert_eq(aq_io_submit(io, &ops[i], NULL), AQ_OK);
    }
    while (aq_io_in_flight(io) > 0)
        cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(done_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        cr_assert_eq(ops[i].status, AQ_OK);
        cr_assert_eq(ops[i].transferred, i % 3 == 0);
        cr_assert_eq(bytes[i], i % 3 == 0 ? '0' + (char)(i % 10) : 0);
    }
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

Test(io, will_reads_among_reads)
{
    each_kind(will_reads_among_reads);
}

/* Of a descriptor that cannot be read ahead, or is none: its errno, and nothing more. A borrowed one stays open. */
static void will_read_fails(enum aq_io_kind kind)
{
    int ends[2];
    struct aq_io *io = make(kind, 2);
    if (io == NULL)
        return;
    cr_assert_eq(pipe(ends), 0);
    struct aq_io_file *file = NULL;
    cr_assert_eq(aq_io_borrow(io, ends[0], &file, NULL), AQ_OK);
    struct aq_io_op op = will_read(file, 0, 10);
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(op.os_errno, ESPIPE);
    aq_io_close(file);
    cr_assert_eq(close(ends[0]), 0);
    close(ends[1]);
    cr_assert_eq(aq_io_borrow(io, ends[0], &file, NULL), AQ_OK);
    op = will_read(file, 0, 10);
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(op.os_errno, EBADF);
    cr_assert_lt(op.status, 0);
    aq_io_close(file);
    aq_io_destroy(io);
}

Test(io, will_read_fails)
{
    each_kind(will_read_fails);
}

/* RLIMIT_FSIZE cuts the write short, then refuses the rest: what was asked for must not be taken
 * for written. */
static void short_write_is_seen(enum aq_io_kind kind)
{
    struct aq_io *io = make(kind, 2);
    if (io == NULL)
        return;
    int dir = open_scratch();
    struct aq_io_file *file = open_new(io, dir, "data");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit limit = {.rlim_cur = 10000, .rlim_max = old.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    static char buffer[16384];
    struct aq_io_op op = {
        .kind = AQ_IO_OP_WRITE_DURABLE,
        .file = file,
        .buffer = buffer,
        .size = sizeof buffer,
        .done = count_done,
    };
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_assert_eq(op.status, AQ_IO);
    cr_assert_eq(op.os_errno, EFBIG);
    cr_assert_lt(op.transferred, sizeof buffer);
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

Test(io, short_write)
{
    each_kind(short_write_is_seen);
}

static void failed_write_names_errno(enum aq_io_kind kind)
{
    struct aq_io *io = make(kind, 2);
    if (io == NULL)
        return;
    int dir = open_scratch();
    scratch_write(scratch_file("read-only"), "x", 1);
    struct aq_io_file *file = NULL;
    cr_assert_eq(aq_io_open(io, dir, "read-only", AQ_IO_READ, "read-only", &file, NULL), AQ_OK);
    struct aq_io_op op = {.kind = AQ_IO_OP_WRITE_DURABLE,
                          .file = file,
                          .buffer = "abc",
                          .size = 3,
                          .done = count_done};
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(op.status, AQ_IO);
    cr_assert_eq(op.os_errno, EBADF);
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

Test(io, failed_write)
{
    each_kind(failed_write_names_errno);
}

/* Operations whose callbacks submit the next ones: how a writer keeps its depth. */
struct relay {
    struct aq_io *io;
    unsigned next; /* block to write */
    pthread_t owner;
    bool elsewhere; /* a callback ran in another thread */
};

enum { RELAY_BLOCKS = 300, RELAY_BYTES = 700 };

static void fill_block(struct aq_io_op *op, unsigned number)
{
    memset(op->buffer, (int)(number % 251) + 1, RELAY_BYTES);
    op->offset = (uint64_t)number * RELAY_BYTES;
}

static void write_next(struct aq_io_op *op)
{
    struct relay *relay = op->user;
    relay->elsewhere |= !pthread_equal(relay->owner, pthread_self());
    cr_assert_eq(op->status, AQ_OK);
    cr_assert_eq(op->transferred, RELAY_BYTES);
    if (relay->next == RELAY_BLOCKS)
        return;
    fill_block(op, relay->next++);
    cr_assert_eq(aq_io_submit(relay->io, op, NULL), AQ_OK);
}

static void callbacks_go_on(enum aq_io_kind kind)
{
    enum { DEPTH = 6 };
    static unsigned char buffers[DEPTH][RELAY_BYTES];
    struct aq_io_op ops[DEPTH];
    struct relay relay = {.io = make(kind, DEPTH), .owner = pthread_self()};
    if (relay.io == NULL)
        return;
    int dir = open_scratch();
    struct aq_io_file *file = open_new(relay.io, dir, "data");
    while (relay.next < DEPTH) {
        struct aq_io_op *op = &ops[relay.next];
        *op = (struct aq_io_op){.kind = AQ_IO_OP_WRITE_DURABLE,
                                .file = file,
                                .buffer = buffers[relay.next],
                                .size = RELAY_BYTES,
                                .done = write_next,
                                .user = &relay};
        fill_block(op, relay.next++);
        cr_assert_eq(aq_io_submit(relay.io, op, NULL), AQ_OK);
    }
    while (aq_io_in_flight(relay.io) > 0)
        cr_assert_eq(aq_io_wait(relay.io, 1, NULL), AQ_OK);
    cr_assert_not(relay.elsewhere, "a callback ran outside of aq_io_wait");
    size_t size;
    unsigned char *content = scratch_read(scratch_file("data"), &size);
    cr_assert_eq(size, RELAY_BLOCKS * RELAY_BYTES);
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(content[i], i / RELAY_BYTES % 251 + 1, "byte %zu", i);
    free(content);
    aq_io_close(file);
    aq_io_destroy(relay.io);
    close(dir);
}

Test(io, callbacks_submit_again)
{
    each_kind(callbacks_go_on);
}

enum { BLOCK_COUNT = 12 };

static void write_block(struct aq_io *io, struct aq_io_file *file, struct aq_io_op *op,
                        unsigned char *blocks, unsigned number)
{
    *op = (struct aq_io_op){.kind = AQ_IO_OP_WRITE_DURABLE,
                            .file = file,
                            .buffer = blocks + (size_t)number * AQ_IO_BLOCK_BYTES,
                            .size = AQ_IO_BLOCK_BYTES,
                            .offset = (uint64_t)number * AQ_IO_BLOCK_BYTES,
                            .done = count_done};
    cr_assert_eq(aq_io_submit(io, op, NULL), AQ_OK);
}

/* Blocks past the cache into zeros, and others through it beside them: a reader sees all of them. */
static void direct_beside_cached(enum aq_io_kind kind)
{
    struct aq_io *io = make(kind, 4);
    struct aq_io_file *direct = NULL;
    struct aq_io_op ops[BLOCK_COUNT];
    if (io == NULL)
        return;
    int dir = open_scratch();
    struct aq_io_file *file = open_new(io, dir, "data");
    cr_assert_eq(ftruncate(aq_io_file_fd(file), BLOCK_COUNT * AQ_IO_BLOCK_BYTES), 0);
    struct aq_error err = {0};
    if (aq_io_open_direct(io, file, "data", &direct, &err) == AQ_OK) {
        unsigned char *blocks = aligned_alloc(AQ_IO_BLOCK_BYTES, BLOCK_COUNT * AQ_IO_BLOCK_BYTES);
        for (size_t i = 0; i < BLOCK_COUNT * AQ_IO_BLOCK_BYTES; i++)
            blocks[i] = (unsigned char)(i / 7 + i / AQ_IO_BLOCK_BYTES);
        for (unsigned i = 0; i < BLOCK_COUNT; i++)
            write_block(io, i % 3 == 2 ? file : direct, &ops[i], blocks, i);
        cr_assert_eq(aq_io_wait(io, BLOCK_COUNT, NULL), AQ_OK);
        for (unsigned i = 0; i < BLOCK_COUNT; i++)
            cr_assert_eq(ops[i].status, AQ_OK, "block %u: %s", i, strerror(ops[i].os_errno));
        size_t size;
        unsigned char *content = scratch_read(scratch_file("data"), &size);
        cr_assert_eq(size, BLOCK_COUNT * AQ_IO_BLOCK_BYTES);
        cr_assert_eq(memcmp(content, blocks, size), 0);
        free(content);
        free(blocks);
    } else { /* not every file system has such writes, and one that has none says so */
        cr_assert_str_eq(err.path, "data");
    }
    aq_io_close(direct);
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

Test(io, direct_writes)
{
    each_kind(direct_beside_cached);
}

static struct aq_io_file *open_unnamed(struct aq_io *io, int dir)
{
    struct aq_io_file *file = NULL;
    struct aq_error err = {0};
    enum aq_status status =
        aq_io_open(io, dir, ".", AQ_IO_WRITE | AQ_IO_UNNAMED, "unnamed", &file, &err);
    cr_assert_eq(status, AQ_OK, "%s", err.message);
    return file;
}

/* A file without a name vanishes, or gets one that nobody has. */
static void unnamed_until_named(enum aq_io_kind kind)
{
    struct aq_io *io = make(kind, 2);
    if (io == NULL)
        return;
    int dir = open_scratch();
    aq_io_close(open_unnamed(io, dir));
    scratch_write(scratch_file("taken"), "x", 1);
    struct aq_io_file *file = open_unnamed(io, dir);
    struct aq_io_op op = {.kind = AQ_IO_OP_WRITE_DURABLE,
                          .file = file,
                          .buffer = "abc",
                          .size = 3,
                          .done = count_done};
    cr_assert_eq(aq_io_submit(io, &op, NULL), AQ_OK);
    cr_assert_eq(aq_io_wait(io, 1, NULL), AQ_OK);
    cr_assert_eq(aq_io_name(file, dir, "taken", "taken", NULL), AQ_EXISTS);
    cr_assert_eq(aq_io_name(file, dir, "mine", "mine", NULL), AQ_OK);
    size_t size;
    unsigned char *content = scratch_read(scratch_file("mine"), &size);
    cr_assert_eq(size, 3);
    cr_assert_eq(memcmp(content, "abc", 3), 0);
    free(content);
    aq_io_close(file);
    aq_io_destroy(io);
    close(dir);
}

Test(io, unnamed_files)
{
    each_kind(unnamed_until_named);
}

Test(io, names_stay_beneath)
{
    struct aq_io *io = make(AQ_IO_POSIX, 1);
    int dir = open_scratch();
    cr_assert_eq(mkdirat(dir, "inner", 0755), 0);
    scratch_write(scratch_file("secret"), "s", 1);
    cr_assert_eq(symlinkat("../secret", dir, "inner/link"), 0);
    int inner = openat(dir, "inner", O_RDONLY | O_DIRECTORY);
    const char *const names[] = {"../secret", "/etc/passwd", "link", "a/../../secret"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct aq_io_file *file = NULL;
        cr_assert_lt(aq_io_open(io, inner, names[i], AQ_IO_READ, names[i], &file, NULL), 0, "%s",
                     names[i]);
    }
    close(inner);
    close(dir);
    aq_io_destroy(io);
}

Test(io, locks_and_existing_files)
{
    struct aq_io *io = make(AQ_IO_POSIX, 1);
    int dir = open_scratch();
    struct aq_io_file *file = open_new(io, dir, "data");
    struct aq_io_file *second = NULL;
    struct aq_error err = {0};
    unsigned flags = AQ_IO_WRITE | AQ_IO_LOCK;
    cr_assert_eq(aq_io_open(io, dir, "data", flags, "data", &second, &err), AQ_CONFLICT);
    cr_assert_eq(aq_io_open(io, dir, "data", flags | AQ_IO_CREATE_NEW, "data", &second, &err),
                 AQ_EXISTS);
    aq_io_close(file);
    cr_assert_eq(aq_io_open(io, dir, "data", flags, "data", &second, &err), AQ_OK);
    aq_io_close(second);
    aq_io_destroy(io);
    close(dir);
}

Test(io, auto_takes_what_there_is)
{
    struct aq_io *io = NULL;
    char notice[256] = "unset";
    cr_assert_eq(aq_io_create(AQ_IO_AUTO, 4, &io, notice, sizeof notice, NULL), AQ_OK);
    if (aq_io_kind_of(io) == AQ_IO_URING)
        cr_assert_str_eq(notice, "");
    else
        cr_assert_not_null(strstr(notice, "io_uring"));
    aq_io_destroy(io);
}

Test(io, exact_read_past_the_end_is_corrupt)
{
    int dir = open_scratch();
    (void)dir;
    scratch_write(scratch_file("ten"), "0123456789", 10);
    int fd = open(scratch_file("ten"), O_RDONLY);
    char buffer[8];
    struct aq_error err = {0};
    cr_assert_eq(aq_io_pread_exact(fd, "ten", 2, buffer, 8, &err), AQ_OK);
    cr_assert_eq(memcmp(buffer, "23456789", 8), 0);
    cr_assert_eq(aq_io_pread_exact(fd, "ten", 3, buffer, 8, &err), AQ_CORRUPT);
    cr_assert_eq(err.offset, 10);
    cr_assert_str_eq(err.path, "ten");
    close(fd);
    close(dir);
}
