/* Blocks: bytes whose number the reader knows from elsewhere, as they are or compressed by zstd.
 *
 * zstd is kept only where it saves a tenth, and more than a few bytes, since its blocks cost more to read. A compressed block is
 * decoded into a buffer of exactly the size it must have, so no window and no length of its own is
 * believed; a size that zstd could not reach from so few bytes is refused before it is allocated. */
#include "format/encode/node.h"

#include <zstd.h>

enum block_method { BLOCK_RAW = 0, BLOCK_ZSTD = 1 };

#define FRAME_BYTES_MIN ((size_t)16 << 10) /* below this frames and fast archives do not try zstd */
#define SAVED_BYTES_MIN ((size_t)64)       /* what a microsecond or two of reading is worth */
#define ZSTD_RATIO_MAX ((size_t)1 << 15)   /* a zstd block of 128 KiB takes at least 4 bytes */

static void append_raw(struct aq_slice raw, struct aq_bytes *out)
{
    aq_bytes_u8(out, BLOCK_RAW);
    aq_bytes_append(out, raw.data, raw.size);
}

enum aq_status aq_block_encode(struct aq_encoder *encoder, struct aq_slice raw, int level,
                               struct aq_bytes *out)
{
    bool quick = encoder->options->profile != AQ_PROFILE_ARCHIVE;
    if (raw.size < (quick ? FRAME_BYTES_MIN : SAVED_BYTES_MIN)) {
        append_raw(raw, out);
        return AQ_OK;
    }
    if (encoder->zstd == NULL)
        encoder->zstd = ZSTD_createCCtx();
    size_t bound = ZSTD_compressBound(raw.size);
    uint8_t *packed = aq_encoder_alloc(encoder, bound, 1);
    if (encoder->zstd == NULL || packed == NULL)
        return AQ_NO_MEMORY;
    if (encoder->options->zstd_level != 0)
        level = encoder->options->zstd_level;
    size_t size =
        ZSTD_compressCCtx(encoder->zstd, packed, bound, raw.data, raw.size, quick ? 1 : level);
    if (ZSTD_isError(size))
        return AQ_NO_MEMORY;
    if (size > raw.size - raw.size / 10 || size > raw.size - SAVED_BYTES_MIN) {
        append_raw(raw, out);
        return AQ_OK;
    }
    aq_bytes_u8(out, BLOCK_ZSTD);
    aq_bytes_slice(out, aq_slice_make(packed, size));
    return AQ_OK;
}

/* The stored bytes of a block of raw_size, as they are or (`packed`) one zstd frame. */
static enum aq_status read_stored(struct aq_decoder *decoder, size_t raw_size,
                                  struct aq_slice *stored, bool *packed)
{
    uint8_t method = aq_reader_u8(&decoder->reader);
    *packed = method == BLOCK_ZSTD;
    *stored =
        *packed ? aq_reader_slice(&decoder->reader) : aq_reader_bytes(&decoder->reader, raw_size);
    AQ_TRY(aq_decoder_check(decoder));
    if (method > BLOCK_ZSTD || (*packed && raw_size / ZSTD_RATIO_MAX >= stored->size))
        return aq_decoder_corrupt(decoder);
    if (*packed)
        aq_decoder_trace(decoder, decoder->has_children ? ", zstd" : " zstd");
    return AQ_OK;
}

static enum aq_status unpack(struct aq_decoder *decoder, struct aq_slice stored, uint8_t *raw,
                             size_t raw_size)
{
    struct aq_decode_scratch *scratch = decoder->scratch;
    if (scratch->zstd == NULL)
        scratch->zstd = ZSTD_createDCtx();
    if (scratch->zstd == NULL)
        return AQ_NO_MEMORY;
    if (ZSTD_decompressDCtx(scratch->zstd, raw, raw_size, stored.data, stored.size) != raw_size)
        return aq_decoder_corrupt(decoder);
    return AQ_OK;
}

enum aq_status aq_block_decode(struct aq_decoder *decoder, size_t raw_size, struct aq_slice *raw)
{
    bool packed = false;
    AQ_TRY(read_stored(decoder, raw_size, raw, &packed));
    if (!packed)
        return AQ_OK;
    uint8_t *bytes = NULL;
    AQ_TRY(aq_decoder_alloc(decoder, raw_size, 1, &bytes));
    AQ_TRY(unpack(decoder, *raw, bytes, raw_size));
    *raw = aq_slice_make(bytes, raw_size);
    return AQ_OK;
}

enum aq_status aq_block_decode_lasting(struct aq_decoder *decoder, size_t raw_size,
                                       const uint8_t **raw)
{
    struct aq_slice stored;
    bool packed = false;
    AQ_TRY(read_stored(decoder, raw_size, &stored, &packed));
    uint8_t *bytes = aq_arena_alloc(decoder->arena, raw_size);
    if (bytes == NULL)
        return AQ_NO_MEMORY;
    *raw = bytes;
    if (packed)
        return unpack(decoder, stored, bytes, raw_size);
    if (raw_size > 0)
        memcpy(bytes, stored.data, raw_size);
    return AQ_OK;
}

void aq_encoder_deinit(struct aq_encoder *encoder)
{
    ZSTD_freeCCtx(encoder->zstd);
    aq_arena_deinit(&encoder->scratch);
}

void aq_encode_scratch_deinit(struct aq_encode_scratch *scratch)
{
    ZSTD_freeCCtx(scratch->zstd);
    aq_arena_deinit(&scratch->arena);
    aq_bytes_deinit(&scratch->coded);
    scratch->zstd = NULL;
}

void aq_decode_scratch_deinit(struct aq_decode_scratch *scratch)
{
    ZSTD_freeDCtx(scratch->zstd);
    aq_arena_deinit(&scratch->arena);
    scratch->zstd = NULL;
}
