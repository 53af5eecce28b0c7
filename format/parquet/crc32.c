/* CRC-32, eight bytes at a time. Table k says what a byte leaves that k others have gone after; it is linear, so that its
 * 256 entries are sums of eight, those of one bit each: table 0 has the remainders of x^8 .. x^15 by the polynomial. */
#include "format/parquet/crc32.h"

#define SUM(i, a, b, c, d, e, f, g, h)                                                          \
    (((i)&1 ? a : 0) ^ ((i)&2 ? b : 0) ^ ((i)&4 ? c : 0) ^ ((i)&8 ? d : 0) ^ ((i)&16 ? e : 0) ^ \
     ((i)&32 ? f : 0) ^ ((i)&64 ? g : 0) ^ ((i)&128 ? h : 0))
#define SUMS_4(i, ...)                                                         \
    SUM(i, __VA_ARGS__), SUM((i) + 1, __VA_ARGS__), SUM((i) + 2, __VA_ARGS__), \
        SUM((i) + 3, __VA_ARGS__)
#define SUMS_16(i, ...)                                                                 \
    SUMS_4(i, __VA_ARGS__), SUMS_4((i) + 4, __VA_ARGS__), SUMS_4((i) + 8, __VA_ARGS__), \
        SUMS_4((i) + 12, __VA_ARGS__)
#define SUMS_64(i, ...)                                                                      \
    SUMS_16(i, __VA_ARGS__), SUMS_16((i) + 16, __VA_ARGS__), SUMS_16((i) + 32, __VA_ARGS__), \
        SUMS_16((i) + 48, __VA_ARGS__)
#define TABLE(...)                                                                    \
    {                                                                                 \
        SUMS_64(0, __VA_ARGS__), SUMS_64(64, __VA_ARGS__), SUMS_64(128, __VA_ARGS__), \
            SUMS_64(192, __VA_ARGS__)                                                 \
    }

static const uint32_t tables[8][256] = {
    TABLE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8, 0x76dc4190,
          0xedb88320),
    TABLE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2, 0xf0794f05,
          0x3b83984b),
    TABLE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0, 0x709a8dc0,
          0xe1351b80),
    TABLE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e, 0x9b14583d,
          0xed59b63b),
    TABLE(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1, 0x60e09782, 0xc1c12f04, 0x58f35849,
          0xb1e6b092),
    TABLE(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d, 0x03d6029b, 0x07ac0536, 0x0f580a6c,
          0x1eb014d8),
    TABLE(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67, 0x67de9cce, 0xcfbd399c, 0x440b7579,
          0x8816eaf2),
    TABLE(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5, 0x7cbb312b, 0xf9766256, 0x299dc2ed,
          0x533b85da),
};

uint32_t aq_crc32(struct aq_slice bytes)
{
    uint32_t crc = UINT32_MAX;
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = aq_load_u64(at) ^ crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++)
            crc ^= tables[7 - i][word >> 8 * i & 0xff];
    }
    for (; left > 0; left--, at++)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xff];
    return ~crc;
}
