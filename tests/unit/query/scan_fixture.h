/* The same readings twice: "tiled" in the tiles of an archive, with statistics of tiles and of runs, and "plain" in
 * frames, which have none. Where a condition stands over a SELECT of all of "plain", nothing is spared. So whatever
 * statistics and bounds of vectors spare and late reading leaves out, "tiled" and "plain" have to answer as that does. */
#ifndef AQ_TESTS_UNIT_SCAN_FIXTURE_H
#define AQ_TESTS_UNIT_SCAN_FIXTURE_H

#include "engine/query/exec/execute.h"
#include "engine/query/sql/bind.h"
#include "tests/unit/query/query_fixture.h"

static struct aq_column scan_columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "station", .type = AQ_TYPE_BIGINT},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "n", .type = AQ_TYPE_INTEGER},     /* 0, 1, 2 ... in each run */
    {.name = "pm25", .type = AQ_TYPE_DOUBLE},   /* 100 x run, and noise of 8 decimals */
    {.name = "level", .type = AQ_TYPE_BIGINT},  /* one value a run */
    {.name = "note", .type = AQ_TYPE_TEXT},     /* null in every fifth row */
    {.name = "grade", .type = AQ_TYPE_INTEGER}, /* one value a run, or null */
    {.name = "odd", .type = AQ_TYPE_DOUBLE},    /* one of few, as are those below; some null */
    {.name = "wide", .type = AQ_TYPE_BIGINT},
    {.name = "word", .type = AQ_TYPE_TEXT},
    {.name = "share", .type = AQ_TYPE_DOUBLE}, /* in long runs */
    {.name = "id",
     .type = AQ_TYPE_BIGINT}, /* noise: the statistics of runs are to be little beside the rows */
    {.name = "step", .type = AQ_TYPE_BIGINT},  /* 1,000 x (n / 1,024), and noise below 600 */
    {.name = "slope", .type = AQ_TYPE_DOUBLE}, /* the same in tenths; some null, in b 3 NaN */
};
#define SCAN_COLUMNS (sizeof scan_columns / sizeof scan_columns[0])

enum scan_kind {
    SCAN_PLAIN,
    SCAN_SOME_NULLS, /* pm25 of every seventh row */
    SCAN_ALL_NULLS,  /* pm25 */
    SCAN_ODD,        /* NaN, -0.0 and 0.0 among pm25 */
};

/* A run of one (city, station); pm25 lies in [100 x number, 100 x number + 50). */
struct scan_run {
    unsigned tile;
    const char *city;
    int64_t station;
    unsigned row_count;
    enum scan_kind kind;
};
static const struct scan_run scan_runs[] = {
    {0, "a", 1, 2000, SCAN_PLAIN},     {0, "a", 2, 2000, SCAN_SOME_NULLS},
    {0, "a", 3, 1024, SCAN_PLAIN},     {1, "b", 1, 3000, SCAN_PLAIN},
    {1, "b", 2, 200, SCAN_SOME_NULLS}, {2, "b", 3, 1500, SCAN_ALL_NULLS},
    {2, "b", 4, 1500, SCAN_ODD},       {3, "c", 1, 1, SCAN_PLAIN},
};
#define SCAN_RUNS (sizeof scan_runs / sizeof scan_runs[0])
#define SCAN_TILES 4
#define SCAN_ROWS 11225

static unsigned scan_rows_a_time = 1; /* more: ties */

static struct aq_store *scan_store;
static struct aq_snapshot *scan_snapshot;

static inline uint64_t scan_noise(const struct scan_run *run, unsigned i)
{
    uint64_t noise = ((uint64_t)(run - scan_runs) * 100000 + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    noise = (noise ^ noise >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return noise ^ noise >> 32;
}

static inline double scan_value(const struct scan_run *run, unsigned i)
{
    static const double odd[] = {NAN, -0.0, 0.0};
    if (run->kind == SCAN_ODD && i % 4 < 3)
        return odd[i % 4];
    uint64_t parts = (uint64_t)(run - scan_runs) * 10000000000 + scan_noise(run, i) % 5000000000;
    return (double)parts / 1e8;
}

static inline int64_t scan_step(const struct scan_run *run, unsigned i)
{
    return (int64_t)(i / 1024 * 1000 + (scan_noise(run, i) >> 11) % 600);
}

/* The columns of few values. */
static inline void scan_few(const struct scan_run *run, unsigned i, struct aq_batch *rows)
{
    static const double odd[] = {NAN, -0.0, 0.0, 5e-324, 1e300, -INFINITY, 0.1};
    static const int64_t wide[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MIN + 1, 7, 100};
    static const char *const words[] = {"", "a", "ab", "b", "\xc3\xa9", "haze", "smoke"};
    struct aq_vector *columns = &rows->columns[8];
    uint64_t at = scan_noise(run, i) >> 20;
    if (at % 8 == 7) {
        for (size_t c = 0; c < 3; c++)
            cr_assert_eq(aq_vector_append_null(&columns[c]), AQ_OK);
    } else {
        cr_assert_eq(aq_vector_append_double(&columns[0], odd[at % 8]), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&columns[1], wide[at % 8]), AQ_OK);
        cr_assert_eq(aq_vector_append_slice(&columns[2], aq_slice_of(words[at % 8])), AQ_OK);
    }
    uint64_t share = i / 100 % 5;
    cr_assert_eq(share == 4 ? aq_vector_append_null(&columns[3])
                            : aq_vector_append_double(&columns[3], (double)share / 4),
                 AQ_OK);
}

static inline void scan_row(const struct scan_run *run, unsigned i, struct aq_batch *rows)
{
    static const char *const notes[] = {"calm", "haze", "smoke"};
    struct aq_vector *columns = rows->columns;
    bool null = run->kind == SCAN_ALL_NULLS || (run->kind == SCAN_SOME_NULLS && i % 7 == 0);
    cr_assert_eq(aq_vector_append_slice(&columns[0], aq_slice_of(run->city)), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[1], run->station), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[2],
                                      READING_BASE + (int64_t)(i / scan_rows_a_time) * 20000000),
                 AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[3], i), AQ_OK);
    cr_assert_eq(null ? aq_vector_append_null(&columns[4])
                      : aq_vector_append_double(&columns[4], scan_value(run, i)),
                 AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[5], (run - scan_runs) / 2), AQ_OK);
    cr_assert_eq(i % 5 == 0 ? aq_vector_append_null(&columns[6])
                            : aq_vector_append_slice(&columns[6], aq_slice_of(notes[i % 3])),
                 AQ_OK);
    cr_assert_eq(null ? aq_vector_append_null(&columns[7])
                      : aq_vector_append_int(&columns[7], run - scan_runs),
                 AQ_OK);
    scan_few(run, i, rows);
    cr_assert_eq(aq_vector_append_int(&columns[12], (int64_t)scan_noise(run, i)), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[13], scan_step(run, i)), AQ_OK);
    bool odd = i % 97 == 5;
    if (odd && run->kind != SCAN_ODD)
        cr_assert_eq(aq_vector_append_null(&columns[14]), AQ_OK);
    else
        cr_assert_eq(aq_vector_append_double(&columns[14],
                                             odd ? (double)NAN : (double)scan_step(run, i) / 10),
                     AQ_OK);
    rows->row_count++;
}

static inline const struct aq_schema *scan_declare(const char *dataset)
{
    static uint32_t series[] = {1};
    struct aq_schema declared = {.dataset = dataset,
                                 .column_count = SCAN_COLUMNS,
                                 .columns = scan_columns,
                                 .key_column = 0,
                                 .time_column = 2,
                                 .slot = AQ_SLOT_DAY,
                                 .series_count = 1,
                                 .series = series,
                                 .version_column = AQ_COLUMN_NONE};
    const struct aq_schema *schema = NULL;
    const struct aq_schema *rejects = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_declare(scan_store, &declared, &schema, &rejects, &err), AQ_OK, "%s",
                 err.message);
    return schema;
}

/* ---- "plain": a frame a run ---- */

static inline void scan_write_frame(struct readings *to, const struct scan_run *run)
{
    struct aq_batch rows;
    cr_assert_eq(aq_schema_batch_init(to->schema, true, &rows), AQ_OK);
    for (unsigned i = 0; i < run->row_count; i++) {
        scan_row(run, i, &rows);
        cr_assert_eq(aq_vector_append_int(&rows.columns[SCAN_COLUMNS], (int64_t)to->feed_id),
                     AQ_OK);
        cr_assert_eq(
            aq_vector_append_int(&rows.columns[SCAN_COLUMNS + 1], (int64_t)to->ordinal + i), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[SCAN_COLUMNS + 2], 1), AQ_OK);
    }
    struct aq_partition partition = {
        .key = aq_slice_of(run->city), .slot_start_us = READING_BASE, .row_count = run->row_count};
    struct aq_section_input section = {
        .schema = to->schema, .rows = &rows, .partitions = &partition, .partition_count = 1};
    struct aq_source_range range = {.feed_id = to->feed_id,
                                    .first_ordinal = to->ordinal,
                                    .next_ordinal = to->ordinal + run->row_count,
                                    .next_offset = to->ordinal + run->row_count,
                                    .row_count = run->row_count};
    struct aq_error err = {0};
    cr_assert_eq(aq_shard_writer_append(to->writer, &range, 1, &section, 1, &err), AQ_OK, "%s",
                 err.message);
    to->ordinal += run->row_count;
    aq_batch_deinit(&rows);
}

static inline void scan_write_plain(void)
{
    struct readings to = {.schema = scan_declare("plain")};
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 24, .depth = 4};
    struct aq_feed_identity identity = {.dataset_id = to.schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of("plain"),
                                        .partition = -1};
    cr_assert_eq(aq_shard_writer_create(scan_store, &options, &to.writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_claim(to.writer, &identity, 0, &to.feed_id, NULL), AQ_OK);
    for (size_t i = 0; i < SCAN_RUNS; i++)
        scan_write_frame(&to, &scan_runs[i]);
    readings_end(&to);
}

/* ---- "tiled": an archive made here, tile by tile ---- */

struct scan_archive {
    uint64_t file_id;
    uint32_t dataset_id;
    struct aq_bytes bytes;
    struct aq_bytes root;
    struct aq_content_hash content;
};

static inline enum aq_status scan_collect(void *context, const void *data, size_t size,
                                          struct aq_error *err)
{
    (void)err;
    aq_bytes_append(context, data, size);
    return AQ_OK;
}

static inline enum aq_status scan_build(void *context, const struct aq_catalog *catalog,
                                        struct aq_edit *edit, struct aq_error *err)
{
    const struct scan_archive *archive = context;
    struct aq_record record = {
        .kind = AQ_RECORD_ARCHIVE,
        .archive = {.file_id = archive->file_id,
                    .size_bytes = archive->bytes.size,
                    .content = archive->content,
                    .entry = {.dataset_id = archive->dataset_id,
                              .schema_version = 1,
                              .row_count = SCAN_ROWS,
                              .has_time = true,
                              .min_time_us = READING_BASE,
                              .max_time_us = READING_BASE + INT64_C(2999) * 20000000},
                    .root = aq_bytes_view(&archive->root)}};
    (void)err;
    cr_assert_eq(catalog->next_file_id, archive->file_id);
    return aq_edit_add(edit, &record);
}

static inline void scan_write_tile(struct aq_archive_writer *writer, const struct aq_schema *schema,
                                   unsigned tile)
{
    struct aq_batch rows;
    struct aq_error err = {0};
    cr_assert_eq(aq_schema_batch_init(schema, false, &rows), AQ_OK);
    for (size_t run = 0; run < SCAN_RUNS; run++)
        for (unsigned i = 0; scan_runs[run].tile == tile && i < scan_runs[run].row_count; i++)
            scan_row(&scan_runs[run], i, &rows);
    cr_assert_eq(aq_archive_writer_tile(writer, &rows, &err), AQ_OK, "%s", err.message);
    aq_batch_deinit(&rows);
}

static inline void scan_write_tiled(bool fast)
{
    const struct aq_schema *schema = scan_declare("tiled");
    const struct aq_catalog *catalog = NULL;
    char name[64];
    char path[80];
    struct aq_error err = {0};
    cr_assert_eq(aq_store_catalog(scan_store, true, &catalog, NULL), AQ_OK);
    struct scan_archive archive = {.file_id = catalog->next_file_id,
                                   .dataset_id = schema->dataset_id};
    struct aq_archive_options options = {.store_id = catalog->store_id,
                                         .schema = schema,
                                         .fast = fast,
                                         .sink = scan_collect,
                                         .sink_context = &archive.bytes};
    struct aq_archive_writer *writer = NULL;
    cr_assert_eq(aq_archive_writer_create(&options, &writer, NULL), AQ_OK);
    for (unsigned tile = 0; tile < SCAN_TILES; tile++)
        scan_write_tile(writer, schema, tile);
    cr_assert_eq(aq_archive_writer_finish(writer, &archive.root, &archive.content, NULL), AQ_OK);
    aq_archive_writer_destroy(writer);
    aq_catalog_file_name(AQ_FILE_ARCHIVE, archive.file_id, name, sizeof name);
    snprintf(path, sizeof path, "home/%s", name);
    scratch_write(scratch_file(path), archive.bytes.data, archive.bytes.size);
    cr_assert_eq(aq_store_commit(scan_store, scan_build, &archive, &err), AQ_OK, "%s", err.message);
    aq_bytes_deinit(&archive.bytes);
    aq_bytes_deinit(&archive.root);
    aq_catalog_release(catalog);
}

/* ---- both ---- */

static inline enum aq_status scan_bury(void *context, const struct aq_catalog *catalog,
                                       struct aq_edit *edit, struct aq_error *err)
{
    const int64_t *span = context;
    (void)err;
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_schema *schema = &catalog->datasets[i].versions[0];
        struct aq_record record = {.kind = AQ_RECORD_TOMBSTONE,
                                   .tombstone = {.dataset_id = schema->dataset_id,
                                                 .from_us = span[0],
                                                 .until_us = span[1],
                                                 .before_edit = catalog->number + 1}};
        if (schema->rejects_of == 0)
            AQ_TRY(aq_edit_add(edit, &record));
    }
    return AQ_OK;
}

static inline void scan_look(void)
{
    struct aq_error err = {0};
    aq_snapshot_close(scan_snapshot);
    cr_assert_eq(aq_snapshot_open(scan_store, &scan_snapshot, &err), AQ_OK, "%s", err.message);
    fixture_snapshot = scan_snapshot;
}

/** Remove rows [from, until) of every run from both datasets, as retention and deletions do. */
static inline void scan_remove(int64_t from, int64_t until)
{
    int64_t span[] = {READING_BASE + from * 20000000, READING_BASE + until * 20000000};
    cr_assert_eq(aq_store_commit(scan_store, scan_bury, span, NULL), AQ_OK);
    scan_look();
}

static inline void scan_open_as(bool fast)
{
    struct aq_error err = {0};
    struct aq_store_options options = {.create = true, .io = AQ_IO_POSIX};
    scratch_make();
    options.home = scratch_file("home");
    cr_assert_eq(aq_store_open(&options, &scan_store, &err), AQ_OK, "%s", err.message);
    scan_write_plain();
    scan_write_tiled(fast);
    scan_look();
}

static inline void scan_open(void)
{
    scan_open_as(false);
}

static inline void scan_close(void)
{
    aq_snapshot_close(scan_snapshot);
    scan_snapshot = NULL;
    aq_store_close(scan_store);
}

static inline const struct aq_unit *scan_units(const char *dataset, size_t *count)
{
    const struct aq_unit *units = NULL;
    const struct aq_schema *schema = aq_catalog_schema(aq_snapshot_catalog(scan_snapshot), dataset);
    cr_assert_eq(aq_snapshot_units(scan_snapshot, schema->dataset_id, &units, count, NULL), AQ_OK);
    return units;
}

/* The answer to `sql` with `dataset` in the place of its @, malloc'ed, and how many rows were read for it. */
static inline char *scan_answer(const char *sql, const char *dataset, uint64_t *row_count)
{
    char text[512];
    struct aq_query *query = NULL;
    const struct aq_batch *batch = NULL;
    struct aq_error err = {0};
    struct aq_bytes out = {0};
    enum aq_status status;
    struct aq_query_options options = {.thread_count = 1};
    const char *at = strchr(sql, '@');
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sql), sql, dataset, at + 1);
    cr_assert_eq(aq_query_prepare(scan_snapshot, text, &options, &query, &err), AQ_OK, "%s: %s",
                 text, err.message);
    while ((status = aq_query_next(query, &batch, &err)) == AQ_OK)
        answer_batch(query, batch, &out);
    cr_assert_eq(status, AQ_END, "%s: %s", text, err.message);
    *row_count = aq_query_count(query).row_read_count;
    aq_query_destroy(query);
    char *answer = strndup(out.data == NULL ? "" : (char *)out.data, out.size);
    aq_bytes_deinit(&out);
    return answer;
}

/** Both datasets give the same answer to `sql` (see above), "tiled" from `row_count_max` rows at most. */
static inline void scan_ask(const char *sql, uint64_t row_count_max)
{
    uint64_t row_count;
    char *expected = scan_answer(sql, "(SELECT * FROM plain) AS plain", &row_count);
    char *plain = scan_answer(sql, "plain", &row_count);
    char *answer = scan_answer(sql, "tiled", &row_count);
    cr_expect(strcmp(expected, answer) == 0, "%s\n  all    %.300s\n  tiled  %.300s", sql, expected,
              answer);
    cr_expect(strcmp(expected, plain) == 0, "%s\n  all    %.300s\n  plain  %.300s", sql, expected,
              plain);
    cr_expect_leq(row_count, row_count_max, "%s read %llu rows", sql,
                  (unsigned long long)row_count);
    free(expected);
    free(plain);
    free(answer);
}

/* ---- a plan, bound and not run ---- */

struct scan_plan {
    struct aq_arena arena;
    struct aq_sql_text sql;
    struct aq_plan *plan;
    struct aq_runtime runtime;
};

static inline void scan_plan_init(struct scan_plan *made, const char *sql)
{
    PgQuery__Node *statement = NULL;
    struct aq_error err = {0};
    *made = (struct scan_plan){.sql = {.text = sql, .label = ""}};
    made->runtime.snapshot = scan_snapshot;
    made->runtime.thread_count = 1;
    made->runtime.memory_limit = 1 << 28;
    cr_assert_eq(aq_sql_parse(&made->sql, &made->arena, &statement, &err), AQ_OK, "%s",
                 err.message);
    struct aq_binder binder = {
        .session = {.arena = &made->arena, .zone = aq_zone_utc(), .sql = &made->sql, .err = &err},
        .catalog = aq_snapshot_catalog(scan_snapshot)};
    cr_assert_eq(aq_bind_select(&binder, statement->select_stmt, &made->plan), AQ_OK, "%s",
                 err.message);
}

static inline void scan_plan_deinit(struct scan_plan *made)
{
    aq_arena_deinit(&made->arena);
}

/* What becomes of a tile, as text: "answered 1; 0+2000 all; 4000+1024 some". */
static inline const char *judged(const char *sql, unsigned tile)
{
    static char text[400];
    struct scan_plan made;
    struct aq_stretches stretches = {0};
    struct aq_group_sink groups = {0};
    struct aq_error err = {0};
    size_t unit_count;
    scan_plan_init(&made, sql);
    const struct aq_unit *units = scan_units("tiled", &unit_count);
    cr_assert_lt(tile, unit_count);
    if (made.plan->grouped)
        cr_assert_eq(aq_group_sink_init(&groups, made.plan, false), AQ_OK);
    enum aq_prune prune = aq_prune_unit(made.plan, &units[tile]);
    int size = 0;
    if (prune != AQ_PRUNE_NONE) {
        cr_assert_eq(
            aq_runs_judge(scan_snapshot, made.plan, &units[tile], prune, &groups, &stretches, &err),
            AQ_OK, "%s", err.message);
        size = snprintf(text, sizeof text, "answered %llu",
                        (unsigned long long)stretches.answered_count);
    } else {
        snprintf(text, sizeof text, "nothing");
    }
    for (size_t i = 0; i < stretches.count; i++) {
        const struct aq_stretch *stretch = &stretches.items[i];
        char end[16] = "end";
        if (stretch->row_count != AQ_STRETCH_TO_END)
            snprintf(end, sizeof end, "%u", stretch->row_count);
        size += snprintf(text + size, sizeof text - (size_t)size, "; %u+%s %s", stretch->first, end,
                         stretch->all_pass ? "all" : "some");
    }
    aq_stretches_deinit(&stretches);
    if (made.plan->grouped)
        aq_group_sink_deinit(&groups);
    scan_plan_deinit(&made);
    return text;
}

static inline void expect_judged(const char *sql, unsigned tile, const char *expected)
{
    cr_expect_str_eq(judged(sql, tile), expected, "%s of tile %u:\n  %s", sql, tile,
                     judged(sql, tile));
}

#endif
