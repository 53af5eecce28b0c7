/* Spans of the calendar (UTC), as archives are rolled up into and imports replace. Pure functions. */
#ifndef AQ_FORMAT_CALENDAR_H
#define AQ_FORMAT_CALENDAR_H

#include "format/table/types.h"

/** From the finest to the coarsest; each is a whole number of those before it. */
enum aq_span {
    AQ_SPAN_HOUR,
    AQ_SPAN_DAY,
    AQ_SPAN_MONTH,
    AQ_SPAN_QUARTER,
    AQ_SPAN_YEAR,
    AQ_SPAN_DECADE,
};
#define AQ_SPAN_COUNT 6

/** First instant (us) of the span that `time_us` lies in; clamped to INT64_MIN. */
int64_t aq_span_start(enum aq_span span, int64_t time_us);
/** First instant after the span that begins at `start_us`; clamped to INT64_MAX. */
int64_t aq_span_end(enum aq_span span, int64_t start_us);
/** "hour 2025-03-01T17", "day 2025-03-01", "month 2025-03", "quarter 2025-Q1", "year 2025", "decade 2020s".
 * `out` >= 64 bytes. */
void aq_span_format(enum aq_span span, int64_t start_us, char *out, size_t out_size);

#endif
