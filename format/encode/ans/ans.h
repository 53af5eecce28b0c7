/* Entropy coding: what writing and reading share. Bytes: docs/archive-format.md, "ans".
 *
 * A word (words.h) is a token and, from 16 on, raw bits:
 * the token says its two highest bits and where they stand, the raw bits are the rest. How likely
 * a token is depends on its context: the size of the two words before it (a restless series stays
 * restless for a while), or the word before it (codes of a dictionary follow each other in habits).
 * Frequencies per context come first, in 4096ths; then the tokens, by rANS.
 *
 * The values are cut into four lanes that are coded side by side into one stream, so that decoding
 * one needs not wait for another. rANS decodes last in, first out; so the writer goes backwards.
 * @source Duda, "Asymmetric numeral systems", 2013; Giesen, "Interleaved entropy coders", 2014. */
#ifndef AQ_FORMAT_ENCODE_ANS_H
#define AQ_FORMAT_ENCODE_ANS_H

#include "format/encode/words.h"

#define AQ_ANS_LANES 4
#define AQ_ANS_SCALE_BITS 12
#define AQ_ANS_SCALE (1u << AQ_ANS_SCALE_BITS)
#define AQ_ANS_STATE_MIN (1u << 16)
#define AQ_ANS_TOKENS_DIRECT 16u
#define AQ_ANS_TOKENS_MAX 136
#define AQ_ANS_CONTEXTS_MAX 17

enum aq_ans_kind { AQ_ANS_NONE = 0, AQ_ANS_SIZE = 1, AQ_ANS_WORD = 2, AQ_ANS_KINDS = 3 };

static const unsigned aq_ans_context_counts[AQ_ANS_KINDS] = {1, 14, AQ_ANS_CONTEXTS_MAX};

static inline unsigned aq_bit_length(uint64_t word)
{
    return word == 0 ? 0 : 64 - (unsigned)__builtin_clzll(word);
}

static inline unsigned aq_ans_token(uint64_t word, unsigned *raw_bits)
{
    if (word < AQ_ANS_TOKENS_DIRECT) {
        *raw_bits = 0;
        return (unsigned)word;
    }
    unsigned high = aq_bit_length(word) - 1;
    *raw_bits = high - 1;
    return AQ_ANS_TOKENS_DIRECT + 2 * (high - 4) + (unsigned)(word >> (high - 1) & 1);
}

/* The context of the next word after `last`, before which was `older`. */
static inline __attribute__((always_inline)) unsigned aq_ans_context(enum aq_ans_kind kind,
                                                                     uint64_t last, uint64_t older)
{
    if (kind == AQ_ANS_NONE)
        return 0;
    if (kind == AQ_ANS_WORD)
        return last < 16 ? (unsigned)last : 16;
    uint32_t sum = (uint32_t)((last < 8191 ? last : 8191) + (older < 8191 ? older : 8191));
    unsigned length =
        31 - (unsigned)__builtin_clz(2 * sum + 1); /* as aq_bit_length, without a case for 0 */
    return length < 13 ? length : 13;
}

/* Lane `lane` has the words [lane x length, ...), the last lanes may be shorter. */
static inline size_t aq_ans_lane_length(size_t count)
{
    return (count + AQ_ANS_LANES - 1) / AQ_ANS_LANES;
}

#endif
