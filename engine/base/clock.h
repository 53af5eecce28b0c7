/* The clocks. Microseconds, unless the name says otherwise; none fails. @thread Any. */
#ifndef AQ_ENGINE_CLOCK_H
#define AQ_ENGINE_CLOCK_H

#include <stdint.h>

/** Since 1970-01-01 UTC; jumps when somebody sets it. */
int64_t aq_clock_wall_us(void);
/** For spans and deadlines: never jumps, stands still while the machine sleeps. */
int64_t aq_clock_us(void);
/** The same, but goes on while the machine sleeps: for what others measure meanwhile. */
int64_t aq_clock_boot_us(void);
/** The same clock in milliseconds, and in seconds. */
int64_t aq_clock_ms(void);
double aq_clock_seconds(void);
/** Seconds since an earlier aq_clock_us. */
double aq_clock_seconds_since(int64_t begin_us);

/** Sleep that long; a signal that is caught ends it. */
void aq_clock_sleep_us(int64_t span_us);

#endif
