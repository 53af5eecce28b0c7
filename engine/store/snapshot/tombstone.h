/* What a tombstone removes (docs/catalog-format.md, "Tombstones"). */
#ifndef AQ_ENGINE_STORE_TOMBSTONE_H
#define AQ_ENGINE_STORE_TOMBSTONE_H

#include "engine/store/catalog/catalog.h"

/** Whether the tombstone may remove rows of a file: one that is closed, was there before its edit, and has rows of
 * its dataset with a time in its span. Whether they have one of its keys the catalog cannot tell. */
bool aq_tombstone_touches(const struct aq_catalog_tombstone *tombstone,
                          const struct aq_catalog_file *file);

/** Whether everything that `inner` removes is removed by `outer`. */
bool aq_tombstone_covers(const struct aq_catalog_tombstone *outer,
                         const struct aq_catalog_tombstone *inner);

/** Whether it removes rows of this key, in text form. */
bool aq_tombstone_has_key(const struct aq_catalog_tombstone *tombstone, struct aq_slice key);

#endif
