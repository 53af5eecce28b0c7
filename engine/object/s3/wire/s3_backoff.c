#include "engine/object/s3/wire/s3_backoff.h"

#include <sys/random.h>
#include <time.h>

#define FIRST_MS 100
#define MOST_MS 8000

int64_t aq_s3_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
