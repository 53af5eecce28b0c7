/* How much of an archive tombstones have removed, and whether it pays to write it anew.
 *
 * What the catalog has of an archive are its tiles with their bounds of time and key: a tile counts as removed as
 * far as its times, taken to lie evenly, are in the span of a tombstone on all keys or on its only key. At half it
 * pays: an archive that loses a day each night is written about as often as it has bytes, and no more.
 * Failures: a root that does not decode is taken for one that has lost nothing; reading it says more. */
#include "compaction/plan/plan_internal.h"
#include "engine/store/snapshot/tombstone.h"
#include "format/archive/archive.h"

static bool is_about(const struct aq_catalog_tombstone *tombstone, const struct aq_tile_entry *tile)
{
    return tombstone->key_count == 0 || (aq_slice_equal(tile->key_min, tile->key_max) &&
                                         aq_tombstone_has_key(tombstone, tile->key_min));
}

/* The greatest part of the tile that one tombstone removes. */
static double removed_part(const struct aq_plan_dataset *dataset,
                           const struct aq_catalog_file *file, const struct aq_tile_entry *tile)
{
    double most = 0;
    for (size_t i = 0; i < dataset->catalog->tombstone_count; i++) {
        const struct aq_catalog_tombstone *tombstone = &dataset->catalog->tombstones[i];
        if (!aq_tombstone_touches(tombstone, file) || !is_about(tombstone, tile))
            continue;
        double from = (double)tombstone->from_us > (double)tile->min_time_us
                          ? (double)tombstone->from_us
                          : (double)tile->min_time_us;
        double until = (double)tombstone->until_us < (double)tile->max_time_us + 1
                           ? (double)tombstone->until_us
                           : (double)tile->max_time_us + 1;
        double whole = (double)tile->max_time_us - (double)tile->min_time_us + 1;
        double part = !tile->has_time ? 1 : until > from ? (until - from) / whole : 0;
        most = part > most ? part : most;
    }
    return most;
}

static bool is_touched(const struct aq_catalog *catalog, const struct aq_catalog_file *file)
{
    for (size_t i = 0; i < catalog->tombstone_count; i++) {
        if (aq_tombstone_touches(&catalog->tombstones[i], file))
            return true;
    }
    return false;
}

/* About how many of its rows in a hundred; 100: all of them, for certain. */
static unsigned removed_percent(const struct aq_plan_dataset *dataset,
                                const struct aq_catalog_file *file)
{
    struct aq_archive_root root;
    struct aq_arena arena = {0};
    double removed = 0;
    uint64_t rows = 0;
    bool whole = true;
    if (!is_touched(dataset->catalog, file))
        return 0;
    if (aq_archive_root_decode(file->root, &arena, &root, NULL) != AQ_OK)
        root.tile_count = 0;
    for (size_t i = 0; i < root.tile_count; i++) {
        double part = removed_part(dataset, file, &root.tiles[i]);
        removed += part * root.tiles[i].row_count;
        rows += root.tiles[i].row_count;
        whole = whole && part >= 1;
    }
    aq_arena_deinit(&arena);
    if (rows == 0)
        return 0;
    unsigned percent = (unsigned)(100 * removed / (double)rows);
    return whole ? 100 : percent < 99 ? percent : 99;
}

enum aq_status aq_plan_take_removed(struct aq_plan_dataset *dataset)
{
    for (size_t i = 0; i < dataset->piece_count; i++) {
        struct aq_plan_piece *piece = &dataset->pieces[i];
        bool gone =
            piece->file->evicted; /* costs a read from the bucket, unless all of it is gone */
        if (piece->input || (!piece->allowed && !gone))
            continue;
        unsigned percent = removed_percent(dataset, piece->file);
        if (percent < (gone ? 100u : 50u))
            continue;
        piece->input = true;
        piece->verdict->reason =
            aq_arena_format(dataset->arena, "%s%u%% of its rows have been removed",
                            percent < 100 ? "about " : "", percent);
        if (piece->verdict->reason == NULL)
            return AQ_NO_MEMORY;
    }
    return AQ_OK;
}
