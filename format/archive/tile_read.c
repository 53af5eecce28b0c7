/* Reading a tile: its directory, and the chunks that the directory lists.
 *
 * Chunks lie one behind the other up to the directory, so that only their sizes are stored; together
 * with the root, which says where each tile begins, that leaves no byte of the file unaccounted.
 *
 * Failures: AQ_CORRUPT, its offset counted from the first of the bytes given. */
#include <assert.h>

#include "format/archive/archive_layout.h"
#include "format/base/checksum.h"
#include "format/base/mutant.h"

/* The part of a padded unit that its first four bytes measure; AQ_CORRUPT unless zeros follow. */
static enum aq_status unpad(struct aq_slice unit, const char *what, struct aq_slice *body,
                            struct aq_error *err)
{
    struct aq_reader reader = aq_reader_make(unit);
    *body = aq_reader_bytes(&reader, aq_reader_u32(&reader));
    size_t padding = aq_reader_left(&reader);
    if (padding >= AQ_ARCHIVE_ALIGNMENT)
        aq_reader_fail(&reader);
    for (size_t i = 0; i < padding; i++) {
        if (aq_reader_u8(&reader) != 0)
            aq_reader_fail(&reader);
    }
    return aq_reader_finish(&reader, what, err);
}

static void read_chunk(struct aq_reader *reader, const struct aq_column *column, uint32_t row_count,
                       struct aq_chunk_entry *chunk)
{
    *chunk = (struct aq_chunk_entry){.column_id = column->id, .type = column->type};
    uint64_t units = aq_reader_varint(reader);
    if (units == 0 || units > UINT32_MAX / AQ_ARCHIVE_ALIGNMENT)
        aq_reader_fail(reader);
    chunk->size_bytes = (uint32_t)units * AQ_ARCHIVE_ALIGNMENT;
    chunk->checksum = aq_reader_u64(reader);
    aq_stats_decode(column->type, reader, &chunk->stats);
    if (chunk->stats.row_count != row_count)
        aq_reader_fail(reader);
}

static enum aq_status read_chunks(struct aq_reader *reader, const struct aq_tile_entry *entry,
                                  const struct aq_schema *schema, struct aq_arena *arena,
                                  struct aq_tile_directory *directory)
{
    directory->chunk_count = aq_schema_stored_count(schema);
    directory->chunks = aq_arena_alloc(arena, directory->chunk_count * sizeof *directory->chunks);
    if (directory->chunks == NULL)
        return AQ_NO_MEMORY;
    uint64_t offset = entry->offset;
    for (size_t i = 0; i < directory->chunk_count; i++) {
        struct aq_chunk_entry *chunk = &directory->chunks[i];
        struct aq_column column = aq_schema_stored_column(schema, i);
        read_chunk(reader, &column, entry->row_count, chunk);
        chunk->offset = offset;
        offset += chunk->size_bytes;
    }
    if (offset != entry->directory_offset)
        aq_reader_fail(reader);
    return AQ_OK;
}

/* One field of all runs. */
static enum aq_status read_field(struct aq_reader *reader, enum aq_type type, size_t run_count,
                                 struct aq_arena *arena, struct aq_vector *vector)
{
    struct aq_slice coded = aq_reader_slice(reader);
    size_t end = reader->offset;
    aq_vector_init(vector, type);
    if (reader->failed)
        return AQ_OK;
    struct aq_error inner = {.offset = -1};
    enum aq_status status = aq_column_decode(coded, type, run_count, arena, vector, &inner);
    if (status != AQ_CORRUPT)
        return status;
    reader->offset = inner.offset < 0 ? end : end - coded.size + (size_t)inner.offset;
    aq_reader_fail(reader);
    return AQ_OK;
}

static enum aq_status read_run_rows(struct aq_reader *reader, uint32_t row_count,
                                    struct aq_arena *arena, struct aq_tile_directory *directory)
{
    struct aq_vector counts;
    enum aq_status status =
        read_field(reader, AQ_TYPE_BIGINT, directory->run_count, arena, &counts);
    uint64_t row = 0;
    for (size_t i = 0; status == AQ_OK && !reader->failed && i < directory->run_count; i++) {
        struct aq_run_entry *run = &directory->runs[i];
        uint64_t rows = aq_vector_is_null(&counts, i) ? 0 : (uint64_t)counts.ints[i];
        if (rows == 0 || rows > row_count - row)
            aq_reader_fail(reader);
        *run = (struct aq_run_entry){.row_first = (uint32_t)row, .row_count = (uint32_t)rows};
        row += rows;
    }
    if (row != row_count)
        aq_reader_fail(reader);
    aq_vector_deinit(&counts);
    return status;
}

static enum aq_status read_run_keys(struct aq_reader *reader, struct aq_arena *arena,
                                    struct aq_tile_directory *directory)
{
    struct aq_vector keys;
    enum aq_status status = read_field(reader, AQ_TYPE_BYTEA, directory->run_count, arena, &keys);
    for (size_t i = 0; status == AQ_OK && !reader->failed && i < directory->run_count; i++)
        directory->runs[i].key =
            aq_vector_is_null(&keys, i) ? (struct aq_slice){0} : keys.slices[i];
    aq_vector_deinit(&keys);
    return status;
}

static void set_run_time(struct aq_reader *reader, const struct aq_vector *mins,
                         const struct aq_vector *durations, size_t i, struct aq_run_entry *run)
{
    if (aq_vector_is_null(mins, i))
        return;
    run->has_time = true;
    run->min_time_us = mins->ints[i];
    run->max_time_us = (int64_t)((uint64_t)mins->ints[i] + (uint64_t)durations->ints[i]);
    if (aq_vector_is_null(durations, i) || run->max_time_us < run->min_time_us)
        aq_reader_fail(reader);
}

static enum aq_status read_run_times(struct aq_reader *reader, struct aq_arena *arena,
                                     struct aq_tile_directory *directory)
{
    struct aq_vector mins;
    struct aq_vector durations;
    size_t count = directory->run_count;
    aq_vector_init(&durations, AQ_TYPE_BIGINT);
    enum aq_status status = read_field(reader, AQ_TYPE_TIMESTAMPTZ, count, arena, &mins);
    if (status == AQ_OK)
        status = read_field(reader, AQ_TYPE_BIGINT, count, arena, &durations);
    for (size_t i = 0; status == AQ_OK && !reader->failed && i < count; i++)
        set_run_time(reader, &mins, &durations, i, &directory->runs[i]);
    aq_vector_deinit(&mins);
    aq_vector_deinit(&durations);
    return status;
}

static enum aq_status read_runs(struct aq_reader *reader, const struct aq_tile_entry *entry,
                                const struct aq_schema *schema, struct aq_arena *arena,
                                struct aq_tile_directory *directory)
{
    uint64_t run_count = aq_reader_varint(reader);
    if (run_count == 0 || run_count > entry->row_count)
        aq_reader_fail(reader);
    if (reader->failed)
        return AQ_OK;
    directory->run_count = (size_t)run_count;
    directory->runs = aq_arena_alloc(arena, directory->run_count * sizeof *directory->runs);
    if (directory->runs == NULL)
        return AQ_NO_MEMORY;
    AQ_TRY(read_run_rows(reader, entry->row_count, arena, directory));
    if (schema->key_column != AQ_COLUMN_NONE)
        AQ_TRY(read_run_keys(reader, arena, directory));
    if (schema->time_column != AQ_COLUMN_NONE)
        AQ_TRY(read_run_times(reader, arena, directory));
    return AQ_OK;
}

static enum aq_status read_sections(struct aq_reader *reader, const struct aq_archive_root *root,
                                    struct aq_arena *arena, struct aq_tile_directory *directory)
{
    const struct aq_schema *schema = &root->schema;
    uint64_t id = 0;
    struct aq_slice section;
    while (aq_section_next(reader, &id, &section)) {
        bool valid = true;
        if (id == AQ_SECTION_RUN_STATS)
            AQ_TRY(aq_run_stats_read(section, schema, arena, directory, &valid));
        if (id == AQ_SECTION_RUN_ENDS)
            AQ_TRY(aq_run_ends_read(section, schema, arena, directory, &valid));
        if (id == AQ_SECTION_FOLLOWERS)
            valid = root->has_followers && aq_followers_read(section, directory) == AQ_OK;
        if (!valid)
            aq_reader_fail(reader);
    }
    return AQ_OK;
}

static enum aq_status read_directory(struct aq_slice body, const struct aq_tile_entry *entry,
                                     const struct aq_archive_root *root, struct aq_arena *arena,
                                     struct aq_tile_directory *directory, struct aq_error *err)
{
    const struct aq_schema *schema = &root->schema;
    struct aq_reader reader = aq_reader_make(body);
    directory->row_count = entry->row_count;
    if (aq_reader_varint(&reader) != entry->row_count)
        aq_reader_fail(&reader);
    AQ_TRY(read_chunks(&reader, entry, schema, arena, directory));
    AQ_TRY(read_runs(&reader, entry, schema, arena, directory));
    if (root->has_sections)
        AQ_TRY(read_sections(&reader, root, arena, directory));
    return aq_reader_finish(&reader, "a tile's directory", err);
}

enum aq_status aq_tile_directory_decode(struct aq_slice bytes, const struct aq_tile_entry *entry,
                                        const struct aq_archive_root *root, struct aq_arena *arena,
                                        struct aq_tile_directory *directory, struct aq_error *err)
{
    *directory = (struct aq_tile_directory){0};
    if (bytes.size != entry->directory_size_bytes ||
        (!aq_mutant(31) && aq_checksum(bytes.data, bytes.size) != entry->directory_checksum))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "a tile's directory is damaged");
    struct aq_slice body;
    AQ_TRY(unpad(bytes, "a tile's directory", &body, err));
    body.data = aq_arena_copy(arena, body.data, body.size);
    enum aq_status status = AQ_NO_MEMORY;
    if (body.data != NULL)
        status = read_directory(body, entry, root, arena, directory, err);
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, status, "out of memory reading a tile's directory");
    return status;
}

enum aq_status aq_chunk_open(struct aq_slice bytes, const struct aq_chunk_entry *entry,
                             struct aq_slice *coded, struct aq_error *err)
{
    if (bytes.size != entry->size_bytes ||
        (!aq_mutant(32) && aq_checksum(bytes.data, bytes.size) != entry->checksum))
        return aq_error_set_at(err, AQ_CORRUPT, NULL, 0, "the chunk of column id %u is damaged",
                               entry->column_id);
    return unpad(bytes, "a column chunk", coded, err);
}

enum aq_status aq_chunk_decode(struct aq_slice bytes, struct aq_slice leader,
                               const struct aq_chunk_entry *entry, uint32_t row_count,
                               struct aq_arena *arena, struct aq_vector *vector,
                               struct aq_error *err)
{
    struct aq_chunk_coded coded = {0};
    struct aq_wanted all = {.end = row_count};
    AQ_TRY(aq_chunk_open(bytes, entry, &coded.own, err));
    if (entry->leader != NULL)
        AQ_TRY(aq_chunk_open(leader, entry->leader, &coded.leader, err));
    return aq_chunk_decode_rows(&coded, entry, row_count, &all, NULL, arena, vector, err);
}

enum aq_status aq_chunk_describe(struct aq_slice bytes, const struct aq_chunk_entry *entry,
                                 char *out, size_t out_size, struct aq_error *err)
{
    struct aq_slice coded;
    AQ_TRY(aq_chunk_open(bytes, entry, &coded, err));
    return entry->leader != NULL ? aq_follower_describe(coded, out, out_size, err)
                                 : aq_column_describe(coded, out, out_size, err);
}
