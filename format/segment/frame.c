/* Encoding a frame (docs/segment-format.md, "Frame").
 *
 * Room for the header is taken first, its size being known from the counts; the sections follow,
 * each a partition directory and its columns, padded to the alignment and checksummed; then the
 * header is filled in front of them: ranges, the section table with those checksums, the header's
 * checksum over both, and last the prefix's checksum, which covers that one.
 *
 * Failures: no memory, or a frame past AQ_FRAME_BYTES_MAX or AQ_FRAME_ROWS_MAX (the caller closes
 * frames far below both). `out` is cut back to where it was. */
#include "format/segment/frame.h"

#include <assert.h>
#include <string.h>

#include "format/segment/frame_layout.h"

static void put_range(uint8_t *at, const struct aq_source_range *range)
{
    assert(range->next_ordinal >= range->first_ordinal);
    aq_store_u64(at + AQ_RANGE_AT_FEED, range->feed_id);
    aq_store_u64(at + AQ_RANGE_AT_FIRST_ORDINAL, range->first_ordinal);
    aq_store_u64(at + AQ_RANGE_AT_NEXT_ORDINAL, range->next_ordinal);
    aq_store_u64(at + AQ_RANGE_AT_NEXT_OFFSET, range->next_offset);
    memcpy(at + AQ_RANGE_AT_HASH, range->hash.bytes, sizeof range->hash.bytes);
    aq_store_u64(at + AQ_RANGE_AT_LAST_STAMP, (uint64_t)range->last_stamp_us);
    aq_store_u64(at + AQ_RANGE_AT_ROW_COUNT, range->row_count);
    aq_store_u64(at + AQ_RANGE_AT_REJECT_COUNT, range->reject_count);
    aq_store_u64(at + AQ_RANGE_AT_PASSED_COUNT, range->passed_count);
    aq_store_u64(at + AQ_RANGE_AT_FLAGS, range->finished ? AQ_RANGE_FINISHED : 0);
}

static void put_section_entry(uint8_t *at, const struct aq_section_entry *entry)
{
    aq_store_u32(at + AQ_SECTION_AT_DATASET, entry->dataset_id);
    aq_store_u32(at + AQ_SECTION_AT_SCHEMA, entry->schema_version);
    aq_store_u32(at + AQ_SECTION_AT_ROW_COUNT, entry->row_count);
    aq_store_u32(at + AQ_SECTION_AT_FLAGS, entry->has_time ? AQ_SECTION_HAS_TIME : 0);
    aq_store_u64(at + AQ_SECTION_AT_OFFSET, entry->offset);
    aq_store_u64(at + AQ_SECTION_AT_SIZE, entry->size_bytes);
    aq_store_u64(at + AQ_SECTION_AT_CHECKSUM, entry->checksum);
    aq_store_u64(at + AQ_SECTION_AT_MIN_TIME, (uint64_t)entry->min_time_us);
    aq_store_u64(at + AQ_SECTION_AT_MAX_TIME, (uint64_t)entry->max_time_us);
}

static void put_partitions(const struct aq_section_input *section, struct aq_bytes *out)
{
    size_t row = 0;
    aq_bytes_varint(out, section->partition_count);
    for (size_t i = 0; i < section->partition_count; i++) {
        const struct aq_partition *partition = &section->partitions[i];
        assert(partition->row_first == row);
        row += partition->row_count;
        aq_bytes_slice(out, partition->key);
        aq_bytes_varint_signed(out, partition->slot_start_us);
        aq_bytes_varint(out, partition->row_count);
    }
    assert(row == section->rows->row_count);
}

static uint32_t column_id(const struct aq_schema *schema, size_t column)
{
    if (column < schema->column_count)
        return schema->columns[column].id;
    return AQ_SYSTEM_ID_FEED + (uint32_t)(column - schema->column_count);
}

/* The column table, then the coded columns, which are collected in the scratch. */
static enum aq_status put_columns(const struct aq_section_input *section,
                                  struct aq_encode_scratch *scratch, struct aq_bytes *out)
{
    const struct aq_batch *rows = section->rows;
    struct aq_encode_options options = {.profile = AQ_PROFILE_FRAME, .scratch = scratch};
    struct aq_bytes *coded = &scratch->coded;
    aq_bytes_clear(coded);
    aq_bytes_varint(out, rows->column_count);
    for (size_t i = 0; i < rows->column_count; i++) {
        size_t before = coded->size;
        AQ_TRY(aq_column_encode_with(&rows->columns[i], 0, rows->row_count, &options, coded));
        aq_bytes_varint(out, column_id(section->schema, i));
        aq_bytes_u8(out, (uint8_t)rows->columns[i].type);
        aq_bytes_varint(out, coded->size - before);
    }
    AQ_TRY(aq_bytes_status(coded));
    aq_bytes_append(out, coded->data, coded->size);
    return aq_bytes_status(out);
}

static void find_time_bounds(const struct aq_section_input *section, struct aq_section_entry *entry)
{
    if (section->schema->time_column == AQ_COLUMN_NONE || section->rows->row_count == 0)
        return;
    const struct aq_vector *time = &section->rows->columns[section->schema->time_column];
    entry->has_time = true;
    entry->min_time_us = time->ints[0];
    entry->max_time_us = time->ints[0];
    for (size_t row = 1; row < time->row_count; row++) {
        if (time->ints[row] < entry->min_time_us)
            entry->min_time_us = time->ints[row];
        if (time->ints[row] > entry->max_time_us)
            entry->max_time_us = time->ints[row];
    }
}

/* Zeros behind a part of the frame, which has `size` bytes with it. */
static void put_padding(const struct aq_frame_input *input, size_t size, bool last,
                        struct aq_bytes *out)
{
    uint64_t alignment = last && input->fill_block ? AQ_FRAME_BLOCK_BYTES : AQ_FRAME_ALIGNMENT;
    aq_bytes_append_zeros(out, -(input->file_offset + size) % alignment);
}

/* Section `number` of the frame that begins at `base`. */
static enum aq_status put_section(const struct aq_frame_input *input, size_t number, size_t base,
                                  struct aq_encode_scratch *scratch, struct aq_bytes *out,
                                  struct aq_section_entry *entry)
{
    const struct aq_section_input *section = &input->sections[number];
    assert(section->rows->column_count == section->schema->column_count ||
           section->rows->column_count == section->schema->column_count + AQ_SYSTEM_COLUMN_COUNT);
    if (section->rows->row_count > AQ_FRAME_ROWS_MAX)
        return AQ_LIMIT;
    size_t start = out->size;
    *entry = (struct aq_section_entry){
        .dataset_id = section->schema->dataset_id,
        .schema_version = section->schema->version,
        .row_count = (uint32_t)section->rows->row_count,
    };
    find_time_bounds(section, entry);
    put_partitions(section, out);
    AQ_TRY(put_columns(section, scratch, out));
    AQ_TRY(aq_bytes_status(out));
    put_padding(input, out->size - base, number + 1 == input->section_count, out);
    AQ_TRY(aq_bytes_status(out));
    entry->offset = start - base;
    entry->size_bytes = out->size - start;
    entry->checksum = aq_checksum(out->data + start, out->size - start);
    return AQ_OK;
}

/* Fill the header's bytes at out->data + base; the sections are in place behind it. */
static uint64_t fill_prefix(const struct aq_frame_input *input, uint8_t *header, size_t header_size,
                            size_t frame_size)
{
    assert(input->durable_count <= input->sequence);
    aq_store_u64(header + AQ_FRAME_AT_SIZE, frame_size);
    aq_store_u32(header + AQ_FRAME_AT_HEADER_SIZE, (uint32_t)header_size);
    aq_store_u32(header + AQ_FRAME_AT_RANGE_COUNT, (uint32_t)input->range_count);
    aq_store_u32(header + AQ_FRAME_AT_SECTION_COUNT, (uint32_t)input->section_count);
    memcpy(header + AQ_FRAME_AT_STORE, input->store_id.bytes, sizeof input->store_id.bytes);
    aq_store_u64(header + AQ_FRAME_AT_SEGMENT, input->segment_id);
    aq_store_u64(header + AQ_FRAME_AT_EPOCH, input->epoch);
    aq_store_u64(header + AQ_FRAME_AT_SEQUENCE, input->sequence);
    aq_store_u64(header + AQ_FRAME_AT_PREVIOUS, input->previous_checksum);
    aq_store_u64(header + AQ_FRAME_AT_DURABLE, input->durable_count);
    uint64_t checksum = aq_frame_header_checksum(header, header_size);
    aq_store_u64(header + AQ_FRAME_AT_HEADER_CHECKSUM, checksum);
    aq_store_u64(header + AQ_FRAME_AT_PREFIX_CHECKSUM,
                 aq_checksum(header, AQ_FRAME_AT_PREFIX_CHECKSUM));
    return checksum;
}

/* Header room, then sections, each entered into the table as soon as its checksum is known. */
static enum aq_status put_frame(const struct aq_frame_input *input,
                                struct aq_encode_scratch *scratch, struct aq_bytes *out,
                                uint64_t *header_checksum)
{
    size_t base = out->size;
    uint64_t header_size = aq_frame_header_size(input->range_count, input->section_count);
    if (header_size > AQ_FRAME_BYTES_MAX)
        return AQ_LIMIT;
    aq_preamble_append(out, AQ_FRAME_MAGIC, AQ_FRAME_VERSION);
    aq_bytes_append_zeros(out, header_size - AQ_PREAMBLE_BYTES);
    if (input->section_count == 0)
        put_padding(input, out->size - base, true, out);
    header_size = out->size - base;
    AQ_TRY(aq_bytes_status(out));
    size_t at = base + AQ_FRAME_PREFIX_BYTES;
    for (size_t i = 0; i < input->range_count; i++, at += AQ_RANGE_BYTES)
        put_range(out->data + at, &input->ranges[i]);
    for (size_t i = 0; i < input->section_count; i++, at += AQ_SECTION_ENTRY_BYTES) {
        struct aq_section_entry entry;
        AQ_TRY(put_section(input, i, base, scratch, out, &entry));
        put_section_entry(out->data + at, &entry);
    }
    if (out->size - base > AQ_FRAME_BYTES_MAX)
        return AQ_LIMIT;
    *header_checksum = fill_prefix(input, out->data + base, header_size, out->size - base);
    return AQ_OK;
}

enum aq_status aq_frame_encode(const struct aq_frame_input *input, struct aq_bytes *out,
                               uint64_t *header_checksum, struct aq_error *err)
{
    struct aq_encode_scratch own = {0};
    size_t base = out->size;
    enum aq_status status =
        put_frame(input, input->scratch != NULL ? input->scratch : &own, out, header_checksum);
    aq_encode_scratch_deinit(&own);
    if (status == AQ_OK)
        return AQ_OK;
    out->size = base;
    if (status == AQ_LIMIT)
        return aq_error_set(err, status, "a frame passes %llu bytes or %u rows a dataset",
                            (unsigned long long)AQ_FRAME_BYTES_MAX, AQ_FRAME_ROWS_MAX);
    return aq_error_set(err, status, "cannot encode a frame: %s", aq_status_text(status));
}
