/* Merging: whatever the rows, the groups, the memory and the threads, the files hold exactly the rows that were
 * read, each in its group; of twins one, the right one. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "compaction/compact_job.h"
#include "compaction/merge/rows/row_source.h"
#include "engine/store/dedupe.h"
#include "tests/unit/compaction/air_fixture.h"

static uint64_t state;

static uint64_t random_below(uint64_t limit)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (state >> 20) % limit;
}

/* Schemas. */

enum { KEY, STATION, TIME, FLAG, SMALL, REAL, DOUBLE, NOTE, RAW, DAY, VERSION, COLUMN_COUNT };

struct shape {
    bool keyed;
    bool timed;
    bool time_required;
    bool unique;
    bool versioned;
    enum aq_keep keep;
};

static struct aq_column columns[COLUMN_COUNT];
static uint32_t series[] = {STATION};
static uint32_t unique[3];

static struct aq_schema make_schema(const struct shape *shape)
{
    static const enum aq_type types[] = {AQ_TYPE_TEXT,    AQ_TYPE_BIGINT,  AQ_TYPE_TIMESTAMPTZ,
                                         AQ_TYPE_BOOLEAN, AQ_TYPE_INTEGER, AQ_TYPE_REAL,
                                         AQ_TYPE_DOUBLE,  AQ_TYPE_JSON,    AQ_TYPE_BYTEA,
                                         AQ_TYPE_DATE,    AQ_TYPE_BIGINT};
    static const char *const names[] = {"k", "station", "t", "flag", "small",  "real",
                                        "d", "note",    "b", "day",  "version"};
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        columns[i] = (struct aq_column){.name = names[i], .type = types[i]};
    columns[TIME].required = shape->time_required;
    struct aq_schema schema = {.dataset = "air",
                               .column_count = COLUMN_COUNT,
                               .columns = columns,
                               .key_column = shape->keyed ? KEY : AQ_COLUMN_NONE,
                               .time_column = shape->timed ? TIME : AQ_COLUMN_NONE,
                               .slot = shape->timed ? AQ_SLOT_DAY : AQ_SLOT_NONE,
                               .series_count = 1,
                               .series = series,
                               .unique = unique,
                               .keep = shape->keep,
                               .version_column = AQ_COLUMN_NONE};
    if (!shape->unique)
        return schema;
    unique[schema.unique_count++] = STATION;
    if (shape->keyed)
        unique[schema.unique_count++] = KEY;
    if (shape->timed)
        unique[schema.unique_count++] = TIME;
    if (shape->versioned)
        schema.version_column = VERSION;
    return schema;
}

/* Rows. */

#define HOUR_COUNT 200 /* so few times that there are twins */

/* Of which the rows that are made next have these. */
static uint64_t hour_first;
static uint64_t hour_count = HOUR_COUNT;
static uint64_t key_count = 5;

static void append_text(struct aq_batch *batch, size_t column, uint64_t number)
{
    const char *text = aq_arena_format(&batch->arena, "%llu", (unsigned long long)number);
    cr_assert_eq(aq_vector_append_slice(&batch->columns[column], aq_slice_of(text)), AQ_OK);
}

static void append_double(struct aq_batch *batch, size_t column)
{
    static const double odd[] = {-0.0, 0.0, 1e300, 0.1, -5};
    uint64_t pick = random_below(12);
    double value = pick < 5 ? odd[pick] : (double)random_below(1000) / 10;
    if (pick == 5)
        value = __builtin_nan("");
    if (column == REAL)
        value = (double)(float)value;
    cr_assert_eq(aq_vector_append_double(&batch->columns[column], value), AQ_OK);
}

static void append_value(const struct aq_schema *schema, struct aq_batch *batch, size_t column)
{
    struct aq_vector *vector = &batch->columns[column];
    bool nullable = !schema->columns[column].required;
    enum aq_status status = AQ_OK;
    if (nullable && random_below(column == KEY || column == STATION ? 40 : 6) == 0)
        status = aq_vector_append_null(vector);
    else if (column == KEY)
        append_text(batch, column, random_below(key_count));
    else if (column == NOTE || column == RAW)
        append_text(batch, column, random_below(300));
    else if (column == REAL || column == DOUBLE)
        append_double(batch, column);
    else if (column == TIME)
        status = aq_vector_append_int(vector, (int64_t)(hour_first + random_below(hour_count)) *
                                                  AQ_US_PER_HOUR);
    else
        status = aq_vector_append_int(vector, (int64_t)random_below(column == FLAG ? 2 : 3));
    cr_assert_eq(status, AQ_OK);
}

static void fill_random(const struct aq_schema *schema, struct aq_batch *batch, size_t count,
                        uint64_t feed_id, uint64_t ordinal)
{
    cr_assert_eq(aq_schema_batch_init(schema, true, batch), AQ_OK);
    for (size_t row = 0; row < count; row++) {
        for (size_t column = 0; column < COLUMN_COUNT; column++)
            append_value(schema, batch, column);
        struct aq_vector *system = &batch->columns[COLUMN_COUNT];
        cr_assert_eq(aq_vector_append_int(&system[AQ_SYSTEM_FEED], (int64_t)feed_id), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&system[AQ_SYSTEM_ORDINAL], (int64_t)(ordinal + row)),
                     AQ_OK);
        cr_assert_eq(aq_vector_append_int(&system[AQ_SYSTEM_STAMP], (int64_t)random_below(3)),
                     AQ_OK);
        batch->row_count++;
    }
}

static void write_frames(struct aq_store *store, const struct aq_schema *schema, unsigned frames,
                         size_t rows)
{
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 30, .depth = 4};
    static unsigned number;
    char name[32];
    snprintf(name, sizeof name, "feed-%u", number++);
    struct aq_feed_identity identity = {.dataset_id = schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of(name),
                                        .partition = -1};
    uint64_t feed_id;
    cr_assert_eq(aq_shard_writer_create(store, &options, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_claim(writer, &identity, 0, &feed_id, NULL), AQ_OK);
    for (unsigned i = 0; i < frames; i++) {
        struct aq_batch batch;
        struct aq_error err = {0};
        fill_random(schema, &batch, rows, feed_id, i * rows);
        struct aq_partition partition = {.row_count = (uint32_t)rows};
        struct aq_section_input section = {schema, &batch, &partition, 1};
        struct aq_source_range range = {.feed_id = feed_id,
                                        .first_ordinal = i * rows,
                                        .next_ordinal = (i + 1) * rows,
                                        .row_count = rows};
        cr_assert_eq(aq_shard_writer_append(writer, &range, 1, &section, 1, &err), AQ_OK, "%s",
                     err.message);
        aq_batch_deinit(&batch);
    }
    cr_assert_eq(aq_shard_writer_seal(writer, NULL), AQ_OK);
    aq_shard_writer_destroy(writer);
}

/* All rows of a dataset as archives store them, in one batch. */
static void read_all(struct aq_snapshot *snapshot, const struct aq_schema *schema,
                     struct aq_batch *all)
{
    const struct aq_unit *units;
    size_t unit_count;
    uint32_t ids[COLUMN_COUNT + AQ_ARRIVAL_COLUMN_COUNT];
    cr_assert_eq(aq_schema_stored_batch_init(schema, all), AQ_OK);
    for (size_t i = 0; i < all->column_count; i++)
        ids[i] = aq_schema_stored_column(schema, i).id;
    cr_assert_eq(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, NULL), AQ_OK);
    for (size_t i = 0; i < unit_count; i++) {
        struct aq_batch batch;
        struct aq_error err = {0};
        cr_assert_eq(aq_schema_stored_batch_init(schema, &batch), AQ_OK);
        cr_assert_eq(aq_unit_read(snapshot, &units[i], ids, &batch, &err), AQ_OK, "%s",
                     err.message);
        for (size_t row = 0; row < batch.row_count; row++) {
            cr_assert(units[i].kind == AQ_FILE_SEGMENT || row == 0 ||
                      aq_schema_compare_rows(schema, &batch, row - 1, &batch, row) <= 0);
            for (size_t c = 0; c < all->column_count; c++)
                cr_assert_eq(
                    aq_vector_append_from(&all->columns[c], &batch.columns[c], row, &all->arena),
                    AQ_OK);
        }
        all->row_count += batch.row_count;
        aq_batch_deinit(&batch);
    }
}

/* The model of `unique`: a row stays unless some twin counts rather than it; of equal ones the first. */
static struct aq_content_hash survivors(const struct aq_schema *schema, const struct aq_batch *all)
{
    struct aq_batch kept;
    struct aq_content_hash hash;
    cr_assert_eq(aq_schema_stored_batch_init(schema, &kept), AQ_OK);
    for (size_t row = 0; row < all->row_count; row++) {
        bool stays = true;
        for (size_t other = 0; schema->unique_count > 0 && stays && other < all->row_count;
             other++) {
            if (other == row || !aq_rows_are_twins(schema, all, row, all, other))
                continue;
            int order = aq_twins_compare(schema, all, row, all, other);
            stays = order > 0 || (order == 0 && row < other);
        }
        for (size_t c = 0; stays && c < all->column_count; c++)
            cr_assert_eq(aq_vector_append_from(&kept.columns[c], &all->columns[c], row, NULL),
                         AQ_OK);
        kept.row_count += stays;
    }
    cr_assert_eq(aq_batch_content_hash(&kept, kept.column_count, &hash), AQ_OK);
    aq_batch_deinit(&kept);
    return hash;
}

/* Merging by a plan of one's own. */

/* All closed files, and groups of random bounds. */
static void make_plan(const struct aq_catalog *catalog, const struct aq_schema *schema,
                      size_t group_count, struct aq_compact_job *job)
{
    struct aq_compact_plan *plan = &job->plan;
    struct aq_compact_dataset *dataset = aq_arena_alloc(&job->arena, sizeof *dataset);
    struct aq_compact_group *groups = aq_arena_alloc(&job->arena, group_count * sizeof *groups);
    plan->inputs = aq_arena_alloc(&job->arena, catalog->file_count * sizeof(void *));
    *dataset =
        (struct aq_compact_dataset){.schema = schema, .groups = groups, .group_count = group_count};
    plan->datasets = dataset;
    plan->dataset_count = 1;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        plan->inputs[plan->input_count++] = file;
        for (size_t e = 0; e < file->entry_count; e++)
            dataset->row_count += file->entries[e].row_count;
    }
    int64_t from_us = INT64_MIN;
    for (size_t g = 0; g < group_count; g++) {
        int64_t until_us = (int64_t)((g + 1) * HOUR_COUNT / group_count) * AQ_US_PER_HOUR +
                           (int64_t)random_below(2);
        if (g + 1 == group_count)
            until_us = INT64_MAX;
        groups[g] = (struct aq_compact_group){
            .schema = schema, .from_us = from_us, .until_us = until_us, .reason = "test"};
        from_us = until_us;
    }
}

static enum aq_status publish(void *context, const struct aq_catalog *catalog, struct aq_edit *edit,
                              struct aq_error *err)
{
    struct aq_compact_job *job = context;
    uint64_t next_file_id = catalog->next_file_id;
    for (size_t i = 0; i < job->output_count; i++) {
        AQ_TRY(aq_archive_output_publish(job->outputs[i], &next_file_id, err));
        AQ_TRY(aq_archive_output_record(job->outputs[i], edit));
    }
    for (size_t i = 0; i < job->plan.input_count; i++) {
        struct aq_record record = {.kind = AQ_RECORD_REMOVE,
                                   .remove = {.file_id = job->plan.inputs[i]->file_id}};
        AQ_TRY(aq_edit_add(edit, &record));
    }
    return AQ_OK;
}

/* No file holds times of two groups. */
static void check_groups(const struct aq_compact_job *job)
{
    const struct aq_compact_dataset *dataset = job->plan.datasets;
    for (size_t i = 0; i < job->output_count; i++) {
        const struct aq_file_entry *entry = &job->outputs[i]->entry;
        size_t inside = !entry->has_time;
        for (size_t g = 0; g < dataset->group_count; g++)
            inside += entry->has_time && entry->min_time_us >= dataset->groups[g].from_us &&
                      entry->max_time_us < dataset->groups[g].until_us;
        cr_assert_eq(inside, 1);
    }
}

struct setting {
    size_t group_count;
    uint64_t memory_bytes;
    unsigned thread_count;
    uint64_t file_bytes;
};

/* Groups that are read key by key. */
static size_t count_windowed(const struct aq_compact_job *job)
{
    struct aq_row_source source;
    size_t count = 0;
    cr_assert_eq(aq_row_source_open(job, job->plan.datasets, &source, NULL), AQ_OK);
    for (size_t group = 0; group < job->plan.datasets->group_count; group++) {
        cr_assert_eq(aq_row_source_begin(&source, group, NULL), AQ_OK);
        count += source.windowed;
        aq_row_source_end(&source);
    }
    aq_row_source_close(&source);
    return count;
}

/* @return How many groups were read key by key. */
static size_t merge(struct aq_store *store, const struct aq_schema *schema,
                    const struct setting *setting)
{
    struct aq_compact_options options = {0};
    struct aq_compact_job job = {.store = store,
                                 .options = &options,
                                 .target_size_bytes = setting->file_bytes,
                                 .memory_bytes = setting->memory_bytes};
    struct aq_batch before;
    struct aq_error err = {0};
    aq_workers_init(&job.workers, setting->thread_count);
    cr_assert_eq(aq_snapshot_open(store, &job.snapshot, NULL), AQ_OK);
    make_plan(aq_snapshot_catalog(job.snapshot), schema, setting->group_count, &job);
    read_all(job.snapshot, schema, &before);
    struct aq_content_hash expected = survivors(schema, &before);
    size_t windowed = count_windowed(&job);
    cr_assert_eq(aq_compact_merge(&job, job.plan.datasets, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
    cr_assert_eq(job.dropped_rows, before.row_count - expected.row_count);
    check_groups(&job);
    cr_assert_eq(aq_store_commit(store, publish, &job, &err), AQ_OK, "%s", err.message);
    aq_snapshot_close(job.snapshot);
    for (size_t i = 0; i < job.output_count; i++) {
        aq_archive_output_deinit(job.outputs[i]);
        free(job.outputs[i]);
    }
    free(job.outputs);
    aq_arena_deinit(&job.arena);
    aq_batch_deinit(&before);
    struct aq_batch after;
    struct aq_content_hash hash;
    struct aq_snapshot *snapshot;
    cr_assert_eq(aq_snapshot_open(store, &snapshot, NULL), AQ_OK);
    read_all(snapshot, schema, &after);
    cr_assert_eq(aq_batch_content_hash(&after, after.column_count, &hash), AQ_OK);
    cr_assert_eq(hash.row_count, expected.row_count);
    cr_assert(aq_content_hash_equal(&hash, &expected));
    aq_batch_deinit(&after);
    aq_snapshot_close(snapshot);
    return windowed;
}

/* Segments, merged; more segments, merged with what came of the first. */
static void merge_twice(const struct shape *shape, const struct setting *setting, unsigned number)
{
    char home[32];
    snprintf(home, sizeof home, "home%u", number);
    struct aq_store *store = open_store(home, true);
    struct aq_schema declared = make_schema(shape);
    const struct aq_schema *schema;
    const struct aq_schema *rejects;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_declare(store, &declared, &schema, &rejects, &err), AQ_OK, "%s",
                 err.message);
    write_frames(store, schema, 3, 150);
    write_frames(store, schema, 1 + (unsigned)random_below(4), 1 + random_below(200));
    merge(store, schema, setting);
    write_frames(store, schema, 2, 100);
    merge(store, schema, setting);
    aq_store_close(store);
}

static const uint64_t memories[] = {1 << 10, 1 << 14, 1 << 17, 1 << 30};

Test(merge, every_row_once_whatever_the_groups_and_the_memory)
{
    scratch_make();
    for (unsigned i = 0; i < 32; i++) {
        state = 1000 + i;
        struct shape shape = {.keyed = i % 5 != 0,
                              .timed = i % 7 != 0,
                              .time_required = i % 2 == 0,
                              .unique = i % 3 == 1,
                              .versioned = i % 2 == 1,
                              .keep = i % 4 < 2 ? AQ_KEEP_LAST : AQ_KEEP_FIRST};
        struct setting setting = {.group_count = 1 + i % 4 * 3,
                                  .memory_bytes = memories[i / 4 % 4],
                                  .thread_count = 1 + i % 3,
                                  .file_bytes = i % 2 == 0 ? 4096 : 1 << 20};
        merge_twice(&shape, &setting, i);
    }
}

/* Frames one after the other in time, a few of them with rows of two groups; some keys of few rows, and nulls. */
Test(merge, key_by_key)
{
    scratch_make();
    size_t windowed = 0;
    for (unsigned i = 0; i < 6; i++) {
        state = 2000 + i;
        key_count = i % 2 == 0 ? 40 : 5;
        struct shape shape = {.keyed = true,
                              .timed = true,
                              .time_required = true,
                              .unique = i % 4 >= 2,
                              .keep = i % 8 < 4 ? AQ_KEEP_LAST : AQ_KEEP_FIRST};
        struct setting setting = {.group_count = 1 + i % 3,
                                  .memory_bytes = (uint64_t)(2 + i % 4) << 17,
                                  .thread_count = 1 + i % 3,
                                  .file_bytes = 1 << 20};
        char home[32];
        snprintf(home, sizeof home, "keys%u", i);
        struct aq_store *store = open_store(home, true);
        struct aq_schema declared = make_schema(&shape);
        const struct aq_schema *schema;
        const struct aq_schema *rejects;
        cr_assert_eq(aq_store_declare(store, &declared, &schema, &rejects, NULL), AQ_OK);
        for (unsigned frame = 0; frame < 24; frame++) {
            hour_first = frame * (HOUR_COUNT - 10) / 24;
            hour_count = 1 + random_below(8);
            write_frames(store, schema, 1, 50);
        }
        windowed += merge(store, schema, &setting);
        aq_store_close(store);
    }
    cr_log_info("%zu groups key by key", windowed);
    cr_assert_gt(windowed, 6);
}

/* Memory. */

#define MIB (1 << 20)
#define WIDE_FRAMES 60
#define WIDE_ROWS 20000

/* Times and values of many rows, in no order; three series a key. */
static void write_many(struct aq_store *store, const struct aq_schema *schema)
{
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 30, .depth = 4};
    struct aq_feed_identity identity = {.dataset_id = schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of("many"),
                                        .partition = -1};
    uint64_t feed_id;
    cr_assert_eq(aq_shard_writer_create(store, &options, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_shard_writer_claim(writer, &identity, 0, &feed_id, NULL), AQ_OK);
    for (uint64_t frame = 0; frame < WIDE_FRAMES; frame++) {
        struct aq_batch batch;
        cr_assert_eq(aq_schema_batch_init(schema, true, &batch), AQ_OK);
        for (size_t column = 0; column < batch.column_count; column++) {
            cr_assert_eq(aq_vector_resize(&batch.columns[column], WIDE_ROWS), AQ_OK);
            for (size_t row = 0; row < WIDE_ROWS; row++)
                batch.columns[column].ints[row] = (int64_t)random_below(column < 2    ? 50
                                                                        : column == 2 ? 3
                                                                                      : 100000);
        }
        batch.row_count = WIDE_ROWS;
        struct aq_partition partition = {.row_count = WIDE_ROWS};
        struct aq_section_input section = {schema, &batch, &partition, 1};
        struct aq_source_range range = {.feed_id = feed_id,
                                        .first_ordinal = frame * WIDE_ROWS,
                                        .next_ordinal = (frame + 1) * WIDE_ROWS,
                                        .row_count = WIDE_ROWS};
        cr_assert_eq(aq_shard_writer_append(writer, &range, 1, &section, 1, NULL), AQ_OK);
        aq_batch_deinit(&batch);
    }
    cr_assert_eq(aq_shard_writer_seal(writer, NULL), AQ_OK);
    aq_shard_writer_destroy(writer);
}

/* Compact in a process of its own: how much more memory it came to use than before. */
static long peak_of(const char *home, uint64_t memory_bytes)
{
    int ends[2];
    long peak_kib = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct aq_compact_options options = {.memory_bytes = memory_bytes, .thread_count = 2};
        struct aq_compact_report report;
        struct rusage before;
        struct rusage after;
        struct aq_store *store = open_store(home, false);
        getrusage(RUSAGE_SELF, &before);
        enum aq_status status = aq_compact(store, &options, &report, NULL);
        getrusage(RUSAGE_SELF, &after);
        peak_kib = after.ru_maxrss - before.ru_maxrss;
        bool whole = status == AQ_OK && report.row_count == WIDE_FRAMES * WIDE_ROWS;
        _exit(whole && write(ends[1], &peak_kib, sizeof peak_kib) == sizeof peak_kib ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(read(ends[0], &peak_kib, sizeof peak_kib), (ssize_t)sizeof peak_kib);
    return peak_kib / 1024;
}

Test(merge, memory_is_kept_to)
{
    scratch_make();
    struct aq_column four[] = {{.name = "k", .type = AQ_TYPE_BIGINT},
                               {.name = "t", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
                               {.name = "a", .type = AQ_TYPE_BIGINT},
                               {.name = "b", .type = AQ_TYPE_BIGINT}};
    uint32_t series_of_many[] = {2};
    struct aq_schema declared = {.dataset = "many",
                                 .column_count = 4,
                                 .columns = four,
                                 .key_column = 0,
                                 .time_column = 1,
                                 .slot = AQ_SLOT_DAY,
                                 .series_count = 1,
                                 .series = series_of_many,
                                 .version_column = AQ_COLUMN_NONE};
    const char *homes[] = {"tight", "roomy"};
    long peaks[2];
    for (size_t i = 0; i < 2; i++) {
        const struct aq_schema *schema;
        const struct aq_schema *rejects;
        struct aq_store *store = open_store(homes[i], true);
        cr_assert_eq(aq_store_declare(store, &declared, &schema, &rejects, NULL), AQ_OK);
        write_many(store, schema);
        aq_store_close(store);
        peaks[i] = peak_of(homes[i], i == 0 ? 48 * MIB : 1024 * MIB);
    }
    cr_log_info("peaks: %ld and %ld MiB", peaks[0], peaks[1]);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    cr_assert_lt(peaks[0], 48 + 8, "%ld MiB", peaks[0]);
    cr_assert_gt(peaks[1], 70, "the rows would have taken more: %ld MiB", peaks[1]);
#endif
}
