/* The choice of encodings.
 *
 * The write path (AQ_PROFILE_FRAME) decides by one look at the values: constant, runs, deltas if
 * they span less than the values, else bit packing. Archives try what may fit and keep the smallest;
 * equals go to the first tried, so the order below is from cheap to costly to read. Either way the
 * outcome is a function of the values alone. */
#include "format/encode/node.h"

#define RUN_ROWS_MIN 4        /* mean length from which runs are worth a look */
#define DICT_ENTRIES_MAX 4096 /* of integers */
#define DICT_ROWS_MIN 8       /* mean number of rows per entry */

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

static enum aq_status encode_ints_best(struct aq_encoder *encoder, const int64_t *values,
                                       size_t count, unsigned depth, const struct profile *seen,
                                       struct aq_bytes *out)
{
    struct trials trials = trials_begin(out);
    aq_bitpack_encode(values, count, out);
    trials_judge(&trials);
    AQ_TRY(trials_judge_if(&trials, aq_byteplane_encode(encoder, values, count, out)));
    if (depth + 1 == AQ_NODE_DEPTH_MAX || count < 2)
        return AQ_OK;
    AQ_TRY(trials_judge_if(&trials, aq_delta_encode(encoder, values, count, depth, out)));
    if (seen->run_count <= count / RUN_ROWS_MIN)
        AQ_TRY(trials_judge_if(&trials, aq_run_encode(encoder, values, count, depth, out)));
    uint64_t span = (uint64_t)seen->max - (uint64_t)seen->min;
    if (span > 2 * count && count >= 2 * DICT_ROWS_MIN) {
        size_t entry_max = count / DICT_ROWS_MIN;
        entry_max = entry_max < DICT_ENTRIES_MAX ? entry_max : DICT_ENTRIES_MAX;
        enum aq_status status = aq_dict_encode(encoder, values, count, entry_max, depth, out);
        AQ_TRY(trials_judge_if(&trials, status));
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
    size_t patch_max = count / 8 + 1;
    if (encoder->options->profile == AQ_PROFILE_FRAME) {
        enum aq_status status = aq_decimal_encode(encoder, values, count, patch_max, out);
        return status == AQ_NOT_FOUND ? aq_bits_encode(encoder, values, count, out) : status;
    }
    struct trials trials = trials_begin(out);
    enum aq_status status = aq_decimal_encode(encoder, values, count, patch_max, out);
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
