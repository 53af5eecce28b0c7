/* When work that repeats is due: daily at a time of day, or so long after the last run. */
#ifndef AQ_ENGINE_SCHEDULE_H
#define AQ_ENGINE_SCHEDULE_H

#include "engine/base/civil/civil_time.h"

/** Zero: none. */
struct aq_schedule {
    const struct aq_zone *zone; /* NULL: not daily */
    unsigned hour;
    unsigned minute;
    int64_t every_us; /* 0: daily, or none */
};

/** "02:30", "02:30 Asia/Shanghai", "02:30 +08:00": daily, in UTC where no zone is named. False for anything
 * else, spans included. */
bool aq_schedule_parse_daily(const char *text, struct aq_schedule *schedule);

static inline bool aq_schedule_is_set(const struct aq_schedule *schedule)
{
    return schedule->zone != NULL || schedule->every_us > 0;
}

/**
 * When the next run is due; in the past if one was missed, however many were.
 *
 * @param last_run_us  When the last run began, wall clock; 0: never, which counts as just now. So does a
 *                     time behind `now_us`: the clock was set back.
 * @return Wall clock. A time of day that the zone's clocks skip comes as much later as they skip; of one
 *         that they show twice the later counts. INT64_MAX when the schedule is not set.
 */
int64_t aq_schedule_next(const struct aq_schedule *schedule, int64_t last_run_us, int64_t now_us);

/** A daily schedule as the config writes it. */
void aq_schedule_format(const struct aq_schedule *schedule, char *out, size_t out_size);

#endif
