/* Statistics of a run of values of one column: what pruning and statistics-only answers use. */
#ifndef AQ_FORMAT_STATS_H
#define AQ_FORMAT_STATS_H

#include "format/table/exact_sum.h"
#include "format/table/vector.h"

#define AQ_STATS_TEXT_BYTES_MAX 64

/**
 * min and max are in aq_vector_compare order, over non-null values; present when bounds_known. Text
 * longer than AQ_STATS_TEXT_BYTES_MAX is cut: min to a prefix (a lower bound), max to a prefix with its
 * last byte raised (an upper bound; absent if there is none); then bounds_exact is false and they
 * serve pruning only. sum is known for integer types (units 1) when it fits, and for doubles (units
 * 10^-9) when every value is short, see exact_sum.h.
 */
struct aq_column_stats {
    uint64_t row_count;
    uint64_t null_count;
    bool bounds_known;
    bool bounds_exact;
    bool sum_known;
    union aq_stats_value {
        int64_t integer;
        double real;
        struct aq_slice slice; /* borrowed from the arena or bytes it was read from */
    } min, max;
    aq_int128 sum;
};

/** Whether statistics of this type have a sum. */
bool aq_stats_has_sum(enum aq_type type);
/** Statistics of rows [first, first + count) of `vector`; slices go into `arena`. */
enum aq_status aq_stats_compute(const struct aq_vector *vector, size_t first, size_t count,
                                struct aq_arena *arena, struct aq_column_stats *stats) AQ_RESULT;
/** Widen `to` by `from` (same type). An all-zero `to` is the neutral element. */
void aq_stats_merge(enum aq_type type, struct aq_column_stats *to,
                    const struct aq_column_stats *from);

/** Statistics of parts that go: where their bounds are slices, these point into the total. Zero-initialise. */
struct aq_stats_total {
    struct aq_column_stats stats;
    uint8_t min[AQ_STATS_TEXT_BYTES_MAX];
    uint8_t max[AQ_STATS_TEXT_BYTES_MAX];
};
void aq_stats_total_add(enum aq_type type, struct aq_stats_total *total,
                        const struct aq_column_stats *part);

void aq_stats_encode(enum aq_type type, const struct aq_column_stats *stats, struct aq_bytes *out);
/** Slices of `stats` are borrowed from the reader's bytes. Sets reader->failed when malformed. */
void aq_stats_decode(enum aq_type type, struct aq_reader *reader, struct aq_column_stats *stats);

#endif
