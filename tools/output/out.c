/* Happy path: bytes gather in a buffer of BUFFER_BYTES, are written when it is full, and a file
 * gets its name when it is closed. Failures: EINTR and short writes go on; any other error is kept
 * and everything later is dropped; a file that failed or is not kept is unlinked. */
#include "tools/output/out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 16)

struct aq_out {
    int fd;
    int os_errno; /* of the first failure */
    bool terminal;
    char *path;      /* as the user wrote it; NULL for standard output */
    char *temporary; /* NULL when written in place */
    struct aq_bytes buffer;
};

static enum aq_status stream_create(const char *path, struct aq_out **stream, struct aq_error *err)
{
    *stream = calloc(1, sizeof(**stream));
    if (*stream == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for an output buffer");
    if (path != NULL && ((*stream)->path = strdup(path)) == NULL) {
        free(*stream);
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for an output buffer");
    }
    return AQ_OK;
}

enum aq_status aq_out_stdout(struct aq_out **stream, struct aq_error *err)
{
    AQ_TRY(stream_create(NULL, stream, err));
    (*stream)->fd = STDOUT_FILENO;
    (*stream)->terminal = isatty(STDOUT_FILENO) == 1;
    return AQ_OK;
}

/* A pipe, a terminal or a device is written in place: it cannot be replaced by a rename. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static enum aq_status stream_open_fd(struct aq_out *stream, const char *path, struct aq_error *err)
{
    if (is_special(path)) {
        stream->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (stream->fd < 0)
            return aq_error_set_errno(err, errno, path, "cannot write");
        stream->terminal = isatty(stream->fd) == 1;
        return AQ_OK;
    }
    if (asprintf(&stream->temporary, "%s.%ld.tmp", path, (long)getpid()) < 0) {
        stream->temporary = NULL;
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
    }
    stream->fd = open(stream->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (stream->fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot create the file");
    return AQ_OK;
}

enum aq_status aq_out_open(const char *path, struct aq_out **stream, struct aq_error *err)
{
    AQ_TRY(stream_create(path, stream, err));
    enum aq_status status = stream_open_fd(*stream, path, err);
    if (status < 0) {
        free((*stream)->temporary);
        free((*stream)->path);
        free(*stream);
        *stream = NULL;
    }
    return status;
}

void aq_out_flush(struct aq_out *stream)
{
    size_t written = 0;
    while (stream->os_errno == 0 && written < stream->buffer.size) {
        ssize_t count =
            write(stream->fd, stream->buffer.data + written, stream->buffer.size - written);
        if (count >= 0)
            written += (size_t)count;
        else if (errno != EINTR)
            stream->os_errno = errno;
    }
    if (aq_bytes_status(&stream->buffer) < 0 && stream->os_errno == 0)
        stream->os_errno = ENOMEM;
    aq_bytes_clear(&stream->buffer);
}

void aq_out_write(struct aq_out *stream, const void *data, size_t size)
{
    if (stream->os_errno != 0)
        return;
    aq_bytes_append(&stream->buffer, data, size);
    if (stream->buffer.size >= BUFFER_BYTES || stream->buffer.failed)
        aq_out_flush(stream);
}

void aq_out_text(struct aq_out *stream, const char *text)
{
    aq_out_write(stream, text, strlen(text));
}

void aq_out_bytes(struct aq_out *stream, const struct aq_bytes *bytes)
{
    if (aq_bytes_status(bytes) < 0 && stream->os_errno == 0)
        stream->os_errno = ENOMEM;
    aq_out_write(stream, bytes->data, bytes->size);
}

void aq_out_printf(struct aq_out *stream, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0) {
        if (stream->os_errno == 0)
            stream->os_errno = ENOMEM;
        return;
    }
    aq_out_write(stream, text, (size_t)size);
    free(text);
}

enum aq_status aq_out_status(const struct aq_out *stream, struct aq_error *err)
{
    if (stream->os_errno == 0)
        return AQ_OK;
    const char *path = stream->path != NULL ? stream->path : "standard output";
    return aq_error_set_errno(err, stream->os_errno, path, "cannot write the result");
}

bool aq_out_broken(const struct aq_out *stream)
{
    return stream->os_errno == EPIPE;
}

static void stream_finish(struct aq_out *stream, bool keep)
{
    if (stream->path != NULL && close(stream->fd) != 0 && stream->os_errno == 0)
        stream->os_errno = errno;
    if (stream->temporary == NULL)
        return;
    if (!keep || stream->os_errno != 0)
        unlink(stream->temporary);
    else if (rename(stream->temporary, stream->path) != 0)
        stream->os_errno = errno;
}

enum aq_status aq_out_close(struct aq_out *stream, bool keep, struct aq_error *err)
{
    if (stream == NULL)
        return AQ_OK;
    aq_out_flush(stream);
    stream_finish(stream, keep);
    enum aq_status status = aq_out_status(stream, err);
    aq_bytes_deinit(&stream->buffer);
    free(stream->temporary);
    free(stream->path);
    free(stream);
    return status;
}

bool aq_out_is_file(const struct aq_out *stream)
{
    return stream->temporary != NULL;
}

bool aq_out_is_terminal(const struct aq_out *stream)
{
    return stream->terminal;
}

unsigned aq_out_columns(const struct aq_out *stream)
{
    struct winsize size = {0};
    if (stream->terminal && ioctl(stream->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}
