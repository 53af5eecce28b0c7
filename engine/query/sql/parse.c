/* Parsing with libpg_query, and positions in messages.
 *
 * The parser and the unpacking of its tree recurse once per level of nesting, and an expression
 * a + b + c + ... nests once per operator. So the text is bounded, and the work runs on a thread whose
 * stack holds the deepest tree that such a text can make.
 *
 * Failures: a syntax error with its line and column; text too long; memory. */
#include "engine/query/sql/parse.h"

#include <assert.h>
#include <pg_query.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Some KiB a level, and two bytes of SQL make a level. Only touched pages cost memory. */
#define PARSE_STACK_BYTES ((size_t)512 << 20)

enum aq_status aq_sql_error_list(const struct aq_sql_text *sql, int location, struct aq_error *err,
                                 enum aq_status status, const char *format, va_list args)
{
    char message[AQ_ERROR_MESSAGE_MAX - 96];
    vsnprintf(message, sizeof message, format, args);
    if (location < 0)
        return aq_error_set(err, status, "%s%s", sql->label, message);
    size_t line = 1;
    size_t column = 1;
    for (int i = 0; i < location && sql->text[i] != '\0'; i++) {
        if (sql->text[i] == '\n') {
            line++;
            column = 1;
        } else if ((sql->text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return aq_error_set(err, status, "%sline %zu:%zu: %s", sql->label, line, column, message);
}

enum aq_status aq_sql_error(const struct aq_sql_text *sql, int location, struct aq_error *err,
                            enum aq_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    aq_sql_error_list(sql, location, err, status, format, args);
    va_end(args);
    return status;
}

enum aq_status aq_eval_error(struct aq_eval *eval, const struct aq_expr *expr,
                             enum aq_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    aq_sql_error_list(eval->sql, expr->location, eval->err, status, format, args);
    va_end(args);
    return status;
}

static void *arena_alloc(void *arena, size_t size)
{
    return aq_arena_alloc(arena, size);
}

static void arena_free(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

struct parse_job {
    const struct aq_sql_text *sql;
    struct aq_arena *arena;
    struct aq_error *err;
    PgQuery__ParseResult *tree;
    enum aq_status status;
};

/* Byte offset of the `characters`-th character: the parser counts characters from 1. */
static int byte_offset(const char *text, int characters)
{
    int at = 0;
    for (int left = characters - 1; left > 0 && text[at] != '\0'; left--) {
        at++;
        while ((text[at] & 0xc0) == 0x80)
            at++;
    }
    return at;
}

static void run_parse(struct parse_job *job)
{
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(job->sql->text);
    if (result.error != NULL) {
        int location =
            result.error->cursorpos > 0 ? byte_offset(job->sql->text, result.error->cursorpos) : -1;
        job->status =
            aq_sql_error(job->sql, location, job->err, AQ_INVALID, "%s", result.error->message);
    } else {
        ProtobufCAllocator allocator = {
            .alloc = arena_alloc, .free = arena_free, .allocator_data = job->arena};
        job->tree = pg_query__parse_result__unpack(&allocator, result.parse_tree.len,
                                                   (const uint8_t *)result.parse_tree.data);
        job->status =
            job->tree == NULL ? aq_error_set(job->err, AQ_NO_MEMORY, "out of memory") : AQ_OK;
    }
    pg_query_free_protobuf_parse_result(result);
}

/* One thread for the life of the process parses for all: each thread that libpg_query has served costs
 * a thread-specific key for ever, and a process has 1,024 of them. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool started;
    struct parse_job *job; /* handed in, not yet taken up or not yet done */
    bool done;
} parser = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *parser_loop(void *context)
{
    (void)context;
    pthread_mutex_lock(&parser.mutex);
    for (;;) {
        while (parser.job == NULL || parser.done)
            pthread_cond_wait(&parser.changed, &parser.mutex);
        struct parse_job *job = parser.job;
        pthread_mutex_unlock(&parser.mutex);
        run_parse(job);
        pthread_mutex_lock(&parser.mutex);
        parser.done = true;
        pthread_cond_broadcast(&parser.changed);
    }
    return NULL;
}

/* Under the mutex. */
static enum aq_status start_parser(struct aq_error *err)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (parser.started)
        return AQ_OK;
    if (pthread_attr_init(&attributes) != 0)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    int failed = pthread_attr_setstacksize(&attributes, PARSE_STACK_BYTES);
    if (failed == 0)
        failed = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (failed == 0)
        failed = pthread_create(&thread, &attributes, parser_loop, NULL);
    pthread_attr_destroy(&attributes);
    if (failed != 0)
        return aq_error_set_errno(err, failed, NULL, "cannot start a thread to parse the SQL");
    parser.started = true;
    return AQ_OK;
}

/* Hand the job to the parser's thread and wait for it; jobs of several threads take turns. */
static enum aq_status parse_elsewhere(struct parse_job *job)
{
    pthread_mutex_lock(&parser.mutex);
    enum aq_status status = start_parser(job->err);
    if (status == AQ_OK) {
        while (parser.job != NULL)
            pthread_cond_wait(&parser.changed, &parser.mutex);
        parser.job = job;
        parser.done = false;
        pthread_cond_broadcast(&parser.changed);
        while (!parser.done)
            pthread_cond_wait(&parser.changed, &parser.mutex);
        parser.job = NULL;
        pthread_cond_broadcast(&parser.changed);
        status = job->status;
    }
    pthread_mutex_unlock(&parser.mutex);
    return status;
}

enum aq_status aq_sql_parse(const struct aq_sql_text *sql, struct aq_arena *arena,
                            PgQuery__Node **statement, struct aq_error *err)
{
    if (strlen(sql->text) > AQ_SQL_BYTES_MAX)
        return aq_error_set(err, AQ_LIMIT, "%sthe SQL text is longer than %zu KiB", sql->label,
                            AQ_SQL_BYTES_MAX >> 10);
    struct parse_job job = {.sql = sql, .arena = arena, .err = err};
    AQ_TRY(parse_elsewhere(&job));
    assert(job.tree != NULL);
    if (job.tree->n_stmts == 0)
        return aq_sql_error(sql, -1, err, AQ_INVALID, "there is no statement");
    if (job.tree->n_stmts > 1)
        return aq_sql_error(sql, job.tree->stmts[1]->stmt_location, err, AQ_UNSUPPORTED,
                            "one statement at a time, please: run the second one by itself");
    *statement = job.tree->stmts[0]->stmt;
    return AQ_OK;
}
