/* Finds and opens parts of the program.
 *
 * Happy path: aqstore-NAME.so lies beside the program, as built, or in ../lib/aqstore, as installed; the dynamic
 * loader brings it with its libraries, and it was made by the same headers as the program.
 * Failures: it is in neither place, a library is missing, or it is of another build: each call says so. */
#include "tools/parts/part.h"

#include <assert.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The program's folder. */
static enum aq_status find_folder(char *folder, size_t size, struct aq_error *err)
{
    ssize_t length = readlink("/proc/self/exe", folder, size - 1);
    if (length <= 0)
        return aq_error_set(err, AQ_UNSUPPORTED,
                            "cannot find the rest of the program without /proc");
    folder[length] = '\0';
    *strrchr(folder, '/') = '\0';
    return AQ_OK;
}

static enum aq_status find(const struct aq_part *part, char *path, size_t size,
                           struct aq_error *err)
{
    static const char *const places[] = {"", "/../lib/aqstore"};
    char folder[PATH_MAX];
    AQ_TRY(find_folder(folder, sizeof folder, err));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, size, "%s%s/aqstore-%s.so", folder, places[i], part->name);
        if (access(path, F_OK) == 0)
            return AQ_OK;
    }
    return aq_error_set(
        err, AQ_UNSUPPORTED,
        "aqstore-%s.so, which %s, is neither in %s nor in %s%s: install it with the "
        "program",
        part->name, part->task, folder, folder, places[1]);
}

static enum aq_status load(const struct aq_part *part, const struct aq_part_table **table,
                           struct aq_error *err)
{
    char path[PATH_MAX + 64];
    AQ_TRY(find(part, path, sizeof path, err));
    void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    *table = handle == NULL ? NULL : dlsym(handle, "aq_part");
    if (*table == NULL)
        return aq_error_set(err, AQ_UNSUPPORTED, "cannot load a part of the program: %s",
                            dlerror());
    if ((*table)->interface != AQ_INTERFACE)
        return aq_error_set_at(err, AQ_UNSUPPORTED, path, -1,
                               "is of another build than the program: install both together");
    return AQ_OK;
}

enum aq_status aq_part_open(struct aq_part *part, const void **table, struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    const struct aq_part_table *loaded = NULL;
    pthread_mutex_lock(&part->lock);
    if (part->table == NULL) {
        status = load(part, &loaded, err);
        if (status == AQ_OK)
            part->table = loaded;
    }
    *table = part->table;
    pthread_mutex_unlock(&part->lock);
    return status;
}

const void *aq_part_opened(struct aq_part *part)
{
    pthread_mutex_lock(&part->lock);
    const void *table = part->table;
    pthread_mutex_unlock(&part->lock);
    assert(table != NULL);
    return table;
}
