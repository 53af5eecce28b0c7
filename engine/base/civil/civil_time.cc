/* Time zones over cctz; the only C++ that knows of them.
 *
 * Happy path: a zone is loaded once, by name, and kept for the process's life; asking for an offset
 * looks into a small cache of this thread that remembers between which two instants an offset holds,
 * so that runs of nearby instants cost two comparisons.
 * Failures: a name that is no zone is AQ_INVALID; names are checked before cctz makes a path of them.
 */
#include <array>
#include <cctz/time_zone.h>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>

extern "C" {
#include "engine/base/civil/civil_time.h"
}

struct aq_zone {
    std::string name;
    cctz::time_zone zone;
};

namespace
{

using time_point = cctz::time_point<cctz::seconds>;

/* cctz tabulates the rules of a zone for 400 years ahead and folds later instants into them, but
 * reports no transitions there; so intervals are believed up to this instant only (2200-01-01). */
constexpr int64_t tabulated_until_s = INT64_C(7258118400);
constexpr size_t cached_intervals = 16;
constexpr int64_t seconds_per_day = 86400;

/* An offset and the instants between which it holds: [from, until). */
struct offset_interval {
    const aq_zone *zone;
    int64_t from_s;
    int64_t until_s;
    int32_t offset_s;
};

thread_local std::array<offset_interval, cached_intervals> interval_cache;

int64_t to_s(const time_point &at)
{
    return at.time_since_epoch().count();
}

time_point from_s(int64_t at_s)
{
    return time_point(cctz::seconds(at_s));
}

offset_interval find_interval(const aq_zone *zone, int64_t at_s)
{
    const cctz::time_zone &tz = zone->zone;
    offset_interval interval = {zone, at_s, at_s + 1, 0};
    interval.offset_s = static_cast<int32_t>(tz.lookup(from_s(at_s)).offset);
    if (at_s >= tabulated_until_s)
        return interval;
    cctz::time_zone::civil_transition transition;
    interval.from_s = INT64_MIN;
    if (tz.prev_transition(from_s(at_s + 1), &transition))
        interval.from_s = to_s(tz.lookup(transition.to).trans);
    interval.until_s = tabulated_until_s;
    if (tz.next_transition(from_s(at_s), &transition))
        interval.until_s = std::min(tabulated_until_s, to_s(tz.lookup(transition.to).trans));
    /* cctz leaves out transitions that change nothing and begins its table at an arbitrary far past:
     * whatever it says, the interval must hold the instant asked for. */
    interval.from_s = std::min(interval.from_s, at_s);
    interval.until_s = std::max(interval.until_s, at_s + 1);
    return interval;
}

const offset_interval &cached_interval(const aq_zone *zone, int64_t at_s)
{
    static thread_local size_t newest = 0;
    const offset_interval &recent = interval_cache[newest];
    if (recent.zone == zone && at_s >= recent.from_s && at_s < recent.until_s)
        return recent;
    for (size_t i = 0; i < cached_intervals; i++) {
        const offset_interval &known = interval_cache[i];
        if (known.zone == zone && at_s >= known.from_s && at_s < known.until_s) {
            newest = i;
            return known;
        }
    }
    newest = (newest + 1) % cached_intervals;
    interval_cache[newest] = find_interval(zone, at_s);
    return interval_cache[newest];
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "Z", "+08", "+0800", "+08:00" (seconds east of UTC), up to 15:59 as PostgreSQL allows. */
bool parse_offset(const char *text, int32_t *offset_s)
{
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
        *offset_s = 0;
        return true;
    }
    if (*text != '+' && *text != '-')
        return false;
    int sign = *text == '-' ? -1 : 1;
    const char *at = text + 1;
    if (!is_digit(at[0]) || !is_digit(at[1]))
        return false;
    int hours = (at[0] - '0') * 10 + (at[1] - '0');
    int minutes = 0;
    at += 2;
    if (*at != '\0') {
        at += *at == ':';
        if (!is_digit(at[0]) || !is_digit(at[1]) || at[2] != '\0')
            return false;
        minutes = (at[0] - '0') * 10 + (at[1] - '0');
    }
    if (hours > 15 || minutes > 59)
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

/* Relative paths beneath the tz database only; "right/" counts leap seconds and "localtime" means
 * something else on every machine. */
bool is_zone_name(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > 64 || !((name[0] | 0x20) >= 'a' && (name[0] | 0x20) <= 'z'))
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !is_digit(c) && c != '/' && c != '_' && c != '-' && c != '+')
            return false;
    }
    return strncmp(name, "right/", 6) != 0 && strcmp(name, "localtime") != 0;
}

bool load_zone(const char *name, bool offsets, cctz::time_zone *zone)
{
    int32_t offset_s;
    if (strcasecmp(name, "UTC") == 0) {
        *zone = cctz::utc_time_zone();
        return true;
    }
    if (offsets && parse_offset(name, &offset_s)) {
        *zone = cctz::fixed_time_zone(cctz::seconds(offset_s));
        return true;
    }
    return is_zone_name(name) && cctz::load_time_zone(name, zone);
}

/* Every name that was found, for ever: bounded by the tz database and the offsets there are. */
struct zone_table {
    std::mutex lock;
    std::unordered_map<std::string, std::unique_ptr<aq_zone>> zones;
};

zone_table &table()
{
    static zone_table *instance = new zone_table;
    return *instance;
}

const aq_zone *find_zone(const char *name, bool offsets)
{
    zone_table &known = table();
    std::string key = (offsets ? "o" : "n") + std::string(name);
    std::lock_guard<std::mutex> guard(known.lock);
    auto found = known.zones.find(key);
    if (found != known.zones.end())
        return found->second.get();
    cctz::time_zone zone;
    if (!load_zone(name, offsets, &zone))
        return nullptr;
    std::unique_ptr<aq_zone> made(new aq_zone{name, zone});
    const aq_zone *result = made.get();
    known.zones.emplace(key, std::move(made));
    return result;
}

} // namespace

extern "C" {

enum aq_status aq_zone_find(const char *name, bool offsets, const struct aq_zone **zone,
                            struct aq_error *err)
{
    try {
        *zone = find_zone(name, offsets);
    } catch (const std::bad_alloc &) {
        return aq_error_set(err, AQ_NO_MEMORY, "loading time zone '%.64s': out of memory", name);
    }
    if (*zone != nullptr)
        return AQ_OK;
    const char *forms = offsets ? "a name like Asia/Shanghai or an offset like +08:00"
                                : "a name like Asia/Shanghai or UTC (offsets are not taken here: "
                                  "PostgreSQL reads their sign the other way round)";
    return aq_error_set(err, AQ_INVALID, "'%.64s' is no time zone: write %s", name, forms);
}

const struct aq_zone *aq_zone_utc(void)
{
    static const aq_zone *utc = new aq_zone{"UTC", cctz::utc_time_zone()};
    return utc;
}

const char *aq_zone_name(const struct aq_zone *zone)
{
    return zone->name.c_str();
}

int32_t aq_zone_offset(const struct aq_zone *zone, int64_t time_us)
{
    return cached_interval(zone, aq_floor_div(time_us, AQ_US_PER_SECOND)).offset_s;
}

/* Where no transition is within a day, the offset of the day decides. Else cctz knows: in a gap PostgreSQL
 * takes the offset before it, of two instants the one after the change; both are the later. */
int64_t aq_zone_local_to_utc_s(const struct aq_zone *zone, int64_t local_s)
{
    const offset_interval &interval = cached_interval(zone, local_s);
    int64_t at_s = local_s - interval.offset_s;
    if ((interval.from_s == INT64_MIN || at_s - seconds_per_day >= interval.from_s) &&
        at_s + seconds_per_day < interval.until_s)
        return at_s;
    auto lookup = zone->zone.lookup(cctz::civil_second(1970, 1, 1, 0, 0, 0) + local_s);
    return std::max(to_s(lookup.pre), to_s(lookup.post));
}

} // extern "C"
