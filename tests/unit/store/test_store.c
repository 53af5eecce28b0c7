/* Opening stores, commits, declarations, locks. */
#include "engine/store/store.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int directory_sync_errno; /* what a sync of a folder fails with; 0: it does not */

/* In place of the C library's, so that the last step of a commit can be made to fail. */
int fsync(int fd)
{
    struct stat info;
    if (directory_sync_errno != 0 && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        errno = directory_sync_errno;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static struct aq_store *open_home(const char *name, bool create, enum aq_status expected)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {
        .home = scratch_file(name), .create = create, .io = AQ_IO_POSIX};
    enum aq_status status = aq_store_open(&options, &store, &err);
    cr_assert_eq(status, expected, "%s: %s", err.path, err.message);
    return store;
}

static struct aq_column city_columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "aqi", .type = AQ_TYPE_INTEGER},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE},
};

static struct aq_schema city_schema(size_t column_count)
{
    return (struct aq_schema){
        .dataset = "air",
        .column_count = column_count,
        .columns = city_columns,
        .key_column = 0,
        .time_column = 1,
        .slot = AQ_SLOT_DAY,
        .version_column = AQ_COLUMN_NONE,
    };
}

static uint64_t head(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    uint64_t number = catalog->number;
    aq_catalog_release(catalog);
    return number;
}

Test(store, is_made_only_when_asked)
{
    scratch_make();
    open_home("none", false, AQ_NOT_FOUND);
    cr_assert_eq(access(scratch_file("none"), F_OK), -1);
    aq_store_close(open_home("home", true, AQ_OK));
    struct aq_store *store = open_home("home", false, AQ_OK);
    cr_assert_eq(head(store), 1);
    aq_store_close(store);
    cr_assert_eq(mkdir(scratch_file("full"), 0755), 0);
    scratch_write(scratch_file("full/thesis.doc"), "x", 1);
    open_home("full", true, AQ_INVALID);
    open_home("full", false, AQ_NOT_FOUND);
}

/* A store begun anew in its place would have gc remove the data. */
Test(store, data_without_a_catalog_is_not_begun_anew)
{
    scratch_make();
    aq_store_close(open_home("home", true, AQ_OK));
    scratch_write(scratch_file("home/archives/00000000000000000002.aqa"), "x", 1);
    aq_store_close(open_home("home", true, AQ_OK));
    cr_assert_eq(unlink(scratch_file("home/catalog/00000000000000000001")), 0);
    cr_assert_eq(unlink(scratch_file("home/catalog/latest")), 0);
    open_home("home", true, AQ_CORRUPT);
    open_home("home", true, AQ_CORRUPT);
    cr_assert_eq(unlink(scratch_file("home/archives/00000000000000000002.aqa")), 0);
    aq_store_close(open_home("home", true, AQ_OK));
}

Test(store, identity_is_kept)
{
    scratch_make();
    struct aq_store *store = open_home("home", true, AQ_OK);
    const struct aq_catalog *first = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &first, NULL), AQ_OK);
    struct aq_store *again = open_home("home", true, AQ_OK);
    const struct aq_catalog *second = NULL;
    cr_assert_eq(aq_store_catalog(again, false, &second, NULL), AQ_OK);
    cr_assert_eq(memcmp(&first->store_id, &second->store_id, sizeof first->store_id), 0);
    cr_assert_eq(first->checksum, second->checksum);
    aq_catalog_release(first);
    aq_catalog_release(second);
    aq_store_close(store);
    aq_store_close(again);
}

Test(store, declarations_are_versions)
{
    scratch_make();
    struct aq_store *store = open_home("home", true, AQ_OK);
    struct aq_schema three = city_schema(3);
    const struct aq_schema *recorded = NULL;
    const struct aq_schema *rejects = NULL;
    cr_assert_eq(aq_store_declare(store, &three, &recorded, &rejects, NULL), AQ_OK);
    cr_assert_eq(recorded->version, 1);
    cr_assert_str_eq(rejects->dataset, "air_rejects");
    cr_assert_eq(rejects->rejects_of, recorded->dataset_id);
    uint64_t number = head(store);
    cr_assert_eq(aq_store_declare(store, &three, &recorded, &rejects, NULL), AQ_OK);
    cr_assert_eq(head(store), number, "the same declaration is no edit");

    struct aq_schema four = city_schema(4);
    cr_assert_eq(aq_store_declare(store, &four, &recorded, &rejects, NULL), AQ_OK);
    cr_assert_eq(recorded->version, 2);
    cr_assert_eq(recorded->column_count, 4);
    uint32_t pm25_id = recorded->columns[3].id;
    cr_assert_eq(aq_store_declare(store, &three, &recorded, &rejects, NULL), AQ_OK);
    cr_assert_eq(recorded->version, 3);
    cr_assert_eq(recorded->column_count, 4);
    cr_assert(recorded->columns[3].hidden);
    cr_assert_eq(aq_store_declare(store, &four, &recorded, &rejects, NULL), AQ_OK);
    cr_assert(!recorded->columns[3].hidden);
    cr_assert_eq(recorded->columns[3].id, pm25_id);
    aq_store_close(store);
}

Test(store, changes_that_files_contradict_are_refused)
{
    scratch_make();
    struct aq_store *store = open_home("home", true, AQ_OK);
    struct aq_schema schema = city_schema(3);
    const struct aq_schema *recorded = NULL;
    const struct aq_schema *rejects = NULL;
    cr_assert_eq(aq_store_declare(store, &schema, &recorded, &rejects, NULL), AQ_OK);
    struct aq_error err = {0};
    city_columns[2].type = AQ_TYPE_DOUBLE;
    cr_assert_eq(aq_store_declare(store, &schema, &recorded, &rejects, &err), AQ_INVALID);
    cr_assert_not_null(strstr(err.message, "\"aqi\""), "%s", err.message);
    city_columns[2].type = AQ_TYPE_INTEGER;
    schema.key_column = AQ_COLUMN_NONE;
    cr_assert_eq(aq_store_declare(store, &schema, &recorded, &rejects, &err), AQ_INVALID);
    schema = city_schema(3);
    schema.slot = AQ_SLOT_HOUR;
    cr_assert_eq(aq_store_declare(store, &schema, &recorded, &rejects, &err), AQ_INVALID);
    schema = city_schema(3);
    schema.dataset = "air_rejects";
    cr_assert_eq(aq_store_declare(store, &schema, &recorded, &rejects, &err), AQ_INVALID);
    aq_store_close(store);
}

Test(store, views)
{
    scratch_make();
    struct aq_store *store = open_home("home", true, AQ_OK);
    cr_assert_eq(aq_store_declare_view(store, "v", "SELECT 1", NULL), AQ_OK);
    uint64_t number = head(store);
    cr_assert_eq(aq_store_declare_view(store, "v", "SELECT 1", NULL), AQ_OK);
    cr_assert_eq(head(store), number);
    cr_assert_eq(aq_store_declare_view(store, "v", "SELECT 2", NULL), AQ_OK);
    aq_store_close(store);
    store = open_home("home", false, AQ_OK);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    cr_assert(aq_slice_equal(aq_catalog_view(catalog, "v")->sql, aq_slice_of("SELECT 2")));
    aq_catalog_release(catalog);
    cr_assert_eq(aq_store_declare_view(store, "v", "", NULL), AQ_OK);
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    cr_assert_null(aq_catalog_view(catalog, "v"));
    aq_catalog_release(catalog);
    aq_store_close(store);
}

Test(store, read_only_refuses_commits)
{
    scratch_make();
    aq_store_close(open_home("home", true, AQ_OK));
    struct aq_store *store = NULL;
    struct aq_store_options options = {.home = scratch_file("home"), .read_only = true};
    cr_assert_eq(aq_store_open(&options, &store, NULL), AQ_OK);
    cr_assert_eq(aq_store_declare_view(store, "v", "SELECT 1", NULL), AQ_INVALID);
    aq_store_close(store);
}

/* Each process adds views of its own; every commit of every process is there in the end. */
Test(store, committers_race)
{
    scratch_make();
    aq_store_close(open_home("home", true, AQ_OK));
    enum { RACERS = 8, COMMITS = 80 };
    pid_t racers[RACERS];
    for (int r = 0; r < RACERS; r++) {
        racers[r] = scratch_fork();
        if (racers[r] == 0) {
            struct aq_store *store = open_home("home", false, AQ_OK);
            for (int i = 0; i < COMMITS; i++) {
                char name[32];
                snprintf(name, sizeof name, "v%d_%d", r, i);
                if (aq_store_declare_view(store, name, "SELECT 1", NULL) != AQ_OK)
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (int r = 0; r < RACERS; r++) {
        int result;
        cr_assert_eq(waitpid(racers[r], &result, 0), racers[r]);
        cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    }
    struct aq_store *store = open_home("home", false, AQ_OK);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    cr_assert_eq(catalog->number, 1 + RACERS * COMMITS);
    cr_assert_eq(catalog->view_count, RACERS * COMMITS);
    aq_catalog_release(catalog);
    aq_store_close(store);
}

Test(store, creators_race)
{
    scratch_make();
    enum { RACERS = 6 };
    pid_t racers[RACERS];
    for (int r = 0; r < RACERS; r++) {
        racers[r] = scratch_fork();
        if (racers[r] == 0) {
            aq_store_close(open_home("home", true, AQ_OK));
            _exit(0);
        }
    }
    for (int r = 0; r < RACERS; r++) {
        int result;
        cr_assert_eq(waitpid(racers[r], &result, 0), racers[r]);
        cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    }
    struct aq_store *store = open_home("home", false, AQ_OK);
    cr_assert_eq(head(store), 1);
    aq_store_close(store);
}

Test(store, locks_exclude)
{
    scratch_make();
    struct aq_store *store = open_home("home", true, AQ_OK);
    struct aq_store_lock *shared_a = NULL;
    struct aq_store_lock *shared_b = NULL;
    struct aq_store_lock *exclusive = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_lock(store, "gc", false, &shared_a, NULL), AQ_OK);
    cr_assert_eq(aq_store_lock(store, "gc", false, &shared_b, NULL), AQ_OK);
    cr_assert_eq(aq_store_lock(store, "gc", true, &exclusive, &err), AQ_CONFLICT);
    cr_assert_not_null(strstr(err.path, "locks/gc"));
    aq_store_unlock(shared_a);
    aq_store_unlock(shared_b);
    cr_assert_eq(aq_store_lock(store, "gc", true, &exclusive, NULL), AQ_OK);
    cr_assert_eq(aq_store_lock(store, "gc", false, &shared_a, NULL), AQ_CONFLICT);
    aq_store_unlock(exclusive);
    aq_store_close(store);
}

/* The edit is there, and a later sync that succeeds would prove nothing about it: this process must not
 * build on it, whatever the reason was. */
Test(store, a_commit_that_failed_behind_its_link_is_the_last)
{
    static const int reasons[] = {EIO, ENOSPC, EDQUOT, ENOMEM};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        char home[16];
        scratch_make();
        snprintf(home, sizeof home, "home-%zu", i);
        struct aq_store *store = open_home(home, true, AQ_OK);
        cr_assert_eq(aq_store_declare_view(store, "a", "SELECT 1", NULL), AQ_OK);
        directory_sync_errno = reasons[i];
        enum aq_status status = aq_store_declare_view(store, "b", "SELECT 2", NULL);
        directory_sync_errno = 0;
        cr_assert_lt(status, AQ_OK);
        struct aq_error err = {0};
        cr_assert_eq(aq_store_declare_view(store, "c", "SELECT 3", &err), AQ_IO, "%s",
                     strerror(reasons[i]));
        cr_assert_not_null(strstr(err.message, "start again"), "%s", err.message);
        aq_store_close(store);
        store = open_home(home, false, AQ_OK);
        cr_assert_eq(aq_store_declare_view(store, "c", "SELECT 3", &err), AQ_OK, "%s", err.message);
        aq_store_close(store);
    }
}

/* One that failed before leaves everything as it was, and the process may try again. */
Test(store, a_commit_that_failed_before_its_link_may_be_repeated)
{
    scratch_make();
    struct aq_store *store = open_home("home", true, AQ_OK);
    uint64_t before = head(store);
    char catalog[512];
    char hidden[512];
    snprintf(catalog, sizeof catalog, "%s", scratch_file("home/catalog"));
    snprintf(hidden, sizeof hidden, "%s", scratch_file("home/hidden"));
    cr_assert_eq(rename(catalog, hidden), 0);
    cr_assert_lt(aq_store_declare_view(store, "b", "SELECT 2", NULL), AQ_OK);
    cr_assert_eq(rename(hidden, catalog), 0);
    cr_assert_eq(aq_store_declare_view(store, "b", "SELECT 2", NULL), AQ_OK);
    cr_assert_eq(head(store), before + 1);
    aq_store_close(store);
}
