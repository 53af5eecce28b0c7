/* Looking things up in a catalog. */
#include "engine/store/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

const struct aq_catalog_view *aq_catalog_view(const struct aq_catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->view_count; i++) {
        if (aq_slice_equal(catalog->views[i].name, aq_slice_of(name)))
            return &catalog->views[i];
    }
    return NULL;
}

void aq_catalog_file_name(enum aq_file_kind kind, uint64_t file_id, char *out, size_t out_size)
{
    if (kind == AQ_FILE_SEGMENT)
        snprintf(out, out_size, "segments/%020" PRIu64 ".seg", file_id);
    else
        snprintf(out, out_size, "archives/%020" PRIu64 ".aqa", file_id);
}
