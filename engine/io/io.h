/* One asynchronous file API with several back ends: io_uring, POSIX, and a simulated one.
 *
 * An operation is submitted with its storage owned by the caller, is in flight until its `done`
 * callback has run, and callbacks run only inside aq_io_wait, in the thread that owns the aq_io. */
#ifndef AQ_ENGINE_IO_IO_H
#define AQ_ENGINE_IO_IO_H

#include "format/base/bytes.h"

/* AQ_IO_SIM, for tests: operations finish in a random order that aq_io_sim_seed decides. */
enum aq_io_kind { AQ_IO_AUTO, AQ_IO_URING, AQ_IO_POSIX, AQ_IO_SIM };

struct aq_io;      /* one per thread */
struct aq_io_file; /* an open file */

/**
 * AQ_IO_AUTO tries io_uring and falls back to POSIX; `notice` (may be NULL, >= 256 bytes) then says
 * why, else is "". AQ_IO_URING fails with the reason instead.
 * @param depth  Operations in flight at most; a further submit waits for one.
 */
enum aq_status aq_io_create(enum aq_io_kind kind, unsigned depth, struct aq_io **io, char *notice,
                            size_t notice_size, struct aq_error *err) AQ_RESULT;
void aq_io_sim_seed(uint64_t seed);   /* of those made from now on; the same seed, the same order */
void aq_io_destroy(struct aq_io *io); /* no operation may be in flight (asserted) */
enum aq_io_kind aq_io_kind_of(const struct aq_io *io);
const char *aq_io_kind_name(enum aq_io_kind kind); /* "uring", "posix", "auto" */

enum aq_io_flags {
    AQ_IO_READ = 0,
    AQ_IO_WRITE = 1,
    AQ_IO_CREATE_NEW = 2, /* with WRITE: must not exist */
    AQ_IO_LOCK = 4,       /* take an exclusive flock, or AQ_CONFLICT at once */
    AQ_IO_UNNAMED =
        8, /* with WRITE: a new file in the folder `name`, without a name of its own yet */
};

/** Open `name` beneath the directory `dir_fd` (never outside it). `path` is for messages. With
 * CREATE_NEW the name is durable when AQ_OK. */
enum aq_status aq_io_open(struct aq_io *io, int dir_fd, const char *name, unsigned flags,
                          const char *path, struct aq_io_file **file,
                          struct aq_error *err) AQ_RESULT;
/** A descriptor that somebody else opened, keeps open as long as `file` is, and closes. */
enum aq_status aq_io_borrow(struct aq_io *io, int fd, struct aq_io_file **file,
                            struct aq_error *err) AQ_RESULT;
/** Give a file opened with AQ_IO_UNNAMED its name: AQ_EXISTS when it is taken. Durable when AQ_OK, as far as the
 * file's content is. */
enum aq_status aq_io_name(const struct aq_io_file *file, int dir_fd, const char *name,
                          const char *path, struct aq_error *err) AQ_RESULT;
/** Open `file` once more, for writes past the kernel's cache: their buffers, sizes and offsets must be multiples
 * of AQ_IO_BLOCK_BYTES. Fails where the file system has no such writes. Locks stay with `file`. */
#define AQ_IO_BLOCK_BYTES 4096
enum aq_status aq_io_open_direct(struct aq_io *io, const struct aq_io_file *file, const char *path,
                                 struct aq_io_file **direct, struct aq_error *err) AQ_RESULT;
/** A descriptor of one's own for `file`, whatever its name; -1 and errno. The kernel tells each of a failed write-back. */
int aq_io_reopen(const struct aq_io_file *file, int flags);
void aq_io_close(struct aq_io_file *file); /* NULL allowed; no operation in flight */
int aq_io_file_fd(const struct aq_io_file *file);

struct aq_io_op;
typedef void (*aq_io_done_fn)(struct aq_io_op *op);

enum aq_io_op_kind {
    AQ_IO_OP_WRITE_DURABLE, /* write all bytes; durable when done (RWF_DSYNC); short writes resumed */
    AQ_IO_OP_READ,          /* read until `size` or end of file: `transferred` says how much */
    AQ_IO_OP_SYNC,          /* fdatasync */
    /* a hint: these bytes will be read soon, from the kernel's cache if it has them by then. No buffer; nothing is
     * transferred; a failure costs nothing but time. Of more than AQ_IO_WILL_READ_BYTES the kernel may leave out the rest. */
    AQ_IO_OP_WILL_READ,
};
#define AQ_IO_WILL_READ_BYTES ((size_t)128 << 10) /* Linux's read-ahead, unless it is set higher */

/** Caller-owned until `done` has been called. */
struct aq_io_op {
    enum aq_io_op_kind kind;
    struct aq_io_file *file;
    void *buffer; /* not written through for writes */
    size_t size;
    uint64_t offset;
    aq_io_done_fn done;
    void *user;
    /* filled in: */
    enum aq_status status; /* a failed write or sync is never retried */
    int os_errno;
    size_t transferred;
    /* private to the back end: */
    struct aq_io_op *next;
};

enum aq_status aq_io_submit(struct aq_io *io, struct aq_io_op *op, struct aq_error *err) AQ_RESULT;
/** Run callbacks of finished operations; waits until at least `least` of those in flight have
 * finished (0: does not wait). */
enum aq_status aq_io_wait(struct aq_io *io, unsigned least, struct aq_error *err) AQ_RESULT;
unsigned aq_io_in_flight(const struct aq_io *io);

/* Synchronous helpers on plain descriptors, for everything off the hot path. */

/** Read exactly `size` bytes at `offset`; a shorter file is AQ_CORRUPT at the end's offset. */
enum aq_status aq_io_pread_exact(int fd, const char *path, uint64_t offset, void *buffer,
                                 size_t size, struct aq_error *err) AQ_RESULT;
/** openat2(RESOLVE_BENEATH) where the kernel has it, else openat with a check of `name`. */
int aq_io_openat_beneath(int dir_fd, const char *name, int flags, unsigned mode);
/** Take a flock on `fd`, waiting up to `timeout_ms` for who holds it: then AQ_CONFLICT. */
enum aq_status aq_io_lock(int fd, bool exclusive, const char *path, unsigned timeout_ms,
                          struct aq_error *err) AQ_RESULT;
/** fsync the directory that `name` (beneath `dir_fd`) lies in: its name is durable then. */
enum aq_status aq_io_sync_parent(int dir_fd, const char *name, const char *path,
                                 struct aq_error *err) AQ_RESULT;

#endif
