/* Frame of reference and bit packing: per vector of 1,024 values the smallest of them, and of every
 * value its distance from it in as few bits as the largest distance needs.
 *
 * The packed bits are one little-endian stream per vector, the first value in the lowest bits.
 * Decoding is a kernel (unpack.c), whose loads reach past the last byte: where no others follow, it
 * is given a copy with room behind it. */
#include "format/encode/kernel/kernel.h"
#include "format/encode/node.h"

#define WIDTH_MAX 64

static size_t packed_size(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

static unsigned width_of(uint64_t distance)
{
    return distance == 0 ? 0 : 64 - (unsigned)__builtin_clzll(distance);
}

static void pack(const int64_t *values, size_t count, uint64_t reference, unsigned width,
                 uint8_t *at)
{
    aq_uint128 pending = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < count; i++) {
        pending |= (aq_uint128)((uint64_t)values[i] - reference) << bits;
        for (bits += width; bits >= 64; bits -= 64) {
            aq_store_u64(at, (uint64_t)pending);
            at += 8;
            pending >>= 64;
        }
    }
    for (; bits > 0; bits = bits > 8 ? bits - 8 : 0) {
        *at++ = (uint8_t)pending;
        pending >>= 8;
    }
}

/* Bits that each value's distance from the smallest needs. */
static unsigned bound(const int64_t *values, size_t count, int64_t *min)
{
    int64_t max;
    size_t change_count;
    aq_kernels()->look(values, count, min, &max, &change_count);
    return width_of((uint64_t)max - (uint64_t)*min);
}

static void encode_vector(const int64_t *values, size_t count, struct aq_bytes *out)
{
    int64_t min;
    unsigned width = bound(values, count, &min);
    aq_bytes_varint_signed(out, min);
    aq_bytes_u8(out, (uint8_t)width);
    size_t size = packed_size(count, width);
    uint8_t *at = aq_bytes_reserve(out, size);
    if (at == NULL)
        return;
    pack(values, count, (uint64_t)min, width, at);
    out->size += size;
}

void aq_bitpack_encode(const int64_t *values, size_t count, struct aq_bytes *out)
{
    aq_bytes_u8(out, AQ_ENCODING_BITPACK);
    for (size_t first = 0; first < count; first += AQ_VECTOR_ROWS_MAX) {
        size_t left = count - first;
        encode_vector(values + first, left < AQ_VECTOR_ROWS_MAX ? left : AQ_VECTOR_ROWS_MAX, out);
    }
}

size_t aq_bitpack_size(const int64_t *values, size_t count)
{
    size_t size = 1;
    for (size_t first = 0; first < count; first += AQ_VECTOR_ROWS_MAX) {
        size_t left = count - first;
        size_t rows = left < AQ_VECTOR_ROWS_MAX ? left : AQ_VECTOR_ROWS_MAX;
        int64_t min;
        unsigned width = bound(values + first, rows, &min);
        unsigned bits = width_of(aq_zigzag(min));
        size += (bits == 0 ? 1 : (bits + 6) / 7) + 1 + packed_size(rows, width);
    }
    return size;
}

/* A vector as it is stored. */
struct packed {
    uint64_t reference;
    unsigned width;
    struct aq_slice bytes;
};

/* A vector that ends where the reader is, and has been read from `begin` on; `left` values from its first one on end the
 * column, as those that are missing are the first ones. */
static void note_vector(const struct aq_decoder *decoder, size_t left, size_t count,
                        const struct packed *vector, size_t begin)
{
    struct aq_packing *packing = decoder->packing;
    if (packing != NULL)
        packing->vectors[packing->vector_count++] =
            (struct aq_packed_vector){.row_first = packing->row_count - left,
                                      .row_count = count,
                                      .width_bits = vector->width,
                                      .size_bytes = decoder->reader.offset - begin};
}

/* A vector's bytes where they are if there is room behind them, else a copy with room. */
static const uint8_t *with_slack(const struct aq_reader *reader, struct aq_slice packed,
                                 uint8_t *padded)
{
    if (aq_reader_left(reader) >= AQ_UNPACK_SLACK)
        return packed.data;
    memcpy(padded, packed.data, packed.size);
    memset(padded + packed.size, 0, AQ_UNPACK_SLACK);
    return padded;
}

static enum aq_status read_vector(struct aq_decoder *decoder, size_t count, struct packed *vector)
{
    vector->reference = (uint64_t)aq_reader_varint_signed(&decoder->reader);
    vector->width = aq_reader_u8(&decoder->reader);
    if (vector->width > WIDTH_MAX)
        return aq_decoder_corrupt(decoder);
    vector->bytes = aq_reader_bytes(&decoder->reader, packed_size(count, vector->width));
    return aq_decoder_check(decoder);
}

/* The next of `left` values. */
static enum aq_status decode_vector(struct aq_decoder *decoder, bool wanted, int64_t *values,
                                    size_t left, unsigned *width_max)
{
    struct packed vector = {0};
    size_t begin = decoder->reader.offset;
    size_t count = left < AQ_VECTOR_ROWS_MAX ? left : AQ_VECTOR_ROWS_MAX;
    AQ_TRY(read_vector(decoder, count, &vector));
    note_vector(decoder, left, count, &vector, begin);
    uint64_t reference = vector.reference;
    unsigned width = vector.width;
    struct aq_slice packed = vector.bytes;
    *width_max = width > *width_max ? width : *width_max;
    if (!wanted)
        return AQ_OK;
    uint8_t padded[AQ_VECTOR_ROWS_MAX * 8 + AQ_UNPACK_SLACK];
    if (width == 0) {
        for (size_t i = 0; i < count; i++)
            values[i] = (int64_t)reference;
    } else if (count == AQ_VECTOR_ROWS_MAX) {
        decoder->kernels->unpack(with_slack(&decoder->reader, packed, padded), width, reference,
                                 values);
    } else { /* the last vector: as a whole one, of which some is kept */
        int64_t whole[AQ_VECTOR_ROWS_MAX];
        memcpy(padded, packed.data, packed.size);
        memset(padded + packed.size, 0, sizeof padded - packed.size);
        decoder->kernels->unpack(padded, width, reference, whole);
        memcpy(values, whole, count * sizeof *values);
    }
    return AQ_OK;
}

enum aq_status aq_bitpack_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    unsigned width_max = 0;
    for (size_t first = 0; first < count; first += AQ_VECTOR_ROWS_MAX) {
        size_t vector = first / AQ_VECTOR_ROWS_MAX;
        const uint64_t *vectors = decoder->wanted.vectors;
        bool wanted = first < decoder->wanted.end &&
                      first + AQ_VECTOR_ROWS_MAX > decoder->wanted.first &&
                      (vectors == NULL || aq_bitmap_has(vectors, vector));
        AQ_TRY(decode_vector(decoder, wanted, values + first, count - first, &width_max));
    }
    aq_decoder_trace(decoder, " %u", width_max);
    return AQ_OK;
}

/* From the reference to the furthest that the width reaches. Values that wrap around, as no writer makes them, may be any. */
enum aq_status aq_bitpack_bounds(struct aq_decoder *decoder, size_t count,
                                 struct aq_column_stats *stats)
{
    for (size_t first = 0; first < count; first += AQ_VECTOR_ROWS_MAX, stats++) {
        size_t left = count - first;
        struct packed vector = {0};
        AQ_TRY(
            read_vector(decoder, left < AQ_VECTOR_ROWS_MAX ? left : AQ_VECTOR_ROWS_MAX, &vector));
        uint64_t reach = vector.width == 0 ? 0 : UINT64_MAX >> (WIDTH_MAX - vector.width);
        bool wraps = reach > (uint64_t)INT64_MAX - vector.reference;
        stats->bounds_known = true;
        stats->min.integer = wraps ? INT64_MIN : (int64_t)vector.reference;
        stats->max.integer = wraps ? INT64_MAX : (int64_t)(vector.reference + reach);
    }
    return AQ_OK;
}
