/* Re-sent and revised rows. In a dataset with `unique`, rows that are equal in the unique columns are
 * *twins*: readings of the same thing. One of them counts, and which one is a function of the rows alone,
 * whatever file they are in and whatever became of it. */
#ifndef AQ_ENGINE_STORE_DEDUPE_H
#define AQ_ENGINE_STORE_DEDUPE_H

#include "engine/store/snapshot/snapshot.h"

#include <stdatomic.h>

/**
 * Whether two rows are twins: equal in every unique column, to the bit; two nulls are equal.
 *
 * Batches here hold what archives store (aq_schema_stored_batch_init).
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

/** As far as the version decides: `a` and `b` point at the version column of their batches, or at its stamp
 * and the ordinal behind that. 0: the other columns do. */
int aq_twins_compare_version(const struct aq_schema *schema, const struct aq_vector *a,
                             size_t row_a, const struct aq_vector *b, size_t row_b);

/** Whether twins are neighbours in storage order (aq_schema_compare_rows), so that merging rows finds them
 * all: not where `series` names what `unique` does not. */
bool aq_schema_has_adjacent_twins(const struct aq_schema *schema);

/**
 * Leave out of these units every row that does not count because of a twin, in whatever unit that is.
 * Must be called before anything but key and time of a unit is looked at, its row_count included; units
 * are resolved once, and a dataset without `unique` costs nothing.
 *
 * Reads of units that may share a key and a time the unique and version columns, and other columns only of
 * rows of equal version. Works through spans of time, and parts of one, of bounded size: beside the memory
 * it may take it needs a bit a row.
 * @param units      Of the dataset, in (file, index) order.
 * @param options    May be NULL.
 * @param twin_count Rows of these units that are left out because of a twin. NULL: not wanted.
 * @thread Any, also beside readers of other units; none of these units may be being read.
 */
struct aq_resolve_options {
    uint64_t memory_bytes;   /* about; 0: 256 MiB */
    const atomic_bool *stop; /* asked now and then: AQ_INTERRUPTED. NULL: never */
};
enum aq_status aq_snapshot_resolve(struct aq_snapshot *snapshot, uint32_t dataset_id,
                                   const struct aq_unit *const *units, size_t unit_count,
                                   const struct aq_resolve_options *options, uint64_t *twin_count,
                                   struct aq_error *err) AQ_RESULT;

/** Rows of a unit that have been left out because of a twin: 0 before it has been resolved. */
uint32_t aq_unit_twin_count(const struct aq_unit *unit);
/** The unit as it was before it was resolved, for reading: itself, or a copy in `arena`. */
enum aq_status aq_unit_with_twins(const struct aq_unit *unit, struct aq_arena *arena,
                                  const struct aq_unit **with) AQ_RESULT;

#endif
