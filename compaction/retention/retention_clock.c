/* Is the clock to be believed? It is compared with the newest edit, which a run before this one dated, and with the
 * stamps of messages and files: those of Kafka come from other machines' clocks, and the stamp of a file was taken
 * when it was imported. Events may lie in the future, and prove nothing.
 * Failures are refusals, with what to do. */
#include "compaction/retention/retention_plan.h"
#include "engine/base/civil/civil_time.h"

#define BEHIND_US AQ_US_PER_DAY
#define AHEAD_US (35 * AQ_US_PER_DAY) /* longer than from one monthly load to the next */

static int64_t newest_stamp(const struct aq_catalog *catalog)
{
    int64_t newest_us = INT64_MIN;
    for (size_t i = 0; i < catalog->feed_count; i++) {
        const struct aq_catalog_feed *feed = &catalog->feeds[i];
        if (feed->identity.stamp_us > newest_us)
            newest_us = feed->identity.stamp_us;
        if (feed->position.last_stamp_us > newest_us)
            newest_us = feed->position.last_stamp_us;
    }
    return newest_us;
}

static enum aq_status refuse(int64_t now_us, const char *than, int64_t other_us,
                             struct aq_error *err)
{
    char now[64];
    char other[64];
    aq_time_format(now_us, aq_zone_utc(), now, sizeof now);
    aq_time_format(other_us, aq_zone_utc(), other, sizeof other);
    return aq_error_set(err, AQ_LIMIT,
                        "retention was not applied: the clock says %s, but %s %s; set the clock, "
                        "or if it is right run aqstore compact --trust-clock",
                        now, than, other);
}

enum aq_status aq_retention_check_clock(const struct aq_catalog *catalog, int64_t now_us,
                                        struct aq_error *err)
{
    int64_t stamp_us = newest_stamp(catalog);
    if (now_us < catalog->time_us - BEHIND_US)
        return refuse(now_us, "the newest edit of the catalog is of", catalog->time_us, err);
    if (stamp_us > INT64_MIN && stamp_us < now_us - AHEAD_US)
        return refuse(now_us, "the newest message or file came in at", stamp_us, err);
    return AQ_OK;
}
