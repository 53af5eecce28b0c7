/* Leases: which versions of the catalog somebody in the home is reading. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_HISTORY_LEASE_H
#define AQ_ENGINE_STORE_HISTORY_LEASE_H

#include "engine/store/store.h"

/**
 * Keep gc away from the files of version `version` and of all later ones, until it is released or the process
 * ends. Taken before the head is read, with any version that was the head once: so whichever is read is kept.
 * Of a mirror: NULL, for it has no leases. @thread Any.
 */
struct aq_lease;
enum aq_status aq_lease_take(struct aq_store *store, uint64_t version, struct aq_lease **lease,
                             struct aq_error *err) AQ_RESULT;
/** The reader has settled on a later version: what only earlier ones need may go. */
void aq_lease_move(struct aq_lease *lease, uint64_t version);
void aq_lease_release(struct aq_lease *lease);

/** The oldest version that is leased; `any` false: none is. */
enum aq_status aq_lease_oldest(struct aq_store *store, bool *any, uint64_t *version,
                               struct aq_error *err) AQ_RESULT;

#endif
