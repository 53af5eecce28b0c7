/* Multiples: integers that are all so many times one number away from each other, as those times; what clocks of milliseconds, or
 * tables of minutes, leave of timestamps in microseconds. A base, so that times at 7 s past each minute are multiples, too.
 *
 * Whatever codes integers codes the quotients, which are in the order of the values and have their repetitions.
 *
 * Failures: no memory. Reading, a multiple below 2 or beyond 63 bits, and one within another, is corrupt. */
#include "format/encode/kernel/kernel.h"
#include "format/encode/node.h"

uint64_t aq_multiple_find(const int64_t *values, size_t count)
{
    uint64_t found = 0; /* divides all differences so far; 0: these are 0 */
    uint64_t last = 0;  /* of them: the same again needs no look */
    for (size_t i = 1; i < count; i++) {
        uint64_t value = (uint64_t)values[i];
        uint64_t before = (uint64_t)values[i - 1];
        uint64_t distance = values[i] > values[i - 1] ? value - before : before - value;
        if (distance == last || distance == 0)
            continue;
        last = distance;
        found = aq_common_divisor(distance, found);
        if (found < AQ_MULTIPLE_WRITTEN_MIN)
            return 1;
    }
    return found == 0 || found > INT64_MAX ? 1 : found;
}

enum aq_status aq_multiple_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                  uint64_t multiple, unsigned depth, struct aq_bytes *out)
{
    int64_t divisor = (int64_t)multiple;
    int64_t base = values[0] % divisor;
    int64_t *quotients = aq_encoder_alloc(encoder, count, sizeof *quotients);
    if (quotients == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        quotients[i] = values[i] / divisor - (values[i] % divisor < 0);
    encoder->late_count += AQ_LATE_COUNT_MULTIPLE;
    aq_bytes_u8(out, AQ_ENCODING_MULTIPLE);
    aq_bytes_varint(out, multiple);
    aq_bytes_varint_signed(out, base < 0 ? base + divisor : base);
    encoder->multiplying = true;
    enum aq_status status = aq_encode_ints(encoder, quotients, count, depth, out);
    encoder->multiplying = false;
    return status;
}

/* ---- reading ---- */

struct multiple {
    uint64_t factor;
    uint64_t base;
};

/* The node of quotients follows; whoever decodes it ends the multiple by setting decoder->multiplying to false. */
static enum aq_status read_multiple(struct aq_decoder *decoder, struct multiple *multiple)
{
    multiple->factor = aq_reader_varint(&decoder->reader);
    multiple->base = (uint64_t)aq_reader_varint_signed(&decoder->reader);
    if (decoder->multiplying || multiple->factor < 2 || multiple->factor > INT64_MAX)
        return aq_decoder_corrupt(decoder);
    aq_decoder_trace(decoder, " %llu", (unsigned long long)multiple->factor);
    decoder->multiplying = true;
    return AQ_OK;
}

enum aq_status aq_multiple_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct multiple multiple;
    AQ_TRY(read_multiple(decoder, &multiple));
    enum aq_status status = aq_decode_row_ints(decoder, values, count);
    decoder->multiplying = false;
    if (status != AQ_OK)
        return status;
    for (size_t first = 0, end = 0; aq_wanted_next(&decoder->wanted, &first, &end);)
        decoder->kernels->multiples(values + first, end - first, multiple.factor, multiple.base);
    return AQ_OK;
}

enum aq_status aq_multiple_factor(struct aq_decoder *decoder, struct aq_factored *factored)
{
    struct multiple multiple;
    AQ_TRY(read_multiple(decoder, &multiple));
    enum aq_status status = aq_factor_row_ints(decoder, factored);
    decoder->multiplying = false;
    if (status == AQ_OK)
        decoder->kernels->multiples(factored->values.ints, factored->values.row_count,
                                    multiple.factor, multiple.base);
    return status;
}

/* false: it does not fit. */
static bool multiply_exactly(const struct multiple *multiple, int64_t *value)
{
    return !__builtin_mul_overflow(*value, (int64_t)multiple->factor, value) &&
           !__builtin_add_overflow(*value, (int64_t)multiple->base, value);
}

/* Bounds that wrap around, as those of no writer do, hold nothing: the values may be any. */
enum aq_status aq_multiple_bounds(struct aq_decoder *decoder, size_t count,
                                  struct aq_column_stats *stats)
{
    struct multiple multiple;
    AQ_TRY(read_multiple(decoder, &multiple));
    enum aq_status status = aq_bounds_row_ints(decoder, count, stats);
    decoder->multiplying = false;
    for (size_t i = 0; status == AQ_OK && i < aq_vector_count(count); i++) {
        if (multiply_exactly(&multiple, &stats[i].min.integer) &&
            multiply_exactly(&multiple, &stats[i].max.integer))
            continue;
        stats[i].min.integer = INT64_MIN;
        stats[i].max.integer = INT64_MAX;
    }
    return status;
}
