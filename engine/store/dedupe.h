/* Re-sent and revised rows. In a dataset with `unique`, rows that are equal in the unique columns are
 * *twins*: readings of the same thing. One of them counts, and which one is a function of the rows alone,
 * whatever file they are in and whatever became of it. */
#ifndef AQ_ENGINE_STORE_DEDUPE_H
#define AQ_ENGINE_STORE_DEDUPE_H

#include "engine/store/snapshot.h"

/**
 * Whether two rows are twins: equal in every unique column, to the bit; two nulls are equal.
 *
 * Batches here hold what archives store (aq_schema_stored_batch_init). In storage order
 * (aq_schema_compare_rows) twins are neighbours, since `series` is a part of `unique`.
 * @thread Reentrant.
 */
bool aq_rows_are_twins(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                       const struct aq_batch *b, size_t row_b);

/**
 * Order of two twins: > 0 where `a` counts rather than `b`, 0 where they are equal in all declared columns
 * and it does not matter.
 *
 * The later one is the one with the greater version, or, without a version column, with the greater (stamp,
 * ordinal); null is lower than any value. Of rows equal in these the later one has the greater values, to
 * the bit, in the order in which columns are declared. `keep: last` takes the latest, `first` the earliest.
 */
int aq_twins_compare(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                     const struct aq_batch *b, size_t row_b);

#endif
