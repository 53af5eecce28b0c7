/* The object-store API over its directory back end. */
#include "tests/unit/object/object_suite.h"

#include <sys/file.h>
#include <sys/wait.h>

static struct aq_object_store *open_store(void)
{
    struct aq_object_store *store = NULL;
    cr_assert_eq(aq_object_open_dir(scratch_make(), true, &store, NULL), AQ_OK);
    cr_assert_eq(mkdir(scratch_file("catalog"), 0755), 0);
    return store;
}

static enum aq_status put_text(struct aq_object_store *store, const char *name, const char *text)
{
    return aq_object_put_if_absent(store, name, aq_slice_of(text), NULL);
}

Test(object, put_get_replace_delete)
{
    struct aq_object_store *store = open_store();
    suite_put_get_delete(store, true);
    suite_sizes(store);
    aq_object_close(store);
}

Test(object, names)
{
    struct aq_object_store *store = open_store();
    suite_names(store, true);
    aq_object_close(store);
}

Test(object, lists)
{
    struct aq_object_store *store = open_store();
    suite_lists(store);
    suite_long_list(store);
    aq_object_close(store);
}

Test(object, ranges)
{
    struct aq_object_store *store = open_store();
    suite_ranges(store);
    aq_object_close(store);
}

Test(object, files)
{
    struct aq_object_store *store = open_store();
    suite_put_file(store, 0, true);
    suite_put_file(store, (3 << 20) + 1, true);
    aq_object_close(store);
}

Test(object, threads_race)
{
    struct aq_object_store *store = open_store();
    suite_one_creator_wins(store);
    aq_object_close(store);
}

/* A folder of a home that is gone is not made anew, and is no empty one. */
Test(object, folders_are_not_made_unasked)
{
    struct aq_object_store *store = NULL;
    struct suite_listing listing = {0};
    cr_assert_eq(aq_object_open_dir(scratch_make(), false, &store, NULL), AQ_OK);
    cr_assert_eq(put_text(store, "catalog/1", "one"), AQ_NOT_FOUND);
    cr_assert_eq(suite_list(store, "catalog/", &listing), AQ_NOT_FOUND);
    aq_object_close(store);
}

Test(object, what_a_directory_lacks)
{
    struct aq_object_store *store = open_store();
    size_t aborted = 1;
    cr_assert_eq(aq_object_abort_uploads(store, "data/", 0, &aborted, NULL), AQ_OK);
    cr_assert_eq(aborted, 0);
    cr_assert_eq(aq_object_count(store).get_count, 0);
    aq_object_close(store);
}

Test(object, temporary_files_are_not_listed)
{
    struct aq_object_store *store = open_store();
    struct suite_listing listing = {0};
    cr_assert_eq(put_text(store, "catalog/a", "a"), AQ_OK);
    scratch_write(scratch_file("catalog/.tmp-1-1"), "x", 1);
    cr_assert_eq(suite_list(store, "catalog/", &listing), AQ_OK);
    cr_assert_str_eq(listing.first, "catalog/a:1 ");
    aq_object_close(store);
}

/* A dead process's temporary file goes, a living one's stays. */
Test(object, sweep)
{
    struct aq_object_store *store = open_store();
    scratch_write(scratch_file("catalog/.tmp-0000000000000001"), "x", 1);
    scratch_write(scratch_file("catalog/.tmp-0000000000000002"), "x", 1);
    cr_assert_eq(put_text(store, "catalog/1", "one"), AQ_OK);
    int living = open(scratch_file("catalog/.tmp-0000000000000002"), O_RDONLY);
    cr_assert_eq(flock(living, LOCK_EX | LOCK_NB), 0);
    aq_object_sweep(store, "catalog/");
    cr_assert_eq(access(scratch_file("catalog/.tmp-0000000000000001"), F_OK), -1);
    cr_assert_eq(access(scratch_file("catalog/.tmp-0000000000000002"), F_OK), 0);
    suite_expect(store, "catalog/1", aq_slice_of("one"));
    close(living);
    aq_object_close(store);
}

/* Of many processes that create one name, one wins, and nothing but objects is left. */
Test(object, one_creator_wins)
{
    struct aq_object_store *store = open_store();
    enum { RACERS = 8, NAMES = 20 };
    pid_t racers[RACERS];
    for (int r = 0; r < RACERS; r++) {
        racers[r] = scratch_fork();
        if (racers[r] == 0) {
            int wins = 0;
            for (int n = 0; n < NAMES; n++) {
                char name[32];
                snprintf(name, sizeof name, "catalog/%02d", n);
                enum aq_status status = put_text(store, name, "x");
                if (status == AQ_OK)
                    wins++;
                else if (status != AQ_EXISTS)
                    _exit(200);
            }
            _exit(wins);
        }
    }
    int wins = 0;
    for (int r = 0; r < RACERS; r++) {
        int result;
        cr_assert_eq(waitpid(racers[r], &result, 0), racers[r]);
        cr_assert(WIFEXITED(result) && WEXITSTATUS(result) <= NAMES);
        wins += WEXITSTATUS(result);
    }
    cr_assert_eq(wins, NAMES);
    aq_object_close(store);
}

Test(object, a_missing_directory_is_not_made_unasked)
{
    struct aq_object_store *store = NULL;
    scratch_make();
    cr_assert_eq(aq_object_open_dir(scratch_file("none"), false, &store, NULL), AQ_NOT_FOUND);
}
