/* Cutting time into the groups of a dataset.
 *
 * The slots that are rolled up are groups. What lies between them is cut where the present slot begins and
 * where it and the next one end, so that old, new and future rows do not share files; and where there
 * is more than a file's worth of old rows, at the ends of their slots. Each of these takes its part of the
 * segments' rows: one archive for late rows of many old slots, however many these are.
 *
 * So that such archives do not pile up, new old rows take along the small archives that are no larger than they
 * are together with those taken before: sizes double, their number grows with the logarithm of what came late.
 * In the present slot, in future ones, and of what is left over in closed ones, eight of about the same size are merged.
 * Failures: out of memory. */
#include <stdlib.h>
#include <string.h>

#include "compaction/plan/plan_internal.h"
#include "compaction/plan/spread.h"

/* Smaller files are taken to be of this size. */
#define FILE_BYTES_MIN ((uint64_t)16 << 10)
/* Fewer late rows than this are taken to be as many. */
#define ROWS_MIN 4096
/* Sizes differ by no more than this in "about the same size". */
#define SAME_SIZE_FACTOR 4
#define FUTURE_CUTS 2

struct grouping {
    struct aq_plan_dataset *dataset;
    int64_t present_us; /* where the present slot begins */
    int64_t future_us;  /* where it ends */
    size_t cut_count;
    int64_t *cuts; /* ascending, no two equal: where a group begins, after the first */
    struct aq_plan_piece **candidates; /* room for all pieces */
    size_t candidate_count;
};

static bool is_timed(const struct aq_plan_dataset *dataset)
{
    return dataset->schema->time_column != AQ_COLUMN_NONE;
}

static int compare_times(const void *a, const void *b)
{
    const int64_t *left = a;
    const int64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static int compare_sizes(const void *a, const void *b)
{
    const struct aq_catalog_file *left = (*(struct aq_plan_piece *const *)a)->file;
    const struct aq_catalog_file *right = (*(struct aq_plan_piece *const *)b)->file;
    if (left->size_bytes != right->size_bytes)
        return left->size_bytes < right->size_bytes ? -1 : 1;
    return (left->file_id > right->file_id) - (left->file_id < right->file_id);
}

static uint64_t rows_of(const struct aq_plan_piece *piece)
{
    return piece->file->entries[0].row_count;
}

static int compare_rows(const void *a, const void *b)
{
    uint64_t left = rows_of(*(struct aq_plan_piece *const *)a);
    uint64_t right = rows_of(*(struct aq_plan_piece *const *)b);
    return left == right ? compare_sizes(a, b) : left < right ? -1 : 1;
}

static const struct aq_plan_range *range_at(const struct aq_plan_dataset *dataset, int64_t time_us)
{
    for (size_t i = 0; i < dataset->range_count; i++) {
        const struct aq_plan_range *range = &dataset->ranges[i];
        if (range->from_us <= time_us && time_us < range->until_us)
            return range;
    }
    return NULL;
}

/* A cut inside of a chosen range, or at the ends of time, is none. */
static void add_cut(struct grouping *grouping, int64_t time_us)
{
    const struct aq_plan_range *range = range_at(grouping->dataset, time_us);
    if (time_us != INT64_MIN && time_us != INT64_MAX &&
        (range == NULL || range->from_us == time_us))
        grouping->cuts[grouping->cut_count++] = time_us;
}

/* Where as many old rows as make a file have gone by, at the end of their slot. */
static void cut_old_rows(struct grouping *grouping)
{
    const struct aq_plan_dataset *dataset = grouping->dataset;
    const struct aq_spread *spread = dataset->spread;
    uint64_t rows = 0;
    for (size_t i = 0; i < spread->bucket_count; i++) {
        int64_t time_us = spread->buckets[i].from_us;
        if (time_us >= grouping->present_us)
            return;
        rows += spread->buckets[i].row_count;
        if (range_at(dataset, time_us) != NULL)
            rows = 0;
        if (aq_plan_bytes(dataset, rows) < dataset->options->target_size_bytes)
            continue;
        enum aq_span span = aq_plan_last_span(dataset, time_us);
        int64_t end_us = aq_span_end(span, aq_span_start(span, time_us));
        if (end_us < grouping->present_us)
            add_cut(grouping, end_us);
        if (i + 1 < spread->bucket_count && spread->buckets[i + 1].from_us >= end_us)
            rows = 0;
    }
}

static void make_cuts(struct grouping *grouping)
{
    const struct aq_plan_dataset *dataset = grouping->dataset;
    int64_t settled_us;
    if (__builtin_sub_overflow(dataset->options->now_us, dataset->options->late_us, &settled_us))
        settled_us = INT64_MIN;
    enum aq_span unit = aq_plan_unit(dataset, settled_us);
    grouping->present_us = aq_span_start(unit, settled_us);
    grouping->future_us = aq_span_end(unit, grouping->present_us);
    if (!is_timed(dataset))
        return; /* one group: rows without a time are not told apart */
    for (size_t i = 0; i < dataset->range_count; i++) {
        add_cut(grouping, dataset->ranges[i].from_us);
        add_cut(grouping, dataset->ranges[i].until_us);
    }
    int64_t time_us = grouping->present_us;
    for (unsigned i = 0; i <= FUTURE_CUTS; i++) {
        add_cut(grouping, time_us);
        time_us = aq_span_end(unit, time_us);
    }
    cut_old_rows(grouping);
    qsort(grouping->cuts, grouping->cut_count, sizeof *grouping->cuts, compare_times);
    size_t kept = 0;
    for (size_t i = 0; i < grouping->cut_count; i++) {
        if (kept == 0 || grouping->cuts[kept - 1] != grouping->cuts[i])
            grouping->cuts[kept++] = grouping->cuts[i];
    }
    grouping->cut_count = kept;
}

/* Whether nothing will come and take the archive along: the last slot that it lies in is closed. */
static bool is_left_over(const struct aq_plan_dataset *dataset, const struct aq_plan_piece *piece)
{
    enum aq_span last = aq_plan_last_span(dataset, piece->max_us);
    int64_t start_us = aq_span_start(last, piece->max_us);
    return piece->min_us < start_us ||
           aq_plan_is_closed(dataset->options, aq_span_end(last, start_us));
}

static int64_t newest_new_row(const struct aq_plan_dataset *dataset, int64_t until_us)
{
    int64_t newest_us = INT64_MIN;
    for (size_t i = 0; i < dataset->spread->bucket_count; i++) {
        const struct aq_spread_bucket *bucket = &dataset->spread->buckets[i];
        if (bucket->from_us < until_us || until_us == INT64_MAX)
            newest_us = bucket->from_us;
    }
    return newest_us;
}

/* Small archives within the group that are not taken yet. In the present slot: of the newest day, since the others are
 * merged when it ends; for future ones that may be far away. */
static void list_candidates(struct grouping *grouping, const struct aq_compact_group *group)
{
    const struct aq_plan_dataset *dataset = grouping->dataset;
    bool present = group->from_us >= grouping->present_us && group->from_us < grouping->future_us;
    int64_t newest_us = present ? newest_new_row(dataset, group->until_us) : INT64_MIN;
    int64_t day_us = present ? aq_span_start(AQ_SPAN_DAY, newest_us) : INT64_MIN;
    grouping->candidate_count = 0;
    for (size_t i = 0; i < dataset->piece_count; i++) {
        struct aq_plan_piece *piece = &dataset->pieces[i];
        if (piece->small && piece->allowed && !piece->input && piece->max_us >= day_us &&
            aq_plan_contains(group->from_us, group->until_us, piece))
            grouping->candidates[grouping->candidate_count++] = piece;
    }
}

static uint64_t size_of(const struct aq_plan_piece *piece)
{
    uint64_t size = piece->file->size_bytes;
    return size > FILE_BYTES_MIN ? size : FILE_BYTES_MIN;
}

/* Take along what has no more rows than all before it together. Rows, not bytes: how well a few will be
 * compressed is not known before. */
static void take_doubling(struct grouping *grouping, uint64_t rows)
{
    struct aq_plan_piece **all = grouping->candidates;
    qsort(all, grouping->candidate_count, sizeof *all, compare_rows);
    for (size_t i = 0; i < grouping->candidate_count; i++) {
        uint64_t more = rows_of(all[i]);
        if (more > (rows > ROWS_MIN ? rows : ROWS_MIN))
            return;
        all[i]->input = true;
        rows += more;
    }
}

/* Take the first archives that are `wanted` or more of about the same size. */
static void take_same_size(struct grouping *grouping, size_t wanted)
{
    struct aq_plan_piece **all = grouping->candidates;
    size_t end = 0;
    qsort(all, grouping->candidate_count, sizeof *all, compare_sizes);
    for (size_t i = 0; i < grouping->candidate_count; i++) {
        while (end < grouping->candidate_count &&
               size_of(all[end]) / SAME_SIZE_FACTOR <= size_of(all[i]))
            end++;
        if (end - i < wanted)
            continue;
        for (size_t taken = i; taken < end; taken++)
            all[taken]->input = true;
        return;
    }
}

/* Rows that the archives that are read already bring into the group, about. */
static uint64_t routed_rows(const struct aq_plan_dataset *dataset,
                            const struct aq_compact_group *group)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < dataset->piece_count; i++) {
        const struct aq_plan_piece *piece = &dataset->pieces[i];
        if (piece->input)
            rows += aq_plan_share(rows_of(piece), piece, group->from_us, group->until_us);
    }
    return rows;
}

static void keep_left_over(struct grouping *grouping)
{
    size_t kept = 0;
    for (size_t i = 0; i < grouping->candidate_count; i++) {
        if (!grouping->candidates[i]->input &&
            is_left_over(grouping->dataset, grouping->candidates[i]))
            grouping->candidates[kept++] = grouping->candidates[i];
    }
    grouping->candidate_count = kept;
}

/* A group between those that are rolled up: which small archives come along, and why. */
static void fill_between(struct grouping *grouping, struct aq_compact_group *group)
{
    const struct aq_plan_dataset *dataset = grouping->dataset;
    uint64_t rows = group->row_count + routed_rows(dataset, group);
    bool present = group->from_us >= grouping->present_us;
    list_candidates(grouping, group);
    if (present && rows > 0) {
        take_same_size(grouping, AQ_SAME_SIZE_FILES - 1);
    } else if (!present) {
        if (rows > 0)
            take_doubling(grouping, rows);
        keep_left_over(grouping);
        take_same_size(grouping, AQ_SAME_SIZE_FILES);
    }
    group->reason = !is_timed(dataset) ? "new rows, and small archives beside them"
                    : present          ? "new rows"
                                       : "late rows, and small archives of old time";
}

static bool belongs(const struct aq_plan_dataset *dataset, const struct aq_compact_group *group,
                    const struct aq_plan_piece *piece)
{
    bool timed =
        is_timed(dataset) && dataset->schema->columns[dataset->schema->time_column].required;
    return piece->input && (aq_plan_overlaps(group->from_us, group->until_us, piece) ||
                            (!timed && group->until_us == INT64_MAX));
}

/* Where another file begins, so that a few bytes more than the target size do not make a small file: equal
 * parts, a tenth more than is expected; where nothing is known of the rows yet, a quarter over the target. */
static uint64_t file_bytes(const struct aq_plan_dataset *dataset, uint64_t bytes)
{
    uint64_t target = dataset->options->target_size_bytes;
    uint64_t files = bytes / target + (bytes % target >= target / 2);
    if (dataset->piece_count == 0)
        return target + target / 4;
    return files <= 1 ? target * 2 : bytes / files + bytes / files / 10;
}

static enum aq_status list_archives(struct aq_plan_dataset *dataset, struct aq_compact_group *group)
{
    size_t count = 0;
    for (size_t i = 0; i < dataset->piece_count; i++)
        count += belongs(dataset, group, &dataset->pieces[i]);
    group->archives = aq_arena_alloc(dataset->arena, count * sizeof *group->archives);
    if (group->archives == NULL)
        return AQ_NO_MEMORY;
    group->bytes = aq_plan_new_bytes(dataset, group->from_us, group->until_us);
    for (size_t i = 0; i < dataset->piece_count; i++) {
        const struct aq_plan_piece *piece = &dataset->pieces[i];
        if (!belongs(dataset, group, piece))
            continue;
        group->archives[group->archive_count++] = piece->file;
        group->archive_rows += rows_of(piece);
        group->bytes +=
            aq_plan_share(piece->file->size_bytes, piece, group->from_us, group->until_us);
        if (piece->verdict->reason == NULL)
            piece->verdict->reason = group->reason;
    }
    group->file_bytes = file_bytes(dataset, group->bytes);
    return AQ_OK;
}

static enum aq_status make_groups(struct grouping *grouping, struct aq_compact_dataset *result)
{
    struct aq_plan_dataset *dataset = grouping->dataset;
    result->groups =
        aq_arena_alloc(dataset->arena, (grouping->cut_count + 1) * sizeof *result->groups);
    if (result->groups == NULL)
        return AQ_NO_MEMORY;
    result->group_count = grouping->cut_count + 1;
    for (size_t i = 0; i < result->group_count; i++) {
        struct aq_compact_group *group = &result->groups[i];
        *group = (struct aq_compact_group){
            .schema = dataset->schema,
            .from_us = i == 0 ? INT64_MIN : grouping->cuts[i - 1],
            .until_us = i + 1 == result->group_count ? INT64_MAX : grouping->cuts[i],
        };
        group->row_count = aq_spread_rows(dataset->spread, group->from_us, group->until_us);
        if (group->until_us == INT64_MAX)
            group->row_count += dataset->spread->timeless_count;
        const struct aq_plan_range *range = range_at(dataset, group->from_us);
        if (range != NULL)
            group->reason = range->reason;
        else
            fill_between(grouping, group);
    }
    for (size_t i = 0; i < result->group_count; i++)
        AQ_TRY(list_archives(dataset, &result->groups[i]));
    return AQ_OK;
}

enum aq_status aq_plan_group(struct aq_plan_dataset *dataset, struct aq_compact_dataset *result)
{
    struct grouping grouping = {.dataset = dataset};
    size_t cuts = dataset->range_count * 2 + dataset->spread->bucket_count + FUTURE_CUTS + 1;
    grouping.cuts = aq_arena_alloc(dataset->arena, cuts * sizeof *grouping.cuts);
    grouping.candidates =
        aq_arena_alloc(dataset->arena, dataset->piece_count * sizeof(struct aq_plan_piece *));
    if (grouping.cuts == NULL || grouping.candidates == NULL)
        return AQ_NO_MEMORY;
    make_cuts(&grouping);
    return make_groups(&grouping, result);
}
