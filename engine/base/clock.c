/* The clocks (engine/base/clock.h). */
#include "engine/base/clock.h"

#include <time.h>

static int64_t read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t aq_clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t aq_clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t aq_clock_boot_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

int64_t aq_clock_ms(void)
{
    return aq_clock_us() / 1000;
}

double aq_clock_seconds(void)
{
    return (double)aq_clock_us() / 1e6;
}

double aq_clock_seconds_since(int64_t begin_us)
{
    return (double)(aq_clock_us() - begin_us) / 1e6;
}

void aq_clock_sleep_us(int64_t span_us)
{
    struct timespec span = {.tv_sec = span_us / 1000000, .tv_nsec = span_us % 1000000 * 1000};
    nanosleep(&span, NULL);
}
