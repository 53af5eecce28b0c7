/* A buffered stream of result bytes to a file descriptor. Failures are sticky, so that a writer of
 * results need not look at every call: check once with aq_out_close or aq_out_status.
 *
 * A regular file is written under a temporary name and renamed when it is whole: nobody ever finds
 * half a result under the name that was asked for. */
#ifndef AQ_TOOLS_OUTPUT_RESULT_FILE_H
#define AQ_TOOLS_OUTPUT_RESULT_FILE_H

#include "format/base/bytes.h"

struct aq_out;

/** Over standard output. AQ_NO_MEMORY is the only failure. */
enum aq_status aq_out_stdout(struct aq_out **stream, struct aq_error *err) AQ_RESULT;
/** Over `path`, replaced when the stream is closed without a failure. */
enum aq_status aq_out_open(const char *path, struct aq_out **stream,
                           struct aq_error *err) AQ_RESULT;
/** Flush; with `keep` and no failure before, let the file appear. Releases the stream whatever happens;
 * NULL is allowed. */
enum aq_status aq_out_close(struct aq_out *stream, bool keep, struct aq_error *err) AQ_RESULT;

void aq_out_write(struct aq_out *stream, const void *data, size_t size);
void aq_out_text(struct aq_out *stream, const char *text);
void aq_out_bytes(struct aq_out *stream, const struct aq_bytes *bytes);
void aq_out_printf(struct aq_out *stream, const char *format, ...) AQ_PRINTF(2, 3);
/** Hand what is buffered to the system. */
void aq_out_flush(struct aq_out *stream);

/** AQ_OK, or the first failure. `aq_out_broken`: the reader of a pipe is gone (EPIPE). */
enum aq_status aq_out_status(const struct aq_out *stream, struct aq_error *err) AQ_RESULT;
bool aq_out_broken(const struct aq_out *stream);

/** Whether it is a file that appears when it is whole, not a pipe or a device. */
bool aq_out_is_file(const struct aq_out *stream);
/** Whether it is a terminal, and how many columns that has (80 when it is none or does not say). */
bool aq_out_is_terminal(const struct aq_out *stream);
unsigned aq_out_columns(const struct aq_out *stream);

#endif
