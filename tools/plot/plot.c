/* Gather a result's points by series, then draw lines or bars. */
#include "tools/plot/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output/forms/output_forms.h"
#include "tools/output/text/utf8.h"
#include "tools/plot/plot_parts.h"

#define POINTS_MAX 4000000
#define LABELS_MAX 1000

static bool is_number(enum aq_type type)
{
    return aq_output_is_number(type);
}

static bool is_time(enum aq_type type)
{
    return type == AQ_TYPE_TIMESTAMPTZ || type == AQ_TYPE_TIMESTAMP || type == AQ_TYPE_DATE;
}

static enum aq_status check_columns(const struct aq_plot *plot, struct aq_error *err)
{
    size_t count = plot->options.column_count;
    const struct aq_result_column *columns = plot->options.columns_of_result;
    if (count < 2)
        return aq_error_set(err, AQ_INVALID,
                            "--plot draws x, y [, series]: the result has one column only");
    size_t number_count = plot->series_by_text ? 2 : count;
    for (size_t i = 1; i < number_count; i++)
        if (!is_number(columns[i].type))
            return aq_error_set(err, AQ_INVALID,
                                "--plot draws numbers: column \"%s\" is %s; select x, y [, series]",
                                columns[i].name, aq_type_name(columns[i].type));
    if (plot->series_by_text && count > 3)
        return aq_error_set(err, AQ_INVALID,
                            "--plot draws x, y, series: the result has %zu columns", count);
    if (count - 1 > AQ_PLOT_SERIES_MAX)
        return aq_error_set(err, AQ_INVALID, "--plot draws at most %d series", AQ_PLOT_SERIES_MAX);
    return AQ_OK;
}

static enum aq_status no_memory(struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "no memory for the plot");
}

static enum aq_status add_series(struct aq_plot *plot, const char *name, struct aq_error *err)
{
    if (plot->series_count == AQ_PLOT_SERIES_MAX)
        return aq_error_set(err, AQ_LIMIT,
                            "more than %d series to plot: choose some of them with WHERE",
                            AQ_PLOT_SERIES_MAX);
    char *copy = strdup(name);
    if (copy == NULL)
        return no_memory(err);
    plot->series[plot->series_count++].name = copy;
    return AQ_OK;
}

enum aq_status aq_plot_create(const struct aq_plot_options *options, struct aq_plot **plot_out,
                              struct aq_error *err)
{
    struct aq_plot *plot = calloc(1, sizeof(*plot));
    if (plot == NULL)
        return no_memory(err);
    plot->options = *options;
    const struct aq_result_column *columns = options->columns_of_result;
    plot->x_is_time = is_time(columns[0].type);
    plot->bars = !plot->x_is_time && !is_number(columns[0].type);
    plot->zone = columns[0].type == AQ_TYPE_TIMESTAMPTZ ? options->zone : aq_zone_utc();
    plot->series_by_text =
        options->column_count >= 3 && !is_number(columns[2].type) && !is_time(columns[2].type);
    enum aq_status status = check_columns(plot, err);
    if (status >= 0 && !plot->series_by_text)
        for (size_t i = 1; i < options->column_count && status >= 0; i++)
            status = add_series(plot, columns[i].name, err);
    if (status < 0) {
        aq_plot_destroy(plot);
        return status;
    }
    *plot_out = plot;
    return AQ_OK;
}

void aq_plot_destroy(struct aq_plot *plot)
{
    if (plot == NULL)
        return;
    for (size_t i = 0; i < plot->series_count; i++) {
        free(plot->series[i].name);
        free(plot->series[i].points);
    }
    for (size_t i = 0; i < plot->label_count; i++)
        free(plot->labels[i]);
    free(plot->labels);
    free(plot);
}

static enum aq_status add_point(struct aq_plot *plot, size_t series_index, double x, double y,
                                struct aq_error *err)
{
    struct aq_plot_series *series = &plot->series[series_index];
    if (plot->point_count == POINTS_MAX)
        return aq_error_set(err, AQ_LIMIT,
                            "more than %d points to plot: aggregate them, e.g. by "
                            "time_bucket('1 day', ts)",
                            POINTS_MAX);
    if (series->point_count == series->point_capacity) {
        size_t capacity = series->point_capacity * 2 + 256;
        void *grown = realloc(series->points, capacity * sizeof(*series->points));
        if (grown == NULL)
            return no_memory(err);
        series->points = grown;
        series->point_capacity = capacity;
    }
    series->points[series->point_count++] = (struct aq_plot_point){.x = x, .y = y};
    plot->point_count++;
    return AQ_OK;
}

/* The text of a value as it may be shown, NUL-terminated; the caller frees it. */
static enum aq_status shown_text(const struct aq_plot *plot, const struct aq_vector *vector,
                                 size_t row, char **text, struct aq_error *err)
{
    struct aq_bytes value = {0}, shown = {0};
    enum aq_status status = AQ_OK;
    if (aq_vector_is_null(vector, row))
        aq_bytes_chars(&value, "(null)");
    else
        status = plot->options.value_text(plot->options.value_context, vector, row, &value);
    aq_utf8_display(aq_bytes_view(&value), &shown);
    aq_bytes_u8(&shown, 0);
    if (status >= 0 &&
        (value.failed || shown.failed || (*text = strdup((char *)shown.data)) == NULL))
        status = no_memory(err);
    aq_bytes_deinit(&value);
    aq_bytes_deinit(&shown);
    return status;
}

static enum aq_status find_series(struct aq_plot *plot, const struct aq_vector *vector, size_t row,
                                  size_t *index, struct aq_error *err)
{
    char *name = NULL;
    AQ_TRY(shown_text(plot, vector, row, &name, err));
    enum aq_status status = AQ_OK;
    for (*index = 0; *index < plot->series_count; ++*index)
        if (strcmp(plot->series[*index].name, name) == 0)
            break;
    if (*index == plot->series_count)
        status = add_series(plot, name, err);
    free(name);
    return status;
}

static enum aq_status find_label(struct aq_plot *plot, const struct aq_vector *vector, size_t row,
                                 double *x, struct aq_error *err)
{
    char *label = NULL;
    AQ_TRY(shown_text(plot, vector, row, &label, err));
    for (size_t i = plot->label_count; i-- > 0;) {
        if (strcmp(plot->labels[i], label) == 0) {
            free(label);
            *x = (double)i;
            return AQ_OK;
        }
    }
    *x = (double)plot->label_count;
    if (plot->label_count == LABELS_MAX) {
        free(label);
        return aq_error_set(err, AQ_LIMIT, "more than %d bars to plot: add a LIMIT", LABELS_MAX);
    }
    if (plot->label_count == plot->label_capacity) {
        size_t capacity = plot->label_capacity * 2 + 32;
        char **grown = realloc(plot->labels, capacity * sizeof(*grown));
        if (grown == NULL) {
            free(label);
            return no_memory(err);
        }
        plot->labels = grown;
        plot->label_capacity = capacity;
    }
    plot->labels[plot->label_count++] = label;
    return AQ_OK;
}

static double number_at(const struct aq_vector *vector, size_t row)
{
    if (aq_vector_is_null(vector, row))
        return NAN;
    return aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE ? vector->doubles[row]
                                                                : (double)vector->ints[row];
}

static double x_at(const struct aq_plot *plot, const struct aq_vector *vector, size_t row)
{
    double x = number_at(vector, row);
    return plot->x_is_time && vector->type == AQ_TYPE_DATE ? x * (double)AQ_US_PER_DAY : x;
}

static enum aq_status take_row(struct aq_plot *plot, const struct aq_batch *batch, size_t row,
                               struct aq_error *err)
{
    double x = 0;
    if (plot->bars)
        AQ_TRY(find_label(plot, &batch->columns[0], row, &x, err));
    else
        x = x_at(plot, &batch->columns[0], row);
    if (!isfinite(x))
        return AQ_OK;
    size_t y_count = plot->series_by_text ? 1 : plot->options.column_count - 1;
    for (size_t i = 0; i < y_count; i++) {
        double y = number_at(&batch->columns[1 + i], row);
        size_t series = i;
        if (plot->series_by_text)
            AQ_TRY(find_series(plot, &batch->columns[2], row, &series, err));
        plot->drawn_count += isfinite(y) != 0;
        AQ_TRY(add_point(plot, series, x, isfinite(y) ? y : NAN, err));
    }
    return AQ_OK;
}

enum aq_status aq_plot_batch(struct aq_plot *plot, const struct aq_batch *batch,
                             struct aq_error *err)
{
    for (size_t row = 0; row < batch->row_count; row++)
        AQ_TRY(take_row(plot, batch, row, err));
    return AQ_OK;
}

const char *aq_plot_colour(const struct aq_plot *plot, size_t series)
{
    static const char *const colours[] = {"\033[36m", "\033[33m", "\033[35m", "\033[32m",
                                          "\033[34m", "\033[31m", "\033[96m", "\033[93m",
                                          "\033[95m", "\033[92m", "\033[94m", "\033[91m"};
    if (!plot->options.colour)
        return "";
    return colours[series % (sizeof(colours) / sizeof(colours[0]))];
}

void aq_plot_legend(const struct aq_plot *plot)
{
    struct aq_out *stream = plot->options.stream;
    if (plot->series_count < 2)
        return;
    for (size_t i = 0; i < plot->series_count; i++) {
        aq_out_text(stream, "  ");
        if (plot->options.colour)
            aq_out_printf(stream, "%s\u2501\u2501\033[0m %s", aq_plot_colour(plot, i),
                          plot->series[i].name);
        else
            aq_out_printf(stream, "%c %s", (char)('a' + i), plot->series[i].name);
    }
    aq_out_text(stream, "\n");
}

enum aq_status aq_plot_draw(struct aq_plot *plot, struct aq_error *err)
{
    if (plot->drawn_count == 0)
        aq_out_text(plot->options.stream, "(nothing to plot: no row has both x and y)\n");
    else if (plot->bars)
        aq_plot_draw_bars(plot);
    else
        aq_plot_draw_lines(plot);
    aq_out_flush(plot->options.stream);
    return aq_out_status(plot->options.stream, err);
}
