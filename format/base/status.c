#include "format/base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *aq_status_text(enum aq_status status)
{
    switch (status) {
#define AQ_STATUS_TEXT(name, value, text, exit_code) \
    case name:                                       \
        return text;
        AQ_STATUS_TABLE(AQ_STATUS_TEXT)
#undef AQ_STATUS_TEXT
    }
    return "unknown status";
}

int aq_status_exit_code(enum aq_status status)
{
    switch (status) {
#define AQ_STATUS_EXIT(name, value, text, exit_code) \
    case name:                                       \
        return exit_code;
        AQ_STATUS_TABLE(AQ_STATUS_EXIT)
#undef AQ_STATUS_EXIT
    }
    return 1;
}

static enum aq_status fill(struct aq_error *err, enum aq_status status, const char *path,
                           int64_t offset, const char *format, va_list args)
{
    if (err == NULL)
        return status;
    err->status = status;
    err->os_errno = 0;
    err->offset = offset;
    snprintf(err->path, sizeof err->path, "%s", path == NULL ? "" : path);
    vsnprintf(err->message, sizeof err->message, format, args);
    return status;
}

enum aq_status aq_error_set(struct aq_error *err, enum aq_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, NULL, -1, format, args);
    va_end(args);
    return status;
}

enum aq_status aq_error_set_at(struct aq_error *err, enum aq_status status, const char *path,
                               int64_t offset, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, path, offset, format, args);
    va_end(args);
    return status;
}

static enum aq_status status_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
        return AQ_DISK_FULL;
    case ENOENT:
        return AQ_NOT_FOUND;
    case EEXIST:
        return AQ_EXISTS;
    case ENOMEM:
        return AQ_NO_MEMORY;
    default:
        return AQ_IO;
    }
}

enum aq_status aq_error_set_errno(struct aq_error *err, int os_errno, const char *path,
                                  const char *format, ...)
{
    enum aq_status status = status_of_errno(os_errno);
    if (err == NULL)
        return status;
    va_list args;
    va_start(args, format);
    fill(err, status, path, -1, format, args);
    va_end(args);
    err->os_errno = os_errno;
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(os_errno));
    return status;
}

enum aq_status aq_error_locate(struct aq_error *err, enum aq_status status, const char *path,
                               int64_t base_offset)
{
    if (err == NULL || status >= 0 || err->path[0] != '\0')
        return status;
    snprintf(err->path, sizeof err->path, "%s", path);
    if (err->offset >= 0)
        err->offset += base_offset;
    return status;
}

enum aq_status aq_error_take(struct aq_error *err, enum aq_status status,
                             const struct aq_error *from, const char *what)
{
    if (status == AQ_OK || err == NULL)
        return status;
    if (from->status == AQ_OK)
        return aq_error_set(err, status, "%s: %s", what, aq_status_text(status));
    *err = *from;
    return status;
}

void aq_error_format(const struct aq_error *err, char *out, size_t out_size)
{
    if (err->path[0] == '\0')
        snprintf(out, out_size, "%s", err->message);
    else if (err->offset < 0)
        snprintf(out, out_size, "%s: %s", err->path, err->message);
    else
        snprintf(out, out_size, "%s: offset %lld: %s", err->path, (long long)err->offset,
                 err->message);
}
