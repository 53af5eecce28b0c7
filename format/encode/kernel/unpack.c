/* Packed bits to integers: AQ_VECTOR_ROWS_MAX values of `width` bits each, one little-endian stream, the first value in the
 * lowest bits. Eight values take `width` bytes, so every group of eight begins with a byte, and where in the group a
 * value stands is known when the loop of a width is compiled. */
#include "format/encode/kernel/kernel.h"

#define GROUP 8

static inline __attribute__((always_inline)) void
unpack_width(const uint8_t *packed, unsigned width, uint64_t reference, int64_t *values)
{
    uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
    for (size_t done = 0; done < AQ_VECTOR_ROWS_MAX; done += GROUP) {
        for (unsigned i = 0; i < GROUP; i++) {
            unsigned bit = i * width;
            uint64_t word = aq_load_u64(packed + bit / 8) >> bit % 8;
            if (bit % 8 + width > 64)
                word |= (uint64_t)packed[bit / 8 + 8] << (64 - bit % 8);
            values[i] = (int64_t)(reference + (word & mask));
        }
        packed += width;
        values += GROUP;
    }
}

#define UNPACK_1(width)                                 \
    case width:                                         \
        unpack_width(packed, width, reference, values); \
        break;
#define UNPACK_4(width) \
    UNPACK_1(width) UNPACK_1((width) + 1) UNPACK_1((width) + 2) UNPACK_1((width) + 3)
#define UNPACK_16(width) \
    UNPACK_4(width) UNPACK_4((width) + 4) UNPACK_4((width) + 8) UNPACK_4((width) + 12)

void aq_unpack_portable(const uint8_t *packed, unsigned width, uint64_t reference, int64_t *values)
{
    switch (width) {
        UNPACK_16(1)
        UNPACK_16(17)
        UNPACK_16(33)
        UNPACK_16(49)
    default:
        break;
    }
}

#ifdef __x86_64__

#include <immintrin.h>

#define WIDTH_MAX 57 /* a wider value may reach into a ninth byte */

/* A load, a permutation of its bytes that gives every value a word, a shift of each. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) void
aq_unpack_avx512(const uint8_t *packed, unsigned width, uint64_t reference, int64_t *values)
{
    if (width > WIDTH_MAX) {
        aq_unpack_portable(packed, width, reference, values);
        return;
    }
    uint8_t places[64];
    uint64_t shifts[GROUP];
    for (unsigned i = 0; i < GROUP; i++) {
        shifts[i] = i * width % 8;
        for (unsigned byte = 0; byte < 8; byte++)
            places[8 * i + byte] = (uint8_t)(i * width / 8 + byte);
    }
    __m512i place = _mm512_loadu_si512(places);
    __m512i shift = _mm512_loadu_si512(shifts);
    __m512i mask = _mm512_set1_epi64((int64_t)((UINT64_C(1) << width) - 1));
    __m512i base = _mm512_set1_epi64((int64_t)reference);
    for (size_t done = 0; done < AQ_VECTOR_ROWS_MAX; done += GROUP) {
        __m512i words = _mm512_permutexvar_epi8(place, _mm512_loadu_si512(packed));
        words = _mm512_and_si512(_mm512_srlv_epi64(words, shift), mask);
        _mm512_storeu_si512(values + done, _mm512_add_epi64(words, base));
        packed += width;
    }
}

#endif
