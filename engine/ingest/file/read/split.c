/* Step 1 of a message's way: where one message ends and the next begins, in lines and CSV.
 *
 * Happy path: a line ends at the next line feed; so does a CSV record unless the line holds a quote, when
 * the quotes are followed to the record's end. A byte order mark is passed over, and so are blank lines.
 * Failures: a message longer than AQ_RECORD_BYTES_MAX is passed over in pieces and becomes a reject of its
 * first bytes; of a quote that is not closed before that limit or the end of the file only the first line
 * is given up, so that one stray quote does not swallow what follows. */
#include "engine/ingest/file/read/split.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/ingest/decode/decode.h"
#include "engine/base/text/json_text.h"

#define QUOTE_OPEN SIZE_MAX

void aq_splitter_init(struct aq_splitter *splitter, struct aq_stream *stream,
                      enum aq_source_format format)
{
    *splitter = (struct aq_splitter){.stream = stream, .format = format};
}

void aq_splitter_deinit(struct aq_splitter *splitter)
{
    aq_bytes_deinit(&splitter->head);
}

/* The rest of a message whose first `size` bytes, all there is in the window, are too many. */
static enum aq_status pass_long(struct aq_splitter *splitter, aq_scan_fn scan, size_t size,
                                bool *found, struct aq_message *message, struct aq_error *err)
{
    struct aq_stream *stream = splitter->stream;
    struct aq_hasher *hasher = aq_hasher_create();
    enum aq_status status = AQ_OK;
    uint64_t total = 0;
    if (hasher == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "passing over a long message: out of memory");
    aq_bytes_clear(&splitter->head);
    aq_bytes_append(&splitter->head, stream->data + stream->begin, AQ_REJECT_HEAD_BYTES);
    for (;;) {
        aq_hasher_update(hasher, stream->data + stream->begin, size);
        aq_stream_take(stream, size);
        total += size;
        if (*found || (stream->ended && stream->begin == stream->end))
            break;
        status = aq_stream_fill(stream, err);
        if (status < 0)
            break;
        struct aq_slice window = aq_stream_window(stream);
        size = scan(splitter, window.data, window.size);
        *found = size < window.size;
    }
    struct aq_hash128 hash = aq_hasher_digest(hasher);
    aq_hasher_destroy(hasher);
    aq_long_message_reason(total, &hash, splitter->reason, sizeof splitter->reason);
    *message = (struct aq_message){.kind = AQ_MESSAGE_BROKEN,
                                   .bytes = aq_bytes_view(&splitter->head),
                                   .reason = splitter->reason,
                                   .reject_class = AQ_REJECT_SIZE};
    return status < 0 ? status : aq_bytes_status(&splitter->head);
}

enum aq_status aq_splitter_delimit(struct aq_splitter *splitter, aq_scan_fn scan, size_t *size,
                                   bool *found, struct aq_message *message, struct aq_error *err)
{
    struct aq_stream *stream = splitter->stream;
    size_t scanned = 0;
    message->kind = AQ_MESSAGE_WHOLE;
    for (;;) {
        struct aq_slice window = aq_stream_window(stream);
        *size = scanned + scan(splitter, window.data + scanned, window.size - scanned);
        *found = *size < window.size;
        scanned = window.size;
        if (*found || stream->ended || window.size > AQ_RECORD_BYTES_MAX)
            break;
        if (splitter->held)
            return AQ_NOT_FOUND;
        AQ_TRY(aq_stream_fill(stream, err));
    }
    if (*size <= AQ_RECORD_BYTES_MAX)
        return AQ_OK;
    if (splitter->held)
        return AQ_NOT_FOUND;
    size_t too_many = *size;
    *size = 0;
    return pass_long(splitter, scan, too_many, found, message, err);
}

static size_t scan_line(struct aq_splitter *splitter, const uint8_t *data, size_t size)
{
    (void)splitter;
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    return end == NULL ? size : (size_t)(end - data);
}

static struct aq_slice without_return(const uint8_t *data, size_t size)
{
    return aq_slice_make(data, size > 0 && data[size - 1] == '\r' ? size - 1 : size);
}

static bool is_blank(struct aq_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != ' ' && text.data[i] != '\t')
            return false;
    }
    return true;
}

static enum aq_status next_line(struct aq_splitter *splitter, struct aq_message *message,
                                struct aq_error *err)
{
    size_t size;
    bool found;
    AQ_TRY(aq_splitter_delimit(splitter, scan_line, &size, &found, message, err));
    if (message->kind == AQ_MESSAGE_WHOLE) {
        struct aq_slice window = aq_stream_window(splitter->stream);
        if (size == 0 && !found)
            return AQ_END;
        message->bytes = without_return(window.data, size);
        if (is_blank(message->bytes))
            message->kind = AQ_MESSAGE_NONE;
    }
    aq_stream_take(splitter->stream, size + found);
    return AQ_OK;
}

/* Behind the quoted field that begins at `at`, or QUOTE_OPEN. A quote that is the window's last byte may
 * be the first of two. */
static size_t skip_quoted(const uint8_t *data, size_t at, size_t size, bool ended)
{
    for (at++;;) {
        const uint8_t *quote = at < size ? memchr(data + at, '"', size - at) : NULL;
        if (quote == NULL)
            return QUOTE_OPEN;
        at = (size_t)(quote - data) + 1;
        if (at == size)
            return ended ? at : QUOTE_OPEN;
        if (data[at] != '"')
            return at;
        at++;
    }
}

/* Index of the line feed behind the record, `size` when the window ends before, or QUOTE_OPEN. */
static size_t find_record_end(const uint8_t *data, size_t size, bool ended)
{
    size_t at = 0;
    for (;;) {
        if (at < size && data[at] == '"') {
            at = skip_quoted(data, at, size, ended);
            if (at == QUOTE_OPEN)
                return QUOTE_OPEN;
        }
        while (at < size && data[at] != ',' && data[at] != '\n')
            at++;
        if (at == size || data[at] == '\n')
            return at;
        at++;
    }
}

/* A record whose first line holds a quote. `line_size` is what to fall back to. */
static enum aq_status extend_record(struct aq_splitter *splitter, size_t line_size, size_t *size,
                                    struct aq_error *err)
{
    struct aq_stream *stream = splitter->stream;
    for (;;) {
        struct aq_slice window = aq_stream_window(stream);
        size_t end = find_record_end(window.data, window.size, stream->ended);
        *size = end == QUOTE_OPEN ? line_size : end;
        bool complete = end < window.size || stream->ended;
        if (complete && *size <= AQ_RECORD_BYTES_MAX)
            return AQ_OK;
        *size = line_size;
        if (complete || window.size > AQ_RECORD_BYTES_MAX)
            return AQ_OK;
        if (splitter->held)
            return AQ_NOT_FOUND;
        AQ_TRY(aq_stream_fill(stream, err));
    }
}

static enum aq_status next_record(struct aq_splitter *splitter, struct aq_message *message,
                                  struct aq_error *err)
{
    struct aq_stream *stream = splitter->stream;
    size_t size;
    bool found;
    AQ_TRY(aq_splitter_delimit(splitter, scan_line, &size, &found, message, err));
    if (message->kind == AQ_MESSAGE_WHOLE) {
        if (size == 0 && !found)
            return AQ_END;
        if (size > 0 && memchr(stream->data + stream->begin, '"', size) != NULL)
            AQ_TRY(extend_record(splitter, size, &size, err));
        found = stream->begin + size < stream->end;
        message->bytes = without_return(stream->data + stream->begin, size);
        if (message->bytes.size == 0 && !(splitter->has_header && splitter->one_column))
            message->kind = AQ_MESSAGE_NONE;
    }
    aq_stream_take(stream, size + found);
    if (message->kind == AQ_MESSAGE_WHOLE && !splitter->has_header) {
        message->kind = AQ_MESSAGE_HEADER;
        splitter->has_header = true;
        splitter->one_column = memchr(message->bytes.data, ',', message->bytes.size) == NULL;
    }
    return AQ_OK;
}

static enum aq_status pass_byte_order_mark(struct aq_stream *stream, struct aq_error *err)
{
    while (stream->end - stream->begin < 3 && !stream->ended)
        AQ_TRY(aq_stream_fill(stream, err));
    struct aq_slice window = aq_stream_window(stream);
    if (window.size >= 3 && memcmp(window.data, "\xef\xbb\xbf", 3) == 0)
        aq_stream_take(stream, 3);
    return AQ_OK;
}

enum aq_status aq_splitter_next(struct aq_splitter *splitter, struct aq_message *message,
                                struct aq_error *err)
{
    *message = (struct aq_message){.reject_class = AQ_REJECT_SYNTAX};
    if (!splitter->begun) {
        AQ_TRY(pass_byte_order_mark(splitter->stream, err));
        splitter->begun = true;
    }
    switch (splitter->format) {
    case AQ_FORMAT_CSV:
        return next_record(splitter, message, err);
    case AQ_FORMAT_JSON:
        return aq_splitter_next_json(splitter, message, err);
    default:
        return next_line(splitter, message, err);
    }
}

enum aq_status aq_splitter_next_held(struct aq_splitter *splitter, struct aq_message *message)
{
    bool element = splitter->phase == AQ_SPLIT_FIRST || splitter->phase == AQ_SPLIT_ELEMENT;
    if (!splitter->begun || (splitter->format == AQ_FORMAT_JSON && !element))
        return AQ_NOT_FOUND;
    splitter->held = true;
    enum aq_status status = aq_splitter_next(splitter, message, NULL);
    splitter->held = false;
    return status;
}

static bool ends_with(struct aq_slice name, const char *suffix)
{
    size_t size = strlen(suffix);
    return name.size > size &&
           strncasecmp((const char *)name.data + name.size - size, suffix, size) == 0;
}

/* What begins with { is NDJSON if its first line is a value by itself, else one value over lines. */
static enum aq_status detect_json(struct aq_slice window, enum aq_source_format *format)
{
    const uint8_t *end = window.size == 0 ? NULL : memchr(window.data, '\n', window.size);
    size_t size = end == NULL ? window.size : (size_t)(end - window.data);
    const char *why;
    *format = AQ_FORMAT_NDJSON;
    if (size > AQ_RECORD_BYTES_MAX)
        return AQ_OK;
    struct aq_json_index *index = aq_json_index_create();
    if (index == NULL)
        return AQ_NO_MEMORY;
    enum aq_status status = aq_json_check(index, aq_slice_make(window.data, size), &why);
    aq_json_index_destroy(index);
    if (status == AQ_REJECT)
        *format = AQ_FORMAT_JSON;
    return status == AQ_REJECT ? AQ_OK : status;
}

enum aq_status aq_format_detect(struct aq_slice name, struct aq_stream *stream,
                                enum aq_source_format *format, struct aq_error *err)
{
    *format = AQ_FORMAT_CSV;
    if (ends_with(name, ".csv"))
        return AQ_OK;
    *format = AQ_FORMAT_NDJSON;
    if (ends_with(name, ".ndjson") || ends_with(name, ".jsonl"))
        return AQ_OK;
    while (stream->end - stream->begin < 4096 && !stream->ended)
        AQ_TRY(aq_stream_fill(stream, err));
    struct aq_slice window = aq_stream_window(stream);
    *format = AQ_FORMAT_PARQUET;
    if (window.size >= 4 && memcmp(window.data, "PAR1", 4) == 0)
        return AQ_OK;
    if (window.size >= 3 && memcmp(window.data, "\xef\xbb\xbf", 3) == 0)
        window = aq_slice_make(window.data + 3, window.size - 3);
    while (window.size > 0 && (*window.data <= ' '))
        window = aq_slice_make(window.data + 1, window.size - 1);
    *format = AQ_FORMAT_JSON;
    if (window.size > 0 && *window.data == '[')
        return AQ_OK;
    if (window.size > 0 && *window.data == '{')
        return detect_json(window, format);
    *format = ends_with(name, ".json") ? AQ_FORMAT_JSON : AQ_FORMAT_CSV;
    return AQ_OK;
}
