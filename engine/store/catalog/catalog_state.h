/* Building catalogs from records, and records from catalogs. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_CATALOG_STATE_H
#define AQ_ENGINE_STORE_CATALOG_STATE_H

#include "engine/store/catalog/catalog.h"

/** A catalog in the making; nobody else sees it. */
struct aq_catalog_state {
    struct aq_catalog *catalog;
    const struct aq_edit_header *header; /* of the edit that is being applied */
    size_t dataset_capacity;
    size_t view_capacity;
    size_t file_capacity;
    size_t feed_capacity;
    size_t mask_capacity;
    size_t lost_capacity;
    size_t tombstone_capacity;
};

/** Begin with a deep copy of `from`, or with the empty catalog number 0 when it is NULL. */
enum aq_status aq_catalog_state_begin(struct aq_catalog_state *state,
                                      const struct aq_catalog *from) AQ_RESULT;

/**
 * Apply the edit that follows: its number and chain are checked, then record after record. What the
 * records contradict (closing a file that is not open, a feed of no dataset) is AQ_CORRUPT. After a
 * failure only abandon is allowed. Nothing is borrowed from `records`.
 */
enum aq_status aq_catalog_state_apply(struct aq_catalog_state *state,
                                      const struct aq_edit_header *header,
                                      const struct aq_record *records, size_t record_count,
                                      uint64_t checksum, struct aq_error *err) AQ_RESULT;
void aq_catalog_state_abandon(struct aq_catalog_state *state);
/** The finished catalog with one reference; the state is empty afterwards. */
const struct aq_catalog *aq_catalog_state_finish(struct aq_catalog_state *state);

/** Records being collected for one edit: what aq_edit_add (store.h) appends to. */
struct aq_edit {
    struct aq_arena arena; /* copies of what the records point to */
    struct aq_record *records;
    size_t record_count;
    size_t record_capacity;
};
void aq_edit_clear(struct aq_edit *edit);
void aq_edit_deinit(struct aq_edit *edit);

/** Collect the records of a checkpoint: applied to nothing they give `catalog` again. */
enum aq_status aq_catalog_describe(const struct aq_catalog *catalog,
                                   struct aq_edit *edit) AQ_RESULT;

#endif
