/* Byte planes: of every word (words.h) its lowest byte, then of every word the next one, and so on for
 * as many as the widest needs; each plane is a block of its own, so that zstd's tables fit it. */
#include "format/encode/kernel/kernel.h"
#include "format/encode/words.h"

#define PLANES_MAX 8
/* Higher levels look harder for repetitions, which planes of deltas have few of, and find less. */
#define PLANE_ZSTD_LEVEL 1

static enum aq_status encode_planes(struct aq_encoder *encoder, const uint64_t *words, size_t count,
                                    unsigned plane_count, struct aq_bytes *out)
{
    uint8_t *plane = aq_encoder_alloc(encoder, count, 1);
    if (plane == NULL)
        return AQ_NO_MEMORY;
    aq_bytes_u8(out, (uint8_t)plane_count);
    for (unsigned p = 0; p < plane_count; p++) {
        aq_kernels()->split(words, count, 8 * p, plane);
        AQ_TRY(aq_block_encode(encoder, aq_slice_make(plane, count), PLANE_ZSTD_LEVEL, out));
    }
    return AQ_OK;
}

enum aq_status aq_byteplane_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                   struct aq_bytes *out)
{
    uint64_t *words = aq_encoder_alloc(encoder, count, sizeof *words);
    if (words == NULL)
        return AQ_NO_MEMORY;
    struct aq_words form = aq_words_make(values, count, words);
    uint64_t used = 0;
    for (size_t i = 0; i < count; i++)
        used |= words[i];
    unsigned plane_count = 1;
    while (plane_count < PLANES_MAX && used >> 8 * plane_count != 0)
        plane_count++;
    aq_bytes_u8(out, AQ_ENCODING_BYTEPLANE);
    aq_words_append(form, out);
    return encode_planes(encoder, words, count, plane_count, out);
}

static enum aq_status decode_planes(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    unsigned plane_count = aq_reader_u8(&decoder->reader);
    if (plane_count == 0 || plane_count > PLANES_MAX)
        return aq_decoder_corrupt(decoder);
    aq_decoder_trace(decoder, " %u", plane_count);
    const uint8_t *planes[PLANES_MAX];
    for (unsigned p = 0; p < plane_count; p++) {
        struct aq_slice plane;
        AQ_TRY(aq_block_decode(decoder, count, &plane));
        planes[p] = plane.data + decoder->wanted.first;
    }
    decoder->kernels->merge(planes, plane_count, (uint64_t *)values + decoder->wanted.first,
                            decoder->wanted.end - decoder->wanted.first);
    return AQ_OK;
}

enum aq_status aq_byteplane_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct aq_words form;
    AQ_TRY(aq_words_read(decoder, &form));
    AQ_TRY(decode_planes(decoder, values, count));
    aq_words_restore(form, values + decoder->wanted.first,
                     decoder->wanted.end - decoder->wanted.first);
    return AQ_OK;
}
