/* What running sources tell whoever watches them: metrics, readiness, the status line. Sources write,
 * watchers copy. */
#ifndef AQ_ENGINE_INGEST_MONITOR_H
#define AQ_ENGINE_INGEST_MONITOR_H

#include "engine/ingest/config.h"

/* Why messages were rejected, in classes: a label of the metrics. */
#define AQ_REJECT_CLASS_TABLE(X)                                               \
    X(AQ_REJECT_SYNTAX, "syntax")     /* not JSON, a malformed CSV record */   \
    X(AQ_REJECT_REQUIRED, "required") /* a required value is absent or null */ \
    X(AQ_REJECT_TYPE, "type")         /* a value does not fit */               \
    X(AQ_REJECT_SIZE, "size")         /* longer than AQ_RECORD_BYTES_MAX */

enum aq_reject_class {
#define AQ_REJECT_CLASS_ENUM(name, text) name,
    AQ_REJECT_CLASS_TABLE(AQ_REJECT_CLASS_ENUM)
#undef AQ_REJECT_CLASS_ENUM
        AQ_REJECT_CLASS_COUNT
};
/** "syntax" */
const char *aq_reject_class_name(enum aq_reject_class reject_class);

enum aq_source_state {
    AQ_SOURCE_STARTING, /* not connected, or nothing assigned yet */
    AQ_SOURCE_RUNNING,
    AQ_SOURCE_WAITING, /* broker down, disk full: goes on by itself */
    AQ_SOURCE_STOPPED, /* needs somebody: `message` says what to do */
    AQ_SOURCE_DONE,    /* --once, or the end of its files */
};
/** "running" */
const char *aq_source_state_name(enum aq_source_state state);

struct aq_monitor_source {
    const char *name; /* of the config, which outlives the monitor */
    const char *dataset;
    bool is_kafka;
    enum aq_source_state state;
    char message[512];  /* of WAITING and STOPPED */
    uint64_t row_count; /* durable, by this process; as are the other counts */
    uint64_t reject_counts[AQ_REJECT_CLASS_COUNT];
    uint64_t passed_count;
    uint64_t lost_count; /* messages that the broker no longer had */
    uint64_t input_bytes;
    int64_t last_message_us; /* wall clock when a message came last; 0: never */
};

/** An assigned partition of a source's topic. */
struct aq_monitor_partition {
    size_t source; /* index */
    const char *topic;
    int32_t partition;
    uint64_t next_ordinal; /* durable */
    uint64_t end_ordinal;  /* log end as last heard of; lag is the difference */
};

/** Messages that are not durable yet. */
uint64_t aq_monitor_lag(const struct aq_monitor_partition *partition);

/* Upper bounds of the commit latency histogram, in microseconds; the last bucket has none. */
#define AQ_MONITOR_BUCKETS 14
extern const int64_t aq_monitor_bucket_us[AQ_MONITOR_BUCKETS - 1];

struct aq_monitor_totals {
    uint64_t commit_count; /* frames */
    int64_t commit_us_sum; /* from the first message of a frame to its ack */
    uint64_t commit_buckets[AQ_MONITOR_BUCKETS];
    uint64_t segment_bytes_written;
    uint64_t segments_sealed;
    uint64_t open_segment_bytes;
    int64_t open_segment_since_us; /* wall clock, of the oldest; 0: none open */
    uint64_t queue_bytes;          /* messages decoded, not durable yet */
    uint64_t queue_messages;
};

struct aq_monitor;

/** One for a process; knows the config's sources named in `sources` (indices), in this order. */
enum aq_status aq_monitor_create(const struct aq_config *config, const size_t *sources,
                                 size_t source_count, struct aq_monitor **monitor,
                                 struct aq_error *err) AQ_RESULT;
void aq_monitor_destroy(struct aq_monitor *monitor);

/* For sources. All functions may be called with monitor NULL and then do nothing. @thread Any. */

size_t aq_monitor_find(const struct aq_monitor *monitor, const char *source_name); /* SIZE_MAX */
void aq_monitor_state(struct aq_monitor *monitor, size_t source, enum aq_source_state state,
                      const char *message);
/** Add the counts in `add` (state, names and message are ignored; last_message_us is taken if later). */
void aq_monitor_add(struct aq_monitor *monitor, size_t source, const struct aq_monitor_source *add);
/** Set, or insert, what is known of a partition; `topic` is copied. */
void aq_monitor_set_partition(struct aq_monitor *monitor,
                              const struct aq_monitor_partition *partition);
void aq_monitor_drop_partition(struct aq_monitor *monitor, size_t source, const char *topic,
                               int32_t partition);
void aq_monitor_commit(struct aq_monitor *monitor, int64_t latency_us);
/** Set one writer's gauges, and add the counters `segment_bytes_written` and `segments_sealed` of `now`.
 * `source` names the writer: the first source that writes through it. Watchers see the writers' sum. */
void aq_monitor_set_writer(struct aq_monitor *monitor, size_t source,
                           const struct aq_monitor_totals *now);

/* For watchers. */

struct aq_monitor_view {
    size_t source_count;
    struct aq_monitor_source *sources;
    size_t partition_count;
    struct aq_monitor_partition *partitions; /* by source, topic, partition */
    struct aq_monitor_totals totals;
    struct aq_arena arena;
};
/** A consistent copy; release with aq_monitor_view_deinit. @thread Any. */
enum aq_status aq_monitor_copy(struct aq_monitor *monitor, struct aq_monitor_view *view) AQ_RESULT;
void aq_monitor_view_deinit(struct aq_monitor_view *view);

#endif
