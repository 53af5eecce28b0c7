/* Entropy coding in 32 lanes (ans32.h), the reader: tables and the stream are read and bounded here, the words decoded by a
 * kernel (ans32.c).
 *
 * Decoding hostile bytes may give any values, but reads nothing outside the stream, which is copied to where there is room for
 * a step of all lanes behind it: after each step its end is checked. */
#include "format/encode/kernel/kernel.h"

/* Entries of a token's places in a table, struct aq_ans32_streams. */
static void fill_entries(unsigned token, uint32_t frequency, uint32_t *entries)
{
    bool direct = token < AQ_ANS_TOKENS_DIRECT;
    uint32_t width = direct ? 0 : 3 + (token - AQ_ANS_TOKENS_DIRECT) / 2;
    uint32_t highest = direct ? token : 2 | (token & 1);
    for (uint32_t i = 0; i < frequency; i++)
        entries[i] = i | frequency << 10 | highest << 20 | width << 24;
}

static enum aq_status read_table(struct aq_decoder *decoder, uint32_t *entries)
{
    unsigned first = aq_reader_u8(&decoder->reader);
    unsigned count = aq_reader_u8(&decoder->reader);
    uint64_t start = 0;
    if (first + count > AQ_ANS32_TOKENS_MAX)
        return aq_decoder_corrupt(decoder);
    for (unsigned token = first; token < first + count; token++) {
        uint64_t frequency = aq_reader_varint(&decoder->reader);
        if (frequency == AQ_ANS32_SCALE || frequency > AQ_ANS32_SCALE - start)
            return aq_decoder_corrupt(decoder);
        fill_entries(token, (uint32_t)frequency, entries + start);
        start += frequency;
    }
    return start == AQ_ANS32_SCALE ? AQ_OK : aq_decoder_corrupt(decoder);
}

/* Tables, until every context has one. */
static enum aq_status read_tables(struct aq_decoder *decoder, unsigned context_count,
                                  struct aq_ans32_streams *streams)
{
    uint32_t *entries = NULL;
    AQ_TRY(
        aq_decoder_alloc(decoder, AQ_ANS32_TABLES_MAX * AQ_ANS32_SCALE, sizeof *entries, &entries));
    unsigned context = 0;
    for (unsigned table = 0; context < context_count; table++) {
        unsigned of_table = aq_reader_u8(&decoder->reader);
        if (of_table == 0 || of_table > context_count - context || table == AQ_ANS32_TABLES_MAX)
            return aq_decoder_corrupt(decoder);
        memset(streams->tables + context, (int)table, of_table);
        context += of_table;
        AQ_TRY(read_table(decoder, entries + (size_t)table * AQ_ANS32_SCALE));
    }
    streams->entries = entries;
    return aq_decoder_check(decoder);
}

static enum aq_status read_stream(struct aq_decoder *decoder, struct aq_ans32_streams *streams)
{
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++) {
        streams->states[lane] = aq_reader_u32(&decoder->reader);
        if (streams->states[lane] < AQ_ANS_STATE_MIN)
            return aq_decoder_corrupt(decoder);
    }
    struct aq_slice stored = aq_reader_slice(&decoder->reader);
    uint8_t *copy = NULL;
    AQ_TRY(aq_decoder_alloc(decoder, stored.size + AQ_ANS32_SLACK_BYTES, 1, &copy));
    if (stored.size > 0)
        memcpy(copy, stored.data, stored.size);
    memset(copy + stored.size, 0, AQ_ANS32_SLACK_BYTES);
    streams->at = copy;
    streams->end = copy + stored.size;
    return AQ_OK;
}

enum aq_status aq_ans32_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct aq_ans32_streams streams = {0};
    AQ_TRY(aq_words_read(decoder, &streams.form));
    uint8_t kind = aq_reader_u8(&decoder->reader);
    if (kind >= AQ_ANS_KINDS)
        return aq_decoder_corrupt(decoder);
    AQ_TRY(read_tables(decoder, aq_ans32_context_counts[kind], &streams));
    AQ_TRY(read_stream(decoder, &streams));
    bool done = decoder->kernels->ans32(&streams, (enum aq_ans_kind)kind, values, count);
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
        done = done && streams.states[lane] == AQ_ANS_STATE_MIN;
    return done && streams.at == streams.end ? AQ_OK : aq_decoder_corrupt(decoder);
}
