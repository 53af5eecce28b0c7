/* One value, many times. */
#include <assert.h>

#include "format/encode/node.h"

void aq_constant_encode(int64_t value, struct aq_bytes *out)
{
    aq_bytes_u8(out, AQ_ENCODING_CONSTANT);
    aq_bytes_varint_signed(out, value);
}

enum aq_status aq_constant_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    int64_t value = aq_reader_varint_signed(&decoder->reader);
    AQ_TRY(aq_decoder_check(decoder));
    assert(decoder->wanted.end <= count);
    for (size_t i = decoder->wanted.first; i < decoder->wanted.end; i++)
        values[i] = value;
    return AQ_OK;
}

enum aq_status aq_constant_factor(struct aq_decoder *decoder, struct aq_factored *factored)
{
    int64_t value = aq_reader_varint_signed(&decoder->reader);
    AQ_TRY(aq_decoder_check(decoder));
    factored->ends = aq_arena_alloc(&factored->arena, sizeof *factored->ends);
    if (factored->ends == NULL)
        return AQ_NO_MEMORY;
    *factored->ends = (int64_t)factored->codes.row_count;
    return aq_factored_take(factored, &value, 1);
}
