/* The config's text as a tree of marked nodes: what libyaml's events say, and no more. */
#ifndef AQ_ENGINE_CONFIG_NODE_H
#define AQ_ENGINE_CONFIG_NODE_H

#include "engine/config/config_read.h"

#define AQ_CONFIG_BYTES_MAX ((size_t)1 << 20)
#define AQ_CONFIG_DEPTH_MAX 16
#define AQ_CONFIG_ENTRIES_MAX 4096 /* of one mapping or list */

struct aq_config_node {
    enum aq_config_node_kind {
        AQ_NODE_EMPTY, /* nothing, "~" or "null", not quoted */
        AQ_NODE_SCALAR,
        AQ_NODE_LIST,
        AQ_NODE_MAPPING,
    } kind;
    struct aq_config_mark mark;
    const char *text; /* scalars: ${NAME} replaced; holds no NUL but its terminator */
    int text_column;  /* where its first character stands, if it stands there as it is; else 0 */
    const char *key;  /* entries of a mapping */
    struct aq_config_mark key_mark;
    size_t count; /* of a list's or mapping's entries */
    struct aq_config_node *first;
    struct aq_config_node *next;
};

/**
 * Parse one YAML document. Refused with a mark: syntax errors, duplicate keys, anchors and aliases (so
 * no text grows by expansion), tags, NUL characters, several documents, and what is larger or deeper
 * than the bounds above. The tree lives in the reader's arena. An empty text gives an EMPTY node.
 */
enum aq_status aq_config_node_parse(struct aq_config_reader *reader, struct aq_slice text,
                                    const struct aq_config_node **root) AQ_RESULT;

/**
 * Replace ${NAME} and ${NAME:default} by the environment; $${ stands for ${ itself. A name that is
 * not set, with no default, fails. `expanded` is `text` itself where nothing is to be replaced.
 */
enum aq_status aq_config_expand(struct aq_config_reader *reader, struct aq_config_mark mark,
                                const char *text, const char **expanded) AQ_RESULT;

/** The entry of a mapping named `key`, or NULL. */
const struct aq_config_node *aq_config_node_find(const struct aq_config_node *mapping,
                                                 const char *key);

#endif
