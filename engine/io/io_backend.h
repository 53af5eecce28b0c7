/* What a back end of the file API provides, and the part of an aq_io that all of them share. */
#ifndef AQ_ENGINE_IO_IO_BACKEND_H
#define AQ_ENGINE_IO_IO_BACKEND_H

#include "engine/io/io.h"

/** A kind of disk. Calls come from the thread that owns the aq_io. */
struct aq_io_backend {
    enum aq_io_kind kind;
    void (*destroy)(struct aq_io *io);
    enum aq_status (*open)(struct aq_io *io, int dir_fd, const char *name, unsigned flags,
                           const char *path, struct aq_io_file **file, struct aq_error *err);
    enum aq_status (*open_direct)(struct aq_io *io, const struct aq_io_file *file, const char *path,
                                  struct aq_io_file **direct, struct aq_error *err);
    void (*close)(struct aq_io_file *file);
    /** Start `op`; fewer than `depth` are pending. When it is over: aq_io_finish. */
    enum aq_status (*start)(struct aq_io *io, struct aq_io_op *op, struct aq_error *err);
    /** Let pending operations finish; returns when at least one has (`wait`) or at once. */
    enum aq_status (*reap)(struct aq_io *io, bool wait, struct aq_error *err);
};

/** First member of each back end's own struct. */
struct aq_io {
    const struct aq_io_backend *backend;
    unsigned depth;
    unsigned pending;  /* started, not finished */
    unsigned finished; /* finished, callback not run */
    struct aq_io_op *finished_first;
    struct aq_io_op *finished_last;
};

/** First member of each back end's own struct. */
struct aq_io_file {
    const struct aq_io_backend *backend;
    int fd;
    bool borrowed; /* the descriptor is not closed */
    bool direct;   /* past the kernel's cache: what is left of a short write begins at a block */
};

/** Queue `op` for its callback; os_errno 0 is success. */
void aq_io_finish(struct aq_io *io, struct aq_io_op *op, int os_errno);
/** Whether it is a read or a write, which may be cut short. */
bool aq_io_moves_bytes(const struct aq_io_op *op);
/** Account for `count` more bytes of a read or write. @return whether more must be moved. */
bool aq_io_advance(struct aq_io_op *op, size_t count);
/** Bytes to ask the kernel for next: what is left, bounded by what one call takes. */
size_t aq_io_next_size(const struct aq_io_op *op);

enum aq_status aq_io_posix_create(unsigned depth, struct aq_io **io,
                                  struct aq_error *err) AQ_RESULT;
enum aq_status aq_io_uring_create(unsigned depth, struct aq_io **io,
                                  struct aq_error *err) AQ_RESULT;
enum aq_status aq_io_sim_create(unsigned depth, struct aq_io **io, struct aq_error *err) AQ_RESULT;

/* Files of the kernel, shared by the back ends that use it. */
/** Do a whole operation at once; 0, or the errno that ended it. */
int aq_io_fd_perform(struct aq_io_op *op);
enum aq_status aq_io_fd_open(struct aq_io *io, int dir_fd, const char *name, unsigned flags,
                             const char *path, struct aq_io_file **file,
                             struct aq_error *err) AQ_RESULT;
enum aq_status aq_io_fd_open_direct(struct aq_io *io, const struct aq_io_file *file,
                                    const char *path, struct aq_io_file **direct,
                                    struct aq_error *err) AQ_RESULT;
void aq_io_fd_close(struct aq_io_file *file);

#endif
