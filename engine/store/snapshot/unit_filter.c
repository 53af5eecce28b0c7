/* The rows of a unit that count.
 *
 * Happy path: whoever finds rows that do not count gives a bitmap of the rows it was given itself; it is laid
 * over the one that the unit has already, and from then on columns are decoded as they are stored and then
 * gathered. Of a section with masked rows the feeds and ordinals say which they are.
 * Failures: a section whose masked rows are not as many as its frame's header says is corrupt. */
#include "engine/store/snapshot/unit_filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* It was put there by add_unit, as a copy of its own. */
static struct aq_unit_detail *detail_of(const struct aq_unit *unit)
{
    return (struct aq_unit_detail *)unit->detail;
}

uint32_t aq_unit_stored_rows(const struct aq_unit *unit)
{
    const struct aq_unit_detail *detail = unit->detail;
    return unit->kind == AQ_FILE_SEGMENT ? detail->section->row_count
                                         : detail->file->root.tiles[unit->index].row_count;
}

static uint32_t count_rows(const uint64_t *keep, size_t row_count)
{
    uint32_t count = 0;
    for (size_t row = 0; row < row_count; row++)
        count += aq_bitmap_has(keep, row);
    return count;
}

/* What is left of each partition; those of which nothing is left are dropped. */
static void shrink_partitions(const uint64_t *keep, struct aq_partition *partitions, size_t *count)
{
    size_t kept = 0;
    uint32_t next = 0;
    for (size_t i = 0; i < *count; i++) {
        struct aq_partition partition = partitions[i];
        uint32_t row = partition.row_first;
        uint32_t end = row + partition.row_count;
        partition.row_first = next;
        for (; row < end; row++)
            next += aq_bitmap_has(keep, row);
        partition.row_count = next - partition.row_first;
        if (partition.row_count > 0)
            partitions[kept++] = partition;
    }
    *count = kept;
}

/* The stored rows that count so far and that `keep`, a bitmap of those alone, has. */
static void lay_over(const uint64_t *kept, uint32_t stored_rows, const uint64_t *keep,
                     uint64_t *both)
{
    size_t next = 0;
    for (size_t row = 0; row < stored_rows; row++) {
        if (kept == NULL || aq_bitmap_has(kept, row)) {
            if (aq_bitmap_has(keep, next))
                aq_bitmap_set(both, row);
            next++;
        }
    }
}

enum aq_status aq_unit_keep_rows(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                 const uint64_t *keep, struct aq_error *err)
{
    struct aq_unit_detail *detail = detail_of(unit);
    uint32_t stored_rows = aq_unit_stored_rows(unit);
    uint32_t left = count_rows(keep, unit->row_count);
    if (left == unit->row_count)
        return AQ_OK;
    size_t size = aq_bitmap_words(stored_rows) * sizeof *detail->kept;
    uint64_t *both = aq_arena_alloc(&snapshot->arena, size);
    if (both == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    memset(both, 0, size);
    lay_over(detail->kept, stored_rows, keep, both);
    detail->kept = both;
    shrink_partitions(keep, (struct aq_partition *)unit->partitions, &unit->partition_count);
    unit->row_count = left;
    return AQ_OK;
}

void aq_unit_bound_times(struct aq_unit *unit, const struct aq_vector *times, const uint64_t *keep)
{
    bool found = false;
    for (size_t row = 0; row < times->row_count; row++) {
        int64_t time = times->ints[row];
        if (!aq_bitmap_has(keep, row) || aq_vector_is_null(times, row))
            continue;
        if (!found || time < unit->min_time_us)
            unit->min_time_us = time;
        if (!found || time > unit->max_time_us)
            unit->max_time_us = time;
        found = true;
    }
}

void aq_unit_filter_column(const struct aq_unit *unit, struct aq_vector *vector)
{
    const struct aq_unit_detail *detail = unit->detail;
    if (detail->kept != NULL)
        aq_vector_keep(vector, detail->kept);
}

void aq_unit_filter_partitions(const struct aq_unit *unit, struct aq_partition *partitions,
                               size_t *count)
{
    const struct aq_unit_detail *detail = unit->detail;
    if (detail->kept != NULL)
        shrink_partitions(detail->kept, partitions, count);
}

/* Masks. */

/* Columns read to tell which rows are masked. */
enum { FEED, ORDINAL, TIME };

static enum aq_status leave_out_masked(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                       const struct aq_batch *rows, struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    uint32_t expected = detail->section->row_count - detail->masked_rows;
    uint64_t *keep = calloc(aq_bitmap_words(rows->row_count), sizeof *keep);
    if (keep == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t row = 0; row < rows->row_count; row++) {
        if (!aq_catalog_is_masked(snapshot->catalog, unit->file_id,
                                  (uint64_t)rows->columns[FEED].ints[row],
                                  (uint64_t)rows->columns[ORDINAL].ints[row]))
            aq_bitmap_set(keep, row);
    }
    if (rows->column_count > TIME && unit->has_time)
        aq_unit_bound_times(unit, &rows->columns[TIME], keep);
    enum aq_status status = aq_unit_keep_rows(snapshot, unit, keep, err);
    free(keep);
    if (status == AQ_OK && unit->row_count != expected)
        return aq_error_set_at(err, AQ_CORRUPT,
                               aq_file_cache_path(snapshot->cache, detail->file->index).text,
                               (int64_t)(detail->frame_offset + detail->section->offset),
                               "has %" PRIu32 " rows that are not masked, its frame says %" PRIu32,
                               unit->row_count, expected);
    return status;
}

enum aq_status aq_unit_apply_masks(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                   struct aq_error *err)
{
    const struct aq_unit_detail *detail = unit->detail;
    if (detail->masked_rows == 0)
        return AQ_OK;
    const struct aq_schema *schema =
        aq_catalog_schema_by_id(snapshot->catalog, unit->dataset_id, 0);
    bool timed = schema != NULL && schema->time_column != AQ_COLUMN_NONE;
    uint32_t ids[] = {AQ_SYSTEM_ID_FEED, AQ_SYSTEM_ID_ORDINAL,
                      timed ? schema->columns[schema->time_column].id : 0};
    static const enum aq_type types[] = {AQ_TYPE_BIGINT, AQ_TYPE_BIGINT, AQ_TYPE_TIMESTAMPTZ};
    struct aq_batch rows;
    enum aq_status status = aq_batch_init(&rows, timed ? TIME + 1 : TIME, types);
    if (status < 0)
        return aq_error_set(err, status, "out of memory");
    status = aq_unit_read(snapshot, unit, ids, &rows, err);
    if (status == AQ_OK)
        status = leave_out_masked(snapshot, unit, &rows, err);
    aq_batch_deinit(&rows);
    return status;
}
