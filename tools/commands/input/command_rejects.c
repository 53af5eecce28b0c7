/* rejects: the messages that could not be taken as declared. They are the rows of the dataset
 * NAME_rejects, so both words are queries of it. `list` counts them by source and reason; `show` prints
 * the messages themselves; `replay` is in command_rejects_replay.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/civil/civil_time.h"
#include "tools/commands/commands.h"
#include "tools/commands/query/run_query.h"
#include "tools/output/text/json_print.h"
#include "tools/output/forms/rows.h"
#include "tools/output/text/sql_text.h"
#include "tools/output/text/utf8.h"

static const struct aq_result_column list_columns[] = {
    {"dataset", AQ_TYPE_TEXT},   {"source", AQ_TYPE_TEXT},        {"reason", AQ_TYPE_TEXT},
    {"rejects", AQ_TYPE_BIGINT}, {"newest", AQ_TYPE_TIMESTAMPTZ},
};

/* One dataset's rejects on their way from a query to the output. */
struct rejects {
    struct aq_program *program;
    const char *dataset; /* whose rejects they are */
    struct aq_rows *list;
    uint64_t shown;
};

static enum aq_status take_list(void *context, struct aq_query *query, struct aq_error *err)
{
    struct rejects *rejects = context;
    const struct aq_batch *batch = NULL;
    enum aq_status status;
    while ((status = aq_query_next(query, &batch, err)) == AQ_OK) {
        for (size_t row = 0; row < batch->row_count; row++) {
            aq_rows_text(rejects->list, rejects->dataset);
            aq_rows_slice(rejects->list, batch->columns[0].slices[row]);
            aq_rows_slice(rejects->list, batch->columns[1].slices[row]);
            aq_rows_int(rejects->list, batch->columns[2].ints[row]);
            aq_rows_time(rejects->list, true, batch->columns[3].ints[row]);
        }
    }
    return status < 0 ? status : AQ_OK;
}

static bool is_text(struct aq_slice bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        uint32_t c;
        at += aq_utf8_next(bytes, at, &c);
        if (c == AQ_UTF8_BAD || c == 0)
            return false;
    }
    return true;
}

static void show_json(const struct rejects *rejects, const struct aq_batch *batch, size_t row)
{
    struct aq_slice bytes = batch->columns[AQ_REJECT_BYTES].slices[row];
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_text(&out, "dataset", rejects->dataset);
    aq_json_member_slice(&out, "source", batch->columns[AQ_REJECT_SOURCE].slices[row]);
    aq_json_member_int(&out, "partition", batch->columns[AQ_REJECT_PARTITION].ints[row]);
    aq_json_member_int(&out, "offset", batch->columns[AQ_REJECT_OFFSET].ints[row]);
    aq_json_member_time(&out, "arrival", batch->columns[AQ_REJECT_ARRIVAL].ints[row]);
    aq_json_member_slice(&out, "reason", batch->columns[AQ_REJECT_REASON].slices[row]);
    if (is_text(bytes)) {
        aq_json_member_slice(&out, "text", bytes);
    } else {
        aq_json_name(&out, "hex");
        aq_bytes_u8(&out, '"');
        for (size_t i = 0; i < bytes.size; i++) {
            char hex[3];
            snprintf(hex, sizeof(hex), "%02x", bytes.data[i]);
            aq_bytes_chars(&out, hex);
        }
        aq_bytes_u8(&out, '"');
    }
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(rejects->program->out, &out);
    aq_bytes_deinit(&out);
}

static void show_text(const struct rejects *rejects, const struct aq_batch *batch, size_t row)
{
    struct aq_bytes out = {0};
    char record[64];
    aq_bytes_chars(&out, rejects->dataset);
    aq_bytes_chars(&out, ": ");
    aq_utf8_display(batch->columns[AQ_REJECT_SOURCE].slices[row], &out);
    snprintf(record, sizeof(record),
             ", record %lld: ", (long long)batch->columns[AQ_REJECT_OFFSET].ints[row]);
    aq_bytes_chars(&out, record);
    aq_utf8_display(batch->columns[AQ_REJECT_REASON].slices[row], &out);
    aq_bytes_chars(&out, "\n    ");
    aq_utf8_display(batch->columns[AQ_REJECT_BYTES].slices[row], &out);
    aq_bytes_chars(&out, "\n");
    aq_out_bytes(rejects->program->out, &out);
    aq_bytes_deinit(&out);
}

static enum aq_status take_show(void *context, struct aq_query *query, struct aq_error *err)
{
    struct rejects *rejects = context;
    const struct aq_batch *batch = NULL;
    enum aq_status status;
    while ((status = aq_query_next(query, &batch, err)) == AQ_OK) {
        for (size_t row = 0; row < batch->row_count; row++) {
            if (rejects->program->options.json)
                show_json(rejects, batch, row);
            else
                show_text(rejects, batch, row);
        }
        rejects->shown += batch->row_count;
        if ((status = aq_out_status(rejects->program->out, err)) < 0)
            break;
    }
    return status < 0 ? status : AQ_OK;
}

static void put_filters(const struct aq_options *options, int64_t since_us, struct aq_bytes *sql)
{
    char since[64];
    aq_bytes_chars(sql, " WHERE true");
    if (options->source != NULL) {
        aq_bytes_chars(sql, " AND source = ");
        aq_sql_text(options->source, sql);
    }
    if (options->reason != NULL) {
        aq_bytes_chars(sql, " AND strpos(reason, ");
        aq_sql_text(options->reason, sql);
        aq_bytes_chars(sql, ") > 0");
    }
    if (since_us == INT64_MIN)
        return;
    aq_time_format(since_us, aq_zone_utc(), since, sizeof since);
    aq_bytes_chars(sql, " AND arrival >= ");
    aq_sql_text(since, sql);
}

static enum aq_status run_on(struct rejects *rejects, const char *rejects_dataset, bool show,
                             unsigned long limit, struct aq_error *err)
{
    struct aq_bytes sql = {0};
    char tail[96];
    int64_t since_us = 0;
    AQ_TRY(aq_rejects_since(rejects->program, &since_us, err));
    aq_bytes_chars(&sql, show ? "SELECT source, partition, \"offset\", arrival, reason, bytes FROM "
                              : "SELECT source, reason, count(*), max(arrival) FROM ");
    aq_sql_name(rejects_dataset, &sql);
    put_filters(&rejects->program->options, since_us, &sql);
    snprintf(tail, sizeof(tail), " ORDER BY arrival DESC, source, \"offset\" LIMIT %lu", limit);
    aq_bytes_chars(&sql, show ? tail : " GROUP BY source, reason ORDER BY 3 DESC, 1, 2 LIMIT 1000");
    aq_bytes_u8(&sql, 0);
    enum aq_status status = aq_bytes_status(&sql);
    if (status < 0)
        status = aq_error_set(err, status, "no memory for the SQL");
    else
        status = aq_run_query(rejects->program, (const char *)sql.data,
                              show ? take_show : take_list, rejects, err);
    aq_bytes_deinit(&sql);
    return status;
}

static enum aq_status run_on_all(struct rejects *rejects, const struct aq_catalog *catalog,
                                 bool show, unsigned long limit, struct aq_error *err)
{
    const char *wanted = rejects->program->options.dataset;
    bool found = wanted == NULL;
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        const struct aq_schema *schema = &dataset->versions[dataset->version_count - 1];
        const struct aq_schema *of = aq_catalog_schema_by_id(catalog, schema->rejects_of, 0);
        if (schema->rejects_of == 0 || of == NULL ||
            (wanted != NULL && strcmp(wanted, of->dataset) != 0))
            continue;
        found = true;
        rejects->dataset = of->dataset;
        if (rejects->shown < limit)
            AQ_TRY(run_on(rejects, schema->dataset, show, limit - rejects->shown, err));
    }
    if (!found)
        return aq_error_set(err, AQ_INVALID, "the store has no dataset '%s'", wanted);
    return AQ_OK;
}

enum aq_status aq_command_rejects(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const char *what = options->argument_count > 0 ? options->arguments[0] : "list";
    bool show = strcmp(what, "show") == 0;
    unsigned long limit = 0;
    struct aq_store *store = NULL;
    const struct aq_catalog *catalog = NULL;
    if (strcmp(what, "replay") == 0)
        return aq_rejects_feed_again(program, err);
    if (!show && strcmp(what, "list") != 0)
        return aq_error_set(err, AQ_INVALID, "unknown word '%s'; say list, show or replay", what);
    AQ_TRY(aq_options_limit(options, 20, &limit, err));
    AQ_TRY(aq_program_store(program, AQ_ACCESS_READ, &store, err));
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    struct aq_rows list;
    struct rejects rejects = {.program = program, .list = &list};
    aq_rows_init(&list, list_columns, sizeof(list_columns) / sizeof(list_columns[0]));
    enum aq_status status = run_on_all(&rejects, catalog, show, limit, err);
    if (status >= 0 && !show)
        status = aq_rows_report(&list, "rejects", options->json, program->out, err);
    aq_rows_deinit(&list);
    aq_catalog_release(catalog);
    return status;
}
