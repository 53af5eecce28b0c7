/* Writing sorted rows as tiles.
 *
 * The rows are cut first. Then each core takes the next tile, gathers its rows and codes it; whoever is done
 * hands it on if it is the next one of the file, and those that wait behind it, while the others go on coding.
 * Where there are too few tiles for that the columns of each are coded side by side.
 *
 * Failures: the first one stops the rest. */
#include "compaction/merge/write/tile_write.h"

#include <pthread.h>
#include <stdlib.h>

struct tile {
    size_t first_span;
    size_t span_count;
    struct aq_archive_tile *coded; /* waiting to be handed on */
};

struct writer {
    const struct aq_row_stretch *stretches;
    const struct aq_sorted_rows *rows;
    struct aq_archive_options options;
    aq_coded_tile_fn take;
    void *context;
    struct tile *tiles;
    size_t tile_count;
    size_t tile_capacity;
    struct aq_row_span *spans;
    size_t span_count;
    size_t span_capacity;
    pthread_mutex_t lock; /* of what follows, and of tiles' `coded` */
    size_t next;          /* tile to hand on */
    bool handing_on;      /* somebody is */
    enum aq_status status;
    struct aq_error err;
};

static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count <= *capacity)
        return array;
    size_t grown = 2 * *capacity + count;
    void *moved = realloc(array, grown * size);
    if (moved != NULL)
        *capacity = grown;
    return moved;
}

/* Cutting only notes what each tile is made of. */
static enum aq_status note_tile(void *context, const struct aq_row_span *spans, size_t span_count,
                                size_t row_count, struct aq_error *err)
{
    struct writer *writer = context;
    (void)row_count;
    struct tile *tiles =
        grow(writer->tiles, writer->tile_count + 1, &writer->tile_capacity, sizeof *tiles);
    if (tiles != NULL)
        writer->tiles = tiles;
    struct aq_row_span *all =
        grow(writer->spans, writer->span_count + span_count, &writer->span_capacity, sizeof *all);
    if (all != NULL)
        writer->spans = all;
    if (tiles == NULL || all == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to cut rows into tiles");
    tiles[writer->tile_count++] = (struct tile){writer->span_count, span_count, NULL};
    for (size_t i = 0; i < span_count; i++)
        all[writer->span_count++] = spans[i];
    return AQ_OK;
}

static size_t rows_of(const struct writer *writer, const struct tile *tile)
{
    size_t count = 0;
    for (size_t s = 0; s < tile->span_count; s++)
        count += writer->spans[tile->first_span + s].count;
    return count;
}

static enum aq_status gather(const struct writer *writer, const struct tile *tile,
                             struct aq_batch *batch)
{
    size_t piece_count = 0;
    struct aq_row_piece *pieces = malloc(rows_of(writer, tile) * sizeof *pieces);
    if (pieces == NULL)
        return AQ_NO_MEMORY;
    for (size_t s = 0; s < tile->span_count; s++) {
        const struct aq_row_span *span = &writer->spans[tile->first_span + s];
        piece_count +=
            aq_rows_pieces(writer->rows->refs + span->first, span->count, pieces + piece_count);
    }
    enum aq_status status = aq_rows_gather_all(writer->stretches, pieces, piece_count, batch);
    free(pieces);
    return status;
}

static enum aq_status code(const struct writer *writer, const struct tile *tile,
                           struct aq_archive_tile **coded, struct aq_error *err)
{
    struct aq_batch batch;
    enum aq_status status = aq_schema_stored_batch_init(writer->options.schema, &batch);
    if (status == AQ_OK)
        status = gather(writer, tile, &batch);
    if (status == AQ_OK)
        status = aq_archive_tile_encode(&writer->options, &batch, coded, err);
    else
        aq_error_set(err, status, "no memory to gather the rows of a tile");
    aq_batch_deinit(&batch);
    return status;
}

/* Hand on what is next, as long as it is there. Caller holds the lock, which is let go meanwhile. */
static void hand_on(struct writer *writer)
{
    writer->handing_on = true;
    while (writer->status == AQ_OK && writer->next < writer->tile_count &&
           writer->tiles[writer->next].coded != NULL) {
        struct aq_archive_tile *coded = writer->tiles[writer->next].coded;
        writer->tiles[writer->next++].coded = NULL;
        pthread_mutex_unlock(&writer->lock);
        struct aq_error err = {.offset = -1};
        enum aq_status status = writer->take(writer->context, coded, &err);
        aq_archive_tile_destroy(coded);
        pthread_mutex_lock(&writer->lock);
        if (status != AQ_OK && writer->status == AQ_OK) {
            writer->status = status;
            writer->err = err;
        }
    }
    writer->handing_on = false;
}

static void tile_task(void *context, size_t index)
{
    struct writer *writer = context;
    struct aq_archive_tile *coded = NULL;
    struct aq_error err = {.offset = -1};
    pthread_mutex_lock(&writer->lock);
    bool stopped = writer->status != AQ_OK;
    pthread_mutex_unlock(&writer->lock);
    if (stopped)
        return;
    enum aq_status status = code(writer, &writer->tiles[index], &coded, &err);
    pthread_mutex_lock(&writer->lock);
    writer->tiles[index].coded = coded;
    if (status != AQ_OK && writer->status == AQ_OK) {
        writer->status = status;
        writer->err = err;
    }
    if (!writer->handing_on)
        hand_on(writer);
    pthread_mutex_unlock(&writer->lock);
}

static void run(struct writer *writer, const struct aq_workers *workers)
{
    if (writer->tile_count >= 2 * workers->thread_count) {
        workers->executor.run(workers->executor.context, writer->tile_count, tile_task, writer);
        return;
    }
    writer->options.executor = &workers->executor;
    for (size_t i = 0; i < writer->tile_count; i++)
        tile_task(writer, i);
}

enum aq_status aq_tiles_write(const struct aq_archive_options *like,
                              const struct aq_row_stretch *stretches,
                              const struct aq_sorted_rows *rows, const struct aq_workers *workers,
                              aq_coded_tile_fn take, void *context, struct aq_error *err)
{
    struct writer writer = {
        .stretches = stretches,
        .rows = rows,
        .options = {.schema = like->schema, .fast = like->fast, .unhashed = true},
        .take = take,
        .context = context};
    bool timed = like->schema->time_column != AQ_COLUMN_NONE;
    enum aq_status status = aq_tile_cut(rows, timed, note_tile, &writer, err);
    if (status == AQ_OK) {
        pthread_mutex_init(&writer.lock, NULL);
        run(&writer, workers);
        pthread_mutex_destroy(&writer.lock);
        status = writer.status;
        if (status != AQ_OK && err != NULL)
            *err = writer.err;
    }
    for (size_t i = 0; i < writer.tile_count; i++)
        aq_archive_tile_destroy(writer.tiles[i].coded);
    free(writer.tiles);
    free(writer.spans);
    return status;
}
