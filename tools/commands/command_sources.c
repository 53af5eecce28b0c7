/* sources: where each feed stands, by the catalog and the durable frames of segments being written. */
#include <stdlib.h>
#include <string.h>

#include "engine/store/feeds.h"
#include "tools/commands/commands.h"
#include "tools/output/rows.h"

static const struct aq_result_column columns[] = {
    {"dataset", AQ_TYPE_TEXT},       {"source", AQ_TYPE_TEXT},
    {"name", AQ_TYPE_TEXT},          {"partition", AQ_TYPE_INTEGER},
    {"state", AQ_TYPE_TEXT},         {"next_message", AQ_TYPE_BIGINT},
    {"next_bytes", AQ_TYPE_BIGINT},  {"rows", AQ_TYPE_BIGINT},
    {"rejects", AQ_TYPE_BIGINT},     {"passed", AQ_TYPE_BIGINT},
    {"newest", AQ_TYPE_TIMESTAMPTZ},
};

static void add_feed(struct aq_rows *rows, const struct aq_catalog *catalog,
                     const struct aq_feed_state *feed)
{
    const struct aq_schema *schema = aq_catalog_schema_by_id(catalog, feed->identity.dataset_id, 0);
    const struct aq_feed_position *position = &feed->position;
    aq_rows_text(rows, schema != NULL ? schema->dataset : "?");
    aq_rows_slice(rows, feed->identity.source);
    aq_rows_slice(rows, feed->identity.name);
    if (feed->identity.partition >= 0)
        aq_rows_int(rows, feed->identity.partition);
    else
        aq_rows_null(rows);
    aq_rows_text(rows, position->finished ? "finished" : "unfinished");
    aq_rows_count(rows, position->next_ordinal);
    aq_rows_count(rows, position->next_offset);
    aq_rows_count(rows, position->row_count);
    aq_rows_count(rows, position->reject_count);
    aq_rows_count(rows, position->passed_count);
    aq_rows_time(rows, position->last_stamp_us != 0, position->last_stamp_us);
}

static enum aq_status add_feeds(struct aq_rows *rows, struct aq_store *store,
                                const struct aq_catalog *catalog, struct aq_error *err)
{
    struct aq_feed_state *feeds = calloc(catalog->feed_count + 1, sizeof *feeds);
    if (feeds == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < catalog->feed_count; i++)
        feeds[i].identity = catalog->feeds[i].identity;
    enum aq_status status = aq_store_find_feeds(store, feeds, catalog->feed_count, err);
    for (size_t i = 0; status == AQ_OK && i < catalog->feed_count; i++)
        add_feed(rows, catalog, &feeds[i]);
    free(feeds);
    return status;
}

enum aq_status aq_command_sources(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    struct aq_store *store = NULL;
    const struct aq_catalog *catalog = NULL;
    if (options->argument_count > 0)
        return strcmp(options->arguments[0], "accept") == 0
                   ? aq_error_set(err, AQ_UNSUPPORTED, "accept: not yet in this version")
                   : aq_error_set(err, AQ_INVALID, "unknown word '%s'; say 'sources'",
                                  options->arguments[0]);
    AQ_TRY(aq_program_store(program, AQ_ACCESS_READ, &store, err));
    AQ_TRY(aq_store_catalog(store, true, &catalog, err));
    struct aq_rows rows;
    aq_rows_init(&rows, columns, sizeof(columns) / sizeof(columns[0]));
    enum aq_status status = add_feeds(&rows, store, catalog, err);
    if (status == AQ_OK)
        status = aq_rows_report(&rows, "sources", options->json, program->out, err);
    aq_rows_deinit(&rows);
    aq_catalog_release(catalog);
    return status;
}
