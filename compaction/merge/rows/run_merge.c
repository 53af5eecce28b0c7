/* Merging runs of sorted rows within bounded memory.
 *
 * Blocks are loaded, always of the runs that have got least far, several at a time, until memory is full or
 * nothing is left. What lies before the last loaded row of every run that goes on is complete: that is the
 * window. Its rows are sorted by who asked for it (row_sort.c), not here one by one, so that the work runs on
 * all cores. Blocks go when all of their rows have been consumed.
 *
 * Failures: damage, no memory. A window that is empty, because all that fits in memory agrees in what `unique`
 * names, is loaded on beyond the limit. */
#include "compaction/merge/rows/run_merge.h"

#include <stdlib.h>
#include <string.h>

#define WAVE_MAX 64

enum aq_status aq_run_merge_open(const struct aq_schema *schema, struct aq_row_run *const *runs,
                                 size_t run_count, size_t part, uint64_t memory_bytes,
                                 const struct aq_executor *executor, unsigned thread_count,
                                 struct aq_run_merge *merge, struct aq_error *err)
{
    *merge =
        (struct aq_run_merge){.schema = schema,
                              .executor = executor,
                              .thread_count = thread_count < WAVE_MAX ? thread_count : WAVE_MAX,
                              .memory_bytes = memory_bytes};
    merge->readers = calloc(run_count + 1, sizeof *merge->readers);
    if (merge->readers == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to merge rows");
    for (size_t i = 0; i < run_count; i++) {
        size_t first = part == 0 ? 0 : runs[i]->part_ends[part - 1];
        if (first < runs[i]->part_ends[part])
            merge->readers[merge->reader_count++] = (struct aq_run_reader){
                .run = runs[i], .next_block = first, .end_block = runs[i]->part_ends[part]};
    }
    return AQ_OK;
}

/* Loading. */

static int compare_last(const struct aq_run_merge *merge, const struct aq_run_reader *a,
                        const struct aq_run_reader *b)
{
    if (a->last == NULL || b->last == NULL)
        return (a->last != NULL) - (b->last != NULL);
    return aq_schema_compare_rows(merge->schema, a->last, a->last->row_count - 1, b->last,
                                  b->last->row_count - 1);
}

/* Of the runs that go on, up to `count` that have got least far. */
static size_t choose(struct aq_run_merge *merge, size_t count, struct aq_run_reader **chosen)
{
    size_t found = 0;
    for (size_t i = 0; i < merge->reader_count; i++) {
        struct aq_run_reader *reader = &merge->readers[i];
        if (reader->next_block == reader->end_block)
            continue;
        size_t at = found < count ? found++ : count;
        while (at > 0 && compare_last(merge, reader, chosen[at - 1]) < 0) {
            if (at < count)
                chosen[at] = chosen[at - 1];
            at--;
        }
        if (at < count)
            chosen[at] = reader;
    }
    return found;
}

struct load {
    struct aq_run_reader *readers[WAVE_MAX];
    struct aq_batch *blocks[WAVE_MAX];
    enum aq_status statuses[WAVE_MAX];
    struct aq_error errs[WAVE_MAX];
};

static void load_task(void *context, size_t index)
{
    struct load *load = context;
    struct aq_run_reader *reader = load->readers[index];
    load->statuses[index] =
        aq_row_run_read(reader->run, reader->next_block, load->blocks[index], &load->errs[index]);
}

static enum aq_status make_room(struct aq_run_merge *merge, size_t count)
{
    if (merge->stretch_count + count <= merge->capacity)
        return AQ_OK;
    size_t capacity = 2 * merge->capacity + count;
    struct aq_batch **blocks = realloc(merge->blocks, capacity * sizeof(struct aq_batch *));
    if (blocks == NULL)
        return AQ_NO_MEMORY;
    merge->blocks = blocks;
    struct aq_row_stretch *stretches = realloc(merge->stretches, capacity * sizeof *stretches);
    if (stretches == NULL)
        return AQ_NO_MEMORY;
    merge->stretches = stretches;
    size_t *lefts = realloc(merge->lefts, capacity * sizeof *lefts);
    if (lefts == NULL)
        return AQ_NO_MEMORY;
    merge->lefts = lefts;
    merge->capacity = capacity;
    return AQ_OK;
}

/* An empty batch at the end of the blocks. */
static enum aq_status add_block(struct aq_run_merge *merge, struct aq_batch **added)
{
    struct aq_batch *block = calloc(1, sizeof *block);
    if (block == NULL)
        return AQ_NO_MEMORY;
    if (aq_schema_stored_batch_init(merge->schema, block) != AQ_OK) {
        free(block);
        return AQ_NO_MEMORY;
    }
    *added = merge->blocks[merge->stretch_count] = block;
    merge->lefts[merge->stretch_count++] = 0;
    return AQ_OK;
}

static enum aq_status load_wave(struct aq_run_merge *merge, struct load *load, size_t count,
                                struct aq_error *err)
{
    enum aq_status status = make_room(merge, count);
    for (size_t i = 0; status == AQ_OK && i < count; i++) {
        load->statuses[i] = AQ_OK;
        load->errs[i] = (struct aq_error){.offset = -1};
        status = add_block(merge, &load->blocks[i]);
    }
    if (status != AQ_OK)
        return aq_error_set(err, status, "no memory to merge rows");
    merge->executor->run(merge->executor->context, count, load_task, load);
    for (size_t i = 0; i < count; i++) {
        AQ_TRY(aq_error_take(err, load->statuses[i], &load->errs[i], "cannot merge rows"));
        load->readers[i]->last = load->blocks[i];
        load->readers[i]->next_block++;
        merge->loaded_bytes += aq_rows_held_bytes(load->blocks[i]);
    }
    return AQ_OK;
}

static enum aq_status load_until(struct aq_run_merge *merge, uint64_t limit_bytes,
                                 struct aq_error *err)
{
    struct load load = {0};
    for (;;) {
        size_t count = choose(merge, merge->thread_count, load.readers);
        bool fresh = count > 0 && load.readers[0]->last == NULL;
        if (count == 0 || (merge->loaded_bytes >= limit_bytes && !fresh))
            return AQ_OK;
        AQ_TRY(load_wave(merge, &load, count, err));
    }
}

/* The window. */

/* Whether a row is certain to precede all that are not loaded. */
static bool precedes(const struct aq_run_merge *merge, const struct aq_batch *batch, size_t row,
                     const struct aq_run_reader *bound)
{
    const struct aq_schema *schema = merge->schema;
    const struct aq_batch *last = bound->last;
    if (schema->unique_count == 0)
        return aq_schema_compare_rows(schema, batch, row, last, last->row_count - 1) <= 0;
    return aq_schema_compare_unique(schema, batch, row, last, last->row_count - 1) < 0;
}

static size_t count_preceding(const struct aq_run_merge *merge, size_t block,
                              const struct aq_run_reader *bound)
{
    const struct aq_batch *batch = merge->blocks[block];
    size_t low = merge->lefts[block];
    size_t high = batch->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (precedes(merge, batch, middle, bound))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Bound the window by what is loaded; the number of its rows. */
static size_t bound_window(struct aq_run_merge *merge, bool *last)
{
    struct aq_run_reader *bound = NULL;
    size_t rows = 0;
    *last = choose(merge, 1, &bound) == 0;
    for (size_t i = 0; i < merge->stretch_count; i++) {
        size_t end = *last ? merge->blocks[i]->row_count : count_preceding(merge, i, bound);
        merge->stretches[i] = (struct aq_row_stretch){merge->blocks[i], merge->lefts[i], end};
        rows += end - merge->lefts[i];
    }
    return rows;
}

enum aq_status aq_run_merge_next(struct aq_run_merge *merge, bool *last, struct aq_error *err)
{
    uint64_t limit_bytes = merge->memory_bytes;
    for (;;) {
        AQ_TRY(load_until(merge, limit_bytes, err));
        size_t rows = bound_window(merge, last);
        if (rows > 0)
            return AQ_OK;
        if (*last)
            return AQ_END;
        limit_bytes = merge->loaded_bytes + 1;
    }
}

static bool is_last_of_reader(const struct aq_run_merge *merge, const struct aq_batch *block)
{
    for (size_t i = 0; i < merge->reader_count; i++) {
        if (merge->readers[i].last == block &&
            merge->readers[i].next_block < merge->readers[i].end_block)
            return true;
    }
    return false;
}

/* A run that goes on keeps its last block: its last row is a bound. */
static void drop_consumed(struct aq_run_merge *merge)
{
    size_t kept = 0;
    for (size_t i = 0; i < merge->stretch_count; i++) {
        struct aq_batch *block = merge->blocks[i];
        if (merge->lefts[i] < block->row_count || is_last_of_reader(merge, block)) {
            merge->blocks[kept] = block;
            merge->lefts[kept++] = merge->lefts[i];
            continue;
        }
        merge->loaded_bytes -= aq_rows_held_bytes(block);
        aq_batch_deinit(block);
        free(block);
    }
    merge->stretch_count = kept;
}

void aq_run_merge_consume(struct aq_run_merge *merge, const struct aq_row_ref *refs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        merge->lefts[refs[i].stretch]++;
    drop_consumed(merge);
}

void aq_run_merge_close(struct aq_run_merge *merge)
{
    for (size_t i = 0; i < merge->stretch_count; i++) {
        aq_batch_deinit(merge->blocks[i]);
        free(merge->blocks[i]);
    }
    free(merge->blocks);
    free(merge->stretches);
    free(merge->lefts);
    free(merge->readers);
    *merge = (struct aq_run_merge){0};
}
