/* One run of aq_ingest_files, shared by ingest_files.c (the run), import_file.c (one file) and
 * import_frame.c (one frame). */
#ifndef AQ_ENGINE_INGEST_IMPORTER_H
#define AQ_ENGINE_INGEST_IMPORTER_H

#include "engine/ingest/decode/decode.h"
#include "engine/ingest/file/file_identity.h"
#include "engine/ingest/ingest.h"
#include "engine/ingest/route.h"
#include "engine/ingest/file/split.h"
#include "engine/store/shard_writer.h"

struct aq_importer {
    struct aq_store *store;
    const struct aq_ingest_options *options;
    struct aq_ingest_report *report;
    const struct aq_schema *schema; /* as recorded; borrowed from the store */
    const struct aq_schema *rejects;
    struct aq_decoder *decoder;
    struct aq_json_decoder *json;
    struct aq_router *row_router;
    struct aq_router *reject_router;
    struct aq_shard_writer *writer;
    struct aq_catalog_feed *feeds; /* the dataset's file feeds, kept up to date by this run */
    size_t feed_count;
    size_t feed_capacity;
    struct aq_arena arena; /* their names */
};

/** The file that is being imported. */
struct aq_import {
    struct aq_importer *importer;
    const char *path;
    struct aq_source_file *source;
    struct aq_stream stream;
    struct aq_splitter splitter;
    enum aq_source_format format;
    struct aq_csv_decoder *csv;
    struct aq_catalog_feed feed; /* where it stands, as of the last frame */
    uint64_t ordinal;            /* of the next message */
    int64_t frame_begun_us;      /* CLOCK_MONOTONIC */
};

/** One file, whatever it is: known, continued or new. */
enum aq_status aq_import_file(struct aq_importer *importer, const char *path,
                              struct aq_error *err) AQ_RESULT;

/** Write what has been decoded since the last frame as one frame, with the file's position behind it.
 * Nothing decoded, nothing finished: nothing is written. */
enum aq_status aq_import_close_frame(struct aq_import *import, bool finished,
                                     struct aq_error *err) AQ_RESULT;
void aq_import_begin_frame(struct aq_import *import);
/** Whether the frame is full or old enough. */
bool aq_import_frame_is_due(const struct aq_import *import, bool look_at_clock);

/** Remember where a feed of this run stands; it replaces what is known of the feed. */
enum aq_status aq_importer_note_feed(struct aq_importer *importer,
                                     const struct aq_catalog_feed *feed,
                                     struct aq_error *err) AQ_RESULT;
void aq_importer_notice(const struct aq_importer *importer, const char *format, ...)
    AQ_PRINTF(2, 3);
bool aq_importer_is_stopped(const struct aq_importer *importer);

#endif
