/* Status codes and error details, shared by every layer.
 *
 * A function that can fail returns `enum aq_status` and fills an optional `struct aq_error`:
 * the code is for machines, the message for people (docs/architecture.md, "Errors"). */
#ifndef AQ_FORMAT_STATUS_H
#define AQ_FORMAT_STATUS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* name, value, text, exit code of the program (docs/config.md, "Exit codes") */
#define AQ_STATUS_TABLE(X)                                                                        \
    X(AQ_END, 1, "end", 0)                                                                        \
    X(AQ_OK, 0, "ok", 0)                                                                          \
    X(AQ_INVALID, -1, "invalid", 2)         /* wrong usage, config or SQL */                      \
    X(AQ_UNSUPPORTED, -2, "unsupported", 2) /* well formed, but not (yet) done by this version */ \
    X(AQ_CORRUPT, -3, "corrupt", 3)         /* stored bytes are not what was written */           \
    X(AQ_NOT_FOUND, -4, "not found", 1)                                                           \
    X(AQ_EXISTS, -5, "exists", 1)                                                                 \
    X(AQ_CONFLICT, -6, "conflict", 4) /* another job won the race or holds the lock */            \
    X(AQ_IO, -7, "I/O error", 1)                                                                  \
    X(AQ_DISK_FULL, -8, "disk full", 1)                                                           \
    X(AQ_NO_MEMORY, -9, "out of memory", 1)                                                       \
    X(AQ_NO_SPACE, -10, "no space in buffer", 1)                                                  \
    X(AQ_LIMIT, -11, "limit exceeded", 1) /* a configured or built-in bound */                    \
    X(AQ_TEMPORARY, -12, "temporary failure", 75)                                                 \
    X(AQ_INTERRUPTED, -13, "interrupted", 130)                                                    \
    X(AQ_REJECT, -14, "rejected", 1) /* a message that cannot be taken as declared */

enum aq_status {
#define AQ_STATUS_ENUM(name, value, text, exit_code) name = (value),
    AQ_STATUS_TABLE(AQ_STATUS_ENUM)
#undef AQ_STATUS_ENUM
};

#define AQ_ERROR_PATH_MAX 256
#define AQ_ERROR_MESSAGE_MAX 768

/** What failed, for people. Plain data: copy it freely. Zero-initialise before first use. */
struct aq_error {
    enum aq_status status;
    int os_errno;                 /* 0 where no system call is to blame */
    int64_t offset;               /* byte offset in `path`; -1 where there is none */
    char path[AQ_ERROR_PATH_MAX]; /* file, object or config position; "" where there is none */
    char message[AQ_ERROR_MESSAGE_MAX]; /* what failed and what to do, without the path */
};

#define AQ_RESULT __attribute__((warn_unused_result))
#define AQ_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))

/** Short lower-case text of a code ("corrupt"); never NULL. @thread Any. */
const char *aq_status_text(enum aq_status status);

/** Exit code of the program for `status`. @thread Any. */
int aq_status_exit_code(enum aq_status status);

/**
 * Fill `err` (may be NULL) with `status` and a formatted message; path empty, offset -1, errno 0.
 * @return `status`, so that a failing function can `return aq_error_set(...)`.
 * @thread Any; `err` is the caller's.
 */
enum aq_status aq_error_set(struct aq_error *err, enum aq_status status, const char *format, ...)
    AQ_PRINTF(3, 4);

/** As aq_error_set, with the file and the byte offset (-1: none) that are to blame. */
enum aq_status aq_error_set_at(struct aq_error *err, enum aq_status status, const char *path,
                               int64_t offset, const char *format, ...) AQ_PRINTF(5, 6);

/** As aq_error_set_at for a failed system call: ENOSPC and EDQUOT become AQ_DISK_FULL, ENOENT
 * AQ_NOT_FOUND, EEXIST AQ_EXISTS, ENOMEM AQ_NO_MEMORY, all others AQ_IO; strerror is appended. */
enum aq_status aq_error_set_errno(struct aq_error *err, int os_errno, const char *path,
                                  const char *format, ...) AQ_PRINTF(4, 5);

/** Name the file of an error that was raised by code that knows only bytes; keeps a path that is
 * already there. `base_offset` is added to a known offset. @return err's status. */
enum aq_status aq_error_locate(struct aq_error *err, enum aq_status status, const char *path,
                               int64_t base_offset);

/** What came of a task that had an error of its own: `from`, or "`what`: <status>" where that says nothing. Nothing is
 * filled in where it succeeded. @return `status`. */
enum aq_status aq_error_take(struct aq_error *err, enum aq_status status,
                             const struct aq_error *from, const char *what);

/** "message" or "path: message" or "path: offset N: message", NUL-terminated into `out`. */
void aq_error_format(const struct aq_error *err, char *out, size_t out_size);

/* Return early on failure; only where the function owns nothing that must be released. */
#define AQ_TRY(call)                           \
    do {                                       \
        enum aq_status aq_try_status = (call); \
        if (aq_try_status < 0)                 \
            return aq_try_status;              \
    } while (0)

#endif
