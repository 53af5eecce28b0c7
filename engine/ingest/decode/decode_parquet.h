/* Rows of a Parquet file to typed rows, by the same paths and rules as records of CSV. */
#ifndef AQ_ENGINE_INGEST_DECODE_PARQUET_H
#define AQ_ENGINE_INGEST_DECODE_PARQUET_H

#include "engine/ingest/decode/decode.h"
#include "format/parquet/read/parquet_read.h"

struct aq_parquet_decoder;

/**
 * @param footer  Of the file; must outlive the decoder, as must `decoder`.
 * @param notice  As aq_csv_decoder_create says.
 * @return AQ_INVALID as aq_csv_decoder_create; AQ_UNSUPPORTED for a nested column that a path names.
 */
enum aq_status aq_parquet_decoder_create(struct aq_decoder *decoder,
                                         const struct aq_parquet_footer *footer,
                                         struct aq_parquet_decoder **created, const char **notice,
                                         struct aq_error *err) AQ_RESULT;
void aq_parquet_decoder_destroy(struct aq_parquet_decoder *parquet);

/** One row: `values`, one a leaf, of which nested ones are not looked at. Becomes a row or a reject, whose bytes are the
 * row as a JSON object. Fails with AQ_NO_MEMORY only. */
enum aq_status aq_parquet_decode(struct aq_parquet_decoder *parquet, uint64_t ordinal,
                                 const struct aq_parquet_value *values) AQ_RESULT;

#endif
