/* The order of a dictionary's entries in which entropy coding takes codes for what they are: the most frequent first.
 *
 * Tokens have the first 16 codes by themselves, and all others by half octaves, whose codes are told apart by raw bits. In the
 * order in which values are met, a half octave holds frequent codes and rare ones; by frequency it holds codes that are
 * about as frequent, and little is lost. But that order does not ascend where new values turn up, and entries are no
 * neighbours: both are tried where an estimate says that it may pay. */
#include "format/encode/choose/estimate.h"

#include "format/base/log2.h"
#include "format/encode/ans/ans.h"

#include <stdlib.h>

struct met {
    uint32_t count;
    uint32_t code;
};

static int compare_met(const void *a, const void *b)
{
    const struct met *left = a;
    const struct met *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return (left->code > right->code) - (left->code < right->code);
}

/* Bits of all codes, each as a token without context. */
static double weigh_ranks(const struct met *met, size_t entry_count, size_t count)
{
    uint64_t tokens[AQ_ANS_TOKENS_MAX] = {0};
    double bits = 0;
    for (size_t rank = 0; rank < entry_count; rank++) {
        unsigned raw_bits;
        tokens[aq_ans_token(rank, &raw_bits)] += met[rank].count;
        bits += (double)met[rank].count * raw_bits;
    }
    for (size_t i = 0; i < AQ_ANS_TOKENS_MAX; i++)
        if (tokens[i] > 0)
            bits += (double)tokens[i] * (aq_log2((double)count) - aq_log2((double)tokens[i]));
    return bits;
}

enum aq_status aq_frequency_order(struct aq_encoder *encoder, const int64_t *codes, size_t count,
                                  size_t entry_count, uint32_t **ranks, double *bits)
{
    struct met *met = aq_encoder_alloc(encoder, entry_count, sizeof *met);
    *ranks = aq_encoder_alloc(encoder, entry_count, sizeof **ranks);
    if (met == NULL || *ranks == NULL)
        return AQ_NO_MEMORY;
    for (uint32_t code = 0; code < entry_count; code++)
        met[code] = (struct met){.code = code};
    for (size_t i = 0; i < count; i++)
        met[codes[i]].count++;
    qsort(met, entry_count, sizeof *met, compare_met);
    for (uint32_t rank = 0; rank < entry_count; rank++)
        (*ranks)[met[rank].code] = rank;
    *bits = weigh_ranks(met, entry_count, count);
    return AQ_OK;
}
