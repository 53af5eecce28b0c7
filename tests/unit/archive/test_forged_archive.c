/* Archives whose root says other columns than the file has, every checksum right: a writer's bug, or a
 * forger's work. They are corrupt, whichever way round, and never read as something else. */
#include <criterion/criterion.h>
#include <string.h>

#include "format/archive/archive_layout.h"
#include "tests/unit/archive/archive_bytes.h"

enum { AT_COMPATIBLE = 12, AT_INCOMPATIBLE = 16, MANY_ROWS = 4000 };

static uint32_t unique_columns[] = {0, 1};
static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
    {.name = "n", .type = AQ_TYPE_BIGINT, .id = 3},
};

/* With `unique` and no version the file has the columns of arrival. */
static struct aq_schema make_schema(bool unique, uint32_t version)
{
    struct aq_schema schema = archive_schema(columns, 3);
    schema.unique_count = unique ? 2 : 0;
    schema.unique = unique_columns;
    schema.version_column = version;
    return schema;
}

static void make_file(const struct aq_schema *schema, size_t row_count, struct aq_bytes *file)
{
    struct aq_batch rows;
    struct aq_content_hash content;
    cr_assert_eq(aq_schema_stored_batch_init(schema, &rows), AQ_OK);
    for (size_t row = 0; row < row_count; row++) {
        struct aq_slice city = aq_slice_of(row < row_count / 2 ? "hanoi" : "hue");
        cr_assert_eq(aq_vector_append_slice(&rows.columns[0], city), AQ_OK);
        for (size_t i = 1; i < rows.column_count; i++)
            cr_assert_eq(aq_vector_append_int(&rows.columns[i], (int64_t)(row * i)), AQ_OK);
        rows.row_count++;
    }
    write_archive(schema, &rows, 1, NULL, file, NULL, &content);
    aq_batch_deinit(&rows);
}

static uint64_t root_offset(const struct aq_bytes *file)
{
    return aq_load_u64(file->data + file->size - AQ_ARCHIVE_TRAILER_BYTES +
                       AQ_ARCHIVE_TRAILER_AT_ROOT_OFFSET);
}

/* The file with `root` (checksum aside) in place of its own, and all that depends on its size. */
static void put_root(struct aq_bytes *file, struct aq_bytes *root)
{
    uint64_t offset = root_offset(file);
    uint8_t trailer[AQ_ARCHIVE_TRAILER_BYTES];
    memcpy(trailer, file->data + file->size - sizeof trailer, sizeof trailer);
    while ((root->size + 8) % AQ_ARCHIVE_ALIGNMENT != 0)
        aq_bytes_u8(root, 0);
    file->size = offset;
    aq_bytes_patch_u64(root, AQ_ARCHIVE_ROOT_AT_FILE_SIZE,
                       offset + root->size + 8 + sizeof trailer);
    aq_bytes_append(file, root->data, root->size);
    aq_bytes_u64(file, aq_checksum(root->data, root->size));
    aq_store_u32(trailer + AQ_ARCHIVE_TRAILER_AT_ROOT_SIZE, (uint32_t)root->size + 8);
    aq_store_u64(trailer + sizeof trailer - 8, aq_checksum(trailer, sizeof trailer - 8));
    aq_bytes_append(file, trailer, sizeof trailer);
    cr_assert_eq(aq_bytes_status(file), AQ_OK);
}

/* The root's bytes up to its body's end, with another declaration (NULL: its own). */
static struct aq_bytes copy_root(const struct aq_bytes *file, const struct aq_schema *schema)
{
    struct aq_bytes root = {0};
    struct aq_bytes declaration = {0};
    const uint8_t *from = file->data + root_offset(file);
    struct aq_reader body = aq_reader_make(aq_slice_make(
        from + AQ_ARCHIVE_ROOT_AT_BODY, aq_load_u32(from + AQ_ARCHIVE_ROOT_AT_BODY_SIZE)));
    struct aq_slice own = aq_reader_slice(&body);
    aq_bytes_append(&root, from, AQ_ARCHIVE_ROOT_AT_BODY);
    if (schema != NULL)
        aq_schema_encode(schema, &declaration);
    aq_bytes_slice(&root, schema == NULL ? own : aq_bytes_view(&declaration));
    size_t left = aq_reader_left(&body);
    struct aq_slice rest = aq_reader_bytes(&body, left);
    aq_bytes_append(&root, rest.data, rest.size);
    aq_store_u32(root.data + AQ_ARCHIVE_ROOT_AT_BODY_SIZE,
                 (uint32_t)(root.size - AQ_ARCHIVE_ROOT_AT_BODY));
    aq_bytes_deinit(&declaration);
    return root;
}

static enum aq_status read_forged(const struct aq_schema *made, const struct aq_schema *said,
                                  size_t row_count, size_t flip_at, struct aq_error *err)
{
    struct aq_bytes file = {0};
    struct aq_content_hash content;
    make_file(made, row_count, &file);
    struct aq_bytes root = copy_root(&file, said);
    if (flip_at > 0)
        root.data[flip_at] ^= 1;
    put_root(&file, &root);
    /* Memory of just that size, so that the sanitizer sees any read beyond it. */
    uint8_t *exact = malloc(file.size);
    memcpy(exact, file.data, file.size);
    enum aq_status status = read_archive(aq_slice_make(exact, file.size), &content, err);
    free(exact);
    aq_bytes_deinit(&root);
    aq_bytes_deinit(&file);
    return status;
}

Test(forged_archive, a_root_that_is_put_back_is_read)
{
    struct aq_schema plain = make_schema(false, AQ_COLUMN_NONE);
    struct aq_schema unique = make_schema(true, AQ_COLUMN_NONE);
    struct aq_error err = {0};
    cr_assert_eq(read_forged(&plain, NULL, 5, 0, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(read_forged(&unique, NULL, 5, 0, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(read_forged(&unique, &unique, MANY_ROWS, 0, &err), AQ_OK, "%s", err.message);
}

/* The declaration decides whether there are columns of arrival; the tiles have them or not. */
Test(forged_archive, columns_of_arrival_are_there_when_they_should_be)
{
    const struct aq_schema schemas[] = {
        make_schema(false, AQ_COLUMN_NONE), /* none */
        make_schema(true, AQ_COLUMN_NONE),  /* two */
        make_schema(true, 2),               /* none: there is a version */
    };
    static const bool has[] = {false, true, false};
    for (size_t made = 0; made < 3; made++) {
        for (size_t said = 0; said < 3; said++) {
            for (size_t rows = 1; rows <= MANY_ROWS; rows += MANY_ROWS - 1) {
                struct aq_error err = {.offset = -1};
                enum aq_status status = read_forged(&schemas[made], &schemas[said], rows, 0, &err);
                cr_assert_eq(status, has[made] == has[said] ? AQ_OK : AQ_CORRUPT,
                             "%zu read as %zu, %zu rows: %s", made, said, rows, err.message);
                cr_assert(status == AQ_OK || err.offset >= 0);
            }
        }
    }
}

/* That no rows are twins is a hint, and sections may be announced where there are none. The other way round:
 * test_run_stats.c. */
Test(forged_archive, feature_bits)
{
    for (int unique = 0; unique < 2; unique++) {
        struct aq_schema schema = make_schema(unique, AQ_COLUMN_NONE);
        struct aq_error err = {.offset = -1};
        cr_assert_eq(read_forged(&schema, NULL, MANY_ROWS, AT_COMPATIBLE, &err), AQ_OK);
        cr_assert_eq(read_forged(&schema, NULL, 5, AT_INCOMPATIBLE, &err), AQ_OK,
                     "there may be sections, and are none: %s", err.message);
        cr_assert_eq(read_forged(&schema, NULL, 5, AT_INCOMPATIBLE + 1, &err), AQ_UNSUPPORTED);
    }
}

/* The feature is that of files that have such a node: many restless values, or many runs of nulls; not where it lost every
 * trial, or was not tried. */
Test(forged_archive, late_encodings_are_announced)
{
    enum { CALM, RESTLESS, NULLS };
    struct aq_schema schema = make_schema(false, AQ_COLUMN_NONE);
    for (unsigned kind = CALM; kind <= NULLS; kind++) {
        struct aq_batch rows;
        struct aq_bytes file = {0};
        struct aq_content_hash content;
        struct aq_content_hash read;
        uint64_t random = 1;
        cr_assert_eq(aq_schema_stored_batch_init(&schema, &rows), AQ_OK);
        for (; rows.row_count < 20000; rows.row_count++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            int64_t n = (int64_t)((random >> 33) % 65536 >> (random >> 50) % 16);
            cr_assert_eq(aq_vector_append_slice(&rows.columns[0], aq_slice_of("hue")), AQ_OK);
            cr_assert_eq(aq_vector_append_int(&rows.columns[1], (int64_t)rows.row_count), AQ_OK);
            if (kind == NULLS && rows.row_count / 30 % 2 == 0)
                cr_assert_eq(aq_vector_append_null(&rows.columns[2]), AQ_OK);
            else
                cr_assert_eq(aq_vector_append_int(&rows.columns[2], kind == RESTLESS ? n : n % 2),
                             AQ_OK);
        }
        write_archive(&schema, &rows, 1, NULL, &file, NULL, &content);
        uint32_t features = aq_load_u32(file.data + root_offset(&file) + AT_INCOMPATIBLE);
        cr_assert_eq(features & AQ_ARCHIVE_WITH_LATE, kind == CALM ? 0 : AQ_ARCHIVE_WITH_LATE);
        cr_assert_eq(read_archive(aq_bytes_view(&file), &read, NULL), AQ_OK);
        cr_assert_eq(memcmp(&read, &content, sizeof read), 0);
        aq_bytes_deinit(&file);
        aq_batch_deinit(&rows);
    }
}
