/* Step 1 of a message's way: a window that slides over the decoded bytes.
 *
 * Happy path: the window is refilled at its end; what was taken from its beginning goes into the running
 * hash when the window moves on or the hash is asked for, so every byte is hashed once, and late enough
 * that the hash of any record's end can be had.
 * Failures: of reading and memory. The window grows with what its user does not take; records.c bounds
 * that. */
#include "engine/ingest/file/read/stream.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES_MIN ((size_t)1 << 20)

enum aq_status aq_stream_init(struct aq_stream *stream, struct aq_source_file *file,
                              struct aq_error *err)
{
    *stream = (struct aq_stream){.file = file, .hasher = aq_hasher_create()};
    stream->data = malloc(WINDOW_BYTES_MIN);
    stream->capacity = WINDOW_BYTES_MIN;
    if (stream->data != NULL && stream->hasher != NULL)
        return AQ_OK;
    aq_stream_deinit(stream);
    return aq_error_set(err, AQ_NO_MEMORY, "reading a file: out of memory");
}

void aq_stream_deinit(struct aq_stream *stream)
{
    free(stream->data);
    aq_hasher_destroy(stream->hasher);
    *stream = (struct aq_stream){0};
}

static void hash_taken(struct aq_stream *stream)
{
    aq_hasher_update(stream->hasher, stream->data + stream->hashed, stream->begin - stream->hashed);
    stream->hashed = stream->begin;
}

static enum aq_status make_room(struct aq_stream *stream, struct aq_error *err)
{
    hash_taken(stream);
    size_t size = stream->end - stream->begin;
    if (stream->begin > 0 && size > 0)
        memmove(stream->data, stream->data + stream->begin, size);
    stream->begin = 0;
    stream->hashed = 0;
    stream->end = size;
    if (stream->capacity - size >= WINDOW_BYTES_MIN / 2)
        return AQ_OK;
    uint8_t *grown = realloc(stream->data, 2 * stream->capacity);
    if (grown == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "reading a file: out of memory");
    stream->data = grown;
    stream->capacity *= 2;
    return AQ_OK;
}

enum aq_status aq_stream_fill(struct aq_stream *stream, struct aq_error *err)
{
    size_t got;
    if (stream->ended)
        return AQ_OK;
    AQ_TRY(make_room(stream, err));
    AQ_TRY(aq_source_file_read(stream->file, stream->data + stream->end,
                               stream->capacity - stream->end, &got, err));
    stream->end += got;
    stream->ended = got == 0;
    return AQ_OK;
}

void aq_stream_take(struct aq_stream *stream, size_t size)
{
    stream->begin += size;
    stream->offset += size;
}

struct aq_hash128 aq_stream_hash(struct aq_stream *stream)
{
    hash_taken(stream);
    return aq_hasher_digest(stream->hasher);
}

enum aq_status aq_stream_rewind(struct aq_stream *stream, bool last, struct aq_error *err)
{
    stream->begin = 0;
    stream->end = 0;
    stream->hashed = 0;
    stream->offset = 0;
    stream->ended = false;
    aq_hasher_reset(stream->hasher);
    return aq_source_file_rewind(stream->file, last, err);
}
