/* One day of a trickle into a store: three cities, a reading each per five minutes, by the rules of a Kafka source
 * (engine/ingest/kafka/kafka_run.c) on a clock that is only counted: a frame for what came within commit_interval (1 s), a
 * marker when nothing has followed for five times that, a segment sealed when its first row is an hour old. bench/write/trickle.py puts
 * the days together.
 *
 * Usage: trickle HOME DAY apart|together; apart: the cities' readings come 20 s after each other, each in a frame of its own.
 * Prints one line of JSON. Failures: a message and exit code 1. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/store/feed/feeds.h"

enum { CITIES = 3, STEP_S = 300, APART_S = 20, VALUES = 7, FIRST_VALUE = 3 };

#define SEGMENT_AGE_S 3600
#define SEGMENT_BYTES ((uint64_t)64 << 20)
#define DAY_S 86400
#define FIRST_DAY_S INT64_C(1767225600) /* 2026-01-01 */

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "station", .type = AQ_TYPE_BIGINT},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE},
    {.name = "pm10", .type = AQ_TYPE_DOUBLE},
    {.name = "no2", .type = AQ_TYPE_DOUBLE},
    {.name = "o3", .type = AQ_TYPE_DOUBLE},
    {.name = "temp", .type = AQ_TYPE_DOUBLE},
    {.name = "humidity", .type = AQ_TYPE_DOUBLE},
    {.name = "pressure", .type = AQ_TYPE_DOUBLE},
};
enum { COLUMNS = FIRST_VALUE + VALUES };
static const char *const cities[CITIES] = {"beijing", "hanoi", "oslo"};

struct day {
    struct aq_store *store;
    struct aq_shard_writer *writer;
    const struct aq_schema *schema;
    struct aq_feed_state feeds[CITIES];
    uint64_t random;
    int64_t values[CITIES][VALUES]; /* tenths; a walk */
    int64_t segment_since_s;        /* 0: no segment has rows */
    uint64_t marker_count;
    uint64_t row_count;
};

static void need(enum aq_status status, const struct aq_error *err)
{
    if (status >= 0)
        return;
    fprintf(stderr, "trickle: %s: %s\n", err->path, err->message);
    exit(1);
}

static void need_memory(enum aq_status status)
{
    need(status, &(struct aq_error){.message = "out of memory"});
}

static void open_day(struct day *day, const char *home)
{
    struct aq_error err = {0};
    struct aq_store_options options = {.home = home, .create = true};
    struct aq_schema schema = {.dataset = "air",
                               .column_count = COLUMNS,
                               .columns = columns,
                               .key_column = 0,
                               .time_column = 1,
                               .slot = AQ_SLOT_DAY,
                               .version_column = AQ_COLUMN_NONE};
    struct aq_shard_writer_options writing = {.segment_size_bytes = SEGMENT_BYTES, .depth = 4};
    const struct aq_schema *rejects;
    need(aq_store_open(&options, &day->store, &err), &err);
    need(aq_store_declare(day->store, &schema, &day->schema, &rejects, &err), &err);
    need(aq_shard_writer_create(day->store, &writing, &day->writer, &err), &err);
    for (int32_t city = 0; city < CITIES; city++) {
        day->feeds[city].identity = (struct aq_feed_identity){.dataset_id = day->schema->dataset_id,
                                                              .source = aq_slice_of("live"),
                                                              .name = aq_slice_of("raw.airquality"),
                                                              .cluster = aq_slice_of("bench"),
                                                              .partition = city};
        need(aq_store_find_feed(day->store, &day->feeds[city], &err), &err);
    }
}

/* Four values in ten stay as they were. */
static double walk(struct day *day, int city, int value)
{
    day->random = day->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t random = day->random >> 33;
    if (random % 10 >= 4)
        day->values[city][value] += (int64_t)(random / 10 % 41) - 20;
    return (double)day->values[city][value] / 10;
}

static void add_row(struct day *day, struct aq_batch *rows, int city, int64_t now_s)
{
    struct aq_vector *at = rows->columns;
    const struct aq_feed_state *feed = &day->feeds[city];
    int64_t now_us = now_s * 1000000;
    need_memory(aq_vector_append_slice(&at[0], aq_slice_of(cities[city])));
    need_memory(aq_vector_append_int(&at[1], now_us));
    need_memory(aq_vector_append_int(&at[2], 1450 + city));
    for (int value = 0; value < VALUES; value++)
        need_memory(aq_vector_append_double(&at[FIRST_VALUE + value], walk(day, city, value)));
    need_memory(aq_vector_append_int(&at[COLUMNS], (int64_t)feed->identity.feed_id));
    need_memory(aq_vector_append_int(&at[COLUMNS + 1], (int64_t)feed->position.next_ordinal));
    need_memory(aq_vector_append_int(&at[COLUMNS + 2], now_us));
    rows->row_count++;
    day->row_count++;
}

/* The readings of the cities [first, last), in one frame, durable. */
static void write_frame(struct day *day, int first, int last, int64_t now_s)
{
    struct aq_batch rows;
    struct aq_source_range ranges[CITIES];
    struct aq_partition partitions[CITIES];
    struct aq_error err = {0};
    size_t count = 0;
    need_memory(aq_schema_batch_init(day->schema, true, &rows));
    for (int city = first; city < last; city++, count++) {
        uint64_t ordinal = day->feeds[city].position.next_ordinal;
        ranges[count] = (struct aq_source_range){.feed_id = day->feeds[city].identity.feed_id,
                                                 .first_ordinal = ordinal,
                                                 .next_ordinal = ordinal + 1,
                                                 .last_stamp_us = now_s * 1000000,
                                                 .row_count = 1};
        partitions[count] =
            (struct aq_partition){.key = aq_slice_of(cities[city]),
                                  .slot_start_us = aq_slot_start(AQ_SLOT_DAY, now_s * 1000000),
                                  .row_first = (uint32_t)count,
                                  .row_count = 1};
        add_row(day, &rows, city, now_s);
        day->feeds[city].position.next_ordinal++;
    }
    struct aq_section_input section = {day->schema, &rows, partitions, count};
    need(aq_shard_writer_append(day->writer, ranges, count, &section, 1, &err), &err);
    need(aq_shard_writer_flush(day->writer, &err), &err);
    if (day->segment_since_s == 0)
        day->segment_since_s = now_s;
    need(aq_shard_writer_mark(day->writer, &err), &err);
    need(aq_shard_writer_flush(day->writer, &err), &err);
    day->marker_count++;
    aq_batch_deinit(&rows);
}

static void live(struct day *day, int64_t begin_s, bool apart)
{
    struct aq_error err = {0};
    need(aq_shard_writer_take_over(day->writer, day->feeds, CITIES, &err), &err);
    for (int64_t now_s = begin_s; now_s < begin_s + DAY_S; now_s += STEP_S) {
        if (day->segment_since_s != 0 && now_s - day->segment_since_s >= SEGMENT_AGE_S) {
            need(aq_shard_writer_seal(day->writer, &err), &err);
            day->segment_since_s = 0;
        }
        for (int city = 0; apart && city < CITIES; city++)
            write_frame(day, city, city + 1, now_s + city * APART_S);
        if (!apart)
            write_frame(day, 0, CITIES, now_s);
    }
    need(aq_shard_writer_seal(day->writer, &err), &err);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: trickle HOME DAY apart|together\n");
        return 2;
    }
    int64_t number = strtoll(argv[2], NULL, 10);
    struct day day = {.random = (uint64_t)number + 1};
    for (int city = 0; city < CITIES; city++) {
        for (int value = 0; value < VALUES; value++)
            day.values[city][value] = 400 + 100 * value + 30 * city;
    }
    open_day(&day, argv[1]);
    live(&day, FIRST_DAY_S + number * DAY_S, strcmp(argv[3], "apart") == 0);
    struct aq_shard_writer_counters counters = aq_shard_writer_count(day.writer);
    printf("{\"rows\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"markers\":%" PRIu64
           ",\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
           day.row_count, counters.frame_count - day.marker_count, day.marker_count,
           counters.segment_count, counters.bytes_written);
    aq_shard_writer_destroy(day.writer);
    aq_store_close(day.store);
    return 0;
}
