/* One file of a home, fetched again or given up.
 *
 * Happy path of fetching: the catalog says under which name the bucket has the file; its bytes go into a file without a
 * name, their hash is compared, and it takes the place of what is there. Of giving up: the file is verified, and only if
 * it is damaged one edit removes it; what lies there stays until gc.
 * Failures: an object that is gone or altered changes nothing at home. */
#include "tools/commands/upkeep/restore_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cache/object_copy.h"
#include "engine/store/segment/segment_totals.h"
#include "tools/bucket.h"
#include "tools/output/text/json_print.h"
#include "tools/verify/verify.h"

/* The file that `name` ends in the name of: it may be given with its folders. */
static const struct aq_catalog_file *find(const struct aq_catalog *catalog, const char *name,
                                          char found[64])
{
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        aq_catalog_file_name(file->kind, file->file_id, found, 64);
        size_t length = strlen(name);
        size_t size = strlen(found);
        if (length >= size && strcmp(name + length - size, found) == 0)
            return file;
    }
    return NULL;
}

static enum aq_status find_named(struct aq_store *store, const char *name,
                                 const struct aq_catalog **catalog,
                                 const struct aq_catalog_file **file, char found[64],
                                 struct aq_error *err)
{
    AQ_TRY(aq_store_catalog(store, true, catalog, err));
    *file = find(*catalog, name, found);
    if (*file != NULL)
        return AQ_OK;
    aq_catalog_release(*catalog);
    return aq_error_set_at(err, AQ_INVALID, name, -1,
                           "is no file of this store: say it as `aqstore verify` does, like "
                           "archives/00000000000000000001.aqa");
}

static void report(struct aq_program *program, const char *name, const char *what, uint64_t bytes)
{
    struct aq_bytes out = {0};
    if (!program->options.json) {
        aq_out_printf(program->out, "%s %s\n", name, what);
        return;
    }
    aq_json_open(&out, '{');
    aq_json_member_text(&out, "file", name);
    aq_json_member_count(&out, "bytes", bytes);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(program->out, &out);
    aq_bytes_deinit(&out);
}

/* The file without a name takes the place of `path`. */
static enum aq_status put_in_place(int fd, const char *path, struct aq_error *err)
{
    char self[64], *beside = NULL;
    enum aq_status status = AQ_OK;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (asprintf(&beside, "%s.fetched", path) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
    if (fchmod(fd, 0644) != 0 || fsync(fd) != 0)
        status = aq_error_set_errno(err, errno, path, "cannot make the copy durable");
    unlink(beside); /* of a run that was killed */
    if (status == AQ_OK && (linkat(AT_FDCWD, self, AT_FDCWD, beside, AT_SYMLINK_FOLLOW) != 0 ||
                            rename(beside, path) != 0))
        status = aq_error_set_errno(err, errno, path, "cannot put the copy in place");
    free(beside);
    return status;
}

static enum aq_status fetch(struct aq_object_store *bucket, const struct aq_catalog_file *file,
                            const char *path, struct aq_error *err)
{
    char name[AQ_OBJECT_NAME_MAX + 1], *folder = strdup(path);
    snprintf(name, sizeof name, "%.*s", (int)file->object.size, (const char *)file->object.data);
    struct aq_object_path object_path = aq_object_path(bucket, name);
    struct aq_remote_object object = {
        .name = name, .hash = file->object_hash, .size_bytes = aq_catalog_file_bytes(file)};
    struct aq_object_reader *reader = NULL;
    int fd = -1;
    enum aq_status status = folder == NULL
                                ? aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name")
                                : aq_object_reader_create(bucket, NULL, &reader, err);
    if (status == AQ_OK) {
        *strrchr(folder, '/') = '\0';
        status = aq_object_copy(reader, &object, folder, object_path.text, &fd, err);
    }
    if (status == AQ_OK)
        status = put_in_place(fd, path, err);
    if (fd >= 0)
        close(fd);
    aq_object_reader_destroy(reader);
    free(folder);
    return status;
}

enum aq_status aq_restore_file(struct aq_program *program, const char *name, struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct aq_object_store *bucket = NULL;
    const struct aq_catalog *catalog = NULL;
    const struct aq_catalog_file *file = NULL;
    char found[64], *path = NULL;
    AQ_TRY(aq_program_store(program, AQ_ACCESS_READ, &store, err));
    AQ_TRY(aq_program_need_bucket(program, &bucket, err));
    AQ_TRY(find_named(store, name, &catalog, &file, found, err));
    enum aq_status status = AQ_OK;
    if (file->object.size == 0)
        status = aq_error_set_at(err, AQ_NOT_FOUND, found, -1, "was never copied to the bucket");
    else if (file->evicted)
        status = aq_error_set_at(err, AQ_INVALID, found, -1,
                                 "has left the home; queries read it from the bucket");
    else if (asprintf(&path, "%s/%s", aq_store_home(store), found) < 0)
        status = aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
    if (status == AQ_OK)
        status = fetch(bucket, file, path, err);
    if (status == AQ_OK)
        status = aq_io_sync_parent(aq_store_home_fd(store), found, path, err);
    if (status == AQ_OK)
        report(program, found, "is what it was", aq_catalog_file_bytes(file));
    free(path);
    aq_catalog_release(catalog);
    return status;
}

/* AQ_CONFLICT: its writer lives. */
static enum aq_status check_writer(const char *path, struct aq_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return AQ_OK;
    enum aq_status status = aq_io_lock(fd, false, path, 0, err);
    close(fd);
    return status;
}

static enum aq_status check_damaged(const char *path, const struct aq_catalog *catalog,
                                    const struct aq_catalog_file *file, struct aq_error *err)
{
    struct aq_verify verify = {.deep = true, .stop = &aq_stop};
    struct aq_store_file opened;
    struct aq_error fault = {.offset = -1};
    if (aq_store_file_open(path, &opened, &fault) < 0)
        return AQ_OK; /* it is not there, or cannot be read at all */
    enum aq_status status = file->kind == AQ_FILE_SEGMENT
                                ? aq_verify_segment(&verify, &opened, catalog, file, err)
                                : aq_verify_archive(&verify, &opened, catalog, file, err);
    if (status >= 0 && verify.fault_count == 0)
        status = aq_error_set_at(err, AQ_INVALID, path, -1, "is whole: it is not given up");
    aq_verify_deinit(&verify);
    aq_store_file_close(&opened);
    return status;
}

static enum aq_status build_removal(void *context, const struct aq_catalog *catalog,
                                    struct aq_edit *edit, struct aq_error *err)
{
    const uint64_t *file_id = context;
    const struct aq_catalog_file *file = aq_catalog_file(catalog, *file_id);
    if (file == NULL)
        return aq_error_set(err, AQ_CONFLICT, "the file has left the store meanwhile");
    if (file->state == AQ_FILE_OPEN)
        return aq_segment_drop(*file_id, catalog, edit, err);
    struct aq_record record = {.kind = AQ_RECORD_REMOVE, .remove = {.file_id = *file_id}};
    return aq_edit_add(edit, &record);
}

static enum aq_status give_up(struct aq_store *store, const struct aq_catalog *catalog,
                              const struct aq_catalog_file *file, const char *name,
                              struct aq_error *err)
{
    char *path = NULL;
    uint64_t file_id = file->file_id;
    if (file->object.size > 0)
        return aq_error_set_at(err, AQ_INVALID, name, -1,
                               "is in the bucket, too: `aqstore restore --file` fetches it");
    if (asprintf(&path, "%s/%s", aq_store_home(store), name) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
    enum aq_status status = file->state == AQ_FILE_OPEN ? check_writer(path, err) : AQ_OK;
    if (status == AQ_OK)
        status = check_damaged(path, catalog, file, err);
    if (status == AQ_OK)
        status = aq_store_commit(store, build_removal, &file_id, err);
    free(path);
    return status;
}

enum aq_status aq_restore_without(struct aq_program *program, const char *name,
                                  struct aq_error *err)
{
    struct aq_store *store = NULL;
    const struct aq_catalog *catalog = NULL;
    const struct aq_catalog_file *file = NULL;
    char found[64];
    AQ_TRY(aq_program_store(program, AQ_ACCESS_WRITE, &store, err));
    AQ_TRY(find_named(store, name, &catalog, &file, found, err));
    enum aq_status status = give_up(store, catalog, file, found, err);
    if (status == AQ_OK)
        report(program, found, "is no part of the store any more; gc removes it after `history:`",
               file->size_bytes);
    aq_catalog_release(catalog);
    return status;
}
