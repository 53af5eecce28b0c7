/* Decoding a frame (docs/segment-format.md, "Frame"), in the order a reader meets its bytes.
 *
 * The prefix is verified by its own checksum, so its lengths may be believed; then the header by
 * the checksum in the prefix, so that ranges and section table may be believed; then a section by
 * the checksum in that table. Every byte of a frame is covered by one of the three: sections follow
 * each other without gaps to the frame's end, and paddings belong to what they pad.
 *
 * Failures: AQ_CORRUPT with the offset from the first byte of what was given (frame or section);
 * AQ_UNSUPPORTED for intact bytes of a newer version. What the checksums cover is still bounded
 * before use: a writer's bug, or a forger, must not crash a reader. */
#include "format/segment/frame.h"

#include <assert.h>
#include <string.h>

#include "format/encode/encode.h"
#include "format/segment/frame_layout.h"
#include "format/base/mutant.h"

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static enum aq_status corrupt(struct aq_error *err, size_t offset, const char *what)
{
    return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)offset, "%s", what);
}

static enum aq_status check_prefix_sizes(const uint8_t *bytes, struct aq_error *err)
{
    uint64_t frame_size = aq_load_u64(bytes + AQ_FRAME_AT_SIZE);
    if (frame_size > AQ_FRAME_BYTES_MAX || frame_size % AQ_FRAME_ALIGNMENT != 0)
        return corrupt(err, AQ_FRAME_AT_SIZE, "a frame has an impossible size");
    uint64_t header_size = aq_load_u32(bytes + AQ_FRAME_AT_HEADER_SIZE);
    uint64_t expected = aq_frame_header_size(aq_load_u32(bytes + AQ_FRAME_AT_RANGE_COUNT),
                                             aq_load_u32(bytes + AQ_FRAME_AT_SECTION_COUNT));
    /* Without a section behind it the header is what ends at the end of a block. */
    uint64_t longest = aq_load_u32(bytes + AQ_FRAME_AT_SECTION_COUNT) > 0
                           ? expected
                           : expected + AQ_FRAME_BLOCK_BYTES - AQ_FRAME_ALIGNMENT;
    if (header_size > frame_size || header_size < expected || header_size > longest)
        return corrupt(err, AQ_FRAME_AT_HEADER_SIZE, "a frame's header has an impossible size");
    if (!all_zero(bytes + AQ_FRAME_AT_ZERO, 4) || !all_zero(bytes + AQ_FRAME_AT_RESERVED, 8))
        return corrupt(err, AQ_FRAME_AT_ZERO, "a frame has bytes set that must be zero");
    if (aq_load_u64(bytes + AQ_FRAME_AT_DURABLE) > aq_load_u64(bytes + AQ_FRAME_AT_SEQUENCE))
        return corrupt(err, AQ_FRAME_AT_DURABLE, "a frame calls itself durable");
    return AQ_OK;
}

enum aq_status aq_frame_prefix_decode(struct aq_slice bytes, struct aq_frame_prefix *prefix,
                                      struct aq_error *err)
{
    if (bytes.size < AQ_FRAME_PREFIX_BYTES)
        return corrupt(err, bytes.size, "a frame is cut short");
    if (!aq_mutant(20) && aq_checksum(bytes.data, AQ_FRAME_AT_PREFIX_CHECKSUM) !=
                              aq_load_u64(bytes.data + AQ_FRAME_AT_PREFIX_CHECKSUM))
        return corrupt(err, 0, "these bytes do not begin a frame");
    AQ_TRY(aq_preamble_check(bytes, AQ_FRAME_MAGIC, AQ_FRAME_VERSION, "frame", err));
    AQ_TRY(check_prefix_sizes(bytes.data, err));
    memcpy(prefix->store_id.bytes, bytes.data + AQ_FRAME_AT_STORE, sizeof prefix->store_id.bytes);
    prefix->segment_id = aq_load_u64(bytes.data + AQ_FRAME_AT_SEGMENT);
    prefix->epoch = aq_load_u64(bytes.data + AQ_FRAME_AT_EPOCH);
    prefix->sequence = aq_load_u64(bytes.data + AQ_FRAME_AT_SEQUENCE);
    prefix->previous_checksum = aq_load_u64(bytes.data + AQ_FRAME_AT_PREVIOUS);
    prefix->durable_count = aq_load_u64(bytes.data + AQ_FRAME_AT_DURABLE);
    prefix->frame_size_bytes = aq_load_u64(bytes.data + AQ_FRAME_AT_SIZE);
    prefix->header_size_bytes = aq_load_u32(bytes.data + AQ_FRAME_AT_HEADER_SIZE);
    prefix->header_checksum = aq_load_u64(bytes.data + AQ_FRAME_AT_HEADER_CHECKSUM);
    return AQ_OK;
}

static bool get_range(const uint8_t *at, struct aq_source_range *range)
{
    range->feed_id = aq_load_u64(at + AQ_RANGE_AT_FEED);
    range->first_ordinal = aq_load_u64(at + AQ_RANGE_AT_FIRST_ORDINAL);
    range->next_ordinal = aq_load_u64(at + AQ_RANGE_AT_NEXT_ORDINAL);
    range->next_offset = aq_load_u64(at + AQ_RANGE_AT_NEXT_OFFSET);
    memcpy(range->hash.bytes, at + AQ_RANGE_AT_HASH, sizeof range->hash.bytes);
    range->last_stamp_us = (int64_t)aq_load_u64(at + AQ_RANGE_AT_LAST_STAMP);
    range->row_count = aq_load_u64(at + AQ_RANGE_AT_ROW_COUNT);
    range->reject_count = aq_load_u64(at + AQ_RANGE_AT_REJECT_COUNT);
    range->passed_count = aq_load_u64(at + AQ_RANGE_AT_PASSED_COUNT);
    uint64_t flags = aq_load_u64(at + AQ_RANGE_AT_FLAGS);
    range->finished = flags == AQ_RANGE_FINISHED;
    return range->next_ordinal >= range->first_ordinal && flags <= AQ_RANGE_FINISHED;
}

/* `*offset` is where the section must begin; moved to its end. */
static bool get_section_entry(const uint8_t *at, uint64_t frame_size, uint64_t *offset,
                              struct aq_section_entry *entry)
{
    uint32_t flags = aq_load_u32(at + AQ_SECTION_AT_FLAGS);
    *entry = (struct aq_section_entry){
        .dataset_id = aq_load_u32(at + AQ_SECTION_AT_DATASET),
        .schema_version = aq_load_u32(at + AQ_SECTION_AT_SCHEMA),
        .row_count = aq_load_u32(at + AQ_SECTION_AT_ROW_COUNT),
        .offset = aq_load_u64(at + AQ_SECTION_AT_OFFSET),
        .size_bytes = aq_load_u64(at + AQ_SECTION_AT_SIZE),
        .checksum = aq_load_u64(at + AQ_SECTION_AT_CHECKSUM),
        .has_time = flags == AQ_SECTION_HAS_TIME,
        .min_time_us = (int64_t)aq_load_u64(at + AQ_SECTION_AT_MIN_TIME),
        .max_time_us = (int64_t)aq_load_u64(at + AQ_SECTION_AT_MAX_TIME),
    };
    if (entry->offset != *offset || entry->size_bytes > frame_size - *offset ||
        entry->size_bytes % AQ_FRAME_ALIGNMENT != 0)
        return false;
    *offset += entry->size_bytes;
    bool spans = entry->has_time ? entry->min_time_us <= entry->max_time_us
                                 : entry->min_time_us == 0 && entry->max_time_us == 0;
    return flags <= AQ_SECTION_HAS_TIME && entry->row_count <= AQ_FRAME_ROWS_MAX && spans;
}

static enum aq_status get_tables(struct aq_slice bytes, struct aq_frame_header *header,
                                 struct aq_error *err)
{
    size_t at = AQ_FRAME_PREFIX_BYTES;
    for (size_t i = 0; i < header->range_count; i++, at += AQ_RANGE_BYTES) {
        if (!get_range(bytes.data + at, &header->ranges[i]))
            return corrupt(err, at, "a frame has an impossible source range");
    }
    uint64_t end = header->prefix.header_size_bytes;
    for (size_t i = 0; i < header->section_count; i++, at += AQ_SECTION_ENTRY_BYTES) {
        if (!get_section_entry(bytes.data + at, header->prefix.frame_size_bytes, &end,
                               &header->sections[i]))
            return corrupt(err, at, "a frame has an impossible section");
    }
    if (!all_zero(bytes.data + at, header->prefix.header_size_bytes - at))
        return corrupt(err, at, "a frame's padding is not zero");
    if (end != header->prefix.frame_size_bytes)
        return corrupt(err, AQ_FRAME_AT_SIZE, "a frame's sections do not fill it");
    return AQ_OK;
}

enum aq_status aq_frame_header_decode(struct aq_slice bytes, struct aq_arena *arena,
                                      struct aq_frame_header *header, struct aq_error *err)
{
    AQ_TRY(aq_frame_prefix_decode(bytes, &header->prefix, err));
    size_t size = header->prefix.header_size_bytes;
    if (bytes.size < size)
        return corrupt(err, bytes.size, "a frame's header is cut short");
    if (!aq_mutant(21) &&
        aq_frame_header_checksum(bytes.data, size) != header->prefix.header_checksum)
        return corrupt(err, AQ_FRAME_PREFIX_BYTES,
                       "the checksum of a frame's header does not match its bytes");
    header->range_count = aq_load_u32(bytes.data + AQ_FRAME_AT_RANGE_COUNT);
    header->section_count = aq_load_u32(bytes.data + AQ_FRAME_AT_SECTION_COUNT);
    header->ranges = aq_arena_alloc(arena, header->range_count * sizeof *header->ranges);
    header->sections = aq_arena_alloc(arena, header->section_count * sizeof *header->sections);
    if (header->ranges == NULL || header->sections == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a frame's header");
    return get_tables(bytes, header, err);
}

static enum aq_status check_section(struct aq_slice section, const struct aq_section_entry *entry,
                                    struct aq_error *err)
{
    if (section.size != entry->size_bytes)
        return corrupt(err, section.size, "a section is cut short");
    if (!aq_mutant(22) && aq_checksum(section.data, section.size) != entry->checksum)
        return corrupt(err, 0, "the checksum of a section does not match its bytes");
    return AQ_OK;
}

enum aq_status aq_frame_verify(struct aq_slice frame, const struct aq_frame_header *header,
                               struct aq_error *err)
{
    if (frame.size != header->prefix.frame_size_bytes)
        return corrupt(err, frame.size, "a frame is cut short");
    for (size_t i = 0; i < header->section_count; i++) {
        const struct aq_section_entry *entry = &header->sections[i];
        struct aq_slice section = aq_slice_make(frame.data + entry->offset, entry->size_bytes);
        enum aq_status status = check_section(section, entry, err);
        if (status != AQ_OK && err != NULL)
            err->offset += (int64_t)entry->offset;
        AQ_TRY(status);
    }
    return AQ_OK;
}

/* Read the partition directory; `partitions` NULL: only step over it. */
static void get_partitions(struct aq_reader *reader, size_t count, uint32_t row_count,
                           struct aq_partition *partitions)
{
    uint64_t row = 0;
    for (size_t i = 0; i < count && !reader->failed; i++) {
        struct aq_partition partition = {.row_first = (uint32_t)row};
        partition.key = aq_reader_slice(reader);
        partition.slot_start_us = aq_reader_varint_signed(reader);
        uint64_t rows = aq_reader_varint(reader);
        if (rows > row_count - row)
            aq_reader_fail(reader);
        partition.row_count = (uint32_t)rows;
        row += rows;
        if (partitions != NULL)
            partitions[i] = partition;
    }
    if (row != row_count)
        aq_reader_fail(reader);
}

enum aq_status aq_section_partitions(struct aq_slice section, const struct aq_section_entry *entry,
                                     struct aq_arena *arena, struct aq_partition **partitions,
                                     size_t *partition_count, struct aq_error *err)
{
    AQ_TRY(check_section(section, entry, err));
    struct aq_reader reader = aq_reader_make(section);
    size_t count = aq_reader_count(&reader);
    *partitions = aq_arena_alloc(arena, count * sizeof **partitions);
    if (*partitions == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for %zu partitions", count);
    get_partitions(&reader, count, entry->row_count, *partitions);
    *partition_count = count;
    return aq_reader_status(&reader, "a section's partition directory", err);
}

static void get_column_table(struct aq_reader *reader, size_t count,
                             struct aq_section_column *columns)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t id = aq_reader_varint(reader);
        columns[i].id = (uint32_t)id;
        columns[i].type = aq_reader_u8(reader);
        columns[i].size = aq_reader_count(reader);
        if (id > UINT32_MAX)
            aq_reader_fail(reader);
    }
    for (size_t i = 0; i < count; i++) {
        columns[i].offset = reader->offset;
        aq_reader_skip(reader, columns[i].size);
    }
}

enum aq_status aq_section_open(struct aq_slice bytes, const struct aq_section_entry *entry,
                               struct aq_arena *arena, struct aq_section *section,
                               struct aq_error *err)
{
    AQ_TRY(check_section(bytes, entry, err));
    struct aq_reader reader = aq_reader_make(bytes);
    get_partitions(&reader, aq_reader_count(&reader), entry->row_count, NULL);
    size_t count = aq_reader_count(&reader);
    if (count > AQ_COLUMNS_MAX + AQ_SYSTEM_COLUMN_COUNT)
        aq_reader_fail(&reader);
    AQ_TRY(aq_reader_status(&reader, "a section's partition directory", err));
    *section = (struct aq_section){.bytes = bytes, .column_count = count};
    section->columns = aq_arena_alloc(arena, count * sizeof *section->columns);
    if (section->columns == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for %zu columns", count);
    get_column_table(&reader, count, section->columns);
    AQ_TRY(aq_reader_status(&reader, "a section's column table", err));
    size_t left = aq_reader_left(&reader);
    if (left >= AQ_FRAME_BLOCK_BYTES || !all_zero(bytes.data + reader.offset, left))
        return corrupt(err, reader.offset, "a section's padding is not zero");
    return AQ_OK;
}

/* The type that `schema` gives the column with this id; 0 for an id it does not have. */
static uint8_t declared_type(const struct aq_schema *schema, uint32_t id)
{
    switch (id) {
    case AQ_SYSTEM_ID_FEED:
    case AQ_SYSTEM_ID_ORDINAL:
        return AQ_TYPE_BIGINT;
    case AQ_SYSTEM_ID_STAMP:
        return AQ_TYPE_TIMESTAMPTZ;
    default:
        break;
    }
    for (size_t i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].id == id)
            return (uint8_t)schema->columns[i].type;
    }
    return 0;
}

enum aq_status aq_section_find(const struct aq_section *section, const struct aq_schema *schema,
                               uint32_t id, enum aq_type type,
                               const struct aq_section_column **column, struct aq_error *err)
{
    size_t at = 0;
    *column = NULL;
    while (at < section->column_count && section->columns[at].id != id)
        at++;
    if (at == section->column_count)
        return AQ_OK;
    *column = &section->columns[at];
    if ((*column)->type != declared_type(schema, id) || (*column)->type != type)
        return corrupt(err, (*column)->offset, "a column's type is not the declared one");
    return AQ_OK;
}

enum aq_status aq_section_decode_column(const struct aq_section *section,
                                        const struct aq_section_column *column, size_t row_count,
                                        const struct aq_wanted *wanted,
                                        struct aq_decode_scratch *scratch, struct aq_arena *arena,
                                        struct aq_vector *vector, struct aq_error *err)
{
    if (column == NULL) {
        enum aq_status filled = aq_vector_fill_nulls(vector, row_count);
        return filled == AQ_OK ? AQ_OK : aq_error_set(err, filled, "out of memory");
    }
    enum aq_status status =
        aq_column_decode_rows(aq_section_column_bytes(section, column), vector->type, row_count,
                              wanted, scratch, arena, vector, err);
    if (status == AQ_CORRUPT && err != NULL && err->offset >= 0)
        err->offset += (int64_t)column->offset;
    return status;
}

static enum aq_status decode_columns(struct aq_slice bytes, const struct aq_section_entry *entry,
                                     const struct aq_schema *schema, const uint32_t *column_ids,
                                     struct aq_arena *arena, struct aq_batch *batch,
                                     struct aq_error *err)
{
    struct aq_section section;
    struct aq_wanted all = {.end = entry->row_count};
    AQ_TRY(aq_section_open(bytes, entry, arena, &section, err));
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct aq_section_column *column;
        struct aq_vector *vector = &batch->columns[i];
        AQ_TRY(aq_section_find(&section, schema, column_ids[i], vector->type, &column, err));
        AQ_TRY(aq_section_decode_column(&section, column, entry->row_count, &all, NULL,
                                        &batch->arena, vector, err));
    }
    batch->row_count = entry->row_count;
    return AQ_OK;
}

enum aq_status aq_section_decode(struct aq_slice section, const struct aq_section_entry *entry,
                                 const struct aq_schema *schema, const uint32_t *column_ids,
                                 struct aq_batch *batch, struct aq_error *err)
{
    struct aq_arena arena = {0};
    aq_batch_clear(batch);
    enum aq_status status = decode_columns(section, entry, schema, column_ids, &arena, batch, err);
    aq_arena_deinit(&arena);
    if (status != AQ_OK)
        aq_batch_clear(batch);
    return status;
}
