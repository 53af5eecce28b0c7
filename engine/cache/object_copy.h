/* A local copy of an object that is read as a file. */
#ifndef AQ_ENGINE_CACHE_OBJECT_COPY_H
#define AQ_ENGINE_CACHE_OBJECT_COPY_H

#include "engine/cache/object_reader.h"

/** Copy a whole object into a file without a name in `folder` ("": the system's for temporary files), and
 * compare its hash. @param path  The object's, for messages. @param fd  The caller's to close. */
enum aq_status aq_object_copy(struct aq_object_reader *reader,
                              const struct aq_remote_object *object, const char *folder,
                              const char *path, int *fd, struct aq_error *err) AQ_RESULT;

#endif
