/* What a tombstone removes: by dataset, by the edit of a file, by time, by key (sorted in a catalog); and what two
 * versions of the catalog hide of a file. No failures. */
#include "engine/store/snapshot/tombstone.h"

/* Rows without a time are removed whatever the span. */
static bool meets(const struct aq_catalog_tombstone *tombstone, const struct aq_file_entry *entry)
{
    if (entry->dataset_id != tombstone->dataset_id || entry->row_count == 0)
        return false;
    return !entry->has_time ||
           (entry->max_time_us >= tombstone->from_us && entry->min_time_us < tombstone->until_us);
}

bool aq_tombstone_touches(const struct aq_catalog_tombstone *tombstone,
                          const struct aq_catalog_file *file)
{
    if (file->state == AQ_FILE_OPEN || file->edit >= tombstone->before_edit)
        return false;
    for (size_t i = 0; i < file->entry_count; i++) {
        if (meets(tombstone, &file->entries[i]))
            return true;
    }
    return false;
}

bool aq_tombstone_has_key(const struct aq_catalog_tombstone *tombstone, struct aq_slice key)
{
    size_t low = 0;
    size_t high = tombstone->key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (aq_slice_compare(tombstone->keys[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return tombstone->key_count == 0 ||
           (low < tombstone->key_count && aq_slice_equal(tombstone->keys[low], key));
}

bool aq_tombstone_covers(const struct aq_catalog_tombstone *outer,
                         const struct aq_catalog_tombstone *inner)
{
    if (outer->dataset_id != inner->dataset_id || outer->before_edit < inner->before_edit ||
        outer->from_us > inner->from_us || outer->until_us < inner->until_us ||
        (inner->key_count == 0 && outer->key_count > 0))
        return false;
    for (size_t i = 0; i < inner->key_count; i++) {
        if (!aq_tombstone_has_key(outer, inner->keys[i]))
            return false;
    }
    return true;
}

static bool masks_alike(const struct aq_catalog *older, const struct aq_catalog *newer,
                        uint64_t file_id)
{
    for (size_t i = 0; i < newer->mask_count; i++) {
        const struct aq_catalog_mask *mask = &newer->masks[i];
        if (mask->file_id != file_id)
            continue;
        const struct aq_catalog_mask *old = aq_catalog_mask(older, mask->file_id, mask->feed_id);
        if (old == NULL || old->from_ordinal != mask->from_ordinal)
            return false;
    }
    return true;
}

static bool was_removed(const struct aq_catalog *older,
                        const struct aq_catalog_tombstone *tombstone)
{
    for (size_t i = 0; i < older->tombstone_count; i++) {
        if (aq_tombstone_covers(&older->tombstones[i], tombstone))
            return true;
    }
    return false;
}

bool aq_catalog_hides_alike(const struct aq_catalog *older, const struct aq_catalog *newer,
                            uint64_t file_id)
{
    const struct aq_catalog_file *file = aq_catalog_file(newer, file_id);
    if (file == NULL || !masks_alike(older, newer, file_id))
        return false;
    for (size_t i = 0; i < newer->tombstone_count; i++) {
        const struct aq_catalog_tombstone *tombstone = &newer->tombstones[i];
        if (aq_tombstone_touches(tombstone, file) && !was_removed(older, tombstone))
            return false;
    }
    return true;
}
