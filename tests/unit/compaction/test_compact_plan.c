/* Planning a compaction and cutting tiles: pure functions, against properties and small examples. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/compact_plan.h"
#include "compaction/merge/write/tile_cut.h"

/* Tiles of a cut: each row exactly once, no tile too large, order kept. */

struct seen {
    unsigned char *rows;
    size_t row_count;
    size_t tile_count;
    size_t largest;
    size_t smallest;
    size_t most_spans;
    const int64_t *times;
    int64_t last_time; /* of the tile before */
    bool blocks_overlap;
};

static enum aq_status see_tile(void *context, const struct aq_row_span *spans, size_t span_count,
                               size_t row_count, struct aq_error *err)
{
    (void)err;
    struct seen *seen = context;
    size_t rows = 0;
    int64_t first_time = INT64_MAX;
    int64_t last_time = INT64_MIN;
    for (size_t s = 0; s < span_count; s++) {
        cr_assert_gt(spans[s].count, 0);
        cr_assert(s == 0 || spans[s].first >= spans[s - 1].first + spans[s - 1].count);
        for (size_t row = spans[s].first; row < spans[s].first + spans[s].count; row++) {
            cr_assert_lt(row, seen->row_count);
            cr_assert_eq(seen->rows[row], 0, "row %zu twice", row);
            seen->rows[row] = 1;
            if (seen->times != NULL) {
                first_time = seen->times[row] < first_time ? seen->times[row] : first_time;
                last_time = seen->times[row] > last_time ? seen->times[row] : last_time;
            }
        }
        rows += spans[s].count;
    }
    cr_assert_eq(rows, row_count);
    cr_assert(rows >= 1 && rows <= AQ_TILE_ROWS_MAX);
    seen->blocks_overlap |= seen->tile_count > 0 && first_time <= seen->last_time;
    seen->last_time = last_time;
    seen->largest = rows > seen->largest ? rows : seen->largest;
    seen->smallest = seen->tile_count == 0 || rows < seen->smallest ? rows : seen->smallest;
    seen->most_spans = span_count > seen->most_spans ? span_count : seen->most_spans;
    seen->tile_count++;
    return AQ_OK;
}

static struct seen cut(const size_t *run_ends, size_t run_count, const int64_t *times)
{
    size_t row_count = run_ends[run_count - 1];
    struct seen seen = {.rows = calloc(row_count, 1), .row_count = row_count, .times = times};
    struct aq_row_ref *refs = calloc(row_count, sizeof *refs);
    for (size_t row = 0; row < row_count && times != NULL; row++)
        refs[row].time = times[row];
    struct aq_sorted_rows rows = {refs, row_count, (size_t *)run_ends, run_count};
    cr_assert_eq(aq_tile_cut(&rows, times != NULL, see_tile, &seen, NULL), AQ_OK);
    free(refs);
    for (size_t row = 0; row < row_count; row++)
        cr_assert_eq(seen.rows[row], 1, "row %zu is in no tile", row);
    free(seen.rows);
    return seen;
}

/* `run_count` runs of `run_rows` rows, one row an hour. */
static struct seen cut_equal_runs(size_t run_count, size_t run_rows)
{
    size_t *ends = malloc(run_count * sizeof *ends);
    int64_t *times = malloc(run_count * run_rows * sizeof *times);
    for (size_t run = 0; run < run_count; run++) {
        ends[run] = (run + 1) * run_rows;
        for (size_t row = 0; row < run_rows; row++)
            times[run * run_rows + row] = (int64_t)row * 3600;
    }
    struct seen seen = cut(ends, run_count, times);
    free(ends);
    free(times);
    return seen;
}

Test(tile_cut, long_runs_share_blocks_of_time)
{
    struct seen seen = cut_equal_runs(12, 35064);
    cr_assert_eq(seen.tile_count, 7);
    cr_assert_eq(seen.most_spans, 12);
    cr_assert_not(seen.blocks_overlap);
    cr_assert_gt(seen.smallest, seen.largest / 10 * 9, "blocks are of about equal size");
}

Test(tile_cut, sixteen_long_runs_at_most)
{
    struct seen seen = cut_equal_runs(17, 8000);
    cr_assert_eq(seen.most_spans, 16);
    cr_assert_eq(seen.tile_count, 3, "two blocks of sixteen runs, and the last run");
}

Test(tile_cut, short_runs_fill_a_tile)
{
    struct seen seen = cut_equal_runs(1000, 100);
    cr_assert_eq(seen.tile_count, 2);
    cr_assert_eq(seen.largest, 65500);
    seen = cut_equal_runs(1, 1);
    cr_assert_eq(seen.tile_count, 1);
}

Test(tile_cut, without_time)
{
    size_t ends[] = {3, 200000, 200001};
    struct seen seen = cut(ends, 3, NULL);
    cr_assert_eq(seen.tile_count, 4);
}

Test(tile_cut, more_equal_times_than_a_tile_holds)
{
    size_t ends[] = {100000, 250000};
    int64_t *times = malloc(250000 * sizeof *times);
    for (size_t row = 0; row < 250000; row++)
        times[row] = row % 100000 < 10 || row == 100000 ? INT64_MIN : 7;
    for (size_t row = 200000; row < 250000; row++)
        times[row] = INT64_MAX;
    struct seen seen = cut(ends, 2, times);
    cr_assert_leq(seen.tile_count, 6);
    free(times);
}

Test(tile_cut, random_runs)
{
    uint64_t state = 99;
    for (unsigned round = 0; round < 20; round++) {
        size_t ends[40];
        size_t run_count = 1 + round * 2;
        size_t end = 0;
        for (size_t run = 0; run < run_count; run++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            end += 1 + (state >> 33) % (run % 5 == 0 ? 90000 : 3000);
            ends[run] = end;
        }
        int64_t *times = malloc(end * sizeof *times);
        for (size_t run = 0, row = 0; run < run_count; run++) {
            int64_t time = (int64_t)run * 1000;
            for (; row < ends[run]; row++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                times[row] = time += (int64_t)(state >> 60);
            }
        }
        cut(ends, run_count, times);
        free(times);
    }
}

/* Plans. */

#define TARGET UINT64_C(1000000)

/* Without a time: what depends on it is in test_roll_up.c. */
static struct aq_schema schemas[] = {
    {.dataset = "air", .dataset_id = 1, .version = 1, .time_column = AQ_COLUMN_NONE},
    {.dataset = "air_rejects",
     .dataset_id = 2,
     .version = 1,
     .rejects_of = 1,
     .time_column = AQ_COLUMN_NONE},
    {.dataset = "flights", .dataset_id = 3, .version = 1, .time_column = AQ_COLUMN_NONE},
};
static struct aq_catalog_dataset datasets[] = {
    {1, &schemas[0], INT64_MAX}, {1, &schemas[1], INT64_MAX}, {1, &schemas[2], INT64_MAX}};

static struct aq_file_entry entry_of[4] = {
    {0}, {1, 1, 10, false, 0, 0}, {2, 1, 5, false, 0, 0}, {3, 1, 7, false, 0, 0}};

static struct aq_file_entry archived_of[4] = {
    {0}, {1, 1, 1000, false, 0, 0}, {2, 1, 500, false, 0, 0}, {3, 1, 700, false, 0, 0}};

/* An archive of so many thousandths of the target size. */
static struct aq_catalog_file archive(uint64_t file_id, uint32_t dataset_id, uint64_t size)
{
    return (struct aq_catalog_file){.file_id = file_id,
                                    .kind = AQ_FILE_ARCHIVE,
                                    .state = AQ_FILE_CLOSED,
                                    .edit = file_id,
                                    .size_bytes = size * TARGET / 1000,
                                    .entry_count = 1,
                                    .entries = &archived_of[dataset_id]};
}

static struct aq_catalog_file segment(uint64_t file_id, enum aq_file_state state,
                                      size_t entry_count)
{
    return (struct aq_catalog_file){.file_id = file_id,
                                    .kind = AQ_FILE_SEGMENT,
                                    .state = state,
                                    .size_bytes = 64,
                                    .file_bytes = 128,
                                    .entry_count = entry_count,
                                    .entries = &entry_of[1]};
}

/* Ids of the inputs as text: "1 2 5". */
static const char *plan_of(struct aq_catalog_file *files, size_t file_count, const char *dataset,
                           struct aq_compact_plan *plan)
{
    static char text[256];
    static struct aq_arena arena;
    struct aq_catalog catalog = {
        .dataset_count = 3, .datasets = datasets, .file_count = file_count, .files = files};
    struct aq_compact_options options = {.target_size_bytes = TARGET,
                                         .now_us = 20000 * AQ_US_PER_DAY,
                                         .datasets = dataset == NULL ? NULL : &dataset,
                                         .dataset_count = dataset != NULL};
    struct aq_error err = {0};
    cr_assert_eq(aq_compact_plan_make(&catalog, &options, NULL, &arena, plan, &err), AQ_OK, "%s",
                 err.message);
    text[0] = '\0';
    for (size_t i = 0; i < plan->input_count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%llu", i == 0 ? "" : " ",
                 (unsigned long long)plan->inputs[i]->file_id);
        cr_assert(aq_compact_plan_reads(plan, plan->inputs[i]->file_id));
    }
    cr_assert_not(aq_compact_plan_reads(plan, 1000));
    return text;
}

Test(compact_plan, nothing_to_do)
{
    struct aq_compact_plan plan;
    struct aq_catalog_file files[] = {archive(1, 1, 100), archive(2, 3, 100),
                                      segment(3, AQ_FILE_OPEN, 0)};
    cr_assert_str_eq(plan_of(files, 3, NULL, &plan), "");
    cr_assert_eq(plan.dataset_count, 0);
}

Test(compact_plan, closed_segments_whole_and_the_small_archives_of_their_datasets)
{
    struct aq_compact_plan plan;
    struct aq_catalog_file files[] = {archive(1, 1, 499), archive(2, 1, 5000), archive(3, 3, 100),
                                      segment(4, AQ_FILE_CLOSED, 2), segment(5, AQ_FILE_OPEN, 0)};
    cr_assert_str_eq(plan_of(files, 5, NULL, &plan), "1 4");
    cr_assert_eq(plan.segment_count, 1);
    cr_assert_eq(plan.archive_count, 1);
    cr_assert_eq(plan.row_count, 1015);
    cr_assert_eq(plan.input_bytes, 499000 + 128);
    cr_assert_eq(plan.dataset_count, 2);
    cr_assert_eq(plan.datasets[0].schema->dataset_id, 1);
    cr_assert_eq(plan.datasets[0].row_count, 1010);
    cr_assert_eq(plan.datasets[0].group_count, 1);
    const struct aq_compact_group *group = plan.datasets[0].groups;
    cr_assert(group->from_us == INT64_MIN && group->until_us == INT64_MAX);
    cr_assert(group->archive_count == 1 && group->archives[0]->file_id == 1);
    cr_assert_eq(group->archive_rows, 1000);
    cr_assert_eq(plan.datasets[1].schema->dataset_id, 2);
}

Test(compact_plan, two_small_archives_become_one)
{
    struct aq_compact_plan plan;
    struct aq_catalog_file files[] = {archive(1, 1, 100), archive(2, 3, 100), archive(3, 3, 900),
                                      archive(4, 3, 200)};
    cr_assert_str_eq(plan_of(files, 4, NULL, &plan), "2 4");
    files[3].root.size = AQ_ARCHIVE_ROOT_BYTES_MAX - 100;
    cr_assert_str_eq(plan_of(files, 4, NULL, &plan), "", "a full root cannot be merged");
}

Test(compact_plan, names_restrict_archives_only)
{
    struct aq_compact_plan plan;
    struct aq_catalog_file files[] = {archive(1, 1, 100), archive(2, 2, 100), archive(3, 3, 100),
                                      archive(4, 3, 100), segment(5, AQ_FILE_CLOSED, 2)};
    cr_assert_str_eq(plan_of(files, 5, "flights", &plan), "3 4 5");
    cr_assert_str_eq(plan_of(files, 5, "air", &plan), "1 2 5", "its rejects go with it");
    const char *unknown = "nope";
    struct aq_catalog catalog = {.dataset_count = 3, .datasets = datasets};
    struct aq_compact_options options = {.datasets = &unknown, .dataset_count = 1};
    struct aq_arena arena = {0};
    struct aq_error err = {0};
    cr_assert_eq(aq_compact_plan_make(&catalog, &options, NULL, &arena, &plan, &err), AQ_NOT_FOUND);
    cr_assert_not_null(strstr(err.message, "nope"));
    aq_arena_deinit(&arena);
}

Test(compact_plan, a_file_of_an_unknown_dataset_is_corruption)
{
    struct aq_file_entry unknown = {.dataset_id = 77, .row_count = 1};
    struct aq_catalog_file file = archive(1, 1, 100);
    file.entries = &unknown;
    struct aq_catalog catalog = {
        .dataset_count = 3, .datasets = datasets, .file_count = 1, .files = &file};
    struct aq_compact_options options = {.target_size_bytes = TARGET};
    struct aq_compact_plan plan;
    struct aq_arena arena = {0};
    cr_assert_eq(aq_compact_plan_make(&catalog, &options, NULL, &arena, &plan, NULL), AQ_CORRUPT);
    aq_arena_deinit(&arena);
}
