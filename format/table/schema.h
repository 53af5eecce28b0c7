/* A dataset's declaration: its columns and how it is partitioned and ordered. Recorded in the
 * catalog, so that a store can be read without the config that made it. */
#ifndef AQ_FORMAT_SCHEMA_H
#define AQ_FORMAT_SCHEMA_H

#include "format/table/vector.h"

#define AQ_NAME_BYTES_MAX 128
#define AQ_COLUMNS_MAX 1024
#define AQ_COLUMN_NONE UINT32_MAX
#define AQ_COLUMN_ID_MAX UINT32_C(0xffffffef) /* higher ids are those of system columns */

struct aq_column {
    const char *name;
    enum aq_type type;
    uint32_t id;   /* stable within the dataset; never reused, so that files outlive renames */
    bool required; /* a null is a reject */
    bool hidden;   /* dropped from the config: stored, not shown */
};

/** Names that a column had before, newest first. */
struct aq_former_names {
    size_t count;
    const char *const *names;
};

enum aq_keep { AQ_KEEP_LAST = 0, AQ_KEEP_FIRST = 1 };

/**
 * Everything is borrowed from the arena that the schema was decoded or built into. Indices point
 * into `columns`; AQ_COLUMN_NONE where the dataset has no such column.
 */
struct aq_schema {
    uint32_t dataset_id; /* unique in the store */
    uint32_t version;    /* of this declaration, from 1; named by frames and archives */
    const char *dataset; /* name */
    uint32_t rejects_of; /* dataset id whose rejects this dataset holds; 0: an ordinary one */
    size_t column_count;
    struct aq_column *columns;
    uint32_t key_column;
    uint32_t time_column;
    enum aq_slot slot;
    size_t series_count;
    uint32_t *series;
    size_t unique_count; /* 0: no `unique` */
    uint32_t *unique;
    enum aq_keep keep;
    uint32_t version_column;
    int64_t retention_us; /* 0: for ever */
    const struct aq_former_names
        *was; /* one a column, or NULL: none. Of a declaration that is asked for;
                                          never recorded, not copied */
};

/** Append the schema's bytes (docs/catalog-format.md, "Schema"). */
void aq_schema_encode(const struct aq_schema *schema, struct aq_bytes *out);

/** Decode and validate (names UTF-8, unique, bounded; indices in range). The schema and all it points
 * to live in `arena`. @return AQ_OK, AQ_CORRUPT, AQ_NO_MEMORY. */
enum aq_status aq_schema_decode(struct aq_slice bytes, struct aq_arena *arena,
                                struct aq_schema *schema, struct aq_error *err) AQ_RESULT;

/** Deep copy into `arena`. */
enum aq_status aq_schema_copy(const struct aq_schema *from, struct aq_arena *arena,
                              struct aq_schema *to) AQ_RESULT;

/** Index of the column named `name` (hidden ones included), or AQ_COLUMN_NONE. */
uint32_t aq_schema_find(const struct aq_schema *schema, const char *name);

/** The declaration of the dataset "NAME_rejects" that goes with every dataset: source text,
 * partition integer, offset bigint, arrival timestamptz (its time; slot day), reason text, bytes
 * bytea. dataset_id is the caller's to assign. Built into `arena`. */
enum aq_status aq_schema_rejects(const struct aq_schema *schema, uint32_t dataset_id,
                                 struct aq_arena *arena, struct aq_schema *rejects) AQ_RESULT;

/* Columns of a rejects dataset, in this order. */
enum aq_reject_column {
    AQ_REJECT_SOURCE,
    AQ_REJECT_PARTITION,
    AQ_REJECT_OFFSET,
    AQ_REJECT_ARRIVAL,
    AQ_REJECT_REASON,
    AQ_REJECT_BYTES,
    AQ_REJECT_COLUMN_COUNT,
};

/*
 * Rows on the write path and in frames carry three system columns behind the declared ones; the
 * first two identify the message, the third orders re-sent rows (storage.md, "unique").
 */
enum aq_system_column {
    AQ_SYSTEM_FEED,    /* bigint: feed id in the catalog */
    AQ_SYSTEM_ORDINAL, /* bigint: Kafka offset or record number */
    AQ_SYSTEM_STAMP,   /* timestamptz: arrival, see the glossary in docs/architecture.md */
    AQ_SYSTEM_COLUMN_COUNT,
};

/* Column ids of the system columns, in the same order. */
#define AQ_SYSTEM_ID_FEED UINT32_C(0xfffffff0)
#define AQ_SYSTEM_ID_ORDINAL UINT32_C(0xfffffff1)
#define AQ_SYSTEM_ID_STAMP UINT32_C(0xfffffff2)

/*
 * What archives store: the declared columns and, where re-sent rows are told apart by when they arrived,
 * that too, behind them: the stamp, then the ordinal.
 */
enum aq_arrival_column { AQ_ARRIVAL_STAMP, AQ_ARRIVAL_ORDINAL, AQ_ARRIVAL_COLUMN_COUNT };

/** Whether archives keep when rows arrived: the dataset has `unique` and no version column. */
bool aq_schema_keeps_arrival(const struct aq_schema *schema);
/** Number of columns that archives store. */
size_t aq_schema_stored_count(const struct aq_schema *schema);
/** Column `index` < aq_schema_stored_count of those. Those of arrival are named "(stamp)" and "(ordinal)". */
struct aq_column aq_schema_stored_column(const struct aq_schema *schema, size_t index);
/** Index of the stored column with this id, which there must be (asserted). */
uint32_t aq_schema_stored_find(const struct aq_schema *schema, uint32_t column_id);
/** Batch with columns of these types, however many. */
enum aq_status aq_columns_batch_init(const struct aq_column *columns, size_t count,
                                     struct aq_batch *batch) AQ_RESULT;
/** Batch with the columns that archives store. */
enum aq_status aq_schema_stored_batch_init(const struct aq_schema *schema,
                                           struct aq_batch *batch) AQ_RESULT;

/** Batch with the declared columns, then the system columns if `with_system`. */
enum aq_status aq_schema_batch_init(const struct aq_schema *schema, bool with_system,
                                    struct aq_batch *batch) AQ_RESULT;

/** Order of two rows by (key, series) alone: 0 where they belong to one run. */
int aq_schema_compare_series(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                             const struct aq_batch *b, size_t row_b);

/** Order by key, series, time and what else `unique` names, by aq_vector_compare_bits: 0 where they are,
 * as far as `unique` and `series` go, one row. */
int aq_schema_compare_unique(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                             const struct aq_batch *b, size_t row_b);

/** Storage order of two rows of batches of this schema: key, series, time, the rest of `unique`, the version,
 * then the other declared columns in order, by aq_vector_compare_bits. */
int aq_schema_compare_rows(const struct aq_schema *schema, const struct aq_batch *a, size_t row_a,
                           const struct aq_batch *b, size_t row_b);

#endif
