/* The segment file's header, index and trailer (docs/segment-format.md).
 *
 * A writer adds each frame's header as it goes and writes the footer once, at the end of the frames,
 * when it seals. A reader of a sealed file goes from the trailer, which is at a known place, to the
 * index, and needs no frame header any more. Offsets are not stored: frames follow each other from
 * the header's end, sections follow each other from their frame's header's end.
 *
 * Failures: AQ_CORRUPT for damage. A file without a trailer is not damaged: its writer died or still
 * writes; only the catalog knows, so readers ask for the trailer when the catalog says sealed. */
#include "format/segment/segment_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "format/base/preamble.h"
#include "format/base/mutant.h"

#define SEGMENT_VERSION 1
#define TRAILER_MAGIC "AQSEGEND"

enum {
    HEADER_AT_STORE = AQ_PREAMBLE_BYTES,
    HEADER_AT_SEGMENT = HEADER_AT_STORE + 16,
    HEADER_AT_EPOCH = HEADER_AT_SEGMENT + 8,
    HEADER_AT_CHECKSUM = HEADER_AT_EPOCH + 8,

    TRAILER_AT_SEGMENT = AQ_PREAMBLE_BYTES,
    TRAILER_AT_INDEX_OFFSET = TRAILER_AT_SEGMENT + 8,
    TRAILER_AT_INDEX_SIZE = TRAILER_AT_INDEX_OFFSET + 8,
    TRAILER_AT_INDEX_CHECKSUM = TRAILER_AT_INDEX_SIZE + 8,
    TRAILER_AT_CHECKSUM = TRAILER_AT_INDEX_CHECKSUM + 8,
};
_Static_assert(HEADER_AT_CHECKSUM + 8 == AQ_SEGMENT_HEADER_BYTES, "docs/segment-format.md");
_Static_assert(TRAILER_AT_CHECKSUM + 8 == AQ_SEGMENT_TRAILER_BYTES, "docs/segment-format.md");

void aq_segment_header_encode(const struct aq_segment_header *header, struct aq_bytes *out)
{
    size_t base = out->size;
    aq_preamble_append(out, AQ_SEGMENT_MAGIC, SEGMENT_VERSION);
    aq_bytes_append(out, header->store_id.bytes, sizeof header->store_id.bytes);
    aq_bytes_u64(out, header->segment_id);
    aq_bytes_u64(out, header->epoch);
    if (!out->failed)
        aq_bytes_u64(out, aq_checksum(out->data + base, HEADER_AT_CHECKSUM));
}

enum aq_status aq_segment_header_decode(struct aq_slice bytes, struct aq_segment_header *header,
                                        struct aq_error *err)
{
    if (bytes.size < AQ_SEGMENT_HEADER_BYTES)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)bytes.size,
                               "a segment is too short for its header");
    if (!aq_mutant(23) &&
        aq_checksum(bytes.data, HEADER_AT_CHECKSUM) != aq_load_u64(bytes.data + HEADER_AT_CHECKSUM))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "a segment's header is damaged");
    AQ_TRY(aq_preamble_check(bytes, AQ_SEGMENT_MAGIC, SEGMENT_VERSION, "segment", err));
    memcpy(header->store_id.bytes, bytes.data + HEADER_AT_STORE, sizeof header->store_id.bytes);
    header->segment_id = aq_load_u64(bytes.data + HEADER_AT_SEGMENT);
    header->epoch = aq_load_u64(bytes.data + HEADER_AT_EPOCH);
    return AQ_OK;
}

void aq_segment_index_deinit(struct aq_segment_index *index)
{
    free(index->frames);
    aq_arena_deinit(&index->arena);
    *index = (struct aq_segment_index){0};
}

uint64_t aq_segment_index_end(const struct aq_segment_index *index)
{
    if (index->frame_count == 0)
        return AQ_SEGMENT_HEADER_BYTES;
    const struct aq_index_frame *last = &index->frames[index->frame_count - 1];
    return last->offset + last->size_bytes;
}

/* The next frame's entry, at its offset, with room for its sections; counted once it is filled. */
static enum aq_status next_frame(struct aq_segment_index *index, size_t section_count,
                                 struct aq_index_frame **frame)
{
    if (index->frame_count == index->frame_capacity) {
        size_t capacity = index->frame_capacity == 0 ? 64 : 2 * index->frame_capacity;
        struct aq_index_frame *frames = realloc(index->frames, capacity * sizeof *frames);
        if (frames == NULL)
            return AQ_NO_MEMORY;
        index->frames = frames;
        index->frame_capacity = capacity;
    }
    *frame = &index->frames[index->frame_count];
    **frame = (struct aq_index_frame){
        .offset = aq_segment_index_end(index),
        .section_count = section_count,
        .sections = aq_arena_alloc(&index->arena, section_count * sizeof *(*frame)->sections),
    };
    return (*frame)->sections == NULL ? AQ_NO_MEMORY : AQ_OK;
}

enum aq_status aq_segment_index_add(struct aq_segment_index *index,
                                    const struct aq_frame_header *header)
{
    assert(header->prefix.sequence == index->frame_count);
    struct aq_index_frame *frame;
    AQ_TRY(next_frame(index, header->section_count, &frame));
    frame->size_bytes = header->prefix.frame_size_bytes;
    frame->header_checksum = header->prefix.header_checksum;
    if (header->section_count > 0)
        memcpy(frame->sections, header->sections, header->section_count * sizeof *frame->sections);
    index->frame_count++;
    return AQ_OK;
}

static void put_section(struct aq_bytes *out, const struct aq_section_entry *section)
{
    aq_bytes_varint(out, section->dataset_id);
    aq_bytes_varint(out, section->schema_version);
    aq_bytes_varint(out, section->row_count);
    aq_bytes_varint(out, section->size_bytes / AQ_FRAME_ALIGNMENT);
    aq_bytes_u64(out, section->checksum);
    aq_bytes_u8(out, section->has_time);
    if (!section->has_time)
        return;
    aq_bytes_varint_signed(out, section->min_time_us);
    aq_bytes_varint_signed(out, section->max_time_us);
}

static void put_frame(struct aq_bytes *out, const struct aq_index_frame *frame)
{
    aq_bytes_varint(out, frame->size_bytes / AQ_FRAME_ALIGNMENT);
    aq_bytes_u64(out, frame->header_checksum);
    aq_bytes_varint(out, frame->section_count);
    for (size_t i = 0; i < frame->section_count; i++)
        put_section(out, &frame->sections[i]);
}

enum aq_status aq_segment_footer_encode(const struct aq_segment_index *index,
                                        const struct aq_segment_header *header,
                                        struct aq_bytes *out)
{
    size_t base = out->size;
    aq_bytes_varint(out, index->frame_count);
    for (size_t i = 0; i < index->frame_count; i++)
        put_frame(out, &index->frames[i]);
    aq_bytes_append_zeros(out, -(out->size - base) % AQ_FRAME_ALIGNMENT);
    AQ_TRY(aq_bytes_status(out));
    size_t trailer = out->size;
    aq_preamble_append(out, TRAILER_MAGIC, SEGMENT_VERSION);
    aq_bytes_u64(out, header->segment_id);
    aq_bytes_u64(out, aq_segment_index_end(index));
    aq_bytes_u64(out, trailer - base);
    aq_bytes_u64(out, aq_checksum(out->data + base, trailer - base));
    AQ_TRY(aq_bytes_status(out));
    aq_bytes_u64(out, aq_checksum(out->data + trailer, TRAILER_AT_CHECKSUM));
    return aq_bytes_status(out);
}

enum aq_status aq_segment_trailer_decode(struct aq_slice bytes, uint64_t file_size_bytes,
                                         struct aq_segment_trailer *trailer, struct aq_error *err)
{
    if (bytes.size != AQ_SEGMENT_TRAILER_BYTES ||
        file_size_bytes < AQ_SEGMENT_HEADER_BYTES + AQ_SEGMENT_TRAILER_BYTES)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "a sealed segment is too short");
    if (!aq_mutant(24) && aq_checksum(bytes.data, TRAILER_AT_CHECKSUM) !=
                              aq_load_u64(bytes.data + TRAILER_AT_CHECKSUM))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "a sealed segment's trailer is damaged");
    AQ_TRY(aq_preamble_check(bytes, TRAILER_MAGIC, SEGMENT_VERSION, "segment trailer", err));
    trailer->segment_id = aq_load_u64(bytes.data + TRAILER_AT_SEGMENT);
    trailer->index_offset = aq_load_u64(bytes.data + TRAILER_AT_INDEX_OFFSET);
    trailer->index_size_bytes = aq_load_u64(bytes.data + TRAILER_AT_INDEX_SIZE);
    trailer->index_checksum = aq_load_u64(bytes.data + TRAILER_AT_INDEX_CHECKSUM);
    uint64_t room = file_size_bytes - AQ_SEGMENT_TRAILER_BYTES;
    if (trailer->index_offset < AQ_SEGMENT_HEADER_BYTES || trailer->index_offset > room ||
        trailer->index_size_bytes != room - trailer->index_offset)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, TRAILER_AT_INDEX_OFFSET,
                               "a sealed segment does not have the length its trailer says");
    return AQ_OK;
}

/* A varint of at most `limit`. */
static uint64_t get_bounded(struct aq_reader *reader, uint64_t limit)
{
    uint64_t value = aq_reader_varint(reader);
    if (value <= limit)
        return value;
    aq_reader_fail(reader);
    return 0;
}

static void get_section(struct aq_reader *reader, struct aq_section_entry *section)
{
    *section = (struct aq_section_entry){0};
    section->dataset_id = (uint32_t)get_bounded(reader, UINT32_MAX);
    section->schema_version = (uint32_t)get_bounded(reader, UINT32_MAX);
    section->row_count = (uint32_t)get_bounded(reader, AQ_FRAME_ROWS_MAX);
    section->size_bytes =
        get_bounded(reader, AQ_FRAME_BYTES_MAX / AQ_FRAME_ALIGNMENT) * AQ_FRAME_ALIGNMENT;
    section->checksum = aq_reader_u64(reader);
    uint8_t has_time = aq_reader_u8(reader);
    section->has_time = has_time == 1;
    if (section->has_time) {
        section->min_time_us = aq_reader_varint_signed(reader);
        section->max_time_us = aq_reader_varint_signed(reader);
    }
    if (has_time > 1 || section->min_time_us > section->max_time_us)
        aq_reader_fail(reader);
}

/* Offsets from the frame's end backwards: the header before the sections has no length here. */
static void place_sections(struct aq_reader *reader, struct aq_index_frame *frame)
{
    uint64_t end = frame->size_bytes;
    for (size_t i = frame->section_count; i-- > 0 && !reader->failed;) {
        if (frame->sections[i].size_bytes > end)
            aq_reader_fail(reader);
        else
            end -= frame->sections[i].size_bytes;
        frame->sections[i].offset = end;
    }
    if (end < AQ_FRAME_PREFIX_BYTES)
        aq_reader_fail(reader);
}

static enum aq_status get_frame(struct aq_reader *reader, struct aq_segment_index *index)
{
    uint64_t size =
        get_bounded(reader, AQ_FRAME_BYTES_MAX / AQ_FRAME_ALIGNMENT) * AQ_FRAME_ALIGNMENT;
    uint64_t checksum = aq_reader_u64(reader);
    size_t section_count = aq_reader_count(reader);
    struct aq_index_frame *frame;
    AQ_TRY(next_frame(index, section_count, &frame));
    frame->size_bytes = size;
    frame->header_checksum = checksum;
    for (size_t i = 0; i < section_count; i++)
        get_section(reader, &frame->sections[i]);
    place_sections(reader, frame);
    index->frame_count++;
    return AQ_OK;
}

static enum aq_status get_index(struct aq_slice bytes, const struct aq_segment_trailer *trailer,
                                struct aq_segment_index *index, struct aq_error *err)
{
    struct aq_reader reader = aq_reader_make(bytes);
    size_t frame_count = aq_reader_count(&reader);
    while (index->frame_count < frame_count && !reader.failed) {
        if (get_frame(&reader, index) != AQ_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for a segment's index");
    }
    if (aq_segment_index_end(index) != trailer->index_offset)
        aq_reader_fail(&reader);
    while (!reader.failed && aq_reader_left(&reader) > 0) {
        if (aq_reader_left(&reader) >= AQ_FRAME_ALIGNMENT || aq_reader_u8(&reader) != 0)
            aq_reader_fail(&reader);
    }
    return aq_reader_status(&reader, "a segment's index", err);
}

enum aq_status aq_segment_index_decode(struct aq_slice bytes,
                                       const struct aq_segment_trailer *trailer,
                                       struct aq_segment_index *index, struct aq_error *err)
{
    if (bytes.size != trailer->index_size_bytes ||
        (!aq_mutant(25) && aq_checksum(bytes.data, bytes.size) != trailer->index_checksum))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "a segment's index is damaged");
    enum aq_status status = get_index(bytes, trailer, index, err);
    if (status != AQ_OK)
        aq_segment_index_deinit(index);
    return status;
}
