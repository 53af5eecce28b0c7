/* A store with very many edits behind it opens as fast as a young one: what is read does not depend on their number.
 * AQ_EDITS=1000000: so many instead of 20,000 (a gigabyte of memory where scratch files are in memory); the time is printed. */
#include <dirent.h>
#include <dlfcn.h>

#include "engine/store/catalog/catalog_log.h"
#include "tests/unit/compaction/air_fixture.h"

static unsigned listings;
static int64_t made_us; /* wall clock behind the first edit and before all that follow */

/* In place of the C library's. */
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

/* Calls of read and its like, so far. */
static unsigned long reads_so_far(void)
{
    char line[128];
    unsigned long reads = 0;
    FILE *file = fopen("/proc/self/io", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        sscanf(line, "syscr: %lu", &reads);
    fclose(file);
    return reads;
}

static void put_object(const char *name, const struct aq_bytes *bytes)
{
    char path[128];
    snprintf(path, sizeof path, "home/%s", name);
    int fd = open(scratch_file(path), O_WRONLY | O_CREAT | O_EXCL, 0644);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes->data, bytes->size), (ssize_t)bytes->size);
    close(fd);
}

/* The next edit: it gives a view another text. */
static uint64_t add_edit(uint64_t number, uint64_t previous, int64_t time_us,
                         struct aq_bytes *bytes)
{
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT %llu", (unsigned long long)number);
    struct aq_record record = {.kind = AQ_RECORD_VIEW,
                               .view = {.name = aq_slice_of("v"), .sql = aq_slice_of(sql)}};
    struct aq_edit_header header = {
        .number = number, .previous_checksum = previous, .time_us = time_us};
    char name[AQ_CATALOG_NAME_BYTES];
    uint64_t checksum = 0;
    aq_bytes_clear(bytes);
    cr_assert_eq(aq_edit_encode(&header, &record, 1, bytes, &checksum, NULL), AQ_OK);
    aq_catalog_edit_name(number, name, sizeof name);
    put_object(name, bytes);
    return checksum;
}

/* A store as committers would have left it: old edits and a new one, and the checkpoints that the newest ones put. */
static void make_long(uint64_t count)
{
    struct aq_store *store = open_store("home", true);
    const struct aq_catalog *catalog = NULL;
    struct aq_object_store *objects = NULL;
    struct aq_bytes bytes = {0};
    uint64_t last = 0;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    cr_assert_eq(aq_object_open_dir(scratch_file("home"), false, &objects, NULL), AQ_OK);
    struct aq_catalog covered = *catalog;
    made_us = aq_clock_wall_us();
    usleep(20000); /* the kernel's stamps of files lag behind by a tick */
    uint64_t checksum = catalog->checksum;
    for (uint64_t number = 2; number <= count; number++) {
        checksum = add_edit(number, checksum, number < count ? (int64_t)number : aq_clock_wall_us(),
                            &bytes);
        if (number % AQ_CHECKPOINT_EDITS != 0)
            continue;
        last = number;
        covered.number = number;
        covered.checksum = checksum;
        cr_assert_eq(aq_catalog_put_checkpoint(objects, &covered, false, NULL), AQ_OK);
    }
    cr_assert_eq(aq_catalog_put_latest(objects, count, last, NULL), AQ_OK);
    aq_bytes_deinit(&bytes);
    aq_object_close(objects);
    aq_catalog_release(catalog);
    aq_store_close(store);
}

static void expect_fast(uint64_t count)
{
    unsigned long before = reads_so_far();
    int64_t begin_us = aq_clock_us();
    listings = 0;
    struct aq_store *store = open_store("home", false);
    int64_t took_us = aq_clock_us() - begin_us;
    unsigned long reads = reads_so_far() - before;
    cr_assert_eq(listings, 0);
    cr_assert_leq(reads, AQ_CHECKPOINT_EDITS + 16);
    cr_assert_eq(head(store), count);
    aq_store_close(store);
    if (getenv("AQ_EDITS") != NULL)
        printf("opened with %llu edits behind it: %.1f ms, %lu reads\n", (unsigned long long)count,
               (double)took_us / 1e3, reads);
}

/* The first gc of a store whose checkpoints are all younger than its history, as those of a copied home are: it looks once
 * at each edit, and the oldest version is read from the checkpoint before it. */
static void expect_each_edit_read_once(uint64_t count)
{
    struct aq_store *store = open_store("home", false);
    struct aq_gc_report report;
    int64_t now_us = aq_clock_wall_us();
    struct aq_gc_options options = {
        .now_us = now_us, .history_us = now_us - made_us, .trust_clock = true, .dry_run = true};
    unsigned long before = reads_so_far();
    cr_assert_eq(aq_gc(store, &options, &report, NULL), AQ_OK);
    unsigned long reads = reads_so_far() - before;
    cr_assert_eq(report.oldest, count - 1);
    cr_assert_leq(reads, count + 2 * AQ_CHECKPOINT_EDITS, "%lu reads", reads);
    aq_store_close(store);
}

Test(catalog_length, opening_reads_no_more_of_a_long_catalog)
{
    scratch_make();
    const char *wanted = getenv("AQ_EDITS");
    uint64_t count = wanted == NULL ? 20000 : strtoull(wanted, NULL, 10);
    make_long(count);
    expect_fast(count);
    expect_each_edit_read_once(count);
    /* gc shortens it to what an hour needs, and opening stays as it was. */
    struct aq_store *store = open_store("home", false);
    struct aq_gc_report report;
    struct aq_error err = {0};
    struct aq_gc_options options = {.now_us = aq_clock_wall_us() + 2 * 3600 * AQ_US_PER_SECOND,
                                    .trust_clock = true};
    int64_t begin_us = aq_clock_us();
    cr_assert_eq(aq_gc(store, &options, &report, &err), AQ_OK, "%s: %s", err.path, err.message);
    if (wanted != NULL)
        printf("gc removed %llu edits: %.1f ms\n", (unsigned long long)report.edit_count,
               (double)(aq_clock_us() - begin_us) / 1e3);
    cr_assert_eq(report.edit_count, count / AQ_CHECKPOINT_EDITS * AQ_CHECKPOINT_EDITS);
    cr_assert_leq(count_files("home/catalog", ""), AQ_CHECKPOINT_EDITS + 5);
    aq_store_close(store);
    expect_fast(count);
}
