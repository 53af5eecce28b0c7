/* Running sums, modulo 2^64: each value becomes `before` and all values up to it. Vectors add up what they hold by themselves, in
 * steps of one, two and four values; only the sum of all of them is waited for. */
#include "format/encode/kernel/kernel.h"

void aq_sums_portable(int64_t *values, size_t count, uint64_t before)
{
    for (size_t i = 0; i < count; i++) {
        before += (uint64_t)values[i];
        values[i] = (int64_t)before;
    }
}

#ifdef __x86_64__

#include <immintrin.h>

/* The last value of a vector in all its places. */
#define LAST4 0xff

__attribute__((target("avx2"))) void aq_sums_avx2(int64_t *values, size_t count, uint64_t before)
{
    __m256i sum = _mm256_set1_epi64x((int64_t)before);
    size_t done = 0;
    for (; done + 4 <= count; done += 4) {
        __m256i words = _mm256_loadu_si256((const void *)(values + done));
        words = _mm256_add_epi64(words, _mm256_slli_si256(words, 8)); /* within pairs */
        __m256i low = _mm256_permute4x64_epi64(words, 0x55);          /* the first pair's sum */
        words = _mm256_add_epi64(words, _mm256_blend_epi32(_mm256_setzero_si256(), low, 0xf0));
        _mm256_storeu_si256((void *)(values + done), _mm256_add_epi64(words, sum));
        sum = _mm256_add_epi64(sum, _mm256_permute4x64_epi64(words, LAST4));
    }
    aq_sums_portable(values + done, count - done, (uint64_t)_mm256_extract_epi64(sum, 0));
}

#define TARGET512 __attribute__((target("avx2,fma,avx512f,avx512dq")))

/* Eight values added up. `sum`, in all its places that of the values before, becomes that of all. */
TARGET512 static inline __m512i add_eight(const int64_t *values, __m512i *sum)
{
    __m512i zero = _mm512_setzero_si512();
    __m512i words = _mm512_loadu_si512(values);
    words = _mm512_add_epi64(words, _mm512_alignr_epi64(words, zero, 7));
    words = _mm512_add_epi64(words, _mm512_alignr_epi64(words, zero, 6));
    words = _mm512_add_epi64(words, _mm512_alignr_epi64(words, zero, 4));
    __m512i sums = _mm512_add_epi64(words, *sum);
    *sum = _mm512_add_epi64(*sum, _mm512_permutexvar_epi64(_mm512_set1_epi64(7), words));
    return sums;
}

TARGET512 static inline uint64_t first_of(__m512i sum)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(sum));
}

TARGET512 void aq_sums_avx512(int64_t *values, size_t count, uint64_t before)
{
    __m512i sum = _mm512_set1_epi64((int64_t)before);
    size_t done = 0;
    for (; done + 8 <= count; done += 8)
        _mm512_storeu_si512(values + done, add_eight(values + done, &sum));
    aq_sums_portable(values + done, count - done, first_of(sum));
}

/* Eight integers as decimals; a factor of 1 costs nothing. */
TARGET512 static inline void store_decimals(__m512i integers, uint64_t multiple,
                                            struct aq_divisor divisor, int64_t *words)
{
    if (multiple != 1)
        integers = _mm512_mullo_epi64(integers, _mm512_set1_epi64((int64_t)multiple));
    __m512d real = _mm512_cvtepi64_pd(integers);
    __m512d low = _mm512_mul_pd(real, _mm512_set1_pd(divisor.low));
    _mm512_storeu_pd(words, _mm512_fmadd_pd(real, _mm512_set1_pd(divisor.high), low));
}

TARGET512 uint64_t aq_sum_decimals_avx512(int64_t *steps, size_t count, uint64_t before,
                                          uint64_t multiple, double power)
{
    struct aq_divisor divisor = aq_divisor_make(power);
    __m512i sum = _mm512_set1_epi64((int64_t)before);
    size_t done = 0;
    for (; done + 8 <= count; done += 8)
        store_decimals(add_eight(steps + done, &sum), multiple, divisor, steps + done);
    int64_t left[8] = {0};
    size_t left_size = (count - done) * sizeof *left;
    memcpy(left, steps + done, left_size);
    store_decimals(add_eight(left, &sum), multiple, divisor, left);
    memcpy(steps + done, left, left_size);
    return first_of(sum);
}

#endif
