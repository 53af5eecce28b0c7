/* Grouping a chunk of rows.
 *
 * Rows of a tile are sorted by key, series and time, so a row mostly belongs to the group of the one
 * before it: column after column marks the rows that differ from their predecessor, and only those are
 * hashed and looked up in an open-addressing table. */
#include "engine/query/exec/aggregate/group_table.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "engine/query/expression/expression.h"

#define SLOTS_MIN 1024

enum aq_status aq_group_table_init(struct aq_group_table *table, size_t column_count,
                                   const enum aq_type *types)
{
    *table = (struct aq_group_table){.column_count = column_count, .slot_count = SLOTS_MIN};
    aq_arena_init(&table->arena);
    table->keys = calloc(column_count + 1, sizeof *table->keys);
    table->slots = calloc(table->slot_count, sizeof *table->slots);
    table->doubles = calloc((column_count + 1) * AQ_CHUNK_ROWS, sizeof *table->doubles);
    if (table->keys == NULL || table->slots == NULL || table->doubles == NULL) {
        aq_group_table_deinit(table);
        return AQ_NO_MEMORY;
    }
    for (size_t c = 0; c < column_count; c++)
        aq_vector_init(&table->keys[c], types[c]);
    return AQ_OK;
}

void aq_group_table_deinit(struct aq_group_table *table)
{
    for (size_t c = 0; table->keys != NULL && c < table->column_count; c++)
        aq_vector_deinit(&table->keys[c]);
    free(table->keys);
    free(table->hashes);
    free(table->slots);
    free(table->doubles);
    aq_arena_deinit(&table->arena);
    *table = (struct aq_group_table){0};
}

size_t aq_group_table_bytes(const struct aq_group_table *table)
{
    size_t bytes = table->slot_count * sizeof *table->slots + table->arena.used_bytes +
                   table->group_capacity * sizeof *table->hashes;
    for (size_t c = 0; c < table->column_count; c++)
        bytes += table->keys[c].capacity * (sizeof(struct aq_slice) + 1);
    return bytes;
}

/* changed[i] |= row i differs from row i - 1 */
static void mark_changes(const struct aq_vector *column, size_t row_count, uint8_t *changed)
{
    if (column->valid != NULL)
        for (size_t i = 1; i < row_count; i++)
            changed[i] |= column->valid[i] != column->valid[i - 1];
    switch (aq_type_physical(column->type)) {
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_DOUBLE: /* normalised: equal values have equal bits */
        for (size_t i = 1; i < row_count; i++)
            changed[i] |= column->ints[i] != column->ints[i - 1];
        break;
    case AQ_PHYSICAL_SLICE:
        for (size_t i = 1; i < row_count; i++)
            if (changed[i] == 0)
                changed[i] = !aq_slice_equal(column->slices[i], column->slices[i - 1]);
        break;
    case AQ_PHYSICAL_INTERVAL:
        for (size_t i = 1; i < row_count; i++)
            changed[i] |= aq_vector_compare(column, i, column, i - 1) != 0;
        break;
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    aq_uint128 product =
        (aq_uint128)(hash ^ value ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_row(const struct aq_vector *const *columns, size_t column_count, size_t row)
{
    uint64_t hash = 0;
    for (size_t c = 0; c < column_count; c++) {
        const struct aq_vector *column = columns[c];
        if (!aq_row_valid(column, row)) {
            hash = mix(hash, UINT64_C(0x6e756c6c));
            continue;
        }
        switch (aq_type_physical(column->type)) {
        case AQ_PHYSICAL_INT:
        case AQ_PHYSICAL_DOUBLE:
            hash = mix(hash, (uint64_t)column->ints[row]);
            break;
        case AQ_PHYSICAL_SLICE:
            hash = mix(hash, XXH3_64bits(column->slices[row].data, column->slices[row].size));
            break;
        case AQ_PHYSICAL_INTERVAL: {
            struct aq_interval value = column->intervals[row];
            aq_int128 us = ((aq_int128)value.months * 30 + value.days) * AQ_US_PER_DAY + value.us;
            hash = mix(hash, (uint64_t)us ^ (uint64_t)(us >> 64));
            break;
        }
        }
    }
    return hash;
}

static enum aq_status grow_slots(struct aq_group_table *table)
{
    size_t slot_count = table->slot_count * 2;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        return AQ_NO_MEMORY;
    for (size_t g = 0; g < table->group_count; g++) {
        size_t slot = table->hashes[g] & (slot_count - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (slot_count - 1);
        slots[slot] = (uint32_t)g + 1;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    return AQ_OK;
}

static enum aq_status grow_groups(struct aq_group_table *table)
{
    size_t capacity = table->group_capacity == 0 ? 256 : table->group_capacity * 2;
    uint64_t *hashes = realloc(table->hashes, capacity * sizeof *hashes);
    if (hashes == NULL)
        return AQ_NO_MEMORY;
    table->hashes = hashes;
    table->group_capacity = capacity;
    for (size_t c = 0; c < table->column_count; c++)
        AQ_TRY(aq_vector_reserve(&table->keys[c], capacity));
    return AQ_OK;
}

static bool same_key(const struct aq_group_table *table, uint32_t group,
                     const struct aq_vector *const *columns, size_t row)
{
    for (size_t c = 0; c < table->column_count; c++)
        if (aq_vector_compare(&table->keys[c], group, columns[c], row) != 0)
            return false;
    return true;
}

static enum aq_status add_group(struct aq_group_table *table,
                                const struct aq_vector *const *columns, size_t row, uint64_t hash)
{
    if (table->group_count >= AQ_GROUPS_MAX)
        return AQ_LIMIT;
    if (table->group_count == table->group_capacity)
        AQ_TRY(grow_groups(table));
    for (size_t c = 0; c < table->column_count; c++)
        AQ_TRY(aq_vector_append_from(&table->keys[c], columns[c], row, &table->arena));
    table->hashes[table->group_count++] = hash;
    return AQ_OK;
}

static enum aq_status find_row(struct aq_group_table *table, const struct aq_vector *const *columns,
                               size_t row, uint32_t *group)
{
    uint64_t hash = hash_row(columns, table->column_count, row);
    size_t slot = hash & (table->slot_count - 1);
    while (table->slots[slot] != 0) {
        uint32_t known = table->slots[slot] - 1;
        if (table->hashes[known] == hash && same_key(table, known, columns, row)) {
            *group = known;
            return AQ_OK;
        }
        slot = (slot + 1) & (table->slot_count - 1);
    }
    AQ_TRY(add_group(table, columns, row, hash));
    *group = (uint32_t)table->group_count - 1;
    table->slots[slot] = *group + 1;
    return table->group_count * 2 > table->slot_count ? grow_slots(table) : AQ_OK;
}

/* Column `c` with its doubles normalised; other columns as they are. */
static const struct aq_vector *normal_column(struct aq_group_table *table, size_t c,
                                             const struct aq_vector *column, size_t row_count,
                                             struct aq_vector *view)
{
    if (aq_type_physical(column->type) != AQ_PHYSICAL_DOUBLE)
        return column;
    double *doubles = table->doubles + c * AQ_CHUNK_ROWS;
    for (size_t i = 0; i < row_count; i++)
        doubles[i] = aq_double_normal(column->doubles[i]);
    *view = *column;
    view->doubles = doubles;
    return view;
}

enum aq_status aq_group_table_find(struct aq_group_table *table,
                                   const struct aq_vector *const *columns, size_t row_count,
                                   uint32_t *groups)
{
    uint8_t changed[AQ_CHUNK_ROWS] = {1};
    const struct aq_vector **normal =
        calloc(table->column_count + 1, sizeof(struct aq_vector) + sizeof(void *));
    if (normal == NULL)
        return AQ_NO_MEMORY;
    struct aq_vector *views = (struct aq_vector *)(void *)(normal + table->column_count + 1);
    for (size_t c = 0; c < table->column_count; c++) {
        normal[c] = normal_column(table, c, columns[c], row_count, &views[c]);
        mark_changes(normal[c], row_count, changed);
    }
    enum aq_status status = AQ_OK;
    for (size_t i = 0; i < row_count && status == AQ_OK; i++) {
        if (changed[i] == 0)
            groups[i] = groups[i - 1];
        else
            status = find_row(table, normal, i, &groups[i]);
    }
    free(normal);
    return status;
}
