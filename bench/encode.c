/* How fast this machine codes the tiles of an archive: what a merge of the same rows can reach at most, had it nothing
 * else to do. Usage: encode ARCHIVE... ; prints rows a second.
 *
 * All tiles are decoded first, then coded on all cores. Failures: a message and exit code 1. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/archive_file.h"
#include "compaction/merge/workers.h"
#include "engine/base/clock.h"

struct bench {
    struct archive_file file;
    struct aq_batch *tiles;
    enum aq_status *statuses;
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
        AQ_TRY(aq_chunk_decode(archive_file_chunk(&bench->file, chunk), chunk, entry->row_count,
                               &batch->arena, &batch->columns[i], err));
    }
    batch->row_count = entry->row_count;
    return AQ_OK;
}

static void encode_task(void *context, size_t index)
{
    struct bench *bench = context;
    struct aq_archive_options options = {.schema = &bench->file.root.schema};
    struct aq_archive_tile *tile;
    bench->statuses[index] = aq_archive_tile_encode(&options, &bench->tiles[index], &tile, NULL);
    aq_archive_tile_destroy(tile);
}

/* Seconds to code the archive's tiles. */
static double encode(const char *path, const struct aq_workers *workers, uint64_t *row_count)
{
    struct bench bench = {0};
    struct aq_error err = {0};
    enum aq_status status = archive_file_read(path, &bench.file, &err);
    if (status == AQ_OK) {
        bench.tiles = calloc(bench.file.root.tile_count + 1, sizeof *bench.tiles);
        bench.statuses = calloc(bench.file.root.tile_count + 1, sizeof *bench.statuses);
        if (bench.tiles == NULL || bench.statuses == NULL)
            status = aq_error_set(&err, AQ_NO_MEMORY, "is too large");
    }
    for (size_t i = 0; status == AQ_OK && i < bench.file.root.tile_count; i++)
        status = decode_tile(&bench, i, &err);
    if (status != AQ_OK)
        fail(path, &err);
    int64_t begin_us = aq_clock_us();
    workers->executor.run(workers->executor.context, bench.file.root.tile_count, encode_task,
                          &bench);
    double seconds = aq_clock_seconds_since(begin_us);
    for (size_t i = 0; i < bench.file.root.tile_count; i++) {
        if (bench.statuses[i] != AQ_OK)
            fail(path, &(struct aq_error){.message = "cannot be coded"});
        aq_batch_deinit(&bench.tiles[i]);
    }
    *row_count += bench.file.root.row_count;
    free(bench.tiles);
    free(bench.statuses);
    aq_arena_deinit(&bench.file.arena);
    return seconds;
}

int main(int argc, char **argv)
{
    struct aq_workers workers;
    uint64_t row_count = 0;
    double seconds = 0;
    aq_workers_init(&workers, 0);
    for (int i = 1; i < argc; i++)
        seconds += encode(argv[i], &workers, &row_count);
    if (argc < 2 || row_count == 0) {
        fprintf(stderr, "usage: encode ARCHIVE...\n");
        return 1;
    }
    printf("%.0f\n", (double)row_count / seconds);
    return 0;
}
