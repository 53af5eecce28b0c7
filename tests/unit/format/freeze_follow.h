/* Making the golden archive whose chunks follow another: `name` and `level` follow `code`, which some rows lack. */
#ifndef AQ_TESTS_UNIT_FREEZE_FOLLOW_H
#define AQ_TESTS_UNIT_FREEZE_FOLLOW_H

#include <math.h>

#include "tests/unit/archive/archive_bytes.h"
#include "tests/unit/format/freeze_make.h"

#define FREEZE_FOLLOW_ROWS 900

static struct aq_column freeze_follow_columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "code", .type = AQ_TYPE_INTEGER, .id = 3},
    {.name = "name", .type = AQ_TYPE_TEXT, .id = 4},
    {.name = "level", .type = AQ_TYPE_DOUBLE, .id = 5},
};

/* Of codes 0 to 6, of which 6 stands for null; two rows in the middle have another name. */
static inline void freeze_follow_fill(struct aq_batch *rows, size_t i)
{
    static const char *const names[] = {"north", "east", "south", "west", "calm", "variable"};
    static const double levels[] = {1.5, -0.0, 2.25, 0, NAN, 3};
    struct aq_vector *at = rows->columns;
    size_t code = freeze_next() % 7;
    bool odd = i == 400 || i == 417;
    enum aq_status done[] = {
        aq_vector_append_slice(&at[0], aq_slice_of("hanoi")),
        aq_vector_append_int(&at[1], (15706 * 24 + (int64_t)i) * AQ_US_PER_HOUR),
        code == 6 ? aq_vector_append_null(&at[2]) : aq_vector_append_int(&at[2], (int64_t)code),
        odd         ? aq_vector_append_slice(&at[3], aq_slice_of("gale"))
        : code == 6 ? aq_vector_append_null(&at[3])
                    : aq_vector_append_slice(&at[3], aq_slice_of(names[code])),
        aq_vector_append_double(&at[4], code == 6 ? 9 : levels[code])};
    for (size_t c = 0; c < sizeof done / sizeof done[0]; c++)
        cr_assert_eq(done[c], AQ_OK);
    rows->row_count++;
}

static inline struct aq_bytes freeze_follow(void)
{
    struct aq_schema schema = archive_schema(
        freeze_follow_columns, sizeof freeze_follow_columns / sizeof freeze_follow_columns[0]);
    struct aq_batch rows;
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (size_t i = 0; i < FREEZE_FOLLOW_ROWS; i++)
        freeze_follow_fill(&rows, i);
    return take_as_archive(&schema, &rows);
}

#endif
