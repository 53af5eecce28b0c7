/* A progress line on standard error, on a terminal only:
 *
 *     import beijing.csv.xz  [=========>          ]  46%  1.24 M rows/s  3 s left */
#ifndef AQ_TOOLS_OUTPUT_PROGRESS_H
#define AQ_TOOLS_OUTPUT_PROGRESS_H

#include "format/bytes.h"

/** Zero-initialise, then aq_progress_begin. */
struct aq_progress {
    bool shown; /* a terminal is there, and nobody asked for quiet */
    bool drawn; /* a line stands there */
    double begin;
    double drawn_at;
};

void aq_progress_begin(struct aq_progress *progress, bool quiet);
/** Draw, at most ten times a second. `total` 0: unknown, no bar. `row_count` gives the rate. */
void aq_progress_update(struct aq_progress *progress, const char *what, uint64_t done,
                        uint64_t total, uint64_t row_count);
/** Wipe the line: before any message, and at the end. */
void aq_progress_clear(struct aq_progress *progress);

#endif
