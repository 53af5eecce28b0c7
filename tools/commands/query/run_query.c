/* Running SQL: store, snapshot, query, answer, and everything closed again in turn.
 *
 * Failures: a file that a newer catalog no longer names may have gone from the bucket; then, once, the query
 * begins again with that catalog. */
#include "tools/commands/query/run_query.h"

#include "tools/commands/commands.h"

static void ask_lags(void *context, const struct aq_feed_state *feeds, size_t feed_count,
                     int64_t *lags)
{
    aq_sources_lags(context, feeds, feed_count, lags);
}

/* `number`: of the edit that the snapshot stands at. `answering`: output may have been made. */
static enum aq_status run_once(struct aq_program *program, struct aq_store *store, const char *sql,
                               aq_answer_fn answer, void *context, uint64_t *number,
                               bool *answering, struct aq_error *err)
{
    struct aq_snapshot *snapshot = NULL;
    struct aq_query *query = NULL;
    struct aq_query_lags lags = {.context = program, .ask = ask_lags};
    struct aq_query_options options = {
        .timezone = program->options.timezone, .stop = &aq_stop, .lags = &lags};
    AQ_TRY(aq_snapshot_open(store, &snapshot, err));
    *number = aq_snapshot_catalog(snapshot)->number;
    enum aq_status status = aq_query_prepare(snapshot, sql, &options, &query, err);
    if (status >= 0)
        status = aq_query_start(query, err);
    *answering = status >= 0;
    if (status >= 0)
        status = answer(context, query, err);
    if (query != NULL)
        aq_query_destroy(query);
    aq_snapshot_close(snapshot);
    return status;
}

/* Whether there is a newer catalog than edit `number`. */
static bool moved_on(struct aq_store *store, uint64_t number)
{
    const struct aq_catalog *catalog = NULL;
    if (aq_store_catalog(store, true, &catalog, NULL) < 0)
        return false;
    bool newer = catalog->number != number;
    aq_catalog_release(catalog);
    return newer;
}

enum aq_status aq_run_query(struct aq_program *program, const char *sql, aq_answer_fn answer,
                            void *context, struct aq_error *err)
{
    struct aq_store *store = NULL;
    uint64_t number = 0;
    bool answering = false;
    AQ_TRY(aq_program_store(program, AQ_ACCESS_READ, &store, err));
    enum aq_status status =
        run_once(program, store, sql, answer, context, &number, &answering, err);
    if (status == AQ_TEMPORARY && !answering && moved_on(store, number))
        status = run_once(program, store, sql, answer, context, &number, &answering, err);
    const char *notice = aq_store_cache_notice(store);
    if (notice[0] != '\0')
        aq_program_say(program, AQ_LEVEL_NOTICE, "%s", notice);
    return status;
}

enum aq_status aq_value_text_query(void *context, const struct aq_vector *vector, size_t row,
                                   struct aq_bytes *out)
{
    return aq_query_value_text(context, vector, row, out);
}
