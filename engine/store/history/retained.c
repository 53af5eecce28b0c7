/* What is kept: versions by age and by lease, then what they name.
 *
 * Happy path: the head, the leases; the catalog's folder is listed; the newest checkpoint that is certainly older than
 * all that is kept is where reading begins. The edits behind it tell when each version became the head, so which is the
 * oldest to keep, and which files were named since. That version's own files are kept, too. Of the catalog's folder is kept
 * the newest checkpoint that the oldest version can be read from, and what follows it.
 *
 * A file that an edit has let leave the home is in the bucket: it is kept for readers that began before that edit only.
 *
 * Failures: a damaged or missing edit -> AQ_CORRUPT, and nothing is known, so nothing may be removed. */
#include "engine/store/history/retained.h"

#include "engine/store/catalog/catalog_log.h"
#include "engine/store/history/lease.h"
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A growing array. */
struct list {
    void *items;
    size_t count;
    size_t capacity;
};

static void *append(struct list *list, size_t item_size)
{
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 256;
        void *grown = realloc(list->items, capacity * item_size);
        if (grown == NULL)
            return NULL;
        list->items = grown;
        list->capacity = capacity;
    }
    return (char *)list->items + item_size * list->count++;
}

/* A file that an edit named, or let leave the home. */
struct event {
    struct aq_retained_file file;
    uint64_t edit;
};

struct reading {
    struct aq_store *store;
    struct aq_retained *retained;
    int64_t now_us;
    int64_t since_us;
    struct list checkpoints; /* uint64_t, ascending */
    struct list edits;       /* uint64_t, ascending */
    uint64_t base;           /* the checkpoint that reading begins with; 0: edit 1 */
    struct list times;       /* int64_t, of the edits behind it */
    struct list named;       /* struct event, ascending by edit */
    struct list evicted;     /* struct event, by file */
};

static enum aq_status no_memory(struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "no memory to read the catalog's history");
}

static enum aq_status visit_object(void *context, const char *name, uint64_t size_bytes)
{
    (void)size_bytes;
    struct reading *reading = context;
    uint64_t number;
    bool checkpoint;
    if (!aq_catalog_parse_name(name, &number, &checkpoint))
        return AQ_OK;
    uint64_t *item = append(checkpoint ? &reading->checkpoints : &reading->edits, sizeof *item);
    if (item == NULL)
        return AQ_NO_MEMORY;
    *item = number;
    return AQ_OK;
}

/* When a checkpoint got its name: the kernel notes that, however long its writer had stood still. */
static enum aq_status published(const struct reading *reading, uint64_t checkpoint,
                                int64_t *time_us, struct aq_error *err)
{
    char name[AQ_CATALOG_NAME_BYTES];
    struct stat info;
    aq_catalog_checkpoint_name(checkpoint, name, sizeof name);
    if (fstatat(reading->store->home_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return aq_error_set_errno(err, errno, aq_store_path(reading->store, name).text,
                                  "cannot look at the checkpoint");
    *time_us = (int64_t)info.st_ctim.tv_sec * AQ_US_PER_SECOND + info.st_ctim.tv_nsec / 1000;
    return AQ_OK;
}

/* The newest checkpoint at or below `number` that was there at `time_us`; 0: none. */
static enum aq_status find_checkpoint(const struct reading *reading, uint64_t number,
                                      int64_t time_us, uint64_t *found, struct aq_error *err)
{
    const uint64_t *checkpoints = reading->checkpoints.items;
    *found = 0;
    for (size_t i = reading->checkpoints.count; i > 0 && *found == 0; i--) {
        int64_t published_us;
        if (checkpoints[i - 1] > number)
            continue;
        AQ_TRY(published(reading, checkpoints[i - 1], &published_us, err));
        if (published_us <= time_us)
            *found = checkpoints[i - 1];
    }
    return AQ_OK;
}

/* Without a checkpoint that is old enough, all that is there is read. */
static enum aq_status find_base(struct reading *reading, struct aq_error *err)
{
    const struct aq_retained *retained = reading->retained;
    uint64_t newest = retained->head->number;
    if (retained->leased && retained->lease < newest)
        newest = retained->lease;
    AQ_TRY(find_checkpoint(reading, newest, reading->since_us, &reading->base, err));
    bool whole = reading->edits.count > 0 && *(const uint64_t *)reading->edits.items == 1;
    if (reading->base > 0 || whole)
        return AQ_OK;
    if (reading->checkpoints.count == 0)
        return aq_error_set_at(err, AQ_CORRUPT, aq_store_path(reading->store, "catalog").text, -1,
                               "lacks its first edits, and no checkpoint stands for them");
    reading->base = *(const uint64_t *)reading->checkpoints.items;
    return AQ_OK;
}

static enum aq_status note_record(struct reading *reading, const struct aq_record *record,
                                  uint64_t edit)
{
    struct event event = {.edit = edit};
    struct list *list = &reading->named;
    if (record->kind == AQ_RECORD_OPEN) {
        event.file = (struct aq_retained_file){AQ_FILE_SEGMENT, record->open.file_id};
    } else if (record->kind == AQ_RECORD_ARCHIVE) {
        event.file = (struct aq_retained_file){AQ_FILE_ARCHIVE, record->archive.file_id};
    } else if (record->kind == AQ_RECORD_EVICT) {
        event.file.file_id = record->evict.file_id;
        list = &reading->evicted;
    } else {
        return AQ_OK;
    }
    struct event *item = append(list, sizeof *item);
    if (item == NULL)
        return AQ_NO_MEMORY;
    *item = event;
    return AQ_OK;
}

static enum aq_status note_edit(struct reading *reading, struct aq_slice bytes,
                                struct aq_arena *arena, uint64_t number, struct aq_error *err)
{
    struct aq_edit_header header;
    struct aq_record *records = NULL;
    size_t record_count = 0;
    uint64_t checksum;
    AQ_TRY(aq_edit_decode(bytes, arena, &header, &records, &record_count, &checksum, err));
    int64_t *time_us = append(&reading->times, sizeof *time_us);
    if (time_us == NULL)
        return no_memory(err);
    *time_us = header.time_us;
    for (size_t i = 0; i < record_count; i++) {
        if (note_record(reading, &records[i], number) != AQ_OK)
            return no_memory(err);
    }
    return AQ_OK;
}

static enum aq_status read_edit(struct reading *reading, uint64_t number, struct aq_error *err)
{
    struct aq_bytes bytes = {0};
    struct aq_arena arena = {0};
    char name[AQ_CATALOG_NAME_BYTES];
    aq_catalog_edit_name(number, name, sizeof name);
    struct aq_store_path path = aq_store_path(reading->store, name);
    enum aq_status status =
        aq_object_get(reading->store->objects, name, AQ_EDIT_BYTES_MAX, &bytes, err);
    if (status == AQ_NOT_FOUND)
        status = aq_error_set_at(err, AQ_CORRUPT, path.text, -1,
                                 "is missing, though no checkpoint that is kept stands for it");
    else if (status == AQ_OK)
        status = aq_error_locate(
            err, note_edit(reading, aq_bytes_view(&bytes), &arena, number, err), path.text, 0);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    return status;
}

/* The oldest version to keep is the last one that was there at `since_us`. Times may go back, and an edit that is dated
 * in the future tells nothing: it is as old as the one behind it. */
static uint64_t find_oldest(const struct reading *reading)
{
    const struct aq_retained *retained = reading->retained;
    const int64_t *times = reading->times.items;
    uint64_t oldest = reading->base;
    int64_t latest_us = INT64_MIN;
    for (size_t i = 0; i < reading->times.count; i++) {
        uint64_t number = reading->base + i + 1;
        if (retained->leased && number > retained->lease)
            break;
        if (times[i] > reading->now_us + AQ_RETAINED_SKEW_US)
            continue;
        latest_us = times[i] > latest_us ? times[i] : latest_us;
        if (latest_us > reading->since_us)
            break;
        oldest = number;
    }
    return oldest;
}

static int compare_events(const void *a, const void *b)
{
    const struct event *left = a;
    const struct event *right = b;
    return (left->file.file_id > right->file.file_id) - (left->file.file_id < right->file.file_id);
}

/* Whether the file is in the bucket only, for all who read now or later. */
static bool has_left(const struct reading *reading, uint64_t file_id)
{
    const struct aq_retained *retained = reading->retained;
    const struct aq_catalog_file *file = aq_catalog_file(retained->head, file_id);
    if (file == NULL || !file->evicted)
        return false;
    const struct event key = {.file = {.file_id = file_id}};
    const struct event *left = reading->evicted.count == 0
                                   ? NULL
                                   : bsearch(&key, reading->evicted.items, reading->evicted.count,
                                             sizeof key, compare_events);
    return left == NULL || !retained->leased || left->edit <= retained->lease;
}

static enum aq_status keep_file(const struct reading *reading, struct list *kept,
                                struct aq_retained_file file)
{
    if (has_left(reading, file.file_id))
        return AQ_OK;
    struct aq_retained_file *item = append(kept, sizeof *item);
    if (item == NULL)
        return AQ_NO_MEMORY;
    *item = file;
    return AQ_OK;
}

static int compare_files(const void *a, const void *b)
{
    const struct aq_retained_file *left = a;
    const struct aq_retained_file *right = b;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return (left->file_id > right->file_id) - (left->file_id < right->file_id);
}

/* What the oldest version has at home, and what was named after it. */
static enum aq_status keep_files(const struct reading *reading, const struct aq_catalog *oldest,
                                 struct list *kept)
{
    const struct event *named = reading->named.items;
    for (size_t i = 0; i < oldest->file_count; i++) {
        const struct aq_catalog_file *file = &oldest->files[i];
        if (!file->evicted)
            AQ_TRY(keep_file(reading, kept, (struct aq_retained_file){file->kind, file->file_id}));
    }
    for (size_t i = 0; i < reading->named.count; i++) {
        if (named[i].edit > oldest->number)
            AQ_TRY(keep_file(reading, kept, named[i].file));
    }
    return AQ_OK;
}

/* The nearest checkpoint below the oldest version to keep: it says the same as all edits before it, however old it is. */
static uint64_t find_nearest(const struct reading *reading)
{
    const uint64_t *checkpoints = reading->checkpoints.items;
    uint64_t nearest = reading->base;
    for (size_t i = 0; i < reading->checkpoints.count; i++) {
        if (checkpoints[i] > nearest && checkpoints[i] <= reading->retained->oldest)
            nearest = checkpoints[i];
    }
    return nearest;
}

static enum aq_status list_files(struct reading *reading, struct aq_error *err)
{
    struct aq_retained *retained = reading->retained;
    const struct aq_catalog *oldest = NULL;
    struct list kept = {0};
    if (retained->oldest == retained->head->number)
        oldest = aq_catalog_retain(retained->head);
    else
        AQ_TRY(aq_catalog_load_version(reading->store->objects, find_nearest(reading),
                                       retained->oldest, &oldest, err));
    if (reading->evicted.count > 1)
        qsort(reading->evicted.items, reading->evicted.count, sizeof(struct event), compare_events);
    enum aq_status status = keep_files(reading, oldest, &kept);
    aq_catalog_release(oldest);
    if (kept.count > 1)
        qsort(kept.items, kept.count, sizeof *retained->files, compare_files);
    retained->files = kept.items;
    retained->file_count = kept.count;
    return status == AQ_OK ? AQ_OK : no_memory(err);
}

static size_t count_until(const struct list *numbers, uint64_t limit)
{
    const uint64_t *items = numbers->items;
    size_t count = 0;
    while (count < numbers->count && items[count] <= limit)
        count++;
    return count;
}

/* The listed numbers go to `retained`, as many of them as are not needed. */
static enum aq_status list_unneeded(struct reading *reading, struct aq_error *err)
{
    struct aq_retained *retained = reading->retained;
    uint64_t first = 0;
    AQ_TRY(find_checkpoint(reading, retained->oldest, reading->now_us - AQ_RETAINED_EDIT_US, &first,
                           err));
    retained->checkpoint_count = first == 0 ? 0 : count_until(&reading->checkpoints, first - 1);
    retained->edit_count = count_until(&reading->edits, first);
    if (reading->checkpoints.count > 0)
        retained->newest_checkpoint =
            ((const uint64_t *)reading->checkpoints.items)[reading->checkpoints.count - 1];
    retained->checkpoints = reading->checkpoints.items;
    retained->edits = reading->edits.items;
    reading->checkpoints.items = NULL;
    reading->edits.items = NULL;
    return AQ_OK;
}

static enum aq_status read_all(struct reading *reading, struct aq_error *err)
{
    struct aq_store *store = reading->store;
    struct aq_retained *retained = reading->retained;
    AQ_TRY(aq_store_catalog(store, true, &retained->head, err));
    AQ_TRY(aq_lease_oldest(store, &retained->leased, &retained->lease, err));
    AQ_TRY(aq_object_list(store->objects, "catalog/", visit_object, reading, err));
    AQ_TRY(find_base(reading, err));
    for (uint64_t number = reading->base + 1; number <= retained->head->number; number++)
        AQ_TRY(read_edit(reading, number, err));
    retained->oldest = find_oldest(reading);
    AQ_TRY(list_files(reading, err));
    return list_unneeded(reading, err);
}

enum aq_status aq_retained_read(struct aq_store *store, int64_t now_us, int64_t since_us,
                                struct aq_retained *retained, struct aq_error *err)
{
    struct reading reading = {
        .store = store, .retained = retained, .now_us = now_us, .since_us = since_us};
    *retained = (struct aq_retained){0};
    enum aq_status status = read_all(&reading, err);
    free(reading.checkpoints.items);
    free(reading.edits.items);
    free(reading.times.items);
    free(reading.named.items);
    free(reading.evicted.items);
    if (status < 0)
        aq_retained_deinit(retained);
    return status == AQ_NO_MEMORY ? no_memory(err) : status;
}

void aq_retained_deinit(struct aq_retained *retained)
{
    aq_catalog_release(retained->head);
    free(retained->files);
    free(retained->checkpoints);
    free(retained->edits);
    *retained = (struct aq_retained){0};
}

bool aq_retained_needs(const struct aq_retained *retained, enum aq_file_kind kind, uint64_t file_id)
{
    const struct aq_retained_file key = {kind, file_id};
    return retained->file_count > 0 &&
           bsearch(&key, retained->files, retained->file_count, sizeof key, compare_files) != NULL;
}
