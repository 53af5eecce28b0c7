/* Numbering series: an open hash table over (key, series), doubled when it is half full. */
#include "compaction/merge/rows/row_series.h"

#include <stdlib.h>

#include "format/base/checksum.h"

#define NULL_HASH UINT64_C(0x9ae16a3b2f90404f)
#define MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * MULTIPLIER;
    return hash ^ (hash >> 29);
}

static uint64_t add_column(uint64_t hash, const struct aq_vector *vector, size_t row)
{
    if (aq_vector_is_null(vector, row))
        return mix(hash, NULL_HASH);
    if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE)
        return aq_checksum_seeded(vector->slices[row].data, vector->slices[row].size, hash);
    return mix(hash, (uint64_t)vector->ints[row]);
}

uint64_t aq_series_hash(const struct aq_schema *schema, const struct aq_batch *batch, size_t row)
{
    uint64_t hash = 0;
    if (schema->key_column != AQ_COLUMN_NONE)
        hash = add_column(hash, &batch->columns[schema->key_column], row);
    for (size_t i = 0; i < schema->series_count; i++)
        hash = add_column(hash, &batch->columns[schema->series[i]], row);
    return hash;
}

static void insert(struct aq_series_table *table, uint64_t hash, uint32_t number)
{
    size_t slot = hash & (table->slot_count - 1);
    while (table->slots[slot] != 0)
        slot = (slot + 1) & (table->slot_count - 1);
    table->slots[slot] = number + 1;
}

static enum aq_status grow(struct aq_series_table *table)
{
    size_t slot_count = table->slot_count == 0 ? 64 : 2 * table->slot_count;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    struct aq_series_entry *entries = NULL;
    if (slots != NULL)
        entries = realloc(table->entries, slot_count / 2 * sizeof *entries);
    if (entries == NULL) {
        free(slots);
        return AQ_NO_MEMORY;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    table->entries = entries;
    for (size_t i = 0; i < table->count; i++)
        insert(table, entries[i].hash, (uint32_t)i);
    return AQ_OK;
}

enum aq_status aq_series_number(struct aq_series_table *table, struct aq_series_row row,
                                uint64_t hash, uint32_t *number)
{
    if (2 * table->count >= table->slot_count)
        AQ_TRY(grow(table));
    for (size_t slot = hash & (table->slot_count - 1); table->slots[slot] != 0;
         slot = (slot + 1) & (table->slot_count - 1)) {
        const struct aq_series_entry *entry = &table->entries[table->slots[slot] - 1];
        if (entry->hash == hash &&
            aq_schema_compare_series(table->schema, entry->row.batch, entry->row.row, row.batch,
                                     row.row) == 0) {
            *number = table->slots[slot] - 1;
            return AQ_OK;
        }
    }
    *number = (uint32_t)table->count;
    table->entries[table->count++] = (struct aq_series_entry){hash, row};
    insert(table, hash, *number);
    return AQ_OK;
}

static int compare_numbers(const void *left, const void *right, void *context)
{
    const struct aq_series_table *table = context;
    const struct aq_series_row *a = &table->entries[*(const uint32_t *)left].row;
    const struct aq_series_row *b = &table->entries[*(const uint32_t *)right].row;
    return aq_schema_compare_series(table->schema, a->batch, a->row, b->batch, b->row);
}

enum aq_status aq_series_rank(const struct aq_series_table *table, uint32_t *ranks)
{
    uint32_t *order = malloc((table->count + 1) * sizeof *order);
    if (order == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < table->count; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, table->count, sizeof *order, compare_numbers, (void *)table);
    for (size_t i = 0; i < table->count; i++)
        ranks[order[i]] = (uint32_t)i;
    free(order);
    return AQ_OK;
}

void aq_series_table_deinit(struct aq_series_table *table)
{
    free(table->entries);
    free(table->slots);
    *table = (struct aq_series_table){0};
}
