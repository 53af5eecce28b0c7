/* For fuzz targets: bytes made into a frame, so that what is behind its checksums is reached. */
#ifndef AQ_FUZZ_FRAME_MEND_H
#define AQ_FUZZ_FRAME_MEND_H

#include "format/segment/frame_layout.h"

#define SECTIONS_MAX 4

/* Let sections follow each other to the frame's end, each with the checksum of its bytes. */
static inline void mend_sections(uint8_t *frame, size_t size, size_t at, uint32_t section_count,
                                 size_t header_size)
{
    size_t offset = header_size;
    for (uint32_t i = 0; i < section_count; i++, at += AQ_SECTION_ENTRY_BYTES) {
        size_t wanted = aq_load_u64(frame + at + AQ_SECTION_AT_SIZE) / AQ_FRAME_ALIGNMENT;
        size_t left = (size - offset) / AQ_FRAME_ALIGNMENT;
        size_t section = (i + 1 == section_count ? left : wanted % (left + 1)) * AQ_FRAME_ALIGNMENT;
        aq_store_u64(frame + at + AQ_SECTION_AT_OFFSET, offset);
        aq_store_u64(frame + at + AQ_SECTION_AT_SIZE, section);
        aq_store_u64(frame + at + AQ_SECTION_AT_CHECKSUM, aq_checksum(frame + offset, section));
        offset += section;
    }
}

static inline void mend_frame(uint8_t *frame, size_t size)
{
    uint32_t ranges = aq_load_u32(frame + AQ_FRAME_AT_RANGE_COUNT) % 4;
    uint32_t sections = aq_load_u32(frame + AQ_FRAME_AT_SECTION_COUNT) % (SECTIONS_MAX + 1);
    size_t header_size = aq_frame_header_size(ranges, sections);
    if (header_size > size)
        return;
    aq_store_u64(frame + AQ_FRAME_AT_SIZE, size);
    aq_store_u32(frame + AQ_FRAME_AT_HEADER_SIZE, (uint32_t)header_size);
    aq_store_u32(frame + AQ_FRAME_AT_RANGE_COUNT, ranges);
    aq_store_u32(frame + AQ_FRAME_AT_SECTION_COUNT, sections);
    mend_sections(frame, size, AQ_FRAME_PREFIX_BYTES + ranges * AQ_RANGE_BYTES, sections,
                  header_size);
    aq_store_u64(frame + AQ_FRAME_AT_HEADER_CHECKSUM, aq_frame_header_checksum(frame, header_size));
    aq_store_u64(frame + AQ_FRAME_AT_PREFIX_CHECKSUM,
                 aq_checksum(frame, AQ_FRAME_AT_PREFIX_CHECKSUM));
}

#endif
