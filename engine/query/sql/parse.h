/* SQL text to PostgreSQL's parse tree. */
#ifndef AQ_ENGINE_QUERY_SQL_PARSE_H
#define AQ_ENGINE_QUERY_SQL_PARSE_H

#include <pg_query/pg_query.pb-c.h>

#include "engine/query/expression/expression.h"
#include "format/base/arena.h"

#define AQ_SQL_BYTES_MAX ((size_t)128 << 10)

/**
 * Parse one statement (a final semicolon is allowed) with libpg_query, PostgreSQL 15's grammar. The tree
 * lives in `arena`. @return AQ_OK, AQ_INVALID with PostgreSQL's message and the position, AQ_LIMIT.
 */
enum aq_status aq_sql_parse(const struct aq_sql_text *sql, struct aq_arena *arena,
                            PgQuery__Node **statement, struct aq_error *err) AQ_RESULT;

#endif
