/* Snapshots: one version of the catalog, one length of each open segment, for as long as a reader wants.
 *
 * Happy path: a lease, then the newest catalog, then the durable length of its open segments;
 * units of a dataset are listed when first asked for. Sections whose rows are all masked, and
 * tiles and sections whose rows are all removed, are no units.
 * Failures: a feed that is taken over between reading the catalog and a segment's length would show rows
 * of both owners: so the catalog is read again, and if an open segment has got a mask, or is gone, all
 * is done anew. */
#include "engine/store/snapshot/unit_filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FREEZE_TRIES 20

static enum aq_status freeze_all(struct aq_snapshot *snapshot, struct aq_error *err)
{
    const struct aq_catalog *catalog = snapshot->catalog;
    snapshot->files = calloc(catalog->file_count + 1, sizeof *snapshot->files);
    if (snapshot->files == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < catalog->file_count; i++) {
        struct aq_snapshot_file *file = &snapshot->files[i];
        file->entry = &catalog->files[i];
        file->index = i;
        /* Nothing of such a file counts. */
        file->opened = aq_file_cache_is_absent(snapshot->cache, i) || file->entry->held;
        if (file->entry->state == AQ_FILE_OPEN && !file->opened)
            AQ_TRY(aq_snapshot_freeze(snapshot, file, err));
    }
    return AQ_OK;
}

static void let_go(struct aq_snapshot *snapshot)
{
    for (size_t i = 0; snapshot->files != NULL && i < snapshot->catalog->file_count; i++)
        aq_segment_index_deinit(&snapshot->files[i].frames);
    free(snapshot->files);
    snapshot->files = NULL;
    aq_file_cache_destroy(snapshot->cache);
    snapshot->cache = NULL;
    aq_catalog_release(snapshot->catalog);
    snapshot->catalog = NULL;
}

/* Whether what was frozen is what the catalog's version means: AQ_TEMPORARY when a feed was taken over
 * meanwhile. */
static enum aq_status check_frozen(const struct aq_snapshot *snapshot, struct aq_error *err)
{
    const struct aq_catalog *older = snapshot->catalog;
    const struct aq_catalog *newer = NULL;
    bool same = true;
    bool any_open = false;
    for (size_t i = 0; !any_open && i < older->file_count; i++)
        any_open = older->files[i].state == AQ_FILE_OPEN;
    if (!any_open)
        return AQ_OK;
    AQ_TRY(aq_store_catalog(snapshot->store, true, &newer, err));
    for (size_t i = 0; same && newer->number != older->number && i < older->file_count; i++)
        same = older->files[i].state != AQ_FILE_OPEN || older->files[i].held ||
               aq_catalog_hides_alike(older, newer, older->files[i].file_id);
    aq_catalog_release(newer);
    return same ? AQ_OK
                : aq_error_set(err, AQ_TEMPORARY,
                               "feeds change hands faster than they can be read; try again");
}

static enum aq_status try_freeze(struct aq_snapshot *snapshot, struct aq_error *err)
{
    struct aq_store *store = snapshot->store;
    AQ_TRY(aq_store_catalog(store, true, &snapshot->catalog, err));
    AQ_TRY(aq_file_cache_create(store, snapshot->catalog, &snapshot->cache, err));
    AQ_TRY(freeze_all(snapshot, err));
    return check_frozen(snapshot, err);
}

static enum aq_status open_snapshot(struct aq_snapshot *snapshot, struct aq_error *err)
{
    const struct aq_catalog *known = NULL;
    AQ_TRY(aq_store_catalog(snapshot->store, false, &known, err));
    uint64_t version = known->number;
    aq_catalog_release(known);
    AQ_TRY(aq_lease_take(snapshot->store, version, &snapshot->lease, err));
    enum aq_status status = AQ_TEMPORARY;
    for (int tries = 0; status == AQ_TEMPORARY && tries < FREEZE_TRIES; tries++) {
        let_go(snapshot);
        status = try_freeze(snapshot, err);
    }
    if (status == AQ_OK)
        aq_lease_move(snapshot->lease, snapshot->catalog->number);
    return status;
}

enum aq_status aq_snapshot_open(struct aq_store *store, struct aq_snapshot **snapshot,
                                struct aq_error *err)
{
    struct aq_snapshot *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    opened->store = store;
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&opened->opening, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&opened->resolving, NULL);
    enum aq_status status = open_snapshot(opened, err);
    if (status < 0) {
        aq_snapshot_close(opened);
        return status;
    }
    *snapshot = opened;
    return AQ_OK;
}

void aq_snapshot_close(struct aq_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    while (snapshot->datasets != NULL) {
        struct aq_dataset_units *dataset = snapshot->datasets;
        snapshot->datasets = dataset->next;
        free(dataset->units);
        free(dataset);
    }
    let_go(snapshot);
    aq_arena_deinit(&snapshot->arena);
    aq_lease_release(snapshot->lease);
    pthread_mutex_destroy(&snapshot->opening);
    pthread_mutex_destroy(&snapshot->resolving);
    free(snapshot);
}

const struct aq_catalog *aq_snapshot_catalog(const struct aq_snapshot *snapshot)
{
    return snapshot->catalog;
}

struct aq_remote_counters aq_snapshot_remote(const struct aq_snapshot *snapshot)
{
    return aq_file_cache_remote(snapshot->cache);
}

uint64_t aq_snapshot_bytes_read(const struct aq_snapshot *snapshot)
{
    return aq_file_cache_bytes_read(snapshot->cache);
}

/* Listing units. */

static struct aq_unit *add_unit(struct aq_snapshot *snapshot, struct aq_dataset_units *dataset,
                                const struct aq_unit_detail *detail)
{
    if (dataset->unit_count == dataset->unit_capacity) {
        size_t capacity = dataset->unit_capacity * 2 + 64;
        struct aq_unit *grown = realloc(dataset->units, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        dataset->units = grown;
        dataset->unit_capacity = capacity;
    }
    struct aq_unit *unit = &dataset->units[dataset->unit_count];
    *unit = (struct aq_unit){.file_id = detail->file->entry->file_id,
                             .kind = detail->file->entry->kind,
                             .dataset_id = dataset->dataset_id,
                             .detail = aq_arena_copy(&snapshot->arena, detail, sizeof *detail)};
    if (unit->detail == NULL)
        return NULL;
    dataset->unit_count++;
    return unit;
}

static enum aq_status add_section(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                  size_t frame, const struct aq_section_entry *section,
                                  uint32_t masked_rows, struct aq_dataset_units *dataset)
{
    if (masked_rows > 0 && masked_rows == section->row_count)
        return AQ_OK;
    struct aq_unit_detail detail = {.file = file,
                                    .frame_offset = file->frames.frames[frame].offset,
                                    .section = section,
                                    .masked_rows = masked_rows};
    struct aq_unit *unit = add_unit(snapshot, dataset, &detail);
    if (unit == NULL)
        return AQ_NO_MEMORY;
    unit->index = (uint32_t)frame;
    unit->schema_version = section->schema_version;
    unit->row_count = section->row_count;
    unit->size_bytes = section->size_bytes;
    unit->has_time = section->has_time;
    unit->min_time_us = section->min_time_us;
    unit->max_time_us = section->max_time_us;
    return AQ_OK;
}

static enum aq_status add_sections(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                                   struct aq_dataset_units *dataset)
{
    size_t number = 0; /* of the section in the file */
    for (size_t f = 0; f < file->frames.frame_count; f++) {
        const struct aq_index_frame *frame = &file->frames.frames[f];
        for (size_t s = 0; s < frame->section_count; s++, number++) {
            uint32_t masked = file->masked_rows == NULL ? 0 : file->masked_rows[number];
            if (frame->sections[s].dataset_id == dataset->dataset_id)
                AQ_TRY(add_section(snapshot, file, f, &frame->sections[s], masked, dataset));
        }
    }
    return AQ_OK;
}

static enum aq_status add_tile(struct aq_snapshot *snapshot, struct aq_snapshot_file *file,
                               size_t index, struct aq_dataset_units *dataset)
{
    const struct aq_tile_entry *tile = &file->root.tiles[index];
    struct aq_unit_detail detail = {.file = file};
    struct aq_unit *unit = add_unit(snapshot, dataset, &detail);
    if (unit == NULL)
        return AQ_NO_MEMORY;
    unit->index = (uint32_t)index;
    unit->schema_version = file->root.schema.version;
    unit->row_count = tile->row_count;
    unit->size_bytes = tile->directory_offset + tile->directory_size_bytes - tile->offset;
    unit->remote = aq_file_cache_is_remote(snapshot->cache, file->index);
    unit->has_time = tile->has_time;
    unit->min_time_us = tile->min_time_us;
    unit->max_time_us = tile->max_time_us;
    unit->has_keys = file->root.schema.key_column != AQ_COLUMN_NONE;
    unit->key_min = tile->key_min;
    unit->key_max = tile->key_max;
    return AQ_OK;
}

/* Whether a file may hold rows of the dataset: a closed one says so in the catalog. */
static bool holds(const struct aq_snapshot_file *file, uint32_t dataset_id)
{
    if (file->entry->state == AQ_FILE_OPEN)
        return true;
    for (size_t i = 0; i < file->entry->entry_count; i++) {
        if (file->entry->entries[i].dataset_id == dataset_id)
            return true;
    }
    return false;
}

static enum aq_status list_units(struct aq_snapshot *snapshot, struct aq_dataset_units *dataset,
                                 struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < snapshot->catalog->file_count; i++) {
        struct aq_snapshot_file *file = &snapshot->files[i];
        if (!holds(file, dataset->dataset_id))
            continue;
        AQ_TRY(aq_snapshot_open_file(snapshot, file, err));
        if (file->entry->kind == AQ_FILE_SEGMENT)
            status = add_sections(snapshot, file, dataset);
        for (size_t t = 0; status == AQ_OK && t < file->root.tile_count; t++)
            status = add_tile(snapshot, file, t, dataset);
    }
    if (status < 0)
        return aq_error_set(err, status, "out of memory listing files");
    for (size_t i = 0; i < dataset->unit_count; i++)
        AQ_TRY(aq_unit_apply_masks(snapshot, &dataset->units[i], err));
    return snapshot->catalog->tombstone_count == 0 ? AQ_OK
                                                   : aq_units_remove_rows(snapshot, dataset, err);
}

static enum aq_status find_units(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                 struct aq_dataset_units **found, struct aq_error *err)
{
    for (*found = snapshot->datasets; *found != NULL; *found = (*found)->next) {
        if ((*found)->dataset_id == dataset_id)
            return AQ_OK;
    }
    struct aq_dataset_units *dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    dataset->dataset_id = dataset_id;
    enum aq_status status = list_units(snapshot, dataset, err);
    if (status < 0) {
        free(dataset->units);
        free(dataset);
        return status;
    }
    dataset->next = snapshot->datasets;
    snapshot->datasets = dataset;
    *found = dataset;
    return AQ_OK;
}

enum aq_status aq_snapshot_units(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                 const struct aq_unit **units, size_t *unit_count,
                                 struct aq_error *err)
{
    struct aq_dataset_units *found = NULL;
    pthread_mutex_lock(&snapshot->opening);
    enum aq_status status = find_units(snapshot, dataset_id, &found, err);
    pthread_mutex_unlock(&snapshot->opening);
    AQ_TRY(status);
    *units = found->units;
    *unit_count = found->unit_count;
    return AQ_OK;
}

static enum aq_status partition_units(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                      struct aq_error *err)
{
    struct aq_dataset_units *dataset = NULL;
    AQ_TRY(find_units(snapshot, dataset_id, &dataset, err));
    for (size_t i = 0; i < dataset->unit_count && !dataset->partitioned; i++) {
        if (dataset->units[i].kind == AQ_FILE_SEGMENT)
            AQ_TRY(aq_unit_partition(snapshot, &dataset->units[i], err));
    }
    dataset->partitioned = true;
    return AQ_OK;
}

enum aq_status aq_snapshot_partitions(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                      struct aq_error *err)
{
    pthread_mutex_lock(&snapshot->opening);
    enum aq_status status = partition_units(snapshot, dataset_id, err);
    pthread_mutex_unlock(&snapshot->opening);
    return status;
}
