/* Parsing with libpg_query, and positions in messages.
 *
 * The parser and the unpacking of its tree recurse once per level of nesting, and an expression
 * a + b + c + ... nests once per operator. So the text is bounded, and the work runs on a thread whose
 * stack holds the deepest tree that such a text can make.
 *
 * Failures: a syntax error with its line and column; text too long; memory. */
#include "engine/query/sql/parse.h"

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

static void *parse_on_thread(void *context)
{
    struct parse_job *job = context;
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
    return NULL;
}

static enum aq_status run_with_stack(struct parse_job *job)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return aq_error_set(job->err, AQ_NO_MEMORY, "out of memory");
    int failed = pthread_attr_setstacksize(&attributes, PARSE_STACK_BYTES);
    if (failed == 0)
        failed = pthread_create(&thread, &attributes, parse_on_thread, job);
    pthread_attr_destroy(&attributes);
    if (failed != 0)
        return aq_error_set_errno(job->err, failed, NULL, "cannot start a thread to parse the SQL");
    pthread_join(thread, NULL);
    return job->status;
}

enum aq_status aq_sql_parse(const struct aq_sql_text *sql, struct aq_arena *arena,
                            PgQuery__Node **statement, struct aq_error *err)
{
    if (strlen(sql->text) > AQ_SQL_BYTES_MAX)
        return aq_error_set(err, AQ_LIMIT, "%sthe SQL text is longer than %zu KiB", sql->label,
                            AQ_SQL_BYTES_MAX >> 10);
    struct parse_job job = {.sql = sql, .arena = arena, .err = err};
    AQ_TRY(run_with_stack(&job));
    if (job.tree->n_stmts == 0)
        return aq_sql_error(sql, -1, err, AQ_INVALID, "there is no statement");
    if (job.tree->n_stmts > 1)
        return aq_sql_error(sql, job.tree->stmts[1]->stmt_location, err, AQ_UNSUPPORTED,
                            "one statement at a time, please: run the second one by itself");
    *statement = job.tree->stmts[0]->stmt;
    return AQ_OK;
}
