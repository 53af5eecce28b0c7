/* Fuzz target: decoding frames. Sizes and checksums are made right first, so that the sections'
 * directories and columns are reached; what a section decodes to must have the rows it promised. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/support/frame_mend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first three are those of the golden frame, which seeds the corpus. */
static struct aq_column columns[] = {
    {.name = "a", .type = AQ_TYPE_TEXT, .id = 1},
    {.name = "b", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2},
    {.name = "c", .type = AQ_TYPE_DOUBLE, .id = 3},
    {.name = "d", .type = AQ_TYPE_INTEGER, .id = 4},
    {.name = "e", .type = AQ_TYPE_BOOLEAN, .id = 5},
    {.name = "f", .type = AQ_TYPE_REAL, .id = 6},
    {.name = "g", .type = AQ_TYPE_BYTEA, .id = 7},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static const struct aq_schema schema = {
    .dataset_id = 1,
    .version = 1,
    .dataset = "fuzz",
    .column_count = COLUMN_COUNT,
    .columns = columns,
    .key_column = 0,
    .time_column = 1,
    .slot = AQ_SLOT_DAY,
    .version_column = AQ_COLUMN_NONE,
};

static void read_section(struct aq_slice section, const struct aq_section_entry *entry,
                         struct aq_arena *arena)
{
    struct aq_batch batch;
    struct aq_error err = {0};
    struct aq_partition *partitions;
    size_t partition_count;
    uint32_t ids[COLUMN_COUNT + AQ_SYSTEM_COLUMN_COUNT];
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        ids[i] = columns[i].id;
    for (uint32_t i = 0; i < AQ_SYSTEM_COLUMN_COUNT; i++)
        ids[COLUMN_COUNT + i] = AQ_SYSTEM_ID_FEED + i;
    if (aq_section_partitions(section, entry, arena, &partitions, &partition_count, &err) ==
        AQ_OK) {
        uint64_t rows = 0;
        for (size_t i = 0; i < partition_count; i++)
            rows += partitions[i].row_count;
        assert(rows == entry->row_count);
    }
    if (aq_schema_batch_init(&schema, true, &batch) != AQ_OK)
        return;
    if (aq_section_decode(section, entry, &schema, ids, &batch, &err) == AQ_OK) {
        for (size_t i = 0; i < batch.column_count; i++)
            assert(batch.columns[i].row_count == entry->row_count);
        struct aq_content_hash hash; /* touches every byte of every value */
        enum aq_status status = aq_batch_content_hash(&batch, batch.column_count, &hash);
        assert(status == AQ_OK);
    }
    aq_batch_deinit(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aq_arena arena = {0};
    struct aq_error err = {0};
    struct aq_frame_header header;
    if (size < AQ_FRAME_PREFIX_BYTES)
        return 0;
    size = size / AQ_FRAME_ALIGNMENT * AQ_FRAME_ALIGNMENT;
    uint8_t *copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    mend_frame(copy, size);
    struct aq_slice frame = aq_slice_make(copy, size);
    if (aq_frame_header_decode(frame, &arena, &header, &err) == AQ_OK &&
        aq_frame_verify(frame, &header, &err) == AQ_OK) {
        for (size_t i = 0; i < header.section_count; i++)
            read_section(
                aq_slice_make(copy + header.sections[i].offset, header.sections[i].size_bytes),
                &header.sections[i], &arena);
    }
    aq_arena_deinit(&arena);
    free(copy);
    return 0;
}
