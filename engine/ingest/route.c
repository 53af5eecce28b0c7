/* Step 3 of a message's way: rows to partitions (docs/architecture.md).
 *
 * Happy path: each row's key and slot are looked up in a small table, where the row before it most often
 * was, too; then the partitions are put in order and the rows are gathered by a counting sort, columns one
 * by one. Rows that arrive grouped already are not moved.
 * Failures: memory only. */
#include "engine/ingest/route.h"

#include <stdlib.h>
#include <string.h>

#include "format/base/checksum.h"
#include "format/table/key_text.h"

#define EMPTY UINT32_MAX

/* A partition as found, in order of appearance. */
struct group {
    struct aq_slice key;
    int64_t slot_start_us;
    uint32_t row_count;
    uint32_t place; /* in the section's order */
};

struct aq_router {
    const struct aq_schema *schema;
    struct aq_batch grouped;
    struct aq_arena arena; /* of one call */
    struct group *groups;
    size_t group_count;
    size_t group_capacity;
    uint32_t *table; /* of group indices */
    size_t table_size;
    uint32_t *row_groups; /* one a row */
    uint32_t *order;      /* row of arrival at each place */
    size_t row_capacity;
    struct aq_partition *partitions; /* group_capacity */
    uint32_t *sorted;                /* group_capacity */
};

enum aq_status aq_router_create(const struct aq_schema *schema, struct aq_router **router,
                                struct aq_error *err)
{
    struct aq_router *made = calloc(1, sizeof *made);
    if (made == NULL || aq_schema_batch_init(schema, true, &made->grouped) < 0) {
        free(made);
        return aq_error_set(err, AQ_NO_MEMORY, "making a router: out of memory");
    }
    made->schema = schema;
    *router = made;
    return AQ_OK;
}

void aq_router_destroy(struct aq_router *router)
{
    if (router == NULL)
        return;
    /* The rows that `grouped` holds share their texts with the batch they came from. */
    aq_batch_deinit(&router->grouped);
    aq_arena_deinit(&router->arena);
    free(router->groups);
    free(router->table);
    free(router->row_groups);
    free(router->order);
    free(router->partitions);
    free(router->sorted);
    free(router);
}

static enum aq_status resize(void *array_pointer, size_t count, size_t item_size)
{
    void **array = array_pointer;
    void *grown = realloc(*array, count * item_size);
    if (grown == NULL)
        return AQ_NO_MEMORY;
    *array = grown;
    return AQ_OK;
}

static enum aq_status reserve_rows(struct aq_router *router, size_t row_count)
{
    if (row_count <= router->row_capacity)
        return AQ_OK;
    AQ_TRY(resize(&router->row_groups, row_count, sizeof *router->row_groups));
    AQ_TRY(resize(&router->order, row_count, sizeof *router->order));
    router->row_capacity = row_count;
    return AQ_OK;
}

static size_t slot_of(const struct aq_router *router, struct aq_slice key, int64_t slot_start_us)
{
    return (size_t)aq_checksum_seeded(key.data, key.size, (uint64_t)slot_start_us) &
           (router->table_size - 1);
}

static void insert(struct aq_router *router, uint32_t index)
{
    const struct group *group = &router->groups[index];
    size_t slot = slot_of(router, group->key, group->slot_start_us);
    while (router->table[slot] != EMPTY)
        slot = (slot + 1) & (router->table_size - 1);
    router->table[slot] = index;
}

static enum aq_status grow_groups(struct aq_router *router)
{
    size_t capacity = router->group_capacity == 0 ? 64 : 2 * router->group_capacity;
    AQ_TRY(resize(&router->groups, capacity, sizeof *router->groups));
    AQ_TRY(resize(&router->partitions, capacity, sizeof *router->partitions));
    AQ_TRY(resize(&router->sorted, capacity, sizeof *router->sorted));
    AQ_TRY(resize(&router->table, 2 * capacity, sizeof *router->table));
    router->group_capacity = capacity;
    router->table_size = 2 * capacity;
    memset(router->table, 0xff, router->table_size * sizeof *router->table);
    for (uint32_t i = 0; i < router->group_count; i++)
        insert(router, i);
    return AQ_OK;
}

static enum aq_status find_group(struct aq_router *router, struct aq_slice key,
                                 int64_t slot_start_us, uint32_t *index)
{
    if (router->table == NULL || router->group_count == router->group_capacity)
        AQ_TRY(grow_groups(router));
    size_t slot = slot_of(router, key, slot_start_us);
    for (; router->table[slot] != EMPTY; slot = (slot + 1) & (router->table_size - 1)) {
        const struct group *group = &router->groups[router->table[slot]];
        if (group->slot_start_us == slot_start_us && aq_slice_equal(group->key, key)) {
            *index = router->table[slot];
            return AQ_OK;
        }
    }
    *index = (uint32_t)router->group_count++;
    router->groups[*index] = (struct group){.key = key, .slot_start_us = slot_start_us};
    router->table[slot] = *index;
    return AQ_OK;
}

static bool same_key(const struct aq_vector *keys, size_t row, size_t before)
{
    if (keys == NULL)
        return true;
    return aq_vector_compare_bits(keys, row, keys, before) == 0;
}

/* The rows' groups. *in_order: they stand grouped, in the section's order, as they are. */
static enum aq_status assign_groups(struct aq_router *router, const struct aq_batch *rows)
{
    const struct aq_schema *schema = router->schema;
    const struct aq_vector *keys =
        schema->key_column == AQ_COLUMN_NONE ? NULL : &rows->columns[schema->key_column];
    const struct aq_vector *times =
        schema->time_column == AQ_COLUMN_NONE ? NULL : &rows->columns[schema->time_column];
    struct aq_slice key = {0};
    int64_t slot_begin_us = 0;
    int64_t slot_end_us = times == NULL ? INT64_MAX : 0;
    uint32_t group = EMPTY;
    for (size_t row = 0; row < rows->row_count; row++) {
        int64_t time_us = times == NULL ? 0 : times->ints[row];
        bool same = group != EMPTY && time_us >= slot_begin_us && time_us < slot_end_us;
        bool known_key = row > 0 && same_key(keys, row, row - 1);
        if (!same) {
            slot_begin_us = times == NULL ? 0 : aq_slot_start(schema->slot, time_us);
            slot_end_us = times == NULL ? INT64_MAX : aq_slot_end(schema->slot, slot_begin_us);
        }
        if (!known_key && keys != NULL)
            AQ_TRY(aq_key_text(keys, row, &router->arena, &key));
        if (!same || !known_key)
            AQ_TRY(find_group(router, key, slot_begin_us, &group));
        router->row_groups[row] = group;
        router->groups[group].row_count++;
    }
    return AQ_OK;
}

static int compare_groups(const void *a, const void *b, void *context)
{
    const struct group *groups = context;
    const struct group *left = &groups[*(const uint32_t *)a];
    const struct group *right = &groups[*(const uint32_t *)b];
    int order = aq_slice_compare(left->key, right->key);
    if (order != 0)
        return order;
    return (left->slot_start_us > right->slot_start_us) -
           (left->slot_start_us < right->slot_start_us);
}

static void order_groups(struct aq_router *router)
{
    for (uint32_t i = 0; i < router->group_count; i++)
        router->sorted[i] = i;
    qsort_r(router->sorted, router->group_count, sizeof *router->sorted, compare_groups,
            router->groups);
    uint32_t row_first = 0;
    for (uint32_t i = 0; i < router->group_count; i++) {
        struct group *group = &router->groups[router->sorted[i]];
        group->place = i;
        router->partitions[i] = (struct aq_partition){.key = group->key,
                                                      .slot_start_us = group->slot_start_us,
                                                      .row_first = row_first,
                                                      .row_count = group->row_count};
        row_first += group->row_count;
    }
}

/* @return whether the rows stand in the section's order already. */
static bool order_rows(struct aq_router *router, size_t row_count)
{
    bool in_order = true;
    uint32_t *next = router->sorted; /* has served; now: the next row of each place */
    for (size_t i = 0; i < router->group_count; i++)
        next[i] = router->partitions[i].row_first;
    for (size_t row = 0; row < row_count; row++) {
        uint32_t place = next[router->groups[router->row_groups[row]].place]++;
        router->order[place] = (uint32_t)row;
        in_order = in_order && place == row;
    }
    return in_order;
}

static enum aq_status gather(const struct aq_vector *from, const uint32_t *order,
                             struct aq_vector *to)
{
    size_t count = from->row_count;
    aq_vector_clear(to);
    AQ_TRY(aq_vector_reserve(to, count));
    AQ_TRY(aq_vector_resize(to, count));
    if (from->valid != NULL) {
        AQ_TRY(aq_vector_need_validity(to));
        for (size_t i = 0; i < count; i++)
            to->valid[i] = from->valid[order[i]];
    }
    switch (aq_type_physical(from->type)) {
    case AQ_PHYSICAL_INT:
        for (size_t i = 0; i < count; i++)
            to->ints[i] = from->ints[order[i]];
        break;
    case AQ_PHYSICAL_DOUBLE:
        for (size_t i = 0; i < count; i++)
            to->doubles[i] = from->doubles[order[i]];
        break;
    default:
        for (size_t i = 0; i < count; i++)
            to->slices[i] = from->slices[order[i]];
        break;
    }
    return AQ_OK;
}

static enum aq_status route(struct aq_router *router, const struct aq_batch *rows,
                            struct aq_section_input *section)
{
    aq_arena_reset(&router->arena);
    router->group_count = 0;
    if (router->table != NULL)
        memset(router->table, 0xff, router->table_size * sizeof *router->table);
    AQ_TRY(reserve_rows(router, rows->row_count));
    AQ_TRY(assign_groups(router, rows));
    order_groups(router);
    *section = (struct aq_section_input){.schema = router->schema,
                                         .rows = rows,
                                         .partitions = router->partitions,
                                         .partition_count = router->group_count};
    if (order_rows(router, rows->row_count))
        return AQ_OK;
    for (size_t i = 0; i < rows->column_count; i++)
        AQ_TRY(gather(&rows->columns[i], router->order, &router->grouped.columns[i]));
    router->grouped.row_count = rows->row_count;
    section->rows = &router->grouped;
    return AQ_OK;
}

enum aq_status aq_route(struct aq_router *router, const struct aq_batch *rows,
                        struct aq_section_input *section, struct aq_error *err)
{
    if (route(router, rows, section) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "grouping %zu rows: out of memory", rows->row_count);
    return AQ_OK;
}

enum aq_status aq_route_section(struct aq_router *router, const struct aq_batch *rows,
                                struct aq_section_input *sections, size_t *section_count,
                                struct aq_error *err)
{
    if (rows->row_count == 0)
        return AQ_OK;
    AQ_TRY(aq_route(router, rows, &sections[*section_count], err));
    ++*section_count;
    return AQ_OK;
}
