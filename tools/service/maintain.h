/* The maintenance loop's cadence. */
#ifndef AQ_TOOLS_SERVICE_MAINTAIN_H
#define AQ_TOOLS_SERVICE_MAINTAIN_H

#include <stdint.h>

/** How long to wait before the next run: `protect_us` after one that went well; after the n-th failure in
 * a row a minute, two, four ..., but no longer than `protect_us`. */
int64_t aq_maintain_wait_us(int64_t protect_us, unsigned failures);

#endif
