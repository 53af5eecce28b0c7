/* Round marks for numbers (1, 2, 5 times a power of ten) and for times (minutes to centuries, on
 * round local times). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/plot/plot_parts.h"

static double round_step(double raw)
{
    double power = pow(10, floor(log10(raw)));
    double digit = raw / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

struct aq_plot_axis aq_plot_number_axis(double low, double high, unsigned mark_count_max)
{
    if (low > 0 && low < high / 2)
        low = 0; /* a scale from zero, unless that would flatten the curve */
    if (!(high > low)) {
        double margin = fabs(low) > 0 ? fabs(low) * 0.1 : 1;
        low -= margin;
        high += margin;
    }
    struct aq_plot_axis axis;
    axis.step = round_step(high / mark_count_max - low / mark_count_max);
    axis.low = floor(low / axis.step) * axis.step;
    axis.high = ceil(high / axis.step) * axis.step;
    return axis;
}

void aq_plot_number_text(double value, double step, char *out, size_t out_size)
{
    int digits = step >= 1 || !(step > 0) ? 0 : (int)ceil(-log10(step) - 1e-9);
    if (fabs(value) < step / 1e6)
        value = 0;
    if (fabs(value) >= 1e9 || digits > 6)
        snprintf(out, out_size, "%.4g", value);
    else
        snprintf(out, out_size, "%.*f", digits, value);
}

/* Steps of time: so many of a unit, and how a mark's label is written. */
enum unit { MINUTE, HOUR, DAY, MONTH, YEAR };
static const struct time_step {
    enum unit unit;
    int count;
    double us;
} time_steps[] = {
    {MINUTE, 1, 60e6},
    {MINUTE, 5, 300e6},
    {MINUTE, 15, 900e6},
    {MINUTE, 30, 1800e6},
    {HOUR, 1, 3600e6},
    {HOUR, 3, 10800e6},
    {HOUR, 6, 21600e6},
    {HOUR, 12, 43200e6},
    {DAY, 1, 86400e6},
    {DAY, 2, 2 * 86400e6},
    {DAY, 5, 5 * 86400e6},
    {DAY, 10, 10 * 86400e6},
    {MONTH, 1, 30.4 * 86400e6},
    {MONTH, 3, 91.3 * 86400e6},
    {MONTH, 6, 182.6 * 86400e6},
    {YEAR, 1, 365.2 * 86400e6},
    {YEAR, 2, 730.5 * 86400e6},
    {YEAR, 5, 1826.2 * 86400e6},
    {YEAR, 10, 3652.4 * 86400e6},
    {YEAR, 50, 18262 * 86400e6},
    {YEAR, 100, 36524 * 86400e6},
};

static const struct time_step *choose_step(double span, unsigned mark_count_max)
{
    size_t count = sizeof(time_steps) / sizeof(time_steps[0]);
    for (size_t i = 0; i < count; i++)
        if (span / time_steps[i].us <= mark_count_max)
            return &time_steps[i];
    return &time_steps[count - 1];
}

/* Round `civil` down to the step, in its own calendar. */
static void round_down(const struct time_step *step, struct aq_civil *civil)
{
    unsigned count = (unsigned)step->count;
    civil->us = civil->second = 0;
    civil->minute = step->unit == MINUTE ? civil->minute / count * count : 0;
    if (step->unit > MINUTE)
        civil->hour = step->unit == HOUR ? civil->hour / count * count : 0;
    if (step->unit > HOUR)
        civil->day = step->unit == DAY ? (civil->day - 1) / count * count + 1 : 1;
    if (step->unit > DAY)
        civil->month = step->unit == MONTH ? (civil->month - 1) / count * count + 1 : 1;
    if (step->unit == YEAR)
        civil->year = aq_floor_div(civil->year, step->count) * step->count;
}

static void format_mark(const struct time_step *step, const struct aq_civil *civil, char *out)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (step->unit <= HOUR && (civil->hour > 0 || civil->minute > 0))
        snprintf(out, AQ_PLOT_MARK_BYTES, "%02u:%02u", civil->hour % 24, civil->minute % 60);
    else if (step->unit <= DAY)
        snprintf(out, AQ_PLOT_MARK_BYTES, "%s %u", months[(civil->month - 1) % 12],
                 civil->day % 32);
    else if (step->unit == MONTH && civil->month > 1)
        snprintf(out, AQ_PLOT_MARK_BYTES, "%s", months[(civil->month - 1) % 12]);
    else
        snprintf(out, AQ_PLOT_MARK_BYTES, "%lld", (long long)civil->year);
}

/* The round time after the one that holds `time_us`: go a little more than a step on and round down,
 * so that months and days of daylight saving have their true length. */
static double next_mark(const struct aq_zone *zone, const struct time_step *step, double from)
{
    struct aq_civil civil;
    int64_t instant = 0;
    double ahead = step->us * (step->unit >= MONTH ? 1.1 : 1.0);
    if (step->unit == DAY)
        ahead += 7200e6;
    aq_zone_civil(zone, (int64_t)(from + ahead), &civil);
    round_down(step, &civil);
    if (aq_zone_instant(zone, &civil, &instant) < 0 || (double)instant <= from)
        return from + step->us;
    return (double)instant;
}

size_t aq_plot_time_marks(const struct aq_zone *zone, double low, double high,
                          unsigned mark_count_max, double marks[AQ_PLOT_MARKS_MAX],
                          char texts[AQ_PLOT_MARKS_MAX][AQ_PLOT_MARK_BYTES])
{
    const struct time_step *step = choose_step(high - low, mark_count_max);
    struct aq_civil civil;
    int64_t instant = 0;
    size_t count = 0;
    aq_zone_civil(zone, (int64_t)low, &civil);
    round_down(step, &civil);
    if (aq_zone_instant(zone, &civil, &instant) < 0)
        return 0;
    for (double at = (double)instant; at <= high && count < AQ_PLOT_MARKS_MAX;
         at = next_mark(zone, step, at)) {
        if (at < low)
            continue;
        aq_zone_civil(zone, (int64_t)at, &civil);
        marks[count] = at;
        format_mark(step, &civil, texts[count++]);
    }
    return count;
}
