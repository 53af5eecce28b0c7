/* Reading a whole archive back, as its readers will: header, trailer, root, then per tile the directory
 * and every chunk, decoded and hashed, several tiles side by side. The root must be the very bytes that go into
 * the catalog.
 *
 * Failures: AQ_CORRUPT with file and offset for whatever does not fit; I/O errors as they are. Memory
 * is that of one tile a thread. */
#include "compaction/merge/write/archive_output.h"

#include <stdlib.h>

/* What the tiles of a file share. */
struct verifier {
    int fd;
    const char *path;
    const struct aq_schema *schema;
    struct aq_archive_root root;
    struct aq_arena arena; /* of the root */
    struct tile {
        enum aq_status status;
        struct aq_error err;
        struct aq_content_hash content;
    } * tiles;
};

/* Reading one part of it. */
struct reader {
    const struct verifier *verifier;
    struct aq_bytes buffer;
    struct aq_bytes leader; /* the chunk that another follows */
    struct aq_batch batch;
    struct aq_decode_scratch scratch;
    struct aq_error *err;
};

/* Read `size` bytes at `offset` into a buffer. */
static enum aq_status load_into(struct reader *reader, uint64_t offset, size_t size,
                                struct aq_bytes *buffer, struct aq_slice *bytes)
{
    aq_bytes_clear(buffer);
    uint8_t *at = aq_bytes_reserve(buffer, size);
    if (at == NULL)
        return aq_error_set(reader->err, AQ_NO_MEMORY, "no memory to read back %zu bytes", size);
    *bytes = aq_slice_make(at, size);
    return aq_io_pread_exact(reader->verifier->fd, reader->verifier->path, offset, at, size,
                             reader->err);
}

static enum aq_status load(struct reader *reader, uint64_t offset, size_t size,
                           struct aq_slice *bytes)
{
    return load_into(reader, offset, size, &reader->buffer, bytes);
}

static enum aq_status locate(struct reader *reader, enum aq_status status, uint64_t offset)
{
    return aq_error_locate(reader->err, status, reader->verifier->path, (int64_t)offset);
}

static enum aq_status corrupt(struct reader *reader, uint64_t offset, const char *what)
{
    return aq_error_set_at(reader->err, AQ_CORRUPT, reader->verifier->path, (int64_t)offset, "%s",
                           what);
}

static enum aq_status check_ends(struct verifier *verifier, struct reader *reader,
                                 uint64_t file_size, struct aq_slice expected_root)
{
    struct aq_slice bytes = {0};
    uint64_t root_offset;
    uint32_t root_size;
    if (file_size < AQ_ARCHIVE_HEADER_BYTES + AQ_ARCHIVE_TRAILER_BYTES)
        return corrupt(reader, file_size, "an archive is too short");
    AQ_TRY(load(reader, 0, AQ_ARCHIVE_HEADER_BYTES, &bytes));
    AQ_TRY(locate(reader, aq_archive_header_check(bytes, reader->err), 0));
    uint64_t trailer = file_size - AQ_ARCHIVE_TRAILER_BYTES;
    AQ_TRY(load(reader, trailer, AQ_ARCHIVE_TRAILER_BYTES, &bytes));
    AQ_TRY(locate(
        reader, aq_archive_trailer_decode(bytes, file_size, &root_offset, &root_size, reader->err),
        trailer));
    AQ_TRY(load(reader, root_offset, root_size, &bytes));
    if (!aq_slice_equal(bytes, expected_root))
        return corrupt(reader, root_offset, "an archive's root is not the one that was written");
    return locate(
        reader,
        aq_archive_root_decode(expected_root, &verifier->arena, &verifier->root, reader->err),
        root_offset);
}

static const struct aq_chunk_entry *find_chunk(const struct aq_tile_directory *directory,
                                               uint32_t column_id)
{
    for (size_t i = 0; i < directory->chunk_count; i++) {
        if (directory->chunks[i].column_id == column_id)
            return &directory->chunks[i];
    }
    return NULL;
}

static enum aq_status open_chunk(struct reader *reader, const struct aq_chunk_entry *chunk,
                                 struct aq_bytes *buffer, struct aq_slice *coded)
{
    struct aq_slice bytes = {0};
    AQ_TRY(load_into(reader, chunk->offset, chunk->size_bytes, buffer, &bytes));
    return locate(reader, aq_chunk_open(bytes, chunk, coded, reader->err), chunk->offset);
}

static enum aq_status read_chunk(struct reader *reader, const struct aq_chunk_entry *chunk,
                                 uint32_t row_count, size_t column)
{
    struct aq_chunk_coded coded = {0};
    struct aq_wanted all = {.end = row_count};
    AQ_TRY(open_chunk(reader, chunk, &reader->buffer, &coded.own));
    if (chunk->leader != NULL)
        AQ_TRY(open_chunk(reader, chunk->leader, &reader->leader, &coded.leader));
    return locate(reader,
                  aq_chunk_decode_rows(&coded, chunk, row_count, &all, &reader->scratch,
                                       &reader->batch.arena, &reader->batch.columns[column],
                                       reader->err),
                  chunk->offset);
}

static enum aq_status read_chunks(struct reader *reader, const struct aq_tile_directory *directory)
{
    for (size_t i = 0; i < reader->batch.column_count; i++) {
        struct aq_column column = aq_schema_stored_column(reader->verifier->schema, i);
        const struct aq_chunk_entry *chunk = find_chunk(directory, column.id);
        if (chunk == NULL || chunk->type != column.type)
            return corrupt(reader, 0, "a tile lacks a declared column");
        AQ_TRY(read_chunk(reader, chunk, directory->row_count, i));
    }
    reader->batch.row_count = directory->row_count;
    return AQ_OK;
}

static enum aq_status read_tile(struct reader *reader, const struct aq_tile_entry *tile,
                                struct aq_content_hash *content)
{
    struct aq_slice bytes = {0};
    struct aq_tile_directory directory;
    AQ_TRY(load(reader, tile->directory_offset, tile->directory_size_bytes, &bytes));
    /* The directory borrows from its bytes, and the buffer is used again for the chunks. */
    void *copy = aq_arena_copy(&reader->batch.arena, bytes.data, bytes.size);
    if (copy == NULL)
        return aq_error_set(reader->err, AQ_NO_MEMORY, "no memory for a tile's directory");
    AQ_TRY(locate(reader,
                  aq_tile_directory_decode(aq_slice_make(copy, bytes.size), tile,
                                           &reader->verifier->root, &reader->batch.arena,
                                           &directory, reader->err),
                  tile->directory_offset));
    AQ_TRY(read_chunks(reader, &directory));
    return aq_batch_content_hash(&reader->batch, reader->batch.column_count, content);
}

static void tile_task(void *context, size_t index)
{
    const struct verifier *verifier = context;
    struct tile *tile = &verifier->tiles[index];
    struct reader reader = {.verifier = verifier, .err = &tile->err};
    tile->err = (struct aq_error){.offset = -1};
    tile->status = aq_schema_stored_batch_init(verifier->schema, &reader.batch);
    if (tile->status == AQ_OK)
        tile->status = read_tile(&reader, &verifier->root.tiles[index], &tile->content);
    aq_batch_deinit(&reader.batch);
    aq_decode_scratch_deinit(&reader.scratch);
    aq_bytes_deinit(&reader.buffer);
    aq_bytes_deinit(&reader.leader);
}

static enum aq_status read_tiles(struct verifier *verifier, const struct aq_executor *executor,
                                 struct aq_content_hash *content, struct aq_error *err)
{
    verifier->tiles = calloc(verifier->root.tile_count + 1, sizeof *verifier->tiles);
    if (verifier->tiles == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to read an archive back");
    executor->run(executor->context, verifier->root.tile_count, tile_task, verifier);
    for (size_t i = 0; i < verifier->root.tile_count; i++) {
        const struct tile *tile = &verifier->tiles[i];
        AQ_TRY(aq_error_take(err, tile->status, &tile->err, "cannot read an archive back"));
        aq_content_hash_add(content, &tile->content);
    }
    return AQ_OK;
}

enum aq_status aq_archive_read_back(int fd, const char *path, uint64_t size_bytes,
                                    const struct aq_schema *schema, struct aq_slice root,
                                    const struct aq_executor *executor,
                                    struct aq_content_hash *content, struct aq_error *err)
{
    struct verifier verifier = {.fd = fd, .path = path, .schema = schema};
    struct reader reader = {.verifier = &verifier, .err = err};
    *content = (struct aq_content_hash){0};
    enum aq_status status = check_ends(&verifier, &reader, size_bytes, root);
    if (status == AQ_OK)
        status = read_tiles(&verifier, executor, content, err);
    free(verifier.tiles);
    aq_bytes_deinit(&reader.buffer);
    aq_arena_deinit(&verifier.arena);
    return status;
}
