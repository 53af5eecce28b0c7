/* Reading the input rows of a group within bounded memory.
 *
 * The first pass reads every unit once, several at a time, adds up the rows' content hash and takes a
 * sample. While the rows fit they are kept; when they no longer do, all are dropped and the pass only
 * hashes and samples on. Then the sample, sorted, is cut into as many ranges as memory demands, and for
 * each range the units are read again and only its rows kept. A range is one of the storage order
 * itself, so it works for a single key as well as for many.
 *
 * A unit may have rows of several groups; each takes its own.
 *
 * Failures: damage in a unit names its file. */
#include "compaction/row_source.h"

#include <stdlib.h>
#include <string.h>

/* Values in the sample at most, and bytes of each: a cut need not be a row that exists. */
#define SAMPLE_VALUES ((size_t)1 << 18)
#define SAMPLE_SLICE_BYTES 64
#define WAVE_MAX 64

static uint64_t batch_bytes(const struct aq_batch *batch)
{
    uint64_t bytes = batch->arena.used_bytes;
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct aq_vector *vector = &batch->columns[i];
        bool slices = aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE;
        bytes += vector->capacity * (slices ? sizeof(struct aq_slice) : sizeof(int64_t));
        bytes += vector->valid == NULL ? 0 : vector->capacity;
    }
    return bytes;
}

static bool is_archive_of(const struct aq_compact_group *group, uint64_t file_id)
{
    for (size_t i = 0; i < group->archive_count; i++) {
        if (group->archives[i]->file_id == file_id)
            return true;
    }
    return false;
}

static const struct aq_column *time_column(const struct aq_schema *schema)
{
    return schema->time_column == AQ_COLUMN_NONE ? NULL : &schema->columns[schema->time_column];
}

/* Whether the group may have rows in the unit; those without a time are outside of its bounds. */
static bool is_wanted(const struct aq_row_source *source, const struct aq_unit *unit)
{
    const struct aq_compact_group *group = source->group;
    const struct aq_column *time = time_column(source->schema);
    if (unit->kind == AQ_FILE_ARCHIVE && !is_archive_of(group, unit->file_id))
        return false;
    if (!aq_compact_plan_reads(&source->job->plan, unit->file_id))
        return false;
    if (group->until_us == INT64_MAX && (time == NULL || !time->required))
        return true;
    return unit->has_time && unit->max_time_us >= group->from_us &&
           (unit->min_time_us < group->until_us || group->until_us == INT64_MAX);
}

static enum aq_status find_units(struct aq_row_source *source, struct aq_error *err)
{
    const struct aq_unit *units;
    size_t unit_count;
    AQ_TRY(aq_snapshot_units(source->job->snapshot, source->schema->dataset_id, &units, &unit_count,
                             err));
    source->units = malloc((unit_count + 1) * sizeof(void *));
    source->batches = calloc(unit_count + 1, sizeof *source->batches);
    if (source->units == NULL || source->batches == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to list %zu units", unit_count);
    for (size_t i = 0; i < unit_count; i++) {
        if (!is_wanted(source, &units[i]))
            continue;
        source->units[source->unit_count++] = &units[i];
        source->row_total += units[i].row_count;
    }
    return AQ_OK;
}

/* Units read side by side; each task has its own slot. */
struct wave {
    struct aq_row_source *source;
    size_t first_unit;
    const struct aq_row_ref *low;  /* NULL: no lower bound */
    const struct aq_row_ref *high; /* NULL: no upper bound; the row itself is outside */
    struct slot {
        enum aq_status status;
        struct aq_error err;
        struct aq_content_hash hash;
    } slots[WAVE_MAX];
};

static bool in_range(const struct wave *wave, const struct aq_batch *batch, size_t row)
{
    const struct aq_schema *schema = wave->source->schema;
    const struct aq_batch *sample = &wave->source->sample;
    return (wave->low == NULL ||
            aq_schema_compare_rows(schema, batch, row, sample, wave->low->row) >= 0) &&
           (wave->high == NULL ||
            aq_schema_compare_rows(schema, batch, row, sample, wave->high->row) < 0);
}

static enum aq_status append_row(struct aq_batch *to, const struct aq_batch *from, size_t row)
{
    for (size_t i = 0; i < from->column_count; i++)
        AQ_TRY(aq_vector_append_from(&to->columns[i], &from->columns[i], row, &to->arena));
    to->row_count++;
    return AQ_OK;
}

/* Replace `batch` by its rows in the wave's range. */
static enum aq_status keep_range(const struct wave *wave, struct aq_batch *batch)
{
    struct aq_batch kept;
    AQ_TRY(aq_schema_stored_batch_init(wave->source->schema, &kept));
    enum aq_status status = AQ_OK;
    for (size_t row = 0; status == AQ_OK && row < batch->row_count; row++) {
        if (in_range(wave, batch, row))
            status = append_row(&kept, batch, row);
    }
    aq_batch_deinit(batch);
    *batch = kept;
    return status;
}

static bool in_group(const struct aq_row_source *source, const struct aq_vector *time, size_t row)
{
    const struct aq_compact_group *group = source->group;
    if (aq_vector_is_null(time, row))
        return group->until_us == INT64_MAX;
    return time->ints[row] >= group->from_us &&
           (time->ints[row] < group->until_us || group->until_us == INT64_MAX);
}

/* Whether all rows of the unit are the group's. */
static bool is_within(const struct aq_compact_group *group, const struct aq_column *time,
                      const struct aq_unit *unit)
{
    if (time == NULL || (group->from_us == INT64_MIN && group->until_us == INT64_MAX))
        return true;
    return time->required && unit->has_time && unit->min_time_us >= group->from_us &&
           unit->max_time_us < group->until_us;
}

/* Replace `batch` by its rows of the group. */
static enum aq_status keep_group(const struct aq_row_source *source, const struct aq_unit *unit,
                                 struct aq_batch *batch)
{
    if (is_within(source->group, time_column(source->schema), unit))
        return AQ_OK;
    struct aq_batch kept;
    AQ_TRY(aq_schema_stored_batch_init(source->schema, &kept));
    enum aq_status status = AQ_OK;
    for (size_t row = 0; status == AQ_OK && row < batch->row_count; row++) {
        if (in_group(source, &batch->columns[source->schema->time_column], row))
            status = append_row(&kept, batch, row);
    }
    aq_batch_deinit(batch);
    *batch = kept;
    return status;
}

static void read_unit(void *context, size_t index)
{
    struct wave *wave = context;
    struct slot *slot = &wave->slots[index];
    struct aq_row_source *source = wave->source;
    struct aq_batch *batch = &source->batches[wave->first_unit + index];
    slot->status = aq_schema_stored_batch_init(source->schema, batch);
    if (slot->status == AQ_OK)
        slot->status = aq_unit_read(source->job->snapshot, source->units[wave->first_unit + index],
                                    source->column_ids, batch, &slot->err);
    aq_rate_limit_spend(source->job->options->rate,
                        source->units[wave->first_unit + index]->size_bytes);
    if (slot->status == AQ_OK)
        slot->status = keep_group(source, source->units[wave->first_unit + index], batch);
    if (slot->status == AQ_OK)
        slot->status = aq_batch_content_hash(batch, batch->column_count, &slot->hash);
    if (slot->status == AQ_OK && (wave->low != NULL || wave->high != NULL))
        slot->status = keep_range(wave, batch);
}

/* Read the wave's units; `count` of them. */
static enum aq_status read_wave(struct wave *wave, size_t count, struct aq_error *err)
{
    const struct aq_compact_job *job = wave->source->job;
    AQ_TRY(aq_compact_check_stop(job, err));
    memset(wave->slots, 0, sizeof wave->slots);
    job->workers.executor.run(job->workers.executor.context, count, read_unit, wave);
    for (size_t i = 0; i < count; i++) {
        if (wave->slots[i].status == AQ_OK)
            continue;
        if (wave->slots[i].err.status == AQ_OK)
            return aq_error_set(err, wave->slots[i].status, "cannot read rows to compact: %s",
                                aq_status_text(wave->slots[i].status));
        if (err != NULL)
            *err = wave->slots[i].err;
        return wave->slots[i].status;
    }
    return AQ_OK;
}

static size_t wave_size(const struct aq_row_source *source, size_t first_unit)
{
    size_t left = source->unit_count - first_unit;
    size_t size = source->job->workers.thread_count;
    if (size > WAVE_MAX)
        size = WAVE_MAX;
    return left < size ? left : size;
}

static enum aq_status sample_row(struct aq_batch *sample, const struct aq_batch *from, size_t row)
{
    for (size_t i = 0; i < from->column_count; i++) {
        struct aq_vector *to = &sample->columns[i];
        if (aq_type_physical(to->type) != AQ_PHYSICAL_SLICE ||
            aq_vector_is_null(&from->columns[i], row)) {
            AQ_TRY(aq_vector_append_from(to, &from->columns[i], row, NULL));
            continue;
        }
        struct aq_slice slice = from->columns[i].slices[row];
        slice.size = slice.size < SAMPLE_SLICE_BYTES ? slice.size : SAMPLE_SLICE_BYTES;
        slice.data = aq_arena_copy(&sample->arena, slice.data, slice.size);
        if (slice.data == NULL)
            return AQ_NO_MEMORY;
        AQ_TRY(aq_vector_append_slice(to, slice));
    }
    sample->row_count++;
    return AQ_OK;
}

/* Every n-th row of the whole, whatever the units and threads: plans stay deterministic. */
static enum aq_status sample_batch(struct aq_row_source *source, const struct aq_batch *batch,
                                   uint64_t rows_before)
{
    uint64_t rows_wanted = SAMPLE_VALUES / (source->schema->column_count + 1) + 1;
    uint64_t step = source->row_total / rows_wanted + 1;
    for (uint64_t row = (step - rows_before % step) % step; row < batch->row_count; row += step)
        AQ_TRY(sample_row(&source->sample, batch, row));
    return AQ_OK;
}

static void drop_batches(struct aq_row_source *source)
{
    for (size_t i = 0; i < source->unit_count; i++)
        aq_batch_deinit(&source->batches[i]);
    source->held_bytes = 0;
}

/* After a wave of the first pass: hash, sample, keep or drop. */
static enum aq_status take_wave(struct aq_row_source *source, const struct wave *wave, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct aq_batch *batch = &source->batches[wave->first_unit + i];
        AQ_TRY(sample_batch(source, batch, source->content.row_count));
        aq_content_hash_add(&source->content, &wave->slots[i].hash);
        source->held_bytes += batch_bytes(batch);
        source->all_bytes += batch_bytes(batch);
    }
    source->whole = source->whole && source->held_bytes <= source->job->memory_bytes;
    if (!source->whole)
        drop_batches(source);
    return AQ_OK;
}

static enum aq_status first_pass(struct aq_row_source *source, struct aq_error *err)
{
    struct wave wave = {.source = source};
    for (size_t unit = 0; unit < source->unit_count;) {
        size_t count = wave_size(source, unit);
        wave.first_unit = unit;
        AQ_TRY(read_wave(&wave, count, err));
        if (take_wave(source, &wave, count) != AQ_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "no memory to sample rows to compact");
        unit += count;
        aq_compact_report_progress(source->job, source->schema->dataset, "read",
                                   source->content.row_count, source->row_total);
    }
    return AQ_OK;
}

/* Ranges of three quarters of the memory each, as far as the sample can tell. */
static enum aq_status cut_ranges(struct aq_row_source *source)
{
    size_t rows = source->sample.row_count;
    source->cuts = malloc((rows + 1) * sizeof *source->cuts);
    if (source->cuts == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < rows; i++)
        source->cuts[i] = (struct aq_row_ref){.row = (uint32_t)i};
    AQ_TRY(aq_rows_sort(source->schema, &source->sample, source->cuts, rows));
    uint64_t ranges = source->all_bytes / (source->job->memory_bytes / 4 * 3 + 1) + 1;
    source->range_count = ranges < rows ? (size_t)ranges : rows;
    return AQ_OK;
}

static enum aq_status open_source(struct aq_row_source *source, struct aq_error *err)
{
    const struct aq_schema *schema = source->schema;
    AQ_TRY(aq_schema_stored_batch_init(schema, &source->sample));
    size_t column_count = source->sample.column_count;
    source->column_ids = malloc((column_count + 1) * sizeof *source->column_ids);
    if (source->column_ids == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to read dataset %s", schema->dataset);
    for (size_t i = 0; i < column_count; i++)
        source->column_ids[i] = aq_schema_stored_column(schema, i).id;
    AQ_TRY(find_units(source, err));
    AQ_TRY(first_pass(source, err));
    if (source->whole)
        return AQ_OK;
    if (cut_ranges(source) != AQ_OK)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to cut dataset %s", schema->dataset);
    return AQ_OK;
}

enum aq_status aq_row_source_open(const struct aq_compact_job *job,
                                  const struct aq_compact_group *group,
                                  struct aq_row_source *source, struct aq_error *err)
{
    *source = (struct aq_row_source){
        .job = job,
        .schema = group->schema,
        .group = group,
        .whole = true,
        .range_count = 1,
    };
    enum aq_status status = open_source(source, err);
    if (status != AQ_OK)
        aq_row_source_close(source);
    return status;
}

enum aq_status aq_row_source_hold(struct aq_row_source *source, size_t range, struct aq_error *err)
{
    if (source->whole)
        return AQ_OK;
    drop_batches(source);
    struct wave wave = {.source = source};
    size_t rows = source->sample.row_count;
    if (range > 0)
        wave.low = &source->cuts[range * rows / source->range_count];
    if (range + 1 < source->range_count)
        wave.high = &source->cuts[(range + 1) * rows / source->range_count];
    for (size_t unit = 0; unit < source->unit_count;) {
        size_t count = wave_size(source, unit);
        wave.first_unit = unit;
        AQ_TRY(read_wave(&wave, count, err));
        unit += count;
    }
    return AQ_OK;
}

void aq_row_source_close(struct aq_row_source *source)
{
    drop_batches(source);
    aq_batch_deinit(&source->sample);
    free(source->batches);
    free(source->units);
    free(source->column_ids);
    free(source->cuts);
    *source = (struct aq_row_source){0};
}
