/* How frames are best written on a store's disk. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_WRITE_PROBE_H
#define AQ_ENGINE_STORE_WRITE_PROBE_H

#include "engine/store/store_internal.h"

/**
 * Unless it is known: write a few blocks, durably, `depth` at a time, past the kernel's cache and through it, into
 * a file that vanishes; what was faster is how this store's frames are written from then on
 * (aq_store_write_method). Nothing that fails here is a failure of the store: it stays with the cache then.
 * @thread Any; shards may do it at once.
 */
void aq_write_probe(struct aq_store *store, unsigned depth);

#endif
