/* What the parts of civil time share: civil_time.cc, civil_format.c, civil_parse.c, civil_pattern.c. */
#ifndef AQ_ENGINE_CIVIL_ZONE_H
#define AQ_ENGINE_CIVIL_ZONE_H

#include "engine/base/civil/civil_time.h"

/** Seconds since 1970 UTC of the local time that is `local_s` seconds after 1970-01-01 00:00 on the
 * zone's clocks; gaps and repeated times as aq_zone_instant says. |local_s| < 2^55. @thread Any. */
int64_t aq_zone_local_to_utc_s(const struct aq_zone *zone, int64_t local_s);

/** The instant of parsed fields: on `zone`'s clocks, or `*offset_s` seconds east of UTC unless NULL.
 * AQ_REJECT for a date that no calendar has and for what does not fit. @thread Any. */
enum aq_status aq_civil_resolve(const struct aq_civil *civil, const struct aq_zone *zone,
                                const int64_t *offset_s, int64_t *time_us) AQ_RESULT;

#endif
