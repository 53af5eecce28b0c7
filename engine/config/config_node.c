/*
 * YAML text -> tree, event by event.
 *
 * Happy path: libyaml parses the text into events; each mapping, list and scalar becomes a node with
 * its mark; scalars have ${NAME} replaced after parsing, so that no value of the environment can be
 * read as YAML.
 *
 * Failures: libyaml's own errors; what config_node.h says is refused. Events are pulled one at a time
 * and the first one past a bound ends the parse, so a hostile text costs no more than its length.
 */
#include "engine/config/config_node.h"

#include <string.h>
#include <yaml.h>

struct parse {
    struct aq_config_reader *reader;
    yaml_parser_t parser;
};

static struct aq_config_mark mark_of(yaml_mark_t mark)
{
    return (struct aq_config_mark){.line = (int)mark.line + 1, .column = (int)mark.column + 1};
}

static enum aq_status next_event(struct parse *parse, yaml_event_t *event)
{
    if (yaml_parser_parse(&parse->parser, event))
        return AQ_OK;
    const yaml_parser_t *parser = &parse->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return aq_error_set(parse->reader->err, AQ_NO_MEMORY, "out of memory reading the config");
    struct aq_config_mark mark = mark_of(parser->problem_mark);
    if (parser->context != NULL)
        return aq_config_fail(parse->reader, mark, "not valid YAML: %s %s", parser->context,
                              parser->problem);
    return aq_config_fail(parse->reader, mark, "not valid YAML: %s", parser->problem);
}

/* Anchors, aliases and tags are YAML's, not the config's: refused by name. */
static enum aq_status check_plain(struct parse *parse, const yaml_event_t *event)
{
    struct aq_config_mark mark = mark_of(event->start_mark);
    const unsigned char *anchor = NULL;
    const unsigned char *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return aq_config_fail(parse->reader, mark,
                              "aliases (*%s) are not supported; write the value out",
                              (const char *)event->data.alias.anchor);
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL)
        return aq_config_fail(parse->reader, mark,
                              "anchors (&%s) are not supported; remove it and write each value out",
                              (const char *)anchor);
    if (tag != NULL)
        return aq_config_fail(parse->reader, mark, "tags (%s) are not supported; remove it",
                              (const char *)tag);
    return AQ_OK;
}

static bool is_empty(const char *text, const yaml_event_t *event)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

/* Column of the first character of a text of one line that holds no escapes; else 0. */
static int verbatim_column(const yaml_event_t *event)
{
    yaml_scalar_style_t style = event->data.scalar.style;
    size_t quotes =
        style == YAML_SINGLE_QUOTED_SCALAR_STYLE || style == YAML_DOUBLE_QUOTED_SCALAR_STYLE ? 2
                                                                                             : 0;
    size_t size = event->end_mark.index - event->start_mark.index;
    if (event->start_mark.line != event->end_mark.line ||
        size != aq_config_characters((const char *)event->data.scalar.value,
                                     event->data.scalar.length) +
                    quotes)
        return 0;
    return mark_of(event->start_mark).column + (quotes > 0);
}

static enum aq_status read_scalar(struct parse *parse, const yaml_event_t *event,
                                  struct aq_config_node *node)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return aq_config_fail(parse->reader, node->mark, "a NUL character in a text");
    const char *copy = aq_config_copy(parse->reader, text, event->data.scalar.length);
    if (copy == NULL)
        return AQ_NO_MEMORY;
    node->kind = is_empty(text, event) ? AQ_NODE_EMPTY : AQ_NODE_SCALAR;
    AQ_TRY(aq_config_expand(parse->reader, node->mark, copy, &node->text));
    node->text_column = node->text == copy ? verbatim_column(event) : 0;
    return AQ_OK;
}

static enum aq_status read_key(struct parse *parse, const yaml_event_t *event,
                               const struct aq_config_node *mapping, const char **key)
{
    struct aq_config_mark mark = mark_of(event->start_mark);
    AQ_TRY(check_plain(parse, event));
    if (event->type != YAML_SCALAR_EVENT)
        return aq_config_fail(parse->reader, mark, "expected a name before \":\", found a %s",
                              event->type == YAML_MAPPING_START_EVENT ? "mapping" : "list");
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return aq_config_fail(parse->reader, mark, "a NUL character in a name");
    const struct aq_config_node *twin = aq_config_node_find(mapping, text);
    if (twin != NULL)
        return aq_config_fail(parse->reader, mark,
                              "\"%s\" stands here a second time (first in line %d); keep one", text,
                              twin->key_mark.line);
    *key = aq_config_copy(parse->reader, text, strlen(text));
    return *key == NULL ? AQ_NO_MEMORY : AQ_OK;
}

static enum aq_status read_node(struct parse *parse, const yaml_event_t *event, int depth,
                                struct aq_config_node **node);

/* The entries of a list or mapping up to its end event. */
static enum aq_status read_entries(struct parse *parse, int depth, struct aq_config_node *node)
{
    struct aq_config_node **tail = &node->first;
    for (;;) {
        yaml_event_t event;
        AQ_TRY(next_event(parse, &event));
        const char *key = NULL;
        struct aq_config_mark key_mark = mark_of(event.start_mark);
        enum aq_status status = AQ_OK;
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return AQ_OK;
        }
        if (node->count == AQ_CONFIG_ENTRIES_MAX)
            status = aq_config_fail(parse->reader, key_mark, "more than %d entries",
                                    AQ_CONFIG_ENTRIES_MAX);
        if (status == AQ_OK && node->kind == AQ_NODE_MAPPING) {
            status = read_key(parse, &event, node, &key);
            yaml_event_delete(&event);
            AQ_TRY(status);
            AQ_TRY(next_event(parse, &event));
        }
        if (status == AQ_OK)
            status = read_node(parse, &event, depth + 1, tail);
        yaml_event_delete(&event);
        AQ_TRY(status);
        (*tail)->key = key;
        (*tail)->key_mark = key_mark;
        tail = &(*tail)->next;
        node->count++;
    }
}

static enum aq_status read_node(struct parse *parse, const yaml_event_t *event, int depth,
                                struct aq_config_node **out)
{
    AQ_TRY(check_plain(parse, event));
    struct aq_config_node *node = aq_config_alloc(parse->reader, 1, sizeof *node);
    if (node == NULL)
        return AQ_NO_MEMORY;
    node->mark = mark_of(event->start_mark);
    *out = node;
    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(parse, event, node);
    if (depth >= AQ_CONFIG_DEPTH_MAX)
        return aq_config_fail(parse->reader, node->mark, "nested deeper than %d levels",
                              AQ_CONFIG_DEPTH_MAX);
    node->kind = event->type == YAML_MAPPING_START_EVENT ? AQ_NODE_MAPPING : AQ_NODE_LIST;
    return read_entries(parse, depth, node);
}

/* Skips the stream's and document's opening events, reads the root, and wants nothing after it. */
static enum aq_status read_document(struct parse *parse, struct aq_config_node **root)
{
    for (;;) {
        yaml_event_t event;
        AQ_TRY(next_event(parse, &event));
        enum aq_status status = AQ_OK;
        bool ended = event.type == YAML_STREAM_END_EVENT;
        bool frame = event.type == YAML_STREAM_START_EVENT ||
                     event.type == YAML_DOCUMENT_START_EVENT ||
                     event.type == YAML_DOCUMENT_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && *root != NULL)
            status = aq_config_fail(parse->reader, mark_of(event.start_mark),
                                    "a second document; a config is one");
        else if (!frame && !ended)
            status = read_node(parse, &event, 0, root);
        yaml_event_delete(&event);
        AQ_TRY(status);
        if (ended)
            return AQ_OK;
    }
}

enum aq_status aq_config_node_parse(struct aq_config_reader *reader, struct aq_slice text,
                                    const struct aq_config_node **root)
{
    if (text.size > AQ_CONFIG_BYTES_MAX)
        return aq_error_set_at(reader->err, AQ_INVALID, reader->name, -1,
                               "a config of %zu bytes; at most %zu are read", text.size,
                               AQ_CONFIG_BYTES_MAX);
    struct parse parse = {.reader = reader};
    if (!yaml_parser_initialize(&parse.parser))
        return aq_error_set(reader->err, AQ_NO_MEMORY, "out of memory reading the config");
    yaml_parser_set_encoding(&parse.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parse.parser, text.data, text.size);
    struct aq_config_node *tree = NULL;
    enum aq_status status = read_document(&parse, &tree);
    yaml_parser_delete(&parse.parser);
    if (status == AQ_OK && tree == NULL) {
        tree = aq_config_alloc(reader, 1, sizeof *tree);
        if (tree == NULL)
            return AQ_NO_MEMORY;
        tree->mark = (struct aq_config_mark){.line = 1, .column = 1};
    }
    *root = tree;
    return status;
}

const struct aq_config_node *aq_config_node_find(const struct aq_config_node *mapping,
                                                 const char *key)
{
    for (const struct aq_config_node *entry = mapping->first; entry != NULL; entry = entry->next)
        if (entry->key != NULL && strcmp(entry->key, key) == 0)
            return entry;
    return NULL;
}
