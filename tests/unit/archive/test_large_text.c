/* A column of text that is larger than memory may be: written and read tile by tile. 32 MiB in the short run;
 * AQ_TEXT_MIB=1024 for a GiB. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/archive/archive_bytes.h"

#define VALUE_BYTES 4096
#define TILE_ROWS 2048
#define TILE_MIB (VALUE_BYTES * TILE_ROWS >> 20)
#define MEMORY_MIB_MAX 160 /* that a tile of 8 MiB, its codes and its copies may take */

static struct aq_column columns[] = {
    {.name = "n", .type = AQ_TYPE_BIGINT, .id = 1},
    {.name = "body", .type = AQ_TYPE_TEXT, .id = 2},
};

static enum aq_status to_file(void *context, const void *data, size_t size, struct aq_error *err)
{
    if (fwrite(data, 1, size, context) == size)
        return AQ_OK;
    return aq_error_set(err, AQ_DISK_FULL, "no room for a temporary file");
}

/* Text of which zstd makes about a half: hexadecimal digits of noise. */
static void fill(struct aq_batch *rows, const struct aq_schema *schema, uint64_t tile)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t state = tile;
    if (rows->columns == NULL)
        cr_assert_eq(aq_schema_batch_init(schema, false, rows), AQ_OK);
    aq_batch_clear(rows);
    for (uint64_t row = 0; row < TILE_ROWS; row++) {
        char *text = aq_arena_alloc(&rows->arena, VALUE_BYTES);
        cr_assert_not_null(text);
        for (size_t i = 0; i < VALUE_BYTES; i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            text[i] = digits[state >> 60];
        }
        cr_assert_eq(aq_vector_append_int(&rows->columns[0], (int64_t)(tile * TILE_ROWS + row)),
                     AQ_OK);
        cr_assert_eq(aq_vector_append_slice(&rows->columns[1], aq_slice_make(text, VALUE_BYTES)),
                     AQ_OK);
        rows->row_count++;
    }
}

static void write_file(FILE *file, const struct aq_schema *schema, uint64_t tile_count,
                       struct aq_bytes *root, struct aq_content_hash *content)
{
    struct aq_archive_options options = {
        .schema = schema, .zstd_level = 1, .sink = to_file, .sink_context = file};
    struct aq_archive_writer *writer;
    struct aq_batch rows = {0};
    struct aq_error err = {0};
    cr_assert_eq(aq_archive_writer_create(&options, &writer, &err), AQ_OK, "%s", err.message);
    for (uint64_t tile = 0; tile < tile_count; tile++) {
        fill(&rows, schema, tile);
        cr_assert_eq(aq_archive_writer_tile(writer, &rows, &err), AQ_OK, "%s", err.message);
    }
    cr_assert_eq(aq_archive_writer_finish(writer, root, content, &err), AQ_OK, "%s", err.message);
    aq_archive_writer_destroy(writer);
    aq_batch_deinit(&rows);
    cr_assert_eq(fflush(file), 0);
}

static void read_at(FILE *file, uint64_t offset, size_t size, struct aq_bytes *bytes)
{
    aq_bytes_clear(bytes);
    uint8_t *at = aq_bytes_reserve(bytes, size);
    cr_assert_not_null(at);
    cr_assert_eq(pread(fileno(file), at, size, (off_t)offset), (ssize_t)size);
    bytes->size = size;
}

static void read_tile_of(FILE *file, const struct aq_archive_root *root, size_t index,
                         struct aq_batch *rows, struct aq_content_hash *content)
{
    const struct aq_tile_entry *tile = &root->tiles[index];
    struct aq_tile_directory directory;
    struct aq_bytes bytes = {0};
    struct aq_content_hash own;
    struct aq_error err = {0};
    aq_batch_clear(rows);
    read_at(file, tile->directory_offset, tile->directory_size_bytes, &bytes);
    cr_assert_eq(
        aq_tile_directory_decode(aq_bytes_view(&bytes), tile, root, &rows->arena, &directory, &err),
        AQ_OK, "%s", err.message);
    for (size_t i = 0; i < directory.chunk_count; i++) {
        read_at(file, directory.chunks[i].offset, directory.chunks[i].size_bytes, &bytes);
        cr_assert_eq(aq_chunk_decode(aq_bytes_view(&bytes), (struct aq_slice){0},
                                     &directory.chunks[i], tile->row_count, &rows->arena,
                                     &rows->columns[i], &err),
                     AQ_OK, "%s", err.message);
    }
    rows->row_count = tile->row_count;
    cr_assert_eq(aq_batch_content_hash(rows, rows->column_count, &own), AQ_OK);
    aq_content_hash_add(content, &own);
    aq_bytes_deinit(&bytes);
}

Test(large_text, is_written_and_read_within_memory, .timeout = 36000)
{
    const char *wanted = getenv("AQ_TEXT_MIB");
    uint64_t tile_count = (wanted == NULL ? 32 : strtoull(wanted, NULL, 10)) / TILE_MIB;
    struct aq_schema schema = {.dataset_id = 1,
                               .version = 1,
                               .dataset = "bodies",
                               .column_count = 2,
                               .columns = columns,
                               .key_column = AQ_COLUMN_NONE,
                               .time_column = AQ_COLUMN_NONE,
                               .version_column = AQ_COLUMN_NONE};
    struct aq_content_hash written, read = {0};
    struct aq_bytes root_bytes = {0};
    struct aq_arena arena = {0};
    struct aq_archive_root root;
    struct aq_batch rows;
    struct aq_error err = {0};
    struct rusage usage;
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    write_file(file, &schema, tile_count, &root_bytes, &written);
    cr_assert_eq(aq_archive_root_decode(aq_bytes_view(&root_bytes), &arena, &root, &err), AQ_OK);
    cr_assert_eq(root.tile_count, tile_count);
    cr_assert_eq(aq_schema_stored_batch_init(&schema, &rows), AQ_OK);
    for (size_t i = 0; i < root.tile_count; i++)
        read_tile_of(file, &root, i, &rows, &read);
    cr_assert(aq_content_hash_equal(&written, &read));
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    if (wanted != NULL)
        printf("%llu MiB of text, %llu in the file, %ld MiB of memory\n",
               (unsigned long long)tile_count * TILE_MIB,
               (unsigned long long)(root.file_size_bytes >> 20), usage.ru_maxrss >> 10);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    cr_assert_lt(usage.ru_maxrss >> 10, MEMORY_MIB_MAX);
#endif
    aq_batch_deinit(&rows);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&root_bytes);
    fclose(file);
}
