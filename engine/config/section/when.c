/*
 * Text of a `when:` -> struct aq_when.
 *
 * Grammar:  or      = and { "or" and }
 *           and     = not { "and" not }
 *           not     = "not" not | "(" or ")" | test
 *           test    = path [ operator literal | ["not"] "in" "(" literal { "," literal } ")"
 *                          | "is" ["not"] "null" ]
 *           literal = 'text' ('' for a quote) | number | true | false
 *           path    = as in from:, of names of letters, digits, _ $ @ - (other names as ["..."])
 * Words are read in any case. A path alone is a boolean. What follows a time (arrival,
 * kafka.timestamp) is a text that is a time.
 *
 * Failures: the first thing that does not fit, with what was expected there.
 */
#include "engine/config/section/when.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/civil/civil_time.h"
#include "engine/config/config_path.h"
#include "engine/base/text/number_text.h"
#include "format/base/arena.h"

struct when_parser {
    struct aq_when *when;
    const char *text;
    const char *at;
    size_t path_capacity;
    int depth;
    struct aq_error *err;
};

static enum aq_status parse_or(struct when_parser *parser, struct aq_when_node **node);
static enum aq_status parse_not(struct when_parser *parser, struct aq_when_node **node);

static enum aq_status no_memory(struct when_parser *parser)
{
    return aq_error_set(parser->err, AQ_NO_MEMORY, "out of memory reading a condition");
}

static enum aq_status fail_at(struct when_parser *parser, const char *at, const char *expected)
{
    int64_t offset = at - parser->text;
    int shown = (int)strnlen(at, 24);
    while (shown > 0 && ((unsigned char)at[shown] & 0xc0) == 0x80)
        shown--;
    if (shown == 0)
        return aq_error_set_at(parser->err, AQ_INVALID, "", offset, "expected %s at its end",
                               expected);
    return aq_error_set_at(parser->err, AQ_INVALID, "", offset,
                           "expected %s, found \"%.*s\" at character %lld", expected, shown, at,
                           (long long)offset + 1);
}

static enum aq_status fail(struct when_parser *parser, const char *expected)
{
    return fail_at(parser, parser->at, expected);
}

static void skip_space(struct when_parser *parser)
{
    parser->at += strspn(parser->at, " \t\r\n");
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name_part(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '$' || c == '@' || c == '-';
}

static size_t name_size(const char *at)
{
    size_t size = 0;
    while (is_name_part(at[size]))
        size++;
    return size;
}

/* Whether the word is next; then moves behind it. */
static bool take_word(struct when_parser *parser, const char *word)
{
    skip_space(parser);
    size_t size = strlen(word);
    if (name_size(parser->at) != size || strncasecmp(parser->at, word, size) != 0)
        return false;
    parser->at += size;
    return true;
}

static bool take_mark(struct when_parser *parser, const char *mark)
{
    skip_space(parser);
    if (strncmp(parser->at, mark, strlen(mark)) != 0)
        return false;
    parser->at += strlen(mark);
    return true;
}

static enum aq_status make_node(struct when_parser *parser, enum aq_when_kind kind,
                                struct aq_when_node **node)
{
    *node = aq_arena_alloc(&parser->when->arena, sizeof **node);
    if (*node == NULL)
        return no_memory(parser);
    **node = (struct aq_when_node){.kind = kind};
    return AQ_OK;
}

/* Behind the path that begins at `at`: names joined by points, and brackets. */
static const char *path_end(const char *at)
{
    for (bool first = true;; first = false) {
        if (*at == '[') {
            bool quoted = at[1] == '"';
            for (at += 1 + quoted; *at != '\0' && *at != (quoted ? '"' : ']'); at++)
                at += quoted && *at == '\\' && at[1] != '\0';
            at += *at != '\0' && quoted;
            at += *at == ']';
        } else if (first || *at == '.') {
            at += !first;
            at += name_size(at);
        } else {
            return at;
        }
    }
}

static bool is_reserved(const char *at, size_t size)
{
    static const char *const words[] = {"and", "or", "not", "in", "is", "null", "true", "false"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == size && strncasecmp(words[i], at, size) == 0)
            return true;
    return false;
}

static enum aq_status add_path(struct when_parser *parser, const struct aq_path *path,
                               size_t *index)
{
    struct aq_when *when = parser->when;
    if (when->path_count == parser->path_capacity) {
        size_t capacity = parser->path_capacity == 0 ? 8 : 2 * parser->path_capacity;
        struct aq_path *paths = aq_arena_alloc(&when->arena, capacity * sizeof *paths);
        if (paths == NULL)
            return no_memory(parser);
        for (size_t i = 0; i < when->path_count; i++)
            paths[i] = when->paths[i];
        when->paths = paths;
        parser->path_capacity = capacity;
    }
    *index = when->path_count++;
    when->paths[*index] = *path;
    return AQ_OK;
}

static enum aq_status parse_path(struct when_parser *parser, size_t *index)
{
    skip_space(parser);
    const char *at = parser->at;
    if ((!is_name_start(*at) && *at != '[') || is_reserved(at, name_size(at)))
        return fail(parser, "a path like type or a.b[0]");
    const char *end = path_end(at);
    struct aq_error why = {0};
    struct aq_config_reader reader = {
        .name = "", .folder = "", .arena = &parser->when->arena, .err = &why};
    struct aq_path path;
    const char *text = aq_config_copy(&reader, at, (size_t)(end - at));
    if (text == NULL)
        return no_memory(parser);
    enum aq_status status =
        aq_config_path_parse(&reader, (struct aq_config_mark){.line = 1, .column = 1}, text, &path);
    if (status == AQ_NO_MEMORY)
        return no_memory(parser);
    if (status < 0)
        return aq_error_set_at(parser->err, AQ_INVALID, "", at - parser->text, "%s", why.message);
    if (path.kind == AQ_PATH_TEMPLATE || path.kind == AQ_PATH_REST)
        return fail(parser, "a path like type or a.b[0]");
    parser->at = end;
    return add_path(parser, &path, index);
}

static bool is_time(const struct when_parser *parser, size_t path)
{
    enum aq_path_kind kind = parser->when->paths[path].kind;
    return kind == AQ_PATH_ARRIVAL || kind == AQ_PATH_KAFKA_TIMESTAMP;
}

/* Behind the opening quote. */
static enum aq_status parse_text(struct when_parser *parser, struct aq_when_literal *literal)
{
    size_t size = 0;
    uint8_t *text = aq_arena_alloc(&parser->when->arena, strlen(parser->at) + 1);
    if (text == NULL)
        return no_memory(parser);
    for (; *parser->at != '\0'; parser->at++) {
        if (*parser->at == '\'' && *++parser->at != '\'') {
            literal->kind = AQ_WHEN_TEXT;
            literal->text = aq_slice_make(text, size);
            return AQ_OK;
        }
        text[size++] = (uint8_t)*parser->at;
    }
    return fail(parser, "a closing '");
}

static enum aq_status parse_number(struct when_parser *parser, struct aq_when_literal *literal)
{
    size_t size = strspn(parser->at, "+-.0123456789eE");
    struct aq_slice text = aq_slice_make(parser->at, size);
    if (is_name_part(parser->at[size]) || aq_double_parse(text, &literal->real) != AQ_OK)
        return fail(parser, "a number");
    literal->kind = aq_int_parse(text, &literal->integer) == AQ_OK ? AQ_WHEN_INTEGER : AQ_WHEN_REAL;
    parser->at += size;
    return AQ_OK;
}

static enum aq_status parse_literal(struct when_parser *parser, size_t path,
                                    struct aq_when_literal *literal)
{
    const char *const expected = is_time(parser, path) ? "a time like '2025-02-14T13:00:00Z'"
                                                       : "'text', a number, true or false";
    skip_space(parser);
    const char *begin = parser->at;
    *literal = (struct aq_when_literal){.kind = AQ_WHEN_BOOLEAN};
    if (take_word(parser, "null"))
        return fail_at(parser, begin, "a value (for null say \"is null\")");
    if (*begin == '"')
        return fail(parser, "a text in single quotes");
    if (*begin == '\'') {
        parser->at++;
        AQ_TRY(parse_text(parser, literal));
    } else if (take_word(parser, "true")) {
        literal->integer = 1;
    } else if (!take_word(parser, "false")) {
        if (*begin == '\0' || strchr("+-.0123456789", *begin) == NULL)
            return fail(parser, expected);
        AQ_TRY(parse_number(parser, literal));
    }
    if (!is_time(parser, path))
        return AQ_OK;
    if (literal->kind != AQ_WHEN_TEXT ||
        aq_time_parse(literal->text, aq_zone_utc(), &literal->integer) != AQ_OK)
        return fail_at(parser, begin, expected);
    literal->kind = AQ_WHEN_TIME;
    return AQ_OK;
}

/* Behind "in": a list in parentheses. */
static enum aq_status parse_list(struct when_parser *parser, struct aq_when_node *node)
{
    size_t capacity = 0;
    if (!take_mark(parser, "("))
        return fail(parser, "\"(\" after in");
    do {
        if (node->literal_count == capacity) {
            capacity = capacity == 0 ? 8 : 2 * capacity;
            struct aq_when_literal *literals =
                aq_arena_alloc(&parser->when->arena, capacity * sizeof *literals);
            if (literals == NULL)
                return no_memory(parser);
            for (size_t i = 0; i < node->literal_count; i++)
                literals[i] = node->literals[i];
            node->literals = literals;
        }
        AQ_TRY(parse_literal(parser, node->path, &node->literals[node->literal_count]));
        node->literal_count++;
    } while (take_mark(parser, ","));
    return take_mark(parser, ")") ? AQ_OK : fail(parser, "\",\" or \")\"");
}

static bool take_comparison(struct when_parser *parser, enum aq_when_comparison *comparison)
{
    static const struct {
        const char *text;
        enum aq_when_comparison comparison;
    } comparisons[] = {
        {"==", AQ_WHEN_EQUAL},         {"=", AQ_WHEN_EQUAL},       {"!=", AQ_WHEN_NOT_EQUAL},
        {"<>", AQ_WHEN_NOT_EQUAL},     {"<=", AQ_WHEN_LESS_EQUAL}, {"<", AQ_WHEN_LESS},
        {">=", AQ_WHEN_GREATER_EQUAL}, {">", AQ_WHEN_GREATER},
    };
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
        if (take_mark(parser, comparisons[i].text)) {
            *comparison = comparisons[i].comparison;
            return true;
        }
    }
    return false;
}

static enum aq_status negate(struct when_parser *parser, struct aq_when_node **node)
{
    struct aq_when_node *inner = *node;
    AQ_TRY(make_node(parser, AQ_WHEN_NOT, node));
    (*node)->first = inner;
    return AQ_OK;
}

static enum aq_status parse_test(struct when_parser *parser, struct aq_when_node **node)
{
    AQ_TRY(make_node(parser, AQ_WHEN_TRUTH, node));
    struct aq_when_node *test = *node;
    AQ_TRY(parse_path(parser, &test->path));
    if (take_comparison(parser, &test->comparison)) {
        test->kind = AQ_WHEN_COMPARE;
        test->literal_count = 1;
        test->literals = aq_arena_alloc(&parser->when->arena, sizeof *test->literals);
        return test->literals == NULL ? no_memory(parser)
                                      : parse_literal(parser, test->path, test->literals);
    }
    if (take_word(parser, "is")) {
        bool negated = take_word(parser, "not");
        test->kind = AQ_WHEN_IS_NULL;
        if (!take_word(parser, "null"))
            return fail(parser, "null");
        return negated ? negate(parser, node) : AQ_OK;
    }
    bool negated = take_word(parser, "not");
    if (take_word(parser, "in")) {
        test->kind = AQ_WHEN_IN;
        AQ_TRY(parse_list(parser, test));
        return negated ? negate(parser, node) : AQ_OK;
    }
    if (negated)
        return fail(parser, "in after not");
    return is_time(parser, test->path) ? fail(parser, "a comparison of the time") : AQ_OK;
}

static enum aq_status parse_deeper(struct when_parser *parser, struct aq_when_node **node)
{
    if (take_word(parser, "not")) {
        AQ_TRY(parse_not(parser, node));
        return negate(parser, node);
    }
    if (!take_mark(parser, "("))
        return parse_test(parser, node);
    AQ_TRY(parse_or(parser, node));
    return take_mark(parser, ")") ? AQ_OK : fail(parser, "and, or or \")\"");
}

static enum aq_status parse_not(struct when_parser *parser, struct aq_when_node **node)
{
    if (parser->depth == AQ_WHEN_DEPTH_MAX)
        return fail(parser, "no more than 64 conditions inside each other");
    parser->depth++;
    enum aq_status status = parse_deeper(parser, node);
    parser->depth--;
    return status;
}

/* One item, or a node of several. */
static enum aq_status
parse_chain(struct when_parser *parser, const char *word, enum aq_when_kind kind,
            enum aq_status (*parse)(struct when_parser *, struct aq_when_node **),
            struct aq_when_node **node)
{
    AQ_TRY(parse(parser, node));
    struct aq_when_node *last = *node;
    if (!take_word(parser, word))
        return AQ_OK;
    AQ_TRY(make_node(parser, kind, node));
    (*node)->first = last;
    do {
        assert(last != NULL);
        AQ_TRY(parse(parser, &last->next));
        last = last->next;
    } while (take_word(parser, word));
    return AQ_OK;
}

static enum aq_status parse_and(struct when_parser *parser, struct aq_when_node **node)
{
    return parse_chain(parser, "and", AQ_WHEN_AND, parse_not, node);
}

static enum aq_status parse_or(struct when_parser *parser, struct aq_when_node **node)
{
    return parse_chain(parser, "or", AQ_WHEN_OR, parse_and, node);
}

enum aq_status aq_when_parse(const char *text, struct aq_when **when, struct aq_error *err)
{
    struct aq_when *made = calloc(1, sizeof *made);
    struct when_parser parser = {.when = made, .text = text, .at = text, .err = err};
    if (made == NULL)
        return no_memory(&parser);
    enum aq_status status = parse_or(&parser, &made->root);
    skip_space(&parser);
    if (status == AQ_OK && *parser.at != '\0')
        status = fail(&parser, "an operator, and, or, or the end");
    if (status < 0) {
        aq_when_destroy(made);
        return status;
    }
    *when = made;
    return AQ_OK;
}

void aq_when_destroy(struct aq_when *when)
{
    if (when == NULL)
        return;
    aq_arena_deinit(&when->arena);
    free(when);
}
