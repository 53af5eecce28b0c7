/* Reading a group that does not fit memory in several passes, each of a range of keys.
 *
 * Happy path: a sample of the units is read whole, which says what a row takes and how the keys lie. A window
 * is then as many of the sampled keys as fit. For each window the key column of every unit is read, and of the
 * others only the rows that it has: frames hold the rows of a key side by side, and their columns are coded so
 * that a part of them can be decoded. What of a window's rows must wait for the next is copied, and
 * comes first there.
 *
 * So rows are decoded once, and neither coded nor written in between. A window that turns out to be too big is
 * begun anew with half of its keys.
 *
 * Failures: damage in a unit names its file; no memory. */
#include "compaction/merge/rows/key_windows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/merge/rows/row_source.h"
#include "compaction/merge/write/tile_cut.h"

#define SAMPLE_UNITS_MAX 32 /* a wave */
#define SAMPLE_KEYS_MAX 16384
#define WINDOWS_MAX 12 /* passes that take less time than setting rows aside */
#define WAVE_MAX 64

static enum aq_status no_memory(const struct aq_key_windows *windows, struct aq_error *err)
{
    return aq_error_set(err, AQ_NO_MEMORY, "no memory to read dataset %s",
                        windows->input.schema->dataset);
}

/* Units that are read side by side; each task has its own slot. */
struct wave {
    const struct aq_key_windows *windows;
    size_t first; /* unit */
    size_t step;  /* of a sample: every so manyth unit, and of these key */
    size_t row_step;
    struct slot {
        enum aq_status status;
        struct aq_error err;
        struct aq_batch batch; /* what was read, or sampled */
        uint64_t bytes;        /* of a sample: that all columns took */
        struct aq_content_hash hash;
    } slots[WAVE_MAX];
};

static enum aq_status run_wave(struct wave *wave, size_t count, void (*task)(void *, size_t),
                               struct aq_error *err)
{
    const struct aq_compact_job *job = wave->windows->input.job;
    memset(wave->slots, 0, sizeof wave->slots);
    job->workers.executor.run(job->workers.executor.context, count, task, wave);
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &wave->slots[i];
        AQ_TRY(aq_error_take(err, slot->status, &slot->err, "cannot read rows to compact"));
    }
    return AQ_OK;
}

static void drop_wave(struct wave *wave)
{
    for (size_t i = 0; i < WAVE_MAX; i++)
        aq_batch_deinit(&wave->slots[i].batch);
}

/* The sample. */

/* Slices of a column into the batch's own arena; those of a dictionary lie at few places, and are copied once. */
static enum aq_status own_slices(struct aq_vector *vector, struct aq_arena *arena)
{
    enum { SEEN_BITS = 6 };
    struct {
        struct aq_slice from; /* data NULL: nothing yet */
        struct aq_slice copy;
    } seen[1 << SEEN_BITS] = {0};
    for (size_t row = 0; row < vector->row_count; row++) {
        struct aq_slice *slice = &vector->slices[row];
        if (aq_vector_is_null(vector, row)) {
            *slice = (struct aq_slice){0};
            continue;
        }
        size_t place = ((uintptr_t)slice->data * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - SEEN_BITS);
        if (seen[place].from.data != slice->data || seen[place].from.size != slice->size) {
            void *copy = aq_arena_copy(arena, slice->data, slice->size);
            if (copy == NULL)
                return AQ_NO_MEMORY;
            seen[place].from = *slice;
            seen[place].copy = aq_slice_make(copy, slice->size);
        }
        *slice = seen[place].copy;
    }
    return AQ_OK;
}

/* Of every `wave->step`th unit each `row_step`th key, counted over all of them. */
static enum aq_status sample_keys(const struct wave *wave, size_t index,
                                  const struct aq_batch *rows, struct aq_batch *keys)
{
    const struct aq_key_windows_input *input = &wave->windows->input;
    size_t before = 0;
    for (size_t i = 0; i < index; i++)
        before += input->units[i * wave->step].unit->row_count;
    size_t first = (wave->row_step - before % wave->row_step) % wave->row_step;
    for (size_t row = first; row < rows->row_count; row += wave->row_step) {
        AQ_TRY(aq_vector_append_from(keys->columns, &rows->columns[input->schema->key_column], row,
                                     &keys->arena));
        keys->row_count++;
    }
    return AQ_OK;
}

static void sample_task(void *context, size_t index)
{
    struct wave *wave = context;
    struct slot *slot = &wave->slots[index];
    const struct aq_key_windows_input *input = &wave->windows->input;
    const struct aq_source_unit *unit = &input->units[index * wave->step];
    enum aq_type type = input->schema->columns[input->schema->key_column].type;
    struct aq_batch rows = {0};
    slot->status = aq_batch_init(&slot->batch, 1, &type);
    if (slot->status == AQ_OK)
        slot->status = aq_schema_stored_batch_init(input->schema, &rows);
    if (slot->status == AQ_OK)
        slot->status =
            aq_unit_read(input->job->snapshot, unit->unit, input->column_ids, &rows, &slot->err);
    if (slot->status == AQ_OK)
        slot->status = sample_keys(wave, index, &rows, &slot->batch);
    /* As a window holds them: with strings of their own instead of those that the unit has once. */
    uint64_t shared_bytes = rows.arena.used_bytes;
    for (size_t i = 0; i < rows.column_count && slot->status == AQ_OK; i++) {
        if (aq_type_physical(rows.columns[i].type) == AQ_PHYSICAL_SLICE)
            slot->status = own_slices(&rows.columns[i], &rows.arena);
    }
    slot->bytes = aq_rows_held_bytes(&rows) - shared_bytes;
    aq_rate_limit_spend(input->job->options->rate, unit->unit->size_bytes);
    aq_batch_deinit(&rows);
}

static int compare_samples(const void *left, const void *right, void *context)
{
    const struct aq_vector *keys = context;
    return aq_vector_compare(keys, *(const uint32_t *)left, keys, *(const uint32_t *)right);
}

static enum aq_status sort_sample(struct aq_key_windows *windows)
{
    size_t count = windows->keys.row_count;
    windows->order = malloc((count + 1) * sizeof *windows->order);
    if (windows->order == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        windows->order[i] = (uint32_t)i;
    qsort_r(windows->order, count, sizeof *windows->order, compare_samples, windows->keys.columns);
    return AQ_OK;
}

static enum aq_status take_sample(struct aq_key_windows *windows, const struct wave *wave,
                                  size_t unit_count)
{
    const struct aq_key_windows_input *input = &windows->input;
    uint64_t bytes = 0;
    uint64_t rows = 0;
    uint64_t all_rows = 0;
    for (size_t i = 0; i < input->unit_count; i++)
        all_rows += input->units[i].unit->row_count;
    for (size_t i = 0; i < unit_count; i++) {
        const struct slot *slot = &wave->slots[i];
        bytes += slot->bytes;
        rows += input->units[i * wave->step].unit->row_count;
        for (size_t key = 0; key < slot->batch.row_count; key++)
            AQ_TRY(aq_batch_append_row(&windows->keys, &slot->batch, key));
    }
    if (rows == 0 || windows->keys.row_count == 0)
        return AQ_OK;
    windows->bytes_a_key = (bytes / rows + 1) * all_rows / windows->keys.row_count + 1;
    return sort_sample(windows);
}

static enum aq_status read_sample(struct aq_key_windows *windows, struct aq_error *err)
{
    const struct aq_key_windows_input *input = &windows->input;
    struct wave wave = {.windows = windows,
                        .step = (input->unit_count + SAMPLE_UNITS_MAX - 1) / SAMPLE_UNITS_MAX};
    size_t rows = 0;
    assert(input->unit_count > 0);
    for (size_t i = 0; i < input->unit_count; i += wave.step)
        rows += input->units[i].unit->row_count;
    wave.row_step = rows / SAMPLE_KEYS_MAX + 1;
    size_t count = (input->unit_count + wave.step - 1) / wave.step;
    struct aq_unit_queue queue = {
        .units = input->units, .unit_count = input->unit_count, .step = wave.step};
    aq_unit_ahead_ask(input->ahead, &queue, 0);
    enum aq_status status = run_wave(&wave, count, sample_task, err);
    if (status == AQ_OK && take_sample(windows, &wave, count) != AQ_OK)
        status = no_memory(windows, err);
    drop_wave(&wave);
    return status;
}

/* Sampled keys from `at` on that are one. */
static size_t key_end(const struct aq_key_windows *windows, size_t at)
{
    const struct aq_vector *keys = windows->keys.columns;
    size_t end = at + 1;
    while (end < windows->keys.row_count &&
           aq_vector_compare(keys, windows->order[at], keys, windows->order[end]) == 0)
        end++;
    return end;
}

static bool is_worth(const struct aq_key_windows *windows)
{
    size_t count = windows->keys.row_count;
    uint64_t limit = windows->input.memory_bytes / windows->bytes_a_key; /* of the sample */
    if (count == 0 || limit == 0 || count / limit >= WINDOWS_MAX)
        return false;
    for (size_t at = 0; at < count;) {
        size_t end = key_end(windows, at);
        if (end - at > limit)
            return false;
        at = end;
    }
    return true;
}

static enum aq_status open_windows(struct aq_key_windows *windows, bool *worth,
                                   struct aq_error *err)
{
    const struct aq_key_windows_input *input = &windows->input;
    enum aq_type type = input->schema->columns[input->schema->key_column].type;
    if (aq_batch_init(&windows->keys, 1, &type) != AQ_OK)
        return no_memory(windows, err);
    AQ_TRY(read_sample(windows, err));
    *worth = is_worth(windows);
    if (!*worth)
        return AQ_OK;
    windows->batches = calloc(input->unit_count, sizeof *windows->batches);
    if (windows->batches == NULL)
        return no_memory(windows, err);
    return AQ_OK;
}

enum aq_status aq_key_windows_open(const struct aq_key_windows_input *input,
                                   struct aq_key_windows *windows, bool *worth,
                                   struct aq_error *err)
{
    *windows = (struct aq_key_windows){.input = *input};
    *worth = false;
    enum aq_status status = input->unit_count == 0 ? AQ_OK : open_windows(windows, worth, err);
    if (status != AQ_OK || !*worth)
        aq_key_windows_close(windows);
    return status;
}

/* Choosing a window's keys. */

/* As many keys as fit, and one at least; where they are many, tiles of AQ_TILE_RUNS_MAX of them are filled, so
 * that few rows have to wait for the next window. */
static size_t choose_end(const struct aq_key_windows *windows, size_t first, uint64_t limit_bytes)
{
    size_t count = windows->keys.row_count;
    size_t end = key_end(windows, first);
    size_t whole = 0;
    for (size_t keys = 1; end < count; keys++) {
        size_t next = key_end(windows, end);
        if (keys % AQ_TILE_RUNS_MAX == 0)
            whole = end;
        if ((next - first) * windows->bytes_a_key > limit_bytes)
            break;
        end = next;
    }
    return end < count && whole > 0 ? whole : end;
}

static bool is_inside(const struct aq_key_windows *windows, const struct aq_vector *keys,
                      size_t row)
{
    const struct aq_vector *sample = windows->keys.columns;
    if (windows->first > 0 &&
        aq_vector_compare(keys, row, sample, windows->order[windows->first]) < 0)
        return false;
    return windows->end == windows->keys.row_count ||
           aq_vector_compare(keys, row, sample, windows->order[windows->end]) < 0;
}

/* Whether a key is plainly the one before it: the same bytes, not only equal ones. */
static bool is_same(const struct aq_vector *keys, size_t row, size_t before)
{
    if (aq_vector_is_null(keys, row) || aq_vector_is_null(keys, before))
        return false;
    if (aq_type_physical(keys->type) != AQ_PHYSICAL_SLICE)
        return keys->ints[row] == keys->ints[before];
    return keys->slices[row].data == keys->slices[before].data &&
           keys->slices[row].size == keys->slices[before].size;
}

/* The window's rows among rows [first, end) of a batch with these keys; `pieces` has room for as many. */
static size_t find_pieces(const struct aq_key_windows *windows, const struct aq_vector *keys,
                          size_t first, size_t end, struct aq_row_piece *pieces)
{
    size_t count = 0;
    bool inside = false;
    for (size_t row = first; row < end; row++) {
        bool goes_on = row > first && inside;
        if (row == first || !is_same(keys, row, row - 1))
            inside = is_inside(windows, keys, row);
        if (!inside)
            continue;
        if (!goes_on) {
            pieces[count] = (struct aq_row_piece){.first = (uint32_t)row};
            count++;
        }
        pieces[count - 1].count++;
    }
    return count;
}

/* Reading a window. */

/* Copy rows of columns, with what their slices point to, into a batch of their own. */
static enum aq_status copy_rows(const struct aq_row_stretch *stretches,
                                const struct aq_row_piece *pieces, size_t piece_count,
                                struct aq_batch *to)
{
    AQ_TRY(aq_rows_gather_all(stretches, pieces, piece_count, to));
    for (size_t i = 0; i < to->column_count; i++) {
        if (aq_type_physical(to->columns[i].type) == AQ_PHYSICAL_SLICE)
            AQ_TRY(own_slices(&to->columns[i], &to->arena));
    }
    return AQ_OK;
}

static enum aq_status read_pieces(struct wave *wave, const struct aq_unit *unit,
                                  const struct aq_row_piece *pieces, size_t piece_count,
                                  struct slot *slot)
{
    const struct aq_key_windows_input *input = &wave->windows->input;
    const struct aq_row_piece *last = &pieces[piece_count - 1];
    struct aq_unit_part part = {.row_first = pieces[0].first, .row_end = last->first + last->count};
    struct aq_batch rows;
    AQ_TRY(aq_schema_stored_batch_init(input->schema, &slot->batch));
    AQ_TRY(aq_schema_stored_batch_init(input->schema, &rows));
    struct aq_row_stretch stretch = {&rows, 0, unit->row_count};
    enum aq_status status =
        aq_unit_read_part(input->job->snapshot, unit, input->column_ids, &part, &rows, &slot->err);
    if (status == AQ_OK)
        status = copy_rows(&stretch, pieces, piece_count, &slot->batch);
    if (status == AQ_OK)
        status = aq_batch_content_hash(&slot->batch, slot->batch.column_count, &slot->hash);
    aq_batch_deinit(&rows);
    return status;
}

static enum aq_status read_unit(struct wave *wave, const struct aq_unit *unit, struct slot *slot)
{
    const struct aq_key_windows_input *input = &wave->windows->input;
    const struct aq_column *column = &input->schema->columns[input->schema->key_column];
    struct aq_batch keys;
    struct aq_row_piece *pieces = malloc(((size_t)unit->row_count + 1) * sizeof *pieces);
    AQ_TRY(pieces == NULL ? AQ_NO_MEMORY : AQ_OK);
    enum aq_status status = aq_batch_init(&keys, 1, &column->type);
    if (status == AQ_OK)
        status = aq_unit_read(input->job->snapshot, unit, &column->id, &keys, &slot->err);
    if (status == AQ_OK) {
        size_t piece_count = find_pieces(wave->windows, keys.columns, 0, unit->row_count, pieces);
        if (piece_count > 0)
            status = read_pieces(wave, unit, pieces, piece_count, slot);
    }
    aq_batch_deinit(&keys);
    free(pieces);
    return status;
}

static void read_task(void *context, size_t index)
{
    struct wave *wave = context;
    struct slot *slot = &wave->slots[index];
    const struct aq_unit *unit = wave->windows->input.units[wave->first + index].unit;
    slot->status = read_unit(wave, unit, slot);
    /* Sections of frames are read whole: for the keys, and for the rows if there are any. */
    aq_rate_limit_spend(wave->windows->input.job->options->rate,
                        unit->size_bytes * (slot->batch.row_count > 0 ? 2 : 1));
}

static void drop_batches(struct aq_key_windows *windows)
{
    for (size_t i = 0; windows->batches != NULL && i < windows->input.unit_count; i++)
        aq_batch_deinit(&windows->batches[i]);
    windows->loaded_bytes = 0;
}

/* Whether a unit is to be read ahead for this window: a frame for the first one, since it is read whole and in the kernel's
 * cache for the others; a tile for those that it can have rows of, where its keys, being text, tell. */
static bool is_due(const void *context, const struct aq_unit *unit)
{
    const struct aq_key_windows *windows = context;
    const struct aq_vector *sample = windows->keys.columns;
    if (unit->kind == AQ_FILE_SEGMENT)
        return windows->first == 0;
    if (!unit->has_keys || sample->type != AQ_TYPE_TEXT)
        return false;
    const struct aq_slice *keys = sample->slices;
    return (windows->first == 0 ||
            aq_slice_compare(unit->key_max, keys[windows->order[windows->first]]) >= 0) &&
           (windows->end == windows->keys.row_count ||
            aq_slice_compare(unit->key_min, keys[windows->order[windows->end]]) < 0);
}

/* Read the window's rows. *too_many: they pass the limit, and the window has more than one key. */
static enum aq_status load(struct aq_key_windows *windows, uint64_t limit_bytes, bool *too_many,
                           struct aq_content_hash *content, struct aq_error *err)
{
    const struct aq_key_windows_input *input = &windows->input;
    bool divisible = key_end(windows, windows->first) < windows->end;
    struct wave wave = {.windows = windows};
    struct aq_unit_queue queue = {.units = input->units,
                                  .unit_count = input->unit_count,
                                  .step = 1,
                                  .is_due = is_due,
                                  .context = windows};
    *too_many = false;
    for (; wave.first < input->unit_count && !*too_many; wave.first += WAVE_MAX) {
        size_t left = input->unit_count - wave.first;
        size_t count = left < WAVE_MAX ? left : WAVE_MAX;
        AQ_TRY(aq_compact_check_stop(input->job, err));
        aq_unit_ahead_ask(input->ahead, &queue, wave.first);
        enum aq_status status = run_wave(&wave, count, read_task, err);
        if (status != AQ_OK)
            drop_wave(&wave);
        AQ_TRY(status);
        for (size_t i = 0; i < count; i++) {
            windows->batches[wave.first + i] = wave.slots[i].batch;
            windows->loaded_bytes += aq_rows_held_bytes(&wave.slots[i].batch);
            aq_content_hash_add(content, &wave.slots[i].hash);
        }
        *too_many = divisible && windows->loaded_bytes > limit_bytes;
    }
    return AQ_OK;
}

static enum aq_status load_window(struct aq_key_windows *windows, struct aq_content_hash *content,
                                  struct aq_error *err)
{
    uint64_t rest = aq_rows_held_bytes(&windows->rest);
    uint64_t all = windows->input.memory_bytes;
    uint64_t limit = all - (rest < all / 2 ? rest : all / 2);
    windows->end = choose_end(windows, windows->first, limit);
    for (;;) {
        struct aq_content_hash found = {0};
        bool too_many;
        AQ_TRY(load(windows, limit + limit / 4, &too_many, &found, err));
        if (!too_many) {
            aq_content_hash_add(content, &found);
            return AQ_OK;
        }
        drop_batches(windows);
        uint64_t sampled = (windows->end - windows->first) * windows->bytes_a_key;
        windows->end = choose_end(windows, windows->first, sampled / 2);
    }
}

static enum aq_status add_stretch(struct aq_key_windows *windows, struct aq_row_stretch stretch)
{
    if (stretch.first == stretch.end)
        return AQ_OK;
    if (windows->stretch_count == windows->stretch_capacity) {
        size_t capacity = 2 * windows->stretch_capacity + 64;
        struct aq_row_stretch *grown = realloc(windows->stretches, capacity * sizeof *grown);
        if (grown == NULL)
            return AQ_NO_MEMORY;
        windows->stretches = grown;
        windows->stretch_capacity = capacity;
    }
    windows->stretches[windows->stretch_count++] = stretch;
    return AQ_OK;
}

/* The window's rows of what was in memory before. */
static enum aq_status add_held(struct aq_key_windows *windows, const struct aq_row_stretch *held)
{
    const struct aq_vector *keys = &held->batch->columns[windows->input.schema->key_column];
    struct aq_row_piece *pieces = malloc((held->end - held->first + 1) * sizeof *pieces);
    if (pieces == NULL)
        return AQ_NO_MEMORY;
    size_t count = find_pieces(windows, keys, held->first, held->end, pieces);
    enum aq_status status = AQ_OK;
    for (size_t i = 0; status == AQ_OK && i < count; i++)
        status = add_stretch(windows, (struct aq_row_stretch){held->batch, pieces[i].first,
                                                              pieces[i].first + pieces[i].count});
    free(pieces);
    return status;
}

static enum aq_status list_stretches(struct aq_key_windows *windows)
{
    const struct aq_key_windows_input *input = &windows->input;
    windows->stretch_count = 0;
    AQ_TRY(
        add_stretch(windows, (struct aq_row_stretch){&windows->rest, 0, windows->rest.row_count}));
    for (size_t i = 0; i < input->held_count; i++)
        AQ_TRY(add_held(windows, &input->held[i]));
    for (size_t i = 0; i < input->unit_count; i++)
        AQ_TRY(add_stretch(windows, (struct aq_row_stretch){&windows->batches[i], 0,
                                                            windows->batches[i].row_count}));
    return AQ_OK;
}

enum aq_status aq_key_windows_next(struct aq_key_windows *windows, bool *last,
                                   struct aq_content_hash *content, struct aq_error *err)
{
    size_t count = windows->keys.row_count;
    windows->first = windows->end;
    if (windows->first == count)
        return AQ_END;
    AQ_TRY(load_window(windows, content, err));
    *last = windows->end == count;
    if (list_stretches(windows) != AQ_OK)
        return no_memory(windows, err);
    return AQ_OK;
}

static enum aq_status copy_rest(const struct aq_key_windows *windows, const struct aq_row_ref *refs,
                                size_t count, struct aq_batch *rest)
{
    AQ_TRY(aq_schema_stored_batch_init(windows->input.schema, rest));
    if (count == 0)
        return AQ_OK;
    struct aq_row_piece *pieces = malloc(count * sizeof *pieces);
    if (pieces == NULL)
        return AQ_NO_MEMORY;
    size_t piece_count = aq_rows_pieces(refs, count, pieces);
    enum aq_status status = copy_rows(windows->stretches, pieces, piece_count, rest);
    free(pieces);
    return status;
}

enum aq_status aq_key_windows_consume(struct aq_key_windows *windows,
                                      const struct aq_sorted_rows *sorted, size_t count,
                                      struct aq_error *err)
{
    struct aq_batch rest = {0};
    assert(count <= sorted->count);
    enum aq_status status = copy_rest(windows, sorted->refs + count, sorted->count - count, &rest);
    aq_batch_deinit(&windows->rest);
    windows->rest = rest;
    drop_batches(windows);
    return status == AQ_OK ? AQ_OK : no_memory(windows, err);
}

void aq_key_windows_close(struct aq_key_windows *windows)
{
    drop_batches(windows);
    aq_batch_deinit(&windows->keys);
    aq_batch_deinit(&windows->rest);
    free(windows->order);
    free(windows->batches);
    free(windows->stretches);
    *windows = (struct aq_key_windows){0};
}
