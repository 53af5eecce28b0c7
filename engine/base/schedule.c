/* Happy path: of a daily schedule the first time of day behind the last run is looked for, day by day from
 * that of the last run, on the zone's clocks. Failures: none; times that do not fit are never due. */
#include "engine/base/schedule.h"

#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool aq_schedule_parse_daily(const char *text, struct aq_schedule *schedule)
{
    if (strlen(text) < 5 || !is_digit(text[0]) || !is_digit(text[1]) || text[2] != ':' ||
        !is_digit(text[3]) || !is_digit(text[4]))
        return false;
    unsigned hour = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    unsigned minute = (unsigned)(text[3] - '0') * 10 + (unsigned)(text[4] - '0');
    if (hour > 23 || minute > 59)
        return false;
    const char *name = text + 5 + strspn(text + 5, " ");
    const struct aq_zone *zone = aq_zone_utc();
    if (text[5] != '\0' && (*name == '\0' || aq_zone_find(name, true, &zone, NULL) != AQ_OK))
        return false;
    *schedule = (struct aq_schedule){.zone = zone, .hour = hour, .minute = minute};
    return true;
}

int64_t aq_schedule_next(const struct aq_schedule *schedule, int64_t last_run_us, int64_t now_us)
{
    int64_t last_us = last_run_us > 0 && last_run_us < now_us ? last_run_us : now_us;
    int64_t next_us = INT64_MAX;
    if (schedule->zone == NULL) {
        bool never = schedule->every_us <= 0 ||
                     __builtin_add_overflow(last_us, schedule->every_us, &next_us);
        return never ? INT64_MAX : next_us;
    }
    struct aq_civil day;
    aq_zone_civil(schedule->zone, last_us, &day);
    day.hour = schedule->hour;
    day.minute = schedule->minute;
    day.second = day.us = 0;
    /* A zone that changes its offset may show a day twice, or leave one out. */
    for (int tries = 0; tries < 4; tries++, day.day++) {
        if (aq_zone_instant(schedule->zone, &day, &next_us) == AQ_OK && next_us > last_us)
            return next_us;
    }
    return INT64_MAX;
}

void aq_schedule_format(const struct aq_schedule *schedule, char *out, size_t out_size)
{
    bool utc = schedule->zone == aq_zone_utc();
    snprintf(out, out_size, "%02u:%02u%s%s", schedule->hour, schedule->minute, utc ? "" : " ",
             utc ? "" : aq_zone_name(schedule->zone));
}
