/* Step 1 of a message's way: bytes out of a file.
 *
 * Happy path: libarchive recognises the compression by its first bytes and hands out the decoded stream
 * (docs/decisions/libarchive.md), except of gzip, which gunzip.c decodes. What is not compressed goes through it, too. A file is read again by
 * opening it again; of a pipe, what has been read is kept in an unnamed file until then.
 * Failures: archives with files in them are refused by name; a stream that breaks off or is damaged is an
 * error at the byte up to which it was read. */
#include "engine/ingest/file/read/source_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ingest/file/read/gunzip.h"

#define BLOCK_BYTES ((size_t)256 << 10)

struct aq_source_file {
    char *path;
    int fd;
    const atomic_bool *stop;
    void (*idle)(void *context); /* NULL: none */
    void *idle_context;
    int idle_ms;
    int input_errno;          /* of a failed read */
    uint8_t *input;           /* BLOCK_BYTES of the file as it lies there */
    size_t input_size;        /* of those, read ahead to see what begins there */
    uint64_t input_bytes;     /* read so far */
    struct aq_gunzip *gunzip; /* between the file and `archive`, or NULL */
    const uint8_t *given;     /* to `archive`, last */
    size_t given_size;
    uint64_t given_bytes; /* in all */
    const char *damage;   /* of what libarchive does not look at */
    bool regular;
    uint64_t total_bytes;
    uint64_t decoded_bytes; /* given out of `archive` */
    struct archive *archive;
    const uint8_t *block; /* what libarchive decoded and was not given out yet */
    size_t block_size;
    bool ended;
    int spool_dir_fd;
    int spool_fd; /* of a pipe: its decoded bytes so far; -1: none */
    uint64_t spool_bytes;
    uint64_t spool_read; /* of those, read again since the last rewind */
    bool last;           /* it will not be rewound again */
    bool kept;           /* what is not readable in place goes to the spool */
};

const char *aq_source_file_path(const struct aq_source_file *file)
{
    return strcmp(file->path, "-") == 0 ? "standard input" : file->path;
}

uint64_t aq_source_file_bytes_done(const struct aq_source_file *file)
{
    return file->input_bytes;
}

uint64_t aq_source_file_bytes_total(const struct aq_source_file *file)
{
    return file->total_bytes;
}

/* Whatever libarchive makes of it: when it is still guessing it takes a failure for the end. */
static bool input_failed(const struct aq_source_file *file)
{
    return file->input_errno != 0 || file->damage != NULL;
}

static enum aq_status archive_failure(struct aq_source_file *file, struct aq_error *err)
{
    int code = archive_errno(file->archive);
    const char *text = file->damage != NULL ? file->damage : archive_error_string(file->archive);
    if (file->input_errno == EINTR)
        return aq_error_set(err, AQ_INTERRUPTED, "stopped while waiting for %s",
                            aq_source_file_path(file));
    if (file->input_errno != 0)
        return aq_error_set_errno(err, file->input_errno, aq_source_file_path(file),
                                  "reading after %llu decoded bytes",
                                  (unsigned long long)file->decoded_bytes);
    if (code == ENOMEM)
        return aq_error_set(err, AQ_NO_MEMORY, "reading %s: out of memory",
                            aq_source_file_path(file));
    return aq_error_set_at(err, AQ_IO, aq_source_file_path(file), -1,
                           "damaged or cut off after %llu decoded bytes: %s",
                           (unsigned long long)file->decoded_bytes,
                           text == NULL ? "unknown error" : text);
}

/* Files inside of a file are not for us: which of them, and under which name? */
static enum aq_status refuse_container(struct aq_source_file *file, struct aq_error *err)
{
    const char *kind = NULL;
    switch (archive_format(file->archive) & ARCHIVE_FORMAT_BASE_MASK) {
    case ARCHIVE_FORMAT_TAR:
        kind = "tar";
        break;
    case ARCHIVE_FORMAT_ZIP:
        kind = "zip";
        break;
    case ARCHIVE_FORMAT_7ZIP:
        kind = "7-Zip";
        break;
    default:
        return AQ_OK;
    }
    return aq_error_set_at(err, AQ_UNSUPPORTED, aq_source_file_path(file), -1,
                           "is a %s archive: unpack it first and import the files in it", kind);
}

void aq_source_file_on_idle(struct aq_source_file *file, void (*idle)(void *context), void *context,
                            int wait_ms)
{
    if (file->regular)
        return;
    file->idle = idle;
    file->idle_context = context;
    file->idle_ms = wait_ms;
}

static ssize_t wait_and_read(struct aq_source_file *file, size_t at)
{
    struct pollfd input = {.fd = file->fd, .events = POLLIN};
    int ready = 1;
    while (file->idle != NULL && (ready = poll(&input, 1, file->idle_ms)) == 0)
        file->idle(file->idle_context);
    return ready < 0 ? -1 : read(file->fd, file->input + at, BLOCK_BYTES - at);
}

/* As archive_read_open_fd reads, but a signal that means stop ends the wait for a pipe. */
static ssize_t read_raw(struct aq_source_file *file, size_t at)
{
    ssize_t count;
    do {
        count = wait_and_read(file, at);
    } while (count < 0 && errno == EINTR && (file->stop == NULL || !*file->stop));
    if (count < 0)
        file->input_errno = errno;
    else
        file->input_bytes += (uint64_t)count;
    return count;
}

static ssize_t read_input(void *context, const uint8_t **data)
{
    struct aq_source_file *file = context;
    size_t ahead = file->input_size;
    file->input_size = 0;
    *data = file->input;
    return ahead > 0 ? (ssize_t)ahead : read_raw(file, 0);
}

static la_ssize_t give_input(struct archive *archive, void *context, const void **buffer)
{
    struct aq_source_file *file = context;
    ssize_t count = file->gunzip == NULL ? read_input(file, &file->given)
                                         : aq_gunzip_read(file->gunzip, &file->given);
    if (count < 0 && file->gunzip != NULL && file->input_errno == 0)
        file->damage = aq_gunzip_damage(file->gunzip);
    if (count < 0)
        archive_set_error(archive, file->input_errno, "cannot read");
    file->given_size = count < 0 ? 0 : (size_t)count;
    file->given_bytes += file->given_size;
    *buffer = file->given;
    return count;
}

/* Gzip is decoded before libarchive sees it, for it would not look at the checksums. */
static enum aq_status begin_input(struct aq_source_file *file, struct aq_error *err)
{
    ssize_t count = 1;
    aq_gunzip_destroy(file->gunzip);
    file->gunzip = NULL;
    file->input_size = 0;
    file->input_bytes = 0;
    file->given_size = 0;
    file->given_bytes = 0;
    while (count > 0 && file->input_size < 3) {
        count = read_raw(file, file->input_size);
        if (count < 0)
            return archive_failure(file, err);
        file->input_size += (size_t)count;
    }
    if (!aq_gunzip_knows(file->input, file->input_size))
        return AQ_OK;
    file->gunzip = aq_gunzip_create(read_input, file);
    return file->gunzip != NULL ? AQ_OK
                                : aq_error_set(err, AQ_NO_MEMORY, "opening %s: out of memory",
                                               aq_source_file_path(file));
}

/* A filter ends where its stream does, and what lies behind it (of bzip2: a second stream whose first
 * bytes are damaged) would be lost without a word. Zeros may follow, as tapes leave them. */
static bool only_zeros_follow(struct aq_source_file *file)
{
    int64_t taken = archive_filter_bytes(file->archive, -1);
    uint64_t left = taken < 0 ? 0 : file->given_bytes - (uint64_t)taken;
    size_t at = left > file->given_size ? 0 : file->given_size - (size_t)left;
    const void *ignored;
    do {
        for (; at < file->given_size; at++)
            if (file->given[at] != 0)
                return false;
        at = 0;
    } while (give_input(file->archive, file, &ignored) > 0);
    return true;
}

static enum aq_status end_stream(struct aq_source_file *file, struct aq_error *err)
{
    if (!input_failed(file) && !only_zeros_follow(file))
        file->damage = "something else follows the compressed data";
    return input_failed(file) ? archive_failure(file, err) : AQ_OK;
}

static enum aq_status begin_stream(struct aq_source_file *file, struct aq_error *err)
{
    struct archive_entry *entry;
    file->archive = archive_read_new();
    if (file->archive == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "opening %s: out of memory",
                            aq_source_file_path(file));
    AQ_TRY(begin_input(file, err));
    archive_read_support_filter_xz(file->archive);
    archive_read_support_filter_zstd(file->archive);
    archive_read_support_filter_bzip2(file->archive);
    archive_read_support_format_tar(file->archive);
    archive_read_support_format_zip_streamable(file->archive);
    archive_read_support_format_7zip(file->archive);
    archive_read_support_format_raw(file->archive);
    archive_read_support_format_empty(file->archive);
    if (archive_read_open(file->archive, file, NULL, give_input, NULL) != ARCHIVE_OK)
        return archive_failure(file, err);
    int result = archive_read_next_header(file->archive, &entry);
    if (result < ARCHIVE_WARN || input_failed(file))
        return archive_failure(file, err);
    if (result != ARCHIVE_EOF)
        return refuse_container(file, err);
    /* A tar archive without files, says libarchive, of zeros: lines may follow them all the same. */
    if ((archive_format(file->archive) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_EMPTY)
        return aq_error_set_at(err, AQ_UNSUPPORTED, aq_source_file_path(file), -1,
                               "begins with zeros, or is an archive of no files: cut off what is "
                               "no text and import the rest");
    file->ended = true;
    return end_stream(file, err);
}

/* Of a pipe it waits until someone writes. */
static int open_path(const struct aq_source_file *file)
{
    int fd;
    do {
        fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    } while (fd < 0 && errno == EINTR && (file->stop == NULL || !*file->stop));
    return fd;
}

static enum aq_status open_descriptor(struct aq_source_file *file, struct aq_error *err)
{
    struct stat status;
    if (strcmp(file->path, "-") == 0)
        file->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        file->fd = open_path(file);
    if (file->fd < 0 && errno == EINTR)
        return aq_error_set(err, AQ_INTERRUPTED, "stopped while waiting for %s", file->path);
    if (file->fd < 0 || fstat(file->fd, &status) != 0)
        return aq_error_set_errno(err, errno, file->path, "opening an input file");
    if (S_ISDIR(status.st_mode))
        return aq_error_set_at(err, AQ_INVALID, file->path, -1,
                               "is a directory: name the files in it");
    /* Standard input may be a file that someone has read from already: it is treated as a pipe. */
    file->regular = S_ISREG(status.st_mode) && strcmp(file->path, "-") != 0;
    file->total_bytes = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
    return AQ_OK;
}

enum aq_status aq_source_file_open(const char *path, int spool_dir_fd, const atomic_bool *stop,
                                   struct aq_source_file **file, struct aq_error *err)
{
    struct aq_source_file *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->fd = -1;
        made->spool_fd = -1;
        made->spool_dir_fd = spool_dir_fd;
        made->stop = stop;
        made->path = strdup(path);
        made->input = malloc(BLOCK_BYTES);
    }
    enum aq_status status = AQ_OK;
    if (made == NULL || made->path == NULL || made->input == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "opening %s: out of memory", path);
    if (status == AQ_OK)
        status = open_descriptor(made, err);
    if (status == AQ_OK)
        status = begin_stream(made, err);
    if (status < 0) {
        aq_source_file_close(made);
        return status;
    }
    *file = made;
    return AQ_OK;
}

void aq_source_file_close(struct aq_source_file *file)
{
    if (file == NULL)
        return;
    if (file->archive != NULL)
        archive_read_free(file->archive);
    aq_gunzip_destroy(file->gunzip);
    if (file->fd >= 0)
        close(file->fd);
    if (file->spool_fd >= 0)
        close(file->spool_fd);
    free(file->path);
    free(file->input);
    free(file);
}

static enum aq_status spool(struct aq_source_file *file, const uint8_t *data, size_t size,
                            struct aq_error *err)
{
    if (file->spool_fd < 0) {
        file->spool_fd = openat(file->spool_dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (file->spool_fd < 0)
            return aq_error_set_errno(err, errno, "", "keeping standard input in a temporary file");
    }
    for (size_t done = 0; done < size;) {
        ssize_t written =
            pwrite(file->spool_fd, data + done, size - done, (off_t)(file->spool_bytes + done));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return aq_error_set_errno(err, errno, "", "keeping standard input in a temporary file");
        done += (size_t)written;
    }
    file->spool_bytes += size;
    file->spool_read = file->spool_bytes;
    return AQ_OK;
}

static enum aq_status read_spool(struct aq_source_file *file, void *buffer, size_t size,
                                 size_t *got, struct aq_error *err)
{
    uint64_t left = file->spool_bytes - file->spool_read;
    ssize_t count;
    do {
        count = pread(file->spool_fd, buffer, size < left ? size : (size_t)left,
                      (off_t)file->spool_read);
    } while (count < 0 && errno == EINTR);
    if (count <= 0)
        return aq_error_set_errno(err, count == 0 ? EIO : errno, "",
                                  "reading standard input again from a temporary file");
    *got = (size_t)count;
    file->spool_read += *got;
    return AQ_OK;
}

/* By blocks: archive_read_data would drop what it copied before a fault. */
static enum aq_status next_block(struct aq_source_file *file, struct aq_error *err)
{
    while (file->block_size == 0 && !file->ended) {
        const void *block;
        la_int64_t offset;
        int result = archive_read_data_block(file->archive, &block, &file->block_size, &offset);
        if (result == ARCHIVE_EOF || result < ARCHIVE_WARN)
            file->block_size = 0;
        if (result < ARCHIVE_WARN)
            return archive_failure(file, err);
        if (result == ARCHIVE_EOF)
            AQ_TRY(end_stream(file, err));
        file->ended = result == ARCHIVE_EOF;
        file->block = block;
    }
    return AQ_OK;
}

/* Its bytes lie in the file as they are. */
static bool is_plain(const struct aq_source_file *file)
{
    return file->regular && file->gunzip == NULL &&
           archive_filter_code(file->archive, 0) == ARCHIVE_FILTER_NONE;
}

void aq_source_file_keep(struct aq_source_file *file)
{
    file->kept = true;
}

enum aq_status aq_source_file_read_at(struct aq_source_file *file, uint64_t offset, void *buffer,
                                      size_t size, struct aq_error *err)
{
    int fd = is_plain(file) ? file->fd : file->spool_fd;
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return aq_error_set_errno(err, errno, aq_source_file_path(file), "reading it again");
        if (got == 0)
            return aq_error_set_at(err, AQ_CORRUPT, aq_source_file_path(file),
                                   (int64_t)(offset + done), "the file got shorter meanwhile");
        done += (size_t)got;
    }
    return AQ_OK;
}

enum aq_status aq_source_file_read(struct aq_source_file *file, void *buffer, size_t size,
                                   size_t *got, struct aq_error *err)
{
    *got = 0;
    if (file->spool_read < file->spool_bytes)
        return read_spool(file, buffer, size, got, err);
    AQ_TRY(next_block(file, err));
    *got = size < file->block_size ? size : file->block_size;
    if (*got == 0)
        return AQ_OK;
    memcpy(buffer, file->block, *got);
    file->block += *got;
    file->block_size -= *got;
    file->decoded_bytes += *got;
    bool keep = file->kept ? !is_plain(file) : !file->regular && !file->last;
    return keep ? spool(file, buffer, *got, err) : AQ_OK;
}

enum aq_status aq_source_file_rewind(struct aq_source_file *file, bool last, struct aq_error *err)
{
    file->last = last;
    file->spool_read = 0;
    if (!file->regular)
        return AQ_OK;
    archive_read_free(file->archive);
    file->archive = NULL;
    file->block_size = 0;
    file->ended = false;
    file->decoded_bytes = 0;
    file->damage = NULL;
    if (lseek(file->fd, 0, SEEK_SET) != 0)
        return aq_error_set_errno(err, errno, file->path, "reading an input file again");
    return begin_stream(file, err);
}
