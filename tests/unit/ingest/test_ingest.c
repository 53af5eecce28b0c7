/* Files into a store: each once, whatever it is called and however often it is named. */
#include "engine/ingest/ingest.h"
#include "engine/store/snapshot/snapshot.h"
#include "format/parquet/write/parquet_write.h"

#include "tests/unit/scratch.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

static const char config_text[] = "store: ./s\n"
                                  "ingest: {commit_interval: 1h, commit_size: 4KiB}\n"
                                  "datasets:\n"
                                  "  air:\n"
                                  "    key: city\n"
                                  "    time: ts\n"
                                  "    columns:\n"
                                  "      city: {type: text, required: true}\n"
                                  "      ts: {type: timestamptz, format: epoch_s, required: true}\n"
                                  "      v: {type: double}\n"
                                  "      n: {type: bigint}\n";

static struct aq_config *config;
static struct aq_ingest_report report;
static struct aq_error err;
static char notices[4096];
static atomic_bool stop;
static struct aq_monitor *monitor; /* that the next imports tell; may be NULL */

static void note(void *context, const char *message)
{
    (void)context;
    size_t size = strlen(notices);
    snprintf(notices + size, sizeof notices - size, "%s\n", message);
}

static void setup(void)
{
    scratch_make();
    cr_assert_eq(aq_config_parse("test", aq_slice_of(config_text), &config, &err), AQ_OK, "%s: %s",
                 err.path, err.message);
}

static void teardown(void)
{
    aq_config_destroy(config);
}

static struct aq_store *open_store(void)
{
    struct aq_store *store = NULL;
    char home[512];
    snprintf(home, sizeof home, "%s", scratch_file("home"));
    struct aq_store_options options = {.home = home, .create = true, .io = AQ_IO_POSIX};
    cr_assert_eq(aq_store_open(&options, &store, &err), AQ_OK, "%s: %s", err.path, err.message);
    return store;
}

static enum aq_status import_as(const char *dataset, enum aq_source_format format,
                                const char *const *files, size_t file_count)
{
    char paths[8][512];
    const char *pointers[8];
    for (size_t i = 0; i < file_count; i++) {
        snprintf(paths[i], sizeof paths[i], "%s",
                 strcmp(files[i], "-") == 0 ? "-" : scratch_file(files[i]));
        pointers[i] = paths[i];
    }
    struct aq_ingest_options options = {.config = config,
                                        .dataset = aq_config_dataset(config, dataset),
                                        .source_name = "import",
                                        .format = format,
                                        .files = pointers,
                                        .file_count = file_count,
                                        .notice = note,
                                        .stop = &stop,
                                        .monitor = monitor};
    struct aq_store *store = open_store();
    notices[0] = '\0';
    err = (struct aq_error){0};
    enum aq_status status = aq_ingest_files(store, &options, &report, &err);
    aq_store_close(store);
    return status;
}

static void import(const char *file, uint64_t rows, uint64_t rejects)
{
    cr_assert_eq(import_as("air", AQ_FORMAT_AUTO, &file, 1), AQ_OK, "%s: %s", err.path,
                 err.message);
    cr_assert_eq(report.row_count, rows, "%llu rows", (unsigned long long)report.row_count);
    cr_assert_eq(report.reject_count, rejects, "%llu rejects",
                 (unsigned long long)report.reject_count);
}

static void write_text(const char *file, const char *text)
{
    scratch_write(scratch_file(file), text, strlen(text));
}

/* CSV rows [from, until) of three cities over several days. */
static char *make_csv(size_t from, size_t until, bool header)
{
    size_t capacity = 64 + (until - from) * 64;
    char *text = malloc(capacity);
    int size = snprintf(text, capacity, "%s", header ? "city,ts,v,n\n" : "");
    for (size_t i = from; i < until; i++)
        size += snprintf(text + size, capacity - (size_t)size, "city %zu,%zu,%zu.5,%zu\n", i % 3,
                         i * 7200, i, i);
    return text;
}

struct totals {
    uint64_t rows;
    int64_t sum;
    int64_t ordinal_max;
};

static struct totals read_dataset(const char *dataset, const char *column)
{
    struct totals totals = {.ordinal_max = -1};
    struct aq_store *store = open_store();
    struct aq_snapshot *snapshot = NULL;
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    cr_assert_eq(aq_snapshot_open(store, &snapshot, &err), AQ_OK, "%s", err.message);
    const struct aq_schema *schema = aq_catalog_schema(aq_snapshot_catalog(snapshot), dataset);
    cr_assert_not_null(schema);
    cr_assert_eq(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, &err), AQ_OK);
    uint32_t ids[] = {schema->columns[aq_schema_find(schema, column)].id, AQ_SYSTEM_ID_ORDINAL};
    enum aq_type types[] = {AQ_TYPE_BIGINT, AQ_TYPE_BIGINT};
    struct aq_batch batch;
    cr_assert_eq(aq_batch_init(&batch, 2, types), AQ_OK);
    for (size_t i = 0; i < unit_count; i++) {
        cr_assert_eq(aq_unit_read(snapshot, &units[i], ids, &batch, &err), AQ_OK, "%s",
                     err.message);
        totals.rows += batch.row_count;
        for (size_t row = 0; row < batch.row_count; row++) {
            totals.sum += batch.columns[0].ints[row];
            if (batch.columns[1].ints[row] > totals.ordinal_max)
                totals.ordinal_max = batch.columns[1].ints[row];
        }
    }
    aq_batch_deinit(&batch);
    aq_snapshot_close(snapshot);
    aq_store_close(store);
    return totals;
}

TestSuite(ingest, .init = setup, .fini = teardown);

Test(ingest, rows_and_rejects)
{
    write_text("a.csv", "city,ts,v,n\nhue,0,1.5,1\nhue,x,1,2\n\"da,nang\",86400,,3\nhue,7,8\n");
    import("a.csv", 2, 2);
    cr_assert_eq(report.file_count, 1u);
    cr_assert_gt(report.segment_bytes, 0u);
    struct totals totals = read_dataset("air", "n");
    cr_assert_eq(totals.rows, 2u);
    cr_assert_eq(totals.sum, 4);
    cr_assert_eq(totals.ordinal_max, 2);
    totals = read_dataset("air_rejects", "offset");
    cr_assert_eq(totals.rows, 2u);
    cr_assert_eq(totals.sum, 4);
}

Test(ingest, many_frames_keep_every_row)
{
    char *text = make_csv(0, 3000, true);
    write_text("a.csv", text);
    import("a.csv", 3000, 0);
    cr_assert_eq(report.input_bytes, strlen(text));
    struct totals totals = read_dataset("air", "n");
    cr_assert_eq(totals.rows, 3000u);
    cr_assert_eq(totals.sum, 3000 * 2999 / 2);
    cr_assert_eq(totals.ordinal_max, 2999);
    free(text);
}

Test(ingest, the_monitor_hears_what_is_durable)
{
    static struct aq_source_config source = {.name = "import", .dataset = "air"};
    static const struct aq_config watched = {.source_count = 1, .sources = &source};
    static const size_t index = 0;
    struct aq_monitor_view view;
    char *text = make_csv(0, 3000, true);
    size_t size = strlen(text);
    text = realloc(text, size + 64);
    /* no time, no time that can be read, no number, a quote that never ends */
    snprintf(text + size, 64, "hue,,1,1\nhue,x,1,1\nhue,1,x,1\n\"hue");
    write_text("a.csv", text);
    cr_assert_eq(aq_monitor_create(&watched, &index, 1, &monitor, NULL), AQ_OK);
    import("a.csv", 3000, 4);
    cr_assert_eq(aq_monitor_copy(monitor, &view), AQ_OK);
    const struct aq_monitor_source *seen = &view.sources[0];
    cr_assert_eq(seen->row_count, 3000u);
    cr_assert_eq(seen->reject_counts[AQ_REJECT_SYNTAX], 1u);
    cr_assert_eq(seen->reject_counts[AQ_REJECT_REQUIRED], 1u);
    cr_assert_eq(seen->reject_counts[AQ_REJECT_TYPE], 2u);
    cr_assert_eq(seen->input_bytes, strlen(text));
    cr_assert_gt(seen->last_message_us, 0);
    cr_assert_gt(view.totals.commit_count, 10u, "frames");
    cr_assert_eq(view.totals.segments_sealed, 1u);
    cr_assert_eq(view.totals.segment_bytes_written, report.segment_bytes);
    cr_assert_eq(view.totals.open_segment_bytes, 0u);
    cr_assert_eq(view.totals.open_segment_since_us, 0);
    cr_assert_eq(view.totals.queue_messages, 0u);
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
    free(text);
}

/* The run ends with the frames that were in flight, and with the one that it closes last, refused each in turn. */
Test(ingest, the_monitor_outlives_a_disk_that_takes_no_more)
{
    static struct aq_source_config source = {.name = "import", .dataset = "air"};
    static const struct aq_config watched = {.source_count = 1, .sources = &source};
    static const size_t index = 0;
    const char *file = "a.csv";
    char *text = make_csv(0, 30000, true);
    write_text(file, text);
    unsigned failure_count = 0;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 8192; limit <= 262144; limit *= 2) {
        struct rlimit most = {.rlim_cur = limit, .rlim_max = RLIM_INFINITY};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &most), 0);
        cr_assert_eq(aq_monitor_create(&watched, &index, 1, &monitor, NULL), AQ_OK);
        failure_count += import_as("air", AQ_FORMAT_AUTO, &file, 1) < 0;
        aq_monitor_destroy(monitor);
    }
    cr_assert_gt(failure_count, 0u);
    free(text);
}

Test(ingest, memory_bounds_frames)
{
    static struct aq_source_config source = {.name = "import", .dataset = "air"};
    static const struct aq_config watched = {.source_count = 1, .sources = &source};
    static const size_t index = 0;
    struct aq_monitor_view view;
    char *text = make_csv(0, 150000, true);
    write_text("a.csv", text);
    config->commit_size_bytes = (uint64_t)256 << 20;
    config->ingest_memory_bytes = (uint64_t)6 << 20; /* 1 MiB a frame */
    cr_assert_eq(aq_monitor_create(&watched, &index, 1, &monitor, NULL), AQ_OK);
    import("a.csv", 150000, 0);
    cr_assert_eq(aq_monitor_copy(monitor, &view), AQ_OK);
    cr_assert_geq(view.totals.commit_count, strlen(text) >> 20, "frames");
    aq_monitor_view_deinit(&view);
    aq_monitor_destroy(monitor);
    free(text);
}

Test(ingest, the_same_content_adds_nothing)
{
    char *text = make_csv(0, 100, true);
    write_text("a.csv", text);
    write_text("other.csv", text);
    import("a.csv", 100, 0);
    import("a.csv", 0, 0);
    cr_assert_eq(report.known_file_count, 1u);
    import("other.csv", 0, 0);
    cr_assert_eq(report.known_file_count, 1u);
    cr_assert_not_null(strstr(notices, "in the store already"));
    char command[2048];
    snprintf(command, sizeof command, "cd %s && gzip -k a.csv && xz -k other.csv && zstd -q a.csv",
             scratch_path);
    cr_assert_eq(system(command), 0);
    import("a.csv.gz", 0, 0);
    import("other.csv.xz", 0, 0);
    import("a.csv.zst", 0, 0);
    free(text);
}

Test(ingest, the_same_file_twice_in_one_run)
{
    char *text = make_csv(0, 50, true);
    write_text("a.csv", text);
    write_text("b.csv", text);
    const char *files[] = {"a.csv", "b.csv", "a.csv"};
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, files, 3), AQ_OK);
    cr_assert_eq(report.row_count, 50u);
    cr_assert_eq(report.known_file_count, 2u);
    free(text);
}

Test(ingest, a_file_that_grew_goes_on)
{
    char *first = make_csv(0, 100, true);
    char *whole = make_csv(0, 160, true);
    write_text("a.csv", first);
    import("a.csv", 100, 0);
    write_text("a.csv", whole);
    import("a.csv", 60, 0);
    cr_assert_eq(report.resumed_file_count, 1u);
    import("a.csv", 0, 0);
    struct totals totals = read_dataset("air", "n");
    cr_assert_eq(totals.rows, 160u);
    cr_assert_eq(totals.ordinal_max, 159);
    free(first);
    free(whole);
}

Test(ingest, a_grown_file_of_another_name_is_new)
{
    char *first = make_csv(0, 10, true);
    char *whole = make_csv(0, 16, true);
    write_text("a.csv", first);
    import("a.csv", 10, 0);
    write_text("b.csv", whole);
    import("b.csv", 16, 0);
    write_text("a.csv", "city,ts\nhue,1\n");
    import("a.csv", 1, 0);
    cr_assert_not_null(strstr(notices, "the content differs"));
    free(first);
    free(whole);
}

Test(ingest, a_line_that_grew_is_not_taken_twice)
{
    write_text("a.csv", "city,ts,v,n\nhue,1,2,3\nhue,2,3,4");
    import("a.csv", 2, 0);
    write_text("a.csv", "city,ts,v,n\nhue,1,2,3\nhue,2,3,45\nhue,3,4,6\n");
    import("a.csv", 1, 1);
    struct totals totals = read_dataset("air", "n");
    cr_assert_eq(totals.rows, 3u);
    cr_assert_eq(totals.sum, 3 + 4 + 6);
    write_text("b.ndjson", "{\"city\":\"b\",\"ts\":1,\"n\":100}");
    import("b.ndjson", 1, 0);
    write_text("b.ndjson", "{\"city\":\"b\",\"ts\":1,\"n\":100}\r\n{\"city\":\"b\",\"ts\":2}\n");
    import("b.ndjson", 1, 0);
}

static int frames_until_stop;

static void stop_soon(void *context, const struct aq_ingest_progress *progress)
{
    (void)context;
    (void)progress;
    if (--frames_until_stop == 0)
        stop = true;
}

Test(ingest, a_stopped_import_goes_on_under_any_name)
{
    char *text = make_csv(0, 2000, true);
    write_text("a.csv", text);
    uint64_t rows = 0;
    for (int round = 0; round < 3; round++) {
        char path[512];
        const char *files[] = {path};
        snprintf(path, sizeof path, "%s", scratch_file("a.csv"));
        struct aq_ingest_options options = {.config = config,
                                            .dataset = aq_config_dataset(config, "air"),
                                            .source_name = "import",
                                            .files = files,
                                            .file_count = 1,
                                            .progress = stop_soon,
                                            .stop = &stop};
        struct aq_store *store = open_store();
        frames_until_stop = 5;
        stop = false;
        cr_assert_eq(aq_ingest_files(store, &options, &report, &err), AQ_INTERRUPTED);
        cr_assert_gt(report.row_count, 0u);
        rows += report.row_count;
        aq_store_close(store);
    }
    stop = false;
    cr_assert_eq(rename(scratch_file("a.csv"), "/dev/null/x"), -1);
    write_text("renamed.csv", text);
    import("renamed.csv", 2000 - rows, 0);
    cr_assert_eq(report.resumed_file_count, 1u);
    struct totals totals = read_dataset("air", "n");
    cr_assert_eq(totals.rows, 2000u);
    cr_assert_eq(totals.sum, 2000 * 1999 / 2);
    import("a.csv", 0, 0);
    free(text);
}

static enum aq_status append_bytes(void *context, const void *data, size_t size,
                                   struct aq_error *error)
{
    (void)error;
    aq_bytes_append(context, data, size);
    return AQ_OK;
}

/* Rows as a Parquet file's bytes. */
static void make_parquet(size_t row_count, struct aq_bytes *out)
{
    static const struct aq_column columns[] = {{.name = "city", .type = AQ_TYPE_TEXT},
                                               {.name = "ts", .type = AQ_TYPE_BIGINT},
                                               {.name = "v", .type = AQ_TYPE_DOUBLE}};
    static const enum aq_type types[] = {AQ_TYPE_TEXT, AQ_TYPE_BIGINT, AQ_TYPE_DOUBLE};
    struct aq_parquet_options options = {.column_count = 3,
                                         .columns = columns,
                                         .created_by = "test",
                                         .sink = append_bytes,
                                         .sink_context = out};
    struct aq_parquet_writer *writer = NULL;
    struct aq_batch rows;
    cr_assert_eq(aq_batch_init(&rows, 3, types), AQ_OK);
    for (size_t i = 0; i < row_count; i++, rows.row_count++) {
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of("oslo")), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[1], (int64_t)i * 60), AQ_OK);
        cr_assert_eq(aq_vector_append_double(&rows.columns[2], (double)i / 8), AQ_OK);
    }
    cr_assert_eq(aq_parquet_writer_create(&options, &writer, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_parquet_writer_append(writer, &rows, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_parquet_writer_end(writer, &err), AQ_OK, "%s", err.message);
    aq_parquet_writer_destroy(writer);
    aq_batch_deinit(&rows);
}

static struct aq_ingest_progress last_progress;

static void note_progress(void *context, const struct aq_ingest_progress *progress)
{
    (void)context;
    cr_expect_geq(progress->bytes_done, last_progress.bytes_done);
    last_progress = *progress;
}

/* Of a Parquet file, whose rows have no place of their own in it, the part that the rows so far are of all. */
Test(ingest, progress_is_in_bytes)
{
    struct aq_bytes bytes = {0};
    char path[512];
    const char *files[] = {path};
    make_parquet(3000, &bytes);
    scratch_write(scratch_file("a.parquet"), bytes.data, bytes.size);
    snprintf(path, sizeof path, "%s", scratch_file("a.parquet"));
    struct aq_ingest_options options = {.config = config,
                                        .dataset = aq_config_dataset(config, "air"),
                                        .source_name = "import",
                                        .files = files,
                                        .file_count = 1,
                                        .progress = note_progress,
                                        .stop = &stop};
    struct aq_store *store = open_store();
    cr_assert_eq(aq_ingest_files(store, &options, &report, &err), AQ_OK, "%s", err.message);
    aq_store_close(store);
    cr_expect_eq(report.row_count, 3000);
    cr_expect_eq(last_progress.bytes_total, bytes.size);
    cr_expect_eq(last_progress.bytes_done, bytes.size);
    cr_expect_neq(bytes.size, 3000);
    aq_bytes_deinit(&bytes);
}

Test(ingest, cut_off_compression_keeps_what_was_read)
{
    char *text = make_csv(0, 20000, true);
    write_text("a.csv", text);
    char command[1024];
    snprintf(command, sizeof command, "cd %s && gzip -k a.csv && head -c 60000 a.csv.gz > b.csv.gz",
             scratch_path);
    cr_assert_eq(system(command), 0);
    const char *file = "b.csv.gz";
    cr_assert_eq(import_as("air", AQ_FORMAT_AUTO, &file, 1), AQ_IO);
    cr_assert_not_null(strstr(err.message, "cut off"), "%s", err.message);
    uint64_t rows = report.row_count;
    cr_assert_gt(rows, 1000u);
    cr_assert_lt(rows, 20000u);
    import("a.csv", 20000 - rows, 0);
    struct totals totals = read_dataset("air", "n");
    cr_assert_eq(totals.rows, 20000u);
    free(text);
}

Test(ingest, standard_input)
{
    char *text = make_csv(0, 3000, true);
    write_text("a.csv", text);
    for (int round = 0; round < 2; round++) {
        int pipe_fds[2];
        cr_assert_eq(pipe(pipe_fds), 0);
        cr_assert_eq(dup2(pipe_fds[0], STDIN_FILENO), STDIN_FILENO);
        close(pipe_fds[0]);
        pid_t child = fork();
        if (child == 0) {
            ssize_t written = write(pipe_fds[1], text, strlen(text));
            _exit(written == (ssize_t)strlen(text) ? 0 : 1);
        }
        close(pipe_fds[1]);
        const char *file = "-";
        cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_OK, "%s", err.message);
        cr_assert_eq(report.row_count, round == 0 ? 3000u : 0u);
        cr_assert_eq(report.known_file_count, (uint64_t)round);
    }
    import("a.csv", 0, 0);
    free(text);
}

static void set_stop(int number)
{
    (void)number;
    stop = true;
}

/* Somebody presses Ctrl-C while nothing comes: what came counts. */
static void check_stop_at_pipe(const char *text, size_t size, uint64_t row_count)
{
    int pipe_fds[2];
    struct sigaction action = {.sa_handler = set_stop};
    cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
    cr_assert_eq(pipe(pipe_fds), 0);
    cr_assert_eq(dup2(pipe_fds[0], STDIN_FILENO), STDIN_FILENO);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        ssize_t written = write(pipe_fds[1], text, size);
        usleep(200000);
        kill(parent, SIGUSR1);
        usleep(200000);
        _exit(written < 0);
    }
    const char *file = "-";
    enum aq_status status = import_as("air", AQ_FORMAT_CSV, &file, 1);
    cr_assert_eq(status, AQ_INTERRUPTED, "%s: %s", aq_status_text(status), err.message);
    stop = false;
    cr_assert_eq(report.row_count, row_count);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

Test(ingest, a_stop_ends_the_wait_for_a_pipe)
{
    char *text = make_csv(0, 1000, true);
    check_stop_at_pipe(text, 20, 0); /* too little to tell the compression by */
    check_stop_at_pipe(text, strlen(text) - 5, 999);
    cr_assert_eq(read_dataset("air", "n").rows, 999u);
    write_text("a.csv", text);
    import("a.csv", 1, 0);
    free(text);
}

Test(ingest, empty_files)
{
    write_text("a.ndjson", "");
    import("a.ndjson", 0, 0);
    import("a.ndjson", 0, 0);
    cr_assert_eq(report.known_file_count, 1u);
    write_text("a.ndjson", "{\"city\":\"hue\",\"ts\":5,\"n\":1}\n");
    import("a.ndjson", 1, 0);
    cr_assert_eq(report.resumed_file_count, 1u);
    write_text("b.csv", "");
    import("b.csv", 0, 0);
    write_text("c.csv", "city,ts\n");
    import("c.csv", 0, 0);
}

Test(ingest, json_files)
{
    write_text("a.json",
               "\xef\xbb\xbf [ {\"city\":\"a\",\"ts\":1,\"n\":1},\n {\"city\":\"b],\\\"{\","
               "\"ts\":2,\"n\":2} , 3, [4] ]\n");
    import("a.json", 2, 2);
    write_text("b.json", "{\n \"city\": \"a\",\n \"ts\": 3, \"n\": 5\n}\n");
    import("b.json", 1, 0);
    write_text("c.json", "[{\"city\":\"a\",\"ts\":1,\"n\":7},{\"city\"");
    import("c.json", 0, 1);
    write_text("d.json", "[] []");
    import("d.json", 0, 1);
    write_text("e.json", "");
    import("e.json", 0, 1);
    write_text("f.json", "[{\"city\":\"a\",\"ts\":1,\"n\":9},]");
    import("f.json", 0, 1);
    cr_assert_eq(read_dataset("air", "n").sum, 1 + 2 + 5);
    write_text("g.json", "[{\"city\":\"a\",\"ts\":1,\"n\":01}, 5");
    import("g.json", 0, 1);
}

Test(ingest, refusals)
{
    const char *file = "a.csv";
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_NOT_FOUND);
    cr_assert_not_null(strstr(err.path, "a.csv"));
    cr_assert_eq(import_as("air", AQ_FORMAT_RAW, &file, 1), AQ_UNSUPPORTED);
    file = ".";
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_INVALID);
    write_text("a.csv", "x,y\n1,2\n");
    file = "a.csv";
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_INVALID);
    cr_assert_not_null(strstr(err.message, "it has: x, y"), "%s", err.message);
    struct aq_store *store = open_store();
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, true, &catalog, &err), AQ_OK);
    cr_assert_eq(catalog->feed_count, 0u);
    aq_catalog_release(catalog);
    aq_store_close(store);
    char command[1024];
    snprintf(command, sizeof command,
             "cd %s && tar cf a.tar a.csv && xz -k a.tar && python3 -c \"import zipfile; "
             "zipfile.ZipFile('a.zip','w').write('a.csv')\"",
             scratch_path);
    cr_assert_eq(system(command), 0);
    file = "a.tar";
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_UNSUPPORTED);
    cr_assert_not_null(strstr(err.message, "is a tar archive"));
    file = "a.tar.xz";
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_UNSUPPORTED);
    file = "a.zip";
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_UNSUPPORTED);
    cr_assert_not_null(strstr(err.message, "is a zip archive"), "%s", err.message);
}

Test(ingest, two_imports_at_once)
{
    struct aq_store *store = open_store();
    struct aq_store_lock *lock;
    cr_assert_eq(aq_store_lock(store, "import-air", true, &lock, &err), AQ_OK);
    write_text("a.csv", "city,ts\n");
    const char *file = "a.csv";
    cr_assert_eq(import_as("air", AQ_FORMAT_CSV, &file, 1), AQ_CONFLICT);
    cr_assert_not_null(strstr(err.message, "another import"));
    aq_store_unlock(lock);
    aq_store_close(store);
    import("a.csv", 0, 0);
}
