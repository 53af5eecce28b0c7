/* Strings as they come: a node of lengths, then their bytes end to end as one block. */
#include "format/encode/node.h"

#define TEXT_ZSTD_LEVEL 6

enum aq_status aq_text_encode(struct aq_encoder *encoder, const struct aq_slice *values,
                              size_t count, unsigned depth, struct aq_bytes *out)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += values[i].size;
    int64_t *lengths = aq_encoder_alloc(encoder, count, sizeof *lengths);
    uint8_t *bytes = aq_encoder_alloc(encoder, total, 1);
    if (lengths == NULL || bytes == NULL)
        return AQ_NO_MEMORY;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        lengths[i] = (int64_t)values[i].size;
        if (values[i].size > 0)
            memcpy(bytes + at, values[i].data, values[i].size);
        at += values[i].size;
    }
    aq_bytes_u8(out, AQ_ENCODING_TEXT);
    AQ_TRY(aq_encode_ints(encoder, lengths, count, depth + 1, out));
    return aq_block_encode(encoder, aq_slice_make(bytes, total), TEXT_ZSTD_LEVEL, out);
}

enum aq_status aq_text_decode(struct aq_decoder *decoder, struct aq_slice *values, size_t count)
{
    int64_t *lengths;
    AQ_TRY(aq_decoder_alloc(decoder, count, sizeof *lengths, &lengths));
    AQ_TRY(aq_decode_ints(decoder, lengths, count));
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)lengths[i] > AQ_DECODED_BYTES_MAX - total)
            return aq_decoder_corrupt(decoder);
        total += (size_t)lengths[i];
    }
    const uint8_t *bytes = NULL;
    AQ_TRY(aq_block_decode_lasting(decoder, total, &bytes));
    for (size_t i = 0; i < count; i++) {
        values[i] = aq_slice_make(bytes, (size_t)lengths[i]);
        bytes += lengths[i];
    }
    return AQ_OK;
}
