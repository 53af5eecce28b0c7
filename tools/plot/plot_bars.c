/* Bars over a text: one line a bar, in eighths of a character, with its value behind it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output/text/utf8.h"
#include "tools/plot/plot_parts.h"

#define LABEL_COLUMNS_MAX 32

struct bars {
    double low; /* <= 0 */
    double high;
    unsigned columns; /* of the longest bar */
    unsigned zero;    /* where bars begin, counted in columns */
    size_t label_columns;
    size_t name_columns; /* of a series' name; 0 with one series */
};

static size_t width_of(const char *text)
{
    struct aq_bytes scratch = {0};
    size_t width = aq_utf8_display(aq_slice_of(text), &scratch);
    aq_bytes_deinit(&scratch);
    return width;
}

static void value_text(double value, char *out, size_t out_size)
{
    snprintf(out, out_size, "%.*g", fabs(value) < 1e9 && value == floor(value) ? 12 : 5, value);
}

static struct bars measure(const struct aq_plot *plot)
{
    struct bars bars = {0};
    for (size_t i = 0; i < plot->series_count; i++) {
        const struct aq_plot_series *series = &plot->series[i];
        for (size_t j = 0; j < series->point_count; j++) {
            bars.low = fmin(bars.low, series->points[j].y);
            bars.high = fmax(bars.high, series->points[j].y);
        }
        size_t width = plot->series_count > 1 ? width_of(series->name) : 0;
        bars.name_columns = width > bars.name_columns ? width : bars.name_columns;
    }
    for (size_t i = 0; i < plot->label_count; i++) {
        size_t width = width_of(plot->labels[i]);
        bars.label_columns = width > bars.label_columns ? width : bars.label_columns;
    }
    if (bars.label_columns > LABEL_COLUMNS_MAX)
        bars.label_columns = LABEL_COLUMNS_MAX;
    if (bars.name_columns > LABEL_COLUMNS_MAX)
        bars.name_columns = LABEL_COLUMNS_MAX;
    size_t taken = bars.label_columns + bars.name_columns + 18;
    bars.columns =
        plot->options.columns > taken + 10 ? plot->options.columns - (unsigned)taken : 10;
    if (bars.high > bars.low)
        bars.zero = (unsigned)lround(-bars.low / (bars.high - bars.low) * bars.columns);
    return bars;
}

/* A label cut to its column, padded. Widths are of what is shown, not of bytes. */
static void write_label(struct aq_out *stream, const char *text, size_t columns)
{
    struct aq_slice all = aq_slice_of(text);
    size_t at = 0, used = 0;
    while (at < all.size) {
        uint32_t c;
        struct aq_bytes shown = {0};
        size_t length = aq_utf8_next(all, at, &c);
        size_t width = aq_utf8_display(aq_slice_make(all.data + at, length), &shown);
        if (used + width <= columns)
            aq_out_bytes(stream, &shown);
        aq_bytes_deinit(&shown);
        if (used + width > columns)
            break;
        used += width;
        at += length;
    }
    aq_out_printf(stream, "%*s", (int)(columns - used), "");
}

static void write_bar(const struct aq_plot *plot, const struct bars *bars, double value,
                      size_t series)
{
    static const char *const eighths[] = {"",       "\u258f", "\u258e", "\u258d",
                                          "\u258c", "\u258b", "\u258a", "\u2589"};
    struct aq_out *stream = plot->options.stream;
    double unit = bars->high > bars->low ? bars->columns / (bars->high - bars->low) : 0;
    long size = lround(fabs(value) * unit * 8);
    unsigned whole = (unsigned)(size / 8), before = bars->zero;
    if (value < 0) { /* towards the left, in whole characters */
        whole = (unsigned)((size + 4) / 8);
        before = bars->zero > whole ? bars->zero - whole : 0;
    }
    aq_out_printf(stream, " %*s%s", (int)before, "", aq_plot_colour(plot, series));
    for (unsigned i = 0; i < whole; i++)
        aq_out_text(stream, "\u2588");
    if (value >= 0)
        aq_out_text(stream, eighths[size % 8]);
    char text[32];
    value_text(value, text, sizeof(text));
    aq_out_printf(stream, "%s %s\n", plot->options.colour ? "\033[0m" : "", text);
}

static void write_line(const struct aq_plot *plot, const struct bars *bars, size_t label,
                       size_t series, bool first)
{
    struct aq_out *stream = plot->options.stream;
    for (size_t i = 0; i < plot->series[series].point_count; i++) {
        const struct aq_plot_point *point = &plot->series[series].points[i];
        if (point->x != (double)label)
            continue;
        write_label(stream, first ? plot->labels[label] : "", bars->label_columns);
        if (bars->name_columns > 0) {
            aq_out_text(stream, " ");
            write_label(stream, plot->series[series].name, bars->name_columns);
        }
        if (isnan(point->y))
            aq_out_text(stream, " -\n");
        else
            write_bar(plot, bars, point->y, series);
        first = false;
    }
}

void aq_plot_draw_bars(struct aq_plot *plot)
{
    struct bars bars = measure(plot);
    if (plot->series_by_text || plot->series_count == 1)
        aq_out_printf(plot->options.stream, "%*s %s\n",
                      (int)(bars.label_columns + bars.name_columns), "",
                      plot->options.columns_of_result[1].name);
    for (size_t label = 0; label < plot->label_count; label++)
        for (size_t i = 0; i < plot->series_count; i++)
            write_line(plot, &bars, label, i, i == 0);
}
