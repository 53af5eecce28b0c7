/* What of a snapshot lies in open segments: by the frames that were found when it was taken. */
#include "engine/store/snapshot/snapshot_internal.h"

static int64_t earliest_row(const struct aq_segment_index *index, uint32_t dataset_id)
{
    int64_t since_us = INT64_MAX;
    for (size_t f = 0; f < index->frame_count; f++) {
        for (size_t s = 0; s < index->frames[f].section_count; s++) {
            const struct aq_section_entry *section = &index->frames[f].sections[s];
            if (section->dataset_id != dataset_id || section->row_count == 0)
                continue;
            int64_t section_us = section->has_time ? section->min_time_us : INT64_MIN;
            if (section_us < since_us)
                since_us = section_us;
        }
    }
    return since_us;
}

int64_t aq_snapshot_open_since(const struct aq_snapshot *snapshot, uint32_t dataset_id)
{
    int64_t since_us = INT64_MAX;
    for (size_t i = 0; i < snapshot->catalog->file_count; i++) {
        const struct aq_snapshot_file *file = &snapshot->files[i];
        if (file->entry->state != AQ_FILE_OPEN)
            continue;
        int64_t file_us = earliest_row(&file->frames, dataset_id);
        if (file_us < since_us)
            since_us = file_us;
    }
    return since_us;
}

bool aq_snapshot_is_filling(const struct aq_snapshot *snapshot, uint64_t file_id)
{
    const struct aq_catalog_file *file = aq_catalog_file(snapshot->catalog, file_id);
    return file != NULL && file->state == AQ_FILE_OPEN &&
           snapshot->files[file - snapshot->catalog->files].frames.frame_count > 0;
}
