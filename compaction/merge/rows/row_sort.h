/* Sorting rows that lie in many batches, without moving them. */
#ifndef AQ_COMPACTION_ROW_SORT_H
#define AQ_COMPACTION_ROW_SORT_H

#include "format/archive/archive.h"

/** Rows of a batch that are to be sorted. */
struct aq_row_stretch {
    const struct aq_batch *batch;
    size_t first;
    size_t end;
};

struct aq_row_ref {
    int64_t time; /* INT64_MAX for a null, which sorts behind all times; 0 without a time column */
    uint32_t stretch; /* index */
    uint32_t row;     /* of its batch */
};

/** Times of the rows that count: [from_us, until_us); with until_us == INT64_MAX also INT64_MAX, null, and
 * all rows where there is no time column. */
struct aq_time_range {
    int64_t from_us;
    int64_t until_us;
};
#define AQ_TIME_RANGE_ALL ((struct aq_time_range){INT64_MIN, INT64_MAX})

struct aq_sorted_rows {
    struct aq_row_ref *refs;
    size_t count;
    size_t *
        run_ends; /* ascending: run i, all rows of one (key, series), ends before row run_ends[i] */
    size_t run_count;
};

/**
 * Put references to the rows into storage order: aq_schema_compare_rows, then what else the batches hold
 * behind the declared columns; rows that are equal in all stand in any order. Fast where the rows of a series are in
 * order already, as those of frames and archives are.
 *
 * @param executor  NULL: in the caller's thread.
 * @param sorted    Caller releases with aq_sorted_rows_deinit; nothing to release on failure.
 * @return AQ_OK or AQ_NO_MEMORY.
 */
enum aq_status aq_rows_sort(const struct aq_schema *schema, const struct aq_row_stretch *stretches,
                            size_t stretch_count, struct aq_time_range range,
                            const struct aq_executor *executor,
                            struct aq_sorted_rows *sorted) AQ_RESULT;
void aq_sorted_rows_deinit(struct aq_sorted_rows *sorted);

/** Bytes that sorting takes for a row, at its peak. */
#define AQ_ROW_SORT_BYTES 36
/** Bytes that a batch's rows take in memory, sorting them included. */
uint64_t aq_rows_held_bytes(const struct aq_batch *batch);

/** Rows that lie side by side in one stretch, and are copied at once. */
struct aq_row_piece {
    uint32_t stretch;
    uint32_t first; /* row of its batch */
    uint32_t count;
};

/** The rows refs[0, count) as pieces, as few as there are. `pieces` has room for `count`. @return How many. */
size_t aq_rows_pieces(const struct aq_row_ref *refs, size_t count, struct aq_row_piece *pieces);

/** Copy the rows of pieces[0, piece_count) of column `column` to the end of `to`; bytes of slices stay where
 * they are, and so does what stands for a null. */
enum aq_status aq_rows_gather(const struct aq_row_stretch *stretches,
                              const struct aq_row_piece *pieces, size_t piece_count, size_t column,
                              struct aq_vector *to) AQ_RESULT;
/** The same for all columns of `to`, a batch that is empty. */
enum aq_status aq_rows_gather_all(const struct aq_row_stretch *stretches,
                                  const struct aq_row_piece *pieces, size_t piece_count,
                                  struct aq_batch *to) AQ_RESULT;

#endif
