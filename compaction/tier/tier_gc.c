/* Removing from the bucket what no catalog names.
 *
 * Under the lock "tier", so that no upload of this home is under way: list the objects, then see whose the
 * bucket is, then read what names them: the head, and the mirrors that stay. So an object that is listed
 * and not named was named once, or was uploaded in vain. Mirrors stay for as long as a reader may be
 * using what it began with, the last two for ever. An object's age is that of its upload, which its name
 * says; young ones stay, too, for a home that was restored a moment ago may be uploading.
 *
 * Only names of the kinds that aqstore makes are touched. A mirror that cannot be read stops the walk:
 * what it names is not known. */
#include "compaction/tier/tier_job.h"
#include "engine/store/remote/remote.h"
#include "engine/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_FOLDER "data/"
#define NONCE_AT (sizeof DATA_FOLDER - 1 + 32 + 1)
#define SUFFIX_AT (NONCE_AT + 16)
#define MIRRORS_DUE 48 /* more of them than a day of hourly runs makes */

/* An object that one may have to remove. */
struct found {
    char name[AQ_OBJECT_NAME_MAX + 1];
    uint64_t size_bytes;
    uint64_t incarnation; /* mirrors: of which, and of which edit */
    uint64_t number;
};

struct found_list {
    struct found *items;
    size_t count;
    size_t capacity;
    uint64_t incarnation; /* being listed */
};

/* Names of objects in use, sorted before they are searched. */
struct names {
    char (*items)[AQ_TIER_OBJECT_BYTES];
    size_t count;
    size_t capacity;
};

struct sweep {
    struct aq_store *store;
    struct aq_object_store *bucket;
    int64_t now_us;
    int64_t age_us;
    bool dry_run;
    void (*visit)(void *context, const char *name, uint64_t size_bytes);
    void *context;
    struct aq_gc_report *report;
    struct found_list objects;
    struct found_list mirrors; /* by incarnation and number, the newest last */
    size_t mirrors_kept;       /* of them, from the end */
    struct names names;
};

static enum aq_status add_found(struct found_list *list, const char *name, uint64_t size_bytes,
                                uint64_t number)
{
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 64;
        struct found *grown = realloc(list->items, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        list->items = grown;
        list->capacity = capacity;
    }
    struct found *found = &list->items[list->count++];
    *found = (struct found){
        .size_bytes = size_bytes, .incarnation = list->incarnation, .number = number};
    snprintf(found->name, sizeof found->name, "%s", name);
    return AQ_OK;
}

/* Whether it is a name that an upload makes, and when that began. */
static bool parse_object(const char *name, int64_t *begun_us)
{
    static const char hex[] = "0123456789abcdef";
    const char *digits = name + strlen(DATA_FOLDER);
    if (strlen(name) != SUFFIX_AT + 4 || strspn(digits, hex) != 32 || digits[32] != '-' ||
        strspn(name + NONCE_AT, hex) != 16)
        return false;
    char seconds[9] = {0};
    memcpy(seconds, name + NONCE_AT, 8);
    *begun_us = (int64_t)strtoull(seconds, NULL, 16) * AQ_US_PER_SECOND;
    return strcmp(name + SUFFIX_AT, ".aqa") == 0 || strcmp(name + SUFFIX_AT, ".seg") == 0;
}

static enum aq_status visit_object(void *context, const char *name, uint64_t size_bytes)
{
    int64_t begun_us;
    return parse_object(name, &begun_us) ? add_found(context, name, size_bytes, 0) : AQ_OK;
}

static enum aq_status visit_mirror(void *context, const char *name, uint64_t size_bytes)
{
    static const char prefix[] = "checkpoint-";
    const char *last = strrchr(name, '/') + 1;
    const char *digits = last + strlen(prefix);
    if (strncmp(last, prefix, strlen(prefix)) != 0 || strlen(digits) != 20 ||
        strspn(digits, "0123456789") != 20)
        return AQ_OK;
    return add_found(context, name, size_bytes, strtoull(digits, NULL, 10));
}

static enum aq_status list(struct sweep *sweep, const char *prefix, aq_object_visit_fn visit,
                           struct found_list *found, struct aq_error *err)
{
    enum aq_status status = aq_object_list(sweep->bucket, prefix, visit, found, err);
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, status, "no memory to list objects");
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static enum aq_status list_mirrors_of(struct sweep *sweep, uint64_t incarnation,
                                      struct aq_error *err)
{
    char mirror[AQ_REMOTE_MIRROR_NAME_BYTES];
    char folder[AQ_REMOTE_MIRROR_NAME_BYTES + 16];
    aq_remote_mirror_name(incarnation, mirror, sizeof mirror);
    snprintf(folder, sizeof folder, "%scatalog/", mirror);
    sweep->mirrors.incarnation = incarnation;
    return list(sweep, folder, visit_mirror, &sweep->mirrors, err);
}

static enum aq_status list_mirrors(struct sweep *sweep, uint64_t newest, struct aq_error *err)
{
    for (uint64_t incarnation = 1; incarnation <= newest; incarnation++)
        AQ_TRY(list_mirrors_of(sweep, incarnation, err));
    return AQ_OK;
}

static enum aq_status add_names(struct names *names, const struct aq_catalog *catalog)
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        struct aq_slice object = catalog->files[i].object;
        if (object.size == 0 || object.size >= AQ_TIER_OBJECT_BYTES)
            continue;
        if (names->count == names->capacity) {
            size_t capacity = 2 * names->capacity + 256;
            void *grown = realloc(names->items, capacity * sizeof *names->items);
            if (grown == NULL)
                return AQ_NO_MEMORY;
            names->items = grown;
            names->capacity = capacity;
        }
        snprintf(names->items[names->count++], AQ_TIER_OBJECT_BYTES, "%.*s", (int)object.size,
                 (const char *)object.data);
    }
    return AQ_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum aq_status read_mirror(struct sweep *sweep, const struct found *mirror,
                                  int64_t *written_us, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    enum aq_status status =
        aq_remote_load_mirror(sweep->bucket, mirror->incarnation, mirror->number, &catalog, err);
    AQ_TRY(status);
    *written_us = catalog->time_us;
    status = add_names(&sweep->names, catalog);
    aq_catalog_release(catalog);
    return status == AQ_NO_MEMORY ? aq_error_set(err, status, "no memory to list names") : status;
}

/* From the newest back: the last two, and each that was the newest until less than `age_us` ago. */
static enum aq_status read_kept_mirrors(struct sweep *sweep, struct aq_error *err)
{
    int64_t next_us = INT64_MAX;
    for (size_t i = sweep->mirrors.count; i > 0; i--) {
        bool superseded = next_us <= sweep->now_us - sweep->age_us;
        if (sweep->mirrors_kept >= 2 && superseded)
            break;
        AQ_TRY(read_mirror(sweep, &sweep->mirrors.items[i - 1], &next_us, err));
        sweep->mirrors_kept++;
    }
    return AQ_OK;
}

static enum aq_status collect(struct sweep *sweep, const struct found *found, struct aq_error *err)
{
    if (!sweep->dry_run)
        AQ_TRY(aq_object_delete(sweep->bucket, found->name, err));
    sweep->report->file_count++;
    sweep->report->bytes += found->size_bytes;
    if (sweep->visit != NULL)
        sweep->visit(sweep->context, found->name, found->size_bytes);
    return AQ_OK;
}

static bool is_named(const struct sweep *sweep, const char *name)
{
    return sweep->names.count > 0 && bsearch(name, sweep->names.items, sweep->names.count,
                                             sizeof *sweep->names.items, compare_names) != NULL;
}

static enum aq_status collect_all(struct sweep *sweep, struct aq_error *err)
{
    size_t unfinished;
    for (size_t i = 0; i + sweep->mirrors_kept < sweep->mirrors.count; i++)
        AQ_TRY(collect(sweep, &sweep->mirrors.items[i], err));
    for (size_t i = 0; i < sweep->objects.count; i++) {
        const struct found *found = &sweep->objects.items[i];
        int64_t begun_us;
        if (parse_object(found->name, &begun_us) && begun_us <= sweep->now_us - sweep->age_us &&
            !is_named(sweep, found->name))
            AQ_TRY(collect(sweep, found, err));
    }
    if (sweep->dry_run)
        return AQ_OK;
    return aq_object_abort_uploads(sweep->bucket, DATA_FOLDER, sweep->age_us, &unfinished, err);
}

static enum aq_status run_locked(struct sweep *sweep, struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    uint64_t newest = 0;
    AQ_TRY(list(sweep, DATA_FOLDER, visit_object, &sweep->objects, err));
    AQ_TRY(aq_tier_check_owner(sweep->store, sweep->bucket, &newest, err));
    AQ_TRY(aq_store_catalog(sweep->store, true, &catalog, err));
    enum aq_status status = add_names(&sweep->names, catalog);
    aq_catalog_release(catalog);
    if (status < 0)
        return aq_error_set(err, status, "no memory to list names");
    AQ_TRY(list_mirrors(sweep, newest, err));
    AQ_TRY(read_kept_mirrors(sweep, err));
    if (sweep->names.count > 1)
        qsort(sweep->names.items, sweep->names.count, sizeof *sweep->names.items, compare_names);
    return collect_all(sweep, err);
}

enum aq_status aq_tier_gc(struct aq_store *store, struct aq_object_store *bucket, int64_t age_us,
                          bool dry_run,
                          void (*visit)(void *context, const char *name, uint64_t size_bytes),
                          void *context, struct aq_gc_report *report, struct aq_error *err)
{
    struct aq_store_lock *lock = NULL;
    struct sweep sweep = {.store = store,
                          .bucket = bucket,
                          .now_us = aq_clock_wall_us(),
                          .age_us = age_us,
                          .dry_run = dry_run,
                          .visit = visit,
                          .context = context,
                          .report = report};
    *report = (struct aq_gc_report){0};
    AQ_TRY(aq_store_lock(store, "tier", true, &lock, err));
    enum aq_status status = run_locked(&sweep, err);
    aq_store_unlock(lock);
    free(sweep.objects.items);
    free(sweep.mirrors.items);
    free(sweep.names.items);
    return status;
}

enum aq_status aq_tier_gc_is_due(struct aq_store *store, struct aq_object_store *bucket, bool *due,
                                 struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    struct sweep sweep = {.bucket = bucket};
    AQ_TRY(aq_store_catalog(store, false, &catalog, err));
    enum aq_status status = list_mirrors_of(&sweep, catalog->incarnation, err);
    *due = sweep.mirrors.count > MIRRORS_DUE;
    free(sweep.mirrors.items);
    aq_catalog_release(catalog);
    return status;
}
