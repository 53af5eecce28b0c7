/* export: a dataset's rows as CSV, NDJSON, Parquet or Arrow, into DIR/DATASET.FORMAT or to standard output. It is the query
 * SELECT * FROM dataset WHERE expr, so that what a query may see and what is exported are the same. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/commands/commands.h"
#include "tools/commands/query/run_query.h"
#include "tools/output/text/sql_text.h"
#include "tools/output/text/human.h"
#include "tools/output/output.h"

struct export
{
    enum aq_output_form form;
    struct aq_out *stream;
    uint64_t row_count;
};

static enum aq_status write_rows(void *context, struct aq_query *query, struct aq_error *err)
{
    struct export *export = context;
    struct aq_output_options options = {
        .form = export->form,
        .stream = export->stream,
        .column_count = aq_query_column_count(query),
        .columns = aq_query_columns(query),
        .value_text = aq_value_text_query,
        .value_context = query,
    };
    struct aq_output *output = NULL;
    const struct aq_batch *batch = NULL;
    AQ_TRY(aq_output_create(&options, &output, err));
    enum aq_status status;
    while ((status = aq_query_next(query, &batch, err)) == AQ_OK)
        if ((status = aq_output_batch(output, batch, err)) < 0)
            break;
    if (status >= 0)
        status = aq_output_end(output, -1, err);
    export->row_count = aq_output_row_count(output);
    aq_output_destroy(output);
    return status;
}

static enum aq_status make_sql(const struct aq_options *options, struct aq_bytes *sql)
{
    aq_bytes_chars(sql, "SELECT * FROM ");
    aq_sql_name(options->dataset, sql);
    if (options->where != NULL) {
        aq_bytes_chars(sql, " WHERE (");
        aq_bytes_chars(sql, options->where);
        aq_bytes_chars(sql, "\n)"); /* a line of its own: the expression may end in a comment */
    }
    aq_bytes_u8(sql, 0);
    return aq_bytes_status(sql);
}

static enum aq_status export_to_folder(struct aq_program *program, const char *sql,
                                       struct export *export, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const char *extension = options->format != NULL ? options->format : "csv";
    char *path = NULL;
    if (strchr(options->dataset, '/') != NULL)
        return aq_error_set(err, AQ_INVALID, "'%s' is no dataset's name", options->dataset);
    if (mkdir(options->to, 0777) != 0 && errno != EEXIST)
        return aq_error_set_errno(err, errno, options->to, "cannot make the folder");
    if (asprintf(&path, "%s/%s.%s", options->to, options->dataset, extension) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a file name");
    enum aq_status status = aq_out_open(path, &export->stream, err);
    if (status >= 0) {
        status = aq_run_query(program, sql, write_rows, export, err);
        enum aq_status closed = aq_out_close(export->stream, status >= 0, status < 0 ? NULL : err);
        status = status < 0 ? status : closed;
    }
    char count[AQ_HUMAN_BYTES_MAX];
    if (status >= 0)
        aq_out_printf(program->out, "%s: %s rows\n", path,
                      aq_human_count(export->row_count, count));
    free(path);
    return status;
}

enum aq_status aq_command_export(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    struct export export = {.form = AQ_OUTPUT_CSV, .stream = program->out};
    if (options->dataset == NULL)
        return aq_error_set(err, AQ_INVALID, "--dataset NAME is missing");
    if (options->to == NULL)
        return aq_error_set(err, AQ_INVALID, "--to DIR is missing (- for standard output)");
    if (options->format != NULL)
        AQ_TRY(aq_output_form_parse(options->format, &export.form));
    struct aq_bytes sql = {0};
    enum aq_status status = make_sql(options, &sql);
    if (status < 0)
        status = aq_error_set(err, status, "no memory for the SQL");
    else if (strcmp(options->to, "-") == 0)
        status = aq_run_query(program, (const char *)sql.data, write_rows, &export, err);
    else
        status = export_to_folder(program, (const char *)sql.data, &export, err);
    aq_bytes_deinit(&sql);
    return status;
}
