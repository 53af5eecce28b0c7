/* Lines over time or numbers. The field is a grid of characters of 2 x 4 Braille dots (U+2800 plus one
 * bit a dot); a line joins neighbouring points, a null leaves a gap. Without colour several
 * series are drawn with letters instead, one a character. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/plot/plot_parts.h"

struct cell {
    uint8_t dots;
    uint8_t series; /* that drew last, + 1 */
};

struct canvas {
    unsigned columns;
    unsigned rows;
    struct cell *cells;
    double x_low, x_high;
    struct aq_plot_axis y;
};

static void set_dot(struct canvas *canvas, long x, long y, size_t series)
{
    static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x < 0 || y < 0 || x >= 2 * (long)canvas->columns || y >= 4 * (long)canvas->rows)
        return;
    struct cell *cell = &canvas->cells[(size_t)(y / 4) * canvas->columns + (size_t)(x / 2)];
    cell->dots |= bits[y % 4][x % 2];
    cell->series = (uint8_t)(series + 1);
}

/* @source Bresenham, "Algorithm for computer control of a digital plotter", 1965. */
static void draw_line(struct canvas *canvas, long x0, long y0, long x1, long y1, size_t series)
{
    long dx = labs(x1 - x0), dy = -labs(y1 - y0);
    long step_x = x0 < x1 ? 1 : -1, step_y = y0 < y1 ? 1 : -1;
    long error = dx + dy;
    for (;;) {
        set_dot(canvas, x0, y0, series);
        if (x0 == x1 && y0 == y1)
            return;
        long twice = 2 * error;
        if (twice >= dy) {
            error += dy;
            x0 += step_x;
        }
        if (twice <= dx) {
            error += dx;
            y0 += step_y;
        }
    }
}

static long place_x(const struct canvas *canvas, double x)
{
    double share = canvas->x_high > canvas->x_low
                       ? (x - canvas->x_low) / (canvas->x_high - canvas->x_low)
                       : 0.5;
    return lround(share * (2.0 * canvas->columns - 1));
}

static long place_y(const struct canvas *canvas, double y)
{
    double share = (y - canvas->y.low) / (canvas->y.high - canvas->y.low);
    return lround((1 - share) * (4.0 * canvas->rows - 1));
}

static int compare_points(const void *a, const void *b)
{
    double x = ((const struct aq_plot_point *)a)->x, y = ((const struct aq_plot_point *)b)->x;
    return (x > y) - (x < y);
}

static void draw_series(struct canvas *canvas, struct aq_plot_series *series, size_t index)
{
    bool joined = false;
    long last_x = 0, last_y = 0;
    qsort(series->points, series->point_count, sizeof(*series->points), compare_points);
    for (size_t i = 0; i < series->point_count; i++) {
        const struct aq_plot_point *point = &series->points[i];
        if (isnan(point->y)) {
            joined = false;
            continue;
        }
        long x = place_x(canvas, point->x), y = place_y(canvas, point->y);
        draw_line(canvas, joined ? last_x : x, joined ? last_y : y, x, y, index);
        last_x = x;
        last_y = y;
        joined = true;
    }
}

static void find_bounds(const struct aq_plot *plot, struct canvas *canvas)
{
    double y_low = INFINITY, y_high = -INFINITY;
    canvas->x_low = INFINITY;
    canvas->x_high = -INFINITY;
    for (size_t i = 0; i < plot->series_count; i++) {
        for (size_t j = 0; j < plot->series[i].point_count; j++) {
            const struct aq_plot_point *point = &plot->series[i].points[j];
            canvas->x_low = fmin(canvas->x_low, point->x);
            canvas->x_high = fmax(canvas->x_high, point->x);
            y_low = fmin(y_low, point->y); /* ignores NaN */
            y_high = fmax(y_high, point->y);
        }
    }
    canvas->y = aq_plot_number_axis(y_low, y_high, canvas->rows / 3 > 1 ? canvas->rows / 3 : 1);
}

/* One character of the field. `coloured` is the series whose colour is on, 0: none. */
static void write_cell(const struct aq_plot *plot, const struct cell *cell, unsigned *coloured)
{
    struct aq_out *stream = plot->options.stream;
    if (plot->options.colour && cell->dots != 0 && *coloured != cell->series) {
        aq_out_text(stream, aq_plot_colour(plot, cell->series - 1u));
        *coloured = cell->series;
    }
    if (cell->dots == 0) {
        aq_out_text(stream, " ");
    } else if (plot->series_count > 1 && !plot->options.colour) {
        aq_out_printf(stream, "%c", (char)('a' + cell->series - 1));
    } else {
        uint8_t utf8[3] = {0xe2, (uint8_t)(0xa0 | cell->dots >> 6),
                           (uint8_t)(0x80 | (cell->dots & 0x3f))};
        aq_out_write(stream, utf8, sizeof(utf8));
    }
}

/* The y axis's mark number `i`; false behind the last one. */
static bool y_mark(const struct canvas *canvas, unsigned i, double *value)
{
    *value = canvas->y.low + i * canvas->y.step;
    return *value <= canvas->y.high + canvas->y.step / 2;
}

/* The mark whose line this row is, if any. */
static bool row_mark(const struct canvas *canvas, unsigned row, double *value)
{
    for (unsigned i = 0; y_mark(canvas, i, value); i++)
        if (place_y(canvas, fmin(*value, canvas->y.high)) / 4 == (long)row)
            return true;
    return false;
}

static void write_rows(const struct aq_plot *plot, const struct canvas *canvas, int label_columns)
{
    struct aq_out *stream = plot->options.stream;
    for (unsigned row = 0; row < canvas->rows; row++) {
        char label[32] = "";
        double value = 0;
        bool mark = row_mark(canvas, row, &value);
        if (mark)
            aq_plot_number_text(value, canvas->y.step, label, sizeof(label));
        aq_out_printf(stream, "%*s %s", label_columns, label, mark ? "\u2524" : "\u2502");
        unsigned used = canvas->columns;
        while (used > 0 && canvas->cells[row * canvas->columns + used - 1].dots == 0)
            used--;
        unsigned coloured = 0;
        for (unsigned column = 0; column < used; column++)
            write_cell(plot, &canvas->cells[row * canvas->columns + column], &coloured);
        if (coloured != 0)
            aq_out_text(stream, "\033[0m");
        aq_out_text(stream, "\n");
    }
}

static size_t x_marks(const struct aq_plot *plot, const struct canvas *canvas,
                      double marks[AQ_PLOT_MARKS_MAX],
                      char texts[AQ_PLOT_MARKS_MAX][AQ_PLOT_MARK_BYTES])
{
    unsigned count_max = canvas->columns / 10 > 1 ? canvas->columns / 10 : 1;
    if (count_max > AQ_PLOT_MARKS_MAX)
        count_max = AQ_PLOT_MARKS_MAX;
    if (plot->x_is_time)
        return aq_plot_time_marks(plot->zone, canvas->x_low, canvas->x_high, count_max, marks,
                                  texts);
    struct aq_plot_axis axis = aq_plot_number_axis(canvas->x_low, canvas->x_high, count_max);
    size_t count = 0;
    for (unsigned i = 0; count < AQ_PLOT_MARKS_MAX; i++) {
        double at = axis.low + i * axis.step;
        if (at > canvas->x_high)
            break;
        if (at < canvas->x_low)
            continue;
        marks[count] = at;
        aq_plot_number_text(at, axis.step, texts[count++], AQ_PLOT_MARK_BYTES);
    }
    return count;
}

/* The line below the field with its marks, and their texts below that. */
static void write_x_axis(const struct aq_plot *plot, const struct canvas *canvas, int label_columns)
{
    struct aq_out *stream = plot->options.stream;
    double marks[AQ_PLOT_MARKS_MAX];
    char texts[AQ_PLOT_MARKS_MAX][AQ_PLOT_MARK_BYTES];
    size_t count = x_marks(plot, canvas, marks, texts);
    aq_out_printf(stream, "%*s \u2514", label_columns, "");
    size_t next = 0;
    for (unsigned column = 0; column < canvas->columns; column++) {
        bool mark = next < count && place_x(canvas, marks[next]) / 2 <= (long)column;
        aq_out_text(stream, mark ? "\u252c" : "\u2500");
        next += mark;
    }
    aq_out_printf(stream, "\n%*s  ", label_columns, "");
    long at = 0;
    for (size_t i = 0; i < count; i++) {
        long column = place_x(canvas, marks[i]) / 2;
        long size = (long)strlen(texts[i]);
        if ((at > 0 && column <= at) || column + size > (long)canvas->columns + 2)
            continue; /* no room beside the one before, or behind the edge */
        aq_out_printf(stream, "%*s%s", (int)(column - at), "", texts[i]);
        at = column + size;
    }
    aq_out_text(stream, "\n");
}

static int label_columns_of(const struct canvas *canvas)
{
    int widest = 0;
    double value;
    for (unsigned i = 0; y_mark(canvas, i, &value); i++) {
        char text[32];
        aq_plot_number_text(value, canvas->y.step, text, sizeof(text));
        int size = (int)strlen(text);
        widest = size > widest ? size : widest;
    }
    return widest;
}

void aq_plot_draw_lines(struct aq_plot *plot)
{
    struct canvas canvas = {.rows = plot->options.rows};
    find_bounds(plot, &canvas);
    int label_columns = label_columns_of(&canvas);
    unsigned frame = (unsigned)label_columns + 3;
    canvas.columns = plot->options.columns > frame + 10 ? plot->options.columns - frame : 10;
    canvas.cells = calloc((size_t)canvas.columns * canvas.rows, sizeof(*canvas.cells));
    if (canvas.cells == NULL) {
        aq_out_text(plot->options.stream, "(no memory to draw)\n");
        return;
    }
    for (size_t i = 0; i < plot->series_count; i++)
        draw_series(&canvas, &plot->series[i], i);
    if (plot->series_by_text || plot->series_count == 1)
        aq_out_printf(plot->options.stream, "%*s %s\n", label_columns, "",
                      plot->options.columns_of_result[1].name);
    write_rows(plot, &canvas, label_columns);
    write_x_axis(plot, &canvas, label_columns);
    aq_plot_legend(plot);
    free(canvas.cells);
}
