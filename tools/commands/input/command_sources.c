/* sources: where each feed stands, and what of it was lost, by the catalog and the durable frames of
 * segments being written. */
#include <stdlib.h>
#include <string.h>

#include "engine/store/feed/feeds.h"
#include "tools/commands/commands.h"
#include "tools/output/text/json_print.h"
#include "tools/output/forms/rows.h"

static const struct aq_result_column columns[] = {
    {"dataset", AQ_TYPE_TEXT},       {"source", AQ_TYPE_TEXT},
    {"name", AQ_TYPE_TEXT},          {"partition", AQ_TYPE_INTEGER},
    {"state", AQ_TYPE_TEXT},         {"next_message", AQ_TYPE_BIGINT},
    {"next_bytes", AQ_TYPE_BIGINT},  {"rows", AQ_TYPE_BIGINT},
    {"rejects", AQ_TYPE_BIGINT},     {"passed", AQ_TYPE_BIGINT},
    {"newest", AQ_TYPE_TIMESTAMPTZ}, {"incarnation", AQ_TYPE_BIGINT},
    {"lost", AQ_TYPE_BIGINT},        {"lag", AQ_TYPE_BIGINT},
    {"cluster", AQ_TYPE_TEXT},
};

static const struct aq_result_column lost_columns[] = {
    {"dataset", AQ_TYPE_TEXT},       {"name", AQ_TYPE_TEXT},   {"partition", AQ_TYPE_INTEGER},
    {"incarnation", AQ_TYPE_BIGINT}, {"from", AQ_TYPE_BIGINT}, {"next", AQ_TYPE_BIGINT},
};

static const char *dataset_name(const struct aq_catalog *catalog, uint32_t dataset_id)
{
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, dataset_id, 0);
    return schema != NULL ? schema->dataset : "?";
}

static void add_feed(struct aq_rows *rows, const struct aq_catalog *catalog,
                     const struct aq_feed_state *feed, int64_t lag)
{
    const struct aq_feed_position *position = &feed->position;
    aq_rows_text(rows, dataset_name(catalog, feed->identity.dataset_id));
    aq_rows_slice(rows, feed->identity.source);
    aq_rows_slice(rows, feed->identity.name);
    bool is_topic = feed->identity.partition >= 0;
    if (is_topic)
        aq_rows_int(rows, feed->identity.partition);
    else
        aq_rows_null(rows);
    /* A topic has no end, and is not counted in bytes. */
    aq_rows_text(rows, is_topic ? "open" : position->finished ? "finished" : "unfinished");
    aq_rows_count(rows, position->next_ordinal);
    if (is_topic)
        aq_rows_null(rows);
    else
        aq_rows_count(rows, position->next_offset);
    aq_rows_count(rows, position->row_count);
    aq_rows_count(rows, position->reject_count);
    aq_rows_count(rows, position->passed_count);
    aq_rows_time(rows, position->last_stamp_us != 0, position->last_stamp_us);
    aq_rows_count(rows, feed->identity.incarnation);
    aq_rows_count(rows, aq_catalog_count_lost(catalog, feed->identity.feed_id));
    if (lag >= 0)
        aq_rows_int(rows, lag);
    else
        aq_rows_null(rows);
    if (is_topic)
        aq_rows_slice(rows, feed->identity.cluster);
    else
        aq_rows_null(rows);
}

static void add_losses(struct aq_rows *rows, const struct aq_catalog *catalog)
{
    for (size_t i = 0; i < catalog->lost_count; i++) {
        const struct aq_catalog_lost *lost = &catalog->losses[i];
        const struct aq_catalog_feed *feed = aq_catalog_feed(catalog, lost->feed_id);
        if (feed == NULL)
            continue;
        aq_rows_text(rows, dataset_name(catalog, feed->identity.dataset_id));
        aq_rows_slice(rows, feed->identity.name);
        aq_rows_int(rows, feed->identity.partition);
        aq_rows_count(rows, feed->identity.incarnation);
        aq_rows_count(rows, lost->from_ordinal);
        aq_rows_count(rows, lost->next_ordinal);
    }
}

static enum aq_status add_feeds(struct aq_rows *rows, struct aq_program *program,
                                struct aq_store *store, const struct aq_catalog *catalog,
                                struct aq_error *err)
{
    size_t count = catalog->feed_count;
    struct aq_feed_state *feeds = calloc(count + 1, sizeof *feeds);
    int64_t *lags = calloc(count + 1, sizeof *lags);
    enum aq_status status =
        feeds == NULL || lags == NULL ? aq_error_set(err, AQ_NO_MEMORY, "out of memory") : AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < count; i++)
        feeds[i].identity = catalog->feeds[i].identity;
    if (status == AQ_OK)
        status = aq_store_find_feeds(store, feeds, count, err);
    if (status == AQ_OK)
        aq_sources_lags(program, feeds, count, lags);
    for (size_t i = 0; status == AQ_OK && i < count; i++)
        add_feed(rows, catalog, &feeds[i], lags[i]);
    free(lags);
    free(feeds);
    return status;
}

static enum aq_status report(struct aq_program *program, struct aq_rows *feeds,
                             struct aq_rows *losses, bool any_lost, struct aq_error *err)
{
    if (program->options.json) {
        struct aq_bytes out = {0};
        aq_json_open(&out, '{');
        enum aq_status status = aq_rows_json(feeds, "sources", &out, err);
        if (status == AQ_OK)
            status = aq_rows_json(losses, "lost", &out, err);
        aq_json_close(&out, '}');
        aq_bytes_u8(&out, '\n');
        aq_out_bytes(program->out, &out);
        aq_bytes_deinit(&out);
        return status;
    }
    AQ_TRY(aq_rows_print(feeds, program->out, err));
    if (!any_lost)
        return AQ_OK;
    aq_out_text(program->out, "\nLost before they were read:\n");
    return aq_rows_print(losses, program->out, err);
}

enum aq_status aq_command_sources(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    struct aq_store *store = NULL;
    const struct aq_catalog *catalog = NULL;
    if (options->argument_count > 0 && strcmp(options->arguments[0], "accept") == 0)
        return aq_sources_accept(program, err);
    if (options->argument_count > 0)
        return aq_error_set(err, AQ_INVALID, "unknown word '%s'; say 'sources' or 'sources accept'",
                            options->arguments[0]);
    if (options->from != NULL)
        return aq_error_set(err, AQ_INVALID, "--from is for 'sources accept'");
    AQ_TRY(aq_program_store(program, AQ_ACCESS_READ, &store, err));
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    struct aq_rows feeds;
    struct aq_rows losses;
    aq_rows_init(&feeds, columns, sizeof(columns) / sizeof(columns[0]));
    aq_rows_init(&losses, lost_columns, sizeof(lost_columns) / sizeof(lost_columns[0]));
    enum aq_status status = add_feeds(&feeds, program, store, catalog, err);
    add_losses(&losses, catalog);
    if (status == AQ_OK)
        status = report(program, &feeds, &losses, catalog->lost_count > 0, err);
    aq_rows_deinit(&losses);
    aq_rows_deinit(&feeds);
    aq_catalog_release(catalog);
    return status;
}
