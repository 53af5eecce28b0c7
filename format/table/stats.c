/* Column statistics: computed by the writer of a chunk, merged upwards to tile and file, stored beside
 * them (docs/archive-format.md, "Statistics"), and used by pruning and statistics-only answers.
 *
 * What is kept is a function of the multiset of values: 0.0 stands for -0.0 and one NaN for all.
 * Failures: memory. Bounds or a sum that cannot be given are left unknown, which is always right. */
#include "format/table/stats.h"

#include <math.h>
#include <string.h>

enum { FLAG_BOUNDS = 1, FLAG_EXACT = 2, FLAG_SUM = 4, FLAGS_ALL = 7 };

/* Rows summed before looking whether a sum in short units is still possible. */
#define SUM_BLOCK_ROWS 1024

bool aq_stats_has_sum(enum aq_type type)
{
    return type == AQ_TYPE_INTEGER || type == AQ_TYPE_BIGINT || type == AQ_TYPE_REAL ||
           type == AQ_TYPE_DOUBLE;
}

static double canonical(double value)
{
    if (isnan(value))
        return (double)NAN;
    return value == 0 ? 0.0 : value;
}

static int compare_values(enum aq_type type, const union aq_stats_value *a,
                          const union aq_stats_value *b)
{
    switch (aq_type_physical(type)) {
    case AQ_PHYSICAL_DOUBLE:
        if (isnan(a->real) || isnan(b->real))
            return isnan(a->real) - isnan(b->real);
        return (a->real > b->real) - (a->real < b->real);
    case AQ_PHYSICAL_SLICE:
        return aq_slice_compare(a->slice, b->slice);
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
    return (a->integer > b->integer) - (a->integer < b->integer);
}

/* Bounds. Values are looked at side by side in as many lanes, without a branch. */

#define LANES 8

/* NaN is above all others; here it stands for null, too, as neither is less or greater than anything. */
static inline void bound_doubles(const double *values, const uint8_t *valid, size_t count,
                                 struct aq_column_stats *stats)
{
    double min[LANES];
    double max[LANES];
    size_t ordered = 0; /* values that are no NaN */
    for (size_t lane = 0; lane < LANES; lane++) {
        min[lane] = (double)INFINITY;
        max[lane] = -(double)INFINITY;
    }
    for (size_t first = 0; first < count; first += LANES) {
        size_t lanes = count - first < LANES ? count - first : LANES;
        for (size_t lane = 0; lane < lanes; lane++) {
            double value = values[first + lane];
            if (valid != NULL)
                value = valid[first + lane] != 0 ? value : (double)NAN;
            min[lane] = value < min[lane] ? value : min[lane];
            max[lane] = value > max[lane] ? value : max[lane];
            ordered += value == value;
        }
    }
    for (size_t lane = 1; lane < LANES; lane++) {
        min[0] = min[lane] < min[0] ? min[lane] : min[0];
        max[0] = max[lane] > max[0] ? max[lane] : max[0];
    }
    bool has_nan = ordered < count - stats->null_count;
    stats->min.real = canonical(ordered > 0 ? min[0] : (double)NAN);
    stats->max.real = canonical(has_nan ? (double)NAN : max[0]);
}

static inline void bound_ints(const int64_t *values, const uint8_t *valid, size_t count,
                              struct aq_column_stats *stats)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (size_t row = 0; row < count; row++) {
        bool counts = valid == NULL || valid[row] != 0;
        int64_t low = counts ? values[row] : INT64_MAX;
        int64_t high = counts ? values[row] : INT64_MIN;
        min = low < min ? low : min;
        max = high > max ? high : max;
    }
    stats->min.integer = min;
    stats->max.integer = max;
}

/* Texts of a dictionary lie at few places: one that was seen a moment ago at the same place is passed over. */
static void bound_slices(const struct aq_vector *vector, size_t first, size_t count,
                         struct aq_column_stats *stats)
{
    enum { SEEN_BITS = 6 };
    const struct aq_slice *seen[1 << SEEN_BITS] = {NULL};
    bool known = false;
    for (size_t row = first; row < first + count; row++) {
        if (aq_vector_is_null(vector, row))
            continue;
        const struct aq_slice *slice = &vector->slices[row];
        size_t place = ((uintptr_t)slice->data * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - SEEN_BITS);
        if (seen[place] != NULL && seen[place]->data == slice->data &&
            seen[place]->size == slice->size)
            continue;
        seen[place] = slice;
        if (!known || aq_slice_compare(*slice, stats->min.slice) < 0)
            stats->min.slice = *slice;
        if (!known || aq_slice_compare(*slice, stats->max.slice) > 0)
            stats->max.slice = *slice;
        known = true;
    }
}

static void count_nulls(const uint8_t *valid, size_t count, struct aq_column_stats *stats)
{
    for (size_t row = 0; valid != NULL && row < count; row++)
        stats->null_count += valid[row] == 0;
}

static void find_bounds(const struct aq_vector *vector, size_t first, size_t count,
                        struct aq_column_stats *stats)
{
    const uint8_t *valid = vector->valid == NULL ? NULL : vector->valid + first;
    count_nulls(valid, count, stats);
    stats->bounds_known = stats->null_count < count;
    stats->bounds_exact = stats->bounds_known;
    if (!stats->bounds_known)
        return;
    if (stats->null_count == 0)
        valid = NULL;
    switch (aq_type_physical(vector->type)) {
    case AQ_PHYSICAL_INT:
        bound_ints(vector->ints + first, valid, count, stats);
        break;
    case AQ_PHYSICAL_DOUBLE:
        if (valid == NULL)
            bound_doubles(vector->doubles + first, NULL, count, stats);
        else
            bound_doubles(vector->doubles + first, valid, count, stats);
        break;
    case AQ_PHYSICAL_SLICE:
        bound_slices(vector, first, count, stats);
        break;
    case AQ_PHYSICAL_INTERVAL:
        break;
    }
}

/* The least text that is above every text with this prefix; false when all bytes are 0xff. */
static bool raise_prefix(uint8_t *prefix, size_t *size)
{
    while (*size > 0 && prefix[*size - 1] == 0xff)
        (*size)--;
    if (*size == 0)
        return false;
    prefix[*size - 1]++;
    return true;
}

/* Copy the bounds out of the vector, cut to AQ_STATS_TEXT_BYTES_MAX. */
static enum aq_status own_text_bounds(struct aq_column_stats *stats, struct aq_arena *arena)
{
    struct aq_slice *bounds[] = {&stats->min.slice, &stats->max.slice};
    for (size_t i = 0; i < 2; i++) {
        struct aq_slice *bound = bounds[i];
        bool cut = bound->size > AQ_STATS_TEXT_BYTES_MAX;
        size_t size = cut ? AQ_STATS_TEXT_BYTES_MAX : bound->size;
        uint8_t *copy = aq_arena_copy(arena, bound->data, size);
        if (copy == NULL)
            return AQ_NO_MEMORY;
        if (cut) {
            stats->bounds_exact = false;
            if (bound == &stats->max.slice && !raise_prefix(copy, &size))
                stats->bounds_known = false;
        }
        *bound = aq_slice_make(copy, size);
    }
    return AQ_OK;
}

static void sum_ints(const struct aq_vector *vector, size_t first, size_t count,
                     struct aq_column_stats *stats)
{
    for (size_t row = first; row < first + count; row++)
        stats->sum += aq_vector_is_null(vector, row) ? 0 : vector->ints[row];
    stats->sum_known = true;
}

static enum aq_status sum_doubles(const struct aq_vector *vector, size_t first, size_t count,
                                  struct aq_column_stats *stats)
{
    struct aq_exact_sum sum = {0};
    enum aq_status status = AQ_OK;
    bool all_short = true;
    for (size_t done = 0; done < count && all_short && status == AQ_OK; done += SUM_BLOCK_ROWS) {
        size_t at = first + done;
        size_t rows = count - done < SUM_BLOCK_ROWS ? count - done : SUM_BLOCK_ROWS;
        status = aq_exact_sum_add_many(&sum, vector->doubles + at,
                                       vector->valid == NULL ? NULL : vector->valid + at, rows);
        all_short = sum.wide == NULL && sum.nan_count == 0 && sum.plus_infinity_count == 0 &&
                    sum.minus_infinity_count == 0;
    }
    stats->sum_known = all_short;
    stats->sum = all_short ? sum.short_sum : 0;
    aq_exact_sum_deinit(&sum);
    return status;
}

enum aq_status aq_stats_compute(const struct aq_vector *vector, size_t first, size_t count,
                                struct aq_arena *arena, struct aq_column_stats *stats)
{
    *stats = (struct aq_column_stats){.row_count = count};
    find_bounds(vector, first, count, stats);
    enum aq_physical physical = aq_type_physical(vector->type);
    if (physical == AQ_PHYSICAL_SLICE && stats->bounds_known)
        return own_text_bounds(stats, arena);
    if (!aq_stats_has_sum(vector->type))
        return AQ_OK;
    if (physical == AQ_PHYSICAL_DOUBLE)
        return sum_doubles(vector, first, count, stats);
    sum_ints(vector, first, count, stats);
    return AQ_OK;
}

static bool has_values(const struct aq_column_stats *stats)
{
    return stats->row_count > stats->null_count;
}

static void merge_bounds(enum aq_type type, struct aq_column_stats *to,
                         const struct aq_column_stats *from)
{
    if (!has_values(from))
        return;
    if (!has_values(to)) {
        to->bounds_known = from->bounds_known;
        to->bounds_exact = from->bounds_exact;
        to->min = from->min;
        to->max = from->max;
        return;
    }
    to->bounds_known = to->bounds_known && from->bounds_known;
    to->bounds_exact = to->bounds_known && to->bounds_exact && from->bounds_exact;
    if (!to->bounds_known)
        return;
    if (compare_values(type, &from->min, &to->min) < 0)
        to->min = from->min;
    if (compare_values(type, &from->max, &to->max) > 0)
        to->max = from->max;
}

static void merge_sum(struct aq_column_stats *to, const struct aq_column_stats *from)
{
    to->sum_known = from->sum_known && (to->row_count == 0 || to->sum_known) &&
                    !__builtin_add_overflow(to->sum, from->sum, &to->sum);
    if (!to->sum_known)
        to->sum = 0;
}

void aq_stats_merge(enum aq_type type, struct aq_column_stats *to,
                    const struct aq_column_stats *from)
{
    if (from->row_count == 0)
        return;
    merge_bounds(type, to, from);
    merge_sum(to, from);
    to->row_count += from->row_count;
    to->null_count += from->null_count;
}

static void put_value(enum aq_type type, const union aq_stats_value *value, struct aq_bytes *out)
{
    uint64_t bits;
    switch (aq_type_physical(type)) {
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_INTERVAL:
        aq_bytes_varint_signed(out, value->integer);
        break;
    case AQ_PHYSICAL_DOUBLE:
        memcpy(&bits, &value->real, sizeof bits);
        aq_bytes_u64(out, bits);
        break;
    case AQ_PHYSICAL_SLICE:
        aq_bytes_slice(out, value->slice);
        break;
    }
}

static void get_value(enum aq_type type, struct aq_reader *reader, union aq_stats_value *value)
{
    uint64_t bits;
    switch (aq_type_physical(type)) {
    case AQ_PHYSICAL_INT:
    case AQ_PHYSICAL_INTERVAL:
        value->integer = aq_reader_varint_signed(reader);
        break;
    case AQ_PHYSICAL_DOUBLE:
        bits = aq_reader_u64(reader);
        memcpy(&value->real, &bits, sizeof bits);
        break;
    case AQ_PHYSICAL_SLICE:
        value->slice = aq_reader_slice(reader);
        if (value->slice.size > AQ_STATS_TEXT_BYTES_MAX)
            aq_reader_fail(reader);
        break;
    }
}

/* 128 bits, zigzag-coded, as two varints: small sums are the rule. */
static void put_sum(aq_int128 sum, struct aq_bytes *out)
{
    aq_uint128 coded = ((aq_uint128)sum << 1) ^ (aq_uint128)(sum >> 127);
    aq_bytes_varint(out, (uint64_t)coded);
    aq_bytes_varint(out, (uint64_t)(coded >> 64));
}

static aq_int128 get_sum(struct aq_reader *reader)
{
    uint64_t low = aq_reader_varint(reader);
    aq_uint128 coded = ((aq_uint128)aq_reader_varint(reader) << 64) | low;
    return (aq_int128)((coded >> 1) ^ -(coded & 1));
}

static void keep_bound(struct aq_slice *bound, uint8_t *own)
{
    memmove(own, bound->data, bound->size);
    bound->data = own;
}

void aq_stats_total_add(enum aq_type type, struct aq_stats_total *total,
                        const struct aq_column_stats *part)
{
    aq_stats_merge(type, &total->stats, part);
    if (aq_type_physical(type) != AQ_PHYSICAL_SLICE || !total->stats.bounds_known)
        return;
    keep_bound(&total->stats.min.slice, total->min);
    keep_bound(&total->stats.max.slice, total->max);
}

void aq_stats_encode(enum aq_type type, const struct aq_column_stats *stats, struct aq_bytes *out)
{
    aq_bytes_u8(out, (uint8_t)((stats->bounds_known ? FLAG_BOUNDS : 0) |
                               (stats->bounds_known && stats->bounds_exact ? FLAG_EXACT : 0) |
                               (stats->sum_known ? FLAG_SUM : 0)));
    aq_bytes_varint(out, stats->row_count);
    aq_bytes_varint(out, stats->null_count);
    if (stats->bounds_known) {
        put_value(type, &stats->min, out);
        put_value(type, &stats->max, out);
    }
    if (stats->sum_known)
        put_sum(stats->sum, out);
}

void aq_stats_decode(enum aq_type type, struct aq_reader *reader, struct aq_column_stats *stats)
{
    *stats = (struct aq_column_stats){0};
    uint8_t flags = aq_reader_u8(reader);
    stats->row_count = aq_reader_varint(reader);
    stats->null_count = aq_reader_varint(reader);
    stats->bounds_known = (flags & FLAG_BOUNDS) != 0;
    stats->bounds_exact = (flags & FLAG_EXACT) != 0;
    stats->sum_known = (flags & FLAG_SUM) != 0;
    if (stats->bounds_known) {
        get_value(type, reader, &stats->min);
        get_value(type, reader, &stats->max);
    }
    if (stats->sum_known)
        stats->sum = get_sum(reader);
    if (flags > FLAGS_ALL || (stats->bounds_exact && !stats->bounds_known) ||
        stats->null_count > stats->row_count || (stats->sum_known && !aq_stats_has_sum(type)) ||
        (stats->bounds_known &&
         (!has_values(stats) || compare_values(type, &stats->min, &stats->max) > 0)))
        aq_reader_fail(reader);
    if (reader->failed)
        *stats = (struct aq_column_stats){0};
}
