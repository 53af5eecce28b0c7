/* Conditions on messages: `when:` of a source. */
#ifndef AQ_ENGINE_CONFIG_SECTION_WHEN_H
#define AQ_ENGINE_CONFIG_SECTION_WHEN_H

#include "engine/ingest/config.h"

/** NOT, AND, OR and parentheses inside each other. */
#define AQ_WHEN_DEPTH_MAX 64

enum aq_when_kind {
    AQ_WHEN_AND, /* of all children */
    AQ_WHEN_OR,
    AQ_WHEN_NOT,     /* of one child */
    AQ_WHEN_COMPARE, /* the path with one literal */
    AQ_WHEN_IN,      /* the path with several */
    AQ_WHEN_IS_NULL, /* the path is absent or null */
    AQ_WHEN_TRUTH,   /* the path is true */
};

enum aq_when_comparison {
    AQ_WHEN_EQUAL,
    AQ_WHEN_NOT_EQUAL,
    AQ_WHEN_LESS,
    AQ_WHEN_LESS_EQUAL,
    AQ_WHEN_GREATER,
    AQ_WHEN_GREATER_EQUAL,
};

/** What a path is compared with; its kind says as what the message's value is read. */
struct aq_when_literal {
    enum aq_when_literal_kind {
        AQ_WHEN_TEXT,    /* the value's text, byte by byte */
        AQ_WHEN_INTEGER, /* `integer` and `real` */
        AQ_WHEN_REAL,    /* `real` */
        AQ_WHEN_BOOLEAN, /* `integer` is 0 or 1 */
        AQ_WHEN_TIME,    /* `integer` in microseconds; the path is a time */
    } kind;
    struct aq_slice text;
    int64_t integer;
    double real;
};

struct aq_when_node {
    enum aq_when_kind kind;
    size_t path; /* index into paths; of the last four kinds */
    enum aq_when_comparison comparison;
    size_t literal_count;
    struct aq_when_literal *literals;
    struct aq_when_node *first; /* children of the first three kinds */
    struct aq_when_node *next;  /* sibling */
};

struct aq_when {
    struct aq_when_node *root;
    size_t path_count;
    struct aq_path *paths; /* each name one value */
    struct aq_arena arena; /* of all of it */
};

/**
 * Parse a condition (docs/config.md, "when"): paths, literals, = == != <> < <= > >=, in (...),
 * is [not] null, and, or, not. A fault is AQ_INVALID that says what was expected and where; err->offset is
 * its byte in `text`. The caller destroys `when`. @thread Any.
 */
enum aq_status aq_when_parse(const char *text, struct aq_when **when,
                             struct aq_error *err) AQ_RESULT;
void aq_when_destroy(struct aq_when *when);

#endif
