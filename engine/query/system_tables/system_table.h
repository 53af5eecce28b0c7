/* The store's own tables in SQL: aqstore_partitions, aqstore_files, aqstore_commits, aqstore_sources. Each is
 * made from a snapshot when a query reads it; docs/sql.md says what the columns mean. */
#ifndef AQ_ENGINE_QUERY_SYSTEM_TABLES_SYSTEM_TABLE_H
#define AQ_ENGINE_QUERY_SYSTEM_TABLES_SYSTEM_TABLE_H

#include "engine/query/plan.h"

#include <stdatomic.h>

/** What a table is made from, and for whom. */
struct aq_system_scan {
    struct aq_snapshot *snapshot;
    const struct aq_plan *plan; /* its WHERE may spare work: aq_prune_unit */
    const struct aq_query_lags *lags;
    uint64_t memory_limit; /* of the rows of one call */
    const atomic_bool *stop;
};

/** Rows in the making: values one after the other, in the columns' order. Failures are sticky. */
struct aq_system_rows {
    struct aq_batch batch;
    size_t next; /* column of the next value */
    enum aq_status status;
};
void aq_system_put_text(struct aq_system_rows *rows, const char *text);
/** Copied. */
void aq_system_put_slice(struct aq_system_rows *rows, struct aq_slice text);
void aq_system_put_int(struct aq_system_rows *rows, int64_t value);
void aq_system_put_count(struct aq_system_rows *rows, uint64_t value);
/** Null unless `known`. */
void aq_system_put_known(struct aq_system_rows *rows, bool known, int64_t value);
void aq_system_put_span(struct aq_system_rows *rows, int64_t span_us);
void aq_system_put_null(struct aq_system_rows *rows);
/** Name of the dataset, null where there is none. */
void aq_system_put_dataset(struct aq_system_rows *rows, const struct aq_catalog *catalog,
                           uint32_t dataset_id);
/** "home", "s3" or "both". */
void aq_system_put_tier(struct aq_system_rows *rows, bool at_home, bool in_bucket);
/** AQ_LIMIT beyond the scan's memory, AQ_INTERRUPTED when asked to stop: for whoever adds many rows. */
enum aq_status aq_system_check(const struct aq_system_scan *scan, uint64_t held_bytes,
                               struct aq_error *err) AQ_RESULT;

/**
 * A table. It is read in units like a dataset, each of which gives its rows at once; what is known of a unit
 * (bounds of the column that `schema` calls key, and of the one that it calls time) lets WHERE rule it out.
 */
struct aq_system_table {
    struct aq_schema schema;
    /** The units, from the catalog alone; at least one row_count each. Into `arena`. */
    enum aq_status (*units)(const struct aq_catalog *catalog, struct aq_arena *arena,
                            struct aq_unit **units, size_t *unit_count);
    enum aq_status (*read)(const struct aq_system_scan *scan, const struct aq_unit *unit,
                           struct aq_system_rows *rows, struct aq_error *err);
};

extern const struct aq_system_table aq_partitions_table;
extern const struct aq_system_table aq_files_table;
extern const struct aq_system_table aq_commits_table;
extern const struct aq_system_table aq_sources_table;

#define AQ_SYSTEM_TABLE_COUNT 4
const struct aq_system_table *aq_system_table_at(size_t index);
/** By name; NULL when there is none. */
const struct aq_system_table *aq_system_table(const char *name);

/** Units for a table that is made at once. */
enum aq_status aq_system_one_unit(const struct aq_catalog *catalog, struct aq_arena *arena,
                                  struct aq_unit **units, size_t *unit_count);

/**
 * Read the wanted columns of a unit of the plan's table: as aq_unit_read, ids are those of the schema.
 * @thread Any number of threads at once, each with its own batch.
 */
enum aq_status aq_system_read(const struct aq_system_scan *scan, const struct aq_unit *unit,
                              const uint32_t *column_ids, struct aq_batch *batch,
                              struct aq_error *err) AQ_RESULT;

#endif
