/* A window on a source file's decoded bytes, and the hash of all bytes before a position in it. */
#ifndef AQ_ENGINE_INGEST_STREAM_H
#define AQ_ENGINE_INGEST_STREAM_H

#include "engine/ingest/file/read/source_file.h"
#include "format/base/checksum.h"

/** Caller-owned; fields are read-only outside of stream.c. */
struct aq_stream {
    struct aq_source_file *file; /* borrowed */
    uint8_t *data;
    size_t begin; /* window: data[begin, end) */
    size_t end;
    size_t capacity;
    size_t hashed;   /* data[hashed, begin) is not in the hash yet */
    uint64_t offset; /* of data[begin] in the file's decoded bytes */
    bool ended;      /* nothing follows the window */
    struct aq_hasher *hasher;
};

enum aq_status aq_stream_init(struct aq_stream *stream, struct aq_source_file *file,
                              struct aq_error *err) AQ_RESULT;
void aq_stream_deinit(struct aq_stream *stream);

/** More bytes at the window's end, or `ended`. Moves the window's bytes: slices into it are lost. */
enum aq_status aq_stream_fill(struct aq_stream *stream, struct aq_error *err) AQ_RESULT;
/** The window begins `size` bytes later; what was passed stays in memory until the next fill. */
void aq_stream_take(struct aq_stream *stream, size_t size);
/** XXH3-128 of all decoded bytes before `offset`. */
struct aq_hash128 aq_stream_hash(struct aq_stream *stream);
/** Start again at byte 0; `last`: not again (source_file.h). */
enum aq_status aq_stream_rewind(struct aq_stream *stream, bool last,
                                struct aq_error *err) AQ_RESULT;

static inline struct aq_slice aq_stream_window(const struct aq_stream *stream)
{
    return aq_slice_make(stream->data + stream->begin, stream->end - stream->begin);
}

#endif
