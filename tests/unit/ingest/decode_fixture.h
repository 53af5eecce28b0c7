/* A decoder from a few lines of config, and looks into what it made. */
#ifndef AQ_TESTS_DECODE_FIXTURE_H
#define AQ_TESTS_DECODE_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/ingest/decode/decode.h"

struct decode_fixture {
    struct aq_config *config;
    struct aq_arena arena;
    struct aq_schema rejects;
    struct aq_decoder *decoder;
};

/* `body`: the dataset's lines, indented by four spaces. */
static inline void decode_setup(struct decode_fixture *fixture, const char *body)
{
    char text[8192];
    struct aq_error err = {0};
    snprintf(text, sizeof text, "store: ./s\ndatasets:\n  d:\n%s", body);
    memset(fixture, 0, sizeof *fixture);
    cr_assert_eq(aq_config_parse("test", aq_slice_of(text), &fixture->config, &err), AQ_OK,
                 "%s: %s", err.path, err.message);
    const struct aq_dataset_config *dataset = &fixture->config->datasets[0];
    cr_assert_eq(aq_schema_rejects(&dataset->schema, 2, &fixture->arena, &fixture->rejects), AQ_OK);
    cr_assert_eq(aq_decoder_create(dataset, &dataset->schema, &fixture->rejects, "test",
                                   &fixture->decoder, &err),
                 AQ_OK, "%s", err.message);
    aq_decoder_set_feed(fixture->decoder, 7, 1700000000000000);
}

static inline void decode_teardown(struct decode_fixture *fixture)
{
    aq_decoder_destroy(fixture->decoder);
    aq_config_destroy(fixture->config);
    aq_arena_deinit(&fixture->arena);
}

/* The newest row's column as text: "null", numbers by %g, slices as they are. */
static inline const char *decode_cell(const struct decode_fixture *fixture, const char *column)
{
    static char text[4][4096];
    static unsigned turn;
    char *out = text[turn++ % 4];
    const struct aq_batch *rows = &fixture->decoder->rows;
    cr_assert_gt(rows->row_count, 0u, "no row");
    uint32_t at = aq_schema_find(fixture->decoder->schema, column);
    cr_assert_neq(at, AQ_COLUMN_NONE, "no column %s", column);
    const struct aq_vector *vector = &rows->columns[at];
    size_t row = rows->row_count - 1;
    cr_assert_eq(vector->row_count, rows->row_count);
    if (aq_vector_is_null(vector, row))
        return "null";
    if (vector->type == AQ_TYPE_TIMESTAMPTZ)
        aq_time_format(vector->ints[row], aq_zone_utc(), out, 4096);
    else if (aq_type_physical(vector->type) == AQ_PHYSICAL_INT)
        snprintf(out, 4096, "%lld", (long long)vector->ints[row]);
    else if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE)
        snprintf(out, 4096, "%.17g", vector->doubles[row]);
    else
        snprintf(out, 4096, "%.*s", (int)vector->slices[row].size,
                 (const char *)vector->slices[row].data);
    return out;
}

/* The newest reject's reason. */
static inline const char *decode_reason(const struct decode_fixture *fixture)
{
    static char text[AQ_REASON_BYTES_MAX + 1];
    const struct aq_batch *rejects = &fixture->decoder->rejects;
    cr_assert_gt(rejects->row_count, 0u, "no reject");
    struct aq_slice reason = rejects->columns[AQ_REJECT_REASON].slices[rejects->row_count - 1];
    snprintf(text, sizeof text, "%.*s", (int)reason.size, (const char *)reason.data);
    return text;
}

#endif
