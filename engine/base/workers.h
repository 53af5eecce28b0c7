/* Work in parallel: an aq_executor over plain threads. */
#ifndef AQ_ENGINE_BASE_WORKERS_H
#define AQ_ENGINE_BASE_WORKERS_H

#include "format/archive/archive.h"

/** Threads that a run uses at most, the caller's own included; 1 where no thread can be had. */
struct aq_workers {
    unsigned thread_count;
    struct aq_executor executor; /* borrows this struct */
};

/** @param thread_count  0: as many as processors are online. */
void aq_workers_init(struct aq_workers *workers, unsigned thread_count);

#endif
