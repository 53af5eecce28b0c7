/* Bodies of kernels, compiled once for each set of instructions (kernel.c): KERNEL names a function, KERNEL_TARGET is its
 * attribute. No include guard. Multiplying and adding doubles gives the same everywhere, since nothing is contracted (Makefile). */

/* Keeps a value out of vector registers, to which gcc would move the lanes of ans and back at each step. */
#define KERNEL_SCALAR(value) __asm__("" : "+r"(value))

/* An integer as a double, rounded once: its halves stand in the fractions of two doubles whose difference from what is
 * wanted is exact. Unlike a conversion, this is a vector's work on every processor. */
KERNEL_TARGET static inline double KERNEL(to_double)(uint64_t integer)
{
    uint64_t high_bits = (integer >> 32) ^ UINT64_C(0x4530000080000000); /* 2^84 + 2^63 + high */
    uint64_t low_bits = (integer & UINT32_MAX) | UINT64_C(0x4330000000000000); /* 2^52 + low */
    double high;
    double low;
    memcpy(&high, &high_bits, sizeof high);
    memcpy(&low, &low_bits, sizeof low);
    return (high - (0x1p84 + 0x1p63 + 0x1p52)) + low;
}

KERNEL_TARGET static void KERNEL(decimals)(int64_t *words, size_t count, uint64_t multiple,
                                           double power)
{
    for (size_t i = 0; multiple == 1 && i < count; i++) {
        double value = KERNEL(to_double)((uint64_t)words[i]) / power;
        memcpy(&words[i], &value, sizeof value);
    }
    for (size_t i = 0; multiple != 1 && i < count; i++) {
        double value = KERNEL(to_double)((uint64_t)words[i] * multiple) / power;
        memcpy(&words[i], &value, sizeof value);
    }
}

KERNEL_TARGET static inline __attribute__((always_inline)) void
KERNEL(merge_planes)(const uint8_t *const *planes, unsigned plane_count, uint64_t *words,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t word = 0;
        _Pragma("GCC unroll 8") for (unsigned p = 0; p < plane_count; p++) word |=
            (uint64_t)planes[p][i] << 8 * p;
        words[i] = word;
    }
}

#define MERGE(number)                                       \
    case number:                                            \
        KERNEL(merge_planes)(planes, number, words, count); \
        break;
KERNEL_TARGET static void KERNEL(merge)(const uint8_t *const *planes, unsigned plane_count,
                                        uint64_t *words, size_t count)
{
    switch (plane_count) {
        MERGE(1)
        MERGE(2)
        MERGE(3)
        MERGE(4)
        MERGE(5)
        MERGE(6)
        MERGE(7)
        MERGE(8)
    default:
        break;
    }
}
#undef MERGE

/* ---- writing ---- */

KERNEL_TARGET static void KERNEL(look)(const int64_t *values, size_t count, int64_t *min_out,
                                       int64_t *max_out, size_t *change_count)
{
    int64_t min = values[0];
    int64_t max = values[0];
    uint64_t changes = 0;
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        changes += values[i] != values[i - 1];
    }
    *min_out = min;
    *max_out = max;
    *change_count = changes;
}

/* Adding and taking away 1.5 x 2^52 rounds a double below 2^51 to an integer, which then is the fraction's low bits. */
KERNEL_TARGET static size_t KERNEL(to_decimals)(const double *values, size_t count, double power,
                                                int64_t *integers)
{
    const uint64_t zero = UINT64_C(0x4338000000000000); /* the bits of 1.5 x 2^52 */
    uint64_t fit = 0;
    for (size_t i = 0; i < count; i++) {
        double scaled = values[i] * power;
        double shifted = scaled + 0x1.8p52;
        double again = (shifted - 0x1.8p52) / power;
        uint64_t shifted_bits;
        uint64_t again_bits;
        uint64_t value_bits;
        memcpy(&shifted_bits, &shifted, sizeof shifted);
        memcpy(&again_bits, &again, sizeof again);
        memcpy(&value_bits, &values[i], sizeof value_bits);
        integers[i] = (int64_t)(shifted_bits - zero);
        fit += (scaled < 0x1p51) & (scaled > -0x1p51) & (again_bits == value_bits);
    }
    return fit;
}

KERNEL_TARGET static void KERNEL(split)(const uint64_t *words, size_t count, unsigned shift,
                                        uint8_t *plane)
{
    for (size_t i = 0; i < count; i++)
        plane[i] = (uint8_t)(words[i] >> shift);
}

/* ---- entropy coding (ans.h) ---- */

KERNEL_TARGET static inline __attribute__((always_inline)) uint64_t
KERNEL(ans_raw)(struct aq_ans_streams *streams, unsigned width)
{
    const uint8_t *at = streams->raw + (streams->raw_bit >> 3);
    unsigned shift = streams->raw_bit & 7;
    uint64_t bits = aq_load_u64(at) >> shift;
    if (__builtin_expect(width > 57, 0)) /* may reach into a ninth byte */
        bits |= (uint64_t)at[8] << 1 << (63 - shift);
    streams->raw_bit += width;
    return bits & ((UINT64_C(1) << width) - 1);
}

KERNEL_TARGET static inline __attribute__((always_inline)) uint64_t
KERNEL(ans_word)(struct aq_ans_streams *streams, unsigned lane, unsigned context)
{
    uint32_t state = streams->states[lane];
    unsigned token = streams->tables->tokens[context][state % AQ_ANS_SCALE];
    uint32_t stretch = streams->tables->stretches[context][token];
    state = (stretch & UINT16_MAX) * (state >> AQ_ANS_SCALE_BITS) + state % AQ_ANS_SCALE -
            (stretch >> 16);
    /* Whether 16 bits are taken from the stream is a coin's throw: no branch. */
    uint32_t need = (uint32_t)(((uint64_t)state - AQ_ANS_STATE_MIN) >> 63);
    KERNEL_SCALAR(state);
    streams->states[lane] = state << (16 * need) | (aq_load_u16(streams->at) & (0u - need));
    streams->at += 2 * need;
    return streams->tokens->base[token] | KERNEL(ans_raw)(streams, streams->tokens->width[token]);
}

/* The next word of a lane, whose last two are `last` and `older`. */
KERNEL_TARGET static inline __attribute__((always_inline)) uint64_t
KERNEL(ans_next)(struct aq_ans_streams *streams, enum aq_ans_kind kind, unsigned lane,
                 uint64_t *last, uint64_t *older)
{
    uint64_t word = KERNEL(ans_word)(streams, lane, aq_ans_context(kind, *last, *older));
    *older = *last;
    *last = word;
    return word;
}

/* Steps of `lane_count` lanes, as long as the streams last. Inlined for each kind, so that the choice of context costs
 * nothing inside the loop. */
KERNEL_TARGET static inline __attribute__((always_inline)) bool
KERNEL(ans_steps)(struct aq_ans_streams *streams, enum aq_ans_kind kind, unsigned lane_count,
                  uint64_t *words, size_t length, size_t first, size_t end)
{
    bool good = true;
    for (size_t step = first; step < end && good; step++) {
        for (unsigned lane = 0; lane < lane_count; lane++)
            words[lane * length + step] =
                KERNEL(ans_next)(streams, kind, lane, &streams->last[lane], &streams->older[lane]);
        good = streams->at <= streams->end && streams->raw_bit <= streams->raw_bits;
    }
    return good;
}

KERNEL_TARGET static inline __attribute__((always_inline)) bool
KERNEL(ans_lanes)(struct aq_ans_streams *shared, enum aq_ans_kind kind, uint64_t *words,
                  size_t count)
{
    struct aq_ans_streams streams =
        *shared; /* a copy that no other pointer may change: in registers */
    size_t length = aq_ans_lane_length(count);
    size_t common = count > (AQ_ANS_LANES - 1) * length ? count - (AQ_ANS_LANES - 1) * length : 0;
    bool good = KERNEL(ans_steps)(&streams, kind, AQ_ANS_LANES, words, length, 0, common);
    for (size_t step = common; step < length && good; step++)
        good = KERNEL(ans_steps)(&streams, kind, (unsigned)((count - step + length - 1) / length),
                                 words, length, step, step + 1);
    memcpy(shared->states, streams.states, sizeof streams.states);
    shared->at = streams.at;
    shared->raw_bit = streams.raw_bit;
    return good;
}

KERNEL_TARGET static bool KERNEL(ans)(struct aq_ans_streams *streams, enum aq_ans_kind kind,
                                      uint64_t *words, size_t count)
{
    if (kind == AQ_ANS_NONE)
        return KERNEL(ans_lanes)(streams, AQ_ANS_NONE, words, count);
    if (kind == AQ_ANS_SIZE)
        return KERNEL(ans_lanes)(streams, AQ_ANS_SIZE, words, count);
    return KERNEL(ans_lanes)(streams, AQ_ANS_WORD, words, count);
}

#undef KERNEL_SCALAR
