/* Who slept while edits were collected: readers that advance and committers that create. The rules are those of
 * docs/model.md; here the code meets the states that the model says matter. */
#include "engine/store/catalog/catalog_log.h"
#include "engine/store/store.h"

#include "tests/unit/scratch.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <time.h>

static int64_t slept_s;           /* added to the boot clock */
static void (*before_link)(void); /* called once, before a file gets its name */
static void (*after_link)(void);  /* called once, after it */
static unsigned listings;

/* In place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_BOOTTIME)
        now->tv_sec += slept_s;
    return result;
}

static void call_once(void (**hook)(void))
{
    void (*call)(void) = *hook;
    *hook = NULL;
    if (call != NULL)
        call();
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    call_once(&before_link);
    int result = (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    call_once(&after_link);
    return result;
}

int scandirat(int folder, const char *path, struct dirent ***entries,
              int (*wanted)(const struct dirent *),
              int (*compare)(const struct dirent **, const struct dirent **))
{
    typedef int scandirat_fn(int, const char *, struct dirent ***, int (*)(const struct dirent *),
                             int (*)(const struct dirent **, const struct dirent **));
    scandirat_fn *real;
    *(void **)&real = dlsym(RTLD_NEXT, "scandirat");
    listings++;
    return real(folder, path, entries, wanted, compare);
}

static struct aq_store *open_home(bool create)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {
        .home = scratch_file("home"), .create = create, .io = AQ_IO_POSIX};
    cr_assert_eq(aq_store_open(&options, &store, &err), AQ_OK, "%s: %s", err.path, err.message);
    return store;
}

static void commit(struct aq_store *store, const char *view, enum aq_status expected)
{
    struct aq_error err = {0};
    cr_assert_eq(aq_store_declare_view(store, view, "SELECT 1", &err), expected, "%s", err.message);
}

static const struct aq_catalog *read_head(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_catalog(store, true, &catalog, &err), AQ_OK, "%s", err.message);
    return catalog;
}

static void expect_head(struct aq_store *store, uint64_t number, const char *view, bool there)
{
    const struct aq_catalog *catalog = read_head(store);
    cr_assert_eq(catalog->number, number, "%llu", (unsigned long long)catalog->number);
    cr_assert_eq(aq_catalog_view(catalog, view) != NULL, there);
    aq_catalog_release(catalog);
}

/* The others: edits up to `number`. */
static void others_commit(uint64_t number)
{
    struct aq_store *store = open_home(false);
    const struct aq_catalog *catalog = read_head(store);
    for (uint64_t i = catalog->number; i < number; i++) {
        char sql[32];
        snprintf(sql, sizeof sql, "SELECT %u", (unsigned)i);
        cr_assert_eq(aq_store_declare_view(store, "others", sql, NULL), AQ_OK);
    }
    aq_catalog_release(catalog);
    aq_store_close(store);
}

static void unlink_object(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "home/%s", name);
    cr_assert_eq(unlink(scratch_file(path)), 0, "%s", path);
}

/* As gc does it: what checkpoint `number` covers. */
static void collect(uint64_t number)
{
    char name[AQ_CATALOG_NAME_BYTES];
    for (uint64_t n = 1; n <= number; n++) {
        aq_catalog_edit_name(n, name, sizeof name);
        unlink_object(name);
    }
}

static void others_commit_and_collect(void)
{
    others_commit(AQ_CHECKPOINT_EDITS + 9);
    collect(AQ_CHECKPOINT_EDITS);
    slept_s += 61;
}

Test(commit_rules, a_reader_that_slept_opens_the_catalog_anew)
{
    scratch_make();
    struct aq_store *sleeper = open_home(true);
    commit(sleeper, "mine", AQ_OK);
    others_commit_and_collect();
    expect_head(sleeper, AQ_CHECKPOINT_EDITS + 9, "mine", true);
    aq_store_close(sleeper);
}

Test(commit_rules, a_reader_within_the_minute_looks_for_nothing)
{
    scratch_make();
    aq_store_close(open_home(true));
    listings = 0;
    struct aq_store *store = open_home(false);
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", i);
        commit(store, name, AQ_OK);
        slept_s += 50;
    }
    slept_s += 1000;
    expect_head(store, 11, "v9", true);
    cr_assert_eq(listings, 0);
    aq_store_close(store);
}

/* Everything that could tell whether its number was taken has gone: the process must stop. */
Test(commit_rules, a_committer_that_slept_too_long_stops)
{
    scratch_make();
    struct aq_store *sleeper = open_home(true);
    before_link = others_commit_and_collect;
    commit(sleeper, "mine", AQ_IO);
    commit(sleeper, "again", AQ_IO);
    aq_store_close(sleeper);
    sleeper = open_home(false);
    expect_head(sleeper, AQ_CHECKPOINT_EDITS + 9, "mine", false);
    commit(sleeper, "mine", AQ_OK);
    expect_head(sleeper, AQ_CHECKPOINT_EDITS + 10, "mine", true);
    aq_store_close(sleeper);
}

/* Its number is that of a checkpoint, which names another's edit: it begins again, upon what is there now. */
Test(commit_rules, a_committer_whose_number_was_another_s_tries_again)
{
    scratch_make();
    aq_store_close(open_home(true));
    others_commit(AQ_CHECKPOINT_EDITS - 1);
    struct aq_store *sleeper = open_home(false);
    expect_head(sleeper, AQ_CHECKPOINT_EDITS - 1, "mine", false);
    before_link = others_commit_and_collect;
    commit(sleeper, "mine", AQ_OK);
    cr_assert_null(before_link);
    expect_head(sleeper, AQ_CHECKPOINT_EDITS + 10, "mine", true);
    struct aq_store *other = open_home(false);
    expect_head(other, AQ_CHECKPOINT_EDITS + 10, "mine", true);
    aq_store_close(other);
    aq_store_close(sleeper);
}

static void others_follow(void)
{
    others_commit(AQ_CHECKPOINT_EDITS + 9);
    slept_s += 61;
}

/* It was there in time, and others have built on it: to try again would do it twice. */
Test(commit_rules, a_committer_that_others_followed_has_committed)
{
    scratch_make();
    struct aq_store *sleeper = open_home(true);
    after_link = others_follow;
    commit(sleeper, "mine", AQ_OK);
    expect_head(sleeper, AQ_CHECKPOINT_EDITS + 9, "mine", true);
    aq_store_close(sleeper);
}

static void others_write_its_checkpoint(void)
{
    others_follow();
    struct aq_object_store *objects = NULL;
    const struct aq_catalog *catalog = NULL;
    uint64_t checkpoint;
    char name[AQ_CATALOG_NAME_BYTES];
    cr_assert_eq(aq_object_open_dir(scratch_file("home"), false, &objects, NULL), AQ_OK);
    for (uint64_t n = AQ_CHECKPOINT_EDITS + 9; n > AQ_CHECKPOINT_EDITS; n--) {
        aq_catalog_edit_name(n, name, sizeof name);
        unlink_object(name);
    }
    aq_catalog_checkpoint_name(AQ_CHECKPOINT_EDITS + 1, name, sizeof name);
    unlink_object(name);
    unlink_object(AQ_CATALOG_LATEST_NAME);
    cr_assert_eq(aq_catalog_load(objects, &catalog, &checkpoint, NULL), AQ_OK);
    cr_assert_eq(catalog->number, AQ_CHECKPOINT_EDITS);
    cr_assert_eq(aq_catalog_put_checkpoint(objects, catalog, false, NULL), AQ_OK);
    aq_catalog_release(catalog);
    aq_object_close(objects);
    collect(AQ_CHECKPOINT_EDITS);
}

/* The same, with the checkpoint of its own number as the only witness. */
Test(commit_rules, a_checkpoint_of_its_own_edit_says_that_it_is_committed)
{
    scratch_make();
    aq_store_close(open_home(true));
    others_commit(AQ_CHECKPOINT_EDITS - 1);
    struct aq_store *sleeper = open_home(false);
    after_link = others_write_its_checkpoint;
    commit(sleeper, "mine", AQ_OK);
    expect_head(sleeper, AQ_CHECKPOINT_EDITS, "mine", true);
    aq_store_close(sleeper);
}

static void collect_all_but_the_newest(void)
{
    char name[AQ_CATALOG_NAME_BYTES];
    others_commit(2 * AQ_CHECKPOINT_EDITS +
                  9); /* checkpoints one edit late: the sleeper owes its own */
    aq_catalog_checkpoint_name(AQ_CHECKPOINT_EDITS + 1, name, sizeof name);
    unlink_object(name);
    collect(2 * AQ_CHECKPOINT_EDITS + 1);
}

/* A superseded checkpoint that came back would be an end of the chain with nothing behind it. */
Test(commit_rules, a_checkpoint_is_not_written_once_its_edits_are_collected)
{
    scratch_make();
    aq_store_close(open_home(true));
    others_commit(AQ_CHECKPOINT_EDITS - 1);
    struct aq_store *sleeper = open_home(false);
    after_link = collect_all_but_the_newest;
    /* Within the minute by its own clock, as if it slept behind the check. */
    cr_assert_eq(aq_store_declare_view(sleeper, "mine", "SELECT 1", NULL), AQ_OK);
    char name[AQ_CATALOG_NAME_BYTES];
    char path[128];
    aq_catalog_checkpoint_name(AQ_CHECKPOINT_EDITS, name, sizeof name);
    snprintf(path, sizeof path, "home/%s", name);
    cr_assert_eq(access(scratch_file(path), F_OK), -1);
    aq_store_close(sleeper);
}

/* Processes find each other's checkpoints: there is one every so many edits, not one a process. */
Test(commit_rules, checkpoints_are_shared)
{
    scratch_make();
    struct aq_store *one = open_home(true);
    struct aq_store *other = open_home(false);
    for (unsigned i = 0; i < 2 * AQ_CHECKPOINT_EDITS + 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%u", i % 4);
        struct aq_store *store = i % 2 == 0 ? one : other;
        cr_assert(aq_store_declare_view(store, name, i % 8 < 4 ? "SELECT 1" : "SELECT 2", NULL) >=
                  0);
    }
    listings = 0;
    struct aq_object_store *objects = NULL;
    uint64_t newest = 0;
    cr_assert_eq(aq_object_open_dir(scratch_file("home"), false, &objects, NULL), AQ_OK);
    cr_assert_eq(aq_catalog_newest_checkpoint(objects, &newest, NULL), AQ_OK);
    cr_assert_eq(newest, 2 * AQ_CHECKPOINT_EDITS);
    cr_assert_eq(listings, 1);
    aq_object_close(objects);
    aq_store_close(one);
    aq_store_close(other);
}
