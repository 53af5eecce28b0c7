/* Choosing what has expired.
 *
 * Happy path: a cutoff is now less the span, down to the beginning of a slot. A file whose last row is before the
 * cutoffs of its keys goes whole; rows before the earliest cutoff of all go by one removal, and those of keys
 * with a later one by one more for each cutoff.
 * Failures: of memory. Nothing here reads the store: the keys that files hold are told. */
#include "compaction/retention/retention_plan.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "engine/store/snapshot/tombstone.h"

static int64_t cutoff_of(const struct aq_schema *schema, int64_t span_us, int64_t now_us)
{
    if (span_us == AQ_RETENTION_FOREVER || now_us < INT64_MIN + span_us)
        return INT64_MIN;
    return aq_slot_start(schema->slot, now_us - span_us);
}

/* Keys are bytes; one with a zero byte fits what is before it. */
static bool fits(const char *pattern, struct aq_slice key)
{
    char text[AQ_NAME_BYTES_MAX * 4];
    if (key.size >= sizeof text)
        return false;
    memcpy(text, key.data, key.size);
    text[key.size] = '\0';
    return fnmatch(pattern, text, 0) == 0;
}

int64_t aq_retention_cutoff(const struct aq_retention_target *target, struct aq_slice key,
                            int64_t now_us)
{
    const struct aq_retention *retention = target->retention;
    if (!target->keyed)
        return target->cutoff_us;
    for (size_t i = 0; i < retention->rule_count; i++) {
        if (fits(retention->rules[i].pattern, key))
            return cutoff_of(target->schema, retention->rules[i].span_us, now_us);
    }
    return cutoff_of(target->schema, retention->default_us, now_us);
}

/* Datasets. */

static const struct aq_retention *find_retention(const struct aq_retention *retentions,
                                                 size_t retention_count, const char *dataset)
{
    for (size_t i = 0; i < retention_count; i++) {
        if (strcmp(retentions[i].dataset, dataset) == 0)
            return &retentions[i];
    }
    return NULL;
}

static void aim(const struct aq_retention *retention, int64_t now_us,
                struct aq_retention_target *target)
{
    const struct aq_schema *schema = target->schema;
    bool rejects = schema->rejects_of != 0;
    target->retention = retention;
    target->keyed = !rejects && retention->rule_count > 0 && schema->key_column != AQ_COLUMN_NONE;
    target->cutoff_us = target->latest_cutoff_us =
        cutoff_of(schema, rejects ? retention->rejects_us : retention->default_us, now_us);
    for (size_t i = 0; target->keyed && i < retention->rule_count; i++) {
        int64_t cutoff_us = cutoff_of(schema, retention->rules[i].span_us, now_us);
        if (cutoff_us < target->cutoff_us)
            target->cutoff_us = cutoff_us;
        if (cutoff_us > target->latest_cutoff_us)
            target->latest_cutoff_us = cutoff_us;
    }
}

enum aq_status aq_retention_targets(const struct aq_catalog *catalog,
                                    const struct aq_retention *retentions, size_t retention_count,
                                    int64_t now_us, struct aq_arena *arena,
                                    struct aq_retention_plan *plan, struct aq_error *err)
{
    *plan = (struct aq_retention_plan){0};
    plan->targets = aq_arena_alloc(arena, (catalog->dataset_count + 1) * sizeof *plan->targets);
    if (plan->targets == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to see what has expired");
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        struct aq_retention_target target = {.schema =
                                                 &dataset->versions[dataset->version_count - 1]};
        const struct aq_schema *owner = target.schema;
        if (owner->rejects_of != 0)
            owner = aq_catalog_schema_by_id(catalog, owner->rejects_of, 0);
        const struct aq_retention *retention =
            owner == NULL ? NULL : find_retention(retentions, retention_count, owner->dataset);
        if (retention == NULL || target.schema->time_column == AQ_COLUMN_NONE)
            continue;
        aim(retention, now_us, &target);
        if (target.latest_cutoff_us > INT64_MIN)
            plan->targets[plan->target_count++] = target;
    }
    return AQ_OK;
}

/* Files. */

static const struct aq_retention_target *find_target(const struct aq_retention_plan *plan,
                                                     uint32_t dataset_id)
{
    for (size_t i = 0; i < plan->target_count; i++) {
        if (plan->targets[i].schema->dataset_id == dataset_id)
            return &plan->targets[i];
    }
    return NULL;
}

static bool is_expired_by_keys(const struct aq_retention_target *target, uint64_t file_id,
                               int64_t now_us)
{
    for (size_t i = 0; i < target->piece_count; i++) {
        const struct aq_retention_piece *piece = &target->pieces[i];
        if (piece->file_id == file_id &&
            piece->max_us >= aq_retention_cutoff(target, piece->key, now_us))
            return false;
    }
    return true;
}

static bool is_expired(const struct aq_retention_plan *plan, const struct aq_catalog_file *file,
                       int64_t now_us)
{
    bool any = false;
    for (size_t i = 0; i < file->entry_count; i++) {
        const struct aq_file_entry *entry = &file->entries[i];
        const struct aq_retention_target *target = find_target(plan, entry->dataset_id);
        if (entry->row_count == 0)
            continue;
        if (target == NULL || !entry->has_time || entry->max_time_us >= target->latest_cutoff_us)
            return false;
        if (entry->max_time_us >= target->cutoff_us &&
            !(target->keyed && is_expired_by_keys(target, file->file_id, now_us)))
            return false;
        any = true;
    }
    return any;
}

static bool goes_whole(const struct aq_retention_plan *plan, uint64_t file_id)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        if (plan->files[i]->file_id == file_id)
            return true;
    }
    return false;
}

/* Rows. */

/* Whether a piece's rows before `until_us` have been removed already. `any_key`: those of all keys. */
static bool is_removed(const struct aq_catalog *catalog, uint32_t dataset_id,
                       const struct aq_retention_piece *piece, bool any_key, int64_t until_us)
{
    const struct aq_catalog_file *file = aq_catalog_file(catalog, piece->file_id);
    if (piece->max_us < until_us)
        until_us = piece->max_us + 1;
    for (size_t i = 0; i < catalog->tombstone_count; i++) {
        const struct aq_catalog_tombstone *tombstone = &catalog->tombstones[i];
        bool has_key =
            any_key ? tombstone->key_count == 0 : aq_tombstone_has_key(tombstone, piece->key);
        if (tombstone->dataset_id == dataset_id && file->edit < tombstone->before_edit && has_key &&
            tombstone->from_us <= piece->min_us && tombstone->until_us >= until_us)
            return true;
    }
    return false;
}

struct chooser {
    const struct aq_catalog *catalog;
    int64_t now_us;
    struct aq_arena *arena;
    struct aq_retention_plan *plan;
    size_t removal_capacity;
};

static enum aq_status add_removal(struct chooser *chooser,
                                  const struct aq_retention_removal *removal)
{
    struct aq_retention_plan *plan = chooser->plan;
    if (plan->removal_count == chooser->removal_capacity) {
        size_t capacity = chooser->removal_capacity * 2 + 8;
        struct aq_retention_removal *grown =
            aq_arena_alloc(chooser->arena, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        if (plan->removal_count > 0)
            memcpy(grown, plan->removals, plan->removal_count * sizeof *grown);
        plan->removals = grown;
        chooser->removal_capacity = capacity;
    }
    plan->removals[plan->removal_count++] = *removal;
    return AQ_OK;
}

/* Rows of every key, as the catalog knows them. */
static bool any_expired(const struct chooser *chooser, const struct aq_retention_target *target)
{
    const struct aq_catalog *catalog = chooser->catalog;
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        for (size_t e = 0; e < file->entry_count; e++) {
            const struct aq_file_entry *entry = &file->entries[e];
            struct aq_retention_piece piece = {.file_id = file->file_id,
                                               .min_us = entry->min_time_us,
                                               .max_us = entry->max_time_us};
            if (entry->dataset_id == target->schema->dataset_id && entry->row_count > 0 &&
                entry->has_time && entry->min_time_us < target->cutoff_us &&
                !goes_whole(chooser->plan, file->file_id) &&
                !is_removed(catalog, entry->dataset_id, &piece, true, target->cutoff_us))
                return true;
        }
    }
    return false;
}

static int compare_slices(const void *a, const void *b)
{
    return aq_slice_compare(*(const struct aq_slice *)a, *(const struct aq_slice *)b);
}

/* Keys with this cutoff that have rows before it, once each. */
static enum aq_status remove_keys(struct chooser *chooser, const struct aq_retention_target *target,
                                  int64_t cutoff_us)
{
    struct aq_retention_removal removal = {.target = target, .until_us = cutoff_us};
    size_t count = 0;
    removal.keys = aq_arena_alloc(chooser->arena, (target->piece_count + 1) * sizeof *removal.keys);
    if (removal.keys == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < target->piece_count; i++) {
        const struct aq_retention_piece *piece = &target->pieces[i];
        if (piece->min_us < cutoff_us && !goes_whole(chooser->plan, piece->file_id) &&
            aq_retention_cutoff(target, piece->key, chooser->now_us) == cutoff_us &&
            !is_removed(chooser->catalog, target->schema->dataset_id, piece, false, cutoff_us))
            removal.keys[count++] = piece->key;
    }
    if (count == 0)
        return AQ_OK;
    qsort(removal.keys, count, sizeof *removal.keys, compare_slices);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !aq_slice_equal(removal.keys[i], removal.keys[removal.key_count - 1]))
            removal.keys[removal.key_count++] = removal.keys[i];
    }
    return add_removal(chooser, &removal);
}

/* One removal for each cutoff that is later than that of all keys. */
static enum aq_status remove_by_keys(struct chooser *chooser,
                                     const struct aq_retention_target *target)
{
    const struct aq_retention *retention = target->retention;
    for (size_t i = 0; i <= retention->rule_count; i++) {
        int64_t span_us =
            i < retention->rule_count ? retention->rules[i].span_us : retention->default_us;
        int64_t cutoff_us = cutoff_of(target->schema, span_us, chooser->now_us);
        bool before = false;
        for (size_t earlier = 0; earlier < i; earlier++)
            before |= cutoff_of(target->schema, retention->rules[earlier].span_us,
                                chooser->now_us) == cutoff_us;
        if (cutoff_us > target->cutoff_us && !before)
            AQ_TRY(remove_keys(chooser, target, cutoff_us));
    }
    return AQ_OK;
}

static enum aq_status choose_rows(struct chooser *chooser)
{
    for (size_t i = 0; i < chooser->plan->target_count; i++) {
        const struct aq_retention_target *target = &chooser->plan->targets[i];
        if (target->cutoff_us > INT64_MIN && any_expired(chooser, target))
            AQ_TRY(add_removal(chooser, &(struct aq_retention_removal){
                                            .target = target, .until_us = target->cutoff_us}));
        if (target->keyed)
            AQ_TRY(remove_by_keys(chooser, target));
    }
    return AQ_OK;
}

enum aq_status aq_retention_choose(const struct aq_catalog *catalog, int64_t now_us,
                                   struct aq_arena *arena, struct aq_retention_plan *plan,
                                   struct aq_error *err)
{
    struct chooser chooser = {.catalog = catalog, .now_us = now_us, .arena = arena, .plan = plan};
    plan->files = aq_arena_alloc(arena, (catalog->file_count + 1) * sizeof(void *));
    for (size_t i = 0; plan->files != NULL && i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        if (file->state == AQ_FILE_CLOSED && is_expired(plan, file, now_us))
            plan->files[plan->file_count++] = file;
    }
    if (plan->files == NULL || choose_rows(&chooser) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to see what has expired");
    return AQ_OK;
}
