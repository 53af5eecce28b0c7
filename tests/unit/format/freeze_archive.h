/* Making the golden archive whose columns have each encoding that only archives have: ans32, repeat over bitpack and over ans32,
 * beside decimals with patches, dictionaries, zstd, and statistics of runs. */
#ifndef AQ_TESTS_UNIT_FREEZE_ARCHIVE_H
#define AQ_TESTS_UNIT_FREEZE_ARCHIVE_H

#include "tests/unit/archive/archive_bytes.h"
#include "tests/unit/format/freeze_make.h"

#define FREEZE_ARCHIVE_ROWS 21000
#define FREEZE_ARCHIVE_FIRST_RUN 8400 /* of the first city; the second has its readings once more */

static struct aq_column freeze_archive_columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "noise", .type = AQ_TYPE_BIGINT, .id = 3},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE, .id = 4},
    {.name = "level", .type = AQ_TYPE_INTEGER, .id = 5},
    {.name = "wind", .type = AQ_TYPE_TEXT, .id = 6},
};

/* Mostly quiet; words of all widths up to 31 bits. */
static inline int64_t freeze_noise(size_t i)
{
    uint64_t random = freeze_next();
    if (random % 512 == 0)
        return (int64_t)(random >> 9) >> (i % 24) & INT32_MAX >> 1;
    return random % 5 == 0 ? (int64_t)(freeze_next() % 9) - 4 : 0;
}

static inline void freeze_archive_fill(struct aq_batch *rows, size_t i)
{
    static const char *const winds[] = {"north", "", "south-west", "calm"};
    static int64_t level;
    struct aq_vector *at = rows->columns;
    bool first_run = i < FREEZE_ARCHIVE_FIRST_RUN;
    size_t hour = first_run ? i : i - FREEZE_ARCHIVE_FIRST_RUN;
    level = (level * 5 + (int64_t)(freeze_next() % 3)) % 12;
    unsigned quarters = (unsigned)__builtin_ctzll(freeze_next() | 64);
    double pm25 = i % 2000 == 77 ? -0.0 : (double)quarters / 4;
    bool no_wind = hour % 600 > 550;
    enum aq_status done[] = {
        aq_vector_append_slice(&at[0], aq_slice_of(first_run ? "hanoi" : "hue")),
        aq_vector_append_int(&at[1], (15706 * 24 + (int64_t)hour) * AQ_US_PER_HOUR),
        aq_vector_append_int(&at[2], freeze_noise(i)),
        aq_vector_append_double(&at[3], first_run ? pm25 : at[3].doubles[hour % 8300 + 50]),
        aq_vector_append_int(&at[4], i < 900 || i % 1000 == 7 ? level : at[4].ints[i - 811]),
        no_wind ? aq_vector_append_null(&at[5])
                : aq_vector_append_slice(&at[5], aq_slice_of(winds[i / 40 % 5 % 4]))};
    for (size_t c = 0; c < sizeof done / sizeof done[0]; c++)
        cr_assert_eq(done[c], AQ_OK);
    rows->row_count++;
}

static inline struct aq_bytes freeze_archive(void)
{
    struct aq_schema schema = archive_schema(
        freeze_archive_columns, sizeof freeze_archive_columns / sizeof freeze_archive_columns[0]);
    struct aq_batch rows;
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (size_t i = 0; i < FREEZE_ARCHIVE_ROWS; i++)
        freeze_archive_fill(&rows, i);
    return take_as_archive(&schema, &rows);
}

/* Readings at any millisecond, and every so many hours a level of whole thousands. */
static inline struct aq_bytes freeze_multiples(void)
{
    struct aq_column columns[4];
    struct aq_schema schema = archive_schema(columns, sizeof columns / sizeof columns[0]);
    struct aq_batch rows;
    int64_t time = 15706 * 24 * AQ_US_PER_HOUR;
    uint64_t random = 1;
    memcpy(columns, freeze_archive_columns, sizeof columns);
    columns[3] = freeze_archive_columns[4];
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (size_t i = 0; i < 700; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        time += (int64_t)(random >> 33) % 90000 * 1000;
        int64_t noise = (int64_t)(random >> 50) * 3000 - 20000000 + 7;
        enum aq_status done[] = {
            aq_vector_append_slice(&rows.columns[0], aq_slice_of("hanoi")),
            aq_vector_append_int(&rows.columns[1], time),
            (random >> 45) % 8 == 0 ? aq_vector_append_null(&rows.columns[2])
                                    : aq_vector_append_int(&rows.columns[2], noise),
            aq_vector_append_int(&rows.columns[3], (int64_t)(random >> 60) * 1000)};
        for (size_t c = 0; c < sizeof done / sizeof done[0]; c++)
            cr_assert_eq(done[c], AQ_OK);
        rows.row_count++;
    }
    return take_as_archive(&schema, &rows);
}

/* Runs of 1,100, 10 and 1,100 rows; the first value is null, and the last two rows have one time. */
static inline struct aq_bytes freeze_run_ends(void)
{
    struct aq_column columns[4];
    struct aq_schema schema = archive_schema(columns, sizeof columns / sizeof columns[0]);
    struct aq_batch rows;
    memcpy(columns, freeze_archive_columns, sizeof columns);
    columns[2] = columns[3];
    columns[3] = freeze_archive_columns[4];
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (size_t i = 0; i < 2210; i++) {
        const char *city = i < 1100 ? "hanoi" : i < 1110 ? "hoi an" : "hue";
        size_t hour = i < 1100 ? i : i < 1110 ? i - 1100 : i < 2209 ? i - 1110 : i - 1111;
        double pm25 = (double)(freeze_next() % (i == 2208 ? 1000 : 4000000)) / 1000;
        enum aq_status done[] = {
            aq_vector_append_slice(&rows.columns[0], aq_slice_of(city)),
            aq_vector_append_int(&rows.columns[1], (15706 * 24 + (int64_t)hour) * AQ_US_PER_HOUR),
            i == 0 ? aq_vector_append_null(&rows.columns[2])
                   : aq_vector_append_double(&rows.columns[2], pm25),
            aq_vector_append_int(&rows.columns[3], 7)};
        for (size_t c = 0; c < sizeof done / sizeof done[0]; c++)
            cr_assert_eq(done[c], AQ_OK);
        rows.row_count++;
    }
    return take_as_archive(&schema, &rows);
}

#endif
