/* Civil time in named zones: a thin C face over cctz (C++ stays in civil_time.cc). */
#ifndef AQ_ENGINE_CIVIL_TIME_H
#define AQ_ENGINE_CIVIL_TIME_H

#include "format/table/types.h"

/** A time zone; owned by a process-wide cache, never freed. */
struct aq_zone;

/** tz name ("Asia/Shanghai", "UTC") or, if `offsets`, an ISO offset ("+08:00", "+0800", "Z").
 * AQ_INVALID for anything else, also PostgreSQL's "GMT+7" whose sign would surprise.
 * @thread Any. */
enum aq_status aq_zone_find(const char *name, bool offsets, const struct aq_zone **zone,
                            struct aq_error *err) AQ_RESULT;
const struct aq_zone *aq_zone_utc(void);
const char *aq_zone_name(const struct aq_zone *zone);

/** Offset from UTC in seconds (east positive) at an instant. @thread Any. */
int32_t aq_zone_offset(const struct aq_zone *zone, int64_t time_us);

/** Civil fields at an instant. */
struct aq_civil {
    int64_t year;
    unsigned month; /* 1..12 */
    unsigned day;   /* 1..31 */
    unsigned hour;
    unsigned minute;
    unsigned second;
    unsigned us; /* of the second */
};
void aq_zone_civil(const struct aq_zone *zone, int64_t time_us, struct aq_civil *civil);
/** The instant of a civil time, by PostgreSQL's rule: a time in a gap is shifted forward, of a time that
 * occurs twice the later one counts. Fields may be out of range (day 0, hour 25) and carry over, except
 * month. AQ_LIMIT when it does not fit. @thread Any. */
enum aq_status aq_zone_instant(const struct aq_zone *zone, const struct aq_civil *civil,
                               int64_t *time_us) AQ_RESULT;

/** RFC 3339 or PostgreSQL text ("2025-02-14T13:00:00+07:00", "2025-02-14 13:00:00.5", with or without
 * zone; date alone) -> instant; `zone` counts where the text names none. AQ_REJECT when it is no
 * time. @thread Any. */
enum aq_status aq_time_parse(struct aq_slice text, const struct aq_zone *zone,
                             int64_t *time_us) AQ_RESULT;
/** By strptime-like `pattern` (docs/import.md, "Time formats"), which aq_time_pattern_check accepts.
 * Fields that the pattern lacks are those of 1970-01-01 00:00. AQ_REJECT when `text` does not match it
 * whole or is no time. @thread Any. */
enum aq_status aq_time_parse_format(struct aq_slice text, const char *pattern,
                                    const struct aq_zone *zone, int64_t *time_us) AQ_RESULT;
/** AQ_INVALID naming the conversion of `pattern` that is not known. */
enum aq_status aq_time_pattern_check(const char *pattern, struct aq_error *err) AQ_RESULT;
/** "2025-02-14 13:00:00+07" as PostgreSQL prints timestamptz; out >= 64 bytes. @return length. */
size_t aq_time_format(int64_t time_us, const struct aq_zone *zone, char *out, size_t out_size);

#endif
