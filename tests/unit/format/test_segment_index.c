/* A segment's header, index and trailer: there and back, rebuilt, flipped, cut; golden bytes. */
#include "format/segment/segment_index.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/format/golden.h"
#include "tests/unit/format/sample_frame.h"

static const struct aq_segment_header segment = {
    .store_id = {{0xaa, 0xbb}}, .segment_id = 5, .epoch = 6};

static struct aq_segment_index sample_index(size_t frame_count)
{
    struct sample sample;
    sample_init(&sample);
    struct aq_segment_index index = {0};
    struct aq_arena arena = {0};
    for (size_t i = 0; i < frame_count; i++) {
        uint64_t checksum;
        sample.input.sequence = i;
        sample.input.section_count = i % 3;
        struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
        struct aq_frame_header header;
        cr_assert_eq(aq_frame_header_decode(aq_bytes_view(&bytes), &arena, &header, NULL), AQ_OK);
        cr_assert_eq(aq_segment_index_add(&index, &header), AQ_OK);
        aq_bytes_deinit(&bytes);
    }
    aq_arena_deinit(&arena);
    sample_deinit(&sample);
    return index;
}

static struct aq_bytes encode(const struct aq_segment_index *index)
{
    struct aq_bytes footer = {0};
    cr_assert_eq(aq_segment_footer_encode(index, &segment, &footer), AQ_OK);
    return footer;
}

/* What a reader of a sealed file does, the file being frames of `frames_end` bytes and `footer`. */
static enum aq_status read_footer(struct aq_slice footer, uint64_t frames_end,
                                  struct aq_segment_index *index)
{
    struct aq_segment_trailer trailer;
    struct aq_error err = {0};
    if (footer.size < AQ_SEGMENT_TRAILER_BYTES)
        return AQ_CORRUPT;
    size_t index_size = footer.size - AQ_SEGMENT_TRAILER_BYTES;
    AQ_TRY(
        aq_segment_trailer_decode(aq_slice_make(footer.data + index_size, AQ_SEGMENT_TRAILER_BYTES),
                                  frames_end + footer.size, &trailer, &err));
    if (trailer.index_size_bytes > index_size)
        return AQ_CORRUPT;
    return aq_segment_index_decode(
        aq_slice_make(footer.data + index_size - trailer.index_size_bytes,
                      trailer.index_size_bytes),
        &trailer, index, &err);
}

Test(segment_index, comes_back_and_is_rebuilt_alike)
{
    for (size_t frame_count = 0; frame_count < 130; frame_count += 43) {
        struct aq_segment_index index = sample_index(frame_count);
        struct aq_bytes footer = encode(&index);
        cr_assert_eq(footer.size % AQ_FRAME_ALIGNMENT, 0);
        struct aq_segment_index back = {0};
        cr_assert_eq(read_footer(aq_bytes_view(&footer), aq_segment_index_end(&index), &back),
                     AQ_OK);
        cr_assert_eq(back.frame_count, frame_count);
        for (size_t i = 0; i < frame_count; i++) {
            const struct aq_index_frame *a = &index.frames[i];
            const struct aq_index_frame *b = &back.frames[i];
            cr_assert(a->offset == b->offset && a->size_bytes == b->size_bytes &&
                      a->header_checksum == b->header_checksum &&
                      a->section_count == b->section_count);
            for (size_t s = 0; s < a->section_count; s++)
                cr_assert(a->sections[s].offset == b->sections[s].offset &&
                          a->sections[s].dataset_id == b->sections[s].dataset_id &&
                          a->sections[s].row_count == b->sections[s].row_count &&
                          a->sections[s].checksum == b->sections[s].checksum &&
                          a->sections[s].min_time_us == b->sections[s].min_time_us);
        }
        struct aq_bytes again = encode(&back);
        cr_assert(aq_slice_equal(aq_bytes_view(&again), aq_bytes_view(&footer)));
        aq_bytes_deinit(&again);
        aq_bytes_deinit(&footer);
        aq_segment_index_deinit(&back);
        aq_segment_index_deinit(&index);
    }
}

Test(segment_index, every_flip_is_found)
{
    struct aq_segment_index index = sample_index(4);
    struct aq_bytes footer = encode(&index);
    for (size_t bit = 0; bit < footer.size * 8; bit++) {
        footer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct aq_segment_index back = {0};
        cr_assert_eq(read_footer(aq_bytes_view(&footer), aq_segment_index_end(&index), &back),
                     AQ_CORRUPT, "bit %zu", bit);
        cr_assert_eq(back.frame_count, 0);
        footer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    aq_bytes_deinit(&footer);
    aq_segment_index_deinit(&index);
}

Test(segment_index, every_truncation_is_found)
{
    struct aq_segment_index index = sample_index(4);
    struct aq_bytes footer = encode(&index);
    uint64_t end = aq_segment_index_end(&index);
    struct aq_segment_index back = {0};
    for (size_t size = 0; size < footer.size; size++)
        cr_assert_eq(read_footer(aq_slice_make(footer.data, size), end, &back), AQ_CORRUPT);
    for (size_t size = 0; size < footer.size; size++)
        cr_assert_eq(read_footer(aq_slice_make(footer.data + size, footer.size - size), end, &back),
                     size == 0 ? AQ_OK : AQ_CORRUPT, "without the first %zu bytes", size);
    aq_bytes_deinit(&footer);
    aq_segment_index_deinit(&index);
    aq_segment_index_deinit(&back);
}

/* Right checksums over changed bytes of the index: bounded, never a crash. */
Test(segment_index, forged_indexes_do_no_harm)
{
    struct aq_segment_index index = sample_index(4);
    struct aq_bytes footer = encode(&index);
    size_t size = footer.size - AQ_SEGMENT_TRAILER_BYTES;
    struct aq_segment_trailer trailer;
    cr_assert_eq(
        aq_segment_trailer_decode(aq_slice_make(footer.data + size, AQ_SEGMENT_TRAILER_BYTES),
                                  aq_segment_index_end(&index) + footer.size, &trailer, NULL),
        AQ_OK);
    unsigned refused = 0;
    for (size_t bit = 0; bit < size * 8; bit++) {
        footer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        trailer.index_checksum = aq_checksum(footer.data, size);
        struct aq_segment_index back = {0};
        refused += aq_segment_index_decode(aq_slice_make(footer.data, size), &trailer, &back,
                                           NULL) != AQ_OK;
        aq_segment_index_deinit(&back);
        footer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_gt(refused, 100);
    aq_bytes_deinit(&footer);
    aq_segment_index_deinit(&index);
}

Test(segment_index, header)
{
    struct aq_bytes bytes = {0};
    aq_segment_header_encode(&segment, &bytes);
    cr_assert_eq(bytes.size, AQ_SEGMENT_HEADER_BYTES);
    struct aq_segment_header back;
    cr_assert_eq(aq_segment_header_decode(aq_bytes_view(&bytes), &back, NULL), AQ_OK);
    cr_assert_eq(back.segment_id, 5);
    cr_assert_eq(back.epoch, 6);
    cr_assert_eq(memcmp(&back.store_id, &segment.store_id, 16), 0);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(aq_segment_header_decode(aq_bytes_view(&bytes), &back, NULL), AQ_CORRUPT);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < bytes.size; size++)
        cr_assert_eq(aq_segment_header_decode(aq_slice_make(bytes.data, size), &back, NULL),
                     AQ_CORRUPT);
    aq_bytes_deinit(&bytes);
}

/* The worked example of docs/segment-format.md: a header, and a footer over two frames. */
Test(segment_index, golden)
{
    struct aq_bytes bytes = {0};
    aq_segment_header_encode(&segment, &bytes);
    struct aq_segment_index index = sample_index(2);
    cr_assert_eq(aq_segment_footer_encode(&index, &segment, &bytes), AQ_OK);
    golden_expect("segment-ends.bin", aq_bytes_view(&bytes));
    aq_bytes_deinit(&bytes);
    aq_segment_index_deinit(&index);
}
