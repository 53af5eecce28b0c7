/* Statistics of runs: what a directory says of each run is what its rows give, for every type; and what is not
 * well-formed is refused. */
#include "format/base/checksum.h"
#include "tests/unit/archive/run_fixture.h"
#include "tests/unit/format/golden.h"

/* What is said of a column's runs against what their rows give; the number of runs of which something is. */
static size_t check_column(struct opened *opened, const struct aq_batch *rows, size_t column)
{
    const struct aq_tile_directory *directory = &opened->directory;
    const struct aq_vector *vector = &rows->columns[column];
    struct aq_column_stats *said = calloc(directory->run_count, sizeof *said);
    struct aq_error err = {0};
    size_t count = 0;
    cr_assert_eq(
        aq_run_stats_decode(directory, &opened->root.schema, column, &opened->arena, said, &err),
        AQ_OK, "%s", err.message);
    for (size_t i = 0; i < directory->run_count; i++) {
        const struct aq_run_entry *run = &directory->runs[i];
        struct aq_column_stats found;
        struct aq_bytes bytes[2] = {0};
        if (said[i].row_count == 0)
            continue;
        count++;
        cr_assert_eq(
            aq_stats_compute(vector, run->row_first, run->row_count, &opened->arena, &found),
            AQ_OK);
        if (!found.bounds_exact) { /* long strings are left out */
            cr_assert_not(said[i].bounds_known);
            found.bounds_known = false;
        }
        if (column == 1)
            found.sum_known = false;
        if (!said[i].sum_known) /* more than 63 bits */
            found.sum_known = false;
        aq_stats_encode(vector->type, &said[i], &bytes[0]);
        aq_stats_encode(vector->type, &found, &bytes[1]);
        cr_assert(aq_slice_equal(aq_bytes_view(&bytes[0]), aq_bytes_view(&bytes[1])),
                  "column %zu of run %zu", column, i);
        aq_bytes_deinit(&bytes[0]);
        aq_bytes_deinit(&bytes[1]);
    }
    free(said);
    return count;
}

Test(run_stats, are_what_the_rows_of_each_run_give)
{
    static const size_t lengths[] = {1024, 5, 4000, 1023, 3000, 2048};
    struct aq_schema schema = archive_schema(columns, COLUMN_COUNT);
    size_t with = 0;
    for (state = 1; state < 12; state = state % 100 + 1) {
        uint64_t seed = state;
        struct aq_batch rows;
        struct aq_bytes file = {0};
        struct aq_content_hash content;
        struct opened opened = {0};
        struct aq_error err = {0};
        fill(&rows, &schema, lengths, 6);
        write_archive(&schema, &rows, 1, NULL, &file, NULL, &content);
        cr_assert_eq(open_file(&file, &opened, &err), AQ_OK, "%s", err.message);
        cr_assert_eq(check_column(&opened, &rows, 0), 6); /* key and time: short runs, too */
        cr_assert_eq(check_column(&opened, &rows, 1), 6);
        for (size_t c = 2; c < COLUMN_COUNT; c++) {
            size_t count = check_column(&opened, &rows, c);
            cr_assert_eq(count, opened.directory.run_stats_count);
            with += count;
        }
        uint64_t chunks = opened.root.tiles[0].directory_offset - 64;
        cr_assert_leq(opened.root.tiles[0].directory_size_bytes, 600 + chunks / 33);
        aq_arena_deinit(&opened.arena);
        aq_batch_deinit(&rows);
        aq_bytes_deinit(&file);
        state = seed;
    }
    cr_assert_gt(with, 100);
}

static void patch_root(struct aq_bytes *file, uint32_t incompatible)
{
    uint64_t offset = aq_load_u64(file->data + file->size - AQ_ARCHIVE_TRAILER_BYTES + 24);
    size_t size = file->size - AQ_ARCHIVE_TRAILER_BYTES - (size_t)offset;
    aq_bytes_patch_u32(file, (size_t)offset + AQ_PREAMBLE_AT_INCOMPATIBLE, incompatible);
    aq_bytes_patch_u64(file, (size_t)offset + size - 8, aq_checksum(file->data + offset, size - 8));
}

/* The worked example of docs/archive-format.md: two long runs and a short one. */
static void golden_rows(struct aq_schema *schema, struct aq_batch *rows)
{
    *schema = archive_schema(columns, 3);
    state = 1;
    cr_assert_eq(aq_schema_batch_init(schema, false, rows), AQ_OK);
    for (size_t i = 0; i < 2210; i++) {
        struct aq_slice city = aq_slice_of(i < 1100 ? "hanoi" : i < 1110 ? "hoi an" : "hue");
        int64_t hour = 15706 * 24 + (int64_t)(i < 1100 ? i : i < 1110 ? i - 1100 : i - 1110);
        double value = (double)(next() % 2000) / 10;
        cr_assert_eq(aq_vector_append_slice(&rows->columns[0], city), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows->columns[1], hour * AQ_US_PER_HOUR), AQ_OK);
        cr_assert_eq(i == 1500 ? aq_vector_append_null(&rows->columns[2])
                               : aq_vector_append_double(&rows->columns[2], value),
                     AQ_OK);
        rows->row_count++;
    }
}

static void write_golden(const struct aq_schema *schema, const struct aq_batch *rows,
                         struct aq_bytes *file)
{
    struct aq_content_hash content;
    write_archive(schema, rows, 1, NULL, file, NULL, &content);
}

Test(run_stats, features)
{
    struct aq_schema schema;
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct opened opened = {0};
    struct aq_error err = {0};
    golden_rows(&schema, &rows);
    write_golden(&schema, &rows, &file);
    cr_assert_eq(open_file(&file, &opened, &err), AQ_OK);
    cr_assert(opened.root.has_sections);
    patch_root(&file, 0); /* then they are bytes that do not belong there */
    cr_assert_eq(open_file(&file, &opened, &err), AQ_CORRUPT);
    patch_root(&file, UINT32_C(0x80000001));
    cr_assert_eq(open_file(&file, &opened, &err), AQ_UNSUPPORTED);
    cr_assert(strstr(err.message, "features 0x80000000") != NULL, "%s", err.message);
    aq_arena_deinit(&opened.arena);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

Test(run_stats, golden)
{
    struct aq_schema schema;
    struct aq_batch rows;
    struct aq_bytes file =
        golden_read("archive-runs.bin"); /* a writer may choose other encodings */
    struct opened opened = {0};
    struct aq_error err = {0};
    golden_rows(&schema, &rows);
    cr_assert_eq(open_file(&file, &opened, &err), AQ_OK);
    cr_assert_eq(opened.directory.run_stats_rows_min, 1024);
    cr_assert_eq(check_column(&opened, &rows, 2), 2);
    aq_arena_deinit(&opened.arena);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
}

/* A section in place of the golden file's, read as a directory's. */
static enum aq_status read_section(struct opened *opened, const struct aq_bytes *section)
{
    struct aq_column_stats stats[3];
    struct aq_error err = {0};
    struct aq_tile_directory directory = opened->directory;
    bool valid;
    cr_assert_eq(aq_run_stats_read(aq_bytes_view(section), &opened->root.schema, &opened->arena,
                                   &directory, &valid),
                 AQ_OK);
    if (!valid)
        return AQ_CORRUPT;
    return aq_run_stats_decode(&directory, &opened->root.schema, 2, &opened->arena, stats, &err);
}

Test(run_stats, no_section_is_believed)
{
    struct aq_schema schema;
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct aq_bytes section = {0};
    struct opened opened = {0};
    struct aq_error err = {0};
    golden_rows(&schema, &rows);
    write_golden(&schema, &rows, &file);
    cr_assert_eq(open_file(&file, &opened, &err), AQ_OK);
    aq_bytes_varint(&section, opened.directory.run_stats_rows_min);
    aq_bytes_slice(&section, opened.directory.run_stats[2]);
    expect_mangled_refused(read_section, &opened, &section);
    aq_arena_deinit(&opened.arena);
    aq_batch_deinit(&rows);
    aq_bytes_deinit(&file);
    aq_bytes_deinit(&section);
}

Test(run_stats, unknown_sections_are_passed_over)
{
    struct aq_bytes bytes = {0};
    uint64_t id = 0;
    struct aq_slice section;
    aq_bytes_varint(&bytes, 3);
    aq_bytes_text(&bytes, "abc");
    aq_bytes_varint(&bytes, 900);
    aq_bytes_text(&bytes, "");
    struct aq_reader reader = aq_reader_make(aq_bytes_view(&bytes));
    cr_assert(aq_section_next(&reader, &id, &section));
    cr_assert_eq(id, 3);
    cr_assert_eq(section.size, 3);
    cr_assert(aq_section_next(&reader, &id, &section));
    cr_assert_eq(id, 900);
    cr_assert_not(aq_section_next(&reader, &id, &section));
    cr_assert_not(reader.failed);
    reader = aq_reader_make(aq_bytes_view(&bytes));
    id = 3; /* twice the same */
    cr_assert_not(aq_section_next(&reader, &id, &section));
    cr_assert(reader.failed);
    aq_bytes_deinit(&bytes);
}
