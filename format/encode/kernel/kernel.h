/* The inner loops of decoding and encoding, in as many variants as the processors they run on differ. All variants of a kernel give the
 * same bits; tests/unit/encode/test_kernels.c compares those that the machine has. Private to format/encode.
 *
 * Kernels know nothing of lengths that came from a file: their callers have bounded what they are given.
 * @source Afroozeh, Boncz, "The FastLanes Compression Layout", VLDB 2023, for one loop a width; the layout of packed bits is
 * the plain one, which vectors of bytes permuted into place read as fast as they write. */
#ifndef AQ_FORMAT_ENCODE_KERNEL_KERNEL_H
#define AQ_FORMAT_ENCODE_KERNEL_KERNEL_H

#include <math.h>

#include "format/encode/ans/ans32.h"
#include "format/table/vector.h"

/** Bytes behind packed ones that aq_kernels.unpack may read, whatever is in them. */
#define AQ_UNPACK_SLACK 64

/* ---- entropy coding (ans.h) ---- */

/* Of each context the token of its 4096 places; of each token where its places begin << 16 | how many they are. In two
 * steps, since 17 contexts of 16 KiB would not stay near the processor, but 17 of 4 KiB do. */
struct aq_ans_tables {
    uint8_t tokens[AQ_ANS_CONTEXTS_MAX][AQ_ANS_SCALE];
    uint32_t stretches[AQ_ANS_CONTEXTS_MAX][256];
};

/* A word is its token's base and as many raw bits as its width. */
struct aq_ans_tokens {
    uint64_t base[AQ_ANS_TOKENS_MAX];
    uint8_t width[AQ_ANS_TOKENS_MAX];
};

/** What decoding stands on. Both streams have AQ_ANS_SLACK_BYTES behind them, what a step of all lanes can read. */
#define AQ_ANS_SLACK_BYTES 64
struct aq_ans_streams {
    const struct aq_ans_tables *tables;
    const struct aq_ans_tokens *tokens;
    uint32_t states[AQ_ANS_LANES];
    uint64_t last[AQ_ANS_LANES]; /* word of each lane, and the one before it */
    uint64_t older[AQ_ANS_LANES];
    const uint8_t *at; /* of the tokens' stream */
    const uint8_t *end;
    const uint8_t *raw;
    size_t raw_bit; /* next one */
    size_t raw_bits;
};

/* ---- entropy coding in 32 lanes (ans32.h) ---- */

/** What decoding stands on. Behind the stream are AQ_ANS32_SLACK_BYTES, more than a step of all lanes can read. An entry says of a
 * place in a table, from its lowest bits on: 10 bits, how far into its token's stretch it is; 10 bits, the token's frequency; 4 bits,
 * the token's highest bits; 8 bits, how many raw bits there are below them. */
#define AQ_ANS32_SLACK_BYTES 256
struct aq_ans32_streams {
    struct aq_words form;    /* of the words, so that values can be stored */
    const uint32_t *entries; /* AQ_ANS32_SCALE of each table */
    uint8_t tables[AQ_ANS32_CONTEXTS_MAX];
    uint32_t states[AQ_ANS32_LANES]; /* from AQ_ANS_STATE_MIN on */
    uint32_t last[AQ_ANS32_LANES];   /* word of each lane, and the one before it */
    uint32_t older[AQ_ANS32_LANES];
    const uint8_t *at;
    const uint8_t *end;
};

/* ---- decimals ---- */

/** A power of ten to divide by. Its reciprocal in two doubles, which are exact to 2^-106: the sum of a double's products with
 * them, the larger one not rounded by itself, is off by less than 2^-105, and a quotient by 10^e <= 10^22 is no nearer to the
 * middle of two doubles than 1 / (2^54 x 5^e) > 2^-105.09; that of 10^22, the only one for which this is close, is off by less
 * than 2^-107. So both ways to divide give the same bits.
 * @source Brisebarre, Muller, "Correctly rounded multiplication by arbitrary precision constants", IEEE TC 57(2), 2008. */
struct aq_divisor {
    double power;
    double high; /* 1 / power */
    double low;  /* what it lacks */
};

static inline struct aq_divisor aq_divisor_make(double power)
{
    double high = 1 / power;
    return (struct aq_divisor){power, high, fma(-high, power, 1) / power};
}

/* ---- the variants ---- */

#define AQ_SURPRISE_LANES 8

struct aq_kernels {
    const char *name;
    /** AQ_VECTOR_ROWS_MAX distances of `width` (1 to 64) bits each, added to `reference`. */
    void (*unpack)(const uint8_t *packed, unsigned width, uint64_t reference, int64_t *values);
    /** Each value becomes the sum of `before` and all values up to it, modulo 2^64. */
    void (*sums)(int64_t *values, size_t count, uint64_t before);
    /** Each value becomes base + value x factor, modulo 2^64. */
    void (*multiples)(int64_t *values, size_t count, uint64_t factor, uint64_t base);
    /** Integers become the bits of doubles in their place: double(integer x multiple) / power, one of 10^0 to 10^22. */
    void (*decimals)(int64_t *words, size_t count, uint64_t multiple, double power);
    /** As sums, and the sums then as decimals. Returns the last sum. */
    uint64_t (*sum_decimals)(int64_t *steps, size_t count, uint64_t before, uint64_t multiple,
                             double power);
    /** Byte p of each word is in planes[p]; plane_count is 1 to 8. */
    void (*merge)(const uint8_t *const *planes, unsigned plane_count, uint64_t *words,
                  size_t count);
    /** Bounds of count > 0 values, and how many differ from the one before. */
    void (*look)(const int64_t *values, size_t count, int64_t *min, int64_t *max,
                 size_t *change_count);
    /** values x power, rounded; returns how many give the value's bits back when divided by `power`, and lie below 2^51.
     * The integers of others are any. */
    size_t (*to_decimals)(const double *values, size_t count, double power, int64_t *integers);
    /** Bits shift to shift + 7 of each word. */
    void (*split)(const uint64_t *words, size_t count, unsigned shift, uint8_t *plane);
    /** Words as 32 bits, and their tokens; returns all words' bits: those of 2^32 or more are cut, and any token is theirs. */
    uint64_t (*tokens)(const uint64_t *words, size_t count, uint32_t *words32, uint8_t *tokens);
    /** The sum of c x log2(c), to a millionth of it, of `count` counts (a multiple of AQ_SURPRISE_LANES), where `others` is
     * not NULL those of both added up; also how many are not 0, and their sum. Counts lie below 2^31. */
    double (*surprise)(const uint32_t *counts, const uint32_t *others, size_t count, size_t *met,
                       uint64_t *total);
    /** Words from `streams`. False: the streams end too early. */
    bool (*ans)(struct aq_ans_streams *streams, enum aq_ans_kind kind, uint64_t *words,
                size_t count);
    /** As ans; values. */
    bool (*ans32)(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                  size_t count);
};

/** The fastest that this processor has. @thread Any. */
const struct aq_kernels *aq_kernels(void);
/** All that it has, the portable ones first. */
const struct aq_kernels *const *aq_kernels_all(size_t *count);

/* ans32.c */
bool aq_ans32_portable(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                       size_t count);
/** The values from step `first` on, where `streams` stands. */
bool aq_ans32_steps(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                    size_t count, size_t first);
#ifdef __x86_64__
bool aq_ans32_avx2(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                   size_t count);
bool aq_ans32_avx512(struct aq_ans32_streams *streams, enum aq_ans_kind kind, int64_t *values,
                     size_t count);
#endif

/* sums.c */
void aq_sums_portable(int64_t *values, size_t count, uint64_t before);
#ifdef __x86_64__
void aq_sums_avx2(int64_t *values, size_t count, uint64_t before);
void aq_sums_avx512(int64_t *values, size_t count, uint64_t before);
uint64_t aq_sum_decimals_avx512(int64_t *steps, size_t count, uint64_t before, uint64_t multiple,
                                double power);
#endif

/* unpack.c */
void aq_unpack_portable(const uint8_t *packed, unsigned width, uint64_t reference, int64_t *values);
#ifdef __x86_64__
/** Needs AVX512-VBMI. */
void aq_unpack_avx512(const uint8_t *packed, unsigned width, uint64_t reference, int64_t *values);
#endif

#endif
