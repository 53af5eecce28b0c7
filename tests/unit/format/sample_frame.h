/* A small frame that several tests take apart: two datasets, nulls, system columns, two feeds. */
#ifndef AQ_TESTS_UNIT_SAMPLE_FRAME_H
#define AQ_TESTS_UNIT_SAMPLE_FRAME_H

#include <criterion/criterion.h>

#include "format/segment/frame.h"

static struct aq_column sample_air_columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE, .id = 3},
};

static const struct aq_schema sample_air = {
    .dataset_id = 1,
    .version = 1,
    .dataset = "air",
    .column_count = 3,
    .columns = sample_air_columns,
    .key_column = 0,
    .time_column = 1,
    .slot = AQ_SLOT_DAY,
    .version_column = AQ_COLUMN_NONE,
};

static struct aq_column sample_lookup_columns[] = {
    {.name = "n", .type = AQ_TYPE_INTEGER, .id = 4},
};

static const struct aq_schema sample_lookup = {
    .dataset_id = 9,
    .version = 3,
    .dataset = "lookup",
    .column_count = 1,
    .columns = sample_lookup_columns,
    .key_column = AQ_COLUMN_NONE,
    .time_column = AQ_COLUMN_NONE,
    .version_column = AQ_COLUMN_NONE,
};

#define SAMPLE_DAY INT64_C(1739491200000000) /* 2025-02-14T00:00:00Z */
#define SAMPLE_T0 INT64_C(1739512800000000)  /* six hours later */

static inline void sample_system(struct aq_batch *batch, size_t first, int64_t feed,
                                 int64_t ordinal)
{
    cr_assert_eq(aq_vector_append_int(&batch->columns[first + AQ_SYSTEM_FEED], feed), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[first + AQ_SYSTEM_ORDINAL], ordinal), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[first + AQ_SYSTEM_STAMP], SAMPLE_T0 + 5),
                 AQ_OK);
    batch->row_count++;
}

static inline void sample_air_row(struct aq_batch *batch, const char *city, int64_t ts,
                                  const double *pm25, int64_t ordinal)
{
    cr_assert_eq(aq_vector_append_slice(&batch->columns[0], aq_slice_of(city)), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch->columns[1], ts), AQ_OK);
    if (pm25 == NULL)
        cr_assert_eq(aq_vector_append_null(&batch->columns[2]), AQ_OK);
    else
        cr_assert_eq(aq_vector_append_double(&batch->columns[2], *pm25), AQ_OK);
    sample_system(batch, 3, 1, ordinal);
}

/** The batches behind the frame, and the frame's input; release with sample_deinit. */
struct sample {
    struct aq_batch air;
    struct aq_batch lookup;
    struct aq_partition air_partitions[2];
    struct aq_partition lookup_partitions[1];
    struct aq_section_input sections[2];
    struct aq_source_range ranges[2];
    struct aq_frame_input input;
};

static inline void sample_init(struct sample *sample)
{
    *sample = (struct sample){0};
    cr_assert_eq(aq_schema_batch_init(&sample_air, true, &sample->air), AQ_OK);
    cr_assert_eq(aq_schema_batch_init(&sample_lookup, true, &sample->lookup), AQ_OK);
    sample_air_row(&sample->air, "beijing", SAMPLE_T0, &(double){12.5}, 0);
    sample_air_row(&sample->air, "beijing", SAMPLE_T0 + 3600000000, NULL, 2);
    sample_air_row(&sample->air, "hanoi", SAMPLE_T0 - 1, &(double){-0.0}, 1);
    cr_assert_eq(aq_vector_append_int(&sample->lookup.columns[0], 77), AQ_OK);
    sample_system(&sample->lookup, 1, 2, 40);
    sample->air_partitions[0] = (struct aq_partition){
        .key = aq_slice_of("beijing"), .slot_start_us = SAMPLE_DAY, .row_count = 2};
    sample->air_partitions[1] = (struct aq_partition){
        .key = aq_slice_of("hanoi"), .slot_start_us = SAMPLE_DAY, .row_first = 2, .row_count = 1};
    sample->lookup_partitions[0] = (struct aq_partition){.row_count = 1};
    sample->sections[0] =
        (struct aq_section_input){&sample_air, &sample->air, sample->air_partitions, 2};
    sample->sections[1] =
        (struct aq_section_input){&sample_lookup, &sample->lookup, sample->lookup_partitions, 1};
    sample->ranges[0] = (struct aq_source_range){1, 0, 4, 90, {{1, 2}}, SAMPLE_T0, 3, 1, 0, true};
    sample->ranges[1] = (struct aq_source_range){2, 40, 41, 0, {{3}}, -9, 1, 0, 0, false};
    sample->input = (struct aq_frame_input){
        .store_id = {{0xaa, 0xbb}},
        .segment_id = 5,
        .epoch = 6,
        .sequence = 0,
        .ranges = sample->ranges,
        .range_count = 2,
        .sections = sample->sections,
        .section_count = 2,
    };
}

static inline void sample_deinit(struct sample *sample)
{
    aq_batch_deinit(&sample->air);
    aq_batch_deinit(&sample->lookup);
}

static inline struct aq_bytes sample_encode(const struct aq_frame_input *input, uint64_t *checksum)
{
    struct aq_bytes bytes = {0};
    cr_assert_eq(aq_frame_encode(input, &bytes, checksum, NULL), AQ_OK);
    return bytes;
}

#endif
