/* Memory that runs out: each call for memory fails in turn, alone and with all that follow it, while a store is opened,
 * recovered, read, and read on in. Each time it is said, or nothing depended on it and the result is right; what was got is given back; and
 * after a recovery that gave up another one finds all that was there. */
#include "engine/store/catalog/catalog_log.h"
#include "tests/sim/scarce_memory.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/feed/feed_world.h"

enum { COLUMNS_MAX = 16 };

static uint32_t topic_id; /* the dataset's */

/* What a deed finds, to be compared. */
struct found {
    uint64_t number; /* of the catalog */
    uint64_t row_count;
    uint64_t sum;
};

typedef enum aq_status deed_fn(struct aq_store *store, struct found *found, struct aq_error *err);

static enum aq_status look(struct aq_store *store, struct found *found, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    found->number = catalog->number;
    aq_catalog_release(catalog);
    return AQ_OK;
}

static enum aq_status recover(struct aq_store *store, struct found *found, struct aq_error *err)
{
    struct aq_recovery_report report;
    AQ_TRY(aq_store_recover(store, &report, err));
    found->row_count = report.row_count;
    return look(store, found, err);
}

/* Another process commits; this one reads on. */
static enum aq_status follow(struct aq_store *store, struct found *found, struct aq_error *err)
{
    struct aq_store *other = NULL;
    struct aq_store_options options = {.home = aq_store_home(store), .io = AQ_IO_POSIX};
    scarce_pause(true);
    bool committed = aq_store_open(&options, &other, NULL) == AQ_OK &&
                     aq_store_declare_view(other, "v", "SELECT 2", NULL) == AQ_OK;
    aq_store_close(other);
    scarce_pause(false);
    return committed ? look(store, found, err) : aq_error_set(err, AQ_INVALID, "no commit");
}

/* Where the feeds stand: in the catalog, and in what dead owners left open. */
static enum aq_status find_feeds(struct aq_store *store, struct found *found, struct aq_error *err)
{
    for (int32_t p = 0; p < TOPIC_PARTITIONS; p++) {
        struct aq_feed_state feed = {.identity = {.dataset_id = topic_id,
                                                  .source = aq_slice_of("live"),
                                                  .name = aq_slice_of("topic"),
                                                  .cluster = aq_slice_of("cluster"),
                                                  .partition = p}};
        AQ_TRY(aq_store_find_feed(store, &feed, err));
        found->sum += feed.position.next_ordinal * (uint64_t)(p + 1);
        found->row_count += feed.position.row_count;
    }
    return AQ_OK;
}

static void add_rows(const struct aq_schema *schema, const struct aq_batch *batch,
                     struct found *found)
{
    for (size_t c = 0; c < schema->column_count; c++) {
        for (size_t row = 0; row < batch->row_count; row++)
            found->sum += schema->columns[c].type == AQ_TYPE_BIGINT
                              ? (uint64_t)batch->columns[c].ints[row] * (c + 1)
                              : 1;
    }
    found->row_count += batch->row_count;
}

static enum aq_status read_units(struct aq_snapshot *snapshot, const struct aq_schema *schema,
                                 struct aq_batch *batch, struct found *found, struct aq_error *err)
{
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    uint32_t ids[COLUMNS_MAX];
    for (size_t i = 0; i < schema->column_count; i++)
        ids[i] = schema->columns[i].id;
    AQ_TRY(aq_snapshot_partitions(snapshot, schema->dataset_id, err));
    AQ_TRY(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, err));
    for (size_t i = 0; i < unit_count; i++) {
        AQ_TRY(aq_unit_read(snapshot, &units[i], ids, batch, err));
        add_rows(schema, batch, found);
    }
    return AQ_OK;
}

static enum aq_status read_datasets(struct aq_snapshot *snapshot, struct found *found,
                                    struct aq_error *err)
{
    static const char *const names[] = {"topic", "topic_rejects"};
    const struct aq_catalog *catalog = aq_snapshot_catalog(snapshot);
    enum aq_status status = AQ_OK;
    found->number = catalog->number;
    for (size_t i = 0; status == AQ_OK && i < 2; i++) {
        const struct aq_schema *schema = aq_catalog_schema(catalog, names[i]);
        struct aq_batch batch;
        if (aq_schema_batch_init(schema, false, &batch) != AQ_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        status = read_units(snapshot, schema, &batch, found, err);
        aq_batch_deinit(&batch);
    }
    return status;
}

static enum aq_status read_all(struct aq_store *store, struct found *found, struct aq_error *err)
{
    struct aq_snapshot *snapshot = NULL;
    AQ_TRY(aq_snapshot_open(store, &snapshot, err));
    enum aq_status status = read_datasets(snapshot, found, err);
    aq_snapshot_close(snapshot);
    return status;
}

static enum aq_status with_store(deed_fn *deed, struct found *found, struct aq_error *err)
{
    char home[512];
    snprintf(home, sizeof home, "%s", scratch_file("cut"));
    struct aq_store *store = NULL;
    struct aq_store_options options = {.home = home, .io = AQ_IO_POSIX, .recovery_thread_count = 1};
    *found = (struct found){0};
    AQ_TRY(aq_store_open(&options, &store, err));
    enum aq_status status = deed(store, found, err);
    aq_store_close(store);
    return status;
}

/* A checkpoint, and a hint that names it: the catalog is read from there. */
static void leave_checkpoint(struct aq_store *store)
{
    struct aq_object_store *objects = NULL;
    const struct aq_catalog *catalog = feed_catalog(store);
    cr_assert_eq(aq_object_open_dir(aq_store_home(store), false, &objects, NULL), AQ_OK);
    cr_assert_eq(aq_catalog_put_checkpoint(objects, catalog, false, NULL), AQ_OK);
    cr_assert_eq(aq_catalog_put_latest(objects, catalog->number, catalog->number, NULL), AQ_OK);
    aq_object_close(objects);
    aq_catalog_release(catalog);
}

/* On the simulated disk, for copies of it: an archive, sealed segments, two that dead owners left open, one of them with rows that
 * are masked. */
static void make_store(void)
{
    struct owner one;
    struct owner other;
    scratch_make();
    cr_assert_eq(mkdir(scratch_file("home"), 0755), 0);
    sim_begin(scratch_file("home"), 1);
    feed_io = AQ_IO_SIM;
    owner_begin(&one, BIG);
    owner_begin(&other, BIG);
    assert(one.schema != NULL);
    topic_id = one.schema->dataset_id;
    owner_take_ok(&one, 15);
    owner_append(&one, 15, 20);
    owner_seal(&one);
    compact_all(one.store);
    owner_append(&one, 15, 10);
    owner_seal(&one);
    leave_checkpoint(one.store);
    cr_assert_eq(aq_store_declare_view(one.store, "v", "SELECT 1", NULL), AQ_OK);
    owner_append(&one, 15, 10);
    owner_flush(&one);
    owner_take_ok(&other, 3);
    owner_append(&other, 3, 10);
    owner_append(&one, 15, 10);
    owner_flush(&one);
    owner_flush(&other);
    cr_assert_gt(mask_count(one.store), 0);
    owner_end(&one);
    owner_end(&other);
}

static void copy_store(void)
{
    char target[512];
    snprintf(target, sizeof target, "%s", scratch_file("cut"));
    nftw(target, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    sim_cut(target, 1);
}

/* The whole store after `deed`, which may have changed it. */
static void expect_whole(const struct found *whole)
{
    struct found found;
    struct aq_error err = {0};
    cr_assert_eq(with_store(recover, &found, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(with_store(read_all, &found, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(found.row_count, whole->row_count);
    cr_assert_eq(found.sum, whole->sum);
}

/* False: nothing was left to fail. */
static bool try_with(deed_fn *deed, uint64_t failing, bool forever, const struct found *wanted)
{
    struct found found;
    struct aq_error err = {0};
    uint64_t left = 0;
    scarce_begin(failing, forever);
    enum aq_status status = with_store(deed, &found, &err);
    bool failed = scarce_end(&left);
    cr_assert_eq(left, 0, "call %llu: %llu blocks are lost (%s)", (unsigned long long)failing,
                 (unsigned long long)left, err.message);
    if (status == AQ_OK)
        cr_assert_eq(memcmp(&found, wanted, sizeof found), 0, "call %llu: it found less",
                     (unsigned long long)failing);
    else
        cr_assert(failed && status == AQ_NO_MEMORY && err.message[0] != '\0',
                  "call %llu: %d, \"%s\"", (unsigned long long)failing, (int)status, err.message);
    return failed;
}

static void run_out(deed_fn *deed, bool changes)
{
    struct found whole;
    struct found wanted;
    make_store();
    copy_store();
    cr_assert_eq(with_store(read_all, &whole, NULL), AQ_OK);
    cr_assert_gt(whole.row_count, 100);
    cr_assert_eq(with_store(deed, &wanted, NULL), AQ_OK);
    for (int forever = 0; forever < 2; forever++) {
        bool failed = true;
        for (uint64_t failing = 1; failed; failing++) {
            if (changes)
                copy_store();
            failed = try_with(deed, failing, forever, &wanted);
            if (changes && failing % 16 == 0)
                expect_whole(&whole);
            if (!failed)
                cr_log_info("%llu calls for memory", (unsigned long long)failing - 1);
        }
    }
    expect_whole(&whole);
    sim_end();
}

Test(no_memory, to_open_a_store)
{
    run_out(look, false);
}

Test(no_memory, to_recover)
{
    run_out(recover, true);
}

Test(no_memory, to_read)
{
    run_out(read_all, false);
}

Test(no_memory, to_read_on)
{
    run_out(follow, true);
}

Test(no_memory, to_find_feeds)
{
    run_out(find_feeds, false);
}
