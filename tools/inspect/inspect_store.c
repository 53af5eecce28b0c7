/* A whole store: its datasets with their rows and bytes, its files. A dataset's bytes are those of its
 * own sections and tiles, so that several datasets in one segment are told apart. */
#include "tools/inspect/inspect.h"

static const struct aq_result_column dataset_columns[] = {
    {"dataset", AQ_TYPE_TEXT},         {"rows", AQ_TYPE_BIGINT},
    {"bytes", AQ_TYPE_BIGINT},         {"bytes_per_row", AQ_TYPE_DOUBLE},
    {"archived_rows", AQ_TYPE_BIGINT}, {"oldest", AQ_TYPE_TIMESTAMPTZ},
    {"newest", AQ_TYPE_TIMESTAMPTZ},
};

static const struct aq_result_column file_columns[] = {
    {"file", AQ_TYPE_TEXT},
    {"state", AQ_TYPE_TEXT},
    {"place", AQ_TYPE_TEXT},
    {"datasets", AQ_TYPE_TEXT},
    {"rows", AQ_TYPE_BIGINT},
    {"bytes", AQ_TYPE_BIGINT},
    {"bytes_per_row", AQ_TYPE_DOUBLE},
    {"oldest", AQ_TYPE_TIMESTAMPTZ},
    {"newest", AQ_TYPE_TIMESTAMPTZ},
};

/* Sums over units or entries. */
struct extent {
    uint64_t rows;
    uint64_t archived_rows;
    uint64_t bytes;
    bool has_time;
    int64_t oldest;
    int64_t newest;
};

static void widen(struct extent *extent, bool has_time, int64_t oldest, int64_t newest)
{
    if (!has_time)
        return;
    if (!extent->has_time || oldest < extent->oldest)
        extent->oldest = oldest;
    if (!extent->has_time || newest > extent->newest)
        extent->newest = newest;
    extent->has_time = true;
}

static void add_per_row(struct aq_rows *rows, uint64_t bytes, uint64_t row_count)
{
    if (row_count > 0)
        aq_rows_real(rows, (double)bytes / (double)row_count);
    else
        aq_rows_null(rows);
}

static enum aq_status dataset_extent(struct aq_snapshot *snapshot, const struct aq_schema *schema,
                                     struct extent *extent, struct aq_error *err)
{
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    *extent = (struct extent){0};
    AQ_TRY(aq_snapshot_units(snapshot, schema->dataset_id, &units, &unit_count, err));
    for (size_t i = 0; i < unit_count; i++) {
        const struct aq_unit *unit = &units[i];
        extent->rows += unit->row_count;
        extent->archived_rows += unit->kind == AQ_FILE_ARCHIVE ? unit->row_count : 0;
        extent->bytes += unit->size_bytes;
        widen(extent, unit->has_time, unit->min_time_us, unit->max_time_us);
    }
    return AQ_OK;
}

static enum aq_status add_datasets(struct aq_rows *rows, struct aq_snapshot *snapshot,
                                   struct aq_error *err)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(snapshot);
    for (size_t i = 0; i < catalog->dataset_count; i++) {
        const struct aq_catalog_dataset *dataset = &catalog->datasets[i];
        const struct aq_schema *schema = &dataset->versions[dataset->version_count - 1];
        struct extent extent;
        AQ_TRY(dataset_extent(snapshot, schema, &extent, err));
        aq_rows_text(rows, schema->dataset);
        aq_rows_count(rows, extent.rows);
        aq_rows_count(rows, extent.bytes);
        add_per_row(rows, extent.bytes, extent.rows);
        aq_rows_count(rows, extent.archived_rows);
        aq_rows_time(rows, extent.has_time, extent.oldest);
        aq_rows_time(rows, extent.has_time, extent.newest);
    }
    return AQ_OK;
}

static void add_names(struct aq_rows *rows, const struct aq_catalog *catalog,
                      const struct aq_catalog_file *file)
{
    struct aq_bytes names = {0};
    for (size_t i = 0; i < file->entry_count; i++) {
        const struct aq_schema *schema =
            aq_catalog_schema_by_id(catalog, file->entries[i].dataset_id, 0);
        aq_bytes_chars(&names, i > 0 ? ", " : "");
        aq_bytes_chars(&names, schema != NULL ? schema->dataset : "?");
    }
    aq_rows_slice(rows, aq_bytes_view(&names));
    aq_bytes_deinit(&names);
}

static void add_file(struct aq_rows *rows, const struct aq_catalog *catalog,
                     const struct aq_catalog_file *file, uint64_t *total_bytes)
{
    char name[64];
    struct extent extent = {.bytes = file->file_bytes};
    if (file->kind == AQ_FILE_ARCHIVE || extent.bytes == 0)
        extent.bytes = file->size_bytes;
    for (size_t i = 0; i < file->entry_count; i++) {
        const struct aq_file_entry *entry = &file->entries[i];
        extent.rows += entry->row_count;
        widen(&extent, entry->has_time, entry->min_time_us, entry->max_time_us);
    }
    *total_bytes += extent.bytes;
    aq_catalog_file_name(file->kind, file->file_id, name, sizeof(name));
    aq_rows_text(rows, name);
    aq_rows_text(rows, file->held ? "held" : file->state == AQ_FILE_OPEN ? "open" : "sealed");
    aq_rows_text(rows, file->object.size == 0 ? "home" : file->evicted ? "bucket" : "both");
    add_names(rows, catalog, file);
    if (file->state == AQ_FILE_OPEN) { /* the catalog learns of these when it is sealed */
        aq_rows_null(rows);
        aq_rows_null(rows);
        aq_rows_null(rows);
    } else {
        aq_rows_count(rows, extent.rows);
        aq_rows_count(rows, extent.bytes);
        add_per_row(rows, extent.bytes, extent.rows);
    }
    aq_rows_time(rows, extent.has_time, extent.oldest);
    aq_rows_time(rows, extent.has_time, extent.newest);
}

enum aq_status aq_inspect_store(struct aq_inspect *inspect, struct aq_store *store,
                                struct aq_snapshot *snapshot, struct aq_error *err)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(snapshot);
    struct aq_rows datasets, files;
    uint64_t total_bytes = 0;
    aq_rows_init(&datasets, dataset_columns, sizeof(dataset_columns) / sizeof(dataset_columns[0]));
    aq_rows_init(&files, file_columns, sizeof(file_columns) / sizeof(file_columns[0]));
    enum aq_status status = add_datasets(&datasets, snapshot, err);
    for (size_t i = 0; i < catalog->file_count && status >= 0; i++)
        add_file(&files, catalog, &catalog->files[i], &total_bytes);
    aq_inspect_text(inspect, "store", aq_store_home(store));
    aq_inspect_count(inspect, "catalog_edit", catalog->number);
    aq_inspect_count(inspect, "file_count", catalog->file_count);
    aq_inspect_size(inspect, "bytes", total_bytes);
    if (status >= 0)
        status = aq_inspect_rows(inspect, "datasets", &datasets, err);
    if (status >= 0)
        status = aq_inspect_rows(inspect, "files", &files, err);
    aq_rows_deinit(&datasets);
    aq_rows_deinit(&files);
    return status;
}
