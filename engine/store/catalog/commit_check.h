/* Whether an edit that was created long after the end of the chain had been read is part of it. Private to
 * engine/store. */
#ifndef AQ_ENGINE_STORE_COMMIT_CHECK_H
#define AQ_ENGINE_STORE_COMMIT_CHECK_H

#include "engine/object/object.h"

/**
 * The edit `number` with `checksum` has just been created, but more than a minute after its number was found
 * free. AQ_OK: it is committed. AQ_EXISTS: it is not, another edit had the number and was collected. AQ_IO:
 * nobody can tell any more; the process must read the store anew before it does anything else.
 */
enum aq_status aq_commit_check(struct aq_object_store *objects, uint64_t number, uint64_t checksum,
                               struct aq_error *err) AQ_RESULT;

#endif
