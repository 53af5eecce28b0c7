/* A dataset's partitions: a line a key, or, of one key, a line a slot. They are what aqstore_partitions says. */
#include "engine/query/query.h"
#include "tools/inspect/inspect.h"
#include "tools/output/text/sql_text.h"

#define LIMIT_DEFAULT 20

#define PARTITION_COLUMNS                                                                         \
    {"rows", AQ_TYPE_BIGINT}, {"bytes", AQ_TYPE_BIGINT}, {"files", AQ_TYPE_BIGINT},               \
        {"tier", AQ_TYPE_TEXT}, {"oldest", AQ_TYPE_TIMESTAMPTZ}, {"newest", AQ_TYPE_TIMESTAMPTZ}, \
        {"duplicates_hidden", AQ_TYPE_BIGINT},

static const struct aq_result_column key_columns[] = {
    {"key", AQ_TYPE_TEXT}, {"slots", AQ_TYPE_BIGINT}, PARTITION_COLUMNS};
static const struct aq_result_column slot_columns[] = {{"slot", AQ_TYPE_TIMESTAMPTZ},
                                                       PARTITION_COLUMNS};
/* Of a key: its files are those of the slot that has most. */
#define KEYS                                                                                    \
    "SELECT key, count(*), sum(rows), sum(bytes), max(files), CASE WHEN min(tier) = max(tier) " \
    "THEN min(tier) ELSE 'mixed' END, min(oldest), max(newest), sum(duplicates_hidden) "
#define SLOTS "SELECT slot, rows, bytes, files, tier, oldest, newest, duplicates_hidden "

static void put_value(struct aq_rows *rows, const struct aq_vector *vector, size_t row)
{
    if (aq_vector_is_null(vector, row))
        aq_rows_null(rows);
    else if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        aq_rows_slice(rows, vector->slices[row]);
    else
        aq_rows_int(rows, vector->ints[row]);
}

/* What is shown, and how much there is. */
struct overview {
    struct aq_rows rows;
    uint64_t limit;
    uint64_t line_count;
    uint64_t slot_count;
    bool by_key; /* the second column counts slots */
};

static void take_rows(struct overview *overview, const struct aq_batch *batch)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        overview->slot_count += overview->by_key ? (uint64_t)batch->columns[1].ints[row] : 1;
        if (overview->line_count++ >= overview->limit)
            continue;
        for (size_t i = 0; i < batch->column_count; i++)
            put_value(&overview->rows, &batch->columns[i], row);
    }
}

/* All of it is counted anyway, so that the limit is set here and not by LIMIT. */
static enum aq_status ask(struct aq_snapshot *snapshot, struct aq_bytes *sql,
                          struct overview *overview, struct aq_error *err)
{
    struct aq_query *query = NULL;
    const struct aq_batch *batch = NULL;
    aq_bytes_u8(sql, 0);
    if (aq_bytes_status(sql) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for the SQL");
    AQ_TRY(aq_query_prepare(snapshot, (const char *)sql->data, NULL, &query, err));
    enum aq_status status;
    while ((status = aq_query_next(query, &batch, err)) == AQ_OK)
        take_rows(overview, batch);
    aq_query_destroy(query);
    return status < 0 ? status : AQ_OK;
}

static void put_where(const struct aq_schema *schema, const char *key, struct aq_bytes *sql)
{
    aq_bytes_chars(sql, "FROM aqstore_partitions WHERE dataset = ");
    aq_sql_text(schema->dataset, sql);
    if (key == NULL)
        return;
    aq_bytes_chars(sql, " AND key = ");
    aq_sql_text(key, sql);
}

static uint64_t limit_of(const struct aq_inspect *inspect)
{
    if (inspect->limited)
        return inspect->limit;
    return inspect->json ? UINT64_MAX : LIMIT_DEFAULT;
}

static enum aq_status report(struct aq_inspect *inspect, struct overview *overview,
                             struct aq_error *err)
{
    if (overview->by_key)
        aq_inspect_count(inspect, "key_count", overview->line_count);
    aq_inspect_count(inspect, "partition_count", overview->slot_count);
    return aq_inspect_rows(inspect, overview->by_key ? "keys" : "slots", &overview->rows, err);
}

enum aq_status aq_inspect_partitions(struct aq_inspect *inspect, struct aq_snapshot *snapshot,
                                     const struct aq_schema *schema, struct aq_error *err)
{
    bool keyed = schema->key_column != AQ_COLUMN_NONE;
    struct overview overview = {.limit = limit_of(inspect),
                                .by_key = keyed && inspect->key == NULL};
    struct aq_bytes sql = {0};
    if (!keyed && inspect->key != NULL)
        return aq_error_set(err, AQ_INVALID, "--key: the dataset %s has no key", schema->dataset);
    aq_bytes_chars(&sql, overview.by_key ? KEYS : SLOTS);
    put_where(schema, inspect->key, &sql);
    aq_bytes_chars(&sql, overview.by_key ? " GROUP BY key ORDER BY 3 DESC, 1" : " ORDER BY 1 DESC");
    if (overview.by_key)
        aq_rows_init(&overview.rows, key_columns, sizeof(key_columns) / sizeof(key_columns[0]));
    else
        aq_rows_init(&overview.rows, slot_columns, sizeof(slot_columns) / sizeof(slot_columns[0]));
    enum aq_status status = ask(snapshot, &sql, &overview, err);
    if (status == AQ_OK)
        status = report(inspect, &overview, err);
    aq_bytes_deinit(&sql);
    aq_rows_deinit(&overview.rows);
    return status;
}
