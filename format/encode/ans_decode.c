/* Reading entropy-coded words (ans.h).
 *
 * Decoding hostile bytes may give any values, but reads nothing outside the streams: they are copied
 * behind which there is room for a step of all lanes, and after each step both ends are checked. */
#include "format/encode/ans.h"

#define SLACK_BYTES 64

/* One of the 4096 places of a context: token << 24 | place within the token << 12 | frequency - 1. */
typedef uint32_t table[AQ_ANS_SCALE];

struct streams {
    const table *tables;
    uint32_t states[AQ_ANS_LANES];
    uint64_t last[AQ_ANS_LANES]; /* word of each lane, and the one before it */
    uint64_t older[AQ_ANS_LANES];
    const uint8_t *at; /* of the tokens' stream */
    const uint8_t *end;
    const uint8_t *raw;
    size_t raw_bit; /* next one */
    size_t raw_bits;
};

static enum aq_status read_table(struct aq_decoder *decoder, table places)
{
    unsigned count = aq_reader_u8(&decoder->reader);
    if (count == 0) { /* never met by what a writer wrote: any token will do */
        for (unsigned place = 0; place < AQ_ANS_SCALE; place++)
            places[place] = place << AQ_ANS_SCALE_BITS | (AQ_ANS_SCALE - 1);
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
        for (uint32_t place = 0; place < frequency; place++)
            places[start + place] =
                token << 24 | place << AQ_ANS_SCALE_BITS | ((uint32_t)frequency - 1);
        start += (uint32_t)frequency;
    }
    return start == AQ_ANS_SCALE ? AQ_OK : aq_decoder_corrupt(decoder);
}

/* A copy of a stored stream with room behind it. */
static enum aq_status read_stream(struct aq_decoder *decoder, const uint8_t **copy, size_t *size)
{
    struct aq_slice stored = aq_reader_slice(&decoder->reader);
    uint8_t *bytes = NULL;
    AQ_TRY(aq_decoder_alloc(decoder, stored.size + SLACK_BYTES, 1, &bytes));
    if (stored.size > 0)
        memcpy(bytes, stored.data, stored.size);
    memset(bytes + stored.size, 0, SLACK_BYTES);
    *copy = bytes;
    *size = stored.size;
    return AQ_OK;
}

static inline uint64_t read_raw(struct streams *streams, unsigned width)
{
    const uint8_t *at = streams->raw + (streams->raw_bit >> 3);
    aq_uint128 both = aq_load_u64(at);
    both |= (aq_uint128)at[8] << 64;
    uint64_t bits = (uint64_t)(both >> (streams->raw_bit & 7)) & ((UINT64_C(1) << width) - 1);
    streams->raw_bit += width;
    return bits;
}

static inline uint64_t decode_word(struct streams *streams, unsigned lane, unsigned context)
{
    uint32_t state = streams->states[lane];
    uint32_t place = streams->tables[context][state & (AQ_ANS_SCALE - 1)];
    state = ((place & (AQ_ANS_SCALE - 1)) + 1) * (state >> AQ_ANS_SCALE_BITS) +
            (place >> AQ_ANS_SCALE_BITS & (AQ_ANS_SCALE - 1));
    bool need = state < AQ_ANS_STATE_MIN;
    uint32_t more = state << 16 | aq_load_u16(streams->at);
    streams->states[lane] = need ? more : state;
    streams->at += need ? 2 : 0;
    unsigned token = place >> 24;
    if (token < AQ_ANS_TOKENS_DIRECT)
        return token;
    unsigned high = 4 + (token - AQ_ANS_TOKENS_DIRECT) / 2;
    return ((uint64_t)(2 | (token & 1)) << (high - 1)) | read_raw(streams, high - 1);
}

/* One step of the first `lane_count` lanes. Inlined for each kind, so that the choice of context costs
 * nothing inside the loop. */
static inline __attribute__((always_inline)) bool decode_step(struct streams *streams,
                                                              enum aq_ans_kind kind,
                                                              unsigned lane_count, uint64_t *words,
                                                              size_t length)
{
    for (unsigned lane = 0; lane < lane_count; lane++) {
        uint64_t last = streams->last[lane];
        uint64_t word =
            decode_word(streams, lane, aq_ans_context(kind, last, streams->older[lane]));
        streams->older[lane] = last;
        streams->last[lane] = word;
        words[lane * length] = word;
    }
    return streams->at <= streams->end && streams->raw_bit <= streams->raw_bits;
}

static inline __attribute__((always_inline)) bool
decode_lanes(struct streams *shared, enum aq_ans_kind kind, uint64_t *words, size_t count)
{
    struct streams streams = *shared; /* a copy that no other pointer may change: in registers */
    size_t length = aq_ans_lane_length(count);
    size_t common = count > (AQ_ANS_LANES - 1) * length ? count - (AQ_ANS_LANES - 1) * length : 0;
    bool good = true;
    for (size_t step = 0; step < common && good; step++)
        good = decode_step(&streams, kind, AQ_ANS_LANES, words + step, length);
    for (size_t step = common; step < length && good; step++) {
        unsigned lane_count = (unsigned)((count - step + length - 1) / length);
        good = decode_step(&streams, kind, lane_count, words + step, length);
    }
    *shared = streams;
    return good;
}

static bool decode_words(struct streams *streams, uint8_t kind, uint64_t *words, size_t count)
{
    bool done;
    if (kind == AQ_ANS_NONE)
        done = decode_lanes(streams, AQ_ANS_NONE, words, count);
    else if (kind == AQ_ANS_SIZE)
        done = decode_lanes(streams, AQ_ANS_SIZE, words, count);
    else
        done = decode_lanes(streams, AQ_ANS_WORD, words, count);
    for (unsigned lane = 0; lane < AQ_ANS_LANES; lane++)
        done = done && streams->states[lane] == AQ_ANS_STATE_MIN;
    return done && streams->at == streams->end && streams->raw_bits - streams->raw_bit < 8;
}

static enum aq_status read_words(struct aq_decoder *decoder, uint64_t *words, size_t count)
{
    uint8_t kind = aq_reader_u8(&decoder->reader);
    if (kind >= AQ_ANS_KINDS)
        return aq_decoder_corrupt(decoder);
    table *tables = NULL;
    struct streams streams = {0};
    size_t size = 0;
    AQ_TRY(aq_decoder_alloc(decoder, aq_ans_context_counts[kind], sizeof *tables, &tables));
    for (unsigned context = 0; context < aq_ans_context_counts[kind]; context++)
        AQ_TRY(read_table(decoder, tables[context]));
    streams.tables = (const table *)tables;
    for (unsigned lane = 0; lane < AQ_ANS_LANES; lane++)
        streams.states[lane] = aq_reader_u32(&decoder->reader);
    AQ_TRY(read_stream(decoder, &streams.at, &size));
    streams.end = streams.at + size;
    AQ_TRY(read_stream(decoder, &streams.raw, &size));
    streams.raw_bits = size * 8;
    AQ_TRY(aq_decoder_check(decoder));
    return decode_words(&streams, kind, words, count) ? AQ_OK : aq_decoder_corrupt(decoder);
}

enum aq_status aq_ans_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct aq_words form;
    AQ_TRY(aq_words_read(decoder, &form));
    AQ_TRY(read_words(decoder, (uint64_t *)values, count));
    aq_words_restore(form, values, count);
    return AQ_OK;
}
