/* Objects as files below a directory.
 *
 * Happy path of a put: write a temporary file beside the name, fsync it, link(2) it to the name
 * (create if absent) or rename(2) it over the name, fsync the directory.
 * Failures: the name is taken -> AQ_EXISTS; any other failure removes the temporary file and says
 * what failed: the name is then unchanged, except that after a failed directory fsync it may or may
 * not be there. A process that dies leaves a temporary file behind: its name begins with a dot, so
 * that nobody takes it for an object, and its flock is free, so that dir_sweep removes it. */
#include "engine/object/object_backend.h"

#include "engine/io/io.h"
#include "format/base/mutant.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 512
#define TEMPORARY_PREFIX ".tmp-"
#define PUT_TRIES 5
#define COPY_BYTES (1u << 20)

struct dir_store {
    struct aq_object_store base;
    int fd;
    bool makes_folders;
};

/* What is put: `file` if it is not NULL, else `data`. */
struct content {
    struct aq_slice data;
    const struct aq_object_file *file;
};

static void dir_close(struct aq_object_store *store)
{
    struct dir_store *dir = (struct dir_store *)store;
    close(dir->fd);
    free(store->root);
    free(dir);
}

static enum aq_status write_all(int fd, struct aq_slice data, const char *path,
                                struct aq_error *err)
{
    size_t done = 0;
    while (done < data.size) {
        ssize_t count = write(fd, data.data + done, data.size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return aq_error_set_errno(err, count < 0 ? errno : EIO, path, "cannot write");
        done += (size_t)count;
    }
    return AQ_OK;
}

static enum aq_status copy_file(int fd, const struct aq_object_file *file, const char *path,
                                struct aq_error *err)
{
    enum aq_status status = AQ_OK;
    uint8_t *buffer = malloc(COPY_BYTES);
    if (buffer == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (uint64_t done = 0; status == AQ_OK && done < file->size_bytes;) {
        size_t size =
            file->size_bytes - done < COPY_BYTES ? (size_t)(file->size_bytes - done) : COPY_BYTES;
        status = aq_io_pread_exact(file->fd, "the file to put", done, buffer, size, err);
        if (status == AQ_OK)
            status = write_all(fd, aq_slice_make(buffer, size), path, err);
        done += size;
        if (status == AQ_OK && file->progress != NULL)
            status = file->progress(file->context, done);
    }
    free(buffer);
    return status;
}

static enum aq_status write_content(int fd, const struct content *content, const char *path,
                                    struct aq_error *err)
{
    if (content->file != NULL)
        AQ_TRY(copy_file(fd, content->file, path, err));
    else
        AQ_TRY(write_all(fd, content->data, path, err));
    if (!aq_mutant(1) && fsync(fd) != 0)
        return aq_error_set_errno(err, errno, path, "cannot make durable");
    return AQ_OK;
}

/* The folders that `name` lies in, each durable before the next. */
static enum aq_status make_folders(const struct dir_store *dir, const char *name, const char *path,
                                   struct aq_error *err)
{
    char folder[PATH_BYTES_MAX];
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
        if (mkdirat(dir->fd, folder, 0755) != 0 && errno != EEXIST)
            return aq_error_set_errno(err, errno, path, "cannot make its folder");
        if (!aq_mutant(2))
            AQ_TRY(aq_io_sync_parent(dir->fd, folder, path, err));
    }
    return AQ_OK;
}

static enum aq_status open_temporary(const struct dir_store *dir, const char *temporary,
                                     const char *path, int *fd, struct aq_error *err)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL;
    *fd = aq_io_openat_beneath(dir->fd, temporary, flags, 0644);
    if (*fd < 0 && errno == ENOENT && dir->makes_folders) {
        AQ_TRY(make_folders(dir, temporary, path, err));
        *fd = aq_io_openat_beneath(dir->fd, temporary, flags, 0644);
    }
    if (*fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot create");
    return AQ_OK;
}

/* "dir/.tmp-RANDOM" beside "dir/name": on the same file system, and invisible to list. Random, for
 * processes of several machines or containers may share the directory and have equal ids. */
static enum aq_status temporary_name(const char *name, char *out, size_t out_size,
                                     struct aq_error *err)
{
    uint64_t number;
    const char *slash = strrchr(name, '/');
    int length = slash == NULL ? 0 : (int)(slash - name) + 1;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return aq_error_set_errno(err, errno, "", "no random bytes");
    snprintf(out, out_size, "%.*s" TEMPORARY_PREFIX "%016" PRIx64, length, name, number);
    return AQ_OK;
}

/* Give the written file its name. The temporary one is gone afterwards. */
static int publish(const struct dir_store *dir, const char *temporary, const char *name,
                   bool if_absent)
{
    int result = if_absent && !aq_mutant(50) ? linkat(dir->fd, temporary, dir->fd, name, 0)
                                             : renameat(dir->fd, temporary, dir->fd, name);
    int os_errno = result == 0 ? 0 : errno;
    if (if_absent || result != 0)
        unlinkat(dir->fd, temporary, 0);
    return os_errno;
}

/* Once; `swept` when the temporary file was taken for a dead process's before it was locked. */
static enum aq_status try_put(struct dir_store *dir, const char *name,
                              const struct content *content, bool if_absent, const char *path,
                              bool *swept, struct aq_error *err)
{
    char temporary[PATH_BYTES_MAX];
    int fd = -1;
    AQ_TRY(temporary_name(name, temporary, sizeof temporary, err));
    AQ_TRY(open_temporary(dir, temporary, path, &fd, err));
    flock(fd, LOCK_EX | LOCK_NB); /* tells dir_sweep that its writer lives */
    enum aq_status status = write_content(fd, content, path, err);
    if (status == AQ_OK) {
        int os_errno = publish(dir, temporary, name, if_absent);
        *swept = os_errno == ENOENT;
        if (os_errno != 0)
            status = aq_error_set_errno(err, os_errno, path, "cannot create");
    } else {
        unlinkat(dir->fd, temporary, 0);
    }
    close(fd);
    return status;
}

static enum aq_status put_content(struct dir_store *dir, const char *name,
                                  const struct content *content, bool if_absent,
                                  struct aq_error *err)
{
    struct aq_object_path path = aq_object_path(&dir->base, name);
    enum aq_status status = AQ_OK;
    bool swept = true;
    for (int tries = 0; swept && tries < PUT_TRIES; tries++) {
        swept = false;
        status = try_put(dir, name, content, if_absent, path.text, &swept, err);
    }
    if (status != AQ_OK || aq_mutant(3))
        return status;
    return aq_io_sync_parent(dir->fd, name, path.text, err);
}

static enum aq_status dir_put(struct aq_object_store *store, const char *name, struct aq_slice data,
                              bool if_absent, struct aq_error *err)
{
    struct content content = {.data = data};
    return put_content((struct dir_store *)store, name, &content, if_absent, err);
}

static enum aq_status dir_put_file(struct aq_object_store *store, const char *name,
                                   const struct aq_object_file *file, struct aq_error *err)
{
    struct content content = {.file = file};
    return put_content((struct dir_store *)store, name, &content, true, err);
}

static enum aq_status open_object(struct dir_store *dir, const char *name, const char *path,
                                  int *fd, uint64_t *size, struct aq_error *err)
{
    *fd = aq_io_openat_beneath(dir->fd, name, O_RDONLY, 0);
    if (*fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open");
    struct stat info;
    int os_errno = fstat(*fd, &info) == 0 ? 0 : errno;
    if (os_errno == 0 && !S_ISREG(info.st_mode))
        os_errno = EISDIR;
    if (os_errno != 0) {
        close(*fd);
        return aq_error_set_errno(err, os_errno, path, "cannot open");
    }
    *size = (uint64_t)info.st_size;
    return AQ_OK;
}

static enum aq_status dir_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                              struct aq_bytes *out, struct aq_error *err)
{
    struct dir_store *dir = (struct dir_store *)store;
    struct aq_object_path path = aq_object_path(store, name);
    int fd = -1;
    uint64_t size = 0;
    AQ_TRY(open_object(dir, name, path.text, &fd, &size, err));
    enum aq_status status = AQ_OK;
    uint8_t *at = NULL;
    if (size > size_max)
        status = aq_error_set_at(err, AQ_LIMIT, path.text, -1,
                                 "is %llu bytes long, more than the %llu that it may have",
                                 (unsigned long long)size, (unsigned long long)size_max);
    else if ((at = aq_bytes_reserve(out, size)) == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    else
        status = aq_io_pread_exact(fd, path.text, 0, at, size, err);
    if (status == AQ_OK)
        out->size += size;
    close(fd);
    return status;
}

static enum aq_status dir_get_range(struct aq_object_store *store, const char *name,
                                    uint64_t offset, void *buffer, size_t size,
                                    struct aq_error *err)
{
    struct dir_store *dir = (struct dir_store *)store;
    struct aq_object_path path = aq_object_path(store, name);
    int fd = -1;
    uint64_t file_size = 0;
    AQ_TRY(open_object(dir, name, path.text, &fd, &file_size, err));
    enum aq_status status = aq_io_pread_exact(fd, path.text, offset, buffer, size, err);
    close(fd);
    return status;
}

static enum aq_status dir_head(struct aq_object_store *store, const char *name,
                               uint64_t *size_bytes, struct aq_error *err)
{
    struct aq_object_path path = aq_object_path(store, name);
    int fd = -1;
    AQ_TRY(open_object((struct dir_store *)store, name, path.text, &fd, size_bytes, err));
    close(fd);
    return AQ_OK;
}

static enum aq_status dir_delete(struct aq_object_store *store, const char *name,
                                 struct aq_error *err)
{
    struct dir_store *dir = (struct dir_store *)store;
    if (unlinkat(dir->fd, name, 0) != 0 && errno != ENOENT) {
        int os_errno = errno;
        struct aq_object_path path = aq_object_path(store, name);
        return aq_error_set_errno(err, os_errno, path.text, "cannot remove");
    }
    return AQ_OK;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static enum aq_status visit_one(struct dir_store *dir, const char *folder, const char *entry,
                                const char *prefix, aq_object_visit_fn visit, void *context)
{
    char name[PATH_BYTES_MAX];
    int length = snprintf(name, sizeof name, "%s%s", folder, entry);
    struct stat info;
    if (length < 0 || (size_t)length >= sizeof name || strncmp(name, prefix, strlen(prefix)) != 0)
        return AQ_OK;
    /* Gone since the directory was read: deleted, as if it had been before. */
    if (fstatat(dir->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
        return AQ_OK;
    return visit(context, name, (uint64_t)info.st_size);
}

/* Not alphasort: that is by locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Files of the one directory that `prefix` lies in: stores are one level deep. */
static enum aq_status dir_list(struct aq_object_store *store, const char *prefix,
                               aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    struct dir_store *dir = (struct dir_store *)store;
    const char *slash = strrchr(prefix, '/');
    char folder[PATH_BYTES_MAX];
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 0 : (int)(slash - prefix) + 1, prefix);
    struct aq_object_path path = aq_object_path(store, folder);
    struct dirent **entries = NULL;
    int count =
        scandirat(dir->fd, folder[0] == '\0' ? "." : folder, &entries, visible, compare_names);
    if (count < 0 && errno == ENOENT && dir->makes_folders)
        return AQ_OK;
    if (count < 0)
        return aq_error_set_errno(err, errno, path.text, "cannot list");
    enum aq_status status = AQ_OK;
    for (int i = 0; i < count; i++) {
        if (status >= 0)
            status = visit_one(dir, folder, entries[i]->d_name, prefix, visit, context);
        free(entries[i]);
    }
    free(entries);
    return status < 0 ? status : AQ_OK;
}

static int temporary(const struct dirent *entry)
{
    return strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0;
}

static void sweep_one(const struct dir_store *dir, const char *folder, const char *entry)
{
    char name[PATH_BYTES_MAX];
    int length = snprintf(name, sizeof name, "%s%s", folder, entry);
    int fd = length < PATH_BYTES_MAX ? aq_io_openat_beneath(dir->fd, name, O_RDONLY, 0) : -1;
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(dir->fd, name, 0);
    close(fd);
}

static void dir_sweep(struct aq_object_store *store, const char *prefix)
{
    struct dir_store *dir = (struct dir_store *)store;
    struct dirent **entries = NULL;
    int count = scandirat(dir->fd, prefix[0] == '\0' ? "." : prefix, &entries, temporary, NULL);
    for (int i = 0; i < count; i++) {
        sweep_one(dir, prefix, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static enum aq_status dir_settle(struct aq_object_store *store, const char *name,
                                 struct aq_error *err)
{
    struct dir_store *dir = (struct dir_store *)store;
    struct aq_object_path path = aq_object_path(store, name);
    return aq_mutant(4) ? AQ_OK : aq_io_sync_parent(dir->fd, name, path.text, err);
}

static const struct aq_object_backend dir_backend = {
    .close = dir_close,
    .put = dir_put,
    .get = dir_get,
    .get_range = dir_get_range,
    .head = dir_head,
    .put_file = dir_put_file,
    .delete = dir_delete,
    .list = dir_list,
    .settle = dir_settle,
    .sweep = dir_sweep,
};

enum aq_status aq_object_open_dir(const char *path, bool create, struct aq_object_store **store,
                                  struct aq_error *err)
{
    if (create && mkdir(path, 0755) != 0 && errno != EEXIST)
        return aq_error_set_errno(err, errno, path, "cannot create");
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open");
    struct dir_store *dir = calloc(1, sizeof *dir);
    char *copy = strdup(path);
    if (dir == NULL || copy == NULL) {
        free(dir);
        free(copy);
        close(fd);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    *dir = (struct dir_store){
        .base = {.backend = &dir_backend, .root = copy}, .fd = fd, .makes_folders = create};
    *store = &dir->base;
    return AQ_OK;
}
