/* A merge sort that looks first: two halves that are in order already are not merged, so sorted input
 * costs one comparison a row, and input of k sorted stretches about log2(k). */
#include "compaction/row_sort.h"

#include <stdlib.h>
#include <string.h>

struct sorter {
    const struct aq_schema *schema;
    const struct aq_batch *batches;
    struct aq_row_ref *refs;
    struct aq_row_ref *scratch; /* half as many */
};

static bool in_order(const struct sorter *sorter, struct aq_row_ref a, struct aq_row_ref b)
{
    return aq_schema_compare_rows(sorter->schema, &sorter->batches[a.batch], a.row,
                                  &sorter->batches[b.batch], b.row) <= 0;
}

/* Merge refs[first, middle) and refs[middle, end), each sorted. */
static void merge_halves(struct sorter *sorter, size_t first, size_t middle, size_t end)
{
    struct aq_row_ref *refs = sorter->refs;
    size_t left_count = middle - first;
    memcpy(sorter->scratch, refs + first, left_count * sizeof *refs);
    size_t left = 0;
    size_t right = middle;
    size_t out = first;
    while (left < left_count && right < end) {
        if (in_order(sorter, sorter->scratch[left], refs[right]))
            refs[out++] = sorter->scratch[left++];
        else
            refs[out++] = refs[right++];
    }
    memcpy(refs + out, sorter->scratch + left, (left_count - left) * sizeof *refs);
}

/* Recursion is as deep as log2 of the rows. */
static void sort_range(struct sorter *sorter, size_t first, size_t end)
{
    if (end - first < 2)
        return;
    size_t middle = first + (end - first) / 2;
    sort_range(sorter, first, middle);
    sort_range(sorter, middle, end);
    if (!in_order(sorter, sorter->refs[middle - 1], sorter->refs[middle]))
        merge_halves(sorter, first, middle, end);
}

enum aq_status aq_rows_sort(const struct aq_schema *schema, const struct aq_batch *batches,
                            struct aq_row_ref *refs, size_t count)
{
    struct sorter sorter = {.schema = schema, .batches = batches, .refs = refs};
    sorter.scratch = malloc((count / 2 + 1) * sizeof *refs);
    if (sorter.scratch == NULL)
        return AQ_NO_MEMORY;
    sort_range(&sorter, 0, count);
    free(sorter.scratch);
    return AQ_OK;
}
