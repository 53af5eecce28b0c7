/* Doubles that people wrote as decimals: value = (integer x multiple) / 10^exponent, where that gives
 * the same bits back; all other values (-0.0, NaN, infinities, true doubles) are patches, kept as
 * their bits. Exponent and multiple are chosen per segment, for scales differ between series, and
 * change when an instrument does.
 *
 * Both operands of the division are exact, so its result is the double nearest to the decimal,
 * which is what reading the decimal's text gives too.
 * @source Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023;
 * division in place of its multiplications, so that every decimal of 15 digits is hit. */
#include "format/base/log2.h"
#include "format/encode/kernel/kernel.h"
#include "format/encode/node.h"

#include <assert.h>
#include <math.h>

#define EXPONENT_MAX 22                          /* 10^22 is the last power that is a double */
#define INTEGER_MAX ((double)(INT64_C(1) << 53)) /* above, integers are not all doubles */
#define SEGMENT_ROWS 512                         /* about as many at least */
#define SEGMENT_ROWS_MAX (2 * SEGMENT_ROWS)
#define SEGMENT_BITS 1024.0 /* what a change of scale costs, about */
#define PATCH_BITS 96.0     /* what a patch costs, about */
#define DIGIT_BITS 3.3219   /* what another decimal digit may cost */
#define PATCH_BLOCK 64      /* rows, in which patches are looked for if they are not all decimals */

static const double powers[EXPONENT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

struct segment {
    size_t first;
    size_t count;
    uint8_t exponent;
    uint64_t multiple;
    size_t change_count; /* rows that differ from the one before */
};

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Whether `value` is integer / 10^exponent to the bit, and which integer. */
static bool as_decimal(double value, unsigned exponent, int64_t *integer)
{
    double scaled = value * powers[exponent];
    if (!(fabs(scaled) <= INTEGER_MAX))
        return false;
    *integer = (int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
    return bits_of((double)*integer / powers[exponent]) == bits_of(value);
}

/* The exponent that costs least: digits for all values, or patches for those that need more. What no exponent suits costs
 * the same with each. `integers` is where to work. */
static uint8_t choose_exponent(const double *values, size_t count, int64_t *integers)
{
    double best_saving = -INFINITY;
    uint8_t best = 0;
    for (uint8_t exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
        double digits = (double)count * DIGIT_BITS * exponent;
        if ((double)count * PATCH_BITS - digits <= best_saving)
            break; /* even if it suited all values */
        size_t fit = aq_kernels()->to_decimals(values, count, powers[exponent], integers);
        double saving = (double)fit * PATCH_BITS - digits;
        if (saving > best_saving) {
            best_saving = saving;
            best = exponent;
        }
    }
    return best;
}

static uint64_t magnitude(int64_t integer)
{
    return integer < 0 ? (uint64_t)-integer : (uint64_t)integer;
}

/* As choose_exponent, where `hint` suits all values: one below it must leave few patches to be cheaper. Few segments
 * have another exponent than the one before. `integers` are those of the exponent. */
static bool try_exponent(const double *values, size_t count, uint8_t hint, uint8_t *chosen,
                         int64_t *integers)
{
    int64_t other[SEGMENT_ROWS_MAX];
    if (count > SEGMENT_ROWS_MAX ||
        aq_kernels()->to_decimals(values, count, powers[hint], integers) < count)
        return false;
    double best_cost = (double)count * DIGIT_BITS * hint;
    *chosen = hint;
    for (uint8_t exponent = hint; exponent-- > 0;) {
        size_t fit = aq_kernels()->to_decimals(values, count, powers[exponent], other);
        double patch_cost = (double)(count - fit) * PATCH_BITS;
        double cost = patch_cost + (double)count * DIGIT_BITS * exponent;
        if (cost <= best_cost) {
            best_cost = cost;
            *chosen = exponent;
        }
        if (patch_cost >= best_cost)
            break;
    }
    return *chosen == hint;
}

static uint64_t add_multiple(uint64_t multiple, int64_t integer)
{
    uint64_t size = magnitude(integer);
    return multiple != 0 && size % multiple == 0 ? multiple : aq_common_divisor(multiple, size);
}

/* Rows of a segment that differ from the one before; the one segment of a frame, which joins no other, may be too long to
 * tell. */
static size_t count_changes(const double *values, size_t first, size_t count)
{
    int64_t bits[SEGMENT_ROWS_MAX + 1];
    int64_t bound;
    size_t changes;
    if (count > SEGMENT_ROWS_MAX)
        return 0;
    size_t before = first > 0;
    memcpy(bits, values + first - before, (count + before) * sizeof *bits);
    aq_kernels()->look(bits, count + before, &bound, &bound, &changes);
    return changes;
}

/* The scale that suits the segment's values; `hint` is the exponent of the segment before. */
static void measure(const double *values, struct segment *segment, uint8_t hint, int64_t *integers)
{
    size_t end = segment->first + segment->count;
    uint64_t multiple = 0;
    const double *own = values + segment->first;
    bool all = try_exponent(own, segment->count, hint, &segment->exponent, integers);
    if (!all)
        segment->exponent = choose_exponent(own, segment->count, integers);
    for (size_t i = segment->first; i < end && multiple != 1; i++) {
        if (all || as_decimal(values[i], segment->exponent, &integers[i - segment->first]))
            multiple = add_multiple(multiple, integers[i - segment->first]);
    }
    segment->change_count = count_changes(values, segment->first, segment->count);
    segment->multiple = multiple == 0 ? 1 : multiple;
}

/* Where the segment that begins at `first` ends: at a run's start, if one is near. */
static size_t block_end(const struct aq_encode_options *options, size_t first, size_t count,
                        size_t *run)
{
    while (*run < options->run_count && options->run_starts[*run] < first + SEGMENT_ROWS / 2)
        (*run)++;
    size_t end = first + SEGMENT_ROWS;
    if (*run < options->run_count && options->run_starts[*run] < first + SEGMENT_ROWS * 3 / 2)
        end = options->run_starts[*run];
    return end < count ? end : count;
}

/* The step of values in units of 10^-exponent; 0 if that is beyond 64 bits. */
static uint64_t step_in(const struct segment *segment, unsigned exponent)
{
    uint64_t step = segment->multiple;
    for (unsigned e = segment->exponent; e < exponent; e++) {
        if (__builtin_mul_overflow(step, 10, &step))
            return 0;
    }
    return step;
}

/* Give `segment` and the one behind it one scale, if that costs less than a change of scale. */
static bool join(struct segment *segment, const struct segment *next)
{
    uint8_t exponent = segment->exponent > next->exponent ? segment->exponent : next->exponent;
    uint64_t step = step_in(segment, exponent);
    uint64_t next_step = step_in(next, exponent);
    uint64_t joint = aq_common_divisor(step, next_step);
    if (step == 0 || next_step == 0)
        return false;
    double cost = (double)segment->change_count * aq_log2((double)step / (double)joint) +
                  (double)next->change_count * aq_log2((double)next_step / (double)joint);
    if (cost > SEGMENT_BITS)
        return false;
    segment->count += next->count;
    segment->change_count += next->change_count;
    segment->exponent = exponent;
    segment->multiple = joint;
    return true;
}

/* In frames one scale; in archives as many as pay. `segments` has room for one per block. */
static size_t make_segments(const struct aq_encode_options *options, const double *values,
                            size_t count, struct segment *segments, int64_t *integers)
{
    uint8_t hint = 0;
    size_t made = 0;
    size_t run = 0;
    for (size_t first = 0; first < count;) {
        size_t end = count;
        if (options->profile != AQ_PROFILE_FRAME)
            end = block_end(options, first, count, &run);
        struct segment next = {.first = first, .count = end - first};
        measure(values, &next, hint, integers + first);
        hint = next.exponent;
        if (made == 0 || !join(&segments[made - 1], &next))
            segments[made++] = next;
        first = end;
    }
    return made;
}

/* Integers of the segment, their greatest common divisor taken out. Where a value is no decimal,
 * the row is noted as a patch and the integer before it is repeated. */
static void encode_segment(const double *values, struct segment *segment, int64_t *integers,
                           int64_t *patches, size_t *patch_count)
{
    uint64_t multiple = 0;
    int64_t previous = 0;
    size_t first = segment->first;
    size_t end = first + segment->count;
    bool all = aq_kernels()->to_decimals(values + first, segment->count, powers[segment->exponent],
                                         integers + first) == segment->count;
    if (all && segment->multiple == 1)
        return;
    for (size_t at = first, stop; at < end; at = stop) {
        stop = end - at < PATCH_BLOCK ? end : at + PATCH_BLOCK;
        all = aq_kernels()->to_decimals(values + at, stop - at, powers[segment->exponent],
                                        integers + at) == stop - at;
        for (size_t i = at; i < stop && !(all && multiple == 1); i++) {
            if (all || as_decimal(values[i], segment->exponent, &integers[i])) {
                previous = integers[i];
                multiple = multiple == 1 ? 1 : add_multiple(multiple, previous);
                continue;
            }
            patches[(*patch_count)++] = (int64_t)i;
            integers[i] = previous;
        }
        previous = integers[stop - 1];
    }
    segment->multiple = multiple == 0 ? 1 : multiple;
    for (size_t i = segment->first; segment->multiple > 1 && i < end; i++)
        integers[i] /= (int64_t)segment->multiple;
}

static void append_segments(const struct segment *segments, size_t segment_count,
                            struct aq_bytes *out)
{
    aq_bytes_u8(out, AQ_ENCODING_DECIMAL);
    aq_bytes_varint(out, segment_count);
    for (size_t i = 0; i < segment_count; i++) {
        aq_bytes_varint(out, segments[i].count);
        aq_bytes_u8(out, segments[i].exponent);
        aq_bytes_varint(out, segments[i].multiple);
    }
}

static enum aq_status append_patches(struct aq_encoder *encoder, const double *values,
                                     int64_t *patches, size_t patch_count, struct aq_bytes *out)
{
    aq_bytes_varint(out, patch_count);
    if (patch_count == 0)
        return AQ_OK;
    AQ_TRY(aq_encode_ints(encoder, patches, patch_count, 1, out));
    for (size_t i = 0; i < patch_count; i++)
        patches[i] = (int64_t)bits_of(values[patches[i]]);
    return aq_encode_ints(encoder, patches, patch_count, 1, out);
}

enum aq_status aq_decimal_encode(struct aq_encoder *encoder, const double *values, size_t count,
                                 size_t patch_max, struct aq_bytes *out)
{
    size_t segment_max = count / (SEGMENT_ROWS / 2) + 1;
    int64_t *integers = aq_encoder_alloc(encoder, count, sizeof *integers);
    int64_t *patches = aq_encoder_alloc(encoder, count, sizeof *patches);
    struct segment *segments = aq_encoder_alloc(encoder, segment_max, sizeof *segments);
    if (integers == NULL || patches == NULL || segments == NULL)
        return AQ_NO_MEMORY;
    size_t segment_count = make_segments(encoder->options, values, count, segments, integers);
    size_t patch_count = 0;
    for (size_t i = 0; i < segment_count && patch_count <= patch_max; i++)
        encode_segment(values, &segments[i], integers, patches, &patch_count);
    if (patch_count > patch_max)
        return AQ_NOT_FOUND;
    append_segments(segments, segment_count, out);
    AQ_TRY(append_patches(encoder, values, patches, patch_count, out));
    encoder->multiplying = true; /* theirs has been taken out */
    enum aq_status status = aq_encode_ints(encoder, integers, count, 1, out);
    encoder->multiplying = false;
    return status;
}

static enum aq_status decode_segments(struct aq_decoder *decoder, size_t count,
                                      struct segment **segments, size_t *segment_count)
{
    uint64_t read = aq_reader_varint(&decoder->reader);
    if (read == 0 || read > count)
        return aq_decoder_corrupt(decoder);
    AQ_TRY(aq_decoder_alloc(decoder, read, sizeof **segments, segments));
    size_t first = 0;
    for (size_t i = 0; i < read; i++) {
        uint64_t rows = aq_reader_varint(&decoder->reader);
        uint8_t exponent = aq_reader_u8(&decoder->reader);
        uint64_t multiple = aq_reader_varint(&decoder->reader);
        if (rows == 0 || rows > count - first || exponent > EXPONENT_MAX || multiple == 0)
            return aq_decoder_corrupt(decoder);
        (*segments)[i] = (struct segment){
            .first = first, .count = rows, .exponent = exponent, .multiple = multiple};
        first += rows;
    }
    *segment_count = read;
    if (read == 1)
        aq_decoder_trace(decoder, " %llux10^-%u", (unsigned long long)(*segments)->multiple,
                         (*segments)->exponent);
    else
        aq_decoder_trace(decoder, " %zu scales", (size_t)read);
    return first == count ? AQ_OK : aq_decoder_corrupt(decoder);
}

static enum aq_status decode_patches(struct aq_decoder *decoder, size_t count, int64_t **rows,
                                     int64_t **bits, size_t *patch_count)
{
    *patch_count = aq_reader_varint(&decoder->reader);
    if (*patch_count > count)
        return aq_decoder_corrupt(decoder);
    if (*patch_count == 0)
        return aq_decoder_check(decoder);
    AQ_TRY(aq_decoder_alloc(decoder, *patch_count, sizeof **rows, rows));
    AQ_TRY(aq_decoder_alloc(decoder, *patch_count, sizeof **bits, bits));
    AQ_TRY(aq_decode_ints(decoder, *rows, *patch_count));
    AQ_TRY(aq_decode_ints(decoder, *bits, *patch_count));
    for (size_t i = 0; i < *patch_count; i++) {
        if ((uint64_t)(*rows)[i] >= count)
            return aq_decoder_corrupt(decoder);
    }
    return AQ_OK;
}

/* Integers of rows [first, end) become doubles. `segment` is one of those that begin before `end`; returns the last one
 * that was used. */
static const struct segment *scale_rows(const struct aq_decoder *decoder,
                                        const struct segment *segment, size_t first, size_t end,
                                        int64_t *words)
{
    for (;; segment++) {
        size_t segment_end = segment->first + segment->count;
        size_t stop = segment_end < end ? segment_end : end;
        if (first < stop)
            decoder->kernels->decimals(words + first, stop - first, segment->multiple,
                                       powers[segment->exponent]);
        first = stop > first ? stop : first;
        if (segment_end >= end)
            return segment;
    }
}

/* Steps become doubles; those before what is wanted are added up only. */
static void scale_steps(const struct aq_decoder *decoder, const struct segment *segment,
                        int64_t *words)
{
    uint64_t last = 0; /* integer */
    size_t end = decoder->wanted.end;
    size_t at = decoder->wanted.first < end ? decoder->wanted.first : end;
    decoder->kernels->sums(words, at, 0);
    if (at > 0)
        last = (uint64_t)words[at - 1];
    for (; at < end; segment++) {
        size_t stop = segment->first + segment->count;
        stop = stop < end ? stop : end;
        if (at >= stop)
            continue;
        last = decoder->kernels->sum_decimals(words + at, stop - at, last, segment->multiple,
                                              powers[segment->exponent]);
        at = stop;
    }
}

enum aq_status aq_decimal_decode(struct aq_decoder *decoder, double *values, size_t count)
{
    struct segment *segments;
    size_t segment_count = 0;
    int64_t *rows = NULL;
    int64_t *bits = NULL;
    size_t patch_count;
    int64_t *words = (void *)values; /* integers become doubles in their place */
    AQ_TRY(decode_segments(decoder, count, &segments, &segment_count));
    AQ_TRY(decode_patches(decoder, count, &rows, &bits, &patch_count));
    bool are_steps = false;
    AQ_TRY(aq_decode_row_steps(decoder, words, count, &are_steps));
    const struct segment *segment = segments;
    if (are_steps)
        scale_steps(decoder, segment, words);
    for (size_t first = 0, end = 0; !are_steps && aq_wanted_next(&decoder->wanted, &first, &end);)
        segment = scale_rows(decoder, segment, first, end, words);
    assert(patch_count == 0 || (rows != NULL && bits != NULL));
    for (size_t i = 0; i < patch_count; i++)
        memcpy(&values[rows[i]], &bits[i], sizeof bits[i]);
    return AQ_OK;
}

/* Of one scale alone: a value of others would stand for several doubles, and a patch for its row. */
enum aq_status aq_decimal_factor(struct aq_decoder *decoder, struct aq_factored *factored)
{
    struct segment *segments;
    size_t segment_count = 0;
    int64_t *rows = NULL;
    int64_t *bits = NULL;
    size_t patch_count;
    AQ_TRY(decode_segments(decoder, factored->codes.row_count, &segments, &segment_count));
    if (segment_count > 1)
        return AQ_NOT_FOUND;
    AQ_TRY(decode_patches(decoder, factored->codes.row_count, &rows, &bits, &patch_count));
    if (patch_count > 0)
        return AQ_NOT_FOUND;
    AQ_TRY(aq_factor_row_ints(decoder, factored));
    decoder->kernels->decimals(factored->values.ints, factored->values.row_count,
                               segments->multiple, powers[segments->exponent]);
    return AQ_OK;
}

/* What the segment makes of an integer; false: the product wraps around. */
static bool scale(const struct segment *segment, int64_t integer, double *value)
{
    int64_t product;
    if (segment->multiple > INT64_MAX ||
        __builtin_mul_overflow(integer, (int64_t)segment->multiple, &product))
        return false;
    *value = (double)product / powers[segment->exponent];
    return true;
}

/* Bounds of a vector's integers become bounds of its doubles, since rounding and dividing keep an order. Its rows are those
 * of the segments from the first one on that begin before `end`. */
static void scale_bounds(const struct segment *segments, const struct segment *segments_end,
                         size_t end, struct aq_column_stats *stats)
{
    struct aq_column_stats scaled = {0};
    for (const struct segment *segment = segments; segment < segments_end && segment->first < end;
         segment++) {
        struct aq_column_stats own = {.row_count = 1};
        own.bounds_known = scale(segment, stats->min.integer, &own.min.real) &&
                           scale(segment, stats->max.integer, &own.max.real);
        aq_stats_merge(AQ_TYPE_DOUBLE, &scaled, &own);
    }
    *stats = scaled;
}

enum aq_status aq_decimal_bounds(struct aq_decoder *decoder, size_t count,
                                 struct aq_column_stats *stats)
{
    struct segment *segments;
    size_t segment_count = 0;
    int64_t *rows = NULL;
    int64_t *bits = NULL;
    size_t patch_count;
    AQ_TRY(decode_segments(decoder, count, &segments, &segment_count));
    AQ_TRY(decode_patches(decoder, count, &rows, &bits, &patch_count));
    AQ_TRY(aq_bounds_row_ints(decoder, count, stats));
    const struct segment *segments_end = segments + segment_count;
    for (size_t first = 0; first < count; first += AQ_VECTOR_ROWS_MAX) {
        while (segments->first + segments->count <= first)
            segments++;
        scale_bounds(segments, segments_end, first + AQ_VECTOR_ROWS_MAX,
                     &stats[first / AQ_VECTOR_ROWS_MAX]);
    }
    assert(patch_count == 0 || (rows != NULL && bits != NULL));
    for (size_t i = 0; i < patch_count; i++) {
        struct aq_column_stats patch = {.row_count = 1, .bounds_known = true};
        memcpy(&patch.min.real, &bits[i], sizeof bits[i]);
        patch.max = patch.min;
        aq_stats_merge(AQ_TYPE_DOUBLE, &stats[rows[i] / AQ_VECTOR_ROWS_MAX], &patch);
    }
    return AQ_OK;
}

enum aq_status aq_bits_encode(struct aq_encoder *encoder, const double *values, size_t count,
                              struct aq_bytes *out)
{
    int64_t *bits = aq_encoder_alloc(encoder, count, sizeof *bits);
    if (bits == NULL)
        return AQ_NO_MEMORY;
    memcpy(bits, values, count * sizeof *bits);
    aq_bytes_u8(out, AQ_ENCODING_BITS);
    return aq_encode_ints(encoder, bits, count, 1, out);
}

enum aq_status aq_bits_decode(struct aq_decoder *decoder, double *values, size_t count)
{
    return aq_decode_row_ints(decoder, (void *)values, count);
}
