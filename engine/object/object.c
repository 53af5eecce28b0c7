/* The object-store API's front: checks names, then hands over to the back end. */
#include "engine/object/object_backend.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES_MAX 200

static bool char_allowed(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("._=-", c) != NULL);
}

static bool name_valid(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_BYTES_MAX)
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
    if (name_valid(name))
        return AQ_OK;
    return aq_error_set(err, AQ_INVALID, "\"%.200s\" is no object name", name);
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

enum aq_status aq_object_delete(struct aq_object_store *store, const char *name,
                                struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->delete (store, name, err);
}

enum aq_status aq_object_list(struct aq_object_store *store, const char *prefix,
                              aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    char any[NAME_BYTES_MAX + 2];
    snprintf(any, sizeof any, "%.*sx", NAME_BYTES_MAX, prefix);
    AQ_TRY(check_name(any, err));
    return store->backend->list(store, prefix, visit, context, err);
}

enum aq_status aq_object_settle(struct aq_object_store *store, const char *name,
                                struct aq_error *err)
{
    AQ_TRY(check_name(name, err));
    return store->backend->settle(store, name, err);
}

bool aq_object_exists(struct aq_object_store *store, const char *name)
{
    return name_valid(name) && store->backend->exists(store, name);
}

void aq_object_sweep(struct aq_object_store *store, const char *prefix)
{
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
