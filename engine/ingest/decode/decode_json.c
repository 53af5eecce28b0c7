/* Step 2 of a message's way: a JSON message to fields, in one walk over all of it.
 *
 * Happy path: simdjson finds the tokens (json_index.h); the walk goes down the message and the trie of
 * paths together, captures what a path names, collects what none names for `"*"`, and checks the grammar
 * of everything, named or not.
 * Failures: a fault anywhere makes the message a reject with the byte where it is. A repeated name is seen
 * when it comes again; then the walk is done once more, now knowing where the last ones are. */
#include "engine/ingest/decode/decode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/ingest/decode/json_paths.h"
#include "engine/base/text/json_text.h"

struct aq_json_decoder {
    struct aq_decoder *decoder;
    struct aq_trie trie;
    struct aq_json_index *index;
    struct aq_bytes rest;
    struct aq_bytes name; /* an unescaped member name */
    uint64_t message;     /* number of the present one, from 1 */
    struct aq_json_cursor cursor;
    bool repeated; /* a name came twice */
    bool settling; /* second walk: only last ones count */
    bool no_memory;
    uint64_t unknown_count;
    unsigned captured_depth; /* > 0 inside of a value kept whole: nothing is left over */
};

static bool walk_value(struct aq_json_decoder *json, uint32_t node, unsigned depth,
                       struct aq_slice *value);

static bool keeps_rest(const struct aq_json_decoder *json)
{
    return json->decoder->wants_rest && json->captured_depth == 0;
}

static enum aq_field_kind kind_of(uint8_t first)
{
    switch (first) {
    case '"':
        return AQ_FIELD_TEXT;
    case '{':
    case '[':
        return AQ_FIELD_NESTED;
    case 't':
    case 'f':
        return AQ_FIELD_BOOLEAN;
    case 'n':
        return AQ_FIELD_NULL;
    default:
        return AQ_FIELD_NUMBER;
    }
}

/* `value` is checked JSON. */
static bool make_field(struct aq_json_decoder *json, struct aq_slice value, struct aq_field *field)
{
    *field = (struct aq_field){.kind = kind_of(value.data[0]), .text = value, .json = value};
    if (field->kind != AQ_FIELD_TEXT)
        return true;
    field->text = aq_slice_make(value.data + 1, value.size - 2);
    if (aq_json_is_plain(&json->cursor, field->text) ||
        memchr(field->text.data, '\\', field->text.size) == NULL)
        return true;
    uint8_t *plain = aq_arena_alloc(&json->decoder->rows.arena, field->text.size);
    if (plain == NULL) {
        json->no_memory = true;
        return aq_json_fail(&json->cursor, "out of memory");
    }
    field->text = aq_slice_make(plain, aq_json_unescape(field->text, plain));
    field->owned = true;
    return true;
}

static bool capture(struct aq_json_decoder *json, uint32_t node, struct aq_slice value)
{
    struct aq_field *fields = json->decoder->fields;
    uint32_t first = json->trie.nodes[node].first_field;
    if (first == AQ_TRIE_NONE)
        return true;
    if (!make_field(json, value, &fields[first]))
        return false;
    for (uint32_t at = json->trie.next_field[first]; at != AQ_TRIE_NONE;
         at = json->trie.next_field[at])
        fields[at] = fields[first];
    return true;
}

/* A member's name, unescaped, and its text as written. Moves behind the colon. */
static bool take_name(struct aq_json_decoder *json, struct aq_slice *name, struct aq_slice *written)
{
    struct aq_json_cursor *cursor = &json->cursor;
    bool escaped;
    if (!aq_json_key(cursor, name, &escaped))
        return false;
    *written = aq_slice_make(name->data - 1, name->size + 2);
    if (!escaped)
        return true;
    aq_bytes_clear(&json->name);
    uint8_t *plain = aq_bytes_reserve(&json->name, name->size);
    if (plain == NULL) {
        json->no_memory = true;
        return aq_json_fail(cursor, "out of memory");
    }
    *name = aq_slice_make(plain, aq_json_unescape(*name, plain));
    return true;
}

static void begin_rest_item(struct aq_json_decoder *json, size_t begin, struct aq_slice written)
{
    if (json->rest.size > begin)
        aq_bytes_u8(&json->rest, ',');
    if (written.size > 0) {
        aq_bytes_append(&json->rest, written.data, written.size);
        aq_bytes_u8(&json->rest, ':');
    }
}

static void leave_over(struct aq_json_decoder *json, size_t begin, struct aq_slice written,
                       struct aq_slice value)
{
    json->unknown_count++;
    if (!keeps_rest(json))
        return;
    begin_rest_item(json, begin, written);
    aq_bytes_append(&json->rest, value.data, value.size);
}

/* A value that no path names. */
static bool pass_unnamed(struct aq_json_decoder *json, size_t begin, struct aq_slice written,
                         unsigned depth)
{
    struct aq_slice value;
    if (!aq_json_value(&json->cursor, depth, &value))
        return false;
    leave_over(json, begin, written, value);
    return true;
}

/* A value that only `when:` looks into: for the columns it is left over. */
static bool pass_looked_into(struct aq_json_decoder *json, uint32_t node, size_t begin,
                             struct aq_slice written, unsigned depth)
{
    struct aq_slice value;
    uint64_t unknown_count = json->unknown_count;
    json->captured_depth++;
    bool done = walk_value(json, node, depth, &value);
    json->captured_depth--;
    if (!done)
        return false;
    json->unknown_count = unknown_count;
    leave_over(json, begin, written, value);
    return true;
}

/* Whether the value at the cursor is of a form that the node's children or fields can be found in. */
static bool is_awaited(const struct aq_json_decoder *json, uint32_t node)
{
    const struct aq_trie_node *at = &json->trie.nodes[node];
    uint8_t c = aq_json_peek(&json->cursor);
    return at->first_field != AQ_TRIE_NONE || (c == '{' && at->has_members) ||
           (c == '[' && at->has_elements);
}

/* The same for the columns: else the value is left over for them, whatever the condition sees in it. */
static bool is_awaited_by_columns(const struct aq_json_decoder *json, uint32_t node)
{
    const struct aq_trie_node *at = &json->trie.nodes[node];
    uint8_t c = aq_json_peek(&json->cursor);
    return at->is_column || (c == '{' && at->has_named_members) ||
           (c == '[' && at->has_named_elements);
}

/* Of a name that is repeated only the last one counts. @return whether to pass over this one. */
static bool is_superseded(struct aq_json_decoder *json, uint32_t node)
{
    struct aq_trie_node *at = &json->trie.nodes[node];
    if (json->settling)
        return at->last_token != json->cursor.token;
    json->repeated = json->repeated || at->seen_message == json->message;
    at->seen_message = json->message;
    at->last_token = json->cursor.token;
    return false;
}

/* A column's value that no path leads into: nothing of it is left over. */
static bool pass_leaf(struct aq_json_decoder *json, uint32_t node, unsigned depth)
{
    struct aq_slice value;
    bool superseded = is_superseded(json, node);
    return aq_json_value(&json->cursor, depth, &value) &&
           (superseded || capture(json, node, value));
}

/* A value that some path leads to or through. Its rest is begun, and taken back if there is none; of an
 * array's elements null is left so that the others keep their places. */
static bool pass_named(struct aq_json_decoder *json, uint32_t node, size_t begin,
                       struct aq_slice written, unsigned depth, bool *kept)
{
    struct aq_slice ignored;
    bool is_named = json->trie.nodes[node].is_named;
    bool superseded = is_superseded(json, node);
    *kept = false;
    if (superseded && is_named)
        return aq_json_value(&json->cursor, depth, &ignored);
    *kept = true;
    if (superseded || !is_awaited(json, node))
        return pass_unnamed(json, begin, written, depth);
    if (!is_awaited_by_columns(json, node))
        return pass_looked_into(json, node, begin, written, depth);
    size_t before = json->rest.size;
    bool element = written.size == 0;
    if (keeps_rest(json))
        begin_rest_item(json, begin, written);
    size_t value_begin = json->rest.size;
    if (!walk_value(json, node, depth, &ignored))
        return false;
    *kept = json->rest.size > value_begin;
    if (keeps_rest(json) && !*kept && element)
        aq_bytes_append(&json->rest, "null", 4);
    else if (keeps_rest(json) && !*kept)
        json->rest.size = before;
    return true;
}

static bool walk_object(struct aq_json_decoder *json, uint32_t node, unsigned depth)
{
    struct aq_json_cursor *cursor = &json->cursor;
    bool rest = keeps_rest(json);
    size_t before = json->rest.size;
    if (rest)
        aq_bytes_u8(&json->rest, '{');
    size_t begin = json->rest.size;
    cursor->token++;
    bool more = aq_json_peek(cursor) != '}';
    while (more) {
        struct aq_slice name;
        struct aq_slice written;
        bool kept;
        if (!take_name(json, &name, &written))
            return false;
        uint32_t child = aq_trie_member(&json->trie, node, name);
        bool leaf = child != AQ_TRIE_NONE && json->trie.nodes[child].is_leaf;
        if (!(leaf                    ? pass_leaf(json, child, depth + 1)
              : child == AQ_TRIE_NONE ? pass_unnamed(json, begin, written, depth + 1)
                                      : pass_named(json, child, begin, written, depth + 1, &kept)))
            return false;
        more = aq_json_peek(cursor) == ',';
        cursor->token += more;
    }
    if (aq_json_peek(cursor) != '}')
        return aq_json_fail(cursor, "a comma or } is expected");
    cursor->token++;
    if (rest && json->rest.size == begin)
        json->rest.size = before;
    else if (rest)
        aq_bytes_u8(&json->rest, '}');
    return true;
}

static bool walk_array(struct aq_json_decoder *json, uint32_t node, unsigned depth)
{
    struct aq_json_cursor *cursor = &json->cursor;
    bool rest = keeps_rest(json);
    bool any_kept = false;
    size_t before = json->rest.size;
    if (rest)
        aq_bytes_u8(&json->rest, '[');
    size_t begin = json->rest.size;
    cursor->token++;
    bool more = aq_json_peek(cursor) != ']';
    for (int64_t index = 0; more; index++) {
        struct aq_slice nameless = {0};
        bool kept = true;
        uint32_t child = aq_trie_element(&json->trie, node, index);
        if (!(child == AQ_TRIE_NONE ? pass_unnamed(json, begin, nameless, depth + 1)
                                    : pass_named(json, child, begin, nameless, depth + 1, &kept)))
            return false;
        any_kept = any_kept || kept;
        more = aq_json_peek(cursor) == ',';
        cursor->token += more;
    }
    if (aq_json_peek(cursor) != ']')
        return aq_json_fail(cursor, "a comma or ] is expected");
    cursor->token++;
    if (rest && !any_kept)
        json->rest.size = before;
    else if (rest)
        aq_bytes_u8(&json->rest, ']');
    return true;
}

/* The value at the cursor, which `node` awaits. */
static bool walk_value(struct aq_json_decoder *json, uint32_t node, unsigned depth,
                       struct aq_slice *value)
{
    struct aq_json_cursor *cursor = &json->cursor;
    const struct aq_trie_node *at = &json->trie.nodes[node];
    uint8_t c = aq_json_peek(cursor);
    bool inside = (c == '{' && at->has_members) || (c == '[' && at->has_elements);
    if (!inside)
        return aq_json_value(cursor, depth, value) && capture(json, node, *value);
    if (depth >= AQ_JSON_DEPTH_MAX)
        return aq_json_fail(cursor, "nested deeper than 512");
    const uint8_t *begin = cursor->text + cursor->offsets[cursor->token];
    json->captured_depth += at->is_column;
    bool done = c == '{' ? walk_object(json, node, depth) : walk_array(json, node, depth);
    json->captured_depth -= at->is_column;
    if (!done)
        return false;
    const uint8_t *end = cursor->text + cursor->offsets[cursor->token - 1] + 1;
    *value = aq_slice_make(begin, (size_t)(end - begin));
    return capture(json, node, *value);
}

/* A message that no path leads into is its own rest, as written. */
static bool walk_message(struct aq_json_decoder *json)
{
    struct aq_json_cursor *cursor = &json->cursor;
    struct aq_slice whole;
    cursor->token = 0;
    json->rest.size = 0;
    json->repeated = false;
    json->unknown_count = 0;
    aq_decoder_begin(json->decoder);
    bool inside = is_awaited_by_columns(json, 0);
    bool empty = aq_json_peek(cursor) == '{' && cursor->token_count == 2;
    json->captured_depth = !inside;
    if (!(is_awaited(json, 0) ? walk_value(json, 0, 0, &whole) : aq_json_value(cursor, 0, &whole)))
        return false;
    if (!inside)
        json->unknown_count = 0;
    if (cursor->token != cursor->token_count)
        return aq_json_fail(cursor, "more follows behind the value");
    bool kept = json->rest.size > 0;
    if (inside && kept)
        whole = aq_bytes_view(&json->rest);
    if (!json->decoder->wants_rest || (inside && !kept) || empty)
        return true;
    return make_field(json, whole, &json->decoder->rest);
}

static bool walk(struct aq_json_decoder *json)
{
    json->message++;
    json->settling = false;
    if (!walk_message(json))
        return false;
    if (!json->repeated)
        return true;
    json->settling = true;
    return walk_message(json);
}

enum aq_status aq_json_decode(struct aq_json_decoder *json, uint64_t ordinal,
                              struct aq_slice message)
{
    struct aq_json_cursor *cursor = &json->cursor;
    const char *reason;
    *cursor = (struct aq_json_cursor){.text = message.data, .size = message.size};
    enum aq_status status =
        aq_json_index_build(json->index, message, &cursor->offsets, &cursor->token_count, &reason);
    if (status == AQ_REJECT)
        return aq_decoder_reject(json->decoder, AQ_REJECT_SYNTAX, ordinal, message, "not JSON: %s",
                                 reason);
    AQ_TRY(status);
    bool done = walk(json);
    if (json->no_memory || aq_bytes_status(&json->rest) < 0)
        return AQ_NO_MEMORY;
    if (!done)
        return aq_decoder_reject(json->decoder, AQ_REJECT_SYNTAX, ordinal, message,
                                 "not JSON: byte %zu: %s", cursor->reason_at, cursor->reason);
    json->decoder->unknown_field_count += json->unknown_count;
    return aq_decoder_settle(json->decoder, ordinal, message);
}

enum aq_status aq_json_decoder_create(struct aq_decoder *decoder, struct aq_json_decoder **json,
                                      struct aq_error *err)
{
    struct aq_json_decoder *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->decoder = decoder;
        made->index = aq_json_index_create();
    }
    if (made == NULL || made->index == NULL || aq_trie_build(decoder, &made->trie) < 0) {
        aq_json_decoder_destroy(made);
        return aq_error_set(err, AQ_NO_MEMORY, "making a JSON decoder: out of memory");
    }
    *json = made;
    return AQ_OK;
}

void aq_json_decoder_destroy(struct aq_json_decoder *json)
{
    if (json == NULL)
        return;
    aq_json_index_destroy(json->index);
    aq_bytes_deinit(&json->rest);
    aq_bytes_deinit(&json->name);
    free(json);
}
