/* Cutting sorted rows into tiles: which rows share a row group. A pure function. */
#ifndef AQ_COMPACTION_TILE_CUT_H
#define AQ_COMPACTION_TILE_CUT_H

#include "format/archive.h"

/** Runs that share a tile where they have >= AQ_TILE_ROWS_MAX / AQ_TILE_RUNS_MAX rows each. */
#define AQ_TILE_RUNS_MAX 16

/** Consecutive rows of the sorted whole. */
struct aq_row_span {
    size_t first;
    size_t count;
};

/** A tile's rows: spans in storage order, 1..AQ_TILE_ROWS_MAX rows in all; borrowed for the call. */
typedef enum aq_status (*aq_tile_fn)(void *context, const struct aq_row_span *spans,
                                     size_t span_count, size_t row_count, struct aq_error *err);

/**
 * Cut rows sorted by (key, series, time) into tiles, given in order to `tile`.
 *
 * @param run_ends   Ascending: run i, all rows of one (key, series), ends before row run_ends[i].
 * @param times      Of every row, ascending within a run; NULL when the dataset has no time.
 * @return AQ_OK, or the first failure of `tile`.
 */
enum aq_status aq_tile_cut(const size_t *run_ends, size_t run_count, const int64_t *times,
                           aq_tile_fn tile, void *context, struct aq_error *err) AQ_RESULT;

#endif
