/* Memory that runs out while statistics and ends of runs are written: each call for memory fails in turn. Each time it is said, or nothing depended
 * on it and the bytes are the same; what was got is given back. */
#include "tests/sim/scarce_memory.h"
#include "tests/unit/archive/run_fixture.h"

enum { LONG_ROWS = 1030, ROWS = LONG_ROWS + 10 };

static struct aq_column declared[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "level", .type = AQ_TYPE_INTEGER, .id = 3},
    {.name = "noise", .type = AQ_TYPE_BIGINT, .id = 4},
};

/* A long run and a short one. */
static void fill_rows(const struct aq_schema *schema, struct aq_batch *rows)
{
    cr_assert_eq(aq_schema_batch_init(schema, false, rows), AQ_OK);
    for (size_t row = 0; row < ROWS; row++) {
        struct aq_vector *to = rows->columns;
        struct aq_slice city = aq_slice_of(row < LONG_ROWS ? "a" : "b");
        cr_assert_eq(aq_vector_append_slice(&to[0], city), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&to[1], (int64_t)(row % LONG_ROWS) * AQ_US_PER_HOUR),
                     AQ_OK);
        cr_assert_eq(row % 7 == 6 ? aq_vector_append_null(&to[2])
                                  : aq_vector_append_int(&to[2], (int64_t)(next() % 20)),
                     AQ_OK);
        cr_assert_eq(aq_vector_append_int(&to[3], (int64_t)(next() << 31 ^ next())), AQ_OK);
        rows->row_count++;
    }
}

static enum aq_status write_rows(const struct aq_schema *schema, const struct aq_batch *rows,
                                 struct aq_bytes *file)
{
    struct aq_archive_options options = {
        .schema = schema, .sink = archive_sink, .sink_context = file};
    struct aq_archive_writer *writer = NULL;
    enum aq_status status = aq_archive_writer_create(&options, &writer, NULL);
    if (status == AQ_OK)
        status = aq_archive_writer_tile(writer, rows, NULL);
    if (status == AQ_OK)
        status = aq_archive_writer_finish(writer, NULL, NULL, NULL);
    aq_archive_writer_destroy(writer);
    return status;
}

static void expect_sections(const struct aq_bytes *file)
{
    struct opened opened = {0};
    cr_assert_eq(open_file(file, &opened, NULL), AQ_OK);
    cr_assert_gt(opened.directory.run_stats_count, 0);
    cr_assert_gt(opened.directory.run_ends_count, 0);
    aq_arena_deinit(&opened.arena);
}

Test(run_memory, each_call_while_writing_fails_once)
{
    struct aq_schema schema = archive_schema(declared, sizeof declared / sizeof declared[0]);
    struct aq_batch rows;
    struct aq_bytes whole = {0};
    bool failed = true;
    fill_rows(&schema, &rows);
    cr_assert_eq(write_rows(&schema, &rows, &whole), AQ_OK);
    expect_sections(&whole);
    for (uint64_t failing = 1; failed; failing++) {
        struct aq_bytes file = {0};
        uint64_t left = 0;
        scarce_begin(failing, false);
        enum aq_status status = write_rows(&schema, &rows, &file);
        bool same = aq_slice_equal(aq_bytes_view(&file), aq_bytes_view(&whole));
        aq_bytes_deinit(&file);
        failed = scarce_end(&left);
        cr_assert_eq(left, 0, "call %llu", (unsigned long long)failing);
        cr_assert(status == AQ_OK ? same : failed && status == AQ_NO_MEMORY, "call %llu: %s",
                  (unsigned long long)failing, aq_status_text(status));
    }
    aq_bytes_deinit(&whole);
    aq_batch_deinit(&rows);
}
