/* Tiles of long and short runs, whose columns have values of every kind. */
#ifndef AQ_TESTS_UNIT_RUN_FIXTURE_H
#define AQ_TESTS_UNIT_RUN_FIXTURE_H

#include <math.h>

#include "format/archive/archive_layout.h"
#include "tests/unit/archive/archive_bytes.h"

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

static uint64_t state;
static size_t rows_an_hour = 1;
static inline uint64_t next(void)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return state >> 33;
}

static inline void append_number(struct aq_vector *vector, uint64_t kind, uint64_t random)
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
static inline void fill(struct aq_batch *rows, const struct aq_schema *schema,
                        const size_t *lengths, size_t run_count)
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
            cr_assert_eq(aq_vector_append_int(&rows->columns[1],
                                              (int64_t)(i / rows_an_hour) * AQ_US_PER_HOUR),
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

static inline enum aq_status open_file(const struct aq_bytes *file, struct opened *opened,
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

/* A section that `read` takes for one of the opened directory's: cut short anywhere, or with a byte behind it, it is refused;
 * with a bit changed most often, for some then mean something else. */
static inline void expect_mangled_refused(enum aq_status (*read)(struct opened *opened,
                                                                 const struct aq_bytes *section),
                                          struct opened *opened, struct aq_bytes *section)
{
    size_t refused = 0;
    cr_assert_eq(read(opened, section), AQ_OK);
    for (size_t size = 0; size < section->size; size++) {
        struct aq_bytes cut = {0};
        aq_bytes_append(&cut, section->data, size);
        cr_assert_eq(read(opened, &cut), AQ_CORRUPT, "cut to %zu", size);
        aq_bytes_deinit(&cut);
    }
    for (size_t bit = 0; bit < section->size * 8; bit++) {
        section->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refused += read(opened, section) == AQ_CORRUPT;
        section->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_gt(refused, section->size * 3);
    aq_bytes_u8(section, 0);
    cr_assert_eq(read(opened, section), AQ_CORRUPT);
    section->size--;
}

#endif
