/* Recovery of many segments at once: whatever the number of threads, the same is committed, in the same order, reported
 * and refused. */
#include "engine/store/catalog/catalog.h"
#include "tests/unit/store/numbers.h"

#include <sys/wait.h>

enum { WRITERS = 21, FRAME_ROWS = 6, HELD = 4, NEVER_MADE = 5, TORN = 11, DAMAGED = 13 };

static unsigned frames_of(unsigned number)
{
    return number == NEVER_MADE ? 0 : number % 4 + 1;
}

static void claim_own(struct numbers *numbers, unsigned number)
{
    char name[32];
    struct aq_error err = {0};
    snprintf(name, sizeof name, "numbers %u", number);
    struct aq_feed_identity identity = {.dataset_id = numbers->schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of(name),
                                        .partition = -1};
    cr_assert_eq(aq_shard_writer_claim(numbers->writer, &identity, 0, &numbers->feed_id, &err),
                 AQ_OK, "%s", err.message);
}

static void write_segments(void)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        struct numbers numbers = {.hold = i == HELD};
        numbers_begin(&numbers);
        claim_own(&numbers, i);
        for (unsigned f = 0; f < frames_of(i); f++) {
            cr_assert_eq(numbers_append(&numbers, FRAME_ROWS, NULL), AQ_OK);
            cr_assert_eq(aq_shard_writer_flush(numbers.writer, NULL), AQ_OK);
        }
    }
}

static void spoil(unsigned number, bool behind)
{
    static const char junk[300] = "no frame";
    int fd = open(numbers_segment(number + 1), O_RDWR);
    struct stat info;
    cr_assert_eq(fstat(fd, &info), 0);
    off_t at = behind ? info.st_size : info.st_size - 200;
    cr_assert_eq(pwrite(fd, junk, sizeof junk, at), (ssize_t)sizeof junk);
    close(fd);
}

/* Homes "one" and "many", with what 21 dead writers left. */
static void crash(bool damaged)
{
    char command[1200];
    scratch_make();
    pid_t child = scratch_fork();
    if (child == 0) {
        write_segments();
        _exit(0);
    }
    int result;
    cr_assert_eq(waitpid(child, &result, 0), child);
    cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    cr_assert_eq(unlink(numbers_segment(NEVER_MADE + 1)), 0);
    spoil(TORN, true);
    if (damaged)
        spoil(DAMAGED, false);
    snprintf(command, sizeof command, "cd '%s' && cp -a home one && mv home many", scratch_path);
    cr_assert_eq(system(command), 0);
}

struct outcome {
    struct aq_store *store;
    const struct aq_catalog *catalog;
    enum aq_status status;
    struct aq_recovery_report report;
    struct aq_error err;
};

static struct outcome recover(const char *home, unsigned thread_count)
{
    struct outcome outcome = {.status = AQ_OK};
    struct aq_store_options options = {
        .home = scratch_file(home), .io = AQ_IO_POSIX, .recovery_thread_count = thread_count};
    cr_assert_eq(aq_store_open(&options, &outcome.store, NULL), AQ_OK);
    outcome.status = aq_store_recover(outcome.store, &outcome.report, &outcome.err);
    cr_assert_eq(aq_store_catalog(outcome.store, true, &outcome.catalog, NULL), AQ_OK);
    return outcome;
}

static void forget(struct outcome *outcome)
{
    aq_catalog_release(outcome->catalog);
    aq_store_close(outcome->store);
}

static void expect_same_files(const struct aq_catalog *a, const struct aq_catalog *b)
{
    cr_assert_eq(a->number, b->number);
    cr_assert_eq(a->file_count, b->file_count);
    for (size_t i = 0; i < a->file_count; i++) {
        const struct aq_catalog_file *left = &a->files[i];
        const struct aq_catalog_file *right = &b->files[i];
        cr_assert_eq(left->file_id, right->file_id);
        cr_assert_eq(left->state, right->state, "file %zu", i);
        cr_assert_eq(left->edit, right->edit, "file %zu: edit %llu and %llu", i,
                     (unsigned long long)left->edit, (unsigned long long)right->edit);
        cr_assert_eq(left->frame_count, right->frame_count);
        cr_assert_eq(left->size_bytes, right->size_bytes);
        cr_assert_eq(left->checksum, right->checksum);
    }
    cr_assert_eq(a->feed_count, b->feed_count);
    for (size_t i = 0; i < a->feed_count; i++)
        cr_assert_eq(a->feeds[i].position.next_ordinal, b->feeds[i].position.next_ordinal);
}

static void expect_same_report(const struct outcome *a, const struct outcome *b)
{
    cr_assert_eq(a->status, b->status, "%s", b->err.message);
    cr_assert_eq(a->report.segment_count, b->report.segment_count);
    cr_assert_eq(a->report.frame_count, b->report.frame_count);
    cr_assert_eq(a->report.row_count, b->report.row_count);
    cr_assert_eq(a->report.torn_bytes, b->report.torn_bytes);
    expect_same_files(a->catalog, b->catalog);
}

Test(recovery_threads, do_what_one_does)
{
    crash(false);
    struct outcome one = recover("one", 1);
    struct outcome many = recover("many", 8);
    cr_assert_eq(one.status, AQ_OK, "%s", one.err.message);
    cr_assert_eq(one.report.segment_count, WRITERS - 1, "all but the held one");
    cr_assert_gt(one.report.torn_bytes, 0);
    expect_same_report(&one, &many);
    uint64_t edit = 0;
    for (size_t i = 0; i < many.catalog->file_count; i++) {
        cr_assert_eq(many.catalog->files[i].state, AQ_FILE_CLOSED);
        cr_assert_gt(many.catalog->files[i].edit, edit, "closed in order");
        edit = many.catalog->files[i].edit;
    }
    forget(&one);
    forget(&many);
}

/* Those before the damaged one are closed, the others are as they were. */
Test(recovery_threads, stop_where_one_stops)
{
    crash(true);
    struct outcome one = recover("one", 1);
    struct outcome many = recover("many", 8);
    cr_assert_eq(one.status, AQ_CORRUPT);
    cr_assert_not_null(strstr(one.err.path, "014.seg"), "%s", one.err.path);
    cr_assert_eq(one.report.segment_count, DAMAGED - 1);
    expect_same_report(&one, &many);
    cr_assert_str_eq(one.err.message, many.err.message);
    cr_assert_eq(one.err.offset, many.err.offset);
    cr_assert_not_null(strstr(many.err.path, "014.seg"), "%s", many.err.path);
    forget(&one);
    forget(&many);
}
