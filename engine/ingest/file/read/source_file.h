/* A file or standard input, decompressed, as one stream of bytes that can be begun again. */
#ifndef AQ_ENGINE_INGEST_SOURCE_FILE_H
#define AQ_ENGINE_INGEST_SOURCE_FILE_H

#include "format/base/bytes.h"

#include <stdatomic.h>

struct aq_source_file;

/**
 * Open `path`, or standard input for "-". Compression is told from the content (gzip, xz, zstd, bzip2);
 * a tar, zip or 7-Zip archive is AQ_UNSUPPORTED and named as such.
 * @param spool_dir_fd  Where what was read of a pipe is kept until it is read again.
 * @param stop          Set by a signal: a read that waits for a pipe ends with AQ_INTERRUPTED. May be NULL.
 * @thread One at a time per file.
 */
enum aq_status aq_source_file_open(const char *path, int spool_dir_fd, const atomic_bool *stop,
                                   struct aq_source_file **file, struct aq_error *err) AQ_RESULT;
void aq_source_file_close(struct aq_source_file *file);

/** Of a pipe: call `idle` again and again, each `wait_ms`, while it gives nothing. Of a file: nothing. */
void aq_source_file_on_idle(struct aq_source_file *file, void (*idle)(void *context), void *context,
                            int wait_ms);
/** Up to `size` decoded bytes; *got 0 at the end. Damaged or cut off compressed data is AQ_IO, after all
 * bytes before the damage were given. */
enum aq_status aq_source_file_read(struct aq_source_file *file, void *buffer, size_t size,
                                   size_t *got, struct aq_error *err) AQ_RESULT;

/** Go back to the first byte. `last`: not again, so that no more of a pipe need be kept. */
enum aq_status aq_source_file_rewind(struct aq_source_file *file, bool last,
                                     struct aq_error *err) AQ_RESULT;

/** Make all decoded bytes readable at any offset: what is compressed, or a pipe, is kept in an unnamed file by the next pass
 * over it. To be called while it stands at its first byte. */
void aq_source_file_keep(struct aq_source_file *file);
/** All `size` bytes at `offset`, which were read before. AQ_CORRUPT where the file has lost them since. */
enum aq_status aq_source_file_read_at(struct aq_source_file *file, uint64_t offset, void *buffer,
                                      size_t size, struct aq_error *err) AQ_RESULT;

/** For messages: the path, or "standard input". */
const char *aq_source_file_path(const struct aq_source_file *file);
/** Bytes of the file as it lies there: read so far, and in all (0: unknown). */
uint64_t aq_source_file_bytes_done(const struct aq_source_file *file);
uint64_t aq_source_file_bytes_total(const struct aq_source_file *file);

#endif
