/* Entropy coding in 32 lanes (ans32.h), decoded by two vectors of 16 lanes: one gather finds the entries of 16 tables, an
 * expanding move hands the stream's next numbers to the states that need one. Words of 16 steps are turned over in one go, from
 * a row a step to a row a lane. Steps that are left over are plain C's. */
#include "format/encode/kernel/kernel.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET                                                                                   \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi"), \
                   always_inline)) static inline
#define ROWS 16 /* steps turned over at once */

/* Half of the lanes. */
struct lanes {
    __m512i state;
    __m512i last;
    __m512i older;
    __m512i left; /* raw bits not taken yet */
};

TARGET __m512i all(uint32_t value)
{
    return _mm512_set1_epi32((int)value);
}

TARGET __m512i renormalise(__m512i state, const uint8_t **at)
{
    __mmask16 need = _mm512_cmplt_epu32_mask(state, all(AQ_ANS_STATE_MIN));
    __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)*at));
    next = _mm512_maskz_expand_epi32(need, next);
    *at += 2 * (size_t)_mm_popcnt_u32(need);
    return _mm512_mask_or_epi32(state, need, _mm512_slli_epi32(state, 16), next);
}

/* A float's exponent and the first bit of its fraction are twice the sum's logarithm, rounded down. */
#define SIZE_BIAS 508
TARGET __m512i context(enum aq_ans_kind kind, const struct lanes *lanes)
{
    if (kind == AQ_ANS_WORD)
        return _mm512_min_epu32(lanes->last, all(63));
    __m512i last = _mm512_min_epu32(lanes->last, all(8191));
    __m512i older = _mm512_min_epu32(lanes->older, all(8191));
    __m512i sum = _mm512_add_epi32(_mm512_add_epi32(last, last), _mm512_add_epi32(older, all(1)));
    __m512i size = _mm512_srli_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(sum)), 21);
    return _mm512_ternarylogic_epi32(all(1), lanes->last, size, 0xca); /* the last one's bit 0 */
}

/* A token and its first raw bits. */
TARGET void take(const struct aq_ans32_streams *streams, enum aq_ans_kind kind, __m512i tables,
                 struct lanes *lanes, const uint8_t **at)
{
    __m512i place = _mm512_and_si512(lanes->state, all(AQ_ANS32_SCALE - 1));
    if (kind != AQ_ANS_NONE) {
        __m512i table = _mm512_maskz_permutexvar_epi8(UINT64_C(0x1111111111111111),
                                                      context(kind, lanes), tables);
        place = _mm512_or_si512(place, _mm512_slli_epi32(table, AQ_ANS32_SCALE_BITS));
    }
    __m512i entry = _mm512_i32gather_epi32(place, streams->entries, 4);
    __m512i frequency = _mm512_and_si512(_mm512_srli_epi32(entry, 10), all(1023));
    __m512i state = _mm512_add_epi32(
        _mm512_mullo_epi32(frequency, _mm512_srli_epi32(lanes->state, AQ_ANS32_SCALE_BITS)),
        _mm512_and_si512(entry, all(1023)));
    __m512i width = _mm512_srli_epi32(entry, 24);
    __m512i first = _mm512_min_epu32(width, all(AQ_ANS32_RAW_FIRST));
    __m512i raw = _mm512_andnot_si512(_mm512_sllv_epi32(all(UINT32_MAX), first), state);
    __m512i base =
        _mm512_sllv_epi32(_mm512_and_si512(_mm512_srli_epi32(entry, 20), all(15)), width);
    lanes->older = lanes->last;
    lanes->last = _mm512_or_si512(base, raw);
    lanes->left = _mm512_sub_epi32(width, first);
    lanes->state = renormalise(_mm512_srlv_epi32(state, first), at);
}

TARGET void take_more(struct lanes *lanes, unsigned taken, const uint8_t **at)
{
    __m512i more = _mm512_min_epu32(lanes->left, all(AQ_ANS32_RAW_MORE));
    __m512i raw = _mm512_andnot_si512(_mm512_sllv_epi32(all(UINT32_MAX), more), lanes->state);
    lanes->last = _mm512_or_si512(lanes->last, _mm512_slli_epi32(raw, taken));
    lanes->left = _mm512_sub_epi32(lanes->left, more);
    lanes->state = renormalise(_mm512_srlv_epi32(lanes->state, more), at);
}

TARGET bool any_left(const struct lanes *low, const struct lanes *high)
{
    __m512i left = _mm512_or_si512(low->left, high->left);
    return _mm512_test_epi32_mask(left, left) != 0;
}

TARGET __m512i low_pairs(__m512i a, __m512i b, bool wide)
{
    return wide ? _mm512_unpacklo_epi64(a, b) : _mm512_unpacklo_epi32(a, b);
}

TARGET __m512i high_pairs(__m512i a, __m512i b, bool wide)
{
    return wide ? _mm512_unpackhi_epi64(a, b) : _mm512_unpackhi_epi32(a, b);
}

/* 16 words of 32 bits each become values. */
TARGET void restore(struct aq_words form, __m512i words, int64_t *values)
{
    __m512i low;
    __m512i high;
    if (form.mode == AQ_WORD_ZIGZAG) {
        __m512i sign = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(words, all(1)));
        words = _mm512_xor_si512(_mm512_srli_epi32(words, 1), sign);
        low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(words));
        high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(words, 1));
    } else {
        __m512i base = _mm512_set1_epi64(form.base);
        low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(words));
        high = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(words, 1));
        low = _mm512_add_epi64(low, base);
        high = _mm512_add_epi64(high, base);
    }
    _mm512_storeu_si512(values, low);
    _mm512_storeu_si512(values + 8, high);
}

/* Column `lane` of 16 rows of words becomes values[starts[lane]] and what follows. */
TARGET void turn_over(uint32_t rows[ROWS][AQ_ANS32_LANES], unsigned half, struct aq_words form,
                      const size_t *starts, int64_t *values)
{
    __m512i a[ROWS];
    __m512i b[ROWS];
    for (unsigned i = 0; i < ROWS; i++)
        a[i] = _mm512_load_si512(&rows[i][16 * half]);
    for (unsigned i = 0; i < ROWS; i += 2) { /* pairs of rows, lane by lane */
        b[i] = low_pairs(a[i], a[i + 1], false);
        b[i + 1] = high_pairs(a[i], a[i + 1], false);
    }
    for (unsigned i = 0; i < ROWS;
         i += 4) { /* four rows: a[i + k] has lanes k, k + 4, k + 8, k + 12 */
        a[i] = low_pairs(b[i], b[i + 2], true);
        a[i + 1] = high_pairs(b[i], b[i + 2], true);
        a[i + 2] = low_pairs(b[i + 1], b[i + 3], true);
        a[i + 3] = high_pairs(b[i + 1], b[i + 3], true);
    }
    for (unsigned k = 0; k < 4; k++) {
        __m512i low02 = _mm512_shuffle_i32x4(a[k], a[4 + k], 0x88);
        __m512i low13 = _mm512_shuffle_i32x4(a[k], a[4 + k], 0xdd);
        __m512i high02 = _mm512_shuffle_i32x4(a[8 + k], a[12 + k], 0x88);
        __m512i high13 = _mm512_shuffle_i32x4(a[8 + k], a[12 + k], 0xdd);
        b[k] = _mm512_shuffle_i32x4(low02, high02, 0x88);
        b[k + 8] = _mm512_shuffle_i32x4(low02, high02, 0xdd);
        b[k + 4] = _mm512_shuffle_i32x4(low13, high13, 0x88);
        b[k + 12] = _mm512_shuffle_i32x4(low13, high13, 0xdd);
    }
    for (unsigned i = 0; i < ROWS; i++)
        restore(form, b[i], values + starts[16 * half + i]);
}

TARGET struct lanes load_lanes(const struct aq_ans32_streams *streams, unsigned half)
{
    return (struct lanes){.state = _mm512_loadu_si512(&streams->states[16 * half]),
                          .last = _mm512_setzero_si512(),
                          .older = _mm512_setzero_si512()};
}

TARGET void store_lanes(const struct lanes *lanes, unsigned half, struct aq_ans32_streams *streams)
{
    _mm512_storeu_si512(&streams->states[16 * half], lanes->state);
    _mm512_storeu_si512(&streams->last[16 * half], lanes->last);
    _mm512_storeu_si512(&streams->older[16 * half], lanes->older);
}

/* The map of contexts, where a context's number looks it up. */
TARGET __m512i load_tables(const struct aq_ans32_streams *streams, enum aq_ans_kind kind)
{
    uint8_t tables[AQ_ANS32_CONTEXTS_MAX];
    unsigned bias = kind == AQ_ANS_SIZE ? SIZE_BIAS : 0;
    for (unsigned i = 0; i < AQ_ANS32_CONTEXTS_MAX; i++)
        tables[(i + bias) % AQ_ANS32_CONTEXTS_MAX] = streams->tables[i];
    return _mm512_loadu_si512(tables);
}

/* As many blocks of 16 steps as there are. Returns the steps done; `streams` stands behind them. */
TARGET size_t take_blocks(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                          size_t count)
{
    _Alignas(64) uint32_t rows[ROWS][AQ_ANS32_LANES];
    size_t starts[AQ_ANS32_LANES];
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
        starts[lane] = aq_ans32_lane_start(count, lane);
    struct lanes low = load_lanes(streams, 0);
    struct lanes high = load_lanes(streams, 1);
    __m512i tables = load_tables(streams, kind);
    struct aq_words form = streams->form;
    const uint8_t *at = streams->at;
    size_t done = 0;
    while (done + ROWS <= count / AQ_ANS32_LANES) {
        for (unsigned row = 0; row < ROWS && at <= streams->end; row++) {
            take(streams, kind, tables, &low, &at);
            take(streams, kind, tables, &high, &at);
            for (unsigned taken = AQ_ANS32_RAW_FIRST; any_left(&low, &high);
                 taken += AQ_ANS32_RAW_MORE) {
                take_more(&low, taken, &at);
                take_more(&high, taken, &at);
            }
            _mm512_store_si512(&rows[row][0], low.last);
            _mm512_store_si512(&rows[row][16], high.last);
        }
        if (at > streams->end)
            break;
        turn_over(rows, 0, form, starts, values + done);
        turn_over(rows, 1, form, starts, values + done);
        done += ROWS;
    }
    store_lanes(&low, 0, streams);
    store_lanes(&high, 1, streams);
    streams->at = at;
    return done;
}

__attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi"))) bool
aq_ans32_avx512(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                size_t count)
{
    size_t done = kind == AQ_ANS_NONE   ? take_blocks(streams, AQ_ANS_NONE, values, count)
                  : kind == AQ_ANS_SIZE ? take_blocks(streams, AQ_ANS_SIZE, values, count)
                                        : take_blocks(streams, AQ_ANS_WORD, values, count);
    return streams->at <= streams->end && aq_ans32_steps(streams, kind, values, count, done);
}

#endif
