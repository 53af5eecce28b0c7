/* How fast this machine codes the tiles of an archive: what a merge of the same rows can reach at most, had it nothing
 * else to do. Usage: encode ARCHIVE... ; prints rows a second on all cores.
 *        encode --one (archive|fast) ARCHIVE... ; prints microseconds of CPU a row on one core, and bytes a row.
 *
 * All tiles are decoded first, then coded. Failures: a message and exit code 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/archive/archive_file.h"
#include "engine/base/workers.h"
#include "engine/base/clock.h"

#define PASSES 5

struct bench {
    struct archive_file file;
    struct aq_batch *tiles;
    enum aq_status *statuses;
    bool fast;
    uint64_t size_bytes; /* coded, where one core does it */
};

static void fail(const char *path, const struct aq_error *err)
{
    fprintf(stderr, "encode: %s: %s\n", path, err->message);
    exit(1);
}

static enum aq_status decode_tile(struct bench *bench, size_t index, struct aq_error *err)
{
    const struct aq_tile_entry *entry = &bench->file.root.tiles[index];
    struct aq_batch *batch = &bench->tiles[index];
    struct aq_tile_directory directory;
    AQ_TRY(aq_schema_stored_batch_init(&bench->file.root.schema, batch));
    AQ_TRY(archive_file_directory(&bench->file, entry, &directory, err));
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct aq_chunk_entry *chunk = &directory.chunks[i];
        AQ_TRY(aq_chunk_decode(archive_file_chunk(&bench->file, chunk),
                               archive_file_leader(&bench->file, chunk), chunk, entry->row_count,
                               &batch->arena, &batch->columns[i], err));
    }
    batch->row_count = entry->row_count;
    return AQ_OK;
}

static void encode_task(void *context, size_t index)
{
    struct bench *bench = context;
    struct aq_archive_options options = {.schema = &bench->file.root.schema, .fast = bench->fast};
    struct aq_archive_tile *tile;
    bench->statuses[index] = aq_archive_tile_encode(&options, &bench->tiles[index], &tile, NULL);
    aq_archive_tile_destroy(tile);
}

static void load(const char *path, struct bench *bench)
{
    struct aq_error err = {0};
    enum aq_status status = archive_file_read(path, &bench->file, &err);
    if (status == AQ_OK) {
        bench->tiles = calloc(bench->file.root.tile_count + 1, sizeof *bench->tiles);
        bench->statuses = calloc(bench->file.root.tile_count + 1, sizeof *bench->statuses);
        if (bench->tiles == NULL || bench->statuses == NULL)
            status = aq_error_set(&err, AQ_NO_MEMORY, "is too large");
    }
    for (size_t i = 0; status == AQ_OK && i < bench->file.root.tile_count; i++)
        status = decode_tile(bench, i, &err);
    if (status != AQ_OK)
        fail(path, &err);
}

static void unload(const char *path, struct bench *bench)
{
    for (size_t i = 0; i < bench->file.root.tile_count; i++) {
        if (bench->statuses[i] != AQ_OK)
            fail(path, &(struct aq_error){.message = "cannot be coded"});
        aq_batch_deinit(&bench->tiles[i]);
    }
    free(bench->tiles);
    free(bench->statuses);
    aq_arena_deinit(&bench->file.arena);
}

/* Rows/s of all cores. */
static int encode_on_all(int count, char **paths)
{
    struct aq_workers workers;
    uint64_t row_count = 0;
    double seconds = 0;
    aq_workers_init(&workers, 0);
    for (int i = 0; i < count; i++) {
        struct bench bench = {0};
        load(paths[i], &bench);
        int64_t begin_us = aq_clock_us();
        workers.executor.run(workers.executor.context, bench.file.root.tile_count, encode_task,
                             &bench);
        seconds += aq_clock_seconds_since(begin_us);
        row_count += bench.file.root.row_count;
        unload(paths[i], &bench);
    }
    printf("%.0f\n", (double)row_count / seconds);
    return 0;
}

static enum aq_status discard(void *context, const void *data, size_t size, struct aq_error *err)
{
    struct bench *bench = context;
    (void)data;
    (void)err;
    bench->size_bytes += size;
    return AQ_OK;
}

static enum aq_status write_archive(struct bench *bench, struct aq_error *err)
{
    struct aq_archive_options options = {.schema = &bench->file.root.schema,
                                         .fast = bench->fast,
                                         .sink = discard,
                                         .sink_context = bench};
    struct aq_archive_writer *writer;
    AQ_TRY(aq_archive_writer_create(&options, &writer, err));
    enum aq_status status = AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < bench->file.root.tile_count; i++)
        status = aq_archive_writer_tile(writer, &bench->tiles[i], err);
    if (status == AQ_OK)
        status = aq_archive_writer_finish(writer, NULL, NULL, err);
    aq_archive_writer_destroy(writer);
    return status;
}

/* Microseconds of CPU a row of writing whole archives by one core, the least of some passes; bytes a row. */
static int encode_on_one(bool fast, int count, char **paths)
{
    uint64_t row_count = 0;
    uint64_t size_bytes = 0;
    double seconds = 0;
    for (int i = 0; i < count; i++) {
        struct bench bench = {.fast = fast};
        struct aq_error err = {0};
        double best = 1e9;
        load(paths[i], &bench);
        for (int pass = 0; pass < PASSES; pass++) {
            clock_t begin = clock();
            bench.size_bytes = 0;
            if (write_archive(&bench, &err) != AQ_OK)
                fail(paths[i], &err);
            double took = (double)(clock() - begin) / CLOCKS_PER_SEC;
            best = took < best ? took : best;
        }
        seconds += best;
        size_bytes += bench.size_bytes;
        row_count += bench.file.root.row_count;
        unload(paths[i], &bench);
    }
    printf("%.4f %.3f\n", seconds * 1e6 / (double)row_count,
           (double)size_bytes / (double)row_count);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "--one") == 0)
        return encode_on_one(strcmp(argv[2], "fast") == 0, argc - 3, argv + 3);
    if (argc > 1 && argv[1][0] != '-')
        return encode_on_all(argc - 1, argv + 1);
    fprintf(stderr, "usage: encode ARCHIVE... | encode --one (archive|fast) ARCHIVE...\n");
    return 1;
}
