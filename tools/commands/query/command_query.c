/* query: SQL in, a table, CSV, JSON, Markdown or a plot out.
 *
 * Happy path: the SQL comes from the argument or a file; one snapshot is opened; the query is prepared and
 * its batches go to a writer as they come. Failures: nothing of a result file appears under its
 * name; what a pipe or a terminal has been given already is followed by a non-zero exit code. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tools/commands/commands.h"
#include "tools/commands/query/run_query.h"
#include "tools/output/text/human.h"
#include "tools/plot/plot.h"

#define SQL_BYTES_MAX ((size_t)16 << 20)
#define PLOT_ROWS 18

static enum aq_status read_all(int fd, const char *path, struct aq_bytes *sql, struct aq_error *err)
{
    for (;;) {
        uint8_t *room = aq_bytes_reserve(sql, 65536);
        if (room == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory for the SQL");
        ssize_t count = read(fd, room, 65536);
        if (count < 0 && errno == EINTR && !aq_stop)
            continue;
        if (count < 0)
            return aq_error_set_errno(err, errno, path, "cannot read the SQL");
        if (count == 0)
            return AQ_OK;
        sql->size += (size_t)count;
        if (sql->size > SQL_BYTES_MAX)
            return aq_error_set_at(err, AQ_LIMIT, path, (int64_t)sql->size, "too long for SQL");
    }
}

static enum aq_status read_sql_file(const char *path, struct aq_bytes *sql, struct aq_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path, "cannot open the SQL file");
    enum aq_status status = read_all(fd, is_stdin ? "standard input" : path, sql, err);
    if (!is_stdin)
        close(fd);
    if (status >= 0 && memchr(sql->data != NULL ? sql->data : (uint8_t *)"", 0, sql->size) != NULL)
        return aq_error_set_at(err, AQ_INVALID, path, -1, "holds a zero byte: not SQL text");
    return status;
}

static enum aq_status find_sql(const struct aq_options *options, struct aq_bytes *sql,
                               struct aq_error *err)
{
    if (options->file != NULL && options->argument_count > 0)
        return aq_error_set(err, AQ_INVALID, "give the SQL as an argument or by --file, not both");
    if (options->file == NULL && options->argument_count == 0)
        return aq_error_set(err, AQ_UNSUPPORTED, "interactive prompt: not yet; give SQL");
    if (options->file != NULL)
        AQ_TRY(read_sql_file(options->file, sql, err));
    else
        aq_bytes_chars(sql, options->arguments[0]);
    aq_bytes_u8(sql, 0);
    return aq_bytes_status(sql);
}

static enum aq_status find_form(const struct aq_options *options, enum aq_output_form *form,
                                struct aq_error *err)
{
    *form = options->json ? AQ_OUTPUT_JSON : AQ_OUTPUT_TABLE;
    if (options->format != NULL)
        return aq_output_form_parse(options->format, form);
    if (options->output == NULL || options->json || options->plot)
        return AQ_OK;
    if (aq_output_form_of_path(options->output, form) < 0)
        return aq_error_set_at(err, AQ_INVALID, options->output, -1,
                               "its extension names no format; add one of .csv .json .ndjson .md "
                               ".txt .parquet .arrow, or give --format");
    return AQ_OK;
}

bool aq_wants_colour(const struct aq_out *stream)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return aq_out_is_terminal(stream) && (no_colour == NULL || no_colour[0] == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

static enum aq_status write_rows(struct aq_query *query, enum aq_output_form form,
                                 struct aq_out *stream, double begin, struct aq_error *err)
{
    struct aq_output_options options = {
        .form = form,
        .stream = stream,
        .column_count = aq_query_column_count(query),
        .columns = aq_query_columns(query),
        .value_text = aq_value_text_query,
        .value_context = query,
        .colour = aq_wants_colour(stream),
        .with_types = true,
        .with_count = true,
    };
    struct aq_output *output = NULL;
    const struct aq_batch *batch = NULL;
    AQ_TRY(aq_output_create(&options, &output, err));
    enum aq_status status;
    while ((status = aq_query_next(query, &batch, err)) == AQ_OK)
        if ((status = aq_output_batch(output, batch, err)) < 0)
            break;
    double seconds = aq_out_is_terminal(stream) ? aq_clock_seconds() - begin : -1;
    if (status >= 0)
        status = aq_output_end(output, seconds, err);
    aq_output_destroy(output);
    return status;
}

static enum aq_status draw(struct aq_query *query, struct aq_out *stream, struct aq_error *err)
{
    struct aq_plot_options options = {
        .stream = stream,
        .columns = aq_out_columns(stream),
        .rows = PLOT_ROWS,
        .colour = aq_wants_colour(stream),
        .column_count = aq_query_column_count(query),
        .columns_of_result = aq_query_columns(query),
        .value_text = aq_value_text_query,
        .value_context = query,
    };
    struct aq_plot *plot = NULL;
    const struct aq_batch *batch = NULL;
    AQ_TRY(aq_zone_find(aq_query_timezone(query), true, &options.zone, err));
    AQ_TRY(aq_plot_create(&options, &plot, err));
    enum aq_status status;
    while ((status = aq_query_next(query, &batch, err)) == AQ_OK)
        if ((status = aq_plot_batch(plot, batch, err)) < 0)
            break;
    if (status >= 0)
        status = aq_plot_draw(plot, err);
    aq_plot_destroy(plot);
    return status;
}

static void say_counters(const struct aq_program *program, const struct aq_query *query)
{
    struct aq_query_counters count = aq_query_count(query);
    char size[AQ_HUMAN_BYTES_MAX], rows[AQ_HUMAN_BYTES_MAX];
    aq_program_say(
        program, AQ_LEVEL_DETAIL,
        "query: %llu units, %llu pruned, %llu answered by statistics; %s rows, %s read",
        (unsigned long long)count.unit_count, (unsigned long long)count.unit_pruned_count,
        (unsigned long long)count.unit_stats_count, aq_human_count(count.row_read_count, rows),
        aq_human_size(count.bytes_read, size));
}

/* What consumes the query's batches. */
struct answer {
    struct aq_program *program;
    enum aq_output_form form;
    struct aq_out *stream;
    double begin;
};

static enum aq_status answer_query(void *context, struct aq_query *query, struct aq_error *err)
{
    const struct answer *answer = context;
    enum aq_status status =
        answer->program->options.plot
            ? draw(query, answer->stream, err)
            : write_rows(query, answer->form, answer->stream, answer->begin, err);
    if (status >= 0)
        say_counters(answer->program, query);
    return status;
}

static enum aq_status run_to_stream(struct aq_program *program, const char *sql,
                                    enum aq_output_form form, struct aq_error *err)
{
    const char *path = program->options.output;
    struct answer answer = {.program = program, .form = form, .begin = aq_clock_seconds()};
    if (path == NULL) {
        answer.stream = program->out;
        return aq_run_query(program, sql, answer_query, &answer, err);
    }
    AQ_TRY(aq_out_open(path, &answer.stream, err));
    enum aq_status status = aq_run_query(program, sql, answer_query, &answer, err);
    enum aq_status closed = aq_out_close(answer.stream, status >= 0, status < 0 ? NULL : err);
    return status < 0 ? status : closed;
}

enum aq_status aq_command_query(struct aq_program *program, struct aq_error *err)
{
    enum aq_output_form form;
    struct aq_bytes sql = {0};
    enum aq_status status = find_form(&program->options, &form, err);
    if (status >= 0)
        status = find_sql(&program->options, &sql, err);
    if (status >= 0)
        status = run_to_stream(program, (const char *)sql.data, form, err);
    aq_bytes_deinit(&sql);
    return status;
}
