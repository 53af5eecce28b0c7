/* How fast one core decodes. Two uses:
 *
 *     decode column PROFILE TYPE FILE    a file of 64-bit integers or doubles, or of lines of text, is coded in tiles
 *                                        of 65,536 rows and decoded again
 *     decode scan ARCHIVE                every double in an archive, checksums verified, added up
 *
 * Prints one line of JSON: seconds are of this thread's processor time, the least of many passes. `hash` is of the decoded
 * values with their places: sum of bits x (2 row + 1), modulo 2^64; of text, of lengths and first bytes.
 * Failures: a message and exit code 1. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/archive/archive_file.h"
#include "format/base/checksum.h"
#include "format/encode/encode.h"

#define PASSES_MIN 9
#define SECONDS_MIN 0.05
#define PASS_SECONDS_MIN 1e-4
#define PARTIAL_SUMS 128 /* so many that the compiler adds vectors of them */
#ifdef __x86_64__
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define CLONES
#endif

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fail(const char *what, const struct aq_error *err)
{
    fprintf(stderr, "decode: %s: %s\n", what, err->message);
    exit(1);
}

static void check(const char *what, enum aq_status status, const struct aq_error *err)
{
    if (status < 0)
        fail(what, err->status < 0 ? err : &(struct aq_error){.message = "failed"});
}

/* Seconds of the fastest pass; of several together if the clock hardly sees one. */
static double fastest(void (*pass)(void *context), void *context)
{
    double best = 1e9;
    double begin = cpu_seconds();
    for (size_t done = 0; done < PASSES_MIN || cpu_seconds() - begin < SECONDS_MIN; done++) {
        double start = cpu_seconds();
        double seconds = 0;
        size_t count = 0;
        for (; seconds < PASS_SECONDS_MIN; count++) {
            pass(context);
            seconds = cpu_seconds() - start;
        }
        best = seconds / (double)count < best ? seconds / (double)count : best;
    }
    return best;
}

/* ---- one column ---- */

struct tile {
    size_t row_count;
    size_t offset; /* of its coded bytes */
    size_t size;
};

struct column {
    enum aq_type type;
    struct aq_vector values;
    struct aq_bytes coded;
    struct tile *tiles;
    size_t tile_count;
    struct aq_vector decoded; /* of one tile at a time */
    struct aq_arena arena;
    struct aq_decode_scratch scratch;
    uint64_t sink;
};

static struct aq_slice tile_bytes(const struct column *column, size_t index)
{
    const struct tile *tile = &column->tiles[index];
    return aq_slice_make(column->coded.data + tile->offset, tile->size);
}

static void decode_tile(struct column *column, size_t index)
{
    struct aq_error err = {0};
    struct aq_wanted all = {.end = column->tiles[index].row_count};
    aq_arena_reset(&column->arena);
    check("tile",
          aq_column_decode_rows(tile_bytes(column, index), column->type, all.end, &all,
                                &column->scratch, &column->arena, &column->decoded, &err),
          &err);
}

static void decode_pass(void *context)
{
    struct column *column = context;
    for (size_t i = 0; i < column->tile_count; i++)
        decode_tile(column, i);
}

static void checksum_pass(void *context)
{
    struct column *column = context;
    for (size_t i = 0; i < column->tile_count; i++) {
        struct aq_slice bytes = tile_bytes(column, i);
        column->sink += aq_checksum(bytes.data, bytes.size);
    }
}

/* The same bytes that decoding writes. */
static void copy_pass(void *context)
{
    struct column *column = context;
    size_t width = column->type == AQ_TYPE_TEXT ? sizeof(struct aq_slice) : sizeof(int64_t);
    const uint8_t *from = column->values.values;
    for (size_t i = 0; i < column->tile_count; i++) {
        size_t size = column->tiles[i].row_count * width;
        memcpy(column->decoded.values, from, size);
        from += size;
        column->sink += (uint64_t)column->decoded.ints[0];
    }
}

static uint64_t row_word(const struct aq_vector *vector, size_t row)
{
    if (vector->type != AQ_TYPE_TEXT)
        return (uint64_t)vector->ints[row];
    struct aq_slice text = vector->slices[row];
    return text.size * 256 + (text.size == 0 ? 0 : *(const uint8_t *)text.data);
}

static uint64_t decoded_hash(struct column *column)
{
    uint64_t hash = 0;
    uint64_t place = 1;
    for (size_t i = 0; i < column->tile_count; i++) {
        decode_tile(column, i);
        for (size_t row = 0; row < column->tiles[i].row_count; row++, place += 2)
            hash += row_word(&column->decoded, row) * place;
    }
    return hash;
}

static enum aq_status take_values(const char *path, struct column *column)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return AQ_IO;
    size_t size = (size_t)stat.st_size;
    char *bytes = malloc(size + 1); /* lines point into it to the end */
    enum aq_status status =
        bytes == NULL ? AQ_NO_MEMORY : aq_io_pread_exact(fd, path, 0, bytes, size, NULL);
    close(fd);
    AQ_TRY(status);
    if (column->type != AQ_TYPE_TEXT) {
        AQ_TRY(aq_vector_reserve(&column->values, size / 8));
        AQ_TRY(aq_vector_resize(&column->values, size / 8));
        memcpy(column->values.values, bytes, size);
        free(bytes);
        return AQ_OK;
    }
    for (size_t at = 0; at < size;) {
        size_t end = (size_t)((char *)memchr(bytes + at, '\n', size - at) - bytes);
        AQ_TRY(aq_vector_append_slice(&column->values, aq_slice_make(bytes + at, end - at)));
        at = end + 1;
    }
    return AQ_OK;
}

static enum aq_status code(struct column *column, enum aq_profile profile)
{
    size_t row_count = column->values.row_count;
    column->tiles = calloc(row_count / AQ_TILE_ROWS_MAX + 1, sizeof *column->tiles);
    if (column->tiles == NULL)
        return AQ_NO_MEMORY;
    for (size_t first = 0; first < row_count; first += AQ_TILE_ROWS_MAX) {
        size_t left = row_count - first;
        struct tile *tile = &column->tiles[column->tile_count++];
        tile->row_count = left < AQ_TILE_ROWS_MAX ? left : AQ_TILE_ROWS_MAX;
        tile->offset = column->coded.size;
        AQ_TRY(aq_column_encode(&column->values, first, tile->row_count, profile, &column->coded));
        tile->size = column->coded.size - tile->offset;
    }
    AQ_TRY(aq_vector_reserve(&column->decoded, AQ_TILE_ROWS_MAX));
    return column->tile_count == 0 ? AQ_INVALID : AQ_OK;
}

static enum aq_profile profile_of(const char *name)
{
    if (strcmp(name, "frame") == 0)
        return AQ_PROFILE_FRAME;
    return strcmp(name, "fast") == 0 ? AQ_PROFILE_FAST : AQ_PROFILE_ARCHIVE;
}

static int measure_column(const char *profile, const char *type, const char *path)
{
    struct column column = {.type = strcmp(type, "text") == 0     ? AQ_TYPE_TEXT
                                    : strcmp(type, "double") == 0 ? AQ_TYPE_DOUBLE
                                                                  : AQ_TYPE_BIGINT};
    struct aq_error err = {0};
    char text[256];
    aq_vector_init(&column.values, column.type);
    aq_vector_init(&column.decoded, column.type);
    check(path, take_values(path, &column), &err);
    check(path, code(&column, profile_of(profile)), &err);
    check(path, aq_column_describe(tile_bytes(&column, 0), text, sizeof text, &err), &err);
    double decode = fastest(decode_pass, &column);
    double copy = fastest(copy_pass, &column);
    double checksum = fastest(checksum_pass, &column);
    printf(
        "{\"rows\": %zu, \"bytes\": %zu, \"encoding\": \"%s\", \"decode\": %.9f, \"copy\": %.9f, "
        "\"checksum\": %.9f, \"hash\": \"%016llx\"}\n",
        column.values.row_count, column.coded.size, text, decode, copy, checksum,
        (unsigned long long)decoded_hash(&column));
    return 0;
}

/* ---- an archive's doubles ---- */

struct scan {
    struct archive_file file;
    struct aq_tile_directory *directories;
    struct aq_vector decoded;
    struct aq_arena arena;
    struct aq_decode_scratch scratch;
    double *sums; /* one a column */
};

/* `valid`: NULL, or a byte a value. */
CLONES static double add_up(const double *values, const uint8_t *valid, size_t count)
{
    double sums[PARTIAL_SUMS] = {0};
    size_t row = 0;
    for (; valid == NULL && row + PARTIAL_SUMS <= count; row += PARTIAL_SUMS)
        for (size_t i = 0; i < PARTIAL_SUMS; i++)
            sums[i] += values[row + i];
    for (; valid != NULL && row + PARTIAL_SUMS <= count; row += PARTIAL_SUMS)
        for (size_t i = 0; i < PARTIAL_SUMS; i++)
            sums[i] += valid[row + i] != 0 ? values[row + i] : 0;
    for (; row < count; row++)
        sums[0] += valid == NULL || valid[row] != 0 ? values[row] : 0;
    double sum = 0;
    for (size_t i = 0; i < PARTIAL_SUMS; i++)
        sum += sums[i];
    return sum;
}

static void scan_chunk(struct scan *scan, size_t tile, size_t column)
{
    struct aq_error err = {0};
    const struct aq_chunk_entry *chunk = &scan->directories[tile].chunks[column];
    uint32_t row_count = scan->file.root.tiles[tile].row_count;
    struct aq_chunk_coded coded = {0};
    struct aq_wanted all = {.end = row_count};
    check("chunk", aq_chunk_open(archive_file_chunk(&scan->file, chunk), chunk, &coded.own, &err),
          &err);
    if (chunk->leader != NULL)
        check("chunk",
              aq_chunk_open(archive_file_leader(&scan->file, chunk), chunk->leader, &coded.leader,
                            &err),
              &err);
    check("column",
          aq_chunk_decode_rows(&coded, chunk, row_count, &all, &scan->scratch, &scan->arena,
                               &scan->decoded, &err),
          &err);
    scan->sums[column] += add_up(scan->decoded.doubles, scan->decoded.valid, row_count);
}

static void scan_pass(void *context)
{
    struct scan *scan = context;
    const struct aq_schema *schema = &scan->file.root.schema;
    memset(scan->sums, 0, schema->column_count * sizeof *scan->sums);
    for (size_t tile = 0; tile < scan->file.root.tile_count; tile++)
        for (size_t c = 0; c < schema->column_count; c++)
            if (schema->columns[c].type == AQ_TYPE_DOUBLE)
                scan_chunk(scan, tile, c);
}

static void scan_checksums(void *context)
{
    struct scan *scan = context;
    const struct aq_schema *schema = &scan->file.root.schema;
    for (size_t tile = 0; tile < scan->file.root.tile_count; tile++)
        for (size_t c = 0; c < schema->column_count; c++) {
            const struct aq_chunk_entry *chunk = &scan->directories[tile].chunks[c];
            struct aq_slice bytes = archive_file_chunk(&scan->file, chunk);
            if (schema->columns[c].type == AQ_TYPE_DOUBLE &&
                aq_checksum(bytes.data, bytes.size) != chunk->checksum)
                fail("chunk", &(struct aq_error){.message = "is damaged"});
        }
}

static int measure_scan(const char *path)
{
    struct scan scan = {0};
    struct aq_error err = {0};
    check(path, archive_file_read(path, &scan.file, &err), &err);
    const struct aq_archive_root *root = &scan.file.root;
    scan.directories = calloc(root->tile_count + 1, sizeof *scan.directories);
    scan.sums = calloc(root->schema.column_count + 1, sizeof *scan.sums);
    if (scan.directories == NULL || scan.sums == NULL)
        fail(path, &(struct aq_error){.message = "out of memory"});
    for (size_t i = 0; i < root->tile_count; i++)
        check(path, archive_file_directory(&scan.file, &root->tiles[i], &scan.directories[i], &err),
              &err);
    aq_vector_init(&scan.decoded, AQ_TYPE_DOUBLE);
    double seconds = fastest(scan_pass, &scan);
    double checksums = fastest(scan_checksums, &scan);
    printf("{\"rows\": %llu, \"scan\": %.9f, \"checksum\": %.9f, \"sums\": {",
           (unsigned long long)root->row_count, seconds, checksums);
    const char *between = "";
    for (size_t c = 0; c < root->schema.column_count; c++)
        if (root->schema.columns[c].type == AQ_TYPE_DOUBLE) {
            printf("%s\"%s\": %.17g", between, root->schema.columns[c].name, scan.sums[c]);
            between = ", ";
        }
    printf("}}\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "column") == 0)
        return measure_column(argv[2], argv[3], argv[4]);
    if (argc == 3 && strcmp(argv[1], "scan") == 0)
        return measure_scan(argv[2]);
    fprintf(stderr, "usage: decode column PROFILE TYPE FILE, or decode scan ARCHIVE\n");
    return 1;
}
