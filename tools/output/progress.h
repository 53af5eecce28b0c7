/* A progress line on standard error, on a terminal only:
 *
 *     import beijing.csv.xz  [=========>          ]  46%  1.24 M rows/s  3 s left */
#ifndef AQ_TOOLS_OUTPUT_PROGRESS_H
#define AQ_TOOLS_OUTPUT_PROGRESS_H

#include "format/base/bytes.h"

/** Zero-initialise, then aq_progress_begin. */
struct aq_progress {
    bool shown; /* a terminal is there, and nobody asked for quiet */
    double begin;
    double drawn_at;
};

void aq_progress_begin(struct aq_progress *progress, bool quiet);
/** Draw, at most ten times a second. `total` 0: unknown, no bar. `row_count` gives the rate. */
void aq_progress_update(struct aq_progress *progress, const char *what, uint64_t done,
                        uint64_t total, uint64_t row_count);
/** The same, with the rate of `done` in bytes. */
void aq_progress_update_bytes(struct aq_progress *progress, const char *what, uint64_t done,
                              uint64_t total);
/** Wipe the line: at the end. Messages wipe it by themselves. */
void aq_progress_clear(const struct aq_progress *progress);

/** Width of the terminal on standard error; 80 where there is none. */
unsigned aq_terminal_columns(void);

#endif
