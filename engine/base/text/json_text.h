/* JSON's grammar beneath the structure: strings, numbers, literals, whole values. */
#ifndef AQ_ENGINE_JSON_TEXT_H
#define AQ_ENGINE_JSON_TEXT_H

#include "engine/base/text/json_index.h"

/** Objects and arrays inside each other; deeper is a reject. */
#define AQ_JSON_DEPTH_MAX 512

/** A walk over the tokens of one text (json_index.h). */
struct aq_json_cursor {
    const uint8_t *text;
    size_t size;
    const uint32_t *offsets;
    size_t token_count;
    size_t token;       /* the next one */
    size_t plain_begin; /* no backslash stands from here ... */
    size_t plain_end;   /* ... to here */
    const char *reason; /* after a failure: what is wrong (static text) ... */
    size_t reason_at;   /* ... and at which byte */
};

/** First byte of the next token; 0 at the end. */
static inline uint8_t aq_json_peek(const struct aq_json_cursor *cursor)
{
    return cursor->token < cursor->token_count ? cursor->text[cursor->offsets[cursor->token]] : 0;
}

/** Note why the text is refused, at the next token. @return false. */
bool aq_json_fail(struct aq_json_cursor *cursor, const char *reason);

/** Whether `inside`, a checked string's of the text, is known to have no backslash; it is not looked at. */
static inline bool aq_json_is_plain(const struct aq_json_cursor *cursor, struct aq_slice inside)
{
    size_t begin = (size_t)(inside.data - cursor->text);
    return begin >= cursor->plain_begin && begin + inside.size <= cursor->plain_end;
}

/** A string token: `inside` is what stands between its quotes, `escaped` whether it has backslashes;
 * every escape is checked. Moves behind it. */
bool aq_json_string(struct aq_json_cursor *cursor, struct aq_slice *inside, bool *escaped);
/** A member's name, as a string, and the colon. Moves behind that. */
bool aq_json_key(struct aq_json_cursor *cursor, struct aq_slice *name, bool *escaped);
/** Text of a checked string's inside; `out` has room for inside.size bytes. @return bytes written. */
size_t aq_json_unescape(struct aq_slice inside, uint8_t *out);
/** A number, true, false or null: its text. Moves behind it. */
bool aq_json_scalar(struct aq_json_cursor *cursor, struct aq_slice *scalar);
/** Any value, checked whole, `depth` deep already: its text. Moves behind it. */
bool aq_json_value(struct aq_json_cursor *cursor, unsigned depth, struct aq_slice *value);

/** Whether `text` is one JSON value. AQ_REJECT with why (static text); AQ_NO_MEMORY. */
enum aq_status aq_json_check(struct aq_json_index *index, struct aq_slice text,
                             const char **why) AQ_RESULT;

#endif
