#include "engine/object/s3/wire/s3_backoff.h"
#include "engine/base/clock.h"

#include <sys/random.h>

#define FIRST_MS 100
#define MOST_MS 8000

int64_t aq_s3_now_ms(void)
{
    return aq_clock_boot_us() / 1000;
}

int64_t aq_s3_backoff_ms(unsigned tries)
{
    uint64_t number = 0;
    uint64_t bound = MOST_MS;
    if (tries < 8 && (FIRST_MS << tries) < MOST_MS)
        bound = FIRST_MS << tries;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = (uint64_t)aq_s3_now_ms();
    return 1 + (int64_t)(number % bound);
}
