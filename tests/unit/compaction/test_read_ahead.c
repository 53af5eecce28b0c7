/* Reading ahead in a merge: what is asked for is what is read, once, and not too much of it at a time; and whatever the
 * kernel says to it, the files are the same. Its calls are watched here: hints through the pool, reads of files. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "compaction/compact_job.h"
#include "compaction/merge/rows/row_source.h"
#include "tests/unit/compaction/air_fixture.h"

enum { FILES_WATCHED = 40, FILE_BYTES_WATCHED = 1 << 20 };

/* How often each byte of a file was asked for, and read. */
struct watched {
    ino_t inode;
    unsigned char asked[FILE_BYTES_WATCHED];
    unsigned char read[FILE_BYTES_WATCHED];
};

static struct {
    pthread_mutex_t mutex;
    bool watching;
    int refusal;      /* an errno: of each hint */
    bool slow;        /* reads: hints come long before them */
    size_t open_most; /* descriptors, while hints take their time; 0: they are not counted */
    unsigned hint_count;
    size_t asked_bytes;
    size_t read_bytes;
    size_t ahead_most; /* asked for and not yet read */
    size_t file_count;
    struct watched files[FILES_WATCHED];
} kernel = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct watched *watched_file(int fd)
{
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0);
    for (size_t i = 0; i < kernel.file_count; i++) {
        if (kernel.files[i].inode == status.st_ino)
            return &kernel.files[i];
    }
    cr_assert_lt(kernel.file_count, FILES_WATCHED);
    kernel.files[kernel.file_count].inode = status.st_ino;
    return &kernel.files[kernel.file_count++];
}

static void count_bytes(unsigned char *counts, off_t offset, size_t size)
{
    cr_assert_leq((size_t)offset + size, FILE_BYTES_WATCHED);
    for (size_t i = 0; i < size; i++)
        counts[(size_t)offset + i]++;
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    cr_assert_not_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

int posix_fadvise(int fd, off_t offset, off_t size, int advice)
{
    if (kernel.open_most > 0)
        aq_clock_sleep_us(2000);
    pthread_mutex_lock(&kernel.mutex);
    kernel.hint_count++;
    cr_assert_eq(advice, POSIX_FADV_WILLNEED);
    if (kernel.watching) {
        cr_assert_leq(size, AQ_IO_WILL_READ_BYTES);
        count_bytes(watched_file(fd)->asked, offset, (size_t)size);
        kernel.asked_bytes += (size_t)size;
        if (kernel.asked_bytes > kernel.read_bytes + kernel.ahead_most)
            kernel.ahead_most = kernel.asked_bytes - kernel.read_bytes;
    }
    int refusal = kernel.refusal;
    size_t open = kernel.open_most > 0 ? count_descriptors() : 0;
    if (open > kernel.open_most)
        kernel.open_most = open;
    pthread_mutex_unlock(&kernel.mutex);
    return refusal;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (kernel.slow)
        aq_clock_sleep_us(1000);
    ssize_t count = syscall(SYS_pread64, fd, buffer, size, offset);
    pthread_mutex_lock(&kernel.mutex);
    if (kernel.watching && count > 0) {
        count_bytes(watched_file(fd)->read, offset, (size_t)count);
        kernel.read_bytes += (size_t)count;
    }
    pthread_mutex_unlock(&kernel.mutex);
    return count;
}

/* A merge's reading. */

static struct air air;

/* All closed files; groups of two days, the first ones. */
static void make_plan(struct aq_compact_job *job, size_t group_count)
{
    static struct aq_compact_dataset dataset;
    static struct aq_compact_group groups[3];
    const struct aq_catalog *catalog = aq_snapshot_catalog(job->snapshot);
    dataset = (struct aq_compact_dataset){
        .schema = air.schema, .groups = groups, .group_count = group_count};
    job->plan.inputs = aq_arena_alloc(&job->arena, (catalog->file_count + 1) * sizeof(void *));
    for (size_t i = 0; i < catalog->file_count; i++)
        job->plan.inputs[job->plan.input_count++] = &catalog->files[i];
    job->plan.datasets = &dataset;
    job->plan.dataset_count = 1;
    int64_t from_us = INT64_MIN;
    for (size_t i = 0; i < group_count; i++) {
        int64_t until_us = INT64_C(1700006400000000) + (int64_t)(2 * i + 2) * AQ_US_PER_DAY;
        groups[i] =
            (struct aq_compact_group){.schema = air.schema,
                                      .from_us = from_us,
                                      .until_us = i + 1 < group_count ? until_us : INT64_MAX,
                                      .reason = "test"};
        from_us = until_us;
    }
}

/* @return Groups that were read key by key. */
static size_t read_groups(struct aq_row_source *source, size_t group_count)
{
    struct aq_row_window window;
    struct aq_error err = {0};
    size_t windowed = 0;
    for (size_t group = 0; group < group_count; group++) {
        cr_assert_eq(aq_row_source_begin(source, group, &err), AQ_OK, "%s", err.message);
        windowed += source->windowed;
        while (source->windowed && aq_row_source_next(source, &window, &err) == AQ_OK) {
            struct aq_sorted_rows sorted = {0};
            cr_assert_eq(aq_row_source_consume(source, &sorted, 0, &err), AQ_OK);
        }
        cr_assert_eq(err.status, AQ_OK, "%s", err.message);
        aq_row_source_end(source);
    }
    return windowed;
}

/* Read all rows as a merge does, watched. */
static size_t watch(size_t group_count, uint64_t memory_bytes, uint64_t rate_bytes)
{
    const atomic_bool never_nap = true;
    struct aq_rate_limit rate;
    aq_rate_limit_init(&rate, rate_bytes, &never_nap);
    struct aq_compact_options options = {.rate = &rate};
    struct aq_compact_job job = {
        .store = air.store, .options = &options, .memory_bytes = memory_bytes};
    struct aq_row_source source;
    aq_workers_init(&job.workers, 2);
    cr_assert_eq(aq_snapshot_open(air.store, &job.snapshot, NULL), AQ_OK);
    make_plan(&job, group_count);
    cr_assert_eq(aq_row_source_open(&job, job.plan.datasets, &source, NULL), AQ_OK);
    kernel.watching = true;
    size_t windowed = read_groups(&source, group_count);
    cr_assert_eq(source.content.row_count, air.rows.row_count);
    aq_row_source_close(&source); /* no hint is under way any more */
    kernel.watching = false;
    aq_snapshot_close(job.snapshot);
    aq_arena_deinit(&job.arena);
    aq_rate_limit_deinit(&rate);
    return windowed;
}

/* Archives, and segments that are newer. */
static void make_store(const char *name)
{
    scratch_make();
    air_open(&air, name);
    write_segment(&air, 20, 300);
    struct aq_compact_options small = {.thread_count = 2, .target_size_bytes = 1 << 14};
    compact(&air, &small);
    write_segment(&air, 30, 200);
    write_segment(&air, 30, 100);
}

Test(read_ahead, what_is_asked_for_is_read_and_once)
{
    make_store("home");
    watch(3, 1 << 28, 0);
    cr_assert_gt(kernel.hint_count, 0);
    cr_assert_eq(kernel.asked_bytes, kernel.read_bytes);
    for (size_t i = 0; i < kernel.file_count; i++) {
        struct watched *file = &kernel.files[i];
        for (size_t at = 0; at < FILE_BYTES_WATCHED; at++) {
            cr_assert_leq(file->read[at], 1);
            cr_assert_eq(file->asked[at], file->read[at], "file %zu, byte %zu", i, at);
        }
    }
    cr_assert_gt(kernel.file_count, 2);
    aq_store_close(air.store);
}

Test(read_ahead, no_further_than_memory_and_rate_let_it)
{
    const struct {
        uint64_t memory_bytes;
        uint64_t rate_bytes;
        size_t
            most; /* twice the bound where passes by key begin: what was asked for before stands */
    } bounds[] = {{1 << 28, 30000, 30000}, {1 << 19, 0, 2 << 16}, {1 << 28, 0, 32 << 20}};
    make_store("home");
    kernel.slow = true;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        kernel.asked_bytes = kernel.read_bytes = kernel.ahead_most = 0;
        watch(3, bounds[i].memory_bytes, bounds[i].rate_bytes);
        cr_assert_gt(kernel.asked_bytes, 0);
        cr_assert_leq(kernel.ahead_most, bounds[i].most);
    }
    aq_store_close(air.store);
}

static void read_key_by_key(unsigned asked_most)
{
    cr_assert_gt(watch(1, 1 << 22, 0), 0);
    cr_assert_gt(kernel.hint_count, 0);
    cr_assert_lt(kernel.asked_bytes, kernel.read_bytes);
    for (size_t i = 0; i < kernel.file_count; i++) {
        for (size_t at = 0; at < FILE_BYTES_WATCHED; at++) {
            unsigned char asked = kernel.files[i].asked[at];
            cr_assert(asked == 0 || kernel.files[i].read[at] > 0, "file %zu, byte %zu", i, at);
            cr_assert_leq(asked, asked_most, "file %zu, byte %zu", i, at);
        }
    }
    aq_store_close(air.store);
}

/* For the sample and for the first of the passes. */
Test(read_ahead, frames_once_for_all_passes)
{
    scratch_make();
    air_open(&air, "home");
    write_segment(&air, 80, 200);
    read_key_by_key(2);
}

Test(read_ahead, tiles_of_a_pass)
{
    make_store("home");
    read_key_by_key(UCHAR_MAX);
}

/* Refusals. */

/* A program that may have 64 descriptors keeps 16 files open: a hint of one must not wait for the next to be closed. */
Test(read_ahead, few_files_at_a_time)
{
    const struct rlimit few = {64, 64};
    scratch_make();
    air_open(&air, "home");
    for (unsigned i = 0; i < 35; i++)
        write_segment(&air, 1, 20);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    size_t before = count_descriptors();
    kernel.open_most = before;
    watch(1, 1 << 28, 0);
    cr_assert_gt(kernel.hint_count, 0);
    cr_assert_leq(kernel.open_most, before + 24, "%zu, %zu before", kernel.open_most, before);
    aq_store_close(air.store);
}

static void run_in_scratch(const char *command)
{
    char line[512];
    snprintf(line, sizeof line, "cd %s && %s", scratch_path, command);
    cr_assert_eq(system(line), 0, "%s", line);
}

static void copy_home(const char *to)
{
    char command[64];
    snprintf(command, sizeof command, "cp -a home %.32s", to);
    run_in_scratch(command);
}

/* @return Hints that were given. */
static unsigned compact_copy(const char *to, enum aq_io_kind io, int refusal)
{
    struct aq_error err = {0};
    struct aq_compact_report report;
    char home[512];
    snprintf(home, sizeof home, "%s", scratch_file(to));
    struct aq_store_options options = {.home = home, .io = io};
    struct aq_store *store = NULL;
    cr_assert_eq(aq_store_open(&options, &store, &err), AQ_OK, "%s", err.message);
    kernel.hint_count = 0;
    kernel.refusal = refusal;
    cr_assert_eq(aq_compact(store, &defaults, &report, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(report.row_count, air.rows.row_count + air.reject_rows.row_count);
    kernel.refusal = 0;
    aq_store_close(store);
    return kernel.hint_count;
}

static void expect_same_archives(const char *one, const char *other)
{
    char command[160];
    snprintf(command, sizeof command,
             "ls %.32s/archives/*.aqa > /dev/null && diff -r %.32s/archives %.32s/archives", one,
             one, other);
    run_in_scratch(command);
}

Test(read_ahead, the_files_are_the_same_whatever_the_kernel_says)
{
    make_store("home");
    aq_store_close(air.store);
    const int refusals[] = {0, EBADF, ESPIPE, EINVAL, EIO};
    copy_home("ring");
    compact_copy("ring", AQ_IO_AUTO, 0);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "refused%zu", i);
        copy_home(name);
        cr_assert_gt(compact_copy(name, AQ_IO_POSIX, refusals[i]), 0);
        expect_same_archives("ring", name);
    }
    copy_home("random");
    compact_copy("random", AQ_IO_SIM, 0);
    expect_same_archives("ring", "random");
}

/* A file that is gone: the hint is not given, and the reader says what is wrong. */
Test(read_ahead, a_missing_file_is_the_readers_affair)
{
    struct aq_snapshot *snapshot;
    const struct aq_unit *units;
    size_t unit_count;
    struct aq_error err = {0};
    struct aq_batch batch;
    scratch_make();
    air_open(&air, "home");
    write_segment(&air, 1, 10);
    for (unsigned i = 0; i < 80; i++)
        write_segment(&air, 1, 10); /* so many that the first one's descriptor is not kept */
    cr_assert_eq(aq_snapshot_open(air.store, &snapshot, NULL), AQ_OK);
    cr_assert_eq(aq_snapshot_units(snapshot, air.schema->dataset_id, &units, &unit_count, NULL),
                 AQ_OK);
    char name[64];
    aq_catalog_file_name(AQ_FILE_SEGMENT, units[0].file_id, name, sizeof name);
    char path[256];
    snprintf(path, sizeof path, "home/%s", name);
    cr_assert_eq(unlink(scratch_file(path)), 0);
    struct aq_read_ahead *ahead = aq_read_ahead_create(snapshot);
    cr_assert_not_null(ahead);
    uint32_t id = air.schema->columns[1].id;
    cr_assert_not(aq_read_ahead_unit(ahead, &units[0], &id, 1));
    cr_assert(aq_read_ahead_unit(ahead, &units[1], &id, 1));
    cr_assert(aq_read_ahead_unit(NULL, &units[0], &id, 1));
    enum aq_type type = AQ_TYPE_TIMESTAMPTZ;
    cr_assert_eq(aq_batch_init(&batch, 1, &type), AQ_OK);
    cr_assert_eq(aq_unit_read(snapshot, &units[0], &id, &batch, &err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.message, "missing"));
    aq_batch_deinit(&batch);
    aq_read_ahead_destroy(ahead);
    aq_snapshot_close(snapshot);
    aq_store_close(air.store);
}
