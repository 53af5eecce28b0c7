/* Where things stand in a frame: shared by frame.c, frame_decode.c and nobody else.
 * docs/segment-format.md, "Frame". */
#ifndef AQ_FORMAT_FRAME_LAYOUT_H
#define AQ_FORMAT_FRAME_LAYOUT_H

#include "format/segment/frame.h"
#include "format/base/preamble.h"

#define AQ_FRAME_MAGIC "AQFRAME\n"
#define AQ_FRAME_VERSION 1

/* Prefix. */
enum {
    AQ_FRAME_AT_SIZE = AQ_PREAMBLE_BYTES,
    AQ_FRAME_AT_HEADER_SIZE = AQ_FRAME_AT_SIZE + 8,
    AQ_FRAME_AT_RANGE_COUNT = AQ_FRAME_AT_HEADER_SIZE + 4,
    AQ_FRAME_AT_SECTION_COUNT = AQ_FRAME_AT_RANGE_COUNT + 4,
    AQ_FRAME_AT_ZERO = AQ_FRAME_AT_SECTION_COUNT + 4,
    AQ_FRAME_AT_STORE = AQ_FRAME_AT_ZERO + 4,
    AQ_FRAME_AT_SEGMENT = AQ_FRAME_AT_STORE + 16,
    AQ_FRAME_AT_EPOCH = AQ_FRAME_AT_SEGMENT + 8,
    AQ_FRAME_AT_SEQUENCE = AQ_FRAME_AT_EPOCH + 8,
    AQ_FRAME_AT_PREVIOUS = AQ_FRAME_AT_SEQUENCE + 8,
    AQ_FRAME_AT_DURABLE = AQ_FRAME_AT_PREVIOUS + 8,
    AQ_FRAME_AT_RESERVED = AQ_FRAME_AT_DURABLE + 8,
    AQ_FRAME_AT_HEADER_CHECKSUM = AQ_FRAME_AT_RESERVED + 8,
    AQ_FRAME_AT_PREFIX_CHECKSUM = AQ_FRAME_AT_HEADER_CHECKSUM + 8,
};
_Static_assert(AQ_FRAME_AT_PREFIX_CHECKSUM + 8 == AQ_FRAME_PREFIX_BYTES, "docs/segment-format.md");

/* A source range, after the prefix. */
enum {
    AQ_RANGE_AT_FEED = 0,
    AQ_RANGE_AT_FIRST_ORDINAL = 8,
    AQ_RANGE_AT_NEXT_ORDINAL = 16,
    AQ_RANGE_AT_NEXT_OFFSET = 24,
    AQ_RANGE_AT_HASH = 32,
    AQ_RANGE_AT_LAST_STAMP = 48,
    AQ_RANGE_AT_ROW_COUNT = 56,
    AQ_RANGE_AT_REJECT_COUNT = 64,
    AQ_RANGE_AT_PASSED_COUNT = 72,
    AQ_RANGE_AT_FLAGS = 80,
    AQ_RANGE_BYTES = 88,
};
#define AQ_RANGE_FINISHED UINT64_C(1)

/* An entry of the section table, after the ranges. */
enum {
    AQ_SECTION_AT_DATASET = 0,
    AQ_SECTION_AT_SCHEMA = 4,
    AQ_SECTION_AT_ROW_COUNT = 8,
    AQ_SECTION_AT_FLAGS = 12,
    AQ_SECTION_AT_OFFSET = 16,
    AQ_SECTION_AT_SIZE = 24,
    AQ_SECTION_AT_CHECKSUM = 32,
    AQ_SECTION_AT_MIN_TIME = 40,
    AQ_SECTION_AT_MAX_TIME = 48,
    AQ_SECTION_ENTRY_BYTES = 56,
};
#define AQ_SECTION_HAS_TIME UINT32_C(1)

/** Bytes of prefix, ranges, section table and padding: exact for any two 32-bit counts. */
static inline uint64_t aq_frame_header_size(uint64_t range_count, uint64_t section_count)
{
    uint64_t size = AQ_FRAME_PREFIX_BYTES + range_count * AQ_RANGE_BYTES +
                    section_count * AQ_SECTION_ENTRY_BYTES;
    return (size + AQ_FRAME_ALIGNMENT - 1) / AQ_FRAME_ALIGNMENT * AQ_FRAME_ALIGNMENT;
}

/** The header's checksum: everything before itself in the prefix, then all that follows the
 * prefix. `header`: header_size bytes. */
static inline uint64_t aq_frame_header_checksum(const uint8_t *header, size_t header_size)
{
    return aq_checksum_seeded(header + AQ_FRAME_PREFIX_BYTES, header_size - AQ_FRAME_PREFIX_BYTES,
                              aq_checksum(header, AQ_FRAME_AT_HEADER_CHECKSUM));
}

#endif
