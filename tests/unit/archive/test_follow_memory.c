/* Memory that runs out while columns that follow others are written and read: each call for memory fails in turn, alone and with all
 * that follow it. Each time it is said, or nothing depended on it and the result is right; what was got is given back. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/archive/archive_layout.h"
#include "tests/sim/scarce_memory.h"
#include "tests/unit/archive/archive_bytes.h"

enum { TS = 1, FEW, MANY, BY_FEW, BY_MANY, COLUMNS, ROWS = 700 };

static struct aq_column columns[COLUMNS] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "few", .type = AQ_TYPE_BIGINT, .id = 3},
    {.name = "many", .type = AQ_TYPE_BIGINT, .id = 4},
    {.name = "by_few", .type = AQ_TYPE_TEXT, .id = 5},
    {.name = "by_many", .type = AQ_TYPE_TEXT, .id = 6},
};

/* What the sink keeps without asking for memory. */
static struct file {
    uint8_t bytes[1 << 17];
    size_t size;
} found, expected;

static struct aq_schema schema;
static struct aq_batch rows;

static enum aq_status sink(void *context, const void *data, size_t size, struct aq_error *err)
{
    (void)context;
    (void)err;
    cr_assert_leq(found.size + size, sizeof found.bytes);
    memcpy(found.bytes + found.size, data, size);
    found.size += size;
    return AQ_OK;
}

static void append_text(size_t column, unsigned number)
{
    char text[40];
    int size = snprintf(text, sizeof text, "%u of many %u", number, number * 7919 % 1009);
    struct aq_slice slice =
        aq_slice_make(aq_arena_copy(&rows.arena, text, (size_t)size), (size_t)size);
    cr_assert_eq(aq_vector_append_slice(&rows.columns[column], slice), AQ_OK);
}

/* Leaders of few values, which are a dictionary, and of many, which are none; one row of 97 is an exception. */
static void fill(void)
{
    uint64_t state = 7;
    schema = archive_schema(columns, COLUMNS);
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (unsigned row = 0; row < ROWS; row++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned few = (unsigned)(state >> 60), many = (unsigned)(state >> 40) % 150;
        unsigned odd = row % 97 == 5 ? 1 : 0;
        int64_t wide = (int64_t)(few * UINT64_C(0x123456789abcdef) >> 20);
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of("hanoi")), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[TS], row * AQ_US_PER_HOUR), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[FEW], wide), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[MANY], many), AQ_OK);
        append_text(BY_FEW, few + odd);
        append_text(BY_MANY, many * 31 % 50 + odd);
        rows.row_count++;
    }
}

static enum aq_status write_file(struct aq_error *err)
{
    struct aq_archive_options options = {.schema = &schema, .sink = sink};
    struct aq_archive_writer *writer;
    found.size = 0;
    AQ_TRY(aq_archive_writer_create(&options, &writer, err));
    enum aq_status status = aq_archive_writer_tile(writer, &rows, err);
    if (status == AQ_OK)
        status = aq_archive_writer_finish(writer, NULL, NULL, err);
    aq_archive_writer_destroy(writer);
    if (status == AQ_OK && expected.size > 0)
        cr_assert(found.size == expected.size &&
                  memcmp(found.bytes, expected.bytes, found.size) == 0);
    return status;
}

static enum aq_status open_chunk(const struct aq_chunk_entry *chunk, struct aq_slice *coded,
                                 struct aq_error *err)
{
    return aq_chunk_open(aq_slice_make(expected.bytes + chunk->offset, chunk->size_bytes), chunk,
                         coded, err);
}

static enum aq_status read_rows(const struct aq_chunk_coded *coded,
                                const struct aq_chunk_entry *chunk, struct aq_arena *arena,
                                const struct aq_vector *rows_of_it, struct aq_error *err)
{
    struct aq_wanted all = {.end = ROWS};
    struct aq_vector vector;
    aq_vector_init(&vector, chunk->type);
    enum aq_status status =
        aq_chunk_decode_rows(coded, chunk, ROWS, &all, NULL, arena, &vector, err);
    for (size_t row = 0; status == AQ_OK && row < ROWS; row++)
        cr_assert_eq(aq_vector_compare_bits(&vector, row, rows_of_it, row), 0);
    aq_vector_deinit(&vector);
    return status;
}

static enum aq_status factor_rows(const struct aq_chunk_coded *coded,
                                  const struct aq_chunk_entry *chunk,
                                  const struct aq_vector *rows_of_it, struct aq_error *err)
{
    struct aq_factored factored = {0};
    AQ_TRY(aq_chunk_factor(coded, chunk, ROWS, 0, ROWS, NULL, &factored, err));
    for (size_t row = 0; row < ROWS; row++)
        cr_assert_eq(aq_vector_compare_bits(&factored.values, (size_t)factored.codes.ints[row],
                                            rows_of_it, row),
                     0);
    aq_factored_deinit(&factored);
    return AQ_OK;
}

/* Each follower by rows, with numbers of its own and kept ones, and as its different values. */
static enum aq_status read_followers(const struct aq_tile_directory *directory,
                                     struct aq_arena *arena, struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    for (size_t i = BY_FEW; status == AQ_OK && i <= BY_MANY; i++) {
        const struct aq_chunk_entry *chunk = &directory->chunks[i];
        const struct aq_vector *wanted = &rows.columns[i];
        struct aq_leader_numbers numbers = {0};
        struct aq_chunk_coded coded = {0};
        cr_assert_eq(chunk->leader, &directory->chunks[i - 2]);
        AQ_TRY(open_chunk(chunk, &coded.own, err));
        AQ_TRY(open_chunk(chunk->leader, &coded.leader, err));
        status = read_rows(&coded, chunk, arena, wanted, err);
        coded.numbers = &numbers;
        if (status == AQ_OK)
            status = read_rows(&coded, chunk, arena, wanted, err);
        if (status == AQ_OK)
            status = factor_rows(&coded, chunk, wanted, err);
        aq_leader_numbers_deinit(&numbers);
    }
    return status;
}

static enum aq_status read_file(struct aq_error *err)
{
    struct aq_slice bytes = aq_slice_make(expected.bytes, expected.size);
    struct aq_arena arena = {0};
    struct aq_archive_root root;
    struct aq_tile_directory directory;
    uint64_t at;
    uint32_t size;
    AQ_TRY(aq_archive_trailer_decode(
        aq_slice_make(bytes.data + bytes.size - AQ_ARCHIVE_TRAILER_BYTES, AQ_ARCHIVE_TRAILER_BYTES),
        bytes.size, &at, &size, err));
    enum aq_status status =
        aq_archive_root_decode(aq_slice_make(bytes.data + at, size), &arena, &root, err);
    if (status == AQ_OK)
        status = aq_tile_directory_decode(aq_slice_make(bytes.data + root.tiles[0].directory_offset,
                                                        root.tiles[0].directory_size_bytes),
                                          &root.tiles[0], &root, &arena, &directory, err);
    if (status == AQ_OK)
        status = read_followers(&directory, &arena, err);
    aq_arena_deinit(&arena);
    return status;
}

static void run_out(enum aq_status (*deed)(struct aq_error *err), uint64_t calls_min)
{
    for (int forever = 0; forever < 2; forever++) {
        bool failed = true;
        uint64_t failing = 0;
        while (failed) {
            struct aq_error err = {0};
            uint64_t left = 0;
            scarce_begin(++failing, forever);
            enum aq_status status = deed(&err);
            failed = scarce_end(&left);
            cr_assert_eq(left, 0, "call %llu: blocks are lost", (unsigned long long)failing);
            cr_assert(
                status == AQ_OK || (failed && status == AQ_NO_MEMORY && err.message[0] != '\0'),
                "call %llu: %d, \"%s\"", (unsigned long long)failing, (int)status, err.message);
        }
        cr_assert_gt(failing, calls_min);
    }
}

static void begin(void)
{
    fill();
    cr_assert_eq(write_file(NULL), AQ_OK);
    expected = found;
    cr_assert_eq(read_file(NULL), AQ_OK);
}

Test(follow_memory, writing)
{
    begin();
    run_out(write_file, 200);
    aq_batch_deinit(&rows);
}

Test(follow_memory, reading)
{
    begin();
    run_out(read_file, 50);
    aq_batch_deinit(&rows);
}
