/* Rows in memory become archives that no catalog names yet. */
#ifndef AQ_COMPACTION_REPLAY_REPLAY_OUTPUT_H
#define AQ_COMPACTION_REPLAY_REPLAY_OUTPUT_H

#include "compaction/merge/write/archive_output.h"
#include "engine/base/workers.h"

/** Zero-initialise, and set `store`. */
struct aq_replay_output {
    struct aq_store *store;
    struct aq_workers workers;
    struct aq_archive_output **files; /* finished and verified */
    size_t file_count;
};

/**
 * Write rows of a dataset into one archive (or, should they be very many, a few): sorted, cut into tiles,
 * durable, verified under a temporary name. The caller holds the lock "compact".
 * @param batches  Of declared and system columns.
 */
enum aq_status aq_replay_output_write(struct aq_replay_output *output,
                                      const struct aq_schema *schema,
                                      const struct aq_batch *const *batches, size_t batch_count,
                                      struct aq_error *err) AQ_RESULT;
/** Remove what was not published. */
void aq_replay_output_deinit(struct aq_replay_output *output);

#endif
