/* One tile, decoded: values fit their declaration, rows are in storage order, runs cover them and hold one
 * key each, statistics of tile and runs, and bounds, are what the values give. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/table/key_text.h"
#include "tools/verify/verify.h"

struct tile {
    struct aq_verify *verify;
    const struct aq_store_file *file;
    const struct aq_archive_root *root;
    const struct aq_tile_entry *entry;
    const struct aq_tile_directory *directory;
    struct aq_batch batch;
    struct aq_arena arena;
};

static void fault(const struct tile *tile, uint64_t offset, const char *what, const char *column)
{
    aq_verify_fault_at(tile->verify, tile->file->path, offset, "%s%s%s", column,
                       column[0] != '\0' ? ": " : "", what);
}

enum aq_status aq_verify_stats_equal(enum aq_type type, const struct aq_column_stats *a,
                                     const struct aq_column_stats *b, bool *equal)
{
    struct aq_bytes bytes_a = {0}, bytes_b = {0};
    aq_stats_encode(type, a, &bytes_a);
    aq_stats_encode(type, b, &bytes_b);
    *equal = aq_slice_equal(aq_bytes_view(&bytes_a), aq_bytes_view(&bytes_b));
    enum aq_status status = bytes_a.failed || bytes_b.failed ? AQ_NO_MEMORY : AQ_OK;
    aq_bytes_deinit(&bytes_a);
    aq_bytes_deinit(&bytes_b);
    return status;
}

/* A run's bounds and sum may be left out; what is said must be so. What the list of runs says, check_run holds against rows. */
static enum aq_status check_run_stats(struct tile *tile, const struct aq_run_entry *run,
                                      const struct aq_column_stats *said,
                                      const struct aq_vector *vector, const char *column)
{
    struct aq_column_stats stats;
    bool equal = true;
    if (said->row_count == 0 || run->row_first + run->row_count > vector->row_count)
        return AQ_OK;
    AQ_TRY(aq_stats_compute(vector, run->row_first, run->row_count, &tile->arena, &stats));
    if (!said->bounds_known)
        stats.bounds_known = false;
    if (!said->sum_known)
        stats.sum_known = false;
    AQ_TRY(aq_verify_stats_equal(vector->type, said, &stats, &equal));
    if (!equal)
        fault(tile, tile->entry->directory_offset, "a run's statistics are not those of its values",
              column);
    return AQ_OK;
}

static enum aq_status check_runs_stats(struct tile *tile, size_t column_index,
                                       const struct aq_vector *vector, const char *column,
                                       struct aq_error *err)
{
    const struct aq_tile_directory *directory = tile->directory;
    if (!aq_run_stats_stored(&tile->root->schema, column_index))
        return AQ_OK;
    struct aq_column_stats *stats = calloc(directory->run_count + 1, sizeof *stats);
    if (stats == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for statistics of runs");
    enum aq_status status = aq_error_locate(
        err,
        aq_run_stats_decode(directory, &tile->root->schema, column_index, &tile->arena, stats, err),
        tile->file->path, (int64_t)tile->entry->directory_offset);
    for (size_t i = 0; status >= 0 && i < directory->run_count; i++)
        status = check_run_stats(tile, &directory->runs[i], &stats[i], vector, column);
    free(stats);
    return status;
}

static bool equal_value(enum aq_type type, const union aq_stats_value *a,
                        const union aq_stats_value *b)
{
    if (aq_type_physical(type) == AQ_PHYSICAL_SLICE)
        return aq_slice_equal(a->slice, b->slice);
    return memcmp(a, b, sizeof a->integer) == 0; /* or all bits of a double */
}

/* First and last of a run may be left out; what is said must be so. */
static void check_ends(const struct tile *tile, const struct aq_run_entry *run,
                       const struct aq_run_ends *said, size_t column)
{
    const struct aq_schema *schema = &tile->root->schema;
    const struct aq_vector *vector = &tile->batch.columns[column];
    struct aq_run_ends ends;
    bool equal = true;
    aq_run_ends_find(vector, &tile->batch.columns[schema->time_column], run->row_first,
                     run->row_count, &ends);
    for (unsigned i = 0; i < AQ_END_COUNT; i++) {
        const struct aq_run_end *own = &ends.at[i];
        if (said->at[i].given)
            equal = equal && own->given && own->null == said->at[i].null &&
                    (own->null || equal_value(vector->type, &own->value, &said->at[i].value));
    }
    if (!equal)
        fault(tile, tile->entry->directory_offset,
              "a run's first and last values are not those of its rows",
              aq_schema_stored_column(schema, column).name);
}

static enum aq_status check_runs_ends(struct tile *tile, struct aq_error *err)
{
    const struct aq_tile_directory *directory = tile->directory;
    if (directory->run_ends_count == 0)
        return AQ_OK;
    struct aq_run_ends *ends = calloc(directory->run_count, sizeof *ends);
    enum aq_status status =
        ends != NULL ? AQ_OK
                     : aq_error_set(err, AQ_NO_MEMORY, "no memory for first and last values");
    const struct aq_schema *schema = &tile->root->schema;
    for (size_t column = 0; status >= 0 && column < directory->chunk_count; column++) {
        if (!aq_run_stats_stored(schema, column))
            continue;
        status = aq_error_locate(
            err, aq_run_ends_decode(directory, schema, column, &tile->arena, ends, err),
            tile->file->path, (int64_t)tile->entry->directory_offset);
        for (size_t i = 0; status >= 0 && i < directory->run_count; i++)
            check_ends(tile, &directory->runs[i], &ends[i], column);
    }
    free(ends);
    return status;
}

static enum aq_status check_stats(struct tile *tile, const struct aq_chunk_entry *chunk,
                                  const struct aq_vector *vector, const char *column,
                                  struct aq_error *err)
{
    struct aq_column_stats stats = {0};
    bool equal = true;
    AQ_TRY(aq_stats_compute(vector, 0, vector->row_count, &tile->arena, &stats));
    AQ_TRY(aq_verify_stats_equal(chunk->type, &chunk->stats, &stats, &equal));
    if (!equal)
        fault(tile, tile->entry->directory_offset, "its statistics are not those of its values",
              column);
    return check_runs_stats(tile, (size_t)(chunk - tile->directory->chunks), vector, column, err);
}

static enum aq_status decode_chunk(struct tile *tile, const struct aq_chunk_entry *chunk,
                                   struct aq_error *err)
{
    const struct aq_schema *schema = &tile->root->schema;
    uint32_t column = aq_schema_stored_find(schema, chunk->column_id);
    struct aq_bytes bytes = {0};
    struct aq_bytes leader = {0};
    struct aq_vector *vector = &tile->batch.columns[column];
    enum aq_status status =
        aq_store_file_read(tile->file, chunk->offset, chunk->size_bytes, &bytes, err);
    if (status >= 0 && chunk->leader != NULL)
        status = aq_store_file_read(tile->file, chunk->leader->offset, chunk->leader->size_bytes,
                                    &leader, err);
    if (status >= 0)
        status = aq_error_locate(err,
                                 aq_chunk_decode(aq_bytes_view(&bytes), aq_bytes_view(&leader),
                                                 chunk, tile->entry->row_count, &tile->batch.arena,
                                                 vector, err),
                                 tile->file->path, (int64_t)chunk->offset);
    if (status >= 0)
        status =
            check_stats(tile, chunk, vector, aq_schema_stored_column(schema, column).name, err);
    aq_bytes_deinit(&bytes);
    aq_bytes_deinit(&leader);
    return status;
}

static enum aq_status decode(struct tile *tile, bool *whole, struct aq_error *err)
{
    AQ_TRY(aq_schema_stored_batch_init(&tile->root->schema, &tile->batch));
    *whole = tile->directory->chunk_count == tile->batch.column_count;
    for (size_t i = 0; i < tile->directory->chunk_count; i++)
        AQ_TRY(decode_chunk(tile, &tile->directory->chunks[i], err));
    for (size_t i = 0; i < tile->batch.column_count; i++)
        *whole = *whole && tile->batch.columns[i].row_count == tile->entry->row_count;
    tile->batch.row_count = tile->entry->row_count;
    if (!*whole)
        fault(tile, tile->entry->directory_offset, "the tile lacks columns of its schema", "");
    return AQ_OK;
}

static void check_order(const struct tile *tile)
{
    for (size_t row = 1; row < tile->batch.row_count; row++) {
        if (aq_schema_compare_rows(&tile->root->schema, &tile->batch, row - 1, &tile->batch, row) >
            0) {
            aq_verify_fault_at(tile->verify, tile->file->path, tile->entry->directory_offset,
                               "rows %zu and %zu are out of order", row - 1, row);
            return;
        }
        if (tile->root->without_twins &&
            aq_schema_compare_unique(&tile->root->schema, &tile->batch, row - 1, &tile->batch,
                                     row) == 0) {
            aq_verify_fault_at(tile->verify, tile->file->path, tile->entry->directory_offset,
                               "rows %zu and %zu are equal in the unique columns", row - 1, row);
            return;
        }
    }
}

static enum aq_status check_run(struct tile *tile, const struct aq_run_entry *run)
{
    const struct aq_schema *schema = &tile->root->schema;
    uint64_t offset = tile->entry->directory_offset;
    if (schema->key_column != AQ_COLUMN_NONE) {
        const struct aq_vector *keys = &tile->batch.columns[schema->key_column];
        size_t last = (size_t)run->row_first + run->row_count - 1;
        struct aq_slice text;
        AQ_TRY(aq_key_text(keys, run->row_first, &tile->arena, &text));
        if (!aq_slice_equal(text, run->key) ||
            aq_vector_compare_bits(keys, run->row_first, keys, last) != 0)
            fault(tile, offset, "a run's key is not that of its rows", "");
        if (aq_slice_compare(text, tile->entry->key_min) < 0 ||
            aq_slice_compare(text, tile->entry->key_max) > 0)
            fault(tile, offset, "a run's key is outside the tile's bounds", "");
    }
    if (schema->time_column == AQ_COLUMN_NONE)
        return AQ_OK;
    const int64_t *times = tile->batch.columns[schema->time_column].ints + run->row_first;
    int64_t oldest = times[0], newest = times[0];
    for (uint32_t i = 1; i < run->row_count; i++) {
        oldest = times[i] < oldest ? times[i] : oldest;
        newest = times[i] > newest ? times[i] : newest;
    }
    if (!run->has_time || oldest != run->min_time_us || newest != run->max_time_us)
        fault(tile, offset, "a run's times are not those of its rows", "");
    if (oldest < tile->entry->min_time_us || newest > tile->entry->max_time_us)
        fault(tile, offset, "a run's times are outside the tile's bounds", "");
    return AQ_OK;
}

static enum aq_status check_runs(struct tile *tile)
{
    uint32_t next = 0;
    for (size_t i = 0; i < tile->directory->run_count; i++) {
        const struct aq_run_entry *run = &tile->directory->runs[i];
        if (run->row_first != next || run->row_count == 0 ||
            run->row_count > tile->entry->row_count - next)
            break;
        next += run->row_count;
        AQ_TRY(check_run(tile, run));
    }
    if (next != tile->entry->row_count)
        fault(tile, tile->entry->directory_offset, "runs do not cover the rows in order", "");
    return AQ_OK;
}

enum aq_status aq_verify_tile(struct aq_verify *verify, const struct aq_store_file *file,
                              const struct aq_archive_root *root, size_t tile_index,
                              const struct aq_tile_directory *directory,
                              struct aq_content_hash *content, struct aq_error *err)
{
    struct tile tile = {.verify = verify,
                        .file = file,
                        .root = root,
                        .entry = &root->tiles[tile_index],
                        .directory = directory};
    struct aq_error problem = {.offset = -1};
    struct aq_content_hash hash = {0};
    bool whole = false;
    enum aq_status status = decode(&tile, &whole, &problem);
    if (status >= 0 && whole) {
        check_order(&tile);
        status = check_runs(&tile);
        if (status >= 0)
            status = check_runs_ends(&tile, &problem);
        if (status >= 0)
            status = aq_batch_content_hash(&tile.batch, tile.batch.column_count, &hash);
        aq_content_hash_add(content, &hash);
    }
    if (status == AQ_NO_MEMORY)
        *err = problem;
    else if (status < 0)
        aq_verify_fault(verify, &problem, "tile %zu: %u rows", tile_index, tile.entry->row_count);
    aq_batch_deinit(&tile.batch);
    aq_arena_deinit(&tile.arena);
    return status == AQ_NO_MEMORY ? status : AQ_OK;
}
