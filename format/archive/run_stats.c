/* Statistics of the long runs of a tile (docs/archive-format.md, "Statistics of runs").
 *
 * Writing: each column's statistics are computed run by run and merged into the tile's, so that no value
 * is looked at twice. The directory then gets, column by column, the runs' nulls, bounds and sums, coded
 * as columns. How long a run must be is decided last: from AQ_RUN_STATS_ROWS_MIN rows up, as long as all of
 * it takes no more than a fiftieth of the tile.
 *
 * Reading: a column's statistics are decoded when they are asked for. Those of the time, and of a key of
 * text, are not stored: the list of runs has them, of short runs, too. Nor are those of a tile that is one run.
 *
 * Failures: no memory; AQ_CORRUPT, its offset counted from the column's first byte. */
#include <assert.h>

#include "format/archive/archive_layout.h"
#include "format/encode/encode.h"

bool aq_run_stats_stored(const struct aq_schema *schema, size_t column)
{
    return column != schema->time_column &&
           (column != schema->key_column || schema->columns[column].type != AQ_TYPE_TEXT);
}

/* ---- writing ---- */

void aq_long_runs_find(const uint32_t *starts, size_t run_count, size_t row_count,
                       struct aq_long_runs *runs)
{
    runs->count = 0;
    for (size_t i = 0; i < run_count; i++) {
        size_t end = i + 1 < run_count ? starts[i + 1] : row_count;
        if (end - starts[i] < AQ_RUN_STATS_ROWS_MIN)
            continue;
        assert(runs->count < AQ_LONG_RUNS_MAX);
        runs->items[runs->count++] =
            (struct aq_long_run){.first = starts[i], .row_count = (uint32_t)(end - starts[i])};
    }
}

/* Merge the statistics of rows [first, end), which belong to no long run, into the tile's. */
static enum aq_status add_rest(const struct aq_vector *vector, size_t first, size_t end,
                               struct aq_arena *arena, struct aq_column_stats *tile)
{
    struct aq_column_stats rest;
    if (first == end)
        return AQ_OK;
    AQ_TRY(aq_stats_compute(vector, first, end - first, arena, &rest));
    aq_stats_merge(vector->type, tile, &rest);
    return AQ_OK;
}

enum aq_status aq_run_stats_compute(const struct aq_vector *vector, const struct aq_long_runs *runs,
                                    struct aq_arena *arena, struct aq_column_stats **run_stats,
                                    struct aq_column_stats *tile)
{
    struct aq_column_stats *stats = aq_arena_alloc(arena, (runs->count + 1) * sizeof *stats);
    /* Merging says of strings that were cut less than looking at all of them. */
    bool merges = aq_type_physical(vector->type) != AQ_PHYSICAL_SLICE;
    size_t done = 0;
    *run_stats = stats;
    *tile = (struct aq_column_stats){0};
    if (stats == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < runs->count; i++) {
        const struct aq_long_run *run = &runs->items[i];
        AQ_TRY(aq_stats_compute(vector, run->first, run->row_count, arena, &stats[i]));
        if (!merges)
            continue;
        AQ_TRY(add_rest(vector, done, run->first, arena, tile));
        aq_stats_merge(vector->type, tile, &stats[i]);
        done = run->first + run->row_count;
    }
    if (!merges)
        return aq_stats_compute(vector, 0, vector->row_count, arena, tile);
    return add_rest(vector, done, vector->row_count, arena, tile);
}

/* A column's statistics of the runs that are long enough, one vector a field. */
struct fields {
    struct aq_vector nulls;
    struct aq_vector least;
    struct aq_vector greatest;
    struct aq_vector sums;
    uint64_t multiple; /* sums are in units of it */
};

enum aq_status aq_stats_value_append(struct aq_vector *vector, const union aq_stats_value *value)
{
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_DOUBLE:
        return aq_vector_append_double(vector, value->real);
    case AQ_PHYSICAL_SLICE:
        return aq_vector_append_slice(vector, value->slice);
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
    return aq_vector_append_int(vector, value->integer);
}

static aq_uint128 magnitude(aq_int128 sum)
{
    return sum < 0 ? -(aq_uint128)sum : (aq_uint128)sum;
}

static aq_uint128 common_divisor(aq_uint128 a, aq_uint128 b)
{
    while (b != 0) {
        aq_uint128 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint64_t common_multiple(const struct aq_column_stats *stats,
                                const struct aq_long_runs *runs, uint32_t rows_min)
{
    aq_uint128 divisor = 0;
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->items[i].row_count >= rows_min && stats[i].sum_known)
            divisor = common_divisor(divisor, magnitude(stats[i].sum));
    }
    return divisor == 0 || divisor > UINT64_MAX ? 1 : (uint64_t)divisor;
}

static enum aq_status append_sum(struct fields *fields, const struct aq_column_stats *stats)
{
    aq_int128 quotient = stats->sum / (aq_int128)fields->multiple;
    if (!stats->sum_known || quotient < INT64_MIN || quotient > INT64_MAX)
        return aq_vector_append_null(&fields->sums);
    return aq_vector_append_int(&fields->sums, (int64_t)quotient);
}

static enum aq_status collect(const struct aq_column_stats *stats, const struct aq_long_runs *runs,
                              uint32_t rows_min, struct fields *fields)
{
    fields->multiple = common_multiple(stats, runs, rows_min);
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->items[i].row_count < rows_min)
            continue;
        AQ_TRY(aq_vector_append_int(&fields->nulls, (int64_t)stats[i].null_count));
        AQ_TRY(append_sum(fields, &stats[i]));
        if (stats[i].bounds_known && stats[i].bounds_exact) {
            AQ_TRY(aq_stats_value_append(&fields->least, &stats[i].min));
            AQ_TRY(aq_stats_value_append(&fields->greatest, &stats[i].max));
        } else {
            AQ_TRY(aq_vector_append_null(&fields->least));
            AQ_TRY(aq_vector_append_null(&fields->greatest));
        }
    }
    return AQ_OK;
}

/* The section's bytes, while they are put together. */
struct output {
    struct aq_encode_scratch *scratch;
    struct aq_bytes body;
    struct aq_bytes column;
    uint32_t late;
};

enum aq_status aq_field_append(const struct aq_vector *vector, bool empty,
                               struct aq_encode_scratch *scratch, uint32_t *late,
                               struct aq_bytes *out)
{
    if (!empty)
        return aq_coded_append(vector, scratch, late, out);
    aq_bytes_slice(out, aq_slice_make(NULL, 0));
    return AQ_OK;
}

static enum aq_status append_field(const struct aq_vector *vector, bool empty,
                                   struct output *output)
{
    return aq_field_append(vector, empty, output->scratch, &output->late, &output->column);
}

static enum aq_status append_fields(const struct fields *fields, struct output *output)
{
    bool no_nulls = true;
    bool one_value = true;
    for (size_t i = 0; i < fields->nulls.row_count; i++) {
        no_nulls = no_nulls && fields->nulls.ints[i] == 0;
        one_value =
            one_value && aq_vector_compare_bits(&fields->least, i, &fields->greatest, i) == 0;
    }
    AQ_TRY(append_field(&fields->nulls, no_nulls, output));
    AQ_TRY(append_field(&fields->least, false, output));
    AQ_TRY(append_field(&fields->greatest, one_value, output));
    if (!aq_stats_has_sum(fields->least.type))
        return AQ_OK;
    aq_bytes_varint(&output->column, fields->multiple);
    return append_field(&fields->sums, false, output);
}

static enum aq_status append_column(enum aq_type type, const struct aq_column_stats *stats,
                                    const struct aq_long_runs *runs, uint32_t rows_min,
                                    struct output *output)
{
    struct fields fields;
    aq_vector_init(&fields.nulls, AQ_TYPE_BIGINT);
    aq_vector_init(&fields.least, type);
    aq_vector_init(&fields.greatest, type);
    aq_vector_init(&fields.sums, AQ_TYPE_BIGINT);
    enum aq_status status = collect(stats, runs, rows_min, &fields);
    aq_bytes_clear(&output->column);
    if (status == AQ_OK)
        status = append_fields(&fields, output);
    if (status == AQ_OK)
        status = aq_bytes_status(&output->column);
    if (status == AQ_OK)
        aq_bytes_slice(&output->body, aq_bytes_view(&output->column));
    aq_vector_deinit(&fields.nulls);
    aq_vector_deinit(&fields.least);
    aq_vector_deinit(&fields.greatest);
    aq_vector_deinit(&fields.sums);
    return status;
}

static enum aq_status append_columns(const struct aq_schema *schema,
                                     struct aq_column_stats *const *stats,
                                     const struct aq_long_runs *runs, uint32_t rows_min,
                                     struct output *output)
{
    aq_bytes_varint(&output->body, rows_min);
    for (size_t i = 0; i < aq_schema_stored_count(schema); i++) {
        if (aq_run_stats_stored(schema, i))
            AQ_TRY(append_column(aq_schema_stored_column(schema, i).type, stats[i], runs, rows_min,
                                 output));
    }
    return aq_bytes_status(&output->body);
}

/* Whether any run has statistics of its own, which the tile's are not. */
static bool any_long(const struct aq_long_runs *runs, uint32_t rows_min, size_t row_count)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->items[i].row_count >= rows_min && runs->items[i].row_count < row_count)
            return true;
    }
    return false;
}

enum aq_status aq_run_stats_append(const struct aq_schema *schema,
                                   struct aq_column_stats *const *stats,
                                   const struct aq_long_runs *runs, size_t row_count,
                                   struct aq_encode_scratch *scratch, struct aq_tile_output *tile)
{
    struct output output = {.scratch = scratch};
    enum aq_status status = AQ_OK;
    for (uint32_t rows_min = AQ_RUN_STATS_ROWS_MIN;
         status == AQ_OK && any_long(runs, rows_min, row_count); rows_min *= 2) {
        aq_bytes_clear(&output.body);
        output.late = 0;
        status = append_columns(schema, stats, runs, rows_min, &output);
        if (status != AQ_OK || output.body.size > tile->chunk_bytes / AQ_RUN_STATS_SHARE)
            continue;
        aq_bytes_varint(&tile->directory, AQ_SECTION_RUN_STATS);
        aq_bytes_slice(&tile->directory, aq_bytes_view(&output.body));
        status = aq_bytes_status(&tile->directory);
        tile->has_sections = true;
        tile->run_stats_rows_min = rows_min;
        tile->run_stats_size = output.body.size;
        tile->late |= output.late;
        break;
    }
    aq_bytes_deinit(&output.column);
    aq_bytes_deinit(&output.body);
    return status;
}

/* ---- reading ---- */

enum aq_status aq_run_stats_read(struct aq_slice section, const struct aq_schema *schema,
                                 struct aq_arena *arena, struct aq_tile_directory *directory,
                                 bool *valid)
{
    struct aq_reader reader = aq_reader_make(section);
    uint64_t rows_min = aq_reader_varint(&reader);
    size_t long_count = 0;
    for (size_t i = 0; i < directory->run_count; i++)
        long_count += directory->runs[i].row_count >= rows_min;
    directory->run_stats = aq_arena_alloc(arena, directory->chunk_count * sizeof(struct aq_slice));
    if (directory->run_stats == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < directory->chunk_count; i++)
        directory->run_stats[i] =
            aq_run_stats_stored(schema, i) ? aq_reader_slice(&reader) : (struct aq_slice){0};
    *valid = rows_min > 0 && long_count > 0 && !reader.failed && aq_reader_left(&reader) == 0;
    directory->run_stats_rows_min = (uint32_t)rows_min;
    directory->run_stats_count = long_count;
    return AQ_OK;
}

/* What the list of runs says of the time, or of a key of text, where no row lacks it. */
static void from_list(const struct aq_tile_directory *directory, const struct aq_schema *schema,
                      size_t column, struct aq_column_stats *stats)
{
    for (size_t i = 0; i < directory->run_count; i++) {
        const struct aq_run_entry *run = &directory->runs[i];
        bool time = column == schema->time_column;
        if (directory->chunks[column].stats.null_count > 0 || (time && !run->has_time))
            continue;
        stats[i] = (struct aq_column_stats){
            .row_count = run->row_count, .bounds_known = true, .bounds_exact = true};
        if (time) {
            stats[i].min.integer = run->min_time_us;
            stats[i].max.integer = run->max_time_us;
        } else {
            stats[i].min.slice = run->key;
            stats[i].max.slice = run->key;
        }
    }
}

/* A tile's statistics are those of its only run. */
static void from_tile(const struct aq_chunk_entry *chunk, struct aq_column_stats *stats)
{
    *stats = chunk->stats;
    stats->bounds_known = stats->bounds_known && stats->bounds_exact;
}

enum aq_status aq_field_decode(struct aq_reader *reader, size_t count, struct aq_arena *arena,
                               struct aq_vector *vector, bool *empty)
{
    struct aq_error inner = {.offset = -1};
    struct aq_slice coded = aq_reader_slice(reader);
    *empty = coded.size == 0;
    if (reader->failed || *empty)
        return AQ_OK;
    enum aq_status status = aq_column_decode(coded, vector->type, count, arena, vector, &inner);
    if (status != AQ_CORRUPT)
        return status;
    aq_reader_fail(reader);
    return AQ_OK;
}

static enum aq_status decode_fields(struct aq_reader *reader, size_t count, struct aq_arena *arena,
                                    struct fields *fields)
{
    bool no_nulls, no_least, one_value, no_sums = false;
    AQ_TRY(aq_field_decode(reader, count, arena, &fields->nulls, &no_nulls));
    AQ_TRY(aq_field_decode(reader, count, arena, &fields->least, &no_least));
    AQ_TRY(aq_field_decode(reader, count, arena, &fields->greatest, &one_value));
    if (no_nulls) {
        for (size_t i = 0; i < count; i++)
            AQ_TRY(aq_vector_append_int(&fields->nulls, 0));
    }
    if (one_value && !no_least && !reader->failed) {
        for (size_t i = 0; i < count; i++)
            AQ_TRY(aq_vector_append_from(&fields->greatest, &fields->least, i, NULL));
    }
    if (aq_stats_has_sum(fields->least.type)) {
        fields->multiple = aq_reader_varint(reader);
        AQ_TRY(aq_field_decode(reader, count, arena, &fields->sums, &no_sums));
    }
    if (no_least || no_sums)
        aq_reader_fail(reader);
    return AQ_OK;
}

union aq_stats_value aq_stats_value_of(const struct aq_vector *vector, size_t row)
{
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_DOUBLE:
        return (union aq_stats_value){.real = vector->doubles[row]};
    case AQ_PHYSICAL_SLICE:
        return (union aq_stats_value){.slice = vector->slices[row]};
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
    return (union aq_stats_value){.integer = vector->ints[row]};
}

/* Statistics of the run that is number `at` among those that have them; false: they contradict each other. */
static bool take(const struct fields *fields, size_t at, uint32_t row_count,
                 struct aq_column_stats *stats)
{
    const struct aq_vector *least = &fields->least;
    uint64_t nulls = (uint64_t)fields->nulls.ints[at];
    *stats = (struct aq_column_stats){.row_count = row_count, .null_count = nulls};
    stats->bounds_known = !aq_vector_is_null(least, at);
    stats->bounds_exact = stats->bounds_known;
    if (nulls > row_count || (stats->bounds_known && nulls == row_count) ||
        aq_vector_is_null(&fields->nulls, at) ||
        aq_vector_is_null(&fields->greatest, at) == stats->bounds_known)
        return false;
    if (stats->bounds_known && aq_vector_compare(least, at, &fields->greatest, at) > 0)
        return false;
    if (stats->bounds_known) {
        stats->min = aq_stats_value_of(least, at);
        stats->max = aq_stats_value_of(&fields->greatest, at);
    }
    stats->sum_known = aq_stats_has_sum(least->type) && !aq_vector_is_null(&fields->sums, at);
    if (stats->sum_known)
        stats->sum = (aq_int128)fields->sums.ints[at] * (aq_int128)fields->multiple;
    return true;
}

static enum aq_status take_all(const struct aq_tile_directory *directory, struct aq_reader *reader,
                               struct aq_arena *arena, struct fields *fields,
                               struct aq_column_stats *stats)
{
    size_t at = 0;
    AQ_TRY(decode_fields(reader, directory->run_stats_count, arena, fields));
    for (size_t i = 0; i < directory->run_count && !reader->failed; i++) {
        if (directory->runs[i].row_count < directory->run_stats_rows_min)
            continue;
        if (!take(fields, at++, directory->runs[i].row_count, &stats[i]))
            aq_reader_fail(reader);
    }
    return AQ_OK;
}

enum aq_status aq_run_stats_decode(const struct aq_tile_directory *directory,
                                   const struct aq_schema *schema, size_t column,
                                   struct aq_arena *arena, struct aq_column_stats *stats,
                                   struct aq_error *err)
{
    struct fields fields;
    enum aq_type type = directory->chunks[column].type;
    for (size_t i = 0; i < directory->run_count; i++)
        stats[i] = (struct aq_column_stats){0};
    if (!aq_run_stats_stored(schema, column)) {
        from_list(directory, schema, column, stats);
        return AQ_OK;
    }
    if (directory->run_stats_count == 0) {
        if (directory->run_count == 1)
            from_tile(&directory->chunks[column], &stats[0]);
        return AQ_OK;
    }
    struct aq_reader reader = aq_reader_make(directory->run_stats[column]);
    aq_vector_init(&fields.nulls, AQ_TYPE_BIGINT);
    aq_vector_init(&fields.least, type);
    aq_vector_init(&fields.greatest, type);
    aq_vector_init(&fields.sums, AQ_TYPE_BIGINT);
    enum aq_status status = take_all(directory, &reader, arena, &fields, stats);
    aq_vector_deinit(&fields.nulls);
    aq_vector_deinit(&fields.least);
    aq_vector_deinit(&fields.greatest);
    aq_vector_deinit(&fields.sums);
    if (status < 0)
        return aq_error_set(err, status, "out of memory reading statistics of runs");
    return aq_reader_finish(&reader, "statistics of runs", err);
}
