/* Runs of equal values: a node of their lengths less one, a node of their values. */
#include "format/encode/node.h"

enum aq_status aq_run_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                             unsigned depth, struct aq_bytes *out)
{
    int64_t *lengths = aq_encoder_alloc(encoder, count, sizeof *lengths);
    int64_t *heads = aq_encoder_alloc(encoder, count, sizeof *heads);
    if (lengths == NULL || heads == NULL)
        return AQ_NO_MEMORY;
    size_t run_count = 0;
    size_t first = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && values[i] == values[first])
            continue;
        heads[run_count] = values[first];
        lengths[run_count++] = (int64_t)(i - first - 1);
        first = i;
    }
    aq_bytes_u8(out, AQ_ENCODING_RUN);
    aq_bytes_varint(out, run_count);
    AQ_TRY(aq_encode_ints(encoder, lengths, run_count, depth + 1, out));
    return aq_encode_ints(encoder, heads, run_count, depth + 1, out);
}

enum aq_status aq_run_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    uint64_t run_count = aq_reader_varint(&decoder->reader);
    if (run_count == 0 || run_count > count)
        return aq_decoder_corrupt(decoder);
    int64_t *lengths;
    int64_t *heads;
    AQ_TRY(aq_decoder_alloc(decoder, run_count, sizeof *lengths, &lengths));
    AQ_TRY(aq_decoder_alloc(decoder, run_count, sizeof *heads, &heads));
    AQ_TRY(aq_decode_ints(decoder, lengths, run_count));
    AQ_TRY(aq_decode_ints(decoder, heads, run_count));
    size_t at = 0;
    for (size_t run = 0; run < run_count; run++) {
        uint64_t more = (uint64_t)lengths[run];
        if (more >= count - at)
            return aq_decoder_corrupt(decoder);
        for (size_t end = at + more + 1; at < end; at++)
            values[at] = heads[run];
    }
    return at == count ? AQ_OK : aq_decoder_corrupt(decoder);
}
