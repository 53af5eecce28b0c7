/* Sorting rows that lie in many batches, without moving them. */
#ifndef AQ_COMPACTION_ROW_SORT_H
#define AQ_COMPACTION_ROW_SORT_H

#include "format/schema.h"

struct aq_row_ref {
    uint32_t batch;
    uint32_t row;
};

/** Sort `refs` into storage order (aq_schema_compare_rows); rows that are equal in every column stand
 * in any order. Fast where long stretches are in order already, as rows from frames and archives
 * are. @return AQ_OK or AQ_NO_MEMORY. */
enum aq_status aq_rows_sort(const struct aq_schema *schema, const struct aq_batch *batches,
                            struct aq_row_ref *refs, size_t count) AQ_RESULT;

#endif
