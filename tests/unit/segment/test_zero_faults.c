/* Zeroing ahead on a disk that fails there, and only there: frames go on, none is lost, and the store tells. The C library's
 * calls that write zeros and make them durable are replaced by ones that fail when the test says so; frames are
 * written by others. */
#include "engine/store/store_internal.h"
#include "tests/unit/store/numbers.h"

#include <errno.h>
#include <sys/syscall.h>

#define SEGMENT_BYTES ((uint64_t)256 << 10)
enum { FRAME_ROWS = 10, SEGMENTS = 3 };

static struct {
    int write_errno; /* 0: does not fail */
    int sync_errno;
    atomic_int good_count; /* calls that go well before */
    atomic_int failed_count;
} fault;

static _Thread_local int zeroed_fd = -1; /* written to last */

/* A block of zeros at the beginning of a file is a page that is made, for what is published. */
static bool are_zeros(const uint8_t *bytes, size_t size, off_t offset)
{
    return size + (size_t)offset > AQ_IO_BLOCK_BYTES && size >= AQ_IO_BLOCK_BYTES &&
           bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static bool fails(int os_errno)
{
    if (os_errno == 0 || atomic_fetch_sub(&fault.good_count, 1) > 0)
        return false;
    atomic_fetch_add(&fault.failed_count, 1);
    errno = os_errno;
    return true;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (are_zeros(bytes, size, offset)) {
        zeroed_fd = fd;
        if (fails(fault.write_errno))
            return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int fdatasync(int fd)
{
    bool zeros = fd == zeroed_fd;
    zeroed_fd = -1;
    return zeros && fails(fault.sync_errno) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static off_t size_of_segment(uint64_t file_id)
{
    struct stat info;
    cr_assert_eq(stat(numbers_segment(file_id), &info), 0);
    return info.st_size;
}

static void check_sizes(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    cr_assert_geq(catalog->file_count, SEGMENTS);
    for (size_t i = 0; i < catalog->file_count; i++)
        cr_assert_eq((uint64_t)size_of_segment(catalog->files[i].file_id),
                     catalog->files[i].file_bytes, "segment %zu", i);
    aq_catalog_release(catalog);
}

static void check_notice(struct aq_store *store, int os_errno)
{
    char notice[512] = "";
    cr_assert_geq(aq_store_zero_failure_count(store), 1);
    cr_assert(aq_store_zero_notice(store, notice, sizeof notice));
    cr_assert_not_null(strstr(notice, strerror(os_errno)), "%s", notice);
    cr_assert_not_null(strstr(notice, "home"), "%s", notice);
    cr_assert_not(aq_store_zero_notice(store, notice, sizeof notice), "told once");
}

/* Several segments, whose zeros fail after `good_count` calls. */
static void write_on(enum aq_io_kind io, int write_errno, int sync_errno, int good_count)
{
    struct aq_io *probe = NULL;
    if (aq_io_create(io, 1, &probe, NULL, 0, NULL) != AQ_OK)
        return;
    aq_io_destroy(probe);
    scratch_make();
    struct numbers numbers = {.io = io, .segment_size = SEGMENT_BYTES};
    struct aq_error err = {0};
    numbers_begin(&numbers);
    atomic_store(&numbers.store->write_method, AQ_WRITE_DIRECT);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    fault.write_errno = write_errno;
    fault.sync_errno = sync_errno;
    atomic_store(&fault.good_count, good_count);
    while (aq_shard_writer_count(numbers.writer).bytes_written < SEGMENTS * SEGMENT_BYTES)
        cr_assert_eq(numbers_append(&numbers, FRAME_ROWS, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_shard_writer_flush(numbers.writer, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(numbers.acked, numbers.next);
    cr_assert_eq(numbers_in(numbers.store), numbers.next, "readable beside the writer");
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, &err), AQ_OK, "%s", err.message);
    check_notice(numbers.store, write_errno != 0 ? write_errno : sync_errno);
    cr_assert_geq(atomic_load(&fault.failed_count), 1);
    cr_assert_leq(atomic_load(&fault.failed_count), 4 * SEGMENTS, "it is tried again and again");
    check_sizes(numbers.store);
    cr_assert_eq(numbers_in(numbers.store), numbers.next);
    numbers_end(&numbers);
    scratch_remove();
    atomic_store(&fault.failed_count, 0);
}

static void fail_zeros(enum aq_io_kind io)
{
    for (int good_count = 0; good_count < 4; good_count++) {
        write_on(io, EIO, 0, good_count);
        write_on(io, 0, EIO, good_count);
    }
    write_on(io, ENOSPC, 0, 1);
    write_on(io, 0, ENOSPC, 1);
}

Test(zero_faults, beside_uring)
{
    fail_zeros(AQ_IO_URING);
}

Test(zero_faults, beside_posix)
{
    fail_zeros(AQ_IO_POSIX);
}

Test(zero_faults, simulated)
{
    fail_zeros(AQ_IO_SIM);
}
