/* Entropy coding in 32 lanes (ans32.h), decoded by four vectors of eight lanes: as ans32_avx512.c, whose expanding move is a
 * permutation here. Steps that are left over are plain C's. */
#include "format/encode/kernel/kernel.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi,bmi2,popcnt"), always_inline)) static inline
#define ROWS 16 /* steps turned over at once */
#define PARTS 4

/* A quarter of the lanes. */
struct lanes {
    __m256i state;
    __m256i last;
    __m256i older;
    __m256i left; /* raw bits not taken yet */
};

TARGET __m256i all(uint32_t value)
{
    return _mm256_set1_epi32((int)value);
}

TARGET __m256i renormalise(__m256i state, const uint8_t **at)
{
    __m256i small = _mm256_cmpeq_epi32(_mm256_srli_epi32(state, 16), _mm256_setzero_si256());
    unsigned need = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(small));
    uint64_t bytes = _pdep_u64(need, UINT64_C(0x0101010101010101)) * 255;
    uint64_t places = _pdep_u64(UINT64_C(0x0706050403020100), bytes); /* of each that needs one */
    __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)*at));
    next =
        _mm256_permutevar8x32_epi32(next, _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)places)));
    *at += 2 * (size_t)_mm_popcnt_u32(need);
    return _mm256_blendv_epi8(state, _mm256_or_si256(_mm256_slli_epi32(state, 16), next), small);
}

/* A float's exponent and the first bit of its fraction are twice the sum's logarithm, rounded down, and 254. */
TARGET __m256i context(enum aq_ans_kind kind, const struct lanes *lanes)
{
    if (kind == AQ_ANS_WORD)
        return _mm256_min_epu32(lanes->last, all(63));
    __m256i last = _mm256_min_epu32(lanes->last, all(8191));
    __m256i older = _mm256_min_epu32(lanes->older, all(8191));
    __m256i sum = _mm256_add_epi32(_mm256_add_epi32(last, last), _mm256_add_epi32(older, all(1)));
    __m256i size = _mm256_srli_epi32(_mm256_castps_si256(_mm256_cvtepi32_ps(sum)), 22);
    size = _mm256_sub_epi32(_mm256_add_epi32(size, size), all(508));
    return _mm256_or_si256(size, _mm256_and_si256(lanes->last, all(1)));
}

/* The map of contexts, 16 of them in a vector, in both of its halves. */
struct map {
    __m256i quarters[AQ_ANS32_CONTEXTS_MAX / 16];
};

TARGET struct map load_map(const uint8_t *tables)
{
    struct map map;
    for (unsigned q = 0; q < AQ_ANS32_CONTEXTS_MAX / 16; q++)
        map.quarters[q] =
            _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(tables + 16 * q)));
    return map;
}

/* A byte of which the highest bit is set looks up nothing: so are those of contexts in other quarters, and all but the first of
 * each lane. */
TARGET __m256i look_up(const struct map *map, __m256i contexts)
{
    __m256i table = _mm256_setzero_si256();
    _Pragma("GCC unroll 4") for (unsigned q = 0; q < AQ_ANS32_CONTEXTS_MAX / 16; q++)
    {
        __m256i from = _mm256_xor_si256(contexts, all(16 * q));
        from = _mm256_adds_epu8(from, all(0xffffff70));
        table = _mm256_or_si256(table, _mm256_shuffle_epi8(map->quarters[q], from));
    }
    return table;
}

/* A token and its first raw bits. */
TARGET void take(const struct aq_ans32_streams *streams, enum aq_ans_kind kind,
                 const struct map *map, struct lanes *lanes, const uint8_t **at)
{
    __m256i place = _mm256_and_si256(lanes->state, all(AQ_ANS32_SCALE - 1));
    if (kind != AQ_ANS_NONE)
        place = _mm256_or_si256(
            place, _mm256_slli_epi32(look_up(map, context(kind, lanes)), AQ_ANS32_SCALE_BITS));
    __m256i entry = _mm256_i32gather_epi32((const int *)streams->entries, place, 4);
    __m256i frequency = _mm256_and_si256(_mm256_srli_epi32(entry, 10), all(1023));
    __m256i state = _mm256_add_epi32(
        _mm256_mullo_epi32(frequency, _mm256_srli_epi32(lanes->state, AQ_ANS32_SCALE_BITS)),
        _mm256_and_si256(entry, all(1023)));
    __m256i width = _mm256_srli_epi32(entry, 24);
    __m256i first = _mm256_min_epu32(width, all(AQ_ANS32_RAW_FIRST));
    __m256i raw = _mm256_andnot_si256(_mm256_sllv_epi32(all(UINT32_MAX), first), state);
    __m256i base =
        _mm256_sllv_epi32(_mm256_and_si256(_mm256_srli_epi32(entry, 20), all(15)), width);
    lanes->older = lanes->last;
    lanes->last = _mm256_or_si256(base, raw);
    lanes->left = _mm256_sub_epi32(width, first);
    lanes->state = renormalise(_mm256_srlv_epi32(state, first), at);
}

TARGET void take_more(struct lanes *lanes, int taken, const uint8_t **at)
{
    __m256i more = _mm256_min_epu32(lanes->left, all(AQ_ANS32_RAW_MORE));
    __m256i raw = _mm256_andnot_si256(_mm256_sllv_epi32(all(UINT32_MAX), more), lanes->state);
    lanes->last = _mm256_or_si256(lanes->last, _mm256_slli_epi32(raw, taken));
    lanes->left = _mm256_sub_epi32(lanes->left, more);
    lanes->state = renormalise(_mm256_srlv_epi32(lanes->state, more), at);
}

TARGET bool any_left(const struct lanes *parts)
{
    __m256i left = _mm256_or_si256(_mm256_or_si256(parts[0].left, parts[1].left),
                                   _mm256_or_si256(parts[2].left, parts[3].left));
    return _mm256_testz_si256(left, left) == 0;
}

TARGET void take_step(const struct aq_ans32_streams *streams, enum aq_ans_kind kind,
                      const struct map *map, struct lanes *parts, const uint8_t **at, uint32_t *row)
{
    _Pragma("GCC unroll 4") for (unsigned p = 0; p < PARTS; p++)
        take(streams, kind, map, &parts[p], at);
    for (int taken = AQ_ANS32_RAW_FIRST; any_left(parts); taken += AQ_ANS32_RAW_MORE)
        for (unsigned p = 0; p < PARTS; p++)
            take_more(&parts[p], taken, at);
    _Pragma("GCC unroll 4") for (unsigned p = 0; p < PARTS; p++)
        _mm256_storeu_si256((void *)(row + 8 * p), parts[p].last);
}

TARGET void load_lanes(const struct aq_ans32_streams *streams, struct lanes *parts)
{
    for (unsigned p = 0; p < PARTS; p++)
        parts[p] =
            (struct lanes){.state = _mm256_loadu_si256((const void *)&streams->states[8 * p]),
                           .last = _mm256_setzero_si256(),
                           .older = _mm256_setzero_si256()};
}

TARGET void store_lanes(const struct lanes *parts, struct aq_ans32_streams *streams)
{
    for (unsigned p = 0; p < PARTS; p++) {
        _mm256_storeu_si256((void *)&streams->states[8 * p], parts[p].state);
        _mm256_storeu_si256((void *)&streams->last[8 * p], parts[p].last);
        _mm256_storeu_si256((void *)&streams->older[8 * p], parts[p].older);
    }
}

/* As many blocks of 16 steps as there are. Returns the steps done; `streams` stands behind them. */
TARGET size_t take_blocks(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                          size_t count)
{
    uint32_t rows[ROWS][AQ_ANS32_LANES];
    size_t starts[AQ_ANS32_LANES];
    struct lanes parts[PARTS];
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
        starts[lane] = aq_ans32_lane_start(count, lane);
    struct map map = load_map(streams->tables);
    load_lanes(streams, parts);
    const uint8_t *at = streams->at;
    size_t done = 0;
    while (done + ROWS <= count / AQ_ANS32_LANES) {
        for (unsigned row = 0; row < ROWS && at <= streams->end; row++)
            take_step(streams, kind, &map, parts, &at, rows[row]);
        if (at > streams->end)
            break;
        for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
            for (unsigned row = 0; row < ROWS; row++)
                values[starts[lane] + done + row] = aq_word_value(streams->form, rows[row][lane]);
        done += ROWS;
    }
    store_lanes(parts, streams);
    streams->at = at;
    return done;
}

__attribute__((target("avx2,bmi,bmi2,popcnt"))) bool aq_ans32_avx2(struct aq_ans32_streams *streams,
                                                                   enum aq_ans_kind kind,
                                                                   int64_t *values, size_t count)
{
    size_t done = kind == AQ_ANS_NONE   ? take_blocks(streams, AQ_ANS_NONE, values, count)
                  : kind == AQ_ANS_SIZE ? take_blocks(streams, AQ_ANS_SIZE, values, count)
                                        : take_blocks(streams, AQ_ANS_WORD, values, count);
    return streams->at <= streams->end && aq_ans32_steps(streams, kind, values, count, done);
}

#endif
