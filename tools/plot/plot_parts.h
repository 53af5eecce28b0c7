/* Private to tools/plot: what has been gathered, and the pieces that draw it. */
#ifndef AQ_TOOLS_PLOT_PLOT_PARTS_H
#define AQ_TOOLS_PLOT_PLOT_PARTS_H

#include "tools/plot/plot.h"

struct aq_plot_point {
    double x; /* lines: us since 1970 or a number; bars: index of the label */
    double y; /* NaN: a gap */
};

struct aq_plot_series {
    char *name;
    size_t point_count;
    size_t point_capacity;
    struct aq_plot_point *points;
};

struct aq_plot {
    struct aq_plot_options options;
    bool bars;
    bool x_is_time;
    bool series_by_text; /* the third column names the series */
    const struct aq_zone *zone;
    size_t series_count;
    struct aq_plot_series series[AQ_PLOT_SERIES_MAX];
    size_t label_count; /* bars: texts of x in order of appearance */
    size_t label_capacity;
    char **labels;
    uint64_t point_count; /* gaps included */
    uint64_t drawn_count; /* points with a finite x and y */
};

/** "a", "b" ... or an escape sequence: how a series is told apart. */
const char *aq_plot_colour(const struct aq_plot *plot, size_t series);
void aq_plot_legend(const struct aq_plot *plot);

void aq_plot_draw_lines(struct aq_plot *plot);
void aq_plot_draw_bars(struct aq_plot *plot);

/** A range and the round step of its marks. */
struct aq_plot_axis {
    double low;  /* the first mark */
    double high; /* the last one */
    double step;
};
/** Widen [low, high] to round marks, at most `mark_count_max` steps. */
struct aq_plot_axis aq_plot_number_axis(double low, double high, unsigned mark_count_max);
/** Text of a mark, with as many digits as `step` needs. */
void aq_plot_number_text(double value, double step, char *out, size_t out_size);

/** Marks of time in [low, high] us: at most `mark_count_max` of them, on round local times.
 * @return How many; `marks` gets the instants, `texts` their labels (up to 16 bytes each). */
#define AQ_PLOT_MARKS_MAX 32
#define AQ_PLOT_MARK_BYTES 16
size_t aq_plot_time_marks(const struct aq_zone *zone, double low, double high,
                          unsigned mark_count_max, double marks[AQ_PLOT_MARKS_MAX],
                          char texts[AQ_PLOT_MARKS_MAX][AQ_PLOT_MARK_BYTES]);

#endif
