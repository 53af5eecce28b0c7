/* How much of a dataset lies where, and so how far its archives are rolled up.
 *
 * Each archive and each bucket of new rows is counted in its hour, day, month, quarter, year and decade, by
 * the middle of its time. From the decade down, a span is divided as long as one of its parts is large:
 * the fullest counts, since the present one has only begun. A stream of a gigabyte a month ends with
 * months, one of a megabyte a month with decades.
 * Failures: out of memory. */
#include <stdlib.h>

#include "compaction/plan/plan_internal.h"
#include "compaction/plan/spread.h"

static int compare(const void *a, const void *b)
{
    const struct aq_plan_density *left = a;
    const struct aq_plan_density *right = b;
    if (left->span != right->span)
        return left->span < right->span ? -1 : 1;
    return (left->start_us > right->start_us) - (left->start_us < right->start_us);
}

static void count(struct aq_plan_dataset *dataset, int64_t time_us, uint64_t bytes)
{
    for (enum aq_span span = AQ_SPAN_HOUR; span < AQ_SPAN_COUNT; span++) {
        dataset->densities[dataset->density_count++] = (struct aq_plan_density){
            .span = span, .start_us = aq_span_start(span, time_us), .bytes = bytes};
    }
}

/* Join the entries of each span, which stand side by side. */
static void join(struct aq_plan_dataset *dataset)
{
    struct aq_plan_density *all = dataset->densities;
    size_t kept = 0;
    for (size_t i = 0; i < dataset->density_count; i++) {
        if (kept > 0 && compare(&all[kept - 1], &all[i]) == 0)
            all[kept - 1].bytes += all[i].bytes;
        else
            all[kept++] = all[i];
    }
    dataset->density_count = kept;
}

static struct aq_plan_density *find(const struct aq_plan_dataset *dataset, enum aq_span span,
                                    int64_t time_us)
{
    struct aq_plan_density key = {.span = span, .start_us = aq_span_start(span, time_us)};
    return bsearch(&key, dataset->densities, dataset->density_count, sizeof key, compare);
}

enum aq_status aq_plan_weigh(struct aq_plan_dataset *dataset)
{
    const struct aq_spread *spread = dataset->spread;
    size_t entries = (dataset->piece_count + spread->bucket_count) * AQ_SPAN_COUNT;
    dataset->densities = aq_arena_alloc(dataset->arena, entries * sizeof *dataset->densities);
    if (dataset->densities == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < dataset->piece_count; i++) {
        const struct aq_plan_piece *piece = &dataset->pieces[i];
        int64_t middle_us = piece->min_us / 2 + piece->max_us / 2;
        count(dataset, middle_us, piece->file->size_bytes);
    }
    for (size_t i = 0; i < spread->bucket_count; i++)
        count(dataset, spread->buckets[i].from_us,
              aq_plan_bytes(dataset, spread->buckets[i].row_count));
    qsort(dataset->densities, dataset->density_count, sizeof *dataset->densities, compare);
    join(dataset);
    for (size_t i = 0; i < dataset->density_count; i++) {
        const struct aq_plan_density *density = &dataset->densities[i];
        if (density->span == AQ_SPAN_DECADE)
            break;
        struct aq_plan_density *parent = find(dataset, density->span + 1, density->start_us);
        if (density->bytes > parent->child_bytes)
            parent->child_bytes = density->bytes;
    }
    return AQ_OK;
}

enum aq_span aq_plan_last_span(const struct aq_plan_dataset *dataset, int64_t time_us)
{
    enum aq_span span = AQ_SPAN_DECADE;
    for (; span > AQ_SPAN_HOUR; span--) {
        const struct aq_plan_density *density = find(dataset, span, time_us);
        if (density == NULL || density->child_bytes < dataset->options->target_size_bytes / 2)
            break;
    }
    return span;
}

enum aq_span aq_plan_unit(const struct aq_plan_dataset *dataset, int64_t time_us)
{
    enum aq_span last = aq_plan_last_span(dataset, time_us);
    return last < AQ_SPAN_MONTH ? last : AQ_SPAN_MONTH;
}

bool aq_plan_is_closed(const struct aq_compact_options *options, int64_t end_us)
{
    int64_t final_us;
    return !__builtin_add_overflow(end_us, options->late_us, &final_us) &&
           final_us <= options->now_us;
}
