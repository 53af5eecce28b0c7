/* Writing a Parquet file: rows in batches, bytes to a sink, nothing is ever written again.
 *
 * Rows gather in memory until they make a row group; then it is encoded column by column and given to the sink.
 * Which type becomes which: docs/export.md. */
#ifndef AQ_FORMAT_PARQUET_WRITE_H
#define AQ_FORMAT_PARQUET_WRITE_H

#include "format/archive/archive.h"

struct aq_parquet_options {
    size_t column_count;
    const struct aq_column *columns; /* names and types count; borrowed for the writer's life */
    const char *created_by;          /* "NAME version NUMBER" */
    size_t group_rows_max;           /* 0: 1,048,576 */
    size_t group_bytes_max;          /* of values in memory; 0: 64 MiB */
    aq_sink_fn sink;
    void *sink_context;
};

struct aq_parquet_writer;

/** @return AQ_UNSUPPORTED for a column of a type that Parquet has not (interval).
 * @thread All of a writer's calls: one. */
enum aq_status aq_parquet_writer_create(const struct aq_parquet_options *options,
                                        struct aq_parquet_writer **writer,
                                        struct aq_error *err) AQ_RESULT;
/** Rows of `batch`, by its first columns; copied. */
enum aq_status aq_parquet_writer_append(struct aq_parquet_writer *writer,
                                        const struct aq_batch *batch,
                                        struct aq_error *err) AQ_RESULT;
/** The last row group, and the footer. */
enum aq_status aq_parquet_writer_end(struct aq_parquet_writer *writer,
                                     struct aq_error *err) AQ_RESULT;
void aq_parquet_writer_destroy(struct aq_parquet_writer *writer);

#endif
