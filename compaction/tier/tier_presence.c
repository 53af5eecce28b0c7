/* Which objects of a catalog a bucket lacks: one listing, compared by name and size. */
#include "compaction/tier/tier_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_FOLDER "data/"

/* A file in the bucket that the catalog names. */
struct wanted {
    struct aq_slice object;
    uint64_t size_bytes;
    bool found;
};

struct wanted_list {
    struct wanted *items;
    size_t count;
};

static int compare_objects(const void *a, const void *b)
{
    return aq_slice_compare(((const struct wanted *)a)->object, ((const struct wanted *)b)->object);
}

static enum aq_status visit_object(void *context, const char *name, uint64_t size_bytes)
{
    struct wanted_list *list = context;
    struct wanted key = {.object = aq_slice_of(name)};
    struct wanted *wanted =
        bsearch(&key, list->items, list->count, sizeof *list->items, compare_objects);
    if (wanted != NULL)
        wanted->found = wanted->size_bytes == size_bytes;
    return AQ_OK;
}

static void tell_missing(const struct wanted_list *list, struct aq_restore_report *report)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].found)
            continue;
        if (report->missing_count++ == 0)
            snprintf(report->first_missing, sizeof report->first_missing, "%.*s",
                     (int)list->items[i].object.size, (const char *)list->items[i].object.data);
    }
}

enum aq_status aq_tier_find_missing(struct aq_object_store *bucket,
                                    const struct aq_catalog *catalog,
                                    struct aq_restore_report *report, struct aq_error *err)
{
    struct wanted_list list = {.items = calloc(catalog->file_count + 1, sizeof *list.items)};
    if (list.items == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to compare objects");
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        if (file->object.size > 0)
            list.items[list.count++] =
                (struct wanted){.object = file->object, .size_bytes = aq_catalog_file_bytes(file)};
    }
    qsort(list.items, list.count, sizeof *list.items, compare_objects);
    enum aq_status status = AQ_OK;
    if (list.count > 0)
        status = aq_object_list(bucket, DATA_FOLDER, visit_object, &list, err);
    if (status == AQ_NOT_FOUND)
        status = AQ_OK;
    if (status == AQ_OK)
        tell_missing(&list, report);
    free(list.items);
    return status;
}
