/* Re-sent and revised rows: whatever the order of arrival, the files and the portions, the rows that count
 * are those that a plain search among all rows finds. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/compact.h"
#include "engine/store/dedupe.h"
#include "engine/store/segment/write/shard_writer.h"
#include "tests/unit/scratch.h"

enum { CITIES = 3, STATIONS = 2, DAYS = 3, TIMES = 4, WRITERS = 2, READINGS_MAX = 4000 };
enum { CITY, TS, STATION, VALUE, VERSION, NOTE, COLUMNS };

static const char *const city_names[] = {"bucharest", "hanoi", "oslo"};
static const char *const station_names[] = {"north", "south"};
static const double versions[] = {-1.0, -0.0, 0.0, 1.5, NAN};

static struct aq_column columns[COLUMNS] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "station", .type = AQ_TYPE_TEXT},
    {.name = "value", .type = AQ_TYPE_BIGINT},
    {.name = "version", .type = AQ_TYPE_DOUBLE},
    {.name = "note", .type = AQ_TYPE_TEXT},
};
static uint32_t unique_columns[] = {CITY, TS, STATION};
static uint32_t series_columns[] = {STATION};

/* Null is -1 throughout. */
struct reading {
    int city;
    int64_t time;
    int station;
    int64_t value;
    int version; /* index into `versions` */
    int64_t stamp;
    int64_t ordinal;
};

struct world {
    struct aq_store *store;
    const struct aq_schema *schema;
    struct aq_shard_writer *writers[WRITERS];
    uint64_t feeds[WRITERS];
    uint64_t next[WRITERS]; /* ordinal */
    struct reading *readings;
    size_t count;
    uint64_t random;
};

static uint32_t pick(struct world *world, uint32_t below)
{
    world->random = world->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(world->random >> 33) % below;
}

static void open_world(struct world *world, enum aq_keep keep, bool versioned, uint64_t seed)
{
    struct aq_schema schema = {.dataset = "air",
                               .column_count = COLUMNS,
                               .columns = columns,
                               .key_column = CITY,
                               .time_column = TS,
                               .slot = AQ_SLOT_DAY,
                               .series_count = 1,
                               .series = series_columns,
                               .unique_count = 3,
                               .unique = unique_columns,
                               .keep = keep,
                               .version_column = versioned ? VERSION : AQ_COLUMN_NONE};
    struct aq_store_options options = {
        .home = scratch_file("home"), .create = true, .io = AQ_IO_POSIX};
    const struct aq_schema *rejects = NULL;
    *world = (struct world){.random = seed};
    world->readings = (struct reading *)calloc(READINGS_MAX, sizeof *world->readings);
    cr_assert_not_null(world->readings);
    cr_assert_eq(aq_store_open(&options, &world->store, NULL), AQ_OK);
    cr_assert_eq(aq_store_declare(world->store, &schema, &world->schema, &rejects, NULL), AQ_OK);
    for (size_t w = 0; w < WRITERS; w++) {
        struct aq_shard_writer_options writer = {.segment_size_bytes = 1 << 20, .depth = 4};
        struct aq_feed_identity identity = {.dataset_id = world->schema->dataset_id,
                                            .source = aq_slice_of("test"),
                                            .name = aq_slice_of(w == 0 ? "one" : "two"),
                                            .partition = -1};
        cr_assert_eq(aq_shard_writer_create(world->store, &writer, &world->writers[w], NULL),
                     AQ_OK);
        cr_assert_eq(aq_shard_writer_claim(world->writers[w], &identity, 0, &world->feeds[w], NULL),
                     AQ_OK);
    }
}

static void close_world(struct world *world)
{
    for (size_t w = 0; w < WRITERS; w++)
        aq_shard_writer_destroy(world->writers[w]);
    aq_store_close(world->store);
    free(world->readings);
}

/* Writing. */

static struct reading make_reading(struct world *world, uint64_t ordinal)
{
    return (struct reading){
        .city = (int)pick(world, CITIES),
        .time = (int64_t)pick(world, DAYS) * AQ_US_PER_DAY + (int64_t)pick(world, TIMES),
        .station = (int)pick(world, STATIONS + 1) - 1,
        .value = (int64_t)pick(world, 4) - 1,
        .version = (int)pick(world, 6) - 1,
        .stamp = (int64_t)pick(world, 3),
        .ordinal = (int64_t)ordinal,
    };
}

static int compare_places(const void *left, const void *right)
{
    const struct reading *a = (const struct reading *)left;
    const struct reading *b = (const struct reading *)right;
    int64_t day_a = a->time / AQ_US_PER_DAY;
    int64_t day_b = b->time / AQ_US_PER_DAY;
    if (a->city != b->city)
        return a->city - b->city;
    return (day_a > day_b) - (day_a < day_b);
}

static void put_int(struct aq_vector *vector, bool null, int64_t value)
{
    cr_assert_eq(null ? aq_vector_append_null(vector) : aq_vector_append_int(vector, value), AQ_OK);
}

static void put_row(struct aq_batch *rows, const struct reading *reading, uint64_t feed)
{
    struct aq_vector *at = rows->columns;
    struct aq_slice city = aq_slice_of(city_names[reading->city]);
    cr_assert_eq(aq_vector_append_slice(&at[CITY], city), AQ_OK);
    put_int(&at[TS], false, reading->time);
    cr_assert_eq(
        reading->station < 0
            ? aq_vector_append_null(&at[STATION])
            : aq_vector_append_slice(&at[STATION], aq_slice_of(station_names[reading->station])),
        AQ_OK);
    put_int(&at[VALUE], reading->value < 0, reading->value);
    cr_assert_eq(reading->version < 0
                     ? aq_vector_append_null(&at[VERSION])
                     : aq_vector_append_double(&at[VERSION], versions[reading->version]),
                 AQ_OK);
    cr_assert_eq(aq_vector_append_slice(&at[NOTE], aq_slice_of("as always")), AQ_OK);
    put_int(&at[COLUMNS + AQ_SYSTEM_FEED], false, (int64_t)feed);
    put_int(&at[COLUMNS + AQ_SYSTEM_ORDINAL], false, reading->ordinal);
    put_int(&at[COLUMNS + AQ_SYSTEM_STAMP], false, reading->stamp);
    rows->row_count++;
}

/* One frame of readings as they are. */
static void append(struct world *world, size_t writer, struct reading *readings, size_t count)
{
    struct aq_batch rows;
    struct aq_partition partitions[CITIES * DAYS];
    size_t partition_count = 0;
    cr_assert_eq(aq_schema_batch_init(world->schema, true, &rows), AQ_OK);
    qsort(readings, count, sizeof *readings, compare_places);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_places(&readings[i - 1], &readings[i]) != 0)
            partitions[partition_count++] =
                (struct aq_partition){.key = aq_slice_of(city_names[readings[i].city]),
                                      .slot_start_us = aq_slot_start(AQ_SLOT_DAY, readings[i].time),
                                      .row_first = (uint32_t)i};
        partitions[partition_count - 1].row_count++;
        put_row(&rows, &readings[i], world->feeds[writer]);
    }
    struct aq_section_input section = {world->schema, &rows, partitions, partition_count};
    struct aq_source_range range = {.feed_id = world->feeds[writer],
                                    .first_ordinal = world->next[writer],
                                    .next_ordinal = world->next[writer] + count,
                                    .row_count = (uint32_t)count};
    struct aq_error err = {0};
    enum aq_status status =
        aq_shard_writer_append(world->writers[writer], &range, 1, &section, 1, &err);
    cr_assert_eq(status, AQ_OK, "%s", err.message);
    world->next[writer] += count;
    cr_assert_leq(world->count + count, READINGS_MAX);
    memcpy(&world->readings[world->count], readings, count * sizeof *readings);
    world->count += count;
    aq_batch_deinit(&rows);
}

static void append_frame(struct world *world)
{
    struct reading readings[24];
    size_t writer = pick(world, WRITERS);
    size_t count = 1 + pick(world, 24);
    for (size_t i = 0; i < count; i++)
        readings[i] = make_reading(world, world->next[writer] + i);
    append(world, writer, readings, count);
}

/* What counts, by a plain search. */

static int compare_ints(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Nulls lowest, NaN highest, -0.0 and 0.0 equal. */
static int compare_versions(int a, int b)
{
    if (a < 0 || b < 0)
        return compare_ints(a, b);
    if (isnan(versions[a]) || isnan(versions[b]))
        return (int)isnan(versions[a]) - (int)isnan(versions[b]);
    return (versions[a] > versions[b]) - (versions[a] < versions[b]);
}

static bool same_reading(const struct reading *a, const struct reading *b)
{
    return a->city == b->city && a->time == b->time && a->station == b->station;
}

/* > 0: `a` is the later one. Of equal versions the greater value is, null above all. */
static int compare_readings(const struct aq_schema *schema, const struct reading *a,
                            const struct reading *b)
{
    int order = schema->version_column == AQ_COLUMN_NONE
                    ? compare_ints(a->stamp * READINGS_MAX + a->ordinal,
                                   b->stamp * READINGS_MAX + b->ordinal)
                    : compare_versions(a->version, b->version);
    if (order == 0)
        order =
            compare_ints(a->value < 0 ? INT64_MAX : a->value, b->value < 0 ? INT64_MAX : b->value);
    if (order != 0)
        return order;
    if (a->version < 0 || b->version < 0)
        return compare_ints(-a->version, -b->version);
    return compare_versions(a->version, b->version);
}

/* A reading that counts as one text, to be compared with what was read. Zeros look the same. */
static void print_reading(char *text, int city, int64_t time, int station, int64_t value,
                          bool version_null, double version)
{
    snprintf(text, 80, "%d %lld %d %lld %s%.1f", city, (long long)time, station, (long long)value,
             version_null ? "null" : "",
             version_null     ? 0.0
             : isnan(version) ? 99.0
             : version == 0   ? 0.0
                              : version);
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp((const char *)left, (const char *)right);
}

struct texts {
    size_t count;
    char (*lines)[80];
};

static struct texts expected_texts(const struct world *world)
{
    struct texts texts = {.lines = malloc((world->count + 1) * sizeof *texts.lines)};
    bool last = world->schema->keep == AQ_KEEP_LAST;
    for (size_t i = 0; i < world->count; i++) {
        const struct reading *one = &world->readings[i];
        bool wins = true;
        for (size_t k = 0; k < world->count && wins; k++) {
            const struct reading *other = &world->readings[k];
            if (k == i || !same_reading(one, other))
                continue;
            int order = compare_readings(world->schema, one, other) * (last ? 1 : -1);
            wins = order > 0 || (order == 0 && i < k);
        }
        if (wins)
            print_reading(texts.lines[texts.count++], one->city, one->time, one->station,
                          one->value, one->version < 0,
                          one->version < 0 ? 0 : versions[one->version]);
    }
    qsort(texts.lines, texts.count, sizeof *texts.lines, compare_texts);
    return texts;
}

static int find_name(const char *const *names, int count, const struct aq_vector *vector,
                     size_t row)
{
    for (int i = 0; i < count && !aq_vector_is_null(vector, row); i++)
        if (aq_slice_equal(vector->slices[row], aq_slice_of(names[i])))
            return i;
    return -1;
}

static void read_unit(const struct world *world, struct aq_snapshot *snapshot,
                      const struct aq_unit *unit, struct texts *texts)
{
    uint32_t ids[COLUMNS];
    struct aq_batch rows;
    for (size_t i = 0; i < COLUMNS; i++)
        ids[i] = world->schema->columns[i].id;
    cr_assert_eq(aq_schema_batch_init(world->schema, false, &rows), AQ_OK);
    cr_assert_eq(aq_unit_read(snapshot, unit, ids, &rows, NULL), AQ_OK);
    cr_assert_eq(rows.row_count, unit->row_count);
    for (size_t row = 0; row < rows.row_count; row++) {
        const struct aq_vector *at = rows.columns;
        bool no_version = aq_vector_is_null(&at[VERSION], row);
        print_reading(texts->lines[texts->count++], find_name(city_names, CITIES, &at[CITY], row),
                      at[TS].ints[row], find_name(station_names, STATIONS, &at[STATION], row),
                      aq_vector_is_null(&at[VALUE], row) ? -1 : at[VALUE].ints[row], no_version,
                      no_version ? 0 : at[VERSION].doubles[row]);
    }
    aq_batch_deinit(&rows);
}

static void resolve(struct world *world, struct aq_snapshot *snapshot, const struct aq_unit *units,
                    size_t unit_count, bool all, uint64_t memory_bytes, uint64_t *twins)
{
    const struct aq_unit **wanted = calloc(unit_count + 1, sizeof(struct aq_unit *));
    size_t count = 0;
    struct aq_resolve_options options = {.memory_bytes = memory_bytes};
    struct aq_error err = {0};
    for (size_t i = 0; i < unit_count; i++)
        if (all || pick(world, 3) == 0)
            wanted[count++] = &units[i];
    enum aq_status status = aq_snapshot_resolve(snapshot, world->schema->dataset_id, wanted, count,
                                                &options, twins, &err);
    cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
    free(wanted);
}

/* Resolved in up to three portions, with room for so many bytes of rows. */
static void check(struct world *world, unsigned portions, uint64_t memory_bytes)
{
    struct aq_snapshot *snapshot = NULL;
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    uint64_t twins = 0;
    for (size_t w = 0; w < WRITERS; w++)
        cr_assert_eq(aq_shard_writer_flush(world->writers[w], NULL), AQ_OK);
    cr_assert_eq(aq_snapshot_open(world->store, &snapshot, NULL), AQ_OK);
    if (pick(world, 2) == 0)
        cr_assert_eq(aq_snapshot_partitions(snapshot, world->schema->dataset_id, NULL), AQ_OK);
    cr_assert_eq(aq_snapshot_units(snapshot, world->schema->dataset_id, &units, &unit_count, NULL),
                 AQ_OK);
    uint64_t before = 0;
    for (size_t i = 0; i < unit_count; i++)
        before += units[i].row_count;
    for (unsigned i = 1; i < portions; i++)
        resolve(world, snapshot, units, unit_count, false, memory_bytes, NULL);
    resolve(world, snapshot, units, unit_count, true, memory_bytes, &twins);
    struct texts expected = expected_texts(world);
    struct texts found = {.lines = malloc((world->count + 1) * sizeof *found.lines)};
    for (size_t i = 0; i < unit_count; i++)
        read_unit(world, snapshot, &units[i], &found);
    qsort(found.lines, found.count, sizeof *found.lines, compare_texts);
    cr_assert_eq(found.count, expected.count);
    cr_assert_eq(twins, before - found.count);
    for (size_t i = 0; i < found.count; i++)
        cr_assert_str_eq(found.lines[i], expected.lines[i]);
    free(found.lines);
    free(expected.lines);
    aq_snapshot_close(snapshot);
}

/* All is sealed first: a compaction waits a while for writers, which here are its own thread. */
static void compact(struct world *world)
{
    struct aq_compact_options options = {.target_size_bytes = 1 << 12, .thread_count = 1};
    struct aq_compact_report report;
    struct aq_error err = {0};
    for (size_t w = 0; w < WRITERS; w++)
        cr_assert_eq(aq_shard_writer_seal(world->writers[w], NULL), AQ_OK);
    enum aq_status status = aq_compact(world->store, &options, &report, &err);
    cr_assert(status >= 0, "%s: %s", err.path, err.message);
}

static void run_random(enum aq_keep keep, bool versioned, uint64_t seed)
{
    struct world world;
    scratch_make();
    open_world(&world, keep, versioned, seed);
    for (unsigned step = 0; step < 40; step++) {
        uint32_t what = pick(&world, 10);
        if (what < 7)
            append_frame(&world);
        else if (what < 9)
            cr_assert_eq(aq_shard_writer_seal(world.writers[pick(&world, WRITERS)], NULL), AQ_OK);
        else
            compact(&world);
        if (step % 4 == 3)
            check(&world, 1 + pick(&world, 3), pick(&world, 2) == 0 ? 0 : 200 + pick(&world, 4000));
    }
    close_world(&world);
}

Test(dedupe, the_last_to_arrive_counts)
{
    for (uint64_t seed = 1; seed <= 8; seed++)
        run_random(AQ_KEEP_LAST, false, seed);
}

Test(dedupe, the_first_to_arrive_counts)
{
    for (uint64_t seed = 11; seed <= 18; seed++)
        run_random(AQ_KEEP_FIRST, false, seed);
}

Test(dedupe, the_highest_version_counts)
{
    for (uint64_t seed = 21; seed <= 28; seed++)
        run_random(AQ_KEEP_LAST, true, seed);
}

Test(dedupe, the_lowest_version_counts)
{
    for (uint64_t seed = 31; seed <= 38; seed++)
        run_random(AQ_KEEP_FIRST, true, seed);
}

Test(dedupe, nothing_is_left_out_when_it_is_stopped)
{
    struct world world;
    struct aq_snapshot *snapshot = NULL;
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    atomic_bool stop = true;
    struct aq_resolve_options options = {.stop = &stop};
    scratch_make();
    open_world(&world, AQ_KEEP_LAST, false, 7);
    struct reading readings[2] = {make_reading(&world, 0)};
    readings[1] = readings[0];
    readings[1].ordinal = 1;
    append(&world, 0, readings, 2);
    cr_assert_eq(aq_shard_writer_flush(world.writers[0], NULL), AQ_OK);
    cr_assert_eq(aq_snapshot_open(world.store, &snapshot, NULL), AQ_OK);
    uint32_t dataset_id = world.schema->dataset_id;
    cr_assert_eq(aq_snapshot_units(snapshot, dataset_id, &units, &unit_count, NULL), AQ_OK);
    cr_assert_eq(unit_count, 1);
    uint64_t twins = 9;
    cr_assert_eq(aq_snapshot_resolve(snapshot, dataset_id, &units, 1, &options, &twins, NULL),
                 AQ_INTERRUPTED);
    cr_assert_eq(twins, 0);
    cr_assert_eq(units[0].row_count, 2);
    stop = false;
    cr_assert_eq(aq_snapshot_resolve(snapshot, dataset_id, &units, 1, &options, &twins, NULL),
                 AQ_OK);
    cr_assert_eq(twins, 1);
    cr_assert_eq(units[0].row_count, 1);
    aq_snapshot_close(snapshot);
    close_world(&world);
}
