/* What binding makes of a SELECT and execution runs: one plan per query level.
 *
 *     source -> where -> [group, aggregates -> having] -> outputs -> [sort] -> [limit]
 *
 * DISTINCT and UNION are plans over plans. Immutable once bound; everything lives in the query's
 * arena. */
#ifndef AQ_ENGINE_QUERY_PLAN_H
#define AQ_ENGINE_QUERY_PLAN_H

#include "engine/query/expression/expression.h"
#include "engine/query/query.h"

struct aq_aggregate_function;
struct aq_system_table;

enum aq_source_kind {
    AQ_SOURCE_ONE_ROW, /* no FROM: one row without columns */
    AQ_SOURCE_DATASET,
    AQ_SOURCE_PLANS,  /* children, one after the other */
    AQ_SOURCE_VALUES, /* constant rows */
};

#define AQ_AGGREGATE_ARGS_MAX 2

/** One aggregate of a level. Equal ones are bound once. */
struct aq_aggregate {
    const struct aq_aggregate_function *function;
    enum aq_type type; /* of the result */
    size_t arg_count;  /* 0: count(*) */
    struct aq_expr *args[AQ_AGGREGATE_ARGS_MAX];
    struct aq_expr *filter; /* NULL: every row */
    bool distinct;
    int location;
};

struct aq_sort_key {
    uint32_t output;
    bool descending;
    bool nulls_first;
};

struct aq_plan {
    enum aq_source_kind source;
    const struct aq_schema *schema; /* DATASET */
    /* DATASET: one of the store's own tables, and its units; NULL: what the files hold. */
    const struct aq_system_table *table;
    struct aq_unit *table_units;
    size_t table_unit_count;
    const char *source_name; /* for EXPLAIN */
    size_t child_count;
    struct aq_plan **children;
    size_t value_row_count; /* VALUES: value_row_count * source_column_count constants */
    struct aq_expr **values;
    size_t source_column_count; /* all that the source offers: names and types */
    struct aq_result_column *source_columns;
    uint32_t *source_ids; /* DATASET: index of the schema's column; else of the child's column */

    size_t input_count; /* columns of a chunk: indices into source_columns */
    uint32_t *inputs;
    /* first and last break ties by these inputs, in order. Those from eager_tie_count on (and inputs
     * from eager_input_count on, which only serve them) are read only once a tie has been met that
     * the others leave open: hardly ever, and never where key, series and time are unique. */
    size_t tie_count;
    uint32_t *ties;
    size_t eager_tie_count;
    size_t eager_input_count;

    struct aq_expr *where;
    bool grouped;
    size_t group_count;
    struct aq_expr **groups;
    size_t aggregate_count;
    struct aq_aggregate *aggregates;
    struct aq_expr *having; /* over groups, then aggregates */

    size_t output_count; /* visible ones first, then those that only sort */
    struct aq_expr **outputs;
    size_t column_count; /* visible */
    struct aq_result_column *columns;

    size_t sort_count;
    struct aq_sort_key *sorts;
    bool has_limit;
    uint64_t limit;
    uint64_t offset;

    size_t node_count; /* slots of this level's expressions */
    const struct aq_sql_text *sql;
};

#endif
