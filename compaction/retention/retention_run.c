/* Applying retention.
 *
 * Happy path: the targets are listed; of those whose keys are kept for different spans the keys of the files in
 * question are read, from directories alone; what has expired is chosen, told, and removed by one edit.
 * Failures: a clock that has jumped. A file that is gone when the edit is built was replaced by another job: then
 * all is given up. */
#include "compaction/retention/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/retention/retention_plan.h"
#include "engine/base/civil/civil_time.h"

struct expiry {
    struct aq_store *store;
    const struct aq_expire_options *options;
    struct aq_snapshot *snapshot;
    struct aq_arena arena;
    struct aq_retention_plan plan;
};

/* Keys. */

struct pieces {
    struct aq_retention_piece *list;
    size_t count;
    size_t capacity;
};

static enum aq_status add_piece(struct pieces *pieces, const struct aq_retention_piece *piece)
{
    if (pieces->count == pieces->capacity) {
        size_t capacity = pieces->capacity * 2 + 64;
        struct aq_retention_piece *grown = realloc(pieces->list, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        pieces->list = grown;
        pieces->capacity = capacity;
    }
    pieces->list[pieces->count++] = *piece;
    return AQ_OK;
}

static int compare_pieces(const void *a, const void *b)
{
    const struct aq_retention_piece *left = a;
    const struct aq_retention_piece *right = b;
    if (left->file_id != right->file_id)
        return left->file_id < right->file_id ? -1 : 1;
    return aq_slice_compare(left->key, right->key);
}

/* One piece a file and key. */
static void join_pieces(struct pieces *pieces)
{
    size_t kept = 0;
    if (pieces->count > 1)
        qsort(pieces->list, pieces->count, sizeof *pieces->list, compare_pieces);
    for (size_t i = 0; i < pieces->count; i++) {
        struct aq_retention_piece *last = kept == 0 ? NULL : &pieces->list[kept - 1];
        if (last == NULL || compare_pieces(last, &pieces->list[i]) != 0) {
            pieces->list[kept++] = pieces->list[i];
            continue;
        }
        last->min_us =
            pieces->list[i].min_us < last->min_us ? pieces->list[i].min_us : last->min_us;
        last->max_us =
            pieces->list[i].max_us > last->max_us ? pieces->list[i].max_us : last->max_us;
    }
    pieces->count = kept;
}

static enum aq_status read_section(const struct aq_unit *unit, const struct aq_schema *schema,
                                   struct pieces *pieces)
{
    for (size_t i = 0; i < unit->partition_count; i++) {
        const struct aq_partition *partition = &unit->partitions[i];
        int64_t end_us = aq_slot_end(schema->slot, partition->slot_start_us);
        struct aq_retention_piece piece = {.file_id = unit->file_id,
                                           .key = partition->key,
                                           .min_us = partition->slot_start_us,
                                           .max_us = end_us == INT64_MAX ? end_us : end_us - 1};
        AQ_TRY(add_piece(pieces, &piece));
    }
    return AQ_OK;
}

static enum aq_status read_tile(const struct aq_unit *unit, struct pieces *pieces)
{
    size_t run_count;
    const struct aq_run_entry *runs = aq_unit_runs(unit, &run_count);
    for (size_t i = 0; i < run_count; i++) {
        struct aq_retention_piece piece = {.file_id = unit->file_id,
                                           .key = runs[i].key,
                                           .min_us = runs[i].min_time_us,
                                           .max_us = runs[i].max_time_us};
        if (runs[i].has_time)
            AQ_TRY(add_piece(pieces, &piece));
    }
    return AQ_OK;
}

/* Of a file with rows before the latest cutoff all units are wanted: whether it goes whole is asked, too. */
static bool is_wanted(const struct expiry *expiry, const struct aq_retention_target *target,
                      const struct aq_unit *unit)
{
    const struct aq_catalog_file *file =
        aq_catalog_file(aq_snapshot_catalog(expiry->snapshot), unit->file_id);
    for (size_t i = 0; file->state == AQ_FILE_CLOSED && i < file->entry_count; i++) {
        const struct aq_file_entry *entry = &file->entries[i];
        if (entry->dataset_id == target->schema->dataset_id && entry->has_time &&
            entry->min_time_us < target->latest_cutoff_us)
            return true;
    }
    return false;
}

static enum aq_status read_units(struct expiry *expiry, const struct aq_retention_target *target,
                                 const struct aq_unit *units, size_t unit_count,
                                 struct pieces *pieces, struct aq_error *err)
{
    const struct aq_unit **wanted = malloc((unit_count + 1) * sizeof *wanted);
    size_t count = 0;
    if (wanted == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < unit_count; i++) {
        if (is_wanted(expiry, target, &units[i]))
            wanted[count++] = &units[i];
    }
    enum aq_status status = aq_snapshot_prefetch(expiry->snapshot, wanted, count, NULL, 0, err);
    for (size_t i = 0; status == AQ_OK && i < count; i++)
        status = wanted[i]->kind == AQ_FILE_ARCHIVE
                     ? read_tile(wanted[i], pieces)
                     : read_section(wanted[i], target->schema, pieces);
    free(wanted);
    return status;
}

static enum aq_status read_keys(struct expiry *expiry, struct aq_retention_target *target,
                                struct aq_error *err)
{
    uint32_t dataset_id = target->schema->dataset_id;
    const struct aq_unit *units;
    size_t unit_count;
    struct pieces pieces = {0};
    AQ_TRY(aq_snapshot_partitions(expiry->snapshot, dataset_id, err));
    AQ_TRY(aq_snapshot_units(expiry->snapshot, dataset_id, &units, &unit_count, err));
    enum aq_status status = read_units(expiry, target, units, unit_count, &pieces, err);
    if (status == AQ_OK) {
        join_pieces(&pieces);
        target->piece_count = pieces.count;
        target->pieces =
            aq_arena_copy(&expiry->arena, pieces.list, pieces.count * sizeof *pieces.list);
        status = target->pieces == NULL ? AQ_NO_MEMORY : AQ_OK;
    }
    free(pieces.list);
    return status == AQ_NO_MEMORY ? aq_error_set(err, status, "no memory to see what has expired")
                                  : status;
}

/* Telling. */

static void explain(const struct expiry *expiry, const char *format, ...) AQ_PRINTF(2, 3);
static void explain(const struct expiry *expiry, const char *format, ...)
{
    char line[512];
    va_list arguments;
    if (expiry->options->explain == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    expiry->options->explain(expiry->options->context, line);
}

static void tell(const struct expiry *expiry)
{
    for (size_t i = 0; i < expiry->plan.file_count; i++) {
        const struct aq_catalog_file *file = expiry->plan.files[i];
        char name[64];
        aq_catalog_file_name(file->kind, file->file_id, name, sizeof name);
        explain(expiry, "%s: all its rows have expired", name);
    }
    for (size_t i = 0; i < expiry->plan.removal_count; i++) {
        const struct aq_retention_removal *removal = &expiry->plan.removals[i];
        char until[64];
        aq_time_format(removal->until_us, aq_zone_utc(), until, sizeof until);
        if (removal->key_count == 0)
            explain(expiry, "%s: rows before %s have expired", removal->target->schema->dataset,
                    until);
        else
            explain(expiry, "%s: rows of %zu key%s (%.*s%s) before %s have expired",
                    removal->target->schema->dataset, removal->key_count,
                    removal->key_count == 1 ? "" : "s",
                    (int)(removal->keys[0].size < 64 ? removal->keys[0].size : 64),
                    (const char *)removal->keys[0].data, removal->key_count == 1 ? "" : ", ...",
                    until);
    }
}

static void fill_report(const struct expiry *expiry, struct aq_expire_report *report)
{
    report->file_count = expiry->plan.file_count;
    report->removal_count = expiry->plan.removal_count;
    for (size_t i = 0; i < expiry->plan.file_count; i++) {
        const struct aq_catalog_file *file = expiry->plan.files[i];
        report->file_bytes += aq_catalog_file_bytes(file);
        for (size_t e = 0; e < file->entry_count; e++)
            report->file_rows += file->entries[e].row_count;
    }
}

/* Removing. */

static enum aq_status build_edit(void *context, const struct aq_catalog *catalog,
                                 struct aq_edit *edit, struct aq_error *err)
{
    const struct expiry *expiry = context;
    for (size_t i = 0; i < expiry->plan.file_count; i++) {
        uint64_t file_id = expiry->plan.files[i]->file_id;
        if (aq_catalog_file(catalog, file_id) == NULL)
            return aq_error_set(err, AQ_CONFLICT,
                                "another job has replaced file %" PRIu64
                                " meanwhile; nothing was changed, compact again",
                                file_id);
        AQ_TRY(aq_edit_add(
            edit, &(struct aq_record){.kind = AQ_RECORD_REMOVE, .remove = {.file_id = file_id}}));
    }
    for (size_t i = 0; i < expiry->plan.removal_count; i++) {
        const struct aq_retention_removal *removal = &expiry->plan.removals[i];
        struct aq_record record = {.kind = AQ_RECORD_TOMBSTONE,
                                   .tombstone = {.dataset_id = removal->target->schema->dataset_id,
                                                 .key_count = removal->key_count,
                                                 .keys = removal->keys,
                                                 .from_us = INT64_MIN,
                                                 .until_us = removal->until_us,
                                                 .before_edit = catalog->number + 1}};
        AQ_TRY(aq_edit_add(edit, &record));
    }
    return AQ_OK;
}

static enum aq_status expire(struct expiry *expiry, struct aq_expire_report *report,
                             struct aq_error *err)
{
    const struct aq_expire_options *options = expiry->options;
    const struct aq_catalog *catalog = aq_snapshot_catalog(expiry->snapshot);
    AQ_TRY(aq_retention_targets(catalog, options->retentions, options->retention_count,
                                options->now_us, &expiry->arena, &expiry->plan, err));
    for (size_t i = 0; i < expiry->plan.target_count; i++) {
        if (expiry->plan.targets[i].keyed)
            AQ_TRY(read_keys(expiry, &expiry->plan.targets[i], err));
    }
    AQ_TRY(aq_retention_choose(catalog, options->now_us, &expiry->arena, &expiry->plan, err));
    if (expiry->plan.file_count + expiry->plan.removal_count == 0)
        return AQ_OK;
    if (!options->trust_clock)
        AQ_TRY(aq_retention_check_clock(catalog, options->now_us, err));
    tell(expiry);
    fill_report(expiry, report);
    return options->dry_run ? AQ_OK : aq_store_commit(expiry->store, build_edit, expiry, err);
}

enum aq_status aq_expire(struct aq_store *store, const struct aq_expire_options *options,
                         struct aq_expire_report *report, struct aq_error *err)
{
    struct expiry expiry = {.store = store, .options = options};
    *report = (struct aq_expire_report){0};
    if (options->retention_count == 0)
        return AQ_OK;
    AQ_TRY(aq_snapshot_open(store, &expiry.snapshot, err));
    enum aq_status status = expire(&expiry, report, err);
    aq_snapshot_close(expiry.snapshot);
    aq_arena_deinit(&expiry.arena);
    return status;
}
