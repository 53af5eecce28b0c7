/* A run over files: each once, in order, into one dataset (engine/ingest/ingest.h).
 *
 * Happy path: the dataset is locked against other imports, the store recovered, the declaration recorded;
 * then file after file goes through import_file.c into one segment writer, which seals at the end. With `replace`
 * nothing counts before that (import_replace.c).
 * Failures: the run ends at the first one; what was acked stays, the segment is sealed where the writer
 * still can, and the same call goes on from there. */
#include "engine/ingest/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/file/importer.h"
#include "engine/base/clock.h"

#define NOTICE_BYTES_MAX 1024

void aq_importer_notice(const struct aq_importer *importer, const char *format, ...)
{
    char text[NOTICE_BYTES_MAX];
    if (importer->options->notice == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    importer->options->notice(importer->options->context, text);
}

bool aq_importer_is_stopped(const struct aq_importer *importer)
{
    return importer->options->stop != NULL && *importer->options->stop;
}

static enum aq_status copy_slice(struct aq_importer *importer, struct aq_slice *slice)
{
    slice->data = aq_arena_copy(&importer->arena, slice->data, slice->size);
    return slice->data == NULL ? AQ_NO_MEMORY : AQ_OK;
}

static enum aq_status add_feed(struct aq_importer *importer, const struct aq_catalog_feed *feed)
{
    if (importer->feed_count == importer->feed_capacity) {
        size_t capacity = importer->feed_capacity == 0 ? 16 : 2 * importer->feed_capacity;
        struct aq_catalog_feed *feeds = realloc(importer->feeds, capacity * sizeof *feeds);
        if (feeds == NULL)
            return AQ_NO_MEMORY;
        importer->feeds = feeds;
        importer->feed_capacity = capacity;
    }
    struct aq_catalog_feed *copy = &importer->feeds[importer->feed_count];
    *copy = *feed;
    AQ_TRY(copy_slice(importer, &copy->identity.source));
    AQ_TRY(copy_slice(importer, &copy->identity.name));
    importer->feed_count++;
    return AQ_OK;
}

enum aq_status aq_importer_note_feed(struct aq_importer *importer,
                                     const struct aq_catalog_feed *feed, struct aq_error *err)
{
    for (size_t i = 0; i < importer->feed_count; i++) {
        if (importer->feeds[i].identity.feed_id == feed->identity.feed_id) {
            importer->feeds[i].position = feed->position;
            return AQ_OK;
        }
    }
    if (add_feed(importer, feed) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "remembering a feed: out of memory");
    return AQ_OK;
}

/* The dataset's file feeds, as of the catalog after recovery. */
static enum aq_status read_feeds(struct aq_importer *importer, struct aq_error *err)
{
    const struct aq_catalog *catalog;
    enum aq_status status = AQ_OK;
    AQ_TRY(aq_store_catalog(importer->store, true, &catalog, err));
    for (size_t i = 0; i < catalog->feed_count && status == AQ_OK; i++) {
        const struct aq_feed_identity *identity = &catalog->feeds[i].identity;
        if (identity->dataset_id == importer->schema->dataset_id && identity->partition < 0)
            status = add_feed(importer, &catalog->feeds[i]);
    }
    aq_catalog_release(catalog);
    if (status < 0)
        aq_error_set(err, status, "reading the dataset's feeds: out of memory");
    return status;
}

static void count_acked(void *context, const struct aq_source_range *ranges, size_t range_count)
{
    struct aq_importer *importer = context;
    struct aq_ingest_report *report = importer->report;
    for (size_t i = 0; i < range_count; i++) {
        aq_import_watch_ack(importer, &ranges[i]);
        report->row_count += ranges[i].row_count;
        report->reject_count += ranges[i].reject_count;
        report->passed_count += ranges[i].passed_count;
    }
}

static enum aq_status check_options(const struct aq_ingest_options *options, struct aq_error *err)
{
    if (options->format == AQ_FORMAT_RAW)
        return aq_error_set(err, AQ_UNSUPPORTED,
                            "format raw is for Kafka sources: files are csv, ndjson, json "
                            "or parquet");
    return AQ_OK;
}

static enum aq_status prepare(struct aq_importer *importer, struct aq_error *err)
{
    const struct aq_ingest_options *options = importer->options;
    struct aq_recovery_report recovery;
    AQ_TRY(aq_store_recover(importer->store, &recovery, err));
    AQ_TRY(aq_store_declare(importer->store, &options->dataset->schema, &importer->schema,
                            &importer->rejects, err));
    if (recovery.segment_count > 0)
        aq_importer_notice(
            importer, "recovered %llu frames with %llu rows of an import that did not end",
            (unsigned long long)recovery.frame_count, (unsigned long long)recovery.row_count);
    AQ_TRY(aq_decoder_create(options->dataset, importer->schema, importer->rejects,
                             options->source_name, &importer->decoder, err));
    AQ_TRY(aq_json_decoder_create(importer->decoder, &importer->json, err));
    AQ_TRY(aq_import_crew_create(importer, &importer->crew, err));
    AQ_TRY(aq_router_create(importer->schema, &importer->row_router, err));
    AQ_TRY(aq_router_create(importer->rejects, &importer->reject_router, err));
    AQ_TRY(read_feeds(importer, err));
    struct aq_shard_writer_options writer = {
        .segment_size_bytes = options->config->segment_size_bytes,
        .depth = AQ_IMPORT_FRAMES_IN_FLIGHT,
        .ack = count_acked,
        .ack_context = importer,
        .hold = options->replace,
    };
    return aq_shard_writer_create(importer->store, &writer, &importer->writer, err);
}

static void release(struct aq_importer *importer)
{
    if (importer->writer != NULL)
        aq_shard_writer_destroy(importer->writer);
    aq_router_destroy(importer->row_router);
    aq_router_destroy(importer->reject_router);
    aq_import_crew_destroy(importer->crew);
    aq_json_decoder_destroy(importer->json);
    aq_decoder_destroy(importer->decoder);
    free(importer->feeds);
    aq_replacement_deinit(&importer->replacement);
    aq_arena_deinit(&importer->arena);
}

/* Nothing of the files counts. */
static void forget_rows(struct aq_importer *importer)
{
    struct aq_ingest_report *report = importer->report;
    report->row_count = report->reject_count = report->passed_count = 0;
}

/* The files have been read: let what is new count, and what it replaces go. Without rows there is nothing to replace,
 * and rejects alone are kept. */
static enum aq_status replace(struct aq_importer *importer, struct aq_error *err)
{
    struct aq_ingest_report *report = importer->report;
    const struct aq_replacement *replacement = &importer->replacement;
    bool same = false;
    AQ_TRY(aq_shard_writer_flush(importer->writer, err));
    if (replacement->range_count > 0)
        AQ_TRY(aq_replacement_compare(replacement, importer->store, importer->schema, &same,
                                      &report->replaced_row_count, err));
    if (same) {
        forget_rows(importer);
        report->replaced_row_count = 0;
        aq_importer_notice(importer, "the store has just these rows already; nothing was replaced");
        return aq_shard_writer_drop(importer->writer, err);
    }
    AQ_TRY(aq_replacement_commit(replacement, importer->writer, importer->schema, err));
    report->replaced_range_count = replacement->range_count;
    return AQ_OK;
}

/* End the writer's segment, after `status`. */
static enum aq_status end_segment(struct aq_importer *importer, enum aq_status status,
                                  struct aq_error *err)
{
    struct aq_error ignored;
    bool failed = status < 0;
    if (!importer->options->replace)
        return aq_shard_writer_seal(importer->writer, failed ? &ignored : err);
    if (!failed && (status = replace(importer, err)) == AQ_OK)
        return AQ_OK;
    forget_rows(importer);
    importer->report->replaced_row_count = 0;
    if (aq_shard_writer_drop(importer->writer, &ignored) < 0)
        return status; /* recovery drops it */
    return status;
}

static enum aq_status import_all(struct aq_importer *importer, struct aq_error *err)
{
    const struct aq_ingest_options *options = importer->options;
    enum aq_status status = prepare(importer, err);
    if (status < 0)
        return status;
    for (size_t i = 0; i < options->file_count && status == AQ_OK; i++)
        status = aq_import_file(importer, options->files[i], err);
    enum aq_status sealed = end_segment(importer, status, err);
    aq_import_watch_end(importer);
    return status < 0 ? status : sealed;
}

enum aq_status aq_ingest_files(struct aq_store *store, const struct aq_ingest_options *options,
                               struct aq_ingest_report *report, struct aq_error *err)
{
    struct aq_importer importer = {.store = store,
                                   .options = options,
                                   .report = report,
                                   .replacement = {.span = options->span}};
    struct aq_store_lock *lock;
    int64_t begin_us = aq_clock_us();
    char name[AQ_NAME_BYTES_MAX + 16];
    char notice[512];
    importer.watch.source = aq_monitor_find(options->monitor, options->source_name);
    *report = (struct aq_ingest_report){.io = aq_store_io_kind(store),
                                        .frames_in_flight = AQ_IMPORT_FRAMES_IN_FLIGHT};
    AQ_TRY(check_options(options, err));
    snprintf(name, sizeof name, "import-%s", options->dataset->schema.dataset);
    enum aq_status status = aq_store_lock(store, name, true, &lock, err);
    if (status == AQ_CONFLICT)
        return aq_error_set(err, AQ_CONFLICT,
                            "another import into '%s' is running: wait for it, then try again",
                            options->dataset->schema.dataset);
    AQ_TRY(status);
    status = import_all(&importer, err);
    if (importer.writer != NULL)
        report->segment_bytes = aq_shard_writer_count(importer.writer).bytes_written;
    if (importer.decoder != NULL)
        report->unknown_field_count = importer.decoder->unknown_field_count;
    report->write_method = aq_store_write_method(store);
    report->zero_failure_count = aq_store_zero_failure_count(store);
    if (aq_store_zero_notice(store, notice, sizeof notice))
        aq_importer_notice(&importer, "%s", notice);
    report->seconds = aq_clock_seconds_since(begin_us);
    release(&importer);
    aq_store_unlock(lock);
    return status;
}
