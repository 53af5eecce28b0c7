/* Of rows that `unique` says are one reading, the one that stays. */
#ifndef AQ_COMPACTION_ROW_DEDUPE_H
#define AQ_COMPACTION_ROW_DEDUPE_H

#include "compaction/merge/rows/row_sort.h"

/**
 * Drop, of each set of rows that agree in what `unique` names, all but the one that wins.
 *
 * @param rows     Sorted; its losers are moved behind refs[rows->count], which shrinks, as do run_ends.
 * @param dropped  The losers' hash is added.
 * @return AQ_OK; AQ_CORRUPT when the proof fails that each loser has a winner that stays; AQ_NO_MEMORY.
 */
enum aq_status aq_rows_drop_losers(const struct aq_schema *schema,
                                   const struct aq_row_stretch *stretches,
                                   struct aq_sorted_rows *rows, struct aq_content_hash *dropped,
                                   struct aq_error *err) AQ_RESULT;

#endif
