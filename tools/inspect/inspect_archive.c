/* An archive, from its own bytes: why its tiles have the shape they have, its columns over the whole file, its tiles;
 * and, when asked to go deeper, each run, each chunk with how it is encoded, its nodes and vectors. For programs: all of it
 * but these, unless they are asked for. */
#include <stdio.h>
#include <stdlib.h>

#include "compaction/merge/write/tile_cut.h"
#include "tools/inspect/inspect.h"
#include "tools/output/output.h"
#include "tools/output/text/human.h"

static const struct aq_result_column column_columns[] = {
    {"column", AQ_TYPE_TEXT},
    {"type", AQ_TYPE_TEXT},
    {"bytes", AQ_TYPE_BIGINT},
    {"share", AQ_TYPE_TEXT},
    {"bits_per_value", AQ_TYPE_DOUBLE},
    {"nulls", AQ_TYPE_BIGINT},
    {"min", AQ_TYPE_TEXT},
    {"max", AQ_TYPE_TEXT},
    {"largest_encoding", AQ_TYPE_TEXT},
};

static const struct aq_result_column tile_columns[] = {
    {"tile", AQ_TYPE_BIGINT},        {"rows", AQ_TYPE_BIGINT},  {"runs", AQ_TYPE_BIGINT},
    {"long_runs", AQ_TYPE_BIGINT},   {"bytes", AQ_TYPE_BIGINT}, {"bytes_per_row", AQ_TYPE_DOUBLE},
    {"key_min", AQ_TYPE_TEXT},       {"key_max", AQ_TYPE_TEXT}, {"oldest", AQ_TYPE_TIMESTAMPTZ},
    {"newest", AQ_TYPE_TIMESTAMPTZ},
};

static const struct aq_result_column run_columns[] = {
    {"tile", AQ_TYPE_BIGINT}, {"run", AQ_TYPE_BIGINT},         {"key", AQ_TYPE_TEXT},
    {"rows", AQ_TYPE_BIGINT}, {"oldest", AQ_TYPE_TIMESTAMPTZ}, {"newest", AQ_TYPE_TIMESTAMPTZ},
};

static const struct aq_result_column chunk_columns[] = {
    {"tile", AQ_TYPE_BIGINT},   {"column", AQ_TYPE_TEXT},  {"type", AQ_TYPE_TEXT},
    {"offset", AQ_TYPE_BIGINT}, {"bytes", AQ_TYPE_BIGINT}, {"bytes_per_row", AQ_TYPE_DOUBLE},
    {"nulls", AQ_TYPE_BIGINT},  {"min", AQ_TYPE_TEXT},     {"max", AQ_TYPE_TEXT},
    {"encoding", AQ_TYPE_TEXT},
};

#define CODED_BYTES_MAX 512 /* of what says how */
#define ENCODING_BYTES_MAX (CODED_BYTES_MAX + AQ_NAME_BYTES_MAX + 16)

/* A column over all tiles. */
struct column {
    uint64_t bytes;
    uint32_t bytes_largest; /* of the chunk whose encoding stands for the column's */
    char encoding[ENCODING_BYTES_MAX];
};

struct walk {
    const struct aq_store_file *file;
    struct aq_archive_view view;
    struct column *columns; /* one a stored column */
    size_t run_count;
    struct aq_rows column_rows;
    struct aq_rows tiles;
    struct aq_rows runs;
    struct aq_rows chunks;
    struct aq_inspect_coding *coding; /* NULL: not asked for */
};

static double per_row(uint64_t bytes, uint64_t row_count)
{
    return (double)bytes / (double)(row_count > 0 ? row_count : 1);
}

/* One line on how a chunk is encoded: `follows NAME (...)` where it does. */
static enum aq_status describe(const struct walk *walk, const struct aq_bytes *bytes,
                               const struct aq_chunk_entry *chunk, char text[ENCODING_BYTES_MAX],
                               struct aq_error *err)
{
    char own[CODED_BYTES_MAX] = "";
    const struct aq_schema *schema = &walk->view.root.schema;
    enum aq_status status = aq_chunk_describe(aq_bytes_view(bytes), chunk, own, sizeof(own), err);
    if (chunk->leader == NULL) {
        snprintf(text, ENCODING_BYTES_MAX, "%s", own);
    } else {
        uint32_t leader = aq_schema_stored_find(schema, chunk->leader->column_id);
        snprintf(text, ENCODING_BYTES_MAX, "follows %s (%s)",
                 aq_schema_stored_column(schema, leader).name, own);
    }
    return status;
}

/* What a chunk's bytes say: how it is encoded, and its nodes and vectors if they are asked for. */
static enum aq_status read_chunk(const struct walk *walk, size_t tile, uint32_t row_count,
                                 const struct aq_chunk_entry *chunk, char text[ENCODING_BYTES_MAX],
                                 struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    const struct aq_schema *schema = &walk->view.root.schema;
    uint32_t index = aq_schema_stored_find(schema, chunk->column_id);
    enum aq_status status =
        aq_store_file_read(walk->file, chunk->offset, chunk->size_bytes, &bytes, err);
    if (status >= 0) {
        struct aq_inspect_chunk part = {.tile = tile,
                                        .column = aq_schema_stored_column(schema, index).name,
                                        .bytes = aq_bytes_view(&bytes),
                                        .entry = chunk,
                                        .row_count = row_count};
        status = describe(walk, &bytes, chunk, text, err);
        if (status >= 0 && walk->coding != NULL)
            status = aq_inspect_coding_add(walk->coding, &part, err);
        status = aq_error_locate(err, status, walk->file->path, (int64_t)chunk->offset);
    }
    aq_bytes_deinit(&bytes);
    return status;
}

static enum aq_status add_bounds(struct aq_rows *rows, enum aq_type type,
                                 const struct aq_column_stats *stats, struct aq_error *err)
{
    if (aq_inspect_bound(rows, type, stats->bounds_known, &stats->min) != AQ_OK ||
        aq_inspect_bound(rows, type, stats->bounds_known, &stats->max) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to inspect an archive");
    return AQ_OK;
}

static enum aq_status add_chunk(struct walk *walk, size_t tile, uint32_t row_count,
                                const struct aq_chunk_entry *chunk, struct aq_error *err)
{
    char encoding[ENCODING_BYTES_MAX] = "";
    const struct aq_schema *schema = &walk->view.root.schema;
    uint32_t index = aq_schema_stored_find(schema, chunk->column_id);
    struct column *column = &walk->columns[index];
    const struct aq_column_stats *stats = &chunk->stats;
    enum aq_status status = read_chunk(walk, tile, row_count, chunk, encoding, err);
    column->bytes += chunk->size_bytes;
    if (chunk->size_bytes > column->bytes_largest) {
        column->bytes_largest = chunk->size_bytes;
        snprintf(column->encoding, sizeof(column->encoding), "%s", encoding);
    }
    aq_rows_count(&walk->chunks, tile);
    aq_rows_text(&walk->chunks, aq_schema_stored_column(schema, index).name);
    aq_rows_text(&walk->chunks, aq_type_name(chunk->type));
    aq_rows_count(&walk->chunks, chunk->offset);
    aq_rows_count(&walk->chunks, chunk->size_bytes);
    aq_rows_real(&walk->chunks, per_row(chunk->size_bytes, row_count));
    aq_rows_count(&walk->chunks, stats->null_count);
    if (status >= 0)
        status = add_bounds(&walk->chunks, chunk->type, stats, err);
    aq_rows_text(&walk->chunks, encoding);
    return status;
}

/* The number of runs with statistics of their own. */
static size_t add_runs(struct walk *walk, size_t tile, const struct aq_tile_directory *directory)
{
    for (size_t i = 0; i < directory->run_count; i++) {
        const struct aq_run_entry *run = &directory->runs[i];
        aq_rows_count(&walk->runs, tile);
        aq_rows_count(&walk->runs, i);
        aq_rows_slice(&walk->runs, run->key);
        aq_rows_count(&walk->runs, run->row_count);
        aq_rows_time(&walk->runs, run->has_time, run->min_time_us);
        aq_rows_time(&walk->runs, run->has_time, run->max_time_us);
    }
    walk->run_count += directory->run_count;
    return directory->run_stats_count;
}

static enum aq_status add_tile(struct walk *walk, size_t tile, struct aq_error *err)
{
    const struct aq_tile_entry *entry = &walk->view.root.tiles[tile];
    struct aq_tile_directory directory = {0};
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    uint64_t size = entry->directory_size_bytes;
    enum aq_status status =
        aq_archive_file_directory(walk->file, &walk->view, tile, &bytes, &arena, &directory, err);
    for (size_t i = 0; status >= 0 && i < directory.chunk_count; i++) {
        size += directory.chunks[i].size_bytes;
        status = add_chunk(walk, tile, entry->row_count, &directory.chunks[i], err);
    }
    aq_rows_count(&walk->tiles, tile);
    aq_rows_count(&walk->tiles, entry->row_count);
    aq_rows_count(&walk->tiles, status >= 0 ? directory.run_count : 0);
    aq_rows_count(&walk->tiles, status >= 0 ? add_runs(walk, tile, &directory) : 0);
    aq_rows_count(&walk->tiles, size);
    aq_rows_real(&walk->tiles, per_row(size, entry->row_count));
    aq_rows_slice(&walk->tiles, entry->key_min);
    aq_rows_slice(&walk->tiles, entry->key_max);
    aq_rows_time(&walk->tiles, entry->has_time, entry->min_time_us);
    aq_rows_time(&walk->tiles, entry->has_time, entry->max_time_us);
    aq_bytes_deinit(&bytes);
    aq_arena_deinit(&arena);
    return status;
}

static enum aq_status add_columns(struct walk *walk, struct aq_error *err)
{
    const struct aq_archive_root *root = &walk->view.root;
    struct aq_rows *rows = &walk->column_rows;
    for (size_t i = 0; i < aq_schema_stored_count(&root->schema); i++) {
        struct aq_column declared = aq_schema_stored_column(&root->schema, i);
        const struct column *column = &walk->columns[i];
        const struct aq_column_stats *stats = &root->stats[i];
        char share[32];
        snprintf(share, sizeof(share), "%.1f %%",
                 100.0 * (double)column->bytes / (double)walk->file->size_bytes);
        aq_rows_text(rows, declared.name);
        aq_rows_text(rows, aq_type_name(declared.type));
        aq_rows_count(rows, column->bytes);
        aq_rows_text(rows, share);
        aq_rows_real(rows, 8 * per_row(column->bytes, root->row_count));
        aq_rows_count(rows, stats->null_count);
        AQ_TRY(add_bounds(rows, declared.type, stats, err));
        aq_rows_text(rows, column->encoding);
    }
    return AQ_OK;
}

/* Why the tiles are as they are: how many rows a series has decides how many share one, and how they are cut. */
static const char *shape_reason(uint64_t rows_of_tile, double runs, size_t tile_count)
{
    if (rows_of_tile < AQ_TILE_ROWS_MAX / 2)
        return "few rows, so that little is cut";
    if (runs < 1.5)
        return tile_count == 1 ? "one series, and all of it in a tile"
                               : "one series fills a tile, and is cut by time";
    if (runs > AQ_TILE_RUNS_MAX)
        return "short series fill a tile, up to 65,536 rows, each with all of its time";
    return "neighbours share a tile, up to 65,536 rows, and what is more is cut by time";
}

static void explain_shape(struct aq_inspect *inspect, const struct walk *walk)
{
    const struct aq_archive_root *root = &walk->view.root;
    char text[256];
    uint64_t rows_of_tile = root->row_count / (root->tile_count > 0 ? root->tile_count : 1);
    double runs = (double)walk->run_count / (double)(root->tile_count > 0 ? root->tile_count : 1);
    double rows_of_run =
        (double)root->row_count / (double)(walk->run_count > 0 ? walk->run_count : 1);
    snprintf(text, sizeof(text),
             "%zu x %llu rows: %.1f runs of one (key, series) side by side, %.0f rows each; %s",
             root->tile_count, (unsigned long long)rows_of_tile, runs, rows_of_run,
             shape_reason(rows_of_tile, runs, root->tile_count));
    aq_inspect_text(inspect, "shape", text);
}

/* What is not a column: statistics, lists of runs, root; what columns are found and left out by. */
static void tell_rest(struct aq_inspect *inspect, const struct walk *walk)
{
    uint64_t size = walk->file->size_bytes;
    uint64_t rest = size;
    char bytes[AQ_HUMAN_BYTES_MAX];
    char text[128];
    for (size_t i = 0; i < aq_schema_stored_count(&walk->view.root.schema); i++)
        rest -= walk->columns[i].bytes;
    if (inspect->json) {
        aq_inspect_count(inspect, "bytes_beside_columns", rest);
        return;
    }
    snprintf(text, sizeof(text), "%s, %.1f %%: statistics, runs, directories, root",
             aq_human_size(rest, bytes), 100.0 * (double)rest / (double)size);
    aq_inspect_text(inspect, "beside columns", text);
}

static enum aq_status print(struct aq_inspect *inspect, struct walk *walk, struct aq_error *err)
{
    const struct aq_archive_root *root = &walk->view.root;
    aq_inspect_text(inspect, "archive", walk->file->path);
    aq_inspect_text(inspect, "dataset", root->schema.dataset);
    aq_inspect_count(inspect, "rows", root->row_count);
    aq_inspect_size(inspect, "bytes", walk->file->size_bytes);
    tell_rest(inspect, walk);
    explain_shape(inspect, walk);
    AQ_TRY(aq_inspect_rows(inspect, "columns", &walk->column_rows, err));
    AQ_TRY(aq_inspect_rows(inspect, "tiles", &walk->tiles, err));
    if (!inspect->json && !inspect->vectors)
        return AQ_OK;
    AQ_TRY(aq_inspect_rows(inspect, "runs", &walk->runs, err));
    AQ_TRY(aq_inspect_rows(inspect, "chunks", &walk->chunks, err));
    return walk->coding != NULL ? aq_inspect_coding_print(inspect, walk->coding, err) : AQ_OK;
}

#define INIT(rows, columns) aq_rows_init((rows), (columns), sizeof(columns) / sizeof((columns)[0]))

enum aq_status aq_inspect_archive(struct aq_inspect *inspect, const struct aq_store_file *file,
                                  struct aq_error *err)
{
    struct aq_inspect_coding coding = {0};
    struct walk walk = {.file = file, .coding = inspect->vectors ? &coding : NULL};
    const struct aq_archive_root *root = &walk.view.root;
    enum aq_status status = aq_archive_file_root(file, &walk.view, err);
    INIT(&walk.column_rows, column_columns);
    INIT(&walk.tiles, tile_columns);
    INIT(&walk.runs, run_columns);
    INIT(&walk.chunks, chunk_columns);
    aq_inspect_coding_init(&coding, inspect);
    if (status >= 0) {
        walk.columns = calloc(aq_schema_stored_count(&root->schema) + 1, sizeof(*walk.columns));
        if (walk.columns == NULL)
            status = aq_error_set(err, AQ_NO_MEMORY, "no memory to inspect an archive");
    }
    for (size_t tile = 0; status >= 0 && tile < root->tile_count; tile++)
        status = add_tile(&walk, tile, err);
    if (status >= 0)
        status = add_columns(&walk, err);
    if (status >= 0)
        status = print(inspect, &walk, err);
    free(walk.columns);
    aq_rows_deinit(&walk.column_rows);
    aq_rows_deinit(&walk.tiles);
    aq_rows_deinit(&walk.runs);
    aq_rows_deinit(&walk.chunks);
    aq_inspect_coding_deinit(&coding);
    aq_archive_view_deinit(&walk.view);
    return status;
}
