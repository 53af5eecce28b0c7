/* Objects read as files: segments, which are small, wanted whole and scanned by code that has a descriptor;
 * and whatever is verified.
 *
 * Happy path: all blocks are fetched, through the reader's cache if it has one; written to a file that has no name, so
 * that nothing is left behind whatever happens; the hash of all of it is that in the catalog.
 * Failures: another hash is AQ_CORRUPT, once the bytes have been asked for a second time. */
#include "engine/cache/object_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STEP_BYTES ((size_t)4 << 20)

static enum aq_status open_nameless(const char *folder, int *fd, struct aq_error *err)
{
    const char *temporary = getenv("TMPDIR");
    const char *folders[] = {folder, temporary == NULL ? "" : temporary, P_tmpdir};
    int os_errno = ENOENT;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (folders[i][0] == '\0')
            continue;
        *fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (*fd >= 0)
            return AQ_OK;
        os_errno = errno;
    }
    return aq_error_set_errno(err, os_errno, P_tmpdir, "cannot make a temporary file");
}

static enum aq_status write_all(int fd, const uint8_t *bytes, size_t size, struct aq_error *err)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return aq_error_set_errno(err, written < 0 ? errno : EIO, "temporary file",
                                      "cannot write the copy of an object");
        bytes += written;
        size -= (size_t)written;
    }
    return AQ_OK;
}

static enum aq_status copy_steps(struct aq_object_reader *reader,
                                 const struct aq_remote_object *object, int fd, uint8_t *step,
                                 struct aq_hasher *hasher, struct aq_error *err)
{
    for (uint64_t done = 0; done < object->size_bytes;) {
        struct aq_object_span span = {.object = object, .offset = done};
        uint64_t left = object->size_bytes - done;
        span.size_bytes = left < STEP_BYTES ? left : STEP_BYTES;
        AQ_TRY(aq_object_reader_read(reader, &span, step, err));
        AQ_TRY(write_all(fd, step, (size_t)span.size_bytes, err));
        aq_hasher_update(hasher, step, (size_t)span.size_bytes);
        done += span.size_bytes;
    }
    return AQ_OK;
}

static enum aq_status copy_once(struct aq_object_reader *reader,
                                const struct aq_remote_object *object, const char *path, int fd,
                                struct aq_error *err)
{
    struct aq_object_span whole = {.object = object, .size_bytes = object->size_bytes};
    uint8_t *step = malloc(STEP_BYTES);
    struct aq_hasher *hasher = aq_hasher_create();
    enum aq_status status = AQ_NO_MEMORY;
    if (step == NULL || hasher == NULL)
        aq_error_set(err, status, "out of memory");
    else
        status = aq_object_reader_fetch(reader, &whole, 1, err);
    if (status == AQ_OK)
        status = copy_steps(reader, object, fd, step, hasher, err);
    if (status == AQ_OK) {
        struct aq_hash128 hash = aq_hasher_digest(hasher);
        if (!aq_hash128_equal(&hash, &object->hash)) {
            aq_object_reader_forget(reader, &whole);
            status = aq_error_set_at(err, AQ_CORRUPT, path, 0,
                                     "does not hold the bytes that were uploaded");
        }
    }
    free(step);
    if (hasher != NULL)
        aq_hasher_destroy(hasher);
    return status;
}

enum aq_status aq_object_copy(struct aq_object_reader *reader,
                              const struct aq_remote_object *object, const char *folder,
                              const char *path, int *fd, struct aq_error *err)
{
    enum aq_status status = AQ_CORRUPT;
    if (object->size_bytes == 0)
        return aq_error_set_at(err, AQ_CORRUPT, path, 0, "has no bytes, says the catalog");
    for (int tries = 0; tries < 2 && status == AQ_CORRUPT; tries++) {
        AQ_TRY(open_nameless(folder, fd, err));
        status = copy_once(reader, object, path, *fd, err);
        if (status < 0) {
            close(*fd);
            *fd = -1;
        }
    }
    return status;
}
