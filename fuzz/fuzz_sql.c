/* Fuzz target: SQL text, from the parser through binding to execution, over a store with one empty dataset.
 * Whatever comes in ends in rows or in a message. */
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct aq_store *store;
static struct aq_snapshot *snapshot;
static char home[64];

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_home(void)
{
    aq_snapshot_close(snapshot);
    aq_store_close(store);
    nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void open_store(void)
{
    static struct aq_column columns[] = {
        {.name = "city", .type = AQ_TYPE_TEXT, .required = true},
        {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .required = true},
        {.name = "n", .type = AQ_TYPE_INTEGER},
        {.name = "x", .type = AQ_TYPE_DOUBLE},
        {.name = "j", .type = AQ_TYPE_JSON},
    };
    struct aq_schema schema = {.dataset = "t",
                               .column_count = sizeof columns / sizeof columns[0],
                               .columns = columns,
                               .key_column = 0,
                               .time_column = 1,
                               .slot = AQ_SLOT_DAY,
                               .version_column = AQ_COLUMN_NONE};
    const struct aq_schema *declared;
    const struct aq_schema *rejects;
    snprintf(home, sizeof home, "/tmp/aqstore-fuzz-sql-XXXXXX");
    assert(mkdtemp(home) != NULL);
    struct aq_store_options options = {.home = home, .create = true, .io = AQ_IO_POSIX};
    enum aq_status status = aq_store_open(&options, &store, NULL);
    assert(status == AQ_OK);
    status = aq_store_declare(store, &schema, &declared, &rejects, NULL);
    assert(status == AQ_OK);
    status = aq_snapshot_open(store, &snapshot, NULL);
    assert(status == AQ_OK);
    atexit(remove_home);
}

static void read_all(struct aq_query *query)
{
    const struct aq_batch *batch;
    struct aq_bytes text = {0};
    struct aq_error err = {0};
    while (aq_query_next(query, &batch, &err) == AQ_OK) {
        assert(batch->row_count > 0 && batch->column_count == aq_query_column_count(query));
        for (size_t row = 0; row < batch->row_count; row++) {
            for (size_t c = 0; c < batch->column_count; c++) {
                enum aq_status status = aq_query_value_text(query, &batch->columns[c], row, &text);
                assert(status == AQ_OK);
            }
            aq_bytes_clear(&text);
        }
    }
    aq_bytes_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aq_query_options options = {
        .timezone = "Asia/Shanghai", .memory_bytes = (uint64_t)64 << 20, .thread_count = 1};
    struct aq_query *query = NULL;
    struct aq_error err = {0};
    char *sql = malloc(size + 1);
    if (store == NULL)
        open_store();
    if (sql == NULL)
        return 0;
    if (size > 0)
        memcpy(sql, data, size);
    sql[size] = '\0';
    if (aq_query_prepare(snapshot, sql, &options, &query, &err) == AQ_OK) {
        read_all(query);
        aq_query_destroy(query);
    } else {
        assert(err.message[0] != '\0');
    }
    free(sql);
    return 0;
}
