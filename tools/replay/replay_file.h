/* A file as messages for a topic: the value to send, and a key from it. */
#ifndef AQ_TOOLS_REPLAY_REPLAY_FILE_H
#define AQ_TOOLS_REPLAY_REPLAY_FILE_H

#include "engine/ingest/file/read/source_file.h"
#include "engine/ingest/file/read/split.h"

#include <stdatomic.h>

struct aq_replay_options {
    enum aq_source_format format; /* AUTO: by extension, then content */
    bool as_csv;                  /* CSV records as header and record; else as JSON objects */
    const char *key;              /* path of the key in the message, or NULL */
};

struct aq_replay_pick;

/** Caller-owned; zero-initialise. */
struct aq_replay_file {
    const struct aq_replay_options *options;
    enum aq_source_format format;
    struct aq_source_file *source;
    struct aq_stream stream;
    struct aq_splitter splitter;
    struct aq_replay_pick *key; /* NULL: none wanted */
    struct aq_replay_pick *row; /* CSV to JSON; NULL: values are sent as they are */
    struct aq_bytes value;      /* header and record */
    size_t header_size;
    uint64_t skipped_count; /* records that are no message, such as CSV with a field too many */
};

/** @param options  Must outlive the file. @param stop  As for aq_source_file_open. */
enum aq_status aq_replay_open(struct aq_replay_file *file, const char *path,
                              const struct aq_replay_options *options, const atomic_bool *stop,
                              struct aq_error *err) AQ_RESULT;
void aq_replay_close(struct aq_replay_file *file);
/** The next message, borrowed until the next call; `key` with data NULL: it has none. AQ_END behind the last
 * one. */
enum aq_status aq_replay_next(struct aq_replay_file *file, struct aq_slice *value,
                              struct aq_slice *key, struct aq_error *err) AQ_RESULT;

/** Whether `path` can be a key's. AQ_INVALID with what was expected. */
enum aq_status aq_replay_check_key(const char *path, struct aq_error *err) AQ_RESULT;

#endif
