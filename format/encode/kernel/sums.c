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

__attribute__((target("avx512f"))) void aq_sums_avx512(int64_t *values, size_t count,
                                                       uint64_t before)
{
    __m512i zero = _mm512_setzero_si512();
    __m512i last = _mm512_set1_epi64(7);
    __m512i sum = _mm512_set1_epi64((int64_t)before);
    size_t done = 0;
    for (; done + 8 <= count; done += 8) {
        __m512i words = _mm512_loadu_si512(values + done);
        words = _mm512_add_epi64(words, _mm512_alignr_epi64(words, zero, 7));
        words = _mm512_add_epi64(words, _mm512_alignr_epi64(words, zero, 6));
        words = _mm512_add_epi64(words, _mm512_alignr_epi64(words, zero, 4));
        _mm512_storeu_si512(values + done, _mm512_add_epi64(words, sum));
        sum = _mm512_add_epi64(sum, _mm512_permutexvar_epi64(last, words));
    }
    aq_sums_portable(values + done, count - done,
                     (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(sum)));
}

#endif
