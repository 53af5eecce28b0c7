/* Writing entropy-coded words in 32 lanes (ans32.h): their tokens, the kind of context that suits them, the tables, and the
 * words from the last to the first, since rANS gives back first what came last.
 *
 * Failures: no memory; AQ_NOT_FOUND where a word is too large or all of it would not be small enough. */
#include "format/encode/ans/ans32_tables.h"

#include <math.h>

#include "format/encode/kernel/kernel.h"

/* To compare the kinds of context, of many rows an eighth will do. */
#define SAMPLE_FROM 16384
#define SAMPLE_EVERY 8
#define SAMPLE_ROWS 256
#define HEADER_BITS (8.0 * 4 * AQ_ANS32_LANES)

struct coder {
    uint32_t *words;
    uint8_t *tokens;
    uint8_t *contexts;
    size_t count;
    unsigned token_count;
    enum aq_ans_kind kind;
    struct aq_ans32_tables tables;
    aq_late_counts counts;
};

/* What coding a token in a state takes. Dividing by its frequency is multiplying by the reciprocal, in 2^64ths, rounded up: exact
 * for all states. */
struct symbol {
    uint64_t reciprocal;
    uint32_t limit;      /* from here on a state gives 16 bits away */
    uint32_t bias;       /* where its stretch begins */
    uint32_t complement; /* of its frequency */
    uint32_t first;      /* raw bits that go with it */
};

/* The first token with more raw bits than go with it. */
#define TOKEN_MORE_MIN (AQ_ANS_TOKENS_DIRECT + 2 * (AQ_ANS32_RAW_FIRST + 1 - 3))

static unsigned raw_width(unsigned token)
{
    return token < AQ_ANS_TOKENS_DIRECT ? 0 : 3 + (token - AQ_ANS_TOKENS_DIRECT) / 2;
}

/* Contexts of the words [first, end) of one lane, and how often each token stands in each. Inlined for each kind. */
static inline __attribute__((always_inline)) void
count_stretch(struct coder *coder, enum aq_ans_kind kind, size_t first, size_t end)
{
    const uint32_t *words = coder->words;
    const uint8_t *tokens = coder->tokens;
    uint8_t *contexts = coder->contexts;
    uint32_t last = 0;
    uint32_t older = 0;
    for (size_t i = first; i < end; i++) {
        unsigned context = aq_ans32_context(kind, last, older);
        contexts[i] = (uint8_t)context;
        coder->counts[context][tokens[i]]++;
        older = last;
        last = words[i];
    }
}

static void count_kind(struct coder *coder, size_t first, size_t end)
{
    if (coder->kind == AQ_ANS_NONE)
        count_stretch(coder, AQ_ANS_NONE, first, end);
    else if (coder->kind == AQ_ANS_SIZE)
        count_stretch(coder, AQ_ANS_SIZE, first, end);
    else
        count_stretch(coder, AQ_ANS_WORD, first, end);
}

static void count_tokens(struct coder *coder)
{
    memset(coder->counts, 0, sizeof coder->counts);
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
        count_kind(coder, aq_ans32_lane_start(coder->count, lane),
                   aq_ans32_lane_start(coder->count, lane + 1));
}

/* As count_tokens, of one stretch in `every`. Returns the share of the words that was counted. */
static double sample_tokens(struct coder *coder, size_t every)
{
    size_t counted = 0;
    memset(coder->counts, 0, sizeof coder->counts);
    for (size_t first = 0; first < coder->count; first += every * SAMPLE_ROWS) {
        size_t left = coder->count - first;
        size_t rows = left < SAMPLE_ROWS ? left : SAMPLE_ROWS;
        count_kind(coder, first, first + rows);
        counted += rows;
    }
    return (double)counted / (double)coder->count;
}

/* Merges what was counted. */
static double weigh(struct coder *coder, double share)
{
    return aq_ans32_tables_merge(coder->counts, aq_ans32_context_counts[coder->kind],
                                 coder->token_count, share, &coder->tables);
}

static void choose_context(struct coder *coder)
{
    enum aq_ans_kind best = AQ_ANS_NONE;
    double best_bits = INFINITY;
    for (unsigned kind = 0; kind < AQ_ANS_KINDS; kind++) {
        coder->kind = (enum aq_ans_kind)kind;
        double share = sample_tokens(coder, coder->count < SAMPLE_FROM ? 1 : SAMPLE_EVERY);
        double bits = weigh(coder, share);
        if (bits < best_bits) {
            best_bits = bits;
            best = coder->kind;
        }
    }
    coder->kind = best;
}

static struct symbol make_symbol(unsigned token, uint32_t start, uint32_t frequency)
{
    unsigned width = raw_width(token);
    unsigned first = width < AQ_ANS32_RAW_FIRST ? width : AQ_ANS32_RAW_FIRST;
    struct symbol symbol = {.limit = frequency << (32 - AQ_ANS32_SCALE_BITS - first),
                            .complement = AQ_ANS32_SCALE - frequency,
                            .bias = start,
                            .first = first};
    if (frequency ==
        1) { /* 2^64 is one too many: the quotient is one too small, what that lacks in the bias */
        symbol.reciprocal = UINT64_MAX;
        symbol.bias = start + AQ_ANS32_SCALE - 1;
    } else if (frequency > 0) {
        symbol.reciprocal = UINT64_MAX / frequency + 1;
    }
    return symbol;
}

static void make_symbols(const struct coder *coder, struct symbol *symbols)
{
    for (unsigned table = 0; table < coder->tables.table_count; table++) {
        uint32_t start = 0;
        for (unsigned token = 0; token < AQ_ANS32_TOKENS_MAX; token++) {
            uint32_t frequency = coder->counts[table][token];
            symbols[table * AQ_ANS32_TOKENS_MAX + token] = make_symbol(token, start, frequency);
            start += frequency;
        }
    }
}

struct stream {
    uint16_t *at; /* filled from its end */
    uint32_t states[AQ_ANS32_LANES];
};

/* 16 bits into the stream, if the state is at `limit` or above: without a branch. */
static inline uint32_t give(uint16_t **at, uint32_t state, uint64_t limit)
{
    uint32_t gives = state >= limit;
    (*at)[-1] = (uint16_t)state;
    *at -= gives;
    return state >> 16 * gives;
}

/* Raw bits of a step that do not go with their tokens, those taken last first. */
static void code_more(const struct coder *coder, const size_t *starts, size_t step,
                      unsigned lane_count, struct stream *stream)
{
    for (int taken = AQ_ANS32_RAW_FIRST + AQ_ANS32_RAW_MORE; taken > 0; taken -= AQ_ANS32_RAW_MORE)
        for (unsigned lane = lane_count; lane-- > 0;) {
            size_t i = starts[lane] + step;
            int left = (int)raw_width(coder->tokens[i]) - taken;
            if (left <= 0)
                continue;
            int more = left < (int)AQ_ANS32_RAW_MORE ? left : (int)AQ_ANS32_RAW_MORE;
            uint32_t raw = coder->words[i] >> taken & ((1u << more) - 1);
            stream->states[lane] =
                give(&stream->at, stream->states[lane], UINT64_C(1) << (32 - more)) << more | raw;
        }
}

static inline __attribute__((always_inline)) void
code_step(const struct coder *coder, const struct symbol *symbols, const size_t *starts,
          size_t step, unsigned lane_count, struct stream *stream)
{
    unsigned highest = 0;
    for (unsigned lane = 0; lane < lane_count; lane++)
        highest |= coder->tokens[starts[lane] + step] + (128u - TOKEN_MORE_MIN);
    if (highest >= 128)
        code_more(coder, starts, step, lane_count, stream);
    uint16_t *at = stream->at;
    for (unsigned lane = lane_count; lane-- > 0;) {
        size_t i = starts[lane] + step;
        unsigned table = coder->tables.of_context[coder->contexts[i]];
        const struct symbol *symbol = &symbols[table * AQ_ANS32_TOKENS_MAX + coder->tokens[i]];
        unsigned first = symbol->first;
        uint32_t state = give(&at, stream->states[lane], symbol->limit);
        state = state << first | (coder->words[i] & ((1u << first) - 1));
        uint32_t quotient = (uint32_t)((aq_uint128)state * symbol->reciprocal >> 64);
        stream->states[lane] = state + symbol->bias + quotient * symbol->complement;
    }
    stream->at = at;
}

static enum aq_status code_words(struct aq_encoder *encoder, const struct coder *coder,
                                 struct aq_bytes *out)
{
    size_t steps = coder->count / AQ_ANS32_LANES;
    size_t starts[AQ_ANS32_LANES];
    size_t room = 3 * coder->count + 1; /* a number a word, and one for each 16 raw bits more */
    uint16_t *numbers = aq_encoder_alloc(encoder, room, sizeof *numbers);
    struct symbol *symbols = aq_encoder_alloc(
        encoder, (size_t)AQ_ANS32_TABLES_MAX * AQ_ANS32_TOKENS_MAX, sizeof *symbols);
    if (numbers == NULL || symbols == NULL)
        return AQ_NO_MEMORY;
    struct stream stream = {.at = numbers + room};
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++) {
        starts[lane] = aq_ans32_lane_start(coder->count, lane);
        stream.states[lane] = AQ_ANS_STATE_MIN;
    }
    make_symbols(coder, symbols);
    code_step(coder, symbols, starts, steps, coder->count % AQ_ANS32_LANES, &stream);
    for (size_t step = steps; step-- > 0;)
        code_step(coder, symbols, starts, step, AQ_ANS32_LANES, &stream);
    for (unsigned lane = 0; lane < AQ_ANS32_LANES; lane++)
        aq_bytes_u32(out, stream.states[lane]);
    aq_bytes_slice(out, aq_slice_make(stream.at, (size_t)(numbers + room - stream.at) * 2));
    return AQ_OK;
}

/* The words and their tokens. False: a word is too large. */
static bool make_tokens(struct coder *coder, const uint64_t *words)
{
    unsigned width;
    uint64_t used = aq_kernels()->tokens(words, coder->count, coder->words, coder->tokens);
    coder->token_count = aq_ans_token(used, &width) + 1; /* or fewer */
    return used <= UINT32_MAX;
}

/* Of all words, by the counts of their tokens. */
static double raw_bits(const struct coder *coder)
{
    uint64_t bits = 0;
    for (unsigned table = 0; table < coder->tables.table_count; table++)
        for (unsigned token = AQ_ANS_TOKENS_DIRECT; token < coder->token_count; token++)
            bits += (uint64_t)coder->counts[table][token] * raw_width(token);
    return (double)bits;
}

static bool make_coder(struct aq_encoder *encoder, size_t count, struct coder **coder)
{
    struct coder *made = aq_encoder_alloc(encoder, 1, sizeof *made);
    if (made == NULL)
        return false;
    made->count = count;
    made->words = aq_encoder_alloc(encoder, count, sizeof *made->words);
    made->tokens = aq_encoder_alloc(encoder, count, 1);
    made->contexts = aq_encoder_alloc(encoder, count, 1);
    *coder = made;
    return made->words != NULL && made->tokens != NULL && made->contexts != NULL;
}

enum aq_status aq_ans32_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                               size_t size_max, struct aq_bytes *out)
{
    struct coder *coder;
    uint64_t *words = aq_encoder_alloc(encoder, count, sizeof *words);
    if (words == NULL || !make_coder(encoder, count, &coder))
        return AQ_NO_MEMORY;
    struct aq_words form = aq_words_make(values, count, words);
    if (!make_tokens(coder, words))
        return AQ_NOT_FOUND;
    choose_context(coder);
    count_tokens(coder);
    double bits = weigh(coder, 1);
    if ((bits + HEADER_BITS + raw_bits(coder)) / 8 >= (double)size_max)
        return AQ_NOT_FOUND;
    aq_ans32_tables_normalise(coder->counts, &coder->tables);
    aq_bytes_u8(out, AQ_ENCODING_ANS32);
    encoder->late_count += AQ_LATE_COUNT_LANES;
    aq_words_append(form, out);
    aq_bytes_u8(out, (uint8_t)coder->kind);
    aq_ans32_tables_append(coder->counts, &coder->tables, out);
    return code_words(encoder, coder, out);
}
