/* Adding up a segment's frames, and closing it in the catalog: rows and positions in one edit. */
#include "engine/store/segment/segment_totals.h"
#include "format/base/mutant.h"

#include <inttypes.h>
#include <stdlib.h>

void aq_segment_totals_deinit(struct aq_segment_totals *totals)
{
    aq_segment_index_deinit(&totals->index);
    free(totals->entries);
    free(totals->feeds);
    free(totals->masked);
    *totals = (struct aq_segment_totals){0};
}

static bool grow(void **array, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity * 2 + 8;
    void *grown = realloc(*array, wanted * item_size);
    if (grown == NULL)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

static enum aq_status add_section(struct aq_segment_totals *totals,
                                  const struct aq_section_entry *section, uint32_t masked)
{
    size_t at = 0;
    while (at < totals->entry_count &&
           (totals->entries[at].dataset_id != section->dataset_id ||
            totals->entries[at].schema_version != section->schema_version))
        at++;
    if (at == totals->entry_count) {
        if (!grow((void **)&totals->entries, at, &totals->entry_capacity, sizeof *totals->entries))
            return AQ_NO_MEMORY;
        totals->entries[totals->entry_count++] = (struct aq_file_entry){
            .dataset_id = section->dataset_id, .schema_version = section->schema_version};
    }
    struct aq_file_entry *entry = &totals->entries[at];
    entry->row_count += section->row_count - masked;
    totals->row_count += section->row_count - masked;
    if (!section->has_time)
        return AQ_OK;
    if (!entry->has_time || section->min_time_us < entry->min_time_us)
        entry->min_time_us = section->min_time_us;
    if (!entry->has_time || section->max_time_us > entry->max_time_us)
        entry->max_time_us = section->max_time_us;
    entry->has_time = true;
    return AQ_OK;
}

/* A section of which nothing counts is as good as not there. */
static enum aq_status add_masked_section(struct aq_segment_totals *totals,
                                         const struct aq_frame_header *header,
                                         const struct aq_section_entry *section)
{
    uint32_t masked = aq_catalog_masked_rows(totals->masks, totals->file_id, header, section);
    if (!grow((void **)&totals->masked, totals->masked_count, &totals->masked_capacity,
              sizeof *totals->masked))
        return AQ_NO_MEMORY;
    totals->masked[totals->masked_count++] = masked;
    return masked > 0 && masked == section->row_count ? AQ_OK
                                                      : add_section(totals, section, masked);
}

static enum aq_status add_range(struct aq_segment_totals *totals,
                                const struct aq_source_range *range)
{
    size_t at = totals->feed_count;
    /* From the end: frames mostly go on with the feed they had. */
    while (at > 0 && totals->feeds[at - 1].feed_id != range->feed_id)
        at--;
    if (at == 0) {
        if (!grow((void **)&totals->feeds, totals->feed_count, &totals->feed_capacity,
                  sizeof *totals->feeds))
            return AQ_NO_MEMORY;
        totals->feeds[totals->feed_count++] = *range;
        return AQ_OK;
    }
    struct aq_source_range *sum = &totals->feeds[at - 1];
    struct aq_source_range before = *sum;
    *sum = *range;
    sum->first_ordinal = before.first_ordinal;
    sum->row_count += before.row_count;
    sum->reject_count += before.reject_count;
    sum->passed_count += before.passed_count;
    return AQ_OK;
}

static bool is_masked(const struct aq_segment_totals *totals, const struct aq_source_range *range)
{
    return totals->masks != NULL && aq_catalog_is_masked(totals->masks, totals->file_id,
                                                         range->feed_id, range->first_ordinal);
}

enum aq_status aq_segment_totals_add(struct aq_segment_totals *totals,
                                     const struct aq_frame_header *header)
{
    for (size_t i = 0; i < header->section_count; i++)
        AQ_TRY(totals->masks == NULL ? add_section(totals, &header->sections[i], 0)
                                     : add_masked_section(totals, header, &header->sections[i]));
    for (size_t i = 0; i < header->range_count; i++) {
        if (!is_masked(totals, &header->ranges[i]))
            AQ_TRY(add_range(totals, &header->ranges[i]));
    }
    AQ_TRY(aq_segment_index_add(&totals->index, header));
    totals->last_checksum = header->prefix.header_checksum;
    return AQ_OK;
}

enum aq_status aq_segment_totals_move(const struct aq_segment_totals *totals, size_t at,
                                      struct aq_feed_position *position, struct aq_error *err)
{
    const struct aq_source_range *sum = &totals->feeds[at];
    if (!aq_mutant(67) && sum->first_ordinal < position->next_ordinal)
        return aq_error_set(err, AQ_CORRUPT,
                            "holds messages of feed %" PRIu64 " from %" PRIu64
                            " on, but those below %" PRIu64 " are in the store already",
                            sum->feed_id, sum->first_ordinal, position->next_ordinal);
    *position =
        (struct aq_feed_position){.feed_id = sum->feed_id,
                                  .next_ordinal = sum->next_ordinal,
                                  .next_offset = sum->next_offset,
                                  .hash = sum->hash,
                                  .last_stamp_us = sum->last_stamp_us,
                                  .row_count = position->row_count + sum->row_count,
                                  .reject_count = position->reject_count + sum->reject_count,
                                  .passed_count = position->passed_count + sum->passed_count,
                                  .finished = sum->finished};
    return AQ_OK;
}

static enum aq_status close_feed(const struct aq_segment_totals *totals, size_t at,
                                 uint64_t file_id, const struct aq_catalog *catalog,
                                 struct aq_edit *edit, struct aq_error *err)
{
    uint64_t feed_id = totals->feeds[at].feed_id;
    const struct aq_catalog_feed *feed = aq_catalog_feed(catalog, feed_id);
    if (feed == NULL)
        return aq_error_set(err, AQ_CORRUPT, "holds rows of feed %" PRIu64 ", which nobody claimed",
                            feed_id);
    if (!aq_mutant(66) && aq_catalog_mask(catalog, file_id, feed_id) != NULL)
        return AQ_OK;
    struct aq_record record = {.kind = AQ_RECORD_POSITION, .position = feed->position};
    AQ_TRY(aq_segment_totals_move(totals, at, &record.position, err));
    return aq_edit_add(edit, &record);
}

enum aq_status aq_segment_totals_close(const struct aq_segment_totals *totals, uint64_t file_id,
                                       uint64_t file_bytes, const struct aq_catalog *catalog,
                                       struct aq_edit *edit, struct aq_error *err)
{
    struct aq_record close = {.kind = AQ_RECORD_CLOSE,
                              .close = {.file_id = file_id,
                                        .frame_count = totals->index.frame_count,
                                        .size_bytes = aq_segment_index_end(&totals->index),
                                        .file_bytes = file_bytes,
                                        .checksum = totals->last_checksum,
                                        .entry_count = totals->entry_count,
                                        .entries = totals->entries}};
    AQ_TRY(aq_edit_add(edit, &close));
    for (size_t i = 0; i < totals->feed_count; i++)
        AQ_TRY(close_feed(totals, i, file_id, catalog, edit, err));
    if (totals->index.frame_count > 0)
        return AQ_OK;
    return aq_edit_add(
        edit, &(struct aq_record){.kind = AQ_RECORD_REMOVE, .remove = {.file_id = file_id}});
}

enum aq_status aq_segment_drop(uint64_t file_id, const struct aq_catalog *catalog,
                               struct aq_edit *edit, struct aq_error *err)
{
    const struct aq_segment_totals nothing = {0};
    const struct aq_catalog_file *file = aq_catalog_file(catalog, file_id);
    if (file == NULL || file->state != AQ_FILE_OPEN)
        return AQ_END;
    return aq_segment_totals_close(&nothing, file_id, 0, catalog, edit, err);
}
