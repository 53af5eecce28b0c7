/* The object-store API over its directory back end. */
#include "engine/object/object.h"

#include "tests/unit/scratch.h"

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

static void assert_content(struct aq_object_store *store, const char *name, const char *text)
{
    struct aq_bytes bytes = {0};
    cr_assert_eq(aq_object_get(store, name, 1000, &bytes, NULL), AQ_OK);
    cr_assert(aq_slice_equal(aq_bytes_view(&bytes), aq_slice_of(text)));
    aq_bytes_deinit(&bytes);
}

struct listing {
    char text[256];
};

static enum aq_status append_name(void *context, const char *name, uint64_t size_bytes)
{
    struct listing *listing = context;
    size_t used = strlen(listing->text);
    snprintf(listing->text + used, sizeof listing->text - used, "%s:%d ", name, (int)size_bytes);
    return AQ_OK;
}

static enum aq_status keep_done(void *context, uint64_t bytes_done)
{
    *(uint64_t *)context = bytes_done;
    return AQ_OK;
}

static enum aq_status refuse(void *context, uint64_t bytes_done)
{
    (void)context;
    (void)bytes_done;
    return AQ_INTERRUPTED;
}

Test(object, put_get_replace_delete)
{
    struct aq_object_store *store = open_store();
    cr_assert_eq(put_text(store, "catalog/1", "one"), AQ_OK);
    cr_assert_eq(put_text(store, "catalog/1", "two"), AQ_EXISTS);
    assert_content(store, "catalog/1", "one");
    cr_assert_eq(aq_object_put(store, "catalog/1", aq_slice_of("three"), NULL), AQ_OK);
    assert_content(store, "catalog/1", "three");
    char part[3];
    cr_assert_eq(aq_object_get_range(store, "catalog/1", 2, part, 3, NULL), AQ_OK);
    cr_assert_eq(memcmp(part, "ree", 3), 0);
    struct aq_error err = {0};
    cr_assert_eq(aq_object_get_range(store, "catalog/1", 3, part, 3, &err), AQ_CORRUPT);
    cr_assert_eq(err.offset, 5);
    cr_assert_eq(aq_object_settle(store, "catalog/1", NULL), AQ_OK);
    cr_assert_eq(aq_object_delete(store, "catalog/1", NULL), AQ_OK);
    cr_assert_eq(aq_object_delete(store, "catalog/1", NULL), AQ_OK);
    struct aq_bytes bytes = {0};
    cr_assert_eq(aq_object_get(store, "catalog/1", 1000, &bytes, &err), AQ_NOT_FOUND);
    cr_assert_not_null(strstr(err.path, "catalog/1"));
    aq_object_close(store);
}

Test(object, head_ranges_and_files)
{
    struct aq_object_store *store = open_store();
    uint64_t size = 0;
    cr_assert_eq(aq_object_head(store, "data/a/1", &size, NULL), AQ_NOT_FOUND);
    cr_assert_not(aq_object_exists(store, "data/a/1"));
    struct listing none = {0};
    cr_assert_eq(aq_object_list(store, "data/", append_name, &none, NULL), AQ_OK);
    cr_assert_str_eq(none.text, "");
    scratch_write(scratch_file("source"), "0123456789", 10);
    int fd = open(scratch_file("source"), O_RDONLY);
    uint64_t done = 0;
    cr_assert_eq(aq_object_put_file(store, "data/a/1", fd, 9, keep_done, &done, NULL), AQ_OK);
    cr_assert_eq(done, 9);
    cr_assert_eq(aq_object_put_file(store, "data/a/1", fd, 9, NULL, NULL, NULL), AQ_EXISTS);
    cr_assert_eq(aq_object_put_file(store, "data/a/2", fd, 11, NULL, NULL, NULL), AQ_CORRUPT);
    cr_assert_eq(aq_object_put_file(store, "data/a/2", fd, 9, refuse, NULL, NULL), AQ_INTERRUPTED);
    cr_assert_eq(aq_object_head(store, "data/a/2", &size, NULL), AQ_NOT_FOUND);
    close(fd);
    assert_content(store, "data/a/1", "012345678");
    cr_assert_eq(aq_object_head(store, "data/a/1", &size, NULL), AQ_OK);
    cr_assert_eq(size, 9);
    char two[2], three[3];
    struct aq_object_range ranges[] = {{"data/a/1", 7, 2, two}, {"data/a/1", 0, 3, three}};
    cr_assert_eq(aq_object_get_ranges(store, ranges, 2, NULL), AQ_OK);
    cr_assert(memcmp(two, "78", 2) == 0 && memcmp(three, "012", 3) == 0);
    ranges[0].offset = 8;
    cr_assert_eq(aq_object_get_ranges(store, ranges, 2, NULL), AQ_CORRUPT);
    size_t aborted = 1;
    cr_assert_eq(aq_object_abort_uploads(store, "data/", 0, &aborted, NULL), AQ_OK);
    cr_assert_eq(aborted, 0);
    cr_assert_eq(aq_object_count(store).get_count, 0);
    aq_object_close(store);
}

Test(object, size_is_bounded)
{
    struct aq_object_store *store = open_store();
    cr_assert_eq(put_text(store, "big", "0123456789"), AQ_OK);
    struct aq_bytes bytes = {0};
    cr_assert_eq(aq_object_get(store, "big", 9, &bytes, NULL), AQ_LIMIT);
    cr_assert_eq(bytes.size, 0);
    cr_assert_eq(aq_object_get(store, "big", 10, &bytes, NULL), AQ_OK);
    aq_bytes_deinit(&bytes);
    aq_object_close(store);
}

Test(object, bad_names_are_refused)
{
    struct aq_object_store *store = open_store();
    const char *const names[] = {"",        "/etc/x", "../x",   "a/../b", "a//b", "a/",
                                 ".hidden", "a/.b",   "sp ace", "nul\n",  "a\\b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert_eq(put_text(store, names[i], "x"), AQ_INVALID, "%s", names[i]);
    aq_object_close(store);
}

Test(object, list_is_sorted_and_hides_temporary_files)
{
    struct aq_object_store *store = open_store();
    cr_assert_eq(put_text(store, "catalog/b", "bb"), AQ_OK);
    cr_assert_eq(put_text(store, "catalog/a", "a"), AQ_OK);
    cr_assert_eq(put_text(store, "catalog/B", ""), AQ_OK);
    cr_assert_eq(put_text(store, "top", "t"), AQ_OK);
    scratch_write(scratch_file("catalog/.tmp-1-1"), "x", 1);
    struct listing all = {0};
    cr_assert_eq(aq_object_list(store, "catalog/", append_name, &all, NULL), AQ_OK);
    cr_assert_str_eq(all.text, "catalog/B:0 catalog/a:1 catalog/b:2 ");
    struct listing some = {0};
    cr_assert_eq(aq_object_list(store, "catalog/a", append_name, &some, NULL), AQ_OK);
    cr_assert_str_eq(some.text, "catalog/a:1 ");
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
    assert_content(store, "catalog/1", "one");
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
