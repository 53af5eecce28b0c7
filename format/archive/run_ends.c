/* First and last values of the long runs of a tile (docs/archive-format.md, "First and last of runs").
 *
 * Writing: of each long run, and column by column, the value that all rows of its earliest time have, and that of its
 * latest, coded as columns; where rows that tie in time differ it is said that none is given, so that no order of such rows
 * matters. How long a run must be is decided last, as it is for the other statistics, by the room that those leave.
 *
 * Reading: a column's values are decoded when they are asked for. Where they are the least of the run, as where a series has one
 * value, the statistics of runs have them; of the time, and of a key of text, the list of runs has them.
 *
 * Failures: no memory; AQ_CORRUPT, its offset counted from the column's first byte. */
#include <assert.h>

#include "format/archive/archive_layout.h"

/* What is said not to be given. */
enum { NO_FIRST = 1, NO_LAST = 2 };

/* Whether the section has this stored column: columns of arrival are nobody's reading. */
static bool is_stored(const struct aq_schema *schema, size_t column)
{
    return column < schema->column_count && aq_run_stats_stored(schema, column);
}

/* ---- writing ---- */

static struct aq_run_end end_of(const struct aq_vector *vector, size_t row)
{
    struct aq_run_end end = {.given = true, .null = aq_vector_is_null(vector, row)};
    if (!end.null)
        end.value = aq_stats_value_of(vector, row);
    if (!end.null && aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        end.given = end.value.slice.size <= AQ_STATS_TEXT_BYTES_MAX;
    return end;
}

void aq_run_ends_find(const struct aq_vector *vector, const struct aq_vector *times, size_t first,
                      size_t count, struct aq_run_ends *ends)
{
    size_t last = first + count - 1;
    *ends = (struct aq_run_ends){0};
    if (aq_vector_is_null(times, first) || aq_vector_is_null(times, last))
        return;
    struct aq_run_end *begin = &ends->at[AQ_END_FIRST];
    struct aq_run_end *end = &ends->at[AQ_END_LAST];
    *begin = end_of(vector, first);
    *end = end_of(vector, last);
    for (size_t row = first + 1;
         begin->given && row <= last && times->ints[row] == times->ints[first]; row++)
        begin->given = aq_vector_compare_bits(vector, row, vector, first) == 0;
    for (size_t row = last; end->given && row > first && times->ints[row - 1] == times->ints[last];
         row--)
        end->given = aq_vector_compare_bits(vector, row - 1, vector, last) == 0;
}

/* A column's values of the runs that are long enough, one vector a field. */
struct fields {
    struct aq_vector values[AQ_END_COUNT];
    struct aq_vector missing;
};

static void fields_init(enum aq_type type, struct fields *fields)
{
    aq_vector_init(&fields->values[AQ_END_FIRST], type);
    aq_vector_init(&fields->values[AQ_END_LAST], type);
    aq_vector_init(&fields->missing, AQ_TYPE_BIGINT);
}

static void fields_deinit(struct fields *fields)
{
    aq_vector_deinit(&fields->values[AQ_END_FIRST]);
    aq_vector_deinit(&fields->values[AQ_END_LAST]);
    aq_vector_deinit(&fields->missing);
}

/* What is being written. */
struct output {
    const struct aq_schema *schema;
    const struct aq_batch *rows;
    struct aq_column_stats *const *stats;
    const struct aq_long_runs *runs;
    uint32_t rows_min;
    struct aq_encode_scratch *scratch;
    struct aq_bytes body;
    struct aq_bytes column;
    uint32_t late;
};

static enum aq_status append_end(struct aq_vector *vector, const struct aq_run_end *end)
{
    return end->given && !end->null ? aq_stats_value_append(vector, &end->value)
                                    : aq_vector_append_null(vector);
}

static bool same_bits(const struct aq_vector *a, const struct aq_vector *b)
{
    bool same = true;
    for (size_t i = 0; same && i < a->row_count; i++)
        same = aq_vector_compare_bits(a, i, b, i) == 0;
    return same;
}

/* Gather a column's fields, and in `least` what statistics have; `*missing` is set if a value is not given. */
static enum aq_status collect(const struct output *output, size_t column, struct fields *fields,
                              struct aq_vector *least, bool *missing)
{
    const struct aq_vector *times = &output->rows->columns[output->schema->time_column];
    const struct aq_vector *vector = &output->rows->columns[column];
    for (size_t i = 0; i < output->runs->count; i++) {
        const struct aq_long_run *run = &output->runs->items[i];
        const struct aq_column_stats *stats = &output->stats[column][i];
        struct aq_run_ends ends;
        if (run->row_count < output->rows_min)
            continue;
        aq_run_ends_find(vector, times, run->first, run->row_count, &ends);
        int64_t none = (ends.at[AQ_END_FIRST].given ? 0 : NO_FIRST) |
                       (ends.at[AQ_END_LAST].given ? 0 : NO_LAST);
        *missing |= none != 0;
        AQ_TRY(append_end(&fields->values[AQ_END_FIRST], &ends.at[AQ_END_FIRST]));
        AQ_TRY(append_end(&fields->values[AQ_END_LAST], &ends.at[AQ_END_LAST]));
        AQ_TRY(aq_vector_append_int(&fields->missing, none));
        AQ_TRY(stats->bounds_known && stats->bounds_exact
                   ? aq_stats_value_append(least, &stats->min)
                   : aq_vector_append_null(least));
    }
    return AQ_OK;
}

static enum aq_status append_fields(const struct fields *fields, const struct aq_vector *least,
                                    bool missing, struct output *output)
{
    const struct aq_vector *first = &fields->values[AQ_END_FIRST];
    const struct aq_vector *last = &fields->values[AQ_END_LAST];
    bool one_value = same_bits(first, last);
    aq_bytes_clear(&output->column);
    if (!missing && one_value && same_bits(first, least))
        return AQ_OK;
    AQ_TRY(aq_field_append(first, false, output->scratch, &output->late, &output->column));
    AQ_TRY(aq_field_append(last, one_value, output->scratch, &output->late, &output->column));
    return aq_field_append(&fields->missing, !missing, output->scratch, &output->late,
                           &output->column);
}

static enum aq_status append_column(struct output *output, size_t column)
{
    struct fields fields;
    struct aq_vector least;
    bool missing = false;
    fields_init(output->schema->columns[column].type, &fields);
    aq_vector_init(&least, output->schema->columns[column].type);
    enum aq_status status = collect(output, column, &fields, &least, &missing);
    if (status == AQ_OK)
        status = append_fields(&fields, &least, missing, output);
    if (status == AQ_OK)
        status = aq_bytes_status(&output->column);
    if (status == AQ_OK)
        aq_bytes_slice(&output->body, aq_bytes_view(&output->column));
    aq_vector_deinit(&least);
    fields_deinit(&fields);
    return status;
}

static enum aq_status append_columns(struct output *output)
{
    aq_bytes_clear(&output->body);
    output->late = 0;
    aq_bytes_varint(&output->body, output->rows_min);
    for (size_t i = 0; i < output->schema->column_count; i++) {
        if (is_stored(output->schema, i))
            AQ_TRY(append_column(output, i));
    }
    return aq_bytes_status(&output->body);
}

static bool any_long(const struct output *output)
{
    for (size_t i = 0; i < output->runs->count; i++) {
        if (output->runs->items[i].row_count >= output->rows_min)
            return true;
    }
    return false;
}

/* The section, at the least length of runs at which it has at most `size_max` bytes. */
static enum aq_status append_section(struct output *output, size_t size_max,
                                     struct aq_tile_output *tile)
{
    for (; any_long(output); output->rows_min *= 2) {
        AQ_TRY(append_columns(output));
        if (output->body.size > size_max)
            continue;
        aq_bytes_varint(&tile->directory, AQ_SECTION_RUN_ENDS);
        aq_bytes_slice(&tile->directory, aq_bytes_view(&output->body));
        tile->has_sections = true;
        tile->late |= output->late;
        return aq_bytes_status(&tile->directory);
    }
    return AQ_OK;
}

enum aq_status aq_run_ends_append(const struct aq_schema *schema, const struct aq_batch *rows,
                                  struct aq_column_stats *const *stats,
                                  const struct aq_long_runs *runs,
                                  struct aq_encode_scratch *scratch, struct aq_tile_output *tile)
{
    struct output output = {
        .schema = schema, .rows = rows, .stats = stats, .runs = runs, .scratch = scratch};
    bool one_run = runs->count == 1 && runs->items[0].row_count == rows->row_count;
    size_t size_max = tile->chunk_bytes / AQ_RUN_STATS_SHARE;
    if (schema->time_column == AQ_COLUMN_NONE || (tile->run_stats_rows_min == 0 && !one_run))
        return AQ_OK;
    assert(tile->run_stats_size <= size_max);
    output.rows_min = one_run ? AQ_RUN_STATS_ROWS_MIN : tile->run_stats_rows_min;
    enum aq_status status = append_section(&output, size_max - tile->run_stats_size, tile);
    aq_bytes_deinit(&output.column);
    aq_bytes_deinit(&output.body);
    return status;
}

/* ---- reading ---- */

enum aq_status aq_run_ends_read(struct aq_slice section, const struct aq_schema *schema,
                                struct aq_arena *arena, struct aq_tile_directory *directory,
                                bool *valid)
{
    struct aq_reader reader = aq_reader_make(section);
    uint64_t rows_min = aq_reader_varint(&reader);
    size_t count = 0;
    bool based = directory->run_stats_count > 0 ? rows_min >= directory->run_stats_rows_min
                                                : directory->run_count == 1;
    for (size_t i = 0; i < directory->run_count; i++)
        count += directory->runs[i].row_count >= rows_min;
    directory->run_ends = aq_arena_alloc(arena, directory->chunk_count * sizeof(struct aq_slice));
    if (directory->run_ends == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < directory->chunk_count; i++)
        directory->run_ends[i] =
            is_stored(schema, i) ? aq_reader_slice(&reader) : (struct aq_slice){0};
    *valid = schema->time_column != AQ_COLUMN_NONE && rows_min > 0 && based && count > 0 &&
             !reader.failed && aq_reader_left(&reader) == 0;
    directory->run_ends_rows_min = (uint32_t)rows_min;
    directory->run_ends_count = count;
    return AQ_OK;
}

static bool is_long(const struct aq_tile_directory *directory, size_t run)
{
    return directory->runs[run].row_count >= directory->run_ends_rows_min;
}

/* First and last values that are the least of each run, as its statistics have it. `every`: of short runs, too; there first
 * is the least and last the greatest, since the time and the key are what rows are sorted by. */
static enum aq_status from_stats(const struct aq_tile_directory *directory,
                                 const struct aq_schema *schema, size_t column, bool every,
                                 struct aq_arena *arena, struct aq_run_ends *ends,
                                 struct aq_error *err)
{
    struct aq_column_stats *stats = aq_arena_alloc(arena, directory->run_count * sizeof *stats);
    if (stats == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading statistics of runs");
    AQ_TRY(aq_run_stats_decode(directory, schema, column, arena, stats, err));
    for (size_t i = 0; i < directory->run_count; i++) {
        if (stats[i].row_count == 0 || (!every && !is_long(directory, i)))
            continue;
        bool null = stats[i].null_count == stats[i].row_count;
        ends[i].at[AQ_END_FIRST] = ends[i].at[AQ_END_LAST] = (struct aq_run_end){
            .given = null || stats[i].bounds_known, .null = null, .value = stats[i].min};
        if (every)
            ends[i].at[AQ_END_LAST].value = stats[i].max;
    }
    return AQ_OK;
}

static enum aq_status decode_fields(struct aq_reader *reader, size_t count, struct aq_arena *arena,
                                    struct fields *fields)
{
    bool no_first, one_value, all_given;
    struct aq_vector *first = &fields->values[AQ_END_FIRST];
    AQ_TRY(aq_field_decode(reader, count, arena, first, &no_first));
    AQ_TRY(aq_field_decode(reader, count, arena, &fields->values[AQ_END_LAST], &one_value));
    AQ_TRY(aq_field_decode(reader, count, arena, &fields->missing, &all_given));
    if (no_first)
        aq_reader_fail(reader);
    for (size_t i = 0; i < count && !reader->failed; i++) {
        if (one_value)
            AQ_TRY(aq_vector_append_from(&fields->values[AQ_END_LAST], first, i, NULL));
        if (all_given)
            AQ_TRY(aq_vector_append_int(&fields->missing, 0));
    }
    return AQ_OK;
}

static struct aq_run_end take(const struct aq_vector *values, size_t at, bool given)
{
    struct aq_run_end end = {.given = given, .null = aq_vector_is_null(values, at)};
    if (!end.null)
        end.value = aq_stats_value_of(values, at);
    return end;
}

static enum aq_status take_all(const struct aq_tile_directory *directory, struct aq_reader *reader,
                               struct aq_arena *arena, struct fields *fields,
                               struct aq_run_ends *ends)
{
    size_t at = 0;
    AQ_TRY(decode_fields(reader, directory->run_ends_count, arena, fields));
    for (size_t i = 0; i < directory->run_count && !reader->failed; i++) {
        if (!is_long(directory, i))
            continue;
        uint64_t missing = (uint64_t)fields->missing.ints[at];
        if (missing > (NO_FIRST | NO_LAST) || aq_vector_is_null(&fields->missing, at))
            aq_reader_fail(reader);
        ends[i].at[AQ_END_FIRST] =
            take(&fields->values[AQ_END_FIRST], at, (missing & NO_FIRST) == 0);
        ends[i].at[AQ_END_LAST] = take(&fields->values[AQ_END_LAST], at, (missing & NO_LAST) == 0);
        at++;
    }
    return AQ_OK;
}

enum aq_status aq_run_ends_decode(const struct aq_tile_directory *directory,
                                  const struct aq_schema *schema, size_t column,
                                  struct aq_arena *arena, struct aq_run_ends *ends,
                                  struct aq_error *err)
{
    struct fields fields;
    for (size_t i = 0; i < directory->run_count; i++)
        ends[i] = (struct aq_run_ends){0};
    if (!aq_run_stats_stored(schema, column))
        return from_stats(directory, schema, column, true, arena, ends, err);
    if (directory->run_ends_count == 0 || !is_stored(schema, column))
        return AQ_OK;
    if (directory->run_ends[column].size == 0)
        return from_stats(directory, schema, column, false, arena, ends, err);
    struct aq_reader reader = aq_reader_make(directory->run_ends[column]);
    fields_init(directory->chunks[column].type, &fields);
    enum aq_status status = take_all(directory, &reader, arena, &fields, ends);
    fields_deinit(&fields);
    if (status < 0)
        return aq_error_set(err, status, "out of memory reading first and last values of runs");
    return aq_reader_finish(&reader, "first and last values of runs", err);
}
