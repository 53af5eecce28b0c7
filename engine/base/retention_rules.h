/* How long a dataset's rows are kept: what the config says and compaction applies. */
#ifndef AQ_ENGINE_RETENTION_RULES_H
#define AQ_ENGINE_RETENTION_RULES_H

#include <stddef.h>
#include <stdint.h>

#define AQ_RETENTION_FOREVER 0

/** Keys in text form that fit a pattern of fnmatch(3). */
struct aq_retention_rule {
    const char *pattern;
    int64_t span_us;
};

/** By event time, back from now. Spans are in microseconds, or AQ_RETENTION_FOREVER. */
struct aq_retention {
    const char *dataset;
    int64_t default_us; /* of keys that fit no rule */
    int64_t rejects_us; /* of its rejects, by arrival */
    size_t rule_count;
    struct aq_retention_rule *rules; /* the first that a key fits counts */
};

#endif
