/* The list of the store's own tables, and reading one: all columns of a unit are made, those that are wanted
 * change hands. */
#include "engine/query/system_tables/system_table.h"

#include "engine/query/exec/execute.h"

static const struct aq_system_table *const tables[AQ_SYSTEM_TABLE_COUNT] = {
    &aq_partitions_table, &aq_files_table, &aq_commits_table, &aq_sources_table};

const struct aq_system_table *aq_system_table_at(size_t index)
{
    return tables[index];
}

const struct aq_system_table *aq_system_table(const char *name)
{
    for (size_t i = 0; i < AQ_SYSTEM_TABLE_COUNT; i++)
        if (strcmp(tables[i]->schema.dataset, name) == 0)
            return tables[i];
    return NULL;
}

enum aq_status aq_system_one_unit(const struct aq_catalog *catalog, struct aq_arena *arena,
                                  struct aq_unit **units, size_t *unit_count)
{
    (void)catalog;
    *units = aq_arena_alloc(arena, sizeof **units);
    if (*units == NULL)
        return AQ_NO_MEMORY;
    **units = (struct aq_unit){.kind = AQ_FILE_SEGMENT, .row_count = 1};
    *unit_count = 1;
    return AQ_OK;
}

/* Called for each value: counts it, and the row when it is its last. */
static void take(struct aq_system_rows *rows, enum aq_status status)
{
    if (status < 0 && rows->status == AQ_OK)
        rows->status = status;
    rows->next++;
    if (rows->next < rows->batch.column_count)
        return;
    rows->next = 0;
    rows->batch.row_count++;
}

void aq_system_put_slice(struct aq_system_rows *rows, struct aq_slice text)
{
    text.data = aq_arena_copy(&rows->batch.arena, text.data, text.size);
    take(rows, text.data == NULL ? AQ_NO_MEMORY
                                 : aq_vector_append_slice(&rows->batch.columns[rows->next], text));
}

void aq_system_put_text(struct aq_system_rows *rows, const char *text)
{
    aq_system_put_slice(rows, aq_slice_of(text));
}

void aq_system_put_int(struct aq_system_rows *rows, int64_t value)
{
    take(rows, aq_vector_append_int(&rows->batch.columns[rows->next], value));
}

void aq_system_put_count(struct aq_system_rows *rows, uint64_t value)
{
    aq_system_put_int(rows, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void aq_system_put_known(struct aq_system_rows *rows, bool known, int64_t value)
{
    if (known)
        aq_system_put_int(rows, value);
    else
        aq_system_put_null(rows);
}

void aq_system_put_null(struct aq_system_rows *rows)
{
    take(rows, aq_vector_append_null(&rows->batch.columns[rows->next]));
}

void aq_system_put_span(struct aq_system_rows *rows, int64_t span_us)
{
    /* As PostgreSQL does when it subtracts times: whole days apart. */
    struct aq_interval span = {.days = (int32_t)(span_us / AQ_US_PER_DAY),
                               .us = span_us % AQ_US_PER_DAY};
    struct aq_vector *vector = &rows->batch.columns[rows->next];
    enum aq_status status = aq_vector_append_null(vector);
    if (status == AQ_OK) {
        vector->valid[vector->row_count - 1] = 1;
        vector->intervals[vector->row_count - 1] = span;
    }
    take(rows, status);
}

void aq_system_put_dataset(struct aq_system_rows *rows, const struct aq_catalog *catalog,
                           uint32_t dataset_id)
{
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, dataset_id, 0);
    if (schema != NULL)
        aq_system_put_text(rows, schema->dataset);
    else
        aq_system_put_null(rows);
}

void aq_system_put_tier(struct aq_system_rows *rows, bool at_home, bool in_bucket)
{
    aq_system_put_text(rows, !in_bucket ? "home" : at_home ? "both" : "s3");
}

enum aq_status aq_system_check(const struct aq_system_scan *scan, uint64_t held_bytes,
                               struct aq_error *err)
{
    if (scan->stop != NULL && *scan->stop)
        return aq_error_set(err, AQ_INTERRUPTED, "interrupted");
    if (held_bytes <= scan->memory_limit)
        return AQ_OK;
    return aq_error_set(err, AQ_LIMIT,
                        "%s needs more than the query's %llu MiB of memory; narrow it with WHERE, "
                        "or give the query more memory",
                        scan->plan->schema->dataset,
                        (unsigned long long)(scan->memory_limit >> 20));
}

/* Give `batch` the wanted columns of `made`, and the bytes they point to. */
static void hand_over(struct aq_batch *made, const uint32_t *column_ids, struct aq_batch *batch)
{
    for (size_t i = 0; i < batch->column_count; i++) {
        struct aq_vector *from = &made->columns[column_ids[i] - 1]; /* ids count from 1 */
        struct aq_vector own = batch->columns[i];
        batch->columns[i] = *from;
        *from = own;
    }
    batch->row_count = made->row_count;
    aq_arena_absorb(&batch->arena, &made->arena);
}

enum aq_status aq_system_read(const struct aq_system_scan *scan, const struct aq_unit *unit,
                              const uint32_t *column_ids, struct aq_batch *batch,
                              struct aq_error *err)
{
    const struct aq_system_table *table = scan->plan->table;
    struct aq_system_rows rows = {.status = AQ_OK};
    aq_batch_clear(batch);
    enum aq_status status = aq_schema_batch_init(&table->schema, false, &rows.batch);
    if (status == AQ_OK)
        status = table->read(scan, unit, &rows, err);
    if (status == AQ_OK)
        status = rows.status;
    if (status == AQ_NO_MEMORY)
        aq_error_set(err, status, "out of memory");
    if (status == AQ_OK)
        hand_over(&rows.batch, column_ids, batch);
    aq_batch_deinit(&rows.batch);
    return status;
}
