/* Held segments: all of one counts when it is sealed, and nothing before, whatever becomes of its writer. */
#include "tests/unit/store/numbers.h"

#include <sys/wait.h>

#define ROWS 400

static void begin_held(struct numbers *numbers)
{
    numbers->hold = true;
    numbers_begin(numbers);
    cr_assert_eq(numbers_claim(numbers, NULL), AQ_OK);
}

static void append_all(struct numbers *numbers)
{
    while (numbers->next < ROWS)
        cr_assert_eq(numbers_append(numbers, 20, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_flush(numbers->writer, NULL), AQ_OK);
    cr_assert_eq(numbers->acked, ROWS);
}

/* What the catalog says of files, and where the feed stands. */
static void expect_catalog(struct aq_store *store, size_t file_count, uint64_t next_ordinal)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    cr_assert_eq(catalog->file_count, file_count);
    cr_assert_eq(catalog->feed_count, 1);
    cr_assert_eq(catalog->feeds[0].position.next_ordinal, next_ordinal);
    aq_catalog_release(catalog);
}

static void recover(struct aq_store *store)
{
    struct aq_recovery_report report;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_recover(store, &report, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(report.row_count, 0);
}

Test(held, counts_when_it_is_sealed)
{
    struct numbers numbers = {.segment_size = 4096};
    scratch_make();
    begin_held(&numbers);
    append_all(&numbers);
    cr_assert_eq(aq_shard_writer_count(numbers.writer).segment_count, 1, "it is not rolled");
    cr_assert_eq(numbers_in(numbers.store), 0);
    struct aq_store *other = numbers_store(false, AQ_IO_POSIX);
    cr_assert_eq(numbers_in(other), 0, "nor for anybody else");
    recover(other);
    expect_catalog(other, 1, 0);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK, "recovery left it alone");
    cr_assert_eq(numbers_in(other), ROWS);
    expect_catalog(other, 1, ROWS);
    aq_store_close(other);
    numbers_end(&numbers);
}

Test(held, can_be_dropped)
{
    struct numbers numbers = {0};
    scratch_make();
    begin_held(&numbers);
    append_all(&numbers);
    cr_assert_eq(aq_shard_writer_drop(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), 0);
    expect_catalog(numbers.store, 0, 0);
    cr_assert_eq(aq_shard_writer_drop(numbers.writer, NULL), AQ_OK, "there is none any more");
    numbers_end(&numbers);
}

Test(held, is_dropped_when_its_writer_dies)
{
    struct numbers numbers = {0};
    int status = 0;
    scratch_make();
    pid_t child = scratch_fork();
    if (child == 0) {
        begin_held(&numbers);
        append_all(&numbers);
        _exit(7);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(WEXITSTATUS(status), 7);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    cr_assert_eq(numbers_in(store), 0, "before recovery");
    recover(store);
    cr_assert_eq(numbers_in(store), 0, "and after");
    expect_catalog(store, 0, 0);
    aq_store_close(store);
    /* The same feed again, from its beginning. */
    begin_held(&numbers);
    cr_assert_eq(numbers.next, 0);
    append_all(&numbers);
    cr_assert_eq(aq_shard_writer_seal(numbers.writer, NULL), AQ_OK);
    cr_assert_eq(numbers_in(numbers.store), ROWS);
    expect_catalog(numbers.store, 1, ROWS);
    numbers_end(&numbers);
}

static enum aq_status refuse(void *context, const struct aq_catalog *catalog, struct aq_edit *edit,
                             struct aq_error *err)
{
    (void)context;
    (void)catalog;
    (void)edit;
    return aq_error_set(err, AQ_CONFLICT, "no");
}

Test(held, stays_as_it_is_when_the_edit_fails)
{
    struct numbers numbers = {0};
    scratch_make();
    begin_held(&numbers);
    append_all(&numbers);
    cr_assert_eq(aq_shard_writer_seal_with(numbers.writer, refuse, NULL, NULL), AQ_CONFLICT);
    cr_assert_eq(numbers_in(numbers.store), 0);
    cr_assert_eq(aq_shard_writer_drop(numbers.writer, NULL), AQ_CONFLICT, "the writer is dead");
    numbers_end(&numbers);
    struct aq_store *store = numbers_store(false, AQ_IO_POSIX);
    recover(store);
    expect_catalog(store, 0, 0);
    aq_store_close(store);
}
