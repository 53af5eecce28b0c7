/* Archives in memory: written, and read as a full verify does it. */
#ifndef AQ_TESTS_UNIT_ARCHIVE_BYTES_H
#define AQ_TESTS_UNIT_ARCHIVE_BYTES_H

#include <criterion/criterion.h>

#include "format/archive/archive.h"

static inline enum aq_status archive_sink(void *context, const void *data, size_t size,
                                          struct aq_error *err)
{
    (void)err;
    aq_bytes_append(context, data, size);
    return aq_bytes_status(context);
}

/* Of a dataset whose first column is the key and whose second the time. */
static inline struct aq_schema archive_schema(struct aq_column *columns, size_t column_count)
{
    return (struct aq_schema){.dataset_id = 1,
                              .version = 1,
                              .dataset = "air",
                              .column_count = column_count,
                              .columns = columns,
                              .key_column = 0,
                              .time_column = 1,
                              .slot = AQ_SLOT_DAY,
                              .version_column = AQ_COLUMN_NONE};
}

static inline void write_archive(const struct aq_schema *schema, const struct aq_batch *rows,
                                 size_t tile_count, const struct aq_executor *executor,
                                 struct aq_bytes *file, struct aq_bytes *root,
                                 struct aq_content_hash *content)
{
    struct aq_archive_options options = {
        .schema = schema, .executor = executor, .sink = archive_sink, .sink_context = file};
    struct aq_archive_writer *writer;
    struct aq_error err = {0};
    memset(options.store_id.bytes, 0x5a, sizeof options.store_id.bytes);
    cr_assert_eq(aq_archive_writer_create(&options, &writer, &err), AQ_OK, "%s", err.message);
    for (size_t i = 0; i < tile_count; i++)
        cr_assert_eq(aq_archive_writer_tile(writer, rows, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_archive_writer_finish(writer, root, content, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_archive_writer_size(writer), file->size);
    aq_archive_writer_destroy(writer);
}

/* One tile as a file; the rows are gone then. */
static inline struct aq_bytes take_as_archive(const struct aq_schema *schema, struct aq_batch *rows)
{
    struct aq_bytes file = {0};
    struct aq_content_hash content;
    write_archive(schema, rows, 1, NULL, &file, NULL, &content);
    aq_batch_deinit(rows);
    return file;
}

static inline enum aq_status read_tile(struct aq_slice file, const struct aq_archive_root *root,
                                       const struct aq_tile_entry *tile, struct aq_batch *rows,
                                       struct aq_error *err)
{
    struct aq_tile_directory directory;
    struct aq_slice bytes =
        aq_slice_make(file.data + tile->directory_offset, tile->directory_size_bytes);
    AQ_TRY(aq_tile_directory_decode(bytes, tile, root, &rows->arena, &directory, err));
    cr_assert_eq(directory.chunk_count, rows->column_count);
    for (size_t i = 0; i < directory.chunk_count; i++) {
        const struct aq_chunk_entry *chunk = &directory.chunks[i];
        char text[200];
        struct aq_slice leader = {0};
        bytes = aq_slice_make(file.data + chunk->offset, chunk->size_bytes);
        if (chunk->leader != NULL)
            leader = aq_slice_make(file.data + chunk->leader->offset, chunk->leader->size_bytes);
        cr_assert_eq(chunk->offset % 64, 0);
        AQ_TRY(aq_chunk_decode(bytes, leader, chunk, tile->row_count, &rows->arena,
                               &rows->columns[i], err));
        AQ_TRY(aq_chunk_describe(bytes, chunk, text, sizeof text, err));
    }
    rows->row_count = tile->row_count;
    return AQ_OK;
}

/* As a full verify does it: every byte of the file is checked by something. */
static inline enum aq_status read_archive(struct aq_slice file, struct aq_content_hash *content,
                                          struct aq_error *err)
{
    uint64_t root_offset;
    uint32_t root_size;
    struct aq_archive_root root;
    struct aq_arena arena = {0};
    struct aq_batch rows = {0};
    size_t end = file.size < AQ_ARCHIVE_TRAILER_BYTES ? file.size : AQ_ARCHIVE_TRAILER_BYTES;
    *content = (struct aq_content_hash){0};
    AQ_TRY(aq_archive_header_check(file, err));
    AQ_TRY(aq_archive_trailer_decode(aq_slice_make(file.data + file.size - end, end), file.size,
                                     &root_offset, &root_size, err));
    enum aq_status status = aq_archive_root_decode(
        aq_slice_make(file.data + root_offset, root_size), &arena, &root, err);
    if (status == AQ_OK)
        status = aq_schema_stored_batch_init(&root.schema, &rows);
    for (size_t i = 0; status == AQ_OK && i < root.tile_count; i++) {
        struct aq_content_hash tile;
        status = read_tile(file, &root, &root.tiles[i], &rows, err);
        if (status != AQ_OK)
            break;
        cr_assert_eq(aq_batch_content_hash(&rows, rows.column_count, &tile), AQ_OK);
        aq_content_hash_add(content, &tile);
    }
    aq_batch_deinit(&rows);
    aq_arena_deinit(&arena);
    return status;
}

#endif
