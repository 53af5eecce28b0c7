/* Entropy coding in 32 lanes: what writing and reading share. Bytes: docs/archive-format.md, "ans32".
 *
 * Words, their tokens and the idea of contexts are those of ans.h. What differs is made for processors that do the same to 16
 * numbers at once: 32 lanes of one state each; a token's probability in 1024ths, so that the tables of all contexts stay near
 * the processor; raw bits in the states, too, so that there is one stream; contexts finer, but such that behave alike share a
 * table.
 * @source Duda, "Asymmetric numeral systems", 2013; Giesen, "Interleaved entropy coders", 2014; the number of lanes and the
 * 16-bit renormalisation are those of rANS Nx16 in CRAM 3.1 (Bonfield, 2022). */
#ifndef AQ_FORMAT_ENCODE_ANS32_H
#define AQ_FORMAT_ENCODE_ANS32_H

#include "format/encode/ans/ans.h"

#define AQ_ANS32_ROWS_MIN \
    8192 /* of nodes that are coded so: lanes and tables take some hundred bytes */
#define AQ_ANS32_LANES 32
#define AQ_ANS32_SCALE_BITS 10
#define AQ_ANS32_SCALE (1u << AQ_ANS32_SCALE_BITS)
#define AQ_ANS32_TOKENS_MAX 72 /* of words below 2^32 */
#define AQ_ANS32_CONTEXTS_MAX 64
#define AQ_ANS32_TABLES_MAX 16
/* Raw bits that are taken together with their token, and at once of those that are left: with so many, a state that
 * needs bits needs 16 of them. */
#define AQ_ANS32_RAW_FIRST 6u
#define AQ_ANS32_RAW_MORE 16u

static const unsigned aq_ans32_context_counts[AQ_ANS_KINDS] = {1, AQ_ANS32_CONTEXTS_MAX,
                                                               AQ_ANS32_CONTEXTS_MAX};

/* Twice the logarithm of an integer from 1 to 2^24, rounded down by its two highest bits: a float's exponent and the first bit of
 * its fraction. */
static inline __attribute__((always_inline)) unsigned aq_half_octaves(uint32_t integer)
{
    float real = (float)(int32_t)integer;
    uint32_t bits;
    memcpy(&bits, &real, sizeof bits);
    return (bits >> 22) - 2 * 127;
}

/* The context of the next word after `last`, before which was `older`: by size, in steps of half an octave, and by the last
 * one's lowest bit, which is its sign where words are zigzag codes. */
static inline __attribute__((always_inline)) unsigned
aq_ans32_context(enum aq_ans_kind kind, uint32_t last, uint32_t older)
{
    if (kind == AQ_ANS_NONE)
        return 0;
    if (kind == AQ_ANS_WORD)
        return last < 63 ? last : 63;
    uint32_t sum = 2 * (last < 8191 ? last : 8191) + (older < 8191 ? older : 8191) + 1;
    return 2 * aq_half_octaves(sum) + (last & 1);
}

/* Lanes have count / 32 words each, the first count % 32 of them one more. */
static inline size_t aq_ans32_lane_start(size_t count, size_t lane)
{
    size_t longer = count % AQ_ANS32_LANES;
    return count / AQ_ANS32_LANES * lane + (lane < longer ? lane : longer);
}

#endif
