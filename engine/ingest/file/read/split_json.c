/* Step 1 of a message's way: a JSON file to messages.
 *
 * Happy path: a file that begins with [ is an array whose elements are the messages, found by counting
 * brackets outside of strings, so that a big array is never in memory whole; any other file is one
 * message. JSON is validated whole, so the file is read twice: once to check, once to take.
 * Failures: a fault anywhere makes the whole file one reject. */
#include "engine/ingest/file/read/split.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/text/json_text.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t scan_nothing(struct aq_splitter *splitter, const uint8_t *data, size_t size)
{
    (void)splitter;
    (void)data;
    return size;
}

/* The comma or bracket that ends an element of the outermost array. */
static size_t scan_element(struct aq_splitter *splitter, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t c = data[i];
        if (splitter->in_string) {
            if (splitter->escaped)
                splitter->escaped = false;
            else if (c == '\\')
                splitter->escaped = true;
            else if (c == '"')
                splitter->in_string = false;
        } else if (c == '"') {
            splitter->in_string = true;
        } else if (c == '{' || c == '[') {
            splitter->depth++;
        } else if (splitter->depth == 0 && (c == ',' || c == ']')) {
            return i;
        } else if ((c == '}' || c == ']') && splitter->depth > 0) {
            splitter->depth--;
        }
    }
    return size;
}

static struct aq_slice trim(struct aq_slice text)
{
    while (text.size > 0 && is_space(text.data[0]))
        text = aq_slice_make(text.data + 1, text.size - 1);
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Take white space, if there is any; else have a byte in the window unless the file ends. */
static enum aq_status pass_space(struct aq_stream *stream, size_t *passed, struct aq_error *err)
{
    *passed = 0;
    while (stream->begin == stream->end && !stream->ended)
        AQ_TRY(aq_stream_fill(stream, err));
    struct aq_slice window = aq_stream_window(stream);
    while (*passed < window.size && is_space(window.data[*passed]))
        ++*passed;
    aq_stream_take(stream, *passed);
    return AQ_OK;
}

static enum aq_status next_element(struct aq_splitter *splitter, struct aq_message *message,
                                   struct aq_error *err)
{
    struct aq_stream *stream = splitter->stream;
    size_t size;
    bool found;
    splitter->depth = 0;
    splitter->in_string = false;
    splitter->escaped = false;
    AQ_TRY(aq_splitter_delimit(splitter, scan_element, &size, &found, message, err));
    struct aq_slice window = aq_stream_window(stream);
    bool last = found && window.data[size] == ']';
    bool first = splitter->phase == AQ_SPLIT_FIRST;
    if (message->kind == AQ_MESSAGE_WHOLE) {
        message->bytes = trim(aq_slice_make(window.data, size));
        if (last && first && message->bytes.size == 0)
            message->kind = AQ_MESSAGE_NONE;
        if (!found) {
            message->kind = AQ_MESSAGE_BROKEN;
            message->reason = "the array is not closed";
        }
    }
    splitter->phase = !found ? AQ_SPLIT_DONE : last ? AQ_SPLIT_BEHIND : AQ_SPLIT_ELEMENT;
    aq_stream_take(stream, size + found);
    return AQ_OK;
}

/* All the rest of the file. */
static enum aq_status take_rest(struct aq_splitter *splitter, struct aq_message *message,
                                struct aq_error *err)
{
    size_t size;
    bool found;
    splitter->phase = AQ_SPLIT_DONE;
    AQ_TRY(aq_splitter_delimit(splitter, scan_nothing, &size, &found, message, err));
    if (message->kind == AQ_MESSAGE_WHOLE)
        message->bytes = aq_slice_make(splitter->stream->data + splitter->stream->begin, size);
    aq_stream_take(splitter->stream, size);
    return AQ_OK;
}

static enum aq_status begin(struct aq_splitter *splitter, struct aq_message *message,
                            struct aq_error *err)
{
    struct aq_stream *stream = splitter->stream;
    size_t passed;
    AQ_TRY(pass_space(stream, &passed, err));
    message->kind = AQ_MESSAGE_NONE;
    if (passed > 0)
        return AQ_OK;
    if (stream->begin == stream->end) {
        splitter->phase = AQ_SPLIT_DONE;
        *message = (struct aq_message){.kind = AQ_MESSAGE_BROKEN, .reason = "there is none"};
        return AQ_OK;
    }
    if (stream->data[stream->begin] != '[')
        return take_rest(splitter, message, err);
    aq_stream_take(stream, 1);
    splitter->phase = AQ_SPLIT_FIRST;
    return AQ_OK;
}

static enum aq_status behind(struct aq_splitter *splitter, struct aq_message *message,
                             struct aq_error *err)
{
    size_t passed;
    AQ_TRY(pass_space(splitter->stream, &passed, err));
    message->kind = AQ_MESSAGE_NONE;
    if (passed > 0)
        return AQ_OK;
    if (splitter->stream->begin == splitter->stream->end)
        return AQ_END;
    AQ_TRY(take_rest(splitter, message, err));
    message->kind = AQ_MESSAGE_BROKEN;
    message->reason = "more follows behind the array";
    return AQ_OK;
}

static enum aq_status take_broken(struct aq_splitter *splitter, struct aq_message *message,
                                  struct aq_error *err)
{
    AQ_TRY(take_rest(splitter, message, err));
    if (message->kind == AQ_MESSAGE_WHOLE)
        message->reason = splitter->broken_reason;
    message->kind = AQ_MESSAGE_BROKEN;
    return AQ_OK;
}

enum aq_status aq_splitter_next_json(struct aq_splitter *splitter, struct aq_message *message,
                                     struct aq_error *err)
{
    switch (splitter->phase) {
    case AQ_SPLIT_BEGIN:
        return splitter->broken ? take_broken(splitter, message, err)
                                : begin(splitter, message, err);
    case AQ_SPLIT_FIRST:
    case AQ_SPLIT_ELEMENT:
        return next_element(splitter, message, err);
    case AQ_SPLIT_BEHIND:
        return behind(splitter, message, err);
    default:
        return AQ_END;
    }
}

/* @return AQ_REJECT with the fault of the first message that has one. A message that is too long is
 * passed over, here and later. */
static enum aq_status find_fault(struct aq_splitter *splitter, struct aq_json_index *index,
                                 size_t *count, const char **why, struct aq_error *err)
{
    struct aq_message message;
    for (*count = 0;;) {
        enum aq_status status = aq_splitter_next(splitter, &message, err);
        if (status != AQ_OK)
            return status;
        *count += message.kind != AQ_MESSAGE_NONE;
        *why = message.reason;
        if (message.kind == AQ_MESSAGE_BROKEN && message.reason != splitter->reason)
            return AQ_REJECT;
        if (message.kind == AQ_MESSAGE_WHOLE)
            AQ_TRY(aq_json_check(index, message.bytes, why));
    }
}

enum aq_status aq_splitter_check_json(struct aq_splitter *splitter, struct aq_error *err)
{
    const char *why = NULL;
    size_t count = 0;
    struct aq_json_index *index = aq_json_index_create();
    if (index == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "checking a JSON file: out of memory");
    enum aq_status status = find_fault(splitter, index, &count, &why, err);
    aq_json_index_destroy(index);
    if (status == AQ_NO_MEMORY)
        return aq_error_set(err, AQ_NO_MEMORY, "checking a JSON file: out of memory");
    splitter->broken = status == AQ_REJECT;
    if (status == AQ_REJECT)
        snprintf(splitter->broken_reason, sizeof splitter->broken_reason,
                 "not JSON: value %zu of the file: %s", count, why);
    splitter->phase = AQ_SPLIT_BEGIN;
    splitter->begun = false;
    return status == AQ_END || status == AQ_REJECT ? AQ_OK : status;
}
