/* Columns that follow another: every value comes back to the bit, whole or in part; hostile bytes are refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/archive/archive_layout.h"
#include "tests/unit/archive/archive_bytes.h"

static size_t factored_count;
static uint64_t state = 7;
static uint64_t next(void)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return state >> 33;
}

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "leader", .type = AQ_TYPE_BIGINT, .id = 3},
    {.name = "follower", .type = AQ_TYPE_BIGINT, .id = 4},
    {.name = "noise", .type = AQ_TYPE_BIGINT, .id = 5},
};
enum { LEADER = 2, FOLLOWER = 3, NOISE = 4, COLUMNS = 5 };

static struct aq_schema schema_of(enum aq_type leader, enum aq_type follower)
{
    columns[LEADER].type = leader;
    columns[FOLLOWER].type = follower;
    return archive_schema(columns, COLUMNS);
}

/* Value number `number` of a type: null, what is odd, and ordinary ones; booleans repeat. */
static void append(struct aq_batch *rows, size_t column, uint64_t number)
{
    static const uint64_t odd[] = {UINT64_C(1) << 63, 0, UINT64_C(0x7ff8000000000000),
                                   UINT64_C(0xfff8000000000001), UINT64_C(0x7ff0000000000000)};
    struct aq_vector *vector = &rows->columns[column];
    double real = (double)(float)((double)number * 0.25 + 100);
    if (number < 5)
        memcpy(&real, &odd[number], sizeof real);
    if (vector->type == AQ_TYPE_REAL && number == 3)
        real = INFINITY * -1;
    enum aq_status status;
    char text[40];
    int size = snprintf(text, sizeof text, "value %llu of many", (unsigned long long)number * 977);
    if (number == 6)
        status = aq_vector_append_null(vector);
    else if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE)
        status = aq_vector_append_double(vector, real);
    else if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        status = aq_vector_append_slice(
            vector, aq_slice_make(aq_arena_copy(&rows->arena, text, (size_t)size),
                                  number == 5 ? 0 : (size_t)size));
    else if (vector->type == AQ_TYPE_BOOLEAN)
        status = aq_vector_append_int(vector, (int64_t)(number * 7 / 3 % 2));
    else
        status = aq_vector_append_int(vector, (int64_t)(number * 2654435761 % 100000) - 50000);
    cr_assert_eq(status, AQ_OK);
}

/* `different` values of the leader, in no order; one row of `odd_one_in` has another follower. */
static void fill(struct aq_batch *rows, const struct aq_schema *schema, size_t row_count,
                 uint64_t different, uint64_t odd_one_in)
{
    cr_assert_eq(aq_schema_batch_init(schema, false, rows), AQ_OK);
    for (size_t row = 0; row < row_count; row++) {
        uint64_t number = next() % different;
        bool odd = odd_one_in > 0 && next() % odd_one_in == 0;
        cr_assert_eq(aq_vector_append_slice(&rows->columns[0], aq_slice_of("hanoi")), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows->columns[1], (int64_t)row * AQ_US_PER_HOUR), AQ_OK);
        append(rows, LEADER, number);
        append(rows, FOLLOWER, odd ? next() % 50 : number * number % 1009);
        cr_assert_eq(aq_vector_append_int(&rows->columns[NOISE], (int64_t)next()), AQ_OK);
        rows->row_count++;
    }
}

static void write_rows(const struct aq_schema *schema, const struct aq_batch *rows, bool fast,
                       const struct aq_executor *executor, struct aq_bytes *file)
{
    struct aq_archive_options options = {.schema = schema,
                                         .fast = fast,
                                         .executor = executor,
                                         .sink = archive_sink,
                                         .sink_context = file};
    struct aq_archive_writer *writer;
    cr_assert_eq(aq_archive_writer_create(&options, &writer, NULL), AQ_OK);
    cr_assert_eq(aq_archive_writer_tile(writer, rows, NULL), AQ_OK);
    cr_assert_eq(aq_archive_writer_finish(writer, NULL, NULL, NULL), AQ_OK);
    aq_archive_writer_destroy(writer);
}

struct opened {
    struct aq_arena arena;
    struct aq_archive_root root;
    struct aq_tile_directory directory;
    uint32_t features;
};

static void open_file(const struct aq_bytes *file, struct opened *opened)
{
    uint64_t at;
    uint32_t size;
    struct aq_slice bytes = aq_bytes_view(file);
    *opened = (struct opened){0};
    struct aq_slice trailer =
        aq_slice_make(bytes.data + bytes.size - AQ_ARCHIVE_TRAILER_BYTES, AQ_ARCHIVE_TRAILER_BYTES);
    cr_assert_eq(aq_archive_trailer_decode(trailer, bytes.size, &at, &size, NULL), AQ_OK);
    cr_assert_eq(aq_archive_root_decode(aq_slice_make(bytes.data + at, size), &opened->arena,
                                        &opened->root, NULL),
                 AQ_OK);
    opened->features = aq_load_u32(bytes.data + at + AQ_PREAMBLE_AT_INCOMPATIBLE);
    const struct aq_tile_entry *tile = &opened->root.tiles[0];
    cr_assert_eq(aq_tile_directory_decode(
                     aq_slice_make(bytes.data + tile->directory_offset, tile->directory_size_bytes),
                     tile, &opened->root, &opened->arena, &opened->directory, NULL),
                 AQ_OK);
}

static struct aq_slice coded_of(const struct aq_bytes *file, const struct aq_chunk_entry *chunk)
{
    struct aq_slice coded = {0};
    if (chunk != NULL)
        cr_assert_eq(aq_chunk_open(aq_slice_make(file->data + chunk->offset, chunk->size_bytes),
                                   chunk, &coded, NULL),
                     AQ_OK);
    return coded;
}

static void expect_rows(const struct aq_vector *expected, const struct aq_vector *found,
                        size_t first, size_t end)
{
    for (size_t row = first; row < end; row++)
        cr_assert_eq(aq_vector_compare_bits(expected, row, found, row), 0, "row %zu", row);
}

/* Whole, and some parts of it: rows from a place on, and single vectors. */
static void check_chunk(const struct aq_bytes *file, const struct aq_chunk_entry *chunk,
                        const struct aq_vector *expected)
{
    uint32_t row_count = (uint32_t)expected->row_count;
    struct aq_leader_numbers numbers = {0};
    struct aq_chunk_coded coded = {coded_of(file, chunk), coded_of(file, chunk->leader), NULL};
    uint64_t vectors[2] = {next(), next()};
    struct aq_wanted wanted[] = {
        {.end = row_count},
        {.first = row_count / 3, .end = row_count / 2},
        {.end = 1},
        {.first = row_count - 1, .end = row_count},
        {.end = row_count, .vectors = vectors},
    };
    size_t shape_count = sizeof wanted / sizeof wanted[0];
    for (size_t shape = 0; shape < 3 * shape_count; shape++) { /* alone; then with kept numbers */
        size_t i = (shape * 2 + 2) % shape_count;
        struct aq_vector found;
        coded.numbers = shape < shape_count ? NULL : &numbers;
        struct aq_arena arena = {0};
        aq_vector_init(&found, chunk->type);
        cr_assert_eq(
            aq_chunk_decode_rows(&coded, chunk, row_count, &wanted[i], NULL, &arena, &found, NULL),
            AQ_OK);
        cr_assert_eq(found.row_count, row_count);
        for (size_t first = 0, end = 0; aq_wanted_next(&wanted[i], &first, &end);)
            expect_rows(expected, &found, first, end);
        aq_vector_deinit(&found);
        aq_arena_deinit(&arena);
    }
    cr_assert_eq(numbers.end, chunk->leader == NULL ? 0 : row_count);
    if (chunk->leader != NULL) { /* what is kept needs no leader any more */
        struct aq_vector found;
        struct aq_arena arena = {0};
        aq_vector_init(&found, chunk->type);
        coded.leader = (struct aq_slice){0};
        cr_assert_eq(
            aq_chunk_decode_rows(&coded, chunk, row_count, &wanted[0], NULL, &arena, &found, NULL),
            AQ_OK);
        expect_rows(expected, &found, 0, row_count);
        aq_vector_deinit(&found);
        aq_arena_deinit(&arena);
    }
    aq_leader_numbers_deinit(&numbers);
}

/* A row's value as it was factored. */
static void expect_factored(const struct aq_vector *expected, const struct aq_factored *factored,
                            size_t row)
{
    bool null = aq_vector_is_null(&factored->codes, row);
    cr_assert_eq(null, aq_vector_is_null(expected, row));
    if (null)
        return;
    size_t code = (size_t)factored->codes.ints[row];
    cr_assert_lt(code, factored->values.row_count);
    cr_assert_eq(aq_vector_compare_bits(expected, row, &factored->values, code), 0, "row %zu", row);
}

/* A follower as its different values, unless there are too many. */
static void check_factored(const struct aq_bytes *file, const struct aq_chunk_entry *chunk,
                           const struct aq_vector *expected)
{
    uint32_t row_count = (uint32_t)expected->row_count;
    struct aq_chunk_coded coded = {coded_of(file, chunk), coded_of(file, chunk->leader), NULL};
    struct aq_factored factored;
    size_t first = row_count / 3;
    enum aq_status status =
        aq_chunk_factor(&coded, chunk, row_count, first, row_count, NULL, &factored, NULL);
    if (status == AQ_NOT_FOUND)
        return;
    cr_assert_eq(status, AQ_OK);
    cr_assert_null(factored.values.valid);
    for (size_t row = first; row < row_count; row++)
        expect_factored(expected, &factored, row);
    factored_count++;
    aq_factored_deinit(&factored);
}

/* Which column the follower follows; AQ_COLUMN_NONE. */
static uint32_t leader_of(const struct opened *opened, size_t column)
{
    const struct aq_chunk_entry *leader = opened->directory.chunks[column].leader;
    return leader == NULL ? AQ_COLUMN_NONE : (uint32_t)(leader - opened->directory.chunks);
}

static size_t check_file(const struct aq_schema *schema, const struct aq_batch *rows)
{
    struct aq_bytes file = {0};
    struct opened opened;
    size_t count = 0;
    write_rows(schema, rows, false, NULL, &file);
    open_file(&file, &opened);
    for (size_t c = 0; c < schema->column_count; c++) {
        check_chunk(&file, &opened.directory.chunks[c], &rows->columns[c]);
        if (leader_of(&opened, c) == AQ_COLUMN_NONE)
            continue;
        check_factored(&file, &opened.directory.chunks[c], &rows->columns[c]);
        count++;
    }
    cr_assert_eq((opened.features & AQ_ARCHIVE_WITH_FOLLOWERS) != 0, count > 0);
    aq_arena_deinit(&opened.arena);
    aq_bytes_deinit(&file);
    return count;
}

Test(follow, every_pair_of_types_comes_back)
{
    size_t follower_count = 0;
    for (unsigned leader = AQ_TYPE_BOOLEAN; leader <= AQ_TYPE_TIMESTAMPTZ; leader++)
        for (unsigned follower = AQ_TYPE_BOOLEAN; follower <= AQ_TYPE_TIMESTAMPTZ; follower++) {
            struct aq_schema schema = schema_of((enum aq_type)leader, (enum aq_type)follower);
            struct aq_batch rows;
            fill(&rows, &schema, 1500 + next() % 200, 2 + next() % 60, next() % 3 * 40);
            follower_count += check_file(&schema, &rows);
            aq_batch_deinit(&rows);
        }
    cr_assert_geq(follower_count, 60);
    cr_assert_geq(factored_count, 60);
}

Test(follow, rows_of_every_shape_come_back)
{
    static const struct {
        size_t rows;
        uint64_t different, odd_one_in;
        bool follows;
    } shapes[] = {{1, 1, 0, false},         {900, 1, 0, false},      {4000, 300, 0, true},
                  {4000, 300, 12, true},    {4000, 4, 1, false},     {4000, 1800, 0, false},
                  {65536, 3000, 100, true}, {65536, 60000, 0, false}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct aq_schema schema = schema_of(AQ_TYPE_DOUBLE, AQ_TYPE_TEXT);
        struct aq_batch rows;
        fill(&rows, &schema, shapes[i].rows, shapes[i].different, shapes[i].odd_one_in);
        cr_assert_eq(check_file(&schema, &rows) > 0, shapes[i].follows, "shape %zu", i);
        aq_batch_deinit(&rows);
    }
}

static void run_backwards(void *context, size_t count, void (*task)(void *, size_t), void *of_task)
{
    *(size_t *)context += count;
    while (count-- > 0)
        task(of_task, count);
}

/* Rows of three columns of integers, by a function of row and column; which column follows which. */
static size_t follow_made(int64_t (*value)(size_t row, size_t column), size_t row_count,
                          uint32_t leaders[COLUMNS])
{
    struct aq_schema schema = schema_of(AQ_TYPE_BIGINT, AQ_TYPE_BIGINT);
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct opened opened;
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (size_t row = 0; row < row_count; row++) {
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of("hanoi")), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[1], (int64_t)row * AQ_US_PER_HOUR), AQ_OK);
        for (size_t c = LEADER; c < COLUMNS; c++)
            cr_assert_eq(aq_vector_append_int(&rows.columns[c], value(row, c)), AQ_OK);
        rows.row_count++;
    }
    size_t count = check_file(&schema, &rows);
    write_rows(&schema, &rows, false, NULL, &file);
    open_file(&file, &opened);
    for (size_t c = 0; c < COLUMNS; c++)
        leaders[c] = leader_of(&opened, c);
    aq_arena_deinit(&opened.arena);
    aq_bytes_deinit(&file);
    aq_batch_deinit(&rows);
    return count;
}

/* A number that looks like any. */
static int64_t scatter(uint64_t number)
{
    number = (number + 1) * UINT64_C(0xbf58476d1ce4e5b9);
    return (int64_t)((number ^ number >> 31) * UINT64_C(0x94d049bb133111eb) >> 20);
}

static int64_t one_for_one(size_t row, size_t column)
{
    return scatter((uint64_t)scatter(row) % 200 * 3 + column);
}

Test(follow, of_columns_that_could_follow_each_other_one_leads)
{
    uint32_t leaders[COLUMNS];
    cr_assert_eq(follow_made(one_for_one, 4000, leaders), 2);
}

/* The leader's chunk is more than four times the follower's. */
static int64_t parity(size_t row, size_t column)
{
    uint64_t number = (uint64_t)scatter(row) % 300;
    return column == LEADER     ? scatter(number)
           : column == FOLLOWER ? scatter(number) & 1
                                : scatter(row ^ 0xfffff);
}

Test(follow, no_small_column_follows_a_large_one)
{
    uint32_t leaders[COLUMNS];
    cr_assert_eq(follow_made(parity, 4000, leaders), 0);
}

/* Of each of the leader's values the first row is an exception. */
static int64_t odd_at_first(size_t row, size_t column)
{
    uint64_t number = row < 60 ? row : (uint64_t)scatter(row) % 60;
    return column == LEADER     ? scatter(number)
           : column == FOLLOWER ? scatter(row < 60 ? number + 100 : number % 50)
                                : scatter(row ^ 0xfffff);
}

Test(follow, first_rows_may_be_exceptions)
{
    uint32_t leaders[COLUMNS];
    cr_assert_eq(follow_made(odd_at_first, 4000, leaders), 1);
    cr_assert_eq(leaders[FOLLOWER], LEADER);
}

/* Columns in pairs, of which the second follows; the later, the more bits a value. */
Test(follow, only_the_largest_are_looked_at)
{
    enum { MANY = 82, LOOKED_AT = 32 };
    static struct aq_column many[MANY];
    static char names[MANY][8];
    struct aq_schema schema = archive_schema(many, MANY);
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct opened opened;
    memcpy(many, columns, 2 * sizeof *many);
    for (uint32_t c = 2; c < MANY; c++) {
        snprintf(names[c], sizeof names[c], "c%u", c);
        many[c] = (struct aq_column){.name = names[c], .type = AQ_TYPE_BIGINT, .id = c + 1};
    }
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (size_t row = 0; row < 4000; row++) {
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of("hanoi")), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&rows.columns[1], (int64_t)row * AQ_US_PER_HOUR), AQ_OK);
        for (size_t c = 2; c < MANY; c++) {
            uint64_t number = (uint64_t)scatter(row * MANY + c / 2) % (10 + 10 * (c / 2));
            cr_assert_eq(aq_vector_append_int(&rows.columns[c], scatter(number * 3 + c)), AQ_OK);
        }
        rows.row_count++;
    }
    cr_assert_eq(check_file(&schema, &rows), LOOKED_AT / 2);
    write_rows(&schema, &rows, false, NULL, &file);
    open_file(&file, &opened);
    for (uint32_t c = 0; c < MANY; c += 2)
        cr_assert_eq(leader_of(&opened, c) == c + 1 || leader_of(&opened, c + 1) == c,
                     c >= MANY - LOOKED_AT, "column %u", c);
    aq_arena_deinit(&opened.arena);
    aq_bytes_deinit(&file);
    aq_batch_deinit(&rows);
}

/* It says which rows are read: here by one number, as is all that is beside it. */
Test(follow, time_follows_none)
{
    struct aq_schema schema = schema_of(AQ_TYPE_BIGINT, AQ_TYPE_BIGINT);
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct opened opened;
    cr_assert_eq(aq_schema_batch_init(&schema, false, &rows), AQ_OK);
    for (size_t row = 0; row < 4000; row++) {
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of("hanoi")), AQ_OK);
        for (size_t c = 1; c < COLUMNS; c++)
            cr_assert_eq(aq_vector_append_int(&rows.columns[c], one_for_one(row, c) >> 8), AQ_OK);
        rows.row_count++;
    }
    write_rows(&schema, &rows, false, NULL, &file);
    open_file(&file, &opened);
    cr_assert_eq(leader_of(&opened, 1), AQ_COLUMN_NONE);
    for (size_t c = LEADER; c < COLUMNS; c++)
        cr_assert_eq(leader_of(&opened, c), 1);
    aq_arena_deinit(&opened.arena);
    aq_bytes_deinit(&file);
    aq_batch_deinit(&rows);
}

Test(follow, bytes_do_not_depend_on_the_executor)
{
    struct aq_schema schema = schema_of(AQ_TYPE_INTEGER, AQ_TYPE_TEXT);
    struct aq_batch rows;
    struct aq_bytes files[2] = {0};
    size_t task_count = 0;
    struct aq_executor executor = {.run = run_backwards, .context = &task_count};
    fill(&rows, &schema, 5000, 200, 50);
    write_rows(&schema, &rows, false, NULL, &files[0]);
    write_rows(&schema, &rows, false, &executor, &files[1]);
    cr_assert(aq_slice_equal(aq_bytes_view(&files[0]), aq_bytes_view(&files[1])));
    cr_assert_geq(task_count, 3 * COLUMNS); /* alone, numbered, as followers */
    aq_bytes_deinit(&files[0]);
    aq_bytes_deinit(&files[1]);
    aq_batch_deinit(&rows);
}

Test(follow, profile_fast_has_none)
{
    struct aq_schema schema = schema_of(AQ_TYPE_INTEGER, AQ_TYPE_TEXT);
    struct aq_batch rows;
    struct aq_bytes file = {0};
    struct opened opened;
    fill(&rows, &schema, 5000, 200, 0);
    write_rows(&schema, &rows, true, NULL, &file);
    open_file(&file, &opened);
    cr_assert_eq(opened.features & AQ_ARCHIVE_WITH_FOLLOWERS, 0);
    cr_assert_eq(leader_of(&opened, FOLLOWER), AQ_COLUMN_NONE);
    aq_arena_deinit(&opened.arena);
    aq_bytes_deinit(&file);
    aq_batch_deinit(&rows);
}

/* ---- hostile bytes ---- */

static void code_ints(const int64_t *values, size_t count, bool null, struct aq_bytes *out)
{
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aq_vector_append_int(&vector, values[i]), AQ_OK);
    if (null) {
        cr_assert_eq(aq_vector_need_validity(&vector), AQ_OK);
        vector.valid[0] = 0;
    }
    cr_assert_eq(aq_column_encode(&vector, 0, count, AQ_PROFILE_ARCHIVE, out), AQ_OK);
    aq_vector_deinit(&vector);
}

/* Rows 1, 2, 1, 1 of a leader; a follower with these exceptions, and so many values. */
static enum aq_status read_made(const int64_t *exceptions, size_t exception_count, bool null,
                                size_t value_count, size_t row_end, size_t cut, int64_t found[4])
{
    static const int64_t leader[] = {1, 2, 1, 1}, values[] = {10, 20, 30, 40, 50, 60};
    struct aq_bytes own = {0}, rows = {0}, of_leader = {0};
    struct aq_chunk_entry entries[2] = {{.type = AQ_TYPE_BIGINT}, {.type = AQ_TYPE_BIGINT}};
    struct aq_wanted wanted = {.end = row_end};
    struct aq_vector vector;
    struct aq_arena arena = {0};
    struct aq_error err = {0};
    entries[1].leader = &entries[0];
    code_ints(leader, 4, false, &of_leader);
    code_ints(exceptions, exception_count, null, &rows);
    aq_bytes_slice(&own, aq_bytes_view(&rows));
    code_ints(values, value_count, false, &own);
    /* Memory of just that size, so that the sanitizer sees any read beyond it. */
    uint8_t *exact = malloc(own.size - cut + 1);
    memcpy(exact, own.data, own.size - cut);
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    struct aq_chunk_coded coded = {aq_slice_make(exact, own.size - cut), aq_bytes_view(&of_leader),
                                   NULL};
    enum aq_status status =
        aq_chunk_decode_rows(&coded, &entries[1], 4, &wanted, NULL, &arena, &vector, &err);
    if (status == AQ_OK)
        memcpy(found, vector.ints, 4 * sizeof *found);
    else
        cr_assert(err.message[0] != '\0' && vector.row_count == 0);
    free(exact);
    aq_vector_deinit(&vector);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&own);
    aq_bytes_deinit(&rows);
    aq_bytes_deinit(&of_leader);
    return status;
}

Test(follow, hostile_bodies_are_corrupt)
{
    int64_t found[4] = {0};
    int64_t rows[] = {1, 3}, descending[] = {3, 1}, twice[] = {1, 1}, beyond[] = {1, 4};
    int64_t below[] = {-1, 2}, many[] = {0, 1, 2, 3, 4};
    cr_assert_eq(read_made(rows, 2, false, 4, 4, 0, found), AQ_OK);
    cr_assert(found[0] == 10 && found[1] == 30 && found[2] == 10 && found[3] == 40);
    cr_assert_eq(read_made(NULL, 0, false, 2, 4, 0, found), AQ_OK);
    cr_assert(found[0] == 10 && found[1] == 20 && found[2] == 10 && found[3] == 10);
    cr_assert_eq(read_made(descending, 2, false, 4, 4, 0, found), AQ_CORRUPT);
    cr_assert_eq(read_made(twice, 2, false, 4, 4, 0, found), AQ_CORRUPT);
    cr_assert_eq(read_made(beyond, 2, false, 4, 4, 0, found), AQ_CORRUPT);
    cr_assert_eq(read_made(below, 2, false, 4, 4, 0, found), AQ_CORRUPT);
    cr_assert_eq(read_made(rows, 2, true, 4, 4, 0, found), AQ_CORRUPT);
    cr_assert_eq(read_made(rows, 1, true, 3, 4, 0, found), AQ_CORRUPT);
    cr_assert_eq(read_made(many, 5, false, 6, 4, 0, found), AQ_CORRUPT);
    cr_assert_eq(read_made(rows, 2, false, 3, 4, 0, found), AQ_CORRUPT); /* too few values */
    cr_assert_eq(read_made(rows, 2, false, 5, 4, 0, found), AQ_CORRUPT); /* too many */
    cr_assert_eq(read_made(rows, 2, false, 1, 4, 0, found), AQ_CORRUPT); /* fewer than exceptions */
    /* Of the first row alone one value is needed, but not fewer. */
    cr_assert_eq(read_made(rows, 2, false, 5, 1, 0, found), AQ_OK);
    cr_assert_eq(read_made(rows, 2, false, 2, 1, 0, found), AQ_CORRUPT);
    for (size_t cut = 1; cut < 12; cut++)
        cr_assert_eq(read_made(rows, 2, false, 4, 4, cut, found), AQ_CORRUPT);
}

/* One row, an exception, whose rows' node or values' node names no encoding. */
Test(follow, damage_is_where_it_is_in_the_chunk)
{
    struct aq_chunk_entry entries[2] = {{.type = AQ_TYPE_BIGINT}, {.type = AQ_TYPE_BIGINT}};
    uint8_t own[] = {4, 1, 0, 1, 0, 2, 0, 1, 2};
    static const uint8_t leader[] = {1, 0, 1, 2};
    static const size_t nodes[] = {3, 7};
    struct aq_chunk_coded coded = {aq_slice_make(own, sizeof own),
                                   aq_slice_make(leader, sizeof leader), NULL};
    struct aq_wanted all = {.end = 1};
    struct aq_vector vector;
    struct aq_error err = {0};
    char text[128];
    entries[1].leader = &entries[0];
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(aq_chunk_decode_rows(&coded, &entries[1], 1, &all, NULL, NULL, &vector, &err),
                     AQ_OK);
        cr_assert_eq(aq_follower_describe(coded.own, text, sizeof text, &err), AQ_OK);
        own[nodes[i]] = 15;
        cr_assert_eq(aq_chunk_decode_rows(&coded, &entries[1], 1, &all, NULL, NULL, &vector, &err),
                     AQ_CORRUPT);
        int64_t offset = err.offset;
        cr_assert_geq(offset, (int64_t)nodes[i]);
        cr_assert_leq(offset, (int64_t)nodes[i] + 1);
        cr_assert_eq(aq_follower_describe(coded.own, text, sizeof text, &err), AQ_CORRUPT);
        cr_assert_eq(err.offset, offset);
        own[nodes[i]] = 1;
    }
    aq_vector_deinit(&vector);
}

Test(follow, a_damaged_leader_is_named)
{
    struct aq_chunk_entry entries[2] = {{.column_id = 3, .type = AQ_TYPE_BIGINT},
                                        {.column_id = 4, .type = AQ_TYPE_BIGINT}};
    static const uint8_t own[] = {1, 0, 1, 0, 1, 2}, leader[] = {1, 0, 15};
    struct aq_chunk_coded coded = {aq_slice_make(own, sizeof own),
                                   aq_slice_make(leader, sizeof leader), NULL};
    struct aq_wanted all = {.end = 1};
    struct aq_vector vector;
    struct aq_error err = {0};
    entries[1].leader = &entries[0];
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    cr_assert_eq(aq_chunk_decode_rows(&coded, &entries[1], 1, &all, NULL, NULL, &vector, &err),
                 AQ_CORRUPT);
    cr_assert(strstr(err.message, "column id 3, which column id 4 follows") != NULL, "%s",
              err.message);
    aq_vector_deinit(&vector);
}

static enum aq_status read_section(const uint8_t *bytes, size_t size)
{
    struct aq_chunk_entry chunks[4] = {0};
    struct aq_tile_directory directory = {.chunk_count = 4, .chunks = chunks};
    return aq_followers_read(aq_slice_make(bytes, size), &directory);
}

#define SECTION(...) read_section((uint8_t[]){__VA_ARGS__}, sizeof(uint8_t[]){__VA_ARGS__})

Test(follow, hostile_lists_are_corrupt)
{
    cr_assert_eq(SECTION(2, 1, 0, 3, 2), AQ_OK);
    cr_assert_eq(SECTION(2, 1, 0, 3, 0), AQ_OK);
    cr_assert_eq(SECTION(0), AQ_CORRUPT);
    cr_assert_eq(SECTION(1, 1, 1), AQ_CORRUPT); /* itself */
    cr_assert_eq(SECTION(1, 1, 4), AQ_CORRUPT); /* what is not there */
    cr_assert_eq(SECTION(1, 4, 1), AQ_CORRUPT);
    cr_assert_eq(SECTION(2, 1, 2, 2, 1), AQ_CORRUPT); /* each the other */
    cr_assert_eq(SECTION(2, 1, 2, 2, 3), AQ_CORRUPT); /* a follower */
    cr_assert_eq(SECTION(2, 2, 3, 1, 2), AQ_CORRUPT); /* not in order */
    cr_assert_eq(SECTION(2, 1, 0, 1, 2), AQ_CORRUPT); /* twice */
    cr_assert_eq(SECTION(1, 1, 0, 0), AQ_CORRUPT);    /* left over */
    cr_assert_eq(SECTION(2, 1, 0, 3), AQ_CORRUPT);    /* cut */
    cr_assert_eq(SECTION(0xff, 0xff, 0xff, 0x7f, 1, 0), AQ_CORRUPT);
}
