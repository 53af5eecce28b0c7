/* A small store to query: readings of two cities in three frames, with nulls, a NaN, a -0.0, and rows that
 * tie in time. Answers come as text: columns joined by '|', rows by ';', null as "~". */
#ifndef AQ_TESTS_UNIT_QUERY_FIXTURE_H
#define AQ_TESTS_UNIT_QUERY_FIXTURE_H

#include "engine/query/query.h"
#include "engine/store/segment/write/shard_writer.h"

#include "tests/unit/scratch.h"

#include <math.h>

/* 2025-02-14 00:00 UTC */
#define READING_BASE (INT64_C(1739491200) * AQ_US_PER_SECOND)
#define READING_NULL (-9999.0)

static struct aq_column reading_columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
    {.name = "station", .type = AQ_TYPE_BIGINT},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE},
    {.name = "aqi", .type = AQ_TYPE_INTEGER},
    {.name = "note", .type = AQ_TYPE_TEXT},
};

struct reading {
    const char *city;
    int64_t station;
    int64_t hour; /* after READING_BASE */
    double pm25;  /* READING_NULL: null */
    int64_t aqi;
    const char *note; /* NULL: null */
};

static const struct reading hanoi_morning[] = {
    {"hanoi", 1, 0, 10.5, 50, "a"},          {"hanoi", 1, 1, 11.5, 51, "b"},
    {"hanoi", 1, 2, READING_NULL, 52, NULL}, {"hanoi", 2, 0, 20.25, 60, "c"},
    {"hanoi", 2, 1, -0.0, 61, "d"},          {"hanoi", 2, 2, 0.0, 62, "e"},
};
static const struct reading oslo[] = {
    {"oslo", 7, 0, 1e300, 1, "x"},
    {"oslo", 7, 5, -1e300, 2, "y"},
    {"oslo", 7, 6, 1.0, 3, NULL},
    {"oslo", 7, 7, NAN, 4, "z"},
};
/* Two pairs of rows tie in (city, station, ts). */
static const struct reading hanoi_evening[] = {
    {"hanoi", 1, 20, 5.0, 55, "second"},
    {"hanoi", 1, 20, 4.0, 56, "first"},
    {"hanoi", 2, 20, 7.0, 57, "p"},
    {"hanoi", 2, 20, 7.0, 57, "p"},
};

static struct aq_store *fixture_store;
static struct aq_snapshot *fixture_snapshot;

static inline void reading_append(struct aq_batch *rows, const struct reading *reading,
                                  uint64_t feed_id, uint64_t ordinal)
{
    struct aq_vector *columns = rows->columns;
    cr_assert_eq(aq_vector_append_slice(&columns[0], aq_slice_of(reading->city)), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[1], reading->station), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[2], READING_BASE + reading->hour * AQ_US_PER_HOUR),
                 AQ_OK);
    cr_assert_eq(reading->pm25 == READING_NULL
                     ? aq_vector_append_null(&columns[3])
                     : aq_vector_append_double(&columns[3], reading->pm25),
                 AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[4], reading->aqi), AQ_OK);
    cr_assert_eq(reading->note == NULL
                     ? aq_vector_append_null(&columns[5])
                     : aq_vector_append_slice(&columns[5], aq_slice_of(reading->note)),
                 AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[6], (int64_t)feed_id), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[7], (int64_t)ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&columns[8], 1), AQ_OK);
    rows->row_count++;
}

/* One frame of rows of one city and day. */
/* What is being filled: the writer, and where its feed stands. */
struct readings {
    struct aq_shard_writer *writer;
    const struct aq_schema *schema;
    uint64_t feed_id;
    uint64_t ordinal;
};

static inline void readings_write(struct readings *to, const struct reading *readings, size_t count)
{
    struct aq_batch rows;
    cr_assert_eq(aq_schema_batch_init(to->schema, true, &rows), AQ_OK);
    for (size_t i = 0; i < count; i++)
        reading_append(&rows, &readings[i], to->feed_id, to->ordinal + i);
    struct aq_partition partition = {.key = aq_slice_of(readings[0].city),
                                     .slot_start_us = READING_BASE,
                                     .row_count = (uint32_t)count};
    struct aq_section_input section = {
        .schema = to->schema, .rows = &rows, .partitions = &partition, .partition_count = 1};
    struct aq_source_range range = {.feed_id = to->feed_id,
                                    .first_ordinal = to->ordinal,
                                    .next_ordinal = to->ordinal + count,
                                    .next_offset = to->ordinal + count,
                                    .row_count = (uint32_t)count};
    cr_assert_eq(aq_shard_writer_append(to->writer, &range, 1, &section, 1, NULL), AQ_OK);
    to->ordinal += count;
    aq_batch_deinit(&rows);
}

/** Declare readings as a dataset of this name, in which the first `unique_count` columns are unique. */
static inline struct readings readings_begin(const char *dataset, size_t unique_count)
{
    static uint32_t series[] = {1};
    static uint32_t unique[] = {0, 1, 2};
    struct aq_schema declared = {.dataset = dataset,
                                 .column_count = 6,
                                 .columns = reading_columns,
                                 .key_column = 0,
                                 .time_column = 2,
                                 .slot = AQ_SLOT_DAY,
                                 .series_count = 1,
                                 .series = series,
                                 .unique_count = unique_count,
                                 .unique = unique,
                                 .version_column = AQ_COLUMN_NONE};
    const struct aq_schema *rejects = NULL;
    struct aq_error err = {0};
    struct readings to = {.writer = NULL};
    cr_assert_eq(aq_store_declare(fixture_store, &declared, &to.schema, &rejects, &err), AQ_OK,
                 "%s", err.message);
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 20, .depth = 4};
    cr_assert_eq(aq_shard_writer_create(fixture_store, &options, &to.writer, NULL), AQ_OK);
    struct aq_feed_identity identity = {.dataset_id = to.schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of(dataset),
                                        .partition = -1};
    cr_assert_eq(aq_shard_writer_claim(to.writer, &identity, 0, &to.feed_id, NULL), AQ_OK);
    return to;
}

static inline void readings_end(struct readings *readings)
{
    cr_assert_eq(aq_shard_writer_seal(readings->writer, NULL), AQ_OK);
    aq_shard_writer_destroy(readings->writer);
}

static inline void readings_fill(void)
{
    struct readings to = readings_begin("readings", 0);
    readings_write(&to, hanoi_morning, sizeof hanoi_morning / sizeof hanoi_morning[0]);
    readings_write(&to, oslo, sizeof oslo / sizeof oslo[0]);
    readings_write(&to, hanoi_evening, sizeof hanoi_evening / sizeof hanoi_evening[0]);
    readings_end(&to);
}

static inline void fixture_open(void)
{
    struct aq_error err = {0};
    struct aq_store_options options = {.create = true, .io = AQ_IO_POSIX};
    scratch_make();
    options.home = scratch_file("home");
    cr_assert_eq(aq_store_open(&options, &fixture_store, &err), AQ_OK, "%s", err.message);
    readings_fill();
    cr_assert_eq(aq_snapshot_open(fixture_store, &fixture_snapshot, &err), AQ_OK, "%s",
                 err.message);
}

static inline void fixture_close(void)
{
    aq_snapshot_close(fixture_snapshot);
    aq_store_close(fixture_store);
}

static inline void answer_batch(struct aq_query *query, const struct aq_batch *batch,
                                struct aq_bytes *out)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        if (out->size > 0)
            aq_bytes_u8(out, ';');
        for (size_t c = 0; c < batch->column_count; c++) {
            if (c > 0)
                aq_bytes_u8(out, '|');
            if (aq_vector_is_null(&batch->columns[c], row))
                aq_bytes_u8(out, '~');
            cr_assert_eq(aq_query_value_text(query, &batch->columns[c], row, out), AQ_OK);
        }
    }
}

/** The answer, or the error's message; in a buffer that the next call reuses. */
static inline const char *answer_with(const char *sql, const struct aq_query_options *options,
                                      enum aq_status *status)
{
    static char text[8192];
    struct aq_query *query = NULL;
    struct aq_error err = {0};
    struct aq_bytes out = {0};
    *status = aq_query_prepare(fixture_snapshot, sql, options, &query, &err);
    if (*status == AQ_OK) {
        const struct aq_batch *batch = NULL;
        while ((*status = aq_query_next(query, &batch, &err)) == AQ_OK)
            answer_batch(query, batch, &out);
        aq_query_destroy(query);
    }
    if (*status == AQ_END)
        *status = AQ_OK;
    if (*status == AQ_OK)
        snprintf(text, sizeof text, "%.*s", (int)out.size,
                 out.data == NULL ? "" : (char *)out.data);
    else
        snprintf(text, sizeof text, "%s", err.message);
    aq_bytes_deinit(&out);
    return text;
}

static inline const char *answer(const char *sql)
{
    enum aq_status status;
    return answer_with(sql, NULL, &status);
}

struct question {
    const char *sql;
    const char *expected;
};

static inline void ask(const struct question *questions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_expect_str_eq(answer(questions[i].sql), questions[i].expected, "%s\n  gave     %s",
                         questions[i].sql, answer(questions[i].sql));
}

#define ASK(questions) ask((questions), sizeof(questions) / sizeof((questions)[0]))

#endif
