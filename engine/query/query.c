/* Statements: SELECT, EXPLAIN, SHOW.
 *
 * Preparing parses, binds and plans; the arena then holds the plan for as long as the query lives. The
 * first call of next starts execution. EXPLAIN and SHOW answer with rows of text made here.
 *
 * Failures carry the position in the SQL, see aq_sql_error. */
#include "engine/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/query/exec/execute.h"
#include "engine/query/explain.h"
#include "engine/query/sql/bind.h"
#include "engine/query/system_tables/system_table.h"
#include "engine/base/clock.h"

#define MEMORY_BYTES_DEFAULT ((uint64_t)1 << 30)
#define FETCH_BYTES_DEFAULT ((uint64_t)128 << 20)
#define THREADS_MAX 256

struct aq_query {
    struct aq_arena arena;
    struct aq_sql_text sql;
    const struct aq_zone *zone;
    struct aq_runtime runtime;
    uint64_t bytes_before; /* read by the snapshot before this query */
    struct aq_remote_counters remote_before;
    struct aq_plan *plan; /* NULL: SHOW */
    struct aq_exec *exec;
    bool explain;
    bool analyze;
    size_t column_count;
    const struct aq_result_column *columns;
    struct aq_batch text; /* rows of EXPLAIN and SHOW */
    bool text_given;
    bool started; /* the first rows wait for being asked for */
    enum aq_status first_status;
    const struct aq_batch *first_rows;
};

static enum aq_status no_memory(struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
}

/* Columns of type text for EXPLAIN and SHOW. */
static enum aq_status text_columns(struct aq_query *query, const char *const *names, size_t count,
                                   struct aq_error *err)
{
    struct aq_result_column *columns = aq_arena_alloc(&query->arena, count * sizeof *columns);
    enum aq_type *types = aq_arena_alloc(&query->arena, count * sizeof *types);
    if (columns == NULL || types == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct aq_result_column){.name = names[i], .type = AQ_TYPE_TEXT};
        types[i] = AQ_TYPE_TEXT;
    }
    query->columns = columns;
    query->column_count = count;
    return aq_batch_init(&query->text, count, types) == AQ_OK ? AQ_OK : no_memory(err);
}

static enum aq_status text_row(struct aq_query *query, const struct aq_slice *values, size_t count,
                               struct aq_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct aq_slice copy = values[i];
        copy.data = aq_arena_copy(&query->text.arena, copy.data, copy.size);
        if (copy.data == NULL || aq_vector_append_slice(&query->text.columns[i], copy) != AQ_OK)
            return no_memory(err);
    }
    query->text.row_count++;
    return AQ_OK;
}

static enum aq_status show_tables(struct aq_query *query, struct aq_error *err)
{
    static const char *const names[] = {"name", "kind"};
    const struct aq_catalog *catalog = aq_snapshot_catalog(query->runtime.snapshot);
    AQ_TRY(text_columns(query, names, 2, err));
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        const struct aq_schema *schema = &dataset->versions[dataset->version_count - 1];
        struct aq_slice row[] = {aq_slice_of(schema->dataset),
                                 aq_slice_of(schema->rejects_of != 0 ? "rejects" : "dataset")};
        AQ_TRY(text_row(query, row, 2, err));
    }
    for (size_t i = 0; i < catalog->view_count; i++) {
        struct aq_slice row[] = {catalog->views[i].name, aq_slice_of("view")};
        AQ_TRY(text_row(query, row, 2, err));
    }
    for (size_t i = 0; i < AQ_SYSTEM_TABLE_COUNT; i++) {
        struct aq_slice row[] = {aq_slice_of(aq_system_table_at(i)->schema.dataset),
                                 aq_slice_of("system table")};
        AQ_TRY(text_row(query, row, 2, err));
    }
    return AQ_OK;
}

static enum aq_status prepare_show(struct aq_query *query, const char *name, struct aq_error *err)
{
    if (strcmp(name, "tables") == 0)
        return show_tables(query, err);
    if (strcmp(name, "timezone") == 0) {
        static const char *const names[] = {"TimeZone"};
        struct aq_slice row = aq_slice_of(aq_zone_name(query->zone));
        AQ_TRY(text_columns(query, names, 1, err));
        return text_row(query, &row, 1, err);
    }
    return aq_sql_error(&query->sql, 0, err, AQ_UNSUPPORTED,
                        "SHOW %s is not supported; there is SHOW TABLES and SHOW TIME ZONE", name);
}

static enum aq_status prepare_select(struct aq_query *query, PgQuery__SelectStmt *select,
                                     struct aq_error *err)
{
    struct aq_binder binder = {
        .session = {.arena = &query->arena,
                    .zone = query->zone,
                    .now_us = aq_clock_wall_us(),
                    .sql = &query->sql,
                    .err = err},
        .catalog = aq_snapshot_catalog(query->runtime.snapshot),
    };
    enum aq_status status = aq_bind_select(&binder, select, &query->plan);
    if (status == AQ_NO_MEMORY)
        return no_memory(err);
    AQ_TRY(status);
    query->columns = query->plan->columns;
    query->column_count = query->plan->column_count;
    return AQ_OK;
}

static enum aq_status prepare_explain(struct aq_query *query, PgQuery__ExplainStmt *explain,
                                      struct aq_error *err)
{
    for (size_t i = 0; i < explain->n_options; i++) {
        const PgQuery__DefElem *option = explain->options[i]->def_elem;
        if (strcmp(option->defname, "analyze") != 0 || option->arg != NULL)
            return aq_sql_error(&query->sql, option->location, err, AQ_UNSUPPORTED,
                                "EXPLAIN option %s is not supported yet; write EXPLAIN or EXPLAIN "
                                "ANALYZE",
                                option->defname);
        query->analyze = true;
    }
    if (explain->query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return aq_sql_error(&query->sql, -1, err, AQ_UNSUPPORTED, "only a SELECT can be explained");
    AQ_TRY(prepare_select(query, explain->query->select_stmt, err));
    static const char *const names[] = {"QUERY PLAN"};
    query->explain = true;
    return text_columns(query, names, 1, err);
}

/* Named after its node in PostgreSQL's grammar: DeleteStmt is DELETE. */
static enum aq_status refuse_statement(struct aq_query *query, PgQuery__Node *statement,
                                       struct aq_error *err)
{
    /* Every kind of node is a message, so that any member of the union names it. */
    const ProtobufCMessage *node = (const ProtobufCMessage *)statement->delete_stmt;
    char name[64];
    size_t size = 0;
    for (const char *at = node->descriptor->short_name;
         *at != '\0' && strcmp(at, "Stmt") != 0 && size + 1 < sizeof name; at++)
        name[size++] = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    name[size] = '\0';
    return aq_sql_error(&query->sql, 0, err, AQ_UNSUPPORTED,
                        "%s is not supported: a query reads (SELECT, VALUES, EXPLAIN, SHOW "
                        "TABLES); data comes in by import and ingest",
                        name);
}

static enum aq_status prepare_statement(struct aq_query *query, PgQuery__Node *statement,
                                        struct aq_error *err)
{
    switch (statement->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return prepare_select(query, statement->select_stmt, err);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return prepare_explain(query, statement->explain_stmt, err);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        return prepare_show(query, statement->variable_show_stmt->name, err);
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return aq_sql_error(&query->sql, 0, err, AQ_UNSUPPORTED,
                            "SET is not supported yet; give the zone with --timezone");
    default:
        return refuse_statement(query, statement, err);
    }
}

static enum aq_status open_runtime(struct aq_query *query, struct aq_snapshot *snapshot,
                                   const struct aq_query_options *options, struct aq_error *err)
{
    struct aq_runtime *runtime = &query->runtime;
    runtime->snapshot = snapshot;
    runtime->memory_limit =
        options->memory_bytes == 0 ? MEMORY_BYTES_DEFAULT : options->memory_bytes;
    runtime->fetch_bytes = options->fetch_bytes == 0 ? FETCH_BYTES_DEFAULT : options->fetch_bytes;
    runtime->stop = options->stop;
    runtime->lags = options->lags;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    runtime->thread_count = options->thread_count;
    if (runtime->thread_count == 0)
        runtime->thread_count = cores < 1 ? 1 : (unsigned)cores;
    if (runtime->thread_count > THREADS_MAX)
        runtime->thread_count = THREADS_MAX;
    query->bytes_before = aq_snapshot_bytes_read(snapshot);
    query->remote_before = aq_snapshot_remote(snapshot);
    query->zone = aq_zone_utc();
    return options->timezone == NULL ? AQ_OK
                                     : aq_zone_find(options->timezone, true, &query->zone, err);
}

enum aq_status aq_query_prepare(struct aq_snapshot *snapshot, const char *sql,
                                const struct aq_query_options *options, struct aq_query **query,
                                struct aq_error *err)
{
    static const struct aq_query_options defaults = {0};
    struct aq_error ignored;
    struct aq_query *made = calloc(1, sizeof *made);
    PgQuery__Node *statement = NULL;
    if (err == NULL)
        err = &ignored;
    *err = (struct aq_error){0};
    if (made == NULL)
        return no_memory(err);
    aq_arena_init(&made->arena);
    made->sql.label = "";
    made->sql.text = aq_arena_string(&made->arena, sql);
    enum aq_status status = made->sql.text == NULL ? no_memory(err) : AQ_OK;
    if (status == AQ_OK)
        status = open_runtime(made, snapshot, options == NULL ? &defaults : options, err);
    if (status == AQ_OK)
        status = aq_sql_parse(&made->sql, &made->arena, &statement, err);
    if (status == AQ_OK)
        status = prepare_statement(made, statement, err);
    if (status != AQ_OK) {
        aq_query_destroy(made);
        return status;
    }
    *query = made;
    return AQ_OK;
}

void aq_query_destroy(struct aq_query *query)
{
    if (query == NULL)
        return;
    aq_exec_destroy(query->exec);
    aq_batch_deinit(&query->text);
    aq_arena_deinit(&query->arena);
    free(query);
}

size_t aq_query_column_count(const struct aq_query *query)
{
    return query->column_count;
}

const struct aq_result_column *aq_query_columns(const struct aq_query *query)
{
    return query->columns;
}

const char *aq_query_timezone(const struct aq_query *query)
{
    return aq_zone_name(query->zone);
}

struct aq_query_counters aq_query_count(const struct aq_query *query)
{
    const struct aq_runtime *runtime = &query->runtime;
    const struct aq_remote_counters *before = &query->remote_before;
    struct aq_remote_counters remote = aq_snapshot_remote(runtime->snapshot);
    remote.get_count -= before->get_count;
    remote.bytes_received -= before->bytes_received;
    remote.cache_hit_bytes -= before->cache_hit_bytes;
    return (struct aq_query_counters){
        .unit_count = atomic_load(&runtime->unit_count),
        .unit_pruned_count = atomic_load(&runtime->unit_pruned_count),
        .unit_stats_count = atomic_load(&runtime->unit_stats_count),
        .row_read_count = atomic_load(&runtime->row_read_count),
        .vector_skipped_count = atomic_load(&runtime->vector_skipped_count),
        .twin_count = runtime->twin_count,
        .bytes_read = aq_snapshot_bytes_read(runtime->snapshot) - query->bytes_before,
        .remote = remote,
        .remote_archive_count = runtime->remote_archive_count,
        .remote_archive_fetched_count = runtime->remote_archive_fetched_count,
        .remote_tile_count = runtime->remote_tile_count,
        .remote_tile_fetched_count = runtime->remote_tile_fetched_count,
    };
}

static enum aq_status next_rows(struct aq_query *query, const struct aq_batch **batch,
                                struct aq_error *err)
{
    if (query->exec == NULL)
        AQ_TRY(aq_exec_create(&query->runtime, query->plan, &query->exec, err));
    return aq_exec_next(query->exec, batch, err);
}

/* What the query cost at the bucket; nothing where everything was at home. */
static void analyze_remote(const struct aq_query_counters *counters, struct aq_bytes *out)
{
    const struct aq_remote_counters *remote = &counters->remote;
    char text[512];
    if (counters->remote_tile_count == 0 && remote->get_count == 0 && remote->cache_hit_bytes == 0)
        return;
    snprintf(text, sizeof text,
             "Bucket requests: %llu GET; %llu bytes received, %llu bytes from the cache\n"
             "Bucket archives: %llu of %llu fetched from; tiles: %llu of %llu fetched\n",
             (unsigned long long)remote->get_count, (unsigned long long)remote->bytes_received,
             (unsigned long long)remote->cache_hit_bytes,
             (unsigned long long)counters->remote_archive_fetched_count,
             (unsigned long long)counters->remote_archive_count,
             (unsigned long long)counters->remote_tile_fetched_count,
             (unsigned long long)counters->remote_tile_count);
    aq_bytes_append(out, text, strlen(text));
}

/* EXPLAIN ANALYZE: run it all and count. */
static enum aq_status analyze(struct aq_query *query, struct aq_bytes *out, struct aq_error *err)
{
    int64_t begin_us = aq_clock_us();
    uint64_t row_count = 0;
    const struct aq_batch *batch;
    enum aq_status status;
    while ((status = next_rows(query, &batch, err)) == AQ_OK)
        row_count += batch->row_count;
    AQ_TRY(status);
    double ms = aq_clock_seconds_since(begin_us) * 1e3;
    struct aq_query_counters counters = aq_query_count(query);
    char text[512];
    snprintf(text, sizeof text,
             "Units: %llu, of which %llu pruned, %llu answered from statistics\n"
             "Rows: %llu read, %llu returned\nBytes read: %llu\nThreads: %u\nTime: %.3f ms\n",
             (unsigned long long)counters.unit_count,
             (unsigned long long)counters.unit_pruned_count,
             (unsigned long long)counters.unit_stats_count,
             (unsigned long long)counters.row_read_count, (unsigned long long)row_count,
             (unsigned long long)counters.bytes_read, query->runtime.thread_count, ms);
    aq_bytes_append(out, text, strlen(text));
    if (counters.vector_skipped_count > 0) {
        snprintf(text, sizeof text, "Vectors skipped: %llu\n",
                 (unsigned long long)counters.vector_skipped_count);
        aq_bytes_append(out, text, strlen(text));
    }
    if (query->runtime.has_unique) {
        snprintf(text, sizeof text, "Re-sent rows hidden: %llu\n",
                 (unsigned long long)counters.twin_count);
        aq_bytes_append(out, text, strlen(text));
    }
    analyze_remote(&counters, out);
    return AQ_OK;
}

static enum aq_status explain_rows(struct aq_query *query, struct aq_error *err)
{
    struct aq_bytes out = {0};
    enum aq_status status =
        aq_explain_plan(query->plan, query->runtime.snapshot, query->zone, &out, err);
    if (status == AQ_OK && query->analyze)
        status = analyze(query, &out, err);
    const uint8_t *at = out.data;
    while (status == AQ_OK && at < out.data + out.size) {
        const uint8_t *end = memchr(at, '\n', (size_t)(out.data + out.size - at));
        struct aq_slice line = aq_slice_make(at, (size_t)(end - at));
        status = text_row(query, &line, 1, err);
        at = end + 1;
    }
    aq_bytes_deinit(&out);
    return status < 0 ? status : AQ_OK;
}

enum aq_status aq_query_start(struct aq_query *query, struct aq_error *err)
{
    enum aq_status status = aq_query_next(query, &query->first_rows, err);
    query->first_status = status;
    query->started = status >= 0;
    return status < 0 ? status : AQ_OK;
}

enum aq_status aq_query_next(struct aq_query *query, const struct aq_batch **batch,
                             struct aq_error *err)
{
    struct aq_error ignored;
    if (err == NULL)
        err = &ignored;
    if (query->started) {
        query->started = false;
        *batch = query->first_rows;
        return query->first_status;
    }
    if (query->plan != NULL && !query->explain)
        return next_rows(query, batch, err);
    if (query->text_given)
        return AQ_END;
    if (query->explain)
        AQ_TRY(explain_rows(query, err));
    query->text_given = true;
    *batch = &query->text;
    return query->text.row_count > 0 ? AQ_OK : AQ_END;
}

enum aq_status aq_query_value_text(const struct aq_query *query, const struct aq_vector *vector,
                                   size_t row, struct aq_bytes *out)
{
    if (!aq_vector_is_null(vector, row))
        aq_value_format(vector->type, aq_value_get(vector, row), query->zone, out);
    return aq_bytes_status(out);
}
