/* Parquet's hybrid of run lengths and bit packing: definition levels and dictionary indices.
 *
 * A run is a varint of twice its length and the value in whole bytes; eight or more equal numbers make
 * one. What lies between runs is bit-packed in groups of eight, behind a varint of twice the groups, plus 1. */
#include "format/parquet/parquet.h"

#define GROUP 8
#define RUN_MIN 8

static void put_run(uint32_t value, size_t count, unsigned bit_width, struct aq_bytes *out)
{
    aq_bytes_varint(out, (uint64_t)count << 1);
    aq_bytes_append(out, &value, (bit_width + 7) / 8);
}

/* Whole groups; the last one is filled up by zeros. */
static void put_packed(const uint32_t *values, size_t count, unsigned bit_width,
                       struct aq_bytes *out)
{
    size_t group_count = (count + GROUP - 1) / GROUP;
    uint64_t word = 0;
    unsigned used = 0;
    aq_bytes_varint(out, (uint64_t)group_count << 1 | 1);
    for (size_t i = 0; i < group_count * GROUP; i++) {
        word |= (uint64_t)(i < count ? values[i] : 0) << used;
        for (used += bit_width; used >= 8; used -= 8) {
            aq_bytes_u8(out, (uint8_t)word);
            word >>= 8;
        }
    }
}

static size_t run_length(const uint32_t *values, size_t count)
{
    size_t length = 1;
    while (length < count && values[length] == values[0])
        length++;
    return length;
}

/* A run may begin only where a whole number of groups lies before it. */
void aq_parquet_hybrid_encode(const uint32_t *values, size_t count, unsigned bit_width,
                              struct aq_bytes *out)
{
    size_t packed_from = 0;
    for (size_t at = 0; at < count;) {
        size_t length = run_length(values + at, count - at);
        size_t filling = (GROUP - (at - packed_from) % GROUP) % GROUP; /* of the last group */
        if (length < filling + RUN_MIN) {
            at += length;
            continue;
        }
        if (at + filling > packed_from)
            put_packed(values + packed_from, at + filling - packed_from, bit_width, out);
        put_run(values[at], length - filling, bit_width, out);
        at += length;
        packed_from = at;
    }
    if (packed_from < count)
        put_packed(values + packed_from, count - packed_from, bit_width, out);
}
