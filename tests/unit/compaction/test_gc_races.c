/* A writer, two compactors, the tier, gc and readers at once: each reader sees one snapshot with at least the rows that
 * were durable before it began, counts never fall, no file goes away under anybody.
 * AQ_SOAK_MINUTES=60: for so long instead of a second; worth it in the build for ThreadSanitizer. */
#include <pthread.h>
#include <stdarg.h>

#include "tests/unit/compaction/tier_fixture.h"

enum { READERS = 2, COMPACTORS = 2 };

static struct {
    struct air *air;
    struct aq_object_store *bucket;
    uint64_t durable_rows; /* atomic */
    bool stop;             /* atomic */
    char failure[512];     /* the first one; under `lock` */
    pthread_mutex_t lock;
    unsigned read_count; /* atomic, as are the next three */
    unsigned compaction_count;
    unsigned tier_count;
    unsigned removed_count;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* An assertion may fail in the main thread only. */
static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&all.lock);
    if (all.failure[0] == '\0')
        vsnprintf(all.failure, sizeof all.failure, format, arguments);
    pthread_mutex_unlock(&all.lock);
    va_end(arguments);
    __atomic_store_n(&all.stop, true, __ATOMIC_RELEASE);
}

static bool stopped(void)
{
    return __atomic_load_n(&all.stop, __ATOMIC_ACQUIRE);
}

static void expect(const char *who, enum aq_status status, bool may_conflict,
                   const struct aq_error *err)
{
    if (status < 0 && !(may_conflict && status == AQ_CONFLICT))
        fail("%s: %s: %s: %s", who, aq_status_text(status), err->path, err->message);
}

static struct aq_store *open_own(void)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    char home[512];
    snprintf(home, sizeof home, "%s/home", scratch_path);
    struct aq_store_options options = {.home = home, .bucket = all.bucket, .io = AQ_IO_POSIX};
    enum aq_status status = aq_store_open(&options, &store, &err);
    expect("opening", status, false, &err);
    return store;
}

static void *run_compactor(void *unused)
{
    (void)unused;
    struct aq_store *store = open_own();
    while (store != NULL && !stopped()) {
        struct aq_compact_report report;
        struct aq_error err = {0};
        enum aq_status status = aq_compact(store, &defaults, &report, &err);
        expect("compaction", status, true, &err);
        if (status == AQ_OK)
            __atomic_add_fetch(&all.compaction_count, 1, __ATOMIC_RELAXED);
        usleep(1000);
    }
    aq_store_close(store);
    return NULL;
}

static void *run_gc(void *unused)
{
    (void)unused;
    struct aq_store *store = open_own();
    while (store != NULL && !stopped()) {
        struct aq_gc_report report;
        struct aq_error err = {0};
        struct aq_gc_options options = {.now_us = aq_clock_wall_us(), .trust_clock = true};
        enum aq_status status = aq_gc(store, &options, &report, &err);
        expect("gc", status, true, &err);
        if (status == AQ_OK)
            __atomic_add_fetch(&all.removed_count, (unsigned)report.file_count, __ATOMIC_RELAXED);
        usleep(20000); /* without a pause no compaction would get its lock */
    }
    aq_store_close(store);
    return NULL;
}

static void *run_tier(void *unused)
{
    (void)unused;
    struct aq_store *store = open_own();
    while (store != NULL && !stopped()) {
        struct aq_tier_report report;
        struct aq_error err = {0};
        struct aq_tier_options options = everything(all.bucket);
        enum aq_status status = aq_tier(store, &options, &report, &err);
        expect("tier", status, true, &err);
        if (status == AQ_OK)
            __atomic_add_fetch(&all.tier_count, 1, __ATOMIC_RELAXED);
        usleep(20000);
    }
    aq_store_close(store);
    return NULL;
}

/* Every row of a snapshot, decoded. */
static uint64_t count_rows(struct aq_snapshot *snapshot, struct aq_error *err)
{
    const struct aq_schema *schema =
        aq_catalog_schema_by_id(aq_snapshot_catalog(snapshot), all.air->schema->dataset_id, 0);
    const struct aq_unit *units;
    size_t unit_count = 0;
    uint64_t rows = 0;
    uint32_t ids[16];
    for (size_t i = 0; i < schema->column_count; i++)
        ids[i] = schema->columns[i].id;
    enum aq_status status =
        aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, err);
    for (size_t i = 0; status == AQ_OK && i < unit_count; i++) {
        struct aq_batch batch;
        status = aq_schema_batch_init(schema, false, &batch);
        if (status == AQ_OK)
            status = aq_unit_read(snapshot, &units[i], ids, &batch, err);
        rows += batch.row_count;
        aq_batch_deinit(&batch);
    }
    expect("reading", status, false, err);
    return rows;
}

static void *run_reader(void *shared)
{
    struct aq_store *store = shared;
    uint64_t seen = 0;
    while (!stopped()) {
        struct aq_snapshot *snapshot = NULL;
        struct aq_error err = {0};
        uint64_t durable = __atomic_load_n(&all.durable_rows, __ATOMIC_ACQUIRE);
        enum aq_status status = aq_snapshot_open(store, &snapshot, &err);
        expect("a snapshot", status, false, &err);
        if (status < 0)
            break;
        uint64_t rows = count_rows(snapshot, &err);
        if (!stopped() && (rows < durable || rows < seen))
            fail("%llu rows after %llu, of which %llu were durable", (unsigned long long)rows,
                 (unsigned long long)seen, (unsigned long long)durable);
        seen = rows;
        aq_snapshot_close(snapshot);
        __atomic_add_fetch(&all.read_count, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void write_until(int64_t deadline_us)
{
    while (!stopped() && aq_clock_us() < deadline_us) {
        write_segment(all.air, 2, 10);
        __atomic_add_fetch(&all.durable_rows, 20, __ATOMIC_RELEASE);
        usleep(2000);
    }
    __atomic_store_n(&all.stop, true, __ATOMIC_RELEASE);
}

Test(gc_races, everything_at_once)
{
    const char *minutes = getenv("AQ_SOAK_MINUTES");
    int64_t span_us =
        minutes == NULL ? AQ_US_PER_SECOND : strtoll(minutes, NULL, 10) * 60 * AQ_US_PER_SECOND;
    static void *(*const jobs[])(void *) = {run_compactor, run_compactor, run_gc, run_tier};
    enum { JOBS = sizeof jobs / sizeof jobs[0] };
    pthread_t threads[JOBS + READERS];
    struct air air = {0};
    scratch_make();
    all.bucket = open_bucket("bucket");
    air_bucket = all.bucket;
    air_open(&air, "home");
    all.air = &air;
    struct aq_store *shared = open_own();
    cr_assert_not_null(shared);
    for (size_t i = 0; i < JOBS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, jobs[i], NULL), 0);
    for (size_t i = 0; i < READERS; i++)
        cr_assert_eq(pthread_create(&threads[JOBS + i], NULL, run_reader, shared), 0);
    write_until(aq_clock_us() + span_us);
    for (size_t i = 0; i < JOBS + READERS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_str_eq(all.failure, "");
    cr_assert(all.read_count > 0 && all.compaction_count > 0 && all.removed_count > 0);
    if (minutes != NULL)
        printf("%u reads, %u compactions, %u runs of the tier, %u files removed, %llu rows\n",
               all.read_count, all.compaction_count, all.tier_count, all.removed_count,
               (unsigned long long)all.durable_rows);
    compact(&air, &defaults);
    gc_now(air.store, false);
    expect_all_rows(&air, true);
    aq_store_close(shared);
    aq_store_close(air.store);
    aq_object_close(all.bucket);
}
