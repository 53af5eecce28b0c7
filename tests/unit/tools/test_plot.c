/* Plots: their axes, what is drawn where, what is refused. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/output/text/utf8.h"
#include "tools/plot/plot_parts.h"

static char path[] = "/tmp/aqstore-test-plot.XXXXXX";

static void setup(void)
{
    aq_utf8_setup();
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void teardown(void)
{
    unlink(path);
}

TestSuite(plot, .init = setup, .fini = teardown);

static char *draw(const struct aq_batch *batch, const struct aq_result_column *columns,
                  unsigned width, unsigned rows)
{
    struct aq_plot_options options = {.columns = width,
                                      .rows = rows,
                                      .zone = aq_zone_utc(),
                                      .column_count = batch->column_count,
                                      .columns_of_result = columns,
                                      .value_text = aq_value_text_plain};
    struct aq_plot *plot = NULL;
    cr_assert_eq(aq_out_open(path, &options.stream, NULL), AQ_OK);
    cr_assert_eq(aq_plot_create(&options, &plot, NULL), AQ_OK);
    cr_assert_eq(aq_plot_batch(plot, batch, NULL), AQ_OK);
    cr_assert_eq(aq_plot_draw(plot, NULL), AQ_OK);
    aq_plot_destroy(plot);
    cr_assert_eq(aq_out_close(options.stream, true, NULL), AQ_OK);
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 16);
    cr_assert_not_null(file);
    cr_assert_lt(fread(text, 1, (1 << 16) - 1, file), (1 << 16) - 1);
    fclose(file);
    return text;
}

Test(plot, numbers_get_round_marks)
{
    struct aq_plot_axis axis = aq_plot_number_axis(3, 487, 6);
    cr_assert_eq(axis.low, 0);
    cr_assert_eq(axis.high, 500);
    cr_assert_eq(axis.step, 100);
    axis = aq_plot_number_axis(-3.2, 4.1, 5);
    cr_assert_leq(axis.low, -3.2);
    cr_assert_geq(axis.high, 4.1);
    cr_assert_eq(axis.step, 2);
    axis = aq_plot_number_axis(7, 7, 5);
    cr_assert_lt(axis.low, 7);
    cr_assert_gt(axis.high, 7);
    axis = aq_plot_number_axis(-1e308, 1e308, 5);
    cr_assert(isfinite(axis.step));
}

Test(plot, marks_have_as_many_digits_as_their_step)
{
    char text[32];
    aq_plot_number_text(0.30000000000000004, 0.1, text, sizeof(text));
    cr_assert_str_eq(text, "0.3");
    aq_plot_number_text(200, 100, text, sizeof(text));
    cr_assert_str_eq(text, "200");
    aq_plot_number_text(-1e-20, 0.5, text, sizeof(text));
    cr_assert_str_eq(text, "0.0");
}

Test(plot, times_get_round_local_marks)
{
    double marks[AQ_PLOT_MARKS_MAX];
    char texts[AQ_PLOT_MARKS_MAX][AQ_PLOT_MARK_BYTES];
    double day = 86400e6;
    double start = (double)aq_days_from_civil(2016, 11, 15) * day;
    size_t count = aq_plot_time_marks(aq_zone_utc(), start, start + 110 * day, 6, marks, texts);
    cr_assert_eq(count, 4);
    cr_assert_str_eq(texts[0], "Dec");
    cr_assert_str_eq(texts[1], "2017");
    cr_assert_str_eq(texts[3], "Mar");
    const struct aq_zone *zone = NULL;
    cr_assert_eq(aq_zone_find("Asia/Shanghai", true, &zone, NULL), AQ_OK);
    count = aq_plot_time_marks(zone, start, start + 2 * day, 6, marks, texts);
    cr_assert_gt(count, 2);
    cr_assert_str_eq(texts[0], "12:00"); /* local noon: 04:00 UTC */
    cr_assert_eq(marks[0], start + 4 * 3600e6);
    cr_assert_str_eq(texts[1], "Nov 16");
}

Test(plot, a_line_from_corner_to_corner)
{
    static const struct aq_result_column columns[] = {{"x", AQ_TYPE_INTEGER},
                                                      {"speed", AQ_TYPE_DOUBLE}};
    enum aq_type types[] = {AQ_TYPE_INTEGER, AQ_TYPE_DOUBLE};
    struct aq_batch batch;
    cr_assert_eq(aq_batch_init(&batch, 2, types), AQ_OK);
    for (int i = 0; i <= 10; i++) {
        cr_assert_eq(aq_vector_append_int(&batch.columns[0], 10 - i),
                     AQ_OK); /* sorted by the plot */
        cr_assert_eq(aq_vector_append_double(&batch.columns[1], 10.0 - i), AQ_OK);
    }
    batch.row_count = 11;
    char *text = draw(&batch, columns, 25, 5);
    cr_assert_str_eq(text,
                     "   speed\n"
                     "10 ┤                ⣀⠤⠒⠉\n"
                     "   │            ⣀⠤⠒⠉\n"
                     "   │       ⢀⣀⠤⠔⠊\n"
                     "   │   ⢀⡠⠔⠊⠁\n"
                     " 0 ┤⡠⠔⠊⠁\n"
                     "   └┬─────────┬────────┬\n"
                     "    0         5        10\n",
                     "%s", text);
    free(text);
    aq_batch_deinit(&batch);
}

Test(plot, bars_over_a_text)
{
    static const struct aq_result_column columns[] = {{"city", AQ_TYPE_TEXT},
                                                      {"hours", AQ_TYPE_BIGINT}};
    enum aq_type types[] = {AQ_TYPE_TEXT, AQ_TYPE_BIGINT};
    struct aq_batch batch;
    cr_assert_eq(aq_batch_init(&batch, 2, types), AQ_OK);
    const char *cities[] = {"北京", "Hà Nội", "none"};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(aq_vector_append_slice(&batch.columns[0], aq_slice_of(cities[i])), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch.columns[1], 80), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&batch.columns[1], 41), AQ_OK);
    cr_assert_eq(aq_vector_append_null(&batch.columns[1]), AQ_OK);
    batch.row_count = 3;
    char *text = draw(&batch, columns, 34, 5);
    cr_assert_str_eq(text,
                     "       hours\n"
                     "北京   ██████████ 80\n"
                     "Hà Nội █████▏ 41\n"
                     "none   -\n",
                     "%s", text);
    free(text);
    aq_batch_deinit(&batch);
}

Test(plot, series_by_a_third_column_are_told_apart_without_colour)
{
    static const struct aq_result_column columns[] = {
        {"x", AQ_TYPE_BIGINT}, {"y", AQ_TYPE_BIGINT}, {"who", AQ_TYPE_TEXT}};
    enum aq_type types[] = {AQ_TYPE_BIGINT, AQ_TYPE_BIGINT, AQ_TYPE_TEXT};
    struct aq_batch batch;
    cr_assert_eq(aq_batch_init(&batch, 3, types), AQ_OK);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(aq_vector_append_int(&batch.columns[0], i / 2), AQ_OK);
        cr_assert_eq(aq_vector_append_int(&batch.columns[1], i % 2 == 0 ? 1 : 9), AQ_OK);
        cr_assert_eq(
            aq_vector_append_slice(&batch.columns[2], aq_slice_of(i % 2 == 0 ? "low" : "high")),
            AQ_OK);
    }
    batch.row_count = 8;
    char *text = draw(&batch, columns, 30, 6);
    cr_assert(strstr(text, "aaaaaaaa"), "%s", text);
    cr_assert(strstr(text, "bbbbbbbb"), "%s", text);
    cr_assert(strstr(text, "  a low  b high\n"), "%s", text);
    cr_assert_null(strchr(text, '\033'));
    free(text);
    aq_batch_deinit(&batch);
}

Test(plot, what_cannot_be_drawn_is_refused)
{
    struct aq_plot *plot = NULL;
    struct aq_error err = {0};
    struct aq_result_column columns[] = {{"x", AQ_TYPE_BIGINT}, {"y", AQ_TYPE_TEXT}};
    struct aq_plot_options options = {.columns = 80,
                                      .rows = 10,
                                      .zone = aq_zone_utc(),
                                      .column_count = 2,
                                      .columns_of_result = columns};
    cr_assert_eq(aq_plot_create(&options, &plot, &err), AQ_INVALID);
    cr_assert(strstr(err.message, "\"y\" is text"), "%s", err.message);
    options.column_count = 1;
    cr_assert_eq(aq_plot_create(&options, &plot, &err), AQ_INVALID);
}

Test(plot, hostile_values_draw_nothing)
{
    static const struct aq_result_column columns[] = {{"x", AQ_TYPE_DOUBLE}, {"y", AQ_TYPE_DOUBLE}};
    enum aq_type types[] = {AQ_TYPE_DOUBLE, AQ_TYPE_DOUBLE};
    double values[] = {NAN, INFINITY, -INFINITY};
    struct aq_batch batch;
    cr_assert_eq(aq_batch_init(&batch, 2, types), AQ_OK);
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 2; c++)
            cr_assert_eq(aq_vector_append_double(&batch.columns[c], values[i]), AQ_OK);
    batch.row_count = 3;
    char *text = draw(&batch, columns, 40, 5);
    cr_assert_str_eq(text, "(nothing to plot: no row has both x and y)\n");
    free(text);
    aq_batch_deinit(&batch);
}
