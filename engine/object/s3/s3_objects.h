/* What the files of the curl driver share above single requests. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_OBJECTS_H
#define AQ_ENGINE_OBJECT_S3_S3_OBJECTS_H

#include "engine/object/s3/wire/s3_request.h"

extern const struct aq_object_backend aq_s3_curl_backend;
/** The second driver (s3_libs3.c); AQ_UNSUPPORTED in a build without it. */
enum aq_status aq_s3_libs3_open(const struct aq_s3_options *options, struct aq_object_store **store,
                                struct aq_error *err) AQ_RESULT;
/** What both drivers share: a store made of the options. */
enum aq_status aq_s3_open_with(const struct aq_s3_options *options,
                               const struct aq_object_backend *backend,
                               struct aq_object_store **store, struct aq_error *err) AQ_RESULT;
void aq_s3_close(struct aq_object_store *store);
struct aq_object_counters aq_s3_count(const struct aq_object_store *store);

enum aq_status aq_s3_head(struct aq_object_store *store, const char *name, uint64_t *size_bytes,
                          struct aq_error *err) AQ_RESULT;
/** A conditional put was refused, or its answer lost, after a try that may have been carried out: AQ_OK
 * when the object's bytes are those of `body`, AQ_EXISTS when they are others. */
enum aq_status aq_s3_settle(struct aq_s3_store *store, const char *name,
                            const struct aq_s3_body *body, struct aq_error *err) AQ_RESULT;
/** For a server that knows no conditions: AQ_OK when there is no object `name` now, else AQ_EXISTS. */
enum aq_status aq_s3_ask_absent(struct aq_s3_store *store, const char *name,
                                struct aq_error *err) AQ_RESULT;

enum aq_status aq_s3_put_parts(struct aq_s3_store *store, const char *name,
                               const struct aq_object_file *file, struct aq_error *err) AQ_RESULT;
/** The same of a few bytes, in one part: for the probe. */
enum aq_status aq_s3_put_one_part(struct aq_s3_store *store, const char *name, struct aq_slice data,
                                  struct aq_error *err) AQ_RESULT;
enum aq_status aq_s3_abort_uploads(struct aq_object_store *store, const char *prefix,
                                   int64_t age_us, size_t *count, struct aq_error *err) AQ_RESULT;
enum aq_status aq_s3_list(struct aq_object_store *store, const char *prefix,
                          aq_object_visit_fn visit, void *context, struct aq_error *err) AQ_RESULT;

/** One request, as aq_s3_run. */
static inline enum aq_status aq_s3_run_one(struct aq_s3_store *store, struct aq_s3_request *request,
                                           struct aq_error *err)
{
    return aq_s3_run(store, request, 1, NULL, err);
}

#endif
