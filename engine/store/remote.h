/* The bucket as readers see it: the newest mirror of the catalog, and files that are not at home. */
#ifndef AQ_ENGINE_STORE_REMOTE_H
#define AQ_ENGINE_STORE_REMOTE_H

#include "engine/object/object.h"
#include "engine/store/catalog.h"

/* Objects: incarnations/<20 digits>; incarnations/latest; mirror/<20 digits of it>/catalog/..., as in a home;
 * data/<32 hex digits of the hash>-<16 of a nonce>.aqa or .seg. Bytes: docs/tier-format.md. */

/** Newest incarnation that the bucket knows: the hint, then upwards until one is absent. 0: the bucket
 * holds no store. No listing. */
enum aq_status aq_remote_incarnation(struct aq_object_store *bucket, uint64_t *incarnation,
                                     struct aq_store_id *store_id, struct aq_error *err) AQ_RESULT;
/** Register incarnation `incarnation` by a conditional put, and then the hint. AQ_EXISTS when it is taken. */
enum aq_status aq_remote_register(struct aq_object_store *bucket, uint64_t incarnation,
                                  const struct aq_store_id *store_id,
                                  struct aq_error *err) AQ_RESULT;
/** The mirror of an incarnation as an object store of its own, in which the catalog's names are relative.
 * It borrows `bucket`; closed with aq_object_close. */
enum aq_status aq_remote_mirror(struct aq_object_store *bucket, uint64_t incarnation,
                                struct aq_object_store **mirror, struct aq_error *err) AQ_RESULT;

#endif
