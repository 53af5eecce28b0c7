/* Looking things up in a catalog. */
#include "engine/store/catalog/catalog.h"
#include "format/base/mutant.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

void aq_catalog_borrow(struct aq_catalog *copy, const struct aq_catalog *from)
{
    memcpy(copy, from, offsetof(struct aq_catalog, reference_count));
    copy->reference_count = 0;
}

static const struct aq_schema *newest(const struct aq_catalog_dataset *dataset)
{
    return &dataset->versions[dataset->version_count - 1];
}

const struct aq_schema *aq_catalog_schema(const struct aq_catalog *catalog, const char *dataset)
{
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        if (strcmp(newest(&catalog->datasets[i])->dataset, dataset) == 0)
            return newest(&catalog->datasets[i]);
    }
    return NULL;
}

const struct aq_schema *aq_catalog_schema_by_id(const struct aq_catalog *catalog,
                                                uint32_t dataset_id, uint32_t version)
{
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        if (dataset->versions[0].dataset_id != dataset_id)
            continue;
        if (version == 0)
            return newest(dataset);
        for (size_t v = 0; v < dataset->version_count; v++) {
            if (dataset->versions[v].version == version)
                return &dataset->versions[v];
        }
    }
    return NULL;
}

const struct aq_catalog_file *aq_catalog_file(const struct aq_catalog *catalog, uint64_t file_id)
{
    size_t low = 0;
    size_t high = catalog->file_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->files[middle].file_id < file_id)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < catalog->file_count && catalog->files[low].file_id == file_id;
    return found ? &catalog->files[low] : NULL;
}

const struct aq_catalog_feed *aq_catalog_feed(const struct aq_catalog *catalog, uint64_t feed_id)
{
    size_t low = 0;
    size_t high = catalog->feed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->feeds[middle].identity.feed_id < feed_id)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < catalog->feed_count && catalog->feeds[low].identity.feed_id == feed_id;
    return found ? &catalog->feeds[low] : NULL;
}

/* Index of the first mask at or behind (file, feed). */
static size_t find_mask(const struct aq_catalog *catalog, uint64_t file_id, uint64_t feed_id)
{
    size_t low = 0;
    size_t high = catalog->mask_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct aq_catalog_mask *mask = &catalog->masks[middle];
        if (mask->file_id < file_id || (mask->file_id == file_id && mask->feed_id < feed_id))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct aq_catalog_mask *aq_catalog_mask(const struct aq_catalog *catalog, uint64_t file_id,
                                              uint64_t feed_id)
{
    size_t at = find_mask(catalog, file_id, feed_id);
    bool found = at < catalog->mask_count && catalog->masks[at].file_id == file_id &&
                 catalog->masks[at].feed_id == feed_id;
    return found ? &catalog->masks[at] : NULL;
}

bool aq_catalog_is_masked(const struct aq_catalog *catalog, uint64_t file_id, uint64_t feed_id,
                          uint64_t ordinal)
{
    const struct aq_catalog_mask *mask = aq_catalog_mask(catalog, file_id, feed_id);
    return !aq_mutant(68) && mask != NULL && ordinal >= mask->from_ordinal;
}

bool aq_catalog_masks_file(const struct aq_catalog *catalog, uint64_t file_id)
{
    size_t at = find_mask(catalog, file_id, 0);
    return at < catalog->mask_count && catalog->masks[at].file_id == file_id;
}

uint64_t aq_catalog_range_rows(const struct aq_catalog *catalog,
                               const struct aq_source_range *range,
                               const struct aq_section_entry *section)
{
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, section->dataset_id, 0);
    const struct aq_catalog_feed *feed = aq_catalog_feed(catalog, range->feed_id);
    if (schema == NULL || feed == NULL)
        return 0;
    if (feed->identity.dataset_id == section->dataset_id)
        return range->row_count;
    return feed->identity.dataset_id == schema->rejects_of ? range->reject_count : 0;
}

uint32_t aq_catalog_masked_rows(const struct aq_catalog *catalog, uint64_t file_id,
                                const struct aq_frame_header *frame,
                                const struct aq_section_entry *section)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < frame->range_count; i++) {
        const struct aq_source_range *range = &frame->ranges[i];
        if (!aq_catalog_is_masked(catalog, file_id, range->feed_id, range->first_ordinal))
            continue;
        uint64_t count = aq_catalog_range_rows(catalog, range, section);
        /* Stored counts are not to be trusted to add up. */
        rows = count > section->row_count - rows ? section->row_count : rows + count;
    }
    return (uint32_t)rows;
}

const struct aq_catalog_view *aq_catalog_view(const struct aq_catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->view_count; i++) {
        if (aq_slice_equal(catalog->views[i].name, aq_slice_of(name)))
            return &catalog->views[i];
    }
    return NULL;
}

uint64_t aq_catalog_file_bytes(const struct aq_catalog_file *file)
{
    return file->file_bytes != 0 ? file->file_bytes : file->size_bytes;
}

void aq_catalog_file_name(enum aq_file_kind kind, uint64_t file_id, char *out, size_t out_size)
{
    if (kind == AQ_FILE_SEGMENT)
        snprintf(out, out_size, "segments/%020" PRIu64 ".seg", file_id);
    else
        snprintf(out, out_size, "archives/%020" PRIu64 ".aqa", file_id);
}

uint64_t aq_catalog_count_lost(const struct aq_catalog *catalog, uint64_t feed_id)
{
    uint64_t count = 0;
    uint64_t counted_until = 0;
    for (size_t i = 0; i < catalog->lost_count; i++) {
        const struct aq_catalog_lost *lost = &catalog->losses[i];
        uint64_t from = lost->from_ordinal > counted_until ? lost->from_ordinal : counted_until;
        if (lost->feed_id != feed_id || lost->next_ordinal <= from)
            continue;
        count += lost->next_ordinal - from;
        counted_until = lost->next_ordinal;
    }
    return count;
}
