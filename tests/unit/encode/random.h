/* Numbers to test with: the same in each run. */
#ifndef AQ_TESTS_UNIT_RANDOM_H
#define AQ_TESTS_UNIT_RANDOM_H

#include <stdint.h>

static uint64_t random_state = 1; /* to be set where a seed is given */

/* @source Vigna, splitmix64. */
static inline uint64_t next_random(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
