/* Which nodes would take the least, estimated from a sample.
 *
 * 16 stretches of consecutive values are weighed as they are, as deltas (and deltas of deltas, if the first were
 * much larger), as runs and as codes of a dictionary: by the entropy of what a leaf would code, which is tokens
 * in their contexts (ans) or bytes by place (byte planes), with what their tables and entries take. Repetitions far
 * apart, which zstd finds in byte planes, no sample shows: they are counted in the whole, by hashes.
 *
 * The outcome is a function of the values alone, on every machine. Nothing can fail: all memory is the stack's,
 * less than half a MiB of it. The constants were found on the shared data sets: sizes within 0.7 % of those that
 * trying every way gives, smaller on most. */
#include "format/encode/choose/estimate.h"

#include <assert.h>
#include <math.h>

#include "format/base/log2.h"
#include "format/encode/kernel/kernel.h"

#define STRETCHES 16
#define STRETCH_ROWS 192
#define SAMPLE_MAX (STRETCHES * STRETCH_ROWS)
#define SLOTS 8192 /* more than twice SAMPLE_MAX */

#define RUN_ROWS_MIN 4       /* mean length from which runs are worth a look */
#define RUN_BITS 24.0        /* of a run where they are few */
#define RUN_ROWS_SURE 12     /* mean length from which nothing else is */
#define DELTA_AGAIN_MAX 1.02 /* deltas larger than this are not differenced again */

/* What is met once tells of what the sample missed: bits of a table's rarest tokens (Miller, 1955). */
#define BIAS_BITS 0.7213
#define TABLE_BITS 12.0      /* of a token in a table, about */
#define PLANE_TABLE_BITS 5.0 /* of a byte in the table of a plane */
#define PLANE_BITS 160.0     /* of the rest of a compressed plane */
#define ANS_BITS 320.0       /* of the rest of an entropy-coded node */
#define NODE_BITS 64.0       /* of a node that says next to nothing */
#define CLEARLY 0.95         /* what is smaller than this needs no trial of the other, */
#define ANS32_CLEARLY 1.0    /* nor what is smaller at all where it is read faster */
#define DICT_HANDICAP 1.15   /* codes of more than one byte are worse than their sample shows */
#define DICT_DOUBT_MIN 0.9   /* of what the node takes otherwise: between these both are tried */
#define DICT_DOUBT_MAX 1.0
#define ANS_HANDICAP 1.02 /* it is slower to read than byte planes, */
#define ANS32_FAVOUR 0.99 /* and in 32 lanes faster */
#define ANS_ROWS_MIN 1024 /* its tables take some hundred bytes */

#define REPEAT_PICK_BITS 5 /* one stretch in 32 */
#define REPEAT_PICKED_MIN 16
#define REPEAT_SLOTS 4096
#define REPEAT_CHANGES_MIN 8
#define REPEAT_GAIN 0.95 /* the rest is what a repetition takes */
#define FRESH_MAX 0.97   /* share of values told anew below which copies are looked for */

struct sample {
    double fresh; /* share of the values that do not repeat a stretch further up */
    size_t count;
    size_t stretch_rows; /* of each stretch, but the last one */
    double rows;         /* that it stands for */
    int64_t values[SAMPLE_MAX];
};

/* Bits of `size` counters' symbols (a multiple of AQ_SURPRISE_LANES), each by how rare it is; *met of the symbols occur. */
static double entropy(const uint32_t *counts, size_t size, size_t *met)
{
    uint64_t total;
    double sum = aq_kernels()->surprise(counts, NULL, size, met, &total);
    if (total == 0)
        return 0;
    return (double)total * aq_log2((double)total) - sum + BIAS_BITS * (double)(*met - 1);
}

struct words {
    size_t count;
    double scale;  /* rows of the whole for each */
    uint64_t used; /* bits that occur */
    uint64_t words[SAMPLE_MAX];
};

static double weigh_planes(const struct words *words)
{
    uint32_t counts[256];
    double bits = 0;
    for (unsigned shift = 0; shift < 64 && (shift == 0 || words->used >> shift != 0); shift += 8) {
        memset(counts, 0, sizeof counts);
        for (size_t i = 0; i < words->count; i++)
            counts[words->words[i] >> shift & 255]++;
        size_t met;
        double plane = entropy(counts, 256, &met) * words->scale;
        double raw = 8.0 * (double)words->count * words->scale;
        plane += PLANE_BITS + PLANE_TABLE_BITS * (double)met;
        bits += plane < raw * 0.9 ? plane : raw;
    }
    return bits;
}

/* Of the sample's tokens: how often each stands in each context, contexts behind each other in rows of `room`. */
struct token_counts {
    unsigned room;
    uint32_t by_size[14 * AQ_ANS_TOKENS_MAX];
    uint32_t by_word[AQ_ANS_CONTEXTS_MAX * AQ_ANS_TOKENS_MAX];
    uint32_t plain[AQ_ANS_TOKENS_MAX];
};

static double weigh_contexts(const uint32_t *counts, unsigned count, unsigned room, double scale)
{
    double bits = 0;
    for (unsigned context = 0; context < count; context++) {
        size_t met;
        bits += entropy(counts + context * room, room, &met) * scale + TABLE_BITS * (double)met;
    }
    return bits;
}

/* The words' tokens; returns a number above all of them. */
static unsigned make_tokens(const struct words *words, uint8_t *tokens)
{
    uint32_t words32[SAMPLE_MAX];
    unsigned width;
    if (aq_kernels()->tokens(words->words, words->count, words32, tokens) > UINT32_MAX)
        for (size_t i = 0; i < words->count; i++)
            tokens[i] = (uint8_t)aq_ans_token(words->words[i], &width);
    return aq_ans_token(words->used, &width) + 1;
}

static void count_tokens(const struct words *words, struct token_counts *counts)
{
    uint8_t tokens[SAMPLE_MAX];
    uint64_t last = 0;
    uint64_t older = 0;
    unsigned room = make_tokens(words, tokens);
    room = (room + AQ_SURPRISE_LANES - 1) / AQ_SURPRISE_LANES * AQ_SURPRISE_LANES;
    counts->room = room;
    memset(counts->by_size, 0, sizeof(uint32_t) * 14 * room);
    memset(counts->by_word, 0, sizeof(uint32_t) * AQ_ANS_CONTEXTS_MAX * room);
    memset(counts->plain, 0, sizeof(uint32_t) * room);
    for (size_t i = 0; i < words->count; i++) {
        counts->by_size[aq_ans_context(AQ_ANS_SIZE, last, older) * room + tokens[i]]++;
        counts->by_word[aq_ans_context(AQ_ANS_WORD, last, older) * room + tokens[i]]++;
        older = last;
        last = words->words[i];
    }
    for (unsigned context = 0; context < 14; context++)
        for (unsigned token = 0; token < room; token++)
            counts->plain[token] += counts->by_size[context * room + token];
}

static double weigh_tokens(const struct words *words, double handicap)
{
    struct token_counts counts;
    count_tokens(words, &counts);
    unsigned room = counts.room;
    double raw_bits = 0;
    for (unsigned token = AQ_ANS_TOKENS_DIRECT; token < room; token++) {
        unsigned bits = 3 + (token - AQ_ANS_TOKENS_DIRECT) / 2;
        raw_bits += counts.plain[token] * bits;
    }
    double plain = weigh_contexts(counts.plain, 1, room, words->scale);
    double by_size = weigh_contexts(counts.by_size, 14, room, words->scale);
    double by_word = weigh_contexts(counts.by_word, AQ_ANS_CONTEXTS_MAX, room, words->scale);
    double best = plain < by_size ? plain : by_size;
    best = best < by_word ? best : by_word;
    return (best + raw_bits * words->scale + ANS_BITS) * handicap;
}

static double pack_bits(const struct sample *sample, struct words *words)
{
    double bits = 0;
    for (size_t first = 0; first < sample->count; first += sample->stretch_rows) {
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;
        size_t end = first + sample->stretch_rows;
        end = end < sample->count ? end : sample->count;
        for (size_t i = first; i < end; i++) {
            words->used |= words->words[i];
            least = words->words[i] < least ? words->words[i] : least;
            most = words->words[i] > most ? words->words[i] : most;
        }
        bits += (double)(end - first) * aq_bit_length(most - least);
    }
    return bits;
}

/* What the smallest leaf would take, and which one that is, if there is no doubt. */
static double weigh_leaf(const struct sample *sample, aq_plan *plan)
{
    struct words words = {.count = sample->count, .scale = sample->rows / (double)sample->count};
    (void)aq_words_make(sample->values, sample->count, words.words);
    double packed = pack_bits(sample, &words) * words.scale + 16;
    double planes = weigh_planes(&words) * sample->fresh;
    double tokens =
        sample->rows < ANS_ROWS_MIN
            ? INFINITY
            : weigh_tokens(&words, sample->rows < AQ_ANS32_ROWS_MIN ? ANS_HANDICAP : ANS32_FAVOUR);
    double best = planes < packed ? planes : packed;
    best = tokens < best ? tokens : best;
    double clearly = sample->rows < AQ_ANS32_ROWS_MIN ? CLEARLY : ANS32_CLEARLY;
    *plan = AQ_SHAPE_LEAF;
    if (tokens < planes * clearly && tokens < packed * CLEARLY)
        *plan = sample->fresh < FRESH_MAX ? AQ_SHAPE_COPIES : AQ_SHAPE_ANS;
    else if (planes < tokens * CLEARLY && planes < packed * CLEARLY)
        *plan = AQ_SHAPE_PLANES;
    return best;
}

static void make_deltas(const struct sample *sample, struct sample *deltas)
{
    deltas->stretch_rows = sample->stretch_rows - 1;
    deltas->rows = sample->rows - 1;
    deltas->fresh = sample->fresh;
    deltas->count = 0;
    for (size_t first = 0; first < sample->count; first += sample->stretch_rows) {
        size_t end = first + sample->stretch_rows;
        end = end < sample->count ? end : sample->count;
        for (size_t i = first + 1; i < end; i++)
            deltas->values[deltas->count++] =
                (int64_t)((uint64_t)sample->values[i] - (uint64_t)sample->values[i - 1]);
    }
}

/* The different values of a sample. */
struct entries {
    size_t count;
    uint64_t span;
    int64_t values[SAMPLE_MAX];
    uint16_t met[SAMPLE_MAX];  /* how often */
    uint16_t rank[SAMPLE_MAX]; /* by that, the most frequent first */
    size_t once;
    size_t twice;
};

static void find_entries(const struct sample *sample, struct entries *entries, uint16_t *places)
{
    uint16_t slots[SLOTS] = {0}; /* place + 1 */
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    entries->count = 0;
    for (size_t i = 0; i < sample->count; i++) {
        int64_t value = sample->values[i];
        size_t slot = (uint64_t)value * UINT64_C(0x9e3779b97f4a7c15) >> 51;
        while (slots[slot] != 0 && entries->values[slots[slot] - 1] != value)
            slot = (slot + 1) % SLOTS;
        if (slots[slot] == 0) {
            entries->values[entries->count] = value;
            entries->met[entries->count++] = 0;
            slots[slot] = (uint16_t)entries->count;
            min = value < min ? value : min;
            max = value > max ? value : max;
        }
        places[i] = (uint16_t)(slots[slot] - 1);
        entries->met[places[i]]++;
    }
    entries->span = (uint64_t)max - (uint64_t)min;
}

/* A counting sort. */
static void rank_entries(struct entries *entries)
{
    uint16_t starts[SAMPLE_MAX + 2] = {0};
    for (size_t i = 0; i < entries->count; i++)
        starts[SAMPLE_MAX - entries->met[i] + 1]++;
    entries->once = starts[SAMPLE_MAX];
    entries->twice = starts[SAMPLE_MAX - 1];
    for (size_t i = 1; i <= SAMPLE_MAX; i++)
        starts[i] = (uint16_t)(starts[i] + starts[i - 1]);
    for (size_t i = 0; i < entries->count; i++)
        entries->rank[i] = starts[SAMPLE_MAX - entries->met[i]]++;
}

/* Codes as leaves see them: in the order in which values are met, and by how frequent they are; the larger of both,
 * for each shows an order in a sample that the whole has not. `step`: between codes of values met once. */
static double weigh_both_orders(const struct sample *sample, const struct entries *entries,
                                const uint16_t *places, double step)
{
    struct sample codes = {.fresh = sample->fresh,
                           .count = sample->count,
                           .stretch_rows = sample->stretch_rows,
                           .rows = sample->rows};
    size_t frequent = entries->count - entries->once;
    aq_plan plan;
    for (size_t i = 0; i < sample->count; i++)
        codes.values[i] = places[i];
    double as_met = weigh_leaf(&codes, &plan);
    for (size_t i = 0; i < sample->count; i++) {
        size_t rank = entries->rank[places[i]];
        double rare = rank < frequent ? 0 : (double)(rank - frequent) * step;
        codes.values[i] = rank < frequent ? (int64_t)rank : (int64_t)((double)frequent + rare);
    }
    double as_ranked = weigh_leaf(&codes, &plan);
    return as_met > as_ranked ? as_met : as_ranked;
}

/* What a dictionary and its codes would take. Those met once stand for all rare ones, whose number is guessed by how
 * many were met once, and twice (Chao, 1984). */
static double weigh_codes(const struct sample *sample)
{
    struct entries entries;
    uint16_t places[SAMPLE_MAX];
    find_entries(sample, &entries, places);
    if (entries.count > sample->count / 2)
        return INFINITY;
    rank_entries(&entries);
    double once = (double)entries.once;
    double all = (double)entries.count;
    if (sample->rows > (double)sample->count)
        all += once * once / (2 * (double)(entries.twice + 1));
    double step = once == 0 ? 1 : (all - (double)entries.count + once) / once;
    double bits = weigh_both_orders(sample, &entries, places, step);
    return bits * (all > 256 ? DICT_HANDICAP : 1) + all * aq_bit_length(entries.span) + NODE_BITS;
}

/* Runs of a sample are cut where its stretches are. */
static bool make_runs(const struct sample *sample, struct sample *lengths, struct sample *heads)
{
    size_t count = 0;
    size_t length = 0;
    for (size_t i = 0; i < sample->count; i++) {
        if (i > 0 && sample->values[i] == sample->values[i - 1]) {
            length++;
            continue;
        }
        if (i > 0)
            lengths->values[count - 1] = (int64_t)length;
        heads->values[count++] = sample->values[i];
        length = 0;
    }
    lengths->values[count - 1] = (int64_t)length;
    lengths->count = heads->count = count;
    lengths->stretch_rows = heads->stretch_rows = count;
    lengths->rows = heads->rows = (double)count * sample->rows / (double)sample->count;
    lengths->fresh = heads->fresh = 1;
    return count <= sample->count / RUN_ROWS_MIN;
}

/* Looking for stretches of 16 values that were met before, those where half of the values change: looked up are those
 * whose hash, which forgets four bits with every value, picks them, so that both of two equal ones are. */
struct repeats {
    uint64_t hash;
    int64_t last;
    unsigned changes; /* a bit a value */
    size_t picked;
    size_t repeated;
    uint64_t met[REPEAT_SLOTS];
};

static void add_values(struct repeats *repeats, const int64_t *values, size_t count)
{
    uint64_t hash = repeats->hash;
    unsigned changes = repeats->changes;
    int64_t last = repeats->last;
    for (size_t i = 0; i < count; i++) {
        hash = (hash << 4) + ((uint64_t)values[i] * UINT64_C(0x9e3779b97f4a7c15) >> 8);
        changes = changes << 1 | (values[i] != last);
        last = values[i];
        if (hash >> (64 - REPEAT_PICK_BITS) != 0 ||
            __builtin_popcount(changes & 0xffff) < REPEAT_CHANGES_MIN)
            continue;
        uint64_t *slot = &repeats->met[hash >> 40 & (REPEAT_SLOTS - 1)];
        repeats->picked++;
        repeats->repeated += *slot == hash;
        *slot = hash;
    }
    repeats->hash = hash;
    repeats->changes = changes;
    repeats->last = last;
}

/* The share of values that must be told anew. */
static double share_fresh(const struct repeats *repeats)
{
    return repeats->picked < REPEAT_PICKED_MIN
               ? 1
               : 1 - REPEAT_GAIN * (double)repeats->repeated / (double)repeats->picked;
}

/* Runs of the whole: of each `every`, a stretch of them. */
static void take_runs(const int64_t *values, size_t count, size_t run_count, struct sample *lengths,
                      struct sample *heads)
{
    size_t every = run_count / SAMPLE_MAX + 1;
    size_t run = 0;
    size_t taken = 0;
    size_t first = 0;
    struct repeats repeats = {0};
    for (size_t i = 1; i <= count; i++) {
        if (i < count && values[i] == values[first])
            continue;
        add_values(&repeats, &values[first], 1);
        if (run++ / STRETCH_ROWS % every == 0) {
            heads->values[taken] = values[first];
            lengths->values[taken++] = (int64_t)(i - first - 1);
        }
        first = i;
    }
    lengths->count = heads->count = taken;
    lengths->stretch_rows = heads->stretch_rows = taken < STRETCH_ROWS ? taken : STRETCH_ROWS;
    lengths->rows = heads->rows = (double)run_count;
    lengths->fresh = heads->fresh = share_fresh(&repeats);
}

static bool alternates(const struct sample *heads)
{
    bool alternate = true;
    for (size_t i = 2; i < heads->count; i++)
        alternate = alternate && heads->values[i] == heads->values[i - 2];
    return alternate;
}

enum { MAY_DELTA = 1, MAY_DICT = 2, MAY_RUN = 4 };

static double weigh(const struct sample *sample, unsigned depth, unsigned may, double bound,
                    aq_plan *plan);

/* Take a child's plan if with it the node would be smaller. */
static void offer(double cost, enum aq_shape shape, aq_plan child, double *best, aq_plan *plan)
{
    if (cost >= *best)
        return;
    *best = cost;
    *plan = (aq_plan)shape | child << AQ_PLAN_BITS;
}

static void weigh_deltas(const struct sample *sample, unsigned depth, unsigned may, double *best,
                         aq_plan *plan)
{
    struct sample deltas;
    aq_plan child;
    make_deltas(sample, &deltas);
    if (deltas.count == 0)
        return;
    double cost = weigh(&deltas, depth + 1, may | MAY_RUN, *best * DELTA_AGAIN_MAX, &child);
    offer(cost + NODE_BITS, AQ_SHAPE_DELTA, child, best, plan);
}

static void weigh_runs(const struct sample *lengths, const struct sample *heads, unsigned depth,
                       double *best, aq_plan *plan)
{
    aq_plan child;
    double cost =
        weigh(lengths, depth + 1, MAY_DICT | MAY_RUN | MAY_DELTA, *best, &child) + NODE_BITS;
    if (!alternates(heads))
        cost += weigh(heads, depth + 1, MAY_DELTA, *best, &child);
    offer(cost, AQ_SHAPE_RUN, AQ_SHAPE_OPEN, best, plan);
}

/* As offer, of a dictionary; where it may be smaller or not, both are to be tried. */
static void offer_codes(double cost, double *best, aq_plan *plan)
{
    if (cost < *best * DICT_DOUBT_MIN)
        *plan = AQ_SHAPE_DICT | AQ_SHAPE_LEAF << AQ_PLAN_BITS;
    else if (cost < *best * DICT_DOUBT_MAX)
        *plan = AQ_SHAPE_DICT_MAYBE | *plan << AQ_PLAN_BITS;
    *best = cost < *best ? cost : *best;
}

/* Bits that the sampled rows would take at `depth`, and as what. Deltas are only looked into further if they take
 * no more than `bound`. */
static double weigh(const struct sample *sample, unsigned depth, unsigned may, double bound,
                    aq_plan *plan)
{
    struct sample lengths;
    struct sample heads;
    bool may_nest = depth + 1 < AQ_NODE_DEPTH_MAX && sample->count >= 2;
    *plan = AQ_SHAPE_RUN;
    if (may_nest && (may & MAY_RUN) != 0 && make_runs(sample, &lengths, &heads) &&
        heads.count <= sample->count / RUN_ROWS_SURE)
        return NODE_BITS + heads.rows * RUN_BITS;
    double best = weigh_leaf(sample, plan);
    if (!may_nest)
        return best;
    if ((may & MAY_RUN) != 0 && make_runs(sample, &lengths, &heads))
        weigh_runs(&lengths, &heads, depth, &best, plan);
    if ((may & MAY_DELTA) != 0 && best <= bound)
        weigh_deltas(sample, depth, may, &best, plan);
    if ((may & MAY_DICT) != 0)
        offer_codes(weigh_codes(sample), &best, plan);
    return best;
}

static void take_sample(const int64_t *values, size_t count, struct sample *sample)
{
    struct repeats repeats = {0};
    add_values(&repeats, values, count);
    sample->fresh = share_fresh(&repeats);
    sample->rows = (double)count;
    sample->count = count < SAMPLE_MAX ? count : SAMPLE_MAX;
    sample->stretch_rows = count < SAMPLE_MAX ? count : STRETCH_ROWS;
    for (size_t at = 0; at < sample->count; at += sample->stretch_rows) {
        size_t stretch = at / sample->stretch_rows;
        size_t first = stretch * (count - sample->stretch_rows) / (STRETCHES - 1);
        memcpy(sample->values + at, values + first, sample->stretch_rows * sizeof *values);
    }
}

aq_plan aq_plan_make(const int64_t *values, size_t count, size_t run_count, unsigned depth)
{
    bool nests = depth + 1 < AQ_NODE_DEPTH_MAX;
    assert(count > 0);
    if (nests && run_count <= count / RUN_ROWS_SURE)
        return AQ_SHAPE_RUN;
    struct sample sample;
    aq_plan plan;
    take_sample(values, count, &sample);
    double best = weigh(&sample, depth, MAY_DELTA | MAY_DICT, INFINITY, &plan);
    if (nests && run_count <= count / RUN_ROWS_MIN) {
        struct sample heads;
        take_runs(values, count, run_count, &sample, &heads);
        weigh_runs(&sample, &heads, depth, &best, &plan);
    }
    return plan;
}
