/* How many rows lie in which part of time: a histogram over spans of the calendar, bounded in size. */
#ifndef AQ_COMPACTION_PLAN_SPREAD_H
#define AQ_COMPACTION_PLAN_SPREAD_H

#include "format/base/calendar.h"

/** More buckets than this make the spans coarser, up to decades. */
#define AQ_SPREAD_BUCKETS_MAX 4096

struct aq_spread_bucket {
    int64_t from_us;
    int64_t until_us; /* exclusive; INT64_MAX: no bound */
    uint64_t row_count;
};

/** Zero-initialise; deinit releases. */
struct aq_spread {
    enum aq_span span;
    size_t bucket_count;
    size_t bucket_capacity;
    struct aq_spread_bucket *buckets; /* ascending, disjoint, none empty */
    uint64_t row_count;               /* in all buckets */
    uint64_t timeless_count;          /* rows whose time is null, in no bucket */
};

/** Count `row_count` rows at a time. AQ_OK or AQ_NO_MEMORY. */
enum aq_status aq_spread_add(struct aq_spread *spread, int64_t time_us,
                             uint64_t row_count) AQ_RESULT;
/** Count rows of which only the bounds are known: evenly over the days (or longer spans) between. */
enum aq_status aq_spread_add_even(struct aq_spread *spread, int64_t min_us, int64_t max_us,
                                  uint64_t row_count) AQ_RESULT;
/** Rows in [from_us, until_us); of a bucket that lies across a bound, all if it begins inside. */
uint64_t aq_spread_rows(const struct aq_spread *spread, int64_t from_us, int64_t until_us);
void aq_spread_deinit(struct aq_spread *spread);

#endif
