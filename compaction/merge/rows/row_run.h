/* Sorted rows that did not fit memory, on disk: a temporary file without a name. */
#ifndef AQ_COMPACTION_ROW_RUN_H
#define AQ_COMPACTION_ROW_RUN_H

#include "compaction/merge/rows/row_sort.h"

/** Coded rows, as they lie in the file. */
struct aq_run_block {
    uint64_t offset;
    uint64_t size_bytes;
    uint64_t checksum;
    uint32_t row_count;
};

/** Parts of blocks: those of part p end before block part_ends[p]. Read-only to callers. */
struct aq_row_run {
    int fd;
    struct aq_run_block *blocks;
    size_t block_count;
    size_t block_capacity;
    size_t *part_ends;
    size_t part_count;
    uint64_t size_bytes;
};

/** A new file in the home's folder "archives": gone with the process, however that ends. Its part_ends
 * has room for `part_count_max`. */
enum aq_status aq_row_run_create(int home_fd, size_t part_count_max, struct aq_row_run **run,
                                 struct aq_error *err) AQ_RESULT;

/** Append sorted rows in blocks of `block_rows`, coded on all cores; the part that they are the end of is
 * closed by aq_row_run_end_part. */
enum aq_status aq_row_run_append(struct aq_row_run *run, const struct aq_row_stretch *stretches,
                                 const struct aq_sorted_rows *rows, size_t block_rows,
                                 const struct aq_executor *executor,
                                 struct aq_error *err) AQ_RESULT;
void aq_row_run_end_part(struct aq_row_run *run);

/** Read a block into `batch`, initialised with the types of what was written; verified.
 * @thread Any. */
enum aq_status aq_row_run_read(const struct aq_row_run *run, size_t block, struct aq_batch *batch,
                               struct aq_error *err) AQ_RESULT;

void aq_row_run_destroy(struct aq_row_run *run);

#endif
