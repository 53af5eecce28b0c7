/* aqstore_sources: where each feed stands in the snapshot, and what came of it.
 *
 * How far a Kafka feed's log reaches beyond that, only its broker knows: it is asked when the query reads the
 * column and whoever runs it can ask (`aqstore query` with a config). */
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/query/system_tables/system_table.h"

enum {
    COLUMN_SOURCE,
    COLUMN_DATASET,
    COLUMN_NAME,
    COLUMN_PARTITION,
    COLUMN_INCARNATION,
    COLUMN_CLUSTER,
    COLUMN_STATE,
    COLUMN_POSITION,
    COLUMN_LAG,
    COLUMN_ROWS,
    COLUMN_REJECTS,
    COLUMN_PASSED_OVER,
    COLUMN_LOST,
    COLUMN_NEWEST,
    COLUMN_AGE,
    COLUMN_COUNT,
};

static struct aq_column columns[COLUMN_COUNT] = {
    {"source", AQ_TYPE_TEXT, 1, true, false},
    {"dataset", AQ_TYPE_TEXT, 2, true, false},
    {"name", AQ_TYPE_TEXT, 3, true, false},
    {"partition", AQ_TYPE_INTEGER, 4, false, false},
    {"incarnation", AQ_TYPE_BIGINT, 5, true, false},
    {"cluster", AQ_TYPE_TEXT, 6, false, false},
    {"state", AQ_TYPE_TEXT, 7, true, false},
    {"position", AQ_TYPE_BIGINT, 8, true, false},
    {"lag", AQ_TYPE_BIGINT, 9, false, false},
    {"rows", AQ_TYPE_BIGINT, 10, true, false},
    {"rejects", AQ_TYPE_BIGINT, 11, true, false},
    {"passed_over", AQ_TYPE_BIGINT, 12, true, false},
    {"lost", AQ_TYPE_BIGINT, 13, true, false},
    {"newest", AQ_TYPE_TIMESTAMPTZ, 14, false, false},
    {"age", AQ_TYPE_INTERVAL, 15, false, false},
};

static void put_feed(struct aq_system_rows *rows, const struct aq_catalog *catalog,
                     const struct aq_feed_state *feed, int64_t lag, int64_t now_us)
{
    const struct aq_feed_identity *identity = &feed->identity;
    const struct aq_feed_position *position = &feed->position;
    bool is_topic = identity->partition >= 0;
    bool any = position->last_stamp_us != 0;
    aq_system_put_slice(rows, identity->source);
    aq_system_put_dataset(rows, catalog, identity->dataset_id);
    aq_system_put_slice(rows, identity->name);
    aq_system_put_known(rows, is_topic, identity->partition);
    aq_system_put_count(rows, identity->incarnation);
    if (is_topic)
        aq_system_put_slice(rows, identity->cluster);
    else
        aq_system_put_null(rows);
    aq_system_put_text(rows, is_topic ? "open" : position->finished ? "finished" : "unfinished");
    aq_system_put_count(rows, position->next_ordinal);
    aq_system_put_known(rows, lag >= 0, lag);
    aq_system_put_count(rows, position->row_count);
    aq_system_put_count(rows, position->reject_count);
    aq_system_put_count(rows, position->passed_count);
    aq_system_put_count(rows, aq_catalog_count_lost(catalog, identity->feed_id));
    aq_system_put_known(rows, any, position->last_stamp_us);
    if (any)
        aq_system_put_span(rows, now_us - position->last_stamp_us);
    else
        aq_system_put_null(rows);
}

static bool wants_lag(const struct aq_plan *plan)
{
    for (size_t i = 0; i < plan->input_count; i++)
        if (plan->source_ids[plan->inputs[i]] == COLUMN_LAG)
            return true;
    return false;
}

static enum aq_status read_sources(const struct aq_system_scan *scan, const struct aq_unit *unit,
                                   struct aq_system_rows *rows, struct aq_error *err)
{
    (void)unit;
    const struct aq_catalog *catalog = aq_snapshot_catalog(scan->snapshot);
    size_t count = catalog->feed_count;
    struct aq_feed_state *feeds = calloc(count + 1, sizeof *feeds);
    int64_t *lags = calloc(count + 1, sizeof *lags);
    enum aq_status status = feeds == NULL || lags == NULL ? AQ_NO_MEMORY : AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < count; i++) {
        status = aq_snapshot_feed(scan->snapshot, i, &feeds[i], err);
        lags[i] = -1;
    }
    if (status == AQ_OK && scan->lags != NULL && wants_lag(scan->plan))
        scan->lags->ask(scan->lags->context, feeds, count, lags);
    int64_t now_us = aq_clock_wall_us();
    for (size_t i = 0; status == AQ_OK && i < count; i++)
        put_feed(rows, catalog, &feeds[i], lags[i], now_us);
    free(lags);
    free(feeds);
    return status;
}

const struct aq_system_table aq_sources_table = {
    .schema = {.dataset = "aqstore_sources",
               .column_count = COLUMN_COUNT,
               .columns = columns,
               .key_column = AQ_COLUMN_NONE,
               .time_column = AQ_COLUMN_NONE,
               .version_column = AQ_COLUMN_NONE},
    .units = aq_system_one_unit,
    .read = read_sources,
};
