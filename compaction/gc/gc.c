/* Removing what no kept version of the catalog needs.
 *
 * Happy path: the lock "gc" is taken alone: one gc at a time. Then the folders are listed, and only then the head is
 * read, and after that the leases: a segment is named by an edit before its file exists, so a listed file that no kept
 * version names was named once and removed, or belongs to a compaction; and whoever takes a lease later reads this head or
 * a newer one, which needs none of them. The catalog's folder is made durable first: an edit that a power cut could
 * still undo must not cost its inputs. In the end, the catalog's own past.
 *
 * Compactions make archives that no edit names yet, and hold the lock "outputs" shared meanwhile. While one does,
 * no archive is removed; else gc holds it from listing on.
 *
 * A catalog that is older than the data, from a copy, would have gc remove all that it never heard of: it is
 * told by its segments, and nothing is removed. Nor is anything when the clock was set (gc_clock.c).
 *
 * Only names of the kinds that aqstore makes are touched; anything else in the home is somebody's.
 * Failures stop the walk; what was removed needed no longer be there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compaction/gc/gc.h"
#include "compaction/gc/gc_clock.h"
#include "engine/store/history/retained.h"
#include "format/base/mutant.h"

#define NAME_DIGITS 20
#define GC_WAIT_MS 1000
#define OUTPUTS_LOCK "outputs"
#define OUTPUTS_WAIT_MS 60000

/* A file in a folder of the home that one may have to remove. */
struct candidate {
    char name[64];    /* relative to the home */
    uint64_t file_id; /* 0: a temporary one, named by no edit ever */
    enum aq_file_kind kind;
    uint64_t size_bytes;
};

struct candidates {
    struct candidate *list;
    size_t count;
    size_t capacity;
};

struct folder {
    const char *name;
    enum aq_file_kind kind;
    const char *suffixes[2];
};
static const struct folder folders[] = {
    {"segments", AQ_FILE_SEGMENT, {".seg", ".pub"}},
    {"archives", AQ_FILE_ARCHIVE, {".aqa", NULL}},
};
#define FOLDER_COUNT (sizeof folders / sizeof folders[0])

/* Whether `entry` is the name of a file that a compaction has not published (archive_output.c). */
static bool is_temporary(const char *entry)
{
    static const char prefix[] = "compact-";
    if (strncmp(entry, prefix, strlen(prefix)) != 0)
        return false;
    const char *digits = entry + strlen(prefix);
    size_t digit_count = strspn(digits, "0123456789abcdef");
    return digit_count > 0 && strcmp(digits + digit_count, ".tmp") == 0;
}

/* Whether `entry` is a name that aqstore makes in this folder; its file's number, or 0. */
static bool parse_name(const struct folder *folder, const char *entry, uint64_t *file_id)
{
    *file_id = 0;
    if (folder->kind == AQ_FILE_ARCHIVE && is_temporary(entry))
        return true;
    if (strspn(entry, "0123456789") != NAME_DIGITS)
        return false;
    errno = 0;
    *file_id = strtoull(entry, NULL, 10);
    for (size_t i = 0; i < 2; i++) {
        if (folder->suffixes[i] != NULL && strcmp(entry + NAME_DIGITS, folder->suffixes[i]) == 0)
            return errno == 0 && *file_id != 0;
    }
    return false;
}

static enum aq_status add_candidate(struct candidates *candidates, const struct candidate *found)
{
    if (candidates->count == candidates->capacity) {
        size_t capacity = candidates->capacity == 0 ? 64 : 2 * candidates->capacity;
        struct candidate *list = realloc(candidates->list, capacity * sizeof *list);
        if (list == NULL)
            return AQ_NO_MEMORY;
        candidates->list = list;
        candidates->capacity = capacity;
    }
    candidates->list[candidates->count++] = *found;
    return AQ_OK;
}

static enum aq_status list_entry(const struct folder *folder, DIR *directory, const char *entry,
                                 struct candidates *candidates, struct aq_error *err)
{
    struct candidate found = {.kind = folder->kind};
    struct stat info;
    if (!parse_name(folder, entry, &found.file_id))
        return AQ_OK;
    snprintf(found.name, sizeof found.name, "%s/%.40s", folder->name, entry);
    if (fstatat(dirfd(directory), entry, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT /* a page that its writer does not need any more */
                   ? AQ_OK
                   : aq_error_set_errno(err, errno, found.name, "cannot look at the file");
    if (!S_ISREG(info.st_mode))
        return AQ_OK;
    found.size_bytes = (uint64_t)info.st_size;
    if (add_candidate(candidates, &found) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to list files");
    return AQ_OK;
}

static enum aq_status list_folder(int home_fd, const struct folder *folder,
                                  struct candidates *candidates, struct aq_error *err)
{
    int fd = aq_io_openat_beneath(home_fd, folder->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        enum aq_status status =
            aq_error_set_errno(err, errno, folder->name, "cannot list the folder");
        if (fd >= 0)
            close(fd);
        return status;
    }
    enum aq_status status = AQ_OK;
    while (status == AQ_OK) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL)
            break;
        status = list_entry(folder, directory, entry->d_name, candidates, err);
    }
    if (status == AQ_OK && errno != 0)
        status = aq_error_set_errno(err, errno, folder->name, "cannot list the folder");
    closedir(directory);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct candidate *)a)->name, ((const struct candidate *)b)->name);
}

static enum aq_status sync_folder(int home_fd, const char *name, struct aq_error *err)
{
    int fd = aq_io_openat_beneath(home_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return aq_error_set_errno(err, errno, name, "cannot open the folder");
    enum aq_status status = AQ_OK;
    if (!aq_mutant(14) && fsync(fd) != 0)
        status = aq_error_set_errno(err, errno, name, "cannot make the folder durable");
    close(fd);
    return status;
}

struct collector {
    struct aq_store *store;
    int home_fd;
    const struct aq_gc_options *options;
    struct aq_gc_report *report;
    struct aq_store_lock *outputs; /* NULL: a compaction holds it, or it was let go */
    struct aq_retained retained;
};

static enum aq_status collect(const struct collector *collector, const struct candidate *found,
                              struct aq_error *err)
{
    const struct aq_gc_options *options = collector->options;
    if (!options->dry_run && unlinkat(collector->home_fd, found->name, 0) != 0 && errno != ENOENT)
        return aq_error_set_errno(err, errno, found->name, "cannot remove the file");
    collector->report->file_count++;
    collector->report->bytes += found->size_bytes;
    if (options->visit != NULL)
        options->visit(options->context, found->name, found->size_bytes);
    return AQ_OK;
}

/* A file that left the home is named, but not here. */
static bool is_named(const struct aq_catalog *catalog, const struct candidate *found)
{
    const struct aq_catalog_file *file =
        found->file_id == 0 ? NULL : aq_catalog_file(catalog, found->file_id);
    return file != NULL && file->kind == found->kind && !file->evicted;
}

/* A segment is named before its file is made: one that the head has yet to name means that the head is
 * not the newest there was. */
static enum aq_status check_head(const struct aq_catalog *catalog,
                                 const struct candidates *candidates, struct aq_error *err)
{
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *found = &candidates->list[i];
        if (found->kind == AQ_FILE_SEGMENT && found->file_id >= catalog->next_file_id)
            return aq_error_set_at(err, AQ_CORRUPT, found->name, -1,
                                   "is newer than the catalog, which lacks its last edits; nothing "
                                   "was removed: restore the folder \"catalog\" as it was last, or "
                                   "move the file away");
    }
    return AQ_OK;
}

static enum aq_status judge(const struct collector *collector, const struct candidate *found,
                            struct aq_error *err)
{
    if (is_named(collector->retained.head, found))
        return AQ_OK;
    if (aq_retained_needs(&collector->retained, found->kind, found->file_id)) {
        collector->report->kept_count++;
        collector->report->kept_bytes += found->size_bytes;
        return AQ_OK;
    }
    if (found->kind == AQ_FILE_ARCHIVE && collector->outputs == NULL)
        return AQ_OK;
    return collect(collector, found, err);
}

static enum aq_status collect_history(const struct collector *collector, struct aq_error *err)
{
    const struct aq_retained *retained = &collector->retained;
    struct aq_collected collected = {.edit_count = retained->edit_count,
                                     .checkpoint_count = retained->checkpoint_count};
    enum aq_status status = AQ_OK;
    if (!collector->options->dry_run)
        status = aq_retained_collect(collector->store, retained, &collected, err);
    collector->report->edit_count = collected.edit_count;
    collector->report->checkpoint_count = collected.checkpoint_count;
    return status;
}

static enum aq_status read_retained(struct collector *collector, struct aq_error *err)
{
    const struct aq_gc_options *options = collector->options;
    struct aq_retained *retained = &collector->retained;
    AQ_TRY(aq_retained_read(collector->store, options->now_us,
                            options->now_us - options->history_us, retained, err));
    struct aq_gc_report *report = collector->report;
    report->head = retained->head->number;
    report->oldest = retained->oldest;
    report->leased = retained->leased;
    report->lease = retained->lease;
    report->compacting = collector->outputs == NULL;
    return aq_gc_check_clock(collector->store, options, retained->head->time_us, err);
}

static enum aq_status run_locked(struct collector *collector, struct candidates *candidates,
                                 struct aq_error *err)
{
    for (size_t i = 0; i < FOLDER_COUNT; i++)
        AQ_TRY(list_folder(collector->home_fd, &folders[i], candidates, err));
    if (candidates->count > 1)
        qsort(candidates->list, candidates->count, sizeof *candidates->list, compare_names);
    AQ_TRY(read_retained(collector, err));
    AQ_TRY(check_head(collector->retained.head, candidates, err));
    AQ_TRY(sync_folder(collector->home_fd, "catalog", err));
    for (size_t i = 0; i < candidates->count; i++)
        AQ_TRY(judge(collector, &candidates->list[i], err));
    aq_store_unlock(
        collector->outputs); /* a long past takes its time, which no compaction need wait for */
    collector->outputs = NULL;
    return collect_history(collector, err);
}

enum aq_status aq_gc_keep_outputs(struct aq_store *store, struct aq_store_lock **lock,
                                  struct aq_error *err)
{
    return aq_store_lock_wait(store, OUTPUTS_LOCK, false, OUTPUTS_WAIT_MS, lock, err);
}

enum aq_status aq_gc(struct aq_store *store, const struct aq_gc_options *options,
                     struct aq_gc_report *report, struct aq_error *err)
{
    struct collector collector = {
        .store = store,
        .home_fd = aq_store_home_fd(store),
        .options = options,
        .report = report,
    };
    struct candidates candidates = {0};
    struct aq_store_lock *lock = NULL;
    *report = (struct aq_gc_report){0};
    /* A committer holds it for as long as it takes to write a checkpoint. */
    AQ_TRY(aq_store_lock_wait(store, "gc", true, GC_WAIT_MS, &lock, err));
    enum aq_status status = aq_store_lock(store, OUTPUTS_LOCK, true, &collector.outputs, err);
    if (status == AQ_OK || status == AQ_CONFLICT)
        status = run_locked(&collector, &candidates, err);
    aq_retained_deinit(&collector.retained);
    aq_store_unlock(collector.outputs);
    aq_store_unlock(lock);
    free(candidates.list);
    return status;
}
