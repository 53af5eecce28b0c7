/* Work in parallel, again and again: an aq_executor whose threads are kept between runs, for tasks that are shorter than
 * those of workers.h. */
#ifndef AQ_ENGINE_BASE_HELPERS_H
#define AQ_ENGINE_BASE_HELPERS_H

#include "format/archive/archive.h"
#include "format/base/status.h"

struct aq_helpers;

/** @param thread_count  At most, the caller's own included; fewer where they cannot be had.
 * @return NULL when memory is out. */
struct aq_helpers *aq_helpers_create(unsigned thread_count);
/** No run is under way. */
void aq_helpers_destroy(struct aq_helpers *helpers);
/** Borrows `helpers`. A run ends when its tasks have ended; a thread that comes too late for them is not waited for.
 * @thread One run at a time. */
const struct aq_executor *aq_helpers_executor(const struct aq_helpers *helpers);

#endif
