/* What a plan knows of closed segments beside the catalog: when their rows happened, by dataset. */
#ifndef AQ_COMPACTION_PLAN_SURVEY_H
#define AQ_COMPACTION_PLAN_SURVEY_H

#include "compaction/plan/spread.h"
#include "engine/base/workers.h"
#include "engine/store/snapshot/snapshot.h"

struct aq_survey {
    size_t dataset_count;
    struct aq_spread
        *spreads; /* one a dataset of the catalog, in its order: of all closed segments. Rows of a
                                  dataset without a time stand at 0 */
};

/** From the catalog alone: the rows of a segment are taken to lie evenly between its bounds. */
enum aq_status aq_survey_guess(const struct aq_catalog *catalog,
                               struct aq_survey *survey) AQ_RESULT;
/**
 * From the segments: sections that lie in one day are counted by their headers, of others the times are
 * read, on all workers. Each section with rows of several days is read once here and again by the merge.
 */
enum aq_status aq_survey_take(struct aq_snapshot *snapshot, const struct aq_workers *workers,
                              struct aq_survey *survey, struct aq_error *err) AQ_RESULT;
void aq_survey_deinit(struct aq_survey *survey);

#endif
