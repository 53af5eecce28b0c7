/* Asking the kernel to have units at hand before they are read. */
#ifndef AQ_ENGINE_STORE_READ_AHEAD_H
#define AQ_ENGINE_STORE_READ_AHEAD_H

#include "engine/store/snapshot/snapshot.h"

struct aq_read_ahead; /* of one thread */

/** Through the store's back end of the file API. The snapshot must outlive it.
 * @return NULL where there can be none: units are then read without. */
struct aq_read_ahead *aq_read_ahead_create(struct aq_snapshot *snapshot);

/**
 * Say that columns of a unit will be read soon: what aq_unit_read reads of them is asked for, once for each call. It
 * does not wait for the disk, and a failure changes nothing but time. Units in the bucket are left alone.
 *
 * @param ahead  May be NULL.
 * @return Whether it was asked for: not when too much is under way (AQ_READ_AHEAD_HINTS_MAX). Ask again later then.
 */
bool aq_read_ahead_unit(struct aq_read_ahead *ahead, const struct aq_unit *unit,
                        const uint32_t *column_ids, size_t column_count);
#define AQ_READ_AHEAD_HINTS_MAX 512 /* of AQ_IO_WILL_READ_BYTES at most: 64 MiB */

/** Waits for what is under way. NULL allowed. */
void aq_read_ahead_destroy(struct aq_read_ahead *ahead);

#endif
