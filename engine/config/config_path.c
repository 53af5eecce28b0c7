/*
 * Text of a `from:` -> struct aq_path.
 *
 * Grammar:  template = any text with PATH in braces; {{ and }} stand for the braces themselves
 *           path     = "*" | "arrival" | "source" | "kafka." special | step { "." name | index | quoted }
 *           step     = name | index | quoted;  index = "[" digits "]";  quoted = "[" '"' text '"' "]"
 * A name is anything without . [ ] { } and ". In a quoted name \" and \\ stand for " and \.
 *
 * Failures: empty steps, unclosed brackets, unknown words after "kafka.", and more steps or parts than
 * the bounds; each with the text from where it went wrong.
 */
#include "engine/config/config_path.h"

#include <string.h>

struct cursor {
    struct aq_config_reader *reader;
    struct aq_config_mark mark;
    const char *whole;
    const char *at;
    const char *end;
};

static enum aq_status fail_path(const struct cursor *cursor, const char *expected)
{
    if (cursor->at >= cursor->end)
        return aq_config_fail(cursor->reader, cursor->mark,
                              "path \"%.100s\": expected %s at its end", cursor->whole, expected);
    return aq_config_fail(cursor->reader, cursor->mark,
                          "path \"%.100s\": expected %s, found \"%.*s\" at character %td",
                          cursor->whole, expected, (int)(cursor->end - cursor->at), cursor->at,
                          cursor->at - cursor->whole + 1);
}

static bool at_char(const struct cursor *cursor, char wanted)
{
    return cursor->at < cursor->end && *cursor->at == wanted;
}

/* Behind `["`, up to and with `"]`. */
static enum aq_status parse_quoted(struct cursor *cursor, struct aq_path_step *step)
{
    char *name = aq_config_alloc(cursor->reader, 1, (size_t)(cursor->end - cursor->at) + 1);
    if (name == NULL)
        return AQ_NO_MEMORY;
    size_t size = 0;
    while (cursor->at < cursor->end && *cursor->at != '"') {
        if (*cursor->at == '\\' && cursor->at + 1 < cursor->end &&
            (cursor->at[1] == '"' || cursor->at[1] == '\\'))
            cursor->at++;
        name[size++] = *cursor->at++;
    }
    if (!at_char(cursor, '"'))
        return fail_path(cursor, "a closing '\"'");
    cursor->at++;
    if (!at_char(cursor, ']'))
        return fail_path(cursor, "\"]\"");
    cursor->at++;
    step->member = aq_slice_make(name, size);
    return AQ_OK;
}

/* Behind "[", up to and with "]". */
static enum aq_status parse_index(struct cursor *cursor, struct aq_path_step *step)
{
    int64_t index = 0;
    const char *first = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' &&
           cursor->at - first < 9)
        index = index * 10 + (*cursor->at++ - '0');
    if (cursor->at == first)
        return fail_path(cursor, "an index like [0] or a name like [\"odd.name\"]");
    if (!at_char(cursor, ']'))
        return fail_path(cursor, "\"]\" after an index of at most nine digits");
    cursor->at++;
    step->member = (struct aq_slice){0};
    step->index = index;
    return AQ_OK;
}

static enum aq_status parse_name(struct cursor *cursor, struct aq_path_step *step)
{
    const char *first = cursor->at;
    while (cursor->at < cursor->end && strchr(".[]{}\"", *cursor->at) == NULL)
        cursor->at++;
    if (cursor->at == first)
        return fail_path(cursor, "a name");
    const char *name = aq_config_copy(cursor->reader, first, (size_t)(cursor->at - first));
    if (name == NULL)
        return AQ_NO_MEMORY;
    step->member = aq_slice_make(name, (size_t)(cursor->at - first));
    return AQ_OK;
}

static enum aq_status parse_step(struct cursor *cursor, bool is_first, struct aq_path_step *step)
{
    if (at_char(cursor, '[')) {
        cursor->at++;
        if (!at_char(cursor, '"'))
            return parse_index(cursor, step);
        cursor->at++;
        return parse_quoted(cursor, step);
    }
    if (!is_first) {
        if (!at_char(cursor, '.'))
            return fail_path(cursor, "\".\" or \"[\"");
        cursor->at++;
    }
    return parse_name(cursor, step);
}

static enum aq_status parse_steps(struct cursor *cursor, struct aq_path *path)
{
    struct aq_path_step steps[AQ_PATH_STEPS_MAX];
    size_t count = 0;
    do {
        if (count == AQ_PATH_STEPS_MAX)
            return fail_path(cursor, "no more than 32 steps");
        AQ_TRY(parse_step(cursor, count == 0, &steps[count]));
        count++;
    } while (cursor->at < cursor->end);
    path->kind = AQ_PATH_VALUE;
    path->step_count = count;
    path->steps = aq_config_alloc(cursor->reader, count, sizeof *steps);
    if (path->steps == NULL)
        return AQ_NO_MEMORY;
    memcpy(path->steps, steps, count * sizeof *steps);
    return AQ_OK;
}

static const char *const kafka_words[] = {"key", "timestamp", "partition", "offset",
                                          "headers.NAME"};
static const enum aq_path_kind kafka_kinds[] = {AQ_PATH_KAFKA_KEY, AQ_PATH_KAFKA_TIMESTAMP,
                                                AQ_PATH_KAFKA_PARTITION, AQ_PATH_KAFKA_OFFSET};

/* `path` holds plain steps of which the first is "kafka". */
static enum aq_status parse_kafka(struct cursor *cursor, struct aq_path *path)
{
    struct aq_slice word = path->steps[1].member;
    if (aq_slice_equal(word, aq_slice_of("headers")) && path->step_count == 3 &&
        path->steps[2].member.data != NULL) {
        path->kind = AQ_PATH_KAFKA_HEADER;
        path->steps += 2;
        path->step_count = 1;
        return AQ_OK;
    }
    for (size_t i = 0; path->step_count == 2 && i < 4; i++) {
        if (aq_slice_equal(word, aq_slice_of(kafka_words[i]))) {
            path->kind = kafka_kinds[i];
            path->step_count = 0;
            return AQ_OK;
        }
    }
    const char *rest = cursor->whole + strlen("kafka.");
    return aq_config_fail(cursor->reader, cursor->mark,
                          "path \"%.100s\": unknown word after \"kafka.\"; %s (for a member named "
                          "kafka write [\"kafka\"])",
                          cursor->whole, aq_config_suggest(cursor->reader, rest, kafka_words, 5));
}

/* One path without braces, from the cursor to its end. */
static enum aq_status parse_plain(struct cursor *cursor, struct aq_path *path)
{
    const char *text = cursor->at;
    size_t size = (size_t)(cursor->end - text);
    bool quoted = at_char(cursor, '[');
    path->written = aq_slice_make(text, size);
    path->text = path->written;
    if (size == 1 && *text == '*') {
        path->kind = AQ_PATH_REST;
        return AQ_OK;
    }
    AQ_TRY(parse_steps(cursor, path));
    if (path->step_count == 1 && path->steps[0].member.data != NULL)
        path->text = path->steps[0].member;
    if (quoted)
        return AQ_OK;
    if (path->step_count > 1 && aq_slice_equal(path->steps[0].member, aq_slice_of("kafka")))
        return parse_kafka(cursor, path);
    if (aq_slice_equal(path->written, aq_slice_of("arrival")))
        path->kind = AQ_PATH_ARRIVAL;
    else if (aq_slice_equal(path->written, aq_slice_of("source")))
        path->kind = AQ_PATH_SOURCE;
    if (path->kind != AQ_PATH_VALUE)
        path->step_count = 0;
    return AQ_OK;
}

/* The closing brace of a path that begins at `at`; quoted names may hold braces. */
static const char *find_brace(const char *at, const char *end)
{
    bool quoted = false;
    for (; at < end; at++) {
        if (quoted && *at == '\\' && at + 1 < end)
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == '}' && !quoted)
            return at;
    }
    return NULL;
}

static enum aq_status parse_braced(struct cursor *cursor, struct aq_path_part *part)
{
    const char *brace = find_brace(cursor->at, cursor->end);
    if (brace == NULL)
        return fail_path(cursor, "a closing \"}\"");
    struct cursor inner = *cursor;
    inner.end = brace;
    part->path = aq_config_alloc(cursor->reader, 1, sizeof *part->path);
    if (part->path == NULL)
        return AQ_NO_MEMORY;
    if (inner.at == inner.end)
        return fail_path(&inner, "a path in the braces");
    AQ_TRY(parse_plain(&inner, part->path));
    if (part->path->kind == AQ_PATH_REST)
        return fail_path(cursor, "a path that names one value");
    cursor->at = brace + 1;
    return AQ_OK;
}

/* Literal text up to the next single brace; {{ and }} become one. */
static enum aq_status parse_literal(struct cursor *cursor, struct aq_path_part *part)
{
    char *text = aq_config_alloc(cursor->reader, 1, (size_t)(cursor->end - cursor->at) + 1);
    if (text == NULL)
        return AQ_NO_MEMORY;
    size_t size = 0;
    while (cursor->at < cursor->end) {
        char c = *cursor->at;
        if (c == '{' || c == '}') {
            if (cursor->at + 1 == cursor->end || cursor->at[1] != c) {
                if (c == '{')
                    break;
                return fail_path(cursor, "\"}}\" for a brace itself");
            }
            cursor->at++;
        }
        text[size++] = c;
        cursor->at++;
    }
    part->text = aq_slice_make(text, size);
    return AQ_OK;
}

static enum aq_status parse_template(struct cursor *cursor, struct aq_path *path)
{
    struct aq_path_part parts[AQ_PATH_PARTS_MAX];
    size_t count = 0;
    memset(parts, 0, sizeof parts);
    while (cursor->at < cursor->end) {
        if (count == AQ_PATH_PARTS_MAX)
            return fail_path(cursor, "no more than 64 parts");
        bool braced = *cursor->at == '{' && cursor->at + 1 < cursor->end && cursor->at[1] != '{';
        if (braced) {
            cursor->at++;
            AQ_TRY(parse_braced(cursor, &parts[count]));
        } else {
            const char *before = cursor->at;
            AQ_TRY(parse_literal(cursor, &parts[count]));
            if (cursor->at == before)
                return fail_path(cursor, "a path behind \"{\"");
        }
        count++;
    }
    path->kind = AQ_PATH_TEMPLATE;
    path->part_count = count;
    path->parts = aq_config_alloc(cursor->reader, count, sizeof *parts);
    if (path->parts == NULL)
        return AQ_NO_MEMORY;
    memcpy(path->parts, parts, count * sizeof *parts);
    return AQ_OK;
}

/* A path may hold braces only inside a quoted name, which stands behind `["`. */
static bool is_template(const char *text)
{
    bool quoted = false;
    for (const char *at = text; *at != '\0'; at++) {
        if (quoted && *at == '\\' && at[1] != '\0')
            at++;
        else if (quoted ? *at == '"' : strncmp(at, "[\"", 2) == 0)
            at += !quoted, quoted = !quoted;
        else if (!quoted && (*at == '{' || *at == '}'))
            return true;
    }
    return false;
}

enum aq_status aq_config_path_parse(struct aq_config_reader *reader, struct aq_config_mark mark,
                                    const char *text, struct aq_path *path)
{
    memset(path, 0, sizeof *path);
    struct cursor cursor = {
        .reader = reader, .mark = mark, .whole = text, .at = text, .end = text + strlen(text)};
    if (cursor.at == cursor.end)
        return aq_config_fail(reader, mark,
                              "from: expected a path like a.b[0], found an empty text");
    if (!is_template(text))
        return parse_plain(&cursor, path);
    path->text = path->written = aq_slice_of(text);
    return parse_template(&cursor, path);
}

/* Whether `name` alone, as a path, would be read as something else than this member. */
static bool needs_quotes(const char *name)
{
    return strpbrk(name, ".[]{}\"") != NULL || strcmp(name, "*") == 0 ||
           strcmp(name, "arrival") == 0 || strcmp(name, "source") == 0;
}

enum aq_status aq_config_path_member(struct aq_config_reader *reader, const char *name,
                                     struct aq_path *path)
{
    memset(path, 0, sizeof *path);
    path->kind = AQ_PATH_VALUE;
    path->text = path->written = aq_slice_of(name);
    path->step_count = 1;
    path->steps = aq_config_alloc(reader, 1, sizeof *path->steps);
    if (path->steps == NULL)
        return AQ_NO_MEMORY;
    path->steps[0].member = path->text;
    if (!needs_quotes(name))
        return AQ_OK;
    char *quoted = aq_config_alloc(reader, 2, strlen(name) + 3);
    if (quoted == NULL)
        return AQ_NO_MEMORY;
    char *to = stpcpy(quoted, "[\"");
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            *to++ = '\\';
        *to++ = *at;
    }
    to = stpcpy(to, "\"]");
    path->written = aq_slice_make(quoted, (size_t)(to - quoted));
    return AQ_OK;
}
