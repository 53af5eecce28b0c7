/* The write path: durable in order, acked, rolled, sealed; what a failure leaves. */
#include "tests/unit/store/numbers.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void write_and_read(enum aq_io_kind io)
{
    struct aq_io *probe = NULL;
    if (aq_io_create(io, 1, &probe, NULL, 0, NULL) != AQ_OK)
        return;
    aq_io_destroy(probe);
    scratch_make();
    struct numbers numbers = {.io = io};
    numbers_begin(&numbers);
    cr_assert_eq(aq_store_io_kind(numbers.store), io);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    for (int i = 0; i < 40; i++)
        cr_assert_eq(numbers_append(&numbers, 25, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers.acked, 1000);
    cr_assert_eq(numbers_in(numbers.store), 1000, "a reader beside the writer");
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), 1000);
    struct aq_shard_writer_counters counters = aq_shard_writer_count(numbers.writer);
    cr_assert_eq(counters.frame_count, 40);
    cr_assert_eq(counters.segment_count, 1);
    numbers_end(&numbers);
    struct aq_store *store = numbers_store(false, io);
    cr_assert_eq(numbers_in(store), 1000);
    aq_store_close(store);
}

Test(shard_writer, through_uring)
{
    write_and_read(AQ_IO_URING);
}

Test(shard_writer, through_posix)
{
    write_and_read(AQ_IO_POSIX);
}

Test(shard_writer, close_says_what_is_in_the_segment)
{
    scratch_make();
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(numbers.store, false, &catalog, NULL), AQ_OK);
    cr_assert_eq(catalog->file_count, 1);
    const struct aq_catalog_file *file = &catalog->files[0];
    cr_assert_eq(file->state, AQ_FILE_CLOSED);
    cr_assert_eq(file->frame_count, 4);
    cr_assert_eq(file->entry_count, 1);
    cr_assert_eq(file->entries[0].row_count, 40);
    cr_assert_eq(file->entries[0].min_time_us, number_time(0));
    cr_assert_eq(file->entries[0].max_time_us, number_time(39));
    size_t size;
    free(scratch_read(numbers_segment(file->file_id), &size));
    cr_assert_eq(size, file->file_bytes);
    const struct aq_feed_position *position = &catalog->feeds[0].position;
    cr_assert_eq(position->next_ordinal, 40);
    cr_assert_eq(position->next_offset, 400);
    cr_assert_eq(position->row_count, 40);
    aq_catalog_release(catalog);
    /* The page is gone with the open segment. */
    cr_assert_eq(access(scratch_file("home/segments/00000000000000000001.pub"), F_OK), -1);
    numbers_end(&numbers);
}

Test(shard_writer, rolls_and_goes_on)
{
    scratch_make();
    struct numbers numbers = {.segment_size = 4096};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    for (int i = 0; i < 60; i++)
        cr_assert_eq(numbers_append(&numbers, 20, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), numbers.acked);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_gt(aq_shard_writer_count(numbers.writer).segment_count, 3);
    cr_assert_eq(numbers_in(numbers.store), 1200);
    /* A second life of the feed. */
    numbers_end(&numbers);
    numbers = (struct numbers){0};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(numbers.next, 1200);
    cr_assert_eq(numbers_append(&numbers, 5, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), 1205);
    numbers_end(&numbers);
}

Test(shard_writer, an_empty_segment_leaves_nothing)
{
    scratch_make();
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(numbers.store, false, &catalog, NULL), AQ_OK);
    cr_assert_eq(catalog->file_count, 0);
    aq_catalog_release(catalog);
    cr_assert_eq(numbers_in(numbers.store), 0);
    cr_assert_eq(numbers_append(&numbers, 3, NULL), AQ_OK, "and the writer goes on");
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), 3);
    numbers_end(&numbers);
}

Test(shard_writer, one_feed_has_one_writer)
{
    scratch_make();
    struct numbers first = {0};
    numbers_begin(&first);
    cr_assert_eq(numbers_claim(&first, NULL), AQ_OK);
    cr_assert_eq(numbers_append(&first, 10, NULL), AQ_OK);
    struct numbers second = {0};
    struct aq_error err = {0};
    numbers_begin(&second);
    cr_assert_eq(numbers_claim(&second, &err), AQ_CONFLICT);
    cr_assert_not_null(strstr(err.message, "numbers"), "%s", err.message);
    numbers_end(&second);
    cr_assert_eq(aq_shard_writer_seal(first.writer, NULL), AQ_OK);
    /* Now it is free, and the first writer is the one that comes too late. */
    second = (struct numbers){0};
    numbers_begin(&second);
    cr_assert_eq(numbers_claim(&second, &err), AQ_OK);
    cr_assert_eq(numbers_append(&second, 10, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(second.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_append(&first, 10, &err), AQ_CONFLICT);
    cr_assert_eq(numbers_append(&first, 10, &err), AQ_CONFLICT, "a dead writer stays dead");
    cr_assert_eq(numbers_in(second.store), 20);
    numbers_end(&first);
    numbers_end(&second);
}

/* Recovery took the segment for a dead writer's, between the edit and the file: another one is opened. */
Test(shard_writer, a_taken_segment_is_left_to_recovery)
{
    scratch_make();
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    scratch_write(numbers_segment(1), "", 0);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(access(numbers_segment(2), F_OK), 0);
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(numbers.store, &report, NULL), AQ_OK);
    cr_assert_eq(report.segment_count, 1, "the taken one; the living one is left alone");
    cr_assert_eq(report.frame_count, 0);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), 10);
    numbers_end(&numbers);
}

/* Writes fail in the middle: the acked rows are there, at once and after recovery. */
static void fail_writes(enum aq_io_kind io)
{
    struct aq_io *probe = NULL;
    if (aq_io_create(io, 1, &probe, NULL, 0, NULL) != AQ_OK)
        return;
    aq_io_destroy(probe);
    scratch_make();
    struct numbers numbers = {.io = io};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit limit = {.rlim_cur = 20000, .rlim_max = old.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct aq_error err = {0};
    enum aq_status status = AQ_OK;
    while (status == AQ_OK && numbers.next < 100000)
        status = numbers_append(&numbers, 50, &err);
    cr_assert_eq(status, AQ_IO);
    cr_assert_not_null(strstr(err.path, ".seg"), "%s", err.path);
    int64_t acked = numbers.acked;
    cr_assert_gt(acked, 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    numbers_end(&numbers);
    struct aq_store *store = numbers_store(false, io);
    int64_t before = numbers_in(store);
    cr_assert_geq(before, acked);
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(store, &report, NULL), AQ_OK);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(numbers_in(store), before);
    aq_store_close(store);
}

Test(shard_writer, failed_writes_through_uring)
{
    fail_writes(AQ_IO_URING);
}

Test(shard_writer, failed_writes_through_posix)
{
    fail_writes(AQ_IO_POSIX);
}

/* A file system of `size` bytes at "home", for this test's process alone; false where that is not allowed. */
static bool small_disk(const char *size)
{
    char options[32];
    snprintf(options, sizeof options, "size=%s", size);
    cr_assert_eq(mkdir(scratch_file("home"), 0755), 0);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", scratch_file("home"), "tmpfs", 0, options) == 0;
}

Test(shard_writer, full_while_the_disk_is_busy)
{
    scratch_make();
    struct numbers numbers = {.io = AQ_IO_SIM, .depth = 2};
    unsigned full_count = 0;
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_not(aq_shard_writer_is_full(numbers.writer), "nothing is written yet");
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
        int64_t acked = numbers.acked;
        bool full = aq_shard_writer_is_full(numbers.writer);
        cr_assert_geq(numbers.acked, acked);
        cr_assert_eq(full, numbers.next - numbers.acked == 20);
        full_count += full;
    }
    cr_assert(full_count > 0 && full_count < 100, "%u", full_count);
    cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
    cr_assert_not(aq_shard_writer_is_full(numbers.writer));
    numbers_end(&numbers);
}

static void fill_disk(enum aq_io_kind io)
{
    scratch_make();
    struct aq_io *probe = NULL;
    if (aq_io_create(io, 1, &probe, NULL, 0, NULL) != AQ_OK)
        return;
    aq_io_destroy(probe);
    if (!small_disk("1m"))
        return;
    struct numbers numbers = {.io = io, .segment_size = 100000};
    struct aq_error err = {0};
    enum aq_status status = AQ_OK;
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    while (status == AQ_OK && numbers.next < 1000000)
        status = numbers_append(&numbers, 20, &err);
    cr_assert_eq(status, AQ_DISK_FULL, "%s", err.message);
    cr_assert_not_null(strstr(err.path, "home/"), "%s", err.path);
    int64_t acked = numbers.acked;
    cr_assert_gt(acked, 0);
    numbers_end(&numbers);
    /* Readable on the full disk. */
    struct aq_store *store = numbers_store(false, io);
    int64_t count = numbers_in(store);
    cr_assert_geq(count, acked);
    aq_store_close(store);
    /* With more room it goes on where it stopped. */
    cr_assert_eq(mount("none", scratch_file("home"), "tmpfs", MS_REMOUNT, "size=4m"), 0);
    numbers = (struct numbers){.io = io};
    numbers_begin(&numbers);
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(numbers.store, &report, NULL), AQ_OK);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(numbers.next, count);
    cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), count + 10);
    numbers_end(&numbers);
    cr_assert_eq(umount(scratch_file("home")), 0);
}

Test(shard_writer, full_disk_through_uring)
{
    fill_disk(AQ_IO_URING);
}

Test(shard_writer, full_disk_through_posix)
{
    fill_disk(AQ_IO_POSIX);
}

static void take_every_byte(void)
{
    static const char bytes[4096] = {1};
    int fd = open(scratch_file("home/filler"), O_WRONLY | O_CREAT | O_APPEND, 0644);
    cr_assert_geq(fd, 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        continue;
    cr_assert_eq(errno, ENOSPC);
    close(fd);
}

/* Somebody else has filled the disk: what is durable is closed in the catalog all the same. */
Test(shard_writer, edits_have_room_on_a_full_disk)
{
    scratch_make();
    if (!small_disk("24m"))
        return;
    struct numbers numbers = {0};
    struct aq_error err = {0};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
    take_every_byte();
    enum aq_status status = AQ_OK;
    while (status == AQ_OK)
        status = numbers_append(&numbers, 100, &err);
    cr_assert_eq(status, AQ_DISK_FULL, "%s", err.message);
    int64_t acked = numbers.acked;
    numbers_end(&numbers);
    take_every_byte();
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    cr_assert_geq(numbers_in(store), acked, "readable on the full disk");
    struct aq_recovery_report report;
    status = aq_store_recover(store, &report, &err);
    cr_assert_eq(status, AQ_OK, "%s", err.message);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_geq(numbers_in(store), acked);
    aq_store_close(store);
    /* With room again there is a reserve again. */
    struct stat info;
    cr_assert_eq(stat(scratch_file("home/locks/reserve"), &info), 0);
    cr_assert_eq(info.st_size, 0);
    cr_assert_eq(unlink(scratch_file("home/filler")), 0);
    numbers = (struct numbers){0};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(stat(scratch_file("home/locks/reserve"), &info), 0);
    cr_assert_gt(info.st_size, 0);
    numbers_end(&numbers);
    cr_assert_eq(umount(scratch_file("home")), 0);
}

/* A reader in another process sees the count grow and never fall, while segments roll. */
Test(shard_writer, reader_beside_the_writer)
{
    scratch_make();
    struct numbers numbers = {.segment_size = 30000};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    pid_t reader = scratch_fork();
    if (reader == 0) {
        struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
        int64_t last = 0;
        while (last < 4000) {
            int64_t now = numbers_in(store);
            if (now < last)
                _exit(1);
            last = now;
        }
        _exit(0);
    }
    for (int i = 0; i < 400; i++)
        cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    int result;
    cr_assert_eq(waitpid(reader, &result, 0), reader);
    cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    numbers_end(&numbers);
}
