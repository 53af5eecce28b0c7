/* The input rows of one group: read, hashed, and held in memory, whole or one range at a time. */
#ifndef AQ_COMPACTION_ROW_SOURCE_H
#define AQ_COMPACTION_ROW_SOURCE_H

#include "compaction/compact_job.h"
#include "compaction/row_sort.h"

/** Owned by whoever opened it; read-only to others. */
struct aq_row_source {
    const struct aq_compact_job *job;
    const struct aq_schema *schema;
    const struct aq_compact_group *group;
    uint32_t *column_ids; /* stored, in order */
    size_t unit_count;
    const struct aq_unit **units;   /* that may have rows of the group, in the snapshot's order */
    uint64_t row_total;             /* in these units, those of other groups included */
    struct aq_content_hash content; /* of all of them */
    struct aq_batch *batches;       /* one a unit: the rows that are held */
    uint64_t held_bytes;
    uint64_t all_bytes;      /* of all rows, decoded */
    bool whole;              /* all rows are held: there is one range */
    struct aq_batch sample;  /* sorted rows at which ranges begin are taken from it */
    struct aq_row_ref *cuts; /* its rows in order */
    size_t range_count;
};

/** Read every input row of the group once. Afterwards all are held, or, where they need more than
 * the job's memory, none. */
enum aq_status aq_row_source_open(const struct aq_compact_job *job,
                                  const struct aq_compact_group *group,
                                  struct aq_row_source *source, struct aq_error *err) AQ_RESULT;
/** Hold the rows of range `range` < range_count, and only those: ranges follow each other in storage
 * order and are about equally large. */
enum aq_status aq_row_source_hold(struct aq_row_source *source, size_t range,
                                  struct aq_error *err) AQ_RESULT;
void aq_row_source_close(struct aq_row_source *source);

#endif
