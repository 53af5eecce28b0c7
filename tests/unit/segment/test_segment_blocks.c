/* Blocks zeroed ahead, frames written past the cache: what is in the file, and what a crash leaves of it. */
#include "engine/store/store_internal.h"
#include "tests/unit/store/numbers.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define SEGMENT_BYTES ((uint64_t)256 << 10)
enum { FRAME_ROWS = 10 };

static bool has_io(enum aq_io_kind io)
{
    struct aq_io *probe = NULL;
    if (aq_io_create(io, 1, &probe, NULL, 0, NULL) != AQ_OK)
        return false;
    aq_io_destroy(probe);
    return true;
}

static void begin(struct numbers *numbers, enum aq_io_kind io, enum aq_write_method method)
{
    *numbers = (struct numbers){.io = io, .segment_size = SEGMENT_BYTES};
    numbers_begin(numbers);
    atomic_store(&numbers->store->write_method, (int)method);
    cr_assert_eq(numbers_claim(numbers, NULL), AQ_OK);
}

static void append_until(struct numbers *numbers, uint64_t bytes)
{
    while (aq_shard_writer_count(numbers->writer).bytes_written < bytes)
        cr_assert_eq(numbers_append(numbers, FRAME_ROWS, NULL), AQ_OK);
}

static off_t size_of_segment(uint64_t file_id)
{
    char name[64];
    struct stat info;
    snprintf(name, sizeof name, "home/segments/%020llu.seg", (unsigned long long)file_id);
    cr_assert_eq(stat(scratch_file(name), &info), 0, "%s", name);
    return info.st_size;
}

/* No file is longer than the catalog says. */
static size_t check_sizes(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        uint64_t bytes = file->file_bytes > 0 ? file->file_bytes : file->size_bytes;
        cr_assert_eq((uint64_t)size_of_segment(file->file_id), bytes, "segment %zu", i);
    }
    size_t count = catalog->file_count;
    aq_catalog_release(catalog);
    return count;
}

static void roll_segments(enum aq_io_kind io, enum aq_write_method method)
{
    struct numbers numbers;
    if (!has_io(io))
        return;
    scratch_make();
    begin(&numbers, io, method);
    append_until(&numbers, 3 * SEGMENT_BYTES);
    cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), numbers.next, "readable beside the writer");
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    struct aq_shard_writer_counters counters = aq_shard_writer_count(numbers.writer);
    /* Which frames meet another in flight is the disk's affair, except on the simulated one. */
    if (method == AQ_WRITE_CACHED)
        cr_assert_eq(counters.direct_frame_count, 0);
    if (io == AQ_IO_SIM)
        cr_assert_gt(counters.direct_frame_count, counters.frame_count / 4);
    cr_assert_geq(check_sizes(numbers.store), 3);
    cr_assert_eq(numbers_in(numbers.store), numbers.next);
    numbers_end(&numbers);
}

Test(segment_blocks, past_the_cache_through_uring)
{
    roll_segments(AQ_IO_URING, AQ_WRITE_DIRECT);
}

Test(segment_blocks, past_the_cache_through_posix)
{
    roll_segments(AQ_IO_POSIX, AQ_WRITE_DIRECT);
}

Test(segment_blocks, past_the_cache_simulated)
{
    roll_segments(AQ_IO_SIM, AQ_WRITE_DIRECT);
}

Test(segment_blocks, through_the_cache)
{
    roll_segments(AQ_IO_POSIX, AQ_WRITE_CACHED);
}

/* The probe decides by time: either way is right. */
Test(segment_blocks, as_the_probe_says)
{
    struct numbers numbers;
    scratch_make();
    begin(&numbers, AQ_IO_POSIX, AQ_WRITE_UNKNOWN);
    append_until(&numbers, 2 * SEGMENT_BYTES);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_neq(aq_store_write_method(numbers.store), AQ_WRITE_UNKNOWN);
    check_sizes(numbers.store);
    cr_assert_eq(numbers_in(numbers.store), numbers.next);
    numbers_end(&numbers);
}

/* A few rows take no more of the disk than they need, and ask it nothing. */
Test(segment_blocks, small_segments_stay_small)
{
    struct numbers numbers;
    scratch_make();
    begin(&numbers, AQ_IO_POSIX, AQ_WRITE_UNKNOWN);
    cr_assert_eq(numbers_append(&numbers, FRAME_ROWS, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
    cr_assert_lt(size_of_segment(1), AQ_IO_BLOCK_BYTES);
    cr_assert_eq(aq_store_write_method(numbers.store), AQ_WRITE_UNKNOWN);
    numbers_end(&numbers);
}

/* A writer that dies with zeros ahead of it, and says how far it got. */
static int64_t crash(enum aq_io_kind io)
{
    int results[2];
    int64_t acked = 0;
    cr_assert_eq(pipe(results), 0);
    pid_t child = scratch_fork();
    if (child == 0) {
        struct numbers numbers;
        begin(&numbers, io, AQ_WRITE_DIRECT);
        append_until(&numbers, SEGMENT_BYTES / 2);
        cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
        cr_assert_eq(write(results[1], &numbers.acked, sizeof numbers.acked), 8);
        _exit(0);
    }
    cr_assert_eq(read(results[0], &acked, sizeof acked), 8);
    int result;
    cr_assert_eq(waitpid(child, &result, 0), child);
    close(results[0]);
    close(results[1]);
    return acked;
}

Test(segment_blocks, zeros_are_no_torn_tail)
{
    scratch_make();
    int64_t acked = crash(AQ_IO_SIM);
    off_t before = size_of_segment(1);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    cr_assert_eq(numbers_in(store), acked, "readable before recovery");
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(store, &report, NULL), AQ_OK);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(report.torn_bytes, 0);
    cr_assert_eq(numbers_in(store), acked);
    cr_assert_eq(check_sizes(store), 1);
    cr_assert_lt(size_of_segment(1), before, "the zeros are gone");
    aq_store_close(store);
}

/* Behind the zeros something that is no frame: that is a torn tail, up to there. */
Test(segment_blocks, a_torn_frame_among_zeros)
{
    scratch_make();
    int64_t acked = crash(AQ_IO_SIM);
    off_t size = size_of_segment(1);
    const char *path = scratch_file("home/segments/00000000000000000001.seg");
    int fd = open(path, O_RDWR);
    char junk[512];
    memset(junk, 7, sizeof junk);
    off_t at = size - 3 * AQ_IO_BLOCK_BYTES;
    cr_assert_eq(pwrite(fd, junk, sizeof junk, at), (ssize_t)sizeof junk);
    close(fd);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(store, &report, NULL), AQ_OK);
    cr_assert_eq(numbers_in(store), acked);
    cr_assert_gt(report.torn_bytes, 0);
    cr_assert_leq(size_of_segment(1), at + (off_t)sizeof junk + AQ_FRAME_ALIGNMENT);
    aq_store_close(store);
}
