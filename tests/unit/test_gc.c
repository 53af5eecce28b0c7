/* gc: what the catalog does not name goes, unless somebody may still need it. */
#include "tests/unit/air_fixture.h"

static void remember_name(void *context, const char *name, uint64_t size_bytes)
{
    (void)size_bytes;
    snprintf(context, 64, "%s", name);
}

Test(gc, waits_for_readers_and_leaves_what_is_not_ours)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 2, 10);
    scratch_write(scratch_file("home/archives/thesis.doc"), "x", 1);
    scratch_write(scratch_file("home/archives/compact-000003.tmp"), "xyz", 3);
    /* The number is that of a segment; an archive of this number is nobody's. */
    scratch_write(scratch_file("home/archives/00000000000000000001.aqa"), "12345", 5);
    struct aq_snapshot *snapshot = NULL;
    struct aq_gc_report report;
    struct aq_store *reader = open_store("home", false);
    cr_assert_eq(aq_snapshot_open(reader, &snapshot, NULL), AQ_OK);
    cr_assert_eq(aq_gc(air.store, false, NULL, NULL, &report, NULL), AQ_CONFLICT);
    aq_snapshot_close(snapshot);
    char name[64];
    cr_assert_eq(aq_gc(air.store, false, remember_name, name, &report, NULL), AQ_OK);
    cr_assert_eq(report.file_count, 2);
    cr_assert_eq(report.bytes, 3 + 5);
    cr_assert_str_eq(name, "archives/compact-000003.tmp");
    cr_assert_eq(access(scratch_file("home/archives/thesis.doc"), F_OK), 0);
    expect_all_rows(&air, false);
    aq_store_close(reader);
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
    cr_assert_eq(aq_gc(air.store, false, NULL, NULL, &report, &err), AQ_CORRUPT);
    cr_assert_str_eq(err.path, "segments/00000000000000000099.seg");
    cr_assert_eq(report.file_count, 0);
    cr_assert_eq(access(scratch_file("home/segments/00000000000000000099.seg"), F_OK), 0);
    cr_assert_eq(unlink(scratch_file("home/segments/00000000000000000099.seg")), 0);
    cr_assert_eq(aq_gc(air.store, false, NULL, NULL, &report, NULL), AQ_OK);
    cr_assert_eq(report.file_count, 1);
    aq_store_close(air.store);
}
