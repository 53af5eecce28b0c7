/* Several threads that decode a window make of a file what one thread makes of it message by message. */
#include "engine/base/helpers.h"
#include "engine/ingest/ingest.h"
#include "engine/store/snapshot/snapshot.h"

#include "tests/unit/scratch.h"

#include <stdatomic.h>

/* With commits of 4 KiB no window is worth a thread. */
static const char config_text[] = "store: ./s\n"
                                  "ingest: {commit_interval: 1h, commit_size: %s}\n"
                                  "datasets:\n"
                                  "  air:\n"
                                  "    key: city\n"
                                  "    time: ts\n"
                                  "    columns:\n"
                                  "      city: {type: text, required: true}\n"
                                  "      ts: {type: timestamptz, format: epoch_s, required: true}\n"
                                  "      v: {type: double}\n"
                                  "      n: {type: bigint}\n"
                                  "      note: {type: text}\n";

#define MESSAGE_COUNT 30000

struct outcome {
    enum aq_status status;
    struct aq_ingest_report report;
    struct aq_content_hash rows;
    struct aq_content_hash rejects;
};

static struct aq_error err;

static struct aq_store *open_store(const char *home)
{
    struct aq_store *store = NULL;
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_file(home));
    struct aq_store_options options = {.home = path, .create = true, .io = AQ_IO_POSIX};
    cr_assert_eq(aq_store_open(&options, &store, &err), AQ_OK, "%s: %s", err.path, err.message);
    return store;
}

/* Of all columns and of the ordinals. */
static struct aq_content_hash hash_dataset(struct aq_store *store, const char *dataset)
{
    struct aq_content_hash sum = {0};
    struct aq_snapshot *snapshot = NULL;
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    uint32_t ids[16];
    enum aq_type types[16];
    struct aq_batch batch;
    cr_assert_eq(aq_snapshot_open(store, &snapshot, &err), AQ_OK, "%s", err.message);
    const struct aq_schema *schema = aq_catalog_schema(aq_snapshot_catalog(snapshot), dataset);
    cr_assert_eq(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, &err), AQ_OK);
    size_t count = 0;
    for (size_t i = 0; i < schema->column_count; i++) {
        if (strcmp(schema->columns[i].name, "arrival") == 0)
            continue; /* another time each run */
        types[count] = schema->columns[i].type;
        ids[count++] = schema->columns[i].id;
    }
    types[count] = AQ_TYPE_BIGINT;
    ids[count++] = AQ_SYSTEM_ID_ORDINAL;
    cr_assert_eq(aq_batch_init(&batch, count, types), AQ_OK);
    for (size_t i = 0; i < unit_count; i++) {
        struct aq_content_hash hash;
        cr_assert_eq(aq_unit_read(snapshot, &units[i], ids, &batch, &err), AQ_OK, "%s",
                     err.message);
        cr_assert_eq(aq_batch_content_hash(&batch, count, &hash), AQ_OK);
        aq_content_hash_add(&sum, &hash);
        aq_batch_clear(&batch);
    }
    aq_batch_deinit(&batch);
    aq_snapshot_close(snapshot);
    return sum;
}

static struct outcome import(const char *file, const char *commit_size)
{
    struct outcome outcome = {0};
    struct aq_config *config;
    char text[1024];
    char path[512];
    char home[64];
    snprintf(text, sizeof text, config_text, commit_size);
    snprintf(path, sizeof path, "%s", scratch_file(file));
    snprintf(home, sizeof home, "home-%s-%s", file, commit_size);
    const char *files[] = {path};
    cr_assert_eq(aq_config_parse("test", aq_slice_of(text), &config, &err), AQ_OK, "%s",
                 err.message);
    struct aq_ingest_options options = {.config = config,
                                        .dataset = aq_config_dataset(config, "air"),
                                        .source_name = "import",
                                        .format = AQ_FORMAT_AUTO,
                                        .files = files,
                                        .file_count = 1};
    struct aq_store *store = open_store(home);
    outcome.status = aq_ingest_files(store, &options, &outcome.report, &err);
    outcome.rows = hash_dataset(store, "air");
    outcome.rejects = hash_dataset(store, "air_rejects");
    aq_store_close(store);
    aq_config_destroy(config);
    return outcome;
}

static struct outcome compare(const char *file, enum aq_status status)
{
    struct outcome one = import(file, "4KiB");
    struct outcome many = import(file, "1MiB");
    cr_assert_eq(one.status, status, "%s", err.message);
    cr_assert_eq(many.status, status, "%s", err.message);
    cr_assert_eq(many.report.row_count, one.report.row_count);
    cr_assert_eq(many.report.reject_count, one.report.reject_count);
    cr_assert_eq(many.report.input_bytes, one.report.input_bytes);
    cr_assert_eq(many.report.unknown_field_count, one.report.unknown_field_count);
    cr_assert(aq_content_hash_equal(&many.rows, &one.rows));
    cr_assert(aq_content_hash_equal(&many.rejects, &one.rejects));
    return many;
}

static void write_messages(const char *file, void (*print)(FILE *out, size_t i), const char *begin,
                           const char *end)
{
    FILE *out = fopen(scratch_file(file), "w");
    cr_assert_not_null(out);
    fputs(begin, out);
    for (size_t i = 0; i < MESSAGE_COUNT; i++)
        print(out, i);
    fputs(end, out);
    cr_assert_eq(fclose(out), 0);
}

/* One in 97 has no number where one is wanted, one in 101 no time. */
static void print_record(FILE *out, size_t i)
{
    fprintf(out, "city %zu,%s%zu,%s,%zu,\"%s\n%zu, \"\"quoted\"\"\"\n", i % 3,
            i % 101 == 0 ? "x" : "", i * 60,
            i % 97 == 0  ? "none"
            : i % 5 == 0 ? ""
                         : "1.5",
            i, i % 7 == 0 ? "" : "two lines", i);
}

/* One in 89 is no JSON; blank lines; escapes; names that no column has, and one that is repeated. */
static void print_line(FILE *out, size_t i)
{
    if (i % 89 == 0)
        fprintf(out, "{\"city\": %zu\n\n", i);
    else
        fprintf(out,
                "{\"city\":\"city %zu\",\"ts\":%zu,\"v\":%s,\"n\":0,\"n\":%zu,"
                "\"note\":\"a\\u00e9\\n%zu\",\"other\":[1,{\"x\":null}]}\n",
                i % 3, i * 60,
                i % 5 == 0    ? "null"
                : i % 97 == 0 ? "[]"
                              : "-0.25",
                i, i);
}

static void print_element(FILE *out, size_t i)
{
    fprintf(out, "%s{\"city\":\"city %zu\",\"ts\":%zu,\"v\":%s,\"note\":\"],[\"}\n",
            i == 0 ? "[" : ",", i % 3, i * 60, i % 97 == 0 ? "\"x\"" : "7");
}

static void setup(void)
{
    scratch_make();
}

TestSuite(side_by_side, .init = setup);

Test(side_by_side, csv)
{
    write_messages("a.csv", print_record, "city,ts,v,n,note\n", "");
    struct outcome outcome = compare("a.csv", AQ_OK);
    cr_assert_gt(outcome.report.reject_count, 500u);
    cr_assert_eq(outcome.report.row_count + outcome.report.reject_count, MESSAGE_COUNT);
}

Test(side_by_side, lines)
{
    write_messages("a.ndjson", print_line, "\xef\xbb\xbf", "{\"city\":\"hue\",\"ts\":1}");
    struct outcome outcome = compare("a.ndjson", AQ_OK);
    cr_assert_gt(outcome.report.reject_count, 500u);
    cr_assert_eq(outcome.report.row_count + outcome.report.reject_count, MESSAGE_COUNT + 1);
    cr_assert_gt(outcome.report.unknown_field_count, 0u);
}

Test(side_by_side, an_array)
{
    write_messages("a.json", print_element, "", "]\n");
    struct outcome outcome = compare("a.json", AQ_OK);
    cr_assert_eq(outcome.report.row_count + outcome.report.reject_count, MESSAGE_COUNT);
}

/* What was read before the damage is decoded before it is told. */
Test(side_by_side, a_file_that_is_cut_off)
{
    char command[1024];
    write_messages("a.csv", print_record, "city,ts,v,n,note\n", "");
    snprintf(command, sizeof command, "cd %s && gzip a.csv && head -c 100000 a.csv.gz > b.csv.gz",
             scratch_path);
    cr_assert_eq(system(command), 0);
    struct outcome outcome = compare("b.csv.gz", AQ_IO);
    cr_assert_gt(outcome.report.row_count, 1000u);
    cr_assert_lt(outcome.report.row_count, MESSAGE_COUNT);
}

struct tally {
    atomic_uint counts[100];
};

static void count_task(void *context, size_t index)
{
    struct tally *tally = context;
    atomic_fetch_add(&tally->counts[index], 1);
}

Test(helpers, every_task_of_every_run_is_done_once)
{
    for (unsigned thread_count = 1; thread_count <= 4; thread_count++) {
        struct tally tally = {0};
        struct aq_helpers *helpers = aq_helpers_create(thread_count);
        cr_assert_not_null(helpers);
        const struct aq_executor *executor = aq_helpers_executor(helpers);
        for (unsigned count = 0; count <= 100; count++)
            executor->run(executor->context, count, count_task, &tally);
        for (unsigned i = 0; i < 100; i++)
            cr_assert_eq(atomic_load(&tally.counts[i]), 100 - i, "task %u of %u threads", i,
                         thread_count);
        aq_helpers_destroy(helpers);
    }
}
