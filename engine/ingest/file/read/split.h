/* From a file's bytes to messages: lines, CSV records, elements of a JSON array. */
#ifndef AQ_ENGINE_INGEST_SPLIT_H
#define AQ_ENGINE_INGEST_SPLIT_H

#include "engine/ingest/file/read/stream.h"
#include "engine/ingest/monitor.h"

enum aq_message_kind {
    AQ_MESSAGE_NONE,   /* bytes that are no message: blank lines, an array's brackets */
    AQ_MESSAGE_HEADER, /* CSV: the first record */
    AQ_MESSAGE_WHOLE,
    AQ_MESSAGE_BROKEN, /* a reject, for `reason` */
};

struct aq_message {
    enum aq_message_kind kind;
    struct aq_slice bytes; /* without its line end or comma; borrowed until the next call */
    const char *reason;
    enum aq_reject_class reject_class;
};

/** Caller-owned; private to split.c and split_json.c. */
struct aq_splitter {
    struct aq_stream *stream; /* borrowed */
    enum aq_source_format format;
    bool begun;
    bool held; /* see aq_splitter_next_held */
    bool has_header;
    bool one_column; /* of a CSV header: an empty line is a record */
    enum aq_split_phase {
        AQ_SPLIT_BEGIN,
        AQ_SPLIT_FIRST,
        AQ_SPLIT_ELEMENT,
        AQ_SPLIT_BEHIND,
        AQ_SPLIT_DONE
    } phase; /* JSON */
    size_t depth;
    bool in_string;
    bool escaped;
    struct aq_bytes head; /* first bytes of a message that is too long */
    char reason[192];
    bool broken;             /* JSON: the file is one reject ... */
    char broken_reason[160]; /* ... for this */
};

/** `format` is CSV, NDJSON or JSON; the stream stands at byte 0. */
void aq_splitter_init(struct aq_splitter *splitter, struct aq_stream *stream,
                      enum aq_source_format format);
void aq_splitter_deinit(struct aq_splitter *splitter);

/**
 * The next message; the stream then stands behind it and its line end. The same bytes always split the
 * same way, so a position can be found again by splitting from the beginning.
 * @return AQ_OK, AQ_END, or a failure to read.
 */
enum aq_status aq_splitter_next(struct aq_splitter *splitter, struct aq_message *message,
                                struct aq_error *err) AQ_RESULT;

/**
 * The same without moving the window: what earlier calls of it gave stays where it is.
 * @return AQ_NOT_FOUND, with nothing taken, when the next message is not whole in the window, or can only be told by
 * aq_splitter_next.
 */
enum aq_status aq_splitter_next_held(struct aq_splitter *splitter,
                                     struct aq_message *message) AQ_RESULT;

/**
 * JSON values are validated whole: read the stream to its end and, if it holds no JSON value, make the
 * whole file one reject. For splitters of format JSON, before the first message; the caller rewinds the
 * stream.
 */
enum aq_status aq_splitter_check_json(struct aq_splitter *splitter, struct aq_error *err) AQ_RESULT;

/** Format of a file by its name (less a compression suffix), else by its first bytes in the stream's
 * window, of which nothing is taken. */
enum aq_status aq_format_detect(struct aq_slice name, struct aq_stream *stream,
                                enum aq_source_format *format, struct aq_error *err) AQ_RESULT;

/* Shared by split.c and split_json.c. */

/** Index of the byte that ends a message, or `size`; may keep state in the splitter. */
typedef size_t (*aq_scan_fn)(struct aq_splitter *splitter, const uint8_t *data, size_t size);

/**
 * Find the end of the message at the window's beginning, reading on as needed.
 * @param size   Bytes before the end.
 * @param found  Whether the byte that ends it is there; else the file ends.
 * A message longer than AQ_RECORD_BYTES_MAX is passed over: *size is 0 then, and `message` is BROKEN.
 */
enum aq_status aq_splitter_delimit(struct aq_splitter *splitter, aq_scan_fn scan, size_t *size,
                                   bool *found, struct aq_message *message,
                                   struct aq_error *err) AQ_RESULT;
/** The next message of a JSON file: its one value, or an element of its one array. */
enum aq_status aq_splitter_next_json(struct aq_splitter *splitter, struct aq_message *message,
                                     struct aq_error *err) AQ_RESULT;

#endif
