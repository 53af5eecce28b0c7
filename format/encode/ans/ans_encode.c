/* Writing entropy-coded words (ans.h): their tokens, the kind of context that suits them, the tables, and the
 * tokens from the last to the first.
 *
 * Failures: no memory; AQ_NOT_FOUND where it would not be small enough. */
#include "format/encode/ans/ans.h"

#include <math.h>

#include "format/base/log2.h"

#define TABLE_BITS 10.0 /* what a token takes in a table, about */
/* To compare the kinds of context, of many rows an eighth will do. */
#define SAMPLE_FROM 16384
#define SAMPLE_EVERY 8
#define SAMPLE_ROWS 256

struct coder {
    const uint64_t *words;
    size_t count;
    uint8_t *tokens;
    uint8_t *contexts;
    uint32_t (*frequencies)[AQ_ANS_TOKENS_MAX]; /* per context, then 4096ths of it */
    unsigned token_count;
};

/* Contexts of the words [first, end) of one lane, and how often each token stands in each. */
static void count_stretch(struct coder *coder, enum aq_ans_kind kind, size_t first, size_t end)
{
    uint64_t last = 0;
    uint64_t older = 0;
    for (size_t i = first; i < end; i++) {
        unsigned context = aq_ans_context(kind, last, older);
        coder->contexts[i] = (uint8_t)context;
        coder->frequencies[context][coder->tokens[i]]++;
        older = last;
        last = coder->words[i];
    }
}

static void count_tokens(struct coder *coder, enum aq_ans_kind kind)
{
    size_t length = aq_ans_lane_length(coder->count);
    memset(coder->frequencies, 0, AQ_ANS_CONTEXTS_MAX * sizeof *coder->frequencies);
    for (size_t first = 0; first < coder->count; first += length) {
        size_t left = coder->count - first;
        count_stretch(coder, kind, first, first + (left < length ? left : length));
    }
}

/* As count_tokens, of one stretch in `every`. */
static void sample_tokens(struct coder *coder, enum aq_ans_kind kind, size_t every)
{
    memset(coder->frequencies, 0, AQ_ANS_CONTEXTS_MAX * sizeof *coder->frequencies);
    for (size_t first = 0; first < coder->count; first += every * SAMPLE_ROWS) {
        size_t left = coder->count - first;
        count_stretch(coder, kind, first, first + (left < SAMPLE_ROWS ? left : SAMPLE_ROWS));
    }
}

/* Bits of the tokens counted, and about what the tables take. */
static double token_cost(const struct coder *coder, enum aq_ans_kind kind, double table_bits)
{
    double bits = 0;
    for (unsigned context = 0; context < aq_ans_context_counts[kind]; context++) {
        double total = 0;
        for (unsigned token = 0; token < coder->token_count; token++)
            total += coder->frequencies[context][token];
        for (unsigned token = 0; token < coder->token_count; token++) {
            double count = coder->frequencies[context][token];
            bits += count == 0 ? 0 : count * aq_log2(total / count) + table_bits;
        }
    }
    return bits;
}

static enum aq_ans_kind choose_context(struct coder *coder)
{
    enum aq_ans_kind best = AQ_ANS_NONE;
    double best_cost = INFINITY;
    size_t every = coder->count < SAMPLE_FROM ? 1 : SAMPLE_EVERY;
    for (unsigned kind = 0; kind < AQ_ANS_KINDS; kind++) {
        sample_tokens(coder, (enum aq_ans_kind)kind, every);
        double cost = token_cost(coder, (enum aq_ans_kind)kind, TABLE_BITS / (double)every);
        if (cost < best_cost) {
            best_cost = cost;
            best = (enum aq_ans_kind)kind;
        }
    }
    return best;
}

static unsigned most_frequent(const uint32_t *frequencies)
{
    unsigned best = 0;
    for (unsigned token = 1; token < AQ_ANS_TOKENS_MAX; token++)
        best = frequencies[token] > frequencies[best] ? token : best;
    return best;
}

/* Counts become 4096ths: at least one for what occurs, the rounding taken from the most frequent. */
static void normalise(uint32_t *frequencies)
{
    uint64_t total = 0;
    for (unsigned token = 0; token < AQ_ANS_TOKENS_MAX; token++)
        total += frequencies[token];
    if (total == 0)
        return;
    int64_t left = AQ_ANS_SCALE;
    for (unsigned token = 0; token < AQ_ANS_TOKENS_MAX; token++) {
        uint64_t count = frequencies[token];
        if (count == 0)
            continue;
        uint64_t share = (count * AQ_ANS_SCALE + total / 2) / total;
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
    unsigned end = AQ_ANS_TOKENS_MAX;
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
                          uint32_t states[AQ_ANS_LANES])
{
    uint32_t starts[AQ_ANS_CONTEXTS_MAX][AQ_ANS_TOKENS_MAX];
    for (unsigned context = 0; context < AQ_ANS_CONTEXTS_MAX; context++) {
        uint32_t sum = 0;
        for (unsigned token = 0; token < AQ_ANS_TOKENS_MAX; token++) {
            starts[context][token] = sum;
            sum += coder->frequencies[context][token];
        }
    }
    size_t at = room;
    size_t length = aq_ans_lane_length(coder->count);
    for (unsigned lane = 0; lane < AQ_ANS_LANES; lane++)
        states[lane] = AQ_ANS_STATE_MIN;
    for (size_t step = length; step-- > 0;) {
        for (unsigned lane = AQ_ANS_LANES; lane-- > 0;) {
            size_t i = lane * length + step;
            if (i >= coder->count)
                continue;
            uint32_t frequency = coder->frequencies[coder->contexts[i]][coder->tokens[i]];
            uint32_t state = states[lane];
            if (state >= (uint64_t)frequency << (32 - AQ_ANS_SCALE_BITS)) {
                stream[--at] = (uint16_t)state;
                state >>= 16;
            }
            states[lane] = (state / frequency << AQ_ANS_SCALE_BITS) + state % frequency +
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
    size_t length = aq_ans_lane_length(coder->count);
    for (size_t step = 0; step < length; step++) {
        for (unsigned lane = 0; lane < AQ_ANS_LANES; lane++) {
            size_t i = lane * length + step;
            if (i >= coder->count || coder->tokens[i] < AQ_ANS_TOKENS_DIRECT)
                continue;
            unsigned width;
            (void)aq_ans_token(coder->words[i], &width);
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
                                   enum aq_ans_kind kind, struct aq_bytes *out)
{
    uint16_t *stream = aq_encoder_alloc(encoder, coder->count + 1, sizeof *stream);
    if (stream == NULL)
        return AQ_NO_MEMORY;
    aq_bytes_u8(out, (uint8_t)kind);
    for (unsigned context = 0; context < aq_ans_context_counts[kind]; context++) {
        normalise(coder->frequencies[context]);
        append_table(coder->frequencies[context], out);
    }
    uint32_t states[AQ_ANS_LANES];
    size_t at = code_tokens(coder, stream, coder->count + 1, states);
    for (unsigned lane = 0; lane < AQ_ANS_LANES; lane++)
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
        unsigned token = aq_ans_token(coder->words[i], &width);
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
        .frequencies = aq_encoder_alloc(encoder, AQ_ANS_CONTEXTS_MAX, sizeof *coder.frequencies),
    };
    if (words == NULL || coder.tokens == NULL || coder.contexts == NULL ||
        coder.frequencies == NULL)
        return AQ_NO_MEMORY;
    struct aq_words form = aq_words_make(values, count, words);
    size_t raw_bits = make_tokens(&coder);
    enum aq_ans_kind kind = choose_context(&coder);
    count_tokens(&coder, kind);
    if ((token_cost(&coder, kind, TABLE_BITS) + (double)raw_bits) / 8 >= (double)size_max)
        return AQ_NOT_FOUND;
    aq_bytes_u8(out, AQ_ENCODING_ANS);
    aq_words_append(form, out);
    return encode_words(encoder, &coder, kind, out);
}
