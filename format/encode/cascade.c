/* The choice of encodings.
 *
 * The write path (AQ_PROFILE_FRAME) decides by one look at the values: constant, runs, deltas if
 * they span less than the values, else bit packing. Archives estimate what cannot win, try the rest and
 * keep the smallest; equals go to the first tried, so the order below is from cheap to costly to read.
 * Either way the outcome is a function of the values alone. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "format/encode/node.h"

#define RUN_ROWS_MIN 4        /* mean length from which runs are worth a look */
#define DICT_ENTRIES_MAX 4096 /* of integers */
#define DICT_ROWS_MIN 8       /* mean number of rows per entry */

#define WEIGH_ROWS_MIN 256 /* fewer are tried in all ways */
#define WEIGH_MARGIN 1.1   /* what an estimate may be wrong by */
#define ANS_ROWS_MIN 1024  /* its tables take some hundred bytes */
#define ANS_SAVES_MIN 50   /* of so many bytes one must be saved, since it is slower to read */
#define SAMPLE_STRETCHES 16
#define SAMPLE_ROWS 64

/* One look. */
struct profile {
    int64_t min;
    int64_t max;
    size_t run_count;
    uint64_t delta_span; /* of the differences' range, UINT64_MAX when that is wider than 64 bits */
};

static struct profile look(const int64_t *values, size_t count)
{
    struct profile seen = {.min = values[0], .max = values[0], .run_count = 1};
    int64_t delta_min = INT64_MAX;
    int64_t delta_max = INT64_MIN;
    bool overflow = false;
    for (size_t i = 1; i < count; i++) {
        int64_t delta;
        overflow |= __builtin_sub_overflow(values[i], values[i - 1], &delta);
        delta_min = delta < delta_min ? delta : delta_min;
        delta_max = delta > delta_max ? delta : delta_max;
        seen.min = values[i] < seen.min ? values[i] : seen.min;
        seen.max = values[i] > seen.max ? values[i] : seen.max;
        seen.run_count += values[i] != values[i - 1];
    }
    seen.delta_span =
        overflow || count < 2 ? UINT64_MAX : (uint64_t)delta_max - (uint64_t)delta_min;
    return seen;
}

static enum aq_status encode_ints_quick(struct aq_encoder *encoder, const int64_t *values,
                                        size_t count, unsigned depth, const struct profile *seen,
                                        struct aq_bytes *out)
{
    if (depth + 2 < AQ_NODE_DEPTH_MAX && seen->run_count <= count / (2 * RUN_ROWS_MIN))
        return aq_run_encode(encoder, values, count, depth, out);
    uint64_t span = (uint64_t)seen->max - (uint64_t)seen->min;
    if (depth + 1 < AQ_NODE_DEPTH_MAX && seen->delta_span < span / 2)
        return aq_delta_encode(encoder, values, count, depth, out);
    aq_bitpack_encode(values, count, out);
    return AQ_OK;
}

/* Trials append behind each other; the best one is moved to where the first began. */
struct trials {
    struct aq_bytes *out;
    size_t begin;
    size_t best_size; /* SIZE_MAX before the first */
};

static struct trials trials_begin(struct aq_bytes *out)
{
    return (struct trials){.out = out, .begin = out->size, .best_size = SIZE_MAX};
}

/* Where the next trial's bytes begin. */
static size_t trials_end(const struct trials *trials)
{
    return trials->best_size == SIZE_MAX ? trials->begin : trials->begin + trials->best_size;
}

/* Keep what was appended since trials_end if it is smaller than the best so far. */
static void trials_judge(struct trials *trials)
{
    struct aq_bytes *out = trials->out;
    if (out->failed)
        return;
    size_t at = trials_end(trials);
    size_t size = out->size - at;
    if (size < trials->best_size) {
        memmove(out->data + trials->begin, out->data + at, size);
        trials->best_size = size;
    }
    out->size = trials->begin + trials->best_size;
}

/* As trials_judge for a trial that may find that it does not fit. */
static enum aq_status trials_judge_if(struct trials *trials, enum aq_status status)
{
    if (status == AQ_OK)
        trials_judge(trials);
    else
        trials->out->size = trials_end(trials);
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

/* Bits that an entropy coder would need, about: the class (bit length) of each word by how rare it is,
 * then the bits below its highest as they are. */
static double class_cost(const size_t *classes, size_t count)
{
    double bits = 0;
    for (unsigned class = 0; class <= 64; class ++) {
        if (classes[class] == 0)
            continue;
        double rare = log2((double)count / (double)classes[class]);
        bits += (double)classes[class] * (rare + (class == 0 ? 0 : class - 1));
    }
    return bits;
}

/* Whether deltas are worth a trial, and values as they are; at least one of them is. */
static void weigh(const int64_t *values, size_t count, const struct profile *seen, bool *plain,
                  bool *delta)
{
    *plain = true;
    *delta = true;
    if (count < WEIGH_ROWS_MIN)
        return;
    size_t plain_classes[65] = {0};
    size_t delta_classes[65] = {0};
    bool both_signs = seen->min < 0 && seen->max > 0;
    for (size_t i = 1; i < count; i++) {
        uint64_t distance =
            both_signs ? aq_zigzag(values[i]) : (uint64_t)values[i] - (uint64_t)seen->min;
        uint64_t step = aq_zigzag((int64_t)((uint64_t)values[i] - (uint64_t)values[i - 1]));
        plain_classes[distance == 0 ? 0 : 64 - __builtin_clzll(distance)]++;
        delta_classes[step == 0 ? 0 : 64 - __builtin_clzll(step)]++;
    }
    double plain_cost = class_cost(plain_classes, count - 1);
    double delta_cost = class_cost(delta_classes, count - 1);
    *plain = plain_cost <= delta_cost * WEIGH_MARGIN;
    *delta = delta_cost <= plain_cost * WEIGH_MARGIN;
}

static int compare_words(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* By a sample of 16 stretches of 64 values: whether most occur more than once. */
static bool seem_few(const int64_t *values, size_t count)
{
    int64_t sample[SAMPLE_STRETCHES * SAMPLE_ROWS];
    size_t size = 0;
    for (size_t i = 0; i < SAMPLE_STRETCHES && count >= SAMPLE_STRETCHES * SAMPLE_ROWS; i++) {
        size_t first = i * (count - SAMPLE_ROWS) / (SAMPLE_STRETCHES - 1);
        memcpy(sample + size, values + first, SAMPLE_ROWS * sizeof *sample);
        size += SAMPLE_ROWS;
    }
    if (size == 0)
        return count >= 2 * DICT_ROWS_MIN;
    qsort(sample, size, sizeof *sample, compare_words);
    size_t different = 1;
    for (size_t i = 1; i < size; i++)
        different += sample[i] != sample[i - 1];
    return different <= size / 2;
}

static enum aq_status try_dict(struct aq_encoder *encoder, const int64_t *values, size_t count,
                               unsigned depth, const struct profile *seen, struct trials *trials)
{
    uint64_t span = (uint64_t)seen->max - (uint64_t)seen->min;
    if (span <= UINT8_MAX || !seem_few(values, count)) /* one byte plane is a dictionary */
        return AQ_OK;
    size_t entry_max = count / DICT_ROWS_MIN;
    entry_max = entry_max < DICT_ENTRIES_MAX ? entry_max : DICT_ENTRIES_MAX;
    return trials_judge_if(trials,
                           aq_dict_encode(encoder, values, count, entry_max, depth, trials->out));
}

/* A first trial of which only the size is known yet; room for its bytes is made. */
static void trials_claim(struct trials *trials, size_t size)
{
    struct aq_bytes *out = trials->out;
    if (aq_bytes_reserve(out, size) == NULL)
        return;
    trials->best_size = size;
    out->size = trials->begin + size;
}

static enum aq_status try_all(struct aq_encoder *encoder, const int64_t *values, size_t count,
                              unsigned depth, const struct profile *seen, bool plain, bool delta,
                              struct trials *trials)
{
    struct aq_bytes *out = trials->out;
    if (plain) {
        AQ_TRY(trials_judge_if(trials, aq_byteplane_encode(encoder, values, count, out)));
        size_t size_max = trials->best_size - trials->best_size / ANS_SAVES_MIN;
        if (count >= ANS_ROWS_MIN && (uint64_t)seen->max - (uint64_t)seen->min > 3)
            AQ_TRY(trials_judge_if(trials, aq_ans_encode(encoder, values, count, size_max, out)));
    }
    if (depth + 1 == AQ_NODE_DEPTH_MAX || count < 2)
        return AQ_OK;
    if (delta)
        AQ_TRY(trials_judge_if(trials, aq_delta_encode(encoder, values, count, depth, out)));
    if (seen->run_count <= count / RUN_ROWS_MIN)
        AQ_TRY(trials_judge_if(trials, aq_run_encode(encoder, values, count, depth, out)));
    return try_dict(encoder, values, count, depth, seen, trials);
}

/* Bit packing comes first, but its bytes are made last, if nothing was smaller: mostly something is. */
static enum aq_status encode_ints_best(struct aq_encoder *encoder, const int64_t *values,
                                       size_t count, unsigned depth, const struct profile *seen,
                                       struct aq_bytes *out)
{
    struct trials trials = trials_begin(out);
    bool plain = true;
    bool delta = true;
    size_t packed_size = SIZE_MAX;
    if (depth + 1 < AQ_NODE_DEPTH_MAX && count >= 2)
        weigh(values, count, seen, &plain, &delta);
    if (plain) {
        packed_size = aq_bitpack_size(values, count);
        trials_claim(&trials, packed_size);
    }
    AQ_TRY(try_all(encoder, values, count, depth, seen, plain, delta, &trials));
    if (plain && trials.best_size == packed_size) {
        out->size = trials.begin;
        aq_bitpack_encode(values, count, out);
        assert(out->failed || out->size - trials.begin == packed_size);
    }
    return AQ_OK;
}

enum aq_status aq_encode_ints(struct aq_encoder *encoder, const int64_t *values, size_t count,
                              unsigned depth, struct aq_bytes *out)
{
    struct profile seen = look(values, count);
    if (seen.min == seen.max) {
        aq_constant_encode(seen.min, out);
        return AQ_OK;
    }
    if (encoder->options->profile == AQ_PROFILE_FRAME)
        return encode_ints_quick(encoder, values, count, depth, &seen, out);
    return encode_ints_best(encoder, values, count, depth, &seen, out);
}

enum aq_status aq_encode_doubles(struct aq_encoder *encoder, const double *values, size_t count,
                                 struct aq_bytes *out)
{
    /* Nearly all decimals: the bits would only be looked at in vain. */
    bool frame = encoder->options->profile == AQ_PROFILE_FRAME;
    size_t patch_max = count / (frame ? 8 : 64) + 1;
    enum aq_status status = aq_decimal_encode(encoder, values, count, patch_max, out);
    if (status != AQ_NOT_FOUND)
        return status;
    if (frame)
        return aq_bits_encode(encoder, values, count, out);
    struct trials trials = trials_begin(out);
    status = aq_decimal_encode(encoder, values, count, count / 2, out);
    AQ_TRY(trials_judge_if(&trials, status));
    return trials_judge_if(&trials, aq_bits_encode(encoder, values, count, out));
}

enum aq_status aq_encode_slices(struct aq_encoder *encoder, const struct aq_slice *values,
                                size_t count, struct aq_bytes *out)
{
    struct trials trials = trials_begin(out);
    enum aq_status status = aq_text_dict_encode(encoder, values, count, count / 2 + 1, out);
    AQ_TRY(trials_judge_if(&trials, status));
    if (encoder->options->profile == AQ_PROFILE_FRAME && status == AQ_OK)
        return AQ_OK;
    return trials_judge_if(&trials, aq_text_encode(encoder, values, count, 0, out));
}
