/* Choosing the closed slots whose archives become one.
 *
 * Each small archive is counted in the day, month, quarter ... that it lies in, up to the span that its
 * roll-up ends with. A slot that is closed is rolled up when that pays: the last one with any two files of
 * which none outweighs the others, one in between only with many, since its rows will be written once
 * more. From the coarsest slots down, one within another that is chosen is passed over.
 *
 * Archives that reach over a slot's bounds, of late rows mostly, give their rows of the slot to it when that
 * is most of them or they are small beside it. Archives that are large already stand aside until what is
 * new in their slot is half as much.
 *
 * All files of one edit are what a merge could make of them; they are never merged with each other again,
 * and so every sequence of plans comes to an end.
 * Failures: out of memory. */
#include <stdlib.h>

#include "compaction/plan/plan_internal.h"

/* The edits that brought some files. */
struct edits {
    uint64_t first; /* UINT64_MAX: no files */
    uint64_t last;
};

static const struct edits no_edits = {UINT64_MAX, 0};

static struct edits join_edits(struct edits a, struct edits b)
{
    return (struct edits){a.first < b.first ? a.first : b.first, a.last > b.last ? a.last : b.last};
}

/* A closed slot, and what lies in it. */
struct node {
    enum aq_span span;
    bool last; /* the roll-up ends with it */
    int64_t start_us;
    int64_t end_us;
    unsigned count; /* small archives */
    uint64_t bytes; /* of them */
    uint64_t largest_bytes;
    struct edits edits;   /* of them */
    uint64_t large_bytes; /* of archives that are not small */
    struct edits large_edits;
};

struct roll_up {
    struct aq_plan_dataset *dataset;
    size_t node_count;
    struct node *nodes;
    size_t stray_count;
    struct aq_plan_piece **strays; /* small archives that lie in no last slot */
};

static int compare(const void *a, const void *b)
{
    const struct node *left = a;
    const struct node *right = b;
    if (left->span != right->span)
        return left->span > right->span ? -1 : 1;
    return (left->start_us > right->start_us) - (left->start_us < right->start_us);
}

static void add_node(struct roll_up *roll_up, enum aq_span span, enum aq_span last,
                     const struct aq_plan_piece *piece, int64_t time_us)
{
    struct node node = {.span = span,
                        .last = span == last,
                        .start_us = aq_span_start(span, time_us),
                        .edits = no_edits,
                        .large_edits = no_edits};
    node.end_us = aq_span_end(span, node.start_us);
    if (!aq_plan_is_closed(roll_up->dataset->options, node.end_us))
        return;
    struct edits edits = no_edits;
    if (piece != NULL)
        edits = (struct edits){piece->file->edit, piece->file->edit};
    if (piece != NULL && piece->small) {
        node.count = 1;
        node.bytes = node.largest_bytes = piece->file->size_bytes;
        node.edits = edits;
    } else if (piece != NULL) {
        node.large_bytes = piece->file->size_bytes;
        node.large_edits = edits;
    }
    roll_up->nodes[roll_up->node_count++] = node;
}

/* Slots below the unit take an archive by its newest row: the few older ones come along. */
static bool lies_in(const struct aq_plan_dataset *dataset, enum aq_span span,
                    const struct aq_plan_piece *piece)
{
    enum aq_span unit = aq_plan_unit(dataset, piece->max_us);
    return piece->min_us >= aq_span_start(span > unit ? span : unit, piece->max_us);
}

static void add_piece(struct roll_up *roll_up, struct aq_plan_piece *piece)
{
    enum aq_span last = aq_plan_last_span(roll_up->dataset, piece->max_us);
    if (!piece->allowed)
        return;
    if (!lies_in(roll_up->dataset, last, piece)) {
        if (piece->small)
            roll_up->strays[roll_up->stray_count++] = piece;
    }
    for (enum aq_span span = last == AQ_SPAN_HOUR ? AQ_SPAN_HOUR : AQ_SPAN_DAY; span <= last;
         span++) {
        if (lies_in(roll_up->dataset, span, piece) && (piece->small || span == last))
            add_node(roll_up, span, last, piece, piece->max_us);
    }
}

/* Slots that new rows alone may fill. */
static void add_new_rows(struct roll_up *roll_up)
{
    const struct aq_spread *spread = roll_up->dataset->spread;
    for (size_t i = 0; i < spread->bucket_count; i++) {
        int64_t time_us = spread->buckets[i].from_us;
        enum aq_span last = aq_plan_last_span(roll_up->dataset, time_us);
        add_node(roll_up, last, last, NULL, time_us);
    }
}

static void join(struct roll_up *roll_up)
{
    struct node *all = roll_up->nodes;
    size_t kept = 0;
    qsort(all, roll_up->node_count, sizeof *all, compare);
    for (size_t i = 0; i < roll_up->node_count; i++) {
        struct node *to = kept > 0 ? &all[kept - 1] : NULL;
        if (to == NULL || compare(to, &all[i]) != 0) {
            all[kept++] = all[i];
            continue;
        }
        to->count += all[i].count;
        to->bytes += all[i].bytes;
        to->large_bytes += all[i].large_bytes;
        if (all[i].largest_bytes > to->largest_bytes)
            to->largest_bytes = all[i].largest_bytes;
        to->edits = join_edits(to->edits, all[i].edits);
        to->large_edits = join_edits(to->large_edits, all[i].large_edits);
    }
    roll_up->node_count = kept;
}

/* The part of the slot's unit that comes with it: it may begin before the slot, but behind other ranges. */
static int64_t begin_of(const struct aq_plan_dataset *dataset, const struct node *node)
{
    enum aq_span unit = aq_plan_unit(dataset, node->start_us);
    if (node->span >= unit)
        return node->start_us;
    int64_t from_us = aq_span_start(unit, node->start_us);
    for (size_t i = 0; i < dataset->range_count; i++) {
        const struct aq_plan_range *range = &dataset->ranges[i];
        if (range->until_us <= node->start_us && range->until_us > from_us)
            from_us = range->until_us;
    }
    return from_us;
}

static bool is_taken(const struct aq_plan_dataset *dataset, const struct node *node)
{
    for (size_t i = 0; i < dataset->range_count; i++) {
        if (node->start_us < dataset->ranges[i].until_us &&
            node->end_us > dataset->ranges[i].from_us)
            return true;
    }
    return false;
}

enum verdict { LEAVE, MERGE_SMALL, MERGE_ALL, KEEP_APART };

/* Whether a merge would bring together what no merge has before. */
static bool differ(struct edits edits, uint64_t new_bytes)
{
    return new_bytes > 0 || edits.first < edits.last;
}

static enum verdict judge_between(const struct node *node, uint64_t new_bytes, bool pays)
{
    uint64_t total = node->bytes + new_bytes;
    bool many = node->span == AQ_SPAN_DAY
                    ? node->count + (new_bytes > 0) >= AQ_ROLL_UP_FILES_MIN && pays
                    : total / AQ_ROLL_UP_FILES_MIN >= node->largest_bytes &&
                          total / AQ_ROLL_UP_FILES_MIN >= new_bytes;
    return node->count > 0 && many && differ(node->edits, new_bytes) ? MERGE_SMALL : LEAVE;
}

static enum verdict judge(const struct aq_plan_dataset *dataset, const struct node *node)
{
    uint64_t new_bytes = aq_plan_new_bytes(dataset, node->start_us, node->end_us);
    uint64_t total = node->bytes + new_bytes;
    uint64_t largest = node->largest_bytes > new_bytes ? node->largest_bytes : new_bytes;
    bool pays = total - largest >= largest / AQ_PAYS_PART;
    struct edits all = join_edits(node->edits, node->large_edits);
    if (!node->last)
        return judge_between(node, new_bytes, pays);
    if (node->large_bytes > 0 && differ(all, new_bytes) &&
        total >= node->large_bytes / AQ_PAYS_PART)
        return MERGE_ALL;
    if (node->count > 0 && node->count + (new_bytes > 0) >= 2 && pays &&
        differ(node->edits, new_bytes))
        return MERGE_SMALL;
    return new_bytes >= dataset->options->target_size_bytes / 2 ? KEEP_APART : LEAVE;
}

static const char *describe(const struct aq_plan_dataset *dataset, const struct node *node,
                            enum verdict verdict)
{
    char slot[64];
    aq_span_format(node->span, node->start_us, slot, sizeof slot);
    if (verdict == KEEP_APART)
        return aq_arena_format(dataset->arena, "new rows of %s, enough for files of their own",
                               slot);
    if (verdict == MERGE_ALL)
        return aq_arena_format(dataset->arena, "rewrites %s: what is new there is half of what was",
                               slot);
    return aq_arena_format(dataset->arena, "rolls up %s, which is closed", slot);
}

static void take_pieces(struct roll_up *roll_up, const struct node *node, enum verdict verdict,
                        const struct aq_plan_range *range)
{
    struct aq_plan_dataset *dataset = roll_up->dataset;
    if (verdict == KEEP_APART)
        return;
    for (size_t i = 0; i < dataset->piece_count; i++) {
        struct aq_plan_piece *piece = &dataset->pieces[i];
        if (piece->allowed && (piece->small || verdict == MERGE_ALL) &&
            piece->max_us >= node->start_us &&
            aq_plan_contains(range->from_us, range->until_us, piece))
            piece->input = true;
    }
    for (size_t i = 0; node->last && i < roll_up->stray_count; i++) {
        struct aq_plan_piece *stray = roll_up->strays[i];
        uint64_t size = stray->file->size_bytes;
        uint64_t share = aq_plan_share(size, stray, node->start_us, node->end_us);
        if (share > 0 && (share >= size / 2 || size <= (node->bytes + node->large_bytes) / 4))
            stray->input = true;
    }
}

static enum aq_status choose(struct roll_up *roll_up)
{
    struct aq_plan_dataset *dataset = roll_up->dataset;
    for (size_t i = 0; i < roll_up->node_count; i++) {
        const struct node *node = &roll_up->nodes[i];
        enum verdict verdict = is_taken(dataset, node) ? LEAVE : judge(dataset, node);
        if (verdict == LEAVE)
            continue;
        struct aq_plan_range range = {.from_us = begin_of(dataset, node),
                                      .until_us = node->end_us,
                                      .reason = describe(dataset, node, verdict)};
        if (range.reason == NULL)
            return AQ_NO_MEMORY;
        take_pieces(roll_up, node, verdict, &range);
        dataset->ranges[dataset->range_count++] = range;
    }
    return AQ_OK;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct aq_plan_range *left = a;
    const struct aq_plan_range *right = b;
    return (left->from_us > right->from_us) - (left->from_us < right->from_us);
}

enum aq_status aq_plan_roll_up(struct aq_plan_dataset *dataset)
{
    struct roll_up roll_up = {.dataset = dataset};
    size_t entries = dataset->piece_count * AQ_SPAN_COUNT + dataset->spread->bucket_count;
    roll_up.nodes = aq_arena_alloc(dataset->arena, entries * sizeof *roll_up.nodes);
    roll_up.strays =
        aq_arena_alloc(dataset->arena, dataset->piece_count * sizeof(struct aq_plan_piece *));
    dataset->ranges = aq_arena_alloc(dataset->arena, entries * sizeof *dataset->ranges);
    if (roll_up.nodes == NULL || roll_up.strays == NULL || dataset->ranges == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < dataset->piece_count; i++)
        add_piece(&roll_up, &dataset->pieces[i]);
    add_new_rows(&roll_up);
    join(&roll_up);
    AQ_TRY(choose(&roll_up));
    qsort(dataset->ranges, dataset->range_count, sizeof *dataset->ranges, compare_ranges);
    return AQ_OK;
}
