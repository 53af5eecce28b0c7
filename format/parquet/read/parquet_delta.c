/* DELTA_BINARY_PACKED: the first value, then blocks of 128 differences, each less the block's smallest one and
 * bit-packed in four miniblocks of 32 with a width each. */
#include "format/parquet/parquet.h"

#define BLOCK 128
#define MINIBLOCK 32
#define MINIBLOCKS (BLOCK / MINIBLOCK)

static int64_t wrap(uint64_t value, bool is_32)
{
    return is_32 ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value;
}

static void put_miniblock(const uint64_t *values, unsigned bit_width, struct aq_bytes *out)
{
    aq_uint128 word = 0;
    unsigned used = 0;
    for (size_t i = 0; i < MINIBLOCK; i++) {
        word |= (aq_uint128)values[i] << used;
        for (used += bit_width; used >= 8; used -= 8) {
            aq_bytes_u8(out, (uint8_t)word);
            word >>= 8;
        }
    }
}

static void put_block(const int64_t *deltas, size_t count, bool is_32, struct aq_bytes *out)
{
    uint64_t packed[BLOCK] = {0};
    unsigned widths[MINIBLOCKS];
    int64_t min = deltas[0];
    for (size_t i = 1; i < count; i++)
        min = deltas[i] < min ? deltas[i] : min;
    for (size_t i = 0; i < count; i++) {
        uint64_t over = (uint64_t)deltas[i] - (uint64_t)min;
        packed[i] = is_32 ? (uint32_t)over : over;
    }
    aq_bytes_varint_signed(out, min);
    for (size_t mini = 0; mini < MINIBLOCKS; mini++) {
        uint64_t all = 0;
        for (size_t i = 0; i < MINIBLOCK; i++)
            all |= packed[mini * MINIBLOCK + i];
        widths[mini] = aq_parquet_bit_width(all);
        aq_bytes_u8(out, (uint8_t)widths[mini]);
    }
    /* Miniblocks behind the last value are left out. */
    for (size_t mini = 0; mini * MINIBLOCK < count; mini++)
        put_miniblock(packed + mini * MINIBLOCK, widths[mini], out);
}

void aq_parquet_delta_encode(const int64_t *values, size_t count, bool is_32, struct aq_bytes *out)
{
    int64_t deltas[BLOCK];
    aq_bytes_varint(out, BLOCK);
    aq_bytes_varint(out, MINIBLOCKS);
    aq_bytes_varint(out, count);
    aq_bytes_varint_signed(out, count > 0 ? values[0] : 0);
    for (size_t from = 1; from < count; from += BLOCK) {
        size_t size = count - from < BLOCK ? count - from : BLOCK;
        for (size_t i = 0; i < size; i++)
            deltas[i] = wrap((uint64_t)values[from + i] - (uint64_t)values[from + i - 1], is_32);
        put_block(deltas, size, is_32, out);
    }
}
