/* Gzip input, with every checksum verified (docs/decisions/libarchive.md). */
#ifndef AQ_ENGINE_INGEST_GUNZIP_H
#define AQ_ENGINE_INGEST_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct aq_gunzip;

/** The file's next bytes as they lie there, valid until the next call.
 * @return How many; 0 at the end, -1 when they cannot be read. */
typedef ssize_t (*aq_gunzip_input_fn)(void *context, const uint8_t **data);

/** NULL when memory is out. @thread One at a time. */
struct aq_gunzip *aq_gunzip_create(aq_gunzip_input_fn input, void *context);
void aq_gunzip_destroy(struct aq_gunzip *gunzip);

/** The next decoded bytes, valid until the next call. Several members in a row are one stream; zeros may
 * follow the last, as tapes leave them.
 * @return How many; 0 at the end; -1 when input failed or is not sound. */
ssize_t aq_gunzip_read(struct aq_gunzip *gunzip, const uint8_t **data);

/** What is wrong with the data, or NULL: nothing yet. */
const char *aq_gunzip_damage(const struct aq_gunzip *gunzip);

/** Whether data begins as a gzip file does. */
bool aq_gunzip_knows(const uint8_t *data, size_t size);

#endif
