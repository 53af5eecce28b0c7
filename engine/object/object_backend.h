/* What a back end of the object-store API provides. Names have been checked before they get here. */
#ifndef AQ_ENGINE_OBJECT_OBJECT_BACKEND_H
#define AQ_ENGINE_OBJECT_OBJECT_BACKEND_H

#include "engine/object/object.h"

struct aq_object_backend {
    void (*close)(struct aq_object_store *store);
    enum aq_status (*put)(struct aq_object_store *store, const char *name, struct aq_slice data,
                          bool if_absent, struct aq_error *err);
    enum aq_status (*get)(struct aq_object_store *store, const char *name, uint64_t size_max,
                          struct aq_bytes *out, struct aq_error *err);
    enum aq_status (*get_range)(struct aq_object_store *store, const char *name, uint64_t offset,
                                void *buffer, size_t size, struct aq_error *err);
    enum aq_status (*delete)(struct aq_object_store *store, const char *name, struct aq_error *err);
    enum aq_status (*list)(struct aq_object_store *store, const char *prefix,
                           aq_object_visit_fn visit, void *context, struct aq_error *err);
    void (*sweep)(struct aq_object_store *store, const char *prefix);
    bool (*exists)(struct aq_object_store *store, const char *name);
    enum aq_status (*settle)(struct aq_object_store *store, const char *name, struct aq_error *err);
};

/** First member of each back end's own struct. */
struct aq_object_store {
    const struct aq_object_backend *backend;
    char *root; /* what names are relative to; owned by the back end */
};

#endif
