/* Entropy coding (ans.h), the reader: tables and streams are read and bounded here, the words decoded by a kernel
 * (kernel_body.inc).
 *
 * Decoding hostile bytes may give any values, but reads nothing outside the streams: they are copied
 * behind which there is room for a step of all lanes, and after each step both ends are checked. */
#include "format/encode/kernel/kernel.h"

static enum aq_status read_table(struct aq_decoder *decoder, uint8_t *tokens, uint32_t *stretches)
{
    unsigned count = aq_reader_u8(&decoder->reader);
    if (count == 0) { /* never met by what a writer wrote: any token will do */
        memset(tokens, 0, AQ_ANS_SCALE);
        stretches[0] = AQ_ANS_SCALE;
        return aq_decoder_check(decoder);
    }
    unsigned first = aq_reader_u8(&decoder->reader);
    if (first + count > AQ_ANS_TOKENS_MAX)
        return aq_decoder_corrupt(decoder);
    uint32_t start = 0;
    for (unsigned token = first; token < first + count; token++) {
        uint64_t frequency = aq_reader_varint(&decoder->reader);
        if (frequency > AQ_ANS_SCALE - start)
            return aq_decoder_corrupt(decoder);
        memset(tokens + start, (int)token, (size_t)frequency);
        stretches[token] = start << 16 | (uint32_t)frequency;
        start += (uint32_t)frequency;
    }
    return start == AQ_ANS_SCALE ? AQ_OK : aq_decoder_corrupt(decoder);
}

/* A copy of a stored stream with room behind it. */
static enum aq_status read_stream(struct aq_decoder *decoder, const uint8_t **copy, size_t *size)
{
    struct aq_slice stored = aq_reader_slice(&decoder->reader);
    uint8_t *bytes = NULL;
    AQ_TRY(aq_decoder_alloc(decoder, stored.size + AQ_ANS_SLACK_BYTES, 1, &bytes));
    if (stored.size > 0)
        memcpy(bytes, stored.data, stored.size);
    memset(bytes + stored.size, 0, AQ_ANS_SLACK_BYTES);
    *copy = bytes;
    *size = stored.size;
    return AQ_OK;
}

static void make_tokens(struct aq_ans_tokens *tokens)
{
    for (unsigned token = 0; token < AQ_ANS_TOKENS_MAX; token++) {
        bool direct = token < AQ_ANS_TOKENS_DIRECT;
        unsigned width = direct ? 0 : 3 + (token - AQ_ANS_TOKENS_DIRECT) / 2;
        tokens->width[token] = (uint8_t)width;
        tokens->base[token] = direct ? token : (uint64_t)(2 | (token & 1)) << width;
    }
}

static enum aq_status read_tables(struct aq_decoder *decoder, uint8_t kind,
                                  const struct aq_ans_tables **tables)
{
    struct aq_ans_tables *made = NULL;
    AQ_TRY(aq_decoder_alloc(decoder, 1, sizeof *made, &made));
    for (unsigned context = 0; context < aq_ans_context_counts[kind]; context++)
        AQ_TRY(read_table(decoder, made->tokens[context], made->stretches[context]));
    *tables = made;
    return AQ_OK;
}

static enum aq_status read_words(struct aq_decoder *decoder, uint64_t *words, size_t count)
{
    uint8_t kind = aq_reader_u8(&decoder->reader);
    if (kind >= AQ_ANS_KINDS)
        return aq_decoder_corrupt(decoder);
    struct aq_ans_tokens tokens;
    struct aq_ans_streams streams = {.tokens = &tokens};
    size_t size = 0;
    make_tokens(&tokens);
    AQ_TRY(read_tables(decoder, kind, &streams.tables));
    for (unsigned lane = 0; lane < AQ_ANS_LANES; lane++)
        streams.states[lane] = aq_reader_u32(&decoder->reader);
    AQ_TRY(read_stream(decoder, &streams.at, &size));
    streams.end = streams.at + size;
    AQ_TRY(read_stream(decoder, &streams.raw, &size));
    streams.raw_bits = size * 8;
    AQ_TRY(aq_decoder_check(decoder));
    bool done = decoder->kernels->ans(&streams, (enum aq_ans_kind)kind, words, count);
    for (unsigned lane = 0; lane < AQ_ANS_LANES; lane++)
        done = done && streams.states[lane] == AQ_ANS_STATE_MIN;
    if (!done || streams.at != streams.end || streams.raw_bits - streams.raw_bit >= 8)
        return aq_decoder_corrupt(decoder);
    return AQ_OK;
}

enum aq_status aq_ans_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct aq_words form;
    AQ_TRY(aq_words_read(decoder, &form));
    AQ_TRY(read_words(decoder, (uint64_t *)values, count));
    aq_words_restore(form, values + decoder->wanted.first,
                     decoder->wanted.end - decoder->wanted.first);
    return AQ_OK;
}
