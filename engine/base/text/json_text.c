/* Step 2 of a message's way: JSON's grammar over simdjson's token offsets.
 *
 * Happy path: a string without escapes, a short number and a literal, each with the next token right behind it, are
 * checked by a few loads without running through them; containers by a loop with one bit of memory a level.
 * Everything else, faults among it, goes the long way: strings are run through, numbers and literals to the next byte
 * that may follow a value.
 * Failures: the first fault stops the walk with its reason and byte; a lone surrogate, which no UTF-8
 * text can hold, is a fault, too. */
#include "engine/base/text/json_text.h"

#include <string.h>

bool aq_json_fail(struct aq_json_cursor *cursor, const char *reason)
{
    cursor->reason = reason;
    cursor->reason_at =
        cursor->token < cursor->token_count ? cursor->offsets[cursor->token] : cursor->size;
    return false;
}

static bool read_hex4(const uint8_t *at, const uint8_t *end, unsigned *unit)
{
    *unit = 0;
    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned digit = (unsigned)(at[i] - '0');
        if (digit > 9) {
            digit = (unsigned)((at[i] | 0x20) - 'a') + 10;
            if (digit < 10 || digit > 15)
                return false;
        }
        *unit = *unit << 4 | digit;
    }
    return true;
}

/* The \uXXXX at `at` (a pair of them beyond the basic plane). @return bytes it takes, 0 for a fault. */
static size_t read_unicode(const uint8_t *at, const uint8_t *end, unsigned *code)
{
    if (!read_hex4(at + 2, end, code))
        return 0;
    if (*code < 0xd800 || *code > 0xdfff)
        return 6;
    unsigned low;
    if (*code > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u' ||
        !read_hex4(at + 8, end, &low) || low < 0xdc00 || low > 0xdfff)
        return 0;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

/* Bytes of the escape at `at`, or 0. `end` is the text's end: a quote inside of an escape faults. */
static size_t check_escape(const uint8_t *at, const uint8_t *end)
{
    unsigned code;
    if (end - at < 2)
        return 0;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        return read_unicode(at, end, &code);
    default:
        return 0;
    }
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static __attribute__((noinline)) void find_backslash(struct aq_json_cursor *cursor, size_t begin)
{
    const uint8_t *found = memchr(cursor->text + begin, '\\', cursor->size - begin);
    cursor->plain_begin = begin;
    cursor->plain_end = found == NULL ? cursor->size : (size_t)(found - cursor->text);
}

/* Whether no backslash stands in [begin, end): most texts have none, and are searched once. */
static inline bool is_plain(struct aq_json_cursor *cursor, size_t begin, size_t end)
{
    if (begin < cursor->plain_begin || begin > cursor->plain_end)
        find_backslash(cursor, begin);
    return end <= cursor->plain_end;
}

/* With its escapes, byte by byte. Seldom: what it needs must not burden the others. */
static __attribute__((noinline)) bool check_string(struct aq_json_cursor *cursor,
                                                   struct aq_slice *inside, bool *escaped)
{
    const uint8_t *begin = cursor->text + cursor->offsets[cursor->token] + 1;
    const uint8_t *end = cursor->text + cursor->size;
    const uint8_t *at = begin;
    *escaped = false;
    while (at < end && *at != '"') {
        if (*at != '\\') {
            at++;
            continue;
        }
        size_t size = check_escape(at, end);
        if (size == 0)
            return aq_json_fail(cursor, "a string holds an escape that is none");
        *escaped = true;
        at += size;
    }
    if (at == end)
        return aq_json_fail(cursor, "a string is not closed");
    *inside = aq_slice_make(begin, (size_t)(at - begin));
    cursor->token++;
    return true;
}

/* A quote just before the next token closes this string: one that opened another would be a token. False for
 * a string with escapes or white space behind it, and for what is none. */
static inline bool is_compact_string(struct aq_json_cursor *cursor, size_t begin, size_t next)
{
    return next > begin + 1 && cursor->text[next - 1] == '"' &&
           is_plain(cursor, begin + 1, next - 1);
}

static inline bool take_string(struct aq_json_cursor *cursor, struct aq_slice *inside,
                               bool *escaped)
{
    size_t begin = cursor->offsets[cursor->token];
    size_t next =
        cursor->token + 1 < cursor->token_count ? cursor->offsets[cursor->token + 1] : cursor->size;
    if (!is_compact_string(cursor, begin, next))
        return check_string(cursor, inside, escaped);
    *escaped = false;
    *inside = aq_slice_make(cursor->text + begin + 1, next - begin - 2);
    cursor->token++;
    return true;
}

bool aq_json_string(struct aq_json_cursor *cursor, struct aq_slice *inside, bool *escaped)
{
    return take_string(cursor, inside, escaped);
}

static size_t write_utf8(unsigned code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

static uint8_t plain_escape(uint8_t c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

size_t aq_json_unescape(struct aq_slice inside, uint8_t *out)
{
    const uint8_t *at = inside.data;
    const uint8_t *end = inside.data + inside.size;
    uint8_t *to = out;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] != 'u') {
            *to++ = plain_escape(at[1]);
            at += 2;
        } else {
            unsigned code = 0;
            at += read_unicode(at, end, &code);
            to += write_utf8(code, to);
        }
    }
    return (size_t)(to - out);
}

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (unsigned)(*at - '0') <= 9)
        at++;
    return at;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? @return its end, NULL for a fault. */
static const uint8_t *scan_number(const uint8_t *at, const uint8_t *end)
{
    at += *at == '-';
    const uint8_t *digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return NULL;
    if (at < end && *at == '.') {
        digits = at + 1;
        at = skip_digits(digits, end);
        if (at == digits)
            return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(digits, end);
        if (at == digits)
            return NULL;
    }
    return at;
}

static const uint8_t *scan_literal(const uint8_t *at, const uint8_t *end)
{
    static const char *const literals[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t size = strlen(literals[i]);
        if ((size_t)(end - at) >= size && memcmp(at, literals[i], size) == 0)
            return at + size;
    }
    return NULL;
}

/* White space, or what may stand behind a value. */
static bool may_follow(uint8_t c)
{
    static const bool table[256] = {[' '] = true, ['\t'] = true, ['\n'] = true, ['\r'] = true,
                                    [','] = true, [']'] = true,  ['}'] = true};
    return table[c];
}

bool aq_json_scalar(struct aq_json_cursor *cursor, struct aq_slice *scalar)
{
    const uint8_t *begin = cursor->text + cursor->offsets[cursor->token];
    const uint8_t *end = cursor->text + cursor->size;
    bool number = *begin == '-' || (unsigned)(*begin - '0') <= 9;
    const uint8_t *at = number ? scan_number(begin, end) : scan_literal(begin, end);
    if (at == NULL || (at < end && !may_follow(*at)))
        return aq_json_fail(cursor, number ? "a number is malformed" : "no JSON value");
    *scalar = aq_slice_make(begin, (size_t)(at - begin));
    cursor->token++;
    return true;
}

/* The literals as little-endian words. */
#define NULL_WORD UINT64_C(0x6c6c756e)
#define TRUE_WORD UINT64_C(0x65757274)
#define FALSE_WORD UINT64_C(0x65736c6166)

/* A number of digits with a point perhaps, or a literal, that ends where the next token begins, which may
 * follow it: up to 8 bytes at once, without a branch on how many. False for all others, whether they are
 * good or not. */
static inline bool is_compact_scalar(const struct aq_json_cursor *cursor, size_t begin, size_t next)
{
    const uint8_t *at = cursor->text + begin;
    bool negative = *at == '-';
    size_t size = next - begin - negative;
    uint8_t behind = cursor->text[next];
    if (size - 1 >= 8 || cursor->size - begin < 9 || (behind != ',' && (behind | 0x20) != '}'))
        return false;
    at += negative;
    uint64_t mask = UINT64_MAX >> (64 - 8 * size);
    uint64_t word = aq_load_u64(at) & mask;
    uint64_t digits = word ^ (EACH_BYTE('0') & mask);
    uint64_t others = ((digits + EACH_BYTE(0x80 - 10)) | digits) & EACH_BYTE(0x80) & mask;
    if (others == 0)
        return size == 1 || *at != '0';
    if ((others & (others - 1)) == 0) {
        size_t point = (size_t)__builtin_ctzll(others) / 8;
        return at[point] == '.' && point > 0 && point + 1 < size && (point == 1 || *at != '0');
    }
    bool literal = word == FALSE_WORD;
    if (size < 5) /* NUL bytes behind it are none of its own */
        literal = word == NULL_WORD || word == TRUE_WORD;
    return !negative && literal && size <= 5;
}

/* The same of anything but objects and arrays. */
static inline bool is_compact(struct aq_json_cursor *cursor, size_t token)
{
    if (token + 1 >= cursor->token_count)
        return false;
    size_t begin = cursor->offsets[token];
    size_t next = cursor->offsets[token + 1];
    return cursor->text[begin] == '"' ? is_compact_string(cursor, begin, next)
                                      : is_compact_scalar(cursor, begin, next);
}

static inline bool take_key(struct aq_json_cursor *cursor, struct aq_slice *name, bool *escaped)
{
    if (aq_json_peek(cursor) != '"')
        return aq_json_fail(cursor, "a member's name is expected");
    if (!take_string(cursor, name, escaped))
        return false;
    if (aq_json_peek(cursor) != ':')
        return aq_json_fail(cursor, "a colon is expected");
    cursor->token++;
    return true;
}

bool aq_json_key(struct aq_json_cursor *cursor, struct aq_slice *name, bool *escaped)
{
    return take_key(cursor, name, escaped);
}

/* The steps of the loop below take the token and return the one behind, 0 after a fault: it stays in a register,
 * and the cursor has it where it is needed. */

static __attribute__((noinline)) size_t pass_key_slowly(struct aq_json_cursor *cursor, size_t token)
{
    struct aq_slice name;
    bool escaped;
    cursor->token = token;
    return take_key(cursor, &name, &escaped) ? cursor->token : 0;
}

static inline size_t pass_key(struct aq_json_cursor *cursor, size_t token)
{
    const uint32_t *offsets = cursor->offsets + token;
    bool compact = token + 1 < cursor->token_count && cursor->text[offsets[0]] == '"' &&
                   cursor->text[offsets[1]] == ':' &&
                   is_compact_string(cursor, offsets[0], offsets[1]);
    return compact ? token + 2 : pass_key_slowly(cursor, token);
}

/* One scalar or string; *end is set behind it. */
static __attribute__((noinline)) size_t pass_plain_slowly(struct aq_json_cursor *cursor,
                                                          size_t token, const uint8_t **end)
{
    struct aq_slice span = {0};
    bool escaped;
    cursor->token = token;
    if (token == cursor->token_count)
        return aq_json_fail(cursor, "it ends in the middle of a value");
    bool string = aq_json_peek(cursor) == '"';
    if (!(string ? take_string(cursor, &span, &escaped) : aq_json_scalar(cursor, &span)))
        return 0;
    *end = span.data + span.size + string;
    return cursor->token;
}

static size_t fail_at(struct aq_json_cursor *cursor, size_t token, const char *reason)
{
    cursor->token = token;
    return aq_json_fail(cursor, reason);
}

/* Containers that are open, one bit each: 1 for an object. */
struct nesting {
    uint64_t objects[AQ_JSON_DEPTH_MAX / 64];
    unsigned depth;
};

static inline bool in_object(const struct nesting *nesting)
{
    unsigned top = nesting->depth - 1;
    return nesting->objects[top / 64] >> (top % 64) & 1;
}

static inline void push(struct nesting *nesting, bool object)
{
    uint64_t bit = UINT64_C(1) << (nesting->depth % 64);
    uint64_t *word = &nesting->objects[nesting->depth / 64];
    if (nesting->depth % 64 == 0)
        *word = 0;
    *word = object ? *word | bit : *word & ~bit;
    nesting->depth++;
}

static inline uint8_t peek_at(const struct aq_json_cursor *cursor, size_t token)
{
    return token < cursor->token_count ? cursor->text[cursor->offsets[token]] : 0;
}

/* Behind a value: close what closes, up to the next value or the end of the outermost one. */
static inline size_t pass_closings(struct aq_json_cursor *cursor, size_t token,
                                   struct nesting *nesting)
{
    while (nesting->depth > 0) {
        bool object = in_object(nesting);
        uint8_t c = peek_at(cursor, token);
        if (c == ',')
            return object ? pass_key(cursor, token + 1) : token + 1;
        if (c != (object ? '}' : ']'))
            return fail_at(cursor, token,
                           object ? "a comma or } is expected" : "a comma or ] is expected");
        token++;
        nesting->depth--;
    }
    return token;
}

/* An object or array. @return the token behind it, 0 after a fault. */
static __attribute__((noinline)) size_t pass_nested(struct aq_json_cursor *cursor, unsigned depth)
{
    struct nesting nesting;
    const uint8_t *end;
    size_t token = cursor->token;
    nesting.depth = 0;
    do {
        uint8_t c = peek_at(cursor, token);
        if ((c | 0x20) == '{') {
            if (depth + nesting.depth >= AQ_JSON_DEPTH_MAX)
                return fail_at(cursor, token, "nested deeper than 512");
            push(&nesting, c == '{');
            token++;
            if (peek_at(cursor, token) != c + 2) { /* } is { + 2, ] is [ + 2 */
                if (c == '{')
                    token = pass_key(cursor, token);
                continue;
            }
        } else {
            token = is_compact(cursor, token) ? token + 1 : pass_plain_slowly(cursor, token, &end);
        }
        if (token > 0)
            token = pass_closings(cursor, token, &nesting);
    } while (token > 0 && nesting.depth > 0);
    return token;
}

bool aq_json_value(struct aq_json_cursor *cursor, unsigned depth, struct aq_slice *value)
{
    size_t token = cursor->token;
    if (token == cursor->token_count)
        return aq_json_fail(cursor, "a value is expected");
    const uint8_t *begin = cursor->text + cursor->offsets[token];
    const uint8_t *end;
    if ((*begin | 0x20) == '{') {
        token = pass_nested(cursor, depth);
        end = cursor->text + cursor->offsets[token - (token > 0)] + 1;
    } else if (is_compact(cursor, token)) {
        end = cursor->text + cursor->offsets[++token];
    } else {
        token = pass_plain_slowly(cursor, token, &end);
    }
    if (token == 0)
        return false;
    cursor->token = token;
    *value = aq_slice_make(begin, (size_t)(end - begin));
    return true;
}

enum aq_status aq_json_check(struct aq_json_index *index, struct aq_slice text, const char **why)
{
    struct aq_json_cursor cursor = {.text = text.data, .size = text.size};
    struct aq_slice value;
    AQ_TRY(aq_json_index_build(index, text, &cursor.offsets, &cursor.token_count, why));
    bool whole = aq_json_value(&cursor, 0, &value);
    if (whole && cursor.token == cursor.token_count)
        return AQ_OK;
    *why = whole ? "more follows behind the value" : cursor.reason;
    return AQ_REJECT;
}
