/* The two ends of a segment file: its header, and the index footer written when it is sealed.
 * Between them are frames, one after the other, from AQ_SEGMENT_HEADER_BYTES on. The index says
 * nothing that the frames do not: it only saves reading their headers, and is rebuilt from them
 * by aq_segment_index_add. Bytes: docs/segment-format.md.
 *
 *   header 64 | frame 0 | frame 1 | ... | index, a multiple of 64 | trailer 64 */
#ifndef AQ_FORMAT_SEGMENT_INDEX_H
#define AQ_FORMAT_SEGMENT_INDEX_H

#include "format/segment/frame.h"

#define AQ_SEGMENT_HEADER_BYTES 64
#define AQ_SEGMENT_TRAILER_BYTES 64
#define AQ_SEGMENT_MAGIC "AQSEGMNT" /* a file that begins with it is a segment */

struct aq_segment_header {
    struct aq_store_id store_id;
    uint64_t segment_id;
    uint64_t epoch; /* the writer's */
};

/** Append AQ_SEGMENT_HEADER_BYTES bytes. */
void aq_segment_header_encode(const struct aq_segment_header *header, struct aq_bytes *out);
/** Of a file's first AQ_SEGMENT_HEADER_BYTES bytes (more are ignored, fewer are AQ_CORRUPT). The caller
 * compares store, segment and epoch with what the catalog says. */
enum aq_status aq_segment_header_decode(struct aq_slice bytes, struct aq_segment_header *header,
                                        struct aq_error *err) AQ_RESULT;

/** A frame as the index lists it; frame i has sequence i. */
struct aq_index_frame {
    uint64_t offset; /* in the file */
    uint64_t size_bytes;
    uint64_t header_checksum;
    size_t section_count;
    struct aq_section_entry *sections; /* as the frame's header has them */
};

/** Zero-initialise; owns everything below it. */
struct aq_segment_index {
    size_t frame_count;
    struct aq_index_frame *frames;
    size_t frame_capacity;
    struct aq_arena arena; /* sections */
};
void aq_segment_index_deinit(struct aq_segment_index *index);

/** Where frames added so far end (AQ_SEGMENT_HEADER_BYTES without any): the next one's offset, and where
 * the footer goes. */
uint64_t aq_segment_index_end(const struct aq_segment_index *index);
/** List the next frame (its sequence must be frame_count; asserted). */
enum aq_status aq_segment_index_add(struct aq_segment_index *index,
                                    const struct aq_frame_header *header) AQ_RESULT;

/** Append the footer: index and trailer, the file's bytes from aq_segment_index_end on. Equal indexes
 * have equal bytes, so that a stored one is checked by rebuilding it and comparing. */
enum aq_status aq_segment_footer_encode(const struct aq_segment_index *index,
                                        const struct aq_segment_header *header,
                                        struct aq_bytes *out) AQ_RESULT;

/** What a sealed file's last AQ_SEGMENT_TRAILER_BYTES bytes say. */
struct aq_segment_trailer {
    uint64_t segment_id;
    uint64_t index_offset; /* end of the frames */
    uint64_t index_size_bytes;
    uint64_t index_checksum;
};
/** Checked against the file's size: index_offset + index_size_bytes + trailer == file_size_bytes. */
enum aq_status aq_segment_trailer_decode(struct aq_slice bytes, uint64_t file_size_bytes,
                                         struct aq_segment_trailer *trailer,
                                         struct aq_error *err) AQ_RESULT;
/** Decode the index from its index_size_bytes bytes; `index` is zero-initialised or deinited, and
 * empty after a failure. Offsets in errors are from the index's first byte. */
enum aq_status aq_segment_index_decode(struct aq_slice bytes,
                                       const struct aq_segment_trailer *trailer,
                                       struct aq_segment_index *index,
                                       struct aq_error *err) AQ_RESULT;

#endif
