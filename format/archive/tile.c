/* Encoding a tile: its column chunks, then its directory (docs/archive-format.md, "Tiles").
 *
 * Runs of one (key, series) are found first: decimals may change their scale from run to run, and the
 * directory lists them. Then every column is coded, with its statistics, by itself, so that an
 * executor may do them side by side; those that are smaller as followers of others are coded anew. The directory is put
 * together last, from what came out.
 *
 * Failures: no memory, or a column too big to be decoded within bounds. The caller gives the file up. */
#include <assert.h>
#include <stdlib.h>

#include "format/archive/archive_layout.h"
#include "format/base/checksum.h"
#include "format/encode/encode.h"
#include "format/table/key_text.h"

struct runs {
    size_t count;
    uint32_t *starts;
};

/* What the tasks of one tile share. */
struct job {
    const struct aq_archive_options *options;
    const struct aq_batch *rows;
    struct runs runs;
    struct aq_encode_scratch *scratch; /* not in use by tasks that run side by side */
    struct aq_tile_output *tile;
    struct aq_long_runs long_runs;
    struct aq_column_stats **run_stats; /* per column: of the long runs */
    uint32_t *late;                     /* per column */
    struct aq_arena *arenas;            /* per column */
    enum aq_status *statuses;           /* per column */
};

static enum aq_status find_runs(const struct aq_schema *schema, const struct aq_batch *rows,
                                struct aq_arena *arena, struct runs *runs)
{
    runs->starts = aq_arena_alloc(arena, rows->row_count * sizeof *runs->starts);
    if (runs->starts == NULL)
        return AQ_NO_MEMORY;
    runs->starts[0] = 0;
    runs->count = 1;
    for (size_t row = 1; row < rows->row_count; row++) {
        int order = aq_schema_compare_series(schema, rows, row - 1, rows, row);
        assert(order <= 0);
        if (order != 0)
            runs->starts[runs->count++] = (uint32_t)row;
    }
    return AQ_OK;
}

static size_t run_end(const struct job *job, size_t run)
{
    return run + 1 < job->runs.count ? job->runs.starts[run + 1] : job->rows->row_count;
}

/* A chunk: the size of the coded column, the column, zeros. */
static enum aq_status encode_chunk(const struct job *job, struct aq_encode_scratch *scratch,
                                   size_t column)
{
    const struct aq_vector *vector = &job->rows->columns[column];
    struct aq_bytes *out = &scratch->coded;
    struct aq_encode_options options = {.profile = job->options->fast ? AQ_PROFILE_FAST
                                                                      : AQ_PROFILE_ARCHIVE,
                                        .zstd_level = job->options->zstd_level,
                                        .run_starts = job->runs.starts,
                                        .run_count = job->runs.count,
                                        .scratch = scratch,
                                        .late = &job->late[column]};
    aq_bytes_clear(out);
    aq_bytes_u32(out, 0);
    AQ_TRY(aq_column_encode_with(vector, 0, vector->row_count, &options, out));
    aq_bytes_patch_u32(out, 0, (uint32_t)(out->size - 4));
    aq_bytes_align(out, AQ_ARCHIVE_ALIGNMENT);
    AQ_TRY(aq_bytes_status(out));
    aq_bytes_append(&job->tile->chunks[column], out->data, out->size);
    AQ_TRY(aq_bytes_status(&job->tile->chunks[column]));
    return aq_run_stats_compute(vector, &job->long_runs, &job->arenas[column],
                                &job->run_stats[column], &job->tile->stats[column]);
}

static void chunk_task(void *context, size_t column)
{
    struct job *job = context;
    struct aq_encode_scratch own = {0};
    bool alone = job->options->executor == NULL;
    job->statuses[column] = encode_chunk(job, alone ? job->scratch : &own, column);
    aq_encode_scratch_deinit(&own);
}

static enum aq_status encode_chunks(struct job *job, struct aq_error *err)
{
    const struct aq_schema *schema = job->options->schema;
    const struct aq_executor *executor = job->options->executor;
    size_t count = job->tile->chunk_count;
    if (executor != NULL) {
        executor->run(executor->context, count, chunk_task, job);
    } else {
        for (size_t i = 0; i < count; i++)
            chunk_task(job, i);
    }
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < count; i++) {
        aq_arena_absorb(&job->tile->arena, &job->arenas[i]);
        job->tile->chunk_bytes += job->tile->chunks[i].size;
        if (job->statuses[i] == AQ_OK || status != AQ_OK)
            continue;
        status = aq_error_set(err, job->statuses[i], "column \"%s\" of a tile of %zu rows: %s",
                              aq_schema_stored_column(schema, i).name, job->rows->row_count,
                              aq_status_text(job->statuses[i]));
    }
    return status;
}

/* The directory's list of runs, one vector a field, to be coded as columns. */
struct run_table {
    struct aq_vector row_counts;
    struct aq_vector keys;
    struct aq_vector min_times;
    struct aq_vector durations;
};

static void run_table_deinit(struct run_table *table)
{
    aq_vector_deinit(&table->row_counts);
    aq_vector_deinit(&table->keys);
    aq_vector_deinit(&table->min_times);
    aq_vector_deinit(&table->durations);
}

/* Widen [*min, *max] by the times of rows [first, end). */
static void find_times(const struct aq_vector *times, size_t first, size_t end, bool *known,
                       int64_t *min, int64_t *max)
{
    for (size_t row = first; row < end; row++) {
        if (aq_vector_is_null(times, row))
            continue;
        int64_t time = times->ints[row];
        *min = !*known || time < *min ? time : *min;
        *max = !*known || time > *max ? time : *max;
        *known = true;
    }
}

static enum aq_status add_run_times(const struct job *job, size_t run, struct run_table *table)
{
    uint32_t column = job->options->schema->time_column;
    if (column == AQ_COLUMN_NONE)
        return AQ_OK;
    bool known = false;
    int64_t min = 0;
    int64_t max = 0;
    find_times(&job->rows->columns[column], job->runs.starts[run], run_end(job, run), &known, &min,
               &max);
    if (!known) {
        AQ_TRY(aq_vector_append_null(&table->min_times));
        return aq_vector_append_null(&table->durations);
    }
    AQ_TRY(aq_vector_append_int(&table->min_times, min));
    return aq_vector_append_int(&table->durations, (int64_t)((uint64_t)max - (uint64_t)min));
}

static enum aq_status add_run(const struct job *job, size_t run, struct run_table *table)
{
    uint32_t key = job->options->schema->key_column;
    uint32_t first = job->runs.starts[run];
    AQ_TRY(aq_vector_append_int(&table->row_counts, (int64_t)(run_end(job, run) - first)));
    AQ_TRY(add_run_times(job, run, table));
    if (key == AQ_COLUMN_NONE)
        return AQ_OK;
    struct aq_slice text;
    AQ_TRY(aq_key_text(&job->rows->columns[key], first, &job->tile->arena, &text));
    return aq_vector_append_slice(&table->keys, text);
}

enum aq_status aq_coded_append(const struct aq_vector *vector, struct aq_encode_scratch *scratch,
                               uint32_t *late, struct aq_bytes *out)
{
    struct aq_encode_options options = {
        .profile = AQ_PROFILE_ARCHIVE, .scratch = scratch, .late = late};
    aq_bytes_clear(&scratch->coded);
    AQ_TRY(aq_column_encode_with(vector, 0, vector->row_count, &options, &scratch->coded));
    aq_bytes_slice(out, aq_bytes_view(&scratch->coded));
    return AQ_OK;
}

static enum aq_status append_coded(const struct job *job, const struct aq_vector *vector,
                                   struct aq_bytes *out)
{
    return aq_coded_append(vector, job->scratch, &job->tile->late, out);
}

static enum aq_status append_runs(const struct job *job, const struct run_table *table,
                                  struct aq_bytes *out)
{
    const struct aq_schema *schema = job->options->schema;
    aq_bytes_varint(out, job->runs.count);
    AQ_TRY(append_coded(job, &table->row_counts, out));
    if (schema->key_column != AQ_COLUMN_NONE)
        AQ_TRY(append_coded(job, &table->keys, out));
    if (schema->time_column == AQ_COLUMN_NONE)
        return AQ_OK;
    AQ_TRY(append_coded(job, &table->min_times, out));
    return append_coded(job, &table->durations, out);
}

static void append_chunk_entries(const struct job *job, struct aq_bytes *out)
{
    const struct aq_tile_output *tile = job->tile;
    for (size_t i = 0; i < tile->chunk_count; i++) {
        const struct aq_bytes *chunk = &tile->chunks[i];
        aq_bytes_varint(out, chunk->size / AQ_ARCHIVE_ALIGNMENT);
        aq_bytes_u64(out, aq_checksum(chunk->data, chunk->size));
        aq_stats_encode(job->rows->columns[i].type, &tile->stats[i], out);
    }
}

/* The root's bounds of the tile's keys. */
static enum aq_status bound_keys(const struct run_table *table, struct aq_tile_output *tile)
{
    struct aq_column_stats bounds;
    AQ_TRY(aq_stats_compute(&table->keys, 0, table->keys.row_count, &tile->arena, &bounds));
    tile->entry.key_min = bounds.min.slice;
    tile->entry.key_max = bounds.max.slice;
    if (bounds.bounds_known)
        return AQ_OK;
    /* A long key of 0xff bytes has no shorter bound above it: it bounds itself. */
    for (size_t i = 0; i < table->keys.row_count; i++) {
        if (aq_slice_compare(table->keys.slices[i], tile->entry.key_max) > 0)
            tile->entry.key_max = table->keys.slices[i];
    }
    return AQ_OK;
}

static enum aq_status encode_directory(struct job *job, struct run_table *table)
{
    struct aq_tile_output *tile = job->tile;
    struct aq_bytes *out = &tile->directory;
    const struct aq_schema *schema = job->options->schema;
    for (size_t run = 0; run < job->runs.count; run++)
        AQ_TRY(add_run(job, run, table));
    aq_bytes_u32(out, 0);
    aq_bytes_varint(out, job->rows->row_count);
    append_chunk_entries(job, out);
    AQ_TRY(append_runs(job, table, out));
    AQ_TRY(aq_run_stats_append(schema, job->run_stats, &job->long_runs, job->rows->row_count,
                               job->scratch, tile));
    AQ_TRY(
        aq_run_ends_append(schema, job->rows, job->run_stats, &job->long_runs, job->scratch, tile));
    AQ_TRY(aq_followers_append(tile));
    aq_bytes_patch_u32(out, 0, (uint32_t)(out->size - 4));
    aq_bytes_align(out, AQ_ARCHIVE_ALIGNMENT);
    AQ_TRY(aq_bytes_status(out));
    tile->entry.directory_size_bytes = (uint32_t)out->size;
    tile->entry.directory_checksum = aq_checksum(out->data, out->size);
    tile->entry.row_count = (uint32_t)job->rows->row_count;
    if (schema->time_column != AQ_COLUMN_NONE)
        find_times(&job->rows->columns[schema->time_column], 0, job->rows->row_count,
                   &tile->entry.has_time, &tile->entry.min_time_us, &tile->entry.max_time_us);
    return schema->key_column == AQ_COLUMN_NONE ? AQ_OK : bound_keys(table, tile);
}

static enum aq_status make_job(struct job *job)
{
    struct aq_tile_output *tile = job->tile;
    size_t count = aq_schema_stored_count(job->options->schema);
    tile->chunks = calloc(count, sizeof *tile->chunks);
    tile->stats = aq_arena_alloc(&tile->arena, count * sizeof *tile->stats);
    job->run_stats = aq_arena_alloc(&tile->arena, count * sizeof(struct aq_column_stats *));
    job->arenas = aq_arena_alloc(&tile->arena, count * sizeof *job->arenas);
    job->late = aq_arena_alloc(&tile->arena, count * sizeof *job->late);
    job->statuses = aq_arena_alloc(&tile->arena, count * sizeof *job->statuses);
    if (tile->chunks == NULL || tile->stats == NULL || job->run_stats == NULL ||
        job->arenas == NULL || job->late == NULL || job->statuses == NULL)
        return AQ_NO_MEMORY;
    tile->chunk_count = count;
    memset(job->late, 0, count * sizeof *job->late);
    for (size_t i = 0; i < count; i++)
        aq_arena_init(&job->arenas[i]);
    AQ_TRY(find_runs(job->options->schema, job->rows, &tile->arena, &job->runs));
    aq_long_runs_find(job->runs.starts, job->runs.count, job->rows->row_count, &job->long_runs);
    return AQ_OK;
}

enum aq_status aq_tile_encode(const struct aq_archive_options *options, const struct aq_batch *rows,
                              struct aq_encode_scratch *scratch, struct aq_tile_output *tile,
                              struct aq_error *err)
{
    struct job job = {.options = options, .rows = rows, .scratch = scratch, .tile = tile};
    if (make_job(&job) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory encoding a tile");
    AQ_TRY(encode_chunks(&job, err));
    if (!options->fast && aq_followers_encode(options, rows, job.late, tile) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory encoding a tile");
    for (size_t i = 0; i < tile->chunk_count; i++)
        tile->late |= job.late[i];
    struct run_table table;
    aq_vector_init(&table.row_counts, AQ_TYPE_BIGINT);
    aq_vector_init(&table.keys, AQ_TYPE_BYTEA);
    aq_vector_init(&table.min_times, AQ_TYPE_TIMESTAMPTZ);
    aq_vector_init(&table.durations, AQ_TYPE_BIGINT);
    enum aq_status status = encode_directory(&job, &table);
    run_table_deinit(&table);
    if (status != AQ_OK)
        return aq_error_set(err, status, "the directory of a tile: %s", aq_status_text(status));
    return AQ_OK;
}

void aq_tile_output_deinit(struct aq_tile_output *tile)
{
    for (size_t i = 0; i < tile->chunk_count; i++)
        aq_bytes_deinit(&tile->chunks[i]);
    free(tile->chunks);
    aq_bytes_deinit(&tile->directory);
    aq_arena_deinit(&tile->arena);
    *tile = (struct aq_tile_output){0};
}
