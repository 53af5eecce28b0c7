/* The object-store API's front: checks names, then hands over to the back end. */
#include "engine/object/object_backend.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool char_allowed(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("._=-", c) != NULL);
}

bool aq_object_name_valid(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > AQ_OBJECT_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        bool first = i == 0 || name[i - 1] == '/';
        if (first ? (!char_allowed(name[i]) || name[i] == '.')
                  : (!char_allowed(name[i]) && name[i] != '/'))
            return false;
    }
    return name[length - 1] != '/';
}

static enum aq_status check_name(const char *name, struct aq_error *err)
{
    if (aq_object_name_valid(name))
        return AQ_OK;
    return aq_error_set(err, AQ_INVALID, "\"%.200s\" is no object name", name);
}

/* A prefix is what a name begins with. */
static enum aq_status check_prefix(const char *prefix, struct aq_error *err)
{
    char name[AQ_OBJECT_NAME_MAX + 2];
    snprintf(name, sizeof name, "%.*sx", AQ_OBJECT_NAME_MAX, prefix);
    return check_name(name, err);
}

void aq_object_close(struct aq_object_store *store)
{
    if (store != NULL)
        store->backend->close(store);
}

enum aq_status aq_object_put_if_absent(struct aq_object_store *store, const char *name,
                                       struct aq_slice data, struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->put(store, name, data, true, err);
}

enum aq_status aq_object_put(struct aq_object_store *store, const char *name, struct aq_slice data,
                             struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->put(store, name, data, false, err);
}

enum aq_status aq_object_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                             struct aq_bytes *out, struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->get(store, name, size_max, out, err);
}

enum aq_status aq_object_get_range(struct aq_object_store *store, const char *name, uint64_t offset,
                                   void *buffer, size_t size, struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->get_range(store, name, offset, buffer, size, err);
}

enum aq_status aq_object_head(struct aq_object_store *store, const char *name, uint64_t *size_bytes,
                              struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->head(store, name, size_bytes, err);
}

enum aq_status aq_object_get_ranges(struct aq_object_store *store,
                                    const struct aq_object_range *ranges, size_t range_count,
                                    struct aq_error *err)
{
    for (size_t i = 0; i < range_count; i++)
        AQ_TRY(check_name(ranges[i].name, err));
    if (store->backend->get_ranges != NULL)
        return store->backend->get_ranges(store, ranges, range_count, err);
    for (size_t i = 0; i < range_count; i++)
        AQ_TRY(store->backend->get_range(store, ranges[i].name, ranges[i].offset, ranges[i].buffer,
                                         ranges[i].size, err));
    return AQ_OK;
}

enum aq_status aq_object_put_file(struct aq_object_store *store, const char *name, int fd,
                                  uint64_t size_bytes, aq_object_progress_fn progress,
                                  void *context, struct aq_error *err)
{
    struct aq_object_file file = {
        .fd = fd, .size_bytes = size_bytes, .progress = progress, .context = context};
    AQ_TRY(check_name(name, err));
    return store->backend->put_file(store, name, &file, err);
}

enum aq_status aq_object_abort_uploads(struct aq_object_store *store, const char *prefix,
                                       int64_t age_us, size_t *count, struct aq_error *err)
{
    *count = 0;
    AQ_TRY(check_prefix(prefix, err));
    if (store->backend->abort_uploads == NULL)
        return AQ_OK;
    return store->backend->abort_uploads(store, prefix, age_us, count, err);
}

struct aq_object_counters aq_object_count(const struct aq_object_store *store)
{
    if (store->backend->count == NULL)
        return (struct aq_object_counters){0};
    return store->backend->count(store);
}

enum aq_status aq_object_delete(struct aq_object_store *store, const char *name,
                                struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->delete (store, name, err);
}

enum aq_status aq_object_list(struct aq_object_store *store, const char *prefix,
                              aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    AQ_TRY(check_prefix(prefix, err));
    return store->backend->list(store, prefix, visit, context, err);
}

enum aq_status aq_object_settle(struct aq_object_store *store, const char *name,
                                struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->settle == NULL ? AQ_OK : store->backend->settle(store, name, err);
}

bool aq_object_exists(struct aq_object_store *store, const char *name)
{
    uint64_t size_bytes;
    return aq_object_head(store, name, &size_bytes, NULL) == AQ_OK;
}

void aq_object_sweep(struct aq_object_store *store, const char *prefix)
{
    if (store->backend->sweep != NULL)
        store->backend->sweep(store, prefix);
}

struct aq_object_path aq_object_path(const struct aq_object_store *store, const char *name)
{
    struct aq_object_path path;
    size_t size = sizeof path.text;
    if ((size_t)snprintf(path.text, size, "%s/%s", store->root, name) >= size)
        path.text[size - 2] = '~'; /* cut, visibly */
    return path;
}
