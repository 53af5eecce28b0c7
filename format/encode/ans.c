/* Entropy coding: integers as tokens of their size, each token in as many bits as it is rare where it
 * stands. Bytes: docs/archive-format.md, "ans".
 *
 * A word (words.h) is a token and, from 16 on, raw bits:
 * the token says its two highest bits and where they stand, the raw bits are the rest. How likely
 * a token is depends on its context: the size of the two words before it (a restless series stays
 * restless for a while), or the word before it (codes of a dictionary follow each other in habits).
 * Frequencies per context come first, in 4096ths; then the tokens, by rANS.
 *
 * The values are cut into four lanes that are coded side by side into one stream, so that decoding
 * one needs not wait for another. rANS decodes last in, first out; so the writer goes backwards.
 *
 * Decoding hostile bytes may give any values, but reads nothing outside the streams: they are copied
 * behind which there is room for a step of all lanes, and after each step both ends are checked.
 * @source Duda, "Asymmetric numeral systems", 2013; Giesen, "Interleaved entropy coders", 2014. */
#include <math.h>

#include "format/encode/node.h"
#include "format/encode/words.h"

#define LANES 4
#define SCALE_BITS 12
#define SCALE (1u << SCALE_BITS)
#define STATE_MIN (1u << 16)
#define TOKENS_DIRECT 16u
#define TOKENS_MAX 136
#define CONTEXTS_MAX 17
#define SLACK_BYTES 64
#define TABLE_BITS 10.0 /* what a token takes in a table, about */
/* To compare the kinds of context, of many rows an eighth will do. */
#define SAMPLE_FROM 16384
#define SAMPLE_EVERY 8
#define SAMPLE_ROWS 256

enum context_kind { CONTEXT_NONE = 0, CONTEXT_SIZE = 1, CONTEXT_WORD = 2, CONTEXT_KINDS = 3 };

static const unsigned context_counts[CONTEXT_KINDS] = {1, 14, CONTEXTS_MAX};

static inline unsigned bit_length(uint64_t word)
{
    return word == 0 ? 0 : 64 - (unsigned)__builtin_clzll(word);
}

static inline unsigned token_of(uint64_t word, unsigned *raw_bits)
{
    if (word < TOKENS_DIRECT) {
        *raw_bits = 0;
        return (unsigned)word;
    }
    unsigned high = bit_length(word) - 1;
    *raw_bits = high - 1;
    return TOKENS_DIRECT + 2 * (high - 4) + (unsigned)(word >> (high - 1) & 1);
}

/* The context of the next word after `last`, before which was `older`. */
static inline unsigned context_of(enum context_kind kind, uint64_t last, uint64_t older)
{
    if (kind == CONTEXT_NONE)
        return 0;
    if (kind == CONTEXT_WORD)
        return last < 16 ? (unsigned)last : 16;
    unsigned length = bit_length((last < 8191 ? last : 8191) + (older < 8191 ? older : 8191));
    return length < 13 ? length : 13;
}

/* Lane `lane` has the words [lane x length, ...), the last lanes may be shorter. */
static size_t lane_length(size_t count)
{
    return (count + LANES - 1) / LANES;
}

/* ---- writing ---- */

struct coder {
    const uint64_t *words;
    size_t count;
    uint8_t *tokens;
    uint8_t *contexts;
    uint32_t (*frequencies)[TOKENS_MAX]; /* per context, then 4096ths of it */
    unsigned token_count;
};

/* Contexts of the words [first, end) of one lane, and how often each token stands in each. */
static void count_stretch(struct coder *coder, enum context_kind kind, size_t first, size_t end)
{
    uint64_t last = 0;
    uint64_t older = 0;
    for (size_t i = first; i < end; i++) {
        unsigned context = context_of(kind, last, older);
        coder->contexts[i] = (uint8_t)context;
        coder->frequencies[context][coder->tokens[i]]++;
        older = last;
        last = coder->words[i];
    }
}

static void count_tokens(struct coder *coder, enum context_kind kind)
{
    size_t length = lane_length(coder->count);
    memset(coder->frequencies, 0, CONTEXTS_MAX * sizeof *coder->frequencies);
    for (size_t first = 0; first < coder->count; first += length) {
        size_t left = coder->count - first;
        count_stretch(coder, kind, first, first + (left < length ? left : length));
    }
}

/* As count_tokens, of one stretch in `every`. */
static void sample_tokens(struct coder *coder, enum context_kind kind, size_t every)
{
    memset(coder->frequencies, 0, CONTEXTS_MAX * sizeof *coder->frequencies);
    for (size_t first = 0; first < coder->count; first += every * SAMPLE_ROWS) {
        size_t left = coder->count - first;
        count_stretch(coder, kind, first, first + (left < SAMPLE_ROWS ? left : SAMPLE_ROWS));
    }
}

/* Bits of the tokens counted, and about what the tables take. */
static double token_cost(const struct coder *coder, enum context_kind kind, double table_bits)
{
    double bits = 0;
    for (unsigned context = 0; context < context_counts[kind]; context++) {
        double total = 0;
        for (unsigned token = 0; token < coder->token_count; token++)
            total += coder->frequencies[context][token];
        for (unsigned token = 0; token < coder->token_count; token++) {
            double count = coder->frequencies[context][token];
            bits += count == 0 ? 0 : count * log2(total / count) + table_bits;
        }
    }
    return bits;
}

static enum context_kind choose_context(struct coder *coder)
{
    enum context_kind best = CONTEXT_NONE;
    double best_cost = INFINITY;
    size_t every = coder->count < SAMPLE_FROM ? 1 : SAMPLE_EVERY;
    for (unsigned kind = 0; kind < CONTEXT_KINDS; kind++) {
        sample_tokens(coder, (enum context_kind)kind, every);
        double cost = token_cost(coder, (enum context_kind)kind, TABLE_BITS / (double)every);
        if (cost < best_cost) {
            best_cost = cost;
            best = (enum context_kind)kind;
        }
    }
    return best;
}

static unsigned most_frequent(const uint32_t *frequencies)
{
    unsigned best = 0;
    for (unsigned token = 1; token < TOKENS_MAX; token++)
        best = frequencies[token] > frequencies[best] ? token : best;
    return best;
}

/* Counts become 4096ths: at least one for what occurs, the rounding taken from the most frequent. */
static void normalise(uint32_t *frequencies)
{
    uint64_t total = 0;
    for (unsigned token = 0; token < TOKENS_MAX; token++)
        total += frequencies[token];
    if (total == 0)
        return;
    int64_t left = SCALE;
    for (unsigned token = 0; token < TOKENS_MAX; token++) {
        uint64_t count = frequencies[token];
        if (count == 0)
            continue;
        uint64_t share = (count * SCALE + total / 2) / total;
        frequencies[token] = share == 0 ? 1 : (uint32_t)share;
        left -= frequencies[token];
    }
    while (left != 0) {
        uint32_t *most = &frequencies[most_frequent(frequencies)];
        int64_t change = left < -(int64_t)(*most / 2) ? -(int64_t)(*most / 2) : left;
        *most = (uint32_t)(*most + change);
        left -= change;
    }
}

static void append_table(const uint32_t *frequencies, struct aq_bytes *out)
{
    unsigned first = 0;
    unsigned end = TOKENS_MAX;
    while (end > 0 && frequencies[end - 1] == 0)
        end--;
    while (first < end && frequencies[first] == 0)
        first++;
    aq_bytes_u8(out, (uint8_t)(end - first));
    if (first == end)
        return;
    aq_bytes_u8(out, (uint8_t)first);
    for (unsigned token = first; token < end; token++)
        aq_bytes_varint(out, frequencies[token]);
}

/* The tokens, from the last to the first; the stream is filled from its end. */
static size_t code_tokens(const struct coder *coder, uint16_t *stream, size_t room,
                          uint32_t states[LANES])
{
    uint32_t starts[CONTEXTS_MAX][TOKENS_MAX];
    for (unsigned context = 0; context < CONTEXTS_MAX; context++) {
        uint32_t sum = 0;
        for (unsigned token = 0; token < TOKENS_MAX; token++) {
            starts[context][token] = sum;
            sum += coder->frequencies[context][token];
        }
    }
    size_t at = room;
    size_t length = lane_length(coder->count);
    for (unsigned lane = 0; lane < LANES; lane++)
        states[lane] = STATE_MIN;
    for (size_t step = length; step-- > 0;) {
        for (unsigned lane = LANES; lane-- > 0;) {
            size_t i = lane * length + step;
            if (i >= coder->count)
                continue;
            uint32_t frequency = coder->frequencies[coder->contexts[i]][coder->tokens[i]];
            uint32_t state = states[lane];
            if (state >= (uint64_t)frequency << (32 - SCALE_BITS)) {
                stream[--at] = (uint16_t)state;
                state >>= 16;
            }
            states[lane] = (state / frequency << SCALE_BITS) + state % frequency +
                           starts[coder->contexts[i]][coder->tokens[i]];
        }
    }
    return at;
}

/* The raw bits, in the order in which they will be read. */
static void append_raw(const struct coder *coder, struct aq_bytes *out)
{
    struct aq_bytes raw = {0};
    aq_uint128 pending = 0;
    unsigned bits = 0;
    size_t length = lane_length(coder->count);
    for (size_t step = 0; step < length; step++) {
        for (unsigned lane = 0; lane < LANES; lane++) {
            size_t i = lane * length + step;
            if (i >= coder->count || coder->tokens[i] < TOKENS_DIRECT)
                continue;
            unsigned width;
            (void)token_of(coder->words[i], &width);
            pending |= (aq_uint128)(coder->words[i] & ((UINT64_C(1) << width) - 1)) << bits;
            for (bits += width; bits >= 64; bits -= 64) {
                aq_bytes_u64(&raw, (uint64_t)pending);
                pending >>= 64;
            }
        }
    }
    for (; bits > 0; bits = bits > 8 ? bits - 8 : 0) {
        aq_bytes_u8(&raw, (uint8_t)pending);
        pending >>= 8;
    }
    out->failed |= raw.failed;
    aq_bytes_slice(out, aq_bytes_view(&raw));
    aq_bytes_deinit(&raw);
}

static enum aq_status encode_words(struct aq_encoder *encoder, struct coder *coder,
                                   enum context_kind kind, struct aq_bytes *out)
{
    uint16_t *stream = aq_encoder_alloc(encoder, coder->count + 1, sizeof *stream);
    if (stream == NULL)
        return AQ_NO_MEMORY;
    aq_bytes_u8(out, (uint8_t)kind);
    for (unsigned context = 0; context < context_counts[kind]; context++) {
        normalise(coder->frequencies[context]);
        append_table(coder->frequencies[context], out);
    }
    uint32_t states[LANES];
    size_t at = code_tokens(coder, stream, coder->count + 1, states);
    for (unsigned lane = 0; lane < LANES; lane++)
        aq_bytes_u32(out, states[lane]);
    aq_bytes_slice(out, aq_slice_make(stream + at, (coder->count + 1 - at) * sizeof *stream));
    append_raw(coder, out);
    return AQ_OK;
}

/* The words' tokens; returns how many raw bits come with them. */
static size_t make_tokens(struct coder *coder)
{
    size_t raw_bits = 0;
    for (size_t i = 0; i < coder->count; i++) {
        unsigned width;
        unsigned token = token_of(coder->words[i], &width);
        coder->tokens[i] = (uint8_t)token;
        coder->token_count = token >= coder->token_count ? token + 1 : coder->token_count;
        raw_bits += width;
    }
    return raw_bits;
}

enum aq_status aq_ans_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                             size_t size_max, struct aq_bytes *out)
{
    uint64_t *words = aq_encoder_alloc(encoder, count, sizeof *words);
    struct coder coder = {
        .words = words,
        .count = count,
        .tokens = aq_encoder_alloc(encoder, count, 1),
        .contexts = aq_encoder_alloc(encoder, count, 1),
        .frequencies = aq_encoder_alloc(encoder, CONTEXTS_MAX, sizeof *coder.frequencies),
    };
    if (words == NULL || coder.tokens == NULL || coder.contexts == NULL ||
        coder.frequencies == NULL)
        return AQ_NO_MEMORY;
    struct aq_words form = aq_words_make(values, count, words);
    size_t raw_bits = make_tokens(&coder);
    enum context_kind kind = choose_context(&coder);
    count_tokens(&coder, kind);
    if ((token_cost(&coder, kind, TABLE_BITS) + (double)raw_bits) / 8 >= (double)size_max)
        return AQ_NOT_FOUND;
    aq_bytes_u8(out, AQ_ENCODING_ANS);
    aq_words_append(form, out);
    return encode_words(encoder, &coder, kind, out);
}

/* ---- reading ---- */

/* One of the 4096 places of a context: token << 24 | place within the token << 12 | frequency - 1. */
typedef uint32_t table[SCALE];

struct streams {
    const table *tables;
    uint32_t states[LANES];
    uint64_t last[LANES]; /* word of each lane, and the one before it */
    uint64_t older[LANES];
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
        for (unsigned place = 0; place < SCALE; place++)
            places[place] = place << SCALE_BITS | (SCALE - 1);
        return aq_decoder_check(decoder);
    }
    unsigned first = aq_reader_u8(&decoder->reader);
    if (first + count > TOKENS_MAX)
        return aq_decoder_corrupt(decoder);
    uint32_t start = 0;
    for (unsigned token = first; token < first + count; token++) {
        uint64_t frequency = aq_reader_varint(&decoder->reader);
        if (frequency > SCALE - start)
            return aq_decoder_corrupt(decoder);
        for (uint32_t place = 0; place < frequency; place++)
            places[start + place] = token << 24 | place << SCALE_BITS | ((uint32_t)frequency - 1);
        start += (uint32_t)frequency;
    }
    return start == SCALE ? AQ_OK : aq_decoder_corrupt(decoder);
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
    uint32_t place = streams->tables[context][state & (SCALE - 1)];
    state =
        ((place & (SCALE - 1)) + 1) * (state >> SCALE_BITS) + (place >> SCALE_BITS & (SCALE - 1));
    bool need = state < STATE_MIN;
    uint32_t more = state << 16 | aq_load_u16(streams->at);
    streams->states[lane] = need ? more : state;
    streams->at += need ? 2 : 0;
    unsigned token = place >> 24;
    if (token < TOKENS_DIRECT)
        return token;
    unsigned high = 4 + (token - TOKENS_DIRECT) / 2;
    return ((uint64_t)(2 | (token & 1)) << (high - 1)) | read_raw(streams, high - 1);
}

/* One step of the first `lane_count` lanes. Inlined for each kind, so that the choice of context costs
 * nothing inside the loop. */
static inline __attribute__((always_inline)) bool decode_step(struct streams *streams,
                                                              enum context_kind kind,
                                                              unsigned lane_count, uint64_t *words,
                                                              size_t length)
{
    for (unsigned lane = 0; lane < lane_count; lane++) {
        uint64_t last = streams->last[lane];
        uint64_t word = decode_word(streams, lane, context_of(kind, last, streams->older[lane]));
        streams->older[lane] = last;
        streams->last[lane] = word;
        words[lane * length] = word;
    }
    return streams->at <= streams->end && streams->raw_bit <= streams->raw_bits;
}

static inline __attribute__((always_inline)) bool
decode_lanes(struct streams *shared, enum context_kind kind, uint64_t *words, size_t count)
{
    struct streams streams = *shared; /* a copy that no other pointer may change: in registers */
    size_t length = lane_length(count);
    size_t common = count > (LANES - 1) * length ? count - (LANES - 1) * length : 0;
    bool good = true;
    for (size_t step = 0; step < common && good; step++)
        good = decode_step(&streams, kind, LANES, words + step, length);
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
    if (kind == CONTEXT_NONE)
        done = decode_lanes(streams, CONTEXT_NONE, words, count);
    else if (kind == CONTEXT_SIZE)
        done = decode_lanes(streams, CONTEXT_SIZE, words, count);
    else
        done = decode_lanes(streams, CONTEXT_WORD, words, count);
    for (unsigned lane = 0; lane < LANES; lane++)
        done = done && streams->states[lane] == STATE_MIN;
    return done && streams->at == streams->end && streams->raw_bits - streams->raw_bit < 8;
}

static enum aq_status read_words(struct aq_decoder *decoder, uint64_t *words, size_t count)
{
    uint8_t kind = aq_reader_u8(&decoder->reader);
    if (kind >= CONTEXT_KINDS)
        return aq_decoder_corrupt(decoder);
    table *tables = NULL;
    struct streams streams = {0};
    size_t size = 0;
    AQ_TRY(aq_decoder_alloc(decoder, context_counts[kind], sizeof *tables, &tables));
    for (unsigned context = 0; context < context_counts[kind]; context++)
        AQ_TRY(read_table(decoder, tables[context]));
    streams.tables = (const table *)tables;
    for (unsigned lane = 0; lane < LANES; lane++)
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
