/* Statistics of runs: what a directory says of each run is what its rows give, for every type; and what is not
 * well-formed is refused. */
#include <math.h>

#include "format/archive/archive_layout.h"
#include "format/base/checksum.h"
#include "tests/unit/archive/archive_bytes.h"
#include "tests/unit/format/golden.h"

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "pm25", .type = AQ_TYPE_DOUBLE, .id = 3},
    {.name = "count", .type = AQ_TYPE_BIGINT, .id = 4},
    {.name = "small", .type = AQ_TYPE_INTEGER, .id = 5},
    {.name = "single", .type = AQ_TYPE_REAL, .id = 6},
    {.name = "ok", .type = AQ_TYPE_BOOLEAN, .id = 7},
    {.name = "note", .type = AQ_TYPE_TEXT, .id = 8},
    {.name = "day", .type = AQ_TYPE_DATE, .id = 9},
    {.name = "more", .type = AQ_TYPE_JSON, .id = 10},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static struct aq_schema schema_of(size_t column_count)
{
    return (struct aq_schema){.dataset_id = 1,
                              .version = 1,
                              .dataset = "air",
                              .column_count = column_count,
                              .columns = columns,
                              .key_column = 0,
                              .time_column = 1,
                              .slot = AQ_SLOT_DAY,
                              .version_column = AQ_COLUMN_NONE};
}

static uint64_t state;
static uint64_t next(void)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return state >> 33;
}

static void append_number(struct aq_vector *vector, uint64_t kind, uint64_t random)
{
    static const double specials[] = {NAN, INFINITY, -0.0, 1e300, 0.1};
    if (kind == 0 || (kind == 1 && random % 3 == 0)) {
        cr_assert_eq(aq_vector_append_null(vector), AQ_OK);
    } else if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE) {
        double value = kind == 2 ? specials[random % 5] : (double)(random % 1000) / 8;
        cr_assert_eq(aq_vector_append_double(vector, (double)(float)value), AQ_OK);
    } else {
        int64_t value = vector->type == AQ_TYPE_BOOLEAN ? (int64_t)(random & 1)
                        : kind == 2 && vector->type == AQ_TYPE_BIGINT
                            ? (int64_t)(UINT64_C(1) << 63 | random)
                            : (int64_t)(random % 5000) - 2500;
        cr_assert_eq(aq_vector_append_int(vector, value), AQ_OK);
    }
}

/* Rows of runs "a", "b" ... of these lengths; what a column of a run holds is drawn: nulls, some nulls, odd values,
 * ordinary ones, or one. */
static void fill(struct aq_batch *rows, const struct aq_schema *schema, const size_t *lengths,
                 size_t run_count)
{
    cr_assert_eq(aq_schema_batch_init(schema, false, rows), AQ_OK);
    for (size_t run = 0; run < run_count; run++) {
        char name = (char)('a' + run);
        struct aq_slice city = aq_slice_make(aq_arena_copy(&rows->arena, &name, 1), 1);
        uint64_t kinds[COLUMN_COUNT], fixed = next();
        for (size_t c = 0; c < COLUMN_COUNT; c++)
            kinds[c] = next() % 5;
        for (size_t i = 0; i < lengths[run]; i++) {
            cr_assert_eq(aq_vector_append_slice(&rows->columns[0], city), AQ_OK);
            cr_assert_eq(aq_vector_append_int(&rows->columns[1], (int64_t)i * AQ_US_PER_HOUR),
                         AQ_OK);
            for (size_t c = 2; c < schema->column_count; c++) {
                struct aq_vector *vector = &rows->columns[c];
                uint64_t random = kinds[c] == 4 ? fixed : next();
                size_t size = kinds[c] == 2 ? 60 + random % 10 : random % 5;
                if (aq_type_physical(vector->type) != AQ_PHYSICAL_SLICE || kinds[c] == 0)
                    append_number(vector, kinds[c], random);
                else {
                    char *text = aq_arena_alloc(&rows->arena, size + 1);
                    memset(text, (int)('a' + random % 26), size);
                    cr_assert_eq(aq_vector_append_slice(vector, aq_slice_make(text, size)), AQ_OK);
                }
            }
            rows->row_count++;
        }
    }
}

/* The only tile's directory, of a file in memory. */
struct opened {
    struct aq_arena arena;
    struct aq_archive_root root;
    struct aq_tile_directory directory;
};

static enum aq_status open_file(const struct aq_bytes *file, struct opened *opened,
                                struct aq_error *err)
{
    uint64_t offset;
    uint32_t size;
    struct aq_slice bytes = aq_bytes_view(file);
    AQ_TRY(aq_archive_trailer_decode(
        aq_slice_make(bytes.data + bytes.size - AQ_ARCHIVE_TRAILER_BYTES, AQ_ARCHIVE_TRAILER_BYTES),
        bytes.size, &offset, &size, err));
    AQ_TRY(aq_archive_root_decode(aq_slice_make(bytes.data + offset, size), &opened->arena,
                                  &opened->root, err));
    const struct aq_tile_entry *tile = &opened->root.tiles[0];
    return aq_tile_directory_decode(
        aq_slice_make(bytes.data + tile->directory_offset, tile->directory_size_bytes), tile,
        &opened->root, &opened->arena, &opened->directory, err);
}

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
    struct aq_schema schema = schema_of(COLUMN_COUNT);
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
    *schema = schema_of(3);
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
    patch_root(&file, 5);
    cr_assert_eq(open_file(&file, &opened, &err), AQ_UNSUPPORTED);
    cr_assert(strstr(err.message, "features 0x4") != NULL, "%s", err.message);
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
    size_t refused = 0;
    golden_rows(&schema, &rows);
    write_golden(&schema, &rows, &file);
    cr_assert_eq(open_file(&file, &opened, &err), AQ_OK);
    aq_bytes_varint(&section, opened.directory.run_stats_rows_min);
    aq_bytes_slice(&section, opened.directory.run_stats[2]);
    cr_assert_eq(read_section(&opened, &section), AQ_OK);
    for (size_t size = 0; size < section.size; size++) {
        struct aq_bytes cut = {0};
        aq_bytes_append(&cut, section.data, size);
        cr_assert_eq(read_section(&opened, &cut), AQ_CORRUPT, "cut to %zu", size);
        aq_bytes_deinit(&cut);
    }
    for (size_t bit = 0; bit < section.size * 8; bit++) {
        section.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refused += read_section(&opened, &section) == AQ_CORRUPT; /* others mean something else */
        section.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_gt(refused, section.size * 3);
    aq_bytes_u8(&section, 0);
    cr_assert_eq(read_section(&opened, &section), AQ_CORRUPT);
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
