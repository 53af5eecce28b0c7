/* When to try again. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_BACKOFF_H
#define AQ_ENGINE_OBJECT_S3_S3_BACKOFF_H

#include <stdint.h>

/** Milliseconds of a clock that runs on while the machine sleeps. */
int64_t aq_s3_now_ms(void);
/** How long to wait after the `tries`th try failed: random up to a bound that doubles with every try ("full
 * jitter"), so that those who failed together do not come back together.
 * @source M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. */
int64_t aq_s3_backoff_ms(unsigned tries);

#endif
