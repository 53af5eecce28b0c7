/* What a crash leaves, and what recovery makes of it. A crash is a child process that ends without closing
 * anything; damage is done to its segment afterwards. */
#include "engine/store/catalog/catalog_state.h"
#include "engine/store/segment/publish.h"
#include "engine/store/segment/segment_scan.h"
#include "tests/unit/store/numbers.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SEGMENT "home/segments/00000000000000000001.seg"
#define PAGE "home/segments/00000000000000000001.pub"

enum { FRAMES = 8, FRAME_ROWS = 6, ROWS = FRAMES * FRAME_ROWS };

/* A writer that dies with `frames` acked frames, each of which was durable before the next was made, and says so. */
static void crash_after(unsigned frames)
{
    scratch_make();
    pid_t child = scratch_fork();
    if (child == 0) {
        struct numbers numbers = {0};
        numbers_begin(&numbers);
        cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
        for (unsigned i = 0; i < frames; i++) {
            cr_assert_eq(numbers_append(&numbers, FRAME_ROWS, NULL), AQ_OK);
            cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
        }
        _exit(0);
    }
    int result;
    cr_assert_eq(waitpid(child, &result, 0), child);
    cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

static struct aq_recovery_report recover_ok(struct aq_store *store)
{
    struct aq_recovery_report report;
    struct aq_error err = {0};
    enum aq_status status = aq_store_recover(store, &report, &err);
    cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
    return report;
}

static struct aq_feed_position position_in(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    cr_assert_eq(catalog->feed_count, 1);
    struct aq_feed_position position = catalog->feeds[0].position;
    aq_catalog_release(catalog);
    return position;
}

Test(recovery, keeps_what_was_acked_and_its_position)
{
    crash_after(FRAMES);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    cr_assert_eq(numbers_in(store), ROWS, "readable before recovery");
    cr_assert_eq(position_in(store).next_ordinal, 0);
    struct aq_recovery_report report = recover_ok(store);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(report.frame_count, FRAMES);
    cr_assert_eq(report.row_count, ROWS);
    cr_assert_eq(report.torn_bytes, 0);
    cr_assert_eq(numbers_in(store), ROWS);
    cr_assert_eq(position_in(store).next_ordinal, ROWS);
    cr_assert_eq(position_in(store).row_count, ROWS);
    cr_assert_eq(access(scratch_file(PAGE), F_OK), -1);
    report = recover_ok(store);
    cr_assert_eq(report.segment_count, 0, "there is nothing left to do");
    aq_store_close(store);
    /* The feed goes on behind it. */
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(numbers.next, ROWS);
    cr_assert_eq(numbers_append(&numbers, 2, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), ROWS + 2);
    numbers_end(&numbers);
}

Test(recovery, an_unrecovered_feed_cannot_be_claimed)
{
    crash_after(1);
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    struct aq_error err = {0};
    cr_assert_eq(numbers_claim(&numbers, &err), AQ_CONFLICT);
    numbers_end(&numbers);
}

Test(recovery, a_segment_that_was_never_made)
{
    crash_after(0);
    cr_assert_eq(unlink(scratch_file(SEGMENT)), 0);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    cr_assert_eq(numbers_in(store), 0);
    struct aq_recovery_report report = recover_ok(store);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(report.frame_count, 0);
    cr_assert_eq(numbers_in(store), 0);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    cr_assert_eq(catalog->file_count, 0);
    aq_catalog_release(catalog);
    aq_store_close(store);
}

Test(recovery, a_segment_that_is_gone)
{
    crash_after(1);
    cr_assert_eq(unlink(scratch_file(SEGMENT)), 0);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    struct aq_recovery_report report;
    struct aq_error err = {0};
    int64_t count;
    cr_assert_eq(numbers_count(store, &count, &err), AQ_CORRUPT);
    cr_assert_str_eq(err.path, scratch_file(SEGMENT));
    cr_assert_eq(aq_store_recover(store, &report, &err), AQ_CORRUPT);
    aq_store_close(store);
}

/* How many frames end at or before `size`, and where frame `count` would begin. */
static unsigned whole_frames(const struct aq_segment_index *index, uint64_t size)
{
    unsigned count = 0;
    while (count < index->frame_count &&
           index->frames[count].offset + index->frames[count].size_bytes <= size)
        count++;
    return count;
}

static struct aq_segment_index read_index(void)
{
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    struct aq_segment_file file = {.path = "segment",
                                   .expected = {.store_id = catalog->store_id,
                                                .segment_id = 1,
                                                .epoch = catalog->files[0].epoch}};
    file.fd = open(scratch_file(SEGMENT), O_RDONLY);
    struct stat info;
    cr_assert_eq(fstat(file.fd, &info), 0);
    struct aq_segment_totals totals = {0};
    cr_assert_eq(aq_segment_scan(&file, (uint64_t)info.st_size, true, &totals, NULL), AQ_OK);
    struct aq_segment_index index = totals.index;
    totals.index = (struct aq_segment_index){0};
    aq_segment_totals_deinit(&totals);
    close(file.fd);
    aq_catalog_release(catalog);
    aq_store_close(store);
    return index;
}

/* Every length of the file from its last three frames on, without the page: as after a power cut. */
Test(recovery, truncated_at_every_byte)
{
    crash_after(FRAMES);
    struct aq_segment_index index = read_index();
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(SEGMENT), &size);
    cr_assert_eq(unlink(scratch_file(PAGE)), 0);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    for (size_t length = index.frames[FRAMES - 3].offset; length <= size; length++) {
        scratch_write(scratch_file(SEGMENT), bytes, length);
        cr_assert_eq(numbers_in(store), whole_frames(&index, length) * FRAME_ROWS,
                     "length %zu of %zu", length, size);
    }
    size_t torn = index.frames[FRAMES - 1].offset + 100;
    scratch_write(scratch_file(SEGMENT), bytes, torn);
    struct aq_recovery_report report = recover_ok(store);
    cr_assert_eq(report.frame_count, FRAMES - 1);
    cr_assert_eq(report.torn_bytes, 100);
    cr_assert_eq(numbers_in(store), ROWS - FRAME_ROWS);
    cr_assert_eq(position_in(store).next_ordinal, ROWS - FRAME_ROWS);
    /* What was cut off does not count, even if it comes back. */
    scratch_write(scratch_file(SEGMENT), bytes, size);
    cr_assert_eq(numbers_in(store), ROWS - FRAME_ROWS);
    aq_store_close(store);
    aq_segment_index_deinit(&index);
    free(bytes);
}

/* Every length of the header and of the first frames. */
Test(recovery, truncated_in_the_header)
{
    crash_after(2);
    struct aq_segment_index index = read_index();
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(SEGMENT), &size);
    cr_assert_eq(unlink(scratch_file(PAGE)), 0);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    for (size_t length = 0; length < size; length += 3) {
        scratch_write(scratch_file(SEGMENT), bytes, length);
        cr_assert_eq(numbers_in(store), whole_frames(&index, length) * FRAME_ROWS);
    }
    aq_store_close(store);
    aq_segment_index_deinit(&index);
    free(bytes);
}

/* With the page, the same truncations are losses of what was durable. */
Test(recovery, truncated_below_what_was_published)
{
    crash_after(FRAMES);
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(SEGMENT), &size);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    for (size_t length = 0; length < size; length += 32) {
        scratch_write(scratch_file(SEGMENT), bytes, length);
        struct aq_error err = {0};
        int64_t count;
        cr_assert_eq(numbers_count(store, &count, &err), AQ_CORRUPT, "length %zu", length);
        cr_assert_str_eq(err.path, scratch_file(SEGMENT));
        cr_assert_geq(err.offset, 0);
        struct aq_recovery_report report;
        cr_assert_eq(aq_store_recover(store, &report, &err), AQ_CORRUPT);
    }
    scratch_write(scratch_file(SEGMENT), bytes, size);
    cr_assert_eq(numbers_in(store), ROWS, "and nothing was changed by trying");
    recover_ok(store);
    aq_store_close(store);
    free(bytes);
}

/* One bit flipped at a time. With the page every flip is found; without it every flip but in the last
 * frame, which nothing behind it vouches for: it goes, whole. */
static void flip_bits(bool with_page, size_t step)
{
    crash_after(FRAMES);
    struct aq_segment_index index = read_index();
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(SEGMENT), &size);
    if (!with_page)
        cr_assert_eq(unlink(scratch_file(PAGE)), 0);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    int fd = open(scratch_file(SEGMENT), O_RDWR);
    for (size_t bit = 0; bit < size * 8; bit += step) {
        unsigned char flipped = bytes[bit / 8] ^ (unsigned char)(1u << bit % 8);
        cr_assert_eq(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
        struct aq_error err = {0};
        int64_t count;
        enum aq_status status = numbers_count(store, &count, &err);
        if (!with_page && bit / 8 >= index.frames[FRAMES - 1].offset) {
            cr_assert_eq(status, AQ_OK);
            cr_assert_eq(count, ROWS - FRAME_ROWS);
        } else {
            cr_assert_eq(status, AQ_CORRUPT, "bit %zu", bit);
            cr_assert_str_eq(err.path, scratch_file(SEGMENT));
            cr_assert_geq(err.offset, 0);
            cr_assert_leq(err.offset, (int64_t)size);
        }
        cr_assert_eq(pwrite(fd, &bytes[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    cr_assert_eq(numbers_in(store), ROWS);
    close(fd);
    aq_store_close(store);
    aq_segment_index_deinit(&index);
    free(bytes);
}

Test(recovery, flips_with_the_page)
{
    flip_bits(true, 7);
}

Test(recovery, flips_without_the_page)
{
    flip_bits(false, 11);
}

/* Several frames were in flight: the second of them reached the disk, the first did not. Neither was acked,
 * and the hole is no damage. */
Test(recovery, a_hole_among_frames_in_flight_is_torn)
{
    crash_after(2);
    struct aq_segment_index index = read_index();
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    struct aq_frame_input input = {.store_id = catalog->store_id,
                                   .segment_id = 1,
                                   .epoch = catalog->files[0].epoch,
                                   .sequence = 3,
                                   .previous_checksum = 99,
                                   .durable_count = 2};
    struct aq_bytes frame = {0};
    uint64_t checksum;
    cr_assert_eq(aq_frame_encode(&input, &frame, &checksum, NULL), AQ_OK);
    uint64_t end = aq_segment_index_end(&index);
    int fd = open(scratch_file(SEGMENT), O_RDWR);
    cr_assert_eq(pwrite(fd, frame.data, frame.size, (off_t)(end + 640)), (ssize_t)frame.size);
    cr_assert_eq(numbers_in(store), 2 * FRAME_ROWS);
    /* The same frame, but one that knows of a third durable one. */
    input.durable_count = 3;
    aq_bytes_clear(&frame);
    cr_assert_eq(aq_frame_encode(&input, &frame, &checksum, NULL), AQ_OK);
    cr_assert_eq(pwrite(fd, frame.data, frame.size, (off_t)(end + 640)), (ssize_t)frame.size);
    struct aq_error err = {0};
    int64_t count;
    cr_assert_eq(numbers_count(store, &count, &err), AQ_CORRUPT);
    /* Found also where it crosses from one piece that is searched to the next. */
    cr_assert_eq(ftruncate(fd, (off_t)end), 0);
    off_t far = (off_t)end + (1 << 20) - 64;
    cr_assert_eq(pwrite(fd, frame.data, frame.size, far), (ssize_t)frame.size);
    cr_assert_eq(numbers_count(store, &count, &err), AQ_CORRUPT);
    close(fd);
    aq_bytes_deinit(&frame);
    aq_catalog_release(catalog);
    aq_store_close(store);
    aq_segment_index_deinit(&index);
}

/* Frame `sequence` of segment 1, without rows, behind frame `previous`. */
static struct aq_bytes marker(const struct aq_catalog *catalog, uint64_t sequence,
                              uint64_t previous, uint64_t epoch)
{
    struct aq_frame_input input = {.store_id = catalog->store_id,
                                   .segment_id = 1,
                                   .epoch = epoch,
                                   .sequence = sequence,
                                   .previous_checksum = previous};
    struct aq_bytes frame = {0};
    uint64_t checksum;
    cr_assert_eq(aq_frame_encode(&input, &frame, &checksum, NULL), AQ_OK);
    return frame;
}

/* Whole frames that are not the next ones end the prefix: of another epoch, out of sequence, behind another
 * frame than the last. */
Test(recovery, frames_that_do_not_follow)
{
    crash_after(2);
    struct aq_segment_index index = read_index();
    uint64_t last = index.frames[1].header_checksum;
    uint64_t end = aq_segment_index_end(&index);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    uint64_t epoch = catalog->files[0].epoch;
    struct {
        uint64_t sequence;
        uint64_t previous;
        uint64_t epoch;
        size_t frame_count;
    } cases[] = {
        {2, last, epoch, 3}, {2, last, epoch + 1, 2}, {3, last, epoch, 2}, {2, last + 1, epoch, 2}};
    int fd = open(scratch_file(SEGMENT), O_RDWR);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct aq_bytes frame =
            marker(catalog, cases[i].sequence, cases[i].previous, cases[i].epoch);
        cr_assert_eq(pwrite(fd, frame.data, frame.size, (off_t)end), (ssize_t)frame.size);
        struct aq_segment_file file = {
            .fd = fd,
            .path = "segment",
            .expected = {.store_id = catalog->store_id, .segment_id = 1, .epoch = epoch}};
        struct aq_segment_totals totals = {0};
        uint64_t torn_bytes;
        cr_assert_eq(aq_segment_find_prefix(&file, NULL, &totals, &torn_bytes, NULL), AQ_OK);
        cr_assert_eq(totals.index.frame_count, cases[i].frame_count, "case %zu", i);
        aq_segment_totals_deinit(&totals);
        aq_bytes_deinit(&frame);
    }
    close(fd);
    aq_catalog_release(catalog);
    aq_store_close(store);
    aq_segment_index_deinit(&index);
}

/* A closed segment holds the frames that were closed, not others that are as good. */
Test(recovery, a_closed_segment_is_compared_with_the_catalog)
{
    crash_after(2);
    struct aq_segment_index index = read_index();
    uint64_t end = aq_segment_index_end(&index);
    uint64_t last = index.frames[1].header_checksum;
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    struct aq_bytes frame = marker(catalog, 2, last, catalog->files[0].epoch);
    int fd = open(scratch_file(SEGMENT), O_RDWR);
    cr_assert_eq(pwrite(fd, frame.data, frame.size, (off_t)end), (ssize_t)frame.size);
    cr_assert_eq(recover_ok(store).frame_count, 3);
    cr_assert_eq(numbers_in(store), 2 * FRAME_ROWS);
    /* The same place, length and chain, another content. */
    struct aq_frame_input input = {.store_id = catalog->store_id,
                                   .segment_id = 1,
                                   .epoch = catalog->files[0].epoch,
                                   .sequence = 2,
                                   .previous_checksum = last,
                                   .durable_count = 1};
    uint64_t checksum;
    aq_bytes_clear(&frame);
    cr_assert_eq(aq_frame_encode(&input, &frame, &checksum, NULL), AQ_OK);
    cr_assert_eq(pwrite(fd, frame.data, frame.size, (off_t)end), (ssize_t)frame.size);
    struct aq_error err = {0};
    int64_t count;
    cr_assert_eq(numbers_count(store, &count, &err), AQ_CORRUPT);
    cr_assert_str_eq(err.path, scratch_file(SEGMENT));
    close(fd);
    aq_bytes_deinit(&frame);
    aq_catalog_release(catalog);
    aq_store_close(store);
    aq_segment_index_deinit(&index);
}

/* A segment cannot bring messages that the feed's position says are in the store. */
Test(recovery, messages_below_the_position_are_refused)
{
    crash_after(2);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    recover_ok(store);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    struct aq_source_range again = {.feed_id = catalog->feeds[0].identity.feed_id,
                                    .first_ordinal = FRAME_ROWS,
                                    .next_ordinal = 3 * FRAME_ROWS};
    struct aq_segment_totals totals = {.feed_count = 1, .feeds = &again};
    struct aq_edit edit = {0};
    struct aq_error err = {0};
    cr_assert_eq(aq_segment_totals_close(&totals, 1, 0, catalog, &edit, &err), AQ_CORRUPT);
    again.first_ordinal = 2 * FRAME_ROWS;
    cr_assert_eq(aq_segment_totals_close(&totals, 1, 0, catalog, &edit, &err), AQ_OK);
    aq_edit_deinit(&edit);
    aq_catalog_release(catalog);
    aq_store_close(store);
}

/* Writers that come and go beside a process that recovers all the time: it may take a segment that is just
 * being opened, never one that has rows. */
Test(recovery, beside_writers_that_open_segments)
{
    scratch_make();
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    pid_t child = scratch_fork();
    if (child == 0) {
        struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
        for (;;)
            recover_ok(store);
    }
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    for (int i = 0; i < 300; i++) {
        struct aq_error err = {0};
        enum aq_status status = numbers_append(&numbers, 2, &err);
        if (status == AQ_OK)
            status = aq_shard_writer_seal(numbers.writer, &err);
        cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
    }
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(numbers.acked, 600);
    cr_assert_eq(numbers_in(numbers.store), 600);
    numbers_end(&numbers);
}

/* Recovery comes between making a segment's file and locking it: this program's own flock says when that is. */
static struct aq_store *rival;

int flock(int fd, int operation)
{
    char link[64];
    char path[4096] = "";
    struct aq_store *recovers = rival;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (recovers != NULL && readlink(link, path, sizeof path - 1) > 0 &&
        strstr(path, ".seg") != NULL) {
        rival = NULL;
        recover_ok(recovers);
    }
    return (int)syscall(SYS_flock, fd, operation);
}

Test(recovery, a_segment_that_is_closed_before_its_writer_has_locked_it)
{
    scratch_make();
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    struct aq_store *store = rival = numbers_store(false, AQ_IO_POSIX);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_null(rival, "the segment was locked");
    cr_assert_eq(numbers_append(&numbers, FRAME_ROWS, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers.acked, FRAME_ROWS);
    cr_assert_eq(numbers_in(store), FRAME_ROWS, "in a segment of its own, behind the closed one");
    aq_store_close(store);
    numbers_end(&numbers);
}

/* A page that says nothing sensible is no page. */
static void crash_with_marker(void)
{
    scratch_make();
    pid_t child = scratch_fork();
    if (child == 0) {
        struct numbers numbers = {0};
        numbers_begin(&numbers);
        cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
        cr_assert_eq(aq_shard_writer_mark(numbers.writer, NULL), AQ_OK, "nothing to vouch for");
        for (int i = 0; i < 2; i++)
            cr_assert_eq(numbers_append(&numbers, FRAME_ROWS, NULL), AQ_OK);
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
            cr_assert_eq(aq_shard_writer_mark(numbers.writer, NULL), AQ_OK);
        }
        cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
        _exit(0);
    }
    int result;
    cr_assert_eq(waitpid(child, &result, 0), child);
    cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    cr_assert_eq(unlink(scratch_file(PAGE)), 0);
}

Test(recovery, a_marker_closes_the_tail)
{
    crash_with_marker();
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    struct aq_recovery_report report = recover_ok(store);
    cr_assert_eq(report.frame_count, 3, "two frames, one marker");
    cr_assert_eq(report.row_count, 2 * FRAME_ROWS);
    cr_assert_eq(numbers_in(store), 2 * FRAME_ROWS);
    aq_store_close(store);
}

/* What would be a torn write without it is damage, even in the last frame with rows. */
Test(recovery, a_marker_vouches_for_the_frame_before)
{
    crash_with_marker();
    size_t size;
    unsigned char *bytes = scratch_read(scratch_file(SEGMENT), &size);
    bytes[size - AQ_FRAME_PREFIX_BYTES - 1] ^= 1;
    scratch_write(scratch_file(SEGMENT), bytes, size);
    free(bytes);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    struct aq_recovery_report report;
    cr_assert_eq(aq_store_recover(store, &report, NULL), AQ_CORRUPT);
    aq_store_close(store);
}

Test(recovery, a_damaged_page_is_not_believed)
{
    crash_after(2);
    size_t size;
    unsigned char *page = scratch_read(scratch_file(PAGE), &size);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    for (size_t bit = 64; bit < 88 * 8; bit += 5) {
        page[bit / 8] ^= (unsigned char)(1u << bit % 8);
        scratch_write(scratch_file(PAGE), page, size);
        cr_assert_eq(numbers_in(store), 2 * FRAME_ROWS);
        page[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    scratch_write(scratch_file(PAGE), page, 7);
    cr_assert_eq(numbers_in(store), 2 * FRAME_ROWS);
    aq_store_close(store);
    free(page);
}

/* Killed or frozen while it writes one copy of what it publishes: the other one counts. */
Test(recovery, half_a_page_is_enough)
{
    enum { COPY_BYTES = 40 };
    crash_after(2);
    size_t size;
    unsigned char *page = scratch_read(scratch_file(PAGE), &size);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    for (unsigned lock = 0; lock < 2; lock++) {
        unsigned char *half = malloc(size);
        struct aq_published published;
        memcpy(half, page, size);
        half[0] ^= (unsigned char)lock;
        memset(half + 8 + (size_t)(1 - lock) * COPY_BYTES, 0xee, COPY_BYTES);
        scratch_write(scratch_file(PAGE), half, size);
        cr_assert(aq_published_read(store, 1, 1, &published));
        cr_assert_eq(published.frame_count, 2);
        cr_assert_eq(numbers_in(store), 2 * FRAME_ROWS);
        free(half);
    }
    aq_store_close(store);
    free(page);
}

Test(recovery, a_page_of_another_writer_is_not_believed)
{
    crash_after(2);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    uint64_t epoch = catalog->files[0].epoch;
    struct aq_published published;
    cr_assert(aq_published_read(store, 1, epoch, &published));
    cr_assert_eq(published.frame_count, 2);
    cr_assert(!aq_published_read(store, 1, epoch + 1, &published));
    cr_assert(!aq_published_read(store, 2, epoch, &published));
    aq_catalog_release(catalog);
    aq_store_close(store);
}

Test(recovery, a_living_writer_is_left_alone)
{
    scratch_make();
    struct numbers numbers = {0};
    numbers_begin(&numbers);
    cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
    cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    struct aq_recovery_report report = recover_ok(store);
    cr_assert_eq(report.segment_count, 0);
    cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(store), 20);
    aq_store_close(store);
    numbers_end(&numbers);
}

/* The kernel may still be writing for a process that is gone: recovery waits for its flock. */
Test(recovery, waits_for_a_dying_writer)
{
    crash_after(2);
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t holder = scratch_fork();
    if (holder == 0) {
        int fd = open(scratch_file(SEGMENT), O_RDWR);
        int result = flock(fd, LOCK_EX);
        cr_assert_eq(write(ready[1], "x", 1), 1);
        usleep(200000);
        _exit(result);
    }
    char byte;
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    struct aq_recovery_report report = recover_ok(store);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(waitpid(holder, NULL, 0), holder);
    aq_store_close(store);
}

/* Many processes recover at once: the segment is closed once. */
Test(recovery, many_at_once)
{
    crash_after(FRAMES);
    enum { RACERS = 4 };
    pid_t racers[RACERS];
    for (int r = 0; r < RACERS; r++) {
        racers[r] = scratch_fork();
        if (racers[r] == 0) {
            struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
            struct aq_recovery_report report = recover_ok(store);
            _exit((int)report.segment_count);
        }
    }
    int closed = 0;
    for (int r = 0; r < RACERS; r++) {
        int result;
        cr_assert_eq(waitpid(racers[r], &result, 0), racers[r]);
        cr_assert(WIFEXITED(result));
        closed += WEXITSTATUS(result);
    }
    cr_assert_eq(closed, 1);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    cr_assert_eq(numbers_in(store), ROWS);
    aq_store_close(store);
}

/* Killed at random moments, started again each time: in the end every number once. */
Test(recovery, random_kills)
{
    scratch_make();
    const enum aq_io_kind kinds[] = {AQ_IO_POSIX, AQ_IO_URING};
    struct aq_io *probe = NULL;
    bool uring = aq_io_create(AQ_IO_URING, 1, &probe, NULL, 0, NULL) == AQ_OK;
    aq_io_destroy(probe);
    srandom(1);
    int64_t last = 0;
    for (int round = 0; round < 20; round++) {
        pid_t child = scratch_fork();
        if (child == 0) {
            struct numbers numbers = {.segment_size = 20000, .io = kinds[uring ? round % 2 : 0]};
            numbers_begin(&numbers);
            recover_ok(numbers.store);
            cr_assert_eq(numbers_claim(&numbers, NULL), AQ_OK);
            for (;;)
                cr_assert_eq(numbers_append(&numbers, 10, NULL), AQ_OK);
        }
        usleep(5000 + (useconds_t)(random() % 30000));
        kill(child, SIGKILL);
        int result;
        cr_assert_eq(waitpid(child, &result, 0), child);
        cr_assert(WIFSIGNALED(result), "the child failed in round %d", round);
        struct aq_store *store = numbers_store(true, AQ_IO_POSIX);
        const struct aq_catalog *catalog = NULL;
        cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
        if (catalog->dataset_count > 0) {
            int64_t now = numbers_in(store);
            cr_assert_geq(now, last);
            last = now;
        }
        aq_catalog_release(catalog);
        aq_store_close(store);
    }
    cr_assert_gt(last, 0);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    recover_ok(store);
    /* More, perhaps, than the last reader saw: the kernel may have been writing still. */
    int64_t count = numbers_in(store);
    cr_assert_geq(count, last);
    cr_assert_eq(position_in(store).next_ordinal, count);
    aq_store_close(store);
}
