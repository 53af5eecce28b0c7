/* Tiles of archives that are in the bucket: their directories, and fetching ahead.
 *
 * Happy path: a small tile is asked for whole, of others first the directories, which say where the columns
 * are, then the columns that are wanted; the object reader joins what lies together. What arrives is held in memory by the
 * object reader, and reading a unit finds it there.
 * Failures: fetching may be given too much, or be given nothing: reading a unit fetches what it lacks. */
#include "engine/store/snapshot/snapshot_internal.h"

#include <stdlib.h>

const struct aq_tile_directory *aq_unit_directory(const struct aq_unit *unit)
{
    const struct aq_unit_detail *detail = unit->detail;
    return __atomic_load_n(&detail->file->directories[unit->index], __ATOMIC_ACQUIRE);
}

const struct aq_chunk_entry *aq_unit_chunk(const struct aq_unit *unit, uint32_t column_id)
{
    const struct aq_tile_directory *tile =
        unit->kind == AQ_FILE_ARCHIVE ? aq_unit_directory(unit) : NULL;
    for (size_t i = 0; tile != NULL && i < tile->chunk_count; i++) {
        if (tile->chunks[i].column_id == column_id)
            return &tile->chunks[i];
    }
    return NULL;
}

const struct aq_column_stats *aq_unit_stats(const struct aq_unit *unit, uint32_t column_id)
{
    const struct aq_unit_detail *detail = unit->detail;
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    return chunk == NULL || detail->kept != NULL ? NULL : &chunk->stats;
}

const struct aq_run_entry *aq_unit_runs(const struct aq_unit *unit, size_t *run_count)
{
    const struct aq_tile_directory *tile =
        unit->kind == AQ_FILE_ARCHIVE ? aq_unit_directory(unit) : NULL;
    *run_count = tile == NULL ? 0 : tile->run_count;
    return tile == NULL ? NULL : tile->runs;
}

bool aq_unit_is_whole(const struct aq_unit *unit)
{
    const struct aq_unit_detail *detail = unit->detail;
    return detail->kept == NULL &&
           (unit->kind == AQ_FILE_SEGMENT || aq_unit_directory(unit) != NULL);
}

uint64_t aq_unit_column_bytes(const struct aq_unit *unit, uint32_t column_id)
{
    const struct aq_chunk_entry *chunk = aq_unit_chunk(unit, column_id);
    return chunk == NULL ? 0 : chunk->size_bytes;
}

/* Spans being collected. */
struct spans {
    struct aq_object_span *items;
    size_t count;
    size_t capacity;
};

static enum aq_status add_span(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                               uint64_t offset, uint64_t end, struct spans *spans)
{
    const struct aq_unit_detail *detail = unit->detail;
    if (spans->count == spans->capacity) {
        size_t capacity = spans->capacity * 2 + 16;
        struct aq_object_span *grown = realloc(spans->items, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        spans->items = grown;
        spans->capacity = capacity;
    }
    spans->items[spans->count++] =
        aq_file_cache_span(snapshot->cache, detail->file->index, offset, end - offset);
    return AQ_OK;
}

static const struct aq_tile_entry *tile_of(const struct aq_unit *unit)
{
    const struct aq_unit_detail *detail = unit->detail;
    return &detail->file->root.tiles[unit->index];
}

static uint64_t tile_end(const struct aq_tile_entry *tile)
{
    return tile->directory_offset + tile->directory_size_bytes;
}

/* Of small tiles all at once: between their directories there is no more than is fetched anyway. */
static enum aq_status want_directories(struct aq_snapshot *snapshot,
                                       const struct aq_unit *const *units, size_t unit_count,
                                       bool with_chunks, struct spans *spans)
{
    for (size_t i = 0; i < unit_count; i++) {
        if (!units[i]->remote || aq_unit_directory(units[i]) != NULL)
            continue;
        const struct aq_tile_entry *tile = tile_of(units[i]);
        bool whole = with_chunks && units[i]->size_bytes <= AQ_SMALL_TILE_BYTES;
        AQ_TRY(add_span(snapshot, units[i], whole ? tile->offset : tile->directory_offset,
                        tile_end(tile), spans));
    }
    return AQ_OK;
}

static enum aq_status want_chunks(struct aq_snapshot *snapshot, const struct aq_unit *const *units,
                                  size_t unit_count, const uint32_t *column_ids,
                                  size_t column_count, struct spans *spans)
{
    for (size_t i = 0; i < unit_count; i++) {
        for (size_t c = 0; c < column_count && units[i]->remote; c++) {
            const struct aq_chunk_entry *chunk = aq_unit_chunk(units[i], column_ids[c]);
            for (; chunk != NULL; chunk = chunk->leader)
                AQ_TRY(add_span(snapshot, units[i], chunk->offset,
                                chunk->offset + chunk->size_bytes, spans));
        }
    }
    return AQ_OK;
}

static enum aq_status read_directories(struct aq_snapshot *snapshot,
                                       const struct aq_unit *const *units, size_t unit_count,
                                       struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    pthread_mutex_lock(&snapshot->opening);
    for (size_t i = 0; i < unit_count && status == AQ_OK; i++) {
        const struct aq_unit_detail *detail = units[i]->detail;
        if (units[i]->remote)
            status = aq_snapshot_read_directory(snapshot, detail->file, units[i]->index, err);
    }
    pthread_mutex_unlock(&snapshot->opening);
    return status;
}

/* Ask for the spans; `status` is that of collecting them, which are released. */
static enum aq_status fetch_spans(struct aq_snapshot *snapshot, const struct aq_unit *remote,
                                  struct spans *spans, enum aq_status status, struct aq_error *err)
{
    const struct aq_unit_detail *detail = remote->detail;
    struct aq_object_reader *reader = NULL;
    if (status < 0)
        aq_error_set(err, status, "out of memory");
    if (status == AQ_OK)
        status = aq_file_cache_reader(snapshot->cache, detail->file->index, &reader, err);
    if (status == AQ_OK)
        status = aq_object_reader_fetch(reader, spans->items, spans->count, err);
    free(spans->items);
    *spans = (struct spans){0};
    return status;
}

enum aq_status aq_snapshot_prefetch(struct aq_snapshot *snapshot,
                                    const struct aq_unit *const *units, size_t unit_count,
                                    const uint32_t *column_ids, size_t column_count,
                                    struct aq_error *err)
{
    struct spans spans = {0};
    size_t first = 0;
    while (first < unit_count && !units[first]->remote)
        first++;
    if (first == unit_count)
        return AQ_OK;
    enum aq_status status =
        want_directories(snapshot, units, unit_count, column_ids != NULL, &spans);
    AQ_TRY(fetch_spans(snapshot, units[first], &spans, status, err));
    AQ_TRY(read_directories(snapshot, units, unit_count, err));
    if (column_ids == NULL)
        return AQ_OK;
    status = want_chunks(snapshot, units, unit_count, column_ids, column_count, &spans);
    return fetch_spans(snapshot, units[first], &spans, status, err);
}

enum aq_status aq_unit_prepare(struct aq_snapshot *snapshot, const struct aq_unit *unit,
                               const uint32_t *column_ids, size_t column_count,
                               struct aq_error *err)
{
    return unit->remote ? aq_snapshot_prefetch(snapshot, &unit, 1, column_ids, column_count, err)
                        : AQ_OK;
}

int64_t aq_snapshot_complete_until(const struct aq_snapshot *snapshot, uint32_t dataset_id)
{
    const struct aq_catalog *catalog = snapshot->catalog;
    if (!snapshot->store->is_mirror || snapshot->store->allow_incomplete)
        return INT64_MAX;
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        if (catalog->datasets[i].versions[0].dataset_id == dataset_id)
            return catalog->datasets[i].complete_until_us;
    }
    return INT64_MAX;
}
