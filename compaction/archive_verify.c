/* Reading a whole archive back, as its readers will: header, trailer, root, then per tile the directory
 * and every chunk, decoded and hashed. The root must be the very bytes that go into the catalog.
 *
 * Failures: AQ_CORRUPT with file and offset for whatever does not fit; I/O errors as they are. Memory
 * is that of one tile. */
#include "compaction/archive_output.h"

#include <stdlib.h>

struct verifier {
    int fd;
    const char *path;
    const struct aq_schema *schema;
    struct aq_archive_root root;
    struct aq_arena arena;  /* of the root */
    struct aq_bytes buffer; /* the part being read */
    struct aq_batch batch;
    struct aq_error *err;
};

/* Read `size` bytes at `offset` into the buffer. */
static enum aq_status load(struct verifier *verifier, uint64_t offset, size_t size,
                           struct aq_slice *bytes)
{
    aq_bytes_clear(&verifier->buffer);
    uint8_t *at = aq_bytes_reserve(&verifier->buffer, size);
    if (at == NULL)
        return aq_error_set(verifier->err, AQ_NO_MEMORY, "no memory to read back %zu bytes", size);
    *bytes = aq_slice_make(at, size);
    return aq_io_pread_exact(verifier->fd, verifier->path, offset, at, size, verifier->err);
}

static enum aq_status locate(struct verifier *verifier, enum aq_status status, uint64_t offset)
{
    return aq_error_locate(verifier->err, status, verifier->path, (int64_t)offset);
}

static enum aq_status corrupt(struct verifier *verifier, uint64_t offset, const char *what)
{
    return aq_error_set_at(verifier->err, AQ_CORRUPT, verifier->path, (int64_t)offset, "%s", what);
}

static enum aq_status check_ends(struct verifier *verifier, uint64_t file_size,
                                 struct aq_slice expected_root)
{
    struct aq_slice bytes = {0};
    uint64_t root_offset;
    uint32_t root_size;
    if (file_size < AQ_ARCHIVE_HEADER_BYTES + AQ_ARCHIVE_TRAILER_BYTES)
        return corrupt(verifier, file_size, "an archive is too short");
    AQ_TRY(load(verifier, 0, AQ_ARCHIVE_HEADER_BYTES, &bytes));
    AQ_TRY(locate(verifier, aq_archive_header_check(bytes, verifier->err), 0));
    uint64_t trailer = file_size - AQ_ARCHIVE_TRAILER_BYTES;
    AQ_TRY(load(verifier, trailer, AQ_ARCHIVE_TRAILER_BYTES, &bytes));
    AQ_TRY(
        locate(verifier,
               aq_archive_trailer_decode(bytes, file_size, &root_offset, &root_size, verifier->err),
               trailer));
    AQ_TRY(load(verifier, root_offset, root_size, &bytes));
    if (!aq_slice_equal(bytes, expected_root))
        return corrupt(verifier, root_offset, "an archive's root is not the one that was written");
    return locate(
        verifier,
        aq_archive_root_decode(expected_root, &verifier->arena, &verifier->root, verifier->err),
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

static enum aq_status read_chunks(struct verifier *verifier,
                                  const struct aq_tile_directory *directory)
{
    for (size_t i = 0; i < verifier->batch.column_count; i++) {
        struct aq_column column = aq_schema_stored_column(verifier->schema, i);
        const struct aq_chunk_entry *chunk = find_chunk(directory, column.id);
        if (chunk == NULL || chunk->type != column.type)
            return corrupt(verifier, 0, "a tile lacks a declared column");
        struct aq_slice bytes = {0};
        AQ_TRY(load(verifier, chunk->offset, chunk->size_bytes, &bytes));
        AQ_TRY(locate(verifier,
                      aq_chunk_decode(bytes, chunk, directory->row_count, &verifier->batch.arena,
                                      &verifier->batch.columns[i], verifier->err),
                      chunk->offset));
    }
    verifier->batch.row_count = directory->row_count;
    return AQ_OK;
}

static enum aq_status read_tile(struct verifier *verifier, const struct aq_tile_entry *tile,
                                struct aq_content_hash *content)
{
    struct aq_slice bytes = {0};
    struct aq_tile_directory directory;
    struct aq_content_hash hash;
    aq_batch_clear(&verifier->batch);
    AQ_TRY(load(verifier, tile->directory_offset, tile->directory_size_bytes, &bytes));
    /* The directory borrows from its bytes, and the buffer is used again for the chunks. */
    void *copy = aq_arena_copy(&verifier->batch.arena, bytes.data, bytes.size);
    if (copy == NULL)
        return aq_error_set(verifier->err, AQ_NO_MEMORY, "no memory for a tile's directory");
    AQ_TRY(locate(verifier,
                  aq_tile_directory_decode(aq_slice_make(copy, bytes.size), tile, &verifier->root,
                                           &verifier->batch.arena, &directory, verifier->err),
                  tile->directory_offset));
    AQ_TRY(read_chunks(verifier, &directory));
    AQ_TRY(aq_batch_content_hash(&verifier->batch, verifier->batch.column_count, &hash));
    aq_content_hash_add(content, &hash);
    return AQ_OK;
}

enum aq_status aq_archive_read_back(int fd, const char *path, uint64_t size_bytes,
                                    const struct aq_schema *schema, struct aq_slice root,
                                    struct aq_content_hash *content, struct aq_error *err)
{
    struct verifier verifier = {.fd = fd, .path = path, .schema = schema, .err = err};
    *content = (struct aq_content_hash){0};
    AQ_TRY(aq_schema_stored_batch_init(schema, &verifier.batch));
    enum aq_status status = check_ends(&verifier, size_bytes, root);
    for (size_t i = 0; status == AQ_OK && i < verifier.root.tile_count; i++)
        status = read_tile(&verifier, &verifier.root.tiles[i], content);
    aq_batch_deinit(&verifier.batch);
    aq_bytes_deinit(&verifier.buffer);
    aq_arena_deinit(&verifier.arena);
    return status;
}
