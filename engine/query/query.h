/* SQL over a snapshot. PostgreSQL's dialect: docs/sql.md. */
#ifndef AQ_ENGINE_QUERY_QUERY_H
#define AQ_ENGINE_QUERY_QUERY_H

#include "engine/store/snapshot/snapshot.h"

#include <stdatomic.h>

struct aq_query;

/** Who can ask how far the logs of feeds reach beyond their positions; for aqstore_sources. */
struct aq_query_lags {
    void *context;
    /** Fill in `lags`, -1 where it is not known. */
    void (*ask)(void *context, const struct aq_feed_state *feeds, size_t feed_count, int64_t *lags);
};

struct aq_query_options {
    const char *timezone;             /* tz name or ISO offset; NULL: UTC */
    uint64_t memory_bytes;            /* limit; 0: a default of 1 GiB */
    unsigned thread_count;            /* 0: all cores */
    uint64_t fetch_bytes;             /* of tiles in a bucket, fetched ahead at once; 0: 128 MiB */
    const atomic_bool *stop;          /* Ctrl-C; may be NULL */
    const struct aq_query_lags *lags; /* borrowed; NULL: no lag is known */
};

struct aq_result_column {
    const char *name;
    enum aq_type type;
};

/** Parse, bind and plan; nothing is read yet. A fault is AQ_INVALID or AQ_UNSUPPORTED with the
 * position: message "line 1:8: column "x" does not exist; did you mean "y"?". */
enum aq_status aq_query_prepare(struct aq_snapshot *snapshot, const char *sql,
                                const struct aq_query_options *options, struct aq_query **query,
                                struct aq_error *err) AQ_RESULT;
void aq_query_destroy(struct aq_query *query);
size_t aq_query_column_count(const struct aq_query *query);
const struct aq_result_column *aq_query_columns(const struct aq_query *query);
/** Zone that text forms of timestamps are to use (SET/AT TIME ZONE aside): borrowed. */
const char *aq_query_timezone(const struct aq_query *query);

/** Run as far as the first rows, which aq_query_next then gives: what fails here, failed before anything was
 * answered. May be left out. */
enum aq_status aq_query_start(struct aq_query *query, struct aq_error *err) AQ_RESULT;
/** Next rows of the result: AQ_OK with >= 1 row borrowed until the next call, AQ_END at the end. */
enum aq_status aq_query_next(struct aq_query *query, const struct aq_batch **batch,
                             struct aq_error *err) AQ_RESULT;

struct aq_query_counters {
    uint64_t unit_count;        /* of the datasets read */
    uint64_t unit_pruned_count; /* skipped by key, time or statistics */
    uint64_t unit_stats_count;  /* answered from statistics alone */
    uint64_t row_read_count;
    uint64_t
        vector_skipped_count; /* of 1,024 rows or fewer: not unpacked, as no row of them passes */
    uint64_t twin_count;      /* hidden: re-sent rows that do not count */
    uint64_t bytes_read;
    /* Of files that are in the bucket; all zero where there are none. */
    struct aq_remote_counters remote;
    uint64_t remote_archive_count;
    uint64_t remote_archive_fetched_count; /* any of its tiles was */
    uint64_t remote_tile_count;
    uint64_t remote_tile_fetched_count; /* columns of it, not only its directory */
};
struct aq_query_counters aq_query_count(const struct aq_query *query);

/** Text form of one value as PostgreSQL prints it (timestamps in the query's zone, doubles shortest
 * round-trip), appended to `out`; nothing for null. Used by every output format. */
enum aq_status aq_query_value_text(const struct aq_query *query, const struct aq_vector *vector,
                                   size_t row, struct aq_bytes *out) AQ_RESULT;

#endif
