/* Fuzz target: reading archives. The checksums are made right first, so that what they cover is reached;
 * every tile's directory and chunks are read as far as they can be. */
#include <assert.h>
#include <stdlib.h>

#include "format/archive/archive.h"
#include "format/base/checksum.h"

#define ROOT_AT_FILE_SIZE 40
#define TRAILER_AT_ROOT_OFFSET 24
#define TRAILER_AT_ROOT_SIZE 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Make the last 8 of `size` bytes the checksum of those before. */
static void seal(uint8_t *bytes, size_t size)
{
    aq_store_u64(bytes + size - 8, aq_checksum(bytes, size - 8));
}

static void read_chunk(struct aq_slice file, const struct aq_chunk_entry *listed,
                       uint32_t row_count, struct aq_arena *arena)
{
    struct aq_chunk_entry chunk = *listed;
    struct aq_slice bytes = aq_slice_make(file.data + chunk.offset, chunk.size_bytes);
    struct aq_vector vector;
    char text[128];
    chunk.checksum = aq_checksum(bytes.data, bytes.size);
    aq_vector_init(&vector, chunk.type);
    if (aq_chunk_decode(bytes, &chunk, row_count, arena, &vector, NULL) == AQ_OK) {
        assert(vector.row_count == row_count);
        enum aq_status status = aq_chunk_describe(bytes, &chunk, text, sizeof text, NULL);
        assert(status == AQ_OK);
    }
    aq_vector_deinit(&vector);
}

static void read_tile(struct aq_slice file, const struct aq_tile_entry *listed,
                      const struct aq_archive_root *root, struct aq_arena *arena)
{
    struct aq_tile_entry tile = *listed;
    struct aq_tile_directory directory;
    struct aq_slice bytes =
        aq_slice_make(file.data + tile.directory_offset, tile.directory_size_bytes);
    tile.directory_checksum = aq_checksum(bytes.data, bytes.size);
    if (aq_tile_directory_decode(bytes, &tile, root, arena, &directory, NULL) != AQ_OK)
        return;
    for (size_t i = 0; i < directory.chunk_count; i++)
        read_chunk(file, &directory.chunks[i], tile.row_count, arena);
}

static void read_archive(uint8_t *data, size_t size)
{
    uint8_t *trailer = data + size - AQ_ARCHIVE_TRAILER_BYTES;
    uint64_t root_offset;
    uint32_t root_size;
    struct aq_archive_root root;
    struct aq_arena arena = {0};
    seal(data, AQ_ARCHIVE_HEADER_BYTES);
    uint64_t body_end = size - AQ_ARCHIVE_TRAILER_BYTES;
    aq_store_u64(trailer + TRAILER_AT_ROOT_OFFSET,
                 body_end - aq_load_u32(trailer + TRAILER_AT_ROOT_SIZE));
    seal(trailer, AQ_ARCHIVE_TRAILER_BYTES);
    if (aq_archive_header_check(aq_slice_make(data, size), NULL) != AQ_OK ||
        aq_archive_trailer_decode(aq_slice_make(trailer, AQ_ARCHIVE_TRAILER_BYTES), size,
                                  &root_offset, &root_size, NULL) != AQ_OK)
        return;
    if (root_size >= ROOT_AT_FILE_SIZE + 16) {
        aq_store_u64(data + root_offset + ROOT_AT_FILE_SIZE, size);
        seal(data + root_offset, root_size);
    }
    if (aq_archive_root_decode(aq_slice_make(data + root_offset, root_size), &arena, &root, NULL) ==
        AQ_OK) {
        for (size_t i = 0; i < root.tile_count; i++)
            read_tile(aq_slice_make(data, size), &root.tiles[i], &root, &arena);
    }
    aq_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < AQ_ARCHIVE_HEADER_BYTES + AQ_ARCHIVE_TRAILER_BYTES)
        return 0;
    uint8_t *copy = malloc(size);
    assert(copy != NULL);
    memcpy(copy, data, size);
    read_archive(copy, size);
    free(copy);
    return 0;
}
