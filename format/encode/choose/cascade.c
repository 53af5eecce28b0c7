/* The choice of encodings.
 *
 * The write path (AQ_PROFILE_FRAME) decides by one look at the values: constant, runs, deltas if they span less than the
 * values, else bit packing; fast archives by two. Archives estimate what cannot win, try the rest and
 * keep the smallest; equals go to the first tried, so the order below is from cheap to costly to read; and what is read
 * much slower must be smaller by a margin.
 * Either way the outcome is a function of the values alone. */
#include <assert.h>

#include "format/encode/ans/ans32.h"
#include "format/encode/choose/estimate.h"
#include "format/encode/choose/trials.h"
#include "format/encode/kernel/kernel.h"

#define RUN_ROWS_MIN 4         /* mean length from which runs are worth a look */
#define FLAG_RUN_ROWS_SURE 12  /* and of flags, from which nothing else is */
#define ALTERNATE_ROWS_MIN 128 /* below this packed bits are as small */
#define DELTA_RUN_BITS 128     /* of a run of equal differences, at most */
#define FAST_DELTA_BITS_MIN 3  /* that a difference must save where reading is to be fast */
#define FAST_DICT_BITS_MIN 32  /* of a value that may be worth a code, there, */
#define FAST_DICT_ROWS_MIN 16  /* and mean number of rows per entry */
#define DICT_ENTRIES_MAX 4096  /* of integers */
#define TEXT_ROWS_SURE \
    16 /* mean number of rows per text from which nothing but a dictionary is worth a look */
#define DICT_ROWS_MIN 8 /* mean number of rows per entry */

#define SORTED_DICT_BYTES_MIN 2 /* a value takes otherwise where an ascending dictionary is tried */
#define SORTED_CODES_BYTES_MIN 1 /* and where one is planned, and tried both ways */
#define SORTED_DICT_ROWS_MIN 2   /* mean number of rows per entry of that */

#define COPIED_ROWS_MIN \
    64 /* to a byte of codes and entries, from which copies of the values are tried */
#define COPIES_SAVE_MIN \
    10 /* of the bytes one must be saved by these, which know no different values */

#define WEIGH_ROWS_MIN 256 /* fewer are tried in all ways */
#define ANS_ROWS_MIN 1024  /* its tables take some hundred bytes */
#define ANS_SAVES_MIN 50   /* of so many bytes one must be saved where it is slower to read */
/* Packed bits are read eight times as fast as anything else: of so many of their bytes one must be saved */
#define PACKED_PLANES_SAVE_MIN 10 /* by byte planes, which is by zstd, */
#define PACKED_TOKENS_SAVE_MIN 20 /* and by entropy coding */
/* A multiple costs a multiplication a value, and files have a feature for it: it must save */
#define MULTIPLE_BYTES_MIN 64 /* so many bytes, the least by which chunks differ, */
#define MULTIPLE_SAVES_MIN 50 /* and one of so many */
#define MULTIPLE_ROWS_MAX 16  /* a byte, from which on the digits that all share are hidden */

/* One look. */
struct profile {
    int64_t min;
    int64_t max;
    size_t run_count;
};

static struct profile look(const int64_t *values, size_t count)
{
    struct profile seen;
    aq_kernels()->look(values, count, &seen.min, &seen.max, &seen.run_count);
    seen.run_count++;
    return seen;
}

/* The differences' range; UINT64_MAX where it may be wider than 64 bits. */
static uint64_t span_deltas(const int64_t *values, size_t count, const struct profile *seen)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    if (count < 2 || (uint64_t)seen->max - (uint64_t)seen->min > INT64_MAX)
        return UINT64_MAX;
    for (size_t i = 1; i < count; i++) {
        int64_t delta = values[i] - values[i - 1];
        min = delta < min ? delta : min;
        max = delta > max ? delta : max;
    }
    return (uint64_t)max - (uint64_t)min;
}

/* What values and their differences take as packed bits, and in how many runs the differences are. */
struct bits {
    uint64_t packed;
    uint64_t packed_deltas;
    size_t delta_run_count;
};

static uint64_t pack_bits(const int64_t *values, size_t count, size_t *change_count)
{
    int64_t min;
    int64_t max;
    aq_kernels()->look(values, count, &min, &max, change_count);
    return count * aq_bit_length((uint64_t)max - (uint64_t)min);
}

static struct bits count_bits(const int64_t *values, size_t count)
{
    struct bits bits = {0};
    int64_t deltas[AQ_VECTOR_ROWS_MAX];
    size_t change_count;
    for (size_t first = 0; first + 1 < count; first += AQ_VECTOR_ROWS_MAX) {
        size_t rows =
            count - first - 1 < AQ_VECTOR_ROWS_MAX ? count - first - 1 : AQ_VECTOR_ROWS_MAX;
        for (size_t i = 0; i < rows; i++)
            deltas[i] = (int64_t)((uint64_t)values[first + i + 1] - (uint64_t)values[first + i]);
        bits.packed += pack_bits(values + first, rows, &change_count);
        bits.packed_deltas += pack_bits(deltas, rows, &change_count);
        bits.delta_run_count += change_count + 1;
    }
    return bits;
}

/* Whether differences are worth the sums that reading makes of them: if they are in runs (times at even distances), or much
 * smaller, vector by vector, for a vector is as wide as its widest. */
static bool prefers_deltas(const struct bits *bits, size_t count, unsigned depth)
{
    if (depth + 3 < AQ_NODE_DEPTH_MAX && bits->delta_run_count <= count / (2 * RUN_ROWS_MIN) &&
        bits->delta_run_count * DELTA_RUN_BITS < bits->packed)
        return true;
    return bits->packed_deltas + FAST_DELTA_BITS_MIN * count < bits->packed;
}

/* Neither constant nor runs, for fast reading. A few wide values are read as fast by codes, from much less. */
static enum aq_status encode_ints_fast(struct aq_encoder *encoder, const int64_t *values,
                                       size_t count, unsigned depth, struct aq_bytes *out)
{
    struct bits bits = count_bits(values, count);
    size_t entry_max = count / FAST_DICT_ROWS_MIN;
    entry_max = entry_max < DICT_ENTRIES_MAX ? entry_max : DICT_ENTRIES_MAX;
    if (prefers_deltas(&bits, count, depth))
        return aq_delta_encode(encoder, values, count, depth, out);
    if (bits.packed >= FAST_DICT_BITS_MIN * count) {
        enum aq_status status =
            aq_dict_encode(encoder, values, count, entry_max, AQ_ENTRIES_AS_MET, depth, out);
        if (status != AQ_NOT_FOUND)
            return status;
    }
    aq_bitpack_encode(values, count, out);
    return AQ_OK;
}

static enum aq_status encode_ints_quick(struct aq_encoder *encoder, const int64_t *values,
                                        size_t count, unsigned depth, const struct profile *seen,
                                        struct aq_bytes *out)
{
    bool nests = depth + 1 < AQ_NODE_DEPTH_MAX;
    if (depth + 2 < AQ_NODE_DEPTH_MAX && seen->run_count <= count / (2 * RUN_ROWS_MIN))
        return aq_run_encode(encoder, values, count, depth, out);
    if (nests && encoder->options->profile == AQ_PROFILE_FAST)
        return encode_ints_fast(encoder, values, count, depth, out);
    uint64_t span = (uint64_t)seen->max - (uint64_t)seen->min;
    if (nests && span_deltas(values, count, seen) < span / 2)
        return aq_delta_encode(encoder, values, count, depth, out);
    aq_bitpack_encode(values, count, out);
    return AQ_OK;
}

static enum aq_status try_dict(struct aq_encoder *encoder, const int64_t *values, size_t count,
                               unsigned depth, const struct profile *seen, struct aq_trials *trials)
{
    uint64_t span = (uint64_t)seen->max - (uint64_t)seen->min;
    if (span <= UINT8_MAX || count < 2 * DICT_ROWS_MIN) /* one byte plane is a dictionary */
        return AQ_OK;
    size_t entry_max = count / DICT_ROWS_MIN;
    entry_max = entry_max < DICT_ENTRIES_MAX ? entry_max : DICT_ENTRIES_MAX;
    return aq_trials_end(trials, aq_dict_encode(encoder, values, count, entry_max,
                                                AQ_ENTRIES_AS_MET, depth, trials->out));
}

/* By entropy: in 32 lanes if they are long enough, and words not too large. */
static enum aq_status encode_tokens(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                    const struct profile *seen, size_t size_max,
                                    struct aq_bytes *out)
{
    if (count >= AQ_ANS32_ROWS_MIN && (uint64_t)seen->max - (uint64_t)seen->min <= INT32_MAX)
        return aq_ans32_encode(encoder, values, count, size_max, out);
    return aq_ans_encode(encoder, values, count, size_max, out);
}

/* What holds no other node, the smallest of them, unless much repeats what came long before. Bit packing is what the others must
 * be much smaller than, but its bytes are made last, if nothing was: mostly something is. */
static enum aq_status encode_leaf(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                  unsigned depth, enum aq_shape shape, const struct profile *seen,
                                  struct aq_bytes *out)
{
    if (shape != AQ_SHAPE_ANS && count >= AQ_ANS32_ROWS_MIN && !encoder->repeating) {
        enum aq_status status = aq_repeat_encode(encoder, values, count, depth, out);
        if (status != AQ_NOT_FOUND)
            return status;
    }
    shape = shape == AQ_SHAPE_COPIES ? AQ_SHAPE_ANS : shape;
    struct aq_trials trials = aq_trials_begin(encoder, out);
    size_t packed_size = aq_bitpack_size(values, count);
    trials.best_size = packed_size - packed_size / PACKED_PLANES_SAVE_MIN;
    if (shape != AQ_SHAPE_ANS)
        AQ_TRY(aq_trials_end(&trials, aq_byteplane_encode(encoder, values, count, out)));
    if (trials.kept_size == 0)
        trials.best_size = packed_size - packed_size / PACKED_TOKENS_SAVE_MIN;
    size_t size_max = trials.best_size;
    if (count < AQ_ANS32_ROWS_MIN)
        size_max -= size_max / ANS_SAVES_MIN;
    if (shape != AQ_SHAPE_PLANES && count >= ANS_ROWS_MIN && seen->max - 1 != seen->min)
        AQ_TRY(aq_trials_end(&trials, encode_tokens(encoder, values, count, seen, size_max, out)));
    if (trials.kept_size == 0) {
        aq_bitpack_encode(values, count, out);
        assert(out->failed || out->size - trials.begin == packed_size);
    }
    return AQ_OK;
}

/* Few values: every way. */
static enum aq_status try_all(struct aq_encoder *encoder, const int64_t *values, size_t count,
                              unsigned depth, const struct profile *seen, struct aq_bytes *out)
{
    struct aq_trials trials = aq_trials_begin(encoder, out);
    AQ_TRY(aq_trials_end(&trials,
                         encode_leaf(encoder, values, count, depth, AQ_SHAPE_LEAF, seen, out)));
    if (depth + 1 == AQ_NODE_DEPTH_MAX || count < 2)
        return AQ_OK;
    AQ_TRY(aq_trials_end(&trials, aq_delta_encode(encoder, values, count, depth, out)));
    if (seen->run_count <= count / RUN_ROWS_MIN)
        AQ_TRY(aq_trials_end(&trials, aq_run_encode(encoder, values, count, depth, out)));
    return try_dict(encoder, values, count, depth, seen, &trials);
}

/* Flags: nothing but runs may be smaller than a leaf, which in turn may only where they are short. */
static enum aq_status encode_flags(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                   unsigned depth, const struct profile *seen, struct aq_bytes *out)
{
    struct aq_trials trials = aq_trials_begin(encoder, out);
    bool nests = depth + 1 < AQ_NODE_DEPTH_MAX;
    if (nests && seen->run_count <= count / FLAG_RUN_ROWS_SURE)
        return aq_run_encode(encoder, values, count, depth, out);
    if (nests && seen->run_count <= count / RUN_ROWS_MIN)
        AQ_TRY(aq_trials_end(&trials, aq_run_encode(encoder, values, count, depth, out)));
    return aq_trials_end(&trials,
                         encode_leaf(encoder, values, count, depth, AQ_SHAPE_LEAF, seen, out));
}

/* Where next to nothing is left, it is entries and the first of codes that repeat: the values repeat, too, without codes. */
static enum aq_status try_copies(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                 unsigned depth, struct aq_trials *trials)
{
    if (encoder->repeating || count < AQ_ANS32_ROWS_MIN ||
        trials->best_size > count / COPIED_ROWS_MIN)
        return AQ_OK;
    trials->best_size -= trials->best_size / COPIES_SAVE_MIN;
    return aq_trials_end(trials, aq_repeat_encode(encoder, values, count, depth, trials->out));
}

/* Codes that take much are those of many entries, which are smaller in ascending order; codes may be or not. */
static enum aq_status encode_dict(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                  unsigned depth, struct aq_bytes *out)
{
    struct aq_trials trials = aq_trials_begin(encoder, out);
    aq_plan codes_plan = encoder->plan;
    enum aq_status status =
        aq_dict_encode(encoder, values, count, count, AQ_ENTRIES_AS_MET, depth, out);
    AQ_TRY(aq_trials_end(&trials, status));
    if (trials.best_size <= count * SORTED_CODES_BYTES_MIN)
        return try_copies(encoder, values, count, depth, &trials);
    encoder->plan = codes_plan;
    status = aq_dict_encode(encoder, values, count, count, AQ_ENTRIES_ASCENDING, depth, out);
    return aq_trials_end(&trials, status);
}

static enum aq_status encode_as_planned(struct aq_encoder *encoder, const int64_t *values,
                                        size_t count, unsigned depth, aq_plan plan,
                                        const struct profile *seen, struct aq_bytes *out)
{
    encoder->plan = plan >> AQ_PLAN_BITS;
    switch (aq_plan_shape(plan)) {
    case AQ_SHAPE_DELTA:
        return aq_delta_encode(encoder, values, count, depth, out);
    case AQ_SHAPE_RUN:
        return aq_run_encode(encoder, values, count, depth, out);
    case AQ_SHAPE_DICT:
        return encode_dict(encoder, values, count, depth, out);
    default:
        return encode_leaf(encoder, values, count, depth, aq_plan_shape(plan), seen, out);
    }
}

/* Where values take much, for they have many digits, and yet are often equal: ascending entries take the digits once, and
 * share the highest. No sample shows how many there are. */
static enum aq_status try_sorted_dict(struct aq_encoder *encoder, const int64_t *values,
                                      size_t count, unsigned depth, struct aq_trials *trials)
{
    if (depth + 2 >= AQ_NODE_DEPTH_MAX || trials->best_size <= count * SORTED_DICT_BYTES_MIN)
        return AQ_OK;
    return aq_trials_end(trials,
                         aq_dict_encode(encoder, values, count, count / SORTED_DICT_ROWS_MIN,
                                        AQ_ENTRIES_ASCENDING, depth, trials->out));
}

/* Many values: the way that a sample shows to be the smallest. */
static enum aq_status encode_many(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                  unsigned depth, aq_plan plan, const struct profile *seen,
                                  struct aq_bytes *out)
{
    bool planned = aq_plan_shape(plan) != AQ_SHAPE_OPEN;
    if (!planned)
        plan = aq_plan_make(values, count, seen->run_count, depth);
    bool codes_maybe = aq_plan_shape(plan) == AQ_SHAPE_DICT_MAYBE;
    struct aq_trials trials = aq_trials_begin(encoder, out);
    enum aq_status status = encode_as_planned(encoder, values, count, depth,
                                              codes_maybe ? plan >> AQ_PLAN_BITS : plan, seen, out);
    AQ_TRY(aq_trials_end(&trials, status));
    if (codes_maybe) {
        status = encode_as_planned(encoder, values, count, depth,
                                   AQ_SHAPE_DICT | AQ_SHAPE_LEAF << AQ_PLAN_BITS, seen, out);
        AQ_TRY(aq_trials_end(&trials, status));
    }
    return planned ? AQ_OK : try_sorted_dict(encoder, values, count, depth, &trials);
}

/* In an archive, values that are not all equal. */
static enum aq_status encode_by_count(struct aq_encoder *encoder, const int64_t *values,
                                      size_t count, unsigned depth, aq_plan plan,
                                      const struct profile *seen, struct aq_bytes *out)
{
    bool two = seen->max - 1 == seen->min;
    if (two && seen->run_count == count && count >= ALTERNATE_ROWS_MIN && !encoder->repeating)
        return aq_alternation_encode(encoder, values, count, depth, out);
    if (count < WEIGH_ROWS_MIN)
        return try_all(encoder, values, count, depth, seen, out);
    if (two)
        return encode_flags(encoder, values, count, depth, seen, out);
    return encode_many(encoder, values, count, depth, plan, seen, out);
}

/* As they are, and as multiples, which need not be smaller: dictionaries and runs tell the digits that all differences share
 * only once, too. */
static enum aq_status try_multiple(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                   uint64_t multiple, unsigned depth, aq_plan plan,
                                   const struct profile *seen, struct aq_bytes *out)
{
    struct aq_trials trials = aq_trials_begin(encoder, out);
    encoder->multiplying = true;
    enum aq_status status = encode_by_count(encoder, values, count, depth, plan, seen, out);
    encoder->multiplying = false;
    AQ_TRY(aq_trials_end(&trials, status));
    size_t least = trials.best_size / MULTIPLE_SAVES_MIN;
    least = least > MULTIPLE_BYTES_MIN ? least : MULTIPLE_BYTES_MIN;
    if (out->failed || trials.best_size <= least || trials.best_size < count / MULTIPLE_ROWS_MAX)
        return AQ_OK;
    trials.best_size -= least;
    status = aq_multiple_encode(encoder, values, count, multiple, depth, out);
    return aq_trials_end(&trials, status);
}

static enum aq_status encode_ints(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                  unsigned depth, struct aq_bytes *out)
{
    struct profile seen = look(values, count);
    aq_plan plan = encoder->plan;
    encoder->plan = AQ_SHAPE_OPEN;
    if (seen.min == seen.max) {
        aq_constant_encode(seen.min, out);
        return AQ_OK;
    }
    if (encoder->options->profile != AQ_PROFILE_ARCHIVE)
        return encode_ints_quick(encoder, values, count, depth, &seen, out);
    uint64_t multiple = encoder->multiplying ? 1 : aq_multiple_find(values, count);
    if (multiple > 1)
        return try_multiple(encoder, values, count, multiple, depth, plan, &seen, out);
    return encode_by_count(encoder, values, count, depth, plan, &seen, out);
}

enum aq_status aq_encode_ints(struct aq_encoder *encoder, const int64_t *values, size_t count,
                              unsigned depth, struct aq_bytes *out)
{
    struct aq_arena_mark mark = aq_arena_mark(&encoder->scratch);
    enum aq_status status = encode_ints(encoder, values, count, depth, out);
    aq_arena_rewind(&encoder->scratch, mark);
    return status;
}

enum aq_status aq_encode_doubles(struct aq_encoder *encoder, const double *values, size_t count,
                                 struct aq_bytes *out)
{
    /* Nearly all decimals: the bits would only be looked at in vain. */
    bool quick = encoder->options->profile != AQ_PROFILE_ARCHIVE;
    size_t patch_max = count / (quick ? 8 : 64) + 1;
    enum aq_status status = aq_decimal_encode(encoder, values, count, patch_max, out);
    if (status != AQ_NOT_FOUND)
        return status;
    if (quick)
        return aq_bits_encode(encoder, values, count, out);
    struct aq_trials trials = aq_trials_begin(encoder, out);
    status = aq_decimal_encode(encoder, values, count, count / 2, out);
    AQ_TRY(aq_trials_end(&trials, status));
    return aq_trials_end(&trials, aq_bits_encode(encoder, values, count, out));
}

enum aq_status aq_encode_slices(struct aq_encoder *encoder, const struct aq_slice *values,
                                size_t count, struct aq_bytes *out)
{
    struct aq_trials trials = aq_trials_begin(encoder, out);
    enum aq_status status =
        aq_text_dict_encode(encoder, values, count, count / TEXT_ROWS_SURE, out);
    if (status != AQ_NOT_FOUND)
        return status;
    status = aq_text_dict_encode(encoder, values, count, count / 2 + 1, out);
    AQ_TRY(aq_trials_end(&trials, status));
    if (encoder->options->profile != AQ_PROFILE_ARCHIVE && status == AQ_OK)
        return AQ_OK;
    return aq_trials_end(&trials, aq_text_encode(encoder, values, count, 0, out));
}
