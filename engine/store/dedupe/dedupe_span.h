/* Looking for twins in one span of time. Private to engine/store. */
#ifndef AQ_ENGINE_STORE_DEDUPE_SPAN_H
#define AQ_ENGINE_STORE_DEDUPE_SPAN_H

#include "engine/store/dedupe.h"
#include "engine/store/snapshot/unit_filter.h"

#include <stdatomic.h>

/** A unit whose rows may have twins. */
struct aq_twin_unit {
    struct aq_unit *unit;
    int64_t from_us; /* times of its rows, both included; of all time where it has none */
    int64_t to_us;
    uint64_t
        *lost; /* rows, as aq_unit_read gives them, that lost against a twin; NULL: not wanted */
};

/** What a dataset's twins are judged by. */
struct aq_twin_job {
    struct aq_snapshot *snapshot;
    const struct aq_schema *schema;
    size_t unit_count;
    struct aq_twin_unit
        *units;          /* in (file, index) order: of rows equal to the bit the first counts */
    size_t column_count; /* unique columns, then version or stamp and ordinal */
    uint32_t *column_ids;
    enum aq_type *column_types;
    uint64_t row_max; /* held at once */
    const atomic_bool *stop;
};

/** A part of the rows that no twin is divided by. */
struct aq_twin_span {
    int64_t from_us; /* both included */
    int64_t to_us;
    uint32_t part; /* of `part_count`, by a hash of the unique columns */
    uint32_t part_count;
};

/**
 * Mark the rows of the span that lose against a twin.
 * @param too_many  Set instead where the span has more rows than may be held: nothing was marked. NULL:
 *                  hold them all the same.
 */
enum aq_status aq_twin_span_resolve(const struct aq_twin_job *job, const struct aq_twin_span *span,
                                    bool *too_many, struct aq_error *err) AQ_RESULT;

/** Rows that are twins of equal version. */
struct aq_twin_tie {
    uint32_t group; /* rows of a group are twins of each other */
    uint32_t unit;  /* index into job->units */
    uint32_t row;   /* as aq_unit_read gives them */
    bool lost;      /* set by aq_twin_ties_settle */
};

/** Settle ties by the columns that are neither unique nor version, one after the other. `ties` are in the
 * order of (unit, row); groups are numbered from 0. */
enum aq_status aq_twin_ties_settle(const struct aq_twin_job *job, struct aq_twin_tie *ties,
                                   size_t tie_count, size_t group_count,
                                   struct aq_error *err) AQ_RESULT;

#endif
