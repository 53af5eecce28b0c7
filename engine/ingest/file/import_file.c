/* Steps 1 to 3 of a message's way, for one file (docs/import.md).
 *
 * Happy path: the file is opened and identified; its feed is claimed; it is split into messages, each
 * decoded to a row or a reject; frames are closed by size and time; the last one says that the file is
 * finished. A file that is continued is split again from its beginning, without decoding, up to the
 * position where its feed stands.
 * Failures: on any of them what was decoded before is written first, so that the next run goes on there.
 * A stop is taken at a frame. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/file/import_parquet.h"
#include "engine/base/clock.h"

/* storage.md, "Stamp": later than all the dataset has, so that a later import wins. */
static int64_t next_stamp(const struct aq_importer *importer)
{
    int64_t stamp_us = aq_clock_wall_us();
    for (size_t i = 0; i < importer->feed_count; i++) {
        const struct aq_catalog_feed *feed = &importer->feeds[i];
        if (feed->identity.stamp_us >= stamp_us)
            stamp_us = feed->identity.stamp_us + 1;
        if (feed->position.last_stamp_us >= stamp_us)
            stamp_us = feed->position.last_stamp_us + 1;
    }
    return stamp_us;
}

static enum aq_status claim(struct aq_import *import, struct aq_file_identity *identity,
                            struct aq_error *err)
{
    struct aq_importer *importer = import->importer;
    import->feed = identity->feed;
    if (identity->standing == AQ_FILE_NEW) {
        import->feed = (struct aq_catalog_feed){.identity = {
            .dataset_id = importer->schema->dataset_id,
            .source = aq_slice_of(importer->options->source_name),
            .name = aq_file_name_of(import->path),
            .partition = -1,
            .stamp_us = next_stamp(importer)
        }};
    }
    uint64_t feed_id;
    AQ_TRY(aq_shard_writer_claim(importer->writer, &import->feed.identity,
                                 import->feed.position.next_ordinal, &feed_id, err));
    import->feed.identity.feed_id = feed_id;
    import->feed.position.feed_id = feed_id;
    import->ordinal = import->feed.position.next_ordinal;
    aq_import_begin_frame(import);
    aq_decoder_set_feed(importer->decoder, feed_id, import->feed.identity.stamp_us);
    return aq_importer_note_feed(importer, &import->feed, err);
}

/* Before the claim, so that a header that cannot be taken leaves no trace in the store. */
static enum aq_status read_header(struct aq_import *import, struct aq_error *err)
{
    struct aq_message message;
    const char *notice;
    enum aq_status status;
    do {
        status = aq_splitter_next(&import->splitter, &message, err);
    } while (status == AQ_OK && message.kind == AQ_MESSAGE_NONE);
    if (status != AQ_OK)
        return status == AQ_END ? AQ_OK : status;
    if (message.kind == AQ_MESSAGE_BROKEN)
        return aq_error_set_at(err, AQ_INVALID, import->path, 0, "the header is %s",
                               message.reason);
    status =
        aq_csv_decoder_create(import->importer->decoder, message.bytes, &import->csv, &notice, err);
    if (status < 0)
        return aq_error_locate(err, status, import->path, -1);
    if (notice != NULL)
        aq_importer_notice(import->importer, "%s: %s", import->path, notice);
    return aq_import_crew_begin(import->importer->crew, message.bytes, err);
}

enum aq_status aq_import_decode(const struct aq_import *import, struct aq_decoder *decoder,
                                struct aq_json_decoder *json, struct aq_csv_decoder *csv,
                                uint64_t ordinal, const struct aq_message *message)
{
    if (message->kind == AQ_MESSAGE_BROKEN)
        return aq_decoder_reject(decoder, message->reject_class, ordinal, message->bytes, "%s",
                                 message->reason);
    if (import->format == AQ_FORMAT_CSV)
        return aq_csv_decode(csv, ordinal, message->bytes);
    return aq_json_decode(json, ordinal, message->bytes);
}

static enum aq_status take_message(struct aq_import *import, const struct aq_message *message,
                                   struct aq_error *err)
{
    struct aq_importer *importer = import->importer;
    size_t reject_count = importer->decoder->rejects.row_count;
    if (message->kind == AQ_MESSAGE_NONE)
        return AQ_OK;
    enum aq_status status = aq_import_decode(import, importer->decoder, importer->json, import->csv,
                                             import->ordinal, message);
    return aq_import_note_decoded(import, status, reject_count, err);
}

static bool is_blank(struct aq_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] > ' ')
            return false;
    }
    return true;
}

/* A file that grew may have been imported in the middle of a line: what the line has more now is no
 * message, and what was taken of it stays. */
static enum aq_status take_tail(struct aq_import *import, struct aq_error *err)
{
    struct aq_stream *stream = &import->stream;
    uint64_t size = stream->offset - import->feed.position.next_offset;
    if (size > stream->begin)
        size = stream->begin;
    struct aq_slice tail = aq_slice_make(stream->data + stream->begin - size, (size_t)size);
    if (is_blank(tail))
        return AQ_OK;
    struct aq_message message = {.kind = AQ_MESSAGE_BROKEN,
                                 .bytes = tail,
                                 .reason = "it belongs to a message whose beginning an earlier "
                                           "import took for the file's end"};
    return take_message(import, &message, err);
}

/* Split again what is in the store already. */
static enum aq_status pass_known(struct aq_import *import, struct aq_error *err)
{
    uint64_t until = import->feed.position.next_offset;
    struct aq_message message;
    while (import->stream.offset < until) {
        enum aq_status status = aq_splitter_next(&import->splitter, &message, err);
        if (status != AQ_OK)
            return status;
        if (import->stream.offset > until)
            return take_tail(import, err);
        if (aq_importer_is_stopped(import->importer))
            return aq_import_stopped(err);
    }
    return AQ_OK;
}

static enum aq_status take_messages(struct aq_import *import, struct aq_error *err)
{
    struct aq_message message;
    for (uint64_t count = 1;; count++) {
        AQ_TRY(aq_import_crew_take(import, err));
        enum aq_status status = aq_splitter_next(&import->splitter, &message, err);
        if (status != AQ_OK)
            return status;
        AQ_TRY(take_message(import, &message, err));
        AQ_TRY(aq_import_pace(import, count, err));
    }
}

/* A pipe gives nothing: what it gave before is written when its time has come, and acked. A failure leaves
 * the writer dead, which the next frame says. */
static void on_idle(void *context)
{
    struct aq_import *import = context;
    struct aq_error ignored;
    enum aq_status status = AQ_OK;
    if (aq_import_frame_is_due(import, true))
        status = aq_import_close_frame(import, false, &ignored);
    if (status == AQ_OK)
        status = aq_shard_writer_flush(import->importer->writer, &ignored);
    (void)status;
}

static int idle_ms(const struct aq_config *config)
{
    int64_t interval_ms = config->commit_interval_us / 1000;
    return interval_ms < 10 ? 10 : interval_ms < 1000 ? (int)interval_ms : 1000;
}

static enum aq_status run(struct aq_import *import, struct aq_error *err)
{
    aq_source_file_on_idle(import->source, on_idle, import,
                           idle_ms(import->importer->options->config));
    enum aq_status status;
    if (import->format == AQ_FORMAT_PARQUET)
        status = aq_parquet_import_run(import->parquet, err);
    else if ((status = pass_known(import, err)) == AQ_OK)
        status = take_messages(import, err);
    if (status == AQ_END)
        return aq_import_close_frame(import, true, err);
    /* Stopped or failed: what was decoded counts, unless memory ran out in the middle of a row. */
    struct aq_error later;
    if (status == AQ_NO_MEMORY)
        return status;
    enum aq_status closed = aq_import_close_frame(import, false, &later);
    if (status != AQ_INTERRUPTED || closed == AQ_OK)
        return status;
    if (err != NULL)
        *err = later;
    return closed;
}

static enum aq_status identify(struct aq_import *import, struct aq_file_identity *identity,
                               struct aq_error *err)
{
    struct aq_importer *importer = import->importer;
    AQ_TRY(aq_file_identify(importer->feeds, importer->feed_count, aq_file_name_of(import->path),
                            &import->stream, identity, err));
    if (importer->options->replace) {
        /* Whatever was read of it before is replaced; but for a feed of which nothing was, it is a new one. */
        if (identity->feed.position.next_ordinal > 0 || identity->standing == AQ_FILE_KNOWN)
            identity->standing = AQ_FILE_NEW;
        return AQ_OK;
    }
    if (identity->standing == AQ_FILE_KNOWN) {
        importer->report->known_file_count++;
        aq_importer_notice(importer, "%s: in the store already, nothing to add",
                           aq_source_file_path(import->source));
    } else if (identity->standing == AQ_FILE_CONTINUES) {
        importer->report->resumed_file_count++;
        aq_importer_notice(importer, "%s: in the store up to record %llu, going on from there",
                           aq_source_file_path(import->source),
                           (unsigned long long)identity->feed.position.next_ordinal);
    } else if (identity->name_known) {
        aq_importer_notice(importer,
                           "%s: another file of this name is in the store; the content differs, so "
                           "this one is imported beside it",
                           aq_source_file_path(import->source));
    }
    return AQ_OK;
}

static enum aq_status choose_format(struct aq_import *import, struct aq_error *err)
{
    import->format = import->importer->options->format;
    if (import->format == AQ_FORMAT_AUTO)
        AQ_TRY(
            aq_format_detect(aq_file_name_of(import->path), &import->stream, &import->format, err));
    if (import->format == AQ_FORMAT_PARQUET)
        return AQ_OK;
    aq_splitter_init(&import->splitter, &import->stream, import->format);
    if (import->format != AQ_FORMAT_JSON)
        return AQ_OK;
    AQ_TRY(aq_stream_rewind(&import->stream, false, err));
    return aq_splitter_check_json(&import->splitter, err);
}

/* A Parquet file is read from its end, so one that grew is another file. */
static enum aq_status open_parquet(struct aq_import *import, struct aq_file_identity *identity,
                                   struct aq_error *err)
{
    if (identity->standing == AQ_FILE_CONTINUES && identity->grew)
        identity->standing = AQ_FILE_NEW;
    return aq_parquet_import_open(import, &import->parquet, err);
}

static enum aq_status import_opened(struct aq_import *import, struct aq_error *err)
{
    struct aq_file_identity identity;
    AQ_TRY(identify(import, &identity, err));
    if (identity.standing == AQ_FILE_KNOWN)
        return AQ_OK;
    AQ_TRY(aq_stream_rewind(&import->stream, false, err));
    AQ_TRY(choose_format(import, err));
    AQ_TRY(aq_stream_rewind(&import->stream, true, err));
    if (import->format == AQ_FORMAT_CSV)
        AQ_TRY(read_header(import, err));
    if (import->format == AQ_FORMAT_PARQUET)
        AQ_TRY(open_parquet(import, &identity, err));
    AQ_TRY(claim(import, &identity, err));
    return run(import, err);
}

enum aq_status aq_import_file(struct aq_importer *importer, const char *path, struct aq_error *err)
{
    struct aq_import import = {.importer = importer, .path = path};
    AQ_TRY(aq_source_file_open(path, aq_store_home_fd(importer->store), importer->options->stop,
                               &import.source, err));
    enum aq_status status = aq_stream_init(&import.stream, import.source, err);
    if (status == AQ_OK)
        status = import_opened(&import, err);
    importer->report->file_count++;
    aq_import_clear(importer);
    aq_import_crew_end(importer->crew);
    aq_csv_decoder_destroy(import.csv);
    aq_parquet_import_close(import.parquet);
    aq_splitter_deinit(&import.splitter);
    aq_stream_deinit(&import.stream);
    aq_source_file_close(import.source);
    return status;
}
