/* A replay beside others: what they commit while it runs is not touched by its edit, or the edit is not made. */
#include "tests/unit/query/query_fixture.h"

#include <dirent.h>

#include "compaction/replay/rejects_replay.h"
#include "engine/ingest/config.h"

static struct aq_config *config;
static const struct aq_schema *schema;
static const struct aq_schema *rejects;
static struct aq_replay_options options;
static struct aq_replay_report report;
static uint64_t next_ordinal;

#define ARRIVAL INT64_C(1700000000000000)

static void append_reject(struct aq_batch *rows, uint64_t feed_id, int64_t arrival_us)
{
    struct aq_vector *columns = rows->columns;
    char *text = aq_arena_format(&rows->arena, "{\"a\": %llu}", (unsigned long long)next_ordinal);
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_SOURCE], aq_slice_of("import")), AQ_OK);
    cr_assert_eq(aq_vector_append_null(&columns[AQ_REJECT_PARTITION]), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[AQ_REJECT_OFFSET], (int64_t)next_ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[AQ_REJECT_ARRIVAL], arrival_us), AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_REASON], aq_slice_of("why")), AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&columns[AQ_REJECT_BYTES], aq_slice_of(text)), AQ_OK);
    struct aq_vector *system = &columns[AQ_REJECT_COLUMN_COUNT];
    cr_assert_eq(aq_vector_append_int(&system[AQ_SYSTEM_FEED], (int64_t)feed_id), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&system[AQ_SYSTEM_ORDINAL], (int64_t)next_ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&system[AQ_SYSTEM_STAMP], arrival_us), AQ_OK);
    rows->row_count++;
    next_ordinal++;
}

/* Rejects that the present declaration takes, in a segment that is open. */
static struct aq_shard_writer *append_rejects(unsigned count)
{
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options writing = {.segment_size_bytes = 1 << 20, .depth = 2};
    struct aq_feed_identity identity = {.dataset_id = schema->dataset_id,
                                        .source = aq_slice_of("import"),
                                        .name = aq_slice_of("file"),
                                        .partition = -1};
    struct aq_batch rows;
    uint64_t feed_id = 0;
    cr_assert_eq(aq_schema_batch_init(rejects, true, &rows), AQ_OK);
    cr_assert_eq(aq_shard_writer_create(fixture_store, &writing, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_claim(writer, &identity, 0, &feed_id, NULL), AQ_OK);
    for (unsigned i = 0; i < count; i++)
        append_reject(&rows, feed_id, ARRIVAL + i);
    struct aq_partition partition = {.slot_start_us = aq_slot_start(AQ_SLOT_DAY, ARRIVAL),
                                     .row_count = count};
    struct aq_section_input section = {
        .schema = rejects, .rows = &rows, .partitions = &partition, .partition_count = 1};
    struct aq_source_range range = {
        .feed_id = feed_id, .next_ordinal = count, .next_offset = count, .reject_count = count};
    cr_assert_eq(aq_shard_writer_append(writer, &range, 1, &section, 1, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_flush(writer, NULL), AQ_OK);
    aq_batch_deinit(&rows);
    return writer;
}

static void seal(struct aq_shard_writer *writer)
{
    cr_assert_eq(aq_shard_writer_seal(writer, NULL), AQ_OK);
    aq_shard_writer_destroy(writer);
}

static void write_rejects(unsigned count)
{
    seal(append_rejects(count));
}

static void setup(void)
{
    struct aq_error err = {0};
    struct aq_store_options opening = {.create = true, .io = AQ_IO_POSIX};
    static const char text[] = "datasets: {d: {columns: {a: {type: bigint}}}}\n";
    scratch_make();
    opening.home = scratch_file("home");
    cr_assert_eq(aq_store_open(&opening, &fixture_store, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_config_parse("test", aq_slice_of(text), &config, &err), AQ_OK);
    options = (struct aq_replay_options){
        .config = config, .dataset = &config->datasets[0], .since_us = INT64_MIN};
    cr_assert_eq(
        aq_store_declare(fixture_store, &config->datasets[0].schema, &schema, &rejects, &err),
        AQ_OK, "%s", err.message);
    write_rejects(10);
}

static void teardown(void)
{
    aq_replay_report_deinit(&report);
    aq_config_destroy(config);
    aq_store_close(fixture_store);
}

TestSuite(rejects_replay, .init = setup, .fini = teardown);

/* "rows|rejects" of the newest state. */
static const char *counts(void)
{
    cr_assert_eq(aq_snapshot_open(fixture_store, &fixture_snapshot, NULL), AQ_OK);
    const char *text = answer("SELECT count(*), sum(r) FROM (SELECT 0 AS r FROM d UNION ALL "
                              "SELECT 1 FROM d_rejects) AS u");
    aq_snapshot_close(fixture_snapshot);
    return text;
}

static size_t archive_files(void)
{
    size_t count = 0;
    DIR *folder = opendir(scratch_file("home/archives"));
    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static enum aq_status replay(void)
{
    struct aq_error err = {0};
    aq_replay_report_deinit(&report);
    return aq_rejects_replay(fixture_store, &options, &report, &err);
}

Test(rejects_replay, rows_in_rejects_out)
{
    options.dry_run = true;
    cr_assert_eq(replay(), AQ_OK);
    cr_expect_eq(report.row_count, 10u);
    cr_expect_str_eq(counts(), "10|10");
    options.dry_run = false;
    cr_assert_eq(replay(), AQ_OK);
    cr_expect_eq(report.row_count, 10u);
    cr_expect_eq(report.archive_count, 1u);
    cr_expect_str_eq(counts(), "10|0");
    cr_assert_eq(replay(), AQ_OK);
    cr_expect_eq(report.reject_count, 0u);
    cr_expect_eq(archive_files(), 1u);
}

Test(rejects_replay, open_segments_are_left_alone)
{
    struct aq_shard_writer *writer = append_rejects(3);
    cr_assert_eq(replay(), AQ_OK);
    cr_expect_eq(report.open_count, 3u);
    cr_expect_eq(report.reject_count, 10u);
    cr_expect_str_eq(counts(), "13|3");
    seal(writer);
    cr_expect_str_eq(counts(), "13|3");
    cr_assert_eq(replay(), AQ_OK);
    cr_expect_str_eq(counts(), "13|0");
}

static void write_three(void *context, uint64_t done, uint64_t total)
{
    bool *written = context;
    (void)done;
    (void)total;
    if (!*written)
        write_rejects(3);
    *written = true;
}

/* With arrivals in the very span that is replayed. */
Test(rejects_replay, what_others_close_meanwhile_stays)
{
    bool written = false;
    options.progress = write_three;
    options.context = &written;
    cr_assert_eq(replay(), AQ_OK);
    cr_expect(written);
    cr_expect_eq(report.row_count, 10u);
    cr_expect_str_eq(counts(), "13|3");
    options.progress = NULL;
    cr_assert_eq(replay(), AQ_OK);
    cr_expect_str_eq(counts(), "13|0");
}

static enum aq_status build_tombstone(void *context, const struct aq_catalog *catalog,
                                      struct aq_edit *edit, struct aq_error *err)
{
    (void)context;
    (void)err;
    struct aq_record record = {.kind = AQ_RECORD_TOMBSTONE,
                               .tombstone = {.dataset_id = rejects->dataset_id,
                                             .from_us = ARRIVAL,
                                             .until_us = ARRIVAL + 4,
                                             .before_edit = catalog->number + 1}};
    return aq_edit_add(edit, &record);
}

static void remove_four(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    if (done == total)
        cr_assert_eq(aq_store_commit(fixture_store, build_tombstone, NULL, NULL), AQ_OK);
}

/* As another replay would, or retention: what was read is not what is there any more. */
Test(rejects_replay, gives_up_when_rejects_were_removed_meanwhile)
{
    options.progress = remove_four;
    cr_assert_eq(replay(), AQ_CONFLICT);
    cr_expect_str_eq(counts(), "6|6");
    cr_expect_eq(archive_files(), 0u);
    options.progress = NULL;
    cr_assert_eq(replay(), AQ_OK);
    cr_expect_str_eq(counts(), "6|0");
}

Test(rejects_replay, stops_without_a_trace)
{
    atomic_bool stop = true;
    options.stop = &stop;
    cr_assert_eq(replay(), AQ_INTERRUPTED);
    cr_expect_str_eq(counts(), "10|10");
    cr_expect_eq(archive_files(), 0u);
}
