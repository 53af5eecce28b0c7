/* The config file (docs/config.md), parsed and checked. */
#ifndef AQ_ENGINE_INGEST_CONFIG_H
#define AQ_ENGINE_INGEST_CONFIG_H

#include "engine/base/retention_rules.h"
#include "engine/base/schedule.h"
#include "format/table/schema.h"

/** Where in the config something stands, for messages: "file:line:column". */
struct aq_config_mark {
    int line;   /* from 1; 0: not from a file */
    int column; /* from 1 */
};

struct aq_config_node; /* engine/config: settings that later steps read, as a checked tree */

/** One step of a path: a member by name, or an array element. */
struct aq_path_step {
    struct aq_slice member; /* data NULL: `index` counts */
    int64_t index;
};

struct aq_path {
    /* The CSV header's name: the path as written, or the name in a lone ["..."]. For messages and
     * `config show`: as written. */
    struct aq_slice text;
    struct aq_slice written;
    enum aq_path_kind {
        AQ_PATH_VALUE,   /* steps into the message */
        AQ_PATH_REST,    /* "*": everything not named by another column */
        AQ_PATH_ARRIVAL, /* the stamp */
        AQ_PATH_SOURCE,  /* the source's name */
        AQ_PATH_KAFKA_KEY,
        AQ_PATH_KAFKA_HEADER, /* steps[0].member: its name */
        AQ_PATH_KAFKA_TIMESTAMP,
        AQ_PATH_KAFKA_PARTITION,
        AQ_PATH_KAFKA_OFFSET,
        AQ_PATH_TEMPLATE, /* parts: texts and paths, joined */
    } kind;
    size_t step_count;
    struct aq_path_step *steps;
    size_t part_count;
    struct aq_path_part *parts;
};

/** Of a template: literal text, or a path in braces. */
struct aq_path_part {
    struct aq_slice text; /* literal when path is NULL */
    struct aq_path *path;
};

/** How one column's value is found in a message and read. */
struct aq_column_config {
    struct aq_config_mark mark;
    size_t from_count;
    struct aq_path *from;   /* tried in order */
    struct aq_slice format; /* times: strptime pattern or epoch_s|ms|us; empty: RFC 3339 */
    struct aq_slice zone;   /* tz name or ISO offset for times without one; empty: UTC */
    size_t null_value_count;
    struct aq_slice *null_values;
    bool has_default;
    struct aq_slice default_value; /* text form */
    bool has_scale;
    double scale;     /* numbers are multiplied by it */
    size_t map_count; /* texts replaced before typing */
    struct aq_slice *map_from;
    struct aq_slice *map_to;
};

struct aq_dataset_config {
    struct aq_config_mark mark;
    struct aq_schema schema;          /* ids and version unassigned; columns in declared order */
    struct aq_column_config *columns; /* schema.column_count of them */
};

enum aq_source_format {
    AQ_FORMAT_AUTO,
    AQ_FORMAT_CSV,
    AQ_FORMAT_NDJSON,
    AQ_FORMAT_JSON,
    AQ_FORMAT_RAW,
    AQ_FORMAT_PARQUET
};

/** `kafka:` of a source. */
struct aq_kafka_config {
    const char *brokers; /* joined by commas */
    size_t topic_count;
    const char **topics;  /* names, or ^patterns */
    const char *group;    /* aqstore */
    const char *password; /* of password or password_file; NULL: none */
    /* All settings as librdkafka properties, in order: security, mechanism, username, ca_file and what
     * `options:` passes on; without brokers, group and password. Values of `options:` may be secrets:
     * messages name the property alone. */
    size_t property_count;
    struct aq_kafka_property {
        const char *name;
        const char *value;
        struct aq_config_mark mark;
    } * properties;
};

struct aq_source_config {
    struct aq_config_mark mark;
    const char *name;
    const char *dataset;
    enum aq_source_format format;
    size_t file_count; /* patterns, joined to the config's folder if relative; 0 for Kafka */
    const char **files;
    bool is_kafka;
    const struct aq_config_node *kafka; /* its settings, as written */
    struct aq_kafka_config client;      /* and as read */
    const char *start;                  /* earliest | latest | a time; Kafka only */
    const char *when;                   /* condition on messages; NULL: all; Kafka only */
};

/** `tier:`; secrets of *_file: have been read. */
struct aq_tier_config {
    const char *to;            /* s3://BUCKET/PREFIX */
    const char *endpoint;      /* "" : AWS */
    const char *region;        /* us-east-1 */
    const char *storage_class; /* STANDARD */
    const char *driver;        /* curl | libs3 */
    const char *access_key;    /* NULL: found as AWS tools find it; so are the next two */
    const char *secret_key;
    const char *session_token;
    int64_t after_us;     /* 30d */
    int64_t keep_home_us; /* after */
    int64_t protect_us;   /* 1h; 0: off */
    uint64_t cache_bytes; /* 10GiB */
};

/** `http:`; none without it. */
struct aq_http_config {
    const char *host;  /* numeric */
    uint16_t port;     /* 0: any free one */
    const char *token; /* NULL: none, and then only on a loopback address */
};

struct aq_view_config {
    const char *name;
    const char *sql;
};

struct aq_config {
    const char *path;  /* as given; "" for built-in defaults */
    const char *store; /* joined to the config's folder if relative; default ./store there */
    size_t dataset_count;
    struct aq_dataset_config *datasets;
    struct aq_retention *retentions; /* one a dataset */
    size_t source_count;
    struct aq_source_config *sources;
    size_t view_count;
    struct aq_view_config *views;
    int64_t commit_interval_us;
    uint64_t commit_size_bytes;
    uint64_t segment_size_bytes;
    uint64_t ingest_memory_bytes;
    uint64_t target_size_bytes;
    int64_t late_us;    /* a slot is closed for roll-up this long after its end */
    int64_t history_us; /* replaced files are kept this long for readers of a bucket */
    struct aq_schedule compaction_schedule; /* of the loop inside `ingest` */
    uint64_t compaction_memory_bytes;       /* that a compaction uses, about */
    uint64_t compaction_rate_bytes;         /* read and written a second; 0: no limit */
    int compaction_profile; /* 0: archives as small as can be; 1: fast to write and to scan */
    int64_t segment_age_us; /* a segment with rows is sealed after that long; 1h */
    const struct aq_config_node *tier; /* as written; NULL: no bucket */
    const struct aq_config_node *http;
    struct aq_tier_config tier_config; /* as read; counts only with `tier` */
    struct aq_http_config http_config; /* only with `http` */
    struct aq_arena arena;
};

/** Read, expand ${NAME} and ${NAME:default}, parse, check everything. A fault is AQ_INVALID with path
 * "file:line:column", what was expected and the nearest valid word. */
enum aq_status aq_config_load(const char *path, struct aq_config **config,
                              struct aq_error *err) AQ_RESULT;
/** Same, from memory; `name` stands for the file in messages. */
enum aq_status aq_config_parse(const char *name, struct aq_slice text, struct aq_config **config,
                               struct aq_error *err) AQ_RESULT;
void aq_config_destroy(struct aq_config *config);
const struct aq_dataset_config *aq_config_dataset(const struct aq_config *config, const char *name);
/** "30d", "15m": a span as the config writes it. False for anything else. */
bool aq_config_parse_span(const char *text, int64_t *span_us);
/** "128MiB", "50MB": a size likewise. */
bool aq_config_parse_size(const char *text, uint64_t *size_bytes);
/** YAML with defaults filled in and secrets masked. */
enum aq_status aq_config_show(const struct aq_config *config, struct aq_bytes *out) AQ_RESULT;

#endif
