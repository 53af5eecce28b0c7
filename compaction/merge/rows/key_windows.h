/* A group's rows key by key, where they do not fit memory: each unit is read once a window, of it only the rows
 * whose keys the window has. */
#ifndef AQ_COMPACTION_KEY_WINDOWS_H
#define AQ_COMPACTION_KEY_WINDOWS_H

#include "compaction/compact_job.h"
#include "compaction/merge/rows/row_sort.h"
#include "compaction/merge/rows/unit_ahead.h"

struct aq_source_unit;

/** What the windows are of; borrowed. */
struct aq_key_windows_input {
    const struct aq_compact_job *job;
    const struct aq_schema *schema; /* with a key */
    const uint32_t *column_ids;     /* that archives store */
    const struct aq_unit_ahead *ahead;
    const struct aq_source_unit *units;
    size_t unit_count;
    const struct aq_row_stretch
        *held; /* stretches beside them, in memory already and longer than this */
    size_t held_count;
    uint64_t memory_bytes; /* that a window's rows may take, sorting them included */
};

/** Owned by whoever opened it; `stretches` and `stretch_count`, the window, are for others to read. */
struct aq_key_windows {
    struct aq_key_windows_input input;
    struct aq_batch keys; /* a sample of the units' */
    uint32_t *order;      /* rows of it, sorted */
    uint64_t bytes_a_key; /* of the units, for each of the sample */
    size_t first; /* of the sorted sample, what the window has: [first, end) and all between them */
    size_t end;
    struct aq_batch *batches; /* the window's rows of each unit */
    struct aq_batch rest;     /* rows of the windows before that are not consumed yet */
    uint64_t loaded_bytes;
    struct aq_row_stretch *stretches;
    size_t stretch_count;
    size_t stretch_capacity;
};

/**
 * Look at some units, and say whether reading the others once a window is worth it: not when the windows would be
 * many, or a key alone takes too much.
 *
 * @param worth  When false, nothing needs to be closed.
 */
enum aq_status aq_key_windows_open(const struct aq_key_windows_input *input,
                                   struct aq_key_windows *windows, bool *worth,
                                   struct aq_error *err) AQ_RESULT;

/** The next window. `content` gains the hash of what was read for it.
 * @return AQ_OK; AQ_END when there is none. */
enum aq_status aq_key_windows_next(struct aq_key_windows *windows, bool *last,
                                   struct aq_content_hash *content, struct aq_error *err) AQ_RESULT;

/** Forget rows refs[0, count) of the window, sorted; the others come again with the next one. */
enum aq_status aq_key_windows_consume(struct aq_key_windows *windows,
                                      const struct aq_sorted_rows *sorted, size_t count,
                                      struct aq_error *err) AQ_RESULT;

void aq_key_windows_close(struct aq_key_windows *windows);

#endif
