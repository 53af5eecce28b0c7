/* A buffered stream of result bytes to a file descriptor. Failures are sticky, so that a writer of
 * results need not look at every call: check once with aq_stream_close or aq_stream_status.
 *
 * A regular file is written under a temporary name and renamed when it is whole: nobody ever finds
 * half a result under the name that was asked for. */
#ifndef AQ_TOOLS_OUTPUT_STREAM_H
#define AQ_TOOLS_OUTPUT_STREAM_H

#include "format/bytes.h"

struct aq_stream;

/** Over standard output. AQ_NO_MEMORY is the only failure. */
enum aq_status aq_stream_stdout(struct aq_stream **stream, struct aq_error *err) AQ_RESULT;
/** Over `path`, replaced when the stream is closed without a failure. */
enum aq_status aq_stream_open(const char *path, struct aq_stream **stream,
                              struct aq_error *err) AQ_RESULT;
/** Flush; with `keep` and no failure before, let the file appear. Releases the stream whatever happens;
 * NULL is allowed. */
enum aq_status aq_stream_close(struct aq_stream *stream, bool keep, struct aq_error *err) AQ_RESULT;

void aq_stream_write(struct aq_stream *stream, const void *data, size_t size);
void aq_stream_text(struct aq_stream *stream, const char *text);
void aq_stream_bytes(struct aq_stream *stream, const struct aq_bytes *bytes);
void aq_stream_printf(struct aq_stream *stream, const char *format, ...) AQ_PRINTF(2, 3);
/** Hand what is buffered to the system. */
void aq_stream_flush(struct aq_stream *stream);

/** AQ_OK, or the first failure. `aq_stream_broken`: the reader of a pipe is gone (EPIPE). */
enum aq_status aq_stream_status(const struct aq_stream *stream, struct aq_error *err) AQ_RESULT;
bool aq_stream_broken(const struct aq_stream *stream);

/** Whether it is a terminal, and how many columns that has (80 when it is none or does not say). */
bool aq_stream_is_terminal(const struct aq_stream *stream);
unsigned aq_stream_columns(const struct aq_stream *stream);

#endif
