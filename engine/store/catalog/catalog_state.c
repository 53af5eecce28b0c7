/* Records -> the state they describe.
 *
 * Happy path: begin with a copy of the state before, apply each record of the next edit, finish. All
 * arrays live in the new catalog's arena; files and feeds stay sorted because ids only grow.
 * Failures: a record that the state contradicts is AQ_CORRUPT (or, in a commit, a bug of whoever
 * built the edit); the half-made catalog is thrown away whole. */
#include "engine/store/catalog/catalog_state.h"

#include "engine/store/snapshot/tombstone.h"
#include "format/base/mutant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more item at the end of an array in the arena. */
static bool make_room(struct aq_arena *arena, void **array, size_t count, size_t *capacity,
                      size_t item_size)
{
    if (count < *capacity)
        return true;
    size_t wanted = count + count / 2 + 8;
    void *grown = aq_arena_alloc(arena, wanted * item_size);
    if (grown == NULL)
        return false;
    if (count > 0)
        memcpy(grown, *array, count * item_size);
    *array = grown;
    *capacity = wanted;
    return true;
}

/* A new zeroed item at the end of catalog->ARRAY, or NULL when memory is out. */
#define APPEND(state, array, count, capacity)                                                \
    (make_room(&(state)->catalog->arena, (void **)&(state)->catalog->array,                  \
               (state)->catalog->count, &(state)->capacity, sizeof *(state)->catalog->array) \
         ? memset(&(state)->catalog->array[(state)->catalog->count++], 0,                    \
                  sizeof *(state)->catalog->array)                                           \
         : NULL)

static bool copy_slice(struct aq_arena *arena, struct aq_slice *slice)
{
    slice->data = aq_arena_copy(arena, slice->data, slice->size);
    return slice->data != NULL;
}

static bool copy_feed(struct aq_arena *arena, struct aq_feed_identity *feed)
{
    return copy_slice(arena, &feed->source) && copy_slice(arena, &feed->name) &&
           copy_slice(arena, &feed->cluster);
}

static bool copy_file(struct aq_arena *arena, struct aq_catalog_file *file)
{
    file->entries = aq_arena_copy(arena, file->entries, file->entry_count * sizeof *file->entries);
    return file->entries != NULL && copy_slice(arena, &file->root) &&
           copy_slice(arena, &file->object);
}

static bool copy_tombstone(struct aq_arena *arena, struct aq_catalog_tombstone *tombstone)
{
    tombstone->keys =
        aq_arena_copy(arena, tombstone->keys, tombstone->key_count * sizeof *tombstone->keys);
    if (tombstone->keys == NULL)
        return false;
    for (size_t i = 0; i < tombstone->key_count; i++) {
        if (!copy_slice(arena, &tombstone->keys[i]))
            return false;
    }
    return true;
}

static bool copy_dataset(struct aq_arena *arena, struct aq_catalog_dataset *dataset)
{
    const struct aq_schema *from = dataset->versions;
    dataset->versions = aq_arena_alloc(arena, dataset->version_count * sizeof *from);
    if (dataset->versions == NULL)
        return false;
    for (size_t i = 0; i < dataset->version_count; i++) {
        if (aq_schema_copy(&from[i], arena, &dataset->versions[i]) != AQ_OK)
            return false;
    }
    return true;
}

/* The arrays of `catalog` point into another catalog: give it arrays of its own. */
static bool own_arrays(struct aq_catalog *catalog)
{
    struct aq_arena *arena = &catalog->arena;
#define OWN(array, count) \
    ((catalog->array =    \
          aq_arena_copy(arena, catalog->array, catalog->count * sizeof *catalog->array)) != NULL)
    if (!OWN(datasets, dataset_count) || !OWN(views, view_count) || !OWN(files, file_count) ||
        !OWN(feeds, feed_count) || !OWN(masks, mask_count) || !OWN(losses, lost_count) ||
        !OWN(tombstones, tombstone_count))
        return false;
#undef OWN
    bool owned = true;
    for (size_t i = 0; owned && i < catalog->dataset_count; i++)
        owned = copy_dataset(arena, &catalog->datasets[i]);
    for (size_t i = 0; owned && i < catalog->view_count; i++)
        owned =
            copy_slice(arena, &catalog->views[i].name) && copy_slice(arena, &catalog->views[i].sql);
    for (size_t i = 0; owned && i < catalog->file_count; i++)
        owned = copy_file(arena, &catalog->files[i]);
    for (size_t i = 0; owned && i < catalog->feed_count; i++)
        owned = copy_feed(arena, &catalog->feeds[i].identity);
    for (size_t i = 0; owned && i < catalog->tombstone_count; i++)
        owned = copy_tombstone(arena, &catalog->tombstones[i]);
    return owned;
}

enum aq_status aq_catalog_state_begin(struct aq_catalog_state *state, const struct aq_catalog *from)
{
    *state = (struct aq_catalog_state){.catalog = calloc(1, sizeof *state->catalog)};
    struct aq_catalog *catalog = state->catalog;
    if (catalog == NULL)
        return AQ_NO_MEMORY;
    if (from != NULL)
        aq_catalog_borrow(catalog, from);
    else
        *catalog = (struct aq_catalog){
            .next_file_id = 1, .next_feed_id = 1, .next_epoch = 1, .next_dataset_id = 1};
    catalog->reference_count = 1;
    aq_arena_init(&catalog->arena);
    if (own_arrays(catalog))
        return AQ_OK;
    aq_catalog_state_abandon(state);
    return AQ_NO_MEMORY;
}

void aq_catalog_state_abandon(struct aq_catalog_state *state)
{
    if (state->catalog != NULL)
        aq_arena_deinit(&state->catalog->arena);
    free(state->catalog);
    *state = (struct aq_catalog_state){0};
}

const struct aq_catalog *aq_catalog_state_finish(struct aq_catalog_state *state)
{
    const struct aq_catalog *catalog = state->catalog;
    *state = (struct aq_catalog_state){0};
    return catalog;
}

/* Applying: one function a record. */

static enum aq_status contradiction(struct aq_error *err, const char *what, uint64_t id)
{
    return aq_error_set(err, AQ_CORRUPT, "the edit contradicts the ones before it: %s %" PRIu64,
                        what, id);
}

static struct aq_catalog_file *find_file(struct aq_catalog *catalog, uint64_t file_id)
{
    return (struct aq_catalog_file *)aq_catalog_file(catalog, file_id);
}

static struct aq_catalog_feed *find_feed(struct aq_catalog *catalog, uint64_t feed_id)
{
    return (struct aq_catalog_feed *)aq_catalog_feed(catalog, feed_id);
}

static enum aq_status apply_store(struct aq_catalog_state *state, const struct aq_record *record,
                                  struct aq_error *err)
{
    if (state->catalog->incarnation != 0 || record->store.incarnation == 0)
        return contradiction(err, "a second identity, incarnation", record->store.incarnation);
    state->catalog->store_id = record->store.id;
    state->catalog->incarnation = record->store.incarnation;
    return AQ_OK;
}

static struct aq_catalog_dataset *find_dataset(struct aq_catalog *catalog, uint32_t dataset_id)
{
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        if (catalog->datasets[i].versions[0].dataset_id == dataset_id)
            return &catalog->datasets[i];
    }
    return NULL;
}

static enum aq_status apply_dataset(struct aq_catalog_state *state, const struct aq_record *record,
                                    struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    const struct aq_schema *schema = &record->dataset;
    struct aq_catalog_dataset *dataset = find_dataset(catalog, schema->dataset_id);
    if (dataset == NULL) {
        if (schema->dataset_id < catalog->next_dataset_id || schema->dataset_id == UINT32_MAX ||
            aq_catalog_schema(catalog, schema->dataset) != NULL)
            return contradiction(err, "a dataset made twice, id", schema->dataset_id);
        dataset = APPEND(state, datasets, dataset_count, dataset_capacity);
        if (dataset == NULL)
            return AQ_NO_MEMORY;
        dataset->complete_until_us = INT64_MAX;
        catalog->next_dataset_id = schema->dataset_id + 1;
    } else if (schema->version <= dataset->versions[dataset->version_count - 1].version ||
               strcmp(schema->dataset, dataset->versions[0].dataset) != 0) {
        return contradiction(err, "a declaration out of order, dataset", schema->dataset_id);
    }
    size_t capacity = dataset->version_count; /* exact: versions are few */
    if (!make_room(&catalog->arena, (void **)&dataset->versions, dataset->version_count, &capacity,
                   sizeof *schema))
        return AQ_NO_MEMORY;
    AQ_TRY(aq_schema_copy(schema, &catalog->arena, &dataset->versions[dataset->version_count]));
    dataset->version_count++;
    return AQ_OK;
}

static enum aq_status apply_view(struct aq_catalog_state *state, const struct aq_record *record)
{
    struct aq_catalog *catalog = state->catalog;
    size_t at = 0;
    while (at < catalog->view_count && !aq_slice_equal(catalog->views[at].name, record->view.name))
        at++;
    if (record->view.sql.size == 0) {
        if (at == catalog->view_count)
            return AQ_OK;
        memmove(&catalog->views[at], &catalog->views[at + 1],
                (catalog->view_count - at - 1) * sizeof *catalog->views);
        catalog->view_count--;
        return AQ_OK;
    }
    if (at == catalog->view_count && APPEND(state, views, view_count, view_capacity) == NULL)
        return AQ_NO_MEMORY;
    struct aq_catalog_view *view = &catalog->views[at];
    view->name = record->view.name;
    view->sql = record->view.sql;
    bool copied =
        copy_slice(&catalog->arena, &view->name) && copy_slice(&catalog->arena, &view->sql);
    return copied ? AQ_OK : AQ_NO_MEMORY;
}

static enum aq_status add_file(struct aq_catalog_state *state, uint64_t file_id,
                               struct aq_catalog_file **file, struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    if (file_id < catalog->next_file_id || file_id == UINT64_MAX)
        return contradiction(err, "a file made twice, id", file_id);
    *file = APPEND(state, files, file_count, file_capacity);
    if (*file == NULL)
        return AQ_NO_MEMORY;
    (*file)->file_id = file_id;
    catalog->next_file_id = file_id + 1;
    return AQ_OK;
}

static enum aq_status apply_open(struct aq_catalog_state *state, const struct aq_record *record,
                                 struct aq_error *err)
{
    struct aq_catalog_file *file = NULL;
    AQ_TRY(add_file(state, record->open.file_id, &file, err));
    file->kind = AQ_FILE_SEGMENT;
    file->state = AQ_FILE_OPEN;
    file->epoch = record->open.epoch;
    if (record->open.epoch >= state->catalog->next_epoch && record->open.epoch < UINT64_MAX)
        state->catalog->next_epoch = record->open.epoch + 1;
    return AQ_OK;
}

static enum aq_status check_entries(struct aq_catalog *catalog, const struct aq_file_entry *entries,
                                    size_t count, struct aq_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (aq_catalog_schema_by_id(catalog, entries[i].dataset_id, entries[i].schema_version) ==
            NULL)
            return contradiction(err, "rows of an undeclared dataset, id", entries[i].dataset_id);
    }
    return AQ_OK;
}

static enum aq_status apply_close(struct aq_catalog_state *state, const struct aq_record *record,
                                  struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    struct aq_catalog_file *file = find_file(catalog, record->close.file_id);
    if (file == NULL || file->state != AQ_FILE_OPEN)
        return contradiction(err, "it closes what is not open, file", record->close.file_id);
    AQ_TRY(check_entries(catalog, record->close.entries, record->close.entry_count, err));
    file->state = AQ_FILE_CLOSED;
    file->held = false;
    file->edit = state->header->number;
    file->frame_count = record->close.frame_count;
    file->size_bytes = record->close.size_bytes;
    file->file_bytes = record->close.file_bytes;
    file->checksum = record->close.checksum;
    file->entry_count = record->close.entry_count;
    file->entries = record->close.entries;
    return copy_file(&catalog->arena, file) ? AQ_OK : AQ_NO_MEMORY;
}

static enum aq_status apply_archive(struct aq_catalog_state *state, const struct aq_record *record,
                                    struct aq_error *err)
{
    struct aq_catalog_file *file = NULL;
    AQ_TRY(check_entries(state->catalog, &record->archive.entry, 1, err));
    AQ_TRY(add_file(state, record->archive.file_id, &file, err));
    file->kind = AQ_FILE_ARCHIVE;
    file->state = AQ_FILE_CLOSED;
    file->edit = state->header->number;
    file->size_bytes = record->archive.size_bytes;
    file->file_bytes = record->archive.size_bytes;
    file->content = record->archive.content;
    file->entry_count = 1;
    file->entries = (struct aq_file_entry *)&record->archive.entry; /* copied below */
    file->root = record->archive.root;
    return copy_file(&state->catalog->arena, file) ? AQ_OK : AQ_NO_MEMORY;
}

static enum aq_status apply_remove(struct aq_catalog_state *state, const struct aq_record *record,
                                   struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    struct aq_catalog_file *file = find_file(catalog, record->remove.file_id);
    if (file == NULL || file->state == AQ_FILE_OPEN)
        return contradiction(err, "it removes what is not there or open, file",
                             record->remove.file_id);
    size_t at = (size_t)(file - catalog->files);
    memmove(file, file + 1, (catalog->file_count - at - 1) * sizeof *file);
    catalog->file_count--;
    size_t kept = 0;
    for (size_t i = 0; i < catalog->mask_count; i++) {
        if (catalog->masks[i].file_id != record->remove.file_id)
            catalog->masks[kept++] = catalog->masks[i];
    }
    catalog->mask_count = kept;
    return AQ_OK;
}

static enum aq_status apply_feed(struct aq_catalog_state *state, const struct aq_record *record,
                                 struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    uint64_t feed_id = record->feed.feed_id;
    if (feed_id < catalog->next_feed_id || feed_id == UINT64_MAX)
        return contradiction(err, "a feed made twice, id", feed_id);
    if (find_dataset(catalog, record->feed.dataset_id) == NULL)
        return contradiction(err, "a feed of no dataset, id", feed_id);
    struct aq_catalog_feed *feed = APPEND(state, feeds, feed_count, feed_capacity);
    if (feed == NULL)
        return AQ_NO_MEMORY;
    catalog->next_feed_id = feed_id + 1;
    feed->identity = record->feed;
    feed->position.feed_id = feed_id;
    return copy_feed(&catalog->arena, &feed->identity) ? AQ_OK : AQ_NO_MEMORY;
}

static enum aq_status apply_position(struct aq_catalog_state *state, const struct aq_record *record,
                                     struct aq_error *err)
{
    struct aq_catalog_feed *feed = find_feed(state->catalog, record->position.feed_id);
    if (feed == NULL || record->position.next_ordinal < feed->position.next_ordinal)
        return contradiction(err, "a position that goes back, feed", record->position.feed_id);
    feed->position = record->position;
    return AQ_OK;
}

static enum aq_status apply_claim(struct aq_catalog_state *state, const struct aq_record *record,
                                  struct aq_error *err)
{
    struct aq_catalog_feed *feed = find_feed(state->catalog, record->claim.feed_id);
    if (feed == NULL)
        return contradiction(err, "a claim on no feed, id", record->claim.feed_id);
    feed->claim_file_id = record->claim.file_id;
    feed->claim_epoch = record->claim.epoch;
    feed->claim_from_ordinal = record->claim.from_ordinal;
    return AQ_OK;
}

static bool mask_precedes(const struct aq_catalog_mask *a, const struct aq_catalog_mask *b)
{
    return a->file_id < b->file_id || (a->file_id == b->file_id && a->feed_id < b->feed_id);
}

/* They stay sorted by file and feed; of two on one pair the one that hides more stands. */
static enum aq_status apply_mask(struct aq_catalog_state *state, const struct aq_record *record,
                                 struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    struct aq_catalog_mask mask = {.file_id = record->mask.file_id,
                                   .feed_id = record->mask.feed_id,
                                   .from_ordinal = record->mask.from_ordinal};
    if (find_file(catalog, mask.file_id) == NULL)
        return contradiction(err, "a mask on no file, id", mask.file_id);
    if (find_feed(catalog, mask.feed_id) == NULL)
        return contradiction(err, "a mask on no feed, id", mask.feed_id);
    struct aq_catalog_mask *old =
        (struct aq_catalog_mask *)aq_catalog_mask(catalog, mask.file_id, mask.feed_id);
    if (old != NULL) {
        if (mask.from_ordinal < old->from_ordinal)
            old->from_ordinal = mask.from_ordinal;
        return AQ_OK;
    }
    if (APPEND(state, masks, mask_count, mask_capacity) == NULL)
        return AQ_NO_MEMORY;
    size_t at = catalog->mask_count - 1;
    for (; at > 0 && mask_precedes(&mask, &catalog->masks[at - 1]); at--)
        catalog->masks[at] = catalog->masks[at - 1];
    catalog->masks[at] = mask;
    return AQ_OK;
}

/* Told again with the same beginning, the longer range stands. */
static enum aq_status apply_lost(struct aq_catalog_state *state, const struct aq_record *record,
                                 struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    uint64_t from = record->lost.from_ordinal;
    if (find_feed(catalog, record->lost.feed_id) == NULL || record->lost.next_ordinal <= from)
        return contradiction(err, "a loss of no feed or of nothing, feed", record->lost.feed_id);
    size_t at = 0;
    while (at < catalog->lost_count && (catalog->losses[at].feed_id != record->lost.feed_id ||
                                        catalog->losses[at].from_ordinal != from))
        at++;
    if (at == catalog->lost_count && APPEND(state, losses, lost_count, lost_capacity) == NULL)
        return AQ_NO_MEMORY;
    struct aq_catalog_lost *lost = &catalog->losses[at];
    uint64_t next = record->lost.next_ordinal;
    *lost = (struct aq_catalog_lost){.feed_id = record->lost.feed_id,
                                     .from_ordinal = from,
                                     .next_ordinal =
                                         next > lost->next_ordinal ? next : lost->next_ordinal};
    return AQ_OK;
}

static enum aq_status apply_place(struct aq_catalog_state *state, const struct aq_record *record,
                                  struct aq_error *err)
{
    struct aq_catalog_file *file = find_file(state->catalog, record->place.file_id);
    if (file == NULL || file->state == AQ_FILE_OPEN || record->place.object.size == 0)
        return contradiction(err, "it places what is not there or open, file",
                             record->place.file_id);
    file->object = record->place.object;
    file->object_hash = record->place.hash;
    return copy_slice(&state->catalog->arena, &file->object) ? AQ_OK : AQ_NO_MEMORY;
}

static enum aq_status apply_evict(struct aq_catalog_state *state, const struct aq_record *record,
                                  struct aq_error *err)
{
    struct aq_catalog_file *file = find_file(state->catalog, record->evict.file_id);
    if (file == NULL || file->object.size == 0)
        return contradiction(err, "it evicts what is nowhere else, file", record->evict.file_id);
    file->evicted = true;
    return AQ_OK;
}

/* A checkpoint that does not say it is of before there were tombstones: its files are then as old as
 * the checkpoint, and a tombstone that follows applies to them. */
static enum aq_status apply_since(struct aq_catalog_state *state, const struct aq_record *record,
                                  struct aq_error *err)
{
    struct aq_catalog_file *file = find_file(state->catalog, record->since.file_id);
    if (!state->header->checkpoint || file == NULL || file->state == AQ_FILE_OPEN ||
        record->since.edit == 0 || record->since.edit > state->header->number)
        return contradiction(err, "it says since when there is no such file, id",
                             record->since.file_id);
    file->edit = record->since.edit;
    return AQ_OK;
}

static enum aq_status apply_hold(struct aq_catalog_state *state, const struct aq_record *record,
                                 struct aq_error *err)
{
    struct aq_catalog_file *file = find_file(state->catalog, record->hold.file_id);
    if (file == NULL || file->state != AQ_FILE_OPEN)
        return contradiction(err, "it holds what is not open, file", record->hold.file_id);
    file->held = true;
    return AQ_OK;
}

static enum aq_status apply_complete(struct aq_catalog_state *state, const struct aq_record *record,
                                     struct aq_error *err)
{
    struct aq_catalog_dataset *dataset = find_dataset(state->catalog, record->complete.dataset_id);
    if (dataset == NULL)
        return contradiction(err, "how far no dataset goes, id", record->complete.dataset_id);
    dataset->complete_until_us = record->complete.until_us;
    return AQ_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return aq_slice_compare(*(const struct aq_slice *)a, *(const struct aq_slice *)b);
}

/* Of tombstones of which one removes all that the other does, that one stands: a span that is removed anew
 * each night leaves one record. */
static enum aq_status apply_tombstone(struct aq_catalog_state *state,
                                      const struct aq_record *record, struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    struct aq_catalog_tombstone added = {.dataset_id = record->tombstone.dataset_id,
                                         .key_count = record->tombstone.key_count,
                                         .keys = record->tombstone.keys,
                                         .from_us = record->tombstone.from_us,
                                         .until_us = record->tombstone.until_us,
                                         .before_edit = record->tombstone.before_edit};
    if (find_dataset(catalog, added.dataset_id) == NULL)
        return contradiction(err, "a tombstone on no dataset, id", added.dataset_id);
    if (added.before_edit > state->header->number)
        return contradiction(err, "a tombstone on what is not yet there, edit", added.before_edit);
    if (!copy_tombstone(&catalog->arena, &added))
        return AQ_NO_MEMORY;
    if (added.key_count > 1)
        qsort(added.keys, added.key_count, sizeof *added.keys, compare_keys);
    size_t kept = 0;
    for (size_t i = 0; i < catalog->tombstone_count; i++) {
        if (aq_tombstone_covers(&catalog->tombstones[i], &added))
            return AQ_OK;
    }
    for (size_t i = 0; i < catalog->tombstone_count; i++) {
        if (!aq_tombstone_covers(&added, &catalog->tombstones[i]))
            catalog->tombstones[kept++] = catalog->tombstones[i];
    }
    catalog->tombstone_count = kept;
    struct aq_catalog_tombstone *place =
        APPEND(state, tombstones, tombstone_count, tombstone_capacity);
    if (place == NULL)
        return AQ_NO_MEMORY;
    *place = added;
    return AQ_OK;
}

/* Tombstones that no file is left for. */
static void prune_tombstones(struct aq_catalog *catalog)
{
    size_t kept = 0;
    for (size_t i = 0; i < catalog->tombstone_count; i++) {
        bool needed = false;
        for (size_t f = 0; !needed && f < catalog->file_count; f++)
            needed = aq_tombstone_touches(&catalog->tombstones[i], &catalog->files[f]);
        if (needed)
            catalog->tombstones[kept++] = catalog->tombstones[i];
    }
    catalog->tombstone_count = kept;
}

static enum aq_status apply_counters(struct aq_catalog_state *state, const struct aq_record *record,
                                     struct aq_error *err)
{
    struct aq_catalog *catalog = state->catalog;
    if (record->counters.next_file_id < catalog->next_file_id ||
        record->counters.next_feed_id < catalog->next_feed_id ||
        record->counters.next_epoch < catalog->next_epoch ||
        record->counters.next_dataset_id < catalog->next_dataset_id)
        return contradiction(err, "counters that go back, next file",
                             record->counters.next_file_id);
    catalog->next_file_id = record->counters.next_file_id;
    catalog->next_feed_id = record->counters.next_feed_id;
    catalog->next_epoch = record->counters.next_epoch;
    catalog->next_dataset_id = record->counters.next_dataset_id;
    return AQ_OK;
}

static enum aq_status apply_record(struct aq_catalog_state *state, const struct aq_record *record,
                                   struct aq_error *err)
{
    switch (record->kind) {
    case AQ_RECORD_STORE:
        return apply_store(state, record, err);
    case AQ_RECORD_DATASET:
        return apply_dataset(state, record, err);
    case AQ_RECORD_VIEW:
        return apply_view(state, record);
    case AQ_RECORD_OPEN:
        return apply_open(state, record, err);
    case AQ_RECORD_CLOSE:
        return apply_close(state, record, err);
    case AQ_RECORD_ARCHIVE:
        return apply_archive(state, record, err);
    case AQ_RECORD_REMOVE:
        return apply_remove(state, record, err);
    case AQ_RECORD_FEED:
        return apply_feed(state, record, err);
    case AQ_RECORD_POSITION:
        return apply_position(state, record, err);
    case AQ_RECORD_CLAIM:
        return apply_claim(state, record, err);
    case AQ_RECORD_MASK:
        return apply_mask(state, record, err);
    case AQ_RECORD_TOMBSTONE:
        return apply_tombstone(state, record, err);
    case AQ_RECORD_COUNTERS:
        return apply_counters(state, record, err);
    case AQ_RECORD_LOST:
        return apply_lost(state, record, err);
    case AQ_RECORD_PLACE:
        return apply_place(state, record, err);
    case AQ_RECORD_EVICT:
        return apply_evict(state, record, err);
    case AQ_RECORD_COMPLETE:
        return apply_complete(state, record, err);
    case AQ_RECORD_SINCE:
        return apply_since(state, record, err);
    case AQ_RECORD_HOLD:
        return apply_hold(state, record, err);
    }
    return aq_error_set(err, AQ_UNSUPPORTED, "record kind %d is unknown", (int)record->kind);
}

/* A checkpoint stands in for the edit of its number: what follows names that edit's checksum, which
 * the checkpoint therefore carries as its previous_checksum. */
static enum aq_status check_chain(const struct aq_catalog *catalog,
                                  const struct aq_edit_header *header, struct aq_error *err)
{
    if (header->checkpoint)
        return catalog->number == 0
                   ? AQ_OK
                   : contradiction(err, "a checkpoint among edits, number", header->number);
    if (!aq_mutant(28) && header->number != catalog->number + 1)
        return aq_error_set(err, AQ_CORRUPT, "says it is edit %" PRIu64 ", not %" PRIu64,
                            header->number, catalog->number + 1);
    if (!aq_mutant(27) && header->previous_checksum != catalog->checksum)
        return aq_error_set(err, AQ_CORRUPT,
                            "does not follow the edit before it: the chain of checksums is broken");
    return AQ_OK;
}

enum aq_status aq_catalog_state_apply(struct aq_catalog_state *state,
                                      const struct aq_edit_header *header,
                                      const struct aq_record *records, size_t record_count,
                                      uint64_t checksum, struct aq_error *err)
{
    AQ_TRY(check_chain(state->catalog, header, err));
    state->header = header;
    for (size_t i = 0; i < record_count; i++) {
        enum aq_status status = apply_record(state, &records[i], err);
        if (status == AQ_NO_MEMORY)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory reading the catalog");
        AQ_TRY(status);
    }
    prune_tombstones(state->catalog);
    if (state->catalog->incarnation == 0)
        return aq_error_set(err, AQ_CORRUPT, "the first edit names no store");
    state->catalog->number = header->number;
    state->catalog->time_us = header->time_us;
    state->catalog->checksum = header->checkpoint ? header->previous_checksum : checksum;
    state->header = NULL;
    return AQ_OK;
}
