/* gc: what no kept version of the catalog needs goes, beside whoever reads, writes and compacts. */
#include <sys/syscall.h>
#include <time.h>

#include "engine/store/catalog/catalog_log.h"
#include "engine/store/history/lease.h"
#include "tests/unit/compaction/air_fixture.h"

#define HOUR (3600 * AQ_US_PER_SECOND)

static int64_t wall_set_s; /* by how much somebody has set the clock */

/* In place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME)
        now->tv_sec += wall_set_s;
    return result;
}

static void remember_name(void *context, const char *name, uint64_t size_bytes)
{
    (void)size_bytes;
    snprintf(context, 64, "%s", name);
}

/* As seen `later_us` from now. */
static struct aq_gc_report gc_later(struct aq_store *store, int64_t later_us, int64_t history_us)
{
    struct aq_gc_report report;
    struct aq_error err = {0};
    struct aq_gc_options options = {
        .now_us = aq_clock_wall_us() + later_us, .history_us = history_us, .trust_clock = true};
    cr_assert_eq(aq_gc(store, &options, &report, &err), AQ_OK, "%s: %s", err.path, err.message);
    return report;
}

static enum aq_status try_gc(struct aq_store *store, bool trust_clock, struct aq_error *err)
{
    struct aq_gc_report report;
    struct aq_gc_options options = {
        .now_us = aq_clock_wall_us(), .history_us = 24 * HOUR, .trust_clock = trust_clock};
    *err = (struct aq_error){0};
    return aq_gc(store, &options, &report, err);
}

static uint64_t rows_of(struct aq_snapshot *snapshot, const struct air *air)
{
    const struct aq_unit *units;
    size_t unit_count;
    uint64_t rows = 0;
    struct aq_error err = {0};
    cr_assert_eq(aq_snapshot_units(snapshot, air->schema->dataset_id, &units, &unit_count, &err),
                 AQ_OK, "%s: %s", err.path, err.message);
    for (size_t i = 0; i < unit_count; i++)
        rows += units[i].row_count;
    return rows;
}

Test(gc, leaves_what_is_not_ours)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 2, 10);
    scratch_write(scratch_file("home/archives/thesis.doc"), "x", 1);
    scratch_write(scratch_file("home/archives/compact-000003.tmp"), "xyz", 3);
    /* The number is that of a segment; an archive of this number is nobody's. */
    scratch_write(scratch_file("home/archives/00000000000000000001.aqa"), "12345", 5);
    char name[64];
    struct aq_gc_report report;
    struct aq_gc_options options = {
        .now_us = aq_clock_wall_us(), .visit = remember_name, .context = name};
    cr_assert_eq(aq_gc(air.store, &options, &report, NULL), AQ_OK);
    cr_assert_eq(report.file_count, 2);
    cr_assert_eq(report.bytes, 3 + 5);
    cr_assert_str_eq(name, "archives/compact-000003.tmp");
    cr_assert_eq(access(scratch_file("home/archives/thesis.doc"), F_OK), 0);
    expect_all_rows(&air, false);
    aq_store_close(air.store);
}

/* A reader keeps the files of its version, and of no other. */
Test(gc, keeps_what_a_running_reader_needs)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 2, 10);
    compact(&air, &defaults);
    write_segment(&air, 1, 10);
    struct aq_store *reader = open_store("home", false);
    struct aq_snapshot *snapshot = NULL;
    cr_assert_eq(aq_snapshot_open(reader, &snapshot, NULL), AQ_OK);
    uint64_t version = aq_snapshot_catalog(snapshot)->number;
    write_segment(&air, 1, 10);
    compact(&air, &defaults);
    unsigned archives = count_files("home/archives", ".aqa");
    /* The first segment was replaced before the reader came. */
    struct aq_gc_report report = gc_now(air.store, false);
    cr_assert(report.leased);
    cr_assert_eq(report.lease, version);
    cr_assert_eq(report.oldest, version);
    cr_assert_gt(report.kept_count, 0);
    cr_assert_eq(access(scratch_file("home/segments/00000000000000000001.seg"), F_OK), -1);
    cr_assert_eq(count_files("home/archives", ".aqa"), archives);
    cr_assert_eq(rows_of(snapshot, &air), 30);
    aq_snapshot_close(snapshot);
    report = gc_now(air.store, false);
    cr_assert(!report.leased);
    cr_assert_eq(report.kept_count, 0);
    cr_assert_lt(count_files("home/archives", ".aqa"), archives);
    cr_assert_eq(count_files("home/segments", ".seg"), 0);
    expect_all_rows(&air, true);
    aq_store_close(reader);
    aq_store_close(air.store);
}

Test(gc, goes_by_the_oldest_of_many_readers)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    struct aq_snapshot *snapshots[8] = {NULL};
    for (int i = 0; i < 8; i++) {
        write_segment(&air, 1, 10);
        compact(&air, &defaults);
        cr_assert_eq(aq_snapshot_open(air.store, &snapshots[i], NULL), AQ_OK);
    }
    for (int closed = 0; closed < 8; closed++) {
        struct aq_gc_report report = gc_now(air.store, false);
        cr_assert_eq(report.lease, aq_snapshot_catalog(snapshots[closed])->number);
        for (int i = closed; i < 8; i++)
            cr_assert_eq(rows_of(snapshots[i], &air), (uint64_t)(i + 1) * 10);
        aq_snapshot_close(snapshots[closed]);
    }
    cr_assert(!gc_now(air.store, false).leased);
    aq_store_close(air.store);
}

/* The kernel tells of any lock, not of the lowest. */
Test(gc, finds_the_oldest_lease_whoever_came_first)
{
    scratch_make();
    struct aq_store *store = open_store("home", true);
    static const uint64_t versions[] = {1000, 10, 500, 10, 700};
    struct aq_lease *leases[5];
    bool any;
    uint64_t oldest;
    for (int i = 0; i < 5; i++)
        cr_assert_eq(aq_lease_take(store, versions[i], &leases[i], NULL), AQ_OK);
    cr_assert_eq(aq_lease_oldest(store, &any, &oldest, NULL), AQ_OK);
    cr_assert(any && oldest == 10);
    aq_lease_move(leases[1], 600);
    aq_lease_release(leases[3]);
    cr_assert_eq(aq_lease_oldest(store, &any, &oldest, NULL), AQ_OK);
    cr_assert_eq(oldest, 500);
    aq_lease_move(leases[2], 400); /* not back */
    aq_lease_release(leases[2]);
    cr_assert_eq(aq_lease_oldest(store, &any, &oldest, NULL), AQ_OK);
    cr_assert_eq(oldest, 600);
    aq_lease_release(leases[0]);
    aq_lease_release(leases[1]);
    aq_lease_release(leases[4]);
    cr_assert_eq(aq_lease_oldest(store, &any, &oldest, NULL), AQ_OK);
    cr_assert(!any);
    aq_store_close(store);
}

/* Where no lease can be taken, gc waits as a whole. */
Test(gc, waits_for_a_reader_without_a_lease)
{
    scratch_make();
    struct air air = {0};
    struct aq_error err;
    air_open(&air, "home");
    cr_assert_eq(unlink(scratch_file("home/locks/leases")), 0);
    cr_assert_eq(symlink("leases", scratch_file("home/locks/leases")), 0); /* cannot be opened */
    struct aq_snapshot *snapshot = NULL;
    cr_assert_eq(aq_snapshot_open(air.store, &snapshot, NULL), AQ_OK);
    cr_assert_eq(try_gc(air.store, true, &err), AQ_CONFLICT);
    aq_snapshot_close(snapshot);
    cr_assert_eq(unlink(scratch_file("home/locks/leases")), 0);
    cr_assert_eq(try_gc(air.store, true, &err), AQ_OK, "%s", err.message);
    aq_store_close(air.store);
}

Test(gc, keeps_versions_for_their_history)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 2, 10);
    compact(&air, &defaults);
    struct aq_gc_report report = gc_later(air.store, 0, 24 * HOUR);
    cr_assert_eq(report.file_count, 0);
    cr_assert_eq(report.kept_count, 1);
    cr_assert_eq(report.oldest, 0);
    report = gc_later(air.store, 23 * HOUR, 24 * HOUR);
    cr_assert_eq(report.file_count, 0);
    report = gc_later(air.store, 25 * HOUR, 24 * HOUR);
    cr_assert_eq(report.oldest, report.head);
    cr_assert_eq(report.file_count, 1);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

static unsigned count_edits(void)
{
    return count_files("home/catalog", "") - 3; /* two dots, and the hint */
}

static void make_edits(struct aq_store *store, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char sql[32];
        snprintf(sql, sizeof sql, "SELECT %u", i);
        cr_assert_eq(aq_store_declare_view(store, "v", sql, NULL), AQ_OK);
    }
}

Test(gc, collects_edits_an_hour_after_a_checkpoint_covers_them)
{
    scratch_make();
    struct aq_store *store = open_store("home", true);
    make_edits(store, 3 * AQ_CHECKPOINT_EDITS + 9); /* 778 edits, 3 checkpoints */
    struct aq_gc_report report = gc_later(store, 0, 0);
    cr_assert_eq(report.edit_count + report.checkpoint_count, 0);
    report = gc_later(store, HOUR - 60 * AQ_US_PER_SECOND, 0);
    cr_assert_eq(report.edit_count + report.checkpoint_count, 0);
    cr_assert_eq(count_edits(), 778 + 3);
    report =
        gc_later(store, HOUR + 60 * AQ_US_PER_SECOND, 2 * HOUR); /* but of the last two hours */
    cr_assert_eq(report.edit_count + report.checkpoint_count, 0);
    report = gc_later(store, HOUR + 60 * AQ_US_PER_SECOND, 0);
    cr_assert_eq(report.edit_count, 768);
    cr_assert_eq(report.checkpoint_count, 2);
    cr_assert_eq(count_edits(), 10 + 1);
    cr_assert_eq(head(store), 778);
    make_edits(store, 5);
    struct aq_store *again = open_store("home", false);
    cr_assert_eq(head(again), 783);
    aq_store_close(again);
    aq_store_close(store);
}

/* The versions that somebody reads need their edits, too: gc itself reads them to know their files. */
Test(gc, keeps_the_edits_of_leased_versions)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 1, 10);
    struct aq_snapshot *snapshot = NULL;
    cr_assert_eq(aq_snapshot_open(air.store, &snapshot, NULL), AQ_OK);
    make_edits(air.store, 2 * AQ_CHECKPOINT_EDITS);
    compact(&air, &defaults);
    struct aq_gc_report report = gc_later(air.store, 2 * HOUR, 0);
    cr_assert_eq(report.edit_count, 0);
    cr_assert_eq(report.file_count, 0);
    cr_assert_eq(rows_of(snapshot, &air), 10);
    aq_snapshot_close(snapshot);
    report = gc_later(air.store, 2 * HOUR, 0);
    cr_assert_eq(report.edit_count, 2 * AQ_CHECKPOINT_EDITS);
    cr_assert_eq(report.file_count, 1);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

Test(gc, waits_when_the_clock_was_set)
{
    scratch_make();
    struct aq_error err;
    struct aq_store *store = open_store("home", true);
    cr_assert_eq(try_gc(store, false, &err), AQ_OK);
    cr_assert_eq(try_gc(store, false, &err), AQ_OK);
    wall_set_s = 3 * 365 * 86400; /* by years */
    cr_assert_eq(try_gc(store, false, &err), AQ_TEMPORARY);
    cr_assert_not_null(strstr(err.message, "--trust-clock"), "%s", err.message);
    /* An edit of today's does not make it believable. */
    make_edits(store, 1);
    cr_assert_eq(try_gc(store, false, &err), AQ_TEMPORARY);
    cr_assert_eq(try_gc(store, true, &err), AQ_OK);
    cr_assert_eq(try_gc(store, false, &err), AQ_OK);
    wall_set_s = 0; /* and back: the newest edit is of the future */
    cr_assert_eq(try_gc(store, false, &err), AQ_TEMPORARY);
    cr_assert_not_null(strstr(err.message, "newest edit"), "%s", err.message);
    make_edits(store, 2);
    cr_assert_eq(try_gc(store, false, &err), AQ_TEMPORARY);
    cr_assert_not_null(strstr(err.message, "by itself"), "%s", err.message);
    cr_assert_eq(try_gc(store, true, &err), AQ_OK);
    aq_store_close(store);
}

/* Steadily for as long as `history`: then everything from before is old enough, whatever its date. */
Test(gc, goes_on_by_itself_when_the_clock_has_been_steady)
{
    scratch_make();
    struct aq_error err;
    struct aq_store *store = open_store("home", true);
    cr_assert_eq(try_gc(store, false, &err), AQ_OK);
    wall_set_s = 400 * 86400;
    cr_assert_eq(try_gc(store, false, &err), AQ_TEMPORARY);
    /* A note as that run left it, a day ago by both clocks. */
    char line[256];
    char boot_id[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    cr_assert(file != NULL && fscanf(file, "%36s", boot_id) == 1);
    fclose(file);
    int64_t day = 25 * HOUR;
    int64_t wall_us = aq_clock_wall_us();
    int length =
        snprintf(line, sizeof line, "aqstore clock %lld %lld %lld %s", (long long)(wall_us - day),
                 (long long)(aq_clock_boot_us() - day), (long long)(wall_us - HOUR), boot_id);
    snprintf(line + length, sizeof line - (size_t)length, " %016llx\n",
             (unsigned long long)aq_checksum(line, (size_t)length));
    scratch_write(scratch_file("home/locks/clock"), line, strlen(line));
    cr_assert_eq(try_gc(store, false, &err), AQ_OK, "%s", err.message);
    aq_store_close(store);
}

/* A clock that was years ahead for a while has left an edit that seems to come from there. */
Test(gc, an_edit_of_the_future_is_as_old_as_the_one_behind_it)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 1, 10);
    wall_set_s = 10 * 365 * 86400;
    compact(&air, &defaults);
    wall_set_s = 0;
    make_edits(air.store, 1);
    struct aq_gc_report report = gc_later(air.store, 0, 24 * HOUR);
    cr_assert_eq(report.file_count, 0);
    report = gc_later(air.store, 25 * HOUR, 24 * HOUR);
    cr_assert_eq(report.file_count, 1);
    aq_store_close(air.store);
}

/* As when an old copy of the catalog was put in its place. */
Test(gc, removes_nothing_that_an_older_catalog_has_not_heard_of)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 2, 10);
    scratch_write(scratch_file("home/archives/compact-000003.tmp"), "xyz", 3);
    scratch_write(scratch_file("home/segments/00000000000000000099.seg"), "rows", 4);
    struct aq_gc_report report;
    struct aq_error err = {0};
    struct aq_gc_options options = {.now_us = aq_clock_wall_us()};
    cr_assert_eq(aq_gc(air.store, &options, &report, &err), AQ_CORRUPT);
    cr_assert_str_eq(err.path, "segments/00000000000000000099.seg");
    cr_assert_eq(report.file_count, 0);
    cr_assert_eq(access(scratch_file("home/segments/00000000000000000099.seg"), F_OK), 0);
    cr_assert_eq(unlink(scratch_file("home/segments/00000000000000000099.seg")), 0);
    cr_assert_eq(gc_now(air.store, false).file_count, 1);
    aq_store_close(air.store);
}

/* An archive that a living compaction is about to name is nobody's yet. */
Test(gc, leaves_what_a_running_compaction_makes)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 2, 10);
    compact(&air, &defaults);
    struct aq_store_lock *outputs = NULL;
    cr_assert_eq(aq_gc_keep_outputs(air.store, &outputs, NULL), AQ_OK);
    scratch_write(scratch_file("home/archives/compact-000003.tmp"), "xyz", 3);
    scratch_write(scratch_file("home/archives/00000000000000000077.aqa"), "12345", 5);
    struct aq_gc_report report = gc_now(air.store, false);
    cr_assert(report.compacting);
    cr_assert_eq(report.file_count, 1); /* the segment */
    aq_store_unlock(outputs);
    report = gc_now(air.store, false);
    cr_assert_eq(report.file_count, 2);
    cr_assert_eq(report.bytes, 3 + 5);
    aq_store_close(air.store);
}
