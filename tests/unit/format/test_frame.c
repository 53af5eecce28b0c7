/* Frames: there and back; every flip and every truncation refused; forged bytes harmless; golden. */
#include "format/segment/frame_layout.h"
#include "format/segment/frame.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/format/golden.h"
#include "tests/unit/format/sample_frame.h"

static const uint32_t air_ids[] = {
    1, 2, 3, AQ_SYSTEM_ID_FEED, AQ_SYSTEM_ID_ORDINAL, AQ_SYSTEM_ID_STAMP};

static struct aq_slice section_of(struct aq_slice frame, const struct aq_section_entry *entry)
{
    return aq_slice_make(frame.data + entry->offset, entry->size_bytes);
}

/* Everything a reader does with a frame; the first failure. */
static enum aq_status read_all(struct aq_slice frame, struct aq_error *err)
{
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    struct aq_batch batch;
    const struct aq_schema *schemas[] = {&sample_air, &sample_lookup};
    enum aq_status status = aq_frame_header_decode(frame, &arena, &header, err);
    if (status == AQ_OK)
        status = aq_frame_verify(frame, &header, err);
    for (size_t i = 0; status == AQ_OK && i < header.section_count && i < 2; i++) {
        struct aq_slice section = section_of(frame, &header.sections[i]);
        struct aq_partition *partitions;
        size_t partition_count;
        status = aq_section_partitions(section, &header.sections[i], &arena, &partitions,
                                       &partition_count, err);
        if (status != AQ_OK)
            break;
        cr_assert_eq(aq_schema_batch_init(schemas[i], true, &batch), AQ_OK);
        static const uint32_t lookup_ids[] = {4, AQ_SYSTEM_ID_FEED, AQ_SYSTEM_ID_ORDINAL,
                                              AQ_SYSTEM_ID_STAMP};
        status = aq_section_decode(section, &header.sections[i], schemas[i],
                                   i == 0 ? air_ids : lookup_ids, &batch, err);
        aq_batch_deinit(&batch);
    }
    aq_arena_deinit(&arena);
    return status;
}

Test(frame, header_comes_back)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    cr_assert_eq(bytes.size % AQ_FRAME_ALIGNMENT, 0);
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    cr_assert_eq(aq_frame_header_decode(aq_bytes_view(&bytes), &arena, &header, NULL), AQ_OK);
    cr_assert_eq(header.prefix.frame_size_bytes, bytes.size);
    cr_assert_eq(header.prefix.segment_id, 5);
    cr_assert_eq(header.prefix.epoch, 6);
    cr_assert_eq(header.prefix.header_checksum, checksum);
    cr_assert_eq(memcmp(&header.prefix.store_id, &sample.input.store_id, 16), 0);
    cr_assert_eq(header.range_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct aq_source_range *a = &header.ranges[i];
        const struct aq_source_range *b = &sample.ranges[i];
        cr_assert(a->feed_id == b->feed_id && a->first_ordinal == b->first_ordinal &&
                  a->next_ordinal == b->next_ordinal && a->next_offset == b->next_offset &&
                  aq_hash128_equal(&a->hash, &b->hash) && a->last_stamp_us == b->last_stamp_us &&
                  a->row_count == b->row_count && a->reject_count == b->reject_count &&
                  a->passed_count == b->passed_count && a->finished == b->finished);
    }
    cr_assert_eq(header.section_count, 2);
    cr_assert_eq(header.sections[0].dataset_id, 1);
    cr_assert_eq(header.sections[0].row_count, 3);
    cr_assert(header.sections[0].has_time);
    cr_assert_eq(header.sections[0].min_time_us, SAMPLE_T0 - 1);
    cr_assert_eq(header.sections[0].max_time_us, SAMPLE_T0 + 3600000000);
    cr_assert_eq(header.sections[1].schema_version, 3);
    cr_assert_not(header.sections[1].has_time);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

static void expect_same_rows(const struct aq_batch *a, const struct aq_batch *b)
{
    cr_assert_eq(a->row_count, b->row_count);
    for (size_t column = 0; column < b->column_count; column++) {
        for (size_t row = 0; row < b->row_count; row++)
            cr_assert_eq(aq_vector_compare_bits(&a->columns[column], row, &b->columns[column], row),
                         0, "column %zu row %zu", column, row);
    }
}

Test(frame, rows_and_partitions_come_back)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    cr_assert_eq(aq_frame_header_decode(aq_bytes_view(&bytes), &arena, &header, NULL), AQ_OK);
    struct aq_slice section = section_of(aq_bytes_view(&bytes), &header.sections[0]);
    struct aq_batch batch;
    cr_assert_eq(aq_schema_batch_init(&sample_air, true, &batch), AQ_OK);
    cr_assert_eq(
        aq_section_decode(section, &header.sections[0], &sample_air, air_ids, &batch, NULL), AQ_OK);
    expect_same_rows(&batch, &sample.air);
    cr_assert(signbit(batch.columns[2].doubles[2]), "-0.0 keeps its sign");
    struct aq_partition *partitions;
    size_t count;
    cr_assert_eq(
        aq_section_partitions(section, &header.sections[0], &arena, &partitions, &count, NULL),
        AQ_OK);
    cr_assert_eq(count, 2);
    cr_assert(aq_slice_equal(partitions[1].key, aq_slice_of("hanoi")));
    cr_assert_eq(partitions[1].slot_start_us, SAMPLE_DAY);
    cr_assert_eq(partitions[1].row_first, 2);
    cr_assert_eq(partitions[1].row_count, 1);
    aq_batch_deinit(&batch);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

/* Columns by id: some, in another order, and one that was added after the frame was written. */
Test(frame, columns_are_found_by_id)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    cr_assert_eq(aq_frame_header_decode(aq_bytes_view(&bytes), &arena, &header, NULL), AQ_OK);
    struct aq_slice section = section_of(aq_bytes_view(&bytes), &header.sections[0]);
    enum aq_type types[] = {AQ_TYPE_DOUBLE, AQ_TYPE_TEXT, AQ_TYPE_TEXT};
    uint32_t ids[] = {3, 1000, 1};
    struct aq_batch batch;
    cr_assert_eq(aq_batch_init(&batch, 3, types), AQ_OK);
    cr_assert_eq(aq_section_decode(section, &header.sections[0], &sample_air, ids, &batch, NULL),
                 AQ_OK);
    cr_assert_eq(batch.row_count, 3);
    cr_assert_eq(batch.columns[0].doubles[0], 12.5);
    cr_assert(aq_vector_is_null(&batch.columns[0], 1));
    for (size_t row = 0; row < 3; row++)
        cr_assert(aq_vector_is_null(&batch.columns[1], row));
    cr_assert(aq_slice_equal(batch.columns[2].slices[2], aq_slice_of("hanoi")));
    batch.columns[0].type = AQ_TYPE_REAL;
    struct aq_error err = {0};
    cr_assert_eq(aq_section_decode(section, &header.sections[0], &sample_air, ids, &batch, &err),
                 AQ_CORRUPT, "a type that is not the stored one");
    cr_assert_eq(batch.row_count, 0);
    aq_batch_deinit(&batch);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

Test(frame, markers_and_empty_sections)
{
    struct sample sample;
    sample_init(&sample);
    aq_batch_clear(&sample.air);
    sample.sections[0].partition_count = 0;
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    cr_assert_eq(read_all(aq_bytes_view(&bytes), NULL), AQ_OK);
    aq_bytes_deinit(&bytes);
    sample.input.section_count = 0;
    sample.input.range_count = 0;
    bytes = sample_encode(&sample.input, &checksum);
    cr_assert_eq(bytes.size, AQ_FRAME_PREFIX_BYTES);
    cr_assert_eq(read_all(aq_bytes_view(&bytes), NULL), AQ_OK);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

/* Wherever the frame begins, it ends at the end of a block; what it holds is the same. */
static void fills_its_block(struct sample *sample, uint64_t file_offset)
{
    uint64_t checksum;
    struct aq_bytes plain = sample_encode(&sample->input, &checksum);
    struct aq_frame_input input = sample->input;
    input.fill_block = true;
    input.file_offset = file_offset;
    struct aq_bytes filled = sample_encode(&input, &checksum);
    cr_assert_eq((file_offset + filled.size) % AQ_FRAME_BLOCK_BYTES, 0);
    cr_assert(filled.size >= plain.size && filled.size < plain.size + AQ_FRAME_BLOCK_BYTES);
    cr_assert_eq(read_all(aq_bytes_view(&filled), NULL), AQ_OK);
    aq_bytes_deinit(&plain);
    aq_bytes_deinit(&filled);
}

Test(frame, frames_that_end_with_their_block)
{
    struct sample sample;
    sample_init(&sample);
    for (uint64_t offset = 64; offset <= 2 * AQ_FRAME_BLOCK_BYTES; offset += AQ_FRAME_ALIGNMENT)
        fills_its_block(&sample, offset);
    sample.input.section_count = 0;
    for (uint64_t offset = 64; offset <= 2 * AQ_FRAME_BLOCK_BYTES; offset += AQ_FRAME_ALIGNMENT)
        fills_its_block(&sample, offset);
    sample_deinit(&sample);
}

static void flip_every_bit(const struct sample *sample)
{
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample->input, &checksum);
    cr_assert_eq(read_all(aq_bytes_view(&bytes), NULL), AQ_OK);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct aq_error err = {0};
        cr_assert_eq(read_all(aq_bytes_view(&bytes), &err), AQ_CORRUPT, "bit %zu", bit);
        cr_assert(err.offset >= 0 && (size_t)err.offset <= bit / 8, "bit %zu", bit);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    aq_bytes_deinit(&bytes);
}

Test(frame, every_flip_is_found)
{
    struct sample sample;
    sample_init(&sample);
    flip_every_bit(&sample);
    sample.input.fill_block = true;
    flip_every_bit(&sample);
    sample.input.section_count = 0;
    flip_every_bit(&sample);
    sample_deinit(&sample);
}

Test(frame, zeros_past_a_block_are_refused)
{
    struct sample sample;
    sample_init(&sample);
    sample.input.section_count = 0;
    sample.input.fill_block = true;
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    aq_bytes_append_zeros(&bytes, AQ_FRAME_BLOCK_BYTES);
    aq_bytes_patch_u64(&bytes, 24, bytes.size);
    aq_bytes_patch_u32(&bytes, 32, (uint32_t)bytes.size);
    aq_bytes_patch_u64(&bytes, 120, aq_checksum(bytes.data, 120));
    struct aq_error err = {0};
    cr_assert_eq(read_all(aq_bytes_view(&bytes), &err), AQ_CORRUPT);
    cr_assert_eq(err.offset, 32);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

Test(frame, a_span_of_time_that_is_not_set_is_zero)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    size_t lookup = AQ_FRAME_PREFIX_BYTES + 2 * AQ_RANGE_BYTES + AQ_SECTION_ENTRY_BYTES;
    aq_bytes_patch_u64(&bytes, lookup + AQ_SECTION_AT_MAX_TIME, 7);
    size_t header_size = aq_load_u32(bytes.data + AQ_FRAME_AT_HEADER_SIZE);
    aq_bytes_patch_u64(&bytes, AQ_FRAME_AT_HEADER_CHECKSUM,
                       aq_frame_header_checksum(bytes.data, header_size));
    aq_bytes_patch_u64(&bytes, AQ_FRAME_AT_PREFIX_CHECKSUM,
                       aq_checksum(bytes.data, AQ_FRAME_AT_PREFIX_CHECKSUM));
    struct aq_error err = {0};
    cr_assert_eq(read_all(aq_bytes_view(&bytes), &err), AQ_CORRUPT);
    cr_assert_eq((size_t)err.offset, lookup);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

Test(frame, every_truncation_is_found)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, bytes.data, size);
        cr_assert_eq(read_all(aq_slice_make(copy, size), NULL), AQ_CORRUPT, "cut to %zu", size);
        free(copy);
    }
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

/* A section is read alone: cut, or believed to be another one, it is refused. */
Test(frame, sections_alone)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    cr_assert_eq(aq_frame_header_decode(aq_bytes_view(&bytes), &arena, &header, NULL), AQ_OK);
    struct aq_batch batch;
    cr_assert_eq(aq_schema_batch_init(&sample_air, true, &batch), AQ_OK);
    struct aq_slice section = section_of(aq_bytes_view(&bytes), &header.sections[0]);
    for (size_t size = 0; size < section.size; size++)
        cr_assert_eq(aq_section_decode(aq_slice_make(section.data, size), &header.sections[0],
                                       &sample_air, air_ids, &batch, NULL),
                     AQ_CORRUPT);
    cr_assert_eq(aq_section_decode(section_of(aq_bytes_view(&bytes), &header.sections[1]),
                                   &header.sections[0], &sample_air, air_ids, &batch, NULL),
                 AQ_CORRUPT);
    aq_batch_deinit(&batch);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

/* Right checksums over changed bytes of the section: bounded, never a crash. */
Test(frame, forged_sections_do_no_harm)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    cr_assert_eq(aq_frame_header_decode(aq_bytes_view(&bytes), &arena, &header, NULL), AQ_OK);
    struct aq_section_entry entry = header.sections[0];
    uint8_t *section = bytes.data + entry.offset;
    struct aq_batch batch;
    cr_assert_eq(aq_schema_batch_init(&sample_air, true, &batch), AQ_OK);
    unsigned refused = 0;
    for (size_t bit = 0; bit < entry.size_bytes * 8; bit++) {
        section[bit / 8] ^= (uint8_t)(1 << bit % 8);
        entry.checksum = aq_checksum(section, entry.size_bytes);
        refused += aq_section_decode(aq_slice_make(section, entry.size_bytes), &entry, &sample_air,
                                     air_ids, &batch, NULL) != AQ_OK;
        struct aq_partition *partitions;
        size_t count;
        enum aq_status status = aq_section_partitions(aq_slice_make(section, entry.size_bytes),
                                                      &entry, &arena, &partitions, &count, NULL);
        for (size_t i = 0; status == AQ_OK && i < count; i++)
            cr_assert_leq(partitions[i].row_first + partitions[i].row_count, entry.row_count);
        section[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_gt(refused, 200);
    entry.checksum = aq_checksum(section, entry.size_bytes);
    entry.row_count = AQ_FRAME_ROWS_MAX;
    cr_assert_eq(aq_section_decode(aq_slice_make(section, entry.size_bytes), &entry, &sample_air,
                                   air_ids, &batch, NULL),
                 AQ_CORRUPT);
    aq_batch_deinit(&batch);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

Test(frame, newer_versions_are_named_as_such)
{
    struct sample sample;
    sample_init(&sample);
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    aq_bytes_patch_u32(&bytes, 8, 2);
    aq_bytes_patch_u64(&bytes, 120, aq_checksum(bytes.data, 120));
    struct aq_frame_prefix prefix;
    struct aq_error err = {0};
    cr_assert_eq(aq_frame_prefix_decode(aq_bytes_view(&bytes), &prefix, &err), AQ_UNSUPPORTED);
    cr_assert_not_null(strstr(err.message, "newer"));
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}

/* The worked example of docs/segment-format.md. */
Test(frame, golden)
{
    struct sample sample;
    sample_init(&sample);
    sample.input.section_count = 1;
    sample.input.range_count = 1;
    sample.input.sequence = 1;
    sample.input.durable_count = 1;
    sample.input.previous_checksum = UINT64_C(0x0123456789abcdef);
    for (uint8_t i = 0; i < 16; i++)
        sample.input.store_id.bytes[i] = i;
    uint64_t checksum;
    struct aq_bytes bytes = sample_encode(&sample.input, &checksum);
    golden_expect("frame.bin", aq_bytes_view(&bytes));
    aq_bytes_deinit(&bytes);
    sample_deinit(&sample);
}
