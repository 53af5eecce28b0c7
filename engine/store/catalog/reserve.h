/* Room for edits on a disk that is full: a writer that finds none stops, and what it made durable must still be closed in
 * the catalog. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_RESERVE_H
#define AQ_ENGINE_STORE_RESERVE_H

#include "engine/store/store_internal.h"

/** Set room aside, unless this process knows that there is some. Where the disk has little left, or cannot set any aside,
 * there is none: that is no failure. Caller holds `advance`. */
void aq_reserve_fill(struct aq_store *store);
/** Give it back to the disk, for an edit that found none. @return whether there was any. Caller holds `advance`. */
bool aq_reserve_release(struct aq_store *store);

#endif
