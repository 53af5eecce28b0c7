/* Files of a store read piece by piece, without the catalog: what `inspect` and `verify` walk over.
 * All functions: one thread per file; errors name the file and the byte offset. */
#ifndef AQ_TOOLS_LAYOUT_STORE_FILE_H
#define AQ_TOOLS_LAYOUT_STORE_FILE_H

#include "engine/object/object.h"
#include "engine/store/catalog/catalog.h"
#include "format/segment/segment_index.h"

/** An open file. */
struct aq_store_file {
    int fd;
    uint64_t size_bytes;
    char *path;
    enum aq_file_kind kind;
};

/** Open. What is neither by first bytes nor by name a segment or an archive is AQ_INVALID. */
enum aq_status aq_store_file_open(const char *path, struct aq_store_file *file,
                                  struct aq_error *err) AQ_RESULT;
/** The same of a file of `bucket` that the catalog names: a copy without a name, its hash compared. */
enum aq_status aq_store_file_fetch(struct aq_object_store *bucket,
                                   const struct aq_catalog_file *entry, struct aq_store_file *file,
                                   struct aq_error *err) AQ_RESULT;
void aq_store_file_close(struct aq_store_file *file);
/** Replace `out` by `size` bytes at `offset`; beyond the end of the file is AQ_CORRUPT. */
enum aq_status aq_store_file_read(const struct aq_store_file *file, uint64_t offset, uint64_t size,
                                  struct aq_bytes *out, struct aq_error *err) AQ_RESULT;

/** A segment's frame as it was read: all of its bytes, and its decoded header. */
struct aq_frame_view {
    uint64_t offset;
    struct aq_bytes bytes;
    struct aq_arena arena;
    struct aq_frame_header header;
};
void aq_frame_view_deinit(struct aq_frame_view *view);
enum aq_status aq_segment_file_header(const struct aq_store_file *file,
                                      struct aq_segment_header *header,
                                      struct aq_error *err) AQ_RESULT;
/** The frame at `offset`, which must end at or before `end`: prefix and header verified, sections not.
 * `view` is reused. */
enum aq_status aq_segment_file_frame(const struct aq_store_file *file, uint64_t offset,
                                     uint64_t end, struct aq_frame_view *view,
                                     struct aq_error *err) AQ_RESULT;

/** An archive's ends. */
struct aq_archive_view {
    uint64_t root_offset;
    struct aq_bytes root_bytes;
    struct aq_arena arena;
    struct aq_archive_root root;
};
void aq_archive_view_deinit(struct aq_archive_view *view);
enum aq_status aq_archive_file_root(const struct aq_store_file *file, struct aq_archive_view *view,
                                    struct aq_error *err) AQ_RESULT;
/** A tile's directory, read and verified. `bytes` and `arena` keep it. */
enum aq_status aq_archive_file_directory(const struct aq_store_file *file,
                                         const struct aq_archive_view *view, size_t tile,
                                         struct aq_bytes *bytes, struct aq_arena *arena,
                                         struct aq_tile_directory *directory,
                                         struct aq_error *err) AQ_RESULT;

#endif
