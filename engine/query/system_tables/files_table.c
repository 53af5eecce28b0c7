/* aqstore_files: what of each file belongs to which dataset.
 *
 * Happy path: the units of every dataset, added up file by file, as `inspect` does; so the rows are those that
 * count, before `unique` hides any. A file that holds nothing of any dataset has a row without one. */
#include <stdlib.h>

#include "engine/query/system_tables/system_table.h"
#include "engine/store/dedupe.h"

enum {
    COLUMN_ID,
    COLUMN_NAME,
    COLUMN_DATASET,
    COLUMN_KIND,
    COLUMN_STATE,
    COLUMN_ROWS,
    COLUMN_BYTES,
    COLUMN_OLDEST,
    COLUMN_NEWEST,
    COLUMN_TIER,
    COLUMN_OBJECT,
    COLUMN_EDIT,
    COLUMN_COUNT,
};

static struct aq_column columns[COLUMN_COUNT] = {
    {"id", AQ_TYPE_BIGINT, 1, true, false},
    {"name", AQ_TYPE_TEXT, 2, true, false},
    {"dataset", AQ_TYPE_TEXT, 3, false, false},
    {"kind", AQ_TYPE_TEXT, 4, true, false},
    {"state", AQ_TYPE_TEXT, 5, true, false},
    {"rows", AQ_TYPE_BIGINT, 6, true, false},
    {"bytes", AQ_TYPE_BIGINT, 7, true, false},
    {"oldest", AQ_TYPE_TIMESTAMPTZ, 8, false, false},
    {"newest", AQ_TYPE_TIMESTAMPTZ, 9, false, false},
    {"tier", AQ_TYPE_TEXT, 10, true, false},
    {"object", AQ_TYPE_TEXT, 11, false, false},
    {"edit", AQ_TYPE_BIGINT, 12, false, false},
};

/* What of a file is one dataset's. */
struct share {
    uint32_t dataset_id; /* 0: nothing of any */
    uint64_t row_count;
    uint64_t size_bytes;
    bool has_time;
    int64_t oldest_us;
    int64_t newest_us;
};

static void add_unit(struct share *share, const struct aq_unit *unit)
{
    share->row_count += unit->row_count + aq_unit_twin_count(unit);
    share->size_bytes += unit->size_bytes;
    if (!unit->has_time)
        return;
    if (!share->has_time || unit->min_time_us < share->oldest_us)
        share->oldest_us = unit->min_time_us;
    if (!share->has_time || unit->max_time_us > share->newest_us)
        share->newest_us = unit->max_time_us;
    share->has_time = true;
}

static void put_share(struct aq_system_rows *rows, const struct aq_catalog *catalog,
                      const struct aq_catalog_file *file, const struct share *share)
{
    char name[64];
    aq_catalog_file_name(file->kind, file->file_id, name, sizeof name);
    aq_system_put_count(rows, file->file_id);
    aq_system_put_text(rows, name);
    aq_system_put_dataset(rows, catalog, share->dataset_id);
    aq_system_put_text(rows, file->kind == AQ_FILE_SEGMENT ? "segment" : "archive");
    aq_system_put_text(rows, file->held ? "held" : file->state == AQ_FILE_OPEN ? "open" : "closed");
    aq_system_put_count(rows, share->row_count);
    aq_system_put_count(rows, share->size_bytes);
    aq_system_put_known(rows, share->has_time, share->oldest_us);
    aq_system_put_known(rows, share->has_time, share->newest_us);
    aq_system_put_tier(rows, !file->evicted, file->object.size > 0);
    if (file->object.size > 0)
        aq_system_put_slice(rows, file->object);
    else
        aq_system_put_null(rows);
    aq_system_put_known(rows, file->state == AQ_FILE_CLOSED, (int64_t)file->edit);
}

/* Units come file by file. */
static enum aq_status read_dataset(const struct aq_system_scan *scan, uint32_t dataset_id,
                                   bool *seen, struct aq_system_rows *rows, struct aq_error *err)
{
    const struct aq_catalog *catalog = aq_snapshot_catalog(scan->snapshot);
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    AQ_TRY(aq_snapshot_units(scan->snapshot, dataset_id, &units, &unit_count, err));
    for (size_t first = 0, end; first < unit_count; first = end) {
        const struct aq_catalog_file *file = aq_catalog_file(catalog, units[first].file_id);
        struct share share = {.dataset_id = dataset_id};
        for (end = first; end < unit_count && units[end].file_id == units[first].file_id; end++)
            add_unit(&share, &units[end]);
        seen[file - catalog->files] = true;
        put_share(rows, catalog, file, &share);
    }
    return aq_system_check(scan, 0, err);
}

static enum aq_status read_files(const struct aq_system_scan *scan, const struct aq_unit *unit,
                                 struct aq_system_rows *rows, struct aq_error *err)
{
    (void)unit;
    const struct aq_catalog *catalog = aq_snapshot_catalog(scan->snapshot);
    const struct share nothing = {0};
    bool *seen = calloc(catalog->file_count + 1, sizeof *seen);
    enum aq_status status = seen == NULL ? AQ_NO_MEMORY : AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < catalog->dataset_count; i++)
        status = read_dataset(scan, catalog->datasets[i].versions[0].dataset_id, seen, rows, err);
    for (size_t i = 0; status == AQ_OK && i < catalog->file_count; i++)
        if (!seen[i])
            put_share(rows, catalog, &catalog->files[i], &nothing);
    free(seen);
    return status;
}

const struct aq_system_table aq_files_table = {
    .schema = {.dataset = "aqstore_files",
               .column_count = COLUMN_COUNT,
               .columns = columns,
               .key_column = AQ_COLUMN_NONE,
               .time_column = AQ_COLUMN_NONE,
               .version_column = AQ_COLUMN_NONE},
    .units = aq_system_one_unit,
    .read = read_files,
};
