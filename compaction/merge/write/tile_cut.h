/* Cutting sorted rows into tiles: which rows share a row group. A pure function. */
#ifndef AQ_COMPACTION_TILE_CUT_H
#define AQ_COMPACTION_TILE_CUT_H

#include "compaction/merge/rows/row_sort.h"

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
 * @param timed  Whether the rows have times; without, they are cut as they lie.
 * @return AQ_OK, or the first failure of `tile`.
 */
enum aq_status aq_tile_cut(const struct aq_sorted_rows *rows, bool timed, aq_tile_fn tile,
                           void *context, struct aq_error *err) AQ_RESULT;

/** Where more rows follow: the runs, from the first on, whose tiles do not depend on what follows. All where
 * one tile's runs take all the rows. */
size_t aq_tile_settled_runs(const struct aq_sorted_rows *rows);

#endif
