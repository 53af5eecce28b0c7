/* Decompressing a page of a Parquet file. */
#ifndef AQ_ENGINE_INGEST_PAGE_UNPACK_H
#define AQ_ENGINE_INGEST_PAGE_UNPACK_H

#include "format/parquet/parquet.h"

/** Fill `out` with exactly `out_size` bytes. AQ_CORRUPT where the page has other bytes or another number of them,
 * AQ_UNSUPPORTED for a codec that is not here, AQ_NO_MEMORY. @thread Any. */
enum aq_status aq_page_unpack(enum aq_parquet_codec codec, struct aq_slice packed, uint8_t *out,
                              size_t out_size) AQ_RESULT;

#endif
