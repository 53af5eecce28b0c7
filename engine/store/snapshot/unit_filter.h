/* Which of a unit's stored rows count: one bit a row, kept with the unit. Masked rows, removed rows and
 * readings that lost against a newer one are left out by it. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_UNIT_FILTER_H
#define AQ_ENGINE_STORE_UNIT_FILTER_H

#include "engine/store/snapshot/snapshot_internal.h"

/** Rows that the unit has on disk. */
uint32_t aq_unit_stored_rows(const struct aq_unit *unit);

/**
 * Leave rows out of a unit, for as long as the snapshot lives: its row_count and partitions, and what
 * aq_unit_read gives, are of the rows that are left, and it has no statistics any more. A unit may be
 * left with no row. Its bounds of key and time stay, and may be too wide: see aq_unit_bound_times.
 * @param keep    A bit for each row that aq_unit_read gives now, 0 for those to leave out; borrowed. So
 *                one reason to leave rows out is added to another by calling this again. All ones: no change.
 * @thread Caller holds `opening`, and nobody is reading the unit.
 */
enum aq_status aq_unit_keep_rows(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                 const uint64_t *keep, struct aq_error *err) AQ_RESULT;

/** Give a unit the time bounds of the rows of `times` (as aq_unit_read gave them before
 * aq_unit_keep_rows) that `keep` has. */
void aq_unit_bound_times(struct aq_unit *unit, const struct aq_vector *times, const uint64_t *keep);

/** Drop what does not count from a column as it is stored. */
void aq_unit_filter_column(const struct aq_unit *unit, struct aq_vector *vector);

/** Drop what does not count from a section's directory as it is stored. */
void aq_unit_filter_partitions(const struct aq_unit *unit, struct aq_partition *partitions,
                               size_t *count);

/** Leave out what the catalog masks of a section: rows of a feed that has been taken over. */
enum aq_status aq_unit_apply_masks(struct aq_snapshot *snapshot, struct aq_unit *unit,
                                   struct aq_error *err) AQ_RESULT;

#endif
