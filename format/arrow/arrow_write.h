/* Writing Apache Arrow's IPC formats: rows in batches, bytes to a sink, nothing is ever written again.
 * @source Apache Arrow, "Serialization and Interprocess Communication (IPC)", metadata version V5.
 *
 * Which type becomes which: docs/export.md. */
#ifndef AQ_FORMAT_ARROW_WRITE_H
#define AQ_FORMAT_ARROW_WRITE_H

#include "format/archive/archive.h"

struct aq_arrow_options {
    size_t column_count;
    const struct aq_column *columns; /* names and types count; borrowed for the writer's life */
    bool stream;                     /* the stream format, for pipes; else the file format */
    aq_sink_fn sink;
    void *sink_context;
};

struct aq_arrow_writer;

/** @return AQ_UNSUPPORTED for a column of a type that is not written (interval).
 * @thread All of a writer's calls: one. */
enum aq_status aq_arrow_writer_create(const struct aq_arrow_options *options,
                                      struct aq_arrow_writer **writer,
                                      struct aq_error *err) AQ_RESULT;
/** Rows of `batch`, by its first columns; copied. */
enum aq_status aq_arrow_writer_append(struct aq_arrow_writer *writer, const struct aq_batch *batch,
                                      struct aq_error *err) AQ_RESULT;
/** The last record batch, and the file's footer. */
enum aq_status aq_arrow_writer_end(struct aq_arrow_writer *writer, struct aq_error *err) AQ_RESULT;
void aq_arrow_writer_destroy(struct aq_arrow_writer *writer);

#endif
