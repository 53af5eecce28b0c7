/* One file into the bucket.
 *
 * Happy path: open it, hash its bytes, put them under a name of this attempt, read the
 * object back once, hash again, compare.
 * Failures: the file is gone because a compaction replaced it -> AQ_END; the bucket gives back other bytes ->
 * the object is deleted, AQ_IO; whatever else fails leaves an object that nothing names. */
#include "compaction/tier/tier_job.h"
#include "engine/io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)1 << 20)
#define NAME_TRIES 3

/* The name says when the upload began, so that gc can tell its age without asking. */
static enum aq_status name_object(const struct aq_catalog_file *file, struct aq_tier_copy *copy,
                                  struct aq_error *err)
{
    uint32_t random;
    char hash[33];
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return aq_error_set_errno(err, errno, "", "no random bytes");
    for (size_t i = 0; i < sizeof copy->hash.bytes; i++)
        snprintf(hash + 2 * i, 3, "%02x", copy->hash.bytes[i]);
    snprintf(copy->object, sizeof copy->object, "data/%s-%08" PRIx32 "%08" PRIx32 ".%s", hash,
             (uint32_t)time(NULL), random, file->kind == AQ_FILE_SEGMENT ? "seg" : "aqa");
    return AQ_OK;
}

/* AQ_END when the head no longer names the file at home: a compaction has replaced it. */
static enum aq_status find_out_why_missing(struct aq_tier_job *job,
                                           const struct aq_catalog_file *file, const char *name,
                                           struct aq_error *err)
{
    const struct aq_catalog *catalog = NULL;
    AQ_TRY(aq_store_catalog(job->store, true, &catalog, err));
    const struct aq_catalog_file *now = aq_catalog_file(catalog, file->file_id);
    bool named = now != NULL && !now->evicted;
    aq_catalog_release(catalog);
    if (!named)
        return AQ_END;
    return aq_error_set_at(err, AQ_CORRUPT, name, 0,
                           "is missing, though the catalog names it; restore it from a copy");
}

/* Once it is open gc may remove its name: the bytes stay. */
static enum aq_status open_file(struct aq_tier_job *job, const struct aq_catalog_file *file,
                                const char *name, int *fd, struct aq_error *err)
{
    *fd = aq_io_openat_beneath(aq_store_home_fd(job->store), name, O_RDONLY, 0);
    if (*fd >= 0)
        return AQ_OK;
    if (errno == ENOENT)
        return find_out_why_missing(job, file, name, err);
    return aq_error_set_errno(err, errno, name, "cannot open");
}

static enum aq_status hash_file(const struct aq_tier_job *job, int fd, const char *path,
                                struct aq_tier_copy *copy, struct aq_error *err)
{
    struct aq_hasher *hasher = aq_hasher_create();
    uint8_t *block = malloc(BLOCK_BYTES);
    enum aq_status status = AQ_OK;
    if (hasher == NULL || block == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "no memory to hash a file");
    for (uint64_t at = 0; status == AQ_OK && at < copy->copied_bytes; at += BLOCK_BYTES) {
        uint64_t left = copy->copied_bytes - at;
        size_t size = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        status = aq_tier_check_stop(job, err);
        if (status == AQ_OK)
            status = aq_io_pread_exact(fd, path, at, block, size, err);
        if (status == AQ_OK)
            aq_hasher_update(hasher, block, size);
    }
    if (status == AQ_OK)
        copy->hash = aq_hasher_digest(hasher);
    aq_hasher_destroy(hasher);
    free(block);
    return status;
}

static enum aq_status on_upload(void *context, uint64_t bytes_done)
{
    struct aq_tier_job *job = context;
    aq_tier_report_progress(job, "upload", bytes_done);
    return aq_tier_check_stop(job, NULL);
}

static enum aq_status put(struct aq_tier_job *job, const struct aq_catalog_file *file, int fd,
                          struct aq_tier_copy *copy, struct aq_error *err)
{
    enum aq_status status = AQ_EXISTS;
    for (int i = 0; status == AQ_EXISTS && i < NAME_TRIES; i++) {
        AQ_TRY(name_object(file, copy, err));
        status = aq_object_put_file(job->options->bucket, copy->object, fd, copy->copied_bytes,
                                    on_upload, job, err);
    }
    /* Told by the callback, which has no error to fill. */
    return status == AQ_INTERRUPTED ? aq_tier_check_stop(job, err) : status;
}

static enum aq_status refuse_copy(struct aq_object_store *bucket, const struct aq_tier_copy *copy,
                                  struct aq_error *err)
{
    struct aq_object_path path = aq_object_path(bucket, copy->object);
    struct aq_error ignored = {0};
    bool deleted = aq_object_delete(bucket, copy->object, &ignored) == AQ_OK;
    return aq_error_set_at(err, AQ_IO, path.text, -1,
                           "gave back other bytes than were put%s; the file stays at home: run "
                           "`aqstore verify`, then `aqstore tier` again",
                           deleted ? " and was deleted" : "");
}

static enum aq_status on_read_back(void *context, uint64_t bytes_done)
{
    struct aq_tier_job *job = context;
    aq_tier_report_progress(job, "read back", bytes_done);
    return aq_tier_check_stop(job, NULL);
}

static enum aq_status read_back(struct aq_tier_job *job, const struct aq_tier_copy *copy,
                                struct aq_error *err)
{
    struct aq_hash128 hash;
    enum aq_status status = aq_tier_hash_object(job->options->bucket, copy->object,
                                                copy->copied_bytes, on_read_back, job, &hash, err);
    if (status == AQ_INTERRUPTED)
        return aq_tier_check_stop(job, err);
    AQ_TRY(status);
    aq_tier_report_progress(job, "read back", copy->copied_bytes);
    return aq_hash128_equal(&hash, &copy->hash) ? AQ_OK
                                                : refuse_copy(job->options->bucket, copy, err);
}

enum aq_status aq_tier_upload(struct aq_tier_job *job, const struct aq_catalog_file *file,
                              struct aq_tier_copy *copy, struct aq_error *err)
{
    int fd = -1;
    char name[64];
    *copy = (struct aq_tier_copy){.file_id = file->file_id,
                                  .size_bytes = file->size_bytes,
                                  .copied_bytes = aq_catalog_file_bytes(file)};
    aq_catalog_file_name(file->kind, file->file_id, name, sizeof name);
    enum aq_status status = open_file(job, file, name, &fd, err);
    if (status != AQ_OK)
        return status;
    job->bytes_before = job->progress.bytes_done;
    status = hash_file(job, fd, name, copy, err);
    if (status == AQ_OK)
        status = put(job, file, fd, copy, err);
    close(fd);
    if (status == AQ_OK) {
        job->bytes_before += copy->copied_bytes;
        status = read_back(job, copy, err);
    }
    return status;
}
