/* Reading an archive's outermost parts: header, trailer, root. A reader needs only the root, which the
 * catalog has a copy of; header and trailer say that a file is whole and where its root lies.
 *
 * Everything is checked against the file's size here: the tiles fill it from the header to the root
 * without a gap, so that what a reader computes from a root lies inside the file.
 *
 * Failures: AQ_CORRUPT with the offset in the bytes given, AQ_UNSUPPORTED for newer versions. */
#include "format/archive/archive_layout.h"
#include "format/base/checksum.h"
#include "format/base/mutant.h"

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* Bytes that end with a checksum of all before it. */
static bool is_sealed(struct aq_slice bytes)
{
    size_t size = bytes.size - 8;
    return aq_mutant(30) || aq_checksum(bytes.data, size) == aq_load_u64(bytes.data + size);
}

enum aq_status aq_archive_header_check(struct aq_slice header, struct aq_error *err)
{
    if (header.size < AQ_ARCHIVE_HEADER_BYTES)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)header.size,
                               "the file is too short for an archive");
    header.size = AQ_ARCHIVE_HEADER_BYTES;
    if (!is_sealed(header))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "the header of an archive is damaged");
    AQ_TRY(aq_preamble_check(header, AQ_ARCHIVE_MAGIC, AQ_ARCHIVE_VERSION, "archive", err));
    if (!all_zero(header.data + AQ_ARCHIVE_HEADER_AT_ZERO, 16))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, AQ_ARCHIVE_HEADER_AT_ZERO,
                               "the header of an archive holds what does not belong there");
    return AQ_OK;
}

enum aq_status aq_archive_trailer_decode(struct aq_slice trailer, uint64_t file_size_bytes,
                                         uint64_t *root_offset, uint32_t *root_size_bytes,
                                         struct aq_error *err)
{
    const uint64_t around = AQ_ARCHIVE_HEADER_BYTES + AQ_ARCHIVE_TRAILER_BYTES;
    if (trailer.size != AQ_ARCHIVE_TRAILER_BYTES || file_size_bytes < around)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)trailer.size,
                               "the file is too short for an archive");
    if (!is_sealed(trailer))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "the trailer of an archive is damaged");
    AQ_TRY(aq_preamble_check(trailer, AQ_ARCHIVE_TRAILER_MAGIC, AQ_ARCHIVE_VERSION,
                             "trailer of an archive", err));
    *root_offset = aq_load_u64(trailer.data + AQ_ARCHIVE_TRAILER_AT_ROOT_OFFSET);
    *root_size_bytes = aq_load_u32(trailer.data + AQ_ARCHIVE_TRAILER_AT_ROOT_SIZE);
    if (*root_size_bytes > AQ_ARCHIVE_ROOT_BYTES_MAX || *root_offset < AQ_ARCHIVE_HEADER_BYTES ||
        *root_offset > file_size_bytes ||
        *root_offset + *root_size_bytes + AQ_ARCHIVE_TRAILER_BYTES != file_size_bytes ||
        !all_zero(trailer.data + AQ_ARCHIVE_TRAILER_AT_ZERO, 20))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, AQ_ARCHIVE_TRAILER_AT_ROOT_OFFSET,
                               "the trailer of an archive does not fit a file of %llu bytes",
                               (unsigned long long)file_size_bytes);
    return AQ_OK;
}

void aq_span_decode(struct aq_reader *reader, bool *known, int64_t *min_us, int64_t *max_us)
{
    uint8_t flag = aq_reader_u8(reader);
    *known = flag == 1;
    if (flag > 1)
        aq_reader_fail(reader);
    if (!*known)
        return;
    *min_us = aq_reader_varint_signed(reader);
    *max_us = (int64_t)((uint64_t)*min_us + aq_reader_varint(reader));
    if (*max_us < *min_us)
        aq_reader_fail(reader);
}

bool aq_section_next(struct aq_reader *reader, uint64_t *id, struct aq_slice *section)
{
    uint64_t last_id = *id;
    if (reader->failed || aq_reader_left(reader) == 0)
        return false;
    *id = aq_reader_varint(reader);
    *section = aq_reader_slice(reader);
    if (*id <= last_id)
        aq_reader_fail(reader);
    return !reader->failed;
}

/* A size in units of the alignment, within the file. */
static uint64_t read_units(struct aq_reader *reader, uint64_t size_max)
{
    uint64_t units = aq_reader_varint(reader);
    if (units == 0 || units > size_max / AQ_ARCHIVE_ALIGNMENT)
        aq_reader_fail(reader);
    return reader->failed ? 0 : units * AQ_ARCHIVE_ALIGNMENT;
}

static void read_tile(struct aq_reader *reader, const struct aq_archive_root *root, uint64_t offset,
                      struct aq_tile_entry *tile)
{
    uint64_t left = root->file_size_bytes - offset;
    *tile = (struct aq_tile_entry){.offset = offset};
    tile->directory_offset = offset + read_units(reader, left);
    left = root->file_size_bytes - tile->directory_offset;
    uint64_t size = read_units(reader, left < UINT32_MAX ? left : UINT32_MAX);
    tile->directory_size_bytes = (uint32_t)size;
    tile->directory_checksum = aq_reader_u64(reader);
    uint64_t row_count = aq_reader_varint(reader);
    if (row_count == 0 || row_count > AQ_TILE_ROWS_MAX)
        aq_reader_fail(reader);
    tile->row_count = (uint32_t)row_count;
    aq_span_decode(reader, &tile->has_time, &tile->min_time_us, &tile->max_time_us);
    if (tile->has_time && root->schema.time_column == AQ_COLUMN_NONE)
        aq_reader_fail(reader);
    if (root->schema.key_column == AQ_COLUMN_NONE)
        return;
    tile->key_min = aq_reader_slice(reader);
    tile->key_max = aq_reader_slice(reader);
    if (aq_slice_compare(tile->key_min, tile->key_max) > 0)
        aq_reader_fail(reader);
}

static enum aq_status read_tiles(struct aq_reader *reader, uint64_t root_size,
                                 struct aq_arena *arena, struct aq_archive_root *root)
{
    size_t count = aq_reader_count(reader);
    uint64_t offset = AQ_ARCHIVE_HEADER_BYTES;
    uint64_t row_count = 0;
    root->tiles = aq_arena_alloc(arena, count * sizeof *root->tiles);
    if (root->tiles == NULL)
        return AQ_NO_MEMORY;
    for (; root->tile_count < count && !reader->failed; root->tile_count++) {
        struct aq_tile_entry *tile = &root->tiles[root->tile_count];
        read_tile(reader, root, offset, tile);
        offset = tile->directory_offset + tile->directory_size_bytes;
        row_count += tile->row_count;
    }
    if (row_count != root->row_count || offset > root->file_size_bytes ||
        root->file_size_bytes - offset != root_size + AQ_ARCHIVE_TRAILER_BYTES)
        aq_reader_fail(reader);
    return AQ_OK;
}

static enum aq_status read_stats(struct aq_reader *reader, struct aq_arena *arena,
                                 struct aq_archive_root *root)
{
    size_t count = aq_schema_stored_count(&root->schema);
    root->stats = aq_arena_alloc(arena, count * sizeof *root->stats);
    if (root->stats == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        aq_stats_decode(aq_schema_stored_column(&root->schema, i).type, reader, &root->stats[i]);
        if (root->stats[i].row_count != root->row_count)
            aq_reader_fail(reader);
    }
    return AQ_OK;
}

/* No section of a root is known yet. */
static void skip_sections(struct aq_reader *reader)
{
    uint64_t last_id = 0;
    struct aq_slice section;
    while (aq_section_next(reader, &last_id, &section))
        ;
}

/* Behind the checksum: `bytes` is the whole root, in the arena. */
static enum aq_status read_root(struct aq_slice bytes, struct aq_arena *arena,
                                struct aq_archive_root *root, struct aq_error *err)
{
    AQ_TRY(aq_preamble_check_features(bytes, AQ_ARCHIVE_ROOT_MAGIC, AQ_ARCHIVE_VERSION,
                                      AQ_ARCHIVE_WITH_SECTIONS | AQ_ARCHIVE_WITH_LATE |
                                          AQ_ARCHIVE_WITH_MULTIPLE | AQ_ARCHIVE_WITH_FOLLOWERS,
                                      "root of an archive", err));
    memcpy(root->store_id.bytes, bytes.data + AQ_ARCHIVE_ROOT_AT_STORE,
           sizeof root->store_id.bytes);
    root->without_twins =
        (aq_load_u32(bytes.data + AQ_PREAMBLE_AT_COMPATIBLE) & AQ_ARCHIVE_WITHOUT_TWINS) != 0;
    uint32_t incompatible = aq_load_u32(bytes.data + AQ_PREAMBLE_AT_INCOMPATIBLE);
    root->has_sections = (incompatible & AQ_ARCHIVE_WITH_SECTIONS) != 0;
    root->has_followers = (incompatible & AQ_ARCHIVE_WITH_FOLLOWERS) != 0;
    root->file_size_bytes = aq_load_u64(bytes.data + AQ_ARCHIVE_ROOT_AT_FILE_SIZE);
    root->row_count = aq_load_u64(bytes.data + AQ_ARCHIVE_ROOT_AT_ROW_COUNT);
    uint32_t body_size = aq_load_u32(bytes.data + AQ_ARCHIVE_ROOT_AT_BODY_SIZE);
    size_t room = bytes.size - 8 - AQ_ARCHIVE_ROOT_AT_BODY;
    if (body_size > room || room - body_size >= AQ_ARCHIVE_ALIGNMENT ||
        root->file_size_bytes < bytes.size + AQ_ARCHIVE_HEADER_BYTES + AQ_ARCHIVE_TRAILER_BYTES ||
        !all_zero(bytes.data + AQ_ARCHIVE_ROOT_AT_BODY + body_size, room - body_size))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, AQ_ARCHIVE_ROOT_AT_FILE_SIZE,
                               "the root of an archive has sizes that do not fit it");
    struct aq_reader reader =
        aq_reader_make(aq_slice_make(bytes.data + AQ_ARCHIVE_ROOT_AT_BODY, body_size));
    struct aq_slice schema = aq_reader_slice(&reader);
    AQ_TRY(aq_reader_status(&reader, "the root of an archive", err));
    AQ_TRY(aq_schema_decode(schema, arena, &root->schema, err));
    AQ_TRY(read_tiles(&reader, bytes.size, arena, root));
    AQ_TRY(read_stats(&reader, arena, root));
    if (root->has_sections)
        skip_sections(&reader);
    return aq_reader_finish(&reader, "the root of an archive", err);
}

enum aq_status aq_archive_root_decode(struct aq_slice bytes, struct aq_arena *arena,
                                      struct aq_archive_root *root, struct aq_error *err)
{
    *root = (struct aq_archive_root){0};
    if (bytes.size < AQ_ARCHIVE_ROOT_AT_BODY + 8 || bytes.size > AQ_ARCHIVE_ROOT_BYTES_MAX)
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0,
                               "the root of an archive cannot have %zu bytes", bytes.size);
    if (!is_sealed(bytes))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "the root of an archive is damaged");
    bytes.data = aq_arena_copy(arena, bytes.data, bytes.size);
    enum aq_status status = AQ_NO_MEMORY;
    if (bytes.data != NULL)
        status = read_root(bytes, arena, root, err);
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, status, "out of memory reading the root of an archive");
    return status;
}
