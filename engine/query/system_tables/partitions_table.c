/* aqstore_partitions: every (dataset, key, slot) with its rows, bytes and files.
 *
 * Happy path: a dataset at a time; WHERE on dataset, key and slot spares reading. */
#include "engine/query/system_tables/partition_count.h"

#include "engine/query/exec/execute.h"

enum {
    COLUMN_DATASET,
    COLUMN_KEY,
    COLUMN_SLOT,
    COLUMN_ROWS,
    COLUMN_BYTES,
    COLUMN_FILES,
    COLUMN_TIER,
    COLUMN_OLDEST,
    COLUMN_NEWEST,
    COLUMN_DUPLICATES_HIDDEN,
    COLUMN_COUNT,
};

static struct aq_column columns[COLUMN_COUNT] = {
    {"dataset", AQ_TYPE_TEXT, 1, true, false},
    {"key", AQ_TYPE_TEXT, 2, false, false},
    {"slot", AQ_TYPE_TIMESTAMPTZ, 3, false, false},
    {"rows", AQ_TYPE_BIGINT, 4, true, false},
    {"bytes", AQ_TYPE_BIGINT, 5, true, false},
    {"files", AQ_TYPE_BIGINT, 6, true, false},
    {"tier", AQ_TYPE_TEXT, 7, true, false},
    {"oldest", AQ_TYPE_TIMESTAMPTZ, 8, false, false},
    {"newest", AQ_TYPE_TIMESTAMPTZ, 9, false, false},
    {"duplicates_hidden", AQ_TYPE_BIGINT, 10, true, false},
};

/* One unit a dataset, whose name is its key. */
static enum aq_status partition_units(const struct aq_catalog *catalog, struct aq_arena *arena,
                                      struct aq_unit **units, size_t *unit_count)
{
    *unit_count = catalog->dataset_count;
    *units = aq_arena_alloc(arena, (*unit_count + 1) * sizeof **units);
    if (*units == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < *unit_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        const struct aq_schema *schema = &dataset->versions[dataset->version_count - 1];
        struct aq_slice name = aq_slice_of(schema->dataset);
        (*units)[i] = (struct aq_unit){.kind = AQ_FILE_SEGMENT,
                                       .dataset_id = schema->dataset_id,
                                       .row_count = 1,
                                       .has_keys = true,
                                       .key_min = name,
                                       .key_max = name};
    }
    return AQ_OK;
}

/* Asks WHERE as if the rows of a unit were the table's: this table, with its own columns of key and slot as
 * key and time. */
struct filter {
    struct aq_plan plan;
    struct aq_schema schema;
    enum aq_slot slot;
};

static bool is_wanted(void *context, const struct aq_unit *bounds)
{
    const struct filter *filter = context;
    struct aq_unit probe = *bounds;
    probe.kind = AQ_FILE_SEGMENT; /* no statistics */
    probe.partitions = NULL;
    probe.min_time_us = aq_slot_start(filter->slot, bounds->min_time_us);
    probe.max_time_us = aq_slot_start(filter->slot, bounds->max_time_us);
    return aq_prune_unit(&filter->plan, &probe) != AQ_PRUNE_NONE;
}

static void put_partition(struct aq_system_rows *rows, const struct aq_schema *schema,
                          const struct aq_partition_count *partition)
{
    aq_system_put_text(rows, schema->dataset);
    if (schema->key_column != AQ_COLUMN_NONE)
        aq_system_put_slice(rows, partition->key);
    else
        aq_system_put_null(rows);
    aq_system_put_known(rows, schema->time_column != AQ_COLUMN_NONE, partition->slot_start_us);
    aq_system_put_count(rows, partition->row_count);
    aq_system_put_count(rows, partition->size_bytes);
    aq_system_put_count(rows, partition->file_count);
    aq_system_put_tier(rows, partition->at_home, partition->in_bucket);
    aq_system_put_known(rows, partition->has_time, partition->oldest_us);
    aq_system_put_known(rows, partition->has_time, partition->newest_us);
    aq_system_put_count(rows, partition->stored_count - partition->row_count);
}

static enum aq_status read_partitions(const struct aq_system_scan *scan, const struct aq_unit *unit,
                                      struct aq_system_rows *rows, struct aq_error *err)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(scan->snapshot);
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, unit->dataset_id, 0);
    struct filter filter = {.plan = *scan->plan, .schema = *scan->plan->schema};
    filter.plan.schema = &filter.schema;
    filter.schema.key_column = COLUMN_KEY;
    filter.schema.time_column = COLUMN_SLOT;
    filter.slot = schema->slot;
    struct aq_partition_counts counts = {0};
    enum aq_status status = aq_count_partitions(scan, schema, is_wanted, &filter, &counts, err);
    for (size_t i = 0; status == AQ_OK && i < counts.count; i++)
        put_partition(rows, schema, &counts.items[i]);
    aq_partition_counts_deinit(&counts);
    return status;
}

const struct aq_system_table aq_partitions_table = {
    .schema = {.dataset = "aqstore_partitions",
               .column_count = COLUMN_COUNT,
               .columns = columns,
               .key_column = COLUMN_DATASET,
               .time_column = AQ_COLUMN_NONE,
               .version_column = AQ_COLUMN_NONE},
    .units = partition_units,
    .read = read_partitions,
};
