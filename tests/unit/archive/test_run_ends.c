/* First and last values of runs: what a directory says is what the rows of the earliest and of the latest time have, for every
 * type, and nothing where these differ; and what is not well-formed is refused. */
#include "tests/unit/archive/run_fixture.h"
#include "tests/unit/format/golden.h"

static bool same(const struct aq_vector *vector, size_t a, size_t b)
{
    bool null = aq_vector_is_null(vector, a);
    if (null || aq_vector_is_null(vector, b))
        return null && aq_vector_is_null(vector, b);
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        return aq_slice_equal(vector->slices[a], vector->slices[b]);
    return memcmp(&vector->ints[a], &vector->ints[b], sizeof(int64_t)) == 0; /* or a double's */
}

/* The row whose value is that of all rows of this time in the run; SIZE_MAX: there is none such. */
static size_t row_of(const struct aq_batch *rows, const struct aq_run_entry *run, size_t column,
                     int64_t time)
{
    const struct aq_vector *vector = &rows->columns[column];
    size_t found = SIZE_MAX;
    for (size_t row = run->row_first; row < (size_t)run->row_first + run->row_count; row++) {
        if (rows->columns[1].ints[row] != time)
            continue;
        if (found != SIZE_MAX && !same(vector, found, row))
            return SIZE_MAX;
        found = row;
    }
    cr_assert_neq(found, SIZE_MAX);
    bool is_long = aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE &&
                   !aq_vector_is_null(vector, found) && vector->slices[found].size > 64;
    return is_long ? SIZE_MAX : found;
}

static size_t check_end(const struct aq_batch *rows, const struct aq_run_entry *run, size_t column,
                        int64_t time, const struct aq_run_end *said)
{
    const struct aq_vector *vector = &rows->columns[column];
    size_t row = row_of(rows, run, column, time);
    if (!said->given) { /* or the first of the shortcut's nulls, where all others are long */
        cr_assert(row == SIZE_MAX || aq_vector_is_null(vector, row), "column %zu", column);
        return 0;
    }
    cr_assert_neq(row, SIZE_MAX, "column %zu", column);
    cr_assert_eq(said->null, aq_vector_is_null(vector, row));
    if (said->null)
        return 1;
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        cr_assert(aq_slice_equal(said->value.slice, vector->slices[row]));
    else
        cr_assert_eq(said->value.integer, vector->ints[row], "column %zu", column);
    return 1;
}

/* The number of values that are given for a column's runs. */
static size_t check_ends(struct opened *opened, const struct aq_batch *rows, size_t column)
{
    const struct aq_tile_directory *directory = &opened->directory;
    struct aq_run_ends *said = calloc(directory->run_count, sizeof *said);
    struct aq_error err = {0};
    size_t count = 0;
    cr_assert_eq(
        aq_run_ends_decode(directory, &opened->root.schema, column, &opened->arena, said, &err),
        AQ_OK, "%s", err.message);
    for (size_t i = 0; i < directory->run_count; i++) {
        const struct aq_run_entry *run = &directory->runs[i];
        bool said_of = column < 2 || run->row_count >= directory->run_ends_rows_min;
        if (!said_of) {
            cr_assert(!said[i].at[AQ_END_FIRST].given && !said[i].at[AQ_END_LAST].given);
            continue;
        }
        count += check_end(rows, run, column, run->min_time_us, &said[i].at[AQ_END_FIRST]);
        count += check_end(rows, run, column, run->max_time_us, &said[i].at[AQ_END_LAST]);
    }
    free(said);
    return count;
}

/* Runs of these lengths, and all that is said of them; the share of values that are given. */
static double write_and_check(const size_t *lengths, size_t run_count)
{
    struct aq_schema schema = archive_schema(columns, COLUMN_COUNT);
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_content_hash content;
    struct opened opened = {0};
    struct aq_error err = {0};
    size_t given = 0;
    fill(&rows, &schema, lengths, run_count);
    write_archive(&schema, &rows, 1, NULL, &file, NULL, &content);
    cr_assert_eq(open_file(&file, &opened, &err), AQ_OK, "%s", err.message);
    cr_assert_gt(opened.directory.run_ends_count, 0);
    cr_assert_eq(check_ends(&opened, &rows, 0), 2 * run_count); /* short runs, too */
    cr_assert_eq(check_ends(&opened, &rows, 1), 2 * run_count);
    for (size_t c = 2; c < COLUMN_COUNT; c++)
        given += check_ends(&opened, &rows, c);
    size_t all = 2 * (COLUMN_COUNT - 2) * opened.directory.run_ends_count;
    double share = (double)given / (double)all;
    uint64_t chunks = opened.root.tiles[0].directory_offset - 64;
    cr_assert_leq(opened.root.tiles[0].directory_size_bytes, 1000 + chunks / AQ_RUN_STATS_SHARE);
    aq_arena_deinit(&opened.arena);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
    return share;
}

Test(run_ends, are_what_rows_of_the_first_and_last_time_have)
{
    static const size_t lengths[] = {1024, 5, 4000, 1023, 3000, 2048};
    static const size_t one_run[] = {5000};
    for (uint64_t seed = 1; seed < 8; seed++) {
        state = seed;
        rows_an_hour = 1;
        cr_expect_gt(write_and_check(lengths, 6), 0.9);
        cr_expect_gt(write_and_check(one_run, 1), 0.8); /* it has a section of its own */
        rows_an_hour = 3; /* ties: of columns whose rows differ there, nothing is given */
        double share = write_and_check(lengths, 6);
        cr_expect(share > 0.2 && share < 0.9, "%g", share);
        rows_an_hour = 100000;
        write_and_check(lengths, 6);
    }
    rows_an_hour = 1;
}

/* Where a row lacks a time, nobody knows which comes first. */
Test(run_ends, of_rows_without_a_time_nothing_is_given)
{
    struct aq_vector times, values;
    struct aq_run_ends ends;
    aq_vector_init(&times, AQ_TYPE_TIMESTAMPTZ);
    aq_vector_init(&values, AQ_TYPE_BIGINT);
    for (int64_t i = 0; i < 4; i++) {
        cr_assert_eq(i == 3 ? aq_vector_append_null(&times) : aq_vector_append_int(&times, i),
                     AQ_OK);
        cr_assert_eq(aq_vector_append_int(&values, i), AQ_OK);
    }
    aq_run_ends_find(&values, &times, 0, 3, &ends);
    cr_assert(ends.at[AQ_END_FIRST].given && ends.at[AQ_END_LAST].given);
    cr_assert_eq(ends.at[AQ_END_LAST].value.integer, 2);
    aq_run_ends_find(&values, &times, 0, 4, &ends);
    cr_assert(!ends.at[AQ_END_FIRST].given && !ends.at[AQ_END_LAST].given);
    aq_vector_deinit(&times);
    aq_vector_deinit(&values);
}

Test(run_ends, golden)
{
    struct aq_bytes file = golden_read("v1/whole/archive-run-ends.bin");
    struct aq_batch rows;
    struct opened opened = {0};
    struct aq_run_ends ends[3];
    struct aq_error err = {0};
    cr_assert_eq(open_file(&file, &opened, &err), AQ_OK);
    cr_assert_eq(aq_schema_stored_batch_init(&opened.root.schema, &rows), AQ_OK);
    cr_assert_eq(read_tile(aq_bytes_view(&file), &opened.root, &opened.root.tiles[0], &rows, &err),
                 AQ_OK);
    cr_assert_eq(opened.directory.run_ends_rows_min, 1024);
    cr_assert_eq(opened.directory.run_ends_count, 2);
    cr_assert_eq(check_ends(&opened, &rows, 2), 3);
    cr_assert_eq(check_ends(&opened, &rows, 3), 4);
    cr_assert_eq(opened.directory.run_ends[3].size, 0);
    cr_assert_eq(
        aq_run_ends_decode(&opened.directory, &opened.root.schema, 2, &opened.arena, ends, &err),
        AQ_OK);
    cr_expect(ends[0].at[AQ_END_FIRST].given && ends[0].at[AQ_END_FIRST].null);
    cr_expect_eq(ends[0].at[AQ_END_LAST].value.real, rows.columns[2].doubles[1099]);
    cr_expect_not(ends[1].at[AQ_END_FIRST].given);
    cr_expect_eq(ends[2].at[AQ_END_FIRST].value.real, rows.columns[2].doubles[1110]);
    cr_expect_not(ends[2].at[AQ_END_LAST].given);
    aq_arena_deinit(&opened.arena);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

/* A section in place of the golden file's, read as a directory's. */
static enum aq_status read_section(struct opened *opened, const struct aq_bytes *section)
{
    struct aq_run_ends ends[3];
    struct aq_error err = {0};
    struct aq_tile_directory directory = opened->directory;
    bool valid;
    cr_assert_eq(aq_run_ends_read(aq_bytes_view(section), &opened->root.schema, &opened->arena,
                                  &directory, &valid),
                 AQ_OK);
    if (!valid)
        return AQ_CORRUPT;
    return aq_run_ends_decode(&directory, &opened->root.schema, 2, &opened->arena, ends, &err);
}

/* Of column 3 nothing but that it is as its least. */
static void put_section(uint64_t rows_min, struct aq_slice column, struct aq_bytes *section)
{
    aq_bytes_varint(section, rows_min);
    aq_bytes_slice(section, column);
    aq_bytes_slice(section, aq_slice_make(NULL, 0));
}

static enum aq_status read_of(struct opened *opened, uint64_t rows_min, struct aq_slice column)
{
    struct aq_bytes section = {0};
    put_section(rows_min, column, &section);
    enum aq_status status = read_section(opened, &section);
    aq_bytes_deinit(&section);
    return status;
}

Test(run_ends, no_section_is_believed)
{
    struct aq_bytes file = golden_read("v1/whole/archive-run-ends.bin");
    struct aq_bytes section = {0};
    struct opened opened = {0};
    struct aq_error err = {0};
    cr_assert_eq(open_file(&file, &opened, &err), AQ_OK);
    struct aq_slice own = opened.directory.run_ends[2];
    cr_assert_eq(read_of(&opened, 1024, own), AQ_OK);
    cr_assert_eq(read_of(&opened, 1023, own), AQ_CORRUPT, "below those that have statistics");
    cr_assert_eq(read_of(&opened, 1101, own), AQ_CORRUPT, "of no run");
    cr_assert_eq(read_of(&opened, UINT64_C(1) << 32, own), AQ_CORRUPT);
    cr_assert_eq(read_of(&opened, 1024, aq_slice_make(NULL, 0)), AQ_OK, "the least of each");
    put_section(1024, own, &section);
    expect_mangled_refused(read_section, &opened, &section);
    struct aq_tile_directory alone =
        opened.directory; /* of several runs, without their statistics */
    alone.run_stats_count = 0;
    bool valid = true;
    cr_assert_eq(aq_run_ends_read(aq_bytes_view(&section), &opened.root.schema, &opened.arena,
                                  &alone, &valid),
                 AQ_OK);
    cr_assert_not(valid);
    aq_arena_deinit(&opened.arena);
    aq_bytes_deinit(&file);
    aq_bytes_deinit(&section);
}
