/* What a back end of the object-store API provides. Names have been checked before they get here. */
#ifndef AQ_ENGINE_OBJECT_OBJECT_BACKEND_H
#define AQ_ENGINE_OBJECT_OBJECT_BACKEND_H

#include "engine/object/object.h"

/** The content of a put: the first bytes of a file. */
struct aq_object_file {
    int fd;
    uint64_t size_bytes;
    aq_object_progress_fn progress; /* may be NULL */
    void *context;
};

struct aq_object_backend {
    void (*close)(struct aq_object_store *store);
    enum aq_status (*put)(struct aq_object_store *store, const char *name, struct aq_slice data,
                          bool if_absent, struct aq_error *err);
    enum aq_status (*get)(struct aq_object_store *store, const char *name, uint64_t size_max,
                          struct aq_bytes *out, struct aq_error *err);
    enum aq_status (*get_range)(struct aq_object_store *store, const char *name, uint64_t offset,
                                void *buffer, size_t size, struct aq_error *err);
    /* NULL: one get_range after the other. */
    enum aq_status (*get_ranges)(struct aq_object_store *store,
                                 const struct aq_object_range *ranges, size_t range_count,
                                 struct aq_error *err);
    enum aq_status (*head)(struct aq_object_store *store, const char *name, uint64_t *size_bytes,
                           struct aq_error *err);
    enum aq_status (*put_file)(struct aq_object_store *store, const char *name,
                               const struct aq_object_file *file, struct aq_error *err);
    /* NULL: there are none. */
    enum aq_status (*abort_uploads)(struct aq_object_store *store, const char *prefix,
                                    int64_t age_us, size_t *count, struct aq_error *err);
    /* NULL: nothing is counted. */
    struct aq_object_counters (*count)(const struct aq_object_store *store);
    enum aq_status (*delete)(struct aq_object_store *store, const char *name, struct aq_error *err);
    enum aq_status (*list)(struct aq_object_store *store, const char *prefix,
                           aq_object_visit_fn visit, void *context, struct aq_error *err);
    /* NULL: nothing is ever left over. */
    void (*sweep)(struct aq_object_store *store, const char *prefix);
    /* NULL: a put is durable once it can be read. */
    enum aq_status (*settle)(struct aq_object_store *store, const char *name, struct aq_error *err);
};

/** First member of each back end's own struct. */
struct aq_object_store {
    const struct aq_object_backend *backend;
    char *root; /* what names are relative to; owned by the back end */
};

/** What object.h says of names. */
bool aq_object_name_valid(const char *name);

#endif
