/* One config with every type and every form of path, for the fuzz targets of both decoders. */
#ifndef AQ_FUZZ_DECODE_SCHEMA_H
#define AQ_FUZZ_DECODE_SCHEMA_H

#include <stdlib.h>
#include <string.h>

#include "engine/ingest/decode/decode.h"
#include "engine/base/text/json_index.h"
#include "engine/base/text/json_text.h"

static const char decode_config[] =
    "datasets:\n"
    "  d:\n"
    "    columns:\n"
    "      o: {type: boolean}\n"
    "      i: {type: integer, null_values: [\"-\", \"NA\"], default: 7}\n"
    "      b: {type: bigint, scale: 10}\n"
    "      r: {type: real}\n"
    "      d: {type: double, from: [a.d, d]}\n"
    "      t: {type: text, from: [\"a.t[1]\", t], map: {x: y}}\n"
    "      x: {type: bytea}\n"
    "      j: {type: json, from: [\"a.j\", j]}\n"
    "      y: {type: date}\n"
    "      z: {type: timestamptz, from: [\"{y} {h}:00\", z], zone: Asia/Shanghai}\n"
    "      p: {type: timestamptz, format: \"%d %b %y %I:%M:%S.%f %p %z %j %%\"}\n"
    "      s: {type: timestamptz, format: epoch_s}\n"
    "      u: {type: timestamptz, format: epoch_us}\n"
    "      w: {type: text, from: [\"a.w[0].x.y\", source]}\n"
    "      e: {type: json, from: \"*\"}\n";

struct decode_fuzz {
    struct aq_config *config;
    struct aq_arena arena;
    struct aq_schema rejects;
    struct aq_decoder *decoder;
    struct aq_json_decoder *json;
    struct aq_json_index *index;
};

static inline void must(bool holds)
{
    if (!holds)
        abort();
}

static inline void decode_fuzz_init(struct decode_fuzz *fuzz, const char *config)
{
    must(aq_config_parse("f", aq_slice_of(config), &fuzz->config, NULL) == AQ_OK);
    const struct aq_dataset_config *dataset = &fuzz->config->datasets[0];
    must(aq_schema_rejects(&dataset->schema, 2, &fuzz->arena, &fuzz->rejects) == AQ_OK);
    must(aq_decoder_create(dataset, &dataset->schema, &fuzz->rejects, "f", &fuzz->decoder, NULL) ==
         AQ_OK);
    fuzz->index = aq_json_index_create();
    must(fuzz->index != NULL);
}

/* Made once, kept for all inputs: state that leaks from one message into the next would show. */
static inline struct decode_fuzz *decode_fuzz_get(void)
{
    static struct decode_fuzz fuzz;
    if (fuzz.decoder != NULL)
        return &fuzz;
    decode_fuzz_init(&fuzz, decode_config);
    must(aq_json_decoder_create(fuzz.decoder, &fuzz.json, NULL) == AQ_OK);
    return &fuzz;
}

/* Columns are equally long, texts are UTF-8 and lie in memory that is there, JSON is JSON. */
static inline void decode_fuzz_check(struct decode_fuzz *fuzz)
{
    const struct aq_batch *rows = &fuzz->decoder->rows;
    for (size_t c = 0; c < rows->column_count; c++) {
        const struct aq_vector *column = &rows->columns[c];
        must(column->row_count == rows->row_count);
        for (size_t i = 0; i < rows->row_count; i++) {
            const char *why;
            if (aq_vector_is_null(column, i))
                continue;
            if (column->type == AQ_TYPE_TEXT)
                must(aq_utf8_valid(column->slices[i]));
            if (column->type == AQ_TYPE_JSON)
                must(aq_json_check(fuzz->index, column->slices[i], &why) == AQ_OK);
        }
    }
    const struct aq_vector *reasons = &fuzz->decoder->rejects.columns[AQ_REJECT_REASON];
    must(reasons->row_count == fuzz->decoder->rejects.row_count);
    for (size_t i = 0; i < reasons->row_count; i++)
        must(reasons->slices[i].size > 0 && aq_utf8_valid(reasons->slices[i]));
}

#endif
