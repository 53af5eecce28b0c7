/* Reading the hybrid of runs and bit packing, and DELTA_BINARY_PACKED, a number at a time. What the bytes do not hold
 * fails the reader; numbers are zero then. */
#include "format/parquet/read/parquet_read.h"

#define GROUPS_MAX (UINT64_C(1) << 32)
#define MINIBLOCKS_MAX 1024
#define BLOCK_ROWS_MAX (UINT32_C(1) << 20)

static void next_run(struct aq_parquet_hybrid *hybrid)
{
    uint64_t head = aq_reader_varint(&hybrid->bytes);
    hybrid->packed = (head & 1) != 0;
    hybrid->run_left = head >> 1;
    hybrid->word = 0;
    hybrid->word_bits = 0;
    if (hybrid->run_left > GROUPS_MAX)
        aq_reader_fail(&hybrid->bytes);
    if (hybrid->packed) {
        hybrid->run_left *= 8;
        return;
    }
    hybrid->value = 0;
    for (unsigned at = 0; at < hybrid->bit_width; at += 8)
        hybrid->value |= (uint32_t)aq_reader_u8(&hybrid->bytes) << at;
}

uint32_t aq_parquet_hybrid_next(struct aq_parquet_hybrid *hybrid)
{
    while (hybrid->run_left == 0 && !hybrid->bytes.failed)
        next_run(hybrid);
    if (hybrid->bytes.failed)
        return 0;
    hybrid->run_left--;
    if (!hybrid->packed)
        return hybrid->value;
    while (hybrid->word_bits < hybrid->bit_width) {
        hybrid->word |= (uint64_t)aq_reader_u8(&hybrid->bytes) << hybrid->word_bits;
        hybrid->word_bits += 8;
    }
    uint32_t value = (uint32_t)(hybrid->word & ((UINT64_C(1) << hybrid->bit_width) - 1));
    hybrid->word >>= hybrid->bit_width;
    hybrid->word_bits -= hybrid->bit_width;
    return value;
}

void aq_parquet_delta_begin(struct aq_parquet_delta *delta)
{
    uint64_t block_rows = aq_reader_varint(&delta->bytes);
    uint64_t miniblock_count = aq_reader_varint(&delta->bytes);
    delta->count_left = aq_reader_varint(&delta->bytes);
    delta->value = (uint64_t)aq_reader_varint_signed(&delta->bytes);
    delta->first = true;
    if (block_rows == 0 || block_rows > BLOCK_ROWS_MAX || miniblock_count == 0 ||
        miniblock_count > MINIBLOCKS_MAX || block_rows % miniblock_count != 0 ||
        block_rows / miniblock_count % 8 != 0) {
        aq_reader_fail(&delta->bytes);
        return;
    }
    delta->miniblock_count = (uint32_t)miniblock_count;
    delta->miniblock_rows = (uint32_t)(block_rows / miniblock_count);
    delta->miniblock = delta->miniblock_count;
}

static void next_miniblock(struct aq_parquet_delta *delta)
{
    if (++delta->miniblock >= delta->miniblock_count) {
        delta->min_delta = (uint64_t)aq_reader_varint_signed(&delta->bytes);
        delta->widths = aq_reader_bytes(&delta->bytes, delta->miniblock_count);
        delta->miniblock = 0;
    }
    delta->row_left = delta->miniblock_rows;
    delta->word = 0;
    delta->word_bits = 0;
    if (!delta->bytes.failed && delta->widths.data[delta->miniblock] > 64)
        aq_reader_fail(&delta->bytes);
}

static uint64_t next_packed(struct aq_parquet_delta *delta)
{
    unsigned bit_width = delta->widths.data[delta->miniblock];
    while (delta->word_bits < bit_width) {
        delta->word |= (aq_uint128)aq_reader_u8(&delta->bytes) << delta->word_bits;
        delta->word_bits += 8;
    }
    uint64_t mask = bit_width == 64 ? UINT64_MAX : (UINT64_C(1) << bit_width) - 1;
    uint64_t value = (uint64_t)delta->word & mask;
    delta->word >>= bit_width;
    delta->word_bits -= bit_width;
    return value;
}

int64_t aq_parquet_delta_next(struct aq_parquet_delta *delta)
{
    if (delta->count_left == 0)
        aq_reader_fail(&delta->bytes);
    if (delta->bytes.failed)
        return 0;
    delta->count_left--;
    if (delta->first) {
        delta->first = false;
        return (int64_t)delta->value;
    }
    if (delta->row_left == 0)
        next_miniblock(delta);
    if (delta->bytes.failed)
        return 0;
    delta->row_left--;
    delta->value += delta->min_delta + next_packed(delta);
    return (int64_t)delta->value;
}

void aq_parquet_delta_pass(struct aq_parquet_delta *delta)
{
    uint64_t left =
        delta->count_left > 0 ? delta->count_left - 1 : 0; /* the first stands in the head */
    while (left > 0 && !delta->bytes.failed) {
        next_miniblock(delta);
        if (delta->bytes.failed)
            return;
        size_t bits = (size_t)delta->miniblock_rows * delta->widths.data[delta->miniblock];
        aq_reader_skip(&delta->bytes, bits / 8);
        left -= left < delta->miniblock_rows ? left : delta->miniblock_rows;
    }
}
