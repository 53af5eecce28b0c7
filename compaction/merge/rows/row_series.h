/* The series of rows, numbered: equal numbers for equal (key, series). */
#ifndef AQ_COMPACTION_ROW_SERIES_H
#define AQ_COMPACTION_ROW_SERIES_H

#include "format/table/schema.h"

/** A row to look a series up by; the batch stays its owner's. */
struct aq_series_row {
    const struct aq_batch *batch;
    size_t row;
};

/** Zero-initialise, and set `schema`. */
struct aq_series_table {
    const struct aq_schema *schema;
    struct aq_series_entry {
        uint64_t hash;
        struct aq_series_row row; /* one that is of it */
    } * entries;                  /* by number */
    size_t count;
    uint32_t *slots; /* number + 1; 0: free */
    size_t slot_count;
};

uint64_t aq_series_hash(const struct aq_schema *schema, const struct aq_batch *batch, size_t row);

/** Number of the row's series, a new one if it has none yet; `hash` is aq_series_hash of it. */
enum aq_status aq_series_number(struct aq_series_table *table, struct aq_series_row row,
                                uint64_t hash, uint32_t *number) AQ_RESULT;

/** Rank of each number in storage order, into ranks[0, count). */
enum aq_status aq_series_rank(const struct aq_series_table *table, uint32_t *ranks) AQ_RESULT;

void aq_series_table_deinit(struct aq_series_table *table);

#endif
