/* Sorting references to rows.
 *
 * Each stretch numbers the series of its rows; the numbers of all are joined, and the series ranked.
 * References are then dealt out to their series, in the order of the stretches (a counting sort), and each
 * series is sorted by time, those with equal times by all columns: by a merge sort that looks first, so
 * that what is in order costs one comparison a row, and k sorted pieces about log2(k). Numbering and
 * sorting run on all cores.
 *
 * Failures: no memory. */
#include "compaction/merge/rows/row_sort.h"

#include <stdlib.h>
#include <string.h>

#include "compaction/merge/rows/row_series.h"

#define NO_SERIES UINT32_MAX /* a row that does not count */
#define TASK_ROWS (1u << 14) /* that a task sorts at least, so that it is worth a task */

struct sorter {
    const struct aq_schema *schema;
    const struct aq_row_stretch *stretches;
    size_t stretch_count;
    struct aq_time_range range;
    const struct aq_executor *executor;
    struct numbered {
        uint32_t *series; /* of each row: number within the stretch */
        struct aq_series_table table;
        uint32_t *ranks; /* of these numbers, in the whole */
        enum aq_status status;
    } * numbered;                 /* one a stretch */
    struct aq_series_table table; /* of all stretches */
    struct aq_sorted_rows *sorted;
    struct aq_row_ref *scratch;
    size_t *task_ends; /* runs that a task sorts */
    size_t task_count;
};

static void run(const struct sorter *sorter, size_t count, void (*task)(void *, size_t))
{
    if (sorter->executor != NULL) {
        sorter->executor->run(sorter->executor->context, count, task, (void *)sorter);
        return;
    }
    for (size_t i = 0; i < count; i++)
        task((void *)sorter, i);
}

/* Numbering. */

static bool is_all(struct aq_time_range range)
{
    return range.from_us == INT64_MIN && range.until_us == INT64_MAX;
}

static bool counts(const struct sorter *sorter, const struct aq_vector *time, size_t row)
{
    if (time == NULL || aq_vector_is_null(time, row))
        return sorter->range.until_us == INT64_MAX;
    return time->ints[row] >= sorter->range.from_us &&
           (time->ints[row] < sorter->range.until_us || sorter->range.until_us == INT64_MAX);
}

static const struct aq_vector *times_of(const struct sorter *sorter, const struct aq_batch *batch)
{
    uint32_t column = sorter->schema->time_column;
    return column == AQ_COLUMN_NONE ? NULL : &batch->columns[column];
}

static enum aq_status number_rows(const struct sorter *sorter, size_t index)
{
    const struct aq_row_stretch *stretch = &sorter->stretches[index];
    const struct aq_vector *time = times_of(sorter, stretch->batch);
    struct numbered *numbered = &sorter->numbered[index];
    bool all = is_all(sorter->range);
    size_t last = stretch->end; /* row of the last number */
    uint32_t number = 0;
    numbered->series = malloc((stretch->end - stretch->first + 1) * sizeof *numbered->series);
    if (numbered->series == NULL)
        return AQ_NO_MEMORY;
    for (size_t row = stretch->first; row < stretch->end; row++) {
        uint32_t *series = &numbered->series[row - stretch->first];
        *series = NO_SERIES;
        if (!all && !counts(sorter, time, row))
            continue;
        if (last == stretch->end || aq_schema_compare_series(sorter->schema, stretch->batch, last,
                                                             stretch->batch, row) != 0) {
            uint64_t hash = aq_series_hash(sorter->schema, stretch->batch, row);
            AQ_TRY(aq_series_number(&numbered->table, (struct aq_series_row){stretch->batch, row},
                                    hash, &number));
        }
        last = row;
        *series = number;
    }
    return AQ_OK;
}

static void number_task(void *context, size_t index)
{
    struct sorter *sorter = context;
    sorter->numbered[index].table.schema = sorter->schema;
    sorter->numbered[index].status = number_rows(sorter, index);
}

/* The numbers of each stretch as numbers of the whole, then as ranks. */
static enum aq_status rank_series(struct sorter *sorter)
{
    for (size_t i = 0; i < sorter->stretch_count; i++) {
        struct numbered *numbered = &sorter->numbered[i];
        numbered->ranks = malloc((numbered->table.count + 1) * sizeof *numbered->ranks);
        if (numbered->ranks == NULL)
            return AQ_NO_MEMORY;
        for (size_t s = 0; s < numbered->table.count; s++)
            AQ_TRY(aq_series_number(&sorter->table, numbered->table.entries[s].row,
                                    numbered->table.entries[s].hash, &numbered->ranks[s]));
    }
    uint32_t *ranks = malloc((sorter->table.count + 1) * sizeof *ranks);
    if (ranks == NULL)
        return AQ_NO_MEMORY;
    enum aq_status status = aq_series_rank(&sorter->table, ranks);
    for (size_t i = 0; status == AQ_OK && i < sorter->stretch_count; i++) {
        struct numbered *numbered = &sorter->numbered[i];
        for (size_t s = 0; s < numbered->table.count; s++)
            numbered->ranks[s] = ranks[numbered->ranks[s]];
    }
    free(ranks);
    return status;
}

/* Dealing out. */

/* run_ends[r] becomes the first row of run r; returns the number of rows. */
static size_t count_rows(const struct sorter *sorter)
{
    size_t *starts = sorter->sorted->run_ends;
    for (size_t i = 0; i < sorter->stretch_count; i++) {
        const struct numbered *numbered = &sorter->numbered[i];
        size_t count = sorter->stretches[i].end - sorter->stretches[i].first;
        for (size_t at = 0; at < count; at++) {
            if (numbered->series[at] != NO_SERIES)
                starts[numbered->ranks[numbered->series[at]]]++;
        }
    }
    size_t total = 0;
    for (size_t r = 0; r < sorter->table.count; r++) {
        size_t count = starts[r];
        starts[r] = total;
        total += count;
    }
    return total;
}

static int64_t time_at(const struct aq_vector *time, size_t row)
{
    if (time == NULL)
        return 0;
    return aq_vector_is_null(time, row) ? INT64_MAX : time->ints[row];
}

/* Afterwards run_ends[r] is the end of run r. */
static void deal_out(const struct sorter *sorter)
{
    for (size_t i = 0; i < sorter->stretch_count; i++) {
        const struct numbered *numbered = &sorter->numbered[i];
        const struct aq_row_stretch *stretch = &sorter->stretches[i];
        const struct aq_vector *time = times_of(sorter, stretch->batch);
        for (size_t row = stretch->first; row < stretch->end; row++) {
            uint32_t series = numbered->series[row - stretch->first];
            if (series == NO_SERIES)
                continue;
            size_t at = sorter->sorted->run_ends[numbered->ranks[series]]++;
            sorter->sorted->refs[at] =
                (struct aq_row_ref){time_at(time, row), (uint32_t)i, (uint32_t)row};
        }
    }
}

/* Sorting each series. */

static bool ties_in_order(const struct sorter *sorter, const struct aq_row_ref *a,
                          const struct aq_row_ref *b)
{
    const struct aq_batch *left = sorter->stretches[a->stretch].batch;
    const struct aq_batch *right = sorter->stretches[b->stretch].batch;
    int order = aq_schema_compare_rows(sorter->schema, left, a->row, right, b->row);
    for (size_t i = sorter->schema->column_count; order == 0 && i < left->column_count; i++)
        order = aq_vector_compare_bits(&left->columns[i], a->row, &right->columns[i], b->row);
    return order <= 0;
}

static inline bool in_order(const struct sorter *sorter, const struct aq_row_ref *a,
                            const struct aq_row_ref *b)
{
    return a->time < b->time || (a->time == b->time && ties_in_order(sorter, a, b));
}

/* Merge refs[first, middle) and refs[middle, end), each sorted. */
static void merge_halves(const struct sorter *sorter, size_t first, size_t middle, size_t end)
{
    struct aq_row_ref *refs = sorter->sorted->refs;
    struct aq_row_ref *left = sorter->scratch + first;
    const struct aq_row_ref *left_end = sorter->scratch + middle;
    memcpy(left, refs + first, (middle - first) * sizeof *refs);
    size_t right = middle;
    size_t out = first;
    while (left < left_end && right < end) {
        if (in_order(sorter, left, &refs[right]))
            refs[out++] = *left++;
        else
            refs[out++] = refs[right++];
    }
    memcpy(refs + out, left, (size_t)(left_end - left) * sizeof *refs);
}

/* Recursion is as deep as log2 of the rows. */
static void sort_part(const struct sorter *sorter, size_t first, size_t end)
{
    const struct aq_row_ref *refs = sorter->sorted->refs;
    if (end - first < 2)
        return;
    size_t middle = first + (end - first) / 2;
    sort_part(sorter, first, middle);
    sort_part(sorter, middle, end);
    if (!in_order(sorter, &refs[middle - 1], &refs[middle]))
        merge_halves(sorter, first, middle, end);
}

static void sort_task(void *context, size_t index)
{
    const struct sorter *sorter = context;
    const struct aq_sorted_rows *sorted = sorter->sorted;
    for (size_t r = index == 0 ? 0 : sorter->task_ends[index - 1]; r < sorter->task_ends[index];
         r++)
        sort_part(sorter, r == 0 ? 0 : sorted->run_ends[r - 1], sorted->run_ends[r]);
}

static void share_out(struct sorter *sorter)
{
    const struct aq_sorted_rows *sorted = sorter->sorted;
    size_t first = 0;
    for (size_t r = 0; r < sorted->run_count; r++) {
        if (sorted->run_ends[r] - first < TASK_ROWS && r + 1 < sorted->run_count)
            continue;
        sorter->task_ends[sorter->task_count++] = r + 1;
        first = sorted->run_ends[r];
    }
}

static enum aq_status sort_rows(struct sorter *sorter)
{
    struct aq_sorted_rows *sorted = sorter->sorted;
    run(sorter, sorter->stretch_count, number_task);
    for (size_t i = 0; i < sorter->stretch_count; i++)
        AQ_TRY(sorter->numbered[i].status);
    AQ_TRY(rank_series(sorter));
    sorted->run_count = sorter->table.count;
    sorted->run_ends = calloc(sorted->run_count + 1, sizeof *sorted->run_ends);
    if (sorted->run_ends == NULL)
        return AQ_NO_MEMORY;
    sorted->count = count_rows(sorter);
    sorted->refs = malloc((sorted->count + 1) * sizeof *sorted->refs);
    sorter->scratch = malloc((sorted->count + 1) * sizeof *sorter->scratch);
    sorter->task_ends = calloc(sorted->run_count + 1, sizeof *sorter->task_ends);
    if (sorted->refs == NULL || sorter->scratch == NULL || sorter->task_ends == NULL)
        return AQ_NO_MEMORY;
    deal_out(sorter);
    share_out(sorter);
    run(sorter, sorter->task_count, sort_task);
    return AQ_OK;
}

enum aq_status aq_rows_sort(const struct aq_schema *schema, const struct aq_row_stretch *stretches,
                            size_t stretch_count, struct aq_time_range range,
                            const struct aq_executor *executor, struct aq_sorted_rows *sorted)
{
    *sorted = (struct aq_sorted_rows){0};
    struct sorter sorter = {.schema = schema,
                            .stretches = stretches,
                            .stretch_count = stretch_count,
                            .range = range,
                            .executor = executor,
                            .table = {.schema = schema},
                            .sorted = sorted};
    sorter.numbered = calloc(stretch_count + 1, sizeof *sorter.numbered);
    enum aq_status status = sorter.numbered == NULL ? AQ_NO_MEMORY : sort_rows(&sorter);
    for (size_t i = 0; sorter.numbered != NULL && i < stretch_count; i++) {
        free(sorter.numbered[i].series);
        free(sorter.numbered[i].ranks);
        aq_series_table_deinit(&sorter.numbered[i].table);
    }
    free(sorter.numbered);
    aq_series_table_deinit(&sorter.table);
    free(sorter.scratch);
    free(sorter.task_ends);
    if (status != AQ_OK)
        aq_sorted_rows_deinit(sorted);
    return status;
}

void aq_sorted_rows_deinit(struct aq_sorted_rows *sorted)
{
    free(sorted->refs);
    free(sorted->run_ends);
    *sorted = (struct aq_sorted_rows){0};
}

/* Memory. */

uint64_t aq_rows_held_bytes(const struct aq_batch *batch)
{
    uint64_t bytes = batch->arena.used_bytes + batch->row_count * AQ_ROW_SORT_BYTES;
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct aq_vector *vector = &batch->columns[i];
        bool slices = aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE;
        bytes += vector->capacity * (slices ? sizeof(struct aq_slice) : sizeof(int64_t));
        bytes += vector->valid == NULL ? 0 : vector->capacity;
    }
    return bytes;
}

/* Gathering. */

size_t aq_rows_pieces(const struct aq_row_ref *refs, size_t count, struct aq_row_piece *pieces)
{
    size_t piece_count = 0;
    for (size_t first = 0, end = 0; first < count; first = end) {
        for (end = first + 1; end < count && refs[end].stretch == refs[first].stretch &&
                              refs[end].row == refs[end - 1].row + 1;)
            end++;
        pieces[piece_count++] = (struct aq_row_piece){.stretch = refs[first].stretch,
                                                      .first = refs[first].row,
                                                      .count = (uint32_t)(end - first)};
    }
    return piece_count;
}

/* Inlined with a constant size: many pieces are of one row. */
static inline void copy_piece(const struct aq_vector *from, const struct aq_row_piece *piece,
                              size_t size, struct aq_vector *to, size_t at)
{
    const uint8_t *source = (const uint8_t *)from->values + piece->first * size;
    uint8_t *target = (uint8_t *)to->values + at * size;
    if (piece->count == 1)
        memcpy(target, source, size);
    else
        memcpy(target, source, piece->count * size);
}

static enum aq_status copy_validity(const struct aq_vector *from, const struct aq_row_piece *piece,
                                    struct aq_vector *to, size_t at)
{
    if (from->valid == NULL)
        return AQ_OK;
    AQ_TRY(aq_vector_need_validity(to));
    memcpy(to->valid + at, from->valid + piece->first, piece->count);
    return AQ_OK;
}

enum aq_status aq_rows_gather(const struct aq_row_stretch *stretches,
                              const struct aq_row_piece *pieces, size_t piece_count, size_t column,
                              struct aq_vector *to)
{
    bool slices = aq_type_physical(to->type) == AQ_PHYSICAL_SLICE;
    size_t at = to->row_count;
    size_t end = at;
    for (size_t i = 0; i < piece_count; i++)
        end += pieces[i].count;
    AQ_TRY(aq_vector_resize(to, end));
    for (size_t i = 0; i < piece_count; at += pieces[i++].count) {
        const struct aq_vector *from = &stretches[pieces[i].stretch].batch->columns[column];
        if (slices)
            copy_piece(from, &pieces[i], sizeof(struct aq_slice), to, at);
        else
            copy_piece(from, &pieces[i], sizeof(int64_t), to, at);
        AQ_TRY(copy_validity(from, &pieces[i], to, at));
    }
    return AQ_OK;
}

enum aq_status aq_rows_gather_all(const struct aq_row_stretch *stretches,
                                  const struct aq_row_piece *pieces, size_t piece_count,
                                  struct aq_batch *to)
{
    for (size_t i = 0; i < to->column_count; i++)
        AQ_TRY(aq_rows_gather(stretches, pieces, piece_count, i, &to->columns[i]));
    for (size_t i = 0; i < piece_count; i++)
        to->row_count += pieces[i].count;
    return AQ_OK;
}
