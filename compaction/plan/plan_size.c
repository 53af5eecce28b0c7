/* How large archives of so many rows would be, and the share of one in a stretch of time. */
#include "compaction/plan/plan_internal.h"

/* Root, directories and padding of any archive, about. */
#define FILE_BYTES_FIXED 4096

/* Sizes of real files are far below; those of a damaged catalog need not be. */
static uint64_t clamp(double value)
{
    return value < (double)(UINT64_MAX / 4) ? (uint64_t)value : UINT64_MAX / 4;
}

uint64_t aq_plan_bytes(const struct aq_plan_dataset *dataset, uint64_t row_count)
{
    return row_count == 0 ? 0
                          : clamp((double)row_count * dataset->bytes_per_row) + FILE_BYTES_FIXED;
}

uint64_t aq_plan_new_bytes(const struct aq_plan_dataset *dataset, int64_t from_us, int64_t until_us)
{
    uint64_t rows = aq_spread_rows(dataset->spread, from_us, until_us);
    if (until_us == INT64_MAX)
        rows += dataset->spread->timeless_count;
    return aq_plan_bytes(dataset, rows);
}

uint64_t aq_plan_share(uint64_t whole, const struct aq_plan_piece *piece, int64_t from_us,
                       int64_t until_us)
{
    if (!aq_plan_overlaps(from_us, until_us, piece))
        return 0;
    if (aq_plan_contains(from_us, until_us, piece))
        return whole;
    double low = from_us > piece->min_us ? (double)from_us : (double)piece->min_us;
    double high = until_us <= piece->max_us ? (double)until_us : (double)piece->max_us + 1;
    double span = (double)piece->max_us - (double)piece->min_us + 1;
    return clamp((double)whole * ((high - low) / span)) + 1;
}
