/* The catalog's objects: edits, checkpoints and the hint. Private to engine/store and to
 * `verify`. */
#ifndef AQ_ENGINE_STORE_CATALOG_LOG_H
#define AQ_ENGINE_STORE_CATALOG_LOG_H

#include "engine/object/object.h"
#include "engine/store/catalog/catalog_state.h"

/** A checkpoint is due when so many edits follow the last one. */
#define AQ_CHECKPOINT_EDITS 256

#define AQ_CATALOG_NAME_BYTES 64
#define AQ_CATALOG_LATEST_NAME "catalog/latest"

/** "catalog/<20 digits>" */
void aq_catalog_edit_name(uint64_t number, char *out, size_t out_size);
/** "catalog/checkpoint-<20 digits>" */
void aq_catalog_checkpoint_name(uint64_t number, char *out, size_t out_size);
/** The number in such a name; false: it is neither's. */
bool aq_catalog_parse_name(const char *name, uint64_t *number, bool *checkpoint);

/** Edits stay for an hour, so whoever looked so short a time ago knows that none has been collected since. */
#define AQ_CATALOG_JUST_NOW_US (60 * INT64_C(1000000))

/**
 * Read the whole catalog. An empty one (number 0) when there is none. Damage, a broken chain or a
 * head below the edit that the hint names is AQ_CORRUPT with file and offset. For a mirror, of which
 * nothing is collected while it is the newest.
 * @param checkpoint  Number of the checkpoint that reading began with; 0: none.
 */
enum aq_status aq_catalog_load(struct aq_object_store *objects, const struct aq_catalog **catalog,
                               uint64_t *checkpoint, struct aq_error *err) AQ_RESULT;

/** The same of a home, where edits are collected meanwhile: read again when what it began with is gone. */
enum aq_status aq_catalog_open(struct aq_object_store *objects, const struct aq_catalog **catalog,
                               uint64_t *checkpoint, struct aq_error *err) AQ_RESULT;

/** Whether what reading began with is still there: the checkpoint, or edit 1 where there was none.
 * AQ_NOT_FOUND: edits behind it may have been collected, so an absent one is not the end. */
enum aq_status aq_catalog_is_current(struct aq_object_store *objects, uint64_t checkpoint,
                                     struct aq_error *err) AQ_RESULT;

/** Number of the newest checkpoint, by listing; 0: none. */
enum aq_status aq_catalog_newest_checkpoint(struct aq_object_store *objects, uint64_t *number,
                                            struct aq_error *err) AQ_RESULT;

/** The state that checkpoint `number` alone describes. AQ_NOT_FOUND when there is none. */
enum aq_status aq_catalog_load_checkpoint(struct aq_object_store *objects, uint64_t number,
                                          const struct aq_catalog **catalog,
                                          struct aq_error *err) AQ_RESULT;

/** The state after edit `number`, read from `checkpoint` on (0: from edit 1). */
enum aq_status aq_catalog_load_version(struct aq_object_store *objects, uint64_t checkpoint,
                                       uint64_t number, const struct aq_catalog **catalog,
                                       struct aq_error *err) AQ_RESULT;

/** Apply the edits that follow `state`, until one is absent; `count` says how many there were. */
enum aq_status aq_catalog_follow(struct aq_object_store *objects, struct aq_catalog_state *state,
                                 size_t *count, struct aq_error *err) AQ_RESULT;

/** Put a checkpoint of `catalog`; one that is there already stays, unless `replace`. */
enum aq_status aq_catalog_put_checkpoint(struct aq_object_store *objects,
                                         const struct aq_catalog *catalog, bool replace,
                                         struct aq_error *err) AQ_RESULT;
/** Whether `bytes` are an intact hint (the object AQ_CATALOG_LATEST_NAME), and what it says. */
bool aq_catalog_parse_latest(struct aq_slice bytes, uint64_t *number, uint64_t *checkpoint);
/** Write the hint: the head is `number`, opening may begin with `checkpoint`. */
enum aq_status aq_catalog_put_latest(struct aq_object_store *objects, uint64_t number,
                                     uint64_t checkpoint, struct aq_error *err) AQ_RESULT;

#endif
