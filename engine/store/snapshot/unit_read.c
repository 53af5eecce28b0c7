/* Reading a unit: a frame's section, or the wanted chunks of a tile.
 *
 * Happy path: read the bytes, verify, decode into the caller's batch, drop the rows that do not count
 * (unit_filter.h).
 * Failures: bytes that are not what was written are AQ_CORRUPT with file and offset. */
#include "engine/store/snapshot/unit_filter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A scratch buffer of `size` bytes of the unit's file. */
static enum aq_status read_bytes(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 uint64_t offset, size_t size, uint8_t **bytes,
                                 struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    *bytes = malloc(size + 1);
    if (*bytes == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for %zu bytes", size);
    enum aq_status status =
        aq_file_cache_read(snapshot->cache, detail->file->index, offset, *bytes, size, err);
    if (status < 0) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}

static enum aq_status locate(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                             uint64_t offset, enum aq_status status, struct aq_error *err)
{
    if (status >= 0)
        return status;
    const struct aq_unit_detail *detail = unit->detail;
    struct aq_store_path path = aq_file_cache_path(snapshot->cache, detail->file->index);
    if (err != NULL && status == AQ_CORRUPT && err->offset < 0)
        err->offset = 0;
    return aq_error_locate(err, status, path.text, (int64_t)offset);
}

/* The bytes of a frame section; the caller frees them. */
static enum aq_status section_bytes(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                    struct aq_slice *bytes, struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    uint8_t *data = NULL;
    AQ_TRY(read_bytes(snapshot, unit, detail->frame_offset + detail->section->offset,
                      detail->section->size_bytes, &data, err));
    *bytes = aq_slice_make(data, detail->section->size_bytes);
    return AQ_OK;
}

/* The declarations to read a section by. An open segment may hold frames of one that is newer than the
 * snapshot's catalog; its columns are then null or not asked for. */
static enum aq_status declarations_for(struct aq_snapshot *snapshot,
                                       const struct aq_section_entry *section,
                                       const struct aq_catalog **catalog, struct aq_error *err)
{
    if (aq_catalog_schema_by_id(snapshot->catalog, section->dataset_id, section->schema_version) ==
        NULL)
        return aq_store_catalog(snapshot->store, true, catalog, err);
    *catalog = aq_catalog_retain(snapshot->catalog);
    return AQ_OK;
}

/* The keys live as long as the snapshot, not as the section they were read from. */
static enum aq_status take_partitions(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                      struct aq_partition *partitions, size_t count, bool keyed)
{
    for (size_t i = 0; i < count; i++) {
        struct aq_slice *key = &partitions[i].key;
        key->data = aq_arena_copy(&snapshot->arena, key->data, key->size);
        if (key->data == NULL)
            return AQ_NO_MEMORY;
        if (i == 0 || aq_slice_compare(*key, unit->key_min) < 0)
            unit->key_min = *key;
        if (i == 0 || aq_slice_compare(*key, unit->key_max) > 0)
            unit->key_max = *key;
    }
    unit->has_keys = keyed && count > 0;
    unit->partitions = partitions;
    unit->partition_count = count;
    return AQ_OK;
}

enum aq_status aq_unit_partition(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                 struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    const struct aq_schema *schema =
        aq_catalog_schema_by_id(snapshot->catalog, unit->dataset_id, 0);
    bool keyed = schema != NULL && schema->key_column != AQ_COLUMN_NONE;
    struct aq_partition *partitions = NULL;
    size_t count = 0;
    struct aq_slice bytes = {0};
    AQ_TRY(section_bytes(snapshot, unit, &bytes, err));
    enum aq_status status =
        aq_section_partitions(bytes, detail->section, &snapshot->arena, &partitions, &count, err);
    if (status == AQ_OK) {
        aq_unit_filter_partitions(unit, partitions, &count);
        status = take_partitions(snapshot, unit, partitions, count, keyed);
        if (status < 0)
            aq_error_set(err, status, "no memory for %zu partitions", count);
    }
    free((void *)bytes.data);
    return locate(snapshot, unit, detail->frame_offset + detail->section->offset, status, err);
}

/* Forget the chunk that `*at` is. */
static void drop_held(struct aq_held_chunk **at)
{
    struct aq_held_chunk *chunk = *at;
    *at = chunk->next;
    aq_leader_numbers_deinit(&chunk->numbers);
    free(chunk->bytes);
    free(chunk);
}

void aq_held_deinit(struct aq_held *held)
{
    while (held->chunks != NULL)
        drop_held(&held->chunks);
    free((void *)held->section.bytes.data);
    aq_arena_deinit(&held->arena);
    *held = (struct aq_held){0};
}

/* Where the chunk is, or NULL stands. */
static struct aq_held_chunk **find_held(struct aq_held *held, const struct aq_chunk_entry *chunk)
{
    struct aq_held_chunk **at = &held->chunks;
    while (*at != NULL && (*at)->offset != chunk->offset)
        at = &(*at)->next;
    return at;
}

static void drop(struct aq_held *held, const struct aq_chunk_entry *chunk)
{
    struct aq_held_chunk **at = find_held(held, chunk);
    if (*at != NULL)
        drop_held(at);
}

static enum aq_status read_held(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                const struct aq_chunk_entry *chunk, struct aq_held_chunk *held,
                                struct aq_error *err)
{
    AQ_TRY(read_bytes(snapshot, unit, chunk->offset, chunk->size_bytes, &held->bytes, err));
    return aq_chunk_open(aq_slice_make(held->bytes, chunk->size_bytes), chunk, &held->coded, err);
}

/* The chunk's column has been read; one that leads may be needed for those that follow. */
static void let_go(struct aq_held *held, const struct aq_chunk_entry *chunk)
{
    if (!chunk->leads)
        drop(held, chunk);
}

/* What is coded in a chunk, held from here on. */
static enum aq_status hold_chunk(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 const struct aq_chunk_entry *chunk, struct aq_held *held,
                                 struct aq_slice *coded, struct aq_error *err)
{
    struct aq_held_chunk **at = find_held(held, chunk);
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        (*at)->offset = chunk->offset;
        enum aq_status status = read_held(snapshot, unit, chunk, *at, err);
        if (status != AQ_OK) {
            drop_held(at);
            return status;
        }
    }
    *coded = (*at)->coded;
    return AQ_OK;
}

/* The same of what it follows, with the numbers that others which follow it have made, or may use. */
static enum aq_status hold_leader(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                  const struct aq_chunk_entry *chunk, struct aq_held *held,
                                  struct aq_chunk_coded *coded, struct aq_error *err)
{
    if (chunk->leader == NULL)
        return AQ_OK;
    AQ_TRY(hold_chunk(snapshot, unit, chunk->leader, held, &coded->leader, err));
    coded->numbers = &(*find_held(held, chunk->leader))->numbers;
    return AQ_OK;
}

/* The rows of a part as they are stored. */
static struct aq_wanted stored_rows(const struct aq_unit *unit, const struct aq_unit_part *part)
{
    const struct aq_unit_detail *detail = unit->detail;
    if (detail->kept != NULL) /* rows are not numbered as they are stored */
        return (struct aq_wanted){.end = aq_unit_stored_rows(unit)};
    return (struct aq_wanted){
        .first = part->row_first, .end = part->row_end, .vectors = part->vectors};
}

static enum aq_status decode_chunk(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                   const struct aq_chunk_entry *chunk,
                                   const struct aq_unit_part *part, struct aq_arena *arena,
                                   struct aq_vector *vector, struct aq_error *err)
{
    struct aq_chunk_coded coded = {0};
    struct aq_wanted rows = stored_rows(unit, part);
    enum aq_status status = hold_leader(snapshot, unit, chunk, part->held, &coded, err);
    if (status != AQ_OK)
        return locate(snapshot, unit, chunk->leader->offset, status, err);
    status = hold_chunk(snapshot, unit, chunk, part->held, &coded.own, err);
    if (status == AQ_OK)
        status = aq_chunk_decode_rows(&coded, chunk, aq_unit_stored_rows(unit), &rows,
                                      part->scratch, arena, vector, err);
    let_go(part->held, chunk);
    return locate(snapshot, unit, chunk->offset, status, err);
}

/* Not to have it, nor what it follows, from memory or a cache again. */
static void forget(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                   const struct aq_chunk_entry *chunk, struct aq_held *held)
{
    const struct aq_unit_detail *detail = unit->detail;
    for (; chunk != NULL; chunk = chunk->leader) {
        drop(held, chunk);
        aq_file_cache_forget(snapshot->cache, detail->file->index, chunk->offset,
                             chunk->size_bytes);
    }
}

static enum aq_status read_chunk(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 uint32_t column_id, const struct aq_unit_part *part,
                                 struct aq_arena *arena, struct aq_vector *vector,
                                 struct aq_error *err)
{
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    if (chunk == NULL) {
        enum aq_status status = aq_vector_fill_nulls(vector, aq_unit_stored_rows(unit));
        return status == AQ_OK ? AQ_OK : aq_error_set(err, status, "out of memory");
    }
    if (chunk->type != vector->type)
        return locate(
            snapshot, unit, chunk->offset,
            aq_error_set_at(err, AQ_CORRUPT, "", 0, "a column's type is not the declared one"),
            err);
    enum aq_status status = decode_chunk(snapshot, unit, chunk, part, arena, vector, err);
    if (status == AQ_CORRUPT && unit->remote) { /* what came over the network, or lay in a cache */
        forget(snapshot, unit, chunk, part->held);
        aq_vector_clear(vector);
        status = decode_chunk(snapshot, unit, chunk, part, arena, vector, err);
    }
    return status;
}

enum aq_status aq_unit_run_stats(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 uint32_t column_id, struct aq_arena *arena,
                                 struct aq_column_stats *stats, struct aq_error *err)
{
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    if (chunk == NULL || !aq_unit_is_whole(unit))
        return AQ_NOT_FOUND;
    const struct aq_unit_detail *detail = unit->detail;
    const struct aq_archive_root *root = &detail->file->root;
    const struct aq_tile_directory *tile = aq_unit_directory(unit);
    enum aq_status status =
        aq_run_stats_decode(tile, &root->schema, (size_t)(chunk - tile->chunks), arena, stats, err);
    if (status == AQ_CORRUPT)
        err->offset = 0; /* of the directory */
    return locate(snapshot, unit, root->tiles[unit->index].directory_offset, status, err);
}

/* Whether the time of the archive is the one that the dataset has now. */
static bool has_same_time(const struct aq_snapshot *snapshot, const struct aq_unit *unit,
                          const struct aq_schema *of_file)
{
    const struct aq_schema *schema =
        aq_catalog_schema_by_id(snapshot->catalog, unit->dataset_id, 0);
    return schema != NULL && schema->time_column != AQ_COLUMN_NONE &&
           of_file->time_column != AQ_COLUMN_NONE &&
           schema->columns[schema->time_column].id == of_file->columns[of_file->time_column].id;
}

enum aq_status aq_unit_run_ends(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                uint32_t column_id, struct aq_arena *arena,
                                struct aq_run_ends *ends, struct aq_error *err)
{
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    if (chunk == NULL || !aq_unit_is_whole(unit))
        return AQ_NOT_FOUND;
    const struct aq_unit_detail *detail = unit->detail;
    const struct aq_archive_root *root = &detail->file->root;
    const struct aq_tile_directory *tile = aq_unit_directory(unit);
    if (!has_same_time(snapshot, unit, &root->schema))
        return AQ_NOT_FOUND;
    enum aq_status status =
        aq_run_ends_decode(tile, &root->schema, (size_t)(chunk - tile->chunks), arena, ends, err);
    if (status == AQ_CORRUPT)
        err->offset = 0; /* of the directory */
    return locate(snapshot, unit, root->tiles[unit->index].directory_offset, status, err);
}

static enum aq_status read_tile(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                const uint32_t *column_ids, const struct aq_unit_part *part,
                                struct aq_batch *batch, struct aq_error *err)
{
    AQ_TRY(aq_unit_prepare(snapshot, unit, column_ids, batch->column_count, err));
    for (size_t i = 0; i < batch->column_count; i++) {
        if (part->columns != NULL && !part->columns[i])
            continue;
        AQ_TRY(read_chunk(snapshot, unit, column_ids[i], part, &batch->arena, &batch->columns[i],
                          err));
        aq_unit_filter_column(unit, &batch->columns[i]);
    }
    return AQ_OK;
}

/* A frame's section, held from here on. */
static enum aq_status hold_section(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                   struct aq_held *held, struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    struct aq_section section = {0};
    struct aq_slice bytes = {0};
    if (held->section.bytes.data != NULL)
        return AQ_OK;
    AQ_TRY(section_bytes(snapshot, unit, &bytes, err));
    enum aq_status status = aq_section_open(bytes, detail->section, &held->arena, &section, err);
    if (status != AQ_OK)
        free((void *)bytes.data);
    else
        held->section = section;
    return status;
}

/* A column of a frame's section, as aq_section_find. */
static enum aq_status find_column(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                  uint32_t column_id, enum aq_type type, struct aq_held *held,
                                  const struct aq_section_column **column, struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    const struct aq_section_entry *section = detail->section;
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(hold_section(snapshot, unit, held, err));
    AQ_TRY(declarations_for(snapshot, section, &catalog, err));
    const struct aq_schema *schema =
        aq_catalog_schema_by_id(catalog, section->dataset_id, section->schema_version);
    enum aq_status status;
    if (schema == NULL)
        status = aq_error_set_at(err, AQ_CORRUPT, "", 0,
                                 "names version %" PRIu32 " of dataset %" PRIu32
                                 ", which was never declared",
                                 section->schema_version, section->dataset_id);
    else
        status = aq_section_find(&held->section, schema, column_id, type, column, err);
    aq_catalog_release(catalog);
    return status;
}

static enum aq_status read_section_column(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                          uint32_t column_id, const struct aq_unit_part *part,
                                          struct aq_arena *arena, struct aq_vector *vector,
                                          struct aq_error *err)
{
    const struct aq_section_column *column;
    uint32_t row_count = aq_unit_stored_rows(unit);
    struct aq_wanted rows = stored_rows(unit, part);
    AQ_TRY(find_column(snapshot, unit, column_id, vector->type, part->held, &column, err));
    return aq_section_decode_column(&part->held->section, column, row_count, &rows, part->scratch,
                                    arena, vector, err);
}

static enum aq_status read_frame(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 const uint32_t *column_ids, const struct aq_unit_part *part,
                                 struct aq_batch *batch, struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    for (size_t i = 0; i < batch->column_count; i++) {
        if (part->columns != NULL && !part->columns[i])
            continue;
        enum aq_status status = read_section_column(snapshot, unit, column_ids[i], part,
                                                    &batch->arena, &batch->columns[i], err);
        AQ_TRY(locate(snapshot, unit, detail->frame_offset + detail->section->offset, status, err));
        aq_unit_filter_column(unit, &batch->columns[i]);
    }
    return AQ_OK;
}

/* What is coded of a column of a unit whose rows are as they are stored; AQ_NOT_FOUND: there is none, or it is damaged, and
 * reading says where, or reads it anew. */
static enum aq_status hold_column(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                  uint32_t column_id, enum aq_type type, struct aq_held *held,
                                  struct aq_slice *coded, struct aq_error *err)
{
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    const struct aq_section_column *column = NULL;
    if (!aq_unit_is_whole(unit))
        return AQ_NOT_FOUND;
    enum aq_status status = AQ_NOT_FOUND;
    if (chunk != NULL && chunk->type == type)
        status = hold_chunk(snapshot, unit, chunk, held, coded, err);
    if (unit->kind == AQ_FILE_SEGMENT)
        status = find_column(snapshot, unit, column_id, type, held, &column, err);
    if (status == AQ_OK && column != NULL)
        *coded = aq_section_column_bytes(&held->section, column);
    if (status == AQ_CORRUPT || (status == AQ_OK && chunk == NULL && column == NULL))
        return AQ_NOT_FOUND;
    return status;
}

/* The same of what was made of it; what nobody reads any more is let go. */
static enum aq_status made_of_column(const struct aq_unit *unit, uint32_t column_id,
                                     struct aq_held *held, enum aq_status status)
{
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    if (status != AQ_NOT_FOUND && chunk != NULL)
        let_go(held, chunk);
    return status == AQ_CORRUPT ? AQ_NOT_FOUND : status;
}

enum aq_status aq_unit_bounds(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                              uint32_t column_id, enum aq_type type, struct aq_held *held,
                              struct aq_decode_scratch *scratch, struct aq_column_stats *stats,
                              struct aq_error *err)
{
    struct aq_slice coded = {0};
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    if (chunk != NULL && chunk->leader != NULL)
        return AQ_NOT_FOUND;
    AQ_TRY(hold_column(snapshot, unit, column_id, type, held, &coded, err));
    enum aq_status status = aq_column_bounds(coded, type, unit->row_count, scratch, stats, err);
    return status == AQ_OK ? AQ_OK : made_of_column(unit, column_id, held, status);
}

enum aq_status aq_unit_factor(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                              uint32_t column_id, enum aq_type type, uint32_t row_first,
                              uint32_t row_end, struct aq_held *held,
                              struct aq_decode_scratch *scratch, struct aq_factored *factored,
                              struct aq_error *err)
{
    struct aq_chunk_coded coded = {0};
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    AQ_TRY(hold_column(snapshot, unit, column_id, type, held, &coded.own, err));
    enum aq_status status =
        chunk == NULL ? AQ_OK : hold_leader(snapshot, unit, chunk, held, &coded, err);
    if (status == AQ_OK && chunk != NULL)
        status = aq_chunk_factor(&coded, chunk, unit->row_count, row_first, row_end, scratch,
                                 factored, err);
    else if (status == AQ_OK)
        status = aq_column_factor(coded.own, type, unit->row_count, row_first, row_end, scratch,
                                  factored, err);
    return made_of_column(unit, column_id, held, status);
}

enum aq_status aq_unit_read_part(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                                 const uint32_t *column_ids, const struct aq_unit_part *part,
                                 struct aq_batch *batch, struct aq_error *err)
{
    struct aq_error failure = {.offset = -1};
    struct aq_decode_scratch own = {0};
    struct aq_held own_held = {0};
    struct aq_unit_part wanted = *part;
    assert(part->row_end <= unit->row_count);
    if (wanted.scratch == NULL)
        wanted.scratch = &own;
    if (wanted.held == NULL)
        wanted.held = &own_held;
    enum aq_status status = unit->kind == AQ_FILE_SEGMENT
                                ? read_frame(snapshot, unit, column_ids, &wanted, batch, &failure)
                                : read_tile(snapshot, unit, column_ids, &wanted, batch, &failure);
    aq_decode_scratch_deinit(&own);
    aq_held_deinit(&own_held);
    batch->row_count = unit->row_count;
    if (status < 0) {
        aq_batch_clear(batch);
        if (err != NULL)
            *err = failure;
    }
    return status;
}

enum aq_status aq_unit_read(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                            const uint32_t *column_ids, struct aq_batch *batch,
                            struct aq_error *err)
{
    struct aq_unit_part all = {.row_end = unit->row_count};
    aq_batch_clear(batch);
    return aq_unit_read_part(snapshot, unit, column_ids, &all, batch, err);
}
