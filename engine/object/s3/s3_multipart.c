/* Large files in parts.
 *
 * Begin an upload, send its parts (several at once, each with its hashes), complete it on condition that
 * the object is absent. Any failure aborts the upload, so that its parts are not paid for; what a killed
 * process leaves behind is found by aq_s3_abort_uploads.
 *
 * A completion whose answer was lost is asked for again; then the upload may be gone (404) or the object
 * in the way (412), by our own doing: the object is read and compared, as after any put. */
#include "engine/object/s3/s3_objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 10000 /* S3's */
#define UPLOAD_ID_BYTES 1024
#define MIB (UINT64_C(1) << 20)
#define DATE_STEP_US 1000000 /* of HTTP's Date; uploads have theirs to the millisecond */
#define REPLY_BYTES_MAX 65536

struct upload {
    struct aq_s3_store *store;
    const char *name;
    char id[UPLOAD_ID_BYTES];
    size_t part_count;
    struct aq_s3_request *parts;
    struct aq_bytes *queries; /* of the parts */
};

static enum aq_status begin(struct upload *upload, struct aq_error *err)
{
    struct aq_bytes reply = {0};
    struct aq_s3_request request = {
        .kind = AQ_S3_POST,
        .name = upload->name,
        .query = "uploads=",
        .classed = true,
        .body = aq_s3_body_of((struct aq_slice){0}),
        .out = &reply,
        .out_max = REPLY_BYTES_MAX,
        .root = "InitiateMultipartUploadResult",
    };
    enum aq_status status = aq_s3_run_one(upload->store, &request, err);
    if (status == AQ_OK)
        status = aq_s3_xml_text(aq_bytes_view(&reply), "InitiateMultipartUploadResult/UploadId",
                                upload->id, sizeof upload->id, err);
    aq_bytes_deinit(&reply);
    return status;
}

static enum aq_status make_query(const char *before, const char *upload_id, struct aq_bytes *query)
{
    aq_bytes_chars(query, before);
    aq_bytes_chars(query, "uploadId=");
    aq_s3_encode(query, upload_id, false);
    aq_bytes_u8(query, '\0');
    return aq_bytes_status(query);
}

static uint64_t part_bytes(const struct aq_s3_store *store, uint64_t size)
{
    uint64_t bytes = store->part_bytes;
    if (size / bytes >= PARTS_MAX)
        bytes = (size / (PARTS_MAX - 1) + MIB) / MIB * MIB;
    return bytes;
}

static enum aq_status make_parts(struct upload *upload, const struct aq_s3_body *body,
                                 struct aq_error *err)
{
    uint64_t size = part_bytes(upload->store, body->size);
    size_t count = body->size == 0 ? 1 : (size_t)((body->size + size - 1) / size);
    upload->parts = calloc(count, sizeof *upload->parts);
    upload->queries = calloc(count, sizeof *upload->queries);
    if (upload->parts == NULL || upload->queries == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    upload->part_count = count;
    for (size_t i = 0; i < count; i++) {
        struct aq_s3_request *part = &upload->parts[i];
        uint64_t at = i * size;
        char number[40];
        snprintf(number, sizeof number, "partNumber=%zu&", i + 1);
        if (make_query(number, upload->id, &upload->queries[i]) != AQ_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        *part = (struct aq_s3_request){
            .kind = AQ_S3_PUT,
            .name = upload->name,
            .query = (const char *)upload->queries[i].data,
            .body = *body,
        };
        part->body.size = body->size - at < size ? body->size - at : size;
        part->body.offset += at;
        if (body->data != NULL)
            part->body.data += at;
    }
    return AQ_OK;
}

/* An ETag goes back as it came, and into XML. */
static bool etag_usable(const char *etag)
{
    for (const char *at = etag; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || strchr("<>&'", *at) != NULL)
            return false;
    return etag[0] != '\0';
}

static enum aq_status make_manifest(const struct upload *upload, struct aq_bytes *xml,
                                    struct aq_error *err)
{
    char part[256];
    aq_bytes_chars(xml, "<CompleteMultipartUpload "
                        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < upload->part_count; i++) {
        const char *etag = upload->parts[i].answer.etag;
        if (!etag_usable(etag))
            return aq_error_set(err, AQ_IO, "the server gives a part no usable ETag");
        snprintf(part, sizeof part, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>",
                 i + 1, etag);
        aq_bytes_chars(xml, part);
    }
    aq_bytes_chars(xml, "</CompleteMultipartUpload>");
    if (aq_bytes_status(xml) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    return AQ_OK;
}

static enum aq_status send_completion(struct upload *upload, struct aq_slice manifest,
                                      const char *query, bool if_absent, bool *uncertain,
                                      struct aq_error *err)
{
    struct aq_bytes reply = {0};
    struct aq_s3_request request = {
        .kind = AQ_S3_POST,
        .name = upload->name,
        .query = query,
        .if_absent = if_absent,
        .body = aq_s3_body_of(manifest),
        .out = &reply,
        .out_max = REPLY_BYTES_MAX,
        .root = "CompleteMultipartUploadResult",
    };
    enum aq_status status = aq_s3_run_one(upload->store, &request, err);
    *uncertain = request.uncertain;
    aq_bytes_deinit(&reply);
    return status;
}

static enum aq_status complete(struct upload *upload, const struct aq_s3_body *body,
                               bool must_refuse, struct aq_error *err)
{
    struct aq_bytes manifest = {0};
    struct aq_bytes query = {0};
    bool uncertain = false;
    enum aq_status status = make_manifest(upload, &manifest, err);
    if (status == AQ_OK && make_query("", upload->id, &query) != AQ_OK)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    struct aq_slice xml = aq_bytes_view(&manifest);
    if (status == AQ_OK)
        status = send_completion(upload, xml, (char *)query.data, true, &uncertain, err);
    if (status == AQ_UNSUPPORTED && !must_refuse) {
        status = aq_s3_ask_absent(upload->store, upload->name, err);
        if (status == AQ_OK)
            status = send_completion(upload, xml, (char *)query.data, false, &uncertain, err);
    }
    if (uncertain && (status == AQ_EXISTS || status == AQ_NOT_FOUND))
        status = aq_s3_settle(upload->store, upload->name, body, err);
    aq_bytes_deinit(&manifest);
    aq_bytes_deinit(&query);
    return status;
}

static enum aq_status abort_upload(struct aq_s3_store *store, const char *name, const char *id,
                                   struct aq_error *err)
{
    struct aq_bytes query = {0};
    if (make_query("", id, &query) != AQ_OK) {
        aq_bytes_deinit(&query);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    struct aq_s3_request request = {
        .kind = AQ_S3_DELETE, .name = name, .query = (const char *)query.data};
    enum aq_status status = aq_s3_run_one(store, &request, err);
    aq_bytes_deinit(&query);
    return status == AQ_NOT_FOUND ? AQ_OK : status;
}

static void release(struct upload *upload)
{
    for (size_t i = 0; upload->queries != NULL && i < upload->part_count; i++)
        aq_bytes_deinit(&upload->queries[i]);
    free(upload->queries);
    free(upload->parts);
}

/* `must_refuse`: not even after asking, where the server knows no conditions. */
static enum aq_status put_in_parts(struct aq_s3_store *store, const char *name,
                                   const struct aq_s3_body *body, bool must_refuse,
                                   struct aq_s3_watch *watch, struct aq_error *err)
{
    struct upload upload = {.store = store, .name = name};
    struct aq_object_path path = aq_object_path(&store->base, name);
    enum aq_status status = begin(&upload, err);
    if (status != AQ_OK)
        return aq_error_locate(err, status, path.text, 0);
    status = make_parts(&upload, body, err);
    if (status == AQ_OK)
        status = aq_s3_run(store, upload.parts, upload.part_count, watch, err);
    if (status == AQ_OK && watch != NULL && watch->progress != NULL)
        status = watch->progress(watch->context, body->size);
    if (status == AQ_OK)
        status = complete(&upload, body, must_refuse, err);
    if (status != AQ_OK)
        (void)!abort_upload(store, name, upload.id, NULL);
    release(&upload);
    return aq_error_locate(err, status, path.text, 0);
}

enum aq_status aq_s3_put_one_part(struct aq_s3_store *store, const char *name, struct aq_slice data,
                                  struct aq_error *err)
{
    struct aq_s3_body body = aq_s3_body_of(data);
    return put_in_parts(store, name, &body, true, NULL, err);
}

enum aq_status aq_s3_put_parts(struct aq_s3_store *store, const char *name,
                               const struct aq_object_file *file, struct aq_error *err)
{
    struct aq_s3_body body = {.fd = file->fd, .size = file->size_bytes};
    struct aq_s3_watch watch = {.progress = file->progress, .context = file->context};
    return put_in_parts(store, name, &body, false, &watch, err);
}

/* Uploads that nobody goes on with. */

struct sweep {
    struct aq_s3_store *store;
    const char *prefix;
    int64_t age_us;
    size_t aborted;
    char *key_marker;
    char *upload_marker;
};

static enum aq_status uploads_query(const struct sweep *sweep, struct aq_bytes *query)
{
    aq_bytes_chars(query, "encoding-type=url&");
    if (sweep->key_marker != NULL) {
        aq_bytes_chars(query, "key-marker=");
        aq_s3_encode(query, sweep->key_marker, false);
        aq_bytes_u8(query, '&');
    }
    aq_bytes_chars(query, "prefix=");
    aq_s3_encode(query, sweep->store->address.prefix, false);
    aq_s3_encode(query, sweep->prefix, false);
    if (sweep->upload_marker != NULL) {
        aq_bytes_chars(query, "&upload-id-marker=");
        aq_s3_encode(query, sweep->upload_marker, false);
    }
    aq_bytes_chars(query, "&uploads=");
    aq_bytes_u8(query, '\0');
    return aq_bytes_status(query);
}

/* @param date_us  The server's clock: it is the server that says when an upload began. */
static enum aq_status abort_old(struct sweep *sweep, const struct aq_s3_entry *entry,
                                int64_t date_us, struct aq_error *err)
{
    size_t own_size = strlen(sweep->store->address.prefix);
    if (strncmp(entry->key, sweep->store->address.prefix, own_size) != 0 ||
        !aq_object_name_valid(entry->key + own_size) || entry->upload_id == NULL ||
        date_us + DATE_STEP_US - entry->initiated_us < sweep->age_us)
        return AQ_OK;
    AQ_TRY(abort_upload(sweep->store, entry->key + own_size, entry->upload_id, err));
    sweep->aborted++;
    return AQ_OK;
}

static enum aq_status sweep_page(struct sweep *sweep, bool *more, struct aq_error *err)
{
    struct aq_bytes query = {0};
    struct aq_bytes body = {0};
    struct aq_s3_page page = {0};
    enum aq_status status = uploads_query(sweep, &query);
    struct aq_s3_request request = {
        .kind = AQ_S3_LIST,
        .query = (const char *)query.data,
        .out = &body,
        .out_max = AQ_S3_LISTING_BYTES_MAX,
        .root = "ListMultipartUploadsResult",
    };
    if (status == AQ_OK)
        status = aq_s3_run_one(sweep->store, &request, err);
    if (status == AQ_OK)
        status = aq_s3_page_read(aq_bytes_view(&body), &page, err);
    for (size_t i = 0; status == AQ_OK && i < page.entry_count; i++)
        status = abort_old(sweep, &page.entries[i], request.answer.date_us, err);
    free(sweep->key_marker);
    free(sweep->upload_marker);
    sweep->key_marker = page.next;
    sweep->upload_marker = page.next_upload;
    page.next = NULL;
    page.next_upload = NULL;
    *more = page.truncated;
    aq_s3_page_deinit(&page);
    aq_bytes_deinit(&query);
    aq_bytes_deinit(&body);
    return status;
}

enum aq_status aq_s3_abort_uploads(struct aq_object_store *store, const char *prefix,
                                   int64_t age_us, size_t *count, struct aq_error *err)
{
    struct sweep sweep = {.store = (struct aq_s3_store *)store, .prefix = prefix, .age_us = age_us};
    bool more = true;
    enum aq_status status = AQ_OK;
    while (status == AQ_OK && more)
        status = sweep_page(&sweep, &more, err);
    free(sweep.key_marker);
    free(sweep.upload_marker);
    *count = sweep.aborted;
    struct aq_object_path path = aq_object_path(store, prefix);
    return aq_error_locate(err, status, path.text, 0);
}
