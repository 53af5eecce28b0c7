/* Fuzz target: a Parquet file: its footer, then every column that is not nested, in memory that is little. Values must lie
 * where they can be read; a row group ends or fails after so many of its rows. */
#include <assert.h>

#include "engine/ingest/file/read/page_unpack.h"
#include "format/parquet/read/parquet_read.h"

#define ROWS_MAX 3000
#define GROUPS_MAX 8
#define MEMORY_BYTES ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t seen;

static enum aq_status read_at(void *context, uint64_t offset, void *buffer, size_t size,
                              struct aq_error *err)
{
    const struct aq_slice *file = context;
    (void)err;
    assert(offset <= file->size && size <= file->size - offset);
    if (size > 0)
        memcpy(buffer, file->data + offset, size);
    return AQ_OK;
}

static void look_at(const struct aq_parquet_leaf *leaf, const struct aq_parquet_value *value)
{
    bool bytes = leaf->kind == AQ_PARQUET_KIND_TEXT || leaf->kind == AQ_PARQUET_KIND_BYTES ||
                 leaf->kind == AQ_PARQUET_KIND_UUID;
    if (value->is_null || !bytes)
        return;
    for (size_t i = 0; i < value->bytes.size; i++)
        seen ^= value->bytes.data[i];
}

static void read_column(const struct aq_parquet_input *input, const struct aq_parquet_leaf *leaf,
                        const struct aq_parquet_chunk *chunk, uint64_t row_count)
{
    struct aq_parquet_cursor *cursor = NULL;
    size_t left = MEMORY_BYTES;
    enum aq_status status =
        aq_parquet_cursor_open(input, leaf, chunk, row_count, &left, &cursor, NULL);
    for (uint64_t row = 0; status == AQ_OK && row < row_count && row < ROWS_MAX; row++) {
        struct aq_parquet_value value;
        status = aq_parquet_cursor_next(cursor, &value, NULL);
        if (status == AQ_OK)
            look_at(leaf, &value);
    }
    aq_parquet_cursor_close(cursor);
    assert(left == MEMORY_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aq_slice file = aq_slice_make(data, size);
    struct aq_parquet_input input = {.context = &file,
                                     .size_bytes = size,
                                     .read = read_at,
                                     .unpack = aq_page_unpack,
                                     .memory_bytes = MEMORY_BYTES};
    struct aq_arena arena = {0};
    struct aq_parquet_footer footer;
    if (aq_parquet_footer_read(&input, &arena, &footer, NULL) == AQ_OK) {
        for (size_t group = 0; group < footer.group_count && group < GROUPS_MAX; group++)
            for (size_t i = 0; i < footer.leaf_count; i++)
                if (!footer.leaves[i].nested)
                    read_column(&input, &footer.leaves[i], &footer.groups[group].chunks[i],
                                footer.groups[group].row_count);
    }
    aq_arena_deinit(&arena);
    return 0;
}
