/* Compactions and gc, killed before each change that they make to the home; and compactors whose lock has failed them.
 * AQ_KILL_ALL=1: before each removal of an edit, too, of which there are hundreds. */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/store/catalog/catalog_log.h"
#include "tests/unit/compaction/air_fixture.h"

#define HOUR (3600 * AQ_US_PER_SECOND)

static bool armed; /* in the child that is to be killed */
static unsigned changes_left;
static bool locks_off;
static unsigned *gate;      /* shared: compactors that have come to publishing their archives */
static unsigned gate_count; /* how many wait for each other there */

static void change(void)
{
    if (armed && __atomic_fetch_sub(&changes_left, 1, __ATOMIC_RELAXED) == 0)
        raise(SIGKILL);
}

/* In place of the C library's: all that compaction and gc change files by. */
ssize_t write(int fd, const void *data, size_t size)
{
    change();
    return syscall(SYS_write, fd, data, size);
}

int fsync(int fd)
{
    change();
    return (int)syscall(SYS_fsync, fd);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    change();
    return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    change();
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    change();
    if (gate_count > 0) {
        unsigned all = gate_count;
        gate_count = 0;
        __atomic_add_fetch(gate, 1, __ATOMIC_ACQ_REL);
        for (int ms = 0; ms < 60000 && __atomic_load_n(gate, __ATOMIC_ACQUIRE) < all; ms++)
            usleep(1000);
    }
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int unlinkat(int folder, const char *name, int flags)
{
    change();
    return (int)syscall(SYS_unlinkat, folder, name, flags);
}

int flock(int fd, int operation)
{
    return locks_off ? 0 : (int)syscall(SYS_flock, fd, operation);
}

static void copy_home(const char *from, const char *to)
{
    char command[2400];
    char target[512];
    snprintf(target, sizeof target, "%s", scratch_file(to));
    snprintf(command, sizeof command, "rm -rf %s && cp -a %s %s", target, scratch_file(from),
             target);
    cr_assert_eq(system(command), 0);
}

/* Two hours on: what is not needed goes, edits too. */
static struct aq_gc_report gc_all(struct aq_store *store)
{
    struct aq_gc_report report;
    struct aq_error err = {0};
    struct aq_gc_options options = {.now_us = aq_clock_wall_us() + 2 * HOUR, .trust_clock = true};
    cr_assert_eq(aq_gc(store, &options, &report, &err), AQ_OK, "%s: %s", err.path, err.message);
    return report;
}

/* Exactly the files of the head, and nothing temporary. */
static void expect_no_orphan(struct aq_store *store)
{
    const struct aq_catalog *catalog = NULL;
    unsigned archives = 0;
    unsigned segments = 0;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, NULL), AQ_OK);
    for (size_t i = 0; i < catalog->file_count; i++) {
        archives += catalog->files[i].kind == AQ_FILE_ARCHIVE;
        segments += catalog->files[i].kind == AQ_FILE_SEGMENT;
    }
    aq_catalog_release(catalog);
    cr_assert_eq(count_files("home/archives", ""), archives + 2); /* and two dots */
    cr_assert_eq(count_files("home/segments", ".seg"), segments);
}

static void expect_converged(struct air *air, bool compacted)
{
    air_open(air, "home");
    expect_all_rows(air, false);
    gc_all(air->store);
    expect_no_orphan(air->store);
    expect_all_rows(air, false);
    if (!compacted) {
        compact(air, &defaults);
        gc_all(air->store);
        expect_no_orphan(air->store);
        expect_all_rows(air, true);
    }
    aq_store_close(air->store);
}

static bool was_killed(pid_t child)
{
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "exit %d", WEXITSTATUS(status));
    return WIFSIGNALED(status);
}

static bool compact_until_killed(unsigned change_number)
{
    pid_t child = scratch_fork();
    if (child == 0) {
        struct aq_store *store = open_store("home", false);
        struct aq_compact_report report;
        changes_left = change_number;
        armed = true;
        enum aq_status status = aq_compact(store, &defaults, &report, NULL);
        _exit(status == AQ_OK ? 0 : 1);
    }
    return was_killed(child);
}

Test(gc_kills, a_compaction_killed_anywhere_changes_nothing)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "template");
    write_segment(&air, 10, 20);
    compact(&air, &defaults);
    write_segment(&air, 4, 20);
    write_segment(&air, 3, 20);
    aq_store_close(air.store);
    unsigned number = 0;
    for (bool killed = true; killed; number++) {
        copy_home("template", "home");
        killed = compact_until_killed(number);
        expect_converged(&air, false);
    }
    cr_assert_gt(number, 10);
}

static bool gc_until_killed(unsigned change_number)
{
    pid_t child = scratch_fork();
    if (child == 0) {
        struct aq_store *store = open_store("home", false);
        changes_left = change_number;
        armed = true;
        gc_all(store);
        _exit(0);
    }
    return was_killed(child);
}

Test(gc_kills, a_gc_killed_anywhere_loses_nothing)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "template");
    for (unsigned i = 0; i < 2 * AQ_CHECKPOINT_EDITS; i++) {
        char sql[32];
        snprintf(sql, sizeof sql, "SELECT %u", i);
        cr_assert_eq(aq_store_declare_view(air.store, "v", sql, NULL), AQ_OK);
    }
    write_segment(&air, 5, 20);
    compact(&air, &defaults);
    write_segment(&air, 4, 20);
    scratch_write(scratch_file("template/archives/compact-0123456789abcdef.tmp"), "x", 1);
    scratch_write(scratch_file("template/archives/00000000000000000099.aqa"), "x", 1);
    aq_store_close(air.store);
    bool all = getenv("AQ_KILL_ALL") != NULL;
    unsigned kills = 0;
    bool killed = true;
    for (unsigned number = 0; killed; number += all || number < 20 ? 1 : 61, kills++) {
        copy_home("template", "home");
        killed = gc_until_killed(number);
        expect_converged(&air, true);
    }
    cr_assert_gt(kills, 15);
}

static void compact_unlocked(unsigned count)
{
    locks_off = true;
    gate_count = count;
    struct aq_store *store = open_store("home", false);
    struct aq_compact_report report;
    struct aq_error err = {0};
    enum aq_status status = aq_compact(store, &defaults, &report, &err);
    if (status != AQ_OK && status != AQ_CONFLICT)
        fprintf(stderr, "%s: %s\n", err.path, err.message);
    _exit(status == AQ_OK ? 0 : aq_status_exit_code(status));
}

/* On the same inputs, all with their archives made and the edit built: one says what counts, and the others leave
 * nothing behind after gc. */
Test(gc_kills, of_compactors_whose_lock_failed_them_one_commits)
{
    enum { COMPACTORS = 16 };
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 10, 40);
    write_segment(&air, 10, 40);
    uint64_t before = head(air.store);
    pid_t children[COMPACTORS];
    unsigned committed = 0;
    unsigned gave_up = 0;
    gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(gate, MAP_FAILED);
    for (int i = 0; i < COMPACTORS; i++) {
        children[i] = scratch_fork();
        if (children[i] == 0)
            compact_unlocked(COMPACTORS);
    }
    for (int i = 0; i < COMPACTORS; i++) {
        int status;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        committed += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        gave_up += WIFEXITED(status) && WEXITSTATUS(status) == 4;
    }
    cr_assert_eq(committed, 1, "%u", committed);
    cr_assert_eq(gave_up, COMPACTORS - 1, "%u", gave_up);
    cr_assert_eq(head(air.store), before + 1);
    expect_all_rows(&air, true);
    cr_assert_geq(gc_all(air.store).file_count, COMPACTORS - 1);
    expect_no_orphan(air.store);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
    munmap(gate, sizeof *gate);
}
