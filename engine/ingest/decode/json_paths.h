/* The paths of a decoder as a trie, so that one walk over a message serves all columns. */
#ifndef AQ_ENGINE_INGEST_JSON_PATHS_H
#define AQ_ENGINE_INGEST_JSON_PATHS_H

#include "engine/ingest/decode/decode.h"

#define AQ_TRIE_NONE UINT32_MAX

/** A place in a message: children are members by name or elements by index. */
struct aq_trie_node {
    struct aq_slice member; /* its name in the parent, unescaped; data NULL for elements */
    int64_t index;
    uint32_t first_child;
    uint32_t next_sibling;
    uint32_t likely_child; /* the member that came at this point last time */
    uint32_t first_field;  /* that captures this place; chained by aq_trie.next_field */
    bool has_members;
    bool has_elements;
    /* The same of columns alone, without what `when:` looks at. */
    bool is_named;  /* a path leads here or further */
    bool is_column; /* one ends here */
    bool has_named_members;
    bool has_named_elements;
    bool is_leaf;        /* a column's, without children */
    uint32_t table_mask; /* members hashed by name, where there are many: slots - 1 */
    uint32_t *table;
    uint64_t seen_message; /* number of the last message that had it ... */
    size_t last_token;     /* ... and where its value stands there, the last one if repeated */
};

struct aq_trie {
    struct aq_trie_node *nodes; /* [0] is the message itself */
    uint32_t node_count;
    uint32_t *next_field; /* one a field */
};

/** Build from the decoder's paths, in its arena. */
enum aq_status aq_trie_build(struct aq_decoder *decoder, struct aq_trie *trie) AQ_RESULT;
/** Child of `node` by member name or index, or AQ_TRIE_NONE. */
uint32_t aq_trie_member(struct aq_trie *trie, uint32_t node, struct aq_slice name);
uint32_t aq_trie_element(const struct aq_trie *trie, uint32_t node, int64_t index);

#endif
