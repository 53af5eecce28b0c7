/* Each value's distance from the one before, modulo 2^64. Twice nested it is delta of delta. */
#include "format/encode/kernel/kernel.h"
#include "format/encode/node.h"

enum aq_status aq_delta_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                               unsigned depth, struct aq_bytes *out)
{
    int64_t *deltas = aq_encoder_alloc(encoder, count, sizeof *deltas);
    if (deltas == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i + 1 < count; i++)
        deltas[i] = (int64_t)((uint64_t)values[i + 1] - (uint64_t)values[i]);
    aq_bytes_u8(out, AQ_ENCODING_DELTA);
    aq_bytes_varint_signed(out, values[0]);
    return aq_encode_ints(encoder, deltas, count - 1, depth + 1, out);
}

enum aq_status aq_delta_decode_steps(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    values[0] = aq_reader_varint_signed(&decoder->reader);
    if (count < 2)
        return aq_decoder_corrupt(decoder);
    /* A value is the sum of all deltas before it. */
    struct aq_wanted wanted = decoder->wanted;
    decoder->wanted = (struct aq_wanted){.end = wanted.end > 0 ? wanted.end - 1 : 0};
    AQ_TRY(aq_decode_row_ints(decoder, values + 1, count - 1));
    decoder->wanted = wanted;
    return AQ_OK;
}

enum aq_status aq_delta_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    AQ_TRY(aq_delta_decode_steps(decoder, values, count));
    decoder->kernels->sums(values, decoder->wanted.end, 0);
    return AQ_OK;
}
