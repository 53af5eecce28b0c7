/* Counting partitions.
 *
 * Happy path: a unit that lies in one partition by its bounds is counted without being read; of others the
 * columns of key and time are, and rows in a row with the same key and slot are counted together. A
 * unit's bytes are dealt out by rows so that the shares add up to them. With `unique` all this is done
 * with the rows as stored, and the rows that a query sees are counted in a second pass.
 * Failures: reading; memory, of which a dataset with very many partitions needs a lot: a limit. */
#include "engine/query/system_tables/partition_count.h"

#include <stdlib.h>

#include "engine/store/dedupe.h"
#include "format/base/checksum.h"
#include "format/table/key_text.h"

#define EMPTY UINT32_MAX
#define FETCH_UNITS 256 /* asked of the bucket at once */

/* What a pass counts. */
enum pass { PASS_STORED = 1, PASS_SEEN = 2 };

struct counter {
    const struct aq_system_scan *scan;
    const struct aq_schema *schema;
    struct aq_partition_counts *counts;
    unsigned passes; /* being done at once */
    struct aq_batch batch;
    uint32_t ids[2];
    const struct aq_vector *keys; /* of the batch; NULL: no key column */
    const struct aq_vector *times;
    /* The unit being counted. */
    const struct aq_unit *unit;
    const struct aq_catalog_file *file;
    uint64_t rows_done;
};

void aq_partition_counts_deinit(struct aq_partition_counts *counts)
{
    free(counts->items);
    free(counts->table);
    aq_arena_deinit(&counts->arena);
    *counts = (struct aq_partition_counts){0};
}

static size_t place_of(const struct aq_partition_counts *counts, struct aq_slice key, int64_t slot)
{
    return (size_t)aq_checksum_seeded(key.data, key.size, (uint64_t)slot) &
           (counts->table_size - 1);
}

static enum aq_status grow(struct aq_partition_counts *counts)
{
    size_t capacity = counts->capacity == 0 ? 64 : 2 * counts->capacity;
    if (capacity >= EMPTY)
        return AQ_NO_MEMORY;
    struct aq_partition_count *items = realloc(counts->items, capacity * sizeof *items);
    if (items == NULL)
        return AQ_NO_MEMORY;
    counts->items = items;
    uint32_t *table = realloc(counts->table, 2 * capacity * sizeof *table);
    if (table == NULL)
        return AQ_NO_MEMORY;
    counts->table = table;
    counts->capacity = capacity;
    counts->table_size = 2 * capacity;
    memset(table, 0xff, counts->table_size * sizeof *table);
    for (uint32_t i = 0; i < counts->count; i++) {
        size_t at = place_of(counts, items[i].key, items[i].slot_start_us);
        while (table[at] != EMPTY)
            at = (at + 1) & (counts->table_size - 1);
        table[at] = i;
    }
    return AQ_OK;
}

/* The partition, made if it is new. */
static enum aq_status find(struct aq_partition_counts *counts, struct aq_slice key, int64_t slot,
                           struct aq_partition_count **found)
{
    if (counts->count == counts->capacity)
        AQ_TRY(grow(counts));
    size_t at = place_of(counts, key, slot);
    for (; counts->table[at] != EMPTY; at = (at + 1) & (counts->table_size - 1)) {
        *found = &counts->items[counts->table[at]];
        if ((*found)->slot_start_us == slot && aq_slice_equal((*found)->key, key))
            return AQ_OK;
    }
    key.data = aq_arena_copy(&counts->arena, key.data, key.size);
    if (key.data == NULL)
        return AQ_NO_MEMORY;
    counts->table[at] = (uint32_t)counts->count;
    *found = &counts->items[counts->count++];
    **found = (struct aq_partition_count){.key = key, .slot_start_us = slot};
    return AQ_OK;
}

/* Some rows of the unit that is being counted, with times between these. */
struct rows {
    struct aq_slice key;
    int64_t slot_start_us;
    uint64_t count;
    int64_t oldest_us;
    int64_t newest_us;
};

static void add_stored(struct counter *counter, struct aq_partition_count *partition,
                       uint64_t row_count)
{
    const struct aq_unit *unit = counter->unit;
    const struct aq_catalog_file *file = counter->file;
    aq_uint128 before = (aq_uint128)unit->size_bytes * counter->rows_done;
    counter->rows_done += row_count;
    aq_uint128 after = (aq_uint128)unit->size_bytes * counter->rows_done;
    partition->size_bytes += (uint64_t)(after / unit->row_count - before / unit->row_count);
    partition->stored_count += row_count;
    partition->at_home |= !file->evicted;
    partition->in_bucket |= file->object.size > 0;
    partition->file_count += partition->last_file_id != file->file_id;
    partition->last_file_id = file->file_id;
}

static enum aq_status add_rows(struct counter *counter, const struct rows *rows)
{
    struct aq_partition_count *partition = NULL;
    AQ_TRY(find(counter->counts, rows->key, rows->slot_start_us, &partition));
    if ((counter->passes & PASS_STORED) != 0)
        add_stored(counter, partition, rows->count);
    if ((counter->passes & PASS_SEEN) == 0)
        return AQ_OK;
    partition->row_count += rows->count;
    if (counter->times == NULL)
        return AQ_OK;
    if (!partition->has_time || rows->oldest_us < partition->oldest_us)
        partition->oldest_us = rows->oldest_us;
    if (!partition->has_time || rows->newest_us > partition->newest_us)
        partition->newest_us = rows->newest_us;
    partition->has_time = true;
    return AQ_OK;
}

/* Whether the bounds alone say which partition all rows are of, and that there is one at either end: rows that
 * are left out may be those that had them. */
static bool lies_in_one(const struct counter *counter, const struct aq_unit *unit,
                        struct rows *rows)
{
    const struct aq_schema *schema = counter->schema;
    if (aq_unit_twin_count(unit) > 0)
        return false;
    if (counter->keys != NULL && (!unit->has_keys || !aq_slice_equal(unit->key_min, unit->key_max)))
        return false;
    *rows = (struct rows){.count = unit->row_count};
    if (counter->keys != NULL)
        rows->key = unit->key_min;
    if (counter->times == NULL)
        return true;
    rows->slot_start_us = aq_slot_start(schema->slot, unit->min_time_us);
    rows->oldest_us = unit->min_time_us;
    rows->newest_us = unit->max_time_us;
    return unit->has_time && rows->slot_start_us == aq_slot_start(schema->slot, unit->max_time_us);
}

/* Rows [first, end) that have the key of the first one, and its slot. */
static size_t gather(const struct counter *counter, size_t first, struct rows *rows)
{
    const struct aq_vector *keys = counter->keys;
    const struct aq_vector *times = counter->times;
    int64_t time_us = times == NULL ? 0 : times->ints[first];
    rows->slot_start_us = times == NULL ? 0 : aq_slot_start(counter->schema->slot, time_us);
    rows->oldest_us = time_us;
    rows->newest_us = time_us;
    int64_t slot_end_us =
        times == NULL ? INT64_MAX : aq_slot_end(counter->schema->slot, rows->slot_start_us);
    size_t row = first + 1;
    for (; row < counter->batch.row_count; row++) {
        if (keys != NULL && aq_vector_compare_bits(keys, row, keys, row - 1) != 0)
            break;
        time_us = times == NULL ? 0 : times->ints[row];
        if (time_us < rows->slot_start_us || time_us >= slot_end_us)
            break;
        rows->oldest_us = time_us < rows->oldest_us ? time_us : rows->oldest_us;
        rows->newest_us = time_us > rows->newest_us ? time_us : rows->newest_us;
    }
    rows->count = row - first;
    return row;
}

static enum aq_status read_unit(struct counter *counter, const struct aq_unit *unit,
                                struct aq_error *err)
{
    AQ_TRY(aq_unit_read(counter->scan->snapshot, unit, counter->ids, &counter->batch, err));
    for (size_t row = 0; row < counter->batch.row_count;) {
        struct rows rows = {0};
        enum aq_status status = AQ_OK;
        if (counter->keys != NULL)
            status = aq_key_text(counter->keys, row, &counter->batch.arena, &rows.key);
        row = gather(counter, row, &rows);
        if (status == AQ_OK)
            status = add_rows(counter, &rows);
        if (status < 0)
            return aq_error_set(err, status, "no memory for %zu partitions",
                                counter->counts->count);
    }
    return AQ_OK;
}

static enum aq_status count_unit(struct counter *counter, const struct aq_unit *unit,
                                 struct aq_error *err)
{
    const struct aq_partition_counts *counts = counter->counts;
    struct rows rows;
    if (unit->row_count == 0)
        return AQ_OK;
    counter->unit = unit;
    counter->file = aq_catalog_file(aq_snapshot_catalog(counter->scan->snapshot), unit->file_id);
    counter->rows_done = 0;
    enum aq_status status = AQ_OK;
    if (!lies_in_one(counter, unit, &rows))
        status = read_unit(counter, unit, err);
    else if ((status = add_rows(counter, &rows)) < 0)
        aq_error_set(err, status, "no memory for %zu partitions", counts->count);
    AQ_TRY(status);
    /* What is counted becomes rows of a table, too: about as much again. */
    uint64_t held = 2 * (counts->capacity * sizeof *counts->items + counts->arena.used_bytes);
    return aq_system_check(counter->scan, held, err);
}

static enum aq_status count_units(struct counter *counter, const struct aq_unit *const *units,
                                  size_t unit_count, struct aq_error *err)
{
    const struct aq_unit *fetched[FETCH_UNITS];
    for (size_t first = 0, end = 0; first < unit_count; first = end) {
        struct rows rows;
        size_t fetch_count = 0;
        for (; end < unit_count && fetch_count < FETCH_UNITS; end++)
            if (units[end]->remote && !lies_in_one(counter, units[end], &rows))
                fetched[fetch_count++] = units[end];
        if (fetch_count > 0)
            AQ_TRY(aq_snapshot_prefetch(counter->scan->snapshot, fetched, fetch_count, counter->ids,
                                        counter->batch.column_count, err));
        for (size_t u = first; u < end; u++)
            AQ_TRY(count_unit(counter, units[u], err));
    }
    return AQ_OK;
}

/* A batch of key and time, as far as there are any. */
static enum aq_status open_counter(struct counter *counter)
{
    const struct aq_schema *schema = counter->schema;
    enum aq_type types[2];
    size_t count = 0;
    const uint32_t wanted[] = {schema->key_column, schema->time_column};
    for (size_t i = 0; i < 2; i++) {
        if (wanted[i] == AQ_COLUMN_NONE)
            continue;
        types[count] = schema->columns[wanted[i]].type;
        counter->ids[count++] = schema->columns[wanted[i]].id;
    }
    AQ_TRY(aq_batch_init(&counter->batch, count, types));
    if (schema->key_column != AQ_COLUMN_NONE)
        counter->keys = &counter->batch.columns[0];
    if (schema->time_column != AQ_COLUMN_NONE)
        counter->times = &counter->batch.columns[count - 1];
    return AQ_OK;
}

/* The units that are wanted. */
static enum aq_status choose(const struct counter *counter, aq_partitions_wanted_fn wanted,
                             void *context, const struct aq_unit ***chosen, size_t *chosen_count,
                             struct aq_error *err)
{
    const struct aq_unit *units = NULL;
    size_t unit_count = 0;
    *chosen = NULL;
    *chosen_count = 0;
    AQ_TRY(aq_snapshot_units(counter->scan->snapshot, counter->schema->dataset_id, &units,
                             &unit_count, err));
    *chosen = malloc((unit_count + 1) * sizeof **chosen);
    if (*chosen == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < unit_count; i++)
        if (wanted(context, &units[i]))
            (*chosen)[(*chosen_count)++] = &units[i];
    return AQ_OK;
}

/* As they are stored: those that have been resolved before, as they were. */
static enum aq_status count_stored(struct counter *counter, const struct aq_unit *const *units,
                                   size_t unit_count, struct aq_error *err)
{
    struct aq_arena arena = {0};
    const struct aq_unit **stored = malloc((unit_count + 1) * sizeof *stored);
    enum aq_status status = stored == NULL ? AQ_NO_MEMORY : AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < unit_count; i++)
        status = aq_unit_with_twins(units[i], &arena, &stored[i]);
    if (status < 0)
        aq_error_set(err, status, "out of memory");
    else
        status = count_units(counter, stored, unit_count, err);
    free(stored);
    aq_arena_deinit(&arena);
    return status;
}

/* Twice with `unique`: before rows are hidden by it, and after. */
static enum aq_status count_all(struct counter *counter, const struct aq_unit *const *units,
                                size_t unit_count, struct aq_error *err)
{
    const struct aq_system_scan *scan = counter->scan;
    const struct aq_resolve_options options = {.stop = scan->stop};
    counter->passes = PASS_STORED | PASS_SEEN;
    if (counter->schema->unique_count == 0)
        return count_units(counter, units, unit_count, err);
    counter->passes = PASS_STORED;
    AQ_TRY(count_stored(counter, units, unit_count, err));
    AQ_TRY(aq_snapshot_resolve(scan->snapshot, counter->schema->dataset_id, units, unit_count,
                               &options, NULL, err));
    counter->passes = PASS_SEEN;
    return count_units(counter, units, unit_count, err);
}

enum aq_status aq_count_partitions(const struct aq_system_scan *scan,
                                   const struct aq_schema *schema, aq_partitions_wanted_fn wanted,
                                   void *context, struct aq_partition_counts *counts,
                                   struct aq_error *err)
{
    struct counter counter = {.scan = scan, .schema = schema, .counts = counts};
    const struct aq_unit **units = NULL;
    size_t unit_count = 0;
    enum aq_status status = open_counter(&counter);
    if (status < 0)
        return aq_error_set(err, status, "out of memory");
    status = choose(&counter, wanted, context, &units, &unit_count, err);
    if (status == AQ_OK)
        status = count_all(&counter, units, unit_count, err);
    aq_batch_deinit(&counter.batch);
    free(units);
    return status;
}
