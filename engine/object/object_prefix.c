/* The objects of a store whose names begin with a prefix, as a store of their own.
 *
 * Happy path: the prefix is put before a name, and taken off the names that a listing gives.
 * Failures: those of the store below, with its full names; a name that gets too long -> AQ_INVALID. */
#include "engine/object/object_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prefix_store {
    struct aq_object_store base;
    struct aq_object_store *below; /* borrowed */
    char prefix[AQ_OBJECT_NAME_MAX + 1];
};

/* A name of the store below. What was cut off makes it longer than a name may be: refused there. */
struct full_name {
    char text[AQ_OBJECT_NAME_MAX + 2];
};

static struct full_name full_name(const struct aq_object_store *store, const char *name)
{
    struct full_name full;
    snprintf(full.text, sizeof full.text, "%s%s", ((const struct prefix_store *)store)->prefix,
             name);
    return full;
}

static struct aq_object_store *below(const struct aq_object_store *store)
{
    return ((const struct prefix_store *)store)->below;
}

static void prefix_close(struct aq_object_store *store)
{
    free(store->root);
    free(store);
}

static enum aq_status prefix_put(struct aq_object_store *store, const char *name,
                                 struct aq_slice data, bool if_absent, struct aq_error *err)
{
    struct full_name full = full_name(store, name);
    return if_absent ? aq_object_put_if_absent(below(store), full.text, data, err)
                     : aq_object_put(below(store), full.text, data, err);
}

static enum aq_status prefix_put_file(struct aq_object_store *store, const char *name,
                                      const struct aq_object_file *file, struct aq_error *err)
{
    return aq_object_put_file(below(store), full_name(store, name).text, file->fd, file->size_bytes,
                              file->progress, file->context, err);
}

static enum aq_status prefix_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                                 struct aq_bytes *out, struct aq_error *err)
{
    return aq_object_get(below(store), full_name(store, name).text, size_max, out, err);
}

static enum aq_status prefix_get_range(struct aq_object_store *store, const char *name,
                                       uint64_t offset, void *buffer, size_t size,
                                       struct aq_error *err)
{
    return aq_object_get_range(below(store), full_name(store, name).text, offset, buffer, size,
                               err);
}

static enum aq_status prefix_head(struct aq_object_store *store, const char *name,
                                  uint64_t *size_bytes, struct aq_error *err)
{
    return aq_object_head(below(store), full_name(store, name).text, size_bytes, err);
}

static enum aq_status prefix_delete(struct aq_object_store *store, const char *name,
                                    struct aq_error *err)
{
    return aq_object_delete(below(store), full_name(store, name).text, err);
}

static enum aq_status prefix_settle(struct aq_object_store *store, const char *name,
                                    struct aq_error *err)
{
    return aq_object_settle(below(store), full_name(store, name).text, err);
}

struct visitor {
    size_t prefix_size;
    aq_object_visit_fn visit;
    void *context;
};

static enum aq_status visit_shortened(void *context, const char *name, uint64_t size_bytes)
{
    const struct visitor *visitor = context;
    return visitor->visit(visitor->context, name + visitor->prefix_size, size_bytes);
}

static enum aq_status prefix_list(struct aq_object_store *store, const char *prefix,
                                  aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    struct visitor visitor = {.prefix_size = strlen(((struct prefix_store *)store)->prefix),
                              .visit = visit,
                              .context = context};
    return aq_object_list(below(store), full_name(store, prefix).text, visit_shortened, &visitor,
                          err);
}

static struct aq_object_counters prefix_count(const struct aq_object_store *store)
{
    return aq_object_count(below(store));
}

static const struct aq_object_backend prefix_backend = {
    .close = prefix_close,
    .put = prefix_put,
    .put_file = prefix_put_file,
    .get = prefix_get,
    .get_range = prefix_get_range,
    .head = prefix_head,
    .delete = prefix_delete,
    .list = prefix_list,
    .settle = prefix_settle,
    .count = prefix_count,
};

enum aq_status aq_object_open_prefix(struct aq_object_store *bucket, const char *prefix,
                                     struct aq_object_store **store, struct aq_error *err)
{
    struct prefix_store *opened = calloc(1, sizeof *opened);
    /* Without the slash at its end: messages put one between it and a name. */
    char *root = NULL;
    if (opened == NULL ||
        asprintf(&root, "%s/%.*s", bucket->root, (int)(strlen(prefix) - 1), prefix) < 0) {
        free(opened);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    *opened =
        (struct prefix_store){.base = {.backend = &prefix_backend, .root = root}, .below = bucket};
    snprintf(opened->prefix, sizeof opened->prefix, "%s", prefix);
    *store = &opened->base;
    return AQ_OK;
}
