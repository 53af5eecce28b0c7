/* What `verify` does: every checksum and invariant that can be checked, fault by fault. A fault does
 * not end the work: what can still be read behind it is checked too. */
#ifndef AQ_TOOLS_VERIFY_VERIFY_H
#define AQ_TOOLS_VERIFY_VERIFY_H

#include "engine/store/catalog/catalog.h"
#include "tools/layout/store_file.h"

#include <stdatomic.h>

/** One thing that is wrong. */
struct aq_fault {
    struct aq_fault *next;
    struct aq_error error; /* file, offset, what */
    char affected[256];    /* rows, positions, keys, times; "" where unknown */
};

#define AQ_FAULTS_KEPT_MAX 1000

/** The work and its findings. Zero-initialise; aq_verify_deinit. */
struct aq_verify {
    bool deep;
    const atomic_bool *stop;
    void (*progress)(void *context, const char *file, uint64_t bytes_done, uint64_t row_count);
    void *context;

    uint64_t edit_count;
    uint64_t file_count;
    uint64_t frame_count;
    uint64_t tile_count;
    uint64_t chunk_count;
    uint64_t row_count; /* whose bytes were checked; with `deep` decoded too */
    uint64_t bytes;
    uint64_t object_count;    /* files whose copies in the bucket were checked */
    uint64_t unchecked_count; /* files that are in the bucket only, and were not */
    uint64_t fault_count;
    struct aq_fault *faults; /* in the order found; at most AQ_FAULTS_KEPT_MAX */
    struct aq_fault *last;
};

void aq_verify_deinit(struct aq_verify *verify);

/** Keep a fault. `affected` as printf; may be "". */
void aq_verify_fault(struct aq_verify *verify, const struct aq_error *err, const char *affected,
                     ...) AQ_PRINTF(3, 4);
/** Build the error and keep it: for faults that no decoder reports. */
void aq_verify_fault_at(struct aq_verify *verify, const char *path, uint64_t offset,
                        const char *format, ...) AQ_PRINTF(4, 5);
bool aq_verify_stopped(const struct aq_verify *verify);
void aq_verify_progress(struct aq_verify *verify, const char *path);

/** Whether a status is no fault of what was read, and ends the work: no memory, a signal, or a file that only a newer aqstore
 * can judge. */
static inline bool aq_verify_ends(enum aq_status status)
{
    return status == AQ_NO_MEMORY || status == AQ_INTERRUPTED || status == AQ_UNSUPPORTED;
}

/* Each checks one part. Faults are kept, not returned; a negative status is only what prevents going
 * on at all (aq_verify_ends). `catalog` and `entry` may be NULL: then a file is checked by
 * itself alone. */
enum aq_status aq_verify_catalog(struct aq_verify *verify, const char *home,
                                 struct aq_error *err) AQ_RESULT;
enum aq_status aq_verify_segment(struct aq_verify *verify, const struct aq_store_file *file,
                                 const struct aq_catalog *catalog,
                                 const struct aq_catalog_file *entry,
                                 struct aq_error *err) AQ_RESULT;
enum aq_status aq_verify_archive(struct aq_verify *verify, const struct aq_store_file *file,
                                 const struct aq_catalog *catalog,
                                 const struct aq_catalog_file *entry,
                                 struct aq_error *err) AQ_RESULT;
/** One decoded section of a frame: its columns, its partitions, its bounds (verify_section.c). */
enum aq_status aq_verify_section(struct aq_verify *verify, const struct aq_store_file *file,
                                 const struct aq_frame_view *view,
                                 const struct aq_section_entry *section,
                                 const struct aq_catalog *catalog, struct aq_error *err) AQ_RESULT;
/** Whether both say the same of a column of `type`. (verify_tile.c) */
enum aq_status aq_verify_stats_equal(enum aq_type type, const struct aq_column_stats *a,
                                     const struct aq_column_stats *b, bool *equal) AQ_RESULT;
/** One decoded tile: order, runs, statistics, bounds; adds its rows to `content` (verify_tile.c). */
enum aq_status aq_verify_tile(struct aq_verify *verify, const struct aq_store_file *file,
                              const struct aq_archive_root *root, size_t tile,
                              const struct aq_tile_directory *directory,
                              struct aq_content_hash *content, struct aq_error *err) AQ_RESULT;

/** "2013-03-01 00:00:00+00 .. 2017-02-28 15:00:00+00" */
#define AQ_SPAN_TEXT_BYTES 160
const char *aq_span_text(bool known, int64_t from_us, int64_t to_us, char out[AQ_SPAN_TEXT_BYTES]);

#endif
