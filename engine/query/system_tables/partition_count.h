/* The partitions of a dataset, counted: rows, bytes, files by (key, slot). Private to the system tables. */
#ifndef AQ_ENGINE_QUERY_SYSTEM_TABLES_PARTITION_COUNT_H
#define AQ_ENGINE_QUERY_SYSTEM_TABLES_PARTITION_COUNT_H

#include "engine/query/system_tables/system_table.h"

struct aq_partition_count {
    struct aq_slice key; /* text form; empty without a key column */
    int64_t slot_start_us;
    uint64_t row_count;    /* that a query sees */
    uint64_t stored_count; /* and those that `unique` hides */
    uint64_t size_bytes;   /* its share, by stored rows, of the sections and tiles that hold it */
    uint64_t file_count;
    uint64_t last_file_id; /* counted already */
    bool at_home;          /* any of its files is */
    bool in_bucket;
    bool has_time; /* of rows that a query sees */
    int64_t oldest_us;
    int64_t newest_us;
};

/** Zero-initialise; owns everything. */
struct aq_partition_counts {
    size_t count;
    size_t capacity;
    struct aq_partition_count *items; /* in order of appearance */
    size_t table_size;
    uint32_t *table; /* of indices into items */
    struct aq_arena arena;
};
void aq_partition_counts_deinit(struct aq_partition_counts *counts);

/** Whether rows with keys and times within these bounds are wanted at all. */
typedef bool (*aq_partitions_wanted_fn)(void *context, const struct aq_unit *bounds);

/**
 * Count the partitions of a dataset. Units whose bounds are not wanted are not read; their partitions are
 * missing or incomplete.
 */
enum aq_status aq_count_partitions(const struct aq_system_scan *scan,
                                   const struct aq_schema *schema, aq_partitions_wanted_fn wanted,
                                   void *context, struct aq_partition_counts *counts,
                                   struct aq_error *err) AQ_RESULT;

#endif
