/* A hash table of groups: distinct rows of key columns, numbered from 0. */
#ifndef AQ_ENGINE_QUERY_EXEC_GROUP_TABLE_H
#define AQ_ENGINE_QUERY_EXEC_GROUP_TABLE_H

#include "format/table/vector.h"

#define AQ_GROUPS_MAX ((size_t)UINT32_MAX - 1)

/** Zero-initialise, then aq_group_table_init. One thread at a time. */
struct aq_group_table {
    size_t column_count;
    struct aq_vector *keys; /* row g: the key of group g; doubles normalised (0.0, one NaN) */
    struct aq_arena arena;  /* bytes of the keys' slices */
    uint64_t *hashes;
    size_t group_count;
    size_t group_capacity;
    uint32_t *slots; /* group + 1, or 0 */
    size_t slot_count;
    double *doubles; /* room to normalise a chunk's double columns */
};

enum aq_status aq_group_table_init(struct aq_group_table *table, size_t column_count,
                                   const enum aq_type *types) AQ_RESULT;
void aq_group_table_deinit(struct aq_group_table *table);

/** groups[i] = number of the group of row i of `columns`, made if it is new. Nulls are equal to each
 * other. row_count is a chunk's at most. @return AQ_OK, AQ_NO_MEMORY, AQ_LIMIT (2^32 groups). */
enum aq_status aq_group_table_find(struct aq_group_table *table,
                                   const struct aq_vector *const *columns, size_t row_count,
                                   uint32_t *groups) AQ_RESULT;

/** Bytes held. */
size_t aq_group_table_bytes(const struct aq_group_table *table);

/** 0.0 for -0.0 and the one NaN for every NaN. */
static inline double aq_double_normal(double value)
{
    return value != value ? __builtin_nan("") : value + 0.0;
}

#endif
