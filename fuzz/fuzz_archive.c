/* Fuzz target: reading archives. The checksums are made right first, so that what they cover is reached;
 * every tile's directory, its runs' statistics and its chunks are read as far as they can be.
 *
 * Mutations know the structure: most change the body of one unit (a chunk's coded column, a directory, the root) and leave
 * the file around it whole; of a coded column mostly one field of one node. */
#include <assert.h>
#include <stdlib.h>

#include "format/archive/archive.h"
#include "format/base/checksum.h"
#include "fuzz/support/column_mutate.h"

#define ROOT_AT_FILE_SIZE 40
#define ROOT_AT_BODY_SIZE 56
#define TRAILER_AT_ROOT_OFFSET 24
#define TRAILER_AT_ROOT_SIZE 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
/* Make the last 8 of `size` bytes the checksum of those before. */
static void seal(uint8_t *bytes, size_t size)
{
    aq_store_u64(bytes + size - 8, aq_checksum(bytes, size - 8));
}

/* As its different values, and the middle of it alone: taken for good where the whole is. */
static void read_parts(struct aq_slice bytes, struct aq_slice leader,
                       const struct aq_chunk_entry *chunk, uint32_t row_count,
                       struct aq_arena *arena, bool whole)
{
    struct aq_factored factored;
    struct aq_vector part;
    struct aq_leader_numbers numbers = {0};
    struct aq_chunk_coded coded = {.numbers = &numbers};
    struct aq_wanted middle = {.first = row_count / 2, .end = row_count - row_count / 8};
    if (aq_chunk_open(bytes, chunk, &coded.own, NULL) != AQ_OK)
        return;
    if (chunk->leader != NULL && aq_chunk_open(leader, chunk->leader, &coded.leader, NULL) != AQ_OK)
        return;
    enum aq_status status =
        aq_chunk_factor(&coded, chunk, row_count, 0, row_count, NULL, &factored, NULL);
    assert(whole || status != AQ_OK);
    if (status == AQ_OK)
        aq_factored_deinit(&factored);
    aq_vector_init(&part, chunk->type);
    status = aq_chunk_decode_rows(&coded, chunk, row_count, &middle, NULL, arena, &part, NULL);
    assert(!whole || status == AQ_OK);
    aq_leader_numbers_deinit(&numbers);
    aq_vector_deinit(&part);
}

static struct aq_slice bytes_of(struct aq_slice file, const struct aq_chunk_entry *chunk)
{
    return aq_slice_make(file.data + chunk->offset, chunk->size_bytes);
}

/* Its checksum, and that of what it follows, are right. */
static void read_chunk(struct aq_slice file, const struct aq_chunk_entry *chunk, uint32_t row_count,
                       struct aq_arena *arena)
{
    struct aq_slice bytes = bytes_of(file, chunk);
    struct aq_slice leader =
        chunk->leader == NULL ? (struct aq_slice){0} : bytes_of(file, chunk->leader);
    struct aq_vector vector;
    char text[128];
    aq_vector_init(&vector, chunk->type);
    bool whole = aq_chunk_decode(bytes, leader, chunk, row_count, arena, &vector, NULL) == AQ_OK;
    read_parts(bytes, leader, chunk, row_count, arena, whole);
    if (whole) {
        assert(vector.row_count == row_count);
        enum aq_status status = aq_chunk_describe(bytes, chunk, text, sizeof text, NULL);
        assert(status == AQ_OK);
    }
    aq_vector_deinit(&vector);
}

/* What is given can be looked at: the sanitizer sees whether it is there. */
static void check_ends(enum aq_type type, const struct aq_run_ends *ends)
{
    for (unsigned end = 0; end < AQ_END_COUNT; end++) {
        struct aq_slice slice = ends->at[end].value.slice;
        if (ends->at[end].given && !ends->at[end].null &&
            aq_type_physical(type) == AQ_PHYSICAL_SLICE)
            assert(slice.size == 0 || aq_checksum(slice.data, slice.size) != 1);
    }
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
    struct aq_column_stats *stats = aq_arena_alloc(arena, directory.run_count * sizeof *stats);
    struct aq_run_ends *ends = aq_arena_alloc(arena, directory.run_count * sizeof *ends);
    assert(stats != NULL && ends != NULL);
    for (size_t i = 0; i < directory.chunk_count; i++) {
        bytes = bytes_of(file, &directory.chunks[i]);
        directory.chunks[i].checksum = aq_checksum(bytes.data, bytes.size);
    }
    for (size_t i = 0; i < directory.chunk_count; i++) {
        read_chunk(file, &directory.chunks[i], tile.row_count, arena);
        enum aq_status status =
            aq_run_stats_decode(&directory, &root->schema, i, arena, stats, NULL);
        for (size_t run = 0; status == AQ_OK && run < directory.run_count; run++)
            assert(stats[run].row_count == 0 ||
                   stats[run].row_count == directory.runs[run].row_count);
        status = aq_run_ends_decode(&directory, &root->schema, i, arena, ends, NULL);
        for (size_t run = 0; status == AQ_OK && run < directory.run_count; run++)
            check_ends(directory.chunks[i].type, &ends[run]);
    }
}

/* Make the ends right, and read the root; false: there is none. */
static bool open_root(uint8_t *data, size_t size, struct aq_arena *arena,
                      struct aq_archive_root *root, uint64_t *root_offset)
{
    uint8_t *trailer = data + size - AQ_ARCHIVE_TRAILER_BYTES;
    uint32_t root_size;
    seal(data, AQ_ARCHIVE_HEADER_BYTES);
    uint64_t body_end = size - AQ_ARCHIVE_TRAILER_BYTES;
    aq_store_u64(trailer + TRAILER_AT_ROOT_OFFSET,
                 body_end - aq_load_u32(trailer + TRAILER_AT_ROOT_SIZE));
    seal(trailer, AQ_ARCHIVE_TRAILER_BYTES);
    if (aq_archive_header_check(aq_slice_make(data, size), NULL) != AQ_OK ||
        aq_archive_trailer_decode(aq_slice_make(trailer, AQ_ARCHIVE_TRAILER_BYTES), size,
                                  root_offset, &root_size, NULL) != AQ_OK)
        return false;
    if (root_size >= ROOT_AT_FILE_SIZE + 16) {
        aq_store_u64(data + *root_offset + ROOT_AT_FILE_SIZE, size);
        seal(data + *root_offset, root_size);
    }
    return aq_archive_root_decode(aq_slice_make(data + *root_offset, root_size), arena, root,
                                  NULL) == AQ_OK;
}

static void read_archive(uint8_t *data, size_t size)
{
    struct aq_archive_root root;
    struct aq_arena arena = {0};
    uint64_t root_offset;
    if (open_root(data, size, &arena, &root, &root_offset)) {
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

/* Change one field of a coded column that lies in body[0, size) as a slice, the first one from where `seed` says; the new
 * size. */
static size_t mutate_within(uint8_t *body, size_t size, unsigned seed)
{
    struct fields *fields = malloc(sizeof *fields);
    assert(fields != NULL);
    for (size_t i = 0; i < size; i++) {
        size_t at = (seed + i) % size;
        struct aq_reader reader = aq_reader_make(aq_slice_make(body + at, size - at));
        size_t length = (size_t)aq_reader_varint(&reader);
        uint8_t *column = body + at + 1; /* behind a length of one byte */
        if (length < 4 || length > 127 || length > aq_reader_left(&reader) ||
            !fields_find(aq_slice_make(column, length), fields) ||
            aq_reader_left(&fields->reader) > 0)
            continue;
        size_t length_new = column_mutate(column, length, length, seed);
        memmove(column + length_new, column + length, size - at - 1 - length);
        body[at] = (uint8_t)length_new;
        size -= length - length_new;
        break;
    }
    free(fields);
    return size;
}

enum body { BODY_ANY, BODY_COLUMN, BODY_WITH_COLUMNS };

/* A part of the file: a u32, so many bytes, then zeros up to the end. They are a coded column, have some in them, or are anything. */
static void mutate_body(uint8_t *unit, size_t size_field_at, size_t unit_size, enum body of,
                        unsigned seed)
{
    size_t room = unit_size - size_field_at - 4;
    uint8_t *body = unit + size_field_at + 4;
    size_t size = aq_load_u32(unit + size_field_at);
    size = size < room ? size : room;
    size_t size_new;
    if (of == BODY_COLUMN && seed % 8 != 0)
        size_new = column_mutate(body, size, room, seed);
    else if (of == BODY_WITH_COLUMNS && seed % 2 != 0)
        size_new = mutate_within(body, size, seed);
    else
        size_new = LLVMFuzzerMutate(body, size, room);
    memset(body + size_new, 0, room - size_new);
    aq_store_u32(unit + size_field_at, (uint32_t)size_new);
}

/* Change the part that `choice` names, if there is such a part. */
static void mutate_part(uint8_t *data, const struct aq_archive_root *root, uint64_t root_offset,
                        size_t root_size, unsigned choice)
{
    const struct aq_tile_entry *tile =
        root->tile_count == 0 ? NULL : &root->tiles[choice / 16 % root->tile_count];
    struct aq_tile_entry entry;
    struct aq_tile_directory directory;
    struct aq_arena arena = {0};
    if (tile == NULL || choice % 16 == 0) {
        mutate_body(data + root_offset, ROOT_AT_BODY_SIZE, root_size - 8, BODY_ANY, 0);
        return;
    }
    entry = *tile;
    struct aq_slice bytes =
        aq_slice_make(data + tile->directory_offset, tile->directory_size_bytes);
    entry.directory_checksum = aq_checksum(bytes.data, bytes.size);
    if (choice % 16 < 5 ||
        aq_tile_directory_decode(bytes, &entry, root, &arena, &directory, NULL) != AQ_OK) {
        mutate_body(data + tile->directory_offset, 0, tile->directory_size_bytes, BODY_WITH_COLUMNS,
                    choice / 16);
    } else {
        const struct aq_chunk_entry *chunk = &directory.chunks[choice / 64 % directory.chunk_count];
        mutate_body(data + chunk->offset, 0, chunk->size_bytes,
                    chunk->leader == NULL ? BODY_COLUMN : BODY_WITH_COLUMNS, choice);
    }
    aq_arena_deinit(&arena);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct aq_archive_root root;
    struct aq_arena arena = {0};
    uint64_t root_offset;
    if (size < AQ_ARCHIVE_HEADER_BYTES + AQ_ARCHIVE_TRAILER_BYTES || seed % 32 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    if (open_root(data, size, &arena, &root, &root_offset))
        mutate_part(data, &root, root_offset, size - AQ_ARCHIVE_TRAILER_BYTES - (size_t)root_offset,
                    seed / 32);
    else
        size = LLVMFuzzerMutate(data, size, size_max);
    aq_arena_deinit(&arena);
    return size;
}
