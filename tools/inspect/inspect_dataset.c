/* A dataset: its declaration, its bytes by column (from its archives), the files that hold it, its partitions. */
#include <stdlib.h>

#include "engine/store/dedupe.h"
#include "tools/inspect/inspect.h"

#define TILES_MAX 256

static const struct aq_result_column column_columns[] = {
    {"column", AQ_TYPE_TEXT},
    {"type", AQ_TYPE_TEXT},
    {"role", AQ_TYPE_TEXT},
    {"archived_bytes", AQ_TYPE_BIGINT},
    {"bytes_per_row", AQ_TYPE_DOUBLE},
    {"nulls", AQ_TYPE_BIGINT},
};

static const struct aq_result_column file_columns[] = {
    {"file", AQ_TYPE_TEXT},          {"parts", AQ_TYPE_BIGINT}, {"partitions", AQ_TYPE_BIGINT},
    {"rows", AQ_TYPE_BIGINT},        {"bytes", AQ_TYPE_BIGINT}, {"oldest", AQ_TYPE_TIMESTAMPTZ},
    {"newest", AQ_TYPE_TIMESTAMPTZ},
};

struct column_sums {
    uint64_t bytes;
    uint64_t nulls;
};

static void add_tile(const struct aq_unit *unit, const struct aq_schema *schema,
                     struct column_sums *sums)
{
    for (size_t i = 0; i < aq_schema_stored_count(schema); i++) {
        uint32_t column_id = aq_schema_stored_column(schema, i).id;
        const struct aq_column_stats *stats = aq_unit_stats(unit, column_id);
        sums[i].bytes += aq_unit_column_bytes(unit, column_id);
        sums[i].nulls += stats == NULL ? 0 : stats->null_count;
    }
}

/* Directories say it; those that are in the bucket are fetched, many at a time. */
static enum aq_status sum_archives(struct aq_snapshot *snapshot, const struct aq_unit *units,
                                   size_t unit_count, const struct aq_schema *schema,
                                   struct column_sums *sums, uint64_t *row_count,
                                   struct aq_error *err)
{
    const struct aq_unit *tiles[TILES_MAX];
    size_t count = 0;
    for (size_t u = 0; u < unit_count; u++) {
        if (units[u].kind == AQ_FILE_ARCHIVE) {
            tiles[count++] = &units[u];
            *row_count += units[u].row_count;
        }
        if (count < TILES_MAX && u + 1 < unit_count)
            continue;
        AQ_TRY(aq_snapshot_prefetch(snapshot, tiles, count, NULL, 0, err));
        for (size_t i = 0; i < count; i++)
            add_tile(tiles[i], schema, sums);
        count = 0;
    }
    return AQ_OK;
}

static const char *role_of(const struct aq_schema *schema, uint32_t index)
{
    if (index >= schema->column_count)
        return "arrival";
    if (index == schema->key_column)
        return "key";
    if (index == schema->time_column)
        return "time";
    for (size_t i = 0; i < schema->series_count; i++)
        if (schema->series[i] == index)
            return "series";
    if (schema->columns[index].hidden)
        return "hidden";
    return schema->columns[index].required ? "required" : "";
}

static void add_columns(struct aq_rows *rows, const struct aq_schema *schema,
                        const struct column_sums *sums, uint64_t row_count)
{
    for (uint32_t i = 0; i < aq_schema_stored_count(schema); i++) {
        struct aq_column column = aq_schema_stored_column(schema, i);
        aq_rows_text(rows, column.name);
        aq_rows_text(rows, aq_type_name(column.type));
        aq_rows_text(rows, role_of(schema, i));
        aq_rows_count(rows, sums[i].bytes);
        if (row_count > 0)
            aq_rows_real(rows, (double)sums[i].bytes / (double)row_count);
        else
            aq_rows_null(rows);
        aq_rows_count(rows, sums[i].nulls);
    }
}

/* Units come file by file: one line for each file. */
static void add_files(struct aq_rows *rows, const struct aq_unit *units, size_t unit_count)
{
    for (size_t first = 0, end; first < unit_count; first = end) {
        uint64_t row_count = 0, bytes = 0, partition_count = 0;
        int64_t oldest = INT64_MAX, newest = INT64_MIN;
        for (end = first; end < unit_count && units[end].file_id == units[first].file_id; end++) {
            const struct aq_unit *unit = &units[end];
            row_count += unit->row_count;
            bytes += unit->size_bytes;
            partition_count += unit->partition_count;
            if (unit->has_time && unit->min_time_us < oldest)
                oldest = unit->min_time_us;
            if (unit->has_time && unit->max_time_us > newest)
                newest = unit->max_time_us;
        }
        char name[64];
        aq_catalog_file_name(units[first].kind, units[first].file_id, name, sizeof(name));
        aq_rows_text(rows, name);
        aq_rows_count(rows, end - first);
        if (units[first].kind == AQ_FILE_SEGMENT)
            aq_rows_count(rows, partition_count);
        else
            aq_rows_null(rows);
        aq_rows_count(rows, row_count);
        aq_rows_count(rows, bytes);
        aq_rows_time(rows, oldest <= newest, oldest);
        aq_rows_time(rows, oldest <= newest, newest);
    }
}

/* From here on rows are those that a query sees; columns are counted as they are stored. */
static enum aq_status resolve(struct aq_snapshot *snapshot, const struct aq_schema *schema,
                              const struct aq_unit *units, size_t unit_count, uint64_t *twin_count,
                              struct aq_error *err)
{
    const struct aq_unit **all = malloc((unit_count + 1) * sizeof(struct aq_unit *));
    if (all == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to inspect the dataset");
    for (size_t i = 0; i < unit_count; i++)
        all[i] = &units[i];
    enum aq_status status =
        aq_snapshot_resolve(snapshot, schema->dataset_id, all, unit_count, NULL, twin_count, err);
    free(all);
    return status;
}

enum aq_status aq_inspect_dataset(struct aq_inspect *inspect, struct aq_snapshot *snapshot,
                                  const struct aq_schema *schema, struct aq_error *err)
{
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    uint64_t archived_rows = 0, row_count = 0, twin_count = 0;
    struct aq_rows columns, files;
    AQ_TRY(aq_snapshot_partitions(snapshot, schema->dataset_id, err));
    AQ_TRY(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, err));
    struct column_sums *sums = calloc(aq_schema_stored_count(schema), sizeof(*sums));
    if (sums == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to inspect the dataset");
    aq_rows_init(&columns, column_columns, sizeof(column_columns) / sizeof(column_columns[0]));
    aq_rows_init(&files, file_columns, sizeof(file_columns) / sizeof(file_columns[0]));
    enum aq_status status =
        sum_archives(snapshot, units, unit_count, schema, sums, &archived_rows, err);
    if (status >= 0)
        status = resolve(snapshot, schema, units, unit_count, &twin_count, err);
    add_columns(&columns, schema, sums, archived_rows);
    add_files(&files, units, unit_count);
    for (size_t i = 0; i < unit_count; i++)
        row_count += units[i].row_count;
    aq_inspect_text(inspect, "dataset", schema->dataset);
    aq_inspect_text(inspect, "slot", aq_slot_name(schema->slot));
    aq_inspect_count(inspect, "version", schema->version);
    aq_inspect_count(inspect, "rows", row_count);
    if (schema->unique_count > 0)
        aq_inspect_count(inspect, "duplicates_hidden", twin_count);
    aq_inspect_count(inspect, "archived_rows", archived_rows);
    if (status >= 0)
        status = aq_inspect_rows(inspect, "columns", &columns, err);
    if (status >= 0)
        status = aq_inspect_rows(inspect, "files", &files, err);
    if (status >= 0)
        status = aq_inspect_partitions(inspect, snapshot, schema, err);
    aq_rows_deinit(&columns);
    aq_rows_deinit(&files);
    free(sums);
    return status;
}
