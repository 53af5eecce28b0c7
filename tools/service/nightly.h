/* The cadence of compaction inside `ingest`. */
#ifndef AQ_TOOLS_SERVICE_NIGHTLY_H
#define AQ_TOOLS_SERVICE_NIGHTLY_H

#include <stdint.h>

/** How long to leave it after the n-th run in a row that failed, or that somebody else was in the way of: a
 * minute, two, four ... up to an hour. 0 after none. */
int64_t aq_nightly_retry_us(unsigned failures);

#endif
