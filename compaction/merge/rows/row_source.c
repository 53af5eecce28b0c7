/* Reading the input rows of a dataset within bounded memory.
 *
 * Happy path: for each group in order of time, the units that may have rows of it and were not read for an earlier
 * one are read, several at a time, and held: units of segments, which may have rows of many groups, are read
 * once for all. The window is then all that is held.
 *
 * A group that does not fit in half of the memory that is left beside the tiles being written is read in several
 * windows, key by key (key_windows.c). Where these would be too many, or a key alone is too big, what does not fit
 * is sorted and set aside, group by group (row_run.c), and each group's rows come back by merging (run_merge.c). So
 * each row is decoded once, whatever its unit's size.
 *
 * Failures: damage in a unit names its file; a full disk. */
#include "compaction/merge/rows/row_source.h"

#include <stdlib.h>
#include <string.h>

#define WAVE_MAX 64
#define BLOCK_ROWS_MIN 64
#define BLOCK_ROWS_MAX 65536

static enum aq_status no_memory(const struct aq_row_source *source, struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "no memory to read dataset %s", source->schema->dataset);
}

/* Which units, and of which groups. */

static const struct aq_column *time_column(const struct aq_schema *schema)
{
    return schema->time_column == AQ_COLUMN_NONE ? NULL : &schema->columns[schema->time_column];
}

/* The group that rows of this time belong to. */
static size_t group_of(const struct aq_compact_dataset *dataset, int64_t time_us)
{
    size_t group = 0;
    while (group + 1 < dataset->group_count && time_us >= dataset->groups[group].until_us)
        group++;
    return group;
}

/* Rows without a time are of the last group, and outside of a unit's bounds. */
static void find_groups(const struct aq_row_source *source, struct aq_source_unit *entry)
{
    const struct aq_column *time = time_column(source->schema);
    const struct aq_unit *unit = entry->unit;
    entry->first_group = entry->last_group = source->dataset->group_count - 1;
    if (time == NULL || !unit->has_time)
        return;
    entry->first_group = group_of(source->dataset, unit->min_time_us);
    if (time->required)
        entry->last_group = group_of(source->dataset, unit->max_time_us);
}

static bool is_straddler(const struct aq_source_unit *entry)
{
    return entry->last_group > entry->first_group;
}

static int compare_units(const void *left, const void *right)
{
    const struct aq_source_unit *a = left;
    const struct aq_source_unit *b = right;
    if (a->first_group != b->first_group)
        return a->first_group < b->first_group ? -1 : 1;
    if (is_straddler(a) != is_straddler(b))
        return is_straddler(a) ? -1 : 1;
    if (a->unit->file_id != b->unit->file_id)
        return a->unit->file_id < b->unit->file_id ? -1 : 1;
    return (a->unit->index > b->unit->index) - (a->unit->index < b->unit->index);
}

static enum aq_status find_units(struct aq_row_source *source, struct aq_error *err)
{
    const struct aq_unit *units;
    size_t unit_count;
    AQ_TRY(aq_snapshot_units(source->job->snapshot, source->schema->dataset_id, &units, &unit_count,
                             err));
    source->units = calloc(unit_count + 1, sizeof *source->units);
    source->stretches = calloc(unit_count + 1, sizeof *source->stretches);
    if (source->units == NULL || source->stretches == NULL)
        return no_memory(source, err);
    for (size_t i = 0; i < unit_count; i++) {
        if (!aq_compact_plan_reads(&source->job->plan, units[i].file_id))
            continue;
        struct aq_source_unit *entry = &source->units[source->unit_count++];
        entry->unit = &units[i];
        find_groups(source, entry);
        source->row_total += units[i].row_count;
    }
    qsort(source->units, source->unit_count, sizeof *source->units, compare_units);
    return AQ_OK;
}

static enum aq_status open_source(struct aq_row_source *source, struct aq_error *err)
{
    source->column_count = aq_schema_stored_count(source->schema);
    source->column_ids = malloc((source->column_count + 1) * sizeof *source->column_ids);
    if (source->column_ids == NULL)
        return no_memory(source, err);
    for (size_t i = 0; i < source->column_count; i++)
        source->column_ids[i] = aq_schema_stored_column(source->schema, i).id;
    AQ_TRY(find_units(source, err));
    aq_unit_ahead_open(source->job, source->column_ids, source->column_count, &source->ahead);
    source->queue =
        (struct aq_unit_queue){.units = source->units, .unit_count = source->unit_count, .step = 1};
    return AQ_OK;
}

enum aq_status aq_row_source_open(const struct aq_compact_job *job,
                                  const struct aq_compact_dataset *dataset,
                                  struct aq_row_source *source, struct aq_error *err)
{
    *source = (struct aq_row_source){.job = job, .dataset = dataset, .schema = dataset->schema};
    enum aq_status status = open_source(source, err);
    if (status != AQ_OK)
        aq_row_source_close(source);
    return status;
}

/* Reading. */

/* Units read side by side; each task has its own slot. */
struct wave {
    struct aq_row_source *source;
    struct aq_source_unit *units;
    struct slot {
        enum aq_status status;
        struct aq_error err;
        struct aq_content_hash hash;
    } slots[WAVE_MAX];
};

static void read_unit(void *context, size_t index)
{
    struct wave *wave = context;
    struct slot *slot = &wave->slots[index];
    const struct aq_row_source *source = wave->source;
    struct aq_source_unit *entry = &wave->units[index];
    slot->status = aq_schema_stored_batch_init(source->schema, &entry->batch);
    if (slot->status != AQ_OK)
        return;
    entry->held = true;
    slot->status = aq_unit_read(source->job->snapshot, entry->unit, source->column_ids,
                                &entry->batch, &slot->err);
    if (slot->status == AQ_OK)
        slot->status = aq_batch_content_hash(&entry->batch, entry->batch.column_count, &slot->hash);
    aq_rate_limit_spend(source->job->options->rate, entry->unit->size_bytes);
}

static enum aq_status read_wave(struct wave *wave, size_t count, struct aq_error *err)
{
    struct aq_row_source *source = wave->source;
    const struct aq_compact_job *job = source->job;
    AQ_TRY(aq_compact_check_stop(job, err));
    aq_unit_ahead_ask(&source->ahead, &source->queue, source->read_count);
    memset(wave->slots, 0, sizeof wave->slots);
    wave->units = &source->units[source->read_count];
    source->read_count += count;
    job->workers.executor.run(job->workers.executor.context, count, read_unit, wave);
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &wave->slots[i];
        AQ_TRY(aq_error_take(err, slot->status, &slot->err, "cannot read rows to compact"));
        aq_content_hash_add(&source->content, &slot->hash);
        source->held_bytes += aq_rows_held_bytes(&wave->units[i].batch);
    }
    aq_compact_report_progress(job, source->schema->dataset, "read", source->content.row_count,
                               source->row_total);
    return AQ_OK;
}

/* What a row takes, before any has been seen. */
static uint64_t row_bytes(const struct aq_row_source *source)
{
    uint64_t bytes = AQ_ROW_SORT_BYTES;
    for (size_t i = 0; i < source->column_count; i++) {
        enum aq_type type = aq_schema_stored_column(source->schema, i).type;
        bytes += aq_type_physical(type) == AQ_PHYSICAL_SLICE ? 2 * sizeof(struct aq_slice)
                                                             : sizeof(int64_t);
    }
    return bytes;
}

/* What is held may take half of the memory that tiles being written leave: each thread has the rows of one, and
 * about as much again while it is coded. */
static uint64_t hold_limit(const struct aq_row_source *source)
{
    const struct aq_compact_job *job = source->job;
    uint64_t tiles = 2 * job->workers.thread_count * AQ_TILE_ROWS_MAX * row_bytes(source);
    uint64_t left = job->memory_bytes > tiles ? job->memory_bytes - tiles : 0;
    return left / 2 > job->memory_bytes / 8 ? left / 2 : job->memory_bytes / 8;
}

/* Units of this group that may be read next within memory; one a thread at least. */
static size_t wave_size(const struct aq_row_source *source)
{
    uint64_t bytes = source->held_bytes;
    size_t size = 0;
    while (size < WAVE_MAX && source->read_count + size < source->unit_count) {
        const struct aq_source_unit *entry = &source->units[source->read_count + size];
        bytes += entry->unit->row_count * row_bytes(source);
        if (entry->first_group > source->group ||
            (bytes > hold_limit(source) && size >= source->job->workers.thread_count))
            break;
        size++;
    }
    return size;
}

/* Setting aside. */

static void drop_unit(struct aq_row_source *source, struct aq_source_unit *entry)
{
    source->held_bytes -= aq_rows_held_bytes(&entry->batch);
    aq_batch_deinit(&entry->batch);
    entry->held = false;
}

/* Stretches of what is held and may have rows of the group. */
static size_t held_stretches(struct aq_row_source *source, size_t group)
{
    size_t count = 0;
    for (size_t i = 0; i < source->read_count; i++) {
        const struct aq_source_unit *entry = &source->units[i];
        if (entry->held && entry->first_group <= group && group <= entry->last_group)
            source->stretches[count++] =
                (struct aq_row_stretch){&entry->batch, 0, entry->batch.row_count};
    }
    return count;
}

static struct aq_time_range range_of(const struct aq_row_source *source, size_t group)
{
    const struct aq_compact_group *of = &source->dataset->groups[group];
    return (struct aq_time_range){of->from_us, of->until_us};
}

/* So many rows that a block of each run that there may come to be fits a third of the memory for merging. */
static size_t choose_block_rows(const struct aq_row_source *source)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < source->read_count; i++)
        rows += source->units[i].held ? source->units[i].batch.row_count : 0;
    uint64_t bytes_a_row = source->held_bytes / (rows + 1) + 1;
    uint64_t runs = source->row_total * bytes_a_row / (hold_limit(source) + 1) + 2;
    uint64_t block_rows = hold_limit(source) / 3 / runs / bytes_a_row;
    if (block_rows < BLOCK_ROWS_MIN)
        return BLOCK_ROWS_MIN;
    return block_rows < BLOCK_ROWS_MAX ? (size_t)block_rows : BLOCK_ROWS_MAX;
}

static enum aq_status add_run(struct aq_row_source *source, struct aq_row_run **run,
                              struct aq_error *err)
{
    struct aq_row_run **runs =
        realloc(source->runs, (source->run_count + 1) * sizeof(struct aq_row_run *));
    if (runs == NULL)
        return no_memory(source, err);
    source->runs = runs;
    if (source->block_rows == 0)
        source->block_rows = choose_block_rows(source);
    AQ_TRY(aq_row_run_create(aq_store_home_fd(source->job->store), source->dataset->group_count,
                             run, err));
    runs[source->run_count++] = *run;
    return AQ_OK;
}

static enum aq_status set_group_aside(struct aq_row_source *source, size_t group,
                                      struct aq_row_run *run, struct aq_error *err)
{
    const struct aq_executor *executor = &source->job->workers.executor;
    struct aq_sorted_rows sorted;
    size_t count = held_stretches(source, group);
    if (count == 0)
        return AQ_OK;
    if (aq_rows_sort(source->schema, source->stretches, count, range_of(source, group), executor,
                     &sorted) != AQ_OK)
        return no_memory(source, err);
    enum aq_status status =
        aq_row_run_append(run, source->stretches, &sorted, source->block_rows, executor, err);
    aq_sorted_rows_deinit(&sorted);
    return status;
}

/* Sort all that is held into a file, with a part for each group, and forget it. */
static enum aq_status set_aside(struct aq_row_source *source, struct aq_error *err)
{
    struct aq_row_run *run = NULL;
    AQ_TRY(add_run(source, &run, err));
    for (size_t group = 0; group < source->dataset->group_count; group++) {
        AQ_TRY(aq_compact_check_stop(source->job, err));
        AQ_TRY(set_group_aside(source, group, run, err));
        aq_row_run_end_part(run);
    }
    for (size_t i = 0; i < source->read_count; i++) {
        if (source->units[i].held)
            drop_unit(source, &source->units[i]);
    }
    return AQ_OK;
}

/* Groups and windows. */

static bool was_set_aside(const struct aq_row_source *source, size_t group)
{
    for (size_t i = 0; i < source->run_count; i++) {
        size_t first = group == 0 ? 0 : source->runs[i]->part_ends[group - 1];
        if (first < source->runs[i]->part_ends[group])
            return true;
    }
    return false;
}

/* Key by key. */

/* Units behind those that were read which have rows of this group, and of them those that have rows of later ones,
 * too. */
static size_t count_units(const struct aq_row_source *source, size_t *straddler_count)
{
    size_t end = source->read_count;
    *straddler_count = 0;
    while (end < source->unit_count && source->units[end].first_group <= source->group)
        *straddler_count += is_straddler(&source->units[end++]);
    return end - source->read_count;
}

/* What these units take in memory, about. */
static uint64_t guess_bytes(const struct aq_row_source *source, const struct aq_source_unit *units,
                            size_t count)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += units[i].unit->row_count;
    return rows * row_bytes(source);
}

static bool any_remote(const struct aq_source_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i].unit->remote)
            return true;
    }
    return false;
}

/* Of a group that does not fit memory, what other groups have rows of is held, and the rest read key by key, where
 * that is less work than setting rows aside. */
static enum aq_status try_windows(struct aq_row_source *source, struct wave *wave,
                                  struct aq_error *err)
{
    size_t straddler_count;
    size_t count = count_units(source, &straddler_count);
    const struct aq_source_unit *units = &source->units[source->read_count];
    uint64_t limit = hold_limit(source);
    if (source->schema->key_column == AQ_COLUMN_NONE || was_set_aside(source, source->group) ||
        source->held_bytes + guess_bytes(source, units, count) <= limit ||
        source->held_bytes + guess_bytes(source, units, straddler_count) > limit / 2 ||
        any_remote(units, count))
        return AQ_OK;
    /* The guess knows nothing of how long texts are: stop as soon as it was wrong. */
    size_t wave_most = source->job->workers.thread_count;
    if (wave_most > WAVE_MAX)
        wave_most = WAVE_MAX;
    for (size_t left = straddler_count; left > 0 && source->held_bytes <= limit / 2;) {
        size_t wave_count = left < wave_most ? left : wave_most;
        AQ_TRY(read_wave(wave, wave_count, err));
        left -= wave_count;
    }
    if (source->held_bytes > limit / 2)
        return AQ_OK;
    struct aq_key_windows_input input = {.job = source->job,
                                         .schema = source->schema,
                                         .column_ids = source->column_ids,
                                         .ahead = &source->ahead,
                                         .units = &source->units[source->read_count],
                                         .unit_count = count - straddler_count,
                                         .held = source->stretches,
                                         .held_count = held_stretches(source, source->group),
                                         .memory_bytes = limit - source->held_bytes};
    AQ_TRY(aq_key_windows_open(&input, &source->windows, &source->windowed, err));
    if (source->windowed)
        source->read_count += input.unit_count;
    return AQ_OK;
}

enum aq_status aq_row_source_begin(struct aq_row_source *source, size_t group, struct aq_error *err)
{
    struct wave wave = {.source = source};
    source->group = group;
    source->given = false;
    AQ_TRY(try_windows(source, &wave, err));
    if (source->windowed)
        return AQ_OK;
    for (;;) {
        if (source->held_bytes > hold_limit(source))
            AQ_TRY(set_aside(source, err));
        size_t count = wave_size(source);
        if (count == 0)
            break;
        AQ_TRY(read_wave(&wave, count, err));
    }
    source->merging = was_set_aside(source, group);
    if (!source->merging)
        return AQ_OK;
    if (source->held_bytes > 0)
        AQ_TRY(set_aside(source, err));
    return aq_run_merge_open(source->schema, source->runs, source->run_count, group,
                             hold_limit(source), &source->job->workers.executor,
                             source->job->workers.thread_count, &source->merge, err);
}

enum aq_status aq_row_source_next(struct aq_row_source *source, struct aq_row_window *window,
                                  struct aq_error *err)
{
    *window = (struct aq_row_window){.range = AQ_TIME_RANGE_ALL, .last = true};
    if (source->windowed) {
        enum aq_status status =
            aq_key_windows_next(&source->windows, &window->last, &source->content, err);
        window->stretches = source->windows.stretches;
        window->stretch_count = source->windows.stretch_count;
        window->range = range_of(source, source->group);
        aq_compact_report_progress(source->job, source->schema->dataset, "read",
                                   source->content.row_count, source->row_total);
        return status;
    }
    if (source->merging) {
        enum aq_status status = aq_run_merge_next(&source->merge, &window->last, err);
        window->stretches = source->merge.stretches;
        window->stretch_count = source->merge.stretch_count;
        return status;
    }
    if (source->given)
        return AQ_END;
    source->given = true;
    window->stretch_count = held_stretches(source, source->group);
    window->stretches = source->stretches;
    window->range = range_of(source, source->group);
    return AQ_OK;
}

enum aq_status aq_row_source_consume(struct aq_row_source *source,
                                     const struct aq_sorted_rows *sorted, size_t count,
                                     struct aq_error *err)
{
    if (source->windowed)
        return aq_key_windows_consume(&source->windows, sorted, count, err);
    if (source->merging)
        aq_run_merge_consume(&source->merge, sorted->refs, count);
    return AQ_OK;
}

void aq_row_source_end(struct aq_row_source *source)
{
    if (source->windowed)
        aq_key_windows_close(&source->windows);
    if (source->merging)
        aq_run_merge_close(&source->merge);
    source->windowed = false;
    source->merging = false;
    for (size_t i = 0; i < source->read_count; i++) {
        if (source->units[i].held && source->units[i].last_group <= source->group)
            drop_unit(source, &source->units[i]);
    }
}

void aq_row_source_close(struct aq_row_source *source)
{
    if (source->windowed)
        aq_key_windows_close(&source->windows);
    if (source->merging)
        aq_run_merge_close(&source->merge);
    for (size_t i = 0; i < source->unit_count; i++)
        aq_batch_deinit(&source->units[i].batch);
    for (size_t i = 0; i < source->run_count; i++)
        aq_row_run_destroy(source->runs[i]);
    aq_unit_ahead_close(&source->ahead);
    free(source->runs);
    free(source->units);
    free(source->stretches);
    free(source->column_ids);
    *source = (struct aq_row_source){0};
}
