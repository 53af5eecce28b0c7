/* Collecting the records of one edit; the records of a checkpoint. */
#include "engine/store/catalog/catalog_state.h"
#include "engine/store/store.h"

#include <stdlib.h>
#include <string.h>

void aq_edit_clear(struct aq_edit *edit)
{
    edit->record_count = 0;
    aq_arena_reset(&edit->arena);
}

void aq_edit_deinit(struct aq_edit *edit)
{
    free(edit->records);
    aq_arena_deinit(&edit->arena);
    *edit = (struct aq_edit){0};
}

static bool own_slice(struct aq_arena *arena, struct aq_slice *slice)
{
    slice->data = aq_arena_copy(arena, slice->data, slice->size);
    return slice->data != NULL;
}

static bool own_close(struct aq_arena *arena, struct aq_record *record)
{
    record->close.entries = aq_arena_copy(
        arena, record->close.entries, record->close.entry_count * sizeof *record->close.entries);
    return record->close.entries != NULL;
}

static bool own_tombstone(struct aq_arena *arena, struct aq_record *record)
{
    size_t count = record->tombstone.key_count;
    struct aq_slice *keys = aq_arena_copy(arena, record->tombstone.keys, count * sizeof *keys);
    bool owned = keys != NULL;
    for (size_t i = 0; owned && i < count; i++)
        owned = own_slice(arena, &keys[i]);
    record->tombstone.keys = keys;
    return owned;
}

/* Replace what `record` borrows by copies. */
static bool own(struct aq_arena *arena, struct aq_record *record)
{
    switch (record->kind) {
    case AQ_RECORD_DATASET: {
        struct aq_schema schema = record->dataset;
        return aq_schema_copy(&schema, arena, &record->dataset) == AQ_OK;
    }
    case AQ_RECORD_VIEW:
        return own_slice(arena, &record->view.name) && own_slice(arena, &record->view.sql);
    case AQ_RECORD_CLOSE:
        return own_close(arena, record);
    case AQ_RECORD_ARCHIVE:
        return own_slice(arena, &record->archive.root);
    case AQ_RECORD_FEED:
        return own_slice(arena, &record->feed.source) && own_slice(arena, &record->feed.name) &&
               own_slice(arena, &record->feed.cluster);
    case AQ_RECORD_TOMBSTONE:
        return own_tombstone(arena, record);
    case AQ_RECORD_PLACE:
        return own_slice(arena, &record->place.object);
    default:
        return true;
    }
}

enum aq_status aq_edit_add(struct aq_edit *edit, const struct aq_record *record)
{
    if (edit->record_count == edit->record_capacity) {
        size_t capacity = edit->record_capacity * 2 + 8;
        struct aq_record *grown = realloc(edit->records, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        edit->records = grown;
        edit->record_capacity = capacity;
    }
    struct aq_record copy = *record;
    if (!own(&edit->arena, &copy))
        return AQ_NO_MEMORY;
    edit->records[edit->record_count++] = copy;
    return AQ_OK;
}

static enum aq_status describe_datasets(const struct aq_catalog *catalog, struct aq_edit *edit)
{
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        for (size_t v = 0; v < dataset->version_count; v++)
            AQ_TRY(aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_DATASET,
                                                         .dataset = dataset->versions[v]}));
    }
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        struct aq_record complete = {.kind = AQ_RECORD_COMPLETE,
                                     .complete = {.dataset_id = dataset->versions[0].dataset_id,
                                                  .until_us = dataset->complete_until_us}};
        if (dataset->complete_until_us != INT64_MAX)
            AQ_TRY(aq_edit_add(edit, &complete));
    }
    for (size_t i = 0; i < catalog->view_count; i++)
        AQ_TRY(aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_VIEW,
                                                     .view = {.name = catalog->views[i].name,
                                                              .sql = catalog->views[i].sql}}));
    return AQ_OK;
}

static enum aq_status describe_segment(const struct aq_catalog_file *file, struct aq_edit *edit)
{
    AQ_TRY(aq_edit_add(
        edit, &(struct aq_record){.kind = AQ_RECORD_OPEN,
                                  .open = {.file_id = file->file_id, .epoch = file->epoch}}));
    struct aq_record hold = {.kind = AQ_RECORD_HOLD, .hold = {.file_id = file->file_id}};
    if (file->state == AQ_FILE_OPEN)
        return file->held ? aq_edit_add(edit, &hold) : AQ_OK;
    struct aq_record close = {.kind = AQ_RECORD_CLOSE,
                              .close = {.file_id = file->file_id,
                                        .frame_count = file->frame_count,
                                        .size_bytes = file->size_bytes,
                                        .file_bytes = file->file_bytes,
                                        .checksum = file->checksum,
                                        .entry_count = file->entry_count,
                                        .entries = file->entries}};
    return aq_edit_add(edit, &close);
}

static enum aq_status describe_archive(const struct aq_catalog_file *file, struct aq_edit *edit)
{
    struct aq_record archive = {.kind = AQ_RECORD_ARCHIVE,
                                .archive = {.file_id = file->file_id,
                                            .size_bytes = file->size_bytes,
                                            .content = file->content,
                                            .entry = file->entries[0],
                                            .root = file->root}};
    return aq_edit_add(edit, &archive);
}

static enum aq_status describe_since(const struct aq_catalog_file *file, struct aq_edit *edit)
{
    struct aq_record since = {.kind = AQ_RECORD_SINCE,
                              .since = {.file_id = file->file_id, .edit = file->edit}};
    return file->state == AQ_FILE_OPEN ? AQ_OK : aq_edit_add(edit, &since);
}

static enum aq_status describe_place(const struct aq_catalog_file *file, struct aq_edit *edit)
{
    if (file->object.size == 0)
        return AQ_OK;
    AQ_TRY(aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_PLACE,
                                                 .place = {.file_id = file->file_id,
                                                           .object = file->object,
                                                           .hash = file->object_hash}}));
    if (!file->evicted)
        return AQ_OK;
    return aq_edit_add(
        edit, &(struct aq_record){.kind = AQ_RECORD_EVICT, .evict = {.file_id = file->file_id}});
}

static enum aq_status describe_files(const struct aq_catalog *catalog, struct aq_edit *edit)
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        AQ_TRY(file->kind == AQ_FILE_SEGMENT ? describe_segment(file, edit)
                                             : describe_archive(file, edit));
        AQ_TRY(describe_since(file, edit));
        AQ_TRY(describe_place(file, edit));
    }
    return AQ_OK;
}

static enum aq_status describe_feeds(const struct aq_catalog *catalog, struct aq_edit *edit)
{
    for (size_t i = 0; i < catalog->feed_count; i++) {
        const struct aq_catalog_feed *feed = &catalog->feeds[i];
        AQ_TRY(
            aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_FEED, .feed = feed->identity}));
        AQ_TRY(aq_edit_add(
            edit, &(struct aq_record){.kind = AQ_RECORD_POSITION, .position = feed->position}));
        struct aq_record claim = {.kind = AQ_RECORD_CLAIM,
                                  .claim = {.feed_id = feed->identity.feed_id,
                                            .from_ordinal = feed->claim_from_ordinal,
                                            .epoch = feed->claim_epoch,
                                            .file_id = feed->claim_file_id}};
        if (feed->claim_file_id != 0)
            AQ_TRY(aq_edit_add(edit, &claim));
    }
    return AQ_OK;
}

static enum aq_status describe_removals(const struct aq_catalog *catalog, struct aq_edit *edit)
{
    for (size_t i = 0; i < catalog->mask_count; i++) {
        const struct aq_catalog_mask *mask = &catalog->masks[i];
        AQ_TRY(
            aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_MASK,
                                                  .mask = {.file_id = mask->file_id,
                                                           .feed_id = mask->feed_id,
                                                           .from_ordinal = mask->from_ordinal}}));
    }
    for (size_t i = 0; i < catalog->lost_count; i++) {
        const struct aq_catalog_lost *lost = &catalog->losses[i];
        AQ_TRY(
            aq_edit_add(edit, &(struct aq_record){.kind = AQ_RECORD_LOST,
                                                  .lost = {.feed_id = lost->feed_id,
                                                           .from_ordinal = lost->from_ordinal,
                                                           .next_ordinal = lost->next_ordinal}}));
    }
    for (size_t i = 0; i < catalog->tombstone_count; i++) {
        const struct aq_catalog_tombstone *tombstone = &catalog->tombstones[i];
        AQ_TRY(aq_edit_add(
            edit, &(struct aq_record){.kind = AQ_RECORD_TOMBSTONE,
                                      .tombstone = {.dataset_id = tombstone->dataset_id,
                                                    .key_count = tombstone->key_count,
                                                    .keys = tombstone->keys,
                                                    .from_us = tombstone->from_us,
                                                    .until_us = tombstone->until_us,
                                                    .before_edit = tombstone->before_edit}}));
    }
    return AQ_OK;
}

enum aq_status aq_catalog_describe(const struct aq_catalog *catalog, struct aq_edit *edit)
{
    struct aq_record store = {
        .kind = AQ_RECORD_STORE,
        .store = {.id = catalog->store_id, .incarnation = catalog->incarnation}};
    struct aq_record counters = {.kind = AQ_RECORD_COUNTERS,
                                 .counters = {.next_file_id = catalog->next_file_id,
                                              .next_feed_id = catalog->next_feed_id,
                                              .next_epoch = catalog->next_epoch,
                                              .next_dataset_id = catalog->next_dataset_id}};
    AQ_TRY(aq_edit_add(edit, &store));
    AQ_TRY(describe_datasets(catalog, edit));
    AQ_TRY(describe_files(catalog, edit));
    AQ_TRY(describe_feeds(catalog, edit));
    AQ_TRY(describe_removals(catalog, edit));
    /* Last: it must not be below what the records before it used up. */
    return aq_edit_add(edit, &counters);
}
