/* Removed rows: what the catalog's tombstones leave of a dataset's units.
 *
 * Happy path: a unit is judged by its bounds of time and key; most are not touched, some removed whole and
 * no longer listed. Of a tile that loses some of its rows the directory tells which runs go, and only where a run
 * goes in part are times read; of a section time and key are. What is left is the unit's filter.
 * Failures: damage in what has to be read. */
#include "engine/store/snapshot/tombstone.h"
#include "engine/store/snapshot/unit_filter.h"

#include "format/table/key_text.h"

#include <stdlib.h>
#include <string.h>

/* How much of some rows a tombstone removes, by their bounds. */
enum share { NONE, SOME, ALL };

static enum share both(enum share a, enum share b)
{
    return a < b ? a : b;
}

struct removal {
    struct aq_snapshot *snapshot;
    struct aq_dataset_units *dataset;
    const struct aq_column *key; /* NULL: none, as for the time */
    const struct aq_column *time;
    /* Those on the dataset. */
    const struct aq_catalog_tombstone **tombstones;
    size_t tombstone_count;
};

/* Rows of a dataset without time are removed whatever the span. */
static enum share share_of_times(const struct removal *removal,
                                 const struct aq_catalog_tombstone *tombstone, bool has_time,
                                 int64_t min_us, int64_t max_us)
{
    if (removal->time == NULL)
        return ALL;
    if (!has_time || max_us < tombstone->from_us || min_us >= tombstone->until_us)
        return NONE;
    return min_us >= tombstone->from_us && max_us < tombstone->until_us ? ALL : SOME;
}

static enum share share_of_keys(const struct aq_catalog_tombstone *tombstone, bool has_keys,
                                struct aq_slice min, struct aq_slice max)
{
    if (tombstone->key_count == 0)
        return ALL;
    if (!has_keys)
        return SOME;
    if (aq_slice_equal(min, max))
        return aq_tombstone_has_key(tombstone, min) ? ALL : NONE;
    for (size_t i = 0; i < tombstone->key_count; i++) {
        if (aq_slice_compare(tombstone->keys[i], min) >= 0 &&
            aq_slice_compare(tombstone->keys[i], max) <= 0)
            return SOME;
    }
    return NONE;
}

/* Whether the tombstone is about what was in the unit's file then. */
static bool is_older(const struct aq_unit *unit, const struct aq_catalog_tombstone *tombstone)
{
    const struct aq_unit_detail *detail = unit->detail;
    const struct aq_catalog_file *file = detail->file->entry;
    return file->state == AQ_FILE_CLOSED && file->edit < tombstone->before_edit;
}

static enum share judge_unit(const struct removal *removal, const struct aq_unit *unit)
{
    enum share most = NONE;
    for (size_t i = 0; i < removal->tombstone_count && most != ALL; i++) {
        const struct aq_catalog_tombstone *tombstone = removal->tombstones[i];
        if (!is_older(unit, tombstone))
            continue;
        enum share share =
            both(share_of_times(removal, tombstone, unit->has_time, unit->min_time_us,
                                unit->max_time_us),
                 share_of_keys(tombstone, unit->has_keys, unit->key_min, unit->key_max));
        most = share > most ? share : most;
    }
    return most;
}

/* Rows, one after the other. */

static void unset_range(uint64_t *keep, size_t first, size_t count)
{
    for (size_t row = first; row < first + count; row++)
        aq_bitmap_unset(keep, row);
}

static bool is_removed_at(const struct aq_catalog_tombstone *tombstone,
                          const struct aq_vector *times, size_t row)
{
    return times == NULL ||
           (!aq_vector_is_null(times, row) && times->ints[row] >= tombstone->from_us &&
            times->ints[row] < tombstone->until_us);
}

/* What one tombstone leaves of a section. */
static enum aq_status remove_rows(const struct removal *removal,
                                  const struct aq_catalog_tombstone *tombstone,
                                  struct aq_batch *rows, uint64_t *keep)
{
    const struct aq_vector *times = removal->time == NULL ? NULL : &rows->columns[0];
    const struct aq_vector *keys =
        removal->key == NULL ? NULL : &rows->columns[rows->column_count - 1];
    for (size_t row = 0; row < rows->row_count; row++) {
        struct aq_slice key = {0};
        if (!aq_bitmap_has(keep, row) || !is_removed_at(tombstone, times, row))
            continue;
        if (tombstone->key_count > 0 && keys != NULL)
            AQ_TRY(aq_key_text(keys, row, &rows->arena, &key));
        if (aq_tombstone_has_key(tombstone, key))
            aq_bitmap_unset(keep, row);
    }
    return AQ_OK;
}

/* What one tombstone leaves of a tile, run after run. `times`: NULL, as long as none of a run goes in part: then
 * *partly is set. */
static void remove_runs(const struct removal *removal, const struct aq_catalog_tombstone *tombstone,
                        const struct aq_tile_directory *tile, const struct aq_vector *times,
                        uint64_t *keep, bool *partly)
{
    for (size_t i = 0; i < tile->run_count; i++) {
        const struct aq_run_entry *run = &tile->runs[i];
        enum share share =
            share_of_times(removal, tombstone, run->has_time, run->min_time_us, run->max_time_us);
        if (share == NONE || !aq_tombstone_has_key(tombstone, run->key))
            continue;
        if (share == ALL) {
            unset_range(keep, run->row_first, run->row_count);
            continue;
        }
        *partly = true;
        for (size_t row = run->row_first;
             times != NULL && row < run->row_first + (size_t)run->row_count; row++) {
            if (is_removed_at(tombstone, times, row))
                aq_bitmap_unset(keep, row);
        }
    }
}

/* Units. */

/* Read time and key, or those of them that the dataset has. */
static enum aq_status read_rows(const struct removal *removal, const struct aq_unit *unit,
                                bool with_key, struct aq_batch *rows, struct aq_error *err)
{
    enum aq_type types[2];
    uint32_t ids[2];
    size_t count = 0;
    if (removal->time != NULL) {
        types[count] = removal->time->type;
        ids[count++] = removal->time->id;
    }
    if (with_key && removal->key != NULL) {
        types[count] = removal->key->type;
        ids[count++] = removal->key->id;
    }
    enum aq_status status = aq_batch_init(rows, count, types);
    if (status < 0)
        return aq_error_set(err, status, "out of memory");
    return aq_unit_read(removal->snapshot, unit, ids, rows, err);
}

static enum aq_status judge_section(const struct removal *removal, const struct aq_unit *unit,
                                    struct aq_batch *rows, uint64_t *keep, struct aq_error *err)
{
    AQ_TRY(read_rows(removal, unit, true, rows, err));
    for (size_t i = 0; i < removal->tombstone_count; i++) {
        if (is_older(unit, removal->tombstones[i]) &&
            remove_rows(removal, removal->tombstones[i], rows, keep) < 0)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    return AQ_OK;
}

static enum aq_status judge_tile(const struct removal *removal, const struct aq_unit *unit,
                                 struct aq_batch *rows, uint64_t *keep, struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    bool partly = false;
    AQ_TRY(aq_snapshot_read_directory(removal->snapshot, detail->file, unit->index, err));
    const struct aq_tile_directory *tile = aq_unit_directory(unit);
    for (int pass = 0; pass == 0 || (pass == 1 && partly); pass++) {
        if (pass == 1)
            AQ_TRY(read_rows(removal, unit, false, rows, err));
        const struct aq_vector *times = pass == 0 ? NULL : &rows->columns[0];
        for (size_t i = 0; i < removal->tombstone_count; i++) {
            if (is_older(unit, removal->tombstones[i]))
                remove_runs(removal, removal->tombstones[i], tile, times, keep, &partly);
        }
    }
    return AQ_OK;
}

static enum aq_status shrink_unit(const struct removal *removal, struct aq_unit *unit,
                                  struct aq_error *err)
{
    size_t words = aq_bitmap_words(unit->row_count);
    uint64_t *keep = malloc(words * sizeof *keep);
    struct aq_batch rows = {0};
    if (keep == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    memset(keep, 0xff, words * sizeof *keep);
    enum aq_status status = unit->kind == AQ_FILE_SEGMENT
                                ? judge_section(removal, unit, &rows, keep, err)
                                : judge_tile(removal, unit, &rows, keep, err);
    if (status == AQ_OK && rows.column_count > 0 && removal->time != NULL)
        aq_unit_bound_times(unit, &rows.columns[0], keep);
    if (status == AQ_OK)
        status = aq_unit_keep_rows(removal->snapshot, unit, keep, err);
    aq_batch_deinit(&rows);
    free(keep);
    return status;
}

/* Fetch what judging remote tiles will take, all at once. */
static enum aq_status fetch(const struct removal *removal, const struct aq_unit **partly,
                            size_t count, struct aq_error *err)
{
    const struct aq_column *time = removal->time;
    return aq_snapshot_prefetch(removal->snapshot, partly, count, time == NULL ? NULL : &time->id,
                                time == NULL ? 0 : 1, err);
}

static enum aq_status shrink_all(const struct removal *removal, const struct aq_unit **partly,
                                 struct aq_error *err)
{
    struct aq_dataset_units *dataset = removal->dataset;
    size_t count = 0;
    for (size_t i = 0; i < dataset->unit_count; i++) {
        if (judge_unit(removal, &dataset->units[i]) == SOME)
            partly[count++] = &dataset->units[i];
    }
    AQ_TRY(fetch(removal, partly, count, err));
    size_t kept = 0;
    for (size_t i = 0; i < dataset->unit_count; i++) {
        struct aq_unit *unit = &dataset->units[i];
        const struct aq_unit_detail *detail = unit->detail;
        uint32_t before = unit->row_count;
        enum share share = judge_unit(removal, unit);
        if (share == SOME)
            AQ_TRY(shrink_unit(removal, unit, err));
        uint32_t left = share == ALL ? 0 : unit->row_count;
        dataset->removed_rows[detail->file->index] += before - left;
        if (left > 0)
            dataset->units[kept++] = *unit;
    }
    dataset->unit_count = kept;
    return AQ_OK;
}

static const struct aq_column *column_of(const struct aq_schema *schema, uint32_t index)
{
    return index == AQ_COLUMN_NONE ? NULL : &schema->columns[index];
}

enum aq_status aq_units_remove_rows(struct aq_snapshot *snapshot, struct aq_dataset_units *dataset,
                                    struct aq_error *err)
{
    const struct aq_catalog *catalog = snapshot->catalog;
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, dataset->dataset_id, 0);
    struct removal removal = {.snapshot = snapshot, .dataset = dataset};
    const struct aq_catalog_tombstone **tombstones =
        calloc(catalog->tombstone_count + 1, sizeof *tombstones);
    const struct aq_unit **partly = calloc(dataset->unit_count + 1, sizeof *partly);
    dataset->removed_rows =
        aq_arena_alloc(&snapshot->arena, (catalog->file_count + 1) * sizeof(uint64_t));
    enum aq_status status = tombstones == NULL || partly == NULL || dataset->removed_rows == NULL
                                ? AQ_NO_MEMORY
                                : AQ_OK;
    if (status == AQ_OK && schema != NULL) {
        memset(dataset->removed_rows, 0, (catalog->file_count + 1) * sizeof(uint64_t));
        removal.key = column_of(schema, schema->key_column);
        removal.time = column_of(schema, schema->time_column);
        removal.tombstones = tombstones;
        for (size_t i = 0; i < catalog->tombstone_count; i++) {
            if (catalog->tombstones[i].dataset_id == dataset->dataset_id)
                tombstones[removal.tombstone_count++] = &catalog->tombstones[i];
        }
        status = shrink_all(&removal, partly, err);
    }
    if (status == AQ_NO_MEMORY)
        aq_error_set(err, status, "out of memory listing files");
    free(tombstones);
    free(partly);
    return status;
}

uint64_t aq_snapshot_removed_rows(const struct aq_snapshot *snapshot, uint32_t dataset_id,
                                  uint64_t file_id)
{
    const struct aq_catalog_file *file = aq_catalog_file(snapshot->catalog, file_id);
    const struct aq_dataset_units *dataset = snapshot->datasets;
    while (dataset != NULL && dataset->dataset_id != dataset_id)
        dataset = dataset->next;
    bool known = file != NULL && dataset != NULL && dataset->removed_rows != NULL;
    return known ? dataset->removed_rows[file - snapshot->catalog->files] : 0;
}
