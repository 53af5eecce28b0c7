/* Cutting sorted rows into tiles.
 *
 * Consecutive runs are taken together while they fit one tile, or while there are fewer than
 * AQ_TILE_RUNS_MAX of them: neighbours share values, and one compression block then sees both. A group
 * that does not fit one tile is cut into blocks of time of about equal size, each block holding that
 * part of every run, so that "all cities, last day" is few tiles and one city's history is too.
 *
 * Where time does not tell rows apart (no time column, or more equal times than a tile holds) the rows
 * are cut as they lie. */
#include "compaction/merge/write/tile_cut.h"

struct cut {
    const struct aq_row_ref *refs;
    bool timed;
    struct aq_row_span left[AQ_TILE_RUNS_MAX]; /* of each run, what is not in a tile yet */
    size_t run_count;
    size_t row_count; /* of `left` */
    aq_tile_fn tile;
    void *context;
    struct aq_error *err;
};

static size_t ceil_div(size_t value, size_t divisor)
{
    return (value + divisor - 1) / divisor;
}

/* Rows of a span with time <= limit. */
static size_t count_until(const struct aq_row_ref *refs, const struct aq_row_span *span,
                          int64_t limit)
{
    size_t low = 0;
    size_t high = span->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (refs[span->first + middle].time <= limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t count_all_until(const struct cut *cut, int64_t limit)
{
    size_t count = 0;
    for (size_t i = 0; i < cut->run_count; i++)
        count += count_until(cut->refs, &cut->left[i], limit);
    return count;
}

static void time_bounds(const struct cut *cut, int64_t *low, int64_t *high)
{
    *low = INT64_MAX;
    *high = INT64_MIN;
    for (size_t i = 0; i < cut->run_count; i++) {
        const struct aq_row_span *span = &cut->left[i];
        if (span->count == 0)
            continue;
        int64_t first = cut->refs[span->first].time;
        int64_t last = cut->refs[span->first + span->count - 1].time;
        *low = first < *low ? first : *low;
        *high = last > *high ? last : *high;
    }
}

/* The latest time at which a block of at most `row_count` rows may end; at least the first time. */
static int64_t block_end(const struct cut *cut, size_t row_count)
{
    int64_t low;
    int64_t high;
    time_bounds(cut, &low, &high);
    while (low < high) {
        int64_t middle = (int64_t)((uint64_t)low + ((uint64_t)high - (uint64_t)low) / 2 + 1);
        if (count_all_until(cut, middle) <= row_count)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Move up to `row_limit` rows, of each run those with time <= end (all without times), into one tile. */
static enum aq_status emit(struct cut *cut, int64_t end, size_t row_limit)
{
    struct aq_row_span spans[AQ_TILE_RUNS_MAX];
    size_t span_count = 0;
    size_t row_count = 0;
    for (size_t i = 0; i < cut->run_count && row_count < row_limit; i++) {
        struct aq_row_span *left = &cut->left[i];
        size_t count = cut->timed ? count_until(cut->refs, left, end) : left->count;
        if (count > row_limit - row_count)
            count = row_limit - row_count;
        if (count == 0)
            continue;
        spans[span_count++] = (struct aq_row_span){left->first, count};
        left->first += count;
        left->count -= count;
        row_count += count;
    }
    cut->row_count -= row_count;
    return cut->tile(cut->context, spans, span_count, row_count, cut->err);
}

static enum aq_status cut_group(struct cut *cut)
{
    while (cut->row_count > 0) {
        size_t goal = ceil_div(cut->row_count, ceil_div(cut->row_count, AQ_TILE_ROWS_MAX));
        if (!cut->timed) {
            AQ_TRY(emit(cut, 0, goal));
            continue;
        }
        int64_t end = block_end(cut, goal);
        /* More than one tile only where that many rows have one time. */
        for (size_t count = count_all_until(cut, end); count > 0;) {
            size_t rows = count < AQ_TILE_ROWS_MAX ? count : AQ_TILE_ROWS_MAX;
            AQ_TRY(emit(cut, end, rows));
            count -= rows;
        }
    }
    return AQ_OK;
}

/* Runs from `first` on that go together, and their rows. */
static size_t take_runs(const size_t *run_ends, size_t run_count, size_t first, size_t start,
                        size_t *row_count)
{
    size_t last = first;
    while (last < run_count &&
           (last - first < AQ_TILE_RUNS_MAX || run_ends[last] - start <= AQ_TILE_ROWS_MAX)) {
        /* The 17th run and later ones only while all fit one tile. */
        last++;
    }
    *row_count = run_ends[last - 1] - start;
    return last - first;
}

enum aq_status aq_tile_cut(const struct aq_sorted_rows *rows, bool timed, aq_tile_fn tile,
                           void *context, struct aq_error *err)
{
    const size_t *run_ends = rows->run_ends;
    size_t start = 0;
    for (size_t run = 0; run < rows->run_count;) {
        struct cut cut = {
            .refs = rows->refs, .timed = timed, .tile = tile, .context = context, .err = err};
        size_t taken = take_runs(run_ends, rows->run_count, run, start, &cut.row_count);
        if (cut.row_count <= AQ_TILE_ROWS_MAX) {
            struct aq_row_span whole = {start, cut.row_count};
            AQ_TRY(tile(context, &whole, 1, whole.count, err));
        } else {
            cut.run_count = taken;
            for (size_t i = 0, first = start; i < taken; first = run_ends[run + i], i++)
                cut.left[i] = (struct aq_row_span){first, run_ends[run + i] - first};
            AQ_TRY(cut_group(&cut));
        }
        run += taken;
        start = run_ends[run - 1];
    }
    return AQ_OK;
}

size_t aq_tile_settled_runs(const struct aq_sorted_rows *rows)
{
    size_t settled = 0;
    size_t start = 0;
    bool full = false;
    for (size_t run = 0; run < rows->run_count;) {
        size_t row_count;
        settled = run;
        run += take_runs(rows->run_ends, rows->run_count, run, start, &row_count);
        start = rows->run_ends[run - 1];
        full = run - settled >= AQ_TILE_RUNS_MAX && row_count >= AQ_TILE_ROWS_MAX;
    }
    return settled > 0 && !full ? settled : rows->run_count;
}
