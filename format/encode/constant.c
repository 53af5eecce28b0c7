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
