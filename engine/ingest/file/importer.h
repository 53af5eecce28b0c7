/* One run of aq_ingest_files, shared by ingest_files.c (the run), import_file.c (one file) and
 * import_frame.c (one frame). */
#ifndef AQ_ENGINE_INGEST_IMPORTER_H
#define AQ_ENGINE_INGEST_IMPORTER_H

#include "engine/ingest/decode/decode.h"
#include "engine/ingest/file/file_identity.h"
#include "engine/ingest/file/import_replace.h"
#include "engine/ingest/ingest.h"
#include "engine/ingest/route.h"
#include "engine/ingest/file/read/split.h"
#include "engine/store/segment/write/shard_writer.h"

#define AQ_IMPORT_FRAMES_IN_FLIGHT 4

/** A frame that was handed to the writer and is not known to be durable. */
struct aq_import_flight {
    int64_t begun_us; /* CLOCK_MONOTONIC */
    uint64_t input_bytes;
    uint64_t memory_bytes;
    uint64_t message_count;
    uint64_t reject_counts[AQ_REJECT_CLASS_COUNT];
};

/** What the monitor is told (import_watch.c). */
struct aq_import_watch {
    size_t source; /* of the monitor; SIZE_MAX: it does not know it */
    size_t first;  /* of the flights, which are a ring */
    size_t count;
    struct aq_import_flight flights[AQ_IMPORT_FRAMES_IN_FLIGHT + 1];
    uint64_t reject_counts[AQ_REJECT_CLASS_COUNT]; /* of the frame that is being filled */
    uint64_t bytes_written;                        /* as told last */
    uint64_t segment_count;
    uint64_t sealed_count;
    uint64_t segment_begin_bytes; /* bytes_written when the open segment was begun */
    int64_t segment_since_us;     /* wall clock */
};

struct aq_importer {
    struct aq_store *store;
    const struct aq_ingest_options *options;
    struct aq_ingest_report *report;
    const struct aq_schema *schema; /* as recorded; borrowed from the store */
    const struct aq_schema *rejects;
    struct aq_decoder *decoder;
    struct aq_json_decoder *json;
    struct aq_import_crew *crew;
    struct aq_router *row_router;
    struct aq_router *reject_router;
    struct aq_shard_writer *writer;
    struct aq_catalog_feed *feeds; /* the dataset's file feeds, kept up to date by this run */
    size_t feed_count;
    size_t feed_capacity;
    struct aq_arena arena; /* their names */
    struct aq_import_watch watch;
    struct aq_replacement replacement; /* with options->replace */
};

struct aq_parquet_import; /* import_parquet.h */
struct aq_import_crew;    /* import_crew.c */

/** The file that is being imported. */
struct aq_import {
    struct aq_importer *importer;
    const char *path;
    struct aq_source_file *source;
    struct aq_stream stream;
    struct aq_splitter splitter;
    enum aq_source_format format;
    struct aq_csv_decoder *csv;
    struct aq_parquet_import *parquet;
    struct aq_catalog_feed feed; /* where it stands, as of the last frame */
    uint64_t ordinal;            /* of the next message */
    uint64_t bytes_done;         /* Parquet: the part of the file that its rows so far are */
    uint64_t bytes_total;        /* 0: the source tells */
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
/** What was decoded since the last frame: forget it; its bytes in memory, roughly. */
void aq_import_clear(struct aq_importer *importer);
size_t aq_import_size_bytes(const struct aq_importer *importer);
/** Bytes of memory by which the frame that is being filled may grow at once. */
uint64_t aq_import_frame_room(const struct aq_import *import);
/** The next message was decoded, to a row or a reject.
 * @param reject_count  Rejects before it. */
enum aq_status aq_import_note_decoded(struct aq_import *import, enum aq_status decoded,
                                      size_t reject_count, struct aq_error *err) AQ_RESULT;
/** After each message: close a frame that is due.
 * @param count  Messages of this loop so far; clock and stop flag are looked at now and then.
 * @return AQ_INTERRUPTED when the import shall stop. */
enum aq_status aq_import_pace(struct aq_import *import, uint64_t count,
                              struct aq_error *err) AQ_RESULT;
/** AQ_INTERRUPTED, with its words. */
enum aq_status aq_import_stopped(struct aq_error *err) AQ_RESULT;

/** One message to a row or a reject; `csv` for CSV. Only `decoder`, `json` and `csv` change.
 * @thread Any, each with its own three. */
enum aq_status aq_import_decode(const struct aq_import *import, struct aq_decoder *decoder,
                                struct aq_json_decoder *json, struct aq_csv_decoder *csv,
                                uint64_t ordinal, const struct aq_message *message) AQ_RESULT;

/** Threads that decode side by side (import_crew.c); after the importer's decoders, whose options they have. */
enum aq_status aq_import_crew_create(const struct aq_importer *importer,
                                     struct aq_import_crew **crew, struct aq_error *err) AQ_RESULT;
void aq_import_crew_destroy(struct aq_import_crew *crew);
/** A CSV file with this header begins; at its end, and at that of any other file, aq_import_crew_end. */
enum aq_status aq_import_crew_begin(struct aq_import_crew *crew, struct aq_slice header,
                                    struct aq_error *err) AQ_RESULT;
void aq_import_crew_end(struct aq_import_crew *crew);
/** The rows it decoded have been written. */
void aq_import_crew_clear(struct aq_import_crew *crew);
/** Bytes that they hold in its own decoders, roughly. */
size_t aq_import_crew_size_bytes(const struct aq_import_crew *crew);
/** Decode messages that are whole in the window, as if one by one, and close the frames that are due: some, or none.
 * @return AQ_INTERRUPTED when the import shall stop; failures to read, when all before them is decoded. */
enum aq_status aq_import_crew_take(struct aq_import *import, struct aq_error *err) AQ_RESULT;

/** Remember where a feed of this run stands; it replaces what is known of the feed. */
enum aq_status aq_importer_note_feed(struct aq_importer *importer,
                                     const struct aq_catalog_feed *feed,
                                     struct aq_error *err) AQ_RESULT;
/** A frame goes to the writer, which may ack earlier ones while it takes it. */
void aq_import_watch_frame(struct aq_import *import, const struct aq_source_range *range);
/** It did not take the frame: the one that was noted last will not be acked. */
void aq_import_watch_failed(struct aq_importer *importer);
/** The oldest frame that was not known to be durable is. */
void aq_import_watch_ack(struct aq_importer *importer, const struct aq_source_range *range);
/** The writer has sealed its segment, or failed. */
void aq_import_watch_end(struct aq_importer *importer);

void aq_importer_notice(const struct aq_importer *importer, const char *format, ...)
    AQ_PRINTF(2, 3);
bool aq_importer_is_stopped(const struct aq_importer *importer);

#endif
