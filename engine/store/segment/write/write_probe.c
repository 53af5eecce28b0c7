/* How frames are best written.
 *
 * Happy path: a file without a name, zeroed as segments are; the same writes one way and the other in turns,
 * each timed, of which the quickest counts: whatever else the machine does makes one look slow now and then.
 * Failures: no such files here, no writes past the cache, no room: through the cache it is. */
#include "engine/store/segment/write/write_probe.h"

#include "engine/base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_BYTES ((size_t)32 << 10)
#define WRITE_COUNT 16
#define TURNS 3
#define FILE_BYTES (WRITE_BYTES * WRITE_COUNT)

struct probe {
    struct aq_store *store;
    struct aq_io *io;
    struct aq_io_file *file;
    struct aq_io_file *direct;
    uint8_t *bytes; /* FILE_BYTES, aligned */
};

static void write_done(struct aq_io_op *op)
{
    (void)op;
}

/* Microseconds, or -1. */
static int64_t measure(const struct probe *probe, struct aq_io_file *file)
{
    struct aq_io_op ops[WRITE_COUNT];
    bool failed = false;
    int64_t begin_us = aq_clock_us();
    for (size_t i = 0; i < WRITE_COUNT && !failed; i++) {
        ops[i] = (struct aq_io_op){.kind = AQ_IO_OP_WRITE_DURABLE,
                                   .file = file,
                                   .buffer = probe->bytes + i * WRITE_BYTES,
                                   .size = WRITE_BYTES,
                                   .offset = i * WRITE_BYTES,
                                   .done = write_done};
        failed = aq_io_submit(probe->io, &ops[i], NULL) < 0;
    }
    while (aq_io_in_flight(probe->io) > 0) {
        if (aq_io_wait(probe->io, 1, NULL) < 0)
            return -1;
    }
    int64_t taken_us = aq_clock_us() - begin_us;
    for (size_t i = 0; i < WRITE_COUNT && !failed; i++)
        failed = ops[i].status < 0;
    return failed ? -1 : taken_us;
}

/* A failure stays one. */
static int64_t quicker(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static bool open_files(struct probe *probe, unsigned depth)
{
    int home_fd = probe->store->home_fd;
    void *bytes = NULL;
    if (posix_memalign(&bytes, AQ_IO_BLOCK_BYTES, FILE_BYTES) != 0)
        return false;
    probe->bytes = bytes;
    memset(probe->bytes, 0, FILE_BYTES);
    if (aq_io_create(probe->store->io, depth, &probe->io, NULL, 0, NULL) < 0 ||
        aq_io_open(probe->io, home_fd, "segments", AQ_IO_WRITE | AQ_IO_UNNAMED, "segments",
                   &probe->file, NULL) < 0 ||
        aq_io_open_direct(probe->io, probe->file, "segments", &probe->direct, NULL) < 0)
        return false;
    int fd = aq_io_file_fd(probe->file);
    return pwrite(fd, probe->bytes, FILE_BYTES, 0) == (ssize_t)FILE_BYTES && fdatasync(fd) == 0;
}

static enum aq_write_method probe_disk(struct aq_store *store, unsigned depth)
{
    struct probe probe = {.store = store};
    bool better = false;
    if (open_files(&probe, depth)) {
        int64_t direct_us = INT64_MAX;
        int64_t cached_us = INT64_MAX;
        for (int turn = 0; turn < TURNS && direct_us >= 0; turn++) {
            direct_us = quicker(direct_us, measure(&probe, probe.direct));
            cached_us = quicker(cached_us, measure(&probe, probe.file));
        }
        better = direct_us >= 0 && (cached_us < 0 || direct_us < cached_us);
    }
    if (probe.io != NULL && aq_io_in_flight(probe.io) > 0)
        return AQ_WRITE_CACHED; /* the kernel does not give back what it was lent */
    aq_io_close(probe.direct);
    aq_io_close(probe.file);
    if (probe.io != NULL)
        aq_io_destroy(probe.io);
    free(probe.bytes);
    return better ? AQ_WRITE_DIRECT : AQ_WRITE_CACHED;
}

void aq_write_probe(struct aq_store *store, unsigned depth)
{
    if (aq_store_write_method(store) == AQ_WRITE_UNKNOWN)
        atomic_store(&store->write_method, (int)probe_disk(store, depth));
}
