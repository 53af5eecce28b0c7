/* A query's result drawn in the terminal: the first column is x, the others y. Over time or numbers:
 * lines, in Braille dots; over a text: bars. A third column that is a text names the series a row
 * belongs to; else every further number is a series of its own. */
#ifndef AQ_TOOLS_PLOT_PLOT_H
#define AQ_TOOLS_PLOT_PLOT_H

#include "engine/base/civil/civil_time.h"
#include "tools/output/output.h"

#define AQ_PLOT_SERIES_MAX 26

struct aq_plot_options {
    struct aq_out *stream;
    unsigned columns; /* of the drawing, >= 20 */
    unsigned rows;    /* of the field that lines are drawn in, >= 4 */
    bool colour;      /* else series are told apart by letters */
    const struct aq_zone *zone;
    size_t column_count;
    const struct aq_result_column *columns_of_result;
    aq_value_text_fn value_text;
    void *value_context;
};

struct aq_plot;
/** AQ_INVALID, with what to select, when the columns are not x, y [, series | y...]. */
enum aq_status aq_plot_create(const struct aq_plot_options *options, struct aq_plot **plot,
                              struct aq_error *err) AQ_RESULT;
/** Take in rows. AQ_LIMIT beyond what can be drawn: aggregate first. */
enum aq_status aq_plot_batch(struct aq_plot *plot, const struct aq_batch *batch,
                             struct aq_error *err) AQ_RESULT;
enum aq_status aq_plot_draw(struct aq_plot *plot, struct aq_error *err) AQ_RESULT;
void aq_plot_destroy(struct aq_plot *plot);

#endif
